/*
 * lightcone/module.h - write a Lightcone module in C.
 *
 * A module is a set of tables and the reducers that change them. It is compiled to WebAssembly,
 * published to a server, and from then on lives inside the database: every reducer call is one
 * transaction, and every client that subscribed to a changed row hears of it.
 *
 *     #include <lightcone/module.h>
 *
 *     LC_STRUCT(Account, (u32, id), (i64, balance))
 *     LC_TABLE(accounts, Account, PUBLIC, (primary_key, id))
 *
 *     LC_REDUCER(deposit, (u32, id), (i64, amount))
 *     {
 *         Account a;
 *         if (!accounts_find_id(id, &a)) return LC_ERR("no account %u", id);
 *         a.balance += amount;
 *         LC_TRY(accounts_update(&a));
 *         return LC_OK;
 *     }
 *
 * `lightcone publish NAME FOLDER` compiles the folder's *.c files together with the runtime
 * (sdk/module/lightcone_module.c); the exact command line is in sdk/module/README.md. The language
 * is C23 as clang 19 speaks it, without a C library.
 *
 * Contents
 *   1  Types            LC_STRUCT LC_ENUM LC_SUM LC_OPTION LC_ARRAY
 *   2  Tables           LC_TABLE and the functions it makes
 *   3  Reducers         LC_REDUCER LC_INIT LC_CONNECTED LC_DISCONNECTED LC_OK LC_ERR LC_TRY
 *   4  Services         time, random numbers, identities, logging, text
 *   5  Memory           the arena of a call
 *   6  What goes wrong  errors, traps, limits
 *   7  Machinery        nothing in it is for authors (names beginning lc_x_ and LC_X_)
 *
 *
 * 1  Types
 * --------
 * A type is named by one token, used in declarations:
 *
 *     token                  C type           meaning
 *     bool                   bool
 *     i8 i16 i32 i64         int8_t ...       signed integers
 *     u8 u16 u32 u64         uint8_t ...      unsigned integers
 *     i128 u128              lc_i128 lc_u128  (__int128)
 *     i256 u256              lc_i256 lc_u256  four 64-bit words, lowest first; no arithmetic
 *     f32 f64                float double
 *     string                 lc_str           UTF-8 text { ptr, len }, not zero-terminated
 *     bytes                  lc_bytes         { ptr, len }
 *     identity               lc_identity      who calls; compare with lc_identity_eq
 *     connection_id          lc_connection_id
 *     timestamp              lc_timestamp     { micros } since 1970
 *     duration               lc_duration      { micros }
 *     uuid                   lc_uuid
 *     schedule_at            lc_schedule_at   lc_every(duration) or lc_at(timestamp)
 *     unit                   lc_unit          no value at all, for the empty variants of LC_SUM
 *     opt_T                  lc_opt(T)        { some, value }; made by lc_some(T, v), lc_none(T)
 *     array_T                lc_array(T)      { ptr, len }
 *
 * opt_ and array_ exist for every token above them. For your own types and for nested ones, say
 * LC_OPTION(T) or LC_ARRAY(T) once; nesting works by steps: LC_OPTION(array_u32) gives
 * opt_array_u32.
 *
 *     LC_STRUCT(Point, (f32, x), (f32, y))              struct Point { float x; float y; }
 *     LC_ENUM(Color, Red, Green)                        enum: Color_Red, Color_Green
 *     LC_SUM(Shape, (f32, Circle), (Point, Dot), (unit, Nothing))
 *         struct Shape { Shape_tag tag; union { float Circle; Point Dot; ... }; }
 *         with the tags Shape_Circle, Shape_Dot, Shape_Nothing
 *
 * Each defines a C type of that name and a token of that name. A declaration may stand in a header
 * that several files of the module include.
 *
 *
 * 2  Tables
 * ---------
 *     LC_TABLE(name, Row, PUBLIC or PRIVATE, attributes...)
 *
 * Row is an LC_STRUCT. PUBLIC rows can be read by every client, PRIVATE ones by the owner of the
 * database and by the module. Attributes, each in its own parentheses:
 *
 *     (primary_key, column, flags...)   unique, and rows are known to clients by it
 *     (unique, column, flags...)        no two rows with the same value
 *     (index, column, flags...)         an index that allows equal values
 *         flags, in any order: auto_inc   a 0 is replaced by the next number on insert
 *                              hash       only lookups by the exact key, no ranges
 *                              direct     an array indexed by the key: unsigned integers, enums
 *     (index_on, name, column, ...)     an ordered index on several columns
 *     (hash_on, name, column, ...)      the same without order
 *     (unique_on, name, column, ...)    ordered, and no two rows with the same combination
 *     (auto_inc, column)                numbers for a column that is not unique
 *     (default, column, value)          value of the column in old rows, when it is added later
 *     (schedule, column, reducer)       rows are appointments: at the time in `column` (of type
 *                                       schedule_at) the reducer is called with the row; the table
 *                                       needs a u64 primary key
 *     (event)                           rows exist only in the transaction that inserts them
 *
 * A table `t` with rows of type Row gets
 *
 *     lc_errno t_insert(Row *)          generated numbers are written into the row
 *     bool     t_delete_row(const Row *)   delete the row that is equal in all columns
 *     uint64_t t_count(void)
 *     uint64_t t_clear(void)            delete all rows; how many there were
 *     t_iter   t_scan(void)             all rows
 *     bool     t_next(t_iter *, Row *)  the next row, false at the end
 *     void     t_close(t_iter *)        only needed for a loop that is left early
 *
 * for a primary key or unique column `c` of type C also
 *
 *     bool     t_find_c(C, Row *)       false if there is none; the row may be nullptr
 *     bool     t_delete_c(C)
 *     lc_errno t_update_c(Row *)        replace the row that has the same c
 *     lc_errno t_update(Row *)          the same by the primary key
 *
 * for an index on column `c`
 *
 *     t_iter   t_by_c(C)                all rows with this value
 *     uint32_t t_delete_by_c(C)         delete them; how many there were
 *
 * for both (if not hash)
 *
 *     t_iter   t_range_c(lower, C, upper, C)
 *     uint32_t t_delete_range_c(lower, C, upper, C)
 *         lower is LC_FROM (>=), LC_AFTER (>) or LC_START (no bound, the value is ignored),
 *         upper is LC_UPTO (<=), LC_BELOW (<) or LC_END:
 *         person_range_age(LC_FROM, 18, LC_BELOW, 65)
 *
 * and for an index `ix` on the columns a, b, ...
 *
 *     t_iter   t_by_ix(a, b, ...)       t_delete_by_ix    (unique_on: t_find_ix, t_delete_ix,
 *                                                          t_update_ix)
 *     t_iter   t_prefix_ix(n, key)      rows whose first n columns are those of the key
 *     t_iter   t_range_ix(n, lower, key, upper, key)      t_delete_range_ix
 *         the first n columns equal those of the first key, column n+1 lies in the range;
 *         a key is a struct of the columns: (t_ix_key){ .a = 1, .b = LC_S("x") }
 *
 * LC_FOR(t, row, t_by_c(5)) { ... } declares `row` and runs the block for each; `break`, `continue`
 * and `return` do what they say.
 *
 * An iterator shows the table as it was when the scan began: rows inserted or deleted inside the
 * loop do not disturb it. Rows of a table scan come in no particular order; rows of a range come in
 * index order, except that those inserted by the running transaction may come first.
 *
 * Names. The definition asks the server to leave names alone (case policy "none"): tables, columns,
 * reducers, types and variants are called in SQL and in clients exactly as they are written here.
 * Modules of other languages have their names converted by default, so for equal names write
 * tables, columns and reducers in snake_case.
 *
 *
 * 3  Reducers
 * -----------
 *     LC_REDUCER(name, (type, argument), ...) { body }
 *
 * defines `lc_result name(const lc_ctx *ctx, C-type argument, ...)`: an ordinary function that
 * other reducers may call, and that clients call by its name. Inside the body the arguments are
 * ordinary parameters and `ctx` tells the circumstances:
 *
 *     ctx->sender          identity of the caller; for scheduled calls that of the database
 *     ctx->connection_id   and ctx->has_connection: false for scheduled calls
 *     ctx->timestamp       the time of the call; the same as lc_now()
 *
 *     return LC_OK;                        commit
 *     return LC_ERR("no account %u", id);  undo everything; the caller gets the text (printf style)
 *     LC_TRY(expression);                  return its error, if it is one: for the lc_errno of
 *                                          table functions and the lc_result of reducers
 *
 *     LC_INIT(name) { }          runs once, when the database is created
 *     LC_CONNECTED(name) { }     a client came; an error refuses it
 *     LC_DISCONNECTED(name) { }  a client went, for whatever reason
 *     LC_REDUCER_PRIVATE(name, ...)   callable by the owner of the database only
 *
 *
 * 4  Services
 * -----------
 *     lc_now()                                     time of the call
 *     lc_micros(n) lc_millis(n) lc_seconds(n)      durations
 *     lc_time_add(timestamp, duration)
 *     lc_random() lc_random_below(n) lc_random_f64()   repeatable: seeded by the time of the call;
 *                                                  no secrets
 *     lc_uuid_v4() lc_uuid_v7()
 *     lc_database_identity()
 *     lc_jwt(connection_id)                        payload of the caller's token (JSON), or empty
 *     lc_error(fmt, ...) lc_warn lc_info lc_debug lc_trace    lines of the module's log
 *     lc_panic(fmt, ...)                           log and trap
 *     LC_S("literal") lc_cstr(ptr) lc_str_eq(a, b) lc_fmt(fmt, ...) lc_identity_hex(id)
 *
 * Format strings follow printf and are checked by the compiler: %d %i %u %x %X %o %c %s %p %f %%
 * with flags (- 0 + space), width, precision, * and the lengths hh h l ll z. For an lc_str write
 * "%.*s" with LC_ARG(text).
 *
 *
 * 5  Memory
 * ---------
 * There is no malloc and no free. lc_alloc(n), and everything that returns text or rows, takes
 * memory from an arena that is emptied at the start of the next call, so nothing has to be freed
 * and nothing may be kept: global and static variables must not hold pointers from a call, and the
 * instance that holds them may be replaced between any two calls. Keep state in tables.
 *
 * Strings and bytes of arguments and of rows point into the arena and stay valid until the end of
 * the call. A loop over very many rows with text therefore uses as much memory as the rows; set
 * `it.x.recycle = true` on its iterator to reuse one buffer, then the texts of a row are valid only
 * until the next row. lc_mark() and lc_release(mark) give back what was allocated between them,
 * including the buffers of iterators that were opened meanwhile.
 *
 *
 * 6  What goes wrong
 * ------------------
 * lc_errno of insert and update (a compiler warning reminds you to look at it):
 *     LC_E_UNIQUE           another row has this unique value
 *     LC_E_NO_SUCH_ROW      update: there is no row with this key
 *     LC_E_SCHEDULE         the appointment is too far away
 *     LC_E_AUTO_INC         the column has no numbers left
 * They do not end the call: the reducer may go on and commit the rest.
 *
 * Everything else that fails is a fault of the program: it is logged with level panic, the call is
 * undone, its caller sees a fatal error, and the instance is replaced.
 *
 * Wrong types are errors at compile time: rows of another table, keys of another type, iterators of
 * another table, unknown columns, appointments for a reducer that takes something else, pointers or
 * fractions where a number is wanted, and numbers of 64 bits where 32 are wanted. For that, this
 * header turns some warnings of clang into errors.
 *
 * Limits: 300 columns, arguments, attributes or variants in one declaration (enums and sums: 256
 * variants, as in the wire format); 64 iterators open at a time; text must be UTF-8.
 */
