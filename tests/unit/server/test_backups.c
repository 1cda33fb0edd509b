/* New databases out of backups: what the catalog says of them, and that nothing is left of one that
 * fails. The data is real, only what runs on it is not. */
#include "lc_test.h"

#include "fake_database.h"
#include "server/server_internal.h"

#include <unistd.h>

static char folder[64], source[96];
static lc_identity alice, bob;
static lc_buf file; /* a backup of the source */

static lc_status take(void *arg, lc_span bytes, lc_error *err)
{
    (void)err;
    lc_buf_put_span(arg, bytes);
    return LC_OK;
}

static void make_source(void)
{
    lc_storage *s;
    lc_error err = LC_ERROR_INIT;
    lc_storage_options o = {.folder = source, .mode = LC_STORAGE_CREATE, .is_stepped = true};
    assert_ok(lc_storage_open(&o, &s, NULL, &err), &err);
    lc_store *store = lc_storage_store(s);
    lc_module_row m = {.database = bob, .owner = bob, .program = LC_STR("one")};
    lc_store_begin(store);
    lc_store_set_module(store, &m);
    lc_storage_commit(s, &(lc_log_inputs){0}, false);
    lc_store_release(store);
    lc_storage_close(s);
    lc_backup_info info;
    assert_ok(
        lc_backup_create(source, NULL, NULL, UINT64_MAX, UINT64_MAX, take, &file, &info, &err),
        &err);
}

