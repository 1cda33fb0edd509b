/* The st_* tables: what they are, their first rows, and rows of theirs that mean something to us.
 */
#include "store/store_internal.h"

/* --------------------------------------------------------------- bootstrap */

typedef enum st_type {
    ST_BOOL,
    ST_U8,
    ST_U16,
    ST_U32,
    ST_U64,
    ST_I64,
    ST_I128,
    ST_U128,
    ST_U256,
    ST_STRING,
    ST_BYTES,
    ST_PRIMARY_KEY,
    ST_ALGORITHM,
    ST_CONSTRAINT_DATA,
    ST_VALUE,
    ST_SOME_U32,
} st_type;

typedef struct st_column {
    const char *name;
    st_type type;
} st_column;

static const struct {
    const char *name;
    int32_t primary_key;
    st_column columns[10];
} st_tables[LC_ST_COUNT] = {
    {"st_table",
     0,
     {{"table_id", ST_U32},
      {"table_name", ST_STRING},
      {"table_type", ST_STRING},
      {"table_access", ST_STRING},
      {"table_primary_key", ST_PRIMARY_KEY}}},
    {"st_column",
     -1,
     {{"table_id", ST_U32}, {"col_pos", ST_U16}, {"col_name", ST_STRING}, {"col_type", ST_BYTES}}},
    {"st_sequence",
     0,
     {{"sequence_id", ST_U32},
      {"sequence_name", ST_STRING},
      {"table_id", ST_U32},
      {"col_pos", ST_U16},
      {"increment", ST_I128},
      {"start", ST_I128},
      {"min_value", ST_I128},
      {"max_value", ST_I128},
      {"allocated", ST_I128}}},
    {"st_index",
     0,
     {{"index_id", ST_U32},
      {"table_id", ST_U32},
      {"index_name", ST_STRING},
      {"index_algorithm", ST_ALGORITHM}}},
    {"st_constraint",
     0,
     {{"constraint_id", ST_U32},
      {"constraint_name", ST_STRING},
      {"table_id", ST_U32},
      {"constraint_data", ST_CONSTRAINT_DATA}}},
    {"st_module",
     -1,
     {{"database_identity", ST_U256},
      {"owner_identity", ST_U256},
      {"program_kind", ST_U8},
      {"program_hash", ST_U256},
      {"program_bytes", ST_BYTES},
      {"module_version", ST_STRING}}},
    {"st_client", -1, {{"identity", ST_U256}, {"connection_id", ST_U128}}},
    {"st_var", 0, {{"name", ST_STRING}, {"value", ST_VALUE}}},
    {"st_scheduled",
     0,
     {{"schedule_id", ST_U32},
      {"table_id", ST_U32},
      {"reducer_name", ST_STRING},
      {"schedule_name", ST_STRING},
      {"at_column", ST_U16}}},
    {"st_row_level_security", 1, {{"table_id", ST_U32}, {"sql", ST_STRING}}},
    {"st_connection_credentials", 0, {{"connection_id", ST_U128}, {"jwt_payload", ST_STRING}}},
    {"st_view",
     0,
     {{"view_id", ST_U32},
      {"view_name", ST_STRING},
      {"table_id", ST_SOME_U32},
      {"is_public", ST_BOOL},
      {"is_anonymous", ST_BOOL}}},
    {"st_view_param",
     -1,
     {{"view_id", ST_U32},
      {"param_pos", ST_U16},
      {"param_name", ST_STRING},
      {"param_type", ST_BYTES}}},
    {"st_view_column",
     -1,
     {{"view_id", ST_U32}, {"col_pos", ST_U16}, {"col_name", ST_STRING}, {"col_type", ST_BYTES}}},
    {"st_view_sub",
     -1,
     {{"view_id", ST_U32},
      {"arg_id", ST_U64},
      {"identity", ST_U256},
      {"num_subscribers", ST_U64},
      {"has_subscribers", ST_BOOL},
      {"last_called", ST_I64}}},
    {"st_view_arg", 0, {{"id", ST_U64}, {"bytes", ST_BYTES}}},
    {"st_event_table", 0, {{"table_id", ST_U32}}},
    {"st_table_accessor", -1, {{"table_name", ST_STRING}, {"accessor_name", ST_STRING}}},
    {"st_index_accessor", -1, {{"index_name", ST_STRING}, {"accessor_name", ST_STRING}}},
    {"st_column_accessor",
     -1,
     {{"table_name", ST_STRING}, {"col_name", ST_STRING}, {"accessor_name", ST_STRING}}},
};

