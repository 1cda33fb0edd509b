/*
 * WebSocket: RFC 6455 frames, server side, no extensions.
 *
 * The framing is our own because every call is a frame: messages are parsed where they lie in the
 * read buffer and unmasked in place, so a whole message is neither copied nor buffered unless it is
 * split.
 */
#include "net/net_internal.h"

#include <openssl/evp.h>
#include <openssl/sha.h>

enum {
    OP_CONTINUATION = 0,
    OP_TEXT = 1,
    OP_BINARY = 2,
    OP_CLOSE = 8,
    OP_PING = 9,
    OP_PONG = 10,
    FIN = 0x80,
    RESERVED = 0x70,
    MASKED = 0x80,
    MAX_CONTROL = 125,
    MAX_REASON = 123,
};

const lc_ws_options lc_ws_options_default = {
    .ping_interval_millis = 15000,
    .idle_timeout_millis = 30000,
    .close_timeout_millis = 250,
    .max_message = 32u << 20,
    .max_outgoing_messages = 16384,
    .max_outgoing_bytes = 1u << 30,
};

struct lc_ws {
    lc_conn *conn;
    lc_loop *loop;
    lc_ws_options options;
    const lc_ws_handler *handler;
    void *arg;
    lc_buf message;     /* fragments of a split message */
    uint8_t message_op; /* 0: none open */
    bool awaits_pong;
    bool is_closing; /* a Close frame was sent: what comes is ignored */
    bool is_paused;
    bool is_feeding;
    bool has_early_bytes;   /* sent before the 101 went out */
    uint64_t last_received; /* loop millis */
    uint64_t next_ping;
    uint64_t slow_check; /* when to look again at a client that lets too much wait, or 0 */
};

/* ------------------------------------------------------------------- sending */

static void put_header(lc_buf *out, uint8_t op, size_t len)
{
    uint8_t *at = lc_buf_reserve(out, 10);
    at[0] = FIN | op;
    size_t n = 2;
    if (len < 126) {
        at[1] = (uint8_t)len;
    } else if (len <= UINT16_MAX) {
        at[1] = 126;
        lc_store_u16(at + 2, __builtin_bswap16((uint16_t)len));
        n = 4;
    } else {
        at[1] = 127;
        lc_store_u64(at + 2, __builtin_bswap64(len));
        n = 10;
    }
    out->len += n;
}

static void put_control(lc_ws *ws, uint8_t op, lc_span payload)
{
    lc_conn *c = ws->conn;
    size_t from = c->out.own.len;
    put_header(&c->out.own, op, payload.len);
    lc_buf_put_span(&c->out.own, payload);
    lc_out_own(&c->out, from);
    lc_conn_touch(c);
}

/* Has the client taken nothing of what the kernel holds for it for a while? */
static bool is_stuck(const lc_ws *ws)
{
    lc_conn *c = ws->conn;
    if (!c->is_writing) return false;
    uint64_t now = lc_loop_now_millis(ws->loop);
    size_t left = uv_stream_get_write_queue_size((uv_stream_t *)&c->tcp);
    if (left != c->write_left) {
        c->write_left = left;
        c->write_started = now;
    }
    return now - c->write_started >= LC_SLOW_MILLIS;
}

static bool has_too_many(const lc_ws *ws)
{
    const lc_conn *c = ws->conn;
    return c->out.messages + c->writing.messages >= ws->options.max_outgoing_messages;
}

static void arm_timer(lc_ws *ws);

/* Drops a client that is too slow. Too slow is not one that is sent much in one turn: it has a
 * moment to take some, and is looked at again even if nothing more comes for it. */
static void check_slow(lc_ws *ws)
{
    lc_conn *c = ws->conn;
    bool is_over = has_too_many(ws);
    if ((is_over && is_stuck(ws)) || c->out.bytes >= ws->options.max_outgoing_bytes)
        lc_conn_abort(c);
    else if (!is_over)
        ws->slow_check = 0;
    else if (ws->slow_check <= lc_loop_now_millis(ws->loop)) {
        ws->slow_check = lc_loop_now_millis(ws->loop) + LC_SLOW_MILLIS;
        arm_timer(ws);
    }
}

/* One more message waits. False when the client is too slow: then it is dropped. */
static bool admit_message(lc_ws *ws)
{
    lc_conn *c = ws->conn;
    if (ws->is_closing || c->is_closing) return false;
    if (LC_UNLIKELY(has_too_many(ws) || c->out.bytes >= ws->options.max_outgoing_bytes)) {
        lc_conn_flush(c);
        if (!c->is_closing) check_slow(ws);
        if (c->is_closing) return false;
    }
    c->out.messages++;
    return true;
}

