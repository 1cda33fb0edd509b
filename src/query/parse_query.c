/* Queries: WITH, SELECT, FROM and joins, set operations, ORDER BY, LIMIT and the rest. Clauses that
 * no dialect executes end up as text. */
#include "query/parser_internal.h"

/* Words that end a table reference or a select item, hence no alias without AS. */
static const char *const not_table_alias[] = {
    "WITH",    "EXPLAIN", "ANALYZE",   "SELECT",    "WHERE",   "GROUP",      "SORT",   "HAVING",
    "ORDER",   "PIVOT",   "TOP",       "LATERAL",   "VIEW",    "LIMIT",      "OFFSET", "FETCH",
    "UNION",   "EXCEPT",  "INTERSECT", "ON",        "JOIN",    "INNER",      "CROSS",  "FULL",
    "LEFT",    "RIGHT",   "NATURAL",   "USING",     "CLUSTER", "DISTRIBUTE", "OUTER",  "SET",
    "QUALIFY", "WINDOW",  "END",       "PARTITION", NULL,
};
static const char *const not_column_alias[] = {
    "WITH",   "EXPLAIN",   "ANALYZE", "SELECT",     "WHERE", "GROUP",  "SORT",  "HAVING",
    "ORDER",  "TOP",       "LATERAL", "VIEW",       "LIMIT", "OFFSET", "FETCH", "UNION",
    "EXCEPT", "INTERSECT", "CLUSTER", "DISTRIBUTE", "FROM",  "INTO",   "END",   NULL,
};

static bool accept_kw2(lc_sql_parser *p, const char *a, const char *b)
{
    if (!is_word(peek(p), a, strlen(a)) || !is_word(peek_at(p, 1), b, strlen(b))) return false;
    next(p);
    next(p);
    return true;
}

/* ( name, ... ) */
static bool ident_list(lc_sql_parser *p, lc_buf *out)
{
    const char *between = "(";
    if (!lc_sql_expect_op(p, '(')) return false;
    do {
        lc_sql_ident ident;
        if (!lc_sql_parse_ident(p, &ident)) return false;
        lc_buf_put_str(out, between);
        between = ", ";
        lc_sql_ident_print(ident.value, ident.quote, out);
    } while (accept_op(p, ','));
    lc_buf_put_u8(out, ')');
    return lc_sql_expect_op(p, ')');
}

bool lc_sql_parse_order_list(lc_sql_parser *p, lc_buf *out)
{
    do {
        const lc_sql_expr *e = lc_sql_parse_expr(p);
        if (!e) return false;
        lc_sql_expr_print(e, out);
        if (ACCEPT_KW(p, "ASC"))
            lc_buf_put_str(out, " ASC");
        else if (ACCEPT_KW(p, "DESC"))
            lc_buf_put_str(out, " DESC");
        if (accept_kw2(p, "NULLS", "FIRST"))
            lc_buf_put_str(out, " NULLS FIRST");
        else if (accept_kw2(p, "NULLS", "LAST"))
            lc_buf_put_str(out, " NULLS LAST");
    } while (accept_op(p, ',') && (lc_buf_put_str(out, ", "), true));
    return true;
}

/* ------------------------------------------------------------------ tables */

static bool table_factor(lc_sql_parser *p, lc_sql_table *t);

/* One element of FROM with its joins, appended. */
static bool table_with_joins(lc_sql_parser *p, lc_sql_join first, lc_sql_table **items,
                             size_t *count, size_t *cap);

/* [AS] alias [ (columns) ], printed; has_columns tells that there is a list. */
static bool table_alias(lc_sql_parser *p, lc_sql_ident *alias, lc_buf *out, bool *has_columns)
{
    *has_columns = false;
    if (!lc_sql_parse_alias(p, not_table_alias, alias)) return false;
    if (!alias->value.ptr) return true;
    lc_buf_put_str(out, " AS ");
    lc_sql_ident_print(alias->value, alias->quote, out);
    if (!is_op(peek(p), '(')) return true;
    *has_columns = true;
    lc_buf_put_u8(out, ' ');
    return ident_list(p, out);
}

static bool finish_special(lc_sql_parser *p, lc_sql_table *t, lc_buf *b, bool ok)
{
    lc_sql_ident alias;
    bool has_columns;
    ok = ok && table_alias(p, &alias, b, &has_columns);
    if (ok) {
        t->name = NULL;
        t->text = lc_sql_keep(p, b);
    }
    lc_buf_deinit(b);
    return ok;
}

