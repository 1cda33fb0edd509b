/*
 * SATS-JSON to BSATN in one pass directed by the type (01 section 4.3); no tree of values.
 *
 * The answers to malformed input are part of the contract: text, JSON path, line and column are
 * those of the reference, which reads with serde_json. Three of its habits shape this code. A
 * message about a value is placed where the reader stands after the value's closing bracket was
 * looked for. The path is that of the innermost value being read. And a product is read for exactly
 * as many entries as it has elements, so that one entry too many is a matter of brackets and
 * commas.
 */
#include "sats_internal.h"

#include <math.h>

/* One step of the JSON path, on the stack of the function that reads the value there. */
typedef struct place {
    const struct place *up; /* NULL for the root */
    lc_span key;            /* ptr NULL: an index */
    uint32_t index;
} place;

typedef struct reading {
    lc_json j;
    const lc_typespace *ts;
    lc_buf *out;
    size_t out_start; /* what was in there before */
    char *message;    /* about a value; its position is not known yet */
    lc_buf path;      /* of the error */
    bool has_path;
    /* Keys that lived in the parser's scratch space, needed for the path. */
    lc_arena keys;
    /* lc_type * -> lc_map * of its names, for types with many. */
    lc_u64map names;
    /* Of a protocol message; NULL for values. */
    const lc_json_shape *shapes;
    uint32_t shape_count;
} reading;

static const lc_json_shape *shape_of(const reading *r, const lc_type *t)
{
    for (uint32_t i = 0; i < r->shape_count; i++)
        if (r->shapes[i].type == t) return &r->shapes[i];
    return NULL;
}

/* The top level of a call: its product is spoken of in other words. */
typedef struct call_words {
    lc_span function;
} call_words;

/* ------------------------------------------------------------------- errors */

static void write_path(const place *at, lc_buf *out)
{
    if (!at->up) return;
    write_path(at->up, out);
    if (!at->key.ptr) {
        lc_buf_printf(out, "[%u]", at->index);
        return;
    }
    if (at->up->up) lc_buf_put_u8(out, '.');
    lc_buf_put_span(out, at->key);
}

/* The first place to be told is the innermost. Always false. */
static bool failed_at(reading *r, const place *at)
{
    if (!r->has_path) write_path(at, &r->path);
    r->has_path = true;
    return false;
}

/* An error whose position is where the reader will stand when the value is left. Always false. */
static bool complain(reading *r, const char *fmt, ...) LC_PRINTF(2, 3);
static bool complain(reading *r, const char *fmt, ...)
{
    if (r->j.failed || r->message) return false;
    lc_buf text = LC_BUF_INIT;
    va_list args;
    va_start(args, fmt);
    lc_buf_vprintf(&text, fmt, args);
    va_end(args);
    r->message = lc_buf_give_cstr(&text);
    return false;
}

/* The value is left. Always false. */
static bool place_message(reading *r)
{
    if (!r->message) return false;
    lc_json_error_here(&r->j, r->message);
    lc_free(r->message);
    r->message = NULL;
    return false;
}

/* Brackets looked for while a message is pending must not add a second error. */
static bool syntax_error(reading *r, const char *text)
{
    return r->message ? false : lc_json_error_next(&r->j, text);
}

/* `a`, `b`, `c` in the reference's own way: its separators are one place off. */
static void write_names(const lc_type *t, lc_buf *out)
{
    uint32_t named = 0, n = 0;
    for (uint32_t i = 0; i < t->member_count; i++) named += t->members[i].name.ptr != NULL;
    for (uint32_t i = 0; i < t->member_count; i++) {
        if (!t->members[i].name.ptr) continue;
        const char *separator = named == 1 ? "" : n != 1 ? ", " : named == 2 ? "" : "one of ";
        lc_buf_printf(out, "%s`" LC_SPAN_FMT "`", separator, LC_SPAN_ARG(t->members[i].name));
        n++;
    }
}

