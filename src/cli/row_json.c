/*
 * Values of rows as JSON, for people who look into a log: options as null or {"some": v}, sums as
 * {"Variant": v}, products as lists, identities as they are printed everywhere.
 */
#include "cli/cli.h"

#include <math.h>
#include <openssl/evp.h>

static void put_digest(lc_span bytes, lc_buf *out)
{
    uint8_t hash[32];
    unsigned size = sizeof hash;
    EVP_Digest(bytes.ptr, bytes.len, hash, &size, EVP_sha256(), NULL);
    lc_buf_printf(out, "{\"length\":%zu,\"sha256\":\"", bytes.len);
    lc_hex_encode(hash, sizeof hash, (char *)lc_buf_extend(out, 2 * sizeof hash));
    lc_buf_put_str(out, "\"}");
}

static void put_hex(lc_span bytes, lc_buf *out)
{
    lc_buf_put_u8(out, '"');
    lc_hex_encode(bytes.ptr, bytes.len, (char *)lc_buf_extend(out, 2 * bytes.len));
    lc_buf_put_u8(out, '"');
}

/* The number as it is read by people: its highest byte first. */
static void put_reversed_hex(lc_span bytes, lc_buf *out)
{
    uint8_t turned[32];
    for (size_t i = 0; i < bytes.len; i++) turned[i] = bytes.ptr[bytes.len - 1 - i];
    put_hex(LC_SPAN(turned, bytes.len), out);
}

/* Little-endian, of up to 32 bytes. */
static void put_integer(lc_span bytes, bool is_signed, lc_buf *out)
{
    enum { LIMBS = 8, PER_STEP = 1000000000, DIGITS = 9, STEPS = 9 };
    bool is_negative = is_signed && bytes.ptr[bytes.len - 1] & 0x80;
    uint32_t limbs[LIMBS];
    memset(limbs, is_negative ? 0xff : 0, sizeof limbs);
    memcpy(limbs, bytes.ptr, bytes.len);
    uint64_t carry = 1;
    for (int i = 0; i < LIMBS && is_negative; i++) {
        carry += (uint32_t)~limbs[i];
        limbs[i] = (uint32_t)carry;
        carry >>= 32;
    }
    uint32_t groups[STEPS];
    int count = 0;
    bool is_zero;
    do {
        uint64_t rest = 0;
        is_zero = true;
        for (int i = LIMBS - 1; i >= 0; i--) {
            rest = rest << 32 | limbs[i];
            limbs[i] = (uint32_t)(rest / PER_STEP);
            rest %= PER_STEP;
            is_zero &= limbs[i] == 0;
        }
        groups[count++] = (uint32_t)rest;
    } while (!is_zero);
    lc_buf_printf(out, "%s%u", is_negative ? "-" : "", groups[count - 1]);
    while (--count > 0) lc_buf_printf(out, "%0*u", DIGITS, groups[count - 1]);
}

static void put_float(lc_span bytes, lc_buf *out)
{
    float f = 0;
    double d = 0;
    bool is_float = bytes.len == sizeof f;
    memcpy(is_float ? (void *)&f : (void *)&d, bytes.ptr, bytes.len);
    if (is_float) d = f;
    lc_buf_put_u8(out, '"');
    if (isnan(d)) {
        lc_buf_put_str(out, "nan:");
        for (size_t i = bytes.len; i > 0; i--) lc_buf_printf(out, "%02x", bytes.ptr[i - 1]);
    } else if (isinf(d)) {
        lc_buf_put_str(out, d < 0 ? "-inf" : "inf");
    } else if (is_float) {
        lc_json_write_f32(f, out);
    } else {
        lc_json_write_f64(d, out);
    }
    lc_buf_put_u8(out, '"');
}

static void put_text(lc_span text, bool is_full, lc_buf *out)
{
    if (is_full || text.len <= LC_ROW_JSON_LONG)
        lc_json_write_string(text, out);
    else
        put_digest(text, out);
}

static bool put_array(const lc_type *t, lc_reader *r, bool is_full, lc_buf *out)
{
    if (lc_type_is_bytes(t)) {
        lc_span bytes = lc_read_bytes(r);
        if (is_full || bytes.len <= LC_ROW_JSON_LONG)
            put_hex(bytes, out);
        else
            put_digest(bytes, out);
        return !r->failed;
    }
    lc_buf_put_u8(out, '[');
    int32_t size = t->element->fixed_size;
    uint32_t count = lc_read_count(r, size > 0 ? (size_t)size : 0);
    if (size == 0 && count > LC_BSATN_MAX_UNITS) lc_read_fail(r, "an array of %u units", count);
    for (uint32_t i = 0; i < count && !r->failed; i++) {
        if (i) lc_buf_put_u8(out, ',');
        if (!lc_row_json(t->element, r, is_full, out)) return false;
    }
    lc_buf_put_u8(out, ']');
    return !r->failed;
}

static bool put_product(const lc_type *t, lc_reader *r, bool is_full, lc_buf *out)
{
    if (t->special == LC_SPECIAL_IDENTITY || t->special == LC_SPECIAL_CONNECTION_ID) {
        lc_span id = lc_read_fixed(r, (size_t)t->fixed_size);
        if (!r->failed) put_reversed_hex(id, out);
        return !r->failed;
    }
    if (t->special != LC_SPECIAL_NONE) /* a wrapped number */
        return lc_row_json(t->members[0].type, r, is_full, out);
    lc_buf_put_u8(out, '[');
    for (uint32_t i = 0; i < t->member_count; i++) {
        if (i) lc_buf_put_u8(out, ',');
        if (!lc_row_json(t->members[i].type, r, is_full, out)) return false;
    }
    lc_buf_put_u8(out, ']');
    return true;
}

static bool put_sum(const lc_type *t, lc_reader *r, bool is_full, lc_buf *out)
{
    uint8_t tag = lc_read_tag(r, t->member_count, "sum");
    if (r->failed) return false;
    const lc_type_member *variant = &t->members[tag];
    bool is_option = t->special == LC_SPECIAL_OPTION;
    if (is_option && tag == 1) {
        lc_buf_put_str(out, "null");
        return true;
    }
    lc_buf_put_u8(out, '{');
    lc_json_write_string(variant->name, out);
    lc_buf_put_u8(out, ':');
    if (!lc_row_json(variant->type, r, is_full, out)) return false;
    lc_buf_put_u8(out, '}');
    return true;
}

bool lc_row_json(const lc_type *t, lc_reader *r, bool is_full, lc_buf *out)
{
    switch (t->kind) {
    case LC_TYPE_SUM:
        return put_sum(t, r, is_full, out);
    case LC_TYPE_PRODUCT:
        return put_product(t, r, is_full, out);
    case LC_TYPE_ARRAY:
        return put_array(t, r, is_full, out);
    case LC_TYPE_STRING: {
        lc_span text = lc_read_string(r);
        if (!r->failed) put_text(text, is_full, out);
        return !r->failed;
    }
    case LC_TYPE_BOOL:
        lc_buf_put_str(out, lc_read_bool(r) ? "true" : "false");
        return !r->failed;
    case LC_TYPE_REF:
        lc_read_fail(r, "the type refers to another one, &%u", t->ref);
        return false;
    default: {
        lc_span number = lc_read_fixed(r, (size_t)t->fixed_size);
        if (r->failed) return false;
        if (t->kind == LC_TYPE_F32 || t->kind == LC_TYPE_F64)
            put_float(number, out);
        else
            put_integer(number, (t->kind - LC_TYPE_I8) % 2 == 0, out);
        return true;
    }
    }
}
