/* URL decoding, query strings, compression. */
#include "lc_test.h"

#include "net/lc_net.h"

#include <brotli/decode.h>
#include <zlib.h>

static lc_arena arena;

LC_TEST(percent_encoding_is_undone)
{
    static const struct {
        const char *in, *path, *form;
    } cases[] = {
        {"", "", ""},
        {"abc", "abc", "abc"},
        {"a+b", "a+b", "a b"},
        {"%41%62%7e", "Ab~", "Ab~"},
        {"%2F%2f", "//", "//"},
        {"%2B", "+", "+"},
        {"%", "%", "%"},
        {"%4", "%4", "%4"},
        {"a%4", "a%4", "a%4"},
        {"%41", "A", "A"},
        {"%4g%g4%%41", "%4g%g4%A", "%4g%g4%A"},
        {"%e2%82%ac", "\xe2\x82\xac", "\xe2\x82\xac"},
        {"%ff", "\xff", "\xff"},
    };
    for (size_t i = 0; i < LC_ARRAY_LEN(cases); i++) {
        lc_span in = lc_span_of_str(cases[i].in);
        /* A copy of exactly that size, so that the sanitizer sees every byte too far. */
        uint8_t *copy = lc_alloc(in.len ? in.len : 1);
        memcpy(copy, in.ptr, in.len);
        assert_span_text(lc_url_decode(LC_SPAN(copy, in.len), false, &arena), cases[i].path);
        assert_span_text(lc_url_decode(LC_SPAN(copy, in.len), true, &arena), cases[i].form);
        lc_free(copy);
    }
    assert_span_equal(lc_url_decode(LC_STR("a%00b"), false, &arena), LC_SPAN("a\0b", 3));
}

static void check(const char *query, const char *key, uint32_t n, const char *want)
{
    lc_span value = LC_SPAN_EMPTY;
    bool found = lc_url_query_get(lc_span_of_str(query), key, n, &arena, &value);
    assert_int_equal(found, want != NULL);
    if (want) assert_span_text(value, want);
}

LC_TEST(queries_are_searched)
{
    check("", "a", 0, NULL);
    check("a=1", "a", 0, "1");
    check("a=1", "a", 1, NULL);
    check("a=1", "A", 0, NULL);
    check("a=1&a=2&b=3", "a", 0, "1");
    check("a=1&a=2&b=3", "a", 1, "2");
    check("a=1&a=2&b=3", "b", 0, "3");
    check("a", "a", 0, "");
    check("a=", "a", 0, "");
    check("a&b", "b", 0, "");
    check("&&a=1&&", "a", 0, "1");
    check("&", "", 0, NULL);
    check("=x", "", 0, "x");
    check("a==b=c", "a", 0, "=b=c");
    check("%61=%62+c", "a", 0, "b c");
    check("a%3Db=1", "a=b", 0, "1");
    check("aa=1", "a", 0, NULL);
}

static void gzip_round_trip(lc_span in)
{
    lc_buf out = LC_BUF_INIT, back = LC_BUF_INIT;
    lc_buf_put_str(&out, "kept");
    lc_compress_gzip(in, &out);
    assert_memory_equal(out.ptr, "kept", 4);
    z_stream z = {.next_in = out.ptr + 4, .avail_in = (uInt)(out.len - 4)};
    assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
    z.next_out = lc_buf_reserve(&back, in.len + 1);
    z.avail_out = (uInt)in.len + 1;
    assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
    assert_int_equal(z.avail_in, 0);
    back.len = z.total_out;
    inflateEnd(&z);
    assert_true(lc_span_equal(lc_buf_span(&back), in));
    lc_buf_deinit(&back);
    lc_buf_deinit(&out);
}

static void brotli_round_trip(lc_span in)
{
    lc_buf out = LC_BUF_INIT, back = LC_BUF_INIT;
    lc_buf_put_str(&out, "kept");
    lc_compress_brotli(in, &out);
    assert_memory_equal(out.ptr, "kept", 4);
    size_t room = in.len + 1;
    uint8_t *at = lc_buf_reserve(&back, room);
    assert_int_equal(BrotliDecoderDecompress(out.len - 4, out.ptr + 4, &room, at),
                     BROTLI_DECODER_RESULT_SUCCESS);
    back.len = room;
    assert_true(lc_span_equal(lc_buf_span(&back), in));
    lc_buf_deinit(&back);
    lc_buf_deinit(&out);
}

LC_TEST(what_is_compressed_comes_back)
{
    static const size_t sizes[] = {0, 1, 2, 100, 1025, 65536, 1000000, 5000000};
    uint64_t random = 7;
    for (size_t i = 0; i < LC_ARRAY_LEN(sizes); i++)
        for (int kind = 0; kind < 3; kind++) {
            uint8_t *bytes = lc_alloc(sizes[i] + 1);
            for (size_t k = 0; k < sizes[i]; k++)
                bytes[k] = kind == 0   ? 'a'
                           : kind == 1 ? (uint8_t)lc_test_random(&random)
                                       : (uint8_t)(k % 7 * (k / 1000));
            gzip_round_trip(LC_SPAN(bytes, sizes[i]));
            brotli_round_trip(LC_SPAN(bytes, sizes[i]));
            lc_free(bytes);
        }
}

int main(void)
{
    int failed = LC_TEST_RUN(cmocka_unit_test(percent_encoding_is_undone),
                             cmocka_unit_test(queries_are_searched),
                             cmocka_unit_test(what_is_compressed_comes_back));
    lc_arena_deinit(&arena);
    return failed;
}
