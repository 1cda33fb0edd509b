/*
 * Event loops: one uv loop per I/O thread, tasks posted from other threads, timers.
 */
#include "net/net_internal.h"

static void run_tasks(lc_loop *l)
{
    lc_task *newest = atomic_exchange(&l->tasks, NULL);
    lc_task *oldest = NULL;
    while (newest) {
        lc_task *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest) {
        lc_task *task = oldest;
        oldest = oldest->next;
        task->run(task);
    }
}

static void close_everything(lc_loop *l)
{
    l->is_stopping = true;
    for (lc_conn *c = l->conns, *next; c; c = next) {
        next = c->next;
        lc_conn_abort(c);
    }
}

static void on_async(uv_async_t *async)
{
    lc_loop *l = async->data;
    /* Cleared before the list is taken: a task pushed after that wakes the loop again. */
    atomic_store(&l->is_woken, false);
    run_tasks(l);
    if (atomic_load(&l->must_stop) && !l->is_stopping) {
        close_everything(l);
        uv_stop(&l->uv);
    }
}

static void end_turn(lc_loop *l)
{
    if (l->turn_end) l->turn_end(l->turn_end_arg);
    while (l->dirty) {
        lc_conn *c = l->dirty;
        l->dirty = c->next_dirty;
        c->is_dirty = false;
        lc_conn_flush(c);
    }
}

static void on_check(uv_check_t *check)
{
    end_turn(check->data);
}

static void on_prepare(uv_prepare_t *prepare)
{
    end_turn(prepare->data);
}

lc_loop *lc_loop_create(void)
{
    lc_loop *l = lc_alloc_zero(sizeof *l);
    int rc = uv_loop_init(&l->uv);
    if (rc < 0) LC_BUG("cannot create an event loop: %s", uv_strerror(rc));
    uv_async_init(&l->uv, &l->async, on_async);
    l->async.data = l;
    uv_check_init(&l->uv, &l->after_poll);
    uv_prepare_init(&l->uv, &l->before_poll);
    l->after_poll.data = l->before_poll.data = l;
    uv_check_start(&l->after_poll, on_check);
    uv_prepare_start(&l->before_poll, on_prepare);
    uv_unref((uv_handle_t *)&l->after_poll);
    uv_unref((uv_handle_t *)&l->before_poll);
    l->read_buffer = lc_alloc(LC_READ_BUFFER);
    return l;
}

void lc_loop_stop(lc_loop *l)
{
    atomic_store(&l->must_stop, true);
    uv_async_send(&l->async);
}

bool lc_loop_is_stopping(const lc_loop *l)
{
    return atomic_load(&l->must_stop);
}

void lc_loop_destroy(lc_loop *l)
{
    uv_loop_close(&l->uv);
    lc_free(l->read_buffer);
    lc_free(l);
}

void lc_loop_post(lc_loop *l, lc_task *task)
{
    lc_task *head = atomic_load_explicit(&l->tasks, memory_order_relaxed);
    do task->next = head;
    while (!atomic_compare_exchange_weak(&l->tasks, &head, task));
    if (!atomic_exchange(&l->is_woken, true)) uv_async_send(&l->async);
}

void lc_loop_on_turn_end(lc_loop *l, void (*fn)(void *arg), void *arg)
{
    l->turn_end = fn;
    l->turn_end_arg = arg;
}

void *lc_loop_user(const lc_loop *l)
{
    return l->user;
}

void lc_loop_set_user(lc_loop *l, void *user)
{
    l->user = user;
}

uint64_t lc_loop_now_millis(const lc_loop *l)
{
    return uv_now(&l->uv);
}

/* -------------------------------------------------------------------- timers */

struct lc_timer {
    uv_timer_t uv;
    void (*fn)(void *arg);
    void *arg;
};

static void timer_closed(uv_handle_t *h)
{
    lc_free(LC_CONTAINER(h, lc_timer, uv));
}

static void timer_fired(uv_timer_t *h)
{
    lc_timer *t = LC_CONTAINER(h, lc_timer, uv);
    void (*fn)(void *) = t->fn;
    void *arg = t->arg;
    uv_close((uv_handle_t *)h, timer_closed);
    fn(arg);
}

/* The loop ends. Connections are closed already, so that every timer still there is an lc_timer. */
static void close_handle(uv_handle_t *h, void *arg)
{
    (void)arg;
    if (!uv_is_closing(h)) uv_close(h, uv_handle_get_type(h) == UV_TIMER ? timer_closed : NULL);
}

lc_timer *lc_timer_start(lc_loop *l, uint64_t after_millis, void (*fn)(void *arg), void *arg)
{
    lc_timer *t = lc_alloc_zero(sizeof *t);
    t->fn = fn;
    t->arg = arg;
    uv_timer_init(&l->uv, &t->uv);
    uv_timer_start(&t->uv, timer_fired, after_millis, 0);
    return t;
}

void lc_timer_cancel(lc_timer *t)
{
    uv_timer_stop(&t->uv);
    uv_close((uv_handle_t *)&t->uv, timer_closed);
}

/* ------------------------------------------------------------------- running */

void lc_loop_run(lc_loop *l)
{
    uv_run(&l->uv, UV_RUN_DEFAULT);
    run_tasks(l); /* what was posted while stopping must not be lost */
    uv_walk(&l->uv, close_handle, NULL);
    while (uv_run(&l->uv, UV_RUN_DEFAULT) != 0) continue;
}
