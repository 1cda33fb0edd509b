/* What the three parser files share. Every parse function returns false (or NULL) after setting the
 * error; the caller only passes that on. */
#ifndef LC_QUERY_PARSER_INTERNAL_H
#define LC_QUERY_PARSER_INTERNAL_H

#include "query/ast.h"

typedef struct lc_sql_parser {
    lc_arena *arena;
    lc_span sql;
    lc_sql_token *tokens; /* count + some EOF: peeking two ahead is always possible */
    uint32_t count, at;
    uint32_t depth;   /* statements, queries and whole expressions open */
    uint32_t nesting; /* operands open, parentheses of FROM open */
    uint32_t parts;   /* how many of both were ever opened */
    bool wants_text;  /* normalised text of every statement, for EXPLAIN */
    lc_error *err;
} lc_sql_parser;

#define LC_SQL_MAX_DEPTH   50
#define LC_SQL_MAX_NESTING 400

/* ------------------------------------------------------------------ cursor */

static inline const lc_sql_token *peek(const lc_sql_parser *p)
{
    return &p->tokens[p->at];
}
static inline const lc_sql_token *peek_at(const lc_sql_parser *p, uint32_t ahead)
{
    uint32_t i = p->at + ahead;
    return &p->tokens[i < p->count ? i : p->count - 1];
}
static inline const lc_sql_token *next(lc_sql_parser *p)
{
    const lc_sql_token *t = &p->tokens[p->at];
    if (p->at + 1 < p->count) p->at++;
    return t;
}
static inline bool is_op(const lc_sql_token *t, uint8_t op)
{
    return t->kind == LC_TOK_OPERATOR && t->op == op;
}
static inline bool is_word(const lc_sql_token *t, const char *keyword, size_t len)
{
    return t->kind == LC_TOK_WORD && lc_sql_word_is(t->value, keyword, len);
}
/* Keywords are given as upper-case literals. */
#define IS_KW(t, literal)     is_word((t), (literal), sizeof(literal) - 1)
#define PEEK_KW(p, literal)   IS_KW(peek(p), literal)
#define ACCEPT_KW(p, literal) (IS_KW(peek(p), literal) && (next(p), true))

static inline bool accept_op(lc_sql_parser *p, uint8_t op)
{
    return is_op(peek(p), op) && (next(p), true);
}

/* `sql parser error: Expected WHAT, found: TOKEN at Line: L, Column C`. */
bool lc_sql_expected(lc_sql_parser *p, const char *what);
bool lc_sql_fail(lc_sql_parser *p, const char *fmt, ...) LC_PRINTF(2, 3);
bool lc_sql_expect_op(lc_sql_parser *p, uint8_t op);
bool lc_sql_expect_kw(lc_sql_parser *p, const char *keyword); /* upper case */
bool lc_sql_enter(lc_sql_parser *p);                          /* false: too deep */
bool lc_sql_nest(lc_sql_parser *p); /* the same for nesting; undone by nesting-- */
static inline void lc_sql_leave(lc_sql_parser *p)
{
    p->depth--;
}

/* ------------------------------------------------------------------- texts */

/* Arena text from a format: %e expression, %q query, %s span, %c C string, %i identifier,
 * %% a percent sign. */
lc_span lc_sql_text(lc_sql_parser *p, const char *fmt, ...);
lc_span lc_sql_keep(lc_sql_parser *p, lc_buf *b); /* moves a scratch buffer's text to the arena */
void lc_sql_ident_print(lc_span value, uint8_t quote, lc_buf *out);
lc_span lc_sql_upper(lc_sql_parser *p, lc_span word);

/* ------------------------------------------------------------------- nodes */

lc_sql_expr *lc_sql_node(lc_sql_parser *p, lc_sql_expr_kind kind, uint32_t at);
lc_sql_expr *lc_sql_text_node(lc_sql_parser *p, lc_sql_expr_kind kind, uint32_t at, lc_span text);
lc_sql_expr *lc_sql_opaque(lc_sql_parser *p, uint32_t at, lc_span text);
/* An operator in front of its operand. */
lc_sql_expr *lc_sql_before(lc_sql_parser *p, const char *before, const lc_sql_expr *inner);

