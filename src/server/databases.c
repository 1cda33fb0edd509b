/*
 * Running databases: slots, opening (once however many ask), closing, folders of replicas, turns.
 */
#include "server_internal.h"

#include <unistd.h>

/* ----------------------------------------------------------------------- slots */

lc_slot *lc_slot_hold(lc_node *n, const lc_identity *database)
{
    lc_span key = LC_SPAN(database->bytes, sizeof database->bytes);
    lc_slot *s = lc_map_get(&n->slots, key);
    if (!s) {
        s = lc_alloc_zero(sizeof *s);
        s->identity = *database;
        lc_map_put(&n->slots, key, s);
    }
    s->users++;
    return s;
}

void lc_slot_free(lc_slot *s)
{
    lc_free(s->failure_text);
    lc_free(s->read_only);
    lc_free(s);
}

void lc_slot_let_go(lc_node *n, lc_slot *s)
{
    if (--s->users || s->database || s->read_only) return;
    lc_map_remove(&n->slots, LC_SPAN(s->identity.bytes, sizeof s->identity.bytes));
    lc_slot_free(s);
}

/* Lock held. From now on it is opened for reading only, or for writing again; takes the reason. */
static void set_read_only(lc_slot *s, char *reason)
{
    lc_free(s->read_only);
    s->read_only = reason;
}

/* Lock held. */
static void wait_while_busy(lc_node *n, const lc_slot *s)
{
    while (s->is_busy) pthread_cond_wait(&n->changed, &n->lock);
}

static void set_idle(lc_node *n, lc_slot *s, lc_database *database)
{
    s->database = database;
    s->is_busy = false;
    pthread_cond_broadcast(&n->changed);
}

/* --------------------------------------------------------------------- closing */

typedef struct ending {
    lc_node *node;
    lc_slot *slot; /* held and busy */
    lc_database *database;
    bool in_order;
} ending;

static void run_ending(void *arg)
{
    ending e = *(ending *)arg;
    lc_free(arg);
    lc_database_close(e.database, e.in_order);
    lc_database_unref(e.database);
    pthread_mutex_lock(&e.node->lock);
    e.node->endings--;
    set_idle(e.node, e.slot, NULL);
    lc_slot_let_go(e.node, e.slot);
    pthread_mutex_unlock(&e.node->lock);
}

static void *ending_main(void *arg)
{
    pthread_setname_np(pthread_self(), "lc-closing");
    run_ending(arg);
    return NULL;
}

/* Lock held; the slot has a database and is not busy. On a thread of its own, because the workers
 * may all be waiting for the slot. */
static void end_database(lc_node *n, lc_slot *s, bool in_order)
{
    ending *e = lc_alloc(sizeof *e);
    *e = (ending){n, s, s->database, in_order};
    s->database = NULL;
    s->is_busy = true;
    s->users++;
    n->endings++;
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_t thread;
    if (pthread_create(&thread, &attr, ending_main, e) != 0) lc_node_work(n, run_ending, e);
    pthread_attr_destroy(&attr);
}

/* Lock held. A database whose log broke leaves its slot; the next request opens it for reading. */
static void end_failed(lc_node *n, lc_slot *s)
{
    set_read_only(s, lc_database_failure(s->database));
    end_database(n, s, false);
}

/* Its log broke, which the database has logged. Any thread. */
static void database_failed(void *arg, lc_database *db, const lc_error *err)
{
    (void)err;
    lc_node *n = arg;
    const lc_identity *id = lc_database_identity(db);
    pthread_mutex_lock(&n->lock);
    lc_slot *s = lc_map_get(&n->slots, LC_SPAN(id->bytes, sizeof id->bytes));
    if (s && s->database == db && !s->is_busy) end_failed(n, s);
    pthread_mutex_unlock(&n->lock);
}

/* Lock held. Puts it in its slot, unless it failed before it could be found there. */
static void install(lc_node *n, lc_slot *s, lc_database *db)
{
    set_idle(n, s, db);
    if (db && lc_database_is_failed(db)) end_failed(n, s);
}

/* When the server ends: how many databases at once, and how long a call may still take. */
enum { MAX_ENDINGS = 64, LAST_CALL_MILLIS = 1000 };

