/*
 * Queries of WebSocket clients that go through big tables. The executor freezes an image and goes
 * on, a reader thread makes the answer. What the client is to get meanwhile waits behind the
 * answer, so that its order is what it would have been.
 */
#include "database/database_internal.h"

struct lc_long_read {
    /* fixed before a reader sees it */
    lc_job finish;
    lc_database *database; /* a reference */
    lc_client *client;     /* stays until all its reads are finished */
    lc_question question;
    uint64_t started;

    /* the reader's, until is_encoded */
    lc_live_results results; /* of a subscription, */
    lc_plan *plan;           /* or of a one-off query: */
    lc_image *image;
    lc_rowset rows;
    lc_buf answer;

    /* under the database's lock */
    bool is_encoded;
    lc_long_read *next_waiting; /* for a reader */

    /* the executor's */
    lc_delivery_batch *out; /* its first item is for the answer, the others wait behind it */
    lc_long_read *next;     /* of the same client */
    bool is_finished;       /* the client has it */
    bool is_reported;       /* `finish` has run: whichever of the two is last frees */
};

/* ------------------------------------------------------------------ readers */

static void encode(lc_long_read *r)
{
    const lc_client *c = r->client;
    const lc_question *q = &r->question;
    if (r->plan)
        lc_plan_select_image(r->plan, r->image, &r->rows);
    else
        lc_live_results_read(&r->results);
    int64_t micros = (int64_t)((lc_clock_mono(r->database->clock) - r->started) / 1000);
    if (r->plan)
        c->protocol->one_off(c, q->request_id, q->message_id, r->plan, &r->rows, LC_SPAN_EMPTY,
                             micros, &r->answer);
    else if (q->is_unsubscribe)
        c->protocol->unsubscribed(c, q->live_kind, q->request_id, q->id, &r->results, micros,
                                  &r->answer);
    else
        c->protocol->subscribed(c, q->live_kind, q->request_id, q->id, &r->results, micros,
                                &r->answer);
}

/* Lock held on entry and return. */
static void read_one(lc_database *db)
{
    lc_long_read *r = db->waiting_reads;
    db->waiting_reads = r->next_waiting;
    pthread_mutex_unlock(&db->lock);
    encode(r);
    pthread_mutex_lock(&db->lock);
    r->is_encoded = true;
    pthread_cond_broadcast(&db->stopped);
    pthread_mutex_unlock(&db->lock);
    lc_database_post(db, &r->finish);
    pthread_mutex_lock(&db->lock);
}

static void *reader_main(void *arg)
{
    lc_database *db = arg;
    pthread_setname_np(pthread_self(), "lc-reader");
    pthread_mutex_lock(&db->lock);
    while (db->waiting_reads) read_one(db);
    db->reader_threads--;
    pthread_mutex_unlock(&db->lock);
    lc_database_unref(db);
    return NULL;
}

/* Lock held. Without a thread to be had the executor reads it itself. */
static void start_reader(lc_database *db)
{
    pthread_attr_t attr;
    pthread_t thread;
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    lc_database_ref(db);
    int rc = pthread_create(&thread, &attr, reader_main, db);
    pthread_attr_destroy(&attr);
    if (rc == 0) {
        db->reader_threads++;
        return;
    }
    lc_log(LC_LOG_WARN, "cannot start a thread for a long read: %s", strerror(rc));
    lc_database_unref(db);
    if (db->reader_threads == 0) read_one(db);
}

/* ----------------------------------------------------------------- executor */

static void free_read(lc_long_read *r)
{
    lc_database_unref(r->database);
    lc_free(r);
}

static bool is_encoded(lc_long_read *r)
{
    pthread_mutex_lock(&r->database->lock);
    bool yes = r->is_encoded;
    pthread_mutex_unlock(&r->database->lock);
    return yes;
}

