/* Tables and log lines as the reference prints them (the texts are from its records). */
#include "lc_test.h"

#include "cli/cli.h"

static void check_table(size_t columns, const char *const *cells, const char *want)
{
    lc_text_table table = {.columns = columns};
    lc_buf out = LC_BUF_INIT;
    for (; *cells; cells++) lc_text_table_add(&table, lc_span_of_str(*cells));
    lc_text_table_print(&table, &out);
    assert_span_text(lc_buf_span(&out), want);
    lc_buf_deinit(&out);
    lc_text_table_deinit(&table);
}

LC_TEST(tables)
{
    check_table(2,
                (const char *const[]){"id", "text", "1", "\"plain\"", "2",
                                      "\"a \"quoted\" | bar\nnext é🍷\"", NULL},
                " id | text              \n"
                "----+-------------------\n"
                " 1  | \"plain\"           \n"
                " 2  | \"a \"quoted\" | bar \n"
                "    | next é🍷\"         \n");
    check_table(1, (const char *const[]){"id", NULL}, " id \n----\n");
    check_table(2, (const char *const[]){"id", "words", "1", "", NULL},
                " id | words \n----+-------\n 1  |       \n");
    check_table(0, (const char *const[]){NULL}, "\n");
}

static void check_line(const char *record, bool has_colour, const char *want)
{
    lc_buf out = LC_BUF_INIT;
    lc_log_line_print(lc_span_of_str(record), has_colour, &out);
    assert_span_text(lc_buf_span(&out), want);
    lc_buf_deinit(&out);
}

LC_TEST(log_lines)
{
    check_line("{\"level\":\"Info\",\"ts\":1763672400000456,\"target\":\"__spacetimedb__\","
               "\"filename\":\"__spacetimedb__\",\"function\":\"__spacetimedb__\","
               "\"message\":\"Creating table `bottle`\"}",
               false, "2025-11-20T21:00:00.000456Z  INFO: Creating table `bottle`\n");
    check_line("{\"level\":\"Error\",\"ts\":1763672400123456,\"filename\":\"src/lib.rs\","
               "\"line_number\":110,\"function\":\"shout\",\"message\":\"a\\nb\"}",
               false, "2025-11-20T21:00:00.123456Z ERROR: shout src/lib.rs:110: a\nb\n");
    check_line("{\"level\":\"Error\",\"ts\":0,\"filename\":\"__spacetimedb__\","
               "\"function\":\"refuse\",\"message\":\"why\"}",
               false, "1970-01-01T00:00:00.000000Z ERROR: refuse: why\n");
    check_line("{\"level\":\"Panic\",\"ts\":0,\"message\":\"m\",\"trace\":[{\"func_name\":\"f\"},"
               "{\"module_name\":\"n\",\"func_name\":\"g\"}]}",
               false, "1970-01-01T00:00:00.000000Z PANIC: m\n    in f\n    in n :: g\n");
    check_line("{\"level\":\"Warn\",\"ts\":0,\"function\":\"f\",\"message\":\"m\"}", true,
               "\x1b[0m\x1b[2m1970-01-01T00:00:00.000000Z \x1b[0m\x1b[33m WARN\x1b[0m: "
               "\x1b[2mf\x1b[0m: m\n");
    check_line("no record", false, "no record\n");
}

LC_TEST(log_levels)
{
    assert_int_equal(lc_log_line_level_of(LC_STR("{\"level\":\"Trace\"}")), LC_LINE_TRACE);
    assert_int_equal(lc_log_line_level_of(LC_STR("{\"level\":\"Panic\"}")), LC_LINE_PANIC);
    assert_int_equal(lc_log_line_level_of(LC_STR("{\"level\":\"Loud\"}")), LC_LINE_UNKNOWN);
    assert_int_equal(lc_log_line_level_of(LC_STR("{\"level\":3}")), LC_LINE_UNKNOWN);
    assert_int_equal(lc_log_line_level_of(LC_STR("")), LC_LINE_UNKNOWN);
}

int main(void)
{
    return LC_TEST_RUN(cmocka_unit_test(tables), cmocka_unit_test(log_lines),
                       cmocka_unit_test(log_levels));
}
