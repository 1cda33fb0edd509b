/* Order, keys and hashes: three views of one relation, which must agree. */
#include "sats_gen.h"

static int sign(int c)
{
    return (c > 0) - (c < 0);
}

/* A few values of one type, every pair of them judged. */
static void check_values(const lc_type *t, uint64_t *seed)
{
    enum { N = 8 };
    lc_buf values[N] = {0}, keys[N] = {0};
    for (int i = 0; i < N; i++) {
        gen_value(t, seed, &values[i]);
        lc_buf_reserve(&values[i], 1); /* an address also for values without bytes */
        assert_int_equal(lc_value_key(t, values[i].ptr, &keys[i]), values[i].len);
        if (lc_type_key_size(t) >= 0) assert_int_equal(keys[i].len, lc_type_key_size(t));
    }
    for (int i = 0; i < N; i++) {
        for (int k = 0; k < N; k++) {
            int order = lc_value_compare(t, values[i].ptr, values[k].ptr);
            assert_int_equal(order,
                             sign(lc_span_compare(lc_buf_span(&keys[i]), lc_buf_span(&keys[k]))));
            assert_int_equal(order, -lc_value_compare(t, values[k].ptr, values[i].ptr));
            bool same_bytes = lc_span_equal(lc_buf_span(&values[i]), lc_buf_span(&values[k]));
            if (same_bytes) assert_int_equal(order, 0);
            if (t->bitwise_equal) assert_int_equal(order == 0, same_bytes);
            assert_int_equal(order == 0,
                             lc_value_hash(t, values[i].ptr) == lc_value_hash(t, values[k].ptr));
            /* No key begins another one. */
            if (order && keys[i].len <= keys[k].len)
                assert_memory_not_equal(keys[i].ptr, keys[k].ptr, keys[i].len);
        }
    }
    for (int i = 0; i < N; i++) {
        lc_buf_deinit(&values[i]);
        lc_buf_deinit(&keys[i]);
    }
}

LC_TEST(keys_order_as_values_do)
{
    uint64_t seed = 5;
    for (int round = 0; round < 4000; round++) {
        lc_arena a = LC_ARENA_INIT;
        check_values(gen_type(&a, &seed, (int)gen_below(&seed, 4)), &seed);
        lc_arena_deinit(&a);
    }
    /* Scalars get their share. */
    for (lc_type_kind k = LC_TYPE_STRING; k <= LC_TYPE_F64; k++)
        for (int round = 0; round < 200; round++) check_values(lc_type_scalar(k), &seed);
}

/* Keys of several columns, one behind the other, order like the product of the columns. */
LC_TEST(keys_may_be_concatenated)
{
    uint64_t seed = 6;
    for (int round = 0; round < 2000; round++) {
        lc_arena a = LC_ARENA_INIT;
        lc_type_member m[2] = {{LC_SPAN_EMPTY, gen_type(&a, &seed, 2)},
                               {LC_SPAN_EMPTY, gen_type(&a, &seed, 2)}};
        const lc_type *t = lc_type_new_product(&a, m, 2);
        lc_buf values[2] = {0}, keys[2] = {0};
        for (int i = 0; i < 2; i++) {
            gen_value(t, &seed, &values[i]);
            lc_buf_reserve(&values[i], 1);
            size_t used = lc_value_key(m[0].type, values[i].ptr, &keys[i]);
            used += lc_value_key(m[1].type, values[i].ptr + used, &keys[i]);
            assert_int_equal(used, values[i].len);
        }
        assert_int_equal(lc_value_compare(t, values[0].ptr, values[1].ptr),
                         sign(lc_span_compare(lc_buf_span(&keys[0]), lc_buf_span(&keys[1]))));
        for (int i = 0; i < 2; i++) {
            lc_buf_deinit(&values[i]);
            lc_buf_deinit(&keys[i]);
        }
        lc_arena_deinit(&a);
    }
}

/* --------------------------------------------------------------- given orders */

/* Values in ascending order, as SATS-JSON; each compares below every later one. */
static void ascending(const char *type, const char *const *json, size_t n)
{
    lc_arena a = LC_ARENA_INIT;
    const lc_type *t = type_of(&a, type);
    lc_buf values[16] = {0};
    lc_error err = LC_ERROR_INIT;
    assert_true(n <= LC_ARRAY_LEN(values));
    for (size_t i = 0; i < n; i++)
        assert_ok(lc_json_to_bsatn(t, NULL, lc_span_of_str(json[i]), &values[i], &err), &err);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < n; k++) {
            int order = lc_value_compare(t, values[i].ptr, values[k].ptr);
            if (order != (i > k) - (i < k)) print_error("%s, %s: %d\n", json[i], json[k], order);
            assert_int_equal(order, (i > k) - (i < k));
        }
    for (size_t i = 0; i < n; i++) lc_buf_deinit(&values[i]);
    lc_arena_deinit(&a);
}

