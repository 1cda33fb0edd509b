/*
 * The imports that touch tables. Order of checks everywhere: transaction, input pointers, table or
 * index, the store's own checks, effect, output pointer (02 sections 1.1 and 2.4).
 */
#include "host/host_internal.h"

/* The call dies because of something the store said. */
static uint32_t trap_in(lc_abi *a, const char *function, lc_error *err)
{
    abi_trap(a, "runtime error calling %s: %s", function, lc_error_text(err));
    lc_error_clear(err);
    return 0;
}

/* What the guest gets for the store's answer. */
static uint32_t answer(lc_abi *a, lc_errno code, const char *function, lc_error *err)
{
    if (LC_UNLIKELY(code == LC_ERRNO_TRAP)) return trap_in(a, function, err);
    if (LC_UNLIKELY(err->text != NULL)) lc_error_clear(err);
    return code;
}

/* ------------------------------------------------------------------- names */

uint32_t abi_table_id_from_name(lc_abi *a, uint32_t name, uint32_t name_len, uint32_t out)
{
    lc_span text;
    if (!abi_text(a, name, name_len, &text)) return 0;
    if (!abi_in_tx(a)) return LC_ERRNO_NOT_IN_TRANSACTION;
    const lc_table *table = lc_store_table_by_name(a->env->store, text);
    if (!table) return LC_ERRNO_NO_SUCH_TABLE;
    abi_write_u32(a, out, lc_table_id(table));
    return LC_ERRNO_OK;
}

uint32_t abi_index_id_from_name(lc_abi *a, uint32_t name, uint32_t name_len, uint32_t out)
{
    lc_span text;
    if (!abi_text(a, name, name_len, &text)) return 0;
    if (!abi_in_tx(a)) return LC_ERRNO_NOT_IN_TRANSACTION;
    const lc_index *index = lc_store_index_by_name(a->env->store, text);
    if (!index) return LC_ERRNO_NO_SUCH_INDEX;
    abi_write_u32(a, out, lc_index_id(index));
    return LC_ERRNO_OK;
}

/* --------------------------------------------------------------- iterators */

/* An empty open iterator; NULL after a trap. The pointer holds until the next one is opened. */
static abi_iterator *iterator_open(lc_abi *a, uint32_t *handle)
{
    if (LC_LIKELY(a->free_iterator)) {
        *handle = a->free_iterator;
        a->free_iterator = a->iterators.items[*handle - 1].next_free;
    } else {
        if (a->iterators.len >= ABI_ITERATORS_MAX) {
            abi_trap(a, "limit of %u open row iterators reached", ABI_ITERATORS_MAX);
            return NULL;
        }
        lc_vec_push(&a->iterators, (abi_iterator){0});
        *handle = (uint32_t)a->iterators.len;
    }
    abi_iterator *it = &a->iterators.items[*handle - 1];
    it->is_open = true;
    return it;
}

static void iterator_close(lc_abi *a, uint32_t handle)
{
    abi_iterator *it = &a->iterators.items[handle - 1];
    if (LC_UNLIKELY(it->rows.cap > ABI_ROW_BYTES_KEPT)) {
        lc_buf_deinit(&it->rows);
        it->rows = LC_BUF_INIT;
        lc_vec_deinit(&it->chunk_ends);
    }
    lc_buf_reset(&it->rows);
    it->chunk_ends.len = 0;
    it->at = it->next_chunk = 0;
    it->is_open = false;
    it->next_free = a->free_iterator;
    a->free_iterator = handle;
}

static abi_iterator *iterator_of(lc_abi *a, uint32_t handle)
{
    if (handle - 1 >= a->iterators.len || !a->iterators.items[handle - 1].is_open) return NULL;
    return &a->iterators.items[handle - 1];
}

/* lc_row_visit: adds a row, cutting chunks. it->at is the start of the chunk while filling. */
static bool add_row(void *arg, lc_span row)
{
    abi_iterator *it = arg;
    lc_buf_put_span(&it->rows, row);
    if (LC_UNLIKELY(it->rows.len - it->at > ABI_CHUNK_BYTES)) {
        lc_vec_push(&it->chunk_ends, it->rows.len);
        it->at = it->rows.len;
    }
    return true;
}

