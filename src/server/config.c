/* config.toml and metadata.toml of a data folder (04 sections 5.2 and 5.4). */
#include "server_internal.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

static const char template[] =
    "# Configuration of the server. Every key may be left out; those below in comments show the "
    "default.\n"
    "# Durations are texts such as \"250ms\", \"15s\" or \"1h 30min\".\n"
    "\n"
    "[logs]\n"
    "# off, error, warn, info, debug or trace\n"
    "level = \"info\"\n"
    "\n"
    "# Keys that sign tokens. Both or none; the command line comes first.\n"
    "# [certificate-authority]\n"
    "# jwt-priv-key-path = \"/path/to/id_ecdsa\"\n"
    "# jwt-pub-key-path = \"/path/to/id_ecdsa.pub\"\n"
    "\n"
    "# [websocket]\n"
    "# ping-interval = \"15s\"\n"
    "# idle-timeout = \"30s\"\n"
    "# close-handshake-timeout = \"250ms\"\n"
    "# incoming-queue-length = 16384\n"
    "\n"
    "# [commitlog]\n"
    "# max-segment-size = 1073741824\n"
    "# When a transaction is confirmed: \"group\" (after a sync, shared with others that are "
    "ready),\n"
    "# \"each\" (after a sync of its own) or \"relaxed\" (at once; up to a second of it is lost "
    "when the\n"
    "# machine, not only the server, goes down). The command line comes first.\n"
    "# durability = \"group\"\n"
    "\n"
    "# [snapshots]\n"
    "# One is taken when the log has grown by so many bytes; the newest `keep` of them stay.\n"
    "# log-bytes = 268435456\n"
    "# keep = 2\n"
    "# at-shutdown = true\n"
    "\n"
    "# [retention]\n"
    "# How far back a database can be restored: older snapshots and commits are removed. Or "
    "\"all\".\n"
    "# keep = \"7days\"\n"
    "# compress = true\n"
    "\n"
    "# [wasm]\n"
    "# A reducer that runs longer is ended.\n"
    "# reducer-time-limit = \"60s\"\n";

void lc_node_settings_deinit(lc_node_settings *s)
{
    lc_free(s->private_key_path);
    lc_free(s->public_key_path);
    *s = (lc_node_settings){0};
}

/* ------------------------------------------------------------------- durations */

typedef struct unit {
    const char *names; /* parted by blanks */
    uint64_t nanos;
} unit;

static const unit units[] = {
    {"nanos nsec ns", 1},
    {"usec us \xc2\xb5s \xce\xbcs micros", 1000},
    {"millis msec ms", 1000000},
    {"seconds second secs sec s", 1000000000},
    {"minutes minute min mins m", 60ull * 1000000000},
    {"hours hour hr hrs h", 3600ull * 1000000000},
    {"days day d", 86400ull * 1000000000},
    {"weeks week wk wks w", 604800ull * 1000000000},
};

static uint64_t unit_nanos(lc_span name)
{
    for (size_t i = 0; i < LC_ARRAY_LEN(units); i++)
        for (const char *at = units[i].names; *at; at += strspn(at, " ")) {
            size_t len = strcspn(at, " ");
            if (lc_span_equal(name, LC_SPAN(at, len))) return units[i].nanos;
            at += len;
        }
    return 0;
}

lc_status lc_duration_parse_millis(lc_span text, uint64_t *millis, lc_error *err)
{
    uint64_t total = 0;
    size_t i = 0;
    bool any = false;
    for (;;) {
        while (i < text.len && isspace(text.ptr[i])) i++;
        if (i == text.len) break;
        if (!isdigit(text.ptr[i]))
            return lc_error_set(err, LC_E_INVALID, "expected number at %zu", i);
        uint64_t number = 0, nanos;
        while (i < text.len && isdigit(text.ptr[i])) {
            if (__builtin_mul_overflow(number, 10u, &number) ||
                __builtin_add_overflow(number, (uint64_t)(text.ptr[i] - '0'), &number))
                return lc_error_set(err, LC_E_INVALID, "number is too large");
            i++;
        }
        while (i < text.len && isspace(text.ptr[i])) i++;
        size_t start = i;
        while (i < text.len && !isspace(text.ptr[i]) && !isdigit(text.ptr[i])) i++;
        lc_span name = LC_SPAN(text.ptr + start, i - start);
        if (name.len == 0)
            return lc_error_set(err, LC_E_INVALID,
                                "time unit needed, for example %llusec or %llums",
                                (unsigned long long)number, (unsigned long long)number);
        nanos = unit_nanos(name);
        if (!nanos)
            return lc_error_set(err, LC_E_INVALID,
                                "unknown time unit \"" LC_SPAN_FMT
                                "\", supported units: ns, us, ms, sec, min, hours, days, weeks",
                                LC_SPAN_ARG(name));
        if (__builtin_mul_overflow(number, nanos, &number) ||
            __builtin_add_overflow(total, number, &total))
            return lc_error_set(err, LC_E_INVALID, "number is too large");
        any = true;
    }
    if (!any) return lc_error_set(err, LC_E_INVALID, "value was empty");
    *millis = total / 1000000 + (total % 1000000 != 0);
    return LC_OK;
}

