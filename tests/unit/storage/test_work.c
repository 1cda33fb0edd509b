/* When snapshots are taken, what becomes of one that fails, and the care of old files. */
#include "storage_test.h"

#include <errno.h>

#define DAY (24 * 3600 * 1000000ll)

/* --------------------------------------------------------------- when due */

LC_TEST(log_growth_makes_one_due)
{
    world w;
    world_init(&w);
    w.policy.snapshot_log_bytes = 100000;
    world_create(&w);
    while (lc_storage_log_bytes(w.storage) < 99000) {
        world_commit(&w, 1);
        world_settle(&w);
    }
    assert_int_equal(world_count(&w, ".lcsnap"), 0);
    while (lc_storage_log_bytes(w.storage) < 100000) world_commit(&w, 1);
    world_settle(&w);
    uint64_t first = lc_storage_need(w.storage);
    assert_true(world_has_snapshot(&w, first));
    assert_true(w.wakes >= 2);
    assert_int_equal(world_count(&w, ".lcsnap"), 1);

    /* What is behind the newest counts on across a restart. */
    uint64_t mark = lc_storage_log_bytes(w.storage);
    while (lc_storage_log_bytes(w.storage) < mark + 60000) world_commit(&w, 1);
    world_settle(&w);
    uint64_t behind = lc_storage_log_bytes(w.storage) - mark;
    world_reopen(&w);
    assert_int_equal(w.found.snapshot, first);
    assert_int_equal(lc_storage_log_bytes(w.storage), behind);
    while (lc_storage_log_bytes(w.storage) < 99000) {
        world_commit(&w, 1);
        world_settle(&w);
    }
    assert_int_equal(world_count(&w, ".lcsnap"), 1);
    while (lc_storage_log_bytes(w.storage) < 100000) world_commit(&w, 1);
    world_settle(&w);
    assert_true(world_has_snapshot(&w, lc_storage_need(w.storage)));
    assert_int_equal(world_count(&w, ".lcsnap"), 2);
    world_deinit(&w);
}

LC_TEST(a_big_snapshot_waits_for_as_much_log)
{
    world w;
    world_init(&w);
    w.policy.snapshot_log_bytes = 1000;
    world_create(&w);
    world_commit(&w, 2000);
    world_settle(&w);
    uint64_t size = world_snapshot_file(&w, 2001)->len;
    assert_true(size > 20000);
    world_reopen(&w); /* it is not forgotten how big that was */
    for (;;) {
        world_commit(&w, 1);
        uint64_t grown = lc_storage_log_bytes(w.storage);
        world_settle(&w);
        bool is_there = world_has_snapshot(&w, lc_storage_need(w.storage));
        assert_int_equal(is_there, grown >= size);
        if (is_there) break;
    }
    size = world_snapshot_file(&w, lc_storage_need(w.storage))->len;
    uint64_t mark = lc_storage_log_bytes(w.storage);
    for (;;) {
        world_commit(&w, 1);
        uint64_t grown = lc_storage_log_bytes(w.storage) - mark;
        world_settle(&w);
        bool is_there = world_has_snapshot(&w, lc_storage_need(w.storage));
        assert_int_equal(is_there, grown >= size);
        if (is_there) break;
    }
    world_deinit(&w);
}

LC_TEST(asking_for_one)
{
    world w;
    world_init(&w);
    assert_ok(world_open(&w, LC_STORAGE_CREATE), &w.err);
    assert_int_equal(lc_storage_snapshot(w.storage, NULL, NULL, &w.err), LC_E_INVALID);
    world_deinit(&w);

    world_init(&w);
    world_create(&w);
    assert_ok(lc_storage_snapshot(w.storage, world_done, &w, &w.err), &w.err);
    assert_int_equal(lc_storage_snapshot(w.storage, NULL, NULL, &w.err), LC_E_CONFLICT);
    /* It waits for the log. */
    while (lc_storage_step_work(w.storage)) lc_storage_tick(w.storage);
    assert_int_equal(w.done_calls, 0);
    assert_int_equal(world_count(&w, ".lcsnap"), 0);
    assert_int_equal(world_count(&w, ".tmp"), 1);
    assert_true(lc_storage_step_log(w.storage));
    while (lc_storage_step_work(w.storage)) {
    }
    assert_int_equal(w.done_calls, 0); /* only told on the executor */
    lc_storage_tick(w.storage);
    assert_int_equal(w.done_calls, 1);
    assert_int_equal(w.done_status, LC_OK);
    assert_int_equal(w.done_offset, 1);
    assert_true(world_has_snapshot(&w, 1));

    /* Nothing new: it is there already. */
    uint64_t ops = w.disk.ops;
    assert_int_equal(world_snapshot(&w), 1);
    assert_int_equal(w.disk.ops, ops);
    world_commit(&w, 1);
    assert_int_equal(world_snapshot(&w), 2);
    world_deinit(&w);
}

