/*
 * Tables: indexes, unique constraints, primary keys, sequences, default values, the columns of
 * schedules (01 section 9.8). A table whose row type, name or defaults are wrong reports only that.
 */
#include "schema/schema_internal.h"

#include <stdlib.h>

/* One table under validation. */
typedef struct table_check {
    lc_check *c;
    const lc_raw_table *raw;
    const lc_type *row; /* as the author wrote it */
    lc_table_def *def;
} table_check;

/* ----------------------------------------------------------------- columns */

static void column_not_found(table_check *t, lc_span def, uint16_t column)
{
    lc_buf key = LC_BUF_INIT;
    lc_key_put_text(&key, t->def->name);
    lc_key_put_text(&key, def);
    lc_key_put_number(&key, column);
    lc_problem_add(t->c->problems, LC_PROBLEM_COLUMN_NOT_FOUND, lc_buf_span(&key),
                   "column `%u` referenced by def " LC_SPAN_FMT " not found in table `" LC_SPAN_FMT
                   "`",
                   column, LC_SPAN_ARG(def), LC_SPAN_ARG(t->def->name));
    lc_buf_deinit(&key);
}

static bool column_exists(table_check *t, lc_span def, uint16_t column)
{
    if (column < t->row->member_count) return true;
    column_not_found(t, def, column);
    return false;
}

static int compare_u16(const void *a, const void *b)
{
    return (int)*(const uint16_t *)a - (int)*(const uint16_t *)b;
}

/* The columns in ascending order, as an arena array. */
static uint16_t *sorted_columns(lc_arena *a, const lc_raw_columns *list)
{
    uint16_t *sorted = lc_arena_alloc(a, list->count * sizeof *sorted);
    if (list->count) {
        memcpy(sorted, list->items, list->count * sizeof *sorted);
        qsort(sorted, list->count, sizeof *sorted, compare_u16);
    }
    return sorted;
}

/* All columns exist and none comes twice. */
static bool check_column_list(table_check *t, lc_span def, const lc_raw_columns *list)
{
    bool valid = true;
    for (uint32_t i = 0; i < list->count && !lc_problems_full(t->c->problems); i++)
        valid &= column_exists(t, def, list->items[i]);
    if (!valid) return false;
    const uint16_t *sorted = sorted_columns(t->c->arena, list);
    for (uint32_t i = 1; i < list->count && valid; i++) valid = sorted[i] != sorted[i - 1];
    if (valid) return true;
    lc_buf text = LC_BUF_INIT;
    for (uint32_t i = 0; i < list->count; i++)
        lc_buf_printf(&text, "%sColId(%u)", i ? ", " : "", list->items[i]);
    lc_problem_add(t->c->problems, LC_PROBLEM_DUPLICATE_COLUMNS, def,
                   "def `" LC_SPAN_FMT "` has duplicate columns: [" LC_SPAN_FMT "]",
                   LC_SPAN_ARG(def), LC_SPAN_ARG(text));
    lc_buf_deinit(&text);
    return false;
}

/* Key of a column set in a map. */
static lc_span set_key(const uint16_t *sorted, uint32_t count)
{
    /* The map wants a pointer even for the empty set. */
    return LC_SPAN(count ? (const void *)sorted : "", count * sizeof *sorted);
}

/* ----------------------------------------------------------------- indexes */

static bool check_direct_column(table_check *t, const lc_index_def *index)
{
    const lc_type *type = t->row->members[index->columns[0]].type;
    const lc_type *target = type;
    const lc_typespace *ts = &t->c->module->source_typespace;
    if (type->kind == LC_TYPE_REF && type->ref < ts->count &&
        lc_type_is_plain_enum(ts->types[type->ref]))
        target = ts->types[type->ref];
    switch (target->kind) {
    case LC_TYPE_U8:
    case LC_TYPE_U16:
    case LC_TYPE_U32:
    case LC_TYPE_U64:
        return true;
    default:
        if (lc_type_is_plain_enum(target)) return true;
    }
    lc_problem_add(t->c->problems, LC_PROBLEM_DIRECT_INDEX_TYPE, index->name,
                   "Direct index does not support type `%s` in column `" LC_SPAN_FMT
                   "` in index `" LC_SPAN_FMT "`",
                   lc_text_type(t->c->arena, type),
                   LC_SPAN_ARG(t->def->columns[index->columns[0]].name), LC_SPAN_ARG(index->name));
    return false;
}

