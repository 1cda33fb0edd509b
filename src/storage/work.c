/*
 * The worker of a database: takes snapshots and looks after old files, a small piece at a time. Its
 * thread is there while there is work; with is_stepped whoever calls lc_storage_step_work is it.
 */
#include "storage/storage_internal.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    WORKER_STACK = 256 * 1024,
    /* Gives way to the executor and the log, but not so far that a busy machine starves it: the
     * image that it reads costs memory as long as it lives. */
    WORKER_NICE = 5,
    IOPRIO_PROCESS = 1,          /* of ioprio_set(2): a thread */
    IOPRIO_LOWEST = 2 << 13 | 7, /* best effort, the last of eight */
};

typedef enum step_result { STEP_DID, STEP_WAITS, STEP_NOTHING } step_result;

static bool is_running(lc_job_phase phase)
{
    return phase != LC_JOB_NONE && phase != LC_JOB_DONE;
}

static void set_phase(lc_work *w, lc_job_phase phase)
{
    pthread_mutex_lock(&w->lock);
    atomic_store(&w->phase, phase);
    pthread_mutex_unlock(&w->lock);
}

static void wake_executor(const lc_storage *s)
{
    if (s->on_wake) s->on_wake(s->arg);
}

/* ----------------------------------------------------------- taking one */

static lc_status write_block(lc_storage *s, lc_snapshot_job *job, lc_error *err)
{
    if (!job->has_writer) {
        job->has_writer = true;
        return lc_snapshot_writer_open(&job->writer, s->disk, s->folder, &job->header, err);
    }
    lc_buf *block = lc_snapshot_writer_begin(&job->writer);
    if (lc_image_next_chunk(job->image, LC_SNAPSHOT_CHUNK, block))
        return lc_snapshot_writer_end(&job->writer, err);
    pthread_mutex_lock(&s->work.lock);
    job->image_is_free = true;
    atomic_store(&s->work.phase, LC_JOB_WAIT);
    pthread_mutex_unlock(&s->work.lock);
    wake_executor(s);
    return LC_OK;
}

static bool log_has_it(const lc_storage *s)
{
    return lc_journal_durable_count(s->journal) >= s->work.job.header.offset;
}

/* A log that counts as durable before it is synced must not stay behind the snapshot. */
static lc_status sync_log(const lc_storage *s, lc_error *err)
{
    lc_offset_list segments = {0};
    lc_status rc = lc_storage_list(s->log_folder, s->disk, LC_SEGMENT_SUFFIX, &segments, err);
    for (size_t i = 0; i < segments.len && rc == LC_OK; i++) {
        char *path = lc_format("%s/%020llu" LC_SEGMENT_SUFFIX, s->log_folder,
                               (unsigned long long)segments.items[i]);
        lc_file *file;
        int done = s->disk->open(s->disk->self, path, O_RDONLY, &file);
        if (done == 0) {
            done = s->disk->sync_data(s->disk->self, file);
            s->disk->close(s->disk->self, file);
        }
        if (done < 0) rc = lc_storage_io_error(err, "sync", path, done);
        lc_free(path);
    }
    lc_vec_deinit(&segments);
    int done = rc == LC_OK ? s->disk->sync_dir(s->disk->self, s->log_folder) : 0;
    return done < 0 ? lc_storage_io_error(err, "sync", s->log_folder, done) : rc;
}

static lc_status finish(lc_storage *s, lc_snapshot_job *job, lc_error *err)
{
    lc_status rc = s->durability == LC_DURABILITY_RELAXED ? sync_log(s, err) : LC_OK;
    if (rc == LC_OK) rc = lc_snapshot_writer_finish(&job->writer, err);
    if (rc != LC_OK) return rc;
    job->has_writer = false;
    char *path = lc_snapshot_path(s->folder, job->header.offset, LC_SNAPSHOT_SUFFIX);
    rc = lc_snapshot_reader_open(&job->reader, s->disk, path, NULL, err);
    lc_free(path);
    job->is_verifying = rc == LC_OK;
    set_phase(&s->work, LC_JOB_VERIFY);
    return rc;
}

/* Reads a block of what was written; *is_done after the last. */
static lc_status verify_block(lc_snapshot_job *job, bool *is_done, lc_error *err)
{
    lc_span chunk;
    lc_status rc = lc_snapshot_reader_next(&job->reader, &chunk, err);
    *is_done = rc == LC_OK && job->reader.has_ended;
    job->file_bytes = job->reader.size;
    return rc;
}

static void report(const lc_storage *s, const lc_snapshot_job *job, lc_status rc)
{
    unsigned long long offset = job->header.offset;
    if (rc == LC_OK)
        lc_log(LC_LOG_INFO, "%s: took a snapshot of %llu transactions: %llu rows, %llu bytes",
               s->folder, offset, (unsigned long long)job->reader.totals.rows,
               (unsigned long long)job->file_bytes);
    else if (rc != LC_E_CLOSED)
        lc_log(LC_LOG_WARN, "%s: the snapshot of %llu transactions failed: %s", s->folder, offset,
               lc_error_text(&job->err));
}

