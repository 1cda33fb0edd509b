/*
 * Function names of Rust modules as people write them. Both schemes in use: the older one (_ZN,
 * path elements with their lengths, E) and v0 (_R, a small grammar with back references; RFC 2603).
 * The form is that of Rust's own tools with hashes shown. Names in neither scheme, or malformed,
 * stay as they are. Names come from uploaded modules: recursion and output are limited.
 */
#include "host/wasm/wasm_internal.h"

#define DEPTH_MAX  200
#define OUTPUT_MAX 16384u
#define STEPS_MAX  100000

/* ------------------------------------------------------------ older scheme */

/* One path element with its $..$ escapes and '..' undone. */
static void put_element(lc_buf *out, lc_span s)
{
    static const struct {
        const char *code, *text;
    } escapes[] = {{"$SP$", "@"}, {"$BP$", "*"}, {"$RF$", "&"}, {"$LT$", "<"},
                   {"$GT$", ">"}, {"$LP$", "("}, {"$RP$", ")"}, {"$C$", ","}};
    if (s.len > 1 && s.ptr[0] == '_' && s.ptr[1] == '$') s = LC_SPAN(s.ptr + 1, s.len - 1);
    for (size_t at = 0; at < s.len;) {
        const char *rest = (const char *)s.ptr + at;
        size_t left = s.len - at;
        if (left >= 2 && rest[0] == '.' && rest[1] == '.') {
            lc_buf_put_str(out, "::");
            at += 2;
            continue;
        }
        bool found = false;
        for (size_t i = 0; rest[0] == '$' && i < LC_ARRAY_LEN(escapes) && !found; i++) {
            size_t len = strlen(escapes[i].code);
            if (left < len || memcmp(rest, escapes[i].code, len) != 0) continue;
            lc_buf_put_str(out, escapes[i].text);
            at += len;
            found = true;
        }
        if (found) continue;
        if (left >= 5 && rest[0] == '$' && rest[1] == 'u') { /* $u7e$ */
            unsigned code = 0;
            size_t i = 2;
            for (; i < left && i < 8; i++) {
                char c = rest[i];
                if (c >= '0' && c <= '9')
                    code = code * 16 + (unsigned)(c - '0');
                else if (c >= 'a' && c <= 'f')
                    code = code * 16 + (unsigned)(c - 'a' + 10);
                else
                    break;
            }
            if (i < left && rest[i] == '$' && code >= 0x20 && code < 0x7f) {
                lc_buf_put_u8(out, (uint8_t)code);
                at += i + 1;
                continue;
            }
        }
        lc_buf_put_u8(out, s.ptr[at++]);
    }
}

static bool demangle_legacy(lc_span name, lc_buf *out)
{
    size_t at = 3;
    bool is_first = true;
    while (at < name.len && name.ptr[at] != 'E') {
        size_t len = 0;
        while (at < name.len && name.ptr[at] >= '0' && name.ptr[at] <= '9' && len <= name.len)
            len = len * 10 + (size_t)(name.ptr[at++] - '0');
        if (len == 0 || len > name.len - at) return false;
        if (!is_first) lc_buf_put_str(out, "::");
        put_element(out, LC_SPAN(name.ptr + at, len));
        is_first = false;
        at += len;
    }
    return !is_first && at < name.len && (at + 1 == name.len || name.ptr[at + 1] == '.');
}

/* -------------------------------------------------------------- v0 scheme */

typedef struct v0 {
    const char *begin, *at, *end; /* begin: after _R, where back references count from */
    lc_buf *out;                  /* NULL while what is read is not to be seen */
    size_t out_limit;
    uint64_t bound_lifetimes;
    int depth, steps;
    bool failed;
} v0;

typedef struct v0_name {
    lc_span ascii, punycode;
} v0_name;

static void put_path(v0 *d, bool in_value);
static void put_type(v0 *d);
static void put_const(v0 *d, bool in_value);

static void put(v0 *d, const char *text)
{
    if (!d->out || d->failed) return;
    lc_buf_put_str(d->out, text);
    if (d->out->len > d->out_limit) d->failed = true;
}

static void put_span(v0 *d, lc_span text)
{
    if (!d->out || d->failed) return;
    lc_buf_put_span(d->out, text);
    if (d->out->len > d->out_limit) d->failed = true;
}

