/* A database on the memory disk under a clock that stands still, taken step by step. */
#ifndef STORAGE_TEST_H
#define STORAGE_TEST_H

#include "lc_test.h"
#include "memory_disk.h"
#include "storage/storage_internal.h"

#define WORLD_FOLDER "/db"

typedef struct world {
    memory_disk disk;
    lc_clock clock;
    int64_t now;
    lc_storage_policy policy;
    uint64_t max_segment_size;
    lc_durability durability;
    uint64_t rows_made;

    lc_storage *storage; /* NULL: closed */
    lc_storage_recovery found;
    lc_error err;
    uint64_t durable; /* of the last on_durable */
    int failures;
    int wakes;
    int progress_calls;
    int done_calls;
    uint64_t done_offset;
    lc_status done_status;
} world;

void world_init(world *w);
/* Closes (without a snapshot) if open, frees everything. */
void world_deinit(world *w);
lc_status world_open(world *w, lc_storage_mode mode);
/* The same, and it must succeed. */
void world_reopen(world *w);
void world_close(world *w);
/* As if the process had been killed: nothing more reaches the disk. */
void world_kill(world *w);

/* CREATE with a table `t` (id u64 unique, text string) in the first transaction. */
void world_create(world *w);
/* So many transactions, each inserting, changing or deleting some rows; not yet submitted. */
void world_commit(world *w, uint32_t transactions);
/* Until nothing is left to do: the log's steps, the work's steps, ticks. */
void world_settle(world *w);
/* Takes a snapshot and waits for it; it must succeed. Returns its offset. */
uint64_t world_snapshot(world *w);
void world_done(void *arg, uint64_t offset, const lc_error *err);

/* Every row of every table that the log keeps, and what sequences stand at: equal bytes mean equal
 * states. The caller frees. */
lc_buf world_state(const world *w);
lc_buf store_state(const lc_store *s);
void assert_states_equal(const lc_buf *a, const lc_buf *b);

/* Files below WORLD_FOLDER whose path ends so. */
uint32_t world_count(world *w, const char *suffix);
lc_buf *world_snapshot_file(world *w, uint64_t offset);
bool world_has_snapshot(world *w, uint64_t offset);
void world_remove(world *w, const char *path);

#endif
