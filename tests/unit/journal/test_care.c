/* Old segments: sealed and removed, by themselves, beside a writer, and through power failures. */
#include "journal_test.h"

#include <zstd.h>

#define RECORDED "tests/recorded/commitlog/segments/"

static bool keep_nothing(void *arg, uint64_t sector)
{
    (void)arg;
    (void)sector;
    return false;
}

static lc_buf *segment(memory_disk *d, uint64_t first)
{
    char *path = lc_segment_path(TEST_FOLDER, first, "log");
    lc_buf *b = memory_disk_file(d, path);
    lc_free(path);
    return b;
}

static lc_buf copy_of(const lc_buf *b)
{
    lc_buf copy = LC_BUF_INIT;
    lc_buf_put_span(&copy, lc_buf_span(b));
    return copy;
}

/* n transactions, 13 in each segment. */
static void make_log(memory_disk *d, int n)
{
    memory_disk_init(d);
    test_log l;
    lc_journal_options o = {.max_segment_size = 4096};
    assert_ok(test_log_open(&l, d, &o), &l.err);
    for (int i = 0; i < n; i++) test_log_append(&l, (uint64_t)i, 300);
    test_log_flush(&l);
    test_log_end(&l);
}

static void check_all(memory_disk *d, uint64_t from, uint64_t next)
{
    test_log l;
    lc_journal_options o = {.max_segment_size = 4096, .replay_from = from, .is_read_only = true};
    assert_ok(test_log_open(&l, d, &o), &l.err);
    assert_int_equal(l.stats.next_offset, next);
    assert_int_equal(l.records.len, next - from);
    test_log_check(&l);
    test_log_end(&l);
}

static bool seal(memory_disk *d, uint64_t before)
{
    bool did;
    lc_error err = LC_ERROR_INIT;
    assert_ok(lc_journal_seal(TEST_FOLDER, &d->disk, before, NULL, &did, &err), &err);
    return did;
}

static bool remove_old(memory_disk *d, uint64_t before)
{
    bool did;
    lc_error err = LC_ERROR_INIT;
    assert_ok(lc_journal_remove(TEST_FOLDER, &d->disk, before, &did, &err), &err);
    return did;
}

static bool is_sealed(memory_disk *d, uint64_t first)
{
    return lc_sealed_detect(segment(d, first)->ptr, segment(d, first)->len);
}

/* ------------------------------------------------------------------- format */

/* Frame by frame as the seek table says, which must cover the file. */
static lc_buf unpack(const lc_buf *sealed)
{
    assert_true(sealed->len > 17);
    const uint8_t *end = sealed->ptr + sealed->len;
    assert_int_equal(lc_load_u32(end - 4), 0x8f92eab1);
    assert_int_equal(end[-5], 0);
    uint32_t frames = lc_load_u32(end - 9);
    const uint8_t *table = end - 9 - (size_t)frames * 8;
    assert_int_equal(lc_load_u32(table - 8), 0x184d2a5e);
    assert_int_equal(lc_load_u32(table - 4), frames * 8 + 9);
    lc_buf out = LC_BUF_INIT;
    const uint8_t *at = sealed->ptr;
    for (uint32_t i = 0; i < frames; i++) {
        uint32_t packed = lc_load_u32(table + i * 8), plain = lc_load_u32(table + i * 8 + 4);
        assert_true(plain == 4096 || (i + 1 == frames && plain > 0 && plain < 4096));
        assert_int_equal(ZSTD_findFrameCompressedSize(at, (size_t)(table - at)), packed);
        size_t got = ZSTD_decompress(lc_buf_extend(&out, plain), plain, at, packed);
        assert_int_equal(got, plain);
        at += packed;
    }
    assert_ptr_equal(at, table - 8);
    return out;
}

