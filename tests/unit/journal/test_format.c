/* The bytes on disk: the worked example of the format, the offset index, file names. */
#include "journal_test.h"

/* One transaction at offset 5: add("Alice") inserts {7, "Alice"} and deletes {3, "Bob"}. */
static void worked_example(lc_buf *segment)
{
    static const char *hex[] = {"286473295e32",
                                "01",
                                "00",
                                "0000",
                                "0500000000000000",
                                "0000000000000000",
                                "0100",
                                "6f000000",
                                "a0",
                                "45000000",
                                "03",
                                "616464",
                                "1111111111111111111111111111111111111111111111111111111111111111",
                                "22222222222222222222222222222222",
                                "00401e18240a0600",
                                "05000000416c696365",
                                "01",
                                "00100000",
                                "01",
                                "0700000005000000416c696365",
                                "01",
                                "00100000",
                                "01",
                                "0300000003000000426f62",
                                "00",
                                "ac971a74"};
    for (size_t i = 0; i < LC_ARRAY_LEN(hex); i++) {
        size_t n = strlen(hex[i]);
        assert_true(lc_hex_decode(LC_SPAN(hex[i], n), lc_buf_extend(segment, n / 2)));
    }
}

LC_TEST(worked_example_is_written_byte_for_byte)
{
    lc_buf want = LC_BUF_INIT;
    worked_example(&want);
    assert_int_equal(want.len, 147);

    memory_disk d;
    memory_disk_init(&d);
    lc_scan scan = {0};
    lc_appender a;
    lc_error err = LC_ERROR_INIT;
    assert_ok(lc_appender_open(&a, &d.disk, TEST_FOLDER, LC_JOURNAL_MAX_SEGMENT,
                               LC_DURABILITY_GROUP, &scan, &err),
              &err);
    lc_buf frame = LC_BUF_INIT;
    lc_buf_extend(&frame, LC_FRAME_HEADER);
    lc_buf_put(&frame, want.ptr + 32, 111);
    lc_frame_put_header(frame.ptr, 5, 0, 111);
    lc_buf_extend(&frame, LC_FRAME_CRC);
    size_t done;
    uint64_t count;
    assert_ok(lc_appender_write(&a, &frame, 0, &done, &count, &err), &err);
    assert_int_equal(done, frame.len);
    assert_int_equal(count, 1);
    lc_appender_close(&a, false);

    lc_buf *file = memory_disk_file(&d, TEST_FOLDER "/00000000000000000005.stdb.log");
    assert_non_null(file);
    assert_span_equal(lc_buf_span(file), lc_buf_span(&want));
    lc_buf_deinit(&frame);
    lc_buf_deinit(&want);
    memory_disk_deinit(&d);
}

static lc_status take_record(void *arg, uint64_t offset, lc_span record, lc_error *err)
{
    (void)err;
    assert_int_equal(offset, 5);
    lc_buf_put_span(arg, record);
    return LC_OK;
}

LC_TEST(worked_example_is_read)
{
    lc_buf file = LC_BUF_INIT, record = LC_BUF_INIT;
    worked_example(&file);
    memory_disk d;
    memory_disk_init(&d);
    memory_disk_put(&d, TEST_FOLDER "/00000000000000000005.stdb.log", file.ptr, file.len);
    lc_scan_options o = {
        .disk = &d.disk,
        .folder = TEST_FOLDER,
        .from = 5,
        .to = UINT64_MAX,
        .is_replay = true,
        .replay = take_record,
        .arg = &record,
    };
    lc_scan scan;
    lc_error err = LC_ERROR_INIT;
    assert_ok(lc_scan_folder(&o, &scan, &err), &err);
    assert_int_equal(scan.stats.next_offset, 6);
    assert_int_equal(scan.stats.bytes, 137);
    assert_span_equal(lc_buf_span(&record), LC_SPAN(file.ptr + 32, 111));
    lc_scan_deinit(&scan);
    lc_buf_deinit(&record);
    lc_buf_deinit(&file);
    memory_disk_deinit(&d);
}

/* Version 0: no epoch, and 14 zero bytes end a segment. */
LC_TEST(version_0_is_read_and_not_appended_to)
{
    lc_buf file = LC_BUF_INIT;
    lc_buf_put(&file, "(ds)^2\0\0\0\0", 10);
    for (uint64_t offset = 0; offset < 3; offset++) {
        size_t begin = file.len;
        lc_buf record = LC_BUF_INIT;
        test_record(&record, offset, 40);
        lc_buf_put_u64(&file, offset);
        lc_buf_put_u16(&file, 1);
        lc_buf_put_u32(&file, 40);
        lc_buf_put_span(&file, lc_buf_span(&record));
        lc_buf_put_u32(&file, lc_crc32c(0, file.ptr + begin, file.len - begin));
        lc_buf_deinit(&record);
    }
    lc_buf_put(&file, (uint8_t[100]){0}, 100);
    memory_disk d;
    memory_disk_init(&d);
    memory_disk_put(&d, TEST_FOLDER "/00000000000000000000.stdb.log", file.ptr, file.len);
    test_log l;
    assert_ok(test_log_open(&l, &d, NULL), &l.err);
    assert_int_equal(l.stats.next_offset, 3);
    test_log_check(&l);
    test_log_append(&l, 3, 50);
    test_log_end(&l);
    assert_span_equal(
        lc_buf_span(memory_disk_file(&d, TEST_FOLDER "/00000000000000000000.stdb.log")),
        lc_buf_span(&file));
    assert_non_null(memory_disk_file(&d, TEST_FOLDER "/00000000000000000003.stdb.log"));
    assert_ok(test_log_open(&l, &d, NULL), &l.err);
    assert_int_equal(l.records.len, 4);
    test_log_check(&l);
    test_log_end(&l);
    lc_buf_deinit(&file);
    memory_disk_deinit(&d);
}

