/* UUIDs: a 128-bit number whose big-endian bytes are those of RFC 9562 (01 sections 5.1, 5.5). */
#include "sats_internal.h"

void lc_uuid_to_text(const uint8_t value[16], lc_buf *out)
{
    char hex[32];
    lc_hex_big_endian(value, 16, hex);
    lc_buf_printf(out, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

/* Hyphenated, 32 plain digits, {hyphenated}, urn:uuid:hyphenated; digits in any case. */
bool lc_uuid_parse(lc_span text, uint8_t value[16])
{
    static const char urn[] = "urn:uuid:";
    const uint8_t *p = text.ptr;
    char hex[32];
    if (text.len == 38 && p[0] == '{' && p[37] == '}') {
        text = LC_SPAN(p + 1, 36);
    } else if (text.len == 45 && memcmp(p, urn, sizeof urn - 1) == 0) {
        text = LC_SPAN(p + 9, 36);
    }
    p = text.ptr;
    if (text.len == 36) {
        if (p[8] != '-' || p[13] != '-' || p[18] != '-' || p[23] != '-') return false;
        memcpy(hex, p, 8);
        memcpy(hex + 8, p + 9, 4);
        memcpy(hex + 12, p + 14, 4);
        memcpy(hex + 16, p + 19, 4);
        memcpy(hex + 20, p + 24, 12);
    } else if (text.len == 32) {
        memcpy(hex, p, 32);
    } else {
        return false;
    }
    uint8_t big_endian[16];
    if (!lc_hex_decode(LC_SPAN(hex, 32), big_endian)) return false;
    for (int i = 0; i < 16; i++) value[i] = big_endian[15 - i];
    return true;
}

void lc_uuid_v4(const lc_random *random, uint8_t value[16])
{
    random->fill(random->self, value, 16);
    /* Bytes 6 and 8 of the RFC are 9 and 7 counted from the little end. */
    value[9] = (uint8_t)((value[9] & 0x0f) | 0x40);
    value[7] = (uint8_t)((value[7] & 0x3f) | 0x80);
}
