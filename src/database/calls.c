/*
 * Reducer calls: from a WebSocket, over HTTP, and those a module asks for itself.
 */
#include "database/database_internal.h"

#define FATAL_TEXT "The instance encountered a fatal error."

static const char *lifecycle_name(lc_lifecycle l)
{
    static const char *const names[] = {"Init", "OnConnect", "OnDisconnect"};
    return names[l];
}

bool lc_database_ensure_instance(lc_database *db)
{
    if (LC_LIKELY(db->instance != NULL)) return true;
    lc_error err = LC_ERROR_INIT;
    if (lc_instance_create(db->program, db->env, &db->instance, NULL, &err) == LC_OK) return true;
    lc_database_log(db, LC_MODULE_LOG_ERROR, LC_SPAN_EMPTY, "the module cannot start again: %s",
                    lc_error_text(&err));
    lc_error_clear(&err);
    db->instance = NULL;
    lc_buf_reset(&db->text);
    lc_buf_put_str(&db->text, FATAL_TEXT);
    return false;
}

lc_call_status lc_database_run_reducer(lc_database *db, const lc_function_def *f,
                                       const lc_identity *sender, const lc_connection_id *conn,
                                       int64_t timestamp, lc_span args)
{
    lc_call call = {
        .id = f->id,
        .name = f->name,
        .sender = *sender,
        .connection = *conn,
        .timestamp = timestamp,
        .args = args,
    };
    lc_buf_reset(&db->text);
    lc_outcome outcome = lc_instance_call_reducer(db->instance, &call, &db->text);
    switch (outcome) {
    case LC_OUTCOME_OK:
        return LC_CALL_COMMITTED;
    case LC_OUTCOME_USER_ERROR:
        lc_database_log_text(db, LC_MODULE_LOG_ERROR, f->name, lc_buf_span(&db->text));
        return LC_CALL_USER_ERROR;
    case LC_OUTCOME_FATAL:
        break;
    case LC_OUTCOME_TRAP:
    case LC_OUTCOME_BUDGET:
        lc_instance_destroy(db->instance);
        db->instance = NULL;
        break;
    }
    lc_buf_reset(&db->text);
    lc_buf_put_str(&db->text, FATAL_TEXT);
    return outcome == LC_OUTCOME_BUDGET ? LC_CALL_BUDGET : LC_CALL_FATAL;
}

/* ------------------------------------------------------------ a call, checked */

/* What a caller asked for, before it is known to exist. */
typedef struct call_request {
    lc_span name;
    lc_span args;
    bool args_are_json;
    lc_identity caller;
    lc_connection_id connection;
} call_request;

static lc_status refuse(lc_database *db, lc_tx_event *e, lc_status why, const char *text)
{
    lc_buf_reset(&db->text);
    lc_buf_put_str(&db->text, text);
    e->status = LC_CALL_REFUSED;
    e->text = lc_buf_span(&db->text);
    return why;
}

static void log_bad_call(lc_database *db, lc_span name, bool exists)
{
    if (exists)
        lc_database_log(db, LC_MODULE_LOG_ERROR, name,
                        "External attempt to call reducer \"" LC_SPAN_FMT
                        "\" failed, invalid arguments.\nThis is likely due to a mismatched client "
                        "schema, have you run `spacetime generate` recently?",
                        LC_SPAN_ARG(name));
    else
        lc_database_log(db, LC_MODULE_LOG_ERROR, name,
                        "External attempt to call nonexistent reducer \"" LC_SPAN_FMT
                        "\" failed. Have you run `spacetime generate` recently?",
                        LC_SPAN_ARG(name));
}

/* Validated BSATN of the arguments in *args, or a refusal. Bytes beyond the arguments are dropped.
 */
