/* Plans over the recorded module's tables: what they say of themselves, and what SQL writes. */
#include "sql_kit.h"

static const lc_caller owner = {.is_owner = true};
static const lc_caller guest = {.identity = {{9}}};

static sql_kit kit;

static int set_up(void **state)
{
    (void)state;
    sql_kit_init(&kit);
    return 0;
}
static int tear_down(void **state)
{
    (void)state;
    sql_kit_deinit(&kit);
    return 0;
}

static lc_plan *plan_of(const char *sql, lc_dialect dialect, const lc_caller *caller)
{
    lc_plan *plan;
    lc_error err = LC_ERROR_INIT;
    lc_status st = lc_plan_create(kit.store, lc_span_of_str(sql), dialect, caller, &plan, &err);
    if (st) fail_msg("%s: %s", sql, lc_error_text(&err));
    return plan;
}

static void expect_error(const char *sql, const lc_caller *caller, lc_status status,
                         const char *text)
{
    lc_plan *plan;
    lc_error err = LC_ERROR_INIT;
    assert_int_equal(
        lc_plan_create(kit.store, lc_span_of_str(sql), LC_DIALECT_AD_HOC, caller, &plan, &err),
        status);
    assert_null(plan);
    assert_string_equal(lc_error_text(&err), text);
    lc_error_clear(&err);
}

/* Runs a write in a transaction of its own. */
static lc_status write_sql(const char *sql, lc_query_stats *stats, lc_error *err)
{
    lc_plan *plan = plan_of(sql, LC_DIALECT_AD_HOC, &owner);
    lc_store_begin(kit.store);
    lc_status st = lc_plan_write(plan, stats, err);
    if (st) {
        lc_store_rollback(kit.store);
    } else {
        lc_store_commit(kit.store);
        lc_store_release(kit.store);
    }
    lc_plan_destroy(plan);
    return st;
}

static uint64_t count_of(const char *sql)
{
    lc_rowset rows = {0};
    lc_plan *plan = plan_of(sql, LC_DIALECT_AD_HOC, &owner);
    assert_ok(lc_plan_select(plan, &rows, NULL), NULL);
    uint64_t count = rows.count;
    lc_plan_destroy(plan);
    lc_rowset_deinit(&rows);
    return count;
}

LC_TEST(plans_describe_their_result)
{
    lc_plan *p = plan_of("select id as x, someValue from MixedCase", LC_DIALECT_AD_HOC, &owner);
    assert_int_equal(lc_plan_get_kind(p), LC_PLAN_SELECT);
    assert_false(lc_plan_is_write(p));
    assert_int_equal(lc_plan_column_count(p), 2);
    assert_span_text(lc_plan_column_name(p, 0), "x");
    assert_span_text(lc_plan_column_name(p, 1), "someValue");
    assert_int_equal(lc_plan_column_type(p, 1)->kind, LC_TYPE_STRING);
    assert_int_equal(lc_plan_row_type(p)->member_count, 2);
    lc_plan_destroy(p);
    p = plan_of("select * from t", LC_DIALECT_SUBSCRIPTION, &owner);
    assert_true(lc_plan_is_whole_table(p));
    assert_span_text(lc_table_name(lc_plan_table(p)), "t");
    assert_int_equal(lc_plan_source_count(p), 1);
    assert_ptr_equal(lc_plan_source(p, 0), lc_plan_table(p));
    assert_false(lc_plan_uses_sender(p));
    assert_false(lc_plan_is_stale(p));
    lc_plan_destroy(p);
    p = plan_of("select * from t where true and (true)", LC_DIALECT_SUBSCRIPTION, &owner);
    assert_true(lc_plan_is_whole_table(p));
    lc_plan_destroy(p);
    p = plan_of("select * from owned where :sender = owner", LC_DIALECT_SUBSCRIPTION, &guest);
    assert_true(lc_plan_uses_sender(p));
    assert_false(lc_plan_is_whole_table(p));
    lc_plan_destroy(p);
    p = plan_of("delete from t", LC_DIALECT_AD_HOC, &owner);
    assert_true(lc_plan_is_write(p));
    lc_plan_destroy(p);
}

