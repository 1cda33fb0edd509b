/* Layouts against the plain walk over the type, on random types and values, valid and damaged. */
#include "sats/sats_internal.h"
#include "sats_gen.h"

/* ------------------------------------------------------------- random rows */

static void check_row(const lc_type *t, const lc_layout *l, uint64_t *seed)
{
    lc_buf row = LC_BUF_INIT;
    size_t starts[9], size;
    lc_error err = LC_ERROR_INIT;
    for (uint32_t i = 0; i < t->member_count; i++) {
        starts[i] = row.len;
        gen_value(t->members[i].type, seed, &row);
    }
    starts[t->member_count] = row.len;
    lc_buf_put_u64(&row, lc_test_random(seed)); /* bytes behind a row are nobody's business */
    row.len -= 8;

    assert_true(lc_layout_check(l, lc_buf_span(&row), &size));
    assert_int_equal(size, row.len);
    assert_ok(lc_layout_validate(l, LC_SPAN(row.ptr, row.len + 8), &size, &err), &err);
    assert_int_equal(size, row.len);
    assert_ok(lc_bsatn_validate(t, NULL, LC_SPAN(row.ptr, row.len + 8), &size, &err), &err);
    assert_int_equal(size, row.len);
    assert_int_equal(lc_layout_row_size(l, row.ptr), row.len);
    assert_int_equal(lc_bsatn_size(t, NULL, row.ptr), row.len);

    uint32_t offsets[9];
    lc_layout_offsets(l, row.ptr, offsets);
    for (uint32_t i = 0; i < t->member_count; i++) {
        lc_span column = lc_layout_column(l, row.ptr, i);
        assert_ptr_equal(column.ptr, row.ptr + starts[i]);
        assert_int_equal(column.len, starts[i + 1] - starts[i]);
        assert_int_equal(offsets[i], starts[i]);
        if (lc_layout_column_offset(l, i) >= 0)
            assert_int_equal(lc_layout_column_offset(l, i), starts[i]);
    }
    assert_int_equal(offsets[t->member_count], row.len);
    if (lc_layout_fixed_size(l) >= 0) assert_int_equal(lc_layout_fixed_size(l), row.len);
    lc_buf_deinit(&row);
}

LC_TEST(rows_of_random_types)
{
    uint64_t seed = 1;
    int fixed = 0, varying = 0;
    for (int round = 0; round < 1500; round++) {
        lc_arena a = LC_ARENA_INIT;
        const lc_type *t = gen_row_type(&a, &seed, (int)gen_below(&seed, 4));
        lc_layout *l = lc_layout_create(t, NULL);
        assert_int_equal(lc_layout_column_count(l), t->member_count);
        assert_int_equal(lc_layout_fixed_size(l), t->fixed_size);
        bool behind_varying = false;
        for (uint32_t i = 0; i < t->member_count; i++) {
            assert_ptr_equal(lc_layout_column_type(l, i), t->members[i].type);
            assert_int_equal(lc_layout_column_offset(l, i) < 0, behind_varying);
            behind_varying |= t->members[i].type->fixed_size < 0;
        }
        fixed += !behind_varying;
        varying += behind_varying;
        for (int i = 0; i < 10; i++) check_row(t, l, &seed);
        lc_layout_destroy(l);
        lc_arena_deinit(&a);
    }
    assert_true(fixed > 200 && varying > 200);
}

