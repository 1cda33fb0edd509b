/* Life cycle of the node, and what it says and changes about names, owners, locks and balances. */
#include "server_internal.h"

#include <errno.h>

/* -------------------------------------------------------------------- catalog */

static char *catalog_path(const lc_node *n)
{
    return lc_format("%s/control-db/catalog.bsatn", n->folder);
}

lc_catalog *lc_node_begin_change(lc_node *n)
{
    pthread_mutex_lock(&n->change);
    return lc_records_copy(n->catalog); /* only who holds `change` replaces it */
}

static void replace_catalog(lc_node *n, lc_catalog *c)
{
    pthread_mutex_lock(&n->lock);
    lc_catalog *old = n->catalog;
    n->catalog = c;
    pthread_mutex_unlock(&n->lock);
    lc_records_destroy(old);
}

lc_status lc_node_commit_change(lc_node *n, lc_catalog *c, lc_error *err)
{
    lc_buf bytes = LC_BUF_INIT;
    lc_records_encode(c, &bytes);
    char *path = catalog_path(n);
    lc_status rc = lc_disk_write_file(lc_disk_system(), path, lc_buf_span(&bytes), err);
    lc_free(path);
    lc_buf_deinit(&bytes);
    if (rc == LC_OK)
        replace_catalog(n, c);
    else
        lc_records_destroy(c);
    pthread_mutex_unlock(&n->change);
    return rc;
}

void lc_node_abandon_change(lc_node *n, lc_catalog *c)
{
    lc_records_destroy(c);
    pthread_mutex_unlock(&n->change);
}

static lc_status load_catalog(lc_node *n, lc_error *err)
{
    char *path = catalog_path(n), *replicas = lc_format("%s/replicas", n->folder);
    lc_buf bytes = LC_BUF_INIT;
    lc_status rc = lc_disk_read_file(lc_disk_system(), path, &bytes, err);
    uint32_t folders;
    uint64_t largest = lc_folder_largest_number(replicas, &folders);
    if (rc == LC_E_NOT_FOUND) {
        if (err) lc_error_clear(err);
        rc = LC_OK;
        n->catalog = lc_records_create();
        if (folders)
            lc_log(LC_LOG_WARN,
                   "%s is missing: the %u folders in %s belong to no database this server knows; "
                   "they are left alone",
                   path, folders, replicas);
    } else if (rc == LC_OK) {
        rc = lc_records_decode(lc_buf_span(&bytes), &n->catalog, err);
        if (rc != LC_OK) lc_error_prefix(err, "%s: ", path);
    }
    /* A number on disk is never given again. */
    if (rc == LC_OK && n->catalog->next_id <= largest) n->catalog->next_id = largest + 1;
    lc_buf_deinit(&bytes);
    lc_free(path);
    lc_free(replicas);
    return rc;
}

/* ------------------------------------------------------------------------ keys */

/* The precedence of 04 section 3.5, and the data folder's own keys when nothing is said. */
static lc_status make_auth(lc_node *n, const lc_node_options *o, lc_error *err)
{
    if (!o->private_key_path != !o->public_key_path)
        return lc_error_set(err, LC_E_INVALID,
                            "the paths of the private and the public key require each other");
    lc_auth_options a = {o->private_key_path, o->public_key_path, NULL, NULL};
    if (!a.private_key_path) {
        a.private_key_path = n->settings.private_key_path;
        a.public_key_path = n->settings.public_key_path;
    }
    char *folder = o->key_folder ? lc_strdup(o->key_folder) : lc_format("%s/keys", n->folder);
    char *private_path = lc_format("%s/id_ecdsa", folder);
    char *public_path = lc_format("%s/id_ecdsa.pub", folder);
    if (!a.private_key_path) {
        a.private_key_path = private_path;
        a.public_key_path = public_path;
    }
    lc_status rc = lc_auth_create(&a, &n->auth, err);
    lc_free(folder);
    lc_free(private_path);
    lc_free(public_path);
    return rc;
}

/* ------------------------------------------------------------------ life cycle */

static lc_status make_folder(const lc_node *n, const char *name, lc_error *err)
{
    char *path = name ? lc_format("%s/%s", n->folder, name) : lc_strdup(n->folder);
    int rc = lc_disk_system()->mkdirs(lc_disk_system()->self, path);
    if (rc < 0) lc_error_set(err, LC_E_IO, "cannot create %s: %s", path, strerror(-rc));
    lc_free(path);
    return rc < 0 ? LC_E_IO : LC_OK;
}

