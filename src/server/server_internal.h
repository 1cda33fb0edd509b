/*
 * Inside of the server room: TOML, configuration, the catalog as a value, workers, and lc_node.
 *
 * Locks, always taken in this order: `change` (one change of the catalog at a time; held while the
 * file is written), then `lock` (everything else in memory; never held while anything blocks). The
 * worker pool has a lock of its own, taken last. `programs` is taken alone.
 */
#ifndef LC_SERVER_INTERNAL_H
#define LC_SERVER_INTERNAL_H

#include "server/lc_server.h"

#include <pthread.h>

/* ---------------------------------------------------------------------- toml.c */

typedef enum lc_toml_kind {
    LC_TOML_STRING,
    LC_TOML_INTEGER,
    LC_TOML_BOOLEAN,
    LC_TOML_FLOAT,   /* text as written */
    LC_TOML_DATE,    /* text as written */
    LC_TOML_STRINGS, /* array whose every element is a string, or an empty one */
    LC_TOML_ARRAY,   /* any other array; its elements are not kept */
} lc_toml_kind;

/* One value. Path: the keys joined by dots (a dot inside of a key looks the same). */
typedef struct lc_toml_value {
    char *path;
    lc_toml_kind kind;
    char *text;
    int64_t integer; /* also BOOLEAN */
    LC_VEC(char *) strings;
} lc_toml_value;
typedef struct lc_toml {
    LC_VEC(lc_toml_value) values;
    LC_VEC(char *) tables; /* headers seen */
} lc_toml;
/* Tables, dotted and quoted keys, one-line strings, numbers, booleans, dates, arrays, inline
 * tables; no multi-line strings, and members of arrays of tables are read but not kept. On failure
 * LC_E_INVALID `line N: ...`. */
lc_status lc_toml_parse(lc_span text, lc_toml *out, lc_error *err);
void lc_toml_deinit(lc_toml *t);
lc_toml_value *lc_toml_get(lc_toml *t, const char *path); /* NULL when absent */
bool lc_toml_has_table(lc_toml *t, const char *path);

/* -------------------------------------------------------------------- config.c */

typedef struct lc_node_settings {
    lc_node_config config;
    char *private_key_path; /* of table certificate-authority; both or none */
    char *public_key_path;
} lc_node_settings;
void lc_node_settings_deinit(lc_node_settings *s);
/* Reads the file, writing one of comments and defaults when there is none. */
lc_status lc_node_settings_load(const char *path, lc_node_settings *out, lc_error *err);
/* `15s`, `1h 30min`, `250ms`: milliseconds, rounded up. Texts of the reference. */
lc_status lc_duration_parse_millis(lc_span text, uint64_t *millis, lc_error *err);
/* metadata.toml: refuses a folder that a newer server has written (04 section 5.2). */
#define LC_COMPATIBLE_VERSION "2.8.3" /* of the reference, whose folder layout this is */
lc_status lc_node_check_metadata(const char *path, lc_error *err);

/* ------------------------------------------------------------------- catalog.c */

typedef struct lc_catalog_database {
    lc_database_record record;
    uint8_t program[32]; /* running now; record.initial_program is what it began with */
    uint8_t program_kind;
} lc_catalog_database;
typedef struct lc_catalog_name {
    lc_span text;
    lc_identity identity; /* of the database; in `owners` of whoever may use the name */
} lc_catalog_name;
typedef struct lc_catalog_balance {
    lc_identity identity;
    lc_i128 amount;
} lc_catalog_balance;

/* The whole catalog, a value: a change is made to a copy, which replaces the old one when it has
 * been written. */
typedef struct lc_catalog {
    uint64_t next_id;                      /* of databases and replicas alike; never used twice */
    LC_VEC(lc_catalog_database) databases; /* by id */
    LC_VEC(lc_catalog_name) names;         /* in registration order */
    LC_VEC(lc_catalog_name) owners;        /* who claimed a name, for ever */
    LC_VEC(lc_catalog_balance) balances;
    LC_VEC(uint64_t) doomed; /* replica folders that belong to no database: to be removed */
    lc_arena texts;
    /* Index + 1 into the above. */
    lc_map database_at, name_at, owner_at, balance_at;
} lc_catalog;
lc_catalog *lc_records_create(void);
lc_catalog *lc_records_copy(lc_catalog *c);
void lc_records_destroy(lc_catalog *c);
void lc_records_encode(lc_catalog *c, lc_buf *out);
lc_status lc_records_decode(lc_span bytes, lc_catalog **out, lc_error *err);

lc_catalog_database *lc_records_find(lc_catalog *c, const lc_identity *database);
const lc_catalog_name *lc_records_name_find(lc_catalog *c, lc_span name);
const lc_catalog_name *lc_records_owner_find(lc_catalog *c, lc_span name);
lc_catalog_balance *lc_records_balance_find(lc_catalog *c, const lc_identity *id);
void lc_records_add(lc_catalog *c, const lc_catalog_database *d); /* its id is the largest */
void lc_records_remove(lc_catalog *c, const lc_identity *database);
/* Registers the name and claims it for the owner if nobody has. */
void lc_records_add_name(lc_catalog *c, lc_span name, const lc_identity *database,
                         const lc_identity *owner);
