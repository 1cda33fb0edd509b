/* UTF-8 and hexadecimal text. */
#include "lc_test.h"

#define FFFD "\xef\xbf\xbd"

static const struct {
    const char *in, *repaired;
} utf8_cases[] = {
    {"", ""},
    {"plain ascii, longer than one word", "plain ascii, longer than one word"},
    {"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"},
    {"\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf", "\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf"},
    /* What the documentation of from_utf8_lossy and Unicode's table 3-8 show. */
    {"Hello \xf0\x90\x80World", "Hello " FFFD "World"},
    {"\xc3\x28", FFFD "("},
    {"\x80", FFFD},
    {"\xff\xfe", FFFD FFFD},
    {"\xc0\xaf", FFFD FFFD},                            /* overlong */
    {"\xe0\x80\xaf", FFFD FFFD FFFD},                   /* overlong */
    {"\xed\xa0\x80", FFFD FFFD FFFD},                   /* surrogate */
    {"\xf4\x90\x80\x80", FFFD FFFD FFFD FFFD},          /* above U+10FFFF */
    {"\xe2\x82", FFFD},                                 /* cut short */
    {"\xf0\x9f\x98", FFFD},                             /* cut short */
    {"a\xf0\x9f\x98z\xe2\x82z", "a" FFFD "z" FFFD "z"}, /* cut short inside */
    {"12345678\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41", "12345678" FFFD FFFD FFFD FFFD "A"},
};

LC_TEST(utf8_repairs)
{
    lc_buf out = LC_BUF_INIT;
    for (size_t i = 0; i < LC_ARRAY_LEN(utf8_cases); i++) {
        lc_span in = lc_span_of_str(utf8_cases[i].in);
        lc_buf_reset(&out);
        lc_utf8_lossy(in, &out);
        assert_span_text(lc_buf_span(&out), utf8_cases[i].repaired);
        assert_int_equal(lc_utf8_valid(in), lc_span_equal_str(in, utf8_cases[i].repaired));
        assert_true(lc_utf8_valid(lc_buf_span(&out)));
    }
    lc_buf_deinit(&out);
}

/* Every code point written by the book is valid, at every offset of the eight-byte step. */
LC_TEST(utf8_accepts_all_code_points)
{
    char text[16] = "aaaaaaaa";
    for (uint32_t c = 0; c <= 0x110000; c += 1) {
        uint8_t *p = (uint8_t *)text + c % 8;
        size_t n;
        if (c < 0x80) {
            p[0] = (uint8_t)c, n = 1;
        } else if (c < 0x800) {
            p[0] = (uint8_t)(0xc0 | c >> 6), p[1] = 0x80 | (c & 63), n = 2;
        } else if (c < 0x10000) {
            p[0] = (uint8_t)(0xe0 | c >> 12), p[1] = 0x80 | (c >> 6 & 63), p[2] = 0x80 | (c & 63);
            n = 3;
        } else {
            p[0] = (uint8_t)(0xf0 | c >> 18), p[1] = 0x80 | (c >> 12 & 63);
            p[2] = 0x80 | (c >> 6 & 63), p[3] = 0x80 | (c & 63), n = 4;
        }
        bool want = c < 0x110000 && !(c >= 0xd800 && c < 0xe000);
        if (lc_utf8_valid(LC_SPAN(text, c % 8 + n)) != want) fail_msg("code point %x", c);
        memset(text, 'a', sizeof text);
    }
}

LC_TEST(hex_both_ways)
{
    uint8_t bytes[256], back[256];
    char text[512];
    for (int i = 0; i < 256; i++) bytes[i] = (uint8_t)i;
    lc_hex_encode(bytes, 256, text);
    assert_memory_equal(text, "000102", 6);
    assert_memory_equal(text + 508, "feff", 4);
    assert_true(lc_hex_decode(LC_SPAN(text, 512), back));
    assert_memory_equal(bytes, back, 256);
    assert_true(lc_hex_decode(LC_STR("aBcD"), back));
    assert_int_equal(back[0] << 8 | back[1], 0xabcd);
    assert_true(lc_hex_decode(LC_SPAN_EMPTY, back));
    assert_false(lc_hex_decode(LC_STR("abc"), back));
    assert_false(lc_hex_decode(LC_STR("0g"), back));
    assert_false(lc_hex_decode(LC_STR("/0"), back));
}

int main(void)
{
    return LC_TEST_RUN(cmocka_unit_test(utf8_repairs),
                       cmocka_unit_test(utf8_accepts_all_code_points),
                       cmocka_unit_test(hex_both_ways));
}
