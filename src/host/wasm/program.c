/* Loading a program: compile, then the checks of 02 section 2.1, in its order and with its texts.
 */
#include <stdlib.h>

#include "host/wasm/wasm_internal.h"

#define PREINIT "__preinit__"

static lc_span name_span(const wasm_name_t *name)
{
    return LC_SPAN(name->data, name->size);
}

static bool starts_with(lc_span s, const char *prefix)
{
    size_t n = strlen(prefix);
    return s.len >= n && memcmp(s.ptr, prefix, n) == 0;
}

void lc_program_hash(lc_span bytes, uint8_t out[32])
{
    lc_keccak256(bytes.ptr, bytes.len, out);
}

/* ------------------------------------------------------------- ABI version */

/* A number as Rust's u16 parser takes it: an optional plus, then digits. */
static bool parse_u16(lc_span s, uint32_t *out)
{
    size_t at = s.len > 1 && s.ptr[0] == '+';
    uint32_t value = 0;
    if (s.len == 0) return false;
    for (; at < s.len; at++) {
        if (s.ptr[at] < '0' || s.ptr[at] > '9') return false;
        value = value * 10 + (uint32_t)(s.ptr[at] - '0');
        if (value > UINT16_MAX) return false;
    }
    *out = value;
    return true;
}

static bool parse_version(lc_span s, uint32_t *major, uint32_t *minor)
{
    const uint8_t *dot = s.len ? memchr(s.ptr, '.', s.len) : NULL;
    if (!dot) return false;
    size_t before = (size_t)(dot - s.ptr);
    return parse_u16(LC_SPAN(s.ptr, before), major) &&
           parse_u16(LC_SPAN(dot + 1, s.len - before - 1), minor);
}

static lc_status check_version(const wasm_importtype_vec_t *imports, lc_error *err)
{
    static const char prefix[] = "spacetime_";
    bool found = false;
    uint32_t major = 0, minor = 0;
    for (size_t i = 0; i < imports->size; i++) {
        lc_span module = name_span(wasm_importtype_module(imports->data[i]));
        if (!starts_with(module, prefix) ||
            wasm_externtype_kind(wasm_importtype_type(imports->data[i])) != WASM_EXTERN_FUNC)
            continue;
        uint32_t this_major, this_minor;
        size_t skip = sizeof prefix - 1;
        if (!parse_version(LC_SPAN(module.ptr + skip, module.len - skip), &this_major,
                           &this_minor)) {
            lc_buf quoted = LC_BUF_INIT;
            lc_rust_debug(module, '\"', &quoted);
            lc_error_set(err, LC_E_INVALID,
                         "import module " LC_SPAN_FMT " has malformed version string",
                         LC_SPAN_ARG(lc_buf_span(&quoted)));
            lc_buf_deinit(&quoted);
            return LC_E_INVALID;
        }
        if (found && this_major != major)
            return lc_error_set(
                err, LC_E_INVALID,
                "module cannot depend on both major version %u and major version %u", major,
                this_major);
        found = true;
        major = this_major;
        if (this_minor > minor) minor = this_minor;
    }
    if (!found)
        return lc_error_set(
            err, LC_E_INVALID,
            "unable to determine ABI of module (may be on an spacetime version < 0.8)");
    if (major != ABI_MAJOR || minor > ABI_MINOR)
        return lc_error_set(err, LC_E_INVALID,
                            "abi version %u.%u is not supported (host implements %d.%d)", major,
                            minor, ABI_MAJOR, ABI_MINOR);
    return LC_OK;
}

/* ----------------------------------------------------------------- exports */

