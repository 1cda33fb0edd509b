/* Types: what is derived from their shape, references, notation, limits. */
#include "sats_gen.h"

static const lc_type *member(lc_arena *a, lc_type_kind kind, const char *name, const lc_type *t)
{
    lc_type_member m = {name ? lc_span_of_str(name) : LC_SPAN_EMPTY, t};
    return kind == LC_TYPE_SUM ? lc_type_new_sum(a, &m, 1) : lc_type_new_product(a, &m, 1);
}

static const lc_type *pair(lc_arena *a, lc_type_kind kind, const char *n1, const lc_type *t1,
                           const char *n2, const lc_type *t2)
{
    lc_type_member m[2] = {{n1 ? lc_span_of_str(n1) : LC_SPAN_EMPTY, t1},
                           {n2 ? lc_span_of_str(n2) : LC_SPAN_EMPTY, t2}};
    return kind == LC_TYPE_SUM ? lc_type_new_sum(a, m, 2) : lc_type_new_product(a, m, 2);
}

#define S(kind) lc_type_scalar(LC_TYPE_##kind)

LC_TEST(special_shapes)
{
    lc_arena a = LC_ARENA_INIT;
    const lc_type *unit = lc_type_unit(), *duration = lc_type_duration();
    struct {
        const lc_type *t;
        lc_type_special want;
    } cases[] = {
        {member(&a, LC_TYPE_PRODUCT, "__identity__", S(U256)), LC_SPECIAL_IDENTITY},
        {member(&a, LC_TYPE_PRODUCT, "__identity__", S(U128)), LC_SPECIAL_NONE},
        {member(&a, LC_TYPE_PRODUCT, "__identity", S(U256)), LC_SPECIAL_NONE},
        {member(&a, LC_TYPE_SUM, "__identity__", S(U256)), LC_SPECIAL_NONE},
        {pair(&a, LC_TYPE_PRODUCT, "__identity__", S(U256), "x", S(U8)), LC_SPECIAL_NONE},
        {member(&a, LC_TYPE_PRODUCT, "__connection_id__", S(U128)), LC_SPECIAL_CONNECTION_ID},
        {member(&a, LC_TYPE_PRODUCT, "__timestamp_micros_since_unix_epoch__", S(I64)),
         LC_SPECIAL_TIMESTAMP},
        {member(&a, LC_TYPE_PRODUCT, "__timestamp_micros_since_unix_epoch__", S(U64)),
         LC_SPECIAL_NONE},
        {member(&a, LC_TYPE_PRODUCT, "__time_duration_micros__", S(I64)), LC_SPECIAL_DURATION},
        {member(&a, LC_TYPE_PRODUCT, "__uuid__", S(U128)), LC_SPECIAL_UUID},
        {pair(&a, LC_TYPE_SUM, "some", S(U8), "none", unit), LC_SPECIAL_OPTION},
        {pair(&a, LC_TYPE_SUM, "Some", S(U8), "None", unit), LC_SPECIAL_NONE},
        {pair(&a, LC_TYPE_SUM, "none", unit, "some", S(U8)), LC_SPECIAL_NONE},
        {pair(&a, LC_TYPE_SUM, "some", S(U8), "none", S(U8)), LC_SPECIAL_NONE},
        {pair(&a, LC_TYPE_PRODUCT, "some", S(U8), "none", unit), LC_SPECIAL_NONE},
        {lc_type_new_option(&a, lc_type_new_ref(&a, 3)), LC_SPECIAL_OPTION},
        {pair(&a, LC_TYPE_SUM, "ok", S(U8), "err", S(STRING)), LC_SPECIAL_RESULT},
        {pair(&a, LC_TYPE_SUM, "ok", S(U8), "error", S(STRING)), LC_SPECIAL_NONE},
        {pair(&a, LC_TYPE_SUM, "Ok", S(U8), "err", S(STRING)), LC_SPECIAL_NONE},
        {pair(&a, LC_TYPE_SUM, "some", S(U8), "nothing", unit), LC_SPECIAL_NONE},
        {pair(&a, LC_TYPE_SUM, "Interval", duration, "Time", lc_type_timestamp()),
         LC_SPECIAL_SCHEDULE_AT},
        {pair(&a, LC_TYPE_SUM, "Interval", lc_type_timestamp(), "Time", duration), LC_SPECIAL_NONE},
        {pair(&a, LC_TYPE_SUM, NULL, duration, NULL, lc_type_timestamp()), LC_SPECIAL_NONE},
        {lc_type_identity(), LC_SPECIAL_IDENTITY},
        {lc_type_connection_id(), LC_SPECIAL_CONNECTION_ID},
        {lc_type_timestamp(), LC_SPECIAL_TIMESTAMP},
        {lc_type_uuid(), LC_SPECIAL_UUID},
        {lc_type_schedule_at(), LC_SPECIAL_SCHEDULE_AT},
        {unit, LC_SPECIAL_NONE},
    };
    for (size_t i = 0; i < LC_ARRAY_LEN(cases); i++) {
        if (cases[i].t->special != cases[i].want) print_error("case %zu\n", i);
        assert_int_equal(cases[i].t->special, cases[i].want);
    }
    lc_arena_deinit(&a);
}

