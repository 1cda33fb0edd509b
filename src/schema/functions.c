/* Reducers and procedures, lifecycle events, schedules (01 section 9.9). */
#include "schema/schema_internal.h"

static const char *const event_names[] = {"Init", "OnConnect", "OnDisconnect"};

/* --------------------------------------------------- reducers, procedures */

static void check_reducer_return(lc_check *c, const lc_raw_function *raw, lc_span name)
{
    if (raw->ok->kind == LC_TYPE_PRODUCT && raw->ok->member_count == 0 &&
        raw->err->kind == LC_TYPE_STRING)
        return;
    lc_problem_add(c->problems, LC_PROBLEM_REDUCER_RETURN_TYPE, name,
                   "reducer " LC_SPAN_FMT " has invalid return type: found Result<%s, %s>",
                   LC_SPAN_ARG(name), lc_text_type(c->arena, raw->ok),
                   lc_text_type(c->arena, raw->err));
}

static void check_function(lc_check *c, const lc_raw_function *raw, lc_function_def *def,
                           bool is_procedure)
{
    def->source_name = raw->name;
    def->name = lc_canonical_name(c, LC_RAW_EXPLICIT_FUNCTION, raw->name);
    def->params = raw->params;
    def->typespace = &c->module->typespace;
    def->return_type = raw->returns;
    def->lifecycle = raw->lifecycle;
    def->is_client_callable = !raw->is_private;
    lc_problem_identifier(c->problems, def->source_name);
    if (!lc_span_equal(def->name, def->source_name)) lc_problem_identifier(c->problems, def->name);
    lc_check_params(c, is_procedure ? LC_PLACE_PROCEDURE_ARGUMENT : LC_PLACE_REDUCER_ARGUMENT,
                    def->name, raw->params, NULL);
    if (is_procedure) {
        lc_place place = {.kind = LC_PLACE_PROCEDURE_RETURN, .function = def->name};
        lc_check_use(c, &place, raw->returns);
    } else if (c->raw->version >= 10) {
        check_reducer_return(c, raw, def->name);
    }
}

void lc_check_functions(lc_check *c)
{
    lc_module_def *m = c->module;
    m->reducer_count = c->raw->reducer_count;
    m->reducers = lc_arena_alloc_zero(c->arena, m->reducer_count * sizeof *m->reducers);
    for (uint32_t i = 0; i < m->reducer_count && !lc_problems_full(c->problems); i++)
        check_function(c, &c->raw->reducers[i], &m->reducers[i], false);
    m->procedure_count = c->raw->procedure_count;
    m->procedures = lc_arena_alloc_zero(c->arena, m->procedure_count * sizeof *m->procedures);
    for (uint32_t i = 0; i < m->procedure_count && !lc_problems_full(c->problems); i++)
        check_function(c, &c->raw->procedures[i], &m->procedures[i], true);
}

static void claim_function_name(lc_check *c, lc_map *names, lc_span name)
{
    if (lc_map_put(names, name, c))
        lc_problem_add(c->problems, LC_PROBLEM_DUPLICATE_FUNCTION_NAME, name,
                       "Name " LC_SPAN_FMT
                       " is used for multiple reducers, procedures and/or views",
                       LC_SPAN_ARG(name));
}

void lc_check_function_names(lc_check *c)
{
    const lc_module_def *m = c->module;
    lc_map names = {0};
    for (uint32_t i = 0; i < m->reducer_count; i++)
        claim_function_name(c, &names, m->reducers[i].name);
    for (uint32_t i = 0; i < m->procedure_count; i++)
        claim_function_name(c, &names, m->procedures[i].name);
    for (uint32_t i = 0; i < m->view_count; i++) claim_function_name(c, &names, m->views[i].name);
    lc_map_deinit(&names);
}

/* Functions of one kind by canonical name, for lifecycle events and schedules. */
typedef struct function_index {
    const lc_function_def *first;
    lc_map by_name;
} function_index;

