/*
 * Every kind of index over every type a key may have: random operations against a sorted array of
 * rows. Tables have an id that only rises, the key columns, and the one index; some have a unique
 * index on the id as well, so that rows can change their key. Values come from a pool with all the
 * edges a type has, small enough that keys meet.
 *
 * LC_INDEX_SEED=n starts elsewhere, LC_INDEX_STEPS=n goes on longer (steps per index).
 */
#include "fixture.h"

static uint64_t seed;
static uint64_t total_steps;

static uint32_t below(uint32_t n)
{
    return (uint32_t)(lc_test_random(&seed) % n);
}

static bool one_in(uint32_t n)
{
    return below(n) == 0;
}

/* ------------------------------------------------------------------- values */

static void put_number(lc_buf *out, size_t size, bool is_dense)
{
    uint8_t bytes[32] = {0};
    if (is_dense) {
        lc_store_u32(bytes, below(2000));
    } else if (one_in(3)) { /* about zero, the ends, and where the sign is */
        memset(bytes, one_in(2) ? 0x00 : 0xff, sizeof bytes);
        if (one_in(2)) bytes[size - 1] ^= 0x80;
        bytes[0] ^= (uint8_t)below(3);
    } else {
        for (size_t i = 0; i < size; i++) bytes[i] = (uint8_t)below(256);
    }
    lc_buf_put(out, bytes, size);
}

static void put_float(lc_buf *out, bool is_double)
{
    static const uint64_t doubles[] = {0x0000000000000000, 0x8000000000000000, 0x3ff0000000000000,
                                       0xbff0000000000000, 0x7ff0000000000000, 0xfff0000000000000,
                                       0x7ff8000000000000, 0xfff8000000000001, 0x7ff4000000000000,
                                       0x0000000000000001, 0x8000000000000001, 0x7fefffffffffffff};
    static const uint32_t floats[] = {0x00000000, 0x80000000, 0x3f800000, 0xbf800000,
                                      0x7f800000, 0xff800000, 0x7fc00000, 0xffc00001,
                                      0x7fa00000, 0x00000001, 0x80000001, 0x7f7fffff};
    if (is_double)
        lc_buf_put_u64(out, one_in(2) ? doubles[below(12)] : lc_test_random(&seed));
    else
        lc_buf_put_u32(out, one_in(2) ? floats[below(12)] : (uint32_t)lc_test_random(&seed));
}

/* Strings that are beginnings of each other, differ around the 8th, 16th and 128th byte, and have
 * bytes that a key must escape. */
static void put_text(lc_buf *out, bool is_utf8)
{
    static const uint8_t lengths[] = {0, 0, 1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 127, 128, 140};
    uint8_t text[160];
    size_t len = lengths[below(LC_ARRAY_LEN(lengths))];
    memset(text, one_in(2) ? 'a' : 0, sizeof text);
    if (len > 0 && one_in(2)) text[len - 1] = (uint8_t)below(3);
    if (len > 0 && one_in(2)) text[below((uint32_t)len)] = is_utf8 ? 0x7f : 0xff;
    lc_buf_put_lenstr(out, LC_SPAN(text, len));
}

static void put_value(const lc_type *t, bool is_dense, lc_buf *out)
{
    switch (t->kind) {
    case LC_TYPE_SUM: {
        uint32_t tag = below(t->member_count);
        lc_buf_put_u8(out, (uint8_t)tag);
        put_value(t->members[tag].type, is_dense, out);
        break;
    }
    case LC_TYPE_PRODUCT:
        for (uint32_t m = 0; m < t->member_count; m++) put_value(t->members[m].type, is_dense, out);
        break;
    case LC_TYPE_STRING:
        put_text(out, true);
        break;
    case LC_TYPE_ARRAY: {
        if (lc_type_is_bytes(t)) {
            put_text(out, false);
            break;
        }
        uint32_t n = below(4);
        lc_buf_put_u32(out, n);
        while (n-- > 0) put_value(t->element, is_dense, out);
        break;
    }
    case LC_TYPE_BOOL:
        lc_buf_put_u8(out, (uint8_t)below(2));
        break;
    case LC_TYPE_F32:
        put_float(out, false);
        break;
    case LC_TYPE_F64:
        put_float(out, true);
        break;
    default:
        put_number(out, (size_t)t->fixed_size, is_dense && t->fixed_size >= 4);
    }
}

