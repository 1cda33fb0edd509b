/* Instances: start-up (02 section 2.2) and calls. */
#include "host/wasm/wasm_internal.h"

/* The engine's words for a call that used up its budget upstream. */
#define OUT_OF_TIME "wasm trap: all fuel consumed by WebAssembly"

/* ------------------------------------------------------------------- hooks */

static void look_at_memory(lc_abi *a)
{
    lc_instance *i = LC_CONTAINER(a, lc_instance, abi);
    a->base = wasmtime_memory_data(i->context, &i->memory);
    a->size = wasmtime_memory_data_size(i->context, &i->memory);
}

/* The epoch has reached the deadline: the call's time is up, or it is told once a second that it
 * runs long. */
static wasmtime_error_t *out_of_ticks(wasmtime_context_t *context, void *data, uint64_t *more,
                                      wasmtime_update_deadline_kind_t *kind)
{
    lc_instance *i = data;
    lc_engine *e = i->program->engine;
    (void)context;
    uint64_t limit = atomic_load_explicit(&e->limit_ticks, memory_order_relaxed);
    i->ticks_run += i->ticks_ahead;
    if (i->ticks_run >= limit) {
        i->out_of_time = true;
        return wasmtime_error_new(OUT_OF_TIME);
    }
    char database[LC_IDENTITY_HEX + 1];
    lc_identity_to_hex(&i->abi.env->database, database);
    lc_span function = i->abi.function.ptr ? i->abi.function : LC_STR("start-up");
    lc_log(LC_LOG_WARN, "database %s: `" LC_SPAN_FMT "` has been running for %llu s", database,
           LC_SPAN_ARG(function), (unsigned long long)(i->ticks_run / TICKS_PER_SECOND));
    i->ticks_ahead = limit - i->ticks_run;
    if (i->ticks_ahead > TICKS_PER_SECOND) i->ticks_ahead = TICKS_PER_SECOND;
    *more = i->ticks_ahead;
    *kind = WASMTIME_UPDATE_DEADLINE_CONTINUE;
    return NULL;
}

/* (module (func (export "t") unreachable)) */
static const uint8_t tracer_module[] = {
    0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x04, 0x01, 0x60, 0x00, 0x00, 0x03, 0x02,
    0x01, 0x00, 0x07, 0x05, 0x01, 0x01, 0x74, 0x00, 0x00, 0x0a, 0x05, 0x01, 0x03, 0x00, 0x00, 0x0b};

/* Makes the function whose trap shows the stack. */
static bool make_tracer(lc_instance *i)
{
    lc_engine *e = i->program->engine;
    wasmtime_error_t *error = NULL;
    pthread_mutex_lock(&e->lock);
    if (!e->tracer)
        error = wasmtime_module_new(e->wasm, tracer_module, sizeof tracer_module, &e->tracer);
    pthread_mutex_unlock(&e->lock);
    wasm_trap_t *trap = NULL;
    wasmtime_instance_t instance;
    if (!error) error = wasmtime_instance_new(i->context, e->tracer, NULL, 0, &instance, &trap);
    if (error) wasmtime_error_delete(error);
    if (trap) wasm_trap_delete(trap);
    wasmtime_extern_t item;
    if (error || trap || !wasmtime_instance_export_get(i->context, &instance, "t", 1, &item))
        return false;
    i->tracer = item.of.func;
    return i->has_tracer = true;
}

/* The C API shows a stack only in a trap. So a function that traps at once is called on top of the
 * guest's frames: the trap ends that function alone and carries them all. */
static void guest_trace(lc_abi *a, lc_buf *json)
{
    lc_instance *i = LC_CONTAINER(a, lc_instance, abi);
    if (!i->has_tracer && !make_tracer(i)) return;
    wasm_trap_t *trap = NULL;
    wasmtime_val_raw_t none;
    wasmtime_error_t *error = wasmtime_func_call_unchecked(i->context, &i->tracer, &none, 0, &trap);
    wasm_frame_vec_t frames;
    if (trap)
        wasm_trap_trace(trap, &frames);
    else if (error)
        wasmtime_error_wasm_trace(error, &frames);
    else
        return;
    lc_frames_to_json(&frames, 1, json);
    wasm_frame_vec_delete(&frames);
    if (trap) wasm_trap_delete(trap);
    if (error) wasmtime_error_delete(error);
}

/* ----------------------------------------------------------------- running */

/* Runs an exported function. False: it stopped; *stop says why and the instance is dead. */
static bool run(lc_instance *i, const wasmtime_func_t *function, wasmtime_val_raw_t *values,
                size_t count, lc_stop *stop)
{
    wasm_trap_t *trap = NULL;
    lc_engine_enter(i->program->engine, i);
    wasmtime_error_t *error =
        wasmtime_func_call_unchecked(i->context, function, values, count, &trap);
    lc_engine_leave(i);
    if (LC_LIKELY(!error && !trap)) return true;
    i->is_dead = true;
    lc_stop_take(stop, i->program, trap, error);
    return false;
}