static bool derived_table(lc_sql_parser *p, lc_sql_table *t, const char *before)
{
    lc_sql_query q;
    lc_buf b = LC_BUF_INIT;
    lc_buf_put_str(&b, before);
    bool ok = lc_sql_parse_query(p, &q) && lc_sql_expect_op(p, ')');
    if (ok) lc_sql_query_print(&q, &b);
    lc_buf_put_u8(&b, ')');
    return finish_special(p, t, &b, ok);
}

/* ( subquery ) or ( a JOIN b ). */
static bool parenthesised_table(lc_sql_parser *p, lc_sql_table *t)
{
    uint32_t start = p->at, depth = p->depth, nesting = p->nesting;
    lc_error *err = p->err;
    lc_error failed = LC_ERROR_INIT;
    p->err = &failed;
    bool ok = derived_table(p, t, "(");
    p->err = err;
    lc_error_clear(&failed);
    if (ok) return true;
    p->at = start;
    p->depth = depth;
    p->nesting = nesting;

    lc_sql_table *items = NULL;
    size_t count = 0, cap = 0;
    lc_buf b = LC_BUF_INIT;
    if (!lc_sql_nest(p)) return false;
    ok = table_with_joins(p, LC_JOIN_FIRST, &items, &count, &cap);
    p->nesting--;
    if (ok && count == 1 && items[0].text.ptr[0] != '(') ok = lc_sql_expected(p, "joined table");
    ok = ok && lc_sql_expect_op(p, ')');
    if (ok) {
        lc_buf_put_u8(&b, '(');
        lc_sql_tables_print(items, (uint32_t)count, &b);
        lc_buf_put_u8(&b, ')');
    }
    return finish_special(p, t, &b, ok);
}

static bool pivot(lc_sql_parser *p, lc_buf *b)
{
    const lc_sql_expr *aggregate;
    lc_buf_put_str(b, " PIVOT(");
    if (!lc_sql_expect_op(p, '(') || !(aggregate = lc_sql_parse_expr(p)) ||
        !lc_sql_expect_kw(p, "FOR"))
        return false;
    lc_sql_expr_print(aggregate, b);
    lc_buf_put_str(b, " FOR ");
    const lc_sql_name *column = lc_sql_parse_name(p);
    if (!column || !lc_sql_expect_kw(p, "IN") || !lc_sql_expect_op(p, '(')) return false;
    lc_buf_put_span(b, column->text);
    lc_buf_put_str(b, " IN (");
    if (!lc_sql_parse_expr_list(p, b) || !lc_sql_expect_op(p, ')') || !lc_sql_expect_op(p, ')'))
        return false;
    lc_buf_put_str(b, "))");
    lc_sql_ident alias;
    bool has_columns;
    return table_alias(p, &alias, b, &has_columns);
}

static bool table_factor(lc_sql_parser *p, lc_sql_table *t)
{
    lc_buf b = LC_BUF_INIT;
    bool is_star, has_columns;
    if (ACCEPT_KW(p, "LATERAL")) {
        if (!accept_op(p, '(')) return lc_sql_expected(p, "subquery after LATERAL");
        return derived_table(p, t, "LATERAL (");
    }
    if (ACCEPT_KW(p, "TABLE")) {
        const lc_sql_expr *e;
        if (!lc_sql_expect_op(p, '(') || !(e = lc_sql_parse_expr(p)) || !lc_sql_expect_op(p, ')'))
            return false;
        lc_buf_put_span(&b, lc_sql_text(p, "TABLE(%e)", e));
        return finish_special(p, t, &b, true);
    }
    if (accept_op(p, '(')) return parenthesised_table(p, t);
    if (ACCEPT_KW(p, "UNNEST")) {
        lc_buf_put_str(&b, "UNNEST(");
        bool ok =
            lc_sql_expect_op(p, '(') && lc_sql_parse_expr_list(p, &b) && lc_sql_expect_op(p, ')');
        lc_buf_put_u8(&b, ')');
        if (!finish_special(p, t, &b, ok)) return false;
        if (!accept_kw2(p, "WITH", "OFFSET")) return true;
        lc_buf_put_span(&b, t->text);
        lc_buf_put_str(&b, " WITH OFFSET");
        return finish_special(p, t, &b, true);
    }
    lc_sql_name *name = lc_sql_parse_name(p);
    if (!name) return false;
    bool plain = true;
    lc_buf_put_span(&b, name->text);
    bool ok = true;
    if (accept_op(p, '(')) {
        plain = false;
        lc_buf_put_u8(&b, '(');
        ok = lc_sql_parse_arguments(p, &b, &is_star);
        lc_buf_put_u8(&b, ')');
    }
    ok = ok && table_alias(p, &t->alias, &b, &has_columns);
    plain = plain && ok && !has_columns;
    if (ok && PEEK_KW(p, "WITH") && is_op(peek_at(p, 1), '(')) {
        plain = false;
        next(p);
        next(p);
        lc_buf_put_str(&b, " WITH (");
        ok = lc_sql_parse_expr_list(p, &b) && lc_sql_expect_op(p, ')');
        lc_buf_put_u8(&b, ')');
    }
    while (ok && ACCEPT_KW(p, "PIVOT")) {
        plain = false;
        ok = pivot(p, &b);
    }
    t->name = plain ? name : NULL;
    if (ok) t->text = lc_sql_keep(p, &b);
    lc_buf_deinit(&b);
    return ok;
}

