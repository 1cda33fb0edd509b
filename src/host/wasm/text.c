/* Texts about guest code: errors and traps of the engine, backtraces, function types. */
#include <stdio.h>

#include "host/wasm/wasm_internal.h"

#define BACKTRACE_HEAD "error while executing at wasm backtrace:"
#define CAUSES         "\n\nCaused by:\n"

/* ------------------------------------------------------------------ errors */

/* Appends the causes of the engine's long form, ": " between them: one cause is indented by four
 * blanks, several are numbered "    0: ", "    1: ", each on its own line. */
static void put_causes(lc_buf *out, const char *causes)
{
    char mark[16];
    const char *end = causes + strlen(causes);
    while (end > causes && end[-1] == '\n') end--;
    const char *at = causes;
    if (strncmp(at, "    0: ", 7) != 0) {
        at += strspn(at, " ");
        lc_buf_put(out, at, at < end ? (size_t)(end - at) : 0);
        return;
    }
    at += 7;
    for (int next = 1; at < end; next++) {
        int mark_len = snprintf(mark, sizeof mark, "\n%5d: ", next);
        const char *stop = strstr(at, mark);
        if (!stop || stop > end) stop = end;
        if (next > 1) lc_buf_put_str(out, ": ");
        lc_buf_put(out, at, (size_t)(stop - at));
        at = stop < end ? stop + mark_len : end;
    }
}

/* "head\n\nCaused by:\n..." -> "head: cause: cause". A backtrace as head is left out: it is printed
 * from the frames. */
static char *join_causes(const char *text, size_t len)
{
    char *whole = lc_memdup(text, len);
    char *stack = strstr(whole, "\nStack backtrace:\n"); /* of our own process, when asked for */
    if (stack) *stack = 0;
    lc_buf out = LC_BUF_INIT;
    char *causes = strstr(whole, CAUSES);
    if (causes) *causes = 0;
    if (strncmp(whole, BACKTRACE_HEAD, sizeof BACKTRACE_HEAD - 1) != 0) {
        lc_buf_put_str(&out, whole);
        if (causes) lc_buf_put_str(&out, ": ");
    }
    if (causes) put_causes(&out, causes + sizeof CAUSES - 1);
    lc_free(whole);
    return lc_buf_give_cstr(&out);
}

char *lc_wasm_error_text(wasmtime_error_t *error)
{
    wasm_name_t message;
    wasmtime_error_message(error, &message);
    char *text = join_causes(message.data, message.size);
    wasm_name_delete(&message);
    wasmtime_error_delete(error);
    return text;
}

/* ------------------------------------------------------------------- stops */

static lc_span frame_name(const wasm_name_t *name)
{
    return name ? LC_SPAN(name->data, name->size) : LC_SPAN_EMPTY;
}

/* Where a frame is in the module. Code at a function's entry (the check of the time limit, and what
 * the compiler merged with it) is told as the function's first operator. */
static size_t frame_offset(const lc_program *p, const wasm_frame_t *frame)
{
    uint32_t function = wasm_frame_func_index(frame) - p->imported_functions;
    if (wasm_frame_func_offset(frame) == 0 && function < p->first_operators.len)
        return p->first_operators.items[function];
    return wasm_frame_module_offset(frame);
}

static char *backtrace_text(const lc_program *p, const wasm_frame_vec_t *frames)
{
    lc_buf out = LC_BUF_INIT;
    if (frames->size) lc_buf_put_str(&out, BACKTRACE_HEAD);
    for (size_t i = 0; i < frames->size; i++) {
        const wasm_frame_t *frame = frames->data[i];
        lc_span module = frame_name(wasmtime_frame_module_name(frame));
        lc_span function = frame_name(wasmtime_frame_func_name(frame));
        lc_buf_printf(&out, "\n  %3zu: ", i);
        size_t offset = frame_offset(p, frame);
        if (offset != SIZE_MAX) lc_buf_printf(&out, "%#8zx - ", offset);
        lc_utf8_lossy(module.ptr ? module : LC_STR("<unknown>"), &out);
        lc_buf_put_u8(&out, '!');
        if (function.ptr)
            lc_demangle(function, &out);
        else
            lc_buf_printf(&out, "<wasm function %u>", wasm_frame_func_index(frame));
    }
    return lc_buf_give_cstr(&out);
}

