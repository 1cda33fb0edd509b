#include "sim_model.h"

/* -------------------------------------------------------------------- sets */

static uint32_t hash_of(lc_span row)
{
    return lc_crc32c((uint32_t)row.len, row.ptr, row.len);
}

static lc_span copy_of(lc_span row)
{
    return LC_SPAN(lc_memdup(row.ptr, row.len), row.len);
}

/* Where the row is, or the free slot where it would go. */
static size_t probe(const sim_rows *s, lc_span row, uint32_t hash)
{
    size_t i = hash & (s->cap - 1);
    while (s->slots[i].bytes.ptr &&
           (s->slots[i].hash != hash || !lc_span_equal(s->slots[i].bytes, row)))
        i = (i + 1) & (s->cap - 1);
    return i;
}

static void grow(sim_rows *s)
{
    sim_rows old = *s;
    s->cap = old.cap ? old.cap * 2 : 16;
    s->slots = lc_alloc_zero(s->cap * sizeof *s->slots);
    for (size_t i = 0; i < old.cap; i++)
        if (old.slots[i].bytes.ptr)
            s->slots[probe(s, old.slots[i].bytes, old.slots[i].hash)] = old.slots[i];
    lc_free(old.slots);
}

void sim_rows_deinit(sim_rows *s)
{
    for (size_t i = 0; i < s->cap; i++) lc_free((void *)s->slots[i].bytes.ptr);
    lc_free(s->slots);
    *s = (sim_rows){0};
}

bool sim_rows_add(sim_rows *s, lc_span row)
{
    if (s->len * 2 >= s->cap) grow(s);
    uint32_t hash = hash_of(row);
    sim_row *slot = &s->slots[probe(s, row, hash)];
    if (slot->bytes.ptr) return false;
    *slot = (sim_row){hash, 0, copy_of(row)};
    s->len++;
    return true;
}

sim_row *sim_rows_find(const sim_rows *s, lc_span row)
{
    if (s->cap == 0) return NULL;
    sim_row *slot = &s->slots[probe(s, row, hash_of(row))];
    return slot->bytes.ptr ? slot : NULL;
}

bool sim_rows_remove(sim_rows *s, lc_span row)
{
    sim_row *found = sim_rows_find(s, row);
    if (!found) return false;
    lc_free((void *)found->bytes.ptr);
    size_t hole = (size_t)(found - s->slots), mask = s->cap - 1;
    for (size_t i = (hole + 1) & mask; s->slots[i].bytes.ptr; i = (i + 1) & mask) {
        size_t home = s->slots[i].hash & mask;
        if (((i - home) & mask) < ((i - hole) & mask)) continue;
        s->slots[hole] = s->slots[i];
        hole = i;
    }
    s->slots[hole] = (sim_row){0};
    s->len--;
    return true;
}

lc_span sim_rows_pick(const sim_rows *s, sim_random *r)
{
    size_t i = sim_next(r) & (s->cap - 1);
    while (!s->slots[i].bytes.ptr) i = (i + 1) & (s->cap - 1);
    return s->slots[i].bytes;
}

/* ------------------------------------------------------------------- model */

static sim_rows *rows_of(sim_model *m, uint32_t id)
{
    size_t n = m->tables.len;
    while (n > 0 && m->tables.items[n - 1]->id > id) n--;
    if (n > 0 && m->tables.items[n - 1]->id == id) return &m->tables.items[n - 1]->rows;
    sim_table_rows *t = lc_alloc_zero(sizeof *t);
    t->id = id;
    lc_vec_push(&m->tables, t);
    memmove(m->tables.items + n + 1, m->tables.items + n,
            (m->tables.len - 1 - n) * sizeof *m->tables.items);
    m->tables.items[n] = t;
    return &t->rows;
}

const sim_rows *sim_model_rows(sim_model *m, uint32_t table)
{
    return rows_of(m, table);
}

static bool add_visit(void *arg, lc_span row)
{
    sim_rows_add(arg, row);
    return true;
}

void sim_model_init(sim_model *m)
{
    *m = (sim_model){0};
    lc_store *empty = lc_store_create();
    uint32_t at = 0;
    for (lc_table *t; (t = lc_store_next_table(empty, &at));)
        lc_table_scan(t, add_visit, rows_of(m, lc_table_id(t)));
    lc_store_destroy(empty);
}

static void tx_deinit(sim_tx *tx)
{
    LC_VEC_EACH (c, &tx->changes) lc_free((void *)c->row.ptr);
    lc_vec_deinit(&tx->changes);
    lc_vec_deinit(&tx->draws);
}

void sim_model_deinit(sim_model *m)
{
    LC_VEC_EACH (t, &m->tables) {
        sim_rows_deinit(&(*t)->rows);
        lc_free(*t);
    }
    LC_VEC_EACH (tx, &m->history) tx_deinit(tx);
    lc_vec_deinit(&m->tables);
    lc_vec_deinit(&m->history);
    sim_rows_deinit(&m->drawn);
}

static lc_span draw_span(const sim_draw *d)
{
    return LC_SPAN(d, sizeof *d);
}

bool sim_model_has_draw(const sim_model *m, const sim_draw *d)
{
    return sim_rows_find(&m->drawn, draw_span(d)) != NULL;
}

/* Applies a transaction, or takes it back. */
static void apply(sim_model *m, const sim_tx *tx, bool is_forward)
{
    LC_VEC_EACH (c, &tx->changes) {
        sim_rows *rows = rows_of(m, c->table);
        bool fits =
            c->is_insert == is_forward ? sim_rows_add(rows, c->row) : sim_rows_remove(rows, c->row);
        SIM_CHECK(fits, "the delta of a transaction %s a row of table %u that %s",
                  c->is_insert ? "inserts" : "deletes", c->table,
                  c->is_insert ? "was there already" : "was not there");
    }
}

void sim_model_append(sim_model *m, const lc_delta *delta, const sim_draws *draws, int64_t when)
{
    LC_ASSERT(m->at == m->history.len);
    sim_tx tx = {.when = when};
    for (uint32_t i = 0; i < delta->table_count; i++) {
        const lc_table_delta *d = &delta->tables[i];
        if (lc_table_is_event(d->table)) continue;
        for (uint32_t n = 0; n < d->delete_count; n++)
            lc_vec_push(&tx.changes,
                        ((sim_row_change){d->table_id, false, copy_of(d->deletes[n])}));
        for (uint32_t n = 0; n < d->insert_count; n++)
            lc_vec_push(&tx.changes, ((sim_row_change){d->table_id, true, copy_of(d->inserts[n])}));
    }
    LC_VEC_EACH (d, draws) {
        lc_vec_push(&tx.draws, *d);
        sim_rows_add(&m->drawn, draw_span(d));
    }
    apply(m, &tx, true);
    lc_vec_push(&m->history, tx);
    m->at++;
}

void sim_model_move(sim_model *m, uint64_t count)
{
    LC_ASSERT(count <= m->history.len);
    while (m->at < count) apply(m, &m->history.items[m->at++], true);
    while (m->at > count) apply(m, &m->history.items[--m->at], false);
}

void sim_model_cut(sim_model *m, uint64_t count)
{
    sim_model_move(m, count);
    while (m->history.len > count) {
        sim_tx *tx = &m->history.items[--m->history.len];
        LC_VEC_EACH (d, &tx->draws) sim_rows_remove(&m->drawn, draw_span(d));
        tx_deinit(tx);
    }
}
