/* Order of values, hashes, and normalised keys whose memcmp order is that order (01 section 3). */
#include "sats_internal.h"

#define DEFINE_COMPARE(name, type)                                                                 \
    static inline int compare_##name(const uint8_t *a, const uint8_t *b)                           \
    {                                                                                              \
        type x, y;                                                                                 \
        memcpy(&x, a, sizeof x);                                                                   \
        memcpy(&y, b, sizeof y);                                                                   \
        return (x > y) - (x < y);                                                                  \
    }
DEFINE_COMPARE(i8, int8_t)
DEFINE_COMPARE(u8, uint8_t)
DEFINE_COMPARE(i16, int16_t)
DEFINE_COMPARE(u16, uint16_t)
DEFINE_COMPARE(i32, int32_t)
DEFINE_COMPARE(u32, uint32_t)
DEFINE_COMPARE(i64, int64_t)
DEFINE_COMPARE(u64, uint64_t)
DEFINE_COMPARE(i128, __int128)
DEFINE_COMPARE(u128, unsigned __int128)
#undef DEFINE_COMPARE

static int compare_256(const uint8_t *a, const uint8_t *b, bool is_signed)
{
    int c = is_signed ? compare_i128(a + 16, b + 16) : compare_u128(a + 16, b + 16);
    return c ? c : compare_u128(a, b);
}

/* Floats as unsigned numbers in the total order -inf < ... < -0 = 0 < ... < inf < NaN: negative
 * ones are complemented, the others get the top bit. */
static uint32_t order_f32(const uint8_t *p)
{
    uint32_t bits = lc_load_u32(p);
    uint32_t magnitude = bits & 0x7fffffffu;
    if (magnitude == 0) bits = 0;
    if (magnitude > 0x7f800000u) bits = 0x7fc00000u;
    return bits >> 31 ? ~bits : bits | 0x80000000u;
}

static uint64_t order_f64(const uint8_t *p)
{
    uint64_t bits = lc_load_u64(p);
    uint64_t magnitude = bits & 0x7fffffffffffffffull;
    if (magnitude == 0) bits = 0;
    if (magnitude > 0x7ff0000000000000ull) bits = 0x7ff8000000000000ull;
    return bits >> 63 ? ~bits : bits | 0x8000000000000000ull;
}

static int compare_bytes(const uint8_t *a, size_t an, const uint8_t *b, size_t bn)
{
    int c = memcmp(a, b, an < bn ? an : bn);
    if (c) return c < 0 ? -1 : 1;
    return (an > bn) - (an < bn);
}

/* Compares and moves both cursors behind the values; where they stand after a difference is open.
 */
static int compare(const lc_type *t, const uint8_t **a, const uint8_t **b);

static int compare_array(const lc_type *t, const uint8_t **a, const uint8_t **b)
{
    uint32_t an = lc_load_u32(*a), bn = lc_load_u32(*b);
    *a += 4;
    *b += 4;
    if (t->kind == LC_TYPE_STRING || t->element->kind == LC_TYPE_U8) {
        int c = compare_bytes(*a, an, *b, bn);
        *a += an;
        *b += bn;
        return c;
    }
    for (uint32_t i = 0; i < an && i < bn; i++) {
        int c = compare(t->element, a, b);
        if (c) return c;
    }
    return (an > bn) - (an < bn);
}

static int compare_composite(const lc_type *t, const uint8_t **a, const uint8_t **b)
{
    int c = 0;
    if (t->kind == LC_TYPE_PRODUCT) {
        for (uint32_t i = 0; i < t->member_count && c == 0; i++)
            c = compare(t->members[i].type, a, b);
        return c;
    }
    uint8_t tag = *(*a)++;
    c = compare_u8(&tag, (*b)++);
    return c ? c : compare(t->members[tag].type, a, b);
}

