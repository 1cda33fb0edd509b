/* The door of the room: reads a definition, flattens its tree into lists with namespaced names, and
 * looks objects up. */
#include "schema/schema_internal.h"

#include <stdlib.h>

/* ----------------------------------------------------------------- flatten */

/* Where the objects of the whole tree are put, depth first: a module's own, then its submodules'.
 */
typedef struct flattener {
    lc_schema *s;
    lc_arena *arena;
    lc_problems *problems;
    lc_budget *budget;
    lc_map names;      /* every table, view, index, constraint and sequence */
    uint32_t views[2]; /* ids given so far, by is_anonymous */
} flattener;

static void count_objects(lc_schema *s, const lc_module_def *m)
{
    s->table_count += m->table_count;
    s->reducer_count += m->reducer_count;
    s->procedure_count += m->procedure_count;
    s->view_count += m->view_count;
    for (uint32_t i = 0; i < m->submodule_count; i++) {
        s->warning_count += m->submodules[i]->route_count > 0;
        count_objects(s, m->submodules[i]);
    }
}

static lc_span qualified(flattener *f, const lc_module_def *m, lc_span name)
{
    if (m->path.len == 0 || !name.ptr) return name;
    size_t len = m->path.len + 1 + name.len;
    if (!lc_budget_name(f->budget, f->problems, len)) return name;
    uint8_t *text = lc_arena_alloc(f->arena, len);
    memcpy(text, m->path.ptr, m->path.len);
    text[m->path.len] = '.';
    if (name.len) memcpy(text + m->path.len + 1, name.ptr, name.len);
    return LC_SPAN(text, len);
}

/* Names that were given verbatim may hold a dot, and so meet a name of a submodule. */
static void claim_qualified(flattener *f, lc_span name)
{
    if (lc_map_put(&f->names, name, f))
        lc_problem_add(f->problems, LC_PROBLEM_DUPLICATE_NAME, name,
                       "name `" LC_SPAN_FMT "` is used for multiple entities", LC_SPAN_ARG(name));
}

static void *copy_list(flattener *f, const void *list, size_t count, size_t item_size)
{
    void *copy = lc_arena_alloc(f->arena, count * item_size);
    if (count) memcpy(copy, list, count * item_size);
    return copy;
}

/* function_base: index of the module's first reducer and first procedure in the lists of all. */
static void flatten_table(flattener *f, const lc_module_def *m, const lc_table_def *from,
                          lc_table_def *to, const uint32_t function_base[2])
{
    *to = *from;
    to->name = qualified(f, m, from->name);
    to->source_name = qualified(f, m, from->source_name);
    claim_qualified(f, to->name);
    to->indexes = copy_list(f, from->indexes, from->index_count, sizeof *to->indexes);
    for (uint32_t i = 0; i < to->index_count; i++) {
        lc_index_def *index = &to->indexes[i];
        index->name = qualified(f, m, index->name);
        index->source_name = qualified(f, m, index->source_name);
        claim_qualified(f, index->name);
    }
    to->constraints =
        copy_list(f, from->constraints, from->constraint_count, sizeof *to->constraints);
    for (uint32_t i = 0; i < to->constraint_count; i++) {
        to->constraints[i].name = qualified(f, m, to->constraints[i].name);
        claim_qualified(f, to->constraints[i].name);
    }
    to->sequences = copy_list(f, from->sequences, from->sequence_count, sizeof *to->sequences);
    for (uint32_t i = 0; i < to->sequence_count; i++) {
        to->sequences[i].name = qualified(f, m, to->sequences[i].name);
        claim_qualified(f, to->sequences[i].name);
    }
    if (from->schedule) {
        to->schedule = copy_list(f, from->schedule, 1, sizeof *to->schedule);
        to->schedule->name = qualified(f, m, to->schedule->name);
        to->schedule->function_name = qualified(f, m, to->schedule->function_name);
        to->schedule->function += function_base[to->schedule->is_procedure];
    }
}

