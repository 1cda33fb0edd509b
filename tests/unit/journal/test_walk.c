/* Walking a folder: where commits are, what is told of segments, and that a writer at work is never
 * taken for damage. */
#include "journal_test.h"

#include <pthread.h>
#include <unistd.h>

#define FIRST TEST_FOLDER "/00000000000000000000.stdb.log"

typedef struct walk {
    memory_disk *disk; /* NULL: bytes are not compared */
    LC_VEC(lc_journal_commit) commits;
    LC_VEC(lc_journal_segment) segments;
    lc_journal_stats stats;
    lc_error err;
} walk;

/* The frame is where it is said to be, and says itself what is said of it. */
static lc_status on_commit(void *arg, const lc_journal_commit *c, lc_error *err)
{
    (void)err;
    walk *w = arg;
    assert_int_equal(c->frame.len, c->size);
    assert_int_equal(lc_load_u64(c->frame.ptr), c->offset);
    assert_int_equal(lc_load_u32(c->frame.ptr + c->size - 4), c->crc);
    assert_int_equal(lc_crc32c(0, c->frame.ptr, c->size - 4), c->crc);
    assert_ptr_equal(c->records.ptr + c->records.len, c->frame.ptr + c->size - 4);
    if (w->disk) {
        char *path = lc_segment_path(TEST_FOLDER, c->segment, "log");
        lc_buf *file = memory_disk_file(w->disk, path);
        assert_span_equal(c->frame, LC_SPAN(file->ptr + c->position, c->size));
        lc_free(path);
    }
    lc_vec_push(&w->commits, *c);
    return LC_OK;
}

static lc_status on_segment(void *arg, const lc_journal_segment *s, lc_error *err)
{
    (void)err;
    walk *w = arg;
    lc_vec_push(&w->segments, *s);
    return LC_OK;
}

static lc_status walk_on(walk *w, const char *folder, const lc_disk *disk, uint64_t from,
                         uint64_t to)
{
    w->commits.len = w->segments.len = 0;
    lc_journal_reading r = {
        .from = from, .to = to, .commit = on_commit, .segment = on_segment, .arg = w};
    return lc_journal_walk(folder, disk, &r, &w->stats, &w->err);
}

static lc_status walk_from_to(walk *w, memory_disk *d, uint64_t from, uint64_t to)
{
    w->disk = d;
    return walk_on(w, TEST_FOLDER, &d->disk, from, to);
}

static lc_status walk_all(walk *w, memory_disk *d)
{
    return walk_from_to(w, d, 0, UINT64_MAX);
}

static void walk_deinit(walk *w)
{
    lc_vec_deinit(&w->commits);
    lc_vec_deinit(&w->segments);
    lc_error_clear(&w->err);
}

/* n transactions of 300 bytes, 13 in each segment. */
static void make_log(memory_disk *d, int n)
{
    memory_disk_init(d);
    test_log l;
    lc_journal_options o = {.max_segment_size = 4096};
    assert_ok(test_log_open(&l, d, &o), &l.err);
    for (int i = 0; i < n; i++) test_log_append(&l, (uint64_t)i, 300);
    test_log_end(&l);
}

LC_TEST(every_commit_and_segment)
{
    memory_disk d;
    make_log(&d, 30);
    walk w = {0};
    assert_ok(walk_all(&w, &d), &w.err);
    assert_int_equal(w.commits.len, 30);
    for (size_t i = 0; i < 30; i++) {
        const lc_journal_commit *c = &w.commits.items[i];
        assert_int_equal(c->offset, i);
        assert_int_equal(c->count, 1);
        assert_int_equal(c->size, 326);
        assert_int_equal(c->records.len, 300);
        assert_int_equal(c->segment, i / 13 * 13);
        assert_int_equal(c->position, LC_SEGMENT_HEADER + i % 13 * 326);
    }
    assert_int_equal(w.segments.len, 3);
    for (size_t i = 0; i < 3; i++) {
        const lc_journal_segment *s = &w.segments.items[i];
        assert_int_equal(s->first, i * 13);
        assert_int_equal(s->commits, i < 2 ? 13 : 4);
        assert_int_equal(s->bytes, LC_SEGMENT_HEADER + s->commits * 326);
        assert_int_equal(s->file_bytes, s->bytes);
        assert_int_equal(s->version, 1);
        assert_false(s->is_sealed);
        assert_string_equal(s->note, "");
    }
    assert_int_equal(w.stats.next_offset, 30);
    assert_int_equal(w.stats.commits, 30);
    assert_int_equal(w.stats.bytes, 30 * 326);
    walk_deinit(&w);
    memory_disk_deinit(&d);
}

