/*
 * Inside of the net room: loops and connections as its files share them.
 *
 * A connection is one TCP socket. It speaks HTTP until a request is upgraded, then WebSocket for
 * good. Everything here is touched by the connection's loop thread only, unless it says otherwise.
 */
#ifndef LC_NET_INTERNAL_H
#define LC_NET_INTERNAL_H

#include "net/lc_net.h"

#include <http_parser.h>
#include <pthread.h>
#include <uv.h>

enum {
    LC_READ_BUFFER = 256 * 1024,      /* one read per readiness takes up to this */
    LC_HTTP_MAX_HEADERS = 256,        /* header lines of a request */
    LC_HTTP_MAX_PIPELINED = 1 << 20,  /* bytes kept behind a request that is being handled */
    LC_HTTP_MAX_BACKLOG = 1 << 20,    /* unread answers, above which no more requests are taken */
    LC_HTTP_IDLE_MILLIS = 120 * 1000, /* without a byte from a client that owes us one */
    LC_HTTP_LINGER_MILLIS = 1000,     /* for the last answer to be read, whatever still comes in */
    LC_WRITE_MAX_PIECES = 256,        /* iovecs of one writev */
    LC_SHARED_MIN = 4096,             /* smaller messages are copied: cheaper than an iovec */
    LC_KEEP_BUFFER = 64 * 1024,       /* larger buffers of a connection are freed when empty */
    LC_SLOW_MILLIS = 1000,            /* no write completed for so long: a slow reader */
};

typedef struct lc_conn lc_conn;

struct lc_loop {
    uv_loop_t uv;
    uv_async_t async;
    uv_check_t after_poll;    /* both end a turn: reads come from the poll, */
    uv_prepare_t before_poll; /* writes also from timers, which run before it */
    bool is_stopping;
    atomic_bool must_stop;
    atomic_bool is_woken;
    _Atomic(lc_task *) tasks; /* newest first; any thread pushes */
    void (*turn_end)(void *arg);
    void *turn_end_arg;
    void *user;
    lc_conn *conns; /* all of them */
    lc_conn *dirty; /* those with something to write this turn */
    uint8_t *read_buffer;
};

/* ------------------------------------------------------------ outgoing bytes */

/* A piece of the outgoing stream: a run of the queue's own buffer, or somebody's bytes. */
typedef struct lc_piece {
    const uint8_t *shared; /* NULL: own.ptr + at */
    size_t at;
    size_t len;
    void (*release)(void *arg);
    void *arg;
} lc_piece;

typedef struct lc_out_queue {
    lc_buf own;
    LC_VEC(lc_piece) pieces;
    size_t bytes;
    uint64_t messages;
} lc_out_queue;

/* --------------------------------------------------------------- connections */

typedef enum lc_conn_mode { LC_CONN_HTTP, LC_CONN_WS } lc_conn_mode;

struct lc_conn {
    lc_loop *loop;
    uv_tcp_t tcp;
    uv_timer_t timer;
    uint8_t open_handles; /* tcp and timer; freed when none is left */
    lc_conn *next, *prev;
    lc_conn *next_dirty;
    lc_conn_mode mode;
    bool is_dirty;
    bool is_closing; /* uv_close was called */
    bool is_eof;     /* the peer ended its side, or reading failed */
    bool close_when_written;
    bool is_lingering; /* all is written and our side ended: what comes is thrown away */
    bool is_reading;

    /* writing: `out` fills while `writing` is in the kernel's hands */
    lc_out_queue out;
    lc_out_queue writing;
    uv_write_t write_request;
    bool is_writing;
    uint64_t write_started; /* or was seen to go on; loop millis */
    size_t write_left;      /* bytes, when the timer last looked */

    lc_buf in;    /* bytes received and not yet consumed, */
    size_t in_at; /* those from here on (WebSocket: always 0) */

    /* HTTP */
    const lc_http_handler *handler;
    http_parser parser;
    lc_http_request *request; /* being received or handled */
    bool is_handling;         /* waiting for its answer: no other request is taken */
    bool is_receiving;        /* being handled while its body still arrives */
    bool is_due;              /* to be handed to the handler when the parser has returned */
    bool is_parsing;          /* inside the loop that takes requests from `in` */

    lc_ws *ws;
};

void lc_conn_accept(lc_loop *loop, uv_stream_t *server, const lc_http_handler *handler);
/* Marks the connection for writing at the end of the turn. */
void lc_conn_touch(lc_conn *c);
/* Writes what is queued. */
void lc_conn_flush(lc_conn *c);
/* Drops the socket now. The mode's closing function is called once. */
void lc_conn_abort(lc_conn *c);
void lc_conn_set_reading(lc_conn *c, bool reading);
/* (Re)starts the connection's one timer; the mode's timer function is called when it is due. */
void lc_conn_set_timer(lc_conn *c, uint64_t after_millis);

void lc_out_own(lc_out_queue *q, size_t from); /* bytes own.ptr[from..] were appended */
void lc_out_put(lc_out_queue *q, const void *p, size_t n);
void lc_out_shared(lc_out_queue *q, lc_span data, void (*release)(void *arg), void *arg);
void lc_out_deinit(lc_out_queue *q);

/* http.c */
void lc_http_start(lc_conn *c);
void lc_http_feed(lc_conn *c, lc_span data);
void lc_http_peer_gone(lc_conn *c);
void lc_http_written(lc_conn *c);
void lc_http_conn_closed(lc_conn *c); /* the socket is closed: drop what is left */
void lc_http_timer(lc_conn *c);
extern const http_parser_settings lc_http_parser_settings;
/* Answers 101 with the given rest of the head and turns the connection to WebSocket. NULL: gone. */
lc_conn *lc_http_upgrade(lc_http_request *r, lc_span head);

/* intake.c: a request's body on its way from the loop to somebody who reads it. */
typedef struct lc_intake lc_intake;
/* resume(arg) is called on the loop when there is room again after it was full. */
lc_intake *lc_intake_create(lc_loop *loop, void (*resume)(void *arg), void *arg);
void lc_intake_destroy(lc_intake *k); /* when nobody reads any more */
void lc_intake_put(lc_intake *k, lc_span bytes);
bool lc_intake_is_full(lc_intake *k);
/* Nothing more comes: all is there, or (is_whole false) it broke off. The first call counts. */
void lc_intake_end(lc_intake *k, bool is_whole);
bool lc_intake_wait(lc_intake *k, uint32_t millis);
ssize_t lc_intake_read(lc_intake *k, void *buf, size_t n, lc_error *err);

/* ws.c */
void lc_ws_feed(lc_conn *c, lc_span data);
void lc_ws_timer(lc_conn *c);
void lc_ws_conn_closed(lc_conn *c);

#endif
