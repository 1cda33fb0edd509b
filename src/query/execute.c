/* Running plans: rows out of tables, and SQL's writes into them. */
#include "query/plan_internal.h"

/* ------------------------------------------------------------------ SELECT */

typedef struct selection {
    const lc_plan *plan;
    lc_image *image;               /* NULL: from the tables as they are now */
    const lc_predicate *predicate; /* NULL: everything matches */
    lc_rowset *rows;
    uint64_t count, limit;
    lc_buf row;        /* projection */
    uint32_t *offsets; /* projection of columns without a fixed place */
} selection;

static void project(selection *s, const uint8_t *row)
{
    const lc_plan *p = s->plan;
    lc_buf_reset(&s->row);
    if (s->offsets) lc_layout_offsets(lc_table_layout(lc_plan_first_table(p)), row, s->offsets);
    for (uint32_t i = 0; i < p->output_count; i++) {
        const lc_output *o = &p->outputs[i];
        if (o->offset >= 0 && o->size >= 0) {
            lc_buf_put(&s->row, row + o->offset, (size_t)o->size);
        } else {
            uint32_t begin = s->offsets[o->column];
            lc_buf_put(&s->row, row + begin, s->offsets[o->column + 1] - begin);
        }
    }
    lc_rowset_add(s->rows, lc_buf_span(&s->row));
}

static bool visit_whole(void *arg, lc_span row)
{
    selection *s = arg;
    if (s->predicate && !lc_predicate_matches(s->predicate, row.ptr)) return true;
    lc_rowset_add(s->rows, row);
    return ++s->count < s->limit;
}

static bool visit_project(void *arg, lc_span row)
{
    selection *s = arg;
    if (s->predicate && !lc_predicate_matches(s->predicate, row.ptr)) return true;
    project(s, row.ptr);
    return ++s->count < s->limit;
}

static bool visit_count(void *arg, lc_span row)
{
    selection *s = arg;
    if (!s->predicate || lc_predicate_matches(s->predicate, row.ptr)) s->count++;
    return true;
}

/* Rows that satisfy the WHERE. An index that is gone since binding costs a scan, nothing else. */
static void visit_rows(const lc_plan *p, selection *s, lc_row_visit visit)
{
    static const lc_access scan = {.kind = LC_ACCESS_SCAN};
    s->plan = p;
    if (s->image) {
        s->predicate = p->full.entry == LC_ACCEPT ? NULL : &p->full;
        lc_image_scan(s->image, p->sources[0].table_id, visit, s);
        return;
    }
    bool valid = lc_access_is_valid(&p->access, p->store);
    s->predicate = valid ? &p->residual : &p->full;
    if (s->predicate->entry == LC_ACCEPT) s->predicate = NULL;
    lc_access_visit(valid ? &p->access : &scan, p->store, lc_plan_first_table(p), visit, s);
}

static bool needs_offsets(const lc_plan *p)
{
    for (uint32_t i = 0; i < p->output_count; i++)
        if (p->outputs[i].offset < 0 || p->outputs[i].size < 0) return true;
    return false;
}

static void select_count(const lc_plan *p, lc_image *image, lc_rowset *rows)
{
    uint64_t count;
    if (p->conjunct_count == 0 && !image) {
        count = lc_table_row_count(lc_plan_first_table(p));
    } else {
        selection s = {.image = image};
        visit_rows(p, &s, visit_count);
        count = s.count;
    }
    if (!p->has_limit || p->limit > 0) lc_rowset_add(rows, LC_SPAN(&count, sizeof count));
}

/* The whole of a table whose rows have one size: page by page. */
static bool select_pages(const lc_plan *p, lc_rowset *rows)
{
    lc_table *t = lc_plan_first_table(p);
    int32_t size = lc_layout_fixed_size(lc_table_layout(t));
    if (size <= 0 || p->conjunct_count || p->has_limit || !p->is_whole_row || rows->count)
        return false;
    size_t before = rows->data.len;
    lc_table_scan_into(t, &rows->data, 0, NULL);
    rows->row_size = (uint64_t)size;
    rows->count = (rows->data.len - before) / (size_t)size;
    return true;
}