/* The job is over, one way or the other. */
static step_result end_job(lc_storage *s, lc_snapshot_job *job, lc_status rc)
{
    lc_work *w = &s->work;
    bool was_named = atomic_load(&w->phase) == LC_JOB_VERIFY;
    report(s, job, rc);
    if (job->has_writer) lc_snapshot_writer_abandon(&job->writer);
    if (job->is_verifying) lc_snapshot_reader_close(&job->reader);
    job->has_writer = job->is_verifying = false;
    if (rc == LC_OK)
        lc_care_note_verified(&w->care, &job->header);
    else if (was_named && rc != LC_E_CLOSED)
        lc_snapshot_set_aside(s->folder, s->disk, job->header.offset, lc_error_text(&job->err));
    pthread_mutex_lock(&w->lock);
    job->image_is_free = true;
    w->care_is_due |= rc == LC_OK;
    atomic_store(&w->phase, LC_JOB_DONE);
    pthread_mutex_unlock(&w->lock);
    wake_executor(s);
    return STEP_DID;
}

static step_result step_job(lc_storage *s, lc_job_phase phase)
{
    lc_snapshot_job *job = &s->work.job;
    bool is_done = false;
    lc_status rc = LC_OK;
    if (atomic_load(&s->work.must_hurry))
        rc = lc_error_set(&job->err, LC_E_CLOSED, "%s: the database closes", s->folder);
    else if (lc_journal_is_failed(s->journal))
        rc = lc_error_set(&job->err, LC_E_IO, "%s: the log cannot be written", s->folder);
    else if (phase == LC_JOB_WRITE)
        rc = write_block(s, job, &job->err);
    else if (phase == LC_JOB_WAIT && !log_has_it(s))
        return STEP_WAITS;
    else if (phase == LC_JOB_WAIT)
        set_phase(&s->work, LC_JOB_FINISH);
    else if (phase == LC_JOB_FINISH)
        rc = finish(s, job, &job->err);
    else
        rc = verify_block(job, &is_done, &job->err);
    return rc != LC_OK || is_done ? end_job(s, job, rc) : STEP_DID;
}

/* --------------------------------------------------------------- any work */

static bool has_work(lc_work *w)
{
    return is_running(atomic_load(&w->phase)) || w->care_is_due;
}

static step_result step(lc_storage *s)
{
    lc_work *w = &s->work;
    pthread_mutex_lock(&w->lock);
    lc_job_phase phase = atomic_load(&w->phase);
    bool care_is_due = w->care_is_due;
    pthread_mutex_unlock(&w->lock);
    if (is_running(phase)) return step_job(s, phase);
    if (!care_is_due) return STEP_NOTHING;
    if (lc_care_step(&w->care)) return STEP_DID;
    pthread_mutex_lock(&w->lock);
    w->care_is_due = false;
    pthread_mutex_unlock(&w->lock);
    return STEP_NOTHING;
}

bool lc_storage_step_work(lc_storage *s)
{
    return step(s) == STEP_DID;
}

/* ------------------------------------------------------------------- thread */

/* Lock held. Whoever moves the log looks at `waits` after having moved it. */
static void wait_for_log(lc_storage *s)
{
    lc_work *w = &s->work;
    atomic_store(&w->waits, true);
    while (!log_has_it(s) && !lc_journal_is_failed(s->journal) && !atomic_load(&w->must_hurry))
        pthread_cond_wait(&w->wake, &w->lock);
    atomic_store(&w->waits, false);
}

void lc_work_on_log(lc_storage *s)
{
    lc_work *w = &s->work;
    if (!atomic_load(&w->waits)) return;
    pthread_mutex_lock(&w->lock);
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
}

