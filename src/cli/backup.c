/*
 * `lightcone backup` and `lightcone restore`.
 */
#include "cli/cli.h"
#include "server/lc_server.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static lc_status io_error(lc_error *err, const char *verb, const char *path)
{
    return lc_error_set(err, LC_E_IO, "cannot %s %s: %s", verb, path, strerror(errno));
}

static lc_status write_all(int fd, lc_span bytes, const char *path, lc_error *err)
{
    while (bytes.len) {
        ssize_t n = write(fd, bytes.ptr, bytes.len);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return io_error(err, "write", path);
        bytes = LC_SPAN(bytes.ptr + n, bytes.len - (size_t)n);
    }
    return LC_OK;
}

/* A file, a pipe or the standard input, as backups are read from. */
typedef struct source {
    int fd;
    const char *name;
    lc_error *err; /* of reading for a request, which cannot say why */
} source;

static ssize_t read_source(void *arg, void *buf, size_t n, lc_error *err)
{
    source *s = arg;
    for (;;) {
        ssize_t got = read(s->fd, buf, n);
        if (got >= 0) return got;
        if (errno == EINTR) continue;
        io_error(err, "read", s->name);
        return -1;
    }
}

static ssize_t read_for_request(void *arg, void *buf, size_t n)
{
    source *s = arg;
    return read_source(s, buf, n, s->err);
}

/* ----------------------------------------------------------------------- backup */

enum { OPT_SINCE = 256, OPT_AT, OPT_DATA_DIR, OPT_OWNER };

typedef struct backup_options {
    lc_target target;
    bool is_json, has_since;
    uint64_t since;
    /* where it goes */
    const char *path; /* NULL: the standard output */
    char *aside;
    int fd;
    lc_error write_error;
} backup_options;