LC_TEST(sealed_segments_have_the_places_they_had)
{
    memory_disk plain, d;
    make_log(&plain, 30);
    memory_disk_copy(&d, &plain);
    bool did;
    lc_error err = LC_ERROR_INIT;
    assert_ok(lc_journal_seal(TEST_FOLDER, &d.disk, 26, NULL, &did, &err), &err);
    walk w = {.disk = &plain};
    assert_ok(walk_on(&w, TEST_FOLDER, &d.disk, 0, UINT64_MAX), &w.err);
    assert_int_equal(w.commits.len, 30);
    const lc_journal_segment *s = &w.segments.items[0];
    assert_true(s->is_sealed && !w.segments.items[1].is_sealed);
    assert_int_equal(s->bytes, LC_SEGMENT_HEADER + 13 * 326);
    assert_int_equal(s->file_bytes, memory_disk_file(&d, FIRST)->len);
    walk_deinit(&w);
    memory_disk_deinit(&d);
    memory_disk_deinit(&plain);
}

LC_TEST(from_and_to)
{
    memory_disk d;
    make_log(&d, 45);
    walk w = {0};
    for (uint64_t from = 0; from <= 46; from++)
        for (uint64_t to = from; to <= 46; to++) {
            assert_ok(walk_from_to(&w, &d, from, to), &w.err);
            uint64_t end = to < 45 ? to : 45;
            assert_int_equal(w.commits.len, end > from ? end - from : 0);
            for (size_t i = 0; i < w.commits.len; i++)
                assert_int_equal(w.commits.items[i].offset, from + i);
            if (end > from) assert_int_equal(w.stats.next_offset, end);
            LC_VEC_EACH (s, &w.segments) {
                assert_true(s->first < to && s->first + 13 >= from);
                assert_string_equal(s->note, "");
            }
        }
    /* What is not asked for may be in any state. */
    memory_disk_put(&d, FIRST, "not a segment", 13);
    memory_disk_put(&d, TEST_FOLDER "/00000000000000000039.stdb.log", "not a segment", 13);
    assert_ok(walk_from_to(&w, &d, 15, 30), &w.err);
    assert_int_equal(w.commits.len, 15);
    assert_int_equal(walk_from_to(&w, &d, 15, 40), LC_E_CORRUPT);
    assert_int_equal(walk_from_to(&w, &d, 10, 30), LC_E_CORRUPT);
    walk_deinit(&w);
    memory_disk_deinit(&d);
}

/* Old segments are gone: the log begins later, also when they go while it is being read. */
static int (*true_list)(void *self, const char *path, void (*each)(void *arg, const char *name),
                        void *arg);

static void remove_two(memory_disk *d)
{
    d->disk.unlink(d, FIRST);
    d->disk.unlink(d, TEST_FOLDER "/00000000000000000013.stdb.log");
}

static int list_and_remove(void *self, const char *path, void (*each)(void *arg, const char *name),
                           void *arg)
{
    int rc = true_list(self, path, each, arg);
    remove_two(self);
    return rc;
}

LC_TEST(log_may_begin_later)
{
    for (int meanwhile = 0; meanwhile < 2; meanwhile++) {
        memory_disk d;
        make_log(&d, 45);
        true_list = d.disk.list;
        if (meanwhile)
            d.disk.list = list_and_remove;
        else
            remove_two(&d);
        walk w = {0};
        assert_ok(walk_all(&w, &d), &w.err);
        assert_int_equal(w.commits.len, 19);
        assert_int_equal(w.commits.items[0].offset, 26);
        walk_deinit(&w);
        memory_disk_deinit(&d);
    }
}

