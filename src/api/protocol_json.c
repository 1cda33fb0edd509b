/*
 * Server messages of v1.json (03 section 5). Rows of initial results are objects, rows of changes
 * are arrays, each as a JSON text inside a JSON string.
 */
#include "api/protocol.h"

enum { NO_SUCCESS_NOTIFY = 1 };
enum { SLOT = 2, FIRST_HIDING_VERSION = 10 };

static void put_identity(const lc_identity *id, lc_buf *out)
{
    lc_buf_put_str(out, "{\"__identity__\":\"");
    lc_u256_to_hex(id->bytes, false, out);
    lc_buf_put_str(out, "\"}");
}

static void put_connection(const lc_connection_id *id, lc_buf *out)
{
    lc_buf_put_str(out, "{\"__connection_id__\":");
    lc_u128_to_decimal(id->bytes, false, out);
    lc_buf_put_str(out, "}");
}

static void put_duration(int64_t micros, lc_buf *out)
{
    lc_buf_printf(out, "{\"__time_duration_micros__\":%lld}", (long long)micros);
}

/* One row as a string that holds JSON. */
static void put_row(const lc_table *table, lc_span row, lc_json_flavour flavour, lc_buf *out)
{
    lc_buf text = LC_BUF_INIT;
    lc_json_write(lc_table_row_type(table), NULL, row.ptr, flavour, &text);
    lc_json_write_string(lc_buf_span(&text), out);
    lc_buf_deinit(&text);
}

static void put_rowset(const lc_table *table, const lc_rowset *rows, lc_buf *out)
{
    lc_buf_put_u8(out, '[');
    for (uint64_t i = 0; i < rows->count; i++) {
        if (i) lc_buf_put_u8(out, ',');
        put_row(table, lc_rowset_row(rows, i), LC_JSON_ROW, out);
    }
    lc_buf_put_u8(out, ']');
}

static void put_spans(const lc_table *table, const lc_span *rows, uint32_t count, lc_buf *out)
{
    lc_buf_put_u8(out, '[');
    for (uint32_t i = 0; i < count; i++) {
        if (i) lc_buf_put_u8(out, ',');
        put_row(table, rows[i], LC_JSON_UNTYPED, out);
    }
    lc_buf_put_u8(out, ']');
}

static void connected(const lc_client *c, lc_buf *out)
{
    lc_buf_put_str(out, "{\"IdentityToken\":{\"identity\":");
    put_identity(&c->identity, out);
    lc_buf_put_str(out, ",\"token\":");
    lc_json_write_string(lc_span_of_str(c->token), out);
    lc_buf_put_str(out, ",\"connection_id\":");
    put_connection(&c->connection_id, out);
    lc_buf_put_str(out, "}}");
}

static lc_change_cache *encoded_change(const lc_live_change *change)
{
    bool is_fresh;
    lc_change_cache *cache = lc_change_cache_of(change, SLOT, &is_fresh);
    if (is_fresh) return cache;
    const lc_table *table = change->query->table;
    lc_buf_put_str(&cache->bytes, "{\"deletes\":");
    put_spans(table, change->deletes, change->delete_count, &cache->bytes);
    lc_buf_put_str(&cache->bytes, ",\"inserts\":");
    put_spans(table, change->inserts, change->insert_count, &cache->bytes);
    lc_buf_put_str(&cache->bytes, "}");
    return cache;
}

static void put_table_head(const lc_live_query *q, uint64_t rows, lc_buf *out)
{
    lc_buf_printf(out, "{\"table_id\":%u,\"table_name\":", lc_table_id(q->table));
    lc_json_write_string(q->table_name, out);
    lc_buf_printf(out, ",\"num_rows\":%llu,\"updates\":[", (unsigned long long)rows);
}

static void put_database_update(const lc_live_item *items, uint32_t count, lc_buf *out)
{
    lc_buf_put_str(out, "{\"tables\":[");
    for (uint32_t i = 0; i < count;) {
        const lc_live_query *q = items[i].change->query;
        uint32_t end = i;
        uint64_t rows = 0;
        for (; end < count && items[end].change->query->table == q->table; end++)
            rows += items[end].change->insert_count + items[end].change->delete_count;
        if (i) lc_buf_put_u8(out, ',');
        put_table_head(q, rows, out);
        for (uint32_t k = i; k < end; k++) {
            if (k > i) lc_buf_put_u8(out, ',');
            lc_buf_put_span(out, lc_buf_span(&encoded_change(items[k].change)->bytes));
        }
        lc_buf_put_str(out, "]}");
        i = end;
    }
    lc_buf_put_str(out, "]}");
}

