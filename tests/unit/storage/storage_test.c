#include "storage_test.h"

#include "store/fixture.h"

/* -------------------------------------------------------------------- clock */

static int64_t now_micros(void *self)
{
    return ((world *)self)->now;
}

static uint64_t monotonic_nanos(void *self)
{
    return (uint64_t)((world *)self)->now * 1000;
}

/* --------------------------------------------------------------- open, close */

static void on_durable(void *arg, uint64_t durable_count)
{
    world *w = arg;
    assert_true(durable_count > w->durable);
    w->durable = durable_count;
}

static void on_failed(void *arg, const lc_error *err)
{
    world *w = arg;
    assert_true(err->code != LC_OK);
    w->failures++;
}

static void on_wake(void *arg)
{
    ((world *)arg)->wakes++;
}

static void on_progress(void *arg, const lc_storage_progress *p)
{
    assert_true(p->total == 0 || p->done <= p->total);
    ((world *)arg)->progress_calls++;
}

void world_init(world *w)
{
    *w = (world){.now = 1700000000000000};
    w->clock = (lc_clock){now_micros, monotonic_nanos, w};
    memory_disk_init(&w->disk);
    lc_log_set_level(LC_LOG_ERROR);
}

lc_status world_open(world *w, lc_storage_mode mode)
{
    lc_storage_options o = {
        .folder = WORLD_FOLDER,
        .disk = &w->disk.disk,
        .clock = &w->clock,
        .mode = mode,
        .durability = w->durability,
        .max_segment_size = w->max_segment_size,
        .policy = w->policy,
        .is_stepped = true,
        .on_durable = on_durable,
        .on_failed = on_failed,
        .on_wake = on_wake,
        .on_progress = on_progress,
        .arg = w,
    };
    lc_error_clear(&w->err);
    w->durable = 0;
    return lc_storage_open(&o, &w->storage, &w->found, &w->err);
}

void world_reopen(world *w)
{
    world_close(w);
    assert_ok(world_open(w, LC_STORAGE_OPEN), &w->err);
}

void world_close(world *w)
{
    if (w->storage) lc_storage_close(w->storage);
    w->storage = NULL;
}

void world_kill(world *w)
{
    memory_disk after;
    memory_disk_clone(&after, &w->disk);
    if (w->storage) lc_storage_hurry(w->storage);
    world_close(w);
    memory_disk_deinit(&w->disk);
    w->disk = after;
    w->disk.disk.self = &w->disk;
}

void world_deinit(world *w)
{
    if (w->storage) lc_storage_hurry(w->storage);
    world_close(w);
    memory_disk_deinit(&w->disk);
    lc_error_clear(&w->err);
}

/* ------------------------------------------------------------------ commits */

static void commit_in(world *w)
{
    lc_log_inputs in = {.name = LC_STR("test"), .timestamp = w->now};
    lc_storage_commit(w->storage, &in, false);
    lc_store_release(lc_storage_store(w->storage));
}

void world_create(world *w)
{
    assert_ok(world_open(w, LC_STORAGE_CREATE), &w->err);
    table_builder b;
    tb_init(&b, "t");
    tb_column(&b, "id", TY(U64));
    tb_column(&b, "text", TY(STRING));
    tb_index(&b, LC_INDEX_BTREE, true, "0");
    tb_sequence(&b, 0);
    lc_store *s = lc_storage_store(w->storage);
    lc_store_begin(s);
    tb_create_in_tx(&b, s);
    commit_in(w);
}

static void write_some(lc_table *t, uint64_t n)
{
    char text[64];
    snprintf(text, sizeof text, "text of row %llu %.*s", (unsigned long long)n, (int)(n % 20),
             "....................");
    assert_int_equal(insert(t, row("8s", (uint64_t)0, text)), 0);
    lc_index *index = lc_table_index(t, 0);
    uint64_t old = n / 2;
    lc_span found;
    uint32_t deleted;
    if (n % 3 == 1 && lc_index_find(index, LC_SPAN(&old, 8), &found))
        assert_int_equal(update(t, 0, row("8s", old, text)), 0);
    if (n % 7 == 3) lc_index_delete_point(index, LC_SPAN(&old, 8), &deleted, NULL);
}

void world_commit(world *w, uint32_t transactions)
{
    lc_store *s = lc_storage_store(w->storage);
    lc_table *t = lc_store_table_by_name(s, LC_STR("t"));
    for (uint32_t i = 0; i < transactions; i++) {
        lc_store_begin(s);
        write_some(t, ++w->rows_made);
        commit_in(w);
    }
}

void world_settle(world *w)
{
    lc_storage_flush(w->storage);
    bool any = true;
    while (any) {
        any = lc_storage_step_log(w->storage);
        any |= lc_storage_step_work(w->storage);
        lc_storage_tick(w->storage);
    }
}

void world_done(void *arg, uint64_t offset, const lc_error *err)
{
    world *w = arg;
    w->done_calls++;
    w->done_offset = offset;
    w->done_status = err ? err->code : LC_OK;
}

uint64_t world_snapshot(world *w)
{
    int calls = w->done_calls;
    assert_ok(lc_storage_snapshot(w->storage, world_done, w, &w->err), &w->err);
    world_settle(w);
    assert_int_equal(w->done_calls, calls + 1);
    assert_int_equal(w->done_status, LC_OK);
    return w->done_offset;
}

/* -------------------------------------------------------------------- state */

lc_buf store_state(const lc_store *s)
{
    lc_buf out = LC_BUF_INIT;
    uint32_t at = 0;
    for (lc_table *t; (t = lc_store_next_table(s, &at));) {
        spans rows = {0};
        collect_sorted(t, &rows);
        lc_buf_printf(&out, "table %u: %zu rows\n", lc_table_id(t), rows.len);
        LC_VEC_EACH (r, &rows) lc_buf_put_lenstr(&out, *r);
        spans_deinit(&rows);
    }
    return out;
}

lc_buf world_state(const world *w)
{
    check_store(lc_storage_store(w->storage));
    return store_state(lc_storage_store(w->storage));
}

void assert_states_equal(const lc_buf *a, const lc_buf *b)
{
    assert_int_equal(a->len, b->len);
    assert_memory_equal(a->ptr, b->ptr, a->len);
}

/* -------------------------------------------------------------------- files */

typedef struct count {
    const char *suffix;
    uint32_t n;
} count;

static void count_name(void *arg, const char *name)
{
    count *c = arg;
    size_t len = strlen(name), end = strlen(c->suffix);
    if (len >= end && !strcmp(name + len - end, c->suffix)) c->n++;
}

uint32_t world_count(world *w, const char *suffix)
{
    count c = {suffix, 0};
    w->disk.disk.list(&w->disk, WORLD_FOLDER, count_name, &c);
    return c.n;
}

lc_buf *world_snapshot_file(world *w, uint64_t offset)
{
    char *path = lc_snapshot_path(WORLD_FOLDER, offset, LC_SNAPSHOT_SUFFIX);
    lc_buf *file = memory_disk_file(&w->disk, path);
    lc_free(path);
    return file;
}

bool world_has_snapshot(world *w, uint64_t offset)
{
    return world_snapshot_file(w, offset) != NULL;
}

void world_remove(world *w, const char *path)
{
    assert_int_equal(w->disk.disk.unlink(&w->disk, path), 0);
}
