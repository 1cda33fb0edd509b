/* The protocols' counting rules and texts (03 section 7), one by one. */
#include "live_kit.h"

static const lc_connection_id connection = {{7}};

static lc_status try_subscribe(lc_live_client *c, lc_live_kind kind, uint32_t id,
                               const char *const *texts, uint32_t count, lc_live_results *out,
                               lc_error *err)
{
    lc_span spans[8];
    for (uint32_t i = 0; i < count; i++) spans[i] = lc_span_of_str(texts[i]);
    return lc_live_subscribe(c, kind, id, &connection, spans, count, out, err);
}

#define TEXTS(...) ((const char *const[]){__VA_ARGS__})

/* Subscribes to the texts; the results must have the given counts of rows, in order. */
static void expect_rows(lc_live_client *c, lc_live_kind kind, uint32_t id, const char *const *texts,
                        uint32_t text_count, const uint64_t *rows, uint32_t row_count)
{
    lc_live_results out;
    lc_error err = LC_ERROR_INIT;
    assert_ok(try_subscribe(c, kind, id, texts, text_count, &out, &err), &err);
    assert_int_equal(out.count, row_count);
    for (uint32_t i = 0; i < row_count; i++) assert_int_equal(out.items[i].rows.count, rows[i]);
    lc_live_results_deinit(&out);
}
#define EXPECT(client, kind, id, texts, ...)                                                       \
    expect_rows(client, kind, id, texts, LC_ARRAY_LEN(texts), (const uint64_t[]){__VA_ARGS__},     \
                LC_ARRAY_LEN(((const uint64_t[]){__VA_ARGS__})))

static void expect_nothing(lc_live_client *c, lc_live_kind kind, uint32_t id, const char *text)
{
    expect_rows(c, kind, id, &text, 1, NULL, 0);
}

static void expect_error(lc_live_client *c, lc_live_kind kind, uint32_t id, const char *text,
                         lc_status status, const char *want)
{
    lc_live_results out;
    lc_error err = LC_ERROR_INIT;
    assert_int_equal(try_subscribe(c, kind, id, &text, 1, &out, &err), status);
    assert_string_equal(lc_error_text(&err), want);
    assert_int_equal(out.count, 0);
    lc_error_clear(&err);
}

static void expect_lost(lc_live_client *c, lc_live_kind kind, uint32_t id, uint32_t entries,
                        uint64_t rows_of_first)
{
    lc_live_results out;
    lc_error err = LC_ERROR_INIT;
    assert_ok(lc_live_unsubscribe(c, kind, id, &connection, true, &out, &err), &err);
    assert_int_equal(out.count, entries);
    if (entries) assert_int_equal(out.items[0].rows.count, rows_of_first);
    lc_live_results_deinit(&out);
}

/* Unsubscribe of a single query that is answered with an error. */
static void expect_not_lost(lc_live_client *c, uint32_t id, lc_status want)
{
    lc_live_results out;
    lc_error err = LC_ERROR_INIT;
    assert_int_equal(lc_live_unsubscribe(c, LC_LIVE_SINGLE, id, &connection, true, &out, &err),
                     want);
    assert_int_equal(out.count, 0);
    lc_error_clear(&err);
}

/* ------------------------------------------------------------------- fixture */

typedef struct fixture {
    live_kit kit;
    lc_live_client *client, *other;
} fixture;

static int set_up(void **state)
{
    fixture *f = lc_alloc(sizeof *f);
    live_kit_init(&f->kit);
    lc_caller one = caller_number(1), two = caller_number(2);
    f->client = lc_live_client_create(f->kit.live, &one, f);
    f->other = lc_live_client_create(f->kit.live, &two, NULL);
    lc_store_begin(f->kit.store);
    put_item(&f->kit, 1, 1, 1, "a");
    put_item(&f->kit, 2, 1, 2, "b");
    put_item(&f->kit, 3, 2, 1, "c");
    put_u32(f->kit.secret, 9);
    lc_store_commit(f->kit.store);
    lc_store_release(f->kit.store);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    live_kit_deinit(&f->kit);
    lc_free(f);
    return 0;
}

#define RULE(name) static void name(void **state)
#define F          fixture *f = *state

/* What one publish tells. */
typedef struct told {
    uint32_t calls;
    uint32_t item_count;
    uint32_t set_ids[8];
    lc_live_change changes[8];
} told;

static void remember(void *arg, lc_live_client *client, const lc_live_item *items, uint32_t count)
{
    told *t = arg;
    (void)client;
    t->calls++;
    t->item_count = count;
    for (uint32_t i = 0; i < count && i < 8; i++) {
        t->set_ids[i] = items[i].set_id;
        t->changes[i] = *items[i].change;
    }
}

