/* The imports that touch tables, called as the guest calls them, against the real store. What the
 * store itself decides (keys, constraints, sequences) has its tests there; here it is errnos, order
 * of checks, write-back, iterators and what a module may not touch. */
#include "lc_test.h"

#include "host/host_internal.h"

enum { MEMORY = 1 << 20, OUT = 64, LEN = 72, BUFFER = 4096 };

static uint8_t *memory;
static lc_abi abi;
static lc_env env;
static lc_arena arena;
static uint32_t item, item_id, item_n, blob, hashed, hashed_k;
static uint32_t rows_seen;
static lc_errno row_answer;

static void look_again(lc_abi *a)
{
    a->base = memory;
    a->size = MEMORY;
}

static lc_errno see_row(void *arg, lc_table *table, lc_span row)
{
    (void)arg, (void)table;
    assert_true(row.len > 0);
    rows_seen++;
    return row_answer;
}

/* ------------------------------------------------------------------ tables */

typedef struct column {
    const char *name;
    lc_type_kind kind;
} column;

static uint16_t *columns_of(uint32_t count, const uint16_t *columns)
{
    uint16_t *copy = lc_arena_alloc(&arena, count * sizeof *copy);
    memcpy(copy, columns, count * sizeof *copy);
    return copy;
}

static lc_index_def index_def(const char *name, lc_index_algorithm algorithm, bool is_unique,
                              uint16_t column)
{
    return (lc_index_def){
        .name = lc_span_of_str(name),
        .source_name = lc_span_of_str(name),
        .algorithm = algorithm,
        .columns = columns_of(1, &column),
        .column_count = 1,
        .is_unique = is_unique,
    };
}

static lc_table_def table_def(const char *name, const column *columns, uint16_t count)
{
    lc_type_member *members = lc_arena_alloc_zero(&arena, count * sizeof *members);
    lc_table_def def = {
        .name = lc_span_of_str(name),
        .source_name = lc_span_of_str(name),
        .columns = lc_arena_alloc_zero(&arena, count * sizeof *def.columns),
        .column_count = count,
        .primary_key = -1,
        .is_public = true,
    };
    for (uint16_t i = 0; i < count; i++) {
        const lc_type *type = lc_type_scalar(columns[i].kind);
        members[i] = (lc_type_member){lc_span_of_str(columns[i].name), type};
        def.columns[i] = (lc_column_def){
            .name = members[i].name,
            .source_name = members[i].name,
            .type = type,
        };
    }
    def.row_type = lc_type_new_product(&arena, members, count);
    return def;
}

static uint32_t create(const lc_table_def *def)
{
    lc_table *table;
    lc_error err = LC_ERROR_INIT;
    assert_ok(lc_store_create_table(env.store, def, &table, &err), &err);
    return lc_table_id(table);
}

static uint32_t index_id(const char *name)
{
    lc_index *i = lc_store_index_by_name(env.store, lc_span_of_str(name));
    assert_non_null(i);
    return lc_index_id(i);
}

/* item(id: u64 auto_inc primary key, name: string, n: u32 btree), blob(data: string),
 * hashed(k: u32 hash, v: u32). */
