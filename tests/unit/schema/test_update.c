/* lc_schema_check_update: only new tables go without a migration. */
#include "lc_test.h"

#include "builder.h"

typedef struct variant {
    const char *columns;
    builder_table table;
    const char *second; /* a table more */
    const char *view;   /* a view on the first table's rows */
    const char *policy;
    bool snake_case;
    const char *reducer;
} variant;

static const variant base = {.columns = "{id: U64, name: String, kind: &1}",
                             .table = {.name = "t", .ref = 0, .key = 0}};

static lc_schema *read_variant(const variant *v)
{
    builder b;
    builder_init(&b, v->snake_case);
    builder_type(&b, "Row", v->columns);
    builder_type(&b, "Kind", "{A | B}");
    builder_add_table(&b, &v->table);
    if (v->second) builder_add_table(&b, &(builder_table){.name = v->second, .ref = 0, .key = -1});
    if (v->view) builder_add_view(&b, v->view, 0);
    if (v->policy) builder_text_section(&b, 8, v->policy);
    if (v->reducer) builder_add_reducer(&b, v->reducer, "{a: U8}");
    lc_schema *s = NULL;
    lc_error err = LC_ERROR_INIT;
    assert_ok(lc_schema_read(builder_finish(&b), &s, &err), &err);
    builder_deinit(&b);
    return s;
}

/* wants: lines without their common end; NULL = allowed. */
static void check(const variant *from, const variant *to, const char *const *wants)
{
    lc_schema *old = read_variant(from), *new = read_variant(to);
    lc_error err = LC_ERROR_INIT;
    lc_buf want = LC_BUF_INIT;
    lc_status st = lc_schema_check_update(old, new, &err);
    if (wants && *wants) lc_buf_put_str(&want, "Errors occurred:\n");
    for (; wants && *wants; wants++)
        lc_buf_printf(&want, "%s requires a migration, which this server cannot do yet\n\n",
                      *wants);
    assert_span_equal(lc_span_of_str(lc_error_text(&err)), lc_buf_span(&want));
    assert_int_equal(st, want.len ? LC_E_UNSUPPORTED : LC_OK);
    lc_error_clear(&err);
    lc_buf_deinit(&want);
    lc_schema_unref(old);
    lc_schema_unref(new);
}

#define CHECK(from, to, ...) check((from), (to), (const char *const[]){__VA_ARGS__, NULL})

LC_TEST(what_needs_no_migration)
{
    variant to = base;
    check(&base, &to, NULL);
    to.second = "a";
    check(&base, &to, NULL);
    to.reducer = "r";
    check(&base, &to, NULL);
    variant from = to;
    from.policy = to.policy = "SELECT * FROM t";
    from.view = to.view = "v";
    check(&from, &to, NULL);
}

LC_TEST(changes_of_tables)
{
    variant to = base, two = base;
    two.second = "u";
    CHECK(&two, &base, "Removing table u");
    to.table.is_private = true;
    CHECK(&base, &to, "Changing the access of table t");
    to = base;
    to.table.is_event = true;
    CHECK(&base, &to, "Changing the event flag of table t");
    to = base;
    to.table.key = -1;
    CHECK(&base, &to, "Changing the primary key of table t",
          "Removing index t_id_idx_btree from table t",
          "Removing unique constraint t_id_key from table t");
    to = base;
    to.table.sequence = (builder_sequence){true, 0, BUILDER_UNSET, BUILDER_UNSET, BUILDER_UNSET, 1};
    CHECK(&base, &to, "Adding sequence t_id_seq to table t");
    variant other = to;
    other.table.sequence.increment = 2;
    CHECK(&to, &other, "Changing sequence t_id_seq of table t");
    /* The same index under two policies, once by another alias. */
    to = base;
    to.snake_case = true;
    check(
        &base, &to,
        (const char *const[]){"Changing the type of column kind in table t from (A: () | B: ()) to "
                              "(a: () | b: ())",
                              NULL});
    to = base;
    to.table.name = "T";
    to.snake_case = true;
    to.columns = other.columns = "{id: U64}";
    other = base;
    other.columns = to.columns;
    CHECK(&other, &to, "Changing the accessor name of table t",
          "Changing index t_id_idx_btree of table t");
}

LC_TEST(changes_of_columns)
{
    variant to = base;
    to.columns = "{id: U64, name: String}";
    CHECK(&base, &to, "Removing a column kind from table t");
    CHECK(&to, &base, "Adding a column kind to table t");
    to.columns = "{id: U64, title: String, kind: &1}";
    CHECK(&base, &to, "Column 1 of table t changing from name to title");
    to.columns = "{id: U64, name: U8, kind: &1}";
    CHECK(&base, &to, "Changing the type of column name in table t from String to U8");
}

LC_TEST(changes_of_views_and_policies)
{
    variant view = base, policy = base, other = base;
    view.view = "v";
    CHECK(&base, &view, "Adding view v");
    CHECK(&view, &base, "Removing view v");
    other.view = "v";
    other.columns = "{id: U64}";
    CHECK(&view, &other, "Removing a column name from table t",
          "Removing a column kind from table t", "Changing view v");
    policy.policy = "SELECT * FROM t";
    CHECK(&base, &policy, "Adding row-level security `SELECT * FROM t`");
    CHECK(&policy, &base, "Removing row-level security `SELECT * FROM t`");
}

int main(void)
{
    return LC_TEST_RUN(cmocka_unit_test(what_needs_no_migration),
                       cmocka_unit_test(changes_of_tables), cmocka_unit_test(changes_of_columns),
                       cmocka_unit_test(changes_of_views_and_policies));
}