/* Indexes in the order of their ids, from 1; constraints are the unique ones in the same order. */
static const struct {
    uint8_t table;
    bool is_unique;
    uint8_t column_count;
    uint16_t columns[3];
} st_indexes[] = {
    {LC_ST_TABLE, true, 1, {0}},
    {LC_ST_TABLE, true, 1, {1}},
    {LC_ST_COLUMN, true, 2, {0, 1}},
    {LC_ST_SEQUENCE, true, 1, {0}},
    {LC_ST_INDEX, true, 1, {0}},
    {LC_ST_CONSTRAINT, true, 1, {0}},
    {LC_ST_CLIENT, true, 2, {0, 1}},
    {LC_ST_VAR, true, 1, {0}},
    {LC_ST_SCHEDULED, true, 1, {0}},
    {LC_ST_SCHEDULED, true, 1, {1}},
    {LC_ST_ROW_LEVEL_SECURITY, false, 1, {0}},
    {LC_ST_ROW_LEVEL_SECURITY, true, 1, {1}},
    {LC_ST_CONNECTION_CREDENTIALS, true, 1, {0}},
    {LC_ST_VIEW, true, 1, {0}},
    {LC_ST_VIEW, true, 1, {1}},
    {LC_ST_VIEW_PARAM, true, 2, {0, 1}},
    {LC_ST_VIEW_COLUMN, true, 2, {0, 1}},
    {LC_ST_VIEW_SUB, false, 1, {2}},
    {LC_ST_VIEW_SUB, false, 1, {4}},
    {LC_ST_VIEW_SUB, false, 3, {0, 1, 2}},
    {LC_ST_VIEW_ARG, true, 1, {0}},
    {LC_ST_VIEW_ARG, true, 1, {1}},
    {LC_ST_EVENT_TABLE, true, 1, {0}},
    {LC_ST_TABLE_ACCESSOR, true, 1, {0}},
    {LC_ST_TABLE_ACCESSOR, true, 1, {1}},
    {LC_ST_INDEX_ACCESSOR, true, 1, {0}},
    {LC_ST_INDEX_ACCESSOR, true, 1, {1}},
    {LC_ST_COLUMN_ACCESSOR, true, 2, {0, 1}},
    {LC_ST_COLUMN_ACCESSOR, true, 2, {0, 2}},
};

/* Tables whose first column draws from a sequence, in the order of sequence ids, from 1. */
static const uint8_t st_sequences[] = {LC_ST_TABLE,     LC_ST_INDEX,    LC_ST_CONSTRAINT,
                                       LC_ST_SCHEDULED, LC_ST_SEQUENCE, LC_ST_VIEW,
                                       LC_ST_VIEW_ARG};

static const lc_type *sum_of(lc_arena *a, const char *const *names, const lc_type *const *types,
                             uint32_t count)
{
    lc_type_member members[16];
    for (uint32_t i = 0; i < count; i++)
        members[i] = (lc_type_member){lc_span_of_str(names[i]), types[i]};
    return lc_type_new_sum(a, members, count);
}

