/*
 * base: what every room stands on. Errors, byte spans and buffers, arenas, hash maps, logging,
 * and the seams (clock, random, disk) behind which a simulation can take the place of the machine.
 *
 * House rules stated once:
 *   - A function that can fail returns an lc_status and fills an lc_error when one is given.
 *   - init/deinit work on the caller's memory; create/destroy on the heap; ref/unref count owners;
 *     take moves ownership to the callee, give to the caller; reset keeps capacity.
 *   - Out of memory ends the process (lc_alloc never returns NULL). Sizes that a client chooses are
 *     checked against a named limit before anything is allocated for them.
 */
#ifndef LC_BASE_H
#define LC_BASE_H

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#define LC_PRINTF(fmt_at, args_at)      __attribute__((format(printf, fmt_at, args_at)))
#define LC_LIKELY(x)                    __builtin_expect(!!(x), 1)
#define LC_UNLIKELY(x)                  __builtin_expect(!!(x), 0)
#define LC_ARRAY_LEN(a)                 (sizeof(a) / sizeof((a)[0]))
#define LC_CONTAINER(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))

/* ------------------------------------------------------------------ errors */

typedef enum lc_status {
    LC_OK = 0,
    LC_E_INVALID,     /* the input is malformed or refused; the text names the offending thing */
    LC_E_NOT_FOUND,   /* a named thing does not exist */
    LC_E_EXISTS,      /* a named thing exists already */
    LC_E_DENIED,      /* the caller may not do this */
    LC_E_LIMIT,       /* a named limit was reached */
    LC_E_UNSUPPORTED, /* understood, but this server does not do it */
    LC_E_CONFLICT,    /* the state does not allow it (unique violation, lock held, ...) */
    LC_E_IO,          /* the operating system refused; the text holds path and strerror */
    LC_E_CORRUPT,     /* stored bytes contradict themselves; the text holds file and offset */
    LC_E_TRAP,        /* a module ended abnormally */
    LC_E_BUDGET,      /* a module used up its time budget */
    LC_E_CLOSED,      /* the other side is gone or the object is shutting down */
    LC_E_READ_ONLY,   /* it would write where only reading is possible; the text says why */
} lc_status;

/* An error for people: code plus one text. Zero-initialise; the text is owned by the error. */
typedef struct lc_error {
    lc_status code;
    char *text; /* NULL when code is LC_OK */
} lc_error;

#define LC_ERROR_INIT ((lc_error){LC_OK, NULL})

/* Sets code and text (replacing what was there) and returns code. err may be NULL. */
lc_status lc_error_set(lc_error *err, lc_status code, const char *fmt, ...) LC_PRINTF(3, 4);
/* Puts "prefix" in front of the text; returns the code unchanged. */
lc_status lc_error_prefix(lc_error *err, const char *fmt, ...) LC_PRINTF(2, 3);
/* Frees the text and makes the error LC_OK. */
void lc_error_clear(lc_error *err);
/* The text, or "" when there is none. */
const char *lc_error_text(const lc_error *err);