static told commit(fixture *f)
{
    told t = {0};
    lc_live_publish(f->kit.live, lc_store_commit(f->kit.store), remember, &t);
    lc_store_release(f->kit.store);
    return t;
}

/* --------------------------------------------------------------------- rules */

RULE(sets_are_self_contained)
{
    F;
    EXPECT(f->client, LC_LIVE_SET, 1, TEXTS("select * from item"), 3);
    EXPECT(f->client, LC_LIVE_SET, 2,
           TEXTS("select * from item", "select * from item where owner = 1"), 3, 2);
    lc_store_begin(f->kit.store);
    put_item(&f->kit, 4, 1, 1, "d");
    told t = commit(f);
    assert_int_equal(t.calls, 1);
    assert_int_equal(t.item_count, 3);
    assert_int_equal(t.set_ids[0], 1);
    assert_int_equal(t.set_ids[1], 2);
    assert_int_equal(t.set_ids[2], 2);
    /* one query in two sets: evaluated once */
    assert_ptr_equal(t.changes[0].query, t.changes[1].query);
    assert_ptr_equal(t.changes[0].inserts, t.changes[1].inserts);
    assert_int_equal(t.changes[0].serial, t.changes[2].serial);
    expect_lost(f->client, LC_LIVE_SET, 2, 2, 4);
    expect_lost(f->client, LC_LIVE_SET, 1, 1, 4);
}

RULE(a_text_given_twice_counts_once)
{
    F;
    EXPECT(f->client, LC_LIVE_SET, 1,
           TEXTS("select * from item", " select * from item\n", "select  * from item"), 3, 3);
    EXPECT(f->other, LC_LIVE_LEGACY, 0, TEXTS("select * from item", "select * from item"), 3, 3);
    lc_store_begin(f->kit.store);
    delete_item(&f->kit, 1);
    told t = commit(f);
    assert_int_equal(t.calls, 2);
}

RULE(empty_tables_contribute_nothing_but_get_updates)
{
    F;
    expect_nothing(f->client, LC_LIVE_SET, 1, "select * from point");
    EXPECT(f->client, LC_LIVE_SET, 2, TEXTS("select * from item where owner = 77"), 0);
    EXPECT(f->other, LC_LIVE_SINGLE, 1, TEXTS("select * from point"), 0);
    lc_store_begin(f->kit.store);
    toggle_point(&f->kit, 1, 2);
    told t = commit(f);
    assert_int_equal(t.calls, 2);
    assert_int_equal(t.item_count, 1);
}

RULE(multi_gives_no_rows_of_what_is_held)
{
    F;
    EXPECT(f->client, LC_LIVE_MULTI, 1, TEXTS("select * from item"), 3);
    EXPECT(f->client, LC_LIVE_MULTI, 2,
           TEXTS("select * from item", "select * from item where id = 1"), 1);
    EXPECT(f->client, LC_LIVE_SINGLE, 3, TEXTS("select * from item"), 3);
    EXPECT(f->other, LC_LIVE_MULTI, 1, TEXTS("select * from item"), 3);
    lc_store_begin(f->kit.store);
    update_item(&f->kit, 1, 5, 5, "z");
    told t = commit(f);
    assert_int_equal(t.calls, 2); /* once per client */
    expect_lost(f->client, LC_LIVE_MULTI, 1, 0, 0);
    expect_lost(f->client, LC_LIVE_MULTI, 2, 1, 1);
    expect_lost(f->client, LC_LIVE_SINGLE, 3, 1, 3);
    expect_lost(f->other, LC_LIVE_MULTI, 1, 1, 3);
}

RULE(single_still_held_elsewhere_is_an_error_that_releases_the_id)
{
    F;
    EXPECT(f->client, LC_LIVE_SINGLE, 1, TEXTS("select * from item"), 3);
    EXPECT(f->client, LC_LIVE_SINGLE, 2, TEXTS("select * from item"), 3);
    expect_not_lost(f->client, 1, LC_E_CONFLICT);
    expect_not_lost(f->client, 1, LC_E_NOT_FOUND);
    expect_lost(f->client, LC_LIVE_SINGLE, 2, 1, 3);
}

RULE(single_may_end_a_multi_of_one_query_only)
{
    F;
    EXPECT(f->client, LC_LIVE_MULTI, 1, TEXTS("select * from item"), 3);
    EXPECT(f->client, LC_LIVE_MULTI, 2,
           TEXTS("select * from item where id = 1", "select * from item where id = 2"), 1, 1);
    expect_lost(f->client, LC_LIVE_SINGLE, 1, 1, 3);
    expect_not_lost(f->client, 2, LC_E_CONFLICT);
    expect_not_lost(f->client, 2, LC_E_NOT_FOUND);
}

