/* Rows in, over and out. */
#include "store/store_internal.h"

/* ------------------------------------------------------- one row, unchecked */

lc_row_id lc_table_put(lc_table *t, lc_span row)
{
    lc_row_id id = lc_rows_insert(&t->rows, row);
    if (LC_UNLIKELY(id == LC_NO_ROW)) return id;
    lc_tx_add(t, id, LC_TX_INSERTED, (lc_var_row){0});
    if (t->has_row_set) lc_hash_insert(&t->row_set, lc_row_tag(row), id);
    for (uint32_t i = 0; i < t->index_count; i++) lc_index_add(t->indexes[i], id, row.ptr);
    return id;
}

/* The part of a deletion that concerns the slot: indexes no longer know the row. */
static void take_slot(lc_table *t, lc_row_id id)
{
    lc_tx_entry *e = lc_tx_find(t, id);
    if (!e) {
        lc_rows_hold(&t->rows, id);
        lc_tx_add(t, id, LC_TX_DELETED, (lc_var_row){0});
    } else if (e->state == LC_TX_INSERTED) {
        e->state = LC_TX_GONE;
        t->tx.inserted--;
        lc_rows_set_touched(&t->rows, id, false);
        lc_rows_hold(&t->rows, id);
        lc_rows_free(&t->rows, id);
    } else {
        lc_tx_restore_bytes(t, e);
        e->state = LC_TX_DELETED;
        e->old = (lc_var_row){0};
        t->tx.updated--;
        t->tx.deleted++;
        lc_rows_hold(&t->rows, id);
    }
}

void lc_table_take(lc_table *t, lc_row_id id)
{
    lc_rows_expect_change(&t->rows, id);
    lc_span row = lc_rows_get(&t->rows, id);
    if (t->has_row_set) lc_hash_remove(&t->row_set, lc_row_tag(row), id);
    for (uint32_t i = 0; i < t->index_count; i++) lc_index_drop(t->indexes[i], id, row.ptr);
    take_slot(t, id);
}

/* The new bytes into the slot; the old ones to where the transaction finds them. */
static void replace_bytes(lc_table *t, lc_row_id id, lc_span row)
{
    lc_rows *rows = &t->rows;
    lc_tx_entry *e = lc_tx_find(t, id);
    lc_var_row old = {0};
    if (!rows->is_fixed) {
        old = *lc_rows_block(rows, id);
    } else if (!e) {
        old.bytes = (uint8_t *)lc_arena_copy(&t->store->arena, lc_rows_get(rows, id)).ptr;
        old.len = rows->row_size;
    }
    lc_rows_write(rows, id, row);
    if (!e) {
        lc_tx_add(t, id, LC_TX_UPDATED, old);
        return;
    }
    e->is_rewritten = true;
    if (!rows->is_fixed) lc_rows_free_block(rows, id, old);
}

void lc_table_overwrite(lc_table *t, lc_row_id id, lc_span row)
{
    lc_span old = lc_rows_get(&t->rows, id);
    bool any_moves = false;
    for (uint32_t i = 0; i < t->index_count; i++) {
        lc_index *index = t->indexes[i];
        index->is_moving = !lc_key_same_columns(index, old.ptr, row.ptr);
        if (LC_LIKELY(!index->is_moving)) continue;
        any_moves = true;
        lc_index_drop(index, id, old.ptr);
    }
    if (t->has_row_set) lc_hash_remove(&t->row_set, lc_row_tag(old), id);
    replace_bytes(t, id, row);
    if (t->has_row_set) lc_hash_insert(&t->row_set, lc_row_tag(row), id);
    if (LC_LIKELY(!any_moves)) return;
    t->tx.keys_moved |= t->identity && t->identity->is_moving;
    for (uint32_t i = 0; i < t->index_count; i++)
        if (t->indexes[i]->is_moving) lc_index_add(t->indexes[i], id, row.ptr);
}

