/* Backup and restore: every moment comes back as it was, and what is not whole is refused with
 * nothing left behind. */
#include "storage_test.h"

#include "storage/backup_file.h"

#define TARGET "/copy"

enum { COMMITS = 40, SECOND = 1000000 };

static world w;
static lc_buf states[COMMITS + 8]; /* after so many transactions */
static int64_t times[COMMITS + 8]; /* of the last of them */
static uint64_t count;             /* transactions */
static const lc_identity database = {{1, 2, 3}}, owner = {{4, 5, 6}};
static const lc_identity other = {{7}}, other_owner = {{8}};

static void keep_state(void)
{
    count = lc_storage_need(w.storage);
    states[count] = world_state(&w);
    times[count] = w.now;
}

static void set_module(void)
{
    static const uint8_t program[5000] = {1, 2, 3};
    lc_module_row m = {.database = database,
                       .owner = owner,
                       .program_hash = {9},
                       .program = LC_SPAN(program, sizeof program)};
    lc_store *s = lc_storage_store(w.storage);
    lc_store_begin(s);
    lc_store_set_module(s, &m);
    lc_storage_commit(w.storage, &(lc_log_inputs){0}, false);
    lc_store_release(s);
}

static void commit_one(void)
{
    w.now += SECOND;
    world_commit(&w, 1);
    keep_state();
}

/* Begins with a transaction without inputs, as every database does. */
static int set_up(void **state)
{
    (void)state;
    world_init(&w);
    w.max_segment_size = 2000;
    world_create(&w);
    keep_state();
    set_module();
    keep_state();
    while (count < COMMITS) commit_one();
    world_settle(&w);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    world_deinit(&w);
    for (size_t i = 0; i < LC_ARRAY_LEN(states); i++) lc_buf_deinit(&states[i]);
    return 0;
}

/* -------------------------------------------------------------------- helpers */

typedef struct sink {
    lc_buf bytes;
    size_t fail_at; /* 0: never */
    uint32_t calls_after;
} sink;

static lc_status take(void *arg, lc_span bytes, lc_error *err)
{
    sink *s = arg;
    if (s->fail_at && s->bytes.len + bytes.len > s->fail_at) {
        s->calls_after++;
        return lc_error_set(err, LC_E_CLOSED, "nobody listens");
    }
    lc_buf_put_span(&s->bytes, bytes);
    return LC_OK;
}

static lc_buf backup(uint64_t since, uint64_t to, lc_backup_info *info)
{
    sink s = {0};
    lc_error err = LC_ERROR_INIT;
    assert_ok(
        lc_backup_create(WORLD_FOLDER, &w.disk.disk, &w.clock, since, to, take, &s, info, &err),
        &err);
    assert_int_equal(info->bytes, s.bytes.len);
    return s.bytes;
}

typedef struct input {
    lc_span left;
    size_t step; /* 0: as much as is wanted */
} input;

static ssize_t give(void *arg, void *out, size_t n, lc_error *err)
{
    (void)err;
    input *i = arg;
    if (i->step && n > i->step) n = i->step;
    if (n > i->left.len) n = i->left.len;
    if (n) memcpy(out, i->left.ptr, n);
    i->left = LC_SPAN(i->left.ptr + n, i->left.len - n);
    return (ssize_t)n;
}

static const lc_restore_point latest = {UINT64_MAX, INT64_MAX};

static lc_status restore(lc_span bytes, const lc_restore_point *at, lc_backup_info *info,
                         lc_error *err)
{
    input i = {bytes, 0};
    return lc_backup_restore(give, &i, at, TARGET, &w.disk.disk, &w.clock, NULL, NULL, info, err);
}

static lc_status open_target(lc_storage **out, lc_storage_recovery *found, lc_error *err)
{
    lc_storage_options o = {.folder = TARGET,
                            .disk = &w.disk.disk,
                            .clock = &w.clock,
                            .mode = LC_STORAGE_READ_ONLY,
                            .is_stepped = true};
    return lc_storage_open(&o, out, found, err);
}

static void remove_file(void *arg, const char *name)
{
    lc_buf *names = arg;
    lc_buf_put(names, name, strlen(name) + 1);
}

