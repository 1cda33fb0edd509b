/*
 * Inside the storage room. From the bytes up: record (one transaction in the log), snapshot_file
 * (one snapshot on disk), snapshot_folder (all of them), recover (opening), care (what of the old
 * is kept), work (the worker that takes snapshots and cares), and in storage.c the object.
 * Backup and restore stand on the first three and on lc_storage_open_with.
 */
#ifndef LC_STORAGE_INTERNAL_H
#define LC_STORAGE_INTERNAL_H

#include "storage/lc_storage.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>

/* "<verb> <path>: <reason>" as LC_E_IO. */
lc_status lc_storage_io_error(lc_error *err, const char *verb, const char *path,
                              int64_t negative_errno);

/* ------------------------------------------------------------------ record */

/* A transaction's record in the log, 05 section 3.4. */
typedef struct lc_log_record {
    bool has_inputs;
    bool has_mutations;
    lc_log_inputs inputs; /* spans point into the record */
    lc_span mutations;    /* and whatever may follow them */
} lc_log_record;

/* Appends flags, inputs and mutations. */
void lc_log_record_encode(const lc_log_inputs *in, const lc_delta *delta, lc_buf *out);
/* Inputs that are not as a server writes them count as none; LC_E_CORRUPT when the record is too
 * short for what it says is in it. */
lc_status lc_log_record_decode(lc_span record, lc_log_record *out, lc_error *err);
/* Applies one record to a store that is replaying. */
lc_status lc_log_record_replay(lc_store *store, uint64_t offset, lc_span record, lc_error *err);

/* ----------------------------------------------------------- snapshot file */

/* Format: README. All numbers little-endian. */
enum {
    LC_SNAPSHOT_VERSION = 1,
    LC_SNAPSHOT_HEADER = 36,
    LC_SNAPSHOT_BLOCK = 16,         /* before the bytes of a block */
    LC_SNAPSHOT_END = 24,           /* bytes of the end block */
    LC_SNAPSHOT_CHUNK = 1024 * 1024 /* of rows in a block, about */
};
/* A block holds one chunk, a chunk at least one row, and a row fits into a log record. */
#define LC_SNAPSHOT_MAX_BLOCK (LC_JOURNAL_MAX_RECORD + 64ull)

typedef struct lc_snapshot_header {
    uint64_t offset; /* transactions it holds */
    int64_t taken_at;
} lc_snapshot_header;

typedef enum lc_snapshot_block_kind {
    LC_SNAPSHOT_ROWS = 1,   /* a chunk as lc_image_next_chunk makes it */
    LC_SNAPSHOT_TOTALS = 2, /* the end */
} lc_snapshot_block_kind;

/* Each checksum goes on from the one before it, the first block's from the header's: a block out of
 * another file, or at another place, does not fit. */
void lc_snapshot_header_put(uint8_t out[LC_SNAPSHOT_HEADER], const lc_snapshot_header *h,
                            uint32_t *chain);
/* LC_E_CORRUPT or LC_E_UNSUPPORTED (a later version) with the reason, no file name. */
lc_status lc_snapshot_header_get(const uint8_t in[LC_SNAPSHOT_HEADER], lc_snapshot_header *h,
                                 uint32_t *chain, lc_error *err);
void lc_snapshot_block_put(uint8_t out[LC_SNAPSHOT_BLOCK], lc_snapshot_block_kind kind,
                           lc_span bytes, uint32_t *chain);

/* Counted while writing, told by the end block, counted again while reading. */
typedef struct lc_snapshot_totals {
    uint64_t blocks; /* of rows */
    uint64_t bytes;  /* in them */
    uint64_t rows;
} lc_snapshot_totals;
/* False when the chunk is too short to be one. */
bool lc_snapshot_totals_add(lc_snapshot_totals *t, lc_span chunk);
void lc_snapshot_totals_put(uint8_t out[LC_SNAPSHOT_END], const lc_snapshot_totals *t);

/* Writes <folder>/snapshots/<offset>.lcsnap aside, block by block. */
typedef struct lc_snapshot_writer {
    const lc_disk *disk;
    char *parent; /* the database's folder */
    char *folder;
    char *path;
    char *aside;
    lc_file *file;
    uint64_t at;
    uint64_t synced;
    uint32_t chain;
    lc_snapshot_totals totals;
    lc_buf block;
} lc_snapshot_writer;

/* After a failure of any of these only abandon is left. */
lc_status lc_snapshot_writer_open(lc_snapshot_writer *w, const lc_disk *disk, const char *folder,
                                  const lc_snapshot_header *h, lc_error *err);
