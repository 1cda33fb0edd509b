/* Helpers of the journal's tests: a disk in memory that can fail and lose power, and short ways to
 * write and read logs on it. */
#ifndef JOURNAL_TEST_H
#define JOURNAL_TEST_H

#include "lc_test.h"
#include "memory_disk.h"

#include "journal/journal_internal.h"

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
