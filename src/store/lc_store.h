/*
 * store: the tables of one database in memory. Rows, indexes, sequences, transactions, system
 * tables. Source: specification chapter 05, sections 1-3.
 *
 * Shape. A row is kept as exactly the BSATN bytes it travels as: fixed-stride slots in pages when
 * all rows of the table have one size, one block from size classes otherwise. Reducers run one at a
 * time, so a transaction writes straight into the tables and their indexes and notes per touched
 * row what it was before. Commit moves no row: the delta's spans are the rows where they lie.
 * Deleted rows leave the indexes at once, their slots are freed when the delta is released.
 *
 * Sets. A table never holds two equal rows (bytewise). A table with a unique index finds an equal
 * row through it; only a table without one keeps a hash of whole rows.
 *
 * Threads: a store belongs to its executor. Not one function here may be called from another thread
 * while the executor may run, but those that read a frozen image.
 *
 * Lifetimes: row bytes handed out (scans, find) are valid until the next write to that table.
 * A delta's spans are valid until lc_store_release.
 */
#ifndef LC_STORE_H
#define LC_STORE_H

#include "schema/lc_schema.h"

typedef struct lc_store lc_store;
typedef struct lc_table lc_table;
typedef struct lc_index lc_index;

/* System tables, ids as in 05 section 2.2. */
enum {
    LC_ST_TABLE = 1,
    LC_ST_COLUMN,
    LC_ST_SEQUENCE,
    LC_ST_INDEX,
    LC_ST_CONSTRAINT,
    LC_ST_MODULE,
    LC_ST_CLIENT,
    LC_ST_VAR,
    LC_ST_SCHEDULED,
    LC_ST_ROW_LEVEL_SECURITY,
    LC_ST_CONNECTION_CREDENTIALS,
    LC_ST_VIEW,
    LC_ST_VIEW_PARAM,
    LC_ST_VIEW_COLUMN,
    LC_ST_VIEW_SUB,
    LC_ST_VIEW_ARG,
    LC_ST_EVENT_TABLE,
    LC_ST_TABLE_ACCESSOR,
    LC_ST_INDEX_ACCESSOR,
    LC_ST_COLUMN_ACCESSOR,
    LC_ST_COUNT = LC_ST_COLUMN_ACCESSOR,
    LC_FIRST_USER_ID = 4096,
};

/* Error numbers of the module ABI that the store itself can give (02 section 1.1). Functions on the
 * module's path return them directly: 0 is success, LC_ERRNO_TRAP an error without a number. */
typedef enum lc_errno {
    LC_ERRNO_OK = 0,
    LC_ERRNO_NOT_IN_TRANSACTION = 2,
    LC_ERRNO_BSATN_DECODE_ERROR = 3,
    LC_ERRNO_NO_SUCH_TABLE = 4,
    LC_ERRNO_NO_SUCH_INDEX = 5,
    LC_ERRNO_NO_SUCH_ITER = 6,
    LC_ERRNO_NO_SUCH_CONSOLE_TIMER = 7,
    LC_ERRNO_NO_SUCH_BYTES = 8,
    LC_ERRNO_NO_SPACE = 9,
    LC_ERRNO_WRONG_INDEX_ALGO = 10,
    LC_ERRNO_BUFFER_TOO_SMALL = 11,
    LC_ERRNO_UNIQUE_ALREADY_EXISTS = 12,
    LC_ERRNO_SCHEDULE_AT_DELAY_TOO_LONG = 13,
    LC_ERRNO_INDEX_NOT_UNIQUE = 14,
    LC_ERRNO_NO_SUCH_ROW = 15,
    LC_ERRNO_AUTO_INC_OVERFLOW = 16,
    LC_ERRNO_WOULD_BLOCK_TRANSACTION = 17,
    LC_ERRNO_TRANSACTION_NOT_ANONYMOUS = 18,
    LC_ERRNO_TRANSACTION_IS_READ_ONLY = 19,
    LC_ERRNO_TRANSACTION_IS_MUT = 20,
    LC_ERRNO_HTTP_ERROR = 21,
    LC_ERRNO_TRAP = 0x7fff, /* the call dies; the lc_error says why */
} lc_errno;

/* --------------------------------------------------------------- the store */

/* An empty store: the 20 system tables bootstrapped (05 section 2.3), no user tables. */
lc_store *lc_store_create(void);
void lc_store_destroy(lc_store *s);

/* ------------------------------------------------------------ transactions */

