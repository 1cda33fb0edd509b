/* WHERE compiled to tests with jumps, and the loop that runs them over a row's bytes. */
#include "query/plan_internal.h"

/* ----------------------------------------------------------------- compile */

typedef struct builder {
    const lc_layout *layout;
    lc_test *tests;
    size_t count, cap;
} builder;

static uint8_t accept_mask(uint8_t op)
{
    switch (op) {
    case LC_BIN_EQ:
        return 2;
    case LC_BIN_NE:
        return 5;
    case LC_BIN_LT:
        return 1;
    case LC_BIN_LE:
        return 3;
    case LC_BIN_GT:
        return 4;
    default:
        return 6;
    }
}

/* The mask for the operands the other way round. */
static uint8_t mirrored(uint8_t mask)
{
    return (uint8_t)((mask & 2) | (mask & 1) << 2 | mask >> 2);
}

static uint32_t push(builder *b, lc_test t)
{
    LC_ASSERT(b->count < b->cap);
    b->tests[b->count] = t;
    return (uint32_t)b->count++;
}

static bool is_column(const lc_bound_expr *e)
{
    return e->kind == LC_BOUND_COLUMN;
}

static lc_test column_test(const builder *b, const lc_bound_expr *column, uint8_t mask)
{
    return (lc_test){
        .accept = mask,
        .column = (uint16_t)column->column,
        .offset = lc_layout_column_offset(b->layout, column->column),
        .type = column->type,
    };
}

/* The integer a signed or unsigned column of at most 64 bits holds. */
static bool scalar_test(lc_test *t, const lc_type *type, const uint8_t *value)
{
    if (type->special == LC_SPECIAL_TIMESTAMP) type = lc_type_scalar(LC_TYPE_I64);
    switch (type->kind) {
    case LC_TYPE_BOOL:
    case LC_TYPE_U8:
        t->kind = LC_TEST_U8, t->u = *value;
        return true;
    case LC_TYPE_U16:
        t->kind = LC_TEST_U16, t->u = lc_load_u16(value);
        return true;
    case LC_TYPE_U32:
        t->kind = LC_TEST_U32, t->u = lc_load_u32(value);
        return true;
    case LC_TYPE_U64:
        t->kind = LC_TEST_U64, t->u = lc_load_u64(value);
        return true;
    case LC_TYPE_I8:
        t->kind = LC_TEST_I8, t->i = (int8_t)*value;
        return true;
    case LC_TYPE_I16:
        t->kind = LC_TEST_I16, t->i = (int16_t)lc_load_u16(value);
        return true;
    case LC_TYPE_I32:
        t->kind = LC_TEST_I32, t->i = (int32_t)lc_load_u32(value);
        return true;
    case LC_TYPE_I64:
        t->kind = LC_TEST_I64, t->i = (int64_t)lc_load_u64(value);
        return true;
    default:
        return false;
    }
}

static bool is_bytewise_equal(const lc_type *type)
{
    return type->fixed_size > 0 && type->kind != LC_TYPE_F32 && type->kind != LC_TYPE_F64;
}

static uint32_t compare_with_value(builder *b, const lc_bound_expr *column,
                                   const lc_bound_expr *value, uint8_t mask, uint32_t on_true,
                                   uint32_t on_false)
{
    lc_test t = column_test(b, column, mask);
    t.on_true = on_true;
    t.on_false = on_false;
    if (!scalar_test(&t, column->type, value->value.ptr)) {
        bool is_equality = mask == 2 || mask == 5;
        t.bytes = value->value.ptr;
        t.size = (uint32_t)value->value.len;
        if (is_equality && is_bytewise_equal(column->type))
            t.kind = LC_TEST_FIXED;
        else if (is_equality &&
                 (column->type->kind == LC_TYPE_STRING || lc_type_is_bytes(column->type)))
            t.kind = LC_TEST_STRING;
        else
            t.kind = LC_TEST_VALUE;
    }
    return push(b, t);
}

static uint32_t compile(builder *b, const lc_bound_expr *e, uint32_t on_true, uint32_t on_false);

/* Is the truth value known without a row? */
static bool is_constant(const lc_bound_expr *e, bool *truth)
{
    if (e->kind != LC_BOUND_VALUE) return false;
    *truth = e->value.ptr[0] != 0;
    return true;
}

