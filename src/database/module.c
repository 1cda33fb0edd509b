/*
 * Modules in a database: prepare, first publish, load, update.
 */
#include "database/database_internal.h"

/* ------------------------------------------------------------------- prepare */

static void log_while_preparing(void *arg, const lc_module_log_record *record)
{
    lc_prepared *p = arg;
    lc_module_log_format(record, lc_clock_now(p->clock), &p->log_lines);
}

static void volatile_call_nowhere(void *arg, lc_span function, lc_span args)
{
    (void)arg, (void)function, (void)args;
}

/* A definition that does not decode is told with the cause three times, as the reference does. */
static lc_status read_schema(lc_span description, lc_schema **out, lc_error *err)
{
    static const char prefix[] = "error decoding module description: ";
    lc_status rc = lc_schema_read(description, out, err);
    const char *text = lc_error_text(err);
    if (rc == LC_OK || strncmp(text, prefix, sizeof prefix - 1) != 0) return rc;
    char *cause = lc_strdup(text + sizeof prefix - 1);
    lc_error_set(err, rc, "error getting module description: %s%s: %s%s: %s", prefix, cause, prefix,
                 cause, cause);
    lc_free(cause);
    return rc;
}

lc_status lc_prepared_create(lc_engine *engine, lc_span program, uint8_t program_kind,
                             const lc_identity *database, const lc_clock *clock, lc_prepared **out,
                             lc_error *err)
{
    *out = NULL;
    if (program_kind != 0)
        return lc_error_set(err, LC_E_UNSUPPORTED,
                            "not supported: this version of the server runs WebAssembly modules "
                            "only, not JavaScript bundles");
    lc_prepared *p = lc_alloc_zero(sizeof *p);
    p->engine = engine;
    p->bytes = LC_SPAN(lc_memdup(program.ptr, program.len), program.len);
    p->kind = program_kind;
    p->clock = clock ? clock : lc_clock_system();
    lc_program_hash(program, p->hash);
    p->nothing = lc_store_create();
    p->env = lc_alloc_zero(sizeof *p->env);
    *p->env = (lc_env){
        .store = p->nothing,
        .database = *database,
        .clock = p->clock,
        .arg = p,
        .log = log_while_preparing,
        .volatile_call = volatile_call_nowhere,
    };
    lc_buf description = LC_BUF_INIT;
    lc_status rc = lc_program_load(engine, program, &p->program, err);
    if (rc == LC_OK) rc = lc_instance_create(p->program, p->env, &p->instance, &description, err);
    if (rc == LC_OK) rc = read_schema(lc_buf_span(&description), &p->schema, err);
    lc_buf_deinit(&description);
    if (rc != LC_OK) {
        lc_prepared_destroy(p);
        return rc;
    }
    *out = p;
    return LC_OK;
}

void lc_prepared_destroy(lc_prepared *p)
{
    if (!p) return;
    if (p->instance) lc_instance_destroy(p->instance);
    if (p->program) lc_program_unref(p->program);
    if (p->schema) lc_schema_unref(p->schema);
    if (p->nothing) lc_store_destroy(p->nothing);
    lc_free(p->env);
    lc_free((void *)p->bytes.ptr);
    lc_buf_deinit(&p->log_lines);
    lc_free(p);
}

const uint8_t *lc_prepared_hash(const lc_prepared *p)
{
    return p->hash;
}

/* --------------------------------------------------------------------- adopt */

static void log_record(void *arg, const lc_module_log_record *record)
{
    lc_database *db = arg;
    lc_buf line = LC_BUF_INIT;
    lc_module_log_format(record, lc_clock_now(db->clock), &line);
    lc_module_log_append(db->log, lc_buf_span(&line));
    lc_buf_deinit(&line);
}

static void queue_volatile_call(void *arg, lc_span function, lc_span args)
{
    lc_database *db = arg;
    size_t waiting = db->volatile_calls.len - db->volatile_at;
    if (waiting + function.len + args.len > LC_VOLATILE_MAX_BYTES) {
        if (!db->volatile_dropped)
            lc_database_log(db, LC_MODULE_LOG_ERROR, function,
                            "too many calls wait to be run: more are dropped");
        db->volatile_dropped = true;
        return;
    }
    lc_buf_put_lenstr(&db->volatile_calls, function);
    lc_buf_put_lenstr(&db->volatile_calls, args);
}

void lc_database_set_schema(lc_database *db, lc_schema *schema)
{
    pthread_mutex_lock(&db->lock);
    lc_schema *old = db->schema;
    db->schema = schema;
    pthread_mutex_unlock(&db->lock);
    if (old) lc_schema_unref(old);
}