static bool name_index(table_check *t, const lc_raw_index *raw, lc_index_def *index)
{
    static const char *const suffixes[] = {"idx_btree", "idx_hash", "idx_direct"};
    lc_check *c = t->c;
    bool is_v10 = c->raw->version >= 10, valid = true;
    const lc_span *explicit =
        raw->name.ptr ? lc_map_get(&c->explicit_names[LC_RAW_EXPLICIT_INDEX], raw->name) : NULL;
    if (explicit)
        index->name = *explicit;
    else if (!is_v10 && raw->name.ptr)
        index->name = raw->name;
    else
        index->name = lc_generated_name(c, t->def, &raw->columns, suffixes[raw->algorithm]);
    index->source_name = is_v10 && raw->name.ptr ? raw->name : index->name;
    if (is_v10 && !raw->name.ptr) {
        lc_problem_add(c->problems, LC_PROBLEM_REFUSED, index->name,
                       "index `" LC_SPAN_FMT "` of table `" LC_SPAN_FMT
                       "` has no source name, by which the module could look it up",
                       LC_SPAN_ARG(index->name), LC_SPAN_ARG(t->def->name));
        valid = false;
    }
    if (is_v10) valid &= lc_problem_identifier(c->problems, index->name);
    index->accessor_name = raw->accessor_name;
    if (raw->accessor_name.ptr) valid &= lc_problem_identifier(c->problems, raw->accessor_name);
    valid &= lc_claim_name(c, index->name);
    if (!lc_span_equal(index->name, index->source_name))
        valid &= lc_claim_name(c, index->source_name);
    return valid;
}

static bool check_indexes(table_check *t)
{
    lc_table_def *def = t->def;
    bool valid = true;
    def->index_count = t->raw->index_count;
    def->indexes = lc_arena_alloc_zero(t->c->arena, def->index_count * sizeof *def->indexes);
    for (uint32_t i = 0; i < def->index_count && !lc_problems_full(t->c->problems); i++) {
        const lc_raw_index *raw = &t->raw->indexes[i];
        lc_index_def *index = &def->indexes[i];
        index->algorithm = raw->algorithm;
        index->columns = raw->columns.items;
        valid &= name_index(t, raw, index);
        if (!check_column_list(t, index->name, &raw->columns)) {
            valid = false;
            continue;
        }
        index->column_count = (uint16_t)raw->columns.count;
        if (index->algorithm == LC_INDEX_DIRECT) valid &= check_direct_column(t, index);
    }
    return valid;
}

/* ----------------------------------------------- constraints, primary keys */

/* unique: receives the column sets. */
static bool check_constraints(table_check *t, lc_map *unique)
{
    lc_check *c = t->c;
    lc_table_def *def = t->def;
    bool valid = true;
    def->constraint_count = t->raw->constraint_count;
    def->constraints =
        lc_arena_alloc_zero(c->arena, def->constraint_count * sizeof *def->constraints);
    for (uint32_t i = 0; i < def->constraint_count && !lc_problems_full(c->problems); i++) {
        const lc_raw_constraint *raw = &t->raw->constraints[i];
        lc_constraint_def *constraint = &def->constraints[i];
        constraint->name = c->raw->version < 10 && raw->name.ptr
                               ? raw->name
                               : lc_generated_name(c, def, &raw->columns, "key");
        valid &= lc_claim_name(c, constraint->name);
        if (!check_column_list(t, constraint->name, &raw->columns)) {
            valid = false;
            continue;
        }
        constraint->columns = sorted_columns(c->arena, &raw->columns);
        constraint->column_count = (uint16_t)raw->columns.count;
        lc_map_put(unique, set_key(constraint->columns, constraint->column_count), constraint);
    }
    return valid;
}