/* The singletons are what the constructors would have made. */
LC_TEST(singletons)
{
    lc_arena a = LC_ARENA_INIT;
    const lc_type *singletons[] = {
        lc_type_unit(),     lc_type_bytes(), lc_type_identity(),      lc_type_timestamp(),
        lc_type_duration(), lc_type_uuid(),  lc_type_connection_id(), lc_type_schedule_at()};
    for (size_t i = 0; i < LC_ARRAY_LEN(singletons); i++) {
        const lc_type *s = singletons[i];
        lc_buf bsatn = LC_BUF_INIT;
        lc_type_encode(s, &bsatn);
        lc_reader r = lc_reader_of(lc_buf_span(&bsatn), NULL);
        const lc_type *made = lc_read_type(&r, &a);
        assert_true(lc_type_equal(s, made));
        assert_int_equal(s->fixed_size, made->fixed_size);
        assert_int_equal(s->special, made->special);
        assert_int_equal(s->depth, made->depth);
        assert_int_equal(s->weight, made->weight);
        assert_int_equal(s->bitwise_equal, made->bitwise_equal);
        lc_buf_deinit(&bsatn);
    }
    for (lc_type_kind k = LC_TYPE_STRING; k <= LC_TYPE_F64; k++) {
        const lc_type *s = lc_type_scalar(k);
        assert_int_equal(s->kind, k);
        assert_int_equal(s->bitwise_equal, k != LC_TYPE_F32 && k != LC_TYPE_F64);
        assert_int_equal(s->weight, 1);
    }
    lc_arena_deinit(&a);
}

LC_TEST(sizes)
{
    lc_arena a = LC_ARENA_INIT;
    const lc_type *ref = lc_type_new_ref(&a, 0);
    struct {
        const lc_type *t;
        int32_t size;
    } cases[] = {
        {S(BOOL), 1},
        {S(U16), 2},
        {S(I128), 16},
        {S(U256), 32},
        {S(F64), 8},
        {S(STRING), -1},
        {lc_type_unit(), 0},
        {lc_type_bytes(), -1},
        {ref, -1},
        {pair(&a, LC_TYPE_PRODUCT, NULL, S(U8), NULL, S(U64)), 9},
        {pair(&a, LC_TYPE_PRODUCT, NULL, S(U8), NULL, S(STRING)), -1},
        {pair(&a, LC_TYPE_PRODUCT, NULL, S(U8), NULL, ref), -1},
        {pair(&a, LC_TYPE_SUM, NULL, S(U32), NULL, S(I32)), 5},
        {pair(&a, LC_TYPE_SUM, NULL, S(U32), NULL, S(U8)), -1},
        {pair(&a, LC_TYPE_SUM, NULL, S(STRING), NULL, S(STRING)), -1},
        {pair(&a, LC_TYPE_SUM, NULL, lc_type_unit(), NULL, lc_type_unit()), 1},
        {lc_type_new_array(&a, lc_type_unit()), -1},
    };
    for (size_t i = 0; i < LC_ARRAY_LEN(cases); i++) {
        if (cases[i].t->fixed_size != cases[i].size) print_error("case %zu\n", i);
        assert_int_equal(cases[i].t->fixed_size, cases[i].size);
    }
    /* 2^28 pairs of pairs of 32 bytes are more than an int32_t. */
    const lc_type *t = S(U256);
    for (int i = 0; i < 25; i++) t = pair(&a, LC_TYPE_PRODUCT, NULL, t, NULL, t);
    assert_int_equal(t->fixed_size, 1 << 30);
    t = pair(&a, LC_TYPE_PRODUCT, NULL, t, NULL, t);
    assert_int_equal(t->fixed_size, -1);
    for (int i = 0; i < 10; i++) t = pair(&a, LC_TYPE_PRODUCT, NULL, t, NULL, t);
    assert_int_equal(t->weight, UINT32_MAX);
    lc_arena_deinit(&a);
}

