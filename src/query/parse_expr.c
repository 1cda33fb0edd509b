/* Expressions, by precedence climbing. Structure is kept for names, literals, comparisons, AND, OR
 * and parentheses; everything else is read only to know where it ends and how to quote it. */
#include "query/parser_internal.h"

/* ------------------------------------------------------------------- nodes */

lc_sql_expr *lc_sql_node(lc_sql_parser *p, lc_sql_expr_kind kind, uint32_t at)
{
    lc_sql_expr *e = lc_arena_alloc(p->arena, sizeof *e);
    *e = (lc_sql_expr){.kind = (uint8_t)kind, .at = at};
    return e;
}

lc_sql_expr *lc_sql_text_node(lc_sql_parser *p, lc_sql_expr_kind kind, uint32_t at, lc_span text)
{
    lc_sql_expr *e = lc_sql_node(p, kind, at);
    e->text = text;
    return e;
}

lc_sql_expr *lc_sql_opaque(lc_sql_parser *p, uint32_t at, lc_span text)
{
    return lc_sql_text_node(p, LC_EXPR_OPAQUE, at, text);
}

static lc_sql_expr *around(lc_sql_parser *p, lc_span before, const lc_sql_expr *inner,
                           lc_span after)
{
    lc_sql_expr *e = lc_sql_node(p, LC_EXPR_WRAP, inner->at);
    e->inner = inner;
    e->before = before;
    e->after = after;
    return e;
}

lc_sql_expr *lc_sql_before(lc_sql_parser *p, const char *before, const lc_sql_expr *inner)
{
    return around(p, lc_span_of_str(before), inner, LC_STR(""));
}

static lc_sql_expr *wrap(lc_sql_parser *p, const lc_sql_expr *inner, lc_span after)
{
    return around(p, LC_STR(""), inner, after);
}

bool lc_sql_parse_expr_list(lc_sql_parser *p, lc_buf *out)
{
    do {
        const lc_sql_expr *e = lc_sql_parse_expr(p);
        if (!e) return false;
        lc_sql_expr_print(e, out);
    } while (accept_op(p, ',') && (lc_buf_put_str(out, ", "), true));
    return true;
}

/* --------------------------------------------------------------- prefixes */

/* `(`: a subquery, a parenthesised expression or a tuple. */
static lc_sql_expr *parenthesised(lc_sql_parser *p, uint32_t at)
{
    if (PEEK_KW(p, "SELECT") || PEEK_KW(p, "WITH")) return lc_sql_parse_subquery(p, at, "(", ")");
    lc_sql_expr *e = lc_sql_parse_expr(p);
    if (!e) return NULL;
    if (is_op(peek(p), ',')) {
        lc_buf b = LC_BUF_INIT;
        lc_buf_put_u8(&b, '(');
        lc_sql_expr_print(e, &b);
        next(p);
        lc_buf_put_str(&b, ", ");
        bool ok = lc_sql_parse_expr_list(p, &b) && lc_sql_expect_op(p, ')');
        lc_buf_put_u8(&b, ')');
        e = ok ? lc_sql_opaque(p, at, lc_sql_keep(p, &b)) : NULL;
        lc_buf_deinit(&b);
        return e;
    }
    if (!lc_sql_expect_op(p, ')')) return NULL;
    lc_sql_expr *nested = lc_sql_node(p, LC_EXPR_NESTED, at);
    nested->left = e;
    if (!accept_op(p, '.')) return nested;
    lc_sql_ident field;
    if (!lc_sql_parse_ident(p, &field)) return NULL;
    return wrap(p, nested, lc_sql_text(p, ".%i", field));
}

/* A plain word: a column, a dotted name or a function. */
static lc_sql_expr *name_or_function(lc_sql_parser *p)
{
    uint32_t at = peek(p)->at;
    uint32_t parts = 1;
    while (is_op(peek_at(p, 2 * parts - 1), '.')) {
        const lc_sql_token *part = peek_at(p, 2 * parts);
        if (part->kind != LC_TOK_WORD && part->kind != LC_TOK_QUOTED) {
            p->at += 2 * parts;
            if (p->at >= p->count) p->at = p->count - 1;
            lc_sql_expected(p, "an identifier or a '*' after '.'");
            return NULL;
        }
        parts++;
    }
    lc_sql_name *name = lc_sql_parse_name(p);
    if (!name) return NULL;
    if (is_op(peek(p), '(')) return lc_sql_parse_function(p, at, name);
    lc_sql_expr *e = lc_sql_node(p, LC_EXPR_NAME, at);
    e->name = name;
    return e;
}

