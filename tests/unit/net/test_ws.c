/* WebSocket over real sockets: framing byte by byte, control frames, closing, limits, timing. */
#include "net_kit.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    CONTINUATION = 0,
    TEXT = 1,
    BINARY = 2,
    CLOSE = 8,
    PING = 9,
    PONG = 10,
    FIN = 0x80,
    NO_CODE = 0,
};

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

/* ---------------------------------------------------------------- a small client */

static const char upgrade[] = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n"
                              "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/* A frame as a client sends it. form: 0 the shortest length, else 2 or 8 bytes of length. */
static void put_frame_as(lc_buf *out, uint8_t first, const void *payload, size_t n, int form,
                         uint32_t key)
{
    lc_buf_put_u8(out, first);
    if (form == 0) form = n < 126 ? 1 : n <= UINT16_MAX ? 2 : 8;
    lc_buf_put_u8(out, (uint8_t)(0x80 | (form == 1 ? n : form == 2 ? 126 : 127)));
    for (int i = form == 1 ? 0 : form; i-- > 0;) lc_buf_put_u8(out, (uint8_t)(n >> (8 * i)));
    lc_buf_put_u32(out, key);
    const uint8_t *p = payload;
    for (size_t i = 0; i < n; i++) lc_buf_put_u8(out, p[i] ^ (uint8_t)(key >> (8 * (i % 4))));
}

static void put_frame(lc_buf *out, uint8_t first, const void *payload, size_t n)
{
    put_frame_as(out, first, payload, n, 0, 0x9f31c7e5);
}

static void send_frame(int fd, uint8_t first, const void *payload, size_t n)
{
    lc_buf out = LC_BUF_INIT;
    put_frame(&out, first, payload, n);
    kit_send(fd, out.ptr, out.len);
    lc_buf_deinit(&out);
}

static void send_text(int fd, const char *text)
{
    send_frame(fd, FIN | TEXT, text, strlen(text));
}

typedef struct frame {
    uint8_t first;
    size_t len;
    uint8_t *payload; /* heap, one NUL behind */
} frame;

/* False: the connection has ended (or stays silent for long). */
static bool read_frame(int fd, frame *f)
{
    uint8_t head[10];
    if (kit_receive(fd, head, 2) < 2) return false;
    f->first = head[0];
    assert_int_equal(head[1] & 0x80, 0); /* servers do not mask */
    f->len = head[1];
    size_t more = f->len == 126 ? 2 : f->len == 127 ? 8 : 0;
    if (kit_receive(fd, head + 2, more) < more) return false;
    if (more) f->len = 0;
    for (size_t i = 0; i < more; i++) f->len = f->len << 8 | head[2 + i];
    f->payload = lc_alloc_zero(f->len + 1);
    if (kit_receive(fd, f->payload, f->len) == f->len) return true;
    lc_free(f->payload);
    return false;
}

static void expect_frame(int fd, uint8_t first, const void *payload, size_t n)
{
    frame f;
    assert_true(read_frame(fd, &f));
    assert_int_equal(f.first, first);
    assert_int_equal(f.len, n);
    assert_memory_equal(f.payload, payload, n);
    lc_free(f.payload);
}

static void expect_text(int fd, const char *text)
{
    expect_frame(fd, FIN | TEXT, text, strlen(text));
}

static void expect_close(int fd, uint16_t code, const char *reason)
{
    uint8_t payload[125] = {(uint8_t)(code >> 8), (uint8_t)code};
    size_t n = strlen(reason);
    memcpy(payload + 2, reason, n);
    expect_frame(fd, FIN | CLOSE, payload, code == NO_CODE ? 0 : 2 + n);
}

/* Nothing but the end. */
static void expect_end(int fd)
{
    frame f;
    uint64_t start = kit_millis();
    assert_false(read_frame(fd, &f));
    assert_true(kit_millis() - start < 4000);
}

