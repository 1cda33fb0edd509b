/*
 * Databases as things: information, names, schema, lock, delete, publish, reset.
 */
#include "api/routes.h"

#include <stdio.h>

/* ----------------------------------------------------------------- information */

static void put_identity(const char *key, const lc_identity *id, lc_buf *out)
{
    lc_buf_printf(out, "\"%s\":{\"__identity__\":\"", key);
    lc_u256_to_hex(id->bytes, false, out);
    lc_buf_put_str(out, "\"},");
}

void lc_route_info(lc_exchange *x)
{
    lc_database_record r;
    if (!lc_exchange_database(x, &x->database)) return;
    if (lc_node_record(x->api->node, &x->database, &r) != LC_OK) {
        lc_exchange_text(x, 404, "No such database.");
        return;
    }
    lc_buf_put_u8(&x->body, '{');
    put_identity("database_identity", &r.identity, &x->body);
    put_identity("owner_identity", &r.owner, &x->body);
    lc_buf_printf(&x->body, "\"host_type\":{\"%s\":[]},\"initial_program\":\"",
                  r.host_type == 0 ? "Wasm" : "Js");
    lc_u256_to_hex(r.initial_program, false, &x->body);
    lc_buf_put_str(&x->body, "\"}");
    lc_exchange_json(x, 200);
}

void lc_route_database_identity(lc_exchange *x)
{
    if (!lc_exchange_database(x, &x->database)) return;
    char hex[LC_IDENTITY_HEX + 1];
    lc_identity_to_hex(&x->database, hex);
    lc_exchange_text(x, 200, "%s", hex);
}

void lc_route_timestamp(lc_exchange *x)
{
    lc_buf_printf(&x->body, "{\"__timestamp_micros_since_unix_epoch__\":%lld}",
                  (long long)lc_clock_now(lc_clock_system()));
    lc_exchange_json(x, 200);
}

void lc_route_schema(lc_exchange *x)
{
    static const char *const versions[] = {"9", "10", NULL};
    uint32_t version = UINT32_MAX;
    if (!lc_exchange_query_enum(x, "version", versions, &version)) return;
    if (version == UINT32_MAX) {
        lc_exchange_bad_query(x, "missing field `version`");
        return;
    }
    lc_database *db;
    if (!lc_exchange_open(x, &db)) return;
    lc_schema *schema = lc_database_schema(db);
    lc_schema_to_json(schema, version == 0 ? 9 : 10, &x->body);
    lc_schema_unref(schema);
    lc_database_unref(db);
    lc_exchange_json(x, 200);
}

/* ----------------------------------------------------------------------- names */

void lc_route_names_get(lc_exchange *x)
{
    lc_buf_put_str(&x->body, "{\"names\":");
    lc_node_names_json(x->api->node, &x->database, &x->body);
    lc_buf_put_u8(&x->body, '}');
    lc_exchange_json(x, 200);
}

static void permission_denied(lc_exchange *x, const char *key, lc_span name)
{
    lc_buf_reset(&x->body);
    lc_buf_printf(&x->body, "{\"PermissionDenied\":{\"%s\":", key);
    lc_json_write_string(name, &x->body);
    lc_buf_put_str(&x->body, "}}");
    lc_exchange_json(x, 401);
}

void lc_route_names_post(lc_exchange *x)
{
    lc_span name = lc_http_body(x->request);
    if (!lc_utf8_valid(name)) {
        lc_exchange_bad_utf8(x, name);
        return;
    }
    lc_error err = LC_ERROR_INIT;
    lc_status rc = lc_node_add_name(x->api->node, &x->caller.identity, &x->database, name, &err);
    if (rc == LC_OK) {
        char hex[LC_IDENTITY_HEX + 1];
        lc_identity_to_hex(&x->database, hex);
        lc_buf_put_str(&x->body, "{\"Success\":{\"domain\":");
        lc_json_write_string(name, &x->body);
        lc_buf_printf(&x->body, ",\"database_identity\":\"%s\"}}", hex);
        lc_exchange_json(x, 200);
    } else if (rc == LC_E_DENIED) {
        permission_denied(x, "domain", name);
    } else {
        lc_exchange_text(x, rc == LC_E_INVALID ? 400 : 500, "%s", lc_error_text(&err));
    }
    lc_error_clear(&err);
}