/* Types as letters: i = i32, l = i64. */
static bool valtypes_are(const wasm_valtype_vec_t *types, const char *letters)
{
    if (types->size != strlen(letters)) return false;
    for (size_t i = 0; i < types->size; i++) {
        wasmtime_valtype_t t;
        wasmtime_valtype_new(types->data[i], &t);
        uint8_t kind = t.kind;
        wasmtime_valtype_delete(&t);
        if (kind != (letters[i] == 'l' ? WASMTIME_VALTYPE_KIND_I64 : WASMTIME_VALTYPE_KIND_I32))
            return false;
    }
    return true;
}

static bool functype_is(const wasm_functype_t *type, const char *params, const char *results)
{
    return valtypes_are(wasm_functype_params(type), params) &&
           valtypes_are(wasm_functype_results(type), results);
}

static void print_letters(const char *what, const char *letters, lc_buf *out)
{
    if (!letters[0]) return;
    lc_buf_printf(out, " (%s", what);
    for (; *letters; letters++) lc_buf_put_str(out, *letters == 'l' ? " i64" : " i32");
    lc_buf_put_u8(out, ')');
}

typedef struct signature {
    const char *kind, *params, *results;
} signature;

/* The export must be a function of that signature. */
static lc_status check_export(const wasm_exporttype_t *export, lc_span name, signature want,
                              lc_error *err)
{
    const wasm_functype_t *type = wasm_externtype_as_functype_const(wasm_exporttype_type(export));
    if (type && functype_is(type, want.params, want.results)) return LC_OK;
    lc_buf expected = LC_BUF_INIT, quoted = LC_BUF_INIT, got = LC_BUF_INIT;
    lc_buf_put_str(&expected, "(func");
    print_letters("param", want.params, &expected);
    print_letters("result", want.results, &expected);
    lc_buf_put_u8(&expected, ')');
    lc_rust_debug(name, '\"', &quoted);
    if (type) {
        lc_functype_print(type, &got);
        lc_error_set(err, LC_E_INVALID,
                     "bad %s signature for " LC_SPAN_FMT "; expected " LC_SPAN_FMT
                     " got " LC_SPAN_FMT,
                     want.kind, LC_SPAN_ARG(lc_buf_span(&quoted)),
                     LC_SPAN_ARG(lc_buf_span(&expected)), LC_SPAN_ARG(lc_buf_span(&got)));
    } else {
        lc_error_set(err, LC_E_INVALID,
                     "expected " LC_SPAN_FMT " export to be a %s with signature " LC_SPAN_FMT
                     ", but it wasn't a function at all",
                     LC_SPAN_ARG(lc_buf_span(&quoted)), want.kind,
                     LC_SPAN_ARG(lc_buf_span(&expected)));
    }
    lc_buf_deinit(&expected);
    lc_buf_deinit(&quoted);
    lc_buf_deinit(&got);
    return LC_E_INVALID;
}

static const wasm_exporttype_t *find_export(const wasm_exporttype_vec_t *exports, const char *name)
{
    for (size_t i = 0; i < exports->size; i++)
        if (lc_span_equal_str(name_span(wasm_exporttype_name(exports->data[i])), name))
            return exports->data[i];
    return NULL;
}

static int compare_names(const void *a, const void *b)
{
    return lc_span_compare(*(const lc_span *)a, *(const lc_span *)b);
}

