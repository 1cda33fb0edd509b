/* Growing byte buffers. */
#include "base_internal.h"

#include <stdio.h>

void lc_buf_deinit(lc_buf *b)
{
    lc_free(b->ptr);
    *b = LC_BUF_INIT;
}

void lc_buf_grow(lc_buf *b, size_t extra)
{
    size_t need;
    if (__builtin_add_overflow(b->len, extra, &need)) LC_BUG("buffer of more than SIZE_MAX bytes");
    size_t cap = b->cap < 32 ? 64 : b->cap * 2;
    if (cap < need) cap = need;
    b->ptr = lc_realloc(b->ptr, cap);
    b->cap = cap;
}

void lc_buf_vprintf(lc_buf *b, const char *fmt, va_list args)
{
    va_list again;
    va_copy(again, args);
    /* One pass is enough when the text fits into what a reserve gives. */
    char *at = (char *)lc_buf_reserve(b, 64);
    size_t room = b->cap - b->len;
    int n = vsnprintf(at, room, fmt, args);
    if (n >= 0 && (size_t)n >= room) {
        at = (char *)lc_buf_reserve(b, (size_t)n + 1);
        n = vsnprintf(at, (size_t)n + 1, fmt, again);
    }
    va_end(again);
    if (n > 0) b->len += (size_t)n;
}

void lc_buf_printf(lc_buf *b, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    lc_buf_vprintf(b, fmt, args);
    va_end(args);
}

char *lc_buf_give_cstr(lc_buf *b)
{
    lc_buf_put_u8(b, 0);
    char *text = (char *)b->ptr;
    *b = LC_BUF_INIT;
    return text;
}
