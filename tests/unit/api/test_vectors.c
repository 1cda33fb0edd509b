/* The golden vectors of the WebSocket protocols (tests/vectors/ws.json): client messages are
 * decoded and compared with what they say, server messages are built from what they say and
 * compared byte for byte. */
#include "lc_test.h"

#include "api/protocol.h"
#include "json_tree.h"

typedef const json_node *node;

/* ------------------------------------------------------------------ the tree
 * Binary vectors are described as {"tag", "value"} with plain numbers; text vectors are the message
 * itself. The readers below take both. */

static node get(node n, const char *key)
{
    node found = json_tree_get(n, key);
    if (!found) fail_msg("no member %s", key);
    return found;
}

static node only_item(node n)
{
    assert_int_equal(n->count, 1);
    return n->items[0];
}

/* {"Name": payload} and {"tag": "Name", "value": payload} */
static lc_span variant(node n, node *payload)
{
    node tag = json_tree_get(n, "tag");
    *payload = tag ? json_tree_get(n, "value") : only_item(n);
    return tag ? tag->text : (*payload)->key;
}

/* NULL for none. */
static node option(node n)
{
    if (n->kind == LC_JSON_NULL) return NULL;
    if (json_tree_get(n, "none")) return NULL;
    node some = json_tree_get(n, "some");
    return some ? some : n;
}

static uint64_t number(node n)
{
    if (n->kind == LC_JSON_OBJECT_BEGIN) n = only_item(n);
    return strtoull((const char *)n->text.ptr, NULL, 10);
}

static uint32_t number32(node n, const char *key)
{
    return (uint32_t)number(get(n, key));
}

static lc_span unhex(lc_arena *a, lc_span text)
{
    uint8_t *bytes = lc_arena_alloc(a, text.len / 2 + 1);
    assert_true(lc_hex_decode(text, bytes));
    return LC_SPAN(bytes, text.len / 2);
}

static void read_json(const lc_type *type, lc_span json, lc_buf *out)
{
    lc_error err = LC_ERROR_INIT;
    assert_ok(lc_json_to_bsatn(type, NULL, json, out, &err), &err);
}

static lc_identity identity(node n)
{
    lc_identity id;
    lc_buf bytes = LC_BUF_INIT;
    if (n->kind == LC_JSON_STRING) {
        assert_int_equal(lc_identity_parse(n->text, &id, NULL), LC_OK);
        return id;
    }
    lc_buf_printf(&bytes, "\"" LC_SPAN_FMT "\"", LC_SPAN_ARG(only_item(n)->text));
    lc_buf value = LC_BUF_INIT;
    read_json(lc_type_scalar(LC_TYPE_U256), lc_buf_span(&bytes), &value);
    memcpy(&id, value.ptr, sizeof id);
    lc_buf_deinit(&value);
    lc_buf_deinit(&bytes);
    return id;
}

static lc_connection_id connection(node n)
{
    lc_connection_id id;
    if (n->kind == LC_JSON_STRING) {
        assert_int_equal(lc_connection_id_parse(n->text, &id, NULL), LC_OK);
        return id;
    }
    lc_buf value = LC_BUF_INIT;
    read_json(lc_type_scalar(LC_TYPE_U128), only_item(n)->text, &value);
    memcpy(&id, value.ptr, sizeof id);
    lc_buf_deinit(&value);
    return id;
}

/* ------------------------------------------------------------------- fixture */

typedef struct fixture {
    lc_arena arena;
    lc_store *store;
    lc_plan *plan; /* SELECT * FROM user */
    LC_VEC(lc_live_query *) queries;
    lc_client client;
    const lc_protocol *protocol;
    bool is_json;
    uint64_t serial;
} fixture;

