/* Start-up, calls, traps, time limit, stack, cache: what the engine does around the ABI. */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "host_test.h"

static host_fixture fixture;

static int open_fixture(void **state)
{
    (void)state;
    host_fixture_open(&fixture, 0, NULL);
    return 0;
}

static int close_fixture(void **state)
{
    (void)state;
    host_fixture_close(&fixture);
    return 0;
}

static void assert_log(const char *want)
{
    assert_span_text(lc_buf_span(&fixture.log), want);
    lc_buf_reset(&fixture.log);
}

static void assert_text(lc_buf *text, const char *want)
{
    assert_span_text(lc_buf_span(text), want);
    lc_buf_deinit(text);
    *text = LC_BUF_INIT;
}

static void assert_error(const char *wat, lc_status want_status, const char *want)
{
    lc_status status;
    char *text = host_start_error(&fixture, wat, &status);
    assert_non_null(text);
    assert_string_equal(text, want);
    assert_int_equal(status, want_status);
    lc_free(text);
}

/* ---------------------------------------------------------------- start-up */

#define LOGGING(name, ptr, len)                                                                    \
    "(data (i32.const " #ptr ") \"" name "\") (func (export \"" name "\") " WAT_LOG(ptr, len) ")"

LC_TEST(start_up_runs_in_order)
{
    lc_instance *i = host_start(
        &fixture,
        "(module %imports " WAT_MEMORY "(data (i32.const 16) \"\\02\\00\\00\\00\\00\")"
        "(data (i32.const 100) \"describe\") (data (i32.const 120) \"setup\")"
        "(func (export \"__describe_module__\") (param i32) " WAT_LOG(
            100, 8) ")"
                    "(func (export \"__setup__\") (param i32) (result i32) " WAT_LOG(
                        120, 5) " (i32.const 0))" LOGGING("__preinit__10_a", 200, 15)
                        LOGGING("__preinit__05_z", 220, 15) LOGGING("__preinit__10_A", 240, 15)
                            LOGGING("__preinit__", 260, 11) LOGGING("_initialize", 280, 11)
                                LOGGING("_start", 300, 6) LOGGING("__preinit_other", 320, 15)
                                    WAT_REDUCER("(i32.const 0)") ")");
    assert_log("2|-|-|-|-|_initialize\n2|-|-|-|-|__preinit__\n2|-|-|-|-|__preinit__05_z\n"
               "2|-|-|-|-|__preinit__10_A\n2|-|-|-|-|__preinit__10_a\n2|-|-|-|-|setup\n"
               "2|-|-|-|-|describe\n");
    lc_instance_destroy(i);
}

LC_TEST(description_is_what_the_sink_got)
{
    lc_buf bytes = host_wat(WAT_MODULE("(i32.const 0)"));
    lc_buf description = LC_BUF_INIT;
    lc_error err = LC_ERROR_INIT;
    lc_program *p;
    lc_instance *i;
    assert_ok(lc_program_load(fixture.engine, lc_buf_span(&bytes), &p, &err), &err);
    assert_ok(lc_instance_create(p, &fixture.env, &i, &description, &err), &err);
    assert_span_equal(lc_buf_span(&description), LC_STR("\2\0\0\0\0"));
    lc_instance_destroy(i);
    lc_program_unref(p);
    lc_buf_deinit(&bytes);
    lc_buf_deinit(&description);
}

LC_TEST(setup_may_refuse)
{
#define SETUP(len, code)                                                                           \
    "(module %imports " WAT_MEMORY WAT_DESCRIBE "(data (i32.const 100) \"no\\ff\")"                \
    "(func (export \"__setup__\") (param i32) (result i32)"                                        \
    " (i32.store (i32.const 120) (i32.const " #len "))"                                            \
    " (drop (call $bytes_sink_write (local.get 0) (i32.const 100) (i32.const 120)))"               \
    " (i32.const " #code "))" WAT_REDUCER("(i32.const 0)") ")"
    assert_error(SETUP(2, 1), LC_E_INVALID, "setup function returned an error: no");
    assert_error(SETUP(3, 1), LC_E_INVALID, "setup function returned an error: no\xef\xbf\xbd");
    assert_error(SETUP(0, 1), LC_E_INVALID, "setup function returned an error: ");
    assert_error(SETUP(2, 2), LC_E_INVALID,
                 "wasm trap while calling \"__setup__\": unknown return code");
    assert_error(SETUP(2, 65537), LC_E_INVALID,
                 "wasm trap while calling \"__setup__\": unknown return code");
    lc_instance_destroy(host_start(&fixture, SETUP(2, 0)));
}

