/*
 * storage: the data of one database and its life on disk. Joins the store (tables in memory), the
 * journal (commit log) and snapshots under one door: recovery, commit, failure, snapshots, care of
 * old files, backup and restore. Source: specification chapter 05, sections 3 to 5.
 *
 * Files in the folder of a database:
 *   clog/        the commit log (journal room)
 *   snapshots/   <20 digits>.lcsnap: the whole state after so many transactions, our own format
 *
 * Snapshots. Freezing takes an image of all tables by sharing their pages (copy on write), so the
 * executor goes on at once; a worker of this room writes the image aside, block by block with
 * checksums, waits until the log holds everything it contains, syncs, renames, syncs the folder and
 * reads it back (verification). Then it takes care of old files: old snapshots go, old segments are
 * compressed, and what nothing promised needs any more is removed. One piece of such work runs at a
 * time.
 *
 * Recovery. The newest snapshot whose checksums hold, then the log from there. A damaged one is
 * set aside (renamed to .invalid, with a warning) and the one before it serves, with a longer
 * replay. Without any the log must begin at 0.
 *
 * Failure. When a write or sync of the log fails nothing is ever confirmed again: on_failed says
 * why, commits go on in memory only as far as their callers let them, and the state on disk is what
 * was confirmed. Opening with is_read_only gives exactly that state, for reading.
 *
 * Threads: everything belongs to the executor (or whoever opens) but what says otherwise. With
 * is_stepped no thread is started: lc_storage_step_log and lc_storage_step_work do what the
 * threads would do, a little at a time, on the calling thread (simulation).
 */
#ifndef LC_STORAGE_H
#define LC_STORAGE_H

#include "journal/lc_journal.h"
#include "store/lc_store.h"

typedef struct lc_storage lc_storage;

/* ----------------------------------------------------------------- settings */

/* When snapshots are taken, and what is kept. Zero fields mean the default; lc_storage_policy_fill
 * puts the defaults in. */
typedef struct lc_storage_policy {
    /* A snapshot is due when this many bytes of log were written since the newest one (and at least
     * as many as that snapshot is big, so that their cost stays in proportion). Default 256 MiB. */
    uint64_t snapshot_log_bytes;
    uint32_t keep_snapshots; /* newest so many; at least 2, the default */
    bool keep_all;           /* nothing is ever removed (compression goes on) */
    /* Restore to any moment of the last so many; default 7 days. Of the snapshots in this window
     * the first of each seventh is kept, too. */
    int64_t keep_micros;
    bool no_snapshot_at_close; /* default: one is taken at closing when worth it */
    bool no_compression;       /* old segments stay as they are */
} lc_storage_policy;
#define LC_STORAGE_SNAPSHOT_LOG_BYTES (256ull << 20)
#define LC_STORAGE_KEEP_SNAPSHOTS     2
#define LC_STORAGE_KEEP_MICROS        (7ll * 24 * 3600 * 1000000)
/* At closing a snapshot is worth it from this much log on, which takes about 0.1 s to replay, and
 * from an eighth of the newest snapshot's size: replay is so much slower than writing one. */
#define LC_STORAGE_CLOSE_LOG_BYTES (16ull << 20)
void lc_storage_policy_fill(lc_storage_policy *p);

/* ------------------------------------------------------------ open and close */

/* How far opening has come; called now and then (every few MiB), for people who wait. */
typedef struct lc_storage_progress {
    bool is_log;      /* false: reading a snapshot */
    uint64_t done;    /* bytes */
    uint64_t total;   /* bytes; 0 = unknown */
    uint64_t commits; /* replayed so far */
} lc_storage_progress;

typedef enum lc_storage_mode {
    LC_STORAGE_CREATE, /* a new database: LC_E_EXISTS when the folder holds commits or snapshots */
    LC_STORAGE_OPEN,   /* one that exists: LC_E_CORRUPT when there are no commits */
    LC_STORAGE_READ_ONLY, /* the same, and nothing on disk is changed; no commits can follow */
} lc_storage_mode;

