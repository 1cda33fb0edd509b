/*
 * Many live queries that each read something else: N connections subscribe K queries each, all
 * different, then one writer keeps calls of mv(id u32, x i32) in flight, each moving one of 1000
 * rows to a random x. Prints one line: seconds to subscribe, calls and deliveries per second,
 * processor microseconds of the server per call.
 *
 *   bench-keys [OPTION...] PORT DATABASE CONNECTIONS QUERIES eq|range|none
 *
 * eq: `WHERE id = k`; range: `WHERE x >= a AND x < a + 10`; none: the writer alone. The database is
 * tests/modules/tick.
 */
#include "wire.h"

#include <argp.h>

enum { EVENTS_MAX = 512, CONNECTIONS_MAX = 20000, QUERIES_MAX = 1000000, DEPTH_MAX = 10000 };
enum { ROWS = 1000, WINDOW = 10 };

static struct {
    uint16_t port;
    const char *database, *mode;
    uint32_t connections, queries, depth;
    double seconds;
    pid_t pid;
} options = {.seconds = 5, .depth = 40};

static uint32_t applied, in_flight;
static uint64_t calls, deliveries;

static void subscribe(wire *w, uint32_t first)
{
    lc_buf message = LC_BUF_INIT;
    put_subscribe(&message, 1, 1, options.queries);
    for (uint32_t k = first; k < first + options.queries; k++) {
        char *sql = options.mode[0] == 'e'
                        ? lc_format("SELECT * FROM tick WHERE id = %u", k)
                        : lc_format("SELECT * FROM tick WHERE x >= %u AND x < %u", k * WINDOW,
                                    k * WINDOW + WINDOW);
        lc_buf_put_lenstr(&message, lc_span_of_str(sql));
        lc_free(sql);
    }
    wire_put_frame(w, WIRE_BINARY, lc_buf_span(&message));
    wire_flush(w);
    lc_buf_deinit(&message);
}

/* Places range over what the windows cover, so that each call moves a row out of one, into another.
 */
static void move_rows(wire *writer)
{
    static lc_buf message;
    uint32_t places = options.connections * options.queries * WINDOW;
    if (places == 0) places = ROWS;
    for (; in_flight < options.depth; in_flight++) {
        uint64_t r = next_random();
        uint8_t args[8];
        lc_store_u32(args, (uint32_t)(r % ROWS));
        lc_store_u32(args + 4, (uint32_t)((r >> 20) % places));
        lc_buf_reset(&message);
        put_call(&message, 1, "mv", LC_SPAN(args, sizeof args));
        wire_put_frame(writer, WIRE_BINARY, lc_buf_span(&message));
    }
    wire_flush(writer);
}

static void turn(wire *w)
{
    lc_span m;
    wire_receive(w);
    while (wire_next(w, &m)) {
        switch (message_tag(m)) {
        case SERVER_INITIAL:
            break;
        case SERVER_APPLIED:
            applied++;
            break;
        case SERVER_REFUSED:
            die("the subscription was refused");
        case SERVER_UPDATE:
            deliveries++;
            break;
        case SERVER_RESULT:
            if (m.ptr[14] >= OUTCOME_ERROR) die("the call failed");
            calls++;
            in_flight--;
            break;
        default:
            die("unexpected message, tag %d", message_tag(m));
        }
    }
    wire_flush(w);
    if (w->is_closed) die("a connection is gone");
}

static void turn_all(int epoll)
{
    struct epoll_event events[EVENTS_MAX];
    int n = epoll_wait(epoll, events, EVENTS_MAX, 120000);
    if (n == 0) die("stuck: %u of %u subscribed", applied, options.connections);
    for (int i = 0; i < n; i++) turn(events[i].data.ptr);
}

enum { OPT_PID = 256 };
static const struct argp_option option_list[] = {
    {"seconds", 's', "S", 0, "time measured (5)", 0},
    {"depth", 'd', "N", 0, "calls in flight (40)", 0},
    {"pid", OPT_PID, "PID", 0, "the server's process", 0},
    {0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    switch (key) {
    case 's':
        options.seconds = atof(arg);
        return 0;
    case 'd':
        options.depth = number_of(arg, DEPTH_MAX);
        return 0;
    case OPT_PID:
        options.pid = (pid_t)number_of(arg, INT32_MAX);
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
            options.connections = number_of(arg, CONNECTIONS_MAX);
            return 0;
        case 3:
            options.queries = number_of(arg, QUERIES_MAX);
            return 0;
        case 4:
            options.mode = arg;
            return 0;
        default:
            argp_usage(state);
            return 0;
        }
    case ARGP_KEY_END:
        if (state->arg_num < 5) argp_usage(state);
        if (strcmp(options.mode, "none") == 0)
            options.connections = 0;
        else if (strcmp(options.mode, "eq") != 0 && strcmp(options.mode, "range") != 0)
            argp_error(state, "eq, range or none, not %s", options.mode);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int main(int argc, char **argv)
{
    static const struct argp argp = {option_list,
                                     parse_option,
                                     "PORT DATABASE CONNECTIONS QUERIES MODE",
                                     "Measures many different live queries.",
                                     NULL,
                                     NULL,
                                     NULL};
    argp_parse(&argp, argc, argv, 0, NULL, NULL);
    int epoll = epoll_create1(0);
    double start = now();
    wire *all = lc_alloc_zero((options.connections + 1) * sizeof *all);
    wire *writer = &all[options.connections];
    for (uint32_t i = 0; i <= options.connections; i++) {
        wire_open(&all[i], options.port, options.database, "v2", "false");
        wire_watch(&all[i], epoll, &all[i]);
        if (&all[i] != writer) subscribe(&all[i], i * options.queries);
    }
    while (applied < options.connections) turn_all(epoll);

    double begin = now(), server = cpu_of(options.pid), client = own_cpu(), at;
    while ((at = now()) - begin < options.seconds) {
        move_rows(writer);
        turn_all(epoll);
    }
    double n = calls ? (double)calls : 1, elapsed = at - begin;
    printf("subscribe_s %.3f calls/s %.0f deliveries/s %.0f server_us %.3f client_us %.3f\n",
           begin - start, (double)calls / elapsed, (double)deliveries / elapsed,
           (cpu_of(options.pid) - server) / n * 1e6, (own_cpu() - client) / n * 1e6);
    return 0;
}
