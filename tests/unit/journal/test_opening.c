/* Opening from a snapshot's offset, read-only, and with somebody watching. */
#include "journal_test.h"

#define SEGMENT_MAX 4096

static lc_status open_from(test_log *l, memory_disk *d, uint64_t from)
{
    lc_journal_options o = {.max_segment_size = SEGMENT_MAX, .replay_from = from};
    return test_log_open(l, d, &o);
}

static void append(test_log *l, int n)
{
    for (; n > 0; n--) test_log_append(l, lc_journal_next_offset(l->journal), 300);
    test_log_flush(l);
}

/* A log of n transactions in segments of 13. */
static void make_log(memory_disk *d, int n)
{
    memory_disk_init(d);
    test_log l;
    assert_ok(open_from(&l, d, 0), &l.err);
    append(&l, n);
    test_log_end(&l);
}

static lc_buf *segment(memory_disk *d, uint64_t first)
{
    char *path = lc_segment_path(TEST_FOLDER, first, "log");
    lc_buf *b = memory_disk_file(d, path);
    lc_free(path);
    return b;
}

/* Opens from the offset and finds n transactions from there on. */
static void check_from(memory_disk *d, uint64_t from, uint64_t next)
{
    test_log l;
    assert_ok(open_from(&l, d, from), &l.err);
    assert_int_equal(l.stats.missing, 0);
    assert_int_equal(l.stats.next_offset, next);
    assert_int_equal(l.records.len, next - from);
    assert_true(next == from || l.first_offset == from);
    test_log_check(&l);
    test_log_end(&l);
}

static void check_refused(memory_disk *d, uint64_t from, const char *a, const char *b)
{
    test_log l;
    assert_int_equal(open_from(&l, d, from), LC_E_CORRUPT);
    assert_non_null(strstr(lc_error_text(&l.err), a));
    assert_non_null(strstr(lc_error_text(&l.err), b));
    test_log_end(&l);
}

LC_TEST(log_that_begins_behind_the_snapshot_is_refused)
{
    memory_disk d;
    make_log(&d, 40);
    bool did;
    lc_error err = LC_ERROR_INIT;
    assert_ok(lc_journal_remove(TEST_FOLDER, &d.disk, 13, &did, &err), &err);
    assert_true(did);
    for (uint64_t from = 0; from < 13; from++) {
        char *needed = lc_format("offset %d is needed", (int)from);
        check_refused(&d, from, "begins at offset 13", needed);
        lc_free(needed);
    }
    for (uint64_t from = 13; from <= 40; from++) check_from(&d, from, 40);
    memory_disk_deinit(&d);
}

LC_TEST(empty_log_goes_on_at_the_snapshot)
{
    memory_disk d;
    memory_disk_init(&d);
    for (int life = 0; life < 2; life++) { /* nothing is written the first time */
        test_log l;
        assert_ok(open_from(&l, &d, 77), &l.err);
        assert_int_equal(l.stats.next_offset, 77);
        assert_int_equal(l.stats.missing, 77);
        assert_int_equal(lc_journal_next_offset(l.journal), 77);
        assert_int_equal(lc_journal_durable_count(l.journal), 77);
        if (life == 1) append(&l, 30);
        test_log_end(&l);
    }
    assert_non_null(segment(&d, 77));
    for (uint64_t from = 77; from <= 107; from++) check_from(&d, from, 107);
    check_refused(&d, 76, "begins at offset 77", "offset 76 is needed");
    check_refused(&d, 0, "begins at offset 77", "offset 0 is needed");
    memory_disk_deinit(&d);
}

/* However the log ends before the snapshot: cleanly, with odd bytes, with zeros, torn. */
LC_TEST(log_that_ends_before_the_snapshot_goes_on_behind_a_gap)
{
    for (int how = 0; how < 4; how++) {
        memory_disk d;
        make_log(&d, 20); /* 13 and 7 */
        lc_buf *newest = segment(&d, 13);
        uint64_t end = 20;
        if (how == 1) lc_buf_put(newest, "odd bytes", 9);
        if (how == 2) memset(lc_buf_extend(newest, 5000), 0, 5000);
        if (how == 3) {
            newest->len -= 100;
            end = 19;
        }
        lc_buf before = LC_BUF_INIT;
        lc_buf_put_span(&before, lc_buf_span(newest));

        test_log l;
        assert_ok(open_from(&l, &d, 50), &l.err);
        assert_int_equal(l.stats.next_offset, 50);
        assert_int_equal(l.stats.missing, 50 - end);
        assert_int_equal(l.records.len, 0);
        assert_int_equal(lc_journal_durable_count(l.journal), 50);
        append(&l, 30);
        assert_int_equal(l.durable, 80);
        test_log_end(&l);

        /* What was there stays as it was; the gap does not hinder who starts behind it. */
        assert_span_equal(lc_buf_span(segment(&d, 13)), lc_buf_span(&before));
        for (uint64_t from = 50; from <= 80; from++) check_from(&d, from, 80);
        assert_ok(open_from(&l, &d, 60), &l.err);
        append(&l, 5);
        test_log_end(&l);
        check_from(&d, 50, 85);
        /* It is never replayed across. */
        char *expected = lc_format("expected-offset=%d ", (int)end);
        for (uint64_t from = 0; from < 50; from++)
            check_refused(&d, from, expected, "actual-offset=50");
        lc_free(expected);
        lc_buf_deinit(&before);
        memory_disk_deinit(&d);
    }
}

