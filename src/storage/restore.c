/*
 * A database folder out of a backup, or out of another folder. The source is replayed into a store
 * up to the moment asked for, the store is written as a snapshot, and the new log begins behind it
 * with a commit that makes the database one of its own.
 *
 * A source is read to its end even when the moment lies before it: what is restored from is whole,
 * or nothing is restored.
 */
#include "storage/backup_file.h"

/* ---------------------------------------------------------- up to the moment */

typedef struct replaying {
    lc_store *store;
    lc_restore_point point;
    uint64_t offset;  /* transactions seen; those in the store until is_there */
    uint64_t reached; /* transactions in the store */
    int64_t moment;   /* of the newest that has one; INT64_MIN: none had */
    bool is_there;
} replaying;

static lc_status begin(replaying *r, const lc_restore_point *at)
{
    *r = (replaying){.store = lc_store_create(), .point = *at, .moment = INT64_MIN};
    lc_store_replay_begin(r->store);
    return LC_OK;
}

static void put_time(int64_t micros, lc_buf *out)
{
    lc_timestamp_to_text(micros, out);
    lc_buf_put_u8(out, 0);
}

static lc_status outside(int64_t asked, const char *relation, int64_t limit, lc_error *err)
{
    lc_buf a = LC_BUF_INIT, b = LC_BUF_INIT;
    put_time(asked, &a);
    put_time(limit, &b);
    lc_error_set(err, LC_E_INVALID, "%s is %s, %s", a.ptr, relation, b.ptr);
    lc_buf_deinit(&a);
    lc_buf_deinit(&b);
    return LC_E_INVALID;
}

/* The rows loaded so far are those of a snapshot. */
static lc_status stand_at_snapshot(replaying *r, uint64_t offset, int64_t taken_at, lc_error *err)
{
    r->offset = r->reached = offset;
    r->moment = taken_at;
    if (r->point.offset < offset)
        return lc_error_set(err, LC_E_INVALID,
                            "offset %llu is before the earliest state here, offset %llu",
                            (unsigned long long)r->point.offset, (unsigned long long)offset);
    if (r->point.time < taken_at)
        return outside(r->point.time, "before the earliest state here", taken_at, err);
    return LC_OK;
}

/* Whether the next transaction is still before the moment. */
static lc_status decide(replaying *r, const lc_log_record *record, lc_error *err)
{
    if (record->has_inputs && record->inputs.timestamp > r->point.time) {
        if (r->moment == INT64_MIN)
            return outside(r->point.time, "before the first call here", record->inputs.timestamp,
                           err);
        r->is_there = true;
    } else if (record->has_inputs) {
        r->moment = record->inputs.timestamp;
    }
    return LC_OK;
}

/* Applies the record at the front of records and takes it. */
static lc_status replay_record(replaying *r, lc_span *records, lc_error *err)
{
    lc_log_record record;
    size_t used = 0;
    lc_status rc = lc_log_record_decode(*records, &record, err);
    if (rc == LC_OK) rc = decide(r, &record, err);
    if (rc != LC_OK || r->is_there) return rc;
    if (record.has_mutations) rc = lc_store_replay_tx(r->store, record.mutations, &used, err);
    const uint8_t *end = record.mutations.ptr + used;
    *records = LC_SPAN(end, records->len - (size_t)(end - records->ptr));
    r->reached++;
    return rc;
}

static lc_status replay_commit(replaying *r, const lc_journal_commit *c, lc_error *err)
{
    if (c->offset != r->offset || c->count == 0)
        return lc_error_set(err, LC_E_CORRUPT, "commit %llu stands where commit %llu should",
                            (unsigned long long)c->offset, (unsigned long long)r->offset);
    lc_span records = c->records;
    for (uint32_t i = 0; i < c->count && !r->is_there; i++) {
        r->is_there = c->offset + i == r->point.offset;
        lc_status rc = r->is_there ? LC_OK : replay_record(r, &records, err);
        if (rc != LC_OK)
            return lc_error_prefix(err, "transaction %llu: ", (unsigned long long)c->offset + i);
    }
    r->offset = c->offset + c->count;
    if (!r->is_there && records.len)
        return lc_error_set(err, LC_E_CORRUPT, "commit %llu: %zu bytes are left over",
                            (unsigned long long)c->offset, records.len);
    return LC_OK;
}

