/*
 * cli: the commands of the `lightcone` program (spec chapter 04 section 6). The one room that
 * prints and exits: every command returns its exit code (0 done, 1 failed, 2 wrong usage).
 */
#ifndef LC_CLI_H
#define LC_CLI_H

#include "sats/lc_sats.h"

#include <argp.h>
#include <stdio.h>

enum { LC_EXIT_DONE = 0, LC_EXIT_FAILED = 1, LC_EXIT_USAGE = 2 };

typedef struct lc_command {
    const char *name;
    const char *summary;
    int (*run)(int argc, char **argv); /* argv[0] is "lightcone NAME" for usage texts */
} lc_command;

/* All commands; ends with a NULL name. */
extern const lc_command lc_commands[];

int lc_command_start(int argc, char **argv);
int lc_command_publish(int argc, char **argv);
int lc_command_call(int argc, char **argv);
int lc_command_sql(int argc, char **argv);
int lc_command_subscribe(int argc, char **argv);
int lc_command_logs(int argc, char **argv);
int lc_command_describe(int argc, char **argv);
int lc_command_list(int argc, char **argv);
int lc_command_rename(int argc, char **argv);
int lc_command_lock(int argc, char **argv);
int lc_command_unlock(int argc, char **argv);
int lc_command_restart(int argc, char **argv);
int lc_command_delete(int argc, char **argv);
int lc_command_backup(int argc, char **argv);
int lc_command_restore(int argc, char **argv);
int lc_command_log(int argc, char **argv);
int lc_command_snapshot(int argc, char **argv);
int lc_command_login(int argc, char **argv);
int lc_command_logout(int argc, char **argv);
int lc_command_server(int argc, char **argv);

/* Writes to stdout, at once. */
void lc_cli_print(const lc_buf *text);
/* Prints `Error: TEXT` on stderr, clears the error, returns LC_EXIT_FAILED. */
int lc_cli_fail(lc_error *err);
/* Wrong usage: prints the text and where help is, and exits with LC_EXIT_USAGE. */
_Noreturn void lc_cli_misuse(const struct argp_state *state, const char *fmt, ...) LC_PRINTF(2, 3);
/* The place of arg in a list of words that ends with NULL; else misuse of the option. */
int lc_cli_choice(const struct argp_state *state, const char *option, const char *arg,
                  const char *const *words);
uint64_t lc_cli_number(const struct argp_state *state, const char *option, const char *arg,
                       uint64_t max);
/* Asks `QUESTION [y/N]` on out and reads a line from stdin; yes skips the question and says so. */
bool lc_cli_confirm(FILE *out, const char *question, bool yes);

/* --format of commands that say it: text or json; --json is short for the second. */
#define LC_OPT_FORMAT 0x2000
#define LC_OPT_JSON   0x2001
#define LC_FORMAT_OPTIONS                                                                          \
    {"format", LC_OPT_FORMAT, "FORMAT", 0, "text (the default) or json", 0},                       \
        {"json", LC_OPT_JSON, NULL, 0, "the same as --format json", 0}
/* True: key was one of the two. */
bool lc_cli_format_option(int key, const char *arg, const struct argp_state *state, bool *is_json);
/* A moment in time or of the log, as people write it: an offset, RFC 3339, or @ and microseconds.
 * The other of the two stays what it was. */
lc_status lc_cli_point_parse(const char *text, uint64_t *offset, int64_t *time, lc_error *err);
/* `123 bytes`, `1.5 MiB` */
void lc_cli_size_print(uint64_t bytes, lc_buf *out);

/* ---------------------------------------------------------------------- config.c */

/* What the command line remembers: $XDG_CONFIG_HOME/lightcone/cli.toml. */
typedef struct lc_cli_config {
    char *path;
    char *default_server; /* NULL: LC_DEFAULT_SERVER */
    char *token;          /* NULL: not logged in */
} lc_cli_config;
#define LC_DEFAULT_SERVER "http://127.0.0.1:3000"
/* $XDG_CONFIG_HOME/lightcone or ~/.config/lightcone; heap, NULL without a home. */
char *lc_cli_config_folder(void);
lc_status lc_cli_config_load(lc_cli_config *c, lc_error *err);
lc_status lc_cli_config_save(const lc_cli_config *c, lc_error *err); /* says so on stderr */
void lc_cli_config_deinit(lc_cli_config *c);

/* ---------------------------------------------------------------------- target.c */

/* Which server, as whom, and the words of the command line that are no options. */
typedef struct lc_target {
    const char *server; /* as given, NULL when not */
    bool is_anonymous;
    bool yes;
    LC_VEC(const char *) words;
    char *url;   /* http://host:port, no slash at the end */
    char *token; /* NULL when anonymous or not logged in */
    lc_cli_config config;
} lc_target;

