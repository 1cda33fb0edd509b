/*
 * What the files of this room share: the collection of problems, and the state of validating one
 * module of the tree. The way of a definition: raw.c decodes it, module.c validates (types.c,
 * tables.c, views.c, functions.c, routes.c do one kind of object each), schema.c flattens the tree
 * into the lists that the rest of the server uses.
 */
#ifndef LC_SCHEMA_INTERNAL_H
#define LC_SCHEMA_INTERNAL_H

#include "schema/lc_schema.h"
#include "schema/raw.h"

/* ------------------------------------------------------------------- names */

typedef enum lc_identifier_fault {
    LC_IDENTIFIER_OK,
    LC_IDENTIFIER_EMPTY,
    LC_IDENTIFIER_NOT_NFC,
    LC_IDENTIFIER_BAD_START,
    LC_IDENTIFIER_BAD_CONTINUE,
} lc_identifier_fault;

/* lc_identifier_check that also tells which rule was broken. */
lc_identifier_fault lc_identifier_fault_of(lc_span name, lc_error *err);

/* ---------------------------------------------------------------- problems */

/* In the order in which a report lists them: that of 01 section 9.2, then refusals of our own. */
typedef enum lc_problem_kind {
    LC_PROBLEM_DUPLICATE_NAME,
    LC_PROBLEM_DUPLICATE_TYPE_NAME,
    LC_PROBLEM_DUPLICATE_FUNCTION_NAME,
    LC_PROBLEM_DUPLICATE_LIFECYCLE,
    LC_PROBLEM_LIFECYCLE_WITHOUT_REDUCER,
    LC_PROBLEM_IDENTIFIER,
    LC_PROBLEM_UNNAMED_COLUMN,
    LC_PROBLEM_TYPE_ORDER,
    LC_PROBLEM_COLUMN_NOT_FOUND,
    LC_PROBLEM_REPEATED_PRIMARY_KEY,
    LC_PROBLEM_PRIMARY_KEY_NOT_UNIQUE,
    LC_PROBLEM_UNIQUE_WITHOUT_INDEX,
    LC_PROBLEM_ONE_AUTO_INC,
    LC_PROBLEM_SEQUENCE_COLUMN_TYPE,
    LC_PROBLEM_SEQUENCE_RANGE,
    LC_PROBLEM_DIRECT_INDEX_TYPE,
    LC_PROBLEM_DUPLICATE_COLUMNS,
    LC_PROBLEM_PRODUCT_TYPE_REF,
    LC_PROBLEM_TYPE_REF,
    LC_PROBLEM_SCHEDULED_COLUMNS,
    LC_PROBLEM_MISSING_SCHEDULED_FUNCTION,
    LC_PROBLEM_SCHEDULED_PARAMS,
    LC_PROBLEM_TABLE_NOT_FOUND,
    LC_PROBLEM_TABLE_NAME_RESERVED,
    LC_PROBLEM_DEFAULT_MALFORMED,
    LC_PROBLEM_MULTIPLE_DEFAULTS,
    LC_PROBLEM_REDUCER_RETURN_TYPE,
    LC_PROBLEM_VIEW_RETURN_TYPE,
    LC_PROBLEM_VIEW_KEY_VIEW_NOT_FOUND,
    LC_PROBLEM_REPEATED_VIEW_KEY,
    LC_PROBLEM_MULTIPLE_VIEW_KEY_COLUMNS,
    LC_PROBLEM_VIEW_KEY_COLUMN_NOT_FOUND,
    LC_PROBLEM_DUPLICATE_HANDLER,
    LC_PROBLEM_DUPLICATE_ROUTE,
    LC_PROBLEM_ROUTE_PATH,
    LC_PROBLEM_MISSING_HANDLER,
    LC_PROBLEM_LIFECYCLE_IN_SUBMODULE,
    LC_PROBLEM_NAMESPACE_TOO_LONG,
    LC_PROBLEM_CLIENT_CODEGEN,
    LC_PROBLEM_REFUSED, /* what ends the reference server, and limits of ours */
} lc_problem_kind;

typedef struct lc_problem {
    lc_problem_kind kind;
    lc_span key; /* orders problems of one kind; then the text does */
    lc_span text;
} lc_problem;

/* All that is wrong with a definition. Bounded: beyond the limits further problems are dropped (the
 * definition is refused anyway). */
typedef struct lc_problems {
    LC_VEC(lc_problem) list;
    lc_arena *arena; /* of the texts */
    size_t bytes;
} lc_problems;

#define LC_SCHEMA_MAX_PROBLEMS      1000
#define LC_SCHEMA_MAX_PROBLEM_BYTES (1u << 20)

/* key may be empty: then the text alone orders. Copied. */
void lc_problem_add(lc_problems *p, lc_problem_kind kind, lc_span key, const char *fmt, ...)
    LC_PRINTF(4, 5);
bool lc_problems_full(const lc_problems *p);
/* Checks an identifier; adds the problem and returns false when it is none. */
bool lc_problem_identifier(lc_problems *p, lc_span name);
/* Appends what an ordering key is made of, so that keys compare like the tuples they stand for. */
void lc_key_put_text(lc_buf *key, lc_span text);
void lc_key_put_number(lc_buf *key, uint64_t number);
/* `Errors occurred:` and every problem once, in order; frees the list. LC_OK when there are none.
 */
lc_status lc_problems_report(lc_problems *p, lc_error *err);

