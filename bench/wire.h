/*
 * What the load programs share: time, processor time, one end of a WebSocket, and the messages of
 * the binary protocols v2 and v3 as far as they need them. Of the server they know the wire only,
 * so the same programs measure any server that speaks it.
 */
#ifndef LC_BENCH_WIRE_H
#define LC_BENCH_WIRE_H

#include "base/lc_base.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

LC_PRINTF(1, 2) _Noreturn static inline void die(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
    exit(2);
}

/* ----------------------------------------------------------------- measuring */

static inline double seconds_of(clockid_t clock)
{
    struct timespec t;
    if (clock_gettime(clock, &t)) return 0;
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static inline double now(void)
{
    return seconds_of(CLOCK_MONOTONIC);
}

static inline double own_cpu(void)
{
    return seconds_of(CLOCK_PROCESS_CPUTIME_ID);
}

/* Processor seconds of another process, all its threads, those that left as well: the sum that
 * /proc/PID/stat shows in hundredths. 0 without a pid. */
static inline double cpu_of(pid_t pid)
{
    clockid_t clock;
    if (pid == 0) return 0;
    if (clock_getcpuclockid(pid, &clock)) die("no process %d", (int)pid);
    return seconds_of(clock);
}

static inline uint64_t next_random(void)
{
    static uint64_t x = 88172645463325252u;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return x;
}

/* A whole number from the command line. */
static inline uint32_t number_of(const char *text, uint32_t max)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);
    if (end == text || *end || n > max) die("%s: wanted a number up to %u", text, max);
    return (uint32_t)n;
}

/* ---------------------------------------------------------------- connections */

enum { WIRE_CONTINUED, WIRE_TEXT, WIRE_BINARY, WIRE_CLOSE = 8, WIRE_PING, WIRE_PONG };
enum { WIRE_READ_SIZE = 65536, WIRE_HEAD_MAX = 8192 };

/* One end of a WebSocket over a non-blocking socket. */
typedef struct wire {
    int fd;
    bool is_server; /* sends without a mask */
    bool is_closed; /* the other side said so, or is gone */

    lc_buf in;          /* parsed up to `at`, */
    size_t at;          /* but for the message that is being put together: */
    size_t message;     /* from here */
    size_t message_len; /* this much of it, its fragments moved together */

    lc_buf out; /* the first `sent` bytes are away */
    size_t sent;
} wire;

static inline void wire_apply_mask(uint8_t *p, size_t n, const uint8_t mask[4])
{
    uint64_t word, wide = lc_load_u32(mask);
    wide |= wide << 32;
    for (; n >= 8; p += 8, n -= 8) {
        memcpy(&word, p, 8);
        word ^= wide;
        memcpy(p, &word, 8);
    }
    for (size_t i = 0; i < n; i++) p[i] ^= mask[i & 3];
}

/* Appends one frame to `out`. */
static inline void wire_put_frame(wire *w, int opcode, lc_span payload)
{
    static const uint8_t mask[4] = {0x3d, 0xa7, 0x51, 0xc8};
    uint8_t masked = w->is_server ? 0 : 0x80;
    lc_buf_put_u8(&w->out, (uint8_t)(0x80 | opcode));
    if (payload.len < 126) {
        lc_buf_put_u8(&w->out, masked | (uint8_t)payload.len);
    } else if (payload.len <= UINT16_MAX) {
        lc_buf_put_u8(&w->out, masked | 126);
        lc_buf_put_u16(&w->out, htons((uint16_t)payload.len));
    } else {
        lc_buf_put_u8(&w->out, masked | 127);
        lc_buf_put_u32(&w->out, htonl((uint32_t)(payload.len >> 32)));
        lc_buf_put_u32(&w->out, htonl((uint32_t)payload.len));
    }
    if (masked) lc_buf_put(&w->out, mask, 4);
    size_t start = w->out.len;
    lc_buf_put_span(&w->out, payload);
    if (masked) wire_apply_mask(w->out.ptr + start, payload.len, mask);
}

/* Sends what the socket takes. */
static inline void wire_flush(wire *w)
{
    while (w->sent < w->out.len) {
        ssize_t n =
            send(w->fd, w->out.ptr + w->sent, w->out.len - w->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0) {
            if (errno != EAGAIN) w->is_closed = true;
            return;
        }
        w->sent += (size_t)n;
    }
    lc_buf_reset(&w->out);
    w->sent = 0;
}

/* Reads until the socket has no more; how many bytes. */
static inline size_t wire_receive(wire *w)
{
    size_t before = w->in.len;
    for (;;) {
        uint8_t *to = lc_buf_reserve(&w->in, WIRE_READ_SIZE);
        size_t room = w->in.cap - w->in.len;
        ssize_t n = recv(w->fd, to, room, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN)) w->is_closed = true;
        if (n <= 0) break;
        w->in.len += (size_t)n;
        if ((size_t)n < room) break;
    }
    return w->in.len - before;
}

/* The next frame of `in`, unmasked, if all of it is there. */
static inline bool wire_next_frame(wire *w, uint8_t *first, lc_span *payload)
{
    uint8_t *p = w->in.ptr + w->at;
    size_t have = w->in.len - w->at, header = 2;
    if (have < header) return false;
    uint64_t len = p[1] & 0x7f;
    if (len >= 126) {
        header = len == 126 ? 4 : 10;
        if (have < header) return false;
        len = 0;
        for (size_t i = 2; i < header; i++) len = len << 8 | p[i];
    }
    const uint8_t *mask = p + header;
    bool is_masked = p[1] & 0x80;
    if (is_masked) header += 4;
    if (have < header || have - header < len) return false;
    if (is_masked) wire_apply_mask(p + header, len, mask);
    *first = p[0];
    *payload = LC_SPAN(p + header, len);
    w->at += header + len;
    return true;
}

