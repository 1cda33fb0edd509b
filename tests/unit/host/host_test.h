/* What the tests of the host room share: an engine without a cache, an environment that keeps the
 * log, and modules from WebAssembly text. */
#ifndef HOST_TEST_H
#define HOST_TEST_H

#include "lc_test.h"

#include "host/lc_host.h"

/* The environment of one test, with everything the module said. */
typedef struct host_fixture {
    lc_engine *engine;
    lc_store *store;
    lc_env env;
    lc_buf log; /* one line per record: level|target|filename|line|function|message|trace */
    lc_buf volatile_calls; /* name(args in hex), one per line */
    uint32_t rows_written;
    lc_errno row_answer; /* what row_written gives */
} host_fixture;

/* limit_millis 0 = default; cache may be NULL. */
void host_fixture_open(host_fixture *f, uint64_t limit_millis, const char *cache);
void host_fixture_close(host_fixture *f);

/* The text with its `%imports` replaced by all imports of the ABI (functions named $name), compiled
 * to bytes; the test fails on a mistake in it. Free with lc_buf_deinit. */
lc_buf host_wat(const char *text);
/* Loads and starts; the test fails when either does not work. */
lc_instance *host_start(host_fixture *f, const char *wat);
/* Loads and starts a module that must fail; gives the text. */
char *host_start_error(host_fixture *f, const char *wat, lc_status *status);
char *host_start_error_bytes(host_fixture *f, lc_span bytes, lc_status *status);

/* Called by the functions above and below; needed before running guest code in any other way. */
void host_catch_traps(void);
/* A call of reducer `id` named "go" by identity 1..32 in a transaction that is committed on OK. */
lc_outcome host_call(host_fixture *f, lc_instance *i, uint32_t id, lc_span args, lc_buf *text);

/* Parts of modules. The description is an empty V10 definition at address 16. */
#define WAT_DESCRIBE                                                                               \
    "(data (i32.const 16) \"\\02\\00\\00\\00\\00\")"                                               \
    "(func (export \"__describe_module__\") (param i32)"                                           \
    "  (i32.store (i32.const 8) (i32.const 5))"                                                    \
    "  (drop (call $bytes_sink_write (local.get 0) (i32.const 16) (i32.const 8))))"
#define WAT_MEMORY "(memory (export \"memory\") 1)"
#define WAT_REDUCER(body)                                                                          \
    "(func (export \"__call_reducer__\")"                                                          \
    " (param $id i32) (param $s0 i64) (param $s1 i64) (param $s2 i64) (param $s3 i64)"             \
    " (param $c0 i64) (param $c1 i64) (param $ts i64) (param $args i32) (param $sink i32)"         \
    " (result i32) " body ")"
/* A module with one reducer. */
#define WAT_MODULE(body) "(module %imports " WAT_MEMORY WAT_DESCRIBE WAT_REDUCER(body) ")"
#define WAT_LOG(ptr, len)                                                                          \
    "(call $console_log (i32.const 2) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)"     \
    " (i32.const -1) (i32.const " #ptr ") (i32.const " #len "))"

#endif
