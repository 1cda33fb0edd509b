/*
 * A validated definition written back as SATS-JSON of RawModuleDefV9 or V10 (01 section 9.14), the
 * answer of the schema endpoint. Order: that of the definition.
 */
#include "schema/schema_internal.h"

/* ------------------------------------------------------------ small pieces */

static void put_string(lc_buf *out, lc_span text)
{
    lc_json_write_string(text, out);
}

/* ,"key": or "key": at the beginning of an object or list. */
static void put_key(lc_buf *out, const char *key)
{
    uint8_t last = out->len ? out->ptr[out->len - 1] : '{';
    lc_buf_printf(out, "%s\"%s\":", last == '{' ? "" : ",", key);
}

static void put_comma(lc_buf *out)
{
    if (out->ptr[out->len - 1] != '[') lc_buf_put_u8(out, ',');
}

static void put_text_field(lc_buf *out, const char *key, lc_span text)
{
    put_key(out, key);
    put_string(out, text);
}

static void put_number_field(lc_buf *out, const char *key, uint32_t number)
{
    put_key(out, key);
    lc_buf_printf(out, "%u", number);
}

static void put_bool_field(lc_buf *out, const char *key, bool value)
{
    put_key(out, key);
    lc_buf_put_str(out, value ? "true" : "false");
}

/* A variant without payload. */
static void put_unit_field(lc_buf *out, const char *key, const char *variant)
{
    put_key(out, key);
    lc_buf_printf(out, "{\"%s\":[]}", variant);
}

static void put_option_field(lc_buf *out, const char *key, lc_span text)
{
    put_key(out, key);
    if (text.ptr) {
        lc_buf_put_str(out, "{\"some\":");
        put_string(out, text);
        lc_buf_put_u8(out, '}');
    } else {
        lc_buf_put_str(out, "{\"none\":[]}");
    }
}

static void put_i128_option_field(lc_buf *out, const char *key, const lc_raw_i128 *v)
{
    put_key(out, key);
    if (v->given) {
        lc_buf_put_str(out, "{\"some\":");
        lc_put_i128(v->value, out);
        lc_buf_put_u8(out, '}');
    } else {
        lc_buf_put_str(out, "{\"none\":[]}");
    }
}

static void put_columns(lc_buf *out, const uint16_t *columns, uint32_t count)
{
    lc_buf_put_u8(out, '[');
    for (uint32_t i = 0; i < count; i++) lc_buf_printf(out, "%s%u", i ? "," : "", columns[i]);
    lc_buf_put_u8(out, ']');
}

static void put_hex_field(lc_buf *out, const char *key, lc_span bytes)
{
    put_key(out, key);
    lc_buf_put_u8(out, '"');
    lc_hex_encode(bytes.ptr, bytes.len, (char *)lc_buf_extend(out, 2 * bytes.len));
    lc_buf_put_u8(out, '"');
}

static void put_product_field(lc_buf *out, const char *key, const lc_type *product)
{
    put_key(out, key);
    lc_type_product_to_json(product->members, product->member_count, out);
}

static void put_type_field(lc_buf *out, const char *key, const lc_type *type)
{
    put_key(out, key);
    lc_type_to_json(type, out);
}

static const char *const lifecycle_variants[] = {"Init", "OnConnect", "OnDisconnect"};

/* ----------------------------------------------- what both versions share */

static void put_typespace(const lc_module_def *m, lc_buf *out)
{
    lc_buf_put_str(out, "{\"types\":[");
    for (uint32_t i = 0; i < m->typespace.count; i++) {
        put_comma(out);
        lc_type_to_json(m->typespace.types[i], out);
    }
    lc_buf_put_str(out, "]}");
}

/* name_key: what the version calls the name of an object. */
static void put_types(const lc_module_def *m, const char *name_key, lc_buf *out)
{
    lc_buf_put_u8(out, '[');
    for (uint32_t i = 0; i < m->type_count; i++) {
        const lc_type_def *def = &m->types[i];
        put_comma(out);
        lc_buf_put_u8(out, '{');
        put_key(out, name_key);
        lc_buf_put_str(out, "{\"scope\":[");
        for (uint32_t k = 0; k < def->scope_count; k++) {
            put_comma(out);
            put_string(out, def->scope[k]);
        }
        lc_buf_put_u8(out, ']');
        put_text_field(out, name_key, def->name);
        lc_buf_put_u8(out, '}');
        put_number_field(out, "ty", def->ref);
        put_bool_field(out, "custom_ordering", def->custom_ordering);
        lc_buf_put_u8(out, '}');
    }
    lc_buf_put_u8(out, ']');
}

