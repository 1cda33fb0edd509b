/* Keys: from rows, from what callers give, and back to nothing but bytes or one number. */
#include "store/store_internal.h"

/* A product of one member has that member's bytes and order. */
static const lc_type *unwrap(const lc_type *t)
{
    while (t->kind == LC_TYPE_PRODUCT && t->member_count == 1) t = t->members[0].type;
    return t;
}

/* Bytes of a type whose values are ordered as little-endian integers, else 0. */
static uint8_t int_width(const lc_type *t, uint64_t *flip)
{
    *flip = 0;
    switch (t->kind) {
    case LC_TYPE_BOOL:
    case LC_TYPE_U8:
        return 1;
    case LC_TYPE_U16:
        return 2;
    case LC_TYPE_U32:
        return 4;
    case LC_TYPE_U64:
        return 8;
    case LC_TYPE_I8:
        *flip = UINT64_C(1) << 7;
        return 1;
    case LC_TYPE_I16:
        *flip = UINT64_C(1) << 15;
        return 2;
    case LC_TYPE_I32:
        *flip = UINT64_C(1) << 31;
        return 4;
    case LC_TYPE_I64:
        *flip = UINT64_C(1) << 63;
        return 8;
    case LC_TYPE_SUM:
        return lc_type_is_plain_enum(t) ? 1 : 0;
    default:
        return 0;
    }
}

/* Most bytes a value of the type takes; SIZE_MAX when there is no such number, or when it has a
 * float and must not. */
static size_t widest_value(const lc_type *t, bool allows_floats)
{
    switch (t->kind) {
    case LC_TYPE_SUM:
    case LC_TYPE_PRODUCT: {
        const bool is_sum = t->kind == LC_TYPE_SUM;
        size_t all = 0;
        for (uint32_t m = 0; m < t->member_count && all != SIZE_MAX; m++) {
            size_t n = widest_value(t->members[m].type, allows_floats);
            if (n == SIZE_MAX)
                all = n;
            else if (!is_sum)
                all += n;
            else if (n > all)
                all = n;
        }
        return all == SIZE_MAX ? all : all + is_sum;
    }
    case LC_TYPE_F32:
    case LC_TYPE_F64:
        return allows_floats ? (size_t)t->fixed_size : SIZE_MAX;
    default:
        return t->fixed_size < 0 ? SIZE_MAX : (size_t)t->fixed_size;
    }
}

/* Composite keys of small and limited size must be given with nothing behind them (02 section
 * 1.9). */
static bool is_exact(const lc_index *i)
{
    enum { WIDEST = 128 };
    const lc_type *t = i->key_type;
    return i->algorithm != LC_INDEX_DIRECT &&
           (t->kind == LC_TYPE_PRODUCT || t->kind == LC_TYPE_SUM) &&
           widest_value(t, i->algorithm == LC_INDEX_HASH) <= WIDEST;
}

void lc_key_shape_init(lc_index *i)
{
    lc_table *t = i->table;
    lc_key_shape *k = &i->key;
    *k = (lc_key_shape){.offset = -1, .is_raw = i->algorithm == LC_INDEX_HASH};

    const lc_type *only = i->column_count == 1 ? t->columns[i->columns[0]].type : NULL;
    if (only && only->kind == LC_TYPE_PRODUCT) {
        k->part_count = only->member_count;
        k->parts = lc_arena_alloc(&t->arena, (k->part_count + 1) * sizeof *k->parts);
        for (uint32_t p = 0; p < k->part_count; p++) k->parts[p] = only->members[p].type;
    } else {
        k->part_count = i->column_count;
        k->parts = lc_arena_alloc(&t->arena, (k->part_count + 1) * sizeof *k->parts);
        for (uint32_t p = 0; p < k->part_count; p++) k->parts[p] = t->columns[i->columns[p]].type;
    }

    for (uint32_t p = 0; p < k->part_count; p++) {
        int32_t size = lc_type_key_size(k->parts[p]);
        k->size = k->size < 0 || size < 0 ? -1 : k->size + size;
        k->is_raw &= k->parts[p]->bitwise_equal;
    }
    k->is_contiguous = i->column_count > 0;
    for (uint16_t c = 1; c < i->column_count; c++)
        k->is_contiguous &= i->columns[c] == i->columns[c - 1] + 1;
    if (i->column_count > 0) k->offset = lc_layout_column_offset(t->layout, i->columns[0]);

    if (only) {
        k->width = int_width(unwrap(only), &k->flip);
        k->is_free = lc_type_is_integer(unwrap(only));
    }
    if (k->width > 0)
        k->form = LC_KEY_INT;
    else if (k->size >= 0 && k->size <= 8)
        k->form = LC_KEY_WORD;
    else
        k->form = LC_KEY_LONG;

    if (only) {
        i->key_type = only;
    } else {
        lc_type_member *members = lc_arena_alloc(&t->arena, (k->part_count + 1) * sizeof *members);
        for (uint32_t p = 0; p < k->part_count; p++)
            members[p] = (lc_type_member){LC_SPAN_EMPTY, k->parts[p]};
        i->key_type = lc_type_new_product(&t->arena, members, k->part_count);
    }
    k->is_exact = is_exact(i);
}

