/* Text to tokens. The whole text is split before anything is parsed, because a broken literal at
 * the end is reported before a wrong word at the start. */
#include "query/ast.h"

#include <unictype.h>

typedef struct lexer {
    lc_arena *arena;
    lc_span sql;
    const uint8_t *at, *end;
    lc_error *err;
} lexer;

void lc_sql_position(lc_span sql, uint32_t at, uint32_t *line, uint32_t *column)
{
    *line = *column = 1;
    for (uint32_t i = 0; i < at && i < sql.len; i++) {
        if (sql.ptr[i] == '\n') {
            ++*line;
            *column = 1;
        } else if ((sql.ptr[i] & 0xc0) != 0x80) {
            ++*column;
        }
    }
}

static lc_status lex_fail(lexer *l, uint32_t at, const char *what)
{
    uint32_t line, column;
    lc_sql_position(l->sql, at, &line, &column);
    return lc_error_set(l->err, LC_E_INVALID, "sql parser error: %s at Line: %u, Column %u", what,
                        line, column);
}

/* ------------------------------------------------------------- characters */

/* Decodes one character; invalid bytes count as one each. */
static uint32_t decode(const uint8_t *p, const uint8_t *end, uint32_t *size)
{
    uint8_t c = *p;
    uint32_t need = c < 0xc0 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
    if (need == 0 || (size_t)(end - p) <= need) {
        *size = 1;
        return c;
    }
    uint32_t value = c & (0x3f >> need);
    for (uint32_t i = 1; i <= need; i++) value = value << 6 | (p[i] & 0x3f);
    *size = need + 1;
    return value;
}

static bool is_space(const lexer *l, uint32_t *size)
{
    uint8_t c = *l->at;
    *size = 1;
    if (c < 0x80) return c == ' ' || (c >= '\t' && c <= '\r');
    return uc_is_property_white_space(decode(l->at, l->end, size));
}

static bool is_ascii_letter(uint8_t c)
{
    return (uint8_t)((c | 0x20) - 'a') < 26;
}
static bool is_digit(uint8_t c)
{
    return (uint8_t)(c - '0') < 10;
}
static bool is_hex_digit(uint8_t c)
{
    return is_digit(c) || (uint8_t)((c | 0x20) - 'a') < 6;
}

static bool starts_word(const lexer *l)
{
    uint32_t size;
    uint8_t c = *l->at;
    if (c < 0x80) return is_ascii_letter(c) || c == '_';
    return uc_is_property_alphabetic(decode(l->at, l->end, &size));
}

static void skip_word(lexer *l)
{
    while (l->at < l->end) {
        uint8_t c = *l->at;
        uint32_t size = 1;
        if (c < 0x80 ? !(is_ascii_letter(c) || is_digit(c) || c == '_' || c == '$')
                     : !uc_is_property_alphabetic(decode(l->at, l->end, &size)))
            return;
        l->at += size;
    }
}

/* ---------------------------------------------------------------- literals */

/* The text between quotes; at stands on the opening one. NULL when the closing one is missing. A
 * doubled quote stands for one; the text is copied only then. */
static bool quoted(lexer *l, uint8_t quote, lc_span *value)
{
    const uint8_t *begin = ++l->at;
    size_t doubled = 0;
    for (;; l->at++) {
        l->at = memchr(l->at, quote, (size_t)(l->end - l->at));
        if (!l->at) return false;
        if (l->at + 1 == l->end || l->at[1] != quote) break;
        doubled++;
        l->at++;
    }
    *value = LC_SPAN(begin, (size_t)(l->at - begin));
    l->at++;
    if (doubled == 0) return true;
    uint8_t *copy = lc_arena_alloc(l->arena, value->len - doubled), *to = copy;
    for (size_t i = 0; i < value->len; i++) {
        *to++ = value->ptr[i];
        if (value->ptr[i] == quote) i++;
    }
    *value = LC_SPAN(copy, value->len - doubled);
    return true;
}

/* E'...': backslash escapes are only skipped, for the text is kept as written. */
static bool escaped(lexer *l, lc_span *value)
{
    const uint8_t *begin = ++l->at;
    for (; l->at < l->end; l->at++) {
        if (*l->at == '\\' && l->at + 1 < l->end) {
            l->at++;
        } else if (*l->at == '\'') {
            if (l->at + 1 < l->end && l->at[1] == '\'') {
                l->at++;
                continue;
            }
            *value = LC_SPAN(begin, (size_t)(l->at - begin));
            l->at++;
            return true;
        }
    }
    return false;
}

