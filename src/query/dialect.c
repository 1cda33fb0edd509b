/* From what parses to what the dialects have: every refusal that needs no catalog. */
#include "query/plan_internal.h"

/* Comparison and logic may nest this deep; a flat chain of n terms is n deep. */
#define MAX_EXPR_DEPTH 1600

static lc_status refuse_expr(lc_error *err, const char *what, const lc_sql_expr *e)
{
    lc_buf b = LC_BUF_INIT;
    lc_sql_expr_print(e, &b);
    lc_error_set(err, LC_E_INVALID, "%s: " LC_SPAN_FMT, what, LC_SPAN_ARG(lc_buf_span(&b)));
    lc_buf_deinit(&b);
    return LC_E_INVALID;
}

static lc_status refuse_text(lc_error *err, const char *what, lc_span text)
{
    return lc_error_set(err, LC_E_INVALID, "%s: " LC_SPAN_FMT, what, LC_SPAN_ARG(text));
}

static lc_status refuse_query(lc_error *err, const char *what, const lc_sql_query *q)
{
    lc_buf b = LC_BUF_INIT;
    lc_sql_query_print(q, &b);
    refuse_text(err, what, lc_buf_span(&b));
    lc_buf_deinit(&b);
    return LC_E_INVALID;
}

/* ------------------------------------------------------------- expressions */

static lc_status check_literal(const lc_sql_expr *e, lc_error *err)
{
    if (e->kind == LC_EXPR_BAD_LITERAL ||
        (e->kind == LC_EXPR_PARAMETER && !lc_span_equal_str(e->text, "sender")))
        return refuse_expr(err, "Unsupported literal expression", e);
    return LC_OK;
}

static lc_status check_expr(const lc_sql_expr *e, uint32_t depth, lc_error *err)
{
    if (depth > MAX_EXPR_DEPTH)
        return lc_error_set(err, LC_E_LIMIT, "Recursion limit exceeded, `sql-parser::parse_expr`");
    switch ((lc_sql_expr_kind)e->kind) {
    case LC_EXPR_NAME:
    case LC_EXPR_BOOL:
    case LC_EXPR_NUMBER:
    case LC_EXPR_STRING:
    case LC_EXPR_HEX:
        return LC_OK;
    case LC_EXPR_PARAMETER:
    case LC_EXPR_BAD_LITERAL:
        return check_literal(e, err);
    case LC_EXPR_NESTED:
        return check_expr(e->left, depth + 1, err);
    case LC_EXPR_BINARY: {
        lc_status st = check_expr(e->left, depth + 1, err);
        if (!st) st = check_expr(e->right, depth + 1, err);
        if (!st && e->op == LC_BIN_OTHER)
            return refuse_text(err, "Unsupported binary operator", e->operator_text);
        return st;
    }
    case LC_EXPR_WRAP:
    case LC_EXPR_FUNCTION:
    case LC_EXPR_OPAQUE:
        break;
    }
    return refuse_expr(err, "Unsupported expression", e);
}

static lc_status check_where(const lc_sql_expr *e, lc_error *err)
{
    return e ? check_expr(e, 0, err) : LC_OK;
}

/* A value of INSERT, UPDATE or SET. */
static lc_status check_value(const lc_sql_expr *e, const char *what, lc_error *err)
{
    switch (e->kind) {
    case LC_EXPR_BOOL:
    case LC_EXPR_NUMBER:
    case LC_EXPR_STRING:
    case LC_EXPR_HEX:
        return LC_OK;
    case LC_EXPR_PARAMETER:
    case LC_EXPR_BAD_LITERAL:
        return refuse_expr(err, "Unsupported literal expression", e);
    default:
        return refuse_expr(err, what, e);
    }
}

/* ------------------------------------------------------------------ SELECT */

static lc_status check_item(const lc_sql_item *item, bool is_alone, lc_error *err)
{
    if (item->kind != LC_ITEM_EXPR) {
        if (is_alone) return LC_OK;
        return lc_error_set(err, LC_E_INVALID, "Mixed wildcard projections are not supported");
    }
    if (item->expr->kind == LC_EXPR_NAME) return LC_OK;
    if (item->expr->kind == LC_EXPR_FUNCTION && is_alone) {
        if (!item->alias.value.ptr)
            return lc_error_set(err, LC_E_INVALID,
                                "Aggregate expressions must have column aliases");
        if (item->expr->flag) return LC_OK;
        return refuse_text(err, "Unsupported aggregate function", item->expr->text);
    }
    return refuse_expr(err, "Unsupported projection expression", item->expr);
}

static lc_status check_tables(const lc_sql_table *tables, uint32_t count, lc_error *err)
{
    for (uint32_t i = 1; i < count; i++)
        if (tables[i].join == LC_JOIN_COMMA)
            return lc_error_set(err, LC_E_INVALID, "Implicit joins are not supported");
    for (uint32_t i = 0; i < count; i++) {
        const lc_sql_table *t = &tables[i];
        if (!t->name) return refuse_text(err, "Unsupported FROM expression", t->text);
        bool plain =
            t->join == LC_JOIN_FIRST || t->join == LC_JOIN_CROSS || t->join == LC_JOIN_INNER;
        if (t->on)
            plain = plain && t->on->kind == LC_EXPR_BINARY && t->on->op == LC_BIN_EQ &&
                    t->on->left->kind == LC_EXPR_NAME && t->on->right->kind == LC_EXPR_NAME;
        if (!plain) return lc_error_set(err, LC_E_INVALID, "Non-inner joins are not supported");
    }
    return LC_OK;
}

