/* How a database fails, is read afterwards, and is written again; snapshots on demand; the end. */
#include "database_kit.h"

#include <unistd.h>

enum { SECOND = 1000000 };

static kit k;

static int set_up(void **state)
{
    (void)state;
    lc_log_set_level(LC_LOG_ERROR);
    kit_init(&k);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    atomic_store(&k.disk_is_full, false);
    kit_deinit(&k);
    return 0;
}

/* BSATN of add(id, every hour). */
static lc_span hourly(uint64_t id, uint8_t out[17])
{
    lc_store_u64(out, id);
    out[8] = 0;
    lc_store_u64(out + 9, 3600ull * SECOND);
    return LC_SPAN(out, 17);
}

static void fill_disk(void)
{
    atomic_store(&k.disk_is_full, true);
    char *json = lc_strdup("[99, {\"Interval\": {\"__time_duration_micros__\": 1000000}}]");
    char *text = NULL;
    kit_call(&k, "add", json, &text); /* its outcome is not known to anybody */
    lc_free(text);
    lc_free(json);
    assert_true(lc_database_is_failed(k.db));
}

LC_TEST(a_full_disk_ends_the_database)
{
    uint8_t args[17];
    kit_client *c = kit_connect(&k);
    kit_subscribe(&k, c, "SELECT * FROM tick");
    kit_client_call(&k, c, "add", hourly(1, args));
    assert_string_equal(kit_delivered(&k, c), "hello;subscribed;call 0 1 ;");
    atomic_store(&k.disk_is_full, true);
    kit_client_call(&k, c, "add", hourly(2, args));
    /* Not confirmed, and told why, without the folders of this machine. */
    char all[256] = "";
    while (!strstr(all, "close")) strncat(all, kit_delivered(&k, c), 100);
    assert_string_equal(all, "close 1011 the database stopped: its commit log cannot be written;");
    while (!atomic_load(&k.failures)) usleep(1000); /* it comes on another thread */
    assert_int_equal(atomic_load(&k.failures), 1);
    assert_non_null(strstr(k.reason, "No space left on device"));
    assert_non_null(strstr(k.reason, k.folder));
    char *reason = lc_database_failure(k.db);
    assert_string_equal(reason, k.reason);
    lc_free(reason);
    char *text;
    assert_int_equal(kit_call(&k, "add", "[]", &text), LC_E_CLOSED);
    lc_free(text);
    assert_int_equal(kit_sql(&k, "SELECT id FROM tick", NULL, &text), LC_E_CLOSED);
    lc_free(text);
    kit_disconnect(&k, c);
}

LC_TEST(afterwards_it_can_be_read_and_nothing_else)
{
    uint8_t args[17];
    kit_add_interval(&k, 1, 10 * SECOND);
    kit_client *lost = kit_connect(&k);
    assert_string_equal(kit_delivered(&k, lost), "hello;");
    fill_disk();
    kit_disconnect(&k, lost);
    char *reason = lc_database_failure(k.db);
    kit_close(&k, false);

    kit_open(&k, reason);
    const char *want = lc_database_read_only(k.db);
    char *full = lc_format("the database is read-only since its commit log cannot be written: %s; "
                           "restart it when that is mended",
                           reason);
    assert_string_equal(want, full);
    lc_free(full);
    lc_free(reason);
    kit_expect_numbers(&k, "SELECT id FROM tick", 1);
    kit_advance(&k, 60 * SECOND); /* nothing is scheduled */
    kit_expect_none(&k, "SELECT stamp FROM fired");
    char *text;
    assert_int_equal(
        kit_call(&k, "add", "[5, {\"Interval\": {\"__time_duration_micros__\": 1}}]", &text),
        LC_E_READ_ONLY);
    assert_string_equal(text, want);
    lc_free(text);
    assert_int_equal(kit_call(&k, "nosuch", "[]", &text), LC_E_NOT_FOUND);
    lc_free(text);
    assert_int_equal(kit_sql(&k, "DELETE FROM tick", NULL, &text), LC_E_READ_ONLY);
    assert_string_equal(text, want);
    lc_free(text);
    uint64_t offset;
    lc_error err = LC_ERROR_INIT;
    assert_int_equal(lc_database_snapshot(k.db, &offset, &err), LC_E_READ_ONLY);
    lc_error_clear(&err);

    /* Clients are served, and leave no trace. */
    kit_numbers before = {0}, after = {0};
    assert_int_equal(kit_sql(&k, "SELECT stamp FROM seen", &before, NULL), LC_OK);
    kit_client *c = kit_connect(&k);
    kit_subscribe(&k, c, "SELECT * FROM tick");
    kit_client_call(&k, c, "add", hourly(2, args));
    char *said = lc_format("hello;subscribed;call 4 0 %s;", want);
    assert_string_equal(kit_delivered(&k, c), said);
    lc_free(said);
    assert_int_equal(kit_sql(&k, "SELECT stamp FROM seen", &after, NULL), LC_OK);
    assert_int_equal(before.len, after.len);
    kit_expect_numbers(&k, "SELECT COUNT(*) AS n FROM st_client", 1); /* the one that was lost */
    kit_disconnect(&k, c);
    kit_close(&k, true);

    /* Space again: as if nothing had happened since, and the lost one is seen off. */
    atomic_store(&k.disk_is_full, false);
    kit_open(&k, NULL);
    assert_null(lc_database_read_only(k.db));
    kit_numbers at_last = {0};
    assert_int_equal(kit_sql(&k, "SELECT stamp FROM seen", &at_last, NULL), LC_OK);
    assert_int_equal(at_last.len, before.len + 2); /* and hello of this query */
    lc_vec_deinit(&before);
    lc_vec_deinit(&after);
    lc_vec_deinit(&at_last);
    kit_add_interval(&k, 2, 10 * SECOND);
    kit_expect_numbers(&k, "SELECT id FROM tick", 1, 2);
    kit_advance(&k, 11 * SECOND);
    kit_close(&k, true);
    kit_open(&k, NULL);
    kit_expect_numbers(&k, "SELECT id FROM tick", 1, 2);
}

