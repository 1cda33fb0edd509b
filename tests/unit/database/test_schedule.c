/* Scheduled tables when the clock is set, and after a restart (05 sections 6.2 to 6.4). */
#include "database_kit.h"

enum { SECOND = 1000000 };
#define HOUR (3600ll * SECOND)

static kit k;

static int set_up(void **state)
{
    (void)state;
    kit_init(&k);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    kit_deinit(&k);
    return 0;
}

static int64_t now(void)
{
    return atomic_load(&k.now);
}

static size_t fired(void)
{
    kit_numbers rows = {0};
    assert_int_equal(kit_sql(&k, "SELECT stamp FROM fired", &rows, NULL), LC_OK);
    size_t count = rows.len;
    lc_vec_deinit(&rows);
    return count;
}

LC_TEST(a_time_waits_for_the_wall_clock)
{
    int64_t at = now() + 10 * SECOND;
    kit_add_time(&k, 1, at);
    kit_advance(&k, 9 * SECOND);
    assert_int_equal(fired(), 0);
    kit_advance(&k, 2 * SECOND);
    assert_int_equal(fired(), 1);
    kit_expect_none(&k, "SELECT id FROM tick");
    kit_advance(&k, HOUR);
    assert_int_equal(fired(), 1);
}

LC_TEST(a_clock_set_forward_makes_due_what_it_overtakes)
{
    int64_t start = now();
    kit_add_time(&k, 1, start + HOUR);
    kit_add_interval(&k, 2, 10 * SECOND);
    kit_jump(&k, 2 * HOUR);
    assert_int_equal(fired(), 2); /* the interval once: what was missed is not made up for */
    kit_expect_numbers(&k, "SELECT id FROM tick", 2);
    kit_numbers stamps = {0};
    assert_int_equal(kit_sql(&k, "SELECT stamp FROM fired", &stamps, NULL), LC_OK);
    assert_true(stamps.items[0] >= start + 2 * HOUR);
    lc_vec_deinit(&stamps);
    kit_advance(&k, 9 * SECOND); /* its phase is kept */
    assert_int_equal(fired(), 2);
    kit_advance(&k, SECOND);
    assert_int_equal(fired(), 3);
}

LC_TEST(a_clock_set_back_does_not_hold_up_intervals)
{
    int64_t start = now();
    kit_add_time(&k, 1, start + 5 * SECOND);
    kit_add_interval(&k, 2, 10 * SECOND);
    kit_add_interval(&k, 3, 60 * SECOND);
    kit_advance(&k, 2 * SECOND);
    kit_jump(&k, -HOUR);
    assert_int_equal(fired(), 0);
    kit_advance(&k, 7 * SECOND);
    assert_int_equal(fired(), 0); /* the time is an hour away again */
    kit_advance(&k, SECOND);
    assert_int_equal(fired(), 1); /* ten seconds after it was added */
    for (int i = 1; i <= 4; i++) {
        kit_advance(&k, 10 * SECOND);
        assert_int_equal(fired(), 1 + i);
    }
    kit_advance(&k, 10 * SECOND);
    assert_int_equal(fired(), 7); /* with the slow one */
    /* Stamps never go back. */
    kit_numbers stamps = {0};
    assert_int_equal(kit_sql(&k, "SELECT stamp FROM fired", &stamps, NULL), LC_OK);
    assert_int_equal(stamps.len, 7);
    assert_true(stamps.items[0] >= start);
    lc_vec_deinit(&stamps);
    kit_advance(&k, start + 5 * SECOND - now());
    kit_expect_numbers(&k, "SELECT id FROM tick", 2, 3);
}

LC_TEST(what_is_added_after_the_clock_was_set_back_runs_in_time)
{
    int64_t start = now();
    assert_int_equal(fired(), 0); /* a transaction of before */
    kit_jump(&k, -HOUR);
    /* Modules reckon from their timestamp, which is that of before and a little more. */
    kit_add_time(&k, 1, start + 5 * SECOND);
    kit_add_interval(&k, 2, 10 * SECOND);
    kit_advance(&k, 6 * SECOND);
    assert_int_equal(fired(), 1);
    kit_advance(&k, 4 * SECOND);
    assert_int_equal(fired(), 2);
    kit_advance(&k, 10 * SECOND);
    assert_int_equal(fired(), 3);
    kit_expect_numbers(&k, "SELECT id FROM tick", 2);
}

LC_TEST(after_a_restart_overdue_times_run_and_intervals_begin_anew)
{
    int64_t start = now();
    kit_add_time(&k, 1, start + 5 * SECOND);
    kit_add_time(&k, 2, start + HOUR);
    kit_add_interval(&k, 3, 10 * SECOND);
    kit_advance(&k, 4 * SECOND);
    kit_close(&k, true);
    atomic_fetch_add(&k.now, 7 * SECOND);
    kit_open(&k, NULL);
    kit_settle(&k);
    assert_int_equal(fired(), 1);
    kit_expect_numbers(&k, "SELECT id FROM tick", 2, 3);
    kit_advance(&k, 9 * SECOND);
    assert_int_equal(fired(), 1);
    kit_advance(&k, SECOND);
    assert_int_equal(fired(), 2);
}

LC_TEST(a_clock_that_went_back_over_a_restart_loses_nothing)
{
    int64_t start = now();
    kit_add_time(&k, 1, start + 5 * SECOND);
    kit_add_interval(&k, 2, 10 * SECOND);
    kit_close(&k, true);
    atomic_fetch_sub(&k.now, HOUR);
    kit_open(&k, NULL);
    kit_advance(&k, 10 * SECOND);
    assert_int_equal(fired(), 1);
    kit_advance(&k, HOUR);
    kit_expect_numbers(&k, "SELECT id FROM tick", 2);
    assert_true(fired() > 1);
}

#define SCHEDULE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    return LC_TEST_RUN(SCHEDULE_TEST(a_time_waits_for_the_wall_clock),
                       SCHEDULE_TEST(a_clock_set_forward_makes_due_what_it_overtakes),
                       SCHEDULE_TEST(a_clock_set_back_does_not_hold_up_intervals),
                       SCHEDULE_TEST(what_is_added_after_the_clock_was_set_back_runs_in_time),
                       SCHEDULE_TEST(after_a_restart_overdue_times_run_and_intervals_begin_anew),
                       SCHEDULE_TEST(a_clock_that_went_back_over_a_restart_loses_nothing));
}
