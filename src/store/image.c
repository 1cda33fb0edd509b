/*
 * Frozen images. The executor's side: what an image may still read is neither written over nor
 * freed. The reader's side: pages to chunks.
 *
 * The two share the pages as they were when frozen, the blocks of rows they name, and `passed`;
 * nothing else.
 */
#include "store/store_internal.h"

#include <stdatomic.h>

/* Blocks out of use that an image may read: a stack in blocks of its own. */
typedef struct limbo_entry {
    void *block;
    uint32_t size;
    uint32_t epoch; /* last written in it */
} limbo_entry;
enum { LIMBO_ENTRIES = LC_HEAP_MAX_BLOCK / sizeof(limbo_entry) - 1 };
typedef struct limbo {
    struct limbo *next;
    uint32_t count;
    limbo_entry entries[LIMBO_ENTRIES];
} limbo;
_Static_assert(sizeof(limbo) <= LC_HEAP_MAX_BLOCK, "it is a block itself");

/* A table as it was. */
typedef struct frozen_table {
    uint32_t id;
    bool is_fixed, has_stamps;
    uint32_t row_size, stride, data_offset;
    uint32_t page_count;
    lc_page *const *pages;
} frozen_table;

struct lc_image {
    lc_freezer *freezer;
    uint32_t epoch;
    bool is_released;
    limbo *limbo;
    uint64_t row_count;
    frozen_table *tables; /* ascending id */
    uint32_t table_count;
    lc_page **pages; /* of all of them */
    uint64_t page_count, page_cap;
    _Atomic uint64_t passed; /* the reader needs nothing that lies before this place */
    /* The reader's: */
    uint32_t table, page, slot; /* where it is */
    lc_buf stamps;              /* of the chunk */
};

static uint64_t place_of(uint32_t table_id, uint32_t page)
{
    return (uint64_t)table_id << 32 | page;
}

/* ------------------------------------------------------------------- limbo */

static void push_limbo(lc_heap *heap, lc_image *i, limbo_entry e)
{
    if (!i->limbo || i->limbo->count == LIMBO_ENTRIES) {
        limbo *more = lc_heap_alloc(heap, sizeof *more);
        more->next = i->limbo;
        more->count = 0;
        i->limbo = more;
    }
    i->limbo->entries[i->limbo->count++] = e;
}

/* The limbo is not empty. */
static limbo_entry pop_limbo(lc_heap *heap, lc_image *i)
{
    limbo *top = i->limbo;
    limbo_entry e = top->entries[--top->count];
    if (top->count == 0) {
        i->limbo = top->next;
        lc_heap_free(heap, top, sizeof *top);
    }
    return e;
}

/* The newest living image, older than `before`, that may read such a thing at the place. */
static lc_image *newest_reader(const lc_freezer *f, uint32_t before, uint32_t epoch, uint64_t place)
{
    for (size_t n = f->images.len; n-- > 0;) {
        lc_image *i = f->images.items[n];
        if (i->epoch < epoch) return NULL;
        if (i->is_released || i->epoch >= before) continue;
        if (atomic_load_explicit(&i->passed, memory_order_acquire) <= place) return i;
    }
    return NULL;
}

bool lc_freezer_needs(const lc_freezer *f, uint32_t epoch, uint64_t place)
{
    return newest_reader(f, UINT32_MAX, epoch, place) != NULL;
}

void lc_freezer_retire(lc_freezer *f, void *block, size_t size, uint32_t epoch, uint64_t place)
{
    lc_image *reader = newest_reader(f, UINT32_MAX, epoch, place);
    if (reader)
        push_limbo(f->heap, reader, (limbo_entry){block, (uint32_t)size, epoch});
    else
        lc_heap_free(f->heap, block, size);
}

static void forget_image(lc_freezer *f, size_t at)
{
    lc_image *i = f->images.items[at];
    memmove(f->images.items + at, f->images.items + at + 1,
            (--f->images.len - at) * sizeof *f->images.items);
    f->released--;
    lc_free(i);
}

/* Frees up to so many blocks that waited for released images, long ones counting as several; what
 * older living images may read is theirs now. False when nothing waits any more. */