void lc_records_drop_names(lc_catalog *c, const lc_identity *database);
void lc_records_add_balance(lc_catalog *c, const lc_identity *id, lc_i128 amount);
void lc_records_doom(lc_catalog *c, uint64_t replica);
void lc_records_undoom(lc_catalog *c, uint64_t replica);

/* ------------------------------------------------------------------- workers.c */

#define LC_WORKER_IDLE_MILLIS 10000
typedef struct lc_workers lc_workers;
lc_workers *lc_workers_create(void);
void lc_workers_submit(lc_workers *w, void (*fn)(void *arg), void *arg);
/* Runs what is left, waits for every worker to end. */
void lc_workers_destroy(lc_workers *w);

/* ------------------------------------------------------------------- folders.c */

char *lc_node_replica_folder(const lc_node *n, uint64_t replica); /* heap */
/* Everything below and the folder itself; does not follow links. A missing folder is fine. */
lc_status lc_folder_remove(const char *path, lc_error *err);
/* Largest number among the entries of the folder; 0 when there is none. */
uint64_t lc_folder_largest_number(const char *path, uint32_t *count);
lc_status lc_node_store_program(lc_node *n, lc_span program, const uint8_t hash[32], lc_error *err);
lc_status lc_node_load_program(lc_node *n, const uint8_t hash[32], lc_buf *out, lc_error *err);
/* Exclusive use of the data folder: spacetime.pid. */
lc_status lc_pid_file_take(const char *path, int *fd, lc_error *err);
void lc_pid_file_give_back(const char *path, int fd);

/* ----------------------------------------------------------------------- node.c */

/* A database that is running, or that somebody is about to do something with. */
typedef struct lc_slot {
    lc_identity identity;
    lc_database *database; /* running; a reference */
    bool is_busy;          /* being opened, exchanged or closed: others wait */
    bool is_publishing;    /* at most one publisher, resetter or deleter at a time */
    uint32_t users;        /* threads that hold it; an unused slot without anything is freed */
    uint64_t attempts;     /* to open that have ended */
    lc_status failure;     /* of the last one, for those who waited for it */
    char *failure_text;
    char *read_only; /* why the database is opened for reading only; NULL: for writing */
} lc_slot;

struct lc_node {
    char *folder;
    int pid_file;
    lc_node_settings settings;
    lc_auth *auth;
    lc_engine *engine;
    lc_workers *workers;
    void (*on_opening)(void *arg, lc_opening *o);
    void *on_opening_arg;

    pthread_mutex_t programs; /* one file is written at a time: two publishers may bring the same */
    pthread_mutex_t change;

    pthread_mutex_t lock;
    pthread_cond_t changed; /* some slot, or is_closing */
    lc_catalog *catalog;
    lc_map slots;     /* identity -> lc_slot */
    uint32_t endings; /* threads that close a database */
    bool is_closing;
};

/* A copy of the catalog to change; takes `change`. End it with commit or abandon. */
lc_catalog *lc_node_begin_change(lc_node *n);
lc_status lc_node_commit_change(lc_node *n, lc_catalog *c, lc_error *err);
void lc_node_abandon_change(lc_node *n, lc_catalog *c);

/* ------------------------------------------------------------------ databases.c */

/* With `lock` held. */
lc_slot *lc_slot_hold(lc_node *n, const lc_identity *database);
void lc_slot_let_go(lc_node *n, lc_slot *s);
void lc_slot_free(lc_slot *s);
/* Waits for its turn to publish, reset, delete or restore; afterwards the record is the current one
 * (*exists: there is one). Slot held, too. */
lc_status lc_slot_begin_publishing(lc_node *n, lc_slot *s, lc_catalog_database *record,
                                   bool *exists, lc_error *err);
void lc_slot_end_publishing(lc_node *n, lc_slot *s);
/* Without `lock`, by whoever has the turn. Takes the database (may be NULL) out of its slot, which
 * then is busy: until one is put in others wait. */
lc_database *lc_slot_take_out(lc_node *n, lc_slot *s);
void lc_slot_put_in(lc_node *n, lc_slot *s, lc_database *db);
/* The same; the one that was in it is no more, whatever had happened to that. */
void lc_slot_put_in_new(lc_node *n, lc_slot *s, lc_database *db);
lc_status lc_node_is_shutting_down(lc_error *err); /* sets it, LC_E_CLOSED */
/* Opens the databases that must run without being asked for, on workers. */
void lc_node_open_scheduled(lc_node *n);
/* Without `lock` from here on. An identity that nobody has. */
lc_identity lc_node_new_identity(void);
/* A number for a new replica, doomed until a database has it. */
lc_status lc_node_reserve_replica(lc_node *n, uint64_t *replica, lc_error *err);
/* Its folder, on disk and empty; heap, also after a failure. */
lc_status lc_node_make_replica(lc_node *n, uint64_t replica, char **folder, lc_error *err);
/* A first publish into it; takes prepared. */
lc_status lc_node_create_replica(lc_node *n, const lc_identity *identity, const lc_identity *owner,
                                 uint64_t replica, lc_prepared *prepared, lc_database **out,
                                 lc_error *err);
/* Removes a doomed replica's folder on a worker, then forgets it. */
void lc_node_remove_replica(lc_node *n, uint64_t replica);

#endif
