/*
 * A WebSocket client: frames over the connection that libcurl makes (so that https works too). One
 * thread, blocking.
 */
#include "cli/cli.h"

#include <curl/curl.h>
#include <errno.h>
#include <openssl/evp.h>
#include <poll.h>
#include <stdlib.h>
#include <strings.h>

enum { OP_CONTINUE = 0, OP_TEXT = 1, OP_BINARY = 2, OP_CLOSE = 8, OP_PING = 9, OP_PONG = 10 };
enum { FIN = 0x80, MASKED = 0x80, LENGTH_16 = 126, LENGTH_64 = 127 };
enum { KEY_BYTES = 16, MAX_HEAD = 64 << 10, READ_SIZE = 64 << 10, UPGRADE_SECONDS = 30 };
#define MAX_MESSAGE ((uint64_t)1 << 30)
#define NANOS       1000000000ull

struct lc_ws_client {
    CURL *curl;
    curl_socket_t socket;
    lc_buf in;      /* bytes that have come */
    size_t taken;   /* of these, by the previous frames */
    lc_buf message; /* of the fragments so far */
    bool in_message;
};

/* --------------------------------------------------------------------- bytes */

static lc_status wait_for(lc_ws_client *w, short events, uint64_t deadline, lc_error *err)
{
    int millis = -1;
    if (deadline) {
        uint64_t now = lc_clock_mono(lc_clock_system());
        if (now >= deadline) return lc_error_set(err, LC_E_LIMIT, "timed out");
        uint64_t left = (deadline - now + 999999) / 1000000;
        millis = left < 60000 ? (int)left : 60000;
    }
    struct pollfd p = {.fd = w->socket, .events = events};
    if (poll(&p, 1, millis) < 0 && errno != EINTR)
        return lc_error_set(err, LC_E_IO, "poll: %s", strerror(errno));
    return LC_OK;
}

static lc_status send_all(lc_ws_client *w, lc_span bytes, lc_error *err)
{
    while (bytes.len) {
        size_t n = 0;
        CURLcode rc = curl_easy_send(w->curl, bytes.ptr, bytes.len, &n);
        bytes = LC_SPAN(bytes.ptr + n, bytes.len - n);
        if (rc == CURLE_OK) continue;
        if (rc != CURLE_AGAIN)
            return lc_error_set(err, LC_E_CLOSED, "the connection broke: %s",
                                curl_easy_strerror(rc));
        lc_status status = wait_for(w, POLLOUT, 0, err);
        if (status != LC_OK) return status;
    }
    return LC_OK;
}

/* At least one byte more in w->in. */
static lc_status read_more(lc_ws_client *w, uint64_t deadline, lc_error *err)
{
    if (w->taken) {
        memmove(w->in.ptr, w->in.ptr + w->taken, w->in.len - w->taken);
        w->in.len -= w->taken;
        w->taken = 0;
    }
    for (;;) {
        size_t n = 0;
        CURLcode rc = curl_easy_recv(w->curl, lc_buf_reserve(&w->in, READ_SIZE), READ_SIZE, &n);
        if (rc == CURLE_OK && n > 0) {
            w->in.len += n;
            return LC_OK;
        }
        if (rc != CURLE_AGAIN) return lc_error_set(err, LC_E_CLOSED, "disconnected by server");
        lc_status status = wait_for(w, POLLIN, deadline, err);
        if (status != LC_OK) return status;
    }
}

/* ------------------------------------------------------------------- upgrade */

static void base64(lc_span bytes, char *out)
{
    EVP_EncodeBlock((unsigned char *)out, bytes.ptr, (int)bytes.len);
}

/* The value of a header of the answer's head; heap, NULL when it is not there. */
static char *header_of(const char *head, const char *name)
{
    size_t n = strlen(name);
    for (const char *line = strstr(head, "\r\n"); line; line = strstr(line, "\r\n")) {
        line += 2;
        if (strncasecmp(line, name, n) != 0 || line[n] != ':') continue;
        const char *value = line + n + 1;
        value += strspn(value, " \t");
        return lc_span_to_cstr(LC_SPAN(value, strcspn(value, "\r")));
    }
    return NULL;
}

