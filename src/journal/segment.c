/*
 * One file of commits: <offset of its first transaction, 20 digits>.stdb.log.
 *
 *   OFFSET   SIZE  FIELD
 *        0      6  magic (ds)^2
 *        6      1  format version: 0 or 1
 *        7      1  checksum algorithm: 0 = CRC-32C
 *        8      2  reserved: written as 0, not looked at
 *       10         commit frames without gaps
 */
#include "journal/journal_internal.h"

#include <inttypes.h>
#include <stdlib.h>

enum { NAME_DIGITS = 20 };

const uint8_t lc_segment_header[LC_SEGMENT_HEADER] = {
    '(', 'd', 's', ')', '^', '2', LC_SEGMENT_VERSION, 0, 0, 0};

char *lc_segment_path(const char *folder, uint64_t first, const char *kind)
{
    return lc_format("%s/%0*" PRIu64 ".stdb.%s", folder, NAME_DIGITS, first, kind);
}

typedef struct finding {
    const char *kind;
    lc_segment_list *out;
} finding;

static void collect(void *arg, const char *name)
{
    const finding *f = arg;
    uint64_t value = 0;
    for (int i = 0; i < NAME_DIGITS; i++) {
        if (name[i] < '0' || name[i] > '9') return;
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(name[i] - '0'), &value))
            return;
    }
    const char *rest = name + NAME_DIGITS;
    if (strncmp(rest, ".stdb.", 6) == 0 && strcmp(rest + 6, f->kind) == 0)
        lc_vec_push(f->out, value);
}

static int ascending(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

lc_status lc_segment_find(const lc_disk *disk, const char *folder, const char *kind,
                          lc_segment_list *out, lc_error *err)
{
    int rc = disk->list(disk->self, folder, collect, &(finding){kind, out});
    if (rc == -ENOENT)
        return lc_error_set(err, LC_E_NOT_FOUND, "no such folder of a commit log: %s", folder);
    if (rc < 0) return lc_segment_io_error(err, "list", folder, rc);
    if (out->len) qsort(out->items, out->len, sizeof *out->items, ascending);
    return LC_OK;
}

int lc_segment_remove(const lc_disk *disk, const char *folder, uint64_t first)
{
    char *log = lc_segment_path(folder, first, "log");
    char *index = lc_segment_path(folder, first, "ofs");
    /* The index first, so that none is ever left without its segment. */
    disk->unlink(disk->self, index);
    int rc = disk->unlink(disk->self, log);
    lc_free(index);
    lc_free(log);
    return rc;
}

lc_status lc_segment_check_header(const uint8_t *header, const char *path, unsigned *version,
                                  lc_error *err)
{
    if (memcmp(header, lc_segment_header, 6) != 0) {
        char hex[13] = {0};
        lc_hex_encode(header, 6, hex);
        return lc_error_set(err, LC_E_CORRUPT,
                            "%s: segment header does not start with magic: "
                            "expected 28647329 5e32, got %.8s %s",
                            path, hex, hex + 8);
    }
    if (header[6] > LC_SEGMENT_VERSION)
        return lc_error_set(err, LC_E_UNSUPPORTED, "%s: unsupported log format version: %u", path,
                            header[6]);
    if (header[7] != 0)
        return lc_error_set(err, LC_E_UNSUPPORTED, "%s: unsupported checksum algorithm: %u", path,
                            header[7]);
    *version = header[6];
    return LC_OK;
}

lc_status lc_segment_io_error(lc_error *err, const char *verb, const char *path,
                              int64_t negative_errno)
{
    return lc_error_set(err, LC_E_IO, "cannot %s %s: %s%s", verb, path,
                        strerror((int)-negative_errno),
                        negative_errno == -ENOSPC
                            ? " (the disk that holds the commit log is full; free some space and "
                              "start the database again)"
                            : "");
}
