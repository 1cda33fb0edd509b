/* Logs of the reference server, replayed: 05 section 3.11. */
#include "fixture.h"
#include "recorded.h"

/* Compares one table with its lines in tables.txt, which are sorted as collect_sorted does. */
static void compare_table(const lc_table *t, const char *lines)
{
    spans rows = {0};
    collect_sorted(t, &rows);
    for (size_t i = 0; i < rows.len; i++) {
        lc_buf hex = LC_BUF_INIT;
        lc_hex_encode(rows.items[i].ptr, rows.items[i].len,
                      (char *)lc_buf_extend(&hex, rows.items[i].len * 2));
        lc_buf_put_u8(&hex, '\n');
        if (strncmp(lines, (char *)hex.ptr, hex.len) != 0) {
            fail_msg("table " LC_SPAN_FMT ", row %zu: " LC_SPAN_FMT, LC_SPAN_ARG(lc_table_name(t)),
                     i, LC_SPAN_ARG(hex));
        }
        lines += hex.len;
        lc_buf_deinit(&hex);
    }
    if (*lines && *lines != 't')
        fail_msg("a row is missing in " LC_SPAN_FMT, LC_SPAN_ARG(lc_table_name(t)));
    spans_deinit(&rows);
}

static void compare_store(const lc_store *s, const char *name)
{
    char *path = lc_format(RECORDED "%s/tables.txt", name);
    lc_buf text = read_file(path);
    char *lines = lc_buf_give_cstr(&text);
    uint32_t at = 0;
    lc_table *t = lc_store_next_table(s, &at);
    for (char *line = lines; *line; line = strchr(line, '\n') + 1) {
        if (*line != 't') continue;
        uint32_t id;
        char table[64];
        assert_int_equal(sscanf(line, "table %u %63s", &id, table), 2);
        assert_non_null(t);
        assert_int_equal(lc_table_id(t), id);
        assert_span_text(lc_table_name(t), table);
        assert_ptr_equal(lc_store_table_by_name(s, lc_span_of_str(table)), t);
        compare_table(t, strchr(line, '\n') + 1);
        t = lc_store_next_table(s, &at);
    }
    assert_null(t);
    lc_free(lines);
    lc_free(path);
}

static lc_store *check_log(const char *name)
{
    lc_store *s = replay_log(name, UINT32_MAX);
    compare_store(s, name);
    check_store(s);
    return s;
}

LC_TEST(recorded_logs_give_the_recorded_tables)
{
    static const char *const names[] = {"auto",  "basics",    "clients",  "crash",
                                        "empty", "events",    "views",    "damaged_single",
                                        "v9",    "migration", "schedule", "segments"};
    for (size_t i = 0; i < LC_ARRAY_LEN(names); i++) {
        lc_store *s = check_log(names[i]);
        /* It can be written to. */
        lc_store_begin(s);
        uint64_t limit;
        assert_int_equal(lc_store_set_row_limit(s, 77, NULL), LC_OK);
        assert_true(lc_store_get_row_limit(s, &limit));
        assert_int_equal(limit, 77);
        lc_store_rollback(s);
        compare_store(s, names[i]);
        lc_store_destroy(s);
    }
}

static lc_table *table(lc_store *s, const char *name)
{
    lc_table *t = lc_store_table_by_name(s, lc_span_of_str(name));
    assert_non_null(t);
    return t;
}

LC_TEST(names_and_flags_come_back)
{
    lc_store *s = check_log("events");
    assert_true(lc_table_is_event(table(s, "ev")));
    assert_false(lc_table_is_event(table(s, "t")));
    assert_false(lc_table_is_public(table(s, "secret")));
    assert_true(lc_table_is_view(table(s, "va")));
    assert_false(lc_table_is_view(table(s, "doc")));
    assert_int_equal(lc_table_primary_key(table(s, "doc")), 0);
    assert_int_equal(lc_table_primary_key(table(s, "pair")), -1);
    lc_index *named = lc_store_index_by_name(s, LC_STR("my_index"));
    assert_non_null(named);
    assert_span_text(lc_index_name(named), "named_index_a_idx_btree");
    assert_ptr_equal(lc_store_index(s, lc_index_id(named)), named);
    lc_index *pair = lc_store_index_by_name(s, LC_STR("pair_x_y_idx_btree"));
    assert_true(
        lc_index_is_unique(pair)); /* its constraint names the columns the other way round */
    assert_int_equal(lc_index_kind(lc_store_index_by_name(s, LC_STR("dir_k_idx_direct"))),
                     LC_INDEX_DIRECT);
    lc_store_destroy(s);
}