static function_index index_functions(const lc_function_def *list, uint32_t count)
{
    function_index index = {.first = list};
    for (uint32_t i = 0; i < count; i++)
        lc_map_put(&index.by_name, list[i].name, (void *)(uintptr_t)&list[i]);
    return index;
}

static int64_t find_function(const function_index *index, lc_span name)
{
    const lc_function_def *found = lc_map_get(&index->by_name, name);
    return found ? found - index->first : -1;
}

/* --------------------------------------------------------------- lifecycle */

static void duplicate_lifecycle(lc_check *c, lc_lifecycle event)
{
    lc_buf key = LC_BUF_INIT;
    lc_key_put_number(&key, event);
    lc_problem_add(c->problems, LC_PROBLEM_DUPLICATE_LIFECYCLE, lc_buf_span(&key),
                   "Multiple reducers defined for lifecycle event %s", event_names[event]);
    lc_buf_deinit(&key);
}

static void check_lifecycles_v9(lc_check *c)
{
    bool taken[LC_LIFECYCLE_NONE] = {false};
    for (uint32_t i = 0; i < c->module->reducer_count; i++) {
        lc_lifecycle event = c->module->reducers[i].lifecycle;
        if (event == LC_LIFECYCLE_NONE) continue;
        if (taken[event]) duplicate_lifecycle(c, event);
        taken[event] = true;
    }
}

static void check_lifecycles_v10(lc_check *c)
{
    bool taken[LC_LIFECYCLE_NONE] = {false};
    function_index reducers = index_functions(c->module->reducers, c->module->reducer_count);
    for (uint32_t i = 0; i < c->raw->lifecycle_count && !lc_problems_full(c->problems); i++) {
        const lc_raw_lifecycle *raw = &c->raw->lifecycles[i];
        int64_t at =
            find_function(&reducers, lc_canonical_name(c, LC_RAW_EXPLICIT_FUNCTION, raw->function));
        if (at < 0) {
            lc_buf key = LC_BUF_INIT;
            lc_key_put_number(&key, raw->event);
            lc_problem_add(c->problems, LC_PROBLEM_LIFECYCLE_WITHOUT_REDUCER, lc_buf_span(&key),
                           "lifecycle event %s without reducer", event_names[raw->event]);
            lc_buf_deinit(&key);
            continue;
        }
        lc_function_def *reducer = &c->module->reducers[at];
        if (taken[raw->event] || reducer->lifecycle != LC_LIFECYCLE_NONE) {
            duplicate_lifecycle(c, raw->event);
            continue;
        }
        taken[raw->event] = true;
        reducer->lifecycle = raw->event;
        reducer->is_client_callable = false;
    }
    lc_map_deinit(&reducers.by_name);
}

/* An event in a submodule is refused as such and not looked at further. */
static void refuse_lifecycles(lc_check *c)
{
    for (uint32_t i = 0; i < c->raw->lifecycle_count && !lc_problems_full(c->problems); i++) {
        lc_lifecycle event = c->raw->lifecycles[i].event;
        lc_buf key = LC_BUF_INIT;
        lc_key_put_number(&key, event);
        lc_key_put_text(&key, c->module->path);
        lc_problem_add(c->problems, LC_PROBLEM_LIFECYCLE_IN_SUBMODULE, lc_buf_span(&key),
                       "lifecycle event %s is not permitted in submodule under namespace "
                       "`" LC_SPAN_FMT
                       "`; lifecycle reducers may only be declared in the root module",
                       event_names[event], LC_SPAN_ARG(c->module->path));
        lc_buf_deinit(&key);
    }
}

void lc_check_lifecycles(lc_check *c)
{
    if (c->module->path.len)
        refuse_lifecycles(c);
    else if (c->raw->version < 10)
        check_lifecycles_v9(c);
    else
        check_lifecycles_v10(c);
}

/* --------------------------------------------------------------- schedules */