void lc_ws_send(lc_ws *ws, lc_ws_op op, lc_span head, lc_span data)
{
    if (!admit_message(ws)) return;
    lc_conn *c = ws->conn;
    size_t from = c->out.own.len;
    put_header(&c->out.own, (uint8_t)op, head.len + data.len);
    lc_buf_put_span(&c->out.own, head);
    lc_buf_put_span(&c->out.own, data);
    lc_out_own(&c->out, from);
    lc_conn_touch(c);
}

void lc_ws_send_shared(lc_ws *ws, lc_ws_op op, lc_span head, lc_span data,
                       void (*release)(void *arg), void *arg)
{
    if (data.len < LC_SHARED_MIN) {
        lc_ws_send(ws, op, head, data);
        release(arg);
        return;
    }
    if (!admit_message(ws)) {
        release(arg);
        return;
    }
    lc_conn *c = ws->conn;
    size_t from = c->out.own.len;
    put_header(&c->out.own, (uint8_t)op, head.len + data.len);
    lc_buf_put_span(&c->out.own, head);
    lc_out_own(&c->out, from);
    lc_out_shared(&c->out, data, release, arg);
    lc_conn_touch(c);
}

uint64_t lc_ws_waiting_messages(const lc_ws *ws)
{
    return ws->conn->out.messages + ws->conn->writing.messages;
}

/* ------------------------------------------------------------------- closing */

static lc_span cut_reason(lc_span reason)
{
    if (reason.len <= MAX_REASON) return reason;
    size_t n = MAX_REASON;
    while (n > 0 && (reason.ptr[n] & 0xc0) == 0x80) n--;
    return LC_SPAN(reason.ptr, n);
}

static void send_close(lc_ws *ws, lc_span payload)
{
    put_control(ws, OP_CLOSE, payload);
    ws->is_closing = true;
    lc_conn_set_reading(ws->conn, true);
    ws->is_paused = false;
    lc_conn_set_timer(ws->conn, ws->options.close_timeout_millis);
}

void lc_ws_close(lc_ws *ws, uint16_t code, lc_span reason)
{
    if (ws->is_closing || ws->conn->is_closing) return;
    reason = cut_reason(reason);
    uint8_t payload[2 + MAX_REASON];
    payload[0] = (uint8_t)(code >> 8);
    payload[1] = (uint8_t)code;
    if (reason.len) memcpy(payload + 2, reason.ptr, reason.len);
    send_close(ws, LC_SPAN(payload, 2 + reason.len));
}

void lc_ws_abort(lc_ws *ws)
{
    lc_conn_abort(ws->conn);
}

void lc_ws_conn_closed(lc_conn *c)
{
    lc_ws *ws = c->ws;
    ws->handler->closed(ws->arg, ws);
    lc_buf_deinit(&ws->message);
    lc_free(ws);
}

static bool is_valid_close_code(uint16_t code)
{
    if (code >= 3000 && code <= 4999) return true;
    return code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006;
}

/* The peer closes: echo, then end when that is written. */
static void on_close_frame(lc_ws *ws, lc_span payload)
{
    lc_conn *c = ws->conn;
    if (ws->is_closing) {
        c->close_when_written = true;
        lc_conn_touch(c);
        return;
    }
    bool is_bad = payload.len == 1;
    if (payload.len >= 2) {
        uint16_t code = (uint16_t)(payload.ptr[0] << 8 | payload.ptr[1]);
        lc_span reason = LC_SPAN(payload.ptr + 2, payload.len - 2);
        is_bad = !is_valid_close_code(code) || !lc_utf8_valid(reason);
    }
    if (is_bad)
        lc_ws_close(ws, 1002, LC_STR("Protocol violation"));
    else
        send_close(ws, payload);
    c->close_when_written = true;
    lc_conn_set_reading(c, false);
}

/* ----------------------------------------------------------------- receiving */

static void unmask(uint8_t *p, size_t n, const uint8_t key[4])
{
    uint32_t k32 = lc_load_u32(key);
    uint64_t k64 = (uint64_t)k32 << 32 | k32;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) lc_store_u64(p + i, lc_load_u64(p + i) ^ k64);
    for (; i < n; i++) p[i] ^= key[i & 3];
}

static void deliver(lc_ws *ws, uint8_t op, lc_span data)
{
    if (op == OP_TEXT && !lc_utf8_valid(data)) {
        lc_conn_abort(ws->conn);
        return;
    }
    ws->handler->message(ws->arg, ws, (lc_ws_op)op, data);
}

