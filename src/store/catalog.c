/* Where tables and indexes are found, and how their objects follow from the st_* rows. */
#include "store/store_internal.h"

#include <stdlib.h>

/* ------------------------------------------------------------------ lookup */

lc_store *lc_store_create(void)
{
    lc_store *s = lc_alloc_zero(sizeof *s);
    s->freezer = LC_FREEZER_INIT(&s->heap);
    lc_system_bootstrap(s);
    return s;
}

void lc_store_destroy(lc_store *s)
{
    if (!s) return;
    if (s->in_tx) lc_store_rollback(s);
    lc_store_release(s);
    LC_VEC_EACH (t, &s->ordered) {
        lc_table_destroy(*t);
    }
    lc_replay_destroy(s->replay);
    lc_u64map_deinit(&s->tables);
    lc_u64map_deinit(&s->indexes);
    lc_map_deinit(&s->tables_by_name);
    lc_map_deinit(&s->tables_by_alias);
    lc_map_deinit(&s->indexes_by_name);
    lc_map_deinit(&s->indexes_by_alias);
    lc_vec_deinit(&s->ordered);
    lc_vec_deinit(&s->touched);
    lc_vec_deinit(&s->created);
    lc_vec_deinit(&s->sequence_undo);
    lc_vec_deinit(&s->picked);
    lc_buf_deinit(&s->filled);
    lc_buf_deinit(&s->generated);
    lc_buf_deinit(&s->system_row);
    lc_buf_deinit(&s->probe_key);
    lc_buf_deinit(&s->row_key);
    lc_arena_deinit(&s->arena);
    lc_freezer_deinit(&s->freezer);
    lc_heap_deinit(&s->heap);
    lc_free(s);
}

void lc_catalog_add_indexes(lc_store *s, lc_table *t)
{
    for (uint32_t i = 0; i < t->index_count; i++) {
        lc_index *index = t->indexes[i];
        lc_u64map_put(&s->indexes, index->id, index);
        lc_map_put(&s->indexes_by_name, index->name, index);
        lc_map_put(&s->indexes_by_alias, index->alias, index);
    }
}

void lc_catalog_add(lc_store *s, lc_table *t)
{
    lc_u64map_put(&s->tables, t->id, t);
    lc_map_put(&s->tables_by_name, t->name, t);
    lc_map_put(&s->tables_by_alias, t->alias, t);
    lc_catalog_add_indexes(s, t);
    lc_vec_push(&s->ordered, t);
    for (size_t at = s->ordered.len - 1; at > 0 && s->ordered.items[at - 1]->id > t->id; at--) {
        s->ordered.items[at] = s->ordered.items[at - 1];
        s->ordered.items[at - 1] = t;
    }
}

static void forget_name(lc_map *m, lc_span name, const void *object)
{
    if (lc_map_get(m, name) == object) lc_map_remove(m, name);
}

void lc_catalog_remove(lc_store *s, lc_table *t)
{
    lc_u64map_remove(&s->tables, t->id);
    forget_name(&s->tables_by_name, t->name, t);
    forget_name(&s->tables_by_alias, t->alias, t);
    for (uint32_t i = 0; i < t->index_count; i++) {
        const lc_index *index = t->indexes[i];
        lc_u64map_remove(&s->indexes, index->id);
        forget_name(&s->indexes_by_name, index->name, index);
        forget_name(&s->indexes_by_alias, index->alias, index);
    }
    size_t kept = 0;
    LC_VEC_EACH (other, &s->ordered) {
        if (*other != t) s->ordered.items[kept++] = *other;
    }
    s->ordered.len = kept;
}

lc_table *lc_store_table(const lc_store *s, uint32_t table_id)
{
    return lc_u64map_get(&s->tables, table_id);
}

lc_table *lc_store_table_by_name(const lc_store *s, lc_span name)
{
    lc_table *t = lc_map_get(&s->tables_by_name, name);
    return t ? t : lc_map_get(&s->tables_by_alias, name);
}

lc_index *lc_store_index(const lc_store *s, uint32_t index_id)
{
    return lc_u64map_get(&s->indexes, index_id);
}

