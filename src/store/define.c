/* New tables: the st_* rows that describe them, and then the object that follows from the rows. */
#include "store/store_internal.h"

typedef struct definer {
    lc_store *store;
    lc_buf row; /* the row under construction */
    lc_buf type;
    lc_error *err;
    lc_status status; /* the first failure; nothing is done after it */
} definer;

/* Inserts the row and begins the next one. Returns the id drawn, if any. */
static uint32_t put(definer *d, uint32_t table_id)
{
    uint32_t id = 0;
    if (d->status == LC_OK) d->status = lc_system_put(d->store, table_id, &d->row, &id, d->err);
    lc_buf_reset(&d->row);
    return id;
}

static void put_names(definer *d, uint32_t table_id, lc_span name, lc_span accessor)
{
    lc_buf_put_lenstr(&d->row, name);
    lc_buf_put_lenstr(&d->row, accessor.len ? accessor : name);
    put(d, table_id);
}

static void put_type(definer *d, const lc_type *type)
{
    lc_buf_reset(&d->type);
    lc_type_encode(type, &d->type);
    lc_buf_put_lenstr(&d->row, lc_buf_span(&d->type));
}

static uint32_t put_table(definer *d, lc_span name, bool is_system, bool is_public,
                          int32_t primary_key)
{
    lc_buf_put_u32(&d->row, 0);
    lc_buf_put_lenstr(&d->row, name);
    lc_buf_put_lenstr(&d->row, is_system ? LC_STR("system") : LC_STR("user"));
    lc_buf_put_lenstr(&d->row, is_public ? LC_STR("public") : LC_STR("private"));
    lc_buf_put_u8(&d->row, primary_key < 0);
    if (primary_key >= 0) {
        lc_buf_put_u32(&d->row, 1);
        lc_buf_put_u16(&d->row, (uint16_t)primary_key);
    }
    return put(d, LC_ST_TABLE);
}

/* A row of st_column, st_view_column or st_view_param. */
static void put_column(definer *d, uint32_t st, uint32_t id, uint32_t position, lc_span name,
                       const lc_type *type)
{
    lc_buf_put_u32(&d->row, id);
    lc_buf_put_u16(&d->row, (uint16_t)position);
    lc_buf_put_lenstr(&d->row, name);
    put_type(d, type);
    put(d, st);
}

static void put_column_accessor(definer *d, lc_span table, lc_span name, lc_span accessor)
{
    lc_buf_put_lenstr(&d->row, table);
    lc_buf_put_lenstr(&d->row, name);
    lc_buf_put_lenstr(&d->row, accessor.len ? accessor : name);
    put(d, LC_ST_COLUMN_ACCESSOR);
}

static void put_column_list(definer *d, const uint16_t *columns, uint32_t count)
{
    lc_buf_put_u32(&d->row, count);
    for (uint32_t i = 0; i < count; i++) lc_buf_put_u16(&d->row, columns[i]);
}

static void put_index(definer *d, uint32_t table_id, lc_span name, lc_index_algorithm algorithm,
                      const uint16_t *columns, uint32_t count)
{
    static const uint8_t tags[] = {
        [LC_INDEX_BTREE] = 1, [LC_INDEX_DIRECT] = 2, [LC_INDEX_HASH] = 3};
    lc_buf_put_u32(&d->row, 0);
    lc_buf_put_u32(&d->row, table_id);
    lc_buf_put_lenstr(&d->row, name);
    lc_buf_put_u8(&d->row, tags[algorithm]);
    if (algorithm == LC_INDEX_DIRECT)
        lc_buf_put_u16(&d->row, columns[0]);
    else
        put_column_list(d, columns, count);
    put(d, LC_ST_INDEX);
}

static void put_unique(definer *d, uint32_t table_id, lc_span name, const uint16_t *columns,
                       uint32_t count)
{
    lc_buf_put_u32(&d->row, 0);
    lc_buf_put_lenstr(&d->row, name);
    lc_buf_put_u32(&d->row, table_id);
    lc_buf_put_u8(&d->row, 1);
    put_column_list(d, columns, count);
    put(d, LC_ST_CONSTRAINT);
}

static void put_sequence(definer *d, uint32_t table_id, const lc_sequence_def *q)
{
    lc_buf_put_u32(&d->row, 0);
    lc_buf_put_lenstr(&d->row, q->name);
    lc_buf_put_u32(&d->row, table_id);
    lc_buf_put_u16(&d->row, q->column);
    const lc_i128 numbers[] = {q->increment, q->start, q->min_value, q->max_value, q->start};
    for (size_t i = 0; i < LC_ARRAY_LEN(numbers); i++) {
        lc_buf_put_u64(&d->row, numbers[i].lo);
        lc_buf_put_u64(&d->row, (uint64_t)numbers[i].hi);
    }
    put(d, LC_ST_SEQUENCE);
}