LC_TEST(start_up_traps_are_told)
{
    assert_error("(module $m %imports " WAT_MEMORY WAT_DESCRIBE WAT_REDUCER(
                     "(i32.const 0)") "(func $boom (export \"__preinit__7\") unreachable))",
                 LC_E_TRAP,
                 "wasm trap while calling \"__preinit__7\": error while executing at wasm "
                 "backtrace:\n    0:    0x5b4 - m!boom: wasm trap: wasm `unreachable` instruction "
                 "executed");
    assert_error("(module %imports " WAT_MEMORY WAT_REDUCER(
                     "(i32.const 0)") "(func (export \"__describe_module__\") (param i32)"
                                      " (drop (i32.load (i32.const -4)))))",
                 LC_E_TRAP,
                 "error getting module description: error while executing at wasm backtrace:\n"
                 "    0:    0x590 - <unknown>!<wasm function 31>: error while executing at wasm "
                 "backtrace:\n    0:    0x590 - <unknown>!<wasm function 31>: memory fault at wasm "
                 "address 0xfffffffc in linear memory of size 0x10000: wasm trap: out of bounds "
                 "memory access");
}

LC_TEST(data_must_fit)
{
    assert_error("(module %imports " WAT_MEMORY WAT_DESCRIBE WAT_REDUCER(
                     "(i32.const 0)") "(data (i32.const 65530) \"0123456789\"))",
                 LC_E_TRAP, "wasm trap: out of bounds memory access");
}

/* A start function runs, but the host does not answer it. */
LC_TEST(start_function_may_not_call_the_host)
{
#define START(body)                                                                                \
    "(module %imports " WAT_MEMORY WAT_DESCRIBE WAT_REDUCER(                                       \
        "(i32.load (i32.const 200))") "(func $s " body ") (start $s))"
    static const char *const calls[] = {
        START(WAT_LOG(16, 2)),
        START("(call $identity (i32.const 64))"),
        START("(drop (call $row_iter_bsatn_close (i32.const 64)))"),
    };
    for (size_t n = 0; n < LC_ARRAY_LEN(calls); n++) {
        lc_status status;
        char *text = host_start_error(&fixture, calls[n], &status);
        assert_int_equal(status, LC_E_TRAP);
        assert_non_null(strstr(text, "host functions cannot be called from a start function"));
        lc_free(text);
    }
    assert_log("");
    lc_instance *i = host_start(&fixture, START("(i32.store (i32.const 200) (i32.const 1))"));
    lc_buf text = LC_BUF_INIT;
    assert_int_equal(host_call(&fixture, i, 0, LC_SPAN_EMPTY, &text), LC_OUTCOME_USER_ERROR);
    assert_text(&text, "");
    lc_instance_destroy(i);
}

