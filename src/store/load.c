/*
 * An image read back: chunks of rows (lc_image_next_chunk says what they look like) go into the
 * tables as they are. What finds them comes later, with the log or at the end.
 */
#include "store/store_internal.h"

enum { HAS_STAMPS = 1 };
/* Far more rows than can ever have been inserted: later ones need stamps above. */
static const uint64_t max_stamp = INT64_MAX;

typedef struct chunk {
    lc_table *table;
    lc_span rows;
    uint32_t count;
    const uint8_t *stamps; /* one per row, or NULL */
} chunk;

static lc_status corrupt(const chunk *c, const char *what, lc_error *err)
{
    return lc_error_set(err, LC_E_CORRUPT, "image: table %u: %s", c->table->id, what);
}

/* The first chunk of a table: may it be in an image? */
static lc_status begin_table(chunk *c, lc_error *err)
{
    lc_table *t = c->table;
    const lc_store *s = t->store;
    bool is_kept = t->is_system ? !t->is_ephemeral
                                : !lc_replay_is_event(s, t->id) && !lc_catalog_is_view(s, t->id);
    if (!is_kept) return corrupt(c, "the log does not keep its rows", err);
    if (!t->is_system) lc_replay_identity(t); /* for the stamps */
    return LC_OK;
}

/* The table of the next chunk; they ascend, so all system tables are there before the others. */
static lc_status find_table(lc_store *s, uint32_t id, chunk *c, lc_error *err)
{
    lc_replay *r = s->replay;
    if (id < r->chunk_table)
        return lc_error_set(err, LC_E_CORRUPT, "image: table %u follows table %u", id,
                            r->chunk_table);
    lc_status status = id > LC_ST_COUNT ? lc_replay_prepare_system(s, err) : LC_OK;
    if (status == LC_OK) status = lc_replay_table(s, id, &c->table, err);
    if (status != LC_OK) {
        lc_error_prefix(err, "image: ");
        return status;
    }
    status = id > r->chunk_table ? begin_table(c, err) : LC_OK;
    r->chunk_table = id;
    return status;
}

static lc_status read_header(lc_store *s, lc_span bytes, chunk *c, lc_error *err)
{
    lc_reader in = lc_reader_of(bytes, NULL);
    const uint32_t id = lc_read_u32(&in);
    c->count = lc_read_u32(&in);
    const uint8_t flags = lc_read_u8(&in);
    if (in.failed) return lc_error_set(err, LC_E_CORRUPT, "image: a chunk is cut short");
    lc_status status = find_table(s, id, c, err);
    if (status != LC_OK) return status;

    if (flags & ~HAS_STAMPS) return corrupt(c, "a chunk has unknown flags", err);
    const bool has_stamps = flags & HAS_STAMPS;
    if (!c->table->is_system && has_stamps != c->table->rows.keeps_stamps)
        return corrupt(c, "its chunks have stamps or none against its indexes", err);
    c->rows = LC_SPAN(in.at, (size_t)(in.end - in.at));
    if (!has_stamps) return LC_OK;
    const uint64_t size = (uint64_t)c->count * sizeof(uint64_t);
    if (size > c->rows.len) return corrupt(c, "a chunk has fewer stamps than rows", err);
    c->rows.len -= size;
    c->stamps = c->rows.ptr + c->rows.len;
    return LC_OK;
}

/* The row at the start of rest. */
static lc_status check_row(const chunk *c, lc_span rest, size_t *size, lc_error *err)
{
    if (LC_LIKELY(lc_layout_validate(c->table->layout, rest, size, err) == LC_OK)) {
        if (LC_LIKELY(*size > 0 || c->table->rows.count + c->count == 1)) return LC_OK;
        return corrupt(c, "it has no columns but many rows", err);
    }
    lc_error_prefix(err, "image: table %u: a row cannot be read: ", c->table->id);
    return err->code = LC_E_CORRUPT;
}

static lc_status set_stamps(const chunk *c, uint32_t from, lc_row_id first, uint32_t count,
                            lc_error *err)
{
    if (!c->stamps) return LC_OK;
    for (uint32_t n = 0; n < count; n++) {
        uint64_t stamp = lc_load_u64(c->stamps + (size_t)(from + n) * sizeof stamp);
        if (stamp > max_stamp) return corrupt(c, "a stamp is out of range", err);
        lc_rows_set_stamp(&c->table->rows, first + n, stamp);
    }
    return LC_OK;
}

/* Rows of one size: checked all, then copied page by page. */
static lc_status load_fixed(const chunk *c, lc_error *err)
{
    lc_rows *rows = &c->table->rows;
    const size_t row_size = rows->row_size;
    if (c->rows.len != (uint64_t)c->count * row_size)
        return corrupt(c, "a chunk is not as long as its rows", err);
    lc_status status = LC_OK;
    size_t size;
    for (uint32_t n = 0; n < c->count && status == LC_OK; n++)
        status = check_row(c, LC_SPAN(c->rows.ptr + n * row_size, row_size), &size, err);
    for (uint32_t n = 0, run; n < c->count && status == LC_OK; n += run) {
        lc_row_id first;
        run = lc_rows_insert_run(rows, c->rows.ptr + n * row_size, c->count - n, &first);
        if (run == 0) return corrupt(c, "it has too many rows", err);
        status = set_stamps(c, n, first, run, err);
    }
    return status;
}

static lc_status load_varying(const chunk *c, lc_error *err)
{
    lc_table *t = c->table;
    lc_span rest = c->rows;
    for (uint32_t n = 0; n < c->count; n++) {
        size_t size;
        lc_row_id id;
        lc_status status = check_row(c, rest, &size, err);
        if (status != LC_OK) return status;
        lc_span row = LC_SPAN(rest.ptr, size);
        rest = LC_SPAN(rest.ptr + size, rest.len - size);
        id = size <= UINT32_MAX ? lc_rows_insert(&t->rows, row) : LC_NO_ROW;
        if (id == LC_NO_ROW) return corrupt(c, "it has too many rows or too long ones", err);
        status = set_stamps(c, n, id, 1, err);
        if (status != LC_OK) return status;
    }
    return rest.len == 0 ? LC_OK : corrupt(c, "bytes follow a chunk's rows", err);
}

lc_status lc_store_load_chunk(lc_store *s, lc_span bytes, lc_error *err)
{
    LC_ASSERT(s->replay && !s->replay->has_records);
    lc_error own = LC_ERROR_INIT;
    if (!err) err = &own;
    if (!s->replay->has_image) lc_replay_clear_system(s);
    chunk c = {0};
    lc_status status = read_header(s, bytes, &c, err);
    if (status == LC_OK)
        status = c.table->rows.is_fixed ? load_fixed(&c, err) : load_varying(&c, err);
    lc_error_clear(&own);
    return status;
}
