/* Calls: arguments, windows, aggregates. */
#include "query/parser_internal.h"

bool lc_sql_parse_arguments(lc_sql_parser *p, lc_buf *out, bool *is_star)
{
    *is_star = false;
    if (accept_op(p, ')')) return true;
    for (uint32_t n = 0;; n++) {
        const lc_sql_token *t = peek(p);
        if (is_op(t, '*')) {
            next(p);
            lc_buf_put_u8(out, '*');
            *is_star = n == 0 && is_op(peek(p), ')');
        } else if ((t->kind == LC_TOK_WORD || t->kind == LC_TOK_QUOTED) &&
                   is_op(peek_at(p, 1), LC_OP_RARROW)) {
            next(p);
            next(p);
            lc_sql_ident_print(t->value, t->kind == LC_TOK_QUOTED ? '"' : 0, out);
            lc_buf_put_str(out, " => ");
            const lc_sql_expr *e = lc_sql_parse_expr(p);
            if (!e) return false;
            lc_sql_expr_print(e, out);
        } else {
            /* t.* */
            uint32_t i = 0;
            while ((peek_at(p, i)->kind == LC_TOK_WORD || peek_at(p, i)->kind == LC_TOK_QUOTED) &&
                   is_op(peek_at(p, i + 1), '.'))
                i += 2;
            if (i > 0 && is_op(peek_at(p, i), '*')) {
                while (i--) {
                    const lc_sql_token *part = next(p);
                    lc_sql_token_print(part, out);
                }
                next(p);
                lc_buf_put_u8(out, '*');
            } else {
                const lc_sql_expr *e = lc_sql_parse_expr(p);
                if (!e) return false;
                lc_sql_expr_print(e, out);
            }
        }
        if (!accept_op(p, ',')) break;
        lc_buf_put_str(out, ", ");
    }
    if (PEEK_KW(p, "ORDER") && IS_KW(peek_at(p, 1), "BY")) {
        next(p);
        next(p);
        lc_buf_put_str(out, " ORDER BY ");
        if (!lc_sql_parse_order_list(p, out)) return false;
    }
    return lc_sql_expect_op(p, ')');
}

static bool frame_bound(lc_sql_parser *p, lc_buf *out)
{
    if (ACCEPT_KW(p, "CURRENT")) {
        lc_buf_put_str(out, "CURRENT ROW");
        return lc_sql_expect_kw(p, "ROW");
    }
    if (ACCEPT_KW(p, "UNBOUNDED")) {
        lc_buf_put_str(out, "UNBOUNDED");
    } else {
        const lc_sql_expr *e = lc_sql_parse_expr(p);
        if (!e) return false;
        lc_sql_expr_print(e, out);
    }
    if (!PEEK_KW(p, "PRECEDING") && !PEEK_KW(p, "FOLLOWING"))
        return lc_sql_expected(p, "one of PRECEDING or FOLLOWING");
    lc_buf_put_u8(out, ' ');
    lc_buf_put_span(out, lc_sql_upper(p, next(p)->value));
    return true;
}

/* After `(`, through `)`. */
bool lc_sql_parse_window(lc_sql_parser *p, lc_buf *out)
{
    const char *between = "";
    lc_buf_put_u8(out, '(');
    if (PEEK_KW(p, "PARTITION") && IS_KW(peek_at(p, 1), "BY")) {
        next(p);
        next(p);
        lc_buf_put_str(out, "PARTITION BY ");
        if (!lc_sql_parse_expr_list(p, out)) return false;
        between = " ";
    }
    if (PEEK_KW(p, "ORDER") && IS_KW(peek_at(p, 1), "BY")) {
        next(p);
        next(p);
        lc_buf_put_str(out, between);
        lc_buf_put_str(out, "ORDER BY ");
        if (!lc_sql_parse_order_list(p, out)) return false;
        between = " ";
    }
    if (!is_op(peek(p), ')') && !PEEK_KW(p, "ROWS") && !PEEK_KW(p, "RANGE") &&
        !PEEK_KW(p, "GROUPS"))
        return lc_sql_expected(p, "ROWS, RANGE, GROUPS");
    if (!is_op(peek(p), ')')) {
        lc_buf_put_str(out, between);
        lc_buf_put_span(out, lc_sql_upper(p, next(p)->value));
        lc_buf_put_u8(out, ' ');
        if (ACCEPT_KW(p, "BETWEEN")) {
            lc_buf_put_str(out, "BETWEEN ");
            if (!frame_bound(p, out) || !lc_sql_expect_kw(p, "AND")) return false;
            lc_buf_put_str(out, " AND ");
        }
        if (!frame_bound(p, out)) return false;
    }
    lc_buf_put_u8(out, ')');
    return lc_sql_expect_op(p, ')');
}

