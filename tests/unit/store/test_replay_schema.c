/* Logs in which the schema changes while there are rows, and records that put the rules of 05
 * section 3.11 to the test. The logs are made by writing to the system tables of a store, which
 * does not care, or by hand. */
#include "fixture.h"

/* ----------------------------------------------------------------- records */

enum { T = LC_FIRST_USER_ID }; /* the table of most logs */

typedef LC_VEC(lc_buf) records;

static void add_delta(records *log, lc_store *s)
{
    lc_buf record = LC_BUF_INIT;
    const lc_delta *d = lc_store_commit(s);
    if (d->is_logged) {
        lc_delta_encode(d, &record);
        lc_vec_push(log, record);
    }
    lc_store_release(s);
}

static void records_deinit(records *log)
{
    LC_VEC_EACH (r, log) {
        lc_buf_deinit(r);
    }
    lc_vec_deinit(log);
}

static lc_status replay(lc_store *s, const records *log, lc_error *err)
{
    lc_status status = LC_OK;
    size_t used;
    lc_store_replay_begin(s);
    for (size_t n = 0; n < log->len && status == LC_OK; n++)
        status = lc_store_replay_tx(s, lc_buf_span(&log->items[n]), &used, err);
    return status == LC_OK ? lc_store_replay_end(s, err) : status;
}

typedef struct group {
    uint32_t table;
    uint8_t count;
    lc_span rows; /* back to back */
} group;

/* A record by hand: inserts and deletes, each up to the first group without a table. */
static void add_record(records *log, const group *inserts, const group *deletes)
{
    lc_buf record = LC_BUF_INIT;
    const group *sections[] = {inserts, deletes};
    for (int s = 0; s < 2; s++) {
        size_t at = record.len;
        lc_buf_put_u8(&record, 0);
        for (const group *g = sections[s]; g && g->table; g++) {
            record.ptr[at]++;
            lc_buf_put_u32(&record, g->table);
            lc_buf_put_u8(&record, g->count);
            lc_buf_put_span(&record, g->rows);
        }
    }
    lc_buf_put_u8(&record, 0);
    lc_vec_push(log, record);
}

/* The error of a replay, or the rows of table 4096, of eight bytes each, in any order. */
static void expect(const records *log, const char *error, lc_span rows)
{
    lc_store *s = lc_store_create();
    lc_error err = LC_ERROR_INIT;
    lc_status status = replay(s, log, &err);
    if (error) {
        assert_int_equal(status, LC_E_CORRUPT);
        assert_int_equal(err.code, LC_E_CORRUPT);
        if (!strstr(lc_error_text(&err), error)) fail_msg("%s", lc_error_text(&err));
    } else {
        assert_ok(status, &err);
        spans got = {0}, want = {0};
        collect_sorted(lc_store_table(s, T), &got);
        for (size_t at = 0; at < rows.len; at += 8) spans_add(&want, LC_SPAN(rows.ptr + at, 8));
        spans_sort(&want);
        assert_spans_equal(&got, &want);
        spans_deinit(&got);
        spans_deinit(&want);
        check_store(s);
    }
    lc_error_clear(&err);
    lc_store_destroy(s);
}

/* ----------------------------------------------------------- rules of replay */

/* Table 4096 (u32, u32) with rows (1, 1) and (2, 2). */
static records begin_log(bool is_unique)
{
    records log = {0};
    lc_store *s = lc_store_create();
    table_builder b;
    tb_init(&b, "t");
    tb_column(&b, "id", TY(U32));
    tb_column(&b, "n", TY(U32));
    tb_index(&b, LC_INDEX_BTREE, is_unique, "0");
    lc_store_begin(s);
    lc_table *t = tb_create_in_tx(&b, s);
    insert(t, row("44", 1, 1));
    insert(t, row("44", 2, 2));
    add_delta(&log, s);
    lc_store_destroy(s);
    return log;
}

