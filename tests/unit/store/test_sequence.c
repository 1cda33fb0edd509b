/* Auto-increment: 05 section 1.5. */
#include "fixture.h"

static lc_i128 i128(int64_t v)
{
    return (lc_i128){(uint64_t)v, v < 0 ? -1 : 0};
}

/* A table of one unique (or not) auto-increment column and a second column n u32. */
static lc_table *make(lc_store *s, const char *name, const lc_type *type, bool is_unique)
{
    table_builder b;
    tb_init(&b, name);
    tb_column(&b, "id", type);
    tb_column(&b, "n", TY(U32));
    if (is_unique) tb_index(&b, LC_INDEX_BTREE, true, "0");
    tb_sequence(&b, 0);
    return tb_create(&b, s);
}

static lc_table *make_ranged(lc_store *s, int64_t start, int64_t min, int64_t max,
                             int64_t increment)
{
    table_builder b;
    tb_init(&b, "ranged");
    tb_column(&b, "id", TY(I64));
    tb_column(&b, "n", TY(U32));
    lc_sequence_def *q = tb_sequence(&b, 0);
    q->start = i128(start);
    q->min_value = i128(min);
    q->max_value = i128(max);
    q->increment = i128(increment);
    return tb_create(&b, s);
}

static int64_t stored(lc_store *s, const lc_table *t)
{
    lc_table *st = lc_store_table(s, LC_ST_SEQUENCE);
    spans rows = {0};
    collect(st, &rows);
    int64_t found = INT64_MIN;
    for (size_t i = 0; i < rows.len; i++) {
        const lc_layout *l = lc_table_layout(st);
        if (lc_load_u32(lc_layout_column(l, rows.items[i].ptr, 2).ptr) != lc_table_id(t)) continue;
        found = (int64_t)lc_load_u64(lc_layout_column(l, rows.items[i].ptr, 8).ptr);
    }
    spans_deinit(&rows);
    return found;
}

static uint32_t serial;

/* Inserts (0, unlike all before) and returns the drawn value of an i64 or u64 column. */
static int64_t draw(lc_table *t)
{
    lc_write w;
    assert_int_equal(lc_table_insert(t, row("84", 0ll, ++serial), &w, NULL), 0);
    assert_int_equal(w.generated.len, 8);
    assert_memory_equal(w.row.ptr, w.generated.ptr, 8);
    return (int64_t)lc_load_u64(w.generated.ptr);
}

/* What a restart does: all that was logged, into a fresh store. */
static lc_store *restart(lc_store *s, lc_buf *log)
{
    lc_store *fresh = lc_store_create();
    lc_error err = LC_ERROR_INIT;
    lc_store_replay_begin(fresh);
    for (size_t at = 0, used; at < log->len; at += used)
        assert_ok(lc_store_replay_tx(fresh, LC_SPAN(log->ptr + at, log->len - at), &used, &err),
                  &err);
    assert_ok(lc_store_replay_end(fresh, &err), &err);
    lc_store_destroy(s);
    return fresh;
}

static void commit_to(lc_store *s, lc_buf *log)
{
    const lc_delta *d = lc_store_commit(s);
    if (d->is_logged) lc_delta_encode(d, log);
}

LC_TEST(first_values_and_restart)
{
    lc_store *s = lc_store_create();
    lc_buf log = LC_BUF_INIT;
    table_builder b;
    tb_init(&b, "t");
    tb_column(&b, "id", TY(U64));
    tb_column(&b, "n", TY(U32));
    tb_index(&b, LC_INDEX_BTREE, true, "0");
    tb_sequence(&b, 0);
    lc_store_begin(s);
    lc_table *t = tb_create_in_tx(&b, s);
    uint32_t id = lc_table_id(t);
    commit_to(s, &log);
    assert_int_equal(stored(s, t), 1);

    const int64_t jumps[] = {1, 4097, 8193};
    for (int round = 0; round < 3; round++) {
        for (int64_t i = 0; i < 3; i++) {
            lc_store_begin(s);
            assert_int_equal(draw(t), jumps[round] + i);
            const lc_delta *d = lc_store_commit(s);
            /* Only the first of a block writes the sequence's row. */
            assert_int_equal(d->table_count, i == 0 ? 2 : 1);
            lc_delta_encode(d, &log);
        }
        assert_int_equal(stored(s, t), jumps[round] + 4096);
        s = restart(s, &log);
        t = lc_store_table(s, id);
    }
    lc_store_destroy(s);
    lc_buf_deinit(&log);
}

