/*
 * WebSocket connections between loop and executor.
 *
 * In: messages are decoded as they arrive and collected in one request batch per database,
 * submitted at the end of the loop's turn. Out: executors post delivery batches to the loop's
 * mailbox; held ones wait here, in order, until their database says they are durable.
 *
 * A connection's memory lives until both ends are through with it: the socket is closed and the
 * executor's GONE delivery has come.
 */
#include "api/protocol.h"

#include <pthread.h>

enum {
    COMPRESS_ABOVE = 1024,          /* 03 section 3.2: strictly greater */
    V3_PAYLOAD_TARGET = 512 * 1024, /* 03 section 3.2 */
    RESUME_POLL_MILLIS = 5,
};
enum { ENVELOPE_NONE, ENVELOPE_BROTLI, ENVELOPE_GZIP };

typedef struct ws_conn ws_conn;
struct ws_conn {
    lc_api_loop *loop;
    lc_ws *ws; /* NULL once the socket is closed */
    lc_client *client;
    lc_database *database;
    lc_ws_protocol protocol;
    lc_ws_compression compression;
    bool is_paused;
    bool is_ended; /* a malformed message ended it: what follows is ignored */
    ws_conn *next_paused;
    lc_buf coalesced;  /* v3: messages of this turn, sent as one payload, */
    lc_message *alone; /* or the large one that is alone in it so far; a reference */
    bool is_in_coalescing;
    ws_conn *next_coalescing;
};

/* Batches of one database at this loop. */
typedef struct db_state {
    lc_database *database; /* a reference */
    uint32_t connections;
    lc_request_batch *requests;
    lc_delivery_batch *held_first;
    lc_delivery_batch **held_last;
} db_state;

typedef struct mailbox {
    lc_delivery_batch *first;
    lc_delivery_batch **last;
} mailbox;

struct lc_api_loop {
    lc_sink sink;
    lc_api *api;
    lc_loop *loop;
    lc_task task;

    /* any thread, under lock ---- */
    pthread_mutex_t lock;
    mailbox immediate, held;
    bool is_posted;

    /* the loop's ---- */
    LC_VEC(db_state *) databases;
    ws_conn *paused;
    bool resume_timer_runs;
    ws_conn *coalescing;
    lc_buf scratch;
};

/* ------------------------------------------------------------------- databases */

static db_state *state_of(lc_api_loop *l, lc_database *db)
{
    for (size_t i = 0; i < l->databases.len; i++)
        if (l->databases.items[i]->database == db) return l->databases.items[i];
    db_state *s = lc_alloc_zero(sizeof *s);
    s->database = lc_database_ref(db);
    s->held_last = &s->held_first;
    lc_vec_push(&l->databases, s);
    lc_database_add_sink(db, &l->sink);
    return s;
}

/* A database nobody here talks to any more is let go. */
static void drop_idle_state(lc_api_loop *l, db_state *s)
{
    if (s->connections || s->requests || s->held_first) return;
    for (size_t i = 0; i < l->databases.len; i++) {
        if (l->databases.items[i] != s) continue;
        l->databases.items[i] = l->databases.items[--l->databases.len];
        break;
    }
    lc_database_remove_sink(s->database, &l->sink);
    lc_database_unref(s->database);
    lc_free(s);
}

static lc_request_batch *requests_of(lc_api_loop *l, lc_database *db)
{
    db_state *s = state_of(l, db);
    if (!s->requests) s->requests = lc_request_batch_create();
    return s->requests;
}

static void submit_requests(void *arg)
{
    lc_api_loop *l = arg;
    for (size_t i = 0; i < l->databases.len; i++) {
        db_state *s = l->databases.items[i];
        if (!s->requests) continue;
        lc_request_batch *b = s->requests;
        s->requests = NULL;
        lc_database_submit(s->database, b);
    }
}

/* -------------------------------------------------------------------- sending */

static void release_message(void *arg)
{
    lc_message_unref(arg);
}

static void compress(const ws_conn *c, lc_span data, lc_buf *out)
{
    if (c->compression == LC_WS_BROTLI)
        lc_compress_brotli(data, out);
    else
        lc_compress_gzip(data, out);
}

static bool wants_compression(const ws_conn *c, size_t len)
{
    return c->compression != LC_WS_NONE && len > COMPRESS_ABOVE;
}

