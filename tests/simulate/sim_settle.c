/* At the end of a run: what of the old is still there, and can what is promised be restored? */
#include "sim_world.h"

#include <stdlib.h>

enum { MAX_STEPS = 100000 };

/* Until nobody has anything to do. */
static void drain(sim_world *w)
{
    bool did = true;
    for (int steps = 0; did; steps++) {
        SIM_CHECK(steps < MAX_STEPS, "the work never ends");
        sim_world_flush(w);
        did = sim_world_step_log(w);
        did |= sim_world_step_work(w);
        if (w->wants_tick) sim_world_tick(w);
        if (w->disk.is_dead || w->is_failed) return;
    }
}

static void take_snapshot(sim_world *w)
{
    size_t before = w->model.history.len;
    while (w->model.history.len == before) sim_world_transaction(w);
    drain(w); /* one may be under way */
    before = w->model.history.len;
    while (w->model.history.len == before) sim_world_transaction(w);
    sim_world_snapshot(w);
    drain(w);
    SIM_CHECK(w->snapshots_done == w->snapshots_asked, "a snapshot does not come to its end");
}

static uint64_t offset_of(const sim_entry *e)
{
    return strtoull(e->name, NULL, 10);
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && !strcmp(text + n - m, end);
}

void sim_world_settle(sim_world *w, bool is_tidy)
{
    lc_storage_policy policy = w->options.policy;
    lc_storage_policy_fill(&policy);
    take_snapshot(w);
    sim_clock_set(&w->clock, w->clock.latest + policy.keep_micros + 1000000);
    uint64_t second = w->model.history.len;
    take_snapshot(w);
    sim_world_look(w);

    sim_entries files = {0};
    sim_disk_entries(&w->disk, SIM_SNAPSHOTS, &files);
    uint32_t snapshots = 0;
    LC_VEC_EACH (e, &files) {
        snapshots += ends_with(e->name, ".lcsnap");
        SIM_CHECK(!is_tidy || !ends_with(e->name, ".tmp"), "%s was left behind", e->name);
    }
    SIM_CHECK(snapshots >= 2, "there are %u snapshots, two were taken", snapshots);
    /* The newest so many, and the one that the window begins with. */
    SIM_CHECK(policy.keep_all || snapshots <= policy.keep_snapshots + 1,
              "%u snapshots are kept, %u and one should be", snapshots, policy.keep_snapshots);
    sim_disk_entries(&w->disk, SIM_LOG, &files);
    uint32_t old = 0;
    LC_VEC_EACH (e, &files)
        if (ends_with(e->name, ".stdb.log") && offset_of(e) <= second) old++;
    SIM_CHECK(policy.keep_all || old <= 1, "%u segments before offset %llu are kept, one is needed",
              old, (unsigned long long)second);
    lc_vec_deinit(&files);
}

/* ----------------------------------------------------------------- restore */

#define COPY_FOLDER "/data/copy"

/* The earliest state that is promised: all that were the current one at some time in the window,
 * whichever way the clock jumped. */
static uint64_t earliest_promised(const sim_world *w)
{
    lc_storage_policy policy = w->options.policy;
    lc_storage_policy_fill(&policy);
    uint64_t x = w->model.history.len;
    while (x > 1 && (policy.keep_all ||
                     w->model.history.items[x - 1].when >= w->clock.latest - policy.keep_micros))
        x--;
    return x;
}

static lc_status append(void *arg, lc_span bytes, lc_error *err)
{
    (void)err;
    lc_buf_put_span(arg, bytes);
    return LC_OK;
}

typedef struct source {
    lc_span left;
    sim_random *random;
} source;

static ssize_t read_some(void *arg, void *buf, size_t n, lc_error *err)
{
    (void)err;
    source *s = arg;
    size_t most = 1 + sim_below(s->random, 70000);
    if (n > most) n = most;
    if (n > s->left.len) n = s->left.len;
    memcpy(buf, s->left.ptr, n);
    s->left.ptr += n;
    s->left.len -= n;
    return (ssize_t)n;
}

/* Tears the backup or flips a bit of it. */
static void damage(sim_random *r, lc_buf *file)
{
    if (sim_one_in(r, 2))
        file->len = sim_below(r, (uint32_t)file->len);
    else
        file->ptr[sim_below(r, (uint32_t)file->len)] ^= (uint8_t)(1u << sim_below(r, 8));
}

