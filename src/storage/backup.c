/*
 * A database folder, live or not, as one file: its newest good snapshot and the log from there.
 */
#include "storage/backup_file.h"

static lc_status open_snapshot(const char *folder, const lc_disk *disk, uint64_t offset,
                               lc_snapshot_reader *r, lc_error *err)
{
    char *path = lc_snapshot_path(folder, offset, LC_SNAPSHOT_SUFFIX);
    lc_status rc = lc_snapshot_reader_open(r, disk, path, NULL, err);
    lc_free(path);
    return rc;
}

/* Reads it whole: a backup cannot take back what it has given. */
static lc_status check_snapshot(const char *folder, const lc_disk *disk, uint64_t offset,
                                lc_error *err)
{
    lc_snapshot_reader r;
    lc_span chunk;
    lc_status rc = open_snapshot(folder, disk, offset, &r, err);
    if (rc != LC_OK) return rc;
    if (r.header.offset != offset)
        rc = lc_error_set(err, LC_E_CORRUPT, "%s says that it is the snapshot of offset %llu",
                          r.name, (unsigned long long)r.header.offset);
    while (rc == LC_OK && !r.has_ended) rc = lc_snapshot_reader_next(&r, &chunk, err);
    lc_snapshot_reader_close(&r);
    return rc;
}

/* The newest snapshot at or before `limit` whose every checksum holds; 0 when there is none. */
static lc_status choose_snapshot(const char *folder, const lc_disk *disk, uint64_t limit,
                                 uint64_t *chosen, lc_error *err)
{
    lc_offset_list offsets = {0};
    lc_status rc = lc_snapshot_offsets(folder, disk, LC_SNAPSHOT_SUFFIX, &offsets, err);
    *chosen = 0;
    LC_VEC_EACH (offset, &offsets) {
        if (*offset > limit || *chosen || rc != LC_OK) continue;
        lc_error why = LC_ERROR_INIT;
        if (check_snapshot(folder, disk, *offset, &why) == LC_OK)
            *chosen = *offset;
        else
            lc_log(LC_LOG_WARN, "a backup passes over a snapshot: %s", lc_error_text(&why));
        lc_error_clear(&why);
    }
    lc_vec_deinit(&offsets);
    return rc;
}

static lc_status write_rows(lc_backup_writer *w, lc_snapshot_reader *r, lc_error *err)
{
    lc_span chunk;
    for (;;) {
        lc_status rc = lc_snapshot_reader_next(r, &chunk, err);
        if (rc != LC_OK || r->has_ended) return rc;
        rc = lc_backup_writer_rows(w, chunk, err);
        if (rc != LC_OK) return rc;
    }
}

typedef struct log_copy {
    lc_backup_writer *writer;
    uint64_t next; /* offset of the commit to come */
} log_copy;

static lc_status copy_commit(void *arg, const lc_journal_commit *c, lc_error *err)
{
    log_copy *l = arg;
    l->next = c->offset + c->count;
    return lc_backup_writer_commit(l->writer, c, err);
}

static lc_status write_commits(lc_backup_writer *w, const char *log_folder, const lc_disk *disk,
                               const lc_backup_header *h, lc_error *err)
{
    log_copy l = {w, h->from};
    lc_journal_reading reading = {.from = h->from, .to = h->to, .commit = copy_commit, .arg = &l};
    lc_journal_stats stats;
    lc_status rc =
        h->to > h->from ? lc_journal_walk(log_folder, disk, &reading, &stats, err) : LC_OK;
    if (rc == LC_OK && l.next != h->to)
        rc = lc_error_set(err, LC_E_CORRUPT, "%s ends at offset %llu, before offset %llu",
                          log_folder, (unsigned long long)l.next, (unsigned long long)h->to);
    return rc;
}

/* Where the log ends, when nobody says how much of it is confirmed. */
static lc_status find_end(const char *log_folder, const lc_disk *disk, lc_backup_header *h,
                          lc_error *err)
{
    lc_journal_reading reading = {.from = h->from, .to = UINT64_MAX};
    lc_journal_stats stats;
    lc_status rc = lc_journal_walk(log_folder, disk, &reading, &stats, err);
    h->to = rc == LC_OK && stats.next_offset > h->from ? stats.next_offset : h->from;
    return rc;
}

