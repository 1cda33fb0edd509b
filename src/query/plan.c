/* From a statement to a plan: binding each kind of statement, and what a plan tells about itself.
 */
#include "query/plan_internal.h"

/* ----------------------------------------------------------------- helpers */

static lc_status denied(const lc_scope *s)
{
    char hex[LC_IDENTITY_HEX + 1];
    lc_identity_to_hex(&s->caller->identity, hex);
    return lc_error_set(s->err, LC_E_DENIED,
                        "Caller %s is not authorized to run SQL DML statements", hex);
}

static lc_source source_of(lc_table *t, lc_span alias)
{
    return (lc_source){
        .table = t,
        .table_id = lc_table_id(t),
        .alias = alias,
        .hidden = lc_table_is_view(t) ? 1 : 0,
    };
}

/* The AND chain of a WHERE as a list: chains lean left, but right operands may be chains, too. */
static uint32_t collect_conjuncts(lc_bound_expr *e, lc_bound_expr **out)
{
    uint32_t n = 0;
    LC_VEC(lc_bound_expr *) right = {0};
    while (e) {
        while (e->kind == LC_BOUND_AND) {
            lc_vec_push(&right, e->right);
            e = e->left;
        }
        bool is_true = e->kind == LC_BOUND_VALUE && e->value.ptr[0];
        if (!is_true) {
            if (out) out[n] = e;
            n++;
        }
        e = right.len ? right.items[--right.len] : NULL;
    }
    lc_vec_deinit(&right);
    return n;
}

void lc_plan_split_where(lc_plan *p)
{
    p->conjunct_count = collect_conjuncts(p->where, NULL);
    p->conjuncts = lc_arena_alloc(&p->arena, p->conjunct_count * sizeof *p->conjuncts);
    collect_conjuncts(p->where, p->conjuncts);
}

/* Types the WHERE, picks the access path and compiles what it leaves open. Single-table plans. */
static lc_status bind_where(lc_plan *p, lc_scope *s, const lc_sql_expr *where)
{
    if (where) {
        p->where = lc_bind_expr(s, where, lc_type_scalar(LC_TYPE_BOOL));
        if (!p->where) return s->err->code;
    }
    return LC_OK;
}

static void compile_where(lc_plan *p)
{
    p->full.entry = p->residual.entry = LC_ACCEPT;
    if (!p->where) return;
    lc_plan_split_where(p);
    uint32_t all = p->conjunct_count, open = 0;
    lc_table *t = p->sources[0].table;
    bool few[32], *used = all <= LC_ARRAY_LEN(few) ? few : lc_alloc(all * sizeof *used);
    lc_access_choose(&p->access, &p->arena, t, p->conjuncts, all, used);
    lc_predicate_compile(&p->full, &p->arena, lc_table_layout(t), p->conjuncts, all);
    /* those the access path leaves open go first, so that they are an array of their own */
    for (uint32_t i = 0; i < all; i++) {
        if (used[i]) continue;
        lc_bound_expr *e = p->conjuncts[i];
        p->conjuncts[i] = p->conjuncts[open];
        p->conjuncts[open] = e;
        used[i] = used[open];
        used[open++] = false;
    }
    if (open == all)
        p->residual = p->full;
    else
        lc_predicate_compile(&p->residual, &p->arena, lc_table_layout(t), p->conjuncts, open);
    if (used != few) lc_free(used);
}

static lc_status unsupported_view(const lc_scope *s, const lc_table *t)
{
    return lc_error_set(s->err, LC_E_UNSUPPORTED, "not supported: views (`" LC_SPAN_FMT "`)",
                        LC_SPAN_ARG(lc_table_name(t)));
}

/* ------------------------------------------------------------------ SELECT */

/* Rules are not applied yet, so others than the owner see nothing of a table that has one. */
static lc_status check_rules(const lc_scope *s, const lc_table *t)
{
    if (s->caller->is_owner || !lc_table_has_rule(t)) return LC_OK;
    return lc_error_set(s->err, LC_E_UNSUPPORTED,
                        "not supported: row-level security (`" LC_SPAN_FMT "`)",
                        LC_SPAN_ARG(lc_table_name(t)));
}

