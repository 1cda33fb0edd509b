#include "database_kit.h"

#include "host/host_test.h"
#include "schema/builder.h"

#include <errno.h>
#include <ftw.h>
#include <unistd.h>

/* -------------------------------------------------------------------- module */

static const char module_text[] =
    "(module %%imports (memory (export \"memory\") 2)"
    "(data (i32.const 100) \"tickfiredseen\") (data (i32.const 4096) \"" LC_SPAN_FMT "\")"
    "(func (export \"__describe_module__\") (param $sink i32)"
    "  (i32.store (i32.const 64) (i32.const %zu))"
    "  (drop (call $bytes_sink_write (local.get $sink) (i32.const 4096) (i32.const 64))))"
    "(func $insert (param $name i32) (param $name_len i32) (param $row i32) (param $len i32)"
    "  (drop (call $table_id_from_name (local.get $name) (local.get $name_len) (i32.const 80)))"
    "  (i32.store (i32.const 84) (local.get $len))"
    "  (drop (call $datastore_insert_bsatn (i32.load (i32.const 80)) (local.get $row)"
    "    (i32.const 84))))"
    "(func (export \"__call_reducer__\") (param $id i32) (param i64 i64 i64 i64 i64 i64)"
    "  (param $time i64) (param $args i32) (param $err i32) (result i32)"
    "  (i32.store (i32.const 88) (i32.const 1024))"
    "  (drop (call $bytes_source_read (local.get $args) (i32.const 1024) (i32.const 88)))"
    "  (i64.store (i32.const 2048) (i64.extend_i32_u (i32.sub (local.get $id) (i32.const 1))))"
    "  (i64.store (i32.const 2056) (local.get $time))"
    "  (if (i32.eqz (local.get $id)) (then"
    "    (call $insert (i32.const 100) (i32.const 4) (i32.const 1024) (i32.load (i32.const 88)))))"
    "  (if (i32.eq (local.get $id) (i32.const 1)) (then"
    "    (call $insert (i32.const 104) (i32.const 5) (i32.const 2056) (i32.const 8))))"
    "  (if (i32.gt_u (local.get $id) (i32.const 1)) (then"
    "    (call $insert (i32.const 109) (i32.const 4) (i32.const 2048) (i32.const 16))))"
    "  (i32.const 0)))";

static void put_schedule(builder *b)
{
    lc_buf payload = LC_BUF_INIT;
    lc_buf_put_u32(&payload, 1);
    lc_buf_put_u8(&payload, 1); /* no name */
    builder_string(&payload, "tick");
    lc_buf_put_u16(&payload, 1);
    builder_string(&payload, "on_tick");
    builder_section(b, 6, lc_buf_span(&payload));
    lc_buf_reset(&payload);
    lc_buf_put_u32(&payload, 2);
    lc_buf_put_u8(&payload, LC_LIFECYCLE_CONNECT);
    builder_string(&payload, "hello");
    lc_buf_put_u8(&payload, LC_LIFECYCLE_DISCONNECT);
    builder_string(&payload, "bye");
    builder_section(b, 7, lc_buf_span(&payload));
    lc_buf_deinit(&payload);
}

static lc_buf build_module(void)
{
    builder b;
    builder_init(&b, false);
    uint32_t tick = builder_type(&b, "Tick", "{id: U64, at: ScheduleAt}");
    uint32_t fired = builder_type(&b, "Fired", "{stamp: I64}");
    uint32_t seen = builder_type(&b, "Seen", "{what: I64, stamp: I64}");
    builder_add_table(&b, &(builder_table){.name = "tick", .ref = tick, .key = 0});
    builder_add_table(&b, &(builder_table){.name = "fired", .ref = fired, .key = -1});
    builder_add_table(&b, &(builder_table){.name = "seen", .ref = seen, .key = -1});
    builder_add_reducer(&b, "add", "{id: U64, at: ScheduleAt}");
    builder_add_reducer(&b, "on_tick", "{row: &0}");
    builder_add_reducer(&b, "hello", "{}");
    builder_add_reducer(&b, "bye", "{}");
    put_schedule(&b);
    lc_span definition = builder_finish(&b);
    lc_buf escaped = LC_BUF_INIT;
    for (size_t i = 0; i < definition.len; i++)
        lc_buf_printf(&escaped, "\\%02x", definition.ptr[i]);
    char *text = lc_format(module_text, LC_SPAN_ARG(lc_buf_span(&escaped)), definition.len);
    lc_buf bytes = host_wat(text);
    lc_free(text);
    lc_buf_deinit(&escaped);
    builder_deinit(&b);
    return bytes;
}

