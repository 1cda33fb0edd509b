/*
 * Module logs, at once or followed (04 section 2.5).
 */
#include "api/routes.h"

#include <pthread.h>

enum {
    MAX_FOLLOW_LINES = 2500,
    MAX_BACKLOG = 4 << 20, /* bytes a slow reader may be behind; what comes then is lost to it */
};

/* One follower. Held by the loop's request and by the log's reader list; lines come on any thread.
 */
typedef struct log_stream {
    lc_task task;
    atomic_int refs;
    lc_loop *loop;
    lc_database *database;
    lc_log_reader *reader;
    lc_http_request *request; /* the loop's; NULL once ended */
    pthread_mutex_t lock;
    lc_buf lines; /* under lock */
    bool is_posted;
    bool is_over;
} log_stream;

static void stream_unref(log_stream *s)
{
    if (atomic_fetch_sub(&s->refs, 1) != 1) return;
    lc_buf_deinit(&s->lines);
    pthread_mutex_destroy(&s->lock);
    lc_database_unref(s->database);
    lc_free(s);
}

/* Any thread: a new line, or the end of the log. */
static void on_line(void *arg, lc_span line)
{
    log_stream *s = arg;
    pthread_mutex_lock(&s->lock);
    if (!line.ptr)
        s->is_over = true;
    else if (s->lines.len + line.len <= MAX_BACKLOG)
        lc_buf_put_span(&s->lines, line);
    bool must_post = !s->is_posted;
    s->is_posted = true;
    pthread_mutex_unlock(&s->lock);
    if (!must_post) return;
    atomic_fetch_add(&s->refs, 1);
    lc_loop_post(s->loop, &s->task);
}

static void forward(lc_task *task)
{
    log_stream *s = LC_CONTAINER(task, log_stream, task);
    pthread_mutex_lock(&s->lock);
    lc_buf lines = s->lines;
    bool is_over = s->is_over;
    s->lines = LC_BUF_INIT;
    s->is_posted = false;
    pthread_mutex_unlock(&s->lock);
    if (s->request) {
        if (lc_http_stream_backlog(s->request) < MAX_BACKLOG)
            lc_http_stream_write(s->request, lc_buf_span(&lines));
        if (is_over) {
            lc_http_request *r = s->request;
            s->request = NULL;
            lc_http_stream_end(r);
            stream_unref(s); /* the request's */
        }
    }
    lc_buf_deinit(&lines);
    stream_unref(s);
}

/* The client went away. */
static void on_client_gone(void *arg)
{
    log_stream *s = arg;
    lc_http_request *r = s->request;
    s->request = NULL;
    lc_http_stream_end(r);
    lc_database_unfollow_log(s->database, s->reader);
    stream_unref(s);
}

static void start_stream(lc_exchange *x)
{
    log_stream *s = x->on_loop_arg;
    s->request = x->request;
    lc_http_stream_begin(x->request, 200, "application/x-ndjson", on_client_gone, s);
    lc_http_stream_write(x->request, lc_buf_span(&x->body));
    lc_loop_post(s->loop, &s->task); /* lines that came meanwhile; the task's reference is taken */
}

static void follow(lc_exchange *x, lc_database *db)
{
    log_stream *s = lc_alloc_zero(sizeof *s);
    s->task.run = forward;
    atomic_init(&s->refs, 2); /* the request's and the first post's */
    s->loop = lc_http_loop(x->request);
    s->database = lc_database_ref(db);
    s->is_posted = true;
    pthread_mutex_init(&s->lock, NULL);
    s->reader = lc_database_follow_log(db, on_line, s);
    x->on_loop = start_stream;
    x->on_loop_arg = s;
}

void lc_route_logs(lc_exchange *x)
{
    uint64_t lines = 0;
    bool has_lines, is_following = false;
    lc_database_record record;
    if (!lc_exchange_query_u64(x, "num_lines", UINT32_MAX, &lines, &has_lines) ||
        !lc_exchange_query_bool(x, "follow", &is_following))
        return;
    if (!lc_exchange_owner(x, &x->database, "view module logs", &record)) return;
    lc_database *db;
    if (!lc_exchange_open(x, &db)) return;
    lc_error err = LC_ERROR_INIT;
    lc_status rc = LC_OK;
    if (is_following && lines > MAX_FOLLOW_LINES) lines = MAX_FOLLOW_LINES;
    if (!is_following || lines > 0)
        rc = lc_database_read_log(db, has_lines ? (int64_t)lines : -1, &x->body, &err);
    if (rc != LC_OK) {
        lc_exchange_text(x, 503, "Logs are temporarily not available");
        lc_log(LC_LOG_ERROR, "module log: %s", lc_error_text(&err));
        lc_error_clear(&err);
    } else {
        lc_exchange_header(x, "cache-control", LC_STR("no-cache"));
        x->status = 200;
        x->content_type = "application/x-ndjson";
        if (is_following && lc_span_equal_str(lc_http_method(x->request), "GET")) follow(x, db);
    }
    lc_database_unref(db);
}
