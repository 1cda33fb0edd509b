/*
 * New tables. The first commit of every recorded log is what the reference server wrote when the
 * module was published; from the objects it gives here, definitions are made and created in a fresh
 * store, whose st_* rows must then be the same to the byte.
 */
#include "recorded.h"

typedef struct remake {
    lc_arena arena;
    lc_store *from;
    lc_schema schema;
} remake;

static spans rows_of(lc_store *s, uint32_t id)
{
    spans rows = {0};
    collect(lc_store_table(s, id), &rows);
    return rows;
}

static lc_span column(lc_store *s, uint32_t st, lc_span r, uint32_t n)
{
    return lc_layout_column(lc_table_layout(lc_store_table(s, st)), r.ptr, n);
}

static lc_span text(lc_span bsatn)
{
    return LC_SPAN(bsatn.ptr + 4, bsatn.len - 4);
}

static lc_column_def *columns_of(remake *m, const lc_table *t, uint32_t skip)
{
    uint32_t count = lc_table_column_count(t) - skip;
    lc_column_def *columns = lc_arena_alloc_zero(&m->arena, (count + 1) * sizeof *columns);
    for (uint32_t c = 0; c < count; c++)
        columns[c] = (lc_column_def){.name = lc_table_column_name(t, c + skip),
                                     .source_name = lc_table_column_alias(t, c + skip),
                                     .type = lc_layout_column_type(lc_table_layout(t), c + skip)};
    return columns;
}

static lc_i128 number(lc_span bytes)
{
    return (lc_i128){lc_load_u64(bytes.ptr), (int64_t)lc_load_u64(bytes.ptr + 8)};
}

static void add_table(remake *m, const lc_table *t)
{
    lc_table_def *d = &m->schema.tables[m->schema.table_count++];
    uint32_t id = lc_table_id(t);
    *d = (lc_table_def){.name = lc_table_name(t),
                        .source_name = lc_table_alias(t),
                        .columns = columns_of(m, t, 0),
                        .column_count = (uint16_t)lc_table_column_count(t),
                        .primary_key = lc_table_primary_key(t),
                        .is_public = lc_table_is_public(t),
                        .is_event = lc_table_is_event(t)};
    d->indexes = lc_arena_alloc_zero(&m->arena, 16 * sizeof *d->indexes);
    d->constraints = lc_arena_alloc_zero(&m->arena, 16 * sizeof *d->constraints);
    d->sequences = lc_arena_alloc_zero(&m->arena, 16 * sizeof *d->sequences);

    spans rows = rows_of(m->from, LC_ST_INDEX_ACCESSOR);
    const lc_index *i;
    while ((i = lc_table_index(t, d->index_count))) {
        lc_index_def *made = &d->indexes[d->index_count++];
        made->name = made->source_name = lc_index_name(i);
        for (size_t n = 0; n < rows.len; n++)
            if (lc_span_equal(text(column(m->from, LC_ST_INDEX_ACCESSOR, rows.items[n], 0)),
                              made->name))
                made->source_name = lc_arena_copy(
                    &m->arena, text(column(m->from, LC_ST_INDEX_ACCESSOR, rows.items[n], 1)));
        made->algorithm = lc_index_kind(i);
        made->is_unique = lc_index_is_unique(i);
        made->column_count = (uint16_t)lc_index_column_count(i);
        made->columns = lc_arena_alloc(&m->arena, 32 * sizeof *made->columns);
        for (uint16_t c = 0; c < made->column_count; c++) made->columns[c] = lc_index_column(i, c);
    }
    spans_deinit(&rows);

    rows = rows_of(m->from, LC_ST_CONSTRAINT);
    for (size_t n = 0; n < rows.len; n++) {
        lc_span r = rows.items[n];
        if (lc_load_u32(column(m->from, LC_ST_CONSTRAINT, r, 2).ptr) != id) continue;
        lc_constraint_def *made = &d->constraints[d->constraint_count++];
        made->name = lc_arena_copy(&m->arena, text(column(m->from, LC_ST_CONSTRAINT, r, 1)));
        const uint8_t *list = column(m->from, LC_ST_CONSTRAINT, r, 3).ptr + 1;
        made->column_count = (uint16_t)lc_load_u32(list);
        made->columns = lc_arena_alloc(&m->arena, 32 * sizeof *made->columns);
        memcpy(made->columns, list + 4, made->column_count * 2u);
    }
    spans_deinit(&rows);

    rows = rows_of(m->from, LC_ST_SEQUENCE);
    for (size_t n = 0; n < rows.len; n++) {
        lc_span r = rows.items[n];
        if (lc_load_u32(column(m->from, LC_ST_SEQUENCE, r, 2).ptr) != id) continue;
        lc_sequence_def *made = &d->sequences[d->sequence_count++];
        *made = (lc_sequence_def){
            .name = lc_arena_copy(&m->arena, text(column(m->from, LC_ST_SEQUENCE, r, 1))),
            .column = lc_load_u16(column(m->from, LC_ST_SEQUENCE, r, 3).ptr),
            .increment = number(column(m->from, LC_ST_SEQUENCE, r, 4)),
            .start = number(column(m->from, LC_ST_SEQUENCE, r, 5)),
            .min_value = number(column(m->from, LC_ST_SEQUENCE, r, 6)),
            .max_value = number(column(m->from, LC_ST_SEQUENCE, r, 7))};
    }
    spans_deinit(&rows);

    rows = rows_of(m->from, LC_ST_SCHEDULED);
    for (size_t n = 0; n < rows.len; n++) {
        lc_span r = rows.items[n];
        if (lc_load_u32(column(m->from, LC_ST_SCHEDULED, r, 1).ptr) != id) continue;
        d->schedule = lc_arena_alloc_zero(&m->arena, sizeof *d->schedule);
        d->schedule->function_name =
            lc_arena_copy(&m->arena, text(column(m->from, LC_ST_SCHEDULED, r, 2)));
        d->schedule->name = lc_arena_copy(&m->arena, text(column(m->from, LC_ST_SCHEDULED, r, 3)));
        d->schedule->at_column = lc_load_u16(column(m->from, LC_ST_SCHEDULED, r, 4).ptr);
    }
    spans_deinit(&rows);
}

