/*
 * `lightcone snapshot`: the snapshots of a database, on disk or by asking its server for one.
 */
#include "cli/cli.h"
#include "storage/lc_storage.h"

typedef struct snapshot_options {
    lc_target target;
    bool is_json;
} snapshot_options;

static const struct argp_option option_list[] = {LC_FORMAT_OPTIONS, {0}};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    snapshot_options *o = state->input;
    if (key == ARGP_KEY_INIT)
        state->child_inputs[0] = &o->target;
    else if (!lc_cli_format_option(key, arg, state, &o->is_json))
        return ARGP_ERR_UNKNOWN;
    return 0;
}

/* ----------------------------------------------------------------- list, verify */

static void put_json(const lc_snapshot_info *s, bool is_verified, lc_buf *out)
{
    lc_buf_printf(out, "{\"file\":\"%s\",\"offset\":%llu,\"bytes\":%llu,\"taken_at\":\"", s->name,
                  (unsigned long long)s->offset, (unsigned long long)s->bytes);
    lc_timestamp_to_text(s->taken_at, out);
    lc_buf_put_u8(out, '"');
    if (is_verified)
        lc_buf_printf(out, ",\"tables\":%u,\"rows\":%llu", s->tables, (unsigned long long)s->rows);
    lc_buf_printf(out, ",\"%s\":%s,\"problem\":", is_verified ? "valid" : "readable",
                  s->is_valid ? "true" : "false");
    if (s->is_valid)
        lc_buf_put_str(out, "null");
    else
        lc_json_write_string(lc_span_of_str(s->problem), out);
    lc_buf_put_u8(out, '}');
}

static void add_row(const lc_snapshot_info *s, bool is_verified, lc_text_table *t)
{
    lc_buf cell = LC_BUF_INIT;
    lc_text_table_add(t, lc_span_of_str(s->name));
    lc_buf_printf(&cell, "%llu", (unsigned long long)s->offset);
    lc_text_table_add(t, lc_buf_span(&cell));
    lc_buf_reset(&cell);
    if (s->taken_at) lc_timestamp_to_text(s->taken_at, &cell);
    lc_text_table_add(t, lc_buf_span(&cell));
    lc_buf_reset(&cell);
    lc_buf_printf(&cell, "%llu", (unsigned long long)s->bytes);
    lc_text_table_add(t, lc_buf_span(&cell));
    lc_buf_reset(&cell);
    if (!s->is_valid)
        lc_buf_put_str(&cell, s->problem);
    else if (is_verified)
        lc_buf_printf(&cell, "good: %llu rows in %u tables", (unsigned long long)s->rows,
                      s->tables);
    lc_text_table_add(t, lc_buf_span(&cell));
    lc_buf_deinit(&cell);
}

static void print_list(const lc_snapshot_list *list, bool is_verified, bool is_json)
{
    static const char *const heads[] = {"Snapshot", "Transactions", "Taken", "Bytes", "Remarks"};
    lc_buf out = LC_BUF_INIT;
    lc_text_table table = {.columns = LC_ARRAY_LEN(heads)};
    for (size_t i = 0; i < LC_ARRAY_LEN(heads); i++)
        lc_text_table_add(&table, lc_span_of_str(heads[i]));
    if (is_json) lc_buf_put_u8(&out, '[');
    LC_VEC_EACH (s, list) {
        if (is_json && s > list->items) lc_buf_put_u8(&out, ',');
        if (is_json)
            put_json(s, is_verified, &out);
        else
            add_row(s, is_verified, &table);
    }
    if (is_json)
        lc_buf_put_str(&out, "]\n");
    else if (list->len)
        lc_text_table_print(&table, &out);
    else
        lc_buf_put_str(&out, "There are no snapshots.\n");
    lc_cli_print(&out);
    lc_text_table_deinit(&table);
    lc_buf_deinit(&out);
}

