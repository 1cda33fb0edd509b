/* CRC-32C (Castagnoli), reflected, inverted before and after. */
#include "base_internal.h"

enum { POLYNOMIAL_REFLECTED = 0x82f63b78 };

/* ------------------------------------------------- software: 8 bytes a step */

static uint32_t table[8][256];

static uint32_t crc_software(uint32_t crc, const uint8_t *p, size_t n)
{
    for (; n >= 8; p += 8, n -= 8) {
        uint64_t x = lc_load_u64(p) ^ crc;
        crc = table[7][x & 255] ^ table[6][x >> 8 & 255] ^ table[5][x >> 16 & 255] ^
              table[4][x >> 24 & 255] ^ table[3][x >> 32 & 255] ^ table[2][x >> 40 & 255] ^
              table[1][x >> 48 & 255] ^ table[0][x >> 56];
    }
    for (; n > 0; p++, n--) crc = crc >> 8 ^ table[0][(crc ^ *p) & 255];
    return crc;
}

static void fill_table(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL_REFLECTED : 0);
        table[0][i] = crc;
    }
    for (uint32_t i = 0; i < 256; i++)
        for (int k = 1; k < 8; k++)
            table[k][i] = table[k - 1][i] >> 8 ^ table[0][table[k - 1][i] & 255];
}

/* ------------------------------------------------ hardware: three at a time */

#ifdef __x86_64__
#include <nmmintrin.h>
#include <wmmintrin.h>

enum { LANE = 256 };

/* x^(8m-33) mod P, reflected: what a carry-less product needs to move a CRC over m zero bytes. */
#define OVER_ONE_LANE  0xb9e02b86u
#define OVER_TWO_LANES 0xdd7e3b0cu

__attribute__((target("sse4.2,pclmul"))) static uint32_t crc_hardware(uint32_t crc32,
                                                                      const uint8_t *p, size_t n)
{
    uint64_t crc = crc32;
    /* The instruction takes three cycles but starts every cycle: keep three of them under way. */
    for (; n >= 3 * LANE; p += 3 * LANE, n -= 3 * LANE) {
        uint64_t second = 0, third = 0;
        for (size_t i = 0; i < LANE; i += 8) {
            crc = _mm_crc32_u64(crc, lc_load_u64(p + i));
            second = _mm_crc32_u64(second, lc_load_u64(p + LANE + i));
            third = _mm_crc32_u64(third, lc_load_u64(p + 2 * LANE + i));
        }
        __m128i moved = _mm_xor_si128(_mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)crc),
                                                           _mm_cvtsi64_si128(OVER_TWO_LANES), 0),
                                      _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)second),
                                                           _mm_cvtsi64_si128(OVER_ONE_LANE), 0));
        crc = third ^ _mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(moved));
    }
    for (; n >= 8; p += 8, n -= 8) crc = _mm_crc32_u64(crc, lc_load_u64(p));
    crc32 = (uint32_t)crc;
    for (; n > 0; p++, n--) crc32 = _mm_crc32_u8(crc32, *p);
    return crc32;
}
#endif

/* -------------------------------------------------------------------- choice */

static uint32_t (*crc_chosen)(uint32_t crc, const uint8_t *p, size_t n) = crc_software;

/* Before main, thus before any thread. */
__attribute__((constructor)) static void choose(void)
{
    fill_table();
#ifdef __x86_64__
    __builtin_cpu_init();
    if (__builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul"))
        crc_chosen = crc_hardware;
#endif
}

uint32_t lc_crc32c(uint32_t crc, const void *bytes, size_t n)
{
    return ~crc_chosen(~crc, bytes, n);
}

uint32_t lc_crc32c_software(uint32_t crc, const void *bytes, size_t n)
{
    return ~crc_software(~crc, bytes, n);
}
