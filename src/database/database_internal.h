/*
 * Inside of the database room: the lc_database struct and the functions its files share.
 *
 * Fields are grouped by the thread that owns them. The executor's fields may also be touched by the
 * thread that creates or opens the database, before the first request is submitted.
 */
#ifndef LC_DATABASE_INTERNAL_H
#define LC_DATABASE_INTERNAL_H

#include "database/lc_database.h"

#include <pthread.h>

/* How much an executor does before it lets loops and journal see it: smaller overlaps the threads
 * better, larger saves wake-ups (measured: 256 requests is within 2 % of the best at 64 x 40). */
enum { LC_FLUSH_REQUESTS = 256, LC_FLUSH_BYTES = 256 * 1024 };

/* Calls that a module asks for itself: how many run between two requests, and for how long another
 * is begun; how many bytes of them may wait: more are dropped, which its log says once. */
enum {
    LC_VOLATILE_ROUND = 64,
    LC_VOLATILE_ROUND_MILLIS = 10,
    LC_VOLATILE_MAX_BYTES = 64 << 20,
};

/* ------------------------------------------------------------------ schedule.c */

/* A table whose rows call a function. */
typedef struct lc_schedule_table {
    uint32_t table_id;
    uint16_t id_column, at_column;
    lc_index *by_id; /* unique index over the id column */
    const lc_schedule_def *def;
} lc_schedule_table;

/* A wall clock that was set back by so much since the last look has jumped. */
#define LC_SCHEDULE_JUMP_MICROS 1000000

/* One queued row. An entry is current while its serial is the one in the map. */
typedef struct lc_schedule_entry {
    int64_t due;      /* wall clock micros when it runs */
    int64_t intended; /* the time it was meant for: anchor of intervals */
    uint64_t serial;
    uint64_t row_id;
    uint32_t table_id;
    bool is_interval;
} lc_schedule_entry;

typedef struct lc_schedule {
    LC_VEC(lc_schedule_table) tables;
    LC_VEC(lc_schedule_entry) heap;    /* binary min-heap by (due, intended, serial) */
    LC_VEC(lc_schedule_entry) pending; /* written by the open transaction; queued at its commit */
    lc_map current;                    /* (table id, row id) -> serial + 1 */
    uint64_t next_serial;
    int64_t ahead; /* at the last look: wall clock minus monotonic, micros */
    bool has_looked;
} lc_schedule;

/* Reads the schedule tables of the schema in force and queues all their rows (05 section 6.4). */
void lc_schedule_restart(lc_database *db);
void lc_schedule_deinit(lc_schedule *s);
/* lc_env.row_written. */
lc_errno lc_schedule_row_written(void *arg, lc_table *table, lc_span row);
void lc_schedule_commit(lc_database *db);
void lc_schedule_rollback(lc_database *db);
/* Wall clock micros of the next entry, INT64_MAX when there is none. */
int64_t lc_schedule_next_due(const lc_database *db);
/* Looks at the clocks, too: intervals keep their pace when the wall clock is set back. */
bool lc_schedule_is_due(lc_database *db);
/* Runs what is due, one entry; false when nothing is. */
bool lc_schedule_run_one(lc_database *db);

/* ---------------------------------------------------------------- module_log.c */

typedef struct lc_module_log lc_module_log;
lc_module_log *lc_module_log_create(const char *folder, const lc_disk *disk, const lc_clock *clock);
void lc_module_log_destroy(lc_module_log *l);
/* One record as an NDJSON line (04 section 5.5). */
void lc_module_log_format(const lc_module_log_record *r, int64_t now_micros, lc_buf *out);
/* Appends complete lines. Any thread; the file is written by the log's own thread. */
void lc_module_log_append(lc_module_log *l, lc_span lines);
lc_status lc_module_log_read(lc_module_log *l, int64_t lines, lc_buf *out, lc_error *err);
lc_log_reader *lc_module_log_follow(lc_module_log *l, void (*each)(void *arg, lc_span line),
                                    void *arg);
void lc_module_log_unfollow(lc_module_log *l, lc_log_reader *r);

/* ------------------------------------------------------------------ the object */

struct lc_prepared {
    lc_engine *engine;
    lc_program *program;
    lc_span bytes; /* owned copy */
    uint8_t kind;
    uint8_t hash[32];
    lc_env *env;       /* heap: the instance points at it; given to the database with it */
    lc_store *nothing; /* env's store until adoption: it never has a transaction */
    lc_instance *instance;
    lc_schema *schema;
    lc_buf log_lines; /* written by the module at start-up; go to the log when it is adopted */
    const lc_clock *clock;
};