/* The options that commands share, as an argp child that fills an lc_target and takes the words. */
extern const struct argp_child lc_target_children[];
/* For commands without options of their own. args and doc as in struct argp. */
void lc_target_parse(lc_target *t, const char *args, const char *doc, int argc, char **argv);
/* Checks the number of words; args as in the usage text, e.g. "DATABASE FUNCTION [ARG...]". False:
 * said what is missing, the command returns LC_EXIT_USAGE. */
bool lc_target_has_words(const lc_target *t, const char *command, const char *args, size_t min,
                         size_t max);
/* Finds server and token; makes a new identity at the server when there is no token yet and
 * needs_token. */
lc_status lc_target_open(lc_target *t, bool needs_token, lc_error *err);
void lc_target_close(lc_target *t);
/* The same, and hex64 of a database given by name or identity. Nobody is logged in for the sake of
 * a name that the server does not know. */
lc_status lc_target_open_database(lc_target *t, const char *name, bool needs_token, char hex[65],
                                  lc_error *err);
/* The schema of a database; see schema.c below. */
struct lc_remote_schema;
lc_status lc_remote_schema_get(const lc_target *t, const char *hex, struct lc_remote_schema *out,
                               lc_error *err);
/* A new identity from the server itself, saved. */
lc_status lc_target_log_in(lc_target *t, lc_error *err);
/* The identity a token belongs to. */
lc_status lc_token_identity(const char *token, char hex[65], lc_error *err);

/* ------------------------------------------------------------------------ http.c */

typedef struct lc_cli_response {
    long status;
    char *content_type; /* may be NULL */
    lc_buf body;
    char *url;
    bool had_token;
} lc_cli_response;
void lc_cli_response_deinit(lc_cli_response *r);

typedef struct lc_cli_request {
    const char *method; /* NULL: GET */
    lc_span body;
    const char *content_type;
    bool is_plain; /* without the token */
    /* For a body that comes bit by bit, called as it arrives; NULL: into the response. What comes
     * with another status than 2xx goes into the response all the same. False: enough, end it. */
    bool (*each)(void *arg, lc_span bytes);
    /* A body that is sent bit by bit instead of `body`: up to n bytes, 0 at the end, -1 to give up
     * the request. NULL: none. */
    ssize_t (*read)(void *arg, void *buf, size_t n);
    void *arg;
} lc_cli_request;
/* One request; LC_E_IO when nobody answers. */
lc_status lc_http_send(const lc_target *t, const lc_cli_request *q, const char *path,
                       lc_cli_response *out, lc_error *err);
/* The same; fails with the server's text unless the status is 2xx. Path printf-style. */
lc_status lc_http_fetch(const lc_target *t, const lc_cli_request *q, lc_cli_response *out,
                        lc_error *err, const char *path, ...) LC_PRINTF(5, 6);
/* Fails with the server's text unless the status is 2xx. */
lc_status lc_cli_response_check(const lc_cli_response *r, lc_error *err);
/* `404 Not Found` */
void lc_http_status_print(long status, lc_buf *out);
/* Percent-encodes what may not stand in one segment of a path. */
char *lc_url_escape(const char *text);

/* ------------------------------------------------------------------------ walk.c */

/* Walks a JSON object or array:
 *     lc_walk w;
 *     for (lc_walk_begin(&w, text, err); lc_walk_next(&w);) ...
 *     lc_walk_end(&w);
 * Malformed text ends the walk and fills err. */
typedef struct lc_walk {
    lc_span key;         /* of an object's member */
    lc_span value;       /* the value's text as it stands there */
    lc_json_token token; /* what the value begins with */
    /* private */
    lc_json json;
    lc_buf key_copy;
    bool is_object;
} lc_walk;
void lc_walk_begin(lc_walk *w, lc_span text, lc_error *err);
bool lc_walk_next(lc_walk *w);
void lc_walk_end(lc_walk *w);
/* The text of the value of one member, found by its key or keys one inside the other (ends with
 * NULL); ptr NULL when there is none. */
lc_span lc_json_member(lc_span object, const char *key, ...) __attribute__((sentinel));
/* What a JSON string says (heap); NULL when the text is no string. */
char *lc_json_string_value(lc_span text);
/* The same JSON with line ends and two blanks per level. */
lc_status lc_json_pretty(lc_span text, lc_buf *out, lc_error *err);

/* ---------------------------------------------------------------------- schema.c */

/* A database's schema as the server tells it (GET .../schema?version=9), as far as commands need:
 * version 9 has the names under which tables and functions are reached. */