LC_TEST(predicates)
{
    lc_arena a = LC_ARENA_INIT;
    const lc_type *unit = lc_type_unit();
    assert_true(lc_type_is_plain_enum(pair(&a, LC_TYPE_SUM, "a", unit, "b", unit)));
    assert_true(lc_type_is_plain_enum(lc_type_new_sum(&a, NULL, 0)));
    assert_false(lc_type_is_plain_enum(pair(&a, LC_TYPE_SUM, "a", unit, "b", S(U8))));
    assert_false(lc_type_is_plain_enum(unit));
    assert_true(lc_type_is_bytes(lc_type_new_array(&a, S(U8))));
    assert_false(lc_type_is_bytes(lc_type_new_array(&a, S(I8))));
    assert_false(lc_type_is_bytes(S(U8)));
    assert_true(lc_type_is_integer(S(I8)) && lc_type_is_integer(S(U256)));
    assert_false(lc_type_is_integer(S(BOOL)) || lc_type_is_integer(S(F32)));
    lc_arena_deinit(&a);
}

LC_TEST(equality)
{
    lc_arena a = LC_ARENA_INIT;
    const lc_type *t = pair(&a, LC_TYPE_PRODUCT, "x", S(U8), "y", S(STRING));
    assert_true(lc_type_equal(t, pair(&a, LC_TYPE_PRODUCT, "x", S(U8), "y", S(STRING))));
    assert_false(lc_type_equal(t, pair(&a, LC_TYPE_PRODUCT, "x", S(U8), "z", S(STRING))));
    assert_false(lc_type_equal(t, pair(&a, LC_TYPE_PRODUCT, "x", S(U8), NULL, S(STRING))));
    assert_false(lc_type_equal(t, pair(&a, LC_TYPE_PRODUCT, "x", S(I8), "y", S(STRING))));
    assert_false(lc_type_equal(t, pair(&a, LC_TYPE_SUM, "x", S(U8), "y", S(STRING))));
    assert_false(lc_type_equal(t, member(&a, LC_TYPE_PRODUCT, "x", S(U8))));
    /* Unnamed is not the same as an empty name. */
    assert_false(lc_type_equal(member(&a, LC_TYPE_PRODUCT, "", S(U8)),
                               member(&a, LC_TYPE_PRODUCT, NULL, S(U8))));
    assert_true(lc_type_equal(lc_type_new_ref(&a, 1), lc_type_new_ref(&a, 1)));
    assert_false(lc_type_equal(lc_type_new_ref(&a, 1), lc_type_new_ref(&a, 2)));
    assert_false(lc_type_equal(lc_type_new_array(&a, S(U8)), lc_type_new_array(&a, S(I8))));
    lc_arena_deinit(&a);
}