/* Batches under construction for one I/O loop. */
typedef struct lc_outgoing {
    lc_sink *sink;
    lc_delivery_batch *held;
    lc_delivery_batch *immediate;
} lc_outgoing;

struct lc_database {
    /* fixed after creation ---- */
    atomic_int refs;
    lc_identity identity;
    lc_identity owner;
    char *folder;
    lc_engine *engine;
    const lc_disk *disk;
    const lc_clock *clock;
    const lc_random *random;
    void (*on_failed)(void *arg, lc_database *db, const lc_error *err);
    void *on_failed_arg;
    void (*on_progress)(void *arg, const lc_storage_progress *p);
    void *progress_arg;
    lc_file *lock_file;
    lc_module_log *log;
    char *read_only; /* what who would write is told; NULL: writable */

    /* any thread, under lock ---- */
    pthread_mutex_t lock;
    pthread_cond_t wake;    /* executor: inbox filled */
    pthread_cond_t stopped; /* close: the executor has ended */
    pthread_cond_t durable; /* workers waiting for durability */
    lc_request_batch *inbox_first;
    lc_request_batch **inbox_last;
    bool is_begun; /* until then no executor starts: another thread has its fields */
    bool executor_runs;
    bool executor_sleeps;
    bool must_stop; /* close is waiting: end when the inbox is empty */
    uint32_t durable_waiters;
    uint32_t readers; /* workers that look at plans and images: the tables stay that long */
    uint32_t reader_threads;
    lc_long_read *waiting_reads; /* oldest first */
    LC_VEC(lc_sink *) sinks;
    lc_schema *schema; /* replaced by the executor, read by others under lock */
    char *failure;     /* why the log cannot be written; set once */
    atomic_uint_least64_t durable_count;
    atomic_bool is_failed;
    atomic_bool is_tick_posted;
    lc_job tick, failing; /* posted by threads of the storage */
    atomic_size_t inbox_bytes;
    atomic_bool has_schedules;
    atomic_uint_least64_t
        close_by; /* monotonic nanos when waiting requests are dropped; 0: never */

    /* the executor's ---- */
    bool is_closed; /* requests are answered with LC_E_CLOSED; no storage, store, live, instance */
    lc_storage *storage; /* NULL once closed, and then the store is gone, too */
    lc_store *store;
    uint64_t need; /* the durable count at which everything committed so far is on disk */
    lc_live *live; /* NULL once closed */
    lc_program *program;
    lc_env *env;
    lc_instance *instance; /* NULL after a trap until the next call */
    uint8_t program_hash[32];
    lc_schedule schedule;
    lc_client *clients;                              /* connected ones */
    LC_VEC(lc_long_read *) long_reads;               /* not finished, oldest first */
    const lc_protocol *protocols[LC_LIVE_PROTOCOLS]; /* seen so far, by slot */
    int64_t last_timestamp;
    uint64_t serial;
    LC_VEC(lc_outgoing) outgoing;
    size_t unflushed_requests;
    size_t unflushed_bytes;
    lc_buf text;           /* scratch: error texts of calls */
    lc_buf args;           /* scratch: arguments converted from JSON */
    lc_buf volatile_calls; /* queued by calls: lenstr name, lenstr args */
    size_t volatile_at;    /* those before it have run */
    bool volatile_dropped; /* some, since the queue was empty */
};

/* ------------------------------------------------------------------ executor.c */

lc_database *lc_database_new(const lc_database_options *o);
/* From here on the executor's fields are its own; starts it when something waits for it. */
void lc_database_begin(lc_database *db);
void lc_database_flush(lc_database *db);
/* No more work: it is closed, or has been closing for too long. Executor. */
bool lc_database_is_over(lc_database *db);
/* Has the job run on the executor. Any thread; the job stays the caller's. */
void lc_database_post(lc_database *db, lc_job *job);
/* The storage's callbacks; arg is the database. */
void lc_database_on_durable(void *arg, uint64_t durable_count);
void lc_database_on_failed(void *arg, const lc_error *err);
void lc_database_on_wake(void *arg);

/* Where a client's next message goes: append the body to the returned buffer, then finish. A
 * message of no bytes is not sent. */
typedef struct lc_reply {
    lc_delivery_batch *batch;
    size_t at;
} lc_reply;
lc_buf *lc_reply_begin(lc_client *c, lc_reply *r);
void lc_reply_end(lc_client *c, lc_reply *r, lc_delivery_kind kind);
void lc_reply_shared(lc_client *c, lc_message *m); /* takes m */

