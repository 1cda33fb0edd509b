/*
 * Power failures on a disk that keeps any part of what was not synced, in any order. Whatever was
 * confirmed is there afterwards, whole, and nothing else stops the log from opening.
 */
#include "journal_test.h"

/* Keeps the n-th sector asked for if bit n says so; beyond 64 the bits repeat. From FIRST_ONLY on:
 * keeps the first bits - FIRST_ONLY sectors. */
#define FIRST_ONLY (1ull << 63)

typedef struct choice {
    uint64_t bits;
    unsigned asked;
} choice;

static bool keep(void *arg, uint64_t sector)
{
    (void)sector;
    choice *c = arg;
    if (c->bits >= FIRST_ONLY) return c->asked++ <= c->bits - FIRST_ONLY;
    return c->bits >> c->asked++ % 64 & 1;
}

/* Opens what the power failure left, checks, writes on, opens once more. Returns how many were
 * there. */
static uint64_t check_after(memory_disk *d, const lc_journal_options *o, uint64_t confirmed,
                            uint64_t written)
{
    test_log l;
    assert_ok(test_log_open(&l, d, o), &l.err);
    assert_in_range(l.stats.next_offset, confirmed, written);
    test_log_check(&l);
    uint64_t next = l.stats.next_offset;
    test_log_append(&l, next, 700);
    test_log_append(&l, next + 1, 70);
    test_log_flush(&l);
    assert_int_equal(l.durable, next + 2);
    test_log_end(&l);
    assert_ok(test_log_open(&l, d, o), &l.err);
    assert_int_equal(l.stats.next_offset, next + 2);
    test_log_check(&l);
    test_log_end(&l);
    return next;
}

/* The disk as the power fails while a group is written: before is the sizes of the commits
 * confirmed first, group those of the group; fail_at is the change it ends with. */
static void interrupt_group(memory_disk *d, const lc_journal_options *o, const size_t *before,
                            size_t befores, const size_t *group, size_t groups, uint64_t fail_at)
{
    memory_disk_init(d);
    test_log l;
    assert_ok(test_log_open(&l, d, o), &l.err);
    for (size_t i = 0; i < befores; i++) {
        test_log_append(&l, i, before[i]);
        lc_journal_submit(l.journal);
        assert_true(lc_journal_step(l.journal));
    }
    for (size_t i = 0; i < groups; i++) test_log_append(&l, befores + i, group[i]);
    d->ops = 0;
    d->fail_kinds = LC_OP_SYNC | LC_OP_OTHER;
    d->fail_at = fail_at;
    test_log_flush(&l);
    assert_int_equal(l.durable, befores);
    test_log_kill(&l, d);
}

/* The sync of the group fails; then every one of the choices. */
static void try_choices(const size_t *before, size_t befores, const size_t *group, size_t groups,
                        uint64_t first_choice, uint64_t choices)
{
    lc_journal_options o = {.max_segment_size = 1024 * 1024};
    memory_disk failed;
    interrupt_group(&failed, &o, before, befores, group, groups, 1);
    for (uint64_t bits = first_choice; bits < first_choice + choices; bits++) {
        memory_disk d;
        memory_disk_clone(&d, &failed);
        memory_disk_power_off(&d, keep, &(choice){bits, 0});
        check_after(&d, &o, befores, befores + groups);
        memory_disk_deinit(&d);
    }
    memory_disk_deinit(&failed);
}

/* Every subset of the sectors of a group that lies in zeros. */
LC_TEST(every_subset_of_a_groups_sectors)
{
    const size_t before[] = {100, 30};
    const size_t small[] = {10, 20, 30, 400, 5, 1500, 5, 5, 600, 300};
    const size_t large[] = {2600, 3, 900};
    const size_t aligned[] = {512 - 26, 512 - 26, 512 - 26, 1024 - 26, 512 - 26};
    try_choices(before, 2, small, LC_ARRAY_LEN(small), 0, 1 << 10);
    try_choices(before, 2, large, LC_ARRAY_LEN(large), 0, 1 << 10);
    try_choices(before, 2, aligned, LC_ARRAY_LEN(aligned), 0, 1 << 8);
    try_choices(before, 1, aligned, LC_ARRAY_LEN(aligned), 0, 1 << 8);
}

/* The group begins at every position of a sector, so headers are split everywhere. */
LC_TEST(every_position_in_a_sector)
{
    const size_t group[] = {40, 700, 20, 600, 1};
    for (size_t fill = 0; fill < LC_DISK_SECTOR + 40; fill++) {
        const size_t before[] = {300, fill};
        try_choices(before, 2, group, LC_ARRAY_LEN(group), 0, 1 << 5);
    }
}

