#include "cli/cli.h"

#include <stdlib.h>

static void print_usage(FILE *out)
{
    fprintf(out, "Usage: lightcone COMMAND [OPTION...]\n\n"
                 "A database that is also a server, and its command line.\n\nCommands:\n");
    for (const lc_command *c = lc_commands; c->name; c++)
        fprintf(out, "  %-10s %s\n", c->name, c->summary);
    fprintf(out,
            "\n`lightcone COMMAND --help` tells about one command. Commands that talk to a server\n"
            "use " LC_DEFAULT_SERVER " unless `-s URL` names another one.\n");
}

static const lc_command *find(const char *name)
{
    for (const lc_command *c = lc_commands; c->name; c++)
        if (strcmp(name, c->name) == 0) return c;
    return NULL;
}

static char help_option[] = "--help";

static int run(const lc_command *c, int argc, char **argv)
{
    char *name = lc_format("lightcone %s", c->name);
    argv[0] = name;
    if (argc == 2 && strcmp(argv[1], "-h") == 0) argv[1] = help_option;
    int rc = c->run(argc, argv);
    lc_free(name);
    if (fflush(stdout) == 0 && !ferror(stdout)) return rc;
    fprintf(stderr, "Error: not everything could be written to the output\n");
    return LC_EXIT_FAILED;
}

int main(int argc, char **argv)
{
    argp_err_exit_status = LC_EXIT_USAGE;
    setenv("ARGP_HELP_FMT", "no-dup-args-note", 0);
    if (argc < 2) {
        print_usage(stderr);
        return LC_EXIT_USAGE;
    }
    const char *word = argv[1];
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) word = "version";
    bool is_help =
        strcmp(word, "help") == 0 || strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
    if (is_help && argc == 2) {
        print_usage(stdout);
        return LC_EXIT_DONE;
    }
    const lc_command *c = find(is_help ? argv[2] : word);
    if (!c) {
        fprintf(stderr, "Error: there is no command `%s`; `lightcone --help` lists them\n",
                is_help ? argv[2] : word);
        return LC_EXIT_USAGE;
    }
    if (is_help) return run(c, 2, (char *[]){NULL, help_option, NULL});
    return run(c, argc - 1, argv + 1);
}
