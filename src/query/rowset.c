/* Result rows back to back. */
#include "query/lc_query.h"

void lc_rowset_deinit(lc_rowset *r)
{
    lc_buf_deinit(&r->data);
    lc_free(r->offsets);
    *r = (lc_rowset){0};
}

void lc_rowset_reset(lc_rowset *r)
{
    lc_buf_reset(&r->data);
    lc_free(r->offsets);
    r->offsets = NULL;
    r->offset_cap = 0;
    r->count = r->row_size = 0;
}

/* The first row of another size: from here on every start is written down. */
static void start_offsets(lc_rowset *r)
{
    r->offset_cap = r->count < 16 ? 32 : r->count * 2;
    r->offsets = lc_alloc(r->offset_cap * sizeof *r->offsets);
    for (uint64_t i = 0; i < r->count; i++) r->offsets[i] = i * r->row_size;
}

void lc_rowset_add(lc_rowset *r, lc_span row)
{
    if (!r->offsets) {
        if (r->count == 0) r->row_size = row.len;
        if (LC_UNLIKELY(row.len != r->row_size)) start_offsets(r);
    }
    if (r->offsets) {
        if (r->count == r->offset_cap) {
            r->offset_cap *= 2;
            r->offsets = lc_realloc(r->offsets, r->offset_cap * sizeof *r->offsets);
        }
        r->offsets[r->count] = r->data.len;
    }
    lc_buf_put_span(&r->data, row);
    r->count++;
}

lc_span lc_rowset_row(const lc_rowset *r, uint64_t i)
{
    if (!r->offsets) return LC_SPAN(r->data.ptr + i * r->row_size, r->row_size);
    uint64_t end = i + 1 < r->count ? r->offsets[i + 1] : r->data.len;
    return LC_SPAN(r->data.ptr + r->offsets[i], end - r->offsets[i]);
}
