/* A reader of TOML, as much of it as configuration files of this kind hold. */
#include "server_internal.h"

enum { TOML_MAX_DEPTH = 32 };

typedef struct reader {
    const uint8_t *at, *end;
    uint32_t line, depth;
    lc_buf prefix; /* path of the current table, with a dot behind each key */
    bool is_array_table;
    lc_toml *out;
    lc_error *err;
} reader;

static bool fail(reader *r, const char *what)
{
    lc_error_set(r->err, LC_E_INVALID, "line %u: %s", r->line, what);
    return false;
}

static void value_deinit(lc_toml_value *v)
{
    lc_free(v->path);
    lc_free(v->text);
    LC_VEC_EACH (s, &v->strings) lc_free(*s);
    lc_vec_deinit(&v->strings);
}

void lc_toml_deinit(lc_toml *t)
{
    LC_VEC_EACH (v, &t->values) value_deinit(v);
    LC_VEC_EACH (s, &t->tables) lc_free(*s);
    lc_vec_deinit(&t->values);
    lc_vec_deinit(&t->tables);
}

lc_toml_value *lc_toml_get(lc_toml *t, const char *path)
{
    LC_VEC_EACH (v, &t->values)
        if (!strcmp(v->path, path)) return v;
    return NULL;
}

bool lc_toml_has_table(lc_toml *t, const char *path)
{
    size_t len = strlen(path);
    LC_VEC_EACH (s, &t->tables)
        if (!strcmp(*s, path)) return true;
    LC_VEC_EACH (v, &t->values)
        if (!strncmp(v->path, path, len) && v->path[len] == '.') return true;
    return false;
}

/* ---------------------------------------------------------------------- blanks */

static int peek(const reader *r)
{
    return r->at < r->end ? *r->at : -1;
}

static bool take(reader *r, char c)
{
    if (peek(r) != c) return false;
    r->at++;
    return true;
}

static void skip_blanks(reader *r)
{
    while (peek(r) == ' ' || peek(r) == '\t') r->at++;
}

/* Blanks, a comment, and the end of the line or file; lines too when `lines`. */
static bool skip_rest(reader *r, bool lines)
{
    for (;;) {
        skip_blanks(r);
        if (peek(r) == '#')
            while (r->at < r->end && *r->at != '\n') {
                if ((*r->at < 0x20 && *r->at != '\t' && *r->at != '\r') || *r->at == 0x7f)
                    return fail(r, "control character in a comment");
                r->at++;
            }
        if (peek(r) == '\r' && r->at + 1 < r->end && r->at[1] == '\n') r->at++;
        if (peek(r) != '\n') return true;
        r->at++;
        r->line++;
        if (!lines) return true;
    }
}

static bool end_of_line(reader *r)
{
    uint32_t line = r->line;
    if (!skip_rest(r, false)) return false;
    return r->line != line || r->at == r->end || fail(r, "something behind the value");
}

/* --------------------------------------------------------------------- strings */

static bool put_code_point(reader *r, uint32_t c, lc_buf *out)
{
    if (c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)) return fail(r, "no such character");
    if (c < 0x80) {
        lc_buf_put_u8(out, (uint8_t)c);
        return true;
    }
    int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static const uint8_t lead[] = {0, 0xc0, 0xe0, 0xf0};
    lc_buf_put_u8(out, (uint8_t)(lead[more] | c >> 6 * more));
    while (more-- > 0) lc_buf_put_u8(out, (uint8_t)(0x80 | (c >> 6 * more & 0x3f)));
    return true;
}

static bool read_escape(reader *r, lc_buf *out)
{
    static const char from[] = "btnfr\"\\e", to[] = "\b\t\n\f\r\"\\\x1b";
    int c = peek(r);
    if (c < 0) return fail(r, "string without an end");
    r->at++;
    const char *simple = c ? strchr(from, c) : NULL;
    if (simple) {
        lc_buf_put_u8(out, (uint8_t)to[simple - from]);
        return true;
    }
    int digits = c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (!digits || r->end - r->at < digits) return fail(r, "unknown escape in a string");
    uint8_t bytes[4];
    if (!lc_hex_decode(LC_SPAN(r->at, (size_t)digits), bytes))
        return fail(r, "unknown escape in a string");
    r->at += digits;
    uint32_t code = 0;
    for (int i = 0; i < digits / 2; i++) code = code << 8 | bytes[i];
    return put_code_point(r, code, out);
}