/* Comparison of two truth values of which at least one is not a plain column or constant. */
static uint32_t compare_truths(builder *b, const lc_bound_expr *e, uint32_t on_true,
                               uint32_t on_false)
{
    uint8_t mask = accept_mask(e->op);
    const lc_bound_expr *left = e->left, *right = e->right;
    bool truth;
    if (is_constant(left, &truth)) {
        const lc_bound_expr *swap = left;
        left = right;
        right = swap;
        mask = mirrored(mask);
    }
    if (is_constant(right, &truth)) {
        /* outcome for left = false and for left = true */
        bool when_false = mask >> (truth ? 0 : 1) & 1, when_true = mask >> (truth ? 1 : 2) & 1;
        return compile(b, left, when_true ? on_true : on_false, when_false ? on_true : on_false);
    }
    uint32_t pop = push(
        b,
        (lc_test){.kind = LC_TEST_POP, .accept = mask, .on_true = on_true, .on_false = on_false});
    uint32_t yes = push(b, (lc_test){.kind = LC_TEST_PUSH, .accept = 1, .on_true = pop});
    uint32_t no = push(b, (lc_test){.kind = LC_TEST_PUSH, .accept = 0, .on_true = pop});
    uint32_t second = compile(b, right, yes, no);
    yes = push(b, (lc_test){.kind = LC_TEST_PUSH, .accept = 1, .on_true = second});
    no = push(b, (lc_test){.kind = LC_TEST_PUSH, .accept = 0, .on_true = second});
    return compile(b, left, yes, no);
}

static uint32_t compile_comparison(builder *b, const lc_bound_expr *e, uint32_t on_true,
                                   uint32_t on_false)
{
    const lc_bound_expr *l = e->left, *r = e->right;
    uint8_t mask = accept_mask(e->op);
    if (is_column(l) && r->kind == LC_BOUND_VALUE)
        return compare_with_value(b, l, r, mask, on_true, on_false);
    if (is_column(r) && l->kind == LC_BOUND_VALUE)
        return compare_with_value(b, r, l, mirrored(mask), on_true, on_false);
    if (is_column(l) && is_column(r)) {
        lc_test t = column_test(b, l, mask);
        t.kind = LC_TEST_COLUMN;
        t.other = (uint16_t)r->column;
        t.other_offset = lc_layout_column_offset(b->layout, r->column);
        t.on_true = on_true;
        t.on_false = on_false;
        return push(b, t);
    }
    if (l->kind == LC_BOUND_VALUE && r->kind == LC_BOUND_VALUE) {
        int c = lc_value_compare(l->type, l->value.ptr, r->value.ptr);
        return mask >> (c + 1) & 1 ? on_true : on_false;
    }
    return compare_truths(b, e, on_true, on_false);
}

/* Code is laid down backwards: what comes after a test exists before it. Returns where to start. */
static uint32_t compile(builder *b, const lc_bound_expr *e, uint32_t on_true, uint32_t on_false)
{
    /* chains lean left: walk down them without recursion */
    while (e->kind == LC_BOUND_AND || e->kind == LC_BOUND_OR) {
        if (e->kind == LC_BOUND_AND)
            on_true = compile(b, e->right, on_true, on_false);
        else
            on_false = compile(b, e->right, on_true, on_false);
        e = e->left;
    }
    switch ((lc_bound_expr_kind)e->kind) {
    case LC_BOUND_COLUMN: {
        lc_test t = column_test(b, e, 2);
        t.kind = LC_TEST_U8;
        t.u = 1;
        t.on_true = on_true;
        t.on_false = on_false;
        return push(b, t);
    }
    case LC_BOUND_VALUE:
        return e->value.ptr[0] ? on_true : on_false;
    default:
        return compile_comparison(b, e, on_true, on_false);
    }
}

/* Tests needed at most: one per column or comparison, five more for comparing truth values. */
static size_t count_tests(const lc_bound_expr *e)
{
    size_t n = 0;
    for (;; e = e->left) {
        if (e->kind == LC_BOUND_COLUMN || e->kind == LC_BOUND_VALUE) return n + 1;
        bool is_leaf = e->kind == LC_BOUND_COMPARE && e->left->type->kind != LC_TYPE_BOOL;
        if (is_leaf) return n + 1;
        n += count_tests(e->right) + (e->kind == LC_BOUND_COMPARE ? 5 : 0);
    }
}

