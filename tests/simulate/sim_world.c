#include "sim_world.h"

#include <errno.h>

/* --------------------------------------------------------------- callbacks */

static void on_durable(void *arg, uint64_t count)
{
    sim_world *w = arg;
    /* The machine stopped: nobody hears this any more. */
    if (w->disk.is_dead) return;
    SIM_CHECK(!w->is_failed, "%llu transactions are confirmed after the log failed",
              (unsigned long long)count);
    SIM_CHECK(count >= w->confirmed, "the durable count goes back from %llu to %llu",
              (unsigned long long)w->confirmed, (unsigned long long)count);
    SIM_CHECK(count <= w->model.history.len, "%llu transactions are confirmed, there are %zu",
              (unsigned long long)count, w->model.history.len);
    w->confirmed = count;
    sim_note("  durable %llu", (unsigned long long)count);
}

static void on_failed(void *arg, const lc_error *err)
{
    sim_world *w = arg;
    SIM_CHECK(!w->is_failed, "on_failed comes twice: %s", lc_error_text(err));
    SIM_CHECK(w->disk.is_dead || w->disk.log_faults > w->faults_before,
              "the log failed although nothing failed under it: %s", lc_error_text(err));
    w->is_failed = true;
    if (!w->disk.is_dead) w->count.failures++;
    sim_note("  failed: %s", lc_error_text(err));
}

static void on_wake(void *arg)
{
    ((sim_world *)arg)->wants_tick = true;
}

/* -------------------------------------------------------------------- setup */

static void choose_policy(sim_random *r, lc_storage_policy *p)
{
    static const int64_t windows[] = {1000, 1000000, 10000000, 60000000, 24ll * 3600 * 1000000, 0};
    p->snapshot_log_bytes = 500 * sim_skewed(r, 9);
    p->keep_snapshots = sim_below(r, 5);
    p->keep_all = sim_one_in(r, 6);
    p->keep_micros = windows[sim_below(r, LC_ARRAY_LEN(windows))];
    p->no_snapshot_at_close = sim_one_in(r, 2);
    p->no_compression = sim_one_in(r, 3);
}

void sim_world_init(sim_world *w, uint64_t seed)
{
    *w = (sim_world){.random = {seed}};
    sim_random *r = &w->random;
    sim_disk_init(&w->disk, sim_next(r));
    sim_disk_make_folder(&w->disk, SIM_FOLDER); /* the server's part */
    sim_clock_init(&w->clock);
    sim_model_init(&w->model);
    sim_workload_init(&w->workload, sim_next(r), &w->model);
    static const lc_durability durabilities[] = {LC_DURABILITY_GROUP, LC_DURABILITY_GROUP,
                                                 LC_DURABILITY_EACH, LC_DURABILITY_RELAXED};
    w->options = (lc_storage_options){
        .folder = SIM_FOLDER,
        .disk = &w->disk.disk,
        .clock = &w->clock.clock,
        .durability = durabilities[sim_below(r, LC_ARRAY_LEN(durabilities))],
        .max_segment_size = 1024ull << sim_below(r, 7),
        .is_stepped = true,
        .on_durable = on_durable,
        .on_failed = on_failed,
        .on_wake = on_wake,
        .arg = w,
    };
    choose_policy(r, &w->options.policy);
    sim_note("durability %d, segments of %llu, snapshots each %llu, keep %u%s, window %lld ms%s",
             (int)w->options.durability, (unsigned long long)w->options.max_segment_size,
             (unsigned long long)w->options.policy.snapshot_log_bytes,
             w->options.policy.keep_snapshots, w->options.policy.keep_all ? " and all" : "",
             (long long)w->options.policy.keep_micros / 1000,
             w->options.policy.no_compression ? ", no compression" : "");
}

void sim_world_deinit(sim_world *w)
{
    LC_ASSERT(!w->storage);
    sim_workload_deinit(&w->workload);
    sim_model_deinit(&w->model);
    sim_disk_deinit(&w->disk);
}

/* ------------------------------------------------------------ small actions */

static void check_counts(const sim_world *w)
{
    if (w->disk.is_dead) return;
    uint64_t durable = lc_storage_durable_count(w->storage);
    SIM_CHECK(durable == w->confirmed, "durable_count is %llu, on_durable said %llu",
              (unsigned long long)durable, (unsigned long long)w->confirmed);
    SIM_CHECK(lc_storage_is_failed(w->storage) == w->is_failed,
              "is_failed and on_failed do not agree");
}

