/* HTTP/1.1 over real sockets: what comes in, in all its forms, and what goes out. */
#include "net_kit.h"

#include <poll.h>
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

/* The answer to a whole conversation: send, end our side, read to the end. */
static char *converse(const char *text, size_t n)
{
    int fd = kit_connect(s, 0);
    kit_send(fd, text, n);
    shutdown(fd, SHUT_WR);
    char *all = kit_receive_all(fd, NULL);
    close(fd);
    return all;
}

static uint32_t count_of(const char *text, const char *part)
{
    uint32_t n = 0;
    for (; (text = strstr(text, part)); text += strlen(part)) n++;
    return n;
}

LC_TEST(requests_are_answered_one_after_the_other)
{
    int fd = kit_connect(s, 0);
    kit_expect(fd, "GET /echo HTTP/1.1\r\nHost: a\r\n\r\n", 200, "GET /echo\n");
    kit_expect(fd, "POST /echo?a=b HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", 200,
               "POST /echo?a=b\nhello");
    kit_expect(fd, "POST /later HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi", 200, "POST /later\nhi");
    kit_expect(fd, "POST /thread HTTP/1.1\r\nContent-Length: 2\r\n\r\nho", 200, "POST /thread\nho");
    kit_expect(fd, "DELETE /echo HTTP/1.1\r\n\r\n", 200, "DELETE /echo\n");
    kit_expect(fd, "\r\nGET /after-an-empty-line HTTP/1.1\r\n\r\n", 200, NULL);
    close(fd);
}

LC_TEST(every_split_gives_the_same)
{
    static const char text[] =
        "POST /later?x=1 HTTP/1.1\r\nHost: a\r\nX-Empty:\r\nExpect: nothing\r\n"
        "Transfer-Encoding: chunked\r\n\r\n"
        "4\r\nfour\r\na;ext=1\r\n0123456789\r\n0\r\nTrailer: late\r\n\r\n"
        "GET /echo HTTP/1.1\r\n\r\n";
    for (size_t split = 1; split < sizeof text - 1; split++) {
        int fd = kit_connect(s, 0);
        kit_send(fd, text, split);
        usleep(300);
        kit_send(fd, text + split, sizeof text - 1 - split);
        kit_expect(fd, "", 200, "POST /later?x=1\nfour0123456789");
        kit_expect(fd, "", 200, "GET /echo\n");
        close(fd);
    }
    int fd = kit_connect(s, 0);
    for (size_t i = 0; i < sizeof text - 1; i++) {
        kit_send(fd, text + i, 1);
        if (i % 8 == 0) usleep(200);
    }
    kit_expect(fd, "", 200, "POST /later?x=1\nfour0123456789");
    kit_expect(fd, "", 200, "GET /echo\n");
    close(fd);
}

LC_TEST(pipelined_requests_are_answered_in_order)
{
    enum { COUNT = 3000 };
    lc_buf out = LC_BUF_INIT;
    for (int i = 0; i < COUNT; i++)
        lc_buf_printf(&out, "GET /%s?%d HTTP/1.1\r\n\r\n",
                      i % 500 == 0   ? "later"
                      : i % 700 == 0 ? "thread"
                                     : "echo",
                      i);
    int fd = kit_connect(s, 0);
    kit_send(fd, out.ptr, out.len);
    for (int i = 0; i < COUNT; i++) {
        char want[64];
        snprintf(want, sizeof want, "GET /%s?%d\n",
                 i % 500 == 0   ? "later"
                 : i % 700 == 0 ? "thread"
                                : "echo",
                 i);
        kit_expect(fd, "", 200, want);
    }
    lc_buf_deinit(&out);
    close(fd);
}

/* A client that pipelines for ever and reads nothing must not fill our memory. */
LC_TEST(unread_answers_stop_the_taking_of_requests)
{
    enum { COUNT = 200 };
    int fd = kit_connect(s, 4096);
    for (int i = 0; i < COUNT; i++) kit_send_text(fd, "GET /big?n=200000 HTTP/1.1\r\n\r\n");
    usleep(100 * 1000);
    assert_true(s->requests < COUNT / 2);
    for (int i = 0; i < COUNT; i++) {
        kit_answer a = kit_answer_read(fd, false);
        assert_int_equal(a.status, 200);
        assert_int_equal(a.body_len, 200000);
        kit_answer_free(&a);
    }
    assert_int_equal(s->requests, COUNT);
    close(fd);
}

