/*
 * The module ABI, independent of the engine that runs the module. Only rooms' own files include
 * this.
 *
 * lc_abi is what one instance is to the ABI: its memory view, its handles and the environment it
 * acts on. Each abi_<name> function is one import of 02 section 2.3, with the guest's numbers as
 * they come; it returns what the guest gets. A call that must die sets `trap` (abi_trap) and
 * returns 0; the engine's trampoline looks at `trap` after every function and stops the guest.
 */
#ifndef LC_HOST_INTERNAL_H
#define LC_HOST_INTERNAL_H

#include "host/lc_host.h"

/* The version of the ABI this host implements, and the one namespace per minor version. */
#define ABI_MAJOR 10
#define ABI_MINOR 5

/* Limits, so that no module makes the server grow without end; reaching one ends the call. */
#define ABI_ITERATORS_MAX  65536u       /* open row iterators of one instance */
#define ABI_TIMERS_MAX     65536u       /* open console timers of one instance */
#define ABI_SOURCES_MAX    65536u       /* byte sources of one call */
#define ABI_SINK_BYTES_MAX (256u << 20) /* bytes written to one sink */
#define ABI_ROW_BYTES_KEPT (1u << 20)   /* an idle iterator's buffer above this is freed */
#define ABI_CHUNK_BYTES    32768u       /* 02 section 1.4 */

/* Rows of one scan, evaluated when it was opened. Chunk ends are positions in rows; the end of rows
 * ends the last chunk, whether listed or not. */
typedef struct abi_iterator {
    lc_buf rows;
    lc_boundaries chunk_ends;
    size_t at;         /* rows before this were handed out */
    size_t next_chunk; /* first entry of chunk_ends after at */
    uint32_t next_free;
    bool is_open;
} abi_iterator;

typedef struct abi_timer {
    lc_span name;     /* heap; ptr NULL = not open */
    uint64_t started; /* monotonic nanoseconds */
    uint32_t next_free;
} abi_timer;

typedef struct lc_abi {
    lc_env *env;

    /* Guest memory. It only grows and does not move, so size may be behind the truth; look_again
     * reads both anew when an access does not fit. */
    uint8_t *base;
    uint64_t size;
    void (*look_again)(struct lc_abi *a);
    bool
        is_ready; /* false while the module's start function runs: no host function may be called */

    char *trap;       /* why the running call must end; heap text; NULL = it goes on */
    lc_span function; /* of the running call, for log records; ptr NULL = start-up */
    /* Appends the guest's call stack as JSON (`trace` of a panic record); NULL = none. */
    void (*trace)(struct lc_abi *a, lc_buf *json);

    /* Byte sources and sinks: handle - base - 1 is the index. Sources borrow or lie in the arena;
     * one whose bytes are used up is gone. All end with the call. */
    LC_VEC(lc_span) sources;
    LC_VEC(lc_buf) sinks; /* entries beyond sink_count keep their memory */
    uint32_t source_base, sink_base;
    uint32_t sink_count;
    lc_arena arena; /* reset at the end of the call */

    /* Handles that outlive a call: index + 1. The free ones form a stack through next_free. */
    LC_VEC(abi_iterator) iterators;
    uint32_t free_iterator; /* handle; 0 = none */
    LC_VEC(abi_timer) timers;
    uint32_t free_timer;

    lc_buf scratch[3]; /* texts made valid for a log record */
} lc_abi;

void abi_init(lc_abi *a, lc_env *env);
void abi_deinit(lc_abi *a);

/* Ends the running call. The first reason stays. Returns 0. */
uint32_t abi_trap(lc_abi *a, const char *fmt, ...) LC_PRINTF(2, 3);

/* Gives the guest bytes to read: a new source, 0 for no bytes. The bytes are borrowed until the end
 * of the call. Traps at ABI_SOURCES_MAX. */
uint32_t abi_source_open(lc_abi *a, lc_span bytes);
uint32_t abi_sink_open(lc_abi *a);
/* What the guest has written; valid until the sinks are dropped. */
lc_span abi_sink_bytes(const lc_abi *a, uint32_t sink);
/* Ends a call: every source and sink is dropped. restart: the handles count from 1 again. */
void abi_end_call(lc_abi *a, bool restart);

/* Appends bytes as a JSON string of valid UTF-8. */
void abi_json_string(lc_buf *out, lc_span text);
/* Rust's {:?} of a duration. */
void abi_debug_duration(lc_buf *out, uint64_t nanos);

/* ------------------------------------------------------------ guest memory */

