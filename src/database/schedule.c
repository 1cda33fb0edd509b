/*
 * Scheduled tables (05 section 6): a queue of due times beside the tables. The queue holds no rows:
 * when an entry is due its row is looked up, so a row that was deleted or rolled back simply is not
 * there.
 */
#include "database/database_internal.h"

enum { KEY_SIZE = 12 };

static lc_span entry_key(uint32_t table_id, uint64_t row_id, uint8_t out[KEY_SIZE])
{
    lc_store_u32(out, table_id);
    lc_store_u64(out + 4, row_id);
    return LC_SPAN(out, KEY_SIZE);
}

/* ---------------------------------------------------------------------- heap */

/* Those found overdue at a restart are all due at once: they keep the order they were meant for. */
static bool before(const lc_schedule_entry *a, const lc_schedule_entry *b)
{
    if (a->due != b->due) return a->due < b->due;
    return a->intended != b->intended ? a->intended < b->intended : a->serial < b->serial;
}

static void heap_push(lc_schedule *s, lc_schedule_entry e)
{
    lc_vec_push(&s->heap, e);
    size_t i = s->heap.len - 1;
    while (i > 0 && before(&e, &s->heap.items[(i - 1) / 2])) {
        s->heap.items[i] = s->heap.items[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    s->heap.items[i] = e;
}

static lc_schedule_entry heap_pop(lc_schedule *s)
{
    lc_schedule_entry top = s->heap.items[0];
    lc_schedule_entry last = s->heap.items[--s->heap.len];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= s->heap.len) break;
        if (child + 1 < s->heap.len && before(&s->heap.items[child + 1], &s->heap.items[child]))
            child++;
        if (!before(&s->heap.items[child], &last)) break;
        s->heap.items[i] = s->heap.items[child];
        i = child;
    }
    if (s->heap.len) s->heap.items[i] = last;
    return top;
}

static bool is_current(const lc_schedule *s, const lc_schedule_entry *e)
{
    uint8_t key[KEY_SIZE];
    return (uintptr_t)lc_map_get(&s->current, entry_key(e->table_id, e->row_id, key)) ==
           (uintptr_t)e->serial + 1;
}

/* Queues the entry; an older one of the same row becomes stale. */
static void queue(lc_schedule *s, lc_schedule_entry e)
{
    uint8_t key[KEY_SIZE];
    e.serial = s->next_serial++;
    lc_map_put(&s->current, entry_key(e.table_id, e.row_id, key),
               (void *)((uintptr_t)e.serial + 1));
    heap_push(s, e);
}

static void forget(lc_schedule *s, const lc_schedule_entry *e)
{
    uint8_t key[KEY_SIZE];
    lc_map_remove(&s->current, entry_key(e->table_id, e->row_id, key));
}

int64_t lc_schedule_next_due(const lc_database *db)
{
    return db->schedule.heap.len ? db->schedule.heap.items[0].due : INT64_MAX;
}

/* -------------------------------------------------------------------- clocks */

/* Intervals are about time that passes, so they move along with a wall clock that is set back;
 * times stay where they are. One that is set forward makes due what it has overtaken, an interval
 * once. */
static void move_intervals(lc_schedule *s, int64_t by)
{
    size_t count = s->heap.len;
    s->heap.len = 0;
    for (size_t i = 0; i < count; i++) { /* pushing never writes beyond what was read */
        lc_schedule_entry e = s->heap.items[i];
        if (e.is_interval) {
            e.due += by;
            e.intended += by;
        }
        heap_push(s, e);
    }
}

bool lc_schedule_is_due(lc_database *db)
{
    lc_schedule *s = &db->schedule;
    if (!s->heap.len) return false;
    int64_t now = lc_clock_now(db->clock);
    int64_t ahead = now - (int64_t)(lc_clock_mono(db->clock) / 1000);
    int64_t jump = s->has_looked ? ahead - s->ahead : 0;
    s->ahead = ahead;
    s->has_looked = true;
    if (jump <= -LC_SCHEDULE_JUMP_MICROS) move_intervals(s, jump);
    return s->heap.items[0].due <= now;
}

/* ---------------------------------------------------------------------- rows */

typedef struct schedule_at {
    bool is_interval;
    int64_t micros; /* interval: absolute value; time: since 1970 */
} schedule_at;

static schedule_at read_at(const lc_schedule_table *t, const lc_table *table, lc_span row)
{
    lc_span at = lc_layout_column(lc_table_layout(table), row.ptr, t->at_column);
    int64_t micros = (int64_t)lc_load_u64(at.ptr + 1);
    schedule_at out = {.is_interval = at.ptr[0] == 0, .micros = micros};
    if (out.is_interval && micros < 0) out.micros = micros == INT64_MIN ? INT64_MAX : -micros;
    return out;
}

