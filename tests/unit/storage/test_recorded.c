/* Folders of the reference server, which hold a log and nothing we could read beside it, restored:
 * the rows are those recorded in tests/recorded/commitlog. */
#include "storage_test.h"
#include "store/fixture.h"

#include <stdio.h>
#include <unistd.h>

#define RECORDED "tests/recorded/commitlog/"

/* As tables.txt: a line for each table, and its rows in hex, sorted by their bytes. */
static lc_buf describe(const lc_store *s)
{
    lc_buf out = LC_BUF_INIT;
    uint32_t at = 0;
    for (lc_table *t; (t = lc_store_next_table(s, &at));) {
        spans rows = {0};
        lc_buf_printf(&out, "table %u " LC_SPAN_FMT "\n", lc_table_id(t),
                      LC_SPAN_ARG(lc_table_name(t)));
        collect_sorted(t, &rows);
        LC_VEC_EACH (r, &rows) {
            lc_hex_encode(r->ptr, r->len, (char *)lc_buf_extend(&out, 2 * r->len));
            lc_buf_put_u8(&out, '\n');
        }
        spans_deinit(&rows);
    }
    return out;
}

static void check_restored(const char *folder, const char *name)
{
    lc_storage_options o = {.folder = folder, .mode = LC_STORAGE_READ_ONLY, .is_stepped = true};
    lc_storage *s;
    lc_error err = LC_ERROR_INIT;
    assert_ok(lc_storage_open(&o, &s, NULL, &err), &err);
    lc_buf got = describe(lc_storage_store(s)), want = LC_BUF_INIT;
    check_store(lc_storage_store(s));
    char *path = lc_format(RECORDED "%s/tables.txt", name);
    assert_ok(lc_disk_read_file(lc_disk_system(), path, &want, &err), &err);
    if (!lc_span_equal(lc_buf_span(&got), lc_buf_span(&want))) {
        size_t i = 0;
        while (i < got.len && i < want.len && got.ptr[i] == want.ptr[i]) i++;
        fail_msg("%s differs from byte %zu on", path, i);
    }
    lc_free(path);
    lc_buf_deinit(&got);
    lc_buf_deinit(&want);
    lc_storage_close(s);
}

static void remove_tree(const char *folder)
{
    char *command = lc_format("rm -rf '%s'", folder);
    assert_int_equal(system(command), 0);
    lc_free(command);
}

static lc_status to_buf(void *arg, lc_span bytes, lc_error *err)
{
    (void)err;
    lc_buf_put_span(arg, bytes);
    return LC_OK;
}

static ssize_t from_span(void *arg, void *out, size_t n, lc_error *err)
{
    lc_span *left = arg;
    (void)err;
    if (n > left->len) n = left->len;
    if (n) memcpy(out, left->ptr, n);
    *left = LC_SPAN(left->ptr + n, left->len - n);
    return (ssize_t)n;
}

static const lc_restore_point latest = {UINT64_MAX, INT64_MAX};

/* Straight, and by way of a backup. */
static void restore_both_ways(const char *name, const char *folder)
{
    lc_error err = LC_ERROR_INIT;
    lc_backup_info info;
    lc_buf file = LC_BUF_INIT;
    char *source = lc_format(RECORDED "%s", name);
    assert_ok(lc_folder_restore(source, &latest, folder, NULL, NULL, NULL, NULL, &info, &err),
              &err);
    check_restored(folder, name);
    remove_tree(folder);
    assert_ok(
        lc_backup_create(source, NULL, NULL, UINT64_MAX, UINT64_MAX, to_buf, &file, &info, &err),
        &err);
    lc_span left = lc_buf_span(&file);
    assert_ok(
        lc_backup_restore(from_span, &left, &latest, folder, NULL, NULL, NULL, NULL, &info, &err),
        &err);
    check_restored(folder, name);
    remove_tree(folder);
    lc_buf_deinit(&file);
    lc_free(source);
}

LC_TEST(logs_of_the_reference_restore_to_the_recorded_rows)
{
    static const char *const names[] = {"auto",  "basics",    "clients",  "crash",
                                        "empty", "events",    "views",    "damaged_single",
                                        "v9",    "migration", "schedule", "segments"};
    char folder[] = "/tmp/lc-recorded-XXXXXX";
    assert_non_null(mkdtemp(folder));
    for (size_t i = 0; i < LC_ARRAY_LEN(names); i++) {
        char *target = lc_format("%s/%s", folder, names[i]);
        restore_both_ways(names[i], target);
        lc_free(target);
    }
    remove_tree(folder);
}

int main(void)
{
    return LC_TEST_RUN(cmocka_unit_test(logs_of_the_reference_restore_to_the_recorded_rows));
}
