/*
 * The import table (02 section 2.3) and the trampolines from the engine's calling convention to the
 * abi_ functions. Unchecked trampolines: arguments and result share one array of raw values, and
 * the types in the table are what makes reading them right.
 */
#include "host/wasm/wasm_internal.h"

#define I(n) ((uint32_t)v[n].i32)
#define L(n) ((uint64_t)v[n].i64)

/* X(minor version, name, implementation, parameter types, result type, arguments) */
#define IMPORTS(X)                                                                                 \
    X(0, table_id_from_name, abi_table_id_from_name, "iii", i, I(0), I(1), I(2))                   \
    X(0, index_id_from_name, abi_index_id_from_name, "iii", i, I(0), I(1), I(2))                   \
    X(0, datastore_table_row_count, abi_datastore_table_row_count, "ii", i, I(0), I(1))            \
    X(0, datastore_table_scan_bsatn, abi_datastore_table_scan_bsatn, "ii", i, I(0), I(1))          \
    X(0, datastore_index_scan_range_bsatn, abi_datastore_index_scan_range_bsatn, "iiiiiiiii", i,   \
      I(0), I(1), I(2), I(3), I(4), I(5), I(6), I(7), I(8))                                        \
    X(0, datastore_btree_scan_bsatn, abi_datastore_index_scan_range_bsatn, "iiiiiiiii", i, I(0),   \
      I(1), I(2), I(3), I(4), I(5), I(6), I(7), I(8))                                              \
    X(0, datastore_delete_by_index_scan_range_bsatn,                                               \
      abi_datastore_delete_by_index_scan_range_bsatn, "iiiiiiiii", i, I(0), I(1), I(2), I(3),      \
      I(4), I(5), I(6), I(7), I(8))                                                                \
    X(0, datastore_delete_by_btree_scan_bsatn, abi_datastore_delete_by_index_scan_range_bsatn,     \
      "iiiiiiiii", i, I(0), I(1), I(2), I(3), I(4), I(5), I(6), I(7), I(8))                        \
    X(0, datastore_delete_all_by_eq_bsatn, abi_datastore_delete_all_by_eq_bsatn, "iiii", i, I(0),  \
      I(1), I(2), I(3))                                                                            \
    X(0, row_iter_bsatn_advance, abi_row_iter_bsatn_advance, "iii", i, I(0), I(1), I(2))           \
    X(0, row_iter_bsatn_close, abi_row_iter_bsatn_close, "i", i, I(0))                             \
    X(0, datastore_insert_bsatn, abi_datastore_insert_bsatn, "iii", i, I(0), I(1), I(2))           \
    X(0, datastore_update_bsatn, abi_datastore_update_bsatn, "iiii", i, I(0), I(1), I(2), I(3))    \
    X(0, bytes_source_read, abi_bytes_source_read, "iii", i, I(0), I(1), I(2))                     \
    X(0, bytes_sink_write, abi_bytes_sink_write, "iii", i, I(0), I(1), I(2))                       \
    X(0, console_log, abi_console_log, "iiiiiiii", v, I(0), I(1), I(2), I(3), I(4), I(5), I(6),    \
      I(7))                                                                                        \
    X(0, console_timer_start, abi_console_timer_start, "ii", i, I(0), I(1))                        \
    X(0, console_timer_end, abi_console_timer_end, "i", i, I(0))                                   \
    X(0, identity, abi_identity, "i", v, I(0))                                                     \
    X(0, volatile_nonatomic_schedule_immediate, abi_volatile_nonatomic_schedule_immediate, "iiii", \
      v, I(0), I(1), I(2), I(3))                                                                   \
    X(1, bytes_source_remaining_length, abi_bytes_source_remaining_length, "ii", i, I(0), I(1))    \
    X(2, get_jwt, abi_get_jwt, "ii", i, I(0), I(1))                                                \
    X(3, procedure_sleep_until, abi_procedure_sleep_until, "l", l, L(0))                           \
    X(3, procedure_start_mut_tx, abi_procedure_start_mut_tx, "i", i, I(0))                         \
    X(3, procedure_commit_mut_tx, abi_procedure_commit_mut_tx, "", i)                              \
    X(3, procedure_abort_mut_tx, abi_procedure_abort_mut_tx, "", i)                                \
    X(3, procedure_http_request, abi_procedure_http_request, "iiiii", i, I(0), I(1), I(2), I(3),   \
      I(4))                                                                                        \
    X(4, datastore_index_scan_point_bsatn, abi_datastore_index_scan_point_bsatn, "iiii", i, I(0),  \
      I(1), I(2), I(3))                                                                            \
    X(4, datastore_delete_by_index_scan_point_bsatn,                                               \
      abi_datastore_delete_by_index_scan_point_bsatn, "iiii", i, I(0), I(1), I(2), I(3))           \
    X(5, datastore_clear, abi_datastore_clear, "ii", i, I(0), I(1))