#define ASCENDING(type, ...)                                                                       \
    do {                                                                                           \
        static const char *const list[] = {__VA_ARGS__};                                           \
        ascending(type, list, LC_ARRAY_LEN(list));                                                 \
    } while (0)

#define FIELD(name, t) "{\"name\":{\"some\":\"" name "\"},\"algebraic_type\":" t "}"

LC_TEST(orders_of_the_specification)
{
    ASCENDING("{\"Bool\":[]}", "false", "true");
    ASCENDING("{\"I8\":[]}", "-128", "-1", "0", "1", "127");
    ASCENDING("{\"U8\":[]}", "0", "1", "127", "128", "255");
    ASCENDING("{\"I16\":[]}", "-32768", "-256", "-1", "0", "255", "256", "32767");
    ASCENDING("{\"U16\":[]}", "0", "255", "256", "65535");
    ASCENDING("{\"I32\":[]}", "-2147483648", "-65536", "-1", "0", "255", "256", "2147483647");
    ASCENDING("{\"U32\":[]}", "0", "255", "256", "4294967295");
    ASCENDING("{\"I64\":[]}", "-9223372036854775808", "-1", "0", "256", "9223372036854775807");
    ASCENDING("{\"U64\":[]}", "0", "256", "9223372036854775808", "18446744073709551615");
    ASCENDING("{\"I128\":[]}", "-170141183460469231731687303715884105728", "-18446744073709551616",
              "-1", "0", "18446744073709551616", "170141183460469231731687303715884105727");
    ASCENDING("{\"U128\":[]}", "1", "18446744073709551616",
              "340282366920938463463374607431768211455");
    ASCENDING("{\"I256\":[]}", "\"-0x100000000000000000000000000000000\"", "\"-0x1\"", "\"0x0\"",
              "\"0xff\"", "\"0x100000000000000000000000000000000\"");
    ASCENDING("{\"U256\":[]}", "\"0x0\"", "\"0x100\"",
              "\"0x8000000000000000000000000000000000000000000000000000000000000000\"");
    ASCENDING("{\"F32\":[]}", "-3e38", "-1", "-1e-45", "0", "1e-45", "1", "1.5", "3e38");
    ASCENDING("{\"F64\":[]}", "-1e308", "-1", "-5e-324", "0", "5e-324", "1", "1e308");
    ASCENDING("{\"String\":[]}", "\"\"", "\"\\u0000\"", "\"\\u0000\\u0000\"", "\"\\u0001\"",
              "\"\\u0002\"", "\"Z\"", "\"Za\"", "\"a\"", "\"\xc3\xa9\"", "\"\xe6\x97\xa5\"",
              "\"\xf0\x9f\x98\x80\"");
    ASCENDING("{\"Array\":{\"U8\":[]}}", "\"\"", "\"00\"", "\"0000\"", "\"01\"", "\"0100\"",
              "\"02\"", "\"ff\"", "\"ff00\"", "\"ffff\"");
    ASCENDING("{\"Array\":{\"I8\":[]}}", "[]", "[-1]", "[-1,5]", "[0]", "[1]", "[1,-1]");
    ASCENDING("{\"Array\":{\"Product\":{\"elements\":[]}}}", "[]", "[[]]", "[[],[]]");
    /* some before none; sums by tag, then payload. */
    ASCENDING("{\"Sum\":{\"variants\":[" FIELD("some", "{\"U8\":[]}") "," FIELD(
                  "none", "{\"Product\":{\"elements\":[]}}") "]}}",
              "{\"some\":0}", "{\"some\":255}", "null");
    ASCENDING("{\"Product\":{\"elements\":[" FIELD("a", "{\"I8\":[]}") "," FIELD(
                  "b", "{\"String\":[]}") "]}}",
              "[-1,\"z\"]", "[0,\"a\"]", "[0,\"ab\"]", "[1,\"\"]");
}

