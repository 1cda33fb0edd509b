/*
 * The snapshots of one database: names, listing, putting aside, reading one into a store.
 */
#include "storage/storage_internal.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    DIGITS = 20,
    PROGRESS_STEP = 8 * 1024 * 1024,
    LOG_HEADER = 10, /* of a segment: a file no longer holds no commit */
};

char *lc_snapshot_path(const char *folder, uint64_t offset, const char *suffix)
{
    return lc_format("%s/snapshots/%020llu%s", folder, (unsigned long long)offset, suffix);
}

/* ------------------------------------------------------------------ listing */

static bool parse_name(const char *name, const char *suffix, uint64_t *offset)
{
    uint64_t n = 0;
    for (int i = 0; i < DIGITS; i++) {
        if (name[i] < '0' || name[i] > '9') return false;
        if (__builtin_mul_overflow(n, 10, &n) ||
            __builtin_add_overflow(n, (uint64_t)(name[i] - '0'), &n))
            return false;
    }
    *offset = n;
    return strcmp(name + DIGITS, suffix) == 0;
}

typedef struct listing {
    const char *suffix;
    lc_offset_list *out;
} listing;

static void add_name(void *arg, const char *name)
{
    listing *l = arg;
    uint64_t offset;
    if (parse_name(name, l->suffix, &offset)) lc_vec_push(l->out, offset);
}

static int newest_first(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? 1 : x > y ? -1 : 0;
}

lc_status lc_storage_list(const char *path, const lc_disk *disk, const char *suffix,
                          lc_offset_list *out, lc_error *err)
{
    listing l = {suffix, out};
    int rc = disk->list(disk->self, path, add_name, &l);
    if (rc < 0 && rc != -ENOENT) return lc_storage_io_error(err, "list", path, rc);
    if (out->len) qsort(out->items, out->len, sizeof *out->items, newest_first);
    return LC_OK;
}

lc_status lc_snapshot_offsets(const char *folder, const lc_disk *disk, const char *suffix,
                              lc_offset_list *out, lc_error *err)
{
    char *path = lc_format("%s/snapshots", folder);
    lc_status rc = lc_storage_list(path, disk, suffix, out, err);
    lc_free(path);
    return rc;
}

void lc_snapshot_set_aside(const char *folder, const lc_disk *disk, uint64_t offset,
                           const char *why)
{
    char *from = lc_snapshot_path(folder, offset, LC_SNAPSHOT_SUFFIX);
    char *to = lc_snapshot_path(folder, offset, LC_SNAPSHOT_INVALID);
    lc_log(LC_LOG_WARN, "a snapshot is damaged and set aside as %s: %s", to, why);
    int rc = disk->rename(disk->self, from, to);
    if (rc < 0) lc_log(LC_LOG_WARN, "cannot rename %s: %s", from, strerror(-rc));
    lc_free(from);
    lc_free(to);
}

static int64_t file_size(const char *path, const lc_disk *disk)
{
    lc_file *file;
    int rc = disk->open(disk->self, path, O_RDONLY, &file);
    if (rc < 0) return rc;
    int64_t size = disk->size(disk->self, file);
    disk->close(disk->self, file);
    return size;
}

bool lc_log_exists(const char *folder, const lc_disk *disk)
{
    char *log = lc_format("%s/clog", folder);
    lc_offset_list segments = {0};
    bool found = lc_storage_list(log, disk, LC_SEGMENT_SUFFIX, &segments, NULL) != LC_OK;
    LC_VEC_EACH (first, &segments) {
        char *path = lc_format("%s/%020llu" LC_SEGMENT_SUFFIX, log, (unsigned long long)*first);
        int64_t size = file_size(path, disk);
        found |= size > LOG_HEADER || (size < 0 && size != -ENOENT);
        lc_free(path);
    }
    lc_vec_deinit(&segments);
    lc_free(log);
    return found;
}

/* -------------------------------------------------------------------- reading */

/* Does the header say what the name says? */
static lc_status check_name(const lc_snapshot_reader *r, uint64_t offset, lc_error *err)
{
    if (r->header.offset == offset) return LC_OK;
    return lc_error_set(err, LC_E_INVALID, "%s says that it is the snapshot of offset %llu",
                        r->name, (unsigned long long)r->header.offset);
}

static lc_status read_all(lc_snapshot_reader *r, lc_error *err)
{
    lc_status rc = LC_OK;
    while (rc == LC_OK && !r->has_ended) {
        lc_span chunk;
        rc = lc_snapshot_reader_next(r, &chunk, err);
    }
    return rc;
}