lc_row_id lc_table_find_equal(const lc_table *t, lc_span row)
{
    const lc_rows *rows = &t->rows;
    lc_row_id id;
    if (!t->has_row_set) {
        id = lc_index_lookup_row(t->identity, row.ptr);
        return id != LC_NO_ROW && lc_span_equal(lc_rows_get(rows, id), row) ? id : LC_NO_ROW;
    }
    uint32_t tag = lc_row_tag(row), at;
    id = lc_hash_first(&t->row_set, tag, &at);
    while (id != LC_NO_ROW && !lc_span_equal(lc_rows_get(rows, id), row))
        id = lc_hash_next(&t->row_set, tag, &at);
    return id;
}

/* -------------------------------------------------------- insert and update */

static lc_errno unique_violation(const lc_index *i, lc_span row, lc_error *err)
{
    if (!err) return LC_ERRNO_UNIQUE_ALREADY_EXISTS;
    const lc_table *t = i->table;
    lc_buf columns = LC_BUF_INIT, key = LC_BUF_INIT, value = LC_BUF_INIT;
    for (uint16_t c = 0; c < i->column_count; c++) {
        lc_span name = t->columns[i->columns[c]].name;
        lc_buf_printf(&columns, "%s\"" LC_SPAN_FMT "\"", c ? ", " : "", LC_SPAN_ARG(name));
        lc_buf_put_span(&key, lc_layout_column(t->layout, row.ptr, i->columns[c]));
    }
    lc_satn_write(i->key_type, key.ptr, &value);
    lc_error_set(err, LC_E_CONFLICT,
                 "Unique constraint violation '" LC_SPAN_FMT "' in table '" LC_SPAN_FMT
                 "': column(s): '[" LC_SPAN_FMT "]' value: " LC_SPAN_FMT,
                 LC_SPAN_ARG(i->name), LC_SPAN_ARG(t->name), LC_SPAN_ARG(columns),
                 LC_SPAN_ARG(value));
    lc_buf_deinit(&columns);
    lc_buf_deinit(&key);
    lc_buf_deinit(&value);
    return LC_ERRNO_UNIQUE_ALREADY_EXISTS;
}

/* What a value takes beside its strings and arrays, which count as references, when laid out like a
 * C structure (01 section 10.3). */
typedef struct fixed_part {
    uint64_t size, align;
} fixed_part;

static uint64_t round_up(uint64_t size, uint64_t align)
{
    return (size + align - 1) / align * align;
}

static fixed_part fixed_part_of(const lc_type *t)
{
    fixed_part all = {0, 1};
    switch (t->kind) {
    case LC_TYPE_PRODUCT:
    case LC_TYPE_SUM:
        for (uint32_t m = 0; m < t->member_count; m++) {
            fixed_part p = fixed_part_of(t->members[m].type);
            if (p.align > all.align) all.align = p.align;
            if (t->kind == LC_TYPE_PRODUCT)
                all.size = round_up(all.size, p.align) + p.size;
            else if (p.size > all.size)
                all.size = p.size;
        }
        all.size = round_up(all.size, all.align);
        if (t->kind == LC_TYPE_SUM) all.size += all.align; /* the tag */
        return all;
    case LC_TYPE_STRING:
    case LC_TYPE_ARRAY:
        return (fixed_part){4, 2};
    default:
        return (fixed_part){(uint64_t)t->fixed_size, (uint64_t)t->fixed_size};
    }
}

/* A row longer than MAX_FIXED_PART must be so by its strings and arrays. */
enum { MAX_FIXED_PART = 65472 };
static lc_errno check_long_row(const lc_table *t, size_t size, lc_error *err)
{
    if (size > UINT32_MAX)
        lc_error_set(err, LC_E_LIMIT, "a row of table '" LC_SPAN_FMT "' is longer than 4 GiB",
                     LC_SPAN_ARG(t->name));
    else if (fixed_part_of(t->row_type).size > MAX_FIXED_PART)
        lc_error_set(err, LC_E_LIMIT,
                     "a row of table '" LC_SPAN_FMT "' takes more than %d bytes without its "
                     "strings and arrays",
                     LC_SPAN_ARG(t->name), MAX_FIXED_PART);
    else
        return LC_ERRNO_OK;
    return LC_ERRNO_TRAP;
}