static error_t parse_backup_option(int key, char *arg, struct argp_state *state)
{
    backup_options *o = state->input;
    if (lc_cli_format_option(key, arg, state, &o->is_json)) return 0;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &o->target;
        return 0;
    case OPT_SINCE:
        o->has_since = true;
        o->since = lc_cli_number(state, "--since", arg, UINT64_MAX);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static bool on_piece(void *arg, lc_span bytes)
{
    backup_options *o = arg;
    const char *name = o->path ? o->aside : "the standard output";
    return write_all(o->fd, bytes, name, &o->write_error) == LC_OK;
}

static lc_status verify_file(const char *path, lc_backup_info *info, lc_error *err)
{
    source s = {open(path, O_RDONLY | O_CLOEXEC), path, NULL};
    if (s.fd < 0) return io_error(err, "open", path);
    lc_status rc = lc_backup_verify(read_source, &s, info, err);
    close(s.fd);
    return rc;
}

/* What the file itself says of why it is not whole, besides what the request has said. */
static void explain(const backup_options *o, lc_error *err)
{
    lc_backup_info info;
    lc_error why = LC_ERROR_INIT;
    if (lc_error_text(&o->write_error)[0])
        lc_error_set(err, o->write_error.code, "%s", lc_error_text(&o->write_error));
    else if (o->path && verify_file(o->aside, &info, &why) == LC_E_CORRUPT) {
        char *text = lc_strdup(lc_error_text(err));
        lc_error_set(err, LC_E_IO, "%s\n\nCaused by:\n    %s", text, lc_error_text(&why));
        lc_free(text);
    }
    lc_error_clear(&why);
}

static lc_status fetch(backup_options *o, lc_error *err)
{
    lc_target *t = &o->target;
    char hex[65], since[48] = "";
    lc_status rc = lc_target_open_database(t, t->words.items[0], true, hex, err);
    if (rc != LC_OK) return rc;
    if (o->has_since) snprintf(since, sizeof since, "?since=%llu", (unsigned long long)o->since);
    lc_cli_request q = {.each = on_piece, .arg = o};
    lc_cli_response r;
    rc = lc_http_fetch(t, &q, &r, err, "/v1/database/%s/backup%s", hex, since);
    if (rc == LC_OK)
        lc_cli_response_deinit(&r);
    else
        explain(o, err);
    return rc;
}

/* The name counts when it has the file on disk, and the file is whole. */
static lc_status install(backup_options *o, lc_backup_info *info, lc_error *err)
{
    if (fsync(o->fd) < 0) return io_error(err, "sync", o->aside);
    lc_status rc = verify_file(o->aside, info, err);
    if (rc != LC_OK) return rc;
    if (rename(o->aside, o->path) < 0) return io_error(err, "replace", o->path);
    char *copy = lc_strdup(o->path);
    const lc_disk *disk = lc_disk_system();
    int synced = disk->sync_dir(disk->self, dirname(copy));
    lc_free(copy);
    errno = -synced;
    return synced < 0 ? io_error(err, "sync the folder of", o->path) : LC_OK;
}

static void say_backup(const backup_options *o, const lc_backup_info *info)
{
    lc_buf out = LC_BUF_INIT;
    if (o->is_json) {
        lc_buf_put_str(&out, "{\"file\":");
        lc_json_write_string(lc_span_of_str(o->path), &out);
        lc_buf_printf(&out, ",\"from\":%llu,\"to\":%llu,\"bytes\":%llu,\"taken_at\":\"",
                      (unsigned long long)info->from, (unsigned long long)info->to,
                      (unsigned long long)info->bytes);
        lc_timestamp_to_text(info->taken_at, &out);
        lc_buf_put_str(&out, "\"}\n");
    } else {
        lc_buf_printf(&out, "Wrote %s: ", o->path);
        lc_cli_size_print(info->bytes, &out);
        lc_buf_printf(&out, ", verified. It restores any state from offset %llu to %llu.\n",
                      (unsigned long long)info->from, (unsigned long long)info->to);
    }
    lc_cli_print(&out);
    lc_buf_deinit(&out);
}

static lc_status backup_to_file(backup_options *o, lc_error *err)
{
    lc_backup_info info;
    o->aside = lc_format("%s.part", o->path);
    o->fd = open(o->aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (o->fd < 0) return io_error(err, "create", o->aside);
    lc_status rc = fetch(o, err);
    if (rc == LC_OK) rc = install(o, &info, err);
    close(o->fd);
    if (rc == LC_OK)
        say_backup(o, &info);
    else
        unlink(o->aside);
    return rc;
}

static lc_status backup(backup_options *o, lc_error *err)
{
    const char *path = o->target.words.items[1];
    if (strcmp(path, "-") != 0) {
        o->path = path;
        return backup_to_file(o, err);
    }
    o->fd = STDOUT_FILENO;
    if (isatty(o->fd))
        return lc_error_set(err, LC_E_INVALID, "a backup is not written to a terminal");
    return fetch(o, err);
}

int lc_command_backup(int argc, char **argv)
{
    static const char args[] = "DATABASE FILE";
    static const struct argp_option option_list[] = {
        {"since", OPT_SINCE, "OFFSET", 0,
         "begin with a snapshot at or before this transaction, so that earlier states can be "
         "restored, too (default: the newest snapshot; 0: the whole log)",
         0},
        LC_FORMAT_OPTIONS,
        {0},
    };
    static const struct argp argp = {
        option_list,
        parse_backup_option,
        args,
        "Writes a database into one file while it runs: a snapshot and the log up to now. Needs "
        "the owner's identity.\v"
        "FILE - is the standard output. A file is written beside (FILE.part), verified, and then "
        "gets its name, in place of an older one. `lightcone restore` makes a database of it. "
        "Example:\n"
        "  lightcone backup chat chat-$(date +%F).lcbackup",
        lc_target_children,
        NULL,
        NULL};
    backup_options o = {0};
    lc_error err = LC_ERROR_INIT;
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    int rc = LC_EXIT_USAGE;
    if (lc_target_has_words(&o.target, argv[0], args, 2, 2))
        rc = backup(&o, &err) == LC_OK ? LC_EXIT_DONE : lc_cli_fail(&err);
    lc_error_clear(&o.write_error);
    lc_free(o.aside);
    lc_target_close(&o.target);
    return rc;
}

/* ---------------------------------------------------------------------- restore */

typedef struct restore_options {
    lc_target target;
    bool is_json;
    lc_restore_point at;
    const char *data_dir; /* NULL: through a server */
    const char *owner;    /* NULL: who is logged in */
    const char *from, *name;
} restore_options;

static error_t parse_restore_option(int key, char *arg, struct argp_state *state)
{
    restore_options *o = state->input;
    lc_error err = LC_ERROR_INIT;
    if (lc_cli_format_option(key, arg, state, &o->is_json)) return 0;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &o->target;
        return 0;
    case OPT_AT:
        if (lc_cli_point_parse(arg, &o->at.offset, &o->at.time, &err) != LC_OK)
            lc_cli_misuse(state, "--at: %s", lc_error_text(&err));
        return 0;
    case OPT_DATA_DIR:
        o->data_dir = arg;
        return 0;
    case OPT_OWNER:
        o->owner = arg;
        return 0;
    case ARGP_KEY_END:
        if (o->owner && !o->data_dir) lc_cli_misuse(state, "--owner needs --data-dir");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static void say_restored(const restore_options *o, const char *identity, uint64_t offset)
{
    if (o->is_json) {
        lc_buf out = LC_BUF_INIT;
        lc_buf_put_str(&out, "{\"name\":");
        lc_json_write_string(lc_span_of_str(o->name), &out);
        lc_buf_printf(&out, ",\"identity\":\"%s\",\"offset\":%llu}\n", identity,
                      (unsigned long long)offset);
        lc_cli_print(&out);
        lc_buf_deinit(&out);
        return;
    }
    printf("Restored database with name: %s, identity: %s, at offset %llu\n", o->name, identity,
           (unsigned long long)offset);
}

/* A database folder becomes a backup on the way, by a thread that writes into a pipe. */
typedef struct producer {
    const char *folder;
    uint64_t since;
    int fd;
    lc_error err;
} producer;

static lc_status put_piece(void *arg, lc_span bytes, lc_error *err)
{
    return write_all(((producer *)arg)->fd, bytes, "the pipe", err);
}

static void *produce(void *arg)
{
    producer *p = arg;
    lc_backup_create(p->folder, NULL, NULL, p->since, UINT64_MAX, put_piece, p, NULL, &p->err);
    close(p->fd);
    return NULL;
}

/* Which offset a backup must reach back to for the moment to be in it. */
static uint64_t find_since(const char *folder, const lc_restore_point *at)
{
    if (at->time == INT64_MAX) return at->offset;
    lc_snapshot_list list = {0};
    uint64_t since = 0;
    lc_snapshot_find(folder, NULL, false, &list, NULL);
    LC_VEC_EACH (s, &list)
        if (s->is_valid && s->taken_at <= at->time && s->offset > since) since = s->offset;
    lc_vec_deinit(&list);
    return since;
}

static char *restore_path(const restore_options *o)
{
    lc_buf path = LC_BUF_INIT;
    char *name = lc_url_escape(o->name);
    lc_buf_printf(&path, "/v1/database/%s/restore", name);
    if (o->at.offset != UINT64_MAX)
        lc_buf_printf(&path, "?at-offset=%llu", (unsigned long long)o->at.offset);
    if (o->at.time != INT64_MAX) {
        lc_buf time = LC_BUF_INIT;
        lc_timestamp_to_text(o->at.time, &time);
        char *text = lc_buf_give_cstr(&time), *escaped = lc_url_escape(text);
        lc_buf_printf(&path, "?at-time=%s", escaped);
        lc_free(text);
        lc_free(escaped);
    }
    lc_free(name);
    return lc_buf_give_cstr(&path);
}

static void say_answer(const restore_options *o, lc_span body)
{
    char *identity = lc_json_string_value(lc_json_member(body, "database_identity", NULL));
    char *warning = lc_json_string_value(lc_json_member(body, "warning", NULL));
    char *offset = lc_span_to_cstr(lc_json_member(body, "offset", NULL));
    say_restored(o, identity ? identity : "", strtoull(offset, NULL, 10));
    if (warning) fprintf(stderr, "WARNING: %s\n", warning);
    lc_free(identity);
    lc_free(warning);
    lc_free(offset);
}

static lc_status upload(restore_options *o, source *s, lc_error *err)
{
    lc_error why = LC_ERROR_INIT;
    s->err = &why;
    lc_cli_request q = {.method = "POST", .read = read_for_request, .arg = s};
    lc_cli_response r;
    char *path = restore_path(o);
    lc_status rc = lc_http_send(&o->target, &q, path, &r, err);
    lc_free(path);
    if (rc == LC_OK) {
        rc = lc_cli_response_check(&r, err);
        if (rc == LC_OK) say_answer(o, lc_buf_span(&r.body));
        lc_cli_response_deinit(&r);
    } else if (why.code != LC_OK) {
        rc = lc_error_set(err, why.code, "%s", lc_error_text(&why));
    }
    lc_error_clear(&why);
    return rc;
}

static lc_status upload_folder(restore_options *o, lc_error *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) return io_error(err, "create", "a pipe");
    producer p = {o->from, find_since(o->from, &o->at), ends[1], LC_ERROR_INIT};
    source s = {ends[0], o->from, NULL};
    pthread_t thread;
    if (pthread_create(&thread, NULL, produce, &p) != 0) LC_BUG("cannot start a thread");
    lc_status rc = upload(o, &s, err);
    close(ends[0]); /* so that the producer ends, too */
    pthread_join(thread, NULL);
    bool is_its_fault = p.err.code != LC_OK && p.err.code != LC_E_IO;
    if (rc != LC_OK && is_its_fault)
        rc = lc_error_set(err, p.err.code, "%s", lc_error_text(&p.err));
    lc_error_clear(&p.err);
    return rc;
}

/* ---------------------------------------------------------------------- offline */

static lc_status find_owner(const restore_options *o, lc_identity *owner, lc_error *err)
{
    if (o->owner) return lc_identity_parse(lc_span_of_str(o->owner), owner, err);
    lc_cli_config config;
    char hex[65];
    lc_status rc = lc_cli_config_load(&config, err);
    if (rc == LC_OK && !config.token)
        rc = lc_error_set(err, LC_E_DENIED,
                          "nobody is logged in: say by --owner=IDENTITY whose the database will "
                          "be");
    if (rc == LC_OK) rc = lc_token_identity(config.token, hex, err);
    if (rc == LC_OK) rc = lc_identity_parse(lc_span_of_str(hex), owner, err);
    lc_cli_config_deinit(&config);
    return rc;
}

/* source: NULL when it is a folder. */
static lc_status restore_offline(restore_options *o, source *s, lc_error *err)
{
    lc_identity owner;
    lc_status rc = find_owner(o, &owner, err);
    if (rc != LC_OK) return rc;
    lc_node *node;
    lc_node_options options = {.data_folder = o->data_dir, .is_tool = true};
    rc = lc_node_create(&options, &node, err);
    if (rc != LC_OK) return rc;
    lc_restore q = {.caller = &owner,
                    .name = lc_span_of_str(o->name),
                    .at = o->at,
                    .folder = s ? NULL : o->from,
                    .read = read_source,
                    .arg = s};
    lc_restore_result done;
    rc = lc_node_restore(node, &q, &done, err);
    if (rc == LC_OK) {
        char hex[LC_IDENTITY_HEX + 1];
        lc_identity_to_hex(&done.identity, hex);
        say_restored(o, hex, done.info.restored);
    }
    lc_node_destroy(node);
    return rc;
}

/* ---------------------------------------------------------------------- command */

static lc_status restore_from_folder(restore_options *o, lc_error *err)
{
    if (o->data_dir) return restore_offline(o, NULL, err);
    lc_status rc = lc_target_open(&o->target, true, err);
    return rc == LC_OK ? upload_folder(o, err) : rc;
}

static lc_status restore_from_file(restore_options *o, lc_error *err)
{
    bool is_stdin = strcmp(o->from, "-") == 0;
    source s = {STDIN_FILENO, is_stdin ? "the standard input" : o->from, NULL};
    if (!is_stdin) s.fd = open(o->from, O_RDONLY | O_CLOEXEC);
    if (s.fd < 0) return io_error(err, "open", o->from);
    lc_status rc = LC_OK;
    if (!o->data_dir) rc = lc_target_open(&o->target, true, err);
    if (rc == LC_OK) rc = o->data_dir ? restore_offline(o, &s, err) : upload(o, &s, err);
    if (!is_stdin) close(s.fd);
    return rc;
}

static lc_status restore(restore_options *o, lc_error *err)
{
    struct stat st;
    o->from = o->target.words.items[0];
    o->name = o->target.words.items[1];
    lc_status rc = lc_database_name_check(lc_span_of_str(o->name), err);
    if (rc != LC_OK) return rc;
    bool is_folder = strcmp(o->from, "-") != 0 && stat(o->from, &st) == 0 && S_ISDIR(st.st_mode);
    return is_folder ? restore_from_folder(o, err) : restore_from_file(o, err);
}

int lc_command_restore(int argc, char **argv)
{
    static const char args[] = "FILE NAME";
    static const struct argp_option option_list[] = {
        {"at", OPT_AT, "MOMENT", 0,
         "the state after so many transactions (a number), or at a time (2026-11-21T13:00:00Z, or "
         "@ and microseconds since 1970); default: the latest",
         0},
        {"data-dir", OPT_DATA_DIR, "DIR", 0,
         "into this data folder, whose server does not run, instead of through a server", 0},
        {"owner", OPT_OWNER, "IDENTITY", 0,
         "with --data-dir: whose the database will be (default: yours)", 0},
        LC_FORMAT_OPTIONS,
        {0},
    };
    static const struct argp argp = {
        option_list,
        parse_restore_option,
        args,
        "Makes a new database NAME, owned by you, out of a backup.\v"
        "FILE - is the standard input. In place of FILE there may be the folder of a database, "
        "DATA-DIR/replicas/NUMBER, also the reference server's. A database that exists is never "
        "replaced, and what is torn, damaged or no backup is refused as a whole. Examples:\n"
        "  lightcone restore chat.lcbackup chat-yesterday --at 2026-11-20T18:00:00Z\n"
        "  lightcone restore chat.lcbackup chat --data-dir ./lightcone-data",
        lc_target_children,
        NULL,
        NULL};
    restore_options o = {.at = {UINT64_MAX, INT64_MAX}};
    lc_error err = LC_ERROR_INIT;
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    signal(SIGPIPE, SIG_IGN); /* a server that answers early, a reader that gives up */
    int rc = LC_EXIT_USAGE;
    if (lc_target_has_words(&o.target, argv[0], args, 2, 2))
        rc = restore(&o, &err) == LC_OK ? LC_EXIT_DONE : lc_cli_fail(&err);
    lc_target_close(&o.target);
    return rc;
}
