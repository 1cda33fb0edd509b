/* Hexadecimal text. */
#include "base_internal.h"

void lc_hex_encode(const void *bytes, size_t n, char *out)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *p = bytes;
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[p[i] >> 4];
        out[2 * i + 1] = digits[p[i] & 15];
    }
}

static int digit_value(uint8_t c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

bool lc_hex_decode(lc_span text, void *out)
{
    if (text.len % 2) return false;
    uint8_t *to = out;
    for (size_t i = 0; i < text.len; i += 2) {
        int high = digit_value(text.ptr[i]), low = digit_value(text.ptr[i + 1]);
        if (high < 0 || low < 0) return false;
        *to++ = (uint8_t)(high << 4 | low);
    }
    return true;
}
