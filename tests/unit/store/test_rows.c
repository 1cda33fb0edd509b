/* Tables are sets; what a transaction did, net; how it is undone. 05 sections 1.2 to 1.8. */
#include "fixture.h"

/* t: id u32 primary key, name string. */
static lc_table *make_t(lc_store *s)
{
    table_builder b;
    tb_init(&b, "t");
    tb_column(&b, "id", TY(U32));
    tb_column(&b, "name", TY(STRING));
    tb_index(&b, LC_INDEX_BTREE, true, "0");
    b.def.primary_key = 0;
    return tb_create(&b, s);
}

/* plain: a u32, b string, no index. */
static lc_table *make_plain(lc_store *s)
{
    table_builder b;
    tb_init(&b, "plain");
    tb_column(&b, "a", TY(U32));
    tb_column(&b, "b", TY(STRING));
    return tb_create(&b, s);
}

/* two: id u32 unique, email string unique, n i32. */
static lc_table *make_two(lc_store *s)
{
    table_builder b;
    tb_init(&b, "two");
    tb_column(&b, "id", TY(U32));
    tb_column(&b, "email", TY(STRING));
    tb_column(&b, "n", TY(I32));
    tb_index(&b, LC_INDEX_BTREE, true, "0");
    tb_index(&b, LC_INDEX_HASH, true, "1");
    return tb_create(&b, s);
}

static void assert_delta(const lc_delta *d, const lc_table *t, uint32_t inserts, uint32_t deletes)
{
    const lc_table_delta *td = delta_of(d, t);
    if (inserts == 0 && deletes == 0) {
        assert_null(td);
        return;
    }
    assert_non_null(td);
    assert_int_equal(td->insert_count, inserts);
    assert_int_equal(td->delete_count, deletes);
}

LC_TEST(same_row_twice_is_one_row)
{
    lc_store *s = lc_store_create();
    lc_table *tables[] = {make_t(s), make_plain(s)};
    for (int i = 0; i < 2; i++) {
        lc_table *t = tables[i];
        lc_store_begin(s);
        lc_write w;
        assert_int_equal(lc_table_insert(t, row("4s", 1, "a"), &w, NULL), 0);
        assert_true(w.changed);
        assert_int_equal(lc_table_insert(t, row("4s", 1, "a"), &w, NULL), 0);
        assert_false(w.changed);
        assert_span_equal(w.row, row("4s", 1, "a"));
        assert_int_equal(lc_table_row_count(t), 1);
        assert_delta(lc_store_commit(s), t, 1, 0);

        lc_store_begin(s);
        assert_int_equal(insert(t, row("4s", 1, "a")), 0);
        const lc_delta *d = lc_store_commit(s);
        assert_int_equal(d->table_count, 0);
        assert_false(d->is_logged);
    }
    lc_store_destroy(s);
}

LC_TEST(delete_and_same_insert_cancel)
{
    lc_store *s = lc_store_create();
    lc_table *tables[] = {make_t(s), make_plain(s)};
    for (int i = 0; i < 2; i++) {
        lc_table *t = tables[i];
        lc_store_begin(s);
        insert(t, row("4s", 1, "a"));
        insert(t, row("4s", 2, "b"));
        commit(s);

        lc_store_begin(s);
        assert_true(lc_table_delete_row(t, row("4s", 1, "a")));
        assert_false(lc_table_delete_row(t, row("4s", 1, "a")));
        lc_write w;
        assert_int_equal(lc_table_insert(t, row("4s", 1, "a"), &w, NULL), 0);
        assert_true(w.changed);
        assert_int_equal(lc_table_row_count(t), 2);
        assert_delta(lc_store_commit(s), t, 0, 0);

        /* One of several deletes is taken back. */
        lc_store_begin(s);
        lc_table_clear(t);
        insert(t, row("4s", 2, "b"));
        insert(t, row("4s", 3, "c"));
        const lc_delta *d = lc_store_commit(s);
        assert_delta(d, t, 1, 1);
        assert_span_equal(delta_of(d, t)->inserts[0], row("4s", 3, "c"));
        assert_span_equal(delta_of(d, t)->deletes[0], row("4s", 1, "a"));
        assert_false(delta_of(d, t)->is_truncate);
    }
    lc_store_destroy(s);
}

