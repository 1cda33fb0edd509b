/*
 * schema: what a module says about itself, read, validated and named.
 *
 * A module returns BSATN of a RawModuleDef (V9 or V10; spec 01 section 8). lc_schema_read decodes
 * and validates it (01 section 9, all errors collected) and gives an immutable lc_schema: every
 * table with its columns inlined, every object with its canonical name and alias. Everything a
 * schema points to lives in its arena. Schemas are reference-counted, because an old one stays in
 * use by requests in flight while its successor is published.
 *
 * Threads: immutable after lc_schema_read; ref and unref from any thread.
 */
#ifndef LC_SCHEMA_H
#define LC_SCHEMA_H

#include "sats/lc_sats.h"

typedef enum lc_index_algorithm {
    LC_INDEX_BTREE,
    LC_INDEX_HASH,
    LC_INDEX_DIRECT
} lc_index_algorithm;
typedef enum lc_lifecycle {
    LC_LIFECYCLE_INIT,
    LC_LIFECYCLE_CONNECT,
    LC_LIFECYCLE_DISCONNECT,
    LC_LIFECYCLE_NONE,
} lc_lifecycle;
typedef struct lc_i128 {
    uint64_t lo;
    int64_t hi;
} lc_i128;

typedef struct lc_column_def {
    lc_span name;        /* canonical */
    lc_span source_name; /* accessor */
    const lc_type *type; /* inlined, canonical names inside */
    bool has_default;
    lc_span default_value; /* BSATN, valid for type */
} lc_column_def;

typedef struct lc_index_def {
    lc_span name;          /* canonical */
    lc_span source_name;   /* alias that modules look up; equal to name when there is none */
    lc_span accessor_name; /* for client code; ptr NULL = none */
    lc_index_algorithm algorithm;
    uint16_t *columns;
    uint16_t column_count;
    bool is_unique; /* some unique constraint has exactly this column set */
} lc_index_def;

typedef struct lc_constraint_def { /* unique */
    lc_span name;
    uint16_t *columns; /* ascending */
    uint16_t column_count;
} lc_constraint_def;

typedef struct lc_sequence_def {
    lc_span name;
    uint16_t column;
    lc_i128 start, min_value, max_value, increment; /* defaults filled in */
} lc_sequence_def;

typedef struct lc_schedule_def {
    lc_span name;
    uint16_t at_column;
    uint16_t id_column;    /* the u64 primary key */
    lc_span function_name; /* canonical name of the reducer or procedure */
    bool is_procedure;
    uint32_t function; /* index into reducers or procedures */
} lc_schedule_def;

typedef struct lc_table_def {
    lc_span name;            /* canonical, namespaced */
    lc_span source_name;     /* alias */
    uint32_t type_ref;       /* row type in the typespace of its (sub)module */
    const lc_type *row_type; /* product of the columns, inlined */
    lc_column_def *columns;
    uint16_t column_count;
    int32_t primary_key; /* column or -1 */
    lc_index_def *indexes;
    uint32_t index_count;
    lc_constraint_def *constraints;
    uint32_t constraint_count;
    lc_sequence_def *sequences;
    uint32_t sequence_count;
    lc_schedule_def *schedule; /* NULL = none */
    bool is_public;
    bool is_event;
    bool is_system;
} lc_table_def;

typedef struct lc_function_def {
    lc_span name; /* canonical, namespaced */
    lc_span source_name;
    const lc_type *params;         /* product with raw parameter names; may hold references */
    const lc_typespace *typespace; /* converted, resolves params */
    lc_layout *layout;             /* of params */
    const lc_type *return_type;    /* procedures; NULL for reducers */
    lc_lifecycle lifecycle;        /* reducers */
    bool is_client_callable;       /* false: the owner and the scheduler only */
    uint32_t id;                   /* what __call_reducer__ / __call_procedure__ takes */
} lc_function_def;

typedef struct lc_view_def {
    lc_span name;
    lc_span source_name;
    uint32_t id; /* in its own series: anonymous or not */
    bool is_public;
    bool is_anonymous;
    const lc_type *params;         /* product with canonical parameter names; may hold references */
    const lc_typespace *typespace; /* resolves params */
    const lc_type *row_type;       /* inlined product */
    lc_column_def *columns;
    uint16_t column_count;
    int32_t primary_key; /* column or -1 */
    bool is_query;       /* returns SQL text */
} lc_view_def;

typedef struct lc_handler_def {
    lc_span name; /* canonical */
    lc_span source_name;
} lc_handler_def;

typedef struct lc_route_def {
    uint32_t handler; /* id for __call_http_handler__ */
    lc_span handler_name;
    lc_span method; /* "GET" ...; ptr NULL = any */
    lc_span path;
} lc_route_def;

/* A named type of a definition. */
typedef struct lc_type_def {
    lc_span *scope; /* canonical, like the name */
    uint32_t scope_count;
    lc_span name;
    uint32_t ref;
    bool custom_ordering;
} lc_type_def;

