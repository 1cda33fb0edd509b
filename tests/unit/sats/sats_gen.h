/* Helpers of this room's tests: random types and values, hexadecimal, types from JSON text. */
#ifndef LC_SATS_GEN_H
#define LC_SATS_GEN_H

#include "lc_test.h"
#include "sats/lc_sats.h"

static inline uint32_t gen_below(uint64_t *seed, uint32_t n)
{
    return (uint32_t)(lc_test_random(seed) % n);
}

/* A type of at most so many levels below. Every kind but references occurs. */
const lc_type *gen_type(lc_arena *a, uint64_t *seed, int levels);
/* A product of 0 to 8 columns of such types. */
const lc_type *gen_row_type(lc_arena *a, uint64_t *seed, int levels);
/* Appends a valid value. Values of few distinct kinds, so that equal ones and long common
 * beginnings occur. Types without any value (empty sums) are never generated. */
void gen_value(const lc_type *t, uint64_t *seed, lc_buf *out);

/* Type from SATS-JSON; ends the test when it is none. */
const lc_type *type_of(lc_arena *a, const char *json);
/* Bytes of hexadecimal text, in the arena. */
lc_span hex(lc_arena *a, const char *text);
/* Hexadecimal text of bytes, in the arena. */
const char *to_hex(lc_arena *a, lc_span bytes);

#endif