/* Exactly one transaction at a time. Every write below needs an open one. */
void lc_store_begin(lc_store *s);
bool lc_store_in_tx(const lc_store *s);
void lc_store_rollback(lc_store *s);

typedef struct lc_table_delta {
    lc_table *table;
    uint32_t table_id;
    bool is_truncate; /* all rows went, none came: the log writes a truncate instead of deletes */
    const lc_span *inserts; /* order of insertion */
    uint32_t insert_count;
    const lc_span *deletes;
    uint32_t delete_count;
} lc_table_delta;

/* What one transaction changed, net: a row inserted and deleted again is in neither list, a row
 * deleted and inserted again equally (05 section 1.7). Tables without a change are absent. Event
 * tables list their inserts although nothing is stored. */
typedef struct lc_delta {
    const lc_table_delta *tables; /* ascending table id */
    uint32_t table_count;
    bool is_logged; /* touches at least one table that the log keeps (05 section 3.6) */
} lc_delta;

/* Ends the transaction. The delta stays valid until lc_store_release (at the latest the next
 * begin), and so do the bytes of rows deleted by it. */
const lc_delta *lc_store_commit(lc_store *s);
/* Frees what the last committed delta held. Idempotent. */
void lc_store_release(lc_store *s);

/* ------------------------------------------------------------------ tables */

/* Lookups by id, or by name: canonical first, then alias. NULL when absent. Ids are those of
 * st_table / st_index and stay valid until the object is dropped. */
lc_table *lc_store_table(const lc_store *s, uint32_t table_id);
lc_table *lc_store_table_by_name(const lc_store *s, lc_span name);
lc_index *lc_store_index(const lc_store *s, uint32_t index_id);
lc_index *lc_store_index_by_name(const lc_store *s, lc_span name);
/* Tables in ascending id; at starts at 0. */
lc_table *lc_store_next_table(const lc_store *s, uint32_t *at);

uint32_t lc_table_id(const lc_table *t);
lc_span lc_table_name(const lc_table *t);  /* canonical */
lc_span lc_table_alias(const lc_table *t); /* accessor name; equal to the name when none */
bool lc_table_is_public(const lc_table *t);
bool lc_table_is_event(const lc_table *t);
bool lc_table_is_system(const lc_table *t);
bool lc_table_is_view(const lc_table *t); /* backing table of a view; hidden column 0 arg_hash */
/* Is there a row-level security rule on it? Then only the owner may read it as it is. */
bool lc_table_has_rule(const lc_table *t);
int32_t lc_table_primary_key(const lc_table *t);
const lc_layout *lc_table_layout(const lc_table *t);
const lc_type *lc_table_row_type(const lc_table *t);
uint32_t lc_table_column_count(const lc_table *t);
lc_span lc_table_column_name(const lc_table *t, uint32_t column);
lc_span lc_table_column_alias(const lc_table *t, uint32_t column);
/* Column by alias first, then canonical name (06 section 4.2); -1 when absent. */
int32_t lc_table_find_column(const lc_table *t, lc_span name);
uint64_t lc_table_row_count(const lc_table *t);
/* Bytes the table takes: pages, indexes, bookkeeping; without what images keep of it. */
uint64_t lc_table_memory(const lc_table *t);
/* The i-th index of the table in ascending index id; NULL at the end. */
lc_index *lc_table_index(const lc_table *t, uint32_t i);
/* What rooms above hang on a table (live queries, ...): free for one user, NULL at first. */
void *lc_table_user_data(const lc_table *t);
void lc_table_set_user_data(lc_table *t, void *data);

uint32_t lc_index_id(const lc_index *i);
lc_span lc_index_name(const lc_index *i);
lc_table *lc_index_table(const lc_index *i);
bool lc_index_is_unique(const lc_index *i);
lc_index_algorithm lc_index_kind(const lc_index *i);
uint32_t lc_index_column_count(const lc_index *i);
uint16_t lc_index_column(const lc_index *i, uint32_t n);

/* ------------------------------------------------------------------ writes */

/* Result of an insert or update. generated: BSATN of the columns that were zero and drew a value,
 * in ascending column position; valid until the next write. row: the row as stored (valid the
 * same). */
typedef struct lc_write {
    lc_span row;
    lc_span generated;
    bool changed; /* false: an equal row was there already */
} lc_write;