/* name stands before, `(` is next. */
lc_sql_expr *lc_sql_parse_function(lc_sql_parser *p, uint32_t at, const lc_sql_name *name)
{
    lc_buf b = LC_BUF_INIT;
    bool is_star, ok = lc_sql_expect_op(p, '(');
    lc_buf_put_span(&b, name->text);
    lc_buf_put_u8(&b, '(');
    bool distinct = ACCEPT_KW(p, "DISTINCT");
    if (distinct) lc_buf_put_str(&b, "DISTINCT ");
    if (!distinct) (void)ACCEPT_KW(p, "ALL");
    ok = ok && lc_sql_parse_arguments(p, &b, &is_star);
    lc_buf_put_u8(&b, ')');
    bool plain = ok && is_star && !distinct && !name->qualifier.ptr &&
                 lc_sql_word_is(name->last, "COUNT", 5);
    bool over = false;
    if (ok && ACCEPT_KW(p, "OVER")) {
        over = true;
        lc_buf_put_str(&b, " OVER ");
        lc_sql_ident window;
        if (accept_op(p, '('))
            ok = lc_sql_parse_window(p, &b);
        else if ((ok = lc_sql_parse_ident(p, &window)))
            lc_sql_ident_print(window.value, window.quote, &b);
    }
    lc_sql_expr *e = NULL;
    if (ok) {
        e = lc_sql_text_node(p, LC_EXPR_FUNCTION, at, lc_sql_keep(p, &b));
        e->flag = plain && !over;
    }
    lc_buf_deinit(&b);
    return e;
}

/* Words that are functions by themselves. */
lc_sql_expr *lc_sql_parse_niladic(lc_sql_parser *p, bool may_have_arguments)
{
    const lc_sql_token *t = next(p);
    if (may_have_arguments && is_op(peek(p), '(')) {
        lc_sql_name name = {.full = t->value, .last = t->value, .text = t->value};
        return lc_sql_parse_function(p, t->at, &name);
    }
    return lc_sql_text_node(p, LC_EXPR_FUNCTION, t->at, t->value);
}

lc_sql_expr *lc_sql_parse_aggregate(lc_sql_parser *p, uint32_t at, const char *name, bool within)
{
    lc_buf b = LC_BUF_INIT;
    lc_sql_expr *result = NULL;
    lc_buf_printf(&b, "%s(", name);
    if (!lc_sql_expect_op(p, '(')) goto out;
    if (ACCEPT_KW(p, "DISTINCT")) lc_buf_put_str(&b, "DISTINCT ");
    const lc_sql_expr *e = lc_sql_parse_expr(p);
    if (!e) goto out;
    lc_sql_expr_print(e, &b);
    if (within && accept_op(p, ',')) {
        if (!(e = lc_sql_parse_expr(p))) goto out;
        lc_buf_put_str(&b, ", ");
        lc_sql_expr_print(e, &b);
    }
    if (!within && PEEK_KW(p, "ORDER") && IS_KW(peek_at(p, 1), "BY")) {
        next(p);
        next(p);
        lc_buf_put_str(&b, " ORDER BY ");
        if (!lc_sql_parse_order_list(p, &b)) goto out;
    }
    if (!within && ACCEPT_KW(p, "LIMIT")) {
        if (!(e = lc_sql_parse_expr(p))) goto out;
        lc_buf_put_str(&b, " LIMIT ");
        lc_sql_expr_print(e, &b);
    }
    if (!lc_sql_expect_op(p, ')')) goto out;
    lc_buf_put_u8(&b, ')');
    if (PEEK_KW(p, "WITHIN") && IS_KW(peek_at(p, 1), "GROUP")) {
        next(p);
        next(p);
        if (!lc_sql_expect_op(p, '(') || !lc_sql_expect_kw(p, "ORDER") ||
            !lc_sql_expect_kw(p, "BY"))
            goto out;
        lc_buf_put_str(&b, " WITHIN GROUP (ORDER BY ");
        if (!lc_sql_parse_order_list(p, &b) || !lc_sql_expect_op(p, ')')) goto out;
        lc_buf_put_u8(&b, ')');
    }
    result = lc_sql_opaque(p, at, lc_sql_keep(p, &b));
out:
    lc_buf_deinit(&b);
    return result;
}