/* After LEFT, RIGHT or FULL: the words up to JOIN. */
static bool outer_join(lc_sql_parser *p, lc_buf *text, bool allows_semi)
{
    const char *side = PEEK_KW(p, "LEFT") ? "LEFT" : PEEK_KW(p, "RIGHT") ? "RIGHT" : "FULL";
    next(p);
    lc_buf_put_str(text, side);
    if (allows_semi && ACCEPT_KW(p, "SEMI")) {
        lc_buf_put_str(text, " SEMI");
    } else if (allows_semi && ACCEPT_KW(p, "ANTI")) {
        lc_buf_put_str(text, " ANTI");
    } else if (!ACCEPT_KW(p, "OUTER") && allows_semi && !PEEK_KW(p, "JOIN")) {
        return lc_sql_fail(p, "expected OUTER, SEMI, ANTI or JOIN after %s", side);
    }
    return lc_sql_expect_kw(p, "JOIN");
}

/* The words of a join; *kind stays FIRST when there is none. constraint: may ON or USING follow? */
static bool join_words(lc_sql_parser *p, lc_sql_table *t, bool *constraint)
{
    lc_buf text = LC_BUF_INIT;
    bool ok = true;
    t->join = LC_JOIN_OTHER;
    *constraint = true;
    if (ACCEPT_KW(p, "CROSS")) {
        *constraint = false;
        if (ACCEPT_KW(p, "JOIN")) {
            t->join = LC_JOIN_CROSS;
            t->join_text = LC_STR(" CROSS JOIN ");
        } else if (ACCEPT_KW(p, "APPLY")) {
            t->join_text = LC_STR(" CROSS APPLY ");
        } else {
            ok = lc_sql_expected(p, "JOIN or APPLY after CROSS");
        }
        return ok;
    }
    if (ACCEPT_KW(p, "OUTER")) {
        *constraint = false;
        t->join_text = LC_STR(" OUTER APPLY ");
        return lc_sql_expect_kw(p, "APPLY");
    }
    lc_buf_put_u8(&text, ' ');
    bool natural = ACCEPT_KW(p, "NATURAL");
    if (natural) lc_buf_put_str(&text, "NATURAL ");
    if (PEEK_KW(p, "INNER") || PEEK_KW(p, "JOIN")) {
        (void)ACCEPT_KW(p, "INNER");
        ok = lc_sql_expect_kw(p, "JOIN");
        if (!natural) t->join = LC_JOIN_INNER;
        lc_buf_put_str(&text, "JOIN ");
    } else if (PEEK_KW(p, "LEFT") || PEEK_KW(p, "RIGHT") || PEEK_KW(p, "FULL")) {
        ok = outer_join(p, &text, !PEEK_KW(p, "FULL"));
        lc_buf_put_str(&text, " JOIN ");
    } else if (natural) {
        ok = lc_sql_expected(p, "a join type after NATURAL");
    } else {
        t->join = LC_JOIN_FIRST;
    }
    *constraint = !natural;
    if (ok && t->join != LC_JOIN_FIRST) t->join_text = lc_sql_keep(p, &text);
    lc_buf_deinit(&text);
    return ok;
}

