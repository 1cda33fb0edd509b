/* Writing and opening again: what is durable when, rotation, writing ahead, failures. */
#include "journal_test.h"

#define FIRST TEST_FOLDER "/00000000000000000000.stdb.log"

static void reopen_and_check(memory_disk *d, uint64_t commits)
{
    test_log l;
    assert_ok(test_log_open(&l, d, NULL), &l.err);
    assert_int_equal(l.stats.next_offset, commits);
    assert_int_equal(l.records.len, commits);
    assert_int_equal(lc_journal_next_offset(l.journal), commits);
    assert_int_equal(lc_journal_durable_count(l.journal), commits);
    test_log_check(&l);
    test_log_end(&l);
}

LC_TEST(new_log_has_no_file_until_something_is_written)
{
    memory_disk d;
    memory_disk_init(&d);
    test_log l;
    assert_ok(test_log_open(&l, &d, NULL), &l.err);
    assert_int_equal(l.stats.next_offset, 0);
    assert_false(lc_journal_step(l.journal));
    lc_journal_submit(l.journal);
    test_log_end(&l);
    assert_int_equal(d.nodes.len, 0);
    memory_disk_deinit(&d);
}

LC_TEST(durable_after_the_step_and_not_before)
{
    memory_disk d;
    memory_disk_init(&d);
    test_log l;
    assert_ok(test_log_open(&l, &d, NULL), &l.err);
    test_log_append(&l, 0, 10);
    test_log_append(&l, 1, 0);
    assert_int_equal(lc_journal_pending(l.journal), 10 + 2 * LC_FRAME_OVERHEAD);
    lc_journal_submit(l.journal);
    assert_int_equal(lc_journal_pending(l.journal), 0);
    assert_int_equal(lc_journal_durable_count(l.journal), 0);
    test_log_append(&l, 2, 100);
    lc_journal_submit(l.journal);
    assert_true(lc_journal_step(l.journal));
    assert_int_equal(l.durable, 3);
    assert_int_equal(l.durable_calls, 1);
    assert_int_equal(lc_journal_durable_count(l.journal), 3);
    assert_false(lc_journal_step(l.journal));
    test_log_append(&l, 3, 7);
    test_log_end(&l); /* closing writes what was not even submitted */
    reopen_and_check(&d, 4);
    assert_int_equal(memory_disk_file(&d, FIRST)->len, 10 + 4 * LC_FRAME_OVERHEAD + 117);
    memory_disk_deinit(&d);
}

LC_TEST(one_write_and_one_sync_per_group)
{
    memory_disk d;
    memory_disk_init(&d);
    test_log l;
    assert_ok(test_log_open(&l, &d, NULL), &l.err);
    test_log_append(&l, 0, 100);
    test_log_flush(&l);
    uint64_t offset = 1;
    for (int group = 0; group < 10; group++) {
        d.writes = d.syncs = 0;
        for (int i = 0; i < 20; i++) test_log_append(&l, offset++, 10);
        lc_journal_submit(l.journal);
        assert_true(lc_journal_step(l.journal));
        assert_int_equal(d.writes, 1);
        assert_int_equal(d.syncs, 1);
    }
    test_log_end(&l);
    reopen_and_check(&d, offset);
    memory_disk_deinit(&d);
}

