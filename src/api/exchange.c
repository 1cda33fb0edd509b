/*
 * From request to answer: route, worker, authentication, resolution, method; CORS; and what
 * handlers share.
 */
#include "api/routes.h"

#include <stdio.h>
#include <strings.h>

enum { BODY_LIMIT = 2 * 1024 * 1024 }; /* 04 section 1 point 7 */

/* --------------------------------------------------------------------- answers */

void lc_exchange_text(lc_exchange *x, int status, const char *fmt, ...)
{
    x->status = status;
    x->content_type = LC_TEXT_PLAIN;
    lc_buf_reset(&x->body);
    va_list args;
    va_start(args, fmt);
    lc_buf_vprintf(&x->body, fmt, args);
    va_end(args);
}

void lc_exchange_json(lc_exchange *x, int status)
{
    x->status = status;
    x->content_type = LC_JSON_TYPE;
}

void lc_exchange_header(lc_exchange *x, const char *name, lc_span value)
{
    lc_vec_push(&x->headers,
                ((lc_http_header){lc_span_of_str(name), lc_arena_copy(x->arena, value)}));
}

void lc_exchange_free(lc_exchange *x)
{
    lc_claims_deinit(&x->caller);
    lc_buf_deinit(&x->body);
    lc_vec_deinit(&x->headers);
    lc_free(x);
}

static void put_cors(lc_http_request *r)
{
    lc_http_add_header(r, "access-control-allow-origin", LC_STR("*"));
    lc_http_add_header(
        r, "vary", LC_STR("origin, access-control-request-method, access-control-request-headers"));
}

void lc_exchange_put_headers(lc_exchange *x)
{
    lc_http_request *r = x->request;
    if (!x->route->no_cors) put_cors(r);
    LC_VEC_EACH (h, &x->headers) lc_http_add_header(r, (const char *)h->name.ptr, h->value);
}

/* On the loop: the worker is done. */
static void answer(lc_task *task)
{
    lc_exchange *x = LC_CONTAINER(task, lc_exchange, task);
    lc_http_request *r = x->request;
    if (x->download) {
        lc_download_finish(x->download);
        lc_exchange_free(x);
        return;
    }
    lc_exchange_put_headers(x);
    if (x->on_loop)
        x->on_loop(x);
    else
        lc_http_respond(r, x->status, x->content_type, lc_buf_span(&x->body));
    lc_exchange_free(x);
}

/* -------------------------------------------------------------- authentication */

/* The token the request presents. False: a malformed header was answered. */
static bool find_token(lc_exchange *x, lc_span *token, bool *is_given)
{
    lc_span header = lc_http_header_get(x->request, "authorization");
    *is_given = true;
    if (header.ptr) {
        const char *text = (const char *)header.ptr;
        bool is_bearer = header.len > 7 && strncasecmp(text, "bearer ", 7) == 0;
        lc_span rest = is_bearer ? LC_SPAN(header.ptr + 7, header.len - 7) : LC_SPAN_EMPTY;
        while (rest.len && *rest.ptr == ' ') rest = LC_SPAN(rest.ptr + 1, rest.len - 1);
        if (rest.len == 0) {
            lc_exchange_text(x, 400, "Authorization is invalid: malformed token");
            return false;
        }
        *token = rest;
        return true;
    }
    lc_span second, query = lc_http_query(x->request);
    *is_given = lc_url_query_get(query, "token", 0, x->arena, token) &&
                !lc_url_query_get(query, "token", 1, x->arena, &second);
    return true;
}

static bool validate(lc_exchange *x, lc_span token)
{
    lc_auth *auth = lc_node_auth(x->api->node);
    lc_error err = LC_ERROR_INIT;
    lc_status rc = lc_auth_validate_local(auth, token, &x->caller, &err);
    if (rc == LC_E_NOT_FOUND) {
        lc_error_clear(&err);
        rc = lc_auth_validate(auth, token, &x->caller, &err);
    }
    if (rc != LC_OK) lc_exchange_text(x, 401, "%s", lc_error_text(&err));
    lc_error_clear(&err);
    return rc == LC_OK;
}