/* ------------------------------------------------------------ clock and disk */

static int64_t clock_now(void *self)
{
    const kit *k = self;
    return atomic_load(&k->now);
}

static uint64_t clock_mono(void *self)
{
    const kit *k = self;
    return atomic_load(&k->mono);
}

static kit *full_disk_of; /* one kit at a time: files are the system's own */

static ssize_t disk_pwrite(void *self, lc_file *f, const void *buf, size_t n, uint64_t at)
{
    if (atomic_load(&full_disk_of->disk_is_full)) return -ENOSPC;
    return lc_disk_system()->pwrite(self, f, buf, n, at);
}

void kit_jump(kit *k, int64_t micros)
{
    atomic_fetch_add(&k->now, micros);
    kit_settle(k);
}

void kit_advance(kit *k, int64_t micros)
{
    atomic_fetch_add(&k->mono, (uint64_t)micros * 1000);
    kit_jump(k, micros);
}

typedef struct look {
    lc_job job;
    bool is_due;
} look;

static void run_look(lc_job *job, lc_database *db)
{
    look *l = LC_CONTAINER(job, look, job);
    l->is_due = !db->is_closed && lc_schedule_is_due(db);
}

/* The executor runs one due entry after each look. */
void kit_settle(kit *k)
{
    look l = {.job = {.run = run_look}};
    do lc_database_run(k->db, &l.job);
    while (l.is_due);
}

/* ---------------------------------------------------------------- life cycle */

static void on_failed(void *arg, lc_database *db, const lc_error *err)
{
    kit *k = arg;
    (void)db;
    lc_free(k->reason);
    k->reason = lc_strdup(lc_error_text(err));
    atomic_fetch_add(&k->failures, 1);
}

static lc_database_options options(kit *k)
{
    return (lc_database_options){
        .identity = {{7}},
        .owner = k->owner,
        .folder = k->folder,
        .engine = k->engine,
        .disk = &k->disk,
        .clock = &k->clock,
        .on_failed = on_failed,
        .arg = k,
    };
}

void kit_init(kit *k)
{
    *k = (kit){.owner = {{9}}};
    strcpy(k->folder, "/tmp/lightcone-database-XXXXXX");
    assert_non_null(mkdtemp(k->folder));
    host_catch_traps();
    k->engine = lc_engine_create(&(lc_engine_options){.call_time_limit_millis = 10000});
    k->clock = (lc_clock){clock_now, clock_mono, k};
    atomic_store(&k->now, 1800000000000000);
    atomic_store(&k->mono, 1000000000);
    k->disk = *lc_disk_system();
    k->disk.pwrite = disk_pwrite;
    full_disk_of = k;
    lc_buf program = build_module();
    lc_error err = LC_ERROR_INIT;
    lc_prepared *p;
    lc_database_options o = options(k);
    assert_ok(
        lc_prepared_create(k->engine, lc_buf_span(&program), 0, &o.identity, &k->clock, &p, &err),
        &err);
    assert_ok(lc_database_create(&o, p, &k->db, &err), &err);
    lc_buf_deinit(&program);
}

void kit_open(kit *k, const char *read_only_reason)
{
    lc_error err = LC_ERROR_INIT;
    lc_database_options o = options(k);
    o.read_only_reason = read_only_reason;
    assert_ok(lc_database_open(&o, &k->db, &err), &err);
}

void kit_close(kit *k, bool in_order)
{
    lc_database_close(k->db, in_order);
    lc_database_join(k->db);
    lc_database_unref(k->db);
    k->db = NULL;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path);
}

void kit_deinit(kit *k)
{
    if (k->db) kit_close(k, true);
    lc_engine_destroy(k->engine);
    lc_free(k->reason);
    assert_int_equal(nftw(k->folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS), 0);
}

/* --------------------------------------------------------------------- calls */

static lc_http_caller caller_of(const kit *k)
{
    return (lc_http_caller){
        .identity = k->owner,
        .connection = lc_connection_id_random(lc_random_system()),
        .jwt_payload = LC_STR("{}"),
    };
}

static void keep_text(lc_buf *from, char **text)
{
    if (text)
        *text = lc_buf_give_cstr(from);
    else
        assert_int_equal(from->len, 0);
}

typedef struct call_job {
    lc_job job;
    lc_http_caller caller;
    lc_span reducer, json;
    lc_call_outcome outcome;
} call_job;

static void run_call(lc_job *job, lc_database *db)
{
    call_job *c = LC_CONTAINER(job, call_job, job);
    lc_database_http_call(db, &c->caller, c->reducer, c->json, &c->outcome);
}

