/* Random transactions and random subscriptions against the law: initial rows + sum of changes =
 * fresh evaluation, for every client and, where sets are independent, for every set. */
#include "live_kit.h"

/* --------------------------------------------------------------- bags of rows */

/* Counts of (table, row). */
typedef struct bag {
    lc_map counts; /* value: count + 1 as pointer */
} bag;

static void bag_add(bag *b, uint32_t table, lc_span row, int delta)
{
    lc_buf key = LC_BUF_INIT;
    lc_buf_put_u32(&key, table);
    lc_buf_put_span(&key, row);
    intptr_t count = (intptr_t)lc_map_get(&b->counts, lc_buf_span(&key));
    count += delta;
    if (count)
        lc_map_put(&b->counts, lc_buf_span(&key), (void *)count);
    else
        lc_map_remove(&b->counts, lc_buf_span(&key));
    lc_buf_deinit(&key);
}

static void bag_add_rows(bag *b, uint32_t table, const lc_rowset *rows, int delta)
{
    for (uint64_t i = 0; i < rows->count; i++) bag_add(b, table, lc_rowset_row(rows, i), delta);
}

static void bag_clear(bag *b)
{
    lc_map_deinit(&b->counts);
}

static void assert_same_bag(const bag *got, const bag *want)
{
    lc_map_entry *e;
    for (size_t i = 0; (e = lc_map_next(&got->counts, &i));)
        if (lc_map_get(&want->counts, e->key) != e->value)
            fail_msg("a row is held %ld times instead of %ld", (long)(intptr_t)e->value,
                     (long)(intptr_t)lc_map_get(&want->counts, e->key));
    assert_int_equal(got->counts.len, want->counts.len);
}

/* ----------------------------------------------------------------- the model */

enum { CLIENTS = 6, SETS = 4, QUERIES = 4, TEXTS = 16 };

static const char *const texts[TEXTS] = {
    "select * from item",
    "select * from item ",
    "select * from item where owner = 1",
    "select * from item where owner = 2",
    "select * from item where 1 = owner and kind > 2",
    "select * from item where owner = 3 and name = 'n1'",
    "select * from item where name = 'n0'",
    "select * from item where name = 'n2' or kind = 1",
    "select * from item where id = 7",
    "select * from item where id < 10 and kind <> 3",
    "select * from item where true",
    "select * from item where false",
    "select * from point",
    "select p.* from point as p where p.x = p.y",
    "select * from point where x = -1",
    "select * from point where y >= 0",
};

typedef struct model_set {
    bool is_open;
    uint32_t count;
    uint32_t queries[QUERIES]; /* text numbers, without repetitions */
    bag held;                  /* v2 */
} model_set;

typedef struct model_client {
    live_kit *kit;
    bool is_v1;
    lc_caller caller;
    lc_live_client *client;
    model_set sets[SETS]; /* ids 0 .. SETS - 1 */
    model_set legacy;     /* v1 */
    bag held;             /* v1 */
} model_client;

static uint32_t table_of(uint32_t text, const live_kit *k)
{
    return lc_table_id(strstr(texts[text], "point") ? k->point : k->item);
}

/* Texts 0 and 1 are the same query once blanks are cut off. */
static uint32_t same_query(uint32_t text)
{
    return text == 1 ? 0 : text;
}

static void add_fresh(bag *b, live_kit *k, uint32_t text, const lc_caller *caller, int delta)
{
    lc_rowset rows = {0};
    evaluate(k, texts[text], caller, &rows);
    bag_add_rows(b, table_of(text, k), &rows, delta);
    lc_rowset_deinit(&rows);
}

/* Which queries a v1 client holds through ids. */
static uint32_t counted(const model_client *c, uint32_t query)
{
    uint32_t n = 0;
    for (uint32_t s = 0; s < SETS; s++)
        for (uint32_t i = 0; c->sets[s].is_open && i < c->sets[s].count; i++)
            n += c->sets[s].queries[i] == query;
    return n;
}

static void check_client(model_client *c)
{
    bag want = {0};
    if (!c->is_v1) {
        for (uint32_t s = 0; s < SETS; s++) {
            model_set *set = &c->sets[s];
            if (!set->is_open) continue;
            for (uint32_t i = 0; i < set->count; i++)
                add_fresh(&want, c->kit, set->queries[i], &c->caller, 1);
            assert_same_bag(&set->held, &want);
            bag_clear(&want);
        }
        return;
    }
    for (uint32_t q = 0; q < TEXTS; q++)
        if (counted(c, q)) add_fresh(&want, c->kit, q, &c->caller, 1);
    for (uint32_t i = 0; c->legacy.is_open && i < c->legacy.count; i++)
        add_fresh(&want, c->kit, c->legacy.queries[i], &c->caller, 1);
    assert_same_bag(&c->held, &want);
    bag_clear(&want);
}

/* ----------------------------------------------------------------- changes */

