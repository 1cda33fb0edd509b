#include "net_kit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE = 20000, MAX_FILES = 4096 };

/* --------------------------------------------------------------- the application */

static kit_server *server; /* one at a time */

typedef struct job {
    lc_task task;
    lc_http_request *request;
    uint32_t left, at;
    bool is_over;
    bool is_ws;
} job;

static void answer_echo(lc_http_request *r)
{
    lc_buf out = LC_BUF_INIT;
    lc_span query = lc_http_query(r);
    lc_buf_printf(&out, LC_SPAN_FMT " " LC_SPAN_FMT "%s" LC_SPAN_FMT "\n",
                  LC_SPAN_ARG(lc_http_method(r)), LC_SPAN_ARG(lc_http_path(r)),
                  query.len ? "?" : "", LC_SPAN_ARG(query));
    lc_buf_put_span(&out, lc_http_body(r));
    lc_http_respond(r, 200, "text/plain", lc_buf_span(&out));
    lc_buf_deinit(&out);
}

static void answer_headers(lc_http_request *r)
{
    lc_buf out = LC_BUF_INIT;
    for (uint32_t i = 0; i < lc_http_header_count(r); i++) {
        const lc_http_header *h = lc_http_header_at(r, i);
        lc_buf_printf(&out, LC_SPAN_FMT "=" LC_SPAN_FMT "\n", LC_SPAN_ARG(h->name),
                      LC_SPAN_ARG(h->value));
    }
    lc_http_respond(r, 200, "text/plain", lc_buf_span(&out));
    lc_buf_deinit(&out);
}

static void echo_now(void *arg)
{
    answer_echo(arg);
}

static uint64_t number_of(lc_http_request *r)
{
    lc_span text;
    if (!lc_url_query_get(lc_http_query(r), "n", 0, lc_http_arena(r), &text)) return 0;
    return strtoull(lc_arena_cstr(lc_http_arena(r), text), NULL, 10);
}

static void accept_ws(lc_http_request *r);

static void run_job(lc_task *task)
{
    job *j = LC_CONTAINER(task, job, task);
    if (j->is_ws)
        accept_ws(j->request);
    else
        answer_echo(j->request);
    lc_free(j);
}

static void *post_job(void *arg)
{
    job *j = arg;
    usleep(2000);
    lc_loop_post(lc_http_loop(j->request), &j->task);
    return NULL;
}

static void on_thread(lc_http_request *r, bool is_ws)
{
    job *j = lc_alloc_zero(sizeof *j);
    j->task.run = run_job;
    j->request = r;
    j->is_ws = is_ws;
    pthread_t thread;
    pthread_create(&thread, NULL, post_job, j);
    pthread_detach(thread);
}

static void stream_next(void *arg)
{
    job *j = arg;
    if (j->is_over || j->at == j->left) {
        lc_http_stream_end(j->request);
        lc_free(j);
        return;
    }
    char text[32];
    snprintf(text, sizeof text, "chunk %u\n", j->at++);
    lc_http_stream_write(j->request, lc_span_of_str(text));
    lc_timer_start(lc_http_loop(j->request), 1, stream_next, j);
}

static void stream_gone(void *arg)
{
    job *j = arg;
    j->is_over = true;
    server->stream_gone++;
}

/* Ends in its on_close, as an application does that has nothing else under way. */
static void endless_gone(void *arg)
{
    lc_http_stream_end(arg);
    server->stream_gone++;
}

static void start_stream(lc_http_request *r)
{
    job *j = lc_alloc_zero(sizeof *j);
    j->request = r;
    j->left = (uint32_t)number_of(r);
    lc_http_stream_begin(r, 200, "text/plain", stream_gone, j);
    stream_next(j);
}

static void begin_endless(void *arg)
{
    lc_http_stream_begin(arg, 200, "text/plain", endless_gone, arg);
    lc_http_stream_write(arg, LC_STR("begun\n"));
}