LC_TEST(inserts_stand_before_deletes)
{
    const struct {
        const char *form; /* of the inserts' rows, two numbers each */
        int inserts[4];
        const char *deletes_form;
        int deletes[4];
        const char *error;
        const char *rows_form;
        int rows[4];
    } cases[] = {
        /* An update; a swap of two keys; a row that came and went. */
        {"44", {1, 5}, "44", {1, 1}, NULL, "4444", {1, 5, 2, 2}},
        {"4444", {1, 2, 2, 1}, "4444", {1, 1, 2, 2}, NULL, "4444", {1, 2, 2, 1}},
        {"44", {7, 7}, "44", {7, 7}, NULL, "4444", {1, 1, 2, 2}},
        {"44", {1, 5}, "4444", {1, 1, 1, 5}, NULL, "44", {2, 2}},
        {"", {0}, "4444", {1, 1, 2, 2}, NULL, "", {0}},
        {"44", {1, 1}, "44", {1, 1}, "inserted that is there already", "", {0}},
        {"44", {1, 1}, "", {0}, "inserted that is there already", "", {0}},
        {"4444", {3, 3, 3, 3}, "", {0}, "inserted that is there already", "", {0}},
        {"", {0}, "4444", {1, 1, 1, 1}, "deleted that is not there", "", {0}},
        {"", {0}, "44", {1, 2}, "deleted that is not there", "", {0}},
        {"44", {1, 5}, "4444", {1, 1, 1, 1}, "deleted that is not there", "", {0}},
        {"44", {7, 7}, "4444", {7, 7, 7, 7}, "deleted that is not there", "", {0}},
    };
    for (size_t n = 0; n < LC_ARRAY_LEN(cases); n++) {
        for (int is_unique = 0; is_unique < 2; is_unique++) {
            records log = begin_log(is_unique);
            const int *i = cases[n].inserts, *d = cases[n].deletes, *r = cases[n].rows;
            group inserts[] = {{T, (uint8_t)(strlen(cases[n].form) / 2),
                                row(cases[n].form, i[0], i[1], i[2], i[3])},
                               {0}};
            group deletes[] = {{T, (uint8_t)(strlen(cases[n].deletes_form) / 2),
                                row(cases[n].deletes_form, d[0], d[1], d[2], d[3])},
                               {0}};
            add_record(&log, inserts[0].count ? inserts : NULL, deletes[0].count ? deletes : NULL);
            expect(&log, cases[n].error, row(cases[n].rows_form, r[0], r[1], r[2], r[3]));
            records_deinit(&log);
        }
    }
}

LC_TEST(two_rows_with_one_key)
{
    /* For a while they may be there... */
    records log = begin_log(true);
    add_record(&log, (group[]){{T, 1, row("44", 1, 9)}, {0}}, NULL);
    add_record(&log, (group[]){{T, 1, row("44", 3, 3)}, {0}},
               (group[]){{T, 1, row("44", 1, 1)}, {0}});
    expect(&log, NULL, row("444444", 3, 3, 2, 2, 1, 9));
    /* ...and in one record with rows that go... */
    add_record(&log, (group[]){{T, 3, row("444444", 2, 7, 2, 8, 1, 10)}, {0}},
               (group[]){{T, 2, row("4444", 2, 2, 1, 9)}, {0}});
    add_record(&log, NULL, (group[]){{T, 1, row("44", 2, 8)}, {0}});
    expect(&log, NULL, row("444444", 3, 3, 1, 10, 2, 7));
    /* ...but not in the end. */
    add_record(&log, (group[]){{T, 1, row("44", 1, 1)}, {0}}, NULL);
    expect(&log, "two rows with one key in unique index 't_id_idx_btree'", LC_SPAN_EMPTY);
    records_deinit(&log);
}

LC_TEST(tables_stand_in_order)
{
    records log = begin_log(true);
    group twice[] = {{T, 1, row("44", 3, 3)}, {T, 1, row("44", 4, 4)}, {0}};
    add_record(&log, twice, NULL);
    expect(&log, "table 4096 follows table 4096 in a record", LC_SPAN_EMPTY);
    group back[] = {{T, 1, row("44", 3, 3)}, {LC_ST_EVENT_TABLE, 1, row("4", 4096)}, {0}};
    lc_buf_deinit(&log.items[--log.len]);
    add_record(&log, back, NULL);
    expect(&log, "table 17 follows table 4096 in a record", LC_SPAN_EMPTY);
    lc_buf_deinit(&log.items[--log.len]);
    add_record(&log, NULL, (group[]){{T, 1, row("44", 1, 1)}, {T, 1, row("44", 2, 2)}, {0}});
    expect(&log, "table 4096 follows table 4096 in a record", LC_SPAN_EMPTY);
    records_deinit(&log);
}

