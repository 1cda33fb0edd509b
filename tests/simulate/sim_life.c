/* The scheduler: who comes next, how a life ends, how many there are. */
#include "sim_world.h"

#include <stdio.h>

typedef enum actor {
    ACT_TRANSACTION,
    ACT_FLUSH,
    ACT_STEP_LOG,
    ACT_STEP_WORK,
    ACT_TICK,
    ACT_TIME,
    ACT_SNAPSHOT,
    ACT_LOOK,
    ACT_COMPARE,
    ACT_COUNT,
} actor;

/* Some actors are rare in some runs: what happens when one of them hardly ever comes? */
static void choose_weights(sim_random *r, uint32_t weights[ACT_COUNT])
{
    static const uint32_t usual[ACT_COUNT] = {60, 20, 30, 30, 12, 10, 2, 2, 2};
    static const uint32_t factors[] = {0, 1, 4, 4, 4, 12};
    for (int i = 0; i < ACT_COUNT; i++)
        weights[i] = 4 * usual[i] * factors[sim_below(r, LC_ARRAY_LEN(factors))] / 4;
    if (!weights[ACT_TRANSACTION]) weights[ACT_TRANSACTION] = usual[ACT_TRANSACTION];
    if (!weights[ACT_STEP_LOG]) weights[ACT_STEP_LOG] = usual[ACT_STEP_LOG];
    if (!weights[ACT_FLUSH]) weights[ACT_FLUSH] = usual[ACT_FLUSH];
}

static actor choose(sim_random *r, const uint32_t weights[ACT_COUNT])
{
    uint32_t sum = 0;
    for (int i = 0; i < ACT_COUNT; i++) sum += weights[i];
    uint32_t at = sim_below(r, sum);
    int i = 0;
    while (at >= weights[i]) at -= weights[i++];
    return (actor)i;
}

static void let_time_pass(sim_world *w)
{
    sim_random *r = &w->random;
    if (sim_one_in(r, 12)) {
        int64_t jump = (int64_t)sim_skewed(r, 40);
        sim_clock_set(&w->clock, w->clock.micros + (sim_one_in(r, 2) ? jump : -jump / 8));
        sim_note("the clock is set to %lld", (long long)w->clock.micros);
    } else {
        sim_clock_advance(&w->clock, sim_skewed(r, 24));
    }
}

static void act(sim_world *w, actor a)
{
    switch (a) {
    case ACT_TRANSACTION:
        for (uint64_t n = sim_skewed(&w->random, 3); n > 0; n--) sim_world_transaction(w);
        break;
    case ACT_FLUSH:
        sim_world_flush(w);
        break;
    case ACT_STEP_LOG:
        sim_world_step_log(w);
        break;
    case ACT_STEP_WORK:
        for (uint64_t n = sim_skewed(&w->random, 5); n > 0; n--)
            if (!sim_world_step_work(w)) break;
        break;
    case ACT_TICK:
        sim_world_tick(w);
        break;
    case ACT_TIME:
        let_time_pass(w);
        break;
    case ACT_SNAPSHOT:
        sim_world_snapshot(w);
        break;
    case ACT_LOOK:
        sim_world_look(w);
        break;
    default:
        sim_note("compare");
        sim_model_compare(&w->model, w->workload.store, "while it runs");
    }
}

/* What goes wrong in this life, besides its end. */
static void arm(sim_world *w)
{
    sim_random *r = &w->random;
    uint32_t choice = sim_below(r, 100);
    if (choice < 40) {
        w->disk.die_after = sim_one_in(r, 2) ? sim_skewed(r, 9) : 1 + sim_below(r, 300);
    } else if (choice < 55) {
        sim_world_arm_fault(w, 1u << sim_below(r, 11));
    } else if (choice < 62) {
        sim_world_arm_fault(w, SIM_OP_SYNC | SIM_OP_SYNC_DIR);
    } else if (choice < 70) {
        sim_world_arm_fault(w, SIM_OP_WRITE);
    } else if (choice < 76) {
        w->disk.budget = sim_disk_used(&w->disk) + sim_skewed(r, 18);
        sim_note("armed: room for %llu bytes",
                 (unsigned long long)(w->disk.budget - sim_disk_used(&w->disk)));
    }
}

