/*
 * server: the node. Its data folder, its configuration, its catalog of databases, names and owners,
 * the databases that are open, and a pool of worker threads for everything that may block.
 * Source: spec chapter 04 sections 4 and 5.
 *
 * The catalog is small and read from memory; each change is written as a whole file, aside, synced
 * and renamed (lc_disk_write_file), before the call returns: after a crash it is old or new.
 *
 * Threads: every function may be called from any thread but loops and executors, because most of
 * them may block (on disk, on a database that opens, on a module that compiles): call them on
 * workers.
 */
#ifndef LC_SERVER_H
#define LC_SERVER_H

#include "auth/lc_auth.h"
#include "database/lc_database.h"

typedef struct lc_node lc_node;

/* -------------------------------------------------------------- life cycle */

/* A database on its way up. */
typedef struct lc_opening {
    const char *name; /* one of its names, or its identity */
    lc_storage_progress progress;
    uint64_t millis;  /* since it began */
    bool is_over;     /* it is open, or failed */
    uint64_t said_at; /* of whoever listens: 0 at first */
} lc_opening;

typedef struct lc_node_options {
    const char *data_folder;      /* layout of 04 section 5.2 */
    const char *key_folder;       /* id_ecdsa, id_ecdsa.pub; NULL: keys/ of the data folder */
    const char *private_key_path; /* both or none */
    const char *public_key_path;
    const lc_durability *durability; /* NULL: as configured */
    /* For a tool that works on the data folder while no server runs: no database is opened by
     * itself. */
    bool is_tool;
    /* While a database opens, on the worker that opens it: now and then, and at the end. */
    void (*on_opening)(void *arg, lc_opening *o);
    void *arg;
} lc_node_options;

/* config.toml of the data folder (04 section 5.4), as far as this server knows its keys. */
typedef struct lc_node_config {
    uint64_t ws_ping_interval_millis;
    uint64_t ws_idle_timeout_millis;
    uint64_t ws_close_timeout_millis;
    uint64_t ws_incoming_queue_length;
    uint64_t commitlog_max_segment_size;
    lc_durability durability;
    lc_storage_policy storage;       /* tables `snapshots` and `retention` */
    uint64_t call_time_limit_millis; /* `reducer-time-limit` of table `wasm` */
    lc_log_level log_level;
} lc_node_config;

/* Words of the configuration and the command line, by lc_durability; ends with NULL. */
extern const char *const lc_durability_names[];

/* Locks the data folder (one clear error when another server has it), reads or makes keys and
 * configuration, loads the catalog, opens every database that has schedules. */
lc_status lc_node_create(const lc_node_options *o, lc_node **out, lc_error *err);
/* Closes every database (drained and synced, clients told), stops the workers, frees. */
void lc_node_destroy(lc_node *n);
lc_auth *lc_node_auth(lc_node *n);
const lc_node_config *lc_node_get_config(const lc_node *n);
/* The first half of destroy, while loops still run: closes the databases so that their clients get
 * their Close frames and disconnect reducers run. New opens are refused with LC_E_CLOSED. */
void lc_node_close_databases(lc_node *n);
/* It has begun. Whoever waits for something from outside gives up then: the node waits for them. */
bool lc_node_is_closing(lc_node *n);
/* The second: waits for work under way, which may still use what its submitter is about to free.
 * Nothing may be submitted from here on. */
void lc_node_end_work(lc_node *n);

/* ----------------------------------------------------------------- workers */

/* Runs fn(arg) on a worker thread, soon. Workers are started on demand, at most
 * LC_NODE_MAX_WORKERS; beyond that work waits in order. Any thread. */
#define LC_NODE_MAX_WORKERS 128
void lc_node_work(lc_node *n, void (*fn)(void *arg), void *arg);

/* ----------------------------------------------------------------- catalog */

typedef struct lc_database_record {
    uint64_t id;
    lc_identity identity;
    lc_identity owner;
    uint8_t host_type;           /* 0 wasm, 1 js */
    uint8_t initial_program[32]; /* hash of the program it was created with */
    uint64_t replica;            /* number of its folder */
    bool is_locked;
    bool has_schedules;
} lc_database_record;

/* Database names (04 section 4.1): LC_E_INVALID with the exact text. */
lc_status lc_database_name_check(lc_span name, lc_error *err);
/* `hex64`, optionally after 0x or X' : an identity in a path segment (04 section 2.0). */
bool lc_identity_in_path(lc_span segment, lc_identity *out);