RULE(legacy_is_replaced_and_counted_apart)
{
    F;
    EXPECT(f->client, LC_LIVE_MULTI, 1, TEXTS("select * from item"), 3);
    EXPECT(f->client, LC_LIVE_LEGACY, 0, TEXTS("select * from item"), 3);
    lc_store_begin(f->kit.store);
    put_item(&f->kit, 8, 1, 1, "x");
    told t = commit(f);
    assert_int_equal(t.item_count, 2);
    EXPECT(f->client, LC_LIVE_LEGACY, 0, TEXTS("select * from item where id = 1"), 1);
    expect_error(f->client, LC_LIVE_LEGACY, 0, "select", LC_E_INVALID,
                 "sql parser error: Expected an expression:, found: EOF, executing: `select`");
    lc_store_begin(f->kit.store);
    delete_item(&f->kit, 1);
    t = commit(f);
    assert_int_equal(t.item_count, 2); /* the old legacy set is still there */
}

RULE(ids_are_taken_and_unknown)
{
    F;
    lc_live_results out;
    lc_error err = LC_ERROR_INIT;
    char want[300];
    const char *who = "(Identity(%064x), ConnectionId(%032x))";
    char hex[200];
    snprintf(hex, sizeof hex, who, 1, 7);
    assert_int_equal(lc_live_unsubscribe(f->client, LC_LIVE_SET, 5, &connection, true, &out, &err),
                     LC_E_NOT_FOUND);
    snprintf(want, sizeof want, "Client not found: %s", hex);
    assert_string_equal(lc_error_text(&err), want);
    EXPECT(f->client, LC_LIVE_SET, 5, TEXTS("select * from item"), 3);
    snprintf(want, sizeof want,
             "Subscription with id QuerySetId { id: 5 } already exists for client: %s", hex);
    expect_error(f->client, LC_LIVE_SET, 5, "select * from point", LC_E_EXISTS, want);
    expect_lost(f->client, LC_LIVE_SET, 5, 1, 3);
    assert_int_equal(lc_live_unsubscribe(f->client, LC_LIVE_SET, 5, &connection, true, &out, &err),
                     LC_E_NOT_FOUND);
    snprintf(want, sizeof want, "Subscription not found: (%s, QuerySetId { id: 5 })", hex);
    assert_string_equal(lc_error_text(&err), want);
    lc_error_clear(&err);
    EXPECT(f->client, LC_LIVE_SET, 5, TEXTS("select * from item"), 3); /* free again */
}

RULE(one_bad_query_refuses_all)
{
    F;
    lc_live_results out;
    lc_error err = LC_ERROR_INIT;
    assert_int_equal(try_subscribe(f->client, LC_LIVE_SET, 1,
                                   TEXTS("select * from item", " select * from nosuch "), 2, &out,
                                   &err),
                     LC_E_NOT_FOUND);
    assert_string_equal(lc_error_text(&err),
                        "no such table: `nosuch`. If the table exists, it may be marked private., "
                        "executing: `select * from nosuch`");
    lc_error_clear(&err);
    assert_true(lc_live_is_empty(f->kit.live));
    expect_error(f->client, LC_LIVE_SET, 1, "  ", LC_E_INVALID,
                 "SubscriptionError: Empty string, executing: ``");
    expect_error(
        f->client, LC_LIVE_SET, 1, "select * from secret", LC_E_NOT_FOUND,
        "no such table: `secret`. If the table exists, it may be marked private., executing: "
        "`select * from secret`");
}

RULE(event_tables_need_v2_or_legacy)
{
    F;
    const char *refusal =
        "Subscribing to event tables requires WebSocket v2. Please upgrade your client "
        "SDK and regenerate your module bindings.";
    expect_error(f->client, LC_LIVE_SINGLE, 1, "select * from ping", LC_E_INVALID, refusal);
    expect_error(f->client, LC_LIVE_MULTI, 1, "select * from ping", LC_E_INVALID, refusal);
    expect_nothing(f->client, LC_LIVE_LEGACY, 0, "select * from ping");
    expect_nothing(f->other, LC_LIVE_SET, 1, "select * from ping where id > 3");
    lc_store_begin(f->kit.store);
    put_u32(f->kit.ping, 2);
    put_u32(f->kit.ping, 4);
    told t = commit(f);
    assert_int_equal(t.calls, 2);
    assert_int_equal(t.changes[0].delete_count, 0);
    lc_store_begin(f->kit.store);
    put_u32(f->kit.ping, 2);
    t = commit(f);
    assert_int_equal(t.calls, 1);
}

