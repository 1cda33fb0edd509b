/* The ABI's own state: memory access, byte sources and sinks, and the imports that touch no table.
 */
#include "host/host_internal.h"

void abi_init(lc_abi *a, lc_env *env)
{
    *a = (lc_abi){.env = env};
}

void abi_deinit(lc_abi *a)
{
    for (size_t i = 0; i < a->sinks.len; i++) lc_buf_deinit(&a->sinks.items[i]);
    LC_VEC_EACH (iterator, &a->iterators) {
        lc_buf_deinit(&iterator->rows);
        lc_vec_deinit(&iterator->chunk_ends);
    }
    LC_VEC_EACH (timer, &a->timers) lc_free((void *)timer->name.ptr);
    for (size_t i = 0; i < LC_ARRAY_LEN(a->scratch); i++) lc_buf_deinit(&a->scratch[i]);
    lc_vec_deinit(&a->sinks);
    lc_vec_deinit(&a->sources);
    lc_vec_deinit(&a->iterators);
    lc_vec_deinit(&a->timers);
    lc_arena_deinit(&a->arena);
    lc_free(a->trap);
}

uint32_t abi_trap(lc_abi *a, const char *fmt, ...)
{
    if (a->trap) return 0;
    lc_buf text = LC_BUF_INIT;
    va_list args;
    va_start(args, fmt);
    lc_buf_vprintf(&text, fmt, args);
    va_end(args);
    a->trap = lc_buf_give_cstr(&text);
    return 0;
}

/* ------------------------------------------------------------ guest memory */

bool abi_bytes_slow(lc_abi *a, uint32_t ptr, uint32_t len, uint8_t **out)
{
    if (ptr == 0) {
        abi_trap(a, "null pointer passed to a spacetime function");
        return false;
    }
    a->look_again(a);
    if ((uint64_t)ptr + len > a->size) {
        abi_trap(a, "out of bounds pointer passed to a spacetime function");
        return false;
    }
    *out = a->base + ptr;
    return true;
}

bool abi_text(lc_abi *a, uint32_t ptr, uint32_t len, lc_span *out)
{
    if (!abi_span(a, ptr, len, out)) return false;
    if (lc_utf8_valid(*out)) return true;
    abi_trap(a, "invalid utf8 passed to a spacetime function");
    return false;
}

/* ------------------------------------------------------- sources and sinks */

uint32_t abi_source_open(lc_abi *a, lc_span bytes)
{
    if (bytes.len == 0) return 0;
    if (a->sources.len >= ABI_SOURCES_MAX)
        return abi_trap(a, "limit of %u byte sources per call reached", ABI_SOURCES_MAX);
    lc_vec_push(&a->sources, bytes);
    return a->source_base + (uint32_t)a->sources.len;
}

uint32_t abi_sink_open(lc_abi *a)
{
    if (a->sink_count == a->sinks.len) lc_vec_push(&a->sinks, LC_BUF_INIT);
    lc_buf_reset(&a->sinks.items[a->sink_count]);
    return a->sink_base + ++a->sink_count;
}

static lc_span *source_of(lc_abi *a, uint32_t handle)
{
    uint32_t at = handle - a->source_base - 1;
    if (at >= a->sources.len || a->sources.items[at].len == 0) return NULL;
    return &a->sources.items[at];
}

static lc_buf *sink_of(const lc_abi *a, uint32_t handle)
{
    uint32_t at = handle - a->sink_base - 1;
    return at < a->sink_count ? &a->sinks.items[at] : NULL;
}

lc_span abi_sink_bytes(const lc_abi *a, uint32_t sink)
{
    const lc_buf *b = sink_of(a, sink);
    return b ? lc_buf_span(b) : LC_SPAN_EMPTY;
}

void abi_end_call(lc_abi *a, bool restart)
{
    if (restart) {
        a->source_base = a->sink_base = 0;
    } else {
        a->source_base += (uint32_t)a->sources.len;
        a->sink_base += a->sink_count;
    }
    a->sources.len = 0;
    for (uint32_t i = 0; i < a->sink_count; i++)
        if (a->sinks.items[i].cap > ABI_ROW_BYTES_KEPT) {
            lc_buf_deinit(&a->sinks.items[i]);
            a->sinks.items[i] = LC_BUF_INIT;
        }
    a->sink_count = 0;
    if (a->arena.chunks) lc_arena_reset(&a->arena);
}

