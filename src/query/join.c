/* Joins: what can be said about them without executing one. The rules of 06 section 3.2 for
 * subscriptions are checked here; execution is not there yet. */
#include "query/plan_internal.h"

/* The two columns of an ON, sorted by the tables they belong to. */
typedef struct edge {
    const lc_bound_expr *left, *right;
} edge;

/* Is there a conjunct `column op constant` on this source? */
static bool is_filtered(const lc_plan *p, uint32_t source)
{
    if (p->sources[source].hidden) return true; /* a view: its hidden column is fixed */
    for (uint32_t i = 0; i < p->conjunct_count; i++) {
        const lc_bound_expr *e = p->conjuncts[i];
        if (e->kind != LC_BOUND_COMPARE) continue;
        const lc_bound_expr *l = e->left, *r = e->right;
        if (l->kind == LC_BOUND_VALUE) l = e->right, r = e->left;
        if (l->kind == LC_BOUND_COLUMN && r->kind == LC_BOUND_VALUE && l->source == source)
            return true;
    }
    return false;
}

static bool is_fixed(const lc_plan *p, uint32_t source, uint32_t column)
{
    if (column < p->sources[source].hidden) return true;
    for (uint32_t i = 0; i < p->conjunct_count; i++) {
        const lc_bound_expr *e = p->conjuncts[i];
        if (e->kind != LC_BOUND_COMPARE || e->op != LC_BIN_EQ) continue;
        const lc_bound_expr *l = e->left, *r = e->right;
        if (l->kind == LC_BOUND_VALUE) l = e->right, r = e->left;
        if (l->kind == LC_BOUND_COLUMN && r->kind == LC_BOUND_VALUE && l->source == source &&
            l->column == column)
            return true;
    }
    return false;
}

/* An index whose last column is the join column and whose others are fixed. */
static bool is_indexed(const lc_plan *p, const lc_bound_expr *column)
{
    const lc_index *index;
    lc_table *t = p->sources[column->source].table;
    for (uint32_t i = 0; (index = lc_table_index(t, i)); i++) {
        uint32_t n = lc_index_column_count(index);
        if (lc_index_column(index, n - 1) != column->column) continue;
        uint32_t k = 0;
        while (k + 1 < n && is_fixed(p, column->source, lc_index_column(index, k))) k++;
        if (k + 1 == n) return true;
    }
    return false;
}

static lc_status check_subscription(const lc_plan *p, const lc_scope *s, const edge *e)
{
    if (p->source_count > 2)
        return lc_error_set(s->err, LC_E_INVALID, "Invalid number of tables in subscription: %u",
                            p->source_count);
    const char *no_index = "Subscriptions require indexes on join columns";
    if (!e->left) return lc_error_set(s->err, LC_E_INVALID, "%s", no_index);
    bool looks_up_left = is_filtered(p, 1) && !is_filtered(p, 0);
    const lc_bound_expr *lookup = looks_up_left ? e->left : e->right;
    const lc_bound_expr *probe = looks_up_left ? e->right : e->left;
    bool is_event = lc_table_is_event(p->sources[lookup->source].table);
    if (is_indexed(p, lookup)) {
        if (!is_event) return LC_OK;
        return lc_error_set(
            s->err, LC_E_INVALID,
            "Event tables cannot be used as the lookup table in subscription joins");
    }
    bool other_way = !is_event && !lc_table_is_event(p->sources[probe->source].table);
    if (other_way && is_indexed(p, probe)) return LC_OK;
    return lc_error_set(s->err, LC_E_INVALID, "%s", no_index);
}

lc_status lc_join_check(lc_plan *p, lc_scope *s, const lc_sql_select *q, lc_dialect dialect)
{
    edge first = {NULL, NULL};
    lc_plan_split_where(p);
    for (uint32_t i = 1; i < q->table_count; i++) {
        const lc_sql_expr *on = q->tables[i].on;
        if (!on) continue;
        const lc_bound_expr *e = lc_bind_expr(s, on, lc_type_scalar(LC_TYPE_BOOL));
        if (!e) return s->err->code;
        edge sides = {e->left, e->right};
        if (sides.left->source > sides.right->source) sides = (edge){e->right, e->left};
        if (sides.left->source == i)
            return lc_error_set(s->err, LC_E_INVALID,
                                "Could not compute positional arguments during query planning");
        /* an ON that does not touch the new table is a filter over a product */
        if (i == 1 && sides.right->source == 1) first = sides;
    }
    lc_status st = dialect == LC_DIALECT_SUBSCRIPTION ? check_subscription(p, s, &first) : LC_OK;
    if (st) return st;
    return lc_error_set(s->err, LC_E_UNSUPPORTED, "not supported: joins (%u tables)",
                        p->source_count);
}
