/*
 * database: ONE database. Joins storage, host and live under one executor thread that runs
 * everything on its data: transactions, queries, subscriptions, delta evaluation, schedules.
 *
 * Way of a call: an I/O loop decodes a frame and adds a request to its batch for this database; at
 * the end of its turn it submits the batch (one lock, at most one wake-up). The executor runs the
 * requests in order, commits them to the storage, appends outgoing messages to batches of its own,
 * and flushes: messages to the loops, log records to the log's writer. The writer syncs and wakes
 * the loops, which then send what became durable.
 *
 * The executor thread exists only while there is work: after LC_EXECUTOR_IDLE_MILLIS without any it
 * ends, and the next submit (or the alarm of a schedule) starts one again.
 *
 * Lifetimes: an lc_database is reference-counted; loops and requests hold references. After
 * lc_database_close its requests are answered with LC_E_CLOSED.
 *
 * Failure. When the log cannot be written any more, nothing is confirmed from then on: clients get
 * Close 1011, answers that wait for durability are dropped, requests find it closed, and on_failed
 * tells the owner, who closes it and may open it again for reading only. Such a database has what
 * was confirmed and serves connections, subscriptions and queries; what would write is refused with
 * LC_E_READ_ONLY. It notes no connections and runs no reducers, not even those of life cycles and
 * schedules.
 */
#ifndef LC_DATABASE_H
#define LC_DATABASE_H

#include "database/lc_message.h"
#include "host/lc_host.h"
#include "live/lc_live.h"
#include "storage/lc_storage.h"

typedef struct lc_database lc_database;
typedef struct lc_client lc_client;
typedef struct lc_long_read lc_long_read;

#define LC_EXECUTOR_IDLE_MILLIS 3000
#define LC_CLOSE_DRAIN_MILLIS   2000
/* A schedule delay that long is refused with errno 13 (05 section 6.2). */
#define LC_SCHEDULE_MAX_DELAY_MILLIS 68719476735ll

/* -------------------------------------------------------------- life cycle */

typedef struct lc_database_options {
    lc_identity identity;
    lc_identity owner;
    const char *folder; /* replica folder: storage and module_logs/ in it; created when missing */
    lc_engine *engine;
    const lc_disk *disk;       /* NULL = system */
    const lc_clock *clock;     /* NULL = system */
    const lc_random *random;   /* NULL = system */
    uint64_t max_segment_size; /* 0 = default */
    lc_durability durability;
    lc_storage_policy policy;
    /* Of open: why it is opened for reading only (the error that keeps it from being written); NULL
     * = for writing. Copied. */
    const char *read_only_reason;
    /* The database ended by itself (its log cannot be written): reason. Any thread, at most once.
     */
    void (*on_failed)(void *arg, lc_database *db, const lc_error *err);
    void *arg;
    void (*on_progress)(void *arg, const lc_storage_progress *p); /* of open, on its thread */
    void *progress_arg;
} lc_database_options;

/* A module made ready away from the executor: compiled, instantiated, described, validated. */
typedef struct lc_prepared lc_prepared;
/* Worker thread: may take long. Error texts are those a publisher sees. program is copied. */
lc_status lc_prepared_create(lc_engine *engine, lc_span program, uint8_t program_kind,
                             const lc_identity *database, const lc_clock *clock, lc_prepared **out,
                             lc_error *err);
void lc_prepared_destroy(lc_prepared *p);
const uint8_t *lc_prepared_hash(const lc_prepared *p); /* 32 bytes */

/* First publish: creates tables, runs init, all in one transaction at offset 0. Takes p on success
 * and failure. A failing init leaves nothing behind; its text is the error's. Worker thread. */
lc_status lc_database_create(const lc_database_options *o, lc_prepared *p, lc_database **out,
                             lc_error *err);
/* Opens what is on disk: recovery, load the module of st_module, disconnect left-over clients,
 * start schedules (neither when for reading only). Worker thread. */
lc_status lc_database_open(const lc_database_options *o, lc_database **out, lc_error *err);
lc_database *lc_database_ref(lc_database *db);
void lc_database_unref(lc_database *db);
/* Ends it: every client gets Close 1001 `module exited`, the log drains and syncs, files are
 * closed. in_order: the disconnect reducers run first, and a snapshot is taken if that is worth it;
 * otherwise it is a quick end, of one that is about to be removed or has failed. Requests submitted
 * before are executed, and disconnect reducers run, for LC_CLOSE_DRAIN_MILLIS; clients left over
 * then are disconnected at the next open. Blocks; not on the executor. Later requests are answered
 * with LC_E_CLOSED. */
