/*
 * Server messages of v1, binary (03 section 4.2).
 */
#include "api/protocol.h"

enum {
    INITIAL_SUBSCRIPTION,
    TRANSACTION_UPDATE,
    TRANSACTION_UPDATE_LIGHT,
    IDENTITY_TOKEN,
    ONE_OFF_QUERY_RESPONSE,
    SUBSCRIBE_APPLIED,
    UNSUBSCRIBE_APPLIED,
    SUBSCRIPTION_ERROR,
    SUBSCRIBE_MULTI_APPLIED,
    UNSUBSCRIBE_MULTI_APPLIED,
    PROCEDURE_RESULT,
};
enum { COMMITTED, FAILED, OUT_OF_ENERGY };
enum { UNCOMPRESSED = 0 };
enum { SOME, NONE };
enum { PROCEDURE_INTERNAL_ERROR = 2 };
enum { NO_SUCCESS_NOTIFY = 1 };
enum { SLOT = 1, SHARE_MIN = 512, FIRST_HIDING_VERSION = 10 };

static void connected(const lc_client *c, lc_buf *out)
{
    lc_buf_put_u8(out, IDENTITY_TOKEN);
    lc_buf_put(out, c->identity.bytes, sizeof c->identity.bytes);
    lc_buf_put_lenstr(out, lc_span_of_str(c->token));
    lc_buf_put(out, c->connection_id.bytes, sizeof c->connection_id.bytes);
}

/* CompressableQueryUpdate of one change. */
static lc_change_cache *encoded_change(const lc_live_change *change)
{
    bool is_fresh;
    lc_change_cache *cache = lc_change_cache_of(change, SLOT, &is_fresh);
    if (is_fresh) return cache;
    lc_buf_put_u8(&cache->bytes, UNCOMPRESSED);
    lc_row_list_of_spans(change->deletes, change->delete_count, &cache->bytes);
    lc_row_list_of_spans(change->inserts, change->insert_count, &cache->bytes);
    return cache;
}

/* DatabaseUpdate: one TableUpdate per table; items come with equal tables side by side. */
static void put_database_update(const lc_live_item *items, uint32_t count, lc_buf *out)
{
    size_t tables_at = out->len;
    uint32_t tables = 0;
    lc_buf_put_u32(out, 0);
    for (uint32_t i = 0; i < count;) {
        lc_table *table = items[i].change->query->table;
        uint32_t end = i;
        uint64_t rows = 0;
        for (; end < count && items[end].change->query->table == table; end++)
            rows += items[end].change->insert_count + items[end].change->delete_count;
        lc_buf_put_u32(out, lc_table_id(table));
        lc_buf_put_lenstr(out, items[i].change->query->table_name);
        lc_buf_put_u64(out, rows);
        lc_buf_put_u32(out, end - i);
        for (; i < end; i++)
            lc_buf_put_span(out, lc_buf_span(&encoded_change(items[i].change)->bytes));
        tables++;
    }
    lc_store_u32(out->ptr + tables_at, tables);
}

static void put_transaction(const lc_tx_event *e, const lc_live_item *items, uint32_t count,
                            lc_buf *out)
{
    bool is_refused = e->status == LC_CALL_REFUSED;
    lc_buf_put_u8(out, TRANSACTION_UPDATE);
    switch (e->status) {
    case LC_CALL_COMMITTED:
        lc_buf_put_u8(out, COMMITTED);
        put_database_update(items, count, out);
        break;
    case LC_CALL_BUDGET:
        lc_buf_put_u8(out, OUT_OF_ENERGY);
        break;
    case LC_CALL_USER_ERROR:
    case LC_CALL_FATAL:
    case LC_CALL_REFUSED:
        lc_buf_put_u8(out, FAILED);
        lc_buf_put_lenstr(out, e->text);
        break;
    }
    lc_buf_put_u64(out, (uint64_t)e->timestamp);
    lc_buf_put(out, e->caller.bytes, sizeof e->caller.bytes);
    lc_buf_put(out, e->connection.bytes, sizeof e->connection.bytes);
    lc_buf_put_lenstr(out, e->reducer_name);
    lc_buf_put_u32(out, e->reducer_id);
    lc_buf_put_lenstr(out, is_refused ? LC_SPAN_EMPTY : e->args);
    lc_buf_put_u32(out, is_refused ? 0 : e->request_id);
    lc_buf_put_u64(out, 0); /* energy, 128 bits: execution is not billed */
    lc_buf_put_u64(out, 0);
    lc_buf_put_u64(out, (uint64_t)e->duration_micros);
}

static bool call_result(const lc_client *c, const lc_tx_event *e, const lc_live_item *items,
                        uint32_t count, lc_buf *out)
{
    (void)c;
    bool ran = e->status != LC_CALL_REFUSED;
    if (ran && (e->flags & NO_SUCCESS_NOTIFY)) return false;
    put_transaction(e, items, count, out);
    return true;
}

