/* Random tables: fixed and variable rows, every kind of index, sequences, event tables. */
#include "sim_workload.h"

enum { MAX_COLUMNS = 6, MAX_INDEXES = 5 };

typedef struct builder {
    sim_random *random;
    lc_arena arena;
    lc_table_def def;
    lc_column_def columns[MAX_COLUMNS];
    lc_index_def indexes[MAX_INDEXES];
    lc_constraint_def constraints[MAX_INDEXES];
    lc_sequence_def sequences[2];
} builder;

static const lc_type *plain_enum(lc_arena *a)
{
    lc_type_member m[] = {{LC_STR("red"), lc_type_unit()},
                          {LC_STR("green"), lc_type_unit()},
                          {LC_STR("blue"), lc_type_unit()}};
    return lc_type_new_sum(a, m, LC_ARRAY_LEN(m));
}

static const lc_type *fixed_type(builder *b)
{
    static const lc_type_kind kinds[] = {LC_TYPE_U8,  LC_TYPE_U16,  LC_TYPE_U32, LC_TYPE_U64,
                                         LC_TYPE_I32, LC_TYPE_I64,  LC_TYPE_F64, LC_TYPE_BOOL,
                                         LC_TYPE_I8,  LC_TYPE_U128, LC_TYPE_U32, LC_TYPE_U64};
    switch (sim_below(b->random, 8)) {
    case 0:
        return lc_type_identity();
    case 1:
        return lc_type_timestamp();
    case 2:
        return plain_enum(&b->arena);
    default:
        return lc_type_scalar(kinds[sim_below(b->random, LC_ARRAY_LEN(kinds))]);
    }
}

static const lc_type *varying_type(builder *b)
{
    switch (sim_below(b->random, 5)) {
    case 0:
        return lc_type_bytes();
    case 1:
        return lc_type_new_option(&b->arena, lc_type_scalar(LC_TYPE_U32));
    case 2:
        return lc_type_new_array(&b->arena, lc_type_scalar(LC_TYPE_U16));
    default:
        return lc_type_scalar(LC_TYPE_STRING);
    }
}

static void add_column(builder *b, const lc_type *type)
{
    lc_column_def *c = &b->def.columns[b->def.column_count];
    c->name = c->source_name =
        lc_span_of_str(lc_arena_format(&b->arena, "c%u", b->def.column_count));
    c->type = type;
    b->def.column_count++;
}

static void add_sequence(builder *b, uint16_t column)
{
    lc_sequence_def *q = &b->def.sequences[b->def.sequence_count++];
    q->name = lc_span_of_str(
        lc_arena_format(&b->arena, LC_SPAN_FMT "_c%u_seq", LC_SPAN_ARG(b->def.name), column));
    q->column = column;
    q->start = q->min_value = q->increment = (lc_i128){1, 0};
    if (sim_one_in(b->random, 3)) q->increment.lo = 1 + sim_below(b->random, 7);
    if (sim_one_in(b->random, 3)) q->start.lo = 1 + sim_below(b->random, 10000);
    q->max_value = (lc_i128){UINT64_MAX, INT64_MAX};
}

static bool has_index(const builder *b, lc_span name)
{
    for (uint32_t i = 0; i < b->def.index_count; i++)
        if (lc_span_equal(b->def.indexes[i].name, name)) return true;
    return false;
}

static bool suits_direct(const lc_type *t)
{
    return t->kind == LC_TYPE_U8 || t->kind == LC_TYPE_U16 || t->kind == LC_TYPE_U32 ||
           t->kind == LC_TYPE_U64 || lc_type_is_plain_enum(t);
}