/* ---------------------------------------------------------------------- life.c */

void lc_database_run_failure(lc_job *job, lc_database *db);

/* Executor, then any thread: the tables stay until as many reads have ended as begun. */
void lc_database_begin_read(lc_database *db);
void lc_database_end_read(lc_database *db);

/* Sends what is in from, which it takes, past everything that waits behind a long read. */
void lc_reply_move(lc_client *c, lc_delivery_batch *from);

/* ----------------------------------------------------------------- long_read.c */

/* Threads that read images at a time, for one database. */
enum { LC_LONG_READERS = 2 };

/* What a client asked, for the answer. */
typedef struct lc_question {
    lc_live_kind live_kind;
    bool is_unsubscribe;
    uint32_t request_id;
    uint32_t id;
    lc_span message_id; /* of a one-off query; copied */
    uint64_t started;   /* monotonic nanos */
} lc_question;
/* Answer c later. Take results, or plan and image. */
void lc_long_read_results(lc_client *c, const lc_question *q, lc_live_results *results);
void lc_long_read_plan(lc_client *c, const lc_question *q, lc_plan *plan, lc_image *image);
/* Where what c is to get after its last long read waits. */
lc_delivery_batch *lc_long_read_behind(const lc_client *c);
/* Waits for the readers: before plans and tables change or go. */
void lc_long_read_finish_all(lc_database *db);

/* ------------------------------------------------------------------ transact.c */

int64_t lc_database_timestamp(lc_database *db); /* strictly increasing */
/* The same when the wall clock was read already. */
int64_t lc_database_stamp(lc_database *db, int64_t now);
/* Commits the open transaction: log record, schedules, subscribers (unless e is NULL). answer_to:
 * the client that made the call and gets its result (may be NULL). always_log: 05 section 3.6. */
void lc_database_commit(lc_database *db, const lc_log_inputs *inputs, lc_tx_event *e,
                        lc_client *answer_to, bool always_log);
void lc_database_rollback(lc_database *db);
/* --------------------------------------------------------------------- calls.c */

/* Runs a reducer inside the open transaction. USER_ERROR logs the text to the module log. The text
 * is appended to db->text. */
lc_call_status lc_database_run_reducer(lc_database *db, const lc_function_def *f,
                                       const lc_identity *sender, const lc_connection_id *conn,
                                       int64_t timestamp, lc_span args);
/* Makes sure an instance exists; false (a log line, and the caller's text in db->text) when the
 * module cannot start again. */
bool lc_database_ensure_instance(lc_database *db);
void lc_database_run_volatile_calls(lc_database *db);
void lc_database_client_call(lc_database *db, lc_client *c, const lc_request *r);
void lc_database_client_procedure(lc_database *db, lc_client *c, const lc_request *r);

/* ------------------------------------------------------------------- clients.c */

/* client_connected in a transaction of its own. On failure text is in db->text. */
lc_status lc_database_connect(lc_database *db, const lc_identity *id, const lc_connection_id *conn,
                              lc_span jwt_payload, lc_call_status *how);
void lc_database_disconnect(lc_database *db, const lc_identity *id, const lc_connection_id *conn);
void lc_database_client_connect(lc_database *db, lc_client *c);
void lc_database_client_disconnect(lc_database *db, lc_client *c);
/* Close frame to every connected client. */
void lc_database_close_clients(lc_database *db, uint16_t code, const char *reason);
void lc_client_send_close(lc_client *c, uint16_t code, const char *reason);
void lc_client_free(lc_client *c);

/* ------------------------------------------------------------- subscriptions.c */

void lc_database_client_subscribe(lc_database *db, lc_client *c, const lc_request *r);
void lc_database_client_unsubscribe(lc_database *db, lc_client *c, const lc_request *r);
void lc_database_client_one_off(lc_database *db, lc_client *c, const lc_request *r);

/* -------------------------------------------------------------------- module.c */

/* Makes the prepared module the running one: instance, env, schema, program. Takes p. */
void lc_database_adopt(lc_database *db, lc_prepared *p);
void lc_database_set_schema(lc_database *db, lc_schema *schema); /* takes the reference */
/* The transaction that makes an empty database: tables, module, init. Takes p. */
lc_status lc_database_first_publish(lc_database *db, lc_prepared *p, lc_error *err);
/* Starts the module that the tables hold. */
lc_status lc_database_load_module(lc_database *db, lc_error *err);

#endif
