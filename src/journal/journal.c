/*
 * The journal as the executor sees it, and the writer thread.
 *
 * Three buffers go round: the executor appends to `current`, submitting hands it over as `queued`
 * (or appends it to what is queued already), and the writer takes `queued` as `writing`. Each
 * change of hands is an exchange of buffers under the lock, so in steady state nothing is
 * allocated, and a group is one piece of memory, hence one write.
 */
#include "journal/journal_internal.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

enum {
    IDLE_MILLIS = 5000,
    KEEP_BUFFER = 4 * 1024 * 1024, /* a buffer that grew beyond this is not kept */
    WRITER_STACK = 256 * 1024,
    MIN_SEGMENT = 1024,
};

#define MILLI 1000000ull /* in nanoseconds */
#define NANOS 1000000000ull

struct lc_journal {
    /* set once */
    void (*on_durable)(void *arg, uint64_t durable_count);
    void (*on_failed)(void *arg, const lc_error *err);
    void *arg;
    uint64_t epoch;
    uint32_t idle_millis;
    bool is_stepped;
    bool is_read_only;

    /* executor */
    lc_buf current; /* frames without checksum, not yet submitted */
    size_t record;  /* where the open record's frame begins in current; SIZE_MAX: none open */
    uint64_t next_offset;

    /* any thread */
    _Atomic uint64_t durable_count;
    _Atomic uint64_t appended; /* bytes; only the executor writes it */
    _Atomic bool is_failed;

    /* under lock */
    pthread_mutex_t lock;
    pthread_cond_t work; /* to the writer: something is queued, or closing */
    pthread_cond_t room; /* to the executor: less is waiting, or failed */
    lc_buf queued;
    size_t writing_bytes;
    bool writer_waits;
    bool writer_lives; /* has not left for lack of work */
    bool has_thread;   /* thread is to be joined */
    bool is_closing;
    pthread_t thread;

    /* writer */
    lc_buf writing;
    lc_appender appender;
    uint64_t sync_due; /* RELAXED: when what is written must be synced, monotonic nanoseconds */
};

/* ------------------------------------------------------------------ writing */

/* Nothing more will be confirmed; says so once. */
static void fail(lc_journal *j, const lc_error *err)
{
    pthread_mutex_lock(&j->lock);
    bool was_failed = atomic_exchange(&j->is_failed, true);
    lc_buf_reset(&j->queued);
    j->writing_bytes = 0;
    pthread_cond_broadcast(&j->room);
    pthread_mutex_unlock(&j->lock);
    if (was_failed) return;
    if (j->on_failed)
        j->on_failed(j->arg, err);
    else
        lc_log(LC_LOG_ERROR, "commit log: %s", lc_error_text(err));
}

static void fail_and_clear(lc_journal *j, lc_error *err)
{
    fail(j, err);
    lc_error_clear(err);
}

/* Writes what is in `writing`, publishing whatever counts as durable. */
static void write_all(lc_journal *j)
{
    lc_error err = LC_ERROR_INIT;
    size_t len = j->writing.len;
    for (size_t at = 0; at < len;) {
        size_t done;
        uint64_t count;
        if (lc_appender_write(&j->appender, &j->writing, at, &done, &count, &err)) {
            fail_and_clear(j, &err);
            return;
        }
        at += done;
        uint64_t durable = atomic_load_explicit(&j->durable_count, memory_order_relaxed) + count;
        atomic_store(&j->durable_count, durable);
        if (j->on_durable) j->on_durable(j->arg, durable);
    }
}

static void reuse(lc_buf *b)
{
    lc_buf_reset(b);
    if (b->cap > KEEP_BUFFER) lc_buf_deinit(b);
}

/* Takes over what is queued, lock held; false when there is nothing. */
static bool take(lc_journal *j)
{
    if (j->queued.len == 0) return false;
    lc_buf free_buffer = j->writing;
    j->writing = j->queued;
    j->queued = free_buffer;
    j->writing_bytes = j->writing.len;
    return true;
}

static void write_taken(lc_journal *j)
{
    write_all(j);
    reuse(&j->writing);
    pthread_mutex_lock(&j->lock);
    j->writing_bytes = 0;
    pthread_cond_signal(&j->room);
    pthread_mutex_unlock(&j->lock);
}