void lc_database_close(lc_database *db, bool in_order);
/* Waits until the executor thread has ended. For the end of the process: after the loops have
 * stopped, nobody submits any more, and their sinks may go once this has returned. */
void lc_database_join(lc_database *db);

/* Takes a snapshot of the state now and waits until it is on disk, verified: *offset transactions
 * are in it. LC_E_CONFLICT when one is being taken, LC_E_CLOSED when the database ends meanwhile.
 * Worker thread; blocks as long as writing takes. */
lc_status lc_database_snapshot(lc_database *db, uint64_t *offset, lc_error *err);

/* Publishes over a running database (blocks; worker thread; takes p). LC_E_UNSUPPORTED when the
 * schema change needs a migration, LC_E_READ_ONLY; the old module goes on. *was_same: program hash
 * equal. */
lc_status lc_database_update(lc_database *db, lc_prepared *p, bool *was_same, lc_error *err);

const lc_identity *lc_database_identity(const lc_database *db);
const lc_identity *lc_database_owner(const lc_database *db);
/* The schema in force; a reference for the caller. Any thread. */
lc_schema *lc_database_schema(lc_database *db);
bool lc_database_has_schedules(lc_database *db);
uint64_t lc_database_durable_count(const lc_database *db); /* any thread */
const char *lc_database_folder(const lc_database *db);     /* as given; any thread */
/* What clients hear when the log fails; why is for the operator: it names folders. */
#define LC_DATABASE_STOPPED "the database stopped: its commit log cannot be written"
/* The log failed: nothing more becomes durable. A sink then lets every held item go in order, and
 * drops its DATA. Any thread. */
bool lc_database_is_failed(const lc_database *db);
/* Why it failed: heap, NULL when it has not. Any thread. */
char *lc_database_failure(lc_database *db);
/* What those are told who would write: NULL when they may. Fixed; any thread. */
const char *lc_database_read_only(const lc_database *db);
/* Blocks a worker until need transactions are durable; false when the log failed. */
bool lc_database_wait_durable(lc_database *db, uint64_t need);
/* Registers a loop: it is woken whenever the durable count rises, until unregistered. Any thread.
 */
void lc_database_add_sink(lc_database *db, lc_sink *sink);
void lc_database_remove_sink(lc_database *db, lc_sink *sink);

/* ----------------------------------------------------------------- clients */

/* What happened to a call; protocols make their messages of it. */
typedef enum lc_call_status {
    LC_CALL_COMMITTED,
    LC_CALL_USER_ERROR, /* text: what the reducer said */
    LC_CALL_FATAL,      /* text: `The instance encountered a fatal error.` */
    LC_CALL_BUDGET,
    LC_CALL_REFUSED, /* not run: text says why (`no such reducer`, bad arguments, lifecycle, ...) */
} lc_call_status;

/* A transaction as subscribers see it. */
typedef struct lc_tx_event {
    lc_call_status status;
    lc_span text;
    lc_span reducer_name; /* empty for SQL and the like */
    uint32_t reducer_id;  /* 0xFFFFFFFF when none */
    lc_span args;         /* BSATN; json_args is set instead when the caller sent JSON */
    lc_span json_args;
    const lc_function_def *reducer; /* NULL when none: types args */
    lc_identity caller;
    lc_connection_id connection; /* zero when none */
    uint32_t request_id;
    uint8_t flags; /* as the client sent them */
    int64_t timestamp;
    int64_t duration_micros;
    uint32_t schema_version; /* of the running module */
    uint64_t serial;         /* one per commit */
} lc_tx_event;

/*
 * A wire protocol, as the executor uses it: functions that turn an event into one complete message
 * body (without compression byte). They run on the executor, but `subscribed`, `unsubscribed` and
 * `one_off` also on readers of long reads. They append to out, or return a shared
 * message (then out must be left as it was).
 */
