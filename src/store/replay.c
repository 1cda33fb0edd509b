/*
 * The log read back: mutations of one transaction after the other, by the rules of 05 section 3.11.
 *
 * While a log is replayed tables are rows and a row set, nothing else; the st_* rows among them say
 * what the rows of other tables look like. In a record inserts stand before deletes and system
 * tables before others, so every row is read with the schema as its transaction left it.
 */
#include "store/store_internal.h"

typedef struct replay {
    lc_store *store;
    lc_reader in;
    lc_error *err;
    LC_VEC(uint32_t) dropped; /* tables that this transaction drops */
} replay;

static lc_status fail(replay *r, const char *fmt, ...) LC_PRINTF(2, 3);
static lc_status fail(replay *r, const char *fmt, ...)
{
    lc_buf text = LC_BUF_INIT;
    va_list args;
    va_start(args, fmt);
    lc_buf_vprintf(&text, fmt, args);
    va_end(args);
    lc_error_set(r->err, LC_E_CORRUPT, LC_SPAN_FMT, LC_SPAN_ARG(text));
    lc_buf_deinit(&text);
    return LC_E_CORRUPT;
}

static uint64_t read_varint(lc_reader *in)
{
    uint64_t v = 0;
    for (uint32_t shift = 0; shift < 64; shift += 7) {
        uint8_t byte = lc_read_u8(in);
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) return v;
    }
    lc_read_fail(in, "a number without end");
    return 0;
}

/* ------------------------------------------------------------------ tables */

static bool is_dropped(const replay *r, uint32_t id)
{
    LC_VEC_EACH (d, &((replay *)r)->dropped) {
        if (*d == id) return true;
    }
    return false;
}

static bool has_table_row(const lc_store *s, uint32_t id)
{
    const lc_rows *rows = &s->system[LC_ST_TABLE]->rows;
    for (lc_row_id n = lc_rows_next(rows, 0); n != LC_NO_ROW; n = lc_rows_next(rows, n + 1))
        if (lc_load_u32(lc_rows_get(rows, n).ptr) == id) return true;
    return false;
}

/* The object of a table with its columns up to date. */
static lc_status find_table(replay *r, uint32_t id, lc_table **out)
{
    lc_store *s = r->store;
    if (id >= 1 && id <= LC_ST_COUNT) {
        *out = s->system[id];
        return LC_OK;
    }
    lc_table *t = lc_u64map_get(&s->replayed, id);
    if (!t) {
        if (!has_table_row(s, id)) return fail(r, "rows of an unknown table %u", id);
        t = lc_table_create(s, id, LC_SPAN_EMPTY);
        t->has_row_set = true;
        t->is_stale = true;
        lc_u64map_put(&s->replayed, id, t);
    }
    *out = t;
    if (!t->is_stale) return LC_OK;
    lc_status status = lc_catalog_load_columns(t, r->err);
    if (status == LC_OK) lc_rows_keep_stamps(&t->rows, true);
    return status;
}

static bool is_event_table(const lc_store *s, uint32_t id)
{
    return lc_table_find_equal(s->system[LC_ST_EVENT_TABLE], LC_SPAN(&id, sizeof id)) != LC_NO_ROW;
}

static void remove_row(lc_table *t, lc_row_id id)
{
    lc_hash_remove(&t->row_set, lc_row_tag(lc_rows_get(&t->rows, id)), id);
    lc_rows_hold(&t->rows, id);
    lc_rows_free(&t->rows, id);
}

static void remove_all(lc_table *t)
{
    lc_hash_deinit(&t->row_set);
    for (lc_row_id id = lc_rows_next(&t->rows, 0); id != LC_NO_ROW;
         id = lc_rows_next(&t->rows, id + 1)) {
        lc_rows_hold(&t->rows, id);
        lc_rows_free(&t->rows, id);
    }
}

/* Does a system row describe a system table? Every database has those rows from its start. */
static bool is_about_system_table(const lc_table *t, lc_span row)
{
    static const uint8_t id_columns[LC_ST_COUNT + 1] = {
        [LC_ST_SEQUENCE] = 2, [LC_ST_INDEX] = 1, [LC_ST_CONSTRAINT] = 2, [LC_ST_SCHEDULED] = 1};
    if (!t->is_system || !lc_system_is_schema(t->id)) return false;
    lc_span id = lc_layout_column(t->layout, row.ptr, id_columns[t->id]);
    return lc_load_u32(id.ptr) <= LC_FIRST_USER_ID;
}