/* The object, once all rows are there. Undone with the transaction. */
static lc_status load(definer *d, uint32_t table_id, lc_table **out)
{
    if (d->status == LC_OK) d->status = lc_catalog_load_table(d->store, table_id, out, d->err);
    if (d->status == LC_OK) lc_vec_push(&d->store->created, *out);
    lc_buf_deinit(&d->row);
    lc_buf_deinit(&d->type);
    return d->status;
}

static lc_int128 i128_of(lc_i128 v)
{
    return (lc_int128)((lc_uint128)(uint64_t)v.hi << 64 | v.lo);
}

static lc_status check_def(const lc_table_def *def, lc_error *err)
{
    for (uint32_t n = 0; n < def->sequence_count; n++) {
        const lc_sequence_def *q = &def->sequences[n];
        lc_sequence made = {.increment = i128_of(q->increment),
                            .min = i128_of(q->min_value),
                            .max = i128_of(q->max_value)};
        if (!lc_sequence_is_sane(&made) || q->column >= def->column_count ||
            !lc_type_is_integer(def->columns[q->column].type))
            return lc_error_set(err, LC_E_INVALID,
                                "sequence '" LC_SPAN_FMT "' of table '" LC_SPAN_FMT
                                "' makes no sense",
                                LC_SPAN_ARG(q->name), LC_SPAN_ARG(def->name));
    }
    return LC_OK;
}

lc_status lc_store_create_table(lc_store *s, const lc_table_def *def, lc_table **out, lc_error *err)
{
    LC_ASSERT(s->in_tx);
    lc_table *ignored;
    lc_error own = LC_ERROR_INIT;
    if (!err) err = &own;
    definer d = {.store = s, .err = err, .status = check_def(def, err)};

    uint32_t id = put_table(&d, def->name, def->is_system, def->is_public, def->primary_key);
    put_names(&d, LC_ST_TABLE_ACCESSOR, def->name, def->source_name);
    for (uint16_t c = 0; c < def->column_count; c++) {
        const lc_column_def *column = &def->columns[c];
        put_column(&d, LC_ST_COLUMN, id, c, column->name, column->type);
        put_column_accessor(&d, def->name, column->name, column->source_name);
    }
    if (def->schedule) {
        lc_buf_put_u32(&d.row, 0);
        lc_buf_put_u32(&d.row, id);
        lc_buf_put_lenstr(&d.row, def->schedule->function_name);
        lc_buf_put_lenstr(&d.row, def->schedule->name);
        lc_buf_put_u16(&d.row, def->schedule->at_column);
        put(&d, LC_ST_SCHEDULED);
    }
    if (def->is_event) {
        lc_buf_put_u32(&d.row, id);
        put(&d, LC_ST_EVENT_TABLE);
    }
    for (uint32_t n = 0; n < def->index_count; n++) {
        const lc_index_def *i = &def->indexes[n];
        put_index(&d, id, i->name, i->algorithm, i->columns, i->column_count);
        put_names(&d, LC_ST_INDEX_ACCESSOR, i->name, i->source_name);
    }
    for (uint32_t n = 0; n < def->constraint_count; n++)
        put_unique(&d, id, def->constraints[n].name, def->constraints[n].columns,
                   def->constraints[n].column_count);
    for (uint32_t n = 0; n < def->sequence_count; n++) put_sequence(&d, id, &def->sequences[n]);
    lc_status status = load(&d, id, out ? out : &ignored);
    lc_error_clear(&own);
    return status;
}

/* ------------------------------------------------------------------- views */

static void put_view_index(definer *d, uint32_t table_id, const lc_view_def *def, uint32_t version)
{
    const uint16_t columns[] = {0, (uint16_t)(def->primary_key + 1)};
    lc_buf name = LC_BUF_INIT;
    lc_buf_printf(&name, LC_SPAN_FMT "_arg_hash_idx_btree", LC_SPAN_ARG(def->name));
    put_index(d, table_id, lc_buf_span(&name), LC_INDEX_BTREE, columns, 1);
    if (def->primary_key >= 0 && version >= 10) {
        lc_span key = def->columns[def->primary_key].name;
        lc_buf_reset(&name);
        lc_buf_printf(&name, LC_SPAN_FMT "_arg_hash_" LC_SPAN_FMT "_idx_btree",
                      LC_SPAN_ARG(def->name), LC_SPAN_ARG(key));
        put_index(d, table_id, lc_buf_span(&name), LC_INDEX_BTREE, columns, 2);
        lc_buf_reset(&name);
        lc_buf_printf(&name, LC_SPAN_FMT "_arg_hash_" LC_SPAN_FMT "_key", LC_SPAN_ARG(def->name),
                      LC_SPAN_ARG(key));
        put_unique(d, table_id, lc_buf_span(&name), columns, 2);
    }
    lc_buf_deinit(&name);
}

