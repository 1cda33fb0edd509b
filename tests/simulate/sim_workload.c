#include "sim_workload.h"

#include <stdio.h>

void sim_workload_init(sim_workload *w, uint64_t seed, sim_model *model)
{
    *w = (sim_workload){.random = {seed}, .model = model};
    /* Few large rows or many small ones: tables of several pages, snapshots of several blocks. */
    static const struct {
        uint32_t largest, crowd;
    } shapes[] = {{40, 10},   {40, 60},    {40, 250},  {300, 60},  {300, 60},   {300, 250},
                  {40, 1500}, {300, 1000}, {2000, 60}, {8000, 60}, {2000, 250}, {60000, 120}};
    uint32_t shape = sim_below(&w->random, LC_ARRAY_LEN(shapes));
    w->largest = shapes[shape].largest;
    w->crowd = shapes[shape].crowd;
}

void sim_workload_deinit(sim_workload *w)
{
    lc_vec_deinit(&w->tables);
    lc_vec_deinit(&w->draws);
    lc_buf_deinit(&w->row);
    lc_buf_deinit(&w->key);
}

/* ------------------------------------------------------------------ tables */

enum { ST_SEQUENCE_TABLE = 2, ST_SEQUENCE_COLUMN = 3 };

static bool note_sequence(void *arg, lc_span row)
{
    sim_workload *w = arg;
    const lc_layout *l = lc_table_layout(lc_store_table(w->store, LC_ST_SEQUENCE));
    uint32_t id = lc_load_u32(lc_layout_column(l, row.ptr, ST_SEQUENCE_TABLE).ptr);
    uint32_t column = lc_load_u16(lc_layout_column(l, row.ptr, ST_SEQUENCE_COLUMN).ptr);
    LC_VEC_EACH (t, &w->tables)
        if (lc_table_id(t->table) == id) t->sequences[t->sequence_count++] = column;
    return true;
}

void sim_workload_attach(sim_workload *w, lc_store *store)
{
    w->store = store;
    w->tables.len = 0;
    uint32_t at = 0;
    for (lc_table *t; (t = lc_store_next_table(store, &at));)
        if (!lc_table_is_system(t)) lc_vec_push(&w->tables, ((sim_table){.table = t}));
    lc_table_scan(lc_store_table(store, LC_ST_SEQUENCE), note_sequence, w);
}

/* -------------------------------------------------------------------- rows */

static void put_number(sim_workload *w, size_t size)
{
    uint8_t bytes[32] = {0};
    switch (sim_below(&w->random, 4)) {
    case 0:
        bytes[0] = (uint8_t)sim_below(&w->random, 20);
        break;
    case 1:
        for (size_t i = 0; i < size; i++) bytes[i] = (uint8_t)sim_next(&w->random);
        break;
    default:
        lc_store_u16(bytes, (uint16_t)sim_below(&w->random, 1000));
    }
    lc_buf_put(&w->row, bytes, size);
}

/* Also long runs of zeros, which to a log look like what was never written. */
static void put_bytes(sim_workload *w, bool is_text)
{
    uint32_t len = sim_below(&w->random, sim_one_in(&w->random, 6) ? w->largest : 24);
    lc_buf_put_u32(&w->row, len);
    uint8_t *at = lc_buf_extend(&w->row, len);
    uint32_t style = sim_below(&w->random, is_text ? 2 : 3);
    uint64_t noise = 0;
    for (uint32_t i = 0; i < len; i++) {
        if (i % 8 == 0) noise = sim_next(&w->random);
        uint8_t b = (uint8_t)(noise >> i % 8 * 8);
        at[i] = style == 0 ? (uint8_t)('a' + (i % 7)) : is_text ? (uint8_t)('a' + b % 26) : b;
        if (style == 2) at[i] = 0;
    }
}

static void put_value(sim_workload *w, const lc_type *t)
{
    switch (t->kind) {
    case LC_TYPE_SUM: {
        uint32_t tag = sim_below(&w->random, t->member_count);
        lc_buf_put_u8(&w->row, (uint8_t)tag);
        put_value(w, t->members[tag].type);
        break;
    }
    case LC_TYPE_PRODUCT:
        for (uint32_t i = 0; i < t->member_count; i++) put_value(w, t->members[i].type);
        break;
    case LC_TYPE_ARRAY: {
        if (lc_type_is_bytes(t)) {
            put_bytes(w, false);
            break;
        }
        uint32_t n = sim_below(&w->random, 6);
        lc_buf_put_u32(&w->row, n);
        while (n-- > 0) put_value(w, t->element);
        break;
    }
    case LC_TYPE_STRING:
        put_bytes(w, true);
        break;
    case LC_TYPE_BOOL:
        lc_buf_put_u8(&w->row, (uint8_t)sim_below(&w->random, 2));
        break;
    default:
        put_number(w, (size_t)t->fixed_size);
    }
}