static lc_status write_all(lc_backup_writer *w, const lc_backup_header *h, lc_snapshot_reader *rows,
                           const char *log_folder, const lc_disk *disk, lc_error *err)
{
    lc_status rc = rows ? write_rows(w, rows, err) : LC_OK;
    if (rc == LC_OK) rc = write_commits(w, log_folder, disk, h, err);
    return rc == LC_OK ? lc_backup_writer_finish(w, err) : rc;
}

static lc_status create(const char *folder, const char *log_folder, const lc_disk *disk,
                        lc_backup_header *h, lc_backup_write write, void *arg, lc_backup_info *info,
                        lc_error *err)
{
    lc_snapshot_reader rows;
    lc_status rc = h->from ? open_snapshot(folder, disk, h->from, &rows, err) : LC_OK;
    if (rc != LC_OK) return rc;
    if (h->from) h->snapshot_at = rows.header.taken_at;
    if (h->to == UINT64_MAX) rc = find_end(log_folder, disk, h, err);
    if (rc == LC_OK && h->to == 0)
        rc = lc_error_set(err, LC_E_NOT_FOUND, "there is no database in %s", folder);
    if (rc == LC_OK) {
        lc_backup_writer w;
        rc = lc_backup_writer_open(&w, h, write, arg, err);
        if (rc == LC_OK) rc = write_all(&w, h, h->from ? &rows : NULL, log_folder, disk, err);
        if (rc != LC_OK) lc_backup_writer_fail(&w, err);
        *info =
            (lc_backup_info){.from = h->from, .to = h->to, .taken_at = h->taken_at, .bytes = w.at};
        lc_backup_writer_deinit(&w);
    }
    if (h->from) lc_snapshot_reader_close(&rows);
    return rc;
}

lc_status lc_backup_create(const char *folder, const lc_disk *disk, const lc_clock *clock,
                           uint64_t since, uint64_t to, lc_backup_write write, void *arg,
                           lc_backup_info *info, lc_error *err)
{
    if (!disk) disk = lc_disk_system();
    if (!clock) clock = lc_clock_system();
    lc_error own =
        LC_ERROR_INIT; /* the file says why it ends early, whether the caller asks or not */
    if (!err) err = &own;
    lc_backup_info nobody;
    lc_backup_header h = {.to = to, .taken_at = lc_clock_now(clock), .snapshot_at = INT64_MIN};
    char *log_folder = lc_format("%s/clog", folder);
    lc_status rc = choose_snapshot(folder, disk, since < to ? since : to, &h.from, err);
    if (rc == LC_OK)
        rc = create(folder, log_folder, disk, &h, write, arg, info ? info : &nobody, err);
    lc_free(log_folder);
    lc_error_clear(&own);
    return rc;
}

/* ---------------------------------------------------------------------- verify */

static lc_status verify_block(lc_backup_reader *r, lc_backup_block_kind kind, lc_span bytes,
                              uint64_t *next, lc_error *err)
{
    lc_status rc = LC_OK;
    while (rc == LC_OK && kind == LC_BACKUP_COMMITS && bytes.len) {
        lc_journal_commit c;
        rc = lc_backup_reader_commit(r, &bytes, &c, err);
        if (rc == LC_OK && c.offset != *next)
            rc = lc_error_set(err, LC_E_CORRUPT, "commit %llu stands where commit %llu should",
                              (unsigned long long)c.offset, (unsigned long long)*next);
        *next = c.offset + c.count;
    }
    return rc;
}

lc_status lc_backup_verify(lc_backup_read read, void *arg, lc_backup_info *info, lc_error *err)
{
    lc_backup_reader r;
    lc_status rc = lc_backup_reader_open(&r, read, arg, err);
    uint64_t next = r.header.from;
    while (rc == LC_OK && !r.has_ended) {
        lc_backup_block_kind kind;
        lc_span bytes;
        rc = lc_backup_reader_next(&r, &kind, &bytes, err);
        if (rc == LC_OK) rc = verify_block(&r, kind, bytes, &next, err);
    }
    if (rc == LC_OK && next != r.header.to)
        rc = lc_error_set(err, LC_E_CORRUPT,
                          "the backup says that it ends at offset %llu, its commits end at offset "
                          "%llu",
                          (unsigned long long)r.header.to, (unsigned long long)next);
    *info = (lc_backup_info){
        .from = r.header.from, .to = r.header.to, .taken_at = r.header.taken_at, .bytes = r.at};
    lc_backup_reader_deinit(&r);
    return rc;
}
