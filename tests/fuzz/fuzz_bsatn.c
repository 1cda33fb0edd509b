/*
 * Fuzz target: values of every type from bytes that nobody has looked at.
 *
 * An input is a type, in a notation in which every byte string means some type, and then two values
 * of it. The compiled layout and the plain walk must agree about them, and what is done with a
 * valid value must stay inside its bytes.
 *
 * build: src/base src/sats -lunistring
 * length: 1024
 */
#include "sats/lc_sats.h"

enum { MAX_TYPES = 3, MAX_MEMBERS = 9, MAX_NODES = 60, MAX_JSON = 8192 };

typedef struct input {
    const uint8_t *at, *end;
    uint32_t nodes;
    uint32_t refs; /* types that may be referred to; 0: no references */
} input;

static uint8_t take(input *in)
{
    return in->at < in->end ? *in->at++ : 0;
}

static const lc_type *make_type(lc_arena *a, input *in, int levels);

static const lc_type *make_members(lc_arena *a, input *in, int levels, uint32_t n, bool is_sum)
{
    lc_type_member members[MAX_MEMBERS];
    for (uint32_t i = 0; i < n; i++) {
        members[i].type = make_type(a, in, levels - 1);
        members[i].name = lc_span_of_str(lc_arena_format(a, "%c", (int)('a' + i)));
    }
    return is_sum ? lc_type_new_sum(a, members, n) : lc_type_new_product(a, members, n);
}

static const lc_type *make_type(lc_arena *a, input *in, int levels)
{
    uint8_t byte = take(in);
    const lc_type *special[] = {lc_type_identity(), lc_type_connection_id(), lc_type_timestamp(),
                                lc_type_duration(), lc_type_uuid(),          lc_type_schedule_at()};
    if (levels > 0 && in->nodes++ < MAX_NODES) switch (byte >> 4) {
        case 0:
        case 1:
            return make_members(a, in, levels, byte % MAX_MEMBERS, false);
        case 2:
        case 3:
            return make_members(a, in, levels, 1 + byte % (MAX_MEMBERS - 1), true);
        case 4:
            return lc_type_new_option(a, make_type(a, in, levels - 1));
        case 5:
        case 6:
            return lc_type_new_array(a, make_type(a, in, levels - 1));
        case 7:
            return special[byte % LC_ARRAY_LEN(special)];
        case 8:
            if (in->refs) return lc_type_new_ref(a, byte % in->refs);
        }
    return lc_type_scalar(
        (lc_type_kind)(LC_TYPE_STRING + byte % (LC_TYPE_F64 - LC_TYPE_STRING + 1)));
}

typedef struct value {
    uint8_t *bytes; /* a block of exactly its size, so that no byte behind goes unnoticed */
    size_t size;
} value;

/* Every way to look at a valid row. */
static void look(const lc_layout *l, const lc_type *t, const lc_typespace *ts, const value *v)
{
    if (lc_layout_row_size(l, v->bytes) != v->size) LC_BUG("layout and validation differ in size");
    if (lc_bsatn_size(t, ts, v->bytes) != v->size) LC_BUG("walk and validation differ in size");
    int32_t fixed = lc_layout_fixed_size(l);
    if (fixed >= 0 && (size_t)fixed != v->size) LC_BUG("a row of fixed size has another");
    uint32_t count = lc_layout_column_count(l);
    uint32_t offsets[MAX_MEMBERS + 1];
    size_t at = 0;
    lc_layout_offsets(l, v->bytes, offsets);
    for (uint32_t i = 0; i < count; i++) {
        lc_span column = lc_layout_column(l, v->bytes, i);
        int32_t offset = lc_layout_column_offset(l, i);
        if (column.ptr != v->bytes + at || offsets[i] != at) LC_BUG("column %u is elsewhere", i);
        if (offset >= 0 && (size_t)offset != at) LC_BUG("column %u has another offset", i);
        at += column.len;
    }
    if (at != v->size || offsets[count] != at) LC_BUG("columns do not fill the row");

    lc_buf out = LC_BUF_INIT, back = LC_BUF_INIT;
    for (lc_json_flavour f = LC_JSON_UNTYPED; f <= LC_JSON_ROW; f++) {
        lc_buf_reset(&out);
        lc_buf_reset(&back);
        if (lc_json_write(t, ts, v->bytes, f, &out) != v->size) LC_BUG("JSON of another size");
        if (!lc_utf8_valid(lc_buf_span(&out))) LC_BUG("JSON is not UTF-8");
        if (out.len > MAX_JSON) break; /* an array of units is long in JSON, and slow */
        if (lc_json_to_bsatn(t, ts, lc_buf_span(&out), &back, NULL) != LC_OK) continue;
        size_t size;
        if (lc_layout_validate(l, lc_buf_span(&back), &size, NULL) != LC_OK || size != back.len)
            LC_BUG("JSON gives a value that is none");
    }
    lc_buf_deinit(&out);
    lc_buf_deinit(&back);
}