static lc_status make_folders(const lc_node *n, lc_error *err)
{
    static const char *const names[] = {"control-db", "program-bytes", "replicas",
                                        "cache/wasmtime"};
    lc_status rc = LC_OK;
    for (size_t i = 0; i < LC_ARRAY_LEN(names) && rc == LC_OK; i++)
        rc = make_folder(n, names[i], err);
    int synced = rc == LC_OK ? lc_disk_system()->sync_dir(lc_disk_system()->self, n->folder) : 0;
    if (synced < 0)
        rc = lc_error_set(err, LC_E_IO, "cannot sync %s: %s", n->folder, strerror(-synced));
    return rc;
}

static lc_status take_folder(lc_node *n, lc_error *err)
{
    char *path = lc_format("%s/spacetime.pid", n->folder);
    lc_status rc = lc_pid_file_take(path, &n->pid_file, err);
    lc_free(path);
    return rc;
}

static lc_status read_files(lc_node *n, lc_error *err)
{
    char *metadata = lc_format("%s/metadata.toml", n->folder);
    char *config = lc_format("%s/config.toml", n->folder);
    lc_status rc = lc_node_check_metadata(metadata, err);
    if (rc == LC_OK) rc = lc_node_settings_load(config, &n->settings, err);
    lc_free(metadata);
    lc_free(config);
    return rc;
}

static void make_engine(lc_node *n)
{
    char *cache = lc_format("%s/cache/wasmtime", n->folder);
    lc_engine_options o = {
        .cache_folder = cache,
        .call_time_limit_millis = n->settings.config.call_time_limit_millis,
    };
    n->engine = lc_engine_create(&o);
    lc_free(cache);
}

/* What a crash left half removed, or half made. */
static void remove_doomed(lc_node *n)
{
    pthread_mutex_lock(&n->lock); /* the first removal done replaces the catalog */
    LC_VEC_EACH (r, &n->catalog->doomed) lc_node_remove_replica(n, *r);
    pthread_mutex_unlock(&n->lock);
}

lc_status lc_node_create(const lc_node_options *o, lc_node **out, lc_error *err)
{
    *out = NULL;
    lc_node *n = lc_alloc_zero(sizeof *n);
    size_t len = strlen(o->data_folder);
    while (len > 1 && o->data_folder[len - 1] == '/') len--;
    n->folder = lc_format("%.*s", (int)len, o->data_folder);
    n->pid_file = -1;
    n->on_opening = o->on_opening;
    n->on_opening_arg = o->arg;
    n->workers = lc_workers_create();
    pthread_mutex_init(&n->programs, NULL);
    pthread_mutex_init(&n->change, NULL);
    pthread_mutex_init(&n->lock, NULL);
    pthread_cond_init(&n->changed, NULL);

    lc_status rc = make_folder(n, NULL, err);
    if (rc == LC_OK) rc = take_folder(n, err);
    if (rc == LC_OK) rc = read_files(n, err);
    if (rc == LC_OK) rc = make_folders(n, err);
    if (rc == LC_OK && !o->is_tool) rc = make_auth(n, o, err);
    if (rc == LC_OK) rc = load_catalog(n, err);
    if (rc != LC_OK) {
        lc_node_destroy(n);
        return rc;
    }
    if (o->durability) n->settings.config.durability = *o->durability;
    lc_log_set_level(n->settings.config.log_level);
    make_engine(n);
    remove_doomed(n);
    if (!o->is_tool) lc_node_open_scheduled(n);
    *out = n;
    return LC_OK;
}

void lc_node_destroy(lc_node *n)
{
    if (!n) return;
    lc_node_close_databases(n);
    lc_node_end_work(n);
    if (n->engine) lc_engine_destroy(n->engine);
    lc_auth_destroy(n->auth);
    lc_records_destroy(n->catalog);
    lc_map_entry *e;
    for (size_t at = 0; (e = lc_map_next(&n->slots, &at));) lc_slot_free(e->value);
    lc_map_deinit(&n->slots);
    lc_node_settings_deinit(&n->settings);
    char *path = lc_format("%s/spacetime.pid", n->folder);
    lc_pid_file_give_back(path, n->pid_file);
    lc_free(path);
    pthread_mutex_destroy(&n->programs);
    pthread_mutex_destroy(&n->change);
    pthread_mutex_destroy(&n->lock);
    pthread_cond_destroy(&n->changed);
    lc_free(n->folder);
    lc_free(n);
}

lc_auth *lc_node_auth(lc_node *n)
{
    return n->auth;
}

const lc_node_config *lc_node_get_config(const lc_node *n)
{
    return &n->settings.config;
}

void lc_node_end_work(lc_node *n)
{
    lc_workers_destroy(n->workers);
    n->workers = NULL;
}