static void put_number(v0 *d, const char *format, uint64_t n)
{
    if (!d->out || d->failed) return;
    lc_buf_printf(d->out, format, (unsigned long long)n);
}

static char next(v0 *d)
{
    if (d->failed || d->at == d->end || ++d->steps > STEPS_MAX) {
        d->failed = true;
        return 0;
    }
    return *d->at++;
}

static bool eat(v0 *d, char c)
{
    if (d->failed || d->at == d->end || *d->at != c) return false;
    d->at++;
    return true;
}

static bool enter(v0 *d)
{
    if (++d->depth > DEPTH_MAX) d->failed = true;
    return !d->failed;
}

static uint64_t base62(v0 *d)
{
    if (eat(d, '_')) return 0;
    uint64_t n = 0;
    for (;;) {
        char c = next(d);
        uint64_t digit = 0;
        if (c == '_') break;
        if (c >= '0' && c <= '9')
            digit = (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'z')
            digit = (uint64_t)(c - 'a') + 10;
        else if (c >= 'A' && c <= 'Z')
            digit = (uint64_t)(c - 'A') + 36;
        else
            d->failed = true;
        if (d->failed || __builtin_mul_overflow(n, 62, &n) ||
            __builtin_add_overflow(n, digit, &n)) {
            d->failed = true;
            return 0;
        }
    }
    return n + 1;
}

/* An optional number behind a tag: 0 when absent. */
static uint64_t tagged(v0 *d, char tag)
{
    return eat(d, tag) ? base62(d) + 1 : 0;
}

static v0_name identifier(v0 *d)
{
    v0_name name = {LC_SPAN_EMPTY, LC_SPAN_EMPTY};
    bool is_punycode = eat(d, 'u');
    char c = next(d);
    if (c < '0' || c > '9') d->failed = true;
    size_t len = (size_t)(c - '0');
    while (!d->failed && len && d->at < d->end && *d->at >= '0' && *d->at <= '9' && len < 65536)
        len = len * 10 + (size_t)(*d->at++ - '0');
    eat(d, '_');
    if (d->failed || len > (size_t)(d->end - d->at)) {
        d->failed = true;
        return name;
    }
    name.ascii = LC_SPAN(d->at, len);
    d->at += len;
    if (is_punycode) {
        size_t i = len;
        while (i && name.ascii.ptr[i - 1] != '_') i--;
        name.punycode = LC_SPAN(name.ascii.ptr + i, len - i);
        name.ascii.len = i ? i - 1 : 0;
    }
    return name;
}

static void put_name(v0 *d, v0_name name)
{
    if (name.punycode.len) put(d, "punycode{");
    put_span(d, name.ascii);
    if (!name.punycode.len) return;
    if (name.ascii.len) put(d, "-");
    put_span(d, name.punycode);
    put(d, "}");
}

/* Reads an earlier place again with one of the functions above. */
#define BACKREF(d, call)                                                                           \
    do {                                                                                           \
        const char *tag_at_ = (d)->at - 1;                                                         \
        uint64_t to_ = base62(d);                                                                  \
        if ((d)->failed || to_ >= (uint64_t)(tag_at_ - (d)->begin)) {                              \
            (d)->failed = true;                                                                    \
        } else if ((d)->out) {                                                                     \
            const char *back_ = (d)->at;                                                           \
            (d)->at = (d)->begin + to_;                                                            \
            call;                                                                                  \
            (d)->at = back_;                                                                       \
        }                                                                                          \
    } while (0)

static void put_lifetime(v0 *d, uint64_t index)
{
    if (!d->out) return; /* binders are not counted then */
    put(d, "'");
    if (index == 0) {
        put(d, "_");
    } else if (index > d->bound_lifetimes) {
        d->failed = true;
    } else if (d->bound_lifetimes - index < 26) {
        char c[2] = {(char)('a' + (d->bound_lifetimes - index)), 0};
        put(d, c);
    } else {
        put_number(d, "_%llu", d->bound_lifetimes - index);
    }
}

