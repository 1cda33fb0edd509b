/*
 * Commits of a log, decoded. Rows in a log have no types: the tables' columns come from rows of
 * st_table and st_column that were logged before them, or in the same transaction (05 section 3.4).
 * Only those rows are kept here, not the data.
 */
#include "cli/cli.h"
#include "journal/lc_journal.h"
#include "store/lc_store.h"

enum { HAS_INPUTS = 0x80, HAS_OUTPUTS = 0x40, HAS_MUTATIONS = 0x20 };

/* A row of st_column. */
typedef struct column {
    uint16_t position;
    lc_buf row;
} column;

typedef struct table {
    uint32_t id;
    char *name;
    LC_VEC(column) columns; /* by position */
    const lc_type *type;
    lc_arena arena; /* of the type */
    bool is_fixed;  /* a system table: its type is ours */
} table;

struct lc_log_dump {
    LC_VEC(table *) tables;
    bool is_full;
};

/* ----------------------------------------------------------------------- schema */

static table *find(lc_log_dump *d, uint32_t id)
{
    LC_VEC_EACH (t, &d->tables)
        if ((*t)->id == id) return *t;
    return NULL;
}

static table *find_or_add(lc_log_dump *d, uint32_t id)
{
    table *t = find(d, id);
    if (t) return t;
    t = lc_alloc_zero(sizeof *t);
    t->id = id;
    t->type = lc_type_unit(); /* a table may have no columns */
    lc_vec_push(&d->tables, t);
    return t;
}

static void set_name(table *t, lc_span name)
{
    lc_free(t->name);
    t->name = lc_span_to_cstr(name);
}

/* The row type that the columns say; false when one of them says nothing. */
static bool derive_type(table *t, lc_error *err)
{
    lc_arena_reset(&t->arena);
    lc_type_member *members = lc_arena_alloc(&t->arena, (t->columns.len + 1) * sizeof *members);
    for (size_t i = 0; i < t->columns.len; i++) {
        lc_reader row = lc_reader_of(lc_buf_span(&t->columns.items[i].row), err);
        lc_read_fixed(&row, 6);
        members[i].name = lc_read_string(&row);
        lc_reader type = lc_reader_of(lc_read_bytes(&row), err);
        members[i].type = lc_read_type(&type, &t->arena);
        if (row.failed || type.failed) return false;
    }
    t->type = lc_type_new_product(&t->arena, members, (uint32_t)t->columns.len);
    return true;
}

/* The place of a position among the columns, or where it belongs. */
static size_t column_place(const table *t, uint16_t position)
{
    size_t i = 0;
    while (i < t->columns.len && t->columns.items[i].position < position) i++;
    return i;
}

static bool learn_column(lc_log_dump *d, lc_span row, lc_error *err)
{
    table *t = find_or_add(d, lc_load_u32(row.ptr));
    if (t->is_fixed) return true;
    uint16_t position = lc_load_u16(row.ptr + 4);
    size_t at = column_place(t, position);
    if (at == t->columns.len || t->columns.items[at].position != position) {
        lc_vec_push(&t->columns, ((column){0}));
        memmove(&t->columns.items[at + 1], &t->columns.items[at],
                (t->columns.len - 1 - at) * sizeof(column));
        t->columns.items[at] = (column){.position = position};
    }
    lc_buf *kept = &t->columns.items[at].row;
    lc_buf_reset(kept);
    lc_buf_put_span(kept, row);
    return derive_type(t, err);
}

static bool forget_column(lc_log_dump *d, lc_span row, lc_error *err)
{
    table *t = find(d, lc_load_u32(row.ptr));
    if (!t || t->is_fixed) return true;
    size_t at = column_place(t, lc_load_u16(row.ptr + 4));
    if (at == t->columns.len || !lc_span_equal(lc_buf_span(&t->columns.items[at].row), row))
        return true; /* replaced by a row that came before its deletion */
    lc_buf_deinit(&t->columns.items[at].row);
    t->columns.len--;
    memmove(&t->columns.items[at], &t->columns.items[at + 1],
            (t->columns.len - at) * sizeof(column));
    return t->columns.len == 0 || derive_type(t, err);
}