/* Nothing is queued at the moment: writes ahead. False when there is nothing to do either. */
static bool prepare(lc_journal *j)
{
    bool did;
    lc_error err = LC_ERROR_INIT;
    if (lc_appender_prepare(&j->appender, &did, &err) == LC_OK) return did;
    fail_and_clear(j, &err);
    return false;
}

/* What RELAXED left unsynced. */
static void sync_late(lc_journal *j)
{
    lc_error err = LC_ERROR_INIT;
    j->sync_due = 0;
    if (lc_appender_sync(&j->appender, &err)) fail_and_clear(j, &err);
}

/* Writes what is queued, on the calling thread. */
static bool write_queued(lc_journal *j)
{
    pthread_mutex_lock(&j->lock);
    bool has_work = !atomic_load(&j->is_failed) && take(j);
    pthread_mutex_unlock(&j->lock);
    if (has_work) write_taken(j);
    return has_work;
}

bool lc_journal_step(lc_journal *j)
{
    if (j->is_read_only || write_queued(j)) return !j->is_read_only;
    if (atomic_load(&j->is_failed)) return false;
    if (j->appender.is_unsynced)
        sync_late(j);
    else
        prepare(j);
    return false;
}

/* ------------------------------------------------------------------- thread */

static uint64_t now(void)
{
    return lc_clock_mono(lc_clock_system());
}

/* Waits for work until then, lock held; false when none came. */
static bool wait_for_work(lc_journal *j, uint64_t then)
{
    struct timespec until = {(time_t)(then / NANOS), (long)(then % NANOS)};
    int rc = 0;
    j->writer_waits = true;
    while (j->queued.len == 0 && !j->is_closing && rc == 0)
        rc = pthread_cond_timedwait(&j->work, &j->lock, &until);
    j->writer_waits = false;
    return j->queued.len > 0 || j->is_closing;
}

/* Nothing came for a while: an idle database costs no thread, no buffers and no disk space ahead.
 * Lock held; false when work came meanwhile. */
static bool leave(lc_journal *j)
{
    pthread_mutex_unlock(&j->lock);
    lc_appender_trim(&j->appender);
    pthread_mutex_lock(&j->lock);
    if (j->queued.len > 0) return false;
    lc_buf_deinit(&j->writing);
    lc_buf_deinit(&j->queued);
    return true;
}

/* One thing the writer does without the lock. */
static void unlocked(lc_journal *j, void (*act)(lc_journal *j))
{
    pthread_mutex_unlock(&j->lock);
    act(j);
    pthread_mutex_lock(&j->lock);
}

/* RELAXED: the clock runs from the first write that is not synced. */
static bool is_sync_due(lc_journal *j)
{
    if (!j->appender.is_unsynced) return false;
    if (j->sync_due == 0) j->sync_due = now() + LC_JOURNAL_RELAXED_MILLIS * MILLI;
    return now() >= j->sync_due;
}

static void *writer_main(void *arg)
{
    lc_journal *j = arg;
    bool is_prepared = false;
    pthread_setname_np(pthread_self(), "lc-journal");
    pthread_mutex_lock(&j->lock);
    while (!atomic_load(&j->is_failed)) {
        if (is_sync_due(j)) {
            unlocked(j, sync_late);
        } else if (take(j)) {
            unlocked(j, write_taken);
            is_prepared = false;
        } else if (j->is_closing) {
            break;
        } else if (j->appender.is_unsynced) {
            wait_for_work(j, j->sync_due);
        } else if (!is_prepared) {
            pthread_mutex_unlock(&j->lock);
            is_prepared = !prepare(j);
            pthread_mutex_lock(&j->lock);
        } else if (!wait_for_work(j, now() + j->idle_millis * MILLI) && leave(j)) {
            break;
        }
    }
    j->writer_lives = false;
    pthread_mutex_unlock(&j->lock);
    return NULL;
}

/* Lock held. */
static int start_writer(lc_journal *j)
{
    if (j->has_thread) pthread_join(j->thread, NULL);
    j->has_thread = false;
    pthread_attr_t attr;
    sigset_t all, before;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, WRITER_STACK);
    sigfillset(&all);
    /* No signal is to interrupt a sync. */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&j->thread, &attr, writer_main, j);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    j->has_thread = j->writer_lives = rc == 0;
    return rc;
}

