/*
 * What the store costs, without module, log or wire: nanoseconds per insert, find, update, scanned
 * row and delete, and bytes per row, for a few kinds of tables.
 *
 *   bench-store_bench [rows ...]        default: 1000000 10000000
 *
 * "hot" operations stay within 1000 rows, the others hit rows at random. Inserts come in
 * transactions of 1000; "tx" is a whole transaction of two finds and two updates, begin to release.
 *
 * Then, for rows (u32 rising primary key, i32): memory as the system sees it (resident), when all
 * rows come in transactions of 1000 or of a million, and when all but a tenth are deleted; and what
 * a frozen image costs those who write meanwhile.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "store/lc_store.h"

static uint64_t state = 1;

static uint64_t next_random(void)
{
    uint64_t z = state += 0x9e3779b97f4a7c15ull;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

static uint32_t below(uint32_t n)
{
    return (uint32_t)((next_random() >> 32) * n >> 32);
}

/* Time this thread ran: it never waits, and other programs do not count. */
static uint64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ------------------------------------------------------------------ tables */

typedef struct kind {
    const char *name;
    lc_type_kind key;
    lc_index_algorithm algorithm;
    bool is_dense;
    bool has_text;                           /* a string column, */
    bool has_text_index;                     /* and an ordered index on it */
    enum { NO_ORDER, RISING, RANDOM } order; /* a u32 column with an ordered index */
} kind;

static const kind kinds[] = {
    {"u32 1.. btree, i32", LC_TYPE_U32, LC_INDEX_BTREE, true, false, false, NO_ORDER},
    {"u64 random hash, i32", LC_TYPE_U64, LC_INDEX_HASH, false, false, false, NO_ORDER},
    {"u64 random btree, i32", LC_TYPE_U64, LC_INDEX_BTREE, false, false, false, NO_ORDER},
    {"identity hash, i32", LC_TYPE_U256, LC_INDEX_HASH, false, false, false, NO_ORDER},
    {"u64 hash, i32, u32 rising btree", LC_TYPE_U64, LC_INDEX_HASH, false, false, false, RISING},
    {"u64 hash, i32, u32 random btree", LC_TYPE_U64, LC_INDEX_HASH, false, false, false, RANDOM},
    {"u32 1.. btree, i32, text", LC_TYPE_U32, LC_INDEX_BTREE, true, true, false, NO_ORDER},
    {"u32 1.. btree, i32, text btree", LC_TYPE_U32, LC_INDEX_BTREE, true, true, true, NO_ORDER},
};

static lc_table *create_table(lc_store *s, const kind *k)
{
    uint16_t key_column[] = {0}, text_column[] = {2};
    lc_column_def columns[] = {{.name = LC_STR("id"), .type = lc_type_scalar(k->key)},
                               {.name = LC_STR("n"), .type = lc_type_scalar(LC_TYPE_I32)},
                               {.name = LC_STR("text"), .type = lc_type_scalar(LC_TYPE_STRING)}};
    if (k->order != NO_ORDER) columns[2].type = lc_type_scalar(LC_TYPE_U32);
    lc_index_def indexes[] = {
        {LC_STR("t_id_idx"), LC_STR("t_id_idx"), LC_SPAN_EMPTY, k->algorithm, key_column, 1, true},
        {LC_STR("t_text_idx"), LC_STR("t_text_idx"), LC_SPAN_EMPTY, LC_INDEX_BTREE, text_column, 1,
         false}};
    lc_constraint_def constraint = {LC_STR("t_id_key"), key_column, 1};
    lc_table_def def = {.name = LC_STR("t"),
                        .source_name = LC_STR("t"),
                        .columns = columns,
                        .column_count = k->has_text || k->order != NO_ORDER ? 3 : 2,
                        .primary_key = 0,
                        .indexes = indexes,
                        .index_count = k->has_text_index || k->order != NO_ORDER ? 2 : 1,
                        .constraints = &constraint,
                        .constraint_count = 1,
                        .is_public = true};
    lc_error err = LC_ERROR_INIT;
    lc_table *t;
    lc_store_begin(s);
    if (lc_store_create_table(s, &def, &t, &err) != LC_OK) {
        fprintf(stderr, "%s\n", lc_error_text(&err));
        exit(1);
    }
    lc_store_commit(s);
    return t;
}