LC_TEST(insert_and_delete_leave_nothing)
{
    lc_store *s = lc_store_create();
    lc_table *t = make_t(s);
    lc_store_begin(s);
    insert(t, row("4s", 1, "a"));
    assert_true(lc_table_delete_row(t, row("4s", 1, "a")));
    insert(t, row("4s", 1, "b"));
    assert_true(lc_table_delete_row(t, row("4s", 1, "b")));
    assert_int_equal(lc_table_row_count(t), 0);
    assert_int_equal(lc_store_commit(s)->table_count, 0);
    lc_store_destroy(s);
}

LC_TEST(clash_is_refused_and_the_transaction_goes_on)
{
    lc_store *s = lc_store_create();
    lc_table *t = make_two(s);
    lc_error err = LC_ERROR_INIT;
    lc_write w;
    lc_store_begin(s);
    insert(t, row("4s4", 1, "a@x", 5));
    commit(s);

    lc_store_begin(s);
    assert_int_equal(insert(t, row("4s4", 2, "b@x", 5)), 0);
    assert_int_equal(lc_table_insert(t, row("4s4", 1, "c@x", 5), &w, &err),
                     LC_ERRNO_UNIQUE_ALREADY_EXISTS);
    assert_string_equal(lc_error_text(&err),
                        "Unique constraint violation 'two_id_idx_btree' in table "
                        "'two': column(s): '[\"id\"]' value: 1");
    assert_int_equal(lc_table_insert(t, row("4s4", 3, "a@x", 5), &w, &err),
                     LC_ERRNO_UNIQUE_ALREADY_EXISTS);
    assert_string_equal(lc_error_text(&err),
                        "Unique constraint violation 'two_email_idx_hash' in table "
                        "'two': column(s): '[\"email\"]' value: \"a@x\"");
    lc_error_clear(&err);
    assert_int_equal(insert(t, row("4s4", 3, "b@x", 5)), LC_ERRNO_UNIQUE_ALREADY_EXISTS);
    assert_delta(lc_store_commit(s), t, 1, 0);
    assert_int_equal(lc_table_row_count(t), 2);
    lc_store_destroy(s);
}

LC_TEST(deleted_key_is_free_again)
{
    lc_store *s = lc_store_create();
    lc_table *t = make_t(s);
    lc_store_begin(s);
    insert(t, row("4s", 1, "a"));
    commit(s);
    lc_store_begin(s);
    lc_table_delete_row(t, row("4s", 1, "a"));
    assert_int_equal(insert(t, row("4s", 1, "b")), 0);
    assert_int_equal(insert(t, row("4s", 1, "c")), LC_ERRNO_UNIQUE_ALREADY_EXISTS);
    const lc_delta *d = lc_store_commit(s);
    assert_delta(d, t, 1, 1);
    assert_span_equal(delta_of(d, t)->deletes[0], row("4s", 1, "a"));
    assert_span_equal(delta_of(d, t)->inserts[0], row("4s", 1, "b"));
    lc_store_destroy(s);
}