static void learn_table(lc_log_dump *d, lc_span row)
{
    lc_reader r = lc_reader_of(row, NULL);
    table *t = find_or_add(d, lc_read_u32(&r));
    set_name(t, lc_read_string(&r));
}

static bool learn_stored_column(void *arg, lc_span row)
{
    return learn_column(arg, row, NULL);
}

lc_log_dump *lc_log_dump_create(const lc_store *store, bool is_full)
{
    lc_log_dump *d = lc_alloc_zero(sizeof *d);
    d->is_full = is_full;
    uint32_t at = 0;
    for (lc_table *known; (known = lc_store_next_table(store, &at));) {
        table *t = find_or_add(d, lc_table_id(known));
        set_name(t, lc_table_name(known));
        t->is_fixed = lc_table_is_system(known);
        if (!t->is_fixed) continue;
        /* A copy of its own: the store goes. */
        lc_buf bytes = LC_BUF_INIT;
        lc_type_encode(lc_table_row_type(known), &bytes);
        lc_reader r = lc_reader_of(lc_arena_copy(&t->arena, lc_buf_span(&bytes)), NULL);
        t->type = lc_read_type(&r, &t->arena);
        lc_buf_deinit(&bytes);
    }
    lc_table_scan(lc_store_table(store, LC_ST_COLUMN), learn_stored_column, d);
    return d;
}

void lc_log_dump_destroy(lc_log_dump *d)
{
    LC_VEC_EACH (each, &d->tables) {
        table *t = *each;
        LC_VEC_EACH (c, &t->columns) lc_buf_deinit(&c->row);
        lc_vec_deinit(&t->columns);
        lc_arena_deinit(&t->arena);
        lc_free(t->name);
        lc_free(t);
    }
    lc_vec_deinit(&d->tables);
    lc_free(d);
}

/* ------------------------------------------------------------------------- rows */

static uint64_t read_varint(lc_reader *r)
{
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        uint8_t b = lc_read_u8(r);
        value |= (uint64_t)(b & 0x7f) << shift;
        if (b < 0x80 || r->failed) return value;
    }
    lc_read_fail(r, "a number is longer than ten bytes");
    return 0;
}

static void put_label(lc_log_dump *d, uint32_t id, lc_buf *out)
{
    const table *t = find(d, id);
    char *label = lc_format("%u %s", id, t && t->name ? t->name : "?");
    lc_json_write_string(lc_span_of_str(label), out);
    lc_free(label);
}

/* A row of st_column or st_view_column: the type in it is bytes of a type. */
static bool put_column_row(const table *t, lc_reader *r, bool is_full, lc_buf *out)
{
    lc_buf_put_u8(out, '[');
    for (uint32_t i = 0; i < 3; i++) {
        if (!lc_row_json(t->type->members[i].type, r, is_full, out)) return false;
        lc_buf_put_u8(out, ',');
    }
    lc_span bytes = lc_read_bytes(r);
    lc_arena scratch = LC_ARENA_INIT;
    lc_buf text = LC_BUF_INIT;
    lc_reader inner = lc_reader_of(bytes, r->err);
    const lc_type *type = lc_read_type(&inner, &scratch);
    if (!r->failed && !inner.failed) {
        lc_type_print(type, &text);
        lc_buf_put_str(out, "{\"hex\":\"");
        lc_hex_encode(bytes.ptr, bytes.len, (char *)lc_buf_extend(out, 2 * bytes.len));
        lc_buf_put_str(out, "\",\"type\":");
        lc_json_write_string(lc_buf_span(&text), out);
        lc_buf_put_str(out, "}]");
    }
    lc_buf_deinit(&text);
    lc_arena_deinit(&scratch);
    return !r->failed && !inner.failed;
}

/* One row of JSON; *row = its bytes. */
static bool put_row(const table *t, lc_reader *r, bool is_full, lc_span *row, lc_buf *out)
{
    const uint8_t *start = r->at;
    bool is_column = t->id == LC_ST_COLUMN || t->id == LC_ST_VIEW_COLUMN;
    bool is_good =
        is_column ? put_column_row(t, r, is_full, out) : lc_row_json(t->type, r, is_full, out);
    *row = LC_SPAN(start, (size_t)(r->at - start));
    return is_good;
}