/* The key of row i: i + 1, or something that looks random. */
static lc_span make_key(const kind *k, uint32_t i, uint8_t *out)
{
    memset(out, 0, 32);
    lc_store_u64(out, k->is_dense ? i + 1u : lc_hash_u64(i + 1u));
    if (k->key == LC_TYPE_U256) lc_store_u64(out + 24, lc_hash_u64(i + 77u));
    return LC_SPAN(out, k->key == LC_TYPE_U32 ? 4 : k->key == LC_TYPE_U64 ? 8 : 32);
}

static lc_span make_row(const kind *k, uint32_t i, uint32_t n, uint8_t *out)
{
    size_t at = make_key(k, i, out).len;
    lc_store_u32(out + at, n);
    at += 4;
    if (k->order != NO_ORDER) {
        lc_store_u32(out + at, k->order == RISING ? i / 10 : (uint32_t)lc_hash_u64(i + 5u));
        at += 4;
    }
    if (k->has_text) {
        int len = sprintf((char *)out + at + 4, "name %08x of a row", (uint32_t)lc_hash_u64(i));
        lc_store_u32(out + at, (uint32_t)len);
        at += 4 + (size_t)len;
    }
    return LC_SPAN(out, at);
}

/* ---------------------------------------------------------------- measures */

static void check(bool ok)
{
    if (ok) return;
    fprintf(stderr, "a row is not as it must be\n");
    exit(1);
}

static double insert_all(lc_store *s, lc_table *t, const kind *k, uint32_t rows, uint32_t per_tx)
{
    uint8_t bytes[128];
    lc_write w;
    uint64_t start = now();
    for (uint32_t i = 0; i < rows;) {
        lc_store_begin(s);
        for (uint32_t n = 0; n < per_tx && i < rows; n++, i++)
            check(lc_table_insert(t, make_row(k, i, 0, bytes), &w, NULL) == LC_ERRNO_OK);
        lc_store_commit(s);
        lc_store_release(s);
    }
    return (double)(now() - start) / rows;
}

/* Keys are made before the clock runs. */
enum { BATCH = 1000, KEY = 32 };
static uint8_t keys[BATCH][KEY];
static uint32_t picked[BATCH];

static void pick(const kind *k, uint32_t rows)
{
    for (uint32_t i = 0; i < BATCH; i++) {
        picked[i] = below(rows);
        make_key(k, picked[i], keys[i]);
    }
}

static double find_some(lc_table *t, const kind *k, uint32_t rows, bool is_hot)
{
    const lc_index *index = lc_table_index(t, 0);
    uint8_t scratch[KEY];
    size_t len = make_key(k, 0, scratch).len;
    uint64_t spent = 0;
    const uint32_t rounds = 1000;
    if (is_hot) pick(k, rows < 1000 ? rows : 1000);
    for (uint32_t r = 0; r < rounds; r++) {
        if (!is_hot) pick(k, rows);
        uint64_t start = now();
        for (uint32_t i = 0; i < BATCH; i++) {
            lc_span row;
            check(lc_index_find(index, LC_SPAN(keys[i], len), &row) && row.ptr[0] == keys[i][0]);
        }
        spent += now() - start;
    }
    return (double)spent / rounds / BATCH;
}

static double update_some(lc_store *s, lc_table *t, const kind *k, uint32_t rows, bool is_hot)
{
    uint32_t index = lc_index_id(lc_table_index(t, 0));
    uint64_t spent = 0;
    const uint32_t rounds = 500;
    static uint8_t bytes[BATCH][128];
    static lc_span made[BATCH];
    static uint32_t value;
    for (uint32_t r = 0; r < rounds; r++) {
        value++;
        for (uint32_t i = 0; i < BATCH; i++)
            made[i] = make_row(k, below(is_hot && rows > 1000 ? 1000 : rows), value + i, bytes[i]);
        uint64_t start = now();
        lc_store_begin(s);
        for (uint32_t i = 0; i < BATCH; i++) {
            lc_write w;
            check(lc_table_update(t, index, made[i], &w, NULL) == LC_ERRNO_OK);
        }
        lc_store_commit(s);
        lc_store_release(s);
        spent += now() - start;
    }
    return (double)spent / rounds / BATCH;
}

