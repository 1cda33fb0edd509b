/* The object of a table. */
#include "store/store_internal.h"

lc_table *lc_table_create(lc_store *s, uint32_t id, lc_span name)
{
    lc_table *t = lc_alloc_zero(sizeof *t);
    t->store = s;
    t->id = id;
    t->primary_key = -1;
    t->row_set.heap = t->tx.by_row.heap = &s->heap;
    t->name = t->alias = lc_arena_copy(&t->arena, name);
    return t;
}

void lc_table_drop_indexes(lc_table *t)
{
    for (uint32_t i = 0; i < t->index_count; i++) lc_index_deinit_structure(t->indexes[i]);
    lc_free(t->indexes);
    t->indexes = NULL;
    t->index_count = 0;
    t->identity = NULL;
}

void lc_table_forget_rows(lc_table *t)
{
    lc_table_drop_indexes(t);
    lc_hash_deinit(&t->row_set);
    t->has_row_set = false;
}

void lc_table_destroy(lc_table *t)
{
    lc_table_drop_indexes(t);
    if (t->layout) {
        lc_rows_deinit(&t->rows);
        lc_layout_destroy(t->layout);
    }
    lc_hash_deinit(&t->row_set);
    lc_hash_deinit(&t->tx.by_row);
    lc_vec_deinit(&t->tx.entries);
    lc_free(t->sequences);
    lc_arena_deinit(&t->arena);
    lc_free(t);
}

/* Rows that had one size and now vary, or the reverse, move to slots of the other kind. */
static void convert_rows(lc_table *t)
{
    lc_rows old = t->rows;
    lc_rows_init(&t->rows, old.freezer, lc_layout_fixed_size(t->layout));
    lc_rows_keep_stamps(&t->rows, old.keeps_stamps);
    for (lc_row_id id = lc_rows_next(&old, 0); id != LC_NO_ROW; id = lc_rows_next(&old, id + 1))
        lc_rows_insert(&t->rows, lc_rows_get(&old, id));
    lc_rows_deinit(&old);
}

static bool rows_fit(const lc_table *t, const lc_layout *layout)
{
    const lc_rows *rows = &t->rows;
    for (lc_row_id id = lc_rows_next(rows, 0); id != LC_NO_ROW; id = lc_rows_next(rows, id + 1)) {
        lc_span row = lc_rows_get(rows, id);
        size_t size;
        if (lc_layout_validate(layout, row, &size, NULL) != LC_OK || size != row.len) return false;
    }
    return true;
}

lc_status lc_table_set_columns(lc_table *t, const lc_column *columns, uint32_t count, lc_error *err)
{
    lc_type_member *members = lc_arena_alloc(&t->arena, (count + 1) * sizeof *members);
    t->columns = lc_arena_alloc(&t->arena, (count + 1) * sizeof *t->columns);
    t->column_count = count;
    for (uint32_t c = 0; c < count; c++) {
        lc_column *to = &t->columns[c];
        to->name = lc_arena_copy(&t->arena, columns[c].name);
        to->alias = lc_arena_copy(&t->arena, columns[c].alias);
        to->type = columns[c].type;
        members[c] = (lc_type_member){to->name, to->type};
    }
    const lc_type *row_type = lc_type_new_product(&t->arena, members, count);
    if (t->layout && lc_type_equal(row_type, t->row_type)) return LC_OK;

    lc_layout *old = t->layout;
    lc_layout *layout = lc_layout_create(row_type, NULL);
    if (old && !rows_fit(t, layout)) {
        lc_layout_destroy(layout);
        return lc_error_set(err, LC_E_CORRUPT, "table %u: a row of it does not fit its new columns",
                            t->id);
    }
    t->row_type = row_type;
    t->layout = layout;
    if (!old) {
        lc_rows_init(&t->rows, &t->store->freezer, lc_layout_fixed_size(layout));
        return LC_OK;
    }
    lc_table_forget_rows(t);
    if (lc_layout_fixed_size(old) != lc_layout_fixed_size(layout)) convert_rows(t);
    lc_layout_destroy(old);
    return LC_OK;
}

lc_index *lc_table_add_index(lc_table *t, uint32_t id, lc_span name, lc_index_algorithm algorithm,
                             const uint16_t *columns, uint16_t count, bool is_unique)
{
    lc_index *i = lc_arena_alloc_zero(&t->arena, sizeof *i);
    i->table = t;
    i->id = id;
    i->name = i->alias = lc_arena_copy(&t->arena, name);
    i->algorithm = algorithm;
    i->is_unique = is_unique;
    i->column_count = count;
    i->columns = lc_arena_alloc(&t->arena, (count + 1u) * sizeof *i->columns);
    memcpy(i->columns, columns, count * sizeof *columns);
    lc_key_shape_init(i);
    lc_index_init_structure(i);

    t->indexes = lc_realloc(t->indexes, (t->index_count + 1) * sizeof *t->indexes);
    uint32_t at = t->index_count++;
    for (; at > 0 && t->indexes[at - 1]->id > id; at--) t->indexes[at] = t->indexes[at - 1];
    t->indexes[at] = i;
    return i;
}