static void put_index(const lc_index_def *index, const char *name_key, lc_span name, lc_buf *out)
{
    static const char *const variants[] = {"BTree", "Hash", "Direct"};
    lc_buf_put_u8(out, '{');
    put_option_field(out, name_key, name);
    put_option_field(out, "accessor_name", index->accessor_name);
    put_key(out, "algorithm");
    lc_buf_printf(out, "{\"%s\":", variants[index->algorithm]);
    if (index->algorithm == LC_INDEX_DIRECT)
        lc_buf_printf(out, "%u", index->columns[0]);
    else
        put_columns(out, index->columns, index->column_count);
    lc_buf_put_str(out, "}}");
}

static void put_sequence(const lc_sequence_def *s, const lc_raw_sequence *raw, const char *name_key,
                         lc_buf *out)
{
    lc_buf_put_u8(out, '{');
    put_option_field(out, name_key, s->name);
    put_number_field(out, "column", s->column);
    put_i128_option_field(out, "start", &raw->start);
    put_i128_option_field(out, "min_value", &raw->min_value);
    put_i128_option_field(out, "max_value", &raw->max_value);
    put_key(out, "increment");
    lc_put_i128(s->increment, out);
    lc_buf_put_u8(out, '}');
}

/* The fields from product_type_ref to sequences. */
static void put_table_parts(const lc_table_def *t, const lc_raw_table *raw, const char *name_key,
                            bool index_aliases, lc_buf *out)
{
    put_number_field(out, "product_type_ref", t->type_ref);
    put_key(out, "primary_key");
    put_columns(out, raw->primary_key.items, raw->primary_key.count);
    put_key(out, "indexes");
    lc_buf_put_u8(out, '[');
    for (uint32_t i = 0; i < t->index_count; i++) {
        put_comma(out);
        const lc_index_def *index = &t->indexes[i];
        put_index(index, name_key, index_aliases ? index->source_name : index->name, out);
    }
    lc_buf_put_u8(out, ']');
    put_key(out, "constraints");
    lc_buf_put_u8(out, '[');
    for (uint32_t i = 0; i < t->constraint_count; i++) {
        put_comma(out);
        lc_buf_put_u8(out, '{');
        put_option_field(out, name_key, t->constraints[i].name);
        put_key(out, "data");
        lc_buf_put_str(out, "{\"Unique\":{\"columns\":");
        put_columns(out, t->constraints[i].columns, t->constraints[i].column_count);
        lc_buf_put_str(out, "}}}");
    }
    lc_buf_put_u8(out, ']');
    put_key(out, "sequences");
    lc_buf_put_u8(out, '[');
    for (uint32_t i = 0; i < t->sequence_count; i++) {
        put_comma(out);
        put_sequence(&t->sequences[i], &raw->sequences[i], name_key, out);
    }
    lc_buf_put_u8(out, ']');
}

static void put_table_access(const lc_table_def *t, lc_buf *out)
{
    put_unit_field(out, "table_type", t->is_system ? "System" : "User");
    put_unit_field(out, "table_access", t->is_public ? "Public" : "Private");
}

/* The fields after the name. */
static void put_view_parts(const lc_view_def *v, const lc_raw_view *raw, lc_buf *out)
{
    put_number_field(out, "index", raw->index);
    put_bool_field(out, "is_public", v->is_public);
    put_bool_field(out, "is_anonymous", v->is_anonymous);
    put_product_field(out, "params", raw->params);
    put_type_field(out, "return_type", raw->returns);
}

static void put_row_level_security(const lc_schema *s, lc_buf *out)
{
    lc_buf_put_u8(out, '[');
    for (uint32_t i = 0; i < s->row_level_security_count; i++) {
        put_comma(out);
        lc_buf_put_u8(out, '{');
        put_text_field(out, "sql", s->row_level_security[i]);
        lc_buf_put_u8(out, '}');
    }
    lc_buf_put_u8(out, ']');
}

/* --------------------------------------------------------------- version 9 */

static void put_table_v9(const lc_table_def *t, const lc_raw_table *raw, lc_buf *out)
{
    lc_buf_put_u8(out, '{');
    put_text_field(out, "name", t->name);
    put_table_parts(t, raw, "name", false, out);
    put_key(out, "schedule");
    if (t->schedule) {
        lc_buf_put_str(out, "{\"some\":{");
        put_option_field(out, "name", t->schedule->name);
        put_text_field(out, "reducer_name", t->schedule->function_name);
        put_number_field(out, "scheduled_at_column", t->schedule->at_column);
        lc_buf_put_str(out, "}}");
    } else {
        lc_buf_put_str(out, "{\"none\":[]}");
    }
    put_table_access(t, out);
    lc_buf_put_u8(out, '}');
}

