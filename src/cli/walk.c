/*
 * JSON answers, taken apart by their text.
 */
#include "cli/cli.h"

void lc_walk_begin(lc_walk *w, lc_span text, lc_error *err)
{
    *w = (lc_walk){0};
    lc_json_init(&w->json, text, err);
    lc_json_token t = lc_json_next(&w->json);
    w->is_object = t == LC_JSON_OBJECT_BEGIN;
    if (t != LC_JSON_OBJECT_BEGIN && t != LC_JSON_ARRAY_BEGIN && t != LC_JSON_BAD)
        lc_json_fail(&w->json, "expected an object or a list");
}

/* Where the value behind a key, a comma or an opening bracket begins. */
static const uint8_t *value_start(const lc_json *j)
{
    const uint8_t *p = j->at;
    while (p < j->end && memchr(" \t\r\n:,", *p, 6)) p++;
    return p;
}

bool lc_walk_next(lc_walk *w)
{
    lc_json *j = &w->json;
    if (w->is_object) {
        if (lc_json_next(j) != LC_JSON_KEY) return false;
        lc_buf_reset(&w->key_copy);
        lc_buf_put_span(&w->key_copy, j->text);
        w->key = lc_buf_span(&w->key_copy);
    }
    const uint8_t *start = value_start(j);
    w->token = lc_json_next(j);
    if (w->token == LC_JSON_ARRAY_END || !lc_json_skip(j, w->token)) return false;
    w->value = LC_SPAN(start, (size_t)(j->at - start));
    return true;
}

void lc_walk_end(lc_walk *w)
{
    lc_json_deinit(&w->json);
    lc_buf_deinit(&w->key_copy);
}

static lc_span member(lc_span object, const char *key)
{
    lc_walk w;
    lc_span found = LC_SPAN_EMPTY;
    lc_walk_begin(&w, object, NULL);
    while (w.is_object && !found.ptr && lc_walk_next(&w))
        if (lc_span_equal_str(w.key, key)) found = w.value;
    lc_walk_end(&w);
    return found;
}

lc_span lc_json_member(lc_span object, const char *key, ...)
{
    va_list keys;
    va_start(keys, key);
    for (; key && object.ptr; key = va_arg(keys, const char *)) object = member(object, key);
    va_end(keys);
    return object;
}

char *lc_json_string_value(lc_span text)
{
    lc_json j;
    lc_json_init(&j, text, NULL);
    char *value = lc_json_next(&j) == LC_JSON_STRING ? lc_span_to_cstr(j.text) : NULL;
    lc_json_deinit(&j);
    return value;
}

/* ----------------------------------------------------------------------- pretty */

enum { INDENT = 2 };

static void new_line(lc_buf *out, uint32_t depth)
{
    lc_buf_printf(out, "\n%*s", (int)(depth * INDENT), "");
}

/* One value; first is its first token. Depth is limited by the parser. */
static void pretty(lc_json *j, lc_json_token first, uint32_t depth, lc_buf *out)
{
    static const char *const words[] = {
        [LC_JSON_NULL] = "null", [LC_JSON_TRUE] = "true", [LC_JSON_FALSE] = "false"};
    bool is_object = first == LC_JSON_OBJECT_BEGIN;
    if (!is_object && first != LC_JSON_ARRAY_BEGIN) {
        if (first == LC_JSON_STRING)
            lc_json_write_string(j->text, out);
        else if (first == LC_JSON_NUMBER)
            lc_buf_put_span(out, j->text);
        else if (first >= LC_JSON_NULL && first <= LC_JSON_FALSE)
            lc_buf_put_str(out, words[first]);
        return;
    }
    lc_buf_put_u8(out, is_object ? '{' : '[');
    bool is_empty = true;
    for (lc_json_token t; (t = lc_json_next(j)) < LC_JSON_BAD; is_empty = false) {
        if (t == LC_JSON_OBJECT_END || t == LC_JSON_ARRAY_END) break;
        if (!is_empty) lc_buf_put_u8(out, ',');
        new_line(out, depth + 1);
        if (is_object) {
            lc_json_write_string(j->text, out);
            lc_buf_put_str(out, ": ");
            t = lc_json_next(j);
        }
        pretty(j, t, depth + 1, out);
    }
    if (!is_empty) new_line(out, depth);
    lc_buf_put_u8(out, is_object ? '}' : ']');
}

lc_status lc_json_pretty(lc_span text, lc_buf *out, lc_error *err)
{
    lc_json j;
    lc_json_init(&j, text, err);
    pretty(&j, lc_json_next(&j), 0, out);
    lc_json_token end = lc_json_next(&j);
    lc_json_deinit(&j);
    return end == LC_JSON_END ? LC_OK : LC_E_INVALID;
}