/* Ends a scan into an iterator: gives the guest its handle, or takes the iterator back. */
static uint32_t iterator_done(lc_abi *a, uint32_t handle, lc_errno code, const char *function,
                              lc_error *err, uint32_t out)
{
    a->iterators.items[handle - 1].at = 0;
    if (LC_UNLIKELY(code != LC_ERRNO_OK)) {
        iterator_close(a, handle);
        return answer(a, code, function, err);
    }
    abi_write_u32(a, out, handle);
    return LC_ERRNO_OK;
}

static size_t chunk_end(const abi_iterator *it, size_t chunk)
{
    return chunk < it->chunk_ends.len ? it->chunk_ends.items[chunk] : it->rows.len;
}

uint32_t abi_row_iter_bsatn_advance(lc_abi *a, uint32_t iterator, uint32_t buffer, uint32_t len)
{
    abi_iterator *it = iterator_of(a, iterator);
    if (!it) return LC_ERRNO_NO_SUCH_ITER;
    uint32_t room;
    uint8_t *to;
    if (!abi_read_u32(a, len, &room) || !abi_bytes(a, buffer, room, &to)) return 0;

    size_t end = it->rows.len;
    if (LC_UNLIKELY(end - it->at > room)) {
        size_t chunk = it->next_chunk;
        end = it->at;
        while (chunk_end(it, chunk) - it->at <= room) end = chunk_end(it, chunk++);
        if (end == it->at) {
            size_t need = chunk_end(it, chunk) - it->at;
            abi_write_u32(a, len, need > UINT32_MAX ? UINT32_MAX : (uint32_t)need);
            return LC_ERRNO_BUFFER_TOO_SMALL;
        }
        it->next_chunk = chunk;
    }
    size_t n = end - it->at;
    if (n) memcpy(to, it->rows.ptr + it->at, n);
    abi_write_u32(a, len, (uint32_t)n);
    it->at = end;
    if (end < it->rows.len) return LC_ERRNO_OK;
    iterator_close(a, iterator);
    return UINT32_MAX;
}

uint32_t abi_row_iter_bsatn_close(lc_abi *a, uint32_t iterator)
{
    if (!iterator_of(a, iterator)) return LC_ERRNO_NO_SUCH_ITER;
    iterator_close(a, iterator);
    return LC_ERRNO_OK;
}

/* ------------------------------------------------------------------- reads */

uint32_t abi_datastore_table_row_count(lc_abi *a, uint32_t table, uint32_t out)
{
    if (!abi_in_tx(a)) return LC_ERRNO_NOT_IN_TRANSACTION;
    const lc_table *t = lc_store_table(a->env->store, table);
    if (!t) return LC_ERRNO_NO_SUCH_TABLE;
    abi_write_u64(a, out, lc_table_row_count(t));
    return LC_ERRNO_OK;
}

uint32_t abi_datastore_table_scan_bsatn(lc_abi *a, uint32_t table, uint32_t out)
{
    if (!abi_in_tx(a)) return LC_ERRNO_NOT_IN_TRANSACTION;
    const lc_table *t = lc_store_table(a->env->store, table);
    if (!t) return LC_ERRNO_NO_SUCH_TABLE;
    uint32_t handle;
    abi_iterator *it = iterator_open(a, &handle);
    if (!it) return 0;
    lc_table_scan_into(t, &it->rows, ABI_CHUNK_BYTES, &it->chunk_ends);
    abi_write_u32(a, out, handle);
    return LC_ERRNO_OK;
}

uint32_t abi_datastore_index_scan_point_bsatn(lc_abi *a, uint32_t index, uint32_t key,
                                              uint32_t key_len, uint32_t out)
{
    lc_span bytes;
    if (!abi_in_tx(a)) return LC_ERRNO_NOT_IN_TRANSACTION;
    if (!abi_span(a, key, key_len, &bytes)) return 0;
    const lc_index *i = lc_store_index(a->env->store, index);
    if (!i) return LC_ERRNO_NO_SUCH_INDEX;
    uint32_t handle;
    abi_iterator *it = iterator_open(a, &handle);
    if (!it) return 0;
    lc_error err = LC_ERROR_INIT;
    lc_errno code = lc_index_scan_point(i, bytes, add_row, it, &err);
    return iterator_done(a, handle, code, "datastore_index_scan_point_bsatn", &err, out);
}

/* The arguments that all range calls share. */
typedef struct range_args {
    uint32_t index, prefix, prefix_len, prefix_elems, start, start_len, end, end_len;
} range_args;