static bool unknown_name(reading *r, const lc_type *t, const char *what, const char *plural,
                         lc_span name)
{
    lc_buf names = LC_BUF_INIT;
    write_names(t, &names);
    if (names.len)
        complain(r, "unknown %s `" LC_SPAN_FMT "`, expected " LC_SPAN_FMT, what, LC_SPAN_ARG(name),
                 LC_SPAN_ARG(names));
    else
        complain(r, "unknown %s `" LC_SPAN_FMT "`, there are no %s", what, LC_SPAN_ARG(name),
                 plural);
    lc_buf_deinit(&names);
    return false;
}

/* ----------------------------------------------------------------- brackets */

static bool enter(reading *r)
{
    if (r->j.depth + 1 == LC_JSON_MAX_DEPTH)
        return lc_json_error_next(&r->j, "recursion limit exceeded");
    r->j.depth++;
    r->j.at++;
    return true;
}

/* Looks for the end of an array, also after an error inside. */
static bool leave_array(reading *r, bool good)
{
    r->j.depth--;
    if (!good && !r->message) return false;
    int c = lc_json_blanks(&r->j);
    if (c == ']') {
        r->j.at++;
        return good;
    }
    if (c < 0) return syntax_error(r, "EOF while parsing a list");
    if (c != ',') return syntax_error(r, "trailing characters");
    r->j.at++;
    return syntax_error(r, lc_json_blanks(&r->j) == ']' ? "trailing comma" : "trailing characters");
}

static bool leave_object(reading *r, bool good)
{
    r->j.depth--;
    if (!good && !r->message) return false;
    int c = lc_json_blanks(&r->j);
    if (c == '}') {
        r->j.at++;
        return good;
    }
    return syntax_error(r, c < 0      ? "EOF while parsing an object"
                           : c == ',' ? "trailing comma"
                                      : "trailing characters");
}

typedef enum more { MORE_NO, MORE_YES, MORE_BAD } more;

static more more_elements(reading *r, bool first)
{
    int c = lc_json_blanks(&r->j);
    if (c == ']') return MORE_NO;
    if (c < 0) {
        lc_json_error_next(&r->j, "EOF while parsing a list");
        return MORE_BAD;
    }
    if (first) return MORE_YES;
    if (c != ',') {
        lc_json_error_next(&r->j, "expected `,` or `]`");
        return MORE_BAD;
    }
    r->j.at++;
    c = lc_json_blanks(&r->j);
    if (c != ']' && c >= 0) return MORE_YES;
    lc_json_error_next(&r->j, c < 0 ? "EOF while parsing a value" : "trailing comma");
    return MORE_BAD;
}

static const char *key_trouble(reading *r, bool first, int *c)
{
    *c = lc_json_blanks(&r->j);
    if (*c < 0) return "EOF while parsing an object";
    if (!first && *c != '}') {
        if (*c != ',') return "expected `,` or `}`";
        r->j.at++;
        *c = lc_json_blanks(&r->j);
        if (*c < 0) return "EOF while parsing a value";
        if (*c == '}') return "trailing comma";
    }
    return *c == '"' || *c == '}' ? NULL : "key must be a string";
}

/* The next key, and what is told of a key that cannot be read: it has no name yet. */
static more next_key(reading *r, bool first, const place *at, lc_span *key)
{
    int c;
    const char *trouble = key_trouble(r, first, &c);
    if (!trouble && c == '}') return MORE_NO;
    if (trouble) {
        lc_json_error_next(&r->j, trouble);
    } else {
        r->j.at++;
        if (lc_json_string(&r->j, key)) return MORE_YES;
    }
    failed_at(r, &(place){.up = at, .key = LC_STR("?")});
    return MORE_BAD;
}

static bool colon(reading *r)
{
    int c = lc_json_blanks(&r->j);
    if (c != ':')
        return lc_json_error_next(&r->j, c < 0 ? "EOF while parsing an object" : "expected `:`");
    r->j.at++;
    return true;
}

/* A key for the path that outlives the parser's scratch space. */
static lc_span keep_key(reading *r, lc_span key)
{
    bool in_input = key.ptr >= r->j.begin && key.ptr <= r->j.end;
    return in_input ? key : lc_arena_copy(&r->keys, key);
}

/* ------------------------------------------------------------ wrong values */

