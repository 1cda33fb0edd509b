/*
 * A store as bench-peers drives it: one table of rows (u32 key, i32 number), keys 1..n,
 * transactions one at a time, nothing synced but by save. A failure prints and exits.
 */
#ifndef PEER_H
#define PEER_H

#include <stdbool.h>
#include <stdint.h>

typedef struct peer {
    const char *name;
    /* Empty. folder is there and empty; who keeps all in memory needs it not. */
    void (*open)(const char *folder);
    void (*close)(void);
    /* Each one transaction. */
    void (*insert)(uint32_t first_key, uint32_t count, int32_t number);
    void (*update)(const uint32_t *keys, uint32_t count, int32_t number);
    void (*remove)(const uint32_t *keys, uint32_t count);
    int32_t (*find)(uint32_t key);
    int64_t (*sum)(void); /* of all numbers: a scan */
    /* All rows into a file in the folder, synced. */
    void (*save)(const char *folder);
    /* In a new process: opens what was saved, so that every row can be found in memory. */
    void (*load)(const char *folder);
} peer;

extern const peer peer_lightcone, peer_sqlite, peer_lmdb;

_Noreturn void peer_fail(const char *what, const char *why);

#endif