typedef struct lc_storage_options {
    const char *folder;    /* of the database; created when missing (not READ_ONLY) */
    const lc_disk *disk;   /* NULL = system */
    const lc_clock *clock; /* NULL = system */
    lc_storage_mode mode;
    lc_durability durability;
    uint64_t max_segment_size; /* 0 = default */
    lc_storage_policy policy;
    bool is_stepped;
    /* Threads of this room, no lock held: every transaction below durable_count is confirmed. */
    void (*on_durable)(void *arg, uint64_t durable_count);
    /* At most once, any thread: the log cannot be written any more. */
    void (*on_failed)(void *arg, const lc_error *err);
    /* Any thread: please have lc_storage_tick called on the executor soon. */
    void (*on_wake)(void *arg);
    void (*on_progress)(void *arg, const lc_storage_progress *p); /* on the opening thread */
    void *arg;
} lc_storage_options;

/* What opening found. */
typedef struct lc_storage_recovery {
    uint64_t snapshot;       /* transactions in the snapshot used; 0 = none */
    uint64_t snapshot_bytes; /* of its file */
    uint32_t bad_snapshots;  /* set aside as damaged */
    lc_journal_stats log;    /* of the log read behind it; log.next_offset counts everything */
} lc_storage_recovery;

/* Blocks as long as reading takes. recovery may be NULL. */
lc_status lc_storage_open(const lc_storage_options *o, lc_storage **out,
                          lc_storage_recovery *recovery, lc_error *err);
/* Takes a snapshot if that is worth it, syncs, ends the threads, frees everything, the store too.
 * Releases pending deltas. No transaction may be open. */
void lc_storage_close(lc_storage *s);
/* Makes running snapshot work stop soon, and close not begin one: for a quick end. Any thread. */
void lc_storage_hurry(lc_storage *s);

lc_store *lc_storage_store(lc_storage *s);

/* ------------------------------------------------------------------ commits */

/* Inputs of a reducer call as the log keeps them (05 section 3.4). name empty = no inputs; names
 * are cut at 255 bytes. */
typedef struct lc_log_inputs {
    lc_span name;
    lc_identity caller;
    lc_connection_id connection;
    int64_t timestamp;
    lc_span args;
} lc_log_inputs;

/* Ends the store's open transaction and appends its record to the log when it changes something
 * that the log keeps, or always_log. The delta is valid until lc_store_release. Nothing is durable
 * yet: see need. */
const lc_delta *lc_storage_commit(lc_storage *s, const lc_log_inputs *inputs, bool always_log);
/* Hands what was committed to the log's writer; begins a snapshot when one is due and no
 * transaction is open (then a pending delta is released). Once a batch. */
void lc_storage_flush(lc_storage *s);
/* Housekeeping asked for by on_wake: gives back what a finished snapshot held. */
void lc_storage_tick(lc_storage *s);

/* The durable count that covers everything committed so far. Executor. */
uint64_t lc_storage_need(const lc_storage *s);
uint64_t lc_storage_durable_count(const lc_storage *s); /* any thread */
bool lc_storage_is_failed(const lc_storage *s);         /* any thread */
bool lc_storage_is_read_only(const lc_storage *s);      /* any thread */

/* ---------------------------------------------------------------- snapshots */

/* Begins one of the state now (no transaction open). done (may be NULL) is called once, on the
 * executor (from lc_storage_tick or lc_storage_close), with the number of transactions it holds or
 * with the error; not when this function itself fails: LC_E_CONFLICT when one is being taken,
 * LC_E_INVALID when nothing was ever committed, LC_E_IO when the log failed, LC_E_READ_ONLY, or
 * LC_E_CLOSED after lc_storage_hurry. With nothing new since the newest one, that one is the
 * answer.
 */
typedef void (*lc_snapshot_done)(void *arg, uint64_t offset, const lc_error *err);
lc_status lc_storage_snapshot(lc_storage *s, lc_snapshot_done done, void *arg, lc_error *err);

typedef struct lc_snapshot_info {
    uint64_t offset;   /* transactions it holds: the next one has this offset */
    int64_t taken_at;  /* micros since 1970 */
    uint64_t bytes;    /* of the file */
    uint64_t rows;     /* of all tables; known after verification */
    uint32_t tables;   /* with rows; the same */
    bool is_valid;     /* header readable; after verification: every checksum held */
    char name[64];     /* of the file */
    char problem[160]; /* why not valid; empty otherwise */
} lc_snapshot_info;
typedef LC_VEC(lc_snapshot_info) lc_snapshot_list;
/* The snapshots of a database folder (or of its snapshots folder), newest first; verify reads them
 * whole. Changes nothing; any thread, also beside a running server. */
