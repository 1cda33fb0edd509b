/* The pull parser: tokens, errors with positions, skipping, peeking, limits. */
#include "sats_gen.h"

/* One letter per token; texts of keys, strings and numbers behind a colon. */
static void trace(lc_span json, lc_buf *out, lc_error *err)
{
    static const char letters[] = ".ntf#$[]{k}!";
    lc_json j;
    lc_json_init(&j, json, err);
    for (;;) {
        lc_json_token token = lc_json_next(&j);
        lc_buf_put_u8(out, (uint8_t)letters[token]);
        if (token == LC_JSON_NUMBER || token == LC_JSON_STRING || token == LC_JSON_KEY) {
            lc_buf_put_u8(out, ':');
            lc_buf_put_span(out, j.text);
            lc_buf_put_u8(out, ' ');
        }
        if (token == LC_JSON_END || token == LC_JSON_BAD) break;
    }
    if (out->ptr[out->len - 1] == '!') assert_int_equal(lc_json_next(&j), LC_JSON_BAD);
    lc_json_deinit(&j);
}

LC_TEST(tokens)
{
    static const char *const cases[][2] = {
        {"null", "n."},
        {" true ", "t."},
        {"\n\t\r false", "f."},
        {"[]", "[]."},
        {"{}", "{}."},
        {"-0", "#:-0 ."},
        {"0", "#:0 ."},
        {"123456789012345678901234567890", "#:123456789012345678901234567890 ."},
        {"1.5e+10", "#:1.5e+10 ."},
        {"0.0E-7", "#:0.0E-7 ."},
        {"\"\"", "$: ."},
        {"\"a\\u00e9\\ud83d\\ude00\\n\"", "$:a\xc3\xa9\xf0\x9f\x98\x80\n ."},
        {"\"\\u007f\\u0080\\u07ff\\u0800\\ud7ff\\ue000\\uffff\"",
         "$:\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf ."},
        {"\"\\ud800\\udc00\\udbff\\udfff\"", "$:\xf0\x90\x80\x80\xf4\x8f\xbf\xbf ."},
        {"[1,\"x\",[null],{}]", "[#:1 $:x [n]{}]."},
        {"{\"a\":1,\"b\":[true,false],\"\":{\"c\":\"d\"}}", "{k:a #:1 k:b [tf]k: {k:c $:d }}."},
        {" { \"a\" : [ 1 , 2 ] } ", "{k:a [#:1 #:2 ]}."},
    };
    for (size_t i = 0; i < LC_ARRAY_LEN(cases); i++) {
        lc_buf out = LC_BUF_INIT;
        lc_error err = LC_ERROR_INIT;
        trace(lc_span_of_str(cases[i][0]), &out, &err);
        assert_span_text(lc_buf_span(&out), cases[i][1]);
        assert_int_equal(err.code, LC_OK);
        lc_buf_deinit(&out);
    }
}