static bool join_constraint(lc_sql_parser *p, lc_sql_table *t)
{
    if (ACCEPT_KW(p, "ON")) return (t->on = lc_sql_parse_expr(p)) != NULL;
    if (!ACCEPT_KW(p, "USING")) return true;
    if (!is_op(peek(p), '(')) return lc_sql_expected(p, "a list of columns in parentheses");
    lc_buf b = LC_BUF_INIT;
    lc_buf_put_str(&b, " USING");
    bool ok = ident_list(p, &b);
    t->join = LC_JOIN_OTHER;
    t->using_text = lc_sql_keep(p, &b);
    lc_buf_deinit(&b);
    return ok;
}

static bool table_with_joins(lc_sql_parser *p, lc_sql_join first, lc_sql_table **items,
                             size_t *count, size_t *cap)
{
    lc_sql_table t = {.join = first};
    bool constraint = false;
    for (;;) {
        if (!table_factor(p, &t) || (constraint && !join_constraint(p, &t))) return false;
        *items = lc_arena_grow(p->arena, *items, *count, cap, sizeof t);
        (*items)[(*count)++] = t;
        t = (lc_sql_table){0};
        if (!join_words(p, &t, &constraint)) return false;
        if (t.join == LC_JOIN_FIRST) return true;
    }
}

bool lc_sql_parse_table(lc_sql_parser *p, lc_sql_table **out, uint32_t *count)
{
    size_t n = 0, cap = 0;
    *out = NULL;
    bool ok = table_with_joins(p, LC_JOIN_FIRST, out, &n, &cap);
    *count = (uint32_t)n;
    return ok;
}

bool lc_sql_parse_tables(lc_sql_parser *p, lc_sql_table **out, uint32_t *count)
{
    lc_sql_table *items = NULL;
    size_t n = 0, cap = 0;
    lc_sql_join join = LC_JOIN_FIRST;
    do {
        if (!table_with_joins(p, join, &items, &n, &cap)) return false;
        join = LC_JOIN_COMMA;
    } while (accept_op(p, ','));
    *out = items;
    *count = (uint32_t)n;
    return true;
}

/* ------------------------------------------------------------------ SELECT */

/* f(...) FILTER (WHERE ...): no function any more to those who look for one. */
static lc_sql_expr *filtered(lc_sql_parser *p, lc_sql_expr *call)
{
    if (!PEEK_KW(p, "FILTER") || !is_op(peek_at(p, 1), '(') || !IS_KW(peek_at(p, 2), "WHERE"))
        return call;
    next(p);
    next(p);
    next(p);
    const lc_sql_expr *where = lc_sql_parse_expr(p);
    if (!where || !lc_sql_expect_op(p, ')')) return NULL;
    return lc_sql_opaque(p, call->at, lc_sql_text(p, "%e FILTER (WHERE %e)", call, where));
}

static bool select_item(lc_sql_parser *p, lc_sql_item *item)
{
    *item = (lc_sql_item){.kind = LC_ITEM_STAR};
    if (accept_op(p, '*')) return true;
    uint32_t i = 0;
    while ((peek_at(p, i)->kind == LC_TOK_WORD || peek_at(p, i)->kind == LC_TOK_QUOTED) &&
           is_op(peek_at(p, i + 1), '.'))
        i += 2;
    if (i > 0 && is_op(peek_at(p, i), '*')) {
        uint32_t star = p->at + i;
        lc_sql_token mark = p->tokens[star - 1];
        /* the name ends before its last dot */
        p->tokens[star - 1].kind = LC_TOK_EOF;
        item->kind = LC_ITEM_TABLE_STAR;
        item->name = lc_sql_parse_name(p);
        p->tokens[star - 1] = mark;
        p->at = star + 1;
        return item->name != NULL;
    }
    item->kind = LC_ITEM_EXPR;
    item->expr = lc_sql_parse_expr(p);
    if (item->expr && item->expr->kind == LC_EXPR_FUNCTION) item->expr = filtered(p, item->expr);
    return item->expr && lc_sql_parse_alias(p, not_column_alias, &item->alias);
}