lc_status kit_call(kit *k, const char *reducer, const char *json, char **text)
{
    call_job c = {.job = {.run = run_call},
                  .caller = caller_of(k),
                  .reducer = lc_span_of_str(reducer),
                  .json = lc_span_of_str(json)};
    lc_database_run(k->db, &c.job);
    bool is_durable = lc_database_wait_durable(k->db, c.outcome.need);
    assert_true(is_durable || lc_database_is_failed(k->db));
    keep_text(&c.outcome.text, text);
    lc_status refusal = c.outcome.refusal;
    lc_call_outcome_deinit(&c.outcome);
    return refusal;
}

static void add(kit *k, uint64_t id, const char *kind, const char *member, int64_t value)
{
    char *json = lc_format("[%llu, {\"%s\": {\"%s\": %lld}}]", (unsigned long long)id, kind, member,
                           (long long)value);
    assert_int_equal(kit_call(k, "add", json, NULL), LC_OK);
    lc_free(json);
}

void kit_add_time(kit *k, uint64_t id, int64_t at)
{
    add(k, id, "Time", "__timestamp_micros_since_unix_epoch__", at);
}

void kit_add_interval(kit *k, uint64_t id, int64_t micros)
{
    add(k, id, "Interval", "__time_duration_micros__", micros);
}

typedef struct sql_job {
    lc_job job;
    lc_http_caller caller;
    lc_span sql;
    lc_sql_outcome outcome;
} sql_job;

static void run_sql(lc_job *job, lc_database *db)
{
    sql_job *s = LC_CONTAINER(job, sql_job, job);
    lc_database_http_sql(db, &s->caller, s->sql, &s->outcome);
}

