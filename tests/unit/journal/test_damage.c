/*
 * Damaged logs. Small logs are damaged in every way of a kind, one at a time: cut at every length,
 * every byte changed, junk of every length behind. Each must open with a prefix that misses at most
 * the damaged end, or be refused; bytes that were not understood must stay.
 */
#include "journal_test.h"

enum { COMMITS = 9 };

static uint64_t
    ends[COMMITS + 1]; /* ends[k]: where commit k begins; ends[COMMITS]: where all end */

static size_t size_of(uint64_t offset)
{
    return (size_t)(offset * offset * 3 % 61);
}

/* COMMITS commits in as many groups; returns the only file. is_open: as a kill leaves it. */
static lc_buf make_log(memory_disk *d, bool is_open)
{
    memory_disk_init(d);
    test_log l;
    assert_ok(test_log_open(&l, d, NULL), &l.err);
    ends[0] = LC_SEGMENT_HEADER;
    for (uint64_t i = 0; i < COMMITS; i++) {
        test_log_append(&l, i, size_of(i));
        test_log_flush(&l);
        ends[i + 1] = ends[i] + LC_FRAME_OVERHEAD + size_of(i);
    }
    memory_disk killed;
    if (is_open) memory_disk_copy(&killed, d);
    test_log_end(&l);
    if (is_open) {
        memory_disk_deinit(d);
        *d = killed;
        d->disk.self = d;
    }
    lc_buf *file = memory_disk_file(d, TEST_FOLDER "/00000000000000000000.stdb.log");
    if (!is_open) assert_int_equal(file->len, ends[COMMITS]);
    lc_buf copy = LC_BUF_INIT;
    lc_buf_put_span(&copy, lc_buf_span(file));
    return copy;
}

#define REFUSED UINT64_MAX

/* Opens the disk's log. Opened: the next offset; a commit is appended, and all is there when it is
 * opened again. Refused: nothing was changed. */
static uint64_t outcome(memory_disk *d)
{
    test_log l;
    memory_disk before;
    memory_disk_copy(&before, d);
    lc_status rc = test_log_open(&l, d, NULL);
    if (rc) {
        assert_true(rc == LC_E_CORRUPT || rc == LC_E_UNSUPPORTED);
        assert_non_null(strstr(lc_error_text(&l.err), TEST_FOLDER));
        test_log_end(&l);
        lc_segment_list a = {0}, b = {0};
        lc_error err = LC_ERROR_INIT;
        assert_ok(lc_segment_find(&d->disk, TEST_FOLDER, "log", &a, &err), &err);
        assert_ok(lc_segment_find(&before.disk, TEST_FOLDER, "log", &b, &err), &err);
        assert_int_equal(a.len, b.len);
        for (size_t i = 0; i < a.len; i++) {
            char *path = lc_segment_path(TEST_FOLDER, a.items[i], "log");
            assert_span_equal(lc_buf_span(memory_disk_file(d, path)),
                              lc_buf_span(memory_disk_file(&before, path)));
            lc_free(path);
        }
        lc_vec_deinit(&a);
        lc_vec_deinit(&b);
        memory_disk_deinit(&before);
        return REFUSED;
    }
    uint64_t next = l.stats.next_offset;
    assert_int_equal(l.records.len, next);
    test_log_check(&l);
    test_log_append(&l, next, 33);
    test_log_end(&l);
    assert_ok(test_log_open(&l, d, NULL), &l.err);
    assert_int_equal(l.stats.next_offset, next + 1);
    test_log_check(&l);
    test_log_end(&l);
    memory_disk_deinit(&before);
    return next;
}

static uint64_t outcome_of(const memory_disk *base, const void *bytes, size_t n, bool has_index,
                           memory_disk *after)
{
    memory_disk_copy(after, (memory_disk *)base);
    if (!has_index) {
        lc_buf *index = memory_disk_file(after, TEST_FOLDER "/00000000000000000000.stdb.ofs");
        if (index) index->len = 0;
    }
    memory_disk_put(after, TEST_FOLDER "/00000000000000000000.stdb.log", bytes, n);
    return outcome(after);
}