static void apply(void *arg, lc_live_client *client, const lc_live_item *items, uint32_t count)
{
    uint64_t *calls = arg;
    model_client *c = lc_live_client_user(client);
    ++*calls;
    assert_true(count > 0);
    for (uint32_t i = 0; i < count; i++) {
        const lc_live_change *change = items[i].change;
        assert_true(change->insert_count + change->delete_count > 0);
        if (i > 0) {
            assert_true(items[i - 1].set_id <= items[i].set_id);
            if (items[i - 1].set_id == items[i].set_id)
                assert_true(lc_span_compare(items[i - 1].change->query->table_name,
                                            change->query->table_name) <= 0);
        }
        bag *held = &c->held;
        if (!c->is_v1) {
            assert_true(c->sets[items[i].set_id].is_open);
            held = &c->sets[items[i].set_id].held;
        }
        uint32_t table = lc_table_id(change->query->table);
        for (uint32_t r = 0; r < change->insert_count; r++)
            bag_add(held, table, change->inserts[r], 1);
        for (uint32_t r = 0; r < change->delete_count; r++)
            bag_add(held, table, change->deletes[r], -1);
    }
}

static void random_transaction(live_kit *k, uint64_t *seed)
{
    static const char *const names[] = {"n0", "n1", "n2", "a longer name"};
    lc_store_begin(k->store);
    uint32_t steps = (uint32_t)(lc_test_random(seed) % 8);
    for (uint32_t i = 0; i < steps; i++) {
        uint64_t r = lc_test_random(seed);
        uint32_t id = (uint32_t)(r >> 8) % 24, owner = (uint32_t)(r >> 16) % 5;
        uint8_t kind = (uint8_t)(r >> 24) % 5;
        const char *name = names[(r >> 32) % 4];
        switch (r % 4) {
        case 0:
            delete_item(k, id);
            break;
        case 1:
            toggle_point(k, (int32_t)(r >> 16) % 4 - 1, (int32_t)(r >> 24) % 4 - 1);
            break;
        default:
            update_item(k, id, owner, kind, name);
            break;
        }
    }
    if (lc_test_random(seed) % 50 == 0) lc_table_clear(k->point);
    if (lc_test_random(seed) % 10 == 0) {
        lc_store_rollback(k->store);
        return;
    }
    uint64_t calls = 0;
    lc_live_publish(k->live, lc_store_commit(k->store), apply, &calls);
    lc_store_release(k->store);
}

/* ------------------------------------------------------------- subscriptions */

static const lc_connection_id connection = {{1}};

/* Chooses 0 to QUERIES texts; set gets them without repetitions. */
static uint32_t choose_texts(uint64_t *seed, lc_span spans[QUERIES], uint32_t numbers[QUERIES],
                             model_set *set, uint32_t count)
{
    *set = (model_set){.is_open = true, .held = set->held};
    for (uint32_t i = 0; i < count; i++) {
        uint32_t text = (uint32_t)(lc_test_random(seed) % TEXTS);
        numbers[i] = same_query(text);
        spans[i] = lc_span_of_str(texts[text]);
        bool seen = false;
        for (uint32_t k = 0; k < set->count; k++) seen |= set->queries[k] == numbers[i];
        if (!seen) set->queries[set->count++] = numbers[i];
    }
    return count;
}

static void subscribe(model_client *c, uint64_t *seed)
{
    uint32_t id = (uint32_t)(lc_test_random(seed) % SETS);
    bool is_single = c->is_v1 && lc_test_random(seed) % 2;
    lc_live_kind kind = !c->is_v1 ? LC_LIVE_SET : is_single ? LC_LIVE_SINGLE : LC_LIVE_MULTI;
    lc_span spans[QUERIES];
    uint32_t numbers[QUERIES];
    model_set set = {0};
    uint32_t count = is_single ? 1 : (uint32_t)(lc_test_random(seed) % (QUERIES + 1));
    choose_texts(seed, spans, numbers, &set, count);
    lc_live_results results;
    lc_error err = LC_ERROR_INIT;
    lc_status st =
        lc_live_subscribe(c->client, kind, id, &connection, spans, count, &results, &err);
    if (c->sets[id].is_open) {
        assert_int_equal(st, LC_E_EXISTS);
        assert_non_null(strstr(lc_error_text(&err), "already exists for client: (Identity("));
        lc_error_clear(&err);
        return;
    }
    assert_ok(st, &err);
    bag got = {0}, want = {0};
    for (uint32_t i = 0; i < results.count; i++)
        bag_add_rows(&got, lc_table_id(results.items[i].query->table), &results.items[i].rows, 1);
    for (uint32_t i = 0; i < set.count; i++)
        if (kind != LC_LIVE_MULTI || !counted(c, set.queries[i]))
            add_fresh(&want, c->kit, set.queries[i], &c->caller, 1);
    assert_same_bag(&got, &want);
    if (is_single) assert_int_equal(results.count, 1);
    if (!c->is_v1) {
        set.held = got;
    } else {
        for (uint32_t i = 0; i < set.count; i++)
            if (!counted(c, set.queries[i]))
                add_fresh(&c->held, c->kit, set.queries[i], &c->caller, 1);
        bag_clear(&got);
    }
    c->sets[id] = set;
    bag_clear(&want);
    lc_live_results_deinit(&results);
}