static lc_status check_args(lc_database *db, const lc_function_def *f, const call_request *q,
                            bool with_path, lc_span *args, lc_tx_event *e)
{
    lc_error err = LC_ERROR_INIT;
    if (!q->args_are_json) {
        size_t size = 0;
        if (lc_layout_validate(f->layout, q->args, &size, &err) == LC_OK) {
            *args = LC_SPAN(q->args.ptr, size);
            return LC_OK;
        }
        char *text = lc_format("invalid arguments for reducer " LC_SPAN_FMT ": %s",
                               LC_SPAN_ARG(f->name), lc_error_text(&err));
        if (with_path) {
            lc_free(text);
            text = lc_format("invalid arguments for reducer " LC_SPAN_FMT
                             ": %s: invalid arguments for function " LC_SPAN_FMT ": %s: %s",
                             LC_SPAN_ARG(f->name), lc_error_text(&err), LC_SPAN_ARG(f->name),
                             lc_error_text(&err), lc_error_text(&err));
        }
        refuse(db, e, LC_E_INVALID, text);
        lc_free(text);
        lc_error_clear(&err);
        log_bad_call(db, f->name, true);
        return LC_E_INVALID;
    }
    lc_buf path = LC_BUF_INIT;
    lc_buf_reset(&db->args);
    if (lc_json_args_to_bsatn(f->params, f->typespace, "reducer", f->source_name, q->args,
                              &db->args, &path, &err) == LC_OK) {
        *args = lc_buf_span(&db->args);
        lc_buf_deinit(&path);
        return LC_OK;
    }
    lc_span p = path.len ? lc_buf_span(&path) : lc_span_of_str(lc_error_text(&err));
    char *text = lc_format(
        "invalid arguments for reducer " LC_SPAN_FMT ": " LC_SPAN_FMT
        ": invalid arguments for function " LC_SPAN_FMT ": " LC_SPAN_FMT ": " LC_SPAN_FMT "%s%s",
        LC_SPAN_ARG(f->name), LC_SPAN_ARG(p), LC_SPAN_ARG(f->name), LC_SPAN_ARG(p), LC_SPAN_ARG(p),
        path.len ? ": " : "", path.len ? lc_error_text(&err) : "");
    refuse(db, e, LC_E_INVALID, text);
    lc_free(text);
    lc_buf_deinit(&path);
    lc_error_clear(&err);
    log_bad_call(db, f->name, true);
    return LC_E_INVALID;
}

/* Finds the reducer and checks that this caller may call it with these arguments, now. */
static lc_status admit(lc_database *db, const call_request *q, bool with_path, lc_tx_event *e,
                       lc_span *args)
{
    const lc_function_def *f = lc_schema_find_reducer(db->schema, q->name);
    bool is_owner = lc_identity_equal(&q->caller, &db->owner);
    e->reducer_name = q->name;
    if (f) e->reducer_id = f->id;
    if (!f || (!f->is_client_callable && f->lifecycle == LC_LIFECYCLE_NONE && !is_owner)) {
        log_bad_call(db, q->name, false);
        return refuse(db, e, LC_E_NOT_FOUND, "no such reducer");
    }
    e->reducer = f;
    e->reducer_name = f->name;
    if (f->lifecycle != LC_LIFECYCLE_NONE) {
        char *text = lc_format("can't directly call special %s lifecycle reducer",
                               lifecycle_name(f->lifecycle));
        refuse(db, e, LC_E_DENIED, text);
        lc_free(text);
        return LC_E_DENIED;
    }
    lc_status rc = check_args(db, f, q, with_path, args, e);
    if (rc == LC_OK && LC_UNLIKELY(db->read_only != NULL))
        return refuse(db, e, LC_E_READ_ONLY, db->read_only);
    return rc;
}

/* Runs an admitted call in a transaction of its own and tells everyone. e is complete afterwards.
 */
