/*
 * `lightcone logs`: the records of a module, at once or as they come.
 */
#include "cli/cli.h"

#include <stdlib.h>
#include <unistd.h>

enum { OPT_FORMAT = 256, OPT_LEVEL_EXACT };
enum { TEXT, JSON };
enum { FOLLOW_LINES = 10 };

typedef struct log_options {
    lc_target target;
    bool has_lines, follows, is_json, has_level, is_exact;
    uint64_t lines;
    lc_log_line_level level;
    bool has_colour;
    lc_buf pending; /* a record that has not come in full */
    lc_buf out;
} log_options;

static const struct argp_option option_list[] = {
    {"num-lines", 'n', "N", 0, "only the last N records", 0},
    {"follow", 'f', NULL, 0, "go on with new records until interrupted", 0},
    {"format", OPT_FORMAT, "FORMAT", 0, "text (the default) or json (one record a line)", 0},
    {"level", 'l', "LEVEL", 0, "at least this level: trace, debug, info, warn, error, panic", 0},
    {"level-exact", OPT_LEVEL_EXACT, NULL, 0, "only records of the level given by --level", 0},
    {0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    static const char *const formats[] = {"text", "json", "txt", "default", NULL};
    static const char *const levels[] = {"trace", "debug", "info", "warn", "error", "panic", NULL};
    log_options *o = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &o->target;
        return 0;
    case 'n':
        o->has_lines = true;
        o->lines = lc_cli_number(state, "--num-lines", arg, UINT32_MAX);
        return 0;
    case 'f':
        o->follows = true;
        return 0;
    case 'l':
        o->has_level = true;
        o->level = (lc_log_line_level)lc_cli_choice(state, "--level", arg, levels);
        return 0;
    case OPT_FORMAT:
        o->is_json = lc_cli_choice(state, "--format", arg, formats) == JSON;
        return 0;
    case OPT_LEVEL_EXACT:
        o->is_exact = true;
        return 0;
    case ARGP_KEY_END:
        if (o->is_exact && !o->has_level) lc_cli_misuse(state, "--level-exact needs --level");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static bool is_wanted(const log_options *o, lc_span record)
{
    if (!o->has_level) return true;
    lc_log_line_level level = lc_log_line_level_of(record);
    if (level == LC_LINE_UNKNOWN) return true;
    return o->is_exact ? level == o->level : level >= o->level;
}

static void print_record(log_options *o, lc_span record)
{
    if (record.len == 0 || !is_wanted(o, record)) return;
    if (!o->is_json) {
        lc_log_line_print(record, o->has_colour, &o->out);
        return;
    }
    lc_buf_put_span(&o->out, record);
    lc_buf_put_u8(&o->out, '\n');
}

static bool on_bytes(void *arg, lc_span bytes)
{
    log_options *o = arg;
    const uint8_t *end;
    while (bytes.len && (end = memchr(bytes.ptr, '\n', bytes.len))) {
        size_t n = (size_t)(end - bytes.ptr);
        lc_buf_put(&o->pending, bytes.ptr, n);
        print_record(o, lc_buf_span(&o->pending));
        lc_buf_reset(&o->pending);
        bytes = LC_SPAN(end + 1, bytes.len - n - 1);
    }
    lc_buf_put_span(&o->pending, bytes);
    lc_cli_print(&o->out);
    lc_buf_reset(&o->out);
    return true;
}

static lc_status run(log_options *o, lc_error *err)
{
    lc_target *t = &o->target;
    char hex[65];
    lc_status rc = lc_target_open_database(t, t->words.items[0], true, hex, err);
    if (rc != LC_OK) return rc;
    if (o->follows && !o->has_lines) {
        o->has_lines = true;
        o->lines = FOLLOW_LINES;
    }
    o->has_colour = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
    char lines[48] = "";
    if (o->has_lines)
        snprintf(lines, sizeof lines, "num_lines=%llu&", (unsigned long long)o->lines);
    lc_cli_request q = {.each = on_bytes, .arg = o};
    lc_cli_response r;
    rc = lc_http_fetch(t, &q, &r, err, "/v1/database/%s/logs?%sfollow=%s", hex, lines,
                       o->follows ? "true" : "false");
    if (rc == LC_OK) lc_cli_response_deinit(&r);
    return rc;
}

int lc_command_logs(int argc, char **argv)
{
    static const char args[] = "DATABASE";
    static const struct argp argp = {
        option_list,
        parse_option,
        args,
        "Prints what the database's module has logged. Needs the owner's identity.\v"
        "The server picks the last N records before --level does.",
        lc_target_children,
        NULL,
        NULL};
    log_options o = {0};
    lc_error err = LC_ERROR_INIT;
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    int rc = LC_EXIT_USAGE;
    if (lc_target_has_words(&o.target, argv[0], args, 1, 1))
        rc = run(&o, &err) == LC_OK ? LC_EXIT_DONE : lc_cli_fail(&err);
    lc_buf_deinit(&o.pending);
    lc_buf_deinit(&o.out);
    lc_target_close(&o.target);
    return rc;
}
