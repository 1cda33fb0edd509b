/*
 * Fuzz target: SQL from strangers, over the tables of tests/recorded/sql.
 *
 * The first byte of an input says which dialect, and who asks; the rest is the statement. What can
 * be planned is run, writes in a transaction that is rolled back: the tables stay as they are.
 *
 * build: src/base src/sats src/schema src/store src/query -lunistring
 * length: 2048
 */
#include "fuzz_kit.h"
#include "query/lc_query.h"

#define FOLDER "tests/recorded/sql/"

static lc_store *store;
static uint64_t rows_before;

static uint64_t count_rows(void)
{
    uint64_t n = 0;
    uint32_t at = 0;
    for (lc_table *t; (t = lc_store_next_table(store, &at));) n += lc_table_row_count(t);
    return n;
}

static void fill(void)
{
    lc_buf rows = fuzz_read_file(FOLDER "sqlkit.seed.bin");
    lc_reader r = lc_reader_of(lc_buf_span(&rows), NULL);
    lc_store_begin(store);
    while (r.at < r.end) {
        lc_table *t = lc_store_table_by_name(store, lc_read_bytes(&r));
        lc_write w;
        if (!t || lc_table_insert(t, lc_read_bytes(&r), &w, NULL) != LC_ERRNO_OK)
            LC_BUG("a recorded row is refused");
    }
    lc_store_commit(store);
    lc_store_release(store);
    lc_buf_deinit(&rows);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    lc_error err = LC_ERROR_INIT;
    lc_schema *schema;
    lc_buf definition = fuzz_read_file(FOLDER "sqlkit.def.bin");
    if (lc_schema_read(lc_buf_span(&definition), &schema, &err) != LC_OK)
        LC_BUG("%s", lc_error_text(&err));
    lc_buf_deinit(&definition);
    store = lc_store_create();
    lc_store_begin(store);
    if (lc_store_create_schema(store, schema, &err) != LC_OK) LC_BUG("%s", lc_error_text(&err));
    lc_store_commit(store);
    lc_store_release(store);
    lc_schema_unref(schema);
    fill();
    rows_before = count_rows();
    return 0;
}

static void read_rows(const lc_plan *p)
{
    lc_rowset rows = {0};
    lc_error err = LC_ERROR_INIT;
    if (lc_plan_select(p, &rows, &err) == LC_OK)
        for (uint64_t i = 0; i < rows.count; i++) {
            size_t size;
            lc_span row = lc_rowset_row(&rows, i);
            if (lc_bsatn_validate(lc_plan_row_type(p), NULL, row, &size, NULL) != LC_OK ||
                size != row.len)
                LC_BUG("a result row is no value of its type");
        }
    lc_error_clear(&err);
    lc_rowset_deinit(&rows);
}

static void write_rows(const lc_plan *p)
{
    lc_query_stats stats = {0};
    lc_error err = LC_ERROR_INIT;
    lc_store_begin(store);
    lc_plan_write(p, &stats, &err);
    lc_store_rollback(store);
    lc_error_clear(&err);
    if (count_rows() != rows_before) LC_BUG("a write that was rolled back has changed something");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    lc_caller caller = {.is_owner = data[0] & 4};
    size_t n = size - 1;
    uint8_t *exact = lc_alloc(n ? n : 1);
    memcpy(exact, data + 1, n);
    if (!lc_utf8_valid(LC_SPAN(exact, n))) /* refused above this room */
        for (size_t i = 0; i < n; i++) exact[i] &= 0x7f;
    lc_error err = LC_ERROR_INIT;
    lc_plan *p;
    if (lc_plan_create(store, LC_SPAN(exact, n), (lc_dialect)(data[0] & 3), &caller, &p, &err) ==
        LC_OK) {
        uint32_t column;
        lc_span value;
        lc_plan_equality(p, &column, &value);
        if ((data[0] & 3) == LC_DIALECT_RULE)
            lc_plan_table(p);
        else if (lc_plan_is_write(p))
            write_rows(p);
        else
            read_rows(p);
        lc_plan_destroy(p);
    } else if (!lc_utf8_valid(lc_span_of_str(lc_error_text(&err)))) {
        LC_BUG("an error that is no text");
    }
    lc_error_clear(&err);
    lc_free(exact);
    return 0;
}
