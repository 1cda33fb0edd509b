/* A definition with a submodule: the flat lists, ids, and what is written back. */
#include "lc_test.h"

#include "builder.h"

#define FIELD(name, type) "{\"name\":{\"some\":\"" name "\"},\"algebraic_type\":{\"" type "\":[]}}"
#define REDUCER_TYPES                                                                              \
    "\"ok_return_type\":{\"Product\":{\"elements\":[]}},\"err_return_type\":{\"String\":[]}}"
#define EXPLICIT(kind, source, canonical)                                                          \
    "{\"" kind "\":{\"source_name\":\"" source "\",\"canonical_name\":\"" canonical "\"}}"

/* Root: SnakeCase, tables fooBar and zed, reducer doIt. lib (names kept): table Foo, view all, r.
 */
static lc_schema *read_tree(void)
{
    builder inner, b;
    builder_init(&inner, false);
    uint32_t row = builder_type(&inner, "Row", "{Id: U64}");
    builder_add_table(&inner, &(builder_table){.name = "Foo", .ref = row, .key = 0});
    builder_add_reducer(&inner, "R", "{}");
    builder_add_view(&inner, "all", row);
    builder_text_section(&inner, 8, "not even SQL");

    lc_buf payload = LC_BUF_INIT;
    lc_buf_put_u32(&payload, 1);
    builder_string(&payload, "lib");
    lc_buf_put_span(&payload, builder_finish_bare(&inner));

    builder_init(&b, true);
    builder_section(&b, 14, lc_buf_span(&payload));
    row = builder_type(&b, "my_row", "{rowId: U64, at: ScheduleAt}");
    builder_add_table(&b, &(builder_table){.name = "zed", .ref = row, .key = -1, .is_event = true});
    builder_add_table(&b, &(builder_table){.name = "fooBar", .ref = row, .key = 0});
    builder_add_reducer(&b, "doIt", "{theArg: &0}");
    builder_add_reducer(&b, "other", "{}");
    builder_add_view(&b, "someView", row);
    builder_text_section(&b, 8, "SELECT * FROM zed");
    lc_buf_reset(&payload); /* schedule: fooBar, column 1, doIt */
    lc_buf_put_u32(&payload, 1);
    lc_buf_put_u8(&payload, 1);
    builder_string(&payload, "fooBar");
    lc_buf_put_u16(&payload, 1);
    builder_string(&payload, "doIt");
    builder_section(&b, 6, lc_buf_span(&payload));
    lc_buf_deinit(&payload);

    lc_schema *s = NULL;
    lc_error err = LC_ERROR_INIT;
    assert_ok(lc_schema_read(builder_finish(&b), &s, &err), &err);
    builder_deinit(&b);
    builder_deinit(&inner);
    return s;
}

LC_TEST(lists_are_flat_and_sorted)
{
    lc_schema *s = read_tree();
    assert_int_equal(s->table_count, 3);
    assert_span_text(s->tables[0].name, "foo_bar");
    assert_span_text(s->tables[0].source_name, "fooBar");
    assert_span_text(s->tables[1].name, "lib.Foo");
    assert_span_text(s->tables[1].source_name, "lib.Foo");
    assert_span_text(s->tables[1].indexes[0].name, "lib.Foo_Id_idx_btree");
    assert_span_text(s->tables[1].indexes[0].source_name, "lib.Foo_key_index");
    assert_true(s->tables[1].indexes[0].is_unique);
    assert_span_text(s->tables[1].constraints[0].name, "lib.Foo_Id_key");
    assert_span_text(s->tables[1].columns[0].name, "Id");
    assert_span_text(s->tables[2].name, "zed");
    assert_true(s->tables[2].is_event);
    assert_span_text(s->tables[0].columns[0].name, "row_id");
    assert_span_text(s->tables[0].columns[0].source_name, "rowId");
    assert_span_text(s->tables[0].row_type->members[0].name, "row_id");

    assert_non_null(s->tables[0].schedule);
    assert_span_text(s->tables[0].schedule->name, "foo_bar_sched");
    assert_span_text(s->tables[0].schedule->function_name, "do_it");
    assert_int_equal(s->tables[0].schedule->function, 0);
    assert_int_equal(s->tables[0].schedule->id_column, 0);

    assert_int_equal(s->reducer_count, 3);
    assert_span_text(s->reducers[0].name, "do_it");
    assert_false(s->reducers[0].is_client_callable);
    assert_span_text(s->reducers[0].params->members[0].name, "theArg");
    assert_span_text(s->reducers[1].name, "other");
    assert_span_text(s->reducers[2].name, "lib.R");
    for (uint32_t i = 0; i < 3; i++) assert_int_equal(s->reducers[i].id, i);
    assert_ptr_equal(lc_schema_find_reducer(s, LC_STR("lib.R")), &s->reducers[2]);
    assert_null(lc_schema_find_reducer(s, LC_STR("doIt")));
    assert_ptr_equal(lc_schema_find_table(s, LC_STR("zed")), &s->tables[2]);

    assert_int_equal(s->view_count, 2);
    assert_span_text(s->views[0].name, "lib.all");
    assert_int_equal(s->views[0].id, 1); /* after the root's */
    assert_span_text(s->views[1].name, "some_view");
    assert_int_equal(s->views[1].id, 0);
    assert_int_equal(s->row_level_security_count, 1);
    lc_schema_unref(s);
}