static lc_status end(replaying *r, lc_error *err)
{
    if (r->point.offset != UINT64_MAX && r->point.offset > r->offset)
        return lc_error_set(err, LC_E_INVALID,
                            "offset %llu is behind the latest state here, offset %llu",
                            (unsigned long long)r->point.offset, (unsigned long long)r->offset);
    if (r->reached == 0) return lc_error_set(err, LC_E_INVALID, "there is no database at offset 0");
    lc_status rc = lc_store_replay_end(r->store, err);
    lc_module_row module;
    if (rc == LC_OK && !lc_store_get_module(r->store, &module))
        rc = lc_error_set(err, LC_E_CORRUPT, "st_module has no row: this is no database");
    return rc;
}

/* --------------------------------------------------------------- the sources */

static lc_status read_block(replaying *r, lc_backup_reader *b, lc_backup_block_kind kind,
                            lc_span bytes, lc_error *err)
{
    const lc_backup_header *h = &b->header;
    bool is_first_commit = r->offset == 0 && kind != LC_BACKUP_ROWS && h->from;
    if (is_first_commit) {
        lc_status rc = stand_at_snapshot(r, h->from, h->snapshot_at, err);
        if (rc != LC_OK) return rc;
    }
    if (kind == LC_BACKUP_ROWS) {
        if (r->offset || h->from == 0)
            return lc_error_set(err, LC_E_CORRUPT, "rows stand where commits should");
        return lc_store_load_chunk(r->store, bytes, err);
    }
    lc_status rc = LC_OK;
    while (rc == LC_OK && bytes.len && kind == LC_BACKUP_COMMITS) {
        lc_journal_commit c;
        rc = lc_backup_reader_commit(b, &bytes, &c, err);
        if (rc == LC_OK) rc = replay_commit(r, &c, err);
    }
    return rc;
}

static lc_status replay_backup(replaying *r, lc_backup_reader *b, lc_error *err)
{
    if (r->point.time != INT64_MAX && r->point.time > b->header.taken_at)
        return outside(r->point.time, "after the backup was taken", b->header.taken_at, err);
    while (!b->has_ended) {
        lc_backup_block_kind kind;
        lc_span bytes;
        uint64_t at = b->at;
        lc_status rc = lc_backup_reader_next(b, &kind, &bytes, err);
        if (rc != LC_OK) return rc;
        rc = read_block(r, b, kind, bytes, err);
        if (rc != LC_OK && rc != LC_E_INVALID)
            lc_error_prefix(err, "the backup, block at byte %llu: ", (unsigned long long)at);
        if (rc != LC_OK) return rc;
    }
    return r->offset == b->header.to
               ? LC_OK
               : lc_error_set(err, LC_E_CORRUPT,
                              "the backup says that it ends at offset %llu, its commits end at "
                              "offset %llu",
                              (unsigned long long)b->header.to, (unsigned long long)r->offset);
}

static lc_status on_commit(void *arg, const lc_journal_commit *c, lc_error *err)
{
    return replay_commit(arg, c, err);
}

/* Loads the newest snapshot that is whole and not behind the moment; *offset 0: there is none. */
static lc_status load_snapshot(replaying *r, const char *source, const lc_disk *disk, lc_error *err)
{
    lc_offset_list offsets = {0};
    lc_restore_point at = r->point;
    lc_status rc = lc_snapshot_offsets(source, disk, LC_SNAPSHOT_SUFFIX, &offsets, err);
    LC_VEC_EACH (offset, &offsets) {
        if (rc != LC_OK || r->offset) break;
        lc_snapshot_header header;
        uint64_t bytes;
        lc_error why = LC_ERROR_INIT;
        if (*offset > at.offset) continue;
        lc_status good =
            lc_snapshot_load(source, disk, *offset, r->store, &header, NULL, NULL, &bytes, &why);
        if (good == LC_OK) good = stand_at_snapshot(r, *offset, header.taken_at, &why);
        if (good != LC_OK) {
            if (good != LC_E_INVALID) /* else it is too late a state, that is all */
                lc_log(LC_LOG_WARN, "a snapshot is passed over: %s", lc_error_text(&why));
            lc_store_destroy(r->store);
            begin(r, &at);
        }
        lc_error_clear(&why);
    }
    lc_vec_deinit(&offsets);
    return rc;
}

