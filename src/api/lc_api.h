/*
 * api: what the outside speaks. HTTP routes under /v1 (spec chapter 04), the WebSocket protocols
 * v1.json, v1.bsatn, v2.bsatn and v3.bsatn (chapter 03), static files of the browser client.
 *
 * Way of an HTTP request: the loop finds the route and hands it to a worker of the node, where
 * everything may block; the worker fills in the answer and posts it back to the loop. Way of a
 * WebSocket message: decoded on the loop into a request of the loop's batch, see database/.
 *
 * api stands above server: routes call the node.
 */
#ifndef LC_API_H
#define LC_API_H

#include "net/lc_net.h"
#include "server/lc_server.h"

typedef struct lc_api lc_api;

/* A folder of files served under a path: {"/chat/", "examples/chat/web"}. */
typedef struct lc_mount {
    const char *path; /* begins and ends with a slash */
    const char *folder;
} lc_mount;

typedef struct lc_api_options {
    lc_node *node;
    lc_loop *const *loops;
    uint32_t loop_count;
    const lc_mount *mounts; /* beside /sdk/lightcone.js, which is part of the program */
    uint32_t mount_count;
} lc_api_options;

/* Prepares per-loop state; the handler is for lc_listener_create. */
lc_api *lc_api_create(const lc_api_options *o);
const lc_http_handler *lc_api_handler(lc_api *a);
/* After the loops have ended. */
void lc_api_destroy(lc_api *a);

#endif
