/*
 * Can a database of one definition go on with another without its rows being touched? Objects are
 * matched by canonical name, as migration does (01 section 10.1); whatever the store keeps about
 * them must be equal, except that tables may be new.
 */
#include "schema/schema_internal.h"

/* Collects differences, one line each, up to a limit. */
typedef struct differences {
    lc_buf text;
    uint32_t count;
} differences;

#define MAX_DIFFERENCES 1000

static void differ(differences *d, const char *fmt, ...) LC_PRINTF(2, 3);
static void differ(differences *d, const char *fmt, ...)
{
    if (d->count++ >= MAX_DIFFERENCES) return;
    va_list args;
    va_start(args, fmt);
    lc_buf_vprintf(&d->text, fmt, args);
    va_end(args);
    lc_buf_put_str(&d->text, " requires a migration, which this server cannot do yet\n\n");
}

static bool same_columns(const uint16_t *a, uint32_t a_count, const uint16_t *b, uint32_t b_count)
{
    return a_count == b_count && (a_count == 0 || memcmp(a, b, a_count * sizeof *a) == 0);
}

static bool same_option(lc_span a, lc_span b)
{
    return !a.ptr == !b.ptr && lc_span_equal(a, b);
}

/* ----------------------------------------------------------------- columns */

static void compare_columns(differences *d, const lc_table_def *from, const lc_table_def *to)
{
    uint32_t common = from->column_count < to->column_count ? from->column_count : to->column_count;
    for (uint32_t i = 0; i < common; i++) {
        const lc_column_def *old = &from->columns[i], *new = &to->columns[i];
        if (!lc_span_equal(old->name, new->name)) {
            differ(d,
                   "Column %u of table " LC_SPAN_FMT " changing from " LC_SPAN_FMT
                   " to " LC_SPAN_FMT,
                   i, LC_SPAN_ARG(to->name), LC_SPAN_ARG(old->name), LC_SPAN_ARG(new->name));
            continue;
        }
        if (!lc_span_equal(old->source_name, new->source_name))
            differ(d, "Changing the accessor name of column " LC_SPAN_FMT " in table " LC_SPAN_FMT,
                   LC_SPAN_ARG(new->name), LC_SPAN_ARG(to->name));
        if (!lc_type_equal(old->type, new->type)) {
            lc_buf types = LC_BUF_INIT;
            lc_type_print(old->type, &types);
            lc_buf_put_str(&types, " to ");
            lc_type_print(new->type, &types);
            differ(d,
                   "Changing the type of column " LC_SPAN_FMT " in table " LC_SPAN_FMT
                   " from " LC_SPAN_FMT,
                   LC_SPAN_ARG(new->name), LC_SPAN_ARG(to->name), LC_SPAN_ARG(types));
            lc_buf_deinit(&types);
        }
    }
    for (uint32_t i = common; i < from->column_count; i++)
        differ(d, "Removing a column " LC_SPAN_FMT " from table " LC_SPAN_FMT,
               LC_SPAN_ARG(from->columns[i].name), LC_SPAN_ARG(from->name));
    for (uint32_t i = common; i < to->column_count; i++)
        differ(d, "Adding a column " LC_SPAN_FMT " to table " LC_SPAN_FMT,
               LC_SPAN_ARG(to->columns[i].name), LC_SPAN_ARG(to->name));
}

/* ---------------------------------------------------------- parts of tables */

/* Finds what was removed, added or changed between two lists of named parts. The item type begins
 * with its name. */
typedef struct part_list {
    const void *items;
    uint32_t count;
    size_t item_size;
} part_list;

static const void *part_at(const part_list *list, uint32_t i)
{
    return (const char *)list->items + i * list->item_size;
}

static lc_span part_name(const void *part)
{
    return *(const lc_span *)part;
}

