/* Images read back, chunk by chunk; chunks that are no good. What images hold is test_image.c's
 * matter, random tables test_model.c's. */
#include "fixture.h"

typedef LC_VEC(lc_buf) chunks;

static chunks cut(lc_store *s, size_t target)
{
    chunks c = {0};
    lc_image *image = lc_store_freeze(s);
    lc_buf chunk = LC_BUF_INIT;
    while (lc_image_next_chunk(image, target, &chunk)) {
        lc_vec_push(&c, chunk);
        chunk = (lc_buf)LC_BUF_INIT;
    }
    lc_buf_deinit(&chunk);
    lc_image_release(image);
    return c;
}

static void chunks_deinit(chunks *c)
{
    LC_VEC_EACH (chunk, c) {
        lc_buf_deinit(chunk);
    }
    lc_vec_deinit(c);
}

static lc_status load(lc_store *s, const chunks *c, lc_error *err)
{
    lc_status status = LC_OK;
    lc_store_replay_begin(s);
    for (size_t n = 0; n < c->len && status == LC_OK; n++)
        status = lc_store_load_chunk(s, lc_buf_span(&c->items[n]), err);
    return status == LC_OK ? lc_store_replay_end(s, err) : status;
}

static lc_store *reload(lc_store *s)
{
    chunks c = cut(s, 100);
    lc_store *copy = lc_store_create();
    lc_error err = LC_ERROR_INIT;
    assert_ok(load(copy, &c, &err), &err);
    chunks_deinit(&c);
    return copy;
}

/* ------------------------------------------------------------ what comes back */

static lc_table *table(lc_store *s, const char *name)
{
    lc_table *t = lc_store_table_by_name(s, lc_span_of_str(name));
    assert_non_null(t);
    return t;
}

LC_TEST(sequences_go_on_behind_their_block)
{
    lc_store *s = lc_store_create();
    table_builder b;
    tb_init(&b, "t");
    tb_column(&b, "id", TY(U32));
    tb_column(&b, "n", TY(U32));
    tb_index(&b, LC_INDEX_BTREE, true, "0");
    lc_sequence_def *q = tb_sequence(&b, 0);
    q->increment = (lc_i128){3, 0};
    lc_table *t = tb_create(&b, s);
    lc_store_begin(s);
    lc_write w;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(lc_table_insert(t, row("44", 0, i), &w, NULL), 0);
        assert_span_equal(w.generated, row("4", 1 + 3 * i));
    }
    commit(s);
    lc_store *copy = reload(s);
    lc_store_begin(copy);
    assert_int_equal(lc_table_insert(table(copy, "t"), row("44", 0, 9), &w, NULL), 0);
    assert_span_equal(w.generated, row("4", 1 + 3 * 4096));
    table_builder later;
    tb_init(&later, "later");
    tb_column(&later, "a", TY(U32));
    assert_int_equal(lc_table_id(tb_create_in_tx(&later, copy)), 8192);
    commit(copy);
    lc_store_destroy(copy);
    lc_store_destroy(s);
}

LC_TEST(tables_of_every_kind)
{
    lc_store *s = lc_store_create();
    table_builder b;
    tb_init(&b, "no_columns");
    lc_table *none = tb_create(&b, s);
    tb_init(&b, "bytes"); /* a slot is wider than the row */
    tb_column(&b, "a", TY(U8));
    lc_table *bytes = tb_create(&b, s);
    tb_init(&b, "wide"); /* few rows to a page */
    for (int c = 0; c < 60; c++) {
        char name[16];
        snprintf(name, sizeof name, "c%d", c);
        tb_column(&b, name, TY(U256));
    }
    lc_table *wide = tb_create(&b, s);
    tb_init(&b, "flags"); /* rows of one size that must be looked at */
    tb_column(&b, "a", TY(U32));
    tb_column(&b, "b", TY(BOOL));
    tb_index(&b, LC_INDEX_BTREE, false, "1");
    lc_table *flags = tb_create(&b, s);
    tb_init(&b, "long");
    tb_column(&b, "a", TY(STRING));
    lc_table *lengthy = tb_create(&b, s);
    tb_init(&b, "empty");
    tb_column(&b, "a", TY(U32));
    tb_create(&b, s);

    uint8_t fill[60 * 32] = {0};
    char *text = lc_alloc(100001);
    lc_store_begin(s);
    assert_int_equal(insert(none, row("")), 0);
    for (int i = 0; i < 256; i++) assert_int_equal(insert(bytes, row("1", i)), 0);
    for (int i = 0; i < 50; i++) {
        fill[i] = 1;
        assert_int_equal(insert(wide, LC_SPAN(fill, sizeof fill)), 0);
    }
    for (int i = 0; i < 20000; i++) assert_int_equal(insert(flags, row("41", i, i % 2)), 0);
    for (int i = 0; i < 40; i++) {
        memset(text, 'a' + i % 26, 100000);
        text[i * 2500] = 0;
        assert_int_equal(insert(lengthy, row("s", text)), 0);
    }
    commit(s);
    lc_free(text);
    lc_store_begin(s);
    for (int i = 0; i < 20000; i += 3) lc_table_delete_row(flags, row("41", i, i % 2));
    commit(s);

    lc_store *copy = reload(s);
    uint32_t at = 0;
    for (lc_table *t; (t = lc_store_next_table(s, &at));) {
        lc_table *other = lc_store_table(copy, lc_table_id(t));
        assert_non_null(other);
        spans x = {0}, y = {0};
        collect_sorted(t, &x);
        collect_sorted(other, &y);
        assert_spans_equal(&x, &y);
        spans_deinit(&x);
        spans_deinit(&y);
    }
    check_store(copy);
    lc_store_destroy(copy);
    lc_store_destroy(s);
}

