/* Shared by the files of base only. */
#ifndef LC_BASE_INTERNAL_H
#define LC_BASE_INTERNAL_H

#include "base/lc_base.h"

/* Seed of every hash in this process; set before main, see hash.c. */
extern uint64_t lc_hash_seed;

/* Prints to a heap text; *len is its length without the NUL. */
char *lc_vformat(size_t *len, const char *fmt, va_list args);

/* What lc_crc32c does where the processor has no instruction for it; for the test of both. */
uint32_t lc_crc32c_software(uint32_t crc, const void *bytes, size_t n);

#endif
