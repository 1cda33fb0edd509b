/* What every unit test includes first: cmocka with the headers it wants, and our own helpers. */
#ifndef LC_TEST_H
#define LC_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/lc_base.h"

/* A test function: LC_TEST(rows_come_back) { ... }, listed with cmocka_unit_test(rows_come_back).
 */
#define LC_TEST(name) static void name(void **lc_test_state __attribute__((unused)))

/* Runs the listed tests: int main(void) { return LC_TEST_RUN(cmocka_unit_test(a), ...); } */
#define LC_TEST_RUN(...)                                                                           \
    cmocka_run_group_tests(((const struct CMUnitTest[]){__VA_ARGS__}), NULL, NULL)

static inline void lc_assert_span(lc_span got, lc_span want, const char *file, int line)
{
    if (!lc_span_equal(got, want)) {
        print_error("got  \"" LC_SPAN_FMT "\"\nwant \"" LC_SPAN_FMT "\"\n", LC_SPAN_ARG(got),
                    LC_SPAN_ARG(want));
        _fail(file, line);
    }
}
#define assert_span_equal(got, want) lc_assert_span((got), (want), __FILE__, __LINE__)
#define assert_span_text(got, text)  lc_assert_span((got), lc_span_of_str(text), __FILE__, __LINE__)

/* The call succeeded; shows the error's text when not. */
static inline void lc_assert_ok(lc_status status, const lc_error *err, const char *file, int line)
{
    if (status != LC_OK) {
        print_error("status %d: %s\n", (int)status, lc_error_text(err));
        _fail(file, line);
    }
}
#define assert_ok(status, err) lc_assert_ok((status), (err), __FILE__, __LINE__)

/* Repeatable random numbers for model tests (splitmix64); start state with the seed. */
static inline uint64_t lc_test_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15ull;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

#endif
