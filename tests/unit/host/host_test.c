#include "host_test.h"

#include <signal.h>

#include <wasm.h>
#include <wasmtime.h>

/* The engine catches traps of guest code as signals, with handlers that it sets once per process.
 * cmocka sets its own around every test; so they are kept from before and put back before guest
 * code runs. */
static const int trap_signals[] = {SIGSEGV, SIGILL, SIGFPE, SIGBUS};
static struct sigaction trap_handlers[LC_ARRAY_LEN(trap_signals)];

__attribute__((constructor)) static void keep_handlers(void)
{
    wasm_engine_delete(wasm_engine_new());
    for (size_t i = 0; i < LC_ARRAY_LEN(trap_signals); i++)
        sigaction(trap_signals[i], NULL, &trap_handlers[i]);
}

#ifdef __SANITIZE_THREAD__
/* The engine's trap handlers allocate, which is fine for signals that the thread itself causes; and
 * the sanitizer does not see how the engine's own code, built without it, agrees between threads.
 */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "report_signal_unsafe=0";
}
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
    return "race:wasmtime\nrace:alloc::\nrace:core::\nrace:std::\nrace:hashbrown\n";
}
#endif

void host_catch_traps(void)
{
    for (size_t i = 0; i < LC_ARRAY_LEN(trap_signals); i++)
        sigaction(trap_signals[i], &trap_handlers[i], NULL);
}

static void put_part(lc_buf *b, lc_span text)
{
    if (text.ptr)
        lc_buf_put_span(b, text);
    else
        lc_buf_put_u8(b, '-');
    lc_buf_put_u8(b, '|');
}

static void keep_record(void *arg, const lc_module_log_record *r)
{
    host_fixture *f = arg;
    assert_true(lc_utf8_valid(r->message));
    lc_buf_printf(&f->log, "%d|", (int)r->level);
    put_part(&f->log, r->target);
    put_part(&f->log, r->filename);
    if (r->has_line)
        lc_buf_printf(&f->log, "%u|", r->line);
    else
        lc_buf_put_str(&f->log, "-|");
    put_part(&f->log, r->function);
    lc_buf_put_span(&f->log, r->message);
    if (r->trace.ptr) {
        lc_buf_put_u8(&f->log, '|');
        lc_buf_put_span(&f->log, r->trace);
    }
    lc_buf_put_u8(&f->log, '\n');
}

static lc_errno keep_row(void *arg, lc_table *table, lc_span row)
{
    host_fixture *f = arg;
    assert_non_null(table);
    assert_non_null(row.ptr);
    f->rows_written++;
    return f->row_answer;
}

static void keep_volatile(void *arg, lc_span function, lc_span args)
{
    host_fixture *f = arg;
    lc_buf_put_span(&f->volatile_calls, function);
    lc_buf_put_u8(&f->volatile_calls, '(');
    for (size_t i = 0; i < args.len; i++) lc_buf_printf(&f->volatile_calls, "%02x", args.ptr[i]);
    lc_buf_put_str(&f->volatile_calls, ")\n");
}

void host_fixture_open(host_fixture *f, uint64_t limit_millis, const char *cache)
{
    memset(f, 0, sizeof *f);
    f->engine = lc_engine_create(&(lc_engine_options){
        .cache_folder = cache,
        .call_time_limit_millis = limit_millis,
    });
    f->store = lc_store_create();
    f->env = (lc_env){
        .store = f->store,
        .clock = lc_clock_system(),
        .arg = f,
        .log = keep_record,
        .row_written = keep_row,
        .volatile_call = keep_volatile,
    };
    for (size_t i = 0; i < sizeof f->env.database.bytes; i++)
        f->env.database.bytes[i] = (uint8_t)(0xa0 + i);
}

void host_fixture_close(host_fixture *f)
{
    lc_store_destroy(f->store);
    lc_engine_destroy(f->engine);
    lc_buf_deinit(&f->log);
    lc_buf_deinit(&f->volatile_calls);
}

