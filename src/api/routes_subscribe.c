/*
 * The HTTP part of a WebSocket connection: the checks of 03 section 1.3, in their order.
 */
#include "api/routes.h"

#include <stdio.h>
#include <strings.h>

static bool equals_ignoring_case(lc_span s, const char *text)
{
    return s.len == strlen(text) && strncasecmp((const char *)s.ptr, text, s.len) == 0;
}

/* Calls fn for every comma-separated, trimmed item of every header line of that name. */
static bool any_item(const lc_http_request *r, const char *header,
                     bool (*fn)(void *arg, lc_span item), void *arg)
{
    for (uint32_t i = 0; i < lc_http_header_count(r); i++) {
        const lc_http_header *h = lc_http_header_at(r, i);
        if (!equals_ignoring_case(h->name, header)) continue;
        lc_span rest = h->value;
        while (rest.len) {
            const uint8_t *comma = memchr(rest.ptr, ',', rest.len);
            lc_span item = LC_SPAN(rest.ptr, comma ? (size_t)(comma - rest.ptr) : rest.len);
            size_t skip = item.len + (comma ? 1 : 0);
            rest = LC_SPAN(rest.ptr + skip, rest.len - skip);
            while (item.len && (*item.ptr == ' ' || *item.ptr == '\t'))
                item = LC_SPAN(item.ptr + 1, item.len - 1);
            while (item.len && (item.ptr[item.len - 1] == ' ' || item.ptr[item.len - 1] == '\t'))
                item.len--;
            if (fn(arg, item)) return true;
        }
    }
    return false;
}

static bool is_upgrade_item(void *arg, lc_span item)
{
    return equals_ignoring_case(item, arg);
}

/* ------------------------------------------------------------------ parameters */

static const char *const compressions[] = {"None", "Brotli", "Gzip", NULL};

static bool read_connection_id(lc_exchange *x, lc_connection_id *out)
{
    lc_span text = LC_SPAN_EMPTY;
    if (!lc_exchange_query_text(x, "connection_id", &text)) return false;
    if (!text.ptr) {
        *out = lc_connection_id_random(lc_random_system());
        return true;
    }
    bool is_hex = text.len % 2 == 0;
    for (size_t i = 0; i < text.len && is_hex; i++) {
        uint8_t c = text.ptr[i] | 0x20;
        is_hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
    }
    if (!is_hex) {
        lc_exchange_bad_query(
            x, "invalid value: string \"" LC_SPAN_FMT "\", expected a byte array or hex string",
            LC_SPAN_ARG(text));
        return false;
    }
    if (text.len != LC_CONNECTION_ID_HEX) {
        lc_exchange_bad_query(x, "too %s elements for array",
                              text.len < LC_CONNECTION_ID_HEX ? "few" : "many");
        return false;
    }
    return lc_connection_id_parse(text, out, NULL) == LC_OK;
}

typedef struct parameters {
    lc_connection_id connection_id;
    uint32_t compression;
    bool is_light;
    bool is_confirmed, has_confirmed;
} parameters;

static bool read_parameters(lc_exchange *x, parameters *p)
{
    *p = (parameters){.compression = LC_WS_BROTLI};
    lc_span confirmed = LC_SPAN_EMPTY;
    if (!read_connection_id(x, &p->connection_id) ||
        !lc_exchange_query_enum(x, "compression", compressions, &p->compression) ||
        !lc_exchange_query_bool(x, "light", &p->is_light) ||
        !lc_exchange_query_bool(x, "confirmed", &p->is_confirmed) ||
        !lc_exchange_query_text(x, "confirmed", &confirmed))
        return false;
    p->has_confirmed = confirmed.ptr != NULL;
    return true;
}

/* -------------------------------------------------------------------- protocol */

static bool note_protocol(void *arg, lc_span item)
{
    static const char *const names[] = {"v1.json.spacetimedb", "v1.bsatn.spacetimedb",
                                        "v2.bsatn.spacetimedb", "v3.bsatn.spacetimedb"};
    int *best = arg;
    for (int i = 0; i < 4; i++)
        if (lc_span_equal_str(item, names[i]) && i > *best) *best = i;
    return false;
}

static bool check_upgrade_headers(lc_exchange *x)
{
    lc_http_request *r = x->request;
    bool is_upgrade = any_item(r, "connection", is_upgrade_item, "upgrade") &&
                      any_item(r, "upgrade", is_upgrade_item, "websocket");
    if (!is_upgrade) {
        lc_exchange_text(x, 426, "This service requires use of the websocket protocol");
        lc_exchange_header(x, "connection", LC_STR("upgrade"));
        lc_exchange_header(x, "upgrade", LC_STR("websocket"));
        return false;
    }
    if (!lc_span_equal_str(lc_http_header_get(r, "sec-websocket-version"), "13")) {
        lc_exchange_text(x, 400, "`Sec-WebSocket-Version` header did not include '13'");
        return false;
    }
    if (!lc_http_header_get(r, "sec-websocket-key").ptr) {
        lc_exchange_text(x, 400, "`Sec-WebSocket-Key` header missing");
        return false;
    }
    return true;
}

/* ----------------------------------------------------------------------- route */

static void upgrade_on_loop(lc_exchange *x)
{
    lc_upgrade *u = x->on_loop_arg;
    lc_ws_start(x->api, x->request, u);
    lc_free(u);
}

void lc_route_subscribe(lc_exchange *x)
{
    if (lc_span_equal_str(lc_http_method(x->request), "HEAD")) {
        lc_exchange_text(x, 405, "Request method must be `GET`");
        return;
    }
    lc_identity id;
    lc_error err = LC_ERROR_INIT;
    bool is_identity = lc_identity_in_path(x->segments[0], &id);
    if (!is_identity && lc_database_name_check(x->segments[0], &err) != LC_OK) {
        lc_exchange_text(x, 400, "Invalid URL: %s", lc_error_text(&err));
        lc_error_clear(&err);
        return;
    }
    parameters p;
    if (!read_parameters(x, &p) || !check_upgrade_headers(x)) return;
    if (lc_connection_id_is_zero(&p.connection_id)) {
        lc_exchange_text(x, 400, "Invalid connection ID: the all-zeros ConnectionId is reserved.");
        return;
    }
    lc_database_record record;
    if (!lc_exchange_database(x, &x->database)) return;
    if (lc_node_record(x->api->node, &x->database, &record) != LC_OK) {
        lc_exchange_text(x, 404, "No such database.");
        return;
    }
    int protocol = -1;
    any_item(x->request, "sec-websocket-protocol", note_protocol, &protocol);
    if (protocol < 0) {
        lc_exchange_text(x, 400, "no valid protocol selected");
        return;
    }
    lc_database *db;
    if (!lc_exchange_open(x, &db)) return;
    lc_upgrade *u = lc_alloc_zero(sizeof *u);
    *u = (lc_upgrade){
        .database = db,
        .protocol = (uint8_t)protocol,
        .compression = (uint8_t)p.compression,
        .is_light = p.is_light,
        .is_confirmed = p.has_confirmed ? p.is_confirmed : protocol >= LC_WS_V2,
        .identity = x->caller.identity,
        .connection_id = p.connection_id,
        .token = lc_span_of_str(x->caller.token),
        .jwt_payload = lc_span_of_str(x->caller.payload),
    };
    x->on_loop = upgrade_on_loop;
    x->on_loop_arg = u;
}
