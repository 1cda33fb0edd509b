#include "sim_clock.h"

static int64_t now_micros(void *self)
{
    return ((sim_clock *)self)->micros;
}

static uint64_t monotonic_nanos(void *self)
{
    return ((sim_clock *)self)->nanos;
}

void sim_clock_init(sim_clock *c)
{
    *c = (sim_clock){
        .clock = {now_micros, monotonic_nanos, c},
        .micros = 1700000000000000,
        .nanos = 1000000000,
        .latest = 1700000000000000,
    };
}

void sim_clock_set(sim_clock *c, int64_t micros)
{
    c->micros = micros;
    if (micros > c->latest) c->latest = micros;
}

void sim_clock_advance(sim_clock *c, uint64_t micros)
{
    c->nanos += micros * 1000;
    sim_clock_set(c, c->micros + (int64_t)micros);
}
