/* Decoding of RawModuleDef: V9 (01 section 8.3) and V10 (8.2) into lc_raw_module. */
#include "schema/raw.h"

typedef struct decoder {
    lc_reader r;
    lc_arena *arena;
    uint32_t depth; /* of submodules */
} decoder;

/* A list: its count, then items as long as there are bytes for them. The count is only a claim, so
 * the array grows with what was really read. */
#define READ_LIST(d, items, count, read_item)                                                      \
    do {                                                                                           \
        uint32_t claimed_ = lc_read_u32(&(d)->r);                                                  \
        size_t cap_ = 0;                                                                           \
        __typeof__(items) list_ = NULL;                                                            \
        uint32_t n_ = 0;                                                                           \
        while (n_ < claimed_ && !(d)->r.failed) {                                                  \
            list_ = lc_arena_grow((d)->arena, list_, n_, &cap_, sizeof *list_);                    \
            memset(&list_[n_], 0, sizeof *list_);                                                  \
            read_item(d, &list_[n_++]);                                                            \
        }                                                                                          \
        (items) = list_;                                                                           \
        (count) = n_;                                                                              \
    } while (0)

/* ------------------------------------------------------------ small pieces */

static lc_span read_optional_name(decoder *d)
{
    return lc_read_option(&d->r) ? lc_read_string(&d->r) : LC_SPAN_EMPTY;
}

static lc_i128 read_i128(decoder *d)
{
    lc_reader *r = &d->r;
    size_t left = (size_t)(r->end - r->at);
    if (!r->failed && left < 16)
        lc_read_fail(r, "data too short for i128: Expected 16, given %zu", left);
    lc_i128 v;
    v.lo = lc_read_u64(r);
    v.hi = (int64_t)lc_read_u64(r);
    return v;
}

static lc_raw_i128 read_optional_i128(decoder *d)
{
    lc_raw_i128 v = {.given = lc_read_option(&d->r)};
    if (v.given) v.value = read_i128(d);
    return v;
}

static void read_column(decoder *d, uint16_t *column)
{
    *column = lc_read_u16(&d->r);
}

static lc_raw_columns read_columns(decoder *d)
{
    lc_raw_columns list;
    READ_LIST(d, list.items, list.count, read_column);
    return list;
}

static void read_name(decoder *d, lc_span *name)
{
    *name = lc_read_string(&d->r);
}

static void read_type(decoder *d, const lc_type **type)
{
    *type = lc_read_type(&d->r, d->arena);
}

static void read_typespace(decoder *d, lc_raw_module *m)
{
    const lc_type **types;
    READ_LIST(d, types, m->typespace.count, read_type);
    m->typespace.types = types;
}

static void read_type_def(decoder *d, lc_raw_type_def *t)
{
    READ_LIST(d, t->scope, t->scope_count, read_name);
    t->name = lc_read_string(&d->r);
    t->ref = lc_read_u32(&d->r);
    t->custom_ordering = lc_read_bool(&d->r);
}

/* ------------------------------------------------------------------ tables */

static void read_index(decoder *d, lc_raw_index *i)
{
    i->name = read_optional_name(d);
    i->accessor_name = read_optional_name(d);
    i->algorithm = (lc_index_algorithm)lc_read_tag(&d->r, 3, "RawIndexAlgorithm");
    if (d->r.failed) return;
    if (i->algorithm == LC_INDEX_DIRECT) {
        i->columns.items = lc_arena_alloc(d->arena, sizeof *i->columns.items);
        i->columns.items[0] = lc_read_u16(&d->r);
        i->columns.count = 1;
    } else {
        i->columns = read_columns(d);
    }
}

static void read_constraint(decoder *d, lc_raw_constraint *c)
{
    c->name = read_optional_name(d);
    lc_read_tag(&d->r, 1, "RawConstraintData");
    c->columns = read_columns(d);
}