static wasmtime_func_t find_function(lc_instance *i, lc_span name)
{
    wasmtime_extern_t item;
    bool found = wasmtime_instance_export_get(i->context, &i->instance, (const char *)name.ptr,
                                              name.len, &item);
    LC_ASSERT(found && item.kind == WASMTIME_EXTERN_FUNC); /* lc_program_load has seen it */
    return item.of.func;
}

/* ---------------------------------------------------------------- start-up */

static lc_status stopped(const lc_instance *i, lc_stop *stop, const char *prefix, lc_error *err)
{
    lc_buf text = LC_BUF_INIT;
    lc_buf_put_str(&text, prefix);
    lc_stop_print(stop, &text);
    lc_status status = i->out_of_time ? LC_E_BUDGET : LC_E_TRAP;
    lc_error_set(err, status, LC_SPAN_FMT, LC_SPAN_ARG(lc_buf_span(&text)));
    lc_buf_deinit(&text);
    lc_stop_deinit(stop);
    return status;
}

/* Runs an export that has no part in the texts but its name. values[0] is its argument and result.
 */
static lc_status run_export(lc_instance *i, lc_span name, wasmtime_val_raw_t *values, size_t count,
                            lc_error *err)
{
    lc_stop stop;
    wasmtime_func_t function = find_function(i, name);
    if (run(i, &function, values, count, &stop)) return LC_OK;
    lc_buf prefix = LC_BUF_INIT;
    lc_buf_put_str(&prefix, "wasm trap while calling ");
    lc_rust_debug(name, '\"', &prefix);
    lc_buf_put_str(&prefix, ": ");
    char *text = lc_buf_give_cstr(&prefix);
    lc_status status = stopped(i, &stop, text, err);
    lc_free(text);
    return status;
}

static lc_status instantiate(lc_instance *i, lc_error *err)
{
    wasm_trap_t *trap = NULL;
    lc_engine_enter(i->program->engine, i);
    wasmtime_error_t *error =
        wasmtime_instance_pre_instantiate(i->program->linked, i->context, &i->instance, &trap);
    lc_engine_leave(i);
    if (error || trap) {
        lc_stop stop;
        lc_stop_take(&stop, i->program, trap, error);
        return stopped(i, &stop, "", err);
    }
    wasmtime_extern_t memory;
    bool found = wasmtime_instance_export_get(i->context, &i->instance, "memory", 6, &memory);
    LC_ASSERT(found && memory.kind == WASMTIME_EXTERN_MEMORY);
    i->memory = memory.of.memory;
    look_at_memory(&i->abi);
    i->abi.is_ready = true;
    i->call_reducer = find_function(i, LC_STR("__call_reducer__"));
    return LC_OK;
}

static lc_status setup(lc_instance *i, lc_error *err)
{
    uint32_t sink = abi_sink_open(&i->abi);
    wasmtime_val_raw_t values[1] = {{.i32 = (int32_t)sink}};
    lc_status status = run_export(i, LC_STR("__setup__"), values, 1, err);
    if (status == LC_OK && values[0].i32 == 1) {
        lc_buf text = LC_BUF_INIT;
        lc_utf8_lossy(abi_sink_bytes(&i->abi, sink), &text);
        status = lc_error_set(err, LC_E_INVALID, "setup function returned an error: " LC_SPAN_FMT,
                              LC_SPAN_ARG(lc_buf_span(&text)));
        lc_buf_deinit(&text);
    } else if (status == LC_OK && values[0].i32 != 0) {
        status = lc_error_set(err, LC_E_INVALID,
                              "wasm trap while calling \"__setup__\": unknown return code");
    }
    abi_end_call(&i->abi, false);
    return status;
}

static lc_status describe(lc_instance *i, lc_buf *description, lc_error *err)
{
    uint32_t sink = abi_sink_open(&i->abi);
    wasmtime_val_raw_t values[1] = {{.i32 = (int32_t)sink}};
    wasmtime_func_t function = find_function(i, LC_STR("__describe_module__"));
    lc_stop stop;
    if (!run(i, &function, values, 1, &stop)) {
        char *prefix = lc_format("error getting module description: %s%s", stop.backtrace,
                                 stop.backtrace[0] ? ": " : "");
        lc_status status = stopped(i, &stop, prefix, err);
        lc_free(prefix);
        return status;
    }
    if (description) lc_buf_put_span(description, abi_sink_bytes(&i->abi, sink));
    abi_end_call(&i->abi, false);
    return LC_OK;
}

static lc_status start(lc_instance *i, lc_buf *description, lc_error *err)
{
    const lc_program *p = i->program;
    wasmtime_val_raw_t none[1];
    lc_status status = instantiate(i, err);
    if (status == LC_OK && p->has_initialize)
        status = run_export(i, LC_STR("_initialize"), none, 0, err);
    for (size_t n = 0; status == LC_OK && n < p->preinits.len; n++)
        status = run_export(i, p->preinits.items[n], none, 0, err);
    if (status == LC_OK && p->has_setup) status = setup(i, err);
    if (status == LC_OK) status = describe(i, description, err);
    return status;
}

