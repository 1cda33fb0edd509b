/* Names and types: which table and column is meant, and of which type every literal is. */
#include "query/plan_internal.h"

/* ------------------------------------------------------------------- names */

lc_table *lc_scope_table(const lc_scope *s, lc_span name)
{
    lc_table *t = lc_store_table_by_name(s->store, name);
    if (t && (s->caller->is_owner || lc_table_is_public(t))) return t;
    lc_error_set(s->err, LC_E_NOT_FOUND,
                 "no such table: `" LC_SPAN_FMT "`. If the table exists, it may be marked private.",
                 LC_SPAN_ARG(name));
    return NULL;
}

static bool not_in_scope(const lc_scope *s, lc_span name)
{
    lc_error_set(s->err, LC_E_INVALID, "`" LC_SPAN_FMT "` is not in scope", LC_SPAN_ARG(name));
    return false;
}

bool lc_scope_column(lc_scope *s, const lc_sql_name *name, uint32_t *source, uint32_t *column)
{
    uint32_t i = 0;
    if (name->qualifier.ptr) {
        while (i < s->count && !lc_span_equal(s->sources[i].alias, name->qualifier)) i++;
        if (i == s->count) return not_in_scope(s, name->qualifier);
    }
    int32_t found = lc_table_find_column(s->sources[i].table, name->last);
    if (found < (int32_t)s->sources[i].hidden) return not_in_scope(s, name->last);
    *source = i;
    *column = (uint32_t)found;
    return true;
}

/* ------------------------------------------------------------------- types */

lc_status lc_bind_unexpected(lc_error *err, const lc_type *expected, const lc_type *inferred)
{
    lc_buf a = LC_BUF_INIT, b = LC_BUF_INIT;
    lc_type_print(expected, &a);
    lc_type_print(inferred, &b);
    lc_error_set(err, LC_E_INVALID,
                 "Unexpected type: (expected) " LC_SPAN_FMT " != " LC_SPAN_FMT " (inferred)",
                 LC_SPAN_ARG(lc_buf_span(&a)), LC_SPAN_ARG(lc_buf_span(&b)));
    lc_buf_deinit(&a);
    lc_buf_deinit(&b);
    return LC_E_INVALID;
}

static bool is_same_type(const lc_type *a, const lc_type *b)
{
    return a == b || lc_type_equal(a, b);
}

static bool is_comparable(const lc_type *t)
{
    switch (t->special) {
    case LC_SPECIAL_IDENTITY:
    case LC_SPECIAL_CONNECTION_ID:
    case LC_SPECIAL_TIMESTAMP:
    case LC_SPECIAL_UUID:
        return true;
    default:
        break;
    }
    if (t->kind == LC_TYPE_ARRAY) return lc_type_is_bytes(t);
    return t->kind >= LC_TYPE_STRING;
}

static const char *operator_name(lc_sql_binary op)
{
    static const char *const names[] = {
        [LC_BIN_OR] = "OR", [LC_BIN_AND] = "AND", [LC_BIN_EQ] = "=", [LC_BIN_NE] = "<>",
        [LC_BIN_LT] = "<",  [LC_BIN_LE] = "<=",   [LC_BIN_GT] = ">", [LC_BIN_GE] = ">=",
    };
    return names[op];
}

/* ------------------------------------------------------------- expressions */

static lc_bound_expr *node(lc_scope *s, lc_bound_expr_kind kind, const lc_type *type)
{
    lc_bound_expr *e = lc_arena_alloc_zero(s->arena, sizeof *e);
    e->kind = (uint8_t)kind;
    e->type = type;
    return e;
}

static lc_bound_expr *value_node(lc_scope *s, const lc_type *type, const void *bytes, size_t size)
{
    lc_bound_expr *e = node(s, LC_BOUND_VALUE, type);
    e->value = lc_arena_copy(s->arena, LC_SPAN(bytes, size));
    return e;
}

static bool literal(lc_scope *s, lc_span text, const lc_type *type, lc_span *out)
{
    lc_buf b = LC_BUF_INIT;
    bool ok = lc_sql_literal(type, text, &b);
    if (ok) {
        *out = lc_arena_copy(s->arena, lc_buf_span(&b));
    } else {
        lc_type_print(type, &b);
        lc_error_set(s->err, LC_E_INVALID,
                     "The literal expression `" LC_SPAN_FMT
                     "` cannot be parsed as type `" LC_SPAN_FMT "`",
                     LC_SPAN_ARG(text), LC_SPAN_ARG(lc_buf_span(&b)));
    }
    lc_buf_deinit(&b);
    return ok;
}

static lc_bound_expr *unexpected(lc_scope *s, const lc_type *expected, const lc_type *inferred)
{
    lc_bind_unexpected(s->err, expected, inferred);
    return NULL;
}

static lc_bound_expr *sender(lc_scope *s, const lc_type *expected)
{
    const uint8_t *id = s->caller->identity.bytes;
    s->uses_sender = true;
    if (!expected || expected->special == LC_SPECIAL_IDENTITY)
        return value_node(s, lc_type_identity(), id, 32);
    if (!lc_type_is_bytes(expected)) return unexpected(s, lc_type_identity(), expected);
    uint8_t bytes[4 + 32] = {32};
    for (int i = 0; i < 32; i++) bytes[4 + i] = id[31 - i];
    return value_node(s, expected, bytes, sizeof bytes);
}