static void create_table(fixture *f, const char *name, const char *second, lc_type_kind kind,
                         bool is_event)
{
    lc_type_member members[] = {
        {LC_STR("id"), lc_type_scalar(LC_TYPE_U32)},
        {lc_span_of_str(second), lc_type_scalar(kind)},
    };
    lc_column_def columns[2];
    for (int i = 0; i < 2; i++)
        columns[i] = (lc_column_def){
            .name = members[i].name, .source_name = members[i].name, .type = members[i].type};
    lc_table_def def = {
        .name = lc_span_of_str(name),
        .source_name = lc_span_of_str(name),
        .row_type = lc_type_new_product(&f->arena, members, 2),
        .columns = columns,
        .column_count = 2,
        .primary_key = -1,
        .is_public = true,
        .is_event = is_event,
    };
    lc_error err = LC_ERROR_INIT;
    assert_ok(lc_store_create_table(f->store, &def, NULL, &err), &err);
}

static void set_up(fixture *f)
{
    *f = (fixture){.store = lc_store_create()};
    lc_store_begin(f->store);
    create_table(f, "user", "name", LC_TYPE_STRING, false); /* 4096 and up, as in the vectors */
    create_table(f, "score", "points", LC_TYPE_U32, false);
    create_table(f, "damage", "points", LC_TYPE_U32, true);
    lc_store_commit(f->store);
    lc_store_release(f->store);
    lc_caller owner = {.is_owner = true};
    lc_error err = LC_ERROR_INIT;
    assert_ok(lc_plan_create(f->store, LC_STR("SELECT * FROM user"), LC_DIALECT_ONE_OFF, &owner,
                             &f->plan, &err),
              &err);
}

static void drop_queries(fixture *f)
{
    LC_VEC_EACH (q, &f->queries)
        for (int i = 0; i < LC_LIVE_PROTOCOLS; i++) lc_change_cache_drop((*q)->user[i]);
    f->queries.len = 0;
}

static void tear_down(fixture *f)
{
    lc_vec_deinit(&f->queries);
    lc_plan_destroy(f->plan);
    lc_store_destroy(f->store);
    lc_arena_deinit(&f->arena);
}

static lc_live_query *query_of(fixture *f, lc_span table)
{
    lc_live_query *q = lc_arena_alloc_zero(&f->arena, sizeof *q);
    q->table = lc_store_table_by_name(f->store, table);
    assert_non_null(q->table);
    q->table_name = lc_table_name(q->table);
    lc_vec_push(&f->queries, q);
    return q;
}

/* -------------------------------------------------------------------- rows */

typedef struct row_list {
    lc_span *rows;
    uint32_t count;
} row_list;

static row_list rows_of_texts(fixture *f, lc_table *table, node list)
{
    row_list l = {.rows = lc_arena_alloc(&f->arena, (list->count + 1) * sizeof *l.rows)};
    for (; l.count < list->count; l.count++) {
        lc_buf row = LC_BUF_INIT;
        read_json(lc_table_row_type(table), list->items[l.count]->text, &row);
        l.rows[l.count] = lc_arena_copy(&f->arena, lc_buf_span(&row));
        lc_buf_deinit(&row);
    }
    return l;
}

static row_list read_rows(fixture *f, lc_table *table, node list)
{
    if (list->kind == LC_JSON_ARRAY_BEGIN) return rows_of_texts(f, table, list);
    lc_span data = unhex(&f->arena, get(list, "rows_data")->text);
    node hint;
    bool is_fixed = lc_span_equal_str(variant(get(list, "size_hint"), &hint), "FixedSize");
    row_list l = {.count = (uint32_t)(is_fixed ? data.len / number(hint) : hint->count)};
    l.rows = lc_arena_alloc(&f->arena, (l.count + 1) * sizeof *l.rows);
    for (uint32_t i = 0; i < l.count; i++) {
        size_t start = is_fixed ? i * number(hint) : number(hint->items[i]);
        size_t end = is_fixed           ? start + number(hint)
                     : i + 1 == l.count ? data.len
                                        : number(hint->items[i + 1]);
        l.rows[i] = LC_SPAN(data.ptr + start, end - start);
    }
    return l;
}

