/* What each durability mode writes, syncs and publishes when, and what is left when that fails. */
#include "journal_test.h"

static bool keep_nothing(void *arg, uint64_t sector)
{
    (void)arg;
    (void)sector;
    return false;
}

static void open_mode(test_log *l, memory_disk *d, lc_durability durability, uint64_t max_segment)
{
    lc_journal_options o = {.max_segment_size = max_segment, .durability = durability};
    assert_ok(test_log_open(l, d, &o), &l->err);
}

static void append(test_log *l, int n, size_t size)
{
    for (; n > 0; n--) test_log_append(l, lc_journal_next_offset(l->journal), size);
}

static void check_reopened(memory_disk *d, uint64_t commits)
{
    test_log l;
    assert_ok(test_log_open(&l, d, NULL), &l.err);
    assert_int_equal(l.stats.next_offset, commits);
    test_log_check(&l);
    test_log_end(&l);
}

LC_TEST(each_transaction_has_its_own_write_and_sync)
{
    memory_disk d;
    memory_disk_init(&d);
    test_log l;
    open_mode(&l, &d, LC_DURABILITY_EACH, 64 * 1024);
    append(&l, 1, 100);
    test_log_flush(&l);
    d.writes = d.syncs = 0;
    append(&l, 10, 50);
    lc_journal_submit(l.journal);
    assert_true(lc_journal_step(l.journal));
    assert_int_equal(d.writes, 10);
    assert_int_equal(d.syncs, 10);
    assert_int_equal(l.durable_calls, 11);
    assert_int_equal(l.durable, 11);
    append(&l, 150, 1000); /* over the end of a segment */
    test_log_flush(&l);
    assert_int_equal(l.durable_calls, 161);
    test_log_end(&l);
    check_reopened(&d, 161);
    memory_disk_deinit(&d);
}

/* In a group of three the second cannot be written: the first is confirmed, no other. */
LC_TEST(each_loses_no_more_than_the_one_that_fails)
{
    memory_disk d;
    memory_disk_init(&d);
    test_log l;
    open_mode(&l, &d, LC_DURABILITY_EACH, 64 * 1024);
    append(&l, 1, 100);
    test_log_flush(&l);
    d.fail_kinds = LC_OP_WRITE;
    d.ops = 0;
    d.fail_at = 2;
    append(&l, 3, 100);
    test_log_flush(&l);
    assert_true(lc_journal_is_failed(l.journal));
    assert_int_equal(l.durable, 2);
    assert_non_null(strstr(l.failure, "cannot write " TEST_FOLDER));
    assert_non_null(strstr(l.failure, strerror(EIO)));
    test_log_end(&l);
    d.fail_at = 0;
    check_reopened(&d, 2);
    memory_disk_deinit(&d);
}

LC_TEST(relaxed_publishes_after_the_write_and_syncs_when_idle)
{
    memory_disk d, lost;
    memory_disk_init(&d);
    test_log l;
    open_mode(&l, &d, LC_DURABILITY_RELAXED, 64 * 1024);
    append(&l, 1, 100); /* begins the segment, which is synced before it gets its name */
    test_log_flush(&l);
    d.writes = d.syncs = 0;
    for (int i = 0; i < 5; i++) {
        append(&l, 3, 100);
        lc_journal_submit(l.journal);
        assert_true(lc_journal_step(l.journal));
        assert_int_equal(l.durable, 4 + 3 * i);
        assert_int_equal(d.syncs, 0);
    }
    assert_int_equal(d.writes, 5);

    /* The process may end now, not the machine. */
    memory_disk_copy(&lost, &d);
    check_reopened(&lost, 16);
    memory_disk_deinit(&lost);
    memory_disk_clone(&lost, &d);
    memory_disk_power_off(&lost, keep_nothing, NULL);
    check_reopened(&lost, 1);
    memory_disk_deinit(&lost);

    assert_false(lc_journal_step(l.journal));
    assert_int_equal(d.syncs, 1);
    memory_disk_clone(&lost, &d);
    memory_disk_power_off(&lost, keep_nothing, NULL);
    check_reopened(&lost, 16);
    memory_disk_deinit(&lost);
    assert_false(lc_journal_step(l.journal));
    assert_int_equal(d.syncs, 1);

    append(&l, 2, 100);
    lc_journal_submit(l.journal);
    assert_true(lc_journal_step(l.journal));
    test_log_end(&l);
    memory_disk_power_off(&d, keep_nothing, NULL);
    check_reopened(&d, 18);
    memory_disk_deinit(&d);
}