static lc_status replay_folder(replaying *r, const char *source, const lc_disk *disk,
                               lc_backup_info *info, lc_error *err)
{
    if (!lc_log_exists(source, disk))
        return lc_error_set(err, LC_E_NOT_FOUND,
                            "%s holds no database: there are no commits in %s/clog", source,
                            source);
    lc_status rc = load_snapshot(r, source, disk, err);
    if (rc != LC_OK) return rc;
    char *log_folder = lc_format("%s/clog", source);
    lc_journal_reading reading = {
        .from = r->offset, .to = UINT64_MAX, .commit = on_commit, .arg = r};
    lc_journal_stats stats = {0};
    info->from = r->offset;
    rc = lc_journal_walk(log_folder, disk, &reading, &stats, err);
    info->to = r->offset;
    info->bytes = stats.bytes;
    lc_free(log_folder);
    return rc;
}

/* ---------------------------------------------------------------- the target */

static lc_status write_image(lc_snapshot_writer *w, lc_image *image, lc_error *err)
{
    for (;;) {
        lc_buf *chunk = lc_snapshot_writer_begin(w);
        if (!lc_image_next_chunk(image, LC_SNAPSHOT_CHUNK, chunk)) break;
        lc_status rc = lc_snapshot_writer_end(w, err);
        if (rc != LC_OK) return rc;
    }
    return lc_snapshot_writer_finish(w, err);
}

static lc_status write_snapshot(lc_store *store, const lc_snapshot_header *h, const char *folder,
                                const lc_disk *disk, lc_error *err)
{
    lc_snapshot_writer w;
    lc_image *image = lc_store_freeze(store);
    lc_status rc = lc_snapshot_writer_open(&w, disk, folder, h, err);
    if (rc == LC_OK) rc = write_image(&w, image, err);
    if (rc != LC_OK) lc_snapshot_writer_abandon(&w);
    lc_image_release(image);
    return rc;
}

/* The first commit of the new log; without new identities one that changes nothing. */
static void adopt(lc_storage *s, const lc_identity *identity, const lc_identity *owner)
{
    lc_store *store = lc_storage_store(s);
    lc_module_row module;
    lc_store_begin(store);
    if ((identity || owner) && lc_store_get_module(store, &module)) {
        if (identity) module.database = *identity;
        if (owner) module.owner = *owner;
        uint8_t *program = lc_memdup(module.program.ptr, module.program.len);
        module.program.ptr = program;
        lc_store_set_module(store, &module);
        lc_free(program);
    }
    lc_storage_commit(s, &(lc_log_inputs){0}, true);
    lc_store_release(store);
    lc_storage_flush(s);
}

static lc_status write_log(lc_storage *s, lc_error *err)
{
    while (!lc_storage_is_failed(s) && lc_storage_durable_count(s) < lc_storage_need(s))
        lc_storage_step_log(s);
    return lc_storage_is_failed(s) ? lc_error_set(err, LC_E_IO, "the new log cannot be written")
                                   : LC_OK;
}

static void keep_reason(void *arg, const lc_error *err)
{
    lc_error *kept = arg;
    lc_error_set(kept, err->code, "%s", lc_error_text(err));
}