/* Any bytes at all: the program and the walk agree on valid or not, and where it ends. */
LC_TEST(damaged_rows)
{
    uint64_t seed = 2;
    int good = 0, bad = 0;
    for (int round = 0; round < 6000; round++) {
        lc_arena a = LC_ARENA_INIT;
        lc_buf row = LC_BUF_INIT;
        const lc_type *t = gen_row_type(&a, &seed, (int)gen_below(&seed, 4));
        lc_layout *l = lc_layout_create(t, NULL);
        gen_value(t, &seed, &row);
        for (int i = 0; i < 12; i++) {
            /* A copy of its exact size, so that the sanitizer sees a read beyond it. */
            size_t n = row.len, program_size, walk_size;
            if (gen_below(&seed, 3) == 0) n = gen_below(&seed, (uint32_t)row.len + 1);
            uint8_t *bytes = lc_memdup(row.ptr ? row.ptr : (const uint8_t *)"", n);
            bytes = lc_realloc(bytes, n ? n : 1);
            for (uint32_t k = gen_below(&seed, 3); k > 0 && n; k--)
                bytes[gen_below(&seed, (uint32_t)n)] = (uint8_t)lc_test_random(&seed);
            lc_span in = LC_SPAN(bytes, n);
            lc_error err = LC_ERROR_INIT;
            bool program = lc_layout_check(l, in, &program_size);
            lc_status walk = lc_bsatn_validate(t, NULL, in, &walk_size, &err);
            assert_int_equal(program, walk == LC_OK);
            if (program)
                assert_int_equal(program_size, walk_size);
            else
                assert_true(lc_error_text(&err)[0] != 0);
            good += program;
            bad += !program;
            lc_error_clear(&err);
            lc_free(bytes);
        }
        lc_buf_deinit(&row);
        lc_layout_destroy(l);
        lc_arena_deinit(&a);
    }
    assert_true(good > 1000 && bad > 1000);
}

/* ----------------------------------------------------------- chosen layouts */

static void verdict(const lc_type *t, const lc_typespace *ts, lc_span in, lc_status want,
                    const char *text)
{
    lc_arena a = LC_ARENA_INIT;
    lc_error err = LC_ERROR_INIT;
    size_t size;
    lc_type_member column = {LC_STR("x"), t};
    lc_layout *l = lc_layout_create(lc_type_new_product(&a, &column, 1), ts);
    assert_int_equal(lc_layout_check(l, in, &size), want == LC_OK);
    assert_int_equal(lc_layout_validate(l, in, &size, &err), want);
    assert_string_equal(lc_error_text(&err), text);
    if (want == LC_OK) {
        assert_int_equal(size, in.len);
        assert_int_equal(lc_layout_row_size(l, in.ptr), size);
    }
    lc_error_clear(&err);
    lc_layout_destroy(l);
    lc_arena_deinit(&a);
}

#define SHORT(what, n, left) "data too short for " what ": Expected " #n ", given " #left

LC_TEST(error_texts)
{
    static const struct {
        const char *type, *bsatn, *text;
    } cases[] = {
        {"{\"Bool\":[]}", "02", "byte 2 not valid as `bool` (must be 0 or 1)"},
        {"{\"Bool\":[]}", "ff", "byte 255 not valid as `bool` (must be 0 or 1)"},
        {"{\"Bool\":[]}", "", SHORT("u8", 1, 0)},
        {"{\"I8\":[]}", "", SHORT("i8", 1, 0)},
        {"{\"U16\":[]}", "00", SHORT("u16", 2, 1)},
        {"{\"I16\":[]}", "00", SHORT("i16", 2, 1)},
        {"{\"I32\":[]}", "000000", SHORT("i32", 4, 3)},
        {"{\"U64\":[]}", "0000", SHORT("u64", 8, 2)},
        {"{\"I64\":[]}", "", SHORT("i64", 8, 0)},
        {"{\"U128\":[]}", "00", SHORT("u128", 16, 1)},
        {"{\"I128\":[]}", "00", SHORT("i128", 16, 1)},
        {"{\"I256\":[]}", "00", SHORT("i256", 32, 1)},
        {"{\"F32\":[]}", "00", SHORT("u32", 4, 1)},
        {"{\"F64\":[]}", "00", SHORT("u64", 8, 1)},
        {"{\"String\":[]}", "0000", SHORT("u32", 4, 2)},
        {"{\"String\":[]}", "ffffffff61", SHORT("[u8]", 4294967295, 1)},
        {"{\"String\":[]}", "02000000c328", "invalid utf8"},
        {"{\"String\":[]}", "03000000eda080", "invalid utf8"},
        {"{\"Array\":{\"U8\":[]}}", "ffffffff00", SHORT("[u8]", 4294967295, 1)},
        {"{\"Array\":{\"U32\":[]}}", "ffffffff0000000000", SHORT("u32", 4, 1)},
        {"{\"Array\":{\"String\":[]}}", "ffffffff00000000", SHORT("u32", 4, 0)},
        {"{\"Array\":{\"Bool\":[]}}", "03000000000102",
         "byte 2 not valid as `bool` (must be 0 or 1)"},
        {"{\"Sum\":{\"variants\":[]}}", "00", "unknown tag 0x0 for sum type <unknown>"},
        {"{\"Ref\":0}", "00", "Type reference &0 out of bounds"},
    };
    for (size_t i = 0; i < LC_ARRAY_LEN(cases); i++) {
        lc_arena a = LC_ARENA_INIT;
        verdict(type_of(&a, cases[i].type), NULL, hex(&a, cases[i].bsatn), LC_E_INVALID,
                cases[i].text);
        lc_arena_deinit(&a);
    }
}

