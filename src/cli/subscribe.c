/*
 * `lightcone subscribe`: the changes of some queries, one JSON object per transaction (03 section
 * 6).
 */
#include "cli/cli.h"
#include "cli/updates.h"

#include <stdlib.h>

enum { OPT_INITIAL = 256, OPT_CONFIRMED };
enum { SUBSCRIBE = 0, REQUEST_ID = 1, QUERY_SET = 1 };
#define NANOS 1000000000ull

typedef struct subscribe_options {
    lc_target target;
    bool has_count;
    uint64_t count;
    const char *timeout; /* as given, NULL: none */
    uint64_t deadline;   /* 0: none */
    bool prints_initial;
    const char *confirmed;
    lc_remote_schema schema;
    uint64_t received;
} subscribe_options;

static const struct argp_option option_list[] = {
    {"num-updates", 'n', "N", 0, "end after N updates", 0},
    {"timeout", 't', "SECONDS", 0, "end after that time; with -n unmet that is a failure", 0},
    {"print-initial-update", OPT_INITIAL, NULL, 0, "print the rows that are there at the start", 0},
    {"confirmed", OPT_CONFIRMED, "BOOL", 0, "true: only what is safe on disk (the default)", 0},
    {0},
};

static void parse_timeout(subscribe_options *o, const char *arg, const struct argp_state *state)
{
    char *end;
    double seconds = strtod(arg, &end);
    if (end == arg || *end || !(seconds >= 0 && seconds < 1e9))
        lc_cli_misuse(state, "invalid value '%s' for --timeout: wanted seconds", arg);
    o->timeout = arg;
    o->deadline = lc_clock_mono(lc_clock_system()) + (uint64_t)(seconds * (double)NANOS);
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    static const char *const bools[] = {"true", "false", NULL};
    subscribe_options *o = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &o->target;
        return 0;
    case 'n':
        o->has_count = true;
        o->count = lc_cli_number(state, "--num-updates", arg, UINT32_MAX);
        return 0;
    case 't':
        parse_timeout(o, arg, state);
        return 0;
    case OPT_INITIAL:
        o->prints_initial = true;
        return 0;
    case OPT_CONFIRMED:
        lc_cli_choice(state, "--confirmed", arg, bools);
        o->confirmed = arg;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static lc_status send_subscribe(subscribe_options *o, lc_ws_client *w, lc_error *err)
{
    lc_buf m = LC_BUF_INIT;
    size_t queries = o->target.words.len - 1;
    lc_buf_put_u8(&m, SUBSCRIBE);
    lc_buf_put_u32(&m, REQUEST_ID);
    lc_buf_put_u32(&m, QUERY_SET);
    lc_buf_put_u32(&m, (uint32_t)queries);
    for (size_t i = 0; i < queries; i++)
        lc_buf_put_lenstr(&m, lc_span_of_str(o->target.words.items[i + 1]));
    lc_status rc = lc_ws_client_send(w, lc_buf_span(&m), err);
    lc_buf_deinit(&m);
    return rc;
}

static lc_status on_message(subscribe_options *o, lc_span message, bool *is_over, lc_error *err)
{
    lc_buf line = LC_BUF_INIT;
    lc_update_kind kind;
    lc_status rc = lc_update_print(&o->schema, message, &kind, &line, err);
    if (rc == LC_OK && kind == LC_UPDATE_CHANGE) o->received++;
    if (rc == LC_OK &&
        (kind == LC_UPDATE_CHANGE || (kind == LC_UPDATE_INITIAL && o->prints_initial))) {
        lc_cli_print(&line);
    }
    *is_over = o->has_count && kind != LC_UPDATE_OTHER && o->received >= o->count;
    lc_buf_deinit(&line);
    return rc;
}

/* The end that is none of our doing: a failure only when updates are missing. */
static lc_status on_end(const subscribe_options *o, lc_status why, lc_error *err)
{
    lc_error_clear(err);
    char *how =
        why == LC_E_LIMIT ? lc_format("timed out after %ss", o->timeout) : lc_strdup("closed");
    fprintf(stderr, "%s\n", why == LC_E_LIMIT ? how : "disconnected by server");
    lc_status rc = LC_OK;
    if (o->has_count)
        rc = lc_error_set(err, why, "subscription %s after receiving %llu/%llu updates", how,
                          (unsigned long long)o->received, (unsigned long long)o->count);
    lc_free(how);
    return rc;
}

static lc_status listen_to(subscribe_options *o, lc_ws_client *w, lc_error *err)
{
    lc_status rc = send_subscribe(o, w, err);
    bool is_over = false;
    while (rc == LC_OK && !is_over) {
        lc_span message;
        rc = lc_ws_client_receive(w, o->deadline, &message, err);
        if (rc == LC_E_CLOSED || rc == LC_E_LIMIT) return on_end(o, rc, err);
        if (rc == LC_OK) rc = on_message(o, message, &is_over, err);
    }
    return rc;
}

static lc_status run(subscribe_options *o, lc_error *err)
{
    lc_target *t = &o->target;
    char hex[65];
    lc_status rc = lc_target_open_database(t, t->words.items[0], true, hex, err);
    if (rc == LC_OK) rc = lc_remote_schema_get(t, hex, &o->schema, err);
    if (rc != LC_OK) return rc;
    char *path = lc_format("/v1/database/%s/subscribe?compression=None%s%s", hex,
                           o->confirmed ? "&confirmed=" : "", o->confirmed ? o->confirmed : "");
    lc_ws_client *w = NULL;
    rc = lc_ws_client_open(t, path, "v2.bsatn.spacetimedb", &w, err);
    lc_free(path);
    if (rc != LC_OK) return rc;
    rc = listen_to(o, w, err);
    lc_ws_client_close(w);
    return rc;
}

int lc_command_subscribe(int argc, char **argv)
{
    static const char args[] = "DATABASE QUERY...";
    static const struct argp argp = {
        option_list,
        parse_option,
        args,
        "Subscribes to queries and prints each transaction that changes what they say, as one JSON "
        "object a line: {\"TABLE\":{\"deletes\":[...],\"inserts\":[...]}}.\v"
        "Without -n and -t it goes on until interrupted. Example:\n"
        "  lightcone subscribe chat 'SELECT * FROM message' --print-initial-update",
        lc_target_children,
        NULL,
        NULL};
    subscribe_options o = {0};
    lc_error err = LC_ERROR_INIT;
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    int rc = LC_EXIT_USAGE;
    if (lc_target_has_words(&o.target, argv[0], args, 2, SIZE_MAX))
        rc = run(&o, &err) == LC_OK ? LC_EXIT_DONE : lc_cli_fail(&err);
    lc_remote_schema_deinit(&o.schema);
    lc_target_close(&o.target);
    return rc;
}
