/*
 * What a restart costs the store, without journal and disk: a log of bulk inserts and one of
 * transfers (two updates each) replayed, then an image of the same tables loaded. Nanoseconds of
 * CPU per row and transfer, and resident bytes per row: before the restart, after the replay
 * (beside what the table says of itself), and after the load.
 *
 *   bench-store_replay_bench [rows ...]        default: 1000000 10000000
 *
 * Inserts come 1000 to a transaction; transfers hit rows at random. Each measurement has a process
 * of its own, so that its memory is its own.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "store/lc_store.h"

static uint64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t resident(void)
{
    unsigned long long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%*u %llu", &pages) != 1) exit(1);
    fclose(f);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void check(bool ok, const lc_error *err)
{
    if (ok) return;
    fprintf(stderr, "%s\n", err && err->code ? lc_error_text(err) : "not as it must be");
    exit(1);
}

/* ------------------------------------------------------------------ tables */

typedef struct kind {
    const char *name;
    lc_type_kind key;
    lc_index_algorithm algorithm;
    bool is_dense;
    bool is_unique;
    bool has_number_index; /* ordered, with equal keys, on the number */
    uint32_t text;         /* bytes of a string column; 0 = none */
} kind;

static const kind kinds[] = {
    {"u32 1.. btree, i32", LC_TYPE_U32, LC_INDEX_BTREE, true, true, false, 0},
    {"u64 random hash, i32", LC_TYPE_U64, LC_INDEX_HASH, false, true, false, 0},
    {"u64 random btree, i32", LC_TYPE_U64, LC_INDEX_BTREE, false, true, false, 0},
    {"identity btree, i32", LC_TYPE_U256, LC_INDEX_BTREE, false, true, false, 0},
    {"u32 1.. btree, i32 btree", LC_TYPE_U32, LC_INDEX_BTREE, true, true, true, 0},
    {"u32, i32, nothing unique", LC_TYPE_U32, LC_INDEX_BTREE, true, false, false, 0},
    {"u32 1.. btree, i32, text 30", LC_TYPE_U32, LC_INDEX_BTREE, true, true, false, 30},
    {"u32 1.. btree, i32, text 1000", LC_TYPE_U32, LC_INDEX_BTREE, true, true, false, 1000},
};

static lc_table *create_table(lc_store *s, const kind *k)
{
    uint16_t key_column[] = {0}, number_column[] = {1};
    lc_column_def columns[] = {{.name = LC_STR("id"), .type = lc_type_scalar(k->key)},
                               {.name = LC_STR("n"), .type = lc_type_scalar(LC_TYPE_I32)},
                               {.name = LC_STR("text"), .type = lc_type_scalar(LC_TYPE_STRING)}};
    lc_index_def indexes[] = {
        {LC_STR("t_id_idx"), LC_STR("t_id_idx"), LC_SPAN_EMPTY, k->algorithm, key_column, 1, true},
        {LC_STR("t_n_idx"), LC_STR("t_n_idx"), LC_SPAN_EMPTY, LC_INDEX_BTREE, number_column, 1,
         false}};
    lc_constraint_def constraint = {LC_STR("t_id_key"), key_column, 1};
    lc_table_def def = {.name = LC_STR("t"),
                        .source_name = LC_STR("t"),
                        .columns = columns,
                        .column_count = k->text ? 3 : 2,
                        .primary_key = k->is_unique ? 0 : -1,
                        .indexes = indexes,
                        .index_count = k->has_number_index ? 2 : k->is_unique,
                        .constraints = &constraint,
                        .constraint_count = k->is_unique,
                        .is_public = true};
    lc_error err = LC_ERROR_INIT;
    lc_table *t;
    check(lc_store_create_table(s, &def, &t, &err) == LC_OK, &err);
    return t;
}

static lc_span make_row(const kind *k, uint32_t i, uint32_t n, uint8_t *out)
{
    memset(out, 0, 40);
    lc_store_u64(out, k->is_dense ? i + 1u : lc_hash_u64(i + 1u));
    if (k->key == LC_TYPE_U256) lc_store_u64(out + 24, lc_hash_u64(i + 77u));
    size_t at = (size_t)lc_type_scalar(k->key)->fixed_size;
    lc_store_u32(out + at, n);
    at += 4;
    if (k->text) {
        lc_store_u32(out + at, k->text);
        memset(out + at + 4, 'x', k->text);
        at += 4 + k->text;
    }
    return LC_SPAN(out, at);
}

/* ------------------------------------------------------------------- input */

enum { BULK = 1000, ROW = 1100 };

/* What one process makes and another one reads: pieces of u64 length, bytes. */
typedef struct tape {
    uint64_t len, transfers_at, before; /* before: resident bytes of the store */
    uint8_t bytes[];
} tape;
static const size_t tape_size = (size_t)16 << 30;

static void record(tape *t, lc_span piece)
{
    check(t->len + piece.len + 1024 < tape_size, NULL);
    lc_store_u64(t->bytes + t->len, piece.len);
    memcpy(t->bytes + t->len + 8, piece.ptr, piece.len);
    t->len += 8 + piece.len;
}

static bool play(const tape *t, uint64_t *at, uint64_t end, lc_span *piece)
{
    if (*at == end) return false;
    *piece = LC_SPAN(t->bytes + *at + 8, lc_load_u64(t->bytes + *at));
    *at += 8 + piece->len;
    return true;
}

static void record_tx(lc_store *s, tape *t)
{
    static lc_buf mutations;
    lc_buf_reset(&mutations);
    lc_delta_encode(lc_store_commit(s), &mutations);
    record(t, lc_buf_span(&mutations));
    lc_store_release(s);
}

