/* Hash of bytes for tables in memory: 16 bytes a step through a 64x64->128 multiplication whose
 * halves are folded. Seeded per process, so that nobody outside can prepare colliding keys. */
#include "base_internal.h"

#include <sys/random.h>
#include <unistd.h>

#define PRIME_A 0x9e3779b97f4a7c15ull
#define PRIME_B 0xe7037ed1a0b428dbull
#define PRIME_C 0x8ebc6af09c88c6e3ull

uint64_t lc_hash_seed = PRIME_A;

/* Before main, thus before any thread and any map. */
__attribute__((constructor)) static void seed_hash(void)
{
    uint64_t seed;
    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) == (ssize_t)sizeof seed)
        lc_hash_seed = seed;
    else
        lc_hash_seed = lc_hash_u64((uint64_t)(uintptr_t)&seed ^ ((uint64_t)getpid() << 32));
}

void lc_hash_set_seed(uint64_t seed)
{
    lc_hash_seed = seed;
}

static inline uint64_t fold(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t lc_hash_bytes(const void *bytes, size_t n)
{
    const uint8_t *p = bytes;
    /* A factor of zero would wipe out what came before it. Nobody outside knows the secrets, so
     * nobody can choose words that make one. */
    const uint64_t secret_a = lc_hash_seed ^ PRIME_A, secret_b = lc_hash_seed ^ PRIME_B,
                   secret_c = lc_hash_seed ^ PRIME_C;
    uint64_t state = lc_hash_seed ^ fold(n ^ PRIME_A, PRIME_B);
    uint64_t a, b;
    if (n <= 16) {
        if (n >= 8) {
            a = lc_load_u64(p);
            b = lc_load_u64(p + n - 8);
        } else if (n >= 4) {
            a = lc_load_u32(p);
            b = lc_load_u32(p + n - 4);
        } else if (n > 0) {
            a = (uint64_t)p[0] << 16 | (uint64_t)p[n / 2] << 8 | p[n - 1];
            b = 0;
        } else {
            a = b = 0;
        }
    } else {
        size_t left = n;
        if (left > 48) {
            /* Three independent multiplications at a time. */
            uint64_t second = state, third = state;
            do {
                state = fold(lc_load_u64(p) ^ secret_b, lc_load_u64(p + 8) ^ state);
                second = fold(lc_load_u64(p + 16) ^ secret_c, lc_load_u64(p + 24) ^ second);
                third = fold(lc_load_u64(p + 32) ^ secret_a, lc_load_u64(p + 40) ^ third);
                p += 48, left -= 48;
            } while (left > 48);
            state ^= second ^ third;
        }
        for (; left > 16; p += 16, left -= 16)
            state = fold(lc_load_u64(p) ^ secret_b, lc_load_u64(p + 8) ^ state);
        /* The last 16 bytes, overlapping what was read before. */
        a = lc_load_u64(p + left - 16);
        b = lc_load_u64(p + left - 8);
    }
    return fold(PRIME_C ^ n, fold(a ^ secret_b, b ^ state) ^ secret_a);
}
