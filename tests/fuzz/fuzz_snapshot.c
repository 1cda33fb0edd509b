/*
 * Fuzz target: a database whose newest snapshot was tampered with.
 *
 * Once a database is made: a table, some transactions, a snapshot, more of them, another snapshot,
 * one more. Each input changes the newest snapshot: it takes its place, or it is edits of its
 * bytes, of the bytes as they are or of what the checksums are then made over again. What a
 * checksum can tell must never be seen in the state; what it cannot must be refused or be the same
 * each time it is opened.
 *
 * build: src/base src/sats src/schema src/store src/journal src/storage
 * build: tests/unit/memory_disk.c -lunistring -lzstd
 * length: 12288
 */
#include "fuzz_kit.h"
#include "memory_disk.h"
#include "storage/storage_internal.h"

#define FOLDER     "/db"
#define DEFINITION "tests/fuzz/definition/module-basic"

enum how {
    IS_WHOLE, /* the rest takes the file's place */
    IS_EDITS, /* position, byte, ... */
    IS_EDITS_WITH_CHECKSUMS,
    IS_CHUNKS, /* u16 length, chunk, ...: a file of them, with checksums */
    HOW_COUNT,
};

static memory_disk made;
static uint64_t newest;     /* offset of the newest snapshot */
static uint64_t made_state; /* digest */

/* ----------------------------------------------------------------- the database */

