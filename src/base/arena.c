/* Bump allocation. Chunks double up to a limit; what does not fit gets a chunk of its own. */
#include "base_internal.h"

enum {
    FIRST_CHUNK = 4096,
    LARGEST_CHUNK = 1 << 20, /* of the doubling; a single bigger item still gets its own chunk */
    LARGEST_KEPT = 1 << 18,  /* by a reset, so that one big request does not pin memory */
};

struct lc_arena_chunk {
    lc_arena_chunk *older;
    size_t size; /* of data */
    _Alignas(16) uint8_t data[];
};

#if defined(__SANITIZE_ADDRESS__)
#define FREE_ALL_ON_RESET true /* so that the sanitizer sees a use after reset */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FREE_ALL_ON_RESET true
#endif
#endif
#ifndef FREE_ALL_ON_RESET
#define FREE_ALL_ON_RESET false
#endif

static void use_chunk(lc_arena *a, lc_arena_chunk *chunk)
{
    a->at = chunk->data;
    a->end = chunk->data + chunk->size;
}

static lc_arena_chunk *new_chunk(size_t size)
{
    lc_arena_chunk *chunk = lc_alloc(sizeof(lc_arena_chunk) + size);
    chunk->size = size;
    return chunk;
}

void *lc_arena_alloc_slow(lc_arena *a, size_t size)
{
    size_t next = FIRST_CHUNK;
    if (a->chunks && a->chunks->size >= next)
        next = a->chunks->size < LARGEST_CHUNK ? a->chunks->size * 2 : LARGEST_CHUNK;

    if (a->chunks && size > next / 2) {
        /* Big item: its own chunk, behind the newest, whose remaining room stays in use. */
        lc_arena_chunk *own = new_chunk(size);
        own->older = a->chunks->older;
        a->chunks->older = own;
        return own->data;
    }
    lc_arena_chunk *chunk = new_chunk(size > next ? size : next);
    chunk->older = a->chunks;
    a->chunks = chunk;
    use_chunk(a, chunk);
    void *p = a->at;
    a->at += size;
    return p;
}

void lc_arena_reset(lc_arena *a)
{
    /* The newest regular chunk is the largest one: with it the next round needs no other. */
    lc_arena_chunk *keep = NULL;
    for (lc_arena_chunk *chunk = a->chunks, *older; chunk; chunk = older) {
        older = chunk->older;
        if (!keep && chunk->size <= LARGEST_KEPT && !FREE_ALL_ON_RESET)
            keep = chunk;
        else
            lc_free(chunk);
    }
    *a = LC_ARENA_INIT;
    if (keep) {
        keep->older = NULL;
        a->chunks = keep;
        use_chunk(a, keep);
    }
}

void lc_arena_deinit(lc_arena *a)
{
    for (lc_arena_chunk *chunk = a->chunks, *older; chunk; chunk = older) {
        older = chunk->older;
        lc_free(chunk);
    }
    *a = LC_ARENA_INIT;
}

void *lc_arena_alloc_zero(lc_arena *a, size_t size)
{
    void *p = lc_arena_alloc(a, size);
    return size ? memset(p, 0, size) : p;
}

lc_span lc_arena_copy(lc_arena *a, lc_span s)
{
    if (s.len == 0) return LC_SPAN_EMPTY;
    return LC_SPAN(memcpy(lc_arena_alloc(a, s.len), s.ptr, s.len), s.len);
}

char *lc_arena_cstr(lc_arena *a, lc_span s)
{
    char *text = lc_arena_alloc(a, s.len + 1);
    if (s.len) memcpy(text, s.ptr, s.len);
    text[s.len] = 0;
    return text;
}

char *lc_arena_format(lc_arena *a, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    size_t len;
    char *heap = lc_vformat(&len, fmt, args);
    va_end(args);
    char *text = lc_arena_cstr(a, LC_SPAN(heap, len));
    lc_free(heap);
    return text;
}

void *lc_arena_grow(lc_arena *a, void *items, size_t count, size_t *cap, size_t item_size)
{
    if (count < *cap) return items;
    size_t next = *cap ? *cap * 2 : 8;
    if (next <= count) next = count + 1;
    size_t bytes;
    if (__builtin_mul_overflow(next, item_size, &bytes)) LC_BUG("arena array of %zu items", next);
    /* The array is usually the arena's last item, and then grows where it is. */
    size_t old_bytes = (*cap * item_size + 15) & ~(size_t)15;
    size_t new_bytes = (bytes + 15) & ~(size_t)15;
    if (items && (uint8_t *)items + old_bytes == a->at &&
        (size_t)(a->end - (uint8_t *)items) >= new_bytes) {
        a->at = (uint8_t *)items + new_bytes;
        *cap = next;
        return items;
    }
    void *moved = lc_arena_alloc(a, bytes);
    if (count) memcpy(moved, items, count * item_size);
    *cap = next;
    return moved;
}
