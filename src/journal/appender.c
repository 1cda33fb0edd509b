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

/* How many zeros belong behind a group, because fewer than a sector of them are there. */
static uint64_t zeros_for(const lc_appender *a, size_t len)
{
    uint64_t end = a->tail + len;
    if (!a->writes_ahead || a->size >= end + LC_DISK_SECTOR) return 0;
    return size_for(a, end, len < LARGE_GROUP ? ahead(a) : 0) - end;
}

static bool is_no_room(int64_t rc)
{
    return rc == -ENOSPC || rc == -EDQUOT || rc == -EFBIG;
}

/* The group and zeros behind it in one piece, if nothing follows the group in its buffer. *done is
 * false when there was no room for the zeros: the file then is as long as before. */
static lc_status put_with_zeros(lc_appender *a, lc_buf *frames, size_t at, size_t len,
                                uint64_t more, bool *done, lc_error *err)
{
    *done = false;
    memset(lc_buf_reserve(frames, more), 0, more);
    int64_t rc = a->disk->pwrite(a->disk->self, a->file, frames->ptr + at, len + more, a->tail);
    if (rc >= 0) {
        a->size = a->tail + len + more;
        *done = true;
        return LC_OK;
    }
    if (!is_no_room(rc)) return failed(err, "write", a->path, rc);
    a->writes_ahead = false;
    rc = a->disk->truncate(a->disk->self, a->file, a->size);
    return rc < 0 ? failed(err, "truncate", a->path, rc) : LC_OK;
}

/* Also without zeros on disk the length is to say that the segment is being written, whatever part
 * of the group gets there: a hole takes no room. */
static lc_status make_hole(lc_appender *a, uint64_t end, lc_error *err)
{
    if (a->size >= end + LC_DISK_SECTOR) return LC_OK;
    uint64_t size = size_for(a, end, 0);
    int rc = a->disk->truncate(a->disk->self, a->file, size);
    if (rc < 0) return failed(err, "extend", a->path, rc);
    a->size = size;
    return LC_OK;
}

/* Puts frames where the commits end; zeros follow them from before they are there. */
static lc_status put_group(lc_appender *a, lc_buf *frames, size_t at, size_t len, lc_error *err)
{
    uint64_t more = zeros_for(a, len), end = a->tail + len;
    lc_status status = LC_OK;
    if (more > 0 && at + len == frames->len) {
        bool done;
        status = put_with_zeros(a, frames, at, len, more, &done, err);
        if (status || done) return status;
    } else if (more > 0 && len < LARGE_GROUP) {
        status = write_zeros(a, a->size, end + more, err);
    }
    if (status == LC_OK) status = make_hole(a, end, err);
    if (status) return status;
    ssize_t rc = a->disk->pwrite(a->disk->self, a->file, frames->ptr + at, len, a->tail);
    return rc < 0 ? failed(err, "write", a->path, rc) : LC_OK;
}

/* Tried once: a sync that failed says that what was written may be lost, one that succeeds after it
 * does not say the opposite. */
static lc_status sync(lc_appender *a, lc_error *err)
{
    a->is_unsynced = false;
    int rc = a->disk->sync_data(a->disk->self, a->file);
    if (rc < 0) return failed(err, "sync", a->path, rc);
    lc_index_flush(&a->index);
    return LC_OK;
}

lc_status lc_appender_sync(lc_appender *a, lc_error *err)
{
    return a->is_unsynced ? sync(a, err) : LC_OK;
}

