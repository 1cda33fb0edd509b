/* Numbers as text: shortest floats, wide integers in decimal and hexadecimal. */
#include "sats_internal.h"

#include <locale.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

/* ----------------------------------------------------------------- parsing */

/* Programs that embed us may have chosen a locale with another decimal point. */
static locale_t c_locale(void)
{
    static _Atomic(locale_t) shared;
    locale_t have = atomic_load(&shared);
    if (have) return have;
    locale_t made = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    LC_ASSERT(made);
    if (atomic_compare_exchange_strong(&shared, &have, made)) return made;
    freelocale(made); /* another thread was first */
    return have;
}

double lc_float_parse(const char *text)
{
    return strtod_l(text, NULL, c_locale());
}

/* --------------------------------------------------------- shortest digits */

/* A width of floats: how it reads back, and how many digits always suffice or always survive. */
typedef struct float_width {
    int sure_digits; /* any decimal of so many digits survives the way through the width */
    int max_digits;  /* so many digits tell any two numbers apart */
    double (*round)(const char *text);
} float_width;

static double round_f32(const char *text)
{
    return strtof_l(text, NULL, c_locale());
}

static const float_width width_f64 = {15, 17, lc_float_parse};
static const float_width width_f32 = {6, 9, round_f32};

/* DIGITS as 0.DIGITS * 10^point, without a decimal point: that depends on nobody's locale. */
static bool reads_back(const lc_decimal *d, double v, const float_width *w)
{
    char text[40];
    snprintf(text, sizeof text, "%.*se%d", d->count, d->digits, d->point - d->count);
    return w->round(text) == v;
}

/* v (positive) rounded to n digits. */
static lc_decimal rounded(double v, int n)
{
    char text[40];
    lc_decimal d = {.count = n};
    snprintf(text, sizeof text, "%.*e", n - 1, v);
    /* D.DDDDe+XX, where the point may be another character. */
    d.digits[0] = text[0];
    const char *rest = text + (n > 1 ? 2 : 1);
    if (n > 1) memcpy(d.digits + 1, rest, (size_t)n - 1);
    const char *exponent = strchr(text, 'e');
    d.point = atoi(exponent + 1) + 1;
    return d;
}

/* The next larger decimal of as many digits. */
static lc_decimal successor(lc_decimal d)
{
    int i = d.count - 1;
    while (i >= 0 && d.digits[i] == '9') d.digits[i--] = '0';
    if (i >= 0) {
        d.digits[i]++;
    } else {
        d.digits[0] = '1';
        d.point++;
    }
    return d;
}

/* Most numbers that people store are n / 10^k with small n and k, which is tried without a detour
 * over text. Of at most sure_digits digits only one decimal can read back, so it is the shortest.
 */