static lc_status dollar(lexer *l, lc_sql_token *t)
{
    const uint8_t *begin = l->at++;
    while (l->at < l->end) {
        uint32_t size = 1;
        if (*l->at < 0x80 ? !(is_ascii_letter(*l->at) || is_digit(*l->at) || *l->at == '_')
                          : !uc_is_property_alphabetic(decode(l->at, l->end, &size)))
            break;
        l->at += size;
    }
    if (l->at == l->end || *l->at != '$') {
        t->kind = LC_TOK_PLACEHOLDER;
        t->value = LC_SPAN(begin, (size_t)(l->at - begin));
        return LC_OK;
    }
    size_t tag = (size_t)(++l->at - begin);
    const uint8_t *close = memmem(l->at, (size_t)(l->end - l->at), begin, tag);
    if (!close) {
        return lex_fail(l, (uint32_t)l->sql.len,
                        tag == 2 ? "Unterminated dollar-quoted string"
                                 : "Unterminated dollar-quoted, expected $");
    }
    l->at = close + tag;
    t->kind = LC_TOK_DOLLAR;
    t->value = LC_SPAN(begin, (size_t)(l->at - begin));
    return LC_OK;
}

static void number(lexer *l, lc_sql_token *t)
{
    const uint8_t *begin = l->at;
    while (l->at < l->end && is_digit(*l->at)) l->at++;
    if (l->at - begin == 1 && *begin == '0' && l->at < l->end && *l->at == 'x') {
        begin = ++l->at;
        while (l->at < l->end && is_hex_digit(*l->at)) l->at++;
        t->kind = LC_TOK_HEX;
        t->value = LC_SPAN(begin, (size_t)(l->at - begin));
        return;
    }
    if (l->at < l->end && *l->at == '.') l->at++;
    while (l->at < l->end && is_digit(*l->at)) l->at++;
    if (l->at - begin == 1 && *begin == '.') {
        t->kind = LC_TOK_OPERATOR;
        t->op = '.';
        t->value = LC_SPAN(begin, 1);
        return;
    }
    if (l->at < l->end && (*l->at | 0x20) == 'e') {
        const uint8_t *p = l->at + 1;
        if (p < l->end && (*p == '+' || *p == '-')) p++;
        if (p < l->end && is_digit(*p)) {
            while (p < l->end && is_digit(*p)) p++;
            l->at = p;
        }
    }
    t->kind = LC_TOK_NUMBER;
    t->value = LC_SPAN(begin, (size_t)(l->at - begin));
    if (l->at < l->end && *l->at == 'L') {
        t->is_long = true;
        l->at++;
    }
}

/* --------------------------------------------------------------- operators */

static const struct {
    char text[4];
    uint8_t len, op;
} operators[] = {
    /* longest first */
    {"->>", 3, LC_OP_LONG_ARROW},  {"#>>", 3, LC_OP_HASH_LONG_ARROW},
    {"<=>", 3, LC_OP_SPACESHIP},   {"!~*", 3, LC_OP_BANG_TILDE_STAR},
    {"||/", 3, LC_OP_CBRT},        {"<>", 2, LC_OP_NEQ},
    {"!=", 2, LC_OP_NEQ},          {"<=", 2, LC_OP_LE},
    {">=", 2, LC_OP_GE},           {"==", 2, LC_OP_DOUBLE_EQ},
    {"=>", 2, LC_OP_RARROW},       {":=", 2, LC_OP_ASSIGN},
    {"::", 2, LC_OP_DOUBLE_COLON}, {"||", 2, LC_OP_CONCAT},
    {"&&", 2, LC_OP_AND_AND},      {"<<", 2, LC_OP_SHL},
    {">>", 2, LC_OP_SHR},          {"->", 2, LC_OP_ARROW},
    {"#>", 2, LC_OP_HASH_ARROW},   {"#-", 2, LC_OP_HASH_MINUS},
    {"@>", 2, LC_OP_AT_ARROW},     {"<@", 2, LC_OP_ARROW_AT},
    {"@?", 2, LC_OP_AT_QUESTION},  {"@@", 2, LC_OP_AT_AT},
    {"~*", 2, LC_OP_TILDE_STAR},   {"!~", 2, LC_OP_BANG_TILDE},
    {"!!", 2, LC_OP_BANG_BANG},    {"|/", 2, LC_OP_SQRT},
};

static void operator(lexer *l, lc_sql_token *t)
{
    size_t left = (size_t)(l->end - l->at);
    uint8_t c = *l->at;
    t->kind = LC_TOK_OPERATOR;
    if (left > 1 && strchr("<>=!:|&-#@~", c)) {
        for (size_t i = 0; i < LC_ARRAY_LEN(operators); i++) {
            if (operators[i].len > left || memcmp(operators[i].text, l->at, operators[i].len) != 0)
                continue;
            t->op = operators[i].op;
            t->value = t->op == LC_OP_NEQ ? LC_STR("<>") : LC_SPAN(l->at, operators[i].len);
            l->at += operators[i].len;
            return;
        }
    }
    uint32_t size = 1;
    if (c == '?') {
        t->kind = LC_TOK_PLACEHOLDER;
    } else if (c < 0x80 && c > ' ' && strchr("()+,-*/%=<>!:;[]{}&|^#~@\\", c)) {
        t->op = c;
    } else {
        t->kind = LC_TOK_OTHER;
        decode(l->at, l->end, &size);
    }
    t->value = LC_SPAN(l->at, size);
    l->at += size;
}

/* ---------------------------------------------------------------- the loop */