static lc_status write_group(lc_appender *a, lc_buf *frames, size_t at, size_t len, lc_error *err)
{
    lc_status status = put_group(a, frames, at, len, err);
    if (status) return status;
    bool waits = a->durability == LC_DURABILITY_RELAXED && a->tail + len < a->max_segment;
    if (!waits) return sync(a, err);
    a->is_unsynced = true;
    return LC_OK;
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
static lc_status begin_segment(lc_appender *a, uint64_t first, lc_buf *frames, size_t at,
                               size_t len, lc_error *err)
{
    a->path = lc_segment_path(a->folder, first, "log");
    char *aside = lc_segment_path(a->folder, first, "log.tmp");
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
        status = put_group(a, frames, at, len, err);
        if (status == LC_OK) status = sync(a, err);
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
 * it need not be on disk. It was confirmed to nobody, so it should not come back. What RELAXED
 * published before a failed write gets its sync now, for nobody comes to do it later. */
static void take_back(lc_appender *a)
{
    if (a->file) a->disk->truncate(a->disk->self, a->file, a->tail);
    /* Of what RELAXED published some may be missing, so it must not look like a finished segment.
     */
    if (a->file && a->durability == LC_DURABILITY_RELAXED && a->tail > LC_SEGMENT_HEADER)
        a->disk->truncate(a->disk->self, a->file, size_for(a, a->tail, 0));
    if (a->is_unsynced) sync(a, NULL);
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

/* Completes the frames from `at` on that go into this segment now. */
static size_t complete_group(lc_appender *a, lc_buf *frames, size_t at, uint64_t *count,
                             lc_index_entry *last)
{
    size_t n = 0;
    *count = 0;
    do {
        uint8_t *frame = frames->ptr + at + n;
        size_t size = lc_frame_complete(frame);
        *last = (lc_index_entry){lc_load_u64(frame), a->tail + n};
        lc_index_note(&a->index, last->offset, last->position, size);
        n += size;
        ++*count;
    } while (a->durability != LC_DURABILITY_EACH && at + n < frames->len &&
             a->tail + n < a->max_segment);
    return n;
}

lc_status lc_appender_write(lc_appender *a, lc_buf *frames, size_t at, size_t *done,
                            uint64_t *count, lc_error *err)
{
    uint64_t first = lc_load_u64(frames->ptr + at);
    bool is_new = !a->file;
    if (is_new) {
        char *path = lc_segment_path(a->folder, first, "ofs");
        lc_index_create(&a->index, a->disk, path, a->max_segment);
        lc_free(path);
        a->tail = LC_SEGMENT_HEADER;
        a->writes_ahead = true; /* there may be room again */
    }
    lc_index_entry last;
    size_t n = complete_group(a, frames, at, count, &last);
    lc_status status =
        is_new ? begin_segment(a, first, frames, at, n, err) : write_group(a, frames, at, n, err);
    if (status) {
        take_back(a);
        return status;
    }
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
    /* RELAXED waits for no sync, so none needs to be quick. */
    if (!a->file || !a->writes_ahead || a->durability == LC_DURABILITY_RELAXED) return LC_OK;
    if (a->size - a->tail >= want / 2) return LC_OK;
    uint64_t size = size_for(a, a->tail, want);
    if (size > a->size + AHEAD_STEP) size = a->size + AHEAD_STEP;
    if (size <= a->size) return LC_OK;
    lc_status status = write_zeros(a, a->size, size, err);
    if (status) return status;
    *did = a->writes_ahead;
    return sync(a, err);
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

/* What a crash left of segments that were being made: under another name still, so no part of the
 * log. */
static lc_status remove_leftovers(const lc_disk *disk, const char *folder, lc_error *err)
{
    lc_segment_list list = {0};
    lc_status status = lc_segment_find(disk, folder, "log.tmp", &list, err);
    for (size_t i = 0; i < list.len && status == LC_OK; i++) {
        char *path = lc_segment_path(folder, list.items[i], "log.tmp");
        int rc = disk->unlink(disk->self, path);
        if (rc < 0) status = failed(err, "remove", path, rc);
        lc_free(path);
    }
    lc_vec_deinit(&list);
    return status;
}

lc_status lc_appender_open(lc_appender *a, const lc_disk *disk, const char *folder,
                           uint64_t max_segment, lc_durability durability, const lc_scan *scan,
                           lc_error *err)
{
    *a = (lc_appender){
        .disk = disk,
        .folder = lc_strdup(folder),
        .durability = durability,
        .max_segment = max_segment,
        .writes_ahead = true,
    };
    lc_status status = remove_leftovers(disk, folder, err);
    if (status) return status;
    int64_t rc = 0;
    for (size_t i = 0; i < scan->empty.len && rc >= 0; i++)
        rc = lc_segment_remove(disk, folder, scan->empty.items[i]);
    if (rc < 0) return failed(err, "remove an empty segment of", folder, rc);
    /* The newest segment may have been renamed into place just before a crash: from here on its
     * commits count as durable, so its name must be, too. */
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
