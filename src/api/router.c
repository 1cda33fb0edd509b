/*
 * The route table and how a path finds its row.
 */
#include "api/routes.h"

/* clang-format off */
static const lc_route routes[] = {
    {.pattern = "/v1/ping", .methods = {{"GET", LC_AUTH_OPTIONAL, lc_route_ping}}},
    {.pattern = "/v1/health", .methods = {{"GET", LC_AUTH_NONE, lc_route_health}}},
    {.pattern = "/v1/prometheus/sd_config", .methods = {{"GET", LC_AUTH_NONE, lc_route_sd_config}}},
    {.pattern = "/internal/heap", .no_cors = true,
     .methods = {{"GET", LC_AUTH_NONE, lc_route_unsupported}}},
    {.pattern = "/internal/heap/settings", .no_cors = true,
     .methods = {{"GET", LC_AUTH_NONE, lc_route_unsupported},
                 {"POST", LC_AUTH_NONE, lc_route_unsupported}}},
    {.pattern = "/internal/task-dump", .no_cors = true,
     .methods = {{"GET", LC_AUTH_NONE, lc_route_unsupported}}},
    {.pattern = "/v1/energy/:", .methods = {{"GET", LC_AUTH_NONE, lc_route_energy_get},
                                            {"PUT", LC_AUTH_REQUIRED, lc_route_energy_put},
                                            {"POST", LC_AUTH_REQUIRED, lc_route_energy_post}}},
    {.pattern = "/v1/identity", .methods = {{"POST", LC_AUTH_NONE, lc_route_identity_post}}},
    {.pattern = "/v1/identity/public-key", .methods = {{"GET", LC_AUTH_NONE, lc_route_public_key}}},
    {.pattern = "/v1/identity/websocket-token",
     .methods = {{"POST", LC_AUTH_REQUIRED, lc_route_websocket_token}}},
    {.pattern = "/v1/identity/:/verify", .methods = {{"GET", LC_AUTH_NONE, lc_route_verify}}},
    {.pattern = "/v1/identity/:/databases", .methods = {{"GET", LC_AUTH_NONE, lc_route_owned}}},
    {.pattern = "/v1/database", .anon_first = true, .unlimited_body = true,
     .methods = {{"POST", LC_AUTH_ANON, lc_route_publish_nameless}}},
    {.pattern = "/v1/database/:", .anon_first = true, .unlimited_body = true,
     .methods = {{"GET", LC_AUTH_ANON, lc_route_info},
                 {"PUT", LC_AUTH_ANON, lc_route_publish},
                 {"DELETE", LC_AUTH_ANON, lc_route_delete}}},
    {.pattern = "/v1/database/:/names", .anon_first = true, .resolves = true,
     .methods = {{"GET", LC_AUTH_ANON, lc_route_names_get},
                 {"POST", LC_AUTH_ANON, lc_route_names_post},
                 {"PUT", LC_AUTH_ANON, lc_route_names_put}}},
    {.pattern = "/v1/database/:/identity", .anon_first = true,
     .methods = {{"GET", LC_AUTH_ANON, lc_route_database_identity}}},
    {.pattern = "/v1/database/:/subscribe", .anon_first = true,
     .methods = {{"GET", LC_AUTH_ANON, lc_route_subscribe}}},
    {.pattern = "/v1/database/:/call/:", .anon_first = true, .resolves = true,
     .methods = {{"POST", LC_AUTH_ANON, lc_route_call}}},
    {.pattern = "/v1/database/:/schema", .anon_first = true, .resolves = true,
     .methods = {{"GET", LC_AUTH_ANON, lc_route_schema}}},
    {.pattern = "/v1/database/:/logs", .anon_first = true, .resolves = true,
     .methods = {{"GET", LC_AUTH_ANON, lc_route_logs}}},
    {.pattern = "/v1/database/:/sql", .anon_first = true, .resolves = true,
     .methods = {{"POST", LC_AUTH_ANON, lc_route_sql}}},
    {.pattern = "/v1/database/:/unstable/timestamp", .anon_first = true, .resolves = true,
     .methods = {{"GET", LC_AUTH_ANON, lc_route_timestamp}}},
    {.pattern = "/v1/database/:/pre_publish", .anon_first = true, .resolves = true,
     .unlimited_body = true, .methods = {{"POST", LC_AUTH_ANON, lc_route_unsupported}}},
    {.pattern = "/v1/database/:/reset", .anon_first = true, .resolves = true,
     .ignores_oversize = true, .methods = {{"PUT", LC_AUTH_ANON, lc_route_reset}}},
    {.pattern = "/v1/database/:/lock", .anon_first = true, .resolves = true,
     .methods = {{"POST", LC_AUTH_ANON, lc_route_lock}}},
    {.pattern = "/v1/database/:/unlock", .anon_first = true, .resolves = true,
     .methods = {{"POST", LC_AUTH_ANON, lc_route_unlock}}},
    {.pattern = "/v1/database/:/restart", .anon_first = true, .resolves = true,
     .methods = {{"POST", LC_AUTH_ANON, lc_route_restart}}},
    {.pattern = "/v1/database/:/backup", .anon_first = true, .resolves = true,
     .methods = {{"GET", LC_AUTH_ANON, lc_route_backup}}},
    {.pattern = "/v1/database/:/restore", .anon_first = true, .streams_body = true,
     .methods = {{"POST", LC_AUTH_ANON, lc_route_restore}}},
    {.pattern = "/v1/database/:/snapshot", .anon_first = true, .resolves = true,
     .methods = {{"POST", LC_AUTH_ANON, lc_route_snapshot}}},
    {.pattern = "/v1/database/:/mcp", .anon_first = true,
     .methods = {{"POST", LC_AUTH_ANON, lc_route_unsupported}}},
    {.pattern = "/v1/mcp", .methods = {{"POST", LC_AUTH_ANON, lc_route_unsupported}}},
    {.pattern = "/v1/database/:/route", .resolves = true, .any_method = true,
     .unlimited_body = true, .methods = {{"ANY", LC_AUTH_NONE, lc_route_unsupported}}},
    {.pattern = "/v1/database/:/route/*", .resolves = true, .any_method = true,
     .unlimited_body = true, .methods = {{"ANY", LC_AUTH_NONE, lc_route_unsupported}}},
};
/* clang-format on */

