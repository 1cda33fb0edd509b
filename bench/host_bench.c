/*
 * What one reducer call costs between the executor and the module: the fund transfer of the bank
 * module (2 point reads, 2 updates) against the real store, in one thread, without log, wire or
 * subscribers.
 *
 *   bench-host_bench bank.wasm [accounts [seconds]]
 *
 * Prints nanoseconds per call for: an empty call (an argument error is the shortest path through
 * the module), the whole transfer, and the transaction around it alone.
 */
#include <stdio.h>
#include <stdlib.h>

#include "host/lc_host.h"

static lc_store *store;
static lc_instance *instance;
static uint64_t random_state = 1;

static uint64_t now_nanos(void)
{
    return lc_clock_mono(lc_clock_system());
}

static uint32_t random_below(uint32_t n)
{
    uint64_t z = random_state += 0x9e3779b97f4a7c15ull;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return (uint32_t)((z ^ z >> 31) % n);
}

static void die(const char *what, const lc_error *err)
{
    fprintf(stderr, "%s: %s\n", what, lc_error_text(err));
    exit(1);
}

static lc_outcome call(const lc_function_def *f, const void *args, size_t size, lc_buf *text)
{
    lc_call c = {.id = f->id, .name = f->name, .timestamp = 1, .args = LC_SPAN(args, size)};
    lc_store_begin(store);
    lc_outcome outcome = lc_instance_call_reducer(instance, &c, text);
    if (outcome == LC_OUTCOME_OK) {
        lc_store_commit(store);
        lc_store_release(store);
    } else {
        lc_store_rollback(store);
    }
    return outcome;
}

typedef struct transfer_args {
    uint32_t from, to;
    int64_t amount;
} transfer_args;

typedef enum what { TRANSACTION, EMPTY_CALL, TRANSFER } what;

static void measure(const char *name, what w, const lc_function_def *transfer, uint32_t accounts,
                    double seconds)
{
    uint64_t calls = 0, begin = now_nanos(), end = begin + (uint64_t)(seconds * 1e9), now;
    do {
        for (int i = 0; i < 1000; i++, calls++) {
            uint32_t from = random_below(accounts);
            transfer_args args = {from, (from + 1) % accounts, w == EMPTY_CALL ? -1 : 1};
            if (w == TRANSACTION) {
                lc_store_begin(store);
                lc_store_commit(store);
                lc_store_release(store);
                continue;
            }
            lc_outcome got = call(transfer, &args, sizeof args, NULL);
            if (got != (w == EMPTY_CALL ? LC_OUTCOME_USER_ERROR : LC_OUTCOME_OK)) {
                fprintf(stderr, "transfer ended with outcome %d\n", (int)got);
                exit(1);
            }
        }
        now = now_nanos();
    } while (now < end);
    printf("%-12s %8.1f ns\n", name, (double)(now - begin) / (double)calls);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: %s bank.wasm [accounts [seconds]]\n", argv[0]);
        return 2;
    }
    uint32_t accounts = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 100000;
    double seconds = argc > 3 ? strtod(argv[3], NULL) : 2;

    lc_error err = LC_ERROR_INIT;
    lc_buf wasm = LC_BUF_INIT, description = LC_BUF_INIT, text = LC_BUF_INIT;
    if (lc_disk_read_file(lc_disk_system(), argv[1], &wasm, &err)) die(argv[1], &err);
    lc_engine *engine = lc_engine_create(&(lc_engine_options){.cache_folder = NULL});
    store = lc_store_create();
    lc_env env = {.store = store, .clock = lc_clock_system()};
    lc_program *program;
    lc_schema *schema;
    if (lc_program_load(engine, lc_buf_span(&wasm), &program, &err)) die("load", &err);
    if (lc_instance_create(program, &env, &instance, &description, &err)) die("start", &err);
    if (lc_schema_read(lc_buf_span(&description), &schema, &err)) die("definition", &err);
    lc_store_begin(store);
    if (lc_store_create_schema(store, schema, &err)) die("tables", &err);
    lc_store_commit(store);
    lc_store_release(store);

    const lc_function_def *seed = lc_schema_find_reducer(schema, LC_STR("seed"));
    const lc_function_def *transfer = lc_schema_find_reducer(schema, LC_STR("transfer"));
    if (!seed || !transfer) die("the module has no reducers seed and transfer", NULL);
    struct __attribute__((packed)) {
        uint32_t n;
        int64_t balance;
    } seed_args = {accounts, 1000000000};
    if (call(seed, &seed_args, sizeof seed_args, &text) != LC_OUTCOME_OK) {
        fprintf(stderr, "seed: " LC_SPAN_FMT "\n", LC_SPAN_ARG(lc_buf_span(&text)));
        return 1;
    }

    measure("transaction", TRANSACTION, transfer, accounts, seconds / 2);
    measure("empty call", EMPTY_CALL, transfer, accounts, seconds / 2);
    measure("transfer", TRANSFER, transfer, accounts, seconds);

    lc_instance_destroy(instance);
    lc_program_unref(program);
    lc_schema_unref(schema);
    lc_store_destroy(store);
    lc_engine_destroy(engine);
    lc_buf_deinit(&wasm);
    lc_buf_deinit(&description);
    lc_buf_deinit(&text);
    return 0;
}