static void record_log(const kind *k, uint32_t rows, tape *log)
{
    uint64_t base = resident();
    lc_store *s = lc_store_create();
    uint8_t bytes[ROW];
    lc_write w;
    lc_store_begin(s);
    lc_table *t = create_table(s, k);
    for (uint32_t i = 0; i < rows;) {
        for (uint32_t n = 0; n < BULK && i < rows; n++, i++)
            check(lc_table_insert(t, make_row(k, i, i / 4, bytes), &w, NULL) == 0, NULL);
        record_tx(s, log);
        lc_store_begin(s);
    }
    lc_store_rollback(s);
    log->transfers_at = log->len;
    log->before = resident() - base - log->len;
    for (uint32_t n = 0; k->is_unique && n < rows / 2; n++) {
        lc_store_begin(s);
        for (uint32_t u = 0; u < 2; u++) {
            uint32_t i = (uint32_t)(lc_hash_u64(2 * n + u) % rows);
            lc_span row = make_row(k, i, rows + n, bytes);
            check(lc_table_update(t, lc_index_id(lc_table_index(t, 0)), row, &w, NULL) == 0, NULL);
        }
        record_tx(s, log);
    }
}

static void replay(lc_store *s, const tape *t, uint64_t at, uint64_t end)
{
    lc_error err = LC_ERROR_INIT;
    size_t used;
    for (lc_span piece; play(t, &at, end, &piece);)
        check(lc_store_replay_tx(s, piece, &used, &err) == LC_OK, &err);
}

/* ---------------------------------------------------------------- measures */

/* So that pages of the tape do not count as ours. */
static void touch(const tape *t)
{
    volatile uint8_t sum = 0;
    for (uint64_t at = 0; at < t->len; at += 64) sum = (uint8_t)(sum + t->bytes[at]);
}

static void measure_replay(const kind *k, uint32_t rows, tape *log)
{
    (void)k;
    touch(log);
    uint64_t base = resident();
    lc_store *s = lc_store_create();
    lc_error err = LC_ERROR_INIT;
    uint64_t start = now();
    lc_store_replay_begin(s);
    replay(s, log, 0, log->transfers_at);
    uint64_t inserted = now();
    replay(s, log, log->transfers_at, log->len);
    uint64_t moved = now();
    check(lc_store_replay_end(s, &err) == LC_OK, &err);
    uint64_t end = now();
    bool has_transfers = log->len > log->transfers_at;
    printf(" %7.0f %8.0f %7.1f", (double)(inserted - start) / rows,
           has_transfers ? (double)(moved - inserted) / (rows / 2) : 0,
           (double)(end - moved) / rows);
    printf(" %7.1f %7.1f %7.1f", (double)log->before / rows,
           ((double)resident() - (double)base) / rows,
           (double)lc_table_memory(lc_store_table_by_name(s, LC_STR("t"))) / rows);
    log->len = 0;
    lc_image *image = lc_store_freeze(s);
    lc_buf chunk = LC_BUF_INIT;
    while (lc_image_next_chunk(image, 1 << 20, &chunk)) {
        record(log, lc_buf_span(&chunk));
        lc_buf_reset(&chunk);
    }
    lc_image_release(image);
}

static void measure_load(const kind *k, uint32_t rows, tape *image)
{
    (void)k;
    touch(image);
    uint64_t base = resident(), at = 0;
    lc_store *s = lc_store_create();
    lc_error err = LC_ERROR_INIT;
    uint64_t start = now();
    lc_store_replay_begin(s);
    for (lc_span chunk; play(image, &at, image->len, &chunk);)
        check(lc_store_load_chunk(s, chunk, &err) == LC_OK, &err);
    uint64_t loaded = now();
    check(lc_store_replay_end(s, &err) == LC_OK, &err);
    uint64_t end = now();
    printf(" %7.1f %7.1f %7.2f %7.1f\n", (double)(loaded - start) / rows,
           (double)(end - loaded) / rows, (double)image->len / (double)(end - start),
           ((double)resident() - (double)base) / rows);
}

static void in_child(void (*measure)(const kind *, uint32_t, tape *), const kind *k, uint32_t rows,
                     tape *t)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        measure(k, rows, t);
        fflush(stdout);
        _exit(0);
    }
    int status;
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) exit(1);
}

int main(int argc, char **argv)
{
    uint32_t sizes[16] = {1000000, 10000000};
    int count = 2;
    if (argc > 1) {
        count = 0;
        for (int i = 1; i < argc && count < 16; i++)
            sizes[count++] = (uint32_t)strtoul(argv[i], NULL, 10);
    }
    printf("%-28s %9s %7s %8s %7s %7s %7s %7s %7s %7s %7s %7s\n", "table", "rows", "insert",
           "transfer", "end", "before", "after", "table", "load", "end", "both", "after");
    printf("%-28s %9s %7s %8s %7s %7s %7s %7s %7s %7s %7s %7s\n", "", "", "ns", "ns", "ns/row",
           "B/row", "B/row", "B/row", "ns/row", "ns/row", "GB/s", "B/row");
    for (int n = 0; n < count; n++) {
        for (size_t i = 0; i < LC_ARRAY_LEN(kinds); i++) {
            const kind *k = &kinds[i];
            uint32_t rows = k->text > 100 ? sizes[n] / 10 : sizes[n];
            tape *t = mmap(NULL, tape_size, PROT_READ | PROT_WRITE,
                           MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
            check(t != MAP_FAILED, NULL);
            printf("%-28s %9u", k->name, rows);
            in_child(record_log, k, rows, t);
            in_child(measure_replay, k, rows, t);
            in_child(measure_load, k, rows, t);
            munmap(t, tape_size);
        }
    }
    return 0;
}