static void on_data_frame(lc_ws *ws, uint8_t op, bool is_last, lc_span payload)
{
    bool is_continuation = op == OP_CONTINUATION;
    if (is_continuation != (ws->message_op != 0)) {
        lc_conn_abort(ws->conn);
        return;
    }
    if (is_last && !is_continuation) {
        deliver(ws, op, payload);
        return;
    }
    if (ws->message.len + payload.len > ws->options.max_message) {
        lc_conn_abort(ws->conn);
        return;
    }
    if (!is_continuation) ws->message_op = op;
    lc_buf_put_span(&ws->message, payload);
    if (!is_last) return;
    uint8_t message_op = ws->message_op;
    ws->message_op = 0;
    deliver(ws, message_op, lc_buf_span(&ws->message));
    if (ws->message.cap > LC_KEEP_BUFFER)
        lc_buf_deinit(&ws->message);
    else
        lc_buf_reset(&ws->message);
}

static void on_frame(lc_ws *ws, uint8_t first, lc_span payload)
{
    uint8_t op = first & 0x0f;
    bool is_last = (first & FIN) != 0;
    switch (op) {
    case OP_CLOSE:
        on_close_frame(ws, payload);
        break;
    case OP_PING:
        if (admit_message(ws)) put_control(ws, OP_PONG, payload); /* a Pong waits like a message */
        break;
    case OP_PONG:
        ws->awaits_pong = false;
        break;
    default:
        if (!ws->is_closing) on_data_frame(ws, op, is_last, payload);
    }
}

typedef struct frame {
    uint8_t first;
    size_t header; /* bytes before the payload */
    uint64_t len;
} frame;

typedef enum frame_state { FRAME_INCOMPLETE, FRAME_READY, FRAME_BAD } frame_state;

/* Looks at the frame at p; the payload may not be there yet (then it is INCOMPLETE). */
static frame_state read_frame(const lc_ws *ws, const uint8_t *p, size_t n, frame *f)
{
    if (n < 2) return FRAME_INCOMPLETE;
    f->first = p[0];
    uint8_t op = p[0] & 0x0f;
    bool is_control = op & 8;
    bool is_known = op <= OP_BINARY || (op >= OP_CLOSE && op <= OP_PONG);
    if ((p[0] & RESERVED) || !is_known || !(p[1] & MASKED)) return FRAME_BAD;
    uint8_t len7 = p[1] & 0x7f;
    if (is_control && (len7 > MAX_CONTROL || !(p[0] & FIN))) return FRAME_BAD;
    size_t len_bytes = len7 == 126 ? 2 : len7 == 127 ? 8 : 0;
    f->header = 2 + len_bytes + 4;
    if (n < f->header) return FRAME_INCOMPLETE;
    f->len = len7;
    if (len7 == 126) f->len = __builtin_bswap16(lc_load_u16(p + 2));
    if (len7 == 127) f->len = __builtin_bswap64(lc_load_u64(p + 2));
    if (f->len > ws->options.max_message) return FRAME_BAD;
    return n - f->header < f->len ? FRAME_INCOMPLETE : FRAME_READY;
}

/* Takes whole frames from p; returns the bytes consumed. */
static size_t take_frames(lc_conn *c, uint8_t *p, size_t n)
{
    lc_ws *ws = c->ws;
    size_t done = 0;
    while (!c->is_closing && !c->close_when_written && !ws->is_paused) {
        frame f;
        frame_state state = read_frame(ws, p + done, n - done, &f);
        if (state == FRAME_INCOMPLETE) break;
        if (state == FRAME_BAD) {
            lc_conn_abort(c);
            break;
        }
        uint8_t *payload = p + done + f.header;
        unmask(payload, f.len, payload - 4);
        done += f.header + f.len;
        on_frame(ws, f.first, LC_SPAN(payload, f.len));
    }
    return done;
}

void lc_ws_feed(lc_conn *c, lc_span data)
{
    lc_ws *ws = c->ws;
    if (data.len) ws->last_received = lc_loop_now_millis(ws->loop);
    if (c->close_when_written) return;
    ws->is_feeding = true;
    if (c->in.len == 0) {
        size_t used = take_frames(c, (uint8_t *)data.ptr, data.len);
        if (used < data.len) lc_buf_put(&c->in, data.ptr + used, data.len - used);
    } else {
        lc_buf_put_span(&c->in, data);
        size_t used = take_frames(c, c->in.ptr, c->in.len);
        memmove(c->in.ptr, c->in.ptr + used, c->in.len - used);
        c->in.len -= used;
        if (c->in.len == 0 && c->in.cap > LC_KEEP_BUFFER) lc_buf_deinit(&c->in);
    }
    ws->is_feeding = false;
}

