/* Bodies that are never whole in memory: those that come in, and those that go out. */
#include "net_kit.h"

#include <sys/socket.h>
#include <unistd.h>

static kit_server *s;

static int set_up(void **state)
{
    (void)state;
    s = kit_start();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    kit_stop(s);
    return 0;
}

enum { MANY = 24 << 20 };

static uint8_t *random_bytes(size_t n, uint64_t seed)
{
    uint8_t *bytes = lc_alloc(n + 8);
    for (size_t i = 0; i < n; i += 8) lc_store_u64(bytes + i, lc_test_random(&seed));
    return bytes;
}

static void want(const uint8_t *bytes, size_t n, char out[64])
{
    snprintf(out, 64, "%zu %08x", n, lc_crc32c(0, bytes, n));
}

LC_TEST(a_streamed_body_arrives_whole)
{
    static const size_t sizes[] = {0, 1, 5, 8192, 100000, 3 << 20, MANY};
    uint8_t *bytes = random_bytes(MANY, 1);
    int fd = kit_connect(s, 0);
    for (size_t i = 0; i < LC_ARRAY_LEN(sizes); i++) {
        char head[100], text[64];
        snprintf(head, sizeof head, "POST /intake HTTP/1.1\r\nContent-Length: %zu\r\n\r\n",
                 sizes[i]);
        kit_send_text(fd, head);
        kit_send(fd, bytes, sizes[i]);
        want(bytes, sizes[i], text);
        kit_expect(fd, "", 200, text);
    }
    kit_expect(fd, "GET /intake HTTP/1.1\r\n\r\n", 200, "0 00000000");
    kit_expect(fd, "GET /echo HTTP/1.1\r\n\r\n", 200, "GET /echo\n");
    close(fd);
    lc_free(bytes);
}

LC_TEST(chunks_and_splits_make_no_difference)
{
    static const char text[] =
        "POST /intake HTTP/1.1\r\nExpect: nothing\r\nTransfer-Encoding: chunked\r\n\r\n"
        "4\r\nfour\r\na;ext=1\r\n0123456789\r\n0\r\nTrailer: late\r\n\r\n"
        "GET /echo HTTP/1.1\r\n\r\n";
    char answer[64];
    want((const uint8_t *)"four0123456789", 14, answer);
    for (size_t split = 1; split < sizeof text - 1; split++) {
        int fd = kit_connect(s, 0);
        kit_send(fd, text, split);
        usleep(300);
        kit_send(fd, text + split, sizeof text - 1 - split);
        kit_expect(fd, "", 200, answer);
        kit_expect(fd, "", 200, "GET /echo\n");
        close(fd);
    }
    int fd = kit_connect(s, 0);
    kit_send_text(fd, "POST /intake HTTP/1.1\r\nExpect: 100-continue\r\n"
                      "Content-Length: 2\r\n\r\n");
    kit_answer a = kit_answer_read(fd, true);
    assert_int_equal(a.status, 100);
    kit_answer_free(&a);
    want((const uint8_t *)"hi", 2, answer);
    kit_expect(fd, "hi", 200, answer);
    close(fd);
}

typedef struct sending {
    int fd;
    const uint8_t *bytes;
    _Atomic uint64_t sent;
} sending;

static void *send_all(void *arg)
{
    sending *x = arg;
    for (size_t at = 0; at < MANY;) {
        ssize_t n = send(x->fd, x->bytes + at, MANY - at, MSG_NOSIGNAL);
        if (n <= 0) break;
        at += (size_t)n;
        x->sent = at;
    }
    return NULL;
}

/* What the client may be ahead of the reader is bounded, whatever it has to send. */
LC_TEST(a_slow_reader_makes_the_client_wait)
{
    uint8_t *bytes = random_bytes(MANY, 2);
    char head[100], text[64];
    snprintf(head, sizeof head, "POST /intake?n=2 HTTP/1.1\r\nContent-Length: %d\r\n\r\n", MANY);
    sending x = {kit_connect(s, 0), bytes, 0};
    int small = 64 * 1024;
    setsockopt(x.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    kit_send_text(x.fd, head);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, send_all, &x), 0);
    uint64_t peak = 0;
    for (int i = 0; i < 400; i++) {
        uint64_t read = s->intake_read, sent = x.sent;
        if (sent > read && sent - read > peak) peak = sent - read;
        usleep(1000);
    }
    assert_true(x.sent < MANY);    /* it does wait */
    assert_true(peak < 16u << 20); /* intake and pipeline 2.3 MiB; the rest are socket buffers */
    pthread_join(thread, NULL);
    want(bytes, MANY, text);
    kit_expect(x.fd, "", 200, text);
    close(x.fd);
    lc_free(bytes);
}