/* Appends to a list, giving each function its place as id. */
static void flatten_functions(flattener *f, const lc_module_def *m, const lc_function_def *from,
                              uint32_t count, lc_function_def *list, uint32_t *list_count)
{
    for (uint32_t i = 0; i < count; i++) {
        lc_function_def *to = &list[*list_count];
        *to = from[i];
        to->name = qualified(f, m, from[i].name);
        to->source_name = qualified(f, m, from[i].source_name);
        to->id = (*list_count)++;
        to->layout = lc_layout_create(to->params, to->typespace);
    }
}

static void flatten_module(flattener *f, const lc_module_def *m)
{
    lc_schema *s = f->s;
    const uint32_t function_base[2] = {s->reducer_count, s->procedure_count};
    for (uint32_t i = 0; i < m->table_count; i++)
        flatten_table(f, m, &m->tables[i], &s->tables[s->table_count++], function_base);
    flatten_functions(f, m, m->reducers, m->reducer_count, s->reducers, &s->reducer_count);
    flatten_functions(f, m, m->procedures, m->procedure_count, s->procedures, &s->procedure_count);
    for (uint32_t i = 0; i < m->view_count; i++) {
        lc_view_def *to = &s->views[s->view_count++];
        *to = m->views[i];
        to->name = qualified(f, m, to->name);
        to->source_name = qualified(f, m, to->source_name);
        to->id = f->views[to->is_anonymous]++;
        claim_qualified(f, to->name);
    }
    for (uint32_t i = 0; i < m->submodule_count; i++) {
        const lc_module_def *sub = m->submodules[i];
        if (sub->route_count)
            s->warnings[s->warning_count++] = lc_span_of_str(lc_arena_format(
                f->arena,
                "The submodule under namespace '" LC_SPAN_FMT
                "' registers HTTP routes via a router. Only the routes of the root module are "
                "served; these are ignored.",
                LC_SPAN_ARG(sub->path)));
        flatten_module(f, sub);
    }
}

/* ------------------------------------------------------------------- lists */

static int compare_tables(const void *a, const void *b)
{
    return lc_span_compare(((const lc_table_def *)a)->name, ((const lc_table_def *)b)->name);
}

static int compare_views(const void *a, const void *b)
{
    return lc_span_compare(((const lc_view_def *)a)->name, ((const lc_view_def *)b)->name);
}

static void list_row_level_security(lc_schema *s, const lc_raw_module *raw)
{
    lc_map seen = {0};
    s->row_level_security =
        lc_arena_alloc(&s->arena, raw->row_level_security_count * sizeof *s->row_level_security);
    for (uint32_t i = 0; i < raw->row_level_security_count; i++)
        if (!lc_map_put(&seen, raw->row_level_security[i], s))
            s->row_level_security[s->row_level_security_count++] = raw->row_level_security[i];
    lc_map_deinit(&seen);
}

static void index_names(lc_schema *s)
{
    for (uint32_t i = 0; i < s->table_count; i++)
        lc_map_put(&s->tables_by_name, s->tables[i].name, &s->tables[i]);
    for (uint32_t i = 0; i < s->view_count; i++)
        lc_map_put(&s->views_by_name, s->views[i].name, &s->views[i]);
    for (uint32_t i = 0; i < s->reducer_count; i++) {
        lc_map_put(&s->reducers_by_name, s->reducers[i].name, &s->reducers[i]);
        if (s->reducers[i].lifecycle != LC_LIFECYCLE_NONE)
            s->lifecycle[s->reducers[i].lifecycle] = (int32_t)i;
    }
    for (uint32_t i = 0; i < s->procedure_count; i++)
        lc_map_put(&s->procedures_by_name, s->procedures[i].name, &s->procedures[i]);
}