/* A broken invariant of our own: logs the place and aborts. Never reached by any input. */
_Noreturn void lc_bug_at(const char *file, int line, const char *fmt, ...) LC_PRINTF(3, 4);
#define LC_BUG(...) lc_bug_at(__FILE__, __LINE__, __VA_ARGS__)
#define LC_ASSERT(cond)                                                                            \
    do {                                                                                           \
        if (LC_UNLIKELY(!(cond))) LC_BUG("assertion failed: %s", #cond);                           \
    } while (0)

/* ------------------------------------------------------------------ memory */

void *lc_alloc(size_t size);                  /* never NULL; not zeroed */
void *lc_alloc_zero(size_t size);             /* never NULL; zeroed */
void *lc_realloc(void *ptr, size_t size);     /* never NULL */
void lc_free(void *ptr);                      /* NULL is fine */
void *lc_memdup(const void *ptr, size_t len); /* never NULL; one NUL byte beyond len */
char *lc_strdup(const char *text);
char *lc_format(const char *fmt, ...) LC_PRINTF(1, 2); /* heap text; caller frees with lc_free */

/* ------------------------------------------------------------------- spans */

/* Borrowed bytes; also text without NUL. Valid as long as whoever owns the bytes says. */
typedef struct lc_span {
    const uint8_t *ptr;
    size_t len;
} lc_span;

#define LC_SPAN_EMPTY   ((lc_span){NULL, 0})
#define LC_SPAN(p, n)   ((lc_span){(const uint8_t *)(p), (n)})
#define LC_STR(literal) ((lc_span){(const uint8_t *)(literal), sizeof(literal) - 1})
#define LC_SPAN_FMT     "%.*s"
#define LC_SPAN_ARG(s)  (int)(s).len, (const char *)(s).ptr

static inline lc_span lc_span_of_str(const char *text)
{
    return LC_SPAN(text, strlen(text));
}
static inline bool lc_span_equal(lc_span a, lc_span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}
static inline bool lc_span_equal_str(lc_span a, const char *text)
{
    return lc_span_equal(a, lc_span_of_str(text));
}
int lc_span_compare(lc_span a, lc_span b); /* bytewise lexicographic, shorter first */
char *lc_span_to_cstr(lc_span s);          /* heap copy with NUL */
bool lc_utf8_valid(lc_span s);
/* Appends s with every invalid sequence replaced by U+FFFD, as Rust's from_utf8_lossy does. */
struct lc_buf;
void lc_utf8_lossy(lc_span s, struct lc_buf *out);

/* Unaligned little-endian loads and stores. */
#define LC_DEFINE_LE(bits)                                                                         \
    static inline uint##bits##_t lc_load_u##bits(const void *p)                                    \
    {                                                                                              \
        uint##bits##_t v;                                                                          \
        memcpy(&v, p, sizeof v);                                                                   \
        return v;                                                                                  \
    }                                                                                              \
    static inline void lc_store_u##bits(void *p, uint##bits##_t v)                                 \
    {                                                                                              \
        memcpy(p, &v, sizeof v);                                                                   \
    }
LC_DEFINE_LE(16)
LC_DEFINE_LE(32)
LC_DEFINE_LE(64)
#undef LC_DEFINE_LE
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "BSATN is read in place: little-endian only");

/* ----------------------------------------------------------------- buffers */

/* Growing byte buffer. Zero-initialise. Invariant: len <= cap; ptr NULL iff cap == 0. */
typedef struct lc_buf {
    uint8_t *ptr;
    size_t len;
    size_t cap;
} lc_buf;

#define LC_BUF_INIT ((lc_buf){NULL, 0, 0})

void lc_buf_deinit(lc_buf *b);
void lc_buf_grow(lc_buf *b, size_t extra); /* slow path of lc_buf_reserve */
void lc_buf_printf(lc_buf *b, const char *fmt, ...) LC_PRINTF(2, 3);
void lc_buf_vprintf(lc_buf *b, const char *fmt, va_list args);
/* Hands the bytes to the caller as a NUL-terminated heap string (len excludes the NUL). */
char *lc_buf_give_cstr(lc_buf *b);

static inline void lc_buf_reset(lc_buf *b)
{
    b->len = 0;
}
static inline lc_span lc_buf_span(const lc_buf *b)
{
    return LC_SPAN(b->ptr, b->len);
}
/* Room for extra bytes; returns where the next byte goes. Does not change len. */
static inline uint8_t *lc_buf_reserve(lc_buf *b, size_t extra)
{
    if (LC_UNLIKELY(b->cap - b->len < extra)) lc_buf_grow(b, extra);
    return b->ptr + b->len;
}
/* Appends extra uninitialised bytes and returns them. */
static inline uint8_t *lc_buf_extend(lc_buf *b, size_t extra)
{
    uint8_t *at = lc_buf_reserve(b, extra);
    b->len += extra;
    return at;
}
static inline void lc_buf_put(lc_buf *b, const void *p, size_t n)
{
    if (n) memcpy(lc_buf_extend(b, n), p, n);
}
static inline void lc_buf_put_span(lc_buf *b, lc_span s)
{
    lc_buf_put(b, s.ptr, s.len);
}
static inline void lc_buf_put_str(lc_buf *b, const char *text)
{
    lc_buf_put(b, text, strlen(text));
}
static inline void lc_buf_put_u8(lc_buf *b, uint8_t v)
{
    *lc_buf_extend(b, 1) = v;
}
static inline void lc_buf_put_u16(lc_buf *b, uint16_t v)
{
    lc_store_u16(lc_buf_extend(b, 2), v);
}
static inline void lc_buf_put_u32(lc_buf *b, uint32_t v)
{
    lc_store_u32(lc_buf_extend(b, 4), v);
}
static inline void lc_buf_put_u64(lc_buf *b, uint64_t v)
{
    lc_store_u64(lc_buf_extend(b, 8), v);
}
/* BSATN string or byte array: u32 length, then the bytes. */
static inline void lc_buf_put_lenstr(lc_buf *b, lc_span s)
{
    lc_buf_put_u32(b, (uint32_t)s.len);
    lc_buf_put_span(b, s);
}