void sim_world_transaction(sim_world *w)
{
    const char *kind = sim_workload_transaction(&w->workload);
    w->count.transactions++;
    if (sim_one_in(&w->random, 12)) {
        lc_store_rollback(w->workload.store);
        sim_workload_attach(&w->workload, w->workload.store);
        sim_note("%s transaction, rolled back", kind);
        return;
    }
    uint8_t args[64] = {0};
    lc_log_inputs inputs = {
        .name = sim_one_in(&w->random, 2) ? LC_STR("reducer") : LC_SPAN_EMPTY,
        .timestamp = w->clock.micros,
        .args = LC_SPAN(args, sim_below(&w->random, sizeof args)),
    };
    bool always = sim_one_in(&w->random, 50);
    const lc_delta *delta = lc_storage_commit(w->storage, &inputs, always);
    if (delta->is_logged || always)
        sim_model_append(&w->model, delta, &w->workload.draws, w->clock.micros);
    lc_store_release(w->workload.store);
    sim_workload_attach(&w->workload, w->workload.store);
    sim_note("%s transaction, now %zu", kind, w->model.history.len);
    uint64_t need = lc_storage_need(w->storage);
    SIM_CHECK(need == w->model.history.len, "need is %llu, %zu transactions were committed",
              (unsigned long long)need, w->model.history.len);
}

void sim_world_flush(sim_world *w)
{
    sim_note("flush");
    lc_storage_flush(w->storage);
    check_counts(w);
}

bool sim_world_step_log(sim_world *w)
{
    sim_note("step log");
    bool did = lc_storage_step_log(w->storage);
    check_counts(w);
    /* When nothing waits RELAXED syncs. */
    if (!did && !w->is_failed && !w->disk.is_dead) w->synced = w->confirmed;
    return did;
}

bool sim_world_step_work(sim_world *w)
{
    bool did = lc_storage_step_work(w->storage);
    sim_note("step work%s", did ? "" : ": none");
    check_counts(w);
    return did;
}

void sim_world_tick(sim_world *w)
{
    sim_note("tick");
    w->wants_tick = false;
    lc_storage_tick(w->storage);
}

static void on_snapshot(void *arg, uint64_t offset, const lc_error *err)
{
    sim_world *w = arg;
    w->snapshots_done++;
    SIM_CHECK(w->snapshots_done <= w->snapshots_asked, "a snapshot is done twice");
    sim_note("  snapshot of %llu: %s", (unsigned long long)offset, err ? lc_error_text(err) : "ok");
    if (err || w->disk.is_dead) return;
    w->count.snapshots++;
    SIM_CHECK(offset <= w->confirmed, "a snapshot of %llu is done, but %llu are durable",
              (unsigned long long)offset, (unsigned long long)w->confirmed);
}

void sim_world_snapshot(sim_world *w)
{
    lc_error err = LC_ERROR_INIT;
    w->snapshots_asked++;
    lc_status rc = lc_storage_snapshot(w->storage, on_snapshot, w, &err);
    if (rc != LC_OK) w->snapshots_asked--;
    sim_note("snapshot asked for: %s", rc == LC_OK ? "begins" : lc_error_text(&err));
    SIM_CHECK(rc == LC_OK || rc == LC_E_CONFLICT || w->is_failed || w->disk.is_dead ||
                  w->model.history.len == 0,
              "a snapshot cannot be taken: %s", lc_error_text(&err));
    lc_error_clear(&err);
}

bool sim_world_may_have_gap(const sim_world *w)
{
    return w->options.durability == LC_DURABILITY_RELAXED && w->disk.log_syncs_failed > 0;
}

void sim_world_look(sim_world *w)
{
    sim_note("look");
    uint64_t faults = w->disk.faults;
    lc_error err = LC_ERROR_INIT;
    lc_journal_stats stats;
    lc_journal_reading all = {.to = UINT64_MAX};
    lc_snapshot_list list = {0};
    lc_status rc = LC_OK;
    /* Not one before the first commit is on disk has a log to look at. */
    if (w->confirmed > 0) {
        rc = lc_journal_walk(SIM_LOG, &w->disk.disk, &all, &stats, &err);
        bool is_hit = w->disk.faults > faults || w->disk.is_dead || w->is_failed;
        SIM_CHECK(rc == LC_OK || is_hit, "the living log cannot be read: %s", lc_error_text(&err));
        SIM_CHECK(rc != LC_OK || is_hit || stats.next_offset >= w->confirmed ||
                      sim_world_may_have_gap(w),
                  "the living log reads %llu transactions, %llu are confirmed",
                  (unsigned long long)stats.next_offset, (unsigned long long)w->confirmed);
    }
    lc_error_clear(&err);
    rc = lc_snapshot_find(SIM_FOLDER, &w->disk.disk, true, &list, &err);
    if (rc == LC_OK && w->disk.faults == faults && !w->disk.is_dead)
        LC_VEC_EACH (s, &list)
            SIM_CHECK(s->is_valid, "snapshot %s is not valid: %s", s->name, s->problem);
    lc_error_clear(&err);
    lc_vec_deinit(&list);
}