/* The number of files in the target; removes them. */
static uint32_t clear_target(void)
{
    static const char *const folders[] = {TARGET "/clog", TARGET "/snapshots", TARGET};
    uint32_t removed = 0;
    for (size_t i = 0; i < LC_ARRAY_LEN(folders); i++) {
        lc_buf names = LC_BUF_INIT;
        w.disk.disk.list(&w.disk, folders[i], remove_file, &names);
        for (size_t at = 0; at < names.len; at += strlen((char *)names.ptr + at) + 1) {
            char *path = lc_format("%s/%s", folders[i], (char *)names.ptr + at);
            removed += w.disk.disk.unlink(&w.disk, path) == 0;
            lc_free(path);
        }
        lc_buf_deinit(&names);
    }
    return removed;
}

/* The target holds exactly the state after so many transactions, and goes on from there. */
static void check_target(uint64_t offset)
{
    lc_storage *s;
    lc_storage_recovery found;
    lc_error err = LC_ERROR_INIT;
    assert_ok(open_target(&s, &found, &err), &err);
    assert_int_equal(found.snapshot, offset);
    assert_int_equal(found.log.next_offset, offset + 1);
    lc_buf state = store_state(lc_storage_store(s));
    assert_states_equal(&state, &states[offset]);
    lc_buf_deinit(&state);
    lc_storage_close(s);
    assert_true(clear_target() >= 2);
}

static void check_refused(lc_span bytes, lc_status code, const char *text)
{
    lc_error err = LC_ERROR_INIT;
    lc_status rc = restore(bytes, &latest, NULL, &err);
    if (rc != code || !strstr(lc_error_text(&err), text))
        print_error("want \"%s\", got %d: %s\n", text, (int)rc, lc_error_text(&err));
    assert_int_equal(rc, code);
    assert_non_null(strstr(lc_error_text(&err), text));
    lc_error_clear(&err);
    assert_int_equal(clear_target(), 0);
}

/* --------------------------------------------------------------------- moments */

static void check_all_offsets(lc_span bytes, const lc_backup_info *made)
{
    for (uint64_t offset = made->from ? made->from : 2; offset <= made->to; offset++) {
        lc_error err = LC_ERROR_INIT;
        lc_backup_info info;
        assert_ok(restore(bytes, &(lc_restore_point){offset, INT64_MAX}, &info, &err), &err);
        assert_int_equal(info.from, made->from);
        assert_int_equal(info.to, made->to);
        assert_int_equal(info.taken_at, made->taken_at);
        assert_int_equal(info.bytes, bytes.len);
        assert_int_equal(info.restored, offset);
        check_target(offset);
    }
}

LC_TEST(every_offset_of_a_log_comes_back)
{
    lc_backup_info info;
    lc_buf b = backup(UINT64_MAX, UINT64_MAX, &info);
    assert_int_equal(info.from, 0);
    assert_int_equal(info.to, COMMITS);
    check_all_offsets(lc_buf_span(&b), &info);
    lc_buf_deinit(&b);
    b = backup(UINT64_MAX, 17, &info);
    assert_int_equal(info.to, 17);
    check_all_offsets(lc_buf_span(&b), &info);
    lc_buf_deinit(&b);
}

LC_TEST(every_offset_behind_a_snapshot_comes_back)
{
    assert_int_equal(world_snapshot(&w), COMMITS);
    for (int i = 0; i < 5; i++) commit_one();
    world_settle(&w);
    lc_backup_info info;
    lc_buf b = backup(UINT64_MAX, UINT64_MAX, &info);
    assert_int_equal(info.from, COMMITS);
    assert_int_equal(info.to, COMMITS + 5);
    check_all_offsets(lc_buf_span(&b), &info);
    lc_buf_deinit(&b);
    b = backup(COMMITS - 1, UINT64_MAX, &info); /* an earlier beginning on request */
    assert_int_equal(info.from, 0);
    check_all_offsets(lc_buf_span(&b), &info);
    lc_buf_deinit(&b);
    b = backup(UINT64_MAX, COMMITS, &info); /* nothing but the snapshot */
    assert_int_equal(info.from, COMMITS);
    assert_int_equal(info.to, COMMITS);
    check_all_offsets(lc_buf_span(&b), &info);
    lc_buf_deinit(&b);
}

