/*
 * Load for run_kill.py: many WebSocket connections that call `transfer` of tests/modules/ledger,
 * each with many calls under way, until the server is gone, or for so many milliseconds.
 *
 *   ledger_client PORT DATABASE CONNECTIONS IN_FLIGHT ACCOUNTS FIRST_CLIENT MILLIS FILE
 *
 * Even connections speak protocol v2, odd ones v3 with several calls in a message. FILE receives
 * for each connection: u32 client, u32 calls sent, and a byte per call: 0 not answered, 1
 * confirmed, 2 refused. Exit code 2: the server said something that cannot be.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_CALLS = 4 << 20, BATCH = 8, ROOM = 1 << 20 };

typedef struct session {
    int fd;
    int is_v3;
    uint32_t client;
    uint32_t sent, answered;
    uint8_t *outcomes;
    uint8_t *in;
    size_t in_len;
    uint8_t *out;
    size_t out_len, out_at;
} session;

static uint32_t accounts;

static void wrong(const char *what)
{
    fprintf(stderr, "ledger_client: %s\n", what);
    exit(2);
}

static uint64_t millis(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static int open_link(session *l, uint16_t port, const char *database)
{
    l->fd = socket(AF_INET, SOCK_STREAM, 0);
    int on = 1;
    setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    if (connect(l->fd, (struct sockaddr *)&to, sizeof to) < 0) return 0;
    char text[512];
    int n = snprintf(text, sizeof text,
                     "GET /v1/database/%s/subscribe?compression=None HTTP/1.1\r\nHost: a\r\n"
                     "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                     "Sec-WebSocket-Protocol: v%d.bsatn.spacetimedb\r\n\r\n",
                     database, l->is_v3 ? 3 : 2);
    if (write(l->fd, text, (size_t)n) != n) return 0;
    /* Byte by byte: what follows the head stays in the socket. */
    size_t at = 0;
    while (at < 4 || memcmp(text + at - 4, "\r\n\r\n", 4) != 0) {
        char c;
        if (read(l->fd, &c, 1) != 1) return 0;
        if (at < sizeof text) text[at] = c;
        if (at == sizeof text) memmove(text, text + 1, --at), text[at] = c;
        at++;
    }
    return 1;
}

static uint8_t *put(uint8_t *at, const void *p, size_t n)
{
    memcpy(at, p, n);
    return at + n;
}

static uint8_t *put_u32(uint8_t *at, uint32_t v)
{
    return put(at, &v, 4);
}

/* CallReducer(request = seq, `transfer`, client, seq, from, to, amount) */
static uint8_t *put_call(session *l, uint8_t *at)
{
    uint32_t seq = l->sent++;
    uint32_t from = (seq * 7 + l->client) % accounts;
    uint32_t to = (from + 1 + seq % (accounts - 1)) % accounts;
    int64_t amount = 1 + seq % 9;
    *at++ = 3;
    at = put_u32(at, seq);
    *at++ = 0;
    at = put_u32(at, 8);
    at = put(at, "transfer", 8);
    at = put_u32(at, 24);
    at = put_u32(at, l->client);
    at = put_u32(at, seq);
    at = put_u32(at, from);
    at = put_u32(at, to);
    return put(at, &amount, 8);
}

static void put_frame(session *l, uint8_t first, const uint8_t *payload, size_t n)
{
    uint8_t *at = l->out + l->out_len;
    *at++ = first;
    if (n < 126) {
        *at++ = (uint8_t)(0x80 | n);
    } else {
        *at++ = 0x80 | 126;
        *at++ = (uint8_t)(n >> 8);
        *at++ = (uint8_t)n;
    }
    at = put_u32(at, 0); /* an all-zero mask */
    at = put(at, payload, n);
    l->out_len = (size_t)(at - l->out);
}

static void fill(session *l, uint32_t in_flight)
{
    if (l->out_at == l->out_len) l->out_at = l->out_len = 0;
    while (l->sent - l->answered < in_flight && l->sent + BATCH < MAX_CALLS &&
           l->out_len + 4096 < ROOM) {
        uint8_t payload[BATCH * 64], *at = payload;
        for (int i = 0; i < (l->is_v3 ? BATCH : 1); i++) at = put_call(l, at);
        put_frame(l, 0x82, payload, (size_t)(at - payload));
    }
}

static uint32_t get_u32(const uint8_t *p, const uint8_t *end)
{
    if (end - p < 4) wrong("a message cut short");
    uint32_t v;
    memcpy(&v, p, 4);
    return v;
}

