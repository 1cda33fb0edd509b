/* Borrowed bytes. */
#include "base_internal.h"

int lc_span_compare(lc_span a, lc_span b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common ? memcmp(a.ptr, b.ptr, common) : 0;
    if (order) return order < 0 ? -1 : 1;
    return (a.len > b.len) - (a.len < b.len);
}

char *lc_span_to_cstr(lc_span s)
{
    return lc_memdup(s.ptr, s.len);
}