static lc_status bind_tables(lc_plan *p, lc_scope *s, const lc_sql_select *q)
{
    p->sources = s->sources = lc_arena_alloc(&p->arena, q->table_count * sizeof *s->sources);
    for (uint32_t i = 0; i < q->table_count; i++) {
        const lc_sql_table *ref = &q->tables[i];
        lc_table *t = lc_scope_table(s, ref->name->full);
        if (!t || check_rules(s, t) != LC_OK) return s->err->code;
        lc_span alias =
            lc_arena_copy(&p->arena, ref->alias.value.ptr ? ref->alias.value : ref->name->full);
        for (uint32_t k = 0; k < i; k++)
            if (lc_span_equal(s->sources[k].alias, alias))
                return lc_error_set(s->err, LC_E_INVALID, "Duplicate name `" LC_SPAN_FMT "`",
                                    LC_SPAN_ARG(alias));
        s->sources[i] = source_of(t, alias);
        p->source_count = s->count = i + 1;
        if (ref->on && !lc_bind_expr(s, ref->on, lc_type_scalar(LC_TYPE_BOOL))) return s->err->code;
    }
    return LC_OK;
}

static void output_column(lc_plan *p, uint32_t source, uint32_t column, lc_span name)
{
    const lc_layout *layout = lc_table_layout(p->sources[source].table);
    const lc_type *type = lc_layout_column_type(layout, column);
    p->outputs[p->output_count++] = (lc_output){
        .name = lc_arena_copy(&p->arena, name),
        .type = type,
        .source = source,
        .column = column,
        .offset = lc_layout_column_offset(layout, column),
        .size = type->fixed_size,
    };
}

static void output_all(lc_plan *p, uint32_t source)
{
    p->is_whole_row = true;
    p->whole_source = source;
    p->output_count = lc_table_column_count(p->sources[source].table) - p->sources[source].hidden;
}

static lc_status bind_items(lc_plan *p, lc_scope *s, const lc_sql_select *q)
{
    const lc_sql_item *first = &q->items[0];
    if (first->kind == LC_ITEM_STAR) {
        if (s->count > 1)
            return lc_error_set(s->err, LC_E_INVALID, "SELECT * is not supported for joins");
        output_all(p, 0);
        return LC_OK;
    }
    if (first->kind == LC_ITEM_TABLE_STAR) {
        for (uint32_t i = 0; i < s->count; i++) {
            if (!lc_span_equal(s->sources[i].alias, first->name->full)) continue;
            output_all(p, i);
            return LC_OK;
        }
        return lc_error_set(s->err, LC_E_INVALID, "`" LC_SPAN_FMT "` is not in scope",
                            LC_SPAN_ARG(first->name->full));
    }
    p->outputs = lc_arena_alloc(&p->arena, q->item_count * sizeof *p->outputs);
    if (first->expr->kind == LC_EXPR_FUNCTION) {
        p->is_count = true;
        p->outputs[p->output_count++] = (lc_output){
            .name = lc_arena_copy(&p->arena, first->alias.value),
            .type = lc_type_scalar(LC_TYPE_U64),
        };
        return LC_OK;
    }
    for (uint32_t i = 0; i < q->item_count; i++) {
        const lc_sql_item *item = &q->items[i];
        uint32_t source, column;
        lc_span name = item->alias.value.ptr ? item->alias.value : item->expr->name->last;
        for (uint32_t k = 0; k < p->output_count; k++)
            if (lc_span_equal(p->outputs[k].name, name))
                return lc_error_set(s->err, LC_E_INVALID, "Duplicate name `" LC_SPAN_FMT "`",
                                    LC_SPAN_ARG(name));
        if (!lc_scope_column(s, item->expr->name, &source, &column)) return s->err->code;
        output_column(p, source, column, name);
    }
    return LC_OK;
}

static lc_status bind_limit(lc_plan *p, lc_scope *s, const lc_sql_query *q)
{
    if (!q->limit) return LC_OK;
    lc_span value;
    if (!lc_bind_value(s, q->limit, lc_type_scalar(LC_TYPE_U64), &value)) return s->err->code;
    p->has_limit = true;
    p->limit = lc_load_u64(value.ptr);
    return LC_OK;
}