/* What a server says that does not upgrade. */
static lc_status refused(lc_ws_client *w, const char *head, const char *url, uint64_t deadline,
                         lc_error *err)
{
    lc_cli_response r = {.url = lc_strdup(url)};
    char *length = header_of(head, "content-length");
    size_t size = length ? strtoul(length, NULL, 10) : 0;
    if (size > MAX_HEAD) size = MAX_HEAD;
    sscanf(head, "HTTP/%*s %ld", &r.status);
    while (w->in.len - w->taken < size && read_more(w, deadline, NULL) == LC_OK) {
    }
    if (size > w->in.len - w->taken) size = w->in.len - w->taken;
    lc_buf_put(&r.body, w->in.ptr + w->taken, size);
    lc_status rc = lc_cli_response_check(&r, err);
    if (rc == LC_OK)
        rc = lc_error_set(err, LC_E_IO, "the server does not upgrade to WebSocket: %s", url);
    lc_free(length);
    lc_cli_response_deinit(&r);
    return rc;
}

static bool is_accepted(const char *head, const char *key, const char *protocol)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    char expected[64];
    char *text = lc_format("%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
    EVP_Digest(text, strlen(text), digest, &size, EVP_sha1(), NULL);
    base64(LC_SPAN(digest, size), expected);
    char *accept = header_of(head, "sec-websocket-accept");
    char *chosen = header_of(head, "sec-websocket-protocol");
    bool ok = accept && chosen && strcmp(accept, expected) == 0 && strcmp(chosen, protocol) == 0;
    lc_free(text);
    lc_free(accept);
    lc_free(chosen);
    return ok;
}

/* Reads the answer's head and leaves w->taken behind it. */
static lc_status read_head(lc_ws_client *w, uint64_t deadline, char **head, lc_error *err)
{
    const uint8_t *end = NULL;
    while (!end) {
        if (w->in.len > MAX_HEAD)
            return lc_error_set(err, LC_E_INVALID, "the answer's head is too long");
        lc_status rc = read_more(w, deadline, err);
        if (rc != LC_OK) return rc;
        end = memmem(w->in.ptr, w->in.len, "\r\n\r\n", 4);
    }
    w->taken = (size_t)(end - w->in.ptr) + 4;
    *head = lc_span_to_cstr(LC_SPAN(w->in.ptr, w->taken));
    return LC_OK;
}

static lc_status upgrade(lc_ws_client *w, const lc_target *t, const char *url, const char *protocol,
                         lc_error *err)
{
    uint8_t random[KEY_BYTES];
    char key[32];
    lc_random_system()->fill(NULL, random, sizeof random);
    base64(LC_SPAN(random, sizeof random), key);
    const char *host = strstr(url, "://") + 3;
    size_t host_len = strcspn(host, "/");
    lc_buf out = LC_BUF_INIT;
    lc_buf_printf(&out,
                  "GET %s HTTP/1.1\r\nHost: %.*s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n"
                  "Sec-WebSocket-Protocol: %s\r\n",
                  host + host_len, (int)host_len, host, key, protocol);
    if (t->token) lc_buf_printf(&out, "Authorization: Bearer %s\r\n", t->token);
    lc_buf_put_str(&out, "\r\n");
    uint64_t deadline = lc_clock_mono(lc_clock_system()) + UPGRADE_SECONDS * NANOS;
    char *head = NULL;
    lc_status rc = send_all(w, lc_buf_span(&out), err);
    if (rc == LC_OK) rc = read_head(w, deadline, &head, err);
    if (rc == LC_OK && strncmp(head, "HTTP/1.1 101 ", 13) != 0)
        rc = refused(w, head, url, deadline, err);
    else if (rc == LC_OK && !is_accepted(head, key, protocol))
        rc = lc_error_set(err, LC_E_UNSUPPORTED, "the server does not speak %s: %s", protocol, url);
    lc_free(head);
    lc_buf_deinit(&out);
    return rc;
}

