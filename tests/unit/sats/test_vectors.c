/* The golden vectors of the specification: values, types, refusals. */
#include "vectors.h"

static const lc_typespace *typespace_of(lc_arena *a, const vector_case *c)
{
    /* {"types":[...]} */
    lc_span json = vector_json(c, "typespace");
    if (!json.ptr) return NULL;
    const lc_type **types = lc_arena_alloc(a, 16 * sizeof *types);
    lc_typespace *ts = lc_arena_alloc(a, sizeof *ts);
    *ts = (lc_typespace){types, 0};
    lc_json j;
    lc_error err = LC_ERROR_INIT;
    lc_json_init(&j, json, &err);
    assert_int_equal(lc_json_next(&j), LC_JSON_OBJECT_BEGIN);
    assert_int_equal(lc_json_next(&j), LC_JSON_KEY);
    assert_int_equal(lc_json_next(&j), LC_JSON_ARRAY_BEGIN);
    for (;;) {
        const uint8_t *from = j.at;
        lc_json_token first = lc_json_next(&j);
        if (first == LC_JSON_ARRAY_END) break;
        assert_true(lc_json_skip(&j, first) && ts->count < 16);
        while (*from == ',' || *from == ' ') from++;
        assert_ok(lc_type_from_json(LC_SPAN(from, j.at - from), a, &types[ts->count++], &err),
                  &err);
    }
    lc_json_deinit(&j);
    return ts;
}

static const lc_type *type_in(lc_arena *a, const vector_case *c)
{
    const lc_type *t = NULL;
    lc_error err = LC_ERROR_INIT;
    assert_ok(lc_type_from_json(vector_json(c, "type"), a, &t, &err), &err);
    return t;
}

typedef struct expectation {
    const vector_case *c;
    const lc_type *type;
    const lc_typespace *ts;
    lc_span bsatn;
} expectation;

static void reads_as(lc_span json, void *arg)
{
    expectation *e = arg;
    lc_buf out = LC_BUF_INIT;
    lc_error err = LC_ERROR_INIT;
    assert_ok(lc_json_to_bsatn(e->type, e->ts, json, &out, &err), &err);
    assert_span_equal(lc_buf_span(&out), e->bsatn);
    lc_buf_deinit(&out);
}

static void validates_and_measures(const expectation *e)
{
    lc_error err = LC_ERROR_INIT;
    size_t size;
    assert_ok(lc_bsatn_validate(e->type, e->ts, e->bsatn, &size, &err), &err);
    assert_int_equal(size, e->bsatn.len);
    assert_int_equal(lc_bsatn_size(e->type, e->ts, e->bsatn.ptr), size);

    /* The same as the only column of a row, bytes behind it ignored. */
    lc_type_member column = {LC_STR("x"), e->type};
    lc_arena a = LC_ARENA_INIT;
    lc_layout *l = lc_layout_create(lc_type_new_product(&a, &column, 1), e->ts);
    lc_buf more = LC_BUF_INIT;
    lc_buf_put_span(&more, e->bsatn);
    lc_buf_put_u32(&more, 0xffffffff);
    assert_ok(lc_layout_validate(l, lc_buf_span(&more), &size, &err), &err);
    assert_int_equal(size, e->bsatn.len);
    assert_int_equal(lc_layout_row_size(l, more.ptr), size);
    assert_span_equal(lc_layout_column(l, more.ptr, 0), e->bsatn);
    /* No prefix of it is a value. */
    for (size_t n = 0; n < e->bsatn.len; n++) {
        assert_int_equal(lc_layout_validate(l, LC_SPAN(e->bsatn.ptr, n), &size, NULL),
                         LC_E_INVALID);
        assert_int_equal(lc_bsatn_validate(e->type, e->ts, LC_SPAN(e->bsatn.ptr, n), &size, NULL),
                         LC_E_INVALID);
    }
    lc_buf_deinit(&more);
    lc_layout_destroy(l);
    lc_arena_deinit(&a);
}

/* What each flavour writes reads back to the same bytes. */
static void survives_json(const expectation *e)
{
    lc_buf json = LC_BUF_INIT;
    for (lc_json_flavour f = LC_JSON_UNTYPED; f <= LC_JSON_ROW; f++) {
        lc_buf_reset(&json);
        assert_int_equal(lc_json_write(e->type, e->ts, e->bsatn.ptr, f, &json), e->bsatn.len);
        reads_as(lc_buf_span(&json), (void *)(uintptr_t)e);
    }
    lc_buf_deinit(&json);
}