LC_TEST(sealed_segment_has_every_byte)
{
    memory_disk d;
    make_log(&d, 30);
    for (uint64_t first = 0; first < 26; first += 13) {
        lc_buf before = copy_of(segment(&d, first));
        assert_true(seal(&d, 26));
        assert_true(is_sealed(&d, first));
        lc_buf after = unpack(segment(&d, first));
        assert_span_equal(lc_buf_span(&after), lc_buf_span(&before));
        lc_buf_deinit(&before);
        lc_buf_deinit(&after);
        check_all(&d, 0, 30);
    }
    assert_false(seal(&d, 26));
    assert_false(seal(&d, UINT64_MAX)); /* the newest never */
    assert_false(is_sealed(&d, 26));
    check_all(&d, 0, 30);
    check_all(&d, 20, 30); /* from the middle of a sealed one */
    memory_disk_deinit(&d);
}

static void load_file(void *arg, const char *name)
{
    memory_disk *d = arg;
    lc_buf b = LC_BUF_INIT;
    lc_error err = LC_ERROR_INIT;
    char *from = lc_format(RECORDED "clog_uncompressed/%s", name);
    char *path = lc_format(TEST_FOLDER "/%s", name);
    assert_ok(lc_disk_read_file(lc_disk_system(), from, &b, &err), &err);
    memory_disk_put(d, path, b.ptr, b.len);
    lc_buf_deinit(&b);
    lc_free(from);
    lc_free(path);
}

/* The segments that the reference sealed, sealed by us: the same frames, the same bytes in them. */
LC_TEST(sealed_as_the_reference_does)
{
    memory_disk d;
    memory_disk_init(&d);
    const lc_disk *real = lc_disk_system();
    assert_int_equal(real->list(real->self, RECORDED "clog_uncompressed", load_file, &d), 0);
    while (seal(&d, UINT64_MAX)) {
    }
    const uint64_t firsts[] = {0, 3, 15, 27, 44};
    for (size_t i = 0; i < LC_ARRAY_LEN(firsts); i++) {
        lc_buf theirs = LC_BUF_INIT;
        lc_error err = LC_ERROR_INIT;
        char *path = lc_segment_path(RECORDED "clog", firsts[i], "log");
        assert_ok(lc_disk_read_file(real, path, &theirs, &err), &err);
        lc_free(path);
        lc_buf *ours = segment(&d, firsts[i]);
        lc_buf a = unpack(ours), b = unpack(&theirs);
        assert_span_equal(lc_buf_span(&a), lc_buf_span(&b));
        assert_int_equal(lc_load_u32(ours->ptr + ours->len - 9),
                         lc_load_u32(theirs.ptr + theirs.len - 9));
        assert_true(ours->len < theirs.len * 11 / 10);
        lc_buf_deinit(&a);
        lc_buf_deinit(&b);
        lc_buf_deinit(&theirs);
    }
    memory_disk_deinit(&d);
}

/* ------------------------------------------------------------- which and when */

LC_TEST(only_what_lies_wholly_before)
{
    memory_disk d;
    make_log(&d, 45); /* 0 13 26 39 */
    assert_false(seal(&d, 12));
    assert_false(remove_old(&d, 12));
    assert_true(seal(&d, 13));
    assert_false(seal(&d, 25));
    assert_true(remove_old(&d, 25));
    assert_null(segment(&d, 0));
    assert_null(memory_disk_file(&d, TEST_FOLDER "/00000000000000000000.stdb.ofs"));
    assert_false(remove_old(&d, 25));
    assert_true(remove_old(&d, 39));
    assert_true(remove_old(&d, 39));
    assert_false(remove_old(&d, UINT64_MAX));
    assert_non_null(segment(&d, 39));
    assert_false(seal(&d, UINT64_MAX));
    check_all(&d, 39, 45);
    memory_disk_deinit(&d);
}

/* A segment without a commit, as a crash of another writer may leave, is none to be sealed. */
LC_TEST(empty_segment_is_left_alone)
{
    memory_disk d;
    make_log(&d, 20);
    segment(&d, 0)->len = 7;
    assert_false(seal(&d, UINT64_MAX));
    assert_int_equal(segment(&d, 0)->len, 7);
    memory_disk_deinit(&d);
}

/* What is sealed was whole: one that unpacks to no commit could not be gone on from, since the next
 * segment would have its name. Found by the fuzzer. */
