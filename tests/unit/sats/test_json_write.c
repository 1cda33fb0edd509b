/* BSATN to SATS-JSON: the four flavours, strings, and the way there and back for random values. */
#include "sats_gen.h"

static void writes(const lc_type *t, const lc_typespace *ts, lc_span value, lc_json_flavour flavour,
                   const char *want)
{
    lc_buf out = LC_BUF_INIT;
    assert_int_equal(lc_json_write(t, ts, value.ptr, flavour, &out), value.len);
    assert_span_text(lc_buf_span(&out), want);
    lc_buf_deinit(&out);
}

/* The row of 01 section 4.1: {id: 1, who: some(Identity 0xab), at: Interval(5)}. */
LC_TEST(flavours_of_the_specification)
{
    lc_arena a = LC_ARENA_INIT;
    lc_type_member m[3] = {{LC_STR("id"), lc_type_scalar(LC_TYPE_U32)},
                           {LC_STR("who"), lc_type_new_option(&a, lc_type_identity())},
                           {LC_STR("at"), lc_type_schedule_at()}};
    const lc_type *t = lc_type_new_product(&a, m, 3);
    lc_buf row = LC_BUF_INIT;
    lc_buf_put_u32(&row, 1);
    lc_buf_put_u8(&row, 0);
    lc_buf_put_u8(&row, 0xab);
    memset(lc_buf_extend(&row, 31), 0, 31);
    lc_buf_put_u8(&row, 0);
    lc_buf_put_u64(&row, 5);
    lc_span value = lc_buf_span(&row);
    writes(t, NULL, value, LC_JSON_ROW,
           "{\"id\":1,\"who\":[0,{\"__identity__\":\"0xab\"}],\"at\":[0,{\"__time_duration_micros__"
           "\":5}]}");
    writes(t, NULL, value, LC_JSON_UNTYPED, "[1,[0,[\"0xab\"]],[0,[5]]]");
    writes(t, NULL, value, LC_JSON_TYPED,
           "{\"id\":1,\"who\":{\"some\":{\"__identity__\":\"0xab\"}},\"at\":{\"Interval\":{\"__"
           "time_duration_micros__\":5}}}");
    lc_buf_deinit(&row);

    const lc_type *option = m[1].type;
    lc_span none = LC_SPAN("\1", 1);
    writes(option, NULL, none, LC_JSON_TYPED, "{\"none\":{}}");
    writes(option, NULL, none, LC_JSON_UNTYPED, "[1,[]]");
    writes(option, NULL, none, LC_JSON_NATIVE, "{\"none\":[]}");
    writes(option, NULL, none, LC_JSON_ROW, "[1,{}]");
    lc_arena_deinit(&a);
}

LC_TEST(scalars_and_arrays)
{
    static const struct {
        const char *type, *bsatn, *json;
    } cases[] = {
        {"{\"Bool\":[]}", "00", "false"},
        {"{\"Bool\":[]}", "01", "true"},
        {"{\"I8\":[]}", "80", "-128"},
        {"{\"U8\":[]}", "ff", "255"},
        {"{\"I16\":[]}", "0080", "-32768"},
        {"{\"U16\":[]}", "ffff", "65535"},
        {"{\"I32\":[]}", "00000080", "-2147483648"},
        {"{\"U32\":[]}", "ffffffff", "4294967295"},
        {"{\"I64\":[]}", "0000000000000080", "-9223372036854775808"},
        {"{\"U64\":[]}", "0100000000002000", "9007199254740993"},
        {"{\"U64\":[]}", "ffffffffffffffff", "18446744073709551615"},
        {"{\"U128\":[]}", "ffffffffffffffffffffffffffffffff",
         "340282366920938463463374607431768211455"},
        {"{\"I128\":[]}", "00000000000000000000000000000080",
         "-170141183460469231731687303715884105728"},
        {"{\"I256\":[]}", "d6ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
         "\"-0x2a\""},
        {"{\"U256\":[]}", "0000000000000000000000000000000000000000000000000000000000000000",
         "\"0x0\""},
        {"{\"F32\":[]}", "cdcccc3d", "0.1"},
        {"{\"F64\":[]}", "000000000000f07f", "null"},
        {"{\"F64\":[]}", "0000000000000080", "-0.0"},
        {"{\"String\":[]}", "03000000610062", "\"a\\u0000b\""},
        {"{\"Array\":{\"U8\":[]}}", "03000000deadbe", "\"deadbe\""},
        {"{\"Array\":{\"U8\":[]}}", "00000000", "\"\""},
        {"{\"Array\":{\"Array\":{\"U8\":[]}}}",
         "020000000100000001"
         "00000000",
         "[\"01\",\"\"]"},
        {"{\"Array\":{\"I8\":[]}}", "0200000001ff", "[1,-1]"},
        {"{\"Array\":{\"Bool\":[]}}", "00000000", "[]"},
        {"{\"Array\":{\"Product\":{\"elements\":[]}}}", "02000000", "[[],[]]"},
    };
    for (size_t i = 0; i < LC_ARRAY_LEN(cases); i++) {
        lc_arena a = LC_ARENA_INIT;
        writes(type_of(&a, cases[i].type), NULL, hex(&a, cases[i].bsatn), LC_JSON_UNTYPED,
               cases[i].json);
        lc_arena_deinit(&a);
    }
}

