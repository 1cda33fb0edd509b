/* Random WHERE over random rows against a naive evaluation, through whatever index is chosen; and
 * UPDATE and DELETE with the same conditions. */
#include "sql_kit.h"

enum { COLUMNS = 7, ROWS = 120 };

/* A row as the model knows it. */
typedef struct model_row {
    uint32_t id;
    uint8_t a;
    int32_t b;
    char s[3]; /* "", "x", "xy", ... */
    bool f;
    int64_t t; /* timestamp */
    int32_t c;
} model_row;

static const char *const names[COLUMNS] = {"id", "a", "b", "s", "f", "t", "c"};

static void encode(const model_row *r, lc_buf *out)
{
    lc_buf_reset(out);
    lc_buf_put_u32(out, r->id);
    lc_buf_put_u8(out, r->a);
    lc_buf_put_u32(out, (uint32_t)r->b);
    lc_buf_put_lenstr(out, lc_span_of_str(r->s));
    lc_buf_put_u8(out, r->f);
    lc_buf_put_u64(out, (uint64_t)r->t);
    lc_buf_put_u32(out, (uint32_t)r->c);
}

typedef struct world {
    lc_store *store;
    lc_arena arena;
    lc_table *table;
    model_row rows[ROWS];
    uint32_t count;
    uint64_t seed;
} world;

static uint64_t rnd(world *w, uint64_t below)
{
    return lc_test_random(&w->seed) % below;
}

static model_row random_row(world *w, uint32_t id)
{
    static const char *const strings[] = {"", "x", "y", "xy"};
    model_row r = {.id = id,
                   .a = (uint8_t)rnd(w, 5),
                   .b = (int32_t)rnd(w, 9) - 4,
                   .f = rnd(w, 2),
                   .t = (int64_t)rnd(w, 4) * 1000000,
                   .c = (int32_t)rnd(w, 9) - 4};
    snprintf(r.s, sizeof r.s, "%s", strings[rnd(w, 4)]);
    return r;
}

static void fill(world *w)
{
    lc_buf row = LC_BUF_INIT;
    lc_write out;
    lc_store_begin(w->store);
    lc_table_clear(w->table);
    w->count = (uint32_t)rnd(w, ROWS) + 1;
    for (uint32_t i = 0; i < w->count; i++) {
        w->rows[i] = random_row(w, i * 3);
        encode(&w->rows[i], &row);
        assert_int_equal(lc_table_insert(w->table, lc_buf_span(&row), &out, NULL), LC_ERRNO_OK);
    }
    lc_store_commit(w->store);
    lc_store_release(w->store);
    lc_buf_deinit(&row);
}

/* Index shapes to choose among; column numbers are those of `names`. */
static void create(world *w, uint32_t shape)
{
    const kit_column columns[COLUMNS] = {
        {"id", lc_type_scalar(LC_TYPE_U32)}, {"a", lc_type_scalar(LC_TYPE_U8)},
        {"b", lc_type_scalar(LC_TYPE_I32)},  {"s", lc_type_scalar(LC_TYPE_STRING)},
        {"f", lc_type_scalar(LC_TYPE_BOOL)}, {"t", lc_type_timestamp()},
        {"c", lc_type_scalar(LC_TYPE_I32)},
    };
    static const kit_index indexes[] = {
        {LC_INDEX_BTREE, true, {0}, 1},        {LC_INDEX_BTREE, false, {1, 2}, 2},
        {LC_INDEX_BTREE, false, {3}, 1},       {LC_INDEX_HASH, false, {2}, 1},
        {LC_INDEX_BTREE, false, {5, 1, 2}, 3}, {LC_INDEX_BTREE, false, {4}, 1},
        {LC_INDEX_HASH, true, {0}, 1},
    };
    static const uint32_t from[] = {0, 0, 2, 4, 6, 1};
    static const uint32_t count[] = {0, 2, 3, 3, 1, 5};
    *w = (world){.store = lc_store_create(), .seed = shape + 1};
    w->table = kit_create_table(w->store, &w->arena, "m", columns, COLUMNS, indexes + from[shape],
                                count[shape]);
}

/* ---------------------------------------------------------------- conditions */