LC_TEST(what_follows_the_last_commit)
{
    memory_disk d;
    make_log(&d, 3);
    walk w = {0};
    lc_buf *file = memory_disk_file(&d, FIRST);
    size_t len = file->len;
    lc_buf_put(file, "odd bytes", 9);
    uint64_t ops = d.ops;
    assert_ok(walk_all(&w, &d), &w.err);
    assert_string_equal(w.segments.items[0].note, "9 bytes that are no commit");
    assert_int_equal(w.stats.cut_bytes, 9);

    file->len = len;
    memset(lc_buf_extend(file, 4000), 0, 4000);
    assert_ok(walk_all(&w, &d), &w.err);
    assert_string_equal(w.segments.items[0].note, "4000 zeros, written ahead");
    assert_int_equal(w.stats.cut_bytes, 0);

    file->len = len - 10;
    assert_ok(walk_all(&w, &d), &w.err);
    assert_int_equal(w.commits.len, 2);
    assert_string_equal(w.segments.items[0].note,
                        "commit 2 at byte 662: failed to read 300 bytes of commit payload");
    assert_int_equal(w.segments.items[0].bytes, 662);
    assert_int_equal(w.stats.cut_bytes, 316);
    assert_int_equal(d.ops, ops);

    file->len = len;
    file->ptr[400] ^= 1;
    assert_int_equal(walk_all(&w, &d), LC_E_CORRUPT);
    assert_non_null(strstr(lc_error_text(&w.err), FIRST ": commit 1 at byte 336: checksum"));
    assert_int_equal(w.commits.len, 1);
    walk_deinit(&w);
    memory_disk_deinit(&d);
}

LC_TEST(several_transactions_in_one_commit)
{
    memory_disk d;
    make_log(&d, 3);
    /* Commit 1 becomes one of five transactions, commit 2 follows as 6. */
    lc_buf *file = memory_disk_file(&d, FIRST);
    lc_store_u16(file->ptr + 336 + 16, 5);
    lc_frame_complete(file->ptr + 336);
    lc_store_u64(file->ptr + 662, 6);
    lc_frame_complete(file->ptr + 662);
    walk w = {0};
    assert_ok(walk_all(&w, &d), &w.err);
    assert_int_equal(w.commits.len, 3);
    assert_int_equal(w.commits.items[1].count, 5);
    assert_int_equal(w.commits.items[2].offset, 6);
    assert_int_equal(w.stats.next_offset, 7);
    assert_ok(walk_from_to(&w, &d, 5, UINT64_MAX), &w.err);
    assert_int_equal(w.commits.items[0].offset, 1); /* 5 is in it */
    assert_ok(walk_from_to(&w, &d, 6, UINT64_MAX), &w.err);
    assert_int_equal(w.commits.items[0].offset, 6);
    walk_deinit(&w);
    memory_disk_deinit(&d);
}

static lc_status stop_at_3(void *arg, const lc_journal_commit *c, lc_error *err)
{
    (void)arg;
    return c->offset == 3 ? lc_error_set(err, LC_E_NOT_FOUND, "that is enough") : LC_OK;
}

LC_TEST(error_of_a_callback_ends_it)
{
    memory_disk d;
    make_log(&d, 30);
    lc_error err = LC_ERROR_INIT;
    lc_journal_reading r = {.to = UINT64_MAX, .commit = stop_at_3};
    assert_int_equal(lc_journal_walk(TEST_FOLDER, &d.disk, &r, NULL, &err), LC_E_NOT_FOUND);
    assert_string_equal(lc_error_text(&err), "that is enough");
    lc_error_clear(&err);
    memory_disk_deinit(&d);
}

/* --------------------------------------------------------------------- live */

/* A group of commits reaches the file while it is read: the first read finds the bytes before some
 * position as they were before the group. */
static ssize_t (*true_pread)(void *self, lc_file *f, void *buf, size_t n, uint64_t at);
static uint64_t group_begin, seen_from;
static int stale_reads;

static ssize_t stale_pread(void *self, lc_file *f, void *buf, size_t n, uint64_t at)
{
    ssize_t got = true_pread(self, f, buf, n, at);
    if (n <= LC_SEGMENT_HEADER || stale_reads == 0) return got;
    stale_reads--;
    for (uint64_t i = group_begin; i < seen_from; i++)
        if (i >= at && i < at + (uint64_t)got) ((uint8_t *)buf)[i - at] = 0;
    return got;
}

