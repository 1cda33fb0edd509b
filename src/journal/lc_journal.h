/*
 * journal: the commit log of one database on disk, format version 1 of specification chapter 05
 * section 3, and the thread that makes it durable.
 *
 * Group commit without timers. The executor appends records to a batch of its own (no lock) and
 * submits it; the writer takes everything submitted, writes it with one pwrite, syncs once,
 * publishes the durable offset and calls on_durable. While it syncs, the next batch fills. The
 * writer thread is there while there is something to write; after idle_millis without work it
 * leaves until the next submit.
 *
 * Segments are pre-written ahead of use (measured: halves sync latency), which must not change what
 * a reader of format version 1 makes of the files: see README.
 *
 * Failure. A failed write or sync ends the journal: on_failed is called once with the reason,
 * nothing later is ever confirmed.
 *
 * Threads: create, replay, destroy on any one thread; append and submit on the executor; the
 * callbacks come on the writer thread, without any lock held. (on_failed comes on the executor when
 * the failure is there: no thread to be had, a record beyond LC_JOURNAL_MAX_RECORD.)
 */
#ifndef LC_JOURNAL_H
#define LC_JOURNAL_H

#include "base/lc_base.h"

#define LC_JOURNAL_MAX_SEGMENT (1024ull * 1024 * 1024)
/* The format counts a record's bytes in 32 bits. Callers keep their transactions below this; a
 * record beyond it ends the journal. */
#define LC_JOURNAL_MAX_RECORD UINT32_MAX

typedef struct lc_journal lc_journal;

/* When a transaction counts as durable. */
typedef enum lc_durability {
    LC_DURABILITY_GROUP, /* after the sync of its group: the default */
    LC_DURABILITY_EACH, /* after a write and a sync of its own: slower, the smallest unit of loss */
    LC_DURABILITY_RELAXED, /* as soon as the system has it; synced LC_JOURNAL_RELAXED_MILLIS later
                            * at most. Survives the end of the process, not of the machine. */
} lc_durability;
/* RELAXED syncs at this age, before a segment ends, and at closing; when stepped, in the first step
 * that finds nothing waiting. A sync that fails then ends the journal like any other: what was
 * published before it is left in the file, but may be lost with the machine. */
#define LC_JOURNAL_RELAXED_MILLIS 1000

typedef struct lc_journal_options {
    const char *folder;        /* the clog folder; created when missing */
    uint64_t max_segment_size; /* 0 = LC_JOURNAL_MAX_SEGMENT */
    lc_durability durability;
    /* Transactions before this offset are not replayed (a snapshot has them) and their segments are
     * not read. A log that begins behind it is refused. One that ends before it (or is empty) goes
     * on at it in a new segment: the snapshot knows more; stats.missing counts what lies between,
     * and if there were commits the log warns of it. From then on the log has a gap: it opens from
     * offsets behind the gap, and is refused where a replay would cross it. */
    uint64_t replay_from;
    /* Nothing on disk is changed, nothing is synced, and appending is a mistake: for reading what
     * is there. A missing folder is LC_E_NOT_FOUND. */
    bool is_read_only;
    /* May be NULL: bytes of segment files read so far, and of all that will be; on the opening
     * thread, every few MiB and at the end. */
    void (*on_progress)(void *arg, uint64_t done, uint64_t total, uint64_t commits);
    uint32_t idle_millis; /* 0 = 5000: after so long without work the writer thread leaves */
    bool is_stepped;      /* no thread: groups are written by lc_journal_step (simulation, tests) */
    const lc_disk *disk;  /* NULL = lc_disk_system() */
    /* Writer thread, once per group: every offset < durable_count is durable. */
    void (*on_durable)(void *arg, uint64_t durable_count);
    /* At most once; lc_journal_is_failed says so already. */
    void (*on_failed)(void *arg, const lc_error *err);
    void *arg;
} lc_journal_options;

/* What reading found. A log that is missing or has no commit opens with next_offset = replay_from:
 * whether that is a new database or a lost one only the caller knows. */
typedef struct lc_journal_stats {
    uint64_t next_offset; /* the offset the next record gets */
    uint64_t missing;     /* transactions before replay_from that the log ends too early to have */
    uint64_t commits;     /* read */
    uint64_t bytes;       /* of those commits, unpacked */
    uint64_t segments;    /* read */
    uint64_t cut_bytes;   /* of a torn tail: cut off, or left out and kept in its file */
} lc_journal_stats;

/* Called per logged transaction in order. record = flags.. of 05 section 3.4, valid during the
 * call. An error stops the replay and is passed on. */
typedef lc_status (*lc_journal_replay)(void *arg, uint64_t offset, lc_span record, lc_error *err);

/* Opens the folder: replays every transaction through replay, cuts or leaves a torn tail as 05
 * section 3.9 says, refuses a damaged middle with LC_E_CORRUPT naming file and position, then
 * starts the writer. Compressed (sealed) segments are read. */
lc_status lc_journal_open(const lc_journal_options *options, lc_journal_replay replay, void *arg,
                          lc_journal **out, lc_journal_stats *stats, lc_error *err);
