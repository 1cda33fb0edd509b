/* BLAKE3, default mode, 32 bytes out, one shot: chunks of 1024 bytes, hashed in 64-byte blocks, are
 * the leaves of a left-complete binary tree. */
#include "base_internal.h"

enum {
    BLOCK = 64,
    CHUNK = 1024,
    CHUNK_START = 1 << 0,
    CHUNK_END = 1 << 1,
    PARENT = 1 << 2,
    ROOT = 1 << 3,
    MAX_DEPTH = 54, /* 2^64 bytes */
};

static const uint32_t iv[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                               0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

/* The message words of each round: the permutation applied 0 to 6 times. */
static const uint8_t schedule[7][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
    {2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8},
    {3, 4, 10, 12, 13, 2, 7, 14, 6, 5, 9, 0, 11, 15, 8, 1},
    {10, 7, 12, 9, 14, 3, 13, 15, 4, 0, 11, 2, 5, 8, 1, 6},
    {12, 13, 9, 11, 15, 10, 14, 8, 7, 2, 5, 3, 0, 1, 6, 4},
    {9, 14, 11, 5, 8, 12, 15, 1, 13, 3, 0, 10, 2, 6, 4, 7},
    {11, 15, 5, 0, 1, 9, 8, 6, 14, 10, 2, 12, 3, 4, 7, 13},
};

static inline uint32_t rotr(uint32_t x, unsigned n)
{
    return x >> n | x << (32 - n);
}

static inline void mix(uint32_t v[16], int a, int b, int c, int d, uint32_t x, uint32_t y)
{
    v[a] += v[b] + x;
    v[d] = rotr(v[d] ^ v[a], 16);
    v[c] += v[d];
    v[b] = rotr(v[b] ^ v[c], 12);
    v[a] += v[b] + y;
    v[d] = rotr(v[d] ^ v[a], 8);
    v[c] += v[d];
    v[b] = rotr(v[b] ^ v[c], 7);
}

/* cv := compression of one block under cv; the first 8 output words are all this mode needs. */
static void compress(uint32_t cv[8], const uint8_t block[BLOCK], uint32_t len, uint64_t counter,
                     uint32_t flags)
{
    uint32_t m[16], v[16];
    memcpy(m, block, BLOCK);
    memcpy(v, cv, 32);
    memcpy(v + 8, iv, 16);
    v[12] = (uint32_t)counter;
    v[13] = (uint32_t)(counter >> 32);
    v[14] = len;
    v[15] = flags;
#pragma GCC unroll 7
    for (int round = 0; round < 7; round++) {
        const uint8_t *s = schedule[round];
        mix(v, 0, 4, 8, 12, m[s[0]], m[s[1]]);
        mix(v, 1, 5, 9, 13, m[s[2]], m[s[3]]);
        mix(v, 2, 6, 10, 14, m[s[4]], m[s[5]]);
        mix(v, 3, 7, 11, 15, m[s[6]], m[s[7]]);
        mix(v, 0, 5, 10, 15, m[s[8]], m[s[9]]);
        mix(v, 1, 6, 11, 12, m[s[10]], m[s[11]]);
        mix(v, 2, 7, 8, 13, m[s[12]], m[s[13]]);
        mix(v, 3, 4, 9, 14, m[s[14]], m[s[15]]);
    }
    for (int i = 0; i < 8; i++) cv[i] = v[i] ^ v[i + 8];
}

/* Chaining value of one chunk; extra flags (ROOT) go to its last block. */
static void hash_chunk(const uint8_t *p, size_t n, uint64_t index, uint32_t extra, uint32_t cv[8])
{
    memcpy(cv, iv, sizeof iv);
    uint32_t flags = CHUNK_START;
    for (; n > BLOCK; p += BLOCK, n -= BLOCK) {
        compress(cv, p, BLOCK, index, flags);
        flags = 0;
    }
    uint8_t last[BLOCK] = {0};
    if (n) memcpy(last, p, n);
    compress(cv, last, (uint32_t)n, index, flags | CHUNK_END | extra);
}

static void hash_parent(const uint32_t left[8], const uint32_t right[8], uint32_t extra,
                        uint32_t cv[8])
{
    uint8_t block[BLOCK];
    memcpy(block, left, 32);
    memcpy(block + 32, right, 32);
    memcpy(cv, iv, sizeof iv);
    compress(cv, block, BLOCK, 0, PARENT | extra);
}

void lc_blake3(const void *bytes, size_t n, uint8_t out[32])
{
    const uint8_t *p = bytes;
    uint32_t cv[8];
    if (n <= CHUNK) {
        hash_chunk(p, n, 0, ROOT, cv);
        memcpy(out, cv, 32);
        return;
    }
    /* Finished subtrees, largest first: one for every set bit in the number of chunks so far. The
     * last chunk is kept back, because the merges after it are on the way to the root. */
    uint32_t stack[MAX_DEPTH][8];
    int depth = 0;
    uint64_t index = 0;
    for (; n > CHUNK; p += CHUNK, n -= CHUNK) {
        hash_chunk(p, CHUNK, index++, 0, cv);
        for (uint64_t done = index; !(done & 1); done >>= 1) hash_parent(stack[--depth], cv, 0, cv);
        memcpy(stack[depth++], cv, sizeof cv);
    }
    hash_chunk(p, n, index, 0, cv);
    while (depth > 0) {
        depth--;
        hash_parent(stack[depth], cv, depth == 0 ? ROOT : 0, cv);
    }
    memcpy(out, cv, 32);
}