/* -------------------------------------------------------------------- settings */

typedef struct source {
    lc_toml toml;
    const char *path; /* of the file */
    lc_error *err;
} source;

static lc_status wrong(source *s, const char *key, const char *what)
{
    return lc_error_set(s->err, LC_E_INVALID, "%s: `%s` must be %s", s->path, key, what);
}

static lc_status get_duration(source *s, const char *key, uint64_t *out)
{
    const lc_toml_value *v = lc_toml_get(&s->toml, key);
    if (!v) return LC_OK;
    if (v->kind != LC_TOML_STRING) return wrong(s, key, "a duration such as \"15s\"");
    lc_error why = LC_ERROR_INIT;
    lc_status rc = lc_duration_parse_millis(lc_span_of_str(v->text), out, &why);
    if (rc != LC_OK) lc_error_set(s->err, rc, "%s: `%s`: %s", s->path, key, lc_error_text(&why));
    lc_error_clear(&why);
    return rc;
}

static lc_status get_count(source *s, const char *key, uint64_t least, uint64_t *out)
{
    const lc_toml_value *v = lc_toml_get(&s->toml, key);
    if (!v) return LC_OK;
    if (v->kind != LC_TOML_INTEGER || v->integer < 0) return wrong(s, key, "a whole number");
    if ((uint64_t)v->integer < least)
        return lc_error_set(s->err, LC_E_INVALID, "%s: `%s` must be at least %llu", s->path, key,
                            (unsigned long long)least);
    *out = (uint64_t)v->integer;
    return LC_OK;
}

static lc_status get_flag(source *s, const char *key, bool *out)
{
    const lc_toml_value *v = lc_toml_get(&s->toml, key);
    if (!v) return LC_OK;
    if (v->kind != LC_TOML_BOOLEAN) return wrong(s, key, "true or false");
    *out = v->integer != 0;
    return LC_OK;
}

/* What is wrong, with the value when it is a text. */
static lc_status wrong_value(source *s, const char *key, const lc_toml_value *v, const char *what)
{
    if (v->kind != LC_TOML_STRING) return wrong(s, key, what);
    return lc_error_set(s->err, LC_E_INVALID, "%s: `%s` is \"%s\" but must be %s", s->path, key,
                        v->text, what);
}

const char *const lc_durability_names[] = {"group", "each", "relaxed", NULL};

static lc_status get_durability(source *s, const char *key, lc_durability *out)
{
    const lc_toml_value *v = lc_toml_get(&s->toml, key);
    if (!v) return LC_OK;
    for (int i = 0; v->kind == LC_TOML_STRING && lc_durability_names[i]; i++) {
        if (strcmp(v->text, lc_durability_names[i]) != 0) continue;
        *out = (lc_durability)i;
        return LC_OK;
    }
    return wrong_value(s, key, v, "\"group\", \"each\" or \"relaxed\"");
}

/* "all", or how long. */
static lc_status get_retention(source *s, const char *key, lc_storage_policy *p)
{
    const lc_toml_value *v = lc_toml_get(&s->toml, key);
    if (!v) return LC_OK;
    if (v->kind == LC_TOML_STRING && strcmp(v->text, "all") == 0) {
        p->keep_all = true;
        return LC_OK;
    }
    uint64_t millis = 0;
    int64_t micros;
    bool is_good = v->kind == LC_TOML_STRING &&
                   lc_duration_parse_millis(lc_span_of_str(v->text), &millis, NULL) == LC_OK &&
                   millis > 0 && !__builtin_mul_overflow(millis, 1000, &micros);
    if (!is_good) return wrong_value(s, key, v, "\"all\" or a duration such as \"7days\"");
    p->keep_micros = micros;
    return LC_OK;
}