/* Of what lies wholly before the snapshot only names are looked at, in any state. */
LC_TEST(segments_before_the_snapshot_are_not_read)
{
    memory_disk d;
    make_log(&d, 60); /* 13 each, the fifth has 8 */
    memory_disk_put(&d, TEST_FOLDER "/00000000000000000000.stdb.log", "not a segment", 13);
    segment(&d, 13)->len = 0;
    check_from(&d, 26, 60);
    check_from(&d, 45, 60);
    test_log l;
    assert_ok(open_from(&l, &d, 52), &l.err);
    assert_int_equal(l.stats.segments, 1);
    assert_int_equal(l.stats.commits, 8);
    test_log_end(&l);
    assert_int_equal(open_from(&l, &d, 25), LC_E_CORRUPT);
    test_log_end(&l);
    memory_disk_deinit(&d);
}

/* A crash between going on and the first group leaves nothing in the way. */
LC_TEST(power_failure_while_a_gap_is_made)
{
    for (uint64_t at = 1; at < 12; at++) {
        memory_disk d;
        make_log(&d, 20);
        test_log l;
        assert_ok(open_from(&l, &d, 50), &l.err);
        d.ops = 0;
        d.fail_at = at;
        append(&l, 1);
        bool was_confirmed = l.durable == 51;
        test_log_kill(&l, &d);
        assert_ok(open_from(&l, &d, 50), &l.err);
        assert_true(l.stats.next_offset == 50 || l.stats.next_offset == 51);
        assert_true(!was_confirmed || l.stats.next_offset == 51);
        uint64_t next = l.stats.next_offset;
        append(&l, 3);
        test_log_end(&l);
        check_from(&d, 50, next + 3);
        memory_disk_deinit(&d);
    }
}

/* ---------------------------------------------------------------- read-only */

static void check_same(memory_disk *d, memory_disk *before)
{
    assert_int_equal(d->ops, before->ops);
    assert_int_equal(d->syncs, before->syncs);
    assert_int_equal(d->nodes.len, before->nodes.len);
}

static void open_read_only(test_log *l, memory_disk *d, uint64_t from, uint64_t next)
{
    lc_journal_options o = {.is_read_only = true, .replay_from = from};
    memory_disk before = *d;
    d->fail_at = d->ops + 1; /* whatever is tried fails */
    assert_ok(test_log_open(l, d, &o), &l->err);
    assert_int_equal(l->stats.next_offset, next);
    assert_int_equal(lc_journal_next_offset(l->journal), next);
    assert_int_equal(lc_journal_durable_count(l->journal), next);
    assert_false(lc_journal_step(l->journal));
    lc_journal_submit(l->journal);
    test_log_check(l);
    test_log_end(l);
    d->fail_at = 0;
    check_same(d, &before);
}

LC_TEST(read_only_changes_nothing)
{
    memory_disk d;
    make_log(&d, 20);
    test_log l;
    open_read_only(&l, &d, 0, 20);
    open_read_only(&l, &d, 15, 20);
    open_read_only(&l, &d, 30, 30); /* the snapshot knows more */
    lc_buf *newest = segment(&d, 13);
    size_t len = newest->len;
    lc_buf_put(newest, "odd bytes", 9);
    open_read_only(&l, &d, 0, 20);
    assert_int_equal(segment(&d, 13)->len, len + 9);
    memset(newest->ptr + len, 0, 9);
    memset(lc_buf_extend(newest, 5000), 0, 5000);
    open_read_only(&l, &d, 0, 20);
    assert_int_equal(segment(&d, 13)->len, len + 5009);
    newest->len = len - 1;
    open_read_only(&l, &d, 0, 19);
    newest->len = LC_SEGMENT_HEADER; /* an empty newest segment is left, too */
    open_read_only(&l, &d, 0, 13);
    memory_disk_put(&d, TEST_FOLDER "/00000000000000000013.stdb.log.tmp", "left over", 9);
    open_read_only(&l, &d, 0, 13);
    assert_non_null(memory_disk_file(&d, TEST_FOLDER "/00000000000000000013.stdb.log.tmp"));
    memory_disk_deinit(&d);
}

