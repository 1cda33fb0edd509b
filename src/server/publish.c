/*
 * Changing which databases there are, and what runs in them: publish, reset, delete, restart.
 *
 * Order of a first publish, so that a crash at any point leaves either nothing or a database that
 * opens: program bytes; catalog with the new replica among the doomed; the replica, durable;
 * catalog with the database and the replica no longer doomed. Whatever is doomed at a start is
 * removed.
 */
#include "server_internal.h"

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
    rc = lc_node_reserve_replica(p->node, replica, p->err);
    if (rc != LC_OK) {
        lc_prepared_destroy(prepared);
        return rc;
    }
    rc = lc_node_create_replica(p->node, &p->slot->identity, &p->owner, *replica, prepared, out,
                                p->err);
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
    lc_slot_take_out(n, p->slot); /* nothing in it; openers wait until it is there */
    lc_catalog *c = lc_node_begin_change(n);
    lc_catalog_database d = {
        .record = {.id = c->next_id++, .identity = p->slot->identity, .owner = p->owner}};
    describe(p, replica, db, &d);
    lc_records_add(c, &d);
    lc_records_undoom(c, replica);
    rc = lc_node_commit_change(n, c, p->err);
    if (rc != LC_OK) discard(n, db, replica);
    lc_slot_put_in(n, p->slot, rc == LC_OK ? db : NULL);
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
    lc_database *old = lc_slot_take_out(n, p->slot);
    lc_catalog *c = lc_node_begin_change(n);
    lc_catalog_database *d = lc_records_find(c, &p->slot->identity);
    describe(p, replica, db, d);
    lc_records_undoom(c, replica);
    lc_records_doom(c, record->replica);
    rc = lc_node_commit_change(n, c, p->err);
    if (rc != LC_OK) {
        lc_slot_put_in(n, p->slot, old);
        discard(n, db, replica);
        return rc;
    }
    lc_slot_put_in_new(n, p->slot, db);
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
    if (rc == LC_E_IO || rc == LC_E_CORRUPT || rc == LC_E_CLOSED || rc == LC_E_READ_ONLY) return rc;
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

lc_identity lc_node_new_identity(void)
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
    *out = lc_node_new_identity();
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
        out->identity = lc_node_new_identity();
    if (rc != LC_OK) return rc;

    lc_catalog_database record;
    bool exists;
    pthread_mutex_lock(&n->lock);
    lc_slot *s = lc_slot_hold(n, &out->identity);
    rc = lc_slot_begin_publishing(n, s, &record, &exists, err);
    if (rc == LC_OK) {
        pthread_mutex_unlock(&n->lock);
        out->is_new = !exists;
        rc = publish_in_slot(n, s, p, exists ? &record : NULL, err);
        pthread_mutex_lock(&n->lock);
        lc_slot_end_publishing(n, s);
    }
    lc_slot_let_go(n, s);
    if (n->is_closing) pthread_cond_broadcast(&n->changed);
    pthread_mutex_unlock(&n->lock);
    return rc;
}

/* --------------------------------------------------- reset, delete and restart */

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
    lc_database *db = lc_slot_take_out(n, s);
    lc_catalog *c = lc_node_begin_change(n);
    lc_records_remove(c, &s->identity);
    lc_records_doom(c, d->record.replica);
    rc = lc_node_commit_change(n, c, err);
    if (rc != LC_OK) {
        lc_slot_put_in(n, s, db);
        return rc;
    }
    if (db) {
        lc_database_close(db, false);
        lc_database_unref(db);
    }
    lc_slot_put_in_new(n, s, NULL);
    lc_node_remove_replica(n, d->record.replica);
    return LC_OK;
}

static lc_status restart_in_slot(lc_node *n, lc_slot *s, const lc_identity *caller,
                                 const lc_catalog_database *d, lc_error *err)
{
    lc_status rc = check_owner(d, caller, "restart database", NULL, err);
    if (rc != LC_OK) return rc;
    lc_database *db = lc_slot_take_out(n, s);
    if (db) {
        lc_database_close(db, true);
        lc_database_unref(db);
    }
    lc_slot_put_in_new(n, s, NULL);
    rc = lc_node_open(n, &s->identity, &db, err);
    if (rc != LC_OK) return rc;
    const char *read_only = lc_database_read_only(db);
    if (read_only) rc = lc_error_set(err, LC_E_READ_ONLY, "%s", read_only);
    lc_database_unref(db);
    return rc;
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
    lc_status rc = lc_slot_begin_publishing(n, s, &record, &exists, err);
    if (rc == LC_OK) {
        pthread_mutex_unlock(&n->lock);
        if (exists)
            rc = action(n, s, caller, &record, err);
        else if (if_missing != LC_OK)
            rc = lc_error_set(err, if_missing, "No such database.");
        pthread_mutex_lock(&n->lock);
        lc_slot_end_publishing(n, s);
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

lc_status lc_node_restart(lc_node *n, const lc_identity *caller, const lc_identity *database,
                          lc_error *err)
{
    return act_in_slot(n, caller, database, restart_in_slot, LC_E_NOT_FOUND, err);
}
