/* Validation of a tree of modules (01 section 9): names that are shared by all kinds of objects,
 * the order of the checks, submodules (9.13). */
#include "schema/schema_internal.h"

/* ------------------------------------------------------------------- names */

lc_span lc_canonical_name(lc_check *c, lc_raw_explicit_kind kind, lc_span source)
{
    if (kind != LC_RAW_EXPLICIT_NONE) {
        const lc_span *explicit = lc_map_get(&c->explicit_names[kind], source);
        if (explicit) return *explicit;
    }
    if (!c->module->snake_case) return source;
    lc_buf name = LC_BUF_INIT;
    lc_name_to_snake(source, &name);
    /* Most names are in snake case already and need no copy. */
    lc_span canonical = lc_span_equal(source, lc_buf_span(&name))
                            ? source
                            : lc_keep_name(c->arena, lc_buf_span(&name));
    lc_buf_deinit(&name);
    return canonical;
}

static bool claim(lc_check *c, lc_map *names, lc_span name)
{
    if (!lc_map_get(names, name)) {
        lc_map_put(names, name, c);
        return true;
    }
    lc_problem_add(c->problems, LC_PROBLEM_DUPLICATE_NAME, name,
                   "name `" LC_SPAN_FMT "` is used for multiple entities", LC_SPAN_ARG(name));
    return false;
}

bool lc_claim_name(lc_check *c, lc_span name)
{
    if (c->budget->names_reported) return true; /* no more names are made up, so they say nothing */
    return claim(c, &c->names, name);
}

bool lc_budget_name(lc_budget *budget, lc_problems *problems, uint64_t bytes)
{
    if (bytes <= budget->name_bytes) {
        budget->name_bytes -= bytes;
        return true;
    }
    if (!budget->names_reported)
        lc_problem_add(problems, LC_PROBLEM_REFUSED, LC_SPAN_EMPTY,
                       "the names of all indexes, constraints, sequences and mounted objects are "
                       "longer together than LC_SCHEMA_MAX_NAME_BYTES (%u)",
                       LC_SCHEMA_MAX_NAME_BYTES);
    budget->names_reported = true;
    return false;
}

lc_span lc_generated_name(lc_check *c, const lc_table_def *table, const lc_raw_columns *columns,
                          const char *suffix)
{
    uint64_t len = table->name.len + 1 + strlen(suffix);
    for (uint32_t i = 0; i < columns->count; i++) {
        uint16_t column = columns->items[i];
        /* `col_65535` is as long as it gets. */
        len += 1 + (column < table->column_count ? table->columns[column].name.len : 9);
    }
    if (!lc_budget_name(c->budget, c->problems, len)) return LC_STR("");
    lc_buf name = LC_BUF_INIT;
    lc_buf_put_span(&name, table->name);
    lc_buf_put_u8(&name, '_');
    for (uint32_t i = 0; i < columns->count; i++) {
        uint16_t column = columns->items[i];
        if (i) lc_buf_put_u8(&name, '_');
        if (column < table->column_count)
            lc_buf_put_span(&name, table->columns[column].name);
        else
            lc_buf_printf(&name, "col_%u", column);
    }
    lc_buf_put_u8(&name, '_');
    lc_buf_put_str(&name, suffix);
    lc_span generated = lc_keep_name(c->arena, lc_buf_span(&name));
    lc_buf_deinit(&name);
    return generated;
}

/* --------------------------------------------------------------- submodules */

static lc_span mount_path(lc_arena *a, lc_span parent, lc_span name)
{
    if (parent.len == 0) return name;
    return lc_span_of_str(
        lc_arena_format(a, LC_SPAN_FMT "." LC_SPAN_FMT, LC_SPAN_ARG(parent), LC_SPAN_ARG(name)));
}

static void check_submodules(lc_check *c)
{
    lc_module_def *m = c->module;
    lc_module_def **list = lc_arena_alloc_zero(c->arena, c->raw->submodule_count * sizeof *list);
    lc_map namespaces = {0};
    for (uint32_t i = 0; i < c->raw->submodule_count && !lc_problems_full(c->problems); i++) {
        const lc_raw_submodule *raw = &c->raw->submodules[i];
        if (raw->name.len > LC_SCHEMA_MAX_NAMESPACE)
            lc_problem_add(c->problems, LC_PROBLEM_NAMESPACE_TOO_LONG, raw->name,
                           "submodule namespace `" LC_SPAN_FMT
                           "` is %zu bytes, which exceeds the %d-byte limit",
                           LC_SPAN_ARG(raw->name), raw->name.len, LC_SCHEMA_MAX_NAMESPACE);
        if (lc_problem_identifier(c->problems, raw->name)) claim(c, &namespaces, raw->name);
        list[i] = lc_check_module(c->arena, c->problems, raw->module,
                                  mount_path(c->arena, m->path, raw->name), c->budget);
    }
    m->submodules = list;
    m->submodule_count = c->raw->submodule_count;
    lc_map_deinit(&namespaces);
}

/* ------------------------------------------------------------------ modules */

lc_module_def *lc_check_module(lc_arena *arena, lc_problems *problems, const lc_raw_module *raw,
                               lc_span path, lc_budget *budget)
{
    lc_module_def *m = lc_arena_alloc_zero(arena, sizeof *m);
    lc_check c = {.arena = arena, .problems = problems, .raw = raw, .module = m, .budget = budget};
    m->path = path;
    m->raw = raw;
    m->snake_case = raw->snake_case;
    for (uint32_t i = 0; i < raw->explicit_name_count; i++) {
        lc_raw_explicit *e = &raw->explicit_names[i];
        lc_map_put(&c.explicit_names[e->kind], e->source, &e->canonical); /* the last one wins */
    }

    size_t before = problems->list.len;
    lc_check_typespace(&c);
    lc_check_type_defs(&c);
    lc_check_tables(&c);
    lc_check_functions(&c);
    lc_check_views(&c);
    lc_check_routes(&c);
    if (raw->version < 10) lc_check_function_names(&c);
    /* What relates objects to each other waits until each of them is sound. */
    if (problems->list.len == before && !lc_problems_full(problems)) {
        if (raw->version >= 10) lc_check_function_names(&c);
        lc_check_lifecycles(&c);
        lc_check_schedules(&c);
    }
    check_submodules(&c);

    lc_map_deinit(&c.names);
    for (size_t i = 0; i < LC_ARRAY_LEN(c.explicit_names); i++) lc_map_deinit(&c.explicit_names[i]);
    return m;
}