/* -------------------------------------------------------------------- model */

typedef struct entry {
    lc_span row;
    uint64_t place; /* among equal keys: order of insertion */
    bool is_own;    /* of the open transaction, which scans tell apart */
} entry;
typedef LC_VEC(entry) entries;

typedef struct model {
    lc_store *store;
    lc_table *table;
    lc_index *index; /* under test; columns 1.. of the row, in order */
    lc_index *by_id; /* or NULL */
    const lc_type *const *columns;
    uint32_t column_count;
    const lc_type *const *parts; /* what ranges speak of */
    uint32_t part_count;
    lc_arena rows;
    entries now, before; /* sorted; before: when the transaction began */
    uint64_t next_place;
    uint32_t next_id;
    LC_VEC(lc_span) pool; /* keys */
} model;

static lc_span key_of(lc_span row)
{
    return LC_SPAN(row.ptr + sizeof(uint32_t), row.len - sizeof(uint32_t));
}

static int compare_values(const lc_type *const *types, uint32_t count, const uint8_t *a,
                          const uint8_t *b)
{
    for (uint32_t n = 0; n < count; n++) {
        int order = lc_value_compare(types[n], a, b);
        if (order != 0) return order;
        a += lc_bsatn_size(types[n], NULL, a);
        b += lc_bsatn_size(types[n], NULL, b);
    }
    return 0;
}

static int compare_keys(const model *m, lc_span a, lc_span b)
{
    return compare_values(m->columns, m->column_count, a.ptr, b.ptr);
}

