/* Indexes: bounds as the ABI gives them, order, equal keys, and structures that change with the
 * keys. 02 section 1.9, 05 section 1.6. */
#include "fixture.h"

static lc_table *make_many(lc_store *s)
{
    table_builder b;
    tb_init(&b, "many");
    tb_column(&b, "id", TY(U32));
    tb_column(&b, "a", TY(U32));
    tb_column(&b, "b", TY(STRING));
    tb_column(&b, "c", TY(I32));
    tb_index(&b, LC_INDEX_BTREE, true, "0");
    tb_index(&b, LC_INDEX_BTREE, false, "1,2,3");
    tb_index(&b, LC_INDEX_HASH, false, "2");
    tb_index(&b, LC_INDEX_BTREE, false, "1");
    lc_table *t = tb_create(&b, s);
    lc_store_begin(s);
    insert(t, row("44s4", 1, 5, "b", 1));
    insert(t, row("44s4", 2, 5, "a", 2));
    insert(t, row("44s4", 3, 5, "a", -1));
    insert(t, row("44s4", 4, 1, "z", 0));
    insert(t, row("44s4", 5, 9, "", 5));
    insert(t, row("44s4", 6, 5, "a", 1));
    insert(t, row("44s4", 7, 9, "zz", -5));
    commit(s);
    return t;
}

static bool add_id(void *arg, lc_span r)
{
    lc_buf_printf(arg, "%u ", lc_load_u32(r.ptr));
    return true;
}

/* Ids of a range scan as text; "!3" for an error. */
static const char *scan(lc_table *t, uint32_t n, lc_span prefix, uint32_t elems, lc_span start,
                        lc_span end)
{
    static char text[4096];
    lc_index *i = lc_table_index(t, n);
    lc_buf out = LC_BUF_INIT;
    lc_range range;
    lc_errno e = lc_range_decode(i, prefix, elems, start, end, &range, NULL);
    if (e == LC_ERRNO_OK) e = lc_index_scan_range(i, &range, add_id, &out, NULL);
    if (e != LC_ERRNO_OK)
        snprintf(text, sizeof text, "!%d", e);
    else
        snprintf(text, sizeof text, "%.*s", (int)out.len, out.ptr ? (char *)out.ptr : "");
    lc_buf_deinit(&out);
    return text;
}

static const char *point(lc_table *t, uint32_t n, lc_span key)
{
    static char text[4096];
    lc_buf out = LC_BUF_INIT;
    lc_errno e = lc_index_scan_point(lc_table_index(t, n), key, add_id, &out, NULL);
    if (e != LC_ERRNO_OK)
        snprintf(text, sizeof text, "!%d", e);
    else
        snprintf(text, sizeof text, "%.*s", (int)out.len, out.ptr ? (char *)out.ptr : "");
    lc_buf_deinit(&out);
    return text;
}

#define ALL  row("1", 2)
#define NONE row("")

