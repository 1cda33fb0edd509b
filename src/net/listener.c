/*
 * Listening: one socket, shared by all loops; whichever is free accepts.
 */
#include "net/net_internal.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 1024 };

typedef struct lc_listener_loop {
    lc_task start;
    lc_task stop;
    lc_listener *listener;
    lc_loop *loop;
    uv_tcp_t tcp;
    int fd;
} lc_listener_loop;

struct lc_listener {
    const lc_http_handler *handler;
    uint32_t count;
    lc_listener_loop loops[];
};

static void on_connection(uv_stream_t *server, int status)
{
    lc_listener_loop *l = server->data;
    if (status == 0) lc_conn_accept(l->loop, server, l->listener->handler);
}

static void start_on_loop(lc_task *task)
{
    lc_listener_loop *l = LC_CONTAINER(task, lc_listener_loop, start);
    uv_tcp_init(&l->loop->uv, &l->tcp);
    l->tcp.data = l;
    int rc = uv_tcp_open(&l->tcp, l->fd);
    if (rc == 0) rc = uv_listen((uv_stream_t *)&l->tcp, BACKLOG, on_connection);
    if (rc < 0) lc_log(LC_LOG_ERROR, "cannot listen: %s", uv_strerror(rc));
}

static void stop_on_loop(lc_task *task)
{
    lc_listener_loop *l = LC_CONTAINER(task, lc_listener_loop, stop);
    if (!uv_is_closing((uv_handle_t *)&l->tcp)) uv_close((uv_handle_t *)&l->tcp, NULL);
}

/* A bound, listening socket, or -errno. */
static int open_socket(const struct addrinfo *ai, uint16_t *bound_port)
{
    int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -errno;
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (ai->ai_family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    struct sockaddr_storage bound;
    socklen_t len = sizeof bound;
    if (bind(fd, ai->ai_addr, ai->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0 ||
        getsockname(fd, (struct sockaddr *)&bound, &len) < 0) {
        int e = errno;
        close(fd);
        return -e;
    }
    *bound_port = ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                                                    : ((struct sockaddr_in *)&bound)->sin_port);
    return fd;
}

static lc_status listen_on(const char *host, uint16_t port, int *fd, uint16_t *bound_port,
                           lc_error *err)
{
    char service[8];
    snprintf(service, sizeof service, "%u", port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found;
    int rc = getaddrinfo(host, service, &hints, &found);
    if (rc != 0) return lc_error_set(err, LC_E_IO, "cannot resolve %s: %s", host, gai_strerror(rc));
    /* IPv4 first: `localhost` means 127.0.0.1 to the programs that will connect. */
    int result = -EADDRNOTAVAIL;
    for (int family = AF_INET;; family = AF_INET6) {
        for (struct addrinfo *ai = found; ai && result < 0 && result != -EADDRINUSE;
             ai = ai->ai_next)
            if (ai->ai_family == family) result = open_socket(ai, bound_port);
        if (result >= 0 || family == AF_INET6) break;
    }
    freeaddrinfo(found);
    if (result == -EADDRINUSE)
        return lc_error_set(err, LC_E_IO,
                            "Port %u is already in use. Please free up the port or specify a "
                            "different port with --listen-addr.",
                            port);
    if (result < 0)
        return lc_error_set(err, LC_E_IO, "cannot listen on %s:%u: %s", host, port,
                            strerror(-result));
    *fd = result;
    return LC_OK;
}

lc_status lc_listener_create(lc_loop *const *loops, uint32_t loop_count, const char *host,
                             uint16_t port, const lc_http_handler *handler, lc_listener **out,
                             uint16_t *bound_port, lc_error *err)
{
    int fd;
    lc_status rc = listen_on(host, port, &fd, bound_port, err);
    if (rc != LC_OK) return rc;
    lc_listener *l = lc_alloc_zero(sizeof *l + loop_count * sizeof l->loops[0]);
    l->handler = handler;
    l->count = loop_count;
    for (uint32_t i = 0; i < loop_count; i++) {
        lc_listener_loop *ll = &l->loops[i];
        ll->start.run = start_on_loop;
        ll->stop.run = stop_on_loop;
        ll->listener = l;
        ll->loop = loops[i];
        ll->fd = i == 0 ? fd : dup(fd);
        lc_loop_post(loops[i], &ll->start);
    }
    *out = l;
    return LC_OK;
}

void lc_listener_stop(lc_listener *l)
{
    for (uint32_t i = 0; i < l->count; i++) lc_loop_post(l->loops[i].loop, &l->loops[i].stop);
}

void lc_listener_destroy(lc_listener *l)
{
    lc_free(l);
}