/* A segment that ends is synced, so only the newest can have lost something. */
LC_TEST(relaxed_syncs_before_a_segment_ends)
{
    memory_disk d;
    memory_disk_init(&d);
    test_log l;
    open_mode(&l, &d, LC_DURABILITY_RELAXED, 8192);
    for (int i = 0; i < 9; i++) {
        append(&l, 1, 1000); /* 8 of them make a segment */
        lc_journal_submit(l.journal);
        assert_true(lc_journal_step(l.journal));
    }
    append(&l, 1, 1000);
    lc_journal_submit(l.journal);
    assert_true(lc_journal_step(l.journal));
    assert_int_equal(l.durable, 10);
    test_log_kill(&l, &d);
    memory_disk_power_off(&d, keep_nothing, NULL);
    check_reopened(&d, 9);
    memory_disk_deinit(&d);
}

static void fail_syncs_from_now(memory_disk *d)
{
    d->fail_kinds = LC_OP_SYNC;
    d->ops = 0;
    d->fail_at = 1;
    d->syncs = 0;
}

/* A late sync that fails ends the journal; it is not tried again, and nothing is cut off that was
 * published. */
LC_TEST(relaxed_sync_that_fails)
{
    for (int at_close = 0; at_close < 2; at_close++) {
        memory_disk d;
        memory_disk_init(&d);
        test_log l;
        open_mode(&l, &d, LC_DURABILITY_RELAXED, 64 * 1024);
        append(&l, 1, 100);
        test_log_flush(&l);
        append(&l, 4, 100);
        lc_journal_submit(l.journal);
        assert_true(lc_journal_step(l.journal));
        fail_syncs_from_now(&d);
        if (!at_close) {
            assert_false(lc_journal_step(l.journal));
            assert_true(lc_journal_is_failed(l.journal));
            assert_int_equal(l.failed_calls, 1);
            assert_non_null(strstr(l.failure, "cannot sync"));
            append(&l, 1, 100);
            test_log_flush(&l);
            assert_int_equal(l.durable, 5);
        }
        lc_journal_close(l.journal);
        l.journal = NULL;
        assert_int_equal(l.failed_calls, 1);
        assert_int_equal(d.syncs, 1);
        test_log_end(&l);
        d.fail_at = 0;
        check_reopened(&d, 5);
        memory_disk_deinit(&d);
    }
}

/* After a write that fails nobody comes to sync what was published before: it is done at once. */
LC_TEST(relaxed_write_that_fails)
{
    memory_disk d;
    memory_disk_init(&d);
    test_log l;
    open_mode(&l, &d, LC_DURABILITY_RELAXED, 64 * 1024);
    append(&l, 1, 100);
    test_log_flush(&l);
    append(&l, 4, 100);
    lc_journal_submit(l.journal);
    assert_true(lc_journal_step(l.journal));
    d.fail_kinds = LC_OP_WRITE;
    d.ops = 0;
    d.fail_at = 1;
    d.fail_errno = ENOSPC;
    append(&l, 4, 100000);
    test_log_flush(&l);
    assert_true(lc_journal_is_failed(l.journal));
    assert_non_null(strstr(l.failure, "cannot write"));
    assert_int_equal(l.durable, 5);
    d.fail_at = 0;
    memory_disk_power_off(&d, keep_nothing, NULL);
    test_log_end(&l);
    check_reopened(&d, 5);
    memory_disk_deinit(&d);
}

/* ------------------------------------------------------------------ failures */

enum { GROUPS = 12, PER_GROUP = 3, ALL = GROUPS * PER_GROUP };

static void write_groups(test_log *l)
{
    for (size_t group = 0; group < GROUPS; group++) {
        for (size_t i = 0; i < PER_GROUP; i++) append(l, 1, group * 100 + i * 50);
        lc_journal_submit(l->journal);
        lc_journal_step(l->journal);
        if (group % 2) lc_journal_step(l->journal);
    }
}

typedef struct failure {
    unsigned kinds;
    bool once;
    int code;
    uint64_t at;
} failure;

/* The story with this failure in it; false when it came to its end before the failure. */
static bool try_failure(lc_durability durability, failure f)
{
    memory_disk d;
    memory_disk_init(&d);
    d.fail_kinds = f.kinds;
    d.fail_once = f.once;
    d.fail_errno = f.code;
    d.fail_at = f.at;
    test_log l;
    lc_journal_options o = {.max_segment_size = 4096, .durability = durability};
    uint64_t durable = 0;
    if (test_log_open(&l, &d, &o) == LC_OK) {
        write_groups(&l);
        durable = lc_journal_durable_count(l.journal);
        bool failed = lc_journal_is_failed(l.journal);
        assert_int_equal(l.failed_calls, failed);
        assert_int_equal(l.durable, durable);
        assert_true(failed || durable == ALL);
        if (failed) {
            assert_non_null(strstr(l.failure, TEST_FOLDER));
            assert_non_null(strstr(l.failure, strerror(f.code)));
        }
        lc_journal_close(l.journal);
        l.journal = NULL;
        assert_int_equal(l.durable, durable);
    }
    test_log_end(&l);
    bool came = d.ops >= f.at;

    d.fail_at = 0;
    assert_ok(test_log_open(&l, &d, &o), &l.err);
    test_log_check(&l);
    /* More than was confirmed is there only when the disk did not let it be taken back. */
    assert_true(l.stats.next_offset >= durable);
    if (f.once) assert_int_equal(l.stats.next_offset, durable);
    uint64_t there = l.stats.next_offset;
    write_groups(&l);
    test_log_end(&l);
    check_reopened(&d, there + ALL);
    memory_disk_deinit(&d);
    return came;
}