static lc_status insert_row(replay *r, lc_table *t, lc_span row)
{
    if (LC_UNLIKELY(lc_table_find_equal(t, row) != LC_NO_ROW)) {
        if (is_about_system_table(t, row)) return LC_OK;
        return fail(r, "a row of table %u is inserted that is there already", t->id);
    }
    lc_row_id id = lc_rows_insert(&t->rows, row);
    if (id == LC_NO_ROW) return fail(r, "table %u has too many rows", t->id);
    lc_hash_insert(&t->row_set, lc_row_tag(row), id);
    if (t->id == LC_ST_COLUMN) {
        lc_table *described = lc_u64map_get(&r->store->replayed, lc_load_u32(row.ptr));
        if (described) described->is_stale = true;
    }
    return LC_OK;
}

static lc_status delete_row(replay *r, lc_table *t, lc_span row)
{
    lc_row_id id = lc_table_find_equal(t, row);
    if (id == LC_NO_ROW) return fail(r, "a row of table %u is deleted that is not there", t->id);
    if (t->id == LC_ST_TABLE) {
        uint32_t table_id = lc_load_u32(row.ptr);
        remove_row(t, id);
        if (!has_table_row(r->store, table_id)) lc_vec_push(&r->dropped, table_id);
        return LC_OK;
    }
    remove_row(t, id);
    return LC_OK;
}

/* ----------------------------------------------------------------- records */

typedef lc_status (*row_function)(replay *r, lc_table *t, lc_span row);

static lc_status read_rows(replay *r, lc_table *t, row_function each)
{
    for (uint64_t n = read_varint(&r->in); n > 0 && !r->in.failed; n--) {
        size_t size;
        lc_span rest = LC_SPAN(r->in.at, (size_t)(r->in.end - r->in.at));
        lc_status status = lc_layout_validate(t->layout, rest, &size, r->err);
        if (status != LC_OK) {
            lc_error_prefix(r->err, "a row of table %u cannot be read: ", t->id);
            return r->err ? r->err->code = LC_E_CORRUPT : LC_E_CORRUPT;
        }
        r->in.at += size;
        status = each ? each(r, t, LC_SPAN(rest.ptr, size)) : LC_OK;
        if (status != LC_OK) return status;
        if (size == 0 && n > 1) return fail(r, "table %u has no columns but many rows", t->id);
    }
    return LC_OK;
}

static lc_status read_inserts(replay *r)
{
    for (uint64_t n = read_varint(&r->in); n > 0 && !r->in.failed; n--) {
        lc_table *t;
        lc_status status = find_table(r, lc_read_u32(&r->in), &t);
        if (status == LC_OK)
            status = read_rows(r, t, is_event_table(r->store, t->id) ? NULL : insert_row);
        if (status != LC_OK) return status;
    }
    return LC_OK;
}

/* A new st_column row counts although the one it replaces is deleted only now: learn it before. */
static lc_status refresh_columns(replay *r)
{
    size_t at = 0;
    for (lc_u64map_slot *slot; (slot = lc_u64map_next(&r->store->replayed, &at));) {
        lc_table *t;
        lc_status status = find_table(r, (uint32_t)slot->key, &t);
        if (status != LC_OK) return status;
    }
    return LC_OK;
}

static lc_status read_deletes(replay *r)
{
    for (uint64_t n = read_varint(&r->in); n > 0 && !r->in.failed; n--) {
        uint32_t id = lc_read_u32(&r->in);
        lc_table *t = lc_u64map_get(&r->store->replayed, id);
        lc_status status = t && is_dropped(r, id) ? LC_OK : find_table(r, id, &t);
        if (status == LC_OK) status = read_rows(r, t, is_dropped(r, id) ? NULL : delete_row);
        if (status != LC_OK) return status;
    }
    return LC_OK;
}

static lc_status read_truncates(replay *r)
{
    for (uint64_t n = read_varint(&r->in); n > 0 && !r->in.failed; n--) {
        uint32_t id = lc_read_u32(&r->in);
        lc_table *t;
        if (is_dropped(r, id)) continue;
        lc_status status = find_table(r, id, &t);
        if (status != LC_OK) return status;
        remove_all(t);
    }
    return LC_OK;
}

