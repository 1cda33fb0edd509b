/*
 * Inside of the api room.
 */
#ifndef LC_API_INTERNAL_H
#define LC_API_INTERNAL_H

#include "api/lc_api.h"

struct lc_api {
    lc_node *node;
    lc_http_handler handler;
    struct lc_api_loop **loops;
    uint32_t loop_count;
    lc_mount *mounts;
    uint32_t mount_count;
};

/* exchange.c: the functions of lc_http_handler. */
size_t lc_api_body_limit(void *arg, lc_http_request *r);
bool lc_api_streams_body(void *arg, lc_http_request *r);
void lc_api_handle(void *arg, lc_http_request *r);
/* static.c: files for browsers; 404 when the path is none of theirs. */
void lc_static_serve(lc_api *a, lc_http_request *r);

/* ------------------------------------------------------------------ exchanges */

/*
 * One HTTP request on its way: made on the loop, worked on by exactly one worker, answered on the
 * loop. The request's spans may be read by the worker; its answering functions may not.
 */
typedef struct lc_exchange lc_exchange;
struct lc_exchange {
    lc_task task; /* posted back to the loop */
    lc_api *api;
    lc_http_request *request;
    lc_arena *arena; /* the request's: worker's while it works */
    const struct lc_route *route;
    lc_span segments[4]; /* decoded path parameters: database, function, ... */
    lc_span rest;        /* the tail of a wildcard route, decoded */

    /* filled in by authentication */
    lc_claims caller;
    bool has_caller;
    lc_identity database; /* of routes that resolve it */

    /* the answer */
    int status;
    const char *content_type; /* NULL: none */
    lc_buf body;
    LC_VEC(lc_http_header) headers; /* names are literals */
    /* Runs on the loop instead of a plain answer (streams, upgrades); must end the request. */
    void (*on_loop)(lc_exchange *x);
    void *on_loop_arg;
    struct lc_download *download; /* of lc_exchange_write; NULL: none */
};

/* Demands credentials now (04 section 1.2, class required). False: answered. */
bool lc_exchange_authenticate(lc_exchange *x);
/* Sets a text answer. */
void lc_exchange_text(lc_exchange *x, int status, const char *fmt, ...) LC_PRINTF(3, 4);
/* Adds a header to the answer; the value is copied. */
void lc_exchange_header(lc_exchange *x, const char *name, lc_span value);
void lc_exchange_free(lc_exchange *x);

/* download.c: a worker's answer of any size. status, content_type and headers are set before the
 * first piece, which begins it; the end of the handler ends it. Blocks while the client has enough
 * to take; LC_E_CLOSED when it is gone. */
lc_status lc_exchange_write(lc_exchange *x, lc_span bytes, lc_error *err);
/* What was written is not whole: the client sees an answer that breaks off. */
void lc_exchange_break(lc_exchange *x);
/* On the loop, instead of an answer: writes what is left, ends. */
void lc_download_finish(struct lc_download *d);
/* On the loop: adds the headers that an answer has from x and from CORS. */
void lc_exchange_put_headers(lc_exchange *x);

/* ------------------------------------------------------------------ WebSocket */

typedef struct lc_api_loop lc_api_loop; /* per-loop state: sink and request batches */
lc_api_loop *lc_api_loop_create(lc_api *a, lc_loop *loop);
/* Waits for the executors of the databases this loop talked to. */
void lc_api_loop_join(lc_api_loop *l);
void lc_api_loop_destroy(lc_api_loop *l);
lc_node *lc_api_node(const lc_api *a);

/* What the worker found out about an upgrade request (03 section 1.3, all checks passed). */
typedef struct lc_upgrade {
    lc_database *database; /* a reference, taken */
    uint8_t protocol;      /* lc_ws_protocol */
    uint8_t compression;   /* lc_ws_compression */
    bool is_light;
    bool is_confirmed;
    lc_identity identity;
    lc_connection_id connection_id;
    lc_span token;       /* copied */
    lc_span jwt_payload; /* copied */
} lc_upgrade;
typedef enum lc_ws_protocol { LC_WS_V1_JSON, LC_WS_V1, LC_WS_V2, LC_WS_V3 } lc_ws_protocol;
typedef enum lc_ws_compression { LC_WS_NONE, LC_WS_BROTLI, LC_WS_GZIP } lc_ws_compression;
/* On the loop: answers 101 and starts the connection. */
void lc_ws_start(lc_api *a, lc_http_request *r, const lc_upgrade *u);

#endif
