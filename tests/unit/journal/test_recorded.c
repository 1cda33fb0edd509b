/* Logs written by the reference server: read commit by commit, and damaged in the ways that were
 * tried on the reference. See tests/recorded/commitlog/README.md. */
#include "journal_test.h"

#define RECORDED "tests/recorded/commitlog/"

static lc_buf read_text(const char *folder, const char *file)
{
    lc_buf b = LC_BUF_INIT;
    lc_error err = LC_ERROR_INIT;
    char *path = lc_format(RECORDED "%s/%s", folder, file);
    assert_ok(lc_disk_read_file(lc_disk_system(), path, &b, &err), &err);
    lc_buf_put_u8(&b, 0);
    lc_free(path);
    return b;
}

typedef struct loading {
    memory_disk *disk;
    const char *folder;
} loading;

static void load_file(void *arg, const char *name)
{
    loading *to = arg;
    lc_buf b = LC_BUF_INIT;
    lc_error err = LC_ERROR_INIT;
    char *from = lc_format("%s/%s", to->folder, name);
    char *path = lc_format(TEST_FOLDER "/%s", name);
    assert_ok(lc_disk_read_file(lc_disk_system(), from, &b, &err), &err);
    memory_disk_put(to->disk, path, b.ptr, b.len);
    lc_buf_deinit(&b);
    lc_free(from);
    lc_free(path);
}

static void load(memory_disk *d, const char *folder, const char *clog)
{
    memory_disk_init(d);
    char *path = lc_format(RECORDED "%s/%s", folder, clog);
    const lc_disk *real = lc_disk_system();
    assert_int_equal(real->list(real->self, path, load_file, &(loading){d, path}), 0);
    lc_free(path);
}

/* The next line of commits.txt must be what is read next. */
typedef struct expected {
    const char *at;
    const char *folder;
    uint64_t commits;
} expected;

static lc_status compare_commit(void *arg, uint64_t offset, lc_span record, lc_error *err)
{
    (void)err;
    expected *e = arg;
    char segment[64];
    unsigned long long position, want_offset, epoch, n, length;
    unsigned crc;
    int used = 0;
    assert_int_equal(sscanf(e->at, "%63s %llu %llu %llu %llu %llu %x\n%n", segment, &position,
                            &want_offset, &epoch, &n, &length, &crc, &used),
                     7);
    e->at += used;
    e->commits++;
    assert_int_equal(offset, want_offset);
    assert_int_equal(record.len, length);
    assert_int_equal(n, 1);
    lc_buf frame = LC_BUF_INIT;
    lc_frame_put_header(lc_buf_extend(&frame, LC_FRAME_HEADER), offset, epoch, (uint32_t)length);
    lc_buf_put_span(&frame, record);
    assert_int_equal(lc_crc32c(0, frame.ptr, frame.len), crc);
    lc_buf_deinit(&frame);
    return LC_OK;
}

static const struct {
    const char *folder;
    const char *clog;
    uint64_t commits;
    uint64_t segments;
} logs[] = {
    {"auto", "clog", 33, 1},      {"basics", "clog", 73, 1},
    {"clients", "clog", 8, 1},    {"crash", "clog", 46, 1},
    {"empty", "clog", 1, 1},      {"events", "clog", 21, 1},
    {"migration", "clog", 25, 1}, {"schedule", "clog", 32, 1},
    {"segments", "clog", 76, 6},  {"segments", "clog_uncompressed", 76, 6},
    {"v9", "clog", 7, 1},         {"views", "clog", 17, 1},
};

LC_TEST(every_commit_is_read)
{
    for (size_t i = 0; i < LC_ARRAY_LEN(logs); i++) {
        memory_disk d;
        load(&d, logs[i].folder, logs[i].clog);
        lc_buf text = read_text(logs[i].folder, "commits.txt");
        expected e = {(const char *)text.ptr, logs[i].folder, 0};
        lc_journal_stats stats;
        lc_error err = LC_ERROR_INIT;
        assert_ok(lc_journal_read(TEST_FOLDER, &d.disk, compare_commit, &e, &stats, &err), &err);
        assert_int_equal(*e.at, 0);
        assert_int_equal(e.commits, logs[i].commits);
        assert_int_equal(stats.commits, logs[i].commits);
        assert_int_equal(stats.next_offset, logs[i].commits);
        assert_int_equal(stats.segments, logs[i].segments);
        assert_int_equal(stats.cut_bytes, 0);
        lc_buf_deinit(&text);
        memory_disk_deinit(&d);
    }
}

