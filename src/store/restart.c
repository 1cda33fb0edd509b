/*
 * What an image and a log need around them: tables while they are rows and little else, and the
 * catalog and the indexes made of them in the end.
 */
#include "store/store_internal.h"

void lc_replay_destroy(lc_replay *r)
{
    if (!r) return;
    size_t at = 0;
    for (lc_u64map_slot *slot; (slot = lc_u64map_next(&r->tables, &at));)
        lc_table_destroy(slot->value);
    lc_u64map_deinit(&r->tables);
    lc_vec_deinit(&r->dropped);
    lc_vec_deinit(&r->inserts);
    lc_vec_deinit(&r->doomed);
    lc_vec_deinit(&r->late);
    lc_free(r);
}

/* ------------------------------------------------------------------ schemas */

bool lc_replay_has_table(const lc_store *s, uint32_t id)
{
    const lc_rows *rows = &s->system[LC_ST_TABLE]->rows;
    for (lc_row_id n = lc_rows_next(rows, 0); n != LC_NO_ROW; n = lc_rows_next(rows, n + 1))
        if (lc_load_u32(lc_rows_get(rows, n).ptr) == id) return true;
    return false;
}

lc_status lc_replay_table(lc_store *s, uint32_t id, lc_table **out, lc_error *err)
{
    if (id >= 1 && id <= LC_ST_COUNT) {
        *out = s->system[id];
        return LC_OK;
    }
    lc_table *t = lc_u64map_get(&s->replay->tables, id);
    if (LC_UNLIKELY(!t)) {
        if (!lc_replay_has_table(s, id))
            return lc_error_set(err, LC_E_CORRUPT, "rows of an unknown table %u", id);
        t = lc_table_create(s, id, LC_SPAN_EMPTY);
        t->is_stale = true;
        lc_u64map_put(&s->replay->tables, id, t);
    }
    *out = t;
    return t->is_stale ? lc_catalog_load_columns(t, err) : LC_OK;
}

bool lc_replay_is_event(const lc_store *s, uint32_t table_id)
{
    const lc_table *st = s->system[LC_ST_EVENT_TABLE];
    return lc_table_find_equal(st, LC_SPAN(&table_id, sizeof table_id)) != LC_NO_ROW;
}

/* Column of a schema row that names the table it is about; the first one in those left out. */
static uint32_t described_table(const lc_table *st, lc_span row)
{
    static const uint8_t id_columns[LC_ST_COUNT + 1] = {
        [LC_ST_SEQUENCE] = 2, [LC_ST_INDEX] = 1, [LC_ST_CONSTRAINT] = 2, [LC_ST_SCHEDULED] = 1};
    return lc_load_u32(lc_layout_column(st->layout, row.ptr, id_columns[st->id]).ptr);
}

bool lc_replay_is_about_system(const lc_table *st, lc_span row)
{
    return st->is_system && lc_system_is_schema(st->id) &&
           described_table(st, row) <= LC_FIRST_USER_ID;
}

void lc_replay_learn(const lc_table *st, lc_span row, bool is_new)
{
    const bool is_column = st->id == LC_ST_COLUMN;
    if (!is_column && st->id != LC_ST_INDEX && st->id != LC_ST_CONSTRAINT) return;
    lc_replay *r = st->store->replay;
    lc_table *t = lc_u64map_get(&r->tables, described_table(st, row));
    if (!t) return;
    if (!is_column)
        lc_table_forget_rows(t);
    else if (is_new)
        t->is_stale = r->has_stale = true;
}

/* --------------------------------------------------------------------- rows */

const lc_index *lc_replay_identity(lc_table *t)
{
    const lc_index *found = NULL;
    bool needs_stamps = false;
    /* Should the rows contradict each other: that is for the end to say. */
    lc_catalog_load_indexes(t, NULL);
    for (uint32_t n = 0; n < t->index_count; n++) {
        needs_stamps |= !t->indexes[n]->is_unique;
        if (t->indexes[n]->is_unique && !found) found = t->indexes[n];
    }
    lc_table_drop_indexes(t);
    lc_rows_keep_stamps(&t->rows, needs_stamps);
    return found;
}