/* What stands where a list or one of its texts should, in the words of the reference's JSON reader.
 */
static void fail_type(lc_json *j, lc_json_token t, bool is_list, uint32_t index)
{
    char *what = NULL;
    switch (t) {
    case LC_JSON_OBJECT_BEGIN:
        what = lc_strdup("map");
        break;
    case LC_JSON_ARRAY_BEGIN:
        what = lc_strdup("sequence");
        break;
    case LC_JSON_NUMBER:
        what = lc_format("integer `" LC_SPAN_FMT "`", LC_SPAN_ARG(j->text));
        break;
    case LC_JSON_STRING:
        what = lc_format("string \"" LC_SPAN_FMT "\"", LC_SPAN_ARG(j->text));
        break;
    case LC_JSON_TRUE:
        what = lc_strdup("boolean `true`");
        break;
    case LC_JSON_FALSE:
        what = lc_strdup("boolean `false`");
        break;
    default:
        what = lc_strdup("null");
        break;
    }
    /* That reader complains of a bracket before it takes it. */
    if (t == LC_JSON_OBJECT_BEGIN || t == LC_JSON_ARRAY_BEGIN) j->at--;
    if (is_list)
        lc_json_fail(j, "[%u]: invalid type: %s, expected a string", index, what);
    else
        lc_json_fail(j, "invalid type: %s, expected a sequence", what);
    lc_free(what);
}

/* The body of PUT names: a JSON array of strings. False: answered. */
static bool read_names(lc_exchange *x, lc_span **names, uint32_t *count)
{
    lc_span type = lc_http_header_get(x->request, "content-type");
    const uint8_t *semicolon = type.ptr ? memchr(type.ptr, ';', type.len) : NULL;
    lc_span media = semicolon ? LC_SPAN(type.ptr, (size_t)(semicolon - type.ptr)) : type;
    while (media.len && media.ptr[media.len - 1] == ' ') media.len--;
    bool is_json = lc_span_equal_str(media, "application/json") ||
                   (media.len > 17 && memcmp(media.ptr, "application/", 12) == 0 &&
                    memcmp(media.ptr + media.len - 5, "+json", 5) == 0);
    if (!is_json) {
        lc_exchange_text(x, 415, "Expected request with `Content-Type: application/json`");
        return false;
    }
    lc_error err = LC_ERROR_INIT;
    lc_json j;
    size_t cap = 0;
    *names = NULL;
    *count = 0;
    lc_json_init(&j, lc_http_body(x->request), &err);
    lc_json_token t = lc_json_next(&j);
    bool is_list = t == LC_JSON_ARRAY_BEGIN;
    while (is_list && (t = lc_json_next(&j)) == LC_JSON_STRING) {
        *names = lc_arena_grow(x->arena, *names, *count, &cap, sizeof **names);
        (*names)[(*count)++] = lc_arena_copy(x->arena, j.text);
    }
    bool is_done = is_list && t == LC_JSON_ARRAY_END;
    if (!is_done && err.code != LC_OK) {
        lc_exchange_text(x, 400, "Failed to parse the request body as JSON: %s",
                         lc_error_text(&err));
    } else if (!is_done) {
        fail_type(&j, t, is_list, *count);
        lc_exchange_text(x, 422, "Failed to deserialize the JSON body into the target type: %s",
                         lc_error_text(&err));
    }
    lc_json_deinit(&j);
    lc_error_clear(&err);
    return is_done;
}

