/*
 * The executor thread of a database: inbox, loop, flush; and jobs.
 */
#include "database/database_internal.h"

#include <errno.h>
#include <time.h>

/* --------------------------------------------------------------- requests in */

lc_request_batch *lc_request_batch_create(void)
{
    lc_request_batch *b = lc_alloc_zero(sizeof *b);
    b->last = &b->first;
    return b;
}

lc_request *lc_request_add(lc_request_batch *b, lc_request_kind kind, lc_client *client)
{
    lc_request *r = lc_arena_alloc_zero(&b->arena, sizeof *r);
    r->kind = kind;
    r->client = client;
    *b->last = r;
    b->last = &r->next;
    b->count++;
    return r;
}

lc_span lc_request_copy(lc_request_batch *b, lc_span bytes)
{
    b->text_bytes += bytes.len;
    return lc_arena_copy(&b->arena, bytes);
}

static void *executor_main(void *arg);
static void database_free(lc_database *db);

/* With the lock held. */
static void executor_start(lc_database *db)
{
    db->executor_runs = true;
    lc_database_ref(db);
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    /* WebAssembly runs on this stack: its own limit must be the first to be met. */
    pthread_attr_setstacksize(&attr, 4u << 20);
    pthread_t thread;
    int rc = pthread_create(&thread, &attr, executor_main, db);
    pthread_attr_destroy(&attr);
    if (rc != 0) LC_BUG("cannot start a database thread: %s", strerror(rc));
}

void lc_database_begin(lc_database *db)
{
    bool waits = lc_schedule_next_due(db) != INT64_MAX || db->volatile_calls.len;
    pthread_mutex_lock(&db->lock);
    db->is_begun = true;
    if (waits || db->inbox_first) executor_start(db);
    pthread_mutex_unlock(&db->lock);
}

static size_t request_batch_bytes(const lc_request_batch *b)
{
    return sizeof *b + b->count * sizeof(lc_request) + b->text_bytes;
}

void lc_database_submit(lc_database *db, lc_request_batch *b)
{
    atomic_fetch_add_explicit(&db->inbox_bytes, request_batch_bytes(b), memory_order_relaxed);
    pthread_mutex_lock(&db->lock);
    *db->inbox_last = b;
    db->inbox_last = &b->next;
    if (!db->executor_runs) {
        if (db->is_begun) executor_start(db);
    } else if (db->executor_sleeps)
        pthread_cond_signal(&db->wake);
    pthread_mutex_unlock(&db->lock);
}

size_t lc_database_inbox_bytes(const lc_database *db)
{
    return atomic_load_explicit(&db->inbox_bytes, memory_order_relaxed);
}

void lc_request_batch_destroy(lc_request_batch *b)
{
    lc_arena_deinit(&b->arena);
    lc_free(b);
}

/* -------------------------------------------------------------- messages out */

static lc_outgoing *outgoing_of(lc_database *db, lc_sink *sink)
{
    for (size_t i = 0; i < db->outgoing.len; i++)
        if (db->outgoing.items[i].sink == sink) return &db->outgoing.items[i];
    lc_vec_push(&db->outgoing, ((lc_outgoing){.sink = sink}));
    return &db->outgoing.items[db->outgoing.len - 1];
}

static lc_delivery_batch *batch_for(lc_database *db, lc_sink *sink, bool held)
{
    lc_outgoing *o = outgoing_of(db, sink);
    lc_delivery_batch **slot = held ? &o->held : &o->immediate;
    if (!*slot) *slot = lc_delivery_batch_create(db);
    return *slot;
}

static lc_delivery_batch *batch_of(const lc_client *c)
{
    if (LC_UNLIKELY(c->last_read)) return lc_long_read_behind(c);
    return batch_for(c->database, c->sink, c->is_confirmed);
}

lc_buf *lc_reply_begin(lc_client *c, lc_reply *r)
{
    r->batch = batch_of(c);
    r->at = r->batch->bytes.len;
    return &r->batch->bytes;
}