/* ------------------------------------------------------------------ arenas */

/* Bump allocator for things that live exactly as long as one request, transaction or object.
 * Zero-initialise. Memory is 16-byte aligned. reset keeps the first chunk. */
typedef struct lc_arena_chunk lc_arena_chunk;
typedef struct lc_arena {
    uint8_t *at;
    uint8_t *end;
    lc_arena_chunk *chunks; /* newest first */
} lc_arena;

#define LC_ARENA_INIT ((lc_arena){NULL, NULL, NULL})

void lc_arena_reset(lc_arena *a);
void lc_arena_deinit(lc_arena *a);
void *lc_arena_alloc_slow(lc_arena *a, size_t size);
static inline void *lc_arena_alloc(lc_arena *a, size_t size)
{
    size = (size + 15) & ~(size_t)15;
    if (LC_UNLIKELY((size_t)(a->end - a->at) < size)) return lc_arena_alloc_slow(a, size);
    void *p = a->at;
    a->at += size;
    return p;
}
void *lc_arena_alloc_zero(lc_arena *a, size_t size);
lc_span lc_arena_copy(lc_arena *a, lc_span s);
char *lc_arena_cstr(lc_arena *a, lc_span s);
char *lc_arena_format(lc_arena *a, const char *fmt, ...) LC_PRINTF(2, 3);
/* Makes room for one more element in an arena array: grows by doubling, copying when it moves. */
void *lc_arena_grow(lc_arena *a, void *items, size_t count, size_t *cap, size_t item_size);

/* ------------------------------------------------------------------ vector */

/* LC_VEC(T) is {T *items; size_t len, cap;} on the heap. Zero-initialise. */
#define LC_VEC(T)                                                                                  \
    struct {                                                                                       \
        T *items;                                                                                  \
        size_t len;                                                                                \
        size_t cap;                                                                                \
    }
void lc_vec_grow(void **items, size_t *cap, size_t need, size_t item_size);
#define lc_vec_push(v, value)                                                                      \
    do {                                                                                           \
        if ((v)->len == (v)->cap)                                                                  \
            lc_vec_grow((void **)&(v)->items, &(v)->cap, (v)->len + 1, sizeof(*(v)->items));       \
        (v)->items[(v)->len++] = (value);                                                          \
    } while (0)
#define lc_vec_deinit(v)                                                                           \
    do {                                                                                           \
        lc_free((v)->items);                                                                       \
        (v)->items = NULL;                                                                         \
        (v)->len = (v)->cap = 0;                                                                   \
    } while (0)
#define LC_VEC_EACH(it, v)                                                                         \
    for (__typeof__((v)->items + 0) it = (v)->items; it < (v)->items + (v)->len; it++)

/* --------------------------------------------------------------- hash maps */

uint64_t lc_hash_bytes(const void *p, size_t n); /* fast, well mixed, seeded per process */
/* For a simulation that must repeat itself: call before the first map is filled. */
void lc_hash_set_seed(uint64_t seed);
static inline uint64_t lc_hash_u64(uint64_t x)
{
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93ull;
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93ull;
    x ^= x >> 32;
    return x;
}

/* Map from bytes to pointer. Keys are copied. Zero-initialise. Open addressing; not thread-safe. */
typedef struct lc_map_entry {
    uint64_t hash;
    lc_span key; /* owned by the map; ptr NULL = free slot */
    void *value;
} lc_map_entry;
typedef struct lc_map {
    lc_map_entry *slots;
    size_t len;
    size_t cap; /* power of two or 0 */
} lc_map;
void lc_map_deinit(lc_map *m);
void *lc_map_get(const lc_map *m, lc_span key);        /* NULL when absent */
void *lc_map_put(lc_map *m, lc_span key, void *value); /* returns the replaced value or NULL */
void *lc_map_remove(lc_map *m, lc_span key);           /* returns the removed value or NULL */
/* Iteration: for (size_t i = 0; (e = lc_map_next(m, &i));). No changes during it. */
lc_map_entry *lc_map_next(const lc_map *m, size_t *at);