LC_TEST(a_damaged_snapshot_is_passed_over)
{
    world_snapshot(&w);
    lc_buf *file = world_snapshot_file(&w, COMMITS);
    file->ptr[file->len / 2] ^= 1;
    lc_backup_info info;
    lc_buf b = backup(UINT64_MAX, UINT64_MAX, &info);
    assert_int_equal(info.from, 0);
    assert_true(world_has_snapshot(&w, COMMITS)); /* nothing is changed where it comes from */
    check_all_offsets(lc_buf_span(&b), &info);
    lc_buf_deinit(&b);
    lc_error err = LC_ERROR_INIT;
    assert_ok(lc_folder_restore(WORLD_FOLDER, &latest, TARGET, &w.disk.disk, &w.clock, NULL, NULL,
                                &info, &err),
              &err);
    assert_int_equal(info.from, 0);
    assert_true(world_has_snapshot(&w, COMMITS));
    check_target(COMMITS);
}

static void check_time(lc_span bytes, int64_t time, uint64_t offset)
{
    lc_error err = LC_ERROR_INIT;
    lc_backup_info info;
    assert_ok(restore(bytes, &(lc_restore_point){UINT64_MAX, time}, &info, &err), &err);
    assert_int_equal(info.restored, offset);
    check_target(offset);
}

LC_TEST(every_time_comes_back)
{
    lc_backup_info info;
    lc_error err = LC_ERROR_INIT;
    w.now += 10 * SECOND;
    lc_buf b = backup(UINT64_MAX, UINT64_MAX, &info);
    lc_span bytes = lc_buf_span(&b);
    for (uint64_t n = 3; n <= COMMITS; n++) {
        check_time(bytes, times[n], n);
        check_time(bytes, times[n] - 1, n - 1);
        check_time(bytes, times[n] + SECOND / 2, n);
    }
    check_time(bytes, times[1], 2); /* what has no time belongs to what is before it */
    check_time(bytes, w.now, COMMITS);
    assert_int_equal(restore(bytes, &(lc_restore_point){UINT64_MAX, times[1] - 1}, NULL, &err),
                     LC_E_INVALID);
    assert_non_null(strstr(lc_error_text(&err), "before the first call"));
    assert_int_equal(restore(bytes, &(lc_restore_point){UINT64_MAX, w.now + 1}, NULL, &err),
                     LC_E_INVALID);
    assert_non_null(strstr(lc_error_text(&err), "after the backup was taken"));
    lc_buf_deinit(&b);

    world_snapshot(&w);
    commit_one();
    w.now += SECOND;
    world_settle(&w);
    b = backup(UINT64_MAX, UINT64_MAX, &info);
    bytes = lc_buf_span(&b);
    check_time(bytes, w.now - 2 * SECOND, COMMITS);
    check_time(bytes, w.now, COMMITS + 1);
    assert_int_equal(
        restore(bytes, &(lc_restore_point){UINT64_MAX, w.now - 3 * SECOND}, NULL, &err),
        LC_E_INVALID);
    assert_non_null(strstr(lc_error_text(&err), "before the earliest state"));
    lc_buf_deinit(&b);
    lc_error_clear(&err);
    assert_int_equal(clear_target(), 0);
}

