/* Words that begin a form of their own: CASE, CAST, EXTRACT, INTERVAL, ... They are read to be
 * quoted. */
#include "query/parser_internal.h"

static bool date_field(lc_sql_parser *p, lc_span *out)
{
    static const char *const fields[] = {
        "YEAR",        "MONTH",        "WEEK",          "DAY",
        "DATE",        "HOUR",         "MINUTE",        "SECOND",
        "CENTURY",     "DECADE",       "DOY",           "DOW",
        "EPOCH",       "ISODOW",       "ISOYEAR",       "JULIAN",
        "MICROSECOND", "MICROSECONDS", "MILLENIUM",     "MILLENNIUM",
        "MILLISECOND", "MILLISECONDS", "NANOSECOND",    "NANOSECONDS",
        "QUARTER",     "TIMEZONE",     "TIMEZONE_HOUR", "TIMEZONE_MINUTE",
    };
    const lc_sql_token *t = peek(p);
    for (size_t i = 0; t->kind == LC_TOK_WORD && i < LC_ARRAY_LEN(fields); i++) {
        if (!lc_sql_word_is(t->value, fields[i], strlen(fields[i]))) continue;
        *out = lc_span_of_str(fields[i]);
        next(p);
        return true;
    }
    return lc_sql_expected(p, "date/time field");
}

static lc_sql_expr *interval(lc_sql_parser *p, uint32_t at)
{
    const lc_sql_expr *value = lc_sql_parse_expr(p);
    if (!value) return NULL;
    static const char *const units[] = {
        "YEAR",       "MONTH",         "WEEK",           "DAY",         "HOUR",         "MINUTE",
        "SECOND",     "CENTURY",       "DECADE",         "DOW",         "DOY",          "EPOCH",
        "ISODOW",     "ISOYEAR",       "JULIAN",         "MICROSECOND", "MICROSECONDS", "MILLENIUM",
        "MILLENNIUM", "MILLISECOND",   "MILLISECONDS",   "NANOSECOND",  "NANOSECONDS",  "QUARTER",
        "TIMEZONE",   "TIMEZONE_HOUR", "TIMEZONE_MINUTE"};
    const lc_sql_token *t = peek(p);
    bool has_unit = false;
    for (size_t i = 0; t->kind == LC_TOK_WORD && i < LC_ARRAY_LEN(units); i++)
        has_unit |= lc_sql_word_is(t->value, units[i], strlen(units[i]));
    if (!has_unit) return lc_sql_opaque(p, at, lc_sql_text(p, "INTERVAL %e", value));
    lc_buf b = LC_BUF_INIT;
    lc_span field;
    bool ok = date_field(p, &field);
    if (ok) lc_buf_put_span(&b, field);
    if (ok && is_op(peek(p), '(')) {
        lc_buf_put_str(&b, " (");
        next(p);
        lc_sql_token_print(next(p), &b);
        if (accept_op(p, ',')) {
            lc_buf_put_str(&b, ", ");
            lc_sql_token_print(next(p), &b);
        }
        lc_buf_put_u8(&b, ')');
        ok = lc_sql_expect_op(p, ')');
    }
    if (ok && ACCEPT_KW(p, "TO") && (ok = date_field(p, &field))) {
        lc_buf_put_str(&b, " TO ");
        lc_buf_put_span(&b, field);
    }
    lc_sql_expr *e =
        ok ? lc_sql_opaque(p, at, lc_sql_text(p, "INTERVAL %e %s", value, lc_buf_span(&b))) : NULL;
    lc_buf_deinit(&b);
    return e;
}

