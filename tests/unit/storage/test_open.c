/* Opening: what was committed is there again, from the log, from snapshots, from what is left of
 * both; and what cannot be opened is refused with the reason. */
#include "storage_test.h"

#define SNAPSHOTS WORLD_FOLDER "/snapshots/"
#define LOG       WORLD_FOLDER "/clog/"

static void assert_refused(world *w, lc_storage_mode mode, lc_status status, const char *text)
{
    assert_int_equal(world_open(w, mode), status);
    assert_null(w->storage);
    if (!strstr(lc_error_text(&w->err), text)) fail_msg("%s", lc_error_text(&w->err));
}

/* Reopens and compares with what was. */
static void assert_same_again(world *w)
{
    lc_buf before = world_state(w);
    world_reopen(w);
    lc_buf after = world_state(w);
    assert_states_equal(&before, &after);
    lc_buf_deinit(&before);
    lc_buf_deinit(&after);
}

/* -------------------------------------------------------------- log alone */

LC_TEST(commits_are_there_again)
{
    world w;
    world_init(&w);
    world_create(&w);
    world_commit(&w, 100);
    assert_int_equal(lc_storage_need(w.storage), 101);
    assert_int_equal(lc_storage_durable_count(w.storage), 0);
    world_settle(&w);
    assert_int_equal(lc_storage_durable_count(w.storage), 101);
    assert_int_equal(w.durable, 101);
    assert_same_again(&w);
    assert_int_equal(w.found.log.next_offset, 101);
    assert_int_equal(w.found.log.commits, 101);
    assert_int_equal(w.found.snapshot, 0);
    assert_int_equal(lc_storage_need(w.storage), 101);
    world_commit(&w, 10);
    assert_same_again(&w);
    world_deinit(&w);
}

LC_TEST(what_was_not_flushed_is_lost_by_a_crash)
{
    world w;
    world_init(&w);
    world_create(&w);
    world_commit(&w, 20);
    world_settle(&w);
    lc_buf before = world_state(&w);
    world_commit(&w, 20);
    world_kill(&w);
    assert_ok(world_open(&w, LC_STORAGE_OPEN), &w.err);
    lc_buf after = world_state(&w);
    assert_states_equal(&before, &after);
    lc_buf_deinit(&before);
    lc_buf_deinit(&after);
    world_deinit(&w);
}

static void commit_empty(world *w, bool always_log)
{
    lc_store_begin(lc_storage_store(w->storage));
    lc_storage_commit(w->storage, &(lc_log_inputs){.name = LC_SPAN_EMPTY}, always_log);
    lc_store_release(lc_storage_store(w->storage));
}

LC_TEST(a_transaction_without_change_is_logged_only_if_asked)
{
    world w;
    world_init(&w);
    world_create(&w);
    commit_empty(&w, false);
    assert_int_equal(lc_storage_need(w.storage), 1);
    commit_empty(&w, true);
    assert_int_equal(lc_storage_need(w.storage), 2);
    assert_same_again(&w);
    assert_int_equal(w.found.log.commits, 2);
    world_deinit(&w);
}

LC_TEST(modes_want_what_they_say)
{
    world w;
    world_init(&w);
    assert_refused(&w, LC_STORAGE_OPEN, LC_E_CORRUPT, "/db holds no commits");
    assert_refused(&w, LC_STORAGE_READ_ONLY, LC_E_CORRUPT, "/db holds no commits");
    assert_int_equal(w.disk.nodes.len, 0);
    world_create(&w);
    world_settle(&w);
    world_close(&w);
    assert_refused(&w, LC_STORAGE_CREATE, LC_E_EXISTS, "/db already holds a database");
    world_reopen(&w);
    world_snapshot(&w);
    world_close(&w);
    world_remove(&w, LOG "00000000000000000000.stdb.log");
    assert_refused(&w, LC_STORAGE_CREATE, LC_E_EXISTS, "/db already holds a database");
    world_deinit(&w);
}

/* --------------------------------------------------------------- snapshots */