/* unique: the sets that are unique, NULL when the constraints are not sound. */
static bool check_primary_key(table_check *t, const lc_map *unique)
{
    lc_table_def *def = t->def;
    const lc_raw_columns *key = &t->raw->primary_key;
    def->primary_key = -1;
    if (key->count == 0) return true;
    if (key->count > 1) {
        lc_problem_add(t->c->problems, LC_PROBLEM_REPEATED_PRIMARY_KEY, def->name,
                       "table `" LC_SPAN_FMT "` has multiple primary key annotations",
                       LC_SPAN_ARG(def->name));
        return false;
    }
    if (!column_exists(t, def->name, key->items[0])) return false;
    def->primary_key = key->items[0];
    if (!unique || lc_map_get(unique, set_key(key->items, 1))) return true;
    lc_buf order = LC_BUF_INIT;
    lc_key_put_text(&order, def->name);
    lc_key_put_text(&order, def->columns[def->primary_key].name);
    lc_problem_add(t->c->problems, LC_PROBLEM_PRIMARY_KEY_NOT_UNIQUE, lc_buf_span(&order),
                   "table `" LC_SPAN_FMT "` column `" LC_SPAN_FMT
                   "` is primary key but has no unique constraint",
                   LC_SPAN_ARG(def->name), LC_SPAN_ARG(def->columns[def->primary_key].name));
    lc_buf_deinit(&order);
    return false;
}

/* Every unique constraint has an index over the same set; such an index is unique. */
static void match_indexes(table_check *t, const lc_map *unique)
{
    lc_check *c = t->c;
    lc_map indexed = {0};
    for (uint32_t i = 0; i < t->def->index_count; i++) {
        lc_index_def *index = &t->def->indexes[i];
        const uint16_t *sorted = sorted_columns(c->arena, &t->raw->indexes[i].columns);
        lc_span key = set_key(sorted, index->column_count);
        index->is_unique = lc_map_get(unique, key) != NULL;
        lc_map_put(&indexed, key, index);
    }
    for (uint32_t i = 0; i < t->def->constraint_count; i++) {
        const lc_constraint_def *constraint = &t->def->constraints[i];
        if (lc_map_get(&indexed, set_key(constraint->columns, constraint->column_count))) continue;
        lc_buf columns = LC_BUF_INIT;
        for (uint32_t k = 0; k < constraint->column_count; k++)
            lc_buf_printf(&columns, "%sColId(%u)", k ? ", " : "", constraint->columns[k]);
        lc_problem_add(c->problems, LC_PROBLEM_UNIQUE_WITHOUT_INDEX, constraint->name,
                       "No index found to support unique constraint `" LC_SPAN_FMT
                       "` for columns `{" LC_SPAN_FMT "}`",
                       LC_SPAN_ARG(constraint->name), LC_SPAN_ARG(columns));
        lc_buf_deinit(&columns);
    }
    lc_map_deinit(&indexed);
}

/* --------------------------------------------------------------- sequences */

typedef __int128 wide;

static wide to_wide(lc_i128 v)
{
    return (wide)((unsigned __int128)(uint64_t)v.hi << 64 | v.lo);
}

static void sequence_range_problem(table_check *t, const lc_raw_sequence *raw, lc_span name)
{
    lc_arena *a = t->c->arena;
    lc_problem_add(t->c->problems, LC_PROBLEM_SEQUENCE_RANGE, name,
                   "invalid sequence range information: expected %s <= %s <= %s in sequence "
                   "`" LC_SPAN_FMT "`",
                   lc_text_i128_option(a, &raw->min_value), lc_text_i128_option(a, &raw->start),
                   lc_text_i128_option(a, &raw->max_value), LC_SPAN_ARG(name));
}

static bool in_order(const lc_raw_i128 *low, const lc_raw_i128 *high)
{
    return !low->given || !high->given || to_wide(low->value) <= to_wide(high->value);
}

/* Ranges over which a sequence cannot run. They pass the reference's validation and end its
 * process. */
static const char *unusable_range(const lc_sequence_def *s)
{
    wide start = to_wide(s->start), min = to_wide(s->min_value), max = to_wide(s->max_value);
    wide increment = to_wide(s->increment);
    if (increment == 0) return "its increment is 0";
    if (min >= max) return "its range holds only one value";
    if (start < min || start > max) return "its start lies outside its range (1 and up by default)";
    unsigned __int128 step =
        increment < 0 ? -(unsigned __int128)increment : (unsigned __int128)increment;
    unsigned __int128 range = (unsigned __int128)max - (unsigned __int128)min;
    return step >= range ? "its increment is as large as its range" : NULL;
}