/* ------------------------------------------------------------------ closing */

static void commit_bytes(world *w, uint64_t bytes)
{
    uint64_t mark = lc_storage_log_bytes(w->storage);
    lc_store *s = lc_storage_store(w->storage);
    lc_table *t = lc_store_table_by_name(s, LC_STR("t"));
    lc_buf row = LC_BUF_INIT;
    lc_buf_put_u64(&row, 1000000 + lc_storage_need(w->storage));
    lc_buf_put_u32(&row, 100000);
    memset(lc_buf_extend(&row, 100000), 'x', 100000);
    while (lc_storage_log_bytes(w->storage) - mark < bytes) {
        lc_write written;
        lc_store_u64(row.ptr, 1000000 + lc_storage_need(w->storage));
        lc_store_begin(s);
        assert_int_equal(lc_table_insert(t, lc_buf_span(&row), &written, NULL), 0);
        lc_storage_commit(w->storage, &(lc_log_inputs){.name = LC_STR("big")}, false);
        lc_store_release(s);
    }
    lc_buf_deinit(&row);
}

LC_TEST(closing_takes_one_when_worth_it)
{
    world w;
    world_init(&w);
    world_create(&w);
    commit_bytes(&w, LC_STORAGE_CLOSE_LOG_BYTES - 300000);
    world_close(&w);
    assert_int_equal(world_count(&w, ".lcsnap"), 0);
    world_reopen(&w);
    commit_bytes(&w, 300000);
    uint64_t end = lc_storage_need(w.storage);
    lc_buf before = world_state(&w);
    world_close(&w);
    assert_true(world_has_snapshot(&w, end));
    world_reopen(&w);
    assert_int_equal(w.found.snapshot, end);
    assert_int_equal(w.found.log.next_offset, end);
    lc_buf after = world_state(&w);
    assert_states_equal(&before, &after);
    lc_buf_deinit(&before);
    lc_buf_deinit(&after);
    world_deinit(&w);
}

LC_TEST(closing_takes_none_when_unwanted)
{
    world w;
    world_init(&w);
    w.policy.no_snapshot_at_close = true;
    world_create(&w);
    commit_bytes(&w, LC_STORAGE_CLOSE_LOG_BYTES);
    world_close(&w);
    assert_int_equal(world_count(&w, ".lcsnap"), 0);
    w.policy.no_snapshot_at_close = false;
    assert_ok(world_open(&w, LC_STORAGE_OPEN), &w.err);
    lc_storage_hurry(w.storage);
    world_close(&w);
    assert_int_equal(world_count(&w, ".lcsnap"), 0);
    world_deinit(&w);
}

/* One that is being written is finished at closing, dropped in a hurry. */
LC_TEST(closing_in_the_middle_of_one)
{
    for (int hurry = 0; hurry < 2; hurry++) {
        for (int steps = 0; steps < 6; steps++) {
            world w;
            world_init(&w);
            world_create(&w);
            world_commit(&w, 10);
            assert_ok(lc_storage_snapshot(w.storage, world_done, &w, &w.err), &w.err);
            for (int i = 0; i < steps; i++) {
                if (!lc_storage_step_work(w.storage)) lc_storage_step_log(w.storage);
            }
            if (hurry) lc_storage_hurry(w.storage);
            world_close(&w);
            assert_int_equal(w.done_calls, 1);
            assert_int_equal(world_count(&w, ".tmp"), 0);
            if (!hurry) assert_int_equal(w.done_status, LC_OK);
            if (!hurry) assert_true(world_has_snapshot(&w, 11));
            if (hurry && steps < 3) assert_int_equal(w.done_status, LC_E_CLOSED);
            if (hurry && steps < 3) assert_false(world_has_snapshot(&w, 11));
            world_reopen(&w);
            assert_int_equal(w.found.log.next_offset, 11);
            world_deinit(&w);
        }
    }
}