/* After the opening quote, which is `"` or `'`. */
static bool read_string(reader *r, uint8_t quote, lc_buf *out)
{
    const uint8_t *start = r->at;
    for (;;) {
        int c = peek(r);
        if (c < 0 || c == '\n') return fail(r, "string without an end");
        r->at++;
        if (c == quote) break;
        if ((c < 0x20 && c != '\t') || c == 0x7f) return fail(r, "control character in a string");
        if (c == '\\' && quote == '"') {
            if (!read_escape(r, out)) return false;
        } else {
            lc_buf_put_u8(out, (uint8_t)c);
        }
    }
    if (r->at - start == 1 && peek(r) == quote)
        return fail(r, "strings of several lines are not known");
    return true;
}

/* Text of a value: no NUL inside, since the rest of the server would cut it there. */
static bool give_text(reader *r, lc_buf *b, char **out)
{
    if (b->len && memchr(b->ptr, 0, b->len)) return fail(r, "NUL in a string");
    *out = lc_buf_give_cstr(b);
    return true;
}

/* ------------------------------------------------------------------------ keys */

static bool is_bare(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

/* a.b."c d": appends a.b.c d */
static bool read_key(reader *r, lc_buf *out)
{
    for (;;) {
        skip_blanks(r);
        int c = peek(r);
        if (c == '"' || c == '\'') {
            r->at++;
            if (!read_string(r, (uint8_t)c, out)) return false;
        } else {
            if (!is_bare(c)) return fail(r, "expected a key");
            while (is_bare(peek(r))) lc_buf_put_u8(out, *r->at++);
        }
        skip_blanks(r);
        if (!take(r, '.')) return true;
        lc_buf_put_u8(out, '.');
    }
}

/* ---------------------------------------------------------------------- values */

static bool read_value(reader *r, const char *path, lc_toml_value *out);

static bool keep(reader *r, lc_toml_value *v)
{
    bool is_known = lc_toml_get(r->out, v->path) != NULL;
    if (!r->is_array_table) {
        LC_VEC_EACH (s, &r->out->tables) is_known |= !strcmp(*s, v->path);
        if (!is_known) {
            lc_vec_push(&r->out->values, *v);
            return true;
        }
        fail(r, "the key is defined twice");
    }
    value_deinit(v);
    return r->is_array_table;
}

/* key = value, below the path prefix. */
static bool read_pair(reader *r, const char *prefix)
{
    lc_buf path = LC_BUF_INIT;
    lc_buf_put_str(&path, prefix);
    lc_toml_value v = {0};
    bool good = read_key(r, &path) && (take(r, '=') || fail(r, "expected `=`"));
    if (!good) {
        lc_buf_deinit(&path);
        return false;
    }
    if (!give_text(r, &path, &v.path)) {
        lc_buf_deinit(&path);
        return false;
    }
    skip_blanks(r);
    if (peek(r) == '{') {
        char *below = lc_format("%s.", v.path);
        lc_free(v.path);
        good = read_value(r, below, NULL);
        lc_free(below);
        return good;
    }
    if (!read_value(r, NULL, &v)) {
        value_deinit(&v);
        return false;
    }
    return keep(r, &v);
}

static bool read_inline_table(reader *r, const char *prefix)
{
    skip_blanks(r);
    if (take(r, '}')) return true;
    for (;;) {
        if (!read_pair(r, prefix)) return false;
        skip_blanks(r);
        if (take(r, '}')) return true;
        if (!take(r, ',')) return fail(r, "expected `,` or `}`");
    }
}

static bool read_array(reader *r, lc_toml_value *out)
{
    out->kind = LC_TOML_STRINGS;
    for (;;) {
        if (!skip_rest(r, true)) return false;
        if (take(r, ']')) return true;
        lc_toml_value element = {0};
        bool is_table = peek(r) == '{', was_array_table = r->is_array_table;
        r->is_array_table |= is_table; /* read, but not kept */
        bool good = read_value(r, "", &element);
        r->is_array_table = was_array_table;
        if (good && !is_table && element.kind == LC_TOML_STRING) {
            lc_vec_push(&out->strings, element.text);
            element.text = NULL;
        } else {
            out->kind = LC_TOML_ARRAY;
        }
        value_deinit(&element);
        if (!good || !skip_rest(r, true)) return false;
        if (take(r, ']')) return true;
        if (!take(r, ',')) return fail(r, "expected `,` or `]`");
    }
}

/* Digits with single underscores between them. */
static bool read_digits(lc_span text, int base, bool negative, int64_t *out)
{
    uint64_t v = 0, most = (uint64_t)INT64_MAX + negative;
    bool was_digit = false;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        if (c == '_') {
            if (!was_digit) return false;
            was_digit = false;
            continue;
        }
        uint8_t lower = c | 0x20;
        int digit = c >= '0' && c <= '9'           ? c - '0'
                    : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10
                                                   : 99;
        if (digit >= base || v > (most - (uint64_t)digit) / (uint64_t)base) return false;
        v = v * (uint64_t)base + (uint64_t)digit;
        was_digit = true;
    }
    *out = negative ? (int64_t)(0 - v) : (int64_t)v;
    return was_digit;
}

