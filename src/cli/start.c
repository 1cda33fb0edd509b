/*
 * `lightcone start`: the server process. The main thread boots, waits for a signal and shuts down;
 * it does no work in between.
 */
#include "api/lc_api.h"
#include "cli/cli.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_MOUNTS = 16, MAX_LOOPS = 64, DEFAULT_PORT = 3000, CLOSE_GRACE_MILLIS = 300 };
enum {
    OPT_DATA_DIR = 256,
    OPT_KEY_DIR,
    OPT_PUB_KEY,
    OPT_PRIV_KEY,
    OPT_SERVE,
    OPT_IO_THREADS,
    OPT_DURABILITY
};
/* What takes longer to open is told of: on a terminal in one line, else in the log now and then. */
enum { OPENING_QUIET_MILLIS = 2000, OPENING_LINE_MILLIS = 100, OPENING_LOG_MILLIS = 5000 };

typedef struct start_options {
    char host[256];
    uint16_t port;
    const char *data_dir;
    const char *key_dir;
    const char *pub_key, *priv_key;
    lc_mount mounts[MAX_MOUNTS];
    uint32_t mount_count;
    uint32_t io_threads;
    bool has_durability;
    lc_durability durability;
} start_options;

static const struct argp_option option_list[] = {
    {"listen-addr", 'l', "HOST:PORT", 0, "where to listen (default 127.0.0.1:3000)", 0},
    {"data-dir", OPT_DATA_DIR, "DIR", 0, "where everything is kept (default ./lightcone-data)", 0},
    {"jwt-key-dir", OPT_KEY_DIR, "DIR", 0,
     "folder of the key pair id_ecdsa, id_ecdsa.pub (default: the configuration folder)", 0},
    {"jwt-pub-key-path", OPT_PUB_KEY, "FILE", 0, "public key (needs --jwt-priv-key-path)", 0},
    {"jwt-priv-key-path", OPT_PRIV_KEY, "FILE", 0, "private key (needs --jwt-pub-key-path)", 0},
    {"serve", OPT_SERVE, "PATH=DIR", 0, "serve the files of DIR under PATH, e.g. /chat/=./web", 0},
    {"io-threads", OPT_IO_THREADS, "N", 0, "I/O loops (default: half of the cores)", 0},
    {"durability", OPT_DURABILITY, "MODE", 0,
     "when a transaction is confirmed: group (after a sync, the default), each (after a sync of "
     "its "
     "own) or relaxed (at once; a power failure may lose the last second); overrides config.toml",
     0},
    {"non-interactive", 'n', NULL, OPTION_HIDDEN, "", 0},
    {0},
};

static void parse_address(char *arg, struct argp_state *state)
{
    start_options *o = state->input;
    char *colon = strrchr(arg, ':');
    if (!colon) lc_cli_misuse(state, "--listen-addr %s: a port is missing (HOST:PORT)", arg);
    char *end;
    unsigned long port = strtoul(colon + 1, &end, 10);
    if (colon[1] == 0 || *end || port > UINT16_MAX)
        lc_cli_misuse(state, "--listen-addr %s: %s is not a port", arg, colon + 1);
    size_t n = (size_t)(colon - arg);
    if (n >= 2 && arg[0] == '[' && arg[n - 1] == ']') {
        arg++;
        n -= 2;
    }
    if (n == 0 || n >= sizeof o->host)
        lc_cli_misuse(state, "--listen-addr: the host is %s", n ? "too long" : "missing");
    memcpy(o->host, arg, n);
    o->host[n] = 0;
    o->port = (uint16_t)port;
}