static void make_row_type(lc_plan *p)
{
    if (p->is_whole_row) {
        p->row_type = lc_table_row_type(p->sources[0].table);
        return;
    }
    lc_type_member *members = lc_arena_alloc(&p->arena, p->output_count * sizeof *members);
    for (uint32_t i = 0; i < p->output_count; i++)
        members[i] = (lc_type_member){p->outputs[i].name, p->outputs[i].type};
    p->row_type = lc_type_new_product(&p->arena, members, p->output_count);
}

static lc_status bind_select(lc_plan *p, lc_scope *s, const lc_sql_query *q, lc_dialect dialect)
{
    p->kind = LC_PLAN_SELECT;
    lc_status st = bind_tables(p, s, q->select);
    if (!st) st = bind_where(p, s, q->select->where);
    if (!st) st = bind_items(p, s, q->select);
    if (!st) st = bind_limit(p, s, q);
    if (st) return st;
    if (dialect != LC_DIALECT_AD_HOC && q->select->items[0].kind == LC_ITEM_EXPR)
        return lc_error_set(
            s->err, LC_E_INVALID,
            "Column projections are not supported in subscriptions; Subscriptions must "
            "return a table type");
    if (dialect == LC_DIALECT_RULE) return LC_OK;
    if (s->count > 1) return lc_join_check(p, s, q->select, dialect);
    if (lc_table_is_view(p->sources[0].table)) return unsupported_view(s, p->sources[0].table);
    compile_where(p);
    make_row_type(p);
    return LC_OK;
}

/* --------------------------------------------------------------------- DML */

static lc_status bind_target(lc_plan *p, lc_scope *s, const lc_sql_name *name)
{
    lc_table *t = lc_scope_table(s, name->full);
    if (!t) return s->err->code;
    if (lc_table_is_view(t))
        return lc_error_set(s->err, LC_E_INVALID,
                            "`" LC_SPAN_FMT "` is a view; DML on views is not supported",
                            LC_SPAN_ARG(name->full));
    p->sources = s->sources = lc_arena_alloc(&p->arena, sizeof *s->sources);
    s->sources[0] = source_of(t, lc_arena_copy(&p->arena, name->full));
    p->source_count = s->count = 1;
    return LC_OK;
}

/* Where the i-th listed value goes. Names that are all the table's columns in some order are
 * honoured, any other list means positions. */
static uint32_t *insert_order(lc_plan *p, const lc_sql_statement *q, const lc_table *t)
{
    uint32_t n = q->column_count;
    uint32_t *order = lc_arena_alloc(&p->arena, n * sizeof *order);
    bool *seen = lc_arena_alloc_zero(&p->arena, n);
    for (uint32_t i = 0; i < n; i++) {
        int32_t column = lc_table_find_column(t, q->columns[i]);
        if (column < 0 || seen[column]) {
            for (uint32_t k = 0; k < n; k++) order[k] = k;
            break;
        }
        seen[column] = true;
        order[i] = (uint32_t)column;
    }
    return order;
}

static lc_status bind_insert(lc_plan *p, lc_scope *s, const lc_sql_statement *q)
{
    p->kind = LC_PLAN_INSERT;
    lc_status st = bind_target(p, s, q->table);
    if (st) return st;
    lc_table *t = p->sources[0].table;
    uint32_t columns = lc_table_column_count(t);
    if (q->column_count != columns)
        return lc_error_set(
            s->err, LC_E_INVALID,
            "The number of fields (%u) in the INSERT does not match the number of columns "
            "(%u) of the table `" LC_SPAN_FMT "`",
            q->column_count, columns, LC_SPAN_ARG(q->table->full));
    const uint32_t *order = insert_order(p, q, t);
    lc_span *values = lc_arena_alloc(&p->arena, columns * sizeof *values);
    lc_sql_expr **next = q->query->rows;
    p->rows = lc_arena_alloc(&p->arena, q->query->row_count * sizeof *p->rows);
    for (uint32_t r = 0; r < q->query->row_count; r++) {
        uint32_t size = q->query->row_sizes[r];
        if (size != columns)
            return lc_error_set(s->err, LC_E_INVALID,
                                "Inserting a row with %u values into `" LC_SPAN_FMT
                                "` which has %u fields",
                                size, LC_SPAN_ARG(q->table->full), columns);
        for (uint32_t i = 0; i < columns; i++) {
            const lc_type *type = lc_layout_column_type(lc_table_layout(t), order[i]);
            if (!lc_bind_value(s, *next++, type, &values[order[i]])) return s->err->code;
        }
        lc_buf row = LC_BUF_INIT;
        for (uint32_t i = 0; i < columns; i++) lc_buf_put_span(&row, values[i]);
        p->rows[p->row_count++] = lc_arena_copy(&p->arena, lc_buf_span(&row));
        lc_buf_deinit(&row);
    }
    return LC_OK;
}

