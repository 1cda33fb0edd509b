/*
 * The end of a transaction: log record, schedules, subscribers.
 */
#include "database/database_internal.h"

enum { LC_LOG_HAS_INPUTS = 0x80, LC_LOG_HAS_MUTATIONS = 0x20, LC_LOG_NAME_MAX = 255 };

int64_t lc_database_timestamp(lc_database *db)
{
    int64_t now = lc_clock_now(db->clock);
    /* Modules seed random numbers and UUIDs with it, so no two calls may share one. */
    if (now <= db->last_timestamp) now = db->last_timestamp + 1;
    db->last_timestamp = now;
    return now;
}

/* The name as the log keeps it: at most 255 bytes, cut at a character border. */
static lc_span log_name(lc_span name)
{
    if (name.len <= LC_LOG_NAME_MAX) return name;
    size_t n = LC_LOG_NAME_MAX;
    while (n > 0 && (name.ptr[n] & 0xc0) == 0x80) n--;
    return LC_SPAN(name.ptr, n);
}

static void append_record(lc_database *db, const lc_log_inputs *in, const lc_delta *delta)
{
    lc_buf *b = lc_journal_record_begin(db->journal);
    if (in->name.len) {
        lc_span name = log_name(in->name);
        size_t len = 1 + name.len + sizeof in->caller + sizeof in->connection + 8 + in->args.len;
        lc_buf_put_u8(b, LC_LOG_HAS_INPUTS | LC_LOG_HAS_MUTATIONS);
        lc_buf_put_u32(b, (uint32_t)len);
        lc_buf_put_u8(b, (uint8_t)name.len);
        lc_buf_put_span(b, name);
        lc_buf_put(b, in->caller.bytes, sizeof in->caller.bytes);
        lc_buf_put(b, in->connection.bytes, sizeof in->connection.bytes);
        lc_buf_put_u64(b, (uint64_t)in->timestamp);
        lc_buf_put_span(b, in->args);
    } else {
        lc_buf_put_u8(b, LC_LOG_HAS_MUTATIONS);
    }
    lc_delta_encode(delta, b);
    lc_journal_record_end(db->journal);
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
    const lc_delta *delta = lc_store_commit(db->store);
    if (delta->is_logged || always_log) append_record(db, inputs, delta);
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
