/*
 * A remote schema: SATS-JSON of RawModuleDefV9 (01 section 8.3), read for what can be subscribed to
 * and called.
 */
#include "cli/cli.h"

#include <stdlib.h>

enum { MAX_SHOWN = 10, MAX_PRINT_DEPTH = 16 };

static lc_span name_of(lc_span object, lc_arena *a)
{
    char *text = lc_json_string_value(lc_json_member(object, "name", NULL));
    lc_span name = lc_arena_copy(a, lc_span_of_str(text ? text : ""));
    lc_free(text);
    return name;
}

static lc_status read_typespace(lc_span json, lc_remote_schema *s, lc_error *err)
{
    const lc_type **types = NULL;
    size_t cap = 0;
    lc_status rc = LC_OK;
    lc_walk w;
    lc_walk_begin(&w, lc_json_member(json, "typespace", "types", NULL), err);
    while (rc == LC_OK && lc_walk_next(&w)) {
        types = lc_arena_grow(&s->arena, (void *)types, s->typespace.count, &cap, sizeof *types);
        rc = lc_type_from_json(w.value, &s->arena, &types[s->typespace.count], err);
        if (rc == LC_OK) s->typespace.count++;
    }
    lc_walk_end(&w);
    s->typespace.types = types;
    return rc;
}

static lc_status add_table(lc_span name, const lc_type *type, lc_remote_schema *s, lc_error *err)
{
    lc_remote_table t = {.name = name};
    lc_status rc = lc_type_inline(&s->arena, &s->typespace, type, &t.row_type, err);
    if (rc == LC_OK && t.row_type->kind != LC_TYPE_PRODUCT)
        rc = lc_error_set(err, LC_E_INVALID, "rows of `" LC_SPAN_FMT "` are no products",
                          LC_SPAN_ARG(name));
    if (rc == LC_OK) lc_vec_push(&s->tables, t);
    return rc;
}

static lc_status read_tables(lc_span json, lc_remote_schema *s, lc_error *err)
{
    lc_status rc = LC_OK;
    lc_walk w;
    for (lc_walk_begin(&w, lc_json_member(json, "tables", NULL), err);
         rc == LC_OK && lc_walk_next(&w);) {
        lc_span ref = lc_json_member(w.value, "product_type_ref", NULL);
        char *number = lc_span_to_cstr(ref);
        const lc_type *type = lc_type_new_ref(&s->arena, (uint32_t)strtoul(number, NULL, 10));
        lc_free(number);
        rc = add_table(name_of(w.value, &s->arena), type, s, err);
    }
    lc_walk_end(&w);
    return rc;
}

static lc_status add_function(lc_span json, lc_remote_functions *list, lc_remote_schema *s,
                              lc_error *err)
{
    lc_remote_function f = {.name = name_of(json, &s->arena)};
    lc_status rc =
        lc_type_product_from_json(lc_json_member(json, "params", NULL), &s->arena, &f.params, err);
    if (rc == LC_OK) lc_vec_push(list, f);
    return rc;
}

static lc_status read_reducers(lc_span json, lc_remote_schema *s, lc_error *err)
{
    lc_status rc = LC_OK;
    lc_walk w;
    for (lc_walk_begin(&w, lc_json_member(json, "reducers", NULL), err);
         rc == LC_OK && lc_walk_next(&w);)
        rc = add_function(w.value, &s->reducers, s, err);
    lc_walk_end(&w);
    return rc;
}

/* A view returns an array, or an option, of its rows. */
static lc_status add_view(lc_span json, lc_remote_schema *s, lc_error *err)
{
    const lc_type *type;
    lc_status rc =
        lc_type_from_json(lc_json_member(json, "return_type", NULL), &s->arena, &type, err);
    if (rc != LC_OK) return rc;
    if (type->kind == LC_TYPE_ARRAY)
        type = type->element;
    else if (type->special == LC_SPECIAL_OPTION)
        type = type->members[0].type;
    return add_table(name_of(json, &s->arena), type, s, err);
}

static lc_status read_exports(lc_span json, lc_remote_schema *s, lc_error *err)
{
    lc_status rc = LC_OK;
    lc_walk w;
    for (lc_walk_begin(&w, lc_json_member(json, "misc_exports", NULL), err);
         rc == LC_OK && lc_walk_next(&w);) {
        lc_span procedure = lc_json_member(w.value, "Procedure", NULL);
        lc_span view = lc_json_member(w.value, "View", NULL);
        if (procedure.ptr) rc = add_function(procedure, &s->procedures, s, err);
        if (view.ptr) rc = add_view(view, s, err);
    }
    lc_walk_end(&w);
    return rc;
}