static void create_tables(void)
{
    static const column item_columns[] = {
        {"id", LC_TYPE_U64}, {"name", LC_TYPE_STRING}, {"n", LC_TYPE_U32}};
    lc_table_def def = table_def("item", item_columns, 3);
    uint16_t zero = 0;
    lc_index_def item_indexes[] = {index_def("item_id_idx_btree", LC_INDEX_BTREE, true, 0),
                                   index_def("item_n_idx_btree", LC_INDEX_BTREE, false, 2)};
    lc_constraint_def unique = {
        .name = LC_STR("item_id_key"), .columns = columns_of(1, &zero), .column_count = 1};
    lc_sequence_def sequence = {
        .name = LC_STR("item_id_seq"),
        .start = {1, 0},
        .min_value = {1, 0},
        .max_value = {UINT64_MAX, INT64_MAX},
        .increment = {1, 0},
    };
    def.primary_key = 0;
    def.indexes = item_indexes;
    def.index_count = 2;
    def.constraints = &unique;
    def.constraint_count = 1;
    def.sequences = &sequence;
    def.sequence_count = 1;
    item = create(&def);
    item_id = index_id("item_id_idx_btree");
    item_n = index_id("item_n_idx_btree");

    def = table_def("blob", (const column[]){{"data", LC_TYPE_STRING}}, 1);
    blob = create(&def);

    def = table_def("hashed", (const column[]){{"k", LC_TYPE_U32}, {"v", LC_TYPE_U32}}, 2);
    lc_index_def hash_index = index_def("hashed_k_idx_hash", LC_INDEX_HASH, false, 0);
    def.indexes = &hash_index;
    def.index_count = 1;
    hashed = create(&def);
    hashed_k = index_id("hashed_k_idx_hash");
}

static int open_store(void **state)
{
    (void)state;
    memory = lc_alloc(MEMORY);
    memset(memory, 0xee, MEMORY);
    env = (lc_env){.store = lc_store_create(), .clock = lc_clock_system(), .row_written = see_row};
    abi_init(&abi, &env);
    abi.look_again = look_again;
    look_again(&abi);
    abi.is_ready = true;
    rows_seen = 0;
    row_answer = LC_ERRNO_OK;
    lc_store_begin(env.store);
    create_tables();
    return 0;
}

static int close_store(void **state)
{
    (void)state;
    if (lc_store_in_tx(env.store)) lc_store_rollback(env.store);
    abi_deinit(&abi);
    lc_store_destroy(env.store);
    lc_arena_deinit(&arena);
    lc_free(memory);
    return 0;
}

/* ----------------------------------------------------------------- helpers */

static void assert_trap(const char *want)
{
    assert_non_null(abi.trap);
    if (!strstr(abi.trap, want)) fail_msg("trap is \"%s\", not \"%s\"", abi.trap, want);
    lc_free(abi.trap);
    abi.trap = NULL;
}

static void assert_no_trap(void)
{
    if (abi.trap) fail_msg("%s", abi.trap);
}

static uint32_t peek(uint32_t at)
{
    return lc_load_u32(memory + at);
}

static void poke(uint32_t at, uint32_t value)
{
    lc_store_u32(memory + at, value);
}

/* Bytes of an item row at BUFFER, the length at LEN. */
static uint32_t put_item(uint64_t id, const char *name, uint32_t n)
{
    lc_buf row = LC_BUF_INIT;
    lc_buf_put_u64(&row, id);
    lc_buf_put_lenstr(&row, lc_span_of_str(name));
    lc_buf_put_u32(&row, n);
    uint32_t len = (uint32_t)row.len;
    memcpy(memory + BUFFER, row.ptr, row.len);
    lc_buf_deinit(&row);
    poke(LEN, len);
    return len;
}

static uint32_t insert_item(uint64_t id, const char *name, uint32_t n)
{
    put_item(id, name, n);
    return abi_datastore_insert_bsatn(&abi, item, BUFFER, LEN);
}

static void insert_blob(uint32_t size, char fill)
{
    poke(BUFFER, size);
    memset(memory + BUFFER + 4, fill, size);
    poke(LEN, size + 4);
    assert_int_equal(abi_datastore_insert_bsatn(&abi, blob, BUFFER, LEN), 0);
}

static uint32_t scan(uint32_t table)
{
    assert_int_equal(abi_datastore_table_scan_bsatn(&abi, table, OUT), 0);
    return peek(OUT);
}

static uint32_t advance(uint32_t iterator, uint32_t room)
{
    poke(LEN, room);
    return abi_row_iter_bsatn_advance(&abi, iterator, BUFFER, LEN);
}