static const uint8_t *first_column(const lc_index *i, const uint8_t *row)
{
    if (LC_LIKELY(i->key.offset >= 0)) return row + i->key.offset;
    return lc_layout_column(i->table->layout, row, i->columns[0]).ptr;
}

void lc_key_normalise(const lc_index *i, const uint8_t *key, uint32_t count, lc_buf *out)
{
    for (uint32_t p = 0; p < count; p++) key += lc_value_key(i->key.parts[p], key, out);
}

/* Normalised key of a row: column by column, which for one column of a product is part by part. */
static void normalise_row(const lc_index *i, const uint8_t *row, lc_buf *out)
{
    lc_buf_reset(out);
    if (i->column_count == 1) {
        lc_key_normalise(i, first_column(i, row), i->key.part_count, out);
        return;
    }
    for (uint16_t c = 0; c < i->column_count; c++)
        lc_value_key(i->key.parts[c], lc_layout_column(i->table->layout, row, i->columns[c]).ptr,
                     out);
}

static uint64_t word_of_bytes(lc_span bytes)
{
    uint64_t word = 0;
    if (bytes.len) memcpy(&word, bytes.ptr, bytes.len);
    return __builtin_bswap64(word);
}

uint64_t lc_key_word_of_row(const lc_index *i, const uint8_t *row)
{
    if (LC_LIKELY(i->key.form == LC_KEY_INT)) return lc_key_int(&i->key, first_column(i, row));
    lc_buf *scratch = &i->table->store->row_key;
    normalise_row(i, row, scratch);
    return word_of_bytes(lc_buf_span(scratch));
}

uint64_t lc_key_word(const lc_index *i, const uint8_t *key)
{
    if (LC_LIKELY(i->key.form == LC_KEY_INT)) return lc_key_int(&i->key, key);
    lc_buf *scratch = &i->table->store->probe_key;
    lc_buf_reset(scratch);
    lc_key_normalise(i, key, i->key.part_count, scratch);
    return word_of_bytes(lc_buf_span(scratch));
}

lc_span lc_key_bytes_of_row(const lc_index *i, const uint8_t *row, lc_buf *scratch)
{
    if (!i->key.is_raw) {
        normalise_row(i, row, scratch);
        return lc_buf_span(scratch);
    }
    const lc_layout *l = i->table->layout;
    if (i->key.is_contiguous) {
        lc_span first = lc_layout_column(l, row, i->columns[0]);
        if (i->column_count == 1) return first;
        lc_span last = lc_layout_column(l, row, i->columns[i->column_count - 1]);
        return LC_SPAN(first.ptr, (size_t)(last.ptr + last.len - first.ptr));
    }
    lc_buf_reset(scratch);
    for (uint16_t c = 0; c < i->column_count; c++)
        lc_buf_put_span(scratch, lc_layout_column(l, row, i->columns[c]));
    return lc_buf_span(scratch);
}

lc_span lc_key_bytes(const lc_index *i, lc_span key, lc_buf *scratch)
{
    if (i->key.is_raw) {
        const uint8_t *end = key.ptr;
        for (uint32_t p = 0; p < i->key.part_count; p++)
            end += lc_bsatn_size(i->key.parts[p], NULL, end);
        return LC_SPAN(key.ptr, (size_t)(end - key.ptr));
    }
    lc_buf_reset(scratch);
    lc_key_normalise(i, key.ptr, i->key.part_count, scratch);
    return lc_buf_span(scratch);
}

bool lc_key_same_columns(const lc_index *i, const uint8_t *a, const uint8_t *b)
{
    const lc_layout *l = i->table->layout;
    if (i->key.form == LC_KEY_INT)
        return lc_key_int(&i->key, first_column(i, a)) == lc_key_int(&i->key, first_column(i, b));
    for (uint16_t c = 0; c < i->column_count; c++) {
        if (!lc_span_equal(lc_layout_column(l, a, i->columns[c]),
                           lc_layout_column(l, b, i->columns[c])))
            return false;
    }
    return true;
}

lc_errno lc_key_validate(const lc_index *i, lc_span in, uint32_t parts, size_t *size, lc_error *err)
{
    const lc_key_shape *k = &i->key;
    if (k->form == LC_KEY_INT && k->is_free &&
        (in.len == k->width || (in.len > k->width && !k->is_exact))) {
        *size = k->width;
        return LC_ERRNO_OK;
    }
    *size = 0;
    for (uint32_t p = 0; p < parts; p++) {
        size_t n;
        if (lc_bsatn_validate(k->parts[p], NULL, LC_SPAN(in.ptr + *size, in.len - *size), &n,
                              err) != LC_OK)
            return LC_ERRNO_BSATN_DECODE_ERROR;
        *size += n;
    }
    return k->is_exact && in.len > *size ? lc_key_too_long(i, err) : LC_ERRNO_OK;
}

lc_errno lc_key_too_long(const lc_index *i, lc_error *err)
{
    lc_error_set(err, LC_E_INVALID, "bytes behind a key of index '" LC_SPAN_FMT "'",
                 LC_SPAN_ARG(i->name));
    return LC_ERRNO_BSATN_DECODE_ERROR;
}
