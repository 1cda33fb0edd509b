/* Who holds what: subscribe, unsubscribe, and how the protocols count (03 sections 7.2-7.5). */
#include "live/live_internal.h"

#include <stdlib.h>
#include <unictype.h>

/* --------------------------------------------------------------------- uses */

void live_use_link(live_use *u, live_query *q)
{
    u->query = q;
    u->prev = NULL;
    u->next = q->uses;
    if (u->next) u->next->prev = u;
    q->uses = u;
    live_query_ref(q);
}

void live_use_unlink(live_use *u)
{
    live_query *q = u->query;
    if (!q) return;
    if (u->prev)
        u->prev->next = u->next;
    else
        q->uses = u->next;
    if (u->next) u->next->prev = u->prev;
    u->query = NULL;
    live_query_unref(q);
}

void live_query_abandon(live_query *q)
{
    live_query_ref(q);
    while (q->uses) {
        live_use *u = q->uses;
        if (u->count) lc_u64map_remove(&u->client->counted, (uint64_t)(uintptr_t)q);
        live_use_unlink(u); /* its set keeps the empty place */
    }
    live_query_unref(q);
}

/* ------------------------------------------------------------------ clients */

lc_live_client *lc_live_client_create(lc_live *l, const lc_caller *caller, void *user)
{
    lc_live_client *c = lc_alloc_zero(sizeof *c);
    c->live = l;
    c->caller = *caller;
    c->user = user;
    c->next = l->clients;
    if (c->next) c->next->prev = c;
    l->clients = c;
    return c;
}

void *lc_live_client_user(const lc_live_client *c)
{
    return c->user;
}

static void release_counted(lc_live_client *c, live_use *u)
{
    if (--u->count) return;
    if (u->query) {
        lc_u64map_remove(&c->counted, (uint64_t)(uintptr_t)u->query);
        live_use_unlink(u);
    }
    lc_free(u);
}

static void set_free(lc_live_client *c, live_set *s)
{
    if (!s) return;
    for (uint32_t i = 0; i < s->use_count; i++) {
        if (s->counted)
            release_counted(c, s->counted[i]);
        else
            live_use_unlink(&s->uses[i]);
    }
    lc_free(s->uses);
    lc_free(s->counted);
    lc_free(s);
}

void lc_live_client_destroy(lc_live_client *c)
{
    if (!c) return;
    lc_u64map_slot *slot;
    for (size_t i = 0; (slot = lc_u64map_next(&c->sets, &i));) set_free(c, slot->value);
    set_free(c, c->legacy);
    lc_u64map_deinit(&c->sets);
    lc_u64map_deinit(&c->counted);
    if (c->prev)
        c->prev->next = c->next;
    else
        c->live->clients = c->next;
    if (c->next) c->next->prev = c->prev;
    lc_free(c);
}

static live_set *find_set(const lc_live_client *c, uint32_t id)
{
    return lc_u64map_get(&c->sets, (uint64_t)id + 1);
}

/* ------------------------------------------------------------------ results */

bool lc_live_results_are_long(const lc_live_results *r)
{
    for (uint32_t i = 0; i < r->count; i++)
        if (r->items[i].image) return true;
    return false;
}

void lc_live_results_read(lc_live_results *r)
{
    for (uint32_t i = 0; i < r->count; i++) {
        lc_live_result *it = &r->items[i];
        if (it->image) lc_plan_select_image(it->query->plan, it->image, &it->rows);
    }
}

void lc_live_results_deinit(lc_live_results *r)
{
    for (uint32_t i = 0; i < r->count; i++) {
        lc_rowset_deinit(&r->items[i].rows);
        if (r->items[i].image) lc_image_release(r->items[i].image);
        live_query_unref((live_query *)r->items[i].query);
    }
    lc_free(r->items);
    *r = (lc_live_results){0};
}