static lc_rowset rowset_of(row_list l)
{
    lc_rowset rows = {0};
    for (uint32_t i = 0; i < l.count; i++) lc_rowset_add(&rows, l.rows[i]);
    return rows;
}

/* What is in "inserts", "deletes" and "events", as far as they are there. */
static lc_live_change change_of(fixture *f, lc_live_query *q, node rows)
{
    node events = json_tree_get(rows, "events");
    row_list inserts = read_rows(f, q->table, events ? events : get(rows, "inserts"));
    row_list deletes = events ? (row_list){0} : read_rows(f, q->table, get(rows, "deletes"));
    return (lc_live_change){
        .query = q,
        .inserts = inserts.rows,
        .insert_count = inserts.count,
        .deletes = deletes.rows,
        .delete_count = deletes.count,
        .serial = ++f->serial,
    };
}

typedef LC_VEC(lc_live_item) item_list;

static void add_item(fixture *f, item_list *items, uint32_t set_id, lc_span table, node rows)
{
    lc_live_change *change = lc_arena_alloc(&f->arena, sizeof *change);
    *change = change_of(f, query_of(f, table), rows);
    lc_vec_push(items, ((lc_live_item){set_id, change}));
}

static item_list items_of_sets(fixture *f, node sets)
{
    item_list items = {0};
    for (size_t s = 0; s < sets->count; s++) {
        node tables = get(sets->items[s], "tables");
        for (size_t t = 0; t < tables->count; t++) {
            node rows = get(tables->items[t], "rows");
            for (size_t r = 0; r < rows->count; r++) {
                node payload;
                variant(rows->items[r], &payload);
                add_item(f, &items, number32(sets->items[s], "query_set_id"),
                         get(tables->items[t], "table_name")->text, payload);
            }
        }
    }
    return items;
}

/* An element of v1's `updates`: in a variant but for text. NULL when it is compressed. */
static node query_update(fixture *f, node update)
{
    node payload;
    if (f->is_json) return update;
    return lc_span_equal_str(variant(update, &payload), "Uncompressed") ? payload : NULL;
}

static bool items_of_update(fixture *f, node update, item_list *items)
{
    node tables = get(update, "tables");
    for (size_t t = 0; t < tables->count; t++) {
        node updates = get(tables->items[t], "updates");
        for (size_t u = 0; u < updates->count; u++) {
            node rows = query_update(f, updates->items[u]);
            if (!rows) return false;
            add_item(f, items, 0, get(tables->items[t], "table_name")->text, rows);
        }
    }
    return true;
}

/* Results: v2's tables, or v1's table updates, which hold the rows as inserts or as deletes. */
static lc_live_results results_of(fixture *f, node tables)
{
    lc_live_results r = {.items = lc_arena_alloc(&f->arena, (tables->count + 1) * sizeof *r.items)};
    for (; r.count < tables->count; r.count++) {
        node t = tables->items[r.count];
        node name = json_tree_get(t, "table"), rows = json_tree_get(t, "rows");
        lc_live_query *q = query_of(f, name ? name->text : get(t, "table_name")->text);
        if (!rows) {
            node change = query_update(f, only_item(get(t, "updates")));
            rows = get(change, "inserts");
            if (read_rows(f, q->table, rows).count == 0) rows = get(change, "deletes");
        }
        r.items[r.count] =
            (lc_live_result){.query = q, .rows = rowset_of(read_rows(f, q->table, rows))};
    }
    return r;
}

static void free_results(lc_live_results *r)
{
    for (uint32_t i = 0; i < r->count; i++) lc_rowset_deinit(&r->items[i].rows);
}

/* ------------------------------------------------------- server messages, common
 * Each returns false when the message is one that the server has no occasion to send. */

static bool encode_connected(fixture *f, node v, lc_buf *out)
{
    f->client.identity = identity(get(v, "identity"));
    f->client.connection_id = connection(get(v, "connection_id"));
    f->client.token = lc_arena_cstr(&f->arena, get(v, "token")->text);
    f->protocol->connected(&f->client, out);
    return true;
}