/* for<'a, ..>; gives the number of lifetimes, which the caller takes off again. */
static uint64_t open_binder(v0 *d)
{
    uint64_t count = tagged(d, 'G');
    if (!d->out || !count) return 0;
    put(d, "for<");
    for (uint64_t i = 0; i < count && !d->failed; i++) {
        if (i) put(d, ", ");
        d->bound_lifetimes++;
        put_lifetime(d, 1);
    }
    put(d, "> ");
    return count;
}

static void put_generic_arg(v0 *d)
{
    if (eat(d, 'L'))
        put_lifetime(d, base62(d));
    else if (eat(d, 'K'))
        put_const(d, false);
    else
        put_type(d);
}

static void put_generic_args(v0 *d)
{
    for (bool first = true; !d->failed && !eat(d, 'E'); first = false) {
        if (!first) put(d, ", ");
        put_generic_arg(d);
    }
}

static int put_types(v0 *d)
{
    int count = 0;
    for (; !d->failed && !eat(d, 'E'); count++) {
        if (count) put(d, ", ");
        put_type(d);
    }
    return count;
}

static void put_nested_path(v0 *d, bool in_value)
{
    char namespace = next(d);
    put_path(d, in_value);
    uint64_t number = tagged(d, 's');
    v0_name name = identifier(d);
    bool has_name = name.ascii.len || name.punycode.len;
    if (namespace >= 'A' && namespace <= 'Z') {
        char other[2] = {namespace, 0};
        put(d, "::{");
        put(d, namespace == 'C' ? "closure" : namespace == 'S' ? "shim" : other);
        if (has_name) put(d, ":");
        if (has_name) put_name(d, name);
        put_number(d, "#%llu}", number);
    } else if (namespace >= 'a' && namespace <= 'z') {
        if (has_name) put(d, "::");
        if (has_name) put_name(d, name);
    } else {
        d->failed = true;
    }
}

static void put_path(v0 *d, bool in_value)
{
    if (!enter(d)) return;
    char tag = next(d);
    switch (tag) {
    case 'C': {
        uint64_t hash = tagged(d, 's');
        put_name(d, identifier(d));
        if (hash) put_number(d, "[%llx]", hash);
        break;
    }
    case 'N':
        put_nested_path(d, in_value);
        break;
    case 'M':
    case 'X': { /* the impl's own path is not shown */
        tagged(d, 's');
        lc_buf *out = d->out;
        d->out = NULL;
        put_path(d, false);
        d->out = out;
    }
    /* fall through */
    case 'Y':
        put(d, "<");
        put_type(d);
        if (tag != 'M') put(d, " as ");
        if (tag != 'M') put_path(d, false);
        put(d, ">");
        break;
    case 'I':
        put_path(d, in_value);
        put(d, in_value ? "::<" : "<");
        put_generic_args(d);
        put(d, ">");
        break;
    case 'B':
        BACKREF(d, put_path(d, in_value));
        break;
    default:
        d->failed = true;
    }
    d->depth--;
}

/* A trait whose generic arguments may be followed by bindings; true: the list is still open. */
static bool put_open_path(v0 *d)
{
    bool is_open = false;
    if (!enter(d)) return false;
    if (eat(d, 'B')) {
        BACKREF(d, is_open = put_open_path(d));
    } else if (eat(d, 'I')) {
        put_path(d, false);
        put(d, "<");
        put_generic_args(d);
        is_open = true;
    } else {
        put_path(d, false);
    }
    d->depth--;
    return is_open;
}

static void put_dyn(v0 *d)
{
    put(d, "dyn ");
    uint64_t bound = open_binder(d);
    for (bool first = true; !d->failed && !eat(d, 'E'); first = false) {
        if (!first) put(d, " + ");
        bool is_open = put_open_path(d);
        while (eat(d, 'p')) {
            put(d, is_open ? ", " : "<");
            is_open = true;
            put_name(d, identifier(d));
            put(d, " = ");
            put_type(d);
        }
        if (is_open) put(d, ">");
    }
    d->bound_lifetimes -= bound;
    if (!eat(d, 'L')) d->failed = true;
    uint64_t lifetime = base62(d);
    if (lifetime) put(d, " + ");
    if (lifetime) put_lifetime(d, lifetime);
}