void lc_database_adopt(lc_database *db, lc_prepared *p)
{
    if (db->instance) lc_instance_destroy(db->instance);
    if (db->program) lc_program_unref(db->program);
    lc_free(db->env);
    db->program = p->program;
    db->instance = p->instance;
    db->env = p->env;
    memcpy(db->program_hash, p->hash, sizeof db->program_hash);
    db->env->store = db->store;
    db->env->arg = db;
    db->env->log = log_record;
    db->env->volatile_call = queue_volatile_call;
    lc_database_set_schema(db, p->schema);
    lc_module_log_append(db->log, lc_buf_span(&p->log_lines));
    p->program = NULL;
    p->instance = NULL;
    p->env = NULL;
    p->schema = NULL;
    lc_prepared_destroy(p);
}

static lc_module_row module_row(const lc_database *db, const lc_prepared *p)
{
    lc_module_row row = {
        .database = db->identity,
        .owner = db->owner,
        .program_kind = p->kind,
        .program = p->bytes,
    };
    memcpy(row.program_hash, p->hash, sizeof row.program_hash);
    return row;
}

/* ------------------------------------------------------------- first publish */

static lc_status run_init(lc_database *db, lc_error *err)
{
    int32_t i = db->schema->lifecycle[LC_LIFECYCLE_INIT];
    if (i < 0) return LC_OK;
    lc_database_log(db, LC_MODULE_LOG_INFO, LC_STR("__spacetimedb__"), "Invoking `init` reducer");
    lc_connection_id none = {{0}};
    lc_call_status status = lc_database_run_reducer(db, &db->schema->reducers[i], &db->owner, &none,
                                                    lc_database_timestamp(db), LC_SPAN_EMPTY);
    if (status == LC_CALL_COMMITTED) return LC_OK;
    return lc_error_set(err, LC_E_INVALID, LC_SPAN_FMT, LC_SPAN_ARG(lc_buf_span(&db->text)));
}

/* Compiles a rule against the tables as they are now, and files it. */
static lc_status add_rule(lc_database *db, lc_span sql, lc_error *err)
{
    const lc_caller owner = {.identity = db->owner, .is_owner = true};
    lc_plan *plan;
    lc_status rc = lc_plan_create(db->store, sql, LC_DIALECT_RULE, &owner, &plan, err);
    if (rc != LC_OK) return rc;
    lc_table *t = lc_plan_table(plan);
    if (lc_table_is_public(t))
        rc = lc_store_add_rule(t, sql, err);
    else
        rc = lc_error_set(err, LC_E_INVALID,
                          "Cannot define RLS rule on private table: " LC_SPAN_FMT
                          ". Please make table public if you wish to restrict access using RLS.",
                          LC_SPAN_ARG(lc_table_name(t)));
    lc_plan_destroy(plan);
    return rc;
}

static lc_status add_rules(lc_database *db, lc_error *err)
{
    for (uint32_t i = 0; i < db->schema->row_level_security_count; i++) {
        lc_span sql = db->schema->row_level_security[i];
        lc_error cause = LC_ERROR_INIT;
        if (add_rule(db, sql, &cause) == LC_OK) continue;
        lc_error_set(err, LC_E_INVALID,
                     "failed to create row-level security: `" LC_SPAN_FMT "`: %s", LC_SPAN_ARG(sql),
                     lc_error_text(&cause));
        lc_error_clear(&cause);
        return LC_E_INVALID;
    }
    return LC_OK;
}

/* Tells of the tables that `to` has and `from` (may be NULL) has not. */
static void log_new_tables(lc_database *db, const lc_schema *from, const lc_schema *to)
{
    for (uint32_t i = 0; i < to->table_count; i++) {
        lc_span name = to->tables[i].name;
        if (from && lc_schema_find_table(from, name)) continue;
        lc_database_log(db, LC_MODULE_LOG_INFO, LC_STR("__spacetimedb__"),
                        "Creating table `" LC_SPAN_FMT "`", LC_SPAN_ARG(name));
    }
}

static lc_status bootstrap(lc_database *db, const lc_module_row *row, lc_error *err)
{
    log_new_tables(db, NULL, db->schema);
    for (uint32_t i = 0; i < db->schema->view_count; i++)
        lc_database_log(db, LC_MODULE_LOG_INFO, LC_STR("__spacetimedb__"),
                        "Creating table for view `" LC_SPAN_FMT "`",
                        LC_SPAN_ARG(db->schema->views[i].name));
    for (uint32_t i = 0; i < db->schema->row_level_security_count; i++)
        lc_database_log(db, LC_MODULE_LOG_INFO, LC_STR("__spacetimedb__"),
                        "Creating row level security `" LC_SPAN_FMT "`",
                        LC_SPAN_ARG(db->schema->row_level_security[i]));
    lc_store_begin(db->store);
    lc_status rc = lc_store_create_schema(db->store, db->schema, err);
    if (rc == LC_OK) rc = add_rules(db, err);
    if (rc == LC_OK) lc_store_set_module(db->store, row);
    if (rc == LC_OK) lc_schedule_restart(db); /* init may write schedule rows */
    if (rc == LC_OK) rc = run_init(db, err);
    if (rc != LC_OK) {
        lc_database_rollback(db);
        return rc;
    }
    lc_log_inputs in = {.name = LC_SPAN_EMPTY};
    lc_database_commit(db, &in, NULL, NULL, true);
    lc_database_log(db, LC_MODULE_LOG_INFO, LC_STR("__spacetimedb__"), "Database initialized");
    return LC_OK;
}

