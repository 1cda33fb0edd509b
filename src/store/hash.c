/* Open addressing over (tag, handle). */
#include "store/store_internal.h"

/* Down to KEPT_BITS a table keeps its size; a bigger one is halved when less than a fifth of it
 * is used, which leaves it far from growing again. */
enum { MIN_BITS = 3, KEPT_BITS = 9 };

static size_t size_of(const lc_hash *h)
{
    return sizeof(lc_hash_slot) << h->bits;
}

void lc_hash_deinit(lc_hash *h)
{
    if (h->slots) lc_heap_free(h->heap, h->slots, size_of(h));
    *h = (lc_hash){.heap = h->heap};
}

void lc_hash_clear(lc_hash *h)
{
    if (h->bits > KEPT_BITS) lc_hash_deinit(h);
    if (h->count > 0) memset(h->slots, 0xff, size_of(h));
    h->count = 0;
}

static uint32_t home_of(const lc_hash *h, uint32_t tag)
{
    return (uint32_t)((uint64_t)tag << h->bits >> 32);
}

static uint32_t mask_of(const lc_hash *h)
{
    return (uint32_t)((UINT64_C(1) << h->bits) - 1);
}

static void place(lc_hash *h, lc_hash_slot pair)
{
    uint32_t mask = mask_of(h), at = home_of(h, pair.tag);
    while (h->slots[at & mask].row != LC_NO_ROW) at++;
    h->slots[at & mask] = pair;
}

static void resize(lc_hash *h, uint8_t bits)
{
    const lc_hash old = *h;
    size_t old_len = old.slots ? (size_t)1 << old.bits : 0;
    size_t len = (size_t)1 << bits;
    h->bits = bits;
    h->slots = lc_heap_alloc(h->heap, size_of(h));
    memset(h->slots, 0xff, size_of(h));
    h->limit = (uint32_t)(len / 16 * 13 + len % 16 / 2);
    /* Pairs lie nearly in the order of their tags, so they move from front to front. */
    for (size_t i = 0; i < old_len; i++)
        if (old.slots[i].row != LC_NO_ROW) place(h, old.slots[i]);
    if (old.slots) lc_heap_free(h->heap, old.slots, size_of(&old));
}

void lc_hash_reserve(lc_hash *h, uint64_t count)
{
    uint8_t bits = MIN_BITS;
    while (bits < 32 && (UINT64_C(1) << bits) / 16 * 13 < count) bits++;
    if (!h->slots || bits > h->bits) resize(h, bits);
}

void lc_hash_insert(lc_hash *h, uint32_t tag, uint32_t row)
{
    if (LC_UNLIKELY(h->count >= h->limit)) resize(h, h->slots ? h->bits + 1 : MIN_BITS);
    place(h, (lc_hash_slot){tag, row});
    h->count++;
}

void lc_hash_remove(lc_hash *h, uint32_t tag, uint32_t row)
{
    uint32_t mask = mask_of(h), at = home_of(h, tag);
    while (h->slots[at & mask].row != row || h->slots[at & mask].tag != tag) {
        if (h->slots[at & mask].row == LC_NO_ROW) LC_BUG("a pair is missing from a hash");
        at++;
    }
    /* Close the hole: whatever follows and may stand here moves up. */
    uint32_t hole = at & mask;
    for (uint32_t i = hole;;) {
        i = (i + 1) & mask;
        lc_hash_slot *s = &h->slots[i];
        if (s->row == LC_NO_ROW) break;
        uint32_t home = home_of(h, s->tag);
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            h->slots[hole] = *s;
            hole = i;
        }
    }
    h->slots[hole].row = LC_NO_ROW;
    h->count--;
    if (LC_UNLIKELY(h->count < h->limit / 4) && h->bits > KEPT_BITS) resize(h, h->bits - 1);
}
