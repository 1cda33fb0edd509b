/* The imports that touch no table, called as the guest calls them, over a memory of 4096 bytes. */
#include "lc_test.h"

#include "host/host_internal.h"

enum { MEMORY = 4096 };

static uint8_t memory[2 * MEMORY];
static size_t memory_size;
static lc_buf log_lines, volatile_calls;
static lc_abi abi;
static lc_env env;

static void look_again(lc_abi *a)
{
    a->base = memory;
    a->size = memory_size;
}

static void keep_record(void *arg, const lc_module_log_record *r)
{
    (void)arg;
    assert_true(lc_utf8_valid(r->message));
    lc_buf_printf(&log_lines, "%d", (int)r->level);
    const lc_span texts[] = {r->target, r->filename, r->function, r->message};
    for (size_t i = 0; i < LC_ARRAY_LEN(texts); i++)
        if (texts[i].ptr)
            lc_buf_printf(&log_lines, "|" LC_SPAN_FMT, LC_SPAN_ARG(texts[i]));
        else
            lc_buf_put_str(&log_lines, "|-");
    if (r->has_line) lc_buf_printf(&log_lines, "|%u", r->line);
    lc_buf_put_u8(&log_lines, '\n');
}

static void keep_volatile(void *arg, lc_span function, lc_span args)
{
    (void)arg;
    lc_buf_printf(&volatile_calls, LC_SPAN_FMT "/" LC_SPAN_FMT ";", LC_SPAN_ARG(function),
                  LC_SPAN_ARG(args));
}

static int open_abi(void **state)
{
    (void)state;
    memset(memory, 0xee, sizeof memory);
    memory_size = MEMORY;
    env = (lc_env){
        .store = lc_store_create(),
        .clock = lc_clock_system(),
        .log = keep_record,
        .volatile_call = keep_volatile,
    };
    for (int i = 0; i < 32; i++) env.database.bytes[i] = (uint8_t)i;
    abi_init(&abi, &env);
    abi.look_again = look_again;
    look_again(&abi);
    abi.is_ready = true;
    abi.function = LC_STR("go");
    return 0;
}

static int close_abi(void **state)
{
    (void)state;
    abi_deinit(&abi);
    lc_store_destroy(env.store);
    lc_buf_deinit(&log_lines);
    lc_buf_deinit(&volatile_calls);
    log_lines = volatile_calls = LC_BUF_INIT;
    return 0;
}

/* The last function trapped for that reason. */
static void assert_trap(const char *want)
{
    assert_non_null(abi.trap);
    assert_string_equal(abi.trap, want);
    lc_free(abi.trap);
    abi.trap = NULL;
}

static void assert_no_trap(void)
{
    if (abi.trap) fail_msg("%s", abi.trap);
}

#define NULL_POINTER  "null pointer passed to a spacetime function"
#define OUT_OF_BOUNDS "out of bounds pointer passed to a spacetime function"
#define BAD_UTF8      "invalid utf8 passed to a spacetime function"

static void poke_text(uint32_t at, const char *text)
{
    memcpy(memory + at, text, strlen(text));
}
static void poke(uint32_t at, uint32_t value)
{
    lc_store_u32(memory + at, value);
}
static uint32_t peek(uint32_t at)
{
    return lc_load_u32(memory + at);
}

/* ------------------------------------------------------------------ memory */

LC_TEST(pointers)
{
    abi_identity(&abi, 0);
    assert_trap(NULL_POINTER);
    abi_identity(&abi, MEMORY - 31);
    assert_trap(OUT_OF_BOUNDS);
    abi_identity(&abi, UINT32_MAX);
    assert_trap(OUT_OF_BOUNDS);
    abi_identity(&abi, MEMORY - 32);
    assert_no_trap();
    assert_memory_equal(memory + MEMORY - 32, env.database.bytes, 32);
    abi_identity(&abi, 1001); /* no alignment */
    assert_no_trap();
    assert_memory_equal(memory + 1001, env.database.bytes, 32);

    /* Length 0: anywhere but at 0 and past the end. */
    lc_span span;
    assert_true(abi_span(&abi, MEMORY, 0, &span));
    assert_true(abi_span(&abi, 1, 0, &span));
    assert_false(abi_span(&abi, 0, 0, &span));
    assert_trap(NULL_POINTER);
    assert_false(abi_span(&abi, MEMORY + 1, 0, &span));
    assert_trap(OUT_OF_BOUNDS);
    assert_false(abi_span(&abi, UINT32_MAX - 15, 32, &span)); /* does not wrap */
    assert_trap(OUT_OF_BOUNDS);
    assert_false(abi_span(&abi, 16, UINT32_MAX, &span));
    assert_trap(OUT_OF_BOUNDS);
}

