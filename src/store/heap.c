/* All memory of a store that grows with its rows. */
#include "store/store_internal.h"

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
    lc_slab *next, *prev; /* of its class, or of the empty ones */
    void *free;           /* freed blocks, linked through their first bytes */
    uint32_t used;
    uint32_t fresh; /* offset of the first block never given out */
    uint32_t size;  /* of a block */
    uint32_t class;
    lc_region *region;
};
enum {
    REGION_SIZE = 2 * 1024 * 1024, /* a huge page */
    REGION_SLABS = REGION_SIZE / LC_SLAB_SIZE,
    SLAB_HEADER = 64,
    FINE_CLASSES = 32, /* up to 4096 bytes */
};
_Static_assert(sizeof(lc_slab) <= SLAB_HEADER, "the header fits");
_Static_assert(REGION_SLABS == 32, "one bit each in a region");

/* One bit per slab. Neither empty nor absent: it has blocks, or is kept for its class. */
struct lc_region {
    uint8_t *base;
    uint32_t at;            /* place in the heap's list of all regions */
    uint32_t empty;         /* on the list of empty slabs */
    uint32_t absent;        /* without memory: never used, or given back */
    bool is_broken;         /* some of it is without memory: no huge page for now */
    lc_region *next, *prev; /* those with absent slabs */
};

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
static void *map_huge(size_t size)
{
    uint8_t *p =
        mmap(NULL, size + REGION_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) LC_BUG("out of memory (%zu bytes)", size);
    size_t before = -(uintptr_t)p & (REGION_SIZE - 1);
    if (before > 0) munmap(p, before);
    munmap(p + before + size, REGION_SIZE - before);
    return p + before;
}

static size_t round_to_huge(size_t size)
{
    return (size + REGION_SIZE - 1) & ~(size_t)(REGION_SIZE - 1);
}

static void list_region(lc_heap *h, lc_region *r)
{
    r->prev = NULL;
    r->next = h->with_absent;
    if (r->next) r->next->prev = r;
    h->with_absent = r;
}

static void unlist_region(lc_heap *h, lc_region *r)
{
    if (r->prev)
        r->prev->next = r->next;
    else
        h->with_absent = r->next;
    if (r->next) r->next->prev = r->prev;
}

static lc_region *add_region(lc_heap *h)
{
    lc_region *r = lc_alloc(sizeof *r);
    *r = (lc_region){
        .base = map_huge(REGION_SIZE), .at = (uint32_t)h->regions.len, .absent = UINT32_MAX};
    /* The first one stays in small pages: most databases never need a second. */
    if (h->regions.len > 0 && h->in_small_pages)
        r->is_broken = true;
    else if (h->regions.len > 0)
        madvise(r->base, REGION_SIZE, MADV_HUGEPAGE);
    lc_vec_push(&h->regions, r);
    list_region(h, r);
    return r;
}

static void free_region(lc_region *r)
{
    ASAN_UNPOISON_MEMORY_REGION(r->base, REGION_SIZE);
    munmap(r->base, REGION_SIZE);
    lc_free(r);
}

void lc_heap_deinit(lc_heap *h)
{
    LC_VEC_EACH (r, &h->regions) {
        free_region(*r);
    }
    lc_vec_deinit(&h->regions);
}

/* A slab out of nothing. */
static lc_slab *cut_slab(lc_heap *h)
{
    lc_region *r = h->with_absent ? h->with_absent : add_region(h);
    uint32_t n = (uint32_t)__builtin_ctz(r->absent);
    r->absent &= r->absent - 1;
    if (r->absent == 0) {
        unlist_region(h, r);
        if (r->is_broken) madvise(r->base, REGION_SIZE, MADV_HUGEPAGE);
        r->is_broken = false;
    }
    lc_slab *s = (lc_slab *)(r->base + (size_t)n * LC_SLAB_SIZE);
    s->region = r;
    return s;
}

/* ------------------------------------------------------------- empty slabs */

static uint32_t bit_of(const lc_slab *s)
{
    return UINT32_C(1) << ((size_t)((const uint8_t *)s - s->region->base) / LC_SLAB_SIZE);
}

static void unlist_empty(lc_heap *h, lc_slab *s)
{
    if (s->prev)
        s->prev->next = s->next;
    else
        h->empty = s->next;
    if (s->next)
        s->next->prev = s->prev;
    else
        h->longest_empty = s->prev;
    h->empty_count--;
    s->region->empty &= ~bit_of(s);
}

static void drop_region(lc_heap *h, lc_region *r)
{
    for (uint32_t n = 0; n < REGION_SLABS; n++)
        if (r->empty >> n & 1) unlist_empty(h, (lc_slab *)(r->base + (size_t)n * LC_SLAB_SIZE));
    if (r->absent) unlist_region(h, r);
    lc_region *last = h->regions.items[--h->regions.len];
    h->regions.items[r->at] = last;
    last->at = r->at;
    free_region(r);
}

/* The memory of the slab that has been empty for longest, and of its whole region if it can be. */
static void give_back(lc_heap *h)
{
    lc_slab *s = h->longest_empty;
    lc_region *r = s->region;
    if ((r->empty | r->absent) == UINT32_MAX) {
        drop_region(h, r);
        return;
    }
    uint32_t bit = bit_of(s);
    unlist_empty(h, s);
    /* The system would fill the hole up again to have a huge page. */
    if (!r->is_broken) madvise(r->base, REGION_SIZE, MADV_NOHUGEPAGE);
    r->is_broken = true;
    madvise(s, LC_SLAB_SIZE, MADV_DONTNEED);
    if (r->absent == 0) list_region(h, r);
    r->absent |= bit;
}

static void add_empty(lc_heap *h, lc_slab *s)
{
    s->prev = NULL;
    s->next = h->empty;
    if (s->next)
        s->next->prev = s;
    else
        h->longest_empty = s;
    h->empty = s;
    h->empty_count++;
    s->region->empty |= bit_of(s);
    ASAN_UNPOISON_MEMORY_REGION(s, LC_SLAB_SIZE);
    if (h->empty_count > LC_HEAP_RESERVE) give_back(h);
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
        unlist_empty(h, s);
    else
        s = cut_slab(h);
    *s = (lc_slab){
        .fresh = SLAB_HEADER, .size = size_of_class(class), .class = class, .region = s->region};
    list_slab(h, s);
    return s;
}

void *lc_heap_alloc(lc_heap *h, size_t size)
{
    if (LC_UNLIKELY(size > LC_HEAP_MAX_BLOCK)) {
        if (size < REGION_SIZE) return lc_alloc(size);
        void *p = map_huge(round_to_huge(size));
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
            munmap(block, round_to_huge(size));
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
        add_empty(h, s);
    }
}
