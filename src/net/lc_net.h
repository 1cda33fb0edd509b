/*
 * net: event loops, sockets, HTTP/1.1, WebSocket frames, compression, outgoing queues. Knows bytes
 * and connections; nothing of databases, identities or SQL.
 *
 * Threads: one lc_loop per I/O thread. Everything about a connection happens on its loop; only
 * lc_loop_post may be called from elsewhere. One read per readiness, all messages in it, one writev
 * per connection and turn: the law of this room is that a wake-up costs as much as a hundred
 * messages.
 */
#ifndef LC_NET_H
#define LC_NET_H

#include "base/lc_base.h"

/* ------------------------------------------------------------------- loops */

typedef struct lc_loop lc_loop;

/* A task handed to a loop from another thread. Embedded in the caller's object; run once. */
typedef struct lc_task lc_task;
struct lc_task {
    lc_task *next; /* private */
    void (*run)(lc_task *task);
};

lc_loop *lc_loop_create(void);
/* Runs until lc_loop_stop; then closes every connection and returns. Call on the loop's thread. */
void lc_loop_run(lc_loop *l);
void lc_loop_stop(lc_loop *l); /* any thread */
/* Any thread: it was told to stop, and a task posted from now on may never run. */
bool lc_loop_is_stopping(const lc_loop *l);
void lc_loop_destroy(lc_loop *l);
/* Any thread: run the task soon on the loop's thread. Wakes the loop at most once per turn. */
void lc_loop_post(lc_loop *l, lc_task *task);
/* At the end of every turn of the loop in which something was read (submit request batches there).
 */
void lc_loop_on_turn_end(lc_loop *l, void (*fn)(void *arg), void *arg);
/* Slot for the room above (its per-loop state). */
void *lc_loop_user(const lc_loop *l);
void lc_loop_set_user(lc_loop *l, void *user);
uint64_t lc_loop_now_millis(const lc_loop *l); /* monotonic, as of this turn */

/* One-shot timer, embedded in the caller's object; loop thread only. */
typedef struct lc_timer lc_timer;
lc_timer *lc_timer_start(lc_loop *l, uint64_t after_millis, void (*fn)(void *arg), void *arg);
void lc_timer_cancel(lc_timer *t); /* also frees; not after it fired */

/* -------------------------------------------------------------------- HTTP */

typedef struct lc_http_request lc_http_request;
typedef struct lc_ws lc_ws;

typedef struct lc_http_header {
    lc_span name; /* as received; compare with lc_http_header_get, which ignores case */
    lc_span value;
} lc_http_header;

/* How the room above takes requests. All on the connection's loop. */
typedef struct lc_http_handler {
    /* Headers are complete, the body not yet read. Returns the largest body to accept in bytes
     * (SIZE_MAX: any). A longer one is read and dropped; lc_http_is_oversize tells. */
    size_t (*body_limit)(void *arg, lc_http_request *r);
    /* The whole request is there. Answer now or later, exactly once, on this loop. */
    void (*handle)(void *arg, lc_http_request *r);
    /* Headers are complete. True: the body is not gathered in memory, handle is called at once and
     * somebody reads the body while it arrives (lc_http_body_read); it may have any size. May be
     * NULL: no body is. */
    bool (*streams_body)(void *arg, lc_http_request *r);
    void *arg;
} lc_http_handler;

/* Listens on address ("127.0.0.1", "::1", "localhost") and port (0: any) with all given loops
 * sharing the socket. *bound_port receives the real port. LC_E_IO names address and reason. */
typedef struct lc_listener lc_listener;
lc_status lc_listener_create(lc_loop *const *loops, uint32_t loop_count, const char *host,
                             uint16_t port, const lc_http_handler *handler, lc_listener **out,
                             uint16_t *bound_port, lc_error *err);
/* Stops accepting; connections go on. Any thread. */
void lc_listener_stop(lc_listener *l);
void lc_listener_destroy(lc_listener *l); /* after the loops have ended */

/* The request, valid until it is answered. */
lc_loop *lc_http_loop(const lc_http_request *r);
lc_span lc_http_method(const lc_http_request *r);
lc_span lc_http_path(const lc_http_request *r);  /* still percent-encoded, without the query */
lc_span lc_http_query(const lc_http_request *r); /* after the '?', may be empty */
lc_span lc_http_target(const lc_http_request *r);
uint32_t lc_http_header_count(const lc_http_request *r);
const lc_http_header *lc_http_header_at(const lc_http_request *r, uint32_t i);
/* The first header of that name; ptr NULL when absent. */
lc_span lc_http_header_get(const lc_http_request *r, const char *name);
lc_span lc_http_body(const lc_http_request *r);
/* The body of a request with streams_body, bit by bit: up to n bytes, waiting for at least one; 0
 * at its end; -1 when it will never be whole (LC_E_CLOSED). Any thread that may block, one at a
 * time, until the request is answered. The client has to wait while about LC_HTTP_MAX_INTAKE bytes
 * are unread; an answer given before the end of the body also ends the connection. */
