#include "live_kit.h"

typedef struct column {
    const char *name;
    lc_type_kind kind;
} column;

/* with_key: a unique btree on column 0; index: another btree on that column, 0 for none. */
static lc_table *create_table(live_kit *k, const char *name, const column *columns, uint16_t count,
                              bool with_key, uint16_t index, bool is_public, bool is_event)
{
    lc_error err = LC_ERROR_INIT;
    lc_arena *a = &k->arena;
    lc_table_def def = {
        .name = lc_span_of_str(name),
        .source_name = lc_span_of_str(name),
        .column_count = count,
        .primary_key = with_key ? 0 : -1,
        .is_public = is_public,
        .is_event = is_event,
    };
    lc_type_member *members = lc_arena_alloc(a, count * sizeof *members);
    def.columns = lc_arena_alloc_zero(a, count * sizeof *def.columns);
    for (uint16_t i = 0; i < count; i++) {
        lc_span n = lc_span_of_str(columns[i].name);
        bool is_identity = columns[i].kind == LC_TYPE_PRODUCT;
        const lc_type *type = is_identity ? lc_type_identity() : lc_type_scalar(columns[i].kind);
        members[i] = (lc_type_member){n, type};
        def.columns[i] = (lc_column_def){.name = n, .source_name = n, .type = members[i].type};
    }
    def.row_type = lc_type_new_product(a, members, count);
    def.indexes = lc_arena_alloc_zero(a, 2 * sizeof *def.indexes);
    def.constraints = lc_arena_alloc_zero(a, sizeof *def.constraints);
    uint16_t *positions = lc_arena_alloc(a, 2 * sizeof *positions);
    positions[0] = 0;
    positions[1] = index;
    if (with_key) {
        def.indexes[def.index_count++] = (lc_index_def){
            .name = lc_span_of_str(lc_arena_format(a, "%s_key", name)),
            .source_name = lc_span_of_str(lc_arena_format(a, "%s_key", name)),
            .columns = &positions[0],
            .column_count = 1,
            .is_unique = true,
        };
        def.constraints[def.constraint_count++] = (lc_constraint_def){
            .name = lc_span_of_str(lc_arena_format(a, "%s_unique", name)),
            .columns = &positions[0],
            .column_count = 1,
        };
    }
    if (index)
        def.indexes[def.index_count++] = (lc_index_def){
            .name = lc_span_of_str(lc_arena_format(a, "%s_by_%u", name, index)),
            .source_name = lc_span_of_str(lc_arena_format(a, "%s_by_%u", name, index)),
            .columns = &positions[1],
            .column_count = 1,
        };
    lc_table *t;
    assert_ok(lc_store_create_table(k->store, &def, &t, &err), &err);
    return t;
}

void live_kit_init(live_kit *k)
{
    *k = (live_kit){.store = lc_store_create()};
    static const column item[] = {{"id", LC_TYPE_U32},
                                  {"owner", LC_TYPE_U32},
                                  {"kind", LC_TYPE_U8},
                                  {"name", LC_TYPE_STRING}};
    static const column point[] = {{"x", LC_TYPE_I32}, {"y", LC_TYPE_I32}};
    static const column only_id[] = {{"id", LC_TYPE_U32}};
    static const column note[] = {{"id", LC_TYPE_U32}, {"author", LC_TYPE_PRODUCT}};
    lc_store_begin(k->store);
    k->item = create_table(k, "item", item, 4, true, 1, true, false);
    k->point = create_table(k, "point", point, 2, false, 0, true, false);
    k->ping = create_table(k, "ping", only_id, 1, false, 0, true, true);
    k->secret = create_table(k, "secret", only_id, 1, true, 0, false, false);
    k->note = create_table(k, "note", note, 2, true, 1, true, false);
    lc_store_commit(k->store);
    lc_store_release(k->store);
    k->live = lc_live_create(k->store);
}

void live_kit_deinit(live_kit *k)
{
    lc_live_destroy(k->live);
    lc_store_destroy(k->store);
    lc_arena_deinit(&k->arena);
}

static void item_row(lc_buf *row, uint32_t id, uint32_t owner, uint8_t kind, const char *name)
{
    lc_buf_put_u32(row, id);
    lc_buf_put_u32(row, owner);
    lc_buf_put_u8(row, kind);
    lc_buf_put_lenstr(row, lc_span_of_str(name));
}

void put_item(live_kit *k, uint32_t id, uint32_t owner, uint8_t kind, const char *name)
{
    lc_buf row = LC_BUF_INIT;
    lc_write w;
    lc_error err = LC_ERROR_INIT;
    item_row(&row, id, owner, kind, name);
    assert_int_equal(lc_table_insert(k->item, lc_buf_span(&row), &w, &err), LC_ERRNO_OK);
    lc_buf_deinit(&row);
}

void update_item(live_kit *k, uint32_t id, uint32_t owner, uint8_t kind, const char *name)
{
    delete_item(k, id);
    put_item(k, id, owner, kind, name);
}

void delete_item(live_kit *k, uint32_t id)
{
    uint32_t deleted;
    lc_index_delete_point(lc_table_index(k->item, 0), LC_SPAN(&id, sizeof id), &deleted, NULL);
}

void put_u32(lc_table *t, uint32_t id)
{
    lc_write w;
    assert_int_equal(lc_table_insert(t, LC_SPAN(&id, sizeof id), &w, NULL), LC_ERRNO_OK);
}

void put_note(live_kit *k, uint32_t id, const lc_identity *author)
{
    uint8_t row[36];
    lc_write w;
    lc_store_u32(row, id);
    memcpy(row + 4, author->bytes, sizeof author->bytes);
    assert_int_equal(lc_table_insert(k->note, LC_SPAN(row, sizeof row), &w, NULL), LC_ERRNO_OK);
}

void toggle_point(live_kit *k, int32_t x, int32_t y)
{
    int32_t row[2] = {x, y};
    lc_write w;
    if (!lc_table_delete_row(k->point, LC_SPAN(row, sizeof row)))
        assert_int_equal(lc_table_insert(k->point, LC_SPAN(row, sizeof row), &w, NULL),
                         LC_ERRNO_OK);
}

lc_caller caller_number(uint32_t n)
{
    lc_caller c = {0};
    lc_store_u32(c.identity.bytes, n);
    return c;
}

lc_caller the_owner(void)
{
    lc_caller c = caller_number(UINT32_MAX);
    c.is_owner = true;
    return c;
}

void evaluate(live_kit *k, const char *sql, const lc_caller *caller, lc_rowset *rows)
{
    lc_plan *plan;
    lc_error err = LC_ERROR_INIT;
    assert_ok(
        lc_plan_create(k->store, lc_span_of_str(sql), LC_DIALECT_SUBSCRIPTION, caller, &plan, &err),
        &err);
    assert_ok(lc_plan_select(plan, rows, &err), &err);
    lc_plan_destroy(plan);
}
