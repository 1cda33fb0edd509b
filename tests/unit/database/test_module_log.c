/*
 * The module's log: the form of a line, the tail of a file, followers.
 */
#include "lc_test.h"

#include "database/database_internal.h"

#include <stdlib.h>
#include <unistd.h>

static char folder[] = "/tmp/lightcone-module-log-XXXXXX";

static lc_module_log *open_log(void)
{
    strcpy(folder, "/tmp/lightcone-module-log-XXXXXX");
    assert_non_null(mkdtemp(folder));
    return lc_module_log_create(folder, lc_disk_system(), lc_clock_system());
}

static void append(lc_module_log *l, const char *message)
{
    lc_buf line = LC_BUF_INIT;
    lc_module_log_record r = {.level = LC_MODULE_LOG_INFO, .message = lc_span_of_str(message)};
    lc_module_log_format(&r, 7, &line);
    lc_module_log_append(l, lc_buf_span(&line));
    lc_buf_deinit(&line);
}

static void assert_tail(lc_module_log *l, int64_t lines, const char *want)
{
    lc_buf out = LC_BUF_INIT;
    lc_error err = LC_ERROR_INIT;
    assert_ok(lc_module_log_read(l, lines, &out, &err), &err);
    assert_span_text(lc_buf_span(&out), want);
    lc_buf_deinit(&out);
}

#define LINE(m) "{\"level\":\"Info\",\"ts\":7,\"message\":\"" m "\"}\n"

LC_TEST(a_record_keeps_its_keys_in_order_and_leaves_absent_ones_out)
{
    lc_buf out = LC_BUF_INIT;
    lc_module_log_record r = {
        .level = LC_MODULE_LOG_PANIC,
        .target = LC_STR("t"),
        .filename = LC_STR("f.rs"),
        .function = LC_STR("go"),
        .has_line = true,
        .line = 12,
        .message = LC_STR("a \"quoted\"\nline"),
        .trace = LC_STR("[]"),
    };
    lc_module_log_format(&r, 99, &out);
    assert_span_text(
        lc_buf_span(&out),
        "{\"level\":\"Panic\",\"ts\":99,\"target\":\"t\",\"filename\":\"f.rs\","
        "\"line_number\":12,\"function\":\"go\",\"message\":\"a \\\"quoted\\\"\\nline\","
        "\"trace\":[]}\n");
    lc_buf_deinit(&out);
}

LC_TEST(the_tail_of_a_file_is_whole_lines)
{
    lc_module_log *l = open_log();
    assert_tail(l, -1, "");
    assert_tail(l, 5, "");
    append(l, "one");
    append(l, "two");
    append(l, "three");
    assert_tail(l, -1, LINE("one") LINE("two") LINE("three"));
    assert_tail(l, 1, LINE("three"));
    assert_tail(l, 2, LINE("two") LINE("three"));
    assert_tail(l, 9, LINE("one") LINE("two") LINE("three"));
    assert_tail(l, 0, LINE("three")); /* as the reference does */
    lc_module_log_destroy(l);
}

LC_TEST(a_reopened_log_goes_on_in_the_same_file)
{
    lc_module_log *l = open_log();
    append(l, "before");
    lc_module_log_destroy(l);
    l = lc_module_log_create(folder, lc_disk_system(), lc_clock_system());
    append(l, "after");
    assert_tail(l, -1, LINE("before") LINE("after"));
    lc_module_log_destroy(l);
}

static void collect(void *arg, lc_span line)
{
    if (line.ptr)
        lc_buf_put_span(arg, line);
    else
        lc_buf_put_str(arg, "end");
}

LC_TEST(a_follower_gets_new_lines_and_is_told_of_the_end)
{
    lc_module_log *l = open_log();
    lc_buf first = LC_BUF_INIT, second = LC_BUF_INIT;
    append(l, "old");
    lc_log_reader *r = lc_module_log_follow(l, collect, &first);
    lc_module_log_follow(l, collect, &second);
    append(l, "new");
    lc_module_log_unfollow(l, r);
    append(l, "newer");
    lc_module_log_destroy(l);
    assert_span_text(lc_buf_span(&first), LINE("new"));
    assert_span_text(lc_buf_span(&second), LINE("new") LINE("newer") "end");
    lc_buf_deinit(&first);
    lc_buf_deinit(&second);
}

LC_TEST(a_message_lives_as_long_as_its_last_reference)
{
    lc_message *m = lc_message_of(LC_STR("hello"));
    lc_delivery_batch *b = lc_delivery_batch_create(NULL);
    lc_vec_push(&b->items, ((lc_delivery){.message = lc_message_ref(m)}));
    lc_vec_push(&b->items, ((lc_delivery){.message = lc_message_ref(m)}));
    lc_message_unref(b->items.items[0].message);
    b->cursor = 1; /* the first was delivered */
    lc_delivery_batch_destroy(b);
    assert_int_equal(atomic_load(&m->refs), 1);
    lc_message_unref(m);
}

int main(void)
{
    return LC_TEST_RUN(
        cmocka_unit_test(a_record_keeps_its_keys_in_order_and_leaves_absent_ones_out),
        cmocka_unit_test(the_tail_of_a_file_is_whole_lines),
        cmocka_unit_test(a_reopened_log_goes_on_in_the_same_file),
        cmocka_unit_test(a_follower_gets_new_lines_and_is_told_of_the_end),
        cmocka_unit_test(a_message_lives_as_long_as_its_last_reference));
}