#ifndef LIGHTCONE_MODULE_H
#define LIGHTCONE_MODULE_H

#if !defined(__clang__) || !defined(__wasm32__) || __STDC_VERSION__ < 202000L
#error "compile modules with clang-19 --target=wasm32 -std=c23 (see sdk/module/README.md)"
#endif

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

/* A mistake that would store wrong data must not pass as a warning. */
#pragma clang diagnostic error "-Wincompatible-pointer-types"
#pragma clang diagnostic error "-Wint-conversion"
#pragma clang diagnostic error "-Wenum-conversion"
#pragma clang diagnostic error "-Wfloat-conversion"
#pragma clang diagnostic error "-Wshorten-64-to-32"
#pragma clang diagnostic error "-Wconstant-conversion"
#pragma clang diagnostic error "-Wformat"
#pragma clang diagnostic error "-Wreturn-type"
#pragma clang diagnostic error "-Wimplicit-function-declaration"

/* Laid out by hand from here on: most of it is macros. */
/* clang-format off */

/* ---------------------------------------------------------------- 1  Types */

typedef __int128 lc_i128;
typedef unsigned __int128 lc_u128;
typedef struct lc_u256 { uint64_t w[4]; } lc_u256;
typedef struct lc_i256 { uint64_t w[4]; } lc_i256;
typedef struct lc_str { const char *ptr; uint32_t len; } lc_str;
typedef struct lc_bytes { const uint8_t *ptr; uint32_t len; } lc_bytes;
typedef struct lc_identity { uint64_t w[4]; } lc_identity;           /* lowest word first */
typedef struct lc_connection_id { uint64_t w[2]; } lc_connection_id; /* lowest word first */
typedef struct lc_timestamp { int64_t micros; } lc_timestamp;
typedef struct lc_duration { int64_t micros; } lc_duration;
typedef struct lc_uuid { uint64_t w[2]; } lc_uuid;                   /* lowest word first */
typedef struct lc_unit { uint8_t nothing; } lc_unit;

typedef enum lc_schedule_kind : uint8_t { LC_EVERY, LC_AT } lc_schedule_kind;
typedef struct lc_schedule_at {
    lc_schedule_kind kind;
    union {
        lc_duration interval; /* LC_EVERY */
        lc_timestamp time;    /* LC_AT */
    };
} lc_schedule_at;

/* A literal as lc_str. It is also a valid initialiser of a static variable. */
#define LC_S(literal)        ((lc_str){ .ptr = "" literal, .len = sizeof(literal) - 1 })
/* The two arguments of "%.*s" for an lc_str. */
#define LC_ARG(text)         (int)(text).len, (text).ptr

#define lc_opt(T)            lc_t_opt_##T
#define lc_array(T)          lc_t_array_##T
#define lc_some(T, v)        ((lc_t_opt_##T){ .some = true, .value = (v) })
#define lc_none(T)           ((lc_t_opt_##T){ .some = false })

/* --------------------------------------------------------------- 3  Reducers */

/* Outcome of a reducer: text is null for success. */
typedef struct [[nodiscard]] lc_result {
    const char *text;
    uint32_t len;
} lc_result;

#define LC_OK                ((lc_result){ 0 })
#define LC_ERR(...)          lc_x_error(__VA_ARGS__)

/* Outcome of insert and update. */
typedef enum [[nodiscard]] lc_errno : int32_t {
    LC_E_OK = 0,
    LC_E_UNIQUE = 12,
    LC_E_SCHEDULE = 13,
    LC_E_NO_SUCH_ROW = 15,
    LC_E_AUTO_INC = 16,
} lc_errno;

#define LC_TRY(expression)                                                                         \
    do {                                                                                           \
        __auto_type lc_x_tried = (expression);                                                     \
        lc_result lc_x_outcome =                                                                   \
            _Generic(lc_x_tried, lc_result: lc_x_same, lc_errno: lc_x_explain)(lc_x_tried);        \
        if (lc_x_outcome.text) return lc_x_outcome;                                                \
    } while (0)

/* Circumstances of a call. */
typedef struct lc_ctx {
    lc_identity sender;
    lc_connection_id connection_id; /* zero if there is none */
    bool has_connection;
    lc_timestamp timestamp;
} lc_ctx;

/* --------------------------------------------------------------- 4  Services */

lc_timestamp lc_now(void);
static inline lc_duration lc_micros(int64_t n) { return (lc_duration){ n }; }
static inline lc_duration lc_millis(int64_t n) { return (lc_duration){ n * 1000 }; }
static inline lc_duration lc_seconds(int64_t n) { return (lc_duration){ n * 1000000 }; }
static inline lc_timestamp lc_time_add(lc_timestamp t, lc_duration d)
{
    return (lc_timestamp){ t.micros + d.micros };
}
static inline lc_schedule_at lc_every(lc_duration d)
{
    return (lc_schedule_at){ .kind = LC_EVERY, .interval = d };
}
static inline lc_schedule_at lc_at(lc_timestamp t)
{
    return (lc_schedule_at){ .kind = LC_AT, .time = t };
}

uint64_t lc_random(void);
uint64_t lc_random_below(uint64_t n); /* 0 .. n-1, each as likely as the others; 0 for n = 0 */
double lc_random_f64(void);           /* 0 <= x < 1 */
lc_uuid lc_uuid_v4(void);
lc_uuid lc_uuid_v7(void); /* ordered by time of creation */

lc_identity lc_database_identity(void);
lc_str lc_jwt(lc_connection_id connection);

