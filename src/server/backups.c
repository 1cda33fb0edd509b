/*
 * Backups of running databases, and new databases out of backups.
 *
 * A restored database comes into being as a published one does: its replica is among the doomed
 * until the catalog has the database, so that a crash leaves all of it or nothing.
 */
#include "server_internal.h"

lc_status lc_node_backup(lc_node *n, const lc_identity *database, uint64_t since,
                         lc_backup_write write, void *arg, lc_backup_info *info, lc_error *err)
{
    lc_database *db;
    lc_status rc = lc_node_open(n, database, &db, err);
    if (rc != LC_OK) return rc;
    uint64_t to = lc_database_durable_count(db);
    char *folder = lc_strdup(lc_database_folder(db));
    lc_database_unref(db);
    rc = lc_backup_create(folder, NULL, NULL, since, to, write, arg, info, err);
    lc_free(folder);
    return rc;
}

/* --------------------------------------------------------------------- restore */

typedef struct restoring {
    lc_node *node;
    const lc_restore *restore;
    lc_restore_result *result;
    lc_catalog_database record;
    lc_error *err;
} restoring;

/* The database may be had under that name, as far as the catalog says; *identity when the name has
 * one already. */
static lc_status check_name(lc_catalog *c, const lc_restore *r, lc_identity *identity,
                            bool *is_known, lc_error *err)
{
    const lc_catalog_name *known = lc_records_name_find(c, r->name);
    const lc_catalog_name *owner = lc_records_owner_find(c, r->name);
    *is_known = known != NULL;
    if (known && lc_records_find(c, &known->identity))
        return lc_error_set(err, LC_E_EXISTS,
                            "a database named " LC_SPAN_FMT " exists already, and a restore "
                            "replaces none: choose another name",
                            LC_SPAN_ARG(r->name));
    if (owner && !lc_identity_equal(&owner->identity, r->caller))
        return lc_error_set(err, LC_E_DENIED, "the name " LC_SPAN_FMT " belongs to another owner",
                            LC_SPAN_ARG(r->name));
    if (known) *identity = known->identity;
    return LC_OK;
}

static lc_status choose_identity(lc_node *n, const lc_restore *r, lc_identity *identity,
                                 lc_error *err)
{
    bool is_known;
    lc_status rc = lc_database_name_check(r->name, err);
    if (rc != LC_OK) return rc;
    pthread_mutex_lock(&n->lock);
    rc = check_name(n->catalog, r, identity, &is_known, err);
    pthread_mutex_unlock(&n->lock);
    if (rc == LC_OK && !is_known) *identity = lc_node_new_identity();
    return rc;
}

/* A server that wants to end does not wait for the rest of a backup. */
static ssize_t read_unless_closing(void *arg, void *buf, size_t bytes, lc_error *err)
{
    restoring *r = arg;
    if (!lc_node_is_closing(r->node)) return r->restore->read(r->restore->arg, buf, bytes, err);
    lc_node_is_shutting_down(err);
    return -1;
}

static lc_status restore_into(restoring *r, const char *folder)
{
    const lc_restore *q = r->restore;
    lc_restore_result *out = r->result;
    if (q->folder)
        return lc_folder_restore(q->folder, &q->at, folder, NULL, NULL, &out->identity, q->caller,
                                 &out->info, r->err);
    return lc_backup_restore(read_unless_closing, r, &q->at, folder, NULL, NULL, &out->identity,
                             q->caller, &out->info, r->err);
}

/* What the catalog says of its program, which is kept beside those that were published. */
static lc_status describe(restoring *r, const char *folder)
{
    lc_store *system;
    uint64_t found;
    lc_status rc = lc_snapshot_open_system(folder, NULL, UINT64_MAX, &system, &found, r->err);
    if (rc != LC_OK) return rc;
    lc_catalog_database *d = &r->record;
    lc_module_row module;
    if (lc_store_get_module(system, &module)) {
        lc_keccak256(module.program.ptr, module.program.len, d->program);
        memcpy(d->record.initial_program, d->program, sizeof d->program);
        d->program_kind = d->record.host_type = module.program_kind;
        d->record.has_schedules = lc_table_row_count(lc_store_table(system, LC_ST_SCHEDULED)) > 0;
        rc = lc_node_store_program(r->node, module.program, d->program, r->err);
    }
    lc_store_destroy(system);
    return rc;
}

/* The name is claimed together with the rest: a restore that fails leaves no name behind. */
static lc_status enter_catalog(restoring *r)
{
    lc_node *n = r->node;
    const lc_restore *q = r->restore;
    lc_catalog *c = lc_node_begin_change(n);
    lc_identity identity = r->result->identity;
    bool is_known;
    lc_status rc = check_name(c, q, &identity, &is_known, r->err);
    if (rc == LC_OK && !lc_identity_equal(&identity, &r->result->identity))
        rc = lc_error_set(r->err, LC_E_EXISTS,
                          "the name " LC_SPAN_FMT " was given to another database meanwhile",
                          LC_SPAN_ARG(q->name));
    if (rc != LC_OK) {
        lc_node_abandon_change(n, c);
        return rc;
    }
    r->record.record.id = c->next_id++;
    lc_records_add(c, &r->record);
    if (!is_known) lc_records_add_name(c, q->name, &identity, q->caller);
    lc_records_undoom(c, r->record.record.replica);
    return lc_node_commit_change(n, c, r->err);
}

static lc_status restore_in_slot(restoring *r)
{
    lc_database_record *record = &r->record.record;
    *record = (lc_database_record){.identity = r->result->identity, .owner = *r->restore->caller};
    lc_status rc = lc_node_reserve_replica(r->node, &record->replica, r->err);
    if (rc != LC_OK) return rc;
    char *folder;
    rc = lc_node_make_replica(r->node, record->replica, &folder, r->err);
    if (rc == LC_OK) rc = restore_into(r, folder);
    if (rc == LC_OK) rc = describe(r, folder);
    if (rc == LC_OK) rc = enter_catalog(r);
    lc_free(folder);
    if (rc != LC_OK) lc_node_remove_replica(r->node, record->replica);
    return rc;
}

lc_status lc_node_restore(lc_node *n, const lc_restore *q, lc_restore_result *out, lc_error *err)
{
    restoring r = {.node = n, .restore = q, .result = out, .err = err};
    bool exists;
    lc_status rc = choose_identity(n, q, &out->identity, err);
    if (rc != LC_OK) return rc;
    pthread_mutex_lock(&n->lock);
    lc_slot *s = lc_slot_hold(n, &out->identity);
    rc = lc_slot_begin_publishing(n, s, &r.record, &exists, err);
    if (rc == LC_OK) {
        pthread_mutex_unlock(&n->lock);
        rc = restore_in_slot(&r); /* the catalog is asked again before anything counts */
        pthread_mutex_lock(&n->lock);
        lc_slot_end_publishing(n, s);
    }
    lc_slot_let_go(n, s);
    if (n->is_closing) pthread_cond_broadcast(&n->changed);
    pthread_mutex_unlock(&n->lock);
    return rc;
}
