/*
 * Inside the journal room. From the bytes up: frame (one commit), segment (one file of them),
 * source (bytes of a segment, unpacked when sealed), tail (what follows the last good commit),
 * offset index, scan (reading a whole folder), appender (writing it), and in journal.c the threads.
 *
 * Only journal.c knows threads; everything else works on whichever thread calls it.
 */
#ifndef LC_JOURNAL_INTERNAL_H
#define LC_JOURNAL_INTERNAL_H

#include <errno.h>
#include <fcntl.h>

#include "journal/lc_journal.h"

enum {
    LC_SEGMENT_HEADER = 10,
    LC_SEGMENT_VERSION = 1, /* what is written; 0 is read too */
    LC_FRAME_HEADER = 22,
    LC_FRAME_HEADER_V0 = 14,
    LC_FRAME_CRC = 4,
    LC_FRAME_OVERHEAD = LC_FRAME_HEADER + LC_FRAME_CRC,
    LC_DISK_SECTOR = 512, /* the smallest unit a disk keeps or loses */
    LC_INDEX_ENTRY = 16,
    LC_INDEX_INTERVAL = 4096,
};

/* ------------------------------------------------------------------- frame */

typedef struct lc_frame {
    uint64_t offset; /* of its first transaction */
    uint64_t epoch;
    uint32_t header; /* bytes before the records: 22, or 14 in version 0 */
    uint32_t len;    /* bytes of records */
    uint16_t count;  /* transactions in it */
    uint32_t crc;    /* filled by lc_frame_check */
} lc_frame;

static inline uint32_t lc_frame_header_size(unsigned version)
{
    return version == 0 ? LC_FRAME_HEADER_V0 : LC_FRAME_HEADER;
}
static inline uint64_t lc_frame_size(const lc_frame *f)
{
    return (uint64_t)f->header + f->len + LC_FRAME_CRC;
}
void lc_frame_decode(lc_frame *f, unsigned version, const uint8_t *header);
/* Whether the checksum at the end of the whole frame fits it. */
bool lc_frame_check(lc_frame *f, const uint8_t *frame);
void lc_frame_put_header(uint8_t *frame, uint64_t offset, uint64_t epoch, uint32_t len);
/* Puts the checksum behind a version 1 frame whose header and records are there; returns its size.
 */
size_t lc_frame_complete(uint8_t *frame);

/* ----------------------------------------------------------------- segment */

typedef LC_VEC(uint64_t) lc_segment_list;

extern const uint8_t lc_segment_header[LC_SEGMENT_HEADER];
/* <folder>/<20 digits>.stdb.<kind>; kind is "log", "ofs", or "log.tmp" for one being made. Heap
 * text. */
char *lc_segment_path(const char *folder, uint64_t first, const char *kind);
/* First offsets of the folder's files of a kind, ascending. */
lc_status lc_segment_find(const lc_disk *disk, const char *folder, const char *kind,
                          lc_segment_list *out, lc_error *err);
/* Segment and index. 0 or -errno; the folder is not synced. */
int lc_segment_remove(const lc_disk *disk, const char *folder, uint64_t first);
lc_status lc_segment_check_header(const uint8_t *header, const char *path, unsigned *version,
                                  lc_error *err);
/* "cannot <verb> <path>: <reason>" as LC_E_IO. */
lc_status lc_segment_io_error(lc_error *err, const char *verb, const char *path,
                              int64_t negative_errno);

/* ------------------------------------------------------------------ source */

typedef struct lc_unpacker lc_unpacker;

/* The bytes of one segment in order, through a window that slides over them. */
typedef struct lc_source {
    const lc_disk *disk;
    lc_file *file;
    const char *path; /* borrowed */
    uint64_t size;    /* of the file */
    uint64_t next;    /* of the file's bytes, the next to be read */
    uint64_t at;      /* position in the unpacked segment of the first byte not yet skipped */
    lc_buf window;    /* bytes [from, len) are those at `at` and after */
    size_t from;
    bool has_ended;        /* nothing comes after the window */
    bool is_broken;        /* sealed and damaged: has_ended too */
    lc_unpacker *unpacker; /* sealed segments only */
} lc_source;

