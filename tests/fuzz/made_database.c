#include "made_database.h"

#define DEFINITION "tests/fuzz/definition/module-basic"

lc_status made_open(memory_disk *d, lc_storage_mode mode, lc_storage **out,
                    lc_storage_recovery *found, lc_error *err)
{
    lc_storage_options o = {
        .folder = MADE_FOLDER,
        .disk = &d->disk,
        .mode = mode,
        .max_segment_size = 65536, /* the index of a large one takes megabytes */
        .policy = {.keep_all = true, .no_snapshot_at_close = true, .no_compression = true},
        .is_stepped = true,
    };
    return lc_storage_open(&o, out, found, err);
}

static void settle(lc_storage *s)
{
    lc_storage_flush(s);
    bool did;
    do {
        did = lc_storage_step_log(s);
        did |= lc_storage_step_work(s);
        lc_storage_tick(s);
    } while (did);
}

static void commit_rows(lc_storage *s, const char *table, uint32_t from, uint32_t to)
{
    lc_store *store = lc_storage_store(s);
    lc_table *t = lc_store_table_by_name(store, lc_span_of_str(table));
    lc_buf row = LC_BUF_INIT;
    lc_write w;
    lc_store_begin(store);
    for (uint32_t i = from; i < to; i++) {
        lc_buf_reset(&row);
        lc_buf_put_u32(&row, i);
        lc_buf_put_u32(&row, i % 23);
        memset(lc_buf_extend(&row, i % 23), 'a' + i % 26, i % 23);
        if (lc_table_insert(t, lc_buf_span(&row), &w, NULL) != LC_ERRNO_OK)
            LC_BUG("a row is refused");
    }
    lc_storage_commit(s, &(lc_log_inputs){.name = LC_SPAN_EMPTY}, false);
    settle(s);
    lc_buf_deinit(&row);
}

static void take_snapshot(lc_storage *s)
{
    lc_error err = LC_ERROR_INIT;
    if (lc_storage_snapshot(s, NULL, NULL, &err) != LC_OK) LC_BUG("%s", lc_error_text(&err));
    settle(s);
}

uint64_t made_database(memory_disk *d)
{
    lc_error err = LC_ERROR_INIT;
    lc_storage *s;
    lc_schema *schema;
    memory_disk_init(d);
    lc_buf definition = fuzz_read_file(DEFINITION);
    if (lc_schema_read(LC_SPAN(definition.ptr + 1, definition.len - 1), &schema, &err) != LC_OK ||
        made_open(d, LC_STORAGE_CREATE, &s, NULL, &err) != LC_OK)
        LC_BUG("%s", lc_error_text(&err));
    lc_store_begin(lc_storage_store(s));
    if (lc_store_create_schema(lc_storage_store(s), schema, &err) != LC_OK)
        LC_BUG("%s", lc_error_text(&err));
    lc_store_set_module(lc_storage_store(s), &(lc_module_row){.program = LC_STR("program")});
    lc_storage_commit(s, &(lc_log_inputs){.name = LC_SPAN_EMPTY}, false);
    commit_rows(s, "t", 1, 30);
    take_snapshot(s);
    commit_rows(s, "plain", 1, 20);
    take_snapshot(s);
    commit_rows(s, "t", 100, 103);
    uint64_t state = fuzz_digest(lc_storage_store(s));
    lc_storage_close(s);
    lc_buf_deinit(&definition);
    lc_schema_unref(schema);
    char *path = lc_snapshot_path(MADE_FOLDER, MADE_NEWEST, LC_SNAPSHOT_SUFFIX);
    if (!lc_disk_exists(&d->disk, path)) LC_BUG("the second snapshot is elsewhere");
    lc_free(path);
    return state;
}