/* Offsets whose low bytes are zero look unwritten themselves. */
LC_TEST(offsets_with_zero_bytes)
{
    size_t before[256];
    for (size_t i = 0; i < 256; i++) before[i] = 0;
    const size_t group[] = {40, 700, 20, 600, 1};
    for (size_t fill = 0; fill < LC_DISK_SECTOR; fill += 3) {
        before[255] = fill;
        try_choices(before, 256, group, LC_ARRAY_LEN(group), 0, 1 << 5);
    }
}

/* The group runs past the zeros: blocks and length are new, too. */
LC_TEST(group_beyond_the_zeros)
{
    const size_t before[] = {100, 30};
    size_t group[] = {63000, 1000, 20, 3000, 40, 500, 1};
    uint64_t state = 3;
    for (int i = 0; i < 600; i++) {
        uint64_t bits = lc_test_random(&state) % FIRST_ONLY;
        if (i % 3 == 0) bits |= (lc_test_random(&state) | lc_test_random(&state)) % FIRST_ONLY;
        try_choices(before, 2, group, LC_ARRAY_LEN(group), bits, 1);
        group[1] = 400 + (size_t)i;
    }
    /* The end is missing: the file is short. */
    try_choices(before, 2, group, LC_ARRAY_LEN(group), FIRST_ONLY, 150);
}

/* The first group of all: no segment is there yet. Its index takes 3 changes; then making the file,
 * the sync, the renaming, the sync of the folder. */
LC_TEST(first_group)
{
    lc_journal_options o = {.max_segment_size = 1024 * 1024};
    const size_t group[] = {40, 700, 20, 600, 1};
    for (uint64_t fail_at = 1; fail_at <= 7; fail_at++) {
        memory_disk failed;
        interrupt_group(&failed, &o, NULL, 0, group, LC_ARRAY_LEN(group), fail_at);
        for (uint64_t bits = 0; bits < 1 << 5; bits++) {
            memory_disk d;
            memory_disk_clone(&d, &failed);
            memory_disk_power_off(&d, keep, &(choice){bits, 0});
            check_after(&d, &o, 0, LC_ARRAY_LEN(group));
            memory_disk_deinit(&d);
        }
        memory_disk_deinit(&failed);
    }
}

/* No room for zeros ahead: a group that runs past them still shows that it was being written. */
LC_TEST(group_on_a_full_disk)
{
    lc_journal_options o = {.max_segment_size = 1024 * 1024};
    const size_t group[] = {40, 3000, 20, 600, 1, 900, 30};
    memory_disk full;
    memory_disk_init(&full);
    test_log l;
    assert_ok(test_log_open(&l, &full, &o), &l.err);
    for (uint64_t i = 0; i < 2; i++) {
        test_log_append(&l, i, i == 0 ? 100 : 65000);
        lc_journal_submit(l.journal);
        assert_true(lc_journal_step(l.journal));
    }
    uint64_t len = memory_disk_file(&full, TEST_FOLDER "/00000000000000000000.stdb.log")->len;
    full.capacity = len + 400; /* for the rest of the group, not for more */
    for (uint64_t i = 0; i < LC_ARRAY_LEN(group); i++) test_log_append(&l, 2 + i, group[i]);
    /* The file is made longer twice, to no avail and as a hole; then the sync fails, and taking the
     * group back. */
    full.ops = 0;
    full.fail_kinds = LC_OP_SYNC | LC_OP_OTHER;
    full.fail_at = 3;
    lc_journal_submit(l.journal);
    assert_true(lc_journal_step(l.journal));
    assert_int_equal(l.durable, 2);
    test_log_kill(&l, &full);
    full.capacity = 0;
    for (uint64_t bits = 0; bits < 1 << 11; bits++) {
        memory_disk d;
        memory_disk_clone(&d, &full);
        memory_disk_power_off(&d, keep, &(choice){bits, 0});
        check_after(&d, &o, 2, 2 + LC_ARRAY_LEN(group));
        memory_disk_deinit(&d);
    }
    memory_disk_deinit(&full);
}

/* What was read counts as durable, and so it has to be: it is still there after the next failure.
 */
LC_TEST(what_was_read_stays)
{
    lc_journal_options o = {.max_segment_size = 1024 * 1024};
    const size_t group[] = {40, 700, 20, 600, 1};
    uint64_t most = 0;
    for (uint64_t fail_at = 1; fail_at <= 7; fail_at++) {
        memory_disk d;
        interrupt_group(&d, &o, NULL, 0, group, LC_ARRAY_LEN(group), fail_at);
        test_log l;
        assert_ok(test_log_open(&l, &d, &o), &l.err);
        uint64_t read = l.stats.next_offset;
        if (read > most) most = read;
        test_log_kill(&l, &d);
        memory_disk_power_off(&d, keep, &(choice){0, 0});
        check_after(&d, &o, read, LC_ARRAY_LEN(group));
        memory_disk_deinit(&d);
    }
    assert_int_equal(most, LC_ARRAY_LEN(group));
}

/* RELAXED leaves many groups unsynced, in zeros and past them. Of those any part may be lost, but
 * what is found is a beginning. */
