/*
 * Types of a definition: case conversion of the typespace, which types client code can name
 * (01 sections 1.3 and 9.8), declared types, and the columns of rows.
 */
#include "schema/schema_internal.h"

/* --------------------------------------------------------- case conversion */

/* Converts names from here down. Special types keep theirs, and what is inside them is not visited:
 * inline it could only be another special type, and references are converted in their own slot. */
static const lc_type *convert_type(lc_arena *a, const lc_type *t)
{
    if (t->special != LC_SPECIAL_NONE) return t;
    if (t->kind == LC_TYPE_ARRAY) {
        const lc_type *element = convert_type(a, t->element);
        return element == t->element ? t : lc_type_new_array(a, element);
    }
    if (t->member_count == 0) return t;
    bool is_sum = t->kind == LC_TYPE_SUM;
    lc_type_member *members = lc_alloc(t->member_count * sizeof *members);
    lc_buf name = LC_BUF_INIT;
    for (uint32_t i = 0; i < t->member_count; i++) {
        members[i] = t->members[i];
        members[i].type = convert_type(a, t->members[i].type);
        if (!t->members[i].name.ptr) continue;
        lc_buf_reset(&name);
        if (is_sum)
            lc_name_to_camel(t->members[i].name, &name);
        else
            lc_name_to_snake(t->members[i].name, &name);
        members[i].name = lc_keep_name(a, lc_buf_span(&name));
    }
    lc_buf_deinit(&name);
    const lc_type *converted = is_sum ? lc_type_new_sum(a, members, t->member_count)
                                      : lc_type_new_product(a, members, t->member_count);
    lc_free(members);
    return converted;
}

/* ---------------------------------------------------------- use of a type */

/* Errors of client code generation within one place, in the order of reports. */
typedef enum inner_kind {
    INNER_NOT_USABLE,
    INNER_BAD_REF,
    INNER_NOT_DECLARED,
    INNER_UNNAMED_MEMBER,
    INNER_UNNAMED_PARAMETER,
    INNER_NOT_DEFINABLE,
    INNER_IDENTIFIER,
} inner_kind;

typedef struct fault {
    inner_kind kind;
    const char *text; /* NULL = none */
} fault;

static const fault no_fault = {INNER_NOT_USABLE, NULL};

struct lc_slot_use {
    enum { SLOT_UNKNOWN, SLOT_IN_PROGRESS, SLOT_DONE } state;
    fault fault;
};

static void add_codegen(lc_check *c, const lc_place *place, fault f)
{
    static const char *const kinds[] = {
        [LC_PLACE_REDUCER_ARGUMENT] = "reducer", [LC_PLACE_PROCEDURE_ARGUMENT] = "procedure",
        [LC_PLACE_VIEW_ARGUMENT] = "view",       [LC_PLACE_PROCEDURE_RETURN] = "procedure",
        [LC_PLACE_VIEW_RETURN] = "view",
    };
    lc_buf at = LC_BUF_INIT;
    switch (place->kind) {
    case LC_PLACE_TYPESPACE:
        lc_buf_printf(&at, "typespace ref `&%u`", place->position);
        break;
    case LC_PLACE_PROCEDURE_RETURN:
    case LC_PLACE_VIEW_RETURN:
        lc_buf_printf(&at, "%s `" LC_SPAN_FMT "` return value", kinds[place->kind],
                      LC_SPAN_ARG(place->function));
        break;
    default:
        lc_buf_printf(&at, "%s `" LC_SPAN_FMT "` argument %u", kinds[place->kind],
                      LC_SPAN_ARG(place->function), place->position);
        if (place->argument.ptr)
            lc_buf_printf(&at, " (`" LC_SPAN_FMT "`)", LC_SPAN_ARG(place->argument));
    }
    lc_buf key = LC_BUF_INIT;
    lc_key_put_number(&key, place->kind);
    lc_key_put_text(&key, place->function);
    lc_key_put_number(&key, place->position);
    lc_key_put_text(&key, place->argument);
    lc_key_put_number(&key, f.kind);
    lc_problem_add(c->problems, LC_PROBLEM_CLIENT_CODEGEN, lc_buf_span(&key),
                   "error at " LC_SPAN_FMT ": %s%s", LC_SPAN_ARG(at),
                   f.kind == INNER_IDENTIFIER ? "" : "internal codegen error: ", f.text);
    lc_buf_deinit(&at);
    lc_buf_deinit(&key);
}

static fault use_fault(lc_check *c, const lc_type *t, uint32_t depth);