/* One or more server messages. */
static void take_payload(session *l, const uint8_t *p, const uint8_t *end)
{
    if (p == end || *p++ != 0) wrong("a compressed message that nobody asked for");
    while (p < end) {
        uint8_t tag = *p++;
        if (tag == 0) { /* InitialConnection */
            p += 48;
            p += 4 + get_u32(p, end);
            continue;
        }
        if (tag != 6) wrong("a message that is no result");
        uint32_t seq = get_u32(p, end);
        p += 12;
        if (p >= end) wrong("a result cut short");
        uint8_t outcome = *p++;
        if (seq != l->answered || seq >= l->sent) wrong("results are out of order");
        l->outcomes[seq] = outcome == 0 ? 1 : 2;
        l->answered++;
        if (outcome != 1) p += 4 + get_u32(p, end);
        if (outcome == 0 && (get_u32(p, end) != 0)) wrong("updates without a subscription");
        if (outcome == 0) p += 4;
    }
    if (p != end) wrong("a message with something behind it");
}

/* Whole frames at the beginning of l->in. False: the server closes. */
static int take_frames(session *l)
{
    uint8_t *p = l->in, *end = l->in + l->in_len;
    int goes_on = 1;
    while (goes_on && end - p >= 2) {
        size_t n = p[1], head = 2;
        if (n == 126) {
            if (end - p < 4) break;
            n = (size_t)p[2] << 8 | p[3];
            head = 4;
        } else if (n == 127) {
            if (end - p < 10) break;
            n = 0;
            for (int i = 0; i < 8; i++) n = n << 8 | p[2 + i];
            head = 10;
        }
        if (n > ROOM / 2) wrong("a frame of absurd length");
        if ((size_t)(end - p) < head + n) break;
        uint8_t op = p[0] & 15;
        if (op == 2) take_payload(l, p + head, p + head + n);
        if (op == 8) goes_on = 0;
        if (op == 9) put_frame(l, 0x8a, p + head, n);
        p += head + n;
    }
    l->in_len = (size_t)(end - p);
    memmove(l->in, p, l->in_len);
    return goes_on;
}

static int serve(session *l, short events, uint32_t in_flight)
{
    if (events & (POLLIN | POLLHUP | POLLERR)) {
        ssize_t n = recv(l->fd, l->in + l->in_len, ROOM - l->in_len, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN)) return 0;
        if (n > 0) l->in_len += (size_t)n;
        if (!take_frames(l)) return 0;
    }
    fill(l, in_flight);
    if (l->out_at == l->out_len) return 1;
    ssize_t n =
        send(l->fd, l->out + l->out_at, l->out_len - l->out_at, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN) {
        /* Gone for writing; what it had said is still there to be read. */
        while ((n = recv(l->fd, l->in + l->in_len, ROOM - l->in_len, 0)) > 0) {
            l->in_len += (size_t)n;
            if (!take_frames(l)) break;
        }
        return 0;
    }
    if (n > 0) l->out_at += (size_t)n;
    return 1;
}

int main(int argc, char **argv)
{
    if (argc != 9) wrong("PORT DATABASE CONNECTIONS IN_FLIGHT ACCOUNTS FIRST_CLIENT MILLIS FILE");
    uint16_t port = (uint16_t)atoi(argv[1]);
    uint32_t count = (uint32_t)atoi(argv[3]), in_flight = (uint32_t)atoi(argv[4]);
    accounts = (uint32_t)atoi(argv[5]);
    uint32_t first = (uint32_t)atoi(argv[6]);
    uint64_t end = millis() + (uint64_t)atoll(argv[7]);
    session *links = calloc(count, sizeof *links);
    struct pollfd *polls = calloc(count, sizeof *polls);
    uint32_t open_links = 0;
    for (uint32_t i = 0; i < count; i++) {
        session *l = &links[i];
        l->client = first + i;
        l->is_v3 = i % 2;
        l->in = malloc(ROOM);
        l->out = malloc(ROOM);
        l->outcomes = calloc(MAX_CALLS, 1);
        polls[i].fd = -1;
        if (!open_link(l, port, argv[2])) continue;
        polls[i].fd = l->fd;
        open_links++;
    }
    while (open_links && millis() < end) {
        for (uint32_t i = 0; i < count; i++) {
            session *l = &links[i];
            int has_more = l->out_at < l->out_len || l->sent - l->answered < in_flight;
            polls[i].events = (short)(POLLIN | (has_more ? POLLOUT : 0));
        }
        if (poll(polls, count, 50) <= 0) continue;
        for (uint32_t i = 0; i < count; i++) {
            if (polls[i].fd < 0 || !polls[i].revents ||
                serve(&links[i], polls[i].revents, in_flight))
                continue;
            close(polls[i].fd);
            polls[i].fd = -1;
            open_links--;
        }
    }
    FILE *f = fopen(argv[8], "wb");
    if (!f) wrong("cannot write");
    uint64_t confirmed = 0;
    for (uint32_t i = 0; i < count; i++) {
        session *l = &links[i];
        fwrite(&l->client, 4, 1, f);
        fwrite(&l->sent, 4, 1, f);
        fwrite(l->outcomes, 1, l->sent, f);
        for (uint32_t k = 0; k < l->sent; k++) confirmed += l->outcomes[k] == 1;
    }
    fclose(f);
    printf("%llu\n", (unsigned long long)confirmed);
    return 0;
}