LC_TEST(bounds_of_every_shape)
{
    lc_store *s = lc_store_create();
    lc_table *t = make_many(s);
    lc_span pre = row("4s", 5, "a");
    assert_string_equal(scan(t, 1, NONE, 0, ALL, ALL), "4 3 6 2 1 5 7 ");
    assert_string_equal(scan(t, 1, row("4", 5), 1, ALL, ALL), "3 6 2 1 ");
    assert_string_equal(scan(t, 1, row("4", 3), 1, ALL, ALL), "");
    assert_string_equal(scan(t, 1, pre, 2, row("14", 0, -1), row("14", 0, 1)), "3 6 ");
    assert_string_equal(scan(t, 1, pre, 2, row("14", 1, -1), row("14", 0, 2)), "6 2 ");
    assert_string_equal(scan(t, 1, pre, 2, row("14", 0, -1), row("14", 1, 2)), "3 6 ");
    assert_string_equal(scan(t, 1, pre, 2, row("14", 1, -1), row("14", 1, 2)), "6 ");
    assert_string_equal(scan(t, 1, pre, 2, ALL, row("14", 1, 1)), "3 ");
    assert_string_equal(scan(t, 1, pre, 2, ALL, row("14", 0, 1)), "3 6 ");
    assert_string_equal(scan(t, 1, pre, 2, row("14", 1, 1), ALL), "2 ");
    assert_string_equal(scan(t, 1, pre, 2, row("14", 0, 1), ALL), "6 2 ");
    assert_string_equal(scan(t, 1, pre, 2, row("14", 0, 2), row("14", 0, 2)), "2 ");
    assert_string_equal(scan(t, 1, NONE, 0, row("14", 0, 5), row("14", 0, 5)), "3 6 2 1 ");
    assert_string_equal(scan(t, 1, NONE, 0, row("14", 1, 5), ALL), "5 7 ");
    assert_string_equal(scan(t, 1, NONE, 0, ALL, row("14", 1, 5)), "4 ");
    assert_string_equal(scan(t, 1, NONE, 0, row("14", 1, 1), row("14", 1, 9)), "3 6 2 1 ");
    assert_string_equal(scan(t, 1, row("4", 5), 1, row("1s", 1, "a"), ALL), "1 ");
    assert_string_equal(scan(t, 1, row("4", 5), 1, row("1s", 0, ""), row("1s", 1, "b")), "3 6 2 ");
    /* Nothing between. */
    assert_string_equal(scan(t, 1, NONE, 0, row("14", 0, 9), row("14", 0, 1)), "");
    assert_string_equal(scan(t, 3, NONE, 0, row("14", 1, 5), row("14", 1, 5)), "");
    assert_string_equal(scan(t, 3, NONE, 0, row("14", 0, 5), row("14", 1, 5)), "");
    assert_string_equal(scan(t, 3, NONE, 0, row("14", 1, 5), row("14", 0, 5)), "");
    assert_string_equal(scan(t, 3, NONE, 0, row("14", 0, 6), row("14", 0, 8)), "");
    /* Equal keys in order of insertion. */
    assert_string_equal(scan(t, 3, NONE, 0, row("14", 0, 5), row("14", 0, 5)), "1 2 3 6 ");
    assert_string_equal(point(t, 3, row("4", 5)), "1 2 3 6 ");
    /* A direct array behind a btree index. */
    assert_string_equal(scan(t, 0, NONE, 0, row("14", 1, 2), row("14", 0, 6)), "3 4 5 6 ");
    assert_string_equal(scan(t, 0, NONE, 0, ALL, row("14", 1, 3)), "1 2 ");
    assert_string_equal(scan(t, 0, NONE, 0, ALL, row("14", 1, 0)), "");
    assert_string_equal(scan(t, 0, NONE, 0, row("14", 1, -1), ALL), "");
    assert_string_equal(scan(t, 0, NONE, 0, row("14", 0, 0), row("14", 0, -1)), "1 2 3 4 5 6 7 ");
    /* Malformed. */
    assert_string_equal(scan(t, 3, row("4", 5), 1, ALL, ALL), "!3");
    assert_string_equal(scan(t, 1, row("4s4", 5, "a", 1), 3, ALL, ALL), "!3");
    assert_string_equal(scan(t, 1, row("2", 5), 1, ALL, ALL), "!3");
    assert_string_equal(scan(t, 3, NONE, 0, row("1", 3), ALL), "!3");
    assert_string_equal(scan(t, 3, NONE, 0, NONE, ALL), "!3");
    assert_string_equal(scan(t, 3, NONE, 0, row("12", 0, 1), ALL), "!3");
    /* Hash: points only. */
    assert_string_equal(point(t, 2, row("s", "a")), "2 3 6 ");
    assert_string_equal(point(t, 2, row("s", "")), "5 ");
    assert_string_equal(point(t, 2, row("s", "nope")), "");
    assert_string_equal(scan(t, 2, NONE, 0, ALL, ALL), "!10");
    uint32_t deleted;
    lc_range all = {.start.kind = LC_BOUND_UNBOUNDED, .end.kind = LC_BOUND_UNBOUNDED};
    lc_store_begin(s);
    assert_int_equal(lc_index_delete_range(lc_table_index(t, 2), &all, &deleted, NULL),
                     LC_ERRNO_WRONG_INDEX_ALGO);
    /* Points need the whole key; more bytes do no harm. */
    assert_string_equal(point(t, 1, row("4s", 5, "a")), "!3");
    assert_string_equal(point(t, 0, row("2", 5)), "!3");
    assert_string_equal(point(t, 0, row("48", 5, 5ll)), "5 ");
    assert_int_equal(lc_index_delete_point(lc_table_index(t, 1), row("4", 5), &deleted, NULL),
                     LC_ERRNO_BSATN_DECODE_ERROR);
    assert_int_equal(lc_index_delete_point(lc_table_index(t, 3), row("4", 5), &deleted, NULL), 0);
    assert_int_equal(deleted, 4);
    lc_store_rollback(s);
    assert_string_equal(point(t, 3, row("4", 5)), "1 2 3 6 ");
    lc_store_destroy(s);
}