static void flatten(lc_schema *s, lc_problems *problems, lc_budget *budget)
{
    lc_arena *a = &s->arena;
    count_objects(s, s->root);
    s->tables = lc_arena_alloc(a, s->table_count * sizeof *s->tables);
    s->reducers = lc_arena_alloc(a, s->reducer_count * sizeof *s->reducers);
    s->procedures = lc_arena_alloc(a, s->procedure_count * sizeof *s->procedures);
    s->views = lc_arena_alloc(a, s->view_count * sizeof *s->views);
    s->warnings = lc_arena_alloc(a, s->warning_count * sizeof *s->warnings);
    s->table_count = s->reducer_count = s->procedure_count = s->view_count = s->warning_count = 0;
    flattener f = {.s = s, .arena = a, .problems = problems, .budget = budget};
    flatten_module(&f, s->root);
    lc_map_deinit(&f.names);
    if (s->table_count) qsort(s->tables, s->table_count, sizeof *s->tables, compare_tables);
    if (s->view_count) qsort(s->views, s->view_count, sizeof *s->views, compare_views);
    s->routes = s->root->routes;
    s->route_count = s->root->route_count;
    list_row_level_security(s, s->root->raw);
    index_names(s);
}

/* -------------------------------------------------------------------- read */

static lc_status read_definition(lc_schema *s, lc_span input, lc_error *err)
{
    const lc_raw_module *raw = NULL;
    if (lc_raw_decode(input, &s->arena, &raw, err) != LC_OK) {
        lc_error_prefix(err, "error decoding module description: ");
        return LC_E_INVALID;
    }
    s->version = raw->version;
    lc_problems problems = {.arena = &s->arena};
    lc_budget budget = {.row_nodes = LC_SCHEMA_MAX_ROW_NODES,
                        .param_nodes = LC_SCHEMA_MAX_PARAM_NODES,
                        .name_bytes = LC_SCHEMA_MAX_NAME_BYTES,
                        .defaults = LC_SCHEMA_MAX_DEFAULTS};
    lc_module_def *root = lc_check_module(&s->arena, &problems, raw, LC_SPAN_EMPTY, &budget);
    if (problems.list.len == 0) {
        s->root = root;
        flatten(s, &problems, &budget);
    }
    return lc_problems_report(&problems, err);
}

lc_status lc_schema_read(lc_span raw, lc_schema **out, lc_error *err)
{
    lc_schema *s = lc_alloc_zero(sizeof *s);
    atomic_init(&s->refs, 1);
    for (size_t i = 0; i < LC_ARRAY_LEN(s->lifecycle); i++) s->lifecycle[i] = -1;
    lc_error own = LC_ERROR_INIT;
    if (raw.len > LC_SCHEMA_MAX_BYTES) {
        lc_schema_unref(s);
        return lc_error_set(err, LC_E_INVALID,
                            "error decoding module description: it is %zu bytes long, more than "
                            "LC_SCHEMA_MAX_BYTES (%u)",
                            raw.len, LC_SCHEMA_MAX_BYTES);
    }
    lc_status st = read_definition(s, lc_arena_copy(&s->arena, raw), &own);
    if (st == LC_OK) {
        *out = s;
        return LC_OK;
    }
    lc_schema_unref(s);
    lc_error_set(err, st, "%s", lc_error_text(&own));
    lc_error_clear(&own);
    return st;
}

lc_schema *lc_schema_ref(lc_schema *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void lc_schema_unref(lc_schema *s)
{
    if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1) return;
    for (uint32_t i = 0; i < s->reducer_count; i++) lc_layout_destroy(s->reducers[i].layout);
    for (uint32_t i = 0; i < s->procedure_count; i++) lc_layout_destroy(s->procedures[i].layout);
    lc_map_deinit(&s->reducers_by_name);
    lc_map_deinit(&s->procedures_by_name);
    lc_map_deinit(&s->tables_by_name);
    lc_map_deinit(&s->views_by_name);
    lc_arena_deinit(&s->arena);
    lc_free(s);
}

/* ----------------------------------------------------------------- look up */

const lc_function_def *lc_schema_find_reducer(const lc_schema *s, lc_span name)
{
    return lc_map_get(&s->reducers_by_name, name);
}

const lc_function_def *lc_schema_find_procedure(const lc_schema *s, lc_span name)
{
    return lc_map_get(&s->procedures_by_name, name);
}

const lc_table_def *lc_schema_find_table(const lc_schema *s, lc_span name)
{
    return lc_map_get(&s->tables_by_name, name);
}

const lc_view_def *lc_schema_find_view(const lc_schema *s, lc_span name)
{
    return lc_map_get(&s->views_by_name, name);
}
