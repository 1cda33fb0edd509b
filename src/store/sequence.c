/* Auto-increment columns. Values are handed out from blocks whose end is stored before their first
 * value is used, so that a number is never given twice, whatever happens in between. */
#include "store/store_internal.h"

enum { BLOCK = 4096 };

bool lc_sequence_is_sane(const lc_sequence *q)
{
    return q->increment != 0 && q->min <= q->max;
}

/* One step on, wrapping round at the ends. */
static lc_int128 step(const lc_sequence *q, lc_int128 value)
{
    lc_int128 next;
    bool is_out = __builtin_add_overflow(value, q->increment, &next);
    lc_uint128 range = (lc_uint128)q->max - (lc_uint128)q->min + 1; /* 0 = all of 2^128 */
    lc_uint128 beyond;
    if (q->increment > 0) {
        if (!is_out && next <= q->max) return next;
        beyond = (lc_uint128)next - (lc_uint128)q->max - 1;
        return (lc_int128)((lc_uint128)q->min + (range ? beyond % range : beyond));
    }
    if (!is_out && next >= q->min) return next;
    beyond = (lc_uint128)q->min - (lc_uint128)next - 1;
    return (lc_int128)((lc_uint128)q->max - (range ? beyond % range : beyond));
}

/* Moves the end of what may be handed out; a block never comes back to where it began. */
static void allocate(lc_sequence *q)
{
    lc_int128 end;
    lc_int128 way = q->increment;
    if (!__builtin_mul_overflow(way, (lc_int128)BLOCK, &way) &&
        !__builtin_add_overflow(q->value, way, &end) && end <= q->max && end >= q->min) {
        q->allocated = end;
        return;
    }
    end = q->value;
    for (uint32_t n = 0; n < BLOCK; n++) {
        lc_int128 next = step(q, end);
        if (next == q->value) break;
        end = next;
    }
    q->allocated = end;
}

static void put_i128(lc_buf *out, lc_int128 v)
{
    lc_buf_put(out, &v, sizeof v);
}

lc_span lc_sequence_row(const lc_table *t, const lc_sequence *q, lc_buf *out)
{
    lc_buf_reset(out);
    lc_buf_put_u32(out, q->id);
    lc_buf_put_lenstr(out, q->name);
    lc_buf_put_u32(out, t->id);
    lc_buf_put_u16(out, q->column);
    put_i128(out, q->increment);
    put_i128(out, q->start);
    put_i128(out, q->min);
    put_i128(out, q->max);
    put_i128(out, q->allocated);
    return lc_buf_span(out);
}

/* Writes `allocated` into the st_sequence row, as part of the open transaction. Should that roll
 * back, `stored` returns to what the row then says, and the next draw writes it again. */
static void persist(lc_table *t, lc_sequence *q)
{
    lc_store *s = t->store;
    lc_table *st = s->system[LC_ST_SEQUENCE];
    lc_span row = lc_sequence_row(t, q, &s->system_row);
    lc_row_id id = lc_index_lookup_row(st->identity, row.ptr);
    lc_vec_push(&s->sequence_undo, ((lc_sequence_undo){q, q->stored}));
    q->stored = q->allocated;
    if (id != LC_NO_ROW) lc_table_overwrite(st, id, row);
}

static lc_int128 draw(lc_table *t, lc_sequence *q)
{
    if (q->value == q->allocated) allocate(q);
    lc_int128 value = q->value;
    q->value = step(q, value);
    if (LC_UNLIKELY(q->stored != q->allocated)) persist(t, q);
    return value;
}

static bool is_zero(lc_span bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        if (bytes.ptr[i] != 0) return false;
    return true;
}

void lc_sequence_fill(lc_table *t, lc_span *row, lc_span *generated)
{
    lc_store *s = t->store;
    bool is_copied = false;
    for (uint32_t n = 0; n < t->sequence_count; n++) {
        lc_sequence *q = &t->sequences[n];
        lc_span column = lc_layout_column(t->layout, row->ptr, q->column);
        if (!is_zero(column)) continue;
        if (!is_copied) {
            is_copied = true;
            size_t offset = (size_t)(column.ptr - row->ptr);
            lc_buf_reset(&s->filled);
            lc_buf_put_span(&s->filled, *row);
            lc_buf_reset(&s->generated);
            *row = lc_buf_span(&s->filled);
            column.ptr = row->ptr + offset;
        }
        lc_int128 value = draw(t, q);
        uint8_t wide[32];
        bool is_signed = t->columns[q->column].type->kind == LC_TYPE_I256;
        memset(wide, is_signed && value < 0 ? 0xff : 0, sizeof wide);
        memcpy(wide, &value, sizeof value);
        memcpy((uint8_t *)column.ptr, wide, column.len);
        lc_buf_put_span(&s->generated, column);
    }
    if (is_copied) *generated = lc_buf_span(&s->generated);
}
