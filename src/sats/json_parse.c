/* JSON: the characters, and the pull parser (lc_json). The errors are serde_json's, position and
 * all, because clients and recorded answers of the reference show them. */
#include "sats_internal.h"

/* ------------------------------------------------------------------- errors */

static void set_error(lc_json *j, const char *text, const uint8_t *at)
{
    if (j->failed) return;
    size_t line = 1;
    const uint8_t *line_start = j->begin;
    for (const uint8_t *p = j->begin; p < at; p++) {
        if (*p != '\n') continue;
        line++;
        line_start = p + 1;
    }
    j->failed = true;
    lc_error_set(j->err, LC_E_INVALID, "%s at line %zu column %zu", text, line,
                 (size_t)(at - line_start));
}

bool lc_json_error_here(lc_json *j, const char *text)
{
    set_error(j, text, j->at);
    return false;
}

bool lc_json_error_next(lc_json *j, const char *text)
{
    set_error(j, text, j->at < j->end ? j->at + 1 : j->end);
    return false;
}

lc_status lc_json_fail(lc_json *j, const char *fmt, ...)
{
    lc_buf text = LC_BUF_INIT;
    va_list args;
    va_start(args, fmt);
    lc_buf_vprintf(&text, fmt, args);
    va_end(args);
    lc_buf_put_u8(&text, 0);
    lc_json_error_here(j, (const char *)text.ptr);
    lc_buf_deinit(&text);
    return LC_E_INVALID;
}

/* --------------------------------------------------------------- characters */

bool lc_json_literal(lc_json *j, const char *rest)
{
    for (; *rest; rest++) {
        if (j->at == j->end) return lc_json_error_here(j, "EOF while parsing a value");
        if (*j->at++ != (uint8_t)*rest) return lc_json_error_here(j, "expected ident");
    }
    return true;
}

static bool is_digit(const lc_json *j)
{
    return j->at < j->end && *j->at >= '0' && *j->at <= '9';
}

static bool exponent(lc_json *j)
{
    j->at++;
    if (j->at < j->end && (*j->at == '+' || *j->at == '-')) j->at++;
    if (j->at == j->end) return lc_json_error_here(j, "EOF while parsing a value");
    if (!is_digit(j)) {
        j->at++;
        return lc_json_error_here(j, "invalid number");
    }
    while (is_digit(j)) j->at++;
    return true;
}

bool lc_json_number(lc_json *j, lc_span *text, bool *is_float)
{
    const uint8_t *start = j->at;
    *is_float = false;
    if (*j->at == '-') j->at++;
    if (j->at == j->end) return lc_json_error_here(j, "EOF while parsing a value");
    if (!is_digit(j)) {
        j->at++;
        return lc_json_error_here(j, "invalid number");
    }
    if (*j->at++ == '0') {
        if (is_digit(j)) return lc_json_error_next(j, "invalid number"); /* no leading zeros */
    } else {
        while (is_digit(j)) j->at++;
    }
    if (j->at < j->end && *j->at == '.') {
        *is_float = true;
        j->at++;
        if (!is_digit(j))
            return lc_json_error_next(j, j->at == j->end ? "EOF while parsing a value"
                                                         : "invalid number");
        while (is_digit(j)) j->at++;
    }
    if (j->at < j->end && (*j->at == 'e' || *j->at == 'E')) {
        *is_float = true;
        if (!exponent(j)) return false;
    }
    *text = LC_SPAN(start, (size_t)(j->at - start));
    return true;
}

static bool hex_escape(lc_json *j, uint32_t *code)
{
    *code = 0;
    if (j->end - j->at < 4) {
        j->at = j->end;
        return lc_json_error_here(j, "EOF while parsing a string");
    }
    bool good = true;
    for (int i = 0; i < 4; i++) {
        uint8_t c = *j->at++;
        uint8_t lower = c | 0x20;
        uint32_t digit = 0;
        if (c >= '0' && c <= '9')
            digit = c - '0';
        else if (lower >= 'a' && lower <= 'f')
            digit = lower - 'a' + 10u;
        else
            good = false;
        *code = *code << 4 | digit;
    }
    return good || lc_json_error_here(j, "invalid escape");
}