/* LC_E_NOT_FOUND: no such name. A name may outlive its database. */
lc_status lc_node_resolve(lc_node *n, lc_span name, lc_identity *out);
lc_status lc_node_record(lc_node *n, const lc_identity *database, lc_database_record *out);
/* Names of a database in registration order, as a JSON array of strings. */
void lc_node_names_json(lc_node *n, const lc_identity *database, lc_buf *out);
/* Identities (hex64 strings, JSON array) of the databases owned, in id order. */
void lc_node_owned_json(lc_node *n, const lc_identity *owner, lc_buf *out);
/* POST names: LC_E_INVALID bad name, LC_E_DENIED the name belongs to another owner, LC_E_EXISTS. */
lc_status lc_node_add_name(lc_node *n, const lc_identity *caller, const lc_identity *database,
                           lc_span name, lc_error *err);
/* PUT names: replaces all. LC_E_INVALID, LC_E_DENIED with *which = -1 (not the owner), the index of
 * the name that another owner holds, or -2 (another owner holds a name that the database has: err's
 * text), LC_E_EXISTS (in use; *which). */
lc_status lc_node_set_names(lc_node *n, const lc_identity *caller, const lc_identity *database,
                            const lc_span *names, uint32_t count, int32_t *which, lc_error *err);
lc_status lc_node_set_locked(lc_node *n, const lc_identity *database, bool locked, lc_error *err);

/* The energy balance that nothing consumes (04 section 2.9): i128 as decimal text. */
void lc_node_energy(lc_node *n, const lc_identity *id, lc_buf *out);
void lc_node_energy_add(lc_node *n, const lc_identity *id, lc_i128 amount);

/* --------------------------------------------------------------- databases */

/* The running database, opened when it is not; a reference for the caller. LC_E_NOT_FOUND: no such
 * database. Any other failure carries the reason. One whose log failed, or that cannot be opened
 * for writing, is opened for reading only (lc_database_read_only) until it is restarted. */
lc_status lc_node_open(lc_node *n, const lc_identity *database, lc_database **out, lc_error *err);

typedef struct lc_publish {
    const lc_identity *caller;
    lc_span name;                /* of the URL; ptr NULL: none or an identity was given */
    const lc_identity *identity; /* given in the URL; NULL otherwise */
    lc_span program;
    uint8_t host_type;
    bool clear; /* reset the data when the database exists */
} lc_publish;
typedef struct lc_published {
    lc_identity identity;
    bool is_new;
} lc_published;
/* All of 04 section 4.3 from step 2 on; also reset (4.6) when clear is set and the database exists.
 * LC_E_DENIED: not the owner, or the name is another owner's (then *name_denied). LC_E_INVALID: the
 * module or its init failed. LC_E_UNSUPPORTED: the schema change needs a migration. LC_E_READ_ONLY:
 * its log cannot be written. A failure leaves the old module running. */
lc_status lc_node_publish(lc_node *n, const lc_publish *p, lc_published *out, bool *name_denied,
                          lc_error *err);
/* PUT reset without a body: the same program again over empty data. */
lc_status lc_node_reset(lc_node *n, const lc_identity *caller, const lc_identity *database,
                        lc_error *err);
/* Closes the database and opens it again, for writing whatever happened to it: LC_E_DENIED (not the
 * owner), LC_E_READ_ONLY with the reason when it can still only be read, or why it does not open.
 */
lc_status lc_node_restart(lc_node *n, const lc_identity *caller, const lc_identity *database,
                          lc_error *err);
lc_status lc_node_delete(lc_node *n, const lc_identity *caller, const lc_identity *database,
                         lc_error *err);

/* ------------------------------------------------------ backup and restore */

/* A backup of a database, opened when it is not, as far as it is durable now; see
 * lc_backup_create. */
lc_status lc_node_backup(lc_node *n, const lc_identity *database, uint64_t since,
                         lc_backup_write write, void *arg, lc_backup_info *info, lc_error *err);

typedef struct lc_restore {
    const lc_identity *caller; /* becomes its owner */
    lc_span name;              /* of the new database */
    lc_restore_point at;
    const char *folder; /* a database folder to restore from; NULL: a backup, from read */
    lc_backup_read read;
    void *arg;
} lc_restore;
typedef struct lc_restore_result {
    lc_identity identity;
    lc_backup_info info;
} lc_restore_result;
/* A new database out of a backup; it is not opened. LC_E_EXISTS: a database of that name exists
 * (none is ever replaced), LC_E_DENIED: the name is another owner's, LC_E_INVALID: the name, the
 * moment, or a foreign file; LC_E_CORRUPT. On failure nothing is left of it, name included. */
lc_status lc_node_restore(lc_node *n, const lc_restore *r, lc_restore_result *out, lc_error *err);

#endif