/* ----------------------------------------------------------- other columns */

/* An st_column row of column 0 of table 4096. */
static lc_span column_row(const lc_type *type)
{
    static lc_buf ring[4];
    static unsigned next;
    lc_buf *b = &ring[next++ % LC_ARRAY_LEN(ring)];
    lc_buf encoded = LC_BUF_INIT;
    lc_type_encode(type, &encoded);
    lc_buf_reset(b);
    lc_buf_put_u32(b, T);
    lc_buf_put_u16(b, 0);
    lc_buf_put_lenstr(b, LC_STR("v"));
    lc_buf_put_lenstr(b, lc_buf_span(&encoded));
    lc_buf_deinit(&encoded);
    return lc_buf_span(b);
}

static const lc_type *sum(lc_arena *a, uint32_t count, const lc_type *last)
{
    lc_type_member m[] = {{LC_STR("a"), TY(U8)}, {LC_STR("b"), TY(U8)}, {LC_STR("c"), last}};
    return lc_type_new_sum(a, m, count);
}

/* A column gets one more variant: rows stay, also when they had one size and now have not. */
LC_TEST(a_column_gets_wider)
{
    lc_arena a = LC_ARENA_INIT;
    const lc_type *narrow = sum(&a, 2, NULL);
    for (int shape = 0; shape < 6; shape++) {
        const bool is_varying = shape % 2, is_unique = shape / 2 == 1, is_hash = shape / 2 == 2;
        const lc_type *wide = sum(&a, 3, is_varying ? TY(STRING) : TY(U8));
        records log = {0};
        lc_store *s = lc_store_create();
        table_builder b;
        tb_init(&b, "t");
        tb_column(&b, "v", narrow);
        if (is_unique || is_hash)
            tb_index(&b, is_hash ? LC_INDEX_HASH : LC_INDEX_BTREE, is_unique, "0");
        lc_store_begin(s);
        lc_table *t = tb_create_in_tx(&b, s);
        add_delta(&log, s);
        lc_store_begin(s);
        for (int i = 0; i < 200; i++) insert(t, row("11", i % 2, i));
        add_delta(&log, s);
        lc_store_begin(s);
        lc_table_delete_row(t, row("11", 0, 4));
        add_delta(&log, s);
        lc_store_destroy(s);

        lc_span news = is_varying ? row("1s", 2, "long") : row("11", 2, 'x');
        add_record(&log, (group[]){{LC_ST_COLUMN, 1, column_row(wide)}, {T, 1, news}, {0}},
                   (group[]){{LC_ST_COLUMN, 1, column_row(narrow)}, {T, 1, row("11", 1, 3)}, {0}});
        add_record(&log, (group[]){{T, 1, row("11", 1, 201)}, {0}},
                   (group[]){{T, 1, row("11", 1, 5)}, {0}});
        spans want = {0}, got = {0};
        for (int i = 0; i < 200; i++)
            if (i != 3 && i != 4 && i != 5) spans_add(&want, row("11", i % 2, i));
        spans_add(&want, news);
        spans_add(&want, row("11", 1, 201));
        spans_sort(&want);
        lc_store *copy = lc_store_create();
        lc_error err = LC_ERROR_INIT;
        assert_ok(replay(copy, &log, &err), &err);
        collect_sorted(lc_store_table(copy, T), &got);
        assert_spans_equal(&got, &want);
        check_store(copy);
        lc_store_destroy(copy);
        spans_deinit(&want);
        spans_deinit(&got);

        /* But not to a type that the rows have not. */
        add_record(&log, (group[]){{LC_ST_COLUMN, 1, column_row(TY(U32))}, {0}},
                   (group[]){{LC_ST_COLUMN, 1, column_row(wide)}, {0}});
        expect(&log, "table 4096: a row of it does not fit its new columns", LC_SPAN_EMPTY);
        records_deinit(&log);
    }
    lc_arena_deinit(&a);
}

/* -------------------------------------------------------- other constraints */

static uint64_t seed;

static uint32_t below(uint32_t n)
{
    return (uint32_t)(lc_test_random(&seed) % n);
}