LC_TEST(a_snapshot_and_the_log_behind_it)
{
    world w;
    world_init(&w);
    world_create(&w);
    world_commit(&w, 200);
    assert_int_equal(world_snapshot(&w), 201);
    assert_same_again(&w);
    assert_int_equal(w.found.snapshot, 201);
    assert_int_equal(w.found.snapshot_bytes, world_snapshot_file(&w, 201)->len);
    world_commit(&w, 50);
    assert_same_again(&w);
    assert_int_equal(w.found.snapshot, 201);
    assert_int_equal(w.found.log.next_offset, 251);
    world_commit(&w, 50);
    assert_int_equal(world_snapshot(&w), 301);
    world_commit(&w, 50);
    assert_same_again(&w);
    assert_int_equal(w.found.snapshot, 301);
    assert_int_equal(w.found.log.next_offset, 351);
    world_deinit(&w);
}

/* The image is of the moment it was frozen, whatever is committed while it is written. */
LC_TEST(a_snapshot_holds_its_moment)
{
    world w;
    world_init(&w);
    world_create(&w);
    world_commit(&w, 3000);
    world_settle(&w);
    lc_buf before = world_state(&w);
    assert_ok(lc_storage_snapshot(w.storage, world_done, &w, &w.err), &w.err);
    for (bool any = true; any;) {
        world_commit(&w, 300);
        lc_storage_flush(w.storage);
        any = lc_storage_step_work(w.storage);
        any |= lc_storage_step_log(w.storage) && w.done_calls == 0;
        lc_storage_tick(w.storage);
    }
    assert_int_equal(w.done_calls, 1);
    assert_int_equal(w.done_offset, 3001);

    lc_store *s = lc_store_create();
    lc_snapshot_header header;
    uint64_t bytes;
    lc_store_replay_begin(s);
    assert_ok(
        lc_snapshot_load(WORLD_FOLDER, &w.disk.disk, 3001, s, &header, NULL, NULL, &bytes, &w.err),
        &w.err);
    assert_ok(lc_store_replay_end(s, &w.err), &w.err);
    lc_buf after = store_state(s);
    assert_states_equal(&before, &after);
    lc_store_destroy(s);
    lc_buf_deinit(&before);
    lc_buf_deinit(&after);
    assert_same_again(&w);
    assert_int_equal(w.found.snapshot, 3001);
    world_deinit(&w);
}

LC_TEST(progress_is_told)
{
    world w;
    world_init(&w);
    world_create(&w);
    lc_store *s = lc_storage_store(w.storage);
    lc_table *t = lc_store_table_by_name(s, LC_STR("t"));
    lc_buf text = LC_BUF_INIT;
    lc_buf_put_u64(&text, 1);
    lc_buf_put_u32(&text, 20 << 20);
    memset(lc_buf_extend(&text, 20 << 20), 'x', 20 << 20);
    for (uint64_t i = 1; i <= 3; i++) {
        lc_store_u64(text.ptr, i);
        lc_write written;
        lc_store_begin(s);
        assert_int_equal(lc_table_insert(t, lc_buf_span(&text), &written, NULL), 0);
        lc_storage_commit(w.storage, &(lc_log_inputs){.name = LC_STR("big")}, false);
        lc_store_release(s);
    }
    lc_buf_deinit(&text);
    w.policy.no_snapshot_at_close = true;
    world_snapshot(&w);
    w.progress_calls = 0;
    world_reopen(&w);
    assert_true(w.progress_calls >= 3);
    world_deinit(&w);
}

/* ------------------------------------------------------------ damaged ones */

/* Snapshots at 101, 201 and 301, and 50 more transactions. */
static void create_three(world *w)
{
    world_init(w);
    w->policy = (lc_storage_policy){.keep_all = true, .no_compression = true};
    w->max_segment_size = 8192;
    world_create(w);
    for (int i = 0; i < 3; i++) {
        world_commit(w, 100);
        world_snapshot(w);
    }
    world_commit(w, 50);
    world_settle(w);
}

static void flip(world *w, uint64_t offset)
{
    lc_buf *file = world_snapshot_file(w, offset);
    file->ptr[file->len / 2] ^= 0x10;
}

typedef struct damage_case {
    const char *name;
    void (*damage)(world *w);
    uint64_t snapshot; /* the one used */
    uint32_t bad;
    uint32_t set_aside;
    uint32_t left;
} damage_case;

static void damage_nothing(world *w)
{
    (void)w;
}