static const lc_type *make_type(lc_arena *a, st_type t)
{
    static const lc_type_kind scalars[] = {
        [ST_BOOL] = LC_TYPE_BOOL,    [ST_U8] = LC_TYPE_U8,     [ST_U16] = LC_TYPE_U16,
        [ST_U32] = LC_TYPE_U32,      [ST_U64] = LC_TYPE_U64,   [ST_I64] = LC_TYPE_I64,
        [ST_I128] = LC_TYPE_I128,    [ST_U128] = LC_TYPE_U128, [ST_U256] = LC_TYPE_U256,
        [ST_STRING] = LC_TYPE_STRING};
    const lc_type *columns = lc_type_new_array(a, lc_type_scalar(LC_TYPE_U16));
    const lc_type *unused = lc_type_scalar(LC_TYPE_U128);
    switch (t) {
    case ST_BYTES:
        return lc_type_bytes();
    case ST_PRIMARY_KEY:
        return lc_type_new_option(a, columns);
    case ST_SOME_U32:
        return lc_type_new_option(a, lc_type_scalar(LC_TYPE_U32));
    case ST_ALGORITHM:
        return sum_of(a, (const char *[]){"Unused", "BTree", "Direct", "Hash"},
                      (const lc_type *[]){unused, columns, lc_type_scalar(LC_TYPE_U16), columns},
                      4);
    case ST_CONSTRAINT_DATA:
        return sum_of(a, (const char *[]){"Unused", "Unique"}, (const lc_type *[]){unused, columns},
                      2);
    case ST_VALUE: {
        static const char *const names[] = {"Bool", "I8",  "U8",   "I16",  "U16", "I32", "U32",
                                            "I64",  "U64", "I128", "U128", "F32", "F64", "String"};
        static const lc_type_kind kinds[] = {LC_TYPE_BOOL, LC_TYPE_I8,    LC_TYPE_U8,   LC_TYPE_I16,
                                             LC_TYPE_U16,  LC_TYPE_I32,   LC_TYPE_U32,  LC_TYPE_I64,
                                             LC_TYPE_U64,  LC_TYPE_I128,  LC_TYPE_U128, LC_TYPE_F32,
                                             LC_TYPE_F64,  LC_TYPE_STRING};
        const lc_type *types[LC_ARRAY_LEN(kinds)];
        for (size_t i = 0; i < LC_ARRAY_LEN(kinds); i++) types[i] = lc_type_scalar(kinds[i]);
        return sum_of(a, names, types, LC_ARRAY_LEN(kinds));
    }
    default:
        return lc_type_scalar(scalars[t]);
    }
}

static uint32_t column_count(uint32_t table)
{
    uint32_t n = 0;
    while (n < LC_ARRAY_LEN(st_tables[0].columns) && st_tables[table - 1].columns[n].name) n++;
    return n;
}

static void create_tables(lc_store *s)
{
    for (uint32_t id = 1; id <= LC_ST_COUNT; id++) {
        lc_table *t = lc_table_create(s, id, lc_span_of_str(st_tables[id - 1].name));
        t->is_system = true;
        t->is_public = id != LC_ST_CONNECTION_CREDENTIALS;
        t->is_ephemeral = id == LC_ST_VIEW_SUB || id == LC_ST_VIEW_ARG;
        t->primary_key = st_tables[id - 1].primary_key;
        lc_column columns[LC_ARRAY_LEN(st_tables[0].columns)];
        uint32_t count = column_count(id);
        for (uint32_t c = 0; c < count; c++) {
            lc_span name = lc_span_of_str(st_tables[id - 1].columns[c].name);
            columns[c] =
                (lc_column){name, name, make_type(&t->arena, st_tables[id - 1].columns[c].type)};
        }
        lc_table_set_columns(t, columns, count, NULL);
        s->system[id] = t;
    }
}

/* st_table_name_idx_btree and the like: table, columns, suffix. */
static lc_span object_name(lc_store *s, size_t index, const char *suffix)
{
    lc_buf *name = &s->probe_key;
    lc_buf_reset(name);
    const lc_table *t = s->system[st_indexes[index].table];
    lc_buf_put_span(name, t->name);
    for (uint8_t c = 0; c < st_indexes[index].column_count; c++) {
        lc_buf_put_u8(name, '_');
        lc_buf_put_span(name, t->columns[st_indexes[index].columns[c]].name);
    }
    lc_buf_put_str(name, suffix);
    return lc_buf_span(name);
}

static void create_indexes(lc_store *s)
{
    for (size_t n = 0; n < LC_ARRAY_LEN(st_indexes); n++)
        lc_table_add_index(s->system[st_indexes[n].table], (uint32_t)n + 1,
                           object_name(s, n, "_idx_btree"), LC_INDEX_BTREE, st_indexes[n].columns,
                           st_indexes[n].column_count, st_indexes[n].is_unique);
}