void lc_node_close_databases(lc_node *n)
{
    pthread_mutex_lock(&n->lock);
    n->is_closing = true;
    pthread_cond_broadcast(&n->changed);
    if (n->engine && n->settings.config.call_time_limit_millis > LAST_CALL_MILLIS)
        lc_engine_set_call_time_limit(n->engine, LAST_CALL_MILLIS);
    for (;;) {
        bool is_done = true;
        lc_map_entry *e;
        for (size_t at = 0; (e = lc_map_next(&n->slots, &at));) {
            lc_slot *s = e->value;
            if (s->database && !s->is_busy && !s->is_publishing && n->endings < MAX_ENDINGS)
                end_database(n, s, true);
            if (s->database || s->is_busy || s->is_publishing || s->users) is_done = false;
        }
        if (is_done) break;
        pthread_cond_wait(&n->changed, &n->lock);
    }
    pthread_mutex_unlock(&n->lock);
}

bool lc_node_is_closing(lc_node *n)
{
    pthread_mutex_lock(&n->lock);
    bool is_closing = n->is_closing;
    pthread_mutex_unlock(&n->lock);
    return is_closing;
}

/* --------------------------------------------------------------------- opening */

lc_status lc_node_is_shutting_down(lc_error *err)
{
    return lc_error_set(err, LC_E_CLOSED, "the server is shutting down");
}

static lc_database_options database_options(lc_node *n, const lc_identity *identity,
                                            const lc_identity *owner, const char *folder)
{
    return (lc_database_options){
        .identity = *identity,
        .owner = *owner,
        .folder = folder,
        .engine = n->engine,
        .max_segment_size = n->settings.config.commitlog_max_segment_size,
        .durability = n->settings.config.durability,
        .policy = n->settings.config.storage,
        .on_failed = database_failed,
        .arg = n,
    };
}

/* One that is being opened, for whoever watches. */
typedef struct opening {
    lc_node *node;
    char *name;
    lc_opening said;
    uint64_t began;
} opening;

/* Lock held. */
static void opening_init(opening *o, lc_node *n, const lc_identity *database)
{
    char hex[LC_IDENTITY_HEX + 1];
    *o = (opening){.node = n, .began = lc_clock_mono(lc_clock_system())};
    LC_VEC_EACH (name, &n->catalog->names)
        if (lc_identity_equal(&name->identity, database)) {
            o->name = lc_span_to_cstr(name->text);
            break;
        }
    lc_identity_to_hex(database, hex);
    if (!o->name) o->name = lc_strdup(hex);
    o->said.name = o->name;
}

static void opening_say(opening *o)
{
    if (!o->node->on_opening) return;
    o->said.millis = (lc_clock_mono(lc_clock_system()) - o->began) / 1000000;
    o->node->on_opening(o->node->on_opening_arg, &o->said);
}

static void opening_progress(void *arg, const lc_storage_progress *p)
{
    opening *o = arg;
    o->said.progress = *p;
    opening_say(o);
}

static void opening_deinit(opening *o)
{
    o->said.is_over = true;
    opening_say(o);
    lc_free(o->name);
}

/* What cannot be opened for writing may still be read: then *read_only becomes the reason. */
static lc_status open_or_read(lc_database_options *o, char **read_only, lc_database **out,
                              lc_error *err)
{
    o->read_only_reason = *read_only;
    lc_status rc = lc_database_open(o, out, err);
    if (rc != LC_E_IO || *read_only) return rc;
    lc_error why_not_even = LC_ERROR_INIT;
    o->read_only_reason = lc_error_text(err);
    if (lc_database_open(o, out, &why_not_even) == LC_OK) {
        *read_only = lc_strdup(lc_error_text(err));
        lc_error_clear(err);
        rc = LC_OK;
    }
    lc_error_clear(&why_not_even);
    return rc;
}

static lc_status open_replica(lc_node *n, const lc_database_record *r, opening *watched,
                              char **read_only, lc_database **out, lc_error *err)
{
    char *folder = lc_node_replica_folder(n, r->replica);
    lc_database_options o = database_options(n, &r->identity, &r->owner, folder);
    o.on_progress = opening_progress;
    o.progress_arg = watched;
    lc_status rc = open_or_read(&o, read_only, out, err);
    if (rc != LC_OK)
        lc_log(LC_LOG_ERROR, "the database in %s does not open: %s", folder, lc_error_text(err));
    else if (*read_only)
        lc_log(LC_LOG_WARN, "the database in %s is open for reading only: %s", folder, *read_only);
    lc_free(folder);
    return rc;
}