static void execute(lc_database *db, const call_request *q, lc_span args, lc_tx_event *e,
                    lc_client *answer_to)
{
    if (!lc_database_ensure_instance(db)) {
        refuse(db, e, LC_E_TRAP, FATAL_TEXT);
        e->status = LC_CALL_FATAL;
        return;
    }
    int64_t started = lc_clock_now(db->clock);
    e->timestamp = lc_database_stamp(db, started);
    e->args = args;
    lc_store_begin(db->store);
    e->status =
        lc_database_run_reducer(db, e->reducer, &q->caller, &q->connection, e->timestamp, args);
    int64_t took = lc_clock_now(db->clock) - started;
    e->duration_micros = took > 0 ? took : 0; /* the wall clock may be set meanwhile */
    e->text = lc_buf_span(&db->text);
    if (e->status != LC_CALL_COMMITTED) {
        lc_database_rollback(db);
        return;
    }
    lc_log_inputs in = {
        .name = e->reducer->name,
        .caller = q->caller,
        .connection = q->connection,
        .timestamp = e->timestamp,
        .args = args,
    };
    lc_database_commit(db, &in, e, answer_to, false);
}

/* --------------------------------------------------------------- over WebSocket */

static void answer_failure(lc_client *c, const lc_tx_event *e)
{
    lc_reply r;
    lc_buf *out = lc_reply_begin(c, &r);
    if (c->protocol->call_result(c, e, NULL, 0, out)) lc_reply_end(c, &r, LC_DELIVERY_DATA);
}

void lc_database_client_call(lc_database *db, lc_client *c, const lc_request *r)
{
    call_request q = {
        .name = r->name,
        .args = r->args,
        .args_are_json = r->args_are_json,
        .caller = c->identity,
        .connection = c->connection_id,
    };
    lc_tx_event e = {
        .reducer_id = UINT32_MAX,
        .caller = c->identity,
        .connection = c->connection_id,
        .request_id = r->request_id,
        .flags = r->flags,
        .schema_version = db->schema->version,
        .json_args = r->args_are_json ? r->args : LC_SPAN_EMPTY,
    };
    lc_span args;
    if (admit(db, &q, c->protocol->is_v1, &e, &args) != LC_OK) {
        e.timestamp = lc_clock_now(db->clock);
        answer_failure(c, &e);
        return;
    }
    /* A v1 caller that wants no notice of success is told like any other subscriber. */
    lc_client *answer_to = c->protocol->is_v1 && (r->flags & 1) ? NULL : c;
    execute(db, &q, args, &e, answer_to);
    if (e.status != LC_CALL_COMMITTED) answer_failure(c, &e);
}

void lc_database_client_procedure(lc_database *db, lc_client *c, const lc_request *r)
{
    lc_reply reply;
    lc_buf *out = lc_reply_begin(c, &reply);
    bool exists = lc_schema_find_procedure(db->schema, r->name) != NULL;
    c->protocol->procedure_failed(
        c, r->request_id,
        exists ? LC_STR("not supported: procedures are not executed by this version of the server")
               : LC_STR("No such procedure"),
        out);
    lc_reply_end(c, &reply, LC_DELIVERY_DATA);
}

/* -------------------------------------------------------------------- over HTTP */

