/* Rows in slots, slots in pages. */
#include "store/store_internal.h"

/* Pages are as big as the biggest block, unless not even one row would fit. That is also small
 * enough to copy one before a write without anybody feeling it (frozen images). */

/* Header and bits for so many slots. */
static size_t header_size(uint32_t slots)
{
    size_t words = ((size_t)slots + 63) / 64;
    return (sizeof(lc_page) + words * sizeof(lc_page_bits) + 15) & ~(size_t)15;
}

void lc_rows_init(lc_rows *r, lc_heap *heap, int32_t fixed_size)
{
    *r = (lc_rows){.heap = heap, .with_room = LC_NO_PAGE};
    r->is_fixed = fixed_size >= 0;
    r->row_size = r->is_fixed ? (uint32_t)fixed_size : 0;
    r->stride = r->is_fixed ? r->row_size : (uint32_t)sizeof(lc_var_row);
    if (r->stride < sizeof(uint16_t)) r->stride = sizeof(uint16_t); /* room for the free link */
    r->slots = LC_HEAP_MAX_BLOCK / r->stride;
    while (r->slots > 1 && header_size(r->slots) + (size_t)r->slots * r->stride > LC_HEAP_MAX_BLOCK)
        r->slots--;
    if (r->slots == 0) r->slots = 1;
    while (UINT32_C(1) << r->shift < r->slots) r->shift++;
    r->mask = (UINT32_C(1) << r->shift) - 1;
    r->data_offset = (uint32_t)header_size(r->slots);
}

static size_t page_size(const lc_rows *r)
{
    return r->data_offset + (size_t)r->slots * r->stride;
}

static size_t stamps_size(const lc_rows *r)
{
    return r->slots * sizeof(uint64_t);
}

void lc_rows_deinit(lc_rows *r)
{
    for (uint32_t p = 0; p < r->page_count; p++) {
        lc_page *page = r->pages[p];
        /* Held rows are the transaction's: it ends before its tables do. */
        for (uint32_t s = 0; !r->is_fixed && s < page->used; s++) {
            if (!(page->bits[s / 64].live >> (s % 64) & 1)) continue;
            lc_span row = lc_rows_get(r, p << r->shift | s);
            lc_heap_free(r->heap, (void *)row.ptr, row.len);
        }
        lc_heap_free(r->heap, page->stamps, stamps_size(r));
        lc_heap_free(r->heap, page, page_size(r));
    }
    lc_free(r->pages);
    *r = (lc_rows){0};
}

static lc_page *add_page(lc_rows *r)
{
    if ((uint64_t)(r->page_count + 1) << r->shift >= LC_NO_ROW) return NULL;
    if (r->page_count == r->page_cap) {
        r->page_cap = r->page_cap ? r->page_cap * 2 : 4;
        r->pages = lc_realloc(r->pages, (size_t)r->page_cap * sizeof *r->pages);
    }
    lc_page *page = lc_heap_alloc(r->heap, page_size(r));
    memset(page, 0, r->data_offset);
    page->free_head = LC_NO_SLOT;
    if (r->keeps_stamps) page->stamps = lc_heap_alloc(r->heap, stamps_size(r));
    r->pages[r->page_count++] = page;
    return page;
}

static void list_page(lc_rows *r, uint32_t p)
{
    lc_page *page = r->pages[p];
    page->is_listed = true;
    page->prev = LC_NO_PAGE;
    page->next = r->with_room;
    if (page->next != LC_NO_PAGE) r->pages[page->next]->prev = p;
    r->with_room = p;
}

static void unlist_page(lc_rows *r, uint32_t p)
{
    lc_page *page = r->pages[p];
    page->is_listed = false;
    if (page->prev != LC_NO_PAGE)
        r->pages[page->prev]->next = page->next;
    else
        r->with_room = page->next;
    if (page->next != LC_NO_PAGE) r->pages[page->next]->prev = page->prev;
}

/* A slot to use: the one freed last, else the next of the last page. */
static lc_row_id take_slot(lc_rows *r)
{
    if (LC_UNLIKELY(r->with_room != LC_NO_PAGE)) {
        uint32_t p = r->with_room;
        lc_page *page = r->pages[p];
        lc_row_id id = p << r->shift | page->free_head;
        page->free_head = lc_load_u16(lc_rows_slot(r, id));
        if (page->free_head == LC_NO_SLOT) unlist_page(r, p);
        return id;
    }
    if (r->page_count == 0 || r->pages[r->page_count - 1]->used == r->slots) {
        if (!add_page(r)) return LC_NO_ROW;
    }
    uint32_t p = r->page_count - 1;
    return p << r->shift | r->pages[p]->used++;
}

