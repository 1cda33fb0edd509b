/* What of the old is kept: the plan by itself, with a clock that is told what to say. */
#include "storage_test.h"

#define DAY (24 * 3600 * 1000000ll)
#define NOW (1700000000ll * 1000000)

static lc_care_list list;

/* Newest first: offset, age in days. */
static void add(uint64_t offset, double days)
{
    lc_care_snapshot c = {.header = {offset, NOW - (int64_t)(days * (double)DAY)}};
    lc_vec_push(&list, c);
}

static uint64_t plan(const lc_storage_policy *given)
{
    lc_storage_policy p = given ? *given : (lc_storage_policy){0};
    lc_storage_policy_fill(&p);
    return lc_care_plan(&list, &p, NOW);
}

/* The offsets kept, newest first. */
static void assert_kept(const char *want)
{
    lc_buf got = LC_BUF_INIT;
    LC_VEC_EACH (c, &list)
        if (c->is_kept)
            lc_buf_printf(&got, "%s%llu", got.len ? " " : "", (unsigned long long)c->header.offset);
    assert_span_text(lc_buf_span(&got), want);
    lc_buf_deinit(&got);
    lc_vec_deinit(&list);
}

LC_TEST(fewer_than_two_change_nothing)
{
    assert_int_equal(plan(NULL), 0);
    assert_kept("");
    add(100, 30);
    assert_int_equal(plan(NULL), 0);
    assert_kept("100");
}

LC_TEST(inside_the_window_all_of_the_log_stays)
{
    add(300, 0.001), add(200, 0.002), add(100, 0.003);
    assert_int_equal(plan(NULL), 0);
    assert_kept("300 200 100");
}

LC_TEST(many_of_one_day_are_thinned)
{
    /* 1700000000 is 22:13 in a day of 24 h; parts of the window are days. */
    add(600, 0.001), add(500, 0.002), add(400, 0.003), add(300, 0.004), add(200, 0.005),
        add(100, 0.006);
    assert_int_equal(plan(NULL), 0);
    assert_kept("600 500 100");
}

LC_TEST(the_newest_as_old_as_the_window_is_the_anchor)
{
    add(600, 0.001), add(500, 1), add(400, 6), add(300, 7.5), add(200, 8), add(100, 30);
    assert_int_equal(plan(NULL), 300);
    assert_kept("600 500 400 300");
    add(600, 0.001), add(500, 1), add(300, 7.01), add(200, 7.02); /* of one day */
    assert_int_equal(plan(NULL), 300);
    assert_kept("600 500 300");
}

LC_TEST(the_two_newest_stay_however_old)
{
    add(600, 20), add(500, 30), add(400, 40);
    assert_int_equal(plan(NULL), 500);
    assert_kept("600 500");
    add(600, 20), add(500, 30), add(400, 40), add(300, 50);
    assert_int_equal(plan(&(lc_storage_policy){.keep_snapshots = 3}), 500);
    assert_kept("600 500 400");
}

LC_TEST(keep_all_keeps_all)
{
    add(600, 20), add(500, 30), add(400, 40);
    assert_int_equal(plan(&(lc_storage_policy){.keep_all = true}), 0);
    assert_kept("600 500 400");
}

LC_TEST(there_is_an_anchor_every_day_from_now_on)
{
    /* Four snapshots a day for a hundred days, cared for after each: the log that is kept never
     * grows beyond the window and two parts of it, and always reaches back to its beginning. */
    lc_storage_policy p = {0};
    lc_storage_policy_fill(&p);
    lc_care_list all = {0};
    for (int quarter = 0; quarter < 400; quarter++) {
        int64_t now = NOW + quarter * DAY / 4;
        lc_care_list next = {0};
        lc_vec_push(&next, ((lc_care_snapshot){.header = {(uint64_t)quarter + 1, now}}));
        LC_VEC_EACH (c, &all) lc_vec_push(&next, *c);
        lc_vec_deinit(&all);
        uint64_t from = lc_care_plan(&next, &p, now);
        LC_VEC_EACH (c, &next)
            if (c->is_kept) lc_vec_push(&all, *c);
        lc_vec_deinit(&next);
        if (from == 0) {
            assert_true(quarter < 29); /* until one is as old as the window */
        } else {
            int64_t age = now - (NOW + ((int64_t)from - 1) * DAY / 4);
            assert_true(age >= p.keep_micros && age <= p.keep_micros + 2 * DAY);
        }
        assert_true(all.len <= 12);
    }
    lc_vec_deinit(&all);
}

LC_TEST(a_clock_that_ran_ahead_makes_nothing_old)
{
    /* 500 was taken while the clock showed next year; nobody knows when that was. */
    add(600, 0.001), add(500, -365), add(400, 6), add(300, 7.5), add(200, 8);
    assert_int_equal(plan(NULL), 300);
    assert_kept("600 500 400 300");
    /* All of them from the future: the clock went back. Nothing is known to be old. */
    add(600, -1), add(500, -2), add(400, -3);
    assert_int_equal(plan(NULL), 0);
    assert_kept("600 500 400");
}

/* Taken before the clock was set back: its time is of the future now, so nothing says it is old. */
LC_TEST(a_snapshot_of_the_future_is_no_anchor)
{
    add(600, 0), add(500, 0.001), add(400, -0.01), add(300, 30);
    assert_int_equal(plan(NULL), 300);
    assert_kept("600 500 300");
}

LC_TEST(a_clock_that_fell_back_makes_nothing_old)
{
    /* 500 was taken with a clock of 1970: younger than 400 all the same. */
    add(600, 0.001), add(500, 19000), add(400, 1), add(300, 8), add(200, 9);
    assert_int_equal(plan(NULL), 300);
    assert_kept("600 500 400 300");
}

LC_TEST(extreme_times_do_no_harm)
{
    lc_vec_push(&list, ((lc_care_snapshot){.header = {3, INT64_MAX}}));
    lc_vec_push(&list, ((lc_care_snapshot){.header = {2, INT64_MIN}}));
    lc_vec_push(&list, ((lc_care_snapshot){.header = {1, 0}}));
    assert_int_equal(plan(&(lc_storage_policy){.keep_micros = INT64_MAX}), 0);
    assert_kept("3 2 1");
    lc_vec_push(&list, ((lc_care_snapshot){.header = {3, 5}}));
    lc_vec_push(&list, ((lc_care_snapshot){.header = {2, 5}}));
    lc_vec_push(&list, ((lc_care_snapshot){.header = {1, 5}}));
    assert_int_equal(plan(&(lc_storage_policy){.keep_micros = 1}), 2);
    assert_kept("3 2");
}

int main(void)
{
    return LC_TEST_RUN(cmocka_unit_test(fewer_than_two_change_nothing),
                       cmocka_unit_test(inside_the_window_all_of_the_log_stays),
                       cmocka_unit_test(many_of_one_day_are_thinned),
                       cmocka_unit_test(the_newest_as_old_as_the_window_is_the_anchor),
                       cmocka_unit_test(the_two_newest_stay_however_old),
                       cmocka_unit_test(keep_all_keeps_all),
                       cmocka_unit_test(there_is_an_anchor_every_day_from_now_on),
                       cmocka_unit_test(a_clock_that_ran_ahead_makes_nothing_old),
                       cmocka_unit_test(a_snapshot_of_the_future_is_no_anchor),
                       cmocka_unit_test(a_clock_that_fell_back_makes_nothing_old),
                       cmocka_unit_test(extreme_times_do_no_harm));
}