static int compare(const lc_type *t, const uint8_t **a, const uint8_t **b)
{
    int c;
    const uint8_t *x = *a, *y = *b;
    switch (t->kind) {
    case LC_TYPE_BOOL:
    case LC_TYPE_U8:
        c = compare_u8(x, y);
        break;
    case LC_TYPE_I8:
        c = compare_i8(x, y);
        break;
    case LC_TYPE_I16:
        c = compare_i16(x, y);
        break;
    case LC_TYPE_U16:
        c = compare_u16(x, y);
        break;
    case LC_TYPE_I32:
        c = compare_i32(x, y);
        break;
    case LC_TYPE_U32:
        c = compare_u32(x, y);
        break;
    case LC_TYPE_I64:
        c = compare_i64(x, y);
        break;
    case LC_TYPE_U64:
        c = compare_u64(x, y);
        break;
    case LC_TYPE_I128:
        c = compare_i128(x, y);
        break;
    case LC_TYPE_U128:
        c = compare_u128(x, y);
        break;
    case LC_TYPE_I256:
        c = compare_256(x, y, true);
        break;
    case LC_TYPE_U256:
        c = compare_256(x, y, false);
        break;
    case LC_TYPE_F32: {
        uint32_t p = order_f32(x), q = order_f32(y);
        c = (p > q) - (p < q);
        break;
    }
    case LC_TYPE_F64: {
        uint64_t p = order_f64(x), q = order_f64(y);
        c = (p > q) - (p < q);
        break;
    }
    case LC_TYPE_STRING:
    case LC_TYPE_ARRAY:
        return compare_array(t, a, b);
    case LC_TYPE_SUM:
    case LC_TYPE_PRODUCT:
        return compare_composite(t, a, b);
    case LC_TYPE_REF:
    default:
        LC_BUG("comparing values of a reference type");
    }
    *a += t->fixed_size;
    *b += t->fixed_size;
    return c;
}

int lc_value_compare(const lc_type *t, const uint8_t *a, const uint8_t *b)
{
    return compare(t, &a, &b);
}

/* --------------------------------------------------------------------- keys */

/* Numbers become big-endian; the sign bit of signed ones is turned over, so that negative ones come
 * first. */
static void key_wide_integer(const uint8_t *value, size_t n, bool is_signed, lc_buf *out)
{
    uint8_t *key = lc_buf_extend(out, n);
    for (size_t i = 0; i < n; i++) key[i] = value[n - 1 - i];
    if (is_signed) key[0] ^= 0x80;
}

/*
 * Text and bytes end with 00. Inside, 00 becomes 01 01 and 01 becomes 01 02, so that no 00 occurs
 * before the end and the order of bytes stays: end < 00 < 01 < 02.
 */
static void key_bytes(const uint8_t *p, size_t n, lc_buf *out)
{
    const uint8_t *end = p + n;
    lc_buf_reserve(out, n + 1);
    while (p < end) {
        const uint8_t *plain = p;
        while (p < end && *p > 1) p++;
        lc_buf_put(out, plain, (size_t)(p - plain));
        for (; p < end && *p <= 1; p++) {
            lc_buf_put_u8(out, 1);
            lc_buf_put_u8(out, (uint8_t)(*p + 1));
        }
    }
    lc_buf_put_u8(out, 0);
}

static const uint8_t *key(const lc_type *t, const uint8_t *value, lc_buf *out);

/* Each element behind a 01, then 00: the longer of two arrays with one beginning comes later. */
static const uint8_t *key_array(const lc_type *t, const uint8_t *value, lc_buf *out)
{
    uint32_t n = lc_load_u32(value);
    value += 4;
    if (t->kind == LC_TYPE_STRING || t->element->kind == LC_TYPE_U8) {
        key_bytes(value, n, out);
        return value + n;
    }
    while (n--) {
        lc_buf_put_u8(out, 1);
        value = key(t->element, value, out);
    }
    lc_buf_put_u8(out, 0);
    return value;
}