LC_TEST(unnamed_members)
{
    lc_arena a = LC_ARENA_INIT;
    lc_type_member m[2] = {{LC_SPAN_EMPTY, lc_type_scalar(LC_TYPE_U8)},
                           {LC_STR("q\"n"), lc_type_scalar(LC_TYPE_BOOL)}};
    const lc_type *product = lc_type_new_product(&a, m, 2), *sum = lc_type_new_sum(&a, m, 2);
    writes(product, NULL, hex(&a, "0501"), LC_JSON_TYPED, "{\"0\":5,\"q\\\"n\":true}");
    writes(product, NULL, hex(&a, "0501"), LC_JSON_UNTYPED, "[5,true]");
    writes(sum, NULL, hex(&a, "0005"), LC_JSON_TYPED, "[0,5]");
    writes(sum, NULL, hex(&a, "0005"), LC_JSON_NATIVE, "[0,5]");
    writes(sum, NULL, hex(&a, "0101"), LC_JSON_TYPED, "{\"q\\\"n\":true}");
    writes(sum, NULL, hex(&a, "0101"), LC_JSON_ROW, "[1,true]");
    lc_arena_deinit(&a);
}

LC_TEST(references)
{
    lc_arena a = LC_ARENA_INIT;
    const lc_type *types[3] = {lc_type_scalar(LC_TYPE_U8), lc_type_new_ref(&a, 0), NULL};
    lc_typespace ts = {types, 3};
    lc_type_member m[2] = {{LC_STR("b"), lc_type_new_array(&a, lc_type_new_ref(&a, 1))},
                           {LC_STR("c"), lc_type_new_array(&a, lc_type_new_ref(&a, 2))}};
    types[2] = lc_type_new_product(&a, m, 2);
    writes(types[2], &ts,
           hex(&a, "0200000001ff"
                   "01000000"
                   "00000000"
                   "00000000"),
           LC_JSON_ROW, "{\"b\":\"01ff\",\"c\":[{\"b\":\"\",\"c\":[]}]}");
    lc_arena_deinit(&a);
}

LC_TEST(strings)
{
    static const struct {
        lc_span in;
        const char *out;
    } cases[] = {
        {LC_STR(""), "\"\""},
        {LC_STR("plain"), "\"plain\""},
        {LC_STR("\"\\/"), "\"\\\"\\\\/\""},
        {LC_STR("\b\f\n\r\t"), "\"\\b\\f\\n\\r\\t\""},
        {LC_STR("\x01\x1f\x7f"), "\"\\u0001\\u001f\x7f\""},
        {LC_STR("\0"), "\"\\u0000\""},
        {LC_STR("\xc3\xa9\xf0\x9f\x98\x80"), "\"\xc3\xa9\xf0\x9f\x98\x80\""},
        {LC_STR("end\n"), "\"end\\n\""},
        {LC_STR("\nstart"), "\"\\nstart\""},
    };
    for (size_t i = 0; i < LC_ARRAY_LEN(cases); i++) {
        lc_buf out = LC_BUF_INIT;
        lc_json_write_string(cases[i].in, &out);
        assert_span_text(lc_buf_span(&out), cases[i].out);
        lc_buf_deinit(&out);
    }
}

/* A float inside the value: null is a loss, so the way back fails or ends elsewhere. */
static bool has_float(const lc_type *t)
{
    if (t->kind == LC_TYPE_ARRAY) return has_float(t->element);
    for (uint32_t i = 0; i < t->member_count; i++)
        if (has_float(t->members[i].type)) return true;
    return t->kind == LC_TYPE_F32 || t->kind == LC_TYPE_F64;
}

static bool has_unnamed_element(const lc_type *t)
{
    if (t->kind == LC_TYPE_ARRAY) return has_unnamed_element(t->element);
    for (uint32_t i = 0; i < t->member_count; i++) {
        if (t->kind == LC_TYPE_PRODUCT && !t->members[i].name.ptr) return true;
        if (has_unnamed_element(t->members[i].type)) return true;
    }
    return false;
}

LC_TEST(random_values_come_back)
{
    uint64_t seed = 8;
    int exact = 0;
    for (int round = 0; round < 4000; round++) {
        lc_arena a = LC_ARENA_INIT;
        lc_buf value = LC_BUF_INIT, json = LC_BUF_INIT, back = LC_BUF_INIT;
        lc_error err = LC_ERROR_INIT;
        const lc_type *t = gen_type(&a, &seed, (int)gen_below(&seed, 4));
        gen_value(t, &seed, &value);
        lc_buf_reserve(&value, 1);
        for (lc_json_flavour f = LC_JSON_UNTYPED; f <= LC_JSON_ROW; f++) {
            if (f != LC_JSON_UNTYPED && has_unnamed_element(t)) continue;
            lc_buf_reset(&json);
            lc_buf_reset(&back);
            assert_int_equal(lc_json_write(t, NULL, value.ptr, f, &json), value.len);
            lc_status st = lc_json_to_bsatn(t, NULL, lc_buf_span(&json), &back, &err);
            if (has_float(t)) continue;
            assert_ok(st, &err);
            assert_span_equal(lc_buf_span(&back), lc_buf_span(&value));
            exact++;
        }
        lc_error_clear(&err);
        lc_buf_deinit(&value);
        lc_buf_deinit(&json);
        lc_buf_deinit(&back);
        lc_arena_deinit(&a);
    }
    assert_true(exact > 4000);
}

int main(void)
{
    return LC_TEST_RUN(cmocka_unit_test(flavours_of_the_specification),
                       cmocka_unit_test(scalars_and_arrays), cmocka_unit_test(unnamed_members),
                       cmocka_unit_test(references), cmocka_unit_test(strings),
                       cmocka_unit_test(random_values_come_back));
}