/* The buffer to append one chunk to (append only, never shrink); end writes it. */
lc_buf *lc_snapshot_writer_begin(lc_snapshot_writer *w);
lc_status lc_snapshot_writer_end(lc_snapshot_writer *w, lc_error *err);
/* End block, sync, rename, sync of the folders. Closes it on success. */
lc_status lc_snapshot_writer_finish(lc_snapshot_writer *w, lc_error *err);
/* Removes what was written, closes. */
void lc_snapshot_writer_abandon(lc_snapshot_writer *w);

/* Reads one front to back; nothing is given before its checksum held. */
typedef struct lc_snapshot_reader {
    const lc_disk *disk;
    char *name; /* for messages */
    lc_file *file;
    uint64_t size;
    uint64_t at;
    lc_snapshot_header header;
    uint32_t chain;
    lc_snapshot_totals totals;
    uint32_t tables; /* with rows */
    uint32_t table;  /* of the newest block */
    bool has_ended;
    lc_buf block;
} lc_snapshot_reader;

/* name for messages (NULL: path). LC_E_NOT_FOUND, LC_E_IO, LC_E_UNSUPPORTED, or LC_E_CORRUPT with
 * file and position. On failure nothing is to be closed. */
lc_status lc_snapshot_reader_open(lc_snapshot_reader *r, const lc_disk *disk, const char *path,
                                  const char *name, lc_error *err);
/* The next chunk, valid until the next call; has_ended and an empty span after the last. */
lc_status lc_snapshot_reader_next(lc_snapshot_reader *r, lc_span *chunk, lc_error *err);
void lc_snapshot_reader_close(lc_snapshot_reader *r);

/* --------------------------------------------------------- snapshot folder */

#define LC_SNAPSHOT_SUFFIX  ".lcsnap"
#define LC_SNAPSHOT_ASIDE   ".lcsnap.tmp"
#define LC_SNAPSHOT_INVALID ".lcsnap.invalid"
#define LC_SEGMENT_SUFFIX   ".stdb.log"

/* <folder>/snapshots/<20 digits><suffix>, heap text. */
char *lc_snapshot_path(const char *folder, uint64_t offset, const char *suffix);

typedef LC_VEC(uint64_t) lc_offset_list;
/* Numbers of the files <20 digits><suffix> in a folder, descending. A missing folder is empty. */
lc_status lc_storage_list(const char *path, const lc_disk *disk, const char *suffix,
                          lc_offset_list *out, lc_error *err);
/* The same for the snapshots of a database folder: newest first. */
lc_status lc_snapshot_offsets(const char *folder, const lc_disk *disk, const char *suffix,
                              lc_offset_list *out, lc_error *err);
/* Reads one whole: does every checksum hold? LC_E_INVALID when its name and header disagree. */
lc_status lc_snapshot_check(const char *folder, const lc_disk *disk, uint64_t offset,
                            lc_error *err);
/* Puts a damaged one aside, with a warning. */
void lc_snapshot_set_aside(const char *folder, const lc_disk *disk, uint64_t offset,
                           const char *why);
/* Is there any commit in the log of a database folder, readable or not? Yes when that cannot be
 * told: then opening says why. */
bool lc_log_exists(const char *folder, const lc_disk *disk);

/* -------------------------------------------------------------------- open */

/* As lc_storage_open. log_may_be_lost: a snapshot without any log behind it is fine (a folder that
 * is just being restored). */
lc_status lc_storage_open_with(const lc_storage_options *o, bool log_may_be_lost, lc_storage **out,
                               lc_storage_recovery *recovery, lc_error *err);

/* Reads a whole snapshot into a store between replay_begin and the first replay_tx. */
lc_status lc_snapshot_load(const char *folder, const lc_disk *disk, uint64_t offset,
                           lc_store *store, lc_snapshot_header *header,
                           void (*on_progress)(void *arg, const lc_storage_progress *p), void *arg,
                           uint64_t *bytes, lc_error *err);

/* -------------------------------------------------------------------- care */

typedef struct lc_care_snapshot {
    lc_snapshot_header header;
    bool is_verified; /* read whole by this process, every checksum held */
    bool is_kept;     /* out */
} lc_care_snapshot;
typedef LC_VEC(lc_care_snapshot) lc_care_list;

/* Of the snapshots (newest first) says which are kept, and returns from which offset on the log is
 * needed. What is not verified counts as if it were: verify what is kept before acting on it. */
