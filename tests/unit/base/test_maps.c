/* Both maps against a naive model, with keys that crowd together so that probing and the shifting
 * removal are exercised. */
#include "lc_test.h"

enum { KEYS = 400, STEPS = 200000 };

/* A key's bytes: of many lengths, the empty one included. */
static lc_span key_bytes(size_t k, char *space)
{
    memset(space, 'a' + (int)(k % 7), 40);
    int n = k == 0 ? 0 : snprintf(space + k % 37, 12, "%zu", k);
    return LC_SPAN(space, k == 0 ? 0 : k % 37 + (size_t)n);
}

LC_TEST(map_follows_model)
{
    lc_map map = {0};
    void *model[KEYS] = {0};
    size_t len = 0;
    uint64_t random = 42;
    char space[64];
    for (size_t step = 1; step <= STEPS; step++) {
        size_t k = lc_test_random(&random) % KEYS;
        lc_span key = key_bytes(k, space);
        void *value = (void *)step;
        /* Phases that fill and phases that drain. */
        if (lc_test_random(&random) % 10 < (step / 5000 % 2 ? 7 : 3)) {
            assert_ptr_equal(lc_map_put(&map, key, value), model[k]);
            len += !model[k];
            model[k] = value;
        } else {
            assert_ptr_equal(lc_map_remove(&map, key), model[k]);
            len -= model[k] != NULL;
            model[k] = NULL;
        }
        memset(space, 'x', sizeof space); /* the map holds its own copy of the key */
        k = lc_test_random(&random) % KEYS;
        assert_ptr_equal(lc_map_get(&map, key_bytes(k, space)), model[k]);
        assert_int_equal(map.len, len);
    }
    size_t at = 0, seen = 0;
    for (lc_map_entry *e; (e = lc_map_next(&map, &at)); seen++) {
        bool known = false;
        for (size_t k = 0; k < KEYS && !known; k++)
            known = model[k] == e->value && lc_span_equal(e->key, key_bytes(k, space));
        assert_true(known);
    }
    assert_int_equal(seen, len);
    lc_map_deinit(&map);
    assert_null(map.slots);
}

LC_TEST(u64map_follows_model)
{
    lc_u64map map = {0};
    void *model[KEYS] = {0};
    size_t len = 0;
    uint64_t random = 43;
    for (size_t step = 1; step <= STEPS; step++) {
        size_t k = lc_test_random(&random) % KEYS;
        uint64_t key = k % 2 ? k : k << 40;
        void *value = (void *)step;
        if (lc_test_random(&random) % 10 < (step / 5000 % 2 ? 7 : 3)) {
            assert_ptr_equal(lc_u64map_put(&map, key, value), model[k]);
            len += !model[k];
            model[k] = value;
        } else {
            assert_ptr_equal(lc_u64map_remove(&map, key), model[k]);
            len -= model[k] != NULL;
            model[k] = NULL;
        }
        k = lc_test_random(&random) % KEYS;
        assert_ptr_equal(lc_u64map_get(&map, k % 2 ? k : k << 40), model[k]);
        assert_int_equal(map.len, len);
    }
    size_t at = 0, seen = 0;
    for (lc_u64map_slot *slot; (slot = lc_u64map_next(&map, &at)); seen++) {
        size_t k = slot->key < KEYS ? slot->key : slot->key >> 40;
        assert_ptr_equal(model[k], slot->value);
    }
    assert_int_equal(seen, len);
    lc_u64map_deinit(&map);
}

LC_TEST(empty_maps_answer)
{
    lc_map map = {0};
    lc_u64map numbers = {0};
    size_t at = 0;
    assert_null(lc_map_get(&map, LC_STR("a")));
    assert_null(lc_map_remove(&map, LC_STR("a")));
    assert_null(lc_map_next(&map, &at));
    assert_null(lc_u64map_get(&numbers, 0));
    assert_null(lc_u64map_remove(&numbers, 0));
    lc_map_deinit(&map);
    lc_u64map_deinit(&numbers);
}

/* Every length and every single-bit change gives another hash; low bits spread. */
LC_TEST(hash_mixes)
{
    uint8_t bytes[170] = {0};
    for (size_t n = 1; n <= sizeof bytes; n++) {
        uint64_t plain = lc_hash_bytes(bytes, n);
        assert_int_not_equal(plain, lc_hash_bytes(bytes, n - 1));
        for (size_t bit = 0; bit < 8 * n; bit++) {
            bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
            assert_int_not_equal(plain, lc_hash_bytes(bytes, n));
            bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
    }
    unsigned by_bytes[64] = {0}, by_number[64] = {0};
    for (uint64_t i = 0; i < 64000; i++) {
        by_bytes[lc_hash_bytes(&i, sizeof i) % 64]++;
        by_number[lc_hash_u64(i << 32) % 64]++;
    }
    for (int i = 0; i < 64; i++) {
        assert_in_range(by_bytes[i], 800, 1200);
        assert_in_range(by_number[i], 800, 1200);
    }
}

int main(void)
{
    return LC_TEST_RUN(cmocka_unit_test(map_follows_model), cmocka_unit_test(u64map_follows_model),
                       cmocka_unit_test(empty_maps_answer), cmocka_unit_test(hash_mixes));
}