LC_TEST(zeros_are_ahead_while_open_and_gone_when_closed)
{
    memory_disk d, crashed;
    memory_disk_init(&d);
    test_log l;
    assert_ok(test_log_open(&l, &d, NULL), &l.err);
    uint64_t offset = 0;
    for (size_t size = 1; size < 100000; size = size * 3 / 2 + 1) {
        test_log_append(&l, offset++, size);
        test_log_flush(&l);
        lc_buf *file = memory_disk_file(&d, FIRST);
        size_t data = file->len;
        while (file->ptr[data - 1] == 0) data--;
        assert_true(file->len - data >= LC_DISK_SECTOR);
        assert_true(file->len - data <= 64 * 1024 + 8192);
    }
    size_t open_len = memory_disk_file(&d, FIRST)->len;
    memory_disk_copy(&crashed, &d);
    test_log_end(&l);
    assert_true(memory_disk_file(&d, FIRST)->len < open_len);
    reopen_and_check(&d, offset);

    /* After a kill the zeros are still there; writing goes on in them, and closing cuts them. */
    assert_ok(test_log_open(&l, &crashed, NULL), &l.err);
    assert_int_equal(l.stats.cut_bytes, 0);
    assert_int_equal(l.stats.next_offset, offset);
    assert_int_equal(memory_disk_file(&crashed, FIRST)->len, open_len);
    crashed.writes = crashed.syncs = 0;
    test_log_append(&l, offset++, 50);
    lc_journal_submit(l.journal);
    assert_true(lc_journal_step(l.journal));
    assert_int_equal(crashed.writes, 1);
    assert_int_equal(crashed.syncs, 1);
    assert_int_equal(memory_disk_file(&crashed, FIRST)->len, open_len);
    test_log_end(&l);
    assert_int_equal(memory_disk_file(&crashed, FIRST)->len, memory_disk_file(&d, FIRST)->len + 76);
    reopen_and_check(&crashed, offset);
    memory_disk_deinit(&d);
    memory_disk_deinit(&crashed);
}

LC_TEST(segments_end_at_the_commit_that_fills_them)
{
    memory_disk d;
    memory_disk_init(&d);
    test_log l;
    lc_journal_options o = {.max_segment_size = 8192};
    assert_ok(test_log_open(&l, &d, &o), &l.err);
    uint64_t offset = 0;
    for (int group = 0; group < 10; group++) {
        for (int i = 0; i < 7; i++) test_log_append(&l, offset++, 1000);
        test_log_flush(&l);
    }
    test_log_append(&l, offset++, 100000);
    test_log_append(&l, offset++, 1);
    test_log_end(&l);

    lc_segment_list list = {0};
    lc_error err = LC_ERROR_INIT;
    assert_ok(lc_segment_find(&d.disk, TEST_FOLDER, "log", &list, &err), &err);
    /* 8 commits of 1026 bytes fill a segment; 70 of them, then one that fills its own. */
    assert_int_equal(list.len, 10);
    for (size_t i = 0; i < 9; i++) {
        assert_int_equal(list.items[i], 8 * i);
        char *path = lc_segment_path(TEST_FOLDER, list.items[i], "log");
        size_t len = memory_disk_file(&d, path)->len;
        assert_int_equal(len, i < 8 ? 10 + 8 * 1026 : 10 + 6 * 1026 + 100026);
        lc_free(path);
    }
    assert_int_equal(list.items[9], 71);
    lc_vec_deinit(&list);
    reopen_and_check(&d, offset);

    /* From a snapshot on: earlier segments are not even read. */
    memory_disk_put(&d, FIRST, "damaged, certainly", 18);
    for (uint64_t from = 8; from <= offset; from++) {
        o.replay_from = from;
        assert_ok(test_log_open(&l, &d, &o), &l.err);
        assert_int_equal(l.records.len, offset - from);
        assert_true(from == offset || l.first_offset == from);
        assert_int_equal(l.stats.next_offset, offset);
        test_log_check(&l);
        test_log_end(&l);
    }
    memory_disk_deinit(&d);
}