static bool drain(lc_freezer *f, int64_t count)
{
    for (size_t n = 0; f->released > 0;) {
        lc_image *i = f->images.items[n];
        if (!i->is_released) {
            n++;
        } else if (!i->limbo) {
            forget_image(f, n);
        } else if (count <= 0) {
            return true;
        } else {
            limbo_entry e = pop_limbo(f->heap, i);
            count -= 1 + e.size / LC_SLAB_SIZE;
            lc_image *reader = newest_reader(f, i->epoch, e.epoch, UINT64_MAX - 1);
            if (reader)
                push_limbo(f->heap, reader, e);
            else
                lc_heap_free(f->heap, e.block, e.size);
        }
    }
    return false;
}

bool lc_freezer_tidy(lc_freezer *f)
{
    return drain(f, LC_FREEZER_PIECE);
}

void lc_freezer_deinit(lc_freezer *f)
{
    drain(f, INT64_MAX);
    if (f->images.len > 0) LC_BUG("a store ends before its images");
    lc_vec_deinit(&f->images);
}

bool lc_store_tidy(lc_store *s)
{
    return lc_freezer_tidy(&s->freezer);
}

/* ------------------------------------------------------ freeze and release */

static bool is_in_images(const lc_table *t)
{
    return !t->is_event && !t->is_ephemeral;
}

static void freeze_table(lc_image *i, lc_table *t)
{
    lc_rows *r = &t->rows;
    lc_page **pages = i->pages + i->page_count;
    r->place = place_of(t->id, 0);
    if (r->count == 0) return;
    memcpy(pages, r->pages, r->page_count * sizeof *pages);
    i->page_count += r->page_count;
    i->row_count += r->count;
    i->tables[i->table_count++] = (frozen_table){.id = t->id,
                                                 .is_fixed = r->is_fixed,
                                                 .has_stamps = r->keeps_stamps,
                                                 .row_size = r->row_size,
                                                 .stride = r->stride,
                                                 .data_offset = r->data_offset,
                                                 .page_count = r->page_count,
                                                 .pages = pages};
}

lc_image *lc_store_freeze(lc_store *s)
{
    LC_ASSERT(!s->in_tx && !s->replay);
    lc_store_release(s);
    lc_freezer *f = &s->freezer;
    lc_image *i = lc_alloc_zero(sizeof *i);
    i->freezer = f;
    i->epoch = f->epoch++;
    atomic_init(&i->passed, place_of(1, 0));

    LC_VEC_EACH (t, &s->ordered) {
        if (is_in_images(*t)) i->page_cap += (*t)->rows.page_count;
    }
    i->pages = lc_heap_alloc(&s->heap, i->page_cap * sizeof *i->pages);
    i->tables = lc_alloc((s->ordered.len + 1) * sizeof *i->tables);
    LC_VEC_EACH (t, &s->ordered) {
        if (is_in_images(*t)) freeze_table(i, *t);
    }
    lc_vec_push(&f->images, i);
    f->frozen_upto = i->epoch;
    s->heap.in_small_pages = true;
    return i;
}

void lc_image_release(lc_image *i)
{
    lc_freezer *f = i->freezer;
    lc_heap_free(f->heap, i->pages, i->page_cap * sizeof *i->pages);
    lc_free(i->tables);
    lc_buf_deinit(&i->stamps);
    i->is_released = true;
    f->released++;
    f->frozen_upto = 0;
    LC_VEC_EACH (image, &f->images) {
        if (!(*image)->is_released) f->frozen_upto = (*image)->epoch;
    }
    f->heap->in_small_pages = f->frozen_upto > 0;
    lc_freezer_tidy(f);
}

uint64_t lc_image_row_count(const lc_image *i)
{
    return i->row_count;
}

/* ------------------------------------------------------------------ reader */

enum { CHUNK_HEADER = 9, HAS_STAMPS = 1 };

typedef struct chunk {
    const frozen_table *table;
    lc_buf *out, *stamps;
    size_t end; /* no further row once out is as long */
    uint32_t row_count;
} chunk;

static lc_span row_at(const frozen_table *t, const lc_page *page, uint32_t slot)
{
    const uint8_t *at = (const uint8_t *)page + t->data_offset + (size_t)slot * t->stride;
    if (t->is_fixed) return LC_SPAN(at, t->row_size);
    const lc_var_row *v = (const lc_var_row *)at;
    return LC_SPAN(v->bytes, v->len);
}