static lc_sql_expr *parse_case(lc_sql_parser *p, uint32_t at)
{
    lc_buf b = LC_BUF_INIT;
    lc_sql_expr *result = NULL;
    const lc_sql_expr *e;
    lc_buf_put_str(&b, "CASE");
    if (!ACCEPT_KW(p, "WHEN")) {
        if (!(e = lc_sql_parse_expr(p)) || !lc_sql_expect_kw(p, "WHEN")) goto out;
        lc_buf_put_u8(&b, ' ');
        lc_sql_expr_print(e, &b);
    }
    do {
        if (!(e = lc_sql_parse_expr(p)) || !lc_sql_expect_kw(p, "THEN")) goto out;
        lc_buf_put_str(&b, " WHEN ");
        lc_sql_expr_print(e, &b);
        if (!(e = lc_sql_parse_expr(p))) goto out;
        lc_buf_put_str(&b, " THEN ");
        lc_sql_expr_print(e, &b);
    } while (ACCEPT_KW(p, "WHEN"));
    if (ACCEPT_KW(p, "ELSE")) {
        if (!(e = lc_sql_parse_expr(p))) goto out;
        lc_buf_put_str(&b, " ELSE ");
        lc_sql_expr_print(e, &b);
    }
    lc_buf_put_str(&b, " END");
    if (lc_sql_expect_kw(p, "END")) result = lc_sql_opaque(p, at, lc_sql_keep(p, &b));
out:
    lc_buf_deinit(&b);
    return result;
}

static lc_sql_expr *parse_cast(lc_sql_parser *p, uint32_t at, lc_span keyword)
{
    lc_buf type = LC_BUF_INIT;
    const lc_sql_expr *e = NULL;
    lc_sql_expr *result = NULL;
    if (lc_sql_expect_op(p, '(') && (e = lc_sql_parse_expr(p)) && lc_sql_expect_kw(p, "AS") &&
        lc_sql_parse_type(p, &type) && lc_sql_expect_op(p, ')'))
        result = lc_sql_opaque(
            p, at, lc_sql_text(p, "%s(%e AS %s)", lc_sql_upper(p, keyword), e, lc_buf_span(&type)));
    lc_buf_deinit(&type);
    return result;
}

lc_sql_expr *lc_sql_parse_subquery(lc_sql_parser *p, uint32_t at, const char *before,
                                   const char *after)
{
    lc_sql_query q;
    if (!lc_sql_parse_query(p, &q) || !lc_sql_expect_op(p, ')')) return NULL;
    return lc_sql_opaque(p, at, lc_sql_text(p, "%c%q%c", before, &q, after));
}

static lc_sql_expr *parse_exists(lc_sql_parser *p, uint32_t at, const char *before)
{
    if (!lc_sql_expect_op(p, '(')) return NULL;
    return lc_sql_parse_subquery(p, at, before, ")");
}

static lc_sql_expr *parse_extract(lc_sql_parser *p, uint32_t at)
{
    lc_span field;
    const lc_sql_expr *e;
    if (!lc_sql_expect_op(p, '(') || !date_field(p, &field) || !lc_sql_expect_kw(p, "FROM") ||
        !(e = lc_sql_parse_expr(p)) || !lc_sql_expect_op(p, ')'))
        return NULL;
    return lc_sql_opaque(p, at, lc_sql_text(p, "EXTRACT(%s FROM %e)", field, e));
}

static lc_sql_expr *parse_rounding(lc_sql_parser *p, uint32_t at, const char *name)
{
    const lc_sql_expr *e;
    if (!lc_sql_expect_op(p, '(') || !(e = lc_sql_parse_expr(p))) return NULL;
    lc_span field = LC_SPAN_EMPTY;
    if (ACCEPT_KW(p, "TO") && !date_field(p, &field)) return NULL;
    if (!lc_sql_expect_op(p, ')')) return NULL;
    return lc_sql_opaque(p, at,
                         lc_sql_text(p, "%c(%e%c%s)", name, e, field.len ? " TO " : "", field));
}