LC_TEST(index_spares_reading_what_a_snapshot_has)
{
    memory_disk d;
    memory_disk_init(&d);
    test_log l;
    assert_ok(test_log_open(&l, &d, NULL), &l.err);
    for (uint64_t i = 0; i < 1000; i++) test_log_append(&l, i, 200);
    test_log_end(&l);
    lc_journal_options o = {.replay_from = 990};
    assert_ok(test_log_open(&l, &d, &o), &l.err);
    assert_int_equal(l.records.len, 10);
    assert_true(l.stats.commits < 40);
    test_log_append(&l, 1000, 10);
    test_log_end(&l);
    /* What the index says is checked: with nonsense in it all is read. */
    lc_buf *index = memory_disk_file(&d, TEST_FOLDER "/00000000000000000000.stdb.ofs");
    for (size_t i = 0; i < index->len && lc_load_u64(index->ptr + i); i += 16)
        lc_store_u64(index->ptr + i + 8, lc_load_u64(index->ptr + i + 8) + 1);
    assert_ok(test_log_open(&l, &d, &o), &l.err);
    assert_int_equal(l.records.len, 11);
    assert_int_equal(l.stats.commits, 1001);
    test_log_end(&l);
    reopen_and_check(&d, 1001);
    memory_disk_deinit(&d);
}

LC_TEST(epoch_goes_on)
{
    memory_disk d;
    memory_disk_init(&d);
    lc_buf file = LC_BUF_INIT;
    lc_buf_put(&file, lc_segment_header, LC_SEGMENT_HEADER);
    uint8_t *frame = lc_buf_extend(&file, LC_FRAME_OVERHEAD);
    lc_frame_put_header(frame, 0, 77, 0);
    lc_frame_complete(frame);
    memory_disk_put(&d, FIRST, file.ptr, file.len);
    lc_buf_deinit(&file);
    test_log l;
    assert_ok(test_log_open(&l, &d, NULL), &l.err);
    test_log_append(&l, 1, 3);
    test_log_end(&l);
    lc_frame f;
    lc_frame_decode(&f, 1, memory_disk_file(&d, FIRST)->ptr + 10 + LC_FRAME_OVERHEAD);
    assert_int_equal(f.epoch, 77);
    memory_disk_deinit(&d);
}

LC_TEST(full_disk_ends_the_journal_and_loses_nothing_confirmed)
{
    memory_disk d;
    memory_disk_init(&d);
    d.capacity = 300 * 1024;
    test_log l;
    assert_ok(test_log_open(&l, &d, NULL), &l.err);
    uint64_t offset = 0;
    while (!lc_journal_is_failed(l.journal)) {
        assert_true(offset < 400);
        test_log_append(&l, offset++, 1000);
        test_log_flush(&l);
    }
    assert_int_equal(l.failed_calls, 1);
    assert_non_null(strstr(l.failure, "No space left on device"));
    assert_non_null(strstr(l.failure, "the disk that holds the commit log is full"));
    assert_int_equal(lc_journal_durable_count(l.journal), offset - 1);
    /* The room for zeros ahead ran out earlier, which ends nothing: all of the disk is used. */
    assert_true((offset - 1) * 1026 > d.capacity - 2048);
    test_log_append(&l, offset, 10);
    test_log_flush(&l);
    assert_int_equal(l.failed_calls, 1);
    assert_int_equal(lc_journal_durable_count(l.journal), offset - 1);
    test_log_end(&l);
    d.capacity = 0;
    reopen_and_check(&d, offset - 1);
    memory_disk_deinit(&d);
}

/* Writes groups until the journal fails or the work is done; returns the durable count. */
static uint64_t write_some(test_log *l, uint64_t offset)
{
    for (int group = 0; group < 12; group++) {
        for (int i = 0; i < 3; i++) test_log_append(l, offset++, (size_t)(group * 100 + i * 50));
        test_log_flush(l);
    }
    return lc_journal_durable_count(l->journal);
}

/* Each write, sync, rename or truncate fails in turn, at once or from then on: what was confirmed
 * is there afterwards, and what was not is not. */