static uint64_t commits_within(uint64_t len)
{
    uint64_t k = 0;
    while (k < COMMITS && ends[k + 1] <= len) k++;
    return k;
}

LC_TEST(cut_at_every_length)
{
    memory_disk base, d;
    lc_buf file = make_log(&base, false);
    for (int has_index = 0; has_index < 2; has_index++) {
        for (size_t len = 0; len <= file.len; len++) {
            uint64_t got = outcome_of(&base, file.ptr, len, has_index, &d);
            uint64_t left = commits_within(len);
            bool is_whole_header = len >= LC_SEGMENT_HEADER + LC_FRAME_HEADER;
            assert_int_equal(got, left > 0 || !is_whole_header ? left : REFUSED);
            lc_buf *after = memory_disk_file(&d, TEST_FOLDER "/00000000000000000000.stdb.log");
            if (got != REFUSED && left > 0 && len - ends[left] >= LC_FRAME_HEADER)
                assert_span_equal(lc_buf_span(after), LC_SPAN(file.ptr, len));
            memory_disk_deinit(&d);
        }
    }
    lc_buf_deinit(&file);
    memory_disk_deinit(&base);
}

static void flip_everywhere(bool is_open)
{
    memory_disk base, d;
    lc_buf file = make_log(&base, is_open);
    const uint8_t masks[] = {0x01, 0x80, 0xff};
    for (int has_index = 0; has_index < 2; has_index++) {
        for (size_t at = 0; at < ends[COMMITS]; at++) {
            for (size_t m = 0; m < LC_ARRAY_LEN(masks); m++) {
                file.ptr[at] ^= masks[m];
                uint64_t got = outcome_of(&base, file.ptr, file.len, has_index, &d);
                uint64_t want = REFUSED;
                if (at == 8 || at == 9) want = COMMITS; /* reserved */
                if (at >= ends[COMMITS - 1]) want = COMMITS - 1;
                if (got != want) print_error("byte %zu ^ %02x\n", at, masks[m]);
                assert_int_equal(got, want);
                if (got == COMMITS - 1)
                    assert_span_equal(lc_buf_span(memory_disk_file(
                                          &d, TEST_FOLDER "/00000000000000000000.stdb.log")),
                                      lc_buf_span(&file));
                file.ptr[at] ^= masks[m];
                memory_disk_deinit(&d);
            }
        }
    }
    lc_buf_deinit(&file);
    memory_disk_deinit(&base);
}

LC_TEST(every_byte_changed)
{
    flip_everywhere(false);
}

LC_TEST(every_byte_changed_with_zeros_ahead)
{
    flip_everywhere(true);
}

/* Two commits damaged at once, a stretch zeroed, a stretch taken out or put in: never is a commit
 * in the middle left out without a word. */
LC_TEST(every_stretch_zeroed_removed_or_inserted)
{
    for (int is_open = 0; is_open < 2; is_open++) {
        memory_disk base, d;
        lc_buf file = make_log(&base, is_open);
        for (size_t at = ends[1]; at < ends[COMMITS]; at += 5) {
            for (size_t n = 1; n <= 90; n = n * 2 + 1) {
                for (int kind = 0; kind < 3; kind++) {
                    lc_buf b = LC_BUF_INIT;
                    lc_buf_put(&b, file.ptr, at);
                    size_t rest = at + n < ends[COMMITS] ? at + n : ends[COMMITS];
                    if (kind == 0) memset(lc_buf_extend(&b, rest - at), 0, rest - at);
                    if (kind == 2) memset(lc_buf_extend(&b, n), 0xab, n);
                    if (kind == 2) rest = at;
                    lc_buf_put(&b, file.ptr + rest, file.len - rest);
                    uint64_t got = outcome_of(&base, b.ptr, b.len, true, &d);
                    /* Stopping at the damage is right only if it reaches the last commit. */
                    if (got == REFUSED || got == COMMITS)
                        assert_true(got == REFUSED ||
                                    lc_span_equal(LC_SPAN(b.ptr, ends[COMMITS]),
                                                  LC_SPAN(file.ptr, ends[COMMITS])));
                    else
                        assert_true(got == commits_within(at) && rest >= ends[COMMITS - 1]);
                    memory_disk_deinit(&d);
                    lc_buf_deinit(&b);
                }
            }
        }
        lc_buf_deinit(&file);
        memory_disk_deinit(&base);
    }
}

