/*
 * One snapshot on disk, byte by byte (README), and the way in and out.
 */
#include "storage/storage_internal.h"

enum {
    /* Flushed in pieces: one big flush would hold up the log's small ones on the same disk. */
    SYNC_STEP = 8 * 1024 * 1024,
    CHUNK_HEADER = 9, /* u32 table, u32 rows, u8 flags */
};

static const uint8_t magic[8] = {'L', 'C', 'S', 'N', 'A', 'P', '\r', '\n'};

/* ------------------------------------------------------------------- pieces */

void lc_snapshot_header_put(uint8_t out[LC_SNAPSHOT_HEADER], const lc_snapshot_header *h,
                            uint32_t *chain)
{
    memcpy(out, magic, sizeof magic);
    lc_store_u32(out + 8, LC_SNAPSHOT_VERSION);
    lc_store_u32(out + 12, 0);
    lc_store_u64(out + 16, h->offset);
    lc_store_u64(out + 24, (uint64_t)h->taken_at);
    *chain = lc_crc32c(0, out, 32);
    lc_store_u32(out + 32, *chain);
}

lc_status lc_snapshot_header_get(const uint8_t in[LC_SNAPSHOT_HEADER], lc_snapshot_header *h,
                                 uint32_t *chain, lc_error *err)
{
    if (memcmp(in, magic, sizeof magic) != 0)
        return lc_error_set(err, LC_E_CORRUPT, "not a snapshot: it does not begin with LCSNAP");
    *chain = lc_crc32c(0, in, 32);
    if (lc_load_u32(in + 32) != *chain)
        return lc_error_set(err, LC_E_CORRUPT, "the checksum of the header does not fit");
    uint32_t version = lc_load_u32(in + 8);
    if (version != LC_SNAPSHOT_VERSION || lc_load_u32(in + 12) != 0)
        return lc_error_set(err, LC_E_UNSUPPORTED,
                            "unsupported snapshot version %u (this server reads %d)", version,
                            LC_SNAPSHOT_VERSION);
    h->offset = lc_load_u64(in + 16);
    h->taken_at = (int64_t)lc_load_u64(in + 24);
    return LC_OK;
}

static uint32_t block_checksum(uint32_t chain, const uint8_t head[LC_SNAPSHOT_BLOCK], lc_span bytes)
{
    return lc_crc32c(lc_crc32c(chain, head, LC_SNAPSHOT_BLOCK - 4), bytes.ptr, bytes.len);
}

void lc_snapshot_block_put(uint8_t out[LC_SNAPSHOT_BLOCK], lc_snapshot_block_kind kind,
                           lc_span bytes, uint32_t *chain)
{
    lc_store_u64(out, bytes.len);
    lc_store_u32(out + 8, kind);
    *chain = block_checksum(*chain, out, bytes);
    lc_store_u32(out + 12, *chain);
}

bool lc_snapshot_totals_add(lc_snapshot_totals *t, lc_span chunk)
{
    if (chunk.len < CHUNK_HEADER) return false;
    t->blocks++;
    t->bytes += chunk.len;
    t->rows += lc_load_u32(chunk.ptr + 4);
    return true;
}

void lc_snapshot_totals_put(uint8_t out[LC_SNAPSHOT_END], const lc_snapshot_totals *t)
{
    lc_store_u64(out, t->blocks);
    lc_store_u64(out + 8, t->bytes);
    lc_store_u64(out + 16, t->rows);
}

/* ------------------------------------------------------------------- writer */

static lc_status put(lc_snapshot_writer *w, const void *bytes, size_t n, lc_error *err)
{
    ssize_t rc = w->disk->pwrite(w->disk->self, w->file, bytes, n, w->at);
    if (rc < 0) return lc_storage_io_error(err, "write", w->aside, rc);
    w->at += n;
    return LC_OK;
}

static lc_status sync_file(lc_snapshot_writer *w, lc_error *err)
{
    int rc = w->disk->sync_data(w->disk->self, w->file);
    if (rc < 0) return lc_storage_io_error(err, "sync", w->aside, rc);
    w->synced = w->at;
    return LC_OK;
}

static lc_status sync_folder(lc_snapshot_writer *w, const char *folder, lc_error *err)
{
    int rc = w->disk->sync_dir(w->disk->self, folder);
    return rc < 0 ? lc_storage_io_error(err, "sync", folder, rc) : LC_OK;
}