void lc_reply_end(lc_client *c, lc_reply *r, lc_delivery_kind kind)
{
    lc_database *db = c->database;
    size_t len = r->batch->bytes.len - r->at;
    if (len == 0 && kind == LC_DELIVERY_DATA) return;
    lc_delivery d = {
        .target = c->connection,
        .need = c->is_confirmed ? db->need : 0,
        .at = (uint32_t)r->at,
        .len = (uint32_t)len,
        .kind = kind,
    };
    lc_vec_push(&r->batch->items, d);
    db->unflushed_bytes += len;
}

void lc_reply_shared(lc_client *c, lc_message *m)
{
    lc_database *db = c->database;
    lc_delivery_batch *b = batch_of(c);
    lc_delivery d = {
        .target = c->connection,
        .need = c->is_confirmed ? db->need : 0,
        .message = m,
        .kind = LC_DELIVERY_DATA,
    };
    lc_vec_push(&b->items, d);
    db->unflushed_bytes += sizeof d;
}

void lc_reply_move(lc_client *c, lc_delivery_batch *from)
{
    lc_database *db = c->database;
    lc_delivery_batch *to = batch_for(db, c->sink, c->is_confirmed);
    LC_VEC_EACH (d, &from->items) {
        lc_delivery moved = *d;
        moved.need = c->is_confirmed ? db->need : 0; /* needs never decrease */
        moved.at = (uint32_t)to->bytes.len;
        if (!d->message) lc_buf_put(&to->bytes, from->bytes.ptr + d->at, d->len);
        lc_vec_push(&to->items, moved);
        db->unflushed_bytes += sizeof moved + d->len;
        d->message = NULL;
    }
    lc_delivery_batch_destroy(from);
}

/* Posts before it submits: see lc_message.h on lost wake-ups. */
void lc_database_flush(lc_database *db)
{
    bool any_held = false;
    LC_VEC_EACH (o, &db->outgoing) {
        if (o->held) {
            o->sink->post(o->sink, o->held, true, false);
            any_held = true;
        }
        if (o->immediate) o->sink->post(o->sink, o->immediate, false, true);
    }
    if (db->storage) lc_storage_flush(db->storage);
    bool is_durable = lc_database_durable_count(db) >= db->need || lc_database_is_failed(db);
    LC_VEC_EACH (o, &db->outgoing) {
        if (any_held && o->held && is_durable) o->sink->wake(o->sink);
        o->held = o->immediate = NULL;
    }
    db->unflushed_requests = 0;
    db->unflushed_bytes = 0;
}

/* Lock held: whoever waits for durability looks again. */
static void wake_waiting(lc_database *db)
{
    LC_VEC_EACH (sink, &db->sinks) (*sink)->wake(*sink);
    if (db->durable_waiters) pthread_cond_broadcast(&db->durable);
}

void lc_database_on_durable(void *arg, uint64_t durable_count)
{
    lc_database *db = arg;
    atomic_store_explicit(&db->durable_count, durable_count, memory_order_release);
    pthread_mutex_lock(&db->lock);
    wake_waiting(db);
    pthread_mutex_unlock(&db->lock);
}

void lc_database_on_failed(void *arg, const lc_error *err)
{
    lc_database *db = arg;
    lc_log(LC_LOG_ERROR, "the commit log in %s failed, the database stops: %s", db->folder,
           lc_error_text(err));
    pthread_mutex_lock(&db->lock);
    db->failure = lc_strdup(lc_error_text(err));
    atomic_store(&db->is_failed, true);
    wake_waiting(db);
    pthread_mutex_unlock(&db->lock);
    lc_database_post(db, &db->failing);
    if (db->on_failed) db->on_failed(db->on_failed_arg, db, err);
}

void lc_database_on_wake(void *arg)
{
    lc_database *db = arg;
    if (!atomic_exchange(&db->is_tick_posted, true)) lc_database_post(db, &db->tick);
}

bool lc_database_wait_durable(lc_database *db, uint64_t need)
{
    pthread_mutex_lock(&db->lock);
    db->durable_waiters++;
    while (lc_database_durable_count(db) < need && !lc_database_is_failed(db))
        pthread_cond_wait(&db->durable, &db->lock);
    db->durable_waiters--;
    pthread_mutex_unlock(&db->lock);
    return lc_database_durable_count(db) >= need;
}