/* Validates row by the table's type (bytes after it are ignored), fills auto-increment zeros,
 * checks uniqueness, inserts; set semantics and un-delete as 05 section 1.2. On a unique violation
 * err gets the text of 05 section 1.2. Undecodable bytes: LC_ERRNO_TRAP. */
lc_errno lc_table_insert(lc_table *t, lc_span row, lc_write *out, lc_error *err);
/* Replaces the row with the same key in the unique index (05 section 1.3). */
lc_errno lc_table_update(lc_table *t, uint32_t index_id, lc_span row, lc_write *out, lc_error *err);
/* Deletes the row equal to the given complete row, if present. */
bool lc_table_delete_row(lc_table *t, lc_span row);
/* relation: u32 count, then rows. Undecodable: 3 and nothing is deleted. */
lc_errno lc_table_delete_all_by_eq(lc_table *t, lc_span relation, uint32_t *deleted, lc_error *err);
uint64_t lc_table_clear(lc_table *t);

/* ------------------------------------------------------------------- reads */

/* Called per row; return false to stop. No write to the table may happen inside. */
typedef bool (*lc_row_visit)(void *arg, lc_span row);

void lc_table_scan(const lc_table *t, lc_row_visit visit, void *arg);
/* Appends all rows back to back; for fixed-size rows page-wise memcpy. Every time the bytes since
 * the last boundary exceed chunk_size after a row, the end position is pushed to boundaries (may be
 * NULL); the last one, if any bytes follow, too (02 section 1.4: chunk_size 32768). */
typedef LC_VEC(uint64_t) lc_boundaries;
void lc_table_scan_into(const lc_table *t, lc_buf *out, size_t chunk_size, lc_boundaries *bounds);

/* A key or bound as the ABI gives it: BSATN, see 02 section 1.9. */
typedef enum lc_bound_kind {
    LC_BOUND_INCLUDED,
    LC_BOUND_EXCLUDED,
    LC_BOUND_UNBOUNDED
} lc_bound_kind;
typedef struct lc_bound {
    lc_bound_kind kind;
    lc_span value; /* BSATN of one key column */
} lc_bound;
typedef struct lc_range {
    lc_span prefix; /* BSATN of the first prefix_columns key columns */
    uint32_t prefix_columns;
    lc_bound start, end; /* over the next key column */
} lc_range;
/* Decodes `rstart`/`rend` of the ABI (tag byte, value) plus prefix against the index; 3 on anything
 * wrong. The range borrows the spans. */
lc_errno lc_range_decode(const lc_index *i, lc_span prefix, uint32_t prefix_elems, lc_span start,
                         lc_span end, lc_range *out, lc_error *err);

/* The row whose key equals (BSATN of all key columns); false when absent. Unique indexes only. The
 * key must be valid for the index. This is the hottest read of the database. */
bool lc_index_find(const lc_index *i, lc_span key, lc_span *row);
/* Point scan over any kind of index: 3 on an incomplete key. */
lc_errno lc_index_scan_point(const lc_index *i, lc_span key, lc_row_visit visit, void *arg,
                             lc_error *err);
/* Range scan in key order: LC_ERRNO_WRONG_INDEX_ALGO on a hash index, 3 on a bad bound. */
lc_errno lc_index_scan_range(const lc_index *i, const lc_range *range, lc_row_visit visit,
                             void *arg, lc_error *err);
lc_errno lc_index_delete_point(lc_index *i, lc_span key, uint32_t *deleted, lc_error *err);
lc_errno lc_index_delete_range(lc_index *i, const lc_range *range, uint32_t *deleted,
                               lc_error *err);

/* --------------------------------------------------------- schema of tables */

/* All inside the open transaction; they write the st_* rows in the order of 05 section 2.4 and are
 * undone by rollback, which a failure asks for. Index, constraint and sequence ids in declaration
 * order. out may be NULL. */
lc_status lc_store_create_table(lc_store *s, const lc_table_def *def, lc_table **out,
                                lc_error *err);
/* What a first publish creates, in order: tables by name, views by name (backing table with hidden
 * arg_hash column, st_view* rows). Row-level security follows, rule by rule. */
lc_status lc_store_create_schema(lc_store *s, const lc_schema *schema, lc_error *err);
/* Applies an update that lc_schema_check_update allowed: creates the tables that are new. */
lc_status lc_store_update_schema(lc_store *s, const lc_schema *from, const lc_schema *to,
                                 lc_error *err);
/* Files a row-level security rule under the table it restricts. What it says is the query room's
 * matter. */