/* Order is kept where the slots no longer tell it. */
LC_TEST(equal_keys_keep_their_order)
{
    lc_store *s = lc_store_create();
    table_builder b;
    tb_init(&b, "t");
    tb_column(&b, "id", TY(U32));
    tb_column(&b, "k", TY(U8));
    tb_index(&b, LC_INDEX_BTREE, true, "0");
    tb_index(&b, LC_INDEX_BTREE, false, "1");
    lc_table *t = tb_create(&b, s);
    for (int round = 0; round < 20; round++) {
        lc_store_begin(s);
        for (int i = 0; i < 200; i++) insert(t, row("41", 1000 * round + i, i % 3));
        commit(s);
        lc_store_begin(s);
        for (int i = round % 2; i < 200; i += 2)
            lc_table_delete_row(t, row("41", 1000 * round + i, i % 3));
        commit(s);
    }
    lc_store *copy = reload(s);
    lc_store *again = reload(copy);
    lc_store *stores[] = {s, copy, again};
    spans all[3] = {{0}, {0}, {0}};
    for (int n = 0; n < 3; n++)
        for (int k = 0; k < 3; k++)
            assert_int_equal(lc_index_scan_point(lc_table_index(table(stores[n], "t"), 1),
                                                 row("1", k), add_visit, &all[n], NULL),
                             0);
    assert_int_equal(all[0].len, 2000);
    assert_spans_equal(&all[0], &all[1]);
    assert_spans_equal(&all[0], &all[2]);
    for (int n = 0; n < 3; n++) spans_deinit(&all[n]);
    /* A new row comes after all others. */
    lc_store_begin(copy);
    assert_int_equal(insert(table(copy, "t"), row("41", 4, 1)), 0);
    commit(copy);
    spans group = {0};
    lc_index_scan_point(lc_table_index(table(copy, "t"), 1), row("1", 1), add_visit, &group, NULL);
    assert_span_equal(group.items[group.len - 1], row("41", 4, 1));
    spans_deinit(&group);
    for (int n = 0; n < 3; n++) lc_store_destroy(stores[n]);
}

/* --------------------------------------------------------- chunks that are no good */

/* Tables by id from 4096: plain (u32 unique, u32), groups (u32, u8 with equal keys), flags (bool),
 * texts (string), none (no columns), events, and a view. */
static lc_store *make_store(void)
{
    lc_store *s = lc_store_create();
    table_builder b;
    tb_init(&b, "plain");
    tb_column(&b, "id", TY(U32));
    tb_column(&b, "n", TY(U32));
    tb_index(&b, LC_INDEX_BTREE, true, "0");
    tb_create(&b, s);
    tb_init(&b, "groups");
    tb_column(&b, "id", TY(U32));
    tb_column(&b, "k", TY(U8));
    tb_index(&b, LC_INDEX_BTREE, false, "1");
    tb_create(&b, s);
    tb_init(&b, "flags");
    tb_column(&b, "f", TY(BOOL));
    tb_create(&b, s);
    tb_init(&b, "texts");
    tb_column(&b, "t", TY(STRING));
    tb_create(&b, s);
    tb_init(&b, "none");
    tb_create(&b, s);
    tb_init(&b, "events");
    tb_column(&b, "id", TY(U32));
    b.def.is_event = true;
    tb_create(&b, s);
    tb_init(&b, "view");
    tb_column(&b, "id", TY(U32));
    lc_table *view = tb_create(&b, s);
    lc_buf st_view = LC_BUF_INIT;
    lc_buf_put_u32(&st_view, 0);
    lc_buf_put_lenstr(&st_view, LC_STR("view"));
    lc_buf_put_u8(&st_view, 0);
    lc_buf_put_u32(&st_view, lc_table_id(view));
    lc_buf_put_u16(&st_view, 1);
    lc_store_begin(s);
    assert_int_equal(insert(lc_store_table(s, LC_ST_VIEW), lc_buf_span(&st_view)), 0);
    commit(s);
    lc_buf_deinit(&st_view);
    return s;
}