LC_TEST(connections_end_when_asked)
{
    static const struct {
        const char *request;
        bool ends;
        const char *header;
    } cases[] = {
        {"GET /echo HTTP/1.1\r\nConnection: close\r\n\r\n", true, "connection: close"},
        {"GET /echo HTTP/1.1\r\n\r\n", false, NULL},
        {"GET /echo HTTP/1.0\r\n\r\n", true, "connection: close"},
        {"GET /echo HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", false, "connection: keep-alive"},
        {"GET /later HTTP/1.1\r\nConnection: close\r\n\r\n", true, "connection: close"},
        {"GET /echo HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", false, NULL},
        {"GET /stream?n=2 HTTP/1.1\r\nConnection: close\r\n\r\n", true, "connection: close"},
    };
    for (size_t i = 0; i < LC_ARRAY_LEN(cases); i++) {
        int fd = kit_connect(s, 0);
        kit_send_text(fd, cases[i].request);
        kit_answer a = kit_answer_read(fd, false);
        assert_int_equal(a.status, 200);
        if (cases[i].header)
            assert_true(kit_has_header(&a, cases[i].header));
        else
            assert_null(strcasestr(a.head, "connection:"));
        kit_answer_free(&a);
        if (cases[i].ends)
            assert_true(kit_ends_within(fd, 2000));
        else
            kit_expect(fd, "GET /echo HTTP/1.1\r\n\r\n", 200, "GET /echo\n");
        close(fd);
    }
}

LC_TEST(head_has_no_body)
{
    int fd = kit_connect(s, 0);
    kit_send_text(fd, "HEAD /big?n=1000 HTTP/1.1\r\n\r\n");
    kit_answer a = kit_answer_read(fd, true);
    assert_true(kit_has_header(&a, "content-length: 1000"));
    kit_answer_free(&a);
    kit_send_text(fd, "HEAD /stream?n=3 HTTP/1.1\r\n\r\n");
    a = kit_answer_read(fd, true);
    assert_int_equal(a.status, 200);
    kit_answer_free(&a);
    kit_expect(fd, "GET /echo HTTP/1.1\r\n\r\n", 200, "GET /echo\n");
    close(fd);
}

LC_TEST(headers_come_as_sent)
{
    int fd = kit_connect(s, 0);
    kit_expect(fd,
               "GET /headers HTTP/1.1\r\nHost:  a.b \r\nX-Empty:\r\nX-Folded: one\r\n  two\r\n"
               "x-twice: 1\r\nX-Twice: 2\r\n\r\n",
               200, "Host=a.b\nX-Empty=\nX-Folded=one  two\nx-twice=1\nX-Twice=2\n");
    /* Trailers are read and forgotten; they must not disturb the headers. */
    lc_buf out = LC_BUF_INIT;
    lc_buf_put_str(&out,
                   "POST /headers HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n");
    for (int i = 0; i < 400; i++)
        lc_buf_printf(&out, "Trailer-%d: some text of the trailer\r\n", i);
    lc_buf_put_str(&out, "\r\n");
    char *text = lc_buf_give_cstr(&out);
    kit_expect(fd, text, 200, "Transfer-Encoding=chunked\n");
    lc_free(text);
    close(fd);
}

LC_TEST(too_many_or_too_long_headers_are_refused)
{
    lc_buf out = LC_BUF_INIT;
    lc_buf_put_str(&out, "GET /headers HTTP/1.1\r\n");
    for (int i = 0; i < 256; i++) lc_buf_printf(&out, "a%d: b\r\n", i);
    lc_buf_put_str(&out, "\r\n");
    char *all = converse((char *)out.ptr, out.len);
    assert_int_equal(strncmp(all, "HTTP/1.1 200", 12), 0);
    assert_non_null(strstr(all, "a255=b"));
    lc_free(all);

    out.len -= 2;
    lc_buf_put_str(&out, "one-more: c\r\n\r\n");
    all = converse((char *)out.ptr, out.len);
    assert_int_equal(strncmp(all, "HTTP/1.1 431", 12), 0);
    lc_free(all);

    lc_buf_reset(&out);
    lc_buf_put_str(&out, "GET /headers HTTP/1.1\r\na: ");
    for (int i = 0; i < 200000; i++) lc_buf_put_u8(&out, 'x');
    lc_buf_put_str(&out, "\r\n\r\n");
    all = converse((char *)out.ptr, out.len);
    assert_int_equal(strncmp(all, "HTTP/1.1 431", 12), 0);
    lc_free(all);

    lc_buf_reset(&out);
    lc_buf_put_str(&out, "GET /");
    for (int i = 0; i < 200000; i++) lc_buf_put_u8(&out, 'x');
    lc_buf_put_str(&out, " HTTP/1.1\r\n\r\n");
    all = converse((char *)out.ptr, out.len);
    assert_int_equal(strncmp(all, "HTTP/1.1 431", 12), 0);
    lc_free(all);
    lc_buf_deinit(&out);
}