/* Lock held and, while the disk is read, given up. */
static lc_status open_slot(lc_node *n, lc_slot *s, const lc_database_record *found)
{
    lc_database_record record = *found;
    lc_database *db = NULL;
    lc_error why = LC_ERROR_INIT;
    opening watched;
    opening_init(&watched, n, &s->identity);
    char *read_only = s->read_only ? lc_strdup(s->read_only) : NULL;
    s->is_busy = true;
    pthread_mutex_unlock(&n->lock);
    lc_status rc = open_replica(n, &record, &watched, &read_only, &db, &why);
    opening_deinit(&watched);
    pthread_mutex_lock(&n->lock);
    set_read_only(s, read_only);
    s->attempts++;
    s->failure = rc;
    lc_free(s->failure_text);
    s->failure_text = rc == LC_OK ? NULL : lc_strdup(lc_error_text(&why));
    lc_error_clear(&why);
    install(n, s, db);
    return rc;
}

/* LC_E_NOT_FOUND and LC_E_CLOSED have meanings of their own; what a failed open says is none. */
static lc_status open_failed(const lc_slot *s, lc_error *err)
{
    lc_status code =
        s->failure == LC_E_NOT_FOUND || s->failure == LC_E_CLOSED ? LC_E_IO : s->failure;
    return lc_error_set(err, code, "%s", s->failure_text);
}

/* Lock held. */
static lc_status get_database(lc_node *n, lc_slot *s, lc_database **out, lc_error *err)
{
    for (;;) {
        const lc_catalog_database *d = lc_records_find(n->catalog, &s->identity);
        if (n->is_closing) return lc_node_is_shutting_down(err);
        if (!d) return lc_error_set(err, LC_E_NOT_FOUND, "No such database.");
        if (!s->is_busy && s->database) {
            *out = lc_database_ref(s->database);
            return LC_OK;
        }
        if (!s->is_busy) {
            if (open_slot(n, s, &d->record) != LC_OK) return open_failed(s, err);
            continue;
        }
        uint64_t attempts = s->attempts;
        wait_while_busy(n, s);
        /* Whoever waited for a failed attempt gets its reason; the next request tries again. */
        if (s->attempts != attempts && s->failure != LC_OK && !s->database)
            return open_failed(s, err);
    }
}

lc_status lc_node_open(lc_node *n, const lc_identity *database, lc_database **out, lc_error *err)
{
    *out = NULL;
    pthread_mutex_lock(&n->lock);
    lc_slot *s = lc_slot_hold(n, database);
    lc_status rc = get_database(n, s, out, err);
    lc_slot_let_go(n, s);
    if (n->is_closing) pthread_cond_broadcast(&n->changed);
    pthread_mutex_unlock(&n->lock);
    return rc;
}

typedef struct start {
    lc_node *node;
    lc_identity database;
} start;

static void run_start(void *arg)
{
    start *s = arg;
    lc_database *db;
    lc_error err = LC_ERROR_INIT; /* logged where it arose */
    if (lc_node_open(s->node, &s->database, &db, &err) == LC_OK) lc_database_unref(db);
    lc_error_clear(&err);
    lc_free(s);
}

void lc_node_open_scheduled(lc_node *n)
{
    pthread_mutex_lock(&n->lock);
    LC_VEC_EACH (d, &n->catalog->databases) {
        if (!d->record.has_schedules) continue;
        start *s = lc_alloc(sizeof *s);
        *s = (start){n, d->record.identity};
        lc_node_work(n, run_start, s);
    }
    pthread_mutex_unlock(&n->lock);
}

/* -------------------------------------------------------------------- replicas */

typedef struct removal {
    lc_node *node;
    uint64_t replica;
} removal;

