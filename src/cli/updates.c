#include "cli/updates.h"

enum { NOT_COMPRESSED = 0 };
enum { SUBSCRIBE_APPLIED = 1, SUBSCRIPTION_ERROR = 3, TRANSACTION_UPDATE = 4 };
enum { PERSISTENT_TABLE, EVENT_TABLE, ROWS_KINDS };
enum { FIXED_SIZE, ROW_OFFSETS, HINT_KINDS };

/* What one line says of one table: rows of several queries come together. */
typedef struct table_lines {
    const lc_remote_table *table;
    lc_buf deletes, inserts; /* JSON values with commas between */
} table_lines;

typedef struct update {
    const lc_remote_schema *schema;
    lc_reader reader;
    LC_VEC(table_lines) tables;
} update;

/* NULL: failed. Valid until the next call. */
static table_lines *lines_of(update *u, lc_span name)
{
    LC_VEC_EACH (t, &u->tables)
        if (lc_span_equal(t->table->name, name)) return t;
    const lc_remote_table *table = lc_remote_schema_table(u->schema, name);
    if (!table) {
        lc_read_fail(&u->reader, "the schema has no table `" LC_SPAN_FMT "`", LC_SPAN_ARG(name));
        return NULL;
    }
    lc_vec_push(&u->tables, ((table_lines){.table = table}));
    return &u->tables.items[u->tables.len - 1];
}

static void put_row(update *u, const lc_type *type, lc_span row, lc_buf *out)
{
    size_t size;
    if (u->reader.failed) return;
    if (lc_bsatn_validate(type, NULL, row, &size, u->reader.err) != LC_OK) {
        u->reader.failed = true;
        return;
    }
    if (out->len) lc_buf_put_u8(out, ',');
    lc_json_write(type, NULL, row.ptr, LC_JSON_TYPED, out);
}

/* BsatnRowList. */
static void read_rows(update *u, const lc_type *type, lc_buf *out)
{
    lc_reader *r = &u->reader;
    uint32_t count = 0, row_size = 0;
    lc_span offsets = LC_SPAN_EMPTY;
    bool is_fixed = lc_read_tag(r, HINT_KINDS, "RowSizeHint") == FIXED_SIZE;
    if (is_fixed) {
        row_size = lc_read_u16(r);
    } else {
        count = lc_read_count(r, sizeof(uint64_t));
        offsets = lc_read_fixed(r, count * sizeof(uint64_t));
    }
    lc_span data = lc_read_bytes(r);
    if (r->failed) return;
    if (is_fixed && row_size) count = (uint32_t)(data.len / row_size);
    for (uint32_t i = 0; i < count && !r->failed; i++) {
        uint64_t at = is_fixed ? (uint64_t)i * row_size : lc_load_u64(offsets.ptr + i * 8ull);
        if (at > data.len)
            lc_read_fail(r, "a row begins behind the rows' bytes");
        else
            put_row(u, type, LC_SPAN(data.ptr + at, data.len - at), out);
    }
}

/* QueryRows */
static void read_initial(update *u)
{
    uint32_t count = lc_read_count(&u->reader, 1);
    for (uint32_t i = 0; i < count && !u->reader.failed; i++) {
        table_lines *t = lines_of(u, lc_read_string(&u->reader));
        if (t) read_rows(u, t->table->row_type, &t->inserts);
    }
}

/* Array of TableUpdateRows */
static void read_table_update(update *u, table_lines *t)
{
    uint32_t count = lc_read_count(&u->reader, 1);
    for (uint32_t i = 0; i < count && !u->reader.failed; i++) {
        uint8_t kind = lc_read_tag(&u->reader, ROWS_KINDS, "TableUpdateRows");
        read_rows(u, t->table->row_type, &t->inserts);
        if (kind == PERSISTENT_TABLE) read_rows(u, t->table->row_type, &t->deletes);
    }
}

/* Array of QuerySetUpdate */
static void read_change(update *u)
{
    lc_reader *r = &u->reader;
    uint32_t sets = lc_read_count(r, 1);
    for (uint32_t i = 0; i < sets && !r->failed; i++) {
        lc_read_u32(r); /* the query set: there is only ours */
        uint32_t tables = lc_read_count(r, 1);
        for (uint32_t k = 0; k < tables && !r->failed; k++) {
            table_lines *t = lines_of(u, lc_read_string(r));
            if (t) read_table_update(u, t);
        }
    }
}

static void print_line(const update *u, lc_buf *line)
{
    lc_buf_put_u8(line, '{');
    for (size_t i = 0; i < u->tables.len; i++) {
        const table_lines *t = &u->tables.items[i];
        if (i) lc_buf_put_u8(line, ',');
        lc_json_write_string(t->table->name, line);
        lc_buf_put_str(line, ":{\"deletes\":[");
        lc_buf_put_span(line, lc_buf_span(&t->deletes));
        lc_buf_put_str(line, "],\"inserts\":[");
        lc_buf_put_span(line, lc_buf_span(&t->inserts));
        lc_buf_put_str(line, "]}");
    }
    lc_buf_put_str(line, "}\n");
}

static lc_update_kind read_message(update *u)
{
    lc_reader *r = &u->reader;
    if (lc_read_u8(r) != NOT_COMPRESSED) lc_read_fail(r, "the server compresses unasked");
    switch (lc_read_u8(r)) {
    case SUBSCRIBE_APPLIED:
        lc_read_u32(r); /* request */
        lc_read_u32(r); /* query set */
        read_initial(u);
        return LC_UPDATE_INITIAL;
    case SUBSCRIPTION_ERROR:
        if (lc_read_option(r)) lc_read_u32(r);
        lc_read_u32(r);
        lc_span text = lc_read_string(r);
        lc_read_fail(r, "encountered error in initial subscribe: " LC_SPAN_FMT, LC_SPAN_ARG(text));
        return LC_UPDATE_OTHER;
    case TRANSACTION_UPDATE:
        read_change(u);
        return LC_UPDATE_CHANGE;
    default:
        return LC_UPDATE_OTHER;
    }
}

lc_status lc_update_print(const lc_remote_schema *s, lc_span message, lc_update_kind *kind,
                          lc_buf *line, lc_error *err)
{
    update u = {.schema = s, .reader = lc_reader_of(message, err)};
    *kind = read_message(&u);
    if (!u.reader.failed && *kind != LC_UPDATE_OTHER) print_line(&u, line);
    LC_VEC_EACH (t, &u.tables) {
        lc_buf_deinit(&t->deletes);
        lc_buf_deinit(&t->inserts);
    }
    lc_vec_deinit(&u.tables);
    return err->code;
}