/* ------------------------------------------------------------------- names */

LC_TEST(names)
{
    static const char name[] = "item item_id_idx_btree st_table";
    memcpy(memory + BUFFER, name, sizeof name);
    assert_int_equal(abi_table_id_from_name(&abi, BUFFER, 4, BUFFER + 101), 0);
    assert_int_equal(peek(BUFFER + 101), item);
    assert_int_equal(abi_index_id_from_name(&abi, BUFFER + 5, 17, OUT), 0);
    assert_int_equal(peek(OUT), item_id);
    assert_int_equal(abi_table_id_from_name(&abi, BUFFER + 23, 8, OUT), 0);
    assert_int_equal(peek(OUT), LC_ST_TABLE);
    poke(OUT, 77);
    assert_int_equal(abi_table_id_from_name(&abi, BUFFER, 3, OUT), LC_ERRNO_NO_SUCH_TABLE);
    assert_int_equal(abi_table_id_from_name(&abi, BUFFER, 0, 0), LC_ERRNO_NO_SUCH_TABLE);
    assert_int_equal(abi_index_id_from_name(&abi, BUFFER, 4, 0), LC_ERRNO_NO_SUCH_INDEX);
    assert_int_equal(peek(OUT), 77);
    assert_no_trap();
    abi_table_id_from_name(&abi, BUFFER, 4, 0);
    assert_trap("null pointer");
    abi_table_id_from_name(&abi, BUFFER, 4, MEMORY - 3);
    assert_trap("out of bounds");
}

/* --------------------------------------------------------------- iterators */

LC_TEST(empty_scan)
{
    uint32_t it = scan(item);
    assert_int_equal(it, 1);
    assert_int_equal(advance(it, 100), UINT32_MAX);
    assert_int_equal(peek(LEN), 0);
    assert_int_equal(advance(it, 100), LC_ERRNO_NO_SUCH_ITER);
    assert_int_equal(peek(LEN), 100);
}

LC_TEST(small_buffers_are_told_the_size)
{
    insert_blob(4, 'a');
    insert_blob(4, 'b');
    uint32_t it = scan(blob);
    const uint32_t rooms[] = {0, 3, 15};
    for (size_t i = 0; i < LC_ARRAY_LEN(rooms); i++) {
        memory[BUFFER] = 0xee;
        assert_int_equal(advance(it, rooms[i]), LC_ERRNO_BUFFER_TOO_SMALL);
        assert_int_equal(peek(LEN), 16);
        assert_int_equal(memory[BUFFER], 0xee);
    }
    assert_int_equal(advance(it, 16), UINT32_MAX);
    assert_int_equal(peek(LEN), 16);
    assert_memory_equal(memory + BUFFER, "\4\0\0\0aaaa\4\0\0\0bbbb", 16);
}

/* 100 rows of 1012 bytes: chunks of 33 rows (33396 bytes), the last of one row. */
LC_TEST(chunks)
{
    for (int i = 0; i < 100; i++) {
        poke(BUFFER, 1008);
        memset(memory + BUFFER + 4, 'a' + i % 26, 1008);
        memory[BUFFER + 4 + i / 26] = '0';
        poke(LEN, 1012);
        assert_int_equal(abi_datastore_insert_bsatn(&abi, blob, BUFFER, LEN), 0);
    }
    uint32_t it = scan(blob);
    assert_int_equal(advance(it, 8), LC_ERRNO_BUFFER_TOO_SMALL);
    assert_int_equal(peek(LEN), 33396);
    assert_int_equal(advance(it, 65536), 0);
    assert_int_equal(peek(LEN), 33396);
    assert_int_equal(advance(it, 33395), LC_ERRNO_BUFFER_TOO_SMALL);
    assert_int_equal(advance(it, 2 * 33396), 0); /* two whole chunks */
    assert_int_equal(peek(LEN), 2 * 33396);
    assert_int_equal(advance(it, 1011), LC_ERRNO_BUFFER_TOO_SMALL);
    assert_int_equal(peek(LEN), 1012);
    assert_int_equal(advance(it, 1012), UINT32_MAX);
    assert_int_equal(peek(LEN), 1012);
    it = scan(blob);
    assert_int_equal(advance(it, 101200), UINT32_MAX);
    assert_int_equal(peek(LEN), 101200);
}