/* NUL-terminated copy of a number for strtod; valid until the next string. */
static double number_value(reading *r, lc_span text)
{
    lc_buf *scratch = &r->j.scratch;
    lc_buf_reset(scratch);
    lc_buf_put_span(scratch, text);
    lc_buf_put_u8(scratch, 0);
    return lc_float_parse((const char *)scratch->ptr);
}

/* A number as the reference holds it before it knows the type. */
typedef struct json_number {
    enum { NUMBER_U64, NUMBER_I64, NUMBER_F64 } kind;
    uint64_t u;
    int64_t i;
    double f;
} json_number;

static bool read_number(reading *r, json_number *n)
{
    lc_span text;
    bool is_float;
    if (!lc_json_number(&r->j, &text, &is_float)) return false;
    bool negative = text.ptr[0] == '-', fits = !is_float;
    *n = (json_number){.kind = NUMBER_U64};
    for (size_t i = negative; fits && i < text.len; i++)
        fits = !__builtin_mul_overflow(n->u, 10, &n->u) &&
               !__builtin_add_overflow(n->u, text.ptr[i] - '0', &n->u);
    if (fits && !negative) return true;
    if (fits && n->u > 0 && n->u <= (uint64_t)1 << 63) {
        n->kind = NUMBER_I64;
        n->i = (int64_t)(0 - n->u);
        return true;
    }
    /* Fractions, exponents, what exceeds 64 bits, and -0. */
    n->kind = NUMBER_F64;
    n->f = number_value(r, text);
    return isfinite(n->f) || lc_json_error_here(&r->j, "number out of range");
}

static bool wrong_number(reading *r, const json_number *n, const char *problem,
                         const char *expected)
{
    if (n->kind == NUMBER_U64)
        return complain(r, "invalid %s: integer `%llu`, expected %s", problem,
                        (unsigned long long)n->u, expected);
    if (n->kind == NUMBER_I64)
        return complain(r, "invalid %s: integer `%lld`, expected %s", problem, (long long)n->i,
                        expected);
    lc_buf text = LC_BUF_INIT;
    lc_json_write_f64(n->f, &text);
    complain(r, "invalid %s: floating point `" LC_SPAN_FMT "`, expected %s", problem,
             LC_SPAN_ARG(text), expected);
    lc_buf_deinit(&text);
    return false;
}

static bool wrong_string(reading *r, lc_span s, const char *problem, const char *expected)
{
    lc_buf text = LC_BUF_INIT;
    lc_rust_debug(s, '"', &text);
    complain(r, "invalid %s: string " LC_SPAN_FMT ", expected %s", problem, LC_SPAN_ARG(text),
             expected);
    lc_buf_deinit(&text);
    return false;
}

/* The value ahead is of a kind that does not serve; it is read as far as its kind shows. */
static bool wrong_kind(reading *r, int c, const char *expected)
{
    lc_json *j = &r->j;
    json_number n;
    lc_span s;
    switch (c) {
    case -1:
        return lc_json_error_next(j, "EOF while parsing a value");
    case 'n':
        j->at++;
        return lc_json_literal(j, "ull") &&
               complain(r, "invalid type: null, expected %s", expected);
    case 't':
    case 'f':
        j->at++;
        return lc_json_literal(j, c == 't' ? "rue" : "alse") &&
               complain(r, "invalid type: boolean `%s`, expected %s", c == 't' ? "true" : "false",
                        expected);
    case '"':
        j->at++;
        return lc_json_string(j, &s) && wrong_string(r, s, "type", expected);
    case '[':
        return complain(r, "invalid type: sequence, expected %s", expected);
    case '{':
        return complain(r, "invalid type: map, expected %s", expected);
    default:
        if (c != '-' && (c < '0' || c > '9')) return lc_json_error_next(j, "expected value");
        return read_number(r, &n) && wrong_number(r, &n, "type", expected);
    }
}

/* ------------------------------------------------------------------ scalars */

static bool read_bool(reading *r)
{
    int c = lc_json_blanks(&r->j);
    if (c != 't' && c != 'f') return wrong_kind(r, c, "a boolean");
    r->j.at++;
    if (!lc_json_literal(&r->j, c == 't' ? "rue" : "alse")) return false;
    lc_buf_put_u8(r->out, c == 't');
    return true;
}

