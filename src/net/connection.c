/*
 * TCP connections: accepting, reading, the outgoing queue, closing.
 */
#include "net/net_internal.h"

#include <sys/socket.h>

/* ------------------------------------------------------------ outgoing queue */

void lc_out_own(lc_out_queue *q, size_t from)
{
    size_t len = q->own.len - from;
    if (len == 0) return;
    q->bytes += len;
    lc_piece *last = q->pieces.len ? &q->pieces.items[q->pieces.len - 1] : NULL;
    if (last && !last->shared && last->at + last->len == from)
        last->len += len;
    else
        lc_vec_push(&q->pieces, ((lc_piece){.at = from, .len = len}));
}

void lc_out_put(lc_out_queue *q, const void *p, size_t n)
{
    size_t from = q->own.len;
    lc_buf_put(&q->own, p, n);
    lc_out_own(q, from);
}

void lc_out_shared(lc_out_queue *q, lc_span data, void (*release)(void *arg), void *arg)
{
    q->bytes += data.len;
    lc_vec_push(&q->pieces, ((lc_piece){
                                .shared = data.ptr,
                                .len = data.len,
                                .release = release,
                                .arg = arg,
                            }));
}

static void out_reset(lc_out_queue *q)
{
    LC_VEC_EACH (p, &q->pieces)
        if (p->release) p->release(p->arg);
    q->pieces.len = 0;
    q->bytes = 0;
    q->messages = 0;
    /* A burst must not keep its memory for ever. */
    if (q->own.cap > LC_KEEP_BUFFER)
        lc_buf_deinit(&q->own);
    else
        lc_buf_reset(&q->own);
}

void lc_out_deinit(lc_out_queue *q)
{
    out_reset(q);
    lc_vec_deinit(&q->pieces);
    lc_buf_deinit(&q->own);
}

/* The pieces after the first `skip` bytes as iovecs, at most max of them. */
static unsigned to_bufs(const lc_out_queue *q, size_t skip, uv_buf_t *bufs, size_t max)
{
    unsigned n = 0;
    for (size_t i = 0; i < q->pieces.len && n < max; i++) {
        const lc_piece *p = &q->pieces.items[i];
        if (skip >= p->len) {
            skip -= p->len;
            continue;
        }
        const uint8_t *base = p->shared ? p->shared : q->own.ptr + p->at;
        bufs[n++] = (uv_buf_t){.base = (char *)base + skip, .len = p->len - skip};
        skip = 0;
    }
    return n;
}

static void on_written(uv_write_t *req, int status);

/* Gives the queue to the kernel from byte `done` on: the socket is full, so this waits. */
static void write_later(lc_conn *c, size_t done)
{
    lc_out_queue taken = c->out;
    c->out = c->writing;
    c->writing = taken;
    c->is_writing = true;
    c->write_started = lc_loop_now_millis(c->loop);
    size_t max = c->writing.pieces.len;
    uv_buf_t *bufs = lc_alloc(sizeof *bufs * max);
    unsigned n = to_bufs(&c->writing, done, bufs, max);
    int rc = uv_write(&c->write_request, (uv_stream_t *)&c->tcp, bufs, n, on_written);
    lc_free(bufs); /* uv_write copies the array */
    /* An HTTP client's timer takes the whole for some that was taken. */
    c->write_left =
        c->mode == LC_CONN_WS ? uv_stream_get_write_queue_size((uv_stream_t *)&c->tcp) : 0;
    if (rc < 0) {
        c->is_writing = false;
        lc_conn_abort(c);
    }
}

static void on_written(uv_write_t *req, int status)
{
    lc_conn *c = req->data;
    c->is_writing = false;
    out_reset(&c->writing);
    if (c->is_closing) return;
    if (status < 0) {
        lc_conn_abort(c);
        return;
    }
    lc_conn_flush(c);
}

/* All is written. A socket closed with bytes unread is reset, and a reset may overtake our answer:
 * so an HTTP client that may still be sending sees our end first and has a moment to read. */
static void end_connection(lc_conn *c)
{
    int fd;
    if (c->mode == LC_CONN_WS || c->is_eof || uv_fileno((uv_handle_t *)&c->tcp, &fd) < 0) {
        lc_conn_abort(c);
        return;
    }
    if (c->is_lingering) return;
    c->is_lingering = true;
    shutdown(fd, SHUT_WR);
    lc_conn_set_timer(c, LC_HTTP_LINGER_MILLIS);
    lc_conn_set_reading(c, true);
}

