/*
 * Backups, restores and snapshots over HTTP. Not the reference's: docs/compatibility.md lists these
 * routes.
 */
#include "api/routes.h"

/* 500 unless the code says that it is the client's doing. */
static int status_of(lc_status rc)
{
    switch (rc) {
    case LC_E_INVALID:
    case LC_E_CORRUPT: /* what the client has sent is */
    case LC_E_UNSUPPORTED:
        return 400;
    case LC_E_DENIED:
        return 403;
    case LC_E_EXISTS:
    case LC_E_CONFLICT:
        return 409;
    case LC_E_READ_ONLY:
    case LC_E_CLOSED:
        return 503;
    default:
        return 500;
    }
}

static lc_status send_piece(void *arg, lc_span bytes, lc_error *err)
{
    return lc_exchange_write(arg, bytes, err);
}

void lc_route_backup(lc_exchange *x)
{
    lc_database_record record;
    uint64_t since = UINT64_MAX;
    bool has_since;
    if (!lc_exchange_query_u64(x, "since", UINT64_MAX, &since, &has_since) ||
        !lc_exchange_owner(x, &x->database, "back up database", &record))
        return;
    if (!has_since) since = UINT64_MAX;
    x->status = 200;
    x->content_type = "application/octet-stream";
    lc_exchange_header(x, "cache-control", LC_STR("no-store"));
    if (lc_span_equal_str(lc_http_method(x->request), "HEAD")) return;
    lc_error err = LC_ERROR_INIT;
    lc_backup_info info;
    lc_status rc = lc_node_backup(x->api->node, &x->database, since, send_piece, x, &info, &err);
    if (rc != LC_OK && x->download) {
        if (rc != LC_E_CLOSED) lc_log(LC_LOG_ERROR, "a backup broke off: %s", lc_error_text(&err));
        lc_exchange_break(x);
    } else if (rc != LC_OK) {
        lc_exchange_text(x, rc == LC_E_NOT_FOUND ? 404 : 500, "%s", lc_error_text(&err));
    }
    lc_error_clear(&err);
}

/* --------------------------------------------------------------------- restore */

/* `at-offset` or `at-time` (RFC 3339), neither: the latest. False: answered. */
static bool read_point(lc_exchange *x, lc_restore_point *at)
{
    bool has_offset;
    lc_span time = LC_SPAN_EMPTY;
    *at = (lc_restore_point){UINT64_MAX, INT64_MAX};
    if (!lc_exchange_query_u64(x, "at-offset", UINT64_MAX, &at->offset, &has_offset) ||
        !lc_exchange_query_text(x, "at-time", &time))
        return false;
    if (!has_offset) at->offset = UINT64_MAX;
    if (has_offset && time.ptr) {
        lc_exchange_bad_query(x, "`at-offset` and `at-time` exclude each other");
        return false;
    }
    lc_error err = LC_ERROR_INIT;
    bool is_time = !time.ptr || lc_timestamp_parse(time, &at->time, &err) == LC_OK;
    if (!is_time) lc_exchange_bad_query(x, "`at-time`: %s", lc_error_text(&err));
    lc_error_clear(&err);
    return is_time;
}

enum { LOOK_MILLIS = 250 }; /* how often a reader that waits asks whether the server ends */

static ssize_t read_piece(void *arg, void *buf, size_t n, lc_error *err)
{
    lc_exchange *x = arg;
    while (!lc_http_body_wait(x->request, LOOK_MILLIS)) {
        if (!lc_node_is_closing(x->api->node)) continue;
        lc_error_set(err, LC_E_CLOSED, "the server is shutting down");
        return -1;
    }
    return lc_http_body_read(x->request, buf, n, err);
}

/* What was restored runs from now on; why it does not is no failure of the restore. */
static char *open_restored(lc_exchange *x, const lc_identity *identity)
{
    lc_database *db;
    lc_error err = LC_ERROR_INIT;
    char *why = NULL;
    if (lc_node_open(x->api->node, identity, &db, &err) == LC_OK)
        lc_database_unref(db);
    else
        why = lc_strdup(lc_error_text(&err));
    lc_error_clear(&err);
    return why;
}

static void answer_restored(lc_exchange *x, const lc_restore_result *done)
{
    char hex[LC_IDENTITY_HEX + 1];
    char *warning = open_restored(x, &done->identity);
    lc_identity_to_hex(&done->identity, hex);
    lc_buf_put_str(&x->body, "{\"name\":");
    lc_json_write_string(x->segments[0], &x->body);
    lc_buf_printf(&x->body,
                  ",\"database_identity\":\"%s\",\"offset\":%llu,\"from\":%llu,\"to\":%llu", hex,
                  (unsigned long long)done->info.restored, (unsigned long long)done->info.from,
                  (unsigned long long)done->info.to);
    if (warning) {
        lc_buf_put_str(&x->body, ",\"warning\":");
        char *text = lc_format("the database does not open: %s", warning);
        lc_json_write_string(lc_span_of_str(text), &x->body);
        lc_free(text);
    }
    lc_buf_put_u8(&x->body, '}');
    lc_free(warning);
    lc_exchange_json(x, 200);
}

void lc_route_restore(lc_exchange *x)
{
    lc_restore q = {
        .caller = &x->caller.identity, .name = x->segments[0], .read = read_piece, .arg = x};
    lc_restore_result done;
    lc_error err = LC_ERROR_INIT;
    if (!read_point(x, &q.at)) return;
    lc_status rc = lc_node_restore(x->api->node, &q, &done, &err);
    if (rc == LC_OK)
        answer_restored(x, &done);
    else
        lc_exchange_text(x, status_of(rc), "%s", lc_error_text(&err));
    lc_error_clear(&err);
}

/* -------------------------------------------------------------------- snapshot */

void lc_route_snapshot(lc_exchange *x)
{
    lc_database_record record;
    lc_database *db;
    if (!lc_exchange_owner(x, &x->database, "take a snapshot of database", &record) ||
        !lc_exchange_open(x, &db))
        return;
    lc_error err = LC_ERROR_INIT;
    uint64_t offset;
    lc_status rc = lc_database_snapshot(db, &offset, &err);
    lc_database_unref(db);
    if (rc == LC_OK) {
        lc_buf_printf(&x->body, "{\"offset\":%llu}", (unsigned long long)offset);
        lc_exchange_json(x, 200);
    } else {
        lc_exchange_text(x, rc == LC_E_CORRUPT ? 500 : status_of(rc), "%s", lc_error_text(&err));
    }
    lc_error_clear(&err);
}