void lc_database_add_sink(lc_database *db, lc_sink *sink)
{
    pthread_mutex_lock(&db->lock);
    lc_vec_push(&db->sinks, sink);
    pthread_mutex_unlock(&db->lock);
}

void lc_database_remove_sink(lc_database *db, lc_sink *sink)
{
    pthread_mutex_lock(&db->lock);
    for (size_t i = 0; i < db->sinks.len; i++) {
        if (db->sinks.items[i] != sink) continue;
        db->sinks.items[i] = db->sinks.items[--db->sinks.len];
        break;
    }
    pthread_mutex_unlock(&db->lock);
}

uint64_t lc_database_durable_count(const lc_database *db)
{
    return atomic_load_explicit(&db->durable_count, memory_order_acquire);
}

bool lc_database_is_failed(const lc_database *db)
{
    return atomic_load_explicit(&db->is_failed, memory_order_acquire);
}

char *lc_database_failure(lc_database *db)
{
    pthread_mutex_lock(&db->lock);
    char *reason = db->failure ? lc_strdup(db->failure) : NULL;
    pthread_mutex_unlock(&db->lock);
    return reason;
}

/* ---------------------------------------------------------------------- jobs */

typedef struct blocking_job {
    lc_job job;
    lc_job *inner;
    pthread_mutex_t lock;
    pthread_cond_t done;
    bool is_done;
} blocking_job;

static void blocking_run(lc_job *job, lc_database *db)
{
    blocking_job *b = LC_CONTAINER(job, blocking_job, job);
    b->inner->run(b->inner, db);
    lc_database_flush(db);
    pthread_mutex_lock(&b->lock);
    b->is_done = true;
    pthread_cond_signal(&b->done);
    pthread_mutex_unlock(&b->lock);
}

void lc_database_post(lc_database *db, lc_job *job)
{
    lc_request_batch *batch = lc_request_batch_create();
    lc_request_add(batch, LC_REQUEST_JOB, NULL)->job = job;
    lc_database_submit(db, batch);
}

void lc_database_run(lc_database *db, lc_job *job)
{
    blocking_job b = {.job = {.run = blocking_run}, .inner = job};
    pthread_mutex_init(&b.lock, NULL);
    pthread_cond_init(&b.done, NULL);
    lc_database_post(db, &b.job);
    pthread_mutex_lock(&b.lock);
    while (!b.is_done) pthread_cond_wait(&b.done, &b.lock);
    pthread_mutex_unlock(&b.lock);
    pthread_cond_destroy(&b.done);
    pthread_mutex_destroy(&b.lock);
}

/* ---------------------------------------------------------------- the thread */

bool lc_database_is_over(lc_database *db)
{
    uint64_t by = atomic_load_explicit(&db->close_by, memory_order_relaxed);
    return db->is_closed || (LC_UNLIKELY(by != 0) && lc_clock_mono(db->clock) >= by);
}

static void run_request(lc_database *db, const lc_request *r)
{
    lc_client *c = r->client;
    bool is_work = r->kind != LC_REQUEST_CONNECT && r->kind != LC_REQUEST_DISCONNECT;
    if (c && is_work && (!c->is_connected || lc_database_is_over(db)))
        return; /* refused or closed: what it still sent is not executed */
    switch (r->kind) {
    case LC_REQUEST_CONNECT:
        lc_database_client_connect(db, c);
        break;
    case LC_REQUEST_DISCONNECT:
        lc_database_client_disconnect(db, c);
        break;
    case LC_REQUEST_CALL:
        lc_database_client_call(db, c, r);
        break;
    case LC_REQUEST_PROCEDURE:
        lc_database_client_procedure(db, c, r);
        break;
    case LC_REQUEST_SUBSCRIBE:
        lc_database_client_subscribe(db, c, r);
        break;
    case LC_REQUEST_UNSUBSCRIBE:
        lc_database_client_unsubscribe(db, c, r);
        break;
    case LC_REQUEST_ONE_OFF:
        lc_database_client_one_off(db, c, r);
        break;
    case LC_REQUEST_JOB:
        r->job->run(r->job, db);
        break;
    }
    if (LC_UNLIKELY(db->volatile_calls.len)) lc_database_run_volatile_calls(db);
    if (++db->unflushed_requests >= LC_FLUSH_REQUESTS || db->unflushed_bytes >= LC_FLUSH_BYTES)
        lc_database_flush(db);
}