/* Bits with their place in the order. */
LC_TEST(floats_are_totally_ordered)
{
    static const struct {
        uint64_t bits;
        int rank;
    } list[] = {
        {0xfff0000000000000, 0}, {0xbff0000000000000, 1}, {0x8000000000000001, 2},
        {0x8000000000000000, 3}, {0x0000000000000000, 3}, {0x0000000000000001, 4},
        {0x3ff0000000000000, 5}, {0x7ff0000000000000, 6}, {0x7ff0000000000001, 7},
        {0x7ff8000000000000, 7}, {0xfff8000000000000, 7}, {0xffffffffffffffff, 7},
    };
    const lc_type *t = lc_type_scalar(LC_TYPE_F64);
    for (size_t i = 0; i < LC_ARRAY_LEN(list); i++)
        for (size_t k = 0; k < LC_ARRAY_LEN(list); k++) {
            const uint8_t *a = (const uint8_t *)&list[i].bits, *b = (const uint8_t *)&list[k].bits;
            int want = sign(list[i].rank - list[k].rank);
            assert_int_equal(lc_value_compare(t, a, b), want);
            assert_int_equal(lc_value_hash(t, a) == lc_value_hash(t, b), want == 0);
        }
    static const uint32_t narrow[] = {0xff800000, 0xbf800000, 0x80000001, 0x80000000,
                                      0x00000001, 0x3f800000, 0x7f800000, 0x7f800001};
    t = lc_type_scalar(LC_TYPE_F32);
    for (size_t i = 0; i < LC_ARRAY_LEN(narrow); i++)
        for (size_t k = 0; k < LC_ARRAY_LEN(narrow); k++)
            assert_int_equal(
                lc_value_compare(t, (const uint8_t *)&narrow[i], (const uint8_t *)&narrow[k]),
                (i > k) - (i < k));
    uint32_t zeros[2] = {0, 0x80000000}, nans[2] = {0x7fc00000, 0xffc00001};
    assert_int_equal(lc_value_compare(t, (const uint8_t *)&zeros[0], (const uint8_t *)&zeros[1]),
                     0);
    assert_int_equal(lc_value_compare(t, (const uint8_t *)&nans[0], (const uint8_t *)&nans[1]), 0);
    assert_true(lc_value_hash(t, (const uint8_t *)&nans[0]) ==
                lc_value_hash(t, (const uint8_t *)&nans[1]));
}

/* The bytes themselves: they are kept in indexes, and a change would be noticed by nobody else. */
LC_TEST(keys_byte_by_byte)
{
    static const char *const cases[][3] = {
        {"{\"U16\":[]}", "258", "0102"},
        {"{\"I16\":[]}", "258", "8102"},
        {"{\"I16\":[]}", "-2", "7ffe"},
        {"{\"U32\":[]}", "16909060", "01020304"},
        {"{\"I64\":[]}", "-1", "7fffffffffffffff"},
        {"{\"I128\":[]}", "1", "80000000000000000000000000000001"},
        {"{\"F32\":[]}", "1", "bf800000"},
        {"{\"F64\":[]}", "-1", "400fffffffffffff"},
        {"{\"String\":[]}", "\"a\\u0000b\\u0001\\u0002\"",
         "610101620102"
         "0200"},
        {"{\"Array\":{\"U8\":[]}}", "\"0001ff\"", "01010102ff00"},
        {"{\"Array\":{\"U16\":[]}}", "[1,2]",
         "010001"
         "010002"
         "00"},
    };
    for (size_t i = 0; i < LC_ARRAY_LEN(cases); i++) {
        lc_arena a = LC_ARENA_INIT;
        lc_buf value = LC_BUF_INIT, key = LC_BUF_INIT;
        const lc_type *t = type_of(&a, cases[i][0]);
        assert_int_equal(lc_json_to_bsatn(t, NULL, lc_span_of_str(cases[i][1]), &value, NULL),
                         LC_OK);
        lc_value_key(t, value.ptr, &key);
        assert_string_equal(to_hex(&a, lc_buf_span(&key)), cases[i][2]);
        lc_buf_deinit(&value);
        lc_buf_deinit(&key);
        lc_arena_deinit(&a);
    }
}

int main(void)
{
    return LC_TEST_RUN(
        cmocka_unit_test(keys_order_as_values_do), cmocka_unit_test(keys_may_be_concatenated),
        cmocka_unit_test(orders_of_the_specification), cmocka_unit_test(floats_are_totally_ordered),
        cmocka_unit_test(keys_byte_by_byte));
}