LC_TEST(refusals)
{
    static const char *const cases[][3] = {
        {"", "!", "EOF while parsing a value at line 1 column 0"},
        {" \n ", "!", "EOF while parsing a value at line 2 column 1"},
        {"x", "!", "expected value at line 1 column 1"},
        {"nul", "!", "EOF while parsing a value at line 1 column 3"},
        {"nuls", "!", "expected ident at line 1 column 4"},
        {"truE", "!", "expected ident at line 1 column 4"},
        {"1 2", "#:1 !", "trailing characters at line 1 column 3"},
        {"[]]", "[]!", "trailing characters at line 1 column 3"},
        {"[1", "[#:1 !", "EOF while parsing a list at line 1 column 2"},
        {"[1,", "[#:1 !", "EOF while parsing a value at line 1 column 3"},
        {"[1,]", "[#:1 !", "trailing comma at line 1 column 4"},
        {"[,1]", "[!", "expected value at line 1 column 2"},
        {"[1 2]", "[#:1 !", "expected `,` or `]` at line 1 column 4"},
        {"[1}", "[#:1 !", "expected `,` or `]` at line 1 column 3"},
        {"{", "{!", "EOF while parsing an object at line 1 column 1"},
        {"{]", "{!", "key must be a string at line 1 column 2"},
        {"{1:2}", "{!", "key must be a string at line 1 column 2"},
        {"{\"a\"", "{k:a !", "EOF while parsing an object at line 1 column 4"},
        {"{\"a\" 1}", "{k:a !", "expected `:` at line 1 column 6"},
        {"{\"a\":}", "{k:a !", "expected value at line 1 column 6"},
        {"{\"a\":1", "{k:a #:1 !", "EOF while parsing an object at line 1 column 6"},
        {"{\"a\":1,", "{k:a #:1 !", "EOF while parsing a value at line 1 column 7"},
        {"{\"a\":1,}", "{k:a #:1 !", "trailing comma at line 1 column 8"},
        {"{\"a\":1 \"b\"}", "{k:a #:1 !", "expected `,` or `}` at line 1 column 8"},
        {"{\"a\":1,b:2}", "{k:a #:1 !", "key must be a string at line 1 column 8"},
        {"-", "!", "EOF while parsing a value at line 1 column 1"},
        {"-x", "!", "invalid number at line 1 column 2"},
        {"00", "!", "invalid number at line 1 column 2"},
        {"-01", "!", "invalid number at line 1 column 3"},
        {"1.", "!", "EOF while parsing a value at line 1 column 2"},
        {"1.x", "!", "invalid number at line 1 column 3"},
        {"1e", "!", "EOF while parsing a value at line 1 column 2"},
        {"1e+", "!", "EOF while parsing a value at line 1 column 3"},
        {"1ex", "!", "invalid number at line 1 column 3"},
        {".5", "!", "expected value at line 1 column 1"},
        {"+1", "!", "expected value at line 1 column 1"},
        {"NaN", "!", "expected value at line 1 column 1"},
        {"'a'", "!", "expected value at line 1 column 1"},
        {"// a", "!", "expected value at line 1 column 1"},
        {"\"", "!", "EOF while parsing a string at line 1 column 1"},
        {"\"\\", "!", "EOF while parsing a string at line 1 column 2"},
        {"\"\\x\"", "!", "invalid escape at line 1 column 3"},
        {"\"\\u12x4\"", "!", "invalid escape at line 1 column 7"},
        {"\"\\ud800\"", "!", "unexpected end of hex escape at line 1 column 8"},
        {"\"\\ud800\\", "!", "EOF while parsing a string at line 1 column 8"},
        {"\"\\udfff\"", "!", "lone leading surrogate in hex escape at line 1 column 7"},
        {"\"\x1f\"", "!",
         "control character (\\u0000-\\u001F) found while parsing a string at line 1 column 2"},
        {"\"\xed\xa0\x80\"", "!", "invalid unicode code point at line 1 column 5"},
        {"[\n1,\n2\n\n x]", "[#:1 #:2 !", "expected `,` or `]` at line 5 column 2"},
    };
    for (size_t i = 0; i < LC_ARRAY_LEN(cases); i++) {
        lc_buf out = LC_BUF_INIT;
        lc_error err = LC_ERROR_INIT;
        trace(lc_span_of_str(cases[i][0]), &out, &err);
        assert_span_text(lc_buf_span(&out), cases[i][1]);
        assert_string_equal(lc_error_text(&err), cases[i][2]);
        assert_int_equal(err.code, LC_E_INVALID);
        lc_error_clear(&err);
        lc_buf_reset(&out);
        trace(lc_span_of_str(cases[i][0]), &out, NULL);
        assert_span_text(lc_buf_span(&out), cases[i][1]);
        lc_buf_deinit(&out);
    }
}

/* NUL is a byte like any other bad one, not the end. */
LC_TEST(nul_is_not_the_end)
{
    static const struct {
        lc_span json;
        const char *trace, *error;
    } cases[] = {
        {LC_STR("\0"), "!", "expected value at line 1 column 1"},
        {LC_STR("1\0"), "#:1 !", "trailing characters at line 1 column 2"},
        {LC_STR("[\0"), "[!", "expected value at line 1 column 2"},
        {LC_STR("[1\0"), "[#:1 !", "expected `,` or `]` at line 1 column 3"},
        {LC_STR("{\0"), "{!", "key must be a string at line 1 column 2"},
        {LC_STR("{\"a\"\0"), "{k:a !", "expected `:` at line 1 column 5"},
        {LC_STR("{\"a\":1\0"), "{k:a #:1 !", "expected `,` or `}` at line 1 column 7"},
        {LC_STR("{\"a\":1,\0"), "{k:a #:1 !", "key must be a string at line 1 column 8"},
    };
    for (size_t i = 0; i < LC_ARRAY_LEN(cases); i++) {
        lc_buf out = LC_BUF_INIT;
        lc_error err = LC_ERROR_INIT;
        trace(cases[i].json, &out, &err);
        assert_span_text(lc_buf_span(&out), cases[i].trace);
        assert_string_equal(lc_error_text(&err), cases[i].error);
        lc_error_clear(&err);
        lc_buf_deinit(&out);
    }
}