/* Of TimeDuration members and of counts of microseconds. */
static int64_t duration(node v)
{
    node d = json_tree_get(v, "total_host_execution_duration");
    if (!d) d = json_tree_get(v, "total_host_execution_duration_micros");
    return d ? (int64_t)number(d) : 0;
}

static bool encode_results(fixture *f, node v, lc_live_kind kind, uint32_t id, node tables,
                           bool is_unsubscribe, lc_buf *out)
{
    lc_live_results r = {0};
    if (tables) r = results_of(f, tables);
    uint32_t request_id = number32(v, "request_id");
    if (is_unsubscribe)
        f->protocol->unsubscribed(&f->client, kind, request_id, id, tables ? &r : NULL, duration(v),
                                  out);
    else
        f->protocol->subscribed(&f->client, kind, request_id, id, &r, duration(v), out);
    free_results(&r);
    return true;
}

static bool encode_error(fixture *f, node v, const char *id_key, lc_live_kind kind, lc_buf *out)
{
    node request_id = option(get(v, "request_id")), id = option(get(v, id_key));
    if (!request_id) return false; /* no query fails after it has been applied */
    f->protocol->subscription_error(&f->client, kind, (uint32_t)number(request_id),
                                    (uint32_t)number(id), get(v, "error")->text, duration(v), out);
    return true;
}

static bool encode_one_off(fixture *f, uint32_t request_id, lc_span message_id, node error,
                           node tables, int64_t micros, lc_buf *out)
{
    lc_rowset rows = {0};
    if (!error) {
        node t = only_item(tables);
        rows = rowset_of(read_rows(f, lc_plan_table(f->plan), get(t, "rows")));
    }
    f->protocol->one_off(&f->client, request_id, message_id, f->plan, &rows,
                         error ? error->text : LC_SPAN_EMPTY, micros, out);
    lc_rowset_deinit(&rows);
    return true;
}

static bool encode_procedure(fixture *f, node v, lc_buf *out)
{
    node text;
    if (!lc_span_equal_str(variant(get(v, "status"), &text), "InternalError")) return false;
    f->protocol->procedure_failed(&f->client, number32(v, "request_id"), text->text, out);
    return true;
}

static void encode_update(fixture *f, const lc_tx_event *e, const item_list *items, lc_buf *out)
{
    lc_message *m = f->protocol->update(&f->client, e, items->items, (uint32_t)items->len, out);
    if (!m) return;
    lc_buf_put(out, m->bytes, m->len);
    lc_message_unref(m);
}

/* ------------------------------------------------------------------------ v2 */

static bool encode_reducer_result(fixture *f, node v, lc_buf *out)
{
    lc_tx_event e = {
        .status = LC_CALL_COMMITTED,
        .request_id = number32(v, "request_id"),
        .timestamp = (int64_t)number(get(v, "timestamp")),
    };
    node payload;
    item_list items = {0};
    lc_span outcome = variant(get(v, "result"), &payload);
    if (lc_span_equal_str(outcome, "Ok")) {
        items = items_of_sets(f, get(get(payload, "transaction_update"), "query_sets"));
    } else if (lc_span_equal_str(outcome, "Err")) {
        lc_reader r = lc_reader_of(unhex(&f->arena, payload->text), NULL);
        e.status = LC_CALL_USER_ERROR;
        e.text = lc_read_string(&r);
    } else if (lc_span_equal_str(outcome, "InternalError")) {
        e.status = LC_CALL_REFUSED;
        e.text = payload->text;
    } else {
        return false; /* OkEmpty is legal, but Ok serves clients better */
    }
    assert_true(f->protocol->call_result(&f->client, &e, items.items, (uint32_t)items.len, out));
    lc_vec_deinit(&items);
    return true;
}

