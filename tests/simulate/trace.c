#include "sim_base.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { LINES = 60, LINE = 240, EXIT_VIOLATED = 3 };

static struct {
    uint64_t seed;
    uint64_t hash;
    uint64_t count;
    bool is_loud;
    void (*hook)(void *arg);
    void *hook_arg;
    char lines[LINES][LINE];
} trace;

void sim_trace_begin(uint64_t seed, bool is_loud)
{
    trace.seed = seed;
    trace.hash = seed;
    trace.count = 0;
    trace.is_loud = is_loud;
}

uint64_t sim_trace_seed(void)
{
    return trace.seed;
}

uint64_t sim_trace_hash(void)
{
    return trace.hash;
}

void sim_mix(uint64_t value)
{
    trace.hash = lc_hash_u64(trace.hash ^ value) + value;
}

void sim_note(const char *fmt, ...)
{
    char *line = trace.lines[trace.count++ % LINES];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(line, LINE, fmt, args);
    va_end(args);
    sim_mix(lc_crc32c((uint32_t)n, line, strlen(line)));
    if (trace.is_loud) fprintf(stderr, "%5" PRIu64 "  %s\n", trace.count, line);
}

void sim_trace_on_violation(void (*hook)(void *arg), void *arg)
{
    trace.hook = hook;
    trace.hook_arg = arg;
}

void sim_trace_print(void)
{
    uint64_t first = trace.count > LINES ? trace.count - LINES : 0;
    if (!trace.is_loud)
        for (uint64_t i = first; i < trace.count; i++)
            fprintf(stderr, "  %5" PRIu64 "  %s\n", i + 1, trace.lines[i % LINES]);
    fprintf(stderr, "SEED %" PRIu64 " FAILED (make simulate SEEDS=1 FIRST=%" PRIu64 ")\n",
            trace.seed, trace.seed);
}

void sim_violated(const char *fmt, ...)
{
    char text[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    fprintf(stderr, "seed %" PRIu64 ", violated: %s\n", trace.seed, text);
    sim_trace_print();
    if (trace.hook) trace.hook(trace.hook_arg);
    _exit(EXIT_VIOLATED);
}
