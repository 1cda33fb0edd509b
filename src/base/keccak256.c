/* Keccak-256 with the original padding (0x01), as module hashes use it; not SHA3-256 (0x06). */
#include "base_internal.h"

enum { RATE = 136, ROUNDS = 24 };

static const uint64_t round_constants[ROUNDS] = {
    0x0000000000000001, 0x0000000000008082, 0x800000000000808a, 0x8000000080008000,
    0x000000000000808b, 0x0000000080000001, 0x8000000080008081, 0x8000000000008009,
    0x000000000000008a, 0x0000000000000088, 0x0000000080008009, 0x000000008000000a,
    0x000000008000808b, 0x800000000000008b, 0x8000000000008089, 0x8000000000008003,
    0x8000000000008002, 0x8000000000000080, 0x000000000000800a, 0x800000008000000a,
    0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008,
};
/* Rotation and destination of each lane on the walk of rho and pi, starting at lane 1. */
static const uint8_t rotations[24] = {1,  3,  6,  10, 15, 21, 28, 36, 45, 55, 2,  14,
                                      27, 41, 56, 8,  25, 43, 62, 18, 39, 61, 20, 44};
static const uint8_t lanes[24] = {10, 7,  11, 17, 18, 3, 5,  16, 8,  21, 24, 4,
                                  15, 23, 19, 13, 12, 2, 20, 14, 22, 9,  6,  1};

static inline uint64_t rotl(uint64_t x, unsigned n)
{
    return x << n | x >> (64 - n);
}

static void permute(uint64_t a[25])
{
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t c[5];
        for (int x = 0; x < 5; x++) c[x] = a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20];
        for (int x = 0; x < 5; x++) {
            uint64_t d = c[(x + 4) % 5] ^ rotl(c[(x + 1) % 5], 1);
            for (int y = 0; y < 25; y += 5) a[y + x] ^= d;
        }
        uint64_t moving = a[1];
        for (int i = 0; i < 24; i++) {
            uint64_t next = a[lanes[i]];
            a[lanes[i]] = rotl(moving, rotations[i]);
            moving = next;
        }
        for (int y = 0; y < 25; y += 5) {
            memcpy(c, a + y, sizeof c);
            for (int x = 0; x < 5; x++) a[y + x] = c[x] ^ (~c[(x + 1) % 5] & c[(x + 2) % 5]);
        }
        a[0] ^= round_constants[round];
    }
}

static void absorb(uint64_t state[25], const uint8_t block[RATE])
{
    for (int i = 0; i < RATE / 8; i++) state[i] ^= lc_load_u64(block + 8 * i);
    permute(state);
}

void lc_keccak256(const void *bytes, size_t n, uint8_t out[32])
{
    uint64_t state[25] = {0};
    const uint8_t *p = bytes;
    for (; n >= RATE; p += RATE, n -= RATE) absorb(state, p);
    uint8_t last[RATE] = {0};
    if (n) memcpy(last, p, n);
    last[n] = 0x01;
    last[RATE - 1] |= 0x80;
    absorb(state, last);
    memcpy(out, state, 32);
}