static bool encode_v2(fixture *f, lc_span tag, node v, lc_buf *out)
{
    if (lc_span_equal_str(tag, "InitialConnection")) return encode_connected(f, v, out);
    if (lc_span_equal_str(tag, "SubscribeApplied"))
        return encode_results(f, v, LC_LIVE_SET, number32(v, "query_set_id"),
                              get(get(v, "rows"), "tables"), false, out);
    if (lc_span_equal_str(tag, "UnsubscribeApplied")) {
        node rows = option(get(v, "rows"));
        return encode_results(f, v, LC_LIVE_SET, number32(v, "query_set_id"),
                              rows ? get(rows, "tables") : NULL, true, out);
    }
    if (lc_span_equal_str(tag, "SubscriptionError"))
        return encode_error(f, v, "query_set_id", LC_LIVE_SET, out);
    if (lc_span_equal_str(tag, "TransactionUpdate")) {
        lc_tx_event e = {.status = LC_CALL_COMMITTED};
        item_list items = items_of_sets(f, get(v, "query_sets"));
        encode_update(f, &e, &items, out);
        lc_vec_deinit(&items);
        return true;
    }
    if (lc_span_equal_str(tag, "OneOffQueryResult")) {
        node result = get(v, "result"), ok = json_tree_get(result, "ok");
        return encode_one_off(f, number32(v, "request_id"), LC_SPAN_EMPTY,
                              ok ? NULL : get(result, "err"), ok ? get(ok, "tables") : NULL, 0,
                              out);
    }
    if (lc_span_equal_str(tag, "ReducerResult")) return encode_reducer_result(f, v, out);
    if (lc_span_equal_str(tag, "ProcedureResult")) return encode_procedure(f, v, out);
    fail_msg("unknown message " LC_SPAN_FMT, LC_SPAN_ARG(tag));
    return false;
}

/* ------------------------------------------------------------------------ v1 */

static lc_span args_of(fixture *f, node call)
{
    lc_span text = get(call, "args")->text;
    return f->is_json ? text : unhex(&f->arena, text);
}

static bool encode_transaction(fixture *f, node v, lc_buf *out)
{
    node call = get(v, "reducer_call"), payload;
    lc_span status = variant(get(v, "status"), &payload);
    bool is_known = number(get(call, "reducer_id")) != UINT32_MAX;
    lc_tx_event e = {
        .reducer_name = get(call, "reducer_name")->text,
        .reducer_id = number32(call, "reducer_id"),
        .caller = identity(get(v, "caller_identity")),
        .connection = connection(get(v, "caller_connection_id")),
        .request_id = number32(call, "request_id"),
        .timestamp = (int64_t)number(get(v, "timestamp")),
        .duration_micros = duration(v),
    };
    if (f->is_json)
        e.json_args = args_of(f, call);
    else
        e.args = args_of(f, call);
    item_list items = {0};
    if (lc_span_equal_str(status, "Committed")) {
        e.status = LC_CALL_COMMITTED;
        assert_true(items_of_update(f, payload, &items));
    } else if (lc_span_equal_str(status, "Failed")) {
        e.status = is_known ? LC_CALL_USER_ERROR : LC_CALL_REFUSED;
        e.text = payload->text;
    } else {
        e.status = LC_CALL_BUDGET;
    }
    assert_true(f->protocol->call_result(&f->client, &e, items.items, (uint32_t)items.len, out));
    lc_vec_deinit(&items);
    return true;
}

static bool encode_light(fixture *f, node v, lc_buf *out)
{
    lc_tx_event e = {
        .status = LC_CALL_COMMITTED,
        .request_id = number32(v, "request_id"),
        .schema_version = 10,
    };
    item_list items = {0};
    bool is_sent = items_of_update(f, get(v, "update"), &items); /* never compressed inside */
    if (is_sent) encode_update(f, &e, &items, out);
    lc_vec_deinit(&items);
    return is_sent;
}

/* The one table of SubscribeApplied as a list of one. */
static node single_table(fixture *f, node v)
{
    json_node *list = lc_arena_alloc_zero(&f->arena, sizeof *list);
    list->kind = LC_JSON_ARRAY_BEGIN;
    list->count = 1;
    list->items = lc_arena_alloc(&f->arena, sizeof *list->items);
    list->items[0] = json_tree_get(get(v, "rows"), "table_rows");
    return list;
}