RULE(all_tables_are_those_the_caller_reads)
{
    F;
    /* item, point (empty); no event table, no private one */
    EXPECT(f->client, LC_LIVE_SET, 1, TEXTS(" select\t*\n FROM *"), 3);
    EXPECT(f->client, LC_LIVE_MULTI, 2, TEXTS("select * from item where id = 1", "SELECT * FROM *"),
           3, 1);
    expect_error(
        f->client, LC_LIVE_SINGLE, 3, "select * from *", LC_E_INVALID,
        "sql parser error: Expected identifier, found: * at Line: 1, Column 15, executing: `select "
        "* from *`");
    expect_error(
        f->client, LC_LIVE_SET, 3, "select*from*", LC_E_INVALID,
        "sql parser error: Expected identifier, found: * at Line: 1, Column 12, executing: "
        "`select*from*`");
    lc_caller owner = the_owner();
    lc_live_client *o = lc_live_client_create(f->kit.live, &owner, NULL);
    EXPECT(o, LC_LIVE_SET, 1, TEXTS("select * from *"), 3, 1);
}

RULE(row_level_security_hides_a_table_from_others)
{
    F;
    lc_store_begin(f->kit.store);
    lc_store_add_rule(f->kit.item, LC_STR("select * from item where id = 1"), NULL);
    lc_store_commit(f->kit.store);
    lc_store_release(f->kit.store);
    lc_caller owner = the_owner();
    lc_live_client *o = lc_live_client_create(f->kit.live, &owner, NULL);
    EXPECT(o, LC_LIVE_SET, 1, TEXTS("select * from *"), 3, 1);
    EXPECT(o, LC_LIVE_SET, 2, TEXTS("select * from item"), 3);
    expect_nothing(f->client, LC_LIVE_SET, 1, "select * from *");
    expect_error(f->client, LC_LIVE_SET, 2, "select * from item", LC_E_UNSUPPORTED,
                 "not supported: row-level security (`item`), executing: `select * from item`");
    lc_store_begin(f->kit.store);
    put_item(&f->kit, 9, 1, 1, "x");
    told t = commit(f);
    assert_int_equal(t.calls, 1);
    assert_int_equal(t.item_count, 2);
}

RULE(row_limit_counts_new_queries)
{
    F;
    lc_live_results out;
    lc_error err = LC_ERROR_INIT;
    EXPECT(f->other, LC_LIVE_SET, 1, TEXTS("select * from item"), 3);
    lc_store_begin(f->kit.store);
    lc_store_set_row_limit(f->kit.store, 4, NULL);
    lc_store_commit(f->kit.store);
    lc_store_release(f->kit.store);
    EXPECT(f->client, LC_LIVE_SET, 1,
           TEXTS("select * from item", "select * from item where id = 1"), 3, 1);
    assert_int_equal(try_subscribe(f->client, LC_LIVE_SET, 2,
                                   TEXTS("select * from item where true", "select t.* from item t"),
                                   2, &out, &err),
                     LC_E_LIMIT);
    assert_string_equal(lc_error_text(&err),
                        "Estimated cardinality (6 rows) exceeds limit (4 rows)");
    lc_error_clear(&err);
    expect_error(
        f->client, LC_LIVE_SINGLE, 2, "select * from item where kind = 1", LC_E_LIMIT,
        "Estimated cardinality (6 rows) exceeds limit (4 rows), executing: `select * from item "
        "where kind = 1`");
    lc_caller owner = the_owner();
    lc_live_client *o = lc_live_client_create(f->kit.live, &owner, NULL);
    EXPECT(o, LC_LIVE_SET, 1, TEXTS("select * from item where true"), 3);
}

RULE(whole_table_queries_share_the_delta)
{
    F;
    EXPECT(f->client, LC_LIVE_SET, 1, TEXTS("select * from item"), 3);
    EXPECT(f->other, LC_LIVE_SET, 1, TEXTS("select * from item where true"), 3);
    lc_store_begin(f->kit.store);
    put_item(&f->kit, 10, 1, 1, "x");
    put_item(&f->kit, 11, 1, 1, "y");
    delete_item(&f->kit, 1);
    const lc_delta *d = lc_store_commit(f->kit.store);
    told t = {0};
    lc_live_publish(f->kit.live, d, remember, &t);
    assert_int_equal(t.calls, 2);
    assert_ptr_equal(t.changes[0].inserts, d->tables[0].inserts);
    assert_ptr_equal(t.changes[0].deletes, d->tables[0].deletes);
    assert_int_equal(t.changes[0].insert_count, 2);
    lc_store_release(f->kit.store);
}

