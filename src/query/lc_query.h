/*
 * query: SQL. Lexer and recursive-descent parser for the whole grammar of spec chapter 06 section
 * 3, binder against the store's catalog (names, types, permissions), and an executor over rows that
 * stay BSATN from page to socket.
 *
 * Three steps, each with its own type: text -> lc_sql_statement (syntax only, positions kept) ->
 * lc_plan (bound to tables and columns of one store) -> rows. A plan stays valid while its tables
 * exist; lc_plan_is_stale tells after a publish.
 *
 * Threads: parsing from any thread; binding and executing on the store's executor only, but for
 * lc_plan_select_image.
 */
#ifndef LC_QUERY_H
#define LC_QUERY_H

#include "store/lc_store.h"

#define LC_SQL_MAX_BYTES 50000 /* 06 section 1 */

/* Who asks (06 section 7.1). The owner reads private tables, writes, and passes the row limit. */
typedef struct lc_caller {
    lc_identity identity;
    bool is_owner;
} lc_caller;

typedef enum lc_dialect {
    LC_DIALECT_AD_HOC,       /* HTTP /sql, command line: every statement */
    LC_DIALECT_SUBSCRIPTION, /* 06 section 3.2 with all its refusals */
    LC_DIALECT_ONE_OFF,      /* subscription grammar without the index rules */
    LC_DIALECT_RULE, /* row-level security: the same; the plan is only good to be looked at, and
                      * lc_plan_table is the table it restricts */
} lc_dialect;

/* -------------------------------------------------------------------- rows */

/* Result rows: BSATN back to back. offsets (count entries) is NULL while all rows have row_size
 * bytes; an empty rowset has neither. Zero-initialise. */
typedef struct lc_rowset {
    lc_buf data;
    uint64_t *offsets; /* start of each row; heap */
    size_t offset_cap;
    uint64_t count;
    uint64_t row_size; /* of every row, meaningful while offsets is NULL and count > 0 */
} lc_rowset;
void lc_rowset_deinit(lc_rowset *r);
void lc_rowset_reset(lc_rowset *r);
void lc_rowset_add(lc_rowset *r, lc_span row);
lc_span lc_rowset_row(const lc_rowset *r, uint64_t i);

/* -------------------------------------------------------------------- plans */

typedef struct lc_plan lc_plan;

typedef enum lc_plan_kind {
    LC_PLAN_SELECT,
    LC_PLAN_INSERT,
    LC_PLAN_UPDATE,
    LC_PLAN_DELETE,
    LC_PLAN_SET,
    LC_PLAN_SHOW,
} lc_plan_kind;

/* Parses and binds one statement. Error texts of 06 sections 3, 5 and 8, without the
 * `, executing: ...` suffix that subscriptions add. LC_E_UNSUPPORTED for what is not executed yet
 * (`not supported: joins ...`, `views ...`, `row-level security ...`). Writes need the owner, and
 * so does reading a table with row-level security, whose rules are not applied yet. */
lc_status lc_plan_create(lc_store *s, lc_span sql, lc_dialect dialect, const lc_caller *caller,
                         lc_plan **out, lc_error *err);
void lc_plan_destroy(lc_plan *p);
lc_plan_kind lc_plan_get_kind(const lc_plan *p);
bool lc_plan_is_write(const lc_plan *p);
/* True when some table of the plan was dropped or replaced since it was bound. */
bool lc_plan_is_stale(const lc_plan *p);
/* Does the result depend on who asks (`:sender`)? Then plans of different callers differ. */
bool lc_plan_uses_sender(const lc_plan *p);

/* SELECT and SHOW: the shape of the result. */
uint32_t lc_plan_column_count(const lc_plan *p);
lc_span lc_plan_column_name(const lc_plan *p, uint32_t column);
const lc_type *lc_plan_column_type(const lc_plan *p, uint32_t column);
const lc_type *lc_plan_row_type(const lc_plan *p); /* product of the columns */
/* The one table whose whole rows a subscription query returns. */
lc_table *lc_plan_table(const lc_plan *p);
/* True when no WHERE restricts the rows (then every row of lc_plan_table is in the result). */
bool lc_plan_is_whole_table(const lc_plan *p);
/* Number of tables read; the i-th one. */
uint32_t lc_plan_source_count(const lc_plan *p);
lc_table *lc_plan_source(const lc_plan *p, uint32_t i);
/* Estimated number of rows, for the row limit (06 section 7.3). */
uint64_t lc_plan_estimate(const lc_plan *p);
/* LC_E_LIMIT with the text of 06 section 7.3 when estimate exceeds the store's row_limit. */
lc_status lc_query_check_row_limit(lc_store *s, uint64_t estimate, const lc_caller *caller,
                                   lc_error *err);

typedef struct lc_query_stats {
    uint64_t rows_inserted, rows_deleted, rows_updated;
} lc_query_stats;

/* Runs a SELECT or SHOW: appends to rows. Uses the best index for equality and range conjuncts. */
lc_status lc_plan_select(const lc_plan *p, lc_rowset *rows, lc_error *err);
/* A SELECT that goes through a whole table of more than LC_LONG_READ_ROWS rows is a long read,
 * which the executor had better leave to somebody else: an image of now for it. NULL: it is none.
 */
#define LC_LONG_READ_ROWS 4000
lc_image *lc_plan_freeze(const lc_plan *p);
/* The rows that lc_plan_select gave when the image was frozen. On the thread that reads the image;
 * the plan and its tables must exist that long. */
void lc_plan_select_image(const lc_plan *p, lc_image *image, lc_rowset *rows);
/* Runs INSERT, UPDATE, DELETE, SET inside the store's open transaction, which the caller ends. */
lc_status lc_plan_write(const lc_plan *p, lc_query_stats *stats, lc_error *err);
/* Does one row of lc_plan_table satisfy the WHERE? Single-table plans. No allocation. */
bool lc_plan_matches(const lc_plan *p, const uint8_t *row);

/* For live queries: the plan's WHERE as a template with one equality parameter. When some top-level
 * conjunct is `column = constant`, gives the column and the constant's BSATN (of several the most
 * selective by its looks, the same one for plans that differ only in constants); plans with the
 * same table, column and remainder differ only in that constant. False when there is none. */
bool lc_plan_equality(const lc_plan *p, uint32_t *column, lc_span *value);
/* Is that equality the whole WHERE? */
bool lc_plan_is_only_equality(const lc_plan *p);

#endif