LC_TEST(notation)
{
    static const char *const cases[][2] = {
        {"{\"U8\":[]}", "U8"},
        {"{\"Ref\":3}", "&3"},
        {"{\"Array\":{\"Array\":{\"I256\":[]}}}", "Array<Array<I256>>"},
        {"{\"Product\":{\"elements\":[]}}", "()"},
        {"{\"Sum\":{\"variants\":[]}}", "(|)"},
        {"{\"Product\":{\"elements\":[{\"name\":{\"some\":\"name\"},\"algebraic_type\":{\"Bool\":[]"
         "}},"
         "{\"name\":{\"none\":[]},\"algebraic_type\":{\"F32\":[]}}]}}",
         "(name: Bool, 1: F32)"},
        {"{\"Sum\":{\"variants\":[{\"name\":{\"some\":\"a\"},\"algebraic_type\":{\"U8\":[]}},"
         "{\"name\":{\"none\":[]},\"algebraic_type\":{\"String\":[]}}]}}",
         "(a: U8 | String)"},
    };
    for (size_t i = 0; i < LC_ARRAY_LEN(cases); i++) {
        lc_arena a = LC_ARENA_INIT;
        lc_buf out = LC_BUF_INIT;
        lc_type_print(type_of(&a, cases[i][0]), &out);
        assert_span_text(lc_buf_span(&out), cases[i][1]);
        lc_buf_reset(&out);
        lc_type_to_json(type_of(&a, cases[i][0]), &out);
        assert_span_text(lc_buf_span(&out), cases[i][0]);
        lc_buf_deinit(&out);
        lc_arena_deinit(&a);
    }
    lc_buf out = LC_BUF_INIT;
    lc_type_print(lc_type_schedule_at(), &out);
    assert_span_text(lc_buf_span(&out), "(Interval: (__time_duration_micros__: I64) | Time: "
                                        "(__timestamp_micros_since_unix_epoch__: I64))");
    lc_buf_deinit(&out);
}

LC_TEST(bare_products)
{
    static const char json[] =
        "{\"elements\":[{\"name\":{\"some\":\"q\\\"\"},\"algebraic_type\":{\"U8\":[]}},"
        "{\"name\":{\"none\":[]},\"algebraic_type\":{\"Ref\":1}}]}";
    lc_arena a = LC_ARENA_INIT;
    lc_buf out = LC_BUF_INIT;
    lc_error err = LC_ERROR_INIT;
    const lc_type *t;
    assert_ok(lc_type_product_from_json(lc_span_of_str(json), &a, &t, &err), &err);
    lc_type_product_to_json(t->members, t->member_count, &out);
    assert_span_text(lc_buf_span(&out), json);

    lc_buf_reset(&out);
    lc_type_encode(t, &out);
    lc_reader r = lc_reader_of(LC_SPAN(out.ptr + 1, out.len - 1), &err);
    assert_true(lc_type_equal(lc_read_product_type(&r, &a), t));
    assert_int_equal(lc_type_from_json(lc_span_of_str(json), &a, &t, &err), LC_E_INVALID);
    assert_int_equal(lc_type_from_json(LC_STR("{\"U9\":[]}"), &a, &t, &err), LC_E_INVALID);
    lc_error_clear(&err);
    lc_buf_deinit(&out);
    lc_arena_deinit(&a);
}

/* --------------------------------------------------------------- references */

LC_TEST(inlining)
{
    lc_arena a = LC_ARENA_INIT;
    lc_error err = LC_ERROR_INIT;
    lc_buf out = LC_BUF_INIT;
    const lc_type *types[4] = {S(U8), lc_type_new_ref(&a, 0), NULL, NULL};
    lc_typespace ts = {types, 4};
    types[2] = pair(&a, LC_TYPE_PRODUCT, "a", lc_type_new_ref(&a, 1), "b", S(STRING));
    types[3] = lc_type_new_option(&a, lc_type_new_ref(&a, 2));
    const lc_type *t = pair(&a, LC_TYPE_PRODUCT, "v", lc_type_new_array(&a, lc_type_new_ref(&a, 3)),
                            "w", lc_type_new_array(&a, lc_type_new_ref(&a, 1)));
    const lc_type *inlined;
    assert_ok(lc_type_inline(&a, &ts, t, &inlined, &err), &err);
    lc_type_print(inlined, &out);
    assert_span_text(lc_buf_span(&out),
                     "(v: Array<(some: (a: U8, b: String) | none: ())>, w: Array<U8>)");
    assert_ptr_equal(inlined->members[1].type, lc_type_bytes());
    assert_int_equal(inlined->members[0].type->element->special, LC_SPECIAL_OPTION);
    /* What holds no reference stays the same object. */
    const lc_type *again;
    assert_ok(lc_type_inline(&a, &ts, inlined, &again, &err), &err);
    assert_ptr_equal(again, inlined);
    assert_ok(lc_type_inline(&a, NULL, inlined, &again, &err), &err);
    lc_buf_deinit(&out);
    lc_arena_deinit(&a);
}

