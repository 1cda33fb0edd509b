/* Live queries: what one changed row costs when thousands subscribe, and what a query costs to
 * read. Prints nanoseconds; no assertions. */
#include "live/lc_live.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct bench {
    lc_store *store;
    lc_arena arena;
    lc_table *table;
    lc_live *live;
    uint64_t told, rows, last_id;
} bench;

static double now(void)
{
    return (double)lc_clock_mono(lc_clock_system());
}

/* entity (id u64 key, owner u32, x i32, y i32) */
static void create(bench *b)
{
    static const struct {
        const char *name;
        lc_type_kind kind;
    } columns[] = {
        {"id", LC_TYPE_U64}, {"owner", LC_TYPE_U32}, {"x", LC_TYPE_I32}, {"y", LC_TYPE_I32}};
    lc_error err = LC_ERROR_INIT;
    *b = (bench){.store = lc_store_create()};
    lc_type_member members[4];
    lc_column_def defs[4] = {0};
    for (int i = 0; i < 4; i++) {
        lc_span name = lc_span_of_str(columns[i].name);
        members[i] = (lc_type_member){name, lc_type_scalar(columns[i].kind)};
        defs[i] = (lc_column_def){.name = name, .source_name = name, .type = members[i].type};
    }
    uint16_t key = 0;
    lc_index_def index = {.name = LC_STR("entity_id"),
                          .source_name = LC_STR("entity_id"),
                          .columns = &key,
                          .column_count = 1,
                          .is_unique = true};
    lc_constraint_def constraint = {
        .name = LC_STR("entity_key"), .columns = &key, .column_count = 1};
    lc_table_def def = {.name = LC_STR("entity"),
                        .source_name = LC_STR("entity"),
                        .row_type = lc_type_new_product(&b->arena, members, 4),
                        .columns = defs,
                        .column_count = 4,
                        .primary_key = 0,
                        .indexes = &index,
                        .index_count = 1,
                        .constraints = &constraint,
                        .constraint_count = 1,
                        .is_public = true};
    lc_store_begin(b->store);
    if (lc_store_create_table(b->store, &def, &b->table, &err)) {
        fprintf(stderr, "%s\n", lc_error_text(&err));
        exit(1);
    }
    lc_store_commit(b->store);
    lc_store_release(b->store);
    b->live = lc_live_create(b->store);
}

static void destroy(bench *b)
{
    lc_live_destroy(b->live);
    lc_store_destroy(b->store);
    lc_arena_deinit(&b->arena);
}

static void put(bench *b, uint64_t id, uint32_t owner)
{
    uint8_t row[20] = {0};
    lc_write w;
    lc_store_u64(row, id);
    lc_store_u32(row + 8, owner);
    lc_store_u32(row + 12, (uint32_t)rand());
    lc_table_insert(b->table, LC_SPAN(row, sizeof row), &w, NULL);
}

static void subscribe(bench *b, uint32_t n, const char *format)
{
    lc_caller caller = {0};
    static const lc_connection_id connection = {{1}};
    lc_error err = LC_ERROR_INIT;
    for (uint32_t i = 0; i < n; i++) {
        lc_live_results out;
        char *sql = lc_format(format, i);
        lc_span text = lc_span_of_str(sql);
        lc_live_client *c = lc_live_client_create(b->live, &caller, b);
        if (lc_live_subscribe(c, LC_LIVE_SET, 1, &connection, &text, 1, &out, &err)) {
            fprintf(stderr, "%s\n", lc_error_text(&err));
            exit(1);
        }
        lc_live_results_deinit(&out);
        lc_free(sql);
    }
}

static void count(void *arg, lc_live_client *client, const lc_live_item *items, uint32_t n)
{
    bench *b = arg;
    (void)client;
    b->told++;
    for (uint32_t i = 0; i < n; i++)
        b->rows += items[i].change->insert_count + items[i].change->delete_count;
}

/* Transactions of `rows` inserted rows with random owners below `owners`; time of publishing only.
 */
