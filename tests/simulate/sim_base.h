/* What every part of the simulator stands on: repeatable random numbers, and the trace of a run. */
#ifndef SIM_BASE_H
#define SIM_BASE_H

#include "base/lc_base.h"

/* ------------------------------------------------------------------ random */

/* splitmix64: everything a run does follows from the seed it starts with. */
typedef struct sim_random {
    uint64_t state;
} sim_random;

static inline uint64_t sim_next(sim_random *r)
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15ull;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}
/* 0 when n is 0. */
static inline uint32_t sim_below(sim_random *r, uint32_t n)
{
    return n ? (uint32_t)(sim_next(r) % n) : 0;
}
static inline bool sim_one_in(sim_random *r, uint32_t n)
{
    return sim_below(r, n) == 0;
}
/* True in so many of a thousand cases. */
static inline bool sim_permille(sim_random *r, uint32_t n)
{
    return sim_below(r, 1000) < n;
}
/* A number whose size is as likely to be small as to be large: 1 .. 2^bits - 1. */
static inline uint64_t sim_skewed(sim_random *r, uint32_t bits)
{
    return 1 + (sim_next(r) >> (64 - 1 - sim_below(r, bits)));
}

/* ------------------------------------------------------------------- trace */

/* The last actions as text, for people, and a hash of everything that happened, disk operations
 * with their bytes included, to tell whether two runs were the same. One run at a time per process.
 */
void sim_trace_begin(uint64_t seed, bool is_loud);
uint64_t sim_trace_seed(void);
uint64_t sim_trace_hash(void);
/* Notes an action. */
void sim_note(const char *fmt, ...) LC_PRINTF(1, 2);
/* Into the hash alone. */
void sim_mix(uint64_t value);
/* The promise named is broken: prints it with the seed and the trace and ends the process. */
_Noreturn void sim_violated(const char *fmt, ...) LC_PRINTF(1, 2);
/* Called with arg when a promise is broken, before the process ends. */
void sim_trace_on_violation(void (*hook)(void *arg), void *arg);
/* Prints seed and trace; for signal handlers, which are past caring. */
void sim_trace_print(void);

#define SIM_CHECK(condition, ...)                                                                  \
    do {                                                                                           \
        if (LC_UNLIKELY(!(condition))) sim_violated(__VA_ARGS__);                                  \
    } while (0)

#endif
