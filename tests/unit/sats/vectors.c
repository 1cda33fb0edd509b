#include "vectors.h"

#define PATH "tests/vectors/bsatn.json"

/* The text of the value that comes next, which is skipped; false at the end of an array. */
static bool raw_value(lc_json *j, lc_span *text)
{
    const uint8_t *from = j->at;
    lc_json_token first = lc_json_next(j);
    if (first == LC_JSON_ARRAY_END) return false;
    assert_true(lc_json_skip(j, first));
    while (*from == ':' || *from == ',' || *from == ' ' || *from == '\n') from++;
    *text = LC_SPAN(from, (size_t)(j->at - from));
    return true;
}

static void read_case(lc_arena *a, lc_json *j, vector_case *c)
{
    *c = (vector_case){.count = 0};
    while (lc_json_next(j) == LC_JSON_KEY) {
        assert_true(c->count < LC_ARRAY_LEN(c->names));
        c->names[c->count] = lc_arena_copy(a, j->text);
        assert_true(raw_value(j, &c->texts[c->count++]));
    }
}

/* The entry at work, shown when the program ends in the middle of it. */
static const char *current;

__attribute__((destructor)) static void name_the_culprit(void)
{
    if (current) fprintf(stderr, "at vector %s\n", current);
}

size_t vectors_each(const char *list, void (*each)(lc_arena *a, const vector_case *c, void *arg),
                    void *arg)
{
    lc_error err = LC_ERROR_INIT;
    lc_buf file = LC_BUF_INIT;
    lc_arena arena = LC_ARENA_INIT;
    lc_json j;
    size_t count = 0;
    assert_ok(lc_disk_read_file(lc_disk_system(), PATH, &file, &err), &err);
    lc_json_init(&j, lc_buf_span(&file), &err);
    assert_int_equal(lc_json_next(&j), LC_JSON_OBJECT_BEGIN);
    while (lc_json_next(&j) == LC_JSON_KEY) {
        if (!lc_span_equal_str(j.text, list)) {
            assert_true(lc_json_skip(&j, lc_json_next(&j)));
            continue;
        }
        assert_int_equal(lc_json_next(&j), LC_JSON_ARRAY_BEGIN);
        while (lc_json_next(&j) == LC_JSON_OBJECT_BEGIN) {
            vector_case c;
            read_case(&arena, &j, &c);
            current = lc_arena_cstr(&arena, vector_json(&c, "id"));
            each(&arena, &c, arg);
            count++;
            lc_arena_reset(&arena);
        }
    }
    assert_int_equal(lc_json_next(&j), LC_JSON_END);
    current = NULL;
    lc_json_deinit(&j);
    lc_arena_deinit(&arena);
    lc_buf_deinit(&file);
    return count;
}

lc_span vector_json(const vector_case *c, const char *name)
{
    for (uint32_t i = 0; i < c->count; i++)
        if (lc_span_equal_str(c->names[i], name)) return c->texts[i];
    return LC_SPAN_EMPTY;
}

const char *vector_text(lc_arena *a, const vector_case *c, const char *name)
{
    lc_json j;
    lc_span json = vector_json(c, name);
    assert_non_null(json.ptr);
    lc_json_init(&j, json, NULL);
    assert_int_equal(lc_json_next(&j), LC_JSON_STRING);
    char *text = lc_arena_cstr(a, j.text);
    lc_json_deinit(&j);
    return text;
}

void json_each(lc_span array, void (*each)(lc_span element, void *arg), void *arg)
{
    lc_json j;
    lc_json_init(&j, array, NULL);
    assert_int_equal(lc_json_next(&j), LC_JSON_ARRAY_BEGIN);
    for (lc_span element; raw_value(&j, &element);) each(element, arg);
    lc_json_deinit(&j);
}

void json_compact(lc_span json, lc_buf *out)
{
    bool inside = false;
    for (size_t i = 0; i < json.len; i++) {
        uint8_t c = json.ptr[i];
        if (c == '"') inside = !inside;
        if (inside || (c != ' ' && c != '\n')) lc_buf_put_u8(out, c);
    }
}