LC_TEST(tags_of_many_variants)
{
    lc_arena a = LC_ARENA_INIT;
    lc_type_member m[300];
    for (int i = 0; i < 300; i++) m[i] = (lc_type_member){LC_SPAN_EMPTY, lc_type_unit()};
    /* Of 300 variants only those that a byte can name exist. */
    verdict(lc_type_new_sum(&a, m, 300), NULL, hex(&a, "ff"), LC_OK, "");
    verdict(lc_type_new_sum(&a, m, 256), NULL, hex(&a, "ff"), LC_OK, "");
    verdict(lc_type_new_sum(&a, m, 255), NULL, hex(&a, "fe"), LC_OK, "");
    verdict(lc_type_new_sum(&a, m, 255), NULL, hex(&a, "ff"), LC_E_INVALID,
            "unknown tag 0xff for sum type <unknown>");
    /* The same where the variants differ in size. */
    m[299].type = m[1].type = lc_type_scalar(LC_TYPE_U16);
    verdict(lc_type_new_sum(&a, m, 300), NULL, hex(&a, "ff"), LC_OK, "");
    verdict(lc_type_new_sum(&a, m, 255), NULL, hex(&a, "010203"), LC_OK, "");
    verdict(lc_type_new_sum(&a, m, 255), NULL, hex(&a, "ff0203"), LC_E_INVALID,
            "unknown tag 0xff for sum type <unknown>");
    lc_arena_deinit(&a);
}

/* A sum of one size whose variants need a look is not satisfied with a look at its tag. */
LC_TEST(checks_inside_sums_of_one_size)
{
    lc_arena a = LC_ARENA_INIT;
    lc_type_member m[2] = {{LC_STR("a"), lc_type_scalar(LC_TYPE_BOOL)},
                           {LC_STR("b"), lc_type_scalar(LC_TYPE_U8)}};
    const lc_type *sum = lc_type_new_sum(&a, m, 2);
    assert_int_equal(sum->fixed_size, 2);
    verdict(sum, NULL, hex(&a, "0001"), LC_OK, "");
    verdict(sum, NULL, hex(&a, "01ff"), LC_OK, "");
    verdict(sum, NULL, hex(&a, "00ff"), LC_E_INVALID,
            "byte 255 not valid as `bool` (must be 0 or 1)");
    verdict(lc_type_new_array(&a, sum), NULL, hex(&a, "0200000001ff00ff"), LC_E_INVALID,
            "byte 255 not valid as `bool` (must be 0 or 1)");
    lc_arena_deinit(&a);
}

/* --------------------------------------------------------------- references */

/* 0: List = Nil | Cons(U8, List); 1: -> 2, 2: -> 1; 3: -> 4, 4: U16; 5: P = (P); 6: Tree = [Tree];
 * 7: Flag = Bool; 8 + i: pairs of 9 + i, ending in a unit. */
