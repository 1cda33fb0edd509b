/* The net change of a transaction, and its form in the log. */
#include "store/store_internal.h"

#include <stdlib.h>

static int by_table_id(const void *a, const void *b)
{
    uint32_t x = (*(lc_table *const *)a)->id, y = (*(lc_table *const *)b)->id;
    return x < y ? -1 : x > y;
}

/* Removes pairs of one inserted and one deleted row with the same bytes. Both lists keep their
 * order. Neither list holds two equal rows, since tables are sets. */
static void cancel_equal(lc_table_delta *d, lc_span *inserts, lc_span *deletes)
{
    lc_hash deleted = {.heap = &d->table->store->heap};
    lc_hash_reserve(&deleted, d->delete_count);
    for (uint32_t n = 0; n < d->delete_count; n++)
        lc_hash_insert(&deleted, lc_row_tag(deletes[n]), n);

    uint32_t kept = 0, cancelled = 0;
    for (uint32_t i = 0; i < d->insert_count; i++) {
        uint32_t tag = lc_row_tag(inserts[i]), at;
        uint32_t n = lc_hash_first(&deleted, tag, &at);
        while (n != LC_NO_ROW && !lc_span_equal(deletes[n], inserts[i]))
            n = lc_hash_next(&deleted, tag, &at);
        if (n == LC_NO_ROW) {
            inserts[kept++] = inserts[i];
        } else {
            lc_hash_remove(&deleted, tag, n);
            deletes[n].len = SIZE_MAX;
            cancelled++;
        }
    }
    d->insert_count = kept;
    lc_hash_deinit(&deleted);
    if (cancelled == 0) return;
    kept = 0;
    for (uint32_t n = 0; n < d->delete_count; n++)
        if (deletes[n].len != SIZE_MAX) deletes[kept++] = deletes[n];
    d->delete_count = kept;
}

static lc_table_delta delta_of_table(lc_store *s, lc_table *t)
{
    lc_tx_rows *tx = &t->tx;
    lc_span *inserts = lc_arena_alloc(&s->arena, (tx->inserted + tx->updated) * sizeof *inserts);
    lc_span *deletes = lc_arena_alloc(&s->arena, (tx->deleted + tx->updated) * sizeof *deletes);
    lc_table_delta d = {.table = t, .table_id = t->id, .inserts = inserts, .deletes = deletes};
    LC_VEC_EACH (e, &tx->entries) {
        if (e->state == LC_TX_GONE) continue;
        lc_span now = lc_rows_get(&t->rows, e->row);
        if (e->state == LC_TX_UPDATED) {
            lc_span old = LC_SPAN(e->old.bytes, e->old.len);
            if (e->is_rewritten && lc_span_equal(old, now)) continue;
            inserts[d.insert_count++] = now;
            deletes[d.delete_count++] = old;
        } else if (e->state == LC_TX_INSERTED) {
            inserts[d.insert_count++] = now;
        } else {
            deletes[d.delete_count++] = now;
        }
    }
    /* An update that left alone what tells rows apart cannot meet another row's bytes. */
    if (d.delete_count > 0 && d.insert_count > 0 &&
        (tx->keys_moved || (tx->inserted > 0 && tx->deleted > 0)))
        cancel_equal(&d, inserts, deletes);
    d.is_truncate = d.delete_count > 0 && d.insert_count == 0 && t->rows.count == 0;
    return d;
}

void lc_delta_build(lc_store *s)
{
    if (s->touched.len > 1)
        qsort(s->touched.items, s->touched.len, sizeof *s->touched.items, by_table_id);
    lc_table_delta *tables = lc_arena_alloc(&s->arena, s->touched.len * sizeof *tables);
    s->delta = (lc_delta){.tables = tables};
    LC_VEC_EACH (t, &s->touched) {
        lc_table_delta d = delta_of_table(s, *t);
        if (d.insert_count == 0 && d.delete_count == 0) continue;
        tables[s->delta.table_count++] = d;
        s->delta.is_logged |= !(*t)->is_ephemeral;
    }
}

/* -------------------------------------------------------------- log record */

static void put_varint(lc_buf *out, uint64_t v)
{
    for (; v >= 0x80; v >>= 7) lc_buf_put_u8(out, (uint8_t)(v | 0x80));
    lc_buf_put_u8(out, (uint8_t)v);
}

static void put_rows(lc_buf *out, uint32_t table_id, const lc_span *rows, uint32_t count)
{
    lc_buf_put_u32(out, table_id);
    put_varint(out, count);
    for (uint32_t i = 0; i < count; i++) lc_buf_put_span(out, rows[i]);
}

void lc_delta_encode(const lc_delta *d, lc_buf *out)
{
    uint32_t inserts = 0, deletes = 0, truncates = 0;
    const lc_table_delta *end = d->tables + d->table_count;
    for (const lc_table_delta *t = d->tables; t < end; t++) {
        if (t->table->is_ephemeral) continue;
        inserts += t->insert_count > 0;
        deletes += t->delete_count > 0 && !t->is_truncate;
        truncates += t->is_truncate;
    }
    put_varint(out, inserts);
    for (const lc_table_delta *t = d->tables; t < end; t++)
        if (!t->table->is_ephemeral && t->insert_count > 0)
            put_rows(out, t->table_id, t->inserts, t->insert_count);
    put_varint(out, deletes);
    for (const lc_table_delta *t = d->tables; t < end; t++)
        if (!t->table->is_ephemeral && t->delete_count > 0 && !t->is_truncate)
            put_rows(out, t->table_id, t->deletes, t->delete_count);
    put_varint(out, truncates);
    for (const lc_table_delta *t = d->tables; t < end; t++)
        if (!t->table->is_ephemeral && t->is_truncate) lc_buf_put_u32(out, t->table_id);
}
