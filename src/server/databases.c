/*
 * Running databases: opened once however many ask, published, reset, deleted, closed.
 *
 * Order of a first publish, so that a crash at any point leaves either nothing or a database that
 * opens: program bytes; catalog with the new replica among the doomed; the replica, durable;
 * catalog with the database and the replica no longer doomed. Whatever is doomed at a start is
 * removed.
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

void lc_slot_let_go(lc_node *n, lc_slot *s)
{
    if (--s->users || s->database) return;
    lc_map_remove(&n->slots, LC_SPAN(s->identity.bytes, sizeof s->identity.bytes));
    lc_free(s->failure_text);
    lc_free(s);
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
    bool disconnect_clients;
} ending;

static void *run_ending(void *arg)
{
    ending e = *(ending *)arg;
    lc_free(arg);
    lc_database_close(e.database, e.disconnect_clients);
    lc_database_unref(e.database);
    pthread_mutex_lock(&e.node->lock);
    e.node->endings--;
    set_idle(e.node, e.slot, NULL);
    lc_slot_let_go(e.node, e.slot);
    pthread_mutex_unlock(&e.node->lock);
    return NULL;
}

static void run_ending_on_worker(void *arg)
{
    run_ending(arg);
}

/* Lock held; the slot has a database and is not busy. On a thread of its own, because the workers
 * may all be waiting for the slot. */
static void end_database(lc_node *n, lc_slot *s, bool disconnect_clients)
{
    ending *e = lc_alloc(sizeof *e);
    *e = (ending){n, s, s->database, disconnect_clients};
    s->database = NULL;
    s->is_busy = true;
    s->users++;
    n->endings++;
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_t thread;
    if (pthread_create(&thread, &attr, run_ending, e) != 0)
        lc_node_work(n, run_ending_on_worker, e);
    pthread_attr_destroy(&attr);
}

/* Its journal broke, which the database has logged. The next request opens it again. Any thread. */
static void database_failed(void *arg, lc_database *db, const lc_error *err)
{
    (void)err;
    lc_node *n = arg;
    const lc_identity *id = lc_database_identity(db);
    pthread_mutex_lock(&n->lock);
    lc_slot *s = lc_map_get(&n->slots, LC_SPAN(id->bytes, sizeof id->bytes));
    if (s && s->database == db && !s->is_busy) end_database(n, s, false);
    pthread_mutex_unlock(&n->lock);
}

/* Lock held. Puts it in its slot, unless it failed before it could be found there. */
static void install(lc_node *n, lc_slot *s, lc_database *db)
{
    set_idle(n, s, db);
    if (db && lc_database_is_failed(db)) end_database(n, s, false);
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

/* --------------------------------------------------------------------- opening */

static lc_status is_shutting_down(lc_error *err)
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
        .on_failed = database_failed,
        .arg = n,
    };
}

static lc_status open_replica(lc_node *n, const lc_database_record *r, lc_database **out,
                              lc_error *err)
{
    char *folder = lc_node_replica_folder(n, r->replica);
    lc_database_options o = database_options(n, &r->identity, &r->owner, folder);
    lc_status rc = lc_database_open(&o, out, err);
    if (rc != LC_OK)
        lc_log(LC_LOG_ERROR, "the database in %s does not open: %s", folder, lc_error_text(err));
    lc_free(folder);
    return rc;
}

