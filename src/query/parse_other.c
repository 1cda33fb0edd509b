/* Statements that no dialect executes: recognised, and quoted in the refusal. The short ones are
 * parsed to their end; long ones (CREATE TABLE and its like) are not looked into. */
#include "query/parser_internal.h"

/* ------------------------------------------------------------- not looked into */

/* The text is the tokens: words that are keywords in capitals, blanks where there were some. */
static bool generic(lc_sql_parser *p, lc_buf *b)
{
    static const char *const keywords[] = {
        "ADD",       "ALL",         "ALTER",        "ANALYZE",      "AND",        "AS",
        "ASC",       "ASSERT",      "BEGIN",        "BIGINT",       "BOOLEAN",    "BY",
        "CACHE",     "CASCADE",     "CHAIN",        "CHAR",         "CHECK",      "CLOSE",
        "COLUMN",    "COMMENT",     "COMMIT",       "COMMITTED",    "CONSTRAINT", "COPY",
        "CREATE",    "CURSOR",      "DATABASE",     "DEALLOCATE",   "DECLARE",    "DEFAULT",
        "DELETE",    "DESC",        "DISCARD",      "DROP",         "EXECUTE",    "EXISTS",
        "EXTENSION", "FETCH",       "FLOAT",        "FOR",          "FOREIGN",    "FROM",
        "FUNCTION",  "GRANT",       "IF",           "IN",           "INDEX",      "INSERT",
        "INT",       "INTEGER",     "INTO",         "IS",           "ISOLATION",  "KEY",
        "KILL",      "LEVEL",       "MATCHED",      "MATERIALIZED", "MERGE",      "MSCK",
        "NEXT",      "NOT",         "NULL",         "ON",           "ONLY",       "OPTION",
        "OR",        "ORDER",       "PREPARE",      "PRIMARY",      "PRIOR",      "QUERY",
        "READ",      "REFERENCES",  "RENAME",       "REPAIR",       "REPLACE",    "RESTRICT",
        "RETURNS",   "REVOKE",      "ROLE",         "ROLLBACK",     "SAVEPOINT",  "SCHEMA",
        "SELECT",    "SEQUENCE",    "SERIALIZABLE", "SET",          "SMALLINT",   "START",
        "STDIN",     "STDOUT",      "TABLE",        "TEMPORARY",    "TEXT",       "THEN",
        "TO",        "TRANSACTION", "TRUNCATE",     "TYPE",         "UNCACHE",    "UNIQUE",
        "UPDATE",    "USE",         "USING",        "VALUES",       "VARCHAR",    "VIEW",
        "WHEN",      "WHERE",       "WITH",         "WRITE",
    };
    uint32_t end_of_last = 0;
    while (peek(p)->kind != LC_TOK_EOF && !is_op(peek(p), ';')) {
        const lc_sql_token *t = next(p);
        bool is_keyword = false;
        if (b->len && t->at > end_of_last) lc_buf_put_u8(b, ' ');
        for (size_t i = 0; t->kind == LC_TOK_WORD && !is_keyword && i < LC_ARRAY_LEN(keywords); i++)
            is_keyword = lc_sql_word_is(t->value, keywords[i], strlen(keywords[i]));
        if (is_keyword)
            lc_buf_put_span(b, lc_sql_upper(p, t->value));
        else
            lc_sql_token_print(t, b);
        lc_buf one = LC_BUF_INIT;
        lc_sql_token_print(t, &one);
        end_of_last = t->at + (uint32_t)one.len;
        lc_buf_deinit(&one);
    }
    return true;
}

/* Rows follow a COPY ... FROM STDIN; */
static bool copy(lc_sql_parser *p, lc_buf *b)
{
    if (!generic(p, b)) return false;
    bool reads_stdin = IS_KW(&p->tokens[p->at - 1], "STDIN") && peek(p)->kind == LC_TOK_EOF;
    return !reads_stdin || lc_sql_expected(p, ";");
}

/* ------------------------------------------------------------------ short ones */

static bool put_word(lc_sql_parser *p, lc_buf *b)
{
    if (b->len) lc_buf_put_u8(b, ' ');
    lc_buf_put_span(b, lc_sql_upper(p, next(p)->value));
    return true;
}

static bool accept_word(lc_sql_parser *p, lc_buf *b, const char *keyword)
{
    return is_word(peek(p), keyword, strlen(keyword)) && put_word(p, b);
}

static bool put_name(lc_sql_parser *p, lc_buf *b)
{
    const lc_sql_name *name = lc_sql_parse_name(p);
    if (!name) return false;
    lc_buf_put_u8(b, ' ');
    lc_buf_put_span(b, name->text);
    return true;
}

static bool put_ident(lc_sql_parser *p, lc_buf *b)
{
    lc_sql_ident ident;
    if (!lc_sql_parse_ident(p, &ident)) return false;
    lc_buf_put_u8(b, ' ');
    lc_sql_ident_print(ident.value, ident.quote, b);
    return true;
}

