/*
 * Server messages of v2 and v3 (03 section 6.2).
 */
#include "api/protocol.h"

enum {
    INITIAL_CONNECTION,
    SUBSCRIBE_APPLIED,
    UNSUBSCRIBE_APPLIED,
    SUBSCRIPTION_ERROR,
    TRANSACTION_UPDATE,
    ONE_OFF_QUERY_RESULT,
    REDUCER_RESULT,
    PROCEDURE_RESULT,
};
enum { OUTCOME_OK, OUTCOME_OK_EMPTY, OUTCOME_ERR, OUTCOME_INTERNAL_ERROR };
enum { PERSISTENT_TABLE, EVENT_TABLE };
enum { SOME, NONE };
enum { RESULT_OK, RESULT_ERR };
enum { PROCEDURE_INTERNAL_ERROR = 1 };
enum { SLOT = 0, SHARE_MIN = 512 };

static void connected(const lc_client *c, lc_buf *out)
{
    lc_buf_put_u8(out, INITIAL_CONNECTION);
    lc_buf_put(out, c->identity.bytes, sizeof c->identity.bytes);
    lc_buf_put(out, c->connection_id.bytes, sizeof c->connection_id.bytes);
    lc_buf_put_lenstr(out, lc_span_of_str(c->token));
}

/* TableUpdateRows of one change, encoded once per commit. */
static lc_change_cache *encoded_change(const lc_live_change *change)
{
    bool is_fresh;
    lc_change_cache *cache = lc_change_cache_of(change, SLOT, &is_fresh);
    if (is_fresh) return cache;
    bool is_event = lc_table_is_event(change->query->table);
    lc_buf_put_u8(&cache->bytes, is_event ? EVENT_TABLE : PERSISTENT_TABLE);
    lc_row_list_of_spans(change->inserts, change->insert_count, &cache->bytes);
    if (!is_event) lc_row_list_of_spans(change->deletes, change->delete_count, &cache->bytes);
    return cache;
}

/* Counts are written when they are known. */
static size_t begin_count(lc_buf *out)
{
    size_t at = out->len;
    lc_buf_put_u32(out, 0);
    return at;
}

static void add_one(lc_buf *out, size_t count_at)
{
    lc_store_u32(out->ptr + count_at, lc_load_u32(out->ptr + count_at) + 1);
}

/* Array of QuerySetUpdate. Items come ordered by set, table, query. */
static void put_query_sets(const lc_live_item *items, uint32_t count, lc_buf *out)
{
    size_t sets = begin_count(out), tables = 0, rows = 0;
    for (uint32_t i = 0; i < count; i++) {
        const lc_live_item *item = &items[i];
        bool new_set = i == 0 || item->set_id != items[i - 1].set_id;
        bool new_table = new_set || item->change->query->table != items[i - 1].change->query->table;
        if (new_set) {
            add_one(out, sets);
            lc_buf_put_u32(out, item->set_id);
            tables = begin_count(out);
        }
        if (new_table) {
            add_one(out, tables);
            lc_buf_put_lenstr(out, item->change->query->table_name);
            rows = begin_count(out);
        }
        add_one(out, rows);
        lc_buf_put_span(out, lc_buf_span(&encoded_change(item->change)->bytes));
    }
}

static void put_err_string(lc_span text, lc_buf *out)
{
    lc_buf_put_u32(out, (uint32_t)text.len + 4);
    lc_buf_put_lenstr(out, text);
}

static bool call_result(const lc_client *c, const lc_tx_event *e, const lc_live_item *items,
                        uint32_t count, lc_buf *out)
{
    (void)c;
    lc_buf_put_u8(out, REDUCER_RESULT);
    lc_buf_put_u32(out, e->request_id);
    lc_buf_put_u64(out, (uint64_t)e->timestamp);
    switch (e->status) {
    case LC_CALL_COMMITTED:
        lc_buf_put_u8(out, OUTCOME_OK);
        lc_buf_put_u32(out, 0); /* ret_value: reducers return unit */
        put_query_sets(items, count, out);
        break;
    case LC_CALL_USER_ERROR:
        lc_buf_put_u8(out, OUTCOME_ERR);
        put_err_string(e->text, out);
        break;
    case LC_CALL_BUDGET:
        lc_buf_put_u8(out, OUTCOME_INTERNAL_ERROR);
        lc_buf_put_lenstr(out, LC_STR("reducer ran out of energy"));
        break;
    case LC_CALL_FATAL:
    case LC_CALL_REFUSED:
        lc_buf_put_u8(out, OUTCOME_INTERNAL_ERROR);
        lc_buf_put_lenstr(out, e->text);
        break;
    }
    return true;
}

