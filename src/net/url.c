/*
 * Percent-encoding and query strings.
 */
#include "net/lc_net.h"

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

lc_span lc_url_decode(lc_span in, bool form, lc_arena *a)
{
    uint8_t *out = lc_arena_alloc(a, in.len + 1);
    size_t n = 0;
    for (size_t i = 0; i < in.len; i++) {
        uint8_t c = in.ptr[i];
        int hi = -1, lo = -1;
        if (c == '%' && i + 2 < in.len) {
            hi = hex_value(in.ptr[i + 1]);
            lo = hex_value(in.ptr[i + 2]);
        }
        if (hi >= 0 && lo >= 0) {
            out[n++] = (uint8_t)(hi << 4 | lo);
            i += 2;
        } else {
            out[n++] = form && c == '+' ? ' ' : c;
        }
    }
    return LC_SPAN(out, n);
}

bool lc_url_query_get(lc_span query, const char *key, uint32_t n, lc_arena *a, lc_span *value)
{
    while (query.len) {
        const uint8_t *amp = memchr(query.ptr, '&', query.len);
        lc_span pair = LC_SPAN(query.ptr, amp ? (size_t)(amp - query.ptr) : query.len);
        size_t skip = pair.len + (amp ? 1 : 0);
        query = LC_SPAN(query.ptr + skip, query.len - skip);
        if (pair.len == 0) continue;
        const uint8_t *eq = memchr(pair.ptr, '=', pair.len);
        lc_span name = LC_SPAN(pair.ptr, eq ? (size_t)(eq - pair.ptr) : pair.len);
        if (!lc_span_equal_str(lc_url_decode(name, true, a), key) || n-- > 0) continue;
        *value = eq ? lc_url_decode(LC_SPAN(eq + 1, pair.len - name.len - 1), true, a) : LC_STR("");
        return true;
    }
    return false;
}
