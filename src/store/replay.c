/*
 * The log read back: mutations of one transaction after the other, by the rules of 05 section 3.11.
 *
 * In a record inserts stand before deletes and system tables before others, so every row is read
 * with the schema as its transaction left it. With rows of system tables it is done as it is read.
 * Inserts into a user table wait until the rows it is to lose are known: those are doomed, that is,
 * marked as touched, and an insert with the key of one of them is an update in its place.
 */
#include "store/store_internal.h"

typedef struct reading {
    lc_store *store;
    lc_replay *replay;
    lc_reader in;
    lc_error *err;
    size_t applied;   /* of replay->inserts */
    uint32_t last_id; /* of the section's table before */
} reading;

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

/* The next row of a group, of which n are left. */
static lc_status read_row(reading *r, const lc_table *t, uint64_t n, lc_span *row)
{
    size_t size;
    *row = LC_SPAN(r->in.at, (size_t)(r->in.end - r->in.at));
    if (LC_UNLIKELY(lc_layout_validate(t->layout, *row, &size, r->err) != LC_OK)) {
        lc_error_prefix(r->err, "a row of table %u cannot be read: ", t->id);
        return r->err->code = LC_E_CORRUPT;
    }
    if (LC_UNLIKELY(size == 0 && n > 1))
        return lc_error_set(r->err, LC_E_CORRUPT, "table %u has no columns but many rows", t->id);
    row->len = size;
    r->in.at += size;
    return LC_OK;
}

/* The number of the next table in a section; they ascend, and so a table comes once. */
static lc_status read_table_id(reading *r, uint32_t *id)
{
    *id = lc_read_u32(&r->in);
    if (!r->in.failed && *id <= r->last_id)
        return lc_error_set(r->err, LC_E_CORRUPT, "table %u follows table %u in a record", *id,
                            r->last_id);
    r->last_id = *id;
    return r->in.failed ? LC_E_CORRUPT : LC_OK;
}

static bool is_dropped(const reading *r, uint32_t id)
{
    for (size_t n = 0; n < r->replay->dropped.len; n++)
        if (r->replay->dropped.items[n] == id) return true;
    return false;
}

/* ------------------------------------------------------------------ inserts */

static lc_status fail_twice(reading *r, const lc_table *t)
{
    return lc_error_set(r->err, LC_E_CORRUPT, "a row of table %u is inserted that is there already",
                        t->id);
}

/* Into a table that has a row set. */
static lc_status insert_new(reading *r, lc_table *t, lc_span row)
{
    if (LC_UNLIKELY(lc_table_find_equal(t, row) != LC_NO_ROW)) {
        if (lc_replay_is_about_system(t, row)) return LC_OK;
        return fail_twice(r, t);
    }
    lc_row_id id;
    lc_status status = lc_replay_add(t, row, &id, r->err);
    if (status == LC_OK && t->is_system) lc_replay_learn(t, row, true);
    return status;
}

static lc_status insert_user(reading *r, lc_table *t, lc_span row)
{
    if (!t->identity) return insert_new(r, t, row);
    lc_row_id id = lc_index_lookup_row(t->identity, row.ptr);
    if (id == LC_NO_ROW) return lc_replay_add(t, row, &id, r->err);
    if (LC_UNLIKELY(lc_span_equal(lc_rows_get(&t->rows, id), row))) return fail_twice(r, t);
    if (LC_LIKELY(lc_rows_is_touched(&t->rows, id))) {
        lc_rows_set_touched(&t->rows, id, false);
        lc_rows_replace(&t->rows, id, row);
        return LC_OK;
    }
    /* Two rows with one key: they may be, for a while. */
    lc_status status = lc_table_use_row_set(t, r->err);
    return status == LC_OK ? insert_new(r, t, row) : status;
}