/* ------------------------------------------------------------- streamed bodies */

typedef struct intake {
    lc_task task;
    lc_http_request *request;
    uint64_t millis;
    char text[64];
} intake;

static void answer_intake(lc_task *task)
{
    intake *k = LC_CONTAINER(task, intake, task);
    lc_http_respond(k->request, 200, "text/plain", lc_span_of_str(k->text));
    lc_free(k);
}

static void *read_intake(void *arg)
{
    intake *k = arg;
    uint8_t bytes[8192];
    uint64_t total = 0;
    uint32_t crc = 0;
    ssize_t n;
    lc_error err = LC_ERROR_INIT;
    while (!lc_http_body_wait(k->request, 2)) continue;
    while ((n = lc_http_body_read(k->request, bytes, sizeof bytes, &err)) > 0) {
        total += (uint64_t)n;
        server->intake_read += (uint64_t)n;
        crc = lc_crc32c(crc, bytes, (size_t)n);
        if (k->millis) usleep((useconds_t)k->millis * 1000);
    }
    if (n < 0) {
        assert_int_equal(err.code, LC_E_CLOSED);
        lc_error_clear(&err);
        server->intake_broken++;
    }
    snprintf(k->text, sizeof k->text, "%llu %08x", (unsigned long long)total, crc);
    lc_loop_post(lc_http_loop(k->request), &k->task);
    return NULL;
}

static void start_intake(lc_http_request *r)
{
    intake *k = lc_alloc_zero(sizeof *k);
    k->task.run = answer_intake;
    k->request = r;
    k->millis = number_of(r);
    pthread_t thread;
    pthread_create(&thread, NULL, read_intake, k);
    pthread_detach(thread);
}

typedef struct filling {
    lc_http_request *request;
    uint64_t left;
    bool breaks;
} filling;

static void fill_gone(void *arg)
{
    filling *f = arg;
    lc_http_stream_end(f->request);
    lc_free(f);
    server->stream_gone++;
}

static void fill_more(void *arg)
{
    static uint8_t chunk[256 * 1024];
    filling *f = arg;
    assert_int_equal(lc_http_stream_backlog(f->request), 0);
    if (f->left--) {
        server->filled++;
        lc_http_stream_write(f->request, LC_SPAN(chunk, sizeof chunk));
        return;
    }
    if (f->breaks)
        lc_http_stream_break(f->request);
    else
        lc_http_stream_end(f->request);
    lc_free(f);
}

static void start_filling(lc_http_request *r, bool breaks)
{
    filling *f = lc_alloc(sizeof *f);
    *f = (filling){r, number_of(r), breaks};
    lc_http_stream_begin(r, 200, "text/plain", fill_gone, f);
    lc_http_stream_on_taken(r, fill_more, f);
}

static void answer_big(lc_http_request *r)
{
    size_t n = number_of(r);
    char *bytes = lc_alloc(n + 1);
    memset(bytes, 'x', n);
    lc_http_respond(r, 200, "text/plain", LC_SPAN(bytes, n));
    lc_free(bytes);
}

static bool is_path(lc_http_request *r, const char *path)
{
    return lc_span_equal_str(lc_http_path(r), path);
}

static size_t body_limit(void *arg, lc_http_request *r)
{
    (void)arg;
    return is_path(r, "/small") ? 10 : SIZE_MAX;
}

static bool streams_body(void *arg, lc_http_request *r)
{
    (void)arg;
    return is_path(r, "/intake") || is_path(r, "/intake-no");
}

