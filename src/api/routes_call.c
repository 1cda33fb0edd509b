/*
 * Calls and SQL over HTTP (04 sections 2.3 and 2.6): a job on the executor, then the wait for
 * durability, so that what is answered survives a crash.
 */
#include "api/routes.h"

#include <stdio.h>
#include <strings.h>

static void put_duration(lc_exchange *x, int64_t micros)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)micros);
    lc_exchange_header(x, "spacetime-execution-duration-micros", lc_span_of_str(text));
}

static lc_http_caller http_caller(const lc_exchange *x)
{
    return (lc_http_caller){
        .identity = x->caller.identity,
        .connection = lc_connection_id_random(lc_random_system()),
        .jwt_payload = lc_span_of_str(x->caller.payload),
    };
}

/* Not durable: the journal failed after the transaction. */
static bool wait_until_durable(lc_exchange *x, lc_database *db, uint64_t need)
{
    if (lc_database_wait_durable(db, need)) return true;
    lc_exchange_text(x, 500, LC_DATABASE_STOPPED);
    return false;
}

static void answer_text(lc_exchange *x, int status, const lc_buf *text)
{
    lc_exchange_text(x, status, "%s", "");
    lc_buf_put_span(&x->body, lc_buf_span(text));
}

static void answer_connect_failure(lc_exchange *x, lc_call_status how, const lc_buf *text)
{
    switch (how) {
    case LC_CALL_USER_ERROR:
    case LC_CALL_FATAL:
        answer_text(x, 403, text);
        break;
    case LC_CALL_BUDGET:
        lc_exchange_text(x, 503, "Insufficient energy balance to run `client_connected` reducer");
        break;
    case LC_CALL_COMMITTED:
    case LC_CALL_REFUSED:
        answer_text(x, 500, text);
        break;
    }
}

/* ------------------------------------------------------------------------ call */

typedef struct call_job {
    lc_job job;
    lc_exchange *x;
    lc_http_caller caller;
    lc_call_outcome outcome;
} call_job;

static void run_call(lc_job *job, lc_database *db)
{
    call_job *c = LC_CONTAINER(job, call_job, job);
    lc_database_http_call(db, &c->caller, c->x->segments[1], lc_http_body(c->x->request),
                          &c->outcome);
}

static void answer_refusal(lc_exchange *x, const lc_call_outcome *o)
{
    switch (o->refusal) {
    case LC_E_NOT_FOUND:
        answer_text(x, 404, &o->text);
        break;
    case LC_E_INVALID:
    case LC_E_DENIED:
        answer_text(x, 400, &o->text);
        break;
    case LC_E_UNSUPPORTED:
        answer_text(x, 501, &o->text);
        break;
    case LC_E_READ_ONLY:
        answer_text(x, 503, &o->text);
        break;
    default:
        answer_text(x, 500, &o->text);
    }
}

static void answer_call(lc_exchange *x, const lc_call_outcome *o)
{
    if (o->connect_failed) {
        answer_connect_failure(x, o->status, &o->text);
        return;
    }
    switch (o->status) {
    case LC_CALL_COMMITTED:
        lc_exchange_text(x, 200, "%s", "");
        break;
    case LC_CALL_USER_ERROR:
    case LC_CALL_FATAL:
        answer_text(x, 530, &o->text);
        break;
    case LC_CALL_BUDGET:
        lc_exchange_text(x, 402, "Module energy budget exhausted.");
        break;
    case LC_CALL_REFUSED:
        answer_refusal(x, o);
        return;
    }
    lc_exchange_header(x, "spacetime-energy-used", LC_STR("0"));
    put_duration(x, o->duration_micros);
}

/* The media type must be exactly application/json; parameters are refused, an empty one is not. */
static bool check_content_type(lc_exchange *x)
{
    lc_span type = lc_http_header_get(x->request, "content-type");
    if (!type.ptr) {
        lc_exchange_text(x, 400, "Header of type `content-type` was missing");
        return false;
    }
    const uint8_t *slash = type.len ? memchr(type.ptr, '/', type.len) : NULL;
    if (!slash || slash == type.ptr || slash + 1 == type.ptr + type.len) {
        lc_exchange_text(x, 400, "invalid HTTP header (content-type)");
        return false;
    }
    if (type.ptr[type.len - 1] == ';') type.len--;
    bool is_json =
        type.len == 16 && strncasecmp((const char *)type.ptr, "application/json", 16) == 0;
    if (!is_json)
        lc_exchange_text(x, 415, "Expected request with `Content-Type: application/json`");
    return is_json;
}