static int set_up(void **state)
{
    (void)state;
    fake_reset();
    lc_log_set_level(LC_LOG_ERROR);
    strcpy(folder, "/tmp/lc-backups-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(source, sizeof source, "%s/source", folder);
    alice = lc_identity_derive(LC_STR("localhost"), LC_STR("alice"));
    bob = lc_identity_derive(LC_STR("localhost"), LC_STR("bob"));
    make_source();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    lc_buf_deinit(&file);
    return lc_folder_remove(folder, NULL);
}

static lc_node *start(bool is_tool)
{
    char *node_folder = lc_format("%s/node", folder);
    lc_node *n = NULL;
    lc_error err = LC_ERROR_INIT;
    lc_node_options o = {.data_folder = node_folder, .is_tool = is_tool};
    assert_ok(lc_node_create(&o, &n, &err), &err);
    lc_free(node_folder);
    return n;
}

typedef struct input {
    lc_span left;
    void (*at_end)(void); /* called once, before the end is told */
} input;

static ssize_t give(void *arg, void *out, size_t n, lc_error *err)
{
    input *i = arg;
    (void)err;
    if (i->left.len == 0 && i->at_end) {
        i->at_end();
        i->at_end = NULL;
    }
    if (n > i->left.len) n = i->left.len;
    if (n) memcpy(out, i->left.ptr, n);
    i->left = LC_SPAN(i->left.ptr + n, i->left.len - n);
    return (ssize_t)n;
}

static lc_status restore_with(lc_node *n, const lc_identity *caller, const char *name, input *in,
                              lc_restore_result *out, lc_error *err)
{
    lc_restore q = {.caller = caller,
                    .name = lc_span_of_str(name),
                    .at = {UINT64_MAX, INT64_MAX},
                    .read = give,
                    .arg = in};
    return lc_node_restore(n, &q, out, err);
}

static lc_restore_result restore(lc_node *n, const char *name)
{
    lc_restore_result out;
    lc_error err = LC_ERROR_INIT;
    input in = {lc_buf_span(&file), NULL};
    assert_ok(restore_with(n, &alice, name, &in, &out, &err), &err);
    return out;
}

static uint32_t replica_folders(void)
{
    char *path = lc_format("%s/node/replicas", folder);
    uint32_t count;
    for (int i = 0; i < 400; i++) { /* they are removed in the background */
        lc_folder_largest_number(path, &count);
        if (count == 0) break;
        usleep(5000);
    }
    lc_free(path);
    return count;
}

static void restore_fails(lc_node *n, const lc_identity *caller, const char *name, lc_span bytes,
                          lc_status want, const char *text)
{
    lc_restore_result out;
    lc_error err = LC_ERROR_INIT;
    input in = {bytes, NULL};
    assert_int_equal(restore_with(n, caller, name, &in, &out, &err), want);
    if (!strstr(lc_error_text(&err), text)) fail_msg("%s", lc_error_text(&err));
    lc_error_clear(&err);
}

LC_TEST(a_restored_database_is_in_the_catalog)
{
    lc_node *n = start(false);
    lc_restore_result done = restore(n, "copy");
    assert_int_equal(done.info.restored, 1);
    lc_identity found;
    lc_database_record r;
    uint8_t hash[32];
    assert_int_equal(lc_node_resolve(n, LC_STR("copy"), &found), LC_OK);
    assert_memory_equal(&found, &done.identity, sizeof found);
    assert_int_equal(lc_node_record(n, &found, &r), LC_OK);
    assert_memory_equal(&r.owner, &alice, sizeof alice);
    lc_keccak256("one", 3, hash);
    assert_memory_equal(r.initial_program, hash, 32);
    assert_false(r.has_schedules);

    /* It has an identity of its own, also in its data. */
    char *path = lc_node_replica_folder(n, r.replica);
    lc_storage_options o = {.folder = path, .mode = LC_STORAGE_READ_ONLY, .is_stepped = true};
    lc_storage *s;
    lc_error err = LC_ERROR_INIT;
    assert_ok(lc_storage_open(&o, &s, NULL, &err), &err);
    lc_module_row m;
    assert_true(lc_store_get_module(lc_storage_store(s), &m));
    assert_memory_equal(&m.database, &found, sizeof found);
    assert_memory_equal(&m.owner, &alice, sizeof alice);
    lc_storage_close(s);
    lc_free(path);

    /* Its program is at hand for a reset, and all of it is there after a restart. */
    lc_node_destroy(n);
    n = start(true);
    assert_int_equal(lc_node_resolve(n, LC_STR("copy"), &found), LC_OK);
    assert_ok(lc_node_reset(n, &alice, &found, &err), &err);
    assert_int_equal(fake.created, 1);
    lc_node_destroy(n);
}

LC_TEST(nothing_is_replaced)
{
    lc_node *n = start(false);
    lc_restore_result first = restore(n, "copy"), second = restore(n, "other");
    assert_false(lc_identity_equal(&first.identity, &second.identity));
    restore_fails(n, &alice, "copy", lc_buf_span(&file), LC_E_EXISTS, "named copy exists already");
    restore_fails(n, &bob, "copy", lc_buf_span(&file), LC_E_EXISTS, "named copy exists already");
    restore_fails(n, &alice, "no good name", lc_buf_span(&file), LC_E_INVALID,
                  "invalid characters");
    lc_identity found;
    lc_node_resolve(n, LC_STR("copy"), &found);
    assert_true(lc_identity_equal(&found, &first.identity));
    lc_node_destroy(n);
}

LC_TEST(a_name_of_another_owner_is_refused)
{
    lc_node *n = start(false);
    lc_error err = LC_ERROR_INIT;
    lc_restore_result done = restore(n, "copy");
    assert_ok(lc_node_delete(n, &alice, &done.identity, &err), &err);
    restore_fails(n, &bob, "copy", lc_buf_span(&file), LC_E_DENIED, "belongs to another owner");
    restore(n, "copy");
    lc_node_destroy(n);
}

LC_TEST(a_failed_restore_leaves_nothing)
{
    lc_node *n = start(false);
    lc_identity found;
    restore_fails(n, &alice, "copy", LC_SPAN(file.ptr, file.len - 1), LC_E_CORRUPT, "torn");
    restore_fails(n, &alice, "copy", LC_STR("something else"), LC_E_INVALID, "no backup");
    assert_int_equal(lc_node_resolve(n, LC_STR("copy"), &found), LC_E_NOT_FOUND);
    assert_int_equal(replica_folders(), 0);
    restore(n, "copy");
    lc_node_destroy(n);
}

static lc_node *racing;

static void restore_the_other(void)
{
    restore(racing, "copy");
}

/* Somebody else was faster: the catalog is asked again at the end. */
LC_TEST(two_restores_under_one_name_make_one_database)
{
    racing = start(false);
    lc_restore_result out;
    lc_error err = LC_ERROR_INIT;
    input in = {lc_buf_span(&file), restore_the_other};
    assert_int_equal(restore_with(racing, &alice, "copy", &in, &out, &err), LC_E_EXISTS);
    lc_error_clear(&err);
    lc_identity found;
    lc_database_record r;
    assert_int_equal(lc_node_resolve(racing, LC_STR("copy"), &found), LC_OK);
    assert_int_equal(lc_node_record(racing, &found, &r), LC_OK);
    lc_node_destroy(racing);
}

static void restore_and_delete_the_other(void)
{
    lc_error err = LC_ERROR_INIT;
    lc_restore_result done = restore(racing, "copy");
    assert_ok(lc_node_delete(racing, &alice, &done.identity, &err), &err);
}

/* The name outlives its database, and belongs to the identity that one had. */
LC_TEST(a_name_that_got_another_identity_meanwhile_is_refused)
{
    racing = start(false);
    lc_restore_result out;
    lc_error err = LC_ERROR_INIT;
    input in = {lc_buf_span(&file), restore_and_delete_the_other};
    assert_int_equal(restore_with(racing, &alice, "copy", &in, &out, &err), LC_E_EXISTS);
    assert_non_null(strstr(lc_error_text(&err), "given to another database meanwhile"));
    lc_error_clear(&err);
    restore(racing, "copy");
    lc_node_destroy(racing);
}

static void close_node(void)
{
    pthread_mutex_lock(&racing->lock);
    racing->is_closing = true;
    pthread_mutex_unlock(&racing->lock);
}

LC_TEST(a_server_that_ends_does_not_wait_for_the_rest)
{
    racing = start(false);
    lc_restore_result out;
    lc_error err = LC_ERROR_INIT;
    input in = {LC_SPAN(file.ptr, file.len / 2), close_node};
    lc_status rc = restore_with(racing, &alice, "copy", &in, &out, &err);
    assert_int_equal(rc, LC_E_CORRUPT); /* the last piece was under way already */
    lc_error_clear(&err);
    in = (input){lc_buf_span(&file), NULL};
    assert_int_equal(restore_with(racing, &alice, "copy", &in, &out, &err), LC_E_CLOSED);
    lc_error_clear(&err);
    lc_node_destroy(racing);
}

LC_TEST(a_folder_restores_too)
{
    lc_node *n = start(true);
    lc_restore q = {
        .caller = &alice, .name = LC_STR("copy"), .at = {UINT64_MAX, INT64_MAX}, .folder = source};
    lc_restore_result out;
    lc_error err = LC_ERROR_INIT;
    assert_ok(lc_node_restore(n, &q, &out, &err), &err);
    assert_int_equal(out.info.restored, 1);
    assert_int_equal(fake.opened, 0);
    lc_node_destroy(n);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    return LC_TEST_RUN(
        TEST(a_restored_database_is_in_the_catalog), TEST(nothing_is_replaced),
        TEST(a_name_of_another_owner_is_refused), TEST(a_failed_restore_leaves_nothing),
        TEST(two_restores_under_one_name_make_one_database),
        TEST(a_name_that_got_another_identity_meanwhile_is_refused),
        TEST(a_server_that_ends_does_not_wait_for_the_rest), TEST(a_folder_restores_too));
}