static double transfer(lc_store *s, lc_table *t, const kind *k, uint32_t rows)
{
    const lc_index *index = lc_table_index(t, 0);
    uint8_t scratch[KEY];
    size_t len = make_key(k, 0, scratch).len;
    uint64_t spent = 0;
    const uint32_t rounds = 1000;
    for (uint32_t r = 0; r < rounds; r++) {
        pick(k, rows);
        uint64_t start = now();
        for (uint32_t i = 0; i + 1 < BATCH; i += 2) {
            lc_store_begin(s);
            for (uint32_t n = i; n < i + 2; n++) {
                uint8_t copy[128];
                lc_span row;
                lc_write w;
                check(lc_index_find(index, LC_SPAN(keys[n], len), &row));
                memcpy(copy, row.ptr, row.len);
                lc_store_u32(copy + len, lc_load_u32(copy + len) + 1);
                check(lc_table_update(t, lc_index_id(index), LC_SPAN(copy, row.len), &w, NULL) ==
                      LC_ERRNO_OK);
            }
            check(lc_store_commit(s)->is_logged);
            lc_store_release(s);
        }
        spent += now() - start;
    }
    return (double)spent / rounds / (BATCH / 2);
}

static double scan(lc_table *t)
{
    lc_buf out = LC_BUF_INIT;
    lc_table_scan_into(t, &out, 32768, NULL); /* the buffer's pages are touched by now */
    lc_buf_reset(&out);
    uint64_t start = now();
    lc_table_scan_into(t, &out, 32768, NULL);
    double ns = (double)(now() - start) / (double)lc_table_row_count(t);
    lc_buf_deinit(&out);
    return ns;
}

static double delete_all(lc_store *s, lc_table *t, const kind *k, uint32_t rows)
{
    lc_index *index = lc_table_index(t, 0);
    uint8_t key[KEY];
    uint64_t start = now();
    for (uint32_t i = 0; i < rows;) {
        lc_store_begin(s);
        for (uint32_t n = 0; n < 1000 && i < rows; n++, i++) {
            uint32_t deleted;
            lc_index_delete_point(index, make_key(k, i, key), &deleted, NULL);
            check(deleted == 1);
        }
        lc_store_commit(s);
        lc_store_release(s);
    }
    return (double)(now() - start) / rows;
}

/* ------------------------------------------------------------------- memory */

