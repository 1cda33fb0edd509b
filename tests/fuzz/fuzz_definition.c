/*
 * Fuzz target: what a module says about itself, and types by themselves.
 *
 * An input is a flag and a definition (even) or a type (odd), both as BSATN. A type that can be
 * read is the same after any way there and back. A definition that is accepted can be printed,
 * compared with itself, made tables of, and the tables read back.
 *
 * build: src/base src/sats src/schema src/store -lunistring
 */
#include "store/lc_store.h"

/* ------------------------------------------------------------------------ types */

static void read_type(lc_span in)
{
    lc_arena a = LC_ARENA_INIT;
    lc_error err = LC_ERROR_INIT;
    lc_reader r = lc_reader_of(in, &err);
    const lc_type *t = lc_read_type(&r, &a);
    if (!r.failed) {
        lc_buf out = LC_BUF_INIT, again = LC_BUF_INIT;
        lc_type_encode(t, &out);
        if (!lc_span_equal(lc_buf_span(&out), LC_SPAN(in.ptr, (size_t)(r.at - in.ptr))))
            LC_BUG("a type is written otherwise than it was read");
        lc_buf_reset(&out);
        lc_type_print(t, &out);
        lc_buf_reset(&out);
        lc_type_to_json(t, &out);
        const lc_type *back;
        /* JSON may nest 128 levels, and a member of a product takes four. */
        if (lc_type_from_json(lc_buf_span(&out), &a, &back, &err) == LC_OK) {
            if (!lc_type_equal(t, back)) LC_BUG("a type's JSON is another type");
            lc_type_to_json(back, &again);
            if (!lc_span_equal(lc_buf_span(&out), lc_buf_span(&again))) LC_BUG("another JSON");
        } else if (t->depth <= 31) {
            LC_BUG("a type's JSON is not read: %s", lc_error_text(&err));
        }
        lc_error_clear(&err);
        const lc_type *types[] = {t};
        lc_typespace ts = {types, 1};
        const lc_type *inlined;
        if (lc_type_inline(&a, &ts, t, &inlined, &err) == LC_OK) {
            if (inlined->weight > LC_TYPE_MAX_WEIGHT || inlined->depth > LC_TYPE_MAX_DEPTH)
                LC_BUG("a type beyond the limits");
            lc_layout *l = NULL;
            if (inlined->kind == LC_TYPE_PRODUCT) l = lc_layout_create(inlined, NULL);
            lc_layout_destroy(l);
        }
        lc_buf_deinit(&out);
        lc_buf_deinit(&again);
    }
    lc_error_clear(&err);
    lc_arena_deinit(&a);
}

/* ------------------------------------------------------------------ definitions */

static void make_tables(const lc_schema *schema)
{
    lc_error err = LC_ERROR_INIT;
    lc_store *s = lc_store_create();
    lc_store_begin(s);
    if (lc_store_create_schema(s, schema, &err) != LC_OK) {
        lc_error_clear(&err);
        lc_store_rollback(s);
        lc_store_destroy(s);
        return;
    }
    lc_buf log = LC_BUF_INIT;
    lc_delta_encode(lc_store_commit(s), &log);
    lc_store_release(s);

    lc_store *again = lc_store_create();
    size_t used;
    lc_store_replay_begin(again);
    if (lc_store_replay_tx(again, lc_buf_span(&log), &used, &err) != LC_OK || used != log.len ||
        lc_store_replay_end(again, &err) != LC_OK)
        LC_BUG("the tables of an accepted definition cannot be read back: %s", lc_error_text(&err));
    uint32_t at = 0, at_again = 0;
    lc_table *t, *u;
    do {
        t = lc_store_next_table(s, &at);
        u = lc_store_next_table(again, &at_again);
        if (!t != !u) LC_BUG("read back there are other tables");
        if (!t) break;
        if (lc_table_id(t) != lc_table_id(u) ||
            !lc_type_equal(lc_table_row_type(t), lc_table_row_type(u)) ||
            lc_table_row_count(t) != lc_table_row_count(u))
            LC_BUG("table %u is another one when read back", lc_table_id(t));
    } while (t);
    lc_buf_deinit(&log);
    lc_store_destroy(s);
    lc_store_destroy(again);
}

static void read_definition(lc_span in)
{
    lc_error err = LC_ERROR_INIT;
    lc_schema *schema;
    if (lc_schema_read(in, &schema, &err) != LC_OK) {
        if (!lc_utf8_valid(lc_span_of_str(lc_error_text(&err))))
            LC_BUG("a refusal that is no text");
        lc_error_clear(&err);
        return;
    }
    lc_buf out = LC_BUF_INIT;
    for (uint32_t version = 9; version <= 10; version++) {
        lc_buf_reset(&out);
        lc_schema_to_json(schema, version, &out);
        if (!lc_utf8_valid(lc_buf_span(&out))) LC_BUG("a schema's JSON is no text");
    }
    lc_buf_deinit(&out);
    if (lc_schema_check_update(schema, schema, &err) != LC_OK)
        LC_BUG("a definition does not follow itself: %s", lc_error_text(&err));
    make_tables(schema);
    lc_schema_unref(schema);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    size_t n = size - 1;
    uint8_t *exact = lc_alloc(n ? n : 1);
    memcpy(exact, data + 1, n);
    if (data[0] & 1)
        read_type(LC_SPAN(exact, n));
    else
        read_definition(LC_SPAN(exact, n));
    lc_free(exact);
    return 0;
}