void lc_route_names_put(lc_exchange *x)
{
    lc_span *names;
    uint32_t count;
    if (!read_names(x, &names, &count)) return;
    lc_error err = LC_ERROR_INIT;
    int32_t which = -1;
    lc_status rc = lc_node_set_names(x->api->node, &x->caller.identity, &x->database, names, count,
                                     &which, &err);
    switch (rc) {
    case LC_OK:
        lc_buf_put_str(&x->body, "\"Success\"");
        lc_exchange_json(x, 200);
        break;
    case LC_E_DENIED:
        if (which != -1) { /* the text is the name that is another's */
            permission_denied(x, "domain", lc_span_of_str(lc_error_text(&err)));
        } else {
            char hex[LC_IDENTITY_HEX + 1];
            lc_identity_to_hex(&x->database, hex);
            lc_buf_printf(&x->body, "{\"NotYourDatabase\":{\"database\":\"%s\"}}", hex);
            lc_exchange_json(x, 401);
        }
        break;
    case LC_E_EXISTS:
        lc_buf_put_str(&x->body, "{\"OtherError\":");
        lc_json_write_string(lc_span_of_str(lc_error_text(&err)), &x->body);
        lc_buf_put_u8(&x->body, '}');
        lc_exchange_json(x, 400);
        break;
    default:
        lc_exchange_text(x, rc == LC_E_INVALID ? 400 : 500, "%s", lc_error_text(&err));
    }
    lc_error_clear(&err);
}

/* --------------------------------------------------------------- lock, delete */

static void set_locked(lc_exchange *x, bool locked)
{
    lc_database_record r;
    if (!lc_exchange_owner(x, &x->database, "delete database", &r)) return;
    lc_error err = LC_ERROR_INIT;
    if (lc_node_set_locked(x->api->node, &x->database, locked, &err) == LC_OK)
        x->status = 200;
    else
        lc_exchange_text(x, 500, "%s", lc_error_text(&err));
    lc_error_clear(&err);
}

void lc_route_lock(lc_exchange *x)
{
    set_locked(x, true);
}

void lc_route_unlock(lc_exchange *x)
{
    set_locked(x, false);
}

/* Not the reference's: closes the database and opens it again, so that one which could only be read
 * is tried for writing. */
void lc_route_restart(lc_exchange *x)
{
    lc_database_record r;
    if (!lc_exchange_owner(x, &x->database, "restart database", &r)) return;
    lc_error err = LC_ERROR_INIT;
    lc_status rc = lc_node_restart(x->api->node, &x->caller.identity, &x->database, &err);
    if (rc == LC_OK)
        x->status = 200;
    else
        lc_exchange_text(x, rc == LC_E_READ_ONLY ? 503 : 500, "%s", lc_error_text(&err));
    lc_error_clear(&err);
}

void lc_route_delete(lc_exchange *x)
{
    lc_database_record r;
    if (!lc_exchange_database(x, &x->database)) return;
    x->status = 200;
    if (lc_node_record(x->api->node, &x->database, &r) != LC_OK) return;
    if (!lc_exchange_owner(x, &x->database, "delete database", &r)) return;
    if (r.is_locked) {
        lc_exchange_text(x, 403,
                         "Database is locked and cannot be deleted. Run `spacetime unlock` first.");
        return;
    }
    lc_error err = LC_ERROR_INIT;
    if (lc_node_delete(x->api->node, &x->caller.identity, &x->database, &err) != LC_OK)
        lc_exchange_text(x, 500, "%s", lc_error_text(&err));
    lc_error_clear(&err);
}

/* --------------------------------------------------------------------- publish */

enum { COMPATIBLE, BREAK_CLIENTS };

typedef struct publish_query {
    bool clear;
    uint32_t host_type;
    uint32_t policy;
    bool has_token;
    lc_span parent, organization;
} publish_query;

static bool is_u256_hex(lc_span text)
{
    if (text.len < 3 || text.len > 66 || memcmp(text.ptr, "0x", 2) != 0) return false;
    for (size_t i = 2; i < text.len; i++) {
        uint8_t c = text.ptr[i] | 0x20;
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return false;
    }
    return true;
}

static bool check_replicas(lc_exchange *x, bool is_given, uint64_t count)
{
    if (!is_given || count <= UINT8_MAX) return true;
    lc_exchange_text(x, 400, "Replication factor %llu out of bounds", (unsigned long long)count);
    return false;
}

/* A database name or an identity. */
static bool read_relation(lc_exchange *x, const char *key, lc_span *name)
{
    lc_identity id;
    lc_error err = LC_ERROR_INIT;
    if (!lc_exchange_query_text(x, key, name)) return false;
    if (!name->ptr || lc_identity_in_path(*name, &id)) return true;
    bool is_name = lc_database_name_check(*name, &err) == LC_OK;
    if (!is_name) lc_exchange_bad_query(x, "%s", lc_error_text(&err));
    lc_error_clear(&err);
    return is_name;
}

