/* Transactions: which rows were touched, and how to go back. */
#include "store/store_internal.h"

enum {
    LINEAR_ENTRIES = 8,       /* up to so many entries are searched one by one */
    KEPT_ENTRIES = 16 * 1024, /* capacity that survives a transaction */
};

static uint32_t entry_tag(lc_row_id id)
{
    return (uint32_t)(lc_hash_u64(id) >> 32);
}

static lc_tx_entry *find_indexed(lc_tx_rows *tx, lc_row_id id)
{
    for (; tx->indexed < tx->entries.len; tx->indexed++) {
        const lc_tx_entry *e = &tx->entries.items[tx->indexed];
        if (e->state != LC_TX_GONE) lc_hash_insert(&tx->by_row, entry_tag(e->row), tx->indexed);
    }
    uint32_t tag = entry_tag(id), at;
    for (uint32_t n = lc_hash_first(&tx->by_row, tag, &at); n != LC_NO_ROW;
         n = lc_hash_next(&tx->by_row, tag, &at)) {
        lc_tx_entry *e = &tx->entries.items[n];
        if (e->row == id && e->state != LC_TX_GONE) return e;
    }
    LC_BUG("a touched row has no entry");
}

bool lc_tx_has_rows(const lc_table *t)
{
    return t->store->in_tx && (t->tx.inserted > 0 || t->tx.updated > 0);
}

lc_tx_entry *lc_tx_find(lc_table *t, lc_row_id id)
{
    if (LC_LIKELY(!lc_rows_is_touched(&t->rows, id))) return NULL;
    lc_tx_rows *tx = &t->tx;
    if (tx->entries.len <= LINEAR_ENTRIES) {
        LC_VEC_EACH (e, &tx->entries) {
            if (e->row == id && e->state != LC_TX_GONE) return e;
        }
    }
    return find_indexed(tx, id);
}

void lc_tx_add(lc_table *t, lc_row_id id, lc_tx_state state, lc_var_row old)
{
    lc_tx_rows *tx = &t->tx;
    if (!tx->is_listed) {
        tx->is_listed = true;
        lc_vec_push(&t->store->touched, t);
    }
    lc_rows_set_touched(&t->rows, id, true);
    lc_vec_push(&tx->entries, ((lc_tx_entry){.old = old, .row = id, .state = (uint8_t)state}));
    tx->inserted += state == LC_TX_INSERTED;
    tx->updated += state == LC_TX_UPDATED;
    tx->deleted += state == LC_TX_DELETED;
}

static void forget_entries(lc_table *t)
{
    lc_tx_rows *tx = &t->tx;
    if (tx->entries.cap > KEPT_ENTRIES) lc_vec_deinit(&tx->entries);
    tx->entries.len = 0;
    lc_hash_clear(&tx->by_row);
    tx->indexed = 0;
    tx->inserted = tx->updated = tx->deleted = 0;
    tx->keys_moved = tx->is_listed = false;
}

void lc_tx_restore_bytes(lc_table *t, const lc_tx_entry *e)
{
    lc_rows *rows = &t->rows;
    if (rows->is_fixed) {
        memcpy(lc_rows_slot(rows, e->row), e->old.bytes, rows->row_size);
    } else {
        lc_var_row *v = lc_rows_block(rows, e->row);
        lc_rows_free_block(rows, e->row, *v);
        *v = e->old;
    }
}

/* ------------------------------------------------------------- life of one */

void lc_store_begin(lc_store *s)
{
    LC_ASSERT(!s->in_tx);
    lc_store_release(s);
    s->in_tx = true;
}

bool lc_store_in_tx(const lc_store *s)
{
    return s->in_tx;
}

/* An event table's rows end with the transaction. Their bytes stay until release. */
static void retire_events(lc_table *t)
{
    LC_VEC_EACH (e, &t->tx.entries) {
        if (e->state != LC_TX_INSERTED) continue;
        lc_rows_hold(&t->rows, e->row);
    }
    for (uint32_t i = 0; i < t->index_count; i++) lc_index_clear(t->indexes[i]);
    lc_hash_deinit(&t->row_set);
}