LC_TEST(anything_behind_the_last_commit)
{
    memory_disk base, d;
    lc_buf file = make_log(&base, false);
    for (size_t n = 1; n < 1200; n += n < 40 ? 1 : 37) {
        for (int kind = 0; kind < 2; kind++) {
            lc_buf b = LC_BUF_INIT;
            lc_buf_put_span(&b, lc_buf_span(&file));
            memset(lc_buf_extend(&b, n), kind ? 0xab : 0, n);
            assert_int_equal(outcome_of(&base, b.ptr, b.len, true, &d), COMMITS);
            lc_buf *after = memory_disk_file(&d, TEST_FOLDER "/00000000000000000000.stdb.log");
            bool goes_on =
                memory_disk_file(&d, TEST_FOLDER "/00000000000000000009.stdb.log") == NULL;
            assert_true(goes_on == (n < LC_FRAME_HEADER || kind == 0));
            if (!goes_on) assert_span_equal(lc_buf_span(after), lc_buf_span(&b));
            if (goes_on) assert_int_equal(after->len, file.len + 33 + LC_FRAME_OVERHEAD);
            memory_disk_deinit(&d);
            lc_buf_deinit(&b);
        }
    }
    lc_buf_deinit(&file);
    memory_disk_deinit(&base);
}

/* A log of several segments: a change anywhere but in the last commit is refused. */
LC_TEST(every_byte_changed_in_several_segments)
{
    memory_disk base;
    memory_disk_init(&base);
    lc_journal_options o = {.max_segment_size = 1024};
    test_log l;
    assert_ok(test_log_open(&l, &base, &o), &l.err);
    for (uint64_t i = 0; i < 10; i++) {
        test_log_append(&l, i, 300);
        test_log_flush(&l);
    }
    test_log_end(&l);
    lc_segment_list list = {0};
    lc_error err = LC_ERROR_INIT;
    assert_ok(lc_segment_find(&base.disk, TEST_FOLDER, "log", &list, &err), &err);
    assert_int_equal(list.len, 3);
    for (size_t s = 0; s < list.len; s++) {
        char *path = lc_segment_path(TEST_FOLDER, list.items[s], "log");
        size_t len = memory_disk_file(&base, path)->len;
        size_t last = s + 1 == list.len ? len - 326 : SIZE_MAX;
        for (size_t at = 0; at < len; at++) {
            if (at == 8 || at == 9) continue;
            memory_disk d;
            memory_disk_copy(&d, &base);
            memory_disk_file(&d, path)->ptr[at] ^= 1u << at % 8;
            uint64_t got = outcome(&d);
            assert_int_equal(got, at >= last ? 9 : REFUSED);
            memory_disk_deinit(&d);
        }
        /* Missing, cut to its header, cut short. */
        memory_disk d;
        memory_disk_copy(&d, &base);
        d.disk.unlink(&d, path);
        assert_int_equal(outcome(&d), s + 1 == list.len ? list.items[s] : REFUSED);
        memory_disk_deinit(&d);
        for (size_t cut = 0; cut < len; cut++) {
            memory_disk_copy(&d, &base);
            memory_disk_file(&d, path)->len = cut;
            uint64_t got = outcome(&d);
            if (s + 1 < list.len || (cut >= 32 && cut < 10 + 326))
                assert_int_equal(got, REFUSED);
            else
                assert_int_equal(got, list.items[s] + (cut <= 10 ? 0 : (cut - 10) / 326));
            memory_disk_deinit(&d);
        }
        lc_free(path);
    }
    lc_vec_deinit(&list);
    memory_disk_deinit(&base);
}

/* Behind a torn tail a new segment was begun: fine. Damage of the old one later is seen. */
LC_TEST(torn_tail_superseded_by_the_next_segment)
{
    memory_disk base, d;
    lc_buf file = make_log(&base, false);
    assert_int_equal(outcome_of(&base, file.ptr, file.len - 3, true, &d), COMMITS - 1);
    assert_int_equal(outcome(&d), COMMITS);
    assert_int_equal(outcome(&d), COMMITS + 1);
    lc_buf *first = memory_disk_file(&d, TEST_FOLDER "/00000000000000000000.stdb.log");
    assert_int_equal(first->len, file.len - 3);
    first->ptr[ends[3] + 30] ^= 1;
    assert_int_equal(outcome(&d), REFUSED);
    memory_disk_deinit(&d);
    lc_buf_deinit(&file);
    memory_disk_deinit(&base);
}