static void run_batches(lc_database *db, lc_request_batch *b)
{
    while (b) {
        for (const lc_request *r = b->first; r;) {
            const lc_request *next =
                r->next; /* a job may free nothing of the batch, but be plain */
            run_request(db, r);
            r = next;
        }
        lc_request_batch *done = b;
        b = b->next;
        atomic_fetch_sub_explicit(&db->inbox_bytes, request_batch_bytes(done),
                                  memory_order_relaxed);
        lc_request_batch_destroy(done);
    }
}

/* Waits with the lock held. Returns false when the idle time passed without anything to do. */
static bool wait_for_work(lc_database *db)
{
    if (db->is_closed) return false; /* nothing will come but the last words of clients */
    int64_t due = lc_schedule_next_due(db);
    int64_t now = lc_clock_now(db->clock);
    if (due <= now) return true;
    int64_t wait = LC_EXECUTOR_IDLE_MILLIS * 1000ll;
    if (due != INT64_MAX && due - now < wait) wait = due - now;
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t nanos = until.tv_nsec + wait * 1000;
    until.tv_sec += nanos / 1000000000;
    until.tv_nsec = nanos % 1000000000;
    db->executor_sleeps = true;
    int rc = pthread_cond_timedwait(&db->wake, &db->lock, &until);
    db->executor_sleeps = false;
    /* A database with schedules keeps its thread: nobody else would wake it in time. */
    return rc != ETIMEDOUT || db->inbox_first || due != INT64_MAX;
}

static void *executor_main(void *arg)
{
    lc_database *db = arg;
    pthread_setname_np(pthread_self(), "lc-executor");
    for (;;) {
        pthread_mutex_lock(&db->lock);
        bool has_work = true;
        while (!db->inbox_first && has_work && !db->must_stop && !db->volatile_calls.len) {
            if (!db->is_closed && lc_schedule_is_due(db)) break;
            has_work = wait_for_work(db);
        }
        if (!db->inbox_first && (!has_work || db->must_stop)) {
            /* The reference goes before anyone may know that the thread has ended: whoever waited
             * for that and holds the last one frees the database himself. */
            bool is_last = atomic_fetch_sub_explicit(&db->refs, 1, memory_order_acq_rel) == 1;
            db->executor_runs = false;
            pthread_cond_broadcast(&db->stopped);
            pthread_mutex_unlock(&db->lock);
            if (is_last) database_free(db);
            return NULL;
        }
        lc_request_batch *batches = db->inbox_first;
        db->inbox_first = NULL;
        db->inbox_last = &db->inbox_first;
        pthread_mutex_unlock(&db->lock);

        run_batches(db, batches);
        if (!db->is_closed) lc_schedule_run_one(db);
        /* Some of them between two looks at the inbox: they may go on for ever. */
        if (db->volatile_calls.len) lc_database_run_volatile_calls(db);
        lc_database_flush(db);
    }
}

void lc_database_join(lc_database *db)
{
    pthread_mutex_lock(&db->lock);
    db->must_stop = true;
    pthread_cond_signal(&db->wake);
    while (db->executor_runs) pthread_cond_wait(&db->stopped, &db->lock);
    db->must_stop = false;
    pthread_mutex_unlock(&db->lock);
}

/* -------------------------------------------------------------------- object */

static void run_tick(lc_job *job, lc_database *db)
{
    (void)job;
    atomic_store(&db->is_tick_posted,
                 false); /* before it: what is posted from now on comes again */
    if (db->storage) lc_storage_tick(db->storage);
}