static const char *const number_names[LC_TYPE_F64 + 1] = {
    [LC_TYPE_I8] = "i8",   [LC_TYPE_U8] = "u8",   [LC_TYPE_I16] = "i16", [LC_TYPE_U16] = "u16",
    [LC_TYPE_I32] = "i32", [LC_TYPE_U32] = "u32", [LC_TYPE_I64] = "i64", [LC_TYPE_U64] = "u64",
    [LC_TYPE_F32] = "f32", [LC_TYPE_F64] = "f64",
};

static bool read_integer(reading *r, lc_type_kind kind)
{
    json_number n;
    int c = lc_json_blanks(&r->j);
    if (c != '-' && (c < '0' || c > '9')) return wrong_kind(r, c, number_names[kind]);
    if (!read_number(r, &n)) return false;
    uint32_t size = lc_kind_size(kind);
    bool is_signed =
        kind == LC_TYPE_I8 || kind == LC_TYPE_I16 || kind == LC_TYPE_I32 || kind == LC_TYPE_I64;
    uint64_t max = UINT64_MAX >> (64 - 8 * size + is_signed);
    bool fits = n.kind == NUMBER_U64   ? n.u <= max
                : n.kind == NUMBER_I64 ? is_signed && n.i >= -(int64_t)max - 1
                                       : false;
    if (!fits)
        return wrong_number(r, &n, n.kind == NUMBER_F64 ? "type" : "value", number_names[kind]);
    uint64_t bits = n.kind == NUMBER_U64 ? n.u : (uint64_t)n.i;
    lc_buf_put(r->out, &bits, size);
    return true;
}

/* The reference reads these digit by digit, without a look at what kind of value stands there. */
static bool read_integer_128(reading *r, bool is_signed)
{
    lc_json *j = &r->j;
    int c = lc_json_blanks(j);
    if (c < 0) return lc_json_error_next(j, "EOF while parsing a value");
    bool negative = c == '-', fits = true;
    if (negative && !is_signed) return lc_json_error_next(j, "number out of range");
    if (negative) j->at++;
    c = j->at < j->end ? *j->at++ : -1;
    if (c < '0' || c > '9') return lc_json_error_here(j, "invalid number");
    unsigned __int128 n = (unsigned)c - '0';
    for (; j->at < j->end && *j->at >= '0' && *j->at <= '9'; j->at++) {
        if (c == '0') return lc_json_error_next(j, "invalid number");
        fits &= !__builtin_mul_overflow(n, 10, &n) && !__builtin_add_overflow(n, *j->at - '0', &n);
    }
    unsigned __int128 max = is_signed ? ~(unsigned __int128)0 >> 1 : ~(unsigned __int128)0;
    if (!fits || n > max + negative) return lc_json_error_here(j, "number out of range");
    if (negative) n = 0 - n;
    lc_buf_put(r->out, &n, sizeof n);
    return true;
}

static bool read_float(reading *r, lc_type_kind kind)
{
    json_number n;
    int c = lc_json_blanks(&r->j);
    if (c != '-' && (c < '0' || c > '9')) return wrong_kind(r, c, number_names[kind]);
    if (!read_number(r, &n)) return false;
    if (kind == LC_TYPE_F64) {
        double f = n.kind == NUMBER_F64 ? n.f : n.kind == NUMBER_U64 ? (double)n.u : (double)n.i;
        lc_buf_put(r->out, &f, sizeof f);
    } else {
        float f = n.kind == NUMBER_F64   ? (float)n.f
                  : n.kind == NUMBER_U64 ? (float)n.u
                                         : (float)n.i;
        lc_buf_put(r->out, &f, sizeof f);
    }
    return true;
}

/* The string ahead, if one is. */
static bool read_text(reading *r, const char *expected, lc_span *text)
{
    int c = lc_json_blanks(&r->j);
    if (c != '"') return wrong_kind(r, c, expected);
    r->j.at++;
    return lc_json_string(&r->j, text);
}

static bool read_string(reading *r)
{
    lc_span text;
    if (!read_text(r, "a string", &text)) return false;
    lc_buf_put_lenstr(r->out, text);
    return true;
}