static lc_sql_expr *unary(lc_sql_parser *p, const char *text, int precedence)
{
    next(p);
    const lc_sql_expr *e = lc_sql_parse_operand(p, precedence);
    return e ? around(p, lc_span_of_str(text), e, LC_STR("")) : NULL;
}

static lc_sql_expr *sign(lc_sql_parser *p)
{
    const lc_sql_token *t = next(p);
    lc_sql_expr *e = lc_sql_parse_operand(p, PREC_TIMES);
    if (!e) return NULL;
    if (e->kind == LC_EXPR_NUMBER && e->text.len && e->text.ptr[0] != '-' &&
        e->text.ptr[0] != '+') {
        e->text = lc_sql_text(p, "%s%s", t->value, e->text);
        e->at = t->at;
        return e;
    }
    return around(p, t->value, e, LC_STR(""));
}

static lc_sql_expr *prefix(lc_sql_parser *p)
{
    const lc_sql_token *t = peek(p);
    lc_sql_expr *e;
    switch ((lc_sql_token_kind)t->kind) {
    case LC_TOK_WORD: {
        const lc_sql_token *after = peek_at(p, 1);
        if (after->kind != LC_TOK_EOF && lc_sql_is_type_word(t) && (e = lc_sql_typed_literal(p)))
            return e;
        bool handled;
        e = lc_sql_parse_special(p, &handled);
        if (handled) return e;
        return name_or_function(p);
    }
    case LC_TOK_QUOTED:
        return name_or_function(p);
    case LC_TOK_NUMBER:
        next(p);
        e = lc_sql_text_node(p, LC_EXPR_NUMBER, t->at, t->value);
        e->is_long = t->is_long;
        return e;
    case LC_TOK_STRING:
        return next(p), lc_sql_text_node(p, LC_EXPR_STRING, t->at, t->value);
    case LC_TOK_HEX:
        return next(p), lc_sql_text_node(p, LC_EXPR_HEX, t->at, t->value);
    case LC_TOK_NATIONAL:
    case LC_TOK_ESCAPED: {
        next(p);
        const char *open = t->kind == LC_TOK_NATIONAL ? "N'" : "E'";
        return lc_sql_text_node(p, LC_EXPR_BAD_LITERAL, t->at,
                                lc_sql_text(p, "%c%s'", open, t->value));
    }
    case LC_TOK_DOLLAR:
        return next(p), lc_sql_text_node(p, LC_EXPR_BAD_LITERAL, t->at, t->value);
    case LC_TOK_PLACEHOLDER: {
        /* `?1` and `$ 1`: a bare mark takes a number or a word that follows */
        next(p);
        lc_span text = t->value;
        if (text.len == 1) {
            const lc_sql_token *n = peek(p);
            if (n->kind == LC_TOK_NUMBER) {
                next(p);
                text = lc_sql_text(p, "%s%s", text, n->value);
            }
        }
        return lc_sql_text_node(p, LC_EXPR_BAD_LITERAL, t->at, text);
    }
    case LC_TOK_OPERATOR:
        switch (t->op) {
        case '(':
            return next(p), parenthesised(p, t->at);
        case '[':
            return next(p), lc_sql_parse_array(p, t->at, "");
        case '-':
        case '+':
            return sign(p);
        case ':': {
            next(p);
            lc_sql_ident name;
            if (!lc_sql_parse_ident(p, &name)) return NULL;
            return lc_sql_text_node(p, LC_EXPR_PARAMETER, t->at, name.value);
        }
        case '~':
            return unary(p, "~", PREC_PLUS);
        case '@':
            return unary(p, "@", PREC_PLUS);
        case LC_OP_BANG_BANG:
            return unary(p, "!!", PREC_PLUS);
        case LC_OP_SQRT:
            return unary(p, "|/", PREC_PLUS);
        case LC_OP_CBRT:
            return unary(p, "||/", PREC_PLUS);
        default:
            break;
        }
        break;
    default:
        break;
    }
    lc_sql_expected(p, "an expression:");
    next(p); /* SET goes on to complain about what follows */
    return NULL;
}

