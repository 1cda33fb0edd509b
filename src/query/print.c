/* Trees back to text, the way refusals quote them: keywords in capitals, single blanks. */
#include "query/parser_internal.h"

static void print_one(const lc_sql_expr *e, lc_buf *out);

static void put_quoted(lc_span text, uint8_t quote, lc_buf *out)
{
    lc_buf_put_u8(out, quote);
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == quote) lc_buf_put_u8(out, quote);
        lc_buf_put_u8(out, text.ptr[i]);
    }
    lc_buf_put_u8(out, quote);
}

void lc_sql_ident_print(lc_span value, uint8_t quote, lc_buf *out)
{
    if (quote)
        put_quoted(value, quote, out);
    else
        lc_buf_put_span(out, value);
}

static void print_one(const lc_sql_expr *e, lc_buf *out);

/* Chains lean left and may be as long as the text: the spine is collected on the way down and
 * finished on the way up, so that no chain takes stack. */
void lc_sql_expr_print(const lc_sql_expr *e, lc_buf *out)
{
    LC_VEC(const lc_sql_expr *) spine = {0};
    while (e->kind == LC_EXPR_BINARY || e->kind == LC_EXPR_WRAP) {
        lc_vec_push(&spine, e);
        if (e->kind == LC_EXPR_WRAP) lc_buf_put_span(out, e->before);
        e = e->kind == LC_EXPR_WRAP ? e->inner : e->left;
    }
    print_one(e, out);
    for (size_t i = spine.len; i-- > 0;) {
        e = spine.items[i];
        if (e->kind == LC_EXPR_WRAP) {
            lc_buf_put_span(out, e->after);
            continue;
        }
        lc_buf_put_u8(out, ' ');
        lc_buf_put_span(out, e->operator_text);
        lc_buf_put_u8(out, ' ');
        lc_sql_expr_print(e->right, out);
    }
    lc_vec_deinit(&spine);
}

static void print_one(const lc_sql_expr *e, lc_buf *out)
{
    switch ((lc_sql_expr_kind)e->kind) {
    case LC_EXPR_NAME:
        lc_buf_put_span(out, e->name->text);
        break;
    case LC_EXPR_BOOL:
        lc_buf_put_str(out, e->flag ? "true" : "false");
        break;
    case LC_EXPR_NUMBER:
        lc_buf_put_span(out, e->text);
        if (e->is_long) lc_buf_put_u8(out, 'L');
        break;
    case LC_EXPR_STRING:
        put_quoted(e->text, '\'', out);
        break;
    case LC_EXPR_HEX:
        lc_buf_put_str(out, "X'");
        lc_buf_put_span(out, e->text);
        lc_buf_put_u8(out, '\'');
        break;
    case LC_EXPR_PARAMETER:
        lc_buf_put_u8(out, ':');
        lc_buf_put_span(out, e->text);
        break;
    case LC_EXPR_NESTED:
        lc_buf_put_u8(out, '(');
        lc_sql_expr_print(e->left, out);
        lc_buf_put_u8(out, ')');
        break;
    case LC_EXPR_BINARY:
    case LC_EXPR_WRAP:
        break; /* on the spine */
    case LC_EXPR_BAD_LITERAL:
    case LC_EXPR_FUNCTION:
    case LC_EXPR_OPAQUE:
        lc_buf_put_span(out, e->text);
        break;
    }
}

void lc_sql_tables_print(const lc_sql_table *tables, uint32_t count, lc_buf *out)
{
    for (uint32_t i = 0; i < count; i++) {
        const lc_sql_table *t = &tables[i];
        if (t->join == LC_JOIN_COMMA)
            lc_buf_put_str(out, ", ");
        else if (t->join != LC_JOIN_FIRST)
            lc_buf_put_span(out, t->join_text);
        lc_buf_put_span(out, t->text);
        if (t->on) {
            lc_buf_put_str(out, " ON ");
            lc_sql_expr_print(t->on, out);
        }
        lc_buf_put_span(out, t->using_text);
    }
}

void lc_sql_select_print(const lc_sql_select *s, lc_buf *out)
{
    lc_buf_put_str(out, "SELECT");
    lc_buf_put_span(out, s->head);
    for (uint32_t i = 0; i < s->item_count; i++) {
        const lc_sql_item *item = &s->items[i];
        lc_buf_put_str(out, i ? ", " : " ");
        if (item->kind == LC_ITEM_TABLE_STAR) {
            lc_buf_put_span(out, item->name->text);
            lc_buf_put_u8(out, '.');
        }
        if (item->kind == LC_ITEM_EXPR)
            lc_sql_expr_print(item->expr, out);
        else
            lc_buf_put_u8(out, '*');
        if (item->alias.value.ptr) {
            lc_buf_put_str(out, " AS ");
            lc_sql_ident_print(item->alias.value, item->alias.quote, out);
        }
    }
    lc_buf_put_span(out, s->into);
    if (s->table_count) {
        lc_buf_put_str(out, " FROM ");
        lc_sql_tables_print(s->tables, s->table_count, out);
    }
    lc_buf_put_span(out, s->lateral);
    if (s->where) {
        lc_buf_put_str(out, " WHERE ");
        lc_sql_expr_print(s->where, out);
    }
    lc_buf_put_span(out, s->tail);
}

static void print_values(const lc_sql_query *q, lc_buf *out)
{
    lc_sql_expr **value = q->rows;
    lc_buf_put_str(out, "VALUES ");
    for (uint32_t row = 0; row < q->row_count; row++) {
        if (row) lc_buf_put_str(out, ", ");
        lc_buf_put_str(out, q->explicit_row ? "ROW(" : "(");
        for (uint32_t i = 0; i < q->row_sizes[row]; i++) {
            if (i) lc_buf_put_str(out, ", ");
            lc_sql_expr_print(*value++, out);
        }
        lc_buf_put_u8(out, ')');
    }
}

void lc_sql_body_print(const lc_sql_query *q, lc_buf *out)
{
    if (q->select)
        lc_sql_select_print(q->select, out);
    else if (q->row_count)
        print_values(q, out);
    else
        lc_buf_put_span(out, q->body);
}

void lc_sql_query_print(const lc_sql_query *q, lc_buf *out)
{
    lc_buf_put_span(out, q->with);
    lc_sql_body_print(q, out);
    lc_buf_put_span(out, q->order_by);
    if (q->limit) {
        lc_buf_put_str(out, " LIMIT ");
        lc_sql_expr_print(q->limit, out);
    }
    lc_buf_put_span(out, q->offset);
    lc_buf_put_span(out, q->rest);
}