/* The segment at the front of path (without slashes); path moves behind it. */
static lc_span take_segment(lc_span *path)
{
    const uint8_t *slash = path->len ? memchr(path->ptr, '/', path->len) : NULL;
    lc_span segment = LC_SPAN(path->ptr, slash ? (size_t)(slash - path->ptr) : path->len);
    size_t skip = segment.len + (slash ? 1 : 0);
    *path = LC_SPAN(path->ptr + skip, path->len - skip);
    return segment;
}

static bool matches(const lc_route *r, lc_span path, lc_span segments[4], lc_span *rest)
{
    lc_span pattern = lc_span_of_str(r->pattern + 1);
    path = LC_SPAN(path.ptr + 1, path.len - 1);
    uint32_t parameters = 0;
    bool ends_with_slash = path.len && path.ptr[path.len - 1] == '/';
    while (pattern.len) {
        lc_span want = take_segment(&pattern);
        if (lc_span_equal_str(want, "*")) {
            *rest = path;
            return path.len > 0 || ends_with_slash;
        }
        if (path.len == 0) return false;
        lc_span have = take_segment(&path);
        if (lc_span_equal_str(want, ":")) {
            if (have.len == 0) return false;
            segments[parameters++] = have;
        } else if (!lc_span_equal(want, have)) {
            return false;
        }
    }
    return path.len == 0 && !ends_with_slash;
}

const lc_route *lc_route_find(lc_span path, lc_span segments[4], lc_span *rest)
{
    if (path.len == 0 || path.ptr[0] != '/') return NULL;
    for (size_t i = 0; i < LC_ARRAY_LEN(routes); i++)
        if (matches(&routes[i], path, segments, rest)) return &routes[i];
    return NULL;
}

void lc_route_allow(const lc_route *r, lc_buf *out)
{
    for (uint32_t i = 0; i < LC_ROUTE_MAX_METHODS && r->methods[i].name; i++) {
        if (i) lc_buf_put_u8(out, ',');
        lc_buf_put_str(out, r->methods[i].name);
        if (strcmp(r->methods[i].name, "GET") == 0) lc_buf_put_str(out, ",HEAD");
    }
}