/* Without a transaction: errno 2, procedures' functions refuse, the rest works. */
LC_TEST(start_up_has_no_transaction)
{
#define PREINIT(body)                                                                              \
    "(module %imports " WAT_MEMORY WAT_DESCRIBE WAT_REDUCER(                                       \
        "(i32.const 0)") "(data (i32.const 100) \"n\") (func (export \"__preinit__1\") " body "))"
#define EXPECT(want, call) "(if (i32.ne (i32.const " #want ") " call ") (then unreachable))"
    lc_instance_destroy(host_start(
        &fixture,
        PREINIT(
            EXPECT(2, "(call $table_id_from_name (i32.const 100) (i32.const 1) (i32.const 0))")
                EXPECT(2, "(call $index_id_from_name (i32.const 100) (i32.const 1)"
                          " (i32.const 0))")
                    EXPECT(2, "(call $datastore_table_row_count (i32.const 1) (i32.const 0))")
                        EXPECT(
                            2,
                            "(call $datastore_table_scan_bsatn (i32.const 1)"
                            " (i32.const 0))") EXPECT(2,
                                                      "(call $datastore_insert_bsatn (i32.const 1)"
                                                      " (i32.const 0) (i32.const 0))")
                            EXPECT(2, "(call $datastore_update_bsatn (i32.const 1)"
                                      " (i32.const 1) (i32.const 0) (i32.const 0))")
                                EXPECT(2, "(call $datastore_delete_all_by_eq_bsatn"
                                          " (i32.const 1) (i32.const 0) (i32.const 0)"
                                          " (i32.const 0))")
                                    EXPECT(2,
                                           "(call $datastore_clear (i32.const 1)"
                                           " (i32.const 0))") EXPECT(2,
                                                                     "(call $get_jwt (i32.const 0)"
                                                                     " (i32.const 0))")
                                        EXPECT(18, "(call $procedure_commit_mut_tx)")
                                            EXPECT(18, "(call $procedure_abort_mut_tx)") EXPECT(
                                                1, "(call $console_timer_start"
                                                   " (i32.const 100)"
                                                   " (i32.const 1))")
                                                EXPECT(
                                                    0,
                                                    "(call $console_timer_end"
                                                    " (i32.const 1))") "(call $identity"
                                                                       " (i32.const 200))" EXPECT(
                                                                           0xa3,
                                                                           "(i32.load8_u"
                                                                           " (i32.const 203))"))));
    assert_true(fixture.log.len > 0);
    static const char *const refused[] = {
        PREINIT("(drop (call $procedure_start_mut_tx (i32.const 100)))"),
        PREINIT("(drop (call $procedure_sleep_until (i64.const -1)))"),
        PREINIT("(drop (call $procedure_http_request (i32.const 100) (i32.const 1)"
                " (i32.const 100) (i32.const 0) (i32.const 200)))"),
    };
    for (size_t n = 0; n < LC_ARRAY_LEN(refused); n++) {
        lc_status status;
        char *text = host_start_error(&fixture, refused[n], &status);
        assert_int_equal(status, LC_E_TRAP);
        assert_non_null(strstr(text, "wasm trap while calling \"__preinit__1\": "));
        assert_non_null(strstr(text, "is only available in async instances"));
        lc_free(text);
    }
}

/* Types that the engine's C interface has no words for, and sizes that nobody needs. */
LC_TEST(odd_modules)
{
#define ODD(parts)                                                                                 \
    "(module %imports " WAT_MEMORY WAT_DESCRIBE WAT_REDUCER("(i32.const 0)") parts ")"
    static const char *const accepted[] = {
        ODD("(func (export \"f\") (param v128) (result v128) (local.get 0))"),
        ODD("(global (export \"g\") v128 (v128.const i64x2 1 2))"),
        ODD("(table (export \"t\") 10 funcref)"),
        ODD("(func (export \"f\") (param funcref) (result funcref) (local.get 0))"),
        ODD("(memory (export \"m\") i64 1)"),
        ODD("(global (export \"_initialize\") i32 (i32.const 0))"),
        ODD("(func (export \"_initialize\") (param i32))"),
    };
    for (size_t n = 0; n < LC_ARRAY_LEN(accepted); n++)
        lc_instance_destroy(host_start(&fixture, accepted[n]));

    /* Accepted or not: the answer is an answer. */
    static const char *const either[] = {
        ODD("(type $t (func)) (func (export \"f\") (param (ref null $t)))"),
        ODD("(type $t (func)) (table (export \"t\") 1 (ref null $t))"),
        ODD("(type $t (func)) (func (export \"__setup__\") (param (ref null $t)))"),
        ODD("(func (export \"f\") (param externref))"),
        ODD("(tag (export \"t\") (param i32))"),
        ODD("(type $s (struct (field i32))) (func (export \"f\") (param (ref $s)))"),
        ODD("(memory (export \"s\") 1 2 shared)"),
        ODD("(memory i64 100000)"),
        ODD("(memory i64 70000000)"),
        ODD("(rec (type $a (func)) (type $b (func))) (func (export \"f\") (type $b))"),
    };
    for (size_t n = 0; n < LC_ARRAY_LEN(either); n++)
        lc_free(host_start_error(&fixture, either[n], NULL));

    static const struct {
        const char *wat, *text;
    } refused[] = {
        {ODD("(func (export \"__setup__\") (param v128 funcref f32) (result f64) (f64.const 0))"),
         "bad setup signature for \"__setup__\"; expected (func (param i32) (result i32)) got "
         "(func (param v128 funcref f32) (result f64))"},
        {ODD("(func (export \"__preinit__\\22\\0a\") (param i64))"),
         "bad preinit signature for \"\\\"\\n\"; expected (func) got (func (param i64))"},
        {ODD("(func (export \"__call_view__\"))"), "bad call_view signature"},
        {ODD("(func (export \"__call_view_anon__\"))"), "bad call_view_anon signature"},
        {ODD("(func (export \"__call_procedure__\"))"), "bad call_procedure signature"},
        {ODD("(memory (export \"__call_http_handler__\") 1)"),
         "expected \"__call_http_handler__\" export to be a call_http_handler with signature"},
        {ODD("(table 4000000000 funcref)"), "table minimum size of 4000000000"},
        {ODD("(memory 1) (memory 1) (memory 1) (memory 1) (memory 1) (memory 1) (memory 1)"
             "(memory 1) (memory 1) (memory 1) (memory 1) (memory 1) (memory 1) (memory 1)"
             "(memory 1) (memory 1)"),
         "memory count too high"},
    };
    for (size_t n = 0; n < LC_ARRAY_LEN(refused); n++) {
        char *text = host_start_error(&fixture, refused[n].wat, NULL);
        assert_non_null(text);
        if (!strstr(text, refused[n].text)) fail_msg("\"%s\" is not \"%s\"", text, refused[n].text);
        lc_free(text);
    }
}

