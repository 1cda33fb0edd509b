/*
 * A backup as bytes: writing and reading its blocks.
 */
#include "storage/backup_file.h"

static const uint8_t magic[8] = {'L', 'C', 'B', 'A', 'C', 'K', '\r', '\n'};

/* A block of rows is a snapshot's, a block of commits ends with the commit that reaches the target.
 */
#define MAX_BLOCK (LC_SNAPSHOT_MAX_BLOCK + LC_BACKUP_BLOCK_TARGET)

enum { READ_STEP = 1024 * 1024, MAX_REASON = 4096 };

static void put_totals(uint8_t out[LC_BACKUP_END_BYTES], const lc_backup_totals *t, uint64_t to)
{
    lc_snapshot_totals_put(out, &t->rows);
    lc_store_u64(out + LC_SNAPSHOT_END, t->commits);
    lc_store_u64(out + LC_SNAPSHOT_END + 8, t->commit_bytes);
    lc_store_u64(out + LC_SNAPSHOT_END + 16, to);
}
_Static_assert(LC_SNAPSHOT_END + 24 == LC_BACKUP_END_BYTES, "end block");

/* ------------------------------------------------------------------- writer */

static lc_status put(lc_backup_writer *w, lc_span bytes, lc_error *err)
{
    lc_status rc = w->write(w->arg, bytes, err);
    if (rc != LC_OK) w->is_deaf = true;
    w->at += bytes.len;
    return rc;
}

/* block: its head is reserved in front. */
static lc_status put_block(lc_backup_writer *w, lc_backup_block_kind kind, lc_buf *block,
                           lc_error *err)
{
    lc_span bytes = LC_SPAN(block->ptr + LC_SNAPSHOT_BLOCK, block->len - LC_SNAPSHOT_BLOCK);
    lc_snapshot_block_put(block->ptr, (uint32_t)kind, bytes, &w->chain);
    return put(w, lc_buf_span(block), err);
}

static void begin_block(lc_buf *block)
{
    lc_buf_reset(block);
    lc_buf_extend(block, LC_SNAPSHOT_BLOCK);
}

lc_status lc_backup_writer_open(lc_backup_writer *w, const lc_backup_header *h,
                                lc_backup_write write, void *arg, lc_error *err)
{
    *w = (lc_backup_writer){.write = write, .arg = arg, .to = h->to};
    begin_block(&w->block);
    uint8_t out[LC_BACKUP_HEADER];
    memcpy(out, magic, sizeof magic);
    lc_store_u32(out + 8, LC_BACKUP_VERSION);
    lc_store_u32(out + 12, 0);
    lc_store_u64(out + 16, h->from);
    lc_store_u64(out + 24, h->to);
    lc_store_u64(out + 32, (uint64_t)h->taken_at);
    lc_store_u64(out + 40, (uint64_t)h->snapshot_at);
    w->chain = lc_crc32c(0, out, LC_BACKUP_HEADER - 4);
    lc_store_u32(out + 48, w->chain);
    return put(w, LC_SPAN(out, sizeof out), err);
}

lc_status lc_backup_writer_rows(lc_backup_writer *w, lc_span chunk, lc_error *err)
{
    LC_ASSERT(lc_snapshot_totals_add(&w->totals.rows, chunk));
    lc_buf_put_span(&w->block, chunk);
    lc_status rc = put_block(w, LC_BACKUP_ROWS, &w->block, err);
    begin_block(&w->block);
    return rc;
}

static lc_status flush_commits(lc_backup_writer *w, lc_error *err)
{
    if (w->block.len == LC_SNAPSHOT_BLOCK) return LC_OK;
    lc_status rc = put_block(w, LC_BACKUP_COMMITS, &w->block, err);
    begin_block(&w->block);
    return rc;
}

lc_status lc_backup_writer_commit(lc_backup_writer *w, const lc_journal_commit *c, lc_error *err)
{
    size_t from = w->block.len;
    if (c->size == LC_COMMIT_HEADER + c->records.len + LC_COMMIT_CRC) {
        lc_buf_put_span(&w->block, c->frame);
    } else { /* of log format version 0: without the epoch */
        lc_buf_put_u64(&w->block, c->offset);
        lc_buf_put_u64(&w->block, c->epoch);
        lc_buf_put_u16(&w->block, c->count);
        lc_buf_put_lenstr(&w->block, c->records);
        uint32_t crc = lc_crc32c(0, w->block.ptr + from, w->block.len - from);
        lc_buf_put_u32(&w->block, crc);
    }
    w->totals.commits++;
    w->totals.commit_bytes += w->block.len - from;
    return w->block.len < LC_BACKUP_BLOCK_TARGET ? LC_OK : flush_commits(w, err);
}

