/* System tables: bootstrap (05 section 2) and rows with a meaning of their own. */
#include "fixture.h"

static lc_identity identity(uint8_t n)
{
    lc_identity id;
    memset(id.bytes, n, sizeof id.bytes);
    return id;
}

static lc_connection_id connection(uint8_t n)
{
    lc_connection_id id;
    memset(id.bytes, n, sizeof id.bytes);
    return id;
}

LC_TEST(twenty_tables_with_fixed_ids)
{
    static const char *const names[] = {"st_table",
                                        "st_column",
                                        "st_sequence",
                                        "st_index",
                                        "st_constraint",
                                        "st_module",
                                        "st_client",
                                        "st_var",
                                        "st_scheduled",
                                        "st_row_level_security",
                                        "st_connection_credentials",
                                        "st_view",
                                        "st_view_param",
                                        "st_view_column",
                                        "st_view_sub",
                                        "st_view_arg",
                                        "st_event_table",
                                        "st_table_accessor",
                                        "st_index_accessor",
                                        "st_column_accessor"};
    static const uint64_t counts[] = {20, 0, 7, 29, 25};
    lc_store *s = lc_store_create();
    uint32_t at = 0, id = 0, indexes = 0;
    for (lc_table *t; (t = lc_store_next_table(s, &at));) {
        assert_int_equal(lc_table_id(t), ++id);
        assert_span_text(lc_table_name(t), names[id - 1]);
        assert_true(lc_table_is_system(t));
        assert_int_equal(lc_table_is_public(t), id != LC_ST_CONNECTION_CREDENTIALS);
        if (id != LC_ST_COLUMN)
            assert_int_equal(lc_table_row_count(t), id <= LC_ST_CONSTRAINT ? counts[id - 1] : 0);
        for (uint32_t n = 0; lc_table_index(t, n); n++) indexes++;
    }
    assert_int_equal(id, LC_ST_COUNT);
    assert_int_equal(indexes, 29);
    lc_index *i = lc_store_index(s, 29);
    assert_span_text(lc_index_name(i), "st_column_accessor_table_name_accessor_name_idx_btree");
    assert_ptr_equal(
        lc_store_index_by_name(s, LC_STR("st_view_sub_view_id_arg_id_identity_idx_btree")),
        lc_store_index(s, 20));
    assert_false(lc_index_is_unique(lc_store_index(s, 20)));
    check_store(s);
    lc_store_destroy(s);
}

/* (The rows themselves are compared with the reference's in test_replay.c.) */
LC_TEST(first_ids_are_4096)
{
    lc_store *s = lc_store_create();
    lc_table *made[2];
    for (int n = 0; n < 2; n++) {
        table_builder b;
        tb_init(&b, n ? "b" : "a");
        tb_column(&b, "id", TY(U32));
        tb_index(&b, LC_INDEX_BTREE, true, "0");
        tb_sequence(&b, 0);
        made[n] = tb_create(&b, s);
        assert_int_equal(lc_table_id(made[n]), 4096 + n);
        assert_int_equal(lc_index_id(lc_table_index(made[n], 0)), 4096 + n);
    }
    lc_store_destroy(s);
}