/* Arguments as JSON text in a string: as the caller wrote them, or made from BSATN. */
static void put_args(const lc_tx_event *e, lc_buf *out)
{
    lc_buf text = LC_BUF_INIT;
    lc_span args = e->json_args;
    if (e->status == LC_CALL_REFUSED || (!args.ptr && !e->reducer)) {
        args = e->reducer_name.len ? LC_STR("[]") : LC_STR("");
    } else if (!args.ptr) {
        lc_json_write(e->reducer->params, e->reducer->typespace, e->args.ptr, LC_JSON_UNTYPED,
                      &text);
        args = lc_buf_span(&text);
    }
    lc_json_write_string(args, out);
    lc_buf_deinit(&text);
}

static void put_transaction(const lc_tx_event *e, const lc_live_item *items, uint32_t count,
                            lc_buf *out)
{
    bool is_refused = e->status == LC_CALL_REFUSED;
    lc_buf_put_str(out, "{\"TransactionUpdate\":{\"status\":");
    if (e->status == LC_CALL_COMMITTED) {
        lc_buf_put_str(out, "{\"Committed\":");
        put_database_update(items, count, out);
    } else if (e->status == LC_CALL_BUDGET) {
        lc_buf_put_str(out, "{\"OutOfEnergy\":[]");
    } else {
        lc_buf_put_str(out, "{\"Failed\":");
        lc_json_write_string(e->text, out);
    }
    lc_buf_printf(out,
                  "},\"timestamp\":{\"__timestamp_micros_since_unix_epoch__\":%lld},"
                  "\"caller_identity\":",
                  (long long)e->timestamp);
    put_identity(&e->caller, out);
    lc_buf_put_str(out, ",\"caller_connection_id\":");
    put_connection(&e->connection, out);
    lc_buf_put_str(out, ",\"reducer_call\":{\"reducer_name\":");
    lc_json_write_string(e->reducer_name, out);
    lc_buf_printf(out, ",\"reducer_id\":%u,\"args\":", e->reducer_id);
    put_args(e, out);
    lc_buf_printf(out,
                  ",\"request_id\":%u},\"energy_quanta_used\":{\"quanta\":0},"
                  "\"total_host_execution_duration\":",
                  is_refused ? 0 : e->request_id);
    put_duration(e->duration_micros, out);
    lc_buf_put_str(out, "}}");
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
    lc_buf_printf(out, "{\"TransactionUpdateLight\":{\"request_id\":%u,\"update\":", e->request_id);
    put_database_update(items, count, out);
    lc_buf_put_str(out, "}}");
    return NULL;
}

static void put_table_update(const lc_live_result *r, bool as_deletes, lc_buf *out)
{
    put_table_head(r->query, r->rows.count, out);
    lc_buf_put_str(out, as_deletes ? "{\"deletes\":" : "{\"deletes\":[],\"inserts\":");
    put_rowset(r->query->table, &r->rows, out);
    lc_buf_put_str(out, as_deletes ? ",\"inserts\":[]}]}" : "}]}");
}

static void put_results(const lc_live_results *results, bool as_deletes, lc_buf *out)
{
    lc_buf_put_str(out, "{\"tables\":[");
    for (uint32_t i = 0; i < results->count; i++) {
        if (i) lc_buf_put_u8(out, ',');
        put_table_update(&results->items[i], as_deletes, out);
    }
    lc_buf_put_str(out, "]}");
}

static void put_single(const lc_live_results *results, bool as_deletes, lc_buf *out)
{
    const lc_live_result *r = &results->items[0];
    lc_buf_printf(out, "{\"table_id\":%u,\"table_name\":", lc_table_id(r->query->table));
    lc_json_write_string(r->query->table_name, out);
    lc_buf_put_str(out, ",\"table_rows\":");
    put_table_update(r, as_deletes, out);
    lc_buf_put_str(out, "}");
}