void lc_node_work(lc_node *n, void (*fn)(void *arg), void *arg)
{
    lc_workers_submit(n->workers, fn, arg);
}

/* --------------------------------------------------------------------- reading */

lc_status lc_node_resolve(lc_node *n, lc_span name, lc_identity *out)
{
    pthread_mutex_lock(&n->lock);
    const lc_catalog_name *found = lc_records_name_find(n->catalog, name);
    if (found) *out = found->identity;
    pthread_mutex_unlock(&n->lock);
    return found ? LC_OK : LC_E_NOT_FOUND;
}

lc_status lc_node_record(lc_node *n, const lc_identity *database, lc_database_record *out)
{
    pthread_mutex_lock(&n->lock);
    const lc_catalog_database *d = lc_records_find(n->catalog, database);
    if (d) *out = d->record;
    pthread_mutex_unlock(&n->lock);
    return d ? LC_OK : LC_E_NOT_FOUND;
}

static void separate(lc_buf *out, bool *is_first)
{
    if (!*is_first) lc_buf_put_u8(out, ',');
    *is_first = false;
}

void lc_node_names_json(lc_node *n, const lc_identity *database, lc_buf *out)
{
    bool is_first = true;
    lc_buf_put_u8(out, '[');
    pthread_mutex_lock(&n->lock);
    LC_VEC_EACH (name, &n->catalog->names) {
        if (!lc_identity_equal(&name->identity, database)) continue;
        separate(out, &is_first);
        lc_json_write_string(name->text, out);
    }
    pthread_mutex_unlock(&n->lock);
    lc_buf_put_u8(out, ']');
}

void lc_node_owned_json(lc_node *n, const lc_identity *owner, lc_buf *out)
{
    bool is_first = true;
    char hex[LC_IDENTITY_HEX + 1];
    lc_buf_put_u8(out, '[');
    pthread_mutex_lock(&n->lock);
    LC_VEC_EACH (d, &n->catalog->databases) {
        if (!lc_identity_equal(&d->record.owner, owner)) continue;
        separate(out, &is_first);
        lc_identity_to_hex(&d->record.identity, hex);
        lc_buf_printf(out, "\"%s\"", hex);
    }
    pthread_mutex_unlock(&n->lock);
    lc_buf_put_u8(out, ']');
}

void lc_node_energy(lc_node *n, const lc_identity *id, lc_buf *out)
{
    pthread_mutex_lock(&n->lock);
    const lc_catalog_balance *b = lc_records_balance_find(n->catalog, id);
    uint8_t amount[16] = {0};
    if (b) {
        lc_store_u64(amount, b->amount.lo);
        lc_store_u64(amount + 8, (uint64_t)b->amount.hi);
    }
    pthread_mutex_unlock(&n->lock);
    lc_u128_to_decimal(amount, true, out);
}

/* --------------------------------------------------------------------- changes */

/* Who asks for the balance of an identity that has none changes nothing, and beyond this many
 * identities nobody gets one: they serve no purpose that would be worth the memory. */
enum { MAX_BALANCES = 100000 };

void lc_node_energy_add(lc_node *n, const lc_identity *id, lc_i128 amount)
{
    if (amount.lo == 0 && amount.hi == 0) return;
    lc_catalog *c = lc_node_begin_change(n);
    if (!lc_records_balance_find(c, id) && c->balances.len >= MAX_BALANCES) {
        lc_node_abandon_change(n, c);
        return;
    }
    lc_records_add_balance(c, id, amount);
    lc_error err = LC_ERROR_INIT;
    if (lc_node_commit_change(n, c, &err) != LC_OK)
        lc_log(LC_LOG_ERROR, "a balance was not saved: %s", lc_error_text(&err));
    lc_error_clear(&err);
}

lc_status lc_node_set_locked(lc_node *n, const lc_identity *database, bool locked, lc_error *err)
{
    lc_catalog *c = lc_node_begin_change(n);
    lc_catalog_database *d = lc_records_find(c, database);
    if (!d || d->record.is_locked == locked) {
        lc_node_abandon_change(n, c);
        return d ? LC_OK : lc_error_set(err, LC_E_NOT_FOUND, "No such database.");
    }
    d->record.is_locked = locked;
    return lc_node_commit_change(n, c, err);
}

/* A limit so that one owner cannot fill the catalog with one request after the other. */
enum { MAX_NAMES_PER_DATABASE = 1024 };

static uint32_t count_names(lc_catalog *c, const lc_identity *database)
{
    uint32_t count = 0;
    LC_VEC_EACH (name, &c->names) count += lc_identity_equal(&name->identity, database);
    return count;
}

