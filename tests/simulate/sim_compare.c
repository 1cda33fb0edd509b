/* Is the store what the model says? */
#include "sim_model.h"

typedef struct comparison {
    const lc_table *table;
    const sim_rows *rows;
    uint32_t number;
    const char *what;
} comparison;

static bool compare_row(void *arg, lc_span row)
{
    const comparison *c = arg;
    sim_row *found = sim_rows_find(c->rows, row);
    SIM_CHECK(found, "%s: table " LC_SPAN_FMT " holds a row of %zu bytes that it should not",
              c->what, LC_SPAN_ARG(lc_table_name(c->table)), row.len);
    SIM_CHECK(found->seen != c->number, "%s: table " LC_SPAN_FMT " holds a row twice", c->what,
              LC_SPAN_ARG(lc_table_name(c->table)));
    found->seen = c->number;
    return true;
}

void sim_model_compare_table(sim_model *m, const lc_table *t, const char *what)
{
    comparison c = {t, sim_model_rows(m, lc_table_id(t)), ++m->comparison, what};
    lc_table_scan(t, compare_row, &c);
    SIM_CHECK(lc_table_row_count(t) == c.rows->len,
              "%s: table " LC_SPAN_FMT " counts %llu rows, should be %zu", what,
              LC_SPAN_ARG(lc_table_name(t)), (unsigned long long)lc_table_row_count(t),
              c.rows->len);
    for (size_t i = 0; i < c.rows->cap; i++)
        SIM_CHECK(!c.rows->slots[i].bytes.ptr || c.rows->slots[i].seen == c.number,
                  "%s: table " LC_SPAN_FMT " lacks a row", what, LC_SPAN_ARG(lc_table_name(t)));
}

/* ----------------------------------------------------------------- indexes */

typedef struct index_check {
    const lc_index *index;
    lc_buf key;
    lc_span last;
    lc_span wanted;
    bool is_found;
    uint64_t count;
    const char *what;
} index_check;

static void make_key(const lc_index *i, lc_span row, lc_buf *out)
{
    const lc_layout *l = lc_table_layout(lc_index_table(i));
    lc_buf_reset(out);
    lc_buf_reserve(out, 1);
    for (uint32_t c = 0; c < lc_index_column_count(i); c++)
        lc_buf_put_span(out, lc_layout_column(l, row.ptr, lc_index_column(i, c)));
}

static int compare_keys(const lc_index *i, lc_span a, lc_span b)
{
    const lc_layout *l = lc_table_layout(lc_index_table(i));
    for (uint32_t c = 0; c < lc_index_column_count(i); c++) {
        uint16_t column = lc_index_column(i, c);
        int order = lc_value_compare(lc_layout_column_type(l, column),
                                     lc_layout_column(l, a.ptr, column).ptr,
                                     lc_layout_column(l, b.ptr, column).ptr);
        if (order != 0) return order;
    }
    return 0;
}

static bool visit_in_order(void *arg, lc_span row)
{
    index_check *c = arg;
    if (c->count++ > 0) {
        int order = compare_keys(c->index, c->last, row);
        SIM_CHECK(lc_index_is_unique(c->index) ? order < 0 : order <= 0,
                  "%s: index " LC_SPAN_FMT " is out of order", c->what,
                  LC_SPAN_ARG(lc_index_name(c->index)));
    }
    c->last = row;
    return true;
}

static bool visit_point(void *arg, lc_span row)
{
    index_check *c = arg;
    c->is_found |= row.ptr == c->wanted.ptr;
    return !c->is_found;
}

static bool look_up(void *arg, lc_span row)
{
    index_check *c = arg;
    make_key(c->index, row, &c->key);
    lc_span found;
    if (lc_index_is_unique(c->index))
        SIM_CHECK(lc_index_find(c->index, lc_buf_span(&c->key), &found) && found.ptr == row.ptr,
                  "%s: unique index " LC_SPAN_FMT " does not find a row by its key", c->what,
                  LC_SPAN_ARG(lc_index_name(c->index)));
    c->wanted = row;
    c->is_found = false;
    lc_errno rc = lc_index_scan_point(c->index, lc_buf_span(&c->key), visit_point, c, NULL);
    SIM_CHECK(rc == LC_ERRNO_OK && c->is_found,
              "%s: index " LC_SPAN_FMT " does not find a row by its key", c->what,
              LC_SPAN_ARG(lc_index_name(c->index)));
    return true;
}

static void check_index(const lc_index *i, const char *what)
{
    index_check c = {.index = i, .what = what};
    lc_table *t = lc_index_table(i);
    lc_range all = {.start.kind = LC_BOUND_UNBOUNDED, .end.kind = LC_BOUND_UNBOUNDED};
    if (lc_index_kind(i) != LC_INDEX_HASH) {
        lc_errno rc = lc_index_scan_range(i, &all, visit_in_order, &c, NULL);
        SIM_CHECK(rc == LC_ERRNO_OK && c.count == lc_table_row_count(t),
                  "%s: index " LC_SPAN_FMT " counts %llu rows, its table %llu", what,
                  LC_SPAN_ARG(lc_index_name(i)), (unsigned long long)c.count,
                  (unsigned long long)lc_table_row_count(t));
    }
    lc_table_scan(t, look_up, &c);
    lc_buf_deinit(&c.key);
}

void sim_model_compare(sim_model *m, const lc_store *store, const char *what)
{
    uint32_t at = 0;
    size_t seen = 0;
    for (lc_table *t; (t = lc_store_next_table(store, &at));) {
        sim_model_compare_table(m, t, what);
        seen += sim_model_rows(m, lc_table_id(t))->len > 0;
        for (uint32_t n = 0; lc_table_index(t, n); n++) check_index(lc_table_index(t, n), what);
    }
    size_t wanted = 0;
    LC_VEC_EACH (t, &m->tables) wanted += (*t)->rows.len > 0;
    SIM_CHECK(seen == wanted, "%s: %zu tables with rows, should be %zu", what, seen, wanted);
}
