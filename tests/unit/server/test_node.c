/* The node over a fake database: catalog, publish, opening, failures, restart. */
#include "lc_test.h"

#include "fake_database.h"
#include "server/server_internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];
static lc_identity alice, bob;

static lc_node *start(void)
{
    lc_node *n = NULL;
    lc_error err = LC_ERROR_INIT;
    lc_node_options o = {.data_folder = folder};
    assert_ok(lc_node_create(&o, &n, &err), &err);
    return n;
}

static lc_node *restart(lc_node *n)
{
    lc_node_destroy(n);
    return start();
}

static int set_up(void **state)
{
    (void)state;
    fake_reset();
    strcpy(folder, "/tmp/lc-node-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    alice = lc_identity_derive(LC_STR("localhost"), LC_STR("alice"));
    bob = lc_identity_derive(LC_STR("localhost"), LC_STR("bob"));
    /* Quiet: failures are part of the tests. */
    char *config = lc_format("%s/config.toml", folder);
    lc_status rc =
        lc_disk_write_file(lc_disk_system(), config, LC_STR("[logs]\nlevel = \"off\"\n"), NULL);
    lc_free(config);
    return rc;
}

static int tear_down(void **state)
{
    (void)state;
    return lc_folder_remove(folder, NULL);
}

static lc_status publish_with(lc_node *n, const lc_identity *caller, const char *name,
                              const lc_identity *identity, const char *program, bool clear,
                              lc_published *out, lc_error *err)
{
    lc_published ignored;
    bool denied;
    lc_publish p = {
        .caller = caller,
        .name = name ? lc_span_of_str(name) : LC_SPAN_EMPTY,
        .identity = identity,
        .program = lc_span_of_str(program),
        .clear = clear,
    };
    return lc_node_publish(n, &p, out ? out : &ignored, &denied, err);
}

static lc_identity publish(lc_node *n, const char *name, const char *program)
{
    lc_published out;
    lc_error err = LC_ERROR_INIT;
    assert_ok(publish_with(n, &alice, name, NULL, program, false, &out, &err), &err);
    return out.identity;
}

static void publish_fails(lc_node *n, const lc_identity *caller, const char *name,
                          const char *program, bool clear, lc_status want, const char *text)
{
    lc_error err = LC_ERROR_INIT;
    assert_int_equal(publish_with(n, caller, name, NULL, program, clear, NULL, &err), want);
    assert_int_equal(err.code, want);
    if (!strstr(lc_error_text(&err), text)) print_error("%s\n", lc_error_text(&err));
    assert_non_null(strstr(lc_error_text(&err), text));
    lc_error_clear(&err);
}

static void runs(lc_node *n, const lc_identity *id, const char *program)
{
    lc_database *db;
    lc_error err = LC_ERROR_INIT;
    assert_ok(lc_node_open(n, id, &db, &err), &err);
    char *text = fake_program(db);
    assert_string_equal(text, program);
    lc_free(text);
    lc_database_unref(db);
}

static void names_are(lc_node *n, const lc_identity *id, const char *want)
{
    lc_buf out = LC_BUF_INIT;
    lc_node_names_json(n, id, &out);
    assert_span_text(lc_buf_span(&out), want);
    lc_buf_deinit(&out);
}

static uint32_t replica_count(void)
{
    char *path = lc_format("%s/replicas", folder);
    uint32_t count;
    lc_folder_largest_number(path, &count);
    lc_free(path);
    return count;
}

static void expect_replicas(uint32_t want)
{
    for (int i = 0; i < 200 && replica_count() != want; i++) usleep(5000);
    assert_int_equal(replica_count(), want);
}

static bool exists(const char *name)
{
    char *path = lc_format("%s/%s", folder, name);
    bool is = lc_disk_exists(lc_disk_system(), path);
    lc_free(path);
    return is;
}

/* ---------------------------------------------------------------------- folder */

LC_TEST(the_data_folder_has_one_server)
{
    lc_node *n = start(), *second;
    assert_true(exists("spacetime.pid"));
    assert_true(exists("metadata.toml"));
    assert_true(exists("keys/id_ecdsa"));
    assert_true(exists("cache/wasmtime"));
    lc_error err = LC_ERROR_INIT;
    lc_node_options o = {.data_folder = folder};
    assert_int_equal(lc_node_create(&o, &second, &err), LC_E_CONFLICT);
    char *want = lc_format("another server (process %d) is running on this data folder", getpid());
    assert_non_null(strstr(lc_error_text(&err), want));
    lc_free(want);
    lc_error_clear(&err);
    lc_node_destroy(n);
    assert_false(exists("spacetime.pid"));
    /* The file alone is in nobody's way. */
    char *path = lc_format("%s/spacetime.pid", folder);
    assert_int_equal(lc_disk_write_file(lc_disk_system(), path, LC_STR("1"), NULL), LC_OK);
    lc_free(path);
    lc_node_destroy(start());
}

LC_TEST(keys_come_from_where_they_are_said_to_be)
{
    lc_error err = LC_ERROR_INIT;
    lc_node *n;
    char *keys = lc_format("%s/elsewhere", folder), *a = lc_format("%s/a", folder),
         *b = lc_format("%s/b", folder), *config = lc_format("%s/config.toml", folder);
    lc_node_options o = {.data_folder = folder, .key_folder = keys};
    assert_ok(lc_node_create(&o, &n, &err), &err);
    assert_true(exists("elsewhere/id_ecdsa.pub"));
    assert_false(exists("keys"));
    assert_true(lc_auth_public_key_pem(lc_node_auth(n)).len > 0);
    lc_node_destroy(n);

    o.private_key_path = a;
    assert_int_equal(lc_node_create(&o, &n, &err), LC_E_INVALID);
    lc_error_clear(&err);
    o.public_key_path = b;
    assert_ok(lc_node_create(&o, &n, &err), &err);
    assert_true(exists("a") && exists("b"));
    lc_node_destroy(n);

    /* The configuration comes before the folder, after the paths. */
    char *text = lc_format("[certificate-authority]\njwt-priv-key-path = \"%s/c\"\n"
                           "jwt-pub-key-path = \"%s/d\"\n",
                           folder, folder);
    assert_int_equal(lc_disk_write_file(lc_disk_system(), config, lc_span_of_str(text), NULL),
                     LC_OK);
    lc_free(text);
    o.private_key_path = o.public_key_path = NULL;
    assert_ok(lc_node_create(&o, &n, &err), &err);
    assert_true(exists("c") && exists("d"));
    lc_node_destroy(n);

    unlink(b);
    o.private_key_path = a;
    o.public_key_path = b;
    assert_int_equal(lc_node_create(&o, &n, &err), LC_E_IO);
    assert_non_null(
        strstr(lc_error_text(&err), "Unable to read public key for JWT token verification"));
    lc_error_clear(&err);
    lc_free(keys);
    lc_free(a);
    lc_free(b);
    lc_free(config);
}

LC_TEST(a_broken_config_stops_the_start)
{
    char *config = lc_format("%s/config.toml", folder);
    assert_int_equal(lc_disk_write_file(lc_disk_system(), config, LC_STR("[a"), NULL), LC_OK);
    lc_error err = LC_ERROR_INIT;
    lc_node *n;
    lc_node_options o = {.data_folder = folder};
    assert_int_equal(lc_node_create(&o, &n, &err), LC_E_INVALID);
    char *want = lc_format("invalid TOML syntax in %s", config);
    assert_true(!strncmp(lc_error_text(&err), want, strlen(want)));
    lc_free(want);
    lc_free(config);
    lc_error_clear(&err);
    assert_false(exists("spacetime.pid"));
}

/* ------------------------------------------------------------------ publishing */

LC_TEST(publish_creates_then_updates)
{
    lc_node *n = start();
    lc_published out;
    lc_error err = LC_ERROR_INIT;
    assert_ok(publish_with(n, &alice, "chat", NULL, "one", false, &out, &err), &err);
    assert_true(out.is_new);
    lc_identity id = out.identity;
    runs(n, &id, "one");
    lc_database_record r;
    assert_int_equal(lc_node_record(n, &id, &r), LC_OK);
    assert_true(lc_identity_equal(&r.owner, &alice));
    uint8_t hash[32];
    lc_keccak256("one", 3, hash);
    assert_memory_equal(r.initial_program, hash, 32);
    names_are(n, &id, "[\"chat\"]");

    assert_ok(publish_with(n, &alice, "chat", NULL, "two", false, &out, &err), &err);
    assert_false(out.is_new);
    assert_true(lc_identity_equal(&out.identity, &id));
    runs(n, &id, "two");
    assert_ok(publish_with(n, &alice, NULL, &id, "two", false, &out, &err), &err);
    assert_int_equal(lc_node_record(n, &id, &r), LC_OK);
    assert_memory_equal(r.initial_program, hash, 32);

    /* Nameless, and to an identity of one's choice. */
    lc_identity other = publish(n, NULL, "three");
    names_are(n, &other, "[]");
    assert_ok(publish_with(n, &alice, NULL, &bob, "four", false, &out, &err), &err);
    assert_true(out.is_new && lc_identity_equal(&out.identity, &bob));
    lc_buf owned = LC_BUF_INIT, want = LC_BUF_INIT;
    char a[65], b[65], c[65];
    lc_identity_to_hex(&id, a);
    lc_identity_to_hex(&other, b);
    lc_identity_to_hex(&bob, c);
    lc_node_owned_json(n, &alice, &owned);
    lc_buf_printf(&want, "[\"%s\",\"%s\",\"%s\"]", a, b, c);
    assert_span_equal(lc_buf_span(&owned), lc_buf_span(&want));
    lc_buf_deinit(&owned);
    lc_buf_deinit(&want);

    n = restart(n);
    assert_int_equal(fake.opened, 0);
    runs(n, &id, "two");
    runs(n, &id, "two");
    assert_int_equal(fake.opened, 1);
    names_are(n, &id, "[\"chat\"]");
    lc_node_destroy(n);
    assert_int_equal(fake.freed, 4);
    assert_int_equal(fake.disconnected, 4);
}

LC_TEST(failed_publishes_leave_what_was)
{
    lc_node *n = start();
    publish_fails(n, &alice, "chat", "bad", false, LC_E_INVALID, "does not compile");
    lc_identity id, again;
    assert_int_equal(lc_node_resolve(n, LC_STR("chat"), &id), LC_OK); /* the name stays bound */
    lc_database_record r;
    assert_int_equal(lc_node_record(n, &id, &r), LC_E_NOT_FOUND);
    publish_fails(n, &alice, "chat", "init", false, LC_E_INVALID, "init says no");
    assert_int_equal(lc_node_record(n, &id, &r), LC_E_NOT_FOUND);
    expect_replicas(0);
    again = publish(n, "chat", "one");
    assert_true(lc_identity_equal(&id, &again));

    publish_fails(n, &alice, "chat", "bad", false, LC_E_INVALID, "does not compile");
    publish_fails(n, &alice, "chat", "breaking", false, LC_E_UNSUPPORTED,
                  "Database update rejected: Errors occurred:\nno\n\n");
    publish_fails(n, &alice, "chat", "refused", false, LC_E_UNSUPPORTED,
                  "Failed to create or update the database: duplicates");
    publish_fails(n, &bob, "chat", "two", false, LC_E_DENIED, ": update database");
    publish_fails(n, &bob, "chat", "two", true, LC_E_DENIED, ": reset database");
    publish_fails(n, &alice, "chat", "bad", true, LC_E_INVALID, "does not compile");
    publish_fails(n, &alice, "chat", "init", true, LC_E_INVALID, "init says no");
    runs(n, &id, "one");
    expect_replicas(1);
    n = restart(n);
    runs(n, &id, "one");
    expect_replicas(1);
    lc_node_destroy(n);
}

LC_TEST(names_belong_to_who_claimed_them)
{
    lc_node *n = start();
    lc_identity id = publish(n, "chat", "one");
    lc_error err = LC_ERROR_INIT;
    assert_ok(lc_node_set_names(n, &alice, &id, NULL, 0, &(int32_t){0}, &err), &err);
    lc_published out;
    bool denied;
    lc_publish p = {.caller = &bob, .name = LC_STR("chat"), .program = LC_STR("x")};
    assert_int_equal(lc_node_publish(n, &p, &out, &denied, &err), LC_E_DENIED);
    assert_true(denied);
    lc_error_clear(&err);
    p.name = LC_STR("Chat");
    assert_int_equal(lc_node_publish(n, &p, &out, &denied, &err), LC_E_INVALID);
    assert_false(denied);
    lc_error_clear(&err);
    lc_node_destroy(n);
}

LC_TEST(names_are_added_and_replaced)
{
    lc_node *n = start();
    lc_error err = LC_ERROR_INIT;
    lc_identity id = publish(n, "a", "one"), theirs;
    lc_published out;
    assert_ok(publish_with(n, &bob, "bobs", NULL, "x", false, &out, &err), &err);
    theirs = out.identity;

    assert_ok(lc_node_add_name(n, &alice, &id, LC_STR("b"), &err), &err);
    names_are(n, &id, "[\"a\",\"b\"]");
    assert_int_equal(lc_node_add_name(n, &alice, &id, LC_STR("b"), &err), LC_E_EXISTS);
    assert_string_equal(lc_error_text(&err), "record with the name b already exists");
    assert_int_equal(lc_node_add_name(n, &alice, &id, LC_STR("B"), &err), LC_E_INVALID);
    assert_string_equal(lc_error_text(&err), "invalid characters in database name");
    assert_int_equal(lc_node_add_name(n, &alice, &id, LC_STR("bobs"), &err), LC_E_DENIED);
    assert_int_equal(lc_node_add_name(n, &alice, &alice, LC_STR("q"), &err), LC_E_NOT_FOUND);
    /* Anybody may add a name to any database. */
    assert_ok(lc_node_add_name(n, &bob, &id, LC_STR("bobs-gift"), &err), &err);

    int32_t which;
    lc_span names[] = {LC_STR("c"), LC_STR("d")};
    assert_int_equal(lc_node_set_names(n, &alice, &id, names, 2, &which, &err), LC_E_DENIED);
    assert_int_equal(which, -2); /* the gift is another's */
    assert_string_equal(lc_error_text(&err), "bobs-gift");
    lc_error_clear(&err);
    names_are(n, &id, "[\"a\",\"b\",\"bobs-gift\"]");

    lc_identity mine = publish(n, "m", "one");
    assert_ok(lc_node_set_names(n, &alice, &mine, names, 2, &which, &err), &err);
    names_are(n, &mine, "[\"c\",\"d\"]");
    lc_identity found;
    assert_int_equal(lc_node_resolve(n, LC_STR("m"), &found), LC_E_NOT_FOUND);
    assert_int_equal(lc_node_resolve(n, LC_STR("d"), &found), LC_OK);
    assert_true(lc_identity_equal(&found, &mine));

    lc_span own[] = {LC_STR("e"), LC_STR("d")};
    assert_int_equal(lc_node_set_names(n, &alice, &mine, own, 2, &which, &err), LC_E_EXISTS);
    assert_int_equal(which, 1);
    assert_string_equal(lc_error_text(&err), "Cannot rename to d because it already is in use.");
    lc_span bad[] = {LC_STR("e"), LC_STR("Bad_")};
    assert_int_equal(lc_node_set_names(n, &bob, &mine, bad, 2, &which, &err), LC_E_INVALID);
    assert_int_equal(which, 1);
    assert_string_equal(lc_error_text(&err),
                        "Error parsing `Bad_`: invalid characters in database name");
    assert_int_equal(lc_node_set_names(n, &bob, &mine, names, 1, &which, &err), LC_E_DENIED);
    assert_int_equal(which, -1);
    /* A name that bob gave up stays his. */
    assert_ok(lc_node_set_names(n, &bob, &theirs, NULL, 0, &which, &err), &err);
    lc_span bobs[] = {LC_STR("f"), LC_STR("bobs")};
    assert_int_equal(lc_node_set_names(n, &alice, &mine, bobs, 2, &which, &err), LC_E_DENIED);
    assert_int_equal(which, 1);
    lc_span twice[] = {LC_STR("f"), LC_STR("f")};
    assert_ok(lc_node_set_names(n, &alice, &mine, twice, 2, &which, &err), &err);
    n = restart(n);
    names_are(n, &mine, "[\"f\"]");
    names_are(n, &id, "[\"a\",\"b\",\"bobs-gift\"]");
    lc_error_clear(&err);
    lc_node_destroy(n);
}

LC_TEST(reset_starts_over)
{
    lc_node *n = start();
    lc_error err = LC_ERROR_INIT;
    lc_published out;
    lc_identity id = publish(n, "chat", "one");
    publish(n, "chat", "two");
    lc_database *old;
    assert_ok(lc_node_open(n, &id, &old, &err), &err);
    assert_ok(publish_with(n, &alice, "chat", NULL, "three", true, &out, &err), &err);
    assert_false(out.is_new);
    assert_int_equal(fake.closed, 1);
    assert_int_equal(fake.disconnected, 0);
    runs(n, &id, "three");
    lc_database_unref(old);
    expect_replicas(1);
    /* Without a program: the one that runs, again. */
    publish(n, "chat", "four");
    assert_ok(lc_node_reset(n, &alice, &id, &err), &err);
    assert_int_equal(fake.created, 3);
    runs(n, &id, "four");
    lc_database_record r;
    uint8_t hash[32];
    lc_keccak256("four", 4, hash);
    assert_int_equal(lc_node_record(n, &id, &r), LC_OK);
    assert_memory_equal(r.initial_program, hash, 32);
    assert_int_equal(lc_node_reset(n, &bob, &id, &err), LC_E_DENIED);
    assert_int_equal(lc_node_reset(n, &alice, &bob, &err), LC_E_NOT_FOUND);
    /* Clear of a database that is not there is an ordinary publish. */
    assert_ok(publish_with(n, &alice, "new", NULL, "five", true, &out, &err), &err);
    assert_true(out.is_new);

    assert_ok(lc_node_set_locked(n, &id, true, &err), &err);
    publish_fails(
        n, &alice, "chat", "six", true, LC_E_DENIED,
        "Database is locked and cannot be reset with --delete-data. Run `spacetime unlock` "
        "first.");
    n = restart(n);
    assert_int_equal(lc_node_delete(n, &alice, &id, &err), LC_E_DENIED);
    assert_string_equal(lc_error_text(&err),
                        "Database is locked and cannot be deleted. Run `spacetime unlock` first.");
    publish(n, "chat", "seven");
    assert_ok(lc_node_set_locked(n, &id, false, &err), &err);
    assert_ok(publish_with(n, &alice, "chat", NULL, "six", true, &out, &err), &err);
    assert_int_equal(lc_node_set_locked(n, &bob, false, &err), LC_E_NOT_FOUND);
    lc_error_clear(&err);
    lc_node_destroy(n);
}

LC_TEST(deletion_keeps_the_name)
{
    lc_node *n = start();
    lc_error err = LC_ERROR_INIT;
    lc_identity id = publish(n, "chat", "one"), again;
    lc_database *db;
    assert_ok(lc_node_open(n, &id, &db, &err), &err);
    assert_int_equal(lc_node_delete(n, &bob, &id, &err), LC_E_DENIED);
    assert_non_null(strstr(lc_error_text(&err), ": delete database"));
    assert_ok(lc_node_delete(n, &alice, &id, &err), &err);
    assert_int_equal(fake.closed, 1);
    lc_database_unref(db);
    assert_int_equal(lc_node_open(n, &id, &db, &err), LC_E_NOT_FOUND);
    assert_string_equal(lc_error_text(&err), "No such database.");
    lc_error_clear(&err);
    expect_replicas(0);
    assert_ok(lc_node_delete(n, &bob, &id, &err), &err); /* nothing to delete */
    lc_identity found;
    assert_int_equal(lc_node_resolve(n, LC_STR("chat"), &found), LC_OK);
    lc_published out;
    assert_ok(publish_with(n, &bob, "chat", NULL, "two", false, &out, &err), &err);
    again = out.identity;
    assert_true(lc_identity_equal(&again, &id));
    lc_database_record r;
    assert_int_equal(lc_node_record(n, &id, &r), LC_OK);
    assert_true(lc_identity_equal(&r.owner, &bob));
    lc_node_destroy(n);
}

/* --------------------------------------------------------------------- opening */

typedef struct opener {
    pthread_t thread;
    lc_node *node;
    lc_identity id;
    lc_status rc;
    char *text;
} opener;

static void *run_opener(void *arg)
{
    opener *o = arg;
    lc_database *db;
    lc_error err = LC_ERROR_INIT;
    o->rc = lc_node_open(o->node, &o->id, &db, &err);
    if (o->rc == LC_OK) lc_database_unref(db);
    o->text = lc_strdup(lc_error_text(&err));
    lc_error_clear(&err);
    return NULL;
}

static void open_together(lc_node *n, const lc_identity *id, lc_status want, const char *text)
{
    opener openers[16];
    for (size_t i = 0; i < LC_ARRAY_LEN(openers); i++) {
        openers[i] = (opener){.node = n, .id = *id};
        pthread_create(&openers[i].thread, NULL, run_opener, &openers[i]);
    }
    for (size_t i = 0; i < LC_ARRAY_LEN(openers); i++) {
        pthread_join(openers[i].thread, NULL);
        assert_int_equal(openers[i].rc, want);
        assert_string_equal(openers[i].text, text);
        lc_free(openers[i].text);
    }
}

LC_TEST(many_ask_and_one_opens)
{
    lc_node *n = start();
    lc_identity id = publish(n, "chat", "one");
    n = restart(n);
    atomic_store(&fake_open_millis, 200);
    atomic_store(&fake_open_fails, true);
    open_together(n, &id, LC_E_CORRUPT, "the log is torn");
    assert_int_equal(fake.opened, 1); /* all waited for the same attempt */
    atomic_store(&fake_open_fails, false);
    open_together(n, &id, LC_OK, "");
    assert_int_equal(fake.opened, 2);
    lc_node_destroy(n);
}

/* Opens it; what writers are told must be this (NULL: they may write). */
static void reads_only(lc_node *n, const lc_identity *id, const char *want)
{
    lc_error err = LC_ERROR_INIT;
    lc_database *db;
    assert_ok(lc_node_open(n, id, &db, &err), &err);
    const char *got = lc_database_read_only(db);
    if (want)
        assert_string_equal(got, want);
    else
        assert_null(got);
    lc_database_unref(db);
}

LC_TEST(a_failed_database_is_opened_again_to_be_read)
{
    lc_node *n = start();
    lc_error err = LC_ERROR_INIT;
    lc_identity id = publish(n, "chat", "one");
    lc_database *db;
    assert_ok(lc_node_open(n, &id, &db, &err), &err);
    fake_fail(db);
    runs(n, &id, "one"); /* waits until the old one has let go of its files */
    assert_int_equal(fake.opened, 1);
    assert_int_equal(fake.closed, 1);
    lc_database_unref(db);
    reads_only(n, &id, "only read: the disk is gone");

    assert_int_equal(lc_node_restart(n, &bob, &id, &err), LC_E_DENIED);
    assert_non_null(strstr(lc_error_text(&err), ": restart database"));
    reads_only(n, &id, "only read: the disk is gone");
    assert_ok(lc_node_restart(n, &alice, &id, &err), &err);
    assert_int_equal(fake.closed, 2);
    reads_only(n, &id, NULL);
    lc_identity nobodys = {{1}};
    assert_int_equal(lc_node_restart(n, &alice, &nobodys, &err), LC_E_NOT_FOUND);
    lc_error_clear(&err);
    lc_node_destroy(n);
}

LC_TEST(what_cannot_be_written_is_read)
{
    lc_node *n = start();
    lc_error err = LC_ERROR_INIT;
    lc_identity id = publish(n, "chat", "one");
    n = restart(n);
    atomic_store(&fake_write_fails, true);
    reads_only(n, &id, "only read: the disk is full");
    assert_int_equal(lc_node_restart(n, &alice, &id, &err), LC_E_READ_ONLY);
    assert_string_equal(lc_error_text(&err), "only read: the disk is full");
    lc_error_clear(&err);
    atomic_store(&fake_write_fails, false);
    reads_only(n, &id, "only read: the disk is full"); /* until somebody says so */
    assert_ok(lc_node_restart(n, &alice, &id, &err), &err);
    reads_only(n, &id, NULL);

    /* Whatever replaces it is another one. */
    lc_database *db;
    assert_ok(lc_node_open(n, &id, &db, &err), &err);
    fake_fail(db);
    lc_database_unref(db);
    reads_only(n, &id, "only read: the disk is gone");
    lc_published out;
    assert_ok(publish_with(n, &alice, "chat", NULL, "two", true, &out, &err), &err);
    reads_only(n, &id, NULL);
    lc_node_destroy(n);
}

typedef struct watched {
    char name[32];
    uint32_t calls;
    lc_opening last;
} watched;

static void watch(void *arg, lc_opening *o)
{
    watched *w = arg;
    snprintf(w->name, sizeof w->name, "%s", o->name);
    assert_int_equal(o->said_at, w->calls); /* the watcher's own, kept */
    o->said_at = ++w->calls;
    w->last = *o;
}

LC_TEST(openings_are_told_of_and_options_come_first)
{
    lc_node *n = start();
    lc_error err = LC_ERROR_INIT;
    lc_identity id = publish(n, "chat", "one");
    lc_node_destroy(n);
    lc_durability each = LC_DURABILITY_EACH;
    watched w = {.calls = 0};
    lc_node_options o = {
        .data_folder = folder, .durability = &each, .on_opening = watch, .arg = &w};
    assert_ok(lc_node_create(&o, &n, &err), &err);
    runs(n, &id, "one");
    assert_int_equal(w.calls, 2);
    assert_string_equal(w.name, "chat");
    assert_true(w.last.is_over);
    assert_int_equal(w.last.progress.commits, 3);
    assert_int_equal(fake.durability, LC_DURABILITY_EACH);
    lc_node_destroy(n);
}

LC_TEST(schedules_run_without_being_asked_for)
{
    lc_node *n = start();
    lc_identity id = publish(n, "chat", "sched");
    publish(n, "quiet", "one");
    lc_database_record r;
    assert_int_equal(lc_node_record(n, &id, &r), LC_OK);
    assert_true(r.has_schedules);
    n = restart(n);
    for (int i = 0; i < 200 && atomic_load(&fake.opened) < 1; i++) usleep(5000);
    assert_int_equal(fake.opened, 1);
    publish(n, "chat", "plain");
    assert_int_equal(lc_node_record(n, &id, &r), LC_OK);
    assert_false(r.has_schedules);
    uint32_t opened = fake.opened;
    n = restart(n);
    lc_node_destroy(n);
    assert_int_equal(fake.opened, opened);
}

LC_TEST(a_closing_node_opens_nothing)
{
    lc_node *n = start();
    lc_error err = LC_ERROR_INIT;
    lc_identity id = publish(n, "chat", "one");
    lc_node_close_databases(n);
    assert_int_equal(fake.closed, 1);
    assert_int_equal(fake.disconnected, 1);
    lc_database *db;
    assert_int_equal(lc_node_open(n, &id, &db, &err), LC_E_CLOSED);
    publish_fails(n, &alice, "chat", "two", false, LC_E_CLOSED, "shutting down");
    publish_fails(n, &alice, "other", "two", false, LC_E_CLOSED, "shutting down");
    lc_error_clear(&err);
    lc_node_destroy(n);
}

/* ------------------------------------------------------------------------ race */

typedef struct racer {
    pthread_t thread;
    lc_node *node;
    uint64_t seed;
} racer;

static void *run_racer(void *arg)
{
    racer *r = arg;
    static const char *const programs[] = {"one", "two", "sched", "bad", "init", "breaking"};
    for (int i = 0; i < 60; i++) {
        uint64_t dice = lc_test_random(&r->seed);
        const char *name = dice & 1 ? "left" : "right";
        lc_error err = LC_ERROR_INIT;
        lc_published out;
        lc_identity id;
        lc_database *db;
        switch (dice >> 1 & 7) {
        case 0:
        case 1:
            publish_with(r->node, &alice, name, NULL, programs[(dice >> 8) % 6], false, &out, &err);
            break;
        case 2:
            publish_with(r->node, &alice, name, NULL, programs[(dice >> 8) % 6], true, &out, &err);
            break;
        case 3:
            if (lc_node_resolve(r->node, lc_span_of_str(name), &id) == LC_OK)
                lc_node_delete(r->node, &alice, &id, &err);
            break;
        case 5:
            if (lc_node_resolve(r->node, lc_span_of_str(name), &id) == LC_OK)
                lc_node_restart(r->node, &alice, &id, &err);
            break;
        case 4:
            if (lc_node_resolve(r->node, lc_span_of_str(name), &id) == LC_OK &&
                lc_node_open(r->node, &id, &db, &err) == LC_OK) {
                if (dice >> 8 & 1) fake_fail(db);
                lc_database_unref(db);
            }
            break;
        default:
            if (lc_node_resolve(r->node, lc_span_of_str(name), &id) == LC_OK &&
                lc_node_open(r->node, &id, &db, &err) == LC_OK)
                lc_database_unref(db);
        }
        /* Two owners of one folder would show as this. */
        if (strstr(lc_error_text(&err), "another process")) LC_BUG("%s", lc_error_text(&err));
        lc_error_clear(&err);
    }
    return NULL;
}

LC_TEST(publishers_openers_and_deleters_race)
{
    lc_node *n = start();
    racer racers[8];
    for (size_t i = 0; i < LC_ARRAY_LEN(racers); i++) {
        racers[i] = (racer){.node = n, .seed = i};
        pthread_create(&racers[i].thread, NULL, run_racer, &racers[i]);
    }
    for (size_t i = 0; i < LC_ARRAY_LEN(racers); i++) pthread_join(racers[i].thread, NULL);
    lc_identity left = publish(n, "left", "one"), right = publish(n, "right", "one");
    runs(n, &left, "one");
    runs(n, &right, "one");
    expect_replicas(2);
    n = restart(n);
    runs(n, &left, "one");
    expect_replicas(2);
    lc_node_destroy(n);
}

static void *publish_the_same(void *arg)
{
    racer *r = arg;
    for (int i = 0; i < 20; i++) {
        char *program = lc_format("program %d", i), *name = lc_format("db-%d", (int)r->seed);
        publish(r->node, name, program);
        lc_free(program);
        lc_free(name);
    }
    return NULL;
}

LC_TEST(many_may_bring_the_same_program)
{
    lc_node *n = start();
    racer racers[6];
    for (size_t i = 0; i < LC_ARRAY_LEN(racers); i++) {
        racers[i] = (racer){.node = n, .seed = i};
        pthread_create(&racers[i].thread, NULL, publish_the_same, &racers[i]);
    }
    for (size_t i = 0; i < LC_ARRAY_LEN(racers); i++) pthread_join(racers[i].thread, NULL);
    lc_node_destroy(n);
}

/* -------------------------------------------------------------------- recovery */

static void copy_file(const char *from, const char *to)
{
    lc_buf b = LC_BUF_INIT;
    char *a = lc_format("%s/%s", folder, from), *z = lc_format("%s/%s", folder, to);
    assert_int_equal(lc_disk_read_file(lc_disk_system(), a, &b, NULL), LC_OK);
    assert_int_equal(lc_disk_write_file(lc_disk_system(), z, lc_buf_span(&b), NULL), LC_OK);
    lc_buf_deinit(&b);
    lc_free(a);
    lc_free(z);
}

#define CATALOG "control-db/catalog.bsatn"

/* A crash after the replica was made and before the catalog names its database. */
LC_TEST(half_a_publish_leaves_nothing)
{
    lc_node *n = start();
    publish(n, "a", "one");
    lc_identity b = publish(n, "b", "one");
    lc_node_destroy(n);
    n = start();
    /* The state of the catalog before the second publish's end: its replica is doomed. */
    lc_catalog *c = lc_node_begin_change(n);
    lc_catalog_database *d = lc_records_find(c, &b);
    lc_records_doom(c, d->record.replica);
    lc_records_remove(c, &b);
    assert_int_equal(lc_node_commit_change(n, c, NULL), LC_OK);
    copy_file(CATALOG, "saved");
    lc_node_destroy(n);
    copy_file("saved", CATALOG);
    assert_int_equal(replica_count(), 2);
    n = start();
    expect_replicas(1);
    lc_identity again = publish(n, "b", "two");
    assert_true(lc_identity_equal(&again, &b));
    runs(n, &b, "two");
    lc_node_destroy(n);
}

LC_TEST(a_catalog_that_cannot_be_written_changes_nothing)
{
    lc_node *n = start();
    lc_error err = LC_ERROR_INIT;
    lc_identity id = publish(n, "a", "one");
    /* A folder where the new file would be written aside. */
    char *aside = lc_format("%s/" CATALOG ".tmp", folder);
    assert_int_equal(mkdir(aside, 0700), 0);
    assert_int_equal(lc_node_add_name(n, &alice, &id, LC_STR("b"), &err), LC_E_IO);
    publish_fails(n, &alice, "c", "one", false, LC_E_IO, "catalog.bsatn");
    publish_fails(n, &alice, "a", "two", true, LC_E_IO, "catalog.bsatn");
    assert_int_equal(lc_node_delete(n, &alice, &id, &err), LC_E_IO);
    assert_int_equal(lc_node_set_locked(n, &id, true, &err), LC_E_IO);
    lc_identity found;
    assert_int_equal(lc_node_resolve(n, LC_STR("c"), &found), LC_E_NOT_FOUND);
    names_are(n, &id, "[\"a\"]");
    runs(n, &id, "one");
    assert_int_equal(rmdir(aside), 0);
    lc_free(aside);
    lc_error_clear(&err);
    assert_ok(lc_node_add_name(n, &alice, &id, LC_STR("b"), &err), &err);
    n = restart(n);
    names_are(n, &id, "[\"a\",\"b\"]");
    runs(n, &id, "one");
    lc_node_destroy(n);
}

LC_TEST(a_damaged_catalog_is_refused)
{
    lc_node *n = start();
    publish(n, "a", "one");
    lc_node_destroy(n);
    copy_file(CATALOG, "saved");
    char *path = lc_format("%s/" CATALOG, folder);
    lc_buf b = LC_BUF_INIT;
    assert_int_equal(lc_disk_read_file(lc_disk_system(), path, &b, NULL), LC_OK);
    for (size_t at = 0; at < b.len; at += 7) {
        b.ptr[at] ^= 1;
        assert_int_equal(lc_disk_write_file(lc_disk_system(), path, lc_buf_span(&b), NULL), LC_OK);
        lc_error err = LC_ERROR_INIT;
        lc_node_options o = {.data_folder = folder};
        assert_int_equal(lc_node_create(&o, &n, &err), LC_E_CORRUPT);
        assert_non_null(strstr(lc_error_text(&err), "catalog.bsatn: "));
        lc_error_clear(&err);
        b.ptr[at] ^= 1;
    }
    lc_buf_deinit(&b);
    /* Without it the server starts, and leaves alone what it does not know. */
    unlink(path);
    lc_free(path);
    n = start();
    lc_identity id = publish(n, "a", "two");
    runs(n, &id, "two");
    assert_int_equal(replica_count(), 2);
    lc_node_destroy(n);
    copy_file("saved", CATALOG);
    n = start();
    assert_int_equal(lc_node_resolve(n, LC_STR("a"), &id), LC_OK);
    runs(n, &id, "one");
    lc_node_destroy(n);
}

LC_TEST(catalogs_survive_their_file)
{
    uint64_t seed = 5;
    lc_catalog *c = lc_records_create();
    for (int i = 0; i < 300; i++) {
        lc_catalog_database d = {.record = {.id = c->next_id++, .replica = c->next_id++}};
        for (int k = 0; k < 32; k++) d.record.identity.bytes[k] = (uint8_t)lc_test_random(&seed);
        d.record.owner = i % 2 ? alice : bob;
        d.record.is_locked = i % 3 == 0;
        d.program[5] = (uint8_t)i;
        lc_records_add(c, &d);
        char *name = lc_format("name-%d", i);
        lc_records_add_name(c, lc_span_of_str(name), &d.record.identity, &d.record.owner);
        lc_free(name);
        if (i % 5 == 0) lc_records_remove(c, &d.record.identity);
        if (i % 7 == 0) lc_records_drop_names(c, &d.record.identity);
        if (i % 4 == 0) lc_records_doom(c, d.record.replica);
    }
    lc_records_add_balance(c, &alice, (lc_i128){5, -1});
    lc_buf first = LC_BUF_INIT, second = LC_BUF_INIT;
    lc_catalog *back, *copy;
    lc_error err = LC_ERROR_INIT;
    lc_records_encode(c, &first);
    assert_ok(lc_records_decode(lc_buf_span(&first), &back, &err), &err);
    copy = lc_records_copy(back);
    lc_records_encode(copy, &second);
    assert_span_equal(lc_buf_span(&first), lc_buf_span(&second));
    LC_VEC_EACH (d, &c->databases) {
        lc_catalog_database *same = lc_records_find(copy, &d->record.identity);
        assert_non_null(same);
        assert_int_equal(same->record.id, d->record.id);
        assert_int_equal(same->program[5], d->program[5]);
    }
    assert_null(lc_records_name_find(copy, LC_STR("name-14")));
    assert_non_null(lc_records_owner_find(copy, LC_STR("name-14")));
    for (size_t cut = 0; cut < first.len; cut += 13) {
        lc_catalog *none;
        assert_int_equal(lc_records_decode(LC_SPAN(first.ptr, cut), &none, NULL), LC_E_CORRUPT);
    }
    lc_records_destroy(c);
    lc_records_destroy(back);
    lc_records_destroy(copy);
    lc_buf_deinit(&first);
    lc_buf_deinit(&second);
}

static void energy_is(lc_node *n, const char *want)
{
    lc_buf out = LC_BUF_INIT;
    lc_node_energy(n, &alice, &out);
    assert_span_text(lc_buf_span(&out), want);
    lc_buf_deinit(&out);
}

LC_TEST(balances_add_up)
{
    lc_node *n = start();
    energy_is(n, "0");
    lc_node_energy_add(n, &alice, (lc_i128){0, 0});
    lc_node_energy_add(n, &alice, (lc_i128){7, 0});
    lc_node_energy_add(n, &alice, (lc_i128){UINT64_MAX, 0});
    energy_is(n, "18446744073709551622");
    n = restart(n);
    energy_is(n, "18446744073709551622");
    lc_node_energy_add(n, &alice, (lc_i128){UINT64_MAX, INT64_MAX});
    energy_is(n, "170141183460469231731687303715884105727");
    lc_node_destroy(n);
}

/* --------------------------------------------------------------------- workers */

typedef struct counting {
    pthread_mutex_t lock;
    pthread_cond_t go;
    uint32_t started, done;
    bool may_go;
} counting;

static void count(void *arg)
{
    counting *c = arg;
    pthread_mutex_lock(&c->lock);
    c->started++;
    while (!c->may_go) pthread_cond_wait(&c->go, &c->lock);
    c->done++;
    pthread_mutex_unlock(&c->lock);
}

LC_TEST(work_waits_in_order_for_a_worker)
{
    counting c = {.lock = PTHREAD_MUTEX_INITIALIZER, .go = PTHREAD_COND_INITIALIZER};
    lc_workers *w = lc_workers_create();
    for (int i = 0; i < LC_NODE_MAX_WORKERS + 50; i++) lc_workers_submit(w, count, &c);
    for (int i = 0; i < 400; i++) {
        pthread_mutex_lock(&c.lock);
        uint32_t started = c.started;
        pthread_mutex_unlock(&c.lock);
        if (started == LC_NODE_MAX_WORKERS) break;
        usleep(5000);
    }
    usleep(20000);
    pthread_mutex_lock(&c.lock);
    assert_int_equal(c.started, LC_NODE_MAX_WORKERS);
    c.may_go = true;
    pthread_cond_broadcast(&c.go);
    pthread_mutex_unlock(&c.lock);
    lc_workers_destroy(w);
    assert_int_equal(c.done, LC_NODE_MAX_WORKERS + 50);
}

#define NODE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    return LC_TEST_RUN(
        NODE_TEST(the_data_folder_has_one_server),
        NODE_TEST(keys_come_from_where_they_are_said_to_be),
        NODE_TEST(a_broken_config_stops_the_start), NODE_TEST(publish_creates_then_updates),
        NODE_TEST(failed_publishes_leave_what_was), NODE_TEST(names_belong_to_who_claimed_them),
        NODE_TEST(names_are_added_and_replaced), NODE_TEST(reset_starts_over),
        NODE_TEST(deletion_keeps_the_name), NODE_TEST(many_ask_and_one_opens),
        NODE_TEST(a_failed_database_is_opened_again_to_be_read),
        NODE_TEST(what_cannot_be_written_is_read),
        NODE_TEST(openings_are_told_of_and_options_come_first),
        NODE_TEST(schedules_run_without_being_asked_for), NODE_TEST(a_closing_node_opens_nothing),
        NODE_TEST(publishers_openers_and_deleters_race), NODE_TEST(many_may_bring_the_same_program),
        NODE_TEST(half_a_publish_leaves_nothing),
        NODE_TEST(a_catalog_that_cannot_be_written_changes_nothing),
        NODE_TEST(a_damaged_catalog_is_refused), NODE_TEST(catalogs_survive_their_file),
        NODE_TEST(balances_add_up), cmocka_unit_test(work_waits_in_order_for_a_worker));
}
