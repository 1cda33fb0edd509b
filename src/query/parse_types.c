/* Type names, and the literals that a type in front makes. */
#include "query/parser_internal.h"

static const char *const plain_types[] = {
    "BOOLEAN", "BOOL",       "FLOAT",      "REAL",        "FLOAT4",    "FLOAT64",  "FLOAT8",
    "DOUBLE",  "TINYINT",    "INT2",       "SMALLINT",    "MEDIUMINT", "INT",      "INT4",
    "INT64",   "INTEGER",    "BIGINT",     "INT8",        "VARCHAR",   "NVARCHAR", "CHARACTER",
    "CHAR",    "CLOB",       "BINARY",     "VARBINARY",   "BLOB",      "BYTES",    "UUID",
    "DATE",    "DATETIME",   "TIMESTAMP",  "TIMESTAMPTZ", "TIME",      "TIMETZ",   "JSON",
    "JSONB",   "REGCLASS",   "STRING",     "TEXT",        "BYTEA",     "NUMERIC",  "DECIMAL",
    "DEC",     "BIGNUMERIC", "BIGDECIMAL",
};

bool lc_sql_is_type_word(const lc_sql_token *t)
{
    if (t->kind != LC_TOK_WORD || t->value.len > 11) return false;
    for (size_t i = 0; i < LC_ARRAY_LEN(plain_types); i++)
        if (lc_sql_word_is(t->value, plain_types[i], strlen(plain_types[i]))) return true;
    return false;
}

static bool type_modifiers(lc_sql_parser *p, lc_buf *out)
{
    if (!accept_op(p, '(')) return true;
    const char *between = "(";
    do {
        lc_buf_put_str(out, between);
        between = ",";
        lc_sql_token_print(next(p), out);
        if (PEEK_KW(p, "CHARACTERS") || PEEK_KW(p, "OCTETS") || PEEK_KW(p, "MAX")) {
            lc_buf_put_u8(out, ' ');
            lc_buf_put_span(out, lc_sql_upper(p, next(p)->value));
        }
    } while (accept_op(p, ','));
    lc_buf_put_u8(out, ')');
    return lc_sql_expect_op(p, ')');
}

static bool time_zone_suffix(lc_sql_parser *p, lc_buf *out)
{
    bool with = PEEK_KW(p, "WITH");
    if (!with && !PEEK_KW(p, "WITHOUT")) return true;
    if (!IS_KW(peek_at(p, 1), "TIME")) return true;
    next(p);
    next(p);
    lc_buf_put_str(out, with ? " WITH TIME ZONE" : " WITHOUT TIME ZONE");
    return lc_sql_expect_kw(p, "ZONE");
}

bool lc_sql_parse_type(lc_sql_parser *p, lc_buf *out)
{
    const lc_sql_token *t = peek(p);
    if (IS_KW(t, "ARRAY") && is_op(peek_at(p, 1), '<')) {
        next(p);
        next(p);
        if (!lc_sql_parse_type(p, out) || !lc_sql_expect_op(p, '>')) return false;
        lc_buf_put_str(out, "[]");
    } else if (lc_sql_is_type_word(t) || IS_KW(t, "INTERVAL")) {
        next(p);
        lc_buf_put_span(out, lc_sql_upper(p, t->value));
        if (IS_KW(t, "DOUBLE") && ACCEPT_KW(p, "PRECISION")) lc_buf_put_str(out, " PRECISION");
        if ((IS_KW(t, "CHARACTER") || IS_KW(t, "CHAR")) && ACCEPT_KW(p, "VARYING"))
            lc_buf_put_str(out, " VARYING");
        if (!type_modifiers(p, out)) return false;
        if ((IS_KW(t, "TIMESTAMP") || IS_KW(t, "TIME")) && !time_zone_suffix(p, out)) return false;
        if (ACCEPT_KW(p, "UNSIGNED")) lc_buf_put_str(out, " UNSIGNED");
    } else if (t->kind == LC_TOK_WORD || t->kind == LC_TOK_QUOTED) {
        const lc_sql_name *name = lc_sql_parse_name(p);
        if (!name) return false;
        lc_buf_put_span(out, name->text);
        if (!type_modifiers(p, out)) return false;
    } else {
        return lc_sql_expected(p, "a data type name");
    }
    while (is_op(peek(p), '[') && is_op(peek_at(p, 1), ']')) {
        next(p);
        next(p);
        lc_buf_put_str(out, "[]");
    }
    return true;
}

/* Words of the expression grammar that cannot stand for a string. */
static bool is_clause_word(const lc_sql_token *t)
{
    static const char *const words[] = {
        "FROM",    "WHERE",   "AND",       "OR",      "AS",        "IN",        "IS",     "LIKE",
        "NOT",     "BETWEEN", "ON",        "JOIN",    "GROUP",     "ORDER",     "HAVING", "LIMIT",
        "UNION",   "EXCEPT",  "ILIKE",     "INTO",    "END",       "THEN",      "WHEN",   "ELSE",
        "ASC",     "DESC",    "USING",     "OFFSET",  "FETCH",     "INTERSECT", "XOR",    "AT",
        "COLLATE", "SIMILAR", "DATE",      "TIME",    "TIMESTAMP", "INTERVAL",  "NAME",   "VALUE",
        "KEY",     "TYPE",    "POSITION",  "USER",    "COUNT",     "INDEX",     "LEFT",   "RIGHT",
        "CASE",    "NULL",    "TRUE",      "FALSE",   "SELECT",    "VALUES",    "SET",    "FOR",
        "WITH",    "WITHOUT", "PRECISION", "VARYING", "UNSIGNED",  "MAP",       "ROW",    "YEAR",
        "MONTH",   "DAY",     "HOUR",      "MINUTE",  "SECOND",    "OVER",      "ALL",    "ANY",
        "SOME",    "EXISTS",  "DISTINCT",  "BY",      "FILTER",    "OPERATOR",  "DIV",    "RLIKE",
        "REGEXP",
    };
    if (t->kind != LC_TOK_WORD) return false;
    if (lc_sql_is_type_word(t)) return true;
    for (size_t i = 0; i < LC_ARRAY_LEN(words); i++)
        if (lc_sql_word_is(t->value, words[i], strlen(words[i]))) return true;
    return false;
}

bool lc_sql_parse_string(lc_sql_parser *p, lc_span *out)
{
    const lc_sql_token *t = peek(p);
    if (t->kind != LC_TOK_STRING && t->kind != LC_TOK_QUOTED && t->kind != LC_TOK_ESCAPED &&
        (t->kind != LC_TOK_WORD || is_clause_word(t)))
        return lc_sql_expected(p, "literal string");
    *out = t->value;
    next(p);
    return true;
}

/* `DATE '...'`: a type followed by a string (or by a word that is taken for one). Puts everything
 * back when it is not. */
lc_sql_expr *lc_sql_typed_literal(lc_sql_parser *p)
{
    uint32_t start = p->at;
    lc_error *err = p->err;
    lc_error none = LC_ERROR_INIT;
    lc_buf type = LC_BUF_INIT;
    lc_span value;
    lc_sql_expr *e = NULL;
    p->err = &none;
    if (lc_sql_parse_type(p, &type) && lc_sql_parse_string(p, &value)) {
        e = lc_sql_opaque(p, p->tokens[start].at,
                          lc_sql_text(p, "%s %i", lc_buf_span(&type), (lc_sql_ident){value, '\''}));
    } else {
        p->at = start;
    }
    p->err = err;
    lc_error_clear(&none);
    lc_buf_deinit(&type);
    return e;
}