/* A reference is usable when its slot is declared, or holds something usable itself. */
static fault ref_fault(lc_check *c, uint32_t ref, uint32_t depth)
{
    const lc_typespace *ts = &c->module->source_typespace;
    if (ref >= ts->count) return (fault){INNER_BAD_REF, "invalid AlgebraicTypeRef"};
    if (c->declared[ref]) return no_fault;
    lc_slot_use *use = &c->slot_uses[ref];
    if (use->state == SLOT_DONE) return use->fault;
    /* A chain of undeclared slots that bites its tail, or one that is absurdly long. */
    if (use->state == SLOT_IN_PROGRESS || depth > LC_TYPE_MAX_DEPTH)
        return (fault){
            INNER_NOT_DECLARED,
            lc_arena_format(c->arena, "type ref &%u was not pre-declared as a definition", ref)};
    use->state = SLOT_IN_PROGRESS;
    use->fault = use_fault(c, ts->types[ref], depth + 1);
    use->state = SLOT_DONE;
    return use->fault;
}

static fault use_fault(lc_check *c, const lc_type *t, uint32_t depth)
{
    switch (t->kind) {
    case LC_TYPE_REF:
        return ref_fault(c, t->ref, depth);
    case LC_TYPE_ARRAY:
        return use_fault(c, t->element, depth);
    case LC_TYPE_SUM:
    case LC_TYPE_PRODUCT:
        break;
    default:
        return no_fault;
    }
    if (t->member_count == 0) return no_fault; /* unit and never */
    switch (t->special) {
    case LC_SPECIAL_NONE:
        return (fault){INNER_NOT_USABLE,
                       lc_arena_format(c->arena,
                                       "non-special product or sum type %s cannot be used to "
                                       "generate a client type use",
                                       lc_text_type(c->arena, t))};
    case LC_SPECIAL_OPTION:
        return use_fault(c, t->members[0].type, depth);
    case LC_SPECIAL_RESULT: {
        fault ok = use_fault(c, t->members[0].type, depth);
        return ok.text ? ok : use_fault(c, t->members[1].type, depth);
    }
    default:
        return no_fault;
    }
}

bool lc_check_use(lc_check *c, const lc_place *place, const lc_type *t)
{
    fault f = use_fault(c, t, 0);
    if (f.text) add_codegen(c, place, f);
    return !f.text;
}

/* ---------------------------------------------------------- declared types */

/* Unnamed members by position, then named ones by the bytes of their names. */
static bool in_default_order(const lc_type *t)
{
    if (t->kind != LC_TYPE_PRODUCT && t->kind != LC_TYPE_SUM) return true;
    for (uint32_t i = 1; i < t->member_count; i++) {
        lc_span before = t->members[i - 1].name, name = t->members[i].name;
        if (before.ptr && (!name.ptr || lc_span_compare(before, name) > 0)) return false;
    }
    return true;
}

/* The type of a declared slot must be one that client code can define. */
static void check_definition(lc_check *c, uint32_t ref, const lc_type *t)
{
    lc_place place = {.kind = LC_PLACE_TYPESPACE, .position = ref};
    if (t->special != LC_SPECIAL_NONE) {
        lc_check_use(c, &place, t);
        return;
    }
    if (t->kind != LC_TYPE_PRODUCT && t->kind != LC_TYPE_SUM) {
        add_codegen(
            c, &place,
            (fault){INNER_NOT_DEFINABLE,
                    lc_arena_format(c->arena, "type %s is not valid for generating a definition",
                                    lc_text_type(c->arena, t))});
        return;
    }
    bool unnamed = false;
    for (uint32_t i = 0; i < t->member_count && !lc_problems_full(c->problems); i++) {
        const lc_type_member *m = &t->members[i];
        lc_check_use(c, &place, m->type);
        lc_error err = LC_ERROR_INIT;
        if (!m->name.ptr) {
            unnamed = true;
        } else if (lc_identifier_check(m->name, &err) != LC_OK) {
            add_codegen(c, &place,
                        (fault){INNER_IDENTIFIER,
                                lc_arena_format(c->arena, "type %s contains identifier error %s",
                                                lc_text_type(c->arena, t), lc_error_text(&err))});
            lc_error_clear(&err);
        }
    }
    if (unnamed)
        add_codegen(c, &place,
                    (fault){INNER_UNNAMED_MEMBER,
                            lc_arena_format(c->arena, "all type elements require names: %s",
                                            lc_text_type(c->arena, t))});
}

/* The canonical form of a segment of a type's name. */
static lc_span canonical_segment(lc_check *c, lc_span source)
{
    if (!c->module->snake_case) return source;
    lc_buf name = LC_BUF_INIT;
    lc_name_to_pascal(source, &name);
    lc_span canonical = lc_keep_name(c->arena, lc_buf_span(&name));
    lc_buf_deinit(&name);
    return canonical;
}