LC_TEST(offsets_outside_are_refused)
{
    static const struct {
        uint64_t offset;
        const char *text;
    } cases[] = {{0, "no database at offset 0"},
                 {1, "st_module has no row"},
                 {COMMITS + 1, "behind the latest state here, offset 40"},
                 {UINT64_MAX - 1, "behind the latest"}};
    lc_backup_info info;
    lc_error err = LC_ERROR_INIT;
    lc_buf b = backup(UINT64_MAX, UINT64_MAX, &info);
    for (size_t i = 0; i < LC_ARRAY_LEN(cases); i++) {
        lc_restore_point at = {cases[i].offset, INT64_MAX};
        lc_status rc = restore(lc_buf_span(&b), &at, NULL, &err);
        assert_true(rc == LC_E_INVALID || (rc == LC_E_CORRUPT && cases[i].offset == 1));
        assert_non_null(strstr(lc_error_text(&err), cases[i].text));
        rc = lc_folder_restore(WORLD_FOLDER, &at, TARGET, &w.disk.disk, &w.clock, NULL, NULL, NULL,
                               &err);
        assert_int_not_equal(rc, LC_OK);
        assert_non_null(strstr(lc_error_text(&err), cases[i].text));
        assert_int_equal(clear_target(), 0);
    }
    lc_buf_deinit(&b);
    world_snapshot(&w);
    commit_one();
    world_settle(&w);
    b = backup(UINT64_MAX, UINT64_MAX, &info);
    assert_int_equal(
        restore(lc_buf_span(&b), &(lc_restore_point){COMMITS - 1, INT64_MAX}, NULL, &err),
        LC_E_INVALID);
    assert_non_null(strstr(lc_error_text(&err), "before the earliest state here, offset 40"));
    lc_buf_deinit(&b);
    lc_error_clear(&err);
    assert_int_equal(clear_target(), 0);
}

LC_TEST(a_folder_restores_at_every_offset_too)
{
    world_snapshot(&w);
    for (int i = 0; i < 5; i++) commit_one();
    world_settle(&w);
    for (uint64_t offset = 2; offset <= count; offset++) {
        lc_error err = LC_ERROR_INIT;
        lc_backup_info info;
        assert_ok(lc_folder_restore(WORLD_FOLDER, &(lc_restore_point){offset, INT64_MAX}, TARGET,
                                    &w.disk.disk, &w.clock, NULL, NULL, &info, &err),
                  &err);
        assert_int_equal(info.from, offset < COMMITS ? 0 : COMMITS);
        assert_int_equal(info.restored, offset);
        check_target(offset);
    }
    lc_error err = LC_ERROR_INIT;
    assert_int_equal(lc_folder_restore("/nowhere", &latest, TARGET, &w.disk.disk, &w.clock, NULL,
                                       NULL, NULL, &err),
                     LC_E_NOT_FOUND);
    assert_non_null(strstr(lc_error_text(&err), "/nowhere"));
    lc_error_clear(&err);
}

LC_TEST(a_copy_is_a_database_of_its_own)
{
    lc_backup_info info;
    lc_buf b = backup(UINT64_MAX, UINT64_MAX, &info);
    lc_error err = LC_ERROR_INIT;
    input i = {lc_buf_span(&b), 7};
    assert_ok(lc_backup_restore(give, &i, &latest, TARGET, &w.disk.disk, &w.clock, &other,
                                &other_owner, &info, &err),
              &err);
    lc_storage *s;
    assert_ok(open_target(&s, NULL, &err), &err);
    lc_module_row m, of_snapshot;
    assert_true(lc_store_get_module(lc_storage_store(s), &m));
    assert_memory_equal(&m.database, &other, sizeof other);
    assert_memory_equal(&m.owner, &other_owner, sizeof other);
    assert_int_equal(m.program.len, 5000);
    assert_int_equal(m.program_hash[0], 9);
    lc_store *system;
    uint64_t found;
    assert_ok(lc_snapshot_open_system(TARGET, &w.disk.disk, UINT64_MAX, &system, &found, &err),
              &err);
    assert_int_equal(found, COMMITS);
    assert_true(lc_store_get_module(system, &of_snapshot));
    assert_memory_equal(&of_snapshot.database, &database, sizeof database);
    assert_non_null(lc_store_table_by_name(system, LC_STR("t")));
    lc_store_destroy(system);
    lc_storage_close(s);

    /* Whoever is there is not overwritten. */
    assert_int_equal(restore(lc_buf_span(&b), &latest, NULL, &err), LC_E_EXISTS);
    assert_non_null(strstr(lc_error_text(&err), TARGET " already holds a database"));
    lc_error_clear(&err);
    assert_ok(open_target(&s, NULL, &err), &err);
    lc_storage_close(s);
    lc_buf_deinit(&b);
}

/* ---------------------------------------------------------------------- damage */