static void expect_equality(const char *sql, int column, const char *hex, bool is_only)
{
    uint32_t got;
    lc_span value;
    lc_plan *p = plan_of(sql, LC_DIALECT_SUBSCRIPTION, &owner);
    assert_int_equal(lc_plan_equality(p, &got, &value), column >= 0);
    if (column >= 0) {
        uint8_t want[64];
        assert_int_equal(got, column);
        assert_true(lc_hex_decode(lc_span_of_str(hex), want));
        assert_span_equal(value, LC_SPAN(want, strlen(hex) / 2));
    }
    assert_int_equal(lc_plan_is_only_equality(p), is_only);
    lc_plan_destroy(p);
}

LC_TEST(equalities_are_found)
{
    expect_equality("select * from t where id = 258", 0, "02010000", true);
    expect_equality("select * from t where 258 = t.v", 1, "02010000", true);
    expect_equality("select * from t where (v = 1) and ((id = 2))", 0, "02000000", false);
    expect_equality("select * from t where v > 3 and v = 1", 1, "01000000", false);
    expect_equality("select * from t where v = 1 or id = 2", -1, "", false);
    expect_equality("select * from t where v = id", -1, "", false);
    expect_equality("select * from keyed where kind = 1 and owner = "
                    "0x0101010101010101010101010101010101010101010101010101010101010101",
                    2, "0101010101010101010101010101010101010101010101010101010101010101", false);
    expect_equality("select * from bag where b = 'x'", 1, "0100000078", true);
}

LC_TEST(writes_need_the_owner_after_all_else)
{
    char text[200];
    char hex[LC_IDENTITY_HEX + 1];
    lc_identity_to_hex(&guest.identity, hex);
    snprintf(text, sizeof text, "Caller %s is not authorized to run SQL DML statements", hex);
    expect_error("delete from t", &guest, LC_E_DENIED, text);
    expect_error("set row_limit = 5", &guest, LC_E_DENIED, text);
    expect_error("insert into t (id, v) values (1, 2, 3)", &guest, LC_E_INVALID,
                 "Inserting a row with 3 values into `t` which has 2 fields");
    expect_error("select * from secret", &guest, LC_E_NOT_FOUND,
                 "no such table: `secret`. If the table exists, it may be marked private.");
}

LC_TEST(what_comes_later_says_so)
{
    expect_error("select t.* from t join s on t.id = s.t_id", &owner, LC_E_UNSUPPORTED,
                 "not supported: joins (2 tables)");
    expect_error("select * from v_q", &owner, LC_E_UNSUPPORTED, "not supported: views (`v_q`)");
    expect_error("select arg_hash from v_q", &owner, LC_E_INVALID, "`arg_hash` is not in scope");
}

LC_TEST(inserted_columns_may_be_named_in_another_order)
{
    lc_query_stats stats;
    lc_error err = LC_ERROR_INIT;
    assert_ok(write_sql("insert into t (v, id) values (7, 100), (8, 101)", &stats, &err), &err);
    assert_int_equal(stats.rows_inserted, 2);
    assert_int_equal(count_of("select * from t where id = 100 and v = 7"), 1);
    /* names that are not the table's columns mean nothing: values go by position */
    assert_ok(write_sql("insert into t (x, y) values (200, 9)", &stats, &err), &err);
    assert_int_equal(count_of("select * from t where id = 200 and v = 9"), 1);
}

LC_TEST(a_failing_statement_changes_nothing)
{
    lc_query_stats stats;
    lc_error err = LC_ERROR_INIT;
    assert_int_equal(write_sql("update t set id = 5", &stats, &err), LC_E_CONFLICT);
    assert_string_equal(lc_error_text(&err),
                        "IndexError: Unique constraint violation 't_id_idx_btree' in "
                        "table 't': column(s): '[\"id\"]' value: 5");
    lc_error_clear(&err);
    assert_int_equal(count_of("select * from t"), 4);
}

LC_TEST(system_tables_are_not_written)
{
    lc_query_stats stats;
    lc_error err = LC_ERROR_INIT;
    assert_int_equal(write_sql("delete from st_table where table_id = 1", &stats, &err),
                     LC_E_UNSUPPORTED);
    assert_string_equal(lc_error_text(&err),
                        "not supported: writing to the system table `st_table` by SQL");
    lc_error_clear(&err);
    assert_ok(write_sql("delete from st_table where table_id = 99999", &stats, &err), &err);
    assert_ok(write_sql("set row_limit = 12", &stats, &err), &err);
    assert_ok(write_sql("set row_limit = 13", &stats, &err), &err);
    uint64_t limit = 0;
    assert_true(lc_store_get_row_limit(kit.store, &limit));
    assert_int_equal(limit, 13);
    assert_ok(write_sql("delete from st_var where name = 'row_limit'", &stats, &err), &err);
    assert_int_equal(stats.rows_deleted, 1);
    assert_false(lc_store_get_row_limit(kit.store, &limit));
}