void lc_route_call(lc_exchange *x)
{
    if (!check_content_type(x)) return;
    if (!lc_utf8_valid(lc_http_body(x->request))) {
        lc_exchange_text(x, 400, "Request body didn't contain valid UTF-8");
        return;
    }
    lc_database *db;
    if (!lc_exchange_open(x, &db)) return;
    call_job c = {.job = {.run = run_call}, .x = x, .caller = http_caller(x)};
    lc_database_run(db, &c.job);
    if (wait_until_durable(x, db, c.outcome.need)) answer_call(x, &c.outcome);
    lc_call_outcome_deinit(&c.outcome);
    lc_database_unref(db);
}

/* ------------------------------------------------------------------------- sql */

typedef struct sql_job {
    lc_job job;
    lc_exchange *x;
    lc_http_caller caller;
    lc_sql_outcome outcome;
} sql_job;

static void put_schema(const lc_plan *plan, lc_buf *out)
{
    uint32_t count = lc_plan_column_count(plan);
    lc_buf_put_str(out, "{\"elements\":[");
    for (uint32_t i = 0; i < count; i++) {
        if (i) lc_buf_put_u8(out, ',');
        lc_buf_put_str(out, "{\"name\":{\"some\":");
        lc_json_write_string(lc_plan_column_name(plan, i), out);
        lc_buf_put_str(out, "},\"algebraic_type\":");
        lc_type_to_json(lc_plan_column_type(plan, i), out);
        lc_buf_put_u8(out, '}');
    }
    lc_buf_put_str(out, "]}");
}

static void put_result(const lc_sql_outcome *o, lc_buf *out)
{
    bool is_write = lc_plan_is_write(o->plan);
    lc_buf_put_str(out, "[{\"schema\":");
    if (is_write)
        lc_buf_put_str(out, "{\"elements\":[]}");
    else
        put_schema(o->plan, out);
    lc_buf_put_str(out, ",\"rows\":[");
    const lc_type *row_type = is_write ? NULL : lc_plan_row_type(o->plan);
    for (uint64_t i = 0; i < o->rows.count; i++) {
        if (i) lc_buf_put_u8(out, ',');
        lc_json_write(row_type, NULL, lc_rowset_row(&o->rows, i).ptr, LC_JSON_UNTYPED, out);
    }
    lc_buf_printf(out,
                  "],\"total_duration_micros\":%lld,\"stats\":{\"rows_inserted\":%llu,"
                  "\"rows_deleted\":%llu,\"rows_updated\":%llu}}]",
                  (long long)o->duration_micros, (unsigned long long)o->stats.rows_inserted,
                  (unsigned long long)o->stats.rows_deleted,
                  (unsigned long long)o->stats.rows_updated);
}

static void run_sql(lc_job *job, lc_database *db)
{
    sql_job *s = LC_CONTAINER(job, sql_job, job);
    lc_database_http_sql(db, &s->caller, lc_http_body(s->x->request), &s->outcome);
}

void lc_route_sql(lc_exchange *x)
{
    bool is_confirmed = true;
    if (!lc_exchange_query_bool(x, "confirmed", &is_confirmed)) return;
    lc_span sql = lc_http_body(x->request);
    if (!lc_utf8_valid(sql)) {
        lc_exchange_bad_utf8(x, sql);
        return;
    }
    lc_database *db;
    if (!lc_exchange_open(x, &db)) return;
    sql_job s = {.job = {.run = run_sql}, .x = x, .caller = http_caller(x)};
    lc_database_run(db, &s.job);
    const lc_sql_outcome *o = &s.outcome;
    if (o->status == LC_OK) {
        lc_database_http_sql_read(db, &s.outcome);
        put_result(o, &x->body);
    }
    if (is_confirmed && !wait_until_durable(x, db, o->need)) {
        /* answered */
    } else if (o->connect_failed) {
        answer_connect_failure(x, o->connect_status, &o->text);
    } else if (o->status == LC_OK) {
        put_duration(x, o->duration_micros);
        lc_exchange_json(x, 200);
    } else {
        int status = o->status == LC_E_CLOSED ? 404 : o->status == LC_E_READ_ONLY ? 503 : 400;
        answer_text(x, status, &o->text);
    }
    lc_sql_outcome_deinit(db, &s.outcome);
    lc_database_unref(db);
}
