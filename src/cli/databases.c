/*
 * `lightcone list`, `rename`, `lock`, `unlock`, `restart`, `delete`: databases as a whole.
 */
#include "cli/cli.h"

/* ------------------------------------------------------------------------- list */

enum { OPT_JSON = 256 };

typedef struct list_options {
    lc_target target;
    bool is_json;
} list_options;

static error_t parse_list_option(int key, char *arg, struct argp_state *state)
{
    (void)arg;
    list_options *o = state->input;
    if (key == ARGP_KEY_INIT)
        state->child_inputs[0] = &o->target;
    else if (key == OPT_JSON)
        o->is_json = true;
    else
        return ARGP_ERR_UNKNOWN;
    return 0;
}

/* The names of one database as a JSON list; the response owns it. */
static lc_status fetch_names(const lc_target *t, const char *hex, lc_cli_response *r,
                             lc_span *names, lc_error *err)
{
    lc_cli_request q = {.is_plain = true};
    lc_status rc = lc_http_fetch(t, &q, r, err, "/v1/database/%s/names", hex);
    if (rc == LC_OK) *names = lc_json_member(lc_buf_span(&r->body), "names", NULL);
    return rc;
}

static void join_names(lc_span names, lc_buf *out)
{
    lc_walk w;
    for (lc_walk_begin(&w, names, NULL); lc_walk_next(&w);) {
        char *name = lc_json_string_value(w.value);
        lc_buf_printf(out, "%s%s", out->len ? ", " : "", name ? name : "");
        lc_free(name);
    }
    lc_walk_end(&w);
}

typedef struct listing {
    lc_text_table table;
    lc_buf json;
} listing;

static lc_status add_database(const lc_target *t, lc_span identity, listing *l, lc_error *err)
{
    char *hex = lc_json_string_value(identity);
    lc_cli_response r;
    lc_span names;
    lc_status rc = fetch_names(t, hex ? hex : "", &r, &names, err);
    if (rc == LC_OK) {
        lc_buf cell = LC_BUF_INIT;
        join_names(names, &cell);
        lc_text_table_add(&l->table, lc_buf_span(&cell));
        lc_text_table_add(&l->table, lc_span_of_str(hex));
        lc_buf_printf(&l->json, "%s{\"names\":" LC_SPAN_FMT ",\"identity\":\"%s\"}",
                      l->json.len > 1 ? "," : "", LC_SPAN_ARG(names), hex);
        lc_buf_deinit(&cell);
        lc_cli_response_deinit(&r);
    }
    lc_free(hex);
    return rc;
}

static void print_listing(const listing *l, const char *owner, bool is_json)
{
    lc_buf out = LC_BUF_INIT;
    if (is_json)
        lc_buf_printf(&out, LC_SPAN_FMT "]\n", LC_SPAN_ARG(lc_buf_span(&l->json)));
    else if (l->json.len == 1)
        lc_buf_printf(&out, "No databases found for %s.\n", owner);
    else {
        lc_buf_printf(&out, "Associated databases for user %s:\n\n", owner);
        lc_text_table_print(&l->table, &out);
    }
    lc_cli_print(&out);
    lc_buf_deinit(&out);
}

static lc_status list(list_options *o, lc_error *err)
{
    lc_target *t = &o->target;
    char owner[65];
    lc_status rc = lc_target_open(t, true, err);
    if (rc == LC_OK && !t->token)
        rc = lc_error_set(err, LC_E_DENIED, "nobody's databases can be listed with --anonymous");
    if (rc == LC_OK) rc = lc_token_identity(t->token, owner, err);
    if (rc != LC_OK) return rc;
    lc_cli_response r;
    rc = lc_http_fetch(t, &(lc_cli_request){0}, &r, err, "/v1/identity/%s/databases", owner);
    if (rc != LC_OK) return rc;
    listing l = {.table.columns = 2};
    lc_text_table_add(&l.table, LC_STR("Database Name(s)"));
    lc_text_table_add(&l.table, LC_STR("Identity"));
    lc_buf_put_u8(&l.json, '[');
    lc_walk w;
    for (lc_walk_begin(&w, lc_json_member(lc_buf_span(&r.body), "identities", NULL), err);
         rc == LC_OK && lc_walk_next(&w);)
        rc = add_database(t, w.value, &l, err);
    lc_walk_end(&w);
    if (err->code == LC_OK) print_listing(&l, owner, o->is_json);
    lc_text_table_deinit(&l.table);
    lc_buf_deinit(&l.json);
    lc_cli_response_deinit(&r);
    return err->code;
}

