/* The worker's thread beside a busy executor, on the real disk. */
#include "storage_test.h"
#include "store/fixture.h"

#include <semaphore.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct machine {
    char folder[64];
    lc_storage_policy policy;
    lc_durability durability;
    lc_storage *storage;
    lc_storage_recovery found;
    atomic_uint wakes;
    sem_t woken;
    _Atomic uint64_t durable;
    uint64_t rows;
    int done_calls;
    int good_calls;
    uint64_t done_offset;
} machine;

static void on_durable(void *arg, uint64_t durable_count)
{
    machine *m = arg;
    assert_true(durable_count > atomic_load(&m->durable));
    atomic_store(&m->durable, durable_count);
}

static void on_wake(void *arg)
{
    machine *m = arg;
    atomic_fetch_add(&m->wakes, 1);
    sem_post(&m->woken);
}

static void on_done(void *arg, uint64_t offset, const lc_error *err)
{
    machine *m = arg;
    m->done_calls++;
    m->good_calls += err == NULL;
    m->done_offset = offset;
}

static void machine_init(machine *m)
{
    memset(m, 0, sizeof *m);
    strcpy(m->folder, "/tmp/lightcone-storage-XXXXXX");
    assert_non_null(mkdtemp(m->folder));
    sem_init(&m->woken, 0, 0);
    lc_log_set_level(LC_LOG_ERROR);
}

static void remove_in(const char *folder, const char *sub)
{
    lc_offset_list files = {0};
    char *path = lc_format("%s/%s", folder, sub);
    static const char *const suffixes[] = {".stdb.log", ".stdb.ofs", ".lcsnap", ".lcsnap.tmp",
                                           ".lcsnap.invalid"};
    for (size_t i = 0; i < LC_ARRAY_LEN(suffixes); i++) {
        files.len = 0;
        lc_storage_list(path, lc_disk_system(), suffixes[i], &files, NULL);
        LC_VEC_EACH (n, &files) {
            char *file = lc_format("%s/%020llu%s", path, (unsigned long long)*n, suffixes[i]);
            unlink(file);
            lc_free(file);
        }
    }
    assert_int_equal(rmdir(path), 0);
    lc_vec_deinit(&files);
    lc_free(path);
}

static void machine_deinit(machine *m)
{
    remove_in(m->folder, "clog");
    remove_in(m->folder, "snapshots");
    assert_int_equal(rmdir(m->folder), 0);
    sem_destroy(&m->woken);
}

static void open_machine(machine *m, lc_storage_mode mode)
{
    lc_storage_options o = {
        .folder = m->folder,
        .mode = mode,
        .durability = m->durability,
        .max_segment_size = 64 * 1024,
        .policy = m->policy,
        .on_durable = on_durable,
        .on_wake = on_wake,
        .arg = m,
    };
    lc_error err = LC_ERROR_INIT;
    atomic_store(&m->durable, 0);
    assert_ok(lc_storage_open(&o, &m->storage, &m->found, &err), &err);
}

static void commit_in(machine *m)
{
    lc_storage_commit(m->storage, &(lc_log_inputs){.name = LC_STR("test")}, false);
    lc_store_release(lc_storage_store(m->storage));
}

static void create_table(machine *m)
{
    table_builder b;
    tb_init(&b, "t");
    tb_column(&b, "id", TY(U64));
    tb_column(&b, "n", TY(U64));
    tb_column(&b, "text", TY(STRING));
    tb_index(&b, LC_INDEX_BTREE, true, "0");
    tb_index(&b, LC_INDEX_BTREE, false, "1");
    lc_store *s = lc_storage_store(m->storage);
    lc_store_begin(s);
    tb_create_in_tx(&b, s);
    commit_in(m);
}

/* A few rows inserted, some changed, some deleted, then what the executor does after a batch. */
static void work(machine *m, uint64_t *seed)
{
    lc_store *s = lc_storage_store(m->storage);
    lc_table *t = lc_store_table_by_name(s, LC_STR("t"));
    for (int i = 0; i < 20; i++) {
        lc_store_begin(s);
        uint64_t id = ++m->rows, other = lc_test_random(seed) % id + 1;
        char text[80];
        snprintf(text, sizeof text, "%.*s", (int)(lc_test_random(seed) % 70),
                 "0123456789012345678901234567890123456789012345678901234567890123456789");
        assert_int_equal(insert(t, row("88s", id, id % 10, text)), 0);
        lc_span found;
        lc_index *index = lc_table_index(t, 0);
        if (lc_index_find(index, LC_SPAN(&other, 8), &found)) {
            uint32_t deleted;
            if (lc_test_random(seed) % 3)
                update(t, 0, row("88s", other, id % 7, text));
            else
                lc_index_delete_point(index, LC_SPAN(&other, 8), &deleted, NULL);
        }
        commit_in(m);
    }
    lc_storage_flush(m->storage);
    if (sem_trywait(&m->woken) == 0) lc_storage_tick(m->storage);
}

/* Sleeps until the snapshot asked for is done. */
static void wait_done(machine *m, int calls)
{
    while (m->done_calls < calls) {
        sem_wait(&m->woken);
        lc_storage_tick(m->storage);
    }
}