static void read_sequence(decoder *d, lc_raw_sequence *s)
{
    s->name = read_optional_name(d);
    s->column = lc_read_u16(&d->r);
    s->start = read_optional_i128(d);
    s->min_value = read_optional_i128(d);
    s->max_value = read_optional_i128(d);
    s->increment = read_i128(d);
}

/* What V9 and V10 tables begin with. */
static void read_table_parts(decoder *d, lc_raw_table *t)
{
    t->name = lc_read_string(&d->r);
    t->ref = lc_read_u32(&d->r);
    t->primary_key = read_columns(d);
    READ_LIST(d, t->indexes, t->index_count, read_index);
    READ_LIST(d, t->constraints, t->constraint_count, read_constraint);
    READ_LIST(d, t->sequences, t->sequence_count, read_sequence);
}

static void read_table_access(decoder *d, lc_raw_table *t)
{
    t->is_system = lc_read_tag(&d->r, 2, "TableType") == 0;
    t->is_private = lc_read_tag(&d->r, 2, "TableAccess") == 1;
}

static void read_default(decoder *d, lc_raw_default *v)
{
    v->column = lc_read_u16(&d->r);
    v->value = lc_read_bytes(&d->r);
}

static void read_table_v10(decoder *d, lc_raw_table *t)
{
    read_table_parts(d, t);
    read_table_access(d, t);
    READ_LIST(d, t->defaults, t->default_count, read_default);
    t->is_event = lc_read_bool(&d->r);
}

static void read_table_v9(decoder *d, lc_raw_table *t)
{
    read_table_parts(d, t);
    if (lc_read_option(&d->r)) {
        t->schedule = lc_arena_alloc_zero(d->arena, sizeof *t->schedule);
        t->schedule->name = read_optional_name(d);
        t->schedule->function = lc_read_string(&d->r);
        t->schedule->at_column = lc_read_u16(&d->r);
        t->schedule->table = t->name;
    }
    read_table_access(d, t);
}

/* --------------------------------------------------------------- functions */

static bool read_is_private(decoder *d)
{
    return lc_read_tag(&d->r, 2, "FunctionVisibility") == 0;
}

static void read_reducer_v10(decoder *d, lc_raw_function *f)
{
    f->name = lc_read_string(&d->r);
    f->params = lc_read_product_type(&d->r, d->arena);
    f->is_private = read_is_private(d);
    f->ok = lc_read_type(&d->r, d->arena);
    f->err = lc_read_type(&d->r, d->arena);
    f->lifecycle = LC_LIFECYCLE_NONE;
}

static void read_reducer_v9(decoder *d, lc_raw_function *f)
{
    f->name = lc_read_string(&d->r);
    f->params = lc_read_product_type(&d->r, d->arena);
    f->lifecycle = LC_LIFECYCLE_NONE;
    if (lc_read_option(&d->r)) f->lifecycle = (lc_lifecycle)lc_read_tag(&d->r, 3, "Lifecycle");
}

/* What V9 and V10 procedures begin with. */
static void read_procedure_parts(decoder *d, lc_raw_function *f)
{
    f->name = lc_read_string(&d->r);
    f->params = lc_read_product_type(&d->r, d->arena);
    f->returns = lc_read_type(&d->r, d->arena);
    f->lifecycle = LC_LIFECYCLE_NONE;
}

static void read_procedure_v10(decoder *d, lc_raw_function *f)
{
    read_procedure_parts(d, f);
    f->is_private = read_is_private(d);
}

static void read_view(decoder *d, lc_raw_view *v)
{
    v->name = lc_read_string(&d->r);
    v->index = lc_read_u32(&d->r);
    v->is_public = lc_read_bool(&d->r);
    v->is_anonymous = lc_read_bool(&d->r);
    v->params = lc_read_product_type(&d->r, d->arena);
    v->returns = lc_read_type(&d->r, d->arena);
}