LC_TEST(malformed_requests_get_400_and_the_end)
{
    static const char *const cases[] = {
        "\x16\x03\x01\x02",
        "GARBAGE\r\n\r\n",
        "get / HTTP/1.1\r\n\r\n",
        "GET  HTTP/1.1\r\n\r\n",
        "GET / HTTP/x.y\r\n\r\n",
        "GET / FTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nNo colon\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 1x\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    };
    for (size_t i = 0; i < LC_ARRAY_LEN(cases); i++) {
        char *all = converse(cases[i], strlen(cases[i]));
        if (strncmp(all, "HTTP/1.1 400 Bad Request\r\n", 26) != 0) {
            print_error("case %zu: %s\n", i, all);
            fail();
        }
        lc_free(all);
    }
    /* Good ones before it are answered first. */
    static const char after[] = "GET /later HTTP/1.1\r\n\r\nGET /echo HTTP/1.1\r\n\r\nBAD\r\n\r\n";
    char *all = converse(after, sizeof after - 1);
    assert_int_equal(count_of(all, "HTTP/1.1 200"), 2);
    assert_int_equal(count_of(all, "HTTP/1.1 400"), 1);
    lc_free(all);
}

/* The refusal is readable although more was sent than anybody read. */
LC_TEST(a_refusal_is_not_lost_in_a_reset)
{
    for (int round = 0; round < 20; round++) {
        int fd = kit_connect(s, 0);
        kit_send_text(fd, "BAD REQUEST\r\n\r\n");
        char junk[4096] = "junk";
        for (int i = 0; i < 200; i++) kit_send(fd, junk, sizeof junk);
        shutdown(fd, SHUT_WR);
        bool was_reset;
        char *all = kit_receive_all(fd, &was_reset);
        assert_int_equal(strncmp(all, "HTTP/1.1 400", 12), 0);
        assert_false(was_reset);
        lc_free(all);
        close(fd);
    }
    /* A client that never stops is cut off all the same. */
    int fd = kit_connect(s, 0);
    kit_send_text(fd, "BAD REQUEST\r\n\r\n");
    assert_true(kit_ends_within(fd, 3000));
    uint64_t start = kit_millis();
    while (kit_millis() - start < 4000 && send(fd, "x", 1, MSG_NOSIGNAL) == 1) usleep(10000);
    assert_true(kit_millis() - start < 4000);
    close(fd);
}

LC_TEST(absolute_targets_are_understood)
{
    int fd = kit_connect(s, 0);
    kit_expect(fd, "GET http://example.org:80/echo?x HTTP/1.1\r\n\r\n", 200, "GET /echo?x\n");
    kit_expect(fd, "GET http://example.org HTTP/1.1\r\n\r\n", 200, "GET /\n");
    kit_expect(fd, "OPTIONS * HTTP/1.1\r\n\r\n", 200, "OPTIONS *\n");
    kit_expect(fd, "GET /a%20b/%zz?c=%20 HTTP/1.1\r\n\r\n", 200, "GET /a%20b/%zz?c=%20\n");
    close(fd);
}

LC_TEST(oversize_bodies_are_drained_and_told)
{
    int fd = kit_connect(s, 0);
    kit_expect(fd, "POST /small HTTP/1.1\r\nContent-Length: 10\r\n\r\n0123456789", 200,
               "POST /small\n0123456789");
    kit_expect(fd, "POST /small HTTP/1.1\r\nContent-Length: 11\r\n\r\n0123456789a", 413,
               "too long");
    kit_expect(fd,
               "POST /small HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n01234567\r\n"
               "8\r\n01234567\r\n1\r\na\r\n0\r\n\r\n",
               413, "too long");
    kit_expect(fd,
               "POST /small HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n5\r\n56789"
               "\r\n0\r\n\r\n",
               200, "POST /small\n0123456789");
    close(fd);
}

LC_TEST(a_large_body_arrives_whole)
{
    enum { SIZE = 20 << 20 };
    lc_buf out = LC_BUF_INIT;
    lc_buf_printf(&out, "POST /echo HTTP/1.1\r\nContent-Length: %d\r\n\r\n", SIZE);
    size_t head = out.len;
    uint8_t *body = lc_buf_extend(&out, SIZE);
    for (int i = 0; i < SIZE; i++) body[i] = (uint8_t)(i * 7 + i / 251);
    int fd = kit_connect(s, 0);
    kit_send(fd, out.ptr, out.len);
    kit_answer a = kit_answer_read(fd, false);
    assert_int_equal(a.body_len, SIZE + strlen("POST /echo\n"));
    assert_memory_equal(a.body + strlen("POST /echo\n"), out.ptr + head, SIZE);
    kit_answer_free(&a);
    lc_buf_deinit(&out);
    close(fd);
}

LC_TEST(expect_is_answered_before_the_body)
{
    int fd = kit_connect(s, 0);
    kit_send_text(fd, "POST /echo HTTP/1.1\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n");
    char line[26] = "";
    assert_int_equal(kit_receive(fd, line, 25), 25);
    assert_string_equal(line, "HTTP/1.1 100 Continue\r\n\r\n");
    kit_expect(fd, "ok", 200, "POST /echo\nok");
    /* Too long: refused before it is sent, and the connection ends. */
    kit_send_text(fd, "POST /small HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 11\r\n\r\n");
    kit_answer a = kit_answer_read(fd, false);
    assert_int_equal(a.status, 413);
    assert_true(kit_has_header(&a, "connection: close"));
    kit_answer_free(&a);
    assert_true(kit_ends_within(fd, 2000));
    close(fd);
}

LC_TEST(half_closed_clients_get_all_their_answers)
{
    static const char text[] = "GET /later?1 HTTP/1.1\r\n\r\nGET /echo?2 HTTP/1.1\r\n\r\n"
                               "GET /thread?3 HTTP/1.1\r\n\r\nGET /big?n=3000000 HTTP/1.1\r\n\r\n"
                               "GET /echo?4 HTTP/1.1\r\n\r\nGET /unfinished HTT";
    for (int i = 0; i < 10; i++) {
        char *all = converse(text, sizeof text - 1);
        assert_int_equal(count_of(all, "HTTP/1.1 200 OK"), 5);
        assert_non_null(strstr(all, "GET /echo?4\n"));
        assert_null(strstr(all, "unfinished"));
        lc_free(all);
    }
    int fd = kit_connect(s, 0);
    shutdown(fd, SHUT_WR);
    assert_true(kit_ends_within(fd, 2000));
    close(fd);
}

LC_TEST(streams_come_in_chunks)
{
    int fd = kit_connect(s, 0);
    kit_expect(fd, "GET /stream?n=4 HTTP/1.1\r\n\r\n", 200, "chunk 0\nchunk 1\nchunk 2\nchunk 3\n");
    kit_expect(fd, "GET /stream?n=0 HTTP/1.1\r\n\r\n", 200, "");
    kit_expect(fd, "GET /echo HTTP/1.1\r\n\r\n", 200, "GET /echo\n");
    close(fd);
    char *all = converse("GET /stream?n=2 HTTP/1.0\r\n\r\n", 28);
    lc_free(all); /* ours ended first: it may be cut */
    fd = kit_connect(s, 0);
    kit_send_text(fd, "GET /stream?n=2 HTTP/1.0\r\n\r\n");
    all = kit_receive_all(fd, NULL);
    assert_null(strstr(all, "chunked"));
    assert_non_null(strstr(all, "\r\n\r\nchunk 0\nchunk 1\n"));
    lc_free(all);
    close(fd);
}

LC_TEST(a_stream_hears_that_its_client_is_gone)
{
    int fd = kit_connect(s, 0);
    kit_send_text(fd, "GET /endless HTTP/1.1\r\n\r\n");
    char head[12];
    kit_receive(fd, head, sizeof head);
    close(fd);
    kit_wait_for(&s->stream_gone, 1);
    /* In the middle of its chunks, */
    fd = kit_connect(s, 0);
    kit_send_text(fd, "GET /stream?n=100000 HTTP/1.1\r\n\r\n");
    kit_receive(fd, head, sizeof head);
    close(fd);
    kit_wait_for(&s->stream_gone, 2);
    /* before it began, */
    fd = kit_connect(s, 0);
    kit_send_text(fd, "GET /late-endless HTTP/1.1\r\n\r\n");
    struct linger reset = {.l_onoff = 1};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    kit_wait_for(&s->requests, 3);
    close(fd);
    kit_wait_for(&s->stream_gone, 3);
    /* and when the loop ends (tear_down). */
    fd = kit_connect(s, 0);
    kit_send_text(fd, "GET /endless HTTP/1.1\r\n\r\n");
    kit_receive(fd, head, sizeof head);
    close(fd);
    kit_wait_for(&s->stream_gone, 4);
}

LC_TEST(clients_may_leave_at_any_time)
{
    static const char *const texts[] = {
        "GET /later HTTP/1.1\r\n\r\n",
        "GET /thread HTTP/1.1\r\n\r\n",
        "GET /big?n=5000000 HTTP/1.1\r\n\r\n",
        "GET /stream?n=5 HTTP/1.1\r\n\r\n",
        "POST /echo HTTP/1.1\r\nContent-Length: 100\r\n\r\nhalf",
        "GET /ec",
        "",
    };
    int first = kit_connect(s, 0), fd;
    kit_expect(first, "GET /echo HTTP/1.1\r\n\r\n", 200, "GET /echo\n");
    uint32_t before = kit_open_files(); /* with this one, on both sides */
    for (int i = 0; i < 700; i++) {
        fd = kit_connect(s, 0);
        kit_send_text(fd, texts[i % (int)LC_ARRAY_LEN(texts)]);
        struct linger reset = {.l_onoff = i % 2};
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        if (i % 3 == 0) usleep(500);
        close(fd);
    }
    fd = kit_connect(s, 0);
    kit_expect(fd, "GET /echo HTTP/1.1\r\n\r\n", 200, "GET /echo\n");
    close(fd);
    uint64_t end = kit_millis() + 8000;
    while (kit_open_files() > before && kit_millis() < end) usleep(1000);
    assert_true(kit_open_files() <= before);
    close(first);
}

LC_TEST(header_values_cannot_start_new_lines)
{
    int fd = kit_connect(s, 0);
    kit_send_text(fd, "GET /inject HTTP/1.1\r\n\r\n");
    kit_answer a = kit_answer_read(fd, false);
    assert_true(kit_has_header(&a, "x-name: a  set-cookie: b"));
    kit_answer_free(&a);
    close(fd);
}

/* The loop ends with requests in every state; nothing may leak or be touched afterwards. */
LC_TEST(the_loop_ends_with_everything_open)
{
    static const char *const texts[] = {
        "GET /later HTTP/1.1\r\n\r\n",
        "GET /endless HTTP/1.1\r\n\r\n",
        "GET /big?n=9000000 HTTP/1.1\r\n\r\n",
        "POST /echo HTTP/1.1\r\nContent-Length: 9\r\n\r\n",
        "GET /ec",
        "GET /echo HTTP/1.1\r\n\r\n",
    };
    int fds[60];
    for (size_t i = 0; i < LC_ARRAY_LEN(fds); i++) {
        fds[i] = kit_connect(s, 0);
        kit_send_text(fds[i], texts[i % LC_ARRAY_LEN(texts)]);
    }
    usleep(20000);
    kit_stop(s);
    for (size_t i = 0; i < LC_ARRAY_LEN(fds); i++) {
        assert_true(kit_ends_within(fds[i], 2000));
        close(fds[i]);
    }
    s = kit_start();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    return LC_TEST_RUN(
        TEST(requests_are_answered_one_after_the_other), TEST(every_split_gives_the_same),
        TEST(pipelined_requests_are_answered_in_order),
        TEST(unread_answers_stop_the_taking_of_requests), TEST(connections_end_when_asked),
        TEST(head_has_no_body), TEST(headers_come_as_sent),
        TEST(too_many_or_too_long_headers_are_refused),
        TEST(malformed_requests_get_400_and_the_end), TEST(a_refusal_is_not_lost_in_a_reset),
        TEST(absolute_targets_are_understood), TEST(oversize_bodies_are_drained_and_told),
        TEST(a_large_body_arrives_whole), TEST(expect_is_answered_before_the_body),
        TEST(half_closed_clients_get_all_their_answers), TEST(streams_come_in_chunks),
        TEST(a_stream_hears_that_its_client_is_gone), TEST(clients_may_leave_at_any_time),
        TEST(header_values_cannot_start_new_lines), TEST(the_loop_ends_with_everything_open));
}