static bool few_digits(double v, const float_width *w, lc_decimal *d)
{
    static const double powers[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    bool narrow = w == &width_f32;
    for (int k = 0; k <= w->sure_digits; k++) {
        double scaled = v * powers[k];
        if (scaled >= powers[w->sure_digits] - 1) return false;
        uint64_t n = (uint64_t)(scaled + 0.5);
        /* Both are exact, so the quotient is what reading the decimal as a double gives. Rounding
         * it once more, to a float, does no harm: n / 10^k with n and 10^k up to 10^6 is either the
         * middle between two floats itself or at least 2^-45 of its size away from it. */
        double back = (double)n / powers[k];
        if ((narrow ? (double)(float)back : back) != v) continue;
        char text[24];
        d->count = snprintf(text, sizeof text, "%llu", (unsigned long long)n);
        memcpy(d->digits, text, (size_t)d->count);
        d->point = d->count - k;
        return true;
    }
    return false;
}

static lc_decimal shortest(double v, bool subnormal, bool power_of_two, const float_width *w)
{
    if (v == 0) return (lc_decimal){.digits = "0", .count = 1, .point = 1};
    lc_decimal d = {.count = 0};
    bool found = few_digits(v, w, &d);
    for (int n = subnormal ? 1 : w->sure_digits; !found && n <= w->max_digits; n++) {
        d = rounded(v, n);
        if (reads_back(&d, v, w)) break;
        if (!power_of_two) continue;
        /* Below a power of two the neighbours are half as far as above it, so that the decimal
         * nearest to it, when below, may miss while the next one above reads back. */
        lc_decimal above = successor(d);
        if (!reads_back(&above, v, w)) continue;
        d = above;
        break;
    }
    while (d.count > 1 && d.digits[d.count - 1] == '0') d.count--;
    return d;
}

lc_decimal lc_decimal_of_f64(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    uint64_t fraction = bits & 0xfffffffffffffull;
    lc_decimal d = shortest(fabs(v), !(bits >> 52 & 0x7ff), fraction == 0, &width_f64);
    d.negative = bits >> 63;
    return d;
}

lc_decimal lc_decimal_of_f32(float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    uint32_t fraction = bits & 0x7fffffu;
    lc_decimal d = shortest(fabs((double)v), !(bits >> 23 & 0xff), fraction == 0, &width_f32);
    d.negative = bits >> 31;
    return d;
}

/* ----------------------------------------------------------- float layouts */

static void put_zeros(lc_buf *out, int n)
{
    while (n-- > 0) lc_buf_put_u8(out, '0');
}

/* Without exponent. fraction: at least `.0`. */
static void put_plain(const lc_decimal *d, bool fraction, lc_buf *out)
{
    if (d->negative) lc_buf_put_u8(out, '-');
    if (d->point <= 0) {
        lc_buf_put_str(out, "0.");
        put_zeros(out, -d->point);
        lc_buf_put(out, d->digits, (size_t)d->count);
    } else if (d->point < d->count) {
        lc_buf_put(out, d->digits, (size_t)d->point);
        lc_buf_put_u8(out, '.');
        lc_buf_put(out, d->digits + d->point, (size_t)(d->count - d->point));
    } else {
        lc_buf_put(out, d->digits, (size_t)d->count);
        put_zeros(out, d->point - d->count);
        if (fraction) lc_buf_put_str(out, ".0");
    }
}

/* As serde_json writes: exponents outside of 10^-low < v < 10^high. */
static void put_json(const lc_decimal *d, int low, int high, lc_buf *out)
{
    if (d->point > -low && d->point <= high) {
        put_plain(d, true, out);
        return;
    }
    if (d->negative) lc_buf_put_u8(out, '-');
    lc_buf_put_u8(out, (uint8_t)d->digits[0]);
    if (d->count > 1) {
        lc_buf_put_u8(out, '.');
        lc_buf_put(out, d->digits + 1, (size_t)d->count - 1);
    }
    lc_buf_printf(out, "e%d", d->point - 1);
}

void lc_json_write_f64(double v, lc_buf *out)
{
    if (!isfinite(v)) {
        lc_buf_put_str(out, "null");
        return;
    }
    lc_decimal d = lc_decimal_of_f64(v);
    put_json(&d, 5, 16, out);
}

void lc_json_write_f32(float v, lc_buf *out)
{
    if (!isfinite(v)) {
        lc_buf_put_str(out, "null");
        return;
    }
    lc_decimal d = lc_decimal_of_f32(v);
    put_json(&d, 6, 13, out);
}

/* NaN has no sign in Rust's Display. */
static bool put_not_finite(double v, lc_buf *out)
{
    if (isfinite(v)) return false;
    lc_buf_put_str(out, isnan(v) ? "NaN" : v < 0 ? "-inf" : "inf");
    return true;
}

void lc_float_display_f64(double v, lc_buf *out)
{
    if (put_not_finite(v, out)) return;
    lc_decimal d = lc_decimal_of_f64(v);
    put_plain(&d, false, out);
}

void lc_float_display_f32(float v, lc_buf *out)
{
    if (put_not_finite((double)v, out)) return;
    lc_decimal d = lc_decimal_of_f32(v);
    put_plain(&d, false, out);
}

/* ---------------------------------------------------------------- integers */

/* Two's complement of n little-endian bytes. */
static void negate(uint8_t *value, size_t n)
{
    unsigned carry = 1;
    for (size_t i = 0; i < n; i++) {
        carry += (uint8_t)~value[i];
        value[i] = (uint8_t)carry;
        carry >>= 8;
    }
}

/* words (least significant first, `count` of 32 bits each) in decimal; destroys them. */
static void put_decimal(uint32_t *words, int count, lc_buf *out)
{
    char digits[90]; /* 2^256 has 78 digits, in groups of 9 */
    char *at = digits + sizeof digits;
    for (bool more = true; more;) {
        uint64_t rest = 0;
        more = false;
        for (int i = count - 1; i >= 0; i--) {
            rest = rest << 32 | words[i];
            words[i] = (uint32_t)(rest / 1000000000u);
            rest %= 1000000000u;
            more |= words[i] != 0;
        }
        for (int i = 0; i < 9; i++, rest /= 10) *--at = (char)('0' + rest % 10);
    }
    while (*at == '0' && at < digits + sizeof digits - 1) at++;
    lc_buf_put(out, at, (size_t)(digits + sizeof digits - at));
}

static void wide_to_decimal(const uint8_t *value, size_t size, bool is_signed, lc_buf *out)
{
    uint8_t bytes[32];
    uint32_t words[8];
    memcpy(bytes, value, size);
    if (is_signed && bytes[size - 1] >> 7) {
        negate(bytes, size);
        lc_buf_put_u8(out, '-');
    }
    memcpy(words, bytes, size);
    put_decimal(words, (int)(size / 4), out);
}

void lc_u128_to_decimal(const uint8_t value[16], bool is_signed, lc_buf *out)
{
    wide_to_decimal(value, 16, is_signed, out);
}

void lc_u256_to_decimal(const uint8_t value[32], bool is_signed, lc_buf *out)
{
    wide_to_decimal(value, 32, is_signed, out);
}

void lc_u256_to_hex(const uint8_t value[32], bool is_signed, lc_buf *out)
{
    uint8_t bytes[32];
    char hex[64];
    memcpy(bytes, value, sizeof bytes);
    if (is_signed && bytes[31] >> 7) {
        negate(bytes, sizeof bytes);
        lc_buf_put_u8(out, '-');
    }
    lc_hex_big_endian(bytes, sizeof bytes, hex);
    size_t zeros = 0;
    while (zeros < 63 && hex[zeros] == '0') zeros++;
    lc_buf_put_str(out, "0x");
    lc_buf_put(out, hex + zeros, sizeof hex - zeros);
}

/* Decimal digits of v, quickly: this is most of what JSON rows are made of. */
static void put_u64(uint64_t v, bool negative, lc_buf *out)
{
    char digits[21];
    char *at = digits + sizeof digits;
    do *--at = (char)('0' + v % 10);
    while (v /= 10);
    if (negative) *--at = '-';
    lc_buf_put(out, at, (size_t)(digits + sizeof digits - at));
}

static void put_i64(int64_t v, lc_buf *out)
{
    put_u64(v < 0 ? 0 - (uint64_t)v : (uint64_t)v, v < 0, out);
}

void lc_integer_write(lc_type_kind kind, const uint8_t *value, lc_buf *out)
{
    switch (kind) {
    case LC_TYPE_I8:
        put_i64((int8_t)*value, out);
        break;
    case LC_TYPE_U8:
        put_u64(*value, false, out);
        break;
    case LC_TYPE_I16:
        put_i64((int16_t)lc_load_u16(value), out);
        break;
    case LC_TYPE_U16:
        put_u64(lc_load_u16(value), false, out);
        break;
    case LC_TYPE_I32:
        put_i64((int32_t)lc_load_u32(value), out);
        break;
    case LC_TYPE_U32:
        put_u64(lc_load_u32(value), false, out);
        break;
    case LC_TYPE_I64:
        put_i64((int64_t)lc_load_u64(value), out);
        break;
    case LC_TYPE_U64:
        put_u64(lc_load_u64(value), false, out);
        break;
    case LC_TYPE_I128:
    case LC_TYPE_U128:
        lc_u128_to_decimal(value, kind == LC_TYPE_I128, out);
        break;
    case LC_TYPE_I256:
    case LC_TYPE_U256:
        lc_u256_to_decimal(value, kind == LC_TYPE_I256, out);
        break;
    default:
        LC_BUG("%s is no integer", lc_type_kind_name(kind));
    }
}

/* ------------------------------------------------------------- hexadecimal */

void lc_hex_big_endian(const uint8_t *value, size_t size, char *out)
{
    uint8_t reversed[32];
    LC_ASSERT(size <= sizeof reversed);
    for (size_t i = 0; i < size; i++) reversed[i] = value[size - 1 - i];
    lc_hex_encode(reversed, size, out);
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

#define INVALID_DIGIT "invalid digit found in string"
#define TOO_LARGE     "number too large to fit in target type"
#define TOO_SMALL     "number too small to fit in target type"

const char *lc_u256_parse_hex(lc_span text, bool is_signed, uint8_t out[32])
{
    const uint8_t *p = text.ptr, *end = p + text.len;
    bool negative = false;
    if (p == end) return "cannot parse integer from empty string";
    if (*p == '+' || (*p == '-' && is_signed)) negative = *p++ == '-';
    if (end - p < 3 || p[0] != '0' || p[1] != 'x') return INVALID_DIGIT;
    const char *overflow = negative ? TOO_SMALL : TOO_LARGE;
    memset(out, 0, 32);
    for (p += 2; p < end; p++) {
        int digit = hex_digit(*p);
        if (digit < 0) return INVALID_DIGIT;
        if (out[31] >> 4) return overflow;
        for (int i = 31; i > 0; i--) out[i] = (uint8_t)(out[i] << 4 | out[i - 1] >> 4);
        out[0] = (uint8_t)(out[0] << 4 | digit);
    }
    if (!is_signed) return NULL;
    if (negative) negate(out, 32);
    /* The sign must have come out as written; zero has none. */
    bool zero = true;
    for (int i = 0; i < 32; i++) zero &= out[i] == 0;
    return zero || (out[31] >> 7) == negative ? NULL : overflow;
}

lc_status lc_hex_parse(lc_span text, uint8_t *out, size_t size, lc_error *err)
{
    if (text.len % 2) return lc_error_set(err, LC_E_INVALID, "Odd number of digits");
    if (text.len / 2 != size) return lc_error_set(err, LC_E_INVALID, "Invalid string length");
    for (size_t i = 0; i < text.len; i++) {
        int digit = hex_digit(text.ptr[i]);
        if (digit < 0) {
            /* The offending byte is taken for a Latin-1 character, as the reference does. */
            uint8_t c = text.ptr[i];
            char shown[8] = {(char)c};
            if (c >= 0x80) snprintf(shown, sizeof shown, "%c%c", 0xc0 | c >> 6, 0x80 | (c & 0x3f));
            return lc_error_set(err, LC_E_INVALID, "Invalid character '%s' at position %zu", shown,
                                i);
        }
        out[i / 2] = (uint8_t)(i % 2 ? out[i / 2] | digit : digit << 4);
    }
    return LC_OK;
}