/* ------------------------------------------------------------ open and close */

static void report(const lc_journal_options *o, const lc_scan *scan)
{
    if (scan->report) lc_log(LC_LOG_WARN, "commit log: %s", scan->report);
    for (size_t i = 0; i < scan->empty.len; i++)
        if (scan->empty.items[i] > scan->stats.next_offset)
            lc_log(
                LC_LOG_WARN,
                "commit log: %s: there is an empty segment of offset %llu, which is removed, but "
                "the log ends before offset %llu",
                o->folder, (unsigned long long)scan->empty.items[i],
                (unsigned long long)scan->stats.next_offset);
}

static lc_journal *create(const lc_journal_options *o, const lc_scan *scan)
{
    lc_journal *j = lc_alloc_zero(sizeof *j);
    j->on_durable = o->on_durable;
    j->on_failed = o->on_failed;
    j->arg = o->arg;
    j->epoch = scan->epoch;
    j->idle_millis = o->idle_millis ? o->idle_millis : IDLE_MILLIS;
    j->is_stepped = o->is_stepped;
    j->is_read_only = o->is_read_only;
    j->record = SIZE_MAX;
    j->next_offset = scan->stats.next_offset;
    /* What was read was synced before it was read. */
    atomic_init(&j->durable_count, scan->stats.next_offset);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&j->lock, NULL);
    pthread_cond_init(&j->work, &attr);
    pthread_cond_init(&j->room, NULL);
    pthread_condattr_destroy(&attr);
    return j;
}

static void destroy(lc_journal *j)
{
    lc_appender_close(&j->appender, atomic_load(&j->is_failed));
    lc_buf_deinit(&j->current);
    lc_buf_deinit(&j->queued);
    lc_buf_deinit(&j->writing);
    pthread_cond_destroy(&j->room);
    pthread_cond_destroy(&j->work);
    pthread_mutex_destroy(&j->lock);
    lc_free(j);
}

static lc_status make_folder(const lc_disk *disk, const char *folder, lc_error *err)
{
    int made = disk->mkdirs(disk->self, folder);
    return made < 0 ? lc_segment_io_error(err, "create folder", folder, made) : LC_OK;
}

static lc_status open_scanned(const lc_journal_options *o, const lc_disk *disk, const lc_scan *scan,
                              lc_journal **out, lc_error *err)
{
    lc_journal *j = create(o, scan);
    lc_status rc = LC_OK;
    if (!o->is_read_only) {
        uint64_t max = o->max_segment_size ? o->max_segment_size : LC_JOURNAL_MAX_SEGMENT;
        if (max < MIN_SEGMENT) max = MIN_SEGMENT;
        rc = lc_appender_open(&j->appender, disk, o->folder, max, o->durability, scan, err);
    }
    if (rc)
        destroy(j);
    else
        *out = j;
    return rc;
}

lc_status lc_journal_open(const lc_journal_options *options, lc_journal_replay replay, void *arg,
                          lc_journal **out, lc_journal_stats *stats, lc_error *err)
{
    const lc_disk *disk = options->disk ? options->disk : lc_disk_system();
    lc_scan_options so = {
        .disk = disk,
        .folder = options->folder,
        .from = options->replay_from,
        .to = UINT64_MAX,
        .is_replay = true,
        .syncs = !options->is_read_only,
        .replay = replay,
        .arg = arg,
        .on_progress = options->on_progress,
        .progress_arg = options->arg,
    };
    lc_scan scan = {0};
    lc_status rc = options->is_read_only ? LC_OK : make_folder(disk, options->folder, err);
    if (rc == LC_OK) rc = lc_scan_folder(&so, &scan, err);
    if (stats) *stats = scan.stats;
    if (rc == LC_OK) {
        report(options, &scan);
        rc = open_scanned(options, disk, &scan, out, err);
    }
    lc_scan_deinit(&scan);
    return rc;
}