static lc_i128 value_or(const lc_raw_i128 *v, lc_i128 otherwise)
{
    return v->given ? v->value : otherwise;
}

static void check_sequence(table_check *t, const lc_raw_sequence *raw, lc_sequence_def *s,
                           bool *has_sequence)
{
    static const lc_i128 one = {1, 0}, most = {UINT64_MAX, INT64_MAX};
    lc_check *c = t->c;
    const lc_raw_columns column = {(uint16_t *)(uintptr_t)&raw->column, 1};
    s->name = raw->name.ptr ? raw->name : lc_generated_name(c, t->def, &column, "seq");
    s->column = raw->column;
    s->start = value_or(&raw->start, one);
    s->min_value = value_or(&raw->min_value, one);
    s->max_value = value_or(&raw->max_value, most);
    s->increment = raw->increment;
    lc_claim_name(c, s->name);
    if (!column_exists(t, s->name, raw->column)) return;
    lc_span table_name = t->def->name, column_name = t->def->columns[raw->column].name;
    lc_buf key = LC_BUF_INIT;
    if (has_sequence[raw->column]) {
        lc_key_put_text(&key, table_name);
        lc_key_put_text(&key, column_name);
        lc_problem_add(c->problems, LC_PROBLEM_ONE_AUTO_INC, lc_buf_span(&key),
                       "Attempt to define table `" LC_SPAN_FMT "` column `" LC_SPAN_FMT
                       "` with more than 1 auto_inc sequence",
                       LC_SPAN_ARG(table_name), LC_SPAN_ARG(column_name));
    }
    has_sequence[raw->column] = true;
    const lc_type *type = t->row->members[raw->column].type;
    if (!lc_type_is_integer(type)) {
        lc_buf_reset(&key);
        lc_key_put_text(&key, s->name);
        lc_key_put_text(&key, table_name);
        lc_key_put_text(&key, column_name);
        lc_problem_add(c->problems, LC_PROBLEM_SEQUENCE_COLUMN_TYPE, lc_buf_span(&key),
                       "invalid sequence column type: table `" LC_SPAN_FMT "` column `" LC_SPAN_FMT
                       "` with type `%s` in sequence `" LC_SPAN_FMT "`",
                       LC_SPAN_ARG(table_name), LC_SPAN_ARG(column_name),
                       lc_text_type(c->arena, type), LC_SPAN_ARG(s->name));
    }
    lc_buf_deinit(&key);
    if (!in_order(&raw->min_value, &raw->start) || !in_order(&raw->start, &raw->max_value) ||
        !in_order(&raw->min_value, &raw->max_value)) {
        sequence_range_problem(t, raw, s->name);
        return;
    }
    const char *unusable = unusable_range(s);
    if (unusable)
        lc_problem_add(c->problems, LC_PROBLEM_REFUSED, s->name,
                       "sequence `" LC_SPAN_FMT "` of table `" LC_SPAN_FMT "` cannot run: %s",
                       LC_SPAN_ARG(s->name), LC_SPAN_ARG(table_name), unusable);
}

static void check_sequences(table_check *t)
{
    lc_table_def *def = t->def;
    bool *has_sequence = lc_alloc_zero(t->row->member_count + 1);
    def->sequence_count = t->raw->sequence_count;
    def->sequences = lc_arena_alloc_zero(t->c->arena, def->sequence_count * sizeof *def->sequences);
    for (uint32_t i = 0; i < def->sequence_count && !lc_problems_full(t->c->problems); i++)
        check_sequence(t, &t->raw->sequences[i], &def->sequences[i], has_sequence);
    lc_free(has_sequence);
}

/* ---------------------------------------------------------- default values */