static lc_status get_level(source *s, lc_log_level *out)
{
    static const struct {
        const char *name;
        lc_log_level level;
    } levels[] = {
        {"off", LC_LOG_ERROR}, {"error", LC_LOG_ERROR}, {"warn", LC_LOG_WARN},
        {"info", LC_LOG_INFO}, {"debug", LC_LOG_DEBUG}, {"trace", LC_LOG_DEBUG},
    };
    const lc_toml_value *v = lc_toml_get(&s->toml, "logs.level");
    if (!v) return LC_OK;
    if (v->kind == LC_TOML_STRING)
        for (size_t i = 0; i < LC_ARRAY_LEN(levels); i++)
            if (!strcasecmp(v->text, levels[i].name)) {
                *out = levels[i].level;
                return LC_OK;
            }
    return wrong(s, "logs.level", "off, error, warn, info, debug or trace");
}

/* A leading ~ stands for the home folder. */
static char *expand(const char *path)
{
    const char *home = getenv("HOME");
    if (path[0] != '~' || (path[1] != '/' && path[1] != 0) || !home) return lc_strdup(path);
    return lc_format("%s%s", home, path + 1);
}

static lc_status get_path(source *s, const char *key, char **out)
{
    const lc_toml_value *v = lc_toml_get(&s->toml, key);
    if (!v) return LC_OK;
    if (v->kind != LC_TOML_STRING) return wrong(s, key, "a path");
    *out = expand(v->text);
    return LC_OK;
}

static lc_status read_storage(source *s, lc_node_config *c)
{
    lc_storage_policy *p = &c->storage;
    uint64_t keep = p->keep_snapshots;
    bool at_shutdown = true, compress = true;
    lc_status rc = get_count(s, "commitlog.max-segment-size", 4096, &c->commitlog_max_segment_size);
    if (rc == LC_OK) rc = get_durability(s, "commitlog.durability", &c->durability);
    if (rc == LC_OK) rc = get_count(s, "snapshots.log-bytes", 4096, &p->snapshot_log_bytes);
    if (rc == LC_OK) rc = get_count(s, "snapshots.keep", LC_STORAGE_KEEP_SNAPSHOTS, &keep);
    if (rc == LC_OK) rc = get_flag(s, "snapshots.at-shutdown", &at_shutdown);
    if (rc == LC_OK) rc = get_retention(s, "retention.keep", p);
    if (rc == LC_OK) rc = get_flag(s, "retention.compress", &compress);
    p->keep_snapshots = keep < UINT32_MAX ? (uint32_t)keep : UINT32_MAX;
    p->no_snapshot_at_close = !at_shutdown;
    p->no_compression = !compress;
    return rc;
}

static lc_status read_settings(source *s, lc_node_settings *out)
{
    lc_node_config *c = &out->config;
    lc_status rc = get_level(s, &c->log_level);
    if (rc == LC_OK) rc = get_duration(s, "websocket.ping-interval", &c->ws_ping_interval_millis);
    if (rc == LC_OK) rc = get_duration(s, "websocket.idle-timeout", &c->ws_idle_timeout_millis);
    if (rc == LC_OK)
        rc = get_duration(s, "websocket.close-handshake-timeout", &c->ws_close_timeout_millis);
    if (rc == LC_OK)
        rc = get_count(s, "websocket.incoming-queue-length", 1, &c->ws_incoming_queue_length);
    if (rc == LC_OK) rc = read_storage(s, c);
    if (rc == LC_OK) rc = get_duration(s, "wasm.reducer-time-limit", &c->call_time_limit_millis);
    if (rc == LC_OK)
        rc = get_path(s, "certificate-authority.jwt-priv-key-path", &out->private_key_path);
    if (rc == LC_OK)
        rc = get_path(s, "certificate-authority.jwt-pub-key-path", &out->public_key_path);
    if (rc == LC_OK && lc_toml_has_table(&s->toml, "certificate-authority") &&
        (!out->private_key_path || !out->public_key_path))
        rc = lc_error_set(s->err, LC_E_INVALID,
                          "%s: table `certificate-authority` needs both `jwt-priv-key-path` and "
                          "`jwt-pub-key-path`",
                          s->path);
    return rc;
}

