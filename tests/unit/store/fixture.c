#include "fixture.h"

void tb_init(table_builder *b, const char *name)
{
    *b = (table_builder){0};
    b->def.name = b->def.source_name = lc_arena_copy(&b->arena, lc_span_of_str(name));
    b->def.primary_key = -1;
    b->def.is_public = true;
    b->def.columns = lc_arena_alloc_zero(&b->arena, 64 * sizeof *b->def.columns);
    b->def.indexes = lc_arena_alloc_zero(&b->arena, 16 * sizeof *b->def.indexes);
    b->def.constraints = lc_arena_alloc_zero(&b->arena, 16 * sizeof *b->def.constraints);
    b->def.sequences = lc_arena_alloc_zero(&b->arena, 16 * sizeof *b->def.sequences);
}

void tb_deinit(table_builder *b)
{
    lc_arena_deinit(&b->arena);
}

uint16_t tb_column(table_builder *b, const char *name, const lc_type *type)
{
    lc_column_def *c = &b->def.columns[b->def.column_count];
    c->name = c->source_name = lc_arena_copy(&b->arena, lc_span_of_str(name));
    c->type = type;
    return b->def.column_count++;
}

void tb_index(table_builder *b, lc_index_algorithm algorithm, bool is_unique, const char *columns)
{
    static const char *const kinds[] = {"btree", "hash", "direct"};
    lc_index_def *i = &b->def.indexes[b->def.index_count++];
    i->columns = lc_arena_alloc(&b->arena, 16 * sizeof *i->columns);
    for (const char *p = columns; *p;) {
        i->columns[i->column_count++] = (uint16_t)strtoul(p, (char **)&p, 10);
        if (*p == ',') p++;
    }
    lc_buf name = LC_BUF_INIT;
    lc_buf_put_span(&name, b->def.name);
    for (uint16_t c = 0; c < i->column_count; c++)
        lc_buf_printf(&name, "_" LC_SPAN_FMT, LC_SPAN_ARG(b->def.columns[i->columns[c]].name));
    size_t stem = name.len;
    lc_buf_printf(&name, "_idx_%s", kinds[algorithm]);
    i->name = i->source_name = lc_arena_copy(&b->arena, lc_buf_span(&name));
    i->algorithm = algorithm;
    i->is_unique = is_unique;
    if (is_unique) {
        lc_constraint_def *u = &b->def.constraints[b->def.constraint_count++];
        name.len = stem;
        lc_buf_put_str(&name, "_key");
        u->name = lc_arena_copy(&b->arena, lc_buf_span(&name));
        u->columns = i->columns;
        u->column_count = i->column_count;
    }
    lc_buf_deinit(&name);
}

lc_sequence_def *tb_sequence(table_builder *b, uint16_t column)
{
    lc_sequence_def *q = &b->def.sequences[b->def.sequence_count++];
    char *name =
        lc_arena_format(&b->arena, LC_SPAN_FMT "_" LC_SPAN_FMT "_seq", LC_SPAN_ARG(b->def.name),
                        LC_SPAN_ARG(b->def.columns[column].name));
    q->name = lc_span_of_str(name);
    q->column = column;
    q->start = q->min_value = q->increment = (lc_i128){1, 0};
    q->max_value = (lc_i128){UINT64_MAX, INT64_MAX};
    return q;
}

lc_table *tb_create_in_tx(table_builder *b, lc_store *s)
{
    lc_error err = LC_ERROR_INIT;
    lc_table *t = NULL;
    assert_ok(lc_store_create_table(s, &b->def, &t, &err), &err);
    tb_deinit(b);
    return t;
}

lc_table *tb_create(table_builder *b, lc_store *s)
{
    lc_store_begin(s);
    lc_table *t = tb_create_in_tx(b, s);
    commit(s);
    return t;
}

lc_span row(const char *format, ...)
{
    static lc_buf ring[256];
    static unsigned next;
    lc_buf *b = &ring[next++ % 256];
    lc_buf_reset(b);
    lc_buf_reserve(b, 1);
    va_list args;
    va_start(args, format);
    for (; *format; format++) {
        switch (*format) {
        case '1':
            lc_buf_put_u8(b, (uint8_t)va_arg(args, int));
            break;
        case '2':
            lc_buf_put_u16(b, (uint16_t)va_arg(args, int));
            break;
        case '4':
            lc_buf_put_u32(b, (uint32_t)va_arg(args, int));
            break;
        case '8':
            lc_buf_put_u64(b, (uint64_t)va_arg(args, long long));
            break;
        case 's':
            lc_buf_put_lenstr(b, lc_span_of_str(va_arg(args, const char *)));
            break;
        case 'd': {
            double d = va_arg(args, double);
            lc_buf_put(b, &d, sizeof d);
            break;
        }
        case 'f': {
            float f = (float)va_arg(args, double);
            lc_buf_put(b, &f, sizeof f);
            break;
        }
        default:
            fail_msg("row: unknown letter %c", *format);
        }
    }
    va_end(args);
    return lc_buf_span(b);
}