static void *worker_main(void *arg)
{
    lc_storage *s = arg;
    lc_work *w = &s->work;
    setpriority(PRIO_PROCESS, (id_t)gettid(), WORKER_NICE);
    syscall(SYS_ioprio_set, IOPRIO_PROCESS, 0, IOPRIO_LOWEST);
    pthread_mutex_lock(&w->lock);
    while (has_work(w)) {
        pthread_mutex_unlock(&w->lock);
        step_result result = step(s);
        pthread_mutex_lock(&w->lock);
        if (result == STEP_WAITS) wait_for_log(s);
    }
    w->thread_lives = false;
    pthread_cond_broadcast(&w->idle);
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

/* Lock held. 0 or an errno. */
static int start_worker(lc_storage *s)
{
    lc_work *w = &s->work;
    if (w->thread_lives || s->is_stepped) return 0;
    if (w->has_thread) pthread_join(w->thread, NULL);
    pthread_attr_t attr;
    sigset_t all, before;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, WORKER_STACK);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* no signal is to interrupt a sync */
    int rc = pthread_create(&w->thread, &attr, worker_main, s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    w->has_thread = w->thread_lives = rc == 0;
    if (rc == 0) pthread_setname_np(w->thread, "lc-snapshot");
    return rc;
}

/* ------------------------------------------------------------- the executor */

void lc_work_begin_care(lc_storage *s)
{
    pthread_mutex_lock(&s->work.lock);
    s->work.care_is_due = true;
    int rc = start_worker(s);
    pthread_mutex_unlock(&s->work.lock);
    if (rc) lc_log(LC_LOG_WARN, "%s: cannot start a thread: %s", s->folder, strerror(rc));
}

lc_status lc_work_begin_snapshot(lc_storage *s, lc_snapshot_done done, void *arg, lc_error *err)
{
    lc_work *w = &s->work;
    uint64_t offset = lc_journal_next_offset(s->journal);
    if (atomic_load(&w->phase) != LC_JOB_NONE)
        return lc_error_set(err, LC_E_CONFLICT, "%s: a snapshot is being taken", s->folder);
    if (atomic_load(&w->must_hurry))
        return lc_error_set(err, LC_E_CLOSED, "%s: the database closes", s->folder);
    if (offset == 0)
        return lc_error_set(err, LC_E_INVALID, "%s: nothing was committed yet", s->folder);
    w->job = (lc_snapshot_job){
        .header = {offset, lc_clock_now(s->clock)},
        .log_bytes = lc_storage_log_bytes(s),
        .done = done,
        .arg = arg,
    };
    if (offset == s->newest_offset) { /* it is there already */
        w->job.file_bytes = s->newest_bytes;
        set_phase(w, LC_JOB_DONE);
        wake_executor(s);
        return LC_OK;
    }
    w->job.image = lc_store_freeze(s->store);
    pthread_mutex_lock(&w->lock);
    int rc = start_worker(s);
    if (rc == 0) atomic_store(&w->phase, LC_JOB_WRITE);
    pthread_mutex_unlock(&w->lock);
    if (rc == 0) return LC_OK;
    lc_image_release(w->job.image);
    w->job.image = NULL;
    return lc_error_set(err, LC_E_IO, "%s: cannot start a thread: %s", s->folder, strerror(rc));
}

/* When the next one is due; after a failure only after as much log again. */
static void account(lc_storage *s, const lc_snapshot_job *job)
{
    if (job->err.code == LC_OK) {
        s->newest_offset = job->header.offset;
        s->newest_at = job->log_bytes;
        s->newest_bytes = job->file_bytes;
    }
    s->due_at = job->log_bytes + lc_storage_snapshot_interval(s);
}

void lc_storage_tick(lc_storage *s)
{
    lc_work *w = &s->work;
    pthread_mutex_lock(&w->lock);
    lc_image *image = w->job.image_is_free ? w->job.image : NULL;
    if (image) w->job.image = NULL;
    bool is_done = atomic_load(&w->phase) == LC_JOB_DONE;
    lc_snapshot_job job;
    if (is_done) {
        job = w->job;
        w->job = (lc_snapshot_job){0};
        atomic_store(&w->phase, LC_JOB_NONE);
    }
    pthread_mutex_unlock(&w->lock);
    if (image) lc_image_release(image);
    if (lc_store_tidy(s->store)) wake_executor(s); /* the rest next time: it takes a while */
    if (!is_done) return;
    account(s, &job);
    if (job.done) job.done(job.arg, job.header.offset, job.err.code ? &job.err : NULL);
    lc_error_clear(&job.err);
}

void lc_work_finish(lc_storage *s)
{
    lc_work *w = &s->work;
    atomic_store(&w->must_stop, true);
    while (s->is_stepped && is_running(atomic_load(&w->phase)))
        if (step(s) == STEP_WAITS) lc_journal_step(s->journal);
    pthread_mutex_lock(&w->lock);
    while (w->thread_lives) pthread_cond_wait(&w->idle, &w->lock);
    pthread_mutex_unlock(&w->lock);
    lc_storage_tick(s);
}

void lc_work_stop(lc_storage *s)
{
    lc_work *w = &s->work;
    atomic_store(&w->must_hurry, true);
    atomic_store(&w->must_stop, true);
    lc_work_on_log(s);
    if (w->has_thread) pthread_join(w->thread, NULL);
    w->has_thread = false;
}

void lc_work_init(lc_storage *s)
{
    lc_work *w = &s->work;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->wake, NULL);
    pthread_cond_init(&w->idle, NULL);
    w->care.folder = s->folder;
    w->care.log_folder = s->log_folder;
    w->care.disk = s->disk;
    w->care.clock = s->clock;
    w->care.policy = &s->policy;
    w->care.must_stop = &w->must_stop;
}

void lc_work_deinit(lc_storage *s)
{
    lc_work *w = &s->work;
    lc_care_deinit(&w->care);
    pthread_cond_destroy(&w->wake);
    pthread_cond_destroy(&w->idle);
    pthread_mutex_destroy(&w->lock);
}