LC_TEST(update_finds_its_row)
{
    lc_store *s = lc_store_create();
    table_builder b;
    tb_init(&b, "u");
    tb_column(&b, "id", TY(U32));
    tb_column(&b, "a", TY(STRING));
    tb_column(&b, "n", TY(I32));
    tb_index(&b, LC_INDEX_BTREE, true, "0");
    tb_index(&b, LC_INDEX_BTREE, true, "1");
    tb_index(&b, LC_INDEX_BTREE, false, "2");
    lc_table *t = tb_create(&b, s);
    lc_write w;
    lc_store_begin(s);
    insert(t, row("4s4", 1, "x", 1));
    insert(t, row("4s4", 2, "y", 1));
    commit(s);

    lc_store_begin(s);
    assert_int_equal(update(t, 0, row("4s4", 9, "x", 1)), LC_ERRNO_NO_SUCH_ROW);
    assert_int_equal(update(t, 2, row("4s4", 1, "x", 1)), LC_ERRNO_INDEX_NOT_UNIQUE);
    assert_int_equal(lc_table_update(t, 99999, row("4s4", 1, "x", 1), &w, NULL),
                     LC_ERRNO_NO_SUCH_INDEX);
    assert_int_equal(lc_table_update(t, 99999, row("4", 1), &w, NULL), LC_ERRNO_TRAP);
    assert_int_equal(update(t, 0, row("4s4", 1, "y", 1)), LC_ERRNO_UNIQUE_ALREADY_EXISTS);
    assert_int_equal(
        lc_table_update(t, lc_index_id(lc_table_index(t, 0)), row("4s4", 1, "x", 1), &w, NULL), 0);
    assert_false(w.changed);
    assert_int_equal(lc_store_commit(s)->table_count, 0);

    /* Changing what is not indexed, what is, and by either index. */
    lc_store_begin(s);
    assert_int_equal(update(t, 0, row("4s4", 1, "xx", 7)), 0);
    assert_int_equal(update(t, 1, row("4s4", 5, "y", 1)), 0);
    const lc_delta *d = lc_store_commit(s);
    assert_delta(d, t, 2, 2);
    assert_span_equal(delta_of(d, t)->inserts[0], row("4s4", 1, "xx", 7));
    assert_span_equal(delta_of(d, t)->deletes[0], row("4s4", 1, "x", 1));
    assert_span_equal(delta_of(d, t)->inserts[1], row("4s4", 5, "y", 1));
    assert_span_equal(delta_of(d, t)->deletes[1], row("4s4", 2, "y", 1));
    lc_store_release(s);
    lc_span found;
    assert_true(lc_index_find(lc_table_index(t, 0), row("4", 5), &found));
    assert_false(lc_index_find(lc_table_index(t, 0), row("4", 2), &found));
    assert_true(lc_index_find(lc_table_index(t, 1), row("s", "xx"), &found));
    assert_false(lc_index_find(lc_table_index(t, 1), row("s", "x"), &found));
    lc_store_destroy(s);
}

LC_TEST(updates_back_and_forth_are_no_change)
{
    lc_store *s = lc_store_create();
    lc_table *t = make_t(s);
    lc_store_begin(s);
    insert(t, row("4s", 1, "a"));
    commit(s);
    lc_store_begin(s);
    update(t, 0, row("4s", 1, "b"));
    update(t, 0, row("4s", 1, "a"));
    assert_int_equal(lc_store_commit(s)->table_count, 0);

    /* Updated, then deleted: the old row is what goes. Updated when new: only the last value
     * counts. */
    lc_store_begin(s);
    update(t, 0, row("4s", 1, "b"));
    lc_table_delete_row(t, row("4s", 1, "b"));
    insert(t, row("4s", 2, "x"));
    update(t, 0, row("4s", 2, "y"));
    const lc_delta *d = lc_store_commit(s);
    assert_delta(d, t, 1, 1);
    assert_span_equal(delta_of(d, t)->deletes[0], row("4s", 1, "a"));
    assert_span_equal(delta_of(d, t)->inserts[0], row("4s", 2, "y"));

    /* Updated, deleted, and the old value inserted again. */
    lc_store_begin(s);
    update(t, 0, row("4s", 2, "z"));
    lc_table_delete_row(t, row("4s", 2, "z"));
    insert(t, row("4s", 2, "y"));
    assert_int_equal(lc_store_commit(s)->table_count, 0);
    lc_store_destroy(s);
}