typedef struct lc_protocol lc_protocol;
struct lc_protocol {
    uint8_t slot; /* which lc_live_query.user[] is its cache, < LC_LIVE_PROTOCOLS */
    bool is_v1;   /* subscription counting per connection; caller told by flags */
    void (*connected)(const lc_client *c, lc_buf *out);
    /* Answer to CallReducer on this connection, with the client's own changes. False: say nothing.
     */
    bool (*call_result)(const lc_client *c, const lc_tx_event *e, const lc_live_item *items,
                        uint32_t count, lc_buf *out);
    /* A transaction of someone else. */
    lc_message *(*update)(const lc_client *c, const lc_tx_event *e, const lc_live_item *items,
                          uint32_t count, lc_buf *out);
    void (*subscribed)(const lc_client *c, lc_live_kind kind, uint32_t request_id, uint32_t id,
                       const lc_live_results *results, int64_t duration_micros, lc_buf *out);
    void (*unsubscribed)(const lc_client *c, lc_live_kind kind, uint32_t request_id, uint32_t id,
                         const lc_live_results *results, /* NULL: rows were not asked for */
                         int64_t duration_micros, lc_buf *out);
    void (*subscription_error)(const lc_client *c, lc_live_kind kind, uint32_t request_id,
                               uint32_t id, lc_span text, int64_t duration_micros, lc_buf *out);
    /* message_id: v1's bytes; request_id: v2's number. error empty = success. */
    void (*one_off)(const lc_client *c, uint32_t request_id, lc_span message_id,
                    const lc_plan *plan, const lc_rowset *rows, lc_span error,
                    int64_t duration_micros, lc_buf *out);
    void (*procedure_failed)(const lc_client *c, uint32_t request_id, lc_span text, lc_buf *out);
    /* The query is being dropped: free user[slot] (may be NULL). */
    void (*drop_cache)(void *cache);
};

/* One WebSocket connection. Created by its I/O loop; from then on the executor owns it until the
 * GONE delivery. Fields are fixed after creation. */
struct lc_client {
    lc_database *database; /* a reference */
    const lc_protocol *protocol;
    lc_sink *sink;
    void *connection; /* target of deliveries */
    lc_identity identity;
    lc_connection_id connection_id;
    char *token;       /* as sent in the first message */
    char *jwt_payload; /* stored in st_connection_credentials */
    bool is_confirmed;
    bool is_light;
    bool is_json;
    /* executor's own */
    bool is_connected;
    bool is_closed;
    bool is_gone; /* frees itself when its long reads are finished */
    lc_long_read *first_read, *last_read;
    lc_live_client *live;
    lc_client *next, *prev;
};
/* Takes nothing; copies token and payload. */
lc_client *lc_client_create(lc_database *db, const lc_protocol *protocol, lc_sink *sink,
                            void *connection);

/* ---------------------------------------------------------------- requests */

typedef enum lc_request_kind {
    LC_REQUEST_CONNECT,     /* first of a client: runs client_connected */
    LC_REQUEST_DISCONNECT,  /* last of a client: answered by GONE */
    LC_REQUEST_CALL,        /* name, args (BSATN or JSON), request_id, flags */
    LC_REQUEST_PROCEDURE,   /* same */
    LC_REQUEST_SUBSCRIBE,   /* live_kind, request_id, id, texts */
    LC_REQUEST_UNSUBSCRIBE, /* live_kind, request_id, id, flags bit 0: rows wanted */
    LC_REQUEST_ONE_OFF,     /* text, request_id, message id in args */
    LC_REQUEST_JOB,         /* anything else: job->run on the executor */
} lc_request_kind;

typedef struct lc_job lc_job;
struct lc_job {
    void (*run)(lc_job *job, lc_database *db); /* executor thread */
};

typedef struct lc_request lc_request;
struct lc_request {
    lc_request *next;
    lc_request_kind kind;
    uint8_t flags;
    lc_live_kind live_kind;
    uint32_t request_id;
    uint32_t id; /* query set id or query id */
    lc_client *client;
    lc_job *job;
    lc_span name; /* reducer, or query text of ONE_OFF */
    lc_span args;
    bool args_are_json;
    const lc_span *texts;
    uint32_t text_count;
};

/* Requests that one I/O loop collects during a turn. Everything the requests point to lies in
 * arena. */
