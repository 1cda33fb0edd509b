/*
 * `lightcone login`, `logout`, `server`: who we are, and whether somebody is there.
 */
#include "cli/cli.h"

/* ------------------------------------------------------------------------ login */

enum { OPT_JSON = 256 };

typedef struct login_options {
    lc_target target;
    bool has_token;
    const char *token;
    bool is_json;
} login_options;

static const struct argp_option login_option_list[] = {
    {"token", 't', "JWT", OPTION_ARG_OPTIONAL,
     "--token=JWT: use this token from now on; with `show`: print the token too", 0},
    {"json", OPT_JSON, NULL, 0, "with `show`: print one JSON object", 0},
    {0},
};

static error_t parse_login_option(int key, char *arg, struct argp_state *state)
{
    login_options *o = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &o->target;
        return 0;
    case 't':
        o->has_token = true;
        o->token = arg;
        return 0;
    case OPT_JSON:
        o->is_json = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static lc_status show(login_options *o, lc_error *err)
{
    lc_cli_config *c = &o->target.config;
    lc_status rc = lc_cli_config_load(c, err);
    if (rc != LC_OK) return rc;
    char hex[65];
    if (!c->token) {
        printf(o->is_json ? "{\"identity\":null}\n"
                          : "You are not logged in. Run `lightcone login` to log in.\n");
        return LC_OK;
    }
    rc = lc_token_identity(c->token, hex, err);
    if (rc != LC_OK) return rc;
    if (o->is_json) {
        printf("{\"identity\":\"%s\"", hex);
        if (o->has_token) printf(",\"token\":\"%s\"", c->token);
        printf("}\n");
        return LC_OK;
    }
    printf("You are logged in as %s\n", hex);
    if (o->has_token) printf("Your auth token (don't share this!) is %s\n", c->token);
    return LC_OK;
}

static lc_status use_token(lc_cli_config *c, const char *token, lc_error *err)
{
    char hex[65];
    lc_error ignored = LC_ERROR_INIT;
    if (strpbrk(token, "\"\\\r\n"))
        return lc_error_set(err, LC_E_INVALID, "Token does not look like a JSON web token: %s",
                            token);
    lc_status rc = lc_cli_config_load(c, err);
    if (rc != LC_OK) return rc;
    if (c->token && lc_token_identity(c->token, hex, &ignored) == LC_OK)
        printf("Logged out (identity %s).\n", hex);
    lc_error_clear(&ignored);
    lc_free(c->token);
    c->token = lc_strdup(token);
    rc = lc_cli_config_save(c, err);
    if (rc != LC_OK) return rc;
    if (lc_token_identity(token, hex, &ignored) == LC_OK)
        printf("Logged in with identity %s\n", hex);
    else
        printf("Token saved.\n");
    lc_error_clear(&ignored);
    return LC_OK;
}

static lc_status log_in(login_options *o, lc_error *err)
{
    lc_target *t = &o->target;
    lc_status rc = lc_target_open(t, false, err);
    if (rc != LC_OK) return rc;
    if (!t->config.token) return lc_target_log_in(t, err);
    return lc_error_set(err, LC_E_EXISTS,
                        "You are logged in already. What this identity owns is lost when its token "
                        "is forgotten: keep the token (`lightcone login show --token`), then run "
                        "`lightcone logout`.");
}

int lc_command_login(int argc, char **argv)
{
    static const char args[] = "[show]";
    static const struct argp argp = {
        login_option_list,
        parse_login_option,
        args,
        "Gets a new identity from the server and keeps its token for all further commands. `login "
        "show` tells who you are.\v"
        "Commands that need an identity log in by themselves when there is none.",
        lc_target_children,
        NULL,
        NULL};
    login_options o = {0};
    lc_error err = LC_ERROR_INIT;
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    const lc_target *t = &o.target;
    int rc = LC_EXIT_USAGE;
    if (t->words.len && strcmp(t->words.items[0], "show") != 0) {
        bool is_token = o.has_token && !o.token;
        fprintf(stderr, "Error: unexpected argument '%s'%s\n", t->words.items[0],
                is_token ? "; a token is given as --token=JWT" : "");
    } else if (lc_target_has_words(t, argv[0], args, 0, 1)) {
        lc_status status;
        if (t->words.len)
            status = show(&o, &err);
        else if (o.token)
            status = use_token(&o.target.config, o.token, &err);
        else
            status = log_in(&o, &err);
        rc = status == LC_OK ? LC_EXIT_DONE : lc_cli_fail(&err);
    }
    lc_target_close(&o.target);
    return rc;
}

/* ----------------------------------------------------------------------- logout */

static lc_status log_out(lc_cli_config *c, lc_error *err)
{
    lc_status rc = lc_cli_config_load(c, err);
    if (rc != LC_OK) return rc;
    if (!c->token) {
        printf("You are not logged in.\n");
        return LC_OK;
    }
    char hex[65];
    lc_error ignored = LC_ERROR_INIT;
    bool is_known = lc_token_identity(c->token, hex, &ignored) == LC_OK;
    lc_error_clear(&ignored);
    lc_free(c->token);
    c->token = NULL;
    rc = lc_cli_config_save(c, err);
    if (rc != LC_OK) return rc;
    if (is_known)
        printf("Logged out (identity %s).\n", hex);
    else
        printf("Logged out.\n");
    return LC_OK;
}

int lc_command_logout(int argc, char **argv)
{
    lc_target t = {0};
    lc_error err = LC_ERROR_INIT;
    lc_target_parse(&t, NULL, "Forgets the token. What its identity owns stays on the server.",
                    argc, argv);
    int rc = LC_EXIT_USAGE;
    if (lc_target_has_words(&t, argv[0], "", 0, 0))
        rc = log_out(&t.config, &err) == LC_OK ? LC_EXIT_DONE : lc_cli_fail(&err);
    lc_target_close(&t);
    return rc;
}

/* ----------------------------------------------------------------------- server */

static lc_status ping(lc_target *t, lc_error *err)
{
    if (t->words.len > 1) t->server = t->words.items[1];
    lc_status rc = lc_target_open(t, false, err);
    if (rc != LC_OK) return rc;
    lc_cli_response r;
    rc = lc_http_send(t, &(lc_cli_request){.is_plain = true}, "/v1/ping", &r, err);
    if (rc != LC_OK) return rc;
    lc_buf status = LC_BUF_INIT;
    lc_http_status_print(r.status, &status);
    lc_span text = lc_buf_span(&status);
    if (r.status / 100 == 2)
        printf("Server is online: %s\n", t->url);
    else if (r.status == 404)
        printf("Server returned 404 (Not Found): %s\n", t->url);
    else
        printf("Server could not be reached (" LC_SPAN_FMT "): %s\n", LC_SPAN_ARG(text), t->url);
    lc_buf_deinit(&status);
    lc_cli_response_deinit(&r);
    return LC_OK;
}

int lc_command_server(int argc, char **argv)
{
    static const char args[] = "ping [URL]";
    lc_target t = {0};
    lc_error err = LC_ERROR_INIT;
    lc_target_parse(&t, args, "Asks whether a server is there.", argc, argv);
    int rc = LC_EXIT_USAGE;
    if (t.words.len && strcmp(t.words.items[0], "ping") != 0)
        fprintf(stderr, "Error: unexpected argument '%s'\nUsage: %s %s [OPTION...]\n",
                t.words.items[0], argv[0], args);
    else if (lc_target_has_words(&t, argv[0], args, 1, 2))
        rc = ping(&t, &err) == LC_OK ? LC_EXIT_DONE : lc_cli_fail(&err);
    lc_target_close(&t);
    return rc;
}