RULE(an_unchanged_row_tells_nobody)
{
    F;
    EXPECT(f->client, LC_LIVE_SET, 1, TEXTS("select * from item"), 3);
    lc_store_begin(f->kit.store);
    delete_item(&f->kit, 1);
    put_item(&f->kit, 1, 1, 1, "a");
    assert_int_equal(commit(f).calls, 0);
    lc_store_begin(f->kit.store);
    toggle_point(&f->kit, 1, 1);
    assert_int_equal(commit(f).calls, 0);
}

RULE(sender_differs_by_caller)
{
    F;
    lc_caller one = caller_number(1), two = caller_number(2);
    lc_live_client *again = lc_live_client_create(f->kit.live, &one, NULL);
    lc_store_begin(f->kit.store);
    put_note(&f->kit, 1, &one.identity);
    put_note(&f->kit, 2, &two.identity);
    put_note(&f->kit, 3, &two.identity);
    lc_store_commit(f->kit.store);
    lc_store_release(f->kit.store);
    EXPECT(f->client, LC_LIVE_SET, 1, TEXTS("select * from note where author = :sender"), 1);
    EXPECT(f->other, LC_LIVE_SET, 1, TEXTS("select * from note where author = :sender"), 2);
    EXPECT(again, LC_LIVE_SET, 1, TEXTS("select * from note where author = :sender"), 1);
    lc_store_begin(f->kit.store);
    put_note(&f->kit, 4, &one.identity);
    told t = commit(f);
    assert_int_equal(t.calls, 2);
    lc_store_begin(f->kit.store);
    put_note(&f->kit, 5, &two.identity);
    assert_int_equal(commit(f).calls, 1);
    expect_error(
        f->client, LC_LIVE_SET, 2, "select * from item where name = :sender", LC_E_INVALID,
        "Unexpected type: (expected) (__identity__: U256) != String (inferred), executing: "
        "`select * from item where name = :sender`");
}

static uint32_t drops;
static void count_drop(void *arg, lc_live_query *q)
{
    (void)arg;
    drops += q->user[1] != NULL;
}

RULE(queries_end_with_their_last_holder)
{
    F;
    drops = 0;
    lc_live_on_drop(f->kit.live, count_drop, NULL);
    EXPECT(f->client, LC_LIVE_SET, 1, TEXTS("select * from item"), 3);
    EXPECT(f->other, LC_LIVE_SET, 1, TEXTS("select * from item"), 3);
    lc_store_begin(f->kit.store);
    put_item(&f->kit, 20, 1, 1, "x");
    told t = commit(f);
    t.changes[0].query->user[1] = f;
    expect_lost(f->client, LC_LIVE_SET, 1, 1, 4);
    assert_int_equal(drops, 0);
    expect_lost(f->other, LC_LIVE_SET, 1, 1, 4);
    assert_int_equal(drops, 1);
    assert_true(lc_live_is_empty(f->kit.live));
}

RULE(rebind_keeps_what_still_exists)
{
    F;
    EXPECT(f->client, LC_LIVE_SET, 1,
           TEXTS("select * from item where owner = 1", "select * from item"), 2, 3);
    lc_live_rebind(f->kit.live);
    lc_store_begin(f->kit.store);
    put_item(&f->kit, 30, 1, 1, "x");
    told t = commit(f);
    assert_int_equal(t.item_count, 2);
    expect_lost(f->client, LC_LIVE_SET, 1, 2, 3);
}

int main(void)
{
#define R(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    return LC_TEST_RUN(
        R(sets_are_self_contained), R(a_text_given_twice_counts_once),
        R(empty_tables_contribute_nothing_but_get_updates), R(multi_gives_no_rows_of_what_is_held),
        R(single_still_held_elsewhere_is_an_error_that_releases_the_id),
        R(single_may_end_a_multi_of_one_query_only), R(legacy_is_replaced_and_counted_apart),
        R(ids_are_taken_and_unknown), R(one_bad_query_refuses_all),
        R(event_tables_need_v2_or_legacy), R(all_tables_are_those_the_caller_reads),
        R(row_level_security_hides_a_table_from_others), R(row_limit_counts_new_queries),
        R(whole_table_queries_share_the_delta), R(an_unchanged_row_tells_nobody),
        R(sender_differs_by_caller), R(queries_end_with_their_last_holder),
        R(rebind_keeps_what_still_exists));
}