/* A row is never split; its chunk ends behind it. Index scans are cut the same way. */
LC_TEST(chunks_of_big_rows)
{
    static char name[100001];
    memset(name, 'x', sizeof name - 1);
    assert_int_equal(insert_item(1, "small", 5), 0);
    assert_int_equal(insert_item(2, name, 5), 0);
    assert_int_equal(insert_item(3, "small", 5), 0);
    poke(BUFFER, 5);
    assert_int_equal(abi_datastore_index_scan_point_bsatn(&abi, item_n, BUFFER, 4, OUT), 0);
    uint32_t it = peek(OUT);
    assert_int_equal(advance(it, 100), LC_ERRNO_BUFFER_TOO_SMALL);
    assert_int_equal(peek(LEN), 21 + 100016);
    assert_int_equal(advance(it, 21 + 100016), 0);
    assert_int_equal(advance(it, 21), UINT32_MAX);
    assert_int_equal(peek(LEN), 21);
}

LC_TEST(handles)
{
    assert_int_equal(scan(item), 1);
    assert_int_equal(scan(item), 2);
    assert_int_equal(scan(item), 3);
    assert_int_equal(abi_row_iter_bsatn_close(&abi, 2), 0);
    assert_int_equal(abi_row_iter_bsatn_close(&abi, 2), LC_ERRNO_NO_SUCH_ITER);
    assert_int_equal(scan(item), 2);
    assert_int_equal(abi_row_iter_bsatn_close(&abi, 1), 0);
    assert_int_equal(abi_row_iter_bsatn_close(&abi, 3), 0);
    assert_int_equal(scan(item), 3); /* freed last, used first */
    assert_int_equal(scan(item), 1);
    const uint32_t unknown[] = {0, 4, 99, UINT32_MAX};
    for (size_t i = 0; i < LC_ARRAY_LEN(unknown); i++) {
        assert_int_equal(abi_row_iter_bsatn_close(&abi, unknown[i]), LC_ERRNO_NO_SUCH_ITER);
        assert_int_equal(abi_row_iter_bsatn_advance(&abi, unknown[i], 0, 0), LC_ERRNO_NO_SUCH_ITER);
    }
    assert_no_trap();
    poke(LEN, 100);
    abi_row_iter_bsatn_advance(&abi, 1, MEMORY - 50, LEN);
    assert_trap("out of bounds");
    abi_row_iter_bsatn_advance(&abi, 1, 0, LEN);
    assert_trap("null pointer");
    abi_row_iter_bsatn_advance(&abi, 1, BUFFER, 0);
    assert_trap("null pointer");
}

/* What an iterator shows was decided when it was opened, and stays through the end of the call. */
LC_TEST(iterators_are_evaluated_when_opened)
{
    assert_int_equal(insert_item(1, "a", 5), 0);
    uint32_t it = scan(item);
    assert_int_equal(insert_item(2, "b", 5), 0);
    uint32_t both = scan(item);
    assert_int_equal(abi_datastore_clear(&abi, item, OUT), 0);
    abi_end_call(&abi, true);
    lc_store_rollback(env.store);
    assert_int_equal(advance(it, 1000), UINT32_MAX);
    assert_int_equal(peek(LEN), 17);
    assert_int_equal(advance(both, 1000), UINT32_MAX);
    assert_int_equal(peek(LEN), 34);
}