static void put_reducer_v9(const lc_function_def *f, lc_buf *out)
{
    lc_buf_put_u8(out, '{');
    put_text_field(out, "name", f->name);
    put_product_field(out, "params", f->params);
    put_key(out, "lifecycle");
    if (f->lifecycle == LC_LIFECYCLE_NONE)
        lc_buf_put_str(out, "{\"none\":[]}");
    else
        lc_buf_printf(out, "{\"some\":{\"%s\":[]}}", lifecycle_variants[f->lifecycle]);
    lc_buf_put_u8(out, '}');
}

static void put_misc_exports(const lc_module_def *m, lc_buf *out)
{
    const lc_raw_module *raw = m->raw;
    lc_buf_put_u8(out, '[');
    for (uint32_t i = 0; i < m->table_count; i++) {
        for (uint32_t k = 0; k < m->tables[i].column_count; k++) {
            if (!m->tables[i].columns[k].has_default) continue;
            put_comma(out);
            lc_buf_put_str(out, "{\"ColumnDefaultValue\":{");
            put_text_field(out, "table", m->tables[i].name);
            put_number_field(out, "col_id", k);
            put_hex_field(out, "value", m->tables[i].columns[k].default_value);
            lc_buf_put_str(out, "}}");
        }
    }
    for (uint32_t i = 0; i < m->procedure_count; i++) {
        put_comma(out);
        lc_buf_put_str(out, "{\"Procedure\":{");
        put_text_field(out, "name", m->procedures[i].name);
        put_product_field(out, "params", m->procedures[i].params);
        put_type_field(out, "return_type", m->procedures[i].return_type);
        lc_buf_put_str(out, "}}");
    }
    for (uint32_t i = 0; i < m->view_count; i++) {
        put_comma(out);
        lc_buf_put_str(out, "{\"View\":{");
        put_text_field(out, "name", m->views[i].name);
        put_view_parts(&m->views[i], &raw->views[i], out);
        lc_buf_put_str(out, "}}");
    }
    lc_buf_put_u8(out, ']');
}

static void put_v9(const lc_schema *s, lc_buf *out)
{
    const lc_module_def *m = s->root;
    const lc_raw_module *raw = m->raw;
    lc_buf_put_u8(out, '{');
    put_key(out, "typespace");
    put_typespace(m, out);
    put_key(out, "tables");
    lc_buf_put_u8(out, '[');
    for (uint32_t i = 0; i < m->table_count; i++) {
        put_comma(out);
        put_table_v9(&m->tables[i], &raw->tables[i], out);
    }
    lc_buf_put_u8(out, ']');
    put_key(out, "reducers");
    lc_buf_put_u8(out, '[');
    for (uint32_t i = 0; i < m->reducer_count; i++) {
        put_comma(out);
        put_reducer_v9(&m->reducers[i], out);
    }
    lc_buf_put_u8(out, ']');
    put_key(out, "types");
    put_types(m, "name", out);
    put_key(out, "misc_exports");
    put_misc_exports(m, out);
    put_key(out, "row_level_security");
    put_row_level_security(s, out);
    lc_buf_put_u8(out, '}');
}

/* -------------------------------------------------------------- version 10 */

/* Begins {"NAME":[ for a section that is a list. */
static void begin_section(lc_buf *out, const char *name)
{
    put_comma(out);
    lc_buf_printf(out, "{\"%s\":[", name);
}

static void end_section(lc_buf *out)
{
    lc_buf_put_str(out, "]}");
}

static void put_tables(const lc_module_def *m, lc_buf *out)
{
    const lc_raw_module *raw = m->raw;
    if (m->table_count == 0) return;
    begin_section(out, "Tables");
    for (uint32_t i = 0; i < m->table_count; i++) {
        const lc_table_def *t = &m->tables[i];
        put_comma(out);
        lc_buf_put_u8(out, '{');
        put_text_field(out, "source_name", t->source_name);
        put_table_parts(t, &raw->tables[i], "source_name", true, out);
        put_table_access(t, out);
        put_key(out, "default_values");
        lc_buf_put_u8(out, '[');
        for (uint32_t k = 0; k < t->column_count; k++) {
            if (!t->columns[k].has_default) continue;
            put_comma(out);
            lc_buf_put_u8(out, '{');
            put_number_field(out, "col_id", k);
            put_hex_field(out, "value", t->columns[k].default_value);
            lc_buf_put_u8(out, '}');
        }
        lc_buf_put_u8(out, ']');
        put_bool_field(out, "is_event", t->is_event);
        lc_buf_put_u8(out, '}');
    }
    end_section(out);
}

