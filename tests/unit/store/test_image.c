/*
 * Frozen images: each must show the tables as they were when it was taken, whatever is done to them
 * since, by whatever number of images and in whatever order they are released.
 */
#include <pthread.h>
#include <unistd.h>

#include "fixture.h"

static uint64_t seed;

static uint32_t below(uint32_t n)
{
    return (uint32_t)(lc_test_random(&seed) % n);
}

static bool one_in(uint32_t n)
{
    return below(n) == 0;
}

/* ------------------------------------------------------------------ tables */

typedef enum kind {
    FIXED,   /* (u32 unique, u32) */
    TEXTS,   /* (u32 unique, string) */
    SET,     /* (u32, u16), no index at all */
    GROUPED, /* (u32 unique, u8 with an ordered index that allows equal keys, string) */
    BIG,     /* (u32 unique, string) with rows of a page and more */
    KINDS
} kind;

static lc_table *add_table(lc_store *s, kind k, const char *name)
{
    table_builder b;
    tb_init(&b, name);
    tb_column(&b, "a", TY(U32));
    if (k == FIXED) tb_column(&b, "b", TY(U32));
    if (k == SET) tb_column(&b, "b", TY(U16));
    if (k == GROUPED) tb_column(&b, "b", TY(U8));
    if (k == TEXTS || k == GROUPED || k == BIG) tb_column(&b, "text", TY(STRING));
    if (k != SET) tb_index(&b, one_in(2) ? LC_INDEX_BTREE : LC_INDEX_HASH, true, "0");
    if (k == GROUPED) tb_index(&b, LC_INDEX_BTREE, false, "1");
    return tb_create_in_tx(&b, s);
}

static lc_span random_row(kind k, uint32_t keys)
{
    static char text[40000];
    uint32_t len = k == BIG ? below(sizeof text - 1) : below(30);
    memset(text, 'a' + (int)below(26), len);
    text[len] = 0;
    uint32_t key = below(keys);
    switch (k) {
    case FIXED:
        return row("44", key, below(1000));
    case SET:
        return row("42", key, below(2));
    case GROUPED:
        return row("41s", key, below(4), text);
    default:
        return row("4s", key, text);
    }
}

/* ------------------------------------------------------------------ images */

/* All tables at one moment, copied at once. */
typedef struct copy {
    lc_image *image;
    uint32_t ids[32];
    const lc_layout *layouts[32];
    spans rows[32];   /* sorted */
    spans groups[32]; /* in the order of index 1, when the table has one */
    uint32_t count;
    uint64_t row_count;
} copy;

static void in_order(const lc_index *i, spans *out)
{
    lc_range all = {.start.kind = LC_BOUND_UNBOUNDED, .end.kind = LC_BOUND_UNBOUNDED};
    assert_int_equal(lc_index_scan_range(i, &all, add_visit, out, NULL), 0);
}

static void copy_take(copy *c, lc_store *s)
{
    *c = (copy){.image = lc_store_freeze(s)};
    uint32_t at = 0;
    for (lc_table *t; (t = lc_store_next_table(s, &at));) {
        if (lc_table_is_event(t) || lc_table_row_count(t) == 0) continue;
        c->ids[c->count] = lc_table_id(t);
        c->layouts[c->count] = lc_table_layout(t);
        collect_sorted(t, &c->rows[c->count]);
        lc_index *i = lc_table_index(t, 1);
        if (i && !lc_table_is_system(t)) in_order(i, &c->groups[c->count]);
        c->row_count += c->rows[c->count++].len;
        assert_true(c->count < 32);
    }
    assert_int_equal(lc_image_row_count(c->image), c->row_count);
}

static void copy_deinit(copy *c)
{
    for (uint32_t n = 0; n < c->count; n++) {
        spans_deinit(&c->rows[n]);
        spans_deinit(&c->groups[n]);
    }
}

typedef struct stamped {
    lc_span row;
    uint64_t stamp;
} stamped;

/* By byte 4, the grouped column, then by stamp. */
static int by_group(const void *a, const void *b)
{
    const stamped *x = a, *y = b;
    if (x->row.ptr[4] != y->row.ptr[4]) return x->row.ptr[4] < y->row.ptr[4] ? -1 : 1;
    return x->stamp < y->stamp ? -1 : x->stamp > y->stamp;
}

/* The rows of one table as its chunks give them. */
typedef struct reading {
    spans rows;
    LC_VEC(stamped) groups;
} reading;

