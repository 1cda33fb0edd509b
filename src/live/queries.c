/* The registry of live queries: one per text, visibility and (where it matters) caller; and how a
 * changed row leads to them. */
#include "live/live_internal.h"

/* --------------------------------------------------------------------- live */

lc_live *lc_live_create(lc_store *s)
{
    lc_live *l = lc_alloc_zero(sizeof *l);
    l->store = s;
    return l;
}

void lc_live_destroy(lc_live *l)
{
    if (!l) return;
    while (l->clients) lc_live_client_destroy(l->clients);
    LC_ASSERT(l->queries.len == 0);
    lc_map_deinit(&l->queries);
    lc_u64map_deinit(&l->tables);
    lc_vec_deinit(&l->matches);
    lc_vec_deinit(&l->spans);
    lc_vec_deinit(&l->items);
    lc_free(l);
}

bool lc_live_is_empty(const lc_live *l)
{
    return l->queries.len == 0;
}

void lc_live_on_drop(lc_live *l, void (*drop)(void *arg, lc_live_query *q), void *arg)
{
    l->drop = drop;
    l->drop_arg = arg;
}

/* ------------------------------------------------------------------- tables */

static live_table *watch_table(lc_live *l, lc_table *t)
{
    uint64_t key = (uint64_t)lc_table_id(t) + 1;
    live_table *w = lc_u64map_get(&l->tables, key);
    if (!w) {
        w = lc_alloc_zero(sizeof *w);
        w->table_id = lc_table_id(t);
        lc_u64map_put(&l->tables, key, w);
    }
    w->table = t;
    return w;
}

static void free_table_if_unused(lc_live *l, live_table *w)
{
    if (w->whole.len || w->each.len || w->columns.len) return;
    lc_u64map_remove(&l->tables, (uint64_t)w->table_id + 1);
    lc_vec_deinit(&w->whole);
    lc_vec_deinit(&w->each);
    lc_vec_deinit(&w->columns);
    lc_free(w);
}

static live_column *watch_column(live_table *w, uint32_t column)
{
    LC_VEC_EACH (it, &w->columns)
        if ((*it)->column == column) return *it;
    const lc_layout *layout = lc_table_layout(w->table);
    int32_t size = lc_layout_column_type(layout, column)->fixed_size;
    live_column *c = lc_alloc_zero(sizeof *c);
    c->column = column;
    c->is_small = size > 0 && size <= 8;
    c->size = c->is_small ? (uint32_t)size : 0;
    c->offset = lc_layout_column_offset(layout, column);
    lc_vec_push(&w->columns, c);
    return c;
}

static uint64_t small_key(lc_span value)
{
    uint64_t key = 0;
    memcpy(&key, value.ptr, value.len);
    return key;
}

static live_query *equal_first(const live_column *c, lc_span value)
{
    return c->is_small ? lc_u64map_get(&c->small, small_key(value)) : lc_map_get(&c->large, value);
}

static void equal_set_first(live_column *c, lc_span value, live_query *q)
{
    if (c->is_small && q)
        lc_u64map_put(&c->small, small_key(value), q);
    else if (c->is_small)
        lc_u64map_remove(&c->small, small_key(value));
    else if (q)
        lc_map_put(&c->large, value, q);
    else
        lc_map_remove(&c->large, value);
}

/* Equal values are equal bytes, except for floats (0 and -0). */
static bool can_hash(const live_query *q, uint32_t column)
{
    const lc_type *t = lc_layout_column_type(lc_table_layout(q->public.table), column);
    return t->kind != LC_TYPE_F32 && t->kind != LC_TYPE_F64;
}

void live_query_watch(live_query *q)
{
    live_table *w = q->watch = watch_table(q->live, q->public.table);
    uint32_t column;
    if (lc_plan_is_whole_table(q->public.plan)) {
        q->route = LIVE_WHOLE;
        q->position = (uint32_t)w->whole.len;
        lc_vec_push(&w->whole, q);
    } else if (lc_plan_equality(q->public.plan, &column, &q->value) && can_hash(q, column)) {
        q->route = LIVE_EQUAL;
        q->is_only_equal = lc_plan_is_only_equality(q->public.plan);
        q->column = watch_column(w, column);
        q->column->queries++;
        q->prev_equal = NULL;
        q->next_equal = equal_first(q->column, q->value);
        if (q->next_equal) q->next_equal->prev_equal = q;
        equal_set_first(q->column, q->value, q);
    } else {
        q->route = LIVE_EACH;
        q->position = (uint32_t)w->each.len;
        lc_vec_push(&w->each, q);
    }
}

