/* Texts of special values, and of values for people: SATN and cells. */
#include "sats_gen.h"

/* ----------------------------------------------------- timestamps, durations */

LC_TEST(timestamps)
{
    static const struct {
        int64_t micros;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00+00:00"},
        {-1, "1969-12-31T23:59:59.999999+00:00"},
        {1739202330123456, "2025-02-10T15:45:30.123456+00:00"},
        {1739202330123000, "2025-02-10T15:45:30.123+00:00"},
        {1739202330000000, "2025-02-10T15:45:30+00:00"},
        {1739202330100000, "2025-02-10T15:45:30.100+00:00"},
        {1739202330000001, "2025-02-10T15:45:30.000001+00:00"},
        {951782400000000, "2000-02-29T00:00:00+00:00"},
        {-2203891200000000, "1900-03-01T00:00:00+00:00"},
        {-2203977600000000, "1900-02-28T00:00:00+00:00"},
        {4102444799999000, "2099-12-31T23:59:59.999+00:00"},
        {253402300799999999, "9999-12-31T23:59:59.999999+00:00"},
        {253402300800000000, "+10000-01-01T00:00:00+00:00"},
        {-62167219200000000, "0000-01-01T00:00:00+00:00"},
        {-62167219200000001, "-0001-12-31T23:59:59.999999+00:00"},
        /* The ends of the reference's calendar. */
        {8210266876799999999, "+262142-12-31T23:59:59.999999+00:00"},
        {8210266876800000000, "8210266876800000000"},
        {-8334601228800000000, "-262143-01-01T00:00:00+00:00"},
        {-8334601228800000001, "-8334601228800000001"},
        {INT64_MAX, "9223372036854775807"},
        {INT64_MIN, "-9223372036854775808"},
    };
    for (size_t i = 0; i < LC_ARRAY_LEN(cases); i++) {
        lc_buf out = LC_BUF_INIT;
        lc_timestamp_to_text(cases[i].micros, &out);
        assert_span_text(lc_buf_span(&out), cases[i].text);
        int64_t back;
        bool in_calendar =
            cases[i].micros >= -62167219200000000 && cases[i].micros < 253402300800000000;
        lc_status st = lc_timestamp_parse(lc_buf_span(&out), &back, NULL);
        assert_int_equal(st, in_calendar ? LC_OK : LC_E_INVALID);
        if (in_calendar) assert_true(back == cases[i].micros);
        lc_buf_deinit(&out);
    }
}

/* Every day of 800 years, counted one by one. */
LC_TEST(calendar)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t day_number = -135140; /* of 1600-01-01 */
    lc_buf out = LC_BUF_INIT;
    for (int year = 1600; year < 2400; year++) {
        bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        for (int month = 1; month <= 12; month++)
            for (int day = 1; day <= days[month - 1] + (month == 2 && leap); day++, day_number++) {
                char want[64];
                int64_t back, micros = day_number * 86400000000;
                snprintf(want, sizeof want, "%04d-%02d-%02dT00:00:00+00:00", year, month, day);
                lc_buf_reset(&out);
                lc_timestamp_to_text(micros, &out);
                assert_span_text(lc_buf_span(&out), want);
                assert_int_equal(lc_timestamp_parse(lc_buf_span(&out), &back, NULL), LC_OK);
                assert_true(back == micros);
            }
    }
    lc_buf_deinit(&out);
}

LC_TEST(timestamps_accepted)
{
    static const struct {
        const char *text;
        int64_t micros;
    } cases[] = {
        {"2025-02-10 15:45:30Z", 1739202330000000},
        {"2025-02-10t15:45:30z", 1739202330000000},
        {"2025-02-10T17:45:30+02:00", 1739202330000000},
        {"2025-02-10T10:15:30-05:30", 1739202330000000},
        {"2025-02-10T15:45:30-00:00", 1739202330000000},
        {"2025-02-10T15:45:30.1Z", 1739202330100000},
        {"2025-02-10T15:45:30.123456789123Z", 1739202330123456},
        {"1969-12-31T23:59:59.9999999Z", -1},
        {"2016-12-31T23:59:60Z", 1483228800000000},
        {"0000-01-01T00:00:00Z", -62167219200000000},
        {"9999-12-31T23:59:59Z", 253402300799000000},
        {"2024-02-29T00:00:00Z", 1709164800000000},
    };
    for (size_t i = 0; i < LC_ARRAY_LEN(cases); i++) {
        int64_t micros = 0;
        lc_error err = LC_ERROR_INIT;
        assert_ok(lc_timestamp_parse(lc_span_of_str(cases[i].text), &micros, &err), &err);
        if (micros != cases[i].micros) print_error("%s\n", cases[i].text);
        assert_true(micros == cases[i].micros);
    }
}

