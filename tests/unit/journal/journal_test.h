/* Helpers of the journal's tests: a disk in memory that can fail and lose power, and short ways to
 * write and read logs on it. */
#ifndef JOURNAL_TEST_H
#define JOURNAL_TEST_H

#include "lc_test.h"

#include "journal/journal_internal.h"

/* ------------------------------------------------------------- memory disk */

enum { LC_OP_WRITE = 1, LC_OP_SYNC = 2, LC_OP_OTHER = 4 };

typedef struct memory_node memory_node;

typedef struct memory_disk {
    lc_disk disk; /* what the journal gets */
    LC_VEC(memory_node *) nodes;
    uint64_t ops;        /* changes asked for so far: writes, syncs, truncates, renames, ... */
    uint64_t fail_at;    /* this change (counted from 1) and, unless fail_once, all later fail */
    unsigned fail_kinds; /* only changes of these kinds count and fail; 0: all */
    bool fail_once;
    int fail_errno;
    uint64_t capacity; /* bytes all files may have together; 0: no limit */
    uint64_t writes;   /* to segments */
    uint64_t syncs;    /* of files */
    uint64_t largest_write;
} memory_disk;

void memory_disk_init(memory_disk *d);
void memory_disk_deinit(memory_disk *d);
/* Pointers to the bytes of a file, NULL when there is none; valid until the next change. */
lc_buf *memory_disk_file(memory_disk *d, const char *path);
/* Makes or replaces a file, synced. */
void memory_disk_put(memory_disk *d, const char *path, const void *bytes, size_t n);
/* A copy of everything, as if all were synced. */
void memory_disk_copy(memory_disk *to, memory_disk *from);
/* A copy that knows what was synced. */
void memory_disk_clone(memory_disk *to, const memory_disk *from);
/* The power fails: of what was not synced only what keep says stays. keep is asked once per changed
 * sector; unsynced changes of folders stay if keep says so of sector UINT64_MAX. */
void memory_disk_power_off(memory_disk *d, bool (*keep)(void *arg, uint64_t sector), void *arg);

/* --------------------------------------------------------------- test logs */

#define TEST_FOLDER "/log"

/* Where a test's commits end, one after the other. */
typedef LC_VEC(lc_buf) test_records;
void test_records_deinit(test_records *r);

typedef struct test_log {
    test_records records; /* replayed, by offset from first_offset */
    uint64_t first_offset;
    lc_journal *journal;
    lc_journal_stats stats;
    lc_error err;
    uint64_t durable; /* of the last on_durable */
    int durable_calls;
    int failed_calls;
    char *failure;
} test_log;

/* Opens TEST_FOLDER on the disk without a thread. options may be NULL; folder, disk, callbacks and
 * is_stepped are set here. */
lc_status test_log_open(test_log *l, memory_disk *d, const lc_journal_options *options);
void test_log_append(test_log *l, uint64_t offset, size_t size);
/* Submits and writes. */
void test_log_flush(test_log *l);
/* Closes if open, frees everything. */
void test_log_end(test_log *l);
/* As if the process had been killed: nothing more is written. */
void test_log_kill(test_log *l, memory_disk *d);
/* The record that test_log_append writes. */
void test_record(lc_buf *out, uint64_t offset, size_t size);
/* The replayed records are exactly those test_record makes, whatever their sizes. */
void test_log_check(const test_log *l);

#endif
