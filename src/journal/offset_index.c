/*
 * The offset index beside a segment: <name>.stdb.ofs, advice on where commits are. The file is as
 * long as a full segment can need and zero where unused.
 *
 *   OFFSET   SIZE  FIELD
 *    16 * i     8  offset of a commit, ascending; 0 ends the index (so offset 0 is never in it)
 *  16*i + 8     8  where that commit begins in the unpacked segment
 *
 * An entry is written after the sync of its commit. So besides being a way in, it testifies that
 * the commit was on disk, which recovery uses (scan.c). Failures of writing it are ignored.
 */
#include "journal/journal_internal.h"

enum { MIN_ENTRIES = 8 };

_Static_assert(sizeof(lc_index_entry) == LC_INDEX_ENTRY,
               "entries are written as they are in memory");

static uint64_t capacity_for(uint64_t max_segment)
{
    uint64_t n = max_segment / LC_INDEX_INTERVAL;
    return n < MIN_ENTRIES ? MIN_ENTRIES : n;
}

void lc_index_load(const lc_disk *disk, const char *path, lc_index_entries *out)
{
    lc_file *f;
    if (disk->open(disk->self, path, O_RDONLY, &f) < 0) return;
    lc_index_entry part[256], before = {0, 0};
    size_t n = LC_ARRAY_LEN(part);
    for (uint64_t at = 0; n == LC_ARRAY_LEN(part); at += sizeof part) {
        ssize_t got = disk->pread(disk->self, f, part, sizeof part, at);
        n = got > 0 ? (size_t)got / LC_INDEX_ENTRY : 0;
        for (size_t i = 0; i < n; i++) {
            if (part[i].offset <= before.offset || part[i].position <= before.position) {
                n = 0;
                break;
            }
            before = part[i];
            lc_vec_push(out, before);
        }
    }
    disk->close(disk->self, f);
}

/* Opens the file with n entries kept and the rest zero. */
static void open_file(lc_index *x, const char *path, int flags, uint64_t n)
{
    if (x->disk->open(x->disk->self, path, O_RDWR | O_CREAT | flags, &x->file) < 0) {
        x->file = NULL;
        return;
    }
    if (x->disk->truncate(x->disk->self, x->file, n * LC_INDEX_ENTRY) < 0 ||
        x->disk->truncate(x->disk->self, x->file, x->capacity * LC_INDEX_ENTRY) < 0)
        lc_index_close(x);
}

void lc_index_create(lc_index *x, const lc_disk *disk, const char *path, uint64_t max_segment)
{
    *x = (lc_index){.disk = disk, .capacity = capacity_for(max_segment)};
    open_file(x, path, O_TRUNC, 0);
}

void lc_index_resume(lc_index *x, const lc_disk *disk, const char *path, uint64_t max_segment,
                     const lc_index_entries *verified, lc_index_entry newest, uint64_t tail)
{
    *x = (lc_index){.disk = disk, .capacity = capacity_for(max_segment), .bytes = tail};
    x->count = verified->len < x->capacity ? verified->len : x->capacity;
    if (x->count > 0) {
        x->last = verified->items[x->count - 1];
        x->last_is_mark = x->last.offset == newest.offset;
        x->bytes = tail - x->last.position;
    }
    open_file(x, path, 0, x->count);
}

void lc_index_note(lc_index *x, uint64_t offset, uint64_t position, uint64_t size)
{
    if (!x->file) return;
    if (x->candidate.offset == 0) x->candidate = (lc_index_entry){offset, position};
    x->bytes += size;
    if (x->candidate.offset == 0 || x->bytes < LC_INDEX_INTERVAL) return;
    lc_vec_push(&x->pending, x->candidate);
    x->candidate = (lc_index_entry){0, 0};
    x->bytes = 0;
}

/* Writes n ascending entries in one piece; in memory they look as on disk. */
static void put(lc_index *x, const lc_index_entry *e, size_t n)
{
    for (; n > 0 && e->offset <= x->last.offset; e++) n--;
    if (!x->file || n == 0) return;
    uint64_t slot = x->count;
    if (x->last_is_mark) slot--; /* its time is over */
    if (slot + n > x->capacity) return;
    if (x->disk->pwrite(x->disk->self, x->file, e, n * sizeof *e, slot * sizeof *e) < 0) {
        lc_index_close(x);
        return;
    }
    x->last = e[n - 1];
    x->last_is_mark = false;
    x->count = slot + n;
}

void lc_index_flush(lc_index *x)
{
    put(x, x->pending.items, x->pending.len);
    x->pending.len = 0;
}

void lc_index_mark(lc_index *x, lc_index_entry newest)
{
    if (newest.offset <= x->last.offset) return;
    put(x, &newest, 1);
    x->last_is_mark = x->last.offset == newest.offset;
}

void lc_index_close(lc_index *x)
{
    if (x->file) x->disk->close(x->disk->self, x->file);
    x->file = NULL;
    lc_vec_deinit(&x->pending);
}