typedef LC_VEC(lc_span) span_list;

/* What an inserted row of a system table teaches; deleted columns are kept for the end. */
static bool note_row(lc_log_dump *d, uint32_t id, lc_span row, span_list *gone, lc_error *err)
{
    if (gone && id == LC_ST_COLUMN) lc_vec_push(gone, row);
    if (!gone && id == LC_ST_COLUMN) return learn_column(d, row, err);
    if (!gone && id == LC_ST_TABLE) learn_table(d, row);
    return true;
}

static bool put_group(lc_log_dump *d, lc_reader *r, span_list *gone, lc_buf *out)
{
    uint32_t id = lc_read_u32(r);
    uint64_t rows = read_varint(r);
    if (r->failed) return false;
    if (!find(d, id)) {
        lc_read_fail(r, "table %u is unknown", id);
        return false;
    }
    if (rows > 1 && find(d, id)->type->fixed_size == 0) {
        lc_read_fail(r, "table %u has no columns and more than one row", id);
        return false;
    }
    put_label(d, id, out);
    lc_buf_put_str(out, ":[");
    for (uint64_t i = 0; i < rows; i++) {
        lc_span row;
        if (i) lc_buf_put_u8(out, ',');
        if (!put_row(find(d, id), r, d->is_full, &row, out)) return false;
        if (!note_row(d, id, row, gone, r->err)) return false;
    }
    lc_buf_put_u8(out, ']');
    return true;
}

/* gone: NULL for inserts. */
static bool put_groups(lc_log_dump *d, lc_reader *r, span_list *gone, lc_buf *out)
{
    lc_buf_put_u8(out, '{');
    uint64_t groups = read_varint(r);
    for (uint64_t i = 0; i < groups && !r->failed; i++) {
        if (i) lc_buf_put_u8(out, ',');
        if (!put_group(d, r, gone, out)) return false;
    }
    lc_buf_put_u8(out, '}');
    return !r->failed;
}

static bool put_truncates(lc_log_dump *d, lc_reader *r, lc_buf *out)
{
    lc_buf_put_u8(out, '[');
    uint64_t count = read_varint(r);
    for (uint64_t i = 0; i < count && !r->failed; i++) {
        if (i) lc_buf_put_u8(out, ',');
        put_label(d, lc_read_u32(r), out);
    }
    lc_buf_put_u8(out, ']');
    return !r->failed;
}

static bool put_mutations(lc_log_dump *d, lc_reader *r, lc_buf *out)
{
    span_list gone = {0};
    lc_buf_put_str(out, ",\"inserts\":");
    bool is_good = put_groups(d, r, NULL, out);
    if (is_good) {
        lc_buf_put_str(out, ",\"deletes\":");
        is_good = put_groups(d, r, &gone, out);
    }
    if (is_good) {
        lc_buf_put_str(out, ",\"truncates\":");
        is_good = put_truncates(d, r, out);
    }
    LC_VEC_EACH (row, &gone) is_good = is_good && forget_column(d, *row, r->err);
    lc_vec_deinit(&gone);
    return is_good;
}

/* ---------------------------------------------------------------------- commits */