LC_TEST(rows_that_exchange_their_keys)
{
    lc_store *s = lc_store_create();
    lc_table *t = make_two(s);
    lc_store_begin(s);
    insert(t, row("4s4", 1, "a", 0));
    insert(t, row("4s4", 2, "b", 0));
    commit(s);
    for (int round = 0; round < 2; round++) {
        lc_store_begin(s);
        assert_int_equal(update(t, 1, row("4s4", 3, "a", 0)), 0);
        assert_int_equal(update(t, 1, row("4s4", 1, "b", 0)), 0);
        assert_int_equal(update(t, 1, row("4s4", 2, "a", 0)), 0);
        if (round == 0) {
            lc_store_rollback(s);
            lc_span found;
            assert_true(lc_index_find(lc_table_index(t, 0), row("4", 1), &found));
            assert_span_equal(found, row("4s4", 1, "a", 0));
            assert_true(lc_index_find(lc_table_index(t, 0), row("4", 2), &found));
            assert_span_equal(found, row("4s4", 2, "b", 0));
            assert_false(lc_index_find(lc_table_index(t, 0), row("4", 3), &found));
        }
    }
    assert_delta(lc_store_commit(s), t, 2, 2);

    /* By updates alone a row takes exactly the place another one left: only the net change is told.
     */
    lc_store_begin(s);
    assert_int_equal(update(t, 0, row("4s4", 2, "c", 0)), 0); /* (2, a) -> (2, c) */
    assert_int_equal(update(t, 1, row("4s4", 3, "c", 0)), 0); /*        -> (3, c) */
    assert_int_equal(update(t, 0, row("4s4", 1, "a", 0)), 0); /* (1, b) -> (1, a) */
    assert_int_equal(update(t, 1, row("4s4", 2, "a", 0)), 0); /*        -> (2, a) */
    const lc_delta *d = lc_store_commit(s);
    assert_delta(d, t, 1, 1);
    assert_span_equal(delta_of(d, t)->inserts[0], row("4s4", 3, "c", 0));
    assert_span_equal(delta_of(d, t)->deletes[0], row("4s4", 1, "b", 0));

    lc_store_begin(s);
    assert_int_equal(update(t, 1, row("4s4", 9, "a", 0)), 0);
    assert_int_equal(lc_table_delete_row(t, row("4s4", 9, "a", 0)), true);
    assert_int_equal(insert(t, row("4s4", 2, "a", 0)), 0);
    assert_int_equal(lc_store_commit(s)->table_count, 0);
    lc_store_destroy(s);
}

LC_TEST(clear_is_a_truncate)
{
    lc_store *s = lc_store_create();
    lc_table *t = make_t(s);
    lc_store_begin(s);
    for (int i = 0; i < 1000; i++) insert(t, row("4s", i, "a"));
    commit(s);
    lc_store_begin(s);
    insert(t, row("4s", 5000, "a"));
    update(t, 0, row("4s", 7, "changed"));
    assert_int_equal(lc_table_clear(t), 1001);
    assert_int_equal(lc_table_clear(t), 0);
    assert_int_equal(lc_table_row_count(t), 0);
    const lc_delta *d = lc_store_commit(s);
    assert_delta(d, t, 0, 1000);
    assert_true(delta_of(d, t)->is_truncate);
    lc_buf log = LC_BUF_INIT;
    lc_delta_encode(d, &log);
    uint32_t id = lc_table_id(t);
    assert_int_equal(log.len, 7);
    assert_memory_equal(log.ptr, ((uint8_t[]){0, 0, 1}), 3);
    assert_int_equal(lc_load_u32(log.ptr + 3), id);
    lc_buf_deinit(&log);

    /* Rolled back, everything is as before. */
    lc_store_begin(s);
    for (int i = 0; i < 1000; i++) insert(t, row("4s", i, "a"));
    commit(s);
    lc_buf before = all_rows(t);
    lc_store_begin(s);
    update(t, 0, row("4s", 7, "changed"));
    lc_table_clear(t);
    insert(t, row("4s", 7, "new"));
    lc_store_rollback(s);
    lc_buf after = all_rows(t);
    assert_span_equal(lc_buf_span(&after), lc_buf_span(&before));
    lc_span found;
    for (int i = 0; i < 1000; i++)
        assert_true(lc_index_find(lc_table_index(t, 0), row("4", i), &found));
    lc_buf_deinit(&before);
    lc_buf_deinit(&after);
    lc_store_destroy(s);
}