lc_status lc_store_replay_tx(lc_store *s, lc_span mutations, size_t *consumed, lc_error *err)
{
    LC_ASSERT(s->is_replaying);
    lc_error own = LC_ERROR_INIT;
    replay r = {.store = s, .err = err ? err : &own};
    r.in = lc_reader_of(mutations, r.err);
    lc_status status = read_inserts(&r);
    if (status == LC_OK) status = refresh_columns(&r);
    if (status == LC_OK) status = read_deletes(&r);
    if (status == LC_OK) status = read_truncates(&r);
    if (status == LC_OK && r.in.failed) {
        r.err->code = LC_E_CORRUPT;
        status = LC_E_CORRUPT;
    }
    LC_VEC_EACH (id, &r.dropped) {
        lc_table *t = lc_u64map_remove(&s->replayed, *id);
        if (t) lc_table_destroy(t);
    }
    lc_vec_deinit(&r.dropped);
    if (consumed) *consumed = (size_t)(r.in.at - mutations.ptr);
    lc_error_clear(&own);
    return status;
}

/* --------------------------------------------------------- begin and end */

void lc_store_replay_begin(lc_store *s)
{
    LC_ASSERT(!s->in_tx && !s->is_replaying);
    lc_store_release(s);
    s->is_replaying = true;
    lc_system_begin_replay(s);
}

/* st_event_table rows of tables that are gone. */
static void remove_orphans(lc_store *s)
{
    lc_table *st = s->system[LC_ST_EVENT_TABLE];
    for (lc_row_id id = lc_rows_next(&st->rows, 0); id != LC_NO_ROW;
         id = lc_rows_next(&st->rows, id + 1))
        if (!has_table_row(s, lc_load_u32(lc_rows_get(&st->rows, id).ptr))) remove_row(st, id);
}

static lc_int128 allocated_of(lc_span row)
{
    lc_int128 v;
    memcpy(&v, row.ptr + row.len - sizeof v, sizeof v);
    return v;
}

/* Of several rows for one system sequence the one that got furthest stays. */
static void remove_stale_sequences(lc_store *s)
{
    lc_table *st = s->system[LC_ST_SEQUENCE];
    lc_row_id best[16];
    memset(best, 0xff, sizeof best);
    for (lc_row_id id = lc_rows_next(&st->rows, 0); id != LC_NO_ROW;
         id = lc_rows_next(&st->rows, id + 1)) {
        lc_span row = lc_rows_get(&st->rows, id);
        uint32_t sequence = lc_load_u32(row.ptr);
        if (sequence >= LC_ARRAY_LEN(best) || !is_about_system_table(st, row)) continue;
        lc_row_id worse = LC_NO_ROW;
        if (best[sequence] == LC_NO_ROW) {
            best[sequence] = id;
        } else if (allocated_of(row) > allocated_of(lc_rows_get(&st->rows, best[sequence]))) {
            worse = best[sequence];
            best[sequence] = id;
        } else {
            worse = id;
        }
        if (worse != LC_NO_ROW) remove_row(st, worse);
    }
}

/* A user table takes its place in the catalog. */
static lc_status settle_table(lc_store *s, uint32_t id, lc_error *err)
{
    lc_table *t = lc_u64map_remove(&s->replayed, id);
    if (!t) return lc_catalog_load_table(s, id, &t, err); /* it never had a row */
    lc_status status = lc_catalog_load_header(t, err);
    if (status == LC_OK) status = lc_catalog_load_columns(t, err);
    if (status == LC_OK) status = lc_catalog_load_objects(t, err);
    if (status == LC_OK) status = lc_table_finish(t, err);
    if (status != LC_OK) {
        lc_table_destroy(t);
        return status;
    }
    lc_catalog_add(s, t);
    return LC_OK;
}

lc_status lc_store_replay_end(lc_store *s, lc_error *err)
{
    LC_ASSERT(s->is_replaying);
    remove_orphans(s);
    remove_stale_sequences(s);
    s->is_replaying = false;
    lc_status status = lc_system_end_replay(s, err);
    const lc_rows *rows = &s->system[LC_ST_TABLE]->rows;
    for (lc_row_id n = lc_rows_next(rows, 0); n != LC_NO_ROW && status == LC_OK;
         n = lc_rows_next(rows, n + 1)) {
        uint32_t id = lc_load_u32(lc_rows_get(rows, n).ptr);
        if (id > LC_ST_COUNT) status = settle_table(s, id, err);
    }
    return status;
}