/* Column lists that may become unique; there is an index on each. */
static const struct {
    lc_index_algorithm algorithm;
    const char *columns;
    uint16_t count, list[2];
} candidates[] = {
    {LC_INDEX_BTREE, "0", 1, {0}},
    {LC_INDEX_BTREE, "1", 1, {1}},
    {LC_INDEX_HASH, "1,0", 2, {1, 0}},
    {LC_INDEX_BTREE, "2", 1, {2}},
};
enum { CANDIDATES = LC_ARRAY_LEN(candidates) };

typedef struct changing {
    lc_store *store;
    lc_table *table;
    bool is_unique[CANDIDATES];
    lc_buf rows[CANDIDATES]; /* of st_constraint */
} changing;

static void flip(changing *c, uint32_t n)
{
    lc_table *st = lc_store_table(c->store, LC_ST_CONSTRAINT);
    lc_buf *r = &c->rows[n];
    c->is_unique[n] = !c->is_unique[n];
    if (!c->is_unique[n]) {
        assert_true(lc_table_delete_row(st, lc_buf_span(r)));
        return;
    }
    lc_buf_reset(r);
    lc_buf_put_u32(r, 0);
    lc_buf_put_lenstr(r, LC_STR("made"));
    lc_buf_put_u32(r, lc_table_id(c->table));
    lc_buf_put_u8(r, 1);
    lc_buf_put_u32(r, candidates[n].count);
    for (uint16_t k = 0; k < candidates[n].count; k++) lc_buf_put_u16(r, candidates[n].list[k]);
    lc_write w;
    assert_int_equal(lc_table_insert(st, lc_buf_span(r), &w, NULL), 0);
    memcpy(r->ptr, w.generated.ptr, w.generated.len);
}

static lc_span some_row(uint32_t values)
{
    static const char *const texts[] = {"", "a", "b", "ab", "a long text that is no head of a key"};
    return row("24s", (int)below(values), (int)below(values * 4),
               texts[below(LC_ARRAY_LEN(texts))]);
}

static bool same_key(const lc_table *t, uint32_t n, lc_span a, lc_span b)
{
    const lc_layout *l = lc_table_layout(t);
    for (uint16_t k = 0; k < candidates[n].count; k++)
        if (!lc_span_equal(lc_layout_column(l, a.ptr, candidates[n].list[k]),
                           lc_layout_column(l, b.ptr, candidates[n].list[k])))
            return false;
    return true;
}

static bool is_violated(const changing *c)
{
    spans rows = {0};
    bool found = false;
    collect(c->table, &rows);
    for (uint32_t n = 0; n < CANDIDATES; n++)
        for (size_t x = 0; c->is_unique[n] && x < rows.len; x++)
            for (size_t y = 0; y < x; y++)
                found |= same_key(c->table, n, rows.items[x], rows.items[y]);
    spans_deinit(&rows);
    return found;
}

static void some_steps(changing *c, uint32_t values)
{
    lc_store_begin(c->store);
    for (uint32_t steps = 1 + below(10); steps > 0; steps--) {
        spans rows = {0};
        uint32_t choice = below(40);
        collect(c->table, &rows);
        if (choice == 0) {
            lc_table_clear(c->table);
        } else if (choice < 4) {
            flip(c, below(CANDIDATES));
        } else if (choice < 20 && rows.len > 0) {
            /* Away with a row; often another one with its key comes. */
            lc_span old = rows.items[below((uint32_t)rows.len)];
            lc_table_delete_row(c->table, old);
            lc_span other = some_row(values);
            if (below(3)) memcpy((uint8_t *)other.ptr, old.ptr, below(2) ? 2 : 6);
            if (below(4)) insert(c->table, other);
        } else {
            insert(c->table, some_row(values));
        }
        spans_deinit(&rows);
    }
}

static void check_changes(const changing *c, const records *log, bool is_violated)
{
    lc_store *copy = lc_store_create();
    lc_error err = LC_ERROR_INIT;
    lc_status status = replay(copy, log, &err);
    if (is_violated) {
        assert_int_equal(status, LC_E_CORRUPT);
        assert_non_null(strstr(lc_error_text(&err), "two rows with one key in unique index"));
    } else {
        assert_ok(status, &err);
        lc_table *t = lc_store_table(copy, lc_table_id(c->table));
        spans got = {0}, want = {0};
        collect_sorted(t, &got);
        collect_sorted(c->table, &want);
        assert_spans_equal(&got, &want);
        spans_deinit(&got);
        spans_deinit(&want);
        for (uint32_t n = 0; n < CANDIDATES; n++)
            assert_int_equal(lc_index_is_unique(lc_table_index(t, n)), c->is_unique[n]);
        check_store(copy);
    }
    lc_error_clear(&err);
    lc_store_destroy(copy);
}