LC_TEST(ids_jump_to_the_next_block)
{
    lc_store *s = check_log("events");
    lc_write w;
    lc_store_begin(s);
    lc_table *t = table(s, "t");
    assert_int_equal(lc_table_insert(t, row("4s", 0, "x"), &w, NULL), 0);
    assert_span_equal(w.generated, row("4", 4097));
    table_builder b;
    tb_init(&b, "later");
    tb_column(&b, "a", TY(U32));
    tb_index(&b, LC_INDEX_BTREE, false, "0");
    lc_table *later = tb_create_in_tx(&b, s);
    assert_int_equal(lc_table_id(later), 8192);
    assert_int_equal(lc_index_id(lc_table_index(later, 0)), 8192);
    commit(s);
    lc_store_destroy(s);
}

/* ------------------------------------------------------------ logs by hand */

static lc_status replay_bytes(lc_store *s, lc_span mutations, lc_error *err)
{
    size_t used;
    return lc_store_replay_tx(s, mutations, &used, err);
}

LC_TEST(contradictions_are_refused)
{
    static const struct {
        const char *hex;
        const char *text;
    } cases[] = {
        {"010010000001", "rows of an unknown table 4096"},
        {"000107000000012a", "cannot be read"},
        {"00000100110000", "rows of an unknown table 4352"},
        {"0000", NULL},
        {"01ffffffffffffffffffffff", NULL},
        /* an st_event_table row twice; a row that is not there */
        {"0111000000020110000001100000", "inserted that is there already"},
        {"0001110000000100100000", "deleted that is not there"},
    };
    for (size_t i = 0; i < LC_ARRAY_LEN(cases); i++) {
        lc_store *s = lc_store_create();
        uint8_t bytes[64];
        size_t len = strlen(cases[i].hex) / 2;
        assert_true(lc_hex_decode(LC_SPAN(cases[i].hex, len * 2), bytes));
        lc_error err = LC_ERROR_INIT;
        lc_store_replay_begin(s);
        assert_int_equal(replay_bytes(s, LC_SPAN(bytes, len), &err), LC_E_CORRUPT);
        assert_int_equal(err.code, LC_E_CORRUPT);
        if (cases[i].text && !strstr(lc_error_text(&err), cases[i].text))
            fail_msg("case %zu: %s", i, lc_error_text(&err));
        lc_error_clear(&err);
        lc_store_destroy(s);
    }
}

LC_TEST(rows_about_system_tables_may_come_again)
{
    lc_store *s = lc_store_create();
    lc_store *fresh = lc_store_create();
    lc_buf log = LC_BUF_INIT;
    lc_store_replay_begin(s);
    /* The bootstrap rows of st_table .. st_constraint, as if they were news. */
    lc_buf_put_u8(&log, LC_ST_CONSTRAINT);
    for (uint32_t id = LC_ST_TABLE; id <= LC_ST_CONSTRAINT; id++) {
        lc_table *t = lc_store_table(fresh, id);
        uint64_t count = lc_table_row_count(t);
        lc_buf_put_u32(&log, id);
        if (count >= 0x80) lc_buf_put_u8(&log, (uint8_t)(count | 0x80));
        lc_buf_put_u8(&log, (uint8_t)(count >= 0x80 ? count >> 7 : count));
        lc_table_scan_into(t, &log, SIZE_MAX, NULL);
    }
    lc_buf_put_u16(&log, 0);
    lc_error err = LC_ERROR_INIT;
    assert_ok(replay_bytes(s, lc_buf_span(&log), &err), &err);
    assert_ok(lc_store_replay_end(s, &err), &err);
    lc_buf_deinit(&log);
    for (uint32_t id = 1; id <= LC_ST_COUNT; id++) {
        spans a = {0}, b = {0};
        collect_sorted(lc_store_table(s, id), &a);
        collect_sorted(lc_store_table(fresh, id), &b);
        assert_spans_equal(&a, &b);
        spans_deinit(&a);
        spans_deinit(&b);
    }
    lc_store_destroy(fresh);
    lc_store_destroy(s);
}