static void read_schedule(decoder *d, lc_raw_schedule *s)
{
    s->name = read_optional_name(d);
    s->table = lc_read_string(&d->r);
    s->at_column = lc_read_u16(&d->r);
    s->function = lc_read_string(&d->r);
}

static void read_lifecycle(decoder *d, lc_raw_lifecycle *l)
{
    l->event = (lc_lifecycle)lc_read_tag(&d->r, 3, "Lifecycle");
    l->function = lc_read_string(&d->r);
}

static void read_explicit(decoder *d, lc_raw_explicit *e)
{
    e->kind = (lc_raw_explicit_kind)lc_read_tag(&d->r, 3, "ExplicitNameEntry");
    e->source = lc_read_string(&d->r);
    e->canonical = lc_read_string(&d->r);
}

const char *lc_raw_method_name(uint8_t method)
{
    static const char *const names[] = {"Get",     "Head",    "Post",  "Put",  "Delete",
                                        "Connect", "Options", "Trace", "Patch"};
    return names[method];
}

static void read_route(decoder *d, lc_raw_route *r)
{
    r->handler = lc_read_string(&d->r);
    r->method = LC_RAW_METHOD_ANY;
    if (lc_read_tag(&d->r, 2, "MethodOrAny") == 1) {
        r->method = lc_read_tag(&d->r, LC_RAW_METHOD_EXTENSION + 1, "HttpMethod");
        if (r->method == LC_RAW_METHOD_EXTENSION) r->extension = lc_read_string(&d->r);
    }
    r->path = lc_read_string(&d->r);
}

static void read_view_key(decoder *d, lc_raw_view_key *k)
{
    k->view = lc_read_string(&d->r);
    READ_LIST(d, k->columns, k->column_count, read_name);
}

/* --------------------------------------------------------------- version 10 */

static void read_module_v10(decoder *d, lc_raw_module *m);

static void read_submodule(decoder *d, lc_raw_submodule *s)
{
    s->name = lc_read_string(&d->r);
    if (d->depth >= LC_SCHEMA_MAX_MODULE_DEPTH) {
        lc_read_fail(&d->r, "submodules nest deeper than LC_SCHEMA_MAX_MODULE_DEPTH (%d)",
                     LC_SCHEMA_MAX_MODULE_DEPTH);
        return;
    }
    lc_raw_module *m = lc_arena_alloc_zero(d->arena, sizeof *m);
    d->depth++;
    read_module_v10(d, m);
    d->depth--;
    s->module = m;
}

enum { SECTION_COUNT = 15 };

/* Reads the payload of a section into m. */
static void read_section(decoder *d, uint8_t tag, lc_raw_module *m)
{
    switch (tag) {
    case 0:
        read_typespace(d, m);
        break;
    case 1:
        READ_LIST(d, m->types, m->type_count, read_type_def);
        break;
    case 2:
        READ_LIST(d, m->tables, m->table_count, read_table_v10);
        break;
    case 3:
        READ_LIST(d, m->reducers, m->reducer_count, read_reducer_v10);
        break;
    case 4:
        READ_LIST(d, m->procedures, m->procedure_count, read_procedure_v10);
        break;
    case 5:
        READ_LIST(d, m->views, m->view_count, read_view);
        break;
    case 6:
        READ_LIST(d, m->schedules, m->schedule_count, read_schedule);
        break;
    case 7:
        READ_LIST(d, m->lifecycles, m->lifecycle_count, read_lifecycle);
        break;
    case 8:
        READ_LIST(d, m->row_level_security, m->row_level_security_count, read_name);
        break;
    case 9:
        m->snake_case = lc_read_tag(&d->r, 2, "CaseConversionPolicy") == 1;
        break;
    case 10:
        READ_LIST(d, m->explicit_names, m->explicit_name_count, read_explicit);
        break;
    case 11:
        READ_LIST(d, m->handlers, m->handler_count, read_name);
        break;
    case 12:
        READ_LIST(d, m->routes, m->route_count, read_route);
        break;
    case 13:
        READ_LIST(d, m->view_keys, m->view_key_count, read_view_key);
        break;
    case 14:
        READ_LIST(d, m->submodules, m->submodule_count, read_submodule);
        break;
    default:
        LC_BUG("section %u", tag);
    }
}