static uint8_t envelope_of(const ws_conn *c)
{
    return c->compression == LC_WS_BROTLI ? ENVELOPE_BROTLI : ENVELOPE_GZIP;
}

static void send_bytes(ws_conn *c, lc_span data)
{
    if (c->protocol == LC_WS_V1_JSON) {
        lc_ws_send(c->ws, LC_WS_TEXT, LC_SPAN_EMPTY, data);
        return;
    }
    uint8_t envelope = ENVELOPE_NONE;
    if (wants_compression(c, data.len)) {
        envelope = envelope_of(c);
        lc_buf_reset(&c->loop->scratch);
        compress(c, data, &c->loop->scratch);
        data = lc_buf_span(&c->loop->scratch);
    }
    lc_ws_send(c->ws, LC_WS_BINARY, LC_SPAN(&envelope, 1), data);
}

/* The compressed form of a shared message, made once by whoever needs it first. */
static lc_message *compressed_form(const ws_conn *c, lc_message *m)
{
    _Atomic(lc_message *) *slot = &m->compressed[c->compression == LC_WS_BROTLI ? 0 : 1];
    lc_message *form = atomic_load_explicit(slot, memory_order_acquire);
    if (form) return form;
    lc_buf out = LC_BUF_INIT;
    compress(c, LC_SPAN(m->bytes, m->len), &out);
    form = lc_message_of(lc_buf_span(&out));
    lc_buf_deinit(&out);
    lc_message *expected = NULL;
    if (atomic_compare_exchange_strong_explicit(slot, &expected, form, memory_order_acq_rel,
                                                memory_order_acquire))
        return form;
    lc_message_unref(form); /* another loop was faster */
    return expected;
}

static void send_shared(ws_conn *c, lc_message *m)
{
    if (c->protocol == LC_WS_V1_JSON) {
        lc_ws_send(c->ws, LC_WS_TEXT, LC_SPAN_EMPTY, LC_SPAN(m->bytes, m->len));
        return;
    }
    uint8_t envelope = ENVELOPE_NONE;
    if (wants_compression(c, m->len)) {
        envelope = envelope_of(c);
        m = compressed_form(c, m);
    }
    lc_ws_send_shared(c->ws, LC_WS_BINARY, LC_SPAN(&envelope, 1), LC_SPAN(m->bytes, m->len),
                      release_message, lc_message_ref(m));
}

static void flush_coalesced(ws_conn *c)
{
    if (c->ws && c->alone) send_shared(c, c->alone);
    if (c->ws && c->coalesced.len) send_bytes(c, lc_buf_span(&c->coalesced));
    lc_message_unref(c->alone);
    c->alone = NULL;
    lc_buf_reset(&c->coalesced);
}

/* A client that decompresses takes a plain frame before the compressed one that came just ahead of
 * it (03 section 13.1). So what follows a compressed message within the turn goes into the same
 * payload, behind it, and small messages are never gathered until they would be compressed. Without
 * compression a large message stays alone, so that it is not copied. */
static bool fits_into_payload(const ws_conn *c, bool is_large_shared, size_t len)
{
    size_t gathered = c->alone ? c->alone->len : c->coalesced.len;
    if (gathered == 0) return true;
    if (c->compression == LC_WS_NONE && (c->alone || is_large_shared)) return false;
    bool stays_plain = c->compression != LC_WS_NONE && gathered <= COMPRESS_ABOVE;
    return gathered + len <= (stays_plain ? COMPRESS_ABOVE : V3_PAYLOAD_TARGET);
}

/* m is NULL, or the message that data belongs to. */
static void coalesce(ws_conn *c, lc_message *m, lc_span data)
{
    bool is_large_shared = m && data.len > COMPRESS_ABOVE;
    if (!fits_into_payload(c, is_large_shared, data.len)) flush_coalesced(c);
    if (c->alone) {
        lc_buf_put(&c->coalesced, c->alone->bytes, c->alone->len);
        lc_message_unref(c->alone);
        c->alone = NULL;
    }
    if (is_large_shared && c->coalesced.len == 0)
        c->alone = lc_message_ref(m);
    else
        lc_buf_put_span(&c->coalesced, data);
    if (c->is_in_coalescing) return;
    c->is_in_coalescing = true;
    c->next_coalescing = c->loop->coalescing;
    c->loop->coalescing = c;
}

