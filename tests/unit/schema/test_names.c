/* Identifiers and case conversion. */
#include "lc_test.h"

#include "schema/lc_schema.h"

#define START                                                                                      \
    "' is neither an underscore ('_') nor a Unicode XID_start character (according to Unicode "    \
    "Standard Annex 31, https://www.unicode.org/reports/tr31/) and cannot be used for entities "   \
    "in a module."
#define CONTINUE                                                                                   \
    "' that is not an XID_continue character (according to Unicode Standard Annex 31, "            \
    "https://www.unicode.org/reports/tr31/) and cannot be used for entities in a module."

static void check(lc_span name, const char *want)
{
    lc_error err = LC_ERROR_INIT;
    lc_status st = lc_identifier_check(name, &err);
    assert_string_equal(lc_error_text(&err), want);
    assert_int_equal(st, *want ? LC_E_INVALID : LC_OK);
    lc_error_clear(&err);
}

LC_TEST(identifiers)
{
    static const char *const good[] = {
        "a",
        "_",
        "_x",
        "a1",
        "select",
        "été", /* composed */
        "表",
        "имя",
        "a\xe2\x80\x8d",     /* zero width joiner, since Unicode 15.1 */
        "x\xf0\x9e\x93\xb0", /* Nag Mundari, since 15.0 */
        "a·",
    };
    for (size_t i = 0; i < LC_ARRAY_LEN(good); i++) check(lc_span_of_str(good[i]), "");
    check(LC_STR(""), "Empty identifiers are forbidden.");
    check(LC_STR("1a"), "Identifier `1a`'s starting character '1" START);
    check(LC_STR("·a"), "Identifier `·a`'s starting character '·" START);
    check(LC_STR("\xf0\x9f\x98\x80"),
          "Identifier `\xf0\x9f\x98\x80`'s starting character '\xf0\x9f\x98\x80" START);
    check(LC_STR("a.b"), "Identifier `a.b` contains a character '." CONTINUE);
    check(LC_STR("a\"b"), "Identifier `a\"b` contains a character '\"" CONTINUE);
    /* An error text ends at NUL, so it is shown as its picture. */
    check(LC_STR("a\0b"), "Identifier `a\xe2\x90\x80"
                          "b` contains a character '\xe2\x90\x80" CONTINUE);
    check(LC_STR("e\xcc\x81"),
          "Identifier `e\xcc\x81` is not in normalization form C according to Unicode Standard "
          "Annex 15 (http://www.unicode.org/reports/tr15/) and cannot be used for entities in a "
          "module.");
    assert_int_equal(lc_identifier_check(LC_STR("1"), NULL), LC_E_INVALID);
}

LC_TEST(case_conversion)
{
    static const struct {
        const char *source, *snake, *pascal, *camel;
    } cases[] = {
        {"FruitBasket", "fruit_basket", "FruitBasket", "fruitBasket"},
        {"playerID2", "player_id_2", "PlayerId2", "playerId2"},
        {"Vec3", "vec_3", "Vec3", "vec3"},
        {"HTTPServer", "http_server", "HttpServer", "httpServer"},
        {"XMLHTTPRequest", "xmlhttp_request", "XmlhttpRequest", "xmlhttpRequest"},
        {"HTTP2Server", "http_2_server", "Http2Server", "http2Server"},
        {"x1y2", "x_1_y_2", "X1Y2", "x1Y2"},
        {"_private__x", "private_x", "PrivateX", "privateX"},
        {"PLAYER_ID", "player_id", "PlayerId", "playerId"},
        {"do2dThing", "do_2_d_thing", "Do2DThing", "do2DThing"},
        {"u8", "u_8", "U8", "u8"},
        {"a-b c", "a_b_c", "ABC", "aBC"},
        {"_", "", "", ""},
        {"", "", "", ""},
        {"ÄpfelÖl", "äpfel_öl", "ÄpfelÖl", "äpfelÖl"},
        {"straßeNord", "straße_nord", "StraßeNord", "straßeNord"},
        {"ßx", "ßx", "SSx", "ßx"},
        {"ΟΔΟΣ", "οδος", "Οδος", "οδος"}, /* the last sigma of a word is another letter */
        {"表Name", "表name", "表name", "表name"},
    };
    for (size_t i = 0; i < LC_ARRAY_LEN(cases); i++) {
        lc_buf out = LC_BUF_INIT;
        lc_span source = lc_span_of_str(cases[i].source);
        lc_name_to_snake(source, &out);
        assert_span_text(lc_buf_span(&out), cases[i].snake);
        lc_buf_reset(&out);
        lc_name_to_pascal(source, &out);
        assert_span_text(lc_buf_span(&out), cases[i].pascal);
        lc_buf_reset(&out);
        lc_name_to_camel(source, &out);
        assert_span_text(lc_buf_span(&out), cases[i].camel);
        lc_buf_deinit(&out);
    }
}

int main(void)
{
    return LC_TEST_RUN(cmocka_unit_test(identifiers), cmocka_unit_test(case_conversion));
}