static void put_code_point(lc_buf *out, uint32_t c)
{
    if (c < 0x80) {
        lc_buf_put_u8(out, (uint8_t)c);
        return;
    }
    if (c < 0x800) {
        lc_buf_put_u8(out, (uint8_t)(0xc0 | c >> 6));
    } else {
        if (c < 0x10000) {
            lc_buf_put_u8(out, (uint8_t)(0xe0 | c >> 12));
        } else {
            lc_buf_put_u8(out, (uint8_t)(0xf0 | c >> 18));
            lc_buf_put_u8(out, (uint8_t)(0x80 | (c >> 12 & 0x3f)));
        }
        lc_buf_put_u8(out, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
    }
    lc_buf_put_u8(out, (uint8_t)(0x80 | (c & 0x3f)));
}

/* The second half of a pair must follow at once. */
static bool low_surrogate(lc_json *j, uint32_t *low)
{
    for (const char *expected = "\\u"; *expected; expected++) {
        if (j->at == j->end) return lc_json_error_here(j, "EOF while parsing a string");
        if (*j->at++ != (uint8_t)*expected)
            return lc_json_error_here(j, "unexpected end of hex escape");
    }
    if (!hex_escape(j, low)) return false;
    return (*low >= 0xdc00 && *low <= 0xdfff) ||
           lc_json_error_here(j, "lone leading surrogate in hex escape");
}

static bool unicode_escape(lc_json *j)
{
    uint32_t code, low;
    if (!hex_escape(j, &code)) return false;
    if (code >= 0xdc00 && code <= 0xdfff)
        return lc_json_error_here(j, "lone leading surrogate in hex escape");
    if (code >= 0xd800 && code <= 0xdbff) {
        if (!low_surrogate(j, &low)) return false;
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    put_code_point(&j->scratch, code);
    return true;
}

static bool escape(lc_json *j)
{
    if (j->at == j->end) return lc_json_error_here(j, "EOF while parsing a string");
    uint8_t c = *j->at++;
    switch (c) {
    case '"':
    case '\\':
    case '/':
        break;
    case 'b':
        c = '\b';
        break;
    case 'f':
        c = '\f';
        break;
    case 'n':
        c = '\n';
        break;
    case 'r':
        c = '\r';
        break;
    case 't':
        c = '\t';
        break;
    case 'u':
        return unicode_escape(j);
    default:
        return lc_json_error_here(j, "invalid escape");
    }
    lc_buf_put_u8(&j->scratch, c);
    return true;
}

bool lc_json_string(lc_json *j, lc_span *text)
{
    const uint8_t *start = j->at; /* of what is not in scratch yet */
    bool escaped = false;
    lc_buf_reset(&j->scratch);
    for (;;) {
        while (j->at < j->end && *j->at != '"' && *j->at != '\\' && *j->at >= 0x20) j->at++;
        if (j->at == j->end) return lc_json_error_here(j, "EOF while parsing a string");
        if (*j->at == '"') break;
        if (*j->at < 0x20) {
            j->at++;
            return lc_json_error_here(
                j, "control character (\\u0000-\\u001F) found while parsing a string");
        }
        lc_buf_put(&j->scratch, start, (size_t)(j->at - start));
        escaped = true;
        j->at++;
        if (!escape(j)) return false;
        start = j->at;
    }
    *text = LC_SPAN(start, (size_t)(j->at - start));
    if (escaped) {
        lc_buf_put_span(&j->scratch, *text);
        *text = lc_buf_span(&j->scratch);
        /* An empty result still has an address: a name without one means "unnamed" elsewhere. */
        if (!text->ptr) text->ptr = start;
    }
    j->at++;
    return lc_utf8_valid(*text) || lc_json_error_here(j, "invalid unicode code point");
}

/* -------------------------------------------------------------- pull parser */

/* What may come next, per level; the level's container is known by it. */
enum {
    TOP,
    TOP_DONE,
    ARRAY_FIRST,
    ARRAY_NEXT,
    OBJECT_FIRST,
    OBJECT_NEXT,
    OBJECT_VALUE,
};
_Static_assert(sizeof(((lc_json *)0)->stack) >= LC_JSON_MAX_DEPTH, "one entry per open level");

void lc_json_init(lc_json *j, lc_span text, lc_error *err)
{
    *j = (lc_json){.err = err};
    j->begin = text.ptr ? text.ptr : (const uint8_t *)"";
    j->at = j->begin;
    j->end = j->begin + text.len;
}

void lc_json_deinit(lc_json *j)
{
    lc_buf_deinit(&j->scratch);
}

static lc_json_token bad(lc_json *j, const char *text)
{
    lc_json_error_next(j, text);
    return LC_JSON_BAD;
}

static lc_json_token open(lc_json *j, uint8_t state, lc_json_token token)
{
    /* As serde_json counts: the 128th open bracket is one too many. */
    if (j->depth + 1 == LC_JSON_MAX_DEPTH) return bad(j, "recursion limit exceeded");
    j->at++;
    j->stack[++j->depth] = state;
    return token;
}

static lc_json_token close(lc_json *j, lc_json_token token)
{
    j->at++;
    j->depth--;
    return token;
}

static lc_json_token literal(lc_json *j, const char *rest, lc_json_token token)
{
    j->at++;
    return lc_json_literal(j, rest) ? token : LC_JSON_BAD;
}

static lc_json_token value(lc_json *j, uint8_t state_behind)
{
    bool is_float;
    int c = lc_json_blanks(j);
    j->stack[j->depth] = state_behind;
    switch (c) {
    case -1:
        return bad(j, "EOF while parsing a value");
    case 'n':
        return literal(j, "ull", LC_JSON_NULL);
    case 't':
        return literal(j, "rue", LC_JSON_TRUE);
    case 'f':
        return literal(j, "alse", LC_JSON_FALSE);
    case '[':
        return open(j, ARRAY_FIRST, LC_JSON_ARRAY_BEGIN);
    case '{':
        return open(j, OBJECT_FIRST, LC_JSON_OBJECT_BEGIN);
    case '"':
        j->at++;
        return lc_json_string(j, &j->text) ? LC_JSON_STRING : LC_JSON_BAD;
    default:
        if (c != '-' && (c < '0' || c > '9')) return bad(j, "expected value");
        return lc_json_number(j, &j->text, &is_float) ? LC_JSON_NUMBER : LC_JSON_BAD;
    }
}

static lc_json_token array_next(lc_json *j, bool first)
{
    int c = lc_json_blanks(j);
    if (c == ']') return close(j, LC_JSON_ARRAY_END);
    if (c < 0) return bad(j, "EOF while parsing a list");
    if (first) return value(j, ARRAY_NEXT);
    if (c != ',') return bad(j, "expected `,` or `]`");
    j->at++;
    if (lc_json_blanks(j) == ']') return bad(j, "trailing comma");
    return value(j, ARRAY_NEXT);
}

static lc_json_token object_next(lc_json *j, bool first)
{
    int c = lc_json_blanks(j);
    if (c == '}') return close(j, LC_JSON_OBJECT_END);
    if (c < 0) return bad(j, "EOF while parsing an object");
    if (!first) {
        if (c != ',') return bad(j, "expected `,` or `}`");
        j->at++;
        c = lc_json_blanks(j);
        if (c == '}') return bad(j, "trailing comma");
        if (c < 0) return bad(j, "EOF while parsing a value");
    }
    if (c != '"') return bad(j, "key must be a string");
    j->at++;
    j->stack[j->depth] = OBJECT_VALUE;
    return lc_json_string(j, &j->text) ? LC_JSON_KEY : LC_JSON_BAD;
}

static lc_json_token object_value(lc_json *j)
{
    int c = lc_json_blanks(j);
    if (c < 0) return bad(j, "EOF while parsing an object");
    if (c != ':') return bad(j, "expected `:`");
    j->at++;
    return value(j, OBJECT_NEXT);
}

lc_json_token lc_json_next(lc_json *j)
{
    if (j->failed) return LC_JSON_BAD;
    if (j->has_peeked) {
        j->has_peeked = false;
        return j->peeked;
    }
    switch (j->stack[j->depth]) {
    case TOP:
        return value(j, TOP_DONE);
    case ARRAY_FIRST:
        return array_next(j, true);
    case ARRAY_NEXT:
        return array_next(j, false);
    case OBJECT_FIRST:
        return object_next(j, true);
    case OBJECT_NEXT:
        return object_next(j, false);
    case OBJECT_VALUE:
        return object_value(j);
    default:
        return lc_json_blanks(j) < 0 ? LC_JSON_END : bad(j, "trailing characters");
    }
}

lc_json_token lc_json_peek(lc_json *j)
{
    if (!j->has_peeked) {
        j->peeked = lc_json_next(j);
        j->has_peeked = true;
    }
    return j->peeked;
}

bool lc_json_skip(lc_json *j, lc_json_token first)
{
    uint32_t open = 0;
    for (lc_json_token token = first;; token = lc_json_next(j)) {
        if (token == LC_JSON_BAD) return false;
        open += token == LC_JSON_ARRAY_BEGIN || token == LC_JSON_OBJECT_BEGIN;
        open -= token == LC_JSON_ARRAY_END || token == LC_JSON_OBJECT_END;
        if (open == 0) return true;
    }
}