LC_TEST(timestamps_refused)
{
    static const char *const cases[] = {
        "",
        "2025-02-10",
        "2025-02-10T15:45:30",
        "2025-02-10T15:45Z",
        "2025-02-10T15:45:30+0000",
        "2025-02-10T15:45:30+00",
        "2025-02-10T24:00:00Z",
        "2025-02-10T15:60:00Z",
        "2025-02-10T15:45:61Z",
        "2025-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "2025-13-01T00:00:00Z",
        "2025-00-01T00:00:00Z",
        "2025-01-00T00:00:00Z",
        "2025-04-31T00:00:00Z",
        "25-01-01T00:00:00Z",
        "+2025-01-01T00:00:00Z",
        "12025-01-01T00:00:00Z",
        "2025-02-10T15:45:30.Z",
        "2025-02-10T15:45:30Zx",
        " 2025-02-10T15:45:30Z",
        "2025-02-10T15:45:30+24:00",
        "2025-02-10T15:45:30+01:60",
        "2025/02/10T15:45:30Z",
        "2025-02-10_15:45:30Z",
        "1739202330",
        "2025-02-10T15:45:30,5Z",
        "2025-2-10T15:45:30Z",
        "2025-02-10T15:45:30",
        "2025-02-10T15:45:30-",
    };
    for (size_t i = 0; i < LC_ARRAY_LEN(cases); i++) {
        int64_t micros;
        lc_error err = LC_ERROR_INIT;
        lc_status st = lc_timestamp_parse(lc_span_of_str(cases[i]), &micros, &err);
        if (st == LC_OK) print_error("accepted: %s\n", cases[i]);
        assert_int_equal(st, LC_E_INVALID);
        assert_string_equal(lc_error_text(&err),
                            "Invalid timestamp format. Expected RFC 3339 format "
                            "(e.g. '2025-02-10 15:45:30').");
        lc_error_clear(&err);
    }
    int64_t micros;
    assert_int_equal(lc_timestamp_parse(LC_SPAN("2025-02-10\0T15:45:30Z", 21), &micros, NULL),
                     LC_E_INVALID);
    assert_int_equal(lc_timestamp_parse(LC_SPAN("2025-02-10T15:45:30\0", 20), &micros, NULL),
                     LC_E_INVALID);
}

LC_TEST(durations)
{
    static const struct {
        int64_t micros;
        const char *text;
    } cases[] = {
        {0, "+0.000000"},
        {1500000, "+1.500000"},
        {-1, "-0.000001"},
        {-1500000, "-1.500000"},
        {INT64_MAX, "+9223372036854.775807"},
        {INT64_MIN, "-9223372036854.775808"},
    };
    for (size_t i = 0; i < LC_ARRAY_LEN(cases); i++) {
        lc_buf out = LC_BUF_INIT;
        lc_duration_to_text(cases[i].micros, &out);
        assert_span_text(lc_buf_span(&out), cases[i].text);
        lc_buf_deinit(&out);
    }
}

/* --------------------------------------------------------------- identities */