static lc_sql_expr *parse_position(lc_sql_parser *p, uint32_t at)
{
    const lc_sql_expr *a, *b;
    /* binds tighter than IN */
    if (!lc_sql_expect_op(p, '(') || !(a = lc_sql_parse_operand(p, PREC_COMPARE))) return NULL;
    if (!ACCEPT_KW(p, "IN")) {
        uint32_t line, column;
        lc_sql_position(p->sql, peek(p)->at, &line, &column);
        lc_sql_fail(p, "Position function must include IN keyword at Line: %u, Column %u", line,
                    column);
        return NULL;
    }
    if (!(b = lc_sql_parse_expr(p)) || !lc_sql_expect_op(p, ')')) return NULL;
    return lc_sql_opaque(p, at, lc_sql_text(p, "POSITION(%e IN %e)", a, b));
}

/* SUBSTRING and OVERLAY: an argument, then further ones after these words. */
static lc_sql_expr *parse_worded(lc_sql_parser *p, uint32_t at, const char *name,
                                 const char *first_word)
{
    static const char *const words[] = {"PLACING", "FROM", "FOR"};
    bool overlay = first_word != NULL;
    const lc_sql_expr *e;
    lc_buf b = LC_BUF_INIT;
    lc_sql_expr *result = NULL;
    if (!lc_sql_expect_op(p, '(') || !(e = lc_sql_parse_expr(p))) return NULL;
    lc_buf_printf(&b, "%s(", name);
    lc_sql_expr_print(e, &b);
    for (size_t i = overlay ? 0 : 1; i < 3; i++) {
        bool here = is_word(peek(p), words[i], strlen(words[i]));
        if (overlay && i < 2) {
            if (!lc_sql_expect_kw(p, words[i])) goto out;
        } else if (here || (!overlay && is_op(peek(p), ','))) {
            next(p);
        } else {
            continue;
        }
        if (!(e = lc_sql_parse_expr(p))) goto out;
        lc_buf_printf(&b, " %s ", words[i]);
        lc_sql_expr_print(e, &b);
    }
    lc_buf_put_u8(&b, ')');
    if (lc_sql_expect_op(p, ')')) result = lc_sql_opaque(p, at, lc_sql_keep(p, &b));
out:
    lc_buf_deinit(&b);
    return result;
}

static lc_sql_expr *parse_trim(lc_sql_parser *p, uint32_t at)
{
    lc_span where = LC_SPAN_EMPTY;
    const lc_sql_expr *e, *from = NULL;
    if (!lc_sql_expect_op(p, '(')) return NULL;
    if (PEEK_KW(p, "BOTH") || PEEK_KW(p, "LEADING") || PEEK_KW(p, "TRAILING"))
        where = lc_sql_upper(p, next(p)->value);
    if (!(e = lc_sql_parse_expr(p))) return NULL;
    if (ACCEPT_KW(p, "FROM") && !(from = lc_sql_parse_expr(p))) return NULL;
    if (!lc_sql_expect_op(p, ')')) return NULL;
    lc_span tail = from ? lc_sql_text(p, " FROM %e", from) : LC_SPAN_EMPTY;
    return lc_sql_opaque(p, at,
                         lc_sql_text(p, "TRIM(%s%c%e%s)", where, where.len ? " " : "", e, tail));
}

/* After `[`. */
lc_sql_expr *lc_sql_parse_array(lc_sql_parser *p, uint32_t at, const char *name)
{
    lc_buf b = LC_BUF_INIT;
    lc_sql_expr *result = NULL;
    lc_buf_printf(&b, "%s[", name);
    if (accept_op(p, ']') || (lc_sql_parse_expr_list(p, &b) && lc_sql_expect_op(p, ']'))) {
        lc_buf_put_u8(&b, ']');
        result = lc_sql_opaque(p, at, lc_sql_keep(p, &b));
    }
    lc_buf_deinit(&b);
    return result;
}

/* The words with a meaning of their own at the start of an expression; *handled tells whether it
 * was one. */