static void select_show(const lc_plan *p, lc_rowset *rows)
{
    uint64_t limit;
    if (!lc_store_get_row_limit(p->store, &limit)) return;
    uint8_t value[9] = {8}; /* the variant U64 */
    lc_store_u64(value + 1, limit);
    lc_rowset_add(rows, LC_SPAN(value, sizeof value));
}

/* image: see selection. */
static void select_rows(const lc_plan *p, lc_image *image, lc_rowset *rows)
{
    if (p->is_count) {
        select_count(p, image, rows);
        return;
    }
    if (!image && select_pages(p, rows)) return;
    selection s = {.image = image, .rows = rows, .limit = p->has_limit ? p->limit : UINT64_MAX};
    if (s.limit == 0) return;
    if (p->is_whole_row) {
        visit_rows(p, &s, visit_whole);
        return;
    }
    if (needs_offsets(p)) {
        uint32_t columns = lc_table_column_count(lc_plan_first_table(p));
        s.offsets = lc_alloc((columns + 1) * sizeof *s.offsets);
    }
    visit_rows(p, &s, visit_project);
    lc_buf_deinit(&s.row);
    lc_free(s.offsets);
}

lc_status lc_plan_select(const lc_plan *p, lc_rowset *rows, lc_error *err)
{
    if (p->kind == LC_PLAN_SHOW)
        select_show(p, rows);
    else if (p->kind == LC_PLAN_SELECT)
        select_rows(p, NULL, rows);
    else
        return lc_error_set(err, LC_E_INVALID, "the statement returns no rows");
    return LC_OK;
}

static bool is_long_read(const lc_plan *p)
{
    if (p->kind != LC_PLAN_SELECT || p->source_count != 1) return false;
    bool is_scan = p->access.kind == LC_ACCESS_SCAN || !lc_access_is_valid(&p->access, p->store);
    bool is_short =
        p->conjunct_count == 0 && (p->is_count || (p->has_limit && p->limit <= LC_LONG_READ_ROWS));
    const lc_table *t = lc_plan_first_table(p);
    return is_scan && !is_short && !lc_table_is_view(t) &&
           lc_table_row_count(t) > LC_LONG_READ_ROWS;
}

lc_image *lc_plan_freeze(const lc_plan *p)
{
    return is_long_read(p) ? lc_store_freeze(p->store) : NULL;
}

void lc_plan_select_image(const lc_plan *p, lc_image *image, lc_rowset *rows)
{
    select_rows(p, image, rows);
}

/* ---------------------------------------------------------------- estimate */

/* A scan costs its rows, a filter its input once more, an index lookup the rows it finds (06
 * section 7.3). Range scans count as scan and filter. */
uint64_t lc_plan_estimate(const lc_plan *p)
{
    if (p->kind != LC_PLAN_SELECT || p->source_count == 0) return 0;
    uint64_t rows = lc_table_row_count(lc_plan_first_table(p));
    bool filters = p->conjunct_count > 0;
    uint64_t estimate = rows;
    if ((p->access.kind == LC_ACCESS_FIND || p->access.kind == LC_ACCESS_POINT) &&
        lc_access_is_valid(&p->access, p->store)) {
        selection s = {0};
        lc_access_visit(&p->access, p->store, lc_plan_first_table(p), visit_count, &s);
        estimate = p->access.kind == LC_ACCESS_FIND ? rows > 0 : s.count;
        filters = p->residual.entry != LC_ACCEPT;
    }
    if (filters) estimate *= 2;
    if (p->has_limit && !p->is_count && p->limit < estimate) estimate = p->limit;
    return estimate;
}

/* ------------------------------------------------------------------ writes */

/* SQL writes to system tables are refused, except that row_limit may be taken back by deleting its
 * row. A statement that touches no row is harmless. */
static lc_status refuse_system(const lc_plan *p, uint64_t rows, lc_error *err)
{
    const lc_table *t = lc_plan_first_table(p);
    if (rows == 0 || !lc_table_is_system(t)) return LC_OK;
    if (lc_table_id(t) == LC_ST_VAR && p->kind == LC_PLAN_DELETE) return LC_OK;
    return lc_error_set(err, LC_E_UNSUPPORTED,
                        "not supported: writing to the system table `" LC_SPAN_FMT "` by SQL",
                        LC_SPAN_ARG(lc_table_name(t)));
}

