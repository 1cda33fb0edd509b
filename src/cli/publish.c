/*
 * `lightcone publish`: builds a module and gives it to a server (04 sections 4.3, 4.4 and 6.3).
 */
#include "cli/cli.h"
#include "server/lc_server.h"

#include <errno.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OPT_BREAK_CLIENTS = 256, OPT_JSON };
enum { DELETE_NEVER, DELETE_ON_CONFLICT, DELETE_ALWAYS };

typedef struct publish_options {
    lc_target target;
    const char *name; /* NULL: none */
    const char *module_path;
    const char *bin_path;
    int delete_data;
    bool breaks_clients;
    bool is_json;
    /* what is found out on the way */
    FILE *say; /* where people read: stdout, unless programs read there */
    lc_buf wasm;
    char *escaped_name;
    char *migration_token; /* NULL: none */
} publish_options;

static const struct argp_option option_list[] = {
    {"module-path", 'p', "DIR", 0,
     "folder with the module's C sources, or a .wasm file (default .)", 0},
    {"bin-path", 'b', "FILE", 0, "a module that is built already (.wasm)", 0},
    {"delete-data", 'c', "WHEN", OPTION_ARG_OPTIONAL,
     "delete the database's data first: always (also -c alone), on-conflict, never", 0},
    {"clear-database", 'c', "WHEN", OPTION_ARG_OPTIONAL | OPTION_ALIAS, NULL, 0},
    {"break-clients", OPT_BREAK_CLIENTS, NULL, 0, "do not ask when clients will be disconnected",
     0},
    {"json", OPT_JSON, NULL, 0, "print the result as one JSON object", 0},
    {0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    static const char *const when[] = {"never", "on-conflict", "always", NULL};
    publish_options *o = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &o->target;
        return 0;
    case 'p':
        o->module_path = arg;
        return 0;
    case 'b':
        o->bin_path = arg;
        return 0;
    case 'c':
        o->delete_data = arg ? lc_cli_choice(state, "--delete-data", arg, when) : DELETE_ALWAYS;
        return 0;
    case OPT_BREAK_CLIENTS:
        o->breaks_clients = true;
        return 0;
    case OPT_JSON:
        o->is_json = true;
        return 0;
    case ARGP_KEY_END:
        if (o->bin_path && o->module_path)
            lc_cli_misuse(state, "--bin-path cannot be used with --module-path");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static bool is_local(const char *url)
{
    static const char *const hosts[] = {"localhost", "127.0.0.1", "[::1]"};
    const char *host = strstr(url, "://") + 3;
    for (size_t i = 0; i < LC_ARRAY_LEN(hosts); i++) {
        size_t n = strlen(hosts[i]);
        if (strncasecmp(host, hosts[i], n) == 0 && (!host[n] || strchr(":/", host[n]))) return true;
    }
    return false;
}

static lc_status check_name(const char *name, lc_error *err)
{
    lc_identity id;
    if (lc_identity_parse(lc_span_of_str(name), &id, NULL) == LC_OK) return LC_OK;
    return lc_database_name_check(lc_span_of_str(name), err);
}

static lc_status build(publish_options *o, lc_error *err)
{
    const char *path = o->module_path ? o->module_path : ".";
    struct stat st;
    if (!o->bin_path && stat(path, &st) == 0 && S_ISREG(st.st_mode)) o->bin_path = path;
    if (!o->bin_path) {
        fprintf(o->say, "Compiling %s\n", path);
        fflush(o->say);
        return lc_compile_module(path, &o->wasm, err);
    }
    lc_status rc = lc_disk_read_file(lc_disk_system(), o->bin_path, &o->wasm, err);
    if (rc == LC_E_NOT_FOUND)
        lc_error_set(err, rc, "cannot open module %s: %s", o->bin_path, strerror(ENOENT));
    if (rc == LC_OK)
        fprintf(o->say, "(WASM) Skipping build. Instead we are publishing %s\n", o->bin_path);
    return rc;
}

static bool json_is_true(lc_span object, const char *key)
{
    return lc_span_equal_str(lc_json_member(object, key, NULL), "true");
}

static void say_text(publish_options *o, lc_span json)
{
    char *text = lc_json_string_value(json);
    fprintf(o->say, "%s\n", text ? text : "");
    lc_free(text);
}

/* A plan that the server can carry out by itself. */
static lc_status accept_plan(publish_options *o, lc_span plan, lc_error *err)
{
    say_text(o, lc_json_member(plan, "migrate_plan", NULL));
    o->migration_token = lc_json_string_value(lc_json_member(plan, "token", NULL));
    if (!json_is_true(plan, "break_clients")) return LC_OK;
    if (lc_cli_confirm(o->say,
                       "The above changes will BREAK existing clients. Do you want to proceed?",
                       o->target.yes || o->breaks_clients))
        return LC_OK;
    fprintf(o->say, "Aborting\n");
    return lc_error_set(err, LC_E_DENIED, "Publishing aborted by user");
}

static lc_status accept_manual(publish_options *o, lc_span plan, bool *must_clear, lc_error *err)
{
    say_text(o, lc_json_member(plan, "reason", NULL));
    if (o->delete_data == DELETE_ON_CONFLICT) {
        fprintf(o->say, "Proceeding with database clear due to --delete-data=on-conflict.\n");
        *must_clear = true;
        return LC_OK;
    }
    fprintf(o->say, "Aborting publish due to required manual migration.\n");
    return lc_error_set(err, LC_E_CONFLICT,
                        "Aborting because publishing would require manual migration or deletion of "
                        "data and --delete-data was not specified.");
}

/* Asks the server what the update would do. */
static lc_status check_update(publish_options *o, bool *must_clear, lc_error *err)
{
    bool has_colour = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
    const char *style = has_colour ? "AnsiColor" : "NoColor";
    fprintf(o->say, "Checking for breaking changes...\n");
    fflush(o->say);
    char *path =
        lc_format("/v1/database/%s/pre_publish?style=%s&pretty_print_style=%s&host_type=Wasm",
                  o->escaped_name, style, style);
    lc_cli_request q = {.method = "POST", .body = lc_buf_span(&o->wasm)};
    lc_cli_response r;
    lc_status rc = lc_http_send(&o->target, &q, path, &r, err);
    lc_free(path);
    if (rc != LC_OK) return rc;
    lc_span body = lc_buf_span(&r.body);
    lc_span automatic = lc_json_member(body, "AutoMigrate", NULL);
    lc_span manual = lc_json_member(body, "ManualMigrate", NULL);
    lc_buf status = LC_BUF_INIT;
    lc_http_status_print(r.status, &status);
    /* 404: there is nothing to break. 501: a server that checks when it is published. */
    if (r.status == 404 || r.status == 501)
        rc = LC_OK;
    else if (r.status / 100 == 2 && automatic.ptr)
        rc = accept_plan(o, automatic, err);
    else if (r.status / 100 == 2 && manual.ptr)
        rc = accept_manual(o, manual, must_clear, err);
    else
        rc = lc_error_set(err, LC_E_IO,
                          "Pre-publish check failed with status " LC_SPAN_FMT ": " LC_SPAN_FMT,
                          LC_SPAN_ARG(lc_buf_span(&status)), LC_SPAN_ARG(body));
    lc_buf_deinit(&status);
    lc_cli_response_deinit(&r);
    return rc;
}

static lc_status confirm_clear(publish_options *o, lc_error *err)
{
    fprintf(o->say, "This will DESTROY the current %s module, and ALL corresponding data.\n",
            o->name);
    char *question = lc_format("Are you sure you want to proceed? [deleting %s]", o->name);
    bool goes_on = lc_cli_confirm(o->say, question, o->target.yes);
    lc_free(question);
    return goes_on ? LC_OK : lc_error_set(err, LC_E_DENIED, "Aborted.");
}

static void say_result(const publish_options *o, lc_span body)
{
    char *identity =
        lc_json_string_value(lc_json_member(body, "Success", "database_identity", NULL));
    char *name = lc_json_string_value(lc_json_member(body, "Success", "domain", NULL));
    char *op = lc_json_string_value(lc_json_member(body, "Success", "op", NULL));
    bool is_new = op && strcmp(op, "created") == 0;
    if (o->is_json) {
        lc_buf out = LC_BUF_INIT;
        lc_buf_put_str(&out, "{\"name\":");
        if (name)
            lc_json_write_string(lc_span_of_str(name), &out);
        else
            lc_buf_put_str(&out, "null");
        lc_buf_printf(&out, ",\"identity\":\"%s\",\"op\":\"%s\"}\n", identity ? identity : "",
                      is_new ? "created" : "updated");
        lc_cli_print(&out);
        lc_buf_deinit(&out);
    } else {
        printf("%s database with ", is_new ? "Created new" : "Updated");
        if (name) printf("name: %s, ", name);
        printf("identity: %s\n", identity ? identity : "");
    }
    lc_free(identity);
    lc_free(name);
    lc_free(op);
}

static lc_status upload(publish_options *o, bool must_clear, lc_error *err)
{
    lc_buf path = LC_BUF_INIT;
    lc_buf_printf(&path, "/v1/database%s%s?", o->name ? "/" : "", o->name ? o->escaped_name : "");
    if (must_clear)
        lc_buf_put_str(&path, "clear=true&");
    else if (o->migration_token)
        lc_buf_printf(&path, "token=%s&policy=BreakClients&", o->migration_token);
    lc_buf_put_str(&path, "host_type=Wasm");
    char *text = lc_buf_give_cstr(&path);
    fprintf(o->say, "Publishing module...\n");
    fflush(o->say);
    lc_cli_request q = {.method = o->name ? "PUT" : "POST", .body = lc_buf_span(&o->wasm)};
    lc_cli_response r;
    lc_status rc = lc_http_send(&o->target, &q, text, &r, err);
    lc_free(text);
    if (rc != LC_OK) return rc;
    if (lc_json_member(lc_buf_span(&r.body), "PermissionDenied", NULL).ptr)
        rc = lc_error_set(err, LC_E_DENIED,
                          "The database %s is not registered to the identity you provided.",
                          o->name);
    else
        rc = lc_cli_response_check(&r, err);
    if (rc == LC_OK) say_result(o, lc_buf_span(&r.body));
    lc_cli_response_deinit(&r);
    return rc;
}

static lc_status publish(publish_options *o, lc_error *err)
{
    lc_target *t = &o->target;
    o->say = o->is_json ? stderr : stdout;
    o->name = t->words.len ? t->words.items[0] : NULL;
    lc_status rc = o->name ? check_name(o->name, err) : LC_OK;
    if (rc == LC_OK) rc = build(o, err);
    if (rc == LC_OK) rc = lc_target_open(t, true, err);
    if (rc != LC_OK) return rc;
    o->escaped_name = lc_url_escape(o->name ? o->name : "");
    if (!is_local(t->url)) {
        fprintf(o->say, "You are about to publish to a non-local server: %s\n", t->url);
        if (!lc_cli_confirm(o->say, "Are you sure you want to proceed?", t->yes))
            return lc_error_set(err, LC_E_DENIED, "Publish aborted by user.");
    }
    fprintf(o->say, "Uploading to %s\n", t->url);
    bool must_clear = o->name && o->delete_data == DELETE_ALWAYS;
    if (must_clear)
        rc = confirm_clear(o, err);
    else if (o->name)
        rc = check_update(o, &must_clear, err);
    return rc == LC_OK ? upload(o, must_clear, err) : rc;
}

int lc_command_publish(int argc, char **argv)
{
    static const char args[] = "[NAME]";
    static const struct argp argp = {
        option_list,
        parse_option,
        args,
        "Creates the database NAME (or one without a name) from a module, or updates it. A folder "
        "of C sources is compiled first, with clang.\v"
        "An update keeps the data; what the server cannot migrate it refuses, unless --delete-data "
        "is given. Examples:\n"
        "  lightcone publish chat -p examples/chat\n"
        "  lightcone publish chat -b chat.wasm -c",
        lc_target_children,
        NULL,
        NULL};
    publish_options o = {0};
    lc_error err = LC_ERROR_INIT;
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    int rc = LC_EXIT_USAGE;
    if (lc_target_has_words(&o.target, argv[0], args, 0, 1))
        rc = publish(&o, &err) == LC_OK ? LC_EXIT_DONE : lc_cli_fail(&err);
    lc_buf_deinit(&o.wasm);
    lc_free(o.escaped_name);
    lc_free(o.migration_token);
    lc_target_close(&o.target);
    return rc;
}