static void put_fn(v0 *d)
{
    uint64_t bound = open_binder(d);
    if (eat(d, 'U')) put(d, "unsafe ");
    if (eat(d, 'K')) {
        put(d, "extern \"");
        if (eat(d, 'C')) {
            put(d, "C");
        } else {
            lc_span abi = identifier(d).ascii;
            for (size_t i = 0; i < abi.len; i++)
                put_span(d, abi.ptr[i] == '_' ? LC_STR("-") : LC_SPAN(abi.ptr + i, 1));
        }
        put(d, "\" ");
    }
    put(d, "fn(");
    put_types(d);
    put(d, ")");
    if (!eat(d, 'u')) {
        put(d, " -> ");
        put_type(d);
    }
    d->bound_lifetimes -= bound;
}

static const char *basic_type(char tag)
{
    static const char *const names[26] = {
        ['a' - 'a'] = "i8",    ['b' - 'a'] = "bool", ['c' - 'a'] = "char", ['d' - 'a'] = "f64",
        ['e' - 'a'] = "str",   ['f' - 'a'] = "f32",  ['h' - 'a'] = "u8",   ['i' - 'a'] = "isize",
        ['j' - 'a'] = "usize", ['l' - 'a'] = "i32",  ['m' - 'a'] = "u32",  ['n' - 'a'] = "i128",
        ['o' - 'a'] = "u128",  ['p' - 'a'] = "_",    ['s' - 'a'] = "i16",  ['t' - 'a'] = "u16",
        ['u' - 'a'] = "()",    ['v' - 'a'] = "...",  ['x' - 'a'] = "i64",  ['y' - 'a'] = "u64",
        ['z' - 'a'] = "!",
    };
    return tag >= 'a' && tag <= 'z' ? names[tag - 'a'] : NULL;
}

static void put_type(v0 *d)
{
    if (!enter(d)) return;
    char tag = next(d);
    switch (tag) {
    case 'R':
    case 'Q':
        put(d, "&");
        if (eat(d, 'L')) {
            uint64_t lifetime = base62(d);
            if (lifetime) put_lifetime(d, lifetime);
            if (lifetime) put(d, " ");
        }
        if (tag == 'Q') put(d, "mut ");
        put_type(d);
        break;
    case 'P':
    case 'O':
        put(d, tag == 'P' ? "*const " : "*mut ");
        put_type(d);
        break;
    case 'A':
    case 'S':
        put(d, "[");
        put_type(d);
        if (tag == 'A') put(d, "; ");
        if (tag == 'A') put_const(d, true);
        put(d, "]");
        break;
    case 'T':
        put(d, "(");
        if (put_types(d) == 1) put(d, ",");
        put(d, ")");
        break;
    case 'F':
        put_fn(d);
        break;
    case 'D':
        put_dyn(d);
        break;
    case 'B':
        BACKREF(d, put_type(d));
        break;
    default:
        if (basic_type(tag)) {
            put(d, basic_type(tag));
        } else if (!d->failed) {
            d->at--;
            put_path(d, false);
        }
    }
    d->depth--;
}

/* Hexadecimal digits up to '_'. */
static lc_span hex_digits(v0 *d)
{
    const char *begin = d->at;
    char c;
    do {
        c = next(d);
    } while ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'));
    if (c != '_') d->failed = true;
    return d->failed ? LC_SPAN_EMPTY : LC_SPAN(begin, (size_t)(d->at - begin) - 1);
}

static uint64_t hex_value(lc_span digits)
{
    uint64_t n = 0;
    for (size_t i = 0; i < digits.len; i++)
        n = n * 16 +
            (uint64_t)(digits.ptr[i] <= '9' ? digits.ptr[i] - '0' : digits.ptr[i] - 'a' + 10);
    return n;
}

static void put_integer(v0 *d, char tag)
{
    lc_span digits = hex_digits(d);
    while (digits.len && digits.ptr[0] == '0') digits = LC_SPAN(digits.ptr + 1, digits.len - 1);
    if (digits.len <= 16) {
        put_number(d, "%llu", hex_value(digits));
    } else {
        put(d, "0x");
        put_span(d, digits);
    }
    put(d, basic_type(tag));
}

static void put_char(v0 *d)
{
    uint64_t c = hex_value(hex_digits(d));
    if (c >= 0x20 && c < 0x7f && c != '\'' && c != '\\') {
        char text[4] = {'\'', (char)c, '\'', 0};
        put(d, text);
    } else {
        put_number(d, "'\\u{%llx}'", c);
    }
}