/* ------------------------------------------------------------- expressions */

/* What binds tighter than what. */
enum {
    PREC_OR = 5,
    PREC_AND = 10,
    PREC_NOT = 15,
    PREC_IS = 17,
    PREC_LIKE = 19,
    PREC_COMPARE = 20, /* also BETWEEN, IN, AT TIME ZONE */
    PREC_PIPE = 21,
    PREC_CARET = 22,
    PREC_AMPERSAND = 23,
    PREC_XOR = 24,
    PREC_PLUS = 30,
    PREC_TIMES = 40,
    PREC_POSTFIX = 50,
};

lc_sql_expr *lc_sql_parse_expr(lc_sql_parser *p);
/* An operand: stops before what binds no tighter than precedence. */
lc_sql_expr *lc_sql_parse_operand(lc_sql_parser *p, int precedence);
/* `DATE '...'`, NULL (and nothing read) when it is not one. */
lc_sql_expr *lc_sql_typed_literal(lc_sql_parser *p);
/* The words with a meaning of their own at the start of an expression; *handled tells whether the
 * next one was. */
lc_sql_expr *lc_sql_parse_special(lc_sql_parser *p, bool *handled);
/* Arguments and what may follow them; `(` is next. */
lc_sql_expr *lc_sql_parse_function(lc_sql_parser *p, uint32_t at, const lc_sql_name *name);
lc_sql_expr *lc_sql_parse_niladic(lc_sql_parser *p, bool may_have_arguments);
/* LISTAGG (within) and ARRAY_AGG. */
lc_sql_expr *lc_sql_parse_aggregate(lc_sql_parser *p, uint32_t at, const char *name, bool within);
/* A query through `)`, printed between the two texts. */
lc_sql_expr *lc_sql_parse_subquery(lc_sql_parser *p, uint32_t at, const char *before,
                                   const char *after);
/* Elements through `]`, printed after the name. */
lc_sql_expr *lc_sql_parse_array(lc_sql_parser *p, uint32_t at, const char *name);

/* ------------------------------------------------------------------- parts */

/* At least one, separated by commas; printed with ", ". */
bool lc_sql_parse_expr_list(lc_sql_parser *p, lc_buf *out);
/* INSERT or UPDATE below a WITH, as text. */
bool lc_sql_parse_change(lc_sql_parser *p, lc_span *text);
/* A statement outside the dialect, from its first word; its text goes to out. */
bool lc_sql_parse_other(lc_sql_parser *p, lc_buf *out);
bool lc_sql_parse_query(lc_sql_parser *p, lc_sql_query *out);
bool lc_sql_parse_ident(lc_sql_parser *p, lc_sql_ident *out);
lc_sql_name *lc_sql_parse_name(lc_sql_parser *p);
/* [AS] alias, where the words of `reserved` (NULL-terminated) cannot be one without AS. */
bool lc_sql_parse_alias(lc_sql_parser *p, const char *const *reserved, lc_sql_ident *out);
bool lc_sql_parse_order_list(lc_sql_parser *p, lc_buf *out);
/* One table with its joins; a list of them with commas between. */
bool lc_sql_parse_table(lc_sql_parser *p, lc_sql_table **out, uint32_t *count);
bool lc_sql_parse_tables(lc_sql_parser *p, lc_sql_table **out, uint32_t *count);
/* Function arguments after `(`, through `)`. is_star: exactly one `*`. */
bool lc_sql_parse_arguments(lc_sql_parser *p, lc_buf *out, bool *is_star);
bool lc_sql_parse_window(lc_sql_parser *p, lc_buf *out);
bool lc_sql_parse_type(lc_sql_parser *p, lc_buf *out);
/* Does the word name a built-in type (one that turns a following string into a typed literal)? */
bool lc_sql_is_type_word(const lc_sql_token *t);
/* A literal string, or a word that is not a keyword of the expression grammar. */
bool lc_sql_parse_string(lc_sql_parser *p, lc_span *out);

#endif
