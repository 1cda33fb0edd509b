/*
 * What the sockets allow: a WebSocket server that sends every message back, in one thread, and
 * knows nothing else. With --broadcast it sends every message to all connections, also the
 * sender's: the ceiling of fan-out.
 *
 *   bench-echo [--broadcast] [PORT]        0 or none: any free one; prints `listening on PORT`
 */
#include "wire.h"

#include <argp.h>

enum { EVENTS_MAX = 256, BACKLOG = 4096 };

typedef struct connection {
    wire w;
    bool is_upgraded;
    uint32_t place; /* in connections */
} connection;

static bool is_broadcast;
static LC_VEC(connection *) connections;

/* ------------------------------------------------------------------ connections */

static void accept_all(int listener, int epoll)
{
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        connection *c = lc_alloc_zero(sizeof *c);
        c->w = (wire){.fd = fd, .is_server = true};
        c->place = (uint32_t)connections.len;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        lc_vec_push(&connections, c);
        wire_watch(&c->w, epoll, c);
    }
}

static void leave(connection *c)
{
    connection *last = connections.items[--connections.len];
    connections.items[c->place] = last;
    last->place = c->place;
    close(c->w.fd);
    lc_buf_deinit(&c->w.in);
    lc_buf_deinit(&c->w.out);
    lc_free(c);
}

/* Answers the upgrade when all of it is there, with the sub-protocol that was asked for. */
static void upgrade(connection *c)
{
    static const char name[] = "\r\nSec-WebSocket-Protocol: ";
    size_t head = wire_head(&c->w);
    if (head == 0) {
        c->w.is_closed |= c->w.in.len > WIRE_HEAD_MAX;
        return;
    }
    const char *text = (const char *)c->w.in.ptr,
               *protocol = memmem(text, head, name, strlen(name));
    lc_buf_printf(&c->w.out, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                             "Connection: Upgrade\r\nSec-WebSocket-Accept: " WIRE_ACCEPT);
    if (protocol) {
        const char *end = memchr(protocol + 2, '\r', (size_t)(text + head - protocol - 2));
        lc_buf_put(&c->w.out, protocol, (size_t)(end - protocol));
    }
    lc_buf_put_str(&c->w.out, "\r\n\r\n");
    c->w.at = head;
    c->is_upgraded = true;
}

/* --------------------------------------------------------------------- messages */

/* One frame for all, copied only where a socket is full. */
static void broadcast(lc_span message)
{
    static wire frame = {.is_server = true};
    lc_buf_reset(&frame.out);
    wire_put_frame(&frame, WIRE_BINARY, message);
    LC_VEC_EACH (to, &connections) {
        wire *w = &(*to)->w;
        ssize_t n = 0;
        if (!(*to)->is_upgraded) continue;
        if (w->out.len == 0)
            n = send(w->fd, frame.out.ptr, frame.out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        size_t sent = n > 0 ? (size_t)n : 0;
        if (sent < frame.out.len) lc_buf_put(&w->out, frame.out.ptr + sent, frame.out.len - sent);
    }
}

static void turn(connection *c)
{
    lc_span message;
    wire_receive(&c->w);
    if (!c->is_upgraded) upgrade(c);
    while (c->is_upgraded && wire_next(&c->w, &message)) {
        if (is_broadcast)
            broadcast(message);
        else
            wire_put_frame(&c->w, WIRE_BINARY, message);
    }
    wire_flush(&c->w);
    if (c->w.is_closed) leave(c);
}

/* ------------------------------------------------------------------------- main */

static int listen_at(uint16_t port)
{
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(fd, (struct sockaddr *)&at, size) || listen(fd, BACKLOG) ||
        getsockname(fd, (struct sockaddr *)&at, &size))
        die("port %u: %s", port, strerror(errno));
    printf("listening on %u\n", ntohs(at.sin_port));
    fflush(stdout);
    return fd;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    uint16_t *port = state->input;
    switch (key) {
    case 'b':
        is_broadcast = true;
        return 0;
    case ARGP_KEY_ARG:
        *port = (uint16_t)number_of(arg, UINT16_MAX);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int main(int argc, char **argv)
{
    static const struct argp_option option_list[] = {
        {"broadcast", 'b', NULL, 0, "send every message to all connections", 0}, {0}};
    static const struct argp argp = {
        option_list, parse_option, "[PORT]", "Sends every message back.", NULL, NULL, NULL};
    uint16_t port = 0;
    argp_parse(&argp, argc, argv, 0, NULL, &port);
    int listener = listen_at(port), epoll = epoll_create1(0);
    wire_watch(&(wire){.fd = listener}, epoll, NULL);
    for (;;) {
        struct epoll_event events[EVENTS_MAX];
        int n = epoll_wait(epoll, events, EVENTS_MAX, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr)
                turn(events[i].data.ptr);
            else
                accept_all(listener, epoll);
        }
    }
}