/* The guest stops with the reason in a->trap. */
static wasm_trap_t *raise_trap(lc_abi *a)
{
    wasm_trap_t *trap = wasmtime_trap_new(a->trap, strlen(a->trap));
    lc_free(a->trap);
    a->trap = NULL;
    return trap;
}

static wasm_trap_t *raise_not_ready(void)
{
    static const char text[] = "host functions cannot be called from a start function";
    return wasmtime_trap_new(text, sizeof text - 1);
}

#define RETURN_i(call) v[0].i32 = (int32_t)(call)
#define RETURN_l(call) v[0].i64 = (int64_t)(call)
#define RETURN_v(call) (call)

#define TRAMPOLINE(minor, name, implementation, params, result, ...)                               \
    static wasm_trap_t *call_##name(void *unused, wasmtime_caller_t *caller,                       \
                                    wasmtime_val_raw_t *v, size_t n)                               \
    {                                                                                              \
        lc_abi *a = wasmtime_context_get_data(wasmtime_caller_context(caller));                    \
        (void)unused, (void)n, (void)v;                                                            \
        if (LC_UNLIKELY(!a->is_ready)) return raise_not_ready();                                   \
        RETURN_##result(implementation(a __VA_OPT__(, ) __VA_ARGS__));                             \
        return LC_LIKELY(!a->trap) ? NULL : raise_trap(a);                                         \
    }
IMPORTS(TRAMPOLINE)

static const struct {
    const char *module, *name, *params;
    char result;
    wasmtime_func_unchecked_callback_t call;
} imports[] = {
#define ENTRY(minor, name, implementation, params, result, ...)                                    \
    {"spacetime_10." #minor, #name, params, #result[0], call_##name},
    IMPORTS(ENTRY)};

static wasm_valtype_t *valtype(char c)
{
    return wasm_valtype_new(c == 'l' ? WASM_I64 : WASM_I32);
}

void lc_imports_define(wasmtime_linker_t *linker)
{
    for (size_t i = 0; i < LC_ARRAY_LEN(imports); i++) {
        wasm_valtype_t *params[16], *results[1];
        size_t param_count = strlen(imports[i].params), result_count = 0;
        for (size_t p = 0; p < param_count; p++) params[p] = valtype(imports[i].params[p]);
        if (imports[i].result != 'v') results[result_count++] = valtype(imports[i].result);
        wasm_valtype_vec_t param_vec, result_vec;
        wasm_valtype_vec_new(&param_vec, param_count, params);
        wasm_valtype_vec_new(&result_vec, result_count, results);
        wasm_functype_t *type = wasm_functype_new(&param_vec, &result_vec);
        wasmtime_error_t *error = wasmtime_linker_define_func_unchecked(
            linker, imports[i].module, strlen(imports[i].module), imports[i].name,
            strlen(imports[i].name), type, imports[i].call, NULL, NULL);
        LC_ASSERT(!error);
        wasm_functype_delete(type);
    }
}