lc_status lc_ws_client_open(const lc_target *t, const char *path, const char *protocol,
                            lc_ws_client **out, lc_error *err)
{
    lc_ws_client *w = lc_alloc_zero(sizeof *w);
    char *url = lc_format("%s%s", t->url, path);
    w->curl = curl_easy_init();
    curl_easy_setopt(w->curl, CURLOPT_URL, url);
    curl_easy_setopt(w->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(w->curl, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(w->curl, CURLOPT_CONNECT_ONLY, 1L);
    curl_easy_setopt(w->curl, CURLOPT_CONNECTTIMEOUT, (long)UPGRADE_SECONDS);
    CURLcode code = curl_easy_perform(w->curl);
    lc_status rc = LC_OK;
    if (code == CURLE_OK) code = curl_easy_getinfo(w->curl, CURLINFO_ACTIVESOCKET, &w->socket);
    if (code != CURLE_OK)
        rc = lc_error_set(err, LC_E_IO, "error sending request for url (%s): %s", url,
                          curl_easy_strerror(code));
    else
        rc = upgrade(w, t, url, protocol, err);
    lc_free(url);
    if (rc == LC_OK)
        *out = w;
    else
        lc_ws_client_close(w);
    return rc;
}

/* -------------------------------------------------------------------- frames */

static lc_status send_frame(lc_ws_client *w, uint8_t op, lc_span payload, lc_error *err)
{
    uint8_t mask[4];
    lc_buf out = LC_BUF_INIT;
    lc_random_system()->fill(NULL, mask, sizeof mask);
    lc_buf_put_u8(&out, FIN | op);
    if (payload.len < LENGTH_16) {
        lc_buf_put_u8(&out, (uint8_t)(MASKED | payload.len));
    } else if (payload.len <= UINT16_MAX) {
        lc_buf_put_u8(&out, MASKED | LENGTH_16);
        lc_buf_put_u16(&out, __builtin_bswap16((uint16_t)payload.len));
    } else {
        lc_buf_put_u8(&out, MASKED | LENGTH_64);
        lc_buf_put_u64(&out, __builtin_bswap64(payload.len));
    }
    lc_buf_put(&out, mask, sizeof mask);
    uint8_t *to = lc_buf_extend(&out, payload.len);
    for (size_t i = 0; i < payload.len; i++) to[i] = payload.ptr[i] ^ mask[i & 3];
    lc_status rc = send_all(w, lc_buf_span(&out), err);
    lc_buf_deinit(&out);
    return rc;
}

lc_status lc_ws_client_send(lc_ws_client *w, lc_span message, lc_error *err)
{
    return send_frame(w, OP_BINARY, message, err);
}

typedef struct frame {
    uint8_t first; /* FIN and op */
    lc_span payload;
} frame;

/* True: a whole frame was in w->in, and is taken. */
static bool take_frame(lc_ws_client *w, frame *f, bool *is_bad)
{
    const uint8_t *p = w->in.ptr + w->taken;
    size_t have = w->in.len - w->taken, head = 2;
    if (have < head) return false;
    uint64_t size = p[1] & 0x7f;
    if (size == LENGTH_16) {
        head += 2;
        if (have < head) return false;
        size = __builtin_bswap16(lc_load_u16(p + 2));
    } else if (size == LENGTH_64) {
        head += 8;
        if (have < head) return false;
        size = __builtin_bswap64(lc_load_u64(p + 2));
    }
    *is_bad = p[0] & 0x70 || p[1] & MASKED || size > MAX_MESSAGE;
    if (*is_bad || have - head < size) return false;
    *f = (frame){p[0], LC_SPAN(p + head, size)};
    w->taken += head + size;
    return true;
}

/* True: f ends a message, which w->message holds. */
static bool on_frame(lc_ws_client *w, const frame *f, lc_status *rc, lc_error *err)
{
    uint8_t op = f->first & 0x0f;
    bool is_data = op == OP_CONTINUE || op == OP_TEXT || op == OP_BINARY;
    *rc = LC_OK;
    if (op == OP_PING) {
        *rc = send_frame(w, OP_PONG, f->payload, err);
    } else if (op == OP_CLOSE) {
        send_frame(w, OP_CLOSE, f->payload, NULL);
        *rc = lc_error_set(err, LC_E_CLOSED, "disconnected by server");
    } else if (is_data && w->in_message != (op == OP_CONTINUE)) {
        *rc = lc_error_set(err, LC_E_INVALID, "the server's fragments are out of order");
    } else if (is_data && w->message.len + f->payload.len > MAX_MESSAGE) {
        *rc = lc_error_set(err, LC_E_INVALID, "a message of the server is too long");
    } else if (is_data) {
        if (!w->in_message) lc_buf_reset(&w->message);
        lc_buf_put_span(&w->message, f->payload);
        w->in_message = !(f->first & FIN);
        return !w->in_message;
    }
    return false;
}

lc_status lc_ws_client_receive(lc_ws_client *w, uint64_t deadline, lc_span *message, lc_error *err)
{
    for (;;) {
        frame f;
        bool is_bad = false;
        lc_status rc = LC_OK;
        if (take_frame(w, &f, &is_bad)) {
            bool is_whole = on_frame(w, &f, &rc, err);
            if (is_whole) *message = lc_buf_span(&w->message);
            if (is_whole || rc != LC_OK) return rc;
            continue;
        }
        if (is_bad) return lc_error_set(err, LC_E_INVALID, "a frame of the server is malformed");
        rc = read_more(w, deadline, err);
        if (rc != LC_OK) return rc;
    }
}

void lc_ws_client_close(lc_ws_client *w)
{
    curl_easy_cleanup(w->curl);
    lc_buf_deinit(&w->in);
    lc_buf_deinit(&w->message);
    lc_free(w);
}