/* A view's backing table: the hidden column arg_hash, then the columns it returns. */
static lc_status create_view(lc_store *s, const lc_view_def *def, uint32_t version, lc_error *err)
{
    definer d = {.store = s, .err = err};
    uint32_t id = put_table(&d, def->name, false, def->is_public, -1);
    put_names(&d, LC_ST_TABLE_ACCESSOR, def->name, def->source_name);

    lc_buf_put_u32(&d.row, 0);
    lc_buf_put_lenstr(&d.row, def->name);
    lc_buf_put_u8(&d.row, 0); /* some */
    lc_buf_put_u32(&d.row, id);
    lc_buf_put_u8(&d.row, true);
    lc_buf_put_u8(&d.row, def->is_anonymous);
    uint32_t view_id = put(&d, LC_ST_VIEW);

    put_column(&d, LC_ST_COLUMN, id, 0, LC_STR("arg_hash"), lc_type_scalar(LC_TYPE_U256));
    for (uint16_t c = 0; c < def->column_count; c++) {
        const lc_column_def *column = &def->columns[c];
        put_column(&d, LC_ST_COLUMN, id, c + 1u, column->name, column->type);
        put_column_accessor(&d, def->name, column->name, column->source_name);
    }
    for (uint32_t p = 0; def->params && p < def->params->member_count; p++)
        put_column(&d, LC_ST_VIEW_PARAM, view_id, p, def->params->members[p].name,
                   def->params->members[p].type);
    for (uint16_t c = 0; c < def->column_count; c++)
        put_column(&d, LC_ST_VIEW_COLUMN, view_id, c, def->columns[c].name, def->columns[c].type);
    put_view_index(&d, id, def, version);
    lc_table *table;
    return load(&d, id, &table);
}

lc_status lc_store_add_rule(lc_table *t, lc_span sql, lc_error *err)
{
    lc_error own = LC_ERROR_INIT;
    lc_buf row = LC_BUF_INIT;
    LC_ASSERT(t->store->in_tx);
    lc_buf_put_u32(&row, t->id);
    lc_buf_put_lenstr(&row, sql);
    lc_status status =
        lc_system_put(t->store, LC_ST_ROW_LEVEL_SECURITY, &row, NULL, err ? err : &own);
    lc_buf_deinit(&row);
    lc_error_clear(&own);
    return status;
}

/* -------------------------------------------------------------- whole schemas */

static bool has_view(const lc_schema *s, lc_span name)
{
    for (uint32_t n = 0; n < s->view_count; n++)
        if (lc_span_equal(s->views[n].name, name)) return true;
    return false;
}

/* Creates what `to` has and `from` (may be NULL) has not. */
static lc_status create_missing(lc_store *s, const lc_schema *from, const lc_schema *to,
                                lc_error *err)
{
    for (uint32_t n = 0; n < to->table_count; n++) {
        if (from && lc_schema_find_table(from, to->tables[n].name)) continue;
        lc_status status = lc_store_create_table(s, &to->tables[n], NULL, err);
        if (status != LC_OK) return status;
    }
    for (uint32_t n = 0; n < to->view_count; n++) {
        if (from && has_view(from, to->views[n].name)) continue;
        lc_status status = create_view(s, &to->views[n], to->version, err);
        if (status != LC_OK) return status;
    }
    return LC_OK;
}

lc_status lc_store_create_schema(lc_store *s, const lc_schema *schema, lc_error *err)
{
    lc_error own = LC_ERROR_INIT;
    lc_status status = create_missing(s, NULL, schema, err ? err : &own);
    lc_error_clear(&own);
    return status;
}

lc_status lc_store_update_schema(lc_store *s, const lc_schema *from, const lc_schema *to,
                                 lc_error *err)
{
    lc_error own = LC_ERROR_INIT;
    lc_status status = create_missing(s, from, to, err ? err : &own);
    lc_error_clear(&own);
    return status;
}