LC_TEST(memory_that_grew_is_seen)
{
    abi_identity(&abi, MEMORY);
    assert_trap(OUT_OF_BOUNDS);
    memory_size = 2 * MEMORY;
    abi_identity(&abi, MEMORY);
    assert_no_trap();
    assert_memory_equal(memory + MEMORY, env.database.bytes, 32);
    abi_identity(&abi, 2 * MEMORY - 31);
    assert_trap(OUT_OF_BOUNDS);
}

/* ------------------------------------------------------- sources and sinks */

LC_TEST(source_in_steps)
{
    uint32_t s = abi_source_open(&abi, LC_STR("abcde"));
    assert_int_equal(s, 1);
    assert_int_equal(abi_bytes_source_remaining_length(&abi, s, 100), 0);
    assert_int_equal(peek(100), 5);
    const uint32_t answers[] = {0, UINT32_MAX, LC_ERRNO_NO_SUCH_BYTES};
    const uint32_t lengths[] = {3, 2, 3};
    for (int i = 0; i < 3; i++) {
        poke(100, 3);
        assert_int_equal(abi_bytes_source_read(&abi, s, 200, 100), answers[i]);
        assert_int_equal(peek(100), lengths[i]);
    }
    assert_memory_equal(memory + 200, "dec", 3);
    assert_int_equal(abi_bytes_source_remaining_length(&abi, s, 100), LC_ERRNO_NO_SUCH_BYTES);
    assert_no_trap();
}

LC_TEST(source_rules)
{
    uint32_t s = abi_source_open(&abi, LC_STR("abcde"));
    poke(100, 0); /* a read of nothing changes nothing */
    assert_int_equal(abi_bytes_source_read(&abi, s, 200, 100), 0);
    assert_int_equal(peek(100), 0);
    poke(100, 5); /* exactly all: the end comes with it */
    assert_int_equal(abi_bytes_source_read(&abi, s, 200, 100), UINT32_MAX);
    assert_int_equal(abi_source_open(&abi, LC_SPAN_EMPTY), 0);

    /* Unknown handles come before pointers, pointers are checked in full. */
    assert_int_equal(abi_bytes_source_read(&abi, 0, 0, 0), LC_ERRNO_NO_SUCH_BYTES);
    assert_int_equal(abi_bytes_source_read(&abi, 2, 0, 0), LC_ERRNO_NO_SUCH_BYTES);
    assert_int_equal(abi_bytes_source_read(&abi, UINT32_MAX, 0, 0), LC_ERRNO_NO_SUCH_BYTES);
    assert_int_equal(abi_bytes_source_remaining_length(&abi, 2, 0), LC_ERRNO_NO_SUCH_BYTES);
    assert_no_trap();
    s = abi_source_open(&abi, LC_STR("a"));
    assert_int_equal(s, 2);
    poke(100, 1);
    abi_bytes_source_read(&abi, s, 0, 100);
    assert_trap(NULL_POINTER);
    abi_bytes_source_read(&abi, s, 200, 0);
    assert_trap(NULL_POINTER);
    poke(100, 100);
    abi_bytes_source_read(&abi, s, MEMORY - 50, 100);
    assert_trap(OUT_OF_BOUNDS);
    abi_bytes_source_remaining_length(&abi, s, 0);
    assert_trap(NULL_POINTER);
}

LC_TEST(sinks)
{
    uint32_t s = abi_sink_open(&abi);
    assert_int_equal(s, 1);
    poke_text(200, "hello world");
    poke(100, 6);
    assert_int_equal(abi_bytes_sink_write(&abi, s, 200, 100), 0);
    assert_int_equal(peek(100), 6);
    poke(100, 5);
    assert_int_equal(abi_bytes_sink_write(&abi, s, 206, 100), 0);
    poke(100, 0);
    assert_int_equal(abi_bytes_sink_write(&abi, s, 1, 100), 0);
    assert_span_text(abi_sink_bytes(&abi, s), "hello world");
    for (uint32_t h = 0; h < 4; h += 2)
        assert_int_equal(abi_bytes_sink_write(&abi, h, 0, 0), LC_ERRNO_NO_SUCH_BYTES);
    assert_no_trap();
    abi_bytes_sink_write(&abi, s, 0, 100);
    assert_trap(NULL_POINTER);
    poke(100, 64);
    abi_bytes_sink_write(&abi, s, MEMORY - 8, 100);
    assert_trap(OUT_OF_BOUNDS);
    assert_span_text(abi_sink_bytes(&abi, s), "hello world");
}

