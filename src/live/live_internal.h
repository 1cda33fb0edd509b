/* What the files of live share: queries, the tables they watch, the clients that hold them. */
#ifndef LC_LIVE_INTERNAL_H
#define LC_LIVE_INTERNAL_H

#include "live/lc_live.h"

typedef struct live_query live_query;
typedef struct live_use live_use;
typedef struct live_set live_set;

/* ------------------------------------------------------------------- tables */

/* How the queries over a table are found from a changed row. */
typedef enum live_route {
    LIVE_WHOLE, /* every row is theirs */
    LIVE_EQUAL, /* column = constant: through the table's live_column */
    LIVE_EACH,  /* evaluated one by one */
} live_route;

/* The queries with an equality on one column: constant -> first of a
 * list of queries. */
typedef struct live_column {
    uint32_t column;
    bool is_small;  /* values of at most 8 bytes are keys of `small`, others of `large` */
    uint32_t size;  /* of small values */
    int32_t offset; /* of the column in a row, -1: through the layout */
    uint32_t queries;
    lc_u64map small;
    lc_map large;
} live_column;

/* A table with at least one query. */
typedef struct live_table {
    lc_table *table;
    uint32_t table_id;
    LC_VEC(live_query *) whole;
    LC_VEC(live_query *) each;
    LC_VEC(live_column *) columns;
} live_table;

/* ------------------------------------------------------------------ queries */

struct live_query {
    lc_live_query public; /* first */
    lc_live *live;
    lc_span key; /* of live->queries; owned */
    lc_span sql; /* what is compiled; owned */
    lc_caller caller;
    live_route route;
    live_table *watch; /* NULL: detached, its table is gone */
    uint32_t position; /* in watch->whole or watch->each */
    live_column *column;
    lc_span value;      /* EQUAL: the constant, borrowed from the plan */
    bool is_only_equal; /* the equality is the whole WHERE */
    live_query *prev_equal, *next_equal;
    live_use *uses;

    /* of the current publish */
    bool is_affected;
    uint32_t insert_count, delete_count;
    live_query *next_affected;
    lc_live_change change;
};

/* One subscription's (or, for v1 counted kinds, one client's) interest in a query. */
struct live_use {
    live_query *query;
    lc_live_client *client;
    uint32_t set_id;
    uint32_t order;        /* among the queries of its set or client */
    uint32_t count;        /* v1 counted: how many ids hold it */
    live_use *prev, *next; /* of query->uses */
    live_use *next_item;   /* of client->items, during a publish */
};

/* ------------------------------------------------------------------ clients */

struct live_set {
    uint32_t id;
    lc_live_kind kind;
    uint32_t use_count;
    live_use *uses;     /* SET, LEGACY: its own, one allocation */
    live_use **counted; /* SINGLE, MULTI: those of the client */
};

struct lc_live_client {
    lc_live *live;
    lc_caller caller;
    void *user;
    lc_live_client *prev, *next;
    lc_u64map sets;    /* id + 1 -> live_set; v2 sets, v1 single and multi */
    lc_u64map counted; /* live_query -> live_use */
    uint32_t next_order;
    live_set *legacy;
    bool has_subscribed; /* ever */

    /* of the current publish */
    live_use *items, **last_item;
    uint32_t item_count;
    lc_live_client *next_affected;
};

/* A changed row and a query that has it, collected during a publish. */
typedef struct live_match {
    live_query *query;
    lc_span row;
    bool is_delete;
} live_match;

struct lc_live {
    lc_store *store;
    void (*drop)(void *arg, lc_live_query *q);
    void *drop_arg;
    lc_map queries;   /* key -> live_query */
    lc_u64map tables; /* table id + 1 -> live_table */
    lc_live_client *clients;
    uint64_t serial;

    /* scratch of publish, kept for the next one */
    LC_VEC(live_match) matches;
    LC_VEC(lc_span) spans;
    LC_VEC(lc_live_item) items;
};

/* ------------------------------------------------------------------ queries.c */

/* The query of that text for that caller, made when there is none yet (*is_new). It is not held:
 * the caller of this refs it or, when nobody does, drops it with live_query_unref after a ref.
 * name: key text; sql: what is compiled (the same except for `SELECT * FROM *`). */
lc_status live_query_get(lc_live *l, const lc_caller *caller, lc_span name, lc_span sql,
                         live_query **out, bool *is_new, lc_error *err);
void live_query_ref(live_query *q);
void live_query_unref(live_query *q);
/* Puts the query among those its table leads to, and takes it away again. */
void live_query_watch(live_query *q);
void live_query_unwatch(live_query *q);

/* ---------------------------------------------------------------- subscribe.c */

void live_use_link(live_use *u, live_query *q);
void live_use_unlink(live_use *u);
/* Takes a query that can no longer be bound away from everyone who holds it. */
void live_query_abandon(live_query *q);

#endif