/* ------------------------------------------------------------------ infix */

static int next_precedence(lc_sql_parser *p)
{
    const lc_sql_token *t = peek(p);
    if (t->kind == LC_TOK_WORD) {
        switch (t->value.ptr[0] | 0x20) {
        case 'a':
            if (IS_KW(t, "AND")) return PREC_AND;
            if (IS_KW(t, "AT") && IS_KW(peek_at(p, 1), "TIME") && IS_KW(peek_at(p, 2), "ZONE"))
                return PREC_COMPARE;
            return 0;
        case 'b':
            return IS_KW(t, "BETWEEN") ? PREC_COMPARE : 0;
        case 'c':
            return IS_KW(t, "COLLATE") ? PREC_POSTFIX : 0;
        case 'd':
            return IS_KW(t, "DIV") ? PREC_TIMES : 0;
        case 'i':
            if (IS_KW(t, "IS")) return PREC_IS;
            if (IS_KW(t, "IN")) return PREC_COMPARE;
            return IS_KW(t, "ILIKE") ? PREC_LIKE : 0;
        case 'l':
            return IS_KW(t, "LIKE") ? PREC_LIKE : 0;
        case 'n': {
            if (!IS_KW(t, "NOT")) return 0;
            const lc_sql_token *n = peek_at(p, 1);
            if (IS_KW(n, "IN") || IS_KW(n, "BETWEEN")) return PREC_COMPARE;
            if (IS_KW(n, "LIKE") || IS_KW(n, "ILIKE") || IS_KW(n, "SIMILAR") ||
                IS_KW(n, "REGEXP") || IS_KW(n, "RLIKE"))
                return PREC_LIKE;
            return 0;
        }
        case 'o':
            if (IS_KW(t, "OR")) return PREC_OR;
            return IS_KW(t, "OPERATOR") ? PREC_COMPARE : 0;
        case 's':
            return IS_KW(t, "SIMILAR") ? PREC_LIKE : 0;
        case 'x':
            return IS_KW(t, "XOR") ? PREC_XOR : 0;
        default:
            return 0;
        }
    }
    if (t->kind != LC_TOK_OPERATOR) return 0;
    switch (t->op) {
    case '=':
    case '<':
    case '>':
    case LC_OP_NEQ:
    case LC_OP_LE:
    case LC_OP_GE:
    case LC_OP_DOUBLE_EQ:
    case LC_OP_SPACESHIP:
    case '~':
    case LC_OP_TILDE_STAR:
    case LC_OP_BANG_TILDE:
    case LC_OP_BANG_TILDE_STAR:
        return PREC_COMPARE;
    case '|':
        return PREC_PIPE;
    case '^':
    case '#':
    case LC_OP_SHL:
    case LC_OP_SHR:
        return PREC_CARET;
    case '&':
        return PREC_AMPERSAND;
    case '+':
    case '-':
        return PREC_PLUS;
    case '*':
    case '/':
    case '%':
    case LC_OP_CONCAT:
        return PREC_TIMES;
    case LC_OP_DOUBLE_COLON:
    case ':':
    case '!':
    case '[':
    case LC_OP_ARROW:
    case LC_OP_LONG_ARROW:
    case LC_OP_HASH_ARROW:
    case LC_OP_HASH_LONG_ARROW:
    case LC_OP_HASH_MINUS:
    case LC_OP_AT_ARROW:
    case LC_OP_ARROW_AT:
    case LC_OP_AT_QUESTION:
    case LC_OP_AT_AT:
        return PREC_POSTFIX;
    default:
        return 0;
    }
}

