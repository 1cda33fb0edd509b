/*
 * Random tables, random transactions, against a model that is too simple to be wrong: a list of
 * rows in order of insertion, copied at the start of each transaction. After every step the store
 * and the model must agree on what the step answered; after every transaction on all rows, on every
 * index with its order, and on the delta. In the end the log of it all, replayed, must give the
 * same tables, and so must an image from half way with the log behind it. And a store loaded from
 * an image of the end must be able to go on: nobody can tell it from the first one.
 */
#include "fixture.h"

/* ------------------------------------------------------------ random values */

static uint64_t seed;

static uint32_t below(uint32_t n)
{
    return (uint32_t)(lc_test_random(&seed) % n);
}

static bool one_in(uint32_t n)
{
    return below(n) == 0;
}

typedef enum domain { DOMAIN_FEW, DOMAIN_DENSE, DOMAIN_SPARSE } domain;

static void put_bits(lc_buf *out, size_t size, domain d)
{
    static const uint8_t edges[] = {0x00, 0x01, 0x02, 0x7f, 0x80, 0xff};
    uint8_t bytes[32] = {0};
    if (d == DOMAIN_DENSE) {
        lc_store_u32(bytes, below(3000));
    } else if (d == DOMAIN_SPARSE) {
        for (size_t i = 0; i < size; i++) bytes[i] = (uint8_t)below(256);
    } else if (one_in(2)) {
        bytes[0] = (uint8_t)below(4);
    } else {
        for (size_t i = 0; i < size; i++) bytes[i] = edges[one_in(4) ? below(6) : 0];
        bytes[size - 1] = edges[below(6)];
    }
    lc_buf_put(out, bytes, size);
}

static void put_text(lc_buf *out, domain d)
{
    static const char *const few[] = {"",
                                      "a",
                                      "ab",
                                      "b",
                                      "a\x01",
                                      "0123456789abcde",
                                      "0123456789abcdef",
                                      "0123456789abcdefg",
                                      "0123456789abcdefz",
                                      "\xc3\xa9"};
    char text[40];
    if (d == DOMAIN_FEW)
        lc_buf_put_lenstr(out, lc_span_of_str(few[below(LC_ARRAY_LEN(few))]));
    else
        lc_buf_put_lenstr(
            out, LC_SPAN(text, (size_t)snprintf(text, sizeof text, "%skey %u",
                                                one_in(2) ? "a common beginning " : "",
                                                below(d == DOMAIN_DENSE ? 3000 : 1u << 30))));
}

static void put_value(const lc_type *t, domain d, lc_buf *out)
{
    static const double doubles[] = {0.0,    -0.0,      1.5,       -1.5,      1e300,
                                     -1e300, 0.0 / 0.0, 1.0 / 0.0, -1.0 / 0.0};
    switch (t->kind) {
    case LC_TYPE_SUM: {
        uint32_t tag = below(t->member_count);
        lc_buf_put_u8(out, (uint8_t)tag);
        put_value(t->members[tag].type, d, out);
        break;
    }
    case LC_TYPE_PRODUCT:
        for (uint32_t i = 0; i < t->member_count; i++) put_value(t->members[i].type, d, out);
        break;
    case LC_TYPE_ARRAY: {
        uint32_t n = below(d == DOMAIN_FEW ? 3 : 12);
        lc_buf_put_u32(out, n);
        while (n-- > 0) put_value(t->element, DOMAIN_FEW, out);
        break;
    }
    case LC_TYPE_STRING:
        put_text(out, d);
        break;
    case LC_TYPE_BOOL:
        lc_buf_put_u8(out, (uint8_t)below(2));
        break;
    case LC_TYPE_F32: {
        float f = (float)doubles[below(LC_ARRAY_LEN(doubles))];
        lc_buf_put(out, &f, sizeof f);
        break;
    }
    case LC_TYPE_F64: {
        double f =
            d == DOMAIN_FEW ? doubles[below(LC_ARRAY_LEN(doubles))] : (int)below(4000) - 2000;
        if (one_in(8)) f = -f;
        lc_buf_put(out, &f, sizeof f);
        break;
    }
    default:
        put_bits(out, (size_t)t->fixed_size, d);
    }
}