LC_TEST(group_that_arrives_while_it_is_read)
{
    for (int has_zeros = 0; has_zeros < 2; has_zeros++) {
        memory_disk d;
        make_log(&d, 11);
        lc_buf *file = memory_disk_file(&d, FIRST);
        if (has_zeros) memset(lc_buf_extend(file, 5000), 0, 5000);
        true_pread = d.disk.pread;
        d.disk.pread = stale_pread;
        group_begin = LC_SEGMENT_HEADER + 2 * 326;
        walk w = {0};
        uint64_t last = LC_SEGMENT_HEADER + 10 * 326;
        for (seen_from = group_begin; seen_from <= last; seen_from++) {
            stale_reads = 1;
            assert_ok(walk_all(&w, &d), &w.err);
            /* Where zeros follow it may have been torn as well; none of it was durable yet. */
            assert_true(w.commits.len == 11 || (has_zeros && w.commits.len == 2));
        }
        /* What stays like that is damage. */
        stale_reads = 1000000;
        seen_from = group_begin + 300;
        assert_int_equal(walk_all(&w, &d), LC_E_CORRUPT);
        assert_int_equal(w.commits.len, 2);
        walk_deinit(&w);
        memory_disk_deinit(&d);
    }
}

typedef struct live {
    char folder[64];
    lc_journal *journal;
    _Atomic uint64_t given;
    _Atomic uint64_t limit; /* of what is given */
    _Atomic bool stop;
} live;

static void *produce(void *arg)
{
    live *v = arg;
    uint64_t seed = 5;
    for (uint64_t i = 0; !atomic_load(&v->stop); i++) {
        while (i >= atomic_load(&v->limit) && !atomic_load(&v->stop)) usleep(10);
        test_record(lc_journal_record_begin(v->journal), i, lc_test_random(&seed) % 3000);
        atomic_store(&v->given, i + 1);
        lc_journal_record_end(v->journal);
        if (lc_test_random(&seed) % 8 == 0) lc_journal_submit(v->journal);
    }
    return NULL;
}

static void remove_one(void *arg, const char *name)
{
    char *path = lc_format("%s/%s", (char *)arg, name);
    unlink(path);
    lc_free(path);
}

/* Beside a journal at work on a real disk, and old segments sealed and removed meanwhile. */
LC_TEST(beside_a_writer)
{
    live v = {.folder = "/tmp/lightcone-journal-XXXXXX"};
    assert_non_null(mkdtemp(v.folder));
    lc_journal_options o = {.folder = v.folder, .max_segment_size = 256 * 1024};
    lc_error err = LC_ERROR_INIT;
    assert_ok(lc_journal_open(&o, NULL, NULL, &v.journal, NULL, &err), &err);
    pthread_t producer;
    assert_int_equal(pthread_create(&producer, NULL, produce, &v), 0);
    walk w = {0};
    uint64_t from = 0;
    for (int i = 0; i < 150; i++) {
        atomic_fetch_add(&v.limit, 300);
        uint64_t durable = lc_journal_durable_count(v.journal);
        if (durable == 0) i--;
        if (i % 10 == 9) from = durable > 100 ? durable - 100 : 0;
        bool did;
        if (i % 5 == 4) assert_ok(lc_journal_seal(v.folder, NULL, from, NULL, &did, &err), &err);
        if (i % 15 == 14) assert_ok(lc_journal_remove(v.folder, NULL, from, &did, &err), &err);
        assert_ok(walk_on(&w, v.folder, NULL, from, UINT64_MAX), &w.err);
        assert_true(w.stats.next_offset >= durable);
        assert_true(w.stats.next_offset <= atomic_load(&v.given));
        for (size_t k = 0; k < w.commits.len; k++)
            assert_int_equal(w.commits.items[k].offset, from + k);
        assert_true(durable == from || w.commits.len >= durable - from);
    }
    atomic_store(&v.stop, true);
    pthread_join(producer, NULL);
    lc_journal_close(v.journal);
    assert_ok(walk_on(&w, v.folder, NULL, from, UINT64_MAX), &w.err);
    assert_int_equal(w.stats.next_offset, atomic_load(&v.given));
    walk_deinit(&w);
    lc_disk_system()->list(NULL, v.folder, remove_one, v.folder);
    rmdir(v.folder);
}

int main(void)
{
    lc_log_set_level(LC_LOG_ERROR);
    return LC_TEST_RUN(
        cmocka_unit_test(every_commit_and_segment),
        cmocka_unit_test(sealed_segments_have_the_places_they_had), cmocka_unit_test(from_and_to),
        cmocka_unit_test(log_may_begin_later), cmocka_unit_test(what_follows_the_last_commit),
        cmocka_unit_test(several_transactions_in_one_commit),
        cmocka_unit_test(error_of_a_callback_ends_it),
        cmocka_unit_test(group_that_arrives_while_it_is_read), cmocka_unit_test(beside_a_writer));
}
