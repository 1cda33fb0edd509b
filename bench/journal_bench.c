/*
 * The journal beside what the disk itself does.
 *
 *   bench-journal_bench [FOLDER [SECONDS per row]]        default: here, 2 seconds
 *
 * Lone record: one record, wait until it is durable, again; beside pwrite + fdatasync of as many
 * bytes by this thread, to a file that grows and to one that was written ahead. Group commit:
 * records as fast as they can be appended, submitted in batches as an executor would. Reading: the
 * log is in the page cache and nothing is done with the records.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "journal/lc_journal.h"

enum { MAX_SAMPLES = 1000000 };

static double seconds_per_row = 2;
static uint32_t samples[MAX_SAMPLES]; /* ns / 100 */
static size_t taken;

static uint64_t now(void)
{
    return lc_clock_mono(lc_clock_system());
}

static int ascending(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static void sample(uint64_t nanos)
{
    if (taken < MAX_SAMPLES) samples[taken++] = (uint32_t)(nanos / 100);
}

static void print_latency(const char *what, double seconds)
{
    qsort(samples, taken, sizeof *samples, ascending);
    printf("%-52s p50 %7.1f us  p99 %8.1f us  %8.0f /s\n", what, samples[taken / 2] / 10.0,
           samples[taken * 99 / 100] / 10.0, (double)taken / seconds);
    taken = 0;
}

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void remove_segment(void *arg, const char *name)
{
    char path[300];
    (void)arg;
    snprintf(path, sizeof path, "clog/%.200s", name);
    unlink(path);
}

static void clean(void)
{
    unlink("raw");
    lc_disk_system()->list(NULL, "clog", remove_segment, NULL);
    rmdir("clog");
}

/* ---------------------------------------------------------------------- raw */

static void raw(size_t bytes, bool is_written_ahead)
{
    char what[80];
    int fd = open("raw", O_RDWR | O_CREAT | O_TRUNC, 0644);
    if (fd < 0) die("raw");
    static uint8_t block[1024 * 1024];
    if (is_written_ahead)
        for (int i = 0; i < 256; i++)
            if (pwrite(fd, block, sizeof block, (off_t)i * (off_t)sizeof block) < 0) die("raw");
    if (fsync(fd) < 0) die("raw");
    memset(block, 7, sizeof block);
    uint64_t began = now();
    off_t at = 0;
    while ((double)(now() - began) < seconds_per_row * 1e9 && at < 255 * 1024 * 1024) {
        uint64_t start = now();
        if (pwrite(fd, block, bytes, at) < 0 || fdatasync(fd) < 0) die("raw");
        sample(now() - start);
        at += (off_t)bytes;
    }
    snprintf(what, sizeof what, "raw pwrite + fdatasync, %zu B, %s", bytes,
             is_written_ahead ? "written ahead" : "growing");
    print_latency(what, (double)(now() - began) / 1e9);
    close(fd);
    clean();
}

/* ------------------------------------------------------------------ journal */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static uint64_t durable, groups;

static void on_durable(void *arg, uint64_t count)
{
    (void)arg;
    pthread_mutex_lock(&lock);
    durable = count;
    groups++;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}

static void on_failed(void *arg, const lc_error *err)
{
    (void)arg;
    fprintf(stderr, "%s\n", lc_error_text(err));
    exit(1);
}

static lc_journal *open_journal(void)
{
    lc_journal_options o = {.folder = "clog", .on_durable = on_durable, .on_failed = on_failed};
    lc_journal *j;
    lc_error err = LC_ERROR_INIT;
    if (lc_journal_open(&o, NULL, NULL, &j, NULL, &err)) {
        fprintf(stderr, "%s\n", lc_error_text(&err));
        exit(1);
    }
    durable = groups = 0;
    return j;
}

static void wait_durable(uint64_t count)
{
    pthread_mutex_lock(&lock);
    while (durable < count) pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

static uint64_t append(lc_journal *j, size_t bytes)
{
    memset(lc_buf_extend(lc_journal_record_begin(j), bytes), 5, bytes);
    return lc_journal_record_end(j) + 1;
}

static void lone(size_t bytes, unsigned pause_micros)
{
    lc_journal *j = open_journal();
    char what[80];
    uint64_t began = now();
    while ((double)(now() - began) < seconds_per_row * 1e9) {
        uint64_t start = now();
        uint64_t count = append(j, bytes);
        lc_journal_submit(j);
        wait_durable(count);
        sample(now() - start);
        if (pause_micros) usleep(pause_micros);
    }
    snprintf(what, sizeof what, "journal, lone record of %zu B%s", bytes,
             pause_micros ? ", 5 ms apart" : "");
    print_latency(what, (double)(now() - began) / 1e9);
    lc_journal_close(j);
    clean();
}

static void group(size_t bytes, unsigned batch)
{
    lc_journal *j = open_journal();
    uint64_t began = now(), count = 0, appending = 0;
    while ((double)(now() - began) < seconds_per_row * 1e9) {
        uint64_t start = now();
        for (unsigned i = 0; i < batch; i++) count = append(j, bytes);
        appending += now() - start;
        lc_journal_submit(j);
    }
    wait_durable(count);
    double seconds = (double)(now() - began) / 1e9;
    printf("journal, records of %zu B, %u per submit:  %.2f M/s  %.0f MiB/s  %.0f groups/s  "
           "%.0f ns per append\n",
           bytes, batch, (double)count / seconds / 1e6,
           (double)count * (double)(bytes + 26) / seconds / 1048576, (double)groups / seconds,
           (double)appending / (double)count);
    lc_journal_close(j);
    clean();
}

/* One batch at a time, durable before the next: what a group of this size costs. */
static void paced(size_t bytes, unsigned batch)
{
    lc_journal *j = open_journal();
    char what[80];
    uint64_t began = now(), count = 0;
    while ((double)(now() - began) < seconds_per_row * 1e9) {
        for (unsigned i = 0; i < batch; i++) count = append(j, bytes);
        uint64_t start = now();
        lc_journal_submit(j);
        wait_durable(count);
        sample(now() - start);
    }
    snprintf(what, sizeof what, "journal, group of %u x %zu B", batch, bytes);
    print_latency(what, (double)(now() - began) / 1e9);
    lc_journal_close(j);
    clean();
}

/* Batches at a steady rate; how long each takes to be durable. */
enum { RING = 1 << 16 };
static uint64_t submitted_at[RING];
static _Atomic uint64_t batches_submitted;
static uint64_t batches_durable, stream_batch;

static void on_stream_durable(void *arg, uint64_t count)
{
    (void)arg;
    uint64_t at = now(), submitted = atomic_load(&batches_submitted);
    while (batches_durable < submitted && (batches_durable + 1) * stream_batch <= count)
        sample(at - submitted_at[batches_durable++ % RING]);
    groups++;
}

static void stream(size_t bytes, unsigned batch, unsigned micros)
{
    char what[100];
    lc_journal_options o = {
        .folder = "clog", .on_durable = on_stream_durable, .on_failed = on_failed};
    lc_journal *j;
    if (lc_journal_open(&o, NULL, NULL, &j, NULL, NULL)) die("clog");
    groups = batches_durable = 0;
    atomic_store(&batches_submitted, 0);
    stream_batch = batch;
    uint64_t began = now(), n = 0;
    while ((double)(now() - began) < seconds_per_row * 1e9) {
        while (now() < began + n * micros * 1000)
            if (micros > 60) usleep(1);
        for (unsigned i = 0; i < batch; i++) append(j, bytes);
        submitted_at[n % RING] = now();
        atomic_store(&batches_submitted, ++n);
        lc_journal_submit(j);
    }
    double seconds = (double)(now() - began) / 1e9;
    lc_journal_close(j);
    snprintf(what, sizeof what, "journal, %.0f K records of %zu B/s, in %.0f groups/s",
             (double)n * batch / seconds / 1000, bytes, (double)groups / seconds);
    print_latency(what, seconds);
    clean();
}

/* ------------------------------------------------------------------ reading */

static lc_status look_away(void *arg, uint64_t offset, lc_span record, lc_error *err)
{
    (void)offset;
    (void)err;
    *(uint64_t *)arg += record.len;
    return LC_OK;
}

/* Opens the log in "clog" read-only, from the page cache. */
static void read_all(const char *what, uint64_t log_bytes)
{
    lc_journal_options o = {.folder = "clog", .is_read_only = true};
    lc_journal *j;
    lc_journal_stats stats;
    uint64_t sum = 0, best = UINT64_MAX;
    for (int i = 0; i < 3; i++) {
        uint64_t began = now();
        if (lc_journal_open(&o, look_away, &sum, &j, &stats, NULL)) die("clog");
        if (now() - began < best) best = now() - began;
        lc_journal_close(j);
    }
    printf("%s: %.2f GB/s  %.1f M commits/s\n", what, (double)log_bytes / (double)best,
           (double)stats.commits * 1e3 / (double)best);
}

/* Records as of small rows: mostly the same bytes, numbers that count, numbers that do not. */
static void put_rows(lc_buf *b, size_t bytes, uint64_t n)
{
    uint8_t *p = lc_buf_extend(b, bytes);
    memset(p, 7, bytes);
    for (size_t i = 0; i + 16 <= bytes; i += 48) {
        lc_store_u32(p + i, (uint32_t)(n + i));
        lc_store_u64(p + i + 8, lc_hash_u64(n + i));
    }
}

static void reading(size_t bytes)
{
    enum { TOTAL = 512 * 1024 * 1024 };
    char what[80];
    lc_journal *j = open_journal();
    uint64_t count = 0;
    for (uint64_t done = 0; done < TOTAL; done += bytes + 26) {
        put_rows(lc_journal_record_begin(j), bytes, count);
        count = lc_journal_record_end(j) + 1;
        if (count % 256 == 0) lc_journal_submit(j);
    }
    uint64_t log_bytes = lc_journal_appended_bytes(j);
    lc_journal_close(j);
    snprintf(what, sizeof what, "reading records of %zu B", bytes);
    read_all(what, log_bytes);

    /* A newer segment, so that this one is old. */
    lc_journal_options o = {.folder = "clog", .max_segment_size = 1024 * 1024};
    if (lc_journal_open(&o, NULL, NULL, &j, NULL, NULL)) die("clog");
    append(j, bytes);
    uint64_t end = lc_journal_next_offset(j);
    lc_journal_close(j);
    bool did;
    uint64_t began = now();
    if (lc_journal_seal("clog", NULL, end, NULL, &did, NULL) || !did) die("seal");
    double seconds = (double)(now() - began) / 1e9;
    lc_buf packed = LC_BUF_INIT;
    if (lc_disk_read_file(lc_disk_system(), "clog/00000000000000000000.stdb.log", &packed, NULL))
        die("clog");
    printf("sealing it: %.0f MB/s, to %.0f %%\n", (double)log_bytes / seconds / 1e6,
           (double)packed.len * 100 / (double)log_bytes);
    lc_buf_deinit(&packed);
    snprintf(what, sizeof what, "reading sealed records of %zu B", bytes);
    read_all(what, log_bytes);
    clean();
}

static void checksum(size_t bytes)
{
    static uint8_t block[4096];
    uint32_t sum = 0;
    enum { ROUNDS = 2000000 };
    uint64_t began = now();
    for (int i = 0; i < ROUNDS; i++) sum ^= lc_crc32c(sum, block, bytes);
    printf("checksum of %zu B: %.1f ns (%x)\n", bytes, (double)(now() - began) / ROUNDS, sum & 1);
}

int main(int argc, char **argv)
{
    char folder[] = "lightcone-journal-bench-XXXXXX";
    if (argc > 1 && chdir(argv[1])) die(argv[1]);
    if (argc > 2) seconds_per_row = atof(argv[2]);
    if (!mkdtemp(folder) || chdir(folder)) die(folder);
    static const size_t sizes[] = {176, 4096, 65536};
    for (size_t i = 0; i < LC_ARRAY_LEN(sizes); i++) {
        raw(sizes[i], false);
        raw(sizes[i], true);
    }
    lone(150, 0);
    lone(150, 5000);
    lone(4070, 0);
    paced(150, 23);
    paced(150, 93);
    paced(150, 372);
    paced(150, 1490);
    stream(150, 10, 1000);
    stream(150, 10, 100);
    stream(150, 20, 50);
    stream(150, 50, 50);
    group(150, 1);
    group(150, 64);
    group(150, 512);
    group(4096, 16);
    reading(40);
    reading(150);
    reading(4096);
    checksum(150);
    checksum(4096);
    return chdir("..") || rmdir(folder);
}