lc_index *lc_store_index_by_name(const lc_store *s, lc_span name)
{
    lc_index *i = lc_map_get(&s->indexes_by_name, name);
    return i ? i : lc_map_get(&s->indexes_by_alias, name);
}

lc_table *lc_store_next_table(const lc_store *s, uint32_t *at)
{
    return *at < s->ordered.len ? s->ordered.items[(*at)++] : NULL;
}

/* ------------------------------------------------------- from the st_* rows */

static lc_status corrupt(lc_error *err, const lc_table *t, const char *what)
{
    return lc_error_set(err, LC_E_CORRUPT, "table %u: %s", t->id, what);
}

/* Rows of a system table: for (each_row(st, &id, &row)). */
static bool next_row(const lc_table *st, lc_row_id *id, lc_reader *row)
{
    *id = lc_rows_next(&st->rows, *id);
    if (*id == LC_NO_ROW) return false;
    *row = lc_reader_of(lc_rows_get(&st->rows, *id), NULL);
    ++*id;
    return true;
}

static lc_span u32_key(const uint32_t *id)
{
    return LC_SPAN(id, sizeof *id);
}

/* The accessor of a name (two lengths and texts as stored), else the name itself. */
static lc_span find_alias(lc_table *t, uint32_t st, const lc_span *names, uint32_t count)
{
    lc_buf key = LC_BUF_INIT;
    for (uint32_t i = 0; i < count; i++) lc_buf_put_lenstr(&key, names[i]);
    lc_span row, alias = names[count - 1];
    if (lc_system_find(t->store, st, lc_buf_span(&key), &row)) {
        lc_reader r = lc_reader_of(row, NULL);
        for (uint32_t i = 0; i < count; i++) lc_read_bytes(&r);
        alias = lc_arena_copy(&t->arena, lc_read_bytes(&r));
    }
    lc_buf_deinit(&key);
    return alias;
}

lc_status lc_catalog_load_header(lc_table *t, lc_error *err)
{
    const lc_store *s = t->store;
    lc_span row;
    if (!lc_system_find(s, LC_ST_TABLE, u32_key(&t->id), &row))
        return corrupt(err, t, "there is no st_table row");
    lc_reader r = lc_reader_of(row, NULL);
    lc_read_u32(&r);
    t->name = lc_arena_copy(&t->arena, lc_read_bytes(&r));
    lc_read_bytes(&r);
    t->is_public = lc_span_equal_str(lc_read_bytes(&r), "public");
    t->primary_key = -1;
    if (lc_read_option(&r) && lc_read_u32(&r) == 1) t->primary_key = lc_read_u16(&r);
    t->alias = find_alias(t, LC_ST_TABLE_ACCESSOR, &t->name, 1);
    t->is_event = lc_system_find(s, LC_ST_EVENT_TABLE, u32_key(&t->id), &row);

    t->is_view = t->is_ephemeral = lc_catalog_is_view(s, t->id);
    return LC_OK;
}

bool lc_catalog_is_view(const lc_store *s, uint32_t table_id)
{
    lc_reader r;
    lc_row_id id = 0;
    while (next_row(s->system[LC_ST_VIEW], &id, &r)) {
        lc_read_u32(&r);
        lc_read_bytes(&r);
        if (lc_read_option(&r) && lc_read_u32(&r) == table_id) return true;
    }
    return false;
}

/* The st_column rows of a table, by scan: while the log is replayed there is no index, and of two
 * rows for one position the newer counts. */
static void collect_columns(lc_table *t, lc_row_ids *out)
{
    const lc_table *st = t->store->system[LC_ST_COLUMN];
    if (st->identity) {
        lc_range range = {.prefix = u32_key(&t->id),
                          .prefix_columns = 1,
                          .start.kind = LC_BOUND_UNBOUNDED,
                          .end.kind = LC_BOUND_UNBOUNDED};
        lc_index_collect_range(st->identity, &range, out);
        return;
    }
    for (lc_row_id id = lc_rows_next(&st->rows, 0); id != LC_NO_ROW;
         id = lc_rows_next(&st->rows, id + 1)) {
        if (lc_load_u32(lc_rows_get(&st->rows, id).ptr) == t->id) lc_vec_push(out, id);
    }
}