static double resident(void)
{
    unsigned long size, pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    check(f && fscanf(f, "%lu %lu", &size, &pages) == 2);
    fclose(f);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

/* In a process of its own, whose memory nobody used before. */
static void measure_memory(uint32_t rows, uint32_t per_tx)
{
    fflush(stdout);
    pid_t child = fork();
    if (child != 0) {
        waitpid(child, NULL, 0);
        return;
    }
    const kind *k = &kinds[0];
    double before = resident();
    lc_store *s = lc_store_create();
    lc_table *t = create_table(s, k);
    insert_all(s, t, k, rows, per_tx);
    double full = resident() - before;
    printf("%9u %9u %9.1f %9.1f", rows, per_tx, (double)lc_table_memory(t) / rows, full / rows);
    delete_all(s, t, k, rows / 10 * 9);
    printf(" %11.0f\n", (resident() - before) / full * 100);
    fflush(stdout);
    lc_store_destroy(s);
    _exit(0);
}

/* -------------------------------------------------------------------- images */

/* Whole transactions of one update each; the longest one too. */
static double update_singly(lc_store *s, lc_table *t, uint32_t rows, double *worst)
{
    const uint32_t updates = 100000;
    uint64_t spent = 0, longest = 0;
    for (uint32_t n = 0; n < updates; n++) {
        uint8_t bytes[128];
        lc_write w;
        lc_span row = make_row(&kinds[0], below(rows), n, bytes);
        uint64_t start = now();
        lc_store_begin(s);
        lc_table_update(t, lc_index_id(lc_table_index(t, 0)), row, &w, NULL);
        lc_store_commit(s);
        lc_store_release(s);
        uint64_t ns = now() - start;
        spent += ns;
        if (ns > longest) longest = ns;
    }
    *worst = (double)longest / 1e3;
    return (double)spent / updates;
}

static void measure_image(uint32_t rows)
{
    lc_store *s = lc_store_create();
    lc_table *t = create_table(s, &kinds[0]);
    insert_all(s, t, &kinds[0], rows, 1000);
    double worst, worst_frozen, worst_tidy = 0;
    double update = update_singly(s, t, rows, &worst);

    uint64_t start = now();
    lc_image *i = lc_store_freeze(s);
    double freeze = (double)(now() - start) / 1e3;
    double frozen = update_singly(s, t, rows, &worst_frozen);
    lc_buf chunk = LC_BUF_INIT;
    uint64_t bytes = 0;
    start = now();
    while (lc_image_next_chunk(i, 1 << 20, &chunk)) {
        bytes += chunk.len;
        lc_buf_reset(&chunk);
    }
    double read = (double)(now() - start);
    start = now();
    lc_image_release(i);
    double release = (double)(now() - start) / 1e3;
    for (bool more = true; more;) {
        start = now();
        more = lc_store_tidy(s);
        double us = (double)(now() - start) / 1e3;
        if (us > worst_tidy) worst_tidy = us;
    }
    printf("%9u %7.1f %7.0f %7.1f %7.0f %7.1f %7.2f %7.1f %7.1f\n", rows, freeze, update, worst,
           frozen, worst_frozen, (double)bytes / read, release, worst_tidy);
    lc_buf_deinit(&chunk);
    lc_store_destroy(s);
}

static void measure(const kind *k, uint32_t rows)
{
    lc_store *s = lc_store_create();
    lc_table *t = create_table(s, k);
    printf("%-31s %9u", k->name, rows);
    printf(" %7.0f", insert_all(s, t, k, rows, 1000));
    printf(" %7.1f", (double)lc_table_memory(t) / rows);
    printf(" %6.0f %6.0f", find_some(t, k, rows, true), find_some(t, k, rows, false));
    printf(" %6.0f %6.0f", update_some(s, t, k, rows, true), update_some(s, t, k, rows, false));
    printf(" %6.0f", transfer(s, t, k, rows));
    printf(" %6.2f", scan(t));
    printf(" %6.0f\n", delete_all(s, t, k, rows));
    fflush(stdout);
    lc_store_destroy(s);
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
    printf("%-31s %9s %7s %7s %6s %6s %6s %6s %6s %6s %6s\n", "table", "rows", "insert", "bytes",
           "find", "find", "update", "update", "tx", "scan", "delete");
    printf("%-31s %9s %7s %7s %6s %6s %6s %6s %6s %6s %6s\n", "", "", "ns", "/row", "hot", "",
           "hot", "", "", "", "");
    for (int n = 0; n < count; n++)
        for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) measure(&kinds[i], sizes[n]);

    printf("\n%9s %9s %9s %9s %11s\n", "rows", "in one tx", "counted", "resident", "% resident");
    printf("%9s %9s %9s %9s %11s\n", "", "", "B/row", "B/row", "90% deleted");
    for (int n = 0; n < count; n++) {
        measure_memory(sizes[n], 1000);
        measure_memory(sizes[n], 1000000);
    }
    printf("\n%9s %7s %7s %7s %7s %7s %7s %7s %7s\n", "image of", "freeze", "update", "worst",
           "frozen", "worst", "read", "release", "tidy");
    printf("%9s %7s %7s %7s %7s %7s %7s %7s %7s\n", "rows", "us", "ns", "us", "ns", "us", "GB/s",
           "us", "us");
    for (int n = 0; n < count; n++) measure_image(sizes[n]);
    return 0;
}