/* In a join every column must say whose it is. */
static bool is_qualified(const lc_sql_expr *e)
{
    switch (e->kind) {
    case LC_EXPR_NAME:
        return e->name->qualifier.ptr != NULL;
    case LC_EXPR_NESTED:
        return is_qualified(e->left);
    case LC_EXPR_BINARY:
        return is_qualified(e->left) && is_qualified(e->right);
    default:
        return true;
    }
}

static lc_status check_qualified(const lc_sql_select *s, lc_error *err)
{
    bool ok = !s->where || is_qualified(s->where);
    for (uint32_t i = 0; ok && i < s->item_count; i++)
        ok = s->items[i].kind != LC_ITEM_EXPR || is_qualified(s->items[i].expr);
    for (uint32_t i = 0; ok && i < s->table_count; i++)
        ok = !s->tables[i].on || is_qualified(s->tables[i].on);
    if (ok) return LC_OK;
    return lc_error_set(err, LC_E_INVALID, "Names must be qualified when using joins");
}

static lc_status check_select(const lc_sql_select *s, bool is_ad_hoc, lc_error *err)
{
    if (s->has_extras) {
        lc_buf b = LC_BUF_INIT;
        lc_sql_select_print(s, &b);
        refuse_text(err, is_ad_hoc ? "Unsupported" : "Unsupported SELECT", lc_buf_span(&b));
        lc_buf_deinit(&b);
        return LC_E_INVALID;
    }
    lc_status st = LC_OK;
    if (!is_ad_hoc && s->table_count == 0)
        return lc_error_set(err, LC_E_INVALID, "A FROM clause is required");
    for (uint32_t i = 0; !st && i < s->item_count; i++)
        st = check_item(&s->items[i], s->item_count == 1, err);
    if (!st && s->table_count == 0)
        return lc_error_set(err, LC_E_INVALID, "A FROM clause is required");
    if (!st) st = check_tables(s->tables, s->table_count, err);
    if (!st) st = check_where(s->where, err);
    if (!st && s->table_count > 1) st = check_qualified(s, err);
    return st;
}

static lc_status check_query(const lc_sql_query *q, bool is_ad_hoc, lc_error *err)
{
    bool plain = !q->with.ptr && !q->order_by.ptr && !q->offset.ptr && !q->rest.ptr;
    if (q->limit)
        plain = plain && is_ad_hoc && q->limit->kind == LC_EXPR_NUMBER &&
                q->limit->text.ptr[0] != '-' && q->limit->text.ptr[0] != '+';
    if (!plain) return refuse_query(err, "Unsupported", q);
    if (!q->select) {
        lc_buf b = LC_BUF_INIT;
        lc_sql_body_print(q, &b);
        refuse_text(err, is_ad_hoc ? "Unsupported" : "Unsupported set operation", lc_buf_span(&b));
        lc_buf_deinit(&b);
        return LC_E_INVALID;
    }
    return check_select(q->select, is_ad_hoc, err);
}

/* -------------------------------------------------------------------- rest */

static lc_status check_insert(const lc_sql_statement *s, lc_error *err)
{
    const lc_sql_query *q = s->query;
    bool plain = q->row_count && !q->explicit_row && !q->with.ptr && !q->order_by.ptr &&
                 !q->limit && !q->offset.ptr && !q->rest.ptr;
    if (!plain) return refuse_query(err, "Unsupported INSERT expression", q);
    lc_sql_expr **value = q->rows;
    for (uint32_t row = 0; row < q->row_count; row++)
        for (uint32_t i = 0; i < q->row_sizes[row]; i++) {
            lc_status st = check_value(*value++, "Unsupported INSERT value", err);
            if (st) return st;
        }
    return LC_OK;
}

static lc_status check_update(const lc_sql_statement *s, lc_error *err)
{
    for (uint32_t i = 0; i < s->assignment_count; i++) {
        lc_status st = check_value(s->assignments[i].value,
                                   "Unsupported column/variable assignment expression", err);
        if (st) return st;
    }
    return check_where(s->where, err);
}

static lc_status check_delete(const lc_sql_statement *s, lc_error *err)
{
    for (uint32_t i = 1; i < s->table_count; i++)
        if (s->tables[i].join == LC_JOIN_COMMA)
            return lc_error_set(err, LC_E_INVALID, "Multi-table DELETE is not supported");
    if (s->table_count > 1 || !s->table || s->tables[0].alias.value.ptr) {
        lc_buf b = LC_BUF_INIT;
        lc_sql_tables_print(s->tables, s->table_count, &b);
        refuse_text(err, "Unsupported table expression in DELETE", lc_buf_span(&b));
        lc_buf_deinit(&b);
        return LC_E_INVALID;
    }
    return check_where(s->where, err);
}

lc_status lc_sql_check(const lc_sql_statement *s, lc_dialect dialect, lc_error *err)
{
    bool is_ad_hoc = dialect == LC_DIALECT_AD_HOC;
    if (s->kind == LC_SQL_QUERY) return check_query(s->query, is_ad_hoc, err);
    if (!is_ad_hoc) return lc_error_set(err, LC_E_INVALID, "Unsupported: Non-SELECT queries");
    if (!s->is_plain || s->kind == LC_SQL_OTHER) return refuse_text(err, "Unsupported", s->text);
    switch (s->kind) {
    case LC_SQL_INSERT:
        return check_insert(s, err);
    case LC_SQL_UPDATE:
        return check_update(s, err);
    case LC_SQL_DELETE:
        return check_delete(s, err);
    case LC_SQL_SET:
        return check_value(s->value, "Unsupported column/variable assignment expression", err);
    default:
        return LC_OK;
    }
}
