/* The store alone for rows, as a module would use it; storage to save and load. */
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "peer.h"
#include "storage/lc_storage.h"

static lc_storage *storage;
static lc_store *store;
static lc_table *table;
static lc_index *by_key;
static atomic_bool is_woken;
static bool is_saved;

static void check(lc_status status, lc_error *err)
{
    if (status != LC_OK) peer_fail("lightcone", lc_error_text(err));
}

static void on_wake(void *arg)
{
    (void)arg;
    atomic_store(&is_woken, true);
}

static void find_table(void)
{
    store = lc_storage_store(storage);
    table = lc_store_table_by_name(store, LC_STR("t"));
    if (table) by_key = lc_table_index(table, 0);
}

static void open_folder(const char *folder, lc_storage_mode mode)
{
    lc_error err = LC_ERROR_INIT;
    lc_log_set_level(LC_LOG_WARN);
    lc_storage_options o = {
        .folder = folder,
        .mode = mode,
        .policy = {.snapshot_log_bytes = UINT64_MAX / 2, .no_snapshot_at_close = true},
        .on_wake = on_wake,
    };
    check(lc_storage_open(&o, &storage, NULL, &err), &err);
    find_table();
}

/* Rows go into the store only: the log is measured elsewhere. */
static void end(void)
{
    lc_store_commit(store);
    lc_store_release(store);
}

static void open_empty(const char *folder)
{
    open_folder(folder, LC_STORAGE_CREATE);
    uint16_t key[] = {0};
    lc_column_def columns[] = {{.name = LC_STR("id"), .type = lc_type_scalar(LC_TYPE_U32)},
                               {.name = LC_STR("n"), .type = lc_type_scalar(LC_TYPE_I32)}};
    lc_index_def index = {
        LC_STR("t_id_idx"), LC_STR("t_id_idx"), LC_SPAN_EMPTY, LC_INDEX_BTREE, key, 1, true};
    lc_constraint_def constraint = {LC_STR("t_id_key"), key, 1};
    lc_table_def def = {.name = LC_STR("t"),
                        .source_name = LC_STR("t"),
                        .columns = columns,
                        .column_count = 2,
                        .indexes = &index,
                        .index_count = 1,
                        .constraints = &constraint,
                        .constraint_count = 1,
                        .is_public = true};
    lc_error err = LC_ERROR_INIT;
    lc_store_begin(store);
    check(lc_store_create_table(store, &def, &table, &err), &err);
    lc_storage_commit(storage, &(lc_log_inputs){.name = LC_SPAN_EMPTY}, true);
    lc_store_release(store);
    lc_storage_flush(storage);
    find_table();
}

static void close_all(void)
{
    lc_storage_close(storage);
}

static void insert(uint32_t first_key, uint32_t count, int32_t number)
{
    lc_write w;
    lc_store_begin(store);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row[2] = {first_key + i, (uint32_t)number};
        if (lc_table_insert(table, LC_SPAN(row, sizeof row), &w, NULL)) peer_fail("insert", "");
    }
    end();
}

static void update(const uint32_t *keys, uint32_t count, int32_t number)
{
    lc_write w;
    lc_store_begin(store);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row[2] = {keys[i], (uint32_t)number};
        if (lc_table_update(table, lc_index_id(by_key), LC_SPAN(row, sizeof row), &w, NULL))
            peer_fail("update", "");
    }
    end();
}

static void remove_rows(const uint32_t *keys, uint32_t count)
{
    uint32_t deleted;
    lc_store_begin(store);
    for (uint32_t i = 0; i < count; i++)
        lc_index_delete_point(by_key, LC_SPAN(&keys[i], 4), &deleted, NULL);
    end();
}

static int32_t find(uint32_t key)
{
    lc_span row;
    if (!lc_index_find(by_key, LC_SPAN(&key, sizeof key), &row)) peer_fail("find", "no row");
    return (int32_t)lc_load_u32(row.ptr + 4);
}

static bool add(void *arg, lc_span row)
{
    *(int64_t *)arg += (int32_t)lc_load_u32(row.ptr + 4);
    return true;
}

static int64_t sum(void)
{
    int64_t all = 0;
    lc_table_scan(table, add, &all);
    return all;
}

static void on_saved(void *arg, uint64_t offset, const lc_error *err)
{
    (void)arg, (void)offset;
    if (err) peer_fail("save", lc_error_text(err));
    is_saved = true;
}

static void save(const char *folder)
{
    (void)folder;
    lc_error err = LC_ERROR_INIT;
    check(lc_storage_snapshot(storage, on_saved, NULL, &err), &err);
    while (!is_saved) {
        if (atomic_exchange(&is_woken, false))
            lc_storage_tick(storage);
        else
            usleep(200);
    }
}

static void load(const char *folder)
{
    open_folder(folder, LC_STORAGE_OPEN);
}

const peer peer_lightcone = {.name = "Lightcone",
                             .open = open_empty,
                             .close = close_all,
                             .insert = insert,
                             .update = update,
                             .remove = remove_rows,
                             .find = find,
                             .sum = sum,
                             .save = save,
                             .load = load};
