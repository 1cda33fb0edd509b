/*
 * Clients come and go: st_client rows, lifecycle reducers (05 section 7), WebSocket clients.
 */
#include "database/database_internal.h"

/* Labels of the reference's log for transactions without a reducer of the module (05 section 3.4).
 */
#define CONNECT_LABEL    LC_STR("call_identity_connected")
#define DISCONNECT_LABEL LC_STR("__identity_disconnected__")

static const lc_function_def *lifecycle_reducer(const lc_database *db, lc_lifecycle which)
{
    int32_t i = db->schema->lifecycle[which];
    return i < 0 ? NULL : &db->schema->reducers[i];
}

static lc_tx_event event_of(lc_database *db, const lc_function_def *f, const lc_identity *id,
                            const lc_connection_id *conn, int64_t timestamp)
{
    return (lc_tx_event){
        .status = LC_CALL_COMMITTED,
        .reducer = f,
        .reducer_id = f->id,
        .reducer_name = f->name,
        .caller = *id,
        .connection = *conn,
        .timestamp = timestamp,
        .schema_version = db->schema->version,
    };
}

lc_status lc_database_connect(lc_database *db, const lc_identity *id, const lc_connection_id *conn,
                              lc_span jwt_payload, lc_call_status *how)
{
    const lc_function_def *f = lifecycle_reducer(db, LC_LIFECYCLE_CONNECT);
    *how = LC_CALL_COMMITTED;
    if (f && !lc_database_ensure_instance(db)) {
        *how = LC_CALL_FATAL;
        return LC_E_TRAP;
    }
    int64_t timestamp = lc_database_timestamp(db);
    lc_error err = LC_ERROR_INIT;
    lc_store_begin(db->store);
    /* A further socket with the same ids: one row for both, which goes with the first that closes
     * (03 section 1.1). */
    if (!lc_store_has_client(db->store, id, conn) &&
        lc_store_add_client(db->store, id, conn, jwt_payload, &err) != LC_OK) {
        lc_database_rollback(db);
        lc_buf_reset(&db->text);
        lc_buf_put_str(&db->text, lc_error_text(&err));
        lc_error_clear(&err);
        *how = LC_CALL_REFUSED;
        return LC_E_CONFLICT;
    }
    lc_log_inputs in = {
        .name = CONNECT_LABEL, .caller = *id, .connection = *conn, .timestamp = timestamp};
    if (!f) {
        lc_database_commit(db, &in, NULL, NULL, true);
        return LC_OK;
    }
    *how = lc_database_run_reducer(db, f, id, conn, timestamp, LC_SPAN_EMPTY);
    if (*how != LC_CALL_COMMITTED) {
        lc_database_rollback(db);
        return *how == LC_CALL_BUDGET ? LC_E_BUDGET : LC_E_DENIED;
    }
    lc_tx_event e = event_of(db, f, id, conn, timestamp);
    lc_database_commit(db, &in, &e, NULL, true);
    return LC_OK;
}

void lc_database_disconnect(lc_database *db, const lc_identity *id, const lc_connection_id *conn)
{
    if (!lc_store_has_client(db->store, id, conn)) return;
    const lc_function_def *f = lifecycle_reducer(db, LC_LIFECYCLE_DISCONNECT);
    int64_t timestamp = lc_database_timestamp(db);
    lc_log_inputs in = {
        .name = DISCONNECT_LABEL, .caller = *id, .connection = *conn, .timestamp = timestamp};
    if (f && lc_database_ensure_instance(db)) {
        lc_store_begin(db->store);
        if (lc_database_run_reducer(db, f, id, conn, timestamp, LC_SPAN_EMPTY) ==
            LC_CALL_COMMITTED) {
            lc_store_remove_client(db->store, id, conn);
            in.name = f->name;
            lc_tx_event e = event_of(db, f, id, conn, timestamp);
            lc_database_commit(db, &in, &e, NULL, true);
            return;
        }
        lc_database_rollback(db);
    }
    lc_store_begin(db->store);
    lc_store_remove_client(db->store, id, conn);
    lc_database_commit(db, &in, NULL, NULL, true);
}

/* ---------------------------------------------------------- WebSocket clients */

lc_client *lc_client_create(lc_database *db, const lc_protocol *protocol, lc_sink *sink,
                            void *connection)
{
    lc_client *c = lc_alloc_zero(sizeof *c);
    c->database = lc_database_ref(db);
    c->protocol = protocol;
    c->sink = sink;
    c->connection = connection;
    return c;
}

void lc_client_free(lc_client *c)
{
    lc_database_unref(c->database);
    lc_free(c->token);
    lc_free(c->jwt_payload);
    lc_free(c);
}

static void unlink_client(lc_database *db, lc_client *c)
{
    if (c->prev)
        c->prev->next = c->next;
    else
        db->clients = c->next;
    if (c->next) c->next->prev = c->prev;
    c->next = c->prev = NULL;
}

void lc_client_send_close(lc_client *c, uint16_t code, const char *reason)
{
    lc_reply r;
    lc_buf *out = lc_reply_begin(c, &r);
    lc_buf_put_u16(out, code);
    lc_buf_put_str(out, reason);
    lc_reply_end(c, &r, LC_DELIVERY_CLOSE);
    c->is_closed = true;
}

void lc_database_client_connect(lc_database *db, lc_client *c)
{
    lc_call_status how;
    lc_span payload = lc_span_of_str(c->jwt_payload);
    if (db->is_closed) {
        lc_client_send_close(c, 1001, "module exited");
        return;
    }
    if (!db->read_only &&
        lc_database_connect(db, &c->identity, &c->connection_id, payload, &how) != LC_OK) {
        /* Code 0: the socket is dropped without a Close frame (03 section 11.1). */
        lc_client_send_close(c, 0, "");
        return;
    }
    c->is_connected = true;
    db->protocols[c->protocol->slot] = c->protocol;
    c->next = db->clients;
    if (c->next) c->next->prev = c;
    db->clients = c;
    lc_caller caller = {.identity = c->identity,
                        .is_owner = lc_identity_equal(&c->identity, &db->owner)};
    c->live = lc_live_client_create(db->live, &caller, c);
    lc_reply r;
    c->protocol->connected(c, lc_reply_begin(c, &r));
    lc_reply_end(c, &r, LC_DELIVERY_DATA);
}

void lc_database_client_disconnect(lc_database *db, lc_client *c)
{
    if (c->is_connected) {
        if (c->live) lc_live_client_destroy(c->live); /* it went when the database closed */
        c->live = NULL;
        unlink_client(db, c);
        c->is_connected = false;
        if (!db->is_closed && !db->read_only)
            lc_database_disconnect(db, &c->identity, &c->connection_id);
    }
    lc_reply r;
    lc_reply_begin(c, &r);
    lc_reply_end(c, &r, LC_DELIVERY_GONE);
    if (c->last_read)
        c->is_gone = true;
    else
        lc_client_free(c);
}

void lc_database_close_clients(lc_database *db, uint16_t code, const char *reason)
{
    for (lc_client *c = db->clients; c; c = c->next)
        if (!c->is_closed) lc_client_send_close(c, code, reason);
}