uint32_t abi_bytes_source_read(lc_abi *a, uint32_t source, uint32_t buffer, uint32_t len)
{
    lc_span *rest = source_of(a, source);
    if (!rest) return LC_ERRNO_NO_SUCH_BYTES;
    uint32_t room;
    uint8_t *to;
    if (!abi_read_u32(a, len, &room) || !abi_bytes(a, buffer, room, &to)) return 0;
    uint32_t n = rest->len < room ? (uint32_t)rest->len : room;
    memcpy(to, rest->ptr, n);
    abi_write_u32(a, len, n);
    rest->ptr += n;
    rest->len -= n;
    return rest->len ? LC_ERRNO_OK : UINT32_MAX;
}

uint32_t abi_bytes_source_remaining_length(lc_abi *a, uint32_t source, uint32_t out)
{
    const lc_span *rest = source_of(a, source);
    if (!rest) return LC_ERRNO_NO_SUCH_BYTES;
    abi_write_u32(a, out, (uint32_t)rest->len);
    return LC_ERRNO_OK;
}

uint32_t abi_bytes_sink_write(lc_abi *a, uint32_t sink, uint32_t buffer, uint32_t len)
{
    lc_buf *b = sink_of(a, sink);
    if (!b) return LC_ERRNO_NO_SUCH_BYTES;
    uint32_t n;
    lc_span bytes;
    if (!abi_read_u32(a, len, &n) || !abi_span(a, buffer, n, &bytes)) return 0;
    if (b->len + n > ABI_SINK_BYTES_MAX)
        return abi_trap(a, "limit of %u bytes per sink reached", ABI_SINK_BYTES_MAX);
    lc_buf_put_span(b, bytes);
    return LC_ERRNO_OK;
}

/* ----------------------------------------------------------------- context */

void abi_identity(lc_abi *a, uint32_t out)
{
    uint8_t *to;
    if (abi_bytes(a, out, sizeof a->env->database.bytes, &to))
        memcpy(to, a->env->database.bytes, sizeof a->env->database.bytes);
}

uint32_t abi_get_jwt(lc_abi *a, uint32_t connection, uint32_t out)
{
    if (!abi_in_tx(a)) return LC_ERRNO_NOT_IN_TRANSACTION;
    uint8_t *at;
    lc_connection_id id;
    if (!abi_bytes(a, connection, sizeof id.bytes, &at)) return 0;
    memcpy(id.bytes, at, sizeof id.bytes);
    lc_span payload;
    uint32_t source = 0;
    if (lc_store_credentials(a->env->store, &id, &payload) && payload.len)
        source = abi_source_open(a, lc_arena_copy(&a->arena, payload));
    if (!a->trap) abi_write_u32(a, out, source);
    return LC_ERRNO_OK;
}

void abi_volatile_nonatomic_schedule_immediate(lc_abi *a, uint32_t name, uint32_t name_len,
                                               uint32_t args, uint32_t args_len)
{
    lc_span function, bytes;
    if (!abi_text(a, name, name_len, &function) || !abi_span(a, args, args_len, &bytes)) return;
    if (a->env->volatile_call) a->env->volatile_call(a->env->arg, function, bytes);
}

/* -------------------------------------------------------------- procedures */

/* This instance runs reducers, whose transaction is the host's. */

uint64_t abi_procedure_sleep_until(lc_abi *a, uint64_t wake_at)
{
    (void)wake_at;
    return abi_trap(a, "procedure_sleep_until is only available in async instances");
}

uint32_t abi_procedure_start_mut_tx(lc_abi *a, uint32_t out)
{
    (void)out;
    if (abi_in_tx(a)) return LC_ERRNO_WOULD_BLOCK_TRANSACTION;
    return abi_trap(a, "procedure_start_mut_tx is only available in async instances");
}

uint32_t abi_procedure_commit_mut_tx(lc_abi *a)
{
    (void)a;
    return LC_ERRNO_TRANSACTION_NOT_ANONYMOUS;
}

uint32_t abi_procedure_abort_mut_tx(lc_abi *a)
{
    (void)a;
    return LC_ERRNO_TRANSACTION_NOT_ANONYMOUS;
}

uint32_t abi_procedure_http_request(lc_abi *a, uint32_t request, uint32_t request_len,
                                    uint32_t body, uint32_t body_len, uint32_t out)
{
    (void)request, (void)request_len, (void)body, (void)body_len, (void)out;
    return abi_trap(a, "procedure_http_request is only available in async instances");
}