static void put_row(chunk *c, const lc_page *page, uint32_t slot)
{
    lc_buf_put_span(c->out, row_at(c->table, page, slot));
    if (c->table->has_stamps) lc_buf_put_u64(c->stamps, page->stamps[slot]);
    c->row_count++;
}

/* A page without gaps, if there is room for all of it. */
static bool put_whole_page(chunk *c, const lc_page *page)
{
    const frozen_table *t = c->table;
    const size_t size = (size_t)page->used * t->row_size;
    if (!t->is_fixed || t->stride != t->row_size || page->live_count != page->used ||
        c->out->len + size > c->end)
        return false;
    lc_buf_put(c->out, (const uint8_t *)page + t->data_offset, size);
    if (t->has_stamps) lc_buf_put(c->stamps, page->stamps, page->used * sizeof *page->stamps);
    c->row_count += page->used;
    return true;
}

/* The rows from a slot on; where the chunk was full, or the number of slots. */
static uint32_t put_rows(chunk *c, const lc_page *page, uint32_t from)
{
    if (from == 0 && put_whole_page(c, page)) return page->used;
    for (uint32_t w = from / 64; w * 64 < page->used; w++) {
        uint64_t live = page->bits[w].live;
        if (w == from / 64) live &= ~UINT64_C(0) << (from % 64);
        for (; live; live &= live - 1) {
            uint32_t slot = w * 64 + (uint32_t)__builtin_ctzll(live);
            if (c->out->len >= c->end) return slot;
            put_row(c, page, slot);
        }
    }
    return page->used;
}

/* Fills the chunk from the table the reader is at, as far as either goes. */
static void put_pages(lc_image *i, chunk *c)
{
    const frozen_table *t = c->table;
    for (; i->page < t->page_count; i->page++, i->slot = 0) {
        const lc_page *page = t->pages[i->page];
        if (page && page->live_count > 0) {
            i->slot = put_rows(c, page, i->slot);
            if (i->slot < page->used) return;
        }
        atomic_store_explicit(&i->passed, place_of(t->id, i->page + 1), memory_order_release);
    }
}

bool lc_image_next_chunk(lc_image *i, size_t target, lc_buf *out)
{
    const size_t start = out->len;
    lc_buf_reset(&i->stamps);
    for (; i->table < i->table_count; i->table++, i->page = i->slot = 0) {
        const frozen_table *t = &i->tables[i->table];
        lc_buf_extend(out, CHUNK_HEADER);
        chunk c = {t, out, &i->stamps, out->len + (target > 0 ? target : 1), 0};
        put_pages(i, &c);
        if (c.row_count == 0) {
            out->len = start;
            continue;
        }
        lc_store_u32(out->ptr + start, t->id);
        lc_store_u32(out->ptr + start + 4, c.row_count);
        out->ptr[start + 8] = t->has_stamps ? HAS_STAMPS : 0;
        lc_buf_put_span(out, lc_buf_span(&i->stamps));
        return true;
    }
    atomic_store_explicit(&i->passed, UINT64_MAX, memory_order_release);
    return false;
}

static bool visit_page(const frozen_table *t, const lc_page *page, lc_row_visit visit, void *arg)
{
    for (uint32_t w = 0; w * 64 < page->used; w++) {
        for (uint64_t live = page->bits[w].live; live; live &= live - 1) {
            uint32_t slot = w * 64 + (uint32_t)__builtin_ctzll(live);
            if (!visit(arg, row_at(t, page, slot))) return false;
        }
    }
    return true;
}

void lc_image_scan(lc_image *i, uint32_t table_id, lc_row_visit visit, void *arg)
{
    atomic_store_explicit(&i->passed, place_of(table_id, 0), memory_order_release);
    while (i->table < i->table_count && i->tables[i->table].id < table_id) i->table++;
    if (i->table == i->table_count || i->tables[i->table].id != table_id) return;
    const frozen_table *t = &i->tables[i->table++];
    for (uint32_t p = 0; p < t->page_count; p++) {
        if (t->pages[p] && !visit_page(t, t->pages[p], visit, arg)) break;
        atomic_store_explicit(&i->passed, place_of(t->id, p + 1), memory_order_release);
    }
    atomic_store_explicit(&i->passed, place_of(table_id + 1, 0), memory_order_release);
}