static void read_chunk(const copy *c, uint32_t n, lc_span chunk, reading *r)
{
    uint32_t count = lc_load_u32(chunk.ptr + 4);
    const uint8_t *at = chunk.ptr + 9;
    const size_t first = r->rows.len;
    assert_true(count > 0);
    for (uint32_t i = 0; i < count; i++) {
        size_t size;
        size_t rest = (size_t)(chunk.ptr + chunk.len - at);
        assert_int_equal(lc_layout_validate(c->layouts[n], LC_SPAN(at, rest), &size, NULL), LC_OK);
        spans_add(&r->rows, LC_SPAN(at, size));
        at += size;
    }
    if (chunk.ptr[8] & 1) {
        for (uint32_t i = 0; i < count; i++, at += 8)
            lc_vec_push(&r->groups, ((stamped){r->rows.items[first + i], lc_load_u64(at)}));
    }
    assert_ptr_equal(at, chunk.ptr + chunk.len);
}

static void compare_table(const copy *c, uint32_t n, reading *r)
{
    if (c->groups[n].len > 0) {
        assert_int_equal(r->groups.len, c->groups[n].len);
        qsort(r->groups.items, r->groups.len, sizeof *r->groups.items, by_group);
        for (size_t i = 0; i < r->groups.len; i++)
            assert_true(lc_span_equal(r->groups.items[i].row, c->groups[n].items[i]));
    }
    spans_sort(&r->rows);
    assert_spans_equal(&r->rows, &c->rows[n]);
    spans_deinit(&r->rows);
    lc_vec_deinit(&r->groups);
}

/* Reads an image to its end, pausing between chunks, and compares. */
typedef struct reader {
    const copy *copy;
    uint32_t table;
    reading reading;
    lc_buf chunk;
} reader;

static bool reader_step(reader *r, size_t target)
{
    const copy *c = r->copy;
    lc_buf_reset(&r->chunk);
    lc_buf_put_u8(&r->chunk, 7); /* chunks are appended */
    if (!lc_image_next_chunk(c->image, target, &r->chunk)) {
        assert_int_equal(r->chunk.len, 1);
        assert_false(lc_image_next_chunk(c->image, target, &r->chunk));
        if (c->count > 0) compare_table(c, r->table, &r->reading);
        assert_true(c->count == 0 || r->table == c->count - 1);
        lc_buf_deinit(&r->chunk);
        return false;
    }
    assert_int_equal(r->chunk.ptr[0], 7);
    uint32_t id = lc_load_u32(r->chunk.ptr + 1);
    if (id != c->ids[r->table]) {
        compare_table(c, r->table, &r->reading);
        r->table++;
        assert_true(r->table < c->count);
        assert_int_equal(id, c->ids[r->table]);
    }
    read_chunk(c, r->table, LC_SPAN(r->chunk.ptr + 1, r->chunk.len - 1), &r->reading);
    return true;
}

static void reader_abandon(reader *r)
{
    spans_deinit(&r->reading.rows);
    lc_vec_deinit(&r->reading.groups);
    lc_buf_deinit(&r->chunk);
}

static void check_copy(const copy *c)
{
    reader r = {.copy = c};
    while (reader_step(&r, 1000)) {
    }
}

/* ------------------------------------------------------------ random worlds */

typedef struct world {
    lc_store *store;
    lc_table *tables[KINDS];
    lc_table *events;
    uint32_t keys;
} world;

static void world_init(world *w, uint32_t keys)
{
    static const char *const names[KINDS] = {"fixed", "texts", "set", "grouped", "big"};
    *w = (world){.store = lc_store_create(), .keys = keys};
    lc_store_begin(w->store);
    for (uint32_t k = 0; k < KINDS; k++) w->tables[k] = add_table(w->store, (kind)k, names[k]);
    table_builder b;
    tb_init(&b, "events");
    tb_column(&b, "a", TY(U32));
    b.def.is_event = true;
    w->events = tb_create_in_tx(&b, w->store);
    commit(w->store);
}

static void step(world *w)
{
    kind k = one_in(50) ? BIG : (kind)below(BIG);
    lc_table *t = w->tables[k];
    uint32_t keys = k == BIG ? 20 : w->keys, choice = below(100);
    lc_span r = random_row(k, keys);
    if (choice < 45) {
        insert(t, r);
    } else if (choice < 70 && k != SET) {
        update(t, 0, r);
    } else if (choice < 97) {
        uint32_t deleted;
        if (k == SET)
            lc_table_delete_row(t, r);
        else
            lc_index_delete_point(lc_table_index(t, 0), LC_SPAN(r.ptr, 4), &deleted, NULL);
    } else if (choice < 99) {
        insert(w->events, row("4", below(5)));
    } else if (one_in(w->keys / 20)) {
        lc_table_clear(t);
    }
}