int lc_command_list(int argc, char **argv)
{
    static const struct argp_option option_list[] = {
        {"json", OPT_JSON, NULL, 0, "as a JSON list of {\"names\":[...],\"identity\":\"...\"}", 0},
        {0},
    };
    static const struct argp argp = {option_list,
                                     parse_list_option,
                                     NULL,
                                     "Lists the databases that your identity owns.",
                                     lc_target_children,
                                     NULL,
                                     NULL};
    list_options o = {0};
    lc_error err = LC_ERROR_INIT;
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    int rc = LC_EXIT_USAGE;
    if (lc_target_has_words(&o.target, argv[0], "", 0, 0))
        rc = list(&o, &err) == LC_OK ? LC_EXIT_DONE : lc_cli_fail(&err);
    lc_target_close(&o.target);
    return rc;
}

/* ----------------------------------------------------------------------- rename */

static lc_status rename_database(lc_target *t, const char *to, lc_error *err)
{
    const char *from = t->words.items[0];
    lc_status rc = lc_target_open(t, true, err);
    if (rc != LC_OK) return rc;
    char *escaped = lc_url_escape(from);
    lc_buf body = LC_BUF_INIT;
    lc_buf_put_u8(&body, '[');
    lc_json_write_string(lc_span_of_str(to), &body);
    lc_buf_put_u8(&body, ']');
    lc_cli_request q = {
        .method = "PUT", .body = lc_buf_span(&body), .content_type = "application/json"};
    char *path = lc_format("/v1/database/%s/names", escaped);
    lc_cli_response r;
    rc = lc_http_send(t, &q, path, &r, err);
    if (rc == LC_OK) {
        char *reason =
            lc_json_string_value(lc_json_member(lc_buf_span(&r.body), "OtherError", NULL));
        if (reason)
            rc = lc_error_set(err, LC_E_CONFLICT, "%s", reason);
        else if (r.status == 401 && !t->is_anonymous && r.body.len && r.body.ptr[0] == '{')
            rc = lc_error_set(err, LC_E_DENIED, "%s or %s is owned by another identity.", from, to);
        else
            rc = lc_cli_response_check(&r, err);
        if (rc == LC_OK) printf("Name set to %s for identity %s.\n", to, from);
        lc_free(reason);
        lc_cli_response_deinit(&r);
    }
    lc_free(path);
    lc_free(escaped);
    lc_buf_deinit(&body);
    return rc;
}

typedef struct rename_options {
    lc_target target;
    const char *to;
} rename_options;

static error_t parse_rename_option(int key, char *arg, struct argp_state *state)
{
    rename_options *o = state->input;
    if (key == ARGP_KEY_INIT)
        state->child_inputs[0] = &o->target;
    else if (key == 't')
        o->to = arg;
    else if (key == ARGP_KEY_END && !o->to)
        lc_cli_misuse(state, "--to is missing");
    else
        return ARGP_ERR_UNKNOWN;
    return 0;
}

int lc_command_rename(int argc, char **argv)
{
    static const char args[] = "DATABASE";
    static const struct argp_option option_list[] = {
        {"to", 't', "NAME", 0, "the new name", 0},
        {0},
    };
    static const struct argp argp = {option_list,
                                     parse_rename_option,
                                     args,
                                     "Gives a database a new name in place of all it has.",
                                     lc_target_children,
                                     NULL,
                                     NULL};
    rename_options o = {0};
    lc_error err = LC_ERROR_INIT;
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    int rc = LC_EXIT_USAGE;
    if (lc_target_has_words(&o.target, argv[0], args, 1, 1))
        rc = rename_database(&o.target, o.to, &err) == LC_OK ? LC_EXIT_DONE : lc_cli_fail(&err);
    lc_target_close(&o.target);
    return rc;
}