static lc_arena types;

static const lc_type *product(uint32_t n, const lc_type *a, const lc_type *b)
{
    lc_type_member members[] = {{LC_STR("x"), a}, {LC_STR("y"), b}};
    return lc_type_new_product(&types, members, n);
}

static const lc_type *random_type(void)
{
    static const lc_type_kind scalars[] = {
        LC_TYPE_STRING, LC_TYPE_BOOL, LC_TYPE_I8,  LC_TYPE_U8,  LC_TYPE_I16,  LC_TYPE_U16,
        LC_TYPE_I32,    LC_TYPE_U32,  LC_TYPE_I64, LC_TYPE_U64, LC_TYPE_I128, LC_TYPE_U128,
        LC_TYPE_I256,   LC_TYPE_U256, LC_TYPE_F32, LC_TYPE_F64, LC_TYPE_U32,  LC_TYPE_U64};
    const lc_type *unit = lc_type_unit();
    switch (below(14)) {
    case 0:
        return lc_type_bytes();
    case 1:
        return lc_type_new_array(&types, TY(I16));
    case 2:
        return lc_type_new_option(&types, TY(U32));
    case 3:
        return lc_type_new_option(&types, TY(STRING));
    case 4:
        return product(2, TY(U32), TY(STRING));
    case 5:
        return product(2, TY(I16), TY(U16));
    case 6: {
        lc_type_member m[] = {{LC_STR("a"), unit}, {LC_STR("b"), unit}, {LC_STR("c"), unit}};
        return lc_type_new_sum(&types, m, 3);
    }
    case 7: {
        lc_type_member m[] = {
            {LC_STR("a"), TY(U8)}, {LC_STR("b"), TY(STRING)}, {LC_STR("c"), unit}};
        return lc_type_new_sum(&types, m, 3);
    }
    case 8:
        return one_in(2) ? lc_type_identity() : lc_type_timestamp();
    case 9:
        return one_in(3) ? unit : product(1, TY(I64), NULL);
    default:
        return lc_type_scalar(scalars[below(LC_ARRAY_LEN(scalars))]);
    }
}

/* ------------------------------------------------------------------- model */

typedef struct model {
    lc_table *table;
    lc_arena names;
    domain domain;
    spans rows;          /* in order of insertion */
    LC_VEC(bool) is_own; /* per row: of the open transaction, which scans tell apart */
    spans before;        /* at the start of the transaction */
} model;

static void copy_spans(spans *to, const spans *from)
{
    spans_deinit(to);
    for (size_t i = 0; i < from->len; i++) spans_add(to, from->items[i]);
}

static void remove_at(spans *s, size_t at)
{
    lc_free((void *)s->items[at].ptr);
    memmove(s->items + at, s->items + at + 1, (--s->len - at) * sizeof *s->items);
}

static void replace_at(spans *s, size_t at, lc_span with)
{
    lc_free((void *)s->items[at].ptr);
    s->items[at] = LC_SPAN(lc_memdup(with.ptr, with.len), with.len);
}

static void model_remove(model *m, size_t at)
{
    remove_at(&m->rows, at);
    memmove(m->is_own.items + at, m->is_own.items + at + 1,
            (--m->is_own.len - at) * sizeof *m->is_own.items);
}

