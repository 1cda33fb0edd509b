/* Buffers, arenas, vectors, spans and errors. */
#include "lc_test.h"

LC_TEST(buf_appends)
{
    lc_buf b = LC_BUF_INIT;
    lc_buf_put_u8(&b, 1);
    lc_buf_put_u16(&b, 0x0302);
    lc_buf_put_u32(&b, 0x07060504);
    lc_buf_put_u64(&b, 0x0f0e0d0c0b0a0908);
    for (size_t i = 0; i < 15; i++) assert_int_equal(b.ptr[i], i + 1);
    assert_int_equal(b.len, 15);

    lc_buf_reset(&b);
    lc_buf_put_lenstr(&b, LC_STR("abc"));
    assert_span_equal(lc_buf_span(&b), LC_STR("\3\0\0\0abc"));

    lc_buf_reset(&b);
    for (int i = 0; i < 100000; i++) lc_buf_put_u8(&b, (uint8_t)i);
    for (int i = 0; i < 100000; i++) assert_int_equal(b.ptr[i], (uint8_t)i);
    assert_true(b.len <= b.cap);
    lc_buf_deinit(&b);
    assert_null(b.ptr);
}

LC_TEST(buf_prints)
{
    lc_buf b = LC_BUF_INIT;
    lc_buf_printf(&b, "%s", "");
    assert_int_equal(b.len, 0);
    for (int width = 0; width < 300; width++) { /* over every seam of the first guess */
        lc_buf_reset(&b);
        lc_buf_put_str(&b, "x");
        lc_buf_printf(&b, "%*d", width, 7);
        assert_int_equal(b.len, 1 + (width > 1 ? width : 1));
        assert_int_equal(b.ptr[b.len - 1], '7');
    }
    lc_buf_reset(&b);
    lc_buf_put_str(&b, "done");
    char *text = lc_buf_give_cstr(&b);
    assert_string_equal(text, "done");
    assert_null(b.ptr);
    lc_free(text);
    text = lc_buf_give_cstr(&b);
    assert_string_equal(text, "");
    lc_free(text);
}

/* Items of all sizes keep their bytes and their alignment, over several rounds. */
LC_TEST(arena_keeps_items_apart)
{
    enum { ITEMS = 3000 };
    static struct {
        uint8_t *ptr;
        size_t len;
    } items[ITEMS];
    lc_arena a = LC_ARENA_INIT;
    uint64_t random = 5;
    for (int round = 0; round < 5; round++) {
        for (size_t i = 0; i < ITEMS; i++) {
            size_t len = lc_test_random(&random) % (i % 100 ? 200 : 60000);
            items[i].ptr = lc_arena_alloc(&a, len);
            items[i].len = len;
            assert_int_equal((uintptr_t)items[i].ptr % 16, 0);
            if (len) memset(items[i].ptr, (int)i & 255, len);
        }
        for (size_t i = 0; i < ITEMS; i++)
            for (size_t j = 0; j < items[i].len; j++)
                if (items[i].ptr[j] != (i & 255)) fail();
        lc_arena_reset(&a);
    }
    uint8_t *zeroed = lc_arena_alloc_zero(&a, 1000);
    for (int i = 0; i < 1000; i++) assert_int_equal(zeroed[i], 0);
    lc_arena_deinit(&a);
    assert_null(a.chunks);
}

LC_TEST(arena_texts)
{
    lc_arena a = LC_ARENA_INIT;
    assert_string_equal(lc_arena_cstr(&a, LC_STR("name")), "name");
    assert_string_equal(lc_arena_cstr(&a, LC_SPAN_EMPTY), "");
    assert_string_equal(lc_arena_format(&a, "%d-%s", 7, "x"), "7-x");
    assert_span_text(lc_arena_copy(&a, LC_STR("bytes")), "bytes");
    assert_int_equal(lc_arena_copy(&a, LC_SPAN_EMPTY).len, 0);
    lc_arena_deinit(&a);
}

LC_TEST(arena_array_grows)
{
    lc_arena a = LC_ARENA_INIT;
    uint32_t *numbers = NULL;
    size_t cap = 0;
    for (uint32_t i = 0; i < 50000; i++) {
        numbers = lc_arena_grow(&a, numbers, i, &cap, sizeof *numbers);
        numbers[i] = i;
        if (i % 1000 == 0) lc_arena_alloc(&a, 1); /* something behind it: it has to move */
    }
    for (uint32_t i = 0; i < 50000; i++) assert_int_equal(numbers[i], i);
    lc_arena_deinit(&a);
}

LC_TEST(vec_pushes)
{
    LC_VEC(int) v = {0};
    for (int i = 0; i < 1000; i++) lc_vec_push(&v, i);
    int want = 0;
    LC_VEC_EACH (it, &v) assert_int_equal(*it, want++);
    assert_int_equal(want, 1000);
    lc_vec_deinit(&v);
    assert_null(v.items);
}

LC_TEST(spans_compare)
{
    assert_int_equal(lc_span_compare(LC_STR("a"), LC_STR("b")), -1);
    assert_int_equal(lc_span_compare(LC_STR("b"), LC_STR("a")), 1);
    assert_int_equal(lc_span_compare(LC_STR("ab"), LC_STR("abc")), -1);
    assert_int_equal(lc_span_compare(LC_STR("\xff"), LC_STR("a")), 1);
    assert_int_equal(lc_span_compare(LC_SPAN_EMPTY, LC_STR("")), 0);
    assert_true(lc_span_equal(LC_SPAN_EMPTY, LC_STR("")));
    char *text = lc_span_to_cstr(LC_STR("abc"));
    assert_string_equal(text, "abc");
    lc_free(text);
}

LC_TEST(errors_tell)
{
    lc_error err = LC_ERROR_INIT;
    assert_string_equal(lc_error_text(&err), "");
    assert_int_equal(lc_error_set(&err, LC_E_NOT_FOUND, "no table `%s`", "t"), LC_E_NOT_FOUND);
    assert_int_equal(lc_error_prefix(&err, "line %d: ", 3), LC_E_NOT_FOUND);
    assert_string_equal(lc_error_text(&err), "line 3: no table `t`");
    /* Built from its own old text. */
    lc_error_set(&err, LC_E_INVALID, "<%s>", lc_error_text(&err));
    assert_string_equal(lc_error_text(&err), "<line 3: no table `t`>");
    assert_int_equal(err.code, LC_E_INVALID);
    lc_error_clear(&err);
    assert_int_equal(err.code, LC_OK);
    assert_null(err.text);
    assert_int_equal(lc_error_set(NULL, LC_E_IO, "nobody listens"), LC_E_IO);
}

int main(void)
{
    return LC_TEST_RUN(cmocka_unit_test(buf_appends), cmocka_unit_test(buf_prints),
                       cmocka_unit_test(arena_keeps_items_apart), cmocka_unit_test(arena_texts),
                       cmocka_unit_test(arena_array_grows), cmocka_unit_test(vec_pushes),
                       cmocka_unit_test(spans_compare), cmocka_unit_test(errors_tell));
}