LC_TEST(given_values_are_kept_and_do_not_move_it)
{
    lc_store *s = lc_store_create();
    lc_table *t = make(s, "t", TY(U32), true);
    lc_write w;
    lc_store_begin(s);
    assert_int_equal(lc_table_insert(t, row("44", 2, 0), &w, NULL), 0);
    assert_int_equal(w.generated.len, 0);
    assert_int_equal(lc_table_insert(t, row("44", 0, 0), &w, NULL), 0);
    assert_span_equal(w.generated, row("4", 1));
    /* 2 is taken: the drawn value is used up. */
    assert_int_equal(insert(t, row("44", 0, 7)), LC_ERRNO_UNIQUE_ALREADY_EXISTS);
    assert_int_equal(lc_table_insert(t, row("44", 0, 7), &w, NULL), 0);
    assert_span_equal(w.row, row("44", 3, 7));
    /* Equal row through a drawn value: success without effect, and the value is told. */
    assert_int_equal(insert(t, row("44", 4, 9)), 0);
    assert_int_equal(lc_table_insert(t, row("44", 0, 9), &w, NULL), 0);
    assert_false(w.changed);
    assert_span_equal(w.generated, row("4", 4));
    /* An update of the row with key 0 draws, and so finds nothing. */
    assert_int_equal(update(t, 0, row("44", 0, 1)), LC_ERRNO_NO_SUCH_ROW);
    assert_int_equal(lc_table_insert(t, row("44", 0, 0), &w, NULL), 0);
    assert_span_equal(w.generated, row("4", 6));
    lc_store_rollback(s);
    lc_store_destroy(s);
}

LC_TEST(rolled_back_values_are_gaps)
{
    lc_store *s = lc_store_create();
    lc_table *t = make(s, "t", TY(U64), true);
    lc_store_begin(s);
    assert_int_equal(draw(t), 1);
    assert_int_equal(draw(t), 2);
    lc_store_rollback(s);
    assert_int_equal(stored(s, t), 1);
    /* The block was allocated by a transaction that is gone: the next draw stores it again. */
    lc_store_begin(s);
    assert_int_equal(draw(t), 3);
    commit(s);
    assert_int_equal(stored(s, t), 4097);
    lc_store_begin(s);
    lc_store_rollback(s);
    lc_store_begin(s);
    assert_int_equal(draw(t), 4);
    assert_int_equal(lc_store_commit(s)->table_count, 1);
    lc_store_destroy(s);
}

LC_TEST(a_number_is_never_given_twice)
{
    lc_store *s = lc_store_create();
    lc_buf log = LC_BUF_INIT;
    lc_store_begin(s);
    table_builder b;
    tb_init(&b, "t");
    tb_column(&b, "id", TY(I64));
    tb_column(&b, "n", TY(U32));
    tb_index(&b, LC_INDEX_BTREE, true, "0");
    tb_sequence(&b, 0);
    lc_table *t = tb_create_in_tx(&b, s);
    uint32_t id = lc_table_id(t);
    commit_to(s, &log);
    uint64_t seed = 5;
    int64_t highest = 0;
    for (int step = 0; step < 400; step++) {
        lc_store_begin(s);
        bool keep = lc_test_random(&seed) % 3 != 0;
        for (uint64_t n = lc_test_random(&seed) % 3000; n > 0; n--) {
            int64_t v = draw(t);
            assert_true(v > highest);
            if (keep) highest = v;
        }
        if (keep)
            commit_to(s, &log);
        else
            lc_store_rollback(s);
        if (lc_test_random(&seed) % 80 == 0) {
            s = restart(s, &log);
            t = lc_store_table(s, id);
        }
    }
    lc_buf_deinit(&log);
    lc_store_destroy(s);
}