static void put_applied(const char *name, lc_live_kind kind, uint32_t request_id, uint32_t id,
                        const lc_live_results *results, bool as_deletes, int64_t micros,
                        lc_buf *out)
{
    bool is_single = kind == LC_LIVE_SINGLE;
    lc_buf_printf(out,
                  "{\"%s\":{\"request_id\":%u,\"total_host_execution_duration_micros\":%lld,"
                  "\"query_id\":{\"id\":%u},\"%s\":",
                  name, request_id, (long long)micros, id, is_single ? "rows" : "update");
    if (is_single)
        put_single(results, as_deletes, out);
    else
        put_results(results, as_deletes, out);
    lc_buf_put_str(out, "}}");
}

static void subscribed(const lc_client *c, lc_live_kind kind, uint32_t request_id, uint32_t id,
                       const lc_live_results *results, int64_t duration_micros, lc_buf *out)
{
    (void)c;
    if (kind == LC_LIVE_LEGACY) {
        lc_buf_put_str(out, "{\"InitialSubscription\":{\"database_update\":");
        put_results(results, false, out);
        lc_buf_printf(out, ",\"request_id\":%u,\"total_host_execution_duration\":", request_id);
        put_duration(duration_micros, out);
        lc_buf_put_str(out, "}}");
        return;
    }
    put_applied(kind == LC_LIVE_SINGLE ? "SubscribeApplied" : "SubscribeMultiApplied", kind,
                request_id, id, results, false, duration_micros, out);
}

static void unsubscribed(const lc_client *c, lc_live_kind kind, uint32_t request_id, uint32_t id,
                         const lc_live_results *results, int64_t duration_micros, lc_buf *out)
{
    (void)c;
    put_applied(kind == LC_LIVE_SINGLE ? "UnsubscribeApplied" : "UnsubscribeMultiApplied", kind,
                request_id, id, results, true, duration_micros, out);
}

static void subscription_error(const lc_client *c, lc_live_kind kind, uint32_t request_id,
                               uint32_t id, lc_span text, int64_t duration_micros, lc_buf *out)
{
    (void)c;
    lc_buf_printf(out,
                  "{\"SubscriptionError\":{\"total_host_execution_duration_micros\":%lld,"
                  "\"request_id\":{\"some\":%u},\"query_id\":",
                  (long long)duration_micros, request_id);
    if (kind == LC_LIVE_LEGACY)
        lc_buf_put_str(out, "{\"none\":[]}");
    else
        lc_buf_printf(out, "{\"some\":%u}", id);
    lc_buf_put_str(out, ",\"table_id\":{\"none\":[]},\"error\":");
    lc_json_write_string(text, out);
    lc_buf_put_str(out, "}}");
}

static void put_hex(lc_span bytes, lc_buf *out)
{
    lc_buf_put_u8(out, '"');
    lc_hex_encode(bytes.ptr, bytes.len, (char *)lc_buf_extend(out, bytes.len * 2));
    lc_buf_put_u8(out, '"');
}

static void one_off(const lc_client *c, uint32_t request_id, lc_span message_id,
                    const lc_plan *plan, const lc_rowset *rows, lc_span error,
                    int64_t duration_micros, lc_buf *out)
{
    (void)c, (void)request_id;
    lc_buf_put_str(out, "{\"OneOffQueryResponse\":{\"message_id\":");
    put_hex(message_id, out);
    if (error.ptr) {
        lc_buf_put_str(out, ",\"error\":{\"some\":");
        lc_json_write_string(error, out);
        lc_buf_put_str(out, "},\"tables\":[]");
    } else {
        lc_table *table = lc_plan_table(plan);
        lc_buf_put_str(out, ",\"error\":{\"none\":[]},\"tables\":[{\"table_name\":");
        lc_json_write_string(lc_table_name(table), out);
        lc_buf_put_str(out, ",\"rows\":");
        put_rowset(table, rows, out);
        lc_buf_put_str(out, "}]");
    }
    lc_buf_put_str(out, ",\"total_host_execution_duration\":");
    put_duration(duration_micros, out);
    lc_buf_put_str(out, "}}");
}

static void procedure_failed(const lc_client *c, uint32_t request_id, lc_span text, lc_buf *out)
{
    (void)c;
    lc_buf_put_str(out, "{\"ProcedureResult\":{\"status\":{\"InternalError\":");
    lc_json_write_string(text, out);
    lc_buf_put_str(out, "},\"timestamp\":{\"__timestamp_micros_since_unix_epoch__\":0},"
                        "\"total_host_execution_duration\":");
    put_duration(0, out);
    lc_buf_printf(out, ",\"request_id\":%u}}", request_id);
}

const lc_protocol lc_protocol_v1_json = {
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