/* The first entry that is not before the key and place. */
static size_t rank(const model *m, lc_span key, uint64_t place)
{
    size_t lo = 0, hi = m->now.len;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        const entry *e = &m->now.items[mid];
        int order = compare_keys(m, key_of(e->row), key);
        if (order < 0 || (order == 0 && e->place < place))
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static bool has_key(const model *m, lc_span key, size_t *at)
{
    *at = rank(m, key, 0);
    return *at < m->now.len && compare_keys(m, key_of(m->now.items[*at].row), key) == 0;
}

static void add_entry(model *m, entry e)
{
    e.row = lc_arena_copy(&m->rows, e.row);
    size_t at = rank(m, key_of(e.row), e.place);
    lc_vec_push(&m->now, e);
    memmove(m->now.items + at + 1, m->now.items + at, (m->now.len - 1 - at) * sizeof e);
    m->now.items[at] = e;
}

static void remove_entry(model *m, size_t at)
{
    memmove(m->now.items + at, m->now.items + at + 1, (--m->now.len - at) * sizeof(entry));
}

static lc_span make_row(uint32_t id, lc_span key)
{
    static lc_buf b;
    lc_buf_reset(&b);
    lc_buf_put_u32(&b, id);
    lc_buf_put_span(&b, key);
    return lc_buf_span(&b);
}

static lc_span some_key(const model *m)
{
    if (m->now.len > 0 && one_in(2)) return key_of(m->now.items[below((uint32_t)m->now.len)].row);
    return m->pool.items[below((uint32_t)m->pool.len)];
}

/* -------------------------------------------------------------------- steps */

static void step_insert(model *m)
{
    lc_write w;
    size_t at;
    lc_span key = m->pool.items[below((uint32_t)m->pool.len)];
    lc_span r = make_row(m->next_id++, key);
    bool is_clash = lc_index_is_unique(m->index) && has_key(m, key, &at);
    assert_int_equal(lc_table_insert(m->table, r, &w, NULL),
                     is_clash ? LC_ERRNO_UNIQUE_ALREADY_EXISTS : LC_ERRNO_OK);
    if (!is_clash) add_entry(m, (entry){r, m->next_place++, true});
}

static void step_insert_again(model *m)
{
    if (m->now.len == 0) return;
    lc_write w;
    lc_span r = m->now.items[below((uint32_t)m->now.len)].row;
    assert_int_equal(lc_table_insert(m->table, r, &w, NULL), LC_ERRNO_OK);
    assert_false(w.changed);
}

static void step_delete(model *m)
{
    if (m->now.len == 0) return;
    size_t at = below((uint32_t)m->now.len);
    assert_true(lc_table_delete_row(m->table, m->now.items[at].row));
    assert_false(lc_table_delete_row(m->table, m->now.items[at].row));
    remove_entry(m, at);
}

/* Another row, perhaps with other bytes of an equal key, takes a row's place in the index. */
static void step_update(model *m)
{
    lc_write w;
    size_t at;
    lc_span key = one_in(2) ? some_key(m) : m->pool.items[below((uint32_t)m->pool.len)];
    lc_span r = make_row(m->next_id++, key);
    lc_errno want = LC_ERRNO_OK;
    bool is_there = has_key(m, key, &at);
    if (!lc_index_is_unique(m->index))
        want = LC_ERRNO_INDEX_NOT_UNIQUE;
    else if (!is_there)
        want = LC_ERRNO_NO_SUCH_ROW;
    assert_int_equal(lc_table_update(m->table, lc_index_id(m->index), r, &w, NULL), want);
    if (want != LC_ERRNO_OK) return;
    m->now.items[at].row = lc_arena_copy(&m->rows, r);
    m->now.items[at].is_own = true;
}

/* A row moves to another key, found by its id. */
static void step_move(model *m)
{
    if (m->now.len == 0 || !m->by_id) return;
    lc_write w;
    size_t from = below((uint32_t)m->now.len), at;
    entry e = m->now.items[from];
    lc_span key = some_key(m);
    bool is_clash = lc_index_is_unique(m->index) && has_key(m, key, &at) && at != from;
    lc_span r = make_row(lc_load_u32(e.row.ptr), key);
    assert_int_equal(lc_table_update(m->table, lc_index_id(m->by_id), r, &w, NULL),
                     is_clash ? LC_ERRNO_UNIQUE_ALREADY_EXISTS : LC_ERRNO_OK);
    if (is_clash || lc_span_equal(r, e.row)) return;
    e.row = lc_arena_copy(&m->rows, r);
    e.is_own = true;
    remove_entry(m, from);
    add_entry(m, e);
}

/* --------------------------------------------------------------------- ranges */

typedef struct wanted {
    bool is_point;
    lc_span key; /* the whole one, or what the prefix is taken from */
    lc_range range;
    lc_buf start, end; /* owners of the bounds */
} wanted;

static const uint8_t *part_of(const model *m, const uint8_t *key, uint32_t part)
{
    for (uint32_t p = 0; p < part; p++) key += lc_bsatn_size(m->parts[p], NULL, key);
    return key;
}

static wanted some_range(model *m)
{
    wanted w = {.key = some_key(m)};
    w.is_point = lc_index_kind(m->index) == LC_INDEX_HASH || m->part_count == 0 || one_in(4);
    if (w.is_point) return w;
    const uint32_t prefix = below(m->part_count);
    const lc_type *type = m->parts[prefix];
    lc_buf *bounds[] = {&w.start, &w.end};
    for (int b = 0; b < 2; b++) {
        const uint8_t *value = part_of(m, some_key(m).ptr, prefix);
        const uint8_t kind = (uint8_t)below(3);
        lc_buf_put_u8(bounds[b], kind);
        if (kind != LC_BOUND_UNBOUNDED)
            lc_buf_put(bounds[b], value, lc_bsatn_size(type, NULL, value));
    }
    lc_span values = LC_SPAN(w.key.ptr, (size_t)(part_of(m, w.key.ptr, prefix) - w.key.ptr));
    lc_error err = LC_ERROR_INIT;
    lc_errno e = lc_range_decode(m->index, values, prefix, lc_buf_span(&w.start),
                                 lc_buf_span(&w.end), &w.range, &err);
    if (e != LC_ERRNO_OK) fail_msg("%s", lc_error_text(&err));
    return w;
}

static void wanted_deinit(wanted *w)
{
    lc_buf_deinit(&w->start);
    lc_buf_deinit(&w->end);
}

static bool is_wanted(const model *m, const wanted *w, lc_span row)
{
    lc_span key = key_of(row);
    if (w->is_point) return compare_keys(m, key, w->key) == 0;
    const uint32_t prefix = w->range.prefix_columns;
    if (compare_values(m->parts, prefix, key.ptr, w->key.ptr) != 0) return false;
    const lc_type *type = m->parts[prefix];
    const uint8_t *value = part_of(m, key.ptr, prefix);
    const lc_bound *start = &w->range.start, *end = &w->range.end;
    if (start->kind != LC_BOUND_UNBOUNDED) {
        int order = lc_value_compare(type, value, start->value.ptr);
        if (order < 0 || (order == 0 && start->kind == LC_BOUND_EXCLUDED)) return false;
    }
    if (end->kind != LC_BOUND_UNBOUNDED) {
        int order = lc_value_compare(type, value, end->value.ptr);
        if (order > 0 || (order == 0 && end->kind == LC_BOUND_EXCLUDED)) return false;
    }
    return true;
}

typedef LC_VEC(lc_span) found_rows;

static bool note_row(void *arg, lc_span row)
{
    found_rows *f = arg;
    lc_vec_push(f, row);
    return true;
}

/* Own rows first, then the others; each part in order. */
static void step_scan(model *m)
{
    static found_rows found;
    wanted w = some_range(m);
    found.len = 0;
    lc_errno e = w.is_point ? lc_index_scan_point(m->index, w.key, note_row, &found, NULL)
                            : lc_index_scan_range(m->index, &w.range, note_row, &found, NULL);
    assert_int_equal(e, LC_ERRNO_OK);
    size_t n = 0;
    for (int is_own = 1; is_own >= 0; is_own--) {
        LC_VEC_EACH (x, &m->now) {
            if (x->is_own != is_own || !is_wanted(m, &w, x->row)) continue;
            assert_true(n < found.len);
            assert_true(lc_span_equal(found.items[n++], x->row));
        }
    }
    assert_int_equal(n, found.len);
    wanted_deinit(&w);
}

static void step_find(model *m)
{
    if (!lc_index_is_unique(m->index)) {
        step_scan(m);
        return;
    }
    lc_span key = some_key(m), row;
    size_t at;
    bool is_there = has_key(m, key, &at);
    assert_int_equal(lc_index_find(m->index, key, &row), is_there);
    if (is_there) assert_true(lc_span_equal(row, m->now.items[at].row));
}

static void step_delete_range(model *m)
{
    wanted w = some_range(m);
    uint32_t deleted, want = 0;
    lc_errno e = w.is_point ? lc_index_delete_point(m->index, w.key, &deleted, NULL)
                            : lc_index_delete_range(m->index, &w.range, &deleted, NULL);
    assert_int_equal(e, LC_ERRNO_OK);
    for (size_t n = m->now.len; n-- > 0;) {
        if (!is_wanted(m, &w, m->now.items[n].row)) continue;
        remove_entry(m, n);
        want++;
    }
    assert_int_equal(deleted, want);
    wanted_deinit(&w);
}

static void step(model *m, uint32_t size)
{
    /* Large tables: not all the time from end to end. */
    const uint32_t choice = below(1000);
    const bool is_scanned = size <= 500 || one_in(20);
    if (choice < 430)
        step_insert(m);
    else if (choice < 440)
        step_insert_again(m);
    else if (choice < 540)
        step_delete(m);
    else if (choice < 620)
        step_update(m);
    else if (choice < 720)
        step_move(m);
    else if (choice < 850)
        step_find(m);
    else if (choice < 965 && is_scanned)
        step_scan(m);
    else if (choice < 997 && is_scanned && one_in(size / 40 + 1))
        step_delete_range(m);
    else if (choice == 999 && one_in(size / 40 + 1))
        m->now.len -= lc_table_clear(m->table);
    assert_int_equal(lc_table_row_count(m->table), m->now.len);
    total_steps++;
}

/* ------------------------------------------------------------- transactions */

static void begin(model *m)
{
    lc_store_begin(m->store);
    m->before.len = 0;
    LC_VEC_EACH (e, &m->now) {
        e->is_own = false;
        lc_vec_push(&m->before, *e);
    }
}

static void end(model *m)
{
    if (one_in(3)) {
        lc_store_rollback(m->store);
        m->now.len = 0;
        LC_VEC_EACH (e, &m->before) {
            lc_vec_push(&m->now, *e);
        }
    } else {
        commit(m->store);
        LC_VEC_EACH (e, &m->now) {
            e->is_own = false;
        }
    }
    if (lc_index_kind(m->index) == LC_INDEX_HASH) return;
    lc_range all = {.start.kind = LC_BOUND_UNBOUNDED, .end.kind = LC_BOUND_UNBOUNDED};
    static found_rows found;
    found.len = 0;
    assert_int_equal(lc_index_scan_range(m->index, &all, note_row, &found, NULL), 0);
    assert_int_equal(found.len, m->now.len);
    for (size_t n = 0; n < found.len; n++)
        assert_true(lc_span_equal(found.items[n], m->now.items[n].row));
}

typedef struct shape {
    lc_index_algorithm algorithm;
    bool is_unique, has_id;
    uint32_t pool, steps;
} shape;

static void run(const lc_type *const *columns, uint32_t count, const shape *sh)
{
    model m = {.store = lc_store_create(), .columns = columns, .column_count = count};
    const lc_type *parts[8];
    m.parts = columns;
    m.part_count = count;
    if (count == 1 && columns[0]->kind == LC_TYPE_PRODUCT) {
        m.part_count = columns[0]->member_count;
        for (uint32_t p = 0; p < m.part_count; p++) parts[p] = columns[0]->members[p].type;
        m.parts = parts;
    }
    table_builder b;
    char list[32] = "", name[8];
    tb_init(&b, "t");
    tb_column(&b, "id", TY(U32));
    for (uint32_t c = 0; c < count; c++) {
        snprintf(name, sizeof name, "c%u", c % 100);
        tb_column(&b, name, columns[c]);
        snprintf(list + strlen(list), 8, "%s%u", c ? "," : "", c % 100 + 1);
    }
    tb_index(&b, sh->algorithm, sh->is_unique, list);
    if (sh->has_id) tb_index(&b, LC_INDEX_BTREE, true, "0");
    m.table = tb_create(&b, m.store);
    m.index = lc_table_index(m.table, 0);
    m.by_id = lc_table_index(m.table, 1);

    const bool is_dense = one_in(3);
    lc_buf key = LC_BUF_INIT;
    for (uint32_t n = 0; n < sh->pool; n++) {
        lc_buf_reset(&key);
        lc_buf_reserve(&key, 1);
        for (uint32_t c = 0; c < count; c++) put_value(columns[c], is_dense, &key);
        lc_vec_push(&m.pool, lc_arena_copy(&m.rows, lc_buf_span(&key)));
    }
    lc_buf_deinit(&key);

    for (uint32_t n = 0; n < sh->steps;) {
        begin(&m);
        for (uint32_t k = 1 + below(sh->pool); k > 0 && n < sh->steps; k--, n++) step(&m, sh->pool);
        end(&m);
    }
    check_indexes(m.table);
    lc_vec_deinit(&m.pool);
    lc_vec_deinit(&m.now);
    lc_vec_deinit(&m.before);
    lc_arena_deinit(&m.rows);
    lc_store_destroy(m.store);
}

/* -------------------------------------------------------------------- types */

static uint64_t setting(const char *name, uint64_t otherwise)
{
    const char *value = getenv(name);
    return value ? strtoull(value, NULL, 0) : otherwise;
}

static bool suits_direct(const lc_type *t)
{
    return t->kind == LC_TYPE_U8 || t->kind == LC_TYPE_U16 || t->kind == LC_TYPE_U32 ||
           t->kind == LC_TYPE_U64 || lc_type_is_plain_enum(t);
}

/* All kinds of indexes that these columns can have. */
static void run_kinds(const lc_type *const *columns, uint32_t count)
{
    static const uint32_t pools[] = {12, 90, 300};
    for (uint32_t kind = 0; kind < 5; kind++) {
        shape sh = {.algorithm = kind < 2   ? LC_INDEX_BTREE
                                 : kind < 4 ? LC_INDEX_HASH
                                            : LC_INDEX_DIRECT,
                    .is_unique = kind % 2 == 0};
        if (sh.algorithm == LC_INDEX_DIRECT && (count != 1 || !suits_direct(columns[0]))) continue;
        for (uint32_t n = 0; n < LC_ARRAY_LEN(pools); n++) {
            sh.has_id = (kind + n) % 2;
            sh.pool = pools[n];
            sh.steps = (uint32_t)setting("LC_INDEX_STEPS", 2000);
            run(columns, count, &sh);
        }
    }
}

static lc_arena types;

static const lc_type *product(uint32_t count, const lc_type *a, const lc_type *b, const lc_type *c)
{
    lc_type_member m[] = {{LC_STR("x"), a}, {LC_STR("y"), b}, {LC_STR("z"), c}};
    return lc_type_new_product(&types, m, count);
}

static const lc_type *sum(const lc_type *a, const lc_type *b, const lc_type *c)
{
    lc_type_member m[] = {{LC_STR("a"), a}, {LC_STR("b"), b}, {LC_STR("c"), c}};
    return lc_type_new_sum(&types, m, 3);
}

LC_TEST(numbers)
{
    seed = setting("LC_INDEX_SEED", 1);
    for (lc_type_kind kind = LC_TYPE_BOOL; kind <= LC_TYPE_F64; kind++) {
        const lc_type *column = lc_type_scalar(kind);
        if (column) run_kinds(&column, 1);
    }
}

LC_TEST(other_columns)
{
    seed = setting("LC_INDEX_SEED", 2);
    const lc_type *unit = lc_type_unit();
    const lc_type *const columns[] = {
        TY(STRING),
        lc_type_bytes(),
        lc_type_new_array(&types, TY(I16)),
        lc_type_new_array(&types, TY(STRING)),
        sum(unit, unit, unit),
        sum(TY(U8), TY(STRING), unit),
        sum(TY(F64), TY(I128), product(2, TY(BOOL), TY(U32), NULL)),
        lc_type_new_option(&types, TY(U32)),
        lc_type_new_option(&types, TY(STRING)),
        lc_type_new_option(&types, lc_type_new_option(&types, TY(BOOL))),
        product(1, TY(I64), NULL, NULL),
        product(2, TY(I16), TY(U16), NULL),
        product(3, TY(U32), TY(STRING), TY(F32)),
        unit,
        lc_type_identity(),
        lc_type_connection_id(),
        lc_type_timestamp(),
        lc_type_duration(),
        lc_type_uuid(),
    };
    for (size_t n = 0; n < LC_ARRAY_LEN(columns); n++) run_kinds(&columns[n], 1);
    lc_arena_deinit(&types);
    types = LC_ARENA_INIT;
}

LC_TEST(several_columns)
{
    seed = setting("LC_INDEX_SEED", 3);
    const lc_type *unit = lc_type_unit();
    const lc_type *small = sum(unit, unit, unit);
    const lc_type *const columns[][4] = {
        {TY(U8), TY(U8)},
        {TY(BOOL), small, TY(U8), TY(I8)},
        {small, TY(U32)},
        {TY(I32), TY(I32)},
        {small, TY(U64)},
        {TY(I256), TY(U8)},
        {TY(BOOL), TY(STRING)},
        {TY(STRING), TY(BOOL)},
        {TY(STRING), TY(STRING), small},
        {lc_type_new_option(&types, TY(U8)), TY(F64), TY(U16)},
        {small, lc_type_bytes(), product(2, TY(U8), TY(BOOL), NULL), TY(I64)},
        {lc_type_identity(), lc_type_timestamp()},
        {small, lc_type_uuid(), TY(STRING)},
        {small, unit, TY(F32)},
    };
    for (size_t n = 0; n < LC_ARRAY_LEN(columns); n++) {
        uint32_t count = 0;
        while (count < 4 && columns[n][count]) count++;
        run_kinds(columns[n], count);
    }
    lc_arena_deinit(&types);
    types = LC_ARENA_INIT;
}

/* Trees of three levels, arrays of many blocks, hashes that grow. */
LC_TEST(many_rows)
{
    seed = setting("LC_INDEX_SEED", 4);
    const lc_type *const columns[][2] = {
        {TY(U32)}, {TY(I64)},          {TY(STRING)},          {TY(BOOL)}, {lc_type_identity()},
        {TY(F64)}, {TY(U16), TY(U64)}, {TY(BOOL), TY(STRING)}};
    for (size_t n = 0; n < LC_ARRAY_LEN(columns); n++) {
        for (uint32_t kind = 0; kind < 4; kind++) {
            const shape sh = {.algorithm = kind < 2 ? LC_INDEX_BTREE : LC_INDEX_HASH,
                              .is_unique = kind % 2,
                              .has_id = n % 2,
                              .pool = 12000,
                              .steps = 15000};
            run(columns[n], columns[n][1] ? 2 : 1, &sh);
        }
    }
    assert_true(total_steps >= 1000000 || getenv("LC_INDEX_STEPS"));
}

int main(void)
{
    return LC_TEST_RUN(cmocka_unit_test(numbers), cmocka_unit_test(other_columns),
                       cmocka_unit_test(several_columns), cmocka_unit_test(many_rows));
}
