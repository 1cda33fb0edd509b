/*
 * Which server, which database, as whom.
 */
#include "cli/cli.h"

#include <ctype.h>

enum { OPT_ANONYMOUS = 0x1000, OPT_NO_CONFIG };

static const struct argp_option options[] = {
    {NULL, 0, NULL, 0, "Which server, and as whom:", 1},
    {"server", 's', "URL", 0, "a URL or host:port (default " LC_DEFAULT_SERVER ")", 1},
    {"anonymous", OPT_ANONYMOUS, NULL, 0, "without your identity: the server makes one up", 1},
    {"yes", 'y', NULL, 0, "answer every question with yes", 1},
    {"no-config", OPT_NO_CONFIG, NULL, OPTION_HIDDEN, "", 1},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    lc_target *t = state->input;
    switch (key) {
    case 's':
        if (!*arg) lc_cli_misuse(state, "--server is empty");
        t->server = arg;
        return 0;
    case 'y':
        t->yes = true;
        return 0;
    case OPT_ANONYMOUS:
        t->is_anonymous = true;
        return 0;
    case OPT_NO_CONFIG: /* there are no project files to be left unread */
        return 0;
    case ARGP_KEY_ARG:
        lc_vec_push(&t->words, arg);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp target_argp = {.options = options, .parser = parse};
const struct argp_child lc_target_children[] = {{&target_argp, 0, NULL, 0}, {0}};

void lc_target_parse(lc_target *t, const char *args, const char *doc, int argc, char **argv)
{
    struct argp argp = {.options = options, .parser = parse, .args_doc = args, .doc = doc};
    argp_parse(&argp, argc, argv, 0, NULL, t);
}

bool lc_target_has_words(const lc_target *t, const char *command, const char *args, size_t min,
                         size_t max)
{
    if (t->words.len >= min && t->words.len <= max) return true;
    if (t->words.len > max) {
        fprintf(stderr, "Error: unexpected argument '%s'", t->words.items[max]);
    } else {
        const char *word = args;
        for (size_t i = 0; i < t->words.len; i++) word = strchr(word, ' ') + 1;
        fprintf(stderr, "Error: %.*s is missing", (int)strcspn(word, " "), word);
    }
    fprintf(stderr, "\nUsage: %s %s [OPTION...]\n", command, args);
    return false;
}

static char *url_of(const char *server)
{
    char *url = strstr(server, "://") ? lc_strdup(server) : lc_format("http://%s", server);
    size_t n = strlen(url);
    while (n && url[n - 1] == '/') url[--n] = 0;
    return url;
}

lc_status lc_target_log_in(lc_target *t, lc_error *err)
{
    lc_cli_response r;
    lc_cli_request q = {.method = "POST", .is_plain = true};
    lc_status rc = lc_http_fetch(t, &q, &r, err, "/v1/identity");
    if (rc != LC_OK) return rc;
    lc_span body = lc_buf_span(&r.body);
    char *token = lc_json_string_value(lc_json_member(body, "token", NULL));
    char *identity = lc_json_string_value(lc_json_member(body, "identity", NULL));
    if (token && identity) {
        /* Not on stdout: any command may come here, and its output may be read by a program. */
        fprintf(stderr,
                "We have logged in directly to your target server.\n"
                "WARNING: This login will NOT work for any other servers.\n"
                "Logged in with identity %s\n",
                identity);
        lc_free(t->config.token);
        t->config.token = lc_strdup(token);
        rc = lc_cli_config_save(&t->config, err);
    } else {
        rc = lc_error_set(err, LC_E_IO, "the answer of url (%s) holds no token", r.url);
    }
    lc_free(token);
    lc_free(identity);
    lc_cli_response_deinit(&r);
    return rc;
}

/* Reads the configuration and finds the server; the saved token when there is one. */
static lc_status find_server(lc_target *t, lc_error *err)
{
    lc_status rc = lc_cli_config_load(&t->config, err);
    if (rc != LC_OK) return rc;
    const char *server = t->server ? t->server : t->config.default_server;
    t->url = url_of(server ? server : LC_DEFAULT_SERVER);
    if (!t->is_anonymous && t->config.token) t->token = lc_strdup(t->config.token);
    return LC_OK;
}

static lc_status find_token(lc_target *t, lc_error *err)
{
    if (t->is_anonymous || t->token) return LC_OK;
    lc_status rc = lc_target_log_in(t, err);
    if (rc == LC_OK) t->token = lc_strdup(t->config.token);
    return rc;
}

lc_status lc_target_open(lc_target *t, bool needs_token, lc_error *err)
{
    lc_status rc = find_server(t, err);
    return rc == LC_OK && needs_token ? find_token(t, err) : rc;
}

void lc_target_close(lc_target *t)
{
    lc_free(t->url);
    lc_free(t->token);
    lc_vec_deinit(&t->words);
    lc_cli_config_deinit(&t->config);
}

static lc_status resolve(const lc_target *t, const char *name, char hex[65], lc_error *err)
{
    lc_identity id;
    if (lc_identity_parse(lc_span_of_str(name), &id, NULL) == LC_OK) {
        lc_identity_to_hex(&id, hex);
        return LC_OK;
    }
    char *escaped = lc_url_escape(name);
    lc_cli_response r;
    lc_cli_request q = {.is_plain = true};
    lc_status rc = lc_http_fetch(t, &q, &r, err, "/v1/database/%s/identity", escaped);
    lc_free(escaped);
    if (rc == LC_E_NOT_FOUND)
        return lc_error_set(err, LC_E_NOT_FOUND, "failed to find database `%s`.", name);
    if (rc != LC_OK) return rc;
    if (lc_identity_parse(lc_buf_span(&r.body), &id, NULL) == LC_OK)
        lc_identity_to_hex(&id, hex);
    else
        rc = lc_error_set(err, LC_E_IO, "the answer of url (%s) is no identity", r.url);
    lc_cli_response_deinit(&r);
    return rc;
}

lc_status lc_target_open_database(lc_target *t, const char *name, bool needs_token, char hex[65],
                                  lc_error *err)
{
    lc_status rc = find_server(t, err);
    if (rc == LC_OK) rc = resolve(t, name, hex, err);
    return rc == LC_OK && needs_token ? find_token(t, err) : rc;
}

lc_status lc_remote_schema_get(const lc_target *t, const char *hex, struct lc_remote_schema *out,
                               lc_error *err)
{
    *out = (lc_remote_schema){0};
    lc_cli_response r;
    lc_status rc =
        lc_http_fetch(t, &(lc_cli_request){0}, &r, err, "/v1/database/%s/schema?version=9", hex);
    if (rc != LC_OK) return rc;
    rc = lc_remote_schema_read(lc_buf_span(&r.body), out, err);
    lc_cli_response_deinit(&r);
    return rc;
}

/* base64url without padding, as in a JWT. */
static bool base64url_decode(const char *in, size_t n, lc_buf *out)
{
    uint32_t bits = 0, count = 0;
    for (size_t i = 0; i < n; i++) {
        static const char digits[] =
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        const char *at = strchr(digits, in[i]);
        if (!at) return false;
        bits = bits << 6 | (uint32_t)(at - digits);
        count += 6;
        if (count < 8) continue;
        count -= 8;
        lc_buf_put_u8(out, (uint8_t)(bits >> count));
    }
    return true;
}

lc_status lc_token_identity(const char *token, char hex[65], lc_error *err)
{
    const char *first = strchr(token, '.');
    const char *second = first ? strchr(first + 1, '.') : NULL;
    lc_buf payload = LC_BUF_INIT;
    char *issuer = NULL, *subject = NULL;
    if (second && base64url_decode(first + 1, (size_t)(second - first - 1), &payload)) {
        issuer = lc_json_string_value(lc_json_member(lc_buf_span(&payload), "iss", NULL));
        subject = lc_json_string_value(lc_json_member(lc_buf_span(&payload), "sub", NULL));
    }
    lc_status rc = LC_OK;
    if (issuer && subject) {
        lc_identity id = lc_identity_derive(lc_span_of_str(issuer), lc_span_of_str(subject));
        lc_identity_to_hex(&id, hex);
    } else {
        rc =
            lc_error_set(err, LC_E_INVALID, "Token does not look like a JSON web token: %s", token);
    }
    lc_free(issuer);
    lc_free(subject);
    lc_buf_deinit(&payload);
    return rc;
}