static void expect_estimate(const char *sql, uint64_t want)
{
    lc_plan *p = plan_of(sql, LC_DIALECT_AD_HOC, &guest);
    assert_int_equal(lc_plan_estimate(p), want);
    lc_plan_destroy(p);
}

LC_TEST(estimates_count_what_is_read)
{
    expect_estimate("select * from bigish", 100);
    expect_estimate("select count(*) as n from bigish", 100);
    expect_estimate("select * from bigish limit 7", 7);
    expect_estimate("select * from bigish where id > 97", 200);
    expect_estimate("select * from bigish where id = 5", 1);
    expect_estimate("select * from bigish where grp = 5", 10);
    expect_estimate("select * from bigish where grp = 5 and id > 3", 20);
    expect_estimate("select * from empty_tab where id = 1", 0);
    lc_error err = LC_ERROR_INIT;
    assert_int_equal(lc_query_check_row_limit(kit.store, UINT64_MAX, &guest, &err), LC_OK);
    lc_store_begin(kit.store);
    assert_ok(lc_store_set_row_limit(kit.store, 4, &err), &err);
    lc_store_commit(kit.store);
    lc_store_release(kit.store);
    assert_int_equal(lc_query_check_row_limit(kit.store, 4, &guest, &err), LC_OK);
    assert_int_equal(lc_query_check_row_limit(kit.store, 5, &owner, &err), LC_OK);
    assert_int_equal(lc_query_check_row_limit(kit.store, 5, &guest, &err), LC_E_LIMIT);
    assert_string_equal(lc_error_text(&err),
                        "Estimated cardinality (5 rows) exceeds limit (4 rows)");
    lc_error_clear(&err);
}

/* Literals beyond the recorded ones. */
LC_TEST(literals_are_read_by_the_wanted_type)
{
    static const struct {
        const char *where;
        int64_t rows; /* -1: refused */
    } cases[] = {
        {"ints where u_32 = '1e3'", 1},
        {"ints where u_32 = 1000.000", 1},
        {"ints where u_32 = 0.1e4", 1},
        {"ints where u_32 = 1000e-0", 1},
        {"ints where u_32 = 10000e-1", 1},
        {"ints where u_32 = 10005e-1", -1},
        {"ints where u_32 = 0e99999999999", 1},
        {"ints where u_32 = 1e99999999999", -1},
        {"ints where u_32 = 1e-99999999999", -1},
        {"ints where u_32 = ''", -1},
        {"ints where u_32 = '+'", -1},
        {"ints where u_32 = '1 '", -1},
        {"ints where u_32 = '0x10'", -1},
        {"ints where u_32 = -0", 1},
        {"ints where i_8 = -128", 1},
        {"ints where i_8 = -1.28e2", 1},
        {"ints where i_8 = -129", -1},
        {"ints where i_256 = 1000.0", -1},
        {"ints where i_256 = 1.0e3", 1},
        {"ints where i_128 = 1000.0", 1},
        {"floats where f = 1.5", 1},
        {"floats where d = '1.5'", 1},
        {"floats where d = 0x10", 0},
        {"floats where d = 1.5.", -1},
        {"floats where d = 'e5'", -1},
        {"scalars where by = 0xABcd", 1},
        {"scalars where by = '0xabcd'", 1},
        {"scalars where cid = 0x0123456789ABCDEF0123456789abcdef", 1},
        {"scalars where uu = '{550e8400-e29b-41d4-a716-446655440000}'", 1},
        {"scalars where uu = 'urn:uuid:550E8400-E29B-41D4-A716-446655440000'", 1},
        {"scalars where b = b", 7},
        {"scalars where b <> (id = 1)", 5},
        {"scalars where (b = true) = (s = 'abc')", 4},
    };
    for (size_t i = 0; i < LC_ARRAY_LEN(cases); i++) {
        char sql[200];
        lc_plan *p;
        lc_rowset rows = {0};
        snprintf(sql, sizeof sql, "select id from %s", cases[i].where);
        lc_status st =
            lc_plan_create(kit.store, lc_span_of_str(sql), LC_DIALECT_AD_HOC, &owner, &p, NULL);
        if ((st != LC_OK) != (cases[i].rows < 0)) fail_msg("%s: status %d", sql, (int)st);
        if (st) continue;
        assert_ok(lc_plan_select(p, &rows, NULL), NULL);
        if ((int64_t)rows.count != cases[i].rows)
            fail_msg("%s: %llu rows", sql, (unsigned long long)rows.count);
        lc_plan_destroy(p);
        lc_rowset_deinit(&rows);
    }
}