lc_status lc_remote_schema_read(lc_span json, lc_remote_schema *out, lc_error *err)
{
    *out = (lc_remote_schema){0};
    if (read_typespace(json, out, err) != LC_OK || read_tables(json, out, err) != LC_OK ||
        read_reducers(json, out, err) != LC_OK || read_exports(json, out, err) != LC_OK ||
        err->code != LC_OK) {
        lc_error_prefix(err, "the server's schema is malformed: ");
        lc_remote_schema_deinit(out);
    }
    return err->code;
}

void lc_remote_schema_deinit(lc_remote_schema *s)
{
    lc_vec_deinit(&s->tables);
    lc_vec_deinit(&s->reducers);
    lc_vec_deinit(&s->procedures);
    lc_arena_deinit(&s->arena);
}

const lc_remote_table *lc_remote_schema_table(const lc_remote_schema *s, lc_span name)
{
    LC_VEC_EACH (t, &s->tables)
        if (lc_span_equal(t->name, name)) return t;
    return NULL;
}

const lc_remote_function *lc_remote_function_find(const lc_remote_functions *f, lc_span name)
{
    LC_VEC_EACH (it, f)
        if (lc_span_equal(it->name, name)) return it;
    return NULL;
}

/* -------------------------------------------------------------------- signature */

static void print_type(const lc_remote_schema *s, const lc_type *t, uint32_t depth, lc_buf *out);

/* `x: i32, y: i32` */
static void print_members(const lc_remote_schema *s, const lc_type *t, uint32_t depth, lc_buf *out)
{
    for (uint32_t i = 0; i < t->member_count; i++) {
        if (i) lc_buf_put_str(out, ", ");
        if (t->members[i].name.ptr)
            lc_buf_printf(out, LC_SPAN_FMT ": ", LC_SPAN_ARG(t->members[i].name));
        print_type(s, t->members[i].type, depth, out);
    }
}

static void print_generic(const lc_remote_schema *s, const char *name, const lc_type *const *parts,
                          uint32_t count, uint32_t depth, lc_buf *out)
{
    lc_buf_printf(out, "%s<", name);
    for (uint32_t i = 0; i < count; i++) {
        if (i) lc_buf_put_str(out, ", ");
        print_type(s, parts[i], depth, out);
    }
    lc_buf_put_u8(out, '>');
}

static bool print_special(const lc_remote_schema *s, const lc_type *t, uint32_t depth, lc_buf *out)
{
    static const char *const names[] = {
        [LC_SPECIAL_IDENTITY] = "Identity",   [LC_SPECIAL_CONNECTION_ID] = "ConnectionId",
        [LC_SPECIAL_TIMESTAMP] = "Timestamp", [LC_SPECIAL_DURATION] = "TimeDuration",
        [LC_SPECIAL_UUID] = "Uuid",           [LC_SPECIAL_OPTION] = "Option",
        [LC_SPECIAL_RESULT] = "Result",       [LC_SPECIAL_SCHEDULE_AT] = "ScheduleAt",
    };
    if (t->special == LC_SPECIAL_NONE) return false;
    const char *name = names[t->special];
    if (t->special == LC_SPECIAL_OPTION)
        print_generic(s, name, (const lc_type *[]){t->members[0].type}, 1, depth, out);
    else if (t->special == LC_SPECIAL_RESULT)
        print_generic(s, name, (const lc_type *[]){t->members[0].type, t->members[1].type}, 2,
                      depth, out);
    else
        lc_buf_put_str(out, name);
    return true;
}

static void print_type(const lc_remote_schema *s, const lc_type *t, uint32_t depth, lc_buf *out)
{
    static const char *const scalars[] = {
        [LC_TYPE_STRING] = "String", [LC_TYPE_BOOL] = "bool", [LC_TYPE_I8] = "i8",
        [LC_TYPE_U8] = "u8",         [LC_TYPE_I16] = "i16",   [LC_TYPE_U16] = "u16",
        [LC_TYPE_I32] = "i32",       [LC_TYPE_U32] = "u32",   [LC_TYPE_I64] = "i64",
        [LC_TYPE_U64] = "u64",       [LC_TYPE_I128] = "i128", [LC_TYPE_U128] = "u128",
        [LC_TYPE_I256] = "i256",     [LC_TYPE_U256] = "u256", [LC_TYPE_F32] = "f32",
        [LC_TYPE_F64] = "f64",
    };
    t = lc_type_resolve(&s->typespace, t);
    if (!t || depth == MAX_PRINT_DEPTH) { /* recursive types end here */
        lc_buf_put_str(out, "...");
        return;
    }
    depth++;
    if (print_special(s, t, depth, out)) return;
    switch (t->kind) {
    case LC_TYPE_ARRAY:
        print_generic(s, "Vec", &t->element, 1, depth, out);
        return;
    case LC_TYPE_PRODUCT:
    case LC_TYPE_SUM:
        lc_buf_put_str(out, t->kind == LC_TYPE_SUM ? "enum " : "");
        lc_buf_put_str(out, t->member_count ? "{ " : "{");
        print_members(s, t, depth, out);
        lc_buf_put_str(out, t->member_count ? " }" : "}");
        return;
    default:
        lc_buf_put_str(out, scalars[t->kind]);
    }
}