static void ignore_name(void *arg, const char *name)
{
    (void)arg;
    (void)name;
}

/* A folder that is not there has no snapshots, but that is not what was asked. */
static lc_status check_folder(const char *path, lc_error *err)
{
    const lc_disk *disk = lc_disk_system();
    int rc = disk->list(disk->self, path, ignore_name, NULL);
    return rc < 0 ? lc_error_set(err, LC_E_IO, "cannot read folder %s: %s", path, strerror(-rc))
                  : LC_OK;
}

static lc_status show(const snapshot_options *o, bool is_verified, lc_error *err)
{
    const char *path = o->target.words.items[1];
    lc_snapshot_list list = {0};
    lc_status rc = check_folder(path, err);
    if (rc == LC_OK) rc = lc_snapshot_find(path, NULL, is_verified, &list, err);
    if (rc == LC_OK) {
        uint32_t bad = 0;
        print_list(&list, is_verified, o->is_json);
        LC_VEC_EACH (s, &list) bad += !s->is_valid;
        if (is_verified && bad)
            rc = lc_error_set(err, LC_E_CORRUPT, "%u of %zu snapshots in %s cannot be used", bad,
                              list.len, path);
    }
    lc_vec_deinit(&list);
    return rc;
}

/* ------------------------------------------------------------------------- take */

static lc_status take(snapshot_options *o, lc_error *err)
{
    lc_target *t = &o->target;
    char hex[65];
    lc_status rc = lc_target_open_database(t, t->words.items[1], true, hex, err);
    if (rc != LC_OK) return rc;
    lc_cli_request q = {.method = "POST"};
    lc_cli_response r;
    rc = lc_http_fetch(t, &q, &r, err, "/v1/database/%s/snapshot", hex);
    if (rc != LC_OK) return rc;
    lc_span offset = lc_json_member(lc_buf_span(&r.body), "offset", NULL);
    if (o->is_json)
        printf(LC_SPAN_FMT "\n", LC_SPAN_ARG(lc_buf_span(&r.body)));
    else
        printf("Took a snapshot with " LC_SPAN_FMT " transactions in it.\n", LC_SPAN_ARG(offset));
    lc_cli_response_deinit(&r);
    return LC_OK;
}

/* ---------------------------------------------------------------------- command */

static bool is_action(const snapshot_options *o, const char *action)
{
    return o->target.words.len && strcmp(o->target.words.items[0], action) == 0;
}

int lc_command_snapshot(int argc, char **argv)
{
    static const struct argp argp = {
        option_list,
        parse_option,
        "list DIR\nverify DIR\ntake DATABASE",
        "Snapshots: what a database starts from instead of its whole log.\v"
        "list    shows those in DIR, newest first.\n"
        "verify  reads them whole and checks every checksum; exit code 1 when one is damaged.\n"
        "take    has the server take one now. Needs the owner's identity.\n\n"
        "DIR is the folder of a database, DATA-DIR/replicas/NUMBER, or the snapshots folder in it; "
        "nothing in it is changed, and its server may be running.",
        lc_target_children,
        NULL,
        NULL};
    snapshot_options o = {0};
    lc_error err = LC_ERROR_INIT;
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    int rc = LC_EXIT_USAGE;
    bool takes = is_action(&o, "take"), verifies = is_action(&o, "verify");
    if (o.target.words.len && !takes && !verifies && !is_action(&o, "list"))
        fprintf(stderr,
                "Error: there is no action %s\nUsage: %s list|verify DIR, %s take DATABASE\n",
                o.target.words.items[0], argv[0], argv[0]);
    else if (lc_target_has_words(&o.target, argv[0], takes ? "take DATABASE" : "list|verify DIR", 2,
                                 2))
        rc = (takes ? take(&o, &err) : show(&o, verifies, &err)) == LC_OK ? LC_EXIT_DONE
                                                                          : lc_cli_fail(&err);
    lc_target_close(&o.target);
    return rc;
}