/* A sequence row of a system table that came twice: the one that got furthest counts. */
LC_TEST(of_two_system_sequences_the_further_one_stays)
{
    lc_store *s = lc_store_create();
    lc_store_replay_begin(s);
    lc_buf log = LC_BUF_INIT;
    lc_buf_put_u8(&log, 1);
    lc_buf_put_u32(&log, LC_ST_SEQUENCE);
    lc_buf_put_u8(&log, 1);
    spans rows = {0};
    collect(lc_store_table(s, LC_ST_SEQUENCE), &rows);
    lc_buf_put_span(&log, rows.items[0]);
    memset(log.ptr + log.len - 16, 0, 16);
    lc_store_u32(log.ptr + log.len - 16, 12288);
    lc_buf_put_u16(&log, 0);
    spans_deinit(&rows);
    lc_error err = LC_ERROR_INIT;
    assert_ok(replay_bytes(s, lc_buf_span(&log), &err), &err);
    assert_ok(lc_store_replay_end(s, &err), &err);
    lc_buf_deinit(&log);
    assert_int_equal(lc_table_row_count(lc_store_table(s, LC_ST_SEQUENCE)), 7);
    table_builder b;
    tb_init(&b, "t");
    tb_column(&b, "a", TY(U32));
    assert_int_equal(lc_table_id(tb_create(&b, s)), 12288);
    lc_store_destroy(s);
}

/* Whatever a log holds, it is refused with a reason or taken; it never brings the store down.
 * LC_REPLAY_ROUNDS=n goes on longer. */
LC_TEST(damaged_records_do_no_harm)
{
    static const char *const names[] = {"basics", "migration", "events", "views", "auto"};
    const char *more = getenv("LC_REPLAY_ROUNDS");
    uint32_t refused = 0, rounds = more ? (uint32_t)strtoul(more, NULL, 10) : 400;
    uint64_t seed = rounds;
    for (uint32_t n = 0; n < rounds; n++) {
        spans records = read_log(names[n % LC_ARRAY_LEN(names)]);
        size_t at = lc_test_random(&seed) % (n % 2 ? records.len : 1);
        lc_span *r = &records.items[at];
        for (uint64_t flips = 1 + lc_test_random(&seed) % 3; flips > 0; flips--)
            ((uint8_t *)r->ptr)[lc_test_random(&seed) % r->len] ^= 1 << lc_test_random(&seed) % 8;
        if (n % 7 == 0) r->len = lc_test_random(&seed) % r->len;
        lc_store *s = lc_store_create();
        lc_error err = LC_ERROR_INIT;
        lc_status status = LC_OK;
        size_t used;
        lc_store_replay_begin(s);
        for (size_t i = 0; i < records.len && status == LC_OK; i++)
            status = lc_store_replay_tx(s, records.items[i], &used, &err);
        if (status == LC_OK) status = lc_store_replay_end(s, &err);
        if (status != LC_OK) {
            refused++;
            assert_int_equal(status, LC_E_CORRUPT);
            assert_int_equal(err.code, LC_E_CORRUPT);
        } else {
            check_store(s);
        }
        lc_error_clear(&err);
        lc_store_destroy(s);
        spans_deinit(&records);
    }
    assert_in_range(refused, rounds / 4, rounds);
}

int main(void)
{
    return LC_TEST_RUN(cmocka_unit_test(recorded_logs_give_the_recorded_tables),
                       cmocka_unit_test(names_and_flags_come_back),
                       cmocka_unit_test(ids_jump_to_the_next_block),
                       cmocka_unit_test(contradictions_are_refused),
                       cmocka_unit_test(rows_about_system_tables_may_come_again),
                       cmocka_unit_test(of_two_system_sequences_the_further_one_stays),
                       cmocka_unit_test(damaged_records_do_no_harm));
}
