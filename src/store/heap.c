/* All memory of a store that grows with its rows. */
#include "store/store_internal.h"

#include <stdlib.h>
#include <sys/mman.h>

/* The address sanitizer watches blocks as if each came from malloc. */
#if defined(__SANITIZE_ADDRESS__)
#define HAS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ASAN 1
#endif
#endif
#ifdef HAS_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n)   ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

struct lc_slab {
    lc_slab *next, *prev;
    void *free; /* freed blocks, linked through their first bytes */
    uint32_t used;
    uint32_t fresh; /* offset of the first block never given out */
    uint32_t size;  /* of a block */
    uint32_t class;
};
enum {
    REGION_SIZE = 2 * 1024 * 1024, /* a huge page */
    SLAB_HEADER = 64,
    FINE_CLASSES = 32, /* up to 4096 bytes */
};
_Static_assert(sizeof(lc_slab) <= SLAB_HEADER, "the header fits");

/* Above 4096 bytes: 12, 10, 8, 6, 5 and 4 blocks to a slab. */
static const uint16_t coarse_sizes[] = {5456, 6544, 8176, 10912, 13088, LC_HEAP_MAX_BLOCK};
_Static_assert(FINE_CLASSES + LC_ARRAY_LEN(coarse_sizes) == LC_HEAP_CLASSES, "all classes");
_Static_assert(SLAB_HEADER + 4 * LC_HEAP_MAX_BLOCK == LC_SLAB_SIZE, "four fill a slab");

/* Fine classes: 16, 32, ... 256; then four per doubling. */
static uint32_t class_of(size_t size)
{
    if (size <= 16) return 0;
    if (size <= 256) return (uint32_t)((size + 15) / 16 - 1);
    if (size > 4096) {
        uint32_t class = 0;
        while (coarse_sizes[class] < size) class ++;
        return FINE_CLASSES + class;
    }
    uint32_t log = 63 - (uint32_t)__builtin_clzll(size - 1); /* 2^log < size <= 2^(log + 1) */
    uint32_t quarter = (uint32_t)((size - 1) >> (log - 2)) & 3;
    return 16 + (log - 8) * 4 + quarter;
}

static uint32_t size_of_class(uint32_t class)
{
    if (class >= FINE_CLASSES) return coarse_sizes[class - FINE_CLASSES];
    if (class < 16) return (class + 1) * 16;
    uint32_t log = 8 + (class - 16) / 4, quarter = (class - 16) % 4;
    return (UINT32_C(1) << log) + ((quarter + 1) << (log - 2));
}

size_t lc_heap_block_size(size_t size)
{
    return size > LC_HEAP_MAX_BLOCK ? size : size_of_class(class_of(size));
}

/* ----------------------------------------------------------------- regions */

/* Aligned to huge pages, of which random reads all over a big table profit much. */
static void *alloc_huge(size_t size)
{
    void *p = aligned_alloc(REGION_SIZE, size);
    if (!p) LC_BUG("out of memory (%zu bytes)", size);
    return p;
}

static size_t round_to_huge(size_t size)
{
    return (size + REGION_SIZE - 1) & ~(size_t)(REGION_SIZE - 1);
}

static lc_slab *cut_slab(lc_heap *h)
{
    if (h->fresh == h->fresh_end) {
        uint8_t *region = alloc_huge(REGION_SIZE);
        /* The first one stays in small pages: most databases never need a second. */
        if (h->regions.len > 0) madvise(region, REGION_SIZE, MADV_HUGEPAGE);
        lc_vec_push(&h->regions, region);
        h->fresh = region;
        h->fresh_end = region + REGION_SIZE;
    }
    lc_slab *s = (lc_slab *)h->fresh;
    h->fresh += LC_SLAB_SIZE;
    return s;
}

void lc_heap_deinit(lc_heap *h)
{
    LC_VEC_EACH (region, &h->regions) {
        ASAN_UNPOISON_MEMORY_REGION(*region, REGION_SIZE);
        free(*region);
    }
    lc_vec_deinit(&h->regions);
}

/* ------------------------------------------------------------------- slabs */

static bool is_full(const lc_slab *s)
{
    return !s->free && s->fresh + s->size > LC_SLAB_SIZE;
}

static void list_slab(lc_heap *h, lc_slab *s)
{
    s->prev = NULL;
    s->next = h->with_room[s->class];
    if (s->next) s->next->prev = s;
    h->with_room[s->class] = s;
}

static void unlist_slab(lc_heap *h, lc_slab *s)
{
    if (s->prev)
        s->prev->next = s->next;
    else
        h->with_room[s->class] = s->next;
    if (s->next) s->next->prev = s->prev;
}

static lc_slab *new_slab(lc_heap *h, uint32_t class)
{
    lc_slab *s = h->empty;
    if (s)
        h->empty = s->next;
    else
        s = cut_slab(h);
    *s = (lc_slab){.fresh = SLAB_HEADER, .size = size_of_class(class), .class = class};
    list_slab(h, s);
    return s;
}

void *lc_heap_alloc(lc_heap *h, size_t size)
{
    if (LC_UNLIKELY(size > LC_HEAP_MAX_BLOCK)) {
        if (size < REGION_SIZE) return lc_alloc(size);
        void *p = alloc_huge(round_to_huge(size));
        madvise(p, round_to_huge(size), MADV_HUGEPAGE);
        return p;
    }
    uint32_t class = class_of(size);
    lc_slab *s = h->with_room[class];
    if (LC_UNLIKELY(!s)) s = new_slab(h, class);
    void *block;
    if (s->free) {
        block = s->free;
        ASAN_UNPOISON_MEMORY_REGION(block, s->size);
        memcpy(&s->free, block, sizeof s->free);
    } else {
        block = (uint8_t *)s + s->fresh;
        s->fresh += s->size;
        ASAN_UNPOISON_MEMORY_REGION(block, s->size);
    }
    ASAN_POISON_MEMORY_REGION((uint8_t *)block + size, s->size - size);
    s->used++;
    if (is_full(s)) unlist_slab(h, s);
    return block;
}

void lc_heap_free(lc_heap *h, void *block, size_t size)
{
    if (!block) return;
    if (LC_UNLIKELY(size > LC_HEAP_MAX_BLOCK)) {
        if (size < REGION_SIZE)
            lc_free(block);
        else
            free(block);
        return;
    }
    lc_slab *s = (lc_slab *)((uintptr_t)block & ~(uintptr_t)(LC_SLAB_SIZE - 1));
    if (is_full(s)) list_slab(h, s);
    ASAN_UNPOISON_MEMORY_REGION(block, s->size);
    memcpy(block, &s->free, sizeof s->free);
    s->free = block;
    ASAN_POISON_MEMORY_REGION(block, s->size);
    if (--s->used == 0 && (s->next || s->prev)) { /* the last one of its class stays */
        unlist_slab(h, s);
        s->next = h->empty;
        h->empty = s;
        ASAN_UNPOISON_MEMORY_REGION(s, LC_SLAB_SIZE);
    }
}