/* ------------------------------------------------------------------ failing */

/* Each change of the disk during a snapshot and the care after it fails once; the database goes on,
 * nothing half stays, and the next one succeeds. */
LC_TEST(a_failing_disk_never_fails_the_database)
{
    for (uint64_t fail_at = 1;; fail_at++) {
        world w;
        world_init(&w);
        w.max_segment_size = 2048;
        world_create(&w);
        world_commit(&w, 100);
        world_snapshot(&w);
        world_commit(&w, 100);
        world_settle(&w);
        w.now += 30 * DAY;
        w.disk.ops = 0;
        w.disk.fail_at = fail_at;
        w.disk.fail_once = true;
        w.disk.fail_errno = fail_at % 2 ? ENOSPC : EIO;
        assert_ok(lc_storage_snapshot(w.storage, world_done, &w, &w.err), &w.err);
        world_settle(&w);
        bool has_failed = w.disk.ops >= fail_at;
        w.disk.fail_at = 0;
        assert_int_equal(w.done_calls, 2);
        assert_false(lc_storage_is_failed(w.storage));
        assert_int_equal(world_has_snapshot(&w, 201), w.done_status == LC_OK);
        assert_int_equal(world_count(&w, ".tmp"), 0);
        world_commit(&w, 10);
        assert_int_equal(world_snapshot(&w), 211);
        lc_buf before = world_state(&w);
        world_reopen(&w);
        assert_int_equal(w.found.snapshot, 211);
        lc_buf after = world_state(&w);
        assert_states_equal(&before, &after);
        lc_buf_deinit(&before);
        lc_buf_deinit(&after);
        world_deinit(&w);
        if (!has_failed) {
            assert_true(fail_at > 10);
            break;
        }
    }
}

LC_TEST(after_a_failure_as_much_log_again)
{
    world w;
    world_init(&w);
    w.policy.snapshot_log_bytes = 50000;
    world_create(&w);
    while (lc_storage_log_bytes(w.storage) < 50000) world_commit(&w, 1);
    lc_storage_flush(w.storage);
    while (lc_storage_step_log(w.storage)) {
    }
    w.disk.fail_at = 1;
    w.disk.ops = 0;
    w.disk.fail_kinds = LC_OP_WRITE;
    w.disk.fail_once = true;
    world_settle(&w);
    w.disk.fail_at = 0;
    assert_int_equal(world_count(&w, ".lcsnap"), 0);
    uint64_t mark = lc_storage_log_bytes(w.storage);
    while (lc_storage_log_bytes(w.storage) - mark < 49000) {
        world_commit(&w, 1);
        world_settle(&w);
    }
    assert_int_equal(world_count(&w, ".lcsnap"), 0);
    while (lc_storage_log_bytes(w.storage) - mark < 50000) world_commit(&w, 1);
    world_settle(&w);
    assert_int_equal(world_count(&w, ".lcsnap"), 1);
    world_deinit(&w);
}

/* A snapshot whose transactions will never be confirmed must not come into being. */
LC_TEST(a_failed_log_gives_the_snapshot_up)
{
    world w;
    world_init(&w);
    world_create(&w);
    world_commit(&w, 10);
    world_settle(&w);
    world_commit(&w, 10);
    assert_ok(lc_storage_snapshot(w.storage, world_done, &w, &w.err), &w.err);
    while (lc_storage_step_work(w.storage)) lc_storage_tick(w.storage);
    w.disk.fail_at = 1;
    w.disk.ops = 0;
    w.disk.fail_once = true;
    lc_storage_step_log(w.storage);
    assert_int_equal(w.failures, 1);
    assert_true(lc_storage_is_failed(w.storage));
    world_settle(&w);
    assert_int_equal(w.done_calls, 1);
    assert_int_equal(w.done_status, LC_E_IO);
    assert_int_equal(world_count(&w, ".lcsnap") + world_count(&w, ".tmp"), 0);
    assert_int_equal(lc_storage_snapshot(w.storage, NULL, NULL, &w.err), LC_E_IO);
    world_close(&w);
    assert_ok(world_open(&w, LC_STORAGE_READ_ONLY), &w.err);
    assert_int_equal(w.found.log.next_offset, 11);
    world_deinit(&w);
}