lc_status lc_replay_prepare(lc_table *t, lc_error *err)
{
    if (LC_LIKELY(t->identity || t->has_row_set)) return LC_OK;
    const lc_index *model = lc_replay_identity(t);
    if (model) {
        lc_index *i = lc_table_add_index(t, model->id, model->name, LC_INDEX_HASH, model->columns,
                                         model->column_count, true);
        if (lc_index_build(i) == LC_NO_ROW) {
            t->identity = i;
            return LC_OK;
        }
    }
    return lc_table_use_row_set(t, err);
}

void lc_replay_expect(const lc_table *t, const lc_span *rows, uint32_t count)
{
    const lc_index *i = t->identity;
    lc_row_id ids[LC_REPLAY_BATCH];
    if (count < 2) return;
    if (i && i->structure == LC_STRUCTURE_DIRECT) {
        uint64_t words[LC_REPLAY_BATCH];
        for (uint32_t n = 0; n < count; n++) {
            words[n] = lc_key_word_of_row(i, rows[n].ptr);
            lc_direct_expect(&i->direct, words[n]);
        }
        for (uint32_t n = 0; n < count; n++) ids[n] = lc_direct_find(&i->direct, words[n]);
    } else {
        const lc_hash *h = i ? &i->hash : &t->row_set;
        uint32_t tags[LC_REPLAY_BATCH], at;
        if (!h->slots) return;
        for (uint32_t n = 0; n < count; n++) {
            tags[n] = i ? lc_index_tag(i, rows[n].ptr) : lc_row_tag(rows[n]);
            lc_hash_expect(h, tags[n]);
        }
        for (uint32_t n = 0; n < count; n++) ids[n] = lc_hash_first(h, tags[n], &at);
    }
    for (uint32_t n = 0; n < count; n++)
        if (ids[n] != LC_NO_ROW) lc_rows_expect_change(&t->rows, ids[n]);
    for (uint32_t n = 0; n < count && !t->rows.is_fixed; n++)
        if (ids[n] != LC_NO_ROW) __builtin_prefetch(lc_rows_block(&t->rows, ids[n])->bytes, 1);
}

lc_status lc_replay_add(lc_table *t, lc_span row, lc_row_id *id, lc_error *err)
{
    *id = row.len <= UINT32_MAX ? lc_rows_insert(&t->rows, row) : LC_NO_ROW;
    if (LC_UNLIKELY(*id == LC_NO_ROW))
        return lc_error_set(err, LC_E_CORRUPT, "table %u has too many rows or too long ones",
                            t->id);
    if (t->has_row_set)
        lc_hash_insert(&t->row_set, lc_row_tag(row), *id);
    else
        lc_index_add(t->identity, *id, row.ptr);
    return LC_OK;
}

void lc_replay_remove(lc_table *t, lc_row_id id)
{
    lc_span row = lc_rows_get(&t->rows, id);
    if (t->has_row_set)
        lc_hash_remove(&t->row_set, lc_row_tag(row), id);
    else
        lc_index_drop(t->identity, id, row.ptr);
    lc_rows_hold(&t->rows, id);
    lc_rows_free(&t->rows, id);
}

void lc_replay_clear(lc_table *t)
{
    const bool keeps_stamps = t->rows.keeps_stamps;
    lc_rows_deinit(&t->rows);
    lc_rows_init(&t->rows, &t->store->freezer, lc_layout_fixed_size(t->layout));
    lc_rows_keep_stamps(&t->rows, keeps_stamps);
    if (t->identity) lc_index_clear(t->identity);
    lc_hash_deinit(&t->row_set);
    if (!t->is_system || !lc_system_is_schema(t->id)) return;
    lc_replay *r = t->store->replay;
    size_t at = 0;
    for (lc_u64map_slot *slot; (slot = lc_u64map_next(&r->tables, &at));) {
        lc_table_forget_rows(slot->value);
        ((lc_table *)slot->value)->is_stale = r->has_stale = true;
    }
}

