/*
 * The end of a transaction: storage, schedules, subscribers.
 */
#include "database/database_internal.h"

int64_t lc_database_stamp(lc_database *db, int64_t now)
{
    /* Modules seed random numbers and UUIDs with it, so no two calls may share one. */
    if (now <= db->last_timestamp) now = db->last_timestamp + 1;
    db->last_timestamp = now;
    return now;
}

int64_t lc_database_timestamp(lc_database *db)
{
    return lc_database_stamp(db, lc_clock_now(db->clock));
}

typedef struct publication {
    lc_tx_event *event;
    lc_client *answer_to;
    bool is_answered;
} publication;

static void answer(lc_client *c, const lc_tx_event *e, const lc_live_item *items, uint32_t count)
{
    lc_reply r;
    lc_buf *out = lc_reply_begin(c, &r);
    if (c->protocol->call_result(c, e, items, count, out)) lc_reply_end(c, &r, LC_DELIVERY_DATA);
}

static void publish_to(void *arg, lc_live_client *live, const lc_live_item *items, uint32_t count)
{
    publication *p = arg;
    lc_client *c = lc_live_client_user(live);
    if (c == p->answer_to) {
        p->is_answered = true;
        answer(c, p->event, items, count);
        return;
    }
    lc_reply r;
    lc_buf *out = lc_reply_begin(c, &r);
    lc_message *m = c->protocol->update(c, p->event, items, count, out);
    if (m)
        lc_reply_shared(c, m);
    else
        lc_reply_end(c, &r, LC_DELIVERY_DATA);
}

void lc_database_commit(lc_database *db, const lc_log_inputs *inputs, lc_tx_event *e,
                        lc_client *answer_to, bool always_log)
{
    const lc_delta *delta = lc_storage_commit(db->storage, inputs, always_log);
    db->need = lc_storage_need(db->storage);
    if (db->schedule.pending.len) lc_schedule_commit(db);
    if (!e) {
        lc_store_release(db->store);
        return;
    }
    e->serial = ++db->serial;
    publication p = {.event = e, .answer_to = answer_to};
    if (!lc_live_is_empty(db->live) && delta->table_count)
        lc_live_publish(db->live, delta, publish_to, &p);
    if (answer_to && !p.is_answered) answer(answer_to, e, NULL, 0);
    lc_store_release(db->store);
}

void lc_database_rollback(lc_database *db)
{
    lc_store_rollback(db->store);
    if (db->schedule.pending.len) lc_schedule_rollback(db);
}
