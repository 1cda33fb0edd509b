/* The bound half of query: typed expressions, compiled predicates, access paths and the plan
 * itself. */
#ifndef LC_QUERY_PLAN_INTERNAL_H
#define LC_QUERY_PLAN_INTERNAL_H

#include "query/ast.h"
#include "query/lc_query.h"

/* ------------------------------------------------------------------ dialect */

/* Refuses what the dialect does not have; texts of 06 sections 3 and 8. */
lc_status lc_sql_check(const lc_sql_statement *s, lc_dialect dialect, lc_error *err);

/* ----------------------------------------------------------------- literals */

/* Appends the BSATN of the literal's text read as type t; false when it cannot be (06 section 5.2).
 */
bool lc_sql_literal(const lc_type *t, lc_span text, lc_buf *out);

/* -------------------------------------------------------------------- scope */

/* One table of a FROM clause. */
typedef struct lc_source {
    lc_table *table;
    uint32_t table_id;
    lc_span alias;   /* the only qualifier that names it */
    uint32_t hidden; /* leading columns that SQL does not see (1 for views) */
} lc_source;

typedef struct lc_scope {
    lc_store *store;
    lc_arena *arena;
    const lc_caller *caller;
    lc_source *sources;
    uint32_t count;
    bool uses_sender; /* set by binding */
    lc_error *err;
} lc_scope;

/* The table of that name as the caller sees it; NULL with the error set. */
lc_table *lc_scope_table(const lc_scope *s, lc_span name);
/* The column a name means; name->qualifier may be absent when there is one source. */
bool lc_scope_column(lc_scope *s, const lc_sql_name *name, uint32_t *source, uint32_t *column);

/* -------------------------------------------------------------- expressions */

typedef enum lc_bound_kind_sql {
    LC_BOUND_COLUMN,
    LC_BOUND_VALUE,
    LC_BOUND_COMPARE,
    LC_BOUND_AND,
    LC_BOUND_OR,
} lc_bound_expr_kind;

typedef struct lc_bound_expr lc_bound_expr;
struct lc_bound_expr {
    uint8_t kind;
    uint8_t op; /* COMPARE: lc_sql_binary */
    uint16_t source;
    uint32_t column;
    const lc_type *type;
    union {
        lc_span value; /* VALUE: BSATN */
        struct {
            lc_bound_expr *left, *right;
        };
    };
};

/* Types the expression (06 section 5.1); expected may be NULL. NULL with the error set. */
lc_bound_expr *lc_bind_expr(lc_scope *s, const lc_sql_expr *e, const lc_type *expected);
/* A literal of INSERT, UPDATE or SET (06 section 5.3), as BSATN in the arena. */
bool lc_bind_value(lc_scope *s, const lc_sql_expr *e, const lc_type *type, lc_span *out);
lc_status lc_bind_unexpected(lc_error *err, const lc_type *expected, const lc_type *inferred);

/* --------------------------------------------------------------- predicates */

/*
 * A WHERE over one table, compiled to tests with jumps. A test compares a column with a constant or
 * with another column and goes on at on_true or on_false; AND and OR are nothing but targets.
 */
#define LC_ACCEPT UINT32_MAX
#define LC_REJECT (UINT32_MAX - 1)

typedef enum lc_test_kind {
    LC_TEST_U8, /* also Bool */
    LC_TEST_U16,
    LC_TEST_U32,
    LC_TEST_U64,
    LC_TEST_I8,
    LC_TEST_I16,
    LC_TEST_I32,
    LC_TEST_I64,
    LC_TEST_FIXED,  /* equality of `size` bytes */
    LC_TEST_STRING, /* equality of length-prefixed bytes */
    LC_TEST_VALUE,  /* any type: lc_value_compare with a constant */
    LC_TEST_COLUMN, /* any type: lc_value_compare with another column */
    LC_TEST_PUSH,   /* remembers `accept` as a truth value, goes on at on_true */
    LC_TEST_POP,    /* compares the two remembered truth values */
} lc_test_kind;

