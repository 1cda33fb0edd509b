/*
 * HTTP/1.1: one request at a time per connection, answered now or later. Parsing is http-parser's.
 */
#include "net/net_internal.h"

#include <stdio.h>
#include <strings.h>

struct lc_http_request {
    lc_conn *conn; /* NULL once the peer is gone */
    lc_loop *loop;
    lc_arena arena;
    lc_buf target;
    lc_buf body;
    lc_intake *intake; /* takes the body instead, when that is streamed */
    /* While header lines arrive, name and value grow in head; spans are made when all are there. */
    lc_buf head;
    uint32_t raw_count;
    bool last_was_value;
    bool has_headers; /* complete; trailers that come later are ignored */
    bool too_many_headers;
    lc_span method, path, query;
    size_t body_limit;
    bool is_oversize;
    bool is_head;
    bool keeps_alive;
    bool is_1_0; /* or older: no chunks, and connections end unless asked not to */
    bool is_streaming;
    LC_VEC(lc_http_header) extra; /* of the answer */
    void (*on_close)(void *arg);
    void *on_close_arg;
    void (*on_taken)(void *arg);
    void *on_taken_arg;
    lc_timer *gone_timer; /* tells of a client that was gone before the stream began */

    /* From here on not zeroed, for they are large. */
    struct {
        size_t name_at, name_len, value_at, value_len;
    } raw[LC_HTTP_MAX_HEADERS];
    lc_http_header headers[LC_HTTP_MAX_HEADERS];
};

static void request_free(lc_http_request *r)
{
    lc_arena_deinit(&r->arena);
    lc_buf_deinit(&r->target);
    lc_buf_deinit(&r->body);
    lc_intake_destroy(r->intake);
    lc_buf_deinit(&r->head);
    lc_vec_deinit(&r->extra);
    lc_free(r);
}

/* -------------------------------------------------------------------- parser */

static int on_begin(http_parser *p)
{
    lc_conn *c = p->data;
    if (c->request) request_free(c->request);
    lc_http_request *r = lc_alloc(sizeof *r);
    memset(r, 0, offsetof(lc_http_request, raw));
    r->conn = c;
    r->loop = c->loop;
    c->request = r;
    return 0;
}

static int on_url(http_parser *p, const char *at, size_t n)
{
    lc_conn *c = p->data;
    lc_buf_put(&c->request->target, at, n);
    return 0;
}

static int on_field(http_parser *p, const char *at, size_t n)
{
    lc_http_request *r = ((lc_conn *)p->data)->request;
    if (r->has_headers) return 0;
    if (r->last_was_value || r->raw_count == 0) {
        if (r->raw_count == LC_HTTP_MAX_HEADERS) {
            r->too_many_headers = true;
            return 1;
        }
        memset(&r->raw[r->raw_count], 0, sizeof r->raw[0]);
        r->raw[r->raw_count].name_at = r->head.len;
        r->raw_count++;
        r->last_was_value = false;
    }
    lc_buf_put(&r->head, at, n);
    r->raw[r->raw_count - 1].name_len += n;
    return 0;
}

static int on_value(http_parser *p, const char *at, size_t n)
{
    lc_http_request *r = ((lc_conn *)p->data)->request;
    if (r->has_headers) return 0;
    if (!r->last_was_value) r->raw[r->raw_count - 1].value_at = r->head.len;
    r->last_was_value = true;
    lc_buf_put(&r->head, at, n);
    r->raw[r->raw_count - 1].value_len += n;
    return 0;
}

static void split_target(lc_http_request *r)
{
    lc_span t = lc_buf_span(&r->target);
    /* An absolute target: skip scheme and authority. */
    if (t.len && t.ptr[0] != '/') {
        const uint8_t *scheme = memmem(t.ptr, t.len, "://", 3);
        if (scheme) {
            size_t skip = (size_t)(scheme - t.ptr) + 3;
            const uint8_t *slash = memchr(t.ptr + skip, '/', t.len - skip);
            t = slash ? LC_SPAN(slash, t.len - (size_t)(slash - t.ptr)) : LC_STR("/");
        }
    }
    const uint8_t *mark = t.len ? memchr(t.ptr, '?', t.len) : NULL;
    r->path = mark ? LC_SPAN(t.ptr, (size_t)(mark - t.ptr)) : t;
    r->query = mark ? LC_SPAN(mark + 1, t.len - r->path.len - 1) : LC_SPAN_EMPTY;
}

static bool is_same_word(lc_span s, const char *word)
{
    return s.len == strlen(word) && strncasecmp((const char *)s.ptr, word, s.len) == 0;
}