static void put_visibility(const lc_function_def *f, lc_buf *out)
{
    put_unit_field(out, "visibility", f->is_client_callable ? "ClientCallable" : "Private");
}

static void put_functions(const lc_module_def *m, lc_buf *out)
{
    if (m->reducer_count) {
        begin_section(out, "Reducers");
        for (uint32_t i = 0; i < m->reducer_count; i++) {
            put_comma(out);
            lc_buf_put_u8(out, '{');
            put_text_field(out, "source_name", m->reducers[i].source_name);
            put_product_field(out, "params", m->reducers[i].params);
            put_visibility(&m->reducers[i], out);
            put_type_field(out, "ok_return_type", lc_type_unit());
            put_type_field(out, "err_return_type", lc_type_scalar(LC_TYPE_STRING));
            lc_buf_put_u8(out, '}');
        }
        end_section(out);
    }
    if (m->procedure_count) {
        begin_section(out, "Procedures");
        for (uint32_t i = 0; i < m->procedure_count; i++) {
            put_comma(out);
            lc_buf_put_u8(out, '{');
            put_text_field(out, "source_name", m->procedures[i].source_name);
            put_product_field(out, "params", m->procedures[i].params);
            put_type_field(out, "return_type", m->procedures[i].return_type);
            put_visibility(&m->procedures[i], out);
            lc_buf_put_u8(out, '}');
        }
        end_section(out);
    }
}

static void put_method(const lc_raw_route *raw, lc_buf *out)
{
    put_key(out, "method");
    if (raw->method == LC_RAW_METHOD_ANY) {
        lc_buf_put_str(out, "{\"Any\":[]}");
    } else if (raw->method == LC_RAW_METHOD_EXTENSION) {
        lc_buf_put_str(out, "{\"Method\":{\"Extension\":");
        put_string(out, raw->extension);
        lc_buf_put_str(out, "}}");
    } else {
        lc_buf_printf(out, "{\"Method\":{\"%s\":[]}}", lc_raw_method_name(raw->method));
    }
}

static void put_routes(const lc_module_def *m, lc_buf *out)
{
    const lc_raw_module *raw = m->raw;
    if (m->handler_count) {
        begin_section(out, "HttpHandlers");
        for (uint32_t i = 0; i < m->handler_count; i++) {
            put_comma(out);
            lc_buf_put_u8(out, '{');
            put_text_field(out, "source_name", m->handlers[i].source_name);
            lc_buf_put_u8(out, '}');
        }
        end_section(out);
    }
    if (m->route_count) {
        begin_section(out, "HttpRoutes");
        for (uint32_t i = 0; i < m->route_count; i++) {
            put_comma(out);
            lc_buf_put_u8(out, '{');
            put_text_field(out, "handler_function", m->routes[i].handler_name);
            put_method(&raw->routes[i], out);
            put_text_field(out, "path", m->routes[i].path);
            lc_buf_put_u8(out, '}');
        }
        end_section(out);
    }
}

static bool has_view_key(const lc_view_def *v)
{
    return v->primary_key >= 0 && !v->is_query;
}

static void put_views(const lc_module_def *m, lc_buf *out)
{
    const lc_raw_module *raw = m->raw;
    if (m->view_count == 0) return;
    begin_section(out, "Views");
    uint32_t keys = 0;
    for (uint32_t i = 0; i < m->view_count; i++) {
        put_comma(out);
        lc_buf_put_u8(out, '{');
        put_text_field(out, "source_name", m->views[i].source_name);
        put_view_parts(&m->views[i], &raw->views[i], out);
        lc_buf_put_u8(out, '}');
        keys += has_view_key(&m->views[i]);
    }
    end_section(out);
    if (keys == 0) return;
    begin_section(out, "ViewPrimaryKeys");
    for (uint32_t i = 0; i < m->view_count; i++) {
        const lc_view_def *v = &m->views[i];
        if (!has_view_key(v)) continue;
        put_comma(out);
        lc_buf_put_u8(out, '{');
        put_text_field(out, "view_source_name", v->source_name);
        put_key(out, "columns");
        lc_buf_put_u8(out, '[');
        put_string(out, v->columns[v->primary_key].name);
        lc_buf_put_str(out, "]}");
    }
    end_section(out);
}