/* The same folders straight from the file system. */
LC_TEST(reading_changes_nothing)
{
    for (size_t i = 0; i < LC_ARRAY_LEN(logs); i++) {
        char *path = lc_format(RECORDED "%s/%s", logs[i].folder, logs[i].clog);
        lc_journal_stats stats;
        lc_error err = LC_ERROR_INIT;
        assert_ok(lc_journal_read(path, NULL, NULL, NULL, &stats, &err), &err);
        assert_int_equal(stats.commits, logs[i].commits);
        lc_free(path);
    }
    lc_error err = LC_ERROR_INIT;
    assert_int_equal(lc_journal_read(RECORDED "nowhere", NULL, NULL, NULL, NULL, &err),
                     LC_E_NOT_FOUND);
    lc_error_clear(&err);
}

/* Where the reference would have gone on we do too; from a snapshot on we read the same. */
LC_TEST(every_start_within_the_log)
{
    memory_disk base;
    load(&base, "segments", "clog");
    for (uint64_t from = 0; from <= 76; from++) {
        memory_disk d;
        memory_disk_copy(&d, &base);
        lc_journal_options o = {.replay_from = from};
        test_log l;
        assert_ok(test_log_open(&l, &d, &o), &l.err);
        assert_int_equal(l.records.len, 76 - from);
        assert_int_equal(l.stats.next_offset, 76);
        test_log_append(&l, 76, 20);
        test_log_end(&l);
        assert_int_equal(memory_disk_file(&d, TEST_FOLDER "/00000000000000000060.stdb.log")->len,
                         14959 + 20 + LC_FRAME_OVERHEAD);
        memory_disk_deinit(&d);
    }
    memory_disk_deinit(&base);
}

/* When the newest segment is sealed a new one is begun. */
LC_TEST(sealed_newest_segment)
{
    memory_disk d;
    load(&d, "segments", "clog");
    d.disk.unlink(&d, TEST_FOLDER "/00000000000000000060.stdb.log");
    lc_buf before = LC_BUF_INIT;
    lc_buf *sealed = memory_disk_file(&d, TEST_FOLDER "/00000000000000000044.stdb.log");
    lc_buf_put_span(&before, lc_buf_span(sealed));
    test_log l;
    assert_ok(test_log_open(&l, &d, NULL), &l.err);
    assert_int_equal(l.stats.next_offset, 60);
    test_log_append(&l, 60, 20);
    test_log_end(&l);
    sealed = memory_disk_file(&d, TEST_FOLDER "/00000000000000000044.stdb.log");
    assert_span_equal(lc_buf_span(sealed), lc_buf_span(&before));
    assert_ok(test_log_open(&l, &d, NULL), &l.err);
    assert_int_equal(l.stats.next_offset, 61);
    test_log_end(&l);
    lc_buf_deinit(&before);
    memory_disk_deinit(&d);
}

/* Every byte of a sealed segment changed, and every cut: refused, or every commit is as it was. */
LC_TEST(damaged_sealed_segments)
{
    for (int is_newest = 0; is_newest < 2; is_newest++) {
        memory_disk base;
        load(&base, "segments", "clog");
        if (is_newest) base.disk.unlink(&base, TEST_FOLDER "/00000000000000000060.stdb.log");
        lc_buf text = read_text("segments", "commits.txt");
        const char *path = TEST_FOLDER "/00000000000000000044.stdb.log";
        size_t len = memory_disk_file(&base, path)->len;
        uint64_t all = is_newest ? 60 : 76;
        for (size_t at = 0; at < 2 * len; at++) {
            bool is_cut = at >= len;
            memory_disk d;
            memory_disk_copy(&d, &base);
            lc_buf *file = memory_disk_file(&d, path);
            if (is_cut)
                file->len = at - len;
            else
                file->ptr[at] ^= 1u << at % 8;
            expected e = {(const char *)text.ptr, "segments", 0};
            lc_journal_stats stats;
            lc_error err = LC_ERROR_INIT;
            lc_status rc = lc_journal_read(TEST_FOLDER, &d.disk, compare_commit, &e, &stats, &err);
            if (rc == LC_OK)
                assert_int_equal(stats.next_offset,
                                 is_cut && at - len <= 10 && is_newest ? 44 : all);
            else
                assert_true(rc == LC_E_CORRUPT || rc == LC_E_UNSUPPORTED);
            lc_error_clear(&err);
            memory_disk_deinit(&d);
        }
        lc_buf_deinit(&text);
        memory_disk_deinit(&base);
    }
}

/* ----------------------------------------------------------------- damage */