void lc_remote_signature_print(const lc_remote_schema *s, const lc_remote_function *f, lc_buf *out)
{
    lc_buf_printf(out, LC_SPAN_FMT "(", LC_SPAN_ARG(f->name));
    print_members(s, f->params, 0, out);
    lc_buf_put_u8(out, ')');
}

/* ----------------------------------------------------------------- near misses */

/* Insertions, deletions and exchanges that make b of a. */
static uint32_t distance(lc_span a, lc_span b)
{
    uint32_t *row = lc_alloc((b.len + 1) * sizeof *row);
    for (uint32_t k = 0; k <= b.len; k++) row[k] = k;
    for (uint32_t i = 0; i < a.len; i++) {
        uint32_t diagonal = row[0];
        row[0] = i + 1;
        for (uint32_t k = 0; k < b.len; k++) {
            uint32_t best = diagonal + (a.ptr[i] != b.ptr[k]);
            if (row[k] + 1 < best) best = row[k] + 1;
            if (row[k + 1] + 1 < best) best = row[k + 1] + 1;
            diagonal = row[k + 1];
            row[k + 1] = best;
        }
    }
    uint32_t result = row[b.len];
    lc_free(row);
    return result;
}

typedef struct candidate {
    lc_span name;
    uint32_t distance;
} candidate;

static int compare_candidates(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    if (x->distance != y->distance) return x->distance < y->distance ? -1 : 1;
    return lc_span_compare(x->name, y->name);
}

static bool print_similar(const lc_remote_functions *f, const char *kind, lc_span name, lc_buf *out)
{
    candidate best = {LC_SPAN_EMPTY, UINT32_MAX};
    LC_VEC_EACH (it, f) {
        candidate c = {it->name, distance(name, it->name)};
        if (compare_candidates(&c, &best) < 0) best = c;
    }
    if (!best.name.ptr || best.distance > name.len / 3 + 1) return false;
    lc_buf_printf(out, "\n\nA %s with a similar name exists: `" LC_SPAN_FMT "`", kind,
                  LC_SPAN_ARG(best.name));
    return true;
}

static void print_list(const lc_remote_functions *f, const char *kind, lc_span name, lc_buf *out)
{
    candidate *all = lc_alloc((f->len + 1) * sizeof *all);
    for (size_t i = 0; i < f->len; i++)
        all[i] = (candidate){f->items[i].name, distance(name, f->items[i].name)};
    qsort(all, f->len, sizeof *all, compare_candidates);
    lc_buf_printf(out, "\n\nHere are some existing %ss:", kind);
    for (size_t i = 0; i < f->len && i < MAX_SHOWN; i++)
        lc_buf_printf(out, "\n- " LC_SPAN_FMT, LC_SPAN_ARG(all[i].name));
    if (f->len > MAX_SHOWN)
        lc_buf_printf(out, "\n... (%zu %ss not shown)", f->len - MAX_SHOWN, kind);
    lc_free(all);
}

lc_status lc_remote_function_unknown(const lc_remote_schema *s, const char *name,
                                     const char *database, const char *hex, lc_error *err)
{
    lc_buf text = LC_BUF_INIT;
    lc_span wanted = lc_span_of_str(name);
    lc_buf_printf(&text,
                  "No such reducer OR procedure `%s` for database `%s` resolving to identity `%s`.",
                  name, database, hex);
    if (!print_similar(&s->reducers, "reducer", wanted, &text) &&
        !print_similar(&s->procedures, "procedure", wanted, &text)) {
        if (s->reducers.len)
            print_list(&s->reducers, "reducer", wanted, &text);
        else
            lc_buf_put_str(&text, "\n\nThe database has no reducers.");
        if (s->procedures.len) print_list(&s->procedures, "procedure", wanted, &text);
    }
    lc_error_set(err, LC_E_NOT_FOUND, LC_SPAN_FMT, LC_SPAN_ARG(lc_buf_span(&text)));
    lc_buf_deinit(&text);
    return LC_E_NOT_FOUND;
}