lc_sequence *lc_table_add_sequence(lc_table *t)
{
    t->sequences = lc_realloc(t->sequences, (t->sequence_count + 1) * sizeof *t->sequences);
    lc_sequence *q = &t->sequences[t->sequence_count++];
    *q = (lc_sequence){0};
    return q;
}

static lc_status build_index(lc_index *i, lc_error *err)
{
    if (lc_index_count(i) == i->table->rows.count || lc_index_build(i) == LC_NO_ROW) return LC_OK;
    return lc_error_set(err, LC_E_CORRUPT,
                        "table '" LC_SPAN_FMT "' has two rows with one %s in %sindex '" LC_SPAN_FMT
                        "'",
                        LC_SPAN_ARG(i->table->name), i->is_unique ? "key" : "place",
                        i->is_unique ? "unique " : "", LC_SPAN_ARG(i->name));
}

static lc_status build_row_set(lc_table *t, lc_error *err)
{
    t->has_row_set = true;
    if (lc_table_build_row_set(t) == LC_NO_ROW) return LC_OK;
    return lc_error_set(err, LC_E_CORRUPT, "table %u has two equal rows", t->id);
}

lc_status lc_table_finish(lc_table *t, lc_error *err)
{
    bool needs_stamps = false;
    t->identity = NULL;
    for (uint32_t i = 0; i < t->index_count; i++) {
        needs_stamps |= !t->indexes[i]->is_unique;
        if (t->indexes[i]->is_unique && !t->identity) t->identity = t->indexes[i];
    }
    lc_rows_keep_stamps(&t->rows, needs_stamps);

    for (uint32_t i = 0; i < t->index_count; i++) {
        lc_status status = build_index(t->indexes[i], err);
        if (status != LC_OK) return status;
    }
    if (!t->identity) return t->has_row_set ? LC_OK : build_row_set(t, err);
    lc_hash_deinit(&t->row_set);
    t->has_row_set = false;
    return LC_OK;
}

lc_status lc_table_use_row_set(lc_table *t, lc_error *err)
{
    lc_table_drop_indexes(t);
    return t->has_row_set ? LC_OK : build_row_set(t, err);
}

/* -------------------------------------------------------------------- door */

uint32_t lc_table_id(const lc_table *t)
{
    return t->id;
}
lc_span lc_table_name(const lc_table *t)
{
    return t->name;
}
lc_span lc_table_alias(const lc_table *t)
{
    return t->alias;
}
bool lc_table_is_public(const lc_table *t)
{
    return t->is_public;
}
bool lc_table_is_event(const lc_table *t)
{
    return t->is_event;
}
static bool stop_at_row(void *arg, lc_span row)
{
    (void)row;
    *(bool *)arg = true;
    return false;
}

bool lc_table_has_rule(const lc_table *t)
{
    const lc_table *rules = t->store->system[LC_ST_ROW_LEVEL_SECURITY];
    bool found = false;
    if (rules->rows.count > 0)
        lc_index_scan_point(rules->indexes[0], LC_SPAN(&t->id, sizeof t->id), stop_at_row, &found,
                            NULL);
    return found;
}

bool lc_table_is_system(const lc_table *t)
{
    return t->is_system;
}
bool lc_table_is_view(const lc_table *t)
{
    return t->is_view;
}
int32_t lc_table_primary_key(const lc_table *t)
{
    return t->primary_key;
}
const lc_layout *lc_table_layout(const lc_table *t)
{
    return t->layout;
}
const lc_type *lc_table_row_type(const lc_table *t)
{
    return t->row_type;
}
uint32_t lc_table_column_count(const lc_table *t)
{
    return t->column_count;
}
lc_span lc_table_column_name(const lc_table *t, uint32_t column)
{
    return t->columns[column].name;
}
lc_span lc_table_column_alias(const lc_table *t, uint32_t column)
{
    return t->columns[column].alias;
}

int32_t lc_table_find_column(const lc_table *t, lc_span name)
{
    for (uint32_t c = 0; c < t->column_count; c++)
        if (lc_span_equal(t->columns[c].alias, name)) return (int32_t)c;
    for (uint32_t c = 0; c < t->column_count; c++)
        if (lc_span_equal(t->columns[c].name, name)) return (int32_t)c;
    return -1;
}

uint64_t lc_table_row_count(const lc_table *t)
{
    return t->rows.count;
}

uint64_t lc_table_memory(const lc_table *t)
{
    uint64_t bytes = sizeof *t + lc_rows_memory(&t->rows) + lc_hash_memory(&t->row_set);
    for (uint32_t i = 0; i < t->index_count; i++)
        bytes += sizeof(lc_index) + lc_index_memory(t->indexes[i]);
    return bytes;
}

lc_index *lc_table_index(const lc_table *t, uint32_t i)
{
    return i < t->index_count ? t->indexes[i] : NULL;
}
void *lc_table_user_data(const lc_table *t)
{
    return t->user_data;
}
void lc_table_set_user_data(lc_table *t, void *data)
{
    t->user_data = data;
}