static void damage(memory_disk *d, const char *line)
{
    char op[16], file[64], a[600] = "", b[600] = "";
    assert_true(sscanf(line, " %15s %63s %599s %599s", op, file, a, b) >= 2);
    char *path = lc_format(TEST_FOLDER "/%s", file);
    lc_buf *f = memory_disk_file(d, path);
    uint64_t x = strtoull(a, NULL, 10), y = strtoull(b, NULL, 10);
    const char *hex = !strcmp(op, "set") ? b : a;
    uint8_t bytes[300];
    size_t n = strlen(hex) / 2;
    if (!strcmp(op, "set") || !strcmp(op, "append") || !strcmp(op, "create"))
        assert_true(lc_hex_decode(LC_SPAN(hex, 2 * n), bytes));
    if (!strcmp(op, "truncate")) {
        f->len = x;
    } else if (!strcmp(op, "flip")) {
        f->ptr[x] ^= (uint8_t)y;
    } else if (!strcmp(op, "set")) {
        memcpy(f->ptr + x, bytes, n);
    } else if (!strcmp(op, "append")) {
        lc_buf_put(f, bytes, n);
    } else if (!strcmp(op, "zeros")) {
        memset(lc_buf_extend(f, x), 0, x);
    } else if (!strcmp(op, "delete")) {
        assert_int_equal(d->disk.unlink(d, path), 0);
    } else if (!strcmp(op, "create")) {
        memory_disk_put(d, path, bytes, n);
    } else if (!strcmp(op, "rename")) {
        char *to = lc_format(TEST_FOLDER "/%s", a);
        assert_int_equal(d->disk.rename(d, path, to), 0);
        lc_free(to);
    } else if (!strcmp(op, "duplicate")) {
        lc_buf_reserve(f, y);
        lc_buf_put(f, f->ptr + x, y);
    } else {
        fail_msg("no such damage: %s", line);
    }
    lc_free(path);
}

/* The only difference: zeros behind the last commit are ours, and the segment goes on. */
static bool goes_on(const char *name)
{
    return !strcmp(name, "zeros-26") || !strcmp(name, "zeros-100");
}

static void check_variant(memory_disk *d, const char *line)
{
    char name[64], result[16], offset[24], segment[64];
    assert_int_equal(sscanf(line, "variant %63s %15s %23s %63s", name, result, offset, segment), 4);
    test_log l;
    lc_status rc = test_log_open(&l, d, NULL);
    if (!strcmp(result, "refused") != (rc != LC_OK))
        fail_msg("%s: %s", name, rc ? lc_error_text(&l.err) : "opens");
    if (rc == LC_OK) {
        uint64_t want = !strcmp(result, "anew") ? 0 : strtoull(offset, NULL, 10);
        assert_int_equal(l.stats.next_offset, want);
        assert_int_equal(l.records.len, want);
        test_log_append(&l, want, 100);
        test_log_flush(&l);
        if (!strcmp(result, "opens")) {
            char *path = lc_format(TEST_FOLDER "/%s", segment);
            bool is_there = memory_disk_file(d, path) != NULL;
            if (is_there == goes_on(name)) fail_msg("%s: %s", name, is_there ? "there" : "missing");
            lc_free(path);
        }
        test_log_end(&l);
        assert_ok(test_log_open(&l, d, NULL), &l.err);
        assert_int_equal(l.stats.next_offset, want + 1);
    }
    test_log_end(&l);
}

static void check_variants(const char *folder, int variants)
{
    lc_buf text = read_text(folder, "variants.txt");
    int seen = 0;
    for (char *at = (char *)text.ptr; *at;) {
        memory_disk d;
        load(&d, folder, "clog");
        const char *line = at;
        at = strchr(at, '\n') + 1;
        while (*at == ' ') {
            damage(&d, at);
            at = strchr(at, '\n') + 1;
        }
        check_variant(&d, line);
        memory_disk_deinit(&d);
        seen++;
    }
    assert_int_equal(seen, variants);
    lc_buf_deinit(&text);
}

LC_TEST(damaged_single)
{
    check_variants("damaged_single", 45);
}

LC_TEST(damaged_multi)
{
    check_variants("damaged_multi", 12);
}

int main(void)
{
    lc_log_set_level(LC_LOG_ERROR);
    return LC_TEST_RUN(
        cmocka_unit_test(every_commit_is_read), cmocka_unit_test(reading_changes_nothing),
        cmocka_unit_test(every_start_within_the_log), cmocka_unit_test(sealed_newest_segment),
        cmocka_unit_test(damaged_sealed_segments), cmocka_unit_test(damaged_single),
        cmocka_unit_test(damaged_multi));
}
