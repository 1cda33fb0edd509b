/*
 * A database over a temporary folder with a clock and a disk that tests control, and a module of a
 * few lines:
 *   table tick(id: u64 key, at: ScheduleAt) calls on_tick, which adds its timestamp to fired(stamp)
 *   reducer add(id, at) adds to tick; connecting and disconnecting add to seen(what, stamp): 1 and
 * 2
 */
#ifndef DATABASE_KIT_H
#define DATABASE_KIT_H

#include "lc_test.h"

#include "database/database_internal.h"

typedef struct kit_client kit_client;

typedef struct kit {
    char folder[64];
    lc_engine *engine;
    lc_clock clock;
    atomic_int_least64_t now;   /* wall clock, micros */
    atomic_uint_least64_t mono; /* nanos */
    lc_disk disk;
    atomic_bool disk_is_full; /* writes fail with ENOSPC */
    lc_identity owner;
    lc_database *db;
    atomic_int failures; /* calls of on_failed */
    char *reason;        /* of the last */
} kit;

/* With a database that is just published. */
void kit_init(kit *k);
/* Closes it, removes the folder. */
void kit_deinit(kit *k);
/* Closes the database and lets go of it. */
void kit_close(kit *k, bool in_order);
/* Opens it again; read_only_reason as in lc_database_options. */
void kit_open(kit *k, const char *read_only_reason);

/* Moves both clocks, or the wall clock alone; then whatever is due has run. */
void kit_advance(kit *k, int64_t micros);
void kit_jump(kit *k, int64_t micros);
/* Until nothing is due. */
void kit_settle(kit *k);

/* A call over HTTP; json are its arguments. The refusal (LC_OK: it ran); text, when not NULL, gets
 * what it said, heap. Waits for durability unless the log failed. */
lc_status kit_call(kit *k, const char *reducer, const char *json, char **text);
/* add(id, at a time / every so many micros). */
void kit_add_time(kit *k, uint64_t id, int64_t at);
void kit_add_interval(kit *k, uint64_t id, int64_t micros);
/* Runs a statement: its status; text as above; rows, when not NULL, gets the first 8 bytes of every
 * row, ascending. */
typedef LC_VEC(int64_t) kit_numbers;
lc_status kit_sql(kit *k, const char *sql, kit_numbers *rows, char **text);
/* The numbers of a query are exactly these. */
void kit_expect(kit *k, const char *sql, size_t count, const int64_t *want);
#define kit_expect_numbers(k, sql, ...)                                                            \
    kit_expect((k), (sql), sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t),                     \
               (int64_t[]){__VA_ARGS__})
#define kit_expect_none(k, sql) kit_expect((k), (sql), 0, NULL)

/* A WebSocket client whose deliveries end up in a text: `<message>;`, `close <code> <reason>;`,
 * `gone;`. Those that wait for durability count as delivered when they are durable. */
kit_client *kit_connect(kit *k);
void kit_subscribe(kit *k, kit_client *c, const char *sql);
void kit_client_call(kit *k, kit_client *c, const char *reducer, lc_span args);
/* What was delivered since the last look; valid until the next. */
const char *kit_delivered(kit *k, kit_client *c);
/* Sends the last request, waits for the answer, frees. */
void kit_disconnect(kit *k, kit_client *c);

#endif
