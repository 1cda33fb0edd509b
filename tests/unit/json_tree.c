#include "json_tree.h"

#include "lc_test.h"

static json_node *parse_value(lc_arena *a, lc_json *j, lc_json_token token);

/* The members up to the closing token; NULL key = elements of an array. */
static bool parse_items(lc_arena *a, lc_json *j, json_node *n, lc_json_token close)
{
    size_t cap = 0;
    for (;;) {
        lc_json_token token = lc_json_next(j);
        if (token == close) return true;
        lc_span key = LC_SPAN_EMPTY;
        if (token == LC_JSON_KEY) {
            key = LC_SPAN(lc_arena_cstr(a, j->text), j->text.len);
            token = lc_json_next(j);
        }
        json_node *item = parse_value(a, j, token);
        if (!item) return false;
        item->key = key;
        n->items = lc_arena_grow(a, n->items, n->count, &cap, sizeof *n->items);
        n->items[n->count++] = item;
    }
}

static json_node *parse_value(lc_arena *a, lc_json *j, lc_json_token token)
{
    json_node *n = lc_arena_alloc_zero(a, sizeof *n);
    n->kind = token;
    switch (token) {
    case LC_JSON_STRING:
    case LC_JSON_NUMBER:
        n->text = LC_SPAN(lc_arena_cstr(a, j->text), j->text.len);
        return n;
    case LC_JSON_NULL:
    case LC_JSON_TRUE:
    case LC_JSON_FALSE:
        return n;
    case LC_JSON_ARRAY_BEGIN:
        return parse_items(a, j, n, LC_JSON_ARRAY_END) ? n : NULL;
    case LC_JSON_OBJECT_BEGIN:
        return parse_items(a, j, n, LC_JSON_OBJECT_END) ? n : NULL;
    default:
        return NULL;
    }
}

json_node *json_tree_parse(lc_arena *a, lc_span text)
{
    lc_json j;
    lc_error err = LC_ERROR_INIT;
    lc_json_init(&j, text, &err);
    json_node *n = parse_value(a, &j, lc_json_next(&j));
    if (!n || lc_json_next(&j) != LC_JSON_END) {
        print_error("%s\n", lc_error_text(&err));
        n = NULL;
    }
    lc_json_deinit(&j);
    lc_error_clear(&err);
    return n;
}

json_node *json_tree_load(lc_arena *a, const char *path)
{
    lc_buf text = LC_BUF_INIT;
    lc_error err = LC_ERROR_INIT;
    assert_ok(lc_disk_read_file(lc_disk_system(), path, &text, &err), &err);
    json_node *n = json_tree_parse(a, lc_buf_span(&text));
    lc_buf_deinit(&text);
    assert_non_null(n);
    return n;
}

json_node *json_tree_get(const json_node *n, const char *key)
{
    if (!n || n->kind != LC_JSON_OBJECT_BEGIN) return NULL;
    for (size_t i = 0; i < n->count; i++)
        if (lc_span_equal_str(n->items[i]->key, key)) return n->items[i];
    return NULL;
}

bool json_tree_is(const json_node *n, const char *text)
{
    return n && lc_span_equal_str(n->text, text);
}

static bool equal_lists(const json_node *a, const json_node *b, bool any_order)
{
    bool *used = lc_alloc_zero(b->count + 1);
    bool equal = true;
    for (size_t i = 0; i < a->count && equal; i++) {
        size_t k = any_order ? 0 : i;
        size_t end = any_order ? b->count : i + 1;
        while (k < end && (used[k] || !json_tree_equal(a->items[i], b->items[k], any_order))) k++;
        equal = k < end;
        if (equal) used[k] = true;
    }
    lc_free(used);
    return equal;
}

bool json_tree_equal(const json_node *a, const json_node *b, bool any_order)
{
    if (a->kind != b->kind || a->count != b->count || !lc_span_equal(a->text, b->text))
        return false;
    if (a->kind != LC_JSON_OBJECT_BEGIN) return equal_lists(a, b, any_order);
    for (size_t i = 0; i < a->count; i++)
        if (!lc_span_equal(a->items[i]->key, b->items[i]->key) ||
            !json_tree_equal(a->items[i], b->items[i], any_order))
            return false;
    return true;
}