static lc_sql_expr *binary(lc_sql_parser *p, lc_sql_expr *left, lc_span text, lc_sql_binary op,
                           lc_sql_expr *right)
{
    if (!right) return NULL;
    lc_sql_expr *e = lc_sql_node(p, LC_EXPR_BINARY, left->at);
    e->op = (uint8_t)op;
    e->operator_text = text;
    e->left = left;
    e->right = right;
    return e;
}

/* ANY, ALL after a comparison operator. */
static lc_sql_expr *quantified(lc_sql_parser *p, const lc_sql_expr *left, const lc_sql_token *op,
                               const char *word, int precedence)
{
    next(p);
    if (!lc_sql_expect_op(p, '(')) return NULL;
    const lc_sql_expr *right = lc_sql_parse_operand(p, precedence);
    if (!right || !lc_sql_expect_op(p, ')')) return NULL;
    switch (op->op) {
    case '=':
    case '<':
    case '>':
    case LC_OP_NEQ:
    case LC_OP_LE:
    case LC_OP_GE:
        break;
    default: {
        uint32_t line, column;
        lc_sql_position(p->sql, op->at, &line, &column);
        lc_sql_fail(
            p,
            "Expected one of [=, >, <, =>, =<, !=] as comparison operator, found: " LC_SPAN_FMT
            " at Line: %u, Column %u",
            LC_SPAN_ARG(op->value), line, column);
        return NULL;
    }
    }
    return wrap(p, left, lc_sql_text(p, " %s %c(%e)", op->value, word, right));
}

static lc_sql_expr *infix_operator(lc_sql_parser *p, lc_sql_expr *left, int precedence)
{
    const lc_sql_token *t = next(p);
    lc_sql_binary op = LC_BIN_OTHER;
    lc_span text = t->value;
    switch (t->op) {
    case '=':
        op = LC_BIN_EQ;
        break;
    case LC_OP_DOUBLE_EQ:
        op = LC_BIN_EQ, text = LC_STR("=");
        break;
    case LC_OP_NEQ:
        op = LC_BIN_NE;
        break;
    case '<':
        op = LC_BIN_LT;
        break;
    case '>':
        op = LC_BIN_GT;
        break;
    case LC_OP_LE:
        op = LC_BIN_LE;
        break;
    case LC_OP_GE:
        op = LC_BIN_GE;
        break;
    case LC_OP_DOUBLE_COLON: {
        lc_buf type = LC_BUF_INIT;
        lc_sql_expr *e = NULL;
        if (lc_sql_parse_type(p, &type))
            e = around(p, LC_STR("CAST("), left, lc_sql_text(p, " AS %s)", lc_buf_span(&type)));
        lc_buf_deinit(&type);
        return e;
    }
    case '!':
        return wrap(p, left, lc_sql_text(p, "!"));
    case '[': {
        lc_sql_expr *e = left;
        do {
            const lc_sql_expr *index = lc_sql_parse_expr(p);
            if (!index || !lc_sql_expect_op(p, ']')) return NULL;
            e = wrap(p, e, lc_sql_text(p, "[%e]", index));
        } while (accept_op(p, '['));
        return e;
    }
    case ':': {
        const lc_sql_token *key = peek(p);
        bool is_name = key->kind == LC_TOK_WORD || key->kind == LC_TOK_QUOTED;
        if (is_name || key->kind == LC_TOK_OPERATOR || key->kind == LC_TOK_EOF) {
            lc_sql_expected(p, is_name ? "a concrete value" : "a value");
            return NULL;
        }
        const lc_sql_expr *e = prefix(p);
        return e ? wrap(p, left, lc_sql_text(p, ":%e", e)) : NULL;
    }
    case LC_OP_ARROW:
    case LC_OP_LONG_ARROW:
    case LC_OP_HASH_ARROW:
    case LC_OP_HASH_LONG_ARROW:
    case LC_OP_HASH_MINUS:
    case LC_OP_AT_ARROW:
    case LC_OP_ARROW_AT:
    case LC_OP_AT_QUESTION:
    case LC_OP_AT_AT: {
        const lc_sql_expr *right = lc_sql_parse_expr(p);
        return right ? wrap(p, left, lc_sql_text(p, " %s %e", text, right)) : NULL;
    }
    default:
        break;
    }
    if (PEEK_KW(p, "ANY")) return quantified(p, left, t, "ANY", precedence);
    if (PEEK_KW(p, "ALL")) return quantified(p, left, t, "ALL", precedence);
    return binary(p, left, text, op, lc_sql_parse_operand(p, precedence));
}