static void remove_all_snapshots(world *w)
{
    world_remove(w, SNAPSHOTS "00000000000000000101.lcsnap");
    world_remove(w, SNAPSHOTS "00000000000000000201.lcsnap");
    world_remove(w, SNAPSHOTS "00000000000000000301.lcsnap");
}

static void keep_only_newest(world *w)
{
    world_remove(w, SNAPSHOTS "00000000000000000101.lcsnap");
    world_remove(w, SNAPSHOTS "00000000000000000201.lcsnap");
}

static void flip_newest(world *w)
{
    flip(w, 301);
}

static void cut_newest(world *w)
{
    world_snapshot_file(w, 301)->len -= 7;
}

static void empty_newest(world *w)
{
    world_snapshot_file(w, 301)->len = 0;
}

static void flip_header(world *w)
{
    world_snapshot_file(w, 301)->ptr[20] ^= 1;
}

static void flip_all(world *w)
{
    flip(w, 101), flip(w, 201), flip(w, 301);
}

static void flip_two(world *w)
{
    flip(w, 201), flip(w, 301);
}

/* Right in every checksum, and not what the store takes for a chunk. */
static void foreign_rows(world *w)
{
    lc_snapshot_writer out;
    assert_ok(lc_snapshot_writer_open(&out, &w->disk.disk, WORLD_FOLDER,
                                      &(lc_snapshot_header){301, 5}, &w->err),
              &w->err);
    lc_buf *block = lc_snapshot_writer_begin(&out);
    lc_buf_put_u32(block, 99999);
    lc_buf_put_u32(block, 1);
    lc_buf_put_u8(block, 0);
    lc_buf_put_u32(block, 7);
    assert_ok(lc_snapshot_writer_end(&out, &w->err), &w->err);
    assert_ok(lc_snapshot_writer_finish(&out, &w->err), &w->err);
}

static void rename_newest(world *w)
{
    assert_int_equal(w->disk.disk.rename(&w->disk, SNAPSHOTS "00000000000000000301.lcsnap",
                                         SNAPSHOTS "00000000000000000299.lcsnap"),
                     0);
}

static void later_version(world *w)
{
    lc_buf *file = world_snapshot_file(w, 301);
    lc_store_u32(file->ptr + 8, 2);
    lc_store_u32(file->ptr + 32, lc_crc32c(0, file->ptr, 32));
}

static void leave_half_of_one(world *w)
{
    memory_disk_put(&w->disk, SNAPSHOTS "00000000000000000351.lcsnap.tmp", "LCSNAP", 6);
}

static const damage_case cases[] = {
    {"none", damage_nothing, 301, 0, 0, 3},
    {"no snapshots", remove_all_snapshots, 0, 0, 0, 0},
    {"only the newest", keep_only_newest, 301, 0, 0, 1},
    {"flipped", flip_newest, 201, 1, 1, 2},
    {"cut", cut_newest, 201, 1, 1, 2},
    {"empty", empty_newest, 201, 1, 1, 2},
    {"header flipped", flip_header, 201, 1, 1, 2},
    {"two flipped", flip_two, 101, 2, 2, 1},
    {"all flipped", flip_all, 0, 3, 3, 0},
    {"rows of nowhere", foreign_rows, 201, 1, 1, 2},
    {"another name", rename_newest, 201, 0, 0, 3},
    {"a later version", later_version, 201, 0, 0, 3},
    {"a leftover", leave_half_of_one, 301, 0, 0, 3},
};

LC_TEST(any_damaged_snapshot_makes_no_difference)
{
    for (size_t i = 0; i < LC_ARRAY_LEN(cases); i++) {
        const damage_case *c = &cases[i];
        world w;
        create_three(&w);
        lc_buf before = world_state(&w);
        world_close(&w);
        c->damage(&w);
        lc_status rc = world_open(&w, LC_STORAGE_OPEN);
        if (rc != LC_OK) fail_msg("%s: %s", c->name, lc_error_text(&w.err));
        lc_buf after = world_state(&w);
        assert_states_equal(&before, &after);
        if (w.found.snapshot != c->snapshot) fail_msg("%s: %d", c->name, (int)w.found.snapshot);
        assert_int_equal(w.found.bad_snapshots, c->bad);
        assert_int_equal(w.found.log.next_offset, 351);
        assert_int_equal(world_count(&w, ".invalid"), c->set_aside);
        assert_int_equal(world_count(&w, ".lcsnap"), c->left);
        assert_int_equal(world_count(&w, ".tmp"), 0);
        /* And it goes on. */
        world_commit(&w, 10);
        assert_same_again(&w);
        lc_buf_deinit(&before);
        lc_buf_deinit(&after);
        world_deinit(&w);
    }
}