static bool reads_empty_table(const lc_plan *p)
{
    for (uint32_t i = 0; i < lc_plan_source_count(p); i++)
        if (lc_table_row_count(lc_plan_source(p, i)) == 0) return true;
    return false;
}

/* Appends the query's rows, or where to read them. A result keeps its query alive. */
static lc_status add_result(lc_live_results *out, live_query *q, lc_error *err)
{
    lc_live_result *r = &out->items[out->count++];
    *r = (lc_live_result){.query = &q->public};
    live_query_ref(q);
    r->image = lc_plan_freeze(q->public.plan);
    return r->image ? LC_OK : lc_plan_select(q->public.plan, &r->rows, err);
}

/* ---------------------------------------------------------------- the texts */

static bool is_space(lc_span s, bool at_end, size_t *size)
{
    if (s.len == 0) return false;
    const uint8_t *p = at_end ? s.ptr + s.len - 1 : s.ptr;
    *size = 1;
    if (*p < 0x80) return *p == ' ' || (*p >= '\t' && *p <= '\r');
    if (at_end)
        while (p > s.ptr && (*p & 0xc0) == 0x80) p--;
    size_t left = (size_t)(s.ptr + s.len - p);
    uint32_t c;
    if (*p >= 0xc0 && *p < 0xe0 && left >= 2) {
        *size = 2;
        c = (p[0] & 0x1fu) << 6 | (p[1] & 0x3fu);
    } else if (*p >= 0xe0 && *p < 0xf0 && left >= 3) {
        *size = 3;
        c = (p[0] & 0xfu) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu);
    } else {
        return false;
    }
    return (!at_end || left == *size) && uc_is_property_white_space(c);
}

static lc_span trim(lc_span s)
{
    size_t size;
    while (is_space(s, false, &size)) s = LC_SPAN(s.ptr + size, s.len - size);
    while (is_space(s, true, &size)) s.len -= size;
    return s;
}

/* Blanks, a word or mark, at least `min` blanks before it. */
static bool take(lc_span *s, const char *word, bool needs_blank)
{
    lc_span t = trim(*s);
    size_t n = strlen(word);
    if (needs_blank && t.ptr == s->ptr) return false;
    if (t.len < n) return false;
    for (size_t i = 0; i < n; i++) {
        uint8_t c = t.ptr[i];
        if ((uint8_t)(c - 'a') < 26) c -= 32;
        if (c != (uint8_t)word[i]) return false;
    }
    *s = LC_SPAN(t.ptr + n, t.len - n);
    return true;
}

static bool is_select_all(lc_span s)
{
    return take(&s, "SELECT", false) && take(&s, "*", true) && take(&s, "FROM", true) &&
           take(&s, "*", true) && trim(s).len == 0;
}

/* The queries of one call while it is being prepared. */
typedef struct batch {
    lc_live_client *client;
    lc_live_kind kind;
    LC_VEC(live_query *) queries; /* one per text, in order, held */
    uint64_t estimate;            /* of those that are new */
    bool is_limited;              /* the error to report is the row limit's */
} batch;

static lc_status batch_add(batch *b, lc_span name, lc_span sql, lc_error *err)
{
    lc_live *l = b->client->live;
    live_query *q;
    bool is_new;
    lc_status st = live_query_get(l, &b->client->caller, name, sql, &q, &is_new, err);
    if (st) return st;
    live_query_ref(q);
    lc_vec_push(&b->queries, q);
    if (is_new) b->estimate += lc_plan_estimate(q->public.plan);
    return LC_OK;
}

static bool reads_event_table(const lc_plan *p)
{
    for (uint32_t i = 0; i < lc_plan_source_count(p); i++)
        if (lc_table_is_event(lc_plan_source(p, i))) return true;
    return false;
}

/* `SELECT * FROM *`: every user table that the caller may read and that keeps its rows. Those with
 * row-level security, whose rules are not applied yet, are for the owner only. */