static void name_type_def(lc_check *c, const lc_raw_type_def *raw, lc_type_def *def, lc_map *names)
{
    def->ref = raw->ref;
    def->custom_ordering = raw->custom_ordering;
    def->name = canonical_segment(c, raw->name);
    def->scope_count = raw->scope_count;
    def->scope = lc_arena_alloc(c->arena, raw->scope_count * sizeof *def->scope);
    bool valid = true;
    lc_buf key = LC_BUF_INIT; /* segments apart, so that scopes sort as lists do */
    for (uint32_t i = 0; i < raw->scope_count; i++) {
        def->scope[i] = canonical_segment(c, raw->scope[i]);
        valid &= lc_problem_identifier(c->problems, def->scope[i]);
        lc_key_put_text(&key, def->scope[i]);
    }
    lc_buf_put_u8(&key, 0);
    valid &= lc_problem_identifier(c->problems, def->name);
    lc_key_put_text(&key, def->name);
    if (valid) {
        if (lc_map_get(names, lc_buf_span(&key)))
            lc_problem_add(c->problems, LC_PROBLEM_DUPLICATE_TYPE_NAME, lc_buf_span(&key),
                           "name `%s` is used for multiple types",
                           lc_text_scoped_name(c->arena, def));
        else
            lc_map_put(names, lc_buf_span(&key), def);
    }
    lc_buf_deinit(&key);
}

void lc_check_typespace(lc_check *c)
{
    lc_module_def *m = c->module;
    const lc_typespace *ts = &c->raw->typespace;
    m->source_typespace = m->typespace = *ts;
    if (m->snake_case) {
        const lc_type **types = lc_arena_alloc(c->arena, ts->count * sizeof *types);
        for (uint32_t i = 0; i < ts->count; i++) types[i] = convert_type(c->arena, ts->types[i]);
        m->typespace.types = types;
    }
    c->declared = lc_arena_alloc_zero(c->arena, ts->count * sizeof *c->declared);
    c->slot_uses = lc_arena_alloc_zero(c->arena, ts->count * sizeof *c->slot_uses);
    c->reached = lc_arena_alloc_zero(c->arena, ts->count * sizeof *c->reached);
    for (uint32_t i = 0; i < c->raw->type_count; i++)
        if (c->raw->types[i].ref < ts->count) c->declared[c->raw->types[i].ref] = true;
}

void lc_check_type_defs(lc_check *c)
{
    lc_module_def *m = c->module;
    const lc_typespace *ts = &m->source_typespace;
    lc_map names = {0};
    m->type_count = c->raw->type_count;
    m->types = lc_arena_alloc_zero(c->arena, m->type_count * sizeof *m->types);
    for (uint32_t i = 0; i < m->type_count && !lc_problems_full(c->problems); i++) {
        lc_type_def *def = &m->types[i];
        name_type_def(c, &c->raw->types[i], def, &names);
        const char *name = lc_text_scoped_name(c->arena, def);
        if (def->ref >= ts->count) {
            lc_problem_add(c->problems, LC_PROBLEM_TYPE_REF, lc_span_of_str(name),
                           "Type %s has invalid ref: &%u",
                           lc_text_string_debug(c->arena, lc_span_of_str(name)), def->ref);
        } else if (!def->custom_ordering && !in_default_order(ts->types[def->ref])) {
            lc_problem_add(c->problems, LC_PROBLEM_TYPE_ORDER, lc_span_of_str(name),
                           "type `%s` is not annotated with a custom ordering, but uses one: %s",
                           lc_text_string_debug(c->arena, lc_span_of_str(name)),
                           lc_text_type(c->arena, ts->types[def->ref]));
        }
    }
    lc_map_deinit(&names);
    for (uint32_t i = 0; i < ts->count && !lc_problems_full(c->problems); i++)
        if (c->declared[i]) check_definition(c, i, ts->types[i]);
}

/* -------------------------------------------------------------- parameters */

/* Parameter lists are compiled one by one, each with all the types it leads to; what that adds up
 * to is limited. Counts the types behind params, every slot once. */
typedef struct reach {
    lc_check *c;
    uint64_t nodes;
    LC_VEC(uint32_t) slots; /* still to be visited */
} reach;