static void put_answer(lc_long_read *r)
{
    lc_delivery *d = &r->out->items.items[0];
    if (r->answer.len <= UINT32_MAX) {
        d->message = lc_message_of(lc_buf_span(&r->answer));
        return;
    }
    d->kind = LC_DELIVERY_CLOSE;
    d->at = (uint32_t)r->out->bytes.len;
    lc_buf_put_u16(&r->out->bytes, 1009);
    lc_buf_put_str(&r->out->bytes, "the answer is longer than a message can be");
    d->len = (uint32_t)(r->out->bytes.len - d->at);
}

static void forget(lc_database *db, const lc_long_read *r)
{
    for (size_t i = 0; i < db->long_reads.len; i++) {
        if (db->long_reads.items[i] != r) continue;
        memmove(db->long_reads.items + i, db->long_reads.items + i + 1,
                (--db->long_reads.len - i) * sizeof *db->long_reads.items);
        return;
    }
}

static void finish(lc_long_read *r)
{
    lc_client *c = r->client;
    c->first_read = r->next;
    if (!c->first_read) c->last_read = NULL;
    put_answer(r);
    lc_reply_move(c, r->out);
    lc_live_results_deinit(&r->results);
    if (r->plan) lc_plan_destroy(r->plan);
    if (r->image) lc_image_release(r->image);
    lc_rowset_deinit(&r->rows);
    lc_buf_deinit(&r->answer);
    lc_free((void *)r->question.message_id.ptr);
    forget(r->database, r);
    if (r->is_reported)
        free_read(r);
    else
        r->is_finished = true;
}

/* In order, as far as answers are there. */
static void finish_encoded(lc_client *c)
{
    while (c->first_read && is_encoded(c->first_read)) finish(c->first_read);
    if (!c->first_read && c->is_gone) lc_client_free(c);
}

static void run_finish(lc_job *job, lc_database *db)
{
    (void)db;
    lc_long_read *r = LC_CONTAINER(job, lc_long_read, finish);
    if (r->is_finished) {
        free_read(r);
        return;
    }
    r->is_reported = true;
    finish_encoded(r->client);
}

static lc_long_read *create(lc_client *c, const lc_question *q)
{
    lc_database *db = c->database;
    lc_long_read *r = lc_alloc_zero(sizeof *r);
    r->finish.run = run_finish;
    r->database = lc_database_ref(db);
    r->client = c;
    r->question = *q;
    r->question.message_id.ptr = lc_memdup(q->message_id.ptr, q->message_id.len);
    r->started = q->started;
    r->out = lc_delivery_batch_create(db);
    lc_vec_push(&r->out->items, ((lc_delivery){.target = c->connection}));
    return r;
}

static void begin(lc_long_read *r)
{
    lc_database *db = r->database;
    lc_client *c = r->client;
    if (c->last_read)
        c->last_read->next = r;
    else
        c->first_read = r;
    c->last_read = r;
    lc_vec_push(&db->long_reads, r);
    pthread_mutex_lock(&db->lock);
    lc_long_read **last = &db->waiting_reads;
    while (*last) last = &(*last)->next_waiting;
    *last = r;
    if (db->reader_threads < LC_LONG_READERS) start_reader(db);
    pthread_mutex_unlock(&db->lock);
}

void lc_long_read_results(lc_client *c, const lc_question *q, lc_live_results *results)
{
    lc_long_read *r = create(c, q);
    r->results = *results;
    *results = (lc_live_results){0};
    begin(r);
}

void lc_long_read_plan(lc_client *c, const lc_question *q, lc_plan *plan, lc_image *image)
{
    lc_long_read *r = create(c, q);
    r->plan = plan;
    r->image = image;
    begin(r);
}

lc_delivery_batch *lc_long_read_behind(const lc_client *c)
{
    return c->last_read->out;
}

void lc_long_read_finish_all(lc_database *db)
{
    while (db->long_reads.len) {
        lc_long_read *r = db->long_reads.items[0];
        pthread_mutex_lock(&db->lock);
        while (!r->is_encoded) pthread_cond_wait(&db->stopped, &db->lock);
        pthread_mutex_unlock(&db->lock);
        finish_encoded(r->client);
    }
}