static bool read_integer_256(reading *r, bool is_signed)
{
    lc_span text;
    uint8_t value[32];
    if (!read_text(r, "a formatted 256-bit integer", &text)) return false;
    const char *trouble = lc_u256_parse_hex(text, is_signed, value);
    if (trouble) return complain(r, "%s", trouble);
    lc_buf_put(r->out, value, sizeof value);
    return true;
}

/* ------------------------------------------------------------------- arrays */

static bool read_value(reading *r, const lc_type *t, const place *at);

static bool read_elements(reading *r, const lc_type *element, const place *at)
{
    size_t count_at = r->out->len;
    lc_buf_put_u32(r->out, 0);
    place here = {.up = at};
    for (;; here.index++) {
        more m = more_elements(r, here.index == 0);
        if (m == MORE_BAD) return false;
        if (m == MORE_NO) break;
        if (!read_value(r, element, &here)) return false;
    }
    lc_store_u32(r->out->ptr + count_at, here.index);
    return true;
}

static bool read_hex(reading *r, const char *expected)
{
    lc_span text;
    r->j.at++;
    if (!lc_json_string(&r->j, &text)) return false;
    lc_buf_put_u32(r->out, (uint32_t)(text.len / 2));
    uint8_t *bytes = lc_buf_extend(r->out, text.len / 2);
    if (text.len % 2 == 0 && lc_hex_decode(text, bytes)) return true;
    return wrong_string(r, text, "value", expected);
}

static bool read_array(reading *r, const lc_type *t, const place *at)
{
    const lc_type *element = lc_type_resolve(r->ts, t->element);
    bool is_bytes = element && element->kind == LC_TYPE_U8;
    const char *expected = is_bytes ? "a byte array or hex string" : "a vec";
    int c = lc_json_blanks(&r->j);
    if (c == '"' && is_bytes) return read_hex(r, expected);
    if (c == '[') return enter(r) && leave_array(r, read_elements(r, t->element, at));
    /* For bytes any kind of value is let in before it is refused. */
    if (c == '{' && is_bytes) return enter(r) && leave_object(r, wrong_kind(r, c, expected));
    return wrong_kind(r, c, expected);
}

/* ----------------------------------------------------------------- products */

/* More names than this are looked up in a map, built once per type: an input of many short objects
 * must not cost the length of the type for every key. */
#define NAMES_LINEAR 32

static const uint32_t no_member = UINT32_MAX;

static uint32_t find_in_map(reading *r, const lc_type *t, lc_span name)
{
    lc_map *map = lc_u64map_get(&r->names, (uintptr_t)t);
    if (!map) {
        map = lc_alloc_zero(sizeof *map);
        lc_u64map_put(&r->names, (uintptr_t)t, map);
        for (uint32_t i = t->member_count; i-- > 0;)
            if (t->members[i].name.ptr)
                lc_map_put(map, t->members[i].name, (void *)(uintptr_t)&t->members[i]);
    }
    const lc_type_member *m = lc_map_get(map, name);
    return m ? (uint32_t)(m - t->members) : no_member;
}

/* The first member of that name. */
static uint32_t find_member(reading *r, const lc_type *t, lc_span name)
{
    if (t->member_count > NAMES_LINEAR) return find_in_map(r, t, name);
    for (uint32_t i = 0; i < t->member_count; i++)
        if (t->members[i].name.ptr && lc_span_equal(t->members[i].name, name)) return i;
    return no_member;
}

/* Where the elements read so far lie in the output; they may have come in any order. */
typedef struct piece {
    size_t start, len;
    bool present;
} piece;

static void put_in_order(reading *r, const piece *pieces, uint32_t n, size_t start)
{
    bool ordered = true;
    size_t at = start;
    for (uint32_t i = 0; i < n && ordered; i++) {
        ordered = pieces[i].start == at;
        at += pieces[i].len;
    }
    if (ordered) return;
    size_t size = r->out->len - start;
    uint8_t *copy = lc_memdup(r->out->ptr + start, size);
    r->out->len = start;
    for (uint32_t i = 0; i < n; i++)
        lc_buf_put(r->out, copy + (pieces[i].start - start), pieces[i].len);
    lc_free(copy);
}