lc_status lc_instance_create(lc_program *p, lc_env *env, lc_instance **out, lc_buf *description,
                             lc_error *err)
{
    lc_engine *e = p->engine;
    lc_instance *i = lc_alloc_zero(sizeof *i);
    abi_init(&i->abi, env);
    i->abi.look_again = look_at_memory;
    i->abi.trace = guest_trace;
    i->program = lc_program_ref(p);
    i->store = wasmtime_store_new(e->wasm, &i->abi, NULL);
    i->context = wasmtime_store_context(i->store);
    wasmtime_store_limiter(i->store, e->memory_limit, TABLE_ELEMENTS_MAX, -1, TABLES_MAX,
                           MEMORIES_MAX);
    wasmtime_store_epoch_deadline_callback(i->store, out_of_ticks, i, NULL);
    lc_engine_add_instance(e, i);

    lc_status status = start(i, description, err);
    if (status != LC_OK) {
        lc_instance_destroy(i);
        return status;
    }
    *out = i;
    return LC_OK;
}

void lc_instance_destroy(lc_instance *i)
{
    if (!i) return;
    lc_engine_remove_instance(i->program->engine, i);
    wasmtime_store_delete(i->store);
    abi_deinit(&i->abi);
    lc_program_unref(i->program);
    lc_free(i);
}

/* ------------------------------------------------------------------- calls */

/* The call stopped: tells the server's log and the caller. */
static lc_outcome call_stopped(lc_instance *i, lc_stop *stop, lc_buf *text)
{
    char database[LC_IDENTITY_HEX + 1];
    lc_identity_to_hex(&i->abi.env->database, database);
    lc_buf why = LC_BUF_INIT;
    lc_stop_print(stop, &why);
    lc_log(LC_LOG_ERROR, "database %s: `" LC_SPAN_FMT "` %s: " LC_SPAN_FMT, database,
           LC_SPAN_ARG(i->abi.function), i->out_of_time ? "ran out of time" : "trapped",
           LC_SPAN_ARG(lc_buf_span(&why)));
    if (text && !i->out_of_time) lc_buf_put_span(text, lc_buf_span(&why));
    lc_buf_deinit(&why);
    lc_stop_deinit(stop);
    return i->out_of_time ? LC_OUTCOME_BUDGET : LC_OUTCOME_TRAP;
}

static lc_outcome unknown_code(lc_instance *i, int32_t code, lc_buf *text)
{
    char database[LC_IDENTITY_HEX + 1];
    lc_identity_to_hex(&i->abi.env->database, database);
    lc_log(LC_LOG_ERROR, "database %s: `" LC_SPAN_FMT "` returned the unknown code %d", database,
           LC_SPAN_ARG(i->abi.function), code);
    if (text) lc_buf_put_str(text, "unknown return code");
    return LC_OUTCOME_FATAL;
}

lc_outcome lc_instance_call_reducer(lc_instance *i, const lc_call *call, lc_buf *text)
{
    lc_abi *a = &i->abi;
    if (LC_UNLIKELY(i->is_dead)) {
        if (text) lc_buf_put_str(text, "the instance has trapped before");
        return LC_OUTCOME_TRAP;
    }
    uint32_t args = abi_source_open(a, call->args);
    uint32_t sink = abi_sink_open(a);
    a->function = call->name;
    const uint8_t *sender = call->sender.bytes, *connection = call->connection.bytes;
    wasmtime_val_raw_t values[10] = {
        {.i32 = (int32_t)call->id},
        {.i64 = (int64_t)lc_load_u64(sender)},
        {.i64 = (int64_t)lc_load_u64(sender + 8)},
        {.i64 = (int64_t)lc_load_u64(sender + 16)},
        {.i64 = (int64_t)lc_load_u64(sender + 24)},
        {.i64 = (int64_t)lc_load_u64(connection)},
        {.i64 = (int64_t)lc_load_u64(connection + 8)},
        {.i64 = call->timestamp},
        {.i32 = (int32_t)args},
        {.i32 = (int32_t)sink},
    };
    lc_stop stop;
    lc_outcome outcome = LC_OUTCOME_OK;
    if (LC_UNLIKELY(!run(i, &i->call_reducer, values, LC_ARRAY_LEN(values), &stop)))
        outcome = call_stopped(i, &stop, text);
    else if (values[0].i32 == 1) {
        outcome = LC_OUTCOME_USER_ERROR;
        if (text) lc_utf8_lossy(abi_sink_bytes(a, sink), text);
    } else if (LC_UNLIKELY(values[0].i32 != 0))
        outcome = unknown_code(i, values[0].i32, text);
    a->function = LC_SPAN_EMPTY;
    abi_end_call(a, true);
    return outcome;
}