LC_TEST(iterators_are_limited)
{
    for (uint32_t i = 1; i <= ABI_ITERATORS_MAX; i++) assert_int_equal(scan(item), i);
    assert_int_equal(abi_datastore_table_scan_bsatn(&abi, item, OUT), 0);
    assert_trap("limit of 65536 open row iterators reached");
    assert_int_equal(abi_row_iter_bsatn_close(&abi, 7), 0);
    assert_int_equal(scan(item), 7);
}

/* ------------------------------------------------------------------- scans */

LC_TEST(point_scans)
{
    assert_int_equal(insert_item(1, "a", 5), 0);
    assert_int_equal(insert_item(2, "b", 6), 0);
    memset(memory + BUFFER, 0, 8);
    poke(BUFFER, 2);
    assert_int_equal(abi_datastore_index_scan_point_bsatn(&abi, item_id, BUFFER, 8, OUT), 0);
    assert_int_equal(advance(peek(OUT), 1000), UINT32_MAX);
    assert_int_equal(peek(LEN), 17);
    assert_int_equal(memory[BUFFER], 2);
    memset(memory + BUFFER, 0, 8);
    poke(BUFFER, 3);
    assert_int_equal(abi_datastore_index_scan_point_bsatn(&abi, item_id, BUFFER, 8, OUT), 0);
    assert_int_equal(advance(peek(OUT), 1000), UINT32_MAX);
    assert_int_equal(peek(LEN), 0);

    poke(OUT, 77);
    assert_int_equal(abi_datastore_index_scan_point_bsatn(&abi, item_id, BUFFER, 7, 0),
                     LC_ERRNO_BSATN_DECODE_ERROR);
    assert_int_equal(abi_datastore_index_scan_point_bsatn(&abi, 99999, BUFFER, 7, 0),
                     LC_ERRNO_NO_SUCH_INDEX);
    assert_no_trap();
    assert_int_equal(peek(OUT), 77);
    assert_int_equal(scan(item), 1); /* a failed scan leaves no handle behind */
    abi_datastore_index_scan_point_bsatn(&abi, item_id, 0, 8, OUT);
    assert_trap("null pointer");
    abi_datastore_index_scan_point_bsatn(&abi, item_id, BUFFER, 8, 0);
    assert_trap("null pointer");
}

static uint32_t range(uint32_t index, uint32_t prefix, uint32_t elems, uint32_t start,
                      uint32_t start_len, uint32_t end, uint32_t end_len, uint32_t out)
{
    return abi_datastore_index_scan_range_bsatn(&abi, index, prefix, 4, elems, start, start_len,
                                                end, end_len, out);
}

