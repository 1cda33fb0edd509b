/*
 * Fan-out: one connection calls step(n u32, v i32), which changes n rows, and N connections have
 * subscribed to `SELECT * FROM tick`. The next step is called when all have the one before. Prints
 * one line: steps, deliveries and megabytes per second, the median time until the last subscriber
 * has a step, and processor microseconds of the server per delivery.
 *
 *   bench-fan [OPTION...] PORT DATABASE SUBSCRIBERS ROWS
 *
 * The database is tests/modules/tick. With --echo the other side is `bench-echo --broadcast`, and
 * the writer sends an update of the same size itself: what the sockets allow.
 */
#include "wire.h"

#include <argp.h>

enum { EVENTS_MAX = 512, SUBSCRIBERS_MAX = 20000, ROWS_MAX = 100000, STEPS_MAX = 1 << 22 };
enum { ROW_SIZE = 16, UPDATE_OVERHEAD = 41 }; /* update of `tick` but for its rows */

static struct {
    uint16_t port;
    const char *database, *confirmed;
    uint32_t subscribers, rows;
    double seconds;
    bool is_echo;
    pid_t pid;
} options = {.seconds = 5, .confirmed = "false"};

typedef struct subscriber {
    wire w;
    bool is_writer;
} subscriber;

static uint32_t applied; /* subscriptions that are there */
static uint32_t waiting; /* connections that do not have the step yet */
static uint64_t delivered, bytes;

/* ------------------------------------------------------------------------ steps */

static void subscribe(wire *w)
{
    lc_buf message = LC_BUF_INIT;
    put_subscribe(&message, 1, 1, 1);
    lc_buf_put_lenstr(&message, LC_STR("SELECT * FROM tick"));
    wire_put_frame(w, WIRE_BINARY, lc_buf_span(&message));
    wire_flush(w);
    lc_buf_deinit(&message);
}

static void step(wire *writer, uint32_t value)
{
    static lc_buf message;
    uint8_t args[8];
    lc_buf_reset(&message);
    if (options.is_echo) {
        size_t size = UPDATE_OVERHEAD + 2ul * ROW_SIZE * options.rows;
        uint8_t *p = lc_buf_extend(&message, size);
        memset(p, 0, size);
        p[1] = SERVER_UPDATE;
    } else {
        lc_store_u32(args, options.rows);
        lc_store_u32(args + 4, value);
        put_call(&message, value, "step", LC_SPAN(args, sizeof args));
    }
    wire_put_frame(writer, WIRE_BINARY, lc_buf_span(&message));
    waiting = options.subscribers + 1;
    wire_flush(writer);
}

static void on_message(subscriber *s, lc_span m)
{
    switch (message_tag(m)) {
    case SERVER_INITIAL:
        break;
    case SERVER_APPLIED:
        applied++;
        break;
    case SERVER_UPDATE:
        waiting--;
        delivered += !s->is_writer;
        break;
    case SERVER_RESULT:
        if (m.ptr[14] >= OUTCOME_ERROR) die("the step failed");
        waiting--;
        break;
    default:
        die("unexpected message, tag %d", message_tag(m));
    }
}

static void turn(subscriber *s)
{
    lc_span message;
    bytes += wire_receive(&s->w);
    while (wire_next(&s->w, &message)) on_message(s, message);
    wire_flush(&s->w);
    if (s->w.is_closed) die("a connection is gone");
}

/* ------------------------------------------------------------------------- main */

static void wait_until(const uint32_t *count, uint32_t wanted, int epoll)
{
    struct epoll_event events[EVENTS_MAX];
    while (*count != wanted) {
        int n = epoll_wait(epoll, events, EVENTS_MAX, 30000);
        if (n == 0)
            die("stuck: %u of %u subscribed, %u waiting", applied, options.subscribers, waiting);
        for (int i = 0; i < n; i++) turn(events[i].data.ptr);
    }
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void run(wire *writer, int epoll)
{
    static double times[STEPS_MAX];
    uint32_t value = 1, steps = 0;
    step(writer, value); /* the first is not measured: it may make rows */
    wait_until(&waiting, 0, epoll);
    delivered = bytes = 0;
    double start = now(), at = start, server = cpu_of(options.pid), client = own_cpu();
    while (at - start < options.seconds && steps < STEPS_MAX) {
        step(writer, ++value);
        wait_until(&waiting, 0, epoll);
        double then = at;
        at = now();
        times[steps++] = at - then;
    }
    double elapsed = at - start, n = (double)delivered;
    qsort(times, steps, sizeof *times, by_value);
    printf("steps/s %.1f deliveries/s %.0f mb/s %.1f p50_us %.1f p99_us %.1f server_us %.3f "
           "client_us %.3f\n",
           steps / elapsed, n / elapsed, (double)bytes / elapsed / 1e6, times[steps / 2] * 1e6,
           times[steps * 99ul / 100] * 1e6, (cpu_of(options.pid) - server) / n * 1e6,
           (own_cpu() - client) / n * 1e6);
}

enum { OPT_PID = 256, OPT_ECHO };
static const struct argp_option option_list[] = {
    {"seconds", 's', "S", 0, "time measured (5)", 0},
    {"confirmed", 'f', "true|false", 0, "deliver when durable (false)", 0},
    {"pid", OPT_PID, "PID", 0, "the server's process", 0},
    {"echo", OPT_ECHO, NULL, 0, "the other side is bench-echo --broadcast", 0},
    {0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    switch (key) {
    case 's':
        options.seconds = atof(arg);
        return 0;
    case 'f':
        options.confirmed = arg;
        return 0;
    case OPT_PID:
        options.pid = (pid_t)number_of(arg, INT32_MAX);
        return 0;
    case OPT_ECHO:
        options.is_echo = true;
        return 0;
    case ARGP_KEY_ARG:
        switch (state->arg_num) {
        case 0:
            options.port = (uint16_t)number_of(arg, UINT16_MAX);
            return 0;
        case 1:
            options.database = arg;
            return 0;
        case 2:
            options.subscribers = number_of(arg, SUBSCRIBERS_MAX);
            return 0;
        case 3:
            options.rows = number_of(arg, ROWS_MAX);
            return 0;
        default:
            argp_usage(state);
            return 0;
        }
    case ARGP_KEY_END:
        if (state->arg_num < 4) argp_usage(state);
        if (options.subscribers == 0) argp_error(state, "no subscribers");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int main(int argc, char **argv)
{
    static const struct argp argp = {
        option_list, parse_option, "PORT DATABASE SUBSCRIBERS ROWS", "Measures fan-out.", NULL,
        NULL,        NULL};
    argp_parse(&argp, argc, argv, 0, NULL, NULL);
    int epoll = epoll_create1(0);
    subscriber *all = lc_alloc_zero((options.subscribers + 1) * sizeof *all);
    for (uint32_t i = 0; i <= options.subscribers; i++) {
        subscriber *s = &all[i];
        s->is_writer = i == options.subscribers;
        wire_open(&s->w, options.port, options.database, "v2", options.confirmed);
        wire_watch(&s->w, epoll, s);
        if (!s->is_writer && !options.is_echo) subscribe(&s->w);
    }
    if (!options.is_echo) wait_until(&applied, options.subscribers, epoll);
    run(&all[options.subscribers].w, epoll);
    return 0;
}
