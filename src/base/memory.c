/* Heap allocation that never returns NULL. The only place in the project that calls malloc. */
#include "base_internal.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Left alone, the C library learns from the first big block that is freed to keep such memory: what
 * one huge transaction needed would stay with us for ever. */
enum {
    MAPPED_FROM = 1 << 20,     /* larger blocks are the system's again when freed */
    KEPT_FREE = 8 * (1 << 20), /* at the end of a heap */
};
__attribute__((constructor)) static void give_memory_back(void)
{
    mallopt(M_MMAP_THRESHOLD, MAPPED_FROM);
    mallopt(M_TRIM_THRESHOLD, KEPT_FREE);
}

/* Says so with write(2), because stdio may itself want memory. */
static _Noreturn void out_of_memory(size_t size)
{
    char line[96];
    int n = snprintf(line, sizeof line, "lightcone: out of memory (asked for %zu bytes)\n", size);
    ssize_t ignored = write(STDERR_FILENO, line, (size_t)n);
    (void)ignored;
    abort();
}

void *lc_alloc(size_t size)
{
    void *p = malloc(size ? size : 1);
    if (LC_UNLIKELY(!p)) out_of_memory(size);
    return p;
}

void *lc_alloc_zero(size_t size)
{
    void *p = calloc(1, size ? size : 1);
    if (LC_UNLIKELY(!p)) out_of_memory(size);
    return p;
}

void *lc_realloc(void *ptr, size_t size)
{
    void *p = realloc(ptr, size ? size : 1);
    if (LC_UNLIKELY(!p)) out_of_memory(size);
    return p;
}

void lc_free(void *ptr)
{
    free(ptr);
}

void *lc_memdup(const void *ptr, size_t len)
{
    uint8_t *copy = lc_alloc(len + 1);
    if (len) memcpy(copy, ptr, len);
    copy[len] = 0;
    return copy;
}

char *lc_strdup(const char *text)
{
    return lc_memdup(text, strlen(text));
}

char *lc_vformat(size_t *len, const char *fmt, va_list args)
{
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    if (n < 0) n = 0;
    char *text = lc_alloc((size_t)n + 1);
    text[0] = 0;
    vsnprintf(text, (size_t)n + 1, fmt, args);
    *len = (size_t)n;
    return text;
}

char *lc_format(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    size_t len;
    char *text = lc_vformat(&len, fmt, args);
    va_end(args);
    return text;
}

void lc_vec_grow(void **items, size_t *cap, size_t need, size_t item_size)
{
    size_t next = *cap ? *cap * 2 : 8;
    if (next < need) next = need;
    size_t bytes;
    if (__builtin_mul_overflow(next, item_size, &bytes)) out_of_memory(SIZE_MAX);
    *items = lc_realloc(*items, bytes);
    *cap = next;
}