/* Asks for one, after the one being taken. */
static void take_one(machine *m)
{
    int calls = m->done_calls;
    lc_error err = LC_ERROR_INIT;
    while (lc_storage_snapshot(m->storage, on_done, m, &err) != LC_OK) {
        assert_int_equal(err.code, LC_E_CONFLICT);
        sem_wait(&m->woken);
        lc_storage_tick(m->storage);
    }
    wait_done(m, calls + 1);
    lc_error_clear(&err);
}

static void assert_same_again(machine *m)
{
    lc_buf before = store_state(lc_storage_store(m->storage));
    lc_storage_close(m->storage);
    open_machine(m, LC_STORAGE_OPEN);
    check_store(lc_storage_store(m->storage));
    lc_buf after = store_state(lc_storage_store(m->storage));
    assert_states_equal(&before, &after);
    lc_buf_deinit(&before);
    lc_buf_deinit(&after);
}

LC_TEST(snapshots_beside_a_busy_executor)
{
    static const lc_durability durabilities[] = {LC_DURABILITY_GROUP, LC_DURABILITY_RELAXED};
    for (size_t d = 0; d < LC_ARRAY_LEN(durabilities); d++) {
        machine m;
        uint64_t seed = 7;
        machine_init(&m);
        m.durability = durabilities[d];
        m.policy.snapshot_log_bytes = 20000;
        m.policy.keep_micros = 1;
        open_machine(&m, LC_STORAGE_CREATE);
        create_table(&m);
        for (int i = 0; i < 600; i++) {
            work(&m, &seed);
            if (i % 100 != 99) continue;
            take_one(&m);
        }
        assert_int_equal(m.done_calls, 6);
        assert_int_equal(m.good_calls, 6);
        lc_snapshot_list list = {0};
        lc_error err = LC_ERROR_INIT;
        assert_ok(lc_snapshot_find(m.folder, NULL, true, &list, &err), &err);
        assert_true(list.len >= 2);
        LC_VEC_EACH (info, &list) assert_true(info->is_valid);
        lc_vec_deinit(&list);
        assert_same_again(&m);
        assert_true(m.found.snapshot > 1000);
        for (int i = 0; i < 50; i++) work(&m, &seed);
        assert_same_again(&m);
        lc_storage_close(m.storage);
        machine_deinit(&m);
    }
}

LC_TEST(ending_at_any_moment)
{
    machine m;
    uint64_t seed = 9;
    machine_init(&m);
    m.policy.snapshot_log_bytes = 10000;
    m.policy.keep_micros = 1;
    open_machine(&m, LC_STORAGE_CREATE);
    create_table(&m);
    for (int i = 0; i < 40; i++) {
        for (int n = 0; n <= i % 8; n++) work(&m, &seed);
        lc_storage_snapshot(m.storage, NULL, NULL, NULL);
        if (i % 3 == 0) usleep((useconds_t)(i * 37 % 3000));
        if (i % 2) lc_storage_hurry(m.storage);
        assert_same_again(&m);
    }
    lc_storage_hurry(m.storage);
    lc_storage_close(m.storage);
    machine_deinit(&m);
}

/* Somebody waits for the log while it fails. */
typedef struct failing_disk {
    lc_disk disk;
    atomic_bool fails;
} failing_disk;

static int failing_sync(void *self, lc_file *f)
{
    failing_disk *d = self;
    const lc_disk *real = lc_disk_system();
    return atomic_load(&d->fails) ? -EIO : real->sync_data(real->self, f);
}

static void on_failed(void *arg, const lc_error *err)
{
    (void)arg;
    assert_int_equal(err->code, LC_E_IO);
}

LC_TEST(a_failing_log_wakes_the_worker)
{
    machine m;
    machine_init(&m);
    failing_disk disk = {.disk = *lc_disk_system()};
    disk.disk.self = &disk;
    disk.disk.sync_data = failing_sync;
    lc_storage_options o = {
        .folder = m.folder,
        .disk = &disk.disk,
        .mode = LC_STORAGE_CREATE,
        .on_durable = on_durable,
        .on_failed = on_failed,
        .on_wake = on_wake,
        .arg = &m,
    };
    lc_error err = LC_ERROR_INIT;
    assert_ok(lc_storage_open(&o, &m.storage, &m.found, &err), &err);
    create_table(&m);
    lc_storage_flush(m.storage);
    atomic_store(&disk.fails, true);
    uint64_t seed = 1;
    work(&m, &seed);
    if (lc_storage_snapshot(m.storage, on_done, &m, &err) == LC_OK) {
        wait_done(&m, 1);
        assert_int_equal(m.good_calls, 0);
    }
    lc_error_clear(&err);
    lc_storage_close(m.storage);
    char *path = lc_snapshot_path(m.folder, 21, LC_SNAPSHOT_SUFFIX);
    assert_false(lc_disk_exists(lc_disk_system(), path));
    lc_free(path);
    char *folder = lc_format("%s/snapshots", m.folder);
    mkdir(folder, 0755); /* whether it got that far or not */
    lc_free(folder);
    machine_deinit(&m);
}

int main(void)
{
    return LC_TEST_RUN(cmocka_unit_test(snapshots_beside_a_busy_executor),
                       cmocka_unit_test(ending_at_any_moment),
                       cmocka_unit_test(a_failing_log_wakes_the_worker));
}