static void add_view(remake *m, const lc_table *t)
{
    lc_view_def *d = &m->schema.views[m->schema.view_count++];
    *d = (lc_view_def){.name = lc_table_name(t),
                       .source_name = lc_table_alias(t),
                       .is_public = lc_table_is_public(t),
                       .columns = columns_of(m, t, 1),
                       .column_count = (uint16_t)(lc_table_column_count(t) - 1),
                       .primary_key = -1};
    const lc_index *by_key = lc_table_index(t, 1);
    if (by_key) d->primary_key = (int32_t)lc_index_column(by_key, 1) - 1;
    spans rows = rows_of(m->from, LC_ST_VIEW);
    for (size_t n = 0; n < rows.len; n++) {
        lc_span r = rows.items[n];
        lc_span table_id = column(m->from, LC_ST_VIEW, r, 2);
        if (lc_load_u32(table_id.ptr + 1) == lc_table_id(t))
            d->is_anonymous = column(m->from, LC_ST_VIEW, r, 4).ptr[0];
    }
    spans_deinit(&rows);
}

static void compare(lc_store *a, lc_store *b, uint32_t id)
{
    spans x = {0}, y = {0};
    collect_sorted(lc_store_table(a, id), &x);
    collect_sorted(lc_store_table(b, id), &y);
    for (size_t i = 0; i < x.len && i < y.len; i++) {
        if (id == LC_ST_SEQUENCE && lc_load_u32(x.items[i].ptr) >= LC_FIRST_USER_ID) {
            /* `allocated`: the init reducer may have drawn. */
            x.items[i].len -= 16;
            y.items[i].len -= 16;
        }
        if (lc_span_equal(x.items[i], y.items[i])) continue;
        lc_buf want = LC_BUF_INIT, got = LC_BUF_INIT;
        const lc_type *type = lc_table_row_type(lc_store_table(a, id));
        lc_satn_write(type, x.items[i].ptr, &want);
        lc_satn_write(type, y.items[i].ptr, &got);
        fail_msg("want " LC_SPAN_FMT "\ngot " LC_SPAN_FMT, LC_SPAN_ARG(want), LC_SPAN_ARG(got));
    }
    assert_int_equal(x.len, y.len);
    spans_deinit(&x);
    spans_deinit(&y);
}