/* Through a backup file; false when it was refused, which a damaged one must be. */
static bool through_file(sim_world *w, sim_disk *d, const lc_restore_point *at, bool is_damaged,
                         lc_backup_info *restored, lc_error *err)
{
    lc_buf file = LC_BUF_INIT;
    lc_backup_info info;
    lc_status rc = lc_backup_create(SIM_FOLDER, &d->disk, &w->clock.clock, at->offset, UINT64_MAX,
                                    append, &file, &info, err);
    SIM_CHECK(rc == LC_OK, "no backup that begins at %llu: %s", (unsigned long long)at->offset,
              lc_error_text(err));
    SIM_CHECK(info.from <= at->offset && info.to >= w->confirmed && info.to <= w->model.history.len,
              "a backup from %llu to %llu, asked for %llu to %llu", (unsigned long long)info.from,
              (unsigned long long)info.to, (unsigned long long)at->offset,
              (unsigned long long)w->confirmed);
    if (is_damaged) damage(&w->random, &file);
    source s = {lc_buf_span(&file), &w->random};
    rc = lc_backup_restore(read_some, &s, at, COPY_FOLDER, &d->disk, &w->clock.clock, NULL, NULL,
                           restored, err);
    lc_buf_deinit(&file);
    return rc == LC_OK;
}

void sim_world_restore(sim_world *w)
{
    uint64_t first = earliest_promised(w);
    if (w->confirmed == 0) return;
    /* A snapshot that rotted takes what only it could begin with along. */
    if (first > w->confirmed || w->count.fallbacks > 0 || sim_world_may_have_gap(w))
        first = w->confirmed;
    uint64_t on = sim_one_in(&w->random, 2) ? 0 : sim_next(&w->random) % (w->confirmed - first + 1);
    lc_restore_point at = {.offset = first + on, .time = INT64_MAX};
    bool by_file = sim_one_in(&w->random, 2), is_damaged = by_file && sim_one_in(&w->random, 4);
    sim_note("restore %llu of %llu to %llu%s%s", (unsigned long long)at.offset,
             (unsigned long long)first, (unsigned long long)w->confirmed,
             by_file ? " through a file" : "", is_damaged ? ", damaged" : "");
    sim_disk d;
    sim_disk_copy(&d, &w->disk, sim_next(&w->random));
    sim_disk_make_folder(&d, COPY_FOLDER); /* the server's part */
    lc_error err = LC_ERROR_INIT;
    lc_backup_info info;
    bool is_restored = by_file
                           ? through_file(w, &d, &at, is_damaged, &info, &err)
                           : lc_folder_restore(SIM_FOLDER, &at, COPY_FOLDER, &d.disk,
                                               &w->clock.clock, NULL, NULL, &info, &err) == LC_OK;
    SIM_CHECK(is_restored != is_damaged, "restore of %llu: %s", (unsigned long long)at.offset,
              is_restored ? "a damaged backup was taken" : lc_error_text(&err));
    lc_error_clear(&err);
    if (is_restored) {
        w->count.restores++;
        sim_disk_power_off(&d); /* it is there for good */
        lc_storage_options o = w->options;
        o.mode = LC_STORAGE_OPEN;
        o.folder = COPY_FOLDER;
        o.disk = &d.disk;
        o.on_durable = NULL; /* closing it is none of this world's business */
        o.on_wake = NULL;
        lc_storage *s;
        lc_status rc = lc_storage_open(&o, &s, NULL, &err);
        SIM_CHECK(rc == LC_OK, "what was restored does not open: %s", lc_error_text(&err));
        /* The new log begins with a transaction of its own, which changes no row. */
        SIM_CHECK(info.restored == at.offset && lc_storage_need(s) == at.offset + 1,
                  "restored %llu transactions and then holds %llu, asked for %llu",
                  (unsigned long long)info.restored, (unsigned long long)lc_storage_need(s),
                  (unsigned long long)at.offset);
        sim_model_move(&w->model, at.offset);
        sim_model_compare(&w->model, lc_storage_store(s), "restored");
        sim_model_move(&w->model, w->model.history.len);
        lc_storage_close(s);
    }
    SIM_CHECK(d.open_files == 0, "%u files are still open after restoring", d.open_files);
    sim_disk_deinit(&d);
}