static void live(sim_world *w, const uint32_t weights[ACT_COUNT])
{
    sim_random *r = &w->random;
    arm(w);
    const unsigned kinds = w->disk.fault.kinds;
    uint64_t actions = 10 + sim_below(r, sim_one_in(r, 4) ? 300 : 80);
    uint64_t more = 5; /* after a failure */
    while (actions-- > 0 && !w->disk.is_dead && more > 0) {
        act(w, w->wants_tick && sim_one_in(r, 4) ? ACT_TICK : choose(r, weights));
        if (w->is_failed) more--;
    }
    static const sim_end usual[] = {SIM_CLOSE, SIM_KILL, SIM_POWER_OFF, SIM_POWER_OFF};
    static const sim_end crashes[] = {SIM_KILL, SIM_POWER_OFF, SIM_POWER_OFF};
    bool has_failed = w->is_failed;
    sim_end how = w->disk.is_dead ? crashes[sim_below(r, LC_ARRAY_LEN(crashes))]
                                  : usual[sim_below(r, LC_ARRAY_LEN(usual))];
    /* What could not be written is taken back, if the disk allows that. */
    bool is_exact = how == SIM_CLOSE && w->options.durability != LC_DURABILITY_RELAXED &&
                    !(kinds & SIM_OP_TRUNCATE);
    sim_world_end_life(w, how);
    /* Reading goes on, also while the disk is full. */
    if (has_failed) sim_world_read_only(w, is_exact);
    if (sim_one_in(r, 10)) sim_world_restore(w);
}

static void finish(sim_world *w)
{
    sim_note("the last life");
    uint64_t faults = w->disk.faults;
    sim_world_begin_life(w);
    bool settles = sim_one_in(&w->random, 2);
    if (settles && !w->disk.is_dead) sim_world_settle(w, w->disk.faults == faults);
    sim_world_end_life(w, w->disk.is_dead ? SIM_POWER_OFF : SIM_CLOSE);
    if (sim_one_in(&w->random, 2)) sim_world_restore(w);
}

typedef struct dump {
    const sim_disk *disk;
    const char *folder;
} dump;

static void dump_disk(void *arg)
{
    const dump *d = arg;
    if (d->folder) sim_disk_dump(d->disk, d->folder);
}

void sim_run(uint64_t seed, bool is_loud, const char *dump_folder)
{
    sim_trace_begin(seed, is_loud);
    lc_hash_set_seed(seed);
    sim_world w;
    dump d = {&w.disk, dump_folder};
    sim_trace_on_violation(dump_disk, &d);
    uint32_t weights[ACT_COUNT];
    sim_random r = {seed};
    sim_world_init(&w, sim_next(&r));
    choose_weights(&r, weights);
    uint32_t lives = 3 + sim_below(&r, 8);
    while (lives-- > 0) {
        sim_world_begin_life(&w);
        live(&w, weights);
    }
    finish(&w);
    sim_note("end");
    if (is_loud)
        fprintf(stderr,
                "%llu transactions, %llu crashes, %llu kills, %llu closes, %llu failures, %llu "
                "flips, %llu refusals, %llu snapshots, %llu fallbacks, %llu restores\n",
                (unsigned long long)w.count.transactions, (unsigned long long)w.count.crashes,
                (unsigned long long)w.count.kills, (unsigned long long)w.count.closes,
                (unsigned long long)w.count.failures, (unsigned long long)w.count.flips,
                (unsigned long long)w.count.refusals, (unsigned long long)w.count.snapshots,
                (unsigned long long)w.count.fallbacks, (unsigned long long)w.count.restores);
    sim_world_deinit(&w);
    sim_trace_on_violation(NULL, NULL);
}
