/*
 * Load on a server: connections that call transfer(from u32, to u32, amount i64) and keep so many
 * calls in flight each. Prints one line: calls per second, latency in microseconds, and processor
 * microseconds of server and client per call.
 *
 *   bench-load [OPTION...] PORT DATABASE
 *
 * The database needs accounts 0..N-1 (examples/bank and its `seed`). With --echo the same frames go
 * to bench-echo and come back: what the sockets allow on this machine.
 */
#include "wire.h"

#include <argp.h>
#include <math.h>

enum { CALL_SIZE = 1 + 4 + 1 + 4 + 8 + 4 + 16, EVENTS_MAX = 256, PICKS = 1 << 20 };
enum { CONNECTIONS_MAX = 20000, DEPTH_MAX = 65536, ACCOUNTS_MAX = 100000000, SECONDS_MAX = 86400 };
static const double WARM_UP = 0.2;  /* of the time measured, before it */
static const double DRAIN_MAX = 10; /* seconds */

static struct {
    uint16_t port;
    const char *database;
    uint32_t connections, depth, accounts;
    double seconds, alpha;
    const char *protocol, *confirmed;
    bool is_single;  /* one call a frame, */
    bool is_batched; /* or, on v3, all calls of a turn */
    bool is_echo;
    pid_t pid;
} options = {.connections = 64, .depth = 40, .accounts = 100000, .seconds = 5, .protocol = "v2"};

typedef struct connection {
    wire w;
    bool is_open; /* the server's first message came */
    uint32_t in_flight;
    uint32_t next_id;
    double *sent; /* when, by id modulo a power of two */
} connection;

static uint32_t sent_mask;
static uint32_t *picks; /* accounts, drawn beforehand */
static bool is_measuring, is_draining;
static uint64_t answered, measured, errors, in_flight, reads;

/* ------------------------------------------------------------------- latencies */

/* Counts by nanoseconds, 64 buckets to each power of two: exact to 1.6 %. */
enum { STEP_BITS = 6, STEPS = 1 << STEP_BITS, BUCKETS = STEPS * (65 - STEP_BITS) };
static uint64_t histogram[BUCKETS];

static void count_latency(double seconds)
{
    uint64_t v = seconds > 0 ? (uint64_t)(seconds * 1e9) : 0;
    unsigned bits = v < STEPS ? STEP_BITS + 1 : 64 - (unsigned)__builtin_clzll(v);
    unsigned shift = bits - STEP_BITS - 1;
    histogram[shift * STEPS + (v >> shift)]++;
}

/* Microseconds below which the given part of all calls was answered. */
static double percentile(double part)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < BUCKETS; i++) {
        sum += histogram[i];
        if (sum == 0 || (double)sum < part * (double)measured) continue;
        unsigned shift = i < 2 * STEPS ? 0 : i / STEPS - 1;
        return ldexp(i - shift * STEPS + 0.5, (int)shift) / 1e3;
    }
    return 0;
}

/* -------------------------------------------------------------------- accounts */

/* Account i is drawn in proportion to 1 / (i + 1)^alpha. */
static void draw_accounts(void)
{
    uint32_t n = options.accounts;
    double *sums = lc_alloc(n * sizeof *sums), sum = 0;
    for (uint32_t i = 0; i < n; i++) sums[i] = sum += pow(i + 1, -options.alpha);
    picks = lc_alloc(PICKS * sizeof *picks);
    for (uint32_t k = 0; k < PICKS; k++) {
        double at = (double)(next_random() >> 11) * 0x1p-53 * sum;
        uint32_t low = 0, high = n - 1;
        while (low < high) {
            uint32_t middle = low + (high - low) / 2;
            if (sums[middle] < at)
                low = middle + 1;
            else
                high = middle;
        }
        picks[k] = low;
    }
    lc_free(sums);
}

static uint32_t pick_account(void)
{
    static uint32_t at;
    return picks[at++ % PICKS];
}

/* ----------------------------------------------------------------------- calls */

static void put_transfer(lc_buf *b, uint32_t id)
{
    uint8_t args[16];
    uint32_t from = pick_account(), to = pick_account();
    if (to == from) to = from ? from - 1 : 1;
    lc_store_u32(args, from);
    lc_store_u32(args + 4, to);
    lc_store_u64(args + 8, 1);
    put_call(b, id, "transfer", LC_SPAN(args, sizeof args));
}

