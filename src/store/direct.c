/* Dense keys: an array of handles in blocks. */
#include "store/store_internal.h"

enum {
    BLOCK_SIZE = LC_DIRECT_BLOCK * sizeof(lc_row_id),
    KEPT_CAP = 256, /* of the array of blocks, when no key is left */
};

void lc_direct_deinit(lc_direct *d)
{
    for (uint64_t i = 0; i < d->len; i++) lc_heap_free(d->heap, d->blocks[i].rows, BLOCK_SIZE);
    lc_heap_free(d->heap, d->spare, BLOCK_SIZE);
    lc_free(d->blocks);
    *d = (lc_direct){.heap = d->heap};
}

enum { KEYS_PER_ROW = 4 };

bool lc_direct_is_dense(uint64_t min, uint64_t max, uint64_t count)
{
    return (max - min) / KEYS_PER_ROW < count;
}

bool lc_direct_is_sparse(uint64_t blocks, uint64_t len, uint64_t count)
{
    return blocks > 8 + count / 128 || len > 1024 + blocks * 32;
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
    if (!is_forced && lc_direct_is_sparse(d->block_count + 1, end - first, d->count)) return false;
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

static lc_row_id *take_block(lc_direct *d)
{
    lc_row_id *rows = d->spare;
    d->spare = NULL;
    if (rows) return rows;
    rows = lc_heap_alloc(d->heap, BLOCK_SIZE);
    memset(rows, 0xff, BLOCK_SIZE);
    return rows;
}

/* Nothing is in it. */
static void leave_block(lc_direct *d, lc_row_id *rows)
{
    if (d->spare)
        lc_heap_free(d->heap, rows, BLOCK_SIZE);
    else
        d->spare = rows;
}

bool lc_direct_insert(lc_direct *d, uint64_t key, lc_row_id row, bool is_forced)
{
    uint64_t b = key >> LC_DIRECT_SHIFT, at = b - d->first;
    if (LC_UNLIKELY(at >= d->len || !d->blocks[at].rows)) {
        if (!cover(d, b, is_forced)) return false;
        at = b - d->first;
        d->blocks[at].rows = take_block(d);
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
    leave_block(d, block->rows);
    block->rows = NULL;
    if (--d->block_count > 0 || d->cap <= KEPT_CAP) return;
    lc_free(d->blocks);
    d->blocks = NULL;
    d->len = d->cap = 0;
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
    return (d->block_count + (d->spare != NULL)) * BLOCK_SIZE + d->cap * sizeof *d->blocks;
}