static void inline_fails(const lc_typespace *ts, const lc_type *t, lc_status want, const char *text)
{
    lc_arena a = LC_ARENA_INIT;
    lc_error err = LC_ERROR_INIT;
    const lc_type *out;
    assert_int_equal(lc_type_inline(&a, ts, t, &out, &err), want);
    assert_string_equal(lc_error_text(&err), text);
    lc_error_clear(&err);
    lc_arena_deinit(&a);
}

LC_TEST(bad_references)
{
    enum { CHAIN = 300 };
    lc_arena a = LC_ARENA_INIT;
    const lc_type *types[CHAIN];
    lc_typespace ts = {types, 6};
    types[0] = lc_type_new_ref(&a, 0);
    types[1] = member(&a, LC_TYPE_PRODUCT, "x", lc_type_new_ref(&a, 2));
    types[2] = lc_type_new_array(&a, lc_type_new_ref(&a, 1));
    types[3] = lc_type_new_option(&a, lc_type_new_ref(&a, 3));
    types[4] = NULL;
    types[5] = lc_type_new_ref(&a, 6);
    inline_fails(&ts, types[0], LC_E_INVALID, "Found recursive type reference &0");
    inline_fails(&ts, types[1], LC_E_INVALID, "Found recursive type reference &2");
    inline_fails(&ts, types[3], LC_E_INVALID, "Found recursive type reference &3");
    inline_fails(&ts, lc_type_new_ref(&a, 4), LC_E_INVALID, "Type reference &4 out of bounds");
    inline_fails(&ts, types[5], LC_E_INVALID, "Type reference &6 out of bounds");
    inline_fails(NULL, types[5], LC_E_INVALID, "Type reference &6 out of bounds");
    assert_null(lc_type_resolve(&ts, types[0]));
    assert_null(lc_type_resolve(&ts, types[5]));
    assert_null(lc_type_resolve(NULL, types[5]));
    assert_ptr_equal(lc_type_resolve(NULL, types[1]), types[1]);
    assert_ptr_equal(lc_type_resolve(&ts, lc_type_new_ref(&a, 1)), types[1]);

    /* A type in a type in a type ... */
    ts.count = CHAIN;
    for (uint32_t i = 0; i < CHAIN - 1; i++)
        types[i] = lc_type_new_array(&a, lc_type_new_ref(&a, i + 1));
    types[CHAIN - 1] = S(U16);
    const lc_type *out;
    assert_int_equal(lc_type_inline(&a, &ts, types[CHAIN - 128], &out, NULL), LC_OK);
    assert_int_equal(out->depth, 128);
    inline_fails(&ts, types[CHAIN - 129], LC_E_LIMIT,
                 "type nests deeper than LC_TYPE_MAX_DEPTH (128)");
    inline_fails(&ts, types[0], LC_E_LIMIT, "type nests deeper than LC_TYPE_MAX_DEPTH (128)");

    /* Each twice the one before: 2^41 bytes in forty short lines. */
    for (uint32_t i = 0; i < 40; i++) {
        const lc_type *next = lc_type_new_ref(&a, i + 1);
        types[i] = pair(&a, LC_TYPE_PRODUCT, "l", next, "r", next);
    }
    types[40] = S(U16);
    inline_fails(&ts, types[0], LC_E_LIMIT,
                 "type is larger than LC_TYPE_MAX_WEIGHT (262144) nodes");
    assert_int_equal(lc_type_inline(&a, &ts, types[24], &out, NULL), LC_OK);
    assert_int_equal(out->fixed_size, 131072);
    lc_arena_deinit(&a);
}

/* ------------------------------------------------------------------ reading */