static void handle(void *arg, lc_http_request *r)
{
    kit_server *s = arg;
    s->requests++;
    if (lc_http_is_oversize(r)) {
        assert_int_equal(lc_http_body(r).len, 0);
        lc_http_respond(r, 413, NULL, LC_STR("too long"));
    } else if (is_path(r, "/headers")) {
        answer_headers(r);
    } else if (is_path(r, "/later")) {
        lc_timer_start(s->loop, 3, echo_now, r);
    } else if (is_path(r, "/thread")) {
        on_thread(r, false);
    } else if (is_path(r, "/big")) {
        answer_big(r);
    } else if (is_path(r, "/stream")) {
        start_stream(r);
    } else if (is_path(r, "/intake")) {
        start_intake(r);
    } else if (is_path(r, "/intake-no")) {
        lc_http_respond(r, 403, NULL, LC_STR("no"));
    } else if (is_path(r, "/fill") || is_path(r, "/fill-break")) {
        start_filling(r, is_path(r, "/fill-break"));
    } else if (is_path(r, "/endless")) {
        begin_endless(r);
    } else if (is_path(r, "/late-endless")) {
        lc_timer_start(s->loop, 50, begin_endless, r);
    } else if (is_path(r, "/inject")) {
        lc_http_add_header(r, "x-name", LC_STR("a\r\nset-cookie: b"));
        lc_http_respond(r, 200, NULL, LC_SPAN_EMPTY);
    } else if (is_path(r, "/ws")) {
        accept_ws(r);
    } else if (is_path(r, "/ws-thread")) {
        on_thread(r, true);
    } else {
        answer_echo(r);
    }
}

/* ------------------------------------------------------------------- WebSocket */

static void release_shared(void *arg)
{
    lc_free(arg);
    server->released++;
}

static void flood(lc_ws *ws, bool is_shared, unsigned n, unsigned size)
{
    for (unsigned i = 0; i < n; i++) {
        uint8_t *bytes = lc_alloc(size + 4);
        for (unsigned k = 0; k < size; k++) bytes[k] = (uint8_t)(i + k);
        uint8_t head[4];
        lc_store_u32(head, i);
        if (is_shared) {
            lc_ws_send_shared(ws, LC_WS_BINARY, LC_SPAN(head, 4), LC_SPAN(bytes, size),
                              release_shared, bytes);
        } else {
            lc_ws_send(ws, LC_WS_BINARY, LC_SPAN(head, 4), LC_SPAN(bytes, size));
            lc_free(bytes);
        }
        if (lc_ws_waiting_messages(ws) > server->ws_peak_waiting)
            server->ws_peak_waiting = lc_ws_waiting_messages(ws);
    }
}

static void resume(void *arg)
{
    lc_ws_pause(arg, false);
}

static void on_message(void *arg, lc_ws *ws, lc_ws_op op, lc_span data)
{
    kit_server *s = arg;
    s->ws_messages++;
    char text[64] = "";
    unsigned a = 0, b = 0;
    if (op == LC_WS_TEXT && data.len < sizeof text) memcpy(text, data.ptr, data.len);
    if (strncmp(text, "close ", 6) == 0) {
        char *reason;
        unsigned long code = strtoul(text + 6, &reason, 10);
        lc_ws_close(ws, (uint16_t)code, lc_span_of_str(*reason ? reason + 1 : reason));
    } else if (strcmp(text, "long close") == 0) {
        char reason[200];
        for (size_t i = 0; i < sizeof reason; i += 2) memcpy(reason + i, "\xc3\xa4", 2);
        lc_ws_close(ws, 1011, LC_SPAN(reason, sizeof reason));
    } else if (strcmp(text, "twice") == 0) {
        lc_ws_close(ws, 4001, LC_STR("first"));
        lc_ws_send(ws, LC_WS_TEXT, LC_SPAN_EMPTY, LC_STR("too late"));
        lc_ws_close(ws, 4002, LC_STR("second"));
    } else if (strcmp(text, "abort") == 0) {
        lc_ws_abort(ws);
        lc_ws_send(ws, LC_WS_TEXT, LC_SPAN_EMPTY, LC_STR("nobody"));
        lc_ws_abort(ws);
    } else if (sscanf(text, "flood %u %u", &a, &b) == 2) {
        flood(ws, false, a, b);
    } else if (sscanf(text, "shared %u %u", &a, &b) == 2) {
        flood(ws, true, a, b);
    } else if (sscanf(text, "pause %u", &a) == 1) {
        lc_ws_pause(ws, true);
        lc_timer_start(s->loop, a, resume, ws);
    } else if (strcmp(text, "blink") == 0) { /* paused and resumed inside */
        lc_ws_pause(ws, true);
        lc_ws_pause(ws, false);
        lc_ws_send(ws, LC_WS_TEXT, LC_SPAN_EMPTY, LC_STR("blinked"));
    } else if (strcmp(text, "turn") == 0) {
        char count[32];
        snprintf(count, sizeof count, "%llu", (unsigned long long)s->turns);
        lc_ws_send(ws, LC_WS_TEXT, LC_STR("turn "), lc_span_of_str(count));
    } else {
        lc_ws_send(ws, op, LC_SPAN_EMPTY, data);
    }
}