static void transaction(world *w, uint32_t steps)
{
    lc_store_begin(w->store);
    while (steps-- > 0) step(w);
    if (one_in(10)) { /* a table that never was, or is gone again */
        lc_table *t = add_table(w->store, TEXTS, "passing");
        for (uint32_t n = below(300); n > 0; n--) insert(t, row("4s", n, "text"));
        lc_store_rollback(w->store);
    } else if (one_in(5)) {
        lc_store_rollback(w->store);
    } else {
        commit(w->store);
    }
}

enum { IMAGES = 4 };

static void run(uint32_t keys, uint32_t transactions, uint32_t steps)
{
    world w;
    world_init(&w, keys);
    copy copies[IMAGES];
    reader readers[IMAGES];
    bool is_taken[IMAGES] = {0};
    for (uint32_t n = 0; n < transactions; n++) {
        transaction(&w, 1 + below(steps));
        uint32_t at = below(IMAGES);
        if (!is_taken[at]) {
            if (!one_in(3)) continue;
            copy_take(&copies[at], w.store);
            readers[at] = (reader){.copy = &copies[at]};
            is_taken[at] = true;
            continue;
        }
        /* The reader goes on a bit; some give up on the way. */
        bool is_over = one_in(60);
        if (is_over) reader_abandon(&readers[at]);
        for (uint32_t c = below(4); c > 0 && !is_over; c--)
            is_over = !reader_step(&readers[at], one_in(2) ? below(500) : below(40000));
        if (!is_over) continue;
        lc_image_release(copies[at].image);
        copy_deinit(&copies[at]);
        is_taken[at] = false;
    }
    check_store(w.store);
    for (uint32_t at = 0; at < IMAGES; at++) {
        if (!is_taken[at]) continue;
        while (reader_step(&readers[at], 5000)) {
        }
        lc_image_release(copies[at].image);
        copy_deinit(&copies[at]);
    }
    check_store(w.store);
    if (one_in(2)) {
        while (lc_store_tidy(w.store)) {
        }
    }
    lc_store_destroy(w.store);
}

LC_TEST(images_of_random_transactions)
{
    const char *more = getenv("LC_MODEL_RUNS");
    uint32_t runs = more ? (uint32_t)strtoul(more, NULL, 0) : 12;
    for (seed = 1; runs > 0; runs--) {
        run(40, 500, 12);
        run(1500, 250, 100);
        run(20000, 80, 500);
    }
}

/* ------------------------------------------------------------- single cases */

LC_TEST(an_empty_image_and_one_of_system_tables)
{
    lc_store *s = lc_store_create();
    copy c;
    copy_take(&c, s);
    check_copy(&c);
    lc_image_release(c.image);
    copy_deinit(&c);
    lc_store_destroy(s);
}

LC_TEST(chunks_are_as_long_as_asked_for)
{
    lc_store *s = lc_store_create();
    lc_store_begin(s);
    lc_table *fixed = add_table(s, FIXED, "fixed"), *texts = add_table(s, TEXTS, "texts");
    for (uint32_t n = 0; n < 20000; n++) {
        insert(fixed, row("44", n, n));
        insert(texts, row("4s", n, "some text"));
    }
    commit(s);
    static const size_t targets[] = {0, 1, 100, 1000, 16000, 20000, 1 << 20};
    for (size_t n = 0; n < LC_ARRAY_LEN(targets); n++) {
        lc_image *i = lc_store_freeze(s);
        lc_buf chunk = LC_BUF_INIT;
        uint64_t rows = 0;
        while (lc_image_next_chunk(i, targets[n], &chunk)) {
            uint32_t id = lc_load_u32(chunk.ptr);
            rows += lc_load_u32(chunk.ptr + 4);
            if (id >= LC_FIRST_USER_ID) {
                size_t row_size = id == lc_table_id(fixed) ? 8 : 4 + 4 + 9;
                assert_in_range(chunk.len, 9 + 1, 9 + targets[n] + row_size);
            }
            lc_buf_reset(&chunk);
        }
        assert_int_equal(rows, lc_image_row_count(i));
        lc_buf_deinit(&chunk);
        lc_image_release(i);
    }
    lc_store_destroy(s);
}

typedef struct scanning {
    world *world;
    spans seen;
    uint32_t stop;
} scanning;

/* The executor goes on at every row. */
static bool see_and_change(void *arg, lc_span r)
{
    scanning *s = arg;
    spans_add(&s->seen, r);
    if (s->seen.len % 50 == 1) transaction(s->world, 20);
    return s->seen.len != s->stop;
}