void lc_conn_flush(lc_conn *c)
{
    if (c->is_closing || c->is_writing) return;
    size_t done = 0;
    while (done < c->out.bytes) {
        uv_buf_t bufs[LC_WRITE_MAX_PIECES];
        unsigned n = to_bufs(&c->out, done, bufs, LC_WRITE_MAX_PIECES);
        int rc = uv_try_write((uv_stream_t *)&c->tcp, bufs, n);
        if (rc == UV_EAGAIN) {
            write_later(c, done);
            return;
        }
        if (rc < 0) {
            lc_conn_abort(c);
            return;
        }
        done += (size_t)rc;
    }
    out_reset(&c->out);
    if (c->close_when_written)
        end_connection(c);
    else if (c->mode == LC_CONN_HTTP)
        lc_http_written(c);
}

void lc_conn_touch(lc_conn *c)
{
    if (c->is_dirty || c->is_closing) return;
    c->is_dirty = true;
    c->next_dirty = c->loop->dirty;
    c->loop->dirty = c;
}

/* ------------------------------------------------------------------- reading */

static void give_buffer(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    lc_conn *c = h->data;
    *buf = uv_buf_init((char *)c->loop->read_buffer, LC_READ_BUFFER);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    lc_conn *c = stream->data;
    if (n == 0 || (c->is_lingering && n > 0)) return;
    if (n < 0) {
        c->is_eof = true;
        lc_conn_set_reading(c, false);
        if (c->mode == LC_CONN_HTTP && !c->is_lingering)
            lc_http_peer_gone(c);
        else
            lc_conn_abort(c);
        return;
    }
    lc_span data = LC_SPAN(buf->base, (size_t)n);
    if (c->mode == LC_CONN_HTTP)
        lc_http_feed(c, data);
    else
        lc_ws_feed(c, data);
}

void lc_conn_set_reading(lc_conn *c, bool reading)
{
    if (c->is_closing || c->is_reading == reading) return;
    c->is_reading = reading;
    if (reading)
        uv_read_start((uv_stream_t *)&c->tcp, give_buffer, on_read);
    else
        uv_read_stop((uv_stream_t *)&c->tcp);
}

/* ------------------------------------------------------------------- closing */

static void conn_free(lc_conn *c)
{
    if (c->mode == LC_CONN_WS)
        lc_ws_conn_closed(c);
    else
        lc_http_conn_closed(c);
    if (c->prev)
        c->prev->next = c->next;
    else
        c->loop->conns = c->next;
    if (c->next) c->next->prev = c->prev;
    lc_out_deinit(&c->out);
    lc_out_deinit(&c->writing);
    lc_buf_deinit(&c->in);
    lc_free(c);
}

static void handle_closed(uv_handle_t *h)
{
    lc_conn *c = h->data;
    if (--c->open_handles == 0) conn_free(c);
}

void lc_conn_abort(lc_conn *c)
{
    if (c->is_closing) return;
    c->is_closing = true;
    if (c->is_dirty) {
        for (lc_conn **at = &c->loop->dirty; *at; at = &(*at)->next_dirty) {
            if (*at != c) continue;
            *at = c->next_dirty;
            break;
        }
    }
    uv_close((uv_handle_t *)&c->tcp, handle_closed);
    uv_close((uv_handle_t *)&c->timer, handle_closed);
}

/* ----------------------------------------------------------------- accepting */

static void on_timer(uv_timer_t *t)
{
    lc_conn *c = t->data;
    if (c->mode == LC_CONN_HTTP)
        lc_http_timer(c);
    else
        lc_ws_timer(c);
}

void lc_conn_set_timer(lc_conn *c, uint64_t after_millis)
{
    if (!c->is_closing) uv_timer_start(&c->timer, on_timer, after_millis, 0);
}

void lc_conn_accept(lc_loop *loop, uv_stream_t *server, const lc_http_handler *handler)
{
    lc_conn *c = lc_alloc_zero(sizeof *c);
    c->loop = loop;
    c->handler = handler;
    uv_tcp_init(&loop->uv, &c->tcp);
    uv_timer_init(&loop->uv, &c->timer);
    c->tcp.data = c->timer.data = c->write_request.data = c;
    c->open_handles = 2;
    c->next = loop->conns;
    if (c->next) c->next->prev = c;
    loop->conns = c;
    if (loop->is_stopping || uv_accept(server, (uv_stream_t *)&c->tcp) < 0) {
        lc_conn_abort(c);
        return;
    }
    uv_tcp_nodelay(&c->tcp, 1);
    lc_conn_set_timer(c, LC_HTTP_IDLE_MILLIS);
    lc_http_start(c);
    lc_conn_set_reading(c, true);
}