LC_TEST(freed_places_are_used_last_freed_first)
{
    lc_store *s = lc_store_create();
    lc_table *t = make_plain(s);
    lc_store_begin(s);
    for (int i = 1; i <= 4; i++) insert(t, row("4s", i, "a"));
    commit(s);
    lc_store_begin(s);
    lc_table_delete_row(t, row("4s", 2, "a"));
    lc_table_delete_row(t, row("4s", 3, "a"));
    insert(t, row("4s", 5, "a")); /* not in a place that the rollback may need */
    commit(s);
    lc_store_begin(s);
    insert(t, row("4s", 6, "a"));
    commit(s);
    spans got = {0}, want = {0};
    collect(t, &got);
    const int ids[] = {1, 6, 4, 5};
    for (int i = 0; i < 4; i++) spans_add(&want, row("4s", ids[i], "a"));
    assert_spans_equal(&got, &want);
    spans_deinit(&got);
    spans_deinit(&want);
    lc_store_destroy(s);
}

/* A row with this id and something else in the second column. */
static lc_span row_of(const lc_table *t, uint32_t id, char c)
{
    char text[] = {c, 0};
    return lc_layout_fixed_size(lc_table_layout(t)) > 0 ? row("44", id, c) : row("4s", id, text);
}

LC_TEST(scans_give_the_transactions_rows_last)
{
    lc_store *s = lc_store_create();
    table_builder b;
    tb_init(&b, "fixed");
    tb_column(&b, "id", TY(U32));
    tb_column(&b, "n", TY(U32));
    tb_index(&b, LC_INDEX_BTREE, true, "0");
    lc_table *tables[] = {make_t(s), tb_create(&b, s)};
    for (int i = 0; i < 2; i++) {
        lc_table *t = tables[i];
        lc_store_begin(s);
        for (uint32_t id = 1; id <= 4; id++) insert(t, row_of(t, id, 'a'));
        commit(s);
        lc_store_begin(s);
        lc_table_delete_row(t, row_of(t, 3, 'a'));
        commit(s);
        lc_store_begin(s);
        insert(t, row_of(t, 8, 'a')); /* into the place of 3 */
        insert(t, row_of(t, 9, 'a'));
        update(t, 0, row_of(t, 1, 'b'));
        insert(t, row_of(t, 7, 'a'));
        lc_table_delete_row(t, row_of(t, 9, 'a'));
        lc_table_delete_row(t, row_of(t, 4, 'a'));
        const int own[] = {2, 8, 1, 7}, after[] = {1, 2, 8, 7};
        for (int committed = 0; committed < 2; committed++) {
            spans got = {0};
            lc_buf out = LC_BUF_INIT;
            lc_table_scan(t, add_visit, &got);
            lc_table_scan_into(t, &out, 0, NULL);
            const uint8_t *at = out.ptr;
            assert_int_equal(got.len, 4);
            for (int n = 0; n < 4; n++) {
                int want = committed ? after[n] : own[n];
                assert_int_equal(lc_load_u32(got.items[n].ptr), want);
                assert_span_equal(LC_SPAN(at, got.items[n].len), got.items[n]);
                at += got.items[n].len;
            }
            assert_ptr_equal(at, out.ptr + out.len);
            spans_deinit(&got);
            lc_buf_deinit(&out);
            if (!committed) lc_store_commit(s);
        }
    }
    lc_store_destroy(s);
}

LC_TEST(the_fixed_part_of_a_row_has_a_limit)
{
    lc_store *s = lc_store_create();
    lc_arena a = LC_ARENA_INIT;
    lc_type_member members[2048];
    for (int i = 0; i < 2048; i++) members[i] = (lc_type_member){LC_STR("f"), TY(U256)};
    uint8_t *bytes = lc_alloc_zero(80000);
    lc_store_begin(s);
    for (uint32_t count = 2046; count <= 2047; count++) {
        table_builder b;
        tb_init(&b, count == 2046 ? "fits" : "does_not");
        tb_column(&b, "wide", lc_type_new_product(&a, members, count));
        lc_table *t = tb_create_in_tx(&b, s);
        assert_int_equal(insert(t, LC_SPAN(bytes, count * 32)), count == 2046 ? 0 : LC_ERRNO_TRAP);
        assert_int_equal(lc_table_row_count(t), count == 2046);
    }
    table_builder b;
    tb_init(&b, "padded");
    tb_column(&b, "first", TY(U8));
    tb_column(&b, "wide", lc_type_new_product(&a, members, 2046));
    lc_table *padded = tb_create_in_tx(&b, s);
    assert_int_equal(insert(padded, LC_SPAN(bytes, 1 + 2046 * 32)), LC_ERRNO_TRAP);
    tb_init(&b, "text");
    tb_column(&b, "s", TY(STRING));
    lc_table *text = tb_create_in_tx(&b, s);
    lc_store_u32(bytes, 70000);
    assert_int_equal(insert(text, LC_SPAN(bytes, 70004)), 0);
    lc_free(bytes);
    lc_store_rollback(s);
    lc_store_destroy(s);
    lc_arena_deinit(&a);
}

