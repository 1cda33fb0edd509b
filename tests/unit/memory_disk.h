/* A disk in memory that can fail and lose power. Not for threads. */
#ifndef MEMORY_DISK_H
#define MEMORY_DISK_H

#include "base/lc_base.h"

enum { LC_OP_WRITE = 1, LC_OP_SYNC = 2, LC_OP_OTHER = 4 };

typedef struct memory_node memory_node;

typedef struct memory_disk {
    lc_disk disk; /* what the tested gets */
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

#endif