static lc_status batch_add_all(batch *b, lc_error *err)
{
    lc_buf name = LC_BUF_INIT, sql = LC_BUF_INIT;
    lc_status st = LC_OK;
    lc_table *t;
    for (uint32_t at = 0; !st && (t = lc_store_next_table(b->client->live->store, &at));) {
        if (lc_table_is_system(t) || lc_table_is_event(t) || lc_table_is_view(t)) continue;
        bool is_open = lc_table_is_public(t) && !lc_table_has_rule(t);
        if (!is_open && !b->client->caller.is_owner) continue;
        lc_span table = lc_table_name(t);
        lc_buf_reset(&name);
        lc_buf_reset(&sql);
        lc_buf_printf(&name, "SELECT * FROM " LC_SPAN_FMT, LC_SPAN_ARG(table));
        lc_buf_printf(&sql, "SELECT * FROM \"" LC_SPAN_FMT "\"", LC_SPAN_ARG(table));
        st = batch_add(b, lc_buf_span(&name), lc_buf_span(&sql), err);
    }
    lc_buf_deinit(&name);
    lc_buf_deinit(&sql);
    return st;
}

static lc_status with_suffix(lc_status st, lc_span text, lc_error *err)
{
    if (!err) return st;
    char *message = lc_strdup(lc_error_text(err));
    lc_error_set(err, st, "%s, executing: `" LC_SPAN_FMT "`", message, LC_SPAN_ARG(text));
    lc_free(message);
    return st;
}

static lc_status batch_prepare(batch *b, const lc_span *texts, uint32_t count, lc_error *err)
{
    lc_status st = LC_OK;
    bool is_single = b->kind == LC_LIVE_SINGLE;
    for (uint32_t i = 0; !st && !is_single && i < count; i++)
        if (is_select_all(texts[i])) st = batch_add_all(b, err);
    for (uint32_t i = 0; !st && i < count; i++) {
        if (!is_single && is_select_all(texts[i])) continue;
        lc_span trimmed = trim(texts[i]);
        st = batch_add(b, trimmed, is_single ? texts[i] : trimmed, err);
        if (st) return with_suffix(st, is_single ? texts[i] : trimmed, err);
        live_query *q = b->queries.items[b->queries.len - 1];
        bool refuses_events = b->kind == LC_LIVE_SINGLE || b->kind == LC_LIVE_MULTI;
        if (refuses_events && reads_event_table(q->public.plan))
            return lc_error_set(
                err, LC_E_INVALID,
                "Subscribing to event tables requires WebSocket v2. Please upgrade your "
                "client SDK and regenerate your module bindings.");
    }
    return st;
}

static lc_status batch_check_limit(const batch *b, const lc_span *texts, lc_error *err)
{
    lc_status st =
        lc_query_check_row_limit(b->client->live->store, b->estimate, &b->client->caller, err);
    return st && b->kind == LC_LIVE_SINGLE ? with_suffix(st, texts[0], err) : st;
}

/* Is the i-th query of the batch the same as an earlier one? */
static bool is_repeated(const batch *b, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (b->queries.items[k] == b->queries.items[i]) return true;
    return false;
}

static int by_address(const void *a, const void *b)
{
    const live_query *x = *(live_query *const *)a, *y = *(live_query *const *)b;
    return x < y ? -1 : x > y;
}

/* Removes repetitions, keeping the first of each. Long lists are looked through by sorting. */
static void batch_unique(batch *b)
{
    size_t n = b->queries.len, kept = 0;
    bool *drop = lc_alloc_zero(n + 1);
    if (n <= 32) {
        for (size_t i = 0; i < n; i++) drop[i] = is_repeated(b, i);
    } else {
        live_query **sorted = lc_memdup(b->queries.items, n * sizeof *sorted);
        bool *seen = lc_alloc_zero(n);
        qsort(sorted, n, sizeof *sorted, by_address);
        for (size_t i = 0; i < n; i++) {
            live_query **found =
                bsearch(&b->queries.items[i], sorted, n, sizeof *sorted, by_address);
            while (found > sorted && found[-1] == *found) found--;
            drop[i] = seen[found - sorted];
            seen[found - sorted] = true;
        }
        lc_free(seen);
        lc_free(sorted);
    }
    for (size_t i = 0; i < n; i++) {
        if (drop[i])
            live_query_unref(b->queries.items[i]);
        else
            b->queries.items[kept++] = b->queries.items[i];
    }
    b->queries.len = kept;
    lc_free(drop);
}