LC_TEST(identity_texts)
{
    char text[LC_IDENTITY_HEX + 1];
    lc_identity id, other;
    lc_error err = LC_ERROR_INIT;
    static const char hex_text[] =
        "c2000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e";
    assert_ok(lc_identity_parse(
                  LC_STR("0xC2000102030405060708090a0b0c0d0e0f101112131415161718191A1b1c1d1e"), &id,
                  &err),
              &err);
    assert_int_equal(id.bytes[31], 0xc2);
    assert_int_equal(id.bytes[0], 0x1e);
    lc_identity_to_hex(&id, text);
    assert_string_equal(text, hex_text);
    assert_int_equal(lc_identity_parse(lc_span_of_str(hex_text), &other, NULL), LC_OK);
    assert_true(lc_identity_equal(&id, &other));
    assert_false(lc_identity_is_zero(&id));
    other.bytes[7] ^= 1;
    assert_false(lc_identity_equal(&id, &other));
    memset(&other, 0, sizeof other);
    assert_true(lc_identity_is_zero(&other));

    static const struct {
        const char *text, *error;
    } bad[] = {
        {"", "Invalid string length"},
        {"0x", "Invalid string length"},
        {"c200", "Invalid string length"},
        {"c20", "Odd number of digits"},
        {"c2000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e00",
         "Invalid string length"},
        {"c2000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1g",
         "Invalid character 'g' at position 63"},
        {"0Xc2000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d",
         "Invalid character 'X' at position 1"},
        {"0xx2000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e",
         "Invalid character 'x' at position 0"},
    };
    for (size_t i = 0; i < LC_ARRAY_LEN(bad); i++) {
        assert_int_equal(lc_identity_parse(lc_span_of_str(bad[i].text), &id, &err), LC_E_INVALID);
        assert_string_equal(lc_error_text(&err), bad[i].error);
    }
    lc_error_clear(&err);
}

LC_TEST(connection_id_texts)
{
    char text[LC_CONNECTION_ID_HEX + 1];
    lc_connection_id id;
    lc_error err = LC_ERROR_INIT;
    assert_ok(lc_connection_id_parse(LC_STR("0102030405060708090a0b0c0d0e0f10"), &id, &err), &err);
    assert_int_equal(id.bytes[0], 0x10);
    lc_connection_id_to_hex(&id, text);
    assert_string_equal(text, "0102030405060708090a0b0c0d0e0f10");
    assert_false(lc_connection_id_is_zero(&id));
    assert_int_equal(lc_connection_id_parse(LC_STR("01"), &id, &err), LC_E_INVALID);
    assert_non_null(strstr(lc_error_text(&err),
                           "ConnectionIds must be 32 hex characters (16 bytes) in length."));
    lc_error_clear(&err);
}

/* Gives zeros at first, then a counting pattern. */
static void fill_late(void *self, void *out, size_t n)
{
    int *calls = self;
    memset(out, (*calls)++ < 2 ? 0 : 0x5a, n);
}

LC_TEST(random_connection_ids_are_not_zero)
{
    int calls = 0;
    lc_connection_id id = lc_connection_id_random(&(lc_random){fill_late, &calls});
    assert_int_equal(calls, 3);
    assert_false(lc_connection_id_is_zero(&id));
    memset(&id, 0, sizeof id);
    assert_true(lc_connection_id_is_zero(&id));
}

/* 01 section 5.4: c200, the checksum of what follows, 26 bytes of the hash. */
LC_TEST(derived_identities)
{
    lc_identity id = lc_identity_derive(LC_STR("http://localhost"), LC_STR("me"));
    uint8_t big_endian[32], checked[28] = {0xc2, 0x00}, digest[32];
    for (int i = 0; i < 32; i++) big_endian[i] = id.bytes[31 - i];
    assert_int_equal(big_endian[0], 0xc2);
    assert_int_equal(big_endian[1], 0x00);
    lc_blake3("http://localhost|me", 19, digest);
    assert_memory_equal(big_endian + 6, digest, 26);
    memcpy(checked + 2, digest, 26);
    lc_blake3(checked, sizeof checked, digest);
    assert_memory_equal(big_endian + 2, digest, 4);

    lc_identity other = lc_identity_derive(LC_STR("http://localhost"), LC_STR("you"));
    assert_false(lc_identity_equal(&id, &other));
}

/* ---------------------------------------------------------------------- uuid */

