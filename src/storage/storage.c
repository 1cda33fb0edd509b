/*
 * The object: a store, its journal, and the way of a commit through both.
 */
#include "storage/storage_internal.h"

void lc_storage_policy_fill(lc_storage_policy *p)
{
    if (!p->snapshot_log_bytes) p->snapshot_log_bytes = LC_STORAGE_SNAPSHOT_LOG_BYTES;
    if (p->keep_snapshots < LC_STORAGE_KEEP_SNAPSHOTS)
        p->keep_snapshots = LC_STORAGE_KEEP_SNAPSHOTS;
    if (!p->keep_micros) p->keep_micros = LC_STORAGE_KEEP_MICROS;
}

lc_status lc_storage_io_error(lc_error *err, const char *verb, const char *path,
                              int64_t negative_errno)
{
    return lc_error_set(err, LC_E_IO, "cannot %s %s: %s", verb, path,
                        strerror((int)-negative_errno));
}

lc_store *lc_storage_store(lc_storage *s)
{
    return s->store;
}

uint64_t lc_storage_need(const lc_storage *s)
{
    return lc_journal_next_offset(s->journal);
}

uint64_t lc_storage_durable_count(const lc_storage *s)
{
    return lc_journal_durable_count(s->journal);
}

bool lc_storage_is_failed(const lc_storage *s)
{
    return lc_journal_is_failed(s->journal);
}

bool lc_storage_is_read_only(const lc_storage *s)
{
    return s->is_read_only;
}

/* ------------------------------------------------------------------ commits */

const lc_delta *lc_storage_commit(lc_storage *s, const lc_log_inputs *inputs, bool always_log)
{
    const lc_delta *delta = lc_store_commit(s->store);
    if ((delta->is_logged || always_log) && !s->is_read_only) {
        lc_log_record_encode(inputs, delta, lc_journal_record_begin(s->journal));
        lc_journal_record_end(s->journal);
    }
    return delta;
}

uint64_t lc_storage_log_bytes(const lc_storage *s)
{
    return s->replayed_bytes + lc_journal_appended_bytes(s->journal);
}

uint64_t lc_storage_snapshot_interval(const lc_storage *s)
{
    uint64_t wanted = s->policy.snapshot_log_bytes;
    return wanted > s->newest_bytes ? wanted : s->newest_bytes;
}

static bool snapshot_is_due(const lc_storage *s)
{
    return lc_storage_log_bytes(s) >= s->due_at && !s->is_read_only &&
           atomic_load_explicit(&s->work.phase, memory_order_relaxed) == LC_JOB_NONE &&
           !atomic_load_explicit(&s->work.must_hurry, memory_order_relaxed) &&
           !lc_store_in_tx(s->store) && !lc_journal_is_failed(s->journal);
}

void lc_storage_flush(lc_storage *s)
{
    if (lc_journal_pending(s->journal)) lc_journal_submit(s->journal);
    if (LC_UNLIKELY(snapshot_is_due(s))) lc_storage_snapshot(s, NULL, NULL, NULL);
}

lc_status lc_storage_snapshot(lc_storage *s, lc_snapshot_done done, void *arg, lc_error *err)
{
    if (s->is_read_only)
        return lc_error_set(err, LC_E_READ_ONLY, "%s is open for reading only", s->folder);
    if (lc_journal_pending(s->journal)) lc_journal_submit(s->journal);
    if (lc_journal_is_failed(s->journal))
        return lc_error_set(err, LC_E_IO, "%s: the log cannot be written", s->folder);
    return lc_work_begin_snapshot(s, done, arg, err);
}

void lc_storage_hurry(lc_storage *s)
{
    atomic_store(&s->work.must_hurry, true);
    atomic_store(&s->work.must_stop, true);
    lc_work_on_log(s);
}

/* -------------------------------------------------------------------- close */

/* A snapshot at the end spares the next opening the replay, which must save more than it costs:
 * replay is about eight times slower than writing a snapshot, byte for byte. */
static bool closing_snapshot_is_worth_it(const lc_storage *s)
{
    uint64_t bytes = lc_storage_log_bytes(s) - s->newest_at;
    return !s->is_read_only && !s->policy.no_snapshot_at_close &&
           bytes >= LC_STORAGE_CLOSE_LOG_BYTES && bytes >= s->newest_bytes / 8 &&
           !atomic_load(&s->work.must_hurry) && !lc_journal_is_failed(s->journal);
}

void lc_storage_close(lc_storage *s)
{
    lc_store_release(s->store);
    lc_journal_submit(s->journal);
    lc_work_finish(s);
    if (closing_snapshot_is_worth_it(s) && lc_storage_snapshot(s, NULL, NULL, NULL) == LC_OK)
        lc_work_finish(s);
    lc_storage_destroy(s);
}

void lc_storage_destroy(lc_storage *s)
{
    lc_work_stop(s);
    if (s->journal) lc_journal_close(s->journal);
    lc_work_deinit(s);
    if (s->store) lc_store_destroy(s->store);
    lc_free(s->log_folder);
    lc_free(s->folder);
    lc_free(s);
}

/* --------------------------------------------------------------- simulation */

bool lc_storage_step_log(lc_storage *s)
{
    return lc_journal_step(s->journal);
}