lc_status lc_database_first_publish(lc_database *db, lc_prepared *p, lc_error *err)
{
    lc_span bytes = LC_SPAN(lc_memdup(p->bytes.ptr, p->bytes.len), p->bytes.len);
    lc_module_row row = module_row(db, p);
    row.program = bytes;
    lc_database_adopt(db, p);
    lc_status rc = bootstrap(db, &row, err);
    lc_free((void *)bytes.ptr);
    if (rc == LC_OK) lc_schedule_restart(db);
    return rc;
}

lc_status lc_database_load_module(lc_database *db, lc_error *err)
{
    lc_module_row row;
    if (!lc_store_get_module(db->store, &row))
        return lc_error_set(err, LC_E_CORRUPT, "%s: no module is in it", db->folder);
    if (!lc_identity_equal(&row.database, &db->identity))
        return lc_error_set(err, LC_E_CORRUPT, "%s: mismatched database identity", db->folder);
    if (!lc_identity_equal(&row.owner, &db->owner))
        return lc_error_set(err, LC_E_CORRUPT, "%s: mismatched owner identity", db->folder);
    lc_prepared *p;
    lc_status rc = lc_prepared_create(db->engine, row.program, row.program_kind, &db->identity,
                                      db->clock, &p, err);
    if (rc == LC_OK) lc_database_adopt(db, p);
    return rc;
}

/* -------------------------------------------------------------------- update */

typedef struct update_job {
    lc_job job;
    lc_prepared *prepared;
    bool was_same;
    lc_status status;
    lc_error *err;
    uint64_t need;
} update_job;

static void log_hash(lc_database *db, const uint8_t hash[32])
{
    char hex[65] = {0};
    lc_hex_encode(hash, 32, hex);
    lc_database_log(db, LC_MODULE_LOG_INFO, LC_STR("__spacetimedb__"), "Updated program to %s",
                    hex);
}

static lc_status update_tables(lc_database *db, lc_prepared *p, lc_error *err)
{
    lc_status rc = lc_schema_check_update(db->schema, p->schema, err);
    if (rc != LC_OK) return rc;
    log_hash(db, p->hash);
    log_new_tables(db, db->schema, p->schema);
    lc_module_row row = module_row(db, p);
    lc_store_begin(db->store);
    rc = lc_store_update_schema(db->store, db->schema, p->schema, err);
    if (rc != LC_OK) {
        lc_database_rollback(db);
        lc_database_log(db, LC_MODULE_LOG_WARN, LC_STR("__spacetimedb__"),
                        "Database update failed: %s", lc_error_text(err));
        return rc;
    }
    lc_store_set_module(db->store, &row);
    lc_log_inputs in = {.name = LC_SPAN_EMPTY};
    lc_tx_event e = {
        .status = LC_CALL_COMMITTED,
        .reducer_id = UINT32_MAX,
        .caller = db->identity,
        .timestamp = lc_database_timestamp(db),
        .schema_version = p->schema->version,
    };
    lc_database_commit(db, &in, &e, NULL, true);
    lc_database_log(db, LC_MODULE_LOG_INFO, LC_STR("__spacetimedb__"), "Database updated");
    return LC_OK;
}

static void run_update(lc_job *job, lc_database *db)
{
    update_job *u = LC_CONTAINER(job, update_job, job);
    if (db->is_closed) {
        u->status = lc_error_set(u->err, LC_E_CLOSED, "no such module");
        return;
    }
    if (db->read_only) {
        u->status = lc_error_set(u->err, LC_E_READ_ONLY, "%s", db->read_only);
        return;
    }
    u->was_same = memcmp(db->program_hash, u->prepared->hash, sizeof db->program_hash) == 0;
    u->status = u->was_same ? LC_OK : update_tables(db, u->prepared, u->err);
    if (u->status != LC_OK) return;
    lc_database_adopt(db, u->prepared);
    u->prepared = NULL;
    lc_long_read_finish_all(db);
    lc_live_rebind(db->live);
    lc_schedule_restart(db);
    u->need = db->need;
}

lc_status lc_database_update(lc_database *db, lc_prepared *p, bool *was_same, lc_error *err)
{
    update_job u = {.job = {.run = run_update}, .prepared = p, .err = err};
    lc_database_run(db, &u.job);
    lc_prepared_destroy(u.prepared);
    *was_same = u.was_same;
    if (u.status != LC_OK) return u.status;
    if (!lc_database_wait_durable(db, u.need))
        return lc_error_set(err, LC_E_IO, LC_DATABASE_STOPPED);
    return LC_OK;
}