static size_t find_equal(const spans *s, lc_span r)
{
    for (size_t i = 0; i < s->len; i++)
        if (lc_span_equal(s->items[i], r)) return i;
    return SIZE_MAX;
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

static size_t find_key(const lc_index *i, const spans *s, lc_span r)
{
    for (size_t n = 0; n < s->len; n++)
        if (compare_keys(i, s->items[n], r) == 0) return n;
    return SIZE_MAX;
}

static lc_errno model_insert(model *m, lc_span r)
{
    if (find_equal(&m->rows, r) != SIZE_MAX) return LC_ERRNO_OK;
    lc_index *i;
    for (uint32_t n = 0; (i = lc_table_index(m->table, n)); n++)
        if (lc_index_is_unique(i) && find_key(i, &m->rows, r) != SIZE_MAX)
            return LC_ERRNO_UNIQUE_ALREADY_EXISTS;
    spans_add(&m->rows, r);
    lc_vec_push(&m->is_own, true);
    return LC_ERRNO_OK;
}

static lc_errno model_update(model *m, const lc_index *by, lc_span r)
{
    if (!lc_index_is_unique(by)) return LC_ERRNO_INDEX_NOT_UNIQUE;
    size_t at = find_key(by, &m->rows, r);
    if (at == SIZE_MAX) return LC_ERRNO_NO_SUCH_ROW;
    lc_index *i;
    for (uint32_t n = 0; (i = lc_table_index(m->table, n)); n++) {
        if (!lc_index_is_unique(i) || i == by) continue;
        for (size_t other = 0; other < m->rows.len; other++)
            if (other != at && compare_keys(i, m->rows.items[other], r) == 0)
                return LC_ERRNO_UNIQUE_ALREADY_EXISTS;
    }
    if (!lc_span_equal(m->rows.items[at], r)) m->is_own.items[at] = true;
    replace_at(&m->rows, at, r);
    return LC_ERRNO_OK;
}

/* -------------------------------------------------------------------- steps */

static lc_span random_row(model *m, lc_buf *out)
{
    lc_buf_reset(out);
    lc_buf_reserve(out, 1);
    const lc_type *t = lc_table_row_type(m->table);
    /* Now and then a row as it was before the transaction, or a known one with a column changed. */
    if (m->before.len > 0 && one_in(5)) {
        lc_buf_put_span(out, m->before.items[below((uint32_t)m->before.len)]);
        return lc_buf_span(out);
    }
    if (m->rows.len > 0 && one_in(2)) {
        lc_span known = m->rows.items[below((uint32_t)m->rows.len)];
        uint32_t change = below(t->member_count + 1);
        for (uint32_t c = 0; c < t->member_count; c++) {
            if (c == change)
                put_value(t->members[c].type, m->domain, out);
            else
                lc_buf_put_span(out, lc_layout_column(lc_table_layout(m->table), known.ptr, c));
        }
        return lc_buf_span(out);
    }
    put_value(t, m->domain, out);
    return lc_buf_span(out);
}

static lc_index *random_index(const model *m)
{
    uint32_t count = 0;
    while (lc_table_index(m->table, count)) count++;
    return count ? lc_table_index(m->table, below(count)) : NULL;
}

static const lc_type *key_parts(const lc_index *i, uint32_t part, uint32_t *count)
{
    const lc_type *row = lc_table_row_type(lc_index_table(i));
    const lc_type *only = row->members[lc_index_column_count(i) ? lc_index_column(i, 0) : 0].type;
    if (lc_index_column_count(i) == 1 && only->kind == LC_TYPE_PRODUCT) {
        *count = only->member_count;
        return part < *count ? only->members[part].type : NULL;
    }
    *count = lc_index_column_count(i);
    return part < *count ? row->members[lc_index_column(i, part)].type : NULL;
}

static lc_buf key_of(const lc_index *i, lc_span r)
{
    lc_buf key = LC_BUF_INIT;
    lc_buf_reserve(&key, 1);
    for (uint32_t c = 0; c < lc_index_column_count(i); c++)
        lc_buf_put_span(&key, lc_layout_column(lc_table_layout(lc_index_table(i)), r.ptr,
                                               lc_index_column(i, c)));
    return key;
}

/* Compares the first count parts of two keys. */
static int compare_parts(const lc_index *i, const uint8_t *a, const uint8_t *b, uint32_t count)
{
    uint32_t all;
    for (uint32_t p = 0; p < count; p++) {
        const lc_type *t = key_parts(i, p, &all);
        int order = lc_value_compare(t, a, b);
        if (order != 0) return order;
        a += lc_bsatn_size(t, NULL, a);
        b += lc_bsatn_size(t, NULL, b);
    }
    return 0;
}

static size_t parts_size(const lc_index *i, const uint8_t *key, uint32_t count)
{
    uint32_t all;
    const uint8_t *at = key;
    for (uint32_t p = 0; p < count; p++) at += lc_bsatn_size(key_parts(i, p, &all), NULL, at);
    return (size_t)(at - key);
}

typedef struct ranged {
    const lc_index *index;
    lc_range range;
    bool is_point;
    lc_buf key, start, end; /* owners of what the range borrows */
} ranged;

static ranged random_range(model *m, lc_index *i)
{
    ranged r = {.index = i};
    lc_buf rows[2] = {LC_BUF_INIT, LC_BUF_INIT};
    uint32_t count;
    lc_buf keys[2];
    for (int k = 0; k < 2; k++) {
        lc_span known = m->rows.len && one_in(2) ? m->rows.items[below((uint32_t)m->rows.len)]
                                                 : random_row(m, &rows[k]);
        keys[k] = key_of(i, known);
    }
    r.key = keys[0];
    key_parts(i, 0, &count);
    r.is_point = lc_index_kind(i) == LC_INDEX_HASH || count == 0 || one_in(3);
    if (!r.is_point) {
        uint32_t prefix = below(count);
        const lc_type *t = key_parts(i, prefix, &count);
        lc_buf *bounds[2] = {&r.start, &r.end};
        for (int k = 0; k < 2; k++) {
            uint8_t kind = (uint8_t)below(3);
            lc_buf_put_u8(bounds[k], kind);
            const uint8_t *value = keys[k].ptr + parts_size(i, keys[k].ptr, prefix);
            if (kind != LC_BOUND_UNBOUNDED)
                lc_buf_put(bounds[k], value, lc_bsatn_size(t, NULL, value));
        }
        lc_error err = LC_ERROR_INIT;
        lc_span values = LC_SPAN(r.key.ptr, parts_size(i, r.key.ptr, prefix));
        assert_int_equal(lc_range_decode(i, values, prefix, lc_buf_span(&r.start),
                                         lc_buf_span(&r.end), &r.range, &err),
                         0);
    }
    lc_buf_deinit(&keys[1]);
    lc_buf_deinit(&rows[0]);
    lc_buf_deinit(&rows[1]);
    return r;
}

static void ranged_deinit(ranged *r)
{
    lc_buf_deinit(&r->key);
    lc_buf_deinit(&r->start);
    lc_buf_deinit(&r->end);
}

static bool in_range(const ranged *r, lc_span row)
{
    const lc_index *i = r->index;
    lc_buf key = key_of(i, row);
    uint32_t all;
    bool is_in;
    key_parts(i, 0, &all);
    if (r->is_point) {
        is_in = compare_parts(i, key.ptr, r->key.ptr, all) == 0;
    } else {
        uint32_t prefix = r->range.prefix_columns;
        const lc_type *t = key_parts(i, prefix, &all);
        const uint8_t *value = key.ptr + parts_size(i, key.ptr, prefix);
        is_in = compare_parts(i, key.ptr, r->key.ptr, prefix) == 0;
        if (is_in && r->range.start.kind != LC_BOUND_UNBOUNDED) {
            int order = lc_value_compare(t, value, r->range.start.value.ptr);
            is_in = r->range.start.kind == LC_BOUND_INCLUDED ? order >= 0 : order > 0;
        }
        if (is_in && r->range.end.kind != LC_BOUND_UNBOUNDED) {
            int order = lc_value_compare(t, value, r->range.end.value.ptr);
            is_in = r->range.end.kind == LC_BOUND_INCLUDED ? order <= 0 : order < 0;
        }
    }
    lc_buf_deinit(&key);
    return is_in;
}

/* The model's rows of a range that are the transaction's own, or the others: in key order, equal
 * keys in order of insertion. */
static void expected_part(const model *m, const ranged *r, bool is_own, spans *out)
{
    const size_t first = out->len;
    for (size_t n = 0; n < m->rows.len; n++) {
        if (m->is_own.items[n] != is_own || !in_range(r, m->rows.items[n])) continue;
        spans_add(out, m->rows.items[n]);
        for (size_t at = out->len - 1;
             at > first && compare_keys(r->index, out->items[at - 1], out->items[at]) > 0; at--) {
            lc_span swap = out->items[at];
            out->items[at] = out->items[at - 1];
            out->items[at - 1] = swap;
        }
    }
}

static void step_scan(model *m, lc_index *i)
{
    ranged r = random_range(m, i);
    spans got = {0}, want = {0};
    lc_error err = LC_ERROR_INIT;
    if (r.is_point)
        assert_int_equal(lc_index_scan_point(i, lc_buf_span(&r.key), add_visit, &got, &err), 0);
    else
        assert_int_equal(lc_index_scan_range(i, &r.range, add_visit, &got, &err), 0);
    expected_part(m, &r, true, &want);
    expected_part(m, &r, false, &want);
    assert_spans_equal(&got, &want);
    if (r.is_point && lc_index_is_unique(i)) {
        lc_span found;
        assert_int_equal(lc_index_find(i, lc_buf_span(&r.key), &found), want.len);
        if (want.len) assert_span_equal(found, want.items[0]);
    }
    spans_deinit(&got);
    spans_deinit(&want);
    ranged_deinit(&r);
}

static void step_delete_range(model *m, lc_index *i)
{
    ranged r = random_range(m, i);
    uint32_t deleted, want = 0;
    if (r.is_point)
        assert_int_equal(lc_index_delete_point(i, lc_buf_span(&r.key), &deleted, NULL), 0);
    else
        assert_int_equal(lc_index_delete_range(i, &r.range, &deleted, NULL), 0);
    for (size_t n = m->rows.len; n-- > 0;) {
        if (!in_range(&r, m->rows.items[n])) continue;
        model_remove(m, n);
        want++;
    }
    assert_int_equal(deleted, want);
    ranged_deinit(&r);
}

static void step(model *m)
{
    lc_buf scratch = LC_BUF_INIT;
    lc_index *i = random_index(m);
    lc_write w;
    lc_error err = LC_ERROR_INIT;
    uint32_t choice = below(100);
    if (choice < (m->domain == DOMAIN_FEW ? 45 : 60)) {
        lc_span r = random_row(m, &scratch);
        size_t had = m->rows.len;
        assert_int_equal(lc_table_insert(m->table, r, &w, &err), model_insert(m, r));
        if (!err.code) {
            assert_span_equal(w.row, r);
            assert_int_equal(w.changed, m->rows.len > had);
        }
    } else if (choice < 70 && i) {
        lc_span r = random_row(m, &scratch);
        assert_int_equal(lc_table_update(m->table, lc_index_id(i), r, &w, &err),
                         model_update(m, i, r));
        if (!err.code) assert_span_equal(w.row, r);
    } else if (choice < (m->domain == DOMAIN_FEW ? 77 : 73)) {
        lc_span r = m->rows.len && !one_in(4) ? m->rows.items[below((uint32_t)m->rows.len)]
                                              : random_row(m, &scratch);
        size_t at = find_equal(&m->rows, r);
        assert_int_equal(lc_table_delete_row(m->table, r), at != SIZE_MAX);
        if (at != SIZE_MAX) model_remove(m, at);
    } else if (choice < 79 && i && (m->domain == DOMAIN_FEW || one_in(12))) {
        step_delete_range(m, i);
    } else if (one_in(m->domain == DOMAIN_FEW ? 60 : 600)) {
        assert_int_equal(lc_table_clear(m->table), m->rows.len);
        spans_deinit(&m->rows);
        m->is_own.len = 0;
    } else if (i) {
        step_scan(m, i);
    }
    assert_int_equal(lc_table_row_count(m->table), m->rows.len);
    lc_error_clear(&err);
    lc_buf_deinit(&scratch);
}

/* ------------------------------------------------------------- transactions */

static void check_rows(model *m)
{
    spans got = {0}, want = {0};
    collect_sorted(m->table, &got);
    copy_spans(&want, &m->rows);
    spans_sort(&want);
    assert_spans_equal(&got, &want);
    spans_deinit(&got);
    spans_deinit(&want);
    check_indexes(m->table);
}

static bool has_row(const spans *sorted, lc_span r)
{
    size_t lo = 0, hi = sorted->len;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        int c = lc_span_compare(sorted->items[mid], r);
        if (c == 0) return true;
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return false;
}

/* The rows before, without what was deleted, with what was inserted, are the rows now. */
static void check_delta(const model *m, const lc_delta *d)
{
    const lc_table_delta *td = delta_of(d, m->table);
    const lc_table_delta none = {0};
    if (!td) td = &none;
    if (td != &none) assert_true(td->insert_count + td->delete_count > 0);
    spans before = {0}, now = {0};
    copy_spans(&before, &m->before);
    copy_spans(&now, &m->rows);
    spans_sort(&before);
    spans_sort(&now);
    for (uint32_t i = 0; i < td->insert_count; i++) {
        assert_true(has_row(&now, td->inserts[i]));
        assert_false(has_row(&before, td->inserts[i]));
    }
    for (uint32_t i = 0; i < td->delete_count; i++) {
        assert_true(has_row(&before, td->deletes[i]));
        assert_false(has_row(&now, td->deletes[i]));
    }
    assert_int_equal(before.len + td->insert_count, now.len + td->delete_count);
    assert_int_equal(td->is_truncate, td->delete_count > 0 && now.len == 0);
    spans_deinit(&before);
    spans_deinit(&now);
}

typedef LC_VEC(lc_buf) chunks;

typedef struct world {
    lc_store *store;
    model models[4];
    uint32_t count;
    lc_buf log; /* u32 length, mutations; per logged transaction */
    chunks image;
    size_t image_at; /* of the log */
} world;

static void log_delta(world *w, const lc_delta *d)
{
    if (!d->is_logged) return;
    size_t at = w->log.len;
    lc_buf_put_u32(&w->log, 0);
    lc_delta_encode(d, &w->log);
    lc_store_u32(w->log.ptr + at, (uint32_t)(w->log.len - at - 4));
}

static void transaction(world *w, uint32_t steps)
{
    lc_store_begin(w->store);
    for (uint32_t n = 0; n < w->count; n++) {
        model *m = &w->models[n];
        copy_spans(&m->before, &m->rows);
        m->is_own.len = 0;
        while (m->is_own.len < m->rows.len) lc_vec_push(&m->is_own, false);
    }
    while (steps-- > 0) step(&w->models[below(w->count)]);
    if (one_in(4)) {
        lc_store_rollback(w->store);
        for (uint32_t n = 0; n < w->count; n++)
            copy_spans(&w->models[n].rows, &w->models[n].before);
    } else {
        const lc_delta *d = lc_store_commit(w->store);
        for (uint32_t n = 0; n < w->count; n++) {
            model *m = &w->models[n];
            check_delta(m, d);
            if (lc_table_is_event(m->table)) spans_deinit(&m->rows);
        }
        for (uint32_t n = 1; n < d->table_count; n++)
            assert_true(d->tables[n].table_id > d->tables[n - 1].table_id);
        log_delta(w, d);
    }
    for (uint32_t n = 0; n < w->count; n++) check_rows(&w->models[n]);
}

/* --------------------------------------------------------------------- runs */

static void random_index_def(table_builder *b)
{
    uint32_t columns[3], count = one_in(20) ? 0 : 1 + below(one_in(2) ? 3 : 1);
    if (count > b->def.column_count) count = b->def.column_count;
    for (uint32_t c = 0; c < count; c++) {
        bool is_new = false;
        while (!is_new) {
            columns[c] = below(b->def.column_count);
            is_new = true;
            for (uint32_t k = 0; k < c; k++) is_new &= columns[k] != columns[c];
        }
    }
    char list[32] = "";
    for (uint32_t c = 0; c < count; c++)
        snprintf(list + strlen(list), 8, "%s%u", c ? "," : "", columns[c]);
    uint32_t kind = below(3);
    bool is_unique = one_in(2);
    if (kind == LC_INDEX_DIRECT) {
        const lc_type *t = count ? b->def.columns[columns[0]].type : NULL;
        bool is_small =
            t && (t->kind == LC_TYPE_U8 || t->kind == LC_TYPE_U16 || t->kind == LC_TYPE_U32 ||
                  t->kind == LC_TYPE_U64 || lc_type_is_plain_enum(t));
        if (count != 1 || !is_small) kind = LC_INDEX_BTREE;
        is_unique |= kind == LC_INDEX_DIRECT;
    }
    uint32_t indexes = b->def.index_count, constraints = b->def.constraint_count;
    tb_index(b, (lc_index_algorithm)kind, is_unique, list);
    /* Names must differ. */
    for (uint32_t n = 0; n < indexes; n++) {
        const lc_index_def *other = &b->def.indexes[n], *made = &b->def.indexes[indexes];
        if (!lc_span_equal(other->name, made->name)) continue;
        memset(&b->def.indexes[indexes], 0, sizeof *b->def.indexes);
        b->def.index_count = indexes;
        b->def.constraint_count = constraints;
        return;
    }
}

typedef enum shape {
    SHAPE_ANY,
    SHAPE_NUMBERS, /* a unique integer first */
    SHAPE_PAIRS,   /* two unique bytes: rows move past each other */
} shape;

static void add_model(world *w, domain d, shape shape)
{
    model *m = &w->models[w->count];
    char name[16];
    snprintf(name, sizeof name, "table%u", w->count++);
    table_builder b;
    tb_init(&b, name);
    uint32_t columns = shape == SHAPE_PAIRS ? 2 : 1 + below(5);
    for (uint32_t c = 0; c < columns; c++) {
        char column[16];
        snprintf(column, sizeof column, "c%u", c);
        const lc_type *t = random_type();
        if (shape == SHAPE_NUMBERS && c == 0) t = one_in(2) ? TY(U32) : TY(I64);
        if (shape == SHAPE_PAIRS) t = TY(U8);
        tb_column(&b, column, t);
    }
    if (shape != SHAPE_ANY) tb_index(&b, (lc_index_algorithm)below(2), true, "0");
    if (shape == SHAPE_PAIRS) tb_index(&b, (lc_index_algorithm)below(2), true, "1");
    uint32_t indexes = below(shape == SHAPE_ANY ? 5 : 2);
    while (indexes-- > 0) random_index_def(&b);
    b.def.is_event = shape == SHAPE_ANY && one_in(8);
    *m = (model){.domain = d};
    m->table = tb_create_in_tx(&b, w->store);
}

static void chunks_deinit(chunks *c)
{
    LC_VEC_EACH (chunk, c) {
        lc_buf_deinit(chunk);
    }
    lc_vec_deinit(c);
}

static void take_image(world *w)
{
    chunks_deinit(&w->image);
    w->image_at = w->log.len;
    size_t target = one_in(2) ? 1 + below(200) : 1 << 20;
    lc_image *image = lc_store_freeze(w->store);
    lc_buf chunk = LC_BUF_INIT;
    while (lc_image_next_chunk(image, target, &chunk)) {
        lc_vec_push(&w->image, chunk);
        chunk = (lc_buf)LC_BUF_INIT;
    }
    lc_buf_deinit(&chunk);
    lc_image_release(image);
}

/* A store from the image, if there is one, and the log behind it. */
static lc_store *restart(const world *w)
{
    lc_store *s = lc_store_create();
    lc_error err = LC_ERROR_INIT;
    lc_store_replay_begin(s);
    for (size_t n = 0; n < w->image.len; n++)
        assert_ok(lc_store_load_chunk(s, lc_buf_span(&w->image.items[n]), &err), &err);
    for (size_t at = w->image_at; at < w->log.len;) {
        uint32_t len = lc_load_u32(w->log.ptr + at);
        size_t used;
        assert_ok(lc_store_replay_tx(s, LC_SPAN(w->log.ptr + at + 4, len), &used, &err), &err);
        assert_int_equal(used, len);
        at += 4 + len;
    }
    assert_ok(lc_store_replay_end(s, &err), &err);
    return s;
}

static void check_same(const lc_store *store, const lc_store *copy)
{
    uint32_t at = 0, at_copy = 0;
    for (lc_table *t; (t = lc_store_next_table(store, &at));) {
        lc_table *other = lc_store_next_table(copy, &at_copy);
        assert_non_null(other);
        assert_int_equal(lc_table_id(other), lc_table_id(t));
        assert_int_equal(lc_table_row_count(other), lc_table_row_count(t));
        spans a = {0}, b = {0};
        collect_sorted(t, &a);
        collect_sorted(other, &b);
        assert_spans_equal(&a, &b);
        spans_deinit(&a);
        spans_deinit(&b);
        lc_index *i;
        for (uint32_t n = 0; (i = lc_table_index(t, n)); n++) {
            lc_index *twin = lc_table_index(other, n);
            assert_span_equal(lc_index_name(twin), lc_index_name(i));
            assert_int_equal(lc_index_is_unique(twin), lc_index_is_unique(i));
        }
        check_indexes(other);
    }
    assert_null(lc_store_next_table(copy, &at_copy));
}

static void check_restart(const world *w)
{
    lc_store *copy = restart(w);
    check_same(w->store, copy);
    lc_store_destroy(copy);
}

/* From here on with a store that was loaded from an image of this one. */
static void change_stores(world *w)
{
    take_image(w);
    lc_store *copy = restart(w);
    check_same(w->store, copy);
    lc_store_destroy(w->store);
    w->store = copy;
    for (uint32_t n = 0; n < w->count; n++) {
        char name[16];
        snprintf(name, sizeof name, "table%u", n);
        w->models[n].table = lc_store_table_by_name(copy, lc_span_of_str(name));
        assert_non_null(w->models[n].table);
    }
}

static void run(uint64_t run_seed, domain d, shape shape, uint32_t transactions, uint32_t steps)
{
    seed = run_seed;
    world w = {.store = lc_store_create()};
    lc_store_begin(w.store);
    uint32_t tables = shape == SHAPE_ANY ? 1 + below(3) : 1;
    while (tables-- > 0) add_model(&w, d, shape);
    log_delta(&w, lc_store_commit(w.store));
    const uint32_t half = transactions / 2;
    while (transactions-- > 0) {
        transaction(&w, 1 + below(steps));
        if (transactions == half) {
            check_restart(&w);
            take_image(&w);
        }
    }
    check_restart(&w);
    change_stores(&w);
    for (transactions = 1 + half / 4; transactions > 0; transactions--)
        transaction(&w, 1 + below(steps));
    check_restart(&w);
    for (uint32_t n = 0; n < w.count; n++) {
        spans_deinit(&w.models[n].rows);
        spans_deinit(&w.models[n].before);
        lc_vec_deinit(&w.models[n].is_own);
    }
    chunks_deinit(&w.image);
    lc_buf_deinit(&w.log);
    lc_store_destroy(w.store);
    lc_arena_deinit(&types);
    types = LC_ARENA_INIT;
}

/* LC_MODEL_SEED=n starts elsewhere, LC_MODEL_RUNS=n goes on longer. */
static uint64_t setting(const char *name, uint64_t otherwise)
{
    const char *value = getenv(name);
    return value ? strtoull(value, NULL, 0) : otherwise;
}

LC_TEST(few_values_many_clashes)
{
    uint64_t first = setting("LC_MODEL_SEED", 1), runs = setting("LC_MODEL_RUNS", 250);
    for (uint64_t n = 0; n < runs; n++) run(first + n, DOMAIN_FEW, SHAPE_ANY, 40, 24);
}

LC_TEST(rows_that_change_places)
{
    uint64_t first = setting("LC_MODEL_SEED", 1), runs = setting("LC_MODEL_RUNS", 30);
    for (uint64_t n = 0; n < runs; n++) run(first + n, DOMAIN_FEW, SHAPE_PAIRS, 60, 80);
}

LC_TEST(many_rows)
{
    uint64_t first = setting("LC_MODEL_SEED", 1), runs = setting("LC_MODEL_RUNS", 24);
    for (uint64_t n = 0; n < runs; n++)
        run(first + n, n % 2 ? DOMAIN_SPARSE : DOMAIN_DENSE, n % 3 ? SHAPE_ANY : SHAPE_NUMBERS, 24,
            800);
}

int main(void)
{
    return LC_TEST_RUN(cmocka_unit_test(few_values_many_clashes),
                       cmocka_unit_test(rows_that_change_places), cmocka_unit_test(many_rows));
}