LC_TEST(one_module_row)
{
    lc_store *s = lc_store_create();
    lc_module_row in = {.database = identity(1), .owner = identity(2), .program_kind = 0}, out;
    memset(in.program_hash, 7, sizeof in.program_hash);
    in.program = LC_STR("some bytes");
    assert_false(lc_store_get_module(s, &out));
    lc_store_begin(s);
    lc_store_set_module(s, &in);
    commit(s);
    in.program = LC_STR("other, longer bytes");
    in.program_kind = 1;
    lc_store_begin(s);
    lc_store_set_module(s, &in);
    const lc_delta *d = lc_store_commit(s);
    assert_int_equal(d->table_count, 1);
    assert_int_equal(d->tables[0].insert_count, 1);
    assert_int_equal(d->tables[0].delete_count, 1);
    assert_true(lc_store_get_module(s, &out));
    assert_memory_equal(&out.database, &in.database, 32);
    assert_memory_equal(&out.owner, &in.owner, 32);
    assert_int_equal(out.program_kind, 1);
    assert_memory_equal(out.program_hash, in.program_hash, 32);
    assert_span_text(out.program, "other, longer bytes");
    lc_table *t = lc_store_table(s, LC_ST_MODULE);
    assert_int_equal(lc_table_row_count(t), 1);
    lc_buf rows = all_rows(t);
    size_t size;
    assert_int_equal(lc_layout_validate(lc_table_layout(t), lc_buf_span(&rows), &size, NULL),
                     LC_OK);
    assert_int_equal(size, rows.len);
    assert_memory_equal(rows.ptr + rows.len - 9,
                        "\5\0\0\0"
                        "0.0.1",
                        9);
    lc_buf_deinit(&rows);

    /* The same program again changes nothing. */
    lc_store_begin(s);
    lc_store_set_module(s, &in);
    assert_int_equal(lc_store_commit(s)->table_count, 0);
    lc_store_destroy(s);
}

LC_TEST(clients_and_their_credentials)
{
    lc_store *s = lc_store_create();
    lc_identity a = identity(1), b = identity(2), id;
    lc_connection_id c1 = connection(1), c2 = connection(2), conn;
    lc_span jwt;
    lc_error err = LC_ERROR_INIT;
    assert_false(lc_store_first_client(s, &id, &conn));
    lc_store_begin(s);
    assert_ok(lc_store_add_client(s, &a, &c1, LC_STR("{\"sub\":1}"), &err), &err);
    assert_ok(lc_store_add_client(s, &a, &c2, LC_STR(""), &err), &err);
    assert_int_equal(lc_store_add_client(s, &b, &c1, LC_STR("x"), &err), LC_E_CONFLICT);
    assert_int_equal(lc_store_add_client(s, &a, &c1, LC_STR("{\"sub\":1}"), &err), LC_E_CONFLICT);
    lc_error_clear(&err);
    commit(s);
    assert_true(lc_store_has_client(s, &a, &c1));
    assert_false(lc_store_has_client(s, &b, &c1));
    assert_true(lc_store_credentials(s, &c1, &jwt));
    assert_span_text(jwt, "{\"sub\":1}");
    assert_true(lc_store_first_client(s, &id, &conn));
    assert_memory_equal(&conn, &c1, sizeof conn);
    lc_store_begin(s);
    assert_true(lc_store_remove_client(s, &a, &c1));
    assert_false(lc_store_remove_client(s, &a, &c1));
    assert_false(lc_store_remove_client(s, &b, &c2));
    commit(s);
    assert_false(lc_store_credentials(s, &c1, &jwt));
    assert_true(lc_store_credentials(s, &c2, &jwt));
    assert_int_equal(lc_table_row_count(lc_store_table(s, LC_ST_CLIENT)), 1);
    assert_int_equal(lc_table_row_count(lc_store_table(s, LC_ST_CONNECTION_CREDENTIALS)), 1);
    lc_store_destroy(s);
}

LC_TEST(row_limit_is_replaced)
{
    lc_store *s = lc_store_create();
    uint64_t limit = 0;
    assert_false(lc_store_get_row_limit(s, &limit));
    for (uint64_t n = 5; n < 7; n++) {
        lc_store_begin(s);
        assert_int_equal(lc_store_set_row_limit(s, n, NULL), LC_OK);
        commit(s);
        assert_true(lc_store_get_row_limit(s, &limit));
        assert_int_equal(limit, n);
    }
    assert_int_equal(lc_table_row_count(lc_store_table(s, LC_ST_VAR)), 1);
    lc_store_destroy(s);
}