static void put_string(v0 *d)
{
    lc_span digits = hex_digits(d);
    put(d, "\"");
    for (size_t i = 0; i + 1 < digits.len; i += 2) {
        uint8_t c = (uint8_t)hex_value(LC_SPAN(digits.ptr + i, 2));
        if (c == '"' || c == '\\') put(d, "\\");
        put_span(d, LC_SPAN(&c, 1));
    }
    put(d, "\"");
}

static void put_consts(v0 *d, const char *open, const char *close)
{
    int count = 0;
    put(d, open);
    for (; !d->failed && !eat(d, 'E'); count++) {
        if (count) put(d, ", ");
        put_const(d, true);
    }
    if (count == 1 && open[0] == '(') put(d, ",");
    put(d, close);
}

static void put_variant(v0 *d)
{
    put_path(d, true);
    switch (next(d)) {
    case 'U':
        break;
    case 'T': {
        put(d, "(");
        for (bool first = true; !d->failed && !eat(d, 'E'); first = false) {
            if (!first) put(d, ", ");
            put_const(d, true);
        }
        put(d, ")");
        break;
    }
    case 'S':
        put(d, " { ");
        for (bool first = true; !d->failed && !eat(d, 'E'); first = false) {
            if (!first) put(d, ", ");
            tagged(d, 's');
            put_name(d, identifier(d));
            put(d, ": ");
            put_const(d, true);
        }
        put(d, " }");
        break;
    default:
        d->failed = true;
    }
}

static void put_const(v0 *d, bool in_value)
{
    if (!enter(d)) return;
    char tag = next(d);
    bool braces = !in_value && strchr("eRQATV", tag) && tag;
    if (tag == 'R' && d->at < d->end && *d->at == 'e') braces = false; /* a plain "text" */
    if (braces) put(d, "{");
    switch (tag) {
    case 'p':
        put(d, "_");
        break;
    case 'h':
    case 't':
    case 'm':
    case 'y':
    case 'o':
    case 'j':
        put_integer(d, tag);
        break;
    case 'a':
    case 's':
    case 'l':
    case 'x':
    case 'n':
    case 'i':
        if (eat(d, 'n')) put(d, "-");
        put_integer(d, tag);
        break;
    case 'b':
        put(d, hex_value(hex_digits(d)) ? "true" : "false");
        break;
    case 'c':
        put_char(d);
        break;
    case 'e':
        put(d, "*");
        put_string(d);
        break;
    case 'R':
    case 'Q':
        if (tag == 'R' && eat(d, 'e')) {
            put_string(d);
        } else {
            put(d, tag == 'Q' ? "&mut " : "&");
            put_const(d, true);
        }
        break;
    case 'A':
        put_consts(d, "[", "]");
        break;
    case 'T':
        put_consts(d, "(", ")");
        break;
    case 'V':
        put_variant(d);
        break;
    case 'B':
        BACKREF(d, put_const(d, in_value));
        break;
    default:
        d->failed = true;
    }
    if (braces) put(d, "}");
    d->depth--;
}

static bool demangle_v0(lc_span name, lc_buf *out)
{
    const char *text = (const char *)name.ptr;
    v0 d = {
        .begin = text + 2,
        .at = text + 2,
        .end = text + name.len,
        .out = out,
        .out_limit = out->len + OUTPUT_MAX,
    };
    put_path(&d, true);
    if (!d.failed && d.at < d.end && *d.at >= 'A' && *d.at <= 'Z') {
        d.out = NULL; /* the crate that instantiated it */
        put_path(&d, false);
    }
    return !d.failed && (d.at == d.end || *d.at == '.');
}

void lc_demangle(lc_span name, lc_buf *out)
{
    size_t begin = out->len;
    bool good = false;
    if (name.len > 4 && memcmp(name.ptr, "_ZN", 3) == 0)
        good = demangle_legacy(name, out);
    else if (name.len > 3 && memcmp(name.ptr, "_R", 2) == 0)
        good = demangle_v0(name, out);
    if (good) return;
    out->len = begin;
    lc_utf8_lossy(name, out);
}