/* Each write, sync, rename, truncate, unlink fails in turn, once or from then on. */
LC_TEST(every_failure_in_every_mode)
{
    lc_log_set_level(LC_LOG_ERROR);
    const unsigned kinds[] = {0, LC_OP_WRITE, LC_OP_SYNC};
    const int codes[] = {EIO, ENOSPC, EDQUOT};
    for (int mode = LC_DURABILITY_GROUP; mode <= LC_DURABILITY_RELAXED; mode++)
        for (size_t k = 0; k < LC_ARRAY_LEN(kinds); k++)
            for (size_t c = 0; c < LC_ARRAY_LEN(codes); c++)
                for (int once = 0; once < 2; once++) {
                    failure f = {kinds[k], once, codes[c], 1};
                    while (try_failure((lc_durability)mode, f)) f.at++;
                    assert_true(f.at > GROUPS);
                }
    lc_log_set_level(LC_LOG_INFO);
}

/* The disk is full: what does not fit ends the journal, and after room was made it goes on. Only
 * the zeros behind the commits are missing before that, which costs nothing but time. */
LC_TEST(full_disk_in_every_mode)
{
    for (int mode = LC_DURABILITY_GROUP; mode <= LC_DURABILITY_RELAXED; mode++) {
        for (uint64_t capacity = 2000; capacity < 60000; capacity += 3333) {
            memory_disk d;
            memory_disk_init(&d);
            d.capacity = capacity;
            test_log l;
            open_mode(&l, &d, (lc_durability)mode, 16 * 1024);
            while (!lc_journal_is_failed(l.journal)) {
                append(&l, 2, 300);
                test_log_flush(&l);
            }
            assert_non_null(strstr(l.failure, "No space left on device"));
            assert_non_null(strstr(l.failure, "free some space and start the database again"));
            uint64_t durable = lc_journal_durable_count(l.journal);
            /* Up to a group, a sector of zeros and the header of a segment fit in no more. */
            assert_true(durable * 326 + 2 * 326 + 1024 > capacity);
            test_log_end(&l);
            check_reopened(&d, durable);
            d.capacity += 5000;
            open_mode(&l, &d, (lc_durability)mode, 16 * 1024);
            append(&l, 2, 300);
            test_log_flush(&l);
            assert_int_equal(l.durable, durable + 2);
            test_log_end(&l);
            check_reopened(&d, durable + 2);
            memory_disk_deinit(&d);
        }
    }
}

/* Whatever its size, and also where the zeros behind it run out: one write, one sync, and one for
 * the index. */
LC_TEST(a_group_is_one_write)
{
    memory_disk d;
    memory_disk_init(&d);
    test_log l;
    open_mode(&l, &d, LC_DURABILITY_GROUP, 64 * 1024 * 1024);
    append(&l, 1, 100);
    test_log_flush(&l);
    for (size_t size = 100; size < 100000; size += size < 1500 ? 7 : size) {
        append(&l, 20, size);
        lc_journal_submit(l.journal);
        d.writes = d.syncs = d.ops = 0;
        assert_true(lc_journal_step(l.journal));
        assert_int_equal(d.writes, 1);
        assert_int_equal(d.syncs, 1);
        assert_in_range(d.ops, 2, 3);
    }
    test_log_end(&l);
    memory_disk_deinit(&d);
}

int main(void)
{
    return LC_TEST_RUN(
        cmocka_unit_test(each_transaction_has_its_own_write_and_sync),
        cmocka_unit_test(each_loses_no_more_than_the_one_that_fails),
        cmocka_unit_test(relaxed_publishes_after_the_write_and_syncs_when_idle),
        cmocka_unit_test(relaxed_syncs_before_a_segment_ends),
        cmocka_unit_test(relaxed_sync_that_fails), cmocka_unit_test(relaxed_write_that_fails),
        cmocka_unit_test(every_failure_in_every_mode), cmocka_unit_test(full_disk_in_every_mode),
        cmocka_unit_test(a_group_is_one_write));
}