/* Map from u64 to pointer (never NULL). Same rules. */
typedef struct lc_u64map_slot {
    uint64_t key;
    void *value; /* NULL = free slot */
} lc_u64map_slot;
typedef struct lc_u64map {
    lc_u64map_slot *slots;
    size_t len;
    size_t cap;
} lc_u64map;
void lc_u64map_deinit(lc_u64map *m);
void *lc_u64map_get(const lc_u64map *m, uint64_t key);
void *lc_u64map_put(lc_u64map *m, uint64_t key, void *value);
void *lc_u64map_remove(lc_u64map *m, uint64_t key);
lc_u64map_slot *lc_u64map_next(const lc_u64map *m, size_t *at);

/* ----------------------------------------------------------------- logging */

typedef enum lc_log_level { LC_LOG_ERROR, LC_LOG_WARN, LC_LOG_INFO, LC_LOG_DEBUG } lc_log_level;
/* The server's own log: one line on stderr with time and level. Thread-safe. */
void lc_log(lc_log_level level, const char *fmt, ...) LC_PRINTF(2, 3);
void lc_log_set_level(lc_log_level level);

/* ----------------------------------------------------------- hex, checksum */

/* Writes 2n lower-case digits, no NUL. */
void lc_hex_encode(const void *bytes, size_t n, char *out);
/* text.len must be even; either case. */
bool lc_hex_decode(lc_span text, void *out);

/* Start with 0; continue with what came out. By instruction when present. */
uint32_t lc_crc32c(uint32_t crc, const void *bytes, size_t n);
void lc_blake3(const void *bytes, size_t n, uint8_t out[32]);
/* With the original padding, not SHA-3's: module hashes. */
void lc_keccak256(const void *bytes, size_t n, uint8_t out[32]);

/* ------------------------------------------------------------------- seams */

/* The clock seam. lc_clock_system() reads the machine; a simulation installs its own. */
typedef struct lc_clock {
    int64_t (*now_micros)(void *self);       /* wall clock, microseconds since 1970 */
    uint64_t (*monotonic_nanos)(void *self); /* never goes back */
    void *self;
} lc_clock;
const lc_clock *lc_clock_system(void);
static inline int64_t lc_clock_now(const lc_clock *c)
{
    return c->now_micros(c->self);
}
static inline uint64_t lc_clock_mono(const lc_clock *c)
{
    return c->monotonic_nanos(c->self);
}

/* The random seam: cryptographically strong bytes in production. */
typedef struct lc_random {
    void (*fill)(void *self, void *out, size_t n);
    void *self;
} lc_random;
const lc_random *lc_random_system(void);

/* The disk seam. Paths are absolute or relative to the working directory. Every call returns 0 or a
 * positive count on success and -errno on failure; nothing is buffered above the system. */
typedef struct lc_file lc_file; /* implementation's own */
typedef struct lc_disk {
    /* Flags as of open(2); new files get mode 0644. */
    int (*open)(void *self, const char *path, int flags, lc_file **out);
    void (*close)(void *self, lc_file *f);
    ssize_t (*pread)(void *self, lc_file *f, void *buf, size_t n, uint64_t at);
    ssize_t (*pwrite)(void *self, lc_file *f, const void *buf, size_t n, uint64_t at);
    int (*sync_data)(void *self, lc_file *f); /* fdatasync */
    int (*truncate)(void *self, lc_file *f, uint64_t size);
    int64_t (*size)(void *self, lc_file *f);
    int (*lock)(void *self, lc_file *f); /* exclusive flock, -EWOULDBLOCK when held elsewhere */
    int (*rename)(void *self, const char *from, const char *to);
    int (*unlink)(void *self, const char *path);
    /* With parents, and durably: each new folder is synced into its parent. Existing is fine. */
    int (*mkdirs)(void *self, const char *path);
    int (*sync_dir)(void *self, const char *path);
    /* Calls each(name) for every entry except . and .. */
    int (*list)(void *self, const char *path, void (*each)(void *arg, const char *name), void *arg);
    void *self;
} lc_disk;
const lc_disk *lc_disk_system(void);

/* Whole-file helpers on a disk. read_file fails with LC_E_NOT_FOUND when there is none;
 * write_file writes aside, syncs, renames and syncs the folder, so the file is old or new. */
lc_status lc_disk_read_file(const lc_disk *d, const char *path, lc_buf *out, lc_error *err);
lc_status lc_disk_write_file(const lc_disk *d, const char *path, lc_span data, lc_error *err);
bool lc_disk_exists(const lc_disk *d, const char *path);

#endif