LC_TEST(small_types_wrap)
{
    lc_store *s = lc_store_create();
    lc_table *u8 = make(s, "u8", TY(U8), true);
    lc_table *i8 = make(s, "i8", TY(I8), false);
    lc_write w;
    lc_store_begin(s);
    for (int i = 1; i <= 256; i++) {
        assert_int_equal(lc_table_insert(u8, row("14", 0, i), &w, NULL), 0);
        assert_int_equal(w.generated.ptr[0], (uint8_t)i);
    }
    assert_int_equal(insert(u8, row("14", 0, 0)), LC_ERRNO_UNIQUE_ALREADY_EXISTS);
    for (int i = 1; i <= 257; i++) {
        assert_int_equal(lc_table_insert(i8, row("14", 0, i), &w, NULL), 0);
        assert_int_equal(w.generated.ptr[0], (uint8_t)i);
    }
    commit(s);
    lc_store_destroy(s);
}

LC_TEST(wide_types_are_extended)
{
    lc_store *s = lc_store_create();
    const lc_type_kind kinds[] = {LC_TYPE_U128, LC_TYPE_I128, LC_TYPE_U256, LC_TYPE_I256};
    for (int k = 0; k < 4; k++) {
        table_builder b;
        char name[8];
        snprintf(name, sizeof name, "w%d", k);
        tb_init(&b, name);
        tb_column(&b, "id", lc_type_scalar(kinds[k]));
        lc_sequence_def *q = tb_sequence(&b, 0);
        q->start = i128(-1);
        q->min_value = i128(-5);
        q->max_value = i128(-1);
        q->increment = i128(-1);
        lc_table *t = tb_create(&b, s);
        uint8_t zero[32] = {0}, want[32];
        memset(want, 0xff, 32);
        if (kinds[k] == LC_TYPE_U256) memset(want + 16, 0, 16);
        lc_write w;
        lc_store_begin(s);
        assert_int_equal(lc_table_insert(t, LC_SPAN(zero, 32), &w, NULL), 0);
        assert_memory_equal(w.generated.ptr, want, k < 2 ? 16 : 32);
        commit(s);
    }
    lc_store_destroy(s);
}

LC_TEST(ranges_smaller_than_a_block)
{
    static const struct {
        int64_t start, min, max, increment, allocated;
        int64_t values[7];
    } cases[] = {
        {1, 1, 3, 1, 3, {1, 2, 3, 1, 2, 3, 1}},
        {10, 5, 20, 4, 6, {10, 14, 18, 6, 10, 14, 18}},
        {-1, -5, -1, -1, -5, {-1, -2, -3, -4, -5, -1, -2}},
        {7, 7, 7, 1, 7, {7, 7, 7, 7, 7, 7, 7}},
        {5, 1, 1000000, 1000, 999005, {5, 1005, 2005, 3005, 4005, 5005, 6005}},
    };
    for (size_t i = 0; i < LC_ARRAY_LEN(cases); i++) {
        lc_store *s = lc_store_create();
        lc_table *t =
            make_ranged(s, cases[i].start, cases[i].min, cases[i].max, cases[i].increment);
        assert_int_equal(stored(s, t), cases[i].start);
        lc_store_begin(s);
        for (int n = 0; n < 7; n++) {
            assert_int_equal(draw(t), cases[i].values[n]);
            if (n == 0) assert_int_equal(stored(s, t), cases[i].allocated);
        }
        commit(s);
        lc_store_destroy(s);
    }
}

LC_TEST(the_ends_of_128_bits)
{
    lc_store *s = lc_store_create();
    table_builder b;
    tb_init(&b, "edge");
    tb_column(&b, "id", TY(I128));
    tb_column(&b, "n", TY(U32));
    lc_sequence_def *q = tb_sequence(&b, 0);
    q->start = (lc_i128){UINT64_MAX - 1, INT64_MAX};
    q->min_value = (lc_i128){0, INT64_MIN};
    lc_table *t = tb_create(&b, s);
    static const struct {
        uint64_t lo;
        int64_t hi;
    } want[] = {
        {UINT64_MAX - 1, INT64_MAX}, {UINT64_MAX, INT64_MAX}, {0, INT64_MIN}, {1, INT64_MIN}};
    lc_store_begin(s);
    for (size_t i = 0; i < LC_ARRAY_LEN(want); i++) {
        lc_write w;
        assert_int_equal(lc_table_insert(t, row("884", 0ll, 0ll, (int)i), &w, NULL), 0);
        assert_int_equal(lc_load_u64(w.generated.ptr), want[i].lo);
        assert_int_equal((int64_t)lc_load_u64(w.generated.ptr + 8), want[i].hi);
    }
    commit(s);
    lc_store_destroy(s);
}

