/* Text messages of v1: what is taken, and what a client is told of what is not. */
#include "lc_test.h"

#include "api/protocol.h"

static lc_status decode(const char *text, lc_request_batch *b, lc_error *err)
{
    return lc_ws_decode_v1_json(b, NULL, lc_span_of_str(text), err);
}

static void expect_refusal(const char *text, const char *reason)
{
    lc_request_batch *b = lc_request_batch_create();
    lc_error err = LC_ERROR_INIT;
    assert_int_equal(decode(text, b, &err), LC_E_INVALID);
    assert_string_equal(lc_error_text(&err), reason);
    assert_int_equal(b->count, 0);
    assert_null(b->first);
    lc_error_clear(&err);
    lc_arena_deinit(&b->arena);
    lc_free(b);
}

/* A call of `nop` with request id 4 and flags 1, in whatever form. */
static void expect_call(const char *text)
{
    lc_request_batch *b = lc_request_batch_create();
    lc_error err = LC_ERROR_INIT;
    assert_ok(decode(text, b, &err), &err);
    assert_int_equal(b->count, 1);
    assert_int_equal(b->first->kind, LC_REQUEST_CALL);
    assert_span_text(b->first->name, "nop");
    assert_span_text(b->first->args, "[]");
    assert_true(b->first->args_are_json);
    assert_int_equal(b->first->request_id, 4);
    assert_int_equal(b->first->flags, 1);
    lc_arena_deinit(&b->arena);
    lc_free(b);
}

LC_TEST(forms_of_a_message)
{
    expect_call(
        "{\"CallReducer\":{\"reducer\":\"nop\",\"args\":\"[]\",\"request_id\":4,\"flags\":1}}");
    expect_call(
        "{\"CallReducer\":{\"flags\":1,\"request_id\":4,\"args\":\"[]\",\"reducer\":\"nop\"}}");
    expect_call("{\"CallReducer\":[\"nop\",\"[]\",4,1]}");
    expect_call("[\"CallReducer\",[\"nop\",\"[]\",4,1]]");
    expect_call("[0,[\"nop\",\"[]\",4,1]]");
    expect_call("{\"0\":[\"nop\",\"[]\",4,1]}");
    expect_call(" { \"CallReducer\" : [ \"n\\u006fp\" ,\t\"[]\", 4 , 1 ] } \r\n");
}

#define CALL(fields) "{\"CallReducer\":{\"reducer\":\"nop\",\"args\":\"[]\"," fields "}}"
#define VARIANTS                                                                                   \
    ", `CallReducer`one of `Subscribe`, `OneOffQuery`, `SubscribeSingle`, `SubscribeMulti`, "      \
    "`Unsubscribe`, `UnsubscribeMulti`, `CallProcedure`"
#define MULTI(id) "{\"SubscribeMulti\":{\"query_strings\":[],\"request_id\":2,\"query_id\":" id "}}"

LC_TEST(fields_of_a_message)
{
    expect_refusal(CALL("\"request_id\":4"), "missing field `flags` at line 1 column 59");
    expect_refusal(CALL("\"request_id\":4,\"flags\":0,\"extra\":1"),
                   "unknown field `extra`, expected , `reducer`one of `args`, `request_id`, "
                   "`flags` at line 1 column 76");
    expect_refusal(CALL("\"request_id\":4,\"flags\":0,\"flags\":0"),
                   "duplicate field `flags` at line 1 column 76");
    expect_refusal(CALL("\"request_id\":4,\"flags\":\"FullUpdate\""),
                   "invalid type: string \"FullUpdate\", expected u8 at line 1 column 79");
    expect_refusal(CALL("\"request_id\":1,\"flags\":9"),
                   "invalid call reducer flag 9 at line 1 column 69");
    expect_refusal("{\"CallReducer\":[\"nop\",\"[]\",4,7]}",
                   "invalid call reducer flag 7 at line 1 column 31");
    expect_refusal("{\"CallProcedure\":[\"nop\",\"[]\",4,1]}",
                   "invalid call procedure flag 1 at line 1 column 33");
    expect_refusal("{\"CallReducer\":[\"nop\",[],4,0]}",
                   "invalid type: sequence, expected a string at line 1 column 22");
    expect_refusal(MULTI("7"),
                   "invalid type: integer `7`, expected a QuerySetId tuple at line 1 column 65");
    expect_refusal(MULTI("{\"id\":\"7\"}"),
                   "invalid type: string \"7\", expected u32 at line 1 column 73");
    expect_refusal("{\"OneOffQuery\":{\"message_id\":\"abc\",\"query_string\":\"\"}}",
                   "invalid value: string \"abc\", expected a byte array or hex string at line 1 "
                   "column 34");
}

LC_TEST(unknown_messages)
{
    expect_refusal("{\"Hello\":{}}",
                   "unknown variant `Hello`, expected " VARIANTS " at line 1 column 8");
    expect_refusal("{\"8\":{}}", "unknown tag 0x8 for sum type ClientMessage at line 1 column 4");
    expect_refusal("hello", "expected value at line 1 column 1");
    expect_refusal("", "EOF while parsing a value at line 1 column 0");
    expect_refusal("{}", "expected map representing sum type to have exactly one field at line 1 "
                         "column 2");
    expect_refusal(CALL("\"request_id\":4,\"flags\":0") " x",
                   "trailing characters at line 1 column 72");
}

int main(void)
{
    return LC_TEST_RUN(cmocka_unit_test(forms_of_a_message), cmocka_unit_test(fields_of_a_message),
                       cmocka_unit_test(unknown_messages));
}