static void unsubscribe(model_client *c, uint64_t *seed)
{
    uint32_t id = (uint32_t)(lc_test_random(seed) % SETS);
    model_set *set = &c->sets[id];
    lc_live_kind kind = c->is_v1 ? LC_LIVE_MULTI : LC_LIVE_SET;
    lc_live_results results;
    lc_error err = LC_ERROR_INIT;
    lc_status st = lc_live_unsubscribe(c->client, kind, id, &connection, true, &results, &err);
    if (!set->is_open) {
        assert_int_equal(st, LC_E_NOT_FOUND);
        lc_error_clear(&err);
        return;
    }
    assert_ok(st, &err);
    bag got = {0};
    for (uint32_t i = 0; i < results.count; i++)
        bag_add_rows(&got, lc_table_id(results.items[i].query->table), &results.items[i].rows, 1);
    set->is_open = false;
    if (!c->is_v1) {
        assert_same_bag(&got, &set->held);
        bag_clear(&set->held);
    } else {
        bag want = {0};
        for (uint32_t i = 0; i < set->count; i++) {
            if (counted(c, set->queries[i])) continue;
            add_fresh(&want, c->kit, set->queries[i], &c->caller, 1);
            add_fresh(&c->held, c->kit, set->queries[i], &c->caller, -1);
        }
        assert_same_bag(&got, &want);
        bag_clear(&want);
    }
    bag_clear(&got);
    lc_live_results_deinit(&results);
}

static void replace_legacy(model_client *c, uint64_t *seed)
{
    lc_span spans[QUERIES];
    uint32_t numbers[QUERIES];
    model_set set = {0};
    lc_live_results results;
    lc_error err = LC_ERROR_INIT;
    uint32_t count = (uint32_t)(lc_test_random(seed) % (QUERIES + 1));
    choose_texts(seed, spans, numbers, &set, count);
    assert_ok(
        lc_live_subscribe(c->client, LC_LIVE_LEGACY, 0, &connection, spans, count, &results, &err),
        &err);
    bag got = {0}, want = {0}; /* rows once per text */
    for (uint32_t i = 0; i < results.count; i++)
        bag_add_rows(&got, lc_table_id(results.items[i].query->table), &results.items[i].rows, 1);
    for (uint32_t i = 0; i < count; i++) add_fresh(&want, c->kit, numbers[i], &c->caller, 1);
    assert_same_bag(&got, &want);
    for (uint32_t i = 0; c->legacy.is_open && i < c->legacy.count; i++)
        add_fresh(&c->held, c->kit, c->legacy.queries[i], &c->caller, -1);
    for (uint32_t i = 0; i < set.count; i++)
        add_fresh(&c->held, c->kit, set.queries[i], &c->caller, 1);
    c->legacy = set;
    bag_clear(&got);
    bag_clear(&want);
    lc_live_results_deinit(&results);
}

static void open_client(model_client *c, live_kit *k, uint32_t n)
{
    *c =
        (model_client){.kit = k, .is_v1 = n % 2, .caller = n == 5 ? the_owner() : caller_number(n)};
    c->client = lc_live_client_create(k->live, &c->caller, c);
}

static void close_client(model_client *c)
{
    lc_live_client_destroy(c->client);
    for (uint32_t s = 0; s < SETS; s++) bag_clear(&c->sets[s].held);
    bag_clear(&c->held);
}

LC_TEST(initial_rows_and_changes_add_up_to_a_fresh_evaluation)
{
    for (uint64_t round = 1; round <= 6; round++) {
        uint64_t seed = round;
        live_kit k;
        model_client clients[CLIENTS];
        live_kit_init(&k);
        for (uint32_t i = 0; i < CLIENTS; i++) open_client(&clients[i], &k, i);
        for (uint32_t step = 0; step < 1500; step++) {
            uint32_t who = (uint32_t)(lc_test_random(&seed) % CLIENTS);
            model_client *c = &clients[who];
            switch (lc_test_random(&seed) % 12) {
            case 0:
            case 1:
                subscribe(c, &seed);
                break;
            case 2:
                unsubscribe(c, &seed);
                break;
            case 3:
                if (c->is_v1) replace_legacy(c, &seed);
                break;
            case 4:
                if (lc_test_random(&seed) % 8) break;
                close_client(c);
                open_client(c, &k, who);
                break;
            case 5:
                if (lc_test_random(&seed) % 16 == 0) lc_live_rebind(k.live);
                break;
            default:
                random_transaction(&k, &seed);
                break;
            }
            if (step % 10 == 0)
                for (uint32_t i = 0; i < CLIENTS; i++) check_client(&clients[i]);
        }
        for (uint32_t i = 0; i < CLIENTS; i++) check_client(&clients[i]);
        for (uint32_t i = 0; i < CLIENTS; i++) close_client(&clients[i]);
        assert_true(lc_live_is_empty(k.live));
        live_kit_deinit(&k);
    }
}

int main(void)
{
    return LC_TEST_RUN(cmocka_unit_test(initial_rows_and_changes_add_up_to_a_fresh_evaluation));
}