LC_TEST(option_sorts_some_before_none)
{
    lc_store *s = lc_store_create();
    lc_arena a = LC_ARENA_INIT;
    table_builder b;
    tb_init(&b, "t");
    tb_column(&b, "id", TY(U32));
    tb_column(&b, "o", lc_type_new_option(&a, TY(U32)));
    tb_index(&b, LC_INDEX_BTREE, false, "1");
    lc_table *t = tb_create(&b, s);
    lc_store_begin(s);
    insert(t, row("41", 1, 1));
    insert(t, row("414", 2, 0, 9));
    insert(t, row("414", 3, 0, 7));
    assert_string_equal(scan(t, 0, NONE, 0, ALL, ALL), "3 2 1 ");
    assert_string_equal(scan(t, 0, NONE, 0, row("114", 1, 0, 7), ALL), "2 1 ");
    commit(s);
    lc_store_destroy(s);
    lc_arena_deinit(&a);
}

LC_TEST(a_product_column_is_scanned_by_its_fields)
{
    lc_store *s = lc_store_create();
    lc_arena a = LC_ARENA_INIT;
    lc_type_member xy[] = {{LC_STR("x"), TY(U32)}, {LC_STR("y"), TY(I32)}};
    table_builder b;
    tb_init(&b, "t");
    tb_column(&b, "id", TY(U32));
    tb_column(&b, "p", lc_type_new_product(&a, xy, 2));
    tb_column(&b, "who", lc_type_identity());
    tb_index(&b, LC_INDEX_BTREE, false, "1");
    tb_index(&b, LC_INDEX_BTREE, false, "2");
    lc_table *t = tb_create(&b, s);
    lc_store_begin(s);
    for (int i = 0; i < 6; i++)
        insert(t, row("4448888", i, i / 2, i % 2 ? -1 : 1, (long long)(5 - i), 0ll, 0ll, 0ll));
    assert_string_equal(scan(t, 0, NONE, 0, ALL, ALL), "1 0 3 2 5 4 ");
    assert_string_equal(scan(t, 0, NONE, 0, row("14", 0, 1), row("14", 0, 1)), "3 2 ");
    assert_string_equal(scan(t, 0, row("4", 1), 1, row("14", 0, 0), ALL), "2 ");
    assert_string_equal(scan(t, 0, row("44", 1, 1), 2, ALL, ALL), "!3");
    assert_string_equal(point(t, 0, row("44", 1, 1)), "2 ");
    /* The whole product is no bound, and nothing may follow a key of small fixed size. */
    assert_string_equal(scan(t, 0, NONE, 0, row("144", 0, 1, 1), ALL), "!3");
    assert_string_equal(scan(t, 0, row("41", 1, 0), 1, ALL, ALL), "!3");
    assert_string_equal(point(t, 0, row("441", 1, 1, 0)), "!3");
    assert_string_equal(scan(t, 1, NONE, 0, ALL, ALL), "5 4 3 2 1 0 ");
    assert_string_equal(scan(t, 1, NONE, 0, row("18888", 1, 3ll, 0ll, 0ll, 0ll), ALL), "1 0 ");
    commit(s);
    lc_store_destroy(s);
    lc_arena_deinit(&a);
}

LC_TEST(scans_give_the_transactions_rows_first)
{
    lc_store *s = lc_store_create();
    lc_table *t = make_many(s);
    lc_store_begin(s);
    insert(t, row("44s4", 8, 5, "a", 0));
    insert(t, row("44s4", 9, 0, "", 0));
    assert_string_equal(scan(t, 1, NONE, 0, ALL, ALL), "9 8 4 3 6 2 1 5 7 ");
    update(t, 0, row("44s4", 7, 9, "zz", -6));
    assert_string_equal(scan(t, 1, NONE, 0, ALL, ALL), "9 8 7 4 3 6 2 1 5 ");
    assert_string_equal(scan(t, 1, row("4", 5), 1, ALL, ALL), "8 3 6 2 1 ");
    assert_string_equal(point(t, 3, row("4", 5)), "8 1 2 3 6 ");
    assert_string_equal(point(t, 2, row("s", "a")), "8 2 3 6 ");
    assert_string_equal(scan(t, 0, NONE, 0, row("14", 1, 5), ALL), "7 8 9 6 ");
    lc_store_commit(s);
    assert_string_equal(scan(t, 0, NONE, 0, row("14", 1, 5), ALL), "6 7 8 9 ");
    assert_string_equal(point(t, 3, row("4", 5)), "1 2 3 6 8 ");
    lc_store_destroy(s);
}