static void flush_all_coalesced(lc_api_loop *l)
{
    while (l->coalescing) {
        ws_conn *c = l->coalescing;
        l->coalescing = c->next_coalescing;
        c->is_in_coalescing = false;
        flush_coalesced(c);
    }
}

static void deliver_data(ws_conn *c, const lc_delivery_batch *b, const lc_delivery *d)
{
    if (!c->ws) return;
    lc_message *m = d->message;
    lc_span data = m ? LC_SPAN(m->bytes, m->len) : LC_SPAN(b->bytes.ptr + d->at, d->len);
    if (c->protocol == LC_WS_V3)
        coalesce(c, m, data);
    else if (m)
        send_shared(c, m);
    else
        send_bytes(c, data);
}

static void deliver_close(ws_conn *c, const lc_delivery_batch *b, const lc_delivery *d)
{
    if (!c->ws) return;
    if (c->protocol == LC_WS_V3) flush_coalesced(c);
    uint16_t code = lc_load_u16(b->bytes.ptr + d->at);
    if (code == 0)
        lc_ws_abort(c->ws);
    else
        lc_ws_close(c->ws, code, LC_SPAN(b->bytes.ptr + d->at + 2, d->len - 2));
}

static void conn_free(ws_conn *c)
{
    lc_buf_deinit(&c->coalesced);
    lc_database_unref(c->database);
    lc_free(c);
}

static void conn_gone(ws_conn *c)
{
    lc_api_loop *l = c->loop;
    db_state *s = state_of(l, c->database);
    flush_all_coalesced(l);
    s->connections--;
    conn_free(c);
    drop_idle_state(l, s);
}

/* ------------------------------------------------------------------ deliveries */

static void deliver(lc_delivery_batch *b, lc_delivery *d, bool is_lost)
{
    switch (d->kind) {
    case LC_DELIVERY_DATA:
        if (!is_lost) deliver_data(d->target, b, d);
        break;
    case LC_DELIVERY_CLOSE:
        deliver_close(d->target, b, d);
        break;
    case LC_DELIVERY_GONE: {
        ws_conn *c = d->target;
        LC_ASSERT(!c->ws);
        conn_gone(c);
        break;
    }
    }
    lc_message_unref(d->message);
    d->message = NULL;
}

/* Delivers the items whose need is met; true when the batch is through. */
static bool deliver_batch(lc_delivery_batch *b, uint64_t durable, bool is_lost)
{
    while (b->cursor < b->items.len) {
        lc_delivery *d = &b->items.items[b->cursor];
        if (d->need > durable && !is_lost) return false;
        b->cursor++;
        deliver(b, d, is_lost);
    }
    lc_delivery_batch_destroy(b);
    return true;
}

static void deliver_held(db_state *s)
{
    bool is_lost = lc_database_is_failed(s->database);
    uint64_t durable = lc_database_durable_count(s->database);
    while (s->held_first) {
        lc_delivery_batch *b = s->held_first;
        lc_delivery_batch *next = b->next;
        if (!deliver_batch(b, durable, is_lost)) break;
        s->held_first = next;
        if (!next) s->held_last = &s->held_first;
    }
}

static void resume_paused(lc_api_loop *l);

static void read_mail(lc_task *task)
{
    lc_api_loop *l = LC_CONTAINER(task, lc_api_loop, task);
    pthread_mutex_lock(&l->lock);
    l->is_posted = false;
    lc_delivery_batch *immediate = l->immediate.first;
    lc_delivery_batch *held = l->held.first;
    l->immediate = (mailbox){NULL, &l->immediate.first};
    l->held = (mailbox){NULL, &l->held.first};
    pthread_mutex_unlock(&l->lock);

    while (held) {
        lc_delivery_batch *b = held;
        held = held->next;
        b->next = NULL;
        db_state *s = state_of(l, b->database);
        *s->held_last = b;
        s->held_last = &b->next;
    }
    while (immediate) {
        lc_delivery_batch *b = immediate;
        immediate = immediate->next;
        deliver_batch(b, UINT64_MAX, false);
    }
    /* Backwards: a database that becomes idle leaves the list. */
    for (size_t i = l->databases.len; i-- > 0;) {
        db_state *s = l->databases.items[i];
        s->connections++; /* keeps it while its own deliveries may drop it */
        deliver_held(s);
        s->connections--;
        drop_idle_state(l, s);
    }
    flush_all_coalesced(l);
    if (l->paused) resume_paused(l);
}

