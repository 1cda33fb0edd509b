/* BSATN to SATS-JSON in the four flavours of 01 section 4.1. */
#include "sats_internal.h"

/* ------------------------------------------------------------------ strings */

void lc_json_write_string(lc_span text, lc_buf *out)
{
    /* What serde_json escapes: quote, backslash and controls; the rest stays as it is. */
    static const char short_forms[32] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    lc_buf_reserve(out, text.len + 2);
    lc_buf_put_u8(out, '"');
    size_t from = 0;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        if (LC_LIKELY(c >= 0x20 && c != '"' && c != '\\')) continue;
        lc_buf_put(out, text.ptr + from, i - from);
        from = i + 1;
        lc_buf_put_u8(out, '\\');
        if (c >= 0x20)
            lc_buf_put_u8(out, c);
        else if (short_forms[c])
            lc_buf_put_u8(out, (uint8_t)short_forms[c]);
        else
            lc_buf_printf(out, "u%04x", c);
    }
    if (from < text.len) lc_buf_put(out, text.ptr + from, text.len - from);
    lc_buf_put_u8(out, '"');
}

/* Characters without ink of their own, which Rust therefore writes by number. */
static bool is_printable(uint32_t c)
{
    static const uint32_t unprintable[][2] = {
        {0x00, 0x1f},        {0x7f, 0xa0},     {0xad, 0xad},     {0x300, 0x36f},   {0x600, 0x605},
        {0x61c, 0x61c},      {0x6dd, 0x6dd},   {0x70f, 0x70f},   {0x1680, 0x1680}, {0x180e, 0x180e},
        {0x2000, 0x200f},    {0x2028, 0x202f}, {0x205f, 0x206f}, {0x20d0, 0x20f0}, {0x3000, 0x3000},
        {0xe000, 0xf8ff},    {0xfe00, 0xfe0f}, {0xfeff, 0xfeff}, {0xfff0, 0xfffb}, {0xfffe, 0xffff},
        {0xe0000, 0x10ffff},
    };
    for (size_t i = 0; i < LC_ARRAY_LEN(unprintable); i++)
        if (c >= unprintable[i][0] && c <= unprintable[i][1]) return false;
    return true;
}

static size_t code_point(const uint8_t *p, uint32_t *c)
{
    if (p[0] < 0x80) {
        *c = p[0];
        return 1;
    }
    size_t n = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    *c = p[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) *c = *c << 6 | (p[i] & 0x3f);
    return n;
}

void lc_rust_debug(lc_span text, char quote, lc_buf *out)
{
    lc_buf_put_u8(out, (uint8_t)quote);
    for (size_t i = 0, n; i < text.len; i += n) {
        uint32_t c;
        n = code_point(text.ptr + i, &c);
        if (c == (uint32_t)quote || c == '\\')
            lc_buf_printf(out, "\\%c", (char)c);
        else if (c == '\n')
            lc_buf_put_str(out, "\\n");
        else if (c == '\r')
            lc_buf_put_str(out, "\\r");
        else if (c == '\t')
            lc_buf_put_str(out, "\\t");
        else if (c == 0)
            lc_buf_put_str(out, "\\0");
        else if (!is_printable(c))
            lc_buf_printf(out, "\\u{%x}", c);
        else
            lc_buf_put(out, text.ptr + i, n);
    }
    lc_buf_put_u8(out, (uint8_t)quote);
}

/* ------------------------------------------------------------------- values */

typedef struct writer {
    const lc_typespace *ts;
    lc_json_flavour flavour;
    lc_buf *out;
} writer;

/* Each returns the end of the value. */
static const uint8_t *write_value(writer *w, const lc_type *t, const uint8_t *value);

static void write_hex(lc_buf *out, const uint8_t *bytes, size_t n)
{
    lc_buf_put_u8(out, '"');
    lc_hex_encode(bytes, n, (char *)lc_buf_extend(out, 2 * n));
    lc_buf_put_u8(out, '"');
}