/* Exactly one parameter, a reference to the very slot that holds the rows of the table. */
static void check_scheduled_params(lc_check *c, const lc_table_def *table,
                                   const lc_function_def *function)
{
    const lc_type *params = function->params;
    if (params->member_count == 1 && params->members[0].type->kind == LC_TYPE_REF &&
        params->members[0].type->ref == table->type_ref)
        return;
    lc_problem_add(c->problems, LC_PROBLEM_SCHEDULED_PARAMS, function->name,
                   "Scheduled reducer " LC_SPAN_FMT
                   " expected to have type (0: &%u), but has type %s",
                   LC_SPAN_ARG(function->name), table->type_ref, lc_text_type(c->arena, params));
}

static void bind_schedule(lc_check *c, lc_table_def *table, const function_index *reducers,
                          const function_index *procedures)
{
    lc_schedule_def *schedule = table->schedule;
    schedule->function_name =
        lc_canonical_name(c, LC_RAW_EXPLICIT_FUNCTION, schedule->function_name);
    lc_function_def *list = c->module->reducers;
    int64_t at = find_function(reducers, schedule->function_name);
    if (at < 0) {
        list = c->module->procedures;
        at = find_function(procedures, schedule->function_name);
        schedule->is_procedure = true;
    }
    if (at < 0) {
        lc_buf key = LC_BUF_INIT;
        lc_key_put_text(&key, schedule->name);
        lc_key_put_text(&key, schedule->function_name);
        lc_problem_add(c->problems, LC_PROBLEM_MISSING_SCHEDULED_FUNCTION, lc_buf_span(&key),
                       "Schedule " LC_SPAN_FMT
                       " refers to a scheduled reducer or procedure " LC_SPAN_FMT
                       " that does not exist",
                       LC_SPAN_ARG(schedule->name), LC_SPAN_ARG(schedule->function_name));
        lc_buf_deinit(&key);
        return;
    }
    schedule->function = (uint32_t)at;
    check_scheduled_params(c, table, &list[at]);
    /* From V10 on what a schedule calls is the schedule's alone. */
    if (c->raw->version >= 10) list[at].is_client_callable = false;
}

/* V10 lists schedules beside the tables. */
static void attach_schedules(lc_check *c)
{
    lc_module_def *m = c->module;
    lc_map tables = {0};
    for (uint32_t i = 0; i < m->table_count; i++)
        lc_map_put(&tables, m->tables[i].name, &m->tables[i]);
    for (uint32_t i = 0; i < c->raw->schedule_count && !lc_problems_full(c->problems); i++) {
        const lc_raw_schedule *raw = &c->raw->schedules[i];
        lc_span name = lc_canonical_name(c, LC_RAW_EXPLICIT_TABLE, raw->table);
        lc_table_def *table = lc_map_get(&tables, name);
        if (!table) {
            lc_problem_add(c->problems, LC_PROBLEM_TABLE_NOT_FOUND, name,
                           "Table " LC_SPAN_FMT " not found", LC_SPAN_ARG(name));
            continue;
        }
        lc_span own = lc_span_of_str(
            lc_arena_format(c->arena, LC_SPAN_FMT "_sched", LC_SPAN_ARG(table->name)));
        if (lc_claim_name(c, own))
            lc_check_schedule(c, table, &c->raw->tables[table - m->tables], raw, own);
    }
    lc_map_deinit(&tables);
}

void lc_check_schedules(lc_check *c)
{
    lc_module_def *m = c->module;
    if (c->raw->version >= 10) attach_schedules(c);
    function_index reducers = index_functions(m->reducers, m->reducer_count);
    function_index procedures = index_functions(m->procedures, m->procedure_count);
    for (uint32_t i = 0; i < m->table_count && !lc_problems_full(c->problems); i++)
        if (m->tables[i].schedule) bind_schedule(c, &m->tables[i], &reducers, &procedures);
    lc_map_deinit(&reducers.by_name);
    lc_map_deinit(&procedures.by_name);
}