/* ------------------------------------------------ lock, unlock, restart, delete */

/* Sends a request without a body about the database; the answer does not matter. */
static lc_status send_plain(const lc_target *t, const char *method, const char *hex,
                            const char *rest, lc_error *err)
{
    lc_cli_request q = {.method = method};
    lc_cli_response r;
    lc_status rc = lc_http_fetch(t, &q, &r, err, "/v1/database/%s%s", hex, rest);
    if (rc == LC_OK) lc_cli_response_deinit(&r);
    return rc;
}

static lc_status lock(lc_target *t, lc_error *err)
{
    char hex[65];
    lc_status rc = lc_target_open_database(t, t->words.items[0], true, hex, err);
    if (rc == LC_OK) rc = send_plain(t, "POST", hex, "/lock", err);
    if (rc == LC_OK)
        printf("Database %s is now locked. It cannot be deleted until unlocked.\n", hex);
    return rc;
}

static lc_status unlock(lc_target *t, lc_error *err)
{
    char hex[65];
    lc_status rc = lc_target_open_database(t, t->words.items[0], true, hex, err);
    if (rc == LC_OK) rc = send_plain(t, "POST", hex, "/unlock", err);
    if (rc == LC_OK) printf("Database %s is now unlocked.\n", hex);
    return rc;
}

static lc_status restart(lc_target *t, lc_error *err)
{
    char hex[65];
    lc_status rc = lc_target_open_database(t, t->words.items[0], true, hex, err);
    if (rc == LC_OK) rc = send_plain(t, "POST", hex, "/restart", err);
    if (rc == LC_OK) printf("Database %s is open again.\n", hex);
    return rc;
}

static lc_status delete(lc_target *t, lc_error *err)
{
    const char *name = t->words.items[0];
    char hex[65];
    lc_status rc = lc_target_open_database(t, name, true, hex, err);
    if (rc != LC_OK) return rc;
    bool is_bare = strcmp(name, hex) == 0;
    char *question = lc_format(
        "Are you sure you want to delete database %s%s%s%s? This action cannot be undone.", name,
        is_bare ? "" : " (", is_bare ? "" : hex, is_bare ? "" : ")");
    bool goes_on = lc_cli_confirm(stdout, question, t->yes);
    lc_free(question);
    if (goes_on) return send_plain(t, "DELETE", hex, "", err);
    printf("Aborting\n");
    return LC_OK;
}

static int one_database(int argc, char **argv, const char *doc,
                        lc_status (*run)(lc_target *t, lc_error *err))
{
    static const char args[] = "DATABASE";
    lc_target t = {0};
    lc_error err = LC_ERROR_INIT;
    lc_target_parse(&t, args, doc, argc, argv);
    int rc = LC_EXIT_USAGE;
    if (lc_target_has_words(&t, argv[0], args, 1, 1))
        rc = run(&t, &err) == LC_OK ? LC_EXIT_DONE : lc_cli_fail(&err);
    lc_target_close(&t);
    return rc;
}

int lc_command_lock(int argc, char **argv)
{
    return one_database(
        argc, argv, "Protects a database: it can be neither deleted nor cleared until unlocked.",
        lock);
}

int lc_command_unlock(int argc, char **argv)
{
    return one_database(argc, argv, "Allows a locked database to be deleted or cleared again.",
                        unlock);
}

int lc_command_restart(int argc, char **argv)
{
    return one_database(argc, argv,
                        "Closes a database and opens it again: its clients are disconnected, and "
                        "one that could only be read, because its log could not be written, is "
                        "tried for writing.",
                        restart);
}

int lc_command_delete(int argc, char **argv)
{
    return one_database(argc, argv, "Deletes a database and all its data, for good.", delete);
}
