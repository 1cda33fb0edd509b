/*
 * Subscribe, unsubscribe and one-off queries of WebSocket clients.
 */
#include "database/database_internal.h"

static int64_t micros_since(const lc_database *db, uint64_t started)
{
    return (int64_t)((lc_clock_mono(db->clock) - started) / 1000);
}

static void send_error(lc_client *c, const lc_request *r, lc_error *err, int64_t micros)
{
    lc_reply reply;
    lc_buf *out = lc_reply_begin(c, &reply);
    c->protocol->subscription_error(c, r->live_kind, r->request_id, r->id,
                                    lc_span_of_str(lc_error_text(err)), micros, out);
    lc_reply_end(c, &reply, LC_DELIVERY_DATA);
    lc_error_clear(err);
}

static lc_question question_of(const lc_request *r, uint64_t started)
{
    return (lc_question){
        .live_kind = r->live_kind,
        .request_id = r->request_id,
        .id = r->id,
        .message_id = r->args,
        .started = started,
    };
}

void lc_database_client_subscribe(lc_database *db, lc_client *c, const lc_request *r)
{
    uint64_t started = lc_clock_mono(db->clock);
    lc_live_results results = {0};
    lc_error err = LC_ERROR_INIT;
    if (lc_live_subscribe(c->live, r->live_kind, r->id, &c->connection_id, r->texts, r->text_count,
                          &results, &err) != LC_OK) {
        send_error(c, r, &err, micros_since(db, started));
        return;
    }
    if (lc_live_results_are_long(&results)) {
        lc_question q = question_of(r, started);
        lc_long_read_results(c, &q, &results);
        return;
    }
    lc_reply reply;
    lc_buf *out = lc_reply_begin(c, &reply);
    c->protocol->subscribed(c, r->live_kind, r->request_id, r->id, &results,
                            micros_since(db, started), out);
    lc_reply_end(c, &reply, LC_DELIVERY_DATA);
    lc_live_results_deinit(&results);
}

void lc_database_client_unsubscribe(lc_database *db, lc_client *c, const lc_request *r)
{
    uint64_t started = lc_clock_mono(db->clock);
    bool with_rows = c->protocol->is_v1 || (r->flags & 1);
    lc_live_results results = {0};
    lc_error err = LC_ERROR_INIT;
    if (lc_live_unsubscribe(c->live, r->live_kind, r->id, &c->connection_id, with_rows, &results,
                            &err) != LC_OK) {
        send_error(c, r, &err, micros_since(db, started));
        return;
    }
    if (lc_live_results_are_long(&results)) {
        lc_question q = question_of(r, started);
        q.is_unsubscribe = true;
        lc_long_read_results(c, &q, &results);
        return;
    }
    lc_reply reply;
    lc_buf *out = lc_reply_begin(c, &reply);
    c->protocol->unsubscribed(c, r->live_kind, r->request_id, r->id, with_rows ? &results : NULL,
                              micros_since(db, started), out);
    lc_reply_end(c, &reply, LC_DELIVERY_DATA);
    lc_live_results_deinit(&results);
}

void lc_database_client_one_off(lc_database *db, lc_client *c, const lc_request *r)
{
    uint64_t started = lc_clock_mono(db->clock);
    lc_caller caller = {.identity = c->identity,
                        .is_owner = lc_identity_equal(&c->identity, &db->owner)};
    lc_plan *plan = NULL;
    lc_rowset rows = {0};
    lc_error err = LC_ERROR_INIT;
    lc_status rc = lc_plan_create(db->store, r->name, LC_DIALECT_ONE_OFF, &caller, &plan, &err);
    if (rc == LC_OK)
        rc = lc_query_check_row_limit(db->store, lc_plan_estimate(plan), &caller, &err);
    lc_image *image = rc == LC_OK ? lc_plan_freeze(plan) : NULL;
    if (image) {
        lc_question q = question_of(r, started);
        lc_long_read_plan(c, &q, plan, image);
        return;
    }
    if (rc == LC_OK) rc = lc_plan_select(plan, &rows, &err);
    lc_reply reply;
    lc_buf *out = lc_reply_begin(c, &reply);
    c->protocol->one_off(c, r->request_id, r->args, plan, &rows,
                         rc == LC_OK ? LC_SPAN_EMPTY : lc_span_of_str(lc_error_text(&err)),
                         micros_since(db, started), out);
    lc_reply_end(c, &reply, LC_DELIVERY_DATA);
    lc_rowset_deinit(&rows);
    if (plan) lc_plan_destroy(plan);
    lc_error_clear(&err);
}