static void add_index(builder *b, const uint16_t *columns, uint16_t count, bool is_unique)
{
    static const char *const kinds[] = {"btree", "hash", "direct"};
    lc_index_algorithm kind = (lc_index_algorithm)sim_below(b->random, 3);
    if (kind == LC_INDEX_DIRECT && (count != 1 || !suits_direct(b->def.columns[columns[0]].type)))
        kind = LC_INDEX_BTREE;
    is_unique |= kind == LC_INDEX_DIRECT;
    lc_buf text = LC_BUF_INIT;
    lc_buf_put_span(&text, b->def.name);
    for (uint16_t c = 0; c < count; c++) lc_buf_printf(&text, "_c%u", columns[c]);
    lc_span stem = lc_arena_copy(&b->arena, lc_buf_span(&text));
    lc_buf_deinit(&text);
    char *name = lc_arena_format(&b->arena, LC_SPAN_FMT "_idx_%s", LC_SPAN_ARG(stem), kinds[kind]);
    if (has_index(b, lc_span_of_str(name))) return;
    lc_index_def *i = &b->def.indexes[b->def.index_count++];
    *i = (lc_index_def){
        .name = lc_span_of_str(name),
        .source_name = lc_span_of_str(name),
        .algorithm = kind,
        .columns = lc_arena_alloc(&b->arena, count * sizeof *columns),
        .column_count = count,
        .is_unique = is_unique,
    };
    memcpy(i->columns, columns, count * sizeof *columns);
    if (!is_unique) return;
    b->def.constraints[b->def.constraint_count++] = (lc_constraint_def){
        .name = lc_span_of_str(
            lc_arena_format(&b->arena, LC_SPAN_FMT "_%s_key", LC_SPAN_ARG(stem), kinds[kind])),
        .columns = i->columns,
        .column_count = count,
    };
}

static void add_random_index(builder *b)
{
    uint16_t columns[2], count = sim_one_in(b->random, 3) ? 2 : 1;
    if (count > b->def.column_count) count = b->def.column_count;
    columns[0] = (uint16_t)sim_below(b->random, b->def.column_count);
    if (count == 2)
        columns[1] = (uint16_t)((columns[0] + 1 + sim_below(b->random, b->def.column_count - 1u)) %
                                b->def.column_count);
    add_index(b, columns, count, sim_one_in(b->random, 4));
}

/* A number of its own first, usually drawn; most tables have one. */
static void add_key(builder *b)
{
    static const lc_type_kind kinds[] = {LC_TYPE_U32, LC_TYPE_U64, LC_TYPE_I64, LC_TYPE_I32};
    add_column(b, lc_type_scalar(kinds[sim_below(b->random, LC_ARRAY_LEN(kinds))]));
    if (!sim_one_in(b->random, 3)) add_sequence(b, 0);
    if (!sim_one_in(b->random, 6)) {
        add_index(b, &(uint16_t){0}, 1, true);
        b->def.primary_key = 0;
    }
}

void sim_schema_add_table(sim_random *r, lc_store *store, uint32_t number)
{
    builder b = {.random = r};
    b.def = (lc_table_def){
        .columns = b.columns,
        .indexes = b.indexes,
        .constraints = b.constraints,
        .sequences = b.sequences,
        .primary_key = -1,
        .is_public = sim_one_in(r, 2),
        .is_event = sim_one_in(r, 9),
    };
    b.def.name = b.def.source_name = lc_span_of_str(lc_arena_format(&b.arena, "table%u", number));
    if (!sim_one_in(r, 4)) add_key(&b);
    bool is_fixed = sim_one_in(r, 2);
    uint32_t more = (b.def.column_count == 0) + sim_below(r, MAX_COLUMNS - 1);
    while (more-- > 0)
        add_column(&b, is_fixed || sim_one_in(r, 2) ? fixed_type(&b) : varying_type(&b));
    if (b.def.column_count > 1 && sim_one_in(r, 8) && lc_type_is_integer(b.columns[1].type) &&
        b.columns[1].type->fixed_size >= 8)
        add_sequence(&b, 1);
    uint32_t indexes = sim_below(r, MAX_INDEXES - 1);
    while (indexes-- > 0) add_random_index(&b);
    lc_error err = LC_ERROR_INIT;
    lc_status rc = lc_store_create_table(store, &b.def, NULL, &err);
    SIM_CHECK(rc == LC_OK, "a table cannot be made: %s", lc_error_text(&err));
    lc_arena_deinit(&b.arena);
}