typedef struct lc_remote_table {
    lc_span name;
    const lc_type *row_type; /* without references */
} lc_remote_table;
typedef struct lc_remote_function {
    lc_span name;
    const lc_type *params; /* may refer to the typespace */
} lc_remote_function;
typedef LC_VEC(lc_remote_function) lc_remote_functions;
typedef struct lc_remote_schema {
    lc_arena arena;
    lc_typespace typespace;
    LC_VEC(lc_remote_table) tables; /* and views */
    lc_remote_functions reducers, procedures;
} lc_remote_schema;
lc_status lc_remote_schema_read(lc_span json, lc_remote_schema *out, lc_error *err);
void lc_remote_schema_deinit(lc_remote_schema *s);
/* NULL: none of that name. */
const lc_remote_table *lc_remote_schema_table(const lc_remote_schema *s, lc_span name);
const lc_remote_function *lc_remote_function_find(const lc_remote_functions *f, lc_span name);
/* `transfer(from: u32, to: u32)` */
void lc_remote_signature_print(const lc_remote_schema *s, const lc_remote_function *f, lc_buf *out);
/* `No such reducer OR procedure ...`, with names that are near, or a list. */
lc_status lc_remote_function_unknown(const lc_remote_schema *s, const char *name,
                                     const char *database, const char *hex, lc_error *err);

/* ----------------------------------------------------------------------- table.c */

/* Text in columns, psql style. The first row is the headings. */
typedef struct lc_text_table {
    size_t columns;
    LC_VEC(lc_span) cells;
    lc_arena arena;
} lc_text_table;
void lc_text_table_add(lc_text_table *t, lc_span cell); /* copies */
void lc_text_table_print(const lc_text_table *t, lc_buf *out);
void lc_text_table_deinit(lc_text_table *t);

/* -------------------------------------------------------------------- log_line.c */

typedef enum lc_log_line_level {
    LC_LINE_TRACE,
    LC_LINE_DEBUG,
    LC_LINE_INFO,
    LC_LINE_WARN,
    LC_LINE_ERROR,
    LC_LINE_PANIC,
    LC_LINE_UNKNOWN, /* shown whatever the filter */
} lc_log_line_level;
/* Which level a record (one JSON object) has. */
lc_log_line_level lc_log_line_level_of(lc_span record);
/* A record as a line of text (or several), with its line end; what is no record as it is. */
void lc_log_line_print(lc_span record, bool has_colour, lc_buf *out);

/* --------------------------------------------------------------------- compile.c */

/* Compiles the C sources of a folder to WebAssembly, as sdk/module/README.md says. What the
 * compiler says goes to stderr as it comes. */
lc_status lc_compile_module(const char *folder, lc_buf *wasm, lc_error *err);

/* ------------------------------------------------------------------- ws_client.c */

typedef struct lc_ws_client lc_ws_client;
/* Connects and upgrades; path as in a URL. Only protocol is offered. */
lc_status lc_ws_client_open(const lc_target *t, const char *path, const char *protocol,
                            lc_ws_client **out, lc_error *err);
void lc_ws_client_close(lc_ws_client *w);
lc_status lc_ws_client_send(lc_ws_client *w, lc_span message, lc_error *err);
/* The next message; valid until the next call. LC_E_LIMIT at the deadline (monotonic nanoseconds,
 * 0: none), LC_E_CLOSED when the server has closed. */
lc_status lc_ws_client_receive(lc_ws_client *w, uint64_t deadline, lc_span *message, lc_error *err);

/* -------------------------------------------------------------------- log_dump.c */

/* Commits of a log as JSON, one object each, in the notation of tests/recorded/commitlog/README.md.
 * Rows are typed by the schema as the commits before have made it. */
typedef struct lc_log_dump lc_log_dump;
struct lc_store;
struct lc_journal_commit;
/* store: the schema that the first commit meets (its system tables); borrowed for the call. */
lc_log_dump *lc_log_dump_create(const struct lc_store *store, bool is_full);
void lc_log_dump_destroy(lc_log_dump *d);
/* Appends the commit's object and a line end, and learns from it. LC_E_CORRUPT names what cannot be
 * understood. */
lc_status lc_log_dump_commit(lc_log_dump *d, const struct lc_journal_commit *c, lc_buf *out,
                             lc_error *err);
/* The same undecoded: the records in hex. */
void lc_log_dump_raw(const struct lc_journal_commit *c, lc_buf *out);

/* ------------------------------------------------------------------- row_json.c */

/* Reads one value and appends its JSON; not full: texts and byte arrays over LC_ROW_JSON_LONG bytes
 * as {"length","sha256"}. False: the bytes are none (the reader has failed). */
#define LC_ROW_JSON_LONG 300
bool lc_row_json(const lc_type *t, lc_reader *r, bool is_full, lc_buf *out);

#endif
