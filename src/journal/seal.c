/*
 * Sealing: an old segment rewritten under its own name in the zstd seekable format.
 *
 *   +-------+-------+- - -+-------+------------------------------+
 *   | frame | frame |     | frame | skippable frame: seek table  |
 *   +-------+-------+- - -+-------+------------------------------+
 *
 * Each frame unpacks to FRAME bytes, the last to the rest. The table:
 *
 *   SIZE  FIELD
 *      4  0x184d2a5e
 *      4  bytes that follow
 *      8  for each frame: packed size, unpacked size (u32 each)
 *      4  number of frames
 *      1  0: the entries have no checksums (the commits have)
 *      4  0x8f92eab1
 *
 * The packed copy is read back and compared before it takes the place of what it was made from.
 */
#include "journal/journal_internal.h"

#include <zstd.h>

enum {
    FRAME = 4096, /* what readers of the format count on */
    READ_SIZE = 64 * FRAME,
    WRITE_SIZE = 256 * 1024,
    LEVEL = 3,
};

typedef struct packing {
    const lc_disk *disk;
    const char *from_path;
    const char *to_path;
    lc_file *from;
    lc_file *to;
    uint64_t size;    /* of the segment */
    uint64_t written; /* of the packed file */
    lc_buf plain;
    lc_buf packed; /* not yet written */
    lc_buf table;
    ZSTD_CCtx *zstd;
    const atomic_bool *stop; /* may be NULL */
    bool is_stopped;
} packing;

/* Once stopped it stays so. */
static bool is_stopped(packing *p)
{
    if (p->stop && atomic_load(p->stop)) p->is_stopped = true;
    return p->is_stopped;
}

static lc_status read_plain(packing *p, uint64_t at, lc_error *err)
{
    size_t n = p->size - at < READ_SIZE ? (size_t)(p->size - at) : READ_SIZE;
    lc_buf_reset(&p->plain);
    ssize_t got = p->disk->pread(p->disk->self, p->from, lc_buf_reserve(&p->plain, n), n, at);
    if (got < 0) return lc_segment_io_error(err, "read", p->from_path, got);
    if ((size_t)got != n)
        return lc_error_set(err, LC_E_IO, "cannot read %s: it became shorter", p->from_path);
    p->plain.len = n;
    return LC_OK;
}

static lc_status write_packed(packing *p, lc_error *err)
{
    ssize_t rc = p->disk->pwrite(p->disk->self, p->to, p->packed.ptr, p->packed.len, p->written);
    if (rc < 0) return lc_segment_io_error(err, "write", p->to_path, rc);
    p->written += p->packed.len;
    lc_buf_reset(&p->packed);
    return LC_OK;
}

static void pack_frame(packing *p, const uint8_t *plain, size_t n)
{
    size_t room = ZSTD_compressBound(n);
    uint8_t *out = lc_buf_reserve(&p->packed, room);
    size_t size = ZSTD_compressCCtx(p->zstd, out, room, plain, n, LEVEL);
    LC_ASSERT(!ZSTD_isError(size));
    p->packed.len += size;
    lc_buf_put_u32(&p->table, (uint32_t)size);
    lc_buf_put_u32(&p->table, (uint32_t)n);
}

static void put_table(packing *p)
{
    uint32_t frames = (uint32_t)(p->table.len / 8);
    lc_buf_put_u32(&p->packed, ZSTD_MAGIC_SKIPPABLE_START | 0xe);
    lc_buf_put_u32(&p->packed, (uint32_t)p->table.len + 9);
    lc_buf_put_span(&p->packed, lc_buf_span(&p->table));
    lc_buf_put_u32(&p->packed, frames);
    lc_buf_put_u8(&p->packed, 0);
    lc_buf_put_u32(&p->packed, LC_SEEKABLE_FOOTER);
}