#define PAIRS 40
static const lc_type *types[9 + PAIRS];
static const lc_typespace space = {types, 9 + PAIRS};

static void fill_space(lc_arena *a)
{
    lc_type_member cons[2] = {{LC_STR("head"), lc_type_scalar(LC_TYPE_U8)},
                              {LC_STR("tail"), lc_type_new_ref(a, 0)}};
    lc_type_member list[2] = {{LC_STR("Nil"), lc_type_unit()},
                              {LC_STR("Cons"), lc_type_new_product(a, cons, 2)}};
    lc_type_member self = {LC_STR("p"), lc_type_new_ref(a, 5)};
    types[0] = lc_type_new_sum(a, list, 2);
    types[1] = lc_type_new_ref(a, 2);
    types[2] = lc_type_new_ref(a, 1);
    types[3] = lc_type_new_ref(a, 4);
    types[4] = lc_type_scalar(LC_TYPE_U16);
    types[5] = lc_type_new_product(a, &self, 1);
    types[6] = lc_type_new_array(a, lc_type_new_ref(a, 6));
    types[7] = lc_type_scalar(LC_TYPE_BOOL);
    for (uint32_t i = 0; i < PAIRS; i++) {
        const lc_type *next = lc_type_new_ref(a, 9 + i);
        lc_type_member pair[2] = {{LC_STR("l"), next}, {LC_STR("r"), next}};
        types[8 + i] = lc_type_new_product(a, pair, 2);
    }
    types[8 + PAIRS] = lc_type_unit();
}

LC_TEST(references_are_followed)
{
    lc_arena a = LC_ARENA_INIT;
    fill_space(&a);
    lc_type_member m[5] = {{LC_STR("a"), lc_type_new_ref(&a, 3)},
                           {LC_STR("b"), lc_type_new_ref(&a, 0)},
                           {LC_STR("c"), lc_type_new_array(&a, lc_type_new_ref(&a, 4))},
                           {LC_STR("d"), lc_type_new_ref(&a, 6)},
                           {LC_STR("e"), lc_type_new_ref(&a, 7)}};
    lc_layout *l = lc_layout_create(lc_type_new_product(&a, m, 5), &space);
    lc_span row = hex(&a, "0102"
                          "010a010b00"
                          "0200000003000400"
                          "020000000000000000000000"
                          "01");
    size_t size;
    lc_error err = LC_ERROR_INIT;
    assert_true(lc_layout_check(l, row, &size));
    assert_int_equal(size, row.len);
    assert_int_equal(lc_layout_row_size(l, row.ptr), row.len);
    assert_int_equal(lc_layout_column_offset(l, 1), 2);
    assert_int_equal(lc_layout_column_offset(l, 2), -1);
    assert_string_equal(to_hex(&a, lc_layout_column(l, row.ptr, 1)), "010a010b00");
    assert_string_equal(to_hex(&a, lc_layout_column(l, row.ptr, 2)), "0200000003000400");
    assert_string_equal(to_hex(&a, lc_layout_column(l, row.ptr, 3)), "020000000000000000000000");
    assert_string_equal(to_hex(&a, lc_layout_column(l, row.ptr, 4)), "01");
    uint32_t offsets[6];
    lc_layout_offsets(l, row.ptr, offsets);
    assert_int_equal(offsets[4], row.len - 1);
    for (size_t n = 0; n < row.len; n++)
        assert_int_equal(lc_layout_validate(l, LC_SPAN(row.ptr, n), &size, &err), LC_E_INVALID);
    ((uint8_t *)(uintptr_t)row.ptr)[row.len - 1] = 2;
    assert_int_equal(lc_layout_validate(l, row, &size, &err), LC_E_INVALID);
    assert_string_equal(lc_error_text(&err), "byte 2 not valid as `bool` (must be 0 or 1)");
    lc_error_clear(&err);
    lc_layout_destroy(l);
    lc_arena_deinit(&a);
}