LC_TEST(a_sealed_segment_without_a_commit_is_refused)
{
    memory_disk d;
    uint8_t plain[LC_SEGMENT_HEADER + 30] = {0}, packed[256];
    memcpy(plain, lc_segment_header, LC_SEGMENT_HEADER);
    for (size_t n = LC_SEGMENT_HEADER; n <= sizeof plain; n++) {
        size_t size = ZSTD_compress(packed, sizeof packed, plain, n, 1);
        assert_false(ZSTD_isError(size));
        uint32_t table[] = {0x184d2a5e, 17, (uint32_t)size, (uint32_t)n, 1};
        memcpy(packed + size, table, sizeof table);
        size += sizeof table;
        packed[size++] = 0;
        lc_store_u32(packed + size, LC_SEEKABLE_FOOTER);
        size += 4;
        memory_disk_init(&d);
        memory_disk_put(&d, TEST_FOLDER "/00000000000000000000.stdb.log", packed, size);
        test_log l;
        assert_int_equal(test_log_open(&l, &d, NULL), LC_E_CORRUPT);
        assert_non_null(strstr(lc_error_text(&l.err), "00000000000000000000.stdb.log"));
        test_log_end(&l);
        lc_buf *left = memory_disk_file(&d, TEST_FOLDER "/00000000000000000000.stdb.log");
        assert_int_equal(left->len, size);
        memory_disk_deinit(&d);
    }
}

/* The zeros of a crash and torn ends are kept as they are. */
LC_TEST(torn_ends_are_sealed_too)
{
    memory_disk d;
    make_log(&d, 20);
    segment(&d, 13)->len -= 100;
    test_log l;
    lc_journal_options o = {.max_segment_size = 4096};
    assert_ok(test_log_open(&l, &d, &o), &l.err);
    assert_int_equal(l.stats.next_offset, 19);
    test_log_append(&l, 19, 300);
    test_log_end(&l);
    while (seal(&d, UINT64_MAX)) {
    }
    assert_true(is_sealed(&d, 13));
    check_all(&d, 0, 20);
    memory_disk_deinit(&d);
}

LC_TEST(stopping_drops_what_was_begun)
{
    memory_disk d;
    make_log(&d, 30);
    lc_buf before = copy_of(segment(&d, 0));
    atomic_bool stop = true;
    bool did = true;
    lc_error err = LC_ERROR_INIT;
    assert_ok(lc_journal_seal(TEST_FOLDER, &d.disk, 26, &stop, &did, &err), &err);
    assert_false(did);
    assert_span_equal(lc_buf_span(segment(&d, 0)), lc_buf_span(&before));
    assert_null(memory_disk_file(&d, TEST_FOLDER "/00000000000000000000.stdb.log.tmp"));
    stop = false;
    assert_ok(lc_journal_seal(TEST_FOLDER, &d.disk, 26, &stop, &did, &err), &err);
    assert_true(did);
    lc_buf_deinit(&before);
    memory_disk_deinit(&d);
}

static ssize_t (*true_pwrite)(void *self, lc_file *f, const void *buf, size_t n, uint64_t at);

static ssize_t lying_pwrite(void *self, lc_file *f, const void *buf, size_t n, uint64_t at)
{
    lc_buf b = LC_BUF_INIT;
    lc_buf_put(&b, buf, n);
    if (n > 100) b.ptr[100] ^= 1;
    ssize_t rc = true_pwrite(self, f, b.ptr, n, at);
    lc_buf_deinit(&b);
    return rc;
}

LC_TEST(copy_that_does_not_read_back_takes_no_place)
{
    memory_disk d;
    make_log(&d, 30);
    lc_buf before = copy_of(segment(&d, 0));
    true_pwrite = d.disk.pwrite;
    d.disk.pwrite = lying_pwrite;
    bool did;
    lc_error err = LC_ERROR_INIT;
    assert_int_equal(lc_journal_seal(TEST_FOLDER, &d.disk, 26, NULL, &did, &err), LC_E_CORRUPT);
    assert_false(did);
    assert_span_equal(lc_buf_span(segment(&d, 0)), lc_buf_span(&before));
    lc_error_clear(&err);
    lc_buf_deinit(&before);
    memory_disk_deinit(&d);
}