static lc_status apply_inserts(reading *r, const lc_replay_inserts *group)
{
    lc_table *t = group->table;
    const uint8_t *at = group->rows;
    lc_status status = lc_replay_prepare(t, r->err);
    for (uint64_t left = group->count; left > 0 && status == LC_OK;) {
        lc_span rows[LC_REPLAY_BATCH];
        const uint32_t count = left < LC_REPLAY_BATCH ? (uint32_t)left : LC_REPLAY_BATCH;
        for (uint32_t n = 0; n < count; n++, at += rows[n - 1].len)
            rows[n] = LC_SPAN(at, lc_layout_row_size(t->layout, at));
        lc_replay_expect(t, rows, count);
        for (uint32_t n = 0; n < count && status == LC_OK; n++) status = insert_user(r, t, rows[n]);
        left -= count;
    }
    return status;
}

/* Those that wait, into tables below this id. */
static lc_status apply_inserts_below(reading *r, uint64_t id)
{
    lc_status status = LC_OK;
    const lc_replay *p = r->replay;
    while (status == LC_OK && r->applied < p->inserts.len &&
           p->inserts.items[r->applied].table->id < id)
        status = apply_inserts(r, &p->inserts.items[r->applied++]);
    return status;
}

static lc_status read_inserts_of(reading *r, lc_table *t)
{
    uint64_t count = read_varint(&r->in);
    lc_span row;
    lc_status status = LC_OK;
    if (t->is_system) {
        for (uint64_t n = count; n > 0 && status == LC_OK; n--) {
            status = read_row(r, t, n, &row);
            if (status == LC_OK) status = insert_new(r, t, row);
        }
        return status;
    }
    const lc_replay_inserts group = {t, r->in.at, count};
    for (uint64_t n = count; n > 0 && status == LC_OK; n--) status = read_row(r, t, n, &row);
    if (status == LC_OK && !lc_replay_is_event(r->store, t->id))
        lc_vec_push(&r->replay->inserts, group);
    return status;
}

static lc_status read_inserts(reading *r)
{
    lc_status status = LC_OK;
    r->last_id = 0;
    for (uint64_t n = read_varint(&r->in); n > 0 && status == LC_OK; n--) {
        uint32_t id;
        lc_table *t;
        status = read_table_id(r, &id);
        if (status == LC_OK) status = lc_replay_table(r->store, id, &t, r->err);
        if (status == LC_OK) status = read_inserts_of(r, t);
    }
    return status;
}

/* A new st_column row counts although the one it replaces is deleted only now: learn it before. */
static lc_status refresh_columns(reading *r)
{
    if (LC_LIKELY(!r->replay->has_stale)) return LC_OK;
    r->replay->has_stale = false;
    size_t at = 0;
    for (lc_u64map_slot *slot; (slot = lc_u64map_next(&r->replay->tables, &at));) {
        lc_table *t;
        lc_status status = lc_replay_table(r->store, (uint32_t)slot->key, &t, r->err);
        if (status != LC_OK) return status;
    }
    return LC_OK;
}

/* ------------------------------------------------------------------ deletes */

static lc_status delete_now(reading *r, lc_table *t, lc_span row)
{
    lc_row_id id = lc_table_find_equal(t, row);
    if (id == LC_NO_ROW)
        return lc_error_set(r->err, LC_E_CORRUPT, "a row of table %u is deleted that is not there",
                            t->id);
    lc_replay_remove(t, id);
    if (!t->is_system) return LC_OK;
    lc_replay_learn(t, row, false);
    uint32_t table_id = lc_load_u32(row.ptr);
    if (t->id == LC_ST_TABLE && !lc_replay_has_table(r->store, table_id))
        lc_vec_push(&r->replay->dropped, table_id);
    return LC_OK;
}

/* A row of a user table is to go; one that is not there may still come with the inserts. */
static void doom(reading *r, lc_table *t, lc_span row)
{
    lc_row_id id = lc_table_find_equal(t, row);
    if (LC_UNLIKELY(id == LC_NO_ROW || lc_rows_is_touched(&t->rows, id))) {
        lc_vec_push(&r->replay->late, row);
        return;
    }
    lc_rows_set_touched(&t->rows, id, true);
    lc_vec_push(&r->replay->doomed, id);
}

