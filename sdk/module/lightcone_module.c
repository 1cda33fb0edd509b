/*
 * Runtime of a C module: what include/lightcone/module.h declares and does not define inline. It is
 * compiled together with the author's files (README.md beside this file) and talks to the server
 * through the imports below and nothing else.
 *
 * Parts: imports, arena, text, log and errors, services, rows, iterators, definition, calls,
 * what a C library would have.
 */
#include <lightcone/module.h>

/* ------------------------------------------------------------------ imports
 * Each name lives in exactly one namespace. What a module does not use is not imported, so it asks
 * for no newer server than it needs. */

#define IMPORT(minor, name, result, ...)                                                           \
    __attribute__((import_module("spacetime_10." #minor),                                          \
                   import_name(#name))) extern result host_##__VA_ARGS__;

/* clang-format off */
IMPORT(0, table_id_from_name, uint32_t, table_id(const char *, uint32_t, uint32_t *))
IMPORT(0, index_id_from_name, uint32_t, index_id(const char *, uint32_t, uint32_t *))
IMPORT(0, datastore_table_row_count, uint32_t, row_count(uint32_t, uint64_t *))
IMPORT(0, datastore_table_scan_bsatn, uint32_t, table_scan(uint32_t, uint32_t *))
IMPORT(0, datastore_index_scan_range_bsatn, uint32_t,
       range_scan(uint32_t, const uint8_t *, uint32_t, uint32_t, const uint8_t *, uint32_t,
                  const uint8_t *, uint32_t, uint32_t *))
IMPORT(0, datastore_delete_by_index_scan_range_bsatn, uint32_t,
       range_delete(uint32_t, const uint8_t *, uint32_t, uint32_t, const uint8_t *, uint32_t,
                    const uint8_t *, uint32_t, uint32_t *))
IMPORT(0, datastore_delete_all_by_eq_bsatn, uint32_t,
       delete_equal(uint32_t, const uint8_t *, uint32_t, uint32_t *))
IMPORT(0, row_iter_bsatn_advance, int32_t, iter_advance(uint32_t, uint8_t *, uint32_t *))
IMPORT(0, row_iter_bsatn_close, uint32_t, iter_close(uint32_t))
IMPORT(0, datastore_insert_bsatn, uint32_t, insert(uint32_t, uint8_t *, uint32_t *))
IMPORT(0, datastore_update_bsatn, uint32_t, update(uint32_t, uint32_t, uint8_t *, uint32_t *))
IMPORT(0, bytes_source_read, int32_t, source_read(uint32_t, uint8_t *, uint32_t *))
IMPORT(0, bytes_sink_write, uint32_t, sink_write(uint32_t, const uint8_t *, uint32_t *))
IMPORT(0, console_log, void,
       console_log(uint32_t, const char *, uint32_t, const char *, uint32_t, uint32_t,
                   const char *, uint32_t))
IMPORT(0, identity, void, identity(lc_identity *))
IMPORT(2, get_jwt, uint32_t, get_jwt(const lc_connection_id *, uint32_t *))
IMPORT(4, datastore_index_scan_point_bsatn, uint32_t,
       point_scan(uint32_t, const uint8_t *, uint32_t, uint32_t *))
IMPORT(4, datastore_delete_by_index_scan_point_bsatn, uint32_t,
       point_delete(uint32_t, const uint8_t *, uint32_t, uint32_t *))
IMPORT(5, datastore_clear, uint32_t, clear(uint32_t, uint64_t *))
/* clang-format on */

/* Answers of the functions that read in pieces. */
enum { MORE = 0, EXHAUSTED = -1, TOO_SMALL = 11 };

/* -------------------------------------------------------------------- arena
 * One bump pointer from the end of the static data to the end of memory. It is the only memory
 * there is, and its free part doubles as buffer for everything that is used up at once. */

enum { PAGE = 65536, GROW_PAGES = 16 };

extern uint8_t __heap_base;
uint8_t *lc_x_top, *lc_x_limit;

static void arena_reset(void)
{
    uint32_t pages = (uint32_t)__builtin_wasm_memory_size(0);
    /* All 4 GiB would be a limit of 2^32: leave the last page alone. */
    lc_x_limit = (uint8_t *)(uintptr_t)((pages < PAGE ? pages : PAGE - 1) * (uint32_t)PAGE);
    lc_x_top = (uint8_t *)(((uintptr_t)&__heap_base + 15) & ~(uintptr_t)15);
}

[[gnu::noinline]] void lc_x_grow(uint32_t n)
{
    uint32_t missing = n - (uint32_t)(lc_x_limit - lc_x_top);
    uint32_t pages = missing / PAGE + (missing % PAGE != 0);
    uint32_t more = pages < GROW_PAGES ? GROW_PAGES : pages;
    if (__builtin_wasm_memory_grow(0, more) == (size_t)-1) {
        more = pages;
        if (__builtin_wasm_memory_grow(0, more) == (size_t)-1)
            lc_panic("out of memory: %u bytes more are not to be had", n);
    }
    uint8_t *top = lc_x_top;
    arena_reset();
    lc_x_top = top;
    if ((uint32_t)(lc_x_limit - lc_x_top) < n) lc_panic("out of memory: all 4 GiB are used");
}

void *lc_alloc(size_t n)
{
    if (n > UINT32_MAX - 15) lc_panic("out of memory: %zu bytes are not to be had", n);
    void *p = lc_x_scratch((uint32_t)n + 15);
    lc_x_keep((uint32_t)n);
    return p;
}

void *lc_x_alloc_array(uint32_t count, uint32_t size)
{
    uint32_t n;
    if (__builtin_mul_overflow(count, size, &n))
        lc_panic("an array of %u elements is too big", count);
    return lc_alloc(n);
}

lc_mark_t lc_mark(void)
{
    return (lc_mark_t){lc_x_top};
}

void lc_release(lc_mark_t mark)
{
    if (mark.at <= lc_x_top) lc_x_top = mark.at;
}

/* --------------------------------------------------------------------- text */

/* Output that grows at the top of the arena. */
[[gnu::noinline]] static void put(const void *from, uint32_t n)
{
    memcpy(lc_x_scratch(n), from, n);
    lc_x_top += n;
}
static void put_char(char c)
{
    *lc_x_scratch(1) = (uint8_t)c;
    lc_x_top++;
}

typedef struct form {
    bool left, zero;
    char sign;                /* what stands before a number that is not negative, or 0 */
    int32_t width, precision; /* precision < 0: not given */
} form;

static void put_padded(const form *f, const char *text, uint32_t n)
{
    int32_t pad = f->width - (int32_t)n;
    if (!f->left)
        for (; pad > 0; pad--) put_char(' ');
    put(text, n);
    for (; pad > 0; pad--) put_char(' ');
}

/* `digits` stand at the end of a buffer that has room for the sign and 64 zeros before them. */
static void put_number(const form *f, char *digits, uint32_t n, bool negative, int32_t zeros)
{
    if (zeros > 64) zeros = 64;
    char sign = negative ? '-' : f->sign;
    if (f->zero && !f->left && zeros < f->width - (sign != 0))
        zeros = f->width - (sign != 0) < 64 ? f->width - (sign != 0) : 64;
    for (; (int32_t)n < zeros; n++) *--digits = '0';
    if (sign) {
        *--digits = sign;
        n++;
    }
    put_padded(f, digits, n);
}

static void put_integer(const form *f, uint64_t v, bool negative, uint32_t base, bool upper)
{
    char buffer[160], *p = buffer + sizeof buffer;
    uint32_t n = 0;
    for (; v || (!n && f->precision != 0); v /= base, n++)
        *--p = (upper ? "0123456789ABCDEF" : "0123456789abcdef")[v % base];
    form g = *f;
    if (f->precision >= 0) g.zero = false;
    put_number(&g, p, n, negative, f->precision);
}

/* Fixed notation; powers of ten from 1e18 on. The last digits of numbers above 2^53 and beyond 17
 * places are not exact, which is enough for a log. */
static void put_float(const form *f, double v)
{
    bool negative = __builtin_signbit(v);
    if (negative) v = -v;
    char buffer[192], *end = buffer + sizeof buffer, *p = end;
    form g = *f;
    if (!(v < __builtin_inf())) {
        g.zero = false;
        p -= 3;
        memcpy(p, v == v ? "inf" : "nan", 3);
        put_number(&g, p, 3, negative, 0);
        return;
    }
    uint32_t places = f->precision < 0 ? 6 : f->precision > 17 ? 17 : (uint32_t)f->precision;
    uint32_t exponent = 0;
    if (v >= 1e18)
        for (; v >= 10; v /= 10) exponent++;
    uint64_t scale = 1;
    for (uint32_t i = 0; i < places; i++) scale *= 10;
    uint64_t whole = (uint64_t)v;
    uint64_t part = (uint64_t)((v - (double)whole) * (double)scale + 0.5);
    if (part >= scale) {
        part -= scale;
        whole++;
    }
    if (exponent) {
        for (uint32_t x = exponent; x; x /= 10) *--p = (char)('0' + x % 10);
        *--p = '+';
        *--p = 'e';
    }
    for (uint32_t i = 0; i < places; i++, part /= 10) *--p = (char)('0' + part % 10);
    if (places) *--p = '.';
    do *--p = (char)('0' + whole % 10);
    while (whole /= 10);
    put_number(&g, p, (uint32_t)(end - p), negative, 0);
}

[[gnu::noinline]] lc_str lc_vfmt(const char *format, va_list args)
{
    uint8_t *start = lc_x_scratch(16);
    for (const char *s = format; *s; s++) {
        if (*s != '%') {
            put_char(*s);
            continue;
        }
        form f = {.precision = -1};
        for (s++;; s++) {
            if (*s == '-')
                f.left = true;
            else if (*s == '0')
                f.zero = true;
            else if (*s == '+')
                f.sign = '+';
            else if (*s == ' ')
                f.sign = f.sign ? f.sign : ' ';
            else
                break;
        }
        if (*s == '*') {
            f.width = va_arg(args, int);
            if (f.width < 0) f.left = true, f.width = -f.width;
            s++;
        } else {
            for (; *s >= '0' && *s <= '9'; s++) f.width = f.width * 10 + (*s - '0');
        }
        if (*s == '.') {
            f.precision = 0;
            if (*++s == '*') {
                f.precision = va_arg(args, int);
                s++;
            } else {
                for (; *s >= '0' && *s <= '9'; s++) f.precision = f.precision * 10 + (*s - '0');
            }
        }
        int longs = 0;
        for (; *s == 'l' || *s == 'h' || *s == 'z'; s++) longs += *s == 'l';
        switch (*s) {
        case 'd':
        case 'i': {
            int64_t v = longs > 1 ? va_arg(args, long long) : va_arg(args, int);
            put_integer(&f, v < 0 ? 0 - (uint64_t)v : (uint64_t)v, v < 0, 10, false);
            break;
        }
        case 'u':
        case 'x':
        case 'X':
        case 'o': {
            uint64_t v = longs > 1 ? va_arg(args, unsigned long long) : va_arg(args, unsigned);
            f.sign = 0;
            put_integer(&f, v, false, *s == 'u' ? 10 : *s == 'o' ? 8 : 16, *s == 'X');
            break;
        }
        case 'p': {
            f.sign = 0;
            f.precision = 8;
            put_integer(&f, (uintptr_t)va_arg(args, void *), false, 16, false);
            break;
        }
        case 'c': {
            char c = (char)va_arg(args, int);
            put_padded(&f, &c, 1);
            break;
        }
        case 's': {
            const char *text = va_arg(args, const char *);
            if (!text && f.precision) text = "(null)";
            uint32_t n = 0;
            while (n < (uint32_t)f.precision && text[n]) n++; /* a precision of -1 is no limit */
            put_padded(&f, text, n);
            break;
        }
        case 'e':
        case 'f':
        case 'g':
            put_float(&f, va_arg(args, double));
            break;
        case '%':
            put_char('%');
            break;
        default:
            lc_x_panic(nullptr, 0, "format \"%s\" is not understood", format);
        }
    }
    uint32_t n = (uint32_t)(lc_x_top - start);
    put_char(0);
    lc_x_top = start + ((n + 16) & ~15u);
    return (lc_str){(const char *)start, n};
}

lc_str lc_fmt(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    lc_str s = lc_vfmt(format, args);
    va_end(args);
    return s;
}

lc_str lc_identity_hex(lc_identity id)
{
    return lc_fmt("%016llx%016llx%016llx%016llx", id.w[3], id.w[2], id.w[1], id.w[0]);
}

uint8_t *lc_x_put_bytes_at(uint8_t *p, const void *from, uint32_t n)
{
    memcpy(p, &n, 4);
    p += 4;
    const uint8_t *f = from;
    /* memory.copy is a call into the engine, which most texts are too short for. */
    if (n <= 64) {
        uint32_t i = 0;
        for (; i + 8 <= n; i += 8) __builtin_memcpy(p + i, f + i, 8);
        for (; i < n; i++) p[i] = f[i];
    } else {
        memcpy(p, from, n);
    }
    return p + n;
}

/* ----------------------------------------------------------- log and errors */

static void log_line(lc_level level, const char *file, uint32_t line, lc_str message)
{
    lc_str name = file ? lc_cstr(file) : (lc_str){0};
    host_console_log(level, nullptr, 0, name.ptr, name.len, file ? line : UINT32_MAX, message.ptr,
                     message.len);
}

void lc_x_log(lc_level level, const char *file, uint32_t line, const char *format, ...)
{
    uint8_t *mark = lc_x_top;
    va_list args;
    va_start(args, format);
    log_line(level, file, line, lc_vfmt(format, args));
    va_end(args);
    lc_x_top = mark;
}

void lc_x_panic(const char *file, uint32_t line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    log_line(LC_LOG_PANIC, file, line, lc_vfmt(format, args));
    va_end(args);
    __builtin_trap();
}

void lc_x_short(void)
{
    lc_panic("encoded data ends too early: arguments or a row do not have the declared type");
}

void lc_x_bad_tag(void)
{
    lc_panic("a value of a sum type or of an enum has no such variant");
}

lc_result lc_x_error(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    lc_str s = lc_vfmt(format, args);
    va_end(args);
    return (lc_result){s.ptr, s.len};
}

static const char *failed_table; /* of the last errno that a table function returned */

lc_result lc_x_explain(lc_errno e)
{
    switch (e) {
    case LC_E_OK:
        return LC_OK;
    case LC_E_UNIQUE:
        return LC_ERR("%s: another row has this unique value", failed_table);
    case LC_E_SCHEDULE:
        return LC_ERR("%s: the appointment is too far away", failed_table);
    case LC_E_NO_SUCH_ROW:
        return LC_ERR("%s: no row with this key", failed_table);
    case LC_E_AUTO_INC:
        return LC_ERR("%s: no numbers left", failed_table);
    }
    return LC_ERR("error %d", (int)e);
}

/* A failure that the author's program may go on after, or a panic. */
static lc_errno failed(const lc_x_table *t, const char *what, uint32_t code)
{
    switch (code) {
    case LC_E_UNIQUE:
    case LC_E_SCHEDULE:
    case LC_E_NO_SUCH_ROW:
    case LC_E_AUTO_INC:
        failed_table = t->name;
        return (lc_errno)code;
    }
    lc_panic("%s of table %s failed with error %u", what, t->name, code);
}
static void must(const lc_x_table *t, const char *what, uint32_t code)
{
    if (code)
        (void)failed(t, what, code), lc_panic("%s of table %s failed: %u", what, t->name, code);
}

/* ----------------------------------------------------------------- services */

static lc_timestamp call_time;
static uint64_t random_state;
static uint32_t uuid_counter;

lc_timestamp lc_now(void)
{
    return call_time;
}

/* splitmix64 */
uint64_t lc_random(void)
{
    uint64_t z = random_state += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

uint64_t lc_random_below(uint64_t n)
{
    if (n < 2) return 0;
    uint64_t uneven = (0 - n) % n; /* 2^64 mod n: that many values would come too often */
    for (;;) {
        uint64_t r = lc_random();
        if (r >= uneven) return r % n;
    }
}

double lc_random_f64(void)
{
    return (double)(lc_random() >> 11) * 0x1p-53;
}

/* From and to the 16 bytes in the order of the text form, which is big-endian. */
static lc_uuid uuid_of(const uint8_t b[16])
{
    lc_uuid u = {0};
    for (int i = 0; i < 16; i++) u.w[i < 8] |= (uint64_t)b[i] << (8 * (7 - i % 8));
    return u;
}

lc_uuid lc_uuid_v4(void)
{
    uint64_t high = lc_random(), low = lc_random();
    return (lc_uuid){{(low & ~(3ull << 62)) | 2ull << 62, (high & ~0xf000ull) | 0x4000}};
}

lc_uuid lc_uuid_v7(void)
{
    uint64_t ms = (uint64_t)call_time.micros / 1000, r = lc_random();
    uint32_t c = uuid_counter++ & 0x7fffffff;
    uint8_t b[16] = {
        (uint8_t)(ms >> 40),
        (uint8_t)(ms >> 32),
        (uint8_t)(ms >> 24),
        (uint8_t)(ms >> 16),
        (uint8_t)(ms >> 8),
        (uint8_t)ms,
        0x70,
        (uint8_t)(c >> 23),
        0x80,
        (uint8_t)(c >> 15),
        (uint8_t)(c >> 7),
        (uint8_t)(c << 1),
        (uint8_t)(r & 0x7f),
        (uint8_t)(r >> 8),
        (uint8_t)(r >> 16),
        (uint8_t)(r >> 24),
    };
    return uuid_of(b);
}

lc_identity lc_database_identity(void)
{
    lc_identity id;
    host_identity(&id);
    return id;
}

/* The whole content of a source, in the arena. */
static lc_bytes read_source(uint32_t source)
{
    uint32_t n = 0, want = 4096;
    for (;; want = n + PAGE) {
        uint8_t *start = lc_x_scratch(want);
        uint32_t len = (uint32_t)(lc_x_limit - start) - n;
        int32_t rc = host_source_read(source, start + n, &len);
        n += len;
        if (rc == EXHAUSTED) {
            lc_x_keep(n);
            return (lc_bytes){start, n};
        }
        if (rc != MORE) lc_panic("reading a source failed with error %d", rc);
    }
}

lc_str lc_jwt(lc_connection_id connection)
{
    uint32_t source = 0;
    uint32_t code = host_get_jwt(&connection, &source);
    if (code) lc_panic("get_jwt failed with error %u", code);
    if (!source) return (lc_str){0};
    lc_bytes b = read_source(source);
    return (lc_str){(const char *)b.ptr, b.len};
}

static void write_sink(uint32_t sink, const void *from, uint32_t n)
{
    for (const uint8_t *p = from; n;) {
        uint32_t len = n, code = host_sink_write(sink, p, &len);
        if (code) lc_panic("writing to a sink failed with error %u", code);
        p += len;
        n -= len;
    }
}

/* --------------------------------------------------------------------- rows */

static uint32_t column_number(const lc_x_type *row, uint32_t offset)
{
    uint32_t i = 0;
    while (row->fields[i].offset != offset) i++;
    return i;
}

/* {table}_{column}_{column}_idx_{kind}: what the other languages call it, too. */
static lc_str index_name(const lc_x_table *t, const lc_x_attr *ix)
{
    uint8_t *start = lc_x_scratch(16);
    lc_str table = lc_cstr(t->name);
    put(table.ptr, table.len);
    for (uint32_t i = 0; i < ix->count; i++) {
        lc_str column = lc_cstr(t->row->fields[column_number(t->row, ix->columns[i])].name);
        put_char('_');
        put(column.ptr, column.len);
    }
    lc_str kind = ix->flags & LC_X_FLAG_hash     ? LC_S("_idx_hash")
                  : ix->flags & LC_X_FLAG_direct ? LC_S("_idx_direct")
                                                 : LC_S("_idx_btree");
    put(kind.ptr, kind.len);
    return (lc_str){(const char *)start, (uint32_t)(lc_x_top - start)};
}

static uint32_t table_id(lc_x_table *t)
{
    if (!t->id) {
        lc_str name = lc_cstr(t->name);
        uint32_t code = host_table_id(name.ptr, name.len, &t->id);
        if (code) lc_panic("no table %s: error %u", t->name, code);
    }
    return t->id;
}

/* `end` is where the free part of the arena really begins: the key before it is still needed. */
static uint32_t index_id(const lc_x_table *t, lc_x_attr *ix, const uint8_t *end)
{
    if (!ix->id) {
        uint8_t *top = lc_x_top;
        lc_x_top = (uint8_t *)end;
        lc_str name = index_name(t, ix);
        uint32_t code = host_index_id(name.ptr, name.len, &ix->id);
        if (code) lc_panic("no index %.*s: error %u", LC_ARG(name), code);
        lc_x_top = top;
    }
    return ix->id;
}

static uint32_t integer_size(lc_x_kind kind)
{
    return 1u << ((kind - 6) / 2); /* tags 6..17: i8 u8 i16 u16 ... i256 u256 */
}

/* After an insert or update the server has written over the start of the encoded row the numbers it
 * generated, in the order of the columns: one for each auto_inc column that was 0. */
static void take_generated(const lc_x_table *t, const uint8_t *p, uint8_t *row)
{
    for (uint32_t i = 0; i < t->row->count; i++) {
        const lc_x_field *f = &t->row->fields[i];
        for (lc_x_attr *const *a = t->attrs; *a; a++) {
            if (!((*a)->flags & LC_X_FLAG_auto_inc) || (*a)->columns[0] != f->offset) continue;
            uint32_t n = integer_size(f->type->kind);
            uint8_t nonzero = 0;
            for (uint32_t k = 0; k < n; k++) nonzero |= row[f->offset + k];
            if (nonzero) continue;
            memcpy(row + f->offset, p, n);
            p += n;
        }
    }
}

lc_errno lc_x_insert(lc_x_table *t, uint8_t *encoded, uint32_t len, void *row)
{
    uint32_t code = host_insert(table_id(t), encoded, &len);
    if (code) return failed(t, "insert", code);
    if (len) take_generated(t, encoded, row);
    return LC_E_OK;
}

lc_errno lc_x_update(lc_x_table *t, lc_x_attr *ix, uint8_t *encoded, uint32_t len, void *row)
{
    uint32_t index = index_id(t, ix, encoded + len);
    uint32_t code = host_update(table_id(t), index, encoded, &len);
    if (code) return failed(t, "update", code);
    if (len) take_generated(t, encoded, row);
    return LC_E_OK;
}

bool lc_x_delete_row(lc_x_table *t, const uint8_t *relation, uint32_t len)
{
    uint32_t n = 0;
    must(t, "delete", host_delete_equal(table_id(t), relation, len, &n));
    return n != 0;
}

uint64_t lc_x_count(lc_x_table *t)
{
    uint64_t n = 0;
    must(t, "count", host_row_count(table_id(t), &n));
    return n;
}

uint64_t lc_x_clear(lc_x_table *t)
{
    uint64_t n = 0;
    must(t, "clear", host_clear(table_id(t), &n));
    return n;
}

uint32_t lc_x_point_delete(lc_x_table *t, lc_x_attr *ix, const uint8_t *key, uint32_t len)
{
    uint32_t n = 0, index = index_id(t, ix, key + len);
    must(t, "delete", host_point_delete(index, key, len, &n));
    return n;
}

uint32_t lc_x_range_delete(lc_x_table *t, lc_x_attr *ix, uint32_t equal, const uint8_t *p,
                           const uint8_t *lower, const uint8_t *upper, const uint8_t *end)
{
    uint32_t n = 0, index = index_id(t, ix, end);
    must(t, "delete",
         host_range_delete(index, p, (uint32_t)(lower - p), equal, lower, (uint32_t)(upper - lower),
                           upper, (uint32_t)(end - upper), &n));
    return n;
}

/* ---------------------------------------------------------------- iterators
 * The server hands out rows in chunks of about 32 KiB, as many whole ones as fit into the buffer. A
 * scan fetches at once, so that the usual small result is complete, and its iterator closed, before
 * the first row is looked at. */

enum { FIRST_FETCH = 65536, NEXT_FETCH = 262144, OPEN_MAX = 64 };

static uint32_t open_iters[OPEN_MAX], open_count;

static void iter_opened(uint32_t handle)
{
    if (open_count == OPEN_MAX)
        lc_panic("%d iterators are open: close those of loops that are left early", OPEN_MAX);
    open_iters[open_count++] = handle;
}

static void iter_closed(uint32_t handle)
{
    for (uint32_t i = open_count; i--;) {
        if (open_iters[i] != handle) continue;
        open_iters[i] = open_iters[--open_count];
        return;
    }
}

/* One fetch into the free part of the arena or into the iterator's own buffer. */
static void fetch(lc_x_iter *it, uint32_t want)
{
    for (;;) {
        uint8_t *to = it->buffer ? it->buffer : lc_x_scratch(want);
        uint32_t n = it->buffer ? it->capacity : (uint32_t)(lc_x_limit - to);
        if (it->recycle && !it->buffer && n > want) n = want;
        uint32_t room = n;
        int32_t rc = host_iter_advance(it->handle, to, &n);
        if (rc == TOO_SMALL) {
            it->buffer = nullptr;
            want = n;
            continue;
        }
        if (rc != MORE && rc != EXHAUSTED) lc_panic("reading rows failed with error %d", rc);
        it->pos = to;
        it->end = to + n;
        if (rc == EXHAUSTED) {
            iter_closed(it->handle);
            it->handle = 0;
            if (!it->buffer) lc_x_keep(n);
        } else if (it->recycle && !it->buffer) {
            it->buffer = to;
            it->capacity = room;
            lc_x_keep(room);
        } else if (!it->buffer) {
            lc_x_keep(n);
        }
        return;
    }
}

static lc_x_iter iter_of(uint32_t handle, bool recycle)
{
    lc_x_iter it = {.handle = handle, .recycle = recycle};
    iter_opened(handle);
    fetch(&it, FIRST_FETCH);
    return it;
}

bool lc_x_refill(lc_x_iter *it)
{
    while (it->handle) {
        /* The buffer of the first fetch is small: most scans never come here. */
        if (it->recycle && it->buffer && it->capacity < NEXT_FETCH) it->buffer = nullptr;
        fetch(it, NEXT_FETCH);
        if (it->pos != it->end) return true;
    }
    return false;
}

void lc_x_close(lc_x_iter *it)
{
    if (it->handle) {
        iter_closed(it->handle);
        host_iter_close(it->handle);
    }
    it->handle = 0;
    it->pos = it->end;
}

lc_x_iter lc_x_scan(lc_x_table *t, bool recycle)
{
    uint32_t handle = 0;
    must(t, "scan", host_table_scan(table_id(t), &handle));
    return iter_of(handle, recycle);
}

lc_x_iter lc_x_point(lc_x_table *t, lc_x_attr *ix, const uint8_t *key, uint32_t len, bool recycle)
{
    uint32_t handle = 0, index = index_id(t, ix, key + len);
    must(t, "scan", host_point_scan(index, key, len, &handle));
    return iter_of(handle, recycle);
}

lc_x_iter lc_x_range(lc_x_table *t, lc_x_attr *ix, uint32_t equal, const uint8_t *p,
                     const uint8_t *lower, const uint8_t *upper, const uint8_t *end, bool recycle)
{
    uint32_t handle = 0, index = index_id(t, ix, end);
    must(t, "scan",
         host_range_scan(index, p, (uint32_t)(lower - p), equal, lower, (uint32_t)(upper - lower),
                         upper, (uint32_t)(end - upper), &handle));
    return iter_of(handle, recycle);
}

uint32_t lc_x_find(lc_x_table *t, lc_x_attr *ix, const uint8_t *key, uint32_t len)
{
    uint32_t handle = 0, index = index_id(t, ix, key + len);
    must(t, "lookup", host_point_scan(index, key, len, &handle));
    for (uint32_t want = FIRST_FETCH;;) {
        uint8_t *to = lc_x_scratch(want);
        uint32_t n = (uint32_t)(lc_x_limit - to);
        int32_t rc = host_iter_advance(handle, to, &n);
        if (rc == EXHAUSTED) return n;
        if (rc != TOO_SMALL) lc_panic("lookup in table %s failed with error %d", t->name, rc);
        want = n;
    }
}

/* --------------------------------------------------------------- definition
 * RawModuleDef V10, written from the descriptors. */

#define SCALAR(T, tag) const lc_x_type lc_x_type_##T = {.kind = (lc_x_kind)tag};
#define SPECIAL(T, element, tag)                                                                   \
    const lc_x_type lc_x_type_##T = {.kind = LC_X_SPECIAL, .inner = tag, .name = element};
enum { REF = 0, SUM = 1, PRODUCT = 2, I64 = 12, U128 = 15, U256 = 17 };
/* clang-format off */
SCALAR(bool, 5)  SCALAR(i8, 6)    SCALAR(u8, 7)    SCALAR(i16, 8)   SCALAR(u16, 9)  SCALAR(i32, 10)
SCALAR(u32, 11)  SCALAR(i64, 12)  SCALAR(u64, 13)  SCALAR(i128, 14) SCALAR(u128, 15)
SCALAR(i256, 16) SCALAR(u256, 17) SCALAR(f32, 18)  SCALAR(f64, 19)
SCALAR(string, LC_X_STRING) SCALAR(unit, LC_X_UNIT) SCALAR(schedule_at, LC_X_SCHEDULE_AT)
SPECIAL(identity, "__identity__", U256)
SPECIAL(connection_id, "__connection_id__", U128)
SPECIAL(timestamp, "__timestamp_micros_since_unix_epoch__", I64)
SPECIAL(duration, "__time_duration_micros__", I64)
SPECIAL(uuid, "__uuid__", U128)
    /* clang-format on */
    const lc_x_type lc_x_type_bytes = {.kind = LC_X_ARRAY, .element = &lc_x_type_u8};

extern lc_x_table *const __start_lc_tables[] __attribute__((weak));
extern lc_x_table *const __stop_lc_tables[] __attribute__((weak));
extern const lc_x_reducer *const __start_lc_reducers[] __attribute__((weak));
extern const lc_x_reducer *const __stop_lc_reducers[] __attribute__((weak));
#define EACH_TABLE(p)                                                                              \
    for (lc_x_table *const *p = __start_lc_tables; p < __stop_lc_tables; p++)                      \
        if (!is_repeated(p))
#define EACH_REDUCER(p)                                                                            \
    for (const lc_x_reducer *const *p = __start_lc_reducers; p < __stop_lc_reducers; p++)

static bool same(const char *a, const char *b)
{
    return lc_str_eq(lc_cstr(a), lc_cstr(b));
}

/* A table in a header is declared once by each file that includes it. */
static bool is_repeated(lc_x_table *const *p)
{
    for (lc_x_table *const *q = __start_lc_tables; q < p; q++)
        if (same((*q)->name, (*p)->name) && same((*q)->row->name, (*p)->row->name)) return true;
    return false;
}

/* The named types in use, in the order in which they were met. */
static const lc_x_type *first_type, *last_type;
static uint32_t type_count;

static void check_same_shape(const lc_x_type *a, const lc_x_type *b)
{
    bool equal = a->kind == b->kind && a->count == b->count;
    for (uint32_t i = 0; equal && i < a->count; i++)
        equal = same(a->fields[i].name, b->fields[i].name);
    if (!equal) lc_panic("type %s is declared in two different ways", a->name);
}

static void collect(const lc_x_type *t)
{
    if (t->kind == LC_X_ARRAY || t->kind == LC_X_OPTION) collect(t->element);
    if ((t->kind != LC_X_PRODUCT && t->kind != LC_X_SUM) || t->slot->number) return;
    for (const lc_x_type *u = first_type; u; u = u->slot->next) {
        if (!same(u->name, t->name)) continue;
        check_same_shape(t, u);
        t->slot->number = u->slot->number;
        return;
    }
    t->slot->number = ++type_count;
    if (last_type)
        last_type->slot->next = t;
    else
        first_type = t;
    last_type = t;
    for (uint32_t i = 0; i < t->count; i++) collect(t->fields[i].type);
}

static void put_u8(uint8_t v)
{
    put(&v, 1);
}
static void put_u16(uint16_t v)
{
    put(&v, 2);
}
static void put_u32(uint32_t v)
{
    put(&v, 4);
}
static void put_none(void)
{
    put_u8(1);
}
static void put_some(void)
{
    put_u8(0);
}
static void put_str(lc_str s)
{
    put_u32(s.len);
    put(s.ptr, s.len);
}
static void put_name(const char *s)
{
    put_str(lc_cstr(s));
}
static void put_unit(void)
{
    put_u8(PRODUCT);
    put_u32(0);
}

static void put_type(const lc_x_type *t)
{
    switch (t->kind) {
    case LC_X_ARRAY:
        put_u8(LC_X_ARRAY);
        put_type(t->element);
        break;
    case LC_X_PRODUCT:
    case LC_X_SUM:
        put_u8(REF);
        put_u32(t->slot->number - 1);
        break;
    case LC_X_OPTION:
        put_u8(SUM);
        put_u32(2);
        put_some();
        put_name("some");
        put_type(t->element);
        put_some();
        put_name("none");
        put_unit();
        break;
    case LC_X_SPECIAL:
        put_u8(PRODUCT);
        put_u32(1);
        put_some();
        put_name(t->name);
        put_u8(t->inner);
        break;
    case LC_X_SCHEDULE_AT:
        put_u8(SUM);
        put_u32(2);
        put_some();
        put_name("Interval");
        put_type(&lc_x_type_duration);
        put_some();
        put_name("Time");
        put_type(&lc_x_type_timestamp);
        break;
    case LC_X_UNIT:
        put_unit();
        break;
    default:
        put_u8(t->kind);
    }
}

static void put_members(const lc_x_field *f, uint32_t n)
{
    put_u32(n);
    for (uint32_t i = 0; i < n; i++) {
        put_some();
        put_name(f[i].name);
        put_type(f[i].type);
    }
}

static uint16_t column_of(const lc_x_table *t, uint32_t offset)
{
    return (uint16_t)column_number(t->row, offset);
}

static void put_columns(const lc_x_table *t, const lc_x_attr *a)
{
    put_u32(a->count);
    for (uint32_t i = 0; i < a->count; i++) put_u16(column_of(t, a->columns[i]));
}

/* A list whose length is known only when it has been written. */
static uint32_t *begin_list(void)
{
    uint8_t *at = lc_x_scratch(4);
    put_u32(0);
    return (uint32_t *)at;
}
static void count_item(uint32_t *list)
{
    uint32_t n;
    memcpy(&n, list, 4);
    n++;
    memcpy(list, &n, 4);
}

#define EACH_ATTR(t, a, condition)                                                                 \
    for (lc_x_attr *const *a = (t)->attrs; *a; a++)                                                \
        if (condition)

static void put_table(const lc_x_table *t)
{
    put_name(t->name);
    put_u32(t->row->slot->number - 1);

    bool has_key = false, is_event = false;
    EACH_ATTR(t, a, (*a)->flags & LC_X_PRIMARY)
    {
        has_key = true;
        put_columns(t, *a);
    }
    if (!has_key) put_u32(0);

    uint32_t *list = begin_list();
    EACH_ATTR(t, a, (*a)->what == LC_X_INDEX)
    {
        count_item(list);
        put_some();
        uint8_t *length = lc_x_scratch(4);
        put_u32(0);
        lc_str name = index_name(t, *a);
        memcpy(length, &name.len, 4);
        put_some();
        put_name((*a)->name);
        if ((*a)->flags & LC_X_FLAG_direct) {
            put_u8(2);
            put_u16(column_of(t, (*a)->columns[0]));
        } else {
            put_u8((*a)->flags & LC_X_FLAG_hash ? 1 : 0);
            put_columns(t, *a);
        }
    }
    list = begin_list();
    EACH_ATTR(t, a, (*a)->flags & LC_X_UNIQUE)
    {
        count_item(list);
        put_none();
        put_u8(0);
        put_columns(t, *a);
    }
    list = begin_list();
    EACH_ATTR(t, a, (*a)->flags & LC_X_FLAG_auto_inc)
    {
        lc_i128 increment = 1;
        count_item(list);
        put_none();
        put_u16(column_of(t, (*a)->columns[0]));
        put_none(); /* start, minimum, maximum: as usual */
        put_none();
        put_none();
        put(&increment, sizeof increment);
    }
    put_u8(1); /* a table of the user, not of the system */
    put_u8((uint8_t)t->access);
    list = begin_list();
    EACH_ATTR(t, a, (*a)->what == LC_X_DEFAULT)
    {
        count_item(list);
        put_u16(column_of(t, (*a)->columns[0]));
        /* The expression may use the arena: put the end of the output back each time. */
        uint8_t *top = lc_x_top;
        uint32_t n = (*a)->value(nullptr);
        lc_x_top = top;
        put_u32(n);
        top = lc_x_scratch(n) + n;
        lc_x_top = top;
        (*a)->value(top - n);
        lc_x_top = top;
    }
    EACH_ATTR(t, a, (*a)->what == LC_X_EVENT) is_event = true;
    put_u8(is_event);
}

static bool is_scheduled(const lc_x_reducer *r)
{
    EACH_TABLE(t)
    EACH_ATTR(*t, a, (*a)->what == LC_X_SCHEDULE && same((*a)->name, r->name)) return true;
    return false;
}

static uint32_t param_count(const lc_x_reducer *r)
{
    uint32_t n = 0;
    while (r->params[n].name) n++;
    return n;
}

enum { SECTIONS = 7 };

__attribute__((export_name("__describe_module__"))) void lc_x_describe(uint32_t sink)
{
    arena_reset();
    EACH_TABLE(t) collect((*t)->row);
    for (lc_x_table *const *t = __start_lc_tables; t < __stop_lc_tables; t++) collect((*t)->row);
    EACH_REDUCER(r)
    for (uint32_t i = 0; i < param_count(*r); i++) collect((*r)->params[i].type);

    uint8_t *start = lc_x_scratch(16);
    put_u8(2); /* V10 */
    put_u32(SECTIONS);

    put_u8(0); /* typespace */
    put_u32(type_count);
    for (const lc_x_type *t = first_type; t; t = t->slot->next) {
        put_u8(t->kind == LC_X_SUM ? SUM : PRODUCT);
        put_members(t->fields, t->count);
    }
    put_u8(1); /* names of types */
    put_u32(type_count);
    for (const lc_x_type *t = first_type; t; t = t->slot->next) {
        put_u32(0); /* no scope */
        put_name(t->name);
        put_u32(t->slot->number - 1);
        put_u8(true); /* members stand in an order of their own */
    }
    put_u8(2); /* tables */
    uint32_t *list = begin_list();
    EACH_TABLE(t)
    {
        count_item(list);
        put_table(*t);
    }
    put_u8(3); /* reducers */
    list = begin_list();
    EACH_REDUCER(r)
    {
        count_item(list);
        put_name((*r)->name);
        put_members((*r)->params, param_count(*r));
        put_u8((*r)->role == LC_X_ROLE_PUBLIC && !is_scheduled(*r));
        put_unit();
        put_u8(LC_X_STRING);
    }
    put_u8(6); /* schedules */
    list = begin_list();
    EACH_TABLE(t)
    EACH_ATTR(*t, a, (*a)->what == LC_X_SCHEDULE)
    {
        count_item(list);
        put_none();
        put_name((*t)->name);
        put_u16(column_of(*t, (*a)->columns[0]));
        put_name((*a)->name);
    }
    put_u8(7); /* lifecycle */
    list = begin_list();
    EACH_REDUCER(r)
    {
        if ((*r)->role > LC_X_ROLE_DISCONNECTED) continue;
        count_item(list);
        put_u8((*r)->role);
        put_name((*r)->name);
    }
    put_u8(9); /* case policy: none */
    put_u8(0);
    write_sink(sink, start, (uint32_t)(lc_x_top - start));
}

/* -------------------------------------------------------------------- calls */

__attribute__((export_name("__call_reducer__"))) int32_t lc_x_call(uint32_t id, uint64_t s0,
                                                                   uint64_t s1, uint64_t s2,
                                                                   uint64_t s3, uint64_t c0,
                                                                   uint64_t c1, int64_t timestamp,
                                                                   uint32_t args, uint32_t error)
{
    arena_reset();
    call_time.micros = timestamp;
    random_state = (uint64_t)timestamp;
    uuid_counter = 0;
    lc_ctx ctx = {
        .sender = {{s0, s1, s2, s3}},
        .connection_id = {{c0, c1}},
        .has_connection = (c0 | c1) != 0,
        .timestamp = {timestamp},
    };
    if (id >= (uint32_t)(__stop_lc_reducers - __start_lc_reducers)) lc_panic("no reducer %u", id);
    lc_bytes in = args ? read_source(args) : (lc_bytes){0};
    lc_result r = __start_lc_reducers[id]->enter(&ctx, in.ptr, in.ptr + in.len);
    while (open_count) host_iter_close(open_iters[--open_count]);
    if (!r.text) return 0;
    write_sink(error, r.text, r.len);
    return 1;
}

/* --------------------------------------------- what a C library would have
 * The attribute makes these single instructions instead of calls to themselves. */

#define BULK __attribute__((target("bulk-memory")))
BULK void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
    return __builtin_memcpy(to, from, n);
}
BULK void *memmove(void *to, const void *from, size_t n)
{
    return __builtin_memmove(to, from, n);
}
BULK void *memset(void *to, int byte, size_t n)
{
    return __builtin_memset(to, byte, n);
}
int memcmp(const void *a, const void *b, size_t n)
{
    const uint8_t *p = a, *q = b;
    for (size_t i = 0; i < n; i++)
        if (p[i] != q[i]) return p[i] < q[i] ? -1 : 1;
    return 0;
}

/* The compiler calls these for 128-bit arithmetic. They must not use what they implement. */
typedef union ti {
    lc_u128 all;
    struct {
        uint64_t low, high;
    };
} ti;

lc_i128 __multi3(lc_i128 a, lc_i128 b)
{
    ti x = {.all = (lc_u128)a}, y = {.all = (lc_u128)b}, r;
    uint64_t al = (uint32_t)x.low, ah = x.low >> 32, bl = (uint32_t)y.low, bh = y.low >> 32;
    uint64_t ll = al * bl, lh = al * bh, hl = ah * bl, middle = (ll >> 32) + (uint32_t)lh + hl;
    r.low = (uint32_t)ll | middle << 32;
    r.high = ah * bh + (lh >> 32) + (middle >> 32) + x.high * y.low + x.low * y.high;
    return (lc_i128)r.all;
}

lc_i128 __ashlti3(lc_i128 a, int n)
{
    ti x = {.all = (lc_u128)a};
    if (n >= 64)
        x.high = x.low << (n - 64), x.low = 0;
    else if (n)
        x.high = x.high << n | x.low >> (64 - n), x.low <<= n;
    return (lc_i128)x.all;
}
lc_i128 __lshrti3(lc_i128 a, int n)
{
    ti x = {.all = (lc_u128)a};
    if (n >= 64)
        x.low = x.high >> (n - 64), x.high = 0;
    else if (n)
        x.low = x.low >> n | x.high << (64 - n), x.high >>= n;
    return (lc_i128)x.all;
}
lc_i128 __ashrti3(lc_i128 a, int n)
{
    ti x = {.all = (lc_u128)a};
    int64_t high = (int64_t)x.high;
    if (n >= 64)
        x.low = (uint64_t)(high >> (n - 64)), x.high = (uint64_t)(high >> 63);
    else if (n)
        x.low = x.low >> n | x.high << (64 - n), x.high = (uint64_t)(high >> n);
    return (lc_i128)x.all;
}

static lc_u128 divide(lc_u128 a, lc_u128 b, lc_u128 *rest)
{
    if (!b) lc_panic("division by zero");
    ti n = {.all = a}, q = {0};
    lc_u128 r = 0;
    for (int i = 127; i >= 0; i--) {
        r += r; /* a shift by one, without the functions above */
        if ((i < 64 ? n.low >> i : n.high >> (i - 64)) & 1) r += 1;
        if (r < b) continue;
        r -= b;
        if (i < 64)
            q.low |= 1ull << i;
        else
            q.high |= 1ull << (i - 64);
    }
    *rest = r;
    return q.all;
}
static lc_u128 magnitude(lc_i128 a)
{
    return a < 0 ? 0 - (lc_u128)a : (lc_u128)a;
}
lc_u128 __udivti3(lc_u128 a, lc_u128 b)
{
    lc_u128 rest;
    return divide(a, b, &rest);
}
lc_u128 __umodti3(lc_u128 a, lc_u128 b)
{
    lc_u128 rest;
    divide(a, b, &rest);
    return rest;
}
lc_i128 __divti3(lc_i128 a, lc_i128 b)
{
    lc_u128 rest, q = divide(magnitude(a), magnitude(b), &rest);
    return (lc_i128)((a < 0) == (b < 0) ? q : 0 - q);
}
lc_i128 __modti3(lc_i128 a, lc_i128 b)
{
    lc_u128 rest;
    divide(magnitude(a), magnitude(b), &rest);
    return (lc_i128)(a < 0 ? 0 - rest : rest);
}