static lc_status bind_update(lc_plan *p, lc_scope *s, const lc_sql_statement *q)
{
    p->kind = LC_PLAN_UPDATE;
    lc_status st = bind_target(p, s, q->table);
    if (st) return st;
    lc_table *t = p->sources[0].table;
    uint32_t columns = lc_table_column_count(t);
    p->values = lc_arena_alloc_zero(&p->arena, columns * sizeof *p->values);
    for (uint32_t i = 0; i < q->assignment_count; i++) {
        const lc_sql_assignment *a = &q->assignments[i];
        int32_t column = lc_table_find_column(t, a->column);
        if (column < 0)
            return lc_error_set(s->err, LC_E_INVALID,
                                "`" LC_SPAN_FMT "` does not have a field `" LC_SPAN_FMT "`",
                                LC_SPAN_ARG(q->table->full), LC_SPAN_ARG(a->column));
        const lc_type *type = lc_layout_column_type(lc_table_layout(t), (uint32_t)column);
        lc_span value;
        if (!lc_bind_value(s, a->value, type, &value)) return s->err->code;
        if (!p->values[column].ptr) p->values[column] = value; /* the first assignment wins */
    }
    st = bind_where(p, s, q->where);
    if (!st) compile_where(p);
    return st;
}

static lc_status bind_delete(lc_plan *p, lc_scope *s, const lc_sql_statement *q)
{
    p->kind = LC_PLAN_DELETE;
    lc_status st = bind_target(p, s, q->table);
    if (!st) st = bind_where(p, s, q->where);
    if (!st) compile_where(p);
    return st;
}

/* --------------------------------------------------------------- SET, SHOW */

static lc_status check_variable(const lc_scope *s, lc_span name)
{
    if (lc_span_equal_str(name, "row_limit")) return LC_OK;
    return lc_error_set(s->err, LC_E_INVALID, LC_SPAN_FMT " is not a valid system variable",
                        LC_SPAN_ARG(name));
}

static lc_status bind_set(lc_plan *p, lc_scope *s, const lc_sql_statement *q)
{
    const lc_type *u64 = lc_type_scalar(LC_TYPE_U64);
    p->kind = LC_PLAN_SET;
    lc_status st = check_variable(s, q->variable);
    if (st) return st;
    if (q->value->kind == LC_EXPR_HEX) return lc_bind_unexpected(s->err, u64, lc_type_bytes());
    if (q->value->kind == LC_EXPR_BOOL)
        return lc_bind_unexpected(s->err, u64, lc_type_scalar(LC_TYPE_BOOL));
    if (q->value->kind == LC_EXPR_STRING)
        return lc_bind_unexpected(s->err, u64, lc_type_scalar(LC_TYPE_STRING));
    lc_span value;
    if (!lc_bind_value(s, q->value, u64, &value)) return s->err->code;
    p->row_limit = lc_load_u64(value.ptr);
    return LC_OK;
}

static const struct {
    const char *name;
    lc_type_kind kind;
} variable_kinds[] = {
    {"Bool", LC_TYPE_BOOL}, {"I8", LC_TYPE_I8},         {"U8", LC_TYPE_U8},
    {"I16", LC_TYPE_I16},   {"U16", LC_TYPE_U16},       {"I32", LC_TYPE_I32},
    {"U32", LC_TYPE_U32},   {"I64", LC_TYPE_I64},       {"U64", LC_TYPE_U64},
    {"I128", LC_TYPE_I128}, {"U128", LC_TYPE_U128},     {"F32", LC_TYPE_F32},
    {"F64", LC_TYPE_F64},   {"String", LC_TYPE_STRING},
};