static const uint8_t *key(const lc_type *t, const uint8_t *value, lc_buf *out)
{
    switch (t->kind) {
    case LC_TYPE_BOOL:
    case LC_TYPE_U8:
        lc_buf_put_u8(out, *value);
        break;
    case LC_TYPE_I8:
        lc_buf_put_u8(out, *value ^ 0x80);
        break;
    case LC_TYPE_I16:
        lc_buf_put_u16(out, __builtin_bswap16(lc_load_u16(value) ^ 0x8000u));
        break;
    case LC_TYPE_U16:
        lc_buf_put_u16(out, __builtin_bswap16(lc_load_u16(value)));
        break;
    case LC_TYPE_I32:
        lc_buf_put_u32(out, __builtin_bswap32(lc_load_u32(value) ^ 1u << 31));
        break;
    case LC_TYPE_U32:
        lc_buf_put_u32(out, __builtin_bswap32(lc_load_u32(value)));
        break;
    case LC_TYPE_I64:
        lc_buf_put_u64(out, __builtin_bswap64(lc_load_u64(value) ^ 1ull << 63));
        break;
    case LC_TYPE_U64:
        lc_buf_put_u64(out, __builtin_bswap64(lc_load_u64(value)));
        break;
    case LC_TYPE_I128:
    case LC_TYPE_I256:
        key_wide_integer(value, (size_t)t->fixed_size, true, out);
        break;
    case LC_TYPE_U128:
    case LC_TYPE_U256:
        key_wide_integer(value, (size_t)t->fixed_size, false, out);
        break;
    case LC_TYPE_F32:
        lc_buf_put_u32(out, __builtin_bswap32(order_f32(value)));
        break;
    case LC_TYPE_F64:
        lc_buf_put_u64(out, __builtin_bswap64(order_f64(value)));
        break;
    case LC_TYPE_STRING:
    case LC_TYPE_ARRAY:
        return key_array(t, value, out);
    case LC_TYPE_PRODUCT:
        for (uint32_t i = 0; i < t->member_count; i++) value = key(t->members[i].type, value, out);
        return value;
    case LC_TYPE_SUM:
        lc_buf_put_u8(out, *value);
        return key(t->members[*value].type, value + 1, out);
    case LC_TYPE_REF:
    default:
        LC_BUG("key of a reference type");
    }
    return value + t->fixed_size;
}

size_t lc_value_key(const lc_type *t, const uint8_t *value, lc_buf *out)
{
    return (size_t)(key(t, value, out) - value);
}

int32_t lc_type_key_size(const lc_type *t)
{
    /* Every scalar's key has the size of the scalar, and sums and products add nothing. */
    return t->fixed_size;
}

/* --------------------------------------------------------------------- hash */

/* Hash of a value in which floats hide; moves the cursor behind it. */
static uint64_t hash(const lc_type *t, const uint8_t **value)
{
    const uint8_t *at = *value;
    uint64_t state = 0, part;
    uint32_t n = t->member_count;
    /* BSATN has one form per value, so the bytes will do. */
    if (LC_LIKELY(t->bitwise_equal)) {
        size_t size = t->fixed_size >= 0 ? (size_t)t->fixed_size : lc_bsatn_size(t, NULL, at);
        *value += size;
        return lc_hash_bytes(at, size);
    }
    switch (t->kind) {
    case LC_TYPE_F32:
        *value += 4;
        part = order_f32(at);
        return lc_hash_bytes(&part, sizeof part);
    case LC_TYPE_F64:
        *value += 8;
        part = order_f64(at);
        return lc_hash_bytes(&part, sizeof part);
    case LC_TYPE_SUM:
        ++*value;
        return lc_hash_u64(hash(t->members[*at].type, value) + *at);
    case LC_TYPE_ARRAY:
        n = lc_load_u32(at);
        state = n;
        *value += 4;
        break;
    case LC_TYPE_PRODUCT:
        break;
    default:
        LC_BUG("hash of a reference type");
    }
    for (uint32_t i = 0; i < n; i++)
        state = lc_hash_u64(state) +
                hash(t->kind == LC_TYPE_ARRAY ? t->element : t->members[i].type, value);
    return lc_hash_u64(state);
}

uint64_t lc_value_hash(const lc_type *t, const uint8_t *value)
{
    return hash(t, &value);
}