static void put_caller_headers(lc_exchange *x)
{
    char hex[LC_IDENTITY_HEX + 1];
    lc_identity_to_hex(&x->caller.identity, hex);
    lc_exchange_header(x, "spacetime-identity", lc_span_of_str(hex));
    lc_exchange_header(x, "spacetime-identity-token", lc_span_of_str(x->caller.token));
}

/* False: answered. */
static bool authenticate(lc_exchange *x, lc_auth_class class)
{
    if (class == LC_AUTH_NONE || x->has_caller) return true;
    lc_span token;
    bool is_given;
    if (!find_token(x, &token, &is_given)) return false;
    if (!is_given && class == LC_AUTH_OPTIONAL) return true;
    if (!is_given && class == LC_AUTH_REQUIRED) {
        lc_exchange_text(x, 401, "Authorization required");
        return false;
    }
    if (!is_given)
        lc_auth_mint(lc_node_auth(x->api->node), &x->caller);
    else if (!validate(x, token))
        return false;
    x->has_caller = true;
    if (class == LC_AUTH_ANON) put_caller_headers(x);
    return true;
}

bool lc_exchange_authenticate(lc_exchange *x)
{
    return authenticate(x, LC_AUTH_REQUIRED);
}

/* ------------------------------------------------------------------ resolution */

bool lc_exchange_database(lc_exchange *x, lc_identity *out)
{
    lc_span segment = x->segments[0];
    if (lc_identity_in_path(segment, out)) return true;
    lc_error err = LC_ERROR_INIT;
    if (lc_database_name_check(segment, &err) != LC_OK) {
        lc_exchange_text(x, 400, "Invalid URL: %s", lc_error_text(&err));
        lc_error_clear(&err);
        return false;
    }
    if (lc_node_resolve(x->api->node, segment, out) == LC_OK) return true;
    lc_exchange_text(x, 404, "`" LC_SPAN_FMT "` not found", LC_SPAN_ARG(segment));
    return false;
}

/* The middleware of most database routes: the database must exist. */
static bool resolve_existing(lc_exchange *x)
{
    lc_database_record record;
    if (!lc_exchange_database(x, &x->database)) return false;
    if (lc_node_record(x->api->node, &x->database, &record) == LC_OK) return true;
    lc_exchange_text(x, 404, "No such database.");
    return false;
}

bool lc_exchange_open(lc_exchange *x, lc_database **out)
{
    lc_error err = LC_ERROR_INIT;
    lc_status rc = lc_node_open(x->api->node, &x->database, out, &err);
    if (rc == LC_E_NOT_FOUND)
        lc_exchange_text(x, 404, "No such database.");
    else if (rc != LC_OK)
        lc_exchange_text(x, 500, "error starting database: %s", lc_error_text(&err));
    lc_error_clear(&err);
    return rc == LC_OK;
}

bool lc_exchange_owner(lc_exchange *x, const lc_identity *database, const char *action,
                       lc_database_record *out)
{
    if (lc_node_record(x->api->node, database, out) != LC_OK) {
        lc_exchange_text(x, 404, "No such database.");
        return false;
    }
    if (lc_identity_equal(&out->owner, &x->caller.identity)) return true;
    char who[LC_IDENTITY_HEX + 1], what[LC_IDENTITY_HEX + 1];
    lc_identity_to_hex(&x->caller.identity, who);
    lc_identity_to_hex(database, what);
    lc_exchange_text(x, 403, "%s is not authorized to perform action on database %s: %s", who, what,
                     action);
    return false;
}

/* --------------------------------------------------------------------- queries */

void lc_exchange_bad_query(lc_exchange *x, const char *fmt, ...)
{
    lc_exchange_text(x, 400, "Failed to deserialize query string: ");
    va_list args;
    va_start(args, fmt);
    lc_buf_vprintf(&x->body, fmt, args);
    va_end(args);
}