lc_status lc_snapshot_writer_open(lc_snapshot_writer *w, const lc_disk *disk, const char *folder,
                                  const lc_snapshot_header *h, lc_error *err)
{
    *w = (lc_snapshot_writer){
        .disk = disk,
        .parent = lc_strdup(folder),
        .folder = lc_format("%s/snapshots", folder),
        .path = lc_snapshot_path(folder, h->offset, LC_SNAPSHOT_SUFFIX),
        .aside = lc_snapshot_path(folder, h->offset, LC_SNAPSHOT_ASIDE),
    };
    int rc = disk->mkdirs(disk->self, w->folder);
    if (rc < 0) return lc_storage_io_error(err, "create folder", w->folder, rc);
    rc = disk->open(disk->self, w->aside, O_WRONLY | O_CREAT | O_TRUNC, &w->file);
    if (rc < 0) return lc_storage_io_error(err, "create", w->aside, rc);
    uint8_t header[LC_SNAPSHOT_HEADER];
    lc_snapshot_header_put(header, h, &w->chain);
    return put(w, header, sizeof header, err);
}

lc_buf *lc_snapshot_writer_begin(lc_snapshot_writer *w)
{
    lc_buf_reset(&w->block);
    lc_buf_extend(&w->block, LC_SNAPSHOT_BLOCK);
    return &w->block;
}

lc_status lc_snapshot_writer_end(lc_snapshot_writer *w, lc_error *err)
{
    lc_span chunk = LC_SPAN(w->block.ptr + LC_SNAPSHOT_BLOCK, w->block.len - LC_SNAPSHOT_BLOCK);
    LC_ASSERT(chunk.len <= LC_SNAPSHOT_MAX_BLOCK);
    LC_ASSERT(lc_snapshot_totals_add(&w->totals, chunk));
    lc_snapshot_block_put(w->block.ptr, LC_SNAPSHOT_ROWS, chunk, &w->chain);
    lc_status rc = put(w, w->block.ptr, w->block.len, err);
    if (rc == LC_OK && w->at - w->synced >= SYNC_STEP) rc = sync_file(w, err);
    return rc;
}

static void writer_deinit(lc_snapshot_writer *w)
{
    if (w->file) w->disk->close(w->disk->self, w->file);
    lc_free(w->parent);
    lc_free(w->folder);
    lc_free(w->path);
    lc_free(w->aside);
    lc_buf_deinit(&w->block);
    *w = (lc_snapshot_writer){0};
}

lc_status lc_snapshot_writer_finish(lc_snapshot_writer *w, lc_error *err)
{
    uint8_t end[LC_SNAPSHOT_BLOCK + LC_SNAPSHOT_END];
    lc_snapshot_totals_put(end + LC_SNAPSHOT_BLOCK, &w->totals);
    lc_snapshot_block_put(end, LC_SNAPSHOT_TOTALS,
                          LC_SPAN(end + LC_SNAPSHOT_BLOCK, LC_SNAPSHOT_END), &w->chain);
    lc_status rc = put(w, end, sizeof end, err);
    if (rc == LC_OK) rc = sync_file(w, err);
    if (rc != LC_OK) return rc;
    int renamed = w->disk->rename(w->disk->self, w->aside, w->path);
    if (renamed < 0) return lc_storage_io_error(err, "replace", w->path, renamed);
    rc = sync_folder(w, w->folder, err);
    if (rc == LC_OK) rc = sync_folder(w, w->parent, err); /* the folder itself may be new */
    if (rc != LC_OK) {
        w->disk->unlink(w->disk->self, w->path);
        return rc;
    }
    writer_deinit(w);
    return LC_OK;
}

void lc_snapshot_writer_abandon(lc_snapshot_writer *w)
{
    if (w->file) w->disk->unlink(w->disk->self, w->aside);
    writer_deinit(w);
}

/* ------------------------------------------------------------------- reader */

static lc_status corrupt(const lc_snapshot_reader *r, lc_error *err, const char *what)
{
    return lc_error_set(err, LC_E_CORRUPT, "%s: position %llu: %s", r->name,
                        (unsigned long long)r->at, what);
}

