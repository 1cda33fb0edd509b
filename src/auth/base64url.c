/* base64url without padding (RFC 4648 section 5), strict, with the errors that token clients see.
 */
#include "auth_internal.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void lc_base64url_encode(lc_span bytes, lc_buf *out)
{
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t left = bytes.len - i;
        uint32_t v = (uint32_t)bytes.ptr[i] << 16;
        if (left > 1) v |= (uint32_t)bytes.ptr[i + 1] << 8;
        if (left > 2) v |= bytes.ptr[i + 2];
        lc_buf_put_u8(out, (uint8_t)alphabet[v >> 18]);
        lc_buf_put_u8(out, (uint8_t)alphabet[v >> 12 & 63]);
        if (left > 1) lc_buf_put_u8(out, (uint8_t)alphabet[v >> 6 & 63]);
        if (left > 2) lc_buf_put_u8(out, (uint8_t)alphabet[v & 63]);
    }
}

static int value_of(uint8_t c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

static lc_status bad_symbol(lc_span text, size_t at, lc_error *err)
{
    return lc_error_set(err, LC_E_INVALID, "Invalid symbol %u, offset %zu.", text.ptr[at], at);
}

/* The last group of at most four characters, where padding would stand. */
static lc_status decode_tail(lc_span text, size_t start, lc_buf *out, lc_error *err)
{
    uint32_t bits = 0;
    size_t symbols = 0, padding = 0;
    for (size_t i = start; i < text.len; i++) {
        if (text.ptr[i] == '=') {
            if (i - start < 2) return bad_symbol(text, i, err);
            padding++;
            continue;
        }
        if (padding) return bad_symbol(text, i - padding, err);
        int v = value_of(text.ptr[i]);
        if (v < 0) return bad_symbol(text, i, err);
        bits |= (uint32_t)v << (18 - 6 * symbols++);
    }
    if (symbols == 1)
        return lc_error_set(err, LC_E_INVALID, "Invalid input length: %zu", start + 1);
    if (padding) return lc_error_set(err, LC_E_INVALID, "Invalid padding");
    size_t bytes = symbols * 6 / 8;
    if (bits & (0xffffff >> bytes * 8)) {
        size_t last = start + symbols - 1;
        return lc_error_set(err, LC_E_INVALID, "Invalid last symbol %u, offset %zu.",
                            text.ptr[last], last);
    }
    for (size_t i = 0; i < bytes; i++) lc_buf_put_u8(out, (uint8_t)(bits >> (16 - 8 * i)));
    return LC_OK;
}

lc_status lc_base64url_decode(lc_span text, lc_buf *out, lc_error *err)
{
    if (text.len == 0) return LC_OK;
    /* A line feed at the end is the likeliest mistake, so it is named first. */
    uint8_t last = text.ptr[text.len - 1];
    if (text.len % 4 == 1 && last != '=' && value_of(last) < 0)
        return bad_symbol(text, text.len - 1, err);
    size_t i = 0;
    for (; text.len - i > 4; i += 4) {
        uint32_t bits = 0;
        for (size_t k = i; k < i + 4; k++) {
            int v = value_of(text.ptr[k]);
            if (v < 0) return bad_symbol(text, k, err);
            bits = bits << 6 | (uint32_t)v;
        }
        lc_buf_put_u8(out, (uint8_t)(bits >> 16));
        lc_buf_put_u8(out, (uint8_t)(bits >> 8));
        lc_buf_put_u8(out, (uint8_t)bits);
    }
    return decode_tail(text, i, out, err);
}