/* Handles go on counting from start-up to the first call, then from 1 in every call. */
LC_TEST(handles_end_with_the_call)
{
    assert_int_equal(abi_sink_open(&abi), 1);
    abi_end_call(&abi, false);
    assert_int_equal(abi_bytes_sink_write(&abi, 1, 0, 0), LC_ERRNO_NO_SUCH_BYTES);
    assert_int_equal(abi_sink_open(&abi), 2);
    abi_end_call(&abi, false);
    assert_int_equal(abi_sink_open(&abi), 3);
    assert_int_equal(abi_source_open(&abi, LC_STR("x")), 1);
    abi_end_call(&abi, true);
    poke(100, 1);
    assert_int_equal(abi_bytes_source_read(&abi, 1, 200, 100), LC_ERRNO_NO_SUCH_BYTES);
    assert_int_equal(abi_bytes_sink_write(&abi, 3, 200, 100), LC_ERRNO_NO_SUCH_BYTES);
    assert_int_equal(abi_sink_open(&abi), 1);
    assert_span_text(abi_sink_bytes(&abi, 1), "");
    assert_int_equal(abi_source_open(&abi, LC_STR("x")), 1);
}

LC_TEST(sources_are_limited)
{
    for (uint32_t i = 1; i <= ABI_SOURCES_MAX; i++)
        assert_int_equal(abi_source_open(&abi, LC_STR("x")), i);
    assert_int_equal(abi_source_open(&abi, LC_STR("x")), 0);
    assert_trap("limit of 65536 byte sources per call reached");
}

/* ----------------------------------------------------------------- console */

static void assert_log(const char *want)
{
    assert_span_text(lc_buf_span(&log_lines), want);
    lc_buf_reset(&log_lines);
}

static void log_text(uint32_t level, const char *text)
{
    poke_text(100, text);
    abi_console_log(&abi, level, 0, 0, 0, 0, UINT32_MAX, 100, (uint32_t)strlen(text));
}

LC_TEST(log_levels)
{
    static const uint32_t levels[] = {0,   1,   2,   3,   4,   101, 5,
                                      100, 102, 255, 256, 257, 357, UINT32_MAX};
    for (size_t i = 0; i < LC_ARRAY_LEN(levels); i++) log_text(levels[i], "x");
    assert_log("0|-|-|go|x\n1|-|-|go|x\n2|-|-|go|x\n3|-|-|go|x\n4|-|-|go|x\n101|-|-|go|x\n"
               "3|-|-|go|x\n3|-|-|go|x\n3|-|-|go|x\n3|-|-|go|x\n0|-|-|go|x\n1|-|-|go|x\n"
               "101|-|-|go|x\n3|-|-|go|x\n");
    abi.function = LC_SPAN_EMPTY;
    log_text(2, "x");
    assert_log("2|-|-|-|x\n");
}

LC_TEST(log_fields)
{
    poke_text(200, "targetfilemessage");
    abi_console_log(&abi, 2, 200, 6, 206, 4, 0, 210, 7);
    abi_console_log(&abi, 2, 200, 0, 0, 99999, UINT32_MAX - 1, 210, 7);
    abi_console_log(&abi, 2, 0, 0, 206, 4, UINT32_MAX, 210, 0);
    assert_log("2|target|file|go|message|0\n2||-|go|message|4294967294\n2|-|file|go|\n");
    memcpy(memory + 200,
           "a\xff\xfe"
           "b",
           4);
    abi_console_log(&abi, 2, 200, 4, 200, 4, UINT32_MAX, 200, 4);
    assert_log("2|a\xef\xbf\xbd\xef\xbf\xbd"
               "b|a\xef\xbf\xbd\xef\xbf\xbd"
               "b|go|"
               "a\xef\xbf\xbd\xef\xbf\xbd"
               "b\n");
}