LC_TEST(memory_is_limited)
{
    lc_engine *e = lc_engine_create(&(lc_engine_options){.memory_limit_bytes = 1 << 20});
    lc_engine *whole = fixture.engine;
    fixture.engine = e;
    lc_instance *i =
        host_start(&fixture, WAT_MODULE("(i32.ne (memory.grow (local.get $id)) (i32.const 1))"));
    assert_int_equal(host_call(&fixture, i, 16, LC_SPAN_EMPTY, NULL), LC_OUTCOME_USER_ERROR);
    assert_int_equal(host_call(&fixture, i, 15, LC_SPAN_EMPTY, NULL), LC_OUTCOME_OK);
    lc_instance_destroy(i);
    fixture.engine = whole;
    lc_engine_destroy(e);
}

/* ------------------------------------------------------------------- calls */

LC_TEST(arguments_arrive)
{
    /* 1 when a word is not what it should be. */
#define WORD(name, want)                                                                           \
    "(if (i64.ne (local.get $" name ") (i64.const " want ")) (then (return (i32.const 1))))"
    lc_instance *i = host_start(
        &fixture,
        WAT_MODULE(
            "(if (i32.ne (local.get $id) (i32.const 77)) (then (return (i32.const 1))))" WORD(
                "s0", "0x0807060504030201") WORD("s1", "0x100f0e0d0c0b0a09")
                WORD("s2", "0x1817161514131211") WORD("s3", "0x201f1e1d1c1b1a19")
                    WORD("c0", "0x4746454443424140") WORD("c1", "0x4f4e4d4c4b4a4948")
                        WORD("ts", "1790000000000000") "(if (i32.ne (local.get $sink) (i32.const "
                                                       "1)) (then (return (i32.const 1))))"
                                                       "(if (i32.ne (local.get $args) (i32.const "
                                                       "0)) (then (return (i32.const 1))))"
                                                       "(i32.const 0)"));
    /* On a fresh instance the sinks have been counted since start-up. */
    assert_int_equal(host_call(&fixture, i, 77, LC_SPAN_EMPTY, NULL), LC_OUTCOME_USER_ERROR);
    assert_int_equal(host_call(&fixture, i, 77, LC_SPAN_EMPTY, NULL), LC_OUTCOME_OK);
    assert_int_equal(host_call(&fixture, i, 78, LC_SPAN_EMPTY, NULL), LC_OUTCOME_USER_ERROR);
    assert_int_equal(host_call(&fixture, i, 77, LC_STR("x"), NULL), LC_OUTCOME_USER_ERROR);
    lc_instance_destroy(i);
}