LC_TEST(range_scans)
{
    for (uint32_t i = 1; i <= 9; i++) assert_int_equal(insert_item(i, "x", i), 0);
    enum { FROM3 = 200, TO6 = 220, ALL = 240, BAD = 250 };
    memcpy(memory + FROM3, "\0\3\0\0\0", 5);
    memcpy(memory + TO6, "\1\6\0\0\0", 5);
    memory[ALL] = 2;
    memory[BAD] = 3;
    assert_int_equal(range(item_n, 0, 0, FROM3, 5, TO6, 5, OUT), 0);
    assert_int_equal(advance(peek(OUT), 1000), UINT32_MAX);
    assert_int_equal(peek(LEN), 3 * 17);
    assert_int_equal(range(item_n, MEMORY + 99, 0, TO6, 5, FROM3, 5, OUT), 0);
    assert_int_equal(advance(peek(OUT), 1000), UINT32_MAX);
    assert_int_equal(peek(LEN), 0);
    assert_int_equal(range(item_n, 0, 0, ALL, 1, ALL, 1, OUT), 0);
    assert_int_equal(advance(peek(OUT), 1000), UINT32_MAX);
    assert_int_equal(peek(LEN), 9 * 17);

    assert_int_equal(range(item_n, 0, 0, BAD, 1, ALL, 1, 0), LC_ERRNO_BSATN_DECODE_ERROR);
    assert_int_equal(range(item_n, 0, 0, FROM3, 4, ALL, 1, 0), LC_ERRNO_BSATN_DECODE_ERROR);
    assert_int_equal(range(item_n, 0, 0, ALL, 0, ALL, 1, 0), LC_ERRNO_BSATN_DECODE_ERROR);
    assert_int_equal(range(item_n, FROM3 + 1, 1, ALL, 1, ALL, 1, 0), LC_ERRNO_BSATN_DECODE_ERROR);
    assert_int_equal(range(99999, 0, 0, BAD, 1, BAD, 1, 0), LC_ERRNO_NO_SUCH_INDEX);
    assert_int_equal(range(hashed_k, 0, 0, FROM3, 5, FROM3, 5, 0), LC_ERRNO_WRONG_INDEX_ALGO);
    assert_no_trap();
    range(item_n, 0, 65536, ALL, 1, ALL, 1, OUT);
    assert_trap("datastore_index_scan_range_bsatn: 65536 prefix elements");
    range(item_n, 0, 1, ALL, 1, ALL, 1, OUT);
    assert_trap("null pointer");
    range(item_n, 0, 0, ALL, 1, 0, 0, OUT);
    assert_trap("null pointer");

    assert_int_equal(abi_datastore_delete_by_index_scan_range_bsatn(&abi, item_n, 0, 0, 0, FROM3, 5,
                                                                    TO6, 5, OUT),
                     0);
    assert_int_equal(peek(OUT), 3);
    assert_int_equal(abi_datastore_table_row_count(&abi, item, OUT), 0);
    assert_int_equal(lc_load_u64(memory + OUT), 6);
}

/* ------------------------------------------------------------------ writes */

LC_TEST(insert_writes_back_what_was_drawn)
{
    uint32_t len = put_item(0, "bob", 42);
    memset(memory + BUFFER + len, 0xee, 2);
    poke(LEN, len + 2); /* bytes after the row are ignored */
    assert_int_equal(abi_datastore_insert_bsatn(&abi, item, BUFFER, LEN), 0);
    assert_int_equal(peek(LEN), 8);
    assert_int_equal(lc_load_u64(memory + BUFFER), 1);
    assert_memory_equal(memory + BUFFER + 8, "\3\0\0\0bob\x2a\0\0\0\xee\xee", 13);
    assert_int_equal(insert_item(7, "given", 1), 0);
    assert_int_equal(peek(LEN), 0);
    assert_int_equal(rows_seen, 2);

    put_item(7, "other", 1);
    uint32_t before = peek(LEN);
    assert_int_equal(abi_datastore_insert_bsatn(&abi, item, BUFFER, LEN),
                     LC_ERRNO_UNIQUE_ALREADY_EXISTS);
    assert_int_equal(peek(LEN), before);
    assert_int_equal(lc_load_u64(memory + BUFFER), 7);
    assert_int_equal(rows_seen, 2);
    assert_no_trap();
}

LC_TEST(length_may_lie_in_the_row)
{
    poke(BUFFER, 8); /* the column k, and the length of the row */
    poke(BUFFER + 4, 9);
    assert_int_equal(abi_datastore_insert_bsatn(&abi, hashed, BUFFER, BUFFER), 0);
    assert_int_equal(peek(BUFFER), 0);
    assert_int_equal(advance(scan(hashed), 100), UINT32_MAX);
    assert_memory_equal(memory + BUFFER, "\10\0\0\0\11\0\0\0", 8);
}

LC_TEST(a_schedule_that_is_too_far)
{
    row_answer = LC_ERRNO_SCHEDULE_AT_DELAY_TOO_LONG;
    uint32_t len = put_item(0, "late", 1);
    assert_int_equal(abi_datastore_insert_bsatn(&abi, item, BUFFER, LEN),
                     LC_ERRNO_SCHEDULE_AT_DELAY_TOO_LONG);
    assert_int_equal(lc_load_u64(memory + BUFFER), 1); /* the id is there, */
    assert_int_equal(peek(LEN), len);                  /* the length is not */
    assert_int_equal(abi_datastore_table_row_count(&abi, item, OUT), 0);
    assert_int_equal(peek(OUT), 1);
}