LC_TEST(uuids)
{
    static const char *const same[] = {
        "01234567-89ab-cdef-0123-456789abcdef",
        "01234567-89AB-CDEF-0123-456789ABCDEF",
        "0123456789abcdef0123456789abcdef",
        "{01234567-89ab-cdef-0123-456789abcdef}",
        "urn:uuid:01234567-89ab-cdef-0123-456789abcdef",
    };
    static const char *const bad[] = {
        "",
        "01234567",
        "01234567-89ab-cdef-0123-456789abcdeg",
        "0123456789abcdef0123456789abcdeg",
        "01234567-89ab-cdef-0123456789-abcdef",
        "{01234567-89ab-cdef-0123-456789abcdef",
        "(01234567-89ab-cdef-0123-456789abcdef)",
        "{01234567-89ab-cdef-0123-456789abcdef)",
        "(01234567-89ab-cdef-0123-456789abcdef}",
        "0x0123456789abcdef0123456789abcdef",
        "urn:UUID:01234567-89ab-cdef-0123-456789abcdef",
        "01234567_89ab_cdef_0123_456789abcdef",
        "01234567_89ab-cdef-0123-456789abcdef",
        "01234567-89ab_cdef-0123-456789abcdef",
        "01234567-89ab-cdef_0123-456789abcdef",
        "01234567-89ab-cdef-0123_456789abcdef",
    };
    static const uint8_t want[16] = {0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01,
                                     0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01};
    uint8_t value[16];
    for (size_t i = 0; i < LC_ARRAY_LEN(same); i++) {
        lc_buf out = LC_BUF_INIT;
        assert_true(lc_uuid_parse(lc_span_of_str(same[i]), value));
        assert_memory_equal(value, want, 16);
        lc_uuid_to_text(value, &out);
        assert_span_text(lc_buf_span(&out), same[0]);
        lc_buf_deinit(&out);
    }
    for (size_t i = 0; i < LC_ARRAY_LEN(bad); i++) {
        if (lc_uuid_parse(lc_span_of_str(bad[i]), value)) fail_msg("accepted: %s", bad[i]);
    }
}

LC_TEST(uuid_version_4)
{
    for (int i = 0; i < 100; i++) {
        uint8_t value[16];
        lc_buf out = LC_BUF_INIT;
        lc_uuid_v4(lc_random_system(), value);
        lc_uuid_to_text(value, &out);
        assert_int_equal(out.ptr[14], '4');
        assert_non_null(strchr("89ab", out.ptr[19]));
        lc_buf_deinit(&out);
    }
}

/* ------------------------------------------------------------ SATN and cells */

#define FIELD(name, t)  "{\"name\":{\"some\":\"" name "\"},\"algebraic_type\":" t "}"
#define NAMELESS(t)     "{\"name\":{\"none\":[]},\"algebraic_type\":" t "}"
#define PRODUCT(fields) "{\"Product\":{\"elements\":[" fields "]}}"
#define SUM(variants)   "{\"Sum\":{\"variants\":[" variants "]}}"
#define T(k)            "{\"" k "\":[]}"