LC_TEST(equal_keys_keep_their_order_through_everything)
{
    lc_store *s = lc_store_create();
    table_builder b;
    tb_init(&b, "t");
    tb_column(&b, "id", TY(U32));
    tb_column(&b, "k", TY(U8));
    tb_column(&b, "n", TY(U32));
    tb_index(&b, LC_INDEX_BTREE, true, "0");
    tb_index(&b, LC_INDEX_BTREE, false, "1");
    lc_table *t = tb_create(&b, s);
    lc_store_begin(s);
    for (int i = 0; i < 6; i++) insert(t, row("414", i, 7, 0));
    commit(s);
    lc_store_begin(s);
    lc_table_delete_row(t, row("414", 1, 7, 0));
    lc_table_delete_row(t, row("414", 4, 7, 0));
    commit(s);
    lc_store_begin(s);
    insert(t, row("414", 8, 7, 0)); /* into a freed place, and yet last */
    update(t, 0, row("414", 2, 7, 99));
    assert_string_equal(point(t, 1, row("1", 7)), "2 8 0 3 5 ");
    commit(s);
    assert_string_equal(point(t, 1, row("1", 7)), "0 2 3 5 8 ");
    lc_store_begin(s);
    lc_table_delete_row(t, row("414", 0, 7, 0));
    update(t, 0, row("414", 3, 8, 0));
    insert(t, row("414", 9, 7, 0));
    assert_string_equal(point(t, 1, row("1", 7)), "9 2 5 8 ");
    lc_store_rollback(s);
    assert_string_equal(point(t, 1, row("1", 7)), "0 2 3 5 8 ");
    lc_store_destroy(s);
}

/* Many rows with one key: each must be found, and go, without a walk through all. */
LC_TEST(a_big_group_of_equal_keys)
{
    lc_store *s = lc_store_create();
    table_builder b;
    tb_init(&b, "t");
    tb_column(&b, "id", TY(U32));
    tb_column(&b, "k", TY(BOOL));
    tb_index(&b, LC_INDEX_BTREE, false, "1");
    tb_index(&b, LC_INDEX_HASH, false, "1");
    lc_table *t = tb_create(&b, s);
    enum { MANY = 50000 };
    uint64_t seed = 3;
    lc_store_begin(s);
    for (int i = 0; i < MANY; i++) insert(t, row("41", i, i % 3 != 0));
    commit(s);
    check_indexes(t);
    lc_store_begin(s);
    for (int n = 0; n < MANY / 2; n++) {
        int i = (int)(lc_test_random(&seed) % MANY);
        lc_table_delete_row(t, row("41", i, i % 3 != 0));
    }
    check_indexes(t);
    commit(s);
    lc_store_begin(s);
    for (int i = 0; i < MANY; i++) lc_table_delete_row(t, row("41", i, i % 3 != 0));
    assert_int_equal(lc_table_row_count(t), 0);
    check_indexes(t);
    lc_store_rollback(s);
    check_indexes(t);
    lc_store_destroy(s);
}

/* Keys that are dense, then not, then again: the index follows, whatever its kind. */
LC_TEST(numbers_dense_and_sparse)
{
    const lc_type_kind types[] = {LC_TYPE_U32, LC_TYPE_I64, LC_TYPE_U64, LC_TYPE_I16};
    for (size_t k = 0; k < LC_ARRAY_LEN(types) * 3; k++) {
        lc_store *s = lc_store_create();
        const lc_type *type = lc_type_scalar(types[k / 3]);
        uint32_t size = (uint32_t)type->fixed_size;
        table_builder b;
        tb_init(&b, "t");
        tb_column(&b, "k", type);
        tb_index(&b, (lc_index_algorithm)(k % 3), true, "0");
        lc_table *t = tb_create(&b, s);
        uint64_t seed = k;
        for (int phase = 0; phase < 4; phase++) {
            lc_store_begin(s);
            for (uint64_t n = 0; n < 6000; n++) {
                uint64_t key = n - 3000;                     /* dense, both sides of 0 */
                if (phase == 1) key = lc_test_random(&seed); /* anywhere */
                if (phase == 2) key = 100000 + lc_test_random(&seed) % 50000; /* dense in the end */
                uint8_t raw[8];
                lc_store_u64(raw, key);
                if (phase == 3)
                    lc_table_delete_row(t, LC_SPAN(raw, size));
                else
                    insert(t, LC_SPAN(raw, size));
            }
            commit(s);
            check_indexes(t);
        }
        lc_store_begin(s);
        lc_table_clear(t);
        check_indexes(t);
        lc_store_rollback(s);
        check_indexes(t);
        lc_store_destroy(s);
    }
}