static bool draws(const sim_table *t, uint32_t column)
{
    for (uint32_t i = 0; i < t->sequence_count; i++)
        if (t->sequences[i] == column) return true;
    return false;
}

/* A new row, or a known one with a column changed. */
static void make_row(sim_workload *w, const sim_table *t, lc_span known)
{
    const lc_layout *l = lc_table_layout(t->table);
    uint32_t count = lc_layout_column_count(l);
    uint32_t change = sim_below(&w->random, count);
    lc_buf_reset(&w->row);
    lc_buf_reserve(&w->row, 1);
    for (uint32_t c = 0; c < count; c++) {
        const lc_type *type = lc_layout_column_type(l, c);
        if (known.ptr && c != change) {
            lc_buf_put_span(&w->row, lc_layout_column(l, known.ptr, c));
        } else if (draws(t, c) && !sim_one_in(&w->random, 8)) {
            memset(lc_buf_extend(&w->row, (size_t)type->fixed_size), 0, (size_t)type->fixed_size);
        } else {
            put_value(w, type);
        }
    }
}

static lc_span pick_known(sim_workload *w, const sim_table *t)
{
    const sim_rows *rows = sim_model_rows(w->model, lc_table_id(t->table));
    return rows->len ? sim_rows_pick(rows, &w->random) : LC_SPAN_EMPTY;
}

/* ------------------------------------------------------------------ writes */

/* The numbers that a written row drew; none of them may have been given before. */
static void note_draws(sim_workload *w, const sim_table *t, lc_span given, const lc_write *written)
{
    static const uint8_t zeros[32];
    const lc_layout *l = lc_table_layout(t->table);
    for (uint32_t i = 0; i < t->sequence_count; i++) {
        uint32_t c = t->sequences[i];
        lc_span asked = lc_layout_column(l, given.ptr, c);
        if (memcmp(asked.ptr, zeros, asked.len) != 0) continue;
        sim_draw d = {lc_table_id(t->table), c, 0};
        memcpy(&d.value, lc_layout_column(l, written->row.ptr, c).ptr,
               asked.len < 8 ? asked.len : 8);
        SIM_CHECK(!sim_model_has_draw(w->model, &d),
                  "table " LC_SPAN_FMT ", column %u: number %llu is given a second time",
                  LC_SPAN_ARG(lc_table_name(t->table)), c, (unsigned long long)d.value);
        lc_vec_push(&w->draws, d);
    }
}

static void check_errno(const sim_table *t, lc_errno rc, const char *verb)
{
    SIM_CHECK(rc == LC_ERRNO_OK || rc == LC_ERRNO_UNIQUE_ALREADY_EXISTS ||
                  rc == LC_ERRNO_NO_SUCH_ROW || rc == LC_ERRNO_INDEX_NOT_UNIQUE,
              "table " LC_SPAN_FMT ": %s gives error %d", LC_SPAN_ARG(lc_table_name(t->table)),
              verb, (int)rc);
}

static void insert_row(sim_workload *w, const sim_table *t)
{
    lc_write written;
    make_row(w, t, sim_one_in(&w->random, 5) ? pick_known(w, t) : LC_SPAN_EMPTY);
    lc_errno rc = lc_table_insert(t->table, lc_buf_span(&w->row), &written, NULL);
    check_errno(t, rc, "insert");
    if (rc == LC_ERRNO_OK) note_draws(w, t, lc_buf_span(&w->row), &written);
}

static lc_index *random_index(sim_workload *w, const sim_table *t)
{
    uint32_t count = 0;
    while (lc_table_index(t->table, count)) count++;
    return count ? lc_table_index(t->table, sim_below(&w->random, count)) : NULL;
}

static void update_row(sim_workload *w, const sim_table *t)
{
    lc_index *i = random_index(w, t);
    lc_span known = pick_known(w, t);
    if (!i || !known.ptr) return;
    lc_write written;
    make_row(w, t, known);
    lc_errno rc = lc_table_update(t->table, lc_index_id(i), lc_buf_span(&w->row), &written, NULL);
    check_errno(t, rc, "update");
    if (rc == LC_ERRNO_OK) note_draws(w, t, lc_buf_span(&w->row), &written);
}

static void delete_row(sim_workload *w, const sim_table *t)
{
    lc_span known = pick_known(w, t);
    if (known.ptr) lc_table_delete_row(t->table, known);
}

static void delete_point(sim_workload *w, const sim_table *t)
{
    lc_index *i = random_index(w, t);
    lc_span known = pick_known(w, t);
    if (!i || !known.ptr) return;
    const lc_layout *l = lc_table_layout(t->table);
    lc_buf_reset(&w->key);
    for (uint32_t c = 0; c < lc_index_column_count(i); c++)
        lc_buf_put_span(&w->key, lc_layout_column(l, known.ptr, lc_index_column(i, c)));
    uint32_t deleted;
    check_errno(t, lc_index_delete_point(i, lc_buf_span(&w->key), &deleted, NULL), "delete point");
}

