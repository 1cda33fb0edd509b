/*
 * How a database begins and ends: files, recovery, failure, close; and snapshots on demand.
 */
#include "database/database_internal.h"

#include <errno.h>
#include <fcntl.h>

/* --------------------------------------------------------------------- files */

static lc_status lock_folder(lc_database *db, lc_error *err)
{
    char *path = lc_format("%s/db.lock", db->folder);
    int rc = db->disk->mkdirs(db->disk->self, db->folder);
    if (rc >= 0) rc = db->disk->open(db->disk->self, path, O_RDWR | O_CREAT, &db->lock_file);
    if (rc >= 0) rc = db->disk->lock(db->disk->self, db->lock_file);
    if (rc < 0) {
        lc_error_set(err, LC_E_IO,
                     rc == -EWOULDBLOCK ? "%s: another process has this database open" : "%s: %s",
                     path, strerror(-rc));
    }
    lc_free(path);
    return rc < 0 ? LC_E_IO : LC_OK;
}

/* Nothing more will be written here: whoever wants may open the folder, also while loops still hold
 * references to this object. */
static void unlock_folder(lc_database *db)
{
    if (db->lock_file) db->disk->close(db->disk->self, db->lock_file);
    db->lock_file = NULL;
}

static void on_progress(void *arg, const lc_storage_progress *p)
{
    lc_database *db = arg;
    if (db->on_progress) db->on_progress(db->progress_arg, p);
}

static lc_status open_storage(lc_database *db, const lc_database_options *o, lc_storage_mode mode,
                              lc_error *err)
{
    lc_storage_options so = {
        .folder = db->folder,
        .disk = db->disk,
        .clock = db->clock,
        .mode = mode,
        .durability = o->durability,
        .max_segment_size = o->max_segment_size,
        .policy = o->policy,
        .on_durable = lc_database_on_durable,
        .on_failed = lc_database_on_failed,
        .on_wake = lc_database_on_wake,
        .on_progress = on_progress,
        .arg = db,
    };
    lc_status rc = lc_storage_open(&so, &db->storage, NULL, err);
    if (rc != LC_OK) return rc;
    db->store = lc_storage_store(db->storage);
    db->need = lc_storage_need(db->storage);
    atomic_store(&db->durable_count, lc_storage_durable_count(db->storage));
    return LC_OK;
}

static void open_log(lc_database *db)
{
    char *folder = lc_format("%s/module_logs", db->folder);
    db->log = lc_module_log_create(folder, db->disk, db->clock);
    lc_free(folder);
}

/* What protocols hang on a live query goes with it. */
static void drop_query(void *arg, lc_live_query *q)
{
    const lc_database *db = arg;
    for (uint32_t i = 0; i < LC_LIVE_PROTOCOLS; i++)
        if (q->user[i]) db->protocols[i]->drop_cache(q->user[i]);
}

static void create_live(lc_database *db)
{
    db->live = lc_live_create(db->store);
    lc_live_on_drop(db->live, drop_query, db);
}

/* --------------------------------------------------------------------- begin */

/* What was committed before anybody else came is durable, or there is no database to begin. */
static lc_status confirm(lc_database *db, lc_error *err)
{
    lc_database_flush(db);
    if (lc_database_wait_durable(db, db->need)) return LC_OK;
    char *reason = lc_database_failure(db);
    lc_error_set(err, LC_E_IO, "%s", reason);
    lc_free(reason);
    return LC_E_IO;
}

lc_status lc_database_create(const lc_database_options *o, lc_prepared *p, lc_database **out,
                             lc_error *err)
{
    *out = NULL;
    lc_database *db = lc_database_new(o);
    lc_status rc = lock_folder(db, err);
    if (rc == LC_OK) rc = open_storage(db, o, LC_STORAGE_CREATE, err);
    if (rc != LC_OK) {
        lc_prepared_destroy(p);
        lc_database_unref(db);
        return rc;
    }
    open_log(db);
    create_live(db);
    rc = lc_database_first_publish(db, p, err);
    if (rc == LC_OK) rc = confirm(db, err);
    if (rc != LC_OK) {
        lc_database_unref(db);
        return rc;
    }
    lc_database_begin(db);
    *out = db;
    return LC_OK;
}

/* What connections of a process that has ended have left behind. */
static void disconnect_leftovers(lc_database *db)
{
    lc_identity id;
    lc_connection_id conn;
    while (lc_store_first_client(db->store, &id, &conn)) lc_database_disconnect(db, &id, &conn);
}

lc_status lc_database_open(const lc_database_options *o, lc_database **out, lc_error *err)
{
    *out = NULL;
    lc_database *db = lc_database_new(o);
    lc_status rc = lock_folder(db, err);
    if (rc == LC_OK)
        rc = open_storage(db, o, db->read_only ? LC_STORAGE_READ_ONLY : LC_STORAGE_OPEN, err);
    if (rc == LC_OK) {
        open_log(db);
        create_live(db);
        rc = lc_database_load_module(db, err);
    }
    if (rc == LC_OK && !db->read_only) {
        lc_schedule_restart(db); /* so that rows written by disconnect reducers are queued, too */
        disconnect_leftovers(db);
        lc_schedule_restart(db);
        rc = confirm(db, err);
    }
    if (rc != LC_OK) {
        lc_database_unref(db);
        return rc;
    }
    lc_database_begin(db);
    *out = db;
    return LC_OK;
}