static void create_sequences(lc_store *s)
{
    for (size_t n = 0; n < LC_ARRAY_LEN(st_sequences); n++) {
        lc_table *t = s->system[st_sequences[n]];
        lc_sequence *q = lc_table_add_sequence(t);
        *q = (lc_sequence){.id = (uint32_t)n + 1,
                           .name = LC_SPAN_EMPTY,
                           .increment = 1,
                           .start = LC_FIRST_USER_ID + 1,
                           .min = 1,
                           .max = (lc_int128)(~(lc_uint128)0 >> 1),
                           .value = LC_FIRST_USER_ID,
                           .allocated = LC_FIRST_USER_ID,
                           .stored = LC_FIRST_USER_ID};
        char *name = lc_arena_format(&t->arena, LC_SPAN_FMT "_" LC_SPAN_FMT "_seq",
                                     LC_SPAN_ARG(t->name), LC_SPAN_ARG(t->columns[0].name));
        q->name = lc_span_of_str(name);
    }
}

static void put(lc_store *s, uint32_t table)
{
    lc_table_put(s->system[table], lc_buf_span(&s->system_row));
    lc_buf_reset(&s->system_row);
}

static void put_columns(lc_buf *row, size_t index)
{
    lc_buf_put_u8(row, 1); /* BTree, Unique */
    lc_buf_put_u32(row, st_indexes[index].column_count);
    for (uint8_t c = 0; c < st_indexes[index].column_count; c++)
        lc_buf_put_u16(row, st_indexes[index].columns[c]);
}

static void put_first_rows(lc_store *s)
{
    lc_buf *row = &s->system_row;
    lc_buf type = LC_BUF_INIT;
    for (uint32_t id = 1; id <= LC_ST_COUNT; id++) {
        const lc_table *t = s->system[id];
        lc_buf_put_u32(row, id);
        lc_buf_put_lenstr(row, t->name);
        lc_buf_put_lenstr(row, LC_STR("system"));
        lc_buf_put_lenstr(row, t->is_public ? LC_STR("public") : LC_STR("private"));
        lc_buf_put_u8(row, t->primary_key < 0);
        if (t->primary_key >= 0) {
            lc_buf_put_u32(row, 1);
            lc_buf_put_u16(row, (uint16_t)t->primary_key);
        }
        put(s, LC_ST_TABLE);
        for (uint32_t c = 0; c < t->column_count; c++) {
            lc_buf_put_u32(row, id);
            lc_buf_put_u16(row, (uint16_t)c);
            lc_buf_put_lenstr(row, t->columns[c].name);
            lc_buf_reset(&type);
            lc_type_encode(t->columns[c].type, &type);
            lc_buf_put_lenstr(row, lc_buf_span(&type));
            put(s, LC_ST_COLUMN);
        }
        for (uint32_t q = 0; q < t->sequence_count; q++)
            lc_table_put(s->system[LC_ST_SEQUENCE], lc_sequence_row(t, &t->sequences[q], row));
        lc_buf_reset(row);
    }
    lc_buf_deinit(&type);

    uint32_t constraint = 0;
    for (size_t n = 0; n < LC_ARRAY_LEN(st_indexes); n++) {
        lc_buf_put_u32(row, (uint32_t)n + 1);
        lc_buf_put_u32(row, st_indexes[n].table);
        lc_buf_put_lenstr(row, object_name(s, n, "_idx_btree"));
        put_columns(row, n);
        put(s, LC_ST_INDEX);
        if (!st_indexes[n].is_unique) continue;
        lc_buf_put_u32(row, ++constraint);
        lc_buf_put_lenstr(row, object_name(s, n, "_key"));
        lc_buf_put_u32(row, st_indexes[n].table);
        put_columns(row, n);
        put(s, LC_ST_CONSTRAINT);
    }
}