/* Decodes a default value; its exact bytes, ptr NULL after a problem. */
static lc_span decode_default(table_check *t, const lc_raw_default *raw)
{
    lc_check *c = t->c;
    if (!column_exists(t, t->def->name, raw->column)) return LC_SPAN_EMPTY;
    if (c->budget->defaults == 0) {
        lc_problem_add(c->problems, LC_PROBLEM_REFUSED, LC_SPAN_EMPTY,
                       "the tables have more default values than LC_SCHEMA_MAX_DEFAULTS (%u)",
                       LC_SCHEMA_MAX_DEFAULTS);
        return LC_SPAN_EMPTY;
    }
    c->budget->defaults--;
    lc_error err = LC_ERROR_INIT;
    size_t size = 0;
    if (lc_bsatn_validate(t->row->members[raw->column].type, &c->module->source_typespace,
                          raw->value, &size, &err) == LC_OK)
        return LC_SPAN(size ? raw->value.ptr : (const uint8_t *)"", size);
    lc_buf key = LC_BUF_INIT;
    lc_key_put_text(&key, t->def->name);
    lc_key_put_number(&key, raw->column);
    lc_problem_add(c->problems, LC_PROBLEM_DEFAULT_MALFORMED, lc_buf_span(&key),
                   "Failed to deserialize default value for table " LC_SPAN_FMT " column %u: %s",
                   LC_SPAN_ARG(t->def->name), raw->column, lc_error_text(&err));
    lc_buf_deinit(&key);
    lc_error_clear(&err);
    return LC_SPAN_EMPTY;
}

static bool decode_defaults(table_check *t, lc_span *values)
{
    bool valid = true;
    for (uint32_t i = 0; i < t->raw->default_count && !lc_problems_full(t->c->problems); i++) {
        const lc_raw_default *raw = &t->raw->defaults[i];
        lc_span value = decode_default(t, raw);
        valid &= value.ptr != NULL;
        if (value.ptr) values[raw->column] = value; /* the last one wins */
    }
    return valid;
}

static void set_default(lc_column_def *column, lc_span value)
{
    column->has_default = true;
    column->default_value = value;
}

/* V9 lists the defaults of all tables beside them. */
static void check_defaults_v9(lc_check *c, const lc_map *tables)
{
    lc_map seen = {0};
    lc_buf key = LC_BUF_INIT;
    for (uint32_t i = 0; i < c->raw->default_count && !lc_problems_full(c->problems); i++) {
        const lc_raw_default *raw = &c->raw->defaults[i];
        lc_table_def *def = lc_map_get(tables, raw->table);
        if (!def) {
            lc_problem_add(c->problems, LC_PROBLEM_TABLE_NOT_FOUND, raw->table,
                           "Table " LC_SPAN_FMT " not found", LC_SPAN_ARG(raw->table));
            continue;
        }
        if (!def->row_type) continue; /* the table itself has failed */
        table_check t = {.c = c,
                         .def = def,
                         .raw = &c->raw->tables[def - c->module->tables],
                         .row = c->module->source_typespace.types[def->type_ref]};
        lc_span value = decode_default(&t, raw);
        lc_buf_reset(&key);
        lc_key_put_text(&key, raw->table);
        lc_key_put_number(&key, raw->column);
        if (lc_map_put(&seen, lc_buf_span(&key), def))
            lc_problem_add(c->problems, LC_PROBLEM_MULTIPLE_DEFAULTS, lc_buf_span(&key),
                           "Multiple default values for table " LC_SPAN_FMT " column %u",
                           LC_SPAN_ARG(raw->table), raw->column);
        if (value.ptr) set_default(&def->columns[raw->column], value);
    }
    lc_buf_deinit(&key);
    lc_map_deinit(&seen);
}

/* --------------------------------------------------------------- schedules */

lc_schedule_def *lc_check_schedule(lc_check *c, lc_table_def *table, const lc_raw_table *raw_table,
                                   const lc_raw_schedule *raw, lc_span name)
{
    const lc_type *row = c->module->source_typespace.types[table->type_ref];
    const lc_raw_columns *key = &raw_table->primary_key;
    if (raw->at_column >= row->member_count ||
        row->members[raw->at_column].type->special != LC_SPECIAL_SCHEDULE_AT || key->count != 1 ||
        key->items[0] >= row->member_count ||
        row->members[key->items[0]].type->kind != LC_TYPE_U64) {
        lc_problem_add(c->problems, LC_PROBLEM_SCHEDULED_COLUMNS, table->name,
                       "A scheduled table must have columns `scheduled_id: u64` and "
                       "`scheduled_at: ScheduledAt`, but table `" LC_SPAN_FMT "` has columns %s",
                       LC_SPAN_ARG(table->name), lc_text_product_debug(c->arena, row));
        return NULL;
    }
    lc_schedule_def *schedule = lc_arena_alloc_zero(c->arena, sizeof *schedule);
    schedule->name = name;
    schedule->at_column = raw->at_column;
    schedule->id_column = key->items[0];
    schedule->function_name = raw->function;
    table->schedule = schedule;
    return schedule;
}