static void set_bytes(lc_rows *r, lc_row_id id, lc_span row)
{
    uint8_t *slot = lc_rows_slot(r, id);
    if (r->is_fixed) {
        if (r->row_size) memcpy(slot, row.ptr, r->row_size);
        return;
    }
    lc_var_row *v = (lc_var_row *)slot;
    v->bytes = lc_heap_alloc(r->heap, row.len);
    v->len = row.len;
    if (row.len) memcpy(v->bytes, row.ptr, row.len);
    r->heap_bytes += lc_heap_block_size(row.len);
}

static void set_live(lc_rows *r, lc_row_id id)
{
    lc_page *page = lc_rows_page(r, id);
    uint32_t slot = id & r->mask;
    page->bits[slot / 64].live |= UINT64_C(1) << (slot % 64);
    page->live_count++;
    r->count++;
}

lc_row_id lc_rows_insert(lc_rows *r, lc_span row)
{
    lc_row_id id = take_slot(r);
    if (LC_UNLIKELY(id == LC_NO_ROW)) return id;
    set_bytes(r, id, row);
    set_live(r, id);
    if (r->keeps_stamps) lc_rows_page(r, id)->stamps[id & r->mask] = r->next_stamp++;
    return id;
}

void lc_rows_hold(lc_rows *r, lc_row_id id)
{
    lc_page *page = lc_rows_page(r, id);
    uint32_t slot = id & r->mask;
    page->bits[slot / 64].live &= ~(UINT64_C(1) << (slot % 64));
    page->live_count--;
    r->count--;
}

void lc_rows_unhold(lc_rows *r, lc_row_id id)
{
    set_live(r, id);
}

void lc_rows_free(lc_rows *r, lc_row_id id)
{
    uint8_t *slot = lc_rows_slot(r, id);
    if (!r->is_fixed) {
        lc_span row = lc_rows_get(r, id);
        lc_rows_free_block(r, row.ptr, row.len);
    }
    lc_page *page = lc_rows_page(r, id);
    lc_store_u16(slot, page->free_head);
    page->free_head = (uint16_t)(id & r->mask);
    if (r->with_room != id >> r->shift) {
        if (page->is_listed) unlist_page(r, id >> r->shift);
        list_page(r, id >> r->shift);
    }
}

void lc_rows_write(lc_rows *r, lc_row_id id, lc_span row)
{
    set_bytes(r, id, row);
}

void lc_rows_free_block(lc_rows *r, const uint8_t *block, size_t size)
{
    r->heap_bytes -= lc_heap_block_size(size);
    lc_heap_free(r->heap, (void *)block, size);
}

void lc_rows_keep_stamps(lc_rows *r, bool keep)
{
    if (r->keeps_stamps == keep) return;
    r->keeps_stamps = keep;
    for (uint32_t p = 0; p < r->page_count; p++) {
        lc_page *page = r->pages[p];
        lc_heap_free(r->heap, page->stamps, stamps_size(r));
        page->stamps = keep ? lc_heap_alloc(r->heap, stamps_size(r)) : NULL;
    }
    if (!keep) return;
    for (lc_row_id id = lc_rows_next(r, 0); id != LC_NO_ROW; id = lc_rows_next(r, id + 1))
        lc_rows_page(r, id)->stamps[id & r->mask] = r->next_stamp++;
}

lc_row_id lc_rows_next(const lc_rows *r, lc_row_id id)
{
    for (uint32_t p = id >> r->shift; p < r->page_count; p++, id = p << r->shift) {
        const lc_page *page = r->pages[p];
        uint32_t slot = id & r->mask;
        if (page->live_count == 0) continue;
        for (uint32_t w = slot / 64; w * 64 < page->used; w++) {
            uint64_t live = page->bits[w].live;
            if (w == slot / 64) live &= ~UINT64_C(0) << (slot % 64);
            if (live) return p << r->shift | (w * 64 + (uint32_t)__builtin_ctzll(live));
        }
    }
    return LC_NO_ROW;
}

uint64_t lc_rows_memory(const lc_rows *r)
{
    uint64_t page = lc_heap_block_size(page_size(r)) +
                    (r->keeps_stamps ? lc_heap_block_size(stamps_size(r)) : 0);
    return r->page_count * page + r->page_cap * sizeof *r->pages + r->heap_bytes;
}