/* Fills the connection up to its depth. */
static void send_calls(connection *c, double at)
{
    static lc_buf message;
    uint32_t n = options.depth - c->in_flight;
    if (n == 0) return;
    lc_buf_reset(&message);
    for (uint32_t i = 0; i < n; i++) {
        c->sent[c->next_id & sent_mask] = at;
        put_transfer(&message, c->next_id++);
        if (options.is_batched) continue;
        wire_put_frame(&c->w, WIRE_BINARY, lc_buf_span(&message));
        lc_buf_reset(&message);
    }
    if (options.is_batched) wire_put_frame(&c->w, WIRE_BINARY, lc_buf_span(&message));
    c->in_flight += n;
    in_flight += n;
}

static void on_answer(connection *c, uint32_t id, double at)
{
    c->in_flight--;
    in_flight--;
    answered++;
    if (!is_measuring) return;
    measured++;
    count_latency(at - c->sent[id & sent_mask]);
}

static void on_error(lc_span text)
{
    if (errors++ == 0) fprintf(stderr, "first error: " LC_SPAN_FMT "\n", LC_SPAN_ARG(text));
}

/* ReducerResult: id, timestamp, outcome; returns its length. */
static size_t on_result(connection *c, lc_span m, double at)
{
    enum { ID = 1, OUTCOME = 1 + 4 + 8, REST = OUTCOME + 1 };
    if (m.len < REST) die("a result is cut short");
    size_t end = REST;
    uint8_t outcome = m.ptr[OUTCOME];
    if (outcome != OUTCOME_OK_EMPTY) {
        if (m.len < REST + 4) die("a result is cut short");
        size_t len = lc_load_u32(m.ptr + REST);
        end += 4 + len + (outcome == OUTCOME_OK ? 4 : 0);
        if (outcome > OUTCOME_FAILED || m.len < end) die("a result is cut short");
        if (outcome >= OUTCOME_ERROR) on_error(LC_SPAN(m.ptr + REST + 4, len));
        if (outcome == OUTCOME_OK && lc_load_u32(m.ptr + end - 4) != 0)
            die("rows, though nothing is subscribed");
    }
    on_answer(c, lc_load_u32(m.ptr + ID), at);
    return end;
}

/* One frame: in v3 any number of messages behind one byte that says how they are compressed. */
static void on_frame(connection *c, lc_span m, double at)
{
    if (options.is_echo) {
        if (m.len % CALL_SIZE != 0) die("the echo is not what was sent");
        for (size_t i = 0; i < m.len; i += CALL_SIZE) on_answer(c, lc_load_u32(m.ptr + i + 1), at);
        return;
    }
    message_tag(m);
    for (size_t i = 1; i < m.len;) {
        switch (m.ptr[i]) {
        case SERVER_INITIAL: /* identity, connection id, token: the only one in its frame */
            c->is_open = true;
            return;
        case SERVER_RESULT:
            i += on_result(c, LC_SPAN(m.ptr + i, m.len - i), at);
            break;
        default:
            die("unexpected message, tag %u", m.ptr[i]);
        }
    }
}

/* Takes what came, asks for more. */
static void turn(connection *c)
{
    lc_span message;
    reads += wire_receive(&c->w) > 0;
    double at = now();
    while (wire_next(&c->w, &message)) on_frame(c, message, at);
    if (c->is_open && !is_draining) send_calls(c, at);
    wire_flush(&c->w);
    if (c->w.is_closed) die("a connection is gone");
}

/* ------------------------------------------------------------------------ main */

static connection *open_all(int epoll)
{
    connection *all = lc_alloc_zero(options.connections * sizeof *all);
    for (sent_mask = 1; sent_mask < options.depth;) sent_mask <<= 1;
    for (uint32_t i = 0; i < options.connections; i++) {
        connection *c = &all[i];
        wire_open(&c->w, options.port, options.database, options.protocol, options.confirmed);
        c->sent = lc_alloc(sent_mask * sizeof *c->sent);
        c->is_open = options.is_echo;
        wire_watch(&c->w, epoll, c);
    }
    sent_mask--;
    return all;
}