/* Finds the index and decodes the range. LC_ERRNO_TRAP: the trap is set. */
static lc_errno read_range(lc_abi *a, const char *function, range_args args, lc_index **index,
                           lc_range *range)
{
    if (!abi_in_tx(a)) return LC_ERRNO_NOT_IN_TRANSACTION;
    if (args.prefix_elems > UINT16_MAX) {
        abi_trap(a, "runtime error calling %s: %u prefix elements", function, args.prefix_elems);
        return LC_ERRNO_TRAP;
    }
    lc_span prefix = LC_SPAN_EMPTY, start, end;
    if ((args.prefix_elems && !abi_span(a, args.prefix, args.prefix_len, &prefix)) ||
        !abi_span(a, args.start, args.start_len, &start) ||
        !abi_span(a, args.end, args.end_len, &end))
        return LC_ERRNO_TRAP;
    *index = lc_store_index(a->env->store, args.index);
    if (!*index) return LC_ERRNO_NO_SUCH_INDEX;
    lc_error err = LC_ERROR_INIT;
    lc_errno code = lc_range_decode(*index, prefix, args.prefix_elems, start, end, range, &err);
    if (code != LC_ERRNO_OK) answer(a, code, function, &err);
    return code;
}

uint32_t abi_datastore_index_scan_range_bsatn(lc_abi *a, uint32_t index, uint32_t prefix,
                                              uint32_t prefix_len, uint32_t prefix_elems,
                                              uint32_t start, uint32_t start_len, uint32_t end,
                                              uint32_t end_len, uint32_t out)
{
    static const char function[] = "datastore_index_scan_range_bsatn";
    lc_index *i;
    lc_range range;
    lc_errno code = read_range(
        a, function,
        (range_args){index, prefix, prefix_len, prefix_elems, start, start_len, end, end_len}, &i,
        &range);
    if (code != LC_ERRNO_OK) return code;
    uint32_t handle;
    abi_iterator *it = iterator_open(a, &handle);
    if (!it) return 0;
    lc_error err = LC_ERROR_INIT;
    code = lc_index_scan_range(i, &range, add_row, it, &err);
    return iterator_done(a, handle, code, function, &err, out);
}

/* ------------------------------------------------------------------ writes */

/* The catalog lives in system tables and views fill their own: a module that changed them would
 * break its database for good. Rows about clients are harmless. */
static bool may_write(lc_abi *a, const char *function, const lc_table *t)
{
    uint32_t id = lc_table_id(t);
    if (LC_LIKELY(id >= LC_FIRST_USER_ID && !lc_table_is_view(t))) return true;
    if (id == LC_ST_CLIENT || id == LC_ST_CONNECTION_CREDENTIALS) return true;
    abi_trap(a, "runtime error calling %s: table `" LC_SPAN_FMT "` is not the module's to change",
             function, LC_SPAN_ARG(lc_table_name(t)));
    return false;
}

/* The table of an insert, update or clear; NULL after a trap. */
static lc_table *written_table(lc_abi *a, const char *function, uint32_t table)
{
    lc_table *t = lc_store_table(a->env->store, table);
    if (LC_UNLIKELY(!t)) {
        abi_trap(a, "runtime error calling %s: no table with id %u", function, table);
        return NULL;
    }
    return may_write(a, function, t) ? t : NULL;
}

/* What follows a successful insert or update: the scheduler's look, then the write-back. */
static uint32_t write_back(lc_abi *a, lc_table *t, const lc_write *w, uint8_t *row, uint32_t len)
{
    lc_span generated = w->generated;
    if (generated.len) memcpy(row, generated.ptr, generated.len);
    if (a->env->row_written) {
        lc_errno code = a->env->row_written(a->env->arg, t, w->row);
        if (LC_UNLIKELY(code != LC_ERRNO_OK)) return code;
    }
    abi_write_u32(a, len, (uint32_t)generated.len);
    return LC_ERRNO_OK;
}

uint32_t abi_datastore_insert_bsatn(lc_abi *a, uint32_t table, uint32_t row, uint32_t len)
{
    static const char function[] = "datastore_insert_bsatn";
    if (!abi_in_tx(a)) return LC_ERRNO_NOT_IN_TRANSACTION;
    uint32_t n;
    uint8_t *bytes;
    if (!abi_read_u32(a, len, &n) || !abi_bytes(a, row, n, &bytes)) return 0;
    lc_table *t = written_table(a, function, table);
    if (!t) return 0;
    lc_write w;
    lc_error err = LC_ERROR_INIT;
    lc_errno code = lc_table_insert(t, LC_SPAN(bytes, n), &w, &err);
    if (LC_UNLIKELY(code != LC_ERRNO_OK)) return answer(a, code, function, &err);
    return write_back(a, t, &w, bytes, len);
}