static lc_status bind_show(lc_plan *p, lc_scope *s, const lc_sql_statement *q)
{
    lc_status st = check_variable(s, q->variable);
    if (st) return st;
    lc_type_member members[LC_ARRAY_LEN(variable_kinds)];
    for (size_t i = 0; i < LC_ARRAY_LEN(variable_kinds); i++)
        members[i] = (lc_type_member){lc_span_of_str(variable_kinds[i].name),
                                      lc_type_scalar(variable_kinds[i].kind)};
    p->kind = LC_PLAN_SHOW;
    p->outputs = lc_arena_alloc(&p->arena, sizeof *p->outputs);
    p->outputs[0] = (lc_output){
        .name = LC_STR("value"),
        .type = lc_type_new_sum(&p->arena, members, LC_ARRAY_LEN(variable_kinds)),
    };
    p->output_count = 1;
    make_row_type(p);
    return LC_OK;
}

/* ------------------------------------------------------------------ create */

static lc_status check_length(lc_span sql, lc_error *err)
{
    if (sql.len <= LC_SQL_MAX_BYTES) return LC_OK;
    size_t end = 0;
    for (uint32_t chars = 0; end < sql.len; end++)
        if ((sql.ptr[end] & 0xc0) != 0x80 && chars++ == 120) break;
    return lc_error_set(err, LC_E_LIMIT,
                        "SQL query exceeds maximum allowed length: \"" LC_SPAN_FMT "...\"",
                        LC_SPAN_ARG(LC_SPAN(sql.ptr, end)));
}

static bool is_blank(lc_span sql)
{
    for (size_t i = 0; i < sql.len; i++)
        if (sql.ptr[i] != ' ' && !(sql.ptr[i] >= '\t' && sql.ptr[i] <= '\r')) return false;
    return true;
}

static lc_status bind_statement(lc_plan *p, lc_scope *s, const lc_sql_statement *q,
                                lc_dialect dialect)
{
    switch (q->kind) {
    case LC_SQL_QUERY:
        return bind_select(p, s, q->query, dialect);
    case LC_SQL_INSERT:
        return bind_insert(p, s, q);
    case LC_SQL_UPDATE:
        return bind_update(p, s, q);
    case LC_SQL_DELETE:
        return bind_delete(p, s, q);
    case LC_SQL_SET:
        return bind_set(p, s, q);
    case LC_SQL_SHOW:
        return bind_show(p, s, q);
    case LC_SQL_OTHER:
        break;
    }
    LC_BUG("statement was not checked");
}

lc_status lc_plan_create(lc_store *s, lc_span sql, lc_dialect dialect, const lc_caller *caller,
                         lc_plan **out, lc_error *err)
{
    lc_error own = LC_ERROR_INIT;
    if (!err) err = &own;
    *out = NULL;
    lc_plan *p = NULL;
    _Alignas(16) uint8_t scratch[6000]; /* enough for the syntax of most statements */
    lc_arena syntax = {.at = scratch, .end = scratch + sizeof scratch};
    lc_sql_statement statement;
    uint32_t count = 0;
    lc_status st = check_length(sql, err);
    if (!st && dialect == LC_DIALECT_SUBSCRIPTION && is_blank(sql))
        st = lc_error_set(err, LC_E_INVALID, "SubscriptionError: Empty string");
    if (!st) st = lc_sql_parse(&syntax, sql, &statement, &count, err);
    if (!st && count == 0) st = lc_error_set(err, LC_E_INVALID, "Empty SQL query");
    if (!st && count > 1)
        st = lc_error_set(err, LC_E_INVALID, "Multiple SQL statements are not supported");
    if (!st) st = lc_sql_check(&statement, dialect, err);
    if (!st) {
        p = lc_alloc(sizeof *p);
        memset(p, 0, offsetof(lc_plan, memory));
        p->arena = (lc_arena){.at = p->memory, .end = p->memory + sizeof p->memory};
        p->store = s;
        lc_scope scope = {.store = s, .arena = &p->arena, .caller = caller, .err = err};
        st = bind_statement(p, &scope, &statement, dialect);
        p->uses_sender = scope.uses_sender;
        if (!st && lc_plan_is_write(p) && !caller->is_owner) st = denied(&scope);
    }
    lc_arena_deinit(&syntax);
    if (st)
        lc_plan_destroy(p);
    else
        *out = p;
    lc_error_clear(&own);
    return st;
}

