/*
 * Fuzz target: what a connection makes of the bytes of a client, HTTP and WebSocket, without
 * sockets.
 *
 * The first byte of an input says whether the connection begins as HTTP (even) or as WebSocket
 * (odd), and seeds the places where the rest is cut into reads. Every input is run in one read and
 * in many: requests, messages and outgoing bytes must be the same.
 *
 * build: src/base src/net/http.c src/net/intake.c src/net/ws.c src/net/url.c
 * build: -lhttp_parser -lcrypto -luv
 */
#include "net/net_internal.h"

enum { MAX_MESSAGE = 5000, BODY_LIMIT = 300 };

typedef struct run {
    lc_loop loop;
    lc_conn *conn;
    lc_buf happened; /* requests and messages */
    lc_buf sent;
    uint32_t released, shared;
} run;

static run *now;

/* ------------------------------------------------ a connection layer of memory */

void lc_conn_touch(lc_conn *c)
{
    c->is_dirty = true;
}

void lc_conn_abort(lc_conn *c)
{
    c->is_closing = true;
}

void lc_conn_set_reading(lc_conn *c, bool reading)
{
    c->is_reading = reading;
}

void lc_conn_set_timer(lc_conn *c, uint64_t after_millis)
{
    (void)c;
    (void)after_millis;
}

void lc_conn_flush(lc_conn *c)
{
    c->is_dirty = false;
    LC_VEC_EACH (p, &c->out.pieces) {
        lc_buf_put(&now->sent, p->shared ? p->shared : c->out.own.ptr + p->at, p->len);
        if (p->release) p->release(p->arg);
    }
    c->out.pieces.len = 0;
    c->out.bytes = c->out.messages = 0;
    lc_buf_reset(&c->out.own);
}

void lc_out_own(lc_out_queue *q, size_t from)
{
    lc_vec_push(&q->pieces, ((lc_piece){.at = from, .len = q->own.len - from}));
    q->bytes += q->own.len - from;
}

void lc_out_put(lc_out_queue *q, const void *p, size_t n)
{
    size_t from = q->own.len;
    lc_buf_put(&q->own, p, n);
    lc_out_own(q, from);
}

void lc_out_shared(lc_out_queue *q, lc_span data, void (*release)(void *arg), void *arg)
{
    lc_vec_push(&q->pieces,
                ((lc_piece){.shared = data.ptr, .len = data.len, .release = release, .arg = arg}));
    q->bytes += data.len;
}

uint64_t lc_loop_now_millis(const lc_loop *l)
{
    (void)l;
    return 1000;
}

lc_timer *lc_timer_start(lc_loop *l, uint64_t after_millis, void (*fn)(void *arg), void *arg)
{
    (void)l;
    (void)after_millis;
    (void)fn;
    (void)arg;
    LC_BUG("no stream begins after its client went");
}

void lc_timer_cancel(lc_timer *t)
{
    (void)t;
}

void lc_loop_post(lc_loop *l, lc_task *task)
{
    (void)l;
    (void)task;
    LC_BUG("no body is read on another thread");
}

/* -------------------------------------------------------------- the application */

static void released(void *arg)
{
    lc_free(arg);
    now->released++;
}

static void note(const char *what, lc_span s)
{
    lc_buf_put_str(&now->happened, what);
    lc_buf_put_u32(&now->happened, (uint32_t)s.len);
    lc_buf_put_span(&now->happened, s);
}

static void on_message(void *arg, lc_ws *ws, lc_ws_op op, lc_span data)
{
    (void)arg;
    note(op == LC_WS_TEXT ? "text" : "binary", data);
    if (op == LC_WS_TEXT && !lc_utf8_valid(data)) LC_BUG("a text that is none");
    if (data.len > MAX_MESSAGE) LC_BUG("a message of %zu bytes", data.len);
    uint8_t order = data.len ? data.ptr[0] : 0;
    if (order == 'c') {
        lc_ws_close(ws, 4000, data);
    } else if (order == 'a') {
        lc_ws_abort(ws);
    } else if (order == 'p') {
        lc_ws_pause(ws, true);
        lc_ws_pause(ws, false);
    } else if (order == 's') {
        size_t n = LC_SHARED_MIN - 1 + data.len % 2;
        void *bytes = lc_alloc_zero(n);
        now->shared++;
        lc_ws_send_shared(ws, LC_WS_BINARY, LC_STR("head"), LC_SPAN(bytes, n), released, bytes);
    } else {
        lc_ws_send(ws, op, LC_STR("echo"), data);
    }
}

static void on_closed(void *arg, lc_ws *ws)
{
    (void)arg;
    lc_ws_send(ws, LC_WS_TEXT, LC_SPAN_EMPTY, LC_STR("of no effect"));
    note("closed", LC_SPAN_EMPTY);
}