LC_TEST(circles_end)
{
    lc_arena a = LC_ARENA_INIT;
    fill_space(&a);
    static const char deep[] = "value nests deeper than LC_BSATN_MAX_DEPTH (1024)";
    verdict(lc_type_new_ref(&a, 1), &space, hex(&a, "00"), LC_E_INVALID,
            "Found recursive type reference &1");
    verdict(lc_type_new_ref(&a, 99), &space, hex(&a, "00"), LC_E_INVALID,
            "Type reference &99 out of bounds");
    verdict(lc_type_new_ref(&a, 5), &space, hex(&a, "00"), LC_E_LIMIT, deep);
    lc_arena_deinit(&a);
}

/* The deepest list the limit allows and the next one, to the level. */
LC_TEST(nesting_is_limited)
{
    lc_arena a = LC_ARENA_INIT;
    fill_space(&a);
    lc_buf value = LC_BUF_INIT;
    lc_layout *l;
    lc_type_member column = {LC_STR("x"), lc_type_new_ref(&a, 0)};
    const lc_type *l_type = lc_type_new_product(&a, &column, 1);
    l = lc_layout_create(l_type, &space);
    int deepest = 0;
    for (int n = 0; n < 100000; n = n < 2000 ? n + 1 : n * 4) {
        size_t program, walk;
        lc_buf_reset(&value);
        for (int i = 0; i < n; i++) lc_buf_put(&value, "\1\7", 2);
        lc_buf_put_u8(&value, 0);
        lc_error err = LC_ERROR_INIT;
        bool good = lc_layout_check(l, lc_buf_span(&value), &program);
        lc_status st = lc_bsatn_validate(l_type, &space, lc_buf_span(&value), &walk, &err);
        assert_int_equal(good, st == LC_OK);
        if (good) {
            assert_int_equal(deepest, n ? n - 1 : 0);
            deepest = n;
            assert_int_equal(lc_layout_row_size(l, value.ptr), value.len);
            /* Whoever walks a valid value has the stack for it. */
            lc_buf json = LC_BUF_INIT;
            lc_json_write(column.type, &space, value.ptr, LC_JSON_ROW, &json);
            assert_true(json.len > (size_t)n);
            lc_buf_deinit(&json);
        } else {
            assert_int_equal(st, LC_E_LIMIT);
            assert_string_equal(lc_error_text(&err),
                                "value nests deeper than LC_BSATN_MAX_DEPTH (1024)");
        }
        lc_error_clear(&err);
    }
    /* Each cell is a reference, a sum and a product. */
    assert_int_equal(deepest, LC_BSATN_MAX_DEPTH / 3);
    lc_layout_destroy(l);
    lc_buf_deinit(&value);
    lc_arena_deinit(&a);
}

/* Values without bytes: some are fine, billions are not, and telling takes no time. */
LC_TEST(values_without_bytes)
{
    static const char many[] = "more than LC_BSATN_MAX_UNITS (65536) values without bytes";
    lc_arena a = LC_ARENA_INIT;
    fill_space(&a);
    const lc_type *units = lc_type_new_array(&a, lc_type_unit());
    verdict(units, NULL, hex(&a, "02000000"), LC_OK, "");
    verdict(units, NULL, hex(&a, "00000100"), LC_OK, "");
    verdict(units, NULL, hex(&a, "05000100"), LC_E_LIMIT, many);
    verdict(units, NULL, hex(&a, "ffffffff"), LC_E_LIMIT, many);
    /* Arrays of arrays add up. */
    verdict(lc_type_new_array(&a, units), NULL, hex(&a, "020000000080000000800000"), LC_OK, "");
    verdict(lc_type_new_array(&a, units), NULL, hex(&a, "020000000080000000810000"), LC_E_LIMIT,
            many);
    /* Doubling definitions: 2^41 - 1 units from no bytes at all. */
    verdict(lc_type_new_ref(&a, 8), &space, hex(&a, "00"), LC_E_LIMIT, many);
    verdict(lc_type_new_array(&a, lc_type_new_ref(&a, 8)), &space, hex(&a, "01000000"), LC_E_LIMIT,
            many);
    verdict(lc_type_new_ref(&a, 8 + PAIRS - 10), &space, hex(&a, ""), LC_OK, "");
    /* As many as there are tags beside them is no trouble. */
    lc_buf options = LC_BUF_INIT;
    lc_buf_put_u32(&options, 300000);
    memset(lc_buf_extend(&options, 300000), 1, 300000);
    verdict(lc_type_new_array(&a, lc_type_new_option(&a, lc_type_scalar(LC_TYPE_STRING))), NULL,
            lc_buf_span(&options), LC_OK, "");
    lc_buf_deinit(&options);
    lc_arena_deinit(&a);
}