static bool has_unnamed(const lc_type *t)
{
    for (uint32_t i = 0; i < t->member_count; i++)
        if (t->kind == LC_TYPE_PRODUCT && !t->members[i].name.ptr) return true;
    return false;
}

static void check_value(lc_arena *a, const vector_case *c, void *arg)
{
    (void)arg;
    lc_span value = vector_json(c, "value");
    expectation e = {.c = c, .type = type_in(a, c), .ts = typespace_of(a, c)};
    e.bsatn = hex(a, vector_text(a, c, "bsatn"));
    validates_and_measures(&e);
    if (vector_json(c, "float_special").ptr) {
        /* Infinities and NaN go out as null, and null does not come in. */
        lc_buf json = LC_BUF_INIT;
        size_t size = lc_json_write(e.type, NULL, e.bsatn.ptr, LC_JSON_TYPED, &json);
        assert_int_equal(size, e.bsatn.len);
        assert_span_text(lc_buf_span(&json), "null");
        assert_int_equal(lc_json_to_bsatn(e.type, NULL, value, &json, NULL), LC_E_INVALID);
        lc_buf_deinit(&json);
        return;
    }
    reads_as(value, &e);
    lc_span others = vector_json(c, "accepted_alternatives");
    if (others.ptr) json_each(others, reads_as, &e);
    if (!has_unnamed(e.type)) survives_json(&e);
}

LC_TEST(values)
{
    assert_int_equal(vectors_each("value_cases", check_value, NULL), 158);
}

static void check_type(lc_arena *a, const vector_case *c, void *arg)
{
    (void)arg;
    lc_error err = LC_ERROR_INIT;
    lc_span bsatn = hex(a, vector_text(a, c, "bsatn"));
    const lc_type *t = type_in(a, c);
    lc_buf out = LC_BUF_INIT, json = LC_BUF_INIT;
    lc_type_encode(t, &out);
    assert_span_equal(lc_buf_span(&out), bsatn);

    lc_reader r = lc_reader_of(bsatn, &err);
    const lc_type *decoded = lc_read_type(&r, a);
    assert_false(r.failed);
    assert_ptr_equal(r.at, r.end);
    assert_true(lc_type_equal(t, decoded));

    lc_buf_reset(&out);
    lc_type_to_json(decoded, &out);
    json_compact(vector_json(c, "type"), &json);
    assert_span_equal(lc_buf_span(&out), lc_buf_span(&json));

    /* Every shorter input fails, and without an abyss of memory or time. */
    for (size_t n = 0; n < bsatn.len; n++) {
        r = lc_reader_of(LC_SPAN(bsatn.ptr, n), &err);
        assert_null(lc_read_type(&r, a));
        assert_int_equal(err.code, LC_E_INVALID);
    }
    lc_error_clear(&err);
    lc_buf_deinit(&out);
    lc_buf_deinit(&json);
}

LC_TEST(types)
{
    assert_int_equal(vectors_each("type_cases", check_type, NULL), 35);
}

static void check_refusal(lc_arena *a, const vector_case *c, void *arg)
{
    (void)arg;
    lc_error err = LC_ERROR_INIT;
    const lc_type *t = type_in(a, c);
    lc_span bsatn = hex(a, vector_text(a, c, "bsatn"));
    const char *message = vector_text(a, c, "message");
    size_t size;
    assert_int_equal(lc_bsatn_validate(t, NULL, bsatn, &size, &err), LC_E_INVALID);
    assert_string_equal(lc_error_text(&err), message);

    lc_type_member column = {LC_STR("x"), t};
    lc_layout *l = lc_layout_create(lc_type_new_product(a, &column, 1), NULL);
    assert_int_equal(lc_layout_validate(l, bsatn, &size, &err), LC_E_INVALID);
    assert_string_equal(lc_error_text(&err), message);
    lc_layout_destroy(l);
    lc_error_clear(&err);
}

LC_TEST(refusals)
{
    assert_int_equal(vectors_each("decode_error_cases", check_refusal, NULL), 11);
}

int main(void)
{
    return LC_TEST_RUN(cmocka_unit_test(values), cmocka_unit_test(types),
                       cmocka_unit_test(refusals));
}