LC_TEST(reading_only_changes_nothing)
{
    for (size_t i = 0; i < LC_ARRAY_LEN(cases); i++) {
        const damage_case *c = &cases[i];
        world w;
        create_three(&w);
        lc_buf before = world_state(&w);
        world_close(&w);
        c->damage(&w);
        w.disk.fail_at = 1; /* whatever would change the disk fails */
        w.disk.ops = 0;
        assert_ok(world_open(&w, LC_STORAGE_READ_ONLY), &w.err);
        assert_true(lc_storage_is_read_only(w.storage));
        lc_buf after = world_state(&w);
        assert_states_equal(&before, &after);
        assert_int_equal(w.found.snapshot, c->snapshot);
        assert_int_equal(lc_storage_snapshot(w.storage, NULL, NULL, &w.err), LC_E_READ_ONLY);
        world_settle(&w);
        world_close(&w);
        assert_int_equal(w.disk.ops, 0);
        lc_buf_deinit(&before);
        lc_buf_deinit(&after);
        world_deinit(&w);
    }
}

/* --------------------------------------------------------- missing pieces */

/* Removes the segments whose first offset is in [from, to). */
static void remove_segments(world *w, uint64_t from, uint64_t to)
{
    lc_offset_list segments = {0};
    assert_ok(
        lc_storage_list(WORLD_FOLDER "/clog", &w->disk.disk, LC_SEGMENT_SUFFIX, &segments, &w->err),
        &w->err);
    assert_true(segments.len > 3);
    LC_VEC_EACH (first, &segments) {
        if (*first < from || *first >= to) continue;
        char *path = lc_format(LOG "%020llu.stdb.log", (unsigned long long)*first);
        world_remove(w, path);
        lc_free(path);
    }
    lc_vec_deinit(&segments);
}

/* First offset of the second segment. */
static uint64_t second_segment(world *w)
{
    lc_offset_list segments = {0};
    lc_storage_list(WORLD_FOLDER "/clog", &w->disk.disk, LC_SEGMENT_SUFFIX, &segments, NULL);
    uint64_t second = segments.items[segments.len - 2];
    lc_vec_deinit(&segments);
    return second;
}

LC_TEST(old_segments_are_not_needed)
{
    world w;
    create_three(&w);
    lc_buf before = world_state(&w);
    world_close(&w);
    remove_segments(&w, 0, 1 + second_segment(&w) / 2);
    assert_ok(world_open(&w, LC_STORAGE_OPEN), &w.err);
    lc_buf after = world_state(&w);
    assert_states_equal(&before, &after);
    lc_buf_deinit(&before);
    lc_buf_deinit(&after);
    world_deinit(&w);
}

LC_TEST(a_log_without_its_beginning_and_no_snapshot_is_refused)
{
    world w;
    create_three(&w);
    world_close(&w);
    uint64_t second = second_segment(&w);
    assert_true(second > 0 && second < 101);
    remove_segments(&w, 0, 1);
    flip_all(&w);
    char start[32];
    snprintf(start, sizeof start, "%llu", (unsigned long long)second);
    assert_refused(&w, LC_STORAGE_OPEN, LC_E_CORRUPT, start);
    assert_non_null(strstr(lc_error_text(&w.err), "00000000000000000101.lcsnap"));
    assert_non_null(strstr(lc_error_text(&w.err), "00000000000000000301.lcsnap"));
    world_deinit(&w);
}

LC_TEST(a_lost_log_is_refused)
{
    world w;
    create_three(&w);
    world_close(&w);
    remove_segments(&w, 0, UINT64_MAX);
    assert_refused(&w, LC_STORAGE_OPEN, LC_E_CORRUPT, "there are snapshots but no commit log");
    assert_refused(&w, LC_STORAGE_READ_ONLY, LC_E_CORRUPT, "there are snapshots but no commit log");
    world_deinit(&w);
}

