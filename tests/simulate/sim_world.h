/*
 * One simulated database with everything around it: disk, clock, users, and the model of what it
 * must hold. It has several lives; each begins with opening and ends with closing or a crash.
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "sim_clock.h"
#include "sim_disk.h"
#include "sim_workload.h"
#include "storage/lc_storage.h"

#define SIM_FOLDER    "/data/db"
#define SIM_LOG       SIM_FOLDER "/clog"
#define SIM_SNAPSHOTS SIM_FOLDER "/snapshots"

typedef struct sim_world {
    sim_random random; /* the scheduler's */
    sim_disk disk;
    sim_clock clock;
    sim_model model;
    sim_workload workload;
    lc_storage_options options;
    lc_storage *storage; /* NULL between lives */

    /* What was promised, in numbers of transactions. */
    uint64_t confirmed; /* told to be durable */
    uint64_t synced;    /* RELAXED: what a power failure must leave, too */

    /* Of this life. */
    bool is_failed;         /* on_failed came */
    bool wants_tick;        /* on_wake came */
    uint64_t faults_before; /* of the log, when it began */
    uint64_t syncs_failed_before;
    uint64_t snapshots_asked, snapshots_done;

    /* Counted over the run, for people. */
    struct {
        uint64_t transactions, crashes, kills, closes, failures, flips, refusals, snapshots,
            fallbacks, restores;
    } count;
} sim_world;

typedef enum sim_end { SIM_CLOSE, SIM_KILL, SIM_POWER_OFF } sim_end;

void sim_world_init(sim_world *w, uint64_t seed);
void sim_world_deinit(sim_world *w);

/* Begins the next life: opens what is there, or makes the database when nothing was confirmed yet;
 * on the way it may crash again, meet rot and failures. Checks what came back. */
void sim_world_begin_life(sim_world *w);
void sim_world_end_life(sim_world *w, sim_end how);
/* Does what is left to do and checks which files there are; the database is open. is_tidy: nothing
 * kept opening from tidying up. */
void sim_world_settle(sim_world *w, bool is_tidy);

/* ------------------------------------------------------------ small actions */

/* Begins, fills and ends a transaction. */
void sim_world_transaction(sim_world *w);
void sim_world_flush(sim_world *w);
bool sim_world_step_log(sim_world *w);
bool sim_world_step_work(sim_world *w);
void sim_world_tick(sim_world *w);
void sim_world_snapshot(sim_world *w);
/* The log and the snapshots of the living database, as tools look at them. */
void sim_world_look(sim_world *w);
/* Opens for reading only, compares; the database is closed. is_exact: what is there is what was
 * confirmed, no more. */
void sim_world_read_only(sim_world *w, bool is_exact);
/* Arms a failure of the disk that hits these kinds of operations. */
void sim_world_arm_fault(sim_world *w, unsigned kinds);
/* Restores a random moment of those promised and compares; the database is closed. */
void sim_world_restore(sim_world *w);
/* RELAXED, and a sync of the log failed once: what was published before may be missing from it, and
 * if a snapshot had it already the log goes on behind a gap. */
bool sim_world_may_have_gap(const sim_world *w);
/* What must be on disk now if nothing promised is to be lost by this end. */
uint64_t sim_world_promised(const sim_world *w, sim_end how);

/* sim_life.c: a whole run. dump (may be NULL): the folder where a broken promise leaves the disk.
 */
void sim_run(uint64_t seed, bool is_loud, const char *dump);

#endif