static void make_anew(const char *log)
{
    remake m = {.from = replay_log(log, 1), .schema.version = 10};
    m.schema.tables = lc_arena_alloc_zero(&m.arena, 64 * sizeof *m.schema.tables);
    m.schema.views = lc_arena_alloc_zero(&m.arena, 64 * sizeof *m.schema.views);
    uint32_t at = 0;
    for (lc_table *t; (t = lc_store_next_table(m.from, &at));) {
        if (lc_table_is_system(t)) continue;
        if (lc_table_is_view(t))
            add_view(&m, t);
        else
            add_table(&m, t);
    }
    lc_store *made = lc_store_create();
    lc_error err = LC_ERROR_INIT;
    lc_store_begin(made);
    assert_ok(lc_store_create_schema(made, &m.schema, &err), &err);
    spans rules = rows_of(m.from, LC_ST_ROW_LEVEL_SECURITY);
    for (size_t n = 0; n < rules.len; n++)
        assert_ok(lc_store_add_rule(
                      lc_store_table(made, lc_load_u32(rules.items[n].ptr)),
                      text(column(m.from, LC_ST_ROW_LEVEL_SECURITY, rules.items[n], 1)), &err),
                  &err);
    commit(made);
    for (uint32_t id = 1; id <= LC_ST_COUNT; id++)
        if (id != LC_ST_MODULE && id != LC_ST_CLIENT && id != LC_ST_CONNECTION_CREDENTIALS)
            compare(m.from, made, id);

    /* Twice is refused, and leaves nothing. */
    if (m.schema.table_count > 0) {
        lc_store_begin(made);
        assert_int_equal(lc_store_create_schema(made, &m.schema, &err), LC_E_CONFLICT);
        lc_error_clear(&err);
        lc_store_rollback(made);
        for (uint32_t id = 1; id <= LC_ST_COUNT; id++)
            if (id != LC_ST_MODULE && id != LC_ST_CLIENT && id != LC_ST_CONNECTION_CREDENTIALS)
                compare(m.from, made, id);
    }
    check_store(made);
    spans_deinit(&rules);
    lc_store_destroy(made);
    lc_store_destroy(m.from);
    lc_arena_deinit(&m.arena);
}

LC_TEST(first_publish_writes_the_same_rows)
{
    static const char *const logs[] = {"auto",  "basics",   "clients",  "crash",
                                       "empty", "events",   "views",    "segments",
                                       "v9",    "schedule", "migration"};
    for (size_t i = 0; i < LC_ARRAY_LEN(logs); i++) make_anew(logs[i]);
}