static bool select_head(lc_sql_parser *p, lc_sql_select *s)
{
    lc_buf b = LC_BUF_INIT;
    bool ok = true;
    uint32_t line, column;
    if (PEEK_KW(p, "ALL") && IS_KW(peek_at(p, 1), "DISTINCT")) {
        lc_sql_position(p->sql, peek(p)->at, &line, &column);
        return lc_sql_fail(p, "Cannot specify both ALL and DISTINCT at Line: %u, Column %u", line,
                           column);
    }
    if (!ACCEPT_KW(p, "ALL") && ACCEPT_KW(p, "DISTINCT")) {
        s->has_extras = true;
        lc_buf_put_str(&b, " DISTINCT");
        if (ACCEPT_KW(p, "ON")) {
            lc_buf_put_str(&b, " ON (");
            ok = lc_sql_expect_op(p, '(') &&
                 (accept_op(p, ')') || (lc_sql_parse_expr_list(p, &b) && lc_sql_expect_op(p, ')')));
            lc_buf_put_u8(&b, ')');
        }
    }
    if (ok && ACCEPT_KW(p, "TOP")) {
        s->has_extras = true;
        lc_buf_put_str(&b, " TOP (");
        if (accept_op(p, '(')) {
            const lc_sql_expr *e = lc_sql_parse_expr(p);
            ok = e && lc_sql_expect_op(p, ')');
            if (ok) lc_sql_expr_print(e, &b);
        } else if (peek(p)->kind == LC_TOK_NUMBER) {
            lc_sql_token_print(next(p), &b);
        } else {
            ok = lc_sql_expected(p, "a concrete value");
        }
        lc_buf_put_u8(&b, ')');
        if (ok && ACCEPT_KW(p, "PERCENT")) lc_buf_put_str(&b, " PERCENT");
        if (ok && accept_kw2(p, "WITH", "TIES")) lc_buf_put_str(&b, " WITH TIES");
    }
    if (b.len) s->head = lc_sql_keep(p, &b);
    lc_buf_deinit(&b);
    return ok;
}

static bool select_into(lc_sql_parser *p, lc_sql_select *s)
{
    if (!ACCEPT_KW(p, "INTO")) return true;
    s->has_extras = true;
    const char *temporary = ACCEPT_KW(p, "TEMP") || ACCEPT_KW(p, "TEMPORARY") ? "TEMPORARY " : "";
    const char *unlogged = ACCEPT_KW(p, "UNLOGGED") ? "UNLOGGED " : "";
    const char *table = ACCEPT_KW(p, "TABLE") ? "TABLE " : "";
    const lc_sql_name *name = lc_sql_parse_name(p);
    if (!name) return false;
    s->into = lc_sql_text(p, " INTO %c%c%c%s", temporary, unlogged, table, name->text);
    return true;
}

static bool lateral_views(lc_sql_parser *p, lc_sql_select *s)
{
    lc_buf b = LC_BUF_INIT;
    bool ok = true;
    while (ok && accept_kw2(p, "LATERAL", "VIEW")) {
        lc_buf_put_str(&b, ACCEPT_KW(p, "OUTER") ? " LATERAL VIEW OUTER " : " LATERAL VIEW ");
        const lc_sql_expr *e = lc_sql_parse_expr(p);
        const lc_sql_name *name = e ? lc_sql_parse_name(p) : NULL;
        ok = name != NULL;
        if (!ok) break;
        lc_sql_expr_print(e, &b);
        lc_buf_put_u8(&b, ' ');
        lc_buf_put_span(&b, name->text);
        const char *between = " AS ";
        do {
            lc_sql_ident alias;
            ok = lc_sql_parse_alias(p, not_column_alias, &alias);
            if (!ok || !alias.value.ptr) break;
            lc_buf_put_str(&b, between);
            between = ", ";
            lc_sql_ident_print(alias.value, alias.quote, &b);
        } while (accept_op(p, ','));
    }
    if (b.len) {
        s->has_extras = true;
        s->lateral = lc_sql_keep(p, &b);
    }
    lc_buf_deinit(&b);
    return ok;
}

static bool group_by(lc_sql_parser *p, lc_buf *b)
{
    static const char *const forms[] = {"ROLLUP", "CUBE"};
    lc_buf_put_str(b, " GROUP BY ");
    if (ACCEPT_KW(p, "ALL")) {
        lc_buf_put_str(b, "ALL");
        return true;
    }
    do {
        const char *form = NULL;
        if (accept_kw2(p, "GROUPING", "SETS")) form = "GROUPING SETS";
        for (size_t i = 0; !form && i < 2; i++)
            if (is_word(peek(p), forms[i], strlen(forms[i]))) next(p), form = forms[i];
        if (!form) {
            const lc_sql_expr *e = lc_sql_parse_expr(p);
            if (!e) return false;
            lc_sql_expr_print(e, b);
            continue;
        }
        /* a list of expressions or of lists */
        lc_buf_printf(b, "%s (", form);
        if (!lc_sql_expect_op(p, '(')) return false;
        do {
            if (is_op(peek(p), '(') && is_op(peek_at(p, 1), ')')) {
                next(p);
                next(p);
                lc_buf_put_str(b, "()");
                continue;
            }
            const lc_sql_expr *e = lc_sql_parse_expr(p);
            if (!e) return false;
            lc_sql_expr_print(e, b);
        } while (accept_op(p, ',') && (lc_buf_put_str(b, ", "), true));
        lc_buf_put_u8(b, ')');
        if (!lc_sql_expect_op(p, ')')) return false;
    } while (accept_op(p, ',') && (lc_buf_put_str(b, ", "), true));
    return true;
}