void lc_predicate_compile(lc_predicate *p, lc_arena *a, const lc_layout *layout,
                          lc_bound_expr *const *conjuncts, uint32_t count)
{
    builder b = {.layout = layout};
    uint32_t entry = LC_ACCEPT;
    for (uint32_t i = 0; i < count; i++) b.cap += count_tests(conjuncts[i]);
    b.tests = lc_arena_alloc(a, b.cap * sizeof *b.tests);
    for (uint32_t i = count; i-- > 0;) entry = compile(&b, conjuncts[i], entry, LC_REJECT);
    *p = (lc_predicate){
        .layout = layout, .tests = b.tests, .count = (uint32_t)b.count, .entry = entry};
}

/* --------------------------------------------------------------------- run */

static inline const uint8_t *column_at(const lc_predicate *p, const uint8_t *row, uint16_t column,
                                       int32_t offset)
{
    if (LC_LIKELY(offset >= 0)) return row + offset;
    return lc_layout_column(p->layout, row, column).ptr;
}

static inline uint8_t three_way_u(uint64_t a, uint64_t b)
{
    return (uint8_t)(1u << (1 + (a > b) - (a < b)));
}
static inline uint8_t three_way_i(int64_t a, int64_t b)
{
    return (uint8_t)(1u << (1 + (a > b) - (a < b)));
}

bool lc_predicate_matches(const lc_predicate *p, const uint8_t *row)
{
    uint64_t truths[(1600 * 2) / 64 + 2]; /* only PUSH and POP touch it */
    uint32_t depth = 0;
    uint32_t at = p->entry;
    while (at < LC_REJECT) {
        const lc_test *t = &p->tests[at];
        const uint8_t *v;
        uint8_t outcome;
        if (LC_UNLIKELY(t->kind >= LC_TEST_PUSH)) {
            if (t->kind == LC_TEST_PUSH) {
                if (depth % 64 == 0) truths[depth / 64] = 0;
                truths[depth / 64] &= ~(1ull << depth % 64);
                truths[depth / 64] |= (uint64_t)t->accept << depth % 64;
                depth++;
                at = t->on_true;
                continue;
            }
            depth -= 2;
            uint64_t a = truths[depth / 64] >> depth % 64 & 1;
            uint64_t b = truths[(depth + 1) / 64] >> (depth + 1) % 64 & 1;
            at = three_way_u(a, b) & t->accept ? t->on_true : t->on_false;
            continue;
        }
        v = column_at(p, row, t->column, t->offset);
        switch ((lc_test_kind)t->kind) {
        case LC_TEST_U8:
            outcome = three_way_u(*v, t->u);
            break;
        case LC_TEST_U16:
            outcome = three_way_u(lc_load_u16(v), t->u);
            break;
        case LC_TEST_U32:
            outcome = three_way_u(lc_load_u32(v), t->u);
            break;
        case LC_TEST_U64:
            outcome = three_way_u(lc_load_u64(v), t->u);
            break;
        case LC_TEST_I8:
            outcome = three_way_i((int8_t)*v, t->i);
            break;
        case LC_TEST_I16:
            outcome = three_way_i((int16_t)lc_load_u16(v), t->i);
            break;
        case LC_TEST_I32:
            outcome = three_way_i((int32_t)lc_load_u32(v), t->i);
            break;
        case LC_TEST_I64:
            outcome = three_way_i((int64_t)lc_load_u64(v), t->i);
            break;
        case LC_TEST_FIXED:
            outcome = memcmp(v, t->bytes, t->size) == 0 ? 2 : 1;
            break;
        case LC_TEST_STRING:
            outcome = lc_load_u32(v) == lc_load_u32(t->bytes) && memcmp(v, t->bytes, t->size) == 0
                          ? 2
                          : 1;
            break;
        case LC_TEST_VALUE:
            outcome = (uint8_t)(1u << (1 + lc_value_compare(t->type, v, t->bytes)));
            break;
        default:
            outcome = (uint8_t)(1u << (1 + lc_value_compare(
                                               t->type, v,
                                               column_at(p, row, t->other, t->other_offset))));
            break;
        }
        at = outcome & t->accept ? t->on_true : t->on_false;
    }
    return at == LC_ACCEPT;
}
