/* HTTP handlers and routes (01 section 9.11). */
#include "schema/schema_internal.h"

static bool is_path_valid(lc_span path)
{
    if (path.len && path.ptr[0] != '/') return false;
    for (size_t i = 0; i < path.len; i++) {
        uint8_t b = path.ptr[i];
        if (!((b >= 'a' && b <= 'z') || (b >= '0' && b <= '9') || (b && strchr("-_~/", b))))
            return false;
    }
    return true;
}

static const char *method_debug(lc_arena *a, const lc_raw_route *raw)
{
    if (raw->method == LC_RAW_METHOD_ANY) return "Any";
    if (raw->method == LC_RAW_METHOD_EXTENSION)
        return lc_arena_format(a, "Method(Extension(%s))", lc_text_string_debug(a, raw->extension));
    return lc_arena_format(a, "Method(%s)", lc_raw_method_name(raw->method));
}

static lc_span method_span(lc_arena *a, const lc_raw_route *raw)
{
    if (raw->method == LC_RAW_METHOD_ANY) return LC_SPAN_EMPTY;
    if (raw->method == LC_RAW_METHOD_EXTENSION) return raw->extension;
    lc_span name = lc_span_of_str(lc_raw_method_name(raw->method));
    uint8_t *upper = lc_arena_alloc(a, name.len);
    for (size_t i = 0; i < name.len; i++) upper[i] = name.ptr[i] & (uint8_t)~0x20;
    return LC_SPAN(upper, name.len);
}

static void check_handlers(lc_check *c, lc_map *by_name)
{
    lc_module_def *m = c->module;
    m->handler_count = c->raw->handler_count;
    m->handlers = lc_arena_alloc_zero(c->arena, m->handler_count * sizeof *m->handlers);
    for (uint32_t i = 0; i < m->handler_count && !lc_problems_full(c->problems); i++) {
        lc_handler_def *def = &m->handlers[i];
        def->source_name = c->raw->handlers[i];
        def->name = lc_canonical_name(c, LC_RAW_EXPLICIT_FUNCTION, def->source_name);
        lc_problem_identifier(c->problems, def->source_name);
        if (!lc_span_equal(def->name, def->source_name))
            lc_problem_identifier(c->problems, def->name);
        if (lc_map_get(by_name, def->name))
            lc_problem_add(c->problems, LC_PROBLEM_DUPLICATE_HANDLER, def->name,
                           "HTTP handler name " LC_SPAN_FMT " is used for multiple HTTP handlers",
                           LC_SPAN_ARG(def->name));
        else
            lc_map_put(by_name, def->name, def);
    }
}

/* Does the route meet an earlier one? Each leaves marks in seen: its path, and its path with "any"
 * or with its method. A route for any method meets every one on its path. */
static bool overlaps(lc_map *seen, const lc_raw_route *raw, lc_span method)
{
    static uint8_t mark;
    lc_buf key = LC_BUF_INIT;
    bool overlap;
    lc_key_put_text(&key, raw->path);
    size_t path_len = key.len;
    if (raw->method == LC_RAW_METHOD_ANY) {
        overlap = lc_map_get(seen, lc_buf_span(&key)) != NULL;
        lc_map_put(seen, lc_buf_span(&key), &mark);
        lc_buf_put_str(&key, "any");
    } else {
        lc_buf_put_str(&key, "any");
        overlap = lc_map_get(seen, lc_buf_span(&key)) != NULL;
        key.len = path_len;
        lc_map_put(seen, lc_buf_span(&key), &mark);
        lc_buf_put_str(&key, "is ");
        lc_buf_put_span(&key, method);
        overlap |= lc_map_get(seen, lc_buf_span(&key)) != NULL;
    }
    lc_map_put(seen, lc_buf_span(&key), &mark);
    lc_buf_deinit(&key);
    return overlap;
}

void lc_check_routes(lc_check *c)
{
    lc_module_def *m = c->module;
    lc_map handlers = {0}, seen = {0};
    check_handlers(c, &handlers);
    m->route_count = c->raw->route_count;
    m->routes = lc_arena_alloc_zero(c->arena, m->route_count * sizeof *m->routes);
    for (uint32_t i = 0; i < m->route_count && !lc_problems_full(c->problems); i++) {
        const lc_raw_route *raw = &c->raw->routes[i];
        lc_route_def *route = &m->routes[i];
        route->path = raw->path;
        route->method = method_span(c->arena, raw);
        if (!is_path_valid(raw->path))
            lc_problem_add(c->problems, LC_PROBLEM_ROUTE_PATH, raw->path,
                           "HTTP route path `" LC_SPAN_FMT
                           "` is invalid; allowed characters are ASCII lowercase letters, digits "
                           "and `-_~/`",
                           LC_SPAN_ARG(raw->path));
        lc_span name = lc_canonical_name(c, LC_RAW_EXPLICIT_FUNCTION, raw->handler);
        const lc_handler_def *handler = lc_map_get(&handlers, name);
        if (handler) {
            route->handler = (uint32_t)(handler - m->handlers);
            route->handler_name = handler->name;
        } else {
            lc_problem_add(c->problems, LC_PROBLEM_MISSING_HANDLER, name,
                           "HTTP route refers to unknown HTTP handler `" LC_SPAN_FMT "`",
                           LC_SPAN_ARG(name));
        }
        if (overlaps(&seen, raw, route->method)) {
            lc_buf key = LC_BUF_INIT;
            lc_key_put_text(&key, raw->path);
            lc_key_put_number(&key, raw->method);
            lc_problem_add(c->problems, LC_PROBLEM_DUPLICATE_ROUTE, lc_buf_span(&key),
                           "HTTP route duplicates method %s for path " LC_SPAN_FMT,
                           method_debug(c->arena, raw), LC_SPAN_ARG(raw->path));
            lc_buf_deinit(&key);
        }
    }
    lc_map_deinit(&handlers);
    lc_map_deinit(&seen);
}