/* Order, hash and key of two valid values. No references. */
static void compare(const lc_type *t, const value *v, const value *w)
{
    int order = lc_value_compare(t, v->bytes, w->bytes);
    if (lc_value_compare(t, w->bytes, v->bytes) != -order) LC_BUG("order depends on the side");
    if (lc_value_compare(t, v->bytes, v->bytes) != 0) LC_BUG("a value differs from itself");
    bool same_bytes = v->size == w->size && !memcmp(v->bytes, w->bytes, v->size);
    if (t->bitwise_equal && same_bytes != (order == 0)) LC_BUG("equality is not that of bytes");
    if (order == 0 && lc_value_hash(t, v->bytes) != lc_value_hash(t, w->bytes))
        LC_BUG("equal values hash differently");
    lc_buf a = LC_BUF_INIT, b = LC_BUF_INIT;
    if (lc_value_key(t, v->bytes, &a) != v->size) LC_BUG("a key took other bytes");
    lc_value_key(t, w->bytes, &b);
    size_t shorter = a.len < b.len ? a.len : b.len;
    if (a.len != b.len && !lc_span_compare(LC_SPAN(a.ptr, shorter), LC_SPAN(b.ptr, shorter)))
        LC_BUG("a key begins another one");
    int by_key = lc_span_compare(lc_buf_span(&a), lc_buf_span(&b));
    if ((by_key > 0) - (by_key < 0) != order) LC_BUG("keys are ordered otherwise");
    int32_t key_size = lc_type_key_size(t);
    if (key_size >= 0 && (size_t)key_size != a.len) LC_BUG("a key of fixed size has another");
    lc_buf_reset(&a);
    lc_satn_write(t, v->bytes, &a);
    lc_cell_write(t, v->bytes, &a);
    if (!lc_utf8_valid(lc_buf_span(&a))) LC_BUG("a text is not UTF-8");
    lc_buf_deinit(&a);
    lc_buf_deinit(&b);
}

/* The next value of the input, if it is one. */
static bool read_value(const lc_layout *l, const lc_type *t, const lc_typespace *ts, input *in,
                       value *out)
{
    size_t have = (size_t)(in->end - in->at), size = 0, walked = 0;
    uint8_t *exact = lc_alloc(have ? have : 1);
    if (have) memcpy(exact, in->at, have);
    lc_error e1 = LC_ERROR_INIT, e2 = LC_ERROR_INIT;
    lc_status by_layout = lc_layout_validate(l, LC_SPAN(exact, have), &size, &e1);
    lc_status by_walk = lc_bsatn_validate(t, ts, LC_SPAN(exact, have), &walked, &e2);
    /* Values without bytes are counted one by one or run by run: at the limit they may differ. */
    bool is_at_limit = by_layout == LC_OK && by_walk == LC_E_LIMIT;
    if ((by_layout == LC_OK) != (by_walk == LC_OK) && !is_at_limit)
        LC_BUG("layout and walk disagree");
    lc_error_clear(&e1);
    lc_error_clear(&e2);
    lc_free(exact);
    if (by_layout != LC_OK || is_at_limit) return false;
    if (size != walked || size > have) LC_BUG("layout and walk end elsewhere");
    out->size = size;
    out->bytes = lc_alloc(size ? size : 1);
    if (size) memcpy(out->bytes, in->at, size);
    in->at += size;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input in = {data, data + size, 0, 0};
    lc_arena a = LC_ARENA_INIT;
    const lc_type *types[MAX_TYPES] = {0};
    uint32_t count = take(&in) % (MAX_TYPES + 1);
    in.refs = count;
    for (uint32_t i = 0; i < count; i++) types[i] = make_type(&a, &in, 3);
    lc_typespace ts = {types, count};
    for (uint32_t i = 0; i < count; i++)
        if (!lc_type_resolve(&ts, types[i])) types[i] = lc_type_unit(); /* refused in definitions */
    const lc_type *t = make_members(&a, &in, 5, take(&in) % MAX_MEMBERS, false);
    lc_layout *l = lc_layout_create(t, &ts);
    value v, w;
    if (read_value(l, t, &ts, &in, &v)) {
        look(l, t, &ts, &v);
        const lc_type *inlined;
        lc_error err = LC_ERROR_INIT;
        bool has_no_circle = lc_type_inline(&a, &ts, t, &inlined, &err) == LC_OK;
        lc_error_clear(&err);
        if (has_no_circle) {
            compare(inlined, &v, &v);
            if (read_value(l, t, &ts, &in, &w)) {
                compare(inlined, &v, &w);
                lc_free(w.bytes);
            }
        }
        lc_free(v.bytes);
    }
    lc_layout_destroy(l);
    lc_arena_deinit(&a);
    return 0;
}