void lc_ws_pause(lc_ws *ws, bool paused)
{
    if (ws->is_paused == paused || ws->is_closing || ws->conn->is_closing) return;
    ws->is_paused = paused;
    ws->last_received = lc_loop_now_millis(ws->loop); /* while paused, the silence is ours */
    lc_conn_set_reading(ws->conn, !paused);
    if (!paused && !ws->is_feeding) lc_ws_feed(ws->conn, LC_SPAN_EMPTY);
}

/* -------------------------------------------------------------------- timing */

static void arm_timer(lc_ws *ws)
{
    uint64_t now = lc_loop_now_millis(ws->loop);
    uint64_t idle = ws->last_received + ws->options.idle_timeout_millis;
    uint64_t next = idle < ws->next_ping ? idle : ws->next_ping;
    if (ws->slow_check && ws->slow_check < next) next = ws->slow_check;
    lc_conn_set_timer(ws->conn, next > now ? next - now : 1);
}

void lc_ws_timer(lc_conn *c)
{
    lc_ws *ws = c->ws;
    uint64_t now = lc_loop_now_millis(ws->loop);
    if (ws->is_paused) ws->last_received = now;
    if (ws->has_early_bytes) {
        ws->has_early_bytes = false;
        lc_ws_feed(c, LC_SPAN_EMPTY);
        if (c->is_closing || ws->is_closing) return;
    }
    if (ws->is_closing || now - ws->last_received >= ws->options.idle_timeout_millis) {
        lc_conn_abort(c);
        return;
    }
    if (ws->slow_check && now >= ws->slow_check) {
        check_slow(ws);
        if (c->is_closing) return;
    }
    if (now >= ws->next_ping) {
        ws->next_ping += ws->options.ping_interval_millis;
        if (ws->next_ping <= now) ws->next_ping = now + 1; /* the loop was held up */
        if (!ws->awaits_pong) {
            ws->awaits_pong = true;
            put_control(ws, OP_PING, LC_SPAN_EMPTY);
        }
    }
    arm_timer(ws);
}

/* ------------------------------------------------------------------- upgrade */

static void put_accept(lc_span key, lc_buf *out)
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    lc_buf text = LC_BUF_INIT;
    lc_buf_put_span(&text, key);
    lc_buf_put_str(&text, guid);
    uint8_t digest[SHA_DIGEST_LENGTH];
    SHA1(text.ptr, text.len, digest);
    lc_buf_deinit(&text);
    uint8_t base64[32];
    EVP_EncodeBlock(base64, digest, sizeof digest);
    lc_buf_printf(out, "sec-websocket-accept: %s\r\n", (const char *)base64);
}

lc_ws *lc_ws_accept(lc_http_request *r, lc_span protocol, const lc_ws_options *options,
                    const lc_ws_handler *handler, void *arg)
{
    lc_buf head = LC_BUF_INIT;
    lc_buf_put_str(&head, "connection: upgrade\r\nupgrade: websocket\r\n");
    put_accept(lc_http_header_get(r, "sec-websocket-key"), &head);
    if (protocol.len)
        lc_buf_printf(&head, "sec-websocket-protocol: " LC_SPAN_FMT "\r\n", LC_SPAN_ARG(protocol));
    lc_buf_put_str(&head, "\r\n");
    lc_ws *ws = lc_alloc_zero(sizeof *ws);
    ws->loop = lc_http_loop(r);
    ws->options = options ? *options : lc_ws_options_default;
    ws->handler = handler;
    ws->arg = arg;
    ws->conn = lc_http_upgrade(r, lc_buf_span(&head));
    lc_buf_deinit(&head);
    if (!ws->conn) {
        lc_free(ws);
        return NULL;
    }
    ws->conn->ws = ws;
    ws->last_received = lc_loop_now_millis(ws->loop);
    ws->next_ping = ws->last_received + ws->options.ping_interval_millis;
    ws->awaits_pong = true;
    put_control(ws, OP_PING, LC_SPAN_EMPTY);
    /* What came behind the request is taken when the caller is ready for messages. */
    ws->has_early_bytes = ws->conn->in.len > 0 && !ws->conn->is_parsing;
    if (ws->has_early_bytes)
        lc_conn_set_timer(ws->conn, 0);
    else
        arm_timer(ws);
    return ws;
}

lc_loop *lc_ws_loop(const lc_ws *ws)
{
    return ws->loop;
}