LC_TEST(updates)
{
    assert_int_equal(insert_item(1, "a", 5), 0);
    put_item(1, "b", 5);
    assert_int_equal(abi_datastore_update_bsatn(&abi, item, item_id, BUFFER, LEN), 0);
    assert_int_equal(peek(LEN), 0);
    assert_int_equal(rows_seen, 2);
    uint32_t len = put_item(2, "b", 5);
    assert_int_equal(abi_datastore_update_bsatn(&abi, item, item_id, BUFFER, LEN),
                     LC_ERRNO_NO_SUCH_ROW);
    assert_int_equal(abi_datastore_update_bsatn(&abi, item, item_n, BUFFER, LEN),
                     LC_ERRNO_INDEX_NOT_UNIQUE);
    assert_int_equal(abi_datastore_update_bsatn(&abi, item, 99999, BUFFER, LEN),
                     LC_ERRNO_NO_SUCH_INDEX);
    assert_int_equal(abi_datastore_update_bsatn(&abi, item, hashed_k, BUFFER, LEN),
                     LC_ERRNO_NO_SUCH_INDEX);
    assert_int_equal(peek(LEN), len);
    assert_int_equal(rows_seen, 2);
    assert_no_trap();
}

LC_TEST(failures_without_a_number_are_traps)
{
    put_item(1, "a", 5);
    abi_datastore_insert_bsatn(&abi, 99999, BUFFER, LEN);
    assert_trap("runtime error calling datastore_insert_bsatn: no table with id 99999");
    abi_datastore_update_bsatn(&abi, 0, item_id, BUFFER, LEN);
    assert_trap("runtime error calling datastore_update_bsatn: no table with id 0");
    abi_datastore_clear(&abi, 99999, 0);
    assert_trap("runtime error calling datastore_clear: no table with id 99999");
    poke(LEN, 7); /* undecodable, and before the index is looked at */
    abi_datastore_insert_bsatn(&abi, item, BUFFER, LEN);
    assert_trap("runtime error calling datastore_insert_bsatn: ");
    abi_datastore_update_bsatn(&abi, item, 99999, BUFFER, LEN);
    assert_trap("runtime error calling datastore_update_bsatn: ");
    abi_datastore_insert_bsatn(&abi, item, 0, LEN);
    assert_trap("null pointer");
    abi_datastore_insert_bsatn(&abi, item, BUFFER, 0);
    assert_trap("null pointer");
}

LC_TEST(deletes)
{
    for (uint32_t i = 1; i <= 3; i++) assert_int_equal(insert_item(i, "x", 5), 0);
    uint32_t len = put_item(2, "x", 5);
    memmove(memory + BUFFER + 4, memory + BUFFER, len);
    poke(BUFFER, 1);
    assert_int_equal(abi_datastore_delete_all_by_eq_bsatn(&abi, item, BUFFER, len + 4, OUT), 0);
    assert_int_equal(peek(OUT), 1);
    assert_int_equal(abi_datastore_delete_all_by_eq_bsatn(&abi, item, BUFFER, len + 4, OUT), 0);
    assert_int_equal(peek(OUT), 0);
    assert_int_equal(abi_datastore_delete_all_by_eq_bsatn(&abi, item, BUFFER, len + 3, 0),
                     LC_ERRNO_BSATN_DECODE_ERROR);
    assert_int_equal(abi_datastore_delete_all_by_eq_bsatn(&abi, 99999, BUFFER, 1, 0),
                     LC_ERRNO_NO_SUCH_TABLE);
    poke(BUFFER, 5);
    assert_int_equal(abi_datastore_delete_by_index_scan_point_bsatn(&abi, item_n, BUFFER, 3, 0),
                     LC_ERRNO_BSATN_DECODE_ERROR);
    assert_int_equal(abi_datastore_delete_by_index_scan_point_bsatn(&abi, 99999, BUFFER, 4, 0),
                     LC_ERRNO_NO_SUCH_INDEX);
    assert_int_equal(abi_datastore_delete_by_index_scan_point_bsatn(&abi, item_n, BUFFER, 4, OUT),
                     0);
    assert_int_equal(peek(OUT), 2);
    assert_int_equal(insert_item(9, "x", 5), 0);
    assert_int_equal(abi_datastore_clear(&abi, item, OUT), 0);
    assert_int_equal(lc_load_u64(memory + OUT), 1);
    assert_no_trap();
    abi_datastore_delete_all_by_eq_bsatn(&abi, item, 0, 0, OUT);
    assert_trap("null pointer");
}

