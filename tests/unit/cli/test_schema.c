/* Remote schemas, and the messages of a subscription read with one. */
#include "lc_test.h"

#include "cli/updates.h"

/* Type 0: {id, name}; type 1 a tree that holds itself. Single quotes stand for double ones. */
static const char quoted_schema[] =
    "{'typespace':{'types':["
    "{'Product':{'elements':[{'name':{'some':'id'},'algebraic_type':{'U32':[]}},"
    "{'name':{'some':'name'},'algebraic_type':{'String':[]}}]}},"
    "{'Sum':{'variants':[{'name':{'some':'leaf'},'algebraic_type':{'Product':{'elements':[]}}},"
    "{'name':{'some':'fork'},'algebraic_type':{'Ref':1}}]}}]},"
    "'tables':[{'name':'user','product_type_ref':0,'primary_key':[]}],"
    "'reducers':["
    "{'name':'send','params':{'elements':[{'name':{'some':'to'},'algebraic_type':{'Product':"
    "{'elements':[{'name':{'some':'__identity__'},'algebraic_type':{'U256':[]}}]}}},"
    "{'name':{'some':'texts'},'algebraic_type':{'Array':{'String':[]}}}]}},"
    "{'name':'plant','params':{'elements':[{'name':{'some':'tree'},'algebraic_type':{'Ref':1}}]}}],"
    "'misc_exports':["
    "{'Procedure':{'name':'count','params':{'elements':[]},'return_type':{'U32':[]}}},"
    "{'View':{'name':'me','params':{'elements':[]},'return_type':{'Sum':{'variants':["
    "{'name':{'some':'some'},'algebraic_type':{'Ref':0}},"
    "{'name':{'some':'none'},'algebraic_type':{'Product':{'elements':[]}}}]}}}}]}";

/* Reads the first n characters as a schema. */
static lc_status read_quoted(const char *text, size_t n, lc_remote_schema *s, lc_error *err)
{
    char *json = lc_memdup(text, n);
    for (size_t i = 0; i < n; i++)
        if (json[i] == '\'') json[i] = '"';
    lc_status rc = lc_remote_schema_read(LC_SPAN(json, n), s, err);
    lc_free(json);
    return rc;
}

static void read_schema(lc_remote_schema *s)
{
    lc_error err = LC_ERROR_INIT;
    assert_ok(read_quoted(quoted_schema, strlen(quoted_schema), s, &err), &err);
}

static void check_signature(const lc_remote_schema *s, const char *name, const char *want)
{
    lc_buf out = LC_BUF_INIT;
    const lc_remote_function *f = lc_remote_function_find(&s->reducers, lc_span_of_str(name));
    assert_non_null(f);
    lc_remote_signature_print(s, f, &out);
    assert_span_text(lc_buf_span(&out), want);
    lc_buf_deinit(&out);
}

LC_TEST(signatures)
{
    lc_remote_schema s;
    read_schema(&s);
    check_signature(&s, "send", "send(to: Identity, texts: Vec<String>)");
    const lc_remote_function *plant = lc_remote_function_find(&s.reducers, LC_STR("plant"));
    lc_buf out = LC_BUF_INIT;
    lc_remote_signature_print(&s, plant, &out);
    lc_buf_put_u8(&out, 0);
    assert_non_null(strstr((char *)out.ptr, "plant(tree: enum { leaf: {}, fork: enum { leaf"));
    assert_non_null(strstr((char *)out.ptr, "fork: ... }"));
    lc_buf_deinit(&out);
    assert_int_equal(s.procedures.len, 1);
    assert_non_null(lc_remote_schema_table(&s, LC_STR("me")));
    assert_null(lc_remote_schema_table(&s, LC_STR("you")));
    lc_remote_schema_deinit(&s);
}

LC_TEST(unknown_functions)
{
    lc_remote_schema s;
    lc_error err = LC_ERROR_INIT;
    read_schema(&s);
    assert_int_equal(lc_remote_function_unknown(&s, "sned", "db", "c2", &err), LC_E_NOT_FOUND);
    assert_string_equal(
        lc_error_text(&err),
        "No such reducer OR procedure `sned` for database `db` resolving to identity "
        "`c2`.\n\nA reducer with a similar name exists: `send`");
    lc_remote_function_unknown(&s, "coutn", "db", "c2", &err);
    assert_non_null(strstr(lc_error_text(&err), "A procedure with a similar name exists: `count`"));
    lc_remote_function_unknown(&s, "qqqqqqqqqqqq", "db", "c2", &err);
    assert_non_null(strstr(lc_error_text(&err),
                           "\n\nHere are some existing reducers:\n- plant\n- send\n\n"
                           "Here are some existing procedures:\n- count"));
    lc_error_clear(&err);
    lc_remote_schema_deinit(&s);
}