static void run(bench *b, const char *title, uint32_t owners, uint32_t rows, uint32_t transactions)
{
    double spent = 0;
    b->told = b->rows = 0;
    for (uint32_t t = 0; t < transactions; t++) {
        lc_store_begin(b->store);
        for (uint32_t r = 0; r < rows; r++) put(b, ++b->last_id, (uint32_t)rand() % owners);
        const lc_delta *delta = lc_store_commit(b->store);
        double start = now();
        lc_live_publish(b->live, delta, count, b);
        spent += now() - start;
        lc_store_release(b->store);
    }
    double changed = (double)rows * transactions;
    printf("%-58s %8.1f ns per changed row, %6.1f ns per client told\n", title, spent / changed,
           b->told ? spent / (double)b->told : 0);
}

static void equality(uint32_t subscribers)
{
    bench b;
    char title[100];
    create(&b);
    double start = now();
    subscribe(&b, subscribers, "SELECT * FROM entity WHERE owner = %u");
    printf("%-58s %8.1f ns each\n", "subscribing", (now() - start) / subscribers);
    snprintf(title, sizeof title, "%u equality queries, every row has a reader", subscribers);
    run(&b, title, subscribers, 1, 200000);
    snprintf(title, sizeof title, "%u equality queries, no row has one", subscribers);
    run(&b, title, 0x7fffffff, 1, 200000);
    snprintf(title, sizeof title, "%u equality queries, 100 rows at a time", subscribers);
    run(&b, title, subscribers, 100, 2000);
    destroy(&b);
}

static void one_query(uint32_t subscribers, const char *sql, const char *title)
{
    bench b;
    create(&b);
    subscribe(&b, subscribers, sql);
    run(&b, title, 1000, 1, 5000);
    destroy(&b);
}

static void parsing(void)
{
    static const char *const texts[] = {
        "SELECT * FROM entity",
        "SELECT * FROM entity WHERE owner = 12345",
        ("SELECT \"entity\".* FROM \"entity\" WHERE ((\"entity\".\"owner\" = 12345) AND "
         "(\"entity\".\"x\" > 7))"),
    };
    bench b;
    lc_caller caller = {0};
    create(&b);
    for (size_t i = 0; i < LC_ARRAY_LEN(texts); i++) {
        lc_span text = lc_span_of_str(texts[i]);
        double start = now();
        for (int n = 0; n < 200000; n++) {
            lc_plan *plan;
            if (lc_plan_create(b.store, text, LC_DIALECT_SUBSCRIPTION, &caller, &plan, NULL))
                exit(1);
            lc_plan_destroy(plan);
        }
        printf("parse and bind, %3zu bytes %51.1f ns\n", text.len, (now() - start) / 200000);
    }
    destroy(&b);
}

static void scanning(void)
{
    bench b;
    lc_caller caller = {0};
    create(&b);
    lc_store_begin(b.store);
    for (uint32_t i = 0; i < 1000000; i++) put(&b, i, i % 1000);
    lc_store_commit(b.store);
    lc_store_release(b.store);
    static const char *const texts[] = {"select * from entity",
                                        "select * from entity where owner = 7",
                                        "select id, x from entity where owner < 100 and x > 0"};
    for (size_t i = 0; i < LC_ARRAY_LEN(texts); i++) {
        lc_plan *plan;
        lc_rowset rows = {0};
        if (lc_plan_create(b.store, lc_span_of_str(texts[i]), LC_DIALECT_AD_HOC, &caller, &plan,
                           NULL))
            exit(1);
        double start = now();
        lc_plan_select(plan, &rows, NULL);
        printf("%-58s %8.1f ns per row of a million, %llu found\n", texts[i], (now() - start) / 1e6,
               (unsigned long long)rows.count);
        lc_plan_destroy(plan);
        lc_rowset_deinit(&rows);
    }
    destroy(&b);
}

int main(void)
{
    equality(10000);
    equality(50000);
    one_query(1000, "SELECT * FROM entity", "1000 subscribers of one whole-table query");
    one_query(1000, "SELECT * FROM entity WHERE x > 0", "1000 subscribers of one filter");
    parsing();
    scanning();
    return 0;
}
