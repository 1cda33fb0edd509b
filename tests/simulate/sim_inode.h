/* Inside the fake disk: the contents of one file, as they read now and as they are on disk. */
#ifndef SIM_INODE_H
#define SIM_INODE_H

#include "sim_disk.h"

/* One unsynced change: a sector as it became, or a truncation. */
typedef struct sim_change {
    uint64_t order;
    uint64_t sector; /* UINT64_MAX: a truncation */
    uint64_t size;   /* of the file, behind the operation this belongs to */
    bool is_first;   /* of its operation */
    uint8_t bytes[SIM_SECTOR];
} sim_change;

struct sim_inode {
    uint64_t id; /* never used twice */
    lc_buf now;
    lc_buf durable;
    LC_VEC(sim_change) changes;
    uint32_t handles;
    uint32_t failures; /* syncs that failed */
    bool is_lying;     /* after a failed sync: reads give what neither is on disk nor will be */
    bool is_named;
    const void *lock; /* the handle that has it */
};

/* What a crash keeps of what was not synced. */
typedef enum sim_fate { SIM_FATE_ALL, SIM_FATE_NONE, SIM_FATE_PREFIX, SIM_FATE_ANY } sim_fate;
typedef struct sim_crash {
    sim_random *random;
    sim_fate fate;
    uint64_t until;    /* PREFIX, ANY: what came before is all there */
    uint32_t permille; /* ANY: of the rest so much */
} sim_crash;
bool sim_crash_keeps(const sim_crash *c, uint64_t order);

sim_inode *sim_inode_create(void);
void sim_inode_destroy(sim_inode *n);
/* Changes what reads give; order is that of the operation. */
void sim_inode_write(sim_inode *n, const void *bytes, size_t len, uint64_t at, uint64_t order);
void sim_inode_truncate(sim_inode *n, uint64_t size, uint64_t order);
void sim_inode_sync(sim_inode *n);
/* A sync that fails. */
void sim_inode_sync_failed(sim_inode *n, const sim_crash *c);
void sim_inode_power_off(sim_inode *n, const sim_crash *c);
void sim_inode_kill(sim_inode *n);
/* How many bytes from the beginning read as they are on disk. */
uint64_t sim_inode_synced(const sim_inode *n);

#endif