static void finish_tables(lc_store *s)
{
    for (uint32_t id = 1; id <= LC_ST_COUNT; id++)
        if (lc_table_finish(s->system[id], NULL) != LC_OK) LC_BUG("the system tables contradict");
}

void lc_system_bootstrap(lc_store *s)
{
    create_tables(s);
    create_indexes(s);
    create_sequences(s);
    finish_tables(s);
    for (uint32_t id = 1; id <= LC_ST_COUNT; id++) lc_catalog_add(s, s->system[id]);
    lc_store_begin(s);
    put_first_rows(s);
    lc_store_commit(s);
    lc_store_release(s);
}

void lc_system_begin_replay(lc_store *s)
{
    for (uint32_t id = 1; id <= LC_ST_COUNT; id++) {
        lc_table *t = s->system[id];
        if (lc_table_use_row_set(t, NULL) != LC_OK) LC_BUG("system table %u is no set", id);
        lc_rows_keep_stamps(&t->rows, true); /* of two rows for one column the newer counts */
    }
}

lc_status lc_system_end_replay(lc_store *s, lc_error *err)
{
    create_indexes(s);
    for (uint32_t id = 1; id <= LC_ST_COUNT; id++) {
        lc_table *t = s->system[id];
        lc_status status = lc_table_finish(t, err);
        if (status != LC_OK) return status;
        lc_catalog_add_indexes(s, t);
    }
    for (size_t n = 0; n < LC_ARRAY_LEN(st_sequences); n++) {
        lc_sequence *q = &s->system[st_sequences[n]]->sequences[0];
        lc_span row;
        if (!lc_system_find(s, LC_ST_SEQUENCE, LC_SPAN(&q->id, sizeof q->id), &row)) continue;
        memcpy(&q->allocated, row.ptr + row.len - sizeof q->allocated, sizeof q->allocated);
        q->value = q->stored = q->allocated;
    }
    return LC_OK;
}

/* ----------------------------------------------------------- rows with meaning */

lc_status lc_system_put(lc_store *s, uint32_t table_id, const lc_buf *row, uint32_t *id,
                        lc_error *err)
{
    lc_write w;
    if (lc_table_insert(s->system[table_id], lc_buf_span(row), &w, err) != LC_ERRNO_OK)
        return err ? err->code : LC_E_CONFLICT;
    if (id && w.generated.len == sizeof *id) *id = lc_load_u32(w.generated.ptr);
    return LC_OK;
}

bool lc_system_find(const lc_store *s, uint32_t table_id, lc_span key, lc_span *row)
{
    const lc_index *identity = s->system[table_id]->identity;
    return identity && lc_index_find(identity, key, row);
}

static bool first_row(const lc_table *t, lc_span *row)
{
    lc_row_id id = lc_rows_next(&t->rows, 0);
    if (id == LC_NO_ROW) return false;
    *row = lc_rows_get(&t->rows, id);
    return true;
}

void lc_store_set_module(lc_store *s, const lc_module_row *module)
{
    lc_buf row = LC_BUF_INIT;
    lc_buf_put(&row, &module->database, sizeof module->database);
    lc_buf_put(&row, &module->owner, sizeof module->owner);
    lc_buf_put_u8(&row, module->program_kind);
    lc_buf_put(&row, module->program_hash, sizeof module->program_hash);
    lc_buf_put_lenstr(&row, module->program);
    lc_buf_put_lenstr(&row, LC_STR("0.0.1"));
    lc_table_clear(s->system[LC_ST_MODULE]);
    lc_table_put(s->system[LC_ST_MODULE], lc_buf_span(&row));
    lc_buf_deinit(&row);
}

bool lc_store_get_module(const lc_store *s, lc_module_row *out)
{
    lc_span row;
    if (!first_row(s->system[LC_ST_MODULE], &row)) return false;
    const uint8_t *p = row.ptr;
    memcpy(&out->database, p, 32);
    memcpy(&out->owner, p + 32, 32);
    out->program_kind = p[64];
    memcpy(out->program_hash, p + 65, 32);
    out->program = LC_SPAN(p + 101, lc_load_u32(p + 97));
    return true;
}