/* Rules are not applied yet: only the owner reads a table that has one, by whatever way. */
LC_TEST(row_level_security_closes_a_table_to_others)
{
    const char *ways[] = {
        "select * from t",
        "select count(*) as n from t",
        "select x.id from t x where x.id = 1",
        "select s.* from s join t x on x.id = s.t_id",
        "select s.* from s, t",
    };
    lc_table *t = lc_store_table_by_name(kit.store, LC_STR("t"));
    lc_plan_destroy(plan_of(ways[0], LC_DIALECT_SUBSCRIPTION, &guest));
    lc_store_begin(kit.store);
    assert_ok(lc_store_add_rule(t, LC_STR("select * from t where id = 1"), NULL), NULL);
    lc_store_commit(kit.store);
    const lc_dialect dialects[] = {LC_DIALECT_AD_HOC, LC_DIALECT_SUBSCRIPTION, LC_DIALECT_ONE_OFF};
    for (size_t i = 0; i < LC_ARRAY_LEN(ways); i++) {
        for (size_t d = 0; d < LC_ARRAY_LEN(dialects); d++) {
            lc_plan *plan;
            lc_error err = LC_ERROR_INIT;
            lc_span sql = lc_span_of_str(ways[i]);
            assert_int_not_equal(lc_plan_create(kit.store, sql, dialects[d], &guest, &plan, &err),
                                 LC_OK);
            assert_null(plan);
            lc_error_clear(&err);
        }
    }
    expect_error(ways[0], &guest, LC_E_UNSUPPORTED, "not supported: row-level security (`t`)");
    expect_error("delete from t", &guest, LC_E_DENIED,
                 "Caller 0000000000000000000000000000000000000000000000000000000000000009 is not "
                 "authorized to run SQL DML statements");
    for (size_t i = 0; i < 3; i++) lc_plan_destroy(plan_of(ways[i], LC_DIALECT_AD_HOC, &owner));
}

LC_TEST(a_rule_restricts_the_table_it_returns)
{
    const struct {
        const char *sql, *table, *error;
    } rules[] = {
        {"select * from t where id = 1", "t", NULL},
        {"select x.* from s join t x on x.id = s.t_id", "t", NULL},
        {"SELECT s.* FROM s JOIN t ON t.id = s.t_id", "s", NULL},
        {"select * from t where id = :sender", NULL,
         "Unexpected type: (expected) (__identity__: U256) != U32 (inferred)"},
        {"", NULL, "Empty SQL query"},
        {"select * from zz", NULL,
         "no such table: `zz`. If the table exists, it may be marked private."},
        {"select * from t where zz = 1", NULL, "`zz` is not in scope"},
        {"select id from t", NULL,
         "Column projections are not supported in subscriptions; Subscriptions must return a table "
         "type"},
        {"delete from t", NULL, "Unsupported: Non-SELECT queries"},
    };
    for (size_t i = 0; i < LC_ARRAY_LEN(rules); i++) {
        lc_plan *plan;
        lc_error err = LC_ERROR_INIT;
        lc_plan_create(kit.store, lc_span_of_str(rules[i].sql), LC_DIALECT_RULE, &owner, &plan,
                       &err);
        assert_string_equal(lc_error_text(&err), rules[i].error ? rules[i].error : "");
        if (plan) assert_span_text(lc_table_name(lc_plan_table(plan)), rules[i].table);
        lc_plan_destroy(plan);
        lc_error_clear(&err);
    }
}