static lc_message *update(const lc_client *c, const lc_tx_event *e, const lc_live_item *items,
                          uint32_t count, lc_buf *out)
{
    if (e->schema_version < FIRST_HIDING_VERSION && !c->is_light) {
        put_transaction(e, items, count, out);
        return NULL;
    }
    size_t start = out->len;
    lc_change_cache *cache = count == 1 ? encoded_change(items[0].change) : NULL;
    if (cache && cache->whole) return lc_message_ref(cache->whole);
    lc_buf_put_u8(out, TRANSACTION_UPDATE_LIGHT);
    lc_buf_put_u32(out, e->request_id);
    put_database_update(items, count, out);
    if (!cache || out->len - start < SHARE_MIN) return NULL;
    cache->whole = lc_message_of(LC_SPAN(out->ptr + start, out->len - start));
    out->len = start;
    return lc_message_ref(cache->whole);
}

/* TableUpdate with the rows of one result, as inserts or as deletes. */
static void put_table_update(const lc_live_result *r, bool as_deletes, lc_buf *out)
{
    static const lc_rowset nothing = {0};
    lc_buf_put_u32(out, lc_table_id(r->query->table));
    lc_buf_put_lenstr(out, r->query->table_name);
    lc_buf_put_u64(out, r->rows.count);
    lc_buf_put_u32(out, 1);
    lc_buf_put_u8(out, UNCOMPRESSED);
    lc_row_list_of_rowset(as_deletes ? &r->rows : &nothing, out);
    lc_row_list_of_rowset(as_deletes ? &nothing : &r->rows, out);
}

static void put_results(const lc_live_results *results, bool as_deletes, lc_buf *out)
{
    lc_buf_put_u32(out, results->count);
    for (uint32_t i = 0; i < results->count; i++)
        put_table_update(&results->items[i], as_deletes, out);
}

/* SubscribeRows: SubscribeSingle has exactly one query. */
static void put_single(const lc_live_results *results, bool as_deletes, lc_buf *out)
{
    const lc_live_result *r = &results->items[0];
    lc_buf_put_u32(out, lc_table_id(r->query->table));
    lc_buf_put_lenstr(out, r->query->table_name);
    put_table_update(r, as_deletes, out);
}

static void put_applied_head(uint8_t tag, uint32_t request_id, uint32_t id, int64_t micros,
                             lc_buf *out)
{
    lc_buf_put_u8(out, tag);
    lc_buf_put_u32(out, request_id);
    lc_buf_put_u64(out, (uint64_t)micros);
    lc_buf_put_u32(out, id);
}

static void subscribed(const lc_client *c, lc_live_kind kind, uint32_t request_id, uint32_t id,
                       const lc_live_results *results, int64_t duration_micros, lc_buf *out)
{
    (void)c;
    if (kind == LC_LIVE_LEGACY) {
        lc_buf_put_u8(out, INITIAL_SUBSCRIPTION);
        put_results(results, false, out);
        lc_buf_put_u32(out, request_id);
        lc_buf_put_u64(out, (uint64_t)duration_micros);
        return;
    }
    bool is_single = kind == LC_LIVE_SINGLE;
    put_applied_head(is_single ? SUBSCRIBE_APPLIED : SUBSCRIBE_MULTI_APPLIED, request_id, id,
                     duration_micros, out);
    if (is_single)
        put_single(results, false, out);
    else
        put_results(results, false, out);
}

static void unsubscribed(const lc_client *c, lc_live_kind kind, uint32_t request_id, uint32_t id,
                         const lc_live_results *results, int64_t duration_micros, lc_buf *out)
{
    (void)c;
    bool is_single = kind == LC_LIVE_SINGLE;
    put_applied_head(is_single ? UNSUBSCRIBE_APPLIED : UNSUBSCRIBE_MULTI_APPLIED, request_id, id,
                     duration_micros, out);
    if (is_single)
        put_single(results, true, out);
    else
        put_results(results, true, out);
}

static void subscription_error(const lc_client *c, lc_live_kind kind, uint32_t request_id,
                               uint32_t id, lc_span text, int64_t duration_micros, lc_buf *out)
{
    (void)c;
    lc_buf_put_u8(out, SUBSCRIPTION_ERROR);
    lc_buf_put_u64(out, (uint64_t)duration_micros);
    lc_buf_put_u8(out, SOME);
    lc_buf_put_u32(out, request_id);
    if (kind == LC_LIVE_LEGACY) {
        lc_buf_put_u8(out, NONE);
    } else {
        lc_buf_put_u8(out, SOME);
        lc_buf_put_u32(out, id);
    }
    lc_buf_put_u8(out, NONE); /* table_id */
    lc_buf_put_lenstr(out, text);
}

static void one_off(const lc_client *c, uint32_t request_id, lc_span message_id,
                    const lc_plan *plan, const lc_rowset *rows, lc_span error,
                    int64_t duration_micros, lc_buf *out)
{
    (void)c, (void)request_id;
    lc_buf_put_u8(out, ONE_OFF_QUERY_RESPONSE);
    lc_buf_put_lenstr(out, message_id);
    if (error.ptr) {
        lc_buf_put_u8(out, SOME);
        lc_buf_put_lenstr(out, error);
        lc_buf_put_u32(out, 0);
    } else {
        lc_buf_put_u8(out, NONE);
        lc_buf_put_u32(out, 1);
        lc_buf_put_lenstr(out, lc_table_name(lc_plan_table(plan)));
        lc_row_list_of_rowset(rows, out);
    }
    lc_buf_put_u64(out, (uint64_t)duration_micros);
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

const lc_protocol lc_protocol_v1 = {
    .slot = SLOT,
    .is_v1 = true,
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