static void reach_type(reach *r, const lc_type *t)
{
    lc_check *c = r->c;
    r->nodes++;
    if (t->kind == LC_TYPE_REF) {
        if (t->ref >= c->module->source_typespace.count || c->reached[t->ref] == c->reach_round)
            return;
        c->reached[t->ref] = c->reach_round;
        lc_vec_push(&r->slots, t->ref);
    } else if (t->kind == LC_TYPE_ARRAY) {
        reach_type(r, t->element);
    } else {
        for (uint32_t i = 0; i < t->member_count; i++) reach_type(r, t->members[i].type);
    }
}

static void take_param_nodes(lc_check *c, const lc_type *params)
{
    reach r = {.c = c};
    c->reach_round++;
    reach_type(&r, params);
    while (r.slots.len && r.nodes <= c->budget->param_nodes)
        reach_type(&r, c->module->source_typespace.types[r.slots.items[--r.slots.len]]);
    lc_vec_deinit(&r.slots);
    if (r.nodes <= c->budget->param_nodes) {
        c->budget->param_nodes -= r.nodes;
        return;
    }
    c->budget->param_nodes = 0;
    lc_problem_add(c->problems, LC_PROBLEM_REFUSED, LC_SPAN_EMPTY,
                   "the parameters of all functions lead to more types together than "
                   "LC_SCHEMA_MAX_PARAM_NODES (%u)",
                   LC_SCHEMA_MAX_PARAM_NODES);
}

void lc_check_params(lc_check *c, lc_place_kind kind, lc_span function, const lc_type *params,
                     lc_span *canonical)
{
    take_param_nodes(c, params);
    for (uint32_t i = 0; i < params->member_count && !lc_problems_full(c->problems); i++) {
        const lc_type_member *m = &params->members[i];
        lc_place place = {.kind = kind, .function = function, .position = i, .argument = m->name};
        lc_check_use(c, &place, m->type);
        if (!m->name.ptr) {
            add_codegen(c, &place,
                        (fault){INNER_UNNAMED_PARAMETER, "all reducer parameters require names"});
            continue;
        }
        lc_span name = lc_canonical_name(c, LC_RAW_EXPLICIT_NONE, m->name);
        lc_problem_identifier(c->problems, name);
        if (canonical) canonical[i] = name;
    }
}

/* -------------------------------------------------------------------- rows */

const lc_type *lc_check_row_ref(lc_check *c, lc_span owner, uint32_t ref)
{
    const lc_typespace *ts = &c->module->source_typespace;
    if (ref < ts->count && ts->types[ref]->kind == LC_TYPE_PRODUCT) return ts->types[ref];
    lc_problem_add(c->problems, LC_PROBLEM_PRODUCT_TYPE_REF, owner,
                   "Table " LC_SPAN_FMT " has invalid product_type_ref &%u", LC_SPAN_ARG(owner),
                   ref);
    return NULL;
}

lc_memory_layout lc_type_memory_layout(const lc_type *t)
{
    lc_memory_layout l = {0, 1};
    switch (t->kind) {
    case LC_TYPE_STRING:
    case LC_TYPE_ARRAY:
        return (lc_memory_layout){4, 2};
    case LC_TYPE_PRODUCT:
        for (uint32_t i = 0; i < t->member_count; i++) {
            lc_memory_layout m = lc_type_memory_layout(t->members[i].type);
            l.size = (l.size + m.align - 1) / m.align * m.align + m.size;
            if (m.align > l.align) l.align = m.align;
        }
        l.size = (l.size + l.align - 1) / l.align * l.align;
        return l;
    case LC_TYPE_SUM:
        for (uint32_t i = 0; i < t->member_count; i++) {
            lc_memory_layout m = lc_type_memory_layout(t->members[i].type);
            if (m.size > l.size) l.size = m.size;
            if (m.align > l.align) l.align = m.align;
        }
        l.size = l.align + (l.size + l.align - 1) / l.align * l.align;
        return l;
    default:
        l.size = l.align = (uint64_t)t->fixed_size;
        return l;
    }
}

static bool take_row_nodes(lc_check *c, uint64_t nodes)
{
    if (nodes <= c->budget->row_nodes) {
        c->budget->row_nodes -= nodes;
        return true;
    }
    lc_problem_add(c->problems, LC_PROBLEM_REFUSED, LC_SPAN_EMPTY,
                   "the rows of all tables and views have more parts together than "
                   "LC_SCHEMA_MAX_ROW_NODES (%u)",
                   LC_SCHEMA_MAX_ROW_NODES);
    return false;
}