static int compare_numbers(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

lc_status kit_sql(kit *k, const char *sql, kit_numbers *rows, char **text)
{
    sql_job s = {.job = {.run = run_sql}, .caller = caller_of(k), .sql = lc_span_of_str(sql)};
    lc_database_run(k->db, &s.job);
    lc_database_http_sql_read(k->db, &s.outcome);
    for (uint64_t i = 0; rows && i < s.outcome.rows.count; i++)
        lc_vec_push(rows, (int64_t)lc_load_u64(lc_rowset_row(&s.outcome.rows, i).ptr));
    if (rows && rows->len) qsort(rows->items, rows->len, sizeof rows->items[0], compare_numbers);
    keep_text(&s.outcome.text, text);
    lc_status status = s.outcome.status;
    lc_sql_outcome_deinit(k->db, &s.outcome);
    return status;
}

void kit_expect(kit *k, const char *sql, size_t count, const int64_t *want)
{
    kit_numbers rows = {0};
    assert_int_equal(kit_sql(k, sql, &rows, NULL), LC_OK);
    assert_int_equal(rows.len, count);
    for (size_t i = 0; i < count; i++) assert_int_equal(rows.items[i], want[i]);
    lc_vec_deinit(&rows);
}

/* ------------------------------------------------------------------- clients */

struct kit_client {
    lc_sink sink;
    lc_client *client;
    pthread_mutex_t lock;
    LC_VEC(lc_delivery_batch *) batches;
    lc_buf delivered;
};

static void post(lc_sink *sink, lc_delivery_batch *batch, bool held, bool wake)
{
    (void)held, (void)wake;
    kit_client *c = LC_CONTAINER(sink, kit_client, sink);
    pthread_mutex_lock(&c->lock);
    lc_vec_push(&c->batches, batch);
    pthread_mutex_unlock(&c->lock);
}

static void wake(lc_sink *sink)
{
    (void)sink;
}

static void say_connected(const lc_client *c, lc_buf *out)
{
    (void)c;
    lc_buf_put_str(out, "hello");
}

static bool say_call_result(const lc_client *c, const lc_tx_event *e, const lc_live_item *items,
                            uint32_t count, lc_buf *out)
{
    (void)c, (void)items;
    lc_buf_printf(out, "call %d %u " LC_SPAN_FMT, (int)e->status, count, LC_SPAN_ARG(e->text));
    return true;
}

static lc_message *say_update(const lc_client *c, const lc_tx_event *e, const lc_live_item *items,
                              uint32_t count, lc_buf *out)
{
    (void)c, (void)e, (void)items;
    lc_buf_printf(out, "update %u", count);
    return NULL;
}

static void say_subscribed(const lc_client *c, lc_live_kind kind, uint32_t request_id, uint32_t id,
                           const lc_live_results *results, int64_t micros, lc_buf *out)
{
    (void)c, (void)kind, (void)request_id, (void)id, (void)results, (void)micros;
    lc_buf_put_str(out, "subscribed");
}

static void say_error(const lc_client *c, lc_live_kind kind, uint32_t request_id, uint32_t id,
                      lc_span text, int64_t micros, lc_buf *out)
{
    (void)c, (void)kind, (void)request_id, (void)id, (void)micros;
    lc_buf_put_span(out, text);
}

static void forget_cache(void *cache)
{
    (void)cache;
}

static const lc_protocol protocol = {
    .slot = 0,
    .connected = say_connected,
    .call_result = say_call_result,
    .update = say_update,
    .subscribed = say_subscribed,
    .subscription_error = say_error,
    .drop_cache = forget_cache,
};

static lc_request *request(kit_client *c, lc_request_kind kind, lc_request_batch **batch)
{
    *batch = lc_request_batch_create();
    return lc_request_add(*batch, kind, c->client);
}

kit_client *kit_connect(kit *k)
{
    kit_client *c = lc_alloc_zero(sizeof *c);
    c->sink = (lc_sink){post, wake};
    pthread_mutex_init(&c->lock, NULL);
    c->client = lc_client_create(k->db, &protocol, &c->sink, c);
    c->client->identity = k->owner;
    c->client->connection_id = lc_connection_id_random(lc_random_system());
    c->client->jwt_payload = lc_strdup("{}");
    c->client->is_confirmed = true;
    lc_database_add_sink(k->db, &c->sink);
    lc_request_batch *b;
    request(c, LC_REQUEST_CONNECT, &b);
    lc_database_submit(k->db, b);
    return c;
}

void kit_subscribe(kit *k, kit_client *c, const char *sql)
{
    lc_request_batch *b;
    lc_request *r = request(c, LC_REQUEST_SUBSCRIBE, &b);
    lc_span *text = lc_arena_alloc(&b->arena, sizeof *text);
    *text = lc_request_copy(b, lc_span_of_str(sql));
    r->live_kind = LC_LIVE_SET;
    r->id = 1;
    r->texts = text;
    r->text_count = 1;
    lc_database_submit(k->db, b);
}

void kit_client_call(kit *k, kit_client *c, const char *reducer, lc_span args)
{
    lc_request_batch *b;
    lc_request *r = request(c, LC_REQUEST_CALL, &b);
    r->name = lc_request_copy(b, lc_span_of_str(reducer));
    r->args = lc_request_copy(b, args);
    lc_database_submit(k->db, b);
}

static void deliver(kit_client *c, const lc_delivery_batch *b, const lc_delivery *d, bool is_lost)
{
    lc_span bytes = d->message ? LC_SPAN(d->message->bytes, d->message->len)
                               : LC_SPAN(b->bytes.ptr + d->at, d->len);
    if (d->kind == LC_DELIVERY_CLOSE)
        lc_buf_printf(&c->delivered, "close %u " LC_SPAN_FMT ";", lc_load_u16(bytes.ptr),
                      LC_SPAN_ARG(LC_SPAN(bytes.ptr + 2, bytes.len - 2)));
    else if (d->kind == LC_DELIVERY_GONE)
        lc_buf_put_str(&c->delivered, "gone;");
    else if (!is_lost)
        lc_buf_printf(&c->delivered, LC_SPAN_FMT ";", LC_SPAN_ARG(bytes));
}

static void run_nothing(lc_job *job, lc_database *db)
{
    (void)job, (void)db;
}

const char *kit_delivered(kit *k, kit_client *c)
{
    lc_job nothing = {.run = run_nothing};
    lc_database_run(k->db, &nothing); /* what was asked before has been done */
    lc_buf_reset(&c->delivered);
    pthread_mutex_lock(&c->lock);
    LC_VEC_EACH (b, &c->batches) {
        LC_VEC_EACH (d, &(*b)->items) {
            bool is_lost = !lc_database_wait_durable(k->db, d->need);
            deliver(c, *b, d, is_lost);
        }
        lc_delivery_batch_destroy(*b);
    }
    c->batches.len = 0;
    pthread_mutex_unlock(&c->lock);
    lc_buf_put_u8(&c->delivered, 0);
    return (const char *)c->delivered.ptr;
}

void kit_disconnect(kit *k, kit_client *c)
{
    lc_request_batch *b;
    request(c, LC_REQUEST_DISCONNECT, &b);
    lc_database_submit(k->db, b);
    assert_non_null(strstr(kit_delivered(k, c), "gone;"));
    lc_database_remove_sink(k->db, &c->sink);
    lc_vec_deinit(&c->batches);
    lc_buf_deinit(&c->delivered);
    pthread_mutex_destroy(&c->lock);
    lc_free(c);
}