LC_TEST(malformed_schemas_are_refused)
{
    static const char *const bad[] = {
        "",
        "{}",
        "[]",
        "nonsense",
        "{'typespace':{'types':[]},'tables':[{'name':'t','product_type_ref':9}],'reducers':[],"
        "'misc_exports':[]}",
        "{'typespace':{'types':[{'U32':[]}]},'tables':[{'name':'t','product_type_ref':0}],"
        "'reducers':[],'misc_exports':[]}",
        "{'typespace':{'types':[{'Nonsense':[]}]},'tables':[],'reducers':[],'misc_exports':[]}",
    };
    lc_remote_schema s;
    lc_error err = LC_ERROR_INIT;
    for (size_t i = 0; i < LC_ARRAY_LEN(bad); i++) {
        assert_int_not_equal(read_quoted(bad[i], strlen(bad[i]), &s, &err), LC_OK);
        lc_error_clear(&err);
    }
    /* Cut anywhere it is refused, too. */
    for (size_t n = 0; n + 1 < strlen(quoted_schema); n++) {
        assert_int_not_equal(read_quoted(quoted_schema, n, &s, &err), LC_OK);
        lc_error_clear(&err);
    }
}

/* ---------------------------------------------------------------------- updates */

/* The TransactionUpdate of 03 section 6.2, with a row of ours: {1, "Alice"}. */
#define ALICE_LIST "000d000d0000000100000005000000416c696365"
#define NO_LIST    "010000000000000000"
#define CHANGE     "0004010000000700000001000000040000007573657201000000"

static lc_status print_hex(const lc_remote_schema *s, const char *hex, lc_update_kind *kind,
                           lc_buf *line, lc_error *err)
{
    size_t n = strlen(hex) / 2;
    uint8_t *bytes = lc_alloc(n + 1);
    assert_true(lc_hex_decode(lc_span_of_str(hex), bytes));
    lc_status rc = lc_update_print(s, LC_SPAN(bytes, n), kind, line, err);
    lc_free(bytes);
    return rc;
}

static void check_update(const char *hex, lc_update_kind want_kind, const char *want)
{
    lc_remote_schema s;
    lc_update_kind kind;
    lc_error err = LC_ERROR_INIT;
    lc_buf line = LC_BUF_INIT;
    read_schema(&s);
    assert_ok(print_hex(&s, hex, &kind, &line, &err), &err);
    assert_int_equal(kind, want_kind);
    assert_span_text(lc_buf_span(&line), want);
    lc_buf_deinit(&line);
    lc_remote_schema_deinit(&s);
}

LC_TEST(updates)
{
    check_update(CHANGE "00" ALICE_LIST NO_LIST, LC_UPDATE_CHANGE,
                 "{\"user\":{\"deletes\":[],\"inserts\":[{\"id\":1,\"name\":\"Alice\"}]}}\n");
    check_update(CHANGE "00" NO_LIST ALICE_LIST, LC_UPDATE_CHANGE,
                 "{\"user\":{\"deletes\":[{\"id\":1,\"name\":\"Alice\"}],\"inserts\":[]}}\n");
    check_update(CHANGE "01" ALICE_LIST, LC_UPDATE_CHANGE,
                 "{\"user\":{\"deletes\":[],\"inserts\":[{\"id\":1,\"name\":\"Alice\"}]}}\n");
    check_update("0001010000000100000001000000040000007573657201"
                 "0100000000000000000000000d0000000100000005000000416c696365",
                 LC_UPDATE_INITIAL,
                 "{\"user\":{\"deletes\":[],\"inserts\":[{\"id\":1,\"name\":\"Alice\"}]}}\n");
    check_update("0000", LC_UPDATE_OTHER, "");
}

LC_TEST(refused_subscription)
{
    lc_remote_schema s;
    lc_update_kind kind;
    lc_error err = LC_ERROR_INIT;
    lc_buf line = LC_BUF_INIT;
    read_schema(&s);
    assert_int_not_equal(print_hex(&s,
                                   "00030001000000"
                                   "01000000"
                                   "03000000"
                                   "626164",
                                   &kind, &line, &err),
                         LC_OK);
    assert_string_equal(lc_error_text(&err), "encountered error in initial subscribe: bad");
    lc_error_clear(&err);
    lc_remote_schema_deinit(&s);
    lc_buf_deinit(&line);
}

/* Every message cut short, and every byte of it changed: an error or a line, never a crash. */
LC_TEST(damaged_updates)
{
    static const char hex[] = CHANGE "00" ALICE_LIST NO_LIST;
    enum { N = (sizeof hex - 1) / 2 };
    uint8_t bytes[N];
    lc_remote_schema s;
    read_schema(&s);
    for (size_t at = 0; at < N; at++) {
        for (int change = -1; change < 256; change++) {
            assert_true(lc_hex_decode(LC_SPAN(hex, N * 2), bytes));
            lc_update_kind kind;
            lc_error err = LC_ERROR_INIT;
            lc_buf line = LC_BUF_INIT;
            if (change >= 0) bytes[at] = (uint8_t)change;
            lc_status rc =
                lc_update_print(&s, LC_SPAN(bytes, change < 0 ? at : N), &kind, &line, &err);
            if (change < 0) assert_int_not_equal(rc, LC_OK);
            if (rc == LC_OK && kind != LC_UPDATE_OTHER)
                assert_int_equal(line.ptr[line.len - 1], '\n');
            lc_buf_deinit(&line);
            lc_error_clear(&err);
        }
    }
    lc_remote_schema_deinit(&s);
}

int main(void)
{
    return LC_TEST_RUN(cmocka_unit_test(signatures), cmocka_unit_test(unknown_functions),
                       cmocka_unit_test(malformed_schemas_are_refused), cmocka_unit_test(updates),
                       cmocka_unit_test(refused_subscription), cmocka_unit_test(damaged_updates));
}