/* The first byte of the arguments is the return code, the rest goes to the error sink. */
#define ECHO                                                                                       \
    WAT_MODULE(                                                                                    \
        "(i32.store (i32.const 100) (i32.const 4))"                                                \
        "(drop (call $bytes_source_read (local.get $args) (i32.const 200) (i32.const 100)))"       \
        "(i32.store (i32.const 100) (i32.const 1000))"                                             \
        "(drop (call $bytes_source_read (local.get $args) (i32.const 300) (i32.const 100)))"       \
        "(drop (call $bytes_sink_write (local.get $sink) (i32.const 300) (i32.const 100)))"        \
        "(i32.load (i32.const 200))")

LC_TEST(return_codes)
{
    lc_instance *i = host_start(&fixture, ECHO);
    lc_buf text = LC_BUF_INIT;
    assert_int_equal(host_call(&fixture, i, 0, LC_STR("\0\0\0\0text"), &text), LC_OUTCOME_OK);
    assert_text(&text, "");
    assert_int_equal(host_call(&fixture, i, 0, LC_STR("\1\0\0\0it \xff failed"), &text),
                     LC_OUTCOME_USER_ERROR);
    assert_text(&text, "it \xef\xbf\xbd failed");
    static const char *const fatal[] = {"\2\0\0\0t", "\xff\xff\xff\xfft", "\1\0\1\0t"};
    for (size_t n = 0; n < LC_ARRAY_LEN(fatal); n++) {
        assert_int_equal(host_call(&fixture, i, 0, LC_SPAN(fatal[n], 5), &text), LC_OUTCOME_FATAL);
        assert_text(&text, "unknown return code");
    }
    assert_int_equal(host_call(&fixture, i, 0, LC_STR("\0\0\0\0t"), NULL), LC_OUTCOME_OK);
    assert_log("");
    lc_instance_destroy(i);
}

LC_TEST(traps_end_the_instance)
{
    lc_instance *i = host_start(
        &fixture, "(module $mod %imports " WAT_MEMORY WAT_DESCRIBE
                  "(func $inner (param i32) (drop (i32.div_s (i32.const 1) (local.get 0))))"
                  "(func $_ZN4core6option13expect_failed17h0123456789abcdefE (call $inner"
                  " (i32.const 0)))"
                  "(func $call"
                  " (param $id i32) (param i64 i64 i64 i64 i64 i64 i64 i32 i32)"
                  " (result i32) (call $_ZN4core6option13expect_failed17h0123456789abcdefE)"
                  " (i32.const 0))"
                  "(export \"__call_reducer__\" (func $call)))");
    lc_buf text = LC_BUF_INIT;
    assert_int_equal(host_call(&fixture, i, 0, LC_SPAN_EMPTY, &text), LC_OUTCOME_TRAP);
    assert_text(&text, "error while executing at wasm backtrace:\n"
                       "    0:    0x5a5 - mod!inner\n"
                       "    1:    0x5ac - mod!core::option::expect_failed::h0123456789abcdef\n"
                       "    2:    0x5b1 - mod!call: wasm trap: integer divide by zero");
    assert_log("");
    assert_int_equal(host_call(&fixture, i, 0, LC_SPAN_EMPTY, NULL), LC_OUTCOME_TRAP);
    lc_instance_destroy(i);
}

LC_TEST(host_traps_say_why)
{
    lc_instance *i =
        host_start(&fixture, WAT_MODULE("(call $identity (i32.const 0)) (i32.const 0)"));
    lc_buf text = LC_BUF_INIT;
    assert_int_equal(host_call(&fixture, i, 0, LC_SPAN_EMPTY, &text), LC_OUTCOME_TRAP);
    assert_text(&text, "error while executing at wasm backtrace:\n"
                       "    0:    0x59e - <unknown>!<wasm function 31>: "
                       "null pointer passed to a spacetime function");
    lc_instance_destroy(i);
}

/* --------------------------------------------------------------- time, stack */

static uint64_t millis(void)
{
    return lc_clock_mono(lc_clock_system()) / 1000000;
}