bool abi_bytes_slow(lc_abi *a, uint32_t ptr, uint32_t len, uint8_t **out);
/* The bytes [ptr, ptr + len); false after a trap. */
static inline bool abi_bytes(lc_abi *a, uint32_t ptr, uint32_t len, uint8_t **out)
{
    if (LC_LIKELY(ptr != 0 && (uint64_t)ptr + len <= a->size)) {
        *out = a->base + ptr;
        return true;
    }
    return abi_bytes_slow(a, ptr, len, out);
}
static inline bool abi_span(lc_abi *a, uint32_t ptr, uint32_t len, lc_span *out)
{
    uint8_t *bytes;
    if (!abi_bytes(a, ptr, len, &bytes)) return false;
    *out = LC_SPAN(bytes, len);
    return true;
}
static inline bool abi_read_u32(lc_abi *a, uint32_t ptr, uint32_t *out)
{
    uint8_t *bytes;
    if (!abi_bytes(a, ptr, 4, &bytes)) return false;
    *out = lc_load_u32(bytes);
    return true;
}
static inline bool abi_write_u32(lc_abi *a, uint32_t ptr, uint32_t value)
{
    uint8_t *bytes;
    if (!abi_bytes(a, ptr, 4, &bytes)) return false;
    lc_store_u32(bytes, value);
    return true;
}
static inline bool abi_write_u64(lc_abi *a, uint32_t ptr, uint64_t value)
{
    uint8_t *bytes;
    if (!abi_bytes(a, ptr, 8, &bytes)) return false;
    lc_store_u64(bytes, value);
    return true;
}
/* Text that must be UTF-8. */
bool abi_text(lc_abi *a, uint32_t ptr, uint32_t len, lc_span *out);

static inline bool abi_in_tx(const lc_abi *a)
{
    return lc_store_in_tx(a->env->store);
}

/* ----------------------------------------------------------------- imports */

uint32_t abi_table_id_from_name(lc_abi *a, uint32_t name, uint32_t name_len, uint32_t out);
uint32_t abi_index_id_from_name(lc_abi *a, uint32_t name, uint32_t name_len, uint32_t out);
uint32_t abi_datastore_table_row_count(lc_abi *a, uint32_t table, uint32_t out);
uint32_t abi_datastore_table_scan_bsatn(lc_abi *a, uint32_t table, uint32_t out);
uint32_t abi_datastore_index_scan_range_bsatn(lc_abi *a, uint32_t index, uint32_t prefix,
                                              uint32_t prefix_len, uint32_t prefix_elems,
                                              uint32_t start, uint32_t start_len, uint32_t end,
                                              uint32_t end_len, uint32_t out);
uint32_t abi_datastore_delete_by_index_scan_range_bsatn(lc_abi *a, uint32_t index, uint32_t prefix,
                                                        uint32_t prefix_len, uint32_t prefix_elems,
                                                        uint32_t start, uint32_t start_len,
                                                        uint32_t end, uint32_t end_len,
                                                        uint32_t out);
uint32_t abi_datastore_delete_all_by_eq_bsatn(lc_abi *a, uint32_t table, uint32_t relation,
                                              uint32_t relation_len, uint32_t out);
uint32_t abi_row_iter_bsatn_advance(lc_abi *a, uint32_t iterator, uint32_t buffer, uint32_t len);
uint32_t abi_row_iter_bsatn_close(lc_abi *a, uint32_t iterator);
uint32_t abi_datastore_insert_bsatn(lc_abi *a, uint32_t table, uint32_t row, uint32_t len);
uint32_t abi_datastore_update_bsatn(lc_abi *a, uint32_t table, uint32_t index, uint32_t row,
                                    uint32_t len);
uint32_t abi_bytes_source_read(lc_abi *a, uint32_t source, uint32_t buffer, uint32_t len);
uint32_t abi_bytes_sink_write(lc_abi *a, uint32_t sink, uint32_t buffer, uint32_t len);
void abi_console_log(lc_abi *a, uint32_t level, uint32_t target, uint32_t target_len,
                     uint32_t filename, uint32_t filename_len, uint32_t line, uint32_t message,
                     uint32_t message_len);
uint32_t abi_console_timer_start(lc_abi *a, uint32_t name, uint32_t name_len);
uint32_t abi_console_timer_end(lc_abi *a, uint32_t timer);
void abi_identity(lc_abi *a, uint32_t out);
void abi_volatile_nonatomic_schedule_immediate(lc_abi *a, uint32_t name, uint32_t name_len,
                                               uint32_t args, uint32_t args_len);
uint32_t abi_bytes_source_remaining_length(lc_abi *a, uint32_t source, uint32_t out);
uint32_t abi_get_jwt(lc_abi *a, uint32_t connection, uint32_t out);
uint64_t abi_procedure_sleep_until(lc_abi *a, uint64_t wake_at);
uint32_t abi_procedure_start_mut_tx(lc_abi *a, uint32_t out);
uint32_t abi_procedure_commit_mut_tx(lc_abi *a);
uint32_t abi_procedure_abort_mut_tx(lc_abi *a);
uint32_t abi_procedure_http_request(lc_abi *a, uint32_t request, uint32_t request_len,
                                    uint32_t body, uint32_t body_len, uint32_t out);
uint32_t abi_datastore_index_scan_point_bsatn(lc_abi *a, uint32_t index, uint32_t key,
                                              uint32_t key_len, uint32_t out);
uint32_t abi_datastore_delete_by_index_scan_point_bsatn(lc_abi *a, uint32_t index, uint32_t key,
                                                        uint32_t key_len, uint32_t out);
uint32_t abi_datastore_clear(lc_abi *a, uint32_t table, uint32_t out);

#endif