lc_status lc_snapshot_find(const char *folder, const lc_disk *disk, bool verify,
                           lc_snapshot_list *out, lc_error *err);

/* ------------------------------------------------------- backup and restore */

/*
 * A backup is one file: a header, the blocks of one snapshot, the log's commits from there to the
 * durable end, a trailer; every block with its checksum. It is written and read front to back, so
 * it goes through pipes and HTTP bodies. Format: README of this room.
 */
typedef struct lc_backup_info {
    uint64_t from;    /* offset of its snapshot: the earliest state it can restore */
    uint64_t to;      /* transactions it holds: the latest */
    int64_t taken_at; /* micros */
    uint64_t bytes;
    uint64_t restored; /* of a restore: transactions in what was made; its own log begins there */
} lc_backup_info;

/* Where the bytes go; an error stops the backup and is passed on. */
typedef lc_status (*lc_backup_write)(void *arg, lc_span bytes, lc_error *err);
/* Reads up to n bytes; 0 at the end, -1 with err set on failure. */
typedef ssize_t (*lc_backup_read)(void *arg, void *buf, size_t n, lc_error *err);

/* Of a database folder, live or not. to: transactions at most (the durable count of a running
 * one; UINT64_MAX = all there are). since: begins with the newest valid snapshot at or before this
 * offset (UINT64_MAX: the newest at or before `to`); without a snapshot from the log's beginning.
 * Any thread (not the executor: it reads and writes for long). A file that care removes meanwhile
 * is an error: try again. */
lc_status lc_backup_create(const char *folder, const lc_disk *disk, const lc_clock *clock,
                           uint64_t since, uint64_t to, lc_backup_write write, void *arg,
                           lc_backup_info *info, lc_error *err);

/* Reads a backup to its end and checks every checksum and total, as a restore does before it
 * replays anything. Fails like lc_backup_restore. */
lc_status lc_backup_verify(lc_backup_read read, void *arg, lc_backup_info *info, lc_error *err);

/* Which moment: the state after `offset` transactions, or before the first one later than `time`
 * micros; UINT64_MAX and INT64_MAX: the latest. A reducer call has the moment it began, any other
 * transaction that of the one before it. */
typedef struct lc_restore_point {
    uint64_t offset;
    int64_t time;
} lc_restore_point;
/* Makes a database folder (which must not hold one: LC_E_EXISTS) out of a backup, as a database of
 * its own: identity and owner in st_module become the given ones (NULL: stay). It begins with a
 * snapshot of the moment asked for and a log that goes on from there. LC_E_CORRUPT names what is
 * torn or damaged; LC_E_INVALID a foreign file, or a moment outside of it. On failure the folder is
 * left without a database in it. Any thread. */
lc_status lc_backup_restore(lc_backup_read read, void *arg, const lc_restore_point *at,
                            const char *folder, const lc_disk *disk, const lc_clock *clock,
                            const lc_identity *identity, const lc_identity *owner,
                            lc_backup_info *info, lc_error *err);
/* The same out of a database folder, ours or the reference server's (its commit log alone).
 * LC_E_NOT_FOUND: there is none. Nothing in the source is changed. */
lc_status lc_folder_restore(const char *source, const lc_restore_point *at, const char *folder,
                            const lc_disk *disk, const lc_clock *clock, const lc_identity *identity,
                            const lc_identity *owner, lc_backup_info *info, lc_error *err);

/* The system tables alone as a snapshot of a database folder has them, in a new store: its schema
 * and its module, without reading the rows. offset UINT64_MAX: the newest readable one; *found says
 * which it was. LC_E_NOT_FOUND: there is none. Any thread. */
lc_status lc_snapshot_open_system(const char *folder, const lc_disk *disk, uint64_t offset,
                                  lc_store **out, uint64_t *found, lc_error *err);

/* --------------------------------------------------------------- simulation */

/* is_stepped only. One group of the log written (false: nothing waited). */
bool lc_storage_step_log(lc_storage *s);
/* One small piece of snapshot work or of the care of old files; false when there is none. */
bool lc_storage_step_work(lc_storage *s);

#endif