/* ----------------------------------------------------------------------- end */

/* From here on requests are refused. The module and the subscriptions go at once: the database's
 * memory may live on for a while, in the hands of loops whose connections are still closing, but
 * neither its engine nor its tables may. */
static void shut(lc_database *db)
{
    lc_long_read_finish_all(db);
    db->is_closed = true;
    if (db->instance) lc_instance_destroy(db->instance);
    if (db->program) lc_program_unref(db->program);
    db->instance = NULL;
    db->program = NULL;
    for (lc_client *c = db->clients; c; c = c->next) {
        lc_live_client_destroy(c->live);
        c->live = NULL;
    }
    lc_live_destroy(db->live);
    db->live = NULL;
}

/* The log failed: whoever is connected must know that nothing more will be confirmed. */
void lc_database_run_failure(lc_job *job, lc_database *db)
{
    (void)job;
    if (db->is_closed) return;
    lc_database_close_clients(db, 1011, LC_DATABASE_STOPPED);
    shut(db);
}

typedef struct close_job {
    lc_job job;
    bool in_order;
    lc_storage *storage;
} close_job;

static void run_close(lc_job *job, lc_database *db)
{
    close_job *c = LC_CONTAINER(job, close_job, job);
    if (!db->is_closed) {
        lc_database_close_clients(db, 1001, "module exited");
        if (c->in_order && !db->read_only)
            for (lc_client *client = db->clients; client && !lc_database_is_over(db);
                 client = client->next)
                lc_database_disconnect(db, &client->identity, &client->connection_id);
        shut(db);
    }
    lc_database_flush(db);
    c->storage = db->storage;
    db->storage = NULL;
    db->store = NULL;
}

void lc_database_begin_read(lc_database *db)
{
    pthread_mutex_lock(&db->lock);
    db->readers++;
    pthread_mutex_unlock(&db->lock);
}

void lc_database_end_read(lc_database *db)
{
    pthread_mutex_lock(&db->lock);
    if (--db->readers == 0) pthread_cond_broadcast(&db->stopped);
    pthread_mutex_unlock(&db->lock);
}

static void wait_for_readers(lc_database *db)
{
    pthread_mutex_lock(&db->lock);
    while (db->readers > 0) pthread_cond_wait(&db->stopped, &db->lock);
    pthread_mutex_unlock(&db->lock);
}

void lc_database_close(lc_database *db, bool in_order)
{
    close_job c = {.job = {.run = run_close}, .in_order = in_order};
    atomic_store(&db->close_by, lc_clock_mono(db->clock) + LC_CLOSE_DRAIN_MILLIS * 1000000ull);
    lc_database_run(db, &c.job);
    wait_for_readers(db);
    if (c.storage) {
        if (!in_order) lc_storage_hurry(c.storage);
        lc_storage_close(c.storage); /* here, because it may write a snapshot */
    }
    unlock_folder(db);
}

/* ----------------------------------------------------------------- snapshots */

typedef struct snapshot_job {
    lc_job job;
    pthread_mutex_t lock;
    pthread_cond_t over;
    bool is_over;
    lc_status status;
    uint64_t offset;
    lc_error *err;
} snapshot_job;

static void snapshot_done(void *arg, uint64_t offset, const lc_error *err)
{
    snapshot_job *s = arg;
    pthread_mutex_lock(&s->lock);
    s->offset = offset;
    s->status = err ? lc_error_set(s->err, err->code, "%s", lc_error_text(err)) : LC_OK;
    s->is_over = true;
    pthread_cond_signal(&s->over);
    pthread_mutex_unlock(&s->lock);
}

static void run_snapshot(lc_job *job, lc_database *db)
{
    snapshot_job *s = LC_CONTAINER(job, snapshot_job, job);
    if (lc_database_is_over(db))
        s->status = lc_error_set(s->err, LC_E_CLOSED, "no such module");
    else if (db->read_only)
        s->status = lc_error_set(s->err, LC_E_READ_ONLY, "%s", db->read_only);
    else
        s->status = lc_storage_snapshot(db->storage, snapshot_done, s, s->err);
    if (s->status != LC_OK) s->is_over = true;
}

lc_status lc_database_snapshot(lc_database *db, uint64_t *offset, lc_error *err)
{
    snapshot_job s = {.job = {.run = run_snapshot}, .err = err};
    pthread_mutex_init(&s.lock, NULL);
    pthread_cond_init(&s.over, NULL);
    lc_database_run(db, &s.job);
    pthread_mutex_lock(&s.lock);
    while (!s.is_over) pthread_cond_wait(&s.over, &s.lock);
    pthread_mutex_unlock(&s.lock);
    pthread_cond_destroy(&s.over);
    pthread_mutex_destroy(&s.lock);
    *offset = s.offset;
    return s.status;
}
