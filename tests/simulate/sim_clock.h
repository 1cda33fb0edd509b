/* A clock that moves when told to: the wall clock jumps both ways, the monotonic one only forward.
 */
#ifndef SIM_CLOCK_H
#define SIM_CLOCK_H

#include "sim_base.h"

typedef struct sim_clock {
    lc_clock clock; /* what the rooms get */
    int64_t micros;
    uint64_t nanos;
    int64_t latest; /* the latest that micros ever was */
} sim_clock;

void sim_clock_init(sim_clock *c);
/* Time passes for both. */
void sim_clock_advance(sim_clock *c, uint64_t micros);
/* Somebody sets the wall clock. */
void sim_clock_set(sim_clock *c, int64_t micros);

#endif