static lc_status too_many_names(lc_error *err)
{
    return lc_error_set(err, LC_E_LIMIT, "a database cannot have more than %d names",
                        MAX_NAMES_PER_DATABASE);
}

static bool is_claimed_by_other(lc_catalog *c, lc_span name, const lc_identity *who)
{
    const lc_catalog_name *owner = lc_records_owner_find(c, name);
    return owner && !lc_identity_equal(&owner->identity, who);
}

lc_status lc_node_add_name(lc_node *n, const lc_identity *caller, const lc_identity *database,
                           lc_span name, lc_error *err)
{
    lc_status rc = lc_database_name_check(name, err);
    if (rc != LC_OK) return rc;
    lc_catalog *c = lc_node_begin_change(n);
    if (!lc_records_find(c, database))
        rc = lc_error_set(err, LC_E_NOT_FOUND, "No such database.");
    else if (is_claimed_by_other(c, name, caller))
        rc = lc_error_set(err, LC_E_DENIED, "the name " LC_SPAN_FMT " belongs to another owner",
                          LC_SPAN_ARG(name));
    else if (lc_records_name_find(c, name))
        rc = lc_error_set(err, LC_E_EXISTS, "record with the name " LC_SPAN_FMT " already exists",
                          LC_SPAN_ARG(name));
    else if (count_names(c, database) >= MAX_NAMES_PER_DATABASE)
        rc = too_many_names(err);
    if (rc != LC_OK) {
        lc_node_abandon_change(n, c);
        return rc;
    }
    lc_records_add_name(c, name, database, caller);
    return lc_node_commit_change(n, c, err);
}

static lc_status check_new_names(const lc_span *names, uint32_t count, int32_t *which,
                                 lc_error *err)
{
    for (uint32_t i = 0; i < count; i++) {
        lc_error why = LC_ERROR_INIT;
        lc_status rc = lc_database_name_check(names[i], &why);
        if (rc != LC_OK) {
            *which = (int32_t)i;
            lc_error_set(err, rc, "Error parsing `" LC_SPAN_FMT "`: %s", LC_SPAN_ARG(names[i]),
                         lc_error_text(&why));
            lc_error_clear(&why);
            return rc;
        }
    }
    return count > MAX_NAMES_PER_DATABASE ? too_many_names(err) : LC_OK;
}

static lc_status claimed(lc_span name, lc_error *err)
{
    return lc_error_set(err, LC_E_DENIED, LC_SPAN_FMT, LC_SPAN_ARG(name));
}

static lc_status try_set_names(lc_catalog *c, const lc_identity *caller,
                               const lc_identity *database, const lc_span *names, uint32_t count,
                               int32_t *which, lc_error *err)
{
    const lc_catalog_database *d = lc_records_find(c, database);
    if (!d) return lc_error_set(err, LC_E_NOT_FOUND, "No such database.");
    lc_identity owner = d->record.owner;
    if (!lc_identity_equal(&owner, caller))
        return lc_error_set(err, LC_E_DENIED, "not the owner of the database");
    for (uint32_t i = 0; i < count; i++) {
        if (!lc_records_name_find(c, names[i])) continue;
        *which = (int32_t)i;
        return lc_error_set(err, LC_E_EXISTS,
                            "Cannot rename to " LC_SPAN_FMT " because it already is in use.",
                            LC_SPAN_ARG(names[i]));
    }
    LC_VEC_EACH (name, &c->names)
        if (lc_identity_equal(&name->identity, database) &&
            is_claimed_by_other(c, name->text, &owner)) {
            *which = -2; /* one that it has */
            return claimed(name->text, err);
        }
    for (uint32_t i = 0; i < count; i++)
        if (is_claimed_by_other(c, names[i], &owner)) {
            *which = (int32_t)i;
            return claimed(names[i], err);
        }
    lc_records_drop_names(c, database);
    for (uint32_t i = 0; i < count; i++)
        if (!lc_records_name_find(c, names[i])) /* a name may be listed twice */
            lc_records_add_name(c, names[i], database, &owner);
    return LC_OK;
}

lc_status lc_node_set_names(lc_node *n, const lc_identity *caller, const lc_identity *database,
                            const lc_span *names, uint32_t count, int32_t *which, lc_error *err)
{
    *which = -1;
    lc_status rc = check_new_names(names, count, which, err);
    if (rc != LC_OK) return rc;
    lc_catalog *c = lc_node_begin_change(n);
    rc = try_set_names(c, caller, database, names, count, which, err);
    if (rc == LC_OK) return lc_node_commit_change(n, c, err);
    lc_node_abandon_change(n, c);
    return rc;
}