LC_TEST(every_failure_keeps_what_was_confirmed)
{
    lc_log_set_level(LC_LOG_ERROR);
    const unsigned kinds[] = {0, LC_OP_WRITE, LC_OP_SYNC};
    for (size_t k = 0; k < LC_ARRAY_LEN(kinds); k++) {
        for (int once = 0; once < 2; once++) {
            for (uint64_t at = 1;; at++) {
                memory_disk d;
                memory_disk_init(&d);
                d.fail_at = at;
                d.fail_kinds = kinds[k];
                d.fail_once = once;
                test_log l;
                lc_journal_options o = {.max_segment_size = 4096};
                uint64_t durable = 0;
                bool failed = true;
                bool ran_out = false;
                if (test_log_open(&l, &d, &o) == LC_OK) {
                    durable = write_some(&l, 0);
                    failed = lc_journal_is_failed(l.journal);
                    assert_int_equal(l.failed_calls, failed);
                    assert_int_equal(l.durable, durable);
                    assert_true(failed || durable == 36);
                    ran_out = d.ops < at;
                }
                test_log_end(&l);
                d.fail_at = 0;
                assert_ok(test_log_open(&l, &d, &o), &l.err);
                test_log_check(&l);
                assert_true(l.stats.next_offset >= durable);
                /* More than confirmed: only when even taking it back failed, or the folder's sync.
                 */
                if (once && kinds[k] == LC_OP_WRITE) assert_int_equal(l.stats.next_offset, durable);
                uint64_t all = l.stats.next_offset;
                assert_int_equal(write_some(&l, all), all + 36);
                test_log_end(&l);
                reopen_and_check(&d, all + 36);
                memory_disk_deinit(&d);
                if (ran_out) break;
            }
        }
    }
    lc_log_set_level(LC_LOG_INFO);
}

/* Without a thread to wait for, submit makes room itself. */
LC_TEST(backlog_without_a_thread)
{
    memory_disk d;
    memory_disk_init(&d);
    test_log l;
    assert_ok(test_log_open(&l, &d, NULL), &l.err);
    enum { SIZE = 33 * 1024 * 1024 };
    for (uint64_t i = 0; i < 3; i++) {
        lc_buf *b = lc_journal_record_begin(l.journal);
        memset(lc_buf_extend(b, SIZE), 1, SIZE);
        assert_int_equal(lc_journal_record_end(l.journal), i);
        lc_journal_submit(l.journal);
        assert_int_equal(lc_journal_durable_count(l.journal), i < 2 ? 0 : 2);
    }
    test_log_end(&l);
    lc_journal_stats stats;
    lc_error err = LC_ERROR_INIT;
    assert_ok(lc_journal_read(TEST_FOLDER, &d.disk, NULL, NULL, &stats, &err), &err);
    assert_int_equal(stats.commits, 3);
    memory_disk_deinit(&d);
}

LC_TEST(segment_in_the_way_is_not_replaced)
{
    memory_disk d;
    memory_disk_init(&d);
    test_log l;
    assert_ok(test_log_open(&l, &d, NULL), &l.err);
    memory_disk_put(&d, FIRST, "somebody else's", 15);
    test_log_append(&l, 0, 10);
    test_log_flush(&l);
    assert_int_equal(l.failed_calls, 1);
    assert_non_null(strstr(l.failure, "exists"));
    test_log_end(&l);
    assert_span_text(lc_buf_span(memory_disk_file(&d, FIRST)), "somebody else's");
    memory_disk_deinit(&d);
}

int main(void)
{
    return LC_TEST_RUN(cmocka_unit_test(new_log_has_no_file_until_something_is_written),
                       cmocka_unit_test(durable_after_the_step_and_not_before),
                       cmocka_unit_test(one_write_and_one_sync_per_group),
                       cmocka_unit_test(zeros_are_ahead_while_open_and_gone_when_closed),
                       cmocka_unit_test(segments_end_at_the_commit_that_fills_them),
                       cmocka_unit_test(index_spares_reading_what_a_snapshot_has),
                       cmocka_unit_test(epoch_goes_on),
                       cmocka_unit_test(full_disk_ends_the_journal_and_loses_nothing_confirmed),
                       cmocka_unit_test(every_failure_keeps_what_was_confirmed),
                       cmocka_unit_test(backlog_without_a_thread),
                       cmocka_unit_test(segment_in_the_way_is_not_replaced));
}