static lc_status insert_row(lc_table *t, lc_span row, lc_write *out, lc_error *err)
{
    lc_errno rc = lc_table_insert(t, row, out, err);
    if (rc == LC_ERRNO_OK) return LC_OK;
    if (rc == LC_ERRNO_UNIQUE_ALREADY_EXISTS && err) return lc_error_prefix(err, "IndexError: ");
    if (err && err->code == LC_OK)
        lc_error_set(err, LC_E_CONFLICT, "insert failed (error %d)", (int)rc);
    return LC_E_CONFLICT;
}

static lc_status run_insert(const lc_plan *p, lc_query_stats *stats, lc_error *err)
{
    lc_status st = refuse_system(p, p->row_count, err);
    for (uint32_t i = 0; !st && i < p->row_count; i++) {
        lc_write w = {0};
        st = insert_row(lc_plan_first_table(p), p->rows[i], &w, err);
        if (!st) stats->rows_inserted += w.changed;
    }
    return st;
}

/* The matching rows as they are now. */
static void collect(const lc_plan *p, lc_rowset *rows)
{
    selection s = {.rows = rows, .limit = UINT64_MAX};
    visit_rows(p, &s, visit_whole);
}

static lc_status run_delete(const lc_plan *p, lc_query_stats *stats, lc_error *err)
{
    lc_table *t = lc_plan_first_table(p);
    lc_rowset rows = {0};
    if (p->conjunct_count == 0 && !lc_table_is_system(t)) {
        stats->rows_deleted += lc_table_clear(t);
        return LC_OK;
    }
    collect(p, &rows);
    lc_status st = refuse_system(p, rows.count, err);
    for (uint64_t i = 0; !st && i < rows.count; i++)
        stats->rows_deleted += lc_table_delete_row(t, lc_rowset_row(&rows, i));
    lc_rowset_deinit(&rows);
    return st;
}

/* All matching rows go, then all come back with their new values. */
static lc_status run_update(const lc_plan *p, lc_query_stats *stats, lc_error *err)
{
    lc_table *t = lc_plan_first_table(p);
    const lc_layout *layout = lc_table_layout(t);
    uint32_t columns = lc_table_column_count(t);
    uint32_t *offsets = lc_alloc((columns + 1) * sizeof *offsets);
    lc_rowset rows = {0};
    lc_buf row = LC_BUF_INIT;
    collect(p, &rows);
    lc_status st = refuse_system(p, rows.count, err);
    for (uint64_t i = 0; !st && i < rows.count; i++)
        lc_table_delete_row(t, lc_rowset_row(&rows, i));
    for (uint64_t i = 0; !st && i < rows.count; i++) {
        lc_span old = lc_rowset_row(&rows, i);
        lc_layout_offsets(layout, old.ptr, offsets);
        lc_buf_reset(&row);
        for (uint32_t c = 0; c < columns; c++) {
            if (p->values[c].ptr)
                lc_buf_put_span(&row, p->values[c]);
            else
                lc_buf_put(&row, old.ptr + offsets[c], offsets[c + 1] - offsets[c]);
        }
        lc_write w = {0};
        st = insert_row(t, lc_buf_span(&row), &w, err);
    }
    if (!st) stats->rows_updated += rows.count;
    lc_buf_deinit(&row);
    lc_rowset_deinit(&rows);
    lc_free(offsets);
    return st;
}

lc_status lc_plan_write(const lc_plan *p, lc_query_stats *stats, lc_error *err)
{
    lc_query_stats none;
    if (!stats) stats = &none;
    *stats = (lc_query_stats){0};
    switch (p->kind) {
    case LC_PLAN_INSERT:
        return run_insert(p, stats, err);
    case LC_PLAN_UPDATE:
        return run_update(p, stats, err);
    case LC_PLAN_DELETE:
        return run_delete(p, stats, err);
    case LC_PLAN_SET:
        stats->rows_inserted = 1;
        return lc_store_set_row_limit(p->store, p->row_limit, err);
    case LC_PLAN_SELECT:
    case LC_PLAN_SHOW:
        break;
    }
    return lc_error_set(err, LC_E_INVALID, "the statement writes nothing");
}