LC_TEST(a_torn_file_is_refused_wherever_it_is_torn)
{
    lc_backup_info info;
    lc_buf b = backup(UINT64_MAX, 10, &info);
    check_refused(LC_SPAN(b.ptr, 0), LC_E_INVALID, "it is empty");
    for (size_t n = 1; n < b.len; n++)
        check_refused(LC_SPAN(b.ptr, n), LC_E_CORRUPT, "the backup is torn: it breaks off at byte");
    lc_buf_put_u8(&b, 0);
    check_refused(lc_buf_span(&b), LC_E_CORRUPT, "something follows the end");
    lc_buf_deinit(&b);
}

LC_TEST(a_torn_snapshot_in_it_is_refused)
{
    world_snapshot(&w);
    lc_backup_info info;
    lc_buf b = backup(UINT64_MAX, UINT64_MAX, &info);
    for (size_t n = 1; n < b.len; n += 1 + b.len / 700)
        check_refused(LC_SPAN(b.ptr, n), LC_E_CORRUPT, "the backup is torn: it breaks off at byte");
    lc_buf_deinit(&b);
}

LC_TEST(a_flipped_bit_is_found_wherever_it_is)
{
    lc_backup_info info;
    lc_buf b = backup(UINT64_MAX, 10, &info);
    for (size_t at = 0; at < b.len; at++) {
        b.ptr[at] ^= (uint8_t)(1 << at % 8);
        lc_error err = LC_ERROR_INIT;
        lc_status rc = restore(lc_buf_span(&b), &latest, NULL, &err);
        /* A length that grew runs past the end. */
        bool is_named = strstr(lc_error_text(&err), "damaged at byte") ||
                        strstr(lc_error_text(&err), "torn") || (at < 8 && rc == LC_E_INVALID);
        if (rc == LC_OK || !is_named) fail_msg("byte %zu: %d %s", at, (int)rc, lc_error_text(&err));
        lc_error_clear(&err);
        b.ptr[at] ^= (uint8_t)(1 << at % 8);
    }
    assert_int_equal(clear_target(), 0);
    lc_buf_deinit(&b);
}

/* Whole blocks at other places, each with a checksum that was right where it was. */
LC_TEST(blocks_cannot_be_moved_doubled_or_left_out)
{
    lc_backup_info info;
    world_snapshot(&w);
    for (int i = 0; i < 5; i++) commit_one();
    world_settle(&w);
    lc_buf b = backup(UINT64_MAX, UINT64_MAX, &info);
    size_t at[64], n = 0;
    for (size_t p = LC_BACKUP_HEADER; p < b.len; p += LC_SNAPSHOT_BLOCK + lc_load_u64(b.ptr + p))
        at[n++] = p;
    assert_true(n >= 3);
    lc_buf bad = LC_BUF_INIT; /* the last but one is missing */
    lc_buf_put(&bad, b.ptr, at[n - 2]);
    lc_buf_put(&bad, b.ptr + at[n - 1], b.len - at[n - 1]);
    check_refused(lc_buf_span(&bad), LC_E_CORRUPT, "checksum of a block");
    lc_buf_reset(&bad); /* it is there twice */
    lc_buf_put(&bad, b.ptr, at[n - 1]);
    lc_buf_put(&bad, b.ptr + at[n - 2], b.len - at[n - 2]);
    check_refused(lc_buf_span(&bad), LC_E_CORRUPT, "checksum of a block");
    lc_buf_reset(&bad); /* the first two change places */
    lc_buf_put(&bad, b.ptr, at[0]);
    lc_buf_put(&bad, b.ptr + at[1], at[2] - at[1]);
    lc_buf_put(&bad, b.ptr + at[0], at[1] - at[0]);
    lc_buf_put(&bad, b.ptr + at[2], b.len - at[2]);
    check_refused(lc_buf_span(&bad), LC_E_CORRUPT, "checksum of a block");
    lc_buf_deinit(&bad);
    lc_buf_deinit(&b);
}