static uint64_t read_id(const lc_schedule_table *t, const lc_table *table, lc_span row)
{
    return lc_load_u64(lc_layout_column(lc_table_layout(table), row.ptr, t->id_column).ptr);
}

/* The entry for a row seen when the wall clock says `now` and transactions are stamped `stamp`,
 * which is later after the clock was set back: times are reckoned from there. False when its delay
 * is beyond what can be queued. */
static bool entry_for(const lc_schedule_table *t, const lc_table *table, lc_span row, int64_t now,
                      int64_t stamp, lc_schedule_entry *out)
{
    schedule_at at = read_at(t, table, row);
    int64_t delay = at.is_interval ? at.micros : at.micros > stamp ? at.micros - stamp : 0;
    bool fits = delay / 1000 < LC_SCHEDULE_MAX_DELAY_MILLIS;
    if (!fits) delay = LC_SCHEDULE_MAX_DELAY_MILLIS * 1000;
    *out = (lc_schedule_entry){
        .due = now + delay,
        .intended = at.is_interval ? now + delay : at.micros,
        .row_id = read_id(t, table, row),
        .table_id = t->table_id,
        .is_interval = at.is_interval,
    };
    return fits;
}

static const lc_schedule_table *find_table(const lc_schedule *s, uint32_t table_id)
{
    for (size_t i = 0; i < s->tables.len; i++)
        if (s->tables.items[i].table_id == table_id) return &s->tables.items[i];
    return NULL;
}

lc_errno lc_schedule_row_written(void *arg, lc_table *table, lc_span row)
{
    lc_database *db = arg;
    lc_schedule *s = &db->schedule;
    const lc_schedule_table *t = find_table(s, lc_table_id(table));
    if (LC_LIKELY(!t)) return LC_ERRNO_OK;
    int64_t now = lc_clock_now(db->clock);
    int64_t stamp = now > db->last_timestamp ? now : db->last_timestamp;
    lc_schedule_entry e;
    if (!entry_for(t, table, row, now, stamp, &e)) return LC_ERRNO_SCHEDULE_AT_DELAY_TOO_LONG;
    lc_vec_push(&s->pending, e);
    return LC_ERRNO_OK;
}

void lc_schedule_commit(lc_database *db)
{
    LC_VEC_EACH (e, &db->schedule.pending) queue(&db->schedule, *e);
    db->schedule.pending.len = 0;
}

void lc_schedule_rollback(lc_database *db)
{
    db->schedule.pending.len = 0;
}

/* ------------------------------------------------------------------- restart */

void lc_schedule_deinit(lc_schedule *s)
{
    lc_vec_deinit(&s->tables);
    lc_vec_deinit(&s->heap);
    lc_vec_deinit(&s->pending);
    lc_map_deinit(&s->current);
    *s = (lc_schedule){0};
}

static lc_index *unique_index_over(const lc_table *t, uint16_t column)
{
    lc_index *ix;
    for (uint32_t i = 0; (ix = lc_table_index(t, i)); i++)
        if (lc_index_is_unique(ix) && lc_index_column_count(ix) == 1 &&
            lc_index_column(ix, 0) == column)
            return ix;
    return NULL;
}

typedef struct requeue {
    lc_schedule *schedule;
    const lc_schedule_table *table;
    lc_table *rows;
    int64_t now;
} requeue;

static bool requeue_row(void *arg, lc_span row)
{
    requeue *q = arg;
    lc_schedule_entry e;
    entry_for(q->table, q->rows, row, q->now, q->now, &e); /* a delay too long is clamped here */
    queue(q->schedule, e);
    return true;
}

void lc_schedule_restart(lc_database *db)
{
    lc_schedule *s = &db->schedule;
    lc_schedule_deinit(s);
    for (uint32_t i = 0; i < db->schema->table_count; i++) {
        const lc_table_def *def = &db->schema->tables[i];
        if (!def->schedule) continue;
        lc_table *table = lc_store_table_by_name(db->store, def->name);
        if (!table) continue;
        lc_schedule_table t = {
            .table_id = lc_table_id(table),
            .id_column = def->schedule->id_column,
            .at_column = def->schedule->at_column,
            .by_id = unique_index_over(table, def->schedule->id_column),
            .def = def->schedule,
        };
        if (!t.by_id) continue;
        lc_vec_push(&s->tables, t);
        requeue q = {s, &t, table, lc_clock_now(db->clock)};
        lc_table_scan(table, requeue_row, &q);
    }
    atomic_store(&db->has_schedules, s->tables.len > 0);
    db->env->row_written = s->tables.len ? lc_schedule_row_written : NULL;
}

