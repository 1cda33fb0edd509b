/*
 * A backup as bytes (README): header, blocks with chained checksums, end. Written and read front to
 * back, so that it goes through pipes.
 */
#ifndef LC_STORAGE_BACKUP_FILE_H
#define LC_STORAGE_BACKUP_FILE_H

#include "storage/storage_internal.h"

enum {
    LC_BACKUP_VERSION = 1,
    LC_BACKUP_HEADER = 52,
    LC_BACKUP_END_BYTES = 48,
    LC_BACKUP_BLOCK_TARGET = 1024 * 1024, /* bytes in a block of commits, about */
    LC_COMMIT_HEADER = 22,                /* before the records of a commit, 05 section 3.3 */
    LC_COMMIT_CRC = 4,
};

typedef enum lc_backup_block_kind {
    LC_BACKUP_ROWS = 1,    /* a chunk of the snapshot */
    LC_BACKUP_COMMITS = 2, /* whole commits of the log, back to back, format version 1 */
    LC_BACKUP_END = 3,
    LC_BACKUP_FAILED = 4, /* the writer had to give up: why */
} lc_backup_block_kind;

typedef struct lc_backup_header {
    uint64_t from;       /* offset of the snapshot; 0: there is none */
    uint64_t to;         /* transactions in all */
    int64_t taken_at;    /* micros */
    int64_t snapshot_at; /* when the snapshot was taken */
} lc_backup_header;

/* Counted by both sides. */
typedef struct lc_backup_totals {
    lc_snapshot_totals rows;
    uint64_t commits;
    uint64_t commit_bytes;
} lc_backup_totals;

typedef struct lc_backup_writer {
    lc_backup_write write;
    void *arg;
    uint64_t to;
    uint64_t at; /* bytes written */
    uint32_t chain;
    bool is_deaf; /* write has failed: nothing more can be told */
    lc_backup_totals totals;
    lc_buf block; /* commits that gather; its head is reserved */
} lc_backup_writer;

lc_status lc_backup_writer_open(lc_backup_writer *w, const lc_backup_header *h,
                                lc_backup_write write, void *arg, lc_error *err);
lc_status lc_backup_writer_rows(lc_backup_writer *w, lc_span chunk, lc_error *err);
lc_status lc_backup_writer_commit(lc_backup_writer *w, const lc_journal_commit *c, lc_error *err);
lc_status lc_backup_writer_finish(lc_backup_writer *w, lc_error *err);
/* Says in the file why it ends before its time, if it can. */
void lc_backup_writer_fail(lc_backup_writer *w, const lc_error *why);
void lc_backup_writer_deinit(lc_backup_writer *w);

typedef struct lc_backup_reader {
    lc_backup_read read;
    void *arg;
    lc_backup_header header;
    uint64_t at; /* bytes read */
    uint32_t chain;
    bool has_ended;
    lc_backup_totals totals;
    lc_buf block;
} lc_backup_reader;

/* Reads the header. LC_E_INVALID: something else than a backup; LC_E_UNSUPPORTED: of a later
 * version; LC_E_CORRUPT: torn or damaged, with the position. Deinit also after a failure. */
lc_status lc_backup_reader_open(lc_backup_reader *r, lc_backup_read read, void *arg, lc_error *err);
/* The next block, valid until the next call; its checksum held. has_ended after the last: then the
 * totals fit, and nothing follows. */
lc_status lc_backup_reader_next(lc_backup_reader *r, lc_backup_block_kind *kind, lc_span *bytes,
                                lc_error *err);
/* Takes the commit at the front of a block of commits. */
lc_status lc_backup_reader_commit(lc_backup_reader *r, lc_span *bytes, lc_journal_commit *c,
                                  lc_error *err);
void lc_backup_reader_deinit(lc_backup_reader *r);

#endif