static void put_schedules(const lc_module_def *m, lc_buf *out)
{
    bool any = false;
    for (uint32_t i = 0; i < m->table_count; i++) {
        const lc_schedule_def *schedule = m->tables[i].schedule;
        if (!schedule) continue;
        if (!any) begin_section(out, "Schedules");
        any = true;
        put_comma(out);
        lc_buf_put_u8(out, '{');
        put_option_field(out, "source_name", schedule->name);
        put_text_field(out, "table_name", m->tables[i].name);
        put_number_field(out, "schedule_at_col", schedule->at_column);
        put_text_field(out, "function_name", schedule->function_name);
        lc_buf_put_u8(out, '}');
    }
    if (any) end_section(out);
}

static void put_lifecycles(const lc_module_def *m, lc_buf *out)
{
    bool any = false;
    for (int event = 0; event < LC_LIFECYCLE_NONE; event++) {
        for (uint32_t i = 0; i < m->reducer_count; i++) {
            if ((int)m->reducers[i].lifecycle != event) continue;
            if (!any) begin_section(out, "LifeCycleReducers");
            any = true;
            put_comma(out);
            lc_buf_put_u8(out, '{');
            put_unit_field(out, "lifecycle_spec", lifecycle_variants[event]);
            put_text_field(out, "function_name", m->reducers[i].name);
            lc_buf_put_u8(out, '}');
        }
    }
    if (any) end_section(out);
}

static void put_explicit_name(const char *variant, lc_span source, lc_span canonical, lc_buf *out)
{
    put_comma(out);
    lc_buf_printf(out, "{\"%s\":{", variant);
    put_text_field(out, "source_name", source);
    put_text_field(out, "canonical_name", canonical);
    lc_buf_put_str(out, "}}");
}

static void put_explicit_names(const lc_module_def *m, lc_buf *out)
{
    put_comma(out);
    lc_buf_put_str(out, "{\"ExplicitNames\":{\"entries\":[");
    for (uint32_t i = 0; i < m->table_count; i++)
        put_explicit_name("Table", m->tables[i].source_name, m->tables[i].name, out);
    for (uint32_t i = 0; i < m->reducer_count; i++)
        put_explicit_name("Function", m->reducers[i].source_name, m->reducers[i].name, out);
    for (uint32_t i = 0; i < m->procedure_count; i++)
        put_explicit_name("Function", m->procedures[i].source_name, m->procedures[i].name, out);
    for (uint32_t i = 0; i < m->view_count; i++)
        put_explicit_name("Function", m->views[i].source_name, m->views[i].name, out);
    lc_buf_put_str(out, "]}}");
}

/* row_level_security: NULL in submodules, where it has no effect. */
static void put_v10(const lc_module_def *m, const lc_schema *row_level_security, lc_buf *out)
{
    const lc_raw_module *raw = m->raw;
    lc_buf_put_str(out, "{\"sections\":[{\"Typespace\":");
    put_typespace(m, out);
    lc_buf_put_u8(out, '}');
    if (m->type_count) {
        lc_buf_put_str(out, ",{\"Types\":");
        put_types(m, "source_name", out);
        lc_buf_put_u8(out, '}');
    }
    put_tables(m, out);
    put_functions(m, out);
    put_routes(m, out);
    put_views(m, out);
    put_schedules(m, out);
    put_lifecycles(m, out);
    if (row_level_security && row_level_security->row_level_security_count) {
        lc_buf_put_str(out, ",{\"RowLevelSecurity\":");
        put_row_level_security(row_level_security, out);
        lc_buf_put_u8(out, '}');
    }
    put_explicit_names(m, out);
    if (m->submodule_count) {
        begin_section(out, "Submodules");
        for (uint32_t i = 0; i < m->submodule_count; i++) {
            put_comma(out);
            lc_buf_put_u8(out, '{');
            put_text_field(out, "namespace", raw->submodules[i].name);
            put_key(out, "module");
            put_v10(m->submodules[i], NULL, out);
            lc_buf_put_u8(out, '}');
        }
        end_section(out);
    }
    lc_buf_put_str(out, "]}");
}

void lc_schema_to_json(const lc_schema *s, uint32_t version, lc_buf *out)
{
    if (version == 9)
        put_v9(s, out);
    else
        put_v10(s->root, s, out);
}