/* ----------------------------------------------------------------- failures */

/* Each change fails in turn, at once or from then on, and then the power goes: the log is whole,
 * and the work can be done afterwards. */
LC_TEST(failures_and_power_failures)
{
    for (int is_removal = 0; is_removal < 2; is_removal++)
        for (int once = 0; once < 2; once++)
            for (int power = 0; power < 2; power++)
                for (uint64_t at = 1;; at++) {
                    memory_disk d;
                    make_log(&d, 30);
                    d.ops = 0;
                    d.fail_at = at;
                    d.fail_once = once;
                    d.fail_errno = ENOSPC;
                    bool did = true;
                    lc_error err = LC_ERROR_INIT;
                    lc_status rc =
                        is_removal ? lc_journal_remove(TEST_FOLDER, &d.disk, 26, &did, &err)
                                   : lc_journal_seal(TEST_FOLDER, &d.disk, 26, NULL, &did, &err);
                    bool came = d.ops >= at;
                    assert_int_equal(did, rc == LC_OK);
                    if (rc) {
                        assert_int_equal(rc, LC_E_IO);
                        assert_non_null(strstr(lc_error_text(&err), TEST_FOLDER));
                        assert_non_null(strstr(lc_error_text(&err), "No space left on device"));
                    }
                    lc_error_clear(&err);
                    d.fail_at = 0;
                    if (power) memory_disk_power_off(&d, keep_nothing, NULL);
                    uint64_t from = segment(&d, 0) ? 0 : 13;
                    assert_true(is_removal || from == 0);
                    if (is_removal && did) assert_int_equal(from, 13);
                    if (!is_removal && power) assert_true(is_sealed(&d, 0) || !did);
                    check_all(&d, from, 30);
                    test_log l;
                    assert_ok(test_log_open(&l, &d, &(lc_journal_options){.replay_from = 20}),
                              &l.err);
                    test_log_end(&l);
                    while (seal(&d, 26)) {
                    }
                    check_all(&d, from, 30);
                    assert_null(
                        memory_disk_file(&d, TEST_FOLDER "/00000000000000000000.stdb.log.tmp"));
                    memory_disk_deinit(&d);
                    if (!came) break;
                }
}

/* While the journal writes: nothing of this is in its way. */
LC_TEST(beside_a_writer)
{
    memory_disk d;
    memory_disk_init(&d);
    test_log l;
    lc_journal_options o = {.max_segment_size = 4096};
    assert_ok(test_log_open(&l, &d, &o), &l.err);
    uint64_t begin = 0;
    for (uint64_t i = 0; i < 200; i++) {
        test_log_append(&l, i, 300);
        test_log_flush(&l);
        if (i % 7 == 0) seal(&d, i);
        if (i % 40 == 39 && remove_old(&d, i)) begin += 13;
        check_all(&d, begin, i + 1);
    }
    assert_int_equal(l.failed_calls, 0);
    assert_int_equal(l.durable, 200);
    test_log_end(&l);
    check_all(&d, begin, 200);
    memory_disk_deinit(&d);
}

int main(void)
{
    lc_log_set_level(LC_LOG_ERROR);
    return LC_TEST_RUN(
        cmocka_unit_test(sealed_segment_has_every_byte),
        cmocka_unit_test(sealed_as_the_reference_does),
        cmocka_unit_test(only_what_lies_wholly_before),
        cmocka_unit_test(empty_segment_is_left_alone),
        cmocka_unit_test(a_sealed_segment_without_a_commit_is_refused),
        cmocka_unit_test(torn_ends_are_sealed_too), cmocka_unit_test(stopping_drops_what_was_begun),
        cmocka_unit_test(copy_that_does_not_read_back_takes_no_place),
        cmocka_unit_test(failures_and_power_failures), cmocka_unit_test(beside_a_writer));
}