LC_TEST(names_are_20_digits)
{
    memory_disk d;
    memory_disk_init(&d);
    const char *others[] = {"5.stdb.log",
                            "00000000000000000005.stdb.ofs",
                            "00000000000000000005.stdb.log.tmp",
                            "99999999999999999999.stdb.log",
                            "0000000000000000000x.stdb.log",
                            "x",
                            "00000000000000000005.stdb.logs"};
    for (size_t i = 0; i < LC_ARRAY_LEN(others); i++) {
        char *path = lc_format(TEST_FOLDER "/%s", others[i]);
        memory_disk_put(&d, path, "x", 1);
        lc_free(path);
    }
    const uint64_t firsts[] = {70, 0, UINT64_MAX, 9};
    for (size_t i = 0; i < LC_ARRAY_LEN(firsts); i++) {
        char *path = lc_segment_path(TEST_FOLDER, firsts[i], "log");
        memory_disk_put(&d, path, "x", 1);
        lc_free(path);
    }
    lc_segment_list list = {0};
    lc_error err = LC_ERROR_INIT;
    assert_ok(lc_segment_find(&d.disk, TEST_FOLDER, "log", &list, &err), &err);
    assert_int_equal(list.len, 4);
    assert_true(list.items[0] == 0 && list.items[1] == 9 && list.items[2] == 70);
    assert_true(list.items[3] == UINT64_MAX);
    lc_vec_deinit(&list);
    memory_disk_deinit(&d);
}

/* An entry for the first commit behind the entry before, once 4096 bytes were written since; none
 * for offset 0; and at the end one for the newest commit. */
LC_TEST(index_has_a_commit_every_4096_bytes)
{
    memory_disk d;
    memory_disk_init(&d);
    test_log l;
    lc_journal_options o = {.max_segment_size = 64 * 1024};
    assert_ok(test_log_open(&l, &d, &o), &l.err);
    enum { SIZE = 1000, FRAME = SIZE + LC_FRAME_OVERHEAD };
    for (uint64_t i = 0; i < 20; i++) {
        test_log_append(&l, i, SIZE);
        if (i % 3 == 2) test_log_flush(&l);
    }
    test_log_end(&l);
    lc_index_entries e = {0};
    lc_index_load(&d.disk, TEST_FOLDER "/00000000000000000000.stdb.ofs", &e);
    const uint64_t want[] = {1, 4, 8, 12, 16, 19};
    assert_int_equal(e.len, LC_ARRAY_LEN(want));
    for (size_t i = 0; i < e.len; i++) {
        assert_int_equal(e.items[i].offset, want[i]);
        assert_int_equal(e.items[i].position, LC_SEGMENT_HEADER + want[i] * FRAME);
    }
    lc_vec_deinit(&e);
    assert_int_equal(memory_disk_file(&d, TEST_FOLDER "/00000000000000000000.stdb.ofs")->len,
                     16 * 16);

    /* Opened again, the mark of the newest commit makes way. */
    assert_ok(test_log_open(&l, &d, &o), &l.err);
    for (uint64_t i = 20; i < 30; i++) test_log_append(&l, i, SIZE);
    test_log_end(&l);
    lc_index_load(&d.disk, TEST_FOLDER "/00000000000000000000.stdb.ofs", &e);
    for (size_t i = 1; i < e.len; i++) {
        assert_int_equal(e.items[i].position, LC_SEGMENT_HEADER + e.items[i].offset * FRAME);
        assert_int_not_equal(e.items[i].offset, 19);
    }
    assert_int_equal(e.items[e.len - 1].offset, 29);
    lc_vec_deinit(&e);
    memory_disk_deinit(&d);
}

int main(void)
{
    return LC_TEST_RUN(cmocka_unit_test(worked_example_is_written_byte_for_byte),
                       cmocka_unit_test(worked_example_is_read),
                       cmocka_unit_test(version_0_is_read_and_not_appended_to),
                       cmocka_unit_test(names_are_20_digits),
                       cmocka_unit_test(index_has_a_commit_every_4096_bytes));
}