static bool missing(reading *r, const lc_type *t, uint32_t i, const char *word)
{
    lc_span name = t->members[i].name;
    if (!name.ptr) return complain(r, "missing %s (index %u)", word, i);
    return complain(r, "missing %s `" LC_SPAN_FMT "`", word, LC_SPAN_ARG(name));
}

static bool read_entries(reading *r, const lc_type *t, const char *word, piece *pieces,
                         const place *at)
{
    bool to_the_end = shape_of(r, t) != NULL;
    for (uint32_t n = 0; to_the_end || n < t->member_count; n++) {
        lc_span key;
        more m = next_key(r, n == 0, at, &key);
        if (m == MORE_BAD) return false;
        if (m == MORE_NO) break;
        uint32_t i = find_member(r, t, key);
        if (i == no_member) {
            unknown_name(r, t, word, word[0] == 'f' ? "fields" : "reducer arguments", key);
            return failed_at(r, &(place){.up = at, .key = key});
        }
        if (pieces[i].present)
            return complain(r, "duplicate %s `" LC_SPAN_FMT "`", word, LC_SPAN_ARG(key));
        if (!colon(r)) return failed_at(r, at);
        pieces[i].start = r->out->len;
        if (!read_value(r, t->members[i].type, &(place){.up = at, .key = t->members[i].name}))
            return false;
        pieces[i].len = r->out->len - pieces[i].start;
        pieces[i].present = true;
    }
    for (uint32_t i = 0; i < t->member_count; i++)
        if (!pieces[i].present) return missing(r, t, i, word);
    return true;
}

static bool read_object(reading *r, const lc_type *t, const call_words *words, const place *at)
{
    piece few[16] = {0};
    uint32_t n = t->member_count;
    piece *pieces = n <= LC_ARRAY_LEN(few) ? few : lc_alloc_zero(n * sizeof *pieces);
    size_t start = r->out->len;
    bool good = read_entries(r, t, words ? "reducer argument" : "field", pieces, at);
    if (good) put_in_order(r, pieces, n, start);
    if (pieces != few) lc_free(pieces);
    return good;
}

static bool read_tuple(reading *r, const lc_type *t, const call_words *words, const place *at)
{
    place here = {.up = at};
    for (; here.index < t->member_count; here.index++) {
        more m = more_elements(r, here.index == 0);
        if (m == MORE_BAD) return false;
        if (m == MORE_NO) {
            if (words)
                return complain(r,
                                "invalid length %u, expected reducer args for " LC_SPAN_FMT
                                " with %u elements",
                                here.index, LC_SPAN_ARG(words->function), t->member_count);
            const lc_json_shape *shape = shape_of(r, t);
            return complain(r, "invalid length %u, expected product type %s with %u elements",
                            here.index, shape ? shape->name : "<product>", t->member_count);
        }
        if (!read_value(r, t->members[here.index].type, &here)) return false;
    }
    return true;
}

static bool read_product(reading *r, const lc_type *t, const call_words *words, const place *at)
{
    int c = lc_json_blanks(&r->j);
    if (c == '[') return enter(r) && leave_array(r, read_tuple(r, t, words, at));
    if (c == '{') return enter(r) && leave_object(r, read_object(r, t, words, at));
    lc_buf expected = LC_BUF_INIT;
    const lc_json_shape *shape = shape_of(r, t);
    if (words)
        lc_buf_printf(&expected, "a " LC_SPAN_FMT " tuple", LC_SPAN_ARG(words->function));
    else if (shape)
        lc_buf_printf(&expected, "a %s tuple", shape->name);
    else
        lc_buf_printf(&expected, "a %u-element tuple", t->member_count);
    lc_buf_put_u8(&expected, 0);
    wrong_kind(r, c, (const char *)expected.ptr);
    lc_buf_deinit(&expected);
    return false;
}

/* --------------------------------------------------------------------- sums */

/* Text that Rust reads as u8: decimal digits, perhaps behind a plus. */
static bool tag_of_text(lc_span s, uint32_t *tag)
{
    size_t i = s.len > 1 && s.ptr[0] == '+';
    *tag = 0;
    if (s.len == 0) return false;
    for (; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9') return false;
        *tag = *tag * 10 + (s.ptr[i] - '0');
        if (*tag > UINT8_MAX) return false;
    }
    return true;
}