static bool read_integer(lc_span text, int64_t *out)
{
    bool has_sign = text.len && (text.ptr[0] == '-' || text.ptr[0] == '+');
    bool negative = has_sign && text.ptr[0] == '-';
    if (has_sign) text = LC_SPAN(text.ptr + 1, text.len - 1);
    if (text.len > 2 && text.ptr[0] == '0' && !has_sign) {
        int base = text.ptr[1] == 'x' ? 16 : text.ptr[1] == 'o' ? 8 : text.ptr[1] == 'b' ? 2 : 0;
        if (base) return read_digits(LC_SPAN(text.ptr + 2, text.len - 2), base, false, out);
    }
    if (text.len > 1 && text.ptr[0] == '0') return false;
    return read_digits(text, 10, negative, out);
}

static bool is_float(lc_span text)
{
    size_t i = text.len && (text.ptr[0] == '-' || text.ptr[0] == '+');
    lc_span rest = LC_SPAN(text.ptr + i, text.len - i);
    if (lc_span_equal_str(rest, "inf") || lc_span_equal_str(rest, "nan")) return true;
    bool dot = false, exponent = false, digit = false;
    for (size_t k = 0; k < rest.len; k++) {
        uint8_t c = rest.ptr[k];
        if (c >= '0' && c <= '9') {
            digit = true;
        } else if (c == '_' && digit) {
            continue;
        } else if (c == '.' && digit && !dot && !exponent) {
            dot = true;
            digit = false;
        } else if ((c | 0x20) == 'e' && digit && !exponent) {
            exponent = true;
            digit = false;
            if (k + 1 < rest.len && (rest.ptr[k + 1] == '-' || rest.ptr[k + 1] == '+')) k++;
        } else {
            return false;
        }
    }
    return digit && (dot || exponent);
}

/* 2024-01-02, 12:00:00.5, both with T or a blank between, offset. Only the shape is looked at. */
static bool is_date(lc_span text)
{
    if (text.len < 8 || text.ptr[0] < '0' || text.ptr[0] > '9') return false;
    bool day = text.len >= 10 && text.ptr[4] == '-' && text.ptr[7] == '-';
    bool time = text.ptr[2] == ':' && text.ptr[5] == ':';
    for (size_t i = 0; i < text.len; i++)
        if (!(text.ptr[i] >= '0' && text.ptr[i] <= '9') && !strchr("-:.+TtZz ", text.ptr[i]))
            return false;
    return day || time;
}