/* An image brings all rows of system tables. */
void lc_replay_clear_system(lc_store *s)
{
    s->replay->has_image = s->replay->lacks_row_sets = true;
    for (uint32_t id = 1; id <= LC_ST_COUNT; id++) {
        lc_replay_clear(s->system[id]);
        lc_table_forget_rows(s->system[id]);
    }
}

lc_status lc_replay_prepare_system(lc_store *s, lc_error *err)
{
    if (LC_LIKELY(!s->replay->lacks_row_sets)) return LC_OK;
    s->replay->lacks_row_sets = false;
    lc_status status = LC_OK;
    for (uint32_t id = 1; id <= LC_ST_COUNT && status == LC_OK; id++)
        status = lc_table_use_row_set(s->system[id], err);
    return status;
}

/* ------------------------------------------------------------ begin and end */

void lc_store_replay_begin(lc_store *s)
{
    LC_ASSERT(!s->in_tx && !s->replay);
    lc_store_release(s);
    s->replay = lc_alloc_zero(sizeof *s->replay);
    lc_system_begin_replay(s);
}

/* st_event_table rows of tables that are gone. */
static void remove_orphans(lc_store *s)
{
    lc_table *st = s->system[LC_ST_EVENT_TABLE];
    for (lc_row_id id = lc_rows_next(&st->rows, 0); id != LC_NO_ROW;
         id = lc_rows_next(&st->rows, id + 1))
        if (!lc_replay_has_table(s, lc_load_u32(lc_rows_get(&st->rows, id).ptr)))
            lc_replay_remove(st, id);
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
        if (sequence >= LC_ARRAY_LEN(best) || !lc_replay_is_about_system(st, row)) continue;
        lc_row_id worse = LC_NO_ROW;
        if (best[sequence] == LC_NO_ROW) {
            best[sequence] = id;
        } else if (allocated_of(row) > allocated_of(lc_rows_get(&st->rows, best[sequence]))) {
            worse = best[sequence];
            best[sequence] = id;
        } else {
            worse = id;
        }
        if (worse != LC_NO_ROW) lc_replay_remove(st, worse);
    }
}

/* The table's own indexes. What found its rows so far becomes the one it stood for, if it can. */
static lc_status settle_indexes(lc_table *t, lc_error *err)
{
    lc_index *identity = t->identity;
    t->identity = NULL;
    t->index_count = 0; /* the object itself lives in the table's arena */
    lc_status status = lc_catalog_load_objects(t, err);
    for (uint32_t n = 0; identity && n < t->index_count; n++)
        if (t->indexes[n]->id == identity->id) lc_index_take_over(t->indexes[n], identity);
    if (identity) lc_index_deinit_structure(identity);
    return status == LC_OK ? lc_table_finish(t, err) : status;
}

/* A user table takes its place in the catalog. */
static lc_status settle_table(lc_store *s, uint32_t id, lc_error *err)
{
    lc_table *t = lc_u64map_remove(&s->replay->tables, id);
    if (!t) return lc_catalog_load_table(s, id, &t, err); /* it never had a row */
    lc_status status = lc_catalog_load_header(t, err);
    if (status == LC_OK) status = lc_catalog_load_columns(t, err);
    if (status == LC_OK) status = settle_indexes(t, err);
    if (status != LC_OK) {
        lc_table_destroy(t);
        return status;
    }
    lc_catalog_add(s, t);
    return LC_OK;
}

lc_status lc_store_replay_end(lc_store *s, lc_error *err)
{
    LC_ASSERT(s->replay);
    lc_status status = lc_replay_prepare_system(s, err);
    if (status == LC_OK) {
        remove_orphans(s);
        remove_stale_sequences(s);
        status = lc_system_end_replay(s, err);
    }
    const lc_rows *rows = &s->system[LC_ST_TABLE]->rows;
    for (lc_row_id n = lc_rows_next(rows, 0); n != LC_NO_ROW && status == LC_OK;
         n = lc_rows_next(rows, n + 1)) {
        uint32_t id = lc_load_u32(lc_rows_get(rows, n).ptr);
        if (id > LC_ST_COUNT) status = settle_table(s, id, err);
    }
    lc_replay_destroy(s->replay);
    s->replay = NULL;
    return status;
}