LC_TEST(floats_in_rows_are_bits_and_in_keys_numbers)
{
    lc_store *s = lc_store_create();
    table_builder b;
    tb_init(&b, "fl");
    tb_column(&b, "v", TY(F64));
    lc_table *fl = tb_create(&b, s);
    tb_init(&b, "ufl");
    tb_column(&b, "v", TY(F64));
    tb_index(&b, LC_INDEX_BTREE, true, "0");
    lc_table *btree = tb_create(&b, s);
    tb_init(&b, "uhfl");
    tb_column(&b, "v", TY(F64));
    tb_index(&b, LC_INDEX_HASH, true, "0");
    lc_table *hash = tb_create(&b, s);
    lc_store_begin(s);
    assert_int_equal(insert(fl, row("d", 0.0)), 0);
    assert_int_equal(insert(fl, row("d", -0.0)), 0);
    assert_int_equal(lc_table_row_count(fl), 2);
    lc_table *unique[] = {btree, hash};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(insert(unique[i], row("d", 0.0)), 0);
        assert_int_equal(insert(unique[i], row("d", -0.0)), LC_ERRNO_UNIQUE_ALREADY_EXISTS);
        assert_int_equal(insert(unique[i], row("d", 0.0 / 0.0)), 0);
        assert_int_equal(insert(unique[i], row("8", 0x7ff8000000000123ll)),
                         LC_ERRNO_UNIQUE_ALREADY_EXISTS);
        /* The key is the same number, the row another one. */
        assert_int_equal(update(unique[i], 0, row("d", -0.0)), 0);
        assert_true(lc_table_delete_row(unique[i], row("d", -0.0)));
        assert_int_equal(lc_table_row_count(unique[i]), 1);
    }
    lc_store_rollback(s);
    lc_store_destroy(s);
}

LC_TEST(delete_by_equality)
{
    lc_store *s = lc_store_create();
    lc_table *t = make_plain(s);
    lc_store_begin(s);
    for (int i = 0; i < 5; i++) insert(t, row("4s", i, "a"));
    lc_buf list = LC_BUF_INIT;
    uint32_t deleted;
    lc_buf_put_u32(&list, 4);
    lc_buf_put_span(&list, row("4s", 1, "a"));
    lc_buf_put_span(&list, row("4s", 1, "a"));
    lc_buf_put_span(&list, row("4s", 9, "a"));
    size_t good = list.len;
    lc_buf_put_u32(&list, 3);
    assert_int_equal(lc_table_delete_all_by_eq(t, lc_buf_span(&list), &deleted, NULL),
                     LC_ERRNO_BSATN_DECODE_ERROR);
    assert_int_equal(deleted, 0);
    assert_int_equal(lc_table_row_count(t), 5);
    list.len = good;
    lc_buf_put_span(&list, row("4s", 3, "a"));
    lc_buf_put_str(&list, "bytes behind the rows");
    assert_int_equal(lc_table_delete_all_by_eq(t, lc_buf_span(&list), &deleted, NULL), 0);
    assert_int_equal(deleted, 2);
    assert_int_equal(lc_table_delete_all_by_eq(t, row("2", 1), &deleted, NULL),
                     LC_ERRNO_BSATN_DECODE_ERROR);
    lc_buf_deinit(&list);
    lc_store_rollback(s);
    assert_int_equal(lc_table_row_count(t), 0);
    lc_store_destroy(s);
}

