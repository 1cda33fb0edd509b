/*
 * Sealed segments: old ones that were compressed in place under their own name. The file is a run
 * of independent zstd frames and at its end a skippable frame with a seek table (the zstd seekable
 * format). Reading in order needs no seek table: the decompressor passes over skippable frames.
 * Only the table's last four bytes are looked at: without them the file is not whole.
 */
#include "journal/journal_internal.h"

#include <zstd.h>

enum { PACKED_SIZE = 128 * 1024, UNPACKED_STEP = 256 * 1024 };

struct lc_unpacker {
    ZSTD_DCtx *zstd;
    uint8_t *packed; /* PACKED_SIZE bytes */
    ZSTD_inBuffer in;
    bool is_inside;  /* of a frame: the end must not come now */
    uint8_t last[4]; /* bytes of the file read so far */
};

bool lc_sealed_detect(const uint8_t *head, size_t n)
{
    return n >= 4 && lc_load_u32(head) == ZSTD_MAGICNUMBER;
}

lc_unpacker *lc_unpacker_create(void)
{
    lc_unpacker *u = lc_alloc_zero(sizeof *u);
    u->zstd = ZSTD_createDCtx();
    LC_ASSERT(u->zstd);
    u->packed = lc_alloc(PACKED_SIZE);
    u->in.src = u->packed;
    return u;
}

void lc_unpacker_destroy(lc_unpacker *u)
{
    ZSTD_freeDCtx(u->zstd);
    lc_free(u->packed);
    lc_free(u);
}

static lc_status refill(lc_unpacker *u, lc_source *s, lc_error *err)
{
    ssize_t got = s->disk->pread(s->disk->self, s->file, u->packed, PACKED_SIZE, s->next);
    if (got < 0) return lc_segment_io_error(err, "read", s->path, got);
    u->in.pos = 0;
    u->in.size = (size_t)got;
    s->next += (size_t)got;
    for (size_t i = got > 4 ? (size_t)got - 4 : 0; i < (size_t)got; i++) {
        memmove(u->last, u->last + 1, 3);
        u->last[3] = u->packed[i];
    }
    return LC_OK;
}

lc_status lc_unpacker_read(lc_unpacker *u, lc_source *s, lc_buf *out, lc_error *err)
{
    ZSTD_outBuffer to = {.dst = lc_buf_reserve(out, UNPACKED_STEP), .size = UNPACKED_STEP};
    while (to.pos < to.size) {
        size_t read_before = u->in.pos, put_before = to.pos;
        size_t hint = ZSTD_decompressStream(u->zstd, &to, &u->in);
        if (ZSTD_isError(hint)) {
            s->has_ended = s->is_broken = true;
            break;
        }
        /* Asked with no input it may still have held output back; only then is it time to read. */
        if (u->in.pos != read_before || to.pos != put_before) {
            u->is_inside = hint != 0;
        } else if (u->in.pos == u->in.size) {
            lc_status rc = refill(u, s, err);
            if (rc) return rc;
            if (u->in.size == 0) {
                s->has_ended = true;
                s->is_broken = u->is_inside || lc_load_u32(u->last) != LC_SEEKABLE_FOOTER;
                break;
            }
        }
    }
    out->len += to.pos;
    return LC_OK;
}