static void parse_mount(char *arg, struct argp_state *state)
{
    start_options *o = state->input;
    char *eq = strchr(arg, '=');
    if (!eq || arg[0] != '/' || eq == arg + 1 || eq[-1] != '/')
        lc_cli_misuse(state, "--serve %s: wanted PATH=DIR with a PATH like /chat/", arg);
    if (o->mount_count == MAX_MOUNTS) lc_cli_misuse(state, "more than %d --serve", MAX_MOUNTS);
    *eq = 0;
    struct stat st;
    if (stat(eq + 1, &st) != 0 || !S_ISDIR(st.st_mode))
        lc_cli_misuse(state, "--serve %s: there is no folder %s", arg, eq + 1);
    o->mounts[o->mount_count++] = (lc_mount){arg, eq + 1};
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    start_options *o = state->input;
    switch (key) {
    case 'l':
        parse_address(arg, state);
        return 0;
    case OPT_DATA_DIR:
        o->data_dir = arg;
        return 0;
    case OPT_KEY_DIR:
        o->key_dir = arg;
        return 0;
    case OPT_PUB_KEY:
        o->pub_key = arg;
        return 0;
    case OPT_PRIV_KEY:
        o->priv_key = arg;
        return 0;
    case OPT_SERVE:
        parse_mount(arg, state);
        return 0;
    case OPT_IO_THREADS:
        o->io_threads = (uint32_t)lc_cli_number(state, "--io-threads", arg, MAX_LOOPS);
        if (o->io_threads == 0) lc_cli_misuse(state, "--io-threads: 1 to %d", MAX_LOOPS);
        return 0;
    case OPT_DURABILITY:
        o->has_durability = true;
        o->durability =
            (lc_durability)lc_cli_choice(state, "--durability", arg, lc_durability_names);
        return 0;
    case 'n':
        return 0;
    case ARGP_KEY_ARG:
        lc_cli_misuse(state, "unexpected argument '%s'", arg);
    case ARGP_KEY_END:
        if (!o->pub_key != !o->priv_key)
            lc_cli_misuse(state, "--jwt-pub-key-path and --jwt-priv-key-path need each other");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* ------------------------------------------------------------------- progress */

/* One line for whatever is being opened just now; databases open side by side. */
typedef struct progress {
    pthread_mutex_t lock;
    bool is_terminal;
    size_t drawn; /* characters of the line on the terminal */
} progress;

static void draw(progress *p, const char *line)
{
    size_t len = strlen(line);
    fprintf(stderr, "\r%s%*s", line, p->drawn > len ? (int)(p->drawn - len) : 0, "");
    if (len == 0) fputc('\r', stderr);
    fflush(stderr);
    p->drawn = len;
}

static char *describe_opening(const lc_opening *o)
{
    const lc_storage_progress *at = &o->progress;
    unsigned percent = at->total ? (unsigned)(100.0 * (double)at->done / (double)at->total) : 0;
    if (!at->is_log) return lc_format("opening %s: snapshot, %u %%", o->name, percent);
    return lc_format("opening %s: log, %u %%, %llu commits", o->name, percent,
                     (unsigned long long)at->commits);
}

static void on_opening(void *arg, lc_opening *o)
{
    progress *p = arg;
    uint64_t pause = p->is_terminal ? OPENING_LINE_MILLIS : OPENING_LOG_MILLIS;
    if (o->is_over
            ? o->said_at == 0
            : o->millis < OPENING_QUIET_MILLIS || (o->said_at && o->millis < o->said_at + pause))
        return;
    char *line = o->is_over ? lc_strdup("") : describe_opening(o);
    pthread_mutex_lock(&p->lock);
    if (p->is_terminal)
        draw(p, line);
    else if (o->is_over)
        lc_log(LC_LOG_INFO, "%s: opened in %.1f s", o->name, (double)o->millis / 1000);
    else
        lc_log(LC_LOG_INFO, "%s", line);
    pthread_mutex_unlock(&p->lock);
    o->said_at = o->millis;
    lc_free(line);
}

/* -------------------------------------------------------------------- process */

static void *run_loop(void *loop)
{
    pthread_setname_np(pthread_self(), "lc-loop");
    lc_loop_run(loop);
    return NULL;
}

typedef struct running {
    lc_node *node;
    lc_api *api;
    lc_listener *listener;
    lc_loop *loops[MAX_LOOPS];
    pthread_t threads[MAX_LOOPS];
    uint32_t loop_count;
} running;

static void start_threads(running *r)
{
    for (uint32_t i = 0; i < r->loop_count; i++)
        if (pthread_create(&r->threads[i], NULL, run_loop, r->loops[i]) != 0)
            LC_BUG("cannot start an I/O thread");
}

static void stop(running *r)
{
    if (r->listener) lc_listener_stop(r->listener);
    lc_node_close_databases(r->node);
    usleep(CLOSE_GRACE_MILLIS * 1000); /* for the Close handshakes */
    for (uint32_t i = 0; i < r->loop_count; i++) lc_loop_stop(r->loops[i]);
    for (uint32_t i = 0; i < r->loop_count; i++) pthread_join(r->threads[i], NULL);
    lc_node_end_work(r->node);
    lc_api_destroy(r->api);
    lc_node_destroy(r->node);
    for (uint32_t i = 0; i < r->loop_count; i++) lc_loop_destroy(r->loops[i]);
    if (r->listener) lc_listener_destroy(r->listener);
}

int lc_command_start(int argc, char **argv)
{
    static const struct argp argp = {
        option_list, parse_option,
        NULL,        "Runs the server until SIGINT or SIGTERM, which drain, sync and leave.",
        NULL,        NULL,
        NULL};
    start_options o = {.host = "127.0.0.1", .port = DEFAULT_PORT, .data_dir = "lightcone-data"};
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    o.io_threads = cores > 3 ? (uint32_t)(cores / 2) : 1;
    if (o.io_threads > MAX_LOOPS) o.io_threads = MAX_LOOPS;
    argp_parse(&argp, argc, argv, 0, NULL, &o);

    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error like any other */

    lc_error err = LC_ERROR_INIT;
    progress shown = {.lock = PTHREAD_MUTEX_INITIALIZER, .is_terminal = isatty(STDERR_FILENO)};
    running r = {.loop_count = o.io_threads};
    /* The keys stand beside the user's token, as with the reference: a new data folder does not
     * make the token worthless. */
    char *own_keys = lc_cli_config_folder();
    lc_node_options node_options = {
        .data_folder = o.data_dir,
        .key_folder = o.key_dir ? o.key_dir : own_keys,
        .private_key_path = o.priv_key,
        .public_key_path = o.pub_key,
        .durability = o.has_durability ? &o.durability : NULL,
        .on_opening = on_opening,
        .arg = &shown,
    };
    lc_status created = lc_node_create(&node_options, &r.node, &err);
    lc_free(own_keys);
    if (created != LC_OK) return lc_cli_fail(&err);
    for (uint32_t i = 0; i < r.loop_count; i++) r.loops[i] = lc_loop_create();
    lc_api_options api_options = {
        .node = r.node,
        .loops = r.loops,
        .loop_count = r.loop_count,
        .mounts = o.mounts,
        .mount_count = o.mount_count,
    };
    r.api = lc_api_create(&api_options);
    uint16_t port = 0;
    lc_status rc = lc_listener_create(r.loops, r.loop_count, o.host, o.port, lc_api_handler(r.api),
                                      &r.listener, &port, &err);
    start_threads(&r);
    if (rc == LC_OK) {
        printf("lightcone %s\ndatabase running in data directory %s\n"
               "Starting Lightcone listening on %s:%u\n",
               LC_VERSION, o.data_dir, o.host, port);
        fflush(stdout);
        int sig;
        sigwait(&signals, &sig);
        lc_log(LC_LOG_INFO, "%s: draining and leaving", sig == SIGINT ? "SIGINT" : "SIGTERM");
    }
    stop(&r);
    return rc == LC_OK ? 0 : lc_cli_fail(&err);
}
