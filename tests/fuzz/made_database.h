/* A small database on a memory disk, for targets that tamper with its files: two tables with rows,
 * four transactions, a snapshot before the third and before the fourth. */
#ifndef MADE_DATABASE_H
#define MADE_DATABASE_H

#include "fuzz_kit.h"
#include "memory_disk.h"
#include "storage/storage_internal.h"

#define MADE_FOLDER "/db"
#define MADE_NEWEST 3 /* offset of the newest snapshot */

/* Fills the disk; the digest of the newest state. */
uint64_t made_database(memory_disk *d);
lc_status made_open(memory_disk *d, lc_storage_mode mode, lc_storage **out,
                    lc_storage_recovery *found, lc_error *err);

#endif