static void batch_deinit(batch *b)
{
    LC_VEC_EACH (q, &b->queries) live_query_unref(*q);
    lc_vec_deinit(&b->queries);
}

/* Rows for the reply. */
static lc_status batch_evaluate(batch *b, lc_live_results *out, lc_error *err)
{
    *out = (lc_live_results){.items = lc_alloc((b->queries.len + 1) * sizeof *out->items)};
    LC_VEC_EACH (it, &b->queries) {
        live_query *q = *it;
        bool is_held = lc_u64map_get(&b->client->counted, (uint64_t)(uintptr_t)q) != NULL;
        if (b->kind == LC_LIVE_MULTI && is_held) continue;
        if (b->kind != LC_LIVE_SINGLE && reads_empty_table(q->public.plan)) continue;
        lc_status st = add_result(out, q, err);
        if (!st) continue;
        lc_live_results_deinit(out);
        return st;
    }
    return LC_OK;
}

/* ---------------------------------------------------------------- subscribe */

static live_use *counted_use(lc_live_client *c, live_query *q)
{
    live_use *u = lc_u64map_get(&c->counted, (uint64_t)(uintptr_t)q);
    if (!u) {
        u = lc_alloc_zero(sizeof *u);
        u->client = c;
        u->order = c->next_order++;
        live_use_link(u, q);
        lc_u64map_put(&c->counted, (uint64_t)(uintptr_t)q, u);
    }
    u->count++;
    return u;
}

static live_set *set_create(const batch *b, uint32_t id)
{
    lc_live_client *c = b->client;
    live_set *s = lc_alloc_zero(sizeof *s);
    s->id = id;
    s->kind = b->kind;
    s->use_count = (uint32_t)b->queries.len;
    bool is_counted = b->kind == LC_LIVE_SINGLE || b->kind == LC_LIVE_MULTI;
    if (is_counted)
        s->counted = lc_alloc((s->use_count + 1) * sizeof *s->counted);
    else
        s->uses = lc_alloc_zero((s->use_count + 1) * sizeof *s->uses);
    for (uint32_t i = 0; i < s->use_count; i++) {
        live_query *q = b->queries.items[i];
        if (is_counted) {
            s->counted[i] = counted_use(c, q);
            continue;
        }
        live_use *u = &s->uses[i];
        u->client = c;
        u->set_id = b->kind == LC_LIVE_SET ? id : 0;
        u->order = i;
        live_use_link(u, q);
    }
    return s;
}

static void client_hex(const lc_live_client *c, const lc_connection_id *connection,
                       char identity[LC_IDENTITY_HEX + 1], char conn[LC_CONNECTION_ID_HEX + 1])
{
    lc_identity_to_hex(&c->caller.identity, identity);
    lc_connection_id_to_hex(connection, conn);
}

static lc_status id_taken(const lc_live_client *c, uint32_t id, const lc_connection_id *connection,
                          lc_error *err)
{
    char identity[LC_IDENTITY_HEX + 1], conn[LC_CONNECTION_ID_HEX + 1];
    client_hex(c, connection, identity, conn);
    return lc_error_set(err, LC_E_EXISTS,
                        "Subscription with id QuerySetId { id: %u } already exists for client: "
                        "(Identity(%s), ConnectionId(%s))",
                        id, identity, conn);
}

