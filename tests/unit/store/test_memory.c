/*
 * Rows take little memory, and deleting them gives it back: to the table's own account and to the
 * system.
 */
#include <unistd.h>

#include "fixture.h"

typedef enum kind {
    NUMBERS, /* (u32 unique, i32): pages and a direct array */
    HASHED,  /* (u64 unique by hash, string): pages, blocks and a hash */
    ORDERED, /* (u32 unique, u32 in a tree, string): and tree and stamps */
    SET,     /* (u32, u32) without index: the hash of whole rows */
    KINDS
} kind;

static lc_table *make_table(lc_store *s, kind k)
{
    static const char *const names[KINDS] = {"numbers", "hashed", "ordered", "set"};
    table_builder b;
    tb_init(&b, names[k]);
    tb_column(&b, "a", k == HASHED ? TY(U64) : TY(U32));
    if (k != HASHED) tb_column(&b, "b", TY(U32));
    if (k == HASHED || k == ORDERED) tb_column(&b, "text", TY(STRING));
    if (k != SET) tb_index(&b, k == HASHED ? LC_INDEX_HASH : LC_INDEX_BTREE, true, "0");
    if (k == ORDERED) tb_index(&b, LC_INDEX_BTREE, false, "1");
    return tb_create(&b, s);
}

static lc_span make_row(kind k, uint32_t n)
{
    switch (k) {
    case HASHED:
        return row("8s", lc_hash_u64(n), "a text of some length");
    case ORDERED:
        return row("44s", n, (uint32_t)lc_hash_u64(n), "a text of some length");
    default:
        return row("44", n, n);
    }
}

enum { ROWS = 300000, PER_TX = 5000 };

static void fill(lc_store *s, lc_table *t, kind k)
{
    for (uint32_t n = 0; n < ROWS;) {
        lc_store_begin(s);
        for (uint32_t end = n + PER_TX; n < end; n++) insert(t, make_row(k, n));
        commit(s);
    }
    assert_int_equal(lc_table_row_count(t), ROWS);
}

static void delete_rows(lc_store *s, lc_table *t, kind k, uint32_t from, uint32_t end)
{
    while (from < end) {
        lc_store_begin(s);
        for (uint32_t n = 0; n < PER_TX && from < end; n++, from++)
            assert_true(lc_table_delete_row(t, make_row(k, from)));
        commit(s);
    }
}

static double resident(void)
{
    unsigned long size, pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%lu %lu", &size, &pages), 2);
    fclose(f);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

/* Slabs in reserve, one half empty for each size, buffers: what an empty store may keep. Sanitizers
 * keep freed blocks for a while themselves, and what they know about each byte. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
static const double kept = 2e9;
#else
static const double kept = 12e6;
#endif

LC_TEST(deleting_rows_gives_memory_back)
{
    for (kind k = 0; k < KINDS; k++) {
        lc_store *s = lc_store_create();
        lc_table *t = make_table(s, k);
        const double before = resident();
        const uint64_t empty = lc_table_memory(t);
        uint64_t full = 0;
        for (int round = 0; round < 3; round++) {
            fill(s, t, k);
            uint64_t counted = lc_table_memory(t);
            double taken = resident() - before;
            if (round == 0) full = counted;
            assert_in_range(counted, full * 9 / 10, full * 11 / 10);
            assert_true(taken < (double)counted * 1.15 + kept);

            delete_rows(s, t, k, 0, ROWS / 10 * 9);
            check_indexes(t);
            assert_in_range(lc_table_memory(t), 0, full / 5);
            assert_true(resident() - before < (double)full * 0.2 + kept);

            delete_rows(s, t, k, ROWS / 10 * 9, ROWS);
            assert_in_range(lc_table_memory(t), 0, empty + full / 50 + 64 * 1024);
            assert_true(resident() - before < (double)full * 0.02 + kept);
        }
        lc_store_destroy(s);
    }
}

LC_TEST(clearing_a_table_gives_memory_back)
{
    for (kind k = 0; k < KINDS; k++) {
        lc_store *s = lc_store_create();
        lc_table *t = make_table(s, k);
        const double before = resident();
        fill(s, t, k);
        const uint64_t full = lc_table_memory(t);
        lc_store_begin(s);
        assert_int_equal(lc_table_clear(t), ROWS);
        lc_store_rollback(s);
        assert_int_equal(lc_table_row_count(t), ROWS);
        check_indexes(t);
        lc_store_begin(s);
        assert_int_equal(lc_table_clear(t), ROWS);
        commit(s);
        assert_in_range(lc_table_memory(t), 0, full / 50 + 64 * 1024);
        assert_true(resident() - before < (double)full * 0.02 + kept);
        lc_store_destroy(s);
    }
}

/* Blocks kept for an image come back when it is released, a piece at a time. */
LC_TEST(a_released_image_gives_memory_back)
{
    for (kind k = 0; k < KINDS; k++) {
        lc_store *s = lc_store_create();
        lc_table *t = make_table(s, k);
        const double before = resident();
        fill(s, t, k);
        const uint64_t full = lc_table_memory(t);
        lc_image *image = lc_store_freeze(s);
        delete_rows(s, t, k, 0, ROWS);
        lc_image_release(image);
        uint32_t pieces = 0;
        while (lc_store_tidy(s)) pieces++;
        assert_true(pieces > 0);
        assert_false(lc_store_tidy(s));
        assert_true(resident() - before < (double)full * 0.02 + kept);
        lc_store_destroy(s);
    }
}

/* Where one row more means one page more, taking it away and putting it back must not mean a page
 * less and a page more each time. */
LC_TEST(a_row_at_the_border_of_pages)
{
    lc_store *s = lc_store_create();
    lc_table *t = make_table(s, NUMBERS);
    uint32_t borders = 0;
    for (uint32_t n = 0; n < 20000; n++) {
        uint64_t without = lc_table_memory(t);
        lc_store_begin(s);
        insert(t, make_row(NUMBERS, n));
        commit(s);
        uint64_t with = lc_table_memory(t);
        if (with < without + 16000) continue;
        borders++;
        for (int again = 0; again < 3; again++) {
            delete_rows(s, t, NUMBERS, n, n + 1);
            assert_int_equal(lc_table_memory(t), with);
            lc_store_begin(s);
            insert(t, make_row(NUMBERS, n));
            commit(s);
            assert_int_equal(lc_table_memory(t), with);
        }
    }
    assert_true(borders > 5);
    lc_store_destroy(s);
}

int main(void)
{
    return LC_TEST_RUN(cmocka_unit_test(deleting_rows_gives_memory_back),
                       cmocka_unit_test(clearing_a_table_gives_memory_back),
                       cmocka_unit_test(a_released_image_gives_memory_back),
                       cmocka_unit_test(a_row_at_the_border_of_pages));
}