void lc_plan_destroy(lc_plan *p)
{
    if (!p) return;
    lc_arena_deinit(&p->arena);
    lc_free(p);
}

/* -------------------------------------------------------------- properties */

lc_plan_kind lc_plan_get_kind(const lc_plan *p)
{
    return p->kind;
}
bool lc_plan_is_write(const lc_plan *p)
{
    return p->kind != LC_PLAN_SELECT && p->kind != LC_PLAN_SHOW;
}
bool lc_plan_is_stale(const lc_plan *p)
{
    for (uint32_t i = 0; i < p->source_count; i++)
        if (lc_store_table(p->store, p->sources[i].table_id) != p->sources[i].table) return true;
    return !lc_access_is_valid(&p->access, p->store);
}
bool lc_plan_uses_sender(const lc_plan *p)
{
    return p->uses_sender;
}
uint32_t lc_plan_column_count(const lc_plan *p)
{
    return p->output_count;
}
lc_span lc_plan_column_name(const lc_plan *p, uint32_t column)
{
    if (p->is_whole_row) return lc_table_column_name(p->sources[0].table, column);
    return p->outputs[column].name;
}
const lc_type *lc_plan_column_type(const lc_plan *p, uint32_t column)
{
    if (p->is_whole_row) return p->row_type->members[column].type;
    return p->outputs[column].type;
}
const lc_type *lc_plan_row_type(const lc_plan *p)
{
    return p->row_type;
}
lc_table *lc_plan_table(const lc_plan *p)
{
    return p->source_count ? p->sources[p->whole_source].table : NULL;
}
bool lc_plan_is_whole_table(const lc_plan *p)
{
    return p->conjunct_count == 0;
}
uint32_t lc_plan_source_count(const lc_plan *p)
{
    return p->source_count;
}
lc_table *lc_plan_source(const lc_plan *p, uint32_t i)
{
    return p->sources[i].table;
}
bool lc_plan_matches(const lc_plan *p, const uint8_t *row)
{
    return lc_predicate_matches(&p->full, row);
}

/* How well one value of the column singles out rows, guessed from indexes and type. */
static int selectivity(lc_table *t, uint32_t column, const lc_type *type)
{
    const lc_index *index;
    int best = 0;
    for (uint32_t i = 0; (index = lc_table_index(t, i)); i++) {
        if (lc_index_column(index, 0) != column || lc_index_column_count(index) > 1) continue;
        best = lc_index_is_unique(index) ? 4 : best < 3 ? 3 : best;
    }
    if (best) return best;
    return type->fixed_size < 0 || type->fixed_size >= 4 ? 2 : 1;
}

bool lc_plan_equality(const lc_plan *p, uint32_t *column, lc_span *value)
{
    int best = 0;
    for (uint32_t i = 0; i < p->conjunct_count; i++) {
        const lc_bound_expr *e = p->conjuncts[i];
        if (e->kind != LC_BOUND_COMPARE || e->op != LC_BIN_EQ) continue;
        const lc_bound_expr *l = e->left, *r = e->right;
        if (l->kind == LC_BOUND_VALUE) l = e->right, r = e->left;
        if (l->kind != LC_BOUND_COLUMN || r->kind != LC_BOUND_VALUE) continue;
        int rank = selectivity(lc_plan_first_table(p), l->column, l->type);
        if (rank <= best) continue;
        best = rank;
        *column = l->column;
        *value = r->value;
    }
    return best > 0;
}

bool lc_plan_is_only_equality(const lc_plan *p)
{
    uint32_t column;
    lc_span value;
    return p->conjunct_count == 1 && lc_plan_equality(p, &column, &value);
}

lc_status lc_query_check_row_limit(lc_store *s, uint64_t estimate, const lc_caller *caller,
                                   lc_error *err)
{
    uint64_t limit;
    if (caller->is_owner || !lc_store_get_row_limit(s, &limit) || estimate <= limit) return LC_OK;
    return lc_error_set(err, LC_E_LIMIT,
                        "Estimated cardinality (%llu rows) exceeds limit (%llu rows)",
                        (unsigned long long)estimate, (unsigned long long)limit);
}
