/* The engine behind the ABI: wasmtime through its C API. Included by this folder's files only. */
#ifndef LC_HOST_WASM_INTERNAL_H
#define LC_HOST_WASM_INTERNAL_H

#include <pthread.h>
#include <wasm.h>
#include <wasmtime.h>

#include "host/host_internal.h"

/* The epoch moves once per tick while a call runs. */
#define TICK_MILLIS      10
#define TICKS_PER_SECOND (1000 / TICK_MILLIS)
#define QUIET_TICKS      (TICKS_PER_SECOND / 2) /* without a running call; then the ticker sleeps */
/* Stack of WebAssembly code; 02 section 6.1 wants 512 KiB. */
#define WASM_STACK_BYTES (1u << 20)
/* What one instance may have; the size of memories is an option. */
#define TABLE_ELEMENTS_MAX (64 << 20)
#define TABLES_MAX         100
#define MEMORIES_MAX       16

/* A folder of compiled modules. fd -1 = there is none. */
typedef struct lc_code_cache {
    int fd;
    char *path;
    uint64_t limit_bytes;
} lc_code_cache;

struct lc_engine {
    wasm_engine_t *wasm;
    wasmtime_linker_t *linker; /* every import of the ABI */
    lc_code_cache cache;
    _Atomic uint64_t limit_ticks;
    int64_t memory_limit; /* bytes; -1 = none */

    pthread_mutex_t lock;      /* what follows */
    lc_map programs;           /* program hash -> lc_program, not counted */
    lc_instance *instances;    /* all of them, for the ticker */
    wasmtime_module_t *tracer; /* see guest_trace; NULL until the first panic */

    pthread_t ticker;
    pthread_cond_t wake; /* with lock */
    _Atomic bool is_ticker_asleep;
    bool is_stopping;
};

struct lc_program {
    lc_engine *engine;
    _Atomic uint32_t refs;
    uint8_t hash[32];
    wasmtime_module_t *module;
    wasmtime_instance_pre_t *linked;
    LC_VEC(lc_span) preinits; /* export names, ascending; heap */
    bool has_initialize, has_setup;
    /* For backtraces: offset of the first operator of each function that is not imported. */
    LC_VEC(uint32_t) first_operators;
    uint32_t imported_functions;
};

struct lc_instance {
    lc_abi abi;
    lc_program *program;
    wasmtime_store_t *store;
    wasmtime_context_t *context;
    wasmtime_instance_t instance;
    wasmtime_memory_t memory;
    wasmtime_func_t call_reducer;
    wasmtime_func_t tracer;
    bool has_tracer;
    bool is_dead;     /* trapped or out of time: runs nothing any more */
    bool out_of_time; /* set when the running call's time is up */
    uint64_t ticks_run,
        ticks_ahead; /* of the running call: before the deadline set last, until it */
    lc_instance *next, *prev;
    _Atomic bool is_running;
};

/* ------------------------------------------------------------------- engine */

void lc_engine_add_instance(lc_engine *e, lc_instance *i);
void lc_engine_remove_instance(lc_engine *e, lc_instance *i);
void lc_engine_wake_ticker(lc_engine *e);

/* Around everything that runs guest code: the time limit starts. */
static inline void lc_engine_enter(lc_engine *e, lc_instance *i)
{
    i->ticks_run = 0;
    uint64_t limit = atomic_load_explicit(&e->limit_ticks, memory_order_relaxed);
    i->ticks_ahead = limit < TICKS_PER_SECOND ? limit : TICKS_PER_SECOND;
    wasmtime_context_set_epoch_deadline(i->context, i->ticks_ahead + 1);
    atomic_store(&i->is_running, true); /* before the load below, in one order with the ticker's */
    if (LC_UNLIKELY(atomic_load(&e->is_ticker_asleep))) lc_engine_wake_ticker(e);
}
static inline void lc_engine_leave(lc_instance *i)
{
    atomic_store_explicit(&i->is_running, false, memory_order_release);
}

/* -------------------------------------------------------------------- cache */

/* Opens (creating it, 0700) the folder; a folder that is not ours alone is not used. */
void lc_code_cache_open(lc_code_cache *c, const char *path, uint64_t limit_bytes);
void lc_code_cache_close(lc_code_cache *c);
/* NULL when there is no file for the program, or none that is whole. */
wasmtime_module_t *lc_code_cache_load(lc_engine *e, const uint8_t program_hash[32]);
void lc_code_cache_store(lc_engine *e, const uint8_t program_hash[32],
                         const wasmtime_module_t *module);

/* ------------------------------------------------------------------ imports */

void lc_imports_define(wasmtime_linker_t *linker);

/* -------------------------------------------------------------------- texts */

/* Why guest code stopped. Both parts are heap texts; backtrace is "" when no guest frame was live.
 */
typedef struct lc_stop {
    char *backtrace;
    char *reason;
} lc_stop;

/* Takes whichever of the two is there. */
void lc_stop_take(lc_stop *s, const lc_program *p, wasm_trap_t *trap, wasmtime_error_t *error);
void lc_stop_deinit(lc_stop *s);
/* "backtrace: reason", or the reason alone. */
void lc_stop_print(const lc_stop *s, lc_buf *out);
/* Takes an error and gives its text: all causes joined by ": ". */
char *lc_wasm_error_text(wasmtime_error_t *error);
/* Appends a function name for people: Rust's mangling undone where it is recognised. */
void lc_demangle(lc_span name, lc_buf *out);
/* Prints a function type as the engine does: (func (param i32) (result i32)). */
void lc_functype_print(const wasm_functype_t *type, lc_buf *out);
/* Appends the frames of a trap as JSON objects, the first `skip` left out. */
void lc_frames_to_json(const wasm_frame_vec_t *frames, size_t skip, lc_buf *json);

#endif
