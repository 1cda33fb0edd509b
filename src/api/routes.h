/*
 * HTTP routes (04 section 2): the table is in router.c, the handlers are here by subject. Handlers
 * run on a worker, may block, and fill in the exchange's answer.
 */
#ifndef LC_API_ROUTES_H
#define LC_API_ROUTES_H

#include "api/api_internal.h"

#define LC_TEXT_PLAIN "text/plain; charset=utf-8"
#define LC_JSON_TYPE  "application/json"

typedef void (*lc_route_fn)(lc_exchange *x);

/* Who must be known before the handler runs (04 section 1.2). */
typedef enum lc_auth_class {
    LC_AUTH_NONE,
    LC_AUTH_OPTIONAL,
    LC_AUTH_ANON,
    LC_AUTH_REQUIRED
} lc_auth_class;

typedef struct lc_route_method {
    const char *name; /* "GET" also serves HEAD */
    lc_auth_class auth;
    lc_route_fn handle;
} lc_route_method;

enum { LC_ROUTE_MAX_METHODS = 4 };

typedef struct lc_route {
    const char *pattern; /* segments; ":" is a parameter, a last "*" takes the rest */
    lc_route_method methods[LC_ROUTE_MAX_METHODS];
    bool anon_first; /* database routes: authentication before everything else */
    bool resolves;   /* the database must exist before the method is looked at (04 section 2.0) */
    bool any_method; /* methods[0] takes all of them */
    bool no_cors;
    bool unlimited_body;
    bool ignores_oversize;
    bool streams_body; /* of POST: the handler reads it by lc_http_body_read */
} lc_route;

/* The route of a raw path, or NULL; segments (still encoded) of its parameters. */
const lc_route *lc_route_find(lc_span path, lc_span segments[4], lc_span *rest);
/* `GET,HEAD,PUT` */
void lc_route_allow(const lc_route *r, lc_buf *out);

/* exchange.c */
void lc_exchange_json(lc_exchange *x, int status); /* body is already there */
/* The database of segment 0: identity found by resolution. False: answered. */
bool lc_exchange_database(lc_exchange *x, lc_identity *out);
/* Opens it; a reference. False: answered with 404 or 500. */
bool lc_exchange_open(lc_exchange *x, lc_database **out);
/* The record of an existing database that the caller owns; else answers 403 with the action. */
bool lc_exchange_owner(lc_exchange *x, const lc_identity *database, const char *action,
                       lc_database_record *out);
/* One query parameter; each returns false when it answered 400. *value is left alone when absent.
 */
bool lc_exchange_query_bool(lc_exchange *x, const char *key, bool *value);
bool lc_exchange_query_u64(lc_exchange *x, const char *key, uint64_t max, uint64_t *value,
                           bool *is_given);
/* value = index into the names; names end with NULL. */
bool lc_exchange_query_enum(lc_exchange *x, const char *key, const char *const *names,
                            uint32_t *value);
bool lc_exchange_query_text(lc_exchange *x, const char *key, lc_span *value);
/* 400: the body is not UTF-8, and from where on. */
void lc_exchange_bad_utf8(lc_exchange *x, lc_span body);
void lc_exchange_bad_query(lc_exchange *x, const char *fmt, ...) LC_PRINTF(2, 3);

void lc_route_ping(lc_exchange *x);
void lc_route_health(lc_exchange *x);
void lc_route_sd_config(lc_exchange *x);
void lc_route_energy_get(lc_exchange *x);
void lc_route_energy_post(lc_exchange *x);
void lc_route_energy_put(lc_exchange *x);
void lc_route_unsupported(lc_exchange *x);

void lc_route_identity_post(lc_exchange *x);
void lc_route_public_key(lc_exchange *x);
void lc_route_websocket_token(lc_exchange *x);
void lc_route_verify(lc_exchange *x);
void lc_route_owned(lc_exchange *x);

void lc_route_info(lc_exchange *x);
void lc_route_database_identity(lc_exchange *x);
void lc_route_names_get(lc_exchange *x);
void lc_route_names_post(lc_exchange *x);
void lc_route_names_put(lc_exchange *x);
void lc_route_timestamp(lc_exchange *x);
void lc_route_schema(lc_exchange *x);
void lc_route_delete(lc_exchange *x);
void lc_route_lock(lc_exchange *x);
void lc_route_unlock(lc_exchange *x);
void lc_route_restart(lc_exchange *x);
void lc_route_backup(lc_exchange *x);
void lc_route_restore(lc_exchange *x);
void lc_route_snapshot(lc_exchange *x);

void lc_route_publish(lc_exchange *x);
void lc_route_publish_nameless(lc_exchange *x);
void lc_route_reset(lc_exchange *x);

void lc_route_call(lc_exchange *x);
void lc_route_sql(lc_exchange *x);
void lc_route_logs(lc_exchange *x);
void lc_route_subscribe(lc_exchange *x);

#endif