/* Drains, syncs, stops the writer, closes. Callbacks may still come, on this thread too. */
void lc_journal_close(lc_journal *j);

/* Executor: one transaction's record. Begin gives the buffer to append the record's bytes to (its
 * frame header is already reserved in it: append only, never shrink); end completes the frame and
 * returns the offset. */
lc_buf *lc_journal_record_begin(lc_journal *j);
uint64_t lc_journal_record_end(lc_journal *j);
/* Bytes appended and not yet submitted. */
size_t lc_journal_pending(const lc_journal *j);
/* Hands what was appended to the writer (one lock, at most one wakeup). Blocks while more than the
 * named limit LC_JOURNAL_MAX_BACKLOG bytes wait to be written. */
#define LC_JOURNAL_MAX_BACKLOG (64u * 1024 * 1024)
void lc_journal_submit(lc_journal *j);

/* is_stepped only: writes everything submitted so far, on the calling thread. False when nothing
 * was waiting (then it did a step of what the writer does when idle: RELAXED syncs what was not yet
 * synced, otherwise zeros are written ahead) or the journal failed. */
bool lc_journal_step(lc_journal *j);

/* Any thread. Next offset to be given (executor only) and durable watermark: the number of
 * transactions that are durable, that is, every offset < durable_count is on disk. */
uint64_t lc_journal_next_offset(const lc_journal *j);
uint64_t lc_journal_durable_count(const lc_journal *j);
bool lc_journal_is_failed(const lc_journal *j);

/* Any thread: total bytes of records appended since opening (frames included). */
uint64_t lc_journal_appended_bytes(const lc_journal *j);

/* ------------------------------------------------------------- old segments */

/* Each does one segment of the folder, the oldest it applies to, beside a running writer (the
 * newest segment is never touched); *did = false when there was none. Any thread, one at a time.
 * seal: rewrites a segment that lies wholly before offset as zstd frames (05 section 3.10), aside,
 * read back and compared, synced, renamed; about 300 MB/s of one processor. False also while stop
 * (may be NULL) is set: what was begun is dropped. On failure (LC_E_IO, a full disk among them) the
 * segment stays as it was.
 * remove: unlinks a segment all of whose transactions are before offset. */
lc_status lc_journal_seal(const char *folder, const lc_disk *disk, uint64_t before,
                          const atomic_bool *stop, bool *did, lc_error *err);
lc_status lc_journal_remove(const char *folder, const lc_disk *disk, uint64_t before, bool *did,
                            lc_error *err);

/* ------------------------------------------------------------------- reading */

/* One commit as a reader of the folder meets it. Spans are valid during the call. */
typedef struct lc_journal_commit {
    uint64_t segment;  /* first offset of its segment, which names the file */
    uint64_t position; /* in the unpacked segment */
    uint64_t size;     /* of the whole frame */
    uint64_t offset;   /* of its first transaction */
    uint64_t epoch;
    uint32_t crc;
    uint16_t count; /* transactions; ours and the reference's single node: always 1 */
    lc_span frame;  /* the whole frame as read (version 0 frames have no epoch) */
    lc_span records;
} lc_journal_commit;

typedef struct lc_journal_segment {
    uint64_t first;      /* offset that names it */
    uint64_t file_bytes; /* on disk, when it was opened */
    uint64_t bytes;      /* of header and good commits, unpacked; up to where reading stopped */
    uint64_t commits;    /* read: not those that lie before `from` and were skipped */
    uint8_t version;
    bool is_sealed;
    char note[160]; /* what follows its last good commit, "" when nothing does */
} lc_journal_segment;

typedef struct lc_journal_reading {
    /* Commits that end before this offset are not given; their segments are not read. A log that
     * begins later (old segments are removed) is no error: look at the first commit. */
    uint64_t from;
    uint64_t to; /* stops before the transaction with this offset; UINT64_MAX = all */
    /* May be NULL each. An error ends the reading and is passed on. A segment comes after its
     * commits. */
    lc_status (*commit)(void *arg, const lc_journal_commit *c, lc_error *err);
    lc_status (*segment)(void *arg, const lc_journal_segment *s, lc_error *err);
    void *arg;
} lc_journal_reading;

/* Reads a log folder without changing it, of a dead database or of a live one: of that it gives at
 * least what was durable when it began, perhaps also commits that are not durable yet. A torn tail
 * is not an error (the segment's note tells of it), damage and gaps are LC_E_CORRUPT with file and
 * position, a missing folder is LC_E_NOT_FOUND. Any thread. stats may be NULL. */
lc_status lc_journal_walk(const char *folder, const lc_disk *disk, const lc_journal_reading *r,
                          lc_journal_stats *stats, lc_error *err);

/* The same for whoever wants all records from offset 0 on; LC_E_CORRUPT if the log begins later. */
lc_status lc_journal_read(const char *folder, const lc_disk *disk, lc_journal_replay each,
                          void *arg, lc_journal_stats *stats, lc_error *err);

#endif
