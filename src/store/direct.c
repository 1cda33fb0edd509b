/* Dense keys: an array of handles in blocks. */
#include "store/store_internal.h"

enum { BLOCK_SIZE = LC_DIRECT_BLOCK * sizeof(lc_row_id) };

void lc_direct_deinit(lc_direct *d)
{
    for (uint64_t i = 0; i < d->len; i++) lc_heap_free(d->heap, d->blocks[i].rows, BLOCK_SIZE);
    lc_free(d->blocks);
    *d = (lc_direct){.heap = d->heap};
}

/* At most 32 bytes per row for blocks, and a short array of blocks, or it is not worth it. */
static bool is_too_sparse(const lc_direct *d, uint64_t len)
{
    uint64_t blocks = d->block_count + 1;
    return blocks > 8 + d->count / 128 || len > 1024 + blocks * 32;
}

/* Makes [first, first + len) include block b. */
static bool cover(lc_direct *d, uint64_t b, bool is_forced)
{
    if (d->block_count == 0) {
        d->first = b;
        d->len = 0;
    }
    /* A queue's keys only rise: forget the empty blocks in front when the array would grow. */
    uint64_t skip = 0;
    if (b >= d->first + d->len && b - d->first >= d->cap)
        while (skip < d->len && !d->blocks[skip].rows) skip++;
    uint64_t first = b < d->first ? b : d->first + skip;
    uint64_t end = b < d->first + d->len ? d->first + d->len : b + 1;
    if (!is_forced && is_too_sparse(d, end - first)) return false;
    if (first == d->first && end - first <= d->cap) {
        for (; d->len < end - first; d->len++) d->blocks[d->len] = (lc_direct_block){0};
        return true;
    }
    uint64_t cap = end - first <= d->cap ? d->cap : (end - first) * 2;
    lc_direct_block *blocks = lc_alloc_zero(cap * sizeof *blocks);
    for (uint64_t i = 0; i < d->len; i++)
        if (d->blocks[i].rows) blocks[d->first + i - first] = d->blocks[i];
    lc_free(d->blocks);
    d->blocks = blocks;
    d->first = first;
    d->len = end - first;
    d->cap = cap;
    return true;
}

bool lc_direct_insert(lc_direct *d, uint64_t key, lc_row_id row, bool is_forced)
{
    uint64_t b = key >> LC_DIRECT_SHIFT, at = b - d->first;
    if (LC_UNLIKELY(at >= d->len || !d->blocks[at].rows)) {
        if (!cover(d, b, is_forced)) return false;
        at = b - d->first;
        d->blocks[at].rows = lc_heap_alloc(d->heap, BLOCK_SIZE);
        memset(d->blocks[at].rows, 0xff, BLOCK_SIZE);
        d->block_count++;
    }
    lc_direct_block *block = &d->blocks[at];
    block->rows[key & (LC_DIRECT_BLOCK - 1)] = row;
    block->used++;
    d->count++;
    return true;
}

void lc_direct_remove(lc_direct *d, uint64_t key)
{
    lc_direct_block *block = &d->blocks[(key >> LC_DIRECT_SHIFT) - d->first];
    block->rows[key & (LC_DIRECT_BLOCK - 1)] = LC_NO_ROW;
    d->count--;
    if (--block->used > 0) return;
    lc_heap_free(d->heap, block->rows, BLOCK_SIZE);
    block->rows = NULL;
    d->block_count--;
}

lc_row_id lc_direct_seek(const lc_direct *d, uint64_t *key)
{
    uint64_t b = *key >> LC_DIRECT_SHIFT;
    uint64_t slot = *key & (LC_DIRECT_BLOCK - 1);
    if (b < d->first) {
        b = d->first;
        slot = 0;
    }
    for (; b - d->first < d->len; b++, slot = 0) {
        const lc_row_id *rows = d->blocks[b - d->first].rows;
        if (!rows) continue;
        for (; slot < LC_DIRECT_BLOCK; slot++) {
            if (rows[slot] == LC_NO_ROW) continue;
            *key = b << LC_DIRECT_SHIFT | slot;
            return rows[slot];
        }
    }
    return LC_NO_ROW;
}

uint64_t lc_direct_memory(const lc_direct *d)
{
    return d->block_count * BLOCK_SIZE + d->cap * sizeof *d->blocks;
}
