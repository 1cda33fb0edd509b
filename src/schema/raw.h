/*
 * A definition as the module wrote it: V9 and V10 decoded into one shape (01 section 8). Nothing is
 * checked here but the bytes. Everything lives in an arena; names point into the input.
 *
 * V8 would be one more decoder that fills the same structs with V9 names (01 section 8.4).
 */
#ifndef LC_SCHEMA_RAW_H
#define LC_SCHEMA_RAW_H

#include "schema/lc_schema.h"

/* Optional names: ptr NULL = none. */

typedef struct lc_raw_i128 {
    bool given;
    lc_i128 value;
} lc_raw_i128;

typedef struct lc_raw_columns {
    uint16_t *items;
    uint32_t count;
} lc_raw_columns;

typedef struct lc_raw_type_def {
    lc_span *scope;
    uint32_t scope_count;
    lc_span name;
    uint32_t ref;
    bool custom_ordering;
} lc_raw_type_def;

typedef struct lc_raw_index {
    lc_span name;
    lc_span accessor_name;
    lc_index_algorithm algorithm;
    lc_raw_columns columns; /* exactly one for LC_INDEX_DIRECT */
} lc_raw_index;

typedef struct lc_raw_constraint { /* unique */
    lc_span name;
    lc_raw_columns columns;
} lc_raw_constraint;

typedef struct lc_raw_sequence {
    lc_span name;
    uint16_t column;
    lc_raw_i128 start, min_value, max_value;
    lc_i128 increment;
} lc_raw_sequence;

typedef struct lc_raw_default {
    lc_span table; /* V9 */
    uint16_t column;
    lc_span value;
} lc_raw_default;

typedef struct lc_raw_schedule {
    lc_span name;
    lc_span table; /* V10 */
    uint16_t at_column;
    lc_span function;
} lc_raw_schedule;

typedef struct lc_raw_table {
    lc_span name;
    uint32_t ref;
    lc_raw_columns primary_key;
    lc_raw_index *indexes;
    uint32_t index_count;
    lc_raw_constraint *constraints;
    uint32_t constraint_count;
    lc_raw_sequence *sequences;
    uint32_t sequence_count;
    lc_raw_schedule *schedule; /* V9; NULL = none */
    lc_raw_default *defaults;  /* V10 */
    uint32_t default_count;
    bool is_system, is_private, is_event;
} lc_raw_table;

typedef struct lc_raw_function { /* reducer or procedure */
    lc_span name;
    const lc_type *params;
    bool is_private;
    lc_lifecycle lifecycle;  /* V9 reducers */
    const lc_type *ok, *err; /* V10 reducers */
    const lc_type *returns;  /* procedures */
} lc_raw_function;

typedef struct lc_raw_view {
    lc_span name;
    uint32_t index;
    bool is_public, is_anonymous;
    const lc_type *params;
    const lc_type *returns;
} lc_raw_view;

typedef struct lc_raw_lifecycle {
    lc_lifecycle event;
    lc_span function;
} lc_raw_lifecycle;

typedef enum lc_raw_explicit_kind {
    LC_RAW_EXPLICIT_TABLE,
    LC_RAW_EXPLICIT_FUNCTION,
    LC_RAW_EXPLICIT_INDEX,
    LC_RAW_EXPLICIT_NONE,
} lc_raw_explicit_kind;

typedef struct lc_raw_explicit {
    lc_raw_explicit_kind kind;
    lc_span source, canonical;
} lc_raw_explicit;

/* HttpMethod: the nine that have a number, then whatever else by name; any = all of them. */
enum { LC_RAW_METHOD_EXTENSION = 9, LC_RAW_METHOD_ANY };
typedef struct lc_raw_route {
    lc_span handler;
    uint8_t method;
    lc_span extension;
    lc_span path;
} lc_raw_route;
const char *lc_raw_method_name(uint8_t method); /* "Get"; numbered methods only */

typedef struct lc_raw_view_key {
    lc_span view;
    lc_span *columns;
    uint32_t column_count;
} lc_raw_view_key;

typedef struct lc_raw_module lc_raw_module;
typedef struct lc_raw_submodule {
    lc_span name;
    const lc_raw_module *module;
} lc_raw_submodule;

struct lc_raw_module {
    uint32_t version; /* 9 or 10 */
    bool snake_case;
    lc_typespace typespace;
    lc_raw_type_def *types;
    uint32_t type_count;
    lc_raw_table *tables;
    uint32_t table_count;
    lc_raw_function *reducers;
    uint32_t reducer_count;
    lc_raw_function *procedures;
    uint32_t procedure_count;
    lc_raw_view *views;
    uint32_t view_count;
    lc_raw_schedule *schedules; /* V10 */
    uint32_t schedule_count;
    lc_raw_lifecycle *lifecycles; /* V10 */
    uint32_t lifecycle_count;
    lc_raw_default *defaults; /* V9 */
    uint32_t default_count;
    lc_span *row_level_security;
    uint32_t row_level_security_count;
    lc_raw_explicit *explicit_names;
    uint32_t explicit_name_count;
    lc_span *handlers;
    uint32_t handler_count;
    lc_raw_route *routes;
    uint32_t route_count;
    lc_raw_view_key *view_keys;
    uint32_t view_key_count;
    lc_raw_submodule *submodules;
    uint32_t submodule_count;
};

/* Decodes; bytes after the definition are ignored. The input must outlive the arena. The error text
 * is the bare decode error. */
lc_status lc_raw_decode(lc_span in, lc_arena *a, const lc_raw_module **out, lc_error *err);

#endif
