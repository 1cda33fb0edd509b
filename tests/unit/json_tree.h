/* A JSON text as a tree, for comparing what the room writes with what is recorded. */
#ifndef LC_TEST_JSON_TREE_H
#define LC_TEST_JSON_TREE_H

#include "sats/lc_sats.h"

typedef struct json_node json_node;
struct json_node {
    lc_json_token kind; /* of the token it began with */
    lc_span text;       /* of strings and numbers */
    lc_span key;        /* of members of an object */
    json_node **items;  /* of arrays and objects */
    size_t count;
};

/* NULL on malformed text. The tree lives in the arena. */
json_node *json_tree_parse(lc_arena *a, lc_span text);
/* A whole file; fails the test when it is missing. */
json_node *json_tree_load(lc_arena *a, const char *path);
/* Member of an object, NULL when there is none. */
json_node *json_tree_get(const json_node *n, const char *key);
bool json_tree_is(const json_node *n, const char *text);
/* Equality; with any_order lists are compared as multisets. */
bool json_tree_equal(const json_node *a, const json_node *b, bool any_order);

#endif