static void on_closed(void *arg, lc_ws *ws)
{
    kit_server *s = arg;
    lc_ws_close(ws, 1000, LC_STR("allowed, and of no effect"));
    lc_ws_abort(ws);
    lc_ws_send(ws, LC_WS_TEXT, LC_SPAN_EMPTY, LC_STR("the same"));
    s->ws_closed++;
}

static const lc_ws_handler ws_handler = {.message = on_message, .closed = on_closed};

static void accept_ws(lc_http_request *r)
{
    lc_http_add_header(r, "x-extra", LC_STR("1"));
    if (lc_ws_accept(r, LC_STR("kit"), &server->ws_options, &ws_handler, server))
        server->ws_opened++;
}

/* ------------------------------------------------------------------- the server */

static void on_turn(void *arg)
{
    kit_server *s = arg;
    s->turns++;
}

static void *run(void *arg)
{
    lc_loop_run(arg);
    return NULL;
}

static lc_http_handler handler = {
    .body_limit = body_limit, .handle = handle, .streams_body = streams_body};

kit_server *kit_start(void)
{
    kit_server *s = lc_alloc_zero(sizeof *s);
    server = s;
    signal(SIGPIPE, SIG_IGN);
    s->ws_options = lc_ws_options_default;
    s->loop = lc_loop_create();
    lc_loop_on_turn_end(s->loop, on_turn, s);
    handler.arg = s;
    lc_error err = LC_ERROR_INIT;
    assert_ok(
        lc_listener_create(&s->loop, 1, "127.0.0.1", 0, &handler, &s->listener, &s->port, &err),
        &err);
    assert_int_equal(pthread_create(&s->thread, NULL, run, s->loop), 0);
    return s;
}

void kit_stop(kit_server *s)
{
    lc_listener_stop(s->listener);
    lc_loop_stop(s->loop);
    pthread_join(s->thread, NULL);
    assert_int_equal(s->ws_opened, s->ws_closed);
    lc_loop_destroy(s->loop);
    lc_listener_destroy(s->listener);
    lc_free(s);
}

/* ------------------------------------------------------------------- the client */