LC_TEST(peeking_changes_nothing)
{
    lc_json j;
    lc_json_init(&j, LC_STR("{\"k\":[1,2]}"), NULL);
    lc_json_token want[] = {LC_JSON_OBJECT_BEGIN, LC_JSON_KEY,    LC_JSON_ARRAY_BEGIN,
                            LC_JSON_NUMBER,       LC_JSON_NUMBER, LC_JSON_ARRAY_END,
                            LC_JSON_OBJECT_END,   LC_JSON_END,    LC_JSON_END};
    for (size_t i = 0; i < LC_ARRAY_LEN(want); i++) {
        assert_int_equal(lc_json_peek(&j), want[i]);
        assert_int_equal(lc_json_peek(&j), want[i]);
        if (want[i] == LC_JSON_KEY) assert_span_text(j.text, "k");
        assert_int_equal(lc_json_next(&j), want[i]);
        if (want[i] == LC_JSON_KEY) assert_span_text(j.text, "k");
    }
    lc_json_deinit(&j);
}

LC_TEST(skipping)
{
    lc_json j;
    lc_json_init(&j, LC_STR("[1,{\"a\":[[],{}],\"b\":null},\"s\",[[[]]],true]"), NULL);
    assert_int_equal(lc_json_next(&j), LC_JSON_ARRAY_BEGIN);
    for (int i = 0; i < 4; i++) assert_true(lc_json_skip(&j, lc_json_next(&j)));
    assert_int_equal(lc_json_next(&j), LC_JSON_TRUE);
    assert_int_equal(lc_json_next(&j), LC_JSON_ARRAY_END);
    lc_json_deinit(&j);

    lc_json_init(&j, LC_STR("[[1,2}"), NULL);
    assert_int_equal(lc_json_next(&j), LC_JSON_ARRAY_BEGIN);
    assert_false(lc_json_skip(&j, lc_json_next(&j)));
    lc_json_deinit(&j);
}

LC_TEST(own_errors)
{
    lc_json j;
    lc_error err = LC_ERROR_INIT;
    lc_json_init(&j, LC_STR("{\"flag\":\n 9}"), &err);
    for (int i = 0; i < 3; i++) lc_json_next(&j);
    assert_int_equal(lc_json_fail(&j, "invalid flag %d", 9), LC_E_INVALID);
    assert_string_equal(lc_error_text(&err), "invalid flag 9 at line 2 column 2");
    assert_int_equal(lc_json_next(&j), LC_JSON_BAD);
    assert_int_equal(lc_json_peek(&j), LC_JSON_BAD);
    assert_string_equal(lc_error_text(&err), "invalid flag 9 at line 2 column 2");
    lc_error_clear(&err);
    lc_json_deinit(&j);
}

LC_TEST(nesting_is_limited)
{
    for (int depth = 126; depth <= 1000; depth++) {
        lc_buf json = LC_BUF_INIT, out = LC_BUF_INIT;
        lc_error err = LC_ERROR_INIT;
        for (int i = 0; i < depth; i++) lc_buf_put_str(&json, i % 2 ? "{\"a\":" : "[");
        lc_buf_put_str(&json, "0");
        for (int i = depth; i-- > 0;) lc_buf_put_u8(&json, i % 2 ? '}' : ']');
        trace(lc_buf_span(&json), &out, &err);
        assert_int_equal(err.code, depth < 128 ? LC_OK : LC_E_INVALID);
        if (depth >= 128)
            assert_non_null(strstr(lc_error_text(&err), "recursion limit exceeded at line 1"));
        lc_error_clear(&err);
        lc_buf_deinit(&json);
        lc_buf_deinit(&out);
    }
}

/* Cut and damaged at every place: an end or an error, never beyond the input. */
LC_TEST(damaged_input)
{
    static const char text[] =
        "{\"a\":[1,-2.5e-3,\"\\u00e9\\ud83d\\ude00\\\\\",null,true],\"\xc3\xa9\":{}}";
    uint64_t seed = 9;
    for (size_t n = 0; n < sizeof text; n++) {
        for (int round = 0; round < 50; round++) {
            uint8_t *copy = lc_realloc(lc_memdup(text, n), n ? n : 1);
            lc_buf out = LC_BUF_INIT;
            if (round && n) copy[gen_below(&seed, (uint32_t)n)] = (uint8_t)lc_test_random(&seed);
            trace(LC_SPAN(copy, n), &out, NULL);
            if (round == 0)
                assert_int_equal(out.ptr[out.len - 1], n == sizeof text - 1 ? '.' : '!');
            lc_buf_deinit(&out);
            lc_free(copy);
        }
    }
}

int main(void)
{
    return LC_TEST_RUN(cmocka_unit_test(tokens), cmocka_unit_test(refusals),
                       cmocka_unit_test(nul_is_not_the_end),
                       cmocka_unit_test(peeking_changes_nothing), cmocka_unit_test(skipping),
                       cmocka_unit_test(own_errors), cmocka_unit_test(nesting_is_limited),
                       cmocka_unit_test(damaged_input));
}
