/*
 * The process's engine: configuration, and the ticker that makes time limits work.
 *
 * Compiled code looks at a counter (the epoch) at loops and function entries and calls out_of_ticks
 * once it has passed the store's deadline. The ticker moves the counter while any instance runs. It
 * must sleep when none does, and a call must not pay for telling it: the call stores its flag and
 * looks whether the ticker sleeps; the ticker says it sleeps and looks at all flags. With
 * sequentially consistent accesses one of the two sees the other.
 */
#include <time.h>

#include "host/wasm/wasm_internal.h"

static bool any_running(const lc_engine *e)
{
    for (const lc_instance *i = e->instances; i; i = i->next)
        if (atomic_load(&i->is_running)) return true;
    return false;
}

/* Waits one tick or until woken for the end; the lock is held. */
static void wait_tick(lc_engine *e)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += TICK_MILLIS * 1000000l;
    if (until.tv_nsec >= 1000000000l) {
        until.tv_nsec -= 1000000000l;
        until.tv_sec++;
    }
    while (!e->is_stopping && pthread_cond_timedwait(&e->wake, &e->lock, &until) == 0) {
    }
}

static void *ticker_main(void *arg)
{
    lc_engine *e = arg;
    pthread_mutex_lock(&e->lock);
    while (!e->is_stopping) {
        atomic_store(&e->is_ticker_asleep, true);
        while (!e->is_stopping && !any_running(e)) pthread_cond_wait(&e->wake, &e->lock);
        atomic_store(&e->is_ticker_asleep, false);
        for (int quiet = 0; !e->is_stopping && quiet < QUIET_TICKS;) {
            wait_tick(e);
            wasmtime_engine_increment_epoch(e->wasm);
            quiet = any_running(e) ? 0 : quiet + 1;
        }
    }
    pthread_mutex_unlock(&e->lock);
    return NULL;
}

void lc_engine_wake_ticker(lc_engine *e)
{
    pthread_mutex_lock(&e->lock);
    pthread_cond_signal(&e->wake);
    pthread_mutex_unlock(&e->lock);
}

void lc_engine_add_instance(lc_engine *e, lc_instance *i)
{
    pthread_mutex_lock(&e->lock);
    i->next = e->instances;
    if (i->next) i->next->prev = i;
    e->instances = i;
    pthread_mutex_unlock(&e->lock);
}

void lc_engine_remove_instance(lc_engine *e, lc_instance *i)
{
    pthread_mutex_lock(&e->lock);
    if (i->next) i->next->prev = i->prev;
    if (i->prev)
        i->prev->next = i->next;
    else
        e->instances = i->next;
    pthread_mutex_unlock(&e->lock);
}

static wasm_config_t *config_create(void)
{
    wasm_config_t *c = wasm_config_new();
    /* What modules may use (02 section 3.1). Threads, exceptions and garbage collection are not
     * built into the engine. */
    wasmtime_config_wasm_tail_call_set(c, true);
    wasmtime_config_wasm_simd_set(c, true);
    wasmtime_config_wasm_relaxed_simd_set(c, true);
    wasmtime_config_wasm_bulk_memory_set(c, true);
    wasmtime_config_wasm_multi_value_set(c, true);
    wasmtime_config_wasm_multi_memory_set(c, true);
    wasmtime_config_wasm_memory64_set(c, true);
    wasmtime_config_epoch_interruption_set(c, true);
    wasmtime_config_max_wasm_stack_set(c, WASM_STACK_BYTES);
    /* So that the base of a guest's memory may be kept (lc_abi.base). */
    wasmtime_config_memory_may_move_set(c, false);
    wasmtime_config_native_unwind_info_set(c, false);
#ifdef __SANITIZE_THREAD__
    /* The sanitizer does not see how the engine's own threads agree. */
    wasmtime_config_parallel_compilation_set(c, false);
#endif
    return c;
}

void lc_engine_set_call_time_limit(lc_engine *e, uint64_t millis)
{
    uint64_t ticks = (millis + TICK_MILLIS - 1) / TICK_MILLIS;
    atomic_store_explicit(&e->limit_ticks, ticks ? ticks : 1, memory_order_relaxed);
}

lc_engine *lc_engine_create(const lc_engine_options *options)
{
    lc_engine *e = lc_alloc_zero(sizeof *e);
    e->wasm = wasm_engine_new_with_config(config_create());
    LC_ASSERT(e->wasm);
    e->linker = wasmtime_linker_new(e->wasm);
    lc_imports_define(e->linker);
    lc_engine_set_call_time_limit(e, options->call_time_limit_millis
                                         ? options->call_time_limit_millis
                                         : LC_CALL_TIME_LIMIT_MILLIS_DEFAULT);
    e->memory_limit = options->memory_limit_bytes ? (int64_t)options->memory_limit_bytes : -1;
    lc_code_cache_open(&e->cache, options->cache_folder,
                       options->cache_limit_bytes ? options->cache_limit_bytes
                                                  : LC_CACHE_LIMIT_BYTES_DEFAULT);

    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&e->wake, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&e->lock, NULL);
    int rc = pthread_create(&e->ticker, NULL, ticker_main, e);
    if (rc) LC_BUG("no thread for the engine's ticker: %s", strerror(rc));
    pthread_setname_np(e->ticker, "lc-ticker");
    return e;
}

void lc_engine_destroy(lc_engine *e)
{
    if (!e) return;
    pthread_mutex_lock(&e->lock);
    LC_ASSERT(e->programs.len == 0 && !e->instances);
    e->is_stopping = true;
    pthread_cond_signal(&e->wake);
    pthread_mutex_unlock(&e->lock);
    pthread_join(e->ticker, NULL);
    pthread_cond_destroy(&e->wake);
    pthread_mutex_destroy(&e->lock);
    if (e->tracer) wasmtime_module_delete(e->tracer);
    lc_map_deinit(&e->programs);
    lc_code_cache_close(&e->cache);
    wasmtime_linker_delete(e->linker);
    wasm_engine_delete(e->wasm);
    lc_free(e);
}