LC_TEST(read_only_needs_a_folder)
{
    lc_journal_options o = {.folder = "/tmp/lightcone-no-such-folder", .is_read_only = true};
    lc_journal *j;
    lc_error err = LC_ERROR_INIT;
    assert_int_equal(lc_journal_open(&o, NULL, NULL, &j, NULL, &err), LC_E_NOT_FOUND);
    assert_non_null(strstr(lc_error_text(&err), o.folder));
    assert_false(lc_disk_exists(lc_disk_system(), o.folder));
    lc_error_clear(&err);
}

LC_TEST(leftovers_are_removed)
{
    memory_disk d;
    make_log(&d, 5);
    memory_disk_put(&d, TEST_FOLDER "/00000000000000000005.stdb.log.tmp", "half", 4);
    memory_disk_put(&d, TEST_FOLDER "/5.stdb.log.tmp", "not ours", 8);
    check_from(&d, 0, 5);
    assert_null(memory_disk_file(&d, TEST_FOLDER "/00000000000000000005.stdb.log.tmp"));
    assert_non_null(memory_disk_file(&d, TEST_FOLDER "/5.stdb.log.tmp"));
    memory_disk_deinit(&d);
}

/* ----------------------------------------------------------------- progress */

typedef struct watching {
    uint64_t calls;
    uint64_t done;
    uint64_t total;
    uint64_t commits;
} watching;

static void on_progress(void *arg, uint64_t done, uint64_t total, uint64_t commits)
{
    watching *w = arg;
    assert_true(w->calls == 0 || total == w->total);
    assert_true(done >= w->done && done <= total);
    assert_true(commits >= w->commits);
    *w = (watching){w->calls + 1, done, total, commits};
}

LC_TEST(progress_is_told)
{
    memory_disk d;
    memory_disk_init(&d);
    test_log l;
    lc_journal_options o = {.max_segment_size = 12 * 1024 * 1024};
    assert_ok(test_log_open(&l, &d, &o), &l.err);
    for (uint64_t i = 0; i < 400; i++) {
        lc_buf *b = lc_journal_record_begin(l.journal);
        memset(lc_buf_extend(b, 50000), 1, 50000);
        lc_journal_record_end(l.journal);
    }
    assert_int_equal(lc_journal_appended_bytes(l.journal), 400 * (50000 + LC_FRAME_OVERHEAD));
    test_log_end(&l);
    uint64_t first = segment(&d, 0)->len, second = segment(&d, 252)->len;

    watching w = {0};
    o = (lc_journal_options){
        .folder = TEST_FOLDER,
        .disk = &d.disk,
        .is_stepped = true,
        .on_progress = on_progress,
        .arg = &w,
    };
    lc_journal *j;
    lc_error err = LC_ERROR_INIT;
    assert_ok(lc_journal_open(&o, NULL, NULL, &j, NULL, &err), &err);
    assert_int_equal(lc_journal_appended_bytes(j), 0);
    lc_journal_close(j);
    assert_int_equal(w.total, first + second);
    assert_int_equal(w.done, w.total);
    assert_int_equal(w.commits, 400);
    assert_in_range(w.calls, 4, 8);

    /* Only what will be read counts. */
    w = (watching){0};
    o.replay_from = 252;
    assert_ok(lc_journal_open(&o, NULL, NULL, &j, NULL, &err), &err);
    lc_journal_close(j);
    assert_int_equal(w.total, second);
    assert_int_equal(w.done, w.total);
    memory_disk_deinit(&d);
}

int main(void)
{
    lc_log_set_level(LC_LOG_ERROR);
    return LC_TEST_RUN(cmocka_unit_test(log_that_begins_behind_the_snapshot_is_refused),
                       cmocka_unit_test(empty_log_goes_on_at_the_snapshot),
                       cmocka_unit_test(log_that_ends_before_the_snapshot_goes_on_behind_a_gap),
                       cmocka_unit_test(segments_before_the_snapshot_are_not_read),
                       cmocka_unit_test(power_failure_while_a_gap_is_made),
                       cmocka_unit_test(read_only_changes_nothing),
                       cmocka_unit_test(read_only_needs_a_folder),
                       cmocka_unit_test(leftovers_are_removed), cmocka_unit_test(progress_is_told));
}