static bool named_windows(lc_sql_parser *p, lc_buf *b)
{
    lc_buf_put_str(b, " WINDOW ");
    do {
        lc_sql_ident name;
        if (!lc_sql_parse_ident(p, &name) || !lc_sql_expect_kw(p, "AS") ||
            !lc_sql_expect_op(p, '('))
            return false;
        lc_sql_ident_print(name.value, name.quote, b);
        lc_buf_put_str(b, " AS ");
        if (!lc_sql_parse_window(p, b)) return false;
    } while (accept_op(p, ',') && (lc_buf_put_str(b, ", "), true));
    return true;
}

static bool one_expr(lc_sql_parser *p, lc_buf *b, const char *before)
{
    const lc_sql_expr *e = lc_sql_parse_expr(p);
    if (!e) return false;
    lc_buf_put_str(b, before);
    lc_sql_expr_print(e, b);
    return true;
}

static bool select_tail(lc_sql_parser *p, lc_sql_select *s)
{
    static const char *const lists[] = {"CLUSTER", "DISTRIBUTE", "SORT"};
    lc_buf b = LC_BUF_INIT;
    bool ok = true;
    if (accept_kw2(p, "GROUP", "BY")) ok = group_by(p, &b);
    for (size_t i = 0; ok && i < LC_ARRAY_LEN(lists); i++) {
        if (!accept_kw2(p, lists[i], "BY")) continue;
        lc_buf_printf(&b, " %s BY ", lists[i]);
        ok = lc_sql_parse_expr_list(p, &b);
    }
    if (ok && ACCEPT_KW(p, "HAVING")) ok = one_expr(p, &b, " HAVING ");
    if (ok && ACCEPT_KW(p, "WINDOW")) ok = named_windows(p, &b);
    if (ok && ACCEPT_KW(p, "QUALIFY")) ok = one_expr(p, &b, " QUALIFY ");
    if (b.len) {
        s->has_extras = true;
        s->tail = lc_sql_keep(p, &b);
    }
    lc_buf_deinit(&b);
    return ok;
}

/* After SELECT. */
static bool parse_select(lc_sql_parser *p, lc_sql_select *s)
{
    size_t cap = 0, n = 0;
    *s = (lc_sql_select){0};
    if (!select_head(p, s)) return false;
    do {
        s->items = lc_arena_grow(p->arena, s->items, n, &cap, sizeof *s->items);
        if (!select_item(p, &s->items[n++])) return false;
    } while (accept_op(p, ','));
    s->item_count = (uint32_t)n;
    if (!select_into(p, s)) return false;
    if (ACCEPT_KW(p, "FROM") && !lc_sql_parse_tables(p, &s->tables, &s->table_count)) return false;
    if (!lateral_views(p, s)) return false;
    if (ACCEPT_KW(p, "WHERE") && !(s->where = lc_sql_parse_expr(p))) return false;
    return select_tail(p, s);
}

/* ------------------------------------------------------------------- query */

/* After VALUES. */
static bool parse_values(lc_sql_parser *p, lc_sql_query *q)
{
    size_t row_cap = 0, value_cap = 0, values = 0;
    do {
        q->row_sizes =
            lc_arena_grow(p->arena, q->row_sizes, q->row_count, &row_cap, sizeof(uint32_t));
        if (ACCEPT_KW(p, "ROW")) q->explicit_row = true;
        if (!lc_sql_expect_op(p, '(')) return false;
        uint32_t size = 0;
        do {
            lc_sql_expr *e = lc_sql_parse_expr(p);
            if (!e) return false;
            q->rows = lc_arena_grow(p->arena, q->rows, values, &value_cap, sizeof *q->rows);
            q->rows[values++] = e;
            size++;
        } while (accept_op(p, ','));
        if (!lc_sql_expect_op(p, ')')) return false;
        q->row_sizes[q->row_count++] = size;
    } while (accept_op(p, ','));
    return true;
}