static const lc_ws_handler ws_handler = {.message = on_message, .closed = on_closed};
static const lc_ws_options ws_options = {
    .ping_interval_millis = 1000,
    .idle_timeout_millis = 1000,
    .close_timeout_millis = 1000,
    .max_message = MAX_MESSAGE,
    .max_outgoing_messages = 1000000,
    .max_outgoing_bytes = 1u << 30,
};

static size_t body_limit(void *arg, lc_http_request *r)
{
    (void)arg;
    return lc_http_path(r).len % 2 ? BODY_LIMIT : SIZE_MAX;
}

static void handle(void *arg, lc_http_request *r)
{
    (void)arg;
    note("request", lc_http_method(r));
    note("path", lc_url_decode(lc_http_path(r), false, lc_http_arena(r)));
    lc_span value;
    if (lc_url_query_get(lc_http_query(r), "a", 0, lc_http_arena(r), &value)) note("a", value);
    for (uint32_t i = 0; i < lc_http_header_count(r); i++) {
        note("name", lc_http_header_at(r, i)->name);
        note("value", lc_http_header_at(r, i)->value);
    }
    note(lc_http_is_oversize(r) ? "oversize" : "body", lc_http_body(r));
    lc_span upgrade = lc_http_header_get(r, "upgrade");
    if (upgrade.len && upgrade.ptr[0] == 'w') {
        lc_ws_accept(r, LC_STR("p"), &ws_options, &ws_handler, NULL);
    } else if (lc_http_query(r).len % 2) {
        lc_http_stream_begin(r, 200, "text/plain", NULL, NULL);
        lc_http_stream_write(r, lc_http_body(r));
        lc_http_stream_end(r);
    } else {
        lc_http_add_header(r, "x-host", lc_http_header_get(r, "host"));
        lc_http_respond(r, 200, "text/plain", lc_http_body(r));
    }
}

static const lc_http_handler handler = {.body_limit = body_limit, .handle = handle};

/* ---------------------------------------------------------------------- running */

static void feed(run *r, const uint8_t *bytes, size_t n)
{
    /* A copy of exactly this size: frames are unmasked in place, and no byte behind may be touched.
     */
    uint8_t *copy = lc_memdup(bytes, n);
    uint8_t *exact = lc_alloc(n ? n : 1);
    memcpy(exact, copy, n);
    lc_free(copy);
    lc_conn *c = r->conn;
    if (c->mode == LC_CONN_HTTP)
        lc_http_feed(c, LC_SPAN(exact, n));
    else
        lc_ws_feed(c, LC_SPAN(exact, n));
    lc_free(exact);
    while (c->is_dirty) {
        lc_conn_flush(c);
        if (c->mode == LC_CONN_HTTP && !c->close_when_written) lc_http_written(c);
    }
}

static void play(run *r, const uint8_t *bytes, size_t n, uint8_t how, bool is_cut)
{
    now = r;
    *r = (run){.conn = lc_alloc_zero(sizeof *r->conn)};
    lc_conn *c = r->conn;
    c->loop = &r->loop;
    c->handler = &handler;
    lc_http_start(c);
    static const char upgrade[] = "GET /ws HTTP/1.1\r\nUpgrade: websocket\r\n\r\n";
    if (how & 1) feed(r, (const uint8_t *)upgrade, sizeof upgrade - 1);
    uint32_t random = how * 2654435761u + 1;
    for (size_t at = 0; at < n && !c->is_closing && !c->close_when_written;) {
        random = random * 1664525 + 1013904223;
        size_t part = is_cut ? 1 + (random >> 16) % (random >> 30 ? 7 : 300) : n;
        if (part > n - at) part = n - at;
        feed(r, bytes + at, part);
        at += part;
    }
    c->is_closing = true;
    if (c->mode == LC_CONN_WS)
        lc_ws_conn_closed(c);
    else
        lc_http_conn_closed(c);
    lc_conn_flush(c);
    if (r->released != r->shared) LC_BUG("shared bytes were not released");
    lc_vec_deinit(&c->out.pieces);
    lc_buf_deinit(&c->out.own);
    lc_buf_deinit(&c->in);
    lc_free(c);
}

static void run_deinit(run *r)
{
    lc_buf_deinit(&r->happened);
    lc_buf_deinit(&r->sent);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    run whole, cut;
    play(&whole, data + 1, size - 1, data[0], false);
    play(&cut, data + 1, size - 1, data[0], true);
    if (!lc_span_equal(lc_buf_span(&whole.happened), lc_buf_span(&cut.happened)))
        LC_BUG("what happens depends on how the bytes are cut");
    if (!lc_span_equal(lc_buf_span(&whole.sent), lc_buf_span(&cut.sent)))
        LC_BUG("what is sent depends on how the bytes are cut");
    run_deinit(&whole);
    run_deinit(&cut);
    return 0;
}
