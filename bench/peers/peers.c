/*
 * What the store costs beside SQLite and LMDB doing the same: rows (u32 key, i32), transactions of
 * 1000 rows, one thread, nothing synced while rows change. Prints a Markdown table: medians of the
 * repeats, which take turns.
 *
 *   bench-peers [ROWS [REPEATS [FOLDER]]]      default: 1000000 3 and the folder for temporary
 * files
 *
 * Lightcone and SQLite keep all rows in the process's memory; LMDB maps a file, whose pages count
 * as its memory. save: everything into a file, synced. load: in a new process, until every row can
 * be found.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "peer.h"

enum { BATCH = 1000, MAX_REPEATS = 15, PEERS = 3 };
typedef enum measure { INSERT, FIND, SCAN, UPDATE, SAVE, LOAD, REMOVE, MEMORY, MEASURES } measure;
static const char *const names[MEASURES] = {
    [INSERT] = "insert, rising keys, ns",
    [FIND] = "find, random, ns",
    [SCAN] = "scan, ns a row",
    [UPDATE] = "update, random, ns",
    [SAVE] = "save and sync, ns a row",
    [LOAD] = "load, ns a row",
    [REMOVE] = "delete, random, ns",
    [MEMORY] = "memory, bytes a row",
};
static const peer *const peers[PEERS] = {&peer_lightcone, &peer_sqlite, &peer_lmdb};
static uint32_t rows = 1000000;
static uint32_t *order; /* all keys, shuffled */

_Noreturn void peer_fail(const char *what, const char *why)
{
    fprintf(stderr, "peers: %s: %s\n", what, why);
    exit(1);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double resident(void)
{
    long size, pages;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%ld %ld", &size, &pages) != 2) peer_fail("/proc/self/statm", "unreadable");
    fclose(f);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static uint32_t below(uint32_t n)
{
    static uint64_t state = 1;
    uint64_t z = state += 0x9e3779b97f4a7c15ull;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return (uint32_t)(((z ^ z >> 31) >> 32) * n >> 32);
}

static void shuffle(void)
{
    order = malloc(rows * sizeof *order);
    if (!order) peer_fail("order", "out of memory");
    for (uint32_t i = 0; i < rows; i++) order[i] = i + 1;
    for (uint32_t i = rows; i > 1; i--) {
        uint32_t j = below(i), key = order[j];
        order[j] = order[i - 1];
        order[i - 1] = key;
    }
}

static uint32_t batch_at(uint32_t i)
{
    return rows - i < BATCH ? rows - i : BATCH;
}

static void run_rows(const peer *p, const char *folder, double *out)
{
    double before = resident(), began = now();
    p->open(folder);
    for (uint32_t i = 0; i < rows; i += BATCH) p->insert(i + 1, batch_at(i), 7);
    out[INSERT] = (now() - began) / rows;
    out[MEMORY] = (resident() - before) / rows;

    began = now();
    int64_t found = 0;
    for (uint32_t i = 0; i < rows; i++) found += p->find(order[i]);
    out[FIND] = (now() - began) / rows;
    began = now();
    int64_t all = p->sum();
    out[SCAN] = (now() - began) / rows;
    if (found != 7ll * rows || all != found) peer_fail(p->name, "rows are missing");

    began = now();
    for (uint32_t i = 0; i < rows; i += BATCH) p->update(order + i, batch_at(i), 8);
    out[UPDATE] = (now() - began) / rows;
    began = now();
    p->save(folder);
    out[SAVE] = (now() - began) / rows;
    began = now();
    for (uint32_t i = 0; i < rows; i += BATCH) p->remove(order + i, batch_at(i));
    out[REMOVE] = (now() - began) / rows;
    if (p->sum() != 0) peer_fail(p->name, "rows are left");
    p->close();
}

static void run_load(const peer *p, const char *folder, double *out)
{
    double began = now();
    p->load(folder);
    out[LOAD] = (now() - began) / rows;
    if (p->sum() != 8ll * rows) peer_fail(p->name, "what was loaded is not what was saved");
    p->close();
}

/* In a process of its own, so that memory is its own. */
static void in_child(void (*run)(const peer *, const char *, double *), const peer *p,
                     const char *folder, double *out)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        run(p, folder, out);
        exit(0);
    }
    int status;
    if (pid < 0 || waitpid(pid, &status, 0) < 0 || status != 0) peer_fail(p->name, "failed");
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_table(double (*results)[PEERS][MEASURES], int repeats)
{
    printf("| %u rows |", rows);
    for (int p = 0; p < PEERS; p++) printf(" %s |", peers[p]->name);
    printf(" ratios |\n|---|--:|--:|--:|--:|\n");
    for (int m = 0; m < MEASURES; m++) {
        double median[PEERS];
        for (int p = 0; p < PEERS; p++) {
            double all[MAX_REPEATS];
            for (int r = 0; r < repeats; r++) all[r] = results[r][p][m];
            qsort(all, (size_t)repeats, sizeof *all, by_size);
            median[p] = all[repeats / 2];
        }
        printf("| %s | %.1f | %.1f | %.1f | %.1f, %.1f |\n", names[m], median[0], median[1],
               median[2], median[1] / median[0], median[2] / median[0]);
    }
}

static void remove_folder(const char *folder)
{
    char command[600];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    if (system(command) != 0) peer_fail(folder, "cannot be removed");
}

int main(int argc, char **argv)
{
    if (argc > 1) rows = (uint32_t)strtoul(argv[1], NULL, 10);
    int repeats = argc > 2 ? atoi(argv[2]) : 3;
    const char *parent = argc > 3 ? argv[3] : getenv("TMPDIR");
    if (rows == 0 || repeats < 1 || repeats > MAX_REPEATS)
        peer_fail("usage", "bench-peers [ROWS [REPEATS [FOLDER]]]");
    shuffle();
    double(*results)[PEERS][MEASURES] =
        mmap(NULL, (size_t)repeats * sizeof *results, PROT_READ | PROT_WRITE,
             MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (results == MAP_FAILED) peer_fail("results", "out of memory");
    for (int r = 0; r < repeats; r++)
        for (int p = 0; p < PEERS; p++) {
            char folder[512];
            snprintf(folder, sizeof folder, "%s/bench-peers-XXXXXX", parent ? parent : "/tmp");
            if (!mkdtemp(folder)) peer_fail(folder, "cannot be made");
            in_child(run_rows, peers[p], folder, results[r][p]);
            in_child(run_load, peers[p], folder, results[r][p]);
            remove_folder(folder);
        }
    print_table(results, repeats);
    return 0;
}