static lc_status check_exports(lc_program *p, const wasm_exporttype_vec_t *exports, lc_error *err)
{
    static const struct {
        const char *name;
        signature want;
        bool is_required;
    } known[] = {
        {"__call_reducer__", {"call_reducer", "illlllllii", "i"}, true},
        {"__describe_module__", {"describe_module", "i", ""}, true},
        {"__setup__", {"setup", "i", "i"}, false},
        {"__call_procedure__", {"call_procedure", "illlllllii", "i"}, false},
        {"__call_view__", {"call_view", "illllii", "i"}, false},
        {"__call_view_anon__", {"call_view_anon", "iii", "i"}, false},
        {"__call_http_handler__", {"call_http_handler", "iliiii", "i"}, false},
    };
    static const size_t before_preinits = 3;

    const wasm_exporttype_t *memory = find_export(exports, "memory");
    if (!memory || wasm_externtype_kind(wasm_exporttype_type(memory)) != WASM_EXTERN_MEMORY)
        return lc_error_set(
            err, LC_E_INVALID,
            "there should be a memory export called \"memory\" but it does not exist");

    for (size_t k = 0; k < LC_ARRAY_LEN(known); k++) {
        for (size_t i = 0; k == before_preinits && i < exports->size; i++) {
            lc_span name = name_span(wasm_exporttype_name(exports->data[i]));
            if (!starts_with(name, PREINIT)) continue;
            size_t skip = sizeof PREINIT - 1;
            lc_status status =
                check_export(exports->data[i], LC_SPAN(name.ptr + skip, name.len - skip),
                             (signature){"preinit", "", ""}, err);
            if (status != LC_OK) return status;
            lc_vec_push(&p->preinits, LC_SPAN(lc_memdup(name.ptr, name.len), name.len));
        }
        const wasm_exporttype_t *export = find_export(exports, known[k].name);
        if (!export) {
            if (!known[k].is_required) continue;
            return lc_error_set(err, LC_E_INVALID,
                                "there should be a function called \"%s\" but it does not exist",
                                known[k].name);
        }
        lc_status status = check_export(export, lc_span_of_str(known[k].name), known[k].want, err);
        if (status != LC_OK) return status;
    }
    if (p->preinits.len)
        qsort(p->preinits.items, p->preinits.len, sizeof *p->preinits.items, compare_names);
    p->has_setup = find_export(exports, "__setup__") != NULL;

    const wasm_exporttype_t *initialize = find_export(exports, "_initialize");
    const wasm_functype_t *type =
        initialize ? wasm_externtype_as_functype_const(wasm_exporttype_type(initialize)) : NULL;
    p->has_initialize = type && functype_is(type, "", "");
    return LC_OK;
}

/* ---------------------------------------------------------------- operators */

/* A cursor over a module that the engine has validated; running past the end only stops it. */
typedef struct cursor {
    lc_span bytes;
    size_t at;
} cursor;

static uint32_t read_leb(cursor *c)
{
    uint32_t value = 0;
    for (unsigned shift = 0; c->at < c->bytes.len; shift += 7) {
        uint8_t byte = c->bytes.ptr[c->at++];
        if (shift < 32) value |= (uint32_t)(byte & 0x7f) << shift;
        if (byte < 0x80) break;
    }
    return value;
}

static void skip_valtype(cursor *c)
{
    uint8_t tag = c->at < c->bytes.len ? c->bytes.ptr[c->at++] : 0;
    if (tag == 0x63 || tag == 0x64) read_leb(c); /* (ref null? heap-type) */
}

/* Notes where the operators of each function begin: behind the declarations of its locals. */
static void find_operators(lc_program *p, lc_span bytes)
{
    enum { CODE_SECTION = 10 };
    for (cursor c = {bytes, 8}; c.at < bytes.len;) {
        uint8_t id = bytes.ptr[c.at++];
        uint32_t size = read_leb(&c);
        size_t end = c.at + size;
        if (id == CODE_SECTION) {
            uint32_t count = read_leb(&c);
            for (uint32_t i = 0; i < count && c.at < bytes.len; i++) {
                uint32_t body = read_leb(&c);
                size_t next = c.at + body;
                uint32_t groups = read_leb(&c);
                for (uint32_t g = 0; g < groups && c.at < next; g++) {
                    read_leb(&c);
                    skip_valtype(&c);
                }
                lc_vec_push(&p->first_operators, (uint32_t)c.at);
                c.at = next;
            }
            return;
        }
        c.at = end;
    }
}

/* -------------------------------------------------------------------- load */