lc_database *lc_database_new(const lc_database_options *o)
{
    lc_database *db = lc_alloc_zero(sizeof *db);
    atomic_init(&db->refs, 1);
    db->identity = o->identity;
    db->owner = o->owner;
    db->folder = lc_strdup(o->folder);
    db->engine = o->engine;
    db->disk = o->disk ? o->disk : lc_disk_system();
    db->clock = o->clock ? o->clock : lc_clock_system();
    db->random = o->random ? o->random : lc_random_system();
    db->on_failed = o->on_failed;
    db->on_failed_arg = o->arg;
    db->on_progress = o->on_progress;
    db->progress_arg = o->progress_arg;
    db->tick.run = run_tick;
    db->failing.run = lc_database_run_failure;
    if (o->read_only_reason)
        db->read_only = lc_format("the database is read-only since its commit log cannot be "
                                  "written: %s; restart it when that is mended",
                                  o->read_only_reason);
    pthread_mutex_init(&db->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&db->wake, &attr);
    pthread_condattr_destroy(&attr);
    pthread_cond_init(&db->stopped, NULL);
    pthread_cond_init(&db->durable, NULL);
    db->inbox_last = &db->inbox_first;
    return db;
}

lc_database *lc_database_ref(lc_database *db)
{
    atomic_fetch_add_explicit(&db->refs, 1, memory_order_relaxed);
    return db;
}

/* What threads of the storage posted to one that was never begun. */
static void discard_inbox(lc_database *db)
{
    while (db->inbox_first) {
        lc_request_batch *b = db->inbox_first;
        db->inbox_first = b->next;
        lc_request_batch_destroy(b);
    }
}

static void database_free(lc_database *db)
{
    pthread_mutex_lock(&db->lock);
    db->is_begun = false; /* closing the storage may wake it */
    pthread_mutex_unlock(&db->lock);
    lc_schedule_deinit(&db->schedule);
    if (db->live) lc_live_destroy(db->live);
    if (db->instance) lc_instance_destroy(db->instance);
    if (db->program) lc_program_unref(db->program);
    lc_free(db->env);
    if (db->schema) lc_schema_unref(db->schema);
    if (db->storage) lc_storage_close(db->storage); /* one that was never begun */
    discard_inbox(db);
    if (db->log) lc_module_log_destroy(db->log);
    if (db->lock_file) db->disk->close(db->disk->self, db->lock_file);
    LC_VEC_EACH (o, &db->outgoing) {
        lc_delivery_batch_destroy(o->held);
        lc_delivery_batch_destroy(o->immediate);
    }
    lc_vec_deinit(&db->outgoing);
    lc_vec_deinit(&db->sinks);
    lc_vec_deinit(&db->long_reads);
    lc_buf_deinit(&db->text);
    lc_buf_deinit(&db->args);
    lc_buf_deinit(&db->volatile_calls);
    pthread_cond_destroy(&db->wake);
    pthread_cond_destroy(&db->stopped);
    pthread_cond_destroy(&db->durable);
    pthread_mutex_destroy(&db->lock);
    lc_free(db->folder);
    lc_free(db->read_only);
    lc_free(db->failure);
    lc_free(db);
}

void lc_database_unref(lc_database *db)
{
    if (db && atomic_fetch_sub_explicit(&db->refs, 1, memory_order_acq_rel) == 1) database_free(db);
}

const lc_identity *lc_database_identity(const lc_database *db)
{
    return &db->identity;
}

const lc_identity *lc_database_owner(const lc_database *db)
{
    return &db->owner;
}

const char *lc_database_folder(const lc_database *db)
{
    return db->folder;
}

const char *lc_database_read_only(const lc_database *db)
{
    return db->read_only;
}

lc_schema *lc_database_schema(lc_database *db)
{
    pthread_mutex_lock(&db->lock);
    lc_schema *s = lc_schema_ref(db->schema);
    pthread_mutex_unlock(&db->lock);
    return s;
}

bool lc_database_has_schedules(lc_database *db)
{
    return atomic_load(&db->has_schedules);
}