LC_TEST(bad_pointers_make_log_do_nothing)
{
    static const uint32_t messages[][2] = {
        {MEMORY, 4}, {100, UINT32_MAX}, {0, 0}, {0, 3}, {MEMORY - 2, 3}};
    for (size_t i = 0; i < LC_ARRAY_LEN(messages); i++)
        abi_console_log(&abi, 2, 0, 0, 0, 0, 1, messages[i][0], messages[i][1]);
    abi_console_log(&abi, 2, MEMORY, 1, 0, 0, 1, 100, 3);
    abi_console_log(&abi, 2, 0, 0, MEMORY, 1, 1, 100, 3);
    assert_log("");
    assert_no_trap();
}

LC_TEST(timers)
{
    poke_text(100, "span \"x\"");
    assert_int_equal(abi_console_timer_start(&abi, 100, 8), 1);
    assert_int_equal(abi_console_timer_start(&abi, 100, 1), 2);
    assert_int_equal(abi_console_timer_end(&abi, 0), LC_ERRNO_NO_SUCH_CONSOLE_TIMER);
    assert_int_equal(abi_console_timer_end(&abi, 1), 0);
    assert_non_null(strstr((char *)log_lines.ptr, "2|-|-|go|Timing span \"span \\\"x\\\"\": "));
    assert_int_equal(abi_console_timer_end(&abi, 1), LC_ERRNO_NO_SUCH_CONSOLE_TIMER);
    abi_end_call(&abi, true); /* timers outlive calls */
    assert_int_equal(abi_console_timer_start(&abi, 100, 1), 1);
    assert_int_equal(abi_console_timer_end(&abi, 2), 0);
    assert_int_equal(abi_console_timer_end(&abi, 1), 0);
    assert_int_equal(abi_console_timer_start(&abi, 100, 0), 1); /* freed last, used first */
    assert_int_equal(abi_console_timer_start(&abi, 100, 1), 2);
    assert_int_equal(abi_console_timer_end(&abi, 99), LC_ERRNO_NO_SUCH_CONSOLE_TIMER);
    assert_int_equal(abi_console_timer_end(&abi, UINT32_MAX), LC_ERRNO_NO_SUCH_CONSOLE_TIMER);
    assert_no_trap();
    abi_console_timer_start(&abi, 0, 0);
    assert_trap(NULL_POINTER);
}

LC_TEST(timer_names_are_made_valid)
{
    memcpy(memory + 100, "a\xff", 2);
    assert_int_equal(abi_console_timer_start(&abi, 100, 2), 1);
    assert_int_equal(abi_console_timer_end(&abi, 1), 0);
    lc_buf_put_u8(&log_lines, 0);
    assert_non_null(strstr((char *)log_lines.ptr, "Timing span \"a\xef\xbf\xbd\": "));
}

LC_TEST(debug_durations)
{
    static const struct {
        uint64_t nanos;
        const char *want;
    } cases[] = {{0, "0ns"},           {999, "999ns"},
                 {1000, "1µs"},        {56700, "56.7µs"},
                 {1234000, "1.234ms"}, {1000001, "1.000001ms"},
                 {2500000000, "2.5s"}, {61000000001, "61.000000001s"}};
    for (size_t i = 0; i < LC_ARRAY_LEN(cases); i++) {
        lc_buf out = LC_BUF_INIT;
        abi_debug_duration(&out, cases[i].nanos);
        assert_span_text(lc_buf_span(&out), cases[i].want);
        lc_buf_deinit(&out);
    }
}

LC_TEST(debug_strings)
{
    lc_buf out = LC_BUF_INIT;
    lc_rust_debug(LC_STR("a\"\\'\n\t\r\0\x01\x7f é日😀\xc2\xa0\xe2\x80\x8b"), '"', &out);
    assert_span_text(lc_buf_span(&out),
                     "\"a\\\"\\\\'\\n\\t\\r\\0\\u{1}\\u{7f} é日😀\\u{a0}\\u{200b}\"");
    lc_buf_deinit(&out);
}

/* ----------------------------------------------------------------- context */