/* A module may read every system table, and change none that the server lives on. */
LC_TEST(the_catalog_is_not_the_modules)
{
    uint32_t it = scan(LC_ST_TABLE);
    assert_int_equal(advance(it, MEMORY - BUFFER), UINT32_MAX);
    assert_true(peek(LEN) > 0);
    abi_datastore_clear(&abi, LC_ST_TABLE, OUT);
    assert_trap("runtime error calling datastore_clear: table `st_table` is not the module's");
    poke(LEN, 4);
    abi_datastore_insert_bsatn(&abi, LC_ST_MODULE, BUFFER, LEN);
    assert_trap("table `st_module` is not the module's");
    abi_datastore_delete_all_by_eq_bsatn(&abi, LC_ST_INDEX, BUFFER, 4, OUT);
    assert_trap("table `st_index` is not the module's");
    assert_int_equal(abi_datastore_clear(&abi, LC_ST_CLIENT, OUT), 0);
    assert_no_trap();
}

LC_TEST(nothing_without_a_transaction)
{
    lc_store_commit(env.store);
    lc_store_release(env.store);
    assert_int_equal(abi_datastore_table_row_count(&abi, item, 0), 2);
    assert_int_equal(abi_datastore_table_scan_bsatn(&abi, 99999, 0), 2);
    assert_int_equal(abi_datastore_index_scan_point_bsatn(&abi, item_id, 0, 0, 0), 2);
    assert_int_equal(range(99999, 0, 65536, 0, 0, 0, 0, 0), 2);
    assert_int_equal(
        abi_datastore_delete_by_index_scan_range_bsatn(&abi, 0, 0, 0, 0, 0, 0, 0, 0, 0), 2);
    assert_int_equal(abi_datastore_delete_by_index_scan_point_bsatn(&abi, 0, 0, 0, 0), 2);
    assert_int_equal(abi_datastore_delete_all_by_eq_bsatn(&abi, 0, 0, 0, 0), 2);
    assert_int_equal(abi_datastore_insert_bsatn(&abi, 0, 0, 0), 2);
    assert_int_equal(abi_datastore_update_bsatn(&abi, 0, 0, 0, 0), 2);
    assert_int_equal(abi_datastore_clear(&abi, 0, 0), 2);
    assert_no_trap();
}

#define T(test) cmocka_unit_test_setup_teardown(test, open_store, close_store)
int main(void)
{
    return LC_TEST_RUN(T(names), T(empty_scan), T(small_buffers_are_told_the_size), T(chunks),
                       T(chunks_of_big_rows), T(handles), T(iterators_are_evaluated_when_opened),
                       T(iterators_are_limited), T(point_scans), T(range_scans),
                       T(insert_writes_back_what_was_drawn), T(length_may_lie_in_the_row),
                       T(a_schedule_that_is_too_far), T(updates),
                       T(failures_without_a_number_are_traps), T(deletes),
                       T(the_catalog_is_not_the_modules), T(nothing_without_a_transaction));
}
