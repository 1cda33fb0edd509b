/*
 * simulator [--first N] [--seeds N] [--jobs N] [--failures N] [--twice] [--trace] [--hash]
 *           [--dump FOLDER]
 *
 * Runs seeds first, first + 1, ... in several processes. A run that breaks a promise prints seed
 * and trace; the others go on, up to a limit. --twice runs each seed twice and compares the traces'
 * hashes; --hash prints them; --trace prints every action of a run; --dump leaves the files of a
 * failed run in the folder. The last line is `N seeds, N failed`; the exit code is 1 when one
 * failed.
 */
#include "sim_world.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_JOBS = 64 };

typedef struct options {
    uint64_t first, seeds, jobs, failures;
    bool is_twice, is_loud, shows_hash;
    const char *dump;
} options;

/* A process that runs every jobs-th seed. Shared, so that the parent sees how far it came. */
typedef struct worker {
    pid_t pid;
    uint64_t next; /* seed not yet begun */
} worker;

static void on_signal(int number)
{
    fprintf(stderr, "seed %" PRIu64 ", violated: signal %d\n", sim_trace_seed(), number);
    sim_trace_print();
    signal(number, SIG_DFL);
    raise(number);
}

static void run_one(const options *o, uint64_t seed)
{
    sim_run(seed, o->is_loud, o->dump);
    uint64_t hash = sim_trace_hash();
    if (o->shows_hash) printf("seed %" PRIu64 " hash %016" PRIx64 "\n", seed, hash);
    if (!o->is_twice) return;
    sim_run(seed, o->is_loud, o->dump);
    SIM_CHECK(sim_trace_hash() == hash, "the same seed ran differently the second time");
}

static void start(const options *o, worker *w)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid != 0) {
        w->pid = pid;
        return;
    }
    signal(SIGABRT, on_signal);
#ifndef __SANITIZE_ADDRESS__
    signal(SIGSEGV, on_signal);
    signal(SIGBUS, on_signal);
    signal(SIGFPE, on_signal);
#endif
    while (w->next < o->first + o->seeds) {
        uint64_t seed = w->next;
        w->next += o->jobs;
        run_one(o, seed);
    }
    exit(0);
}

static uint64_t number(const char *text)
{
    char *end;
    errno = 0;
    uint64_t n = strtoull(text, &end, 0);
    if (errno || *end || end == text) {
        fprintf(stderr, "simulate: not a number: %s\n", text);
        exit(2);
    }
    return n;
}

static options parse(int argc, char **argv)
{
    options o = {
        .first = 1, .seeds = 100, .jobs = (uint64_t)sysconf(_SC_NPROCESSORS_ONLN), .failures = 20};
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (!strcmp(argv[i], "--first"))
            o.first = number(value), i++;
        else if (!strcmp(argv[i], "--seeds"))
            o.seeds = number(value), i++;
        else if (!strcmp(argv[i], "--jobs"))
            o.jobs = number(value), i++;
        else if (!strcmp(argv[i], "--failures"))
            o.failures = number(value), i++;
        else if (!strcmp(argv[i], "--dump"))
            o.dump = value, i++;
        else if (!strcmp(argv[i], "--twice"))
            o.is_twice = true;
        else if (!strcmp(argv[i], "--trace"))
            o.is_loud = true;
        else if (!strcmp(argv[i], "--hash"))
            o.shows_hash = true;
        else {
            fprintf(stderr, "simulate: no such option: %s\n", argv[i]);
            exit(2);
        }
    }
    if (o.jobs < 1) o.jobs = 1;
    if (o.jobs > MAX_JOBS) o.jobs = MAX_JOBS;
    return o;
}

static worker *find(worker *workers, const options *o, pid_t pid)
{
    for (uint64_t i = 0; i < o->jobs; i++)
        if (workers[i].pid == pid) return &workers[i];
    return NULL;
}

static void stop(worker *workers, const options *o)
{
    for (uint64_t i = 0; i < o->jobs; i++) {
        if (workers[i].pid) kill(workers[i].pid, SIGKILL);
        workers[i].pid = 0;
    }
}

int main(int argc, char **argv)
{
    options o = parse(argc, argv);
    lc_log_set_level((lc_log_level)(LC_LOG_ERROR - 1)); /* failures are daily bread here */
    worker *workers = mmap(NULL, MAX_JOBS * sizeof *workers, PROT_READ | PROT_WRITE,
                           MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (workers == MAP_FAILED) {
        perror("simulate: mmap");
        return 2;
    }
    time_t began = time(NULL);
    uint64_t failed = 0;
    for (uint64_t i = 0; i < o.jobs; i++) {
        workers[i].next = o.first + i;
        start(&o, &workers[i]);
    }
    int status;
    for (pid_t pid; (pid = wait(&status)) > 0;) {
        worker *ended = find(workers, &o, pid);
        if (!ended) continue;
        ended->pid = 0;
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0) continue;
        if (++failed < o.failures)
            start(&o, ended);
        else
            stop(workers, &o);
    }
    printf("%" PRIu64 " seeds from %" PRIu64 " in %lld s\n", o.seeds, o.first,
           (long long)(time(NULL) - began));
    if (failed >= o.failures) printf("stopped early: too many failures\n");
    printf("%" PRIu64 " seeds, %" PRIu64 " failed\n", o.seeds, failed);
    return failed > 0;
}