static void put_commit(lc_buf *b, uint64_t offset, uint8_t fill)
{
    uint8_t *frame = lc_buf_extend(b, LC_FRAME_OVERHEAD + 8);
    lc_frame_put_header(frame, offset, 0, 8);
    memset(frame + LC_FRAME_HEADER, fill, 8);
    lc_frame_complete(frame);
}

static lc_status read_commits(const char *const *segments, lc_journal_stats *stats, lc_error *err)
{
    memory_disk d;
    memory_disk_init(&d);
    for (; *segments; segments++) {
        /* "3 3 4a": a segment named 3 with commits 3 and 4, the latter another one than plain 4 */
        char *end;
        uint64_t first = strtoull(*segments, &end, 10);
        lc_buf b = LC_BUF_INIT;
        lc_buf_put(&b, lc_segment_header, LC_SEGMENT_HEADER);
        while (*end) {
            uint64_t offset = strtoull(end, &end, 10);
            put_commit(&b, offset, *end == 'a' ? 1 : 2);
            if (*end == 'a') end++;
        }
        char *path = lc_segment_path(TEST_FOLDER, first, "log");
        memory_disk_put(&d, path, b.ptr, b.len);
        lc_free(path);
        lc_buf_deinit(&b);
    }
    lc_status rc = lc_journal_read(TEST_FOLDER, &d.disk, NULL, NULL, stats, err);
    memory_disk_deinit(&d);
    return rc;
}

LC_TEST(repeats_forks_gaps)
{
    static const struct {
        const char *segments[4];
        uint64_t next;    /* 0: refused */
        const char *text; /* in the error */
    } cases[] = {
        {{"0 0 1 2", "3 3 4"}, 5, NULL},
        {{"0 0 1 2", "2 2 3"}, 4, NULL},
        {{"0 0 1 1 2", "3 3"}, 4, NULL},
        {{"0 0 1 2", "2 2a 3"}, 0, "forked"},
        {{"0 0 1 1a 2", "3 3"}, 0, "forked"},
        {{"0 0 1 2 2"}, 0, "expected-offset=3 actual-offset=2"},
        {{"0 0 1 2", "1 1 2 3"}, 0, "expected-offset=3 actual-offset=1"},
        {{"0 0 1 2", "4 4"}, 0, "expected-offset=3 actual-offset=4"},
        {{"0 0 1 3"}, 0, "expected-offset=2 actual-offset=3"},
        {{"0 0 1", "2 3"}, 0, "expected=2 actual=3"},
        {{"1 1 2"}, 0, "begins at offset 1"},
        {{"0 1"}, 0, "expected=0 actual=1"},
        {{"0 0 1", "2", "3 3"}, 0, "expected-offset=2 actual-offset=3"},
    };
    for (size_t i = 0; i < LC_ARRAY_LEN(cases); i++) {
        lc_journal_stats stats;
        lc_error err = LC_ERROR_INIT;
        lc_status rc = read_commits(cases[i].segments, &stats, &err);
        if (cases[i].next) {
            assert_ok(rc, &err);
            assert_int_equal(stats.next_offset, cases[i].next);
        } else {
            assert_int_equal(rc, LC_E_CORRUPT);
            if (!strstr(lc_error_text(&err), cases[i].text))
                print_error("%s\n", lc_error_text(&err));
            assert_non_null(strstr(lc_error_text(&err), cases[i].text));
        }
        lc_error_clear(&err);
    }
}

