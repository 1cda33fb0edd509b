/* Whole tables out. Reads through indexes are in index.c. */
#include "store/store_internal.h"

/* Rows of varying size lie anywhere: ask for their bytes some rows ahead. */
enum { AHEAD = 8 };

static inline void expect_row(const lc_rows *rows, const lc_page *page, uint32_t slot)
{
    if (rows->is_fixed || slot + AHEAD >= page->used) return;
    const lc_var_row *v = (const lc_var_row *)((const uint8_t *)page + rows->data_offset);
    __builtin_prefetch(v[slot + AHEAD].bytes);
}

/* Rows of the open transaction come last, in the order it touched them: they are left out of the
 * walk through the pages. */
static uint64_t touched_left_out(const lc_table *t)
{
    return LC_UNLIKELY(lc_tx_has_rows(t)) ? ~UINT64_C(0) : 0;
}

/* The next of them, counting entries from *at; LC_NO_ROW at the end. */
static lc_row_id next_own_row(const lc_table *t, size_t *at)
{
    while (*at < t->tx.entries.len) {
        const lc_tx_entry *e = &t->tx.entries.items[(*at)++];
        if (e->state == LC_TX_INSERTED || e->state == LC_TX_UPDATED) return e->row;
    }
    return LC_NO_ROW;
}

void lc_table_scan(const lc_table *t, lc_row_visit visit, void *arg)
{
    const lc_rows *rows = &t->rows;
    const uint64_t left_out = touched_left_out(t);
    for (uint32_t p = 0; p < rows->page_count; p++) {
        const lc_page *page = rows->pages[p];
        if (!page) continue;
        for (uint32_t w = 0; w * 64 < page->used; w++) {
            uint64_t live = page->bits[w].live & ~(page->bits[w].touched & left_out);
            for (; live; live &= live - 1) {
                uint32_t slot = w * 64 + (uint32_t)__builtin_ctzll(live);
                expect_row(rows, page, slot);
                if (!visit(arg, lc_rows_get(rows, p << rows->shift | slot))) return;
            }
        }
    }
    if (!left_out) return;
    size_t at = 0;
    for (lc_row_id id; (id = next_own_row(t, &at)) != LC_NO_ROW;)
        if (!visit(arg, lc_rows_get(rows, id))) return;
}

/* All rows of one size: full pages are copied at once. */
static void copy_fixed(const lc_table *t, uint8_t *out)
{
    const lc_rows *rows = &t->rows;
    const uint64_t left_out = touched_left_out(t);
    const size_t size = rows->row_size;
    for (uint32_t p = 0; p < rows->page_count; p++) {
        const lc_page *page = rows->pages[p];
        if (!page || page->live_count == 0) continue;
        const uint8_t *data = (const uint8_t *)page + rows->data_offset;
        if (page->live_count == page->used && rows->stride == size && !left_out) {
            memcpy(out, data, page->used * size);
            out += page->used * size;
            continue;
        }
        for (uint32_t w = 0; w * 64 < page->used; w++) {
            uint64_t live = page->bits[w].live & ~(page->bits[w].touched & left_out);
            for (; live; live &= live - 1) {
                uint32_t slot = w * 64 + (uint32_t)__builtin_ctzll(live);
                memcpy(out, data + (size_t)slot * rows->stride, size);
                out += size;
            }
        }
    }
    if (!left_out) return;
    size_t at = 0;
    for (lc_row_id id; (id = next_own_row(t, &at)) != LC_NO_ROW; out += size)
        memcpy(out, lc_rows_slot(rows, id), size);
}

static void scan_fixed(const lc_table *t, lc_buf *out, size_t chunk_size, lc_boundaries *bounds)
{
    const lc_rows *rows = &t->rows;
    const uint64_t start = out->len, bytes = rows->count * rows->row_size;
    copy_fixed(t, lc_buf_extend(out, bytes));
    if (!bounds || bytes == 0) return;
    uint64_t chunk = (chunk_size / rows->row_size + 1) * rows->row_size;
    uint64_t at = chunk;
    for (; at < bytes; at += chunk) lc_vec_push(bounds, start + at);
    lc_vec_push(bounds, start + bytes);
}

typedef struct copy_out {
    lc_buf *out;
    lc_boundaries *bounds;
    size_t chunk_size;
    size_t last; /* where the chunk began */
} copy_out;

static bool copy_row(void *arg, lc_span row)
{
    copy_out *c = arg;
    lc_buf_put_span(c->out, row);
    if (c->bounds && c->out->len - c->last > c->chunk_size) {
        lc_vec_push(c->bounds, c->out->len);
        c->last = c->out->len;
    }
    return true;
}

void lc_table_scan_into(const lc_table *t, lc_buf *out, size_t chunk_size, lc_boundaries *bounds)
{
    if (t->rows.is_fixed) {
        if (t->rows.row_size > 0) scan_fixed(t, out, chunk_size, bounds);
        return;
    }
    copy_out c = {out, bounds, chunk_size, out->len};
    lc_table_scan(t, copy_row, &c);
    if (bounds && out->len > c.last) lc_vec_push(bounds, out->len);
}