static lc_status write_all(packing *p, lc_error *err)
{
    for (uint64_t at = 0; at < p->size && !is_stopped(p); at += p->plain.len) {
        lc_status rc = read_plain(p, at, err);
        if (rc) return rc;
        for (size_t i = 0; i < p->plain.len; i += FRAME) {
            size_t left = p->plain.len - i;
            pack_frame(p, p->plain.ptr + i, left < FRAME ? left : FRAME);
        }
        if (p->packed.len >= WRITE_SIZE) rc = write_packed(p, err);
        if (rc) return rc;
    }
    if (p->is_stopped) return LC_OK;
    put_table(p);
    lc_status rc = write_packed(p, err);
    if (rc) return rc;
    int synced = p->disk->sync_data(p->disk->self, p->to);
    return synced < 0 ? lc_segment_io_error(err, "sync", p->to_path, synced) : LC_OK;
}

static lc_status compare(packing *p, lc_source *packed, lc_error *err)
{
    bool is_same = true;
    for (uint64_t at = 0; at < p->size && is_same && !is_stopped(p); at += p->plain.len) {
        size_t have;
        lc_status rc = read_plain(p, at, err);
        if (rc == LC_OK) rc = lc_source_want(packed, p->plain.len, &have, err);
        if (rc) return rc;
        is_same = have == p->plain.len && !memcmp(lc_source_bytes(packed), p->plain.ptr, have);
        lc_source_skip(packed, have);
    }
    if (p->is_stopped) return LC_OK;
    size_t more;
    lc_status rc = lc_source_want(packed, 1, &more, err);
    if (rc) return rc;
    if (!is_same || more > 0 || packed->is_broken)
        return lc_error_set(err, LC_E_CORRUPT,
                            "%s: does not read back as the segment it was packed from", p->to_path);
    return LC_OK;
}

static lc_status read_back(packing *p, lc_error *err)
{
    lc_source packed;
    lc_status rc = lc_source_open(&packed, p->disk, p->to_path, err);
    if (rc) return rc;
    rc = compare(p, &packed, err);
    lc_source_close(&packed);
    return rc;
}

static lc_status pack(packing *p, lc_error *err)
{
    int64_t size = p->disk->size(p->disk->self, p->from);
    if (size < 0) return lc_segment_io_error(err, "read", p->from_path, size);
    p->size = (uint64_t)size;
    int rc = p->disk->open(p->disk->self, p->to_path, O_RDWR | O_CREAT | O_TRUNC, &p->to);
    if (rc < 0) return lc_segment_io_error(err, "create", p->to_path, rc);
    p->zstd = ZSTD_createCCtx();
    LC_ASSERT(p->zstd);
    lc_status status = write_all(p, err);
    if (status == LC_OK && !p->is_stopped) status = read_back(p, err);
    ZSTD_freeCCtx(p->zstd);
    p->disk->close(p->disk->self, p->to);
    lc_buf_deinit(&p->plain);
    lc_buf_deinit(&p->packed);
    lc_buf_deinit(&p->table);
    return status;
}

/* Until the renaming the segment is as it was, after it the packed one is whole. */
static lc_status put_in_place(const packing *p, const char *folder, lc_error *err)
{
    int rc = p->disk->rename(p->disk->self, p->to_path, p->from_path);
    if (rc < 0) return lc_segment_io_error(err, "rename", p->to_path, rc);
    rc = p->disk->sync_dir(p->disk->self, folder);
    return rc < 0 ? lc_segment_io_error(err, "sync", folder, rc) : LC_OK;
}

lc_status lc_segment_seal(const lc_disk *disk, const char *folder, uint64_t first,
                          const atomic_bool *stop, bool *did, lc_error *err)
{
    char *from = lc_segment_path(folder, first, "log");
    char *to = lc_segment_path(folder, first, "log.tmp");
    packing p = {.disk = disk, .from_path = from, .to_path = to, .stop = stop};
    lc_status status = LC_OK;
    int rc = disk->open(disk->self, from, O_RDONLY, &p.from);
    if (rc < 0) {
        status = lc_segment_io_error(err, "open", from, rc);
    } else {
        status = pack(&p, err);
        disk->close(disk->self, p.from);
        if (status == LC_OK && !p.is_stopped) {
            status = put_in_place(&p, folder, err);
            *did = status == LC_OK;
        }
        if (!*did) disk->unlink(disk->self, to);
    }
    lc_free(from);
    lc_free(to);
    return status;
}