/* What somebody with the right checksums may still have put together wrongly. */
LC_TEST(contents_that_contradict_each_other_are_refused)
{
    static const uint8_t bytes[30] = {0};
    static const lc_backup_header h = {0, 5, 1, INT64_MIN}, rows = {4, 5, 1, 1};
    lc_error err = LC_ERROR_INIT;
    lc_backup_writer bw;
    sink s = {0};
    lc_journal_commit c = {.offset = 3,
                           .count = 1,
                           .size = 27,
                           .frame = LC_SPAN(bytes, 27),
                           .records = LC_SPAN(bytes, 1)};
    assert_ok(lc_backup_writer_open(&bw, &h, take, &s, &err), &err);
    assert_ok(lc_backup_writer_commit(&bw, &c, &err), &err);
    assert_ok(lc_backup_writer_finish(&bw, &err), &err);
    check_refused(lc_buf_span(&s.bytes), LC_E_CORRUPT, "checksum of a commit");
    lc_buf_reset(&s.bytes);
    lc_backup_writer_deinit(&bw);

    c.size = 19; /* as of version 0, which has no epoch: gets a frame of its own */
    assert_ok(lc_backup_writer_open(&bw, &h, take, &s, &err), &err);
    assert_ok(lc_backup_writer_commit(&bw, &c, &err), &err);
    assert_ok(lc_backup_writer_finish(&bw, &err), &err);
    check_refused(lc_buf_span(&s.bytes), LC_E_CORRUPT, "commit 3 stands where commit 0 should");
    lc_buf_reset(&s.bytes);
    lc_backup_writer_deinit(&bw);

    assert_ok(lc_backup_writer_open(&bw, &h, take, &s, &err), &err);
    assert_ok(lc_backup_writer_rows(&bw, LC_SPAN(bytes, 9), &err), &err);
    assert_ok(lc_backup_writer_finish(&bw, &err), &err);
    check_refused(lc_buf_span(&s.bytes), LC_E_CORRUPT, "rows stand where commits should");
    lc_buf_reset(&s.bytes);
    lc_backup_writer_deinit(&bw);

    assert_ok(lc_backup_writer_open(&bw, &rows, take, &s, &err), &err);
    assert_ok(lc_backup_writer_finish(&bw, &err), &err);
    check_refused(lc_buf_span(&s.bytes), LC_E_CORRUPT, "ends at offset 5, its commits end at");
    lc_buf_reset(&s.bytes);
    lc_backup_writer_deinit(&bw);

    assert_ok(lc_backup_writer_open(&bw, &h, take, &s, &err), &err);
    bw.totals.commits++;
    assert_ok(lc_backup_writer_finish(&bw, &err), &err);
    check_refused(lc_buf_span(&s.bytes), LC_E_CORRUPT, "totals at the end do not fit");
    lc_buf_reset(&s.bytes);
    lc_backup_writer_deinit(&bw);

    assert_ok(lc_backup_writer_open(&bw, &rows, take, &s, &err), &err);
    assert_ok(lc_backup_writer_rows(&bw, LC_SPAN(bytes, 30), &err), &err);
    assert_ok(lc_backup_writer_finish(&bw, &err), &err);
    lc_backup_writer_deinit(&bw);
    check_refused(lc_buf_span(&s.bytes), LC_E_CORRUPT, "block at byte 52");
    lc_buf_deinit(&s.bytes);
}

LC_TEST(other_files_are_refused)
{
    world_snapshot(&w);
    lc_buf *file = world_snapshot_file(&w, COMMITS);
    check_refused(lc_buf_span(file), LC_E_INVALID, "this is no backup");
    check_refused(LC_STR("x"), LC_E_INVALID, "this is no backup");
    check_refused(LC_STR("LCBACX\r\n"), LC_E_INVALID, "this is no backup");
    check_refused(LC_STR("\x1f\x8b\x08 anything else that may be at hand, longer than a header"),
                  LC_E_INVALID, "does not begin with LCBACK");
    lc_backup_info info;
    lc_buf b = backup(UINT64_MAX, 10, &info);
    b.ptr[8] = 2;
    lc_store_u32(b.ptr + 48, lc_crc32c(0, b.ptr, 48));
    check_refused(lc_buf_span(&b), LC_E_UNSUPPORTED, "of version 2");
    lc_buf_deinit(&b);
}

/* -------------------------------------------------------------------- failures */

