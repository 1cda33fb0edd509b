/* Numbers as text: shortest floats, wide integers, hexadecimal. */
#include "sats/sats_internal.h"
#include "sats_gen.h"

#include <locale.h>
#include <math.h>

static double f64_of(uint64_t bits)
{
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static float f32_of(uint32_t bits)
{
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

LC_TEST(f64_json)
{
    static const struct {
        double v;
        const char *text;
    } cases[] = {
        {0.0, "0.0"},
        {-0.0, "-0.0"},
        {1.0, "1.0"},
        {-2.5, "-2.5"},
        {0.1, "0.1"},
        {1.0 / 3, "0.3333333333333333"},
        {100, "100.0"},
        {123456789.125, "123456789.125"},
        {1e15, "1000000000000000.0"},
        {1e16, "1e16"},
        {1e20, "1e20"},
        {12345678901234567890.0, "1.2345678901234567e19"},
        {1.5e-7, "1.5e-7"},
        {0.0001, "0.0001"},
        {0.00001, "0.00001"},
        {0.000001, "1e-6"},
        {0.00001234, "0.00001234"},
        {0.000001234, "1.234e-6"},
        {9007199254740993.0, "9007199254740992.0"},
        {1.7976931348623157e308, "1.7976931348623157e308"},
        {2.2250738585072014e-308, "2.2250738585072014e-308"},
        {5e-324, "5e-324"},
        {9.5e-323, "9.4e-323"},
        {NAN, "null"},
        {INFINITY, "null"},
        {-INFINITY, "null"},
        {18446744073709551616.0, "1.8446744073709552e19"},
        /* Powers of two, where the distance to the next number changes. */
        {9007199254740992.0, "9007199254740992.0"},
        {0x1p-44, "5.684341886080802e-14"},
        {0x1p-1022, "2.2250738585072014e-308"},
        {0x1p-24, "5.960464477539063e-8"},
    };
    for (size_t i = 0; i < LC_ARRAY_LEN(cases); i++) {
        lc_buf out = LC_BUF_INIT;
        lc_json_write_f64(cases[i].v, &out);
        assert_span_text(lc_buf_span(&out), cases[i].text);
        lc_buf_deinit(&out);
    }
}

LC_TEST(f32_json)
{
    static const struct {
        float v;
        const char *text;
    } cases[] = {
        {0.0f, "0.0"},
        {-0.0f, "-0.0"},
        {1.0f, "1.0"},
        {0.1f, "0.1"},
        {0.3f, "0.3"},
        {16777216.0f, "16777216.0"},
        {123456.79f, "123456.79"},
        {1e12f, "1000000000000.0"},
        {1e13f, "1e13"},
        {3.4028235e38f, "3.4028235e38"},
        {1.1754944e-38f, "1.1754944e-38"},
        {1e-45f, "1e-45"},
        {0.00001f, "0.00001"},
        {0.000001f, "0.000001"},
        {0.0000001f, "1e-7"},
        {1.5e-7f, "1.5e-7"},
        {NAN, "null"},
        {INFINITY, "null"},
        /* 2^-27, 2^96: at some powers of two only the decimal above is short. */
        {0x1p-27f, "7.450581e-9"},
        {0x1p96f, "7.9228163e28"},
    };
    for (size_t i = 0; i < LC_ARRAY_LEN(cases); i++) {
        lc_buf out = LC_BUF_INIT;
        lc_json_write_f32(cases[i].v, &out);
        assert_span_text(lc_buf_span(&out), cases[i].text);
        lc_buf_deinit(&out);
    }
}

LC_TEST(display)
{
    static const struct {
        double v;
        const char *text;
    } cases[] = {
        {1.0, "1"},
        {-0.0, "-0"},
        {0.0, "0"},
        {1.5, "1.5"},
        {1e21, "1000000000000000000000"},
        {1e-7, "0.0000001"},
        {-123.25, "-123.25"},
        {NAN, "NaN"},
        {-NAN, "NaN"},
        {INFINITY, "inf"},
        {-INFINITY, "-inf"},
    };
    lc_buf out = LC_BUF_INIT;
    for (size_t i = 0; i < LC_ARRAY_LEN(cases); i++) {
        lc_buf_reset(&out);
        lc_float_display_f64(cases[i].v, &out);
        assert_span_text(lc_buf_span(&out), cases[i].text);
    }
    lc_buf_reset(&out);
    lc_float_display_f32(0.1f, &out);
    lc_buf_put_u8(&out, ' ');
    lc_float_display_f32(-INFINITY, &out);
    assert_span_text(lc_buf_span(&out), "0.1 -inf");
    lc_buf_deinit(&out);
}

/* The digits read back, and no decimal of one digit less does. */
static void check_shortest(double v, bool narrow)
{
    lc_decimal d = narrow ? lc_decimal_of_f32((float)v) : lc_decimal_of_f64(v);
    char text[64];
    assert_int_equal(d.negative, signbit(v) != 0);
    snprintf(text, sizeof text, "%s%.*se%d", d.negative ? "-" : "", d.count, d.digits,
             d.point - d.count);
    double back = narrow ? (double)strtof(text, NULL) : strtod(text, NULL);
    assert_memory_equal(&back, &v, sizeof v);
    if (d.count == 1) return;
    assert_true(d.digits[0] != '0' && d.digits[d.count - 1] != '0');
    /* All decimals with fewer digits near v: the two around it. */
    char shorter[64];
    snprintf(shorter, sizeof shorter, "%.*e", d.count - 2, fabs(v));
    char *e = strchr(shorter, 'e');
    int exponent = atoi(e + 1) - (d.count - 2);
    uint64_t digits = 0;
    for (char *p = shorter; p < e; p++)
        if (*p != '.') digits = digits * 10 + (uint64_t)(*p - '0');
    for (uint64_t n = digits - 1; n <= digits + 1; n++) {
        snprintf(text, sizeof text, "%llue%d", (unsigned long long)n, exponent);
        back = narrow ? (double)strtof(text, NULL) : strtod(text, NULL);
        assert_true(back != fabs(v));
    }
}

LC_TEST(random_floats_are_shortest)
{
    uint64_t seed = 10;
    for (int i = 0; i < 20000; i++) {
        double d = f64_of(lc_test_random(&seed));
        float f = f32_of((uint32_t)lc_test_random(&seed));
        if (isfinite(d) && d != 0) check_shortest(d, false);
        if (isfinite(f) && f != 0) check_shortest((double)f, true);
    }
    for (int e = 1; e < 2047; e++) check_shortest(f64_of((uint64_t)e << 52), false);
    for (uint32_t e = 1; e < 255; e++) check_shortest((double)f32_of(e << 23), true);
    for (int i = 0; i < 500; i++) check_shortest(f64_of(1 + (uint64_t)i * i), false);
}

/* A program that embeds us may write numbers its own way; we do not. */
LC_TEST(locale_does_not_matter)
{
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "C.UTF-8"};
    for (size_t i = 0; i < LC_ARRAY_LEN(names); i++)
        if (setlocale(LC_NUMERIC, names[i])) break;
    lc_buf out = LC_BUF_INIT;
    lc_json_write_f64(1234.5, &out);
    assert_span_text(lc_buf_span(&out), "1234.5");
    assert_true(lc_float_parse("1234.5") == 1234.5);
    setlocale(LC_NUMERIC, "C");
    lc_buf_deinit(&out);
}

/* ---------------------------------------------------------------- integers */

LC_TEST(wide_integers_in_decimal)
{
    uint64_t seed = 11;
    for (int i = 0; i < 2000; i++) {
        uint8_t bytes[32] = {0};
        size_t n = gen_below(&seed, 17);
        for (size_t k = 0; k < n; k++) bytes[k] = (uint8_t)lc_test_random(&seed);
        unsigned __int128 v;
        memcpy(&v, bytes, sizeof v);
        char text[64], *at = text + sizeof text - 1;
        *at = 0;
        unsigned __int128 rest = v;
        do *--at = (char)('0' + (int)(rest % 10));
        while (rest /= 10);
        lc_buf out = LC_BUF_INIT;
        lc_u128_to_decimal(bytes, false, &out);
        assert_span_text(lc_buf_span(&out), at);
        /* The same number in 32 bytes, and negated in both widths. */
        lc_buf_reset(&out);
        lc_u256_to_decimal(bytes, false, &out);
        assert_span_text(lc_buf_span(&out), at);
        if (v && !(v >> 127)) {
            unsigned __int128 negative = 0 - v;
            uint8_t wide[32];
            memset(wide, 0xff, sizeof wide);
            memcpy(wide, &negative, sizeof negative);
            *--at = '-';
            lc_buf_reset(&out);
            lc_u128_to_decimal(wide, true, &out);
            assert_span_text(lc_buf_span(&out), at);
            lc_buf_reset(&out);
            lc_u256_to_decimal(wide, true, &out);
            assert_span_text(lc_buf_span(&out), at);
        }
        lc_buf_deinit(&out);
    }
    uint8_t max[32], min[32] = {0};
    memset(max, 0xff, sizeof max);
    min[31] = 0x80;
    lc_buf out = LC_BUF_INIT;
    lc_u256_to_decimal(max, false, &out);
    lc_buf_put_u8(&out, ' ');
    lc_u256_to_decimal(min, true, &out);
    assert_span_text(
        lc_buf_span(&out),
        "115792089237316195423570985008687907853269984665640564039457584007913129639935 "
        "-57896044618658097711785492504343953926634992332820282019728792003956564819968");
    lc_buf_deinit(&out);
}

LC_TEST(hexadecimal_of_256_bits)
{
    static const struct {
        const char *text;
        bool is_signed;
        const char *back; /* NULL = refused with error */
        const char *error;
    } cases[] = {
        {"0x0", false, "0x0", NULL},
        {"0x00ff", false, "0xff", NULL},
        {"+0xABC", false, "0xabc", NULL},
        {"-0x2a", true, "-0x2a", NULL},
        {"-0x0", true, "0x0", NULL},
        {"0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", true,
         "0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", NULL},
        {"-0x8000000000000000000000000000000000000000000000000000000000000000", true,
         "-0x8000000000000000000000000000000000000000000000000000000000000000", NULL},
        {"0xffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", false,
         "0xffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", NULL},
        {"0x0000ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", false,
         "0xffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", NULL},
        {"0x8000000000000000000000000000000000000000000000000000000000000000", true, NULL,
         "number too large to fit in target type"},
        {"-0x8000000000000000000000000000000000000000000000000000000000000001", true, NULL,
         "number too small to fit in target type"},
        {"-0xffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", true, NULL,
         "number too small to fit in target type"},
        {"0x10000000000000000000000000000000000000000000000000000000000000000", false, NULL,
         "number too large to fit in target type"},
        {"", false, NULL, "cannot parse integer from empty string"},
        {"-", true, NULL, "invalid digit found in string"},
        {"+", false, NULL, "invalid digit found in string"},
        {"0x", false, NULL, "invalid digit found in string"},
        {"0X1", false, NULL, "invalid digit found in string"},
        {"ff", false, NULL, "invalid digit found in string"},
        {"-0x1", false, NULL, "invalid digit found in string"},
        {"--0x1", true, NULL, "invalid digit found in string"},
        {"0x-1", true, NULL, "invalid digit found in string"},
        {"0x1 ", false, NULL, "invalid digit found in string"},
    };
    for (size_t i = 0; i < LC_ARRAY_LEN(cases); i++) {
        uint8_t value[32];
        lc_buf out = LC_BUF_INIT;
        const char *error =
            lc_u256_parse_hex(lc_span_of_str(cases[i].text), cases[i].is_signed, value);
        if (cases[i].back) {
            assert_null(error);
            lc_u256_to_hex(value, cases[i].is_signed, &out);
            assert_span_text(lc_buf_span(&out), cases[i].back);
        } else {
            assert_non_null(error);
            assert_string_equal(error, cases[i].error);
        }
        lc_buf_deinit(&out);
    }
}

int main(void)
{
    return LC_TEST_RUN(
        cmocka_unit_test(f64_json), cmocka_unit_test(f32_json), cmocka_unit_test(display),
        cmocka_unit_test(random_floats_are_shortest), cmocka_unit_test(locale_does_not_matter),
        cmocka_unit_test(wide_integers_in_decimal), cmocka_unit_test(hexadecimal_of_256_bits));
}