static void program_free(lc_program *p)
{
    if (p->linked) wasmtime_instance_pre_delete(p->linked);
    if (p->module) wasmtime_module_delete(p->module);
    LC_VEC_EACH (name, &p->preinits) lc_free((void *)name->ptr);
    lc_vec_deinit(&p->preinits);
    lc_vec_deinit(&p->first_operators);
    lc_free(p);
}

static lc_status fail_with(wasmtime_error_t *error, lc_error *err)
{
    char *text = lc_wasm_error_text(error);
    lc_error_set(err, LC_E_INVALID, "%s", text);
    lc_free(text);
    return LC_E_INVALID;
}

static lc_status compile(lc_program *p, lc_span bytes, lc_error *err)
{
    p->module = lc_code_cache_load(p->engine, p->hash);
    if (p->module) return LC_OK;
    wasmtime_error_t *error =
        wasmtime_module_new(p->engine->wasm, bytes.ptr, bytes.len, &p->module);
    if (error) {
        p->module = NULL;
        return fail_with(error, err);
    }
    lc_code_cache_store(p->engine, p->hash, p->module);
    return LC_OK;
}

static lc_status check(lc_program *p, lc_error *err)
{
    wasm_importtype_vec_t imports;
    wasmtime_module_imports(p->module, &imports);
    lc_status status = check_version(&imports, err);
    for (size_t i = 0; i < imports.size; i++)
        p->imported_functions +=
            wasm_externtype_kind(wasm_importtype_type(imports.data[i])) == WASM_EXTERN_FUNC;
    wasm_importtype_vec_delete(&imports);
    if (status != LC_OK) return status;

    wasmtime_error_t *error =
        wasmtime_linker_instantiate_pre(p->engine->linker, p->module, &p->linked);
    if (error) {
        p->linked = NULL;
        return fail_with(error, err);
    }

    wasm_exporttype_vec_t exports;
    wasmtime_module_exports(p->module, &exports);
    status = check_exports(p, &exports, err);
    wasm_exporttype_vec_delete(&exports);
    return status;
}

/* A loaded program of that hash, with one more reference. The lock is held. */
static lc_program *find_loaded(lc_engine *e, const uint8_t hash[32])
{
    lc_program *p = lc_map_get(&e->programs, LC_SPAN(hash, 32));
    if (p) atomic_fetch_add(&p->refs, 1);
    return p;
}

lc_status lc_program_load(lc_engine *e, lc_span bytes, lc_program **out, lc_error *err)
{
    lc_program *p = lc_alloc_zero(sizeof *p);
    p->engine = e;
    p->refs = 1;
    lc_program_hash(bytes, p->hash);

    pthread_mutex_lock(&e->lock);
    lc_program *loaded = find_loaded(e, p->hash);
    pthread_mutex_unlock(&e->lock);
    if (!loaded) {
        lc_status status = compile(p, bytes, err);
        if (status == LC_OK) status = check(p, err);
        if (status != LC_OK) {
            program_free(p);
            return status;
        }
        find_operators(p, bytes);
        pthread_mutex_lock(&e->lock);
        loaded = find_loaded(e, p->hash);
        if (!loaded) {
            lc_map_put(&e->programs, LC_SPAN(p->hash, 32), p);
            loaded = p;
        }
        pthread_mutex_unlock(&e->lock);
    }
    if (loaded != p) program_free(p);
    *out = loaded;
    return LC_OK;
}

lc_program *lc_program_ref(lc_program *p)
{
    atomic_fetch_add(&p->refs, 1);
    return p;
}

void lc_program_unref(lc_program *p)
{
    if (!p) return;
    lc_engine *e = p->engine;
    /* The last reference goes under the lock, so that nobody finds a program that is being freed.
     */
    pthread_mutex_lock(&e->lock);
    bool is_last = atomic_fetch_sub(&p->refs, 1) == 1;
    if (is_last) lc_map_remove(&e->programs, LC_SPAN(p->hash, 32));
    pthread_mutex_unlock(&e->lock);
    if (is_last) program_free(p);
}