lc_status lc_store_add_rule(lc_table *t, lc_span sql, lc_error *err);

/* System rows with a meaning of their own. */
typedef struct lc_module_row {
    lc_identity database, owner;
    uint8_t program_kind; /* 0 wasm, 1 js */
    uint8_t program_hash[32];
    lc_span program; /* bytes; borrowed, valid until the next write to st_module */
} lc_module_row;
void lc_store_set_module(lc_store *s, const lc_module_row *row); /* replaces the one row */
bool lc_store_get_module(const lc_store *s, lc_module_row *out);
/* st_client + st_connection_credentials. LC_E_CONFLICT when the connection id is taken. */
lc_status lc_store_add_client(lc_store *s, const lc_identity *id, const lc_connection_id *conn,
                              lc_span jwt_payload, lc_error *err);
bool lc_store_has_client(const lc_store *s, const lc_identity *id, const lc_connection_id *conn);
bool lc_store_remove_client(lc_store *s, const lc_identity *id, const lc_connection_id *conn);
/* The first client row, for clean-up after a crash; false when there is none. */
bool lc_store_first_client(const lc_store *s, lc_identity *id, lc_connection_id *conn);
/* The stored JWT payload of a connection; false when unknown. Valid until the next write. */
bool lc_store_credentials(const lc_store *s, const lc_connection_id *conn, lc_span *jwt_payload);
bool lc_store_get_row_limit(const lc_store *s, uint64_t *limit);
lc_status lc_store_set_row_limit(lc_store *s, uint64_t limit, lc_error *err);

/* ------------------------------------------------------------ frozen images */

/*
 * An image is the state of all tables at one moment, for somebody who reads it slowly while the
 * executor goes on. Freezing shares the pages; from then on the executor copies a page before it
 * first changes it, and keeps replaced pages and row bytes until no image needs them. Any number of
 * images may live at once.
 */
typedef struct lc_image lc_image;
/* Executor, no open transaction (a pending delta is released). Costs a few microseconds and 4 to 8
 * bytes a page. */
lc_image *lc_store_freeze(lc_store *s);
/* Executor, when its reader is done, or does not want the rest. The store must outlive its images.
 * What was kept for it is freed little by little: by each lc_store_release, and by ... */
void lc_image_release(lc_image *i);
/* ...this, for somebody with time to spare: frees a piece (about 0.1 ms); false when nothing is
 * left to free. */
bool lc_store_tidy(lc_store *s);
/* Reader's thread (one at a time): appends the next chunk, about target bytes of rows (one row may
 * be longer), to out; false at the end. Chunks come table by table in ascending table id; tables
 * that the log does not keep (views' rows) and event tables are left out. Form of a chunk:
 *   u32 table id, u32 row count, u8 flags (bit 0: stamps follow the rows),
 *   the rows' BSATN back to back, and with bit 0 a u64 per row: its place among equal keys. */
bool lc_image_next_chunk(lc_image *i, size_t target, lc_buf *out);
/* Reader's thread: visits the rows that one table had, which it looks at; instead of chunks, since
 * from then on the image is good for that table and later ones only. */
void lc_image_scan(lc_image *i, uint32_t table_id, lc_row_visit visit, void *arg);
uint64_t lc_image_row_count(const lc_image *i); /* all tables */

/* ---------------------------------------------------------- log and replay */

/* Appends the `mutations` part of a log record (05 section 3.4) for tables that the log keeps. */
void lc_delta_encode(const lc_delta *d, lc_buf *out);
/* Applies the mutations of one logged transaction by the rules of 05 section 3.11. No constraints
 * are checked, and of a user table only what finds its rows is kept up until lc_store_replay_end.
 * LC_E_CORRUPT names what does not fit. *consumed = bytes read. */
void lc_store_replay_begin(lc_store *s);
/* Between replay_begin and the first replay_tx: the chunks of an image, in their order. The first
 * one takes away what bootstrap put into the system tables. Every row is validated; what only shows
 * when indexes are built (two rows with one key) is for lc_store_replay_end to say.
 * After an error from any of these four the store is good for nothing but lc_store_destroy. */
lc_status lc_store_load_chunk(lc_store *s, lc_span chunk, lc_error *err);
lc_status lc_store_replay_tx(lc_store *s, lc_span mutations, size_t *consumed, lc_error *err);
/* Builds indexes, sets sequences to `allocated`, recomputes what is derived. */
lc_status lc_store_replay_end(lc_store *s, lc_error *err);

#endif
