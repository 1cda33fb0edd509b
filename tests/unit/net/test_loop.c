/* Loops without sockets: tasks from many threads, timers, the end; listeners. */
#include "net_kit.h"

#include <unistd.h>

enum { THREADS = 4, TASKS = 20000 };

typedef struct counted {
    lc_task task;
    uint32_t thread, number;
} counted;

static uint32_t next_number[THREADS]; /* the loop's thread alone touches these */
static _Atomic uint64_t done;
static _Atomic uint64_t turns;

static void count_turn(void *arg)
{
    (void)arg;
    turns++;
}

static void run_counted(lc_task *task)
{
    counted *c = LC_CONTAINER(task, counted, task);
    assert_int_equal(c->number, next_number[c->thread]++);
    lc_free(c);
    done++;
}

static void *run_loop(void *arg)
{
    lc_loop_run(arg);
    return NULL;
}

typedef struct poster {
    lc_loop *loop;
    uint32_t thread;
} poster;

static void *post_many(void *arg)
{
    poster *p = arg;
    for (uint32_t i = 0; i < TASKS; i++) {
        counted *c = lc_alloc_zero(sizeof *c);
        *c = (counted){.task = {.run = run_counted}, .thread = p->thread, .number = i};
        lc_loop_post(p->loop, &c->task);
        if (i % 1000 == 999) usleep(100);
    }
    return NULL;
}

LC_TEST(tasks_of_a_thread_run_once_and_in_order)
{
    lc_loop *loop = lc_loop_create();
    lc_loop_on_turn_end(loop, count_turn, NULL);
    pthread_t runner, threads[THREADS];
    poster posters[THREADS];
    pthread_create(&runner, NULL, run_loop, loop);
    for (uint32_t i = 0; i < THREADS; i++) {
        posters[i] = (poster){loop, i};
        pthread_create(&threads[i], NULL, post_many, &posters[i]);
    }
    for (uint32_t i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    kit_wait_for(&done, (uint64_t)THREADS * TASKS);
    /* One that comes when the loop sleeps wakes it. */
    for (int i = 0; i < 20; i++) {
        usleep(3000);
        counted *c = lc_alloc_zero(sizeof *c);
        *c = (counted){.task = {.run = run_counted}, .number = TASKS + (uint32_t)i};
        lc_loop_post(loop, &c->task);
        kit_wait_for(&done, (uint64_t)THREADS * TASKS + (uint64_t)i + 1);
    }
    lc_loop_stop(loop);
    pthread_join(runner, NULL);
    lc_loop_destroy(loop);
}

static char order[16];
static lc_timer *to_cancel;

static void mark(void *arg)
{
    strcat(order, arg);
}

static void mark_and_cancel(void *arg)
{
    mark(arg);
    lc_timer_cancel(to_cancel);
}

static void mark_and_stop(void *arg)
{
    mark("e");
    lc_loop_stop(arg);
}

LC_TEST(timers_fire_once_in_their_order)
{
    lc_loop *loop = lc_loop_create();
    lc_loop_set_user(loop, order);
    assert_ptr_equal(lc_loop_user(loop), order);
    uint64_t start = kit_millis();
    lc_timer_start(loop, 60, mark_and_stop, loop);
    lc_timer_start(loop, 20, mark, "b");
    lc_timer_start(loop, 30, mark_and_cancel, "c");
    to_cancel = lc_timer_start(loop, 40, mark, "x");
    lc_timer_start(loop, 0, mark, "a");
    lc_timer_start(loop, 50, mark, "d");
    lc_timer_cancel(lc_timer_start(loop, 10, mark, "y"));
    lc_timer_start(loop, 100000, mark, "z"); /* freed with the loop */
    lc_loop_run(loop);
    assert_string_equal(order, "abcde");
    assert_in_range(kit_millis() - start, 55, 5000);
    lc_loop_destroy(loop);
}

static void stop_again(lc_task *task)
{
    (void)task;
    done++;
}

LC_TEST(what_is_posted_before_the_end_still_runs)
{
    done = 0;
    lc_loop *loop = lc_loop_create();
    lc_task tasks[3] = {{.run = stop_again}, {.run = stop_again}, {.run = stop_again}};
    for (int i = 0; i < 3; i++) {
        lc_loop_post(loop, &tasks[i]);
        if (i == 1) lc_loop_stop(loop);
    }
    lc_loop_run(loop);
    assert_int_equal(done, 3);
    lc_loop_destroy(loop);
}

static size_t no_limit(void *arg, lc_http_request *r)
{
    (void)arg;
    (void)r;
    return SIZE_MAX;
}

static void answer(void *arg, lc_http_request *r)
{
    (void)arg;
    lc_http_respond(r, 200, NULL, LC_STR("ok"));
}

LC_TEST(loops_share_a_listener)
{
    static const lc_http_handler handler = {.body_limit = no_limit, .handle = answer};
    lc_loop *loops[3];
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) loops[i] = lc_loop_create();
    lc_listener *l, *second;
    lc_error err = LC_ERROR_INIT;
    kit_server s = {0};
    assert_ok(lc_listener_create(loops, 3, "localhost", 0, &handler, &l, &s.port, &err), &err);
    assert_true(s.port != 0);
    for (int i = 0; i < 3; i++) pthread_create(&threads[i], NULL, run_loop, loops[i]);
    int fds[100];
    for (int i = 0; i < 100; i++) {
        fds[i] = kit_connect(&s, 0);
        kit_send_text(fds[i], "GET / HTTP/1.1\r\n\r\n");
    }
    for (int i = 0; i < 100; i++) kit_expect(fds[i], "", 200, "ok");

    uint16_t port = 0;
    assert_int_equal(
        lc_listener_create(loops, 1, "127.0.0.1", s.port, &handler, &second, &port, &err), LC_E_IO);
    assert_non_null(strstr(lc_error_text(&err), "is already in use"));
    assert_int_equal(
        lc_listener_create(loops, 1, "no.such.host.invalid", 0, &handler, &second, &port, &err),
        LC_E_IO);
    assert_non_null(strstr(lc_error_text(&err), "no.such.host.invalid"));
    assert_int_equal(lc_listener_create(loops, 1, "192.0.2.1", 0, &handler, &second, &port, &err),
                     LC_E_IO);
    assert_non_null(strstr(lc_error_text(&err), "192.0.2.1"));
    lc_error_clear(&err);

    /* Stopped: who is connected goes on. */
    lc_listener_stop(l);
    usleep(50000);
    for (int i = 0; i < 100; i++) {
        kit_expect(fds[i], "GET / HTTP/1.1\r\n\r\n", 200, "ok");
        close(fds[i]);
    }
    for (int i = 0; i < 3; i++) lc_loop_stop(loops[i]);
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < 3; i++) lc_loop_destroy(loops[i]);
    lc_listener_destroy(l);
}

int main(void)
{
    return LC_TEST_RUN(cmocka_unit_test(tasks_of_a_thread_run_once_and_in_order),
                       cmocka_unit_test(timers_fire_once_in_their_order),
                       cmocka_unit_test(what_is_posted_before_the_end_still_runs),
                       cmocka_unit_test(loops_share_a_listener));
}
