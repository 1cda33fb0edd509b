/* Which index leads to the rows that a WHERE leaves. */
#include "query/plan_internal.h"

/* A conjunct as `column op constant`, whichever way round it is written. */
typedef struct condition {
    uint32_t column;
    uint8_t op;
    lc_span value;
} condition;

static const uint8_t true_byte[] = {1};

static bool as_condition(const lc_bound_expr *e, condition *c)
{
    if (e->kind == LC_BOUND_COLUMN) { /* a Bool by itself */
        *c = (condition){e->column, LC_BIN_EQ, LC_SPAN(true_byte, 1)};
        return true;
    }
    if (e->kind != LC_BOUND_COMPARE) return false;
    static const uint8_t mirror[] = {
        [LC_BIN_EQ] = LC_BIN_EQ, [LC_BIN_NE] = LC_BIN_NE, [LC_BIN_LT] = LC_BIN_GT,
        [LC_BIN_LE] = LC_BIN_GE, [LC_BIN_GT] = LC_BIN_LT, [LC_BIN_GE] = LC_BIN_LE,
    };
    if (e->left->kind == LC_BOUND_COLUMN && e->right->kind == LC_BOUND_VALUE)
        *c = (condition){e->left->column, e->op, e->right->value};
    else if (e->right->kind == LC_BOUND_COLUMN && e->left->kind == LC_BOUND_VALUE)
        *c = (condition){e->right->column, mirror[e->op], e->left->value};
    else
        return false;
    return true;
}

typedef struct chooser {
    condition *conditions; /* one per conjunct; op LC_BIN_OTHER: none */
    uint32_t count;
} chooser;

static int find_condition(const chooser *c, uint32_t column, uint8_t op, uint8_t or_op)
{
    for (uint32_t i = 0; i < c->count; i++) {
        const condition *k = &c->conditions[i];
        if (k->column == column && (k->op == op || k->op == or_op)) return (int)i;
    }
    return -1;
}

/* What an index offers. */
typedef struct offer {
    lc_index *index;
    uint32_t score;
    uint32_t equal; /* leading columns fixed by equality */
    int low, high;  /* conjuncts bounding the next column, or -1 */
} offer;

static offer examine(const chooser *c, lc_index *index)
{
    offer o = {.index = index, .low = -1, .high = -1};
    uint32_t n = lc_index_column_count(index);
    while (o.equal < n &&
           find_condition(c, lc_index_column(index, o.equal), LC_BIN_EQ, LC_BIN_EQ) >= 0)
        o.equal++;
    if (o.equal == n) {
        o.score = (lc_index_is_unique(index) ? 2000000 : 1000000) + n;
        return o;
    }
    if (lc_index_kind(index) == LC_INDEX_HASH) return o;
    uint16_t next = lc_index_column(index, o.equal);
    o.low = find_condition(c, next, LC_BIN_GT, LC_BIN_GE);
    o.high = find_condition(c, next, LC_BIN_LT, LC_BIN_LE);
    o.score = o.equal * 4 + (o.low >= 0) + (o.high >= 0);
    return o;
}

static lc_bound bound(const chooser *c, int i)
{
    if (i < 0) return (lc_bound){.kind = LC_BOUND_UNBOUNDED};
    const condition *k = &c->conditions[i];
    bool is_open = k->op == LC_BIN_LT || k->op == LC_BIN_GT;
    return (lc_bound){is_open ? LC_BOUND_EXCLUDED : LC_BOUND_INCLUDED, k->value};
}

static void choose(lc_access *access, lc_arena *a, lc_table *t, lc_bound_expr *const *conjuncts,
                   chooser *c, bool *used)
{
    for (uint32_t i = 0; i < c->count; i++) {
        if (conjuncts[i]->kind == LC_BOUND_VALUE && conjuncts[i]->value.ptr[0] == 0) {
            access->kind = LC_ACCESS_NONE;
            return;
        }
        if (!as_condition(conjuncts[i], &c->conditions[i])) c->conditions[i].op = LC_BIN_OTHER;
    }
    offer best = {0};
    lc_index *index;
    for (uint32_t i = 0; (index = lc_table_index(t, i)); i++) {
        offer o = examine(c, index);
        if (o.score > best.score) best = o;
    }
    if (best.score == 0) return;
    lc_buf key = LC_BUF_INIT;
    for (uint32_t i = 0; i < best.equal; i++) {
        int k = find_condition(c, lc_index_column(best.index, i), LC_BIN_EQ, LC_BIN_EQ);
        lc_buf_put_span(&key, c->conditions[k].value);
        used[k] = true;
    }
    access->index_id = lc_index_id(best.index);
    access->key = lc_arena_copy(a, lc_buf_span(&key));
    lc_buf_deinit(&key);
    if (best.equal == lc_index_column_count(best.index)) {
        access->kind = lc_index_is_unique(best.index) ? LC_ACCESS_FIND : LC_ACCESS_POINT;
        return;
    }
    access->kind = LC_ACCESS_RANGE;
    access->range = (lc_range){.prefix = access->key,
                               .prefix_columns = best.equal,
                               .start = bound(c, best.low),
                               .end = bound(c, best.high)};
    if (best.low >= 0) used[best.low] = true;
    if (best.high >= 0) used[best.high] = true;
}

void lc_access_choose(lc_access *access, lc_arena *a, lc_table *t, lc_bound_expr *const *conjuncts,
                      uint32_t count, bool *used)
{
    *access = (lc_access){.kind = LC_ACCESS_SCAN};
    memset(used, 0, count * sizeof *used);
    if (count == 0) return;
    condition few[32];
    chooser c = {.count = count};
    c.conditions = count <= LC_ARRAY_LEN(few) ? few : lc_alloc(count * sizeof *c.conditions);
    choose(access, a, t, conjuncts, &c, used);
    if (c.conditions != few) lc_free(c.conditions);
}
bool lc_access_is_valid(const lc_access *access, const lc_store *s)
{
    return access->kind == LC_ACCESS_SCAN || access->kind == LC_ACCESS_NONE ||
           lc_store_index(s, access->index_id) != NULL;
}

void lc_access_visit(const lc_access *access, const lc_store *s, const lc_table *t,
                     lc_row_visit visit, void *arg)
{
    lc_error err = LC_ERROR_INIT;
    lc_errno rc = LC_ERRNO_OK;
    const lc_index *index = access->kind == LC_ACCESS_SCAN || access->kind == LC_ACCESS_NONE
                                ? NULL
                                : lc_store_index(s, access->index_id);
    switch (access->kind) {
    case LC_ACCESS_SCAN:
        lc_table_scan(t, visit, arg);
        break;
    case LC_ACCESS_FIND: {
        lc_span row;
        if (lc_index_find(index, access->key, &row)) visit(arg, row);
        break;
    }
    case LC_ACCESS_POINT:
        rc = lc_index_scan_point(index, access->key, visit, arg, &err);
        break;
    case LC_ACCESS_RANGE:
        rc = lc_index_scan_range(index, &access->range, visit, arg, &err);
        break;
    case LC_ACCESS_NONE:
        break;
    }
    if (rc != LC_ERRNO_OK) LC_BUG("a bound key was refused: %s", lc_error_text(&err));
}