typedef struct condition condition;
struct condition {
    enum { LEAF, COLUMN_PAIR, BOOL_COLUMN, AND, OR, SAME, CONSTANT } kind;
    uint32_t column;
    int op; /* 0 = <> < <= > >= */
    int64_t number;
    const char *string;
    bool truth, swapped;
    condition *left, *right;
};

static const char *const operators[] = {"=", "<>", "<", "<=", ">", ">="};
static const int mirrored[] = {0, 1, 4, 5, 2, 3};

static bool outcome(int op, int c)
{
    switch (op) {
    case 0:
        return c == 0;
    case 1:
        return c != 0;
    case 2:
        return c < 0;
    case 3:
        return c <= 0;
    case 4:
        return c > 0;
    default:
        return c >= 0;
    }
}

static condition *random_condition(world *w, lc_arena *a, uint32_t depth)
{
    static const char *const strings[] = {"", "x", "y", "xy", "z"};
    condition *c = lc_arena_alloc_zero(a, sizeof *c);
    uint64_t r = rnd(w, depth ? 10 : 5);
    if (r >= 5) {
        c->kind = r == 9 ? SAME : r < 8 ? AND : OR;
        c->op = (int)rnd(w, 6);
        c->left = random_condition(w, a, depth - 1);
        c->right = random_condition(w, a, depth - 1);
        return c;
    }
    c->op = (int)rnd(w, 6);
    if (rnd(w, 2)) c->op = 0;
    c->swapped = rnd(w, 3) == 0;
    switch (rnd(w, 12)) {
    case 0:
        c->kind = COLUMN_PAIR;
        break;
    case 1:
        c->kind = BOOL_COLUMN;
        break;
    case 2:
        c->kind = CONSTANT;
        c->truth = rnd(w, 2);
        break;
    default:
        c->kind = LEAF;
        c->column = (uint32_t)rnd(w, COLUMNS);
        switch (c->column) {
        case 0:
            c->number = (int64_t)rnd(w, ROWS) * 3 - (int64_t)rnd(w, 2);
            break;
        case 1:
            c->number = (int64_t)rnd(w, 6);
            break;
        case 5:
            c->number = (int64_t)rnd(w, 5) * 1000000;
            break;
        default:
            c->number = (int64_t)rnd(w, 11) - 5;
            break;
        }
        if (c->column == 0 && c->number < 0) c->number = 0;
        c->string = strings[rnd(w, 5)];
        c->truth = rnd(w, 2);
        break;
    }
    return c;
}

static void print_condition(const condition *c, lc_buf *out)
{
    lc_buf value = LC_BUF_INIT;
    switch (c->kind) {
    case AND:
    case OR:
    case SAME:
        lc_buf_put_u8(out, '(');
        print_condition(c->left, out);
        lc_buf_printf(out, ") %s (",
                      c->kind == AND  ? "and"
                      : c->kind == OR ? "or"
                                      : operators[c->op]);
        print_condition(c->right, out);
        lc_buf_put_u8(out, ')');
        return;
    case CONSTANT:
        lc_buf_put_str(out, c->truth ? "true" : "false");
        return;
    case BOOL_COLUMN:
        lc_buf_put_str(out, "f");
        return;
    case COLUMN_PAIR:
        lc_buf_printf(out, "b %s c", operators[c->op]);
        return;
    case LEAF:
        break;
    }
    switch (c->column) {
    case 3:
        lc_buf_printf(&value, "'%s'", c->string);
        break;
    case 4:
        lc_buf_put_str(&value, c->truth ? "TRUE" : "false");
        break;
    case 5:
        lc_buf_put_u8(&value, '\'');
        lc_timestamp_to_text(c->number, &value);
        lc_buf_put_u8(&value, '\'');
        break;
    default:
        lc_buf_printf(&value, "%lld", (long long)c->number);
        break;
    }
    if (c->swapped)
        lc_buf_printf(out, LC_SPAN_FMT " %s %s", LC_SPAN_ARG(lc_buf_span(&value)),
                      operators[mirrored[c->op]], names[c->column]);
    else
        lc_buf_printf(out, "m.%s %s " LC_SPAN_FMT, names[c->column], operators[c->op],
                      LC_SPAN_ARG(lc_buf_span(&value)));
    lc_buf_deinit(&value);
}