/* After the inserts: what they did not overwrite goes. */
static lc_status remove_doomed(reading *r, lc_table *t)
{
    lc_replay *p = r->replay;
    LC_VEC_EACH (id, &p->doomed) {
        if (!lc_rows_is_touched(&t->rows, *id)) continue;
        lc_rows_set_touched(&t->rows, *id, false);
        lc_replay_remove(t, *id);
    }
    p->doomed.len = 0;
    lc_status status = LC_OK;
    for (size_t n = 0; n < p->late.len && status == LC_OK; n++)
        status = delete_now(r, t, p->late.items[n]);
    p->late.len = 0;
    return status;
}

static lc_status read_deletes_of(reading *r, lc_table *t)
{
    lc_status status = lc_replay_prepare(t, r->err);
    for (uint64_t left = read_varint(&r->in); left > 0 && status == LC_OK;) {
        lc_span rows[LC_REPLAY_BATCH];
        uint32_t count = 0;
        for (; left > 0 && count < LC_REPLAY_BATCH && status == LC_OK; left--)
            status = read_row(r, t, left, &rows[count++]);
        if (status != LC_OK) return status;
        lc_replay_expect(t, rows, count);
        for (uint32_t n = 0; n < count; n++) doom(r, t, rows[n]);
    }
    if (status == LC_OK) status = apply_inserts_below(r, (uint64_t)t->id + 1);
    return status == LC_OK ? remove_doomed(r, t) : status;
}

/* Of a system table, done at once, or of a table that is gone, which nobody misses. */
static lc_status read_other_deletes(reading *r, lc_table *t)
{
    lc_status status = LC_OK;
    lc_span row;
    for (uint64_t n = read_varint(&r->in); n > 0 && status == LC_OK; n--) {
        status = read_row(r, t, n, &row);
        if (status == LC_OK && t->is_system) status = delete_now(r, t, row);
    }
    return status;
}

static lc_status read_deletes(reading *r)
{
    lc_status status = LC_OK;
    r->last_id = 0;
    for (uint64_t n = read_varint(&r->in); n > 0 && status == LC_OK; n--) {
        uint32_t id;
        status = read_table_id(r, &id);
        if (status == LC_OK) status = apply_inserts_below(r, id);
        if (status != LC_OK) break;
        const bool is_gone = is_dropped(r, id);
        lc_table *t = is_gone ? lc_u64map_get(&r->replay->tables, id) : NULL;
        if (!t) status = lc_replay_table(r->store, id, &t, r->err);
        if (status == LC_OK)
            status = is_gone || t->is_system ? read_other_deletes(r, t) : read_deletes_of(r, t);
    }
    return status == LC_OK ? apply_inserts_below(r, UINT64_MAX) : status;
}

static lc_status read_truncates(reading *r)
{
    lc_status status = LC_OK;
    r->last_id = 0;
    for (uint64_t n = read_varint(&r->in); n > 0 && status == LC_OK; n--) {
        uint32_t id;
        lc_table *t;
        status = read_table_id(r, &id);
        if (status != LC_OK || is_dropped(r, id)) continue;
        status = lc_replay_table(r->store, id, &t, r->err);
        if (status == LC_OK) lc_replay_clear(t);
    }
    return status;
}

/* --------------------------------------------------------------------- door */

lc_status lc_store_replay_tx(lc_store *s, lc_span mutations, size_t *consumed, lc_error *err)
{
    lc_replay *p = s->replay;
    LC_ASSERT(p);
    lc_error own = LC_ERROR_INIT;
    reading r = {.store = s, .replay = p, .err = err ? err : &own};
    r.in = lc_reader_of(mutations, r.err);
    p->has_records = true;
    p->inserts.len = p->dropped.len = 0;
    lc_status status = lc_replay_prepare_system(s, r.err);
    if (status == LC_OK) status = read_inserts(&r);
    if (status == LC_OK) status = refresh_columns(&r);
    if (status == LC_OK) status = read_deletes(&r);
    if (status == LC_OK) status = read_truncates(&r);
    if (r.in.failed) status = r.err->code = LC_E_CORRUPT;
    LC_VEC_EACH (id, &p->dropped) {
        lc_table *t = lc_u64map_remove(&p->tables, *id);
        if (t) lc_table_destroy(t);
    }
    if (consumed) *consumed = (size_t)(r.in.at - mutations.ptr);
    lc_error_clear(&own);
    return status;
}
