/* Cursor over untrusted BSATN, with the reference's error texts (01 section 2). */
#include "sats_internal.h"

#include <inttypes.h>

lc_reader lc_reader_of(lc_span s, lc_error *err)
{
    /* Never NULL, so that pointer arithmetic on an empty input stays defined. */
    const uint8_t *at = s.ptr ? s.ptr : (const uint8_t *)"";
    return (lc_reader){.at = at, .end = at + s.len, .err = err};
}

static void fail(lc_reader *r, lc_status code, const char *fmt, va_list args)
{
    if (r->failed) return;
    r->failed = true;
    if (!r->err) return;
    lc_buf text = LC_BUF_INIT;
    lc_buf_vprintf(&text, fmt, args);
    lc_error_set(r->err, code, LC_SPAN_FMT, LC_SPAN_ARG(text));
    lc_buf_deinit(&text);
}

lc_status lc_read_fail(lc_reader *r, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fail(r, LC_E_INVALID, fmt, args);
    va_end(args);
    return LC_E_INVALID;
}

lc_status lc_read_fail_limit(lc_reader *r, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fail(r, LC_E_LIMIT, fmt, args);
    va_end(args);
    return LC_E_LIMIT;
}

/* Consumes n bytes; NULL and failed when there are fewer. */
static inline const uint8_t *take(lc_reader *r, size_t n, const char *what)
{
    if (LC_UNLIKELY(r->failed)) return NULL;
    size_t left = (size_t)(r->end - r->at);
    if (LC_UNLIKELY(left < n)) {
        lc_read_fail(r, "data too short for %s: Expected %zu, given %zu", what, n, left);
        return NULL;
    }
    const uint8_t *at = r->at;
    r->at += n;
    return at;
}

uint8_t lc_read_u8(lc_reader *r)
{
    const uint8_t *p = take(r, 1, "u8");
    return p ? *p : 0;
}

uint16_t lc_read_u16(lc_reader *r)
{
    const uint8_t *p = take(r, 2, "u16");
    return p ? lc_load_u16(p) : 0;
}

uint32_t lc_read_u32(lc_reader *r)
{
    const uint8_t *p = take(r, 4, "u32");
    return p ? lc_load_u32(p) : 0;
}

uint64_t lc_read_u64(lc_reader *r)
{
    const uint8_t *p = take(r, 8, "u64");
    return p ? lc_load_u64(p) : 0;
}

bool lc_read_bool(lc_reader *r)
{
    const uint8_t *p = take(r, 1, "u8");
    if (!p) return false;
    if (*p > 1) {
        r->at--;
        lc_read_fail(r, "byte %u not valid as `bool` (must be 0 or 1)", *p);
        return false;
    }
    return *p;
}

void lc_read_scalar(lc_reader *r, lc_type_kind kind)
{
    static const char *const names[LC_TYPE_F64 + 1] = {
        [LC_TYPE_I8] = "i8",     [LC_TYPE_U8] = "u8",     [LC_TYPE_I16] = "i16",
        [LC_TYPE_U16] = "u16",   [LC_TYPE_I32] = "i32",   [LC_TYPE_U32] = "u32",
        [LC_TYPE_I64] = "i64",   [LC_TYPE_U64] = "u64",   [LC_TYPE_I128] = "i128",
        [LC_TYPE_U128] = "u128", [LC_TYPE_I256] = "i256", [LC_TYPE_U256] = "u256",
        [LC_TYPE_F32] = "u32",   [LC_TYPE_F64] = "u64", /* floats travel as their bits */
    };
    take(r, lc_kind_size(kind), names[kind]);
}

lc_span lc_read_fixed(lc_reader *r, size_t n)
{
    const uint8_t *p = take(r, n, "[u8; _]");
    return p ? LC_SPAN(p, n) : LC_SPAN_EMPTY;
}

lc_span lc_read_bytes(lc_reader *r)
{
    const uint8_t *start = r->at;
    uint32_t n = lc_read_u32(r);
    const uint8_t *p = take(r, n, "[u8]");
    if (!p) {
        r->at = start;
        return LC_SPAN_EMPTY;
    }
    return LC_SPAN(p, n);
}

lc_span lc_read_string(lc_reader *r)
{
    const uint8_t *start = r->at;
    lc_span s = lc_read_bytes(r);
    if (!r->failed && LC_UNLIKELY(!lc_utf8_valid(s))) {
        r->at = start;
        lc_read_fail(r, "invalid utf8");
        return LC_SPAN_EMPTY;
    }
    return s;
}

uint8_t lc_read_tag(lc_reader *r, uint32_t count, const char *name)
{
    const uint8_t *p = take(r, 1, "u8");
    if (!p) return 0;
    if (*p >= count) {
        r->at--;
        lc_read_fail(r, "unknown tag 0x%x for sum type %s", *p, name);
        return 0;
    }
    return *p;
}

bool lc_read_option(lc_reader *r)
{
    uint8_t tag = lc_read_tag(r, 2, "option");
    return !r->failed && tag == 0;
}

uint32_t lc_read_count(lc_reader *r, size_t min_size)
{
    const uint8_t *start = r->at;
    uint32_t n = lc_read_u32(r);
    size_t left = (size_t)(r->end - r->at);
    if (!r->failed && min_size && n > left / min_size) {
        r->at = start;
        lc_read_fail(r, "data too short for [u8]: Expected %" PRIu64 ", given %zu",
                     (uint64_t)n * min_size, left);
        return 0;
    }
    return n;
}