uint32_t abi_datastore_update_bsatn(lc_abi *a, uint32_t table, uint32_t index, uint32_t row,
                                    uint32_t len)
{
    static const char function[] = "datastore_update_bsatn";
    if (!abi_in_tx(a)) return LC_ERRNO_NOT_IN_TRANSACTION;
    uint32_t n;
    uint8_t *bytes;
    if (!abi_read_u32(a, len, &n) || !abi_bytes(a, row, n, &bytes)) return 0;
    lc_table *t = written_table(a, function, table);
    if (!t) return 0;
    lc_write w;
    lc_error err = LC_ERROR_INIT;
    lc_errno code = lc_table_update(t, index, LC_SPAN(bytes, n), &w, &err);
    if (LC_UNLIKELY(code != LC_ERRNO_OK)) return answer(a, code, function, &err);
    return write_back(a, t, &w, bytes, len);
}

uint32_t abi_datastore_delete_all_by_eq_bsatn(lc_abi *a, uint32_t table, uint32_t relation,
                                              uint32_t relation_len, uint32_t out)
{
    static const char function[] = "datastore_delete_all_by_eq_bsatn";
    lc_span bytes;
    if (!abi_in_tx(a)) return LC_ERRNO_NOT_IN_TRANSACTION;
    if (!abi_span(a, relation, relation_len, &bytes)) return 0;
    lc_table *t = lc_store_table(a->env->store, table);
    if (!t) return LC_ERRNO_NO_SUCH_TABLE;
    if (!may_write(a, function, t)) return 0;
    uint32_t deleted;
    lc_error err = LC_ERROR_INIT;
    lc_errno code = lc_table_delete_all_by_eq(t, bytes, &deleted, &err);
    if (code != LC_ERRNO_OK) return answer(a, code, function, &err);
    abi_write_u32(a, out, deleted);
    return LC_ERRNO_OK;
}

uint32_t abi_datastore_delete_by_index_scan_point_bsatn(lc_abi *a, uint32_t index, uint32_t key,
                                                        uint32_t key_len, uint32_t out)
{
    static const char function[] = "datastore_delete_by_index_scan_point_bsatn";
    lc_span bytes;
    if (!abi_in_tx(a)) return LC_ERRNO_NOT_IN_TRANSACTION;
    if (!abi_span(a, key, key_len, &bytes)) return 0;
    lc_index *i = lc_store_index(a->env->store, index);
    if (!i) return LC_ERRNO_NO_SUCH_INDEX;
    if (!may_write(a, function, lc_index_table(i))) return 0;
    uint32_t deleted;
    lc_error err = LC_ERROR_INIT;
    lc_errno code = lc_index_delete_point(i, bytes, &deleted, &err);
    if (code != LC_ERRNO_OK) return answer(a, code, function, &err);
    abi_write_u32(a, out, deleted);
    return LC_ERRNO_OK;
}

uint32_t abi_datastore_delete_by_index_scan_range_bsatn(lc_abi *a, uint32_t index, uint32_t prefix,
                                                        uint32_t prefix_len, uint32_t prefix_elems,
                                                        uint32_t start, uint32_t start_len,
                                                        uint32_t end, uint32_t end_len,
                                                        uint32_t out)
{
    static const char function[] = "datastore_delete_by_index_scan_range_bsatn";
    lc_index *i;
    lc_range range;
    lc_errno code = read_range(
        a, function,
        (range_args){index, prefix, prefix_len, prefix_elems, start, start_len, end, end_len}, &i,
        &range);
    if (code != LC_ERRNO_OK) return code;
    if (!may_write(a, function, lc_index_table(i))) return 0;
    uint32_t deleted;
    lc_error err = LC_ERROR_INIT;
    code = lc_index_delete_range(i, &range, &deleted, &err);
    if (code != LC_ERRNO_OK) return answer(a, code, function, &err);
    abi_write_u32(a, out, deleted);
    return LC_ERRNO_OK;
}

uint32_t abi_datastore_clear(lc_abi *a, uint32_t table, uint32_t out)
{
    if (!abi_in_tx(a)) return LC_ERRNO_NOT_IN_TRANSACTION;
    lc_table *t = written_table(a, "datastore_clear", table);
    if (!t) return 0;
    abi_write_u64(a, out, lc_table_clear(t));
    return LC_ERRNO_OK;
}
