/* The seams: the machine's disk, its clock and its randomness. */
#include "lc_test.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static char folder[64];

static char *path(const char *name)
{
    static char text[128];
    snprintf(text, sizeof text, "%s/%s", folder, name);
    return text;
}

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/lc-test-disk-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    char *command = lc_format("rm -rf %s", folder);
    int rc = system(command);
    lc_free(command);
    return rc;
}

LC_TEST(files_read_and_write)
{
    const lc_disk *d = lc_disk_system();
    lc_file *f;
    char got[16];
    assert_int_equal(d->open(d->self, path("absent"), O_RDONLY, &f), -ENOENT);
    assert_int_equal(d->open(d->self, path("a"), O_RDWR | O_CREAT, &f), 0);
    assert_int_equal(d->pwrite(d->self, f, "hello", 5, 3), 5);
    assert_int_equal(d->size(d->self, f), 8);
    assert_int_equal(d->pread(d->self, f, got, sizeof got, 0), 8);
    assert_memory_equal(got, "\0\0\0hello", 8);
    assert_int_equal(d->pread(d->self, f, got, sizeof got, 100), 0);
    assert_int_equal(d->truncate(d->self, f, 4), 0);
    assert_int_equal(d->size(d->self, f), 4);
    assert_int_equal(d->sync_data(d->self, f), 0);

    lc_file *again;
    assert_int_equal(d->lock(d->self, f), 0);
    assert_int_equal(d->open(d->self, path("a"), O_RDWR, &again), 0);
    assert_int_equal(d->lock(d->self, again), -EWOULDBLOCK);
    d->close(d->self, f);
    assert_int_equal(d->lock(d->self, again), 0);
    d->close(d->self, again);
}

static void count_entry(void *arg, const char *name)
{
    size_t *seen = arg;
    if (!strcmp(name, "one") || !strcmp(name, "two"))
        *seen += 1;
    else
        *seen += 100;
}

LC_TEST(folders)
{
    const lc_disk *d = lc_disk_system();
    assert_int_equal(d->mkdirs(d->self, path("x/y/z")), 0);
    assert_int_equal(d->mkdirs(d->self, path("x/y/z/")), 0);
    lc_error err = LC_ERROR_INIT;
    assert_ok(lc_disk_write_file(d, path("x/y/z/one"), LC_STR("1"), &err), &err);
    assert_int_equal(d->mkdirs(d->self, path("x/y/z/one")), -ENOTDIR);
    assert_int_equal(d->mkdirs(d->self, path("x/y/z/one/more")), -ENOTDIR);
    assert_int_equal(d->mkdirs(d->self, path("x/y/z/two")), 0);
    size_t seen = 0;
    assert_int_equal(d->list(d->self, path("x/y/z"), count_entry, &seen), 0);
    assert_int_equal(seen, 2);
    assert_int_equal(d->list(d->self, path("nowhere"), count_entry, &seen), -ENOENT);
    assert_int_equal(d->sync_dir(d->self, path("x/y")), 0);
    assert_int_equal(d->unlink(d->self, path("x/y/z/one")), 0);
    assert_int_equal(d->unlink(d->self, path("x/y/z/one")), -ENOENT);
}

LC_TEST(whole_files)
{
    const lc_disk *d = lc_disk_system();
    lc_error err = LC_ERROR_INIT;
    lc_buf got = LC_BUF_INIT;
    assert_false(lc_disk_exists(d, path("w")));
    assert_int_equal(lc_disk_read_file(d, path("w"), &got, &err), LC_E_NOT_FOUND);
    assert_non_null(strstr(lc_error_text(&err), path("w")));

    uint64_t random = 9;
    static uint8_t bytes[300000];
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)lc_test_random(&random);
    for (size_t n = 0; n <= sizeof bytes; n = n * 3 + 1) {
        assert_ok(lc_disk_write_file(d, path("w"), LC_SPAN(bytes, n), &err), &err);
        lc_buf_reset(&got);
        assert_ok(lc_disk_read_file(d, path("w"), &got, &err), &err);
        assert_true(lc_span_equal(lc_buf_span(&got), LC_SPAN(bytes, n)));
    }
    assert_true(lc_disk_exists(d, path("w")));
    assert_false(lc_disk_exists(d, path("w.tmp")));

    /* Files whose size is not known before. */
    lc_buf_reset(&got);
    assert_ok(lc_disk_read_file(d, "/proc/self/status", &got, &err), &err);
    assert_true(got.len > 100);

    assert_int_equal(lc_disk_write_file(d, path("none/w"), LC_STR("x"), &err), LC_E_IO);
    assert_non_null(strstr(lc_error_text(&err), "No such file or directory"));
    lc_error_clear(&err);
    lc_buf_deinit(&got);
}

LC_TEST(clock_and_random)
{
    const lc_clock *c = lc_clock_system();
    assert_true(lc_clock_now(c) > 1600000000000000);
    uint64_t before = lc_clock_mono(c);
    usleep(2000);
    assert_in_range(lc_clock_mono(c) - before, 2000000, 60000000000);

    const lc_random *r = lc_random_system();
    uint8_t a[1000], b[1000];
    r->fill(r->self, a, sizeof a);
    r->fill(r->self, b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_read_and_write),
        cmocka_unit_test(folders),
        cmocka_unit_test(whole_files),
        cmocka_unit_test(clock_and_random),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
