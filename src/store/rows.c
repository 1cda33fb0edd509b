/* Rows in slots, slots in pages. */
#include "store/store_internal.h"

/* Pages are as big as the biggest block, unless not even one row would fit. That is also small
 * enough to copy one before a write without anybody feeling it. */

/* Header and bits for so many slots. */
static size_t header_size(uint32_t slots)
{
    size_t words = ((size_t)slots + 63) / 64;
    return (sizeof(lc_page) + words * sizeof(lc_page_bits) + 15) & ~(size_t)15;
}

void lc_rows_init(lc_rows *r, lc_freezer *freezer, int32_t fixed_size)
{
    *r = (lc_rows){.heap = freezer->heap,
                   .freezer = freezer,
                   .with_room = LC_NO_PAGE,
                   .filling = LC_NO_PAGE,
                   .spare = LC_NO_PAGE};
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

/* The page's memory goes, once no image needs it; blocks of its rows do not. */
static void give_up(lc_rows *r, uint32_t p, lc_page *page)
{
    uint64_t place = r->place + p;
    if (page->stamps) lc_freezer_free(r->freezer, page->stamps, stamps_size(r), page->epoch, place);
    lc_freezer_free(r->freezer, page, page_size(r), page->epoch, place);
}

void lc_rows_deinit(lc_rows *r)
{
    for (uint32_t p = 0; p < r->page_count; p++) {
        lc_page *page = r->pages[p];
        if (!page) continue;
        /* Held rows are the transaction's: it ends before its tables do. */
        for (uint32_t s = 0; !r->is_fixed && s < page->used; s++) {
            if (!(page->bits[s / 64].live >> (s % 64) & 1)) continue;
            lc_row_id id = p << r->shift | s;
            lc_rows_free_block(r, id, *lc_rows_block(r, id));
        }
        give_up(r, p, page);
    }
    lc_free(r->pages);
    lc_vec_deinit(&r->free_numbers);
    *r = (lc_rows){0};
}

/* A number for a new page; LC_NO_PAGE when handles go no further. */
static uint32_t take_number(lc_rows *r)
{
    if (r->free_numbers.len > 0) return r->free_numbers.items[--r->free_numbers.len];
    if ((uint64_t)(r->page_count + 1) << r->shift >= LC_NO_ROW) return LC_NO_PAGE;
    if (r->page_count == r->page_cap) {
        r->page_cap = r->page_cap ? r->page_cap * 2 : 4;
        r->pages = lc_realloc(r->pages, (size_t)r->page_cap * sizeof *r->pages);
    }
    return r->page_count++;
}

/* A page of fresh slots; false when there can be no more. */
static bool add_page(lc_rows *r)
{
    uint32_t p = take_number(r);
    if (p == LC_NO_PAGE) return false;
    lc_page *page = lc_heap_alloc(r->heap, page_size(r));
    memset(page, 0, r->data_offset);
    page->free_head = LC_NO_SLOT;
    page->epoch = r->freezer->epoch;
    if (r->keeps_stamps) page->stamps = lc_heap_alloc(r->heap, stamps_size(r));
    r->pages[p] = page;
    r->filling = p;
    return true;
}

static lc_page *unshare_page(lc_rows *r, uint32_t p)
{
    lc_page *old = r->pages[p];
    if (!lc_freezer_needs(r->freezer, old->epoch, r->place + p)) {
        old->epoch = r->freezer->epoch;
        return old;
    }
    lc_page *page = lc_heap_alloc(r->heap, page_size(r));
    memcpy(page, old, r->data_offset + (size_t)old->used * r->stride);
    page->epoch = r->freezer->epoch;
    if (old->stamps) {
        page->stamps = lc_heap_alloc(r->heap, stamps_size(r));
        memcpy(page->stamps, old->stamps, old->used * sizeof *old->stamps);
    }
    r->pages[p] = page;
    give_up(r, p, old);
    return page;
}

/* The page, to be changed: from here on no image sees it. */
static inline lc_page *own_page(lc_rows *r, uint32_t p)
{
    lc_page *page = r->pages[p];
    const uint32_t frozen_upto = r->freezer->frozen_upto;
    if (LC_LIKELY(frozen_upto == 0) || page->epoch > frozen_upto) return page;
    return unshare_page(r, p);
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

/* A slot to use: the one freed last, else the next fresh one. */
static lc_row_id take_slot(lc_rows *r)
{
    uint32_t p = r->with_room;
    if (LC_UNLIKELY(p != LC_NO_PAGE)) {
        lc_page *page = own_page(r, p);
        lc_row_id id = p << r->shift | page->free_head;
        page->free_head = lc_load_u16(lc_rows_slot(r, id));
        if (page->free_head == LC_NO_SLOT) unlist_page(r, p);
        if (page->taken++ == 0 && r->spare == p) r->spare = LC_NO_PAGE;
        return id;
    }
    if (r->filling == LC_NO_PAGE && !add_page(r)) return LC_NO_ROW;
    p = r->filling;
    lc_page *page = own_page(r, p);
    lc_row_id id = p << r->shift | page->used++;
    if (page->used == r->slots) r->filling = LC_NO_PAGE;
    page->taken++;
    return id;
}

/* A page without rows stays as the spare one or goes. */
static void retire_page(lc_rows *r, uint32_t p)
{
    if (r->spare == LC_NO_PAGE) {
        r->spare = p;
        return;
    }
    unlist_page(r, p);
    if (r->filling == p) r->filling = LC_NO_PAGE;
    give_up(r, p, r->pages[p]);
    r->pages[p] = NULL;
    lc_vec_push(&r->free_numbers, p);
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
    v->len = (uint32_t)row.len;
    v->epoch = r->freezer->epoch;
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

/* Slots [from, from + count) are live. */
static void set_run_live(lc_page *page, uint32_t from, uint32_t count)
{
    for (uint32_t end = from + count; from < end;) {
        uint32_t bit = from % 64, n = 64 - bit;
        if (n > end - from) n = end - from;
        page->bits[from / 64].live |= (n == 64 ? ~UINT64_C(0) : (UINT64_C(1) << n) - 1) << bit;
        from += n;
    }
    page->live_count = (uint16_t)(page->live_count + count);
}

uint32_t lc_rows_insert_run(lc_rows *r, const uint8_t *rows, uint32_t count, lc_row_id *first)
{
    *first = lc_rows_insert(r, LC_SPAN(rows, r->row_size));
    if (*first == LC_NO_ROW) return 0;
    const uint32_t p = *first >> r->shift;
    lc_page *page = r->pages[p];
    const uint32_t from = page->used;
    if (r->filling != p || from != (*first & r->mask) + 1 || r->stride != r->row_size) return 1;
    uint32_t more = r->slots - from;
    if (more > count - 1) more = count - 1;
    memcpy(lc_rows_slot(r, *first + 1), rows + r->row_size, (size_t)more * r->row_size);
    set_run_live(page, from, more);
    for (uint32_t n = 0; n < more && r->keeps_stamps; n++) page->stamps[from + n] = r->next_stamp++;
    page->used = (uint16_t)(from + more);
    page->taken = (uint16_t)(page->taken + more);
    if (page->used == r->slots) r->filling = LC_NO_PAGE;
    r->count += more;
    return 1 + more;
}

void lc_rows_hold(lc_rows *r, lc_row_id id)
{
    lc_page *page = own_page(r, id >> r->shift);
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
    const uint32_t p = id >> r->shift;
    if (!r->is_fixed) lc_rows_free_block(r, id, *lc_rows_block(r, id));
    lc_page *page = r->pages[p];
    lc_store_u16(lc_rows_slot(r, id), page->free_head);
    page->free_head = (uint16_t)(id & r->mask);
    if (r->with_room != p) {
        if (page->is_listed) unlist_page(r, p);
        list_page(r, p);
    }
    if (LC_UNLIKELY(--page->taken == 0)) retire_page(r, p);
}

void lc_rows_write(lc_rows *r, lc_row_id id, lc_span row)
{
    own_page(r, id >> r->shift);
    set_bytes(r, id, row);
}

void lc_rows_replace(lc_rows *r, lc_row_id id, lc_span row)
{
    lc_var_row old = {0};
    if (!r->is_fixed) {
        lc_var_row *block = lc_rows_block(r, id);
        if (row.len <= block->len &&
            lc_heap_block_size(row.len) == lc_heap_block_size(block->len)) {
            if (row.len) memcpy(block->bytes, row.ptr, row.len);
            block->len = (uint32_t)row.len;
            return;
        }
        old = *block;
    }
    lc_rows_write(r, id, row);
    if (!r->is_fixed) lc_rows_free_block(r, id, old);
}

void lc_rows_free_block(lc_rows *r, lc_row_id id, lc_var_row block)
{
    r->heap_bytes -= lc_heap_block_size(block.len);
    lc_freezer_free(r->freezer, block.bytes, block.len, block.epoch, r->place + (id >> r->shift));
}

void lc_rows_keep_stamps(lc_rows *r, bool keep)
{
    if (r->keeps_stamps == keep) return;
    r->keeps_stamps = keep;
    for (uint32_t p = 0; p < r->page_count; p++) {
        if (!r->pages[p]) continue;
        lc_page *page = own_page(r, p);
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
        if (!page || page->live_count == 0) continue;
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
    return (r->page_count - r->free_numbers.len) * page + r->page_cap * sizeof *r->pages +
           r->free_numbers.cap * sizeof *r->free_numbers.items + r->heap_bytes;
}
