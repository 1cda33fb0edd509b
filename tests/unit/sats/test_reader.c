/* The cursor over untrusted BSATN: every read, every refusal, and that the first failure sticks. */
#include "sats_gen.h"

LC_TEST(reads_in_order)
{
    lc_arena a = LC_ARENA_INIT;
    lc_error err = LC_ERROR_INIT;
    lc_reader r = lc_reader_of(hex(&a, "01"
                                       "0302"
                                       "07060504"
                                       "0f0e0d0c0b0a0908"
                                       "01"
                                       "00"
                                       "aabb"
                                       "02000000ccdd"
                                       "02000000c3a9"
                                       "02"
                                       "00"
                                       "01"
                                       "03000000"
                                       "000000"),
                               &err);
    assert_int_equal(lc_read_u8(&r), 1);
    assert_int_equal(lc_read_u16(&r), 0x0203);
    assert_int_equal(lc_read_u32(&r), 0x04050607);
    assert_true(lc_read_u64(&r) == 0x08090a0b0c0d0e0full);
    assert_true(lc_read_bool(&r));
    assert_false(lc_read_bool(&r));
    assert_string_equal(to_hex(&a, lc_read_fixed(&r, 2)), "aabb");
    assert_string_equal(to_hex(&a, lc_read_bytes(&r)), "ccdd");
    assert_span_text(lc_read_string(&r), "\xc3\xa9");
    assert_int_equal(lc_read_tag(&r, 3, "three"), 2);
    assert_true(lc_read_option(&r));
    assert_false(lc_read_option(&r));
    assert_int_equal(lc_read_count(&r, 1), 3);
    assert_int_equal(lc_read_fixed(&r, 3).len, 3);
    assert_false(r.failed);
    assert_ptr_equal(r.at, r.end);
    assert_int_equal(err.code, LC_OK);
    lc_arena_deinit(&a);
}

static void read_one(lc_reader *r, int what)
{
    switch (what) {
    case 0:
        assert_int_equal(lc_read_u8(r), 0);
        break;
    case 1:
        assert_int_equal(lc_read_u16(r), 0);
        break;
    case 2:
        assert_int_equal(lc_read_u32(r), 0);
        break;
    case 3:
        assert_true(lc_read_u64(r) == 0);
        break;
    case 4:
        assert_false(lc_read_bool(r));
        break;
    case 5:
        assert_int_equal(lc_read_fixed(r, 5).len, 0);
        break;
    case 6:
        assert_int_equal(lc_read_bytes(r).len, 0);
        break;
    case 7:
        assert_int_equal(lc_read_string(r).len, 0);
        break;
    case 8:
        assert_int_equal(lc_read_tag(r, 3, "Lifecycle"), 0);
        break;
    case 9:
        assert_false(lc_read_option(r));
        break;
    default:
        assert_int_equal(lc_read_count(r, 4), 0);
        break;
    }
}

LC_TEST(refusals)
{
    static const struct {
        int what;
        const char *bytes, *text;
    } cases[] = {
        {0, "", "data too short for u8: Expected 1, given 0"},
        {1, "01", "data too short for u16: Expected 2, given 1"},
        {2, "010203", "data too short for u32: Expected 4, given 3"},
        {3, "01", "data too short for u64: Expected 8, given 1"},
        {4, "", "data too short for u8: Expected 1, given 0"},
        {4, "02", "byte 2 not valid as `bool` (must be 0 or 1)"},
        {5, "01020304", "data too short for [u8; _]: Expected 5, given 4"},
        {6, "0500000061", "data too short for [u8]: Expected 5, given 1"},
        {6, "05", "data too short for u32: Expected 4, given 1"},
        {7, "01000000ff", "invalid utf8"},
        {7, "ffffffff", "data too short for [u8]: Expected 4294967295, given 0"},
        {8, "03", "unknown tag 0x3 for sum type Lifecycle"},
        {8, "ff", "unknown tag 0xff for sum type Lifecycle"},
        {8, "", "data too short for u8: Expected 1, given 0"},
        {9, "02", "unknown tag 0x2 for sum type option"},
        {10, "0200000000000000", "data too short for [u8]: Expected 8, given 4"},
        {10, "ffffffff00000000", "data too short for [u8]: Expected 17179869180, given 4"},
    };
    for (size_t i = 0; i < LC_ARRAY_LEN(cases); i++) {
        lc_arena a = LC_ARENA_INIT;
        lc_error err = LC_ERROR_INIT;
        lc_span in = hex(&a, cases[i].bytes);
        lc_reader r = lc_reader_of(in, &err);
        read_one(&r, cases[i].what);
        assert_true(r.failed);
        assert_int_equal(err.code, LC_E_INVALID);
        assert_string_equal(lc_error_text(&err), cases[i].text);
        assert_ptr_equal(r.at, in.ptr); /* as if nothing had been read */
        /* Nothing after it succeeds or changes the error. */
        r.end = r.at + in.len;
        for (int what = 0; what <= 10; what++) read_one(&r, what);
        assert_null(lc_read_type(&r, &a));
        assert_null(lc_read_product_type(&r, &a));
        lc_read_fail(&r, "another");
        assert_string_equal(lc_error_text(&err), cases[i].text);
        lc_error_clear(&err);
        /* And without anybody to tell. */
        r = lc_reader_of(in, NULL);
        read_one(&r, cases[i].what);
        assert_true(r.failed);
        lc_arena_deinit(&a);
    }
}

LC_TEST(own_failures)
{
    lc_error err = LC_ERROR_INIT;
    lc_reader r = lc_reader_of(LC_SPAN_EMPTY, &err);
    assert_int_equal(lc_read_fail(&r, "no %s here", "thing"), LC_E_INVALID);
    assert_string_equal(lc_error_text(&err), "no thing here");
    lc_error_clear(&err);
}

LC_TEST(nul_in_strings_is_fine)
{
    lc_reader r = lc_reader_of(LC_SPAN("\3\0\0\0a\0b", 7), NULL);
    lc_span s = lc_read_string(&r);
    assert_int_equal(s.len, 3);
    assert_memory_equal(s.ptr, "a\0b", 3);
}

int main(void)
{
    return LC_TEST_RUN(cmocka_unit_test(reads_in_order), cmocka_unit_test(refusals),
                       cmocka_unit_test(own_failures), cmocka_unit_test(nul_in_strings_is_fine));
}