/* What reading back finds damaged is no snapshot. */
LC_TEST(what_cannot_be_read_back_is_set_aside)
{
    world w;
    world_init(&w);
    world_create(&w);
    world_commit(&w, 10);
    assert_ok(lc_storage_snapshot(w.storage, world_done, &w, &w.err), &w.err);
    while (!world_has_snapshot(&w, 11)) {
        lc_storage_step_log(w.storage);
        assert_true(lc_storage_step_work(w.storage) || !world_has_snapshot(&w, 11));
    }
    lc_buf *file = world_snapshot_file(&w, 11);
    file->ptr[file->len - 40] ^= 1;
    world_settle(&w);
    assert_int_equal(w.done_calls, 1);
    assert_int_equal(w.done_status, LC_E_CORRUPT);
    assert_false(world_has_snapshot(&w, 11));
    assert_int_equal(world_count(&w, ".lcsnap.invalid"), 1);
    world_deinit(&w);
}

/* ---------------------------------------------------------------------- care */

static uint64_t first_of_log(world *w)
{
    lc_offset_list segments = {0};
    lc_storage_list(WORLD_FOLDER "/clog", &w->disk.disk, LC_SEGMENT_SUFFIX, &segments, NULL);
    uint64_t first = segments.len ? segments.items[segments.len - 1] : 0;
    lc_vec_deinit(&segments);
    return first;
}

static bool is_sealed(world *w, uint64_t first)
{
    char *path = lc_format(WORLD_FOLDER "/clog/%020llu.stdb.log", (unsigned long long)first);
    const lc_buf *file = memory_disk_file(&w->disk, path);
    lc_free(path);
    assert_non_null(file);
    return lc_load_u32(file->ptr) == 0xfd2fb528;
}

static void assert_same_again(world *w)
{
    lc_buf before = world_state(w);
    world_reopen(w);
    lc_buf after = world_state(w);
    assert_states_equal(&before, &after);
    lc_buf_deinit(&before);
    lc_buf_deinit(&after);
}

/* A day of work, then a snapshot. */
static void pass_day(world *w)
{
    world_commit(w, 100);
    world_snapshot(w);
    w->now += DAY;
}

LC_TEST(old_files_go_and_the_window_stays)
{
    world w;
    world_init(&w);
    w.max_segment_size = 4096;
    world_create(&w);
    for (int day = 0; day < 30; day++) {
        uint64_t before_care = first_of_log(&w);
        pass_day(&w);
        uint64_t begin = first_of_log(&w);
        assert_true(begin >= before_care);
        /* Snapshot n was taken after 100 n transactions on day n - 1; the one of seven days ago is
         * the anchor. */
        uint64_t anchor = day >= 7 ? (uint64_t)(day - 6) * 100 + 1 : 0;
        assert_true(begin <= anchor);
        assert_true(anchor - begin < 100); /* in the segment that holds it */
        assert_int_equal(world_count(&w, ".lcsnap"), day < 7 ? day + 1 : 8);
        if (anchor) assert_true(world_has_snapshot(&w, anchor));
        if (day == 12 || day == 20) assert_same_again(&w);
        if (day > 0) assert_true(is_sealed(&w, begin));
    }
    assert_same_again(&w);
    world_deinit(&w);
}

LC_TEST(keeping_all_keeps_all)
{
    world w;
    world_init(&w);
    w.max_segment_size = 4096;
    w.policy.keep_all = true;
    world_create(&w);
    for (int day = 0; day < 12; day++) pass_day(&w);
    assert_int_equal(first_of_log(&w), 0);
    assert_int_equal(world_count(&w, ".lcsnap"), 12);
    assert_true(is_sealed(&w, 0)); /* compression goes on */
    assert_same_again(&w);
    world_deinit(&w);
}