lc_status lc_catalog_load_columns(lc_table *t, lc_error *err)
{
    const lc_rows *rows = &t->store->system[LC_ST_COLUMN]->rows;
    lc_row_ids found = {0};
    collect_columns(t, &found);

    uint32_t count = 0;
    lc_row_id *by_position = lc_alloc((found.len + 1) * sizeof *by_position);
    memset(by_position, 0xff, (found.len + 1) * sizeof *by_position);
    lc_column *columns = lc_alloc_zero((found.len + 1) * sizeof *columns);
    lc_status status = LC_OK;
    LC_VEC_EACH (id, &found) {
        uint16_t position = lc_load_u16(lc_rows_get(rows, *id).ptr + sizeof(uint32_t));
        if (position >= found.len) {
            status = corrupt(err, t, "st_column positions have gaps");
            goto out;
        }
        lc_row_id *known = &by_position[position];
        if (*known == LC_NO_ROW) count++;
        if (*known == LC_NO_ROW || lc_rows_stamp(rows, *known) < lc_rows_stamp(rows, *id))
            *known = *id;
    }
    for (uint32_t c = 0; c < count; c++) {
        if (by_position[c] == LC_NO_ROW) {
            status = corrupt(err, t, "st_column positions have gaps");
            goto out;
        }
        lc_reader r = lc_reader_of(lc_rows_get(rows, by_position[c]), NULL);
        lc_read_u32(&r);
        lc_read_u16(&r);
        columns[c].name = lc_arena_copy(&t->arena, lc_read_bytes(&r));
        lc_reader type = lc_reader_of(lc_arena_copy(&t->arena, lc_read_bytes(&r)), err);
        columns[c].type = lc_read_type(&type, &t->arena);
        if (type.failed || type.at != type.end) {
            lc_error_clear(err);
            status = corrupt(err, t, "a column's type cannot be read");
            goto out;
        }
        columns[c].alias = columns[c].name;
        if (t->store->system[LC_ST_COLUMN_ACCESSOR]->identity)
            columns[c].alias =
                find_alias(t, LC_ST_COLUMN_ACCESSOR, (lc_span[]){t->name, columns[c].name}, 2);
    }
    status = lc_table_set_columns(t, columns, count, err);
    if (status != LC_OK) goto out;
    t->is_stale = false;
    if (t->primary_key >= (int32_t)count) status = corrupt(err, t, "its primary key is no column");
out:
    lc_vec_deinit(&found);
    lc_free(by_position);
    lc_free(columns);
    return status;
}

typedef struct column_list {
    uint16_t *items;
    uint32_t count;
} column_list;

static bool read_columns(lc_reader *r, lc_table *t, bool is_array, column_list *out)
{
    out->count = is_array ? lc_read_count(r, sizeof(uint16_t)) : 1;
    out->items = lc_arena_alloc(&t->arena, (out->count + 1) * sizeof *out->items);
    for (uint32_t i = 0; i < out->count; i++) {
        out->items[i] = lc_read_u16(r);
        if (out->items[i] >= t->column_count) return false;
    }
    return !r->failed && out->count <= UINT16_MAX;
}

static bool has_column(const column_list *l, uint16_t column)
{
    for (uint32_t i = 0; i < l->count; i++)
        if (l->items[i] == column) return true;
    return false;
}

static bool is_same_set(const column_list *a, const column_list *b)
{
    for (uint32_t i = 0; i < a->count; i++)
        if (!has_column(b, a->items[i])) return false;
    for (uint32_t i = 0; i < b->count; i++)
        if (!has_column(a, b->items[i])) return false;
    return true;
}

typedef LC_VEC(column_list) column_lists;

static lc_status load_constraints(lc_table *t, column_lists *out, lc_error *err)
{
    lc_reader r;
    lc_row_id id = 0;
    while (next_row(t->store->system[LC_ST_CONSTRAINT], &id, &r)) {
        lc_read_u32(&r);
        lc_read_bytes(&r);
        if (lc_read_u32(&r) != t->id || lc_read_u8(&r) != 1) continue;
        column_list columns;
        if (!read_columns(&r, t, true, &columns))
            return corrupt(err, t, "a constraint names no column of it");
        lc_vec_push(out, columns);
    }
    return LC_OK;
}

