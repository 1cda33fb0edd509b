/*
 * Fuzz target: a database whose newest snapshot was tampered with.
 *
 * Each input changes the newest snapshot: it takes its place, or it is edits of its bytes, of the
 * bytes as they are or of what the checksums are then made over again. What a checksum can tell
 * must never be seen in the state; what it cannot must be refused or be the same each time it is
 * opened.
 *
 * build: src/base src/sats src/schema src/store src/journal src/storage
 * build: tests/unit/memory_disk.c tests/fuzz/made_database.c -lunistring -lzstd
 * length: 12288
 */
#include "made_database.h"

enum how {
    IS_WHOLE, /* the rest takes the file's place */
    IS_EDITS, /* position, byte, ... */
    IS_EDITS_WITH_CHECKSUMS,
    IS_CHUNKS, /* u16 length, chunk, ...: a file of them, with checksums */
    HOW_COUNT,
};

static memory_disk made;
static uint64_t made_state;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    lc_log_set_level(LC_LOG_ERROR);
    made_state = made_database(&made);
    return 0;
}

/* ------------------------------------------------------------------- the snapshot */

/* Header and blocks again, with checksums that fit. */
static void fix(lc_buf *file)
{
    uint32_t chain;
    lc_snapshot_header h = {.offset = MADE_NEWEST,
                            .taken_at = (int64_t)lc_load_u64(file->ptr + 24)};
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
    lc_snapshot_header h = {.offset = MADE_NEWEST, .taken_at = 1};
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
    if (made_open(d, LC_STORAGE_OPEN, &s, found, &err) != LC_OK) {
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
    char *path = lc_snapshot_path(MADE_FOLDER, MADE_NEWEST, LC_SNAPSHOT_SUFFIX);
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
    if (lc_snapshot_find(MADE_FOLDER, &d.disk, true, &list, &err) != LC_OK || list.len != 2)
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
    if (is_open && found.snapshot < MADE_NEWEST && first != made_state)
        LC_BUG("the state is not that of the log");
    if (is_open && is_same && (found.snapshot != MADE_NEWEST || first != made_state))
        LC_BUG("the good snapshot is not what was put into it");
    if (is_open && (found.snapshot == MADE_NEWEST || found.bad_snapshots)) {
        if (!state_of(&d, &second, &again)) LC_BUG("what was opened is refused");
        if (first != second) LC_BUG("another state than was left");
        if (again.bad_snapshots) LC_BUG("a damaged snapshot was not put aside");
    }
    lc_buf_deinit(&file);
    lc_free(path);
    memory_disk_deinit(&d);
    return 0;
}
