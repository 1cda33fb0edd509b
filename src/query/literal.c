/* Literal texts to values. Only the wanted type says how a text is read: a string may hold a
 * number, a number may be meant as text, and the digits of a hexadecimal token are decimal to a
 * number (06 section 5.2). */
#include "query/plan_internal.h"

#include <stdlib.h>

/* --------------------------------------------------------------- decimals */

/* [+-] digits [. digits] [e [+-] digits], taken apart. */
typedef struct decimal {
    bool is_negative;
    lc_span whole, fraction;
    int64_t exponent;
} decimal;

static lc_span digits(const uint8_t **at, const uint8_t *end)
{
    const uint8_t *begin = *at;
    while (*at < end && **at >= '0' && **at <= '9') ++*at;
    return LC_SPAN(begin, (size_t)(*at - begin));
}

static bool parse_decimal(lc_span text, decimal *d)
{
    const uint8_t *at = text.ptr, *end = text.ptr + text.len;
    *d = (decimal){0};
    if (text.len == 0) return false;
    if (*at == '+' || *at == '-') d->is_negative = *at++ == '-';
    d->whole = digits(&at, end);
    if (at < end && *at == '.') {
        at++;
        d->fraction = digits(&at, end);
    }
    if (d->whole.len + d->fraction.len == 0) return false;
    if (at < end && (*at | 0x20) == 'e') {
        bool is_negative = false;
        if (++at < end && (*at == '+' || *at == '-')) is_negative = *at++ == '-';
        lc_span e = digits(&at, end);
        if (e.len == 0) return false;
        for (size_t i = 0; i < e.len; i++)
            if (d->exponent < 1000000) d->exponent = d->exponent * 10 + (e.ptr[i] - '0');
        if (is_negative) d->exponent = -d->exponent;
    }
    return at == end;
}

/* The i-th digit of whole and fraction written together. */
static uint8_t digit_at(const decimal *d, size_t i)
{
    uint8_t c = i < d->whole.len ? d->whole.ptr[i] : d->fraction.ptr[i - d->whole.len];
    return (uint8_t)(c - '0');
}

/* value = value * 10 + digit over `words` 64-bit words; false when it does not fit. */
static bool times_ten_plus(uint64_t *value, uint32_t words, uint32_t digit)
{
    unsigned __int128 carry = digit;
    for (uint32_t i = 0; i < words; i++) {
        carry += (unsigned __int128)value[i] * 10;
        value[i] = (uint64_t)carry;
        carry >>= 64;
    }
    return carry == 0;
}

/* The magnitude of an integral decimal. is_strict: digits behind the point are not tolerated even
 * when they are zeros, unless the exponent covers them. */
static bool integer_magnitude(const decimal *d, bool is_strict, uint64_t value[5])
{
    size_t count = d->whole.len + d->fraction.len;
    int64_t point = (int64_t)d->whole.len + d->exponent; /* digits before the point */
    if (is_strict && (int64_t)d->fraction.len > d->exponent) return false;
    size_t first = 0;
    while (first < count && digit_at(d, first) == 0) first++;
    if (first == count) return true;
    if (point - (int64_t)first > 90) return false; /* above 10^89 > 2^256 */
    for (int64_t i = (int64_t)first; i < point; i++)
        if (!times_ten_plus(value, 5, i < (int64_t)count ? digit_at(d, (size_t)i) : 0))
            return false;
    for (int64_t i = point < 0 ? 0 : point; i < (int64_t)count; i++)
        if (digit_at(d, (size_t)i) != 0) return false;
    return true;
}