static bool encode_v1(fixture *f, lc_span tag, node v, lc_buf *out)
{
    static const struct {
        const char *tag;
        lc_live_kind kind;
        bool is_unsubscribe;
    } applied[] = {
        {"SubscribeApplied", LC_LIVE_SINGLE, false},
        {"UnsubscribeApplied", LC_LIVE_SINGLE, true},
        {"SubscribeMultiApplied", LC_LIVE_MULTI, false},
        {"UnsubscribeMultiApplied", LC_LIVE_MULTI, true},
    };
    for (size_t i = 0; i < LC_ARRAY_LEN(applied); i++) {
        if (!lc_span_equal_str(tag, applied[i].tag)) continue;
        node tables = applied[i].kind == LC_LIVE_SINGLE ? single_table(f, v)
                                                        : get(get(v, "update"), "tables");
        return encode_results(f, v, applied[i].kind, number32(v, "query_id"), tables,
                              applied[i].is_unsubscribe, out);
    }
    if (lc_span_equal_str(tag, "InitialSubscription"))
        return encode_results(f, v, LC_LIVE_LEGACY, 0, get(get(v, "database_update"), "tables"),
                              false, out);
    if (lc_span_equal_str(tag, "IdentityToken")) return encode_connected(f, v, out);
    if (lc_span_equal_str(tag, "TransactionUpdate")) return encode_transaction(f, v, out);
    if (lc_span_equal_str(tag, "TransactionUpdateLight")) return encode_light(f, v, out);
    if (lc_span_equal_str(tag, "SubscriptionError"))
        return encode_error(f, v, "query_id", LC_LIVE_MULTI, out);
    if (lc_span_equal_str(tag, "OneOffQueryResponse"))
        return encode_one_off(f, 0, unhex(&f->arena, get(v, "message_id")->text),
                              option(get(v, "error")), get(v, "tables"), duration(v), out);
    if (lc_span_equal_str(tag, "ProcedureResult")) return encode_procedure(f, v, out);
    fail_msg("unknown message " LC_SPAN_FMT, LC_SPAN_ARG(tag));
    return false;
}

static bool encode(fixture *f, node message, lc_buf *out)
{
    node value;
    lc_span tag = variant(message, &value);
    return f->protocol->is_v1 ? encode_v1(f, tag, value, out) : encode_v2(f, tag, value, out);
}

/* ------------------------------------------------------------ client messages */

static void expect_texts(const lc_request *q, node list)
{
    assert_int_equal(q->text_count, list->count);
    for (uint32_t i = 0; i < q->text_count; i++)
        assert_span_equal(q->texts[i], list->items[i]->text);
}

static void expect_call(fixture *f, const lc_request *q, node v, const char *name_key)
{
    assert_int_equal(q->kind, name_key[0] == 'r' ? LC_REQUEST_CALL : LC_REQUEST_PROCEDURE);
    assert_span_equal(q->name, get(v, name_key)->text);
    assert_span_equal(q->args, args_of(f, v));
    assert_int_equal(q->args_are_json, f->is_json);
    assert_int_equal(q->flags, number(get(v, "flags")));
}

static void expect_subscribe(const lc_request *q, node v, lc_live_kind kind)
{
    assert_int_equal(q->kind, LC_REQUEST_SUBSCRIBE);
    assert_int_equal(q->live_kind, kind);
    if (kind == LC_LIVE_SINGLE) {
        assert_int_equal(q->text_count, 1);
        assert_span_equal(q->texts[0], get(v, "query")->text);
    } else {
        expect_texts(q, get(v, "query_strings"));
    }
}

static void expect_unsubscribe(const lc_request *q, node v, lc_live_kind kind)
{
    assert_int_equal(q->kind, LC_REQUEST_UNSUBSCRIBE);
    assert_int_equal(q->live_kind, kind);
    node flags = json_tree_get(v, "flags"), nothing;
    if (flags)
        assert_int_equal(q->flags, lc_span_equal_str(variant(flags, &nothing), "SendDroppedRows"));
}