LC_TEST(several_transactions_in_one_commit_are_refused)
{
    memory_disk d;
    memory_disk_init(&d);
    lc_buf b = LC_BUF_INIT;
    lc_buf_put(&b, lc_segment_header, LC_SEGMENT_HEADER);
    put_commit(&b, 0, 1);
    lc_store_u16(b.ptr + 26, 2);
    lc_frame_complete(b.ptr + 10);
    memory_disk_put(&d, TEST_FOLDER "/00000000000000000000.stdb.log", b.ptr, b.len);
    lc_error err = LC_ERROR_INIT;
    assert_int_equal(lc_journal_read(TEST_FOLDER, &d.disk, NULL, NULL, NULL, &err),
                     LC_E_UNSUPPORTED);
    assert_non_null(strstr(lc_error_text(&err), "holds 2 transactions"));
    lc_error_clear(&err);
    lc_buf_deinit(&b);
    memory_disk_deinit(&d);
}

/* A torn commit full of what looks like commits takes no longer to read than others. */
LC_TEST(commits_inside_a_torn_commit_cost_no_time)
{
    memory_disk d;
    memory_disk_init(&d);
    lc_buf b = LC_BUF_INIT;
    lc_buf_put(&b, lc_segment_header, LC_SEGMENT_HEADER);
    put_commit(&b, 0, 1);
    enum { HEADERS = 200000 };
    uint8_t *frame = lc_buf_extend(&b, LC_FRAME_HEADER);
    lc_frame_put_header(frame, 1, 0, HEADERS * 30);
    for (uint32_t i = 0; i < HEADERS; i++) {
        uint8_t *h = lc_buf_extend(&b, LC_FRAME_HEADER);
        lc_frame_put_header(h, 2, 0, (HEADERS - i) * LC_FRAME_HEADER - 100);
    }
    memory_disk_put(&d, TEST_FOLDER "/00000000000000000000.stdb.log", b.ptr, b.len);
    lc_error err = LC_ERROR_INIT;
    uint64_t began = lc_clock_mono(lc_clock_system());
    lc_status rc = lc_journal_read(TEST_FOLDER, &d.disk, NULL, NULL, NULL, &err);
    assert_true(rc == LC_OK || rc == LC_E_CORRUPT);
    assert_true(lc_clock_mono(lc_clock_system()) - began < 60ull * 1000000000);
    lc_error_clear(&err);
    lc_buf_deinit(&b);
    memory_disk_deinit(&d);
}

/* Random damage of any kind, many times: no crash, no hang, never a wrong record. */
LC_TEST(random_damage)
{
    uint64_t seed = 11;
    for (int is_open = 0; is_open < 2; is_open++) {
        memory_disk base, d;
        lc_buf file = make_log(&base, is_open);
        size_t len = ends[COMMITS] + 40 < file.len ? ends[COMMITS] + 40 : file.len;
        for (int round = 0; round < 3000; round++) {
            lc_buf b = LC_BUF_INIT;
            lc_buf_put(&b, file.ptr, file.len);
            for (uint64_t n = lc_test_random(&seed) % 4; n > 0; n--)
                b.ptr[lc_test_random(&seed) % len] = (uint8_t)lc_test_random(&seed);
            if (lc_test_random(&seed) % 3 == 0) b.len = lc_test_random(&seed) % b.len;
            uint64_t got = outcome_of(&base, b.ptr, b.len, round % 2, &d);
            assert_true(got == REFUSED || got <= COMMITS);
            memory_disk_deinit(&d);
            lc_buf_deinit(&b);
        }
        lc_buf_deinit(&file);
        memory_disk_deinit(&base);
    }
}

int main(void)
{
    lc_log_set_level(LC_LOG_ERROR);
    return LC_TEST_RUN(cmocka_unit_test(cut_at_every_length), cmocka_unit_test(every_byte_changed),
                       cmocka_unit_test(every_byte_changed_with_zeros_ahead),
                       cmocka_unit_test(every_stretch_zeroed_removed_or_inserted),
                       cmocka_unit_test(anything_behind_the_last_commit),
                       cmocka_unit_test(every_byte_changed_in_several_segments),
                       cmocka_unit_test(torn_tail_superseded_by_the_next_segment),
                       cmocka_unit_test(repeats_forks_gaps),
                       cmocka_unit_test(several_transactions_in_one_commit_are_refused),
                       cmocka_unit_test(commits_inside_a_torn_commit_cost_no_time),
                       cmocka_unit_test(random_damage));
}