typedef struct lc_test {
    uint8_t kind;
    uint8_t accept; /* bit 0: less, bit 1: equal, bit 2: greater */
    uint16_t column, other;
    int32_t offset, other_offset; /* -1: found through the layout */
    uint32_t on_true, on_false;
    uint32_t size;
    union {
        uint64_t u;
        int64_t i;
        const uint8_t *bytes;
    };
    const lc_type *type;
} lc_test;

typedef struct lc_predicate {
    const lc_layout *layout;
    lc_test *tests;
    uint32_t count; /* 0: always entry */
    uint32_t entry;
} lc_predicate;

/* Compiles conjuncts[0..count) joined by AND. */
void lc_predicate_compile(lc_predicate *p, lc_arena *a, const lc_layout *layout,
                          lc_bound_expr *const *conjuncts, uint32_t count);
bool lc_predicate_matches(const lc_predicate *p, const uint8_t *row);

/* ------------------------------------------------------------- access paths */

typedef enum lc_access_kind {
    LC_ACCESS_SCAN,
    LC_ACCESS_FIND,  /* unique index, full key */
    LC_ACCESS_POINT, /* other index, full key */
    LC_ACCESS_RANGE, /* ordered index: prefix and bounds */
    LC_ACCESS_NONE,  /* the conjuncts contradict each other */
} lc_access_kind;

typedef struct lc_access {
    lc_access_kind kind;
    uint32_t index_id;
    lc_span key;    /* FIND, POINT */
    lc_range range; /* RANGE */
} lc_access;

/* Picks the best way to the rows that satisfy the conjuncts; used[i] tells which of them it
 * fulfils. */
void lc_access_choose(lc_access *access, lc_arena *a, lc_table *t, lc_bound_expr *const *conjuncts,
                      uint32_t count, bool *used);
/* Visits candidate rows. The index may be gone since: then the whole table is visited and false is
 * returned before anything is (the caller must test the full predicate). */
bool lc_access_is_valid(const lc_access *access, const lc_store *s);
void lc_access_visit(const lc_access *access, const lc_store *s, const lc_table *t,
                     lc_row_visit visit, void *arg);

/* --------------------------------------------------------------------- plan */

/* How an output column is made. */
typedef struct lc_output {
    lc_span name;
    const lc_type *type;
    uint32_t source, column;
    int32_t offset; /* of the column in the row, -1: through the layout */
    int32_t size;   /* of its values, -1: they differ */
} lc_output;

struct lc_plan {
    lc_plan_kind kind;
    lc_store *store;
    lc_arena arena;
    bool uses_sender;
    lc_source *sources;
    uint32_t source_count;

    /* SELECT, UPDATE, DELETE: one source */
    lc_bound_expr *where; /* NULL: all rows */
    lc_bound_expr **conjuncts;
    uint32_t conjunct_count;
    lc_predicate full;     /* all conjuncts */
    lc_predicate residual; /* those the access path leaves open */
    lc_access access;
    bool is_count;
    bool is_whole_row; /* output is the row itself: */
    uint32_t whole_source;
    bool has_limit;
    uint64_t limit;

    /* SELECT, SHOW */
    lc_output *outputs;
    uint32_t output_count;
    const lc_type *row_type;

    /* INSERT: complete rows; UPDATE: values by column (ptr NULL: unchanged) */
    lc_span *rows;
    uint32_t row_count;
    lc_span *values;
    uint64_t row_limit; /* SET */

    _Alignas(16) uint8_t memory[512]; /* the arena's first; most plans need no other */
};

/* Fills conjuncts from where. */
void lc_plan_split_where(lc_plan *p);
/* The last word on a plan with several tables. */
lc_status lc_join_check(lc_plan *p, lc_scope *s, const lc_sql_select *q, lc_dialect dialect);

static inline lc_table *lc_plan_first_table(const lc_plan *p)
{
    return p->sources[0].table;
}

#endif