LC_TEST(constraints_come_and_go)
{
    uint32_t violated = 0;
    for (uint64_t run = 1; run <= 60; run++) {
        seed = run;
        changing c = {.store = lc_store_create()};
        records log = {0};
        table_builder b;
        tb_init(&b, "t");
        tb_column(&b, "a", TY(U16));
        tb_column(&b, "b", TY(I32));
        tb_column(&b, "c", TY(STRING));
        for (uint32_t n = 0; n < CANDIDATES; n++)
            tb_index(&b, candidates[n].algorithm, false, candidates[n].columns);
        lc_store_begin(c.store);
        c.table = tb_create_in_tx(&b, c.store);
        add_delta(&log, c.store);
        const uint32_t values = run % 3 == 0 ? 3 : run % 3 == 1 ? 30 : 3000;
        for (int n = 0; n < 60; n++) {
            some_steps(&c, values);
            add_delta(&log, c.store);
            if (n % 20 == 19) {
                bool is_bad = is_violated(&c);
                violated += is_bad;
                check_changes(&c, &log, is_bad);
            }
        }
        lc_store_begin(c.store);
        for (uint32_t n = 0; n < CANDIDATES; n++)
            if (c.is_unique[n]) flip(&c, n);
        add_delta(&log, c.store);
        check_changes(&c, &log, false);
        for (uint32_t n = 0; n < CANDIDATES; n++) lc_buf_deinit(&c.rows[n]);
        records_deinit(&log);
        lc_store_destroy(c.store);
    }
    assert_in_range(violated, 20, 160);
}

/* Many rows of one record that find each other through hashes and arrays, sparse and dense. */
LC_TEST(long_records)
{
    for (int shape = 0; shape < 4; shape++) {
        records log = {0};
        lc_store *s = lc_store_create();
        table_builder b;
        tb_init(&b, "t");
        tb_column(&b, "id", TY(U64));
        tb_column(&b, "t", TY(STRING));
        if (shape < 3)
            tb_index(&b, shape == 1 ? LC_INDEX_HASH : LC_INDEX_BTREE, true, shape == 2 ? "1" : "0");
        lc_store_begin(s);
        lc_table *t = tb_create_in_tx(&b, s);
        add_delta(&log, s);
        seed = (uint64_t)shape;
        for (int round = 0; round < 6; round++) {
            lc_store_begin(s);
            for (int i = 0; i < 3000; i++) {
                long long id =
                    round % 2 ? (long long)below(6000) : (long long)lc_hash_u64(below(6000));
                char text[32];
                snprintf(text, sizeof text, "%.*s%lld", round, "xxxxxx", id);
                if (shape < 2 && update(t, 0, row("8s", id, text)) == 0) continue;
                if (below(3))
                    insert(t, row("8s", id, text));
                else
                    lc_table_delete_row(t, row("8s", id, text));
            }
            add_delta(&log, s);
        }
        lc_store *copy = lc_store_create();
        lc_error err = LC_ERROR_INIT;
        assert_ok(replay(copy, &log, &err), &err);
        spans got = {0}, want = {0};
        collect_sorted(lc_store_table(copy, lc_table_id(t)), &got);
        collect_sorted(t, &want);
        assert_spans_equal(&got, &want);
        check_indexes(lc_store_table(copy, lc_table_id(t)));
        spans_deinit(&got);
        spans_deinit(&want);
        records_deinit(&log);
        lc_store_destroy(copy);
        lc_store_destroy(s);
    }
}

int main(void)
{
    return LC_TEST_RUN(
        cmocka_unit_test(inserts_stand_before_deletes), cmocka_unit_test(two_rows_with_one_key),
        cmocka_unit_test(tables_stand_in_order), cmocka_unit_test(a_column_gets_wider),
        cmocka_unit_test(constraints_come_and_go), cmocka_unit_test(long_records));
}
