/* The machine's clock behind the clock seam. */
#include "base_internal.h"

#include <time.h>

static int64_t system_now_micros(void *self)
{
    (void)self;
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static uint64_t system_monotonic_nanos(void *self)
{
    (void)self;
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

const lc_clock *lc_clock_system(void)
{
    static const lc_clock clock = {system_now_micros, system_monotonic_nanos, NULL};
    return &clock;
}