static void run_removal(void *arg)
{
    removal *r = arg;
    char *folder = lc_node_replica_folder(r->node, r->replica);
    lc_error err = LC_ERROR_INIT;
    lc_status rc = lc_folder_remove(folder, &err);
    for (int i = 0; rc != LC_OK && i < 5; i++) { /* a thread may still be closing a file in it */
        usleep(20000);
        rc = lc_folder_remove(folder, &err);
    }
    if (rc == LC_OK) {
        lc_catalog *c = lc_node_begin_change(r->node);
        lc_records_undoom(c, r->replica);
        rc = lc_node_commit_change(r->node, c, &err);
    }
    if (rc != LC_OK)
        lc_log(LC_LOG_WARN, "%s is left for the next start: %s", folder, lc_error_text(&err));
    lc_error_clear(&err);
    lc_free(folder);
    lc_free(r);
}

void lc_node_remove_replica(lc_node *n, uint64_t replica)
{
    removal *r = lc_alloc(sizeof *r);
    *r = (removal){n, replica};
    lc_node_work(n, run_removal, r);
}

lc_status lc_node_reserve_replica(lc_node *n, uint64_t *replica, lc_error *err)
{
    lc_catalog *c = lc_node_begin_change(n);
    *replica = c->next_id++;
    lc_records_doom(c, *replica);
    return lc_node_commit_change(n, c, err);
}

lc_status lc_node_make_replica(lc_node *n, uint64_t replica, char **folder, lc_error *err)
{
    const lc_disk *disk = lc_disk_system();
    char *above = lc_format("%s/replicas", n->folder);
    *folder = lc_node_replica_folder(n, replica);
    int made = disk->mkdirs(disk->self, *folder);
    if (made >= 0) made = disk->sync_dir(disk->self, above);
    lc_free(above);
    return made < 0 ? lc_error_set(err, LC_E_IO, "cannot create %s: %s", *folder, strerror(-made))
                    : LC_OK;
}

lc_status lc_node_create_replica(lc_node *n, const lc_identity *identity, const lc_identity *owner,
                                 uint64_t replica, lc_prepared *prepared, lc_database **out,
                                 lc_error *err)
{
    const lc_disk *disk = lc_disk_system();
    char *folder;
    lc_status rc = lc_node_make_replica(n, replica, &folder, err);
    if (rc == LC_OK) {
        lc_database_options o = database_options(n, identity, owner, folder);
        rc = lc_database_create(&o, prepared, out, err);
    } else {
        lc_prepared_destroy(prepared);
    }
    int synced = rc == LC_OK ? disk->sync_dir(disk->self, folder) : 0;
    if (synced < 0) {
        rc = lc_error_set(err, LC_E_IO, "cannot sync %s: %s", folder, strerror(-synced));
        lc_database_close(*out, false);
        lc_database_unref(*out);
    }
    lc_free(folder);
    return rc;
}

/* ----------------------------------------------------------------------- turns */

lc_status lc_slot_begin_publishing(lc_node *n, lc_slot *s, lc_catalog_database *record,
                                   bool *exists, lc_error *err)
{
    while (s->is_publishing && !n->is_closing) pthread_cond_wait(&n->changed, &n->lock);
    if (n->is_closing) return lc_node_is_shutting_down(err);
    s->is_publishing = true;
    const lc_catalog_database *d = lc_records_find(n->catalog, &s->identity);
    *exists = d != NULL;
    if (d) *record = *d;
    return LC_OK;
}

void lc_slot_end_publishing(lc_node *n, lc_slot *s)
{
    s->is_publishing = false;
    pthread_cond_broadcast(&n->changed);
}

lc_database *lc_slot_take_out(lc_node *n, lc_slot *s)
{
    pthread_mutex_lock(&n->lock);
    wait_while_busy(n, s);
    lc_database *db = s->database;
    s->database = NULL;
    s->is_busy = true;
    pthread_mutex_unlock(&n->lock);
    return db;
}

void lc_slot_put_in(lc_node *n, lc_slot *s, lc_database *db)
{
    pthread_mutex_lock(&n->lock);
    install(n, s, db);
    pthread_mutex_unlock(&n->lock);
}

void lc_slot_put_in_new(lc_node *n, lc_slot *s, lc_database *db)
{
    pthread_mutex_lock(&n->lock);
    set_read_only(s, NULL);
    install(n, s, db);
    pthread_mutex_unlock(&n->lock);
}