/* `update_confirmation_timeout` is checked and has no further effect: an update is answered when it
 * is durable, or when its journal has failed. */
static bool check_timeout(lc_exchange *x)
{
    lc_span text = LC_SPAN_EMPTY;
    if (!lc_exchange_query_text(x, "update_confirmation_timeout", &text)) return false;
    if (!text.ptr) return true;
    size_t digits = 0;
    while (digits < text.len && text.ptr[digits] >= '0' && text.ptr[digits] <= '9') digits++;
    if (text.len == 0)
        lc_exchange_bad_query(x, "value was empty");
    else if (digits == 0)
        lc_exchange_bad_query(x, "expected number at 0");
    else if (digits == text.len)
        lc_exchange_bad_query(
            x, "time unit needed, for example " LC_SPAN_FMT "sec or " LC_SPAN_FMT "ms",
            LC_SPAN_ARG(text), LC_SPAN_ARG(text));
    else
        return true;
    return false;
}

static bool read_publish_query(lc_exchange *x, publish_query *q)
{
    static const char *const host_types[] = {"Wasm", "Js", NULL};
    static const char *const policies[] = {"Compatible", "BreakClients", NULL};
    uint64_t replicas = 0;
    bool has_replicas;
    lc_span token = LC_SPAN_EMPTY;
    *q = (publish_query){0};
    if (!lc_exchange_query_bool(x, "clear", &q->clear) ||
        !lc_exchange_query_u64(x, "num_replicas", SIZE_MAX, &replicas, &has_replicas) ||
        !lc_exchange_query_text(x, "token", &token) ||
        !lc_exchange_query_enum(x, "policy", policies, &q->policy) ||
        !lc_exchange_query_enum(x, "host_type", host_types, &q->host_type) ||
        !read_relation(x, "parent", &q->parent) ||
        !read_relation(x, "organization", &q->organization) || !check_timeout(x))
        return false;
    q->has_token = token.ptr && is_u256_hex(token);
    return check_replicas(x, has_replicas, replicas);
}

/* `parent` and `organization` must exist and are otherwise ignored (04 section 4.9). */
static bool check_relation(lc_exchange *x, lc_span name)
{
    lc_identity id;
    if (!name.ptr || lc_identity_in_path(name, &id)) return true;
    if (lc_node_resolve(x->api->node, name, &id) == LC_OK) return true;
    lc_exchange_text(x, 404, "`" LC_SPAN_FMT "` not found", LC_SPAN_ARG(name));
    return false;
}

static void answer_published(lc_exchange *x, const lc_publish *p, const lc_published *done)
{
    char hex[LC_IDENTITY_HEX + 1];
    lc_identity_to_hex(&done->identity, hex);
    lc_buf_put_str(&x->body, "{\"Success\":{\"domain\":");
    if (p->name.ptr)
        lc_json_write_string(p->name, &x->body);
    else
        lc_buf_put_str(&x->body, "null");
    lc_buf_printf(&x->body, ",\"database_identity\":\"%s\",\"op\":\"%s\"}}", hex,
                  done->is_new ? "created" : "updated");
    lc_exchange_json(x, 200);
}

static void publish(lc_exchange *x, const lc_publish *p)
{
    lc_error err = LC_ERROR_INIT;
    lc_published done;
    bool name_denied = false;
    lc_status rc = lc_node_publish(x->api->node, p, &done, &name_denied, &err);
    if (rc == LC_OK)
        answer_published(x, p, &done);
    else if (rc == LC_E_DENIED && name_denied)
        permission_denied(x, "name", p->name);
    else if (rc == LC_E_DENIED)
        lc_exchange_text(x, 403, "%s", lc_error_text(&err));
    else
        lc_exchange_text(x,
                         rc == LC_E_UNSUPPORTED ? 400
                         : rc == LC_E_READ_ONLY ? 503
                                                : 500,
                         "%s", lc_error_text(&err));
    lc_error_clear(&err);
}