LC_TEST(without_compression_segments_stay_as_they_are)
{
    world w;
    world_init(&w);
    w.max_segment_size = 4096;
    w.policy.no_compression = true;
    world_create(&w);
    for (int day = 0; day < 3; day++) pass_day(&w);
    assert_false(is_sealed(&w, 0));
    world_deinit(&w);
}

/* Nothing is removed on the word of a snapshot that nobody read whole. */
LC_TEST(what_is_kept_is_verified_before_anything_goes)
{
    world w;
    world_init(&w);
    w.max_segment_size = 4096;
    w.policy.keep_micros = 1;
    w.policy.no_snapshot_at_close = true;
    world_create(&w);
    pass_day(&w);
    pass_day(&w);
    assert_true(first_of_log(&w) > 0); /* only the two newest count */
    uint64_t begin = first_of_log(&w);
    assert_same_again(&w);
    world_settle(&w);
    assert_int_equal(first_of_log(&w), begin);

    /* 201 was read at opening, 101 was not by this process, and it rots. */
    lc_buf *file = world_snapshot_file(&w, 101);
    file->ptr[file->len / 2] ^= 1;
    w.policy.keep_snapshots = 2;
    pass_day(&w);
    assert_true(world_has_snapshot(&w, 301));
    assert_true(world_has_snapshot(&w, 201));
    assert_false(world_has_snapshot(&w, 101));
    assert_same_again(&w);
    world_deinit(&w);
}

LC_TEST(a_rotten_anchor_keeps_the_log_before_it)
{
    world w;
    world_init(&w);
    w.max_segment_size = 4096;
    world_create(&w);
    for (int day = 0; day < 9; day++) pass_day(&w);
    world_reopen(&w);
    assert_true(world_has_snapshot(&w, 201)); /* the anchor of yesterday */
    uint64_t begin = first_of_log(&w);
    lc_buf *file = world_snapshot_file(&w, 301);
    file->ptr[file->len / 2] ^= 1;
    pass_day(&w);
    /* 301 would be the anchor now, but cannot be read: 201 stays it. */
    assert_false(world_has_snapshot(&w, 301));
    assert_true(world_has_snapshot(&w, 201));
    assert_int_equal(first_of_log(&w), begin);
    assert_int_equal(world_count(&w, ".invalid"), 1);
    /* And is forgotten when its time comes. */
    for (int day = 0; day < 10; day++) pass_day(&w);
    assert_int_equal(world_count(&w, ".invalid"), 0);
    assert_same_again(&w);
    world_deinit(&w);
}

/* Restarting between the steps of care, anywhere, loses nothing. */
LC_TEST(care_may_end_anywhere)
{
    for (int steps = 0; steps < 12; steps++) {
        world w;
        world_init(&w);
        w.max_segment_size = 4096;
        w.policy.keep_micros = 1;
        w.policy.no_snapshot_at_close = true;
        world_create(&w);
        pass_day(&w);
        world_commit(&w, 100);
        world_settle(&w);
        lc_buf before = world_state(&w);
        assert_ok(lc_storage_snapshot(w.storage, world_done, &w, &w.err), &w.err);
        while (w.done_calls < 2) {
            lc_storage_step_work(w.storage);
            lc_storage_tick(w.storage);
        }
        for (int i = 0; i < steps; i++) lc_storage_step_work(w.storage);
        world_kill(&w);
        assert_ok(world_open(&w, LC_STORAGE_OPEN), &w.err);
        lc_buf after = world_state(&w);
        assert_states_equal(&before, &after);
        lc_buf_deinit(&before);
        lc_buf_deinit(&after);
        world_settle(&w); /* goes on where it ended */
        assert_true(first_of_log(&w) > 0);
        assert_same_again(&w);
        world_deinit(&w);
    }
}

/* ------------------------------------------------------------------- power */

static bool keep_some(void *arg, uint64_t sector)
{
    (void)sector;
    return lc_test_random(arg) % 2;
}

static bool keep_nothing(void *arg, uint64_t sector)
{
    (void)arg, (void)sector;
    return false;
}

/* Opens what a power failure now would leave: everything confirmed is there, and whatever has the
 * name of a snapshot is one. */