static void delete_range(sim_workload *w, const sim_table *t)
{
    lc_index *i = random_index(w, t);
    lc_span a = pick_known(w, t), b = pick_known(w, t);
    if (!i || !a.ptr || lc_index_kind(i) == LC_INDEX_HASH) return;
    const lc_layout *l = lc_table_layout(t->table);
    uint16_t column = lc_index_column(i, 0);
    const lc_type *type = lc_layout_column_type(l, column);
    /* Of a single column that is a product the bounds would be its parts. */
    if (type->kind == LC_TYPE_PRODUCT) return;
    lc_range r = {
        .start = {LC_BOUND_INCLUDED, lc_layout_column(l, a.ptr, column)},
        .end = {LC_BOUND_EXCLUDED, lc_layout_column(l, b.ptr, column)},
    };
    if (lc_value_compare(type, r.start.value.ptr, r.end.value.ptr) > 0) {
        lc_span swap = r.start.value;
        r.start.value = r.end.value;
        r.end.value = swap;
    }
    uint32_t deleted;
    check_errno(t, lc_index_delete_range(i, &r, &deleted, NULL), "delete range");
}

static void write_once(sim_workload *w)
{
    const sim_table *t = &w->tables.items[sim_below(&w->random, (uint32_t)w->tables.len)];
    bool is_crowded = lc_table_row_count(t->table) > w->crowd;
    uint32_t choice = sim_below(&w->random, 1000);
    if (choice < (is_crowded ? 300u : 620u))
        insert_row(w, t);
    else if (choice < 760)
        update_row(w, t);
    else if (choice < 920)
        delete_row(w, t);
    else if (choice < 960)
        delete_point(w, t);
    else if (choice < 996)
        delete_range(w, t);
    else
        lc_table_clear(t->table);
}

/* ----------------------------------------------------------- system tables */

static void come_or_go(sim_workload *w)
{
    lc_identity id;
    lc_connection_id connection;
    if (sim_one_in(&w->random, 2) && lc_store_first_client(w->store, &id, &connection)) {
        bool was_there = lc_store_remove_client(w->store, &id, &connection);
        SIM_CHECK(was_there, "a client row cannot be removed");
        return;
    }
    for (size_t i = 0; i < sizeof id.bytes; i++) id.bytes[i] = (uint8_t)sim_next(&w->random);
    for (size_t i = 0; i < sizeof connection.bytes; i++)
        connection.bytes[i] = (uint8_t)sim_next(&w->random);
    lc_status rc = lc_store_add_client(w->store, &id, &connection, LC_STR("{\"sub\":\"x\"}"), NULL);
    SIM_CHECK(rc == LC_OK, "a client row cannot be added");
}

static void replace_module(sim_workload *w)
{
    lc_module_row row = {.program_kind = 0};
    lc_buf_reset(&w->row);
    put_bytes(w, false);
    row.program = lc_buf_span(&w->row);
    lc_blake3(row.program.ptr, row.program.len, row.program_hash);
    row.owner.bytes[0] = 1;
    row.database.bytes[0] = 2;
    lc_store_set_module(w->store, &row);
}

/* ------------------------------------------------------------ transactions */

void sim_workload_first(sim_workload *w)
{
    w->draws.len = 0;
    lc_store_begin(w->store);
    uint32_t tables = 1 + sim_below(&w->random, 5);
    while (tables-- > 0) sim_schema_add_table(&w->random, w->store, w->tables_made++);
    replace_module(w);
    sim_workload_attach(w, w->store);
    uint32_t rows = sim_below(&w->random, sim_one_in(&w->random, 3) ? w->crowd : 5);
    LC_VEC_EACH (t, &w->tables)
        for (uint32_t n = 0; n < rows; n++) insert_row(w, t);
}

const char *sim_workload_transaction(sim_workload *w)
{
    w->draws.len = 0;
    lc_store_begin(w->store);
    uint32_t choice = sim_below(&w->random, 1000);
    if (choice < 15) return "empty";
    if (choice < 60) {
        come_or_go(w);
        return "client";
    }
    if (choice < 70) {
        replace_module(w);
        return "module";
    }
    if (choice < 80) {
        lc_status rc = lc_store_set_row_limit(w->store, sim_next(&w->random), NULL);
        SIM_CHECK(rc == LC_OK, "the row limit cannot be set");
        return "row limit";
    }
    if (choice < 90 && w->tables_made < 12) {
        sim_schema_add_table(&w->random, w->store, w->tables_made++);
        return "new table";
    }
    bool is_big = sim_one_in(&w->random, 30);
    uint32_t n = is_big ? 30 + sim_below(&w->random, 200) : 1 + sim_below(&w->random, 6);
    while (n-- > 0) write_once(w);
    return is_big ? "big" : "small";
}