static const uint8_t *write_array(writer *w, const lc_type *t, const uint8_t *value)
{
    const lc_type *element = lc_type_behind(w->ts, t->element);
    uint32_t n = lc_load_u32(value);
    value += 4;
    if (element->kind == LC_TYPE_U8) {
        write_hex(w->out, value, n);
        return value + n;
    }
    lc_buf_put_u8(w->out, '[');
    for (uint32_t i = 0; i < n; i++) {
        if (i) lc_buf_put_u8(w->out, ',');
        value = write_value(w, element, value);
    }
    lc_buf_put_u8(w->out, ']');
    return value;
}

static const uint8_t *write_product(writer *w, const lc_type *t, const uint8_t *value)
{
    bool as_array =
        w->flavour == LC_JSON_UNTYPED || (w->flavour == LC_JSON_NATIVE && t->member_count == 0);
    lc_buf_put_u8(w->out, as_array ? '[' : '{');
    for (uint32_t i = 0; i < t->member_count; i++) {
        const lc_type_member *m = &t->members[i];
        if (i) lc_buf_put_u8(w->out, ',');
        if (!as_array) {
            /* The reference refuses unnamed elements here; their index says more than nothing. */
            if (m->name.ptr)
                lc_json_write_string(m->name, w->out);
            else
                lc_buf_printf(w->out, "\"%u\"", i);
            lc_buf_put_u8(w->out, ':');
        }
        value = write_value(w, m->type, value);
    }
    lc_buf_put_u8(w->out, as_array ? ']' : '}');
    return value;
}

static const uint8_t *write_sum(writer *w, const lc_type *t, const uint8_t *value)
{
    uint8_t tag = *value++;
    const lc_type_member *m = &t->members[tag];
    bool by_name = (w->flavour == LC_JSON_TYPED || w->flavour == LC_JSON_NATIVE) && m->name.ptr;
    if (by_name) {
        lc_buf_put_u8(w->out, '{');
        lc_json_write_string(m->name, w->out);
        lc_buf_put_u8(w->out, ':');
    } else {
        lc_buf_printf(w->out, "[%u,", tag);
    }
    value = write_value(w, m->type, value);
    lc_buf_put_u8(w->out, by_name ? '}' : ']');
    return value;
}

static const uint8_t *write_value(writer *w, const lc_type *t, const uint8_t *value)
{
    t = lc_type_behind(w->ts, t);
    switch (t->kind) {
    case LC_TYPE_REF:
        LC_BUG("a resolved reference is a reference");
    case LC_TYPE_SUM:
        return write_sum(w, t, value);
    case LC_TYPE_PRODUCT:
        return write_product(w, t, value);
    case LC_TYPE_ARRAY:
        return write_array(w, t, value);
    case LC_TYPE_STRING: {
        uint32_t n = lc_load_u32(value);
        lc_json_write_string(LC_SPAN(value + 4, n), w->out);
        return value + 4 + n;
    }
    case LC_TYPE_BOOL:
        lc_buf_put_str(w->out, *value ? "true" : "false");
        break;
    case LC_TYPE_I256:
    case LC_TYPE_U256:
        lc_buf_put_u8(w->out, '"');
        lc_u256_to_hex(value, t->kind == LC_TYPE_I256, w->out);
        lc_buf_put_u8(w->out, '"');
        break;
    case LC_TYPE_F32: {
        float f;
        memcpy(&f, value, sizeof f);
        lc_json_write_f32(f, w->out);
        break;
    }
    case LC_TYPE_F64: {
        double f;
        memcpy(&f, value, sizeof f);
        lc_json_write_f64(f, w->out);
        break;
    }
    default:
        lc_integer_write(t->kind, value, w->out);
        break;
    }
    return value + t->fixed_size;
}

size_t lc_json_write(const lc_type *t, const lc_typespace *ts, const uint8_t *value,
                     lc_json_flavour flavour, lc_buf *out)
{
    writer w = {.ts = ts, .flavour = flavour, .out = out};
    return (size_t)(write_value(&w, t, value) - value);
}