/* Reads the snapshot back, and begins the log. */
static lc_status begin_log(const char *folder, const lc_disk *disk, const lc_clock *clock,
                           uint64_t offset, const lc_identity *identity, const lc_identity *owner,
                           lc_error *err)
{
    lc_error failure = LC_ERROR_INIT;
    lc_storage_options o = {
        .folder = folder,
        .disk = disk,
        .clock = clock,
        .mode = LC_STORAGE_OPEN,
        .policy = {.no_snapshot_at_close = true, .no_compression = true, .keep_all = true},
        .is_stepped = true,
        .on_failed = keep_reason,
        .arg = &failure,
    };
    lc_storage *s;
    lc_storage_recovery found;
    lc_status rc = lc_storage_open_with(&o, true, &s, &found, err);
    if (rc != LC_OK) return rc;
    if (found.snapshot == offset && found.bad_snapshots == 0) {
        adopt(s, identity, owner);
        rc = write_log(s, err);
    } else {
        rc = lc_error_set(err, LC_E_IO, "the snapshot just written to %s cannot be read back",
                          folder);
    }
    lc_storage_close(s);
    if (failure.code != LC_OK) rc = lc_error_set(err, failure.code, "%s", lc_error_text(&failure));
    lc_error_clear(&failure);
    return rc;
}

/* The log as a later opening will find it. */
static lc_status check_log(const char *folder, const lc_disk *disk, uint64_t offset, lc_error *err)
{
    char *log_folder = lc_format("%s/clog", folder);
    lc_journal_reading reading = {.from = offset, .to = UINT64_MAX};
    lc_journal_stats stats;
    lc_status rc = lc_journal_walk(log_folder, disk, &reading, &stats, err);
    if (rc == LC_OK && stats.next_offset != offset + 1)
        rc = lc_error_set(err, LC_E_IO, "the log just written to %s cannot be read back",
                          log_folder);
    lc_free(log_folder);
    return rc;
}

typedef struct name_list {
    LC_VEC(char *) names;
} name_list;

static void keep_name(void *arg, const char *name)
{
    name_list *l = arg;
    lc_vec_push(&l->names, lc_strdup(name));
}

static void empty_folder(const char *folder, const char *below, const lc_disk *disk)
{
    name_list l = {0};
    char *path = lc_format("%s/%s", folder, below);
    disk->list(disk->self, path, keep_name, &l);
    LC_VEC_EACH (name, &l.names) {
        char *file = lc_format("%s/%s", path, *name);
        disk->unlink(disk->self, file);
        lc_free(file);
        lc_free(*name);
    }
    if (l.names.len) disk->sync_dir(disk->self, path);
    lc_vec_deinit(&l.names);
    lc_free(path);
}

/* ---------------------------------------------------------------------- both */

typedef struct target {
    const char *folder;
    const lc_disk *disk;
    const lc_clock *clock;
    const lc_identity *identity;
    const lc_identity *owner;
} target;

static target target_of(const char *folder, const lc_disk *disk, const lc_clock *clock,
                        const lc_identity *identity, const lc_identity *owner)
{
    return (target){folder, disk ? disk : lc_disk_system(), clock ? clock : lc_clock_system(),
                    identity, owner};
}

static lc_status check_target(const target *t, lc_error *err)
{
    lc_offset_list offsets = {0};
    lc_status rc = lc_snapshot_offsets(t->folder, t->disk, LC_SNAPSHOT_SUFFIX, &offsets, err);
    if (rc == LC_OK && (offsets.len || lc_log_exists(t->folder, t->disk)))
        rc = lc_error_set(err, LC_E_EXISTS, "%s already holds a database", t->folder);
    lc_vec_deinit(&offsets);
    return rc;
}

static lc_status write_target(const target *t, replaying *r, lc_error *err)
{
    lc_snapshot_header h = {r->reached, lc_clock_now(t->clock)};
    lc_status rc = write_snapshot(r->store, &h, t->folder, t->disk, err);
    lc_store_destroy(r->store); /* the database is read back: it need not be in memory twice */
    r->store = NULL;
    if (rc == LC_OK)
        rc = begin_log(t->folder, t->disk, t->clock, h.offset, t->identity, t->owner, err);
    if (rc == LC_OK) rc = check_log(t->folder, t->disk, h.offset, err);
    if (rc != LC_OK) {
        empty_folder(t->folder, "snapshots", t->disk);
        empty_folder(t->folder, "clog", t->disk);
    }
    return rc;
}