/* What the log keeps: everything but st_view_sub, st_view_arg and the tables behind views. */
LC_TEST(ephemeral_tables_are_not_logged)
{
    lc_store *s = lc_store_create();
    lc_column_def columns[] = {{.name = LC_STR("n"), .source_name = LC_STR("n"), .type = TY(U32)}};
    lc_view_def view = {.name = LC_STR("v"),
                        .source_name = LC_STR("v"),
                        .is_public = true,
                        .is_anonymous = true,
                        .columns = columns,
                        .column_count = 1,
                        .primary_key = 0};
    lc_schema schema = {.version = 10, .views = &view, .view_count = 1};
    lc_error err = LC_ERROR_INIT;
    lc_store_begin(s);
    assert_ok(lc_store_create_schema(s, &schema, &err), &err);
    assert_true(lc_store_commit(s)->is_logged);
    lc_table *v = lc_store_table_by_name(s, LC_STR("v"));
    assert_true(lc_table_is_view(v));
    assert_int_equal(lc_table_primary_key(v), -1);
    assert_span_text(lc_table_column_name(v, 0), "arg_hash");
    assert_int_equal(lc_table_column_count(v), 2);
    assert_non_null(lc_store_index_by_name(s, LC_STR("v_arg_hash_idx_btree")));
    assert_true(lc_index_is_unique(lc_store_index_by_name(s, LC_STR("v_arg_hash_n_idx_btree"))));

    lc_buf log = LC_BUF_INIT;
    lc_store_begin(s);
    assert_int_equal(insert(v, row("88884", 1ll, 0ll, 0ll, 0ll, 7)), 0);
    assert_int_equal(insert(v, row("88884", 1ll, 0ll, 0ll, 0ll, 8)), 0);
    assert_int_equal(insert(lc_store_table(s, LC_ST_VIEW_ARG), row("8s", 5ll, "x")), 0);
    const lc_delta *d = lc_store_commit(s);
    assert_int_equal(d->table_count, 2);
    assert_false(d->is_logged);
    lc_delta_encode(d, &log);
    assert_int_equal(log.len, 3);
    assert_memory_equal(log.ptr, "\0\0\0", 3);
    lc_buf_deinit(&log);
    lc_store_destroy(s);
}

/* Counts above 127 take more than one byte. */
LC_TEST(log_form_of_a_delta)
{
    lc_store *s = lc_store_create();
    table_builder b;
    tb_init(&b, "t");
    tb_column(&b, "id", TY(U16));
    tb_index(&b, LC_INDEX_BTREE, true, "0");
    lc_table *t = tb_create(&b, s);
    lc_store_begin(s);
    for (int i = 0; i < 300; i++) insert(t, row("2", i));
    lc_buf log = LC_BUF_INIT, want = LC_BUF_INIT;
    lc_delta_encode(lc_store_commit(s), &log);
    lc_buf_put(&want, "\1\0\x10\0\0\xac\2", 7);
    for (int i = 0; i < 300; i++) lc_buf_put_u16(&want, (uint16_t)i);
    lc_buf_put(&want, "\0\0", 2);
    assert_span_equal(lc_buf_span(&log), lc_buf_span(&want));
    lc_buf_reset(&log);
    lc_buf_reset(&want);
    lc_store_begin(s);
    lc_table_delete_row(t, row("2", 7));
    insert(t, row("2", 1000));
    lc_delta_encode(lc_store_commit(s), &log);
    lc_buf_put(&want, "\1\0\x10\0\0\1\xe8\3\1\0\x10\0\0\1\7\0\0", 17);
    assert_span_equal(lc_buf_span(&log), lc_buf_span(&want));
    lc_buf_deinit(&log);
    lc_buf_deinit(&want);
    lc_store_destroy(s);
}

int main(void)
{
    return LC_TEST_RUN(
        cmocka_unit_test(twenty_tables_with_fixed_ids), cmocka_unit_test(first_ids_are_4096),
        cmocka_unit_test(one_module_row), cmocka_unit_test(clients_and_their_credentials),
        cmocka_unit_test(row_limit_is_replaced), cmocka_unit_test(ephemeral_tables_are_not_logged),
        cmocka_unit_test(log_form_of_a_delta));
}