enum { PLAIN = 4096, GROUPS, FLAGS, TEXTS, NONE, EVENTS, VIEW, UNKNOWN };

typedef struct bad_chunk {
    const char *form; /* see row() */
    int id, count, flags;
    int values[8];
    const char *text; /* in the error, which comes with the chunk or at the end; NULL = good */
} bad_chunk;

static const bad_chunk bad_chunks[] = {
    {"", PLAIN, 0, 0, {0}, NULL},
    {"44", PLAIN, 1, 0, {1, 2}, NULL},
    {"4444", PLAIN, 2, 0, {1, 2, 2, 2}, NULL},
    {"4444", PLAIN, 2, 0, {1, 2, 1, 3}, "two rows with one key in unique index"},
    {"44", PLAIN, 2, 0, {1, 2}, "table 4096: a chunk is not as long as its rows"},
    {"444", PLAIN, 1, 0, {1, 2, 3}, "table 4096: a chunk is not as long as its rows"},
    {"44", PLAIN, -1, 0, {1, 2}, "table 4096: a chunk is not as long as its rows"},
    {"444", PLAIN, 1, 2, {1, 2}, "table 4096: a chunk has unknown flags"},
    {"4444", PLAIN, 1, 1, {1, 2, 0, 0}, "table 4096: its chunks have stamps or none"},
    {"4144", GROUPS, 1, 1, {1, 1, 7, 0}, NULL},
    {"414144", GROUPS, 2, 1, {1, 1, 2, 1, 7, 0}, "table 4097: a chunk is not as long as its rows"},
    {"41", GROUPS, 1, 0, {1, 1}, "table 4097: its chunks have stamps or none"},
    {"41", GROUPS, 1, 1, {1, 1}, "table 4097: a chunk has fewer stamps than rows"},
    {"41", GROUPS, -1, 1, {1, 1}, "table 4097: a chunk has fewer stamps than rows"},
    {"4144", GROUPS, 1, 1, {1, 1, 0, -1}, "table 4097: a stamp is out of range"},
    {"41414444", GROUPS, 2, 1, {1, 1, 2, 1, 7, 0, 7, 0}, "two rows with one place in index"},
    {"41414444", GROUPS, 2, 1, {1, 1, 1, 1, 7, 0, 8, 0}, "table 4097 has two equal rows"},
    {"11", FLAGS, 2, 0, {0, 1}, NULL},
    {"11", FLAGS, 2, 0, {0, 2}, "table 4098: a row cannot be read"},
    {"11", FLAGS, 2, 0, {1, 1}, "table 4098 has two equal rows"},
    {"41411", TEXTS, 2, 0, {1, 'a', 2, 'b', 'b'}, NULL},
    {"41411", TEXTS, 2, 0, {1, 'a', 3, 'b', 'b'}, "table 4099: a row cannot be read"},
    {"41411", TEXTS, 2, 0, {1, 'a', 2, 'b', 0xff}, "table 4099: a row cannot be read"},
    {"41411", TEXTS, 1, 0, {1, 'a', 2, 'b', 'b'}, "table 4099: bytes follow a chunk's rows"},
    {"", TEXTS, 1, 0, {0}, "table 4099: a row cannot be read"},
    {"", NONE, 1, 0, {0}, NULL},
    {"", NONE, 2, 0, {0}, "table 4100: it has no columns but many rows"},
    {"1", NONE, 1, 0, {0}, "table 4100: a chunk is not as long as its rows"},
    {"4", EVENTS, 1, 0, {1}, "table 4101: the log does not keep its rows"},
    {"4", VIEW, 1, 0, {1}, "table 4102: the log does not keep its rows"},
    {"4", UNKNOWN, 1, 0, {1}, "rows of an unknown table 4103"},
    {"4", 0, 1, 0, {1}, "table 0 follows table"},
    {"4", LC_ST_TABLE, 1, 0, {1}, "table 1 follows table"},
};

static lc_buf make_chunk(const bad_chunk *c)
{
    lc_buf chunk = LC_BUF_INIT;
    lc_buf_put_u32(&chunk, (uint32_t)c->id);
    lc_buf_put_u32(&chunk, (uint32_t)c->count);
    lc_buf_put_u8(&chunk, (uint8_t)c->flags);
    for (const char *f = c->form; *f; f++) {
        int value = c->values[f - c->form];
        lc_buf_put_span(&chunk, *f == '4' ? row("4", value) : row("1", value));
    }
    return chunk;
}

