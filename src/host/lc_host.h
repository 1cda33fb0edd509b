/*
 * host: running modules. The ABI (spec chapter 02) is implemented once, in abi*.c, over an lc_env;
 * the engines under it (wasm/, later js/ and native/) only translate calls and memory.
 *
 * An lc_engine is the process's WebAssembly engine with its cache of compiled code. An lc_program
 * is one compiled module; it is immutable and shared. An lc_instance is one running copy with its
 * own memory: one warm instance per database for reducers, replaced after a trap.
 *
 * Threads: lc_engine and lc_program from any thread; an lc_instance by one thread at a time (the
 * database's executor), which needs LC_HOST_STACK_BYTES of stack. Compilation belongs on a worker.
 *
 * The engine catches traps of module code as signals (SIGSEGV, SIGILL, SIGFPE, SIGBUS): who sets
 * handlers for these after the first lc_engine_create must pass on what is not theirs.
 */
#ifndef LC_HOST_H
#define LC_HOST_H

#include "store/lc_store.h"

/* ------------------------------------------------------------------ engine */

/* Module code may use 1 MiB of the calling thread's stack, the host the rest. */
#define LC_HOST_STACK_BYTES (4u << 20)

typedef struct lc_engine lc_engine;
typedef struct lc_program lc_program;
typedef struct lc_instance lc_instance;

typedef struct lc_engine_options {
    /* Compiled code by program hash; NULL = no cache on disk. Created with mode 0700; one that
     * belongs to another user, or cannot be made, is not used (a log line). */
    const char *cache_folder;
    uint64_t cache_limit_bytes; /* the files used longest ago go beyond this; 0 = default */
    /* A call that runs longer ends with LC_OUTCOME_BUDGET (02 section 6.1); 0 = default. */
    uint64_t call_time_limit_millis;
    /* Most bytes one memory of a module may have; 0 = what WebAssembly allows (4 GiB). */
    uint64_t memory_limit_bytes;
} lc_engine_options;
#define LC_CALL_TIME_LIMIT_MILLIS_DEFAULT 60000
#define LC_CACHE_LIMIT_BYTES_DEFAULT      (1ull << 30)

/* Starts the epoch ticker: a thread that sleeps while no module call runs. Destroy after every
 * program and instance. */
lc_engine *lc_engine_create(const lc_engine_options *options);
void lc_engine_destroy(lc_engine *e);
/* Another limit, at least a tick, for calls from now on; a running call meets a lower one within a
 * second. Any thread. */
void lc_engine_set_call_time_limit(lc_engine *e, uint64_t millis);

/* Program hash as stored in st_module and shown to users: Keccak-256 of the bytes. */
void lc_program_hash(lc_span bytes, uint8_t out[32]);
/* Compiles (or loads from the cache) and checks imports and exports: steps 1-4 of 02 section 2.1
 * with their texts (LC_E_INVALID). One reference in *out. */
lc_status lc_program_load(lc_engine *e, lc_span bytes, lc_program **out, lc_error *err);
lc_program *lc_program_ref(lc_program *p);
void lc_program_unref(lc_program *p);

/* --------------------------------------------------------------- environment */

typedef enum lc_module_log_level {
    LC_MODULE_LOG_ERROR,
    LC_MODULE_LOG_WARN,
    LC_MODULE_LOG_INFO,
    LC_MODULE_LOG_DEBUG,
    LC_MODULE_LOG_TRACE,
    LC_MODULE_LOG_PANIC = 101,
} lc_module_log_level;

typedef struct lc_module_log_record {
    lc_module_log_level level;
    lc_span target; /* ptr NULL = none, as for the two below */
    lc_span filename;
    lc_span function; /* the running reducer or view; ptr NULL at start-up */
    bool has_line;
    uint32_t line;
    lc_span message; /* valid UTF-8 */
    lc_span trace;   /* panic only: function names, JSON array text; ptr NULL = none */
} lc_module_log_record;

/* What an instance acts on. Owned by the database; outlives its instances. Callbacks run on the
 * thread that runs the instance. */
typedef struct lc_env {
    lc_store *store; /* datastore calls give errno 2 while it has no open transaction */
    lc_identity database;
    const lc_clock *clock;
    void *arg;
    void (*log)(void *arg, const lc_module_log_record *record);
    /* After a successful insert or update by the module, before the write-back length is set: the
     * scheduler's look at rows of schedule tables. 0 or LC_ERRNO_SCHEDULE_AT_DELAY_TOO_LONG. */
    lc_errno (*row_written)(void *arg, lc_table *table, lc_span row);
    /* volatile_nonatomic_schedule_immediate; the spans are borrowed. */
    void (*volatile_call)(void *arg, lc_span function, lc_span args);
} lc_env;

/* ---------------------------------------------------------------- instances */

/* Start-up in the order of 02 section 2.2 (instantiate, _initialize, __preinit__*, __setup__,
 * __describe_module__); no transaction may be open. description (may be NULL) receives the raw
 * module definition. Texts of 02 section 2.2. */
lc_status lc_instance_create(lc_program *p, lc_env *env, lc_instance **out, lc_buf *description,
                             lc_error *err);
void lc_instance_destroy(lc_instance *i);

typedef struct lc_call {
    uint32_t id;  /* lc_function_def.id */
    lc_span name; /* canonical name: `function` of log records */
    lc_identity sender;
    lc_connection_id connection; /* zero = none */
    int64_t timestamp;
    lc_span args; /* valid BSATN of the parameters */
} lc_call;

typedef enum lc_outcome {
    LC_OUTCOME_OK,
    LC_OUTCOME_USER_ERROR, /* text = what the module said, made valid UTF-8 */
    LC_OUTCOME_FATAL,      /* an unknown return code: like a crash, the instance is kept */
    LC_OUTCOME_TRAP,       /* instance must be destroyed; text = engine's backtrace text */
    LC_OUTCOME_BUDGET,     /* ran out of time; instance must be destroyed */
} lc_outcome;

/* Runs a reducer inside the store's open transaction (which the caller began and will end). text
 * (may be NULL) is appended to for USER_ERROR, TRAP and FATAL. */
lc_outcome lc_instance_call_reducer(lc_instance *i, const lc_call *call, lc_buf *text);

#endif