static lc_sql_expr *parse_is(lc_sql_parser *p, const lc_sql_expr *left)
{
    static const char *const states[] = {"NULL", "TRUE", "FALSE", "UNKNOWN"};
    bool is_not = PEEK_KW(p, "NOT");
    const lc_sql_token *t = peek_at(p, is_not);
    for (size_t i = 0; i < LC_ARRAY_LEN(states); i++) {
        if (!is_word(t, states[i], strlen(states[i]))) continue;
        if (is_not) next(p);
        next(p);
        return wrap(p, left, lc_sql_text(p, " IS %c%c", is_not ? "NOT " : "", states[i]));
    }
    if (IS_KW(t, "DISTINCT") && IS_KW(peek_at(p, is_not + 1u), "FROM")) {
        if (is_not) next(p);
        next(p);
        next(p);
        const lc_sql_expr *right = lc_sql_parse_expr(p);
        return right ? wrap(p, left,
                            lc_sql_text(p, " IS %cDISTINCT FROM %e", is_not ? "NOT " : "", right))
                     : NULL;
    }
    lc_sql_expected(p, "[NOT] NULL or TRUE|FALSE or [NOT] DISTINCT FROM after IS");
    return NULL;
}

static lc_sql_expr *parse_in(lc_sql_parser *p, const lc_sql_expr *left, const char *negated)
{
    lc_sql_expr *result = NULL;
    if (ACCEPT_KW(p, "UNNEST")) {
        const lc_sql_expr *e;
        if (!lc_sql_expect_op(p, '(') || !(e = lc_sql_parse_expr(p)) || !lc_sql_expect_op(p, ')'))
            return NULL;
        return wrap(p, left, lc_sql_text(p, " %cIN UNNEST(%e)", negated, e));
    }
    if (!lc_sql_expect_op(p, '(')) return NULL;
    lc_buf b = LC_BUF_INIT;
    lc_sql_query q;
    bool ok;
    if (PEEK_KW(p, "SELECT") || PEEK_KW(p, "WITH")) {
        ok = lc_sql_parse_query(p, &q);
        if (ok) lc_sql_query_print(&q, &b);
    } else {
        ok = lc_sql_parse_expr_list(p, &b);
    }
    if (ok && lc_sql_expect_op(p, ')'))
        result = wrap(p, left, lc_sql_text(p, " %cIN (%s)", negated, lc_buf_span(&b)));
    lc_buf_deinit(&b);
    return result;
}

static lc_sql_expr *parse_between(lc_sql_parser *p, const lc_sql_expr *left, const char *negated)
{
    const lc_sql_expr *low, *high;
    if (!(low = lc_sql_parse_operand(p, PREC_COMPARE)) || !lc_sql_expect_kw(p, "AND") ||
        !(high = lc_sql_parse_operand(p, PREC_COMPARE)))
        return NULL;
    return wrap(p, left, lc_sql_text(p, " %cBETWEEN %e AND %e", negated, low, high));
}

static lc_sql_expr *parse_like(lc_sql_parser *p, const lc_sql_expr *left, const char *negated,
                               const char *word)
{
    const lc_sql_expr *pattern = lc_sql_parse_operand(p, PREC_LIKE);
    if (!pattern) return NULL;
    lc_span tail = LC_SPAN_EMPTY, escape;
    if (ACCEPT_KW(p, "ESCAPE")) {
        if (!lc_sql_parse_string(p, &escape)) return NULL;
        tail = lc_sql_text(p, " ESCAPE '%s'", escape);
    }
    return wrap(p, left, lc_sql_text(p, " %c%c %e%s", negated, word, pattern, tail));
}

