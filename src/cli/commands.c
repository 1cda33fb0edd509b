/*
 * The list of commands, and what they all use to speak to people.
 */
#include "cli/cli.h"

#include <errno.h>
#include <stdlib.h>
#include <strings.h>

static int command_version(int argc, char **argv)
{
    static const struct argp argp = {.doc = "Prints the version of this program."};
    argp_parse(&argp, argc, argv, 0, NULL, NULL);
    printf("lightcone %s\n", LC_VERSION);
    return LC_EXIT_DONE;
}

const lc_command lc_commands[] = {
    {"start", "run the server", lc_command_start},
    {"publish", "create a database from a module, or update it", lc_command_publish},
    {"call", "call a reducer or a procedure", lc_command_call},
    {"sql", "run one SQL statement", lc_command_sql},
    {"subscribe", "print the changes of queries as they happen", lc_command_subscribe},
    {"logs", "print what a module has logged", lc_command_logs},
    {"describe", "print the schema of a database as JSON", lc_command_describe},
    {"list", "list your databases", lc_command_list},
    {"rename", "give a database another name", lc_command_rename},
    {"lock", "protect a database from deletion", lc_command_lock},
    {"unlock", "allow deletion again", lc_command_unlock},
    {"restart", "close a database and open it again", lc_command_restart},
    {"delete", "delete a database and its data", lc_command_delete},
    {"backup", "write a running database into one file", lc_command_backup},
    {"restore", "make a new database out of a backup", lc_command_restore},
    {"snapshot", "list, verify or take snapshots of a database", lc_command_snapshot},
    {"log", "verify, show or measure a commit log", lc_command_log},
    {"login", "get or show an identity", lc_command_login},
    {"logout", "forget the identity", lc_command_logout},
    {"server", "ask whether a server is there", lc_command_server},
    {"version", "print the version", command_version},
    {0},
};

void lc_cli_print(const lc_buf *text)
{
    if (text->len) fwrite(text->ptr, 1, text->len, stdout);
    fflush(stdout);
}

int lc_cli_fail(lc_error *err)
{
    fflush(stdout);
    fprintf(stderr, "Error: %s\n", lc_error_text(err));
    lc_error_clear(err);
    return LC_EXIT_FAILED;
}

_Noreturn void lc_cli_misuse(const struct argp_state *state, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fprintf(stderr, "Error: ");
    vfprintf(stderr, fmt, args);
    va_end(args);
    fprintf(stderr, "\n`%s --help` tells more.\n", state->name);
    exit(LC_EXIT_USAGE);
}

int lc_cli_choice(const struct argp_state *state, const char *option, const char *arg,
                  const char *const *words)
{
    lc_buf all = LC_BUF_INIT;
    for (int i = 0; words[i]; i++) {
        if (strcmp(arg, words[i]) == 0) {
            lc_buf_deinit(&all);
            return i;
        }
        lc_buf_printf(&all, "%s%s", i ? ", " : "", words[i]);
    }
    lc_cli_misuse(state, "invalid value '%s' for %s [possible values: " LC_SPAN_FMT "]", arg,
                  option, LC_SPAN_ARG(lc_buf_span(&all)));
}

uint64_t lc_cli_number(const struct argp_state *state, const char *option, const char *arg,
                       uint64_t max)
{
    char *end;
    errno = 0;
    unsigned long long v = strtoull(arg, &end, 10);
    if (*arg < '0' || *arg > '9' || *end || errno || v > max)
        lc_cli_misuse(state, "invalid value '%s' for %s: wanted a number up to %llu", arg, option,
                      (unsigned long long)max);
    return v;
}

bool lc_cli_format_option(int key, const char *arg, const struct argp_state *state, bool *is_json)
{
    static const char *const formats[] = {"text", "json", NULL};
    if (key == LC_OPT_FORMAT)
        *is_json = lc_cli_choice(state, "--format", arg, formats) == 1;
    else if (key == LC_OPT_JSON)
        *is_json = true;
    else
        return false;
    return true;
}

lc_status lc_cli_point_parse(const char *text, uint64_t *offset, int64_t *time, lc_error *err)
{
    bool is_time = text[0] == '@';
    const char *digits = text + is_time;
    size_t n = strspn(digits, "0123456789");
    if (n && !digits[n]) {
        errno = 0;
        unsigned long long v = strtoull(digits, NULL, 10);
        if (errno || (is_time && v > INT64_MAX))
            return lc_error_set(err, LC_E_INVALID, "`%s` is too large a number", text);
        if (is_time)
            *time = (int64_t)v;
        else
            *offset = v;
        return LC_OK;
    }
    if (!is_time && lc_timestamp_parse(lc_span_of_str(text), time, NULL) == LC_OK) return LC_OK;
    return lc_error_set(err, LC_E_INVALID,
                        "`%s` is neither an offset (like 1234) nor a time (like "
                        "2026-11-21T13:00:00Z, or @ and microseconds since 1970)",
                        text);
}

void lc_cli_size_print(uint64_t bytes, lc_buf *out)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
    double size = (double)bytes;
    int unit = -1;
    while (size >= 1024 && unit < 3) {
        size /= 1024;
        unit++;
    }
    if (unit < 0)
        lc_buf_printf(out, "%llu bytes", (unsigned long long)bytes);
    else
        lc_buf_printf(out, "%.1f %s", size, units[unit]);
}

bool lc_cli_confirm(FILE *out, const char *question, bool yes)
{
    if (yes) {
        fprintf(out, "Skipping confirmation due to --yes\n");
        return true;
    }
    fprintf(out, "%s [y/N]", question);
    fflush(out);
    char line[64], word[64];
    return fgets(line, sizeof line, stdin) && sscanf(line, " %63s", word) == 1 &&
           (strcasecmp(word, "y") == 0 || strcasecmp(word, "yes") == 0);
}