static void compare_parts(differences *d, const char *what, lc_span table, part_list from,
                          part_list to, bool (*same)(const void *, const void *))
{
    lc_map by_name = {0};
    for (uint32_t i = 0; i < from.count; i++)
        lc_map_put(&by_name, part_name(part_at(&from, i)), (void *)(uintptr_t)part_at(&from, i));
    for (uint32_t i = 0; i < to.count; i++) {
        const void *new = part_at(&to, i);
        const void *old = lc_map_remove(&by_name, part_name(new));
        if (!old)
            differ(d, "Adding %s " LC_SPAN_FMT " to table " LC_SPAN_FMT, what,
                   LC_SPAN_ARG(part_name(new)), LC_SPAN_ARG(table));
        else if (!same(old, new))
            differ(d, "Changing %s " LC_SPAN_FMT " of table " LC_SPAN_FMT, what,
                   LC_SPAN_ARG(part_name(new)), LC_SPAN_ARG(table));
    }
    for (uint32_t i = 0; i < from.count; i++)
        if (lc_map_get(&by_name, part_name(part_at(&from, i))))
            differ(d, "Removing %s " LC_SPAN_FMT " from table " LC_SPAN_FMT, what,
                   LC_SPAN_ARG(part_name(part_at(&from, i))), LC_SPAN_ARG(table));
    lc_map_deinit(&by_name);
}

_Static_assert(offsetof(lc_index_def, name) == 0, "a part begins with its name");
_Static_assert(offsetof(lc_constraint_def, name) == 0, "a part begins with its name");
_Static_assert(offsetof(lc_sequence_def, name) == 0, "a part begins with its name");
_Static_assert(offsetof(lc_schedule_def, name) == 0, "a part begins with its name");

static bool same_index(const void *left, const void *right)
{
    const lc_index_def *a = left, *b = right;
    return a->algorithm == b->algorithm && lc_span_equal(a->source_name, b->source_name) &&
           same_option(a->accessor_name, b->accessor_name) &&
           same_columns(a->columns, a->column_count, b->columns, b->column_count);
}

static bool same_constraint(const void *left, const void *right)
{
    const lc_constraint_def *a = left, *b = right;
    return same_columns(a->columns, a->column_count, b->columns, b->column_count);
}

static bool same_i128(lc_i128 a, lc_i128 b)
{
    return a.lo == b.lo && a.hi == b.hi;
}

static bool same_sequence(const void *left, const void *right)
{
    const lc_sequence_def *a = left, *b = right;
    return a->column == b->column && same_i128(a->start, b->start) &&
           same_i128(a->min_value, b->min_value) && same_i128(a->max_value, b->max_value) &&
           same_i128(a->increment, b->increment);
}

static bool same_schedule(const void *left, const void *right)
{
    const lc_schedule_def *a = left, *b = right;
    return a->at_column == b->at_column && a->id_column == b->id_column &&
           lc_span_equal(a->function_name, b->function_name) && a->is_procedure == b->is_procedure;
}

#define PARTS(list, count) ((part_list){(list), (count), sizeof *(list)})

static void compare_table(differences *d, const lc_table_def *from, const lc_table_def *to)
{
    lc_span name = to->name;
    if (!lc_span_equal(from->source_name, to->source_name))
        differ(d, "Changing the accessor name of table " LC_SPAN_FMT, LC_SPAN_ARG(name));
    if (from->is_public != to->is_public)
        differ(d, "Changing the access of table " LC_SPAN_FMT, LC_SPAN_ARG(name));
    if (from->is_event != to->is_event)
        differ(d, "Changing the event flag of table " LC_SPAN_FMT, LC_SPAN_ARG(name));
    if (from->is_system != to->is_system)
        differ(d, "Changing the table type of table " LC_SPAN_FMT, LC_SPAN_ARG(name));
    if (from->primary_key != to->primary_key)
        differ(d, "Changing the primary key of table " LC_SPAN_FMT, LC_SPAN_ARG(name));
    compare_columns(d, from, to);
    compare_parts(d, "index", name, PARTS(from->indexes, from->index_count),
                  PARTS(to->indexes, to->index_count), same_index);
    compare_parts(d, "unique constraint", name, PARTS(from->constraints, from->constraint_count),
                  PARTS(to->constraints, to->constraint_count), same_constraint);
    compare_parts(d, "sequence", name, PARTS(from->sequences, from->sequence_count),
                  PARTS(to->sequences, to->sequence_count), same_sequence);
    compare_parts(d, "schedule", name, PARTS(from->schedule, from->schedule != NULL),
                  PARTS(to->schedule, to->schedule != NULL), same_schedule);
}