static lc_status skip_blanks(lexer *l)
{
    uint32_t size;
    while (l->at < l->end) {
        if (is_space(l, &size)) {
            l->at += size;
        } else if (*l->at == '-' && l->end - l->at > 1 && l->at[1] == '-') {
            const uint8_t *eol = memchr(l->at, '\n', (size_t)(l->end - l->at));
            l->at = eol ? eol + 1 : l->end;
        } else if (*l->at == '/' && l->end - l->at > 1 && l->at[1] == '*') {
            uint32_t depth = 1;
            for (l->at += 2; depth > 0;) {
                if (l->end - l->at < 2) {
                    l->at = l->end;
                    return lex_fail(l, (uint32_t)l->sql.len,
                                    "Unexpected EOF while in a multi-line comment");
                }
                bool open = l->at[0] == '/' && l->at[1] == '*';
                bool close = l->at[0] == '*' && l->at[1] == '/';
                depth += open;
                depth -= close;
                l->at += open || close ? 2 : 1;
            }
        } else {
            break;
        }
    }
    return LC_OK;
}

static lc_status next_token(lexer *l, lc_sql_token *t)
{
    uint8_t c = *l->at;
    uint8_t folded = c | 0x20;
    t->at = (uint32_t)(l->at - l->sql.ptr);
    if ((folded == 'x' || folded == 'n' || folded == 'e') && l->end - l->at > 1 &&
        l->at[1] == '\'') {
        l->at++;
        t->kind = folded == 'x' ? LC_TOK_HEX : folded == 'n' ? LC_TOK_NATIONAL : LC_TOK_ESCAPED;
        if (folded == 'e') {
            if (!escaped(l, &t->value))
                return lex_fail(l, t->at, "Unterminated encoded string literal");
            return LC_OK;
        }
        if (!quoted(l, '\'', &t->value))
            return lex_fail(l, t->at + 1, "Unterminated string literal");
        return LC_OK;
    }
    if (starts_word(l)) {
        t->kind = LC_TOK_WORD;
        skip_word(l);
        t->value = LC_SPAN(l->sql.ptr + t->at, (size_t)(l->at - l->sql.ptr) - t->at);
        return LC_OK;
    }
    if (c == '\'') {
        t->kind = LC_TOK_STRING;
        if (!quoted(l, '\'', &t->value)) return lex_fail(l, t->at, "Unterminated string literal");
    } else if (c == '"') {
        t->kind = LC_TOK_QUOTED;
        if (!quoted(l, '"', &t->value))
            return lex_fail(l, t->at, "Expected close delimiter '\"' before EOF.");
    } else if (is_digit(c) || c == '.') {
        number(l, t);
    } else if (c == '$') {
        return dollar(l, t);
    } else {
        operator(l, t);
    }
    return LC_OK;
}

lc_status lc_sql_lex(lc_arena *a, lc_span sql, lc_sql_token **tokens, uint32_t *count,
                     lc_error *err)
{
    lexer l = {.arena = a, .sql = sql, .at = sql.ptr, .err = err};
    l.end = sql.ptr ? sql.ptr + sql.len : NULL;
    if (!sql.ptr) l.at = l.end = l.sql.ptr = (const uint8_t *)"";
    size_t cap = sql.len / 4 + 8, n = 0;
    lc_sql_token *all = lc_arena_alloc(a, cap * sizeof *all);
    for (;;) {
        lc_status st = skip_blanks(&l);
        if (st) return st;
        if (n == cap) all = lc_arena_grow(a, all, n, &cap, sizeof *all);
        lc_sql_token *t = &all[n++];
        *t = (lc_sql_token){.kind = LC_TOK_EOF, .at = (uint32_t)sql.len};
        if (l.at == l.end) break;
        st = next_token(&l, t);
        if (st) return st;
    }
    *tokens = all;
    *count = (uint32_t)n;
    return LC_OK;
}

void lc_sql_token_print(const lc_sql_token *t, lc_buf *out)
{
    const char *open = "", *close = "";
    switch (t->kind) {
    case LC_TOK_EOF:
        lc_buf_put_str(out, "EOF");
        return;
    case LC_TOK_QUOTED:
        open = close = "\"";
        break;
    case LC_TOK_STRING:
        open = close = "'";
        break;
    case LC_TOK_NATIONAL:
        open = "N'", close = "'";
        break;
    case LC_TOK_ESCAPED:
        open = "E'", close = "'";
        break;
    case LC_TOK_HEX:
        open = "X'", close = "'";
        break;
    case LC_TOK_NUMBER:
        close = t->is_long ? "L" : "";
        break;
    default:
        break;
    }
    lc_buf_put_str(out, open);
    lc_buf_put_span(out, t->value);
    lc_buf_put_str(out, close);
}

bool lc_sql_word_is(lc_span word, const char *keyword, size_t len)
{
    if (word.len != len) return false;
    for (size_t i = 0; i < len; i++) {
        uint8_t c = word.ptr[i];
        if ((uint8_t)(c - 'a') < 26) c -= 32;
        if (c != (uint8_t)keyword[i]) return false;
    }
    return true;
}
