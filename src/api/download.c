/*
 * Answers that are larger than memory should be: the worker writes, the loop sends, and the worker
 * waits while the client has enough to take.
 */
#include "api/api_internal.h"

#include <pthread.h>
#include <time.h>

enum {
    WINDOW = 1 << 20, /* bytes that wait here; as many again are in the connection's hands */
    PATIENCE_SECONDS = 1,
};

typedef struct lc_download {
    lc_task task;
    lc_exchange *exchange;
    lc_loop *loop;
    pthread_mutex_t lock;
    pthread_cond_t moved;
    lc_buf waiting;
    bool is_posted;
    bool is_gone;
    bool is_broken; /* the worker's */
    bool has_begun; /* the loop's */
} lc_download;

static void on_close(void *arg)
{
    lc_download *d = arg;
    pthread_mutex_lock(&d->lock);
    d->is_gone = true;
    pthread_cond_signal(&d->moved);
    pthread_mutex_unlock(&d->lock);
}

static lc_buf take_waiting(lc_download *d)
{
    pthread_mutex_lock(&d->lock);
    lc_buf taken = d->waiting;
    d->waiting = LC_BUF_INIT;
    pthread_cond_signal(&d->moved);
    pthread_mutex_unlock(&d->lock);
    return taken;
}

/* On the loop: gives the socket more, unless it still has enough. */
static void forward(void *arg)
{
    lc_download *d = arg;
    lc_http_request *r = d->exchange->request;
    if (lc_http_stream_backlog(r) >= WINDOW) return; /* called again when it was taken */
    lc_buf taken = take_waiting(d);
    lc_http_stream_write(r, lc_buf_span(&taken));
    lc_buf_deinit(&taken);
}

static void begin(lc_download *d)
{
    if (d->has_begun) return;
    lc_exchange *x = d->exchange;
    d->has_begun = true;
    lc_exchange_put_headers(x);
    lc_http_stream_begin(x->request, x->status, x->content_type, on_close, d);
    lc_http_stream_on_taken(x->request, forward, d);
}

static void run_posted(lc_task *task)
{
    lc_download *d = LC_CONTAINER(task, lc_download, task);
    pthread_mutex_lock(&d->lock);
    d->is_posted = false;
    pthread_mutex_unlock(&d->lock);
    begin(d);
    forward(d);
}

static lc_download *download_create(lc_exchange *x)
{
    lc_download *d = lc_alloc_zero(sizeof *d);
    d->task.run = run_posted;
    d->exchange = x;
    d->loop = lc_http_loop(x->request);
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->moved, NULL);
    return d;
}

/* Lock held. A loop that was told to stop may never run our task: hence the look now and then. */
static void wait_for_room(lc_download *d)
{
    while (d->waiting.len >= WINDOW && !d->is_gone) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += PATIENCE_SECONDS;
        pthread_cond_timedwait(&d->moved, &d->lock, &until);
        d->is_gone |= lc_loop_is_stopping(d->loop);
    }
}

lc_status lc_exchange_write(lc_exchange *x, lc_span bytes, lc_error *err)
{
    if (!x->download) x->download = download_create(x);
    lc_download *d = x->download;
    pthread_mutex_lock(&d->lock);
    wait_for_room(d);
    bool is_gone = d->is_gone, must_post = !is_gone && !d->is_posted;
    if (!is_gone) lc_buf_put_span(&d->waiting, bytes);
    if (must_post) d->is_posted = true;
    pthread_mutex_unlock(&d->lock);
    if (must_post) lc_loop_post(d->loop, &d->task);
    return is_gone ? lc_error_set(err, LC_E_CLOSED, "the client went away") : LC_OK;
}

void lc_exchange_break(lc_exchange *x)
{
    if (x->download) x->download->is_broken = true;
}

void lc_download_finish(lc_download *d)
{
    lc_http_request *r = d->exchange->request;
    begin(d);
    lc_buf rest = take_waiting(d);
    lc_http_stream_write(r, lc_buf_span(&rest));
    lc_buf_deinit(&rest);
    if (d->is_broken)
        lc_http_stream_break(r);
    else
        lc_http_stream_end(r);
    pthread_mutex_destroy(&d->lock);
    pthread_cond_destroy(&d->moved);
    lc_free(d);
}
