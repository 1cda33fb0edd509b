/*
 * The syntax tree of one statement, and the lexer and parser that make it. Private to query.
 *
 * The parser reads the whole language that the dialect's reference parser reads, because refusals
 * must name what was refused. What the server can execute is kept as structure; everything else
 * becomes an OPAQUE node holding its normalised text, made while parsing. All nodes live in the
 * arena given to lc_sql_parse; their spans borrow from the SQL text or from the arena.
 */
#ifndef LC_QUERY_AST_H
#define LC_QUERY_AST_H

#include "base/lc_base.h"

/* ------------------------------------------------------------------ tokens */

typedef enum lc_sql_token_kind {
    LC_TOK_EOF,
    LC_TOK_WORD,
    LC_TOK_QUOTED,   /* "..." : value unescaped */
    LC_TOK_NUMBER,   /* value without a trailing L; is_long tells */
    LC_TOK_STRING,   /* '...' : value unescaped */
    LC_TOK_NATIONAL, /* N'...' */
    LC_TOK_ESCAPED,  /* E'...' */
    LC_TOK_DOLLAR,   /* $tag$...$tag$ */
    LC_TOK_HEX,      /* 0x... or X'...' : value is the digits */
    LC_TOK_PLACEHOLDER,
    LC_TOK_OPERATOR, /* value is the canonical spelling; op says which */
    LC_TOK_OTHER,    /* a character that means nothing here */
} lc_sql_token_kind;

/* Operator tokens by a small number: single characters are themselves. */
enum {
    LC_OP_NEQ = 128, /* <> != */
    LC_OP_LE,
    LC_OP_GE,
    LC_OP_DOUBLE_EQ,
    LC_OP_SPACESHIP,    /* <=> */
    LC_OP_RARROW,       /* => */
    LC_OP_ASSIGN,       /* := */
    LC_OP_DOUBLE_COLON, /* :: */
    LC_OP_CONCAT,       /* || */
    LC_OP_AND_AND,
    LC_OP_SHL,
    LC_OP_SHR,
    LC_OP_ARROW,           /* -> */
    LC_OP_LONG_ARROW,      /* ->> */
    LC_OP_HASH_ARROW,      /* #> */
    LC_OP_HASH_LONG_ARROW, /* #>> */
    LC_OP_HASH_MINUS,      /* #- */
    LC_OP_AT_ARROW,        /* @> */
    LC_OP_ARROW_AT,        /* <@ */
    LC_OP_AT_QUESTION,     /* @? */
    LC_OP_AT_AT,
    LC_OP_TILDE_STAR,      /* ~* */
    LC_OP_BANG_TILDE,      /* !~ */
    LC_OP_BANG_TILDE_STAR, /* !~* */
    LC_OP_BANG_BANG,
    LC_OP_SQRT, /* |/ */
    LC_OP_CBRT, /* ||/ */
};

typedef struct lc_sql_token {
    uint8_t kind;
    uint8_t op;
    bool is_long;
    uint32_t at;   /* byte offset of the first character */
    lc_span value; /* see the kinds */
} lc_sql_token;

/* Splits the text; the last token is EOF. Error texts carry `at Line: L, Column C`. */
lc_status lc_sql_lex(lc_arena *a, lc_span sql, lc_sql_token **tokens, uint32_t *count,
                     lc_error *err);
/* Token as error messages show it. */
void lc_sql_token_print(const lc_sql_token *t, lc_buf *out);
/* 1-based line and column (in characters) of a byte offset. */
void lc_sql_position(lc_span sql, uint32_t at, uint32_t *line, uint32_t *column);
/* Does the unquoted word spell the (upper-case) keyword? */
bool lc_sql_word_is(lc_span word, const char *keyword, size_t len);

/* ------------------------------------------------------------- expressions */

typedef struct lc_sql_ident {
    lc_span value; /* ptr NULL = absent */
    uint8_t quote; /* 0, '"' or '\'' */
} lc_sql_ident;

/* A dotted name. qualifier = the parts before the last one joined with '.'; ptr NULL when single.
 */
typedef struct lc_sql_name {
    lc_span full;      /* all parts, unquoted, joined with '.' */
    lc_span qualifier; /* prefix of full */
    lc_span last;      /* suffix of full */
    lc_span text;      /* as printed, with quotes */
} lc_sql_name;

typedef enum lc_sql_expr_kind {
    LC_EXPR_NAME,
    LC_EXPR_BOOL,        /* flag */
    LC_EXPR_NUMBER,      /* text with its sign */
    LC_EXPR_STRING,      /* text */
    LC_EXPR_HEX,         /* text: the digits */
    LC_EXPR_PARAMETER,   /* text: name without ':' */
    LC_EXPR_BAD_LITERAL, /* text normalised: NULL, E'..', $1, ... */
    LC_EXPR_BINARY,      /* left operator_text right; op */
    LC_EXPR_WRAP,        /* before inner after: an operator around one operand */
    LC_EXPR_NESTED,      /* ( left ) */
    LC_EXPR_FUNCTION,    /* text normalised; flag: plain COUNT of `*` */
    LC_EXPR_OPAQUE,      /* text normalised */
} lc_sql_expr_kind;