lc_status lc_snapshot_load(const char *folder, const lc_disk *disk, uint64_t offset,
                           lc_store *store, lc_snapshot_header *header,
                           void (*on_progress)(void *arg, const lc_storage_progress *p), void *arg,
                           uint64_t *bytes, lc_error *err)
{
    char *path = lc_snapshot_path(folder, offset, LC_SNAPSHOT_SUFFIX);
    lc_snapshot_reader r;
    lc_status rc = lc_snapshot_reader_open(&r, disk, path, NULL, err);
    lc_free(path);
    if (rc != LC_OK) return rc;
    *header = r.header;
    *bytes = r.size;
    rc = check_name(&r, offset, err);
    for (uint64_t told = 0; rc == LC_OK && !r.has_ended;) {
        lc_span chunk;
        rc = lc_snapshot_reader_next(&r, &chunk, err);
        if (rc != LC_OK || r.has_ended) break;
        rc = lc_store_load_chunk(store, chunk, err);
        if (rc != LC_OK) rc = lc_error_set(err, LC_E_CORRUPT, "%s: %s", r.name, lc_error_text(err));
        if (on_progress && r.at - told >= PROGRESS_STEP) {
            told = r.at;
            on_progress(arg, &(lc_storage_progress){.done = r.at, .total = r.size});
        }
    }
    lc_snapshot_reader_close(&r);
    return rc;
}

lc_status lc_snapshot_check(const char *folder, const lc_disk *disk, uint64_t offset, lc_error *err)
{
    char *path = lc_snapshot_path(folder, offset, LC_SNAPSHOT_SUFFIX);
    lc_snapshot_reader r;
    lc_status rc = lc_snapshot_reader_open(&r, disk, path, NULL, err);
    lc_free(path);
    if (rc != LC_OK) return rc;
    rc = check_name(&r, offset, err);
    if (rc == LC_OK) rc = read_all(&r, err);
    lc_snapshot_reader_close(&r);
    return rc;
}

/* --------------------------------------------------------------------- find */

static lc_status look_at_snapshot(const char *path, const lc_disk *disk, bool verify,
                                  lc_snapshot_info *info, lc_error *err)
{
    lc_snapshot_reader r;
    lc_status rc = lc_snapshot_reader_open(&r, disk, path, info->name, err);
    if (rc != LC_OK) return rc;
    info->taken_at = r.header.taken_at;
    info->bytes = r.size;
    rc = check_name(&r, info->offset, err);
    if (rc == LC_OK && verify) rc = read_all(&r, err);
    info->rows = r.totals.rows;
    info->tables = r.tables;
    lc_snapshot_reader_close(&r);
    return rc;
}

/* Of files directly in `path`. */
static lc_status find_in(const char *path, const lc_disk *disk, bool verify, lc_snapshot_list *out,
                         lc_error *err)
{
    lc_offset_list offsets = {0};
    lc_status rc = lc_storage_list(path, disk, LC_SNAPSHOT_SUFFIX, &offsets, err);
    LC_VEC_EACH (offset, &offsets) {
        lc_snapshot_info info = {.offset = *offset};
        snprintf(info.name, sizeof info.name, "%020llu" LC_SNAPSHOT_SUFFIX,
                 (unsigned long long)*offset);
        char *file = lc_format("%s/%s", path, info.name);
        lc_error why = LC_ERROR_INIT;
        lc_status good = look_at_snapshot(file, disk, verify, &info, &why);
        info.is_valid = good == LC_OK;
        snprintf(info.problem, sizeof info.problem, "%s", lc_error_text(&why));
        lc_error_clear(&why);
        lc_free(file);
        if (good != LC_E_NOT_FOUND) lc_vec_push(out, info); /* or removed meanwhile */
    }
    lc_vec_deinit(&offsets);
    return rc;
}

lc_status lc_snapshot_find(const char *folder, const lc_disk *disk, bool verify,
                           lc_snapshot_list *out, lc_error *err)
{
    if (!disk) disk = lc_disk_system();
    char *below = lc_format("%s/snapshots", folder);
    size_t before = out->len;
    lc_status rc = find_in(below, disk, verify, out, err);
    if (rc == LC_OK && out->len == before) rc = find_in(folder, disk, verify, out, err);
    lc_free(below);
    return rc;
}