lc_status lc_node_settings_load(const char *path, lc_node_settings *out, lc_error *err)
{
    *out = (lc_node_settings){.config = {
                                  .ws_ping_interval_millis = 15000,
                                  .ws_idle_timeout_millis = 30000,
                                  .ws_close_timeout_millis = 250,
                                  .ws_incoming_queue_length = 16384,
                                  .commitlog_max_segment_size = 1ull << 30,
                                  .call_time_limit_millis = LC_CALL_TIME_LIMIT_MILLIS_DEFAULT,
                                  .log_level = LC_LOG_ERROR,
                              }};
    lc_storage_policy_fill(&out->config.storage);
    const lc_disk *disk = lc_disk_system();
    if (!lc_disk_exists(disk, path)) {
        lc_status rc = lc_disk_write_file(disk, path, LC_STR(template), err);
        if (rc != LC_OK) return rc;
    }
    lc_buf text = LC_BUF_INIT;
    lc_status rc = lc_disk_read_file(disk, path, &text, err);
    source s = {.path = path, .err = err};
    if (rc == LC_OK && (rc = lc_toml_parse(lc_buf_span(&text), &s.toml, err)) != LC_OK)
        lc_error_prefix(err, "invalid TOML syntax in %s: ", path);
    if (rc == LC_OK) rc = read_settings(&s, out);
    lc_toml_deinit(&s.toml);
    lc_buf_deinit(&text);
    if (rc != LC_OK) lc_node_settings_deinit(out);
    return rc;
}

/* -------------------------------------------------------------------- metadata */

typedef struct version {
    uint32_t major, minor, patch;
} version;

static bool parse_version(const char *text, version *v)
{
    char rest[2];
    *v = (version){0};
    return isdigit((unsigned char)text[0]) &&
           sscanf(text, "%9u.%9u.%9u%1[^-+]", &v->major, &v->minor, &v->patch, rest) == 3;
}

/* May a server of version `running` use what `stored` has written? */
static bool is_compatible(version running, version stored)
{
    if (stored.major == 1 && running.major == 2) return true;
    if (stored.major != running.major) return false;
    return stored.major == 0 ? stored.minor == running.minor : stored.minor <= running.minor;
}

static lc_status write_metadata(const char *path, lc_error *err)
{
    return lc_disk_write_file(lc_disk_system(), path,
                              LC_STR("# THIS FILE IS GENERATED BY SPACETIMEDB, DO NOT MODIFY!\n"
                                     "\n"
                                     "version = \"" LC_COMPATIBLE_VERSION "\"\n"
                                     "edition = \"standalone\"\n"),
                              err);
}

static lc_status check_metadata(const char *path, lc_toml *t, bool *is_older, lc_error *err)
{
    const lc_toml_value *edition = lc_toml_get(t, "edition"), *stored = lc_toml_get(t, "version");
    version theirs, ours;
    parse_version(LC_COMPATIBLE_VERSION, &ours);
    if (!edition || edition->kind != LC_TOML_STRING || !stored || stored->kind != LC_TOML_STRING ||
        !parse_version(stored->text, &theirs))
        return lc_error_set(err, LC_E_INVALID, "%s: not the metadata of a data folder", path);
    if (strcmp(edition->text, "standalone") != 0)
        return lc_error_set(err, LC_E_INVALID,
                            "%s: the data folder belongs to a server of edition `%s`", path,
                            edition->text);
    if (!is_compatible(ours, theirs))
        return lc_error_set(err, LC_E_INVALID,
                            "metadata.toml indicates that you are running a newer, incompatible "
                            "database. %s is of version %s; this server reads versions up to %u.%u",
                            path, stored->text, ours.major, ours.minor);
    *is_older =
        theirs.major < ours.major ||
        (theirs.major == ours.major &&
         (theirs.minor < ours.minor || (theirs.minor == ours.minor && theirs.patch < ours.patch)));
    return LC_OK;
}

lc_status lc_node_check_metadata(const char *path, lc_error *err)
{
    lc_buf text = LC_BUF_INIT;
    lc_status rc = lc_disk_read_file(lc_disk_system(), path, &text, err);
    if (rc == LC_E_NOT_FOUND) {
        if (err) lc_error_clear(err);
        return write_metadata(path, err);
    }
    lc_toml t = {0};
    bool is_older = false;
    if (rc == LC_OK && (rc = lc_toml_parse(lc_buf_span(&text), &t, err)) != LC_OK)
        lc_error_prefix(err, "invalid TOML syntax in %s: ", path);
    if (rc == LC_OK) rc = check_metadata(path, &t, &is_older, err);
    if (rc == LC_OK && is_older) rc = write_metadata(path, err);
    lc_toml_deinit(&t);
    lc_buf_deinit(&text);
    return rc;
}