static lc_status id_unknown(const lc_live_client *c, uint32_t id,
                            const lc_connection_id *connection, lc_error *err)
{
    char identity[LC_IDENTITY_HEX + 1], conn[LC_CONNECTION_ID_HEX + 1];
    client_hex(c, connection, identity, conn);
    if (!c->has_subscribed)
        return lc_error_set(err, LC_E_NOT_FOUND,
                            "Client not found: (Identity(%s), ConnectionId(%s))", identity, conn);
    return lc_error_set(
        err, LC_E_NOT_FOUND,
        "Subscription not found: ((Identity(%s), ConnectionId(%s)), QuerySetId { id: %u })",
        identity, conn, id);
}

lc_status lc_live_subscribe(lc_live_client *c, lc_live_kind kind, uint32_t id,
                            const lc_connection_id *connection, const lc_span *texts,
                            uint32_t count, lc_live_results *out, lc_error *err)
{
    lc_error own = LC_ERROR_INIT;
    if (!err) err = &own;
    *out = (lc_live_results){0};
    batch b = {.client = c, .kind = kind};
    lc_status st = batch_prepare(&b, texts, count, err);
    if (!st && kind != LC_LIVE_LEGACY && find_set(c, id)) st = id_taken(c, id, connection, err);
    if (!st) {
        c->has_subscribed = true;
        st = batch_check_limit(&b, texts, err);
    }
    if (!st && kind != LC_LIVE_LEGACY) batch_unique(&b);
    if (!st) st = batch_evaluate(&b, out, err);
    if (!st) {
        if (kind == LC_LIVE_LEGACY) batch_unique(&b); /* rows came once per text */
        live_set *s = set_create(&b, id);
        if (kind == LC_LIVE_LEGACY) {
            set_free(c, c->legacy);
            c->legacy = s;
        } else {
            lc_u64map_put(&c->sets, (uint64_t)id + 1, s);
        }
    }
    batch_deinit(&b);
    lc_error_clear(&own);
    return st;
}

/* -------------------------------------------------------------- unsubscribe */

/* Rows of what the client loses with the set. */
static lc_status lost_rows(const live_set *s, lc_live_results *out, lc_error *err)
{
    out->items = lc_alloc((s->use_count + 1) * sizeof *out->items);
    for (uint32_t i = 0; i < s->use_count; i++) {
        const live_use *u = s->counted ? s->counted[i] : &s->uses[i];
        if (!u->query || reads_empty_table(u->query->public.plan)) continue;
        if (s->counted && u->count > 1) continue; /* still held under another id */
        lc_status st = add_result(out, u->query, err);
        if (st) return st;
    }
    return LC_OK;
}

/* SINGLE answers with exactly one table: the client must lose one query, no less and no more. */
static lc_status lost_single(const live_set *s, lc_live_results *out, lc_error *err)
{
    live_query *lost = NULL;
    uint32_t count = 0;
    for (uint32_t i = 0; i < s->use_count; i++) {
        const live_use *u = s->counted ? s->counted[i] : &s->uses[i];
        if (!u->query || (s->counted && u->count > 1)) continue;
        lost = u->query;
        count++;
    }
    if (count != 1) return lc_error_set(err, LC_E_CONFLICT, "Internal error");
    out->items = lc_alloc(sizeof *out->items);
    return add_result(out, lost, err);
}

lc_status lc_live_unsubscribe(lc_live_client *c, lc_live_kind kind, uint32_t id,
                              const lc_connection_id *connection, bool with_rows,
                              lc_live_results *out, lc_error *err)
{
    *out = (lc_live_results){0};
    live_set *s = kind == LC_LIVE_LEGACY ? NULL : find_set(c, id);
    if (!s) return id_unknown(c, id, connection, err);
    lc_status st = LC_OK;
    if (with_rows) st = kind == LC_LIVE_SINGLE ? lost_single(s, out, err) : lost_rows(s, out, err);
    lc_u64map_remove(&c->sets, (uint64_t)id + 1);
    set_free(c, s);
    if (st) lc_live_results_deinit(out);
    return st;
}