LC_TEST(a_table_without_columns_holds_one_row)
{
    lc_store *s = lc_store_create();
    table_builder b;
    tb_init(&b, "unit");
    lc_table *t = tb_create(&b, s);
    lc_store_begin(s);
    assert_int_equal(insert(t, row("")), 0);
    assert_int_equal(insert(t, row("4", 1)), 0); /* bytes behind the row are ignored */
    assert_int_equal(lc_table_row_count(t), 1);
    assert_delta(lc_store_commit(s), t, 1, 0);
    lc_store_begin(s);
    uint32_t deleted;
    assert_int_equal(lc_table_delete_all_by_eq(t, row("4", -1), &deleted, NULL), 0);
    assert_int_equal(deleted, 1);
    assert_delta(lc_store_commit(s), t, 0, 1);
    lc_store_destroy(s);
}

LC_TEST(bad_bytes_trap)
{
    lc_store *s = lc_store_create();
    lc_table *t = make_t(s);
    lc_write w;
    lc_store_begin(s);
    assert_int_equal(lc_table_insert(t, row("41", 1, 3), &w, NULL), LC_ERRNO_TRAP);
    assert_int_equal(lc_table_insert(t, row("4s", 1, "\xff"), &w, NULL), LC_ERRNO_TRAP);
    assert_int_equal(insert(t, row("4s8", 1, "a", 5ll)), 0);
    lc_buf rows = all_rows(t);
    assert_span_equal(lc_buf_span(&rows), row("4s", 1, "a"));
    lc_buf_deinit(&rows);
    lc_store_rollback(s);
    lc_store_destroy(s);
}

LC_TEST(event_rows_end_with_their_transaction)
{
    lc_store *s = lc_store_create();
    for (int is_wide = 0; is_wide < 2; is_wide++) {
        table_builder b;
        tb_init(&b, is_wide ? "ew" : "ev");
        tb_column(&b, "id", TY(U32));
        tb_column(&b, "x", is_wide ? TY(STRING) : TY(U32));
        tb_index(&b, LC_INDEX_BTREE, true, "0");
        tb_index(&b, LC_INDEX_BTREE, false, "1");
        b.def.is_event = true;
        lc_table *t = tb_create(&b, s);
        for (int round = 0; round < 3; round++) {
            lc_span one = is_wide ? row("4s", 1, "a") : row("44", 1, 2);
            lc_span clash = is_wide ? row("4s", 1, "b") : row("44", 1, 3);
            lc_span other = is_wide ? row("4s", 2, "b") : row("44", 2, 3);
            lc_span changed = is_wide ? row("4s", 2, "bb") : row("44", 2, 4);
            lc_store_begin(s);
            assert_int_equal(insert(t, one), 0);
            assert_int_equal(insert(t, clash), LC_ERRNO_UNIQUE_ALREADY_EXISTS);
            assert_int_equal(insert(t, other), 0);
            assert_int_equal(update(t, 0, changed), 0);
            assert_int_equal(lc_table_row_count(t), 2);
            const lc_delta *d = lc_store_commit(s);
            assert_delta(d, t, 2, 0);
            assert_true(d->is_logged);
            assert_int_equal(lc_table_row_count(t), 0);
            lc_span found;
            assert_false(lc_index_find(lc_table_index(t, 0), row("4", 1), &found));
            assert_span_equal(delta_of(d, t)->inserts[0], one);
            assert_span_equal(delta_of(d, t)->inserts[1], changed);
            spans rows = {0};
            collect(t, &rows);
            assert_int_equal(rows.len, 0);
            spans_deinit(&rows);
        }
    }
    lc_store_destroy(s);
}