/* The existing database behind the URL, if there is one, is the caller's to update. */
static bool may_publish(lc_exchange *x, const lc_publish *p, const publish_query *q)
{
    lc_identity id;
    lc_database_record r;
    bool is_known = p->identity
                        ? (id = *p->identity, true)
                        : p->name.ptr && lc_node_resolve(x->api->node, p->name, &id) == LC_OK;
    bool exists = is_known && lc_node_record(x->api->node, &id, &r) == LC_OK;
    if (exists && q->clear && q->parent.ptr) {
        lc_exchange_text(x, 400, "Setting the parent of an existing database is not supported");
        return false;
    }
    if (!check_relation(x, q->parent) || !check_relation(x, q->organization)) return false;
    const char *action = q->clear ? "reset database" : "update database";
    if (exists && !lc_exchange_owner(x, &id, action, &r)) return false;
    if (exists && q->clear && r.is_locked) {
        lc_exchange_text(x, 403,
                         "Database is locked and cannot be reset with --delete-data. Run "
                         "`spacetime unlock` first.");
        return false;
    }
    bool is_reset = exists && q->clear;
    if (!is_reset && q->policy == BREAK_CLIENTS && !q->has_token) {
        lc_exchange_text(x, 400,
                         "Migration policy is set to `BreakClients`, but no migration token was "
                         "provided.");
        return false;
    }
    return true;
}

void lc_route_publish(lc_exchange *x)
{
    publish_query q;
    lc_identity id;
    lc_publish p = {.caller = &x->caller.identity, .program = lc_http_body(x->request)};
    if (lc_identity_in_path(x->segments[0], &id)) {
        p.identity = &id;
    } else {
        lc_error err = LC_ERROR_INIT;
        if (lc_database_name_check(x->segments[0], &err) != LC_OK) {
            lc_exchange_text(x, 400, "Invalid URL: %s", lc_error_text(&err));
            lc_error_clear(&err);
            return;
        }
        p.name = x->segments[0];
    }
    if (!read_publish_query(x, &q)) return;
    p.clear = q.clear;
    p.host_type = (uint8_t)q.host_type;
    if (may_publish(x, &p, &q)) publish(x, &p);
}

void lc_route_publish_nameless(lc_exchange *x)
{
    publish_query q;
    lc_publish p = {.caller = &x->caller.identity, .program = lc_http_body(x->request)};
    if (!read_publish_query(x, &q)) return;
    if (q.clear) {
        lc_exchange_text(x, 400, "Clear database requires database name or identity");
        return;
    }
    p.host_type = (uint8_t)q.host_type;
    if (may_publish(x, &p, &q)) publish(x, &p);
}

void lc_route_reset(lc_exchange *x)
{
    static const char *const host_types[] = {"Wasm", "Js", NULL};
    lc_database_record r;
    uint32_t host_type = 0;
    uint64_t replicas;
    bool has_replicas;
    if (!lc_exchange_query_u64(x, "num_replicas", SIZE_MAX, &replicas, &has_replicas) ||
        !lc_exchange_query_enum(x, "host_type", host_types, &host_type) ||
        !lc_exchange_owner(x, &x->database, "reset database", &r) ||
        !check_replicas(x, has_replicas, replicas))
        return;
    if (r.is_locked) {
        lc_exchange_text(x, 403,
                         "Database is locked and cannot be reset with --delete-data. Run "
                         "`spacetime unlock` first.");
        return;
    }
    lc_publish p = {.caller = &x->caller.identity,
                    .identity = &x->database,
                    .program = lc_http_body(x->request),
                    .host_type = (uint8_t)host_type,
                    .clear = true};
    if (!lc_identity_in_path(x->segments[0], &r.identity)) p.name = x->segments[0];
    if (p.program.len) {
        publish(x, &p);
        return;
    }
    lc_error err = LC_ERROR_INIT;
    if (lc_node_reset(x->api->node, &x->caller.identity, &x->database, &err) == LC_OK) {
        lc_published done = {.identity = x->database};
        answer_published(x, &p, &done);
    } else {
        lc_exchange_text(x, 500, "%s", lc_error_text(&err));
    }
    lc_error_clear(&err);
}