LC_TEST(endless_loops_end)
{
    host_fixture short_time;
    host_fixture_open(&short_time, 50, NULL);
    lc_instance *i = host_start(&short_time, WAT_MODULE("(loop $l (br $l)) (i32.const 0)"));
    uint64_t before = millis();
    lc_buf text = LC_BUF_INIT;
    assert_int_equal(host_call(&short_time, i, 0, LC_SPAN_EMPTY, &text), LC_OUTCOME_BUDGET);
    assert_in_range(millis() - before, 50, 60000);
    assert_int_equal(text.len, 0);
    lc_instance_destroy(i);

    /* Calls themselves are counted too, and so is start-up. */
    i = host_start(&short_time,
                   "(module %imports " WAT_MEMORY WAT_DESCRIBE
                   "(func $f (result i32) (return_call $f))" WAT_REDUCER("(call $f)") ")");
    assert_int_equal(host_call(&short_time, i, 0, LC_SPAN_EMPTY, NULL), LC_OUTCOME_BUDGET);
    lc_instance_destroy(i);

    static const char *const starts[] = {
        "(func (export \"_initialize\") (loop $l (br $l)))",
        "(func $s (loop $l (br $l))) (start $s)",
    };
    for (size_t n = 0; n < LC_ARRAY_LEN(starts); n++) {
        char *wat = lc_format("(module %%imports %s %s %s %s)", WAT_MEMORY, WAT_DESCRIBE,
                              WAT_REDUCER("(i32.const 0)"), starts[n]);
        lc_status status;
        char *error = host_start_error(&short_time, wat, &status);
        assert_int_equal(status, LC_E_BUDGET);
        assert_non_null(strstr(error, "wasm trap: all fuel consumed by WebAssembly"));
        lc_free(error);
        lc_free(wat);
    }
    host_fixture_close(&short_time);
}

/* Many short calls one after the other do not add up. */
LC_TEST(the_time_limit_is_per_call)
{
    host_fixture short_time;
    host_fixture_open(&short_time, 100, NULL);
    lc_instance *i = host_start(&short_time, WAT_MODULE("(i32.const 0)"));
    for (uint64_t end = millis() + 400; millis() < end;)
        assert_int_equal(host_call(&short_time, i, 0, LC_SPAN_EMPTY, NULL), LC_OUTCOME_OK);
    lc_instance_destroy(i);
    host_fixture_close(&short_time);
}

LC_TEST(recursion_is_limited)
{
    lc_instance *i = host_start(
        &fixture,
        "(module %imports " WAT_MEMORY WAT_DESCRIBE "(func $deep (param i32 i32) (result i32)"
        " (if (i32.eqz (local.get 0)) (then (return (local.get 1))))"
        " (i32.add (i32.const 1) (call $deep (i32.sub (local.get 0) (i32.const 1))"
        "  (i32.add (local.get 1) (i32.const 0)))))" WAT_REDUCER(
            "(drop (call $deep (local.get $id) (i32.const 1))) (i32.const 0)") ")");
    assert_int_equal(host_call(&fixture, i, 10764, LC_SPAN_EMPTY, NULL), LC_OUTCOME_OK);
    lc_buf text = LC_BUF_INIT;
    assert_int_equal(host_call(&fixture, i, 10000000, LC_SPAN_EMPTY, &text), LC_OUTCOME_TRAP);
    char *got = lc_buf_give_cstr(&text);
    assert_non_null(strstr(got, ": wasm trap: call stack exhausted"));
    lc_free(got);
    lc_instance_destroy(i);
}

LC_TEST(memory_grows_under_the_host)
{
    lc_instance *i = host_start(
        &fixture, WAT_MODULE("(drop (memory.grow (i32.const 1000)))"
                             "(call $identity (i32.const 60000000))"
                             "(i32.ne (i32.load8_u (i32.const 60000001)) (i32.const 0xa1))"));
    assert_int_equal(host_call(&fixture, i, 0, LC_SPAN_EMPTY, NULL), LC_OUTCOME_OK);
    lc_instance_destroy(i);
}

/* ----------------------------------------------------------------- threads */

enum { THREADS = 4 };

/* One database's life on its own thread: the engine and the program are shared, nothing else. */
static void *run_database(void *arg)
{
    lc_program *p = arg;
    host_fixture f = {.store = lc_store_create()};
    f.env = (lc_env){.store = f.store, .clock = lc_clock_system()};
    lc_error err = LC_ERROR_INIT;
    intptr_t wrong = 0;
    for (int n = 0; n < 10; n++) {
        lc_instance *i = NULL;
        wrong += lc_instance_create(p, &f.env, &i, NULL, &err) != LC_OK;
        lc_call call = {.id = 0, .name = LC_STR("go"), .args = LC_STR("\1\0\0\0text")};
        for (int c = 0; i && c < 500; c++) {
            lc_store_begin(f.store);
            wrong += lc_instance_call_reducer(i, &call, NULL) != LC_OUTCOME_USER_ERROR;
            lc_store_rollback(f.store);
        }
        lc_instance_destroy(i);
    }
    lc_error_clear(&err);
    lc_store_destroy(f.store);
    return (void *)wrong;
}