static bool read_word(reader *r, lc_toml_value *out)
{
    const uint8_t *start = r->at;
    while (is_bare(peek(r)) || peek(r) == '+' || peek(r) == '.' || peek(r) == ':') r->at++;
    /* A blank may part day and time. */
    if (r->at - start == 10 && start[4] == '-' && peek(r) == ' ' && r->at + 1 < r->end &&
        r->at[1] >= '0' && r->at[1] <= '9') {
        r->at++;
        while (is_bare(peek(r)) || peek(r) == '+' || peek(r) == '.' || peek(r) == ':') r->at++;
    }
    lc_span text = LC_SPAN(start, (size_t)(r->at - start));
    if (lc_span_equal_str(text, "true") || lc_span_equal_str(text, "false")) {
        out->kind = LC_TOML_BOOLEAN;
        out->integer = text.len == 4;
        return true;
    }
    if (read_integer(text, &out->integer)) {
        out->kind = LC_TOML_INTEGER;
        return true;
    }
    if (is_float(text))
        out->kind = LC_TOML_FLOAT;
    else if (is_date(text))
        out->kind = LC_TOML_DATE;
    else
        return fail(r, text.len ? "not a value" : "expected a value");
    out->text = lc_span_to_cstr(text);
    return true;
}

/* out NULL: an inline table, whose members go below the prefix. */
static bool read_value(reader *r, const char *prefix, lc_toml_value *out)
{
    if (++r->depth > TOML_MAX_DEPTH) return fail(r, "nested too deeply");
    bool good;
    int c = peek(r);
    if (c == '{') {
        r->at++;
        good = read_inline_table(r, prefix);
    } else if (c == '[') {
        r->at++;
        good = read_array(r, out);
    } else if (c == '"' || c == '\'') {
        r->at++;
        lc_buf text = LC_BUF_INIT;
        out->kind = LC_TOML_STRING;
        good = read_string(r, (uint8_t)c, &text) && give_text(r, &text, &out->text);
        lc_buf_deinit(&text);
    } else {
        good = read_word(r, out);
    }
    r->depth--;
    return good;
}

/* ---------------------------------------------------------------------- tables */

static bool read_header(reader *r)
{
    r->is_array_table = take(r, '[');
    lc_buf path = LC_BUF_INIT;
    char *text = NULL;
    bool good = read_key(r, &path) && give_text(r, &path, &text);
    lc_buf_deinit(&path);
    if (good) good = take(r, ']') || fail(r, "expected `]`");
    if (good && r->is_array_table) good = take(r, ']') || fail(r, "expected `]]`");
    if (good && !r->is_array_table) {
        bool is_known = lc_toml_get(r->out, text) != NULL;
        LC_VEC_EACH (s, &r->out->tables) is_known |= !strcmp(*s, text);
        if (is_known) good = fail(r, "the table is defined twice");
    }
    lc_buf_reset(&r->prefix);
    if (good) {
        lc_buf_put_str(&r->prefix, text);
        lc_buf_put(&r->prefix, ".", 2); /* with its NUL */
        if (!r->is_array_table) {
            lc_vec_push(&r->out->tables, text);
            text = NULL;
        }
    }
    lc_free(text);
    return good;
}

static bool read_document(reader *r)
{
    while (skip_rest(r, true)) {
        if (r->at == r->end) return true;
        if (take(r, '[')) {
            if (!read_header(r)) return false;
        } else if (!read_pair(r, r->prefix.len ? (const char *)r->prefix.ptr : "")) {
            return false;
        }
        if (!end_of_line(r)) return false;
    }
    return false;
}

lc_status lc_toml_parse(lc_span text, lc_toml *out, lc_error *err)
{
    *out = (lc_toml){0};
    reader r = {.line = 1, .out = out, .err = err};
    r.at = text.ptr ? text.ptr : (const uint8_t *)"";
    r.end = r.at + text.len;
    if (text.len >= 3 && memcmp(r.at, "\xef\xbb\xbf", 3) == 0) r.at += 3;
    bool good = lc_utf8_valid(text) ? read_document(&r) : fail(&r, "not UTF-8");
    lc_buf_deinit(&r.prefix);
    if (!good) lc_toml_deinit(out);
    return good ? LC_OK : LC_E_INVALID;
}
