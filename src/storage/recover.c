/*
 * Opening: the newest snapshot that can be read, then the log from there.
 */
#include "storage/storage_internal.h"

enum { FRAME_BYTES = 26 }; /* of the log, around a record */

typedef struct recovery {
    lc_storage *storage;
    lc_storage_recovery found;
    lc_snapshot_header header; /* of the snapshot used; offset 0: none */
    lc_buf problems;           /* why the others were not; for people */
} recovery;

/* ---------------------------------------------------------------- snapshots */

static void remove_leftovers(const lc_storage *s)
{
    lc_offset_list aside = {0};
    lc_snapshot_offsets(s->folder, s->disk, LC_SNAPSHOT_ASIDE, &aside, NULL);
    LC_VEC_EACH (offset, &aside) {
        char *path = lc_snapshot_path(s->folder, *offset, LC_SNAPSHOT_ASIDE);
        s->disk->unlink(s->disk->self, path);
        lc_free(path);
    }
    lc_vec_deinit(&aside);
}

static void begin_store(lc_storage *s)
{
    if (s->store) lc_store_destroy(s->store);
    s->store = lc_store_create();
    lc_store_replay_begin(s->store);
}

static void note_problem(recovery *r, uint64_t offset, lc_status rc, const lc_error *err)
{
    const lc_storage *s = r->storage;
    lc_buf_printf(&r->problems, "%s%s", r->problems.len ? "; " : "", lc_error_text(err));
    if (rc == LC_E_CORRUPT) r->found.bad_snapshots++;
    if (rc == LC_E_CORRUPT && !s->is_read_only)
        lc_snapshot_set_aside(s->folder, s->disk, offset, lc_error_text(err));
    else if (rc != LC_E_NOT_FOUND) /* gone meanwhile: an older one under a running server */
        lc_log(LC_LOG_WARN, "a snapshot is passed over: %s", lc_error_text(err));
}

/* Leaves a replaying store with the newest snapshot in it, or with nothing when none is usable. */
static lc_status load_newest(recovery *r, lc_error *err)
{
    lc_storage *s = r->storage;
    lc_offset_list offsets = {0};
    lc_status rc = lc_snapshot_offsets(s->folder, s->disk, LC_SNAPSHOT_SUFFIX, &offsets, err);
    bool is_loaded = false;
    begin_store(s);
    LC_VEC_EACH (offset, &offsets) {
        lc_error why = LC_ERROR_INIT;
        lc_status loaded = lc_snapshot_load(s->folder, s->disk, *offset, s->store, &r->header,
                                            s->on_progress, s->arg, &r->found.snapshot_bytes, &why);
        is_loaded = loaded == LC_OK;
        if (is_loaded) break;
        note_problem(r, *offset, loaded, &why);
        lc_error_clear(&why);
        begin_store(s);
    }
    lc_vec_deinit(&offsets);
    if (is_loaded)
        r->found.snapshot = r->header.offset;
    else
        r->found.snapshot_bytes = 0;
    return rc;
}

/* ---------------------------------------------------------------------- log */

static lc_status replay_record(void *arg, uint64_t offset, lc_span record, lc_error *err)
{
    lc_storage *s = arg;
    s->replayed_bytes += record.len + FRAME_BYTES;
    return lc_log_record_replay(s->store, offset, record, err);
}

static void on_durable(void *arg, uint64_t durable_count)
{
    lc_storage *s = arg;
    if (s->on_durable) s->on_durable(s->arg, durable_count);
    lc_work_on_log(s);
}

static void on_failed(void *arg, const lc_error *err)
{
    lc_storage *s = arg;
    lc_work_on_log(s);
    if (s->on_failed)
        s->on_failed(s->arg, err);
    else
        lc_log(LC_LOG_ERROR, "%s: the log cannot be written any more: %s", s->folder,
               lc_error_text(err));
}

static void on_progress(void *arg, uint64_t done, uint64_t total, uint64_t commits)
{
    const lc_storage *s = arg;
    s->on_progress(s->arg, &(lc_storage_progress){true, done, total, commits});
}

static lc_status open_journal(recovery *r, const lc_storage_options *o, lc_error *err)
{
    lc_storage *s = r->storage;
    lc_journal_options jo = {
        .folder = s->log_folder,
        .max_segment_size = o->max_segment_size,
        .durability = o->durability,
        .replay_from = r->found.snapshot,
        .is_read_only = s->is_read_only,
        .on_progress = s->on_progress ? on_progress : NULL,
        .is_stepped = s->is_stepped,
        .disk = s->disk,
        .on_durable = on_durable,
        .on_failed = on_failed,
        .arg = s,
    };
    lc_status rc = lc_journal_open(&jo, replay_record, s, &s->journal, &r->found.log, err);
    if (rc != LC_OK && r->problems.len && err)
        lc_error_set(err, rc, "%s; snapshots: " LC_SPAN_FMT, lc_error_text(err),
                     LC_SPAN_ARG(lc_buf_span(&r->problems)));
    return rc;
}