typedef struct lc_request_batch lc_request_batch;
struct lc_request_batch {
    lc_request_batch *next;
    lc_arena arena;
    lc_request *first;
    lc_request **last;
    uint32_t count;
    size_t text_bytes; /* of names, arguments and texts: for the inbox limit */
};
lc_request_batch *lc_request_batch_create(void);
void lc_request_batch_destroy(lc_request_batch *b); /* of one that was not submitted */
/* Appends a zeroed request. */
lc_request *lc_request_add(lc_request_batch *b, lc_request_kind kind, lc_client *client);
/* Copies bytes into the batch, for a request's name, args or texts. */
lc_span lc_request_copy(lc_request_batch *b, lc_span bytes);
/* Takes the batch. Any thread. Order of batches from one thread is kept. */
void lc_database_submit(lc_database *db, lc_request_batch *b);
/* Requests of one client waiting for the executor are not limited by number; the loop stops reading
 * from a connection while this many bytes of requests of the database wait (back-pressure). */
#define LC_INBOX_MAX_BYTES (64u * 1024 * 1024)
size_t lc_database_inbox_bytes(const lc_database *db);

/* Runs the job on the executor and waits (worker threads, never a loop). */
void lc_database_run(lc_database *db, lc_job *job);

/* ------------------------------------------------ executor, for jobs' bodies */

/* A caller without a WebSocket: HTTP call or SQL. Each runs connect, its work, disconnect. */
typedef struct lc_http_caller {
    lc_identity identity;
    lc_connection_id connection;
    lc_span jwt_payload;
} lc_http_caller;

typedef struct lc_call_outcome {
    lc_call_status status;
    lc_status refusal;   /* REFUSED: LC_E_NOT_FOUND, LC_E_INVALID (arguments), LC_E_DENIED
                          * (lifecycle), LC_E_READ_ONLY */
    bool connect_failed; /* text is client_connected's error; status tells its kind */
    lc_buf text;         /* of a failure; may hold any bytes of UTF-8, NUL too */
    int64_t duration_micros;
    uint64_t need; /* durable count that makes it safe to answer */
} lc_call_outcome;
void lc_call_outcome_deinit(lc_call_outcome *o);
/* connect, call with JSON arguments, disconnect (04 section 2.3). For reading only neither connect
 * nor disconnect happen. */
void lc_database_http_call(lc_database *db, const lc_http_caller *caller, lc_span function,
                           lc_span json_args, lc_call_outcome *out);

typedef struct lc_sql_outcome {
    lc_status status; /* LC_OK, or why not; connect_failed as above */
    bool connect_failed;
    lc_call_status connect_status;
    lc_buf text;
    lc_plan *plan; /* destroyed by lc_sql_outcome_deinit */
    lc_rowset rows;
    lc_image *image; /* a long read: rows are still to be read, see below */
    lc_query_stats stats;
    int64_t duration_micros;
    uint64_t need;
} lc_sql_outcome;
/* connect, one statement, disconnect (04 section 2.6); the same. */
void lc_database_http_sql(lc_database *db, const lc_http_caller *caller, lc_span sql,
                          lc_sql_outcome *out);
/* Worker thread, after lc_database_http_sql: what goes through a big table is read here, from a
 * frozen image, while the executor goes on. */
void lc_database_http_sql_read(lc_database *db, lc_sql_outcome *o);
/* Worker thread. Until then plan and rows may be looked at there: a database that is being closed
 * waits for it. */
void lc_sql_outcome_deinit(lc_database *db, lc_sql_outcome *o);

/* -------------------------------------------------------------- module logs */

typedef struct lc_log_reader lc_log_reader;
/* The last `lines` lines of the current file (lines < 0: all) as NDJSON. Any thread. */
lc_status lc_database_read_log(lc_database *db, int64_t lines, lc_buf *out, lc_error *err);
/* Calls each(arg, line with \n) for every new line, on the thread that logs; NULL line = the end.
 * Returns a handle for unfollow. each must not block. */
lc_log_reader *lc_database_follow_log(lc_database *db, void (*each)(void *arg, lc_span line),
                                      void *arg);
void lc_database_unfollow_log(lc_database *db, lc_log_reader *r);
/* A line from the server itself: target and filename `__spacetimedb__`. Executor or worker. */
void lc_database_log_text(lc_database *db, lc_module_log_level level, lc_span function,
                          lc_span message);
void lc_database_log(lc_database *db, lc_module_log_level level, lc_span function, const char *fmt,
                     ...) LC_PRINTF(4, 5);

#endif