/* Replaces the references of a row type and holds it against the limits. */
static const lc_type *inline_row(lc_check *c, lc_span owner, uint32_t ref)
{
    lc_error err = LC_ERROR_INIT;
    const lc_type *row = NULL;
    if (lc_type_inline(c->arena, &c->module->typespace, c->module->typespace.types[ref], &row,
                       &err) != LC_OK) {
        lc_problem_add(c->problems, LC_PROBLEM_REFUSED, owner,
                       "the row type of `" LC_SPAN_FMT "` cannot be stored: %s", LC_SPAN_ARG(owner),
                       lc_error_text(&err));
        lc_error_clear(&err);
        return NULL;
    }
    if (!take_row_nodes(c, row->weight)) return NULL;
    uint64_t size = lc_type_memory_layout(row).size;
    if (size > LC_SCHEMA_MAX_ROW_FIXED) {
        lc_problem_add(c->problems, LC_PROBLEM_REFUSED, owner,
                       "the fixed-size part of a row of `" LC_SPAN_FMT "` takes %llu bytes, more "
                       "than LC_SCHEMA_MAX_ROW_FIXED (%u)",
                       LC_SPAN_ARG(owner), (unsigned long long)size, LC_SCHEMA_MAX_ROW_FIXED);
        return NULL;
    }
    return row;
}

/* Two columns may have one name, but not two source names for it: each canonical name has one alias
 * in the system tables. */
static void check_column_aliases(lc_check *c, lc_span owner, const lc_column_def *columns,
                                 uint32_t count)
{
    lc_map by_name = {0};
    for (uint32_t i = 0; i < count; i++) {
        const lc_column_def *other = lc_map_get(&by_name, columns[i].name);
        if (other && !lc_span_equal(other->source_name, columns[i].source_name))
            lc_problem_add(c->problems, LC_PROBLEM_REFUSED, owner,
                           "columns `" LC_SPAN_FMT "` and `" LC_SPAN_FMT "` of `" LC_SPAN_FMT
                           "` have the same canonical name `" LC_SPAN_FMT "`",
                           LC_SPAN_ARG(other->source_name), LC_SPAN_ARG(columns[i].source_name),
                           LC_SPAN_ARG(owner), LC_SPAN_ARG(columns[i].name));
        else if (!other)
            lc_map_put(&by_name, columns[i].name, (void *)(uintptr_t)&columns[i]);
    }
    lc_map_deinit(&by_name);
}

bool lc_check_columns(lc_check *c, lc_span owner, uint32_t ref, lc_column_def **columns,
                      uint16_t *count, const lc_type **row)
{
    const lc_type *source = c->module->source_typespace.types[ref];
    const lc_type *canonical = c->module->typespace.types[ref];
    *row = NULL;
    *columns = NULL;
    *count = 0;
    if (source->member_count > LC_SCHEMA_MAX_COLUMNS) {
        lc_problem_add(c->problems, LC_PROBLEM_REFUSED, owner,
                       "`" LC_SPAN_FMT "` has %u columns, more than LC_SCHEMA_MAX_COLUMNS (%u)",
                       LC_SPAN_ARG(owner), source->member_count, LC_SCHEMA_MAX_COLUMNS);
        return false;
    }
    if (!take_row_nodes(c, source->member_count)) return false;
    lc_column_def *list = lc_arena_alloc_zero(c->arena, source->member_count * sizeof *list);
    bool usable = true;
    lc_place place = {.kind = LC_PLACE_TYPESPACE, .position = ref};
    for (uint32_t i = 0; i < source->member_count; i++) {
        list[i].source_name = source->members[i].name;
        list[i].name = canonical->members[i].name;
        usable &= lc_check_use(c, &place, source->members[i].type);
        if (!list[i].name.ptr) {
            lc_buf key = LC_BUF_INIT;
            lc_key_put_text(&key, owner);
            lc_key_put_number(&key, i);
            list[i].name = list[i].source_name =
                lc_span_of_str(lc_arena_format(c->arena, "col_%u", i));
            lc_problem_add(c->problems, LC_PROBLEM_UNNAMED_COLUMN, lc_buf_span(&key),
                           "table `" LC_SPAN_FMT "` has unnamed column `" LC_SPAN_FMT
                           "`, which is forbidden.",
                           LC_SPAN_ARG(owner), LC_SPAN_ARG(list[i].name));
            lc_buf_deinit(&key);
            usable = false;
            continue;
        }
        usable &= lc_problem_identifier(c->problems, list[i].name);
        if (c->module->snake_case)
            usable &= lc_problem_identifier(c->problems, list[i].source_name);
    }
    *columns = list;
    *count = (uint16_t)source->member_count;
    if (!usable) return false;
    check_column_aliases(c, owner, list, *count);
    *row = inline_row(c, owner, ref);
    if (!*row) return false;
    for (uint32_t i = 0; i < *count; i++) list[i].type = (*row)->members[i].type;
    return true;
}