int kit_connect(const kit_server *s, int receive_buffer)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (receive_buffer)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    struct timeval patience = {.tv_sec = PATIENCE / 1000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(s->port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

void kit_send(int fd, const void *bytes, size_t n)
{
    for (size_t at = 0; at < n;) {
        ssize_t sent = send(fd, (const char *)bytes + at, n - at, MSG_NOSIGNAL);
        if (sent < 0) return; /* the other side is gone; what it said will tell */
        at += (size_t)sent;
    }
}

void kit_send_text(int fd, const char *text)
{
    kit_send(fd, text, strlen(text));
}

size_t kit_receive(int fd, void *bytes, size_t n)
{
    size_t at = 0;
    while (at < n) {
        ssize_t got = recv(fd, (char *)bytes + at, n - at, 0);
        if (got <= 0) break;
        at += (size_t)got;
    }
    return at;
}

char *kit_receive_all(int fd, bool *was_reset)
{
    lc_buf all = LC_BUF_INIT;
    for (;;) {
        uint8_t *at = lc_buf_reserve(&all, 65536);
        ssize_t got = recv(fd, at, 65536, 0);
        if (was_reset) *was_reset = got < 0;
        if (got <= 0) break;
        all.len += (size_t)got;
    }
    return lc_buf_give_cstr(&all);
}

bool kit_ends_within(int fd, unsigned millis)
{
    uint64_t end = kit_millis() + millis;
    for (;;) {
        uint64_t now = kit_millis();
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (now >= end || poll(&p, 1, (int)(end - now)) <= 0) return false;
        char bytes[4096];
        if (recv(fd, bytes, sizeof bytes, 0) <= 0) return true;
    }
}

static bool read_line(int fd, lc_buf *out)
{
    char c;
    while (kit_receive(fd, &c, 1) == 1) {
        lc_buf_put_u8(out, (uint8_t)c);
        if (c == '\n') return true;
    }
    return false;
}

static void read_chunks(int fd, lc_buf *body)
{
    for (;;) {
        lc_buf line = LC_BUF_INIT;
        read_line(fd, &line);
        char *text = lc_buf_give_cstr(&line);
        size_t n = strtoul(text, NULL, 16);
        lc_free(text);
        char end[2];
        uint8_t *at = lc_buf_reserve(body, n + 1);
        size_t got = kit_receive(fd, at, n);
        body->len += got;
        if (got < n || kit_receive(fd, end, 2) < 2 || n == 0) return;
    }
}

kit_answer kit_answer_read(int fd, bool is_head)
{
    lc_buf head = LC_BUF_INIT, body = LC_BUF_INIT;
    do {
        size_t from = head.len;
        if (!read_line(fd, &head) || head.len - from == 2) break;
    } while (true);
    kit_answer a = {.head = lc_buf_give_cstr(&head)};
    sscanf(a.head, "HTTP/1.1 %d", &a.status);
    const char *length = strcasestr(a.head, "content-length: ");
    if (strcasestr(a.head, "transfer-encoding: chunked")) {
        if (!is_head) read_chunks(fd, &body);
    } else if (length && !is_head) {
        size_t n = strtoul(length + 16, NULL, 10);
        body.len = kit_receive(fd, lc_buf_reserve(&body, n), n);
    }
    a.body_len = body.len;
    a.body = lc_buf_give_cstr(&body);
    return a;
}

void kit_answer_free(kit_answer *a)
{
    lc_free(a->head);
    lc_free(a->body);
}

bool kit_has_header(const kit_answer *a, const char *line)
{
    char *whole = lc_format("\r\n%s\r\n", line);
    bool has = strstr(a->head, whole) != NULL;
    lc_free(whole);
    return has;
}

void kit_expect(int fd, const char *request, int status, const char *body)
{
    kit_send_text(fd, request);
    kit_answer a = kit_answer_read(fd, false);
    assert_int_equal(a.status, status);
    if (body) assert_string_equal(a.body, body);
    kit_answer_free(&a);
}

void kit_wait_for(const _Atomic uint64_t *counter, uint64_t value)
{
    uint64_t end = kit_millis() + PATIENCE;
    while (*counter < value && kit_millis() < end) usleep(500);
    assert_int_equal(*counter, value);
}

uint64_t kit_millis(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

uint32_t kit_open_files(void)
{
    // Asked number by number: a directory stream on /proc/self/fd takes a number of its own, which
    // the loop's thread may have closed a moment ago.
    uint32_t n = 0;
    for (int fd = 0; fd < MAX_FILES; fd++) n += fcntl(fd, F_GETFD) >= 0;
    return n;
}