/* Rows of gigabytes cannot be made here, but their layouts can. */
LC_TEST(enormous_fixed_rows)
{
    lc_arena a = LC_ARENA_INIT;
    const lc_type *t = lc_type_scalar(LC_TYPE_U256);
    for (int i = 0; i < 25; i++) {
        lc_type_member two[2] = {{LC_SPAN_EMPTY, t}, {LC_SPAN_EMPTY, t}};
        t = lc_type_new_product(&a, two, 2);
    }
    lc_type_member m[4] = {{LC_STR("a"), lc_type_scalar(LC_TYPE_BOOL)},
                           {LC_STR("b"), t},
                           {LC_STR("c"), lc_type_scalar(LC_TYPE_BOOL)},
                           {LC_STR("d"), t}};
    size_t size;
    lc_layout *l = lc_layout_create(lc_type_new_product(&a, m, 3), NULL);
    assert_int_equal(lc_layout_fixed_size(l), (1 << 30) + 2);
    assert_int_equal(lc_layout_column_offset(l, 2), (1 << 30) + 1);
    assert_int_equal(lc_layout_validate(l, LC_SPAN("\1\1\1", 3), &size, NULL), LC_E_INVALID);
    lc_layout_destroy(l);
    /* Beyond INT32_MAX they count as varying, and their offsets as unknown. */
    l = lc_layout_create(lc_type_new_product(&a, m, 4), NULL);
    assert_int_equal(lc_layout_fixed_size(l), -1);
    assert_int_equal(lc_layout_column_offset(l, 3), (1 << 30) + 2);
    assert_int_equal(lc_layout_row_size(l, (const uint8_t *)"\1"), (1ull << 31) + 2);
    assert_int_equal(lc_layout_validate(l, LC_SPAN("\1\1\1", 3), &size, NULL), LC_E_INVALID);
    lc_layout_destroy(l);
    lc_arena_deinit(&a);
}

LC_TEST(rows_without_columns)
{
    size_t size = 7;
    uint32_t offsets[1] = {9};
    lc_layout *l = lc_layout_create(lc_type_unit(), NULL);
    assert_int_equal(lc_layout_validate(l, LC_SPAN_EMPTY, &size, NULL), LC_OK);
    assert_int_equal(size, 0);
    assert_int_equal(lc_layout_fixed_size(l), 0);
    lc_layout_offsets(l, (const uint8_t *)"", offsets);
    assert_int_equal(offsets[0], 0);
    lc_layout_destroy(l);
    lc_layout_destroy(NULL);
}

int main(void)
{
    return LC_TEST_RUN(cmocka_unit_test(rows_of_random_types), cmocka_unit_test(damaged_rows),
                       cmocka_unit_test(error_texts), cmocka_unit_test(tags_of_many_variants),
                       cmocka_unit_test(checks_inside_sums_of_one_size),
                       cmocka_unit_test(references_are_followed), cmocka_unit_test(circles_end),
                       cmocka_unit_test(nesting_is_limited), cmocka_unit_test(values_without_bytes),
                       cmocka_unit_test(enormous_fixed_rows),
                       cmocka_unit_test(rows_without_columns));
}
