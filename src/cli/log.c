/*
 * `lightcone log`: looks into a commit log on disk, of a live or a dead database, and changes
 * nothing.
 */
#include "cli/cli.h"
#include "storage/lc_storage.h"

#include <stdlib.h>

enum { OPT_FROM = 256, OPT_TO, OPT_RAW, OPT_FULL };
enum { VERIFY, DUMP, STAT };

typedef struct log_options {
    LC_VEC(char *) words;
    bool is_json, is_raw, is_full;
    uint64_t from, to;
} log_options;

static const struct argp_option option_list[] = {
    LC_FORMAT_OPTIONS,
    {"from", OPT_FROM, "OFFSET", 0, "dump: transactions from this offset on", 0},
    {"to", OPT_TO, "OFFSET", 0, "dump: transactions before this offset", 0},
    {"raw", OPT_RAW, NULL, 0, "dump: the records in hex, undecoded", 0},
    {"full", OPT_FULL, NULL, 0,
     "dump: long texts and byte arrays, too, which otherwise are shown by length and SHA-256", 0},
    {0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    log_options *o = state->input;
    if (lc_cli_format_option(key, arg, state, &o->is_json)) return 0;
    switch (key) {
    case OPT_FROM:
        o->from = lc_cli_number(state, "--from", arg, UINT64_MAX);
        return 0;
    case OPT_TO:
        o->to = lc_cli_number(state, "--to", arg, UINT64_MAX);
        return 0;
    case OPT_RAW:
        o->is_raw = true;
        return 0;
    case OPT_FULL:
        o->is_full = true;
        return 0;
    case ARGP_KEY_ARG:
        lc_vec_push(&o->words, arg);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* ------------------------------------------------------------------ which folder */

typedef struct log_folder {
    char *log;      /* with the segments */
    char *database; /* of which it is a part; its snapshots are beside the log */
} log_folder;

static void look_for_segment(void *arg, const char *name)
{
    static const char suffix[] = ".stdb.log";
    size_t len = strlen(name), n = sizeof suffix - 1;
    if (len > n && strcmp(name + len - n, suffix) == 0) *(bool *)arg = true;
}

static bool has_segments(const char *path, int *rc)
{
    const lc_disk *disk = lc_disk_system();
    bool has = false;
    *rc = disk->list(disk->self, path, look_for_segment, &has);
    return has;
}

static lc_status find_folder(const char *path, log_folder *out, lc_error *err)
{
    int rc;
    *out = (log_folder){0};
    if (has_segments(path, &rc)) {
        out->log = lc_strdup(path);
        out->database = lc_format("%s/..", path);
        return LC_OK;
    }
    if (rc < 0) return lc_error_set(err, LC_E_IO, "cannot read folder %s: %s", path, strerror(-rc));
    out->log = lc_format("%s/clog", path);
    out->database = lc_strdup(path);
    if (has_segments(out->log, &rc)) return LC_OK;
    return lc_error_set(err, LC_E_NOT_FOUND,
                        "%s is neither the folder of a commit log (with files *.stdb.log in it) "
                        "nor that of a database (DATA-DIR/replicas/NUMBER, with clog/ in it)",
                        path);
}

static void folder_deinit(log_folder *f)
{
    lc_free(f->log);
    lc_free(f->database);
}

/* ----------------------------------------------------------------- verify, stat */

typedef struct measure {
    lc_buf json; /* of the segments */
    lc_text_table table;
    uint64_t segments, commits, bytes, file_bytes;
    uint64_t first; /* offset; meaningful when there are commits */
    lc_buf notes;   /* what follows the good commits of a segment; a line each */
} measure;

static void add_cell(lc_text_table *t, const char *fmt, ...) LC_PRINTF(2, 3);
static void add_cell(lc_text_table *t, const char *fmt, ...)
{
    lc_buf text = LC_BUF_INIT;
    va_list args;
    va_start(args, fmt);
    lc_buf_vprintf(&text, fmt, args);
    va_end(args);
    lc_text_table_add(t, lc_buf_span(&text));
    lc_buf_deinit(&text);
}

static lc_status add_segment(void *arg, const lc_journal_segment *s, lc_error *err)
{
    (void)err;
    measure *m = arg;
    char *file = lc_format("%020llu.stdb.log", (unsigned long long)s->first);
    if (s->commits && m->commits == 0) m->first = s->first;
    lc_buf_printf(&m->json,
                  "%s{\"file\":\"%s\",\"first_offset\":%llu,\"commits\":%llu,\"bytes\":%llu,"
                  "\"file_bytes\":%llu,\"version\":%u,\"compressed\":%s,\"end\":",
                  m->segments ? "," : "", file, (unsigned long long)s->first,
                  (unsigned long long)s->commits, (unsigned long long)s->bytes,
                  (unsigned long long)s->file_bytes, s->version, s->is_sealed ? "true" : "false");
    lc_json_write_string(lc_span_of_str(s->note[0] ? s->note : "end"), &m->json);
    lc_buf_put_u8(&m->json, '}');
    add_cell(&m->table, "%s", file);
    add_cell(&m->table, "%llu", (unsigned long long)s->commits);
    add_cell(&m->table, "%llu", (unsigned long long)s->bytes);
    add_cell(&m->table, "%llu", (unsigned long long)s->file_bytes);
    add_cell(&m->table, "%s%s%s", s->is_sealed ? "compressed" : "",
             s->is_sealed && s->note[0] ? "; " : "", s->note);
    if (s->note[0]) lc_buf_printf(&m->notes, "%s: %s\n", file, s->note);
    m->segments++;
    m->commits += s->commits;
    m->bytes += s->bytes;
    m->file_bytes += s->file_bytes;
    lc_free(file);
    return LC_OK;
}

static void measure_init(measure *m)
{
    static const char *const heads[] = {"Segment", "Commits", "Bytes", "On disk", "Remarks"};
    *m = (measure){.table.columns = LC_ARRAY_LEN(heads)};
    for (size_t i = 0; i < LC_ARRAY_LEN(heads); i++)
        lc_text_table_add(&m->table, lc_span_of_str(heads[i]));
}

static void measure_deinit(measure *m)
{
    lc_buf_deinit(&m->json);
    lc_buf_deinit(&m->notes);
    lc_text_table_deinit(&m->table);
}

static void put_offset(const char *key, bool is_known, uint64_t offset, lc_buf *out)
{
    if (is_known)
        lc_buf_printf(out, "\"%s\":%llu,", key, (unsigned long long)offset);
    else
        lc_buf_printf(out, "\"%s\":null,", key);
}

/* Without the closing bracket. */
static void put_measure(const char *folder, const measure *m, const lc_journal_stats *stats,
                        lc_buf *out)
{
    lc_buf_put_str(out, "{\"folder\":");
    lc_json_write_string(lc_span_of_str(folder), out);
    lc_buf_printf(out, ",\"commits\":%llu,", (unsigned long long)m->commits);
    put_offset("first_offset", m->commits > 0, m->first, out);
    put_offset("last_offset", m->commits > 0, stats->next_offset - 1, out);
    lc_buf_printf(out, "\"bytes\":%llu,\"file_bytes\":%llu,\"segments\":[" LC_SPAN_FMT "]",
                  (unsigned long long)m->bytes, (unsigned long long)m->file_bytes,
                  LC_SPAN_ARG(lc_buf_span(&m->json)));
}

static void put_summary(const measure *m, const lc_journal_stats *stats, lc_buf *out)
{
    lc_buf_printf(out, "%llu segment%s, %llu commits", (unsigned long long)m->segments,
                  m->segments == 1 ? "" : "s", (unsigned long long)m->commits);
    if (m->commits)
        lc_buf_printf(out, " (offsets %llu to %llu)", (unsigned long long)m->first,
                      (unsigned long long)stats->next_offset - 1);
    lc_buf_put_str(out, ", ");
    lc_cli_size_print(m->bytes, out);
    if (m->bytes != m->file_bytes) {
        lc_buf_put_str(out, ", ");
        lc_cli_size_print(m->file_bytes, out);
        lc_buf_put_str(out, " on disk");
    }
}

static lc_status walk_all(const char *folder, measure *m, lc_journal_stats *stats, lc_error *err)
{
    lc_journal_reading reading = {.to = UINT64_MAX, .segment = add_segment, .arg = m};
    *stats = (lc_journal_stats){0};
    return lc_journal_walk(folder, NULL, &reading, stats, err);
}

static int run_stat(const log_options *o, const char *folder)
{
    measure m;
    lc_journal_stats stats;
    lc_error err = LC_ERROR_INIT;
    lc_buf out = LC_BUF_INIT;
    measure_init(&m);
    lc_status rc = walk_all(folder, &m, &stats, &err);
    if (rc == LC_OK && o->is_json) {
        put_measure(folder, &m, &stats, &out);
        lc_buf_put_str(&out, "}\n");
    } else if (rc == LC_OK) {
        lc_text_table_print(&m.table, &out);
        lc_buf_put_u8(&out, '\n');
        put_summary(&m, &stats, &out);
        lc_buf_put_u8(&out, '\n');
    }
    lc_cli_print(&out);
    lc_buf_deinit(&out);
    measure_deinit(&m);
    return rc == LC_OK ? LC_EXIT_DONE : lc_cli_fail(&err);
}

static int run_verify(const log_options *o, const char *folder)
{
    measure m;
    lc_journal_stats stats;
    lc_error err = LC_ERROR_INIT;
    lc_buf out = LC_BUF_INIT;
    measure_init(&m);
    lc_status rc = walk_all(folder, &m, &stats, &err);
    if (o->is_json) {
        put_measure(folder, &m, &stats, &out);
        lc_buf_printf(&out, ",\"ok\":%s,\"error\":", rc == LC_OK ? "true" : "false");
        if (rc == LC_OK)
            lc_buf_put_str(&out, "null");
        else
            lc_json_write_string(lc_span_of_str(lc_error_text(&err)), &out);
        lc_buf_put_str(&out, "}\n");
    } else if (rc == LC_OK) {
        put_summary(&m, &stats, &out);
        lc_buf_put_str(&out, ": every checksum holds.\n");
        lc_buf_put_span(&out, lc_buf_span(&m.notes));
    }
    lc_cli_print(&out);
    lc_buf_deinit(&out);
    measure_deinit(&m);
    if (rc == LC_OK) return LC_EXIT_DONE;
    if (!o->is_json) return lc_cli_fail(&err);
    lc_error_clear(&err);
    return LC_EXIT_FAILED;
}

/* ------------------------------------------------------------------------- dump */

enum { FLUSH_BYTES = 1 << 20 };

typedef struct dump {
    const log_options *options;
    const log_folder *folder;
    lc_log_dump *decoder; /* from decoded_from on */
    uint64_t decoded_from;
    bool has_begun;
    lc_buf out;
    lc_buf unwanted; /* what is read for its schema only */
} dump;

/* What the first commits meet: the tables of a new database, or, when the log does not begin at 0,
 * those of its oldest snapshot; what is before that cannot be decoded. */
static lc_status find_schema(dump *d, uint64_t first, lc_error *err)
{
    lc_snapshot_list list = {0};
    lc_store *store = NULL;
    lc_status rc = LC_OK;
    d->decoded_from = first;
    if (first == 0)
        store = lc_store_create();
    else
        rc = lc_snapshot_find(d->folder->database, NULL, false, &list, err);
    for (size_t i = list.len; i > 0 && !store; i--) {
        uint64_t offset = list.items[i - 1].offset;
        if (offset < first) continue;
        lc_error why = LC_ERROR_INIT;
        if (lc_snapshot_open_system(d->folder->database, NULL, offset, &store, &d->decoded_from,
                                    &why) != LC_OK)
            fprintf(stderr, "WARNING: %s\n", lc_error_text(&why));
        lc_error_clear(&why);
    }
    lc_vec_deinit(&list);
    if (rc == LC_OK && !store)
        rc = lc_error_set(err, LC_E_NOT_FOUND,
                          "the log begins at offset %llu, and there is no snapshot that says which "
                          "tables there were; --raw shows it undecoded",
                          (unsigned long long)first);
    if (rc != LC_OK) return rc;
    if (d->decoded_from > first)
        fprintf(
            stderr,
            "The log begins at offset %llu, the oldest snapshot holds %llu transactions: what is "
            "before it is shown undecoded.\n",
            (unsigned long long)first, (unsigned long long)d->decoded_from);
    d->decoder = lc_log_dump_create(store, d->options->is_full);
    lc_store_destroy(store);
    return LC_OK;
}

static lc_status dump_commit(void *arg, const lc_journal_commit *c, lc_error *err)
{
    dump *d = arg;
    lc_status rc = LC_OK;
    if (!d->has_begun && !d->options->is_raw) rc = find_schema(d, c->offset, err);
    d->has_begun = true;
    if (rc != LC_OK) return rc;
    bool is_wanted = c->offset + c->count > d->options->from;
    lc_buf *out = is_wanted ? &d->out : &d->unwanted;
    lc_buf_reset(&d->unwanted);
    if (d->decoder && c->offset >= d->decoded_from)
        rc = lc_log_dump_commit(d->decoder, c, out, err);
    else if (is_wanted)
        lc_log_dump_raw(c, out);
    if (rc == LC_OK && d->out.len < FLUSH_BYTES) return LC_OK;
    if (rc == LC_OK) lc_cli_print(&d->out);
    lc_buf_reset(&d->out);
    return ferror(stdout) ? lc_error_set(err, LC_E_IO, "the output cannot be written") : rc;
}

static int run_dump(const log_options *o, const log_folder *folder)
{
    dump d = {.options = o, .folder = folder};
    lc_error err = LC_ERROR_INIT;
    /* Tables must be known, so the log is read from its beginning unless it is not decoded. */
    lc_journal_reading reading = {
        .from = o->is_raw ? o->from : 0, .to = o->to, .commit = dump_commit, .arg = &d};
    lc_status rc = lc_journal_walk(folder->log, NULL, &reading, NULL, &err);
    if (rc == LC_OK) lc_cli_print(&d.out);
    if (d.decoder) lc_log_dump_destroy(d.decoder);
    lc_buf_deinit(&d.out);
    lc_buf_deinit(&d.unwanted);
    return rc == LC_OK ? LC_EXIT_DONE : lc_cli_fail(&err);
}

/* ---------------------------------------------------------------------- command */

static int run(const log_options *o, int action)
{
    log_folder folder;
    lc_error err = LC_ERROR_INIT;
    int rc;
    if (find_folder(o->words.items[1], &folder, &err) != LC_OK)
        rc = lc_cli_fail(&err);
    else
        rc = action == DUMP   ? run_dump(o, &folder)
             : action == STAT ? run_stat(o, folder.log)
                              : run_verify(o, folder.log);
    folder_deinit(&folder);
    return rc;
}

int lc_command_log(int argc, char **argv)
{
    static const char *const actions[] = {"verify", "dump", "stat", NULL};
    static const struct argp argp = {
        option_list,
        parse_option,
        "verify DIR\ndump DIR\nstat DIR",
        "Looks into a commit log, of a database that runs or one that does not, and changes "
        "nothing.\v"
        "verify  reads all of it and checks every checksum and offset; exit code 1 and the file "
        "and position when something is damaged. A torn end, as a crash leaves it, is told and is "
        "no damage.\n"
        "dump    prints one JSON object a commit and line: where it is, who called what, and the "
        "rows that were inserted and deleted.\n"
        "stat    segments, commits, offsets, bytes.\n\n"
        "DIR is the folder of a log (clog) or that of a database, DATA-DIR/replicas/NUMBER; the "
        "reference server's are read, too. Examples:\n"
        "  lightcone log verify lightcone-data/replicas/1\n"
        "  lightcone log dump lightcone-data/replicas/1/clog --from 1000 | jq .txs[].inputs",
        NULL,
        NULL,
        NULL};
    log_options o = {.to = UINT64_MAX};
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    int action = -1;
    for (int i = 0; o.words.len && actions[i]; i++)
        if (strcmp(o.words.items[0], actions[i]) == 0) action = i;
    int rc = LC_EXIT_USAGE;
    if (action >= 0 && o.words.len == 2)
        rc = run(&o, action);
    else
        fprintf(stderr, "Error: %s%s%s\nUsage: %s verify|dump|stat DIR [OPTION...]\n",
                o.words.len == 0  ? "what to do is missing"
                : action < 0      ? "there is no action "
                : o.words.len < 2 ? "DIR is missing"
                                  : "unexpected argument ",
                o.words.len && action < 0 ? o.words.items[0] : "",
                o.words.len > 2 && action >= 0 ? o.words.items[2] : "", argv[0]);
    lc_vec_deinit(&o.words);
    return rc;
}