LC_TEST(a_table_is_undone_with_its_transaction)
{
    lc_store *s = lc_store_create();
    for (int round = 0; round < 2; round++) {
        table_builder b;
        tb_init(&b, "t");
        tb_column(&b, "id", TY(U32));
        tb_column(&b, "text", TY(STRING));
        tb_index(&b, LC_INDEX_BTREE, true, "0");
        tb_sequence(&b, 0);
        b.def.source_name = LC_STR("Alias");
        lc_store_begin(s);
        lc_table *t = tb_create_in_tx(&b, s);
        /* Ids of a transaction that rolled back are not used again. */
        assert_int_equal(lc_table_id(t), LC_FIRST_USER_ID + round);
        assert_ptr_equal(lc_store_table(s, lc_table_id(t)), t);
        assert_ptr_equal(lc_store_table_by_name(s, LC_STR("t")), t);
        assert_ptr_equal(lc_store_table_by_name(s, LC_STR("Alias")), t);
        assert_non_null(lc_store_index_by_name(s, LC_STR("t_id_idx_btree")));
        insert(t, row("4s", 0, "x"));
        insert(t, row("4s", 0, "y"));
        if (round == 0) {
            lc_store_rollback(s);
            assert_null(lc_store_table(s, LC_FIRST_USER_ID));
            assert_null(lc_store_table_by_name(s, LC_STR("t")));
            assert_null(lc_store_table_by_name(s, LC_STR("Alias")));
            assert_null(lc_store_index_by_name(s, LC_STR("t_id_idx_btree")));
            assert_int_equal(lc_table_row_count(lc_store_table(s, LC_ST_TABLE)), LC_ST_COUNT);
        } else {
            commit(s);
            assert_int_equal(lc_table_row_count(t), 2);
        }
    }
    lc_store_destroy(s);
}

LC_TEST(names_canonical_first_then_alias)
{
    lc_store *s = lc_store_create();
    table_builder b;
    tb_init(&b, "first");
    tb_column(&b, "some_column", TY(U32));
    b.def.columns[0].source_name = LC_STR("someColumn");
    b.def.source_name = LC_STR("First");
    lc_table *first = tb_create(&b, s);
    tb_init(&b, "First");
    tb_column(&b, "x", TY(U32));
    b.def.source_name = LC_STR("other");
    lc_table *second = tb_create(&b, s);
    assert_ptr_equal(lc_store_table_by_name(s, LC_STR("first")), first);
    assert_ptr_equal(lc_store_table_by_name(s, LC_STR("First")), second);
    assert_ptr_equal(lc_store_table_by_name(s, LC_STR("other")), second);
    assert_null(lc_store_table_by_name(s, LC_STR("")));
    assert_span_text(lc_table_alias(first), "First");
    assert_int_equal(lc_table_find_column(first, LC_STR("someColumn")), 0);
    assert_int_equal(lc_table_find_column(first, LC_STR("some_column")), 0);
    assert_int_equal(lc_table_find_column(first, LC_STR("SOME_COLUMN")), -1);
    lc_store_destroy(s);
}

LC_TEST(row_level_security_is_filed_under_its_table)
{
    lc_store *s = lc_store_create();
    lc_table *tables[2];
    for (int i = 0; i < 2; i++) {
        table_builder b;
        tb_init(&b, i ? "t" : "doc");
        tb_column(&b, "id", TY(U32));
        tables[i] = tb_create(&b, s);
    }
    for (int round = 0; round < 2; round++) {
        lc_store_begin(s);
        assert_ok(lc_store_add_rule(tables[0], LC_STR("SELECT * FROM doc"), NULL), NULL);
        assert_ok(lc_store_add_rule(tables[0], LC_STR("SELECT doc.* FROM doc"), NULL), NULL);
        assert_true(lc_table_has_rule(tables[0]));
        assert_false(lc_table_has_rule(tables[1]));
        spans rows = rows_of(s, LC_ST_ROW_LEVEL_SECURITY);
        assert_int_equal(rows.len, 2);
        assert_int_equal(lc_load_u32(rows.items[0].ptr), lc_table_id(tables[0]));
        spans_deinit(&rows);
        if (round == 0) {
            lc_store_rollback(s);
            assert_false(lc_table_has_rule(tables[0]));
        } else {
            commit(s);
            assert_true(lc_table_has_rule(tables[0]));
        }
    }
    lc_store_destroy(s);
}

int main(void)
{
    return LC_TEST_RUN(cmocka_unit_test(first_publish_writes_the_same_rows),
                       cmocka_unit_test(a_table_is_undone_with_its_transaction),
                       cmocka_unit_test(names_canonical_first_then_alias),
                       cmocka_unit_test(row_level_security_is_filed_under_its_table));
}