/* On failure nothing is to be closed. LC_E_NOT_FOUND when there is no such file. */
lc_status lc_source_open(lc_source *s, const lc_disk *disk, const char *path, lc_error *err);
void lc_source_close(lc_source *s);
/* Plain segments only: goes on at a position. */
void lc_source_seek(lc_source *s, uint64_t at);
/* The same, with the size the file has by now. */
lc_status lc_source_reread(lc_source *s, uint64_t at, lc_error *err);
/* Tries to have n bytes in the window; *have says how many there are, fewer only at the end. */
lc_status lc_source_want(lc_source *s, size_t n, size_t *have, lc_error *err);
/* No more than this many bytes are to come; exact for plain segments. */
uint64_t lc_source_left(const lc_source *s);
static inline const uint8_t *lc_source_bytes(const lc_source *s)
{
    return s->window.ptr + s->from;
}
static inline void lc_source_skip(lc_source *s, size_t n)
{
    s->from += n;
    s->at += n;
}

#define LC_SEEKABLE_FOOTER 0x8f92eab1u /* ends every sealed segment */
/* sealed.c: zstd, in as many frames as the writer liked, skippable ones among them. */
bool lc_sealed_detect(const uint8_t *head, size_t n);
lc_unpacker *lc_unpacker_create(void);
void lc_unpacker_destroy(lc_unpacker *u);
/* Appends some unpacked bytes to out, reading the file from *next on. Sets *has_ended after the
 * last, and *is_broken with it when the compressed bytes are damaged or end early. */
lc_status lc_unpacker_read(lc_unpacker *u, lc_source *s, lc_buf *out, lc_error *err);

/* seal.c: rewrites a plain segment as a sealed one. *did is false when stop was set. */
lc_status lc_segment_seal(const lc_disk *disk, const char *folder, uint64_t first,
                          const atomic_bool *stop, bool *did, lc_error *err);

/* -------------------------------------------------------------------- tail */

/* What lies behind the last good commit of a segment. */
typedef struct lc_tail {
    bool is_zeros;     /* nothing but zeros */
    bool is_torn;      /* looks as only an interrupted write can leave it; see tail.c */
    bool has_commit;   /* a whole later commit follows the bad one */
    uint64_t commit;   /* its offset */
    uint64_t position; /* and where it begins */
    uint64_t bytes;    /* up to the last byte that is not zero */
} lc_tail;

/* s stands at the frame that is bad; expected is the offset it should have. Reads to the end. */
lc_status lc_tail_examine(lc_source *s, unsigned version, uint64_t expected, lc_tail *out,
                          lc_error *err);

/* ------------------------------------------------------------ offset index */

typedef struct lc_index_entry {
    uint64_t offset;   /* of a commit */
    uint64_t position; /* where it begins in the unpacked segment */
} lc_index_entry;
typedef LC_VEC(lc_index_entry) lc_index_entries;

/* The usable entries of an index file: ascending, up to the first that is not. None when there is
 * no such file or it cannot be read: the index is only advice. */
void lc_index_load(const lc_disk *disk, const char *path, lc_index_entries *out);

typedef struct lc_index {
    const lc_disk *disk;
    lc_file *file;            /* NULL: there is none, and nothing is lost by it */
    uint64_t capacity;        /* entries the file has room for */
    uint64_t count;           /* entries in the file */
    lc_index_entry last;      /* the newest in the file */
    bool last_is_mark;        /* it is there as a mark and the next one replaces it */
    lc_index_entry candidate; /* goes in when enough bytes follow it; offset 0: none */
    uint64_t bytes;           /* written since the last entry */
    lc_index_entries pending; /* wait for the sync of what they point at */
} lc_index;

/* Begins an index; the file at path, if any, is replaced. */
void lc_index_create(lc_index *x, const lc_disk *disk, const char *path, uint64_t max_segment);
/* Goes on with entries that were verified against the segment, which ends at tail with the commit
 * newest. */
void lc_index_resume(lc_index *x, const lc_disk *disk, const char *path, uint64_t max_segment,
                     const lc_index_entries *verified, lc_index_entry newest, uint64_t tail);
void lc_index_note(lc_index *x, uint64_t offset, uint64_t position, uint64_t size);
/* Writes what became due; call after the sync of the commits noted. */
void lc_index_flush(lc_index *x);
/* Adds the newest commit, so that the index testifies that it was confirmed. */
void lc_index_mark(lc_index *x, lc_index_entry newest);
void lc_index_close(lc_index *x);