void lc_database_http_call(lc_database *db, const lc_http_caller *caller, lc_span function,
                           lc_span json_args, lc_call_outcome *out)
{
    *out = (lc_call_outcome){.status = LC_CALL_REFUSED};
    if (lc_database_is_over(db)) {
        out->refusal = LC_E_CLOSED;
        lc_buf_put_str(&out->text, "no such module");
        return;
    }
    lc_call_status how = LC_CALL_COMMITTED;
    lc_status rc = LC_OK;
    if (!db->read_only)
        rc = lc_database_connect(db, &caller->identity, &caller->connection, caller->jwt_payload,
                                 &how);
    if (rc != LC_OK) {
        out->connect_failed = true;
        out->status = how;
        out->refusal = rc;
        lc_buf_put_span(&out->text, lc_buf_span(&db->text));
        out->need = db->need;
        return;
    }
    call_request q = {
        .name = function,
        .args = json_args,
        .args_are_json = true,
        .caller = caller->identity,
        .connection = caller->connection,
    };
    lc_tx_event e = {
        .reducer_id = UINT32_MAX,
        .caller = caller->identity,
        .connection = caller->connection,
        .schema_version = db->schema->version,
        .json_args = json_args,
    };
    uint64_t started = lc_clock_mono(db->clock);
    lc_span args;
    out->refusal = admit(db, &q, true, &e, &args);
    bool is_procedure =
        out->refusal == LC_E_NOT_FOUND && lc_schema_find_procedure(db->schema, function) != NULL;
    if (is_procedure)
        out->refusal = refuse(db, &e, LC_E_UNSUPPORTED,
                              "not supported: procedures are not executed by this version of the "
                              "server");
    else if (out->refusal == LC_E_NOT_FOUND)
        refuse(db, &e, LC_E_NOT_FOUND, "No such procedure");
    if (out->refusal == LC_OK) execute(db, &q, args, &e, NULL);
    out->duration_micros = (int64_t)((lc_clock_mono(db->clock) - started) / 1000);
    out->status = e.status;
    if (e.status != LC_CALL_COMMITTED) lc_buf_put_span(&out->text, e.text);
    if (!db->read_only) lc_database_disconnect(db, &caller->identity, &caller->connection);
    out->need = db->need;
}

void lc_call_outcome_deinit(lc_call_outcome *o)
{
    lc_buf_deinit(&o->text);
}

/* ------------------------------------------------------------- asked by a module */

/* Takes the first of the queue; its bytes move into args. NULL: it cannot be called. */
static const lc_function_def *next_volatile_call(lc_database *db, lc_buf *args)
{
    lc_buf *queue = &db->volatile_calls;
    lc_reader rd =
        lc_reader_of(LC_SPAN(queue->ptr + db->volatile_at, queue->len - db->volatile_at), NULL);
    const lc_function_def *f = lc_schema_find_reducer(db->schema, lc_read_bytes(&rd));
    lc_span given = lc_read_bytes(&rd);
    db->volatile_at = (size_t)(rd.at - queue->ptr);
    size_t size = 0;
    bool is_good = f && f->lifecycle == LC_LIFECYCLE_NONE &&
                   lc_layout_validate(f->layout, given, &size, NULL) == LC_OK;
    lc_buf_reset(args);
    if (is_good) lc_buf_put(args, given.ptr, size);
    return is_good ? f : NULL;
}

/* Gives up what has run; moves the rest only when that is the smaller part. */
static void drop_volatile_calls(lc_database *db)
{
    lc_buf *queue = &db->volatile_calls;
    size_t left = queue->len - db->volatile_at;
    if (left > db->volatile_at) return;
    if (left) memcpy(queue->ptr, queue->ptr + db->volatile_at, left);
    queue->len = left;
    db->volatile_at = 0;
    if (left) return;
    lc_buf_deinit(queue);
    db->volatile_dropped = false;
}

void lc_database_run_volatile_calls(lc_database *db)
{
    lc_buf args = LC_BUF_INIT;
    if (lc_database_is_over(db)) db->volatile_at = db->volatile_calls.len;
    uint64_t until = lc_clock_mono(db->clock) + LC_VOLATILE_ROUND_MILLIS * 1000000ull;
    for (int i = 0; i < LC_VOLATILE_ROUND && db->volatile_at < db->volatile_calls.len; i++) {
        if (i && lc_clock_mono(db->clock) >= until) break;
        const lc_function_def *f = next_volatile_call(db, &args);
        if (!f) continue; /* leaves nothing in the module log, as in the reference */
        call_request q = {.name = f->name, .caller = db->identity};
        lc_tx_event e = {
            .reducer = f,
            .reducer_id = f->id,
            .reducer_name = f->name,
            .caller = db->identity,
            .schema_version = db->schema->version,
        };
        execute(db, &q, lc_buf_span(&args), &e, NULL);
    }
    lc_buf_deinit(&args);
    drop_volatile_calls(db);
}