/* Checks the bytes, cuts off what follows the row, fills in auto-increment columns. */
static lc_errno prepare(lc_table *t, lc_span *row, lc_write *out, lc_error *err)
{
    size_t size;
    LC_ASSERT(t->store->in_tx);
    if (LC_UNLIKELY(lc_layout_validate(t->layout, *row, &size, err) != LC_OK)) return LC_ERRNO_TRAP;
    if (LC_UNLIKELY(size > MAX_FIXED_PART)) {
        lc_errno e = check_long_row(t, size, err);
        if (e != LC_ERRNO_OK) return e;
    }
    row->len = size;
    *out = (lc_write){0};
    if (t->sequence_count > 0) lc_sequence_fill(t, row, &out->generated);
    return LC_ERRNO_OK;
}

lc_errno lc_table_insert(lc_table *t, lc_span row, lc_write *out, lc_error *err)
{
    lc_errno e = prepare(t, &row, out, err);
    if (LC_UNLIKELY(e != LC_ERRNO_OK)) return e;

    /* An equal row first, which in a table with unique indexes the first of them would find. */
    lc_row_id id;
    if (t->identity) {
        id = lc_index_lookup_row(t->identity, row.ptr);
        if (LC_UNLIKELY(id != LC_NO_ROW)) {
            out->row = lc_rows_get(&t->rows, id);
            return lc_span_equal(out->row, row) ? LC_ERRNO_OK
                                                : unique_violation(t->identity, row, err);
        }
        for (uint32_t i = 0; i < t->index_count; i++) {
            const lc_index *index = t->indexes[i];
            if (index->is_unique && index != t->identity &&
                lc_index_lookup_row(index, row.ptr) != LC_NO_ROW)
                return unique_violation(index, row, err);
        }
    } else {
        id = lc_table_find_equal(t, row);
        if (id != LC_NO_ROW) {
            out->row = lc_rows_get(&t->rows, id);
            return LC_ERRNO_OK;
        }
    }

    id = lc_table_put(t, row);
    if (LC_UNLIKELY(id == LC_NO_ROW)) {
        lc_error_set(err, LC_E_LIMIT, "table '" LC_SPAN_FMT "' is full", LC_SPAN_ARG(t->name));
        return LC_ERRNO_TRAP;
    }
    out->row = lc_rows_get(&t->rows, id);
    out->changed = true;
    return LC_ERRNO_OK;
}

static lc_index *find_index(const lc_table *t, uint32_t index_id)
{
    for (uint32_t i = 0; i < t->index_count; i++)
        if (t->indexes[i]->id == index_id) return t->indexes[i];
    return NULL;
}

lc_errno lc_table_update(lc_table *t, uint32_t index_id, lc_span row, lc_write *out, lc_error *err)
{
    lc_errno e = prepare(t, &row, out, err);
    if (LC_UNLIKELY(e != LC_ERRNO_OK)) return e;
    const lc_index *by = find_index(t, index_id);
    if (LC_UNLIKELY(!by)) {
        lc_error_set(err, LC_E_NOT_FOUND, "table '" LC_SPAN_FMT "' has no index %u",
                     LC_SPAN_ARG(t->name), index_id);
        return LC_ERRNO_NO_SUCH_INDEX;
    }
    if (LC_UNLIKELY(!by->is_unique)) {
        lc_error_set(err, LC_E_INVALID, "index '" LC_SPAN_FMT "' is not unique",
                     LC_SPAN_ARG(by->name));
        return LC_ERRNO_INDEX_NOT_UNIQUE;
    }
    lc_row_id id = lc_index_lookup_row(by, row.ptr);
    if (LC_UNLIKELY(id == LC_NO_ROW)) {
        lc_error_set(err, LC_E_NOT_FOUND, "no row in index '" LC_SPAN_FMT "' to update",
                     LC_SPAN_ARG(by->name));
        return LC_ERRNO_NO_SUCH_ROW;
    }
    lc_rows_expect_change(&t->rows, id);
    for (uint32_t i = 0; i < t->index_count; i++) {
        const lc_index *index = t->indexes[i];
        if (!index->is_unique || index == by) continue;
        lc_row_id other = lc_index_lookup_row(index, row.ptr);
        if (other != LC_NO_ROW && other != id) return unique_violation(index, row, err);
    }
    out->row = lc_rows_get(&t->rows, id);
    if (lc_span_equal(out->row, row)) return LC_ERRNO_OK;
    lc_table_overwrite(t, id, row);
    out->row = lc_rows_get(&t->rows, id);
    out->changed = true;
    return LC_ERRNO_OK;
}