static void expect_one_off(fixture *f, const lc_request *q, node v)
{
    assert_int_equal(q->kind, LC_REQUEST_ONE_OFF);
    assert_span_equal(q->name, get(v, "query_string")->text);
    assert_false(q->args_are_json);
    node message_id = json_tree_get(v, "message_id");
    if (message_id) assert_span_equal(q->args, unhex(&f->arena, message_id->text));
}

static void expect_request(fixture *f, const lc_request *q, node message)
{
    node v;
    lc_span tag = variant(message, &v);
    lc_live_kind many = f->protocol->is_v1 ? LC_LIVE_MULTI : LC_LIVE_SET;
    if (lc_span_equal_str(tag, "CallReducer"))
        expect_call(f, q, v, "reducer");
    else if (lc_span_equal_str(tag, "CallProcedure"))
        expect_call(f, q, v, "procedure");
    else if (lc_span_equal_str(tag, "Subscribe"))
        expect_subscribe(q, v, f->protocol->is_v1 ? LC_LIVE_LEGACY : LC_LIVE_SET);
    else if (lc_span_equal_str(tag, "SubscribeSingle"))
        expect_subscribe(q, v, LC_LIVE_SINGLE);
    else if (lc_span_equal_str(tag, "SubscribeMulti"))
        expect_subscribe(q, v, LC_LIVE_MULTI);
    else if (lc_span_equal_str(tag, "Unsubscribe"))
        expect_unsubscribe(q, v, f->protocol->is_v1 ? LC_LIVE_SINGLE : LC_LIVE_SET);
    else if (lc_span_equal_str(tag, "UnsubscribeMulti"))
        expect_unsubscribe(q, v, many);
    else if (lc_span_equal_str(tag, "OneOffQuery"))
        expect_one_off(f, q, v);
    else
        fail_msg("unknown message " LC_SPAN_FMT, LC_SPAN_ARG(tag));
    assert_ptr_equal(q->client, &f->client);
    node request_id = json_tree_get(v, "request_id"), id = json_tree_get(v, "query_id");
    if (!id) id = json_tree_get(v, "query_set_id");
    if (request_id) assert_int_equal(q->request_id, number(request_id));
    if (id) assert_int_equal(q->id, number(id));
}

/* -------------------------------------------------------------------- vectors */

/* The messages of a vector: v3 lists them, text holds one. */
static json_node **messages_of(fixture *f, node vector, size_t *count)
{
    json_node *message = json_tree_get(vector, "message");
    *count = 1;
    if (f->is_json) message = json_tree_parse(&f->arena, message->text);
    if (message->kind == LC_JSON_ARRAY_BEGIN) {
        *count = message->count;
        return message->items;
    }
    json_node **one = lc_arena_alloc(&f->arena, sizeof *one);
    *one = message;
    return one;
}

static lc_status decode(fixture *f, bool is_v3, lc_span frame, lc_request_batch *b, lc_error *err)
{
    if (f->is_json) return lc_ws_decode_v1_json(b, &f->client, frame, err);
    if (f->protocol->is_v1) return lc_ws_decode_v1(b, &f->client, frame, err);
    return is_v3 ? lc_ws_decode_v3(b, &f->client, frame, err)
                 : lc_ws_decode_v2(b, &f->client, frame, err);
}

static void check_client_message(fixture *f, node vector, bool is_v3)
{
    lc_span frame = unhex(&f->arena, get(vector, "frame_hex")->text);
    lc_request_batch *b = lc_request_batch_create();
    lc_error err = LC_ERROR_INIT;
    assert_ok(decode(f, is_v3, frame, b, &err), &err);
    size_t count;
    json_node **messages = messages_of(f, vector, &count);
    assert_int_equal(b->count, count);
    const lc_request *q = b->first;
    for (size_t i = 0; i < count; i++, q = q->next) expect_request(f, q, messages[i]);
    /* One byte less is an error and leaves only what stands before it. */
    uint32_t before = b->count;
    assert_int_not_equal(decode(f, is_v3, LC_SPAN(frame.ptr, frame.len - 1), b, &err), LC_OK);
    assert_int_equal(b->count, before + count - 1);
    lc_error_clear(&err);
    lc_arena_deinit(&b->arena);
    lc_free(b);
}