LC_TEST(one_table_of_an_image)
{
    seed = 5;
    for (uint32_t k = 0; k < KINDS + 2; k++) {
        world w;
        world_init(&w, 3000);
        for (uint32_t n = 0; n < 100; n++) transaction(&w, 100);
        copy c;
        copy_take(&c, w.store);
        scanning s = {.world = &w, .stop = k == FIXED ? 300 : 0};
        uint32_t id = k < KINDS ? lc_table_id(w.tables[k]) : k == KINDS ? lc_table_id(w.events) : 7;
        lc_image_scan(c.image, id, see_and_change, &s);
        uint32_t n = 0;
        while (n < c.count && c.ids[n] != id) n++;
        if (k == FIXED) {
            assert_int_equal(s.seen.len, 300);
        } else if (k < KINDS) {
            spans_sort(&s.seen);
            assert_spans_equal(&s.seen, &c.rows[n]);
        } else {
            assert_int_equal(s.seen.len, 0);
        }
        spans_deinit(&s.seen);
        lc_image_release(c.image);
        copy_deinit(&c);
        check_store(w.store);
        lc_store_destroy(w.store);
    }
}

/* Images overlap: what several of them share is given up with the last one. */
LC_TEST(images_released_in_any_order)
{
    for (uint32_t order = 0; order < 6; order++) {
        static const uint8_t orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                             {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
        world w;
        world_init(&w, 3000);
        copy copies[3];
        for (uint32_t n = 0; n < 3; n++) {
            transaction(&w, 3000);
            copy_take(&copies[n], w.store);
        }
        transaction(&w, 3000);
        lc_store_begin(w.store);
        lc_table_clear(w.tables[TEXTS]);
        lc_table_clear(w.tables[FIXED]);
        commit(w.store);
        for (uint32_t n = 0; n < 3; n++) {
            copy *c = &copies[orders[order][n]];
            check_copy(c);
            lc_image_release(c->image);
            copy_deinit(c);
            transaction(&w, 100);
            if (n == 1) {
                while (lc_store_tidy(w.store)) {
                }
            }
        }
        check_store(w.store);
        lc_store_destroy(w.store);
    }
}

/* The reader stops everywhere in turn; then every row is changed at once. */
LC_TEST(a_reader_half_way)
{
    enum { ROWS = 9000, STOPS = 19 };
    for (uint32_t stop = 0; stop < STOPS; stop++) {
        lc_store *s = lc_store_create();
        lc_store_begin(s);
        lc_table *tables[] = {add_table(s, FIXED, "fixed"), add_table(s, GROUPED, "grouped")};
        for (uint32_t n = 0; n < ROWS; n++) {
            insert(tables[0], row("44", n, n));
            insert(tables[1], row("41s", n, n % 4, "text"));
        }
        commit(s);
        copy c;
        copy_take(&c, s);
        reader r = {.copy = &c};
        /* Chunks of system tables first, then about ten of each table. */
        while (r.table + 2 < c.count) assert_true(reader_step(&r, 10000));
        for (uint32_t n = 0; n < stop; n++) assert_true(reader_step(&r, 10000));
        lc_store_begin(s);
        for (uint32_t n = 0; n < ROWS; n++) {
            update(tables[0], 0, row("44", n, n + 1));
            update(tables[1], 0, row("41s", n, n % 3, "other text"));
        }
        commit(s);
        while (reader_step(&r, 10000)) {
        }
        lc_image_release(c.image);
        copy_deinit(&c);
        check_store(s);
        lc_store_destroy(s);
    }
}

/* ----------------------------------------------------------------- threads */

static void *read_in_thread(void *arg)
{
    check_copy(arg);
    return NULL;
}

LC_TEST(a_reader_in_its_own_thread)
{
    seed = 99;
    world w;
    world_init(&w, 4000);
    for (uint32_t n = 0; n < 30; n++) transaction(&w, 400);
    for (uint32_t round = 0; round < 12; round++) {
        copy copies[2];
        pthread_t threads[2];
        for (uint32_t n = 0; n < 2; n++) {
            copy_take(&copies[n], w.store);
            assert_int_equal(pthread_create(&threads[n], NULL, read_in_thread, &copies[n]), 0);
            for (uint32_t t = 0; t < 20; t++) transaction(&w, 100);
        }
        for (uint32_t n = 0; n < 2; n++) {
            pthread_join(threads[n], NULL);
            lc_image_release(copies[n].image);
            copy_deinit(&copies[n]);
        }
    }
    check_store(w.store);
    lc_store_destroy(w.store);
}

int main(void)
{
    return LC_TEST_RUN(cmocka_unit_test(an_empty_image_and_one_of_system_tables),
                       cmocka_unit_test(chunks_are_as_long_as_asked_for),
                       cmocka_unit_test(images_released_in_any_order),
                       cmocka_unit_test(a_reader_half_way), cmocka_unit_test(one_table_of_an_image),
                       cmocka_unit_test(images_of_random_transactions),
                       cmocka_unit_test(a_reader_in_its_own_thread));
}