LC_TEST(sparse_keys_do_not_waste_memory)
{
    for (int algorithm = 0; algorithm < 3; algorithm++) {
        lc_store *s = lc_store_create();
        table_builder b;
        tb_init(&b, "t");
        tb_column(&b, "k", TY(U64));
        tb_index(&b, (lc_index_algorithm)algorithm, true, "0");
        lc_table *t = tb_create(&b, s);
        lc_store_begin(s);
        uint64_t seed = 1;
        for (int i = 0; i < 20000; i++) insert(t, row("8", (long long)lc_test_random(&seed)));
        commit(s);
        assert_true(lc_table_memory(t) / 20000 < 64);
        lc_store_destroy(s);
    }
}

/* Ids that only rise while old rows go: the array follows its window. */
LC_TEST(a_queue_of_rising_ids_stays_small)
{
    lc_store *s = lc_store_create();
    table_builder b;
    tb_init(&b, "queue");
    tb_column(&b, "id", TY(U64));
    tb_index(&b, LC_INDEX_BTREE, true, "0");
    lc_table *t = tb_create(&b, s);
    uint64_t most = 0;
    for (long long i = 0; i < 400000; i++) {
        if (i % 1000 == 0) lc_store_begin(s);
        insert(t, row("8", i));
        if (i >= 500) lc_table_delete_row(t, row("8", i - 500));
        if (i % 1000 == 999) commit(s);
        if (lc_table_memory(t) > most) most = lc_table_memory(t);
    }
    assert_int_equal(lc_table_row_count(t), 500);
    check_indexes(t);
    assert_true(most < 200000);
    lc_store_destroy(s);
}

LC_TEST(memory_per_row)
{
    lc_store *s = lc_store_create();
    table_builder b;
    tb_init(&b, "t");
    tb_column(&b, "id", TY(U32));
    tb_column(&b, "n", TY(I32));
    tb_index(&b, LC_INDEX_BTREE, true, "0");
    tb_sequence(&b, 0);
    lc_table *t = tb_create(&b, s);
    lc_store_begin(s);
    for (int i = 0; i < 200000; i++) insert(t, row("44", 0, i));
    commit(s);
    assert_true(lc_table_memory(t) <= 16 * 200000);
    lc_store_destroy(s);
}

LC_TEST(an_index_without_columns)
{
    lc_store *s = lc_store_create();
    for (int is_unique = 0; is_unique < 2; is_unique++) {
        for (int algorithm = LC_INDEX_BTREE; algorithm <= LC_INDEX_HASH; algorithm++) {
            table_builder b;
            char name[16];
            snprintf(name, sizeof name, "t%d%d", is_unique, algorithm);
            tb_init(&b, name);
            tb_column(&b, "id", TY(U32));
            tb_index(&b, (lc_index_algorithm)algorithm, is_unique, "");
            lc_table *t = tb_create(&b, s);
            lc_store_begin(s);
            assert_int_equal(insert(t, row("4", 1)), 0);
            assert_int_equal(insert(t, row("4", 2)),
                             is_unique ? LC_ERRNO_UNIQUE_ALREADY_EXISTS : 0);
            assert_string_equal(point(t, 0, NONE), is_unique ? "1 " : "1 2 ");
            assert_string_equal(scan(t, 0, NONE, 0, ALL, ALL), "!3");
            if (is_unique) assert_int_equal(update(t, 0, row("4", 3)), 0);
            commit(s);
            check_indexes(t);
        }
    }
    lc_store_destroy(s);
}

int main(void)
{
    return LC_TEST_RUN(
        cmocka_unit_test(bounds_of_every_shape), cmocka_unit_test(option_sorts_some_before_none),
        cmocka_unit_test(a_product_column_is_scanned_by_its_fields),
        cmocka_unit_test(scans_give_the_transactions_rows_first),
        cmocka_unit_test(equal_keys_keep_their_order_through_everything),
        cmocka_unit_test(a_big_group_of_equal_keys), cmocka_unit_test(numbers_dense_and_sparse),
        cmocka_unit_test(sparse_keys_do_not_waste_memory),
        cmocka_unit_test(a_queue_of_rising_ids_stays_small), cmocka_unit_test(memory_per_row),
        cmocka_unit_test(an_index_without_columns));
}