LC_TEST(names_must_be_utf8)
{
    memcpy(memory + 100, "a\xff", 2);
    abi_table_id_from_name(&abi, 100, 2, 200);
    assert_trap(BAD_UTF8);
    abi_index_id_from_name(&abi, 100, 2, 200);
    assert_trap(BAD_UTF8);
    abi_volatile_nonatomic_schedule_immediate(&abi, 100, 2, 100, 0);
    assert_trap(BAD_UTF8);
    abi_table_id_from_name(&abi, 0, 0, 200); /* even without a transaction */
    assert_trap(NULL_POINTER);
    assert_int_equal(abi_table_id_from_name(&abi, 100, 1, 0), LC_ERRNO_NOT_IN_TRANSACTION);
    assert_no_trap();
}

LC_TEST(volatile_calls_are_handed_over)
{
    poke_text(100, "nameargs");
    abi_volatile_nonatomic_schedule_immediate(&abi, 100, 4, 104, 4);
    abi_volatile_nonatomic_schedule_immediate(&abi, 100, 4, 1, 0);
    assert_span_text(lc_buf_span(&volatile_calls), "name/args;name/;");
    abi_volatile_nonatomic_schedule_immediate(&abi, 100, 4, 0, 0);
    assert_trap(NULL_POINTER);
}

LC_TEST(jwt)
{
    lc_error err = LC_ERROR_INIT;
    lc_identity id = {{1}};
    lc_connection_id connection = {{7, 8, 9}};
    assert_int_equal(abi_get_jwt(&abi, 0, 0), LC_ERRNO_NOT_IN_TRANSACTION);
    lc_store_begin(env.store);
    assert_ok(lc_store_add_client(env.store, &id, &connection, LC_STR("{\"iss\":\"x\"}"), &err),
              &err);
    abi_source_open(&abi, LC_STR("args"));
    memcpy(memory + 100, connection.bytes, 16);
    for (uint32_t want = 2; want < 4; want++) { /* a new source each time */
        assert_int_equal(abi_get_jwt(&abi, 100, 200), 0);
        assert_int_equal(peek(200), want);
    }
    poke(300, 100);
    assert_int_equal(abi_bytes_source_read(&abi, 3, 400, 300), UINT32_MAX);
    assert_int_equal(peek(300), 11);
    assert_memory_equal(memory + 400, "{\"iss\":\"x\"}", 11);
    memory[100]++;
    assert_int_equal(abi_get_jwt(&abi, 100, 200), 0);
    assert_int_equal(peek(200), 0);
    memset(memory + 100, 0, 16);
    assert_int_equal(abi_get_jwt(&abi, 100, 200), 0);
    assert_int_equal(peek(200), 0);
    assert_no_trap();
    abi_get_jwt(&abi, 0, 200);
    assert_trap(NULL_POINTER);
    abi_get_jwt(&abi, 100, 0);
    assert_trap(NULL_POINTER);
    lc_store_rollback(env.store);
}

LC_TEST(procedure_functions_in_a_reducer)
{
    lc_store_begin(env.store);
    assert_int_equal(abi_procedure_start_mut_tx(&abi, 0), LC_ERRNO_WOULD_BLOCK_TRANSACTION);
    assert_int_equal(abi_procedure_commit_mut_tx(&abi), LC_ERRNO_TRANSACTION_NOT_ANONYMOUS);
    assert_int_equal(abi_procedure_abort_mut_tx(&abi), LC_ERRNO_TRANSACTION_NOT_ANONYMOUS);
    assert_no_trap();
    abi_procedure_http_request(&abi, 100, 1, 100, 0, 200);
    assert_trap("procedure_http_request is only available in async instances");
    abi_procedure_sleep_until(&abi, 0);
    assert_trap("procedure_sleep_until is only available in async instances");
    lc_store_rollback(env.store);
    abi_procedure_start_mut_tx(&abi, 200);
    assert_trap("procedure_start_mut_tx is only available in async instances");
}

#define T(test) cmocka_unit_test_setup_teardown(test, open_abi, close_abi)
int main(void)
{
    return LC_TEST_RUN(
        T(pointers), T(memory_that_grew_is_seen), T(source_in_steps), T(source_rules), T(sinks),
        T(handles_end_with_the_call), T(sources_are_limited), T(log_levels), T(log_fields),
        T(bad_pointers_make_log_do_nothing), T(timers), T(timer_names_are_made_valid),
        T(debug_durations), T(debug_strings), T(names_must_be_utf8),
        T(volatile_calls_are_handed_over), T(jwt), T(procedure_functions_in_a_reducer));
}