static void send_close(int fd, uint16_t code, const char *reason)
{
    uint8_t payload[125] = {(uint8_t)(code >> 8), (uint8_t)code};
    size_t n = strlen(reason);
    memcpy(payload + 2, reason, n);
    send_frame(fd, FIN | CLOSE, payload, code == NO_CODE ? 0 : 2 + n);
}

static int open_ws(int receive_buffer)
{
    int fd = kit_connect(s, receive_buffer);
    kit_send_text(fd, upgrade);
    kit_answer a = kit_answer_read(fd, false);
    assert_int_equal(a.status, 101);
    kit_answer_free(&a);
    expect_frame(fd, FIN | PING, "", 0);
    return fd;
}

/* ----------------------------------------------------------------------- tests */

LC_TEST(the_upgrade_is_answered)
{
    int fd = kit_connect(s, 0);
    kit_expect(fd, "GET /echo HTTP/1.1\r\n\r\n", 200, NULL);
    kit_send_text(fd, upgrade);
    kit_answer a = kit_answer_read(fd, false);
    assert_int_equal(a.status, 101);
    assert_true(kit_has_header(&a, "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_true(kit_has_header(&a, "sec-websocket-protocol: kit"));
    assert_true(kit_has_header(&a, "connection: upgrade"));
    assert_true(kit_has_header(&a, "upgrade: websocket"));
    assert_true(kit_has_header(&a, "x-extra: 1"));
    kit_answer_free(&a);
    expect_frame(fd, FIN | PING, "", 0);
    send_text(fd, "hello");
    expect_text(fd, "hello");
    close(fd);
    kit_wait_for(&s->ws_closed, 1);
}

/* Clients that do not wait for the 101. */
LC_TEST(frames_behind_the_request_are_taken)
{
    static const char *const paths[] = {"/ws", "/ws-thread"};
    for (int i = 0; i < 2; i++) {
        lc_buf out = LC_BUF_INIT;
        lc_buf_printf(&out, "GET %s%s", paths[i], upgrade + strlen("GET /ws"));
        put_frame(&out, FIN | TEXT, "early", 5);
        put_frame(&out, FIN | TEXT, "bird", 4);
        size_t whole = out.len;
        put_frame(&out, FIN | TEXT, "late", 4);
        int fd = kit_connect(s, 0);
        kit_send(fd, out.ptr, whole + 3);
        kit_answer a = kit_answer_read(fd, false);
        assert_int_equal(a.status, 101);
        kit_answer_free(&a);
        expect_frame(fd, FIN | PING, "", 0);
        expect_text(fd, "early");
        expect_text(fd, "bird");
        kit_send(fd, out.ptr + whole + 3, out.len - whole - 3);
        expect_text(fd, "late");
        close(fd);
        lc_buf_deinit(&out);
    }
}

LC_TEST(every_length_comes_back)
{
    static const size_t sizes[] = {0,     1,     2,     3,      7,      8,      9,      124,
                                   125,   126,   127,   128,    4095,   4096,   65534,  65535,
                                   65536, 65537, 70000, 262143, 262144, 262145, 300000, 5000000};
    uint8_t *bytes = lc_alloc(5000000);
    for (size_t i = 0; i < 5000000; i++) bytes[i] = (uint8_t)(i * 31 + i / 256);
    int fd = open_ws(0);
    for (size_t i = 0; i < LC_ARRAY_LEN(sizes); i++)
        for (int form = 0; form <= 8; form += form ? 6 : 2) {
            if (form == 2 && sizes[i] > UINT16_MAX) continue;
            lc_buf out = LC_BUF_INIT;
            put_frame_as(&out, FIN | BINARY, bytes, sizes[i], form, form == 2 ? 0 : 0x12345678);
            kit_send(fd, out.ptr, out.len);
            expect_frame(fd, FIN | BINARY, bytes, sizes[i]);
            lc_buf_deinit(&out);
        }
    lc_free(bytes);
    close(fd);
}

/* A conversation with everything in it, cut at every place. */
static void put_conversation(lc_buf *out)
{
    char medium[300];
    memset(medium, 'm', sizeof medium);
    put_frame(out, FIN | TEXT, "one", 3);
    put_frame(out, TEXT, "spl", 3);
    put_frame(out, FIN | PING, "in between", 10);
    put_frame(out, CONTINUATION, "", 0);
    put_frame(out, FIN | PONG, "nobody asked", 12);
    put_frame(out, FIN | CONTINUATION, "it", 2);
    put_frame(out, FIN | BINARY, medium, sizeof medium);
    put_frame(out, FIN | TEXT, "", 0);
    put_frame(out, BINARY, medium, 200);
    put_frame(out, FIN | CONTINUATION, medium, 100);
    put_frame(out, FIN | CLOSE,
              "\x03\xe8"
              "bye",
              5);
    put_frame(out, FIN | TEXT, "after the end", 13);
}

static void expect_conversation(int fd)
{
    char medium[300];
    memset(medium, 'm', sizeof medium);
    expect_text(fd, "one");
    expect_frame(fd, FIN | PONG, "in between", 10);
    expect_text(fd, "split");
    expect_frame(fd, FIN | BINARY, medium, sizeof medium);
    expect_text(fd, "");
    expect_frame(fd, FIN | BINARY, medium, sizeof medium);
    expect_close(fd, 1000, "bye");
    expect_end(fd);
}

LC_TEST(messages_may_be_cut_anywhere)
{
    lc_buf out = LC_BUF_INIT;
    put_conversation(&out);
    for (size_t split = 0; split < out.len; split += split < 120 ? 1 : 13) {
        int fd = open_ws(0);
        kit_send(fd, out.ptr, split);
        usleep(200);
        kit_send(fd, out.ptr + split, out.len - split);
        expect_conversation(fd);
        close(fd);
    }
    int fd = open_ws(0);
    for (size_t i = 0; i < out.len; i++) {
        kit_send(fd, out.ptr + i, 1);
        if (i % 4 == 0) usleep(100);
    }
    expect_conversation(fd);
    close(fd);
    lc_buf_deinit(&out);
}

LC_TEST(bad_frames_end_the_connection_without_a_word)
{
    struct {
        const char *name;
        lc_buf bytes;
    } cases[32] = {0};
    size_t n = 0;
#define CASE(text, ...)                                                                            \
    do {                                                                                           \
        lc_buf *b = &cases[n].bytes;                                                               \
        cases[n++].name = text;                                                                    \
        __VA_ARGS__;                                                                               \
    } while (0)
    char long_ping[126] = "";
    CASE("unmasked", lc_buf_put(b,
                                "\x81\x01"
                                "a",
                                3));
    CASE("unmasked, empty", lc_buf_put(b, "\x81\x00", 2));
    CASE("unmasked close", lc_buf_put(b, "\x88\x00", 2));
    CASE("reserved bit 1", put_frame(b, FIN | 0x40 | TEXT, "a", 1));
    CASE("reserved bit 2", put_frame(b, FIN | 0x20 | TEXT, "a", 1));
    CASE("reserved bit 3", put_frame(b, FIN | 0x10 | TEXT, "a", 1));
    for (uint8_t op = 3; op <= 15; op++) {
        if (op >= CLOSE && op <= PONG) continue;
        CASE("reserved opcode", put_frame(b, FIN | op, "a", 1));
    }
    CASE("continuation without start", put_frame(b, FIN | CONTINUATION, "a", 1));
    CASE("empty continuation", put_frame(b, CONTINUATION, "", 0));
    CASE("new message in the middle", put_frame(b, TEXT, "a", 1); put_frame(b, FIN | TEXT, "b", 1));
    CASE("new start in the middle", put_frame(b, TEXT, "a", 1); put_frame(b, BINARY, "b", 1));
    CASE("long ping", put_frame(b, FIN | PING, long_ping, 126));
    CASE("ping in a long form", put_frame_as(b, FIN | PING, "a", 1, 2, 1));
    CASE("long close", put_frame(b, FIN | CLOSE, long_ping, 126));
    CASE("fragmented ping", put_frame(b, PING, "a", 1));
    CASE("fragmented close", put_frame(b, CLOSE, "", 0));
    CASE("not UTF-8", put_frame(b, FIN | TEXT, "a\xff", 2));
    CASE("UTF-8 cut short", put_frame(b, FIN | TEXT, "\xe2\x82", 2));
    CASE("surrogate", put_frame(b, FIN | TEXT, "\xed\xa0\x80", 3));
    CASE("not UTF-8, fragmented", put_frame(b, TEXT, "\xe2", 1);
         put_frame(b, FIN | CONTINUATION, "a", 1));
    CASE("length of 2^63", lc_buf_put(b, "\x82\xff\x80\0\0\0\0\0\0\0\1\2\3\4", 14));
    CASE("length of 2^64-1", lc_buf_put(b, "\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff\1\2\3\4", 14));
#undef CASE
    for (size_t i = 0; i < n; i++) {
        uint64_t before = s->ws_messages;
        int fd = open_ws(0);
        put_frame(&cases[i].bytes, FIN | TEXT, "more", 4);
        kit_send(fd, cases[i].bytes.ptr, cases[i].bytes.len);
        frame f;
        if (read_frame(fd, &f)) {
            print_error("%s: answered with %02x\n", cases[i].name, f.first);
            fail();
        }
        assert_int_equal(s->ws_messages, before);
        close(fd);
        lc_buf_deinit(&cases[i].bytes);
    }
    kit_wait_for(&s->ws_closed, n);
}

/* UTF-8 is looked at when the whole message is there: a character may lie in two fragments. */
LC_TEST(a_character_may_be_split)
{
    int fd = open_ws(0);
    send_frame(fd, TEXT, "\xe2\x82", 2);
    send_frame(fd, FIN | CONTINUATION, "\xac", 1);
    expect_text(fd, "\xe2\x82\xac");
    close(fd);
}

LC_TEST(long_messages_end_the_connection)
{
    s->ws_options.max_message = 1000;
    char bytes[1001];
    memset(bytes, 'b', sizeof bytes);
    int fd = open_ws(0);
    send_frame(fd, FIN | TEXT, bytes, 1000);
    expect_frame(fd, FIN | TEXT, bytes, 1000);
    send_frame(fd, TEXT, bytes, 600);
    send_frame(fd, FIN | CONTINUATION, bytes, 400);
    expect_frame(fd, FIN | TEXT, bytes, 1000);
    lc_buf head = LC_BUF_INIT; /* the header is enough */
    put_frame(&head, FIN | TEXT, bytes, 1001);
    kit_send(fd, head.ptr, 8);
    expect_end(fd);
    close(fd);
    fd = open_ws(0);
    send_frame(fd, TEXT, bytes, 600);
    send_frame(fd, CONTINUATION, bytes, 400);
    send_frame(fd, FIN | CONTINUATION, bytes, 1);
    expect_end(fd);
    close(fd);
    lc_buf_deinit(&head);
}

LC_TEST(pings_are_answered_and_pongs_ignored)
{
    int fd = open_ws(0);
    char payload[125];
    memset(payload, 'p', sizeof payload);
    send_frame(fd, FIN | PONG, "x", 1);
    for (size_t n = 0; n <= 125; n += 25) {
        send_frame(fd, FIN | PING, payload, n);
        expect_frame(fd, FIN | PONG, payload, n);
    }
    close(fd);
}

LC_TEST(a_client_that_closes_is_echoed)
{
    static const struct {
        uint16_t code;
        const char *reason;
        bool is_good;
    } cases[] = {
        {NO_CODE, "", true},   {1000, "", true},
        {1000, "bye", true},   {1001, "", true},
        {1003, "x", true},     {1007, "", true},
        {1011, "", true},      {1014, "", true},
        {3000, "", true},      {4999, "gr\xc3\xbc\xc3\x9f", true},
        {999, "", false},      {1004, "", false},
        {1005, "", false},     {1006, "x", false},
        {1015, "", false},     {1016, "", false},
        {2000, "", false},     {2999, "", false},
        {5000, "", false},     {65535, "", false},
        {1000, "\xff", false},
    };
    for (size_t i = 0; i < LC_ARRAY_LEN(cases); i++) {
        int fd = open_ws(0);
        send_close(fd, cases[i].code, cases[i].reason);
        send_text(fd, "not executed");
        if (cases[i].is_good)
            expect_close(fd, cases[i].code, cases[i].reason);
        else
            expect_close(fd, 1002, "Protocol violation");
        expect_end(fd);
        close(fd);
    }
    int fd = open_ws(0);
    send_frame(fd, FIN | CLOSE, "\x03", 1); /* half a code */
    expect_close(fd, 1002, "Protocol violation");
    expect_end(fd);
    close(fd);
    assert_int_equal(s->ws_messages, 0);
}

LC_TEST(the_server_closes_with_a_handshake)
{
    int fd = open_ws(0);
    send_text(fd, "close 4001 because");
    expect_close(fd, 4001, "because");
    send_text(fd, "ignored");
    send_frame(fd, FIN | PING, "ignored too", 11);
    send_close(fd, 4001, "because");
    expect_end(fd);
    close(fd);
    assert_int_equal(s->ws_messages, 1);

    /* One that does not answer is not waited for long. */
    s->ws_options.close_timeout_millis = 100;
    fd = open_ws(0);
    send_text(fd, "close 1000");
    expect_close(fd, 1000, "");
    uint64_t start = kit_millis();
    expect_end(fd);
    assert_in_range(kit_millis() - start, 50, 2000);
    close(fd);

    /* A reason is cut at a character border, a second close and later messages are dropped. */
    fd = open_ws(0);
    char reason[123] = "";
    for (size_t i = 0; i < 122; i += 2) memcpy(reason + i, "\xc3\xa4", 2);
    send_text(fd, "long close");
    expect_close(fd, 1011, reason);
    close(fd);
    fd = open_ws(0);
    send_text(fd, "twice");
    expect_close(fd, 4001, "first");
    expect_end(fd);
    close(fd);

    fd = open_ws(0);
    send_text(fd, "abort");
    send_text(fd, "more");
    expect_end(fd);
    close(fd);
}

LC_TEST(silent_clients_are_dropped)
{
    s->ws_options.ping_interval_millis = 100;
    s->ws_options.idle_timeout_millis = 350;
    int fd = open_ws(0);
    uint64_t start = kit_millis();
    expect_end(fd); /* no Pong came, so no second Ping either */
    assert_in_range(kit_millis() - start, 250, 3000);
    close(fd);

    /* Pongs keep it alive, and every one allows another Ping. */
    fd = open_ws(0);
    send_frame(fd, FIN | PONG, "", 0);
    start = kit_millis();
    for (int i = 0; i < 6; i++) {
        expect_frame(fd, FIN | PING, "", 0);
        send_frame(fd, FIN | PONG, "", 0);
    }
    assert_in_range(kit_millis() - start, 400, 5000);

    /* So do messages without Pongs; then there is one Ping only. */
    expect_frame(fd, FIN | PING, "", 0);
    for (int i = 0; i < 10; i++) {
        usleep(80000);
        send_text(fd, "here");
        expect_text(fd, "here");
    }
    /* Half a frame is a sign of life, but only one. */
    kit_send(fd, "\x81", 1);
    start = kit_millis();
    expect_end(fd);
    assert_in_range(kit_millis() - start, 250, 3000);
    close(fd);
}

LC_TEST(a_paused_connection_waits_and_loses_nothing)
{
    s->ws_options.idle_timeout_millis = 200;
    int fd = open_ws(0);
    lc_buf out = LC_BUF_INIT;
    put_frame(&out, FIN | TEXT, "pause 600",
              9); /* longer than the idle time: not the client's fault */
    for (int i = 0; i < 1000; i++) {
        char text[16];
        put_frame(&out, FIN | TEXT, text, (size_t)snprintf(text, sizeof text, "message %d", i));
    }
    uint64_t start = kit_millis();
    kit_send(fd, out.ptr, out.len);
    usleep(100000);
    assert_int_equal(s->ws_messages, 1);
    for (int i = 0; i < 1000; i++) {
        char text[16];
        snprintf(text, sizeof text, "message %d", i);
        expect_text(fd, text);
    }
    assert_true(kit_millis() - start >= 500);
    send_text(fd, "blink");
    expect_text(fd, "blinked");
    lc_buf_deinit(&out);
    close(fd);
}

static void expect_flood(int fd, unsigned n, unsigned size)
{
    for (unsigned i = 0; i < n; i++) {
        frame f;
        assert_true(read_frame(fd, &f));
        assert_int_equal(f.first, FIN | BINARY);
        assert_int_equal(f.len, size + 4);
        assert_int_equal(lc_load_u32(f.payload), i);
        for (unsigned k = 0; k < size; k += 17)
            assert_int_equal(f.payload[4 + k], (uint8_t)(i + k));
        lc_free(f.payload);
    }
}

/* More than the socket takes: partial writes, copied and shared pieces in turn. */
LC_TEST(much_is_written_in_order)
{
    s->ws_options.max_outgoing_messages = 1 << 20; /* how slow we may be is another test's matter */
    int fd = open_ws(8192);
    send_text(fd, "flood 3000 3000");
    send_text(fd, "shared 2000 5000");
    send_text(fd, "shared 20 1000000");
    send_text(fd, "shared 100 100");
    send_text(fd, "flood 100000 4");
    usleep(200000);
    send_text(fd, "the end");
    expect_flood(fd, 3000, 3000);
    expect_flood(fd, 2000, 5000);
    expect_flood(fd, 20, 1000000);
    expect_flood(fd, 100, 100);
    expect_flood(fd, 100000, 4);
    expect_text(fd, "the end");
    kit_wait_for(&s->released, 2000 + 20 + 100);
    close(fd);
}

LC_TEST(shared_bytes_are_released_when_the_client_leaves)
{
    int fd = open_ws(4096);
    send_text(fd, "shared 5000 10000");
    send_text(fd, "shared 5000 10000");
    kit_wait_for(&s->ws_messages, 2);
    close(fd);
    kit_wait_for(&s->ws_closed, 1);
    kit_wait_for(&s->released, 10000);
    /* In the middle of a flood, and by the loop's end (tear_down). */
    fd = open_ws(4096);
    send_text(fd, "shared 1000 100000");
    kit_wait_for(&s->ws_messages, 3);
    close(fd);
    fd = open_ws(4096);
    send_text(fd, "shared 1000 100000");
    kit_wait_for(&s->ws_messages, 4);
}

LC_TEST(slow_readers_are_dropped)
{
    s->ws_options.max_outgoing_messages = 100;
    int fd = open_ws(4096);
    for (int i = 0; i < 40; i++) {
        send_text(fd, "flood 60 50000");
        usleep(100000);
        if (s->ws_closed) break;
    }
    kit_wait_for(&s->ws_closed, 1);
    assert_true(s->ws_peak_waiting <= 2000);
    close(fd);

    /* One that gets ten times the limit in one turn and reads it is not slow. */
    fd = open_ws(8192);
    send_text(fd, "flood 1000 20000");
    expect_flood(fd, 1000, 20000);
    close(fd);

    /* One that gets too much at once, reads nothing, and then gets nothing more. */
    fd = open_ws(4096);
    send_text(fd, "flood 1000 20000");
    kit_wait_for(&s->ws_closed, 3);
    close(fd);

    /* So much at once that bytes are the limit. */
    s->ws_options.max_outgoing_messages = 16384;
    s->ws_options.max_outgoing_bytes = 10 << 20;
    fd = open_ws(4096);
    send_text(fd, "flood 1000 30000");
    kit_wait_for(&s->ws_closed, 4);
    close(fd);
}

/* Pongs wait like messages: a client cannot make us hoard them. */
LC_TEST(unread_pongs_are_limited)
{
    s->ws_options.max_outgoing_messages = 1000;
    int fd = open_ws(4096);
    char payload[125] = "";
    lc_buf out = LC_BUF_INIT;
    for (int i = 0; i < 1000; i++) put_frame(&out, FIN | PING, payload, sizeof payload);
    uint64_t end = kit_millis() + 10000;
    while (!s->ws_closed && kit_millis() < end) {
        if (send(fd, out.ptr, out.len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) usleep(10000);
    }
    kit_wait_for(&s->ws_closed, 1);
    lc_buf_deinit(&out);
    close(fd);
}

/* Everything in one read is taken, and answered, in one turn of the loop. */
LC_TEST(a_burst_is_one_turn)
{
    int fd = open_ws(0);
    lc_buf out = LC_BUF_INIT;
    for (int i = 0; i < 500; i++) put_frame(&out, FIN | TEXT, "turn", 4);
    kit_send(fd, out.ptr, out.len);
    char first[64] = "";
    int changes = 0;
    for (int i = 0; i < 500; i++) {
        frame f;
        assert_true(read_frame(fd, &f));
        if (strcmp(first, (char *)f.payload) != 0) changes++;
        snprintf(first, sizeof first, "%s", (char *)f.payload);
        lc_free(f.payload);
    }
    assert_true(changes <= 3);
    lc_buf_deinit(&out);
    close(fd);
}

LC_TEST(many_come_and_go)
{
    for (int round = 0; round < 300; round++) {
        int fd = open_ws(0);
        switch (round % 6) {
        case 0:
            send_text(fd, "flood 10 100");
            break;
        case 1:
            send_close(fd, 1000, "");
            break;
        case 2:
            send_text(fd, "close 1000");
            break;
        case 3:
            send_text(fd, "shared 10 100000");
            break;
        case 4:
            kit_send(fd, "\x81\xff", 2);
            break;
        default:
            send_text(fd, "pause 20");
            send_text(fd, "rest");
        }
        struct linger reset = {.l_onoff = round % 2};
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        if (round % 6 == 5) usleep(30000);
        close(fd);
    }
    kit_wait_for(&s->ws_closed, 300);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    return LC_TEST_RUN(
        TEST(the_upgrade_is_answered), TEST(frames_behind_the_request_are_taken),
        TEST(every_length_comes_back), TEST(messages_may_be_cut_anywhere),
        TEST(bad_frames_end_the_connection_without_a_word), TEST(a_character_may_be_split),
        TEST(long_messages_end_the_connection), TEST(pings_are_answered_and_pongs_ignored),
        TEST(a_client_that_closes_is_echoed), TEST(the_server_closes_with_a_handshake),
        TEST(silent_clients_are_dropped), TEST(a_paused_connection_waits_and_loses_nothing),
        TEST(much_is_written_in_order), TEST(shared_bytes_are_released_when_the_client_leaves),
        TEST(slow_readers_are_dropped), TEST(unread_pongs_are_limited), TEST(a_burst_is_one_turn),
        TEST(many_come_and_go));
}