bool lc_exchange_query_text(lc_exchange *x, const char *key, lc_span *value)
{
    lc_span second, query = lc_http_query(x->request);
    if (lc_url_query_get(query, key, 1, x->arena, &second)) {
        lc_exchange_bad_query(x, "duplicate field `%s`", key);
        return false;
    }
    lc_url_query_get(query, key, 0, x->arena, value);
    return true;
}

bool lc_exchange_query_bool(lc_exchange *x, const char *key, bool *value)
{
    lc_span text = LC_SPAN_EMPTY;
    if (!lc_exchange_query_text(x, key, &text)) return false;
    if (!text.ptr) return true;
    *value = lc_span_equal_str(text, "true");
    if (*value || lc_span_equal_str(text, "false")) return true;
    lc_exchange_bad_query(x, "provided string was not `true` or `false`");
    return false;
}

bool lc_exchange_query_u64(lc_exchange *x, const char *key, uint64_t max, uint64_t *value,
                           bool *is_given)
{
    lc_span text = LC_SPAN_EMPTY;
    if (!lc_exchange_query_text(x, key, &text)) return false;
    *is_given = text.ptr != NULL;
    if (!*is_given) return true;
    size_t i = text.len > 1 && text.ptr[0] == '+' ? 1 : 0;
    const char *why = text.len == 0 ? "cannot parse integer from empty string" : NULL;
    for (*value = 0; i < text.len && !why; i++) {
        uint8_t c = text.ptr[i];
        if (c < '0' || c > '9')
            why = "invalid digit found in string";
        else if (__builtin_mul_overflow(*value, 10u, value) ||
                 __builtin_add_overflow(*value, (uint64_t)(c - '0'), value) || *value > max)
            why = "number too large to fit in target type";
    }
    if (why) lc_exchange_bad_query(x, "%s", why);
    return !why;
}

bool lc_exchange_query_enum(lc_exchange *x, const char *key, const char *const *names,
                            uint32_t *value)
{
    lc_span text = LC_SPAN_EMPTY;
    if (!lc_exchange_query_text(x, key, &text)) return false;
    if (!text.ptr) return true;
    uint32_t count = 0;
    for (; names[count]; count++) {
        if (!lc_span_equal_str(text, names[count])) continue;
        *value = count;
        return true;
    }
    lc_exchange_bad_query(x, "unknown variant `" LC_SPAN_FMT "`, expected ", LC_SPAN_ARG(text));
    if (count > 2) lc_buf_put_str(&x->body, "one of ");
    for (uint32_t i = 0; i < count; i++)
        lc_buf_printf(&x->body, "%s`%s`", i == 0 ? "" : count == 2 ? " or " : ", ", names[i]);
    return false;
}

/* Length of the longest valid prefix, in whole characters. */
static size_t valid_utf8_prefix(lc_span s)
{
    size_t at = 0;
    while (at < s.len) {
        size_t n = 1;
        while (n <= 4 && at + n <= s.len && !lc_utf8_valid(LC_SPAN(s.ptr + at, n))) n++;
        if (n > 4 || at + n > s.len) break;
        at += n;
    }
    return at;
}

void lc_exchange_bad_utf8(lc_exchange *x, lc_span body)
{
    lc_exchange_text(x, 400,
                     "Request body didn't contain valid UTF-8: invalid utf-8 sequence of 1 bytes "
                     "from index %zu",
                     valid_utf8_prefix(body));
}

/* -------------------------------------------------------------------- dispatch */

static bool is_method(lc_span method, const char *name)
{
    return lc_span_equal_str(method, name) ||
           (strcmp(name, "GET") == 0 && lc_span_equal_str(method, "HEAD"));
}