static bool known_tag(reading *r, const lc_type *t, uint32_t tag)
{
    const lc_json_shape *shape = shape_of(r, t);
    return tag < t->member_count ||
           complain(r, "unknown tag 0x%x for sum type %s", tag, shape ? shape->name : "<unknown>");
}

static bool variant_of_text(reading *r, const lc_type *t, lc_span text, uint32_t *tag)
{
    if (tag_of_text(text, tag)) return known_tag(r, t, *tag);
    for (*tag = 0; *tag < lc_sum_tags(t); ++*tag) {
        lc_span name = t->members[*tag].name;
        if (name.ptr && lc_span_equal(name, text)) return true;
    }
    return unknown_name(r, t, "variant", "variants", text);
}

static bool read_variant_in_array(reading *r, const lc_type *t, uint32_t *tag)
{
    static const char expected[] = "variant identifier (string or int)";
    int c = lc_json_blanks(&r->j);
    lc_span text;
    json_number n;
    if (c == '"') {
        r->j.at++;
        return lc_json_string(&r->j, &text) && variant_of_text(r, t, text, tag);
    }
    if (c == '[' && !enter(r)) return false;
    if (c == '[') return leave_array(r, wrong_kind(r, c, expected));
    if (c == '{' && !enter(r)) return false;
    if (c == '{') return leave_object(r, wrong_kind(r, c, expected));
    if (c < '0' || c > '9') return wrong_kind(r, c, expected);
    if (!read_number(r, &n)) return false;
    if (n.kind != NUMBER_U64) return wrong_number(r, &n, "type", expected);
    if (n.u > UINT8_MAX) return wrong_number(r, &n, "value", "a u8 tag");
    *tag = (uint32_t)n.u;
    return known_tag(r, t, *tag);
}

static bool read_sum_array(reading *r, const lc_type *t, const place *at)
{
    static const char wrong_count[] =
        "expected seq representing sum type to have exactly two fields";
    place here = {.up = at};
    uint32_t tag;
    more m = more_elements(r, true);
    if (m == MORE_BAD) return false;
    if (m == MORE_NO) return complain(r, "%s", wrong_count);
    if (!read_variant_in_array(r, t, &tag)) {
        place_message(r);
        return failed_at(r, &here);
    }
    m = more_elements(r, false);
    if (m == MORE_BAD) return false;
    if (m == MORE_NO) return complain(r, "%s", wrong_count);
    lc_buf_put_u8(r->out, (uint8_t)tag);
    here.index = 1;
    return read_value(r, t->members[tag].type, &here);
}

static bool read_sum_object(reading *r, const lc_type *t, const place *at)
{
    lc_span key;
    uint32_t tag;
    more m = next_key(r, true, at, &key);
    if (m == MORE_BAD) return false;
    if (m == MORE_NO)
        return complain(r, "expected map representing sum type to have exactly one field");
    place here = {.up = at, .key = keep_key(r, key)};
    if (!variant_of_text(r, t, key, &tag)) return failed_at(r, &here);
    if (!colon(r)) return failed_at(r, at);
    lc_buf_put_u8(r->out, (uint8_t)tag);
    return read_value(r, t->members[tag].type, &here);
}

static bool read_sum(reading *r, const lc_type *t, const place *at)
{
    int c = lc_json_blanks(&r->j);
    if (c == '[') return enter(r) && leave_array(r, read_sum_array(r, t, at));
    if (c == '{') return enter(r) && leave_object(r, read_sum_object(r, t, at));
    const lc_json_shape *shape = shape_of(r, t);
    if (shape) {
        char *expected = lc_format("sum type %s", shape->name);
        wrong_kind(r, c, expected);
        lc_free(expected);
        return false;
    }
    if (c != 'n' || t->special != LC_SPECIAL_OPTION) return wrong_kind(r, c, "sum type");
    r->j.at++;
    if (!lc_json_literal(&r->j, "ull")) return false;
    lc_buf_put_u8(r->out, 1); /* none */
    return true;
}

/* ------------------------------------------------------------------- values */