LC_TEST(rowsets_keep_row_borders)
{
    lc_rowset r = {0};
    for (int round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < 100; i++) {
            uint8_t bytes[16] = {(uint8_t)i};
            lc_rowset_add(&r, LC_SPAN(bytes, round == 0 || i < 40 ? 8 : i % 16));
        }
        assert_int_equal(r.count, 100);
        assert_int_equal(r.offsets != NULL, round == 1);
        for (uint32_t i = 0; i < 100; i++) {
            lc_span row = lc_rowset_row(&r, i);
            assert_int_equal(row.len, round == 0 || i < 40 ? 8 : i % 16);
            if (row.len) assert_int_equal(row.ptr[0], i);
        }
        lc_rowset_reset(&r);
    }
    lc_rowset_deinit(&r);
}

/* ------------------------------------------------------------- long reads */

enum { BIG_ROWS = LC_LONG_READ_ROWS + 5000 };

static lc_table *create_big(lc_arena *a)
{
    const kit_column columns[] = {{"id", lc_type_scalar(LC_TYPE_U32)},
                                  {"name", lc_type_scalar(LC_TYPE_STRING)},
                                  {"n", lc_type_scalar(LC_TYPE_I32)}};
    const kit_index key = {LC_INDEX_BTREE, true, {0}, 1};
    lc_table *t = kit_create_table(kit.store, a, "big", columns, 3, &key, 1);
    lc_buf row = LC_BUF_INIT;
    lc_store_begin(kit.store);
    for (uint32_t i = 0; i < BIG_ROWS; i++) {
        lc_write w;
        char name[16];
        snprintf(name, sizeof name, "row %u", i);
        lc_buf_reset(&row);
        lc_buf_put_u32(&row, i);
        lc_buf_put_lenstr(&row, lc_span_of_str(name));
        lc_buf_put_u32(&row, i % 100);
        assert_int_equal(lc_table_insert(t, lc_buf_span(&row), &w, NULL), LC_ERRNO_OK);
    }
    lc_store_commit(kit.store);
    lc_store_release(kit.store);
    lc_buf_deinit(&row);
    return t;
}

LC_TEST(long_reads_see_what_was_frozen)
{
    static const struct {
        const char *sql;
        bool is_long;
    } cases[] = {
        {"SELECT * FROM big", true},
        {"SELECT name, id FROM big WHERE n = 7", true},
        {"SELECT COUNT(*) AS c FROM big WHERE n < 50", true},
        {"SELECT * FROM big WHERE n > 90 LIMIT 3", true},
        {"SELECT * FROM big LIMIT 7000", true},
        {"SELECT * FROM big LIMIT 3", false},
        {"SELECT COUNT(*) AS c FROM big", false},
        {"SELECT * FROM big WHERE id = 7", false},
        {"SELECT * FROM t", false},
    };
    lc_arena a = LC_ARENA_INIT;
    create_big(&a);
    for (size_t i = 0; i < LC_ARRAY_LEN(cases); i++) {
        lc_plan *plan = plan_of(cases[i].sql, LC_DIALECT_AD_HOC, &owner);
        lc_image *image = lc_plan_freeze(plan);
        assert_int_equal(image != NULL, cases[i].is_long);
        if (image) {
            lc_rowset before = {0}, frozen = {0};
            assert_int_equal(lc_plan_select(plan, &before, NULL), LC_OK);
            lc_query_stats stats;
            write_sql("UPDATE big SET n = 8 WHERE n = 7", &stats, NULL);
            write_sql("DELETE FROM big WHERE n = 95", &stats, NULL);
            lc_plan_select_image(plan, image, &frozen);
            lc_image_release(image);
            assert_int_equal(frozen.count, before.count);
            assert_true(lc_span_equal(lc_buf_span(&frozen.data), lc_buf_span(&before.data)));
            lc_rowset_deinit(&before);
            lc_rowset_deinit(&frozen);
        }
        lc_plan_destroy(plan);
    }
    lc_arena_deinit(&a);
}

int main(void)
{
#define P(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    return LC_TEST_RUN(P(plans_describe_their_result), P(equalities_are_found),
                       P(writes_need_the_owner_after_all_else), P(what_comes_later_says_so),
                       P(inserted_columns_may_be_named_in_another_order),
                       P(a_failing_statement_changes_nothing), P(system_tables_are_not_written),
                       P(estimates_count_what_is_read), P(literals_are_read_by_the_wanted_type),
                       P(row_level_security_closes_a_table_to_others),
                       P(a_rule_restricts_the_table_it_returns), P(rowsets_keep_row_borders),
                       P(long_reads_see_what_was_frozen));
}
