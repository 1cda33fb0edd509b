/* After a commit: from changed rows to queries, from queries to clients. O(rows x templates +
 * matches + clients told); nothing is allocated per query or client once the scratch vectors have
 * grown. */
#include "live/live_internal.h"

typedef struct publication {
    lc_live *live;
    live_query *affected; /* in the order they were met */
    live_query **last;
    lc_live_client *clients;
} publication;

static void affect(publication *p, live_query *q)
{
    if (q->is_affected) return;
    q->is_affected = true;
    q->insert_count = q->delete_count = 0;
    q->next_affected = NULL;
    *p->last = q;
    p->last = &q->next_affected;
}

static void match(publication *p, live_query *q, lc_span row, bool is_delete)
{
    affect(p, q);
    if (is_delete)
        q->delete_count++;
    else
        q->insert_count++;
    lc_vec_push(&p->live->matches, ((live_match){q, row, is_delete}));
}

/* ------------------------------------------------------------- rows -> queries */

static void match_column(publication *p, const live_table *w, const live_column *c, lc_span row,
                         bool is_delete)
{
    live_query *q;
    if (c->is_small) {
        const uint8_t *at =
            LC_LIKELY(c->offset >= 0)
                ? row.ptr + c->offset
                : lc_layout_column(lc_table_layout(w->table), row.ptr, c->column).ptr;
        uint64_t key = 0;
        memcpy(&key, at, c->size);
        q = lc_u64map_get(&c->small, key);
    } else {
        q = lc_map_get(&c->large, lc_layout_column(lc_table_layout(w->table), row.ptr, c->column));
    }
    for (; q; q = q->next_equal)
        if (q->is_only_equal || lc_plan_matches(q->public.plan, row.ptr))
            match(p, q, row, is_delete);
}

static void match_rows(publication *p, live_table *w, const lc_span *rows, uint32_t count,
                       bool is_delete)
{
    LC_VEC_EACH (c, &w->columns)
        for (uint32_t i = 0; i < count; i++) match_column(p, w, *c, rows[i], is_delete);
    LC_VEC_EACH (it, &w->each)
        for (uint32_t i = 0; i < count; i++)
            if (lc_plan_matches((*it)->public.plan, rows[i].ptr)) match(p, *it, rows[i], is_delete);
}

static void match_table(publication *p, const lc_table_delta *d)
{
    live_table *w = lc_u64map_get(&p->live->tables, (uint64_t)d->table_id + 1);
    if (!w) return;
    /* whole-table queries take the delta's own arrays */
    LC_VEC_EACH (it, &w->whole) {
        live_query *q = *it;
        if (d->insert_count + d->delete_count == 0) break;
        affect(p, q);
        q->change = (lc_live_change){.query = &q->public,
                                     .inserts = d->inserts,
                                     .insert_count = d->insert_count,
                                     .deletes = d->deletes,
                                     .delete_count = d->delete_count};
    }
    match_rows(p, w, d->inserts, d->insert_count, false);
    match_rows(p, w, d->deletes, d->delete_count, true);
}

/* Gives every query that was matched row by row its part of one array of spans. */
static void lay_out_changes(publication *p)
{
    lc_live *l = p->live;
    if (l->spans.cap < l->matches.len)
        lc_vec_grow((void **)&l->spans.items, &l->spans.cap, l->matches.len,
                    sizeof *l->spans.items);
    lc_span *at = l->spans.items;
    for (live_query *q = p->affected; q; q = q->next_affected) {
        if (q->route == LIVE_WHOLE) continue;
        q->change =
            (lc_live_change){.query = &q->public, .inserts = at, .deletes = at + q->insert_count};
        at += q->insert_count + q->delete_count;
    }
    LC_VEC_EACH (m, &l->matches) {
        lc_live_change *c = &m->query->change;
        if (m->is_delete)
            ((lc_span *)c->deletes)[c->delete_count++] = m->row;
        else
            ((lc_span *)c->inserts)[c->insert_count++] = m->row;
    }
    l->matches.len = 0;
}

/* ---------------------------------------------------------- queries -> clients */

static void hand_to_clients(publication *p, live_query *q)
{
    for (live_use *u = q->uses; u; u = u->next) {
        lc_live_client *c = u->client;
        if (c->item_count++ == 0) {
            c->last_item = &c->items;
            c->next_affected = p->clients;
            p->clients = c;
        }
        u->next_item = NULL;
        *c->last_item = u;
        c->last_item = &u->next_item;
    }
}

/* By set, then table name, then order of the query strings. */
static int by_set_table_order(const live_use *a, const live_use *b)
{
    if (a->set_id != b->set_id) return a->set_id < b->set_id ? -1 : 1;
    const lc_live_query *qa = &a->query->public, *qb = &b->query->public;
    if (qa->table != qb->table) {
        int c = lc_span_compare(qa->table_name, qb->table_name);
        if (c) return c;
    }
    return a->order < b->order ? -1 : a->order > b->order;
}

/* Merge sort of a list: stable, no memory. */
static live_use *sort_uses(live_use *list, uint32_t count)
{
    if (count < 2) {
        if (list) list->next_item = NULL;
        return list;
    }
    live_use *right = list;
    for (uint32_t i = 0; i < count / 2; i++) right = right->next_item;
    right = sort_uses(right, count - count / 2);
    live_use *left = sort_uses(list, count / 2);
    live_use *head = NULL, **last = &head;
    while (left && right) {
        live_use **from = by_set_table_order(right, left) < 0 ? &right : &left;
        *last = *from;
        last = &(*from)->next_item;
        *from = *last;
    }
    *last = left ? left : right;
    return head;
}

static void tell(publication *p, lc_live_client *c, lc_live_each each, void *arg)
{
    lc_live *l = p->live;
    uint32_t count = c->item_count;
    c->item_count = 0;
    if (l->items.cap < count)
        lc_vec_grow((void **)&l->items.items, &l->items.cap, count, sizeof *l->items.items);
    uint32_t i = 0;
    for (live_use *u = sort_uses(c->items, count); u; u = u->next_item)
        l->items.items[i++] = (lc_live_item){.set_id = u->set_id, .change = &u->query->change};
    c->items = NULL;
    each(arg, c, l->items.items, count);
}

void lc_live_publish(lc_live *l, const lc_delta *delta, lc_live_each each, void *arg)
{
    publication p = {.live = l};
    p.last = &p.affected;
    for (uint32_t i = 0; i < delta->table_count; i++) match_table(&p, &delta->tables[i]);
    if (!p.affected) return;
    lay_out_changes(&p);
    l->serial++;
    for (live_query *q = p.affected; q; q = q->next_affected) {
        q->is_affected = false;
        q->change.serial = l->serial;
        hand_to_clients(&p, q);
    }
    for (lc_live_client *c = p.clients; c;) {
        lc_live_client *following = c->next_affected;
        tell(&p, c, each, arg);
        c = following;
    }
}
