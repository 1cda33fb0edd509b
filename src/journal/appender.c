/*
 * Writing groups of commits: one pwrite and one sync each.
 *
 *   +--------+---------+-----------+- - - - - - -+
 *   | header | commits | new group | zeros ahead |
 *   +--------+---------+-----------+- - - - - - -+
 *                      ^ tail                    ^ size
 *
 * A sync that only overwrites blocks the file already has is twice as fast as one that also has to
 * record new blocks and a new length. So zeros are written ahead of the tail, in idle moments or
 * together with a group that would run past them. How far ahead grows with what was written, from
 * 64 KiB to 1 MiB. The zeros never outlive the writing: trim cuts them off.
 *
 * A new segment is written aside with its first group in it, synced and then renamed, so that no
 * folder ever shows a segment whose first commit is not whole: readers of the format refuse those.
 */
#include "journal/journal_internal.h"

enum {
    MIN_AHEAD = 64 * 1024,
    MAX_AHEAD = 1024 * 1024,
    AHEAD_SHARE = 4,         /* a quarter of what was written since opening */
    AHEAD_STEP = 256 * 1024, /* of one idle moment: nothing else is written meanwhile */
    LARGE_GROUP = 32 * 1024, /* from here on writing zeros first costs more than it saves */
    BLOCK = 4096,
};

static const uint8_t zeros[64 * 1024];

static lc_status failed(lc_error *err, const char *verb, const char *path, int64_t rc)
{
    return lc_segment_io_error(err, verb, path, rc);
}

/* Zeros [from, to); on failure the file ends at `from` again and nothing more is written ahead. */
static lc_status write_zeros(lc_appender *a, uint64_t from, uint64_t to, lc_error *err)
{
    for (uint64_t at = from; at < to;) {
        size_t n = to - at < sizeof zeros ? (size_t)(to - at) : sizeof zeros;
        ssize_t rc = a->disk->pwrite(a->disk->self, a->file, zeros, n, at);
        if (rc < 0) {
            a->writes_ahead = false;
            rc = a->disk->truncate(a->disk->self, a->file, from);
            a->size = from;
            return rc < 0 ? failed(err, "truncate", a->path, rc) : LC_OK;
        }
        at += n;
    }
    a->size = to;
    return LC_OK;
}

static uint64_t ahead(const lc_appender *a)
{
    uint64_t n = a->written / AHEAD_SHARE / BLOCK * BLOCK;
    return n < MIN_AHEAD ? MIN_AHEAD : n > MAX_AHEAD ? MAX_AHEAD : n;
}

/* How long the file should be when commits end at `end` and `more` bytes are wanted behind them. */
static uint64_t size_for(const lc_appender *a, uint64_t end, uint64_t more)
{
    uint64_t most = a->max_segment > end ? a->max_segment : end;
    uint64_t size = end + more < most ? end + more : most;
    /* A sector of zeros at least: that is how recovery knows a segment that was being written. */
    if (size < end + LC_DISK_SECTOR) size = end + LC_DISK_SECTOR;
    return (size + BLOCK - 1) / BLOCK * BLOCK;
}

/* Puts bytes where the commits end and sees to it that zeros follow them. */
static lc_status write_group(lc_appender *a, const uint8_t *bytes, size_t len, lc_error *err)
{
    ssize_t rc = a->disk->pwrite(a->disk->self, a->file, bytes, len, a->tail);
    if (rc < 0) return failed(err, "write", a->path, rc);
    uint64_t end = a->tail + len;
    if (a->size < end) a->size = end;
    if (a->writes_ahead && a->size < end + LC_DISK_SECTOR) {
        lc_status status =
            write_zeros(a, a->size, size_for(a, end, len < LARGE_GROUP ? ahead(a) : 0), err);
        if (status) return status;
    }
    int synced = a->disk->sync_data(a->disk->self, a->file);
    return synced < 0 ? failed(err, "sync", a->path, synced) : LC_OK;
}

static void forget_segment(lc_appender *a)
{
    lc_index_close(&a->index);
    if (a->file) a->disk->close(a->disk->self, a->file);
    lc_free(a->path);
    a->file = NULL;
    a->path = NULL;
    a->tail = a->size = 0;
    a->last_commit = (lc_index_entry){0, 0};
}

/* A segment that begins with this group. */
static lc_status begin_segment(lc_appender *a, uint64_t first, const uint8_t *bytes, size_t len,
                               lc_error *err)
{
    a->path = lc_segment_path(a->folder, first, "log");
    char *aside = lc_format("%s.tmp", a->path);
    lc_file *there;
    lc_status status = LC_OK;
    int64_t rc = a->disk->open(a->disk->self, a->path, O_RDONLY, &there);
    if (rc == 0) {
        int64_t size = a->disk->size(a->disk->self, there);
        a->disk->close(a->disk->self, there);
        if (size != 0) {
            status = lc_error_set(err, LC_E_EXISTS, "%s: a segment of this name exists", a->path);
            goto done;
        }
    }
    const char *verb = "create";
    rc = a->disk->open(a->disk->self, aside, O_RDWR | O_CREAT | O_TRUNC, &a->file);
    if (rc >= 0) {
        verb = "write";
        rc = a->disk->pwrite(a->disk->self, a->file, lc_segment_header, LC_SEGMENT_HEADER, 0);
        a->tail = a->size = LC_SEGMENT_HEADER;
    }
    if (rc >= 0) {
        status = write_group(a, bytes, len, err);
        if (status) goto done;
        verb = "rename";
        rc = a->disk->rename(a->disk->self, aside, a->path);
    }
    if (rc >= 0) {
        verb = "sync the folder of";
        rc = a->disk->sync_dir(a->disk->self, a->folder);
    }
    if (rc < 0) status = failed(err, verb, a->path, rc);
done:
    if (status) a->disk->unlink(a->disk->self, aside);
    lc_free(aside);
    return status;
}