LC_TEST(malformed_types)
{
    static const char *const cases[][2] = {
        {"", "data too short for u8: Expected 1, given 0"},
        {"14", "unknown tag 0x14 for sum type AlgebraicType"},
        {"00010203", "data too short for u32: Expected 4, given 3"},
        {"0201000000", "data too short for u8: Expected 1, given 0"},
        {"020100000002", "unknown tag 0x2 for sum type option"},
        {"02ffffffff", "data too short for u8: Expected 1, given 0"},
        {"02ffffffff0107", "data too short for u8: Expected 1, given 0"},
        {"020100000000ffffffff61", "data too short for [u8]: Expected 4294967295, given 1"},
        {"02010000000001000000ff07", "invalid utf8"},
        {"0103", "data too short for u32: Expected 4, given 1"},
        {"03", "data too short for u8: Expected 1, given 0"},
    };
    for (size_t i = 0; i < LC_ARRAY_LEN(cases); i++) {
        lc_arena a = LC_ARENA_INIT;
        lc_error err = LC_ERROR_INIT;
        lc_reader r = lc_reader_of(hex(&a, cases[i][0]), &err);
        assert_null(lc_read_type(&r, &a));
        assert_true(r.failed);
        assert_string_equal(lc_error_text(&err), cases[i][1]);
        lc_error_clear(&err);
        lc_arena_deinit(&a);
    }
}

LC_TEST(nesting_of_types_is_limited)
{
    lc_arena a = LC_ARENA_INIT;
    lc_error err = LC_ERROR_INIT;
    uint8_t bytes[100000];
    memset(bytes, LC_TYPE_ARRAY, sizeof bytes);
    bytes[127] = LC_TYPE_U16;
    lc_reader r = lc_reader_of(LC_SPAN(bytes, 128), &err);
    assert_int_equal(lc_read_type(&r, &a)->depth, 128);
    bytes[127] = LC_TYPE_ARRAY;
    bytes[128] = LC_TYPE_U16;
    r = lc_reader_of(LC_SPAN(bytes, 129), &err);
    assert_null(lc_read_type(&r, &a));
    assert_string_equal(lc_error_text(&err), "type nests deeper than LC_TYPE_MAX_DEPTH (128)");
    assert_int_equal(err.code, LC_E_LIMIT);
    bytes[128] = LC_TYPE_ARRAY;
    r = lc_reader_of(LC_SPAN(bytes, sizeof bytes), &err);
    assert_null(lc_read_type(&r, &a));
    /* Counts that claim more than there is, in every level: refused before memory is taken. */
    uint8_t claims[120 * 6];
    for (int i = 0; i < 120; i++) memcpy(claims + i * 6, "\x02\xff\xff\xff\xff\x01", 6);
    r = lc_reader_of(LC_SPAN(claims, sizeof claims), &err);
    assert_null(lc_read_type(&r, &a));
    lc_error_clear(&err);
    lc_arena_deinit(&a);
}

/* Random types survive both ways of writing them. */
LC_TEST(random_types_come_back)
{
    uint64_t seed = 3;
    for (int i = 0; i < 500; i++) {
        lc_arena a = LC_ARENA_INIT;
        lc_buf out = LC_BUF_INIT;
        lc_error err = LC_ERROR_INIT;
        const lc_type *t = gen_type(&a, &seed, 4), *back;
        lc_type_encode(t, &out);
        lc_reader r = lc_reader_of(lc_buf_span(&out), &err);
        back = lc_read_type(&r, &a);
        assert_ptr_equal(r.at, r.end);
        assert_true(lc_type_equal(t, back) && lc_type_equal(back, t));
        assert_int_equal(t->fixed_size, back->fixed_size);
        assert_int_equal(t->special, back->special);
        lc_buf json = LC_BUF_INIT;
        lc_type_to_json(t, &json);
        assert_ok(lc_type_from_json(lc_buf_span(&json), &a, &back, &err), &err);
        assert_true(lc_type_equal(t, back));
        lc_buf_deinit(&json);
        lc_buf_deinit(&out);
        lc_arena_deinit(&a);
    }
}

int main(void)
{
    return LC_TEST_RUN(
        cmocka_unit_test(special_shapes), cmocka_unit_test(singletons), cmocka_unit_test(sizes),
        cmocka_unit_test(predicates), cmocka_unit_test(equality), cmocka_unit_test(notation),
        cmocka_unit_test(bare_products), cmocka_unit_test(inlining),
        cmocka_unit_test(bad_references), cmocka_unit_test(malformed_types),
        cmocka_unit_test(nesting_of_types_is_limited), cmocka_unit_test(random_types_come_back));
}
