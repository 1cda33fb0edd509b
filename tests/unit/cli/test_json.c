/* JSON answers taken apart and printed for people. */
#include "lc_test.h"

#include "cli/cli.h"

LC_TEST(members_are_found)
{
    lc_span json = LC_STR("{ \"a\" : {\"b\":[1, {\"c\":\"x\\ny\"} ]}, \"\\u0064\": null }");
    assert_span_text(lc_json_member(json, "a", "b", NULL), "[1, {\"c\":\"x\\ny\"} ]");
    assert_span_text(lc_json_member(json, "d", NULL), "null");
    assert_null(lc_json_member(json, "b", NULL).ptr);
    assert_null(lc_json_member(json, "a", "b", "c", NULL).ptr);
    assert_null(lc_json_member(LC_STR("nonsense"), "a", NULL).ptr);
    assert_null(lc_json_member(LC_STR("{\"a\""), "a", NULL).ptr);
}

LC_TEST(lists_are_walked)
{
    lc_walk w;
    lc_buf all = LC_BUF_INIT;
    lc_error err = LC_ERROR_INIT;
    for (lc_walk_begin(&w, LC_STR("[ 1,\"two\", [3] ,{\"f\":4}]"), &err); lc_walk_next(&w);) {
        lc_buf_put_span(&all, w.value);
        lc_buf_put_u8(&all, ';');
    }
    lc_walk_end(&w);
    assert_ok(err.code, &err);
    assert_span_text(lc_buf_span(&all), "1;\"two\";[3];{\"f\":4};");
    lc_buf_deinit(&all);
}

LC_TEST(malformed_lists_are_errors)
{
    static const char *const bad[] = {"", "[1,", "[1 2]", "{\"a\":}", "{1:2}", "7", "[nul]"};
    for (size_t i = 0; i < LC_ARRAY_LEN(bad); i++) {
        lc_walk w;
        lc_error err = LC_ERROR_INIT;
        for (lc_walk_begin(&w, lc_span_of_str(bad[i]), &err); lc_walk_next(&w);) {
        }
        lc_walk_end(&w);
        assert_int_equal(err.code, LC_E_INVALID);
        lc_error_clear(&err);
    }
}

LC_TEST(strings_are_read)
{
    char *text = lc_json_string_value(LC_STR("\"a\\u00e9\\\"\""));
    assert_string_equal(text, "aé\"");
    lc_free(text);
    assert_null(lc_json_string_value(LC_STR("12")));
    assert_null(lc_json_string_value(LC_SPAN_EMPTY));
}

LC_TEST(pretty_text)
{
    lc_buf out = LC_BUF_INIT;
    lc_error err = LC_ERROR_INIT;
    lc_span json =
        LC_STR("{\"a\":[],\"b\":{},\"c\":[1,-2.50,true,null,\"x\\ty\"],\"d\":{\"e\":{}}}");
    assert_ok(lc_json_pretty(json, &out, &err), &err);
    assert_span_text(lc_buf_span(&out), "{\n"
                                        "  \"a\": [],\n"
                                        "  \"b\": {},\n"
                                        "  \"c\": [\n"
                                        "    1,\n"
                                        "    -2.50,\n"
                                        "    true,\n"
                                        "    null,\n"
                                        "    \"x\\ty\"\n"
                                        "  ],\n"
                                        "  \"d\": {\n"
                                        "    \"e\": {}\n"
                                        "  }\n"
                                        "}");
    lc_buf_reset(&out);
    assert_int_equal(lc_json_pretty(LC_STR("[1,2"), &out, &err), LC_E_INVALID);
    lc_error_clear(&err);
    lc_buf_deinit(&out);
}

int main(void)
{
    return LC_TEST_RUN(cmocka_unit_test(members_are_found), cmocka_unit_test(lists_are_walked),
                       cmocka_unit_test(malformed_lists_are_errors),
                       cmocka_unit_test(strings_are_read), cmocka_unit_test(pretty_text));
}
