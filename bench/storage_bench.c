/*
 * What snapshots cost: how long the executor stands still for one, and how fast they are written
 * and read.
 *
 *   bench-storage_bench [ROWS [FOLDER [TEXT [UPDATES per second]]]]      default: 10000000 . 0
 * 100000
 *
 * A table of ROWS rows (u32 key, i32, and unless TEXT is 0 so many bytes of text). Updates of
 * random rows in batches of 50, each batch flushed to the log, at a steady rate: for three seconds
 * without a snapshot (`calm`), then until one is written, verified and given back (`busy`). stall:
 * the longest time from one commit to the next within a batch, and the 99.9th percentile; cpu: the
 * same of the time this thread ran, which leaves out what other programs and a busy disk do to it.
 * Then the folder is opened from a snapshot (load) and from the log behind one (replay). Prints one
 * line: names and values, MB = 10^6 bytes.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "storage/lc_storage.h"

enum { BATCH = 50, CALM_SECONDS = 3, MAX_SAMPLES = 16 << 20 };

static const char *folder;
static uint32_t rows = 10000000;
static uint32_t text_bytes;
static double rate = 100000;
static lc_storage *storage;
static lc_table *table;
static atomic_bool is_woken;
static bool is_done;
static uint32_t *samples; /* ns */
static size_t taken;
static uint64_t longest_cpu;
static uint64_t snapshot_began, written_after;
static uint64_t loaded_at; /* while opening: when the last piece of a snapshot was there */

static uint64_t now(void)
{
    return lc_clock_mono(lc_clock_system());
}