/* The server bills no energy: zeros stand where the vector has a number. */
static void blank_energy(fixture *f, json_node *const *messages, lc_buf *want)
{
    node v;
    if (!lc_span_equal_str(variant(messages[0], &v), "TransactionUpdate") || !f->protocol->is_v1)
        return;
    if (!f->is_json) {
        memset(want->ptr + want->len - 24, 0, 16);
        return;
    }
    static const char key[] = "\"quanta\":";
    uint8_t *at = memmem(want->ptr, want->len, key, sizeof key - 1);
    assert_non_null(at);
    at += sizeof key - 1;
    uint8_t *end = at;
    while (*end >= '0' && *end <= '9') end++;
    *at++ = '0';
    memmove(at, end, (size_t)(want->ptr + want->len - end));
    want->len -= (size_t)(end - at);
}

/* False when the server has no occasion to send it. */
static bool check_server_message(fixture *f, node vector)
{
    size_t count;
    json_node **messages = messages_of(f, vector, &count);
    lc_buf out = LC_BUF_INIT, want = LC_BUF_INIT;
    bool is_sent = true;
    for (size_t i = 0; i < count && is_sent; i++) is_sent = encode(f, messages[i], &out);
    drop_queries(f);
    node body = get(vector, f->is_json ? "frame_hex" : "body_hex");
    lc_buf_put_span(&want, unhex(&f->arena, body->text));
    if (is_sent) {
        blank_energy(f, messages, &want);
        if (f->is_json) {
            assert_span_equal(lc_buf_span(&out), lc_buf_span(&want));
        } else {
            assert_int_equal(out.len, want.len);
            assert_memory_equal(out.ptr, want.ptr, want.len);
        }
    }
    lc_buf_deinit(&out);
    lc_buf_deinit(&want);
    return is_sent;
}

LC_TEST(golden_vectors)
{
    static const struct {
        const char *name;
        const lc_protocol *protocol;
    } protocols[] = {{"v1.json.spacetimedb", &lc_protocol_v1_json},
                     {"v1.bsatn.spacetimedb", &lc_protocol_v1},
                     {"v2.bsatn.spacetimedb", &lc_protocol_v2},
                     {"v3.bsatn.spacetimedb", &lc_protocol_v2}};
    fixture f;
    set_up(&f);
    node vectors = get(json_tree_load(&f.arena, "tests/vectors/ws.json"), "vectors");
    uint32_t exact = 0, unsent = 0;
    for (size_t i = 0; i < vectors->count; i++) {
        node v = vectors->items[i];
        lc_span name = get(v, "protocol")->text;
        size_t p = 0;
        while (p < 3 && !lc_span_equal_str(name, protocols[p].name)) p++;
        f.protocol = protocols[p].protocol;
        f.is_json = p == 0;
        print_message(LC_SPAN_FMT "\n", LC_SPAN_ARG(get(v, "id")->text));
        bool is_checked = true;
        if (json_tree_is(get(v, "direction"), "client_to_server"))
            check_client_message(&f, v, p == 3);
        else
            is_checked = check_server_message(&f, v);
        exact += is_checked;
        unsent += !is_checked;
    }
    tear_down(&f);
    print_message("%u exact, %u that the server never sends\n", exact, unsent);
    assert_int_equal(exact + unsent, 93);
    /* Errors after a query was applied, OkEmpty, compression inside, results of procedures. */
    assert_int_equal(unsent, 8);
}

int main(void)
{
    return LC_TEST_RUN(cmocka_unit_test(golden_vectors));
}