static int sign(int64_t x)
{
    return (x > 0) - (x < 0);
}

static bool holds(const condition *c, const model_row *r)
{
    switch (c->kind) {
    case AND:
        return holds(c->left, r) && holds(c->right, r);
    case OR:
        return holds(c->left, r) || holds(c->right, r);
    case SAME:
        return outcome(c->op, (int)holds(c->left, r) - (int)holds(c->right, r));
    case CONSTANT:
        return c->truth;
    case BOOL_COLUMN:
        return r->f;
    case COLUMN_PAIR:
        return outcome(c->op, sign((int64_t)r->b - r->c));
    case LEAF:
        break;
    }
    switch (c->column) {
    case 0:
        return outcome(c->op, sign((int64_t)r->id - c->number));
    case 1:
        return outcome(c->op, sign((int64_t)r->a - c->number));
    case 2:
        return outcome(c->op, sign((int64_t)r->b - c->number));
    case 3:
        return outcome(c->op, sign(strcmp(r->s, c->string)));
    case 4:
        return outcome(c->op, (int)r->f - (int)c->truth);
    case 5:
        return outcome(c->op, sign(r->t - c->number));
    default:
        return outcome(c->op, sign((int64_t)r->c - c->number));
    }
}

/* ------------------------------------------------------------------- checks */

static const lc_caller owner = {.is_owner = true};

static lc_plan *plan_of(world *w, lc_span sql)
{
    lc_plan *plan;
    lc_error err = LC_ERROR_INIT;
    lc_status st = lc_plan_create(w->store, sql, LC_DIALECT_AD_HOC, &owner, &plan, &err);
    if (st) fail_msg("%s: " LC_SPAN_FMT, lc_error_text(&err), LC_SPAN_ARG(sql));
    return plan;
}

/* Runs a query and gives the ids (first column) as a set. */
static uint64_t ids_of(world *w, lc_span sql, bool ids[ROWS * 3 + 1000])
{
    lc_rowset rows = {0};
    lc_plan *plan = plan_of(w, sql);
    memset(ids, 0, ROWS * 3 + 1000);
    assert_ok(lc_plan_select(plan, &rows, NULL), NULL);
    for (uint64_t i = 0; i < rows.count; i++) {
        uint32_t id = lc_load_u32(lc_rowset_row(&rows, i).ptr);
        assert_false(ids[id]);
        ids[id] = true;
    }
    uint64_t count = rows.count;
    lc_plan_destroy(plan);
    lc_rowset_deinit(&rows);
    return count;
}

static bool row_matches(world *w, const lc_plan *plan, const model_row *r)
{
    lc_buf row = LC_BUF_INIT;
    (void)w;
    encode(r, &row);
    bool yes = lc_plan_matches(plan, row.ptr);
    lc_buf_deinit(&row);
    return yes;
}

static void check_select(world *w, const condition *c, lc_span where)
{
    static bool ids[ROWS * 3 + 1000];
    uint64_t want = 0;
    lc_buf sql = LC_BUF_INIT;
    lc_buf_printf(&sql, "select * from m where " LC_SPAN_FMT, LC_SPAN_ARG(where));
    uint64_t got = ids_of(w, lc_buf_span(&sql), ids);
    lc_plan *plan = plan_of(w, lc_buf_span(&sql));
    for (uint32_t i = 0; i < w->count; i++) {
        bool yes = holds(c, &w->rows[i]);
        want += yes;
        if (ids[w->rows[i].id] != yes || row_matches(w, plan, &w->rows[i]) != yes)
            fail_msg("row %u: " LC_SPAN_FMT, w->rows[i].id, LC_SPAN_ARG(lc_buf_span(&sql)));
    }
    assert_int_equal(got, want);
    lc_plan_destroy(plan);
    lc_buf_reset(&sql);
    lc_buf_printf(&sql, "select id, s, t from m where " LC_SPAN_FMT, LC_SPAN_ARG(where));
    assert_int_equal(ids_of(w, lc_buf_span(&sql), ids), want);
    lc_buf_printf(&sql, " limit 3");
    assert_int_equal(ids_of(w, lc_buf_span(&sql), ids), want < 3 ? want : 3);
    lc_buf_reset(&sql);
    lc_buf_printf(&sql, "select count(*) as n from m where " LC_SPAN_FMT, LC_SPAN_ARG(where));
    lc_rowset rows = {0};
    plan = plan_of(w, lc_buf_span(&sql));
    assert_ok(lc_plan_select(plan, &rows, NULL), NULL);
    assert_int_equal(rows.count, 1);
    assert_int_equal(lc_load_u64(rows.data.ptr), want);
    lc_plan_destroy(plan);
    lc_rowset_deinit(&rows);
    lc_buf_deinit(&sql);
}