static const lc_sql_expr *inside(const lc_sql_expr *e)
{
    while (e->kind == LC_EXPR_NESTED) e = e->left;
    return e;
}

/* Literals and parameters take their type from the other side of a comparison. */
static bool has_no_type(const lc_sql_expr *e)
{
    return e->kind == LC_EXPR_BOOL || e->kind == LC_EXPR_NUMBER || e->kind == LC_EXPR_STRING ||
           e->kind == LC_EXPR_HEX || e->kind == LC_EXPR_PARAMETER;
}

static lc_bound_expr *comparison(lc_scope *s, const lc_sql_expr *e)
{
    lc_bound_expr *left, *right;
    if (has_no_type(inside(e->left))) {
        right = lc_bind_expr(s, e->right, NULL);
        left = right ? lc_bind_expr(s, e->left, right->type) : NULL;
    } else {
        left = lc_bind_expr(s, e->left, NULL);
        right = left ? lc_bind_expr(s, e->right, left->type) : NULL;
    }
    if (!left || !right) return NULL;
    if (!is_comparable(left->type)) {
        lc_buf b = LC_BUF_INIT;
        lc_type_print(left->type, &b);
        lc_error_set(s->err, LC_E_INVALID,
                     "Invalid binary operator `%s` for type `" LC_SPAN_FMT "`",
                     operator_name((lc_sql_binary)e->op), LC_SPAN_ARG(lc_buf_span(&b)));
        lc_buf_deinit(&b);
        return NULL;
    }
    lc_bound_expr *c = node(s, LC_BOUND_COMPARE, lc_type_scalar(LC_TYPE_BOOL));
    c->op = e->op;
    c->left = left;
    c->right = right;
    return c;
}

lc_bound_expr *lc_bind_expr(lc_scope *s, const lc_sql_expr *e, const lc_type *expected)
{
    const lc_type *boolean = lc_type_scalar(LC_TYPE_BOOL);
    e = inside(e);
    switch ((lc_sql_expr_kind)e->kind) {
    case LC_EXPR_NAME: {
        uint32_t source, column;
        if (!lc_scope_column(s, e->name, &source, &column)) return NULL;
        const lc_type *type =
            lc_layout_column_type(lc_table_layout(s->sources[source].table), column);
        if (expected && !is_same_type(type, expected)) return unexpected(s, type, expected);
        lc_bound_expr *c = node(s, LC_BOUND_COLUMN, type);
        c->source = (uint16_t)source;
        c->column = column;
        return c;
    }
    case LC_EXPR_BOOL: {
        if (expected && expected->kind != LC_TYPE_BOOL) return unexpected(s, boolean, expected);
        uint8_t b = e->flag;
        return value_node(s, boolean, &b, 1);
    }
    case LC_EXPR_NUMBER:
    case LC_EXPR_STRING:
    case LC_EXPR_HEX: {
        if (!expected) {
            lc_error_set(s->err, LC_E_INVALID, "Cannot resolve type for literal expression");
            return NULL;
        }
        lc_span value;
        if (!literal(s, e->text, expected, &value)) return NULL;
        lc_bound_expr *v = node(s, LC_BOUND_VALUE, expected);
        v->value = value;
        return v;
    }
    case LC_EXPR_PARAMETER:
        return sender(s, expected);
    case LC_EXPR_BINARY: {
        if (expected && expected->kind != LC_TYPE_BOOL) return unexpected(s, boolean, expected);
        if (e->op != LC_BIN_AND && e->op != LC_BIN_OR) return comparison(s, e);
        lc_bound_expr *left = lc_bind_expr(s, e->left, boolean);
        lc_bound_expr *right = left ? lc_bind_expr(s, e->right, boolean) : NULL;
        if (!right) return NULL;
        lc_bound_expr *b = node(s, e->op == LC_BIN_AND ? LC_BOUND_AND : LC_BOUND_OR, boolean);
        b->left = left;
        b->right = right;
        return b;
    }
    default:
        LC_BUG("expression was not checked");
    }
}

bool lc_bind_value(lc_scope *s, const lc_sql_expr *e, const lc_type *type, lc_span *out)
{
    switch (e->kind) {
    case LC_EXPR_BOOL: {
        if (type->kind != LC_TYPE_BOOL)
            return lc_bind_unexpected(s->err, lc_type_scalar(LC_TYPE_BOOL), type), false;
        uint8_t b = e->flag;
        *out = lc_arena_copy(s->arena, LC_SPAN(&b, 1));
        return true;
    }
    case LC_EXPR_STRING:
        if (type->kind != LC_TYPE_STRING)
            return lc_bind_unexpected(s->err, lc_type_scalar(LC_TYPE_STRING), type), false;
        return literal(s, e->text, type, out);
    default:
        return literal(s, e->text, type, out);
    }
}