/* --------------------------------------------------------------------- open */

static bool has_snapshots(const lc_storage *s)
{
    lc_offset_list offsets = {0};
    /* When that cannot be told reading them says why. */
    bool any =
        lc_snapshot_offsets(s->folder, s->disk, LC_SNAPSHOT_SUFFIX, &offsets, NULL) != LC_OK ||
        offsets.len > 0;
    lc_vec_deinit(&offsets);
    return any;
}

/* Is there what the mode wants? Changes nothing. */
static lc_status check_folder(const lc_storage *s, lc_storage_mode mode, bool log_may_be_lost,
                              lc_error *err)
{
    bool has_log = lc_log_exists(s->folder, s->disk), has_snapshot = has_snapshots(s);
    if (mode == LC_STORAGE_CREATE) {
        if (!has_log && !has_snapshot) return LC_OK;
        return lc_error_set(err, LC_E_EXISTS, "%s already holds a database", s->folder);
    }
    if (has_log || (has_snapshot && log_may_be_lost)) return LC_OK;
    if (has_snapshot)
        return lc_error_set(err, LC_E_CORRUPT,
                            "%s: there are snapshots but no commit log: it was lost, or is "
                            "elsewhere",
                            s->folder);
    return lc_error_set(err, LC_E_CORRUPT, "%s holds no commits", s->folder);
}

static lc_status create_folders(const lc_storage *s, lc_error *err)
{
    int rc = s->disk->mkdirs(s->disk->self, s->log_folder);
    if (rc < 0) return lc_storage_io_error(err, "create folder", s->log_folder, rc);
    rc = s->disk->sync_dir(s->disk->self, s->folder);
    return rc < 0 ? lc_storage_io_error(err, "sync", s->folder, rc) : LC_OK;
}

static lc_status recover(recovery *r, const lc_storage_options *o, lc_error *err)
{
    lc_storage *s = r->storage;
    lc_status rc = load_newest(r, err);
    if (rc == LC_OK) rc = open_journal(r, o, err);
    if (rc == LC_OK) rc = lc_store_replay_end(s->store, err);
    if (rc == LC_OK && r->found.log.next_offset == 0)
        rc = lc_error_set(err, LC_E_CORRUPT, "%s holds no commits", s->folder);
    if (rc == LC_OK && r->found.snapshot) lc_care_note_verified(&s->work.care, &r->header);
    return rc;
}

static lc_storage *create(const lc_storage_options *o)
{
    lc_storage *s = lc_alloc_zero(sizeof *s);
    s->disk = o->disk ? o->disk : lc_disk_system();
    s->clock = o->clock ? o->clock : lc_clock_system();
    s->folder = lc_strdup(o->folder);
    s->log_folder = lc_format("%s/clog", o->folder);
    s->policy = o->policy;
    lc_storage_policy_fill(&s->policy);
    s->durability = o->durability;
    s->is_read_only = o->mode == LC_STORAGE_READ_ONLY;
    s->is_stepped = o->is_stepped;
    s->on_durable = o->on_durable;
    s->on_failed = o->on_failed;
    s->on_wake = o->on_wake;
    s->on_progress = o->on_progress;
    s->arg = o->arg;
    lc_work_init(s);
    return s;
}

lc_status lc_storage_open_with(const lc_storage_options *o, bool log_may_be_lost, lc_storage **out,
                               lc_storage_recovery *found, lc_error *err)
{
    *out = NULL;
    lc_storage *s = create(o);
    recovery r = {.storage = s};
    lc_status rc = check_folder(s, o->mode, log_may_be_lost, err);
    if (rc == LC_OK && !s->is_read_only) rc = create_folders(s, err);
    if (rc == LC_OK && !s->is_read_only) remove_leftovers(s);
    if (rc == LC_OK && o->mode == LC_STORAGE_CREATE) {
        s->store = lc_store_create();
        rc = open_journal(&r, o, err);
    } else if (rc == LC_OK) {
        rc = recover(&r, o, err);
    }
    lc_buf_deinit(&r.problems);
    if (rc != LC_OK) {
        lc_storage_destroy(s);
        return rc;
    }
    s->newest_offset = r.found.snapshot;
    s->newest_bytes = r.found.snapshot_bytes;
    s->due_at = lc_storage_snapshot_interval(s);
    if (o->mode == LC_STORAGE_OPEN) lc_work_begin_care(s);
    if (found) *found = r.found;
    *out = s;
    return LC_OK;
}

lc_status lc_storage_open(const lc_storage_options *o, lc_storage **out,
                          lc_storage_recovery *recovery, lc_error *err)
{
    return lc_storage_open_with(o, false, out, recovery, err);
}