const lc_delta *lc_store_commit(lc_store *s)
{
    LC_ASSERT(s->in_tx);
    lc_delta_build(s);
    LC_VEC_EACH (t, &s->touched) {
        if ((*t)->is_event) retire_events(*t);
    }
    s->created.len = 0;
    s->sequence_undo.len = 0;
    s->in_tx = false;
    s->has_delta = true;
    return &s->delta;
}

/* Frees what only the delta still needed. */
static void release_rows(lc_table *t)
{
    lc_rows *rows = &t->rows;
    LC_VEC_EACH (e, &t->tx.entries) {
        if (e->state == LC_TX_GONE) continue;
        lc_rows_set_touched(rows, e->row, false);
        if (e->state == LC_TX_DELETED || (e->state == LC_TX_INSERTED && t->is_event))
            lc_rows_free(rows, e->row);
        else if (e->state == LC_TX_UPDATED && !rows->is_fixed)
            lc_rows_free_block(rows, e->row, e->old);
    }
    forget_entries(t);
}

void lc_store_release(lc_store *s)
{
    if (!s->has_delta) return;
    s->has_delta = false;
    LC_VEC_EACH (t, &s->touched) {
        release_rows(*t);
    }
    s->touched.len = 0;
    s->delta = (lc_delta){0};
    lc_arena_reset(&s->arena);
    lc_freezer_tidy(&s->freezer);
}

/* ---------------------------------------------------------------- rollback */

/* Out of the indexes with everything that is there now and was not before... */
static void take_away(lc_table *t)
{
    lc_rows *rows = &t->rows;
    for (size_t n = t->tx.entries.len; n-- > 0;) {
        const lc_tx_entry *e = &t->tx.entries.items[n];
        if (e->state == LC_TX_GONE) continue;
        lc_rows_set_touched(rows, e->row, false);
        if (e->state == LC_TX_DELETED) continue;
        lc_span now = lc_rows_get(rows, e->row);
        if (t->has_row_set) lc_hash_remove(&t->row_set, lc_row_tag(now), e->row);
        for (uint32_t i = 0; i < t->index_count; i++) {
            lc_index *index = t->indexes[i];
            if (e->state == LC_TX_INSERTED || !lc_key_same_columns(index, now.ptr, e->old.bytes))
                lc_index_drop(index, e->row, now.ptr);
        }
        if (e->state == LC_TX_INSERTED) {
            lc_rows_hold(rows, e->row);
            lc_rows_free(rows, e->row);
        }
    }
}

/* ...and in with what was there before. Two rounds, because rows may have exchanged their keys. */
static void put_back(lc_table *t)
{
    lc_rows *rows = &t->rows;
    for (size_t n = t->tx.entries.len; n-- > 0;) {
        const lc_tx_entry *e = &t->tx.entries.items[n];
        if (e->state != LC_TX_UPDATED && e->state != LC_TX_DELETED) continue;
        for (uint32_t i = 0; i < t->index_count; i++) {
            lc_index *index = t->indexes[i];
            index->is_moving =
                e->state == LC_TX_DELETED ||
                !lc_key_same_columns(index, lc_rows_get(rows, e->row).ptr, e->old.bytes);
        }
        if (e->state == LC_TX_DELETED)
            lc_rows_unhold(rows, e->row);
        else
            lc_tx_restore_bytes(t, e);
        lc_span row = lc_rows_get(rows, e->row);
        if (t->has_row_set) lc_hash_insert(&t->row_set, lc_row_tag(row), e->row);
        for (uint32_t i = 0; i < t->index_count; i++)
            if (t->indexes[i]->is_moving) lc_index_add(t->indexes[i], e->row, row.ptr);
    }
}

void lc_store_rollback(lc_store *s)
{
    LC_ASSERT(s->in_tx);
    LC_VEC_EACH (t, &s->touched) {
        take_away(*t);
        put_back(*t);
        forget_entries(*t);
    }
    s->touched.len = 0;
    for (size_t n = s->sequence_undo.len; n-- > 0;) {
        const lc_sequence_undo *u = &s->sequence_undo.items[n];
        u->sequence->stored = u->stored;
    }
    s->sequence_undo.len = 0;
    for (size_t n = s->created.len; n-- > 0;) {
        lc_catalog_remove(s, s->created.items[n]);
        lc_table_destroy(s->created.items[n]);
    }
    s->created.len = 0;
    lc_arena_reset(&s->arena);
    s->in_tx = false;
}
