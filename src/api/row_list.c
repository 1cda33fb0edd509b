/*
 * BsatnRowList, and the cache of encoded changes.
 */
#include "api/protocol.h"

enum { FIXED_SIZE = 0, ROW_OFFSETS = 1 };

static void put_empty(lc_buf *out)
{
    lc_buf_put_u8(out, ROW_OFFSETS);
    lc_buf_put_u32(out, 0);
    lc_buf_put_u32(out, 0);
}

static void put_fixed_head(uint64_t row_size, uint64_t total, lc_buf *out)
{
    lc_buf_put_u8(out, FIXED_SIZE);
    lc_buf_put_u16(out, (uint16_t)row_size);
    lc_buf_put_u32(out, (uint32_t)total);
}

static bool can_be_fixed(uint64_t row_size)
{
    return row_size > 0 && row_size <= UINT16_MAX; /* clients divide by it */
}

void lc_row_list_of_spans(const lc_span *rows, uint32_t count, lc_buf *out)
{
    if (count == 0) {
        put_empty(out);
        return;
    }
    uint64_t total = 0;
    bool is_uniform = can_be_fixed(rows[0].len);
    for (uint32_t i = 0; i < count; i++) {
        total += rows[i].len;
        is_uniform &= rows[i].len == rows[0].len;
    }
    if (is_uniform) {
        put_fixed_head(rows[0].len, total, out);
    } else {
        lc_buf_put_u8(out, ROW_OFFSETS);
        lc_buf_put_u32(out, count);
        uint64_t at = 0;
        for (uint32_t i = 0; i < count; i++) {
            lc_buf_put_u64(out, at);
            at += rows[i].len;
        }
        lc_buf_put_u32(out, (uint32_t)total);
    }
    uint8_t *to = lc_buf_extend(out, total);
    for (uint32_t i = 0; i < count; i++) {
        memcpy(to, rows[i].ptr, rows[i].len);
        to += rows[i].len;
    }
}

void lc_row_list_of_rowset(const lc_rowset *rows, lc_buf *out)
{
    if (rows->count == 0) {
        put_empty(out);
        return;
    }
    if (!rows->offsets && can_be_fixed(rows->row_size)) {
        put_fixed_head(rows->row_size, rows->data.len, out);
    } else {
        lc_buf_put_u8(out, ROW_OFFSETS);
        lc_buf_put_u32(out, (uint32_t)rows->count);
        for (uint64_t i = 0; i < rows->count; i++)
            lc_buf_put_u64(out, rows->offsets ? rows->offsets[i] : i * rows->row_size);
        lc_buf_put_u32(out, (uint32_t)rows->data.len);
    }
    lc_buf_put_span(out, lc_buf_span(&rows->data));
}

lc_change_cache *lc_change_cache_of(const lc_live_change *change, uint8_t slot, bool *is_fresh)
{
    lc_live_query *q = change->query;
    lc_change_cache *cache = q->user[slot];
    if (!cache) q->user[slot] = cache = lc_alloc_zero(sizeof *cache);
    *is_fresh = cache->serial == change->serial;
    if (*is_fresh) return cache;
    cache->serial = change->serial;
    lc_buf_reset(&cache->bytes);
    lc_message_unref(cache->whole);
    cache->whole = NULL;
    return cache;
}

void lc_change_cache_drop(void *arg)
{
    lc_change_cache *cache = arg;
    if (!cache) return;
    lc_buf_deinit(&cache->bytes);
    lc_message_unref(cache->whole);
    lc_free(cache);
}