static lc_status open_it(memory_disk *d, lc_storage_mode mode, lc_storage **out,
                         lc_storage_recovery *found, lc_error *err)
{
    lc_storage_options o = {
        .folder = FOLDER,
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

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    lc_error err = LC_ERROR_INIT;
    lc_storage *s;
    lc_schema *schema;
    lc_log_set_level(LC_LOG_ERROR);
    memory_disk_init(&made);
    lc_buf definition = fuzz_read_file(DEFINITION);
    if (lc_schema_read(LC_SPAN(definition.ptr + 1, definition.len - 1), &schema, &err) != LC_OK ||
        open_it(&made, LC_STORAGE_CREATE, &s, NULL, &err) != LC_OK)
        LC_BUG("%s", lc_error_text(&err));
    lc_store_begin(lc_storage_store(s));
    if (lc_store_create_schema(lc_storage_store(s), schema, &err) != LC_OK)
        LC_BUG("%s", lc_error_text(&err));
    lc_storage_commit(s, &(lc_log_inputs){.name = LC_SPAN_EMPTY}, false);
    commit_rows(s, "t", 1, 30);
    take_snapshot(s);
    commit_rows(s, "plain", 1, 20);
    take_snapshot(s);
    commit_rows(s, "t", 100, 103);
    made_state = fuzz_digest(lc_storage_store(s));
    lc_storage_close(s);
    lc_buf_deinit(&definition);
    lc_schema_unref(schema);
    newest = 3;
    if (!lc_disk_exists(&made.disk, FOLDER "/snapshots/00000000000000000003.lcsnap"))
        LC_BUG("the second snapshot is elsewhere");
    return 0;
}

/* ------------------------------------------------------------------- the snapshot */

/* Header and blocks again, with checksums that fit. */
static void fix(lc_buf *file)
{
    uint32_t chain;
    lc_snapshot_header h = {.offset = newest, .taken_at = (int64_t)lc_load_u64(file->ptr + 24)};
    lc_snapshot_header_put(file->ptr, &h, &chain);
    for (size_t at = LC_SNAPSHOT_HEADER; at + LC_SNAPSHOT_BLOCK <= file->len;) {
        uint64_t n = lc_load_u64(file->ptr + at);
        size_t left = file->len - at - LC_SNAPSHOT_BLOCK;
        if (n > left) n = left;
        lc_snapshot_block_put(file->ptr + at,
                              (lc_snapshot_block_kind)lc_load_u32(file->ptr + at + 8),
                              LC_SPAN(file->ptr + at + LC_SNAPSHOT_BLOCK, n), &chain);
        at += LC_SNAPSHOT_BLOCK + n;
    }
}

static void make_of_chunks(lc_span rest, lc_buf *out)
{
    uint32_t chain;
    lc_snapshot_totals totals = {0};
    uint8_t end[LC_SNAPSHOT_END];
    lc_snapshot_header h = {.offset = newest, .taken_at = 1};
    lc_snapshot_header_put(lc_buf_extend(out, LC_SNAPSHOT_HEADER), &h, &chain);
    while (rest.len > 2) {
        size_t n = lc_load_u16(rest.ptr);
        if (n > rest.len - 2) n = rest.len - 2;
        lc_span chunk = LC_SPAN(rest.ptr + 2, n);
        lc_snapshot_totals_add(&totals, chunk);
        lc_snapshot_block_put(lc_buf_extend(out, LC_SNAPSHOT_BLOCK), LC_SNAPSHOT_ROWS, chunk,
                              &chain);
        lc_buf_put_span(out, chunk);
        rest.ptr += 2 + n;
        rest.len -= 2 + n;
    }
    lc_snapshot_totals_put(end, &totals);
    lc_snapshot_block_put(lc_buf_extend(out, LC_SNAPSHOT_BLOCK), LC_SNAPSHOT_TOTALS,
                          LC_SPAN(end, sizeof end), &chain);
    lc_buf_put(out, end, sizeof end);
}

static void edit(lc_buf *file, lc_span edits)
{
    for (; edits.len >= 3; edits.ptr += 3, edits.len -= 3)
        file->ptr[lc_load_u16(edits.ptr) % file->len] ^= edits.ptr[2];
    if (edits.len == 1) file->len -= edits.ptr[0] < file->len ? edits.ptr[0] : file->len;
    if (edits.len == 2) memset(lc_buf_extend(file, edits.ptr[0]), edits.ptr[1], edits.ptr[0]);
}

/* ------------------------------------------------------------------------ running */

static bool state_of(memory_disk *d, uint64_t *state, lc_storage_recovery *found)
{
    lc_storage *s;
    lc_error err = LC_ERROR_INIT;
    if (open_it(d, LC_STORAGE_OPEN, &s, found, &err) != LC_OK) {
        if (!*lc_error_text(&err)) LC_BUG("refused without a word");
        lc_error_clear(&err);
        return false;
    }
    *state = fuzz_digest(lc_storage_store(s));
    lc_storage_hurry(s);
    lc_storage_close(s);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    enum how how = data[0] % HOW_COUNT;
    lc_span rest = LC_SPAN(data + 1, size - 1);
    memory_disk d;
    memory_disk_copy(&d, &made);
    char *path = lc_snapshot_path(FOLDER, newest, LC_SNAPSHOT_SUFFIX);
    lc_buf *original = memory_disk_file(&made, path);
    lc_buf file = LC_BUF_INIT;
    if (how == IS_WHOLE) lc_buf_put_span(&file, rest);
    if (how == IS_CHUNKS) make_of_chunks(rest, &file);
    if (how == IS_EDITS || how == IS_EDITS_WITH_CHECKSUMS) {
        lc_buf_put_span(&file, lc_buf_span(original));
        edit(&file, rest);
    }
    if (how == IS_EDITS_WITH_CHECKSUMS && file.len >= LC_SNAPSHOT_HEADER) fix(&file);
    memory_disk_put(&d, path, file.ptr, file.len);

    lc_snapshot_list list = {0};
    lc_error err = LC_ERROR_INIT;
    if (lc_snapshot_find(FOLDER, &d.disk, true, &list, &err) != LC_OK || list.len != 2)
        LC_BUG("the snapshots are not found");
    bool is_valid = list.items[0].is_valid;
    if (!list.items[1].is_valid) LC_BUG("the older snapshot is damaged");
    lc_vec_deinit(&list);

    bool is_same = lc_span_equal(lc_buf_span(&file), lc_buf_span(original));
    if (is_same && !is_valid) LC_BUG("the snapshot as it was is not valid");
    /* Checksums are no secret, so an input may be another valid file; edits alone are not. */
    if (how == IS_EDITS && is_valid && !is_same) LC_BUG("a change goes unnoticed");
    uint64_t first, second;
    lc_storage_recovery found, again;
    bool is_open = state_of(&d, &first, &found);
    if (!is_valid && !is_open) LC_BUG("a damaged snapshot hinders the others");
    if (is_open && found.snapshot < newest && first != made_state)
        LC_BUG("the state is not that of the log");
    if (is_open && is_same && (found.snapshot != newest || first != made_state))
        LC_BUG("the good snapshot is not what was put into it");
    if (is_open && (found.snapshot == newest || found.bad_snapshots)) {
        if (!state_of(&d, &second, &again)) LC_BUG("what was opened is refused");
        if (first != second) LC_BUG("another state than was left");
        if (again.bad_snapshots) LC_BUG("a damaged snapshot was not put aside");
    }
    lc_buf_deinit(&file);
    lc_free(path);
    memory_disk_deinit(&d);
    return 0;
}