lc_status lc_backup_writer_finish(lc_backup_writer *w, lc_error *err)
{
    lc_status rc = flush_commits(w, err);
    if (rc != LC_OK) return rc;
    put_totals(lc_buf_extend(&w->block, LC_BACKUP_END_BYTES), &w->totals, w->to);
    return put_block(w, LC_BACKUP_END, &w->block, err);
}

void lc_backup_writer_fail(lc_backup_writer *w, const lc_error *why)
{
    if (w->is_deaf || w->at == 0) return;
    begin_block(&w->block);
    lc_span text = lc_span_of_str(lc_error_text(why));
    if (text.len > MAX_REASON) text.len = MAX_REASON;
    lc_buf_put_span(&w->block, text);
    lc_error nobody = LC_ERROR_INIT;
    put_block(w, LC_BACKUP_FAILED, &w->block, &nobody);
    lc_error_clear(&nobody);
}

void lc_backup_writer_deinit(lc_backup_writer *w)
{
    lc_buf_deinit(&w->block);
}

/* ------------------------------------------------------------------- reader */

static lc_status damaged(uint64_t at, const char *what, lc_error *err)
{
    return lc_error_set(err, LC_E_CORRUPT, "the backup is damaged at byte %llu: %s",
                        (unsigned long long)at, what);
}

/* Reads until n bytes are there or the input ends. */
static lc_status get(lc_backup_reader *r, uint8_t *out, size_t n, size_t *got, lc_error *err)
{
    for (*got = 0; *got < n;) {
        ssize_t rc = r->read(r->arg, out + *got, n - *got, err);
        if (rc < 0) return err && err->code != LC_OK ? err->code : LC_E_IO;
        if (rc == 0) break;
        *got += (size_t)rc;
        r->at += (uint64_t)rc;
    }
    return LC_OK;
}

static lc_status torn(const lc_backup_reader *r, lc_error *err)
{
    return lc_error_set(err, LC_E_CORRUPT,
                        "the backup is torn: it breaks off at byte %llu, before its end",
                        (unsigned long long)r->at);
}

static lc_status read_header(lc_backup_reader *r, const uint8_t *in, lc_error *err)
{
    r->chain = lc_crc32c(0, in, LC_BACKUP_HEADER - 4);
    if (lc_load_u32(in + 48) != r->chain)
        return damaged(0, "the checksum of the header does not fit", err);
    uint32_t version = lc_load_u32(in + 8);
    if (version != LC_BACKUP_VERSION || lc_load_u32(in + 12) != 0)
        return lc_error_set(err, LC_E_UNSUPPORTED,
                            "the backup is of version %u; this program reads version %d", version,
                            LC_BACKUP_VERSION);
    r->header = (lc_backup_header){
        .from = lc_load_u64(in + 16),
        .to = lc_load_u64(in + 24),
        .taken_at = (int64_t)lc_load_u64(in + 32),
        .snapshot_at = (int64_t)lc_load_u64(in + 40),
    };
    return r->header.from > r->header.to
               ? damaged(0, "the header says that it ends before it begins", err)
               : LC_OK;
}

lc_status lc_backup_reader_open(lc_backup_reader *r, lc_backup_read read, void *arg, lc_error *err)
{
    *r = (lc_backup_reader){.read = read, .arg = arg};
    uint8_t in[LC_BACKUP_HEADER];
    size_t got;
    lc_status rc = get(r, in, sizeof in, &got, err);
    if (rc != LC_OK) return rc;
    if (got == 0) return lc_error_set(err, LC_E_INVALID, "this is no backup: it is empty");
    if (memcmp(in, magic, got < sizeof magic ? got : sizeof magic) != 0)
        return lc_error_set(err, LC_E_INVALID, "this is no backup: it does not begin with LCBACK");
    return got < sizeof in ? torn(r, err) : read_header(r, in, err);
}

/* Reads the bytes of a block as they come: what its head says of its length costs no memory until
 * they are there. */