static bool set_quantifier(lc_sql_parser *p, lc_buf *b)
{
    bool all = ACCEPT_KW(p, "ALL");
    bool distinct = !all && ACCEPT_KW(p, "DISTINCT");
    if (all) lc_buf_put_str(b, " ALL");
    if (distinct) lc_buf_put_str(b, " DISTINCT");
    if (accept_kw2(p, "BY", "NAME")) lc_buf_put_str(b, " BY NAME");
    return true;
}

static bool body_start(lc_sql_parser *p, lc_sql_query *q)
{
    if (ACCEPT_KW(p, "SELECT")) {
        q->select = lc_arena_alloc(p->arena, sizeof *q->select);
        return parse_select(p, q->select);
    }
    if (accept_op(p, '(')) {
        lc_sql_query inner;
        if (!lc_sql_parse_query(p, &inner) || !lc_sql_expect_op(p, ')')) return false;
        q->body = lc_sql_text(p, "(%q)", &inner);
        return true;
    }
    if (ACCEPT_KW(p, "VALUES")) return parse_values(p, q);
    if (ACCEPT_KW(p, "TABLE")) {
        const lc_sql_name *name = lc_sql_parse_name(p);
        if (name) q->body = lc_sql_text(p, "TABLE %s", name->text);
        return name != NULL;
    }
    return lc_sql_expected(p, "SELECT, VALUES, or a subquery in the query body");
}

/* A query body. UNION and EXCEPT bind alike, INTERSECT tighter; a chain is joined as text. */
static bool parse_body(lc_sql_parser *p, lc_sql_query *q, int precedence)
{
    if (!body_start(p, q)) return false;
    lc_buf chain = LC_BUF_INIT;
    bool ok = true;
    for (;;) {
        const char *word = PEEK_KW(p, "UNION")       ? "UNION"
                           : PEEK_KW(p, "EXCEPT")    ? "EXCEPT"
                           : PEEK_KW(p, "INTERSECT") ? "INTERSECT"
                                                     : NULL;
        int binds = word && word[0] == 'I' ? 20 : 10;
        if (!word || precedence >= binds) break;
        next(p);
        lc_sql_query right = {0};
        if (chain.len == 0) lc_sql_body_print(q, &chain);
        lc_buf_printf(&chain, " %s", word);
        ok = set_quantifier(p, &chain) && parse_body(p, &right, binds);
        if (!ok) break;
        lc_buf_put_u8(&chain, ' ');
        lc_sql_body_print(&right, &chain);
    }
    if (ok && chain.len) {
        q->select = NULL;
        q->row_count = 0;
        q->body = lc_sql_keep(p, &chain);
    }
    lc_buf_deinit(&chain);
    return ok;
}

static bool parse_with(lc_sql_parser *p, lc_sql_query *q)
{
    lc_buf b = LC_BUF_INIT;
    bool ok = true;
    lc_buf_put_str(&b, ACCEPT_KW(p, "RECURSIVE") ? "WITH RECURSIVE " : "WITH ");
    const char *between = "";
    do {
        lc_sql_ident name;
        lc_sql_query inner;
        lc_buf_put_str(&b, between);
        between = ", ";
        ok = lc_sql_parse_ident(p, &name);
        if (!ok) break;
        lc_sql_ident_print(name.value, name.quote, &b);
        if (is_op(peek(p), '(')) {
            lc_buf_put_u8(&b, ' ');
            ok = ident_list(p, &b);
        }
        ok = ok && lc_sql_expect_kw(p, "AS") && lc_sql_expect_op(p, '(') &&
             lc_sql_parse_query(p, &inner) && lc_sql_expect_op(p, ')');
        if (!ok) break;
        lc_buf_put_str(&b, " AS (");
        lc_sql_query_print(&inner, &b);
        lc_buf_put_u8(&b, ')');
        if (ACCEPT_KW(p, "FROM")) {
            lc_sql_ident from;
            ok = lc_sql_parse_ident(p, &from);
            lc_buf_put_str(&b, " FROM ");
            if (ok) lc_sql_ident_print(from.value, from.quote, &b);
        }
    } while (ok && accept_op(p, ','));
    lc_buf_put_u8(&b, ' ');
    if (ok) q->with = lc_sql_keep(p, &b);
    lc_buf_deinit(&b);
    return ok;
}