static void check_schedule_v9(table_check *t)
{
    const lc_raw_schedule *raw = t->raw->schedule;
    lc_span name = raw->name.ptr ? raw->name
                                 : lc_span_of_str(lc_arena_format(t->c->arena, LC_SPAN_FMT "_sched",
                                                                  LC_SPAN_ARG(t->def->name)));
    lc_problem_identifier(t->c->problems, name);
    lc_claim_name(t->c, name);
    lc_check_schedule(t->c, t->def, t->raw, raw, name);
}

/* ------------------------------------------------------------------ tables */

/* Takes the names of a table. V10 stops at the first that is taken; V9 has only one. */
static bool claim_table_names(lc_check *c, const lc_table_def *def)
{
    if (c->raw->version < 10) {
        lc_claim_name(c, def->name);
        return true;
    }
    return lc_claim_name(c, def->source_name) &&
           (lc_span_equal(def->name, def->source_name) || lc_claim_name(c, def->name));
}

static void check_objects(table_check *t)
{
    lc_check *c = t->c;
    if (!t->def->is_system && t->def->name.len >= 3 && memcmp(t->def->name.ptr, "st_", 3) == 0)
        lc_problem_add(c->problems, LC_PROBLEM_TABLE_NAME_RESERVED, t->def->name,
                       "Table name is reserved for system use: " LC_SPAN_FMT,
                       LC_SPAN_ARG(t->def->name));
    /* A check that compares two kinds of objects runs only when both are sound in themselves. */
    lc_map unique = {0};
    bool indexes = check_indexes(t);
    bool constraints = check_constraints(t, &unique);
    bool key = check_primary_key(t, constraints ? &unique : NULL);
    if (indexes && constraints && key) match_indexes(t, &unique);
    lc_map_deinit(&unique);
    check_sequences(t);
    if (t->raw->schedule) check_schedule_v9(t);
}

static void check_table(lc_check *c, const lc_raw_table *raw, lc_table_def *def)
{
    def->source_name = raw->name;
    def->name = lc_canonical_name(c, LC_RAW_EXPLICIT_TABLE, raw->name);
    def->type_ref = raw->ref;
    def->is_public = !raw->is_private;
    def->is_event = raw->is_event;
    def->is_system = raw->is_system;
    def->primary_key = -1;
    table_check t = {.c = c, .raw = raw, .def = def};
    t.row = lc_check_row_ref(c, def->name, raw->ref);
    if (!t.row) return;
    bool named = lc_problem_identifier(c->problems, def->source_name);
    if (!lc_span_equal(def->name, def->source_name))
        named &= lc_problem_identifier(c->problems, def->name);
    if (!named || !claim_table_names(c, def)) return;

    lc_span *defaults = lc_alloc_zero((t.row->member_count + 1) * sizeof *defaults);
    if (decode_defaults(&t, defaults)) {
        lc_check_columns(c, def->name, raw->ref, &def->columns, &def->column_count, &def->row_type);
        if (def->columns) {
            for (uint32_t i = 0; i < def->column_count; i++)
                if (defaults[i].ptr) set_default(&def->columns[i], defaults[i]);
            check_objects(&t);
        }
    }
    lc_free(defaults);
}

void lc_check_tables(lc_check *c)
{
    lc_module_def *m = c->module;
    m->table_count = c->raw->table_count;
    m->tables = lc_arena_alloc_zero(c->arena, m->table_count * sizeof *m->tables);
    lc_map by_name = {0}; /* V9: a default says which table it is for */
    for (uint32_t i = 0; i < m->table_count && !lc_problems_full(c->problems); i++) {
        check_table(c, &c->raw->tables[i], &m->tables[i]);
        if (c->raw->version < 10) lc_map_put(&by_name, m->tables[i].name, &m->tables[i]);
    }
    check_defaults_v9(c, &by_name);
    lc_map_deinit(&by_name);
}
