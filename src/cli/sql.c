/*
 * `lightcone sql`: one statement, and its result as a table or as JSON.
 */
#include "cli/cli.h"

enum { OPT_FORMAT = 256, OPT_JSON, OPT_CONFIRMED };
enum { TEXT, JSON };

typedef struct sql_options {
    lc_target target;
    bool is_json;
    const char *confirmed; /* NULL: as the server likes */
} sql_options;

static const struct argp_option option_list[] = {
    {"format", OPT_FORMAT, "FORMAT", 0, "text (a table, the default) or json", 0},
    {"json", OPT_JSON, NULL, 0, "the same as --format json", 0},
    {"confirmed", OPT_CONFIRMED, "BOOL", 0, "true: wait until what is read is safe on disk", 0},
    {0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    static const char *const formats[] = {"text", "json", "txt", "default", NULL};
    static const char *const bools[] = {"true", "false", NULL};
    sql_options *o = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &o->target;
        return 0;
    case OPT_FORMAT:
        o->is_json = lc_cli_choice(state, "--format", arg, formats) == JSON;
        return 0;
    case OPT_JSON:
        o->is_json = true;
        return 0;
    case OPT_CONFIRMED:
        lc_cli_choice(state, "--confirmed", arg, bools);
        o->confirmed = arg;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static void add_headings(const lc_type *row, lc_text_table *table)
{
    table->columns = row->member_count;
    for (uint32_t i = 0; i < row->member_count; i++) {
        char *unnamed = lc_format("column %u", i);
        lc_span name = row->members[i].name;
        lc_text_table_add(table, name.ptr ? name : lc_span_of_str(unnamed));
        lc_free(unnamed);
    }
}

static void add_row(const lc_type *row, const uint8_t *at, lc_text_table *table)
{
    lc_buf cell = LC_BUF_INIT;
    for (uint32_t i = 0; i < row->member_count; i++) {
        const lc_type *type = row->members[i].type;
        lc_buf_reset(&cell);
        lc_cell_write(type, at, &cell);
        lc_text_table_add(table, lc_buf_span(&cell));
        at += lc_bsatn_size(type, NULL, at);
    }
    lc_buf_deinit(&cell);
}

/* One result: {"schema":{...},"rows":[...],...} */
static lc_status print_result(lc_span result, lc_buf *out, lc_error *err)
{
    lc_arena arena = LC_ARENA_INIT;
    lc_text_table table = {0};
    lc_buf bytes = LC_BUF_INIT;
    const lc_type *row;
    lc_status rc =
        lc_type_product_from_json(lc_json_member(result, "schema", NULL), &arena, &row, err);
    if (rc == LC_OK) {
        add_headings(row, &table);
        lc_walk w;
        for (lc_walk_begin(&w, lc_json_member(result, "rows", NULL), err);
             rc == LC_OK && lc_walk_next(&w);) {
            lc_buf_reset(&bytes);
            rc = lc_json_to_bsatn(row, NULL, w.value, &bytes, err);
            if (rc == LC_OK) add_row(row, bytes.ptr, &table);
        }
        lc_walk_end(&w);
        rc = err->code;
    }
    if (rc == LC_OK) lc_text_table_print(&table, out);
    lc_buf_deinit(&bytes);
    lc_text_table_deinit(&table);
    lc_arena_deinit(&arena);
    return rc;
}

static lc_status print_results(lc_span body, lc_buf *out, lc_error *err)
{
    lc_status rc = LC_OK;
    lc_walk w;
    for (lc_walk_begin(&w, body, err); rc == LC_OK && lc_walk_next(&w);)
        rc = print_result(w.value, out, err);
    lc_walk_end(&w);
    return err->code;
}

static char *join_words(const char *const *words, size_t count)
{
    lc_buf text = LC_BUF_INIT;
    for (size_t i = 0; i < count; i++) {
        if (i) lc_buf_put_u8(&text, ' ');
        lc_buf_put_str(&text, words[i]);
    }
    return lc_buf_give_cstr(&text);
}

static lc_status run(sql_options *o, lc_error *err)
{
    lc_target *t = &o->target;
    char hex[65];
    lc_status rc = lc_target_open_database(t, t->words.items[0], true, hex, err);
    if (rc != LC_OK) return rc;
    char *query = join_words(t->words.items + 1, t->words.len - 1);
    lc_cli_request q = {
        .method = "POST", .body = lc_span_of_str(query), .content_type = "text/plain"};
    lc_cli_response r;
    rc = lc_http_fetch(t, &q, &r, err, "/v1/database/%s/sql%s%s", hex,
                       o->confirmed ? "?confirmed=" : "", o->confirmed ? o->confirmed : "");
    lc_free(query);
    if (rc != LC_OK) return rc;
    lc_buf out = LC_BUF_INIT;
    if (o->is_json) {
        lc_buf_put_span(&out, lc_buf_span(&r.body));
        lc_buf_put_u8(&out, '\n');
    } else {
        rc = print_results(lc_buf_span(&r.body), &out, err);
    }
    if (rc == LC_OK) lc_cli_print(&out);
    lc_buf_deinit(&out);
    lc_cli_response_deinit(&r);
    return rc;
}

int lc_command_sql(int argc, char **argv)
{
    static const char args[] = "DATABASE QUERY";
    static const struct argp argp = {
        option_list,
        parse_option,
        args,
        "Runs one SQL statement. Private tables and changes need the owner's identity.\v"
        "Words of QUERY are joined with blanks. Examples:\n"
        "  lightcone sql chat 'SELECT * FROM message WHERE id > 10'\n"
        "  lightcone sql bank --json 'SELECT COUNT(*) AS n FROM accounts'",
        lc_target_children,
        NULL,
        NULL};
    sql_options o = {0};
    lc_error err = LC_ERROR_INIT;
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    int rc = LC_EXIT_USAGE;
    if (lc_target_has_words(&o.target, argv[0], args, 2, SIZE_MAX))
        rc = run(&o, &err) == LC_OK ? LC_EXIT_DONE : lc_cli_fail(&err);
    lc_target_close(&o.target);
    return rc;
}