/* The next message of `in`, whole; valid until the next call after which there was none. Pings are
 * answered. */
static inline bool wire_next(wire *w, lc_span *message)
{
    uint8_t first;
    lc_span payload;
    while (wire_next_frame(w, &first, &payload)) {
        int opcode = first & 15;
        if (opcode == WIRE_CLOSE) {
            fprintf(stderr, "closed by the other side: " LC_SPAN_FMT "\n",
                    (int)(payload.len > 2 ? payload.len - 2 : 0), (const char *)payload.ptr + 2);
            w->is_closed = true;
            return false;
        }
        if (opcode == WIRE_PING) wire_put_frame(w, WIRE_PONG, payload);
        if (opcode >= WIRE_CLOSE) continue;
        if (opcode != WIRE_CONTINUED) w->message = (size_t)(payload.ptr - w->in.ptr);
        uint8_t *end = w->in.ptr + w->message + w->message_len;
        if (end != payload.ptr) memmove(end, payload.ptr, payload.len);
        w->message_len += payload.len;
        if (first & 0x80) {
            *message = LC_SPAN(w->in.ptr + w->message, w->message_len);
            w->message_len = 0;
            return true;
        }
    }
    /* What is not complete moves to the front. */
    if (w->message_len > 0) memmove(w->in.ptr, w->in.ptr + w->message, w->message_len);
    size_t rest = w->in.len - w->at;
    if (rest > 0) memmove(w->in.ptr + w->message_len, w->in.ptr + w->at, rest);
    w->message = 0;
    w->at = w->message_len;
    w->in.len = w->at + rest;
    return false;
}

/* Length of the HTTP head at the start of `in`, 0 while it is not complete. */
static inline size_t wire_head(const wire *w)
{
    const uint8_t *end = w->in.len ? memmem(w->in.ptr, w->in.len, "\r\n\r\n", 4) : NULL;
    return end ? (size_t)(end - w->in.ptr) + 4 : 0;
}

static inline void wire_watch(wire *w, int epoll, void *what)
{
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = what};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, w->fd, &e)) die("epoll_ctl: %s", strerror(errno));
}

/* The key of RFC 6455's own example and the answer to it: nobody here has to compute SHA-1. */
#define WIRE_KEY    "dGhlIHNhbXBsZSBub25jZQ=="
#define WIRE_ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

/* Connects to a database on this machine. Messages that came with the answer are in `in` already.
 * confirmed: "true", "false", or NULL for what the server does unasked. */
static inline void wire_open(wire *w, uint16_t port, const char *database, const char *protocol,
                             const char *confirmed)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    w->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(w->fd, (struct sockaddr *)&to, sizeof to))
        die("connecting to port %u: %s", port, strerror(errno));
    setsockopt(w->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));

    lc_buf_printf(&w->out,
                  "GET /v1/database/%s/subscribe?compression=None%s%s HTTP/1.1\r\n"
                  "Host: 127.0.0.1:%u\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " WIRE_KEY "\r\n"
                  "Sec-WebSocket-Protocol: %s.bsatn.spacetimedb\r\n\r\n",
                  database, confirmed ? "&confirmed=" : "", confirmed ? confirmed : "", port,
                  protocol);
    wire_flush(w);
    while (wire_head(w) == 0) {
        ssize_t n = recv(w->fd, lc_buf_reserve(&w->in, WIRE_READ_SIZE), WIRE_READ_SIZE, 0);
        if (n <= 0 || w->in.len > WIRE_HEAD_MAX) die("port %u: no answer to the upgrade", port);
        w->in.len += (size_t)n;
    }
    w->at = wire_head(w);
    if (w->in.len < 12 || memcmp(w->in.ptr + 9, "101", 3) != 0)
        die("upgrade refused: " LC_SPAN_FMT, LC_SPAN_ARG(lc_buf_span(&w->in)));
}

/* ------------------------------------------------------------------- messages */

enum { CLIENT_SUBSCRIBE = 0, CLIENT_CALL = 3 };
enum { SERVER_INITIAL = 0, SERVER_APPLIED, SERVER_REFUSED = 3, SERVER_UPDATE, SERVER_RESULT = 6 };
enum { OUTCOME_OK = 0, OUTCOME_OK_EMPTY, OUTCOME_ERROR, OUTCOME_FAILED };

/* CallReducer; the arguments are BSATN. */
static inline void put_call(lc_buf *b, uint32_t request, const char *reducer, lc_span args)
{
    lc_buf_put_u8(b, CLIENT_CALL);
    lc_buf_put_u32(b, request);
    lc_buf_put_u8(b, 0);
    lc_buf_put_lenstr(b, lc_span_of_str(reducer));
    lc_buf_put_lenstr(b, args);
}

/* Subscribe with `count` queries, whose texts the caller appends (lc_buf_put_lenstr). */
static inline void put_subscribe(lc_buf *b, uint32_t request, uint32_t set, uint32_t count)
{
    lc_buf_put_u8(b, CLIENT_SUBSCRIBE);
    lc_buf_put_u32(b, request);
    lc_buf_put_u32(b, set);
    lc_buf_put_u32(b, count);
}

/* What a server message is, by its first bytes: the envelope, which says not compressed, and the
 * tag. */
static inline int message_tag(lc_span message)
{
    if (message.len < 2 || message.ptr[0] != 0) die("the server sent a compressed message");
    return message.ptr[1];
}

#endif