/* ------------------------------------------------------------------- lives */

uint64_t sim_world_promised(const sim_world *w, sim_end how)
{
    bool is_relaxed = w->options.durability == LC_DURABILITY_RELAXED;
    bool is_gone = how == SIM_POWER_OFF || w->disk.log_syncs_failed > w->syncs_failed_before;
    return is_relaxed && is_gone ? w->synced : w->confirmed;
}

/* The machine goes on after this, without the process. */
static void restart(sim_world *w, sim_end how)
{
    w->confirmed = sim_world_promised(w, how);
    if (how == SIM_POWER_OFF) {
        w->count.crashes++;
        sim_disk_power_off(&w->disk);
    } else {
        w->count.kills += how == SIM_KILL;
        sim_disk_kill(&w->disk);
    }
}

void sim_world_end_life(sim_world *w, sim_end how)
{
    static const char *const words[] = {"close", "kill", "power off"};
    sim_note("%s%s", words[how], w->disk.is_dead ? " in the middle of something" : "");
    uint64_t faults = w->disk.faults;
    if (how == SIM_CLOSE)
        w->count.closes++;
    else
        w->disk.is_dead = true;
    if (sim_one_in(&w->random, 3)) lc_storage_hurry(w->storage);
    lc_storage_close(w->storage);
    w->storage = NULL;
    w->workload.store = NULL;
    SIM_CHECK(w->disk.open_files == 0, "%u files are still open after closing", w->disk.open_files);
    SIM_CHECK(w->snapshots_done == w->snapshots_asked, "%llu snapshots asked for, %llu done",
              (unsigned long long)w->snapshots_asked, (unsigned long long)w->snapshots_done);
    /* Closing confirms everything. */
    if (!w->disk.is_dead && !w->is_failed && w->disk.faults == faults) {
        SIM_CHECK(w->confirmed == w->model.history.len,
                  "after closing %llu transactions are durable of %zu",
                  (unsigned long long)w->confirmed, w->model.history.len);
        w->synced = w->confirmed;
    }
    w->disk.fault.kinds = 0;
    restart(w, how);
}

void sim_world_arm_fault(sim_world *w, unsigned kinds)
{
    static const char *const places[] = {NULL, NULL, "/clog", "/snapshots", ".log", ".ofs"};
    static const uint64_t counts[] = {1, 1, 2, 5, UINT64_MAX};
    sim_random *r = &w->random;
    w->disk.fault = (sim_fault){
        .kinds = kinds,
        .match = places[sim_below(r, LC_ARRAY_LEN(places))],
        .skip = sim_skewed(r, 6) - 1,
        .count = counts[sim_below(r, LC_ARRAY_LEN(counts))],
        .error = sim_one_in(r, 3) && (kinds & (SIM_OP_WRITE | SIM_OP_CREATE)) ? ENOSPC : EIO,
    };
    sim_note("armed: operations %x on %s fail after %llu", kinds,
             w->disk.fault.match ? w->disk.fault.match : "anything",
             (unsigned long long)w->disk.fault.skip);
}

/* After each opening: is it what was promised, and exactly the model's state there? */
static void check_opened(sim_world *w, const lc_storage *s, const char *what)
{
    uint64_t count = lc_storage_need(s);
    sim_note("  %s: %llu transactions, promised %llu, committed %zu", what,
             (unsigned long long)count, (unsigned long long)w->confirmed, w->model.history.len);
    SIM_CHECK(count >= w->confirmed, "%s: %llu transactions came back, %llu were confirmed", what,
              (unsigned long long)count, (unsigned long long)w->confirmed);
    SIM_CHECK(count <= w->model.history.len, "%s: %llu transactions came back of %zu committed",
              what, (unsigned long long)count, w->model.history.len);
    sim_model_move(&w->model, count);
    sim_model_compare(&w->model, lc_storage_store((lc_storage *)s), what);
    sim_model_move(&w->model, w->model.history.len);
}