void lc_journal_close(lc_journal *j)
{
    lc_journal_submit(j);
    pthread_mutex_lock(&j->lock);
    j->is_closing = true;
    pthread_cond_signal(&j->work);
    bool has_thread = j->has_thread;
    pthread_mutex_unlock(&j->lock);
    if (has_thread) pthread_join(j->thread, NULL);
    while (write_queued(j)) {
    }
    if (!atomic_load(&j->is_failed)) sync_late(j);
    destroy(j);
}

/* ----------------------------------------------------------------- executor */

lc_buf *lc_journal_record_begin(lc_journal *j)
{
    LC_ASSERT(j->record == SIZE_MAX && !j->is_read_only);
    j->record = j->current.len;
    lc_buf_extend(&j->current, LC_FRAME_HEADER);
    return &j->current;
}

uint64_t lc_journal_record_end(lc_journal *j)
{
    LC_ASSERT(j->record != SIZE_MAX && j->current.len >= j->record + LC_FRAME_HEADER);
    size_t len = j->current.len - j->record - LC_FRAME_HEADER;
    uint64_t offset = j->next_offset++;
    if (len > LC_JOURNAL_MAX_RECORD) {
        lc_error err = LC_ERROR_INIT;
        lc_error_set(&err, LC_E_LIMIT,
                     "the record of transaction %llu has %zu bytes, more than "
                     "LC_JOURNAL_MAX_RECORD = %llu",
                     (unsigned long long)offset, len, (unsigned long long)LC_JOURNAL_MAX_RECORD);
        fail_and_clear(j, &err);
    } else {
        lc_frame_put_header(j->current.ptr + j->record, offset, j->epoch, (uint32_t)len);
        lc_buf_extend(&j->current, LC_FRAME_CRC); /* the writer computes it */
        uint64_t before = atomic_load_explicit(&j->appended, memory_order_relaxed);
        atomic_store_explicit(&j->appended, before + len + LC_FRAME_OVERHEAD, memory_order_relaxed);
    }
    j->record = SIZE_MAX;
    return offset;
}

size_t lc_journal_pending(const lc_journal *j)
{
    return j->current.len;
}

/* Lock held: queues current behind what is queued, and takes an empty buffer for it. */
static void hand_over(lc_journal *j)
{
    if (j->queued.len > 0) {
        lc_buf_put_span(&j->queued, lc_buf_span(&j->current));
        lc_buf_reset(&j->current);
        return;
    }
    lc_buf free_buffer = j->queued;
    j->queued = j->current;
    j->current = free_buffer;
}

static bool has_room(const lc_journal *j)
{
    return j->queued.len + j->writing_bytes <= LC_JOURNAL_MAX_BACKLOG;
}

void lc_journal_submit(lc_journal *j)
{
    LC_ASSERT(j->record == SIZE_MAX);
    if (j->current.len == 0) return;
    int rc = 0;
    pthread_mutex_lock(&j->lock);
    if (j->is_stepped) {
        while (!has_room(j)) {
            pthread_mutex_unlock(&j->lock);
            lc_journal_step(j);
            pthread_mutex_lock(&j->lock);
        }
    } else {
        while (!has_room(j) && !atomic_load(&j->is_failed)) pthread_cond_wait(&j->room, &j->lock);
    }
    if (atomic_load(&j->is_failed)) {
        lc_buf_reset(&j->current);
    } else {
        hand_over(j);
        if (j->writer_waits) {
            pthread_cond_signal(&j->work);
        } else if (!j->writer_lives && !j->is_stepped) {
            rc = start_writer(j);
        }
    }
    pthread_mutex_unlock(&j->lock);
    if (rc) {
        lc_error err = LC_ERROR_INIT;
        lc_error_set(&err, LC_E_IO, "cannot start the writer thread: %s", strerror(rc));
        fail_and_clear(j, &err);
    }
    reuse(&j->current);
}

uint64_t lc_journal_next_offset(const lc_journal *j)
{
    return j->next_offset;
}

uint64_t lc_journal_durable_count(const lc_journal *j)
{
    return atomic_load(&j->durable_count);
}

bool lc_journal_is_failed(const lc_journal *j)
{
    return atomic_load(&j->is_failed);
}

uint64_t lc_journal_appended_bytes(const lc_journal *j)
{
    return atomic_load_explicit(&j->appended, memory_order_relaxed);
}