/* -------------------------------------------------------------------- firing */

static bool find_row(const lc_schedule_table *t, uint64_t row_id, lc_span *row)
{
    uint8_t key[8];
    lc_store_u64(key, row_id);
    return lc_index_find(t->by_id, LC_SPAN(key, sizeof key), row);
}

static void run_scheduled(lc_database *db, const lc_schedule_table *t, const lc_schedule_entry *e,
                          lc_span row)
{
    const lc_function_def *f = &db->schema->reducers[t->def->function];
    lc_connection_id none = {{0}};
    int64_t timestamp = lc_database_timestamp(db);
    if (e->intended > timestamp) timestamp = db->last_timestamp = e->intended;
    lc_store_begin(db->store);
    lc_call_status status = lc_database_run_reducer(db, f, &db->identity, &none, timestamp, row);
    if (status != LC_CALL_COMMITTED) {
        lc_database_rollback(db);
        return;
    }
    lc_log_inputs in = {
        .name = f->name, .caller = db->identity, .timestamp = timestamp, .args = row};
    lc_tx_event event = {
        .status = LC_CALL_COMMITTED,
        .reducer = f,
        .reducer_id = f->id,
        .reducer_name = f->name,
        .args = row,
        .caller = db->identity,
        .timestamp = timestamp,
        .schema_version = db->schema->version,
    };
    lc_database_commit(db, &in, &event, NULL, false);
}

/* After the run: a one-shot row goes, in a transaction of its own; an interval is queued again. */
static void finish_scheduled(lc_database *db, const lc_schedule_table *t, lc_schedule_entry e)
{
    lc_span row;
    if (!find_row(t, e.row_id, &row)) return;
    lc_table *table = lc_store_table(db->store, t->table_id);
    schedule_at at = read_at(t, table, row);
    if (at.is_interval) {
        int64_t now = lc_clock_now(db->clock);
        int64_t behind = now - e.intended;
        int64_t steps = at.micros == 0 ? 0 : behind < 0 ? 1 : behind / at.micros + 1;
        if (__builtin_mul_overflow(steps, at.micros, &steps) ||
            __builtin_add_overflow(e.intended, steps, &e.intended))
            return;
        if (e.intended - now > at.micros) e.intended = now + at.micros; /* the clock was set back */
        e.due = e.intended;
        e.is_interval = true;
        queue(&db->schedule, e);
        return;
    }
    lc_store_begin(db->store);
    lc_table_delete_row(table, row);
    lc_log_inputs in = {.name = LC_SPAN_EMPTY};
    lc_tx_event event = {
        .status = LC_CALL_COMMITTED,
        .reducer_id = UINT32_MAX,
        .caller = db->identity,
        .timestamp = lc_database_timestamp(db),
        .schema_version = db->schema->version,
    };
    lc_database_commit(db, &in, &event, NULL, false);
}

bool lc_schedule_run_one(lc_database *db)
{
    lc_schedule *s = &db->schedule;
    if (!lc_schedule_is_due(db)) return false;
    lc_schedule_entry e = heap_pop(s);
    if (!is_current(s, &e)) return true;
    forget(s, &e);
    const lc_schedule_table *t = find_table(s, e.table_id);
    lc_span row;
    if (!t || !find_row(t, e.row_id, &row)) return true;
    if (t->def->is_procedure) {
        lc_database_log(db, LC_MODULE_LOG_ERROR, t->def->function_name,
                        "not supported: the scheduled procedure was not run");
        return true;
    }
    if (!lc_database_ensure_instance(db)) return true;
    lc_span copy = LC_SPAN(lc_memdup(row.ptr, row.len), row.len);
    run_scheduled(db, t, &e, copy);
    /* A row written anew by the reducer itself has its own entry; the finished run does not touch
     * an interval that was rescheduled. */
    uint8_t key[KEY_SIZE];
    bool is_requeued = lc_map_get(&s->current, entry_key(e.table_id, e.row_id, key)) != NULL;
    schedule_at at = {0};
    lc_span now_row;
    if (find_row(t, e.row_id, &now_row))
        at = read_at(t, lc_store_table(db->store, t->table_id), now_row);
    if (!(is_requeued && at.is_interval)) finish_scheduled(db, t, e);
    lc_free((void *)copy.ptr);
    return true;
}
