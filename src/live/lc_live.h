/*
 * live: subscriptions. Which clients want which queries, and, after each commit, who must be told
 * what.
 *
 * Equal queries (same text, and same caller where the query depends on it) of any number of clients
 * are one lc_live_query, evaluated once per commit. Queries that differ only in an equality
 * constant are found by hash from the changed row's column, not by visiting them.
 *
 * live knows no protocol: lc_live_publish hands each affected client its list of changes; the
 * caller encodes. The law tests check: initial rows + sum of changes = fresh evaluation, as
 * multisets.
 *
 * Threads: all of it on the database's executor, but for lc_live_results_read.
 */
#ifndef LC_LIVE_H
#define LC_LIVE_H

#include "query/lc_query.h"

typedef struct lc_live lc_live;
typedef struct lc_live_query lc_live_query;
typedef struct lc_live_client lc_live_client;

lc_live *lc_live_create(lc_store *s);
void lc_live_destroy(lc_live *l);
bool lc_live_is_empty(const lc_live *l); /* no query at all: publish can be skipped */
/* Called before a query is freed, so that what hangs in its user[] can be freed, too. */
void lc_live_on_drop(lc_live *l, void (*drop)(void *arg, struct lc_live_query *q), void *arg);

/* ----------------------------------------------------------------- queries */

/* What a query looks like from outside. user is for the caller (encoders cache the encoded change
 * of the current commit there, one slot per protocol); zeroed when the query is created. */
#define LC_LIVE_PROTOCOLS 3
struct lc_live_query {
    lc_plan *plan;
    lc_table *table; /* whose rows it returns */
    lc_span table_name;
    lc_span text;
    uint32_t refs; /* private */
    void *user[LC_LIVE_PROTOCOLS];
};

/* ----------------------------------------------------------------- clients */

/* How the protocols count (03 sections 7.2-7.5). */
typedef enum lc_live_kind {
    LC_LIVE_SET,    /* v2/v3 query set: independent of all others */
    LC_LIVE_SINGLE, /* v1 SubscribeSingle: one query, counted per connection */
    LC_LIVE_MULTI,  /* v1 SubscribeMulti: counted per connection */
    LC_LIVE_LEGACY, /* v1 Subscribe: one set per connection, replaced by the next */
} lc_live_kind;

lc_live_client *lc_live_client_create(lc_live *l, const lc_caller *caller, void *user);
/* Removes all its subscriptions. */
void lc_live_client_destroy(lc_live_client *c);
void *lc_live_client_user(const lc_live_client *c);

/* Rows of one query of a subscription, in the order of the query strings. */
typedef struct lc_live_result {
    lc_live_query *query;
    lc_rowset rows;
    lc_image *image; /* a long read (lc_plan_freeze): rows are still to be read from it */
} lc_live_result;
typedef struct lc_live_results {
    lc_live_result *items;
    uint32_t count;
} lc_live_results;
/* Is there any long read among them? */
bool lc_live_results_are_long(const lc_live_results *r);
/* Any thread, while no query is bound anew and the lc_live exists: does the long reads. */
void lc_live_results_read(lc_live_results *r);
/* Executor. A result keeps its query, and its image, alive until this. */
void lc_live_results_deinit(lc_live_results *r);

/* Compiles the texts (`SELECT * FROM *` expanded for SET, MULTI and LEGACY; textual duplicates
 * inside one call count once), registers them under id and evaluates their current rows: all or
 * nothing. Which queries contribute a result follows the protocol of `kind`: queries over an empty
 * table and event tables none; MULTI none for a query that this client has already. Error texts
 * complete with
 * `, executing: ...`. LC_E_EXISTS when the id is taken (text of 03 section 7.2). For v1 kinds event
 * tables are refused as 03 section 7.8 says. */
lc_status lc_live_subscribe(lc_live_client *c, lc_live_kind kind, uint32_t id,
                            const lc_connection_id *connection, const lc_span *texts,
                            uint32_t count, lc_live_results *out, lc_error *err);
/* Removes the subscription. with_rows: out receives the current rows of the queries that the client
 * loses by it (SET: of all its queries; empty tables none). SINGLE always has exactly one result:
 * when the client loses none, or several because the id is of another kind, the id is released all
 * the same and the error is LC_E_CONFLICT with the reference's text. LC_E_NOT_FOUND with the text
 * of 03 section 7.2. */
lc_status lc_live_unsubscribe(lc_live_client *c, lc_live_kind kind, uint32_t id,
                              const lc_connection_id *connection, bool with_rows,
                              lc_live_results *out, lc_error *err);
/* After a publish: queries over dropped tables are gone; plans are bound anew. */
void lc_live_rebind(lc_live *l);

/* ----------------------------------------------------------------- publish */

/* The change of one query by one commit. Spans borrow from the delta. */
typedef struct lc_live_change {
    lc_live_query *query;
    const lc_span *inserts;
    uint32_t insert_count;
    const lc_span *deletes;
    uint32_t delete_count;
    uint64_t
        serial; /* equal for equal (query, commit): lets an encoder see that its cache is fresh */
} lc_live_change;

/* One entry of what a client gets. For SET: set_id says which of its sets; one entry per set and
 * query. For the v1 kinds: one entry per query, and one more for the legacy set. */
typedef struct lc_live_item {
    uint32_t set_id;
    const lc_live_change *change;
} lc_live_item;

/* Evaluates the delta of the transaction just committed (before lc_store_release) and calls each
 * once per affected client, items ordered by (set id, table name, query order). Clients in no
 * particular order. No call when nothing changed for a client. each must not subscribe, unsubscribe
 * or destroy clients; the items are valid only inside it. */
typedef void (*lc_live_each)(void *arg, lc_live_client *client, const lc_live_item *items,
                             uint32_t count);
void lc_live_publish(lc_live *l, const lc_delta *delta, lc_live_each each, void *arg);

#endif
