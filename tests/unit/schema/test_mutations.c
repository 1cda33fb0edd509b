/*
 * Definitions are untrusted: the recorded ones are damaged at random, and whatever comes out must
 * be either refused with a text or give a schema that can be written back. LC_TEST_MUTATIONS sets
 * how many are tried.
 */
#include "lc_test.h"

#include "json_tree.h"
#include "schema/lc_schema.h"

#define RECORDED "tests/recorded/abi/definitions.json"

typedef LC_VEC(lc_span) seeds;

static void load_seeds(lc_arena *a, seeds *out)
{
    const json_node *cases = json_tree_get(json_tree_load(a, RECORDED), "cases");
    for (size_t i = 0; i < cases->count; i++) {
        const json_node *step = json_tree_get(cases->items[i], "steps")->items[0];
        lc_span hex = json_tree_get(json_tree_get(step, "wasm"), "def_hex")->text;
        if (hex.len < 4 || memcmp(hex.ptr, "00", 2) == 0) continue;
        uint8_t *raw = lc_arena_alloc(a, hex.len / 2);
        assert_true(lc_hex_decode(hex, raw));
        lc_vec_push(out, LC_SPAN(raw, hex.len / 2));
    }
}

static void mutate_once(lc_buf *b, const seeds *all, uint64_t *random)
{
    size_t at = lc_test_random(random) % b->len;
    switch (lc_test_random(random) % 7) {
    case 0:
        b->ptr[at] ^= (uint8_t)(1u << lc_test_random(random) % 8);
        break;
    case 1:
        b->ptr[at] = (uint8_t)lc_test_random(random);
        break;
    case 2:
        b->ptr[at] = (uint8_t)(lc_test_random(random) % 4);
        break; /* tags, small counts */
    case 3:
        b->len = at + 1;
        break;
    case 4: { /* a byte more */
        lc_buf_extend(b, 1);
        memmove(b->ptr + at + 1, b->ptr + at, b->len - 1 - at);
        break;
    }
    case 5: { /* a piece of itself once more */
        size_t n = lc_test_random(random) % (b->len - at) % 64;
        lc_buf piece = LC_BUF_INIT;
        lc_buf_put(&piece, b->ptr + at, n);
        lc_buf_extend(b, n);
        memmove(b->ptr + at + n, b->ptr + at, b->len - n - at);
        if (n) memcpy(b->ptr + at, piece.ptr, n);
        lc_buf_deinit(&piece);
        break;
    }
    default: { /* the rest from another definition */
        lc_span other = all->items[lc_test_random(random) % all->len];
        size_t from = lc_test_random(random) % other.len;
        b->len = at + 1;
        lc_buf_put(b, other.ptr + from, other.len - from);
    }
    }
    if (b->len > 1) b->ptr[0] = b->ptr[0] == 1 ? 1 : 2; /* never version 8 */
}

static bool try_definition(lc_span raw)
{
    lc_schema *s = NULL;
    lc_error err = LC_ERROR_INIT;
    lc_status st = lc_schema_read(raw, &s, &err);
    if (st == LC_OK) {
        for (uint32_t version = 9; version <= 10; version++) {
            lc_buf json = LC_BUF_INIT;
            lc_arena arena = LC_ARENA_INIT;
            lc_schema_to_json(s, version, &json);
            assert_non_null(json_tree_parse(&arena, lc_buf_span(&json)));
            lc_arena_deinit(&arena);
            lc_buf_deinit(&json);
        }
        assert_int_equal(lc_schema_check_update(s, s, &err), LC_OK);
        /* Whatever arguments arrive, they are judged and not followed without end. */
        for (uint32_t i = 0; i < s->reducer_count; i++) {
            size_t size;
            lc_layout_validate(s->reducers[i].layout, raw, &size, NULL);
        }
    } else {
        assert_int_equal(st, LC_E_INVALID);
        assert_true(strlen(lc_error_text(&err)) > 0);
    }
    lc_schema_unref(s);
    lc_error_clear(&err);
    return st == LC_OK;
}

LC_TEST(damaged_definitions_are_refused_or_read)
{
    lc_arena arena = LC_ARENA_INIT;
    seeds all = {0};
    load_seeds(&arena, &all);
    const char *wish = getenv("LC_TEST_MUTATIONS");
    unsigned long count = wish ? strtoul(wish, NULL, 10) : 20000, read = 0;
    uint64_t random = 20251121;
    lc_buf b = LC_BUF_INIT;
    for (unsigned long i = 0; i < count; i++) {
        lc_span seed = all.items[lc_test_random(&random) % all.len];
        lc_buf_reset(&b);
        lc_buf_put_span(&b, seed);
        for (uint64_t n = 1 + lc_test_random(&random) % 4; n; n--) mutate_once(&b, &all, &random);
        read += try_definition(lc_buf_span(&b));
    }
    print_message("%lu mutations, %lu of them still definitions\n", count, read);
    lc_buf_deinit(&b);
    lc_vec_deinit(&all);
    lc_arena_deinit(&arena);
}

int main(void)
{
    return LC_TEST_RUN(cmocka_unit_test(damaged_definitions_are_refused_or_read));
}
