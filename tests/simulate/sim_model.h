/*
 * What the database must hold: per table the set of its rows, and how each transaction changed it,
 * so that the state after any number of transactions can be had.
 */
#ifndef SIM_MODEL_H
#define SIM_MODEL_H

#include "sim_base.h"
#include "store/lc_store.h"

/* -------------------------------------------------------------------- sets */

typedef struct sim_row {
    uint32_t hash;
    uint32_t seen; /* by the comparison with this number */
    lc_span bytes; /* owned; ptr NULL: free */
} sim_row;
/* A set of rows by their bytes. Zero-initialise. */
typedef struct sim_rows {
    sim_row *slots;
    size_t len;
    size_t cap; /* power of two or 0 */
} sim_rows;
void sim_rows_deinit(sim_rows *s);
bool sim_rows_add(sim_rows *s, lc_span row);    /* copies; false when it is there */
bool sim_rows_remove(sim_rows *s, lc_span row); /* false when it is not */
sim_row *sim_rows_find(const sim_rows *s, lc_span row);
/* Any of them, the set must not be empty. Valid until the next change. */
lc_span sim_rows_pick(const sim_rows *s, sim_random *r);

/* ------------------------------------------------------------------- model */

typedef struct sim_table_rows {
    uint32_t id;
    sim_rows rows;
} sim_table_rows;

typedef struct sim_row_change {
    uint32_t table;
    bool is_insert;
    lc_span row; /* owned */
} sim_row_change;

/* A number handed out by an auto-increment column. */
typedef struct sim_draw {
    uint32_t table;
    uint32_t column;
    uint64_t value;
} sim_draw;
typedef LC_VEC(sim_draw) sim_draws;

typedef struct sim_tx {
    LC_VEC(sim_row_change) changes;
    sim_draws draws;
    int64_t when; /* the wall clock at its commit */
} sim_tx;

typedef struct sim_model {
    LC_VEC(sim_table_rows *) tables; /* ascending id */
    LC_VEC(sim_tx) history;          /* by offset */
    uint64_t at;                     /* the tables are as after so many of them */
    sim_rows drawn;                  /* every sim_draw of the history */
    uint32_t comparison;
} sim_model;

/* An empty database. */
void sim_model_init(sim_model *m);
void sim_model_deinit(sim_model *m);
/* One more transaction. */
void sim_model_append(sim_model *m, const lc_delta *delta, const sim_draws *draws, int64_t when);
/* Lets the tables be as after `count` transactions; the history stays. */
void sim_model_move(sim_model *m, uint64_t count);
/* Everything after `count` transactions did not happen. */
void sim_model_cut(sim_model *m, uint64_t count);
/* The rows of a table; an empty set when it has none. */
const sim_rows *sim_model_rows(sim_model *m, uint32_t table);
/* Was this number handed out in a transaction of the history? */
bool sim_model_has_draw(const sim_model *m, const sim_draw *d);

/* The store holds exactly the model's rows, in every table that the log keeps, and every index
 * agrees with its table. `what` says which state that is. */
void sim_model_compare(sim_model *m, const lc_store *store, const char *what);
/* The same for one table, without its indexes. */
void sim_model_compare_table(sim_model *m, const lc_table *t, const char *what);

#endif