LC_TEST(a_failing_disk_leaves_nothing_behind)
{
    lc_backup_info info;
    lc_buf b = backup(UINT64_MAX, UINT64_MAX, &info);
    bool has_succeeded = false;
    for (uint64_t n = 1; !has_succeeded; n++) {
        lc_error err = LC_ERROR_INIT;
        w.disk.fail_at = w.disk.ops + n;
        w.disk.fail_errno = 28;
        w.disk.fail_once = true;
        lc_status rc = restore(lc_buf_span(&b), &latest, NULL, &err);
        has_succeeded = w.disk.ops < w.disk.fail_at;
        w.disk.fail_at = 0;
        if (has_succeeded) {
            assert_ok(rc, &err);
            assert_true(n > 8); /* it was put to the test */
            check_target(COMMITS);
            break;
        }
        lc_storage *s;
        lc_error_clear(&err);
        if (rc == LC_OK) { /* it can do without what failed */
            check_target(COMMITS);
            continue;
        }
        assert_int_not_equal(open_target(&s, NULL, &err), LC_OK);
        lc_error_clear(&err);
        assert_int_equal(clear_target(), 0);
    }
    lc_buf_deinit(&b);
}

LC_TEST(a_reader_that_goes_away_ends_the_backup)
{
    lc_backup_info info;
    lc_buf b = backup(UINT64_MAX, UINT64_MAX, &info);
    for (size_t at = 10; at < b.len; at += 97) {
        sink s = {.fail_at = at};
        lc_error err = LC_ERROR_INIT;
        assert_int_equal(lc_backup_create(WORLD_FOLDER, &w.disk.disk, &w.clock, UINT64_MAX,
                                          UINT64_MAX, take, &s, &info, &err),
                         LC_E_CLOSED);
        assert_int_equal(s.calls_after, 1);
        assert_string_equal(lc_error_text(&err), "nobody listens");
        lc_error_clear(&err);
        lc_buf_deinit(&s.bytes);
    }
    lc_buf_deinit(&b);
}

LC_TEST(a_backup_that_fails_says_so_in_the_file)
{
    lc_buf *segment = memory_disk_file(&w.disk, WORLD_FOLDER "/clog/00000000000000000000.stdb.log");
    segment->ptr[segment->len / 2] ^= 1;
    sink s = {0};
    lc_backup_info info;
    lc_error err = LC_ERROR_INIT;
    lc_status rc = lc_backup_create(WORLD_FOLDER, &w.disk.disk, &w.clock, UINT64_MAX, COMMITS, take,
                                    &s, &info, &err);
    assert_int_equal(rc, LC_E_CORRUPT);
    assert_non_null(strstr(lc_error_text(&err), "00000000000000000000.stdb.log"));
    lc_error_clear(&err);
    check_refused(lc_buf_span(&s.bytes), LC_E_CORRUPT, "its writer had to give up: ");
    check_refused(lc_buf_span(&s.bytes), LC_E_CORRUPT, "00000000000000000000.stdb.log");
    lc_buf_deinit(&s.bytes);
    s = (sink){0};
    assert_int_equal(lc_backup_create("/nowhere", &w.disk.disk, &w.clock, UINT64_MAX, UINT64_MAX,
                                      take, &s, NULL, &err),
                     LC_E_NOT_FOUND);
    assert_int_equal(s.bytes.len, 0);
    lc_error_clear(&err);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    return LC_TEST_RUN(
        TEST(every_offset_of_a_log_comes_back), TEST(every_offset_behind_a_snapshot_comes_back),
        TEST(a_damaged_snapshot_is_passed_over), TEST(every_time_comes_back),
        TEST(offsets_outside_are_refused), TEST(a_folder_restores_at_every_offset_too),
        TEST(a_copy_is_a_database_of_its_own), TEST(a_torn_file_is_refused_wherever_it_is_torn),
        TEST(a_torn_snapshot_in_it_is_refused), TEST(a_flipped_bit_is_found_wherever_it_is),
        TEST(blocks_cannot_be_moved_doubled_or_left_out),
        TEST(contents_that_contradict_each_other_are_refused), TEST(other_files_are_refused),
        TEST(a_failing_disk_leaves_nothing_behind), TEST(a_reader_that_goes_away_ends_the_backup),
        TEST(a_backup_that_fails_says_so_in_the_file));
}
