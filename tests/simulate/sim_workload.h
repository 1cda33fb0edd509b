/* What the database's users do: random tables, random rows, random transactions. */
#ifndef SIM_WORKLOAD_H
#define SIM_WORKLOAD_H

#include "sim_model.h"

typedef struct sim_table {
    lc_table *table;
    uint32_t sequences[2]; /* columns that draw */
    uint32_t sequence_count;
} sim_table;

typedef struct sim_workload {
    sim_random random;
    sim_model *model;
    lc_store *store;
    LC_VEC(sim_table) tables;
    uint32_t tables_made;
    uint32_t largest; /* bytes of a text or byte array, about */
    uint32_t crowd;   /* rows of a table from which on more is deleted than inserted */
    sim_draws draws;  /* of the open transaction */
    lc_buf row;
    lc_buf key;
} sim_workload;

void sim_workload_init(sim_workload *w, uint64_t seed, sim_model *model);
void sim_workload_deinit(sim_workload *w);
/* The store is another one, or has other tables now. */
void sim_workload_attach(sim_workload *w, lc_store *store);

/* Begins a transaction that makes the first tables. */
void sim_workload_first(sim_workload *w);
/* Begins a transaction and does what it does; returns a word for it. */
const char *sim_workload_transaction(sim_workload *w);

/* sim_schema.c: makes a random table in the open transaction. */
void sim_schema_add_table(sim_random *r, lc_store *store, uint32_t number);

#endif