lc_buf all_rows(const lc_table *t)
{
    lc_buf out = LC_BUF_INIT;
    lc_table_scan_into(t, &out, SIZE_MAX, NULL);
    return out;
}

void spans_add(spans *s, lc_span row)
{
    lc_span copy = LC_SPAN(lc_memdup(row.ptr, row.len), row.len);
    lc_vec_push(s, copy);
}

bool add_visit(void *arg, lc_span row)
{
    spans_add(arg, row);
    return true;
}

void collect(const lc_table *t, spans *out)
{
    lc_table_scan(t, add_visit, out);
}

static int compare(const void *a, const void *b)
{
    return lc_span_compare(*(const lc_span *)a, *(const lc_span *)b);
}

void spans_sort(spans *s)
{
    if (s->len) qsort(s->items, s->len, sizeof *s->items, compare);
}

void collect_sorted(const lc_table *t, spans *out)
{
    collect(t, out);
    spans_sort(out);
}

void spans_deinit(spans *s)
{
    for (size_t i = 0; i < s->len; i++) lc_free((void *)s->items[i].ptr);
    lc_vec_deinit(s);
}

void assert_spans_equal(const spans *a, const spans *b)
{
    assert_int_equal(a->len, b->len);
    for (size_t i = 0; i < a->len; i++) assert_true(lc_span_equal(a->items[i], b->items[i]));
}

lc_errno insert(lc_table *t, lc_span r)
{
    lc_write w;
    return lc_table_insert(t, r, &w, NULL);
}

lc_errno update(lc_table *t, uint32_t index, lc_span r)
{
    lc_write w;
    return lc_table_update(t, lc_index_id(lc_table_index(t, index)), r, &w, NULL);
}

const lc_table_delta *delta_of(const lc_delta *d, const lc_table *t)
{
    for (uint32_t i = 0; i < d->table_count; i++)
        if (d->tables[i].table == t) return &d->tables[i];
    return NULL;
}

void commit(lc_store *s)
{
    lc_store_commit(s);
    lc_store_release(s);
}

/* ------------------------------------------------------------------ checks */

static lc_buf key_of(const lc_index *i, lc_span r)
{
    const lc_layout *l = lc_table_layout(lc_index_table(i));
    lc_buf key = LC_BUF_INIT;
    lc_buf_reserve(&key, 1);
    for (uint32_t c = 0; c < lc_index_column_count(i); c++)
        lc_buf_put_span(&key, lc_layout_column(l, r.ptr, lc_index_column(i, c)));
    return key;
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

typedef struct order_check {
    const lc_index *index;
    lc_span last;
    uint64_t count;
} order_check;

static bool check_order(void *arg, lc_span r)
{
    order_check *o = arg;
    if (o->count > 0) {
        int order = compare_keys(o->index, o->last, r);
        assert_true(lc_index_is_unique(o->index) ? order < 0 : order <= 0);
    }
    o->last = r;
    o->count++;
    return true;
}

typedef struct point_check {
    lc_span wanted;
    bool is_there;
} point_check;

static bool check_point(void *arg, lc_span r)
{
    point_check *p = arg;
    if (r.ptr == p->wanted.ptr) p->is_there = true;
    return true;
}

static bool check_row(void *arg, lc_span r)
{
    const lc_index *i = arg;
    lc_buf key = key_of(i, r);
    if (lc_index_is_unique(i)) {
        lc_span found;
        assert_true(lc_index_find(i, lc_buf_span(&key), &found));
        assert_ptr_equal(found.ptr, r.ptr);
    }
    point_check p = {r, false};
    assert_int_equal(lc_index_scan_point(i, lc_buf_span(&key), check_point, &p, NULL), 0);
    assert_true(p.is_there);
    lc_buf_deinit(&key);
    return true;
}

void check_indexes(const lc_table *t)
{
    lc_index *i;
    for (uint32_t n = 0; (i = lc_table_index(t, n)); n++) {
        lc_range all = {.start.kind = LC_BOUND_UNBOUNDED, .end.kind = LC_BOUND_UNBOUNDED};
        order_check o = {.index = i};
        if (lc_index_kind(i) == LC_INDEX_HASH) {
            assert_int_equal(lc_index_scan_range(i, &all, check_order, &o, NULL),
                             LC_ERRNO_WRONG_INDEX_ALGO);
        } else {
            assert_int_equal(lc_index_scan_range(i, &all, check_order, &o, NULL), 0);
            assert_int_equal(o.count, lc_table_row_count(t));
        }
        if (lc_table_row_count(t) <= 5000) lc_table_scan(t, check_row, i);
    }
}

void check_store(const lc_store *s)
{
    uint32_t at = 0;
    for (lc_table *t; (t = lc_store_next_table(s, &at));) check_indexes(t);
}
