/*
 * Fuzz target: a backup that was tampered with, restored.
 *
 * An input says which moment to restore, and changes the backup of a database: it takes its place,
 * or it is edits of its bytes, of the bytes as they are or of what the checksums are then made over
 * again. What a checksum can tell must be refused, and leave no database behind; what is restored
 * can be opened, and again.
 *
 * build: src/base src/sats src/schema src/store src/journal src/storage
 * build: tests/unit/memory_disk.c tests/fuzz/made_database.c -lunistring -lzstd
 * length: 16384
 */
#include "made_database.h"
#include "storage/backup_file.h"

enum how {
    IS_WHOLE, /* the rest takes the file's place */
    IS_EDITS, /* u16 position, bits to turn, ... */
    IS_EDITS_WITH_CHECKSUMS,
    HOW_COUNT,
};
enum { TO_THE_END = 7 };

static lc_buf backup;
static uint64_t made_state;

static lc_status write_backup(void *arg, lc_span bytes, lc_error *err)
{
    (void)arg, (void)err;
    lc_buf_put_span(&backup, bytes);
    return LC_OK;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    lc_log_set_level(LC_LOG_ERROR);
    memory_disk made;
    lc_error err = LC_ERROR_INIT;
    lc_backup_info info;
    made_state = made_database(&made);
    if (lc_backup_create(MADE_FOLDER, &made.disk, NULL, 2, UINT64_MAX, write_backup, NULL, &info,
                         &err) != LC_OK)
        LC_BUG("%s", lc_error_text(&err));
    if (info.from != 2 || info.to != 4) LC_BUG("a backup of other transactions");
    memory_disk_deinit(&made);
    return 0;
}

static void edit(lc_buf *file, lc_span edits)
{
    for (; edits.len >= 3; edits.ptr += 3, edits.len -= 3)
        file->ptr[lc_load_u16(edits.ptr) % file->len] ^= edits.ptr[2];
    if (edits.len == 1) file->len -= edits.ptr[0] < file->len ? edits.ptr[0] : file->len;
    if (edits.len == 2) memset(lc_buf_extend(file, edits.ptr[0]), edits.ptr[1], edits.ptr[0]);
}

/* Checksums that fit: of the header, of the blocks, and of commits in them. */
static void fix(lc_buf *file)
{
    if (file->len < LC_BACKUP_HEADER) return;
    uint32_t chain = lc_crc32c(0, file->ptr, LC_BACKUP_HEADER - 4);
    lc_store_u32(file->ptr + LC_BACKUP_HEADER - 4, chain);
    for (size_t at = LC_BACKUP_HEADER; at + LC_SNAPSHOT_BLOCK <= file->len;) {
        uint8_t *bytes = file->ptr + at + LC_SNAPSHOT_BLOCK;
        uint64_t n = lc_load_u64(file->ptr + at), left = file->len - at - LC_SNAPSHOT_BLOCK;
        uint32_t kind = lc_load_u32(file->ptr + at + 8);
        if (n > left) n = left;
        for (uint64_t c = 0; kind == LC_BACKUP_COMMITS && c + LC_COMMIT_HEADER < n;) {
            uint64_t covered = LC_COMMIT_HEADER + (uint64_t)lc_load_u32(bytes + c + 18);
            if (covered + LC_COMMIT_CRC > n - c) break;
            lc_store_u32(bytes + c + covered, lc_crc32c(0, bytes + c, covered));
            c += covered + LC_COMMIT_CRC;
        }
        lc_snapshot_block_put(file->ptr + at, (lc_snapshot_block_kind)kind, LC_SPAN(bytes, n),
                              &chain);
        at += LC_SNAPSHOT_BLOCK + n;
    }
}

typedef struct input {
    lc_span left;
    size_t step; /* no more at once */
} input;

static ssize_t read_backup(void *arg, void *buf, size_t n, lc_error *err)
{
    (void)err;
    input *in = arg;
    if (n > in->step) n = in->step;
    if (n > in->left.len) n = in->left.len;
    if (n) memcpy(buf, in->left.ptr, n);
    in->left.ptr += n;
    in->left.len -= n;
    return (ssize_t)n;
}

static uint64_t state_of(memory_disk *d)
{
    lc_storage *s;
    lc_error err = LC_ERROR_INIT;
    if (made_open(d, LC_STORAGE_OPEN, &s, NULL, &err) != LC_OK)
        LC_BUG("what was restored cannot be opened: %s", lc_error_text(&err));
    uint64_t state = fuzz_digest(lc_storage_store(s));
    lc_storage_hurry(s);
    lc_storage_close(s);
    return state;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) return 0;
    enum how how = data[0] % HOW_COUNT;
    uint64_t moment = data[1] % 8;
    lc_span rest = LC_SPAN(data + 2, size - 2);
    lc_buf file = LC_BUF_INIT;
    if (how == IS_WHOLE) {
        lc_buf_put_span(&file, rest);
    } else {
        lc_buf_put_span(&file, lc_buf_span(&backup));
        edit(&file, rest);
    }
    if (how == IS_EDITS_WITH_CHECKSUMS) fix(&file);

    memory_disk d;
    memory_disk_init(&d);
    lc_error err = LC_ERROR_INIT;
    input in = {lc_buf_span(&file), data[1] & 8 ? 100 : SIZE_MAX};
    lc_restore_point point = {moment == TO_THE_END ? UINT64_MAX : moment, INT64_MAX};
    lc_status rc = lc_backup_restore(read_backup, &in, &point, MADE_FOLDER, &d.disk, NULL, NULL,
                                     NULL, NULL, &err);
    input again = {lc_buf_span(&file), SIZE_MAX};
    lc_error why = LC_ERROR_INIT;
    lc_backup_info info;
    lc_status verified = lc_backup_verify(read_backup, &again, &info, &why);
    lc_error_clear(&why);
    if (verified != LC_OK && rc == LC_OK) LC_BUG("restored, but not verified");
    bool is_same = lc_span_equal(lc_buf_span(&file), lc_buf_span(&backup));
    bool is_inside = moment == TO_THE_END || (moment >= 2 && moment <= 4);
    if (is_same && (rc == LC_OK) != is_inside)
        LC_BUG("the backup as it was: %d %s", (int)rc, lc_error_text(&err));
    if (how == IS_EDITS && !is_same && rc == LC_OK) LC_BUG("a change goes unnoticed");
    if (rc == LC_OK) {
        uint64_t state = state_of(&d);
        if (state_of(&d) != state) LC_BUG("another state than was left");
        if (is_same && moment >= 4 && state != made_state) LC_BUG("another state than was saved");
    } else {
        lc_storage *s;
        if (!*lc_error_text(&err)) LC_BUG("refused without a word");
        lc_error_clear(&err);
        if (made_open(&d, LC_STORAGE_CREATE, &s, NULL, &err) != LC_OK)
            LC_BUG("a restore that failed leaves something behind: %s", lc_error_text(&err));
        lc_storage_hurry(s);
        lc_storage_close(s);
    }
    lc_buf_deinit(&file);
    memory_disk_deinit(&d);
    return 0;
}
