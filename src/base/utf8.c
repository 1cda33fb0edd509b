/* UTF-8: validation, and repair in the way every client library expects. */
#include "base_internal.h"

/* Length of the valid sequence at p, or 0 and in *bad how many bytes form the maximal part of an
 * ill-formed one (what one U+FFFD stands for, Unicode 15 section 3.9). */
static inline size_t sequence(const uint8_t *p, size_t left, size_t *bad)
{
    uint8_t lead = p[0];
    if (lead < 0x80) return 1;
    size_t need;
    uint8_t low = 0x80, high = 0xbf; /* bounds of the second byte */
    if (lead >= 0xc2 && lead <= 0xdf) {
        need = 2;
    } else if (lead >= 0xe0 && lead <= 0xef) {
        need = 3;
        if (lead == 0xe0) low = 0xa0;  /* no overlong forms */
        if (lead == 0xed) high = 0x9f; /* no surrogates */
    } else if (lead >= 0xf0 && lead <= 0xf4) {
        need = 4;
        if (lead == 0xf0) low = 0x90;
        if (lead == 0xf4) high = 0x8f; /* nothing above U+10FFFF */
    } else {
        *bad = 1;
        return 0;
    }
    for (size_t i = 1; i < need; i++) {
        if (i == left || p[i] < low || p[i] > high) {
            *bad = i;
            return 0;
        }
        low = 0x80;
        high = 0xbf;
    }
    return need;
}

/* First byte from `at` on that is not ASCII. */
static inline size_t skip_ascii(lc_span s, size_t at)
{
    while (s.len - at >= 8 && !(lc_load_u64(s.ptr + at) & 0x8080808080808080ull)) at += 8;
    while (at < s.len && s.ptr[at] < 0x80) at++;
    return at;
}

bool lc_utf8_valid(lc_span s)
{
    size_t bad;
    for (size_t at = skip_ascii(s, 0); at < s.len; at = skip_ascii(s, at)) {
        size_t n = sequence(s.ptr + at, s.len - at, &bad);
        if (n == 0) return false;
        at += n;
    }
    return true;
}

void lc_utf8_lossy(lc_span s, lc_buf *out)
{
    size_t from = 0, bad;
    for (size_t at = skip_ascii(s, 0); at < s.len; at = skip_ascii(s, at)) {
        size_t n = sequence(s.ptr + at, s.len - at, &bad);
        if (n) {
            at += n;
            continue;
        }
        lc_buf_put(out, s.ptr + from, at - from);
        lc_buf_put_str(out, "\xef\xbf\xbd");
        at += bad;
        from = at;
    }
    if (from < s.len) lc_buf_put(out, s.ptr + from, s.len - from);
}