LC_TEST(instances_on_many_threads)
{
    lc_buf bytes = host_wat(ECHO);
    lc_error err = LC_ERROR_INIT;
    lc_program *p;
    pthread_t threads[THREADS];
    host_catch_traps();
    assert_ok(lc_program_load(fixture.engine, lc_buf_span(&bytes), &p, &err), &err);
    for (int n = 0; n < THREADS; n++)
        assert_int_equal(pthread_create(&threads[n], NULL, run_database, p), 0);
    for (int n = 0; n < THREADS; n++) {
        void *wrong;
        pthread_join(threads[n], &wrong);
        assert_null(wrong);
    }
    lc_program_unref(p);
    lc_buf_deinit(&bytes);
}

/* --------------------------------------------------------------- panic logs */

LC_TEST(panics_show_the_stack)
{
    lc_instance *i = host_start(
        &fixture,
        "(module $mod %imports " WAT_MEMORY WAT_DESCRIBE "(data (i32.const 100) \"oh \\\"no\\\"\")"
        "(func $_ZN3std9panicking20rust_panic_with_hook17h0123456789abcdefE"
        " (call $console_log (i32.const 101) (i32.const 0) (i32.const 0) (i32.const 0)"
        "  (i32.const 0) (i32.const 7) (i32.const 100) (i32.const 7)))"
        "(func $call (param $id i32) (param i64 i64 i64 i64 i64 i64 i64 i32 i32) (result i32)"
        " (call $_ZN3std9panicking20rust_panic_with_hook17h0123456789abcdefE) (i32.const 0))"
        "(export \"__call_reducer__\" (func $call)))");
    static const char want[] =
        "101|-|-|7|go|oh \"no\"|[{\"func_name\":"
        "\"std::panicking::rust_panic_with_hook::h0123456789abcdef\"},{\"func_name\":\"call\"}]\n";
    for (int n = 0; n < 3; n++) {
        assert_int_equal(host_call(&fixture, i, 0, LC_SPAN_EMPTY, NULL), LC_OUTCOME_OK);
        assert_log(want);
    }
    lc_instance_destroy(i);
}

/* ------------------------------------------------------------------- cache */

static char cache_folder[64];

static int remove_cache(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", cache_folder);
    return system(command) != 0;
}

/* The one file in the cache; fails when there is not exactly one. */
static void cache_file(char path[400])
{
    DIR *dir = opendir(cache_folder);
    assert_non_null(dir);
    int count = 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] == '.') continue;
        snprintf(path, 400, "%s/%s", cache_folder, entry->d_name);
        count++;
    }
    closedir(dir);
    assert_int_equal(count, 1);
}

static ino_t inode(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_ino;
}

static void run_cached(void)
{
    host_fixture f;
    host_fixture_open(&f, 0, cache_folder);
    lc_instance *i = host_start(&f, ECHO);
    assert_int_equal(host_call(&f, i, 0, LC_STR("\1\0\0\0t"), NULL), LC_OUTCOME_USER_ERROR);
    lc_instance_destroy(i);
    host_fixture_close(&f);
}