LC_TEST(a_snapshot_that_knows_more_than_the_log_serves)
{
    world w;
    create_three(&w);
    world_reopen(&w);
    world_commit(&w, 50);
    assert_int_equal(world_snapshot(&w), 401);
    lc_buf before = world_state(&w);
    world_close(&w);
    remove_segments(&w, 260, UINT64_MAX);
    assert_ok(world_open(&w, LC_STORAGE_OPEN), &w.err);
    assert_int_equal(w.found.snapshot, 401);
    assert_int_equal(w.found.log.next_offset, 401);
    lc_buf after = world_state(&w);
    assert_states_equal(&before, &after);
    lc_buf_deinit(&before);
    lc_buf_deinit(&after);
    world_commit(&w, 20);
    assert_same_again(&w);
    assert_int_equal(w.found.log.next_offset, 421);
    world_deinit(&w);
}

LC_TEST(a_bit_flipped_before_the_newest_snapshot_does_no_harm)
{
    world w;
    create_three(&w);
    lc_buf before = world_state(&w);
    world_close(&w);
    memory_disk_file(&w.disk, LOG "00000000000000000000.stdb.log")->ptr[200] ^= 1;
    assert_ok(world_open(&w, LC_STORAGE_OPEN), &w.err);
    lc_buf after = world_state(&w);
    assert_states_equal(&before, &after);
    lc_buf_deinit(&before);
    lc_buf_deinit(&after);
    world_deinit(&w);
}

/* ------------------------------------------------------------------ listing */

LC_TEST(snapshots_are_found)
{
    world w;
    create_three(&w);
    world_close(&w);
    flip(&w, 201);
    world_snapshot_file(&w, 101)->len = 3;
    static const char *const folders[] = {WORLD_FOLDER, WORLD_FOLDER "/snapshots"};
    for (int i = 0; i < 4; i++) {
        bool verify = i >= 2;
        lc_snapshot_list list = {0};
        assert_ok(lc_snapshot_find(folders[i % 2], &w.disk.disk, verify, &list, &w.err), &w.err);
        assert_int_equal(list.len, 3);
        const lc_snapshot_info *info = list.items;
        assert_int_equal(info[0].offset, 301);
        assert_string_equal(info[0].name, "00000000000000000301.lcsnap");
        assert_true(info[0].is_valid);
        assert_string_equal(info[0].problem, "");
        assert_int_equal(info[0].taken_at, w.now);
        assert_int_equal(info[0].bytes, world_snapshot_file(&w, 301)->len);
        assert_true(verify ? info[0].rows > 200 && info[0].tables > 5 : info[0].rows == 0);
        assert_int_equal(info[1].offset, 201);
        assert_int_equal(info[1].is_valid, !verify);
        assert_int_equal(info[1].problem[0] != 0, verify);
        assert_false(info[2].is_valid);
        assert_string_equal(info[2].problem,
                            "00000000000000000101.lcsnap: position 0: the file ends here");
        lc_vec_deinit(&list);
    }
    world_deinit(&w);
}

int main(void)
{
    return LC_TEST_RUN(cmocka_unit_test(commits_are_there_again),
                       cmocka_unit_test(what_was_not_flushed_is_lost_by_a_crash),
                       cmocka_unit_test(a_transaction_without_change_is_logged_only_if_asked),
                       cmocka_unit_test(modes_want_what_they_say),
                       cmocka_unit_test(a_snapshot_and_the_log_behind_it),
                       cmocka_unit_test(a_snapshot_holds_its_moment),
                       cmocka_unit_test(progress_is_told),
                       cmocka_unit_test(any_damaged_snapshot_makes_no_difference),
                       cmocka_unit_test(reading_only_changes_nothing),
                       cmocka_unit_test(old_segments_are_not_needed),
                       cmocka_unit_test(a_log_without_its_beginning_and_no_snapshot_is_refused),
                       cmocka_unit_test(a_lost_log_is_refused),
                       cmocka_unit_test(a_snapshot_that_knows_more_than_the_log_serves),
                       cmocka_unit_test(a_bit_flipped_before_the_newest_snapshot_does_no_harm),
                       cmocka_unit_test(snapshots_are_found));
}