/* One module of the tree that a definition is: the root, or what is mounted under a namespace. Its
 * names are local (no namespace in front), its objects in definition order. The emitters and code
 * generation walk this tree; everybody else uses the flat lists of lc_schema. */
typedef struct lc_module_def lc_module_def;
struct lc_module_def {
    lc_span path;                  /* "" for the root, else "lib" or "lib.inner" */
    bool snake_case;               /* the case policy; false = names are kept */
    lc_typespace typespace;        /* canonical names: rows, arguments, schema output */
    lc_typespace source_typespace; /* the author's names: identifiers in client code */
    lc_type_def *types;
    uint32_t type_count;
    lc_table_def *tables;
    uint32_t table_count;
    lc_function_def *reducers;
    uint32_t reducer_count;
    lc_function_def *procedures;
    uint32_t procedure_count;
    lc_view_def *views;
    uint32_t view_count;
    lc_handler_def *handlers; /* routes[].handler counts these; only the root's are served */
    uint32_t handler_count;
    lc_route_def *routes;
    uint32_t route_count;
    lc_module_def *const *submodules;
    uint32_t submodule_count;
    const void *raw; /* private: the decoded definition, an lc_raw_module */
};

typedef struct lc_schema {
    uint32_t version;     /* 9 or 10: of the definition it was read from */
    lc_table_def *tables; /* ascending by canonical name */
    uint32_t table_count;
    lc_function_def *reducers; /* in definition order: id == index */
    uint32_t reducer_count;
    lc_function_def *procedures;
    uint32_t procedure_count;
    lc_view_def *views; /* ascending by canonical name */
    uint32_t view_count;
    lc_route_def *routes; /* declaration order */
    uint32_t route_count;
    lc_span *row_level_security; /* SQL texts, duplicates removed */
    uint32_t row_level_security_count;
    int32_t lifecycle[3]; /* reducer index by lc_lifecycle, -1 = none */
    lc_arena arena;       /* private: owns all of it */
    lc_map reducers_by_name, procedures_by_name, tables_by_name, views_by_name; /* private */
    const lc_module_def *root;
    /* What a publish should warn about without refusing; one line each. */
    lc_span *warnings;
    uint32_t warning_count;
    atomic_int refs;
} lc_schema;

/* Limits of ours on what a definition may ask for; the error names the one that was hit. */
#define LC_SCHEMA_MAX_BYTES (16u << 20) /* of the definition */
#define LC_SCHEMA_MAX_NAME_BYTES                                                                   \
    (64u << 20) /* of names made up, and of namespaces put before names */
#define LC_SCHEMA_MAX_ROW_NODES    (1u << 20) /* types in all rows together, references replaced */
#define LC_SCHEMA_MAX_PARAM_NODES  (1u << 22) /* types that all parameter lists lead to */
#define LC_SCHEMA_MAX_MODULE_DEPTH 16         /* submodules inside submodules */
#define LC_SCHEMA_MAX_DEFAULTS     16384      /* default values of columns */
#define LC_SCHEMA_MAX_COLUMNS      65535      /* of one table */
#define LC_SCHEMA_MAX_NAMESPACE    63         /* bytes */
/* Bytes of a row without the contents of texts and arrays, laid out as 01 section 10.3 says. */
#define LC_SCHEMA_MAX_ROW_FIXED 65535

/* Decodes and validates. raw is copied. Failure texts: `error decoding module description: ...`
 * with LC_E_INVALID, or the collection beginning `Errors occurred:` (01 section 9.1). Inputs that
 * end the reference server (recursive row types, bad sequences, ...) are refused with a text that
 * names them. The result has one reference. */
lc_status lc_schema_read(lc_span raw, lc_schema **out, lc_error *err);
lc_schema *lc_schema_ref(lc_schema *s);
void lc_schema_unref(lc_schema *s);

/* By canonical name; NULL when absent. */
const lc_function_def *lc_schema_find_reducer(const lc_schema *s, lc_span name);
const lc_function_def *lc_schema_find_procedure(const lc_schema *s, lc_span name);
const lc_table_def *lc_schema_find_table(const lc_schema *s, lc_span name);
const lc_view_def *lc_schema_find_view(const lc_schema *s, lc_span name);

/* The definition as SATS-JSON of RawModuleDefV9 or V10 (01 section 9.14; GET .../schema). */
void lc_schema_to_json(const lc_schema *s, uint32_t version, lc_buf *out);

/* Can the tables of `to` replace those of `from` without touching stored rows? LC_OK when equal in
 * everything the store keeps, or when tables are only added; otherwise LC_E_UNSUPPORTED with a text
 * that names each difference. */
lc_status lc_schema_check_update(const lc_schema *from, const lc_schema *to, lc_error *err);

/* Naming rules (01 sections 9.3, 9.4, 9.7), also used by tests and code generation. */
lc_status lc_identifier_check(lc_span name, lc_error *err);
void lc_name_to_snake(lc_span name, lc_buf *out);
void lc_name_to_pascal(lc_span name, lc_buf *out);
void lc_name_to_camel(lc_span name, lc_buf *out);

#endif