void sim_world_read_only(sim_world *w, bool is_exact)
{
    uint64_t changes = w->disk.changes;
    lc_storage_options o = w->options;
    o.mode = LC_STORAGE_READ_ONLY;
    o.on_durable = NULL;
    o.on_failed = NULL;
    lc_storage *s;
    lc_error err = LC_ERROR_INIT;
    lc_status rc = lc_storage_open(&o, &s, NULL, &err);
    sim_note("open read only: %s", rc == LC_OK ? "ok" : lc_error_text(&err));
    if (rc == LC_OK) {
        SIM_CHECK(lc_storage_is_read_only(s), "a database open for reading says it is not");
        check_opened(w, s, "read only");
        SIM_CHECK(
            !is_exact || lc_storage_need(s) == w->confirmed,
            "after a failure of the log %llu transactions are there to read, confirmed are %llu",
            (unsigned long long)lc_storage_need(s), (unsigned long long)w->confirmed);
        lc_storage_close(s);
    } else {
        SIM_CHECK(w->confirmed == 0, "does not open for reading: %s", lc_error_text(&err));
    }
    lc_error_clear(&err);
    SIM_CHECK(w->disk.changes == changes, "opening for reading changed the disk");
    SIM_CHECK(w->disk.open_files == 0, "%u files are still open after reading", w->disk.open_files);
}

/* ------------------------------------------------------------------ opening */

typedef struct rot {
    bool is_there;
    bool must_open; /* nothing that is needed can have been hit */
    sim_flip flip;
} rot;

/* The newest commits may look torn when they rot. Known to have been synced is what lies before a
 * commit that the offset index names: how far that goes in the newest segment. */
static uint64_t testified(const sim_world *w, const char *segment)
{
    char *path = lc_format("%.*sofs", (int)strlen(segment) - 3, segment);
    lc_span index = sim_disk_bytes(&w->disk, path);
    lc_free(path);
    uint64_t last = 0;
    for (size_t at = 0; at + 16 <= index.len && lc_load_u64(index.ptr + at); at += 16)
        last = lc_load_u64(index.ptr + at + 8);
    return last < sim_disk_bytes(&w->disk, segment).len ? last : 0;
}

enum { SEGMENT_HEADER = 10 };

static bool is_snapshot(const char *name)
{
    size_t n = strlen(name);
    return n > 7 && !strcmp(name + n - 7, ".lcsnap");
}

/* Flips a bit of something that was written long ago. */
static rot let_rot(sim_world *w)
{
    rot out = {0};
    sim_entries log = {0}, snapshots = {0};
    sim_disk_entries(&w->disk, SIM_LOG, &log);
    sim_disk_entries(&w->disk, SIM_SNAPSHOTS, &snapshots);
    uint32_t good = 0;
    LC_VEC_EACH (s, &snapshots) good += is_snapshot(s->name);
    bool is_whole = log.len > 0 && !strncmp(log.items[0].name, "00000000000000000000", 20);
    const char *newest = "";
    LC_VEC_EACH (s, &log) /* one with a header alone does not count */
        if (strstr(s->name, ".stdb.log") && !strstr(s->name, ".tmp") && s->size > SEGMENT_HEADER)
            newest = s->name;

    bool in_log = snapshots.len == 0 || sim_one_in(&w->random, 2);
    sim_entries files = in_log ? log : snapshots;
    const char *folder = in_log ? SIM_LOG : SIM_SNAPSHOTS;
    if (files.len > 0) {
        const sim_entry *e = &files.items[sim_below(&w->random, (uint32_t)files.len)];
        char *path = lc_format("%s/%s", folder, e->name);
        uint64_t end = e->synced < e->size ? 0 : e->size;
        if (!strcmp(e->name, newest)) end = testified(w, path);
        /* A snapshot is put aside for good, so there must be another way. */
        bool must_open = in_log ? strstr(e->name, ".stdb.log") == NULL
                                : !is_snapshot(e->name) || is_whole || good > 1;
        if (end > 0 && (in_log || must_open)) {
            uint64_t position = sim_next(&w->random) % end;
            uint8_t mask = (uint8_t)(1u << sim_below(&w->random, 8));
            out.flip = sim_disk_flip(&w->disk, path, position, mask);
            out.is_there = true;
            out.must_open = must_open;
            w->count.flips++;
            sim_note("rot: bit %02x of byte %llu of %s", mask, (unsigned long long)position, path);
        }
        lc_free(path);
    }
    lc_vec_deinit(&log);
    lc_vec_deinit(&snapshots);
    return out;
}

