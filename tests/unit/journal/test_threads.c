/* The writer thread: order and durability of callbacks, blocking at the backlog, leaving when idle,
 * failing. On the real file system in a temporary folder, and on the memory disk. */
#include "journal_test.h"

#include <pthread.h>
#include <semaphore.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct watcher {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t durable;
    uint64_t calls;
    int failures;
    _Atomic uint64_t given; /* offsets given so far: none beyond can be durable */
} watcher;

static void on_durable(void *arg, uint64_t count)
{
    watcher *w = arg;
    pthread_mutex_lock(&w->lock);
    assert_true(count > w->durable);
    assert_true(count <= atomic_load(&w->given));
    w->durable = count;
    w->calls++;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

static void on_failed(void *arg, const lc_error *err)
{
    watcher *w = arg;
    assert_int_equal(err->code, LC_E_IO);
    pthread_mutex_lock(&w->lock);
    w->failures++;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

static void watcher_init(watcher *w)
{
    memset(w, 0, sizeof *w);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->changed, NULL);
}

static void watcher_wait(watcher *w, uint64_t count)
{
    pthread_mutex_lock(&w->lock);
    while (w->durable < count && !w->failures) pthread_cond_wait(&w->changed, &w->lock);
    pthread_mutex_unlock(&w->lock);
}

static void append(lc_journal *j, watcher *w, uint64_t offset, size_t size)
{
    test_record(lc_journal_record_begin(j), offset, size);
    atomic_store(&w->given, offset + 1);
    assert_int_equal(lc_journal_record_end(j), offset);
}

static lc_status count_record(void *arg, uint64_t offset, lc_span record, lc_error *err)
{
    (void)err;
    uint64_t *next = arg;
    assert_int_equal(offset, (*next)++);
    lc_buf want = LC_BUF_INIT;
    test_record(&want, offset, record.len);
    assert_span_equal(record, lc_buf_span(&want));
    lc_buf_deinit(&want);
    return LC_OK;
}

static uint64_t read_all(const char *folder)
{
    uint64_t next = 0;
    lc_error err = LC_ERROR_INIT;
    assert_ok(lc_journal_read(folder, NULL, count_record, &next, NULL, &err), &err);
    return next;
}

static char *make_folder(char *name)
{
    strcpy(name, "/tmp/lightcone-journal-XXXXXX");
    assert_non_null(mkdtemp(name));
    return name;
}

static void remove_one(void *arg, const char *name)
{
    char *path = lc_format("%s/%s", (char *)arg, name);
    unlink(path);
    lc_free(path);
}

static void remove_folder(char *folder)
{
    lc_disk_system()->list(NULL, folder, remove_one, folder);
    rmdir(folder);
}

LC_TEST(producer_and_writer)
{
    char folder[64];
    watcher w;
    watcher_init(&w);
    lc_journal_options o = {
        .folder = make_folder(folder),
        .max_segment_size = 512 * 1024,
        .on_durable = on_durable,
        .on_failed = on_failed,
        .arg = &w,
    };
    uint64_t seed = 9, next = 0;
    for (int life = 0; life < 6; life++) {
        o.durability = (lc_durability)(life % 3);
        lc_journal *j;
        lc_error err = LC_ERROR_INIT;
        uint64_t replayed = 0;
        assert_ok(lc_journal_open(&o, count_record, &replayed, &j, NULL, &err), &err);
        assert_int_equal(replayed, next);
        for (int batch = 0; batch < 300; batch++) {
            for (uint64_t n = lc_test_random(&seed) % 20; n > 0; n--)
                append(j, &w, next++, (size_t)(lc_test_random(&seed) % 400));
            lc_journal_submit(j);
            if (batch % 10 == 0) watcher_wait(&w, next);
            assert_true(lc_journal_durable_count(j) <= next);
        }
        watcher_wait(&w, next - 1);
        append(j, &w, next++, 10);
        lc_journal_close(j);
        assert_int_equal(w.durable, next);
        assert_int_equal(w.failures, 0);
    }
    assert_int_equal(read_all(folder), next);
    remove_folder(folder);
}

/* Close while the writer works; open and close at once. */
LC_TEST(closing_at_any_moment)
{
    char folder[64];
    watcher w;
    watcher_init(&w);
    lc_journal_options o = {.folder = make_folder(folder), .on_durable = on_durable, .arg = &w};
    uint64_t next = 0;
    for (int life = 0; life < 40; life++) {
        lc_journal *j;
        lc_error err = LC_ERROR_INIT;
        assert_ok(lc_journal_open(&o, NULL, NULL, &j, NULL, &err), &err);
        for (int batch = 0; batch < life % 5; batch++) {
            append(j, &w, next++, (size_t)(batch * 1000));
            lc_journal_submit(j);
        }
        lc_journal_close(j);
        assert_int_equal(w.durable, next);
    }
    assert_int_equal(read_all(folder), next);
    remove_folder(folder);
}

static int64_t size_of(const char *folder)
{
    char *path = lc_segment_path(folder, 0, "log");
    struct stat st;
    int rc = stat(path, &st);
    lc_free(path);
    return rc < 0 ? -1 : st.st_size;
}

LC_TEST(writer_leaves_when_idle)
{
    char folder[64];
    watcher w;
    watcher_init(&w);
    lc_journal_options o = {
        .folder = make_folder(folder),
        .idle_millis = 20,
        .on_durable = on_durable,
        .arg = &w,
    };
    lc_journal *j;
    lc_error err = LC_ERROR_INIT;
    assert_ok(lc_journal_open(&o, NULL, NULL, &j, NULL, &err), &err);
    int64_t exact = LC_SEGMENT_HEADER;
    for (uint64_t i = 0; i < 5; i++) {
        append(j, &w, i, 100);
        exact += 100 + LC_FRAME_OVERHEAD;
        lc_journal_submit(j);
        watcher_wait(&w, i + 1);
        /* What was written ahead goes with the thread. */
        for (int tries = 0; size_of(folder) != exact; tries++) {
            assert_true(tries < 3000);
            usleep(10000);
        }
        usleep((useconds_t)(i * 1000));
    }
    lc_journal_close(j);
    assert_int_equal(size_of(folder), exact);
    assert_int_equal(read_all(folder), 5);
    remove_folder(folder);
}

/* RELAXED: published at once, synced by itself some time later. */
static _Atomic int syncs;

static int counted_sync(void *self, lc_file *f)
{
    (void)self;
    (void)f;
    atomic_fetch_add(&syncs, 1);
    return 0;
}

LC_TEST(relaxed_syncs_by_itself)
{
    memory_disk d;
    memory_disk_init(&d);
    d.disk.sync_data = counted_sync;
    watcher w;
    watcher_init(&w);
    lc_journal_options o = {
        .folder = TEST_FOLDER,
        .disk = &d.disk,
        .max_segment_size = 1024 * 1024,
        .durability = LC_DURABILITY_RELAXED,
        .idle_millis = 10,
        .on_durable = on_durable,
        .arg = &w,
    };
    lc_journal *j;
    lc_error err = LC_ERROR_INIT;
    assert_ok(lc_journal_open(&o, NULL, NULL, &j, NULL, &err), &err);
    append(j, &w, 0, 10);
    lc_journal_submit(j);
    watcher_wait(&w, 1);
    int before = atomic_load(&syncs);
    uint64_t next = 1;
    /* Under load, and when nothing comes any more. */
    while (atomic_load(&syncs) == before) {
        append(j, &w, next++, 10);
        lc_journal_submit(j);
        watcher_wait(&w, next);
    }
    assert_true(next > 2);
    append(j, &w, next++, 10);
    lc_journal_submit(j);
    watcher_wait(&w, next);
    while (atomic_load(&syncs) < before + 2) usleep(1000);
    usleep(50000);
    assert_int_equal(atomic_load(&syncs), before + 2);
    lc_journal_close(j);
    memory_disk_deinit(&d);
}

/* ------------------------------------------------------------------ backlog */

static sem_t gate;

static int gated_sync(void *self, lc_file *f)
{
    sem_wait(&gate);
    return ((memory_disk *)self)->nodes.len ? 0 : (int)(intptr_t)f;
}

typedef struct flood {
    lc_journal *journal;
    watcher watcher;
    _Atomic int submitted;
} flood;

static void *flood_main(void *arg)
{
    flood *f = arg;
    for (uint64_t i = 0; i < 4; i++) {
        lc_buf *b = lc_journal_record_begin(f->journal);
        memset(lc_buf_extend(b, 40 * 1024 * 1024), 1, 40 * 1024 * 1024);
        atomic_store(&f->watcher.given, i + 1);
        lc_journal_record_end(f->journal);
        lc_journal_submit(f->journal);
        atomic_fetch_add(&f->submitted, 1);
    }
    return NULL;
}

LC_TEST(submit_blocks_at_the_backlog)
{
    memory_disk d;
    memory_disk_init(&d);
    d.disk.sync_data = gated_sync;
    sem_init(&gate, 0, 1); /* opening syncs nothing: there is no segment; the first group once */
    flood f = {0};
    watcher_init(&f.watcher);
    lc_journal_options o = {
        .folder = TEST_FOLDER,
        .disk = &d.disk,
        .on_durable = on_durable,
        .arg = &f.watcher,
    };
    lc_error err = LC_ERROR_INIT;
    assert_ok(lc_journal_open(&o, NULL, NULL, &f.journal, NULL, &err), &err);
    sem_wait(&gate);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, flood_main, &f), 0);
    while (atomic_load(&f.submitted) < 2) usleep(1000);
    usleep(100000);
    /* 40 MiB being synced and 40 MiB queued: the third has to wait. */
    assert_int_equal(atomic_load(&f.submitted), 2);
    for (int i = 0; i < 100; i++) sem_post(&gate);
    pthread_join(thread, NULL);
    lc_journal_close(f.journal);
    assert_int_equal(f.watcher.durable, 4);
    memory_disk_deinit(&d);
    sem_destroy(&gate);
}