LC_TEST(bad_chunks_are_refused)
{
    lc_store *s = make_store();
    for (size_t n = 0; n < LC_ARRAY_LEN(bad_chunks); n++) {
        const bad_chunk *bad = &bad_chunks[n];
        chunks c = cut(s, 1 << 20);
        lc_vec_push(&c, make_chunk(bad));
        lc_store *copy = lc_store_create();
        lc_error err = LC_ERROR_INIT;
        lc_status status = load(copy, &c, &err);
        if (bad->text) {
            assert_int_equal(status, LC_E_CORRUPT);
            assert_int_equal(err.code, LC_E_CORRUPT);
            if (!strstr(lc_error_text(&err), bad->text))
                fail_msg("chunk %zu: %s", n, lc_error_text(&err));
        } else {
            assert_ok(status, &err);
            assert_int_equal(lc_table_row_count(lc_store_table(copy, (uint32_t)bad->id)),
                             bad->count);
            check_store(copy);
        }
        lc_error_clear(&err);
        lc_store_destroy(copy);
        chunks_deinit(&c);
    }
    lc_store_destroy(s);
}

/* The second row of a table without columns comes in a second chunk. */
LC_TEST(chunks_of_one_table_belong_together)
{
    lc_store *s = make_store();
    chunks c = cut(s, 1 << 20);
    const bad_chunk empty = {"", NONE, 1, 0, {0}, NULL};
    for (int n = 0; n < 2; n++) lc_vec_push(&c, make_chunk(&empty));
    lc_store *copy = lc_store_create();
    lc_error err = LC_ERROR_INIT;
    assert_int_equal(load(copy, &c, &err), LC_E_CORRUPT);
    assert_non_null(strstr(lc_error_text(&err), "no columns but many rows"));
    lc_error_clear(&err);
    chunks_deinit(&c);
    lc_store_destroy(copy);
    lc_store_destroy(s);
}

/* The rows of system tables are those of the image, and of nothing else: one whose chunk is left
 * out has none, should the others make sense without it. */
LC_TEST(an_image_replaces_the_bootstrap_rows)
{
    lc_store *s = make_store();
    chunks c = cut(s, 1 << 20);
    lc_error err = LC_ERROR_INIT;
    for (size_t n = 0; n < c.len; n++) {
        lc_store *copy = lc_store_create();
        chunks one_less = {0};
        for (size_t k = 0; k < c.len; k++)
            if (k != n) lc_vec_push(&one_less, c.items[k]);
        const uint32_t id = lc_load_u32(c.items[n].ptr);
        lc_status status = load(copy, &one_less, &err);
        if (status == LC_OK) assert_int_equal(lc_table_row_count(lc_store_table(copy, id)), 0);
        lc_error_clear(&err);
        lc_vec_deinit(&one_less);
        lc_store_destroy(copy);
    }
    chunks_deinit(&c);
    lc_store_destroy(s);
}

LC_TEST(damaged_chunks_do_no_harm)
{
    lc_store *s = make_store();
    lc_store_begin(s);
    for (int i = 0; i < 50; i++) {
        insert(lc_store_table(s, PLAIN), row("44", i, i));
        insert(lc_store_table(s, GROUPS), row("41", i, i % 4));
        insert(lc_store_table(s, TEXTS), row("s", i % 2 ? "a" : "bcd"));
    }
    commit(s);
    uint64_t seed = 5;
    uint32_t refused = 0;
    for (int n = 0; n < 600; n++) {
        chunks c = cut(s, n % 3 ? 1 << 20 : 200);
        lc_buf *chunk = &c.items[lc_test_random(&seed) % c.len];
        if (n % 5 == 0) chunk->len = lc_test_random(&seed) % chunk->len;
        for (int flips = n % 3; flips >= 0 && chunk->len; flips--)
            chunk->ptr[lc_test_random(&seed) % chunk->len] ^= 1 << lc_test_random(&seed) % 8;
        lc_store *copy = lc_store_create();
        lc_error err = LC_ERROR_INIT;
        lc_status status = load(copy, &c, &err);
        if (status != LC_OK) {
            assert_int_equal(status, LC_E_CORRUPT);
            assert_int_equal(err.code, LC_E_CORRUPT);
            refused++;
        } else {
            check_store(copy);
        }
        lc_error_clear(&err);
        lc_store_destroy(copy);
        chunks_deinit(&c);
    }
    assert_in_range(refused, 200, 599);
    lc_store_destroy(s);
}

int main(void)
{
    return LC_TEST_RUN(cmocka_unit_test(sequences_go_on_behind_their_block),
                       cmocka_unit_test(tables_of_every_kind),
                       cmocka_unit_test(equal_keys_keep_their_order),
                       cmocka_unit_test(bad_chunks_are_refused),
                       cmocka_unit_test(chunks_of_one_table_belong_together),
                       cmocka_unit_test(an_image_replaces_the_bootstrap_rows),
                       cmocka_unit_test(damaged_chunks_do_no_harm));
}
