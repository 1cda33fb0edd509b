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
    if (lc_plan_is_write(out->plan)) return run_write(db, caller, out, err);
    rc = lc_query_check_row_limit(db->store, lc_plan_estimate(out->plan), &who, err);
    if (rc != LC_OK) return rc;
    return lc_plan_select(out->plan, &out->rows, err);
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
    out->status = lc_database_connect(db, &caller->identity, &caller->connection,
                                      caller->jwt_payload, &out->connect_status);
    if (out->status != LC_OK) {
        out->connect_failed = true;
        lc_buf_put_span(&out->text, lc_buf_span(&db->text));
        out->need = lc_database_need(db);
        return;
    }
    uint64_t started = lc_clock_mono(db->clock);
    lc_error err = LC_ERROR_INIT;
    out->status = run_statement(db, caller, sql, out, &err);
    out->duration_micros = (int64_t)((lc_clock_mono(db->clock) - started) / 1000);
    if (out->status != LC_OK) lc_buf_put_str(&out->text, lc_error_text(&err));
    lc_error_clear(&err);
    lc_database_disconnect(db, &caller->identity, &caller->connection);
    out->need = lc_database_need(db);
}

void lc_sql_outcome_deinit(lc_sql_outcome *out)
{
    if (out->plan) lc_plan_destroy(out->plan);
    lc_rowset_deinit(&out->rows);
    lc_buf_deinit(&out->text);
    *out = (lc_sql_outcome){0};
}
