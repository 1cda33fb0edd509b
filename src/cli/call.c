/*
 * `lightcone call`: a reducer or a procedure, with arguments as people type them.
 */
#include "cli/cli.h"

#include <ctype.h>

/* Words like -5 are arguments here, not options: they get this in front while argp looks. */
#define GUARD '\x1f'

static bool is_negative_number(const char *word)
{
    return word[0] == '-' && (isdigit((unsigned char)word[1]) || word[1] == '.');
}

static char **guard_words(int argc, char **argv)
{
    char **guarded = lc_alloc_zero(((size_t)argc + 1) * sizeof *guarded);
    for (int i = 0; i < argc; i++)
        guarded[i] =
            is_negative_number(argv[i]) ? lc_format("%c%s", GUARD, argv[i]) : lc_strdup(argv[i]);
    return guarded;
}

/* One argument as JSON: text need not be quoted, and identities may be bare hex. */
static void put_argument(const lc_type *type, const char *word, lc_buf *out)
{
    size_t n = strlen(word);
    bool is_quoted = n >= 2 && word[0] == '"' && word[n - 1] == '"';
    lc_span bare = is_quoted ? LC_SPAN(word + 1, n - 2) : LC_SPAN(word, n);
    lc_identity id;
    if (type->special == LC_SPECIAL_IDENTITY && lc_identity_parse(bare, &id, NULL) == LC_OK) {
        char hex[LC_IDENTITY_HEX + 1];
        lc_identity_to_hex(&id, hex);
        lc_buf_printf(out, "[\"0x%s\"]", hex);
    } else if (type->special == LC_SPECIAL_IDENTITY && bare.len > 2 &&
               memcmp(bare.ptr, "0x", 2) == 0) {
        lc_buf_printf(out, "[\"" LC_SPAN_FMT "\"]", LC_SPAN_ARG(bare));
    } else if (type->kind == LC_TYPE_STRING && !is_quoted) {
        lc_json_write_string(bare, out);
    } else {
        lc_buf_put_str(out, word);
    }
}

typedef struct call {
    const char *database, *name;
    char hex[65];
    const char *const *words;
    size_t word_count;
    const char *kind;
    const lc_remote_function *function;
    lc_remote_schema schema;
} call;

/* cause: what the server said, NULL when it was not asked. */
static lc_status bad_arguments(const call *c, const char *cause, lc_error *err)
{
    lc_buf text = LC_BUF_INIT;
    lc_buf_printf(&text,
                  "Invalid arguments provided for %s `%s` for database `%s` resolving to identity "
                  "`%s`.\n\n",
                  c->kind, c->name, c->database, c->hex);
    if (c->function->params->member_count != c->word_count)
        lc_buf_printf(&text, "%u parameters were expected, but %zu were provided.\n\n",
                      c->function->params->member_count, c->word_count);
    lc_buf_printf(&text, "The %s has the following signature:\n\t", c->kind);
    lc_remote_signature_print(&c->schema, c->function, &text);
    if (cause) lc_buf_printf(&text, "\n\nCaused by:\n    Response text: %s", cause);
    lc_error_set(err, LC_E_INVALID, LC_SPAN_FMT, LC_SPAN_ARG(lc_buf_span(&text)));
    lc_buf_deinit(&text);
    return LC_E_INVALID;
}

static lc_status post(const lc_target *t, const call *c, lc_span body, lc_error *err)
{
    char *escaped = lc_url_escape(c->name);
    char *path = lc_format("/v1/database/%s/call/%s", c->hex, escaped);
    lc_cli_request q = {.method = "POST", .body = body, .content_type = "application/json"};
    lc_cli_response r;
    lc_status rc = lc_http_send(t, &q, path, &r, err);
    lc_free(path);
    lc_free(escaped);
    if (rc != LC_OK) return rc;
    rc = lc_cli_response_check(&r, err);
    if (rc == LC_OK) {
        if (r.body.len) lc_buf_put_u8(&r.body, '\n');
        lc_cli_print(&r.body);
    } else if (r.status == 400 && r.body.len > 17 &&
               memcmp(r.body.ptr, "invalid arguments", 17) == 0) {
        char *cause = lc_span_to_cstr(lc_buf_span(&r.body));
        rc = bad_arguments(c, cause, err);
        lc_free(cause);
    } else {
        lc_error_prefix(err, "Response text: ");
    }
    lc_cli_response_deinit(&r);
    return rc;
}

static lc_status run(lc_target *t, call *c, lc_error *err)
{
    lc_status rc = lc_target_open_database(t, c->database, true, c->hex, err);
    if (rc == LC_OK) rc = lc_remote_schema_get(t, c->hex, &c->schema, err);
    if (rc != LC_OK) return rc;
    lc_span name = lc_span_of_str(c->name);
    c->kind = "reducer";
    c->function = lc_remote_function_find(&c->schema.reducers, name);
    if (!c->function) {
        c->kind = "procedure";
        c->function = lc_remote_function_find(&c->schema.procedures, name);
    }
    if (!c->function)
        return lc_remote_function_unknown(&c->schema, c->name, c->database, c->hex, err);
    const lc_type *params = c->function->params;
    if (c->word_count != params->member_count) return bad_arguments(c, NULL, err);
    lc_buf body = LC_BUF_INIT;
    lc_buf_put_u8(&body, '[');
    for (size_t i = 0; i < c->word_count; i++) {
        const lc_type *type = lc_type_resolve(&c->schema.typespace, params->members[i].type);
        if (i) lc_buf_put_str(&body, ", ");
        put_argument(type ? type : lc_type_unit(), c->words[i], &body);
    }
    lc_buf_put_u8(&body, ']');
    rc = post(t, c, lc_buf_span(&body), err);
    lc_buf_deinit(&body);
    return rc;
}

int lc_command_call(int argc, char **argv)
{
    static const char args[] = "DATABASE FUNCTION [ARG...]";
    lc_target t = {0};
    lc_error err = LC_ERROR_INIT;
    char **guarded = guard_words(argc, argv);
    lc_target_parse(&t, args,
                    "Calls a reducer, or a procedure and prints what it returns.\v"
                    "Each ARG is a JSON value. Text needs no quotes where a String is wanted; an "
                    "Identity may be given as 64 hex digits. Examples:\n"
                    "  lightcone call chat send_message 'hello, world'\n"
                    "  lightcone call bank transfer 1 2 50",
                    argc, guarded);
    int rc = LC_EXIT_USAGE;
    if (lc_target_has_words(&t, argv[0], args, 2, SIZE_MAX)) {
        LC_VEC_EACH (word, &t.words) *word += **word == GUARD;
        call c = {.database = t.words.items[0],
                  .name = t.words.items[1],
                  .words = t.words.items + 2,
                  .word_count = t.words.len - 2};
        rc = run(&t, &c, &err) == LC_OK ? LC_EXIT_DONE : lc_cli_fail(&err);
        lc_remote_schema_deinit(&c.schema);
    }
    for (char **word = guarded; *word; word++) lc_free(*word);
    lc_free(guarded);
    lc_target_close(&t);
    return rc;
}