static lc_status add_indexes(lc_table *t, column_lists *unique, lc_error *err)
{
    static const lc_index_algorithm algorithms[] = {LC_INDEX_BTREE, LC_INDEX_BTREE, LC_INDEX_DIRECT,
                                                    LC_INDEX_HASH};
    lc_reader r;
    lc_row_id id = 0;
    while (next_row(t->store->system[LC_ST_INDEX], &id, &r)) {
        uint32_t index_id = lc_read_u32(&r);
        if (lc_read_u32(&r) != t->id) continue;
        lc_span name = lc_read_bytes(&r);
        lc_index_algorithm algorithm = algorithms[lc_read_u8(&r) & 3];
        column_list columns;
        if (!read_columns(&r, t, algorithm != LC_INDEX_DIRECT, &columns))
            return corrupt(err, t, "an index names no column of it");
        bool is_unique = false;
        LC_VEC_EACH (u, unique) {
            is_unique |= is_same_set(u, &columns);
        }
        lc_index *i = lc_table_add_index(t, index_id, name, algorithm, columns.items,
                                         (uint16_t)columns.count, is_unique);
        i->alias = find_alias(t, LC_ST_INDEX_ACCESSOR, &i->name, 1);
    }
    return LC_OK;
}

static lc_int128 read_i128(lc_reader *r)
{
    lc_int128 v = 0;
    lc_span bytes = lc_read_fixed(r, sizeof v);
    if (bytes.len == sizeof v) memcpy(&v, bytes.ptr, sizeof v);
    return v;
}

static int by_column(const void *a, const void *b)
{
    return ((const lc_sequence *)a)->column - ((const lc_sequence *)b)->column;
}

static lc_status load_sequences(lc_table *t, lc_error *err)
{
    lc_reader r;
    lc_row_id id = 0;
    while (next_row(t->store->system[LC_ST_SEQUENCE], &id, &r)) {
        lc_sequence q = {.id = lc_read_u32(&r)};
        lc_span name = lc_read_bytes(&r);
        if (lc_read_u32(&r) != t->id) continue;
        q.name = lc_arena_copy(&t->arena, name);
        q.column = lc_read_u16(&r);
        q.increment = read_i128(&r);
        q.start = read_i128(&r);
        q.min = read_i128(&r);
        q.max = read_i128(&r);
        q.value = q.allocated = q.stored = read_i128(&r);
        if (q.column >= t->column_count || !lc_type_is_integer(t->columns[q.column].type) ||
            !lc_sequence_is_sane(&q))
            return corrupt(err, t, "a sequence of it makes no sense");
        *lc_table_add_sequence(t) = q;
    }
    if (t->sequence_count > 1)
        qsort(t->sequences, t->sequence_count, sizeof *t->sequences, by_column);
    return LC_OK;
}

lc_status lc_catalog_load_indexes(lc_table *t, lc_error *err)
{
    column_lists unique = {0};
    lc_status status = load_constraints(t, &unique, err);
    if (status == LC_OK) status = add_indexes(t, &unique, err);
    lc_vec_deinit(&unique);
    return status;
}

lc_status lc_catalog_load_objects(lc_table *t, lc_error *err)
{
    lc_status status = lc_catalog_load_indexes(t, err);
    return status == LC_OK ? load_sequences(t, err) : status;
}

lc_status lc_catalog_load_table(lc_store *s, uint32_t id, lc_table **out, lc_error *err)
{
    lc_table *t = lc_table_create(s, id, LC_SPAN_EMPTY);
    lc_status status = lc_catalog_load_header(t, err);
    if (status == LC_OK) status = lc_catalog_load_columns(t, err);
    if (status == LC_OK) status = lc_catalog_load_objects(t, err);
    if (status == LC_OK) status = lc_table_finish(t, err);
    if (status != LC_OK) {
        lc_table_destroy(t);
        return status;
    }
    lc_catalog_add(s, t);
    *out = t;
    return LC_OK;
}