LC_TEST(scan_into_cuts_chunks_after_rows)
{
    lc_store *s = lc_store_create();
    table_builder b;
    tb_init(&b, "wide");
    for (int i = 0; i < 4; i++) tb_column(&b, "c", TY(U256));
    lc_table *fixed = tb_create(&b, s);
    tb_init(&b, "text");
    tb_column(&b, "s", TY(STRING));
    lc_table *text = tb_create(&b, s);
    lc_store_begin(s);
    char long_text[1001];
    memset(long_text, 'x', 1000);
    long_text[1000] = 0;
    for (int i = 0; i < 100; i++) {
        uint8_t bytes[128] = {(uint8_t)i};
        insert(fixed, LC_SPAN(bytes, sizeof bytes));
        long_text[0] = (char)('A' + i % 26);
        long_text[1] = (char)('A' + i / 26);
        insert(text, row("s", long_text));
    }
    lc_boundaries at = {0};
    lc_buf out = LC_BUF_INIT;
    lc_buf_put_u32(&out, 0); /* what was there before stays and does not count */
    lc_table_scan_into(fixed, &out, 1000, &at);
    assert_int_equal(out.len, 4 + 12800);
    assert_int_equal(at.len, 13);
    for (size_t i = 0; i < 12; i++) assert_int_equal(at.items[i], 4 + (i + 1) * 1024);
    assert_int_equal(at.items[12], out.len);
    at.len = out.len = 0;
    lc_table_scan_into(text, &out, 32768, &at);
    assert_int_equal(at.items[0], 33 * 1004);
    assert_int_equal(at.items[at.len - 1], out.len);
    at.len = out.len = 0;
    lc_table_scan_into(fixed, &out, 127, &at);
    assert_int_equal(at.len, 100);
    at.len = 0;
    lc_table_scan_into(text, &out, 1 << 30, &at);
    assert_int_equal(at.len, 1);
    lc_table_clear(fixed);
    at.len = 0;
    lc_table_scan_into(fixed, &out, 127, &at);
    assert_int_equal(at.len, 0);
    lc_vec_deinit(&at);
    lc_buf_deinit(&out);
    lc_store_rollback(s);
    lc_store_destroy(s);
}

LC_TEST(delta_bytes_stay_until_release)
{
    lc_store *s = lc_store_create();
    lc_table *t = make_t(s);
    lc_store_begin(s);
    insert(t, row("4s", 1, "one"));
    insert(t, row("4s", 2, "two"));
    commit(s);
    lc_store_begin(s);
    lc_table_delete_row(t, row("4s", 1, "one"));
    update(t, 0, row("4s", 2, "a longer text than before, so that it moves"));
    update(t, 0, row("4s", 2, "three"));
    const lc_delta *d = lc_store_commit(s);
    assert_span_equal(delta_of(d, t)->deletes[0], row("4s", 1, "one"));
    assert_span_equal(delta_of(d, t)->deletes[1], row("4s", 2, "two"));
    assert_span_equal(delta_of(d, t)->inserts[0], row("4s", 2, "three"));
    lc_store_release(s);
    lc_store_release(s);
    lc_store_destroy(s);
}

int main(void)
{
    return LC_TEST_RUN(
        cmocka_unit_test(same_row_twice_is_one_row),
        cmocka_unit_test(delete_and_same_insert_cancel),
        cmocka_unit_test(insert_and_delete_leave_nothing),
        cmocka_unit_test(clash_is_refused_and_the_transaction_goes_on),
        cmocka_unit_test(deleted_key_is_free_again), cmocka_unit_test(update_finds_its_row),
        cmocka_unit_test(updates_back_and_forth_are_no_change),
        cmocka_unit_test(rows_that_exchange_their_keys), cmocka_unit_test(clear_is_a_truncate),
        cmocka_unit_test(freed_places_are_used_last_freed_first),
        cmocka_unit_test(scans_give_the_transactions_rows_last),
        cmocka_unit_test(the_fixed_part_of_a_row_has_a_limit),
        cmocka_unit_test(floats_in_rows_are_bits_and_in_keys_numbers),
        cmocka_unit_test(delete_by_equality),
        cmocka_unit_test(a_table_without_columns_holds_one_row), cmocka_unit_test(bad_bytes_trap),
        cmocka_unit_test(event_rows_end_with_their_transaction),
        cmocka_unit_test(scan_into_cuts_chunks_after_rows),
        cmocka_unit_test(delta_bytes_stay_until_release));
}