/* Pieces of texts, as the reference's debug format writes them; the result lives in the arena. */
const char *lc_text_type(lc_arena *a, const lc_type *t);          /* 01 section 1.4 */
const char *lc_text_product_debug(lc_arena *a, const lc_type *t); /* ProductType {"a": U8} */
const char *lc_text_string_debug(lc_arena *a, lc_span s);
const char *lc_text_scoped_name(lc_arena *a, const lc_type_def *def);
const char *lc_text_i128_option(lc_arena *a, const lc_raw_i128 *v); /* None, Some(5) */
void lc_put_i128(lc_i128 v, lc_buf *out);

/* -------------------------------------------------------------- validation */

/* Where a type is used, for client code generation. The order is that of reports. */
typedef enum lc_place_kind {
    LC_PLACE_REDUCER_ARGUMENT,
    LC_PLACE_PROCEDURE_ARGUMENT,
    LC_PLACE_VIEW_ARGUMENT,
    LC_PLACE_PROCEDURE_RETURN,
    LC_PLACE_VIEW_RETURN,
    LC_PLACE_TYPESPACE,
} lc_place_kind;

typedef struct lc_place {
    lc_place_kind kind;
    lc_span function;
    uint32_t position; /* of an argument; the reference of a typespace slot */
    lc_span argument;  /* ptr NULL = unnamed */
} lc_place;

/* What using an undeclared typespace slot leads to (types.c). */
typedef struct lc_slot_use lc_slot_use;

/* What is left of the limits that hold for a definition as a whole. */
typedef struct lc_budget {
    uint64_t row_nodes;   /* of LC_SCHEMA_MAX_ROW_NODES */
    uint64_t param_nodes; /* of LC_SCHEMA_MAX_PARAM_NODES */
    uint64_t name_bytes;  /* of LC_SCHEMA_MAX_NAME_BYTES */
    uint32_t defaults;    /* of LC_SCHEMA_MAX_DEFAULTS */
    bool names_reported;
} lc_budget;
/* Takes bytes for a name that is not in the definition; a problem (once) and false when there are
 * none left. */
bool lc_budget_name(lc_budget *budget, lc_problems *problems, uint64_t bytes);

/* Validation of one module of the tree. */
typedef struct lc_check {
    lc_arena *arena; /* of the schema */
    lc_problems *problems;
    const lc_raw_module *raw;
    lc_module_def *module;    /* under construction */
    lc_map names;             /* global namespace of the module */
    lc_map explicit_names[3]; /* source -> lc_span *canonical, by lc_raw_explicit_kind */
    bool *declared;           /* typespace slots that have a type definition */
    lc_slot_use *slot_uses;
    uint32_t *reached; /* typespace slots: the round in which one was last visited */
    uint32_t reach_round;
    lc_budget *budget;
} lc_check;

/* A copy of a name in the arena; never a NULL pointer, which would mean "no name". */
static inline lc_span lc_keep_name(lc_arena *a, lc_span name)
{
    return LC_SPAN(lc_arena_cstr(a, name), name.len);
}
/* The canonical name of a source name. kind LC_RAW_EXPLICIT_NONE: only the policy applies. */
lc_span lc_canonical_name(lc_check *c, lc_raw_explicit_kind kind, lc_span source);
/* Takes the name in the module's namespace; a problem and false when it is taken. */
bool lc_claim_name(lc_check *c, lc_span name);
/* Name of the objects on columns of a table: `{table}_{col}_{col}_{suffix}`; a column that does not
 * exist is `col_{n}`. suffix as "idx_btree", "key", "seq". */
lc_span lc_generated_name(lc_check *c, const lc_table_def *table, const lc_raw_columns *columns,
                          const char *suffix);

/* types.c */
void lc_check_typespace(lc_check *c); /* converts it; fills module->typespace, source_typespace */
void lc_check_type_defs(lc_check *c); /* after lc_check_typespace */
bool lc_check_use(lc_check *c, const lc_place *place, const lc_type *t);
/* Parameter list: names and types. canonical: may be NULL, else receives them. */
void lc_check_params(lc_check *c, lc_place_kind kind, lc_span function, const lc_type *params,
                     lc_span *canonical);
/* The product that ref names in the author's typespace, else NULL and InvalidProductTypeRef. */
const lc_type *lc_check_row_ref(lc_check *c, lc_span owner, uint32_t ref);
/* Columns of the row type ref: canonical names and inlined types. False: *row is NULL. */
bool lc_check_columns(lc_check *c, lc_span owner, uint32_t ref, lc_column_def **columns,
                      uint16_t *count, const lc_type **row);
/* Bytes that the fixed-size part of a value takes in the reference's memory (01 section 10.3). */
typedef struct lc_memory_layout {
    uint64_t size, align;
} lc_memory_layout;
lc_memory_layout lc_type_memory_layout(const lc_type *t);

/* tables.c, views.c, functions.c, routes.c: each fills its list of the module. */
void lc_check_tables(lc_check *c);
void lc_check_views(lc_check *c);
void lc_check_functions(lc_check *c);
void lc_check_routes(lc_check *c);
/* What needs everything else to be valid: function names, lifecycle, schedules. */
void lc_check_function_names(lc_check *c);
void lc_check_lifecycles(lc_check *c);
void lc_check_schedules(lc_check *c);
/* Sets the schedule of a table but for its function; problems and NULL when the table is not fit.
 */
lc_schedule_def *lc_check_schedule(lc_check *c, lc_table_def *table, const lc_raw_table *raw_table,
                                   const lc_raw_schedule *raw, lc_span name);

/* module.c: validates a module and what is mounted in it. Complete only when no problem was added.
 */
lc_module_def *lc_check_module(lc_arena *arena, lc_problems *problems, const lc_raw_module *raw,
                               lc_span path, lc_budget *budget);

#endif