static void schedule_mail(lc_api_loop *l)
{
    if (l->is_posted) return;
    l->is_posted = true;
    lc_loop_post(l->loop, &l->task);
}

static void sink_post(lc_sink *sink, lc_delivery_batch *b, bool held, bool wake)
{
    lc_api_loop *l = LC_CONTAINER(sink, lc_api_loop, sink);
    b->next = NULL;
    pthread_mutex_lock(&l->lock);
    mailbox *m = held ? &l->held : &l->immediate;
    *m->last = b;
    m->last = &b->next;
    if (wake) schedule_mail(l);
    pthread_mutex_unlock(&l->lock);
}

static void sink_wake(lc_sink *sink)
{
    lc_api_loop *l = LC_CONTAINER(sink, lc_api_loop, sink);
    pthread_mutex_lock(&l->lock);
    schedule_mail(l);
    pthread_mutex_unlock(&l->lock);
}

/* ------------------------------------------------------------------- receiving */

static void resume_timer(void *arg)
{
    lc_api_loop *l = arg;
    l->resume_timer_runs = false;
    resume_paused(l);
}

static void start_resume_timer(lc_api_loop *l)
{
    if (l->resume_timer_runs) return;
    l->resume_timer_runs = true;
    lc_timer_start(l->loop, RESUME_POLL_MILLIS, resume_timer, l);
}

static void resume_paused(lc_api_loop *l)
{
    ws_conn *list = l->paused;
    l->paused = NULL;
    while (list) {
        ws_conn *c = list;
        list = list->next_paused;
        c->is_paused = false;
        if (c->ws) lc_ws_pause(c->ws, false); /* pauses itself again when the inbox is still full */
    }
    if (l->paused) start_resume_timer(l);
}

/* The database is behind: stop reading from this connection for a while. */
static void pause_reading(ws_conn *c)
{
    if (c->is_paused) return;
    c->is_paused = true;
    c->next_paused = c->loop->paused;
    c->loop->paused = c;
    lc_ws_pause(c->ws, true);
    start_resume_timer(c->loop);
}

static lc_status decode(ws_conn *c, lc_request_batch *b, lc_ws_op op, lc_span data, lc_error *err)
{
    bool is_v1 = c->protocol == LC_WS_V1 || c->protocol == LC_WS_V1_JSON;
    if (op == LC_WS_TEXT) {
        if (is_v1) return lc_ws_decode_v1_json(b, c->client, data, err);
        return lc_error_set(err, LC_E_INVALID, "v%d websocket does not support text messages",
                            c->protocol == LC_WS_V2 ? 2 : 3);
    }
    if (is_v1) return lc_ws_decode_v1(b, c->client, data, err);
    if (c->protocol == LC_WS_V2) return lc_ws_decode_v2(b, c->client, data, err);
    return lc_ws_decode_v3(b, c->client, data, err);
}

static void on_message(void *arg, lc_ws *ws, lc_ws_op op, lc_span data)
{
    ws_conn *c = arg;
    if (c->is_ended) return;
    lc_error err = LC_ERROR_INIT;
    if (decode(c, requests_of(c->loop, c->database), op, data, &err) != LC_OK) {
        c->is_ended = true;
        lc_ws_close(ws, LC_FATAL_CLOSE_CODE, lc_span_of_str(lc_error_text(&err)));
        lc_error_clear(&err);
        return;
    }
    if (lc_database_inbox_bytes(c->database) > LC_INBOX_MAX_BYTES) pause_reading(c);
}

static void on_closed(void *arg, lc_ws *ws)
{
    (void)ws;
    ws_conn *c = arg;
    c->ws = NULL;
    lc_api_loop *l = c->loop;
    if (c->is_paused) {
        for (ws_conn **at = &l->paused; *at; at = &(*at)->next_paused) {
            if (*at != c) continue;
            *at = c->next_paused;
            break;
        }
        c->is_paused = false;
    }
    /* The answer is GONE, after which the connection is freed. */
    lc_request_add(requests_of(l, c->database), LC_REQUEST_DISCONNECT, c->client);
}

static const lc_ws_handler ws_handler = {.message = on_message, .closed = on_closed};