lc_status lc_backup_restore(lc_backup_read read, void *arg, const lc_restore_point *at,
                            const char *folder, const lc_disk *disk, const lc_clock *clock,
                            const lc_identity *identity, const lc_identity *owner,
                            lc_backup_info *info, lc_error *err)
{
    target t = target_of(folder, disk, clock, identity, owner);
    lc_backup_reader b;
    replaying r;
    lc_status rc = check_target(&t, err);
    if (rc != LC_OK) return rc;
    begin(&r, at);
    rc = lc_backup_reader_open(&b, read, arg, err);
    if (rc == LC_OK) rc = replay_backup(&r, &b, err);
    if (rc == LC_OK) rc = end(&r, err);
    if (rc == LC_OK) rc = write_target(&t, &r, err);
    if (info)
        *info = (lc_backup_info){b.header.from, b.header.to, b.header.taken_at, b.at, r.reached};
    lc_backup_reader_deinit(&b);
    if (r.store) lc_store_destroy(r.store);
    return rc;
}

lc_status lc_folder_restore(const char *source, const lc_restore_point *at, const char *folder,
                            const lc_disk *disk, const lc_clock *clock, const lc_identity *identity,
                            const lc_identity *owner, lc_backup_info *info, lc_error *err)
{
    target t = target_of(folder, disk, clock, identity, owner);
    lc_backup_info found = {.taken_at = lc_clock_now(t.clock)};
    replaying r;
    lc_status rc = check_target(&t, err);
    if (rc != LC_OK) return rc;
    begin(&r, at);
    rc = replay_folder(&r, source, t.disk, &found, err);
    if (rc == LC_OK) rc = end(&r, err);
    if (rc == LC_OK) rc = write_target(&t, &r, err);
    found.restored = r.reached;
    if (info) *info = found;
    if (r.store) lc_store_destroy(r.store);
    return rc;
}

/* ------------------------------------------------------------- system tables */

/* Chunks come by table id, and the system tables have the smallest. */
static lc_status load_system(lc_snapshot_reader *r, lc_store *store, lc_error *err)
{
    while (!r->has_ended) {
        lc_span chunk;
        lc_status rc = lc_snapshot_reader_next(r, &chunk, err);
        if (rc == LC_OK && (r->has_ended || r->table > LC_ST_COUNT)) break;
        if (rc == LC_OK) rc = lc_store_load_chunk(store, chunk, err);
        if (rc != LC_OK) return rc;
    }
    return LC_OK;
}

static lc_status open_system(const char *folder, const lc_disk *disk, uint64_t offset,
                             lc_store **out, lc_error *err)
{
    char *path = lc_snapshot_path(folder, offset, LC_SNAPSHOT_SUFFIX);
    lc_snapshot_reader r;
    lc_status rc = lc_snapshot_reader_open(&r, disk, path, NULL, err);
    lc_free(path);
    if (rc != LC_OK) return rc;
    lc_store *store = lc_store_create();
    lc_store_replay_begin(store);
    rc = load_system(&r, store, err);
    if (rc == LC_OK) rc = lc_store_replay_end(store, err);
    lc_snapshot_reader_close(&r);
    if (rc == LC_OK)
        *out = store;
    else
        lc_store_destroy(store);
    return rc;
}

lc_status lc_snapshot_open_system(const char *folder, const lc_disk *disk, uint64_t offset,
                                  lc_store **out, uint64_t *found, lc_error *err)
{
    if (!disk) disk = lc_disk_system();
    *out = NULL;
    *found = offset;
    if (offset != UINT64_MAX) return open_system(folder, disk, offset, out, err);
    lc_offset_list offsets = {0};
    lc_status rc = lc_snapshot_offsets(folder, disk, LC_SNAPSHOT_SUFFIX, &offsets, err);
    LC_VEC_EACH (candidate, &offsets) {
        *found = *candidate;
        rc = open_system(folder, disk, *candidate, out, err);
        if (rc == LC_OK) break;
    }
    if (offsets.len == 0 && rc == LC_OK)
        rc = lc_error_set(err, LC_E_NOT_FOUND, "there is no snapshot in %s", folder);
    lc_vec_deinit(&offsets);
    return rc;
}
