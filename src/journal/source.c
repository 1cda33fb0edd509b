/* The bytes of a segment, whether the file holds them plainly or sealed (compressed). */
#include "journal/journal_internal.h"

enum { READ_SIZE = 256 * 1024 };

lc_status lc_source_open(lc_source *s, const lc_disk *disk, const char *path, lc_error *err)
{
    *s = (lc_source){.disk = disk, .path = path};
    int rc = disk->open(disk->self, path, O_RDONLY, &s->file);
    if (rc == -ENOENT) return lc_error_set(err, LC_E_NOT_FOUND, "no such segment: %s", path);
    if (rc < 0) return lc_segment_io_error(err, "open", path, rc);
    int64_t size = disk->size(disk->self, s->file);
    uint8_t head[4];
    ssize_t got = size < 0 ? size : disk->pread(disk->self, s->file, head, sizeof head, 0);
    if (got < 0) {
        disk->close(disk->self, s->file);
        return lc_segment_io_error(err, "read", path, got);
    }
    s->size = (uint64_t)size;
    if (lc_sealed_detect(head, (size_t)got)) s->unpacker = lc_unpacker_create();
    return LC_OK;
}

void lc_source_close(lc_source *s)
{
    if (s->unpacker) lc_unpacker_destroy(s->unpacker);
    s->disk->close(s->disk->self, s->file);
    lc_buf_deinit(&s->window);
}

void lc_source_seek(lc_source *s, uint64_t at)
{
    LC_ASSERT(!s->unpacker);
    lc_buf_reset(&s->window);
    s->from = 0;
    s->at = s->next = at;
    s->has_ended = false;
}

lc_status lc_source_reread(lc_source *s, uint64_t at, lc_error *err)
{
    int64_t size = s->disk->size(s->disk->self, s->file);
    if (size < 0) return lc_segment_io_error(err, "read", s->path, size);
    s->size = (uint64_t)size;
    lc_source_seek(s, at);
    return LC_OK;
}

uint64_t lc_source_left(const lc_source *s)
{
    uint64_t in_window = s->window.len - s->from;
    if (s->has_ended) return in_window;
    if (s->unpacker) return UINT64_MAX;
    return in_window + (s->next < s->size ? s->size - s->next : 0);
}

static lc_status fill(lc_source *s, size_t missing, lc_error *err)
{
    if (s->unpacker) return lc_unpacker_read(s->unpacker, s, &s->window, err);
    uint64_t left = s->next < s->size ? s->size - s->next : 0;
    size_t n = missing > READ_SIZE ? missing : READ_SIZE;
    if (n > left) n = (size_t)left;
    ssize_t got = 0;
    if (n > 0)
        got = s->disk->pread(s->disk->self, s->file, lc_buf_reserve(&s->window, n), n, s->next);
    if (got < 0) return lc_segment_io_error(err, "read", s->path, got);
    s->window.len += (size_t)got;
    s->next += (size_t)got;
    if ((size_t)got < n || s->next >= s->size) s->has_ended = true;
    return LC_OK;
}

lc_status lc_source_want(lc_source *s, size_t n, size_t *have, lc_error *err)
{
    size_t in_window = s->window.len - s->from;
    if (in_window < n && !s->has_ended) {
        /* What was skipped makes room; moved only here, so that skipping costs nothing. */
        if (s->from > 0) memmove(s->window.ptr, s->window.ptr + s->from, in_window);
        s->window.len = in_window;
        s->from = 0;
        while (s->window.len < n && !s->has_ended) {
            lc_status rc = fill(s, n - s->window.len, err);
            if (rc) return rc;
        }
        in_window = s->window.len;
    }
    *have = in_window < n ? in_window : n;
    return LC_OK;
}