/* ------------------------------------------------------- views and policies */

/* Parameters may refer to types of their module, so they are compared with references replaced. */
static bool same_params(const lc_view_def *a, const lc_view_def *b)
{
    lc_arena arena = LC_ARENA_INIT;
    const lc_type *left = NULL, *right = NULL;
    bool same = lc_type_inline(&arena, a->typespace, a->params, &left, NULL) == LC_OK &&
                lc_type_inline(&arena, b->typespace, b->params, &right, NULL) == LC_OK &&
                lc_type_equal(left, right);
    lc_arena_deinit(&arena);
    return same;
}

static bool same_view(const lc_view_def *a, const lc_view_def *b)
{
    if (a->is_public != b->is_public || a->is_anonymous != b->is_anonymous ||
        a->primary_key != b->primary_key || a->column_count != b->column_count ||
        !lc_span_equal(a->source_name, b->source_name) || !lc_type_equal(a->row_type, b->row_type))
        return false;
    for (uint32_t i = 0; i < a->column_count; i++)
        if (!lc_span_equal(a->columns[i].source_name, b->columns[i].source_name)) return false;
    return same_params(a, b);
}

static void compare_views(differences *d, const lc_schema *from, const lc_schema *to)
{
    for (uint32_t i = 0; i < from->view_count; i++)
        if (!lc_schema_find_view(to, from->views[i].name))
            differ(d, "Removing view " LC_SPAN_FMT, LC_SPAN_ARG(from->views[i].name));
    for (uint32_t i = 0; i < to->view_count; i++) {
        const lc_view_def *new = &to->views[i];
        const lc_view_def *old = lc_schema_find_view(from, new->name);
        if (!old)
            differ(d, "Adding view " LC_SPAN_FMT, LC_SPAN_ARG(new->name));
        else if (!same_view(old, new))
            differ(d, "Changing view " LC_SPAN_FMT, LC_SPAN_ARG(new->name));
    }
}

static void list_policies(const lc_schema *s, lc_map *set)
{
    for (uint32_t i = 0; i < s->row_level_security_count; i++)
        lc_map_put(set, s->row_level_security[i], (void *)(uintptr_t)s);
}

static void compare_policies(differences *d, const lc_schema *from, const lc_schema *to)
{
    lc_map old = {0}, new = {0};
    list_policies(from, &old);
    list_policies(to, &new);
    for (uint32_t i = 0; i < from->row_level_security_count; i++)
        if (!lc_map_get(&new, from->row_level_security[i]))
            differ(d, "Removing row-level security `" LC_SPAN_FMT "`",
                   LC_SPAN_ARG(from->row_level_security[i]));
    for (uint32_t i = 0; i < to->row_level_security_count; i++)
        if (!lc_map_get(&old, to->row_level_security[i]))
            differ(d, "Adding row-level security `" LC_SPAN_FMT "`",
                   LC_SPAN_ARG(to->row_level_security[i]));
    lc_map_deinit(&old);
    lc_map_deinit(&new);
}

lc_status lc_schema_check_update(const lc_schema *from, const lc_schema *to, lc_error *err)
{
    differences d = {.text = LC_BUF_INIT};
    lc_buf_put_str(&d.text, "Errors occurred:\n");
    for (uint32_t i = 0; i < from->table_count; i++)
        if (!lc_schema_find_table(to, from->tables[i].name))
            differ(&d, "Removing table " LC_SPAN_FMT, LC_SPAN_ARG(from->tables[i].name));
    for (uint32_t i = 0; i < to->table_count; i++) {
        const lc_table_def *old = lc_schema_find_table(from, to->tables[i].name);
        if (old) compare_table(&d, old, &to->tables[i]);
    }
    compare_views(&d, from, to);
    compare_policies(&d, from, to);
    lc_status st = LC_OK;
    if (d.count) st = lc_error_set(err, LC_E_UNSUPPORTED, LC_SPAN_FMT, LC_SPAN_ARG(d.text));
    lc_buf_deinit(&d.text);
    return st;
}