LC_TEST(a_body_that_breaks_off_is_told_to_its_reader)
{
    int fd = kit_connect(s, 0); /* closed */
    kit_send_text(fd, "POST /intake HTTP/1.1\r\nContent-Length: 10\r\n\r\nfive.");
    close(fd);
    kit_wait_for(&s->intake_broken, 1);
    fd = kit_connect(s, 0); /* half closed */
    kit_send_text(fd, "POST /intake HTTP/1.1\r\nContent-Length: 10\r\n\r\nfive.");
    shutdown(fd, SHUT_WR);
    kit_wait_for(&s->intake_broken, 2);
    assert_true(kit_ends_within(fd, 5000));
    close(fd);
    fd = kit_connect(s, 0); /* malformed */
    kit_send_text(fd, "POST /intake HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfour\r\nX");
    kit_wait_for(&s->intake_broken, 3);
    assert_true(kit_ends_within(fd, 5000));
    close(fd);
    fd = kit_connect(s, 0); /* whole, and then half closed: that is fine */
    kit_send_text(fd, "POST /intake?n=1 HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi");
    shutdown(fd, SHUT_WR);
    kit_expect(fd, "", 200, NULL);
    close(fd);
}

LC_TEST(an_early_answer_ends_the_connection)
{
    uint8_t *bytes = random_bytes(MANY, 3);
    int fd = kit_connect(s, 0);
    kit_send_text(fd, "POST /intake-no HTTP/1.1\r\nContent-Length: 25165824\r\n\r\n");
    kit_send(fd, bytes, 1 << 20);
    kit_answer a = kit_answer_read(fd, false);
    assert_int_equal(a.status, 403);
    assert_true(kit_has_header(&a, "connection: close"));
    kit_answer_free(&a);
    assert_true(kit_ends_within(fd, 5000));
    close(fd);
    lc_free(bytes);
}

LC_TEST(a_stream_waits_until_what_it_wrote_was_taken)
{
    int fd = kit_connect(s, 4096);
    kit_send_text(fd, "GET /fill?n=200 HTTP/1.1\r\n\r\n");
    usleep(100 * 1000);
    assert_true(s->filled < 60); /* socket buffers and one piece */
    kit_answer a = kit_answer_read(fd, false);
    assert_int_equal(a.status, 200);
    assert_int_equal(a.body_len, 200 * 256 * 1024);
    assert_int_equal(s->filled, 200);
    kit_answer_free(&a);
    kit_expect(fd, "GET /echo HTTP/1.1\r\n\r\n", 200, "GET /echo\n");
    close(fd);
}

LC_TEST(a_broken_stream_has_no_end)
{
    int fd = kit_connect(s, 0);
    kit_send_text(fd, "GET /fill-break?n=3 HTTP/1.1\r\n\r\n");
    bool was_reset;
    lc_buf all = LC_BUF_INIT;
    uint8_t *at = lc_buf_extend(&all, 2 << 20);
    all.len = kit_receive(fd, at, 2 << 20);
    was_reset = recv(fd, at, 1, 0) < 0;
    assert_false(was_reset);
    assert_true(all.len > 3 * 256 * 1024);
    assert_memory_equal(all.ptr + all.len - 4, "\0\0\r\n", 4); /* of the last piece */
    lc_buf_deinit(&all);
    close(fd);
    fd = kit_connect(s, 4096); /* gone in the middle */
    kit_send_text(fd, "GET /fill?n=200 HTTP/1.1\r\n\r\n");
    usleep(50 * 1000);
    close(fd);
    kit_wait_for(&s->stream_gone, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    return LC_TEST_RUN(
        TEST(a_streamed_body_arrives_whole), TEST(chunks_and_splits_make_no_difference),
        TEST(a_slow_reader_makes_the_client_wait),
        TEST(a_body_that_breaks_off_is_told_to_its_reader),
        TEST(an_early_answer_ends_the_connection),
        TEST(a_stream_waits_until_what_it_wrote_was_taken), TEST(a_broken_stream_has_no_end));
}