static void forget_life(sim_world *w)
{
    w->is_failed = false;
    w->wants_tick = false;
    w->faults_before = w->disk.log_faults;
    w->syncs_failed_before = w->disk.log_syncs_failed;
    w->snapshots_asked = w->snapshots_done = 0;
}

static void take_over(sim_world *w, const lc_storage_recovery *found)
{
    uint64_t count = lc_storage_need(w->storage);
    SIM_CHECK(found->log.next_offset == count, "recovery says %llu transactions, there are %llu",
              (unsigned long long)found->log.next_offset, (unsigned long long)count);
    check_opened(w, w->storage, "open");
    sim_model_cut(&w->model, count);
    w->confirmed = w->synced = count;
    w->count.fallbacks += found->bad_snapshots;
    check_counts(w);
    sim_workload_attach(&w->workload, lc_storage_store(w->storage));
}

/* A first publish. False when it does not come that far. */
static bool create(sim_world *w)
{
    lc_storage_options o = w->options;
    o.mode = LC_STORAGE_CREATE;
    lc_error err = LC_ERROR_INIT;
    uint64_t faults = w->disk.faults;
    SIM_CHECK(w->confirmed == 0, "a confirmed database is gone");
    forget_life(w);
    lc_status rc = lc_storage_open(&o, &w->storage, NULL, &err);
    sim_note("create: %s", rc == LC_OK ? "ok" : lc_error_text(&err));
    SIM_CHECK(rc == LC_OK || w->disk.is_dead || w->disk.faults > faults, "cannot be created: %s",
              lc_error_text(&err));
    lc_error_clear(&err);
    if (rc != LC_OK) return false;
    sim_model_cut(&w->model, 0);
    sim_workload_attach(&w->workload, lc_storage_store(w->storage));
    sim_workload_first(&w->workload);
    const lc_delta *delta = lc_storage_commit(w->storage, &(lc_log_inputs){0}, false);
    sim_model_append(&w->model, delta, &w->workload.draws, w->clock.micros);
    lc_store_release(w->workload.store);
    sim_workload_attach(&w->workload, w->workload.store);
    return true;
}

/* One attempt; false when it is to be tried again. */
static bool try_open(sim_world *w, const rot *r)
{
    lc_storage_options o = w->options;
    o.mode = LC_STORAGE_OPEN;
    lc_storage_recovery found = {0};
    lc_error err = LC_ERROR_INIT;
    uint64_t faults = w->disk.faults;
    forget_life(w);
    lc_status rc = lc_storage_open(&o, &w->storage, &found, &err);
    bool is_hit = w->disk.faults > faults || w->disk.is_dead;
    bool is_opened = rc == LC_OK;
    if (is_opened) {
        take_over(w, &found);
    } else {
        sim_note("open: %s", lc_error_text(&err));
        if (r->is_there) w->count.refusals++;
        bool may_refuse = is_hit || (r->is_there && !r->must_open);
        if (!may_refuse && w->confirmed == 0)
            is_opened = create(w);
        else
            SIM_CHECK(may_refuse, "does not open: %s", lc_error_text(&err));
    }
    lc_error_clear(&err);
    return is_opened;
}

void sim_world_begin_life(sim_world *w)
{
    sim_random *r = &w->random;
    w->disk.budget = 0;
    for (int attempt = 0;; attempt++) {
        bool is_rough = attempt < 4;
        rot rotten = {0};
        if (is_rough && sim_one_in(r, 12)) rotten = let_rot(w);
        if (!rotten.is_there && sim_one_in(r, 6)) sim_world_read_only(w, false);
        if (is_rough && sim_one_in(r, 6)) w->disk.die_after = sim_skewed(r, 6);
        if (is_rough && !w->disk.die_after && sim_one_in(r, 8))
            sim_world_arm_fault(w, 1u << sim_below(r, 11));
        bool is_open = try_open(w, &rotten);
        w->disk.fault.kinds = 0;
        w->disk.die_after = 0;
        if (rotten.is_there) sim_disk_unflip(&w->disk, &rotten.flip);
        if (is_open) break;
        SIM_CHECK(w->disk.open_files == 0, "%u files are still open after a failed opening",
                  w->disk.open_files);
        restart(w, w->disk.is_dead && !sim_one_in(r, 3) ? SIM_POWER_OFF : SIM_KILL);
    }
}