static bool integer(const lc_type *t, lc_span text, lc_buf *out)
{
    bool is_signed = t->kind == LC_TYPE_I8 || t->kind == LC_TYPE_I16 || t->kind == LC_TYPE_I32 ||
                     t->kind == LC_TYPE_I64 || t->kind == LC_TYPE_I128 || t->kind == LC_TYPE_I256;
    uint32_t bits = (uint32_t)t->fixed_size * 8;
    uint64_t value[5] = {0};
    decimal d;
    if (!parse_decimal(text, &d) || !integer_magnitude(&d, bits == 256, value)) return false;
    uint64_t any = value[0] | value[1] | value[2] | value[3] | value[4];
    if (d.is_negative && any && !is_signed) return false;
    /* magnitude <= 2^(bits - 1) when negative, < 2^(bits - is_signed) otherwise */
    uint32_t limit = bits - is_signed;
    bool fits = value[4] == 0;
    bool is_power = true; /* exactly 2^limit */
    for (uint32_t i = 0; i < 4; i++) {
        uint32_t low = i * 64;
        uint64_t above = limit <= low        ? value[i]
                         : limit >= low + 64 ? 0
                                             : value[i] & ~((1ull << (limit - low)) - 1);
        if (above) fits = false;
        uint64_t power = limit >= low && limit < low + 64 ? 1ull << (limit - low) : 0;
        if (value[i] != power) is_power = false;
    }
    if (!fits && !(d.is_negative && is_power && value[4] == 0)) return false;
    if (d.is_negative) {
        unsigned __int128 carry = 1;
        for (uint32_t i = 0; i < 4; i++) {
            carry += ~value[i];
            value[i] = (uint64_t)carry;
            carry >>= 64;
        }
    }
    lc_buf_put(out, value, (size_t)t->fixed_size);
    return true;
}

static bool floating(const lc_type *t, lc_span text, lc_buf *out)
{
    decimal d;
    if (!parse_decimal(text, &d)) return false;
    char *copy = lc_span_to_cstr(text);
    if (t->kind == LC_TYPE_F32) {
        float f = strtof(copy, NULL);
        if (f == 0) f = 0;
        lc_buf_put(out, &f, sizeof f);
    } else {
        double f = strtod(copy, NULL);
        if (f == 0) f = 0;
        lc_buf_put(out, &f, sizeof f);
    }
    lc_free(copy);
    return true;
}

/* -------------------------------------------------------------------- bytes */

static lc_span without_0x(lc_span text)
{
    if (text.len >= 2 && text.ptr[0] == '0' && text.ptr[1] == 'x')
        return LC_SPAN(text.ptr + 2, text.len - 2);
    return text;
}

static bool hex(lc_span text, lc_buf *out)
{
    if (text.len % 2) return false;
    size_t at = out->len;
    uint8_t *to = lc_buf_extend(out, text.len / 2);
    if (lc_hex_decode(text, to)) return true;
    out->len = at;
    return false;
}

/* Exactly size bytes, written most significant first, stored least significant first. */
static bool number_in_hex(lc_span text, size_t size, lc_buf *out)
{
    size_t at = out->len;
    text = without_0x(text);
    if (text.len != size * 2 || !hex(text, out)) return false;
    for (size_t i = 0; i < size / 2; i++) {
        uint8_t *a = out->ptr + at + i, *b = out->ptr + at + size - 1 - i, c = *a;
        *a = *b;
        *b = c;
    }
    return true;
}

bool lc_sql_literal(const lc_type *t, lc_span text, lc_buf *out)
{
    switch (t->special) {
    case LC_SPECIAL_IDENTITY:
        return number_in_hex(text, 32, out);
    case LC_SPECIAL_CONNECTION_ID:
        return number_in_hex(text, 16, out);
    case LC_SPECIAL_TIMESTAMP: {
        int64_t micros;
        if (lc_timestamp_parse(text, &micros, NULL) != LC_OK) return false;
        lc_buf_put_u64(out, (uint64_t)micros);
        return true;
    }
    case LC_SPECIAL_UUID: {
        uint8_t value[16];
        if (!lc_uuid_parse(text, value)) return false;
        lc_buf_put(out, value, sizeof value);
        return true;
    }
    default:
        break;
    }
    if (lc_type_is_integer(t)) return integer(t, text, out);
    if (t->kind == LC_TYPE_F32 || t->kind == LC_TYPE_F64) return floating(t, text, out);
    if (t->kind == LC_TYPE_STRING) {
        lc_buf_put_lenstr(out, text);
        return true;
    }
    if (lc_type_is_bytes(t)) {
        size_t at = out->len;
        lc_buf_put_u32(out, 0);
        if (!hex(without_0x(text), out)) {
            out->len = at;
            return false;
        }
        lc_store_u32(out->ptr + at, (uint32_t)(out->len - at - 4));
        return true;
    }
    return false;
}