static lc_sql_expr *infix_word(lc_sql_parser *p, lc_sql_expr *left, int precedence)
{
    const lc_sql_token *t = next(p);
    if (IS_KW(t, "AND"))
        return binary(p, left, LC_STR("AND"), LC_BIN_AND, lc_sql_parse_operand(p, precedence));
    if (IS_KW(t, "OR"))
        return binary(p, left, LC_STR("OR"), LC_BIN_OR, lc_sql_parse_operand(p, precedence));
    if (IS_KW(t, "XOR"))
        return binary(p, left, LC_STR("XOR"), LC_BIN_OTHER, lc_sql_parse_operand(p, precedence));
    if (IS_KW(t, "IS")) return parse_is(p, left);
    if (IS_KW(t, "COLLATE")) {
        const lc_sql_name *name = lc_sql_parse_name(p);
        return name ? wrap(p, left, lc_sql_text(p, " COLLATE %s", name->text)) : NULL;
    }
    if (IS_KW(t, "AT")) {
        next(p);
        next(p);
        const lc_sql_token *zone = peek(p);
        if (zone->kind != LC_TOK_STRING) {
            lc_sql_expected(p, "Expected Token::SingleQuotedString after AT TIME ZONE");
            return NULL;
        }
        next(p);
        return wrap(p, left, lc_sql_text(p, " AT TIME ZONE '%s'", zone->value));
    }
    if (IS_KW(t, "OPERATOR")) {
        lc_buf b = LC_BUF_INIT;
        lc_sql_expr *e = NULL;
        bool ok = lc_sql_expect_op(p, '(');
        while (ok && !is_op(peek(p), ')') && peek(p)->kind != LC_TOK_EOF)
            lc_sql_token_print(next(p), &b);
        if (ok && lc_sql_expect_op(p, ')')) {
            lc_span name = lc_sql_text(p, "OPERATOR(%s)", lc_buf_span(&b));
            e = binary(p, left, name, LC_BIN_OTHER, lc_sql_parse_operand(p, precedence));
        }
        lc_buf_deinit(&b);
        return e;
    }
    if (IS_KW(t, "DIV")) {
        uint32_t line, column;
        lc_sql_position(p->sql, t->at, &line, &column);
        lc_sql_fail(p,
                    "No infix parser for token Word(Word { value: \"" LC_SPAN_FMT
                    "\", quote_style: None, keyword: DIV }) at Line: %u, Column %u",
                    LC_SPAN_ARG(t->value), line, column);
        return NULL;
    }
    const char *negated = "";
    if (IS_KW(t, "NOT")) {
        negated = "NOT ";
        t = next(p);
    }
    if (IS_KW(t, "IN")) return parse_in(p, left, negated);
    if (IS_KW(t, "BETWEEN")) return parse_between(p, left, negated);
    if (IS_KW(t, "LIKE")) return parse_like(p, left, negated, "LIKE");
    if (IS_KW(t, "ILIKE")) return parse_like(p, left, negated, "ILIKE");
    if (IS_KW(t, "RLIKE")) return parse_like(p, left, negated, "RLIKE"); /* after NOT only */
    if (IS_KW(t, "REGEXP")) return parse_like(p, left, negated, "REGEXP");
    if (IS_KW(t, "SIMILAR") && ACCEPT_KW(p, "TO"))
        return parse_like(p, left, negated, "SIMILAR TO");
    p->at = (uint32_t)(t - p->tokens);
    lc_sql_expected(p, "IN or BETWEEN after NOT");
    return NULL;
}

lc_sql_expr *lc_sql_parse_operand(lc_sql_parser *p, int precedence)
{
    if (!lc_sql_nest(p)) return NULL;
    lc_sql_expr *e = prefix(p);
    while (e) {
        int following = next_precedence(p);
        if (precedence >= following) break;
        e = peek(p)->kind == LC_TOK_WORD ? infix_word(p, e, following)
                                         : infix_operator(p, e, following);
    }
    p->nesting--;
    return e;
}

lc_sql_expr *lc_sql_parse_expr(lc_sql_parser *p)
{
    if (!lc_sql_enter(p)) return NULL;
    lc_sql_expr *e = lc_sql_parse_operand(p, 0);
    lc_sql_leave(p);
    return e;
}