void lc_stop_take(lc_stop *s, const lc_program *p, wasm_trap_t *trap, wasmtime_error_t *error)
{
    wasm_frame_vec_t frames;
    wasm_name_t message;
    if (trap) {
        wasm_trap_trace(trap, &frames);
        wasm_trap_message(trap, &message);
        if (message.size && message.data[message.size - 1] == 0) message.size--;
    } else {
        wasmtime_error_wasm_trace(error, &frames);
        wasmtime_error_message(error, &message);
    }
    s->backtrace = backtrace_text(p, &frames);
    s->reason = join_causes(message.data, message.size);
    wasm_frame_vec_delete(&frames);
    if (trap) {
        message.size++;
        wasm_trap_delete(trap);
    } else {
        wasmtime_error_delete(error);
    }
    wasm_name_delete(&message);
}

void lc_stop_deinit(lc_stop *s)
{
    lc_free(s->backtrace);
    lc_free(s->reason);
}

void lc_stop_print(const lc_stop *s, lc_buf *out)
{
    lc_buf_put_str(out, s->backtrace);
    if (s->backtrace[0]) lc_buf_put_str(out, ": ");
    lc_buf_put_str(out, s->reason);
}

void lc_frames_to_json(const wasm_frame_vec_t *frames, size_t skip, lc_buf *json)
{
    lc_buf name = LC_BUF_INIT;
    lc_buf_put_u8(json, '[');
    for (size_t i = skip; i < frames->size; i++) {
        lc_span function = frame_name(wasmtime_frame_func_name(frames->data[i]));
        lc_buf_put_str(json, i > skip ? ",{" : "{");
        if (function.ptr) {
            lc_buf_reset(&name);
            lc_demangle(function, &name);
            lc_buf_put_str(json, "\"func_name\":");
            abi_json_string(json, lc_buf_span(&name));
        }
        lc_buf_put_u8(json, '}');
    }
    lc_buf_put_u8(json, ']');
    lc_buf_deinit(&name);
}

/* ------------------------------------------------------------------- types */

static void valtype_print(const wasm_valtype_t *type, lc_buf *out)
{
    static const char *const heap_types[] = {
        "extern", "noextern", "func", NULL,     "nofunc", "any", "none", "eq",
        "i31",    "array",    NULL,   "struct", NULL,     "exn", NULL,   "noexn",
    };
    static const char *const numbers[] = {"i32", "i64", "f32", "f64", "v128"};
    wasmtime_valtype_t t;
    wasmtime_valtype_new(type, &t);
    if (t.kind < LC_ARRAY_LEN(numbers)) {
        lc_buf_put_str(out, numbers[t.kind]);
    } else {
        uint8_t heap = t.reftype.heaptype.kind;
        const char *name = heap < LC_ARRAY_LEN(heap_types) ? heap_types[heap] : NULL;
        if (t.reftype.nullable && name)
            lc_buf_printf(out, "%sref", name);
        else
            lc_buf_printf(out, "(ref %s%s)", t.reftype.nullable ? "null " : "",
                          name ? name : "$type");
    }
    wasmtime_valtype_delete(&t);
}

static void valtypes_print(const char *what, const wasm_valtype_vec_t *types, lc_buf *out)
{
    if (types->size == 0) return;
    lc_buf_printf(out, " (%s", what);
    for (size_t i = 0; i < types->size; i++) {
        lc_buf_put_u8(out, ' ');
        valtype_print(types->data[i], out);
    }
    lc_buf_put_u8(out, ')');
}

void lc_functype_print(const wasm_functype_t *type, lc_buf *out)
{
    lc_buf_put_str(out, "(func");
    valtypes_print("param", wasm_functype_params(type), out);
    valtypes_print("result", wasm_functype_results(type), out);
    lc_buf_put_u8(out, ')');
}