#define LC_HTTP_MAX_INTAKE (1u << 20)
ssize_t lc_http_body_read(lc_http_request *r, void *buf, size_t n, lc_error *err);
/* Waits so long for something to read, or the end; false when there is nothing yet. */
bool lc_http_body_wait(lc_http_request *r, uint32_t millis);
lc_arena *lc_http_arena(lc_http_request *r); /* lives as long as the request */
/* The client is gone: the answer will be dropped. The request stays valid until answered. */
bool lc_http_is_closed(const lc_http_request *r);
bool lc_http_is_oversize(const lc_http_request *r); /* its body was over the limit and is gone */

/* Extra headers for the answer; spans must live until then (use the arena). */
void lc_http_add_header(lc_http_request *r, const char *name, lc_span value);
/* Answers and ends the request. content_type NULL: no such header. HEAD requests get no body. */
void lc_http_respond(lc_http_request *r, int status, const char *content_type, lc_span body);
/* Chunked answer: begin, then write any number of times, then end. on_close: the client went away;
 * the stream must still be ended. */
void lc_http_stream_begin(lc_http_request *r, int status, const char *content_type,
                          void (*on_close)(void *arg), void *arg);
void lc_http_stream_write(lc_http_request *r, lc_span data);
void lc_http_stream_end(lc_http_request *r);
/* The same without an end that the client could take for one: it sees a body that breaks off. */
void lc_http_stream_break(lc_http_request *r);
size_t lc_http_stream_backlog(const lc_http_request *r); /* bytes not yet taken by the socket */
/* Has fn called on the loop each time the socket has taken everything written so far. A client that
 * takes nothing for two minutes is then dropped. */
void lc_http_stream_on_taken(lc_http_request *r, void (*fn)(void *arg), void *arg);

/* Percent-decodes (and '+' as blank when form). */
lc_span lc_url_decode(lc_span in, bool form, lc_arena *a);
/* The n-th occurrence (0-based) of a key in a query string, decoded. False when there is none. */
bool lc_url_query_get(lc_span query, const char *key, uint32_t n, lc_arena *a, lc_span *value);

/* --------------------------------------------------------------- WebSocket */

typedef enum lc_ws_op { LC_WS_TEXT = 1, LC_WS_BINARY = 2 } lc_ws_op;

typedef struct lc_ws_options {
    uint64_t ping_interval_millis; /* default 15 000 */
    uint64_t idle_timeout_millis;  /* default 30 000 */
    uint64_t close_timeout_millis; /* default 250 */
    size_t max_message;            /* default 32 MiB */
    /* A client is dropped that lets more messages wait and takes nothing for a second, or more
     * bytes beside those the kernel has been given. */
    size_t max_outgoing_messages; /* default 16 384 */
    size_t max_outgoing_bytes;    /* default 1 GiB */
} lc_ws_options;
extern const lc_ws_options lc_ws_options_default;

typedef struct lc_ws_handler {
    /* A whole message; data is valid during the call. */
    void (*message)(void *arg, lc_ws *ws, lc_ws_op op, lc_span data);
    /* The connection is over, for whatever reason; the last call. ws is freed after it returns. */
    void (*closed)(void *arg, lc_ws *ws);
} lc_ws_handler;

/* Answers 101 with Sec-WebSocket-Accept and the chosen protocol plus headers added before; the
 * request ends. First Ping at once. The checks of 03 section 1.3 on headers are the caller's. */
lc_ws *lc_ws_accept(lc_http_request *r, lc_span protocol, const lc_ws_options *options,
                    const lc_ws_handler *handler, void *arg);
lc_loop *lc_ws_loop(const lc_ws *ws);
/* Queues one message: head (an envelope, may be empty), then data, both copied; written at the end
 * of the turn. */
void lc_ws_send(lc_ws *ws, lc_ws_op op, lc_span head, lc_span data);
/* The same without copying data: release(arg) is called when the bytes are no longer needed. */
void lc_ws_send_shared(lc_ws *ws, lc_ws_op op, lc_span head, lc_span data,
                       void (*release)(void *arg), void *arg);
/* Starts a close handshake; reason is cut to 123 bytes at a character border. Later sends are
 * dropped. closed() follows. */
void lc_ws_close(lc_ws *ws, uint16_t code, lc_span reason);
/* Drops the TCP connection without a Close frame. closed() follows (not from inside). */
void lc_ws_abort(lc_ws *ws);
/* Stop and go on reading (back-pressure). */
void lc_ws_pause(lc_ws *ws, bool paused);
uint64_t lc_ws_waiting_messages(const lc_ws *ws);

/* ------------------------------------------------------------- compression */

/* Appends the compressed form: brotli quality 1, gzip level 1. */
void lc_compress_brotli(lc_span in, lc_buf *out);
void lc_compress_gzip(lc_span in, lc_buf *out);

#endif