/* The parser skips those before a value only. */
static lc_span without_blanks_behind(lc_span s)
{
    while (s.len && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t')) s.len--;
    return s;
}

static void resume_intake(void *arg);

/* The request is handled from here on; its body follows. */
static void begin_intake(lc_conn *c)
{
    lc_http_request *r = c->request;
    r->intake = lc_intake_create(c->loop, resume_intake, r);
    c->is_handling = c->is_receiving = c->is_due = true;
    http_parser_pause(&c->parser, 1);
}

static int on_headers(http_parser *p)
{
    lc_conn *c = p->data;
    lc_http_request *r = c->request;
    for (uint32_t i = 0; i < r->raw_count; i++) {
        r->headers[i].name = LC_SPAN(r->head.ptr + r->raw[i].name_at, r->raw[i].name_len);
        r->headers[i].value =
            without_blanks_behind(LC_SPAN(r->head.ptr + r->raw[i].value_at, r->raw[i].value_len));
    }
    r->has_headers = true;
    split_target(r);
    r->method = lc_span_of_str(http_method_str((enum http_method)p->method));
    r->is_head = p->method == HTTP_HEAD;
    r->is_1_0 = p->http_major == 0 || (p->http_major == 1 && p->http_minor == 0);
    r->keeps_alive = http_should_keep_alive(p) && p->method != HTTP_CONNECT;
    bool is_streamed = c->handler->streams_body && c->handler->streams_body(c->handler->arg, r);
    r->body_limit = is_streamed ? SIZE_MAX : c->handler->body_limit(c->handler->arg, r);
    if (p->flags & F_CONTENTLENGTH && p->content_length > r->body_limit) r->is_oversize = true;
    if (is_streamed) begin_intake(c);
    lc_span expect = lc_http_header_get(r, "expect");
    if (r->is_1_0 || !is_same_word(expect, "100-continue")) return 0;
    if (r->is_oversize) {
        r->keeps_alive = false; /* answered at once: the client asks before it sends */
        return 1;               /* there is no body to read */
    }
    lc_out_put(&c->out, "HTTP/1.1 100 Continue\r\n\r\n", 25);
    lc_conn_touch(c);
    return 0;
}

static int on_body(http_parser *p, const char *at, size_t n)
{
    lc_http_request *r = ((lc_conn *)p->data)->request;
    if (r->intake) {
        lc_intake_put(r->intake, LC_SPAN(at, n));
        return 0;
    }
    if (r->is_oversize || r->body_limit - r->body.len < n) {
        r->is_oversize = true;
        lc_buf_deinit(&r->body);
        return 0;
    }
    lc_buf_put(&r->body, at, n);
    return 0;
}

static int on_complete(http_parser *p)
{
    lc_conn *c = p->data;
    if (c->is_receiving) {
        c->is_receiving = false;
        lc_intake_end(c->request->intake, true);
    } else {
        c->is_handling = c->is_due = true;
    }
    http_parser_pause(p, 1);
    return 0;
}

const http_parser_settings lc_http_parser_settings = {
    .on_message_begin = on_begin,
    .on_url = on_url,
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_headers_complete = on_headers,
    .on_body = on_body,
    .on_message_complete = on_complete,
};

void lc_http_start(lc_conn *c)
{
    http_parser_init(&c->parser, HTTP_REQUEST);
    c->parser.data = c;
}

static void refuse_malformed(lc_conn *c)
{
    if (c->is_handling) { /* by somebody who reads the rest of its body */
        lc_conn_abort(c);
        return;
    }
    bool too_large = HTTP_PARSER_ERRNO(&c->parser) == HPE_HEADER_OVERFLOW ||
                     (c->request && c->request->too_many_headers);
    const char *text = too_large ? "HTTP/1.1 431 Request Header Fields Too Large\r\n"
                                   "content-length: 0\r\nconnection: close\r\n\r\n"
                                 : "HTTP/1.1 400 Bad Request\r\n"
                                   "content-length: 0\r\nconnection: close\r\n\r\n";
    if (c->request) request_free(c->request);
    c->request = NULL;
    lc_out_put(&c->out, text, strlen(text));
    c->close_when_written = true;
    lc_conn_set_reading(c, false);
    lc_conn_touch(c);
}

/* May the next request be taken, or more of the body of this one? Not while the client leaves the
 * answers to earlier ones unread. */
static bool can_parse(const lc_conn *c)
{
    if (c->mode != LC_CONN_HTTP || c->is_closing || c->close_when_written) return false;
    if (c->is_receiving) return !lc_intake_is_full(c->request->intake);
    return !c->is_handling && c->out.bytes + c->writing.bytes <= LC_HTTP_MAX_BACKLOG;
}

/* Gives up the consumed part of c->in; moves the rest only when that is the smaller part. */
static void drop_consumed(lc_conn *c)
{
    size_t left = c->in.len - c->in_at;
    if (left > c->in_at) return;
    if (left) memcpy(c->in.ptr, c->in.ptr + c->in_at, left);
    c->in.len = left;
    c->in_at = 0;
    if (left == 0 && c->in.cap > LC_KEEP_BUFFER) lc_buf_deinit(&c->in);
}

static void end_when_written(lc_conn *c)
{
    c->close_when_written = true;
    lc_conn_set_reading(c, false);
    lc_conn_touch(c);
}

/* Works off c->in until a request waits for its answer. What is consumed counts as gone before the
 * request is handled, because its answer may come at once; the loop, not recursion, takes the next.
 */
static void parse_more(lc_conn *c)
{
    c->is_parsing = true;
    while (can_parse(c) && c->in_at < c->in.len) {
        size_t used = http_parser_execute(&c->parser, &lc_http_parser_settings,
                                          (const char *)c->in.ptr + c->in_at, c->in.len - c->in_at);
        enum http_errno parsed = HTTP_PARSER_ERRNO(&c->parser);
        if (parsed != HPE_OK && parsed != HPE_PAUSED) {
            refuse_malformed(c);
            break;
        }
        c->in_at += used;
        if (parsed == HPE_PAUSED) http_parser_pause(&c->parser, 0);
        if (!c->is_due) continue;
        c->is_due = false;
        c->handler->handle(c->handler->arg, c->request);
    }
    c->is_parsing = false;
    if (c->mode == LC_CONN_WS) {
        lc_ws_feed(c, LC_SPAN_EMPTY);
        return;
    }
    drop_consumed(c);
    if (c->close_when_written || c->is_closing) return;
    if (c->is_eof && c->is_receiving && c->in_at == c->in.len)
        lc_conn_abort(c); /* in the middle of a body */
    else if (c->is_eof && can_parse(c))
        end_when_written(c); /* the client ended its side, and has all it asked for */
    else
        lc_conn_set_reading(c, c->in.len - c->in_at < LC_HTTP_MAX_PIPELINED && !c->is_eof);
}

/* Who reads the body has made room. */
static void resume_intake(void *arg)
{
    lc_http_request *r = arg;
    lc_conn *c = r->conn;
    if (!c || !c->is_receiving || c->is_parsing) return;
    lc_conn_set_timer(c, LC_HTTP_IDLE_MILLIS);
    parse_more(c);
}

void lc_http_feed(lc_conn *c, lc_span data)
{
    if (c->close_when_written) return;
    lc_conn_set_timer(c, LC_HTTP_IDLE_MILLIS);
    lc_buf_put_span(&c->in, data);
    parse_more(c);
}

void lc_http_peer_gone(lc_conn *c)
{
    /* A client may end its side after its requests and still read the answers; but a stream, which
     * has no end of its own, ends with it. */
    if (c->is_handling && c->request->is_streaming)
        lc_conn_abort(c);
    else if (!c->is_handling || c->is_receiving)
        parse_more(c);
}

void lc_http_written(lc_conn *c)
{
    lc_http_request *r = c->is_handling ? c->request : NULL;
    if (r && r->is_streaming && r->on_taken) r->on_taken(r->on_taken_arg);
    if (!c->is_parsing && (c->in_at < c->in.len || c->is_eof)) parse_more(c);
}

void lc_http_conn_closed(lc_conn *c)
{
    lc_http_request *r = c->request;
    if (!r) return;
    if (!c->is_handling) {
        request_free(r);
        return;
    }
    r->conn = NULL; /* its answer goes nowhere */
    if (r->intake) lc_intake_end(r->intake, false);
    if (r->is_streaming && r->on_close) r->on_close(r->on_close_arg);
}

void lc_http_timer(lc_conn *c)
{
    size_t left = c->is_writing ? uv_stream_get_write_queue_size((uv_stream_t *)&c->tcp) : 0;
    bool is_taking = c->is_writing && left != c->write_left; /* slowly, but it reads */
    c->write_left = left;
    /* Somebody waits for the rest of a body, or for an answer to be taken, and nothing moves. */
    bool is_stuck = c->is_handling && ((c->is_receiving && c->is_reading) ||
                                       (c->request->on_taken && c->is_writing && !is_taking));
    if (!c->is_lingering && !is_stuck && (c->is_handling || is_taking))
        lc_conn_set_timer(c, LC_HTTP_IDLE_MILLIS);
    else
        lc_conn_abort(c);
}

/* ------------------------------------------------------------------- request */

lc_loop *lc_http_loop(const lc_http_request *r)
{
    return r->loop;
}

lc_span lc_http_method(const lc_http_request *r)
{
    return r->method;
}

lc_span lc_http_path(const lc_http_request *r)
{
    return r->path;
}

lc_span lc_http_query(const lc_http_request *r)
{
    return r->query;
}

lc_span lc_http_target(const lc_http_request *r)
{
    return lc_buf_span(&r->target);
}

uint32_t lc_http_header_count(const lc_http_request *r)
{
    return r->raw_count;
}

const lc_http_header *lc_http_header_at(const lc_http_request *r, uint32_t i)
{
    return &r->headers[i];
}

lc_span lc_http_header_get(const lc_http_request *r, const char *name)
{
    size_t n = strlen(name);
    for (uint32_t i = 0; i < r->raw_count; i++) {
        const lc_http_header *h = &r->headers[i];
        if (h->name.len == n && strncasecmp((const char *)h->name.ptr, name, n) == 0)
            return h->value;
    }
    return LC_SPAN_EMPTY;
}

lc_span lc_http_body(const lc_http_request *r)
{
    return lc_buf_span(&r->body);
}

ssize_t lc_http_body_read(lc_http_request *r, void *buf, size_t n, lc_error *err)
{
    return lc_intake_read(r->intake, buf, n, err);
}

bool lc_http_body_wait(lc_http_request *r, uint32_t millis)
{
    return lc_intake_wait(r->intake, millis);
}

lc_arena *lc_http_arena(lc_http_request *r)
{
    return &r->arena;
}

bool lc_http_is_closed(const lc_http_request *r)
{
    return !r->conn || r->conn->is_closing;
}

bool lc_http_is_oversize(const lc_http_request *r)
{
    return r->is_oversize;
}

void lc_http_add_header(lc_http_request *r, const char *name, lc_span value)
{
    lc_vec_push(&r->extra, ((lc_http_header){lc_span_of_str(name), value}));
}

/* -------------------------------------------------------------------- answer */

static const char *reason_of(int status)
{
    switch (status) {
    case 101:
        return "Switching Protocols";
    case 200:
        return "OK";
    case 202:
        return "Accepted";
    case 204:
        return "No Content";
    case 301:
        return "Moved Permanently";
    case 304:
        return "Not Modified";
    case 400:
        return "Bad Request";
    case 401:
        return "Unauthorized";
    case 402:
        return "Payment Required";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 409:
        return "Conflict";
    case 413:
        return "Payload Too Large";
    case 415:
        return "Unsupported Media Type";
    case 422:
        return "Unprocessable Entity";
    case 426:
        return "Upgrade Required";
    case 500:
        return "Internal Server Error";
    case 501:
        return "Not Implemented";
    case 503:
        return "Service Unavailable";
    case 504:
        return "Gateway Timeout";
    default:
        return "<none>";
    }
}

/* A header's text; what would end its line becomes blank. */
static void put_field(lc_buf *out, lc_span s)
{
    size_t from = out->len;
    lc_buf_put_span(out, s);
    for (size_t i = from; i < out->len; i++)
        if (out->ptr[i] == '\r' || out->ptr[i] == '\n' || out->ptr[i] == 0) out->ptr[i] = ' ';
}

/* When the connection ends, its header says that and not what the route had to say of it. */
static bool is_overruled(const lc_http_request *r, const lc_http_header *h)
{
    return !r->keeps_alive && lc_span_equal_str(h->name, "connection");
}

/* Appends status line and headers up to, not including, the empty line. */
static void put_head(lc_http_request *r, int status, const char *content_type, lc_buf *out)
{
    lc_buf_printf(out, "HTTP/1.1 %d %s\r\n", status, reason_of(status));
    if (content_type) lc_buf_printf(out, "content-type: %s\r\n", content_type);
    LC_VEC_EACH (h, &r->extra) {
        if (is_overruled(r, h)) continue;
        put_field(out, h->name);
        lc_buf_put_str(out, ": ");
        put_field(out, h->value);
        lc_buf_put_str(out, "\r\n");
    }
}

static void put_persistence(const lc_http_request *r, lc_buf *out)
{
    if (!r->keeps_alive)
        lc_buf_put_str(out, "connection: close\r\n");
    else if (r->is_1_0)
        lc_buf_put_str(out, "connection: keep-alive\r\n");
}

/* What is left of a body that nobody reads cannot be told from the next request but by reading it
 * all: the connection ends with the answer. */
static void give_up_body(lc_http_request *r)
{
    if (!r->conn || !r->conn->is_receiving) return;
    r->conn->is_receiving = false;
    r->keeps_alive = false;
}

/* The request is answered: the connection may take the next one. */
static void finish(lc_http_request *r)
{
    lc_conn *c = r->conn;
    bool keeps_alive = r->keeps_alive;
    request_free(r);
    if (!c) return;
    c->request = NULL;
    c->is_handling = false;
    if (keeps_alive)
        lc_conn_touch(c);
    else
        end_when_written(c);
    if (!c->is_parsing && !c->close_when_written) parse_more(c);
}

void lc_http_respond(lc_http_request *r, int status, const char *content_type, lc_span body)
{
    lc_conn *c = r->conn;
    give_up_body(r);
    if (c && !c->is_closing) {
        size_t from = c->out.own.len;
        lc_buf *out = &c->out.own;
        put_head(r, status, content_type, out);
        if (status != 204 && status != 304) lc_buf_printf(out, "content-length: %zu\r\n", body.len);
        put_persistence(r, out);
        lc_buf_put_str(out, "\r\n");
        if (!r->is_head) lc_buf_put_span(out, body);
        lc_out_own(&c->out, from);
    }
    finish(r);
}

static void stream_was_gone(void *arg)
{
    lc_http_request *r = arg;
    r->gone_timer = NULL;
    if (r->on_close) r->on_close(r->on_close_arg);
}

void lc_http_stream_begin(lc_http_request *r, int status, const char *content_type,
                          void (*on_close)(void *arg), void *arg)
{
    give_up_body(r);
    r->is_streaming = true;
    r->on_close = on_close;
    r->on_close_arg = arg;
    lc_conn *c = r->conn;
    if (!c) r->gone_timer = lc_timer_start(r->loop, 0, stream_was_gone, r);
    if (!c || c->is_closing) return;
    size_t from = c->out.own.len;
    put_head(r, status, content_type, &c->out.own);
    if (r->is_1_0)
        r->keeps_alive = false; /* no chunks there: the end of the connection ends the body */
    else
        lc_buf_put_str(&c->out.own, "transfer-encoding: chunked\r\n");
    put_persistence(r, &c->out.own);
    lc_buf_put_str(&c->out.own, "\r\n");
    lc_out_own(&c->out, from);
    lc_conn_touch(c);
    if (c->is_eof) lc_conn_abort(c);
}

void lc_http_stream_write(lc_http_request *r, lc_span data)
{
    lc_conn *c = r->conn;
    if (!c || c->is_closing || r->is_head || data.len == 0) return;
    size_t from = c->out.own.len;
    if (!r->is_1_0) lc_buf_printf(&c->out.own, "%zx\r\n", data.len);
    lc_buf_put_span(&c->out.own, data);
    if (!r->is_1_0) lc_buf_put_str(&c->out.own, "\r\n");
    lc_out_own(&c->out, from);
    lc_conn_touch(c);
}

static void end_stream(lc_http_request *r)
{
    r->on_close = NULL;
    if (r->gone_timer) lc_timer_cancel(r->gone_timer);
    finish(r);
}

void lc_http_stream_end(lc_http_request *r)
{
    lc_conn *c = r->conn;
    if (c && !c->is_closing && !r->is_1_0 && !r->is_head) lc_out_put(&c->out, "0\r\n\r\n", 5);
    end_stream(r);
}

void lc_http_stream_break(lc_http_request *r)
{
    r->keeps_alive = false;
    end_stream(r);
}

void lc_http_stream_on_taken(lc_http_request *r, void (*fn)(void *arg), void *arg)
{
    r->on_taken = fn;
    r->on_taken_arg = arg;
}

size_t lc_http_stream_backlog(const lc_http_request *r)
{
    return r->conn ? r->conn->out.bytes + r->conn->writing.bytes : 0;
}

/* ------------------------------------------------------------------- upgrade */

lc_conn *lc_http_upgrade(lc_http_request *r, lc_span head)
{
    lc_conn *c = r->conn;
    if (!c || c->is_closing || c->is_eof) {
        finish(r);
        return NULL;
    }
    size_t from = c->out.own.len;
    put_head(r, 101, NULL, &c->out.own);
    lc_buf_put_span(&c->out.own, head);
    lc_out_own(&c->out, from);
    c->in.len -= c->in_at;
    if (c->in_at) memmove(c->in.ptr, c->in.ptr + c->in_at, c->in.len);
    c->in_at = 0;
    c->mode = LC_CONN_WS;
    c->is_handling = false;
    c->request = NULL;
    request_free(r);
    lc_conn_touch(c);
    lc_conn_set_reading(c, true);
    return c;
}