/* Levels of the log. */
typedef enum lc_level : uint32_t {
    LC_LOG_ERROR, LC_LOG_WARN, LC_LOG_INFO, LC_LOG_DEBUG, LC_LOG_TRACE, LC_LOG_PANIC = 101
} lc_level;

#define lc_error(...)        lc_x_log(LC_LOG_ERROR, __FILE_NAME__, __LINE__, __VA_ARGS__)
#define lc_warn(...)         lc_x_log(LC_LOG_WARN, __FILE_NAME__, __LINE__, __VA_ARGS__)
#define lc_info(...)         lc_x_log(LC_LOG_INFO, __FILE_NAME__, __LINE__, __VA_ARGS__)
#define lc_debug(...)        lc_x_log(LC_LOG_DEBUG, __FILE_NAME__, __LINE__, __VA_ARGS__)
#define lc_trace(...)        lc_x_log(LC_LOG_TRACE, __FILE_NAME__, __LINE__, __VA_ARGS__)
#define lc_panic(...)        lc_x_panic(__FILE_NAME__, __LINE__, __VA_ARGS__)

/* Text in the arena; zero-terminated beyond its length. */
[[gnu::format(printf, 1, 2)]] lc_str lc_fmt(const char *format, ...);
[[gnu::format(printf, 1, 0)]] lc_str lc_vfmt(const char *format, va_list args);
lc_str lc_identity_hex(lc_identity id); /* 64 digits, as clients and SQL show it */
static inline lc_str lc_cstr(const char *s)
{
    uint32_t n = 0;
    while (s[n]) n++;
    return (lc_str){ s, n };
}

/* The usual four, since there is no C library. */
void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int byte, size_t n);
int memcmp(const void *a, const void *b, size_t n);

static inline bool lc_str_eq(lc_str a, lc_str b)
{
    return a.len == b.len && !memcmp(a.ptr, b.ptr, a.len);
}
static inline bool lc_identity_eq(lc_identity a, lc_identity b)
{
    return a.w[0] == b.w[0] && a.w[1] == b.w[1] && a.w[2] == b.w[2] && a.w[3] == b.w[3];
}
static inline bool lc_connection_id_eq(lc_connection_id a, lc_connection_id b)
{
    return a.w[0] == b.w[0] && a.w[1] == b.w[1];
}
static inline bool lc_uuid_eq(lc_uuid a, lc_uuid b)
{
    return a.w[0] == b.w[0] && a.w[1] == b.w[1];
}

/* ----------------------------------------------------------------- 5  Memory */

typedef struct lc_mark_t { uint8_t *at; } lc_mark_t;

/* Memory of this call, aligned to 16 bytes, content undefined. Never null: a call that asks for
 * more than there is traps. */
[[gnu::malloc, gnu::alloc_size(1)]] void *lc_alloc(size_t n);
lc_mark_t lc_mark(void);
void lc_release(lc_mark_t mark);

/* -------------------------------------------------- 2  Tables: what is typed by hand */

typedef enum lc_lower : uint8_t { LC_START, LC_FROM, LC_AFTER } lc_lower;
typedef enum lc_upper : uint8_t { LC_END, LC_UPTO, LC_BELOW } lc_upper;