static lc_status read_bytes(lc_backup_reader *r, uint64_t len, lc_error *err)
{
    lc_buf_reset(&r->block);
    while (r->block.len < len) {
        uint64_t left = len - r->block.len;
        size_t step = left < READ_STEP ? (size_t)left : READ_STEP, got;
        lc_status rc = get(r, lc_buf_reserve(&r->block, step), step, &got, err);
        if (rc != LC_OK) return rc;
        r->block.len += got;
        if (got < step) return torn(r, err);
    }
    return LC_OK;
}

static lc_status read_end(lc_backup_reader *r, uint64_t at, lc_error *err)
{
    uint8_t want[LC_BACKUP_END_BYTES], beyond;
    put_totals(want, &r->totals, r->header.to);
    if (!lc_span_equal(lc_buf_span(&r->block), LC_SPAN(want, sizeof want)))
        return damaged(at, "the totals at the end do not fit what came before", err);
    size_t got;
    lc_status rc = get(r, &beyond, 1, &got, err);
    if (rc != LC_OK) return rc;
    if (got) return damaged(r->at - 1, "something follows the end", err);
    r->has_ended = true;
    return LC_OK;
}

static lc_status given_up(const lc_backup_reader *r, lc_error *err)
{
    return lc_error_set(err, LC_E_CORRUPT,
                        "the backup is not whole, its writer had to give up: " LC_SPAN_FMT,
                        LC_SPAN_ARG(lc_buf_span(&r->block)));
}

lc_status lc_backup_reader_next(lc_backup_reader *r, lc_backup_block_kind *kind, lc_span *bytes,
                                lc_error *err)
{
    uint8_t head[LC_SNAPSHOT_BLOCK], want[LC_SNAPSHOT_BLOCK];
    uint64_t at = r->at;
    size_t got;
    lc_status rc = get(r, head, sizeof head, &got, err);
    if (rc != LC_OK) return rc;
    if (got < sizeof head) return torn(r, err);
    uint64_t len = lc_load_u64(head);
    uint32_t read_kind = lc_load_u32(head + 8);
    if (read_kind < LC_BACKUP_ROWS || read_kind > LC_BACKUP_FAILED || len > MAX_BLOCK)
        return damaged(at, "there should be a block", err);
    rc = read_bytes(r, len, err);
    if (rc != LC_OK) return rc;
    *kind = (lc_backup_block_kind)read_kind;
    *bytes = lc_buf_span(&r->block);
    lc_snapshot_block_put(want, read_kind, *bytes, &r->chain);
    if (memcmp(head, want, sizeof head) != 0)
        return damaged(at, "the checksum of a block does not fit", err);
    if (*kind == LC_BACKUP_ROWS && !lc_snapshot_totals_add(&r->totals.rows, *bytes))
        return damaged(at, "a block of rows is too short", err);
    if (*kind == LC_BACKUP_FAILED) return given_up(r, err);
    return *kind == LC_BACKUP_END ? read_end(r, at, err) : LC_OK;
}

lc_status lc_backup_reader_commit(lc_backup_reader *r, lc_span *bytes, lc_journal_commit *c,
                                  lc_error *err)
{
    uint64_t at = r->at - bytes->len;
    const uint8_t *p = bytes->ptr;
    uint64_t len = bytes->len >= LC_COMMIT_HEADER ? lc_load_u32(p + 18) : 0;
    uint64_t size = LC_COMMIT_HEADER + len + LC_COMMIT_CRC;
    if (bytes->len < size) return damaged(at, "a commit is longer than its block", err);
    uint32_t crc = lc_crc32c(0, p, LC_COMMIT_HEADER + len);
    *c = (lc_journal_commit){
        .position = at,
        .size = size,
        .offset = lc_load_u64(p),
        .epoch = lc_load_u64(p + 8),
        .crc = crc,
        .count = lc_load_u16(p + 16),
        .frame = LC_SPAN(p, size),
        .records = LC_SPAN(p + LC_COMMIT_HEADER, len),
    };
    if (crc != lc_load_u32(p + LC_COMMIT_HEADER + len))
        return damaged(at, "the checksum of a commit does not fit", err);
    r->totals.commits++;
    r->totals.commit_bytes += size;
    *bytes = LC_SPAN(p + size, bytes->len - size);
    return LC_OK;
}

void lc_backup_reader_deinit(lc_backup_reader *r)
{
    lc_buf_deinit(&r->block);
}