/* After a failed write or sync the group may be in the file or not, and even if it reads well later
 * it need not be on disk. It was confirmed to nobody, so it should not come back. */
static void take_back(lc_appender *a)
{
    if (a->file) a->disk->truncate(a->disk->self, a->file, a->tail);
}

/* Cutting the zeros off is tidiness: they do no harm where it fails. */
void lc_appender_trim(lc_appender *a)
{
    if (!a->file) return;
    if (a->size > a->tail && a->disk->truncate(a->disk->self, a->file, a->tail) >= 0)
        a->size = a->tail;
    lc_index_mark(&a->index, a->last_commit);
}

static void finish_segment(lc_appender *a)
{
    lc_appender_trim(a);
    forget_segment(a);
}

lc_status lc_appender_write(lc_appender *a, uint8_t *frames, size_t len, size_t *done,
                            uint64_t *count, lc_error *err)
{
    uint64_t first = lc_load_u64(frames);
    bool is_new = !a->file;
    if (is_new) {
        char *path = lc_segment_path(a->folder, first, "ofs");
        lc_index_create(&a->index, a->disk, path, a->max_segment);
        lc_free(path);
        a->tail = LC_SEGMENT_HEADER;
        a->writes_ahead = true; /* there may be room again */
    }
    size_t n = 0;
    lc_index_entry last;
    *count = 0;
    do {
        size_t size = lc_frame_complete(frames + n);
        last = (lc_index_entry){lc_load_u64(frames + n), a->tail + n};
        lc_index_note(&a->index, last.offset, last.position, size);
        n += size;
        ++*count;
    } while (n < len && a->tail + n < a->max_segment);

    lc_status status =
        is_new ? begin_segment(a, first, frames, n, err) : write_group(a, frames, n, err);
    if (status) {
        take_back(a);
        return status;
    }
    lc_index_flush(&a->index);
    a->last_commit = last;
    a->tail += n;
    a->written += n;
    *done = n;
    if (a->tail >= a->max_segment) finish_segment(a);
    return LC_OK;
}

lc_status lc_appender_prepare(lc_appender *a, bool *did, lc_error *err)
{
    *did = false;
    uint64_t want = ahead(a);
    if (!a->file || !a->writes_ahead || a->size - a->tail >= want / 2) return LC_OK;
    uint64_t size = size_for(a, a->tail, want);
    if (size > a->size + AHEAD_STEP) size = a->size + AHEAD_STEP;
    if (size <= a->size) return LC_OK;
    lc_status status = write_zeros(a, a->size, size, err);
    if (status) return status;
    *did = a->writes_ahead;
    int rc = a->disk->sync_data(a->disk->self, a->file);
    return rc < 0 ? failed(err, "sync", a->path, rc) : LC_OK;
}

static int64_t remove_segment(lc_appender *a, uint64_t first)
{
    char *log = lc_segment_path(a->folder, first, "log");
    char *index = lc_segment_path(a->folder, first, "ofs");
    a->disk->unlink(a->disk->self, index);
    int64_t rc = a->disk->unlink(a->disk->self, log);
    lc_free(index);
    lc_free(log);
    return rc;
}

static lc_status resume_segment(lc_appender *a, const lc_scan *scan, lc_error *err)
{
    a->path = lc_segment_path(a->folder, scan->newest, "log");
    const char *verb = "open";
    int64_t rc = a->disk->open(a->disk->self, a->path, O_RDWR, &a->file);
    if (rc >= 0 && scan->keep < scan->size) {
        verb = "truncate";
        rc = a->disk->truncate(a->disk->self, a->file, scan->keep);
    }
    if (rc < 0) return failed(err, verb, a->path, rc);
    a->tail = scan->tail;
    a->size = scan->keep;
    a->last_commit = scan->last_commit;
    char *path = lc_segment_path(a->folder, scan->newest, "ofs");
    lc_index_resume(&a->index, a->disk, path, a->max_segment, &scan->index, a->last_commit,
                    a->tail);
    lc_free(path);
    if (a->tail >= a->max_segment) finish_segment(a);
    return LC_OK;
}

lc_status lc_appender_open(lc_appender *a, const lc_disk *disk, const char *folder,
                           uint64_t max_segment, const lc_scan *scan, lc_error *err)
{
    *a = (lc_appender){
        .disk = disk,
        .folder = lc_strdup(folder),
        .max_segment = max_segment,
        .writes_ahead = true,
    };
    int64_t rc = 0;
    for (size_t i = 0; i < scan->empty.len && rc >= 0; i++)
        rc = remove_segment(a, scan->empty.items[i]);
    if (rc < 0) return failed(err, "remove an empty segment of", folder, rc);
    rc = disk->sync_dir(disk->self, folder);
    if (rc < 0) return failed(err, "sync", folder, rc);
    return scan->resumes ? resume_segment(a, scan, err) : LC_OK;
}

void lc_appender_close(lc_appender *a, bool is_failed)
{
    if (a->file && !is_failed) {
        lc_appender_trim(a);
        int rc = a->disk->sync_data(a->disk->self, a->file);
        if (rc < 0) lc_log(LC_LOG_WARN, "cannot sync %s at closing: %s", a->path, strerror(-rc));
    }
    forget_segment(a);
    lc_free(a->folder);
    a->folder = NULL;
}