/* ----------------------------------------------------------------- deletes */

bool lc_table_delete_row(lc_table *t, lc_span row)
{
    LC_ASSERT(t->store->in_tx);
    lc_row_id id = lc_table_find_equal(t, row);
    if (id == LC_NO_ROW) return false;
    lc_table_take(t, id);
    return true;
}

lc_errno lc_table_delete_all_by_eq(lc_table *t, lc_span relation, uint32_t *deleted, lc_error *err)
{
    LC_ASSERT(t->store->in_tx);
    *deleted = 0;
    if (relation.len < sizeof(uint32_t)) {
        lc_error_set(err, LC_E_INVALID, "a list of rows without its length");
        return LC_ERRNO_BSATN_DECODE_ERROR;
    }
    const uint32_t count = lc_load_u32(relation.ptr);
    const uint8_t *end = relation.ptr + relation.len;
    for (int is_checked = 0; is_checked < 2; is_checked++) {
        const uint8_t *at = relation.ptr + sizeof(uint32_t);
        for (uint32_t n = 0; n < count; n++) {
            size_t size;
            if (is_checked) {
                size = lc_layout_row_size(t->layout, at);
                *deleted += lc_table_delete_row(t, LC_SPAN(at, size));
            } else if (lc_layout_validate(t->layout, LC_SPAN(at, (size_t)(end - at)), &size, err) !=
                       LC_OK) {
                return LC_ERRNO_BSATN_DECODE_ERROR;
            }
            /* Rows without bytes are all the same one: a count must not keep us busy for hours. */
            if (size == 0 && n > 0) break;
            at += size;
        }
    }
    return LC_ERRNO_OK;
}

uint64_t lc_table_clear(lc_table *t)
{
    LC_ASSERT(t->store->in_tx);
    uint64_t count = t->rows.count;
    if (count == 0) return 0;
    for (uint32_t i = 0; i < t->index_count; i++) lc_index_clear(t->indexes[i]);
    lc_hash_deinit(&t->row_set);
    for (lc_row_id id = lc_rows_next(&t->rows, 0); id != LC_NO_ROW;
         id = lc_rows_next(&t->rows, id + 1))
        take_slot(t, id);
    return count;
}

enum { KEPT_PICKED = 64 * 1024 }; /* handles, between two deletions */
static uint32_t take_picked(lc_table *t)
{
    lc_row_ids *picked = &t->store->picked;
    const uint32_t count = (uint32_t)picked->len;
    for (uint32_t n = 0; n < count; n++) lc_table_take(t, picked->items[n]);
    if (picked->cap > KEPT_PICKED) lc_vec_deinit(picked);
    return count;
}

lc_errno lc_index_delete_point(lc_index *i, lc_span key, uint32_t *deleted, lc_error *err)
{
    lc_table *t = i->table;
    LC_ASSERT(t->store->in_tx);
    *deleted = 0;
    size_t size;
    lc_errno e = lc_key_validate(i, key, i->key.part_count, &size, err);
    if (e != LC_ERRNO_OK) return e;
    t->store->picked.len = 0;
    lc_index_collect_point(i, key, &t->store->picked);
    *deleted = take_picked(t);
    return LC_ERRNO_OK;
}

lc_errno lc_index_delete_range(lc_index *i, const lc_range *range, uint32_t *deleted, lc_error *err)
{
    lc_table *t = i->table;
    LC_ASSERT(t->store->in_tx);
    *deleted = 0;
    lc_errno e = lc_index_check_ordered(i, err);
    if (e != LC_ERRNO_OK) return e;
    t->store->picked.len = 0;
    lc_index_collect_range(i, range, &t->store->picked);
    *deleted = take_picked(t);
    return LC_ERRNO_OK;
}
