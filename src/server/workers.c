/* Threads for everything that may block: started on demand, ended when idle. */
#include "server_internal.h"

#include <errno.h>
#include <time.h>

typedef struct job {
    struct job *next;
    void (*fn)(void *arg);
    void *arg;
} job;

struct lc_workers {
    pthread_mutex_t lock;
    pthread_cond_t wake; /* work came, or the end */
    pthread_cond_t ended;
    job *first;
    job **last;
    size_t waiting; /* jobs */
    uint32_t threads;
    uint32_t idle; /* of them */
    bool is_stopping;
};

lc_workers *lc_workers_create(void)
{
    lc_workers *w = lc_alloc_zero(sizeof *w);
    w->last = &w->first;
    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w->wake, &attr);
    pthread_condattr_destroy(&attr);
    pthread_cond_init(&w->ended, NULL);
    return w;
}

/* Lock held. False: nothing came for long enough. */
static bool wait_for_job(lc_workers *w)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += LC_WORKER_IDLE_MILLIS / 1000;
    w->idle++;
    int rc = 0;
    while (!w->first && !w->is_stopping && rc != ETIMEDOUT)
        rc = pthread_cond_timedwait(&w->wake, &w->lock, &until);
    w->idle--;
    return w->first || (rc != ETIMEDOUT && !w->is_stopping);
}

static void *worker_main(void *arg)
{
    lc_workers *w = arg;
    pthread_setname_np(pthread_self(), "lc-worker");
    pthread_mutex_lock(&w->lock);
    for (;;) {
        job *j = w->first;
        if (!j) {
            if (wait_for_job(w)) continue;
            break;
        }
        w->first = j->next;
        if (!w->first) w->last = &w->first;
        w->waiting--;
        pthread_mutex_unlock(&w->lock);
        j->fn(j->arg);
        lc_free(j);
        pthread_mutex_lock(&w->lock);
    }
    if (--w->threads == 0) pthread_cond_broadcast(&w->ended);
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

/* Lock held. */
static bool start_thread(lc_workers *w)
{
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, 8u << 20); /* compilers recurse */
    pthread_t thread;
    int rc = pthread_create(&thread, &attr, worker_main, w);
    pthread_attr_destroy(&attr);
    if (rc == 0)
        w->threads++;
    else
        lc_log(LC_LOG_ERROR, "cannot start a worker thread: %s", strerror(rc));
    return rc == 0;
}

void lc_workers_submit(lc_workers *w, void (*fn)(void *arg), void *arg)
{
    job *j = lc_alloc(sizeof *j);
    *j = (job){.fn = fn, .arg = arg};
    pthread_mutex_lock(&w->lock);
    *w->last = j;
    w->last = &j->next;
    w->waiting++;
    bool can_run = true;
    if (w->idle >= w->waiting)
        pthread_cond_signal(&w->wake);
    else if (w->threads < LC_NODE_MAX_WORKERS)
        can_run = start_thread(w) || w->threads > 0;
    if (!can_run) { /* alone: better late than never */
        w->first = NULL;
        w->last = &w->first;
        w->waiting = 0;
    }
    pthread_mutex_unlock(&w->lock);
    if (!can_run) {
        fn(arg);
        lc_free(j);
    }
}

void lc_workers_destroy(lc_workers *w)
{
    if (!w) return;
    pthread_mutex_lock(&w->lock);
    w->is_stopping = true;
    pthread_cond_broadcast(&w->wake);
    while (w->threads) pthread_cond_wait(&w->ended, &w->lock);
    pthread_mutex_unlock(&w->lock);
    pthread_cond_destroy(&w->wake);
    pthread_cond_destroy(&w->ended);
    pthread_mutex_destroy(&w->lock);
    lc_free(w);
}
