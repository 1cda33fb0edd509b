/*
 * A disk in memory behind the lc_disk seam that treats its user as badly as a real one may.
 *
 * What is promised: sync_data makes the bytes and the length of a file durable, sync_dir the names
 * in a folder (files and folders made in it, renamed, unlinked). Everything else is up to chance
 * when the power fails:
 *   - each sector of 512 bytes written since the last sync has, alone, any of the contents it had
 *     since then; a sector is never torn;
 *   - a length that grew may be any of those it had (one that ends inside a sector only together
 *     with all of the write that made it: data goes before length); of truncations a later one
 * stays only with those before it, and what was appended after a lost one is lost, too;
 *   - each name made, renamed or unlinked since the folder's sync is there or is not, alone.
 * When the process ends (kill) nothing is lost, and nothing becomes durable either.
 *
 * A sync that fails leaves any part of the data on disk and forgets the rest, as Linux does: the
 * next sync succeeds without it (but each handle that was open is told once). What was not written
 * may still be read back, until the process ends.
 *
 * Everything happens in an order and with random numbers that only the seed decides.
 */
#ifndef SIM_DISK_H
#define SIM_DISK_H

#include "sim_base.h"

#define SIM_SECTOR 512

typedef enum sim_op {
    SIM_OP_OPEN = 1,
    SIM_OP_CREATE = 2,
    SIM_OP_READ = 4,
    SIM_OP_WRITE = 8,
    SIM_OP_SYNC = 16,
    SIM_OP_TRUNCATE = 32,
    SIM_OP_RENAME = 64,
    SIM_OP_UNLINK = 128,
    SIM_OP_MKDIR = 256,
    SIM_OP_SYNC_DIR = 512,
    SIM_OP_LIST = 1024,
} sim_op;
/* Those that change something. */
#define SIM_OP_CHANGES                                                                             \
    (SIM_OP_CREATE | SIM_OP_WRITE | SIM_OP_SYNC | SIM_OP_TRUNCATE | SIM_OP_RENAME |                \
     SIM_OP_UNLINK | SIM_OP_MKDIR | SIM_OP_SYNC_DIR)

typedef struct sim_inode sim_inode;
typedef struct sim_folder sim_folder;

/* Operations that fail: of these kinds, on paths that contain `match` (NULL: any), after `skip` of
 * them, `count` times. A failing write leaves part of its bytes. */
typedef struct sim_fault {
    unsigned kinds; /* 0: nothing fails */
    const char *match;
    uint64_t skip;
    uint64_t count;
    int error;
} sim_fault;

typedef struct sim_disk {
    lc_disk disk; /* what the rooms get */
    sim_random random;
    LC_VEC(sim_inode *) inodes;
    LC_VEC(sim_folder *) folders;
    uint64_t inode_count;
    uint64_t order;      /* counts changes; the order in which they would reach a tidy disk */
    uint64_t changes;    /* operations that changed something, made so far */
    uint64_t die_after;  /* the machine stops at this many more changes; 0: it does not */
    bool is_dead;        /* nothing works any more until sim_disk_revive or power_off */
    uint64_t budget;     /* bytes all files may have together; 0: no limit */
    sim_fault fault;     /* the one thing that fails at present */
    uint64_t faults;     /* operations failed by fault or budget so far */
    uint64_t log_faults; /* of these, on segments or the folder of the log */
    uint64_t log_syncs_failed;
    uint32_t open_files; /* handles not yet closed */
} sim_disk;

void sim_disk_init(sim_disk *d, uint64_t seed);
void sim_disk_deinit(sim_disk *d);

/* The process is gone: the machine goes on with what the files now say. No handle may be open. */
void sim_disk_kill(sim_disk *d);
/* The power failed. */
void sim_disk_power_off(sim_disk *d);

/* Makes a folder that is there for good, its parents too. */
void sim_disk_make_folder(sim_disk *d, const char *path);
/* A copy of what files now say, all of it durable, without faults. */
void sim_disk_copy(sim_disk *to, const sim_disk *from, uint64_t seed);

/* Bytes of all files that have a name. */
uint64_t sim_disk_used(const sim_disk *d);

/* The files below a folder in the order of their names. Paths are valid until the next change. */
typedef struct sim_entry {
    const char *name;
    uint64_t size;
    uint64_t synced; /* how many of its bytes from the beginning are on disk as they are */
} sim_entry;
typedef LC_VEC(sim_entry) sim_entries;
/* *out is emptied first; false when there is no such folder. */
bool sim_disk_entries(const sim_disk *d, const char *folder, sim_entries *out);
lc_span sim_disk_bytes(const sim_disk *d, const char *path);

/* Writes all files into a real folder, as <folder>/<path with '/' as '_'>; for people. */
void sim_disk_dump(const sim_disk *d, const char *folder);

/* A bit of a file rots, on disk and as it is read. */
typedef struct sim_flip {
    uint64_t inode;
    uint64_t position;
    uint8_t mask;
    uint8_t flipped; /* the byte as it is then */
} sim_flip;
sim_flip sim_disk_flip(sim_disk *d, const char *path, uint64_t position, uint8_t mask);
/* Takes it back, unless the byte was written since or the file is gone. */
void sim_disk_unflip(sim_disk *d, const sim_flip *f);

#endif