/* All n bytes at the reader's position, or an error. */
static lc_status get(const lc_snapshot_reader *r, void *out, size_t n, uint64_t at, lc_error *err)
{
    ssize_t got = r->disk->pread(r->disk->self, r->file, out, n, at);
    if (got < 0) return lc_storage_io_error(err, "read", r->name, got);
    return (size_t)got == n ? LC_OK : corrupt(r, err, "the file ends here");
}

lc_status lc_snapshot_reader_open(lc_snapshot_reader *r, const lc_disk *disk, const char *path,
                                  const char *name, lc_error *err)
{
    *r = (lc_snapshot_reader){.disk = disk};
    int rc = disk->open(disk->self, path, O_RDONLY, &r->file);
    if (rc == -ENOENT) return lc_error_set(err, LC_E_NOT_FOUND, "no such file: %s", path);
    if (rc < 0) return lc_storage_io_error(err, "open", path, rc);
    r->name = lc_strdup(name ? name : path);
    uint8_t header[LC_SNAPSHOT_HEADER];
    int64_t size = disk->size(disk->self, r->file);
    lc_status status = size < 0 ? lc_storage_io_error(err, "read", path, size) : LC_OK;
    if (status == LC_OK) {
        r->size = (uint64_t)size;
        status = get(r, header, sizeof header, 0, err);
    }
    if (status == LC_OK) {
        status = lc_snapshot_header_get(header, &r->header, &r->chain, err);
        if (status != LC_OK) lc_error_prefix(err, "%s: ", r->name);
    }
    r->at = LC_SNAPSHOT_HEADER;
    if (status != LC_OK) lc_snapshot_reader_close(r);
    return status;
}

/* Reads the block whose head is given into r->block. */
static lc_status read_block(lc_snapshot_reader *r, const uint8_t *head, lc_error *err)
{
    uint64_t len = lc_load_u64(head);
    if (len > r->size - r->at - LC_SNAPSHOT_BLOCK || len > LC_SNAPSHOT_MAX_BLOCK)
        return corrupt(r, err, "a block says it is longer than the rest of the file");
    lc_buf_reset(&r->block);
    lc_status rc = get(r, lc_buf_extend(&r->block, len), len, r->at + LC_SNAPSHOT_BLOCK, err);
    if (rc != LC_OK) return rc;
    r->chain = block_checksum(r->chain, head, lc_buf_span(&r->block));
    if (lc_load_u32(head + 12) != r->chain)
        return corrupt(r, err, "the checksum of a block does not fit");
    return LC_OK;
}

static lc_status end(lc_snapshot_reader *r, lc_error *err)
{
    uint8_t want[LC_SNAPSHOT_END];
    lc_snapshot_totals_put(want, &r->totals);
    if (!lc_span_equal(lc_buf_span(&r->block), LC_SPAN(want, sizeof want)))
        return corrupt(r, err, "the totals at the end do not fit what came before");
    r->at += LC_SNAPSHOT_BLOCK + LC_SNAPSHOT_END;
    if (r->at != r->size) return corrupt(r, err, "something follows the end");
    r->has_ended = true;
    return LC_OK;
}

lc_status lc_snapshot_reader_next(lc_snapshot_reader *r, lc_span *chunk, lc_error *err)
{
    *chunk = LC_SPAN_EMPTY;
    if (r->has_ended) return LC_OK;
    uint8_t head[LC_SNAPSHOT_BLOCK];
    lc_status rc = get(r, head, sizeof head, r->at, err);
    if (rc == LC_OK) rc = read_block(r, head, err);
    if (rc != LC_OK) return rc;
    uint32_t kind = lc_load_u32(head + 8);
    if (kind == LC_SNAPSHOT_TOTALS) return end(r, err);
    if (kind != LC_SNAPSHOT_ROWS || !lc_snapshot_totals_add(&r->totals, lc_buf_span(&r->block)))
        return corrupt(r, err, "a block of an unknown kind");
    uint32_t table = lc_load_u32(r->block.ptr);
    if (r->tables == 0 || table != r->table) r->tables++;
    r->table = table;
    r->at += LC_SNAPSHOT_BLOCK + r->block.len;
    *chunk = lc_buf_span(&r->block);
    return LC_OK;
}

void lc_snapshot_reader_close(lc_snapshot_reader *r)
{
    if (r->file) r->disk->close(r->disk->self, r->file);
    lc_free(r->name);
    lc_buf_deinit(&r->block);
    *r = (lc_snapshot_reader){0};
}