static void fail_power(world *w, bool (*keep)(void *arg, uint64_t sector), uint64_t seed,
                       const lc_buf *want)
{
    world other;
    world_init(&other);
    memory_disk_deinit(&other.disk);
    memory_disk_clone(&other.disk, &w->disk);
    memory_disk_power_off(&other.disk, keep, &seed);
    other.now = w->now;
    other.policy = w->policy;
    other.max_segment_size = w->max_segment_size;
    assert_ok(world_open(&other, LC_STORAGE_OPEN), &other.err);
    assert_int_equal(other.found.bad_snapshots, 0);
    lc_buf got = world_state(&other);
    assert_states_equal(&got, want);
    lc_buf_deinit(&got);
    world_deinit(&other);
}

LC_TEST(power_may_fail_anywhere)
{
    world w;
    world_init(&w);
    w.max_segment_size = 4096;
    w.policy.keep_micros = 1;
    world_create(&w);
    int steps = 0;
    for (int round = 0; round < 4; round++) {
        world_commit(&w, 100);
        world_settle(&w);
        lc_buf want = world_state(&w);
        assert_ok(lc_storage_snapshot(w.storage, world_done, &w, &w.err), &w.err);
        for (bool any = true; any; steps++) {
            any = lc_storage_step_work(w.storage);
            fail_power(&w, keep_nothing, 0, &want);
            for (uint64_t seed = 1; seed < 10; seed++) fail_power(&w, keep_some, seed, &want);
            lc_storage_tick(w.storage);
        }
        lc_buf_deinit(&want);
        assert_int_equal(w.done_calls, round + 1);
        w.now += DAY;
    }
    assert_true(steps > 40);
    assert_true(first_of_log(&w) > 0);
    world_deinit(&w);
}

/* A relaxed log counts as durable before it is synced: the snapshot syncs it. */
LC_TEST(a_relaxed_log_is_synced_before_its_snapshot)
{
    world w;
    world_init(&w);
    w.durability = LC_DURABILITY_RELAXED;
    world_create(&w);
    world_settle(&w);
    world_commit(&w, 50);
    assert_ok(lc_storage_snapshot(w.storage, world_done, &w, &w.err), &w.err);
    assert_true(lc_storage_step_log(w.storage));
    assert_int_equal(lc_storage_durable_count(w.storage), 51);
    while (w.done_calls == 0) {
        lc_storage_step_work(w.storage);
        lc_storage_tick(w.storage);
    }
    assert_int_equal(w.done_status, LC_OK);
    /* The power fails, and only what was synced is left. */
    memory_disk after;
    memory_disk_clone(&after, &w.disk);
    world_deinit(&w);
    memory_disk_power_off(&after, keep_nothing, NULL);
    world_init(&w);
    memory_disk_deinit(&w.disk);
    w.disk = after;
    w.disk.disk.self = &w.disk;
    assert_ok(world_open(&w, LC_STORAGE_OPEN), &w.err);
    assert_int_equal(w.found.snapshot, 51);
    assert_int_equal(w.found.log.missing, 0);
    world_deinit(&w);
}

int main(void)
{
    return LC_TEST_RUN(
        cmocka_unit_test(log_growth_makes_one_due),
        cmocka_unit_test(a_big_snapshot_waits_for_as_much_log), cmocka_unit_test(asking_for_one),
        cmocka_unit_test(closing_takes_one_when_worth_it),
        cmocka_unit_test(closing_takes_none_when_unwanted),
        cmocka_unit_test(closing_in_the_middle_of_one),
        cmocka_unit_test(a_failing_disk_never_fails_the_database),
        cmocka_unit_test(after_a_failure_as_much_log_again),
        cmocka_unit_test(a_failed_log_gives_the_snapshot_up),
        cmocka_unit_test(what_cannot_be_read_back_is_set_aside),
        cmocka_unit_test(old_files_go_and_the_window_stays),
        cmocka_unit_test(keeping_all_keeps_all),
        cmocka_unit_test(without_compression_segments_stay_as_they_are),
        cmocka_unit_test(what_is_kept_is_verified_before_anything_goes),
        cmocka_unit_test(a_rotten_anchor_keeps_the_log_before_it),
        cmocka_unit_test(care_may_end_anywhere), cmocka_unit_test(power_may_fail_anywhere),
        cmocka_unit_test(a_relaxed_log_is_synced_before_its_snapshot));
}