/* -------------------------------------------------------------------- starting */

static const lc_protocol *protocol_of(lc_ws_protocol p)
{
    switch (p) {
    case LC_WS_V1_JSON:
        return &lc_protocol_v1_json;
    case LC_WS_V1:
        return &lc_protocol_v1;
    case LC_WS_V2:
    case LC_WS_V3:
        break;
    }
    return &lc_protocol_v2;
}

static lc_span protocol_name(lc_ws_protocol p)
{
    static const char *const names[] = {
        [LC_WS_V1_JSON] = "v1.json.spacetimedb",
        [LC_WS_V1] = "v1.bsatn.spacetimedb",
        [LC_WS_V2] = "v2.bsatn.spacetimedb",
        [LC_WS_V3] = "v3.bsatn.spacetimedb",
    };
    return lc_span_of_str(names[p]);
}

void lc_ws_start(lc_api *a, lc_http_request *r, const lc_upgrade *u)
{
    lc_api_loop *l = lc_loop_user(lc_http_loop(r));
    ws_conn *c = lc_alloc_zero(sizeof *c);
    c->loop = l;
    c->database = u->database;
    c->protocol = (lc_ws_protocol)u->protocol;
    c->compression = (lc_ws_compression)u->compression;
    const lc_node_config *config = lc_node_get_config(lc_api_node(a));
    lc_ws_options options = lc_ws_options_default;
    options.ping_interval_millis = config->ws_ping_interval_millis;
    options.idle_timeout_millis = config->ws_idle_timeout_millis;
    options.close_timeout_millis = config->ws_close_timeout_millis;
    c->ws = lc_ws_accept(r, protocol_name(c->protocol), &options, &ws_handler, c);
    if (!c->ws) {
        lc_database_unref(u->database);
        lc_free(c);
        return;
    }
    state_of(l, c->database)->connections++;
    c->client = lc_client_create(u->database, protocol_of(c->protocol), &l->sink, c);
    c->client->identity = u->identity;
    c->client->connection_id = u->connection_id;
    c->client->token = lc_span_to_cstr(u->token);
    c->client->jwt_payload = lc_span_to_cstr(u->jwt_payload);
    c->client->is_confirmed = u->is_confirmed;
    c->client->is_light = u->is_light;
    c->client->is_json = c->protocol == LC_WS_V1_JSON;
    lc_request_add(requests_of(l, c->database), LC_REQUEST_CONNECT, c->client);
}

lc_api_loop *lc_api_loop_create(lc_api *a, lc_loop *loop)
{
    lc_api_loop *l = lc_alloc_zero(sizeof *l);
    l->sink = (lc_sink){.post = sink_post, .wake = sink_wake};
    l->api = a;
    l->loop = loop;
    l->task.run = read_mail;
    pthread_mutex_init(&l->lock, NULL);
    l->immediate.last = &l->immediate.first;
    l->held.last = &l->held.first;
    lc_loop_set_user(loop, l);
    lc_loop_on_turn_end(loop, submit_requests, l);
    return l;
}

void lc_api_loop_join(lc_api_loop *l)
{
    for (size_t i = 0; i < l->databases.len; i++) lc_database_join(l->databases.items[i]->database);
}

/* Of what nobody will read only the end of connections matters. */
static void discard_batches(lc_delivery_batch *b)
{
    while (b) {
        lc_delivery_batch *next = b->next;
        for (size_t i = b->cursor; i < b->items.len; i++)
            if (b->items.items[i].kind == LC_DELIVERY_GONE) conn_free(b->items.items[i].target);
        lc_delivery_batch_destroy(b);
        b = next;
    }
}

/* After the loops have ended and the executors, too. */
void lc_api_loop_destroy(lc_api_loop *l)
{
    for (size_t i = 0; i < l->databases.len; i++) {
        db_state *s = l->databases.items[i];
        lc_database_remove_sink(s->database, &l->sink);
        discard_batches(s->held_first);
        if (s->requests) lc_request_batch_destroy(s->requests);
        lc_database_unref(s->database);
        lc_free(s);
    }
    discard_batches(l->immediate.first);
    discard_batches(l->held.first);
    lc_vec_deinit(&l->databases);
    lc_buf_deinit(&l->scratch);
    pthread_mutex_destroy(&l->lock);
    lc_free(l);
}