LC_TEST(compiled_code_is_cached)
{
    strcpy(cache_folder, "/tmp/lc-host-test-XXXXXX");
    assert_non_null(mkdtemp(cache_folder));
    assert_int_equal(rmdir(cache_folder), 0);
    run_cached();
    struct stat st;
    assert_int_equal(stat(cache_folder, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    char path[400];
    cache_file(path);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    ino_t first = st.st_ino;
    run_cached();
    assert_int_equal(inode(path), first); /* used, not written */

    /* Damage anywhere is noticed and mended. */
    off_t size = st.st_size;
    const off_t places[] = {0, 9, 17, 60, size / 2, size - 1};
    for (size_t n = 0; n < LC_ARRAY_LEN(places); n++) {
        int fd = open(path, O_RDWR);
        uint8_t byte;
        assert_int_equal(pread(fd, &byte, 1, places[n]), 1);
        byte ^= 0x10;
        assert_int_equal(pwrite(fd, &byte, 1, places[n]), 1);
        close(fd);
        ino_t before = inode(path);
        int holder = open(path, O_RDONLY); /* so that the number is not used again */
        run_cached();
        assert_int_not_equal(inode(path), before);
        close(holder);
    }
    assert_int_equal(truncate(path, size / 3), 0);
    run_cached();
    assert_int_equal(truncate(path, 0), 0);
    run_cached();
    cache_file(path);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, size);

    /* A folder others may write to is closed to them; one that cannot be used is done without. */
    assert_int_equal(chmod(cache_folder, 0777), 0);
    run_cached();
    assert_int_equal(stat(cache_folder, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    host_fixture f;
    host_fixture_open(&f, 0, "/dev/null/cache");
    lc_instance_destroy(host_start(&f, ECHO));
    host_fixture_close(&f);
}

/* Loads a program that differs from others by a number; gives the inode of the one file there is.
 */
static ino_t load_numbered(lc_engine *e, int number)
{
    char *wat = lc_format("(module %%imports %s %s %s (global i32 (i32.const %d)))", WAT_MEMORY,
                          WAT_DESCRIBE, WAT_REDUCER("(i32.const 0)"), number);
    lc_buf bytes = host_wat(wat);
    lc_error err = LC_ERROR_INIT;
    lc_program *p;
    char path[400];
    assert_ok(lc_program_load(e, lc_buf_span(&bytes), &p, &err), &err);
    lc_program_unref(p);
    lc_buf_deinit(&bytes);
    lc_free(wat);
    cache_file(path);
    return inode(path);
}

LC_TEST(the_cache_is_limited)
{
    strcpy(cache_folder, "/tmp/lc-host-test-XXXXXX");
    assert_non_null(mkdtemp(cache_folder));
    lc_engine *e = lc_engine_create(&(lc_engine_options){.cache_folder = cache_folder});
    load_numbered(e, 1);
    char path[400];
    struct stat st;
    cache_file(path);
    assert_int_equal(stat(path, &st), 0);
    lc_engine_destroy(e);

    e = lc_engine_create(&(lc_engine_options){
        .cache_folder = cache_folder,
        .cache_limit_bytes = (uint64_t)st.st_size * 3 / 2,
    });
    int holder = open(path, O_RDONLY);
    ino_t second = load_numbered(e, 2); /* the first one went */
    assert_int_not_equal(second, st.st_ino);
    assert_int_equal(load_numbered(e, 2), second);
    close(holder);
    lc_engine_destroy(e);
}

LC_TEST(equal_programs_are_shared)
{
    lc_buf bytes = host_wat(ECHO);
    lc_error err = LC_ERROR_INIT;
    lc_program *a, *b;
    assert_ok(lc_program_load(fixture.engine, lc_buf_span(&bytes), &a, &err), &err);
    assert_ok(lc_program_load(fixture.engine, lc_buf_span(&bytes), &b, &err), &err);
    assert_ptr_equal(a, b);
    lc_program_unref(a);
    lc_program_unref(b);
    lc_buf_deinit(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(start_up_runs_in_order, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(description_is_what_the_sink_got, open_fixture,
                                        close_fixture),
        cmocka_unit_test_setup_teardown(setup_may_refuse, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(start_up_traps_are_told, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(data_must_fit, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(start_function_may_not_call_the_host, open_fixture,
                                        close_fixture),
        cmocka_unit_test_setup_teardown(start_up_has_no_transaction, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(odd_modules, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(memory_is_limited, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(arguments_arrive, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(return_codes, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(traps_end_the_instance, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(host_traps_say_why, open_fixture, close_fixture),
        cmocka_unit_test(endless_loops_end),
        cmocka_unit_test(the_time_limit_is_per_call),
        cmocka_unit_test_setup_teardown(recursion_is_limited, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(memory_grows_under_the_host, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(instances_on_many_threads, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(panics_show_the_stack, open_fixture, close_fixture),
        cmocka_unit_test_teardown(compiled_code_is_cached, remove_cache),
        cmocka_unit_test_teardown(the_cache_is_limited, remove_cache),
        cmocka_unit_test_setup_teardown(equal_programs_are_shared, open_fixture, close_fixture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