uint64_t lc_care_plan(lc_care_list *list, const lc_storage_policy *policy, int64_t now);

/* Old snapshots and segments of one database. Belongs to the worker. */
typedef struct lc_care {
    const char *folder;
    const char *log_folder;
    const lc_disk *disk;
    const lc_clock *clock;
    const lc_storage_policy *policy;
    const atomic_bool *must_stop;
    LC_VEC(lc_snapshot_header) verified;
    bool is_verifying;
    lc_snapshot_reader reader;
} lc_care;

void lc_care_deinit(lc_care *c);
void lc_care_note_verified(lc_care *c, const lc_snapshot_header *h);
bool lc_care_is_verified(const lc_care *c, const lc_snapshot_header *h);
/* Does one small piece; false when there is nothing left to do (or must_stop is set, or it failed:
 * that is logged). */
bool lc_care_step(lc_care *c);

/* -------------------------------------------------------------------- work */

typedef enum lc_job_phase {
    LC_JOB_NONE,
    LC_JOB_WRITE,  /* blocks of the image */
    LC_JOB_WAIT,   /* until the log holds everything in it */
    LC_JOB_FINISH, /* sync and rename */
    LC_JOB_VERIFY, /* read back */
    LC_JOB_DONE,   /* waits for lc_storage_tick */
} lc_job_phase;

/* One snapshot from freezing to done. The executor owns it in NONE and DONE, the worker else. */
typedef struct lc_snapshot_job {
    lc_snapshot_header header;
    lc_image *image;    /* under lock; the executor takes it back when image_is_free */
    bool image_is_free; /* under lock */
    uint64_t log_bytes; /* lc_storage's count when it was frozen */
    uint64_t file_bytes;
    lc_snapshot_done done; /* may be NULL */
    void *arg;
    lc_error err;
    bool has_writer;
    bool is_verifying;
    lc_snapshot_writer writer;
    lc_snapshot_reader reader;
} lc_snapshot_job;

typedef struct lc_work {
    pthread_mutex_t lock;
    pthread_cond_t wake;         /* to the worker */
    pthread_cond_t idle;         /* to who closes: the thread has left, or a job is done */
    _Atomic(lc_job_phase) phase; /* changed under lock */
    lc_snapshot_job job;
    bool care_is_due; /* under lock */
    lc_care care;
    atomic_bool must_hurry; /* drop the snapshot being taken */
    atomic_bool must_stop;  /* no more care */
    atomic_bool waits;      /* the worker waits for the log */
    bool thread_lives;      /* under lock */
    bool has_thread;        /* to be joined */
    pthread_t thread;
} lc_work;

struct lc_storage {
    /* set once */
    const lc_disk *disk;
    const lc_clock *clock;
    char *folder;
    char *log_folder;
    lc_storage_policy policy;
    lc_durability durability;
    bool is_read_only;
    bool is_stepped;
    void (*on_durable)(void *arg, uint64_t durable_count);
    void (*on_failed)(void *arg, const lc_error *err);
    void (*on_wake)(void *arg);
    void (*on_progress)(void *arg, const lc_storage_progress *p);
    void *arg;

    /* executor */
    lc_store *store;
    lc_journal *journal;
    uint64_t replayed_bytes; /* of log behind the snapshot that was opened */
    uint64_t newest_offset;  /* of the newest snapshot that was read or taken; 0: none */
    uint64_t newest_at;      /* lc_storage_log_bytes at the newest snapshot */
    uint64_t newest_bytes;   /* its size */
    uint64_t due_at;         /* lc_storage_log_bytes from which on the next is due */

    lc_work work;
};

/* Log behind the snapshot that was opened, in bytes. */
uint64_t lc_storage_log_bytes(const lc_storage *s);
/* So much more log makes the next snapshot due. */
uint64_t lc_storage_snapshot_interval(const lc_storage *s);
/* Ends and frees what there is of it. */
void lc_storage_destroy(lc_storage *s);

void lc_work_init(lc_storage *s);
/* Nothing may be running any more. */
void lc_work_deinit(lc_storage *s);
/* Looks after old files when there is nothing else to do. */
void lc_work_begin_care(lc_storage *s);
/* Executor; the journal's records up to now are submitted. */
lc_status lc_work_begin_snapshot(lc_storage *s, lc_snapshot_done done, void *arg, lc_error *err);
/* The log got further or failed. Any thread. */
void lc_work_on_log(lc_storage *s);
/* Until the snapshot being taken is done; care ends early. */
void lc_work_finish(lc_storage *s);
void lc_work_stop(lc_storage *s);

#endif