LC_TEST(several_columns_are_told_in_column_order)
{
    lc_store *s = lc_store_create();
    table_builder b;
    tb_init(&b, "three");
    tb_column(&b, "text", TY(STRING));
    tb_column(&b, "a", TY(U16));
    tb_column(&b, "b", TY(U32));
    tb_column(&b, "c", TY(U64));
    tb_sequence(&b, 3)->start = i128(300);
    tb_sequence(&b, 1)->start = i128(100);
    tb_sequence(&b, 2)->start = i128(200);
    lc_table *t = tb_create(&b, s);
    lc_write w;
    lc_store_begin(s);
    assert_int_equal(lc_table_insert(t, row("s248", "x", 0, 0, 0ll), &w, NULL), 0);
    assert_span_equal(w.generated, row("248", 100, 200, 300ll));
    assert_span_equal(w.row, row("s248", "x", 100, 200, 300ll));
    assert_int_equal(lc_table_insert(t, row("s248", "a longer text", 0, 7, 0ll), &w, NULL), 0);
    assert_span_equal(w.generated, row("28", 101, 301ll));
    assert_span_equal(w.row, row("s248", "a longer text", 101, 7, 301ll));
    commit(s);
    lc_store_destroy(s);
}

LC_TEST(update_draws_for_a_zero_outside_the_key)
{
    lc_store *s = lc_store_create();
    table_builder b;
    tb_init(&b, "t");
    tb_column(&b, "key", TY(U32));
    tb_column(&b, "n", TY(U32));
    tb_index(&b, LC_INDEX_BTREE, true, "0");
    tb_sequence(&b, 1);
    lc_table *t = tb_create(&b, s);
    lc_write w;
    lc_store_begin(s);
    insert(t, row("44", 7, 50));
    assert_int_equal(
        lc_table_update(t, lc_index_id(lc_table_index(t, 0)), row("44", 7, 0), &w, NULL), 0);
    assert_span_equal(w.generated, row("4", 1));
    assert_span_equal(w.row, row("44", 7, 1));
    commit(s);
    lc_store_destroy(s);
}

LC_TEST(senseless_sequences_are_refused)
{
    lc_store *s = lc_store_create();
    for (int k = 0; k < 3; k++) {
        table_builder b;
        tb_init(&b, "bad");
        tb_column(&b, "id", k == 2 ? TY(STRING) : TY(U32));
        lc_sequence_def *q = tb_sequence(&b, 0);
        if (k == 0) q->increment = i128(0);
        if (k == 1) q->min_value = i128(5), q->max_value = i128(4);
        lc_error err = LC_ERROR_INIT;
        lc_store_begin(s);
        assert_int_equal(lc_store_create_table(s, &b.def, NULL, &err), LC_E_INVALID);
        lc_store_rollback(s);
        lc_error_clear(&err);
        tb_deinit(&b);
    }
    lc_store_destroy(s);
}

int main(void)
{
    return LC_TEST_RUN(
        cmocka_unit_test(first_values_and_restart),
        cmocka_unit_test(given_values_are_kept_and_do_not_move_it),
        cmocka_unit_test(rolled_back_values_are_gaps),
        cmocka_unit_test(a_number_is_never_given_twice), cmocka_unit_test(small_types_wrap),
        cmocka_unit_test(wide_types_are_extended), cmocka_unit_test(ranges_smaller_than_a_block),
        cmocka_unit_test(the_ends_of_128_bits),
        cmocka_unit_test(several_columns_are_told_in_column_order),
        cmocka_unit_test(update_draws_for_a_zero_outside_the_key),
        cmocka_unit_test(senseless_sequences_are_refused));
}
