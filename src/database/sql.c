/*
 * One SQL statement over HTTP: connect, run, disconnect (04 section 2.6).
 */
#include "database/database_internal.h"

static lc_status run_write(lc_database *db, const lc_http_caller *caller, lc_sql_outcome *out,
                           lc_error *err)
{
    int64_t timestamp = lc_database_timestamp(db);
    lc_store_begin(db->store);
    lc_status rc = lc_plan_write(out->plan, &out->stats, err);
    if (rc != LC_OK) {
        lc_database_rollback(db);
        return rc;
    }
    lc_log_inputs in = {.name = LC_SPAN_EMPTY};
    lc_tx_event e = {
        .status = LC_CALL_COMMITTED,
        .reducer_id = UINT32_MAX,
        .caller = caller->identity,
        .timestamp = timestamp,
        .schema_version = db->schema->version,
    };
    lc_database_commit(db, &in, &e, NULL, false);
    return LC_OK;
}

static lc_status run_statement(lc_database *db, const lc_http_caller *caller, lc_span sql,
                               lc_sql_outcome *out, lc_error *err)
{
    lc_caller who = {.identity = caller->identity,
                     .is_owner = lc_identity_equal(&caller->identity, &db->owner)};
    lc_status rc = lc_plan_create(db->store, sql, LC_DIALECT_AD_HOC, &who, &out->plan, err);
    if (rc != LC_OK) return rc;
    if (lc_plan_is_write(out->plan)) {
        if (db->read_only) return lc_error_set(err, LC_E_READ_ONLY, "%s", db->read_only);
        return run_write(db, caller, out, err);
    }
    rc = lc_query_check_row_limit(db->store, lc_plan_estimate(out->plan), &who, err);
    if (rc != LC_OK) return rc;
    out->image = lc_plan_freeze(out->plan);
    return out->image ? LC_OK : lc_plan_select(out->plan, &out->rows, err);
}

void lc_database_http_sql(lc_database *db, const lc_http_caller *caller, lc_span sql,
                          lc_sql_outcome *out)
{
    *out = (lc_sql_outcome){.status = LC_OK};
    if (lc_database_is_over(db)) {
        out->status = LC_E_CLOSED;
        lc_buf_put_str(&out->text, "module not found");
        return;
    }
    if (!db->read_only)
        out->status = lc_database_connect(db, &caller->identity, &caller->connection,
                                          caller->jwt_payload, &out->connect_status);
    if (out->status != LC_OK) {
        out->connect_failed = true;
        lc_buf_put_span(&out->text, lc_buf_span(&db->text));
        out->need = db->need;
        return;
    }
    uint64_t started = lc_clock_mono(db->clock);
    lc_error err = LC_ERROR_INIT;
    out->status = run_statement(db, caller, sql, out, &err);
    if (out->status == LC_OK) lc_database_begin_read(db);
    out->duration_micros = (int64_t)((lc_clock_mono(db->clock) - started) / 1000);
    if (out->status != LC_OK) lc_buf_put_str(&out->text, lc_error_text(&err));
    lc_error_clear(&err);
    if (!db->read_only) lc_database_disconnect(db, &caller->identity, &caller->connection);
    out->need = db->need;
}

void lc_database_http_sql_read(lc_database *db, lc_sql_outcome *o)
{
    if (!o->image) return;
    uint64_t started = lc_clock_mono(db->clock);
    lc_plan_select_image(o->plan, o->image, &o->rows);
    o->duration_micros += (int64_t)((lc_clock_mono(db->clock) - started) / 1000);
}

typedef struct release_job {
    lc_job job;
    lc_image *image;
} release_job;

static void run_release(lc_job *job, lc_database *db)
{
    (void)db;
    lc_image_release(LC_CONTAINER(job, release_job, job)->image);
}

void lc_sql_outcome_deinit(lc_database *db, lc_sql_outcome *o)
{
    if (o->image) {
        release_job r = {.job = {.run = run_release}, .image = o->image};
        lc_database_run(db, &r.job);
    }
    if (o->plan) lc_plan_destroy(o->plan);
    if (o->status == LC_OK) lc_database_end_read(db);
    lc_rowset_deinit(&o->rows);
    lc_buf_deinit(&o->text);
    *o = (lc_sql_outcome){0};
}