static const lc_route_method *find_method(const lc_route *route, lc_span method)
{
    if (route->any_method) return &route->methods[0];
    for (uint32_t i = 0; i < LC_ROUTE_MAX_METHODS && route->methods[i].name; i++)
        if (is_method(method, route->methods[i].name)) return &route->methods[i];
    return NULL;
}

static void put_allow(lc_exchange *x)
{
    lc_buf allow = LC_BUF_INIT;
    lc_route_allow(x->route, &allow);
    lc_exchange_header(x, "allow", lc_buf_span(&allow));
    lc_buf_deinit(&allow);
}

static bool decode_segments(lc_exchange *x)
{
    static const char *const names[] = {"name_or_identity", "reducer"};
    for (uint32_t i = 0; i < 2; i++) {
        if (!x->segments[i].ptr) break;
        x->segments[i] = lc_url_decode(x->segments[i], false, x->arena);
        if (lc_utf8_valid(x->segments[i])) continue;
        lc_exchange_text(x, 400, "Invalid URL: Invalid UTF-8 in `%s`", names[i]);
        return false;
    }
    return true;
}

static void process(lc_exchange *x)
{
    const lc_route *route = x->route;
    if (route->anon_first && !authenticate(x, LC_AUTH_ANON)) return;
    const lc_route_method *m = find_method(route, lc_http_method(x->request));
    if (!m) put_allow(x);
    if (!decode_segments(x)) return;
    if (route->resolves && !resolve_existing(x)) return;
    if (!m) {
        x->status = 405;
        return;
    }
    if (!authenticate(x, m->auth)) return;
    if (lc_http_is_oversize(x->request) && !route->ignores_oversize)
        lc_exchange_text(x, 413, "Failed to buffer the request body: length limit exceeded");
    else
        m->handle(x);
}

static void work(void *arg)
{
    lc_exchange *x = arg;
    process(x);
    lc_loop_post(lc_http_loop(x->request), &x->task);
}

static void preflight(lc_http_request *r, const lc_route *route)
{
    put_cors(r);
    lc_http_add_header(r, "access-control-allow-methods", LC_STR("*"));
    lc_http_add_header(r, "access-control-allow-headers",
                       LC_STR("authorization,accept,content-type"));
    lc_buf allow = LC_BUF_INIT;
    lc_route_allow(route, &allow);
    if (!route->any_method)
        lc_http_add_header(r, "allow", lc_arena_copy(lc_http_arena(r), lc_buf_span(&allow)));
    lc_http_respond(r, 200, NULL, LC_SPAN_EMPTY);
    lc_buf_deinit(&allow);
}

size_t lc_api_body_limit(void *arg, lc_http_request *r)
{
    (void)arg;
    lc_span segments[4] = {0}, rest;
    const lc_route *route = lc_route_find(lc_http_path(r), segments, &rest);
    if (!route) return BODY_LIMIT;
    return route->unlimited_body ? SIZE_MAX : BODY_LIMIT;
}

bool lc_api_streams_body(void *arg, lc_http_request *r)
{
    (void)arg;
    lc_span segments[4] = {0}, rest;
    const lc_route *route = lc_route_find(lc_http_path(r), segments, &rest);
    return route && route->streams_body && lc_span_equal_str(lc_http_method(r), "POST");
}

void lc_api_handle(void *arg, lc_http_request *r)
{
    lc_api *a = arg;
    lc_span segments[4] = {0}, rest = LC_SPAN_EMPTY;
    const lc_route *route = lc_route_find(lc_http_path(r), segments, &rest);
    if (!route) {
        lc_static_serve(a, r);
        return;
    }
    if (lc_span_equal_str(lc_http_method(r), "OPTIONS") && !route->no_cors) {
        preflight(r, route);
        return;
    }
    lc_exchange *x = lc_alloc_zero(sizeof *x);
    x->task.run = answer;
    x->api = a;
    x->request = r;
    x->arena = lc_http_arena(r);
    x->route = route;
    memcpy(x->segments, segments, sizeof segments);
    x->rest = rest;
    lc_node_work(a->node, work, x);
}
