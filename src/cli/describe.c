/*
 * `lightcone describe`: the schema, or one table or reducer of it, as JSON for people.
 */
#include "cli/cli.h"

enum { OPT_JSON = 256 };

static const struct argp_option option_list[] = {
    {"json", OPT_JSON, NULL, 0, "as JSON (there is no other form)", 0},
    {0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    (void)arg;
    if (key == ARGP_KEY_INIT) state->child_inputs[0] = state->input;
    return key == ARGP_KEY_INIT || key == OPT_JSON ? 0 : ARGP_ERR_UNKNOWN;
}

/* The content of a section of RawModuleDefV10: {"sections":[{"Tables":[...]},...]}. */
static lc_span section(lc_span module, const char *name)
{
    lc_walk w;
    lc_span found = LC_SPAN_EMPTY;
    lc_walk_begin(&w, lc_json_member(module, "sections", NULL), NULL);
    while (!found.ptr && lc_walk_next(&w)) found = lc_json_member(w.value, name, NULL);
    lc_walk_end(&w);
    return found;
}

static bool says(lc_span object, const char *key, const char *text)
{
    char *value = lc_json_string_value(lc_json_member(object, key, NULL));
    bool is_it = value && strcmp(value, text) == 0;
    lc_free(value);
    return is_it;
}

/* The name in the module's source of what is reached under another name. Heap. */
static char *source_name(lc_span module, const char *variant, const char *name)
{
    char *found = NULL;
    lc_walk w;
    lc_walk_begin(&w, lc_json_member(section(module, "ExplicitNames"), "entries", NULL), NULL);
    while (!found && lc_walk_next(&w)) {
        lc_span entry = lc_json_member(w.value, variant, NULL);
        if (entry.ptr && says(entry, "canonical_name", name))
            found = lc_json_string_value(lc_json_member(entry, "source_name", NULL));
    }
    lc_walk_end(&w);
    return found;
}

static lc_span entry_of(lc_span list, const char *name)
{
    lc_walk w;
    lc_span found = LC_SPAN_EMPTY;
    lc_walk_begin(&w, list, NULL);
    while (name && !found.ptr && lc_walk_next(&w))
        if (says(w.value, "source_name", name)) found = w.value;
    lc_walk_end(&w);
    return found;
}

static lc_status pick(lc_span module, const char *kind, const char *name, lc_span *out,
                      lc_error *err)
{
    bool is_table = strcmp(kind, "table") == 0;
    lc_span list = section(module, is_table ? "Tables" : "Reducers");
    *out = entry_of(list, name);
    if (!out->ptr) {
        char *source = source_name(module, is_table ? "Table" : "Function", name);
        *out = entry_of(list, source);
        lc_free(source);
    }
    return out->ptr ? LC_OK : lc_error_set(err, LC_E_NOT_FOUND, "no such %s", kind);
}

static lc_status run(lc_target *t, lc_error *err)
{
    const char *kind = t->words.len > 1 ? t->words.items[1] : NULL;
    if (kind && strcmp(kind, "table") != 0 && strcmp(kind, "reducer") != 0)
        return lc_error_set(err, LC_E_INVALID,
                            "Invalid entity_type '%s'. Expected one of: reducer, table.", kind);
    char hex[65];
    lc_status rc = lc_target_open_database(t, t->words.items[0], false, hex, err);
    if (rc != LC_OK) return rc;
    lc_cli_response r;
    rc = lc_http_fetch(t, &(lc_cli_request){0}, &r, err, "/v1/database/%s/schema?version=10", hex);
    if (rc != LC_OK) return rc;
    lc_span json = lc_buf_span(&r.body);
    lc_buf out = LC_BUF_INIT;
    if (kind) rc = pick(json, kind, t->words.items[2], &json, err);
    if (rc == LC_OK) rc = lc_json_pretty(json, &out, err);
    if (rc == LC_OK) {
        lc_buf_put_u8(&out, '\n');
        lc_cli_print(&out);
    }
    lc_buf_deinit(&out);
    lc_cli_response_deinit(&r);
    return rc;
}

int lc_command_describe(int argc, char **argv)
{
    static const char args[] = "DATABASE [reducer|table NAME]";
    static const struct argp argp = {
        option_list,
        parse_option,
        args,
        "Prints the schema of a database, or one reducer or table of it.",
        lc_target_children,
        NULL,
        NULL};
    lc_target t = {0};
    lc_error err = LC_ERROR_INIT;
    argp_parse(&argp, argc, argv, 0, NULL, &t);
    int rc = LC_EXIT_USAGE;
    if (t.words.len == 2)
        fprintf(stderr, "Error: NAME is missing\nUsage: %s %s [OPTION...]\n", argv[0], args);
    else if (lc_target_has_words(&t, argv[0], args, 1, 3))
        rc = run(&t, &err) == LC_OK ? LC_EXIT_DONE : lc_cli_fail(&err);
    lc_target_close(&t);
    return rc;
}