LC_TEST(written_as_version_9)
{
    lc_schema *s = read_tree();
    lc_buf json = LC_BUF_INIT;
    lc_schema_to_json(s, 9, &json);
    char *text = lc_buf_give_cstr(&json);
    assert_non_null(strstr(
        text, "{\"typespace\":{\"types\":[{\"Product\":{\"elements\":[" FIELD("row_id", "U64")));
    assert_non_null(strstr(text, "\"tables\":[{\"name\":\"zed\",\"product_type_ref\":0,"));
    assert_non_null(strstr(text, "\"schedule\":{\"some\":{\"name\":{\"some\":\"foo_bar_sched\"},"
                                 "\"reducer_name\":\"do_it\",\"scheduled_at_column\":1}}"));
    assert_non_null(strstr(text, "\"types\":[{\"name\":{\"scope\":[],\"name\":\"MyRow\"},\"ty\":0,"
                                 "\"custom_ordering\":true}]"));
    assert_non_null(strstr(text,
                           "\"misc_exports\":[{\"View\":{\"name\":\"some_view\",\"index\":0,"
                           "\"is_public\":true,\"is_anonymous\":false,\"params\":{\"elements\":[]},"
                           "\"return_type\":{\"Array\":{\"Ref\":0}}}}],"
                           "\"row_level_security\":[{\"sql\":\"SELECT * FROM zed\"}]}"));
    assert_null(strstr(text, "Foo\""));
    lc_free(text);
    lc_schema_unref(s);
}

LC_TEST(written_as_version_10)
{
    lc_schema *s = read_tree();
    lc_buf json = LC_BUF_INIT;
    lc_schema_to_json(s, 10, &json);
    char *text = lc_buf_give_cstr(&json);
    static const char *const pieces[] = {
        "{\"Views\":[{\"source_name\":\"someView\",",
        ",{\"ExplicitNames\":{\"entries\":[" EXPLICIT("Table", "zed", "zed"),
        EXPLICIT("Table", "fooBar", "foo_bar") "," EXPLICIT("Function", "doIt", "do_it"),
        EXPLICIT("Function", "other", "other") "," EXPLICIT("Function", "someView", "some_view"),
        "{\"Submodules\":[{\"namespace\":\"lib\",\"module\":{\"sections\":[{\"Typespace\":",
        "{\"Product\":{\"elements\":[" FIELD("Id", "U64") "]}}",
        "{\"source_name\":\"Foo\",\"product_type_ref\":0,\"primary_key\":[0],",
        "\"indexes\":[{\"source_name\":{\"some\":\"Foo_key_index\"},",
        "\"constraints\":[{\"source_name\":{\"some\":\"Foo_Id_key\"},",
        "\"default_values\":[],\"is_event\":false}]}",
        "{\"Reducers\":[{\"source_name\":\"R\",\"params\":{\"elements\":[]},",
        EXPLICIT("Table", "Foo", "Foo") "," EXPLICIT("Function", "R", "R"),
        EXPLICIT("Function", "all", "all") "]}}]}}]}]}",
    };
    const char *at = text; /* one after the other */
    for (size_t i = 0; i < LC_ARRAY_LEN(pieces); i++) {
        const char *next = strstr(at, pieces[i]);
        if (!next) fail_msg("no %s in %s", pieces[i], at);
        at = next + strlen(pieces[i]);
    }
    assert_string_equal(at, "");
    assert_non_null(strstr(text, "{\"Schedules\":[{\"source_name\":{\"some\":\"foo_bar_sched\"},"
                                 "\"table_name\":\"foo_bar\",\"schedule_at_col\":1,"
                                 "\"function_name\":\"do_it\"}]}"));
    assert_non_null(strstr(text, "{\"source_name\":\"doIt\",\"params\":{\"elements\":[{\"name\":"
                                 "{\"some\":\"theArg\"},\"algebraic_type\":{\"Ref\":0}}]},"
                                 "\"visibility\":{\"Private\":[]}," REDUCER_TYPES));
    assert_non_null(strstr(text, "{\"RowLevelSecurity\":[{\"sql\":\"SELECT * FROM zed\"}]}"));
    lc_free(text);
    lc_schema_unref(s);
}

LC_TEST(empty_definitions_are_written)
{
    lc_schema *s = NULL;
    lc_error err = LC_ERROR_INIT;
    assert_ok(lc_schema_read(LC_SPAN("\2\0\0\0\0", 5), &s, &err), &err);
    lc_buf json = LC_BUF_INIT;
    lc_schema_to_json(s, 10, &json);
    assert_span_text(lc_buf_span(&json), "{\"sections\":[{\"Typespace\":{\"types\":[]}},"
                                         "{\"ExplicitNames\":{\"entries\":[]}}]}");
    lc_buf_reset(&json);
    lc_schema_to_json(s, 9, &json);
    assert_span_text(lc_buf_span(&json), "{\"typespace\":{\"types\":[]},\"tables\":[],"
                                         "\"reducers\":[],\"types\":[],\"misc_exports\":[],"
                                         "\"row_level_security\":[]}");
    lc_buf_deinit(&json);
    lc_schema_unref(s);
}

LC_TEST(references_are_counted)
{
    lc_schema *s = read_tree();
    assert_ptr_equal(lc_schema_ref(s), s);
    lc_schema_unref(s);
    assert_non_null(lc_schema_find_table(s, LC_STR("zed")));
    lc_schema_unref(s);
    lc_schema_unref(NULL);
}

int main(void)
{
    return LC_TEST_RUN(
        cmocka_unit_test(lists_are_flat_and_sorted), cmocka_unit_test(written_as_version_9),
        cmocka_unit_test(written_as_version_10), cmocka_unit_test(empty_definitions_are_written),
        cmocka_unit_test(references_are_counted));
}