static bool put_number(lc_sql_parser *p, lc_buf *b)
{
    if (peek(p)->kind != LC_TOK_NUMBER) return lc_sql_expected(p, "literal int");
    lc_buf_put_u8(b, ' ');
    lc_sql_token_print(next(p), b);
    return true;
}

static bool kill(lc_sql_parser *p, lc_buf *b)
{
    if (!accept_word(p, b, "QUERY") && !accept_word(p, b, "CONNECTION"))
        accept_word(p, b, "MUTATION");
    return put_number(p, b);
}

static bool execute(lc_sql_parser *p, lc_buf *b)
{
    if (!put_ident(p, b)) return false;
    if (!accept_op(p, '(')) return true;
    lc_buf_put_u8(b, '(');
    bool ok = lc_sql_parse_expr_list(p, b) && lc_sql_expect_op(p, ')');
    lc_buf_put_u8(b, ')');
    return ok;
}

static bool discard(lc_sql_parser *p, lc_buf *b)
{
    if (accept_word(p, b, "ALL") || accept_word(p, b, "PLANS") || accept_word(p, b, "SEQUENCES"))
        return true;
    if (!PEEK_KW(p, "TEMP") && !PEEK_KW(p, "TEMPORARY"))
        return lc_sql_expected(p, "ALL, PLANS, SEQUENCES, TEMP or TEMPORARY after DISCARD");
    next(p);
    lc_buf_put_str(b, " TEMP");
    return true;
}

static bool fetch(lc_sql_parser *p, lc_buf *b)
{
    static const char *const counted[] = {"ABSOLUTE", "RELATIVE", "FORWARD", "BACKWARD"};
    static const char *const plain[] = {"NEXT", "PRIOR", "FIRST", "LAST", "ALL"};
    bool done = false;
    for (size_t i = 0; !done && i < LC_ARRAY_LEN(plain); i++) done = accept_word(p, b, plain[i]);
    for (size_t i = 0; !done && i < LC_ARRAY_LEN(counted); i++) {
        if (!accept_word(p, b, counted[i])) continue;
        done = true;
        if (i >= 2 && accept_word(p, b, "ALL")) break;
        if (!put_number(p, b)) return false;
    }
    if (!done && peek(p)->kind != LC_TOK_NUMBER) return lc_sql_expected(p, "a concrete value");
    if (!done && !put_number(p, b)) return false;
    if (!ACCEPT_KW(p, "FROM") && !ACCEPT_KW(p, "IN"))
        return lc_sql_expected(p, "one of FROM or IN");
    lc_buf_put_str(b, " IN");
    return put_ident(p, b);
}

static bool drop(lc_sql_parser *p, lc_buf *b)
{
    static const char *const objects[] = {"TABLE",  "VIEW",     "INDEX", "ROLE",
                                          "SCHEMA", "SEQUENCE", "STAGE"};
    if (PEEK_KW(p, "FUNCTION")) return generic(p, b);
    accept_word(p, b, "TEMPORARY");
    bool found = false;
    for (size_t i = 0; !found && i < LC_ARRAY_LEN(objects); i++)
        found = accept_word(p, b, objects[i]);
    if (!found)
        return lc_sql_expected(
            p, "TABLE, VIEW, INDEX, ROLE, SCHEMA, FUNCTION, STAGE or SEQUENCE after DROP");
    if (PEEK_KW(p, "IF") && IS_KW(peek_at(p, 1), "EXISTS")) {
        put_word(p, b);
        put_word(p, b);
    }
    do {
        if (!put_name(p, b)) return false;
    } while (accept_op(p, ',') && (lc_buf_put_u8(b, ','), true));
    if (!accept_word(p, b, "CASCADE")) accept_word(p, b, "RESTRICT");
    return true;
}

static bool create(lc_sql_parser *p, lc_buf *b)
{
    static const char *const before[] = {"OR",   "REPLACE",   "LOCAL",  "GLOBAL",       "TRANSIENT",
                                         "TEMP", "TEMPORARY", "UNIQUE", "MATERIALIZED", "EXTERNAL"};
    static const char *const objects[] = {
        "VIEW",     "INDEX",     "ROLE",  "SCHEMA", "FUNCTION",  "SEQUENCE", "TYPE",
        "DATABASE", "EXTENSION", "STAGE", "MACRO",  "PROCEDURE", "VIRTUAL"};
    for (size_t i = 0; i < LC_ARRAY_LEN(before); i++) {
        if (!is_word(peek(p), before[i], strlen(before[i]))) continue;
        bool is_temp = PEEK_KW(p, "TEMP");
        put_word(p, b);
        if (is_temp) lc_buf_put_str(b, "ORARY");
        i = SIZE_MAX; /* once more through the list */
    }
    if (accept_word(p, b, "TABLE")) {
        if (PEEK_KW(p, "IF"))
            for (int words = 0; words < 3 && peek(p)->kind == LC_TOK_WORD; words++) put_word(p, b);
        return put_name(p, b) && generic(p, b);
    }
    for (size_t i = 0; i < LC_ARRAY_LEN(objects); i++)
        if (is_word(peek(p), objects[i], strlen(objects[i]))) return generic(p, b);
    return lc_sql_expected(p, "an object type after CREATE");
}