static uint64_t cpu(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t random_state = 1;

static uint32_t below(uint32_t n)
{
    uint64_t z = random_state += 0x9e3779b97f4a7c15ull;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return (uint32_t)(((z ^ z >> 31) >> 32) * n >> 32);
}

static void check(lc_status rc, const lc_error *err)
{
    if (rc == LC_OK) return;
    fprintf(stderr, "storage_bench: %s\n", lc_error_text(err));
    exit(1);
}

/* ------------------------------------------------------------------ database */

static void on_wake(void *arg)
{
    (void)arg;
    atomic_store(&is_woken, true);
}

static void on_progress(void *arg, const lc_storage_progress *p)
{
    (void)arg;
    if (!p->is_log) loaded_at = now();
}

static void open_storage(lc_storage_mode mode, lc_storage_recovery *found)
{
    lc_error err = LC_ERROR_INIT;
    lc_storage_options o = {
        .folder = folder,
        .mode = mode,
        .policy = {.snapshot_log_bytes = UINT64_MAX / 2, .no_snapshot_at_close = true},
        .on_wake = on_wake,
        .on_progress = on_progress,
    };
    check(lc_storage_open(&o, &storage, found, &err), &err);
    table = lc_store_table_by_name(lc_storage_store(storage), LC_STR("t"));
}

static void commit(void)
{
    lc_storage_commit(storage, &(lc_log_inputs){.name = LC_STR("set")}, false);
    lc_store_release(lc_storage_store(storage));
}

static void create_table(void)
{
    uint16_t key[] = {0};
    lc_column_def columns[] = {{.name = LC_STR("id"), .type = lc_type_scalar(LC_TYPE_U32)},
                               {.name = LC_STR("n"), .type = lc_type_scalar(LC_TYPE_I32)},
                               {.name = LC_STR("s"), .type = lc_type_scalar(LC_TYPE_STRING)}};
    lc_index_def index = {
        LC_STR("t_id_idx"), LC_STR("t_id_idx"), LC_SPAN_EMPTY, LC_INDEX_BTREE, key, 1, true};
    lc_constraint_def constraint = {LC_STR("t_id_key"), key, 1};
    lc_table_def def = {.name = LC_STR("t"),
                        .source_name = LC_STR("t"),
                        .columns = columns,
                        .column_count = text_bytes ? 3 : 2,
                        .primary_key = 0,
                        .indexes = &index,
                        .index_count = 1,
                        .constraints = &constraint,
                        .constraint_count = 1,
                        .is_public = true};
    lc_error err = LC_ERROR_INIT;
    lc_store_begin(lc_storage_store(storage));
    check(lc_store_create_table(lc_storage_store(storage), &def, &table, &err), &err);
    commit();
}

static lc_span make_row(uint32_t id, uint32_t n)
{
    static lc_buf row;
    lc_buf_reset(&row);
    lc_buf_put_u32(&row, id);
    lc_buf_put_u32(&row, n);
    if (text_bytes) {
        lc_buf_put_u32(&row, text_bytes);
        memset(lc_buf_extend(&row, text_bytes), 'a' + n % 26, text_bytes);
    }
    return lc_buf_span(&row);
}

static void fill(void)
{
    lc_write w;
    for (uint32_t id = 0; id < rows;) {
        lc_store_begin(lc_storage_store(storage));
        for (int i = 0; i < 10000 && id < rows; i++, id++)
            lc_table_insert(table, make_row(id, id), &w, NULL);
        commit();
        lc_storage_flush(storage);
    }
}

static void wait_durable(void)
{
    lc_storage_flush(storage);
    while (lc_storage_durable_count(storage) < lc_storage_need(storage)) usleep(100);
}

/* -------------------------------------------------------------------- load */

static void update_one(uint32_t index)
{
    lc_write w;
    lc_store_begin(lc_storage_store(storage));
    lc_table_update(table, index, make_row(below(rows), below(UINT32_MAX)), &w, NULL);
    commit();
}

static void sample(uint64_t nanos)
{
    if (taken < MAX_SAMPLES) samples[taken++] = nanos < UINT32_MAX ? (uint32_t)nanos : UINT32_MAX;
}

/* One batch as an executor runs it, with what it was asked to do meanwhile. */
static void batch(uint32_t index)
{
    uint64_t cpu_before = cpu(), before = now();
    for (int i = 0; i < BATCH; i++) {
        if (i + 1 == BATCH) {
            if (atomic_exchange(&is_woken, false)) lc_storage_tick(storage);
            lc_storage_flush(storage);
        }
        update_one(index);
        uint64_t cpu_after = cpu(), after = now();
        sample(after - before);
        if (cpu_after - cpu_before > longest_cpu) longest_cpu = cpu_after - cpu_before;
        before = after;
        cpu_before = cpu_after;
    }
}

static void pause_until(uint64_t moment)
{
    uint64_t t = now();
    if (t + 60000 >= moment) return;
    struct timespec d = {.tv_nsec = (long)(moment - t - 50000)};
    nanosleep(&d, NULL);
}

/* Batches at the rate asked for, for so long or until the snapshot is done. */
static void load(uint64_t nanos)
{
    uint32_t index = lc_index_id(lc_table_index(table, 0));
    uint64_t began = now(), step = (uint64_t)(1e9 * BATCH / rate), next = began;
    while (nanos ? now() - began < nanos : !is_done) {
        batch(index);
        next += step;
        pause_until(next);
    }
}

static int ascending(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static void print_stalls(const char *what)
{
    qsort(samples, taken, sizeof *samples, ascending);
    printf("%s_stall_us %.0f %s_p999_us %.1f %s_cpu_us %.0f %s_commits %zu ", what,
           samples[taken - 1] / 1e3, what, samples[taken - taken / 1000 - 1] / 1e3, what,
           (double)longest_cpu / 1e3, what, taken);
    taken = 0;
    longest_cpu = 0;
}

/* ---------------------------------------------------------------- snapshots */

static void done(void *arg, uint64_t offset, const lc_error *err)
{
    (void)arg, (void)offset;
    if (err) check(err->code, err);
    written_after = now() - snapshot_began;
    is_done = true;
}

static void begin_snapshot(void)
{
    lc_error err = LC_ERROR_INIT;
    is_done = false;
    snapshot_began = now();
    uint64_t before = cpu();
    check(lc_storage_snapshot(storage, done, NULL, &err), &err);
    printf("freeze_us %.0f ", (double)(cpu() - before) / 1e3);
}

static void open_and_time(const char *what)
{
    lc_storage_recovery found;
    uint64_t began = now(), cpu_began = cpu();
    open_storage(LC_STORAGE_OPEN, &found);
    uint64_t end = now();
    printf("%s_s %.3f %s_cpu_s %.3f ", what, (double)(end - began) / 1e9, what,
           (double)(cpu() - cpu_began) / 1e9);
    if (found.log.next_offset == found.snapshot)
        printf("%s_mb/s %.0f %s_read_mb/s %.0f %s_rows/s %.0f ", what,
               (double)found.snapshot_bytes / 1e6 / ((double)(end - began) / 1e9), what,
               (double)found.snapshot_bytes / 1e6 / ((double)(loaded_at - began) / 1e9), what,
               rows / ((double)(end - began) / 1e9));
    else
        printf("%s_commits %llu ", what, (unsigned long long)found.log.commits);
}

/* What the disk does with as many bytes, written and synced alike. */
static void print_disk(void)
{
    static uint8_t block[1 << 20];
    char *path = lc_format("%s/plain", folder);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) return;
    uint64_t began = now();
    memset(block, 0x55, sizeof block);
    for (int i = 1; i <= 256; i++) {
        if (write(fd, block, sizeof block) < 0) break;
        if (i % 8 == 0) fdatasync(fd);
    }
    printf("disk_write_mb/s %.0f ", 268.4 / ((double)(now() - began) / 1e9));
    close(fd);
    unlink(path);
    lc_free(path);
}

static void remove_folder(void)
{
    char *command = lc_format("rm -rf '%s'", folder);
    if (system(command)) perror(command);
    lc_free(command);
}

int main(int argc, char **argv)
{
    char *made = lc_format("%s/lightcone-storage-bench-XXXXXX", argc > 2 ? argv[2] : ".");
    if (argc > 1) rows = (uint32_t)strtoul(argv[1], NULL, 10);
    if (argc > 3) text_bytes = (uint32_t)strtoul(argv[3], NULL, 10);
    if (argc > 4) rate = strtod(argv[4], NULL);
    if (!mkdtemp(made)) {
        perror(made);
        return 1;
    }
    folder = made;
    samples = malloc(MAX_SAMPLES * sizeof *samples);
    lc_log_set_level(LC_LOG_WARN);
    printf("rows %u text %u ", rows, text_bytes);
    print_disk();
    open_storage(LC_STORAGE_CREATE, NULL);
    create_table();
    fill();
    wait_durable();

    load(CALM_SECONDS * 1000000000ull);
    print_stalls("calm");
    begin_snapshot();
    load(0);
    print_stalls("busy");
    printf("busy_snapshot_s %.2f ", (double)written_after / 1e9);
    wait_durable();

    begin_snapshot();
    while (!is_done) {
        usleep(200);
        if (atomic_exchange(&is_woken, false)) lc_storage_tick(storage);
    }
    lc_snapshot_list list = {0};
    check(lc_snapshot_find(folder, NULL, false, &list, NULL), NULL);
    printf("snapshot_mb %.0f write_mb/s %.0f ", (double)list.items[0].bytes / 1e6,
           (double)list.items[0].bytes / 1e6 / ((double)written_after / 1e9));
    lc_vec_deinit(&list);
    lc_storage_hurry(storage);
    lc_storage_close(storage);

    open_and_time("load");
    load(CALM_SECONDS * 1000000000ull);
    wait_durable();
    lc_storage_hurry(storage);
    lc_storage_close(storage);
    open_and_time("replay");
    printf("\n");
    lc_storage_hurry(storage);
    lc_storage_close(storage);
    remove_folder();
    free(samples);
    lc_free(made);
    return 0;
}