static void run(int epoll)
{
    double start = now() + options.seconds * WARM_UP, end = start + options.seconds, at;
    double client = 0, server = 0;
    uint64_t first_read = 0;
    while ((at = now()) < end) {
        if (!is_measuring && at >= start) {
            is_measuring = true;
            start = at;
            client = own_cpu();
            server = cpu_of(options.pid);
            first_read = reads;
        }
        struct epoll_event events[EVENTS_MAX];
        int n = epoll_wait(epoll, events, EVENTS_MAX, 100);
        for (int i = 0; i < n; i++) turn(events[i].data.ptr);
    }
    is_measuring = false;
    if (measured == 0) die("no call was answered");
    double elapsed = at - start, calls = (double)measured;
    printf("tx/s %.0f p50_us %.1f p99_us %.1f p999_us %.1f server_us %.3f client_us %.3f "
           "per_read %.1f errors %lu",
           calls / elapsed, percentile(0.5), percentile(0.99), percentile(0.999),
           (cpu_of(options.pid) - server) / calls * 1e6, (own_cpu() - client) / calls * 1e6,
           calls / (double)(reads - first_read), errors);
}

/* Waits for the answers that are due, so that the next run finds a server at rest. */
static void drain(int epoll)
{
    double end = now() + DRAIN_MAX;
    is_draining = true;
    while (in_flight > 0 && now() < end) {
        struct epoll_event events[EVENTS_MAX];
        int n = epoll_wait(epoll, events, EVENTS_MAX, 100);
        for (int i = 0; i < n; i++) turn(events[i].data.ptr);
    }
    printf(" answered %lu\n", answered);
    if (in_flight > 0) die("%lu calls were never answered", in_flight);
}

enum { OPT_PID = 256, OPT_ECHO, OPT_SINGLE };
static const struct argp_option option_list[] = {
    {"connections", 'c', "N", 0, "how many (64)", 0},
    {"depth", 'd', "N", 0, "calls in flight on each (40)", 0},
    {"seconds", 's', "S", 0, "time measured, after a fifth of it to warm up (5)", 0},
    {"protocol", 'p', "v2|v3", 0, "(v2)", 0},
    {"confirmed", 'f', "true|false", 0, "answer when durable (unasked: true)", 0},
    {"alpha", 'a', "A", 0, "exponent of Zipf's law among the accounts (0: all alike)", 0},
    {"accounts", 'n', "N", 0, "how many accounts there are (100000)", 0},
    {"pid", OPT_PID, "PID", 0, "the server's process", 0},
    {"single", OPT_SINGLE, NULL, 0, "on v3 too, one call a frame", 0},
    {"echo", OPT_ECHO, NULL, 0, "the other side is bench-echo", 0},
    {0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    switch (key) {
    case 'c':
        options.connections = number_of(arg, CONNECTIONS_MAX);
        return 0;
    case 'd':
        options.depth = number_of(arg, DEPTH_MAX);
        return 0;
    case 's':
        options.seconds = atof(arg);
        return 0;
    case 'p':
        options.protocol = arg;
        return 0;
    case 'f':
        options.confirmed = arg;
        return 0;
    case 'a':
        options.alpha = atof(arg);
        return 0;
    case 'n':
        options.accounts = number_of(arg, ACCOUNTS_MAX);
        return 0;
    case OPT_PID:
        options.pid = (pid_t)number_of(arg, INT32_MAX);
        return 0;
    case OPT_SINGLE:
        options.is_single = true;
        return 0;
    case OPT_ECHO:
        options.is_echo = true;
        return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num == 0)
            options.port = (uint16_t)number_of(arg, UINT16_MAX);
        else if (state->arg_num == 1)
            options.database = arg;
        else
            argp_usage(state);
        return 0;
    case ARGP_KEY_END:
        if (state->arg_num < 2) argp_usage(state);
        if (!(options.seconds > 0 && options.seconds <= SECONDS_MAX) || options.depth == 0 ||
            options.connections == 0 || options.accounts < 2)
            argp_error(state, "seconds, depth, connections and accounts must be positive");
        options.is_batched = !options.is_single && strcmp(options.protocol, "v3") == 0;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int main(int argc, char **argv)
{
    static const struct argp argp = {
        option_list, parse_option, "PORT DATABASE", "Measures calls of `transfer`.", NULL,
        NULL,        NULL};
    argp_parse(&argp, argc, argv, 0, NULL, NULL);
    draw_accounts();
    int epoll = epoll_create1(0);
    connection *all = open_all(epoll);
    for (uint32_t i = 0; i < options.connections; i++) turn(&all[i]);
    run(epoll);
    drain(epoll);
    return 0;
}