LC_TEST(satn_and_cells)
{
    static const struct {
        const char *type, *json, *satn, *cell;
    } cases[] = {
        {T("Bool"), "true", "true", "true"},
        {T("I8"), "-5", "-5", "-5"},
        {T("I128"), "-170141183460469231731687303715884105728",
         "-170141183460469231731687303715884105728", "-170141183460469231731687303715884105728"},
        {T("U256"), "\"0xff\"", "255", "255"},
        {T("I256"), "\"-0xff\"", "-255", "-255"},
        {T("F64"), "1", "1", "1"},
        {T("F64"), "1e21", "1000000000000000000000", "1000000000000000000000"},
        {T("F32"), "0.1", "0.1", "0.1"},
        {T("F64"), "-0.0", "-0", "-0"},
        {T("String"), "\"a \\\"quoted\\\" | \"", "\"a \"quoted\" | \"", "\"a \"quoted\" | \""},
        {"{\"Array\":{\"U8\":[]}}", "\"00ff\"", "0x00ff", "0x00ff"},
        {"{\"Array\":{\"U8\":[]}}", "\"\"", "0x", "0x"},
        {"{\"Array\":{\"I32\":[]}}", "[1,-2,3]", "[1, -2, 3]", "1-23"},
        {"{\"Array\":{\"String\":[]}}", "[\"a\",\"b c\"]", "[\"a\", \"b c\"]", "\"a\"\"b c\""},
        {"{\"Array\":{\"I32\":[]}}", "[]", "[]", ""},
        {PRODUCT(""), "[]", "()", "()"},
        {PRODUCT(FIELD("x", T("I32")) "," FIELD("y", T("I32"))), "[1,-2]", "(x = 1, y = -2)",
         "(x = 1, y = -2)"},
        {PRODUCT(NAMELESS(T("I32")) "," NAMELESS(T("I32"))), "[1,2]", "(0 = 1, 1 = 2)",
         "(col_0 = 1, col_1 = 2)"},
        {SUM(FIELD("some", T("U8")) "," FIELD("none", PRODUCT(""))), "{\"some\":4}", "(some = 4)",
         "(some = 4)"},
        {SUM(FIELD("some", T("U8")) "," FIELD("none", PRODUCT(""))), "null", "(none = ())",
         "(none = ())"},
        {SUM(NAMELESS(T("U8"))), "[0,7]", "( = 7)", "(col_0 = 7)"},
        {PRODUCT(FIELD("__identity__", T("U256"))), "[\"0xab\"]", "(__identity__ = 171)",
         "0x00000000000000000000000000000000000000000000000000000000000000ab"},
        {PRODUCT(FIELD("__connection_id__", T("U128"))), "[4660]", "(__connection_id__ = 4660)",
         "0x00000000000000000000000000001234"},
        {PRODUCT(FIELD("__timestamp_micros_since_unix_epoch__", T("I64"))), "[1739202330123456]",
         "(__timestamp_micros_since_unix_epoch__ = 1739202330123456)",
         "2025-02-10T15:45:30.123456+00:00"},
        {PRODUCT(FIELD("__time_duration_micros__", T("I64"))), "[-1500000]",
         "(__time_duration_micros__ = -1500000)", "-1.500000"},
        {PRODUCT(FIELD("__uuid__", T("U128"))), "[0]", "(__uuid__ = 0)",
         "\"00000000-0000-0000-0000-000000000000\""},
        {PRODUCT(FIELD("at", PRODUCT(FIELD("__time_duration_micros__", T("I64"))))), "[[5]]",
         "(at = (__time_duration_micros__ = 5))", "(at = +0.000005)"},
    };
    for (size_t i = 0; i < LC_ARRAY_LEN(cases); i++) {
        lc_arena a = LC_ARENA_INIT;
        lc_buf value = LC_BUF_INIT, out = LC_BUF_INIT;
        lc_error err = LC_ERROR_INIT;
        const lc_type *t = type_of(&a, cases[i].type);
        assert_ok(lc_json_to_bsatn(t, NULL, lc_span_of_str(cases[i].json), &value, &err), &err);
        lc_buf_reserve(&value, 1);
        lc_satn_write(t, value.ptr, &out);
        assert_span_text(lc_buf_span(&out), cases[i].satn);
        lc_buf_reset(&out);
        lc_cell_write(t, value.ptr, &out);
        assert_span_text(lc_buf_span(&out), cases[i].cell);
        lc_buf_deinit(&value);
        lc_buf_deinit(&out);
        lc_arena_deinit(&a);
    }
}

int main(void)
{
    return LC_TEST_RUN(cmocka_unit_test(timestamps), cmocka_unit_test(calendar),
                       cmocka_unit_test(timestamps_accepted), cmocka_unit_test(timestamps_refused),
                       cmocka_unit_test(durations), cmocka_unit_test(identity_texts),
                       cmocka_unit_test(connection_id_texts),
                       cmocka_unit_test(random_connection_ids_are_not_zero),
                       cmocka_unit_test(derived_identities), cmocka_unit_test(uuids),
                       cmocka_unit_test(uuid_version_4), cmocka_unit_test(satn_and_cells));
}