LC_TEST(many_unsynced_groups)
{
    lc_journal_options o = {.max_segment_size = 1024 * 1024, .durability = LC_DURABILITY_RELAXED};
    uint64_t state = 7, most = 0;
    for (size_t size = 50; size < 6000; size = size * 3 / 2) {
        memory_disk written;
        memory_disk_init(&written);
        test_log l;
        assert_ok(test_log_open(&l, &written, &o), &l.err);
        for (uint64_t i = 0; i < 40; i++) {
            test_log_append(&l, i, size + i * 7 % 50);
            if (i % 3) continue;
            lc_journal_submit(l.journal);
            assert_true(lc_journal_step(l.journal));
            if (i == 3) assert_false(lc_journal_step(l.journal)); /* synced up to here */
        }
        test_log_kill(&l, &written);
        for (int i = 0; i < 100; i++) {
            uint64_t bits = lc_test_random(&state) % FIRST_ONLY;
            if (i % 3 == 0) bits |= (lc_test_random(&state) | lc_test_random(&state)) % FIRST_ONLY;
            if (i == 0) bits = FIRST_ONLY + (1 << 20);
            memory_disk d;
            memory_disk_clone(&d, &written);
            memory_disk_power_off(&d, keep, &(choice){bits, 0});
            uint64_t found = check_after(&d, &o, 4, 40);
            if (found > most) most = found;
            memory_disk_deinit(&d);
        }
        memory_disk_deinit(&written);
    }
    assert_int_equal(most, 40);
}

/* The power fails at every single change of a longer story: rotation, closing, opening again. */
LC_TEST(every_moment)
{
    lc_journal_options o = {.max_segment_size = 4096};
    uint64_t state = 5;
    for (int subset = 0; subset < 6; subset++) {
        for (uint64_t at = 1;; at++) {
            memory_disk d;
            memory_disk_init(&d);
            d.fail_at = at;
            d.fail_errno = EIO;
            uint64_t confirmed = 0, written = 0;
            for (int life = 0; life < 3; life++) {
                test_log l;
                if (test_log_open(&l, &d, &o) == LC_OK) {
                    for (int group = 0; group < 4; group++) {
                        for (int i = 0; i < 4; i++) {
                            uint64_t next = lc_journal_next_offset(l.journal);
                            test_log_append(&l, next, (size_t)(150 * group + 10 * i));
                        }
                        test_log_flush(&l);
                        if (written < lc_journal_next_offset(l.journal))
                            written = lc_journal_next_offset(l.journal);
                    }
                    confirmed = lc_journal_durable_count(l.journal);
                }
                test_log_end(&l);
            }
            bool ran_out = d.ops < at;
            d.fail_at = 0;
            choice c = {subset == 0   ? 0
                        : subset == 1 ? UINT64_MAX
                                      : lc_test_random(&state) % FIRST_ONLY,
                        0};
            memory_disk_power_off(&d, keep, &c);
            check_after(&d, &o, confirmed, written);
            memory_disk_deinit(&d);
            if (ran_out) break;
        }
    }
}

/* What a lost sector leaves looks like this too, but the commits were confirmed: the index says so
 * for a log that was closed, and so it is refused. */
LC_TEST(zeroed_sector_of_a_closed_log_is_damage)
{
    memory_disk d;
    memory_disk_init(&d);
    test_log l;
    assert_ok(test_log_open(&l, &d, NULL), &l.err);
    for (uint64_t i = 0; i < 10; i++) test_log_append(&l, i, 600);
    test_log_end(&l);
    lc_buf *file = memory_disk_file(&d, TEST_FOLDER "/00000000000000000000.stdb.log");
    memset(file->ptr + 2 * LC_DISK_SECTOR, 0, LC_DISK_SECTOR);
    assert_int_equal(test_log_open(&l, &d, NULL), LC_E_CORRUPT);
    assert_non_null(strstr(lc_error_text(&l.err), "damage in the middle"));
    test_log_end(&l);
    /* Also if the log then crashed with zeros behind it. */
    memset(lc_buf_extend(file, 4096), 0, 4096);
    assert_int_equal(test_log_open(&l, &d, NULL), LC_E_CORRUPT);
    test_log_end(&l);
    memory_disk_deinit(&d);
}

int main(void)
{
    lc_log_set_level(LC_LOG_ERROR);
    return LC_TEST_RUN(
        cmocka_unit_test(every_subset_of_a_groups_sectors),
        cmocka_unit_test(every_position_in_a_sector), cmocka_unit_test(offsets_with_zero_bytes),
        cmocka_unit_test(group_beyond_the_zeros), cmocka_unit_test(first_group),
        cmocka_unit_test(group_on_a_full_disk), cmocka_unit_test(what_was_read_stays),
        cmocka_unit_test(many_unsynced_groups), cmocka_unit_test(every_moment),
        cmocka_unit_test(zeroed_sector_of_a_closed_log_is_damage));
}