static bool parse_fetch(lc_sql_parser *p, lc_buf *b)
{
    if (!ACCEPT_KW(p, "FIRST") && !ACCEPT_KW(p, "NEXT"))
        return lc_sql_expected(p, "one of FIRST or NEXT");
    lc_buf_put_str(b, " FETCH FIRST");
    if (!ACCEPT_KW(p, "ROW") && !ACCEPT_KW(p, "ROWS")) {
        if (peek(p)->kind == LC_TOK_EOF) return lc_sql_expected(p, "a value");
        if (!one_expr(p, b, " ")) return false;
        if (ACCEPT_KW(p, "PERCENT")) lc_buf_put_str(b, " PERCENT");
        if (!ACCEPT_KW(p, "ROW") && !ACCEPT_KW(p, "ROWS"))
            return lc_sql_expected(p, "one of ROW or ROWS");
    }
    if (ACCEPT_KW(p, "ONLY")) {
        lc_buf_put_str(b, " ROWS ONLY");
    } else if (accept_kw2(p, "WITH", "TIES")) {
        lc_buf_put_str(b, " ROWS WITH TIES");
    } else {
        return lc_sql_expected(p, "one of ONLY or WITH TIES");
    }
    return true;
}

static bool parse_locks(lc_sql_parser *p, lc_buf *b)
{
    while (ACCEPT_KW(p, "FOR")) {
        if (ACCEPT_KW(p, "UPDATE"))
            lc_buf_put_str(b, " FOR UPDATE");
        else if (ACCEPT_KW(p, "SHARE"))
            lc_buf_put_str(b, " FOR SHARE");
        else
            return lc_sql_expected(p, "one of UPDATE or SHARE");
        if (ACCEPT_KW(p, "OF")) {
            const lc_sql_name *name = lc_sql_parse_name(p);
            if (!name) return false;
            lc_buf_put_str(b, " OF ");
            lc_buf_put_span(b, name->text);
        }
        if (ACCEPT_KW(p, "NOWAIT"))
            lc_buf_put_str(b, " NOWAIT");
        else if (accept_kw2(p, "SKIP", "LOCKED"))
            lc_buf_put_str(b, " SKIP LOCKED");
    }
    return true;
}

static bool parse_offset(lc_sql_parser *p, lc_sql_query *q)
{
    const lc_sql_expr *e = lc_sql_parse_expr(p);
    if (!e) return false;
    const char *rows = ACCEPT_KW(p, "ROW") ? " ROW" : ACCEPT_KW(p, "ROWS") ? " ROWS" : "";
    q->offset = lc_sql_text(p, " OFFSET %e%c", e, rows);
    return true;
}

bool lc_sql_parse_query(lc_sql_parser *p, lc_sql_query *q)
{
    *q = (lc_sql_query){0};
    lc_buf b = LC_BUF_INIT;
    if (!lc_sql_enter(p)) return false;
    bool ok = !ACCEPT_KW(p, "WITH") || parse_with(p, q);
    bool changes = PEEK_KW(p, "INSERT") || PEEK_KW(p, "UPDATE");
    ok = ok && (changes ? lc_sql_parse_change(p, &q->body) : parse_body(p, q, 0));
    if (ok && accept_kw2(p, "ORDER", "BY")) {
        lc_buf_put_str(&b, " ORDER BY ");
        ok = lc_sql_parse_order_list(p, &b);
        q->order_by = lc_sql_keep(p, &b);
    }
    bool has_limit = false;
    for (int i = 0; ok && i < 2; i++) {
        if (!has_limit && ACCEPT_KW(p, "LIMIT")) {
            has_limit = true;
            if (!ACCEPT_KW(p, "ALL")) ok = (q->limit = lc_sql_parse_expr(p)) != NULL;
        }
        if (ok && !q->offset.ptr && ACCEPT_KW(p, "OFFSET")) ok = parse_offset(p, q);
    }
    lc_buf_reset(&b);
    if (ok && ACCEPT_KW(p, "FETCH")) ok = parse_fetch(p, &b);
    ok = ok && parse_locks(p, &b);
    if (b.len) q->rest = lc_sql_keep(p, &b);
    lc_buf_deinit(&b);
    lc_sql_leave(p);
    return ok;
}
