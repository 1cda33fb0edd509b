/* What is refused beyond the reference's validation, the limits, and how problems are reported. */
#include "lc_test.h"

#include "builder.h"

#define NO_SEQUENCE ((builder_sequence){0})

static void expect_error(builder *b, const char *want)
{
    lc_schema *s = NULL;
    lc_error err = LC_ERROR_INIT;
    lc_status st = lc_schema_read(builder_finish(b), &s, &err);
    assert_string_equal(lc_error_text(&err), want);
    assert_int_equal(st, *want ? LC_E_INVALID : LC_OK);
    lc_error_clear(&err);
    lc_schema_unref(s);
    builder_deinit(b);
}

static void table(builder *b, const char *name, uint32_t ref)
{
    builder_add_table(b, &(builder_table){.name = name, .ref = ref, .key = -1});
}

LC_TEST(recursive_rows)
{
    builder b;
    builder_init(&b, false);
    table(&b, "t", builder_type(&b, "Row", "{a: [&0]}"));
    expect_error(&b, "Errors occurred:\nthe row type of `t` cannot be stored: Found recursive type "
                     "reference &0\n\n");
    /* In parameters recursion is fine; the types are only followed as far as the bytes go. */
    builder_init(&b, false);
    builder_type(&b, "Tree", "{children: [&0]}");
    builder_type(&b, "Endless", "{self: &1}");
    builder_add_reducer(&b, "grow", "{tree: &0}");
    builder_add_reducer(&b, "spin", "{x: &1}");
    lc_schema *s = NULL;
    lc_error err = LC_ERROR_INIT;
    assert_ok(lc_schema_read(builder_finish(&b), &s, &err), &err);
    size_t size = 0;
    static const uint8_t tree[] = {2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    assert_ok(lc_layout_validate(lc_schema_find_reducer(s, LC_STR("grow"))->layout,
                                 LC_SPAN(tree, sizeof tree), &size, &err),
              &err);
    assert_int_equal(size, sizeof tree);
    assert_int_not_equal(lc_layout_validate(lc_schema_find_reducer(s, LC_STR("spin"))->layout,
                                            LC_SPAN(tree, sizeof tree), &size, &err),
                         LC_OK);
    lc_error_clear(&err);
    lc_schema_unref(s);
    builder_deinit(&b);
}

static void sequence_case(builder_sequence q, const char *want)
{
    builder b;
    builder_init(&b, false);
    q.given = true;
    uint32_t ref = builder_type(&b, "Row", "{id: U64}");
    builder_add_table(&b, &(builder_table){.name = "t", .ref = ref, .key = -1, .sequence = q});
    char *text = *want ? lc_format("Errors occurred:\n%s\n\n", want) : lc_strdup("");
    expect_error(&b, text);
    lc_free(text);
}

LC_TEST(sequences_that_cannot_run)
{
    const int64_t none = BUILDER_UNSET;
    sequence_case((builder_sequence){.start = none, .min = none, .max = none, .increment = 1}, "");
    sequence_case((builder_sequence){.start = none, .min = none, .max = none, .increment = 0},
                  "sequence `t_id_seq` of table `t` cannot run: its increment is 0");
    sequence_case((builder_sequence){.start = 5, .min = 5, .max = 5, .increment = 1},
                  "sequence `t_id_seq` of table `t` cannot run: its range holds only one value");
    sequence_case((builder_sequence){.start = 0, .min = none, .max = none, .increment = 1},
                  "sequence `t_id_seq` of table `t` cannot run: its start lies outside its range "
                  "(1 and up by default)");
    sequence_case((builder_sequence){.start = none, .min = 5, .max = none, .increment = 1},
                  "sequence `t_id_seq` of table `t` cannot run: its start lies outside its range "
                  "(1 and up by default)");
    sequence_case((builder_sequence){.start = none, .min = none, .max = 5, .increment = 10},
                  "sequence `t_id_seq` of table `t` cannot run: its increment is as large as its "
                  "range");
    sequence_case((builder_sequence){.start = -1, .min = -5, .max = -1, .increment = -1}, "");
    sequence_case((builder_sequence){.start = -1, .min = -5, .max = -1, .increment = -4},
                  "sequence `t_id_seq` of table `t` cannot run: its increment is as large as its "
                  "range");
    sequence_case((builder_sequence){.start = none, .min = 9, .max = 5, .increment = 1},
                  "invalid sequence range information: expected Some(9) <= None <= Some(5) in "
                  "sequence `t_id_seq`");
}

LC_TEST(names_that_meet)
{
    builder b;
    builder_init(&b, true);
    table(&b, "t", builder_type(&b, "Row", "{fooBar: U8, foo_bar: U8}"));
    expect_error(&b, "Errors occurred:\ncolumns `fooBar` and `foo_bar` of `t` have the same "
                     "canonical name `foo_bar`\n\n");
    builder_init(&b, false);
    uint32_t ref = builder_type(&b, "Row", "{a: U8}");
    builder_add_table(&b, &(builder_table){.name = "t", .ref = ref, .key = -1, .index = ""});
    expect_error(&b, "Errors occurred:\nindex `t_a_idx_btree` of table `t` has no source name, by "
                     "which the module could look it up\n\n");
}

LC_TEST(version_8_is_named)
{
    lc_schema *s = NULL;
    lc_error err = LC_ERROR_INIT;
    assert_int_equal(lc_schema_read(LC_SPAN("\0\0\0\0\0", 5), &s, &err), LC_E_INVALID);
    assert_non_null(strstr(lc_error_text(&err), "error decoding module description: "));
    assert_non_null(strstr(lc_error_text(&err), "V8"));
    lc_error_clear(&err);
}

LC_TEST(problems_are_sorted_and_told_once)
{
    builder b;
    builder_init(&b, false);
    builder_type(&b, NULL, "{a: {x: U8}, b: String}");
    builder_type(&b, "Row", "{a: &7}");
    builder_add_table(&b, &(builder_table){.name = "st_z",
                                           .ref = 0,
                                           .key = -1,
                                           .sequence = {true, 1, BUILDER_UNSET, BUILDER_UNSET,
                                                        BUILDER_UNSET, 1}});
    table(&b, "st_a", 0);
    table(&b, "st_a", 0);
    builder_add_reducer(&b, "1", "{}");
    builder_add_reducer(&b, "r", "{a: &9}");
    expect_error(
        &b,
        "Errors occurred:\n"
        "name `st_a` is used for multiple entities\n\n"
        "module contains invalid identifier: Identifier `1`'s starting character '1' is neither an "
        "underscore ('_') nor a Unicode XID_start character (according to Unicode Standard Annex "
        "31, https://www.unicode.org/reports/tr31/) and cannot be used for entities in a module."
        "\n\n"
        "invalid sequence column type: table `st_z` column `b` with type `String` in sequence "
        "`st_z_b_seq`\n\n"
        "Table name is reserved for system use: st_a\n\n"
        "Table name is reserved for system use: st_z\n\n"
        "error at reducer `r` argument 0 (`a`): internal codegen error: invalid AlgebraicTypeRef"
        "\n\n"
        "error at typespace ref `&0`: internal codegen error: non-special product or sum type "
        "(x: U8) cannot be used to generate a client type use\n\n"
        "error at typespace ref `&1`: internal codegen error: invalid AlgebraicTypeRef\n\n");
}

LC_TEST(a_flood_of_problems_is_cut)
{
    builder b;
    builder_init(&b, false);
    builder_type(&b, NULL, "{a: U8}");
    for (int i = 0; i < 5000; i++) {
        char name[16];
        snprintf(name, sizeof name, "st_%d", i);
        table(&b, name, 0);
    }
    lc_schema *s = NULL;
    lc_error err = LC_ERROR_INIT;
    assert_int_equal(lc_schema_read(builder_finish(&b), &s, &err), LC_E_INVALID);
    size_t problems = 0;
    for (const char *at = lc_error_text(&err); (at = strstr(at, "\n\n")); at += 2) problems++;
    assert_int_equal(problems, 1000);
    lc_error_clear(&err);
    builder_deinit(&b);
}

LC_TEST(large_rows)
{
    builder b;
    lc_buf columns = LC_BUF_INIT;
    for (int i = 0; i < 20; i++) {
        if (i) lc_buf_put_str(&columns, ", ");
        lc_buf_printf(&columns, "c%d: &0", i);
    }
    /* 20 * 63 * 32 bytes fit, 20 * 63 * 64 do not. */
    lc_buf inner = LC_BUF_INIT;
    for (int i = 0; i < 63; i++) lc_buf_printf(&inner, "%sc%d: U256", i ? ", " : "", i);
    for (int round = 0; round < 2; round++) {
        builder_init(&b, false);
        char *text = lc_format("{" LC_SPAN_FMT "}", LC_SPAN_ARG(inner));
        builder_type(&b, "Inner", text);
        lc_free(text);
        text = lc_format("{" LC_SPAN_FMT "%s}", LC_SPAN_ARG(columns), round ? ", x: &2" : "");
        uint32_t row = builder_type(&b, "Row", text);
        lc_free(text);
        builder_type(&b, "More",
                     "{a: &0, b: &0, c: &0, d: &0, e: &0, f: &0, g: &0, h: &0, i: &0, j: &0, "
                     "k: &0, l: &0, m: &0}");
        table(&b, "t", row);
        expect_error(&b, round ? "Errors occurred:\nthe fixed-size part of a row of `t` takes "
                                 "66528 bytes, more than LC_SCHEMA_MAX_ROW_FIXED (65535)\n\n"
                               : "");
    }
    lc_buf_deinit(&columns);
    lc_buf_deinit(&inner);
}

/* Many tables that share one wide row. */
LC_TEST(rows_add_up)
{
    builder b;
    builder_init(&b, false);
    uint32_t ref =
        builder_type(&b, "A", "{a: U8, b: U8, c: U8, d: U8, e: U8, f: U8, g: U8, h: U8}");
    for (int i = 0; i < 5; i++) {
        char text[64];
        snprintf(text, sizeof text, "{a: &%u, b: &%u, c: &%u, d: &%u}", ref, ref, ref, ref);
        ref = builder_type(&b, (const char[]){(char)('B' + i), 0}, text);
    }
    for (int i = 0; i < 200; i++) {
        char name[16];
        snprintf(name, sizeof name, "t%d", i);
        table(&b, name, ref);
    }
    expect_error(&b, "Errors occurred:\nthe rows of all tables and views have more parts together "
                     "than LC_SCHEMA_MAX_ROW_NODES (1048576)\n\n");
}

static void mount(lc_buf *out, lc_span module, const char *namespace)
{
    lc_buf payload = LC_BUF_INIT;
    lc_buf_put_u32(&payload, 1);
    builder_string(&payload, namespace);
    lc_buf_put_span(&payload, module);
    lc_buf_reset(out);
    lc_buf_put_u32(out, 1);
    lc_buf_put_u8(out, 14);
    lc_buf_put_span(out, lc_buf_span(&payload));
    lc_buf_deinit(&payload);
}

LC_TEST(submodules_nest_only_so_deep)
{
    lc_buf module = LC_BUF_INIT, outer = LC_BUF_INIT;
    lc_buf_put_u32(&module, 0);
    for (int depth = 1; depth <= LC_SCHEMA_MAX_MODULE_DEPTH + 1; depth++) {
        mount(&outer, lc_buf_span(&module), "m");
        lc_buf swap = module;
        module = outer;
        outer = swap;
        lc_buf raw = LC_BUF_INIT;
        lc_buf_put_u8(&raw, 2);
        lc_buf_put_span(&raw, lc_buf_span(&module));
        lc_schema *s = NULL;
        lc_error err = LC_ERROR_INIT;
        lc_status st = lc_schema_read(lc_buf_span(&raw), &s, &err);
        assert_int_equal(st, depth <= LC_SCHEMA_MAX_MODULE_DEPTH ? LC_OK : LC_E_INVALID);
        lc_error_clear(&err);
        lc_schema_unref(s);
        lc_buf_deinit(&raw);
    }
    lc_buf_deinit(&module);
    lc_buf_deinit(&outer);
}

/* A sequence's name is given verbatim and may hold a dot. */
LC_TEST(mounted_names_meet_verbatim_ones)
{
    builder inner, b;
    builder_init(&inner, false);
    builder_type(&inner, "Row", "{a: U8}");
    table(&inner, "t", 0);
    lc_buf payload = LC_BUF_INIT;
    lc_buf_put_u32(&payload, 1);
    builder_string(&payload, "lib");
    lc_buf_put_span(&payload, builder_finish_bare(&inner));
    builder_init(&b, false);
    builder_section(&b, 14, lc_buf_span(&payload));
    builder_type(&b, "Row", "{a: U8}");
    /* The builder writes no sequence names, so the table is written here. */
    builder_string(&b.tables, "t");
    lc_buf_put_u32(&b.tables, 0);
    lc_buf_put_u32(&b.tables, 0);
    lc_buf_put_u32(&b.tables, 0);
    lc_buf_put_u32(&b.tables, 0);
    lc_buf_put_u32(&b.tables, 1);
    lc_buf_put_u8(&b.tables, 0);
    builder_string(&b.tables, "lib.t");
    lc_buf_put_u16(&b.tables, 0);
    lc_buf_put(&b.tables, "\1\1\1", 3);
    lc_buf_put_u64(&b.tables, 1);
    lc_buf_put_u64(&b.tables, 0);
    lc_buf_put_u16(&b.tables, 1);
    lc_buf_put_u32(&b.tables, 0);
    lc_buf_put_u8(&b.tables, 0);
    b.table_count++;
    expect_error(&b, "Errors occurred:\nname `lib.t` is used for multiple entities\n\n");
    lc_buf_deinit(&payload);
    builder_deinit(&inner);
}

int main(void)
{
    return LC_TEST_RUN(
        cmocka_unit_test(recursive_rows), cmocka_unit_test(sequences_that_cannot_run),
        cmocka_unit_test(names_that_meet), cmocka_unit_test(version_8_is_named),
        cmocka_unit_test(problems_are_sorted_and_told_once),
        cmocka_unit_test(a_flood_of_problems_is_cut), cmocka_unit_test(large_rows),
        cmocka_unit_test(rows_add_up), cmocka_unit_test(submodules_nest_only_so_deep),
        cmocka_unit_test(mounted_names_meet_verbatim_ones));
}