/* -------------------------------------------------------------------- scan */

/* What reading a folder found, and what an appender has to do to go on from there. */
typedef struct lc_scan {
    lc_journal_stats stats;
    uint64_t epoch;             /* the highest read */
    lc_segment_list empty;      /* newest segments without content: to be removed */
    bool resumes;               /* goes on in segment `newest` at `tail`; else begins a new one */
    uint64_t newest;            /* first offset of the newest segment */
    uint64_t tail;              /* where its good commits end */
    uint64_t size;              /* of its file; bytes [keep, size) are to be cut */
    uint64_t keep;              /* [tail, keep) are zeros, written ahead */
    lc_index_entry last_commit; /* of the newest segment */
    lc_index_entries index;     /* entries of its index that point at commits seen */
    char *report;               /* of a torn tail, for the log; NULL when there is none */
} lc_scan;

typedef struct lc_scan_options {
    const lc_disk *disk;
    const char *folder;
    uint64_t from; /* commits before it are not given, nor read where avoidable */
    uint64_t to;   /* nothing is read from this transaction on; UINT64_MAX = all */
    /* For somebody who has everything before `from` and needs all that follows: the log must not
     * begin behind it, and each commit must be one transaction. May end before it. */
    bool is_replay;
    bool syncs; /* sync the newest segment first: what is read now counts as durable */
    /* Each may be NULL. */
    lc_journal_replay replay;
    lc_status (*commit)(void *arg, const lc_journal_commit *c, lc_error *err);
    lc_status (*segment)(void *arg, const lc_journal_segment *s, lc_error *err);
    void *arg; /* of these three */
    void (*on_progress)(void *arg, uint64_t done, uint64_t total, uint64_t commits);
    void *progress_arg;
} lc_scan_options;

/* Changes nothing on disk, and may run beside a writer. Deinit also after a failure. */
lc_status lc_scan_folder(const lc_scan_options *o, lc_scan *scan, lc_error *err);
void lc_scan_deinit(lc_scan *scan);

/* ---------------------------------------------------------------- appender */

/* Writes groups of frames. Between calls: bytes [0, tail) of the file are commits, and synced
 * unless is_unsynced; bytes [tail, size) are zeros. A new segment comes into being together with
 * its first group. */
typedef struct lc_appender {
    const lc_disk *disk; /* NULL: never opened */
    char *folder;
    char *path;    /* of the newest segment; NULL: the next group begins one */
    lc_file *file; /* open exactly when path is set */
    lc_durability durability;
    uint64_t tail;              /* where the next frame goes */
    uint64_t size;              /* of the file */
    uint64_t max_segment;       /* a segment this long is finished */
    uint64_t written;           /* since opening; the more, the further ahead is written */
    bool writes_ahead;          /* false once the disk had no room for it */
    bool is_unsynced;           /* RELAXED: commits before tail wait for lc_appender_sync */
    lc_index_entry last_commit; /* of this segment */
    lc_index index;             /* of this segment */
} lc_appender;

/* Does what the scan asks for (remove, cut) and stands where the next frame goes. */
lc_status lc_appender_open(lc_appender *a, const lc_disk *disk, const char *folder,
                           uint64_t max_segment, lc_durability durability, const lc_scan *scan,
                           lc_error *err);
/* Makes complete frames of the first frames from `at` on and writes them: all of them, or up to the
 * end of the segment, or one (EACH). When it returns they count as durable. *done is the bytes
 * taken, *count the transactions. What is behind the frames' end in the buffer may be overwritten.
 * After a failure the appender must only be closed. */
lc_status lc_appender_write(lc_appender *a, lc_buf *frames, size_t at, size_t *done,
                            uint64_t *count, lc_error *err);
/* Syncs what is unsynced. After a failure the appender must only be closed. */
lc_status lc_appender_sync(lc_appender *a, lc_error *err);
/* For idle moments: writes one step ahead if that is due; *did says whether it did. */
lc_status lc_appender_prepare(lc_appender *a, bool *did, lc_error *err);
/* For longer idleness: gives the disk space ahead back, so the file is exactly its commits. Nothing
 * may be unsynced. */
void lc_appender_trim(lc_appender *a);
/* is_failed: leaves everything as it is. */
void lc_appender_close(lc_appender *a, bool is_failed);

#endif