/* Lock held and, while the disk is read, given up. */
static lc_status open_slot(lc_node *n, lc_slot *s, const lc_database_record *found)
{
    lc_database_record record = *found;
    lc_database *db = NULL;
    lc_error why = LC_ERROR_INIT;
    s->is_busy = true;
    pthread_mutex_unlock(&n->lock);
    lc_status rc = open_replica(n, &record, &db, &why);
    pthread_mutex_lock(&n->lock);
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
        if (n->is_closing) return is_shutting_down(err);
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

/* A number for a new replica, doomed until a database has it. */
static lc_status reserve_replica(lc_node *n, uint64_t *replica, lc_error *err)
{
    lc_catalog *c = lc_node_begin_change(n);
    *replica = c->next_id++;
    lc_records_doom(c, *replica);
    return lc_node_commit_change(n, c, err);
}

/* A failure to save the catalog is the server's, whatever the disk said. */
static lc_status create_replica(lc_node *n, const lc_identity *identity, const lc_identity *owner,
                                uint64_t replica, lc_prepared *prepared, lc_database **out,
                                lc_error *err)
{
    const lc_disk *disk = lc_disk_system();
    char *folder = lc_node_replica_folder(n, replica), *above = lc_format("%s/replicas", n->folder);
    int made = disk->mkdirs(disk->self, folder);
    if (made >= 0) made = disk->sync_dir(disk->self, above);
    lc_status rc;
    if (made < 0) {
        lc_prepared_destroy(prepared);
        rc = lc_error_set(err, LC_E_IO, "cannot create %s: %s", folder, strerror(-made));
    } else {
        lc_database_options o = database_options(n, identity, owner, folder);
        rc = lc_database_create(&o, prepared, out, err);
    }
    if (rc == LC_OK && (made = disk->sync_dir(disk->self, folder)) < 0) {
        rc = lc_error_set(err, LC_E_IO, "cannot sync %s: %s", folder, strerror(-made));
        lc_database_close(*out, false);
        lc_database_unref(*out);
    }
    lc_free(folder);
    lc_free(above);
    return rc;
}

/* ------------------------------------------------------------------ publishing */

/* One publish under way. The slot is held and its is_publishing is ours. */
typedef struct publishing {
    lc_node *node;
    lc_slot *slot;
    lc_identity owner;
    lc_span program;
    uint8_t host_type;
    uint8_t hash[32];
    lc_error *err;
} publishing;

static lc_status not_authorized(const lc_identity *caller, const lc_identity *database,
                                const char *action, lc_error *err)
{
    char who[LC_IDENTITY_HEX + 1], what[LC_IDENTITY_HEX + 1];
    lc_identity_to_hex(caller, who);
    lc_identity_to_hex(database, what);
    return lc_error_set(err, LC_E_DENIED,
                        "%s is not authorized to perform action on database %s: %s", who, what,
                        action);
}

/* Lock held. Waits for its turn; afterwards the record is the current one. */
static lc_status begin_publishing(lc_node *n, lc_slot *s, lc_catalog_database *record, bool *exists,
                                  lc_error *err)
{
    while (s->is_publishing && !n->is_closing) pthread_cond_wait(&n->changed, &n->lock);
    if (n->is_closing) return is_shutting_down(err);
    s->is_publishing = true;
    const lc_catalog_database *d = lc_records_find(n->catalog, &s->identity);
    *exists = d != NULL;
    if (d) *record = *d;
    return LC_OK;
}

static void end_publishing(lc_node *n, lc_slot *s)
{
    s->is_publishing = false;
    pthread_cond_broadcast(&n->changed);
}

/* Compiles and describes the module, and stores its bytes. Other failures than the disk's are the
 * module's. */
static lc_status prepare(publishing *p, lc_prepared **out)
{
    lc_status rc = lc_prepared_create(p->node->engine, p->program, p->host_type, &p->slot->identity,
                                      lc_clock_system(), out, p->err);
    if (rc != LC_OK) {
        if (p->err && rc != LC_E_IO) p->err->code = LC_E_INVALID;
        return rc == LC_E_IO ? rc : LC_E_INVALID;
    }
    memcpy(p->hash, lc_prepared_hash(*out), sizeof p->hash);
    rc = lc_node_store_program(p->node, p->program, p->hash, p->err);
    if (rc != LC_OK) lc_prepared_destroy(*out);
    return rc;
}

/* A database over empty data in a new replica. */
static lc_status bring_up(publishing *p, uint64_t *replica, lc_database **out)
{
    lc_prepared *prepared;
    lc_status rc = prepare(p, &prepared);
    if (rc != LC_OK) return rc;
    rc = reserve_replica(p->node, replica, p->err);
    if (rc != LC_OK) {
        lc_prepared_destroy(prepared);
        return rc;
    }
    rc = create_replica(p->node, &p->slot->identity, &p->owner, *replica, prepared, out, p->err);
    if (rc == LC_OK) return rc;
    lc_node_remove_replica(p->node, *replica);
    if (rc == LC_E_IO || rc == LC_E_CORRUPT || rc == LC_E_CLOSED) return rc;
    if (p->err) p->err->code = LC_E_INVALID;
    return LC_E_INVALID;
}

static void describe(const publishing *p, uint64_t replica, lc_database *db, lc_catalog_database *d)
{
    d->record.host_type = p->host_type;
    d->record.replica = replica;
    d->record.has_schedules = lc_database_has_schedules(db);
    memcpy(d->record.initial_program, p->hash, sizeof p->hash);
    memcpy(d->program, p->hash, sizeof p->hash);
    d->program_kind = p->host_type;
}

/* Takes the database out of its slot, which then is busy. */
static lc_database *take_out(lc_node *n, lc_slot *s)
{
    pthread_mutex_lock(&n->lock);
    wait_while_busy(n, s);
    lc_database *db = s->database;
    s->database = NULL;
    s->is_busy = true;
    pthread_mutex_unlock(&n->lock);
    return db;
}

static void put_in(lc_node *n, lc_slot *s, lc_database *db)
{
    pthread_mutex_lock(&n->lock);
    install(n, s, db);
    pthread_mutex_unlock(&n->lock);
}

static void discard(lc_node *n, lc_database *db, uint64_t replica)
{
    lc_database_close(db, false);
    lc_database_unref(db);
    lc_node_remove_replica(n, replica);
}

static lc_status create_database(publishing *p)
{
    lc_node *n = p->node;
    uint64_t replica;
    lc_database *db;
    lc_status rc = bring_up(p, &replica, &db);
    if (rc != LC_OK) return rc;
    take_out(n, p->slot); /* nothing in it; openers wait until it is there */
    lc_catalog *c = lc_node_begin_change(n);
    lc_catalog_database d = {
        .record = {.id = c->next_id++, .identity = p->slot->identity, .owner = p->owner}};
    describe(p, replica, db, &d);
    lc_records_add(c, &d);
    lc_records_undoom(c, replica);
    rc = lc_node_commit_change(n, c, p->err);
    if (rc != LC_OK) discard(n, db, replica);
    put_in(n, p->slot, rc == LC_OK ? db : NULL);
    return rc;
}

/* The new replica is complete before the old one is given up; a failure leaves the old one running.
 */
static lc_status reset_database(publishing *p, const lc_database_record *record)
{
    lc_node *n = p->node;
    uint64_t replica;
    lc_database *db;
    lc_status rc = bring_up(p, &replica, &db);
    if (rc != LC_OK) return rc;
    lc_database *old = take_out(n, p->slot);
    lc_catalog *c = lc_node_begin_change(n);
    lc_catalog_database *d = lc_records_find(c, &p->slot->identity);
    describe(p, replica, db, d);
    lc_records_undoom(c, replica);
    lc_records_doom(c, record->replica);
    rc = lc_node_commit_change(n, c, p->err);
    if (rc != LC_OK) {
        put_in(n, p->slot, old);
        discard(n, db, replica);
        return rc;
    }
    put_in(n, p->slot, db);
    if (old) {
        lc_database_close(old, false);
        lc_database_unref(old);
    }
    lc_node_remove_replica(n, record->replica);
    return LC_OK;
}

/* Texts of 04 section 4.3 d to f, where the client is to blame. */
static lc_status update_failed(lc_status rc, lc_error *err)
{
    if (rc == LC_E_IO || rc == LC_E_CORRUPT || rc == LC_E_CLOSED) return rc;
    bool is_plan = rc == LC_E_UNSUPPORTED && !strncmp(lc_error_text(err), "Errors occurred:", 16);
    lc_error_prefix(err, is_plan ? "Database update rejected: "
                                 : "Failed to create or update the database: ");
    if (err) err->code = LC_E_UNSUPPORTED;
    return LC_E_UNSUPPORTED;
}

/* What the catalog says of the program, after the fact: the database knows better. */
static void note_update(publishing *p, lc_database *db)
{
    lc_catalog *c = lc_node_begin_change(p->node);
    lc_catalog_database *d = lc_records_find(c, &p->slot->identity);
    bool has_schedules = lc_database_has_schedules(db);
    if (!d || (d->record.host_type == p->host_type && d->program_kind == p->host_type &&
               d->record.has_schedules == has_schedules &&
               memcmp(d->program, p->hash, sizeof p->hash) == 0)) {
        lc_node_abandon_change(p->node, c);
        return;
    }
    d->record.host_type = d->program_kind = p->host_type;
    d->record.has_schedules = has_schedules;
    memcpy(d->program, p->hash, sizeof p->hash);
    lc_error err = LC_ERROR_INIT;
    if (lc_node_commit_change(p->node, c, &err) != LC_OK)
        lc_log(LC_LOG_ERROR, "an update was not noted in the catalog: %s", lc_error_text(&err));
    lc_error_clear(&err);
}

static lc_status update_database(publishing *p)
{
    lc_database *db;
    lc_prepared *prepared;
    lc_status rc = prepare(p, &prepared);
    if (rc != LC_OK) return rc;
    rc = lc_node_open(p->node, &p->slot->identity, &db, p->err);
    if (rc != LC_OK) {
        lc_prepared_destroy(prepared);
        return rc;
    }
    bool was_same;
    rc = lc_database_update(db, prepared, &was_same, p->err);
    if (rc == LC_OK)
        note_update(p, db);
    else
        rc = update_failed(rc, p->err);
    lc_database_unref(db);
    return rc;
}

/* -------------------------------------------------------------- whose database */

static lc_identity new_identity(void)
{
    uint8_t uuid[16];
    lc_buf text = LC_BUF_INIT;
    lc_uuid_v4(lc_random_system(), uuid);
    lc_uuid_to_text(uuid, &text);
    lc_identity id = lc_identity_derive(LC_STR("localhost"), lc_buf_span(&text));
    lc_buf_deinit(&text);
    return id;
}

/* The identity behind the name; an unknown name is registered and claimed, which stays even if the
 * publish fails. */
static lc_status claim_name(lc_node *n, const lc_publish *p, lc_identity *out, bool *name_denied,
                            lc_error *err)
{
    if (lc_node_resolve(n, p->name, out) == LC_OK) return LC_OK;
    lc_status rc = lc_database_name_check(p->name, err);
    if (rc != LC_OK) return rc;
    lc_catalog *c = lc_node_begin_change(n);
    const lc_catalog_name *known = lc_records_name_find(c, p->name);
    const lc_catalog_name *owner = lc_records_owner_find(c, p->name);
    if (known) {
        *out = known->identity; /* just now, by somebody else */
        lc_node_abandon_change(n, c);
        return LC_OK;
    }
    if (owner && !lc_identity_equal(&owner->identity, p->caller)) {
        lc_node_abandon_change(n, c);
        *name_denied = true;
        return lc_error_set(err, LC_E_DENIED, "the name " LC_SPAN_FMT " belongs to another owner",
                            LC_SPAN_ARG(p->name));
    }
    *out = new_identity();
    lc_records_add_name(c, p->name, out, p->caller);
    return lc_node_commit_change(n, c, err);
}

static lc_status check_owner(const lc_catalog_database *d, const lc_identity *caller,
                             const char *action, const char *when_locked, lc_error *err)
{
    const lc_database_record *r = &d->record;
    if (!lc_identity_equal(&r->owner, caller))
        return not_authorized(caller, &r->identity, action, err);
    if (when_locked && r->is_locked) return lc_error_set(err, LC_E_DENIED, "%s", when_locked);
    return LC_OK;
}

#define LOCKED_RESET                                                                               \
    "Database is locked and cannot be reset with --delete-data. Run `spacetime unlock` first."
#define LOCKED_DELETE "Database is locked and cannot be deleted. Run `spacetime unlock` first."

static lc_status publish_in_slot(lc_node *n, lc_slot *s, const lc_publish *p,
                                 const lc_catalog_database *d, lc_error *err)
{
    publishing job = {n, s, *p->caller, p->program, p->host_type, {0}, err};
    if (!d) return create_database(&job);
    lc_status rc = p->clear ? check_owner(d, p->caller, "reset database", LOCKED_RESET, err)
                            : check_owner(d, p->caller, "update database", NULL, err);
    if (rc != LC_OK) return rc;
    return p->clear ? reset_database(&job, &d->record) : update_database(&job);
}

lc_status lc_node_publish(lc_node *n, const lc_publish *p, lc_published *out, bool *name_denied,
                          lc_error *err)
{
    *name_denied = false;
    lc_status rc = LC_OK;
    if (p->identity)
        out->identity = *p->identity;
    else if (p->name.ptr)
        rc = claim_name(n, p, &out->identity, name_denied, err);
    else
        out->identity = new_identity();
    if (rc != LC_OK) return rc;

    lc_catalog_database record;
    bool exists;
    pthread_mutex_lock(&n->lock);
    lc_slot *s = lc_slot_hold(n, &out->identity);
    rc = begin_publishing(n, s, &record, &exists, err);
    if (rc == LC_OK) {
        pthread_mutex_unlock(&n->lock);
        out->is_new = !exists;
        rc = publish_in_slot(n, s, p, exists ? &record : NULL, err);
        pthread_mutex_lock(&n->lock);
        end_publishing(n, s);
    }
    lc_slot_let_go(n, s);
    if (n->is_closing) pthread_cond_broadcast(&n->changed);
    pthread_mutex_unlock(&n->lock);
    return rc;
}

/* ------------------------------------------------------------ reset and delete */

static lc_status reset_in_slot(lc_node *n, lc_slot *s, const lc_identity *caller,
                               const lc_catalog_database *d, lc_error *err)
{
    lc_status rc = check_owner(d, caller, "reset database", LOCKED_RESET, err);
    if (rc != LC_OK) return rc;
    lc_buf program = LC_BUF_INIT;
    rc = lc_node_load_program(n, d->program, &program, err);
    if (rc == LC_OK) {
        publishing job = {n, s, d->record.owner, lc_buf_span(&program), d->program_kind, {0}, err};
        rc = reset_database(&job, &d->record);
    } else if (err) {
        err->code = rc = LC_E_IO;
    }
    lc_buf_deinit(&program);
    return rc;
}

static lc_status delete_in_slot(lc_node *n, lc_slot *s, const lc_identity *caller,
                                const lc_catalog_database *d, lc_error *err)
{
    lc_status rc = check_owner(d, caller, "delete database", LOCKED_DELETE, err);
    if (rc != LC_OK) return rc;
    lc_database *db = take_out(n, s);
    lc_catalog *c = lc_node_begin_change(n);
    lc_records_remove(c, &s->identity);
    lc_records_doom(c, d->record.replica);
    rc = lc_node_commit_change(n, c, err);
    if (rc != LC_OK) {
        put_in(n, s, db);
        return rc;
    }
    if (db) {
        lc_database_close(db, false);
        lc_database_unref(db);
    }
    put_in(n, s, NULL);
    lc_node_remove_replica(n, d->record.replica);
    return LC_OK;
}

typedef lc_status (*slot_action)(lc_node *n, lc_slot *s, const lc_identity *caller,
                                 const lc_catalog_database *d, lc_error *err);

/* if_missing: what it means that there is no such database. */
static lc_status act_in_slot(lc_node *n, const lc_identity *caller, const lc_identity *database,
                             slot_action action, lc_status if_missing, lc_error *err)
{
    lc_catalog_database record;
    bool exists;
    pthread_mutex_lock(&n->lock);
    lc_slot *s = lc_slot_hold(n, database);
    lc_status rc = begin_publishing(n, s, &record, &exists, err);
    if (rc == LC_OK) {
        pthread_mutex_unlock(&n->lock);
        if (exists)
            rc = action(n, s, caller, &record, err);
        else if (if_missing != LC_OK)
            rc = lc_error_set(err, if_missing, "No such database.");
        pthread_mutex_lock(&n->lock);
        end_publishing(n, s);
    }
    lc_slot_let_go(n, s);
    if (n->is_closing) pthread_cond_broadcast(&n->changed);
    pthread_mutex_unlock(&n->lock);
    return rc;
}

lc_status lc_node_reset(lc_node *n, const lc_identity *caller, const lc_identity *database,
                        lc_error *err)
{
    return act_in_slot(n, caller, database, reset_in_slot, LC_E_NOT_FOUND, err);
}

lc_status lc_node_delete(lc_node *n, const lc_identity *caller, const lc_identity *database,
                         lc_error *err)
{
    return act_in_slot(n, caller, database, delete_in_slot, LC_OK, err);
}