static void read_module_v10(decoder *d, lc_raw_module *m)
{
    m->version = 10;
    m->snake_case = true; /* unless the section says otherwise */
    bool seen[SECTION_COUNT] = {false};
    uint32_t count = lc_read_u32(&d->r);
    for (uint32_t i = 0; i < count && !d->r.failed; i++) {
        uint8_t tag = lc_read_tag(&d->r, SECTION_COUNT, "RawModuleDefV10Section");
        if (d->r.failed) return;
        /* The first section of a kind counts; later ones are only passed over. */
        lc_raw_module repeated;
        read_section(d, tag, seen[tag] ? &repeated : m);
        seen[tag] = true;
    }
}

/* ---------------------------------------------------------------- version 9 */

/* MiscExportV9: one list of three kinds, sorted into the module's lists. */
static void read_misc_exports(decoder *d, lc_raw_module *m)
{
    size_t default_cap = 0, procedure_cap = 0, view_cap = 0;
    uint32_t count = lc_read_u32(&d->r);
    for (uint32_t i = 0; i < count && !d->r.failed; i++) {
        uint8_t tag = lc_read_tag(&d->r, 3, "RawMiscModuleExportV9");
        if (d->r.failed) return;
        if (tag == 0) {
            m->defaults = lc_arena_grow(d->arena, m->defaults, m->default_count, &default_cap,
                                        sizeof *m->defaults);
            lc_raw_default *v = &m->defaults[m->default_count++];
            v->table = lc_read_string(&d->r);
            read_default(d, v);
        } else if (tag == 1) {
            m->procedures = lc_arena_grow(d->arena, m->procedures, m->procedure_count,
                                          &procedure_cap, sizeof *m->procedures);
            lc_raw_function *f = &m->procedures[m->procedure_count++];
            memset(f, 0, sizeof *f);
            read_procedure_parts(d, f);
        } else {
            m->views =
                lc_arena_grow(d->arena, m->views, m->view_count, &view_cap, sizeof *m->views);
            read_view(d, &m->views[m->view_count++]);
        }
    }
}

static void read_module_v9(decoder *d, lc_raw_module *m)
{
    m->version = 9;
    read_typespace(d, m);
    READ_LIST(d, m->tables, m->table_count, read_table_v9);
    READ_LIST(d, m->reducers, m->reducer_count, read_reducer_v9);
    READ_LIST(d, m->types, m->type_count, read_type_def);
    read_misc_exports(d, m);
    READ_LIST(d, m->row_level_security, m->row_level_security_count, read_name);
}

/* -------------------------------------------------------------------- door */

lc_status lc_raw_decode(lc_span in, lc_arena *a, const lc_raw_module **out, lc_error *err)
{
    lc_error own = LC_ERROR_INIT;
    decoder d = {.r = lc_reader_of(in, &own), .arena = a};
    lc_raw_module *m = lc_arena_alloc_zero(a, sizeof *m);
    uint8_t tag = lc_read_tag(&d.r, 3, "RawModuleDef");
    if (!d.r.failed) {
        if (tag == 0)
            lc_read_fail(&d.r, "this server does not read definitions of version 8 "
                               "(RawModuleDef::V8BackCompat); build the module again with "
                               "bindings that write version 9 or 10");
        else if (tag == 1)
            read_module_v9(&d, m);
        else
            read_module_v10(&d, m);
    }
    lc_status st = LC_OK;
    if (d.r.failed) {
        st = own.code;
        lc_error_set(err, st, "%s", lc_error_text(&own));
        lc_error_clear(&own);
    } else {
        *out = m;
    }
    return st;
}
