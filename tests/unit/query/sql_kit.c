#include "sql_kit.h"

void kit_read_file(const char *name, lc_buf *out)
{
    char path[256];
    lc_error err = LC_ERROR_INIT;
    snprintf(path, sizeof path, KIT_FOLDER "%s", name);
    assert_ok(lc_disk_read_file(lc_disk_system(), path, out, &err), &err);
}

void sql_kit_init(sql_kit *k)
{
    lc_buf definition = LC_BUF_INIT;
    lc_error err = LC_ERROR_INIT;
    *k = (sql_kit){0};
    kit_read_file("sqlkit.def.bin", &definition);
    kit_read_file("sqlkit.seed.bin", &k->seed);
    assert_ok(lc_schema_read(lc_buf_span(&definition), &k->schema, &err), &err);
    lc_buf_deinit(&definition);
    k->store = lc_store_create();
    lc_store_begin(k->store);
    assert_ok(lc_store_create_schema(k->store, k->schema, &err), &err);
    lc_store_commit(k->store);
    lc_store_release(k->store);
    sql_kit_seed(k);
}

void sql_kit_deinit(sql_kit *k)
{
    lc_store_destroy(k->store);
    lc_schema_unref(k->schema);
    lc_buf_deinit(&k->seed);
}

void sql_kit_seed(sql_kit *k)
{
    lc_error err = LC_ERROR_INIT;
    lc_store_begin(k->store);
    for (uint32_t i = 0; i < k->schema->table_count; i++)
        lc_table_clear(lc_store_table_by_name(k->store, k->schema->tables[i].name));
    lc_reader r = lc_reader_of(lc_buf_span(&k->seed), NULL);
    while (r.at < r.end) {
        lc_span name = lc_read_bytes(&r);
        lc_span row = lc_read_bytes(&r);
        lc_table *t = lc_store_table_by_name(k->store, name);
        lc_write w;
        assert_non_null(t);
        if (lc_table_insert(t, row, &w, &err) != LC_ERRNO_OK) fail_msg("%s", lc_error_text(&err));
    }
    lc_store_commit(k->store);
    lc_store_release(k->store);
}

lc_table *kit_create_table(lc_store *s, lc_arena *a, const char *name, const kit_column *columns,
                           uint16_t column_count, const kit_index *indexes, uint32_t index_count)
{
    lc_error err = LC_ERROR_INIT;
    lc_table_def def = {
        .name = lc_span_of_str(name),
        .source_name = lc_span_of_str(name),
        .column_count = column_count,
        .primary_key = -1,
        .is_public = true,
        .index_count = index_count,
    };
    lc_type_member *members = lc_arena_alloc(a, column_count * sizeof *members);
    def.columns = lc_arena_alloc_zero(a, column_count * sizeof *def.columns);
    for (uint16_t i = 0; i < column_count; i++) {
        lc_span column = lc_span_of_str(columns[i].name);
        members[i] = (lc_type_member){column, columns[i].type};
        def.columns[i] =
            (lc_column_def){.name = column, .source_name = column, .type = columns[i].type};
    }
    def.row_type = lc_type_new_product(a, members, column_count);
    def.indexes = lc_arena_alloc_zero(a, (index_count + 1) * sizeof *def.indexes);
    def.constraints = lc_arena_alloc_zero(a, (index_count + 1) * sizeof *def.constraints);
    for (uint32_t i = 0; i < index_count; i++) {
        lc_index_def *d = &def.indexes[i];
        d->name = d->source_name = lc_span_of_str(lc_arena_format(a, "%s_idx_%u", name, i));
        d->algorithm = indexes[i].algorithm;
        d->column_count = indexes[i].column_count;
        d->columns = lc_arena_alloc(a, sizeof indexes[i].columns);
        memcpy(d->columns, indexes[i].columns, sizeof indexes[i].columns);
        d->is_unique = indexes[i].is_unique;
        if (!d->is_unique) continue;
        lc_constraint_def *c = &def.constraints[def.constraint_count++];
        c->name = lc_span_of_str(lc_arena_format(a, "%s_key_%u", name, i));
        c->columns = d->columns;
        c->column_count = d->column_count;
    }
    lc_table *t = NULL;
    lc_store_begin(s);
    assert_ok(lc_store_create_table(s, &def, &t, &err), &err);
    lc_store_commit(s);
    lc_store_release(s);
    return t;
}
