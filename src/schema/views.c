/* Views: forms of return types, columns, primary keys (01 section 9.10). */
#include "schema/schema_internal.h"

typedef struct view_check {
    lc_check *c;
    const lc_raw_view *raw;
    lc_view_def *def;
    uint32_t ref; /* of the row type */
} view_check;

/* Array(Ref), option(Ref) or {__query__: Ref}. */
static bool split_return_type(view_check *v)
{
    const lc_type *t = v->raw->returns, *inner = t;
    if (t->kind == LC_TYPE_ARRAY) {
        inner = t->element;
    } else if (t->special == LC_SPECIAL_OPTION) {
        inner = t->members[0].type;
    } else if (t->kind == LC_TYPE_PRODUCT && t->member_count == 1 && t->members[0].name.ptr &&
               lc_span_equal_str(t->members[0].name, "__query__")) {
        inner = t->members[0].type;
        v->def->is_query = true;
    }
    if (inner->kind == LC_TYPE_REF && inner != t) {
        v->ref = inner->ref;
        return true;
    }
    lc_problem_add(v->c->problems, LC_PROBLEM_VIEW_RETURN_TYPE, v->def->name,
                   "View " LC_SPAN_FMT " has invalid return type %s", LC_SPAN_ARG(v->def->name),
                   lc_text_type(v->c->arena, t));
    return false;
}

static void check_return_use(view_check *v)
{
    lc_place place = {.kind = LC_PLACE_VIEW_RETURN, .function = v->def->name};
    const lc_type *returns = v->raw->returns;
    lc_check_use(v->c, &place, v->def->is_query ? returns->members[0].type : returns);
}

/* The parameters with canonical names. */
static void check_view_params(view_check *v)
{
    lc_check *c = v->c;
    const lc_type *raw = v->raw->params;
    lc_span *names = lc_alloc_zero((raw->member_count + 1) * sizeof *names);
    lc_check_params(c, LC_PLACE_VIEW_ARGUMENT, v->def->name, raw, names);
    lc_type_member *members = lc_alloc((raw->member_count + 1) * sizeof *members);
    for (uint32_t i = 0; i < raw->member_count; i++)
        members[i] = (lc_type_member){names[i], raw->members[i].type};
    v->def->params = lc_type_new_product(c->arena, members, raw->member_count);
    v->def->typespace = &c->module->typespace;
    lc_free(members);
    lc_free(names);
}

/* ------------------------------------------------------------ primary keys */

static void set_explicit_key(view_check *v, const lc_raw_view_key *key)
{
    lc_check *c = v->c;
    if (key->column_count == 0) return;
    if (key->column_count > 1) {
        lc_buf list = LC_BUF_INIT;
        for (uint32_t i = 0; i < key->column_count; i++)
            lc_buf_printf(&list, "%s%s", i ? ", " : "",
                          lc_text_string_debug(c->arena, key->columns[i]));
        lc_problem_add(c->problems, LC_PROBLEM_MULTIPLE_VIEW_KEY_COLUMNS, key->view,
                       "View " LC_SPAN_FMT " has multiple primary key columns: [" LC_SPAN_FMT "]",
                       LC_SPAN_ARG(key->view), LC_SPAN_ARG(list));
        lc_buf_deinit(&list);
        return;
    }
    for (uint32_t i = 0; i < v->def->column_count; i++) {
        if (!lc_span_equal(v->def->columns[i].source_name, key->columns[0])) continue;
        v->def->primary_key = (int32_t)i;
        return;
    }
    lc_problem_add(c->problems, LC_PROBLEM_VIEW_KEY_COLUMN_NOT_FOUND, key->view,
                   "Primary key column " LC_SPAN_FMT " for view " LC_SPAN_FMT " not found",
                   LC_SPAN_ARG(key->columns[0]), LC_SPAN_ARG(key->view));
}

/* A query view without a key of its own has that of the tables whose rows it returns, when all of
 * them that have one agree. */
static void infer_key(view_check *v)
{
    const lc_raw_module *raw = v->c->raw;
    int32_t found = -1;
    for (uint32_t i = 0; i < raw->table_count; i++) {
        const lc_raw_columns *key = &raw->tables[i].primary_key;
        if (raw->tables[i].ref != v->ref || key->count != 1) continue;
        if (found >= 0 && found != key->items[0]) return;
        found = key->items[0];
    }
    if (found < v->def->column_count) v->def->primary_key = found;
}

/* View keys by the source name of their view; the first of a view counts. */
static void collect_keys(lc_check *c, lc_map *keys)
{
    lc_map views = {0};
    for (uint32_t i = 0; i < c->raw->view_count; i++)
        lc_map_put(&views, c->raw->views[i].name, &c->raw->views[i]);
    for (uint32_t i = 0; i < c->raw->view_key_count && !lc_problems_full(c->problems); i++) {
        lc_raw_view_key *key = &c->raw->view_keys[i];
        if (!lc_map_get(&views, key->view))
            lc_problem_add(c->problems, LC_PROBLEM_VIEW_KEY_VIEW_NOT_FOUND, key->view,
                           "View " LC_SPAN_FMT " referenced by primary key definition not found",
                           LC_SPAN_ARG(key->view));
        else if (lc_map_get(keys, key->view))
            lc_problem_add(c->problems, LC_PROBLEM_REPEATED_VIEW_KEY, key->view,
                           "View " LC_SPAN_FMT " has multiple primary key definitions",
                           LC_SPAN_ARG(key->view));
        else
            lc_map_put(keys, key->view, key);
    }
    lc_map_deinit(&views);
}

/* ------------------------------------------------------------------- views */

static void check_view(lc_check *c, const lc_raw_view *raw, lc_view_def *def, const lc_map *keys)
{
    view_check v = {.c = c, .raw = raw, .def = def};
    def->source_name = raw->name;
    def->name = lc_canonical_name(c, LC_RAW_EXPLICIT_FUNCTION, raw->name);
    def->is_public = raw->is_public;
    def->is_anonymous = raw->is_anonymous;
    def->primary_key = -1;
    bool named = lc_problem_identifier(c->problems, def->source_name);
    if (!lc_span_equal(def->name, def->source_name))
        named &= lc_problem_identifier(c->problems, def->name);
    if (!named) return;
    lc_claim_name(c, def->name);
    check_view_params(&v);
    if (!split_return_type(&v) || !lc_check_row_ref(c, def->name, v.ref)) return;
    check_return_use(&v);
    if (!lc_check_columns(c, def->name, v.ref, &def->columns, &def->column_count, &def->row_type))
        return;
    const lc_raw_view_key *key = lc_map_get(keys, raw->name);
    if (key) set_explicit_key(&v, key);
    if (def->primary_key < 0 && def->is_query) infer_key(&v);
}

void lc_check_views(lc_check *c)
{
    lc_module_def *m = c->module;
    m->view_count = c->raw->view_count;
    m->views = lc_arena_alloc_zero(c->arena, m->view_count * sizeof *m->views);
    lc_map keys = {0};
    collect_keys(c, &keys);
    for (uint32_t i = 0; i < m->view_count && !lc_problems_full(c->problems); i++)
        check_view(c, &c->raw->views[i], &m->views[i], &keys);
    lc_map_deinit(&keys);
}