static const char *const signatures[] = {
    "0 table_id_from_name (param i32 i32 i32) (result i32)",
    "0 index_id_from_name (param i32 i32 i32) (result i32)",
    "0 datastore_table_row_count (param i32 i32) (result i32)",
    "0 datastore_table_scan_bsatn (param i32 i32) (result i32)",
    "0 datastore_index_scan_range_bsatn (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)",
    "0 datastore_btree_scan_bsatn (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)",
    "0 datastore_delete_by_index_scan_range_bsatn"
    " (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)",
    "0 datastore_delete_by_btree_scan_bsatn"
    " (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)",
    "0 datastore_delete_all_by_eq_bsatn (param i32 i32 i32 i32) (result i32)",
    "0 row_iter_bsatn_advance (param i32 i32 i32) (result i32)",
    "0 row_iter_bsatn_close (param i32) (result i32)",
    "0 datastore_insert_bsatn (param i32 i32 i32) (result i32)",
    "0 datastore_update_bsatn (param i32 i32 i32 i32) (result i32)",
    "0 bytes_source_read (param i32 i32 i32) (result i32)",
    "0 bytes_sink_write (param i32 i32 i32) (result i32)",
    "0 console_log (param i32 i32 i32 i32 i32 i32 i32 i32)",
    "0 console_timer_start (param i32 i32) (result i32)",
    "0 console_timer_end (param i32) (result i32)",
    "0 identity (param i32)",
    "0 volatile_nonatomic_schedule_immediate (param i32 i32 i32 i32)",
    "1 bytes_source_remaining_length (param i32 i32) (result i32)",
    "2 get_jwt (param i32 i32) (result i32)",
    "3 procedure_sleep_until (param i64) (result i64)",
    "3 procedure_start_mut_tx (param i32) (result i32)",
    "3 procedure_commit_mut_tx (result i32)",
    "3 procedure_abort_mut_tx (result i32)",
    "3 procedure_http_request (param i32 i32 i32 i32 i32) (result i32)",
    "4 datastore_index_scan_point_bsatn (param i32 i32 i32 i32) (result i32)",
    "4 datastore_delete_by_index_scan_point_bsatn (param i32 i32 i32 i32) (result i32)",
    "5 datastore_clear (param i32 i32) (result i32)",
};

static void put_imports(lc_buf *b)
{
    for (size_t i = 0; i < LC_ARRAY_LEN(signatures); i++) {
        const char *name = signatures[i] + 2;
        size_t len = strcspn(name, " ");
        lc_buf_printf(b, "(import \"spacetime_10.%c\" \"%.*s\" (func $%.*s%s))\n", signatures[i][0],
                      (int)len, name, (int)len, name, name + len);
    }
}

lc_buf host_wat(const char *text)
{
    lc_buf source = LC_BUF_INIT, bytes = LC_BUF_INIT;
    const char *imports = strstr(text, "%imports");
    if (imports) {
        lc_buf_put(&source, text, (size_t)(imports - text));
        put_imports(&source);
        text = imports + strlen("%imports");
    }
    lc_buf_put_str(&source, text);
    wasm_byte_vec_t out;
    wasmtime_error_t *error = wasmtime_wat2wasm((const char *)source.ptr, source.len, &out);
    if (error) {
        wasm_name_t message;
        wasmtime_error_message(error, &message);
        fail_msg("%.*s", (int)message.size, message.data);
    }
    lc_buf_put(&bytes, out.data, out.size);
    wasm_byte_vec_delete(&out);
    lc_buf_deinit(&source);
    return bytes;
}

static lc_status start(host_fixture *f, lc_span bytes, lc_instance **out, lc_error *err)
{
    lc_program *program;
    host_catch_traps();
    lc_status status = lc_program_load(f->engine, bytes, &program, err);
    if (status != LC_OK) return status;
    status = lc_instance_create(program, &f->env, out, NULL, err);
    lc_program_unref(program);
    return status;
}

lc_instance *host_start(host_fixture *f, const char *wat)
{
    lc_buf bytes = host_wat(wat);
    lc_instance *i = NULL;
    lc_error err = LC_ERROR_INIT;
    assert_ok(start(f, lc_buf_span(&bytes), &i, &err), &err);
    lc_buf_deinit(&bytes);
    return i;
}

char *host_start_error_bytes(host_fixture *f, lc_span bytes, lc_status *status)
{
    lc_instance *i = NULL;
    lc_error err = LC_ERROR_INIT;
    lc_status got = start(f, bytes, &i, &err);
    if (got == LC_OK) lc_instance_destroy(i);
    if (status) *status = got;
    char *text = got == LC_OK ? NULL : lc_strdup(lc_error_text(&err));
    lc_error_clear(&err);
    return text;
}

char *host_start_error(host_fixture *f, const char *wat, lc_status *status)
{
    lc_buf bytes = host_wat(wat);
    char *text = host_start_error_bytes(f, lc_buf_span(&bytes), status);
    lc_buf_deinit(&bytes);
    return text;
}

lc_outcome host_call(host_fixture *f, lc_instance *i, uint32_t id, lc_span args, lc_buf *text)
{
    lc_call call = {
        .id = id,
        .name = LC_STR("go"),
        .timestamp = 1790000000000000,
        .args = args,
    };
    for (size_t n = 0; n < sizeof call.sender.bytes; n++) call.sender.bytes[n] = (uint8_t)(n + 1);
    for (size_t n = 0; n < sizeof call.connection.bytes; n++)
        call.connection.bytes[n] = (uint8_t)(0x40 + n);
    host_catch_traps();
    lc_store_begin(f->store);
    lc_outcome outcome = lc_instance_call_reducer(i, &call, text);
    if (outcome == LC_OUTCOME_OK) {
        lc_store_commit(f->store);
        lc_store_release(f->store);
    } else {
        lc_store_rollback(f->store);
    }
    return outcome;
}