static void unwatch_equal(live_query *q)
{
    live_table *w = q->watch;
    live_column *c = q->column;
    if (q->next_equal) q->next_equal->prev_equal = q->prev_equal;
    if (q->prev_equal)
        q->prev_equal->next_equal = q->next_equal;
    else
        equal_set_first(c, q->value, q->next_equal);
    q->next_equal = q->prev_equal = NULL;
    if (--c->queries) return;
    size_t i = 0;
    while (w->columns.items[i] != c) i++;
    w->columns.items[i] = w->columns.items[--w->columns.len];
    lc_u64map_deinit(&c->small);
    lc_map_deinit(&c->large);
    lc_free(c);
}

void live_query_unwatch(live_query *q)
{
    live_table *w = q->watch;
    if (!w) return;
    if (q->route == LIVE_EQUAL) {
        unwatch_equal(q);
    } else if (q->route == LIVE_WHOLE) {
        live_query *last = w->whole.items[--w->whole.len];
        w->whole.items[q->position] = last;
        last->position = q->position;
    } else {
        live_query *last = w->each.items[--w->each.len];
        w->each.items[q->position] = last;
        last->position = q->position;
    }
    free_table_if_unused(q->live, w);
    q->watch = NULL;
}

/* ------------------------------------------------------------------ queries */

/* Who may share: owners see more than others, and `:sender` differs for everyone. */
enum { KEY_OWNER = 1, KEY_SENDER = 2 };

static void make_key(lc_buf *key, const lc_caller *caller, bool uses_sender, lc_span name)
{
    lc_buf_reset(key);
    lc_buf_put_u8(key,
                  (uint8_t)((caller->is_owner ? KEY_OWNER : 0) | (uses_sender ? KEY_SENDER : 0)));
    if (uses_sender) lc_buf_put(key, caller->identity.bytes, sizeof caller->identity.bytes);
    lc_buf_put_span(key, name);
}

static lc_span own(lc_span s)
{
    return LC_SPAN(lc_memdup(s.ptr, s.len), s.len);
}
static void disown(lc_span s)
{
    lc_free((void *)(uintptr_t)s.ptr);
}

static void use_plan(live_query *q, lc_plan *plan)
{
    q->public.plan = plan;
    q->public.table = lc_plan_table(plan);
    disown(q->public.table_name);
    q->public.table_name = own(lc_table_name(q->public.table));
}

lc_status live_query_get(lc_live *l, const lc_caller *caller, lc_span name, lc_span sql,
                         live_query **out, bool *is_new, lc_error *err)
{
    lc_buf key = LC_BUF_INIT;
    *is_new = false;
    make_key(&key, caller, false, name);
    *out = lc_map_get(&l->queries, lc_buf_span(&key));
    if (!*out) {
        make_key(&key, caller, true, name);
        *out = lc_map_get(&l->queries, lc_buf_span(&key));
    }
    lc_status st = LC_OK;
    lc_plan *plan = NULL;
    if (!*out) st = lc_plan_create(l->store, sql, LC_DIALECT_SUBSCRIPTION, caller, &plan, err);
    if (plan) {
        live_query *q = lc_alloc_zero(sizeof *q);
        make_key(&key, caller, lc_plan_uses_sender(plan), name);
        q->live = l;
        q->caller = *caller;
        q->key = own(lc_buf_span(&key));
        q->sql = own(sql);
        q->public.text = LC_SPAN(q->key.ptr + q->key.len - name.len, name.len);
        use_plan(q, plan);
        live_query_watch(q);
        lc_map_put(&l->queries, q->key, q);
        *out = q;
        *is_new = true;
    }
    lc_buf_deinit(&key);
    return st;
}

void live_query_ref(live_query *q)
{
    q->public.refs++;
}

void live_query_unref(live_query *q)
{
    if (--q->public.refs) return;
    lc_live *l = q->live;
    if (l->drop) l->drop(l->drop_arg, &q->public);
    live_query_unwatch(q);
    if (lc_map_get(&l->queries, q->key) == q) lc_map_remove(&l->queries, q->key);
    lc_plan_destroy(q->public.plan);
    disown(q->public.table_name);
    disown(q->key);
    disown(q->sql);
    lc_free(q);
}

/* ------------------------------------------------------------------- rebind */

void lc_live_rebind(lc_live *l)
{
    LC_VEC(live_query *) all = {0};
    lc_map_entry *e;
    for (size_t i = 0; (e = lc_map_next(&l->queries, &i));) lc_vec_push(&all, e->value);
    LC_VEC_EACH (it, &all) {
        live_query *q = *it;
        lc_plan *plan = NULL;
        live_query_unwatch(q);
        lc_error err = LC_ERROR_INIT;
        lc_plan_create(l->store, q->sql, LC_DIALECT_SUBSCRIPTION, &q->caller, &plan, &err);
        lc_error_clear(&err);
        if (plan) {
            lc_plan_destroy(q->public.plan);
            use_plan(q, plan);
            live_query_watch(q);
        } else {
            live_query_abandon(q);
        }
    }
    lc_vec_deinit(&all);
}