#define LC_FOR(table, row, rows)                                                                   \
    for (table##_row row, *lc_x_once_##row = &row; lc_x_once_##row; lc_x_once_##row = nullptr)     \
        for ([[gnu::cleanup(table##_close)]] table##_iter lc_x_it_##row = (rows);                  \
             table##_next(&lc_x_it_##row, &row);)

/* ==================================================================== 7  Machinery
 *
 * A declaration becomes three things: C types, `static inline` functions that encode and decode
 * them (so that a row costs a handful of loads and stores), and constant descriptors that
 * __describe_module__ turns into the definition. Tables and reducers are found through two linker
 * sections of pointers.
 *
 * For every token T there are
 *     lc_t_T                    the C type
 *     lc_x_len_T(&v)            length of its encoding
 *     lc_x_put_T(p, &v)         encode at p, return the end
 *     lc_x_get_T(p, end, &v)    decode, return the end; traps on short input
 *     lc_x_borrows_T            1 if a decoded value may point into arena memory
 *     lc_x_type_T               descriptor
 */

[[gnu::format(printf, 1, 2)]] lc_result lc_x_error(const char *format, ...);
static inline lc_result lc_x_same(lc_result r) { return r; }
lc_result lc_x_explain(lc_errno e);
[[gnu::format(printf, 4, 5)]]
void lc_x_log(lc_level level, const char *file, uint32_t line, const char *format, ...);
[[noreturn, gnu::cold, gnu::format(printf, 3, 4)]]
void lc_x_panic(const char *file, uint32_t line, const char *format, ...);
[[noreturn, gnu::cold]] void lc_x_short(void);   /* encoded data ends too early */
[[noreturn, gnu::cold]] void lc_x_bad_tag(void); /* no such variant */

/* ---- the arena: [lc_x_top, lc_x_limit) is free */
extern uint8_t *lc_x_top, *lc_x_limit;
void lc_x_grow(uint32_t n);
/* n free bytes that stay free: good until the next use of the arena */
static inline uint8_t *lc_x_scratch(uint32_t n)
{
    if ((uint32_t)(lc_x_limit - lc_x_top) < n) lc_x_grow(n);
    return lc_x_top;
}
static inline void lc_x_keep(uint32_t n) { lc_x_top += (n + 15) & ~15u; }

/* ---- descriptors */
typedef enum lc_x_kind : uint8_t { /* below 32: the tag of the type in the wire format */
    LC_X_ARRAY = 3, LC_X_STRING = 4, LC_X_PRODUCT = 32, LC_X_SUM, LC_X_OPTION, LC_X_SPECIAL,
    LC_X_SCHEDULE_AT, LC_X_UNIT
} lc_x_kind;
typedef struct lc_x_type lc_x_type;
typedef struct lc_x_field { const char *name; const lc_x_type *type; uint32_t offset; } lc_x_field;
typedef struct lc_x_slot { const lc_x_type *next; uint32_t number; } lc_x_slot; /* number in the
    typespace, from 1; 0: not used */
struct lc_x_type {
    lc_x_kind kind;
    uint8_t inner;            /* special: tag of the only element */
    uint16_t count;           /* product, sum: members */
    const char *name;         /* product, sum: of the type; special: of the element */
    const lc_x_field *fields; /* product, sum */
    const lc_x_type *element; /* array, option */
    lc_x_slot *slot;          /* product, sum */
};

/* ---- scalars */
#define LC_X_FN [[maybe_unused]] static inline
static inline void lc_x_need(const uint8_t *p, const uint8_t *end, uint32_t n)
{
    if ((uint32_t)(end - p) < n) lc_x_short();
}
#define LC_X_CODEC(T, size)                                                                        \
    enum { lc_x_borrows_##T = 0 };                                                                 \
    extern const lc_x_type lc_x_type_##T;                                                          \
    LC_X_FN uint32_t lc_x_len_##T([[maybe_unused]] const lc_t_##T *v) { return size; }       \
    LC_X_FN uint8_t *lc_x_put_##T(uint8_t *p, const lc_t_##T *v)                             \
    { __builtin_memcpy(p, v, size); return p + (size); }                                           \
    LC_X_FN const uint8_t *lc_x_get_##T(const uint8_t *p, const uint8_t *end, lc_t_##T *v)   \
    { lc_x_need(p, end, size); __builtin_memcpy(v, p, size); return p + (size); }
#define LC_X_SCALAR(T, type) typedef type lc_t_##T; LC_X_CODEC(T, sizeof(type))
LC_X_SCALAR(i8, int8_t)   LC_X_SCALAR(u8, uint8_t)    LC_X_SCALAR(i16, int16_t)
LC_X_SCALAR(u16, uint16_t) LC_X_SCALAR(i32, int32_t)  LC_X_SCALAR(u32, uint32_t)
LC_X_SCALAR(i64, int64_t) LC_X_SCALAR(u64, uint64_t)  LC_X_SCALAR(i128, lc_i128)
LC_X_SCALAR(u128, lc_u128) LC_X_SCALAR(i256, lc_i256) LC_X_SCALAR(u256, lc_u256)
LC_X_SCALAR(f32, float)   LC_X_SCALAR(f64, double)    LC_X_SCALAR(identity, lc_identity)
LC_X_SCALAR(connection_id, lc_connection_id)          LC_X_SCALAR(timestamp, lc_timestamp)
LC_X_SCALAR(duration, lc_duration)                    LC_X_SCALAR(uuid, lc_uuid)
typedef lc_unit lc_t_unit;
LC_X_CODEC(unit, 0)

typedef bool lc_t_bool;
enum { lc_x_borrows_bool = 0 };
extern const lc_x_type lc_x_type_bool;
static inline uint32_t lc_x_len_bool([[maybe_unused]] const bool *v) { return 1; }
static inline uint8_t *lc_x_put_bool(uint8_t *p, const bool *v) { *p = *v; return p + 1; }
static inline const uint8_t *lc_x_get_bool(const uint8_t *p, const uint8_t *end, bool *v)
{ lc_x_need(p, end, 1); *v = *p != 0; return p + 1; }

typedef lc_schedule_at lc_t_schedule_at;
enum { lc_x_borrows_schedule_at = 0 };
extern const lc_x_type lc_x_type_schedule_at;
static inline uint32_t lc_x_len_schedule_at([[maybe_unused]] const lc_schedule_at *v) { return 9; }
static inline uint8_t *lc_x_put_schedule_at(uint8_t *p, const lc_schedule_at *v)
{ *p = v->kind; __builtin_memcpy(p + 1, &v->time, 8); return p + 9; }
static inline const uint8_t *lc_x_get_schedule_at(const uint8_t *p, const uint8_t *end,
                                                  lc_schedule_at *v)
{
    lc_x_need(p, end, 9);
    if (*p > LC_AT) lc_x_bad_tag();
    v->kind = (lc_schedule_kind)*p;
    __builtin_memcpy(&v->time, p + 1, 8);
    return p + 9;
}

/* ---- text and bytes: a decoded value points into the input */
uint8_t *lc_x_put_bytes_at(uint8_t *p, const void *from, uint32_t n);
#define LC_X_SPAN(T, type)                                                                         \
    typedef type lc_t_##T;                                                                         \
    enum { lc_x_borrows_##T = 1 };                                                                 \
    extern const lc_x_type lc_x_type_##T;                                                          \
    LC_X_FN uint32_t lc_x_len_##T(const type *v) { return 4 + v->len; }                      \
    LC_X_FN uint8_t *lc_x_put_##T(uint8_t *p, const type *v)                                 \
    { return lc_x_put_bytes_at(p, v->ptr, v->len); }                                               \
    LC_X_FN const uint8_t *lc_x_get_##T(const uint8_t *p, const uint8_t *end, type *v)       \
    {                                                                                              \
        p = lc_x_get_u32(p, end, &v->len);                                                         \
        lc_x_need(p, end, v->len);                                                                 \
        v->ptr = (typeof(v->ptr))p;                                                                \
        return p + v->len;                                                                         \
    }
LC_X_SPAN(string, lc_str)
LC_X_SPAN(bytes, lc_bytes)

/* ---- options and arrays */
#define LC_OPTION(T)                                                                               \
    typedef struct { bool some; lc_t_##T value; } lc_t_opt_##T;                                    \
    enum { lc_x_borrows_opt_##T = lc_x_borrows_##T };                                              \
    [[maybe_unused]] static const lc_x_type lc_x_type_opt_##T =                                    \
        { .kind = LC_X_OPTION, .element = &lc_x_type_##T };                                        \
    LC_X_FN uint32_t lc_x_len_opt_##T(const lc_t_opt_##T *v)                                 \
    { return v->some ? 1 + lc_x_len_##T(&v->value) : 1; }                                          \
    LC_X_FN uint8_t *lc_x_put_opt_##T(uint8_t *p, const lc_t_opt_##T *v)                     \
    { *p++ = !v->some; return v->some ? lc_x_put_##T(p, &v->value) : p; }                          \
    LC_X_FN const uint8_t *lc_x_get_opt_##T(const uint8_t *p, const uint8_t *end,            \
                                                  lc_t_opt_##T *v)                                 \
    {                                                                                              \
        lc_x_need(p, end, 1);                                                                      \
        if (*p > 1) lc_x_bad_tag();                                                                \
        v->some = !*p++;                                                                           \
        return v->some ? lc_x_get_##T(p, end, &v->value) : p;                                      \
    }

#define LC_ARRAY(T)                                                                                \
    typedef struct { const lc_t_##T *ptr; uint32_t len; } lc_t_array_##T;                          \
    enum { lc_x_borrows_array_##T = 1 };                                                           \
    [[maybe_unused]] static const lc_x_type lc_x_type_array_##T =                                  \
        { .kind = LC_X_ARRAY, .element = &lc_x_type_##T };                                         \
    LC_X_FN uint32_t lc_x_len_array_##T(const lc_t_array_##T *v)                             \
    {                                                                                              \
        uint32_t n = 4;                                                                            \
        for (uint32_t i = 0; i < v->len; i++) n += lc_x_len_##T(&v->ptr[i]);                       \
        return n;                                                                                  \
    }                                                                                              \
    LC_X_FN uint8_t *lc_x_put_array_##T(uint8_t *p, const lc_t_array_##T *v)                 \
    {                                                                                              \
        p = lc_x_put_u32(p, &v->len);                                                              \
        for (uint32_t i = 0; i < v->len; i++) p = lc_x_put_##T(p, &v->ptr[i]);                     \
        return p;                                                                                  \
    }                                                                                              \
    LC_X_FN const uint8_t *lc_x_get_array_##T(const uint8_t *p, const uint8_t *end,          \
                                                    lc_t_array_##T *v)                             \
    {                                                                                              \
        p = lc_x_get_u32(p, end, &v->len);                                                         \
        lc_t_##T *to = lc_x_alloc_array(v->len, sizeof *to);                                       \
        for (uint32_t i = 0; i < v->len; i++) p = lc_x_get_##T(p, end, &to[i]);                    \
        v->ptr = to;                                                                               \
        return p;                                                                                  \
    }
void *lc_x_alloc_array(uint32_t count, uint32_t size);

#define LC_X_BOTH(T) LC_OPTION(T) LC_ARRAY(T)
LC_X_BOTH(bool) LC_X_BOTH(i8) LC_X_BOTH(u8) LC_X_BOTH(i16) LC_X_BOTH(u16) LC_X_BOTH(i32)
LC_X_BOTH(u32) LC_X_BOTH(i64) LC_X_BOTH(u64) LC_X_BOTH(i128) LC_X_BOTH(u128) LC_X_BOTH(i256)
LC_X_BOTH(u256) LC_X_BOTH(f32) LC_X_BOTH(f64) LC_X_BOTH(string) LC_X_BOTH(bytes)
LC_X_BOTH(identity) LC_X_BOTH(connection_id) LC_X_BOTH(timestamp) LC_X_BOTH(duration)
LC_X_BOTH(uuid) LC_X_BOTH(schedule_at) LC_X_BOTH(unit)

/* ---- preprocessor loops
 *
 * LC_X_EACH(m, fixed, (a, b), (c), ...) expands to m(fixed, a, b) m(fixed, c) ...
 * LC_X_WORDS(m, fixed, a, b, ...)       expands to m(fixed, a) m(fixed, b) ...
 * A macro cannot be used inside its own expansion; that is why there are two of everything: WORDS
 * works inside EACH. 341 rounds are made. */
#define LC_X_PAREN ()
#define LC_X_UN(...) __VA_ARGS__
#define LC_X_CALL(m, ...) m(__VA_ARGS__)
#define LC_X_CALL2(m, ...) m(__VA_ARGS__)
#define LC_X_E1(...) __VA_ARGS__
#define LC_X_E2(...) LC_X_E1(LC_X_E1(LC_X_E1(LC_X_E1(__VA_ARGS__))))
#define LC_X_E3(...) LC_X_E2(LC_X_E2(LC_X_E2(LC_X_E2(__VA_ARGS__))))
#define LC_X_E4(...) LC_X_E3(LC_X_E3(LC_X_E3(LC_X_E3(__VA_ARGS__))))
#define LC_X_E5(...) LC_X_E4(LC_X_E4(LC_X_E4(LC_X_E4(__VA_ARGS__))))
#define LC_X_EACH(m, fixed, ...) __VA_OPT__(LC_X_E5(LC_X_EACH1(m, fixed, __VA_ARGS__)))
#define LC_X_EACH1(m, fixed, x, ...)                                                               \
    LC_X_CALL(m, fixed, LC_X_UN x) __VA_OPT__(LC_X_EACH2 LC_X_PAREN (m, fixed, __VA_ARGS__))
#define LC_X_EACH2() LC_X_EACH1
#define LC_X_F1(...) __VA_ARGS__
#define LC_X_F2(...) LC_X_F1(LC_X_F1(LC_X_F1(LC_X_F1(__VA_ARGS__))))
#define LC_X_F3(...) LC_X_F2(LC_X_F2(LC_X_F2(LC_X_F2(__VA_ARGS__))))
#define LC_X_F4(...) LC_X_F3(LC_X_F3(LC_X_F3(LC_X_F3(__VA_ARGS__))))
#define LC_X_F5(...) LC_X_F4(LC_X_F4(LC_X_F4(LC_X_F4(__VA_ARGS__))))
#define LC_X_WORDS(m, fixed, ...) __VA_OPT__(LC_X_F5(LC_X_WORDS1(m, fixed, __VA_ARGS__)))
#define LC_X_WORDS1(m, fixed, x, ...)                                                              \
    m(fixed, x) __VA_OPT__(LC_X_WORDS2 LC_X_PAREN (m, fixed, __VA_ARGS__))
#define LC_X_WORDS2() LC_X_WORDS1

/* ---- LC_STRUCT */
#define LC_X_S_DECL(S, T, n) lc_t_##T n;
#define LC_X_S_LEN(S, T, n)  + lc_x_len_##T(&v->n)
#define LC_X_S_PUT(S, T, n)  p = lc_x_put_##T(p, &v->n);
#define LC_X_S_GET(S, T, n)  p = lc_x_get_##T(p, end, &v->n);
#define LC_X_S_BOR(S, T, n)  | lc_x_borrows_##T
#define LC_X_S_DESC(S, T, n) { #n, &lc_x_type_##T, offsetof(S, n) },
/* A column by its name: tables know columns only by name, so each gets functions of its own. */
#define LC_X_S_COLUMN(S, T, n)                                                                     \
    LC_X_FN uint32_t lc_x_len_##S##__##n(const lc_t_##T *v) { return lc_x_len_##T(v); }      \
    LC_X_FN uint8_t *lc_x_put_##S##__##n(uint8_t *p, const lc_t_##T *v)                      \
    { return lc_x_put_##T(p, v); }                                                                 \
    LC_X_FN uint8_t *lc_x_bound_##S##__##n(uint8_t *p, uint8_t kind, const lc_t_##T *v)      \
    {                                                                                              \
        if (!kind) { *p = 2; return p + 1; }                                                       \
        *p = kind - 1;                                                                             \
        return lc_x_put_##T(p + 1, v);                                                             \
    }
#define LC_STRUCT(S, ...)                                                                          \
    typedef struct S { LC_X_EACH(LC_X_S_DECL, S, __VA_ARGS__) } S;                                 \
    typedef S lc_t_##S;                                                                            \
    enum { lc_x_borrows_##S = 0 LC_X_EACH(LC_X_S_BOR, S, __VA_ARGS__) };                           \
    static lc_x_slot lc_x_slot_##S;                                                                \
    static const lc_x_field lc_x_fields_##S[] = { LC_X_EACH(LC_X_S_DESC, S, __VA_ARGS__) };        \
    [[maybe_unused]] static const lc_x_type lc_x_type_##S = { .kind = LC_X_PRODUCT,                \
        .count = sizeof lc_x_fields_##S / sizeof *lc_x_fields_##S, .name = #S,                     \
        .fields = lc_x_fields_##S, .slot = &lc_x_slot_##S };                                       \
    LC_X_EACH(LC_X_S_COLUMN, S, __VA_ARGS__)                                                       \
    LC_X_FN uint32_t lc_x_len_##S([[maybe_unused]] const S *v)                               \
    { return 0 LC_X_EACH(LC_X_S_LEN, S, __VA_ARGS__); }                                            \
    LC_X_FN uint8_t *lc_x_put_##S(uint8_t *p, const S *v)                                    \
    { LC_X_EACH(LC_X_S_PUT, S, __VA_ARGS__) return p; }                                            \
    LC_X_FN const uint8_t *lc_x_get_##S(const uint8_t *p, const uint8_t *end, S *v)          \
    { LC_X_EACH(LC_X_S_GET, S, __VA_ARGS__) return p; }

/* ---- LC_ENUM and LC_SUM */
#define LC_X_N_TAG(S, n)     S##_##n,
#define LC_X_N_DESC(S, n)    { #n, &lc_x_type_unit, 0 },
#define LC_ENUM(S, ...)                                                                            \
    typedef enum S : uint8_t { LC_X_WORDS(LC_X_N_TAG, S, __VA_ARGS__) } S;                         \
    typedef S lc_t_##S;                                                                            \
    enum { lc_x_borrows_##S = 0 };                                                                 \
    static lc_x_slot lc_x_slot_##S;                                                                \
    static const lc_x_field lc_x_fields_##S[] = { LC_X_WORDS(LC_X_N_DESC, S, __VA_ARGS__) };       \
    [[maybe_unused]] static const lc_x_type lc_x_type_##S = { .kind = LC_X_SUM,                    \
        .count = sizeof lc_x_fields_##S / sizeof *lc_x_fields_##S, .name = #S,                     \
        .fields = lc_x_fields_##S, .slot = &lc_x_slot_##S };                                       \
    LC_X_FN uint32_t lc_x_len_##S([[maybe_unused]] const S *v) { return 1; }                 \
    LC_X_FN uint8_t *lc_x_put_##S(uint8_t *p, const S *v) { *p = (uint8_t)*v; return p + 1; }\
    LC_X_FN const uint8_t *lc_x_get_##S(const uint8_t *p, const uint8_t *end, S *v)          \
    {                                                                                              \
        lc_x_need(p, end, 1);                                                                      \
        if (*p >= lc_x_type_##S.count) lc_x_bad_tag();                                             \
        *v = (S)*p;                                                                                \
        return p + 1;                                                                              \
    }

#define LC_X_U_TAG(S, T, n)  S##_##n,
#define LC_X_U_DECL(S, T, n) lc_t_##T n;
#define LC_X_U_DESC(S, T, n) { #n, &lc_x_type_##T, 0 },
#define LC_X_U_LEN(S, T, n)  case S##_##n: return 1 + lc_x_len_##T(&v->n);
#define LC_X_U_PUT(S, T, n)  case S##_##n: return lc_x_put_##T(p, &v->n);
#define LC_X_U_GET(S, T, n)  case S##_##n: return lc_x_get_##T(p, end, &v->n);
#define LC_SUM(S, ...)                                                                             \
    typedef enum S##_tag : uint8_t { LC_X_EACH(LC_X_U_TAG, S, __VA_ARGS__) } S##_tag;              \
    typedef struct S { S##_tag tag; union { LC_X_EACH(LC_X_U_DECL, S, __VA_ARGS__) }; } S;         \
    typedef S lc_t_##S;                                                                            \
    enum { lc_x_borrows_##S = 0 LC_X_EACH(LC_X_S_BOR, S, __VA_ARGS__) };                           \
    static lc_x_slot lc_x_slot_##S;                                                                \
    static const lc_x_field lc_x_fields_##S[] = { LC_X_EACH(LC_X_U_DESC, S, __VA_ARGS__) };        \
    [[maybe_unused]] static const lc_x_type lc_x_type_##S = { .kind = LC_X_SUM,                    \
        .count = sizeof lc_x_fields_##S / sizeof *lc_x_fields_##S, .name = #S,                     \
        .fields = lc_x_fields_##S, .slot = &lc_x_slot_##S };                                       \
    LC_X_FN uint32_t lc_x_len_##S(const S *v)                                                \
    { switch (v->tag) { LC_X_EACH(LC_X_U_LEN, S, __VA_ARGS__) } lc_x_bad_tag(); }                  \
    LC_X_FN uint8_t *lc_x_put_##S(uint8_t *p, const S *v)                                    \
    { *p++ = v->tag; switch (v->tag) { LC_X_EACH(LC_X_U_PUT, S, __VA_ARGS__) } lc_x_bad_tag(); }   \
    LC_X_FN const uint8_t *lc_x_get_##S(const uint8_t *p, const uint8_t *end, S *v)          \
    {                                                                                              \
        lc_x_need(p, end, 1);                                                                      \
        v->tag = (S##_tag)*p++;                                                                    \
        switch (v->tag) { LC_X_EACH(LC_X_U_GET, S, __VA_ARGS__) }                                  \
        lc_x_bad_tag();                                                                            \
    }

/* ---- tables and their attributes */
typedef enum lc_x_what : uint8_t {
    LC_X_INDEX, LC_X_SEQUENCE, LC_X_DEFAULT, LC_X_SCHEDULE, LC_X_EVENT
} lc_x_what;
enum { LC_X_PUBLIC = 0, LC_X_PRIVATE = 1 }; /* as in the wire format */
enum { LC_X_PRIMARY = 1, LC_X_UNIQUE = 2, LC_X_FLAG_auto_inc = 4, LC_X_FLAG_hash = 8,
       LC_X_FLAG_direct = 16 };
typedef struct lc_x_attr {
    lc_x_what what;
    uint8_t flags;
    uint16_t count;               /* columns */
    const uint32_t *columns;      /* offsets in the row */
    const char *name;             /* index: accessor; schedule: reducer */
    uint32_t (*value)(uint8_t *); /* default: encode at p, if not null, and return the length */
    void (*function)(void);       /* schedule: makes the linker look for the reducer */
    uint32_t id;                  /* index: cached */
} lc_x_attr;
typedef struct lc_x_table {
    const char *name;
    const lc_x_type *row;
    lc_x_attr *const *attrs;    /* null-terminated */
    uint32_t access;
    uint32_t id;                /* cached */
} lc_x_table;
typedef struct lc_x_iter {
    const uint8_t *pos, *end;   /* rows not yet decoded */
    uint8_t *buffer;            /* reused, if recycle */
    uint32_t capacity;
    uint32_t handle;            /* 0: everything has been fetched */
    bool recycle;               /* texts of a row may be overwritten by the next */
} lc_x_iter;

lc_errno lc_x_insert(lc_x_table *t, uint8_t *encoded, uint32_t len, void *row);
lc_errno lc_x_update(lc_x_table *t, lc_x_attr *ix, uint8_t *encoded, uint32_t len, void *row);
bool lc_x_delete_row(lc_x_table *t, const uint8_t *relation, uint32_t len);
uint64_t lc_x_count(lc_x_table *t);
uint64_t lc_x_clear(lc_x_table *t);
lc_x_iter lc_x_scan(lc_x_table *t, bool recycle);
lc_x_iter lc_x_point(lc_x_table *t, lc_x_attr *ix, const uint8_t *key, uint32_t len, bool recycle);
uint32_t lc_x_point_delete(lc_x_table *t, lc_x_attr *ix, const uint8_t *key, uint32_t len);
/* the only row with this key, at lc_x_top; its length, 0 if there is none */
uint32_t lc_x_find(lc_x_table *t, lc_x_attr *ix, const uint8_t *key, uint32_t len);
/* at p: prefix of `equal` columns; at lower and upper: the bounds, up to end */
lc_x_iter lc_x_range(lc_x_table *t, lc_x_attr *ix, uint32_t equal, const uint8_t *p,
                     const uint8_t *lower, const uint8_t *upper, const uint8_t *end, bool recycle);
uint32_t lc_x_range_delete(lc_x_table *t, lc_x_attr *ix, uint32_t equal, const uint8_t *p,
                           const uint8_t *lower, const uint8_t *upper, const uint8_t *end);
bool lc_x_refill(lc_x_iter *it);
void lc_x_close(lc_x_iter *it);

#define LC_X_COLUMN(T, c)    typeof(((T *)nullptr)->c)
#define LC_X_REGISTER(s)     [[gnu::section(s), gnu::used]] static
#define LC_X_INTEGER(T, c)   _Generic(((T *)nullptr)->c, int8_t: 1, uint8_t: 1, int16_t: 1,        \
    uint16_t: 1, int32_t: 1, uint32_t: 1, int64_t: 1, uint64_t: 1, lc_i128: 1, lc_u128: 1,         \
    lc_i256: 1, lc_u256: 1, default: 0)
#define LC_X_SMALL(T, c)     _Generic(((T *)nullptr)->c, uint8_t: 1, uint16_t: 1, uint32_t: 1,     \
    uint64_t: 1, default: 0)
#define LC_X_FLAG(_, f)      | LC_X_FLAG_##f

#define LC_TABLE(t, T, access_, ...)                                                               \
    typedef T t##_row;                                                                             \
    typedef struct t##_iter { lc_x_iter x; } t##_iter;                                             \
    static lc_x_table lc_x_table_##t;                                                              \
    LC_X_EACH(LC_X_ATTR, (t, T), __VA_ARGS__)                                                      \
    static lc_x_attr *const lc_x_attrs_##t[] =                                                     \
        { LC_X_EACH(LC_X_ATTR_REF, (t, T), __VA_ARGS__) nullptr };                                 \
    static lc_x_table lc_x_table_##t = { .name = #t, .row = &lc_x_type_##T,                        \
        .attrs = lc_x_attrs_##t, .access = LC_X_##access_ };                                       \
    LC_X_REGISTER("lc_tables") lc_x_table *const lc_x_reg_table_##t = &lc_x_table_##t;             \
    LC_X_FN lc_errno t##_insert(T *row)                                     \
    {                                                                                              \
        uint32_t n = lc_x_len_##T(row);                                                            \
        uint8_t *p = lc_x_scratch(n);                                                              \
        lc_x_put_##T(p, row);                                                                      \
        return lc_x_insert(&lc_x_table_##t, p, n, row);                                            \
    }                                                                                              \
    LC_X_FN bool t##_delete_row(const T *row)                               \
    {                                                                                              \
        uint32_t n = 4 + lc_x_len_##T(row), one = 1;                                               \
        uint8_t *p = lc_x_scratch(n);                                                              \
        lc_x_put_##T(lc_x_put_u32(p, &one), row);                                                  \
        return lc_x_delete_row(&lc_x_table_##t, p, n);                                             \
    }                                                                                              \
    LC_X_FN uint64_t t##_count(void)                                        \
    { return lc_x_count(&lc_x_table_##t); }                                                        \
    LC_X_FN uint64_t t##_clear(void)                                        \
    { return lc_x_clear(&lc_x_table_##t); }                                                        \
    LC_X_FN t##_iter t##_scan(void)                                         \
    { return (t##_iter){ lc_x_scan(&lc_x_table_##t, !lc_x_borrows_##T) }; }                        \
    LC_X_FN bool t##_next(t##_iter *it, T *row)                             \
    {                                                                                              \
        if (it->x.pos == it->x.end && !lc_x_refill(&it->x)) return false;                          \
        it->x.pos = lc_x_get_##T(it->x.pos, it->x.end, row);                                       \
        return true;                                                                               \
    }                                                                                              \
    LC_X_FN void t##_close(t##_iter *it) { lc_x_close(&it->x); }

#define LC_X_ATTR(tT, k, ...)     LC_X_CALL2(LC_X_A_##k, LC_X_UN tT __VA_OPT__(,) __VA_ARGS__)
#define LC_X_ATTR_REF(tT, k, ...) LC_X_CALL2(LC_X_R_##k, LC_X_UN tT __VA_OPT__(,) __VA_ARGS__)
#define LC_X_R_primary_key(t, T, c, ...)   &lc_x_ix_##t##_##c,
#define LC_X_R_unique(t, T, c, ...)        &lc_x_ix_##t##_##c,
#define LC_X_R_index(t, T, c, ...)         &lc_x_ix_##t##_##c,
#define LC_X_R_index_on(t, T, ix, ...)     &lc_x_ix_##t##_##ix,
#define LC_X_R_hash_on(t, T, ix, ...)      &lc_x_ix_##t##_##ix,
#define LC_X_R_unique_on(t, T, ix, ...)    &lc_x_ix_##t##_##ix,
#define LC_X_R_auto_inc(t, T, c)           &lc_x_seq_##t##_##c,
#define LC_X_R_default(t, T, c, ...)       &lc_x_def_##t##_##c,
#define LC_X_R_schedule(t, T, c, f)        &lc_x_sched_##t,
#define LC_X_R_event(t, T)                 &lc_x_event_##t,

#define LC_X_A_primary_key(t, T, c, ...)                                                           \
    LC_X_SINGLE(t, T, c, LC_X_PRIMARY | LC_X_UNIQUE LC_X_WORDS(LC_X_FLAG, _, __VA_ARGS__))         \
    LC_X_SINGLE_UNIQUE(t, T, c)                                                                    \
    LC_X_FN lc_errno t##_update(T *row) { return t##_update_##c(row); }
#define LC_X_A_unique(t, T, c, ...)                                                                \
    LC_X_SINGLE(t, T, c, LC_X_UNIQUE LC_X_WORDS(LC_X_FLAG, _, __VA_ARGS__))                        \
    LC_X_SINGLE_UNIQUE(t, T, c)
#define LC_X_A_index(t, T, c, ...)                                                                 \
    LC_X_SINGLE(t, T, c, 0 LC_X_WORDS(LC_X_FLAG, _, __VA_ARGS__))                                  \
    LC_X_SINGLE_MANY(t, T, c)
#define LC_X_A_index_on(t, T, ix, ...)                                                             \
    LC_X_MULTI(t, T, ix, 0, __VA_ARGS__)                                                           \
    LC_X_MULTI_MANY(t, T, ix, __VA_ARGS__)                                                         \
    LC_X_MULTI_RANGE(t, T, ix, __VA_ARGS__)
#define LC_X_A_hash_on(t, T, ix, ...)                                                              \
    LC_X_MULTI(t, T, ix, LC_X_FLAG_hash, __VA_ARGS__)                                              \
    LC_X_MULTI_MANY(t, T, ix, __VA_ARGS__)
#define LC_X_A_unique_on(t, T, ix, ...)                                                            \
    LC_X_MULTI(t, T, ix, LC_X_UNIQUE, __VA_ARGS__)                                                 \
    LC_X_MULTI_UNIQUE(t, T, ix, __VA_ARGS__)                                                       \
    LC_X_MULTI_RANGE(t, T, ix, __VA_ARGS__)
#define LC_X_A_auto_inc(t, T, c)                                                                   \
    static_assert(LC_X_INTEGER(T, c), "auto_inc needs a column of integers");                      \
    static lc_x_attr lc_x_seq_##t##_##c = { .what = LC_X_SEQUENCE, .flags = LC_X_FLAG_auto_inc,    \
        .count = 1, .columns = (const uint32_t[]){ offsetof(T, c) } };
#define LC_X_A_default(t, T, c, ...)                                                               \
    static uint32_t lc_x_defval_##t##_##c(uint8_t *p)                                              \
    {                                                                                              \
        LC_X_COLUMN(T, c) v = __VA_ARGS__;                                                         \
        if (p) lc_x_put_##T##__##c(p, &v);                                                         \
        return lc_x_len_##T##__##c(&v);                                                            \
    }                                                                                              \
    static lc_x_attr lc_x_def_##t##_##c = { .what = LC_X_DEFAULT, .count = 1,                      \
        .columns = (const uint32_t[]){ offsetof(T, c) }, .value = lc_x_defval_##t##_##c };
#define LC_X_A_schedule(t, T, c, f)                                                                \
    static_assert(_Generic(((T *)nullptr)->c, lc_schedule_at: 1, default: 0),                      \
                  "schedule needs a column of type schedule_at");                                  \
    lc_result f(const lc_ctx *ctx, T row);                                                         \
    static lc_x_attr lc_x_sched_##t = { .what = LC_X_SCHEDULE, .count = 1, .name = #f,             \
        .columns = (const uint32_t[]){ offsetof(T, c) }, .function = (void (*)(void))f };
#define LC_X_A_event(t, T)                                                                         \
    static lc_x_attr lc_x_event_##t = { .what = LC_X_EVENT };

/* an index on one column; functions of every kind of it */
#define LC_X_ORDERED(flags_)                                                                       \
    __attribute__((diagnose_if((flags_) & LC_X_FLAG_hash,                                          \
                               "a hash index has no order, so there are no ranges", "error")))
#define LC_X_KEY1(T, c)                                                                            \
    uint32_t n = lc_x_len_##T##__##c(&key);                                                        \
    uint8_t *p = lc_x_scratch(n);                                                                  \
    lc_x_put_##T##__##c(p, &key);
#define LC_X_BOUNDS1(T, c)                                                                         \
    const uint8_t *p = lc_x_scratch(2 + lc_x_len_##T##__##c(&lo) + lc_x_len_##T##__##c(&hi));      \
    const uint8_t *upper = lc_x_bound_##T##__##c((uint8_t *)p, from, &lo);                         \
    const uint8_t *end = lc_x_bound_##T##__##c((uint8_t *)upper, to, &hi);
#define LC_X_SINGLE(t, T, c, flags_)                                                               \
    static_assert(!((flags_) & LC_X_FLAG_auto_inc) || LC_X_INTEGER(T, c),                          \
                  "auto_inc needs a column of integers");                                          \
    static_assert(!((flags_) & LC_X_FLAG_direct) || LC_X_SMALL(T, c),                              \
                  "a direct index needs a column of unsigned integers or of a plain enum");        \
    static lc_x_attr lc_x_ix_##t##_##c = { .what = LC_X_INDEX, .flags = flags_, .count = 1,        \
        .columns = (const uint32_t[]){ offsetof(T, c) }, .name = #c };                             \
    LC_X_FN t##_iter t##_range_##c(lc_lower from, LC_X_COLUMN(T, c) lo,     \
        lc_upper to, LC_X_COLUMN(T, c) hi) LC_X_ORDERED(flags_)                                    \
    {                                                                                              \
        LC_X_BOUNDS1(T, c)                                                                         \
        return (t##_iter){ lc_x_range(&lc_x_table_##t, &lc_x_ix_##t##_##c, 0, p, p, upper, end,    \
                                      !lc_x_borrows_##T) };                                        \
    }                                                                                              \
    LC_X_FN uint32_t t##_delete_range_##c(lc_lower from,                    \
        LC_X_COLUMN(T, c) lo, lc_upper to, LC_X_COLUMN(T, c) hi) LC_X_ORDERED(flags_)              \
    {                                                                                              \
        LC_X_BOUNDS1(T, c)                                                                         \
        return lc_x_range_delete(&lc_x_table_##t, &lc_x_ix_##t##_##c, 0, p, p, upper, end);        \
    }
#define LC_X_SINGLE_MANY(t, T, c)                                                                  \
    LC_X_FN t##_iter t##_by_##c(LC_X_COLUMN(T, c) key)                      \
    {                                                                                              \
        LC_X_KEY1(T, c)                                                                            \
        return (t##_iter){ lc_x_point(&lc_x_table_##t, &lc_x_ix_##t##_##c, p, n,                   \
                                      !lc_x_borrows_##T) };                                        \
    }                                                                                              \
    LC_X_FN uint32_t t##_delete_by_##c(LC_X_COLUMN(T, c) key)               \
    {                                                                                              \
        LC_X_KEY1(T, c)                                                                            \
        return lc_x_point_delete(&lc_x_table_##t, &lc_x_ix_##t##_##c, p, n);                       \
    }
/* Arrays are decoded into the arena, so a row that borrows must be kept before it is decoded. */
#define LC_X_DECODE_FOUND(T, len, out)                                                             \
    const uint8_t *lc_x_found = lc_x_top;                                                          \
    if (lc_x_borrows_##T) lc_x_keep(len);                                                          \
    if (out) lc_x_get_##T(lc_x_found, lc_x_found + len, out);
#define LC_X_SINGLE_UNIQUE(t, T, c)                                                                \
    LC_X_FN bool t##_find_##c(LC_X_COLUMN(T, c) key, T *row)                \
    {                                                                                              \
        LC_X_KEY1(T, c)                                                                            \
        n = lc_x_find(&lc_x_table_##t, &lc_x_ix_##t##_##c, p, n);                                  \
        if (!n) return false;                                                                      \
        LC_X_DECODE_FOUND(T, n, row)                                                               \
        return true;                                                                               \
    }                                                                                              \
    LC_X_FN bool t##_delete_##c(LC_X_COLUMN(T, c) key)                      \
    {                                                                                              \
        LC_X_KEY1(T, c)                                                                            \
        return lc_x_point_delete(&lc_x_table_##t, &lc_x_ix_##t##_##c, p, n) != 0;                  \
    }                                                                                              \
    LC_X_UPDATE(t, T, c)
#define LC_X_UPDATE(t, T, ix)                                                                      \
    LC_X_FN lc_errno t##_update_##ix(T *row)                                \
    {                                                                                              \
        uint32_t n = lc_x_len_##T(row);                                                            \
        uint8_t *p = lc_x_scratch(n);                                                              \
        lc_x_put_##T(p, row);                                                                      \
        return lc_x_update(&lc_x_table_##t, &lc_x_ix_##t##_##ix, p, n, row);                       \
    }

/* an index on several columns */
#define LC_X_M_OFFSET(T, c)  offsetof(T, c),
#define LC_X_M_FIELD(T, c)   LC_X_COLUMN(T, c) c;
#define LC_X_M_PARAM(T, c)   , LC_X_COLUMN(T, c) c
#define LC_X_M_LEN(T, c)     + lc_x_len_##T##__##c(&c)
#define LC_X_M_PUT(T, c)     lc_x_p = lc_x_put_##T##__##c(lc_x_p, &c);
#define LC_X_M_LENS(T, c)    + lc_x_len_##T##__##c(&lo.c) + lc_x_len_##T##__##c(&hi.c)
#define LC_X_M_EQUAL(T, c)   if (i++ < equal) p = lc_x_put_##T##__##c(p, &lo.c);
#define LC_X_M_LOWER(T, c)   if (i++ == equal) p = lc_x_bound_##T##__##c(p, from, &lo.c);
#define LC_X_M_UPPER(T, c)   if (i++ == equal) p = lc_x_bound_##T##__##c(p, to, &hi.c);
#define LC_X_PARAMS(T, c, ...)   LC_X_COLUMN(T, c) c LC_X_WORDS(LC_X_M_PARAM, T, __VA_ARGS__)
#define LC_X_KEYS(T, ...)                                                                          \
    uint32_t lc_x_n = 0 LC_X_WORDS(LC_X_M_LEN, T, __VA_ARGS__);                                    \
    uint8_t *lc_x_p = lc_x_scratch(lc_x_n), *lc_x_key = lc_x_p;                                    \
    LC_X_WORDS(LC_X_M_PUT, T, __VA_ARGS__)
#define LC_X_BOUNDS(T, ...)                                                                        \
    uint8_t *p = lc_x_scratch(2 LC_X_WORDS(LC_X_M_LENS, T, __VA_ARGS__)), *start = p;              \
    uint32_t i = 0;                                                                                \
    LC_X_WORDS(LC_X_M_EQUAL, T, __VA_ARGS__)                                                       \
    if (equal >= i) lc_panic("a range needs a column that is not fixed");                          \
    uint8_t *lower = p;                                                                            \
    i = 0;                                                                                         \
    LC_X_WORDS(LC_X_M_LOWER, T, __VA_ARGS__)                                                       \
    uint8_t *upper = p;                                                                            \
    i = 0;                                                                                         \
    LC_X_WORDS(LC_X_M_UPPER, T, __VA_ARGS__)
#define LC_X_MULTI(t, T, ix, flags_, ...)                                                          \
    typedef struct t##_##ix##_key { LC_X_WORDS(LC_X_M_FIELD, T, __VA_ARGS__) } t##_##ix##_key;     \
    static const uint32_t lc_x_cols_##t##_##ix[] = { LC_X_WORDS(LC_X_M_OFFSET, T, __VA_ARGS__) };  \
    static lc_x_attr lc_x_ix_##t##_##ix = { .what = LC_X_INDEX, .flags = flags_,                   \
        .count = sizeof lc_x_cols_##t##_##ix / sizeof *lc_x_cols_##t##_##ix,                       \
        .columns = lc_x_cols_##t##_##ix, .name = #ix };
#define LC_X_MULTI_MANY(t, T, ix, ...)                                                             \
    LC_X_FN t##_iter t##_by_##ix(LC_X_PARAMS(T, __VA_ARGS__))               \
    {                                                                                              \
        LC_X_KEYS(T, __VA_ARGS__)                                                                  \
        return (t##_iter){ lc_x_point(&lc_x_table_##t, &lc_x_ix_##t##_##ix, lc_x_key, lc_x_n,      \
                                      !lc_x_borrows_##T) };                                        \
    }                                                                                              \
    LC_X_FN uint32_t t##_delete_by_##ix(LC_X_PARAMS(T, __VA_ARGS__))        \
    {                                                                                              \
        LC_X_KEYS(T, __VA_ARGS__)                                                                  \
        return lc_x_point_delete(&lc_x_table_##t, &lc_x_ix_##t##_##ix, lc_x_key, lc_x_n);          \
    }
#define LC_X_MULTI_UNIQUE(t, T, ix, ...)                                                           \
    LC_X_FN bool t##_find_##ix(LC_X_PARAMS(T, __VA_ARGS__), T *lc_x_row)    \
    {                                                                                              \
        LC_X_KEYS(T, __VA_ARGS__)                                                                  \
        lc_x_n = lc_x_find(&lc_x_table_##t, &lc_x_ix_##t##_##ix, lc_x_key, lc_x_n);                \
        if (!lc_x_n) return false;                                                                 \
        LC_X_DECODE_FOUND(T, lc_x_n, lc_x_row)                                                     \
        return true;                                                                               \
    }                                                                                              \
    LC_X_FN bool t##_delete_##ix(LC_X_PARAMS(T, __VA_ARGS__))               \
    {                                                                                              \
        LC_X_KEYS(T, __VA_ARGS__)                                                                  \
        return lc_x_point_delete(&lc_x_table_##t, &lc_x_ix_##t##_##ix, lc_x_key, lc_x_n) != 0;     \
    }                                                                                              \
    LC_X_UPDATE(t, T, ix)
#define LC_X_MULTI_RANGE(t, T, ix, ...)                                                            \
    LC_X_FN t##_iter t##_range_##ix(uint32_t equal, lc_lower from,          \
        t##_##ix##_key lo, lc_upper to, t##_##ix##_key hi)                                         \
    {                                                                                              \
        LC_X_BOUNDS(T, __VA_ARGS__)                                                                \
        return (t##_iter){ lc_x_range(&lc_x_table_##t, &lc_x_ix_##t##_##ix, equal, start, lower,   \
                                      upper, p, !lc_x_borrows_##T) };                              \
    }                                                                                              \
    LC_X_FN t##_iter t##_prefix_##ix(uint32_t equal, t##_##ix##_key key)    \
    { return t##_range_##ix(equal, LC_START, key, LC_END, key); }                                  \
    LC_X_FN uint32_t t##_delete_range_##ix(uint32_t equal, lc_lower from,   \
        t##_##ix##_key lo, lc_upper to, t##_##ix##_key hi)                                         \
    {                                                                                              \
        LC_X_BOUNDS(T, __VA_ARGS__)                                                                \
        return lc_x_range_delete(&lc_x_table_##t, &lc_x_ix_##t##_##ix, equal, start, lower, upper, \
                                 p);                                                               \
    }

/* ---- reducers */
typedef enum lc_x_role : uint8_t { /* the first three as in the wire format */
    LC_X_ROLE_INIT, LC_X_ROLE_CONNECTED, LC_X_ROLE_DISCONNECTED, LC_X_ROLE_PRIVATE, LC_X_ROLE_PUBLIC
} lc_x_role;
typedef struct lc_x_reducer {
    const char *name;
    const lc_x_field *params; /* up to one without a name */
    lc_result (*enter)(const lc_ctx *ctx, const uint8_t *args, const uint8_t *end);
    lc_x_role role;
} lc_x_reducer;

#define LC_X_P_PARAM(_, T, n) , [[maybe_unused]] lc_t_##T n
#define LC_X_P_READ(_, T, n)  lc_t_##T n; lc_x_p = lc_x_get_##T(lc_x_p, lc_x_end, &n);
#define LC_X_P_PASS(_, T, n)  , n
#define LC_X_P_DESC(_, T, n)  { #n, &lc_x_type_##T, 0 },
#define LC_X_REDUCER(f, role_, ...)                                                                \
    lc_result f(const lc_ctx *ctx LC_X_EACH(LC_X_P_PARAM, _, __VA_ARGS__));                        \
    static lc_result lc_x_enter_##f(const lc_ctx *lc_x_ctx, [[maybe_unused]] const uint8_t *lc_x_p,\
                                    [[maybe_unused]] const uint8_t *lc_x_end)                      \
    {                                                                                              \
        LC_X_EACH(LC_X_P_READ, _, __VA_ARGS__)                                                     \
        return f(lc_x_ctx LC_X_EACH(LC_X_P_PASS, _, __VA_ARGS__));                                 \
    }                                                                                              \
    static const lc_x_field lc_x_params_##f[] = { LC_X_EACH(LC_X_P_DESC, _, __VA_ARGS__) { 0 } };  \
    static const lc_x_reducer lc_x_reducer_##f =                                                   \
        { #f, lc_x_params_##f, lc_x_enter_##f, LC_X_ROLE_##role_ };                                \
    LC_X_REGISTER("lc_reducers") const lc_x_reducer *const lc_x_reg_reducer_##f =                  \
        &lc_x_reducer_##f;                                                                         \
    lc_result f([[maybe_unused]] const lc_ctx *ctx LC_X_EACH(LC_X_P_PARAM, _, __VA_ARGS__))

#define LC_REDUCER(f, ...)         LC_X_REDUCER(f, PUBLIC, __VA_ARGS__)
#define LC_REDUCER_PRIVATE(f, ...) LC_X_REDUCER(f, PRIVATE, __VA_ARGS__)
#define LC_INIT(f)                 LC_X_REDUCER(f, INIT)
#define LC_CONNECTED(f)            LC_X_REDUCER(f, CONNECTED)
#define LC_DISCONNECTED(f)         LC_X_REDUCER(f, DISCONNECTED)

/* clang-format on */

#endif