static bool dispatch(reading *r, const lc_type *t, const place *at)
{
    const lc_type *target = lc_type_resolve(r->ts, t);
    if (!target) return complain(r, "Type reference &%u out of bounds", t->ref);
    switch (target->kind) {
    case LC_TYPE_REF:
        LC_BUG("a resolved reference is a reference");
    case LC_TYPE_SUM:
        return read_sum(r, target, at);
    case LC_TYPE_PRODUCT:
        return read_product(r, target, NULL, at);
    case LC_TYPE_ARRAY:
        return read_array(r, target, at);
    case LC_TYPE_STRING:
        return read_string(r);
    case LC_TYPE_BOOL:
        return read_bool(r);
    case LC_TYPE_I128:
    case LC_TYPE_U128:
        return read_integer_128(r, target->kind == LC_TYPE_I128);
    case LC_TYPE_I256:
    case LC_TYPE_U256:
        return read_integer_256(r, target->kind == LC_TYPE_I256);
    case LC_TYPE_F32:
    case LC_TYPE_F64:
        return read_float(r, target->kind);
    default:
        return read_integer(r, target->kind);
    }
}

/* The reference looks at a flag when it has left it, so that its place is the end of the struct. */
static bool known_flag(reading *r, const lc_type *t)
{
    const lc_json_shape *shape = t->kind == LC_TYPE_U8 ? shape_of(r, t) : NULL;
    if (!shape) return true;
    uint8_t flag = r->out->ptr[r->out->len - 1];
    return flag <= shape->max_flag || complain(r, "invalid %s %u", shape->name, flag);
}

static bool read_value(reading *r, const lc_type *t, const place *at)
{
    if (dispatch(r, t, at)) return known_flag(r, t);
    place_message(r);
    return failed_at(r, at);
}

static void start(reading *r, const lc_typespace *ts, lc_span json, lc_buf *out, lc_error *err)
{
    *r = (reading){.ts = ts, .out = out, .out_start = out->len};
    lc_json_init(&r->j, json, err);
}

/* Nothing but blanks may follow; an error there has no path. */
static bool finish(reading *r)
{
    if (lc_json_blanks(&r->j) < 0) return true;
    return lc_json_error_next(&r->j, "trailing characters");
}

static lc_status stop(reading *r, bool good)
{
    if (!good) r->out->len = r->out_start;
    size_t at = 0;
    for (lc_u64map_slot *s; (s = lc_u64map_next(&r->names, &at));) {
        lc_map_deinit(s->value);
        lc_free(s->value);
    }
    lc_u64map_deinit(&r->names);
    lc_arena_deinit(&r->keys);
    lc_buf_deinit(&r->path);
    lc_json_deinit(&r->j);
    return good ? LC_OK : LC_E_INVALID;
}

lc_status lc_json_to_bsatn(const lc_type *t, const lc_typespace *ts, lc_span json, lc_buf *out,
                           lc_error *err)
{
    reading r;
    start(&r, ts, json, out, err);
    bool good = read_value(&r, t, &(place){0}) && finish(&r);
    if (!good && r.path.len) lc_error_prefix(err, LC_SPAN_FMT ": ", LC_SPAN_ARG(r.path));
    return stop(&r, good);
}

lc_status lc_json_message_to_bsatn(const lc_type *t, const lc_json_shape *shapes, uint32_t count,
                                   lc_span json, lc_buf *out, lc_error *err)
{
    reading r;
    start(&r, NULL, json, out, err);
    r.shapes = shapes;
    r.shape_count = count;
    return stop(&r, read_value(&r, t, &(place){0}) && finish(&r));
}

lc_status lc_json_args_to_bsatn(const lc_type *params, const lc_typespace *ts, const char *kind,
                                lc_span name, lc_span json, lc_buf *out, lc_buf *path,
                                lc_error *err)
{
    (void)kind; /* the reference says "reducer" of procedures and views, too */
    reading r;
    place root = {0};
    call_words words = {name};
    start(&r, ts, json, out, err);
    bool good = read_product(&r, params, &words, &root);
    if (!good) {
        place_message(&r);
        failed_at(&r, &root);
        if (path) {
            lc_buf_put_span(path, lc_buf_span(&r.path));
            if (r.path.len == 0) lc_buf_put_u8(path, '.');
        }
    } else {
        good = finish(&r);
    }
    return stop(&r, good);
}