/* UPDATE or DELETE, then the whole table against the model, then back to what it was. */
static void check_write(world *w, const condition *c, lc_span where, bool is_update)
{
    lc_buf sql = LC_BUF_INIT, row = LC_BUF_INIT;
    lc_query_stats stats;
    lc_error err = LC_ERROR_INIT;
    lc_buf_put_str(&sql, is_update ? "update m set b = 3, s = 'new'" : "delete from m");
    lc_buf_printf(&sql, " where " LC_SPAN_FMT, LC_SPAN_ARG(where));
    lc_plan *plan = plan_of(w, lc_buf_span(&sql));
    lc_store_begin(w->store);
    assert_ok(lc_plan_write(plan, &stats, &err), &err);
    uint64_t hits = 0;
    lc_rowset rows = {0};
    lc_plan *all = plan_of(w, LC_STR("select * from m"));
    assert_ok(lc_plan_select(all, &rows, NULL), NULL);
    lc_map set = {0};
    for (uint64_t i = 0; i < rows.count; i++) lc_map_put(&set, lc_rowset_row(&rows, i), w);
    for (uint32_t i = 0; i < w->count; i++) {
        model_row r = w->rows[i];
        bool hit = holds(c, &r);
        hits += hit;
        encode(&r, &row);
        bool is_there = lc_map_get(&set, lc_buf_span(&row)) != NULL;
        if (hit && is_update) {
            lc_buf changed = LC_BUF_INIT;
            lc_buf_put_u32(&changed, r.id);
            lc_buf_put_u8(&changed, r.a);
            lc_buf_put_u32(&changed, 3);
            lc_buf_put_lenstr(&changed, LC_STR("new"));
            lc_buf_put_u8(&changed, r.f);
            lc_buf_put_u64(&changed, (uint64_t)r.t);
            lc_buf_put_u32(&changed, (uint32_t)r.c);
            assert_non_null(lc_map_get(&set, lc_buf_span(&changed)));
            lc_buf_deinit(&changed);
        } else {
            assert_int_equal(is_there, !hit);
        }
    }
    assert_int_equal(is_update ? stats.rows_updated : stats.rows_deleted, hits);
    assert_int_equal(rows.count, is_update ? w->count : w->count - hits);
    lc_store_rollback(w->store);
    lc_map_deinit(&set);
    lc_rowset_deinit(&rows);
    lc_plan_destroy(all);
    lc_plan_destroy(plan);
    lc_buf_deinit(&row);
    lc_buf_deinit(&sql);
}

LC_TEST(conditions_select_what_they_say)
{
    for (uint32_t shape = 0; shape < 6; shape++) {
        world w;
        create(&w, shape);
        for (uint32_t round = 0; round < 400; round++) {
            lc_arena a = LC_ARENA_INIT;
            lc_buf where = LC_BUF_INIT;
            if (round % 40 == 0) fill(&w);
            condition *c = random_condition(&w, &a, (uint32_t)rnd(&w, 5));
            print_condition(c, &where);
            check_select(&w, c, lc_buf_span(&where));
            if (round % 4 == 0) check_write(&w, c, lc_buf_span(&where), round % 8 == 0);
            lc_buf_deinit(&where);
            lc_arena_deinit(&a);
        }
        lc_store_destroy(w.store);
        lc_arena_deinit(&w.arena);
    }
}

int main(void)
{
    return LC_TEST_RUN(cmocka_unit_test(conditions_select_what_they_say));
}