static bool assertion(lc_sql_parser *p, lc_buf *b)
{
    const lc_sql_expr *e = lc_sql_parse_expr(p);
    if (!e) return false;
    lc_buf_put_u8(b, ' ');
    lc_sql_expr_print(e, b);
    return true;
}

static bool need_table(lc_sql_parser *p, lc_buf *b)
{
    if (!accept_word(p, b, "TABLE")) return lc_sql_expected(p, "TABLE");
    return put_name(p, b);
}

static bool uncache(lc_sql_parser *p, lc_buf *b)
{
    if (!PEEK_KW(p, "TABLE")) return lc_sql_expected(p, "a `TABLE` keyword");
    return need_table(p, b);
}

static bool truncate(lc_sql_parser *p, lc_buf *b)
{
    accept_word(p, b, "TABLE");
    return put_name(p, b);
}

static bool close_cursor(lc_sql_parser *p, lc_buf *b)
{
    return accept_word(p, b, "ALL") || put_ident(p, b);
}

static bool deallocate(lc_sql_parser *p, lc_buf *b)
{
    accept_word(p, b, "PREPARE");
    return put_ident(p, b);
}

static bool alter(lc_sql_parser *p, lc_buf *b)
{
    if (PEEK_KW(p, "VIEW") || PEEK_KW(p, "TABLE") || PEEK_KW(p, "INDEX") || PEEK_KW(p, "ROLE"))
        return generic(p, b);
    return lc_sql_expected(p, "one of VIEW or TABLE or INDEX or ROLE");
}

/* BEGIN, START TRANSACTION, COMMIT, ROLLBACK. */
static bool transaction_words(lc_sql_parser *p, lc_buf *b)
{
    if (ACCEPT_KW(p, "BEGIN")) {
        lc_buf_put_str(b, "BEGIN TRANSACTION");
        if (!ACCEPT_KW(p, "TRANSACTION")) (void)ACCEPT_KW(p, "WORK");
    } else if (ACCEPT_KW(p, "START")) {
        lc_buf_put_str(b, "START TRANSACTION");
        if (!lc_sql_expect_kw(p, "TRANSACTION")) return false;
    } else {
        lc_buf_put_span(b, lc_sql_upper(p, next(p)->value));
        if (!ACCEPT_KW(p, "TRANSACTION")) (void)ACCEPT_KW(p, "WORK");
        if (PEEK_KW(p, "AND")) {
            next(p);
            lc_buf_put_str(b, ACCEPT_KW(p, "NO") ? " AND NO CHAIN" : " AND CHAIN");
            return lc_sql_expect_kw(p, "CHAIN");
        }
        return true;
    }
    while (PEEK_KW(p, "READ") || PEEK_KW(p, "ISOLATION")) {
        for (uint32_t words = PEEK_KW(p, "READ") ? 2 : 3;
             words-- && peek(p)->kind == LC_TOK_WORD;) {
            lc_buf_put_u8(b, ' ');
            if ((PEEK_KW(p, "READ") || PEEK_KW(p, "REPEATABLE")) && words == 0) words = 1;
            lc_buf_put_span(b, lc_sql_upper(p, next(p)->value));
        }
        if (accept_op(p, ',')) lc_buf_put_u8(b, ',');
    }
    return true;
}

bool lc_sql_parse_other(lc_sql_parser *p, lc_buf *b)
{
    static const struct {
        const char *word;
        bool (*rest)(lc_sql_parser *p, lc_buf *b);
    } statements[] = {
        {"ALTER", alter},       {"ANALYZE", need_table}, {"ASSERT", assertion},
        {"CACHE", generic},     {"CLOSE", close_cursor}, {"COMMENT", generic},
        {"COPY", copy},         {"CREATE", create},      {"DEALLOCATE", deallocate},
        {"DECLARE", generic},   {"DISCARD", discard},    {"DROP", drop},
        {"EXECUTE", execute},   {"FETCH", fetch},        {"GRANT", generic},
        {"KILL", kill},         {"MERGE", generic},      {"MSCK", generic},
        {"PREPARE", generic},   {"REVOKE", generic},     {"SAVEPOINT", put_ident},
        {"TRUNCATE", truncate}, {"UNCACHE", uncache},    {"USE", put_ident},
    };
    const lc_sql_token *t = peek(p);
    if (IS_KW(t, "BEGIN") || IS_KW(t, "START") || IS_KW(t, "COMMIT") || IS_KW(t, "ROLLBACK"))
        return transaction_words(p, b);
    for (size_t i = 0; i < LC_ARRAY_LEN(statements); i++)
        if (is_word(t, statements[i].word, strlen(statements[i].word)))
            return put_word(p, b) && statements[i].rest(p, b);
    return lc_sql_expected(p, "an SQL statement");
}