typedef enum lc_sql_binary {
    LC_BIN_OR,
    LC_BIN_AND,
    LC_BIN_EQ,
    LC_BIN_NE,
    LC_BIN_LT,
    LC_BIN_LE,
    LC_BIN_GT,
    LC_BIN_GE,
    LC_BIN_OTHER, /* text is the operator */
} lc_sql_binary;

typedef struct lc_sql_expr lc_sql_expr;
struct lc_sql_expr {
    uint8_t kind;
    uint8_t op; /* BINARY: lc_sql_binary */
    bool flag;
    bool is_long; /* NUMBER: printed with L */
    uint32_t at;  /* byte offset where it starts */
    union {
        lc_sql_name *name;
        lc_span text;
        struct {
            lc_sql_expr *left, *right;
            lc_span operator_text;
        };
        struct {
            const lc_sql_expr *inner;
            lc_span before, after;
        };
    };
};

/* ----------------------------------------------------------------- queries */

typedef enum lc_sql_item_kind { LC_ITEM_STAR, LC_ITEM_TABLE_STAR, LC_ITEM_EXPR } lc_sql_item_kind;
typedef struct lc_sql_item {
    lc_sql_item_kind kind;
    lc_sql_name *name; /* TABLE_STAR */
    lc_sql_expr *expr; /* EXPR */
    lc_sql_ident alias;
} lc_sql_item;

typedef enum lc_sql_join {
    LC_JOIN_FIRST, /* the first table of FROM */
    LC_JOIN_COMMA, /* after a comma */
    LC_JOIN_INNER,
    LC_JOIN_CROSS,
    LC_JOIN_OTHER, /* outer, natural, using, semi, ... */
} lc_sql_join;
typedef struct lc_sql_table {
    lc_sql_join join;
    lc_span join_text;  /* printed between the tables, with blanks, e.g. ` JOIN ` */
    lc_span using_text; /* printed after the table, e.g. ` USING(a)` */
    lc_sql_expr *on;
    lc_sql_name *name; /* NULL: not a plain table */
    lc_sql_ident alias;
    lc_span text; /* whole reference as printed, alias included */
} lc_sql_table;

typedef struct lc_sql_select {
    bool has_extras; /* any clause beyond list, FROM, WHERE */
    lc_span head;    /* ` DISTINCT`, ` TOP (1)`, ... */
    lc_sql_item *items;
    uint32_t item_count;
    lc_span into; /* ` INTO x` */
    lc_sql_table *tables;
    uint32_t table_count;
    lc_span lateral; /* ` LATERAL VIEW ...` */
    lc_sql_expr *where;
    lc_span tail; /* ` GROUP BY ...` and what follows it */
} lc_sql_select;

typedef struct lc_sql_query {
    lc_span with;          /* `WITH ... ` */
    lc_sql_select *select; /* NULL: body is something else */
    lc_span body;          /* its text then, unless it is VALUES */
    lc_sql_expr **rows;    /* body is VALUES: all values, row after row */
    uint32_t *row_sizes;
    uint32_t row_count;
    bool explicit_row; /* VALUES ROW(...) */
    lc_span order_by;  /* ` ORDER BY ...` */
    lc_sql_expr *limit;
    lc_span offset; /* ` OFFSET ...` */
    lc_span rest;   /* ` FETCH ...`, ` FOR UPDATE` */
} lc_sql_query;

/* -------------------------------------------------------------- statements */

typedef enum lc_sql_kind {
    LC_SQL_QUERY,
    LC_SQL_INSERT,
    LC_SQL_UPDATE,
    LC_SQL_DELETE,
    LC_SQL_SET,
    LC_SQL_SHOW,
    LC_SQL_OTHER, /* text */
} lc_sql_kind;

typedef struct lc_sql_assignment {
    lc_span column; /* parts joined with '.' */
    lc_span text;   /* as printed */
    lc_sql_expr *value;
} lc_sql_assignment;

typedef struct lc_sql_statement {
    lc_sql_kind kind;
    bool is_plain;       /* INSERT, UPDATE, DELETE, SET: no clause outside the dialect */
    lc_span text;        /* OTHER, and the statements that are not plain: normalised */
    lc_sql_query *query; /* QUERY; INSERT: the source */
    lc_sql_name *table;  /* INSERT; UPDATE and DELETE when there is one plain table */
    lc_sql_table *tables;
    uint32_t table_count;
    uint32_t column_count; /* INSERT */
    lc_span *columns;
    lc_sql_assignment *assignments; /* UPDATE */
    uint32_t assignment_count;
    lc_sql_expr *where; /* UPDATE, DELETE */
    lc_span variable;   /* SET, SHOW */
    lc_sql_expr *value; /* SET */
} lc_sql_statement;

/* Parses the whole text. count = statements found (0 and 2 mean none and several; then out is of no
 * use). Error texts of 06 section 8. */
lc_status lc_sql_parse(lc_arena *a, lc_span sql, lc_sql_statement *out, uint32_t *count,
                       lc_error *err);

/* Normalised text. */
void lc_sql_expr_print(const lc_sql_expr *e, lc_buf *out);
void lc_sql_select_print(const lc_sql_select *s, lc_buf *out);
void lc_sql_body_print(const lc_sql_query *q, lc_buf *out); /* without WITH, ORDER BY, LIMIT, ... */
void lc_sql_query_print(const lc_sql_query *q, lc_buf *out);
void lc_sql_tables_print(const lc_sql_table *tables, uint32_t count, lc_buf *out);

#endif