LC_TEST(failure_frees_whoever_waits)
{
    memory_disk d;
    memory_disk_init(&d);
    watcher w;
    watcher_init(&w);
    lc_journal_options o = {
        .folder = TEST_FOLDER,
        .disk = &d.disk,
        .max_segment_size = 1024 * 1024,
        .on_durable = on_durable,
        .on_failed = on_failed,
        .arg = &w,
    };
    lc_journal *j;
    lc_error err = LC_ERROR_INIT;
    assert_ok(lc_journal_open(&o, NULL, NULL, &j, NULL, &err), &err);
    append(j, &w, 0, 10);
    lc_journal_submit(j);
    watcher_wait(&w, 1);
    lc_journal_close(j);
    d.fail_kinds = LC_OP_WRITE;
    d.fail_at = d.ops + 3;
    assert_ok(lc_journal_open(&o, NULL, NULL, &j, NULL, &err), &err);
    uint64_t next = 1;
    while (!lc_journal_is_failed(j)) {
        append(j, &w, next++, 100);
        lc_journal_submit(j);
        if (next % 16 == 0) usleep(100);
    }
    watcher_wait(&w, next);
    uint64_t durable = lc_journal_durable_count(j);
    append(j, &w, next++, 100);
    lc_journal_submit(j);
    assert_int_equal(lc_journal_pending(j), 0);
    lc_journal_close(j);
    assert_int_equal(w.failures, 1);
    assert_int_equal(w.durable, durable);
    d.fail_at = 0;
    uint64_t found = 0;
    assert_ok(lc_journal_read(TEST_FOLDER, &d.disk, count_record, &found, NULL, &err), &err);
    assert_int_equal(found, durable);
    memory_disk_deinit(&d);
}

int main(void)
{
    lc_log_set_level(LC_LOG_ERROR);
    return LC_TEST_RUN(
        cmocka_unit_test(producer_and_writer), cmocka_unit_test(closing_at_any_moment),
        cmocka_unit_test(writer_leaves_when_idle), cmocka_unit_test(relaxed_syncs_by_itself),
        cmocka_unit_test(submit_blocks_at_the_backlog),
        cmocka_unit_test(failure_frees_whoever_waits));
}