typedef struct client_row {
    lc_identity identity;
    lc_connection_id connection;
} client_row;
_Static_assert(sizeof(client_row) == 48, "laid out as its BSATN");

static lc_span client_span(const client_row *row)
{
    return LC_SPAN(row, sizeof *row);
}

lc_status lc_store_add_client(lc_store *s, const lc_identity *id, const lc_connection_id *conn,
                              lc_span jwt_payload, lc_error *err)
{
    client_row client = {*id, *conn};
    lc_span known;
    if (lc_system_find(s, LC_ST_CONNECTION_CREDENTIALS, LC_SPAN(conn, sizeof *conn), &known) ||
        lc_store_has_client(s, id, conn))
        return lc_error_set(err, LC_E_CONFLICT, "the connection id is in use");
    lc_buf row = LC_BUF_INIT;
    lc_buf_put(&row, conn, sizeof *conn);
    lc_buf_put_lenstr(&row, jwt_payload);
    lc_status status = lc_system_put(s, LC_ST_CONNECTION_CREDENTIALS, &row, NULL, err);
    if (status == LC_OK) lc_table_put(s->system[LC_ST_CLIENT], client_span(&client));
    lc_buf_deinit(&row);
    return status;
}

bool lc_store_has_client(const lc_store *s, const lc_identity *id, const lc_connection_id *conn)
{
    client_row client = {*id, *conn};
    return lc_table_find_equal(s->system[LC_ST_CLIENT], client_span(&client)) != LC_NO_ROW;
}

bool lc_store_remove_client(lc_store *s, const lc_identity *id, const lc_connection_id *conn)
{
    client_row client = {*id, *conn};
    if (!lc_table_delete_row(s->system[LC_ST_CLIENT], client_span(&client))) return false;
    uint32_t deleted;
    lc_index_delete_point(s->system[LC_ST_CONNECTION_CREDENTIALS]->identity,
                          LC_SPAN(conn, sizeof *conn), &deleted, NULL);
    return true;
}

bool lc_store_first_client(const lc_store *s, lc_identity *id, lc_connection_id *conn)
{
    lc_span row;
    if (!first_row(s->system[LC_ST_CLIENT], &row)) return false;
    memcpy(id, row.ptr, sizeof *id);
    memcpy(conn, row.ptr + sizeof *id, sizeof *conn);
    return true;
}

bool lc_store_credentials(const lc_store *s, const lc_connection_id *conn, lc_span *jwt_payload)
{
    lc_span row;
    if (!lc_system_find(s, LC_ST_CONNECTION_CREDENTIALS, LC_SPAN(conn, sizeof *conn), &row))
        return false;
    const uint8_t *text = row.ptr + sizeof *conn;
    *jwt_payload = LC_SPAN(text + sizeof(uint32_t), lc_load_u32(text));
    return true;
}

#define ROW_LIMIT LC_STR("row_limit")
enum { VALUE_U64 = 8 };

bool lc_store_get_row_limit(const lc_store *s, uint64_t *limit)
{
    lc_buf key = LC_BUF_INIT;
    lc_buf_put_lenstr(&key, ROW_LIMIT);
    lc_span row;
    bool is_set =
        lc_system_find(s, LC_ST_VAR, lc_buf_span(&key), &row) && row.ptr[key.len] == VALUE_U64;
    if (is_set) *limit = lc_load_u64(row.ptr + key.len + 1);
    lc_buf_deinit(&key);
    return is_set;
}

lc_status lc_store_set_row_limit(lc_store *s, uint64_t limit, lc_error *err)
{
    lc_table *t = s->system[LC_ST_VAR];
    lc_buf row = LC_BUF_INIT;
    lc_buf_put_lenstr(&row, ROW_LIMIT);
    uint32_t deleted;
    lc_index_delete_point(t->identity, lc_buf_span(&row), &deleted, NULL);
    lc_buf_put_u8(&row, VALUE_U64);
    lc_buf_put_u64(&row, limit);
    lc_status status = lc_system_put(s, LC_ST_VAR, &row, NULL, err);
    lc_buf_deinit(&row);
    return status;
}