static lc_message *update(const lc_client *c, const lc_tx_event *e, const lc_live_item *items,
                          uint32_t count, lc_buf *out)
{
    (void)c, (void)e;
    size_t start = out->len;
    lc_change_cache *cache = count == 1 ? encoded_change(items[0].change) : NULL;
    if (cache && cache->whole && cache->set_id == items[0].set_id)
        return lc_message_ref(cache->whole);
    lc_buf_put_u8(out, TRANSACTION_UPDATE);
    put_query_sets(items, count, out);
    if (!cache || out->len - start < SHARE_MIN) return NULL;
    lc_message_unref(cache->whole);
    cache->whole = lc_message_of(LC_SPAN(out->ptr + start, out->len - start));
    cache->set_id = items[0].set_id;
    out->len = start;
    return lc_message_ref(cache->whole);
}

static void put_query_rows(const lc_live_results *results, lc_buf *out)
{
    lc_buf_put_u32(out, results->count);
    for (uint32_t i = 0; i < results->count; i++) {
        lc_buf_put_lenstr(out, results->items[i].query->table_name);
        lc_row_list_of_rowset(&results->items[i].rows, out);
    }
}

static void subscribed(const lc_client *c, lc_live_kind kind, uint32_t request_id, uint32_t id,
                       const lc_live_results *results, int64_t duration_micros, lc_buf *out)
{
    (void)c, (void)kind, (void)duration_micros;
    lc_buf_put_u8(out, SUBSCRIBE_APPLIED);
    lc_buf_put_u32(out, request_id);
    lc_buf_put_u32(out, id);
    put_query_rows(results, out);
}

static void unsubscribed(const lc_client *c, lc_live_kind kind, uint32_t request_id, uint32_t id,
                         const lc_live_results *results, int64_t duration_micros, lc_buf *out)
{
    (void)c, (void)kind, (void)duration_micros;
    lc_buf_put_u8(out, UNSUBSCRIBE_APPLIED);
    lc_buf_put_u32(out, request_id);
    lc_buf_put_u32(out, id);
    lc_buf_put_u8(out, results ? SOME : NONE);
    if (results) put_query_rows(results, out);
}

static void subscription_error(const lc_client *c, lc_live_kind kind, uint32_t request_id,
                               uint32_t id, lc_span text, int64_t duration_micros, lc_buf *out)
{
    (void)c, (void)kind, (void)duration_micros;
    lc_buf_put_u8(out, SUBSCRIPTION_ERROR);
    lc_buf_put_u8(out, SOME);
    lc_buf_put_u32(out, request_id);
    lc_buf_put_u32(out, id);
    lc_buf_put_lenstr(out, text);
}

static void one_off(const lc_client *c, uint32_t request_id, lc_span message_id,
                    const lc_plan *plan, const lc_rowset *rows, lc_span error,
                    int64_t duration_micros, lc_buf *out)
{
    (void)c, (void)message_id, (void)duration_micros;
    lc_buf_put_u8(out, ONE_OFF_QUERY_RESULT);
    lc_buf_put_u32(out, request_id);
    if (error.ptr) {
        lc_buf_put_u8(out, RESULT_ERR);
        lc_buf_put_lenstr(out, error);
        return;
    }
    lc_buf_put_u8(out, RESULT_OK);
    lc_buf_put_u32(out, 1);
    lc_buf_put_lenstr(out, lc_table_name(lc_plan_table(plan)));
    lc_row_list_of_rowset(rows, out);
}

static void procedure_failed(const lc_client *c, uint32_t request_id, lc_span text, lc_buf *out)
{
    (void)c;
    lc_buf_put_u8(out, PROCEDURE_RESULT);
    lc_buf_put_u8(out, PROCEDURE_INTERNAL_ERROR);
    lc_buf_put_lenstr(out, text);
    lc_buf_put_u64(out, 0); /* timestamp */
    lc_buf_put_u64(out, 0); /* duration */
    lc_buf_put_u32(out, request_id);
}

const lc_protocol lc_protocol_v2 = {
    .slot = SLOT,
    .is_v1 = false,
    .connected = connected,
    .call_result = call_result,
    .update = update,
    .subscribed = subscribed,
    .unsubscribed = unsubscribed,
    .subscription_error = subscription_error,
    .one_off = one_off,
    .procedure_failed = procedure_failed,
    .drop_cache = lc_change_cache_drop,
};
