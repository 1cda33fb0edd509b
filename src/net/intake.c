/*
 * A body too large to be gathered: the loop puts in what arrives, a thread that may block takes it
 * out. Nothing is lost, and what waits here is bounded, because the connection is not read while it
 * is full.
 */
#include "net/net_internal.h"

#include <time.h>

struct lc_intake {
    lc_task task;
    lc_loop *loop;
    void (*resume)(void *arg);
    void *arg;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    lc_buf bytes; /* those from `at` on wait to be read */
    size_t at;
    bool has_ended;
    bool is_whole;
    bool was_full; /* the loop waits to be told of room */
    bool is_posted;
};

static void run_resume(lc_task *task)
{
    lc_intake *k = LC_CONTAINER(task, lc_intake, task);
    pthread_mutex_lock(&k->lock);
    k->is_posted = false;
    pthread_mutex_unlock(&k->lock);
    k->resume(k->arg);
}

lc_intake *lc_intake_create(lc_loop *loop, void (*resume)(void *arg), void *arg)
{
    lc_intake *k = lc_alloc_zero(sizeof *k);
    k->task.run = run_resume;
    k->loop = loop;
    k->resume = resume;
    k->arg = arg;
    pthread_mutex_init(&k->lock, NULL);
    pthread_cond_init(&k->changed, NULL);
    return k;
}

void lc_intake_destroy(lc_intake *k)
{
    if (!k) return;
    lc_buf_deinit(&k->bytes);
    pthread_mutex_destroy(&k->lock);
    pthread_cond_destroy(&k->changed);
    lc_free(k);
}

void lc_intake_put(lc_intake *k, lc_span bytes)
{
    pthread_mutex_lock(&k->lock);
    lc_buf_put_span(&k->bytes, bytes);
    pthread_cond_signal(&k->changed);
    pthread_mutex_unlock(&k->lock);
}

bool lc_intake_is_full(lc_intake *k)
{
    pthread_mutex_lock(&k->lock);
    bool is_full = k->bytes.len - k->at >= LC_HTTP_MAX_INTAKE;
    k->was_full |= is_full;
    pthread_mutex_unlock(&k->lock);
    return is_full;
}

void lc_intake_end(lc_intake *k, bool is_whole)
{
    pthread_mutex_lock(&k->lock);
    if (!k->has_ended) k->is_whole = is_whole;
    k->has_ended = true;
    pthread_cond_signal(&k->changed);
    pthread_mutex_unlock(&k->lock);
}

/* Lock held. */
static bool is_ready(const lc_intake *k)
{
    return k->at < k->bytes.len || k->has_ended;
}

bool lc_intake_wait(lc_intake *k, uint32_t millis)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += millis / 1000;
    until.tv_nsec += (long)(millis % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    int rc = 0;
    pthread_mutex_lock(&k->lock);
    while (!is_ready(k) && rc == 0) rc = pthread_cond_timedwait(&k->changed, &k->lock, &until);
    bool ready = is_ready(k);
    pthread_mutex_unlock(&k->lock);
    return ready;
}

ssize_t lc_intake_read(lc_intake *k, void *buf, size_t n, lc_error *err)
{
    pthread_mutex_lock(&k->lock);
    while (!is_ready(k)) pthread_cond_wait(&k->changed, &k->lock);
    size_t left = k->bytes.len - k->at;
    bool is_broken = k->has_ended && !k->is_whole;
    if (n > left) n = left;
    if (n) memcpy(buf, k->bytes.ptr + k->at, n);
    k->at += n;
    if (k->at == k->bytes.len) {
        lc_buf_reset(&k->bytes);
        k->at = 0;
    }
    /* Half empty before the client may go on, so that the loop is not woken for every read. */
    bool must_resume =
        k->was_full && !k->is_posted && k->bytes.len - k->at <= LC_HTTP_MAX_INTAKE / 2;
    if (must_resume) {
        k->was_full = false;
        k->is_posted = true;
    }
    pthread_mutex_unlock(&k->lock);
    if (must_resume) lc_loop_post(k->loop, &k->task);
    if (n == 0 && is_broken) {
        lc_error_set(err, LC_E_CLOSED, "the client went away before its request was whole");
        return -1;
    }
    return (ssize_t)n;
}