lc_sql_expr *lc_sql_parse_special(lc_sql_parser *p, bool *handled)
{
    const lc_sql_token *t = peek(p);
    uint32_t at = t->at;
    *handled = true;
    switch (t->value.ptr[0] | 0x20) {
    case 'a':
        if (IS_KW(t, "ARRAY_AGG"))
            return next(p), lc_sql_parse_aggregate(p, at, "ARRAY_AGG", false);
        if (IS_KW(t, "ARRAY") && is_op(peek_at(p, 1), '['))
            return next(p), next(p), lc_sql_parse_array(p, at, "ARRAY");
        if (IS_KW(t, "ARRAY") && is_op(peek_at(p, 1), '('))
            return next(p), next(p), lc_sql_parse_subquery(p, at, "ARRAY(", ")");
        break;
    case 'c':
        if (IS_KW(t, "CASE")) return next(p), parse_case(p, at);
        if (IS_KW(t, "CAST")) return next(p), parse_cast(p, at, t->value);
        if (IS_KW(t, "CEIL")) return next(p), parse_rounding(p, at, "CEIL");
        if (IS_KW(t, "CURRENT_CATALOG") || IS_KW(t, "CURRENT_USER"))
            return lc_sql_parse_niladic(p, false);
        if (IS_KW(t, "CURRENT_TIMESTAMP") || IS_KW(t, "CURRENT_TIME") || IS_KW(t, "CURRENT_DATE"))
            return lc_sql_parse_niladic(p, true);
        break;
    case 'e':
        if (IS_KW(t, "EXISTS")) return next(p), parse_exists(p, at, "EXISTS (");
        if (IS_KW(t, "EXTRACT")) return next(p), parse_extract(p, at);
        break;
    case 'f':
        if (IS_KW(t, "FLOOR")) return next(p), parse_rounding(p, at, "FLOOR");
        if (IS_KW(t, "FALSE")) {
            next(p);
            return lc_sql_node(p, LC_EXPR_BOOL, at);
        }
        break;
    case 'i':
        if (IS_KW(t, "INTERVAL")) return next(p), interval(p, at);
        break;
    case 'l':
        if (IS_KW(t, "LISTAGG")) return next(p), lc_sql_parse_aggregate(p, at, "LISTAGG", true);
        if (IS_KW(t, "LOCALTIME") || IS_KW(t, "LOCALTIMESTAMP"))
            return lc_sql_parse_niladic(p, true);
        break;
    case 'n':
        if (IS_KW(t, "NULL"))
            return next(p), lc_sql_text_node(p, LC_EXPR_BAD_LITERAL, at, LC_STR("NULL"));
        if (IS_KW(t, "NOT")) {
            next(p);
            if (ACCEPT_KW(p, "EXISTS")) return parse_exists(p, at, "NOT EXISTS (");
            const lc_sql_expr *e = lc_sql_parse_operand(p, PREC_NOT);
            return e ? lc_sql_before(p, "NOT ", e) : NULL;
        }
        break;
    case 'o':
        if (IS_KW(t, "OVERLAY")) return next(p), parse_worded(p, at, "OVERLAY", "PLACING");
        break;
    case 'p':
        if (IS_KW(t, "POSITION")) return next(p), parse_position(p, at);
        break;
    case 's':
        if (IS_KW(t, "SAFE_CAST")) return next(p), parse_cast(p, at, t->value);
        if (IS_KW(t, "SUBSTRING")) return next(p), parse_worded(p, at, "SUBSTRING", NULL);
        if (IS_KW(t, "SESSION_USER")) return lc_sql_parse_niladic(p, false);
        break;
    case 't':
        if (IS_KW(t, "TRY_CAST")) return next(p), parse_cast(p, at, t->value);
        if (IS_KW(t, "TRIM")) return next(p), parse_trim(p, at);
        if (IS_KW(t, "TRUE")) {
            next(p);
            lc_sql_expr *e = lc_sql_node(p, LC_EXPR_BOOL, at);
            e->flag = true;
            return e;
        }
        break;
    case 'u':
        if (IS_KW(t, "USER")) return lc_sql_parse_niladic(p, false);
        break;
    default:
        break;
    }
    *handled = false;
    return NULL;
}