/* What opening itself has to write is part of opening. */
LC_TEST(opening_with_a_full_disk_says_so)
{
    kit_client *lost = kit_connect(&k);
    assert_string_equal(kit_delivered(&k, lost), "hello;");
    fill_disk();
    kit_disconnect(&k, lost);
    kit_close(&k, false);
    lc_database_options o = {
        .identity = {{7}},
        .owner = k.owner,
        .folder = k.folder,
        .engine = k.engine,
        .disk = &k.disk,
        .clock = &k.clock,
    };
    lc_error err = LC_ERROR_INIT;
    lc_database *db;
    assert_int_equal(lc_database_open(&o, &db, &err), LC_E_IO);
    assert_non_null(strstr(lc_error_text(&err), "No space left on device"));
    lc_error_clear(&err);
}

LC_TEST(a_snapshot_is_taken_on_demand)
{
    for (uint64_t i = 1; i <= 100; i++) kit_add_interval(&k, i, 3600ll * SECOND);
    uint64_t offset = 0;
    lc_error err = LC_ERROR_INIT;
    assert_ok(lc_database_snapshot(k.db, &offset, &err), &err);
    assert_true(offset > 100);
    assert_true(offset <= lc_database_durable_count(k.db));
    assert_string_equal(lc_database_folder(k.db), k.folder);
    lc_snapshot_list list = {0};
    assert_ok(lc_snapshot_find(k.folder, NULL, true, &list, &err), &err);
    assert_int_equal(list.len, 1);
    assert_true(list.items[0].is_valid);
    assert_int_equal(list.items[0].offset, offset);
    lc_vec_deinit(&list);
    list = (lc_snapshot_list){0};
    kit_add_interval(&k, 101, 3600ll * SECOND);
    kit_close(&k, true);
    kit_open(&k, NULL);
    kit_expect_numbers(&k, "SELECT COUNT(*) AS n FROM tick", 101);
    assert_ok(lc_snapshot_find(k.folder, NULL, false, &list, &err), &err);
    assert_int_equal(list.len, 1); /* it was good for that */
    lc_vec_deinit(&list);
}

typedef struct taker {
    pthread_t thread;
    lc_status status;
} taker;

static void *take_one(void *arg)
{
    taker *t = arg;
    uint64_t offset;
    lc_error err = LC_ERROR_INIT;
    t->status = lc_database_snapshot(k.db, &offset, &err);
    lc_error_clear(&err);
    return NULL;
}

/* Whoever waits for a snapshot is told how it ends, whenever the database does. */
LC_TEST(closing_leaves_nobody_waiting)
{
    for (uint64_t i = 1; i <= 50; i++) kit_add_interval(&k, i, 3600ll * SECOND);
    taker takers[4];
    lc_database *db = lc_database_ref(k.db);
    for (size_t i = 0; i < LC_ARRAY_LEN(takers); i++)
        pthread_create(&takers[i].thread, NULL, take_one, &takers[i]);
    lc_database_close(k.db, false);
    for (size_t i = 0; i < LC_ARRAY_LEN(takers); i++) {
        pthread_join(takers[i].thread, NULL);
        assert_true(takers[i].status == LC_OK || takers[i].status == LC_E_CLOSED ||
                    takers[i].status == LC_E_CONFLICT);
    }
    kit_close(&k, false); /* again, which does nothing */
    lc_database_unref(db);
    kit_open(&k, NULL);
    kit_expect_numbers(&k, "SELECT COUNT(*) AS n FROM tick", 50);
}

/* The folder is free as soon as close returns, though somebody still holds the object. */
LC_TEST(the_folder_is_free_before_the_object_is)
{
    kit_client *c = kit_connect(&k);
    kit_subscribe(&k, c, "SELECT * FROM tick");
    assert_string_equal(kit_delivered(&k, c), "hello;subscribed;");
    lc_database *old = lc_database_ref(k.db);
    lc_database_close(old, true);
    lc_database_unref(k.db);
    kit_open(&k, NULL);
    kit_add_interval(&k, 1, 3600ll * SECOND);
    lc_database *now = k.db;
    k.db = old;
    assert_string_equal(kit_delivered(&k, c), "close 1001 module exited;");
    kit_disconnect(&k, c);
    lc_database_join(old);
    lc_database_unref(old);
    k.db = now;
    kit_expect_numbers(&k, "SELECT id FROM tick", 1);
}

#define LIFE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    return LC_TEST_RUN(LIFE_TEST(a_full_disk_ends_the_database),
                       LIFE_TEST(afterwards_it_can_be_read_and_nothing_else),
                       LIFE_TEST(opening_with_a_full_disk_says_so),
                       LIFE_TEST(a_snapshot_is_taken_on_demand),
                       LIFE_TEST(closing_leaves_nobody_waiting),
                       LIFE_TEST(the_folder_is_free_before_the_object_is));
}