static bool put_inputs(lc_reader *r, lc_buf *out)
{
    lc_span inputs = lc_read_bytes(r);
    lc_reader in = lc_reader_of(inputs, r->err);
    lc_span name = lc_read_fixed(&in, lc_read_u8(&in));
    lc_span caller = lc_read_fixed(&in, sizeof(lc_identity));
    lc_span connection = lc_read_fixed(&in, sizeof(lc_connection_id));
    int64_t timestamp = (int64_t)lc_read_u64(&in);
    if (r->failed || in.failed) return false;
    lc_identity who;
    lc_connection_id where;
    char hex[LC_IDENTITY_HEX + 1];
    memcpy(who.bytes, caller.ptr, sizeof who.bytes);
    memcpy(where.bytes, connection.ptr, sizeof where.bytes);
    lc_buf_put_str(out, ",\"inputs\":{\"reducer\":");
    lc_buf text = LC_BUF_INIT;
    lc_utf8_lossy(name, &text);
    lc_json_write_string(lc_buf_span(&text), out);
    lc_buf_deinit(&text);
    lc_identity_to_hex(&who, hex);
    lc_buf_printf(out, ",\"caller\":\"%s\"", hex);
    lc_connection_id_to_hex(&where, hex);
    lc_buf_printf(out, ",\"connection\":\"%s\",\"timestamp\":%lld,\"args\":\"", hex,
                  (long long)timestamp);
    size_t n = (size_t)(in.end - in.at);
    lc_hex_encode(in.at, n, (char *)lc_buf_extend(out, 2 * n));
    lc_buf_put_str(out, "\"}");
    return true;
}

static bool put_outputs(lc_reader *r, lc_buf *out)
{
    lc_span text = lc_read_fixed(r, lc_read_u8(r));
    lc_buf valid = LC_BUF_INIT;
    lc_utf8_lossy(text, &valid);
    lc_buf_put_str(out, ",\"outputs\":");
    lc_json_write_string(lc_buf_span(&valid), out);
    lc_buf_deinit(&valid);
    return !r->failed;
}

static bool put_transaction(lc_log_dump *d, uint64_t offset, lc_reader *r, lc_buf *out)
{
    uint8_t flags = lc_read_u8(r);
    lc_buf_printf(out, "{\"offset\":%llu,\"flags\":\"0x%02x\"", (unsigned long long)offset, flags);
    bool is_good = !r->failed;
    if (is_good && flags & HAS_INPUTS) is_good = put_inputs(r, out);
    if (is_good && flags & HAS_OUTPUTS) is_good = put_outputs(r, out);
    if (is_good && flags & HAS_MUTATIONS) is_good = put_mutations(d, r, out);
    lc_buf_put_u8(out, '}');
    return is_good;
}

static void put_frame(const lc_journal_commit *c, lc_buf *out)
{
    lc_buf_printf(out,
                  "{\"segment\":\"%020llu.stdb.log\",\"position\":%llu,\"min_tx_offset\":%llu,"
                  "\"epoch\":%llu,\"n\":%u,\"length\":%zu,\"crc\":\"%08x\"",
                  (unsigned long long)c->segment, (unsigned long long)c->position,
                  (unsigned long long)c->offset, (unsigned long long)c->epoch, c->count,
                  c->records.len, c->crc);
}

lc_status lc_log_dump_commit(lc_log_dump *d, const lc_journal_commit *c, lc_buf *out, lc_error *err)
{
    lc_error why = LC_ERROR_INIT;
    lc_reader r = lc_reader_of(c->records, &why);
    bool is_good = true;
    put_frame(c, out);
    lc_buf_put_str(out, ",\"txs\":[");
    for (uint32_t i = 0; i < c->count && is_good; i++) {
        if (i) lc_buf_put_u8(out, ',');
        is_good = put_transaction(d, c->offset + i, &r, out);
    }
    lc_buf_put_str(out, "]}\n");
    if (is_good && r.at != r.end) {
        lc_read_fail(&r, "%zu bytes are left over", (size_t)(r.end - r.at));
        is_good = false;
    }
    lc_status rc = LC_OK;
    if (!is_good)
        rc = lc_error_set(err, LC_E_CORRUPT,
                          "%020llu.stdb.log: the commit at byte %llu (offset %llu) cannot be "
                          "decoded: %s",
                          (unsigned long long)c->segment, (unsigned long long)c->position,
                          (unsigned long long)c->offset, lc_error_text(&why));
    lc_error_clear(&why);
    return rc;
}

void lc_log_dump_raw(const lc_journal_commit *c, lc_buf *out)
{
    put_frame(c, out);
    lc_buf_put_str(out, ",\"records\":\"");
    lc_hex_encode(c->records.ptr, c->records.len, (char *)lc_buf_extend(out, 2 * c->records.len));
    lc_buf_put_str(out, "\"}\n");
}
