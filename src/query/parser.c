/* Statements: the cursor's helpers, INSERT, UPDATE, DELETE, SET, SHOW, and the ones that are only
 * recognised. */
#include "query/parser_internal.h"

/* More nested parts than any text within the length limit has; only backtracking can reach it. */
#define MAX_PARTS 400000

/* ------------------------------------------------------------------ cursor */

bool lc_sql_fail(lc_sql_parser *p, const char *fmt, ...)
{
    lc_buf b = LC_BUF_INIT;
    va_list args;
    va_start(args, fmt);
    lc_buf_vprintf(&b, fmt, args);
    va_end(args);
    lc_error_set(p->err, LC_E_INVALID, "sql parser error: " LC_SPAN_FMT,
                 LC_SPAN_ARG(lc_buf_span(&b)));
    lc_buf_deinit(&b);
    return false;
}

bool lc_sql_expected(lc_sql_parser *p, const char *what)
{
    const lc_sql_token *t = peek(p);
    if (t->kind == LC_TOK_EOF) return lc_sql_fail(p, "Expected %s, found: EOF", what);
    lc_buf b = LC_BUF_INIT;
    uint32_t line, column;
    lc_sql_token_print(t, &b);
    lc_sql_position(p->sql, t->at, &line, &column);
    lc_sql_fail(p, "Expected %s, found: " LC_SPAN_FMT " at Line: %u, Column %u", what,
                LC_SPAN_ARG(lc_buf_span(&b)), line, column);
    lc_buf_deinit(&b);
    return false;
}

bool lc_sql_expect_op(lc_sql_parser *p, uint8_t op)
{
    if (accept_op(p, op)) return true;
    char text[2] = {(char)op, 0};
    return lc_sql_expected(p, text);
}

bool lc_sql_expect_kw(lc_sql_parser *p, const char *keyword)
{
    if (!is_word(peek(p), keyword, strlen(keyword))) return lc_sql_expected(p, keyword);
    next(p);
    return true;
}

bool lc_sql_enter(lc_sql_parser *p)
{
    if (p->depth >= LC_SQL_MAX_DEPTH || ++p->parts > MAX_PARTS)
        return lc_sql_fail(p, "recursion limit exceeded");
    p->depth++;
    return true;
}

bool lc_sql_nest(lc_sql_parser *p)
{
    if (p->nesting >= LC_SQL_MAX_NESTING || ++p->parts > MAX_PARTS)
        return lc_sql_fail(p, "recursion limit exceeded");
    p->nesting++;
    return true;
}

/* ------------------------------------------------------------------- texts */

lc_span lc_sql_keep(lc_sql_parser *p, lc_buf *b)
{
    lc_span text = lc_arena_copy(p->arena, lc_buf_span(b));
    return text.ptr ? text : LC_STR("");
}

lc_span lc_sql_text(lc_sql_parser *p, const char *fmt, ...)
{
    lc_buf b = LC_BUF_INIT;
    va_list args;
    va_start(args, fmt);
    for (; *fmt; fmt++) {
        if (*fmt != '%') {
            lc_buf_put_u8(&b, (uint8_t)*fmt);
            continue;
        }
        switch (*++fmt) {
        case 'e':
            lc_sql_expr_print(va_arg(args, const lc_sql_expr *), &b);
            break;
        case 'q':
            lc_sql_query_print(va_arg(args, const lc_sql_query *), &b);
            break;
        case 's':
            lc_buf_put_span(&b, va_arg(args, lc_span));
            break;
        case 'c':
            lc_buf_put_str(&b, va_arg(args, const char *));
            break;
        case 'i': {
            lc_sql_ident ident = va_arg(args, lc_sql_ident);
            lc_sql_ident_print(ident.value, ident.quote, &b);
            break;
        }
        default:
            LC_BUG("bad format");
        }
    }
    va_end(args);
    lc_span text = lc_sql_keep(p, &b);
    lc_buf_deinit(&b);
    return text;
}

lc_span lc_sql_upper(lc_sql_parser *p, lc_span word)
{
    lc_span copy = lc_arena_copy(p->arena, word);
    uint8_t *at = (uint8_t *)(uintptr_t)copy.ptr;
    for (size_t i = 0; i < copy.len; i++)
        if ((uint8_t)(at[i] - 'a') < 26) at[i] -= 32;
    return copy;
}

/* ------------------------------------------------------------------- names */

bool lc_sql_parse_ident(lc_sql_parser *p, lc_sql_ident *out)
{
    const lc_sql_token *t = peek(p);
    switch (t->kind) {
    case LC_TOK_WORD:
        out->quote = 0;
        break;
    case LC_TOK_QUOTED:
        out->quote = '"';
        break;
    case LC_TOK_STRING:
        out->quote = '\'';
        break;
    default:
        return lc_sql_expected(p, "identifier");
    }
    out->value = t->value;
    next(p);
    return true;
}

lc_sql_name *lc_sql_parse_name(lc_sql_parser *p)
{
    lc_sql_ident first;
    if (!lc_sql_parse_ident(p, &first)) return NULL;
    lc_sql_name *name = lc_arena_alloc(p->arena, sizeof *name);
    if (!is_op(peek(p), '.') && !first.quote) {
        *name = (lc_sql_name){.full = first.value, .last = first.value, .text = first.value};
        return name;
    }
    lc_buf full = LC_BUF_INIT, text = LC_BUF_INIT;
    size_t last = 0;
    bool ok = true, dotted = false;
    lc_buf_put_span(&full, first.value);
    lc_sql_ident_print(first.value, first.quote, &text);
    while (ok && accept_op(p, '.')) {
        lc_sql_ident part;
        ok = lc_sql_parse_ident(p, &part);
        if (!ok) break;
        dotted = true;
        lc_buf_put_u8(&full, '.');
        lc_buf_put_u8(&text, '.');
        last = full.len;
        lc_buf_put_span(&full, part.value);
        lc_sql_ident_print(part.value, part.quote, &text);
    }
    name->full = lc_sql_keep(p, &full);
    name->text = lc_sql_keep(p, &text);
    name->qualifier = dotted ? LC_SPAN(name->full.ptr, last - 1) : LC_SPAN_EMPTY;
    name->last = LC_SPAN(name->full.ptr + last, name->full.len - last);
    lc_buf_deinit(&full);
    lc_buf_deinit(&text);
    return ok ? name : NULL;
}

bool lc_sql_parse_alias(lc_sql_parser *p, const char *const *reserved, lc_sql_ident *out)
{
    *out = (lc_sql_ident){LC_SPAN_EMPTY, 0};
    bool as = ACCEPT_KW(p, "AS");
    const lc_sql_token *t = peek(p);
    switch (t->kind) {
    case LC_TOK_WORD:
        for (; !as && *reserved; reserved++)
            if (lc_sql_word_is(t->value, *reserved, strlen(*reserved))) return true;
        break;
    case LC_TOK_QUOTED:
    case LC_TOK_STRING:
        break;
    default:
        return !as || lc_sql_expected(p, "an identifier after AS");
    }
    return lc_sql_parse_ident(p, out);
}

/* ---------------------------------------------------------- INSERT, UPDATE */

static bool returning(lc_sql_parser *p, lc_buf *b)
{
    if (!ACCEPT_KW(p, "RETURNING")) return true;
    const char *between = " RETURNING ";
    do {
        lc_buf_put_str(b, between);
        between = ", ";
        if (accept_op(p, '*')) {
            lc_buf_put_u8(b, '*');
            continue;
        }
        static const char *const none[] = {NULL};
        lc_sql_ident alias;
        const lc_sql_expr *e = lc_sql_parse_expr(p);
        if (!e || !lc_sql_parse_alias(p, none, &alias)) return false;
        lc_sql_expr_print(e, b);
        if (alias.value.ptr) {
            lc_buf_put_str(b, " AS ");
            lc_sql_ident_print(alias.value, alias.quote, b);
        }
    } while (accept_op(p, ','));
    return true;
}

/* The words before `=`. Everything that is neither a word nor `=` is passed over, as the dialect's
 * parser does: `(a, b) = ...` and `a.b = ...` both name a.b. */
static bool assignment(lc_sql_parser *p, lc_sql_assignment *out)
{
    lc_buf value = LC_BUF_INIT, text = LC_BUF_INIT;
    while (peek(p)->kind != LC_TOK_EOF && !is_op(peek(p), '=')) {
        const lc_sql_token *t = next(p);
        if (t->kind != LC_TOK_WORD && t->kind != LC_TOK_QUOTED) continue;
        if (text.len) {
            lc_buf_put_u8(&value, '.');
            lc_buf_put_u8(&text, '.');
        }
        lc_buf_put_span(&value, t->value);
        lc_sql_ident_print(t->value, t->kind == LC_TOK_QUOTED ? '"' : 0, &text);
    }
    out->column = lc_sql_keep(p, &value);
    out->text = lc_sql_keep(p, &text);
    lc_buf_deinit(&value);
    lc_buf_deinit(&text);
    return lc_sql_expect_op(p, '=') && (out->value = lc_sql_parse_expr(p)) != NULL;
}

static bool assignments(lc_sql_parser *p, lc_sql_assignment **items, uint32_t *count)
{
    size_t cap = 0, n = 0;
    do {
        *items = lc_arena_grow(p->arena, *items, n, &cap, sizeof **items);
        if (!assignment(p, &(*items)[n++])) return false;
    } while (accept_op(p, ','));
    *count = (uint32_t)n;
    return true;
}

static void print_assignments(const lc_sql_assignment *items, uint32_t count, lc_buf *b)
{
    for (uint32_t i = 0; i < count; i++) {
        if (i) lc_buf_put_str(b, ", ");
        lc_buf_put_span(b, items[i].text);
        lc_buf_put_str(b, " = ");
        lc_sql_expr_print(items[i].value, b);
    }
}

/* After ON. */
static bool on_conflict(lc_sql_parser *p, lc_buf *b)
{
    lc_sql_assignment *items = NULL;
    uint32_t count = 0;
    if (!ACCEPT_KW(p, "CONFLICT")) {
        if (!lc_sql_expect_kw(p, "DUPLICATE") || !lc_sql_expect_kw(p, "KEY") ||
            !lc_sql_expect_kw(p, "UPDATE") || !assignments(p, &items, &count))
            return false;
        lc_buf_put_str(b, " ON DUPLICATE KEY UPDATE ");
        print_assignments(items, count, b);
        return true;
    }
    lc_buf_put_str(b, "  ON CONFLICT");
    if (ACCEPT_KW(p, "ON")) {
        if (!lc_sql_expect_kw(p, "CONSTRAINT")) return false;
        const lc_sql_name *name = lc_sql_parse_name(p);
        if (!name) return false;
        lc_buf_put_str(b, " ON CONSTRAINT ");
        lc_buf_put_span(b, name->text);
    } else if (accept_op(p, '(')) {
        lc_buf_put_u8(b, '(');
        do {
            lc_sql_ident ident;
            if (!lc_sql_parse_ident(p, &ident)) return false;
            lc_sql_ident_print(ident.value, ident.quote, b);
        } while (accept_op(p, ',') && (lc_buf_put_str(b, ", "), true));
        lc_buf_put_u8(b, ')');
        if (!lc_sql_expect_op(p, ')')) return false;
    }
    if (!lc_sql_expect_kw(p, "DO")) return false;
    if (ACCEPT_KW(p, "NOTHING")) {
        lc_buf_put_str(b, " DO NOTHING");
        return true;
    }
    if (!lc_sql_expect_kw(p, "UPDATE") || !lc_sql_expect_kw(p, "SET") ||
        !assignments(p, &items, &count))
        return false;
    lc_buf_put_str(b, " DO UPDATE SET ");
    print_assignments(items, count, b);
    if (ACCEPT_KW(p, "WHERE")) {
        const lc_sql_expr *e = lc_sql_parse_expr(p);
        if (!e) return false;
        lc_buf_put_str(b, " WHERE ");
        lc_sql_expr_print(e, b);
    }
    return true;
}

static bool insert_columns(lc_sql_parser *p, lc_sql_statement *s, lc_buf *b)
{
    if (!accept_op(p, '(')) return true;
    size_t cap = 0;
    lc_buf_put_str(b, " (");
    do {
        lc_sql_ident ident;
        if (!lc_sql_parse_ident(p, &ident)) return false;
        if (s->column_count) lc_buf_put_str(b, ", ");
        lc_sql_ident_print(ident.value, ident.quote, b);
        s->columns = lc_arena_grow(p->arena, s->columns, s->column_count, &cap, sizeof(lc_span));
        s->columns[s->column_count++] = ident.value;
    } while (accept_op(p, ','));
    lc_buf_put_u8(b, ')');
    return lc_sql_expect_op(p, ')');
}

/* After INSERT. The text is put together only when the statement will be refused with it. */
static bool insert_parts(lc_sql_parser *p, lc_sql_statement *s, lc_buf *b)
{
    lc_buf_put_str(b, "INSERT");
    if (ACCEPT_KW(p, "OVERWRITE")) {
        s->is_plain = false;
        lc_buf_put_str(b, " OVERWRITE");
    }
    if (ACCEPT_KW(p, "INTO")) lc_buf_put_str(b, " INTO");
    if (ACCEPT_KW(p, "TABLE")) {
        s->is_plain = false;
        lc_buf_put_str(b, " TABLE");
    }
    s->table = lc_sql_parse_name(p);
    if (!s->table) return false;
    lc_buf_put_u8(b, ' ');
    lc_buf_put_span(b, s->table->text);
    if (!insert_columns(p, s, b)) return false;
    if (ACCEPT_KW(p, "PARTITION")) {
        s->is_plain = false;
        lc_buf_put_str(b, " PARTITION (");
        if (!lc_sql_expect_op(p, '(') || !lc_sql_parse_expr_list(p, b) || !lc_sql_expect_op(p, ')'))
            return false;
        lc_buf_put_u8(b, ')');
    }
    if (is_op(peek(p), '(')) { /* a second list of columns */
        s->is_plain = false;
        if (!insert_columns(p, s, b)) return false;
    }
    s->query = lc_arena_alloc(p->arena, sizeof *s->query);
    if (!lc_sql_parse_query(p, s->query)) return false;
    lc_buf tail = LC_BUF_INIT;
    bool ok = (!ACCEPT_KW(p, "ON") || on_conflict(p, &tail)) && returning(p, &tail);
    if (tail.len) s->is_plain = false;
    if (ok && (!s->is_plain || p->wants_text)) {
        lc_buf_put_u8(b, ' ');
        lc_sql_query_print(s->query, b);
        lc_buf_put_span(b, lc_buf_span(&tail));
    }
    lc_buf_deinit(&tail);
    return ok;
}

static bool where_clause(lc_sql_parser *p, lc_sql_statement *s)
{
    return !ACCEPT_KW(p, "WHERE") || (s->where = lc_sql_parse_expr(p)) != NULL;
}

static void print_where(const lc_sql_statement *s, lc_buf *b)
{
    if (!s->where) return;
    lc_buf_put_str(b, " WHERE ");
    lc_sql_expr_print(s->where, b);
}

/* After UPDATE. */
static bool update_parts(lc_sql_parser *p, lc_sql_statement *s, lc_buf *b)
{
    if (!lc_sql_parse_table(p, &s->tables, &s->table_count) || !lc_sql_expect_kw(p, "SET") ||
        !assignments(p, &s->assignments, &s->assignment_count))
        return false;
    const lc_sql_table *t = &s->tables[0];
    if (s->table_count != 1 || !t->name || t->alias.value.ptr) s->is_plain = false;
    s->table = t->name;
    lc_sql_table *from = NULL;
    uint32_t from_count = 0;
    if (ACCEPT_KW(p, "FROM") && !lc_sql_parse_table(p, &from, &from_count)) return false;
    lc_buf tail = LC_BUF_INIT;
    bool ok = where_clause(p, s) && returning(p, &tail);
    if (from_count || tail.len) s->is_plain = false;
    if (ok && (!s->is_plain || p->wants_text)) {
        lc_buf_put_str(b, "UPDATE ");
        lc_sql_tables_print(s->tables, s->table_count, b);
        lc_buf_put_str(b, " SET ");
        print_assignments(s->assignments, s->assignment_count, b);
        if (from_count) {
            lc_buf_put_str(b, " FROM ");
            lc_sql_tables_print(from, from_count, b);
        }
        print_where(s, b);
        lc_buf_put_span(b, lc_buf_span(&tail));
    }
    lc_buf_deinit(&tail);
    return ok;
}

/* After DELETE. */
static bool delete_parts(lc_sql_parser *p, lc_sql_statement *s, lc_buf *b)
{
    lc_buf_put_str(b, "DELETE");
    if (!ACCEPT_KW(p, "FROM")) {
        const char *between = " ";
        s->is_plain = false;
        do {
            const lc_sql_name *name = lc_sql_parse_name(p);
            if (!name) return false;
            lc_buf_put_str(b, between);
            between = ", ";
            lc_buf_put_span(b, name->text);
        } while (accept_op(p, ','));
        if (!lc_sql_expect_kw(p, "FROM")) return false;
    }
    if (!lc_sql_parse_tables(p, &s->tables, &s->table_count)) return false;
    s->table = s->tables[0].name;
    lc_sql_table *using = NULL;
    uint32_t using_count = 0;
    if (ACCEPT_KW(p, "USING") && !lc_sql_parse_tables(p, &using, &using_count)) return false;
    lc_buf tail = LC_BUF_INIT;
    bool ok = where_clause(p, s) && returning(p, &tail);
    if (using_count || tail.len) s->is_plain = false;
    if (ok && (!s->is_plain || p->wants_text)) {
        lc_buf_put_str(b, " FROM ");
        lc_sql_tables_print(s->tables, s->table_count, b);
        if (using_count) {
            lc_buf_put_str(b, " USING ");
            lc_sql_tables_print(using, using_count, b);
        }
        print_where(s, b);
        lc_buf_put_span(b, lc_buf_span(&tail));
    }
    lc_buf_deinit(&tail);
    return ok;
}

/* ------------------------------------------------------------------- SET */

/* After SET. */
static bool set_parts(lc_sql_parser *p, lc_sql_statement *s, lc_buf *b)
{
    const char *modifier = "";
    if (ACCEPT_KW(p, "SESSION"))
        modifier = "SESSION ";
    else if (ACCEPT_KW(p, "LOCAL"))
        modifier = "LOCAL ";
    else if (ACCEPT_KW(p, "HIVEVAR")) {
        if (!lc_sql_expect_op(p, ':')) return false;
        modifier = "HIVEVAR:";
    }
    lc_buf_put_str(b, "SET ");
    if (ACCEPT_KW(p, "ROLE")) {
        lc_sql_ident role;
        s->is_plain = false;
        if (!lc_sql_parse_ident(p, &role)) return false;
        lc_buf_printf(b, "%sROLE ", modifier);
        if (lc_sql_word_is(role.value, "NONE", 4) && !role.quote)
            lc_buf_put_str(b, "NONE");
        else
            lc_sql_ident_print(role.value, role.quote, b);
        return true;
    }
    if (modifier[0] != 'S') lc_buf_put_str(b, modifier);
    if (modifier[0] == 'L' || modifier[0] == 'H') s->is_plain = false;
    bool zone = PEEK_KW(p, "TIME") && IS_KW(peek_at(p, 1), "ZONE");
    size_t after_set = b->len;
    if (zone) {
        next(p);
        next(p);
        s->is_plain = false;
        lc_buf_put_str(b, "TIME ZONE");
    } else {
        const lc_sql_name *name = lc_sql_parse_name(p);
        if (!name) return false;
        s->variable = name->full;
        lc_buf_put_span(b, name->text);
        zone = lc_sql_word_is(name->full, "TIMEZONE", 8);
    }
    bool equals = accept_op(p, '=') || ACCEPT_KW(p, "TO");
    if (!equals && !zone) return lc_sql_expected(p, "equals sign or TO");
    if (!equals) {
        s->is_plain = false;
        b->len = after_set;
        lc_buf_put_str(b, "TIME ZONE ");
    } else {
        lc_buf_put_str(b, " = ");
    }
    uint32_t count = 0;
    do {
        lc_sql_expr *e = lc_sql_parse_expr(p);
        if (!e && strstr(lc_error_text(p->err), "recursion")) return false;
        if (!e) return lc_sql_expected(p, equals ? "variable value" : "timezone value");
        if (count++) lc_buf_put_str(b, ", ");
        lc_sql_expr_print(e, b);
        if (!s->value) s->value = e;
    } while (equals && accept_op(p, ','));
    if (count > 1) s->is_plain = false;
    return true;
}

/* ------------------------------------------------------------------- SHOW */

static bool show_filter(lc_sql_parser *p, lc_buf *b)
{
    lc_span text;
    if (ACCEPT_KW(p, "LIKE") || ACCEPT_KW(p, "ILIKE")) {
        bool like = (p->tokens[p->at - 1].value.ptr[0] | 0x20) == 'l';
        if (!lc_sql_parse_string(p, &text)) return false;
        lc_buf_put_str(b, like ? " LIKE " : " ILIKE ");
        lc_sql_ident_print(text, '\'', b);
    } else if (ACCEPT_KW(p, "WHERE")) {
        const lc_sql_expr *e = lc_sql_parse_expr(p);
        if (!e) return false;
        lc_buf_put_str(b, " WHERE ");
        lc_sql_expr_print(e, b);
    }
    return true;
}

static bool show_from(lc_sql_parser *p, lc_buf *b)
{
    const lc_sql_name *name = lc_sql_parse_name(p);
    if (!name) return false;
    lc_buf_put_str(b, " FROM ");
    lc_buf_put_span(b, name->text);
    return true;
}

static bool show_create(lc_sql_parser *p, lc_buf *b)
{
    static const char *const kinds[] = {"TABLE",     "TRIGGER", "FUNCTION",
                                        "PROCEDURE", "EVENT",   "VIEW"};
    for (size_t i = 0; i < LC_ARRAY_LEN(kinds); i++) {
        if (!is_word(peek(p), kinds[i], strlen(kinds[i]))) continue;
        next(p);
        const lc_sql_name *name = lc_sql_parse_name(p);
        if (!name) return false;
        lc_buf_printf(b, "SHOW CREATE %s " LC_SPAN_FMT, kinds[i], LC_SPAN_ARG(name->text));
        return true;
    }
    return lc_sql_expected(p, "one of TABLE or TRIGGER or FUNCTION or PROCEDURE or EVENT or VIEW");
}

/* After SHOW. */
static bool show_parts(lc_sql_parser *p, lc_sql_statement *s, lc_buf *b)
{
    bool extended = ACCEPT_KW(p, "EXTENDED"), full = ACCEPT_KW(p, "FULL");
    const char *ex = extended ? "EXTENDED " : "", *fu = full ? "FULL " : "";
    s->is_plain = false;
    if (ACCEPT_KW(p, "COLUMNS") || ACCEPT_KW(p, "FIELDS")) {
        lc_buf_printf(b, "SHOW %s%sCOLUMNS", ex, fu);
        if (!ACCEPT_KW(p, "FROM") && !ACCEPT_KW(p, "IN"))
            return lc_sql_expected(p, "one of FROM or IN");
        return show_from(p, b) && show_filter(p, b);
    }
    if (ACCEPT_KW(p, "TABLES")) {
        lc_buf_printf(b, "SHOW %s%sTABLES", ex, fu);
        if ((ACCEPT_KW(p, "FROM") || ACCEPT_KW(p, "IN")) && !show_from(p, b)) return false;
        return show_filter(p, b);
    }
    if (ACCEPT_KW(p, "FUNCTIONS")) {
        lc_buf_printf(b, "SHOW FUNCTIONS");
        return show_filter(p, b);
    }
    if (extended || full)
        return lc_sql_fail(p, "EXTENDED/FULL are not supported with this type of SHOW query");
    if (ACCEPT_KW(p, "CREATE")) return show_create(p, b);
    if (ACCEPT_KW(p, "COLLATION")) {
        lc_buf_put_str(b, "SHOW COLLATION");
        return show_filter(p, b);
    }
    /* all the words that follow; anything else before `=` or the end is passed over */
    s->is_plain = true;
    while (peek(p)->kind != LC_TOK_EOF && !is_op(peek(p), '=')) {
        const lc_sql_token *t = next(p);
        if (t->kind != LC_TOK_WORD && t->kind != LC_TOK_QUOTED) continue;
        if (b->len) lc_buf_put_u8(b, '.');
        lc_buf_put_span(b, t->value);
    }
    s->variable = lc_sql_keep(p, b);
    return true;
}

/* -------------------------------------------------------------- statements */

static bool parse_statement(lc_sql_parser *p, lc_sql_statement *s);

bool lc_sql_parse_change(lc_sql_parser *p, lc_span *text)
{
    lc_sql_statement s;
    bool before = p->wants_text;
    p->wants_text = true;
    bool ok = parse_statement(p, &s);
    p->wants_text = before;
    *text = s.text;
    return ok;
}

/* EXPLAIN and DESCRIBE: of a table or of a statement. */
static bool explain(lc_sql_parser *p, lc_buf *b)
{
    lc_buf_put_span(b, lc_sql_upper(p, next(p)->value));
    if (ACCEPT_KW(p, "ANALYZE")) lc_buf_put_str(b, " ANALYZE");
    if (ACCEPT_KW(p, "VERBOSE")) lc_buf_put_str(b, " VERBOSE");
    if (ACCEPT_KW(p, "FORMAT")) {
        lc_buf_put_str(b, " FORMAT ");
        lc_buf_put_span(b, lc_sql_upper(p, next(p)->value));
    }
    uint32_t start = p->at;
    lc_error *err = p->err;
    lc_error failed = LC_ERROR_INIT;
    lc_sql_statement inner;
    p->err = &failed;
    p->wants_text = true;
    bool ok = parse_statement(p, &inner);
    p->wants_text = false;
    p->err = err;
    lc_error_clear(&failed);
    lc_buf_put_u8(b, ' ');
    if (ok) {
        if (inner.kind == LC_SQL_QUERY)
            lc_sql_query_print(inner.query, b);
        else
            lc_buf_put_span(b, inner.text);
        return true;
    }
    p->at = start;
    const lc_sql_name *name = lc_sql_parse_name(p);
    if (name) lc_buf_put_span(b, name->text);
    return name != NULL;
}

static bool parse_statement(lc_sql_parser *p, lc_sql_statement *s)
{
    const lc_sql_token *t = peek(p);
    *s = (lc_sql_statement){.kind = LC_SQL_OTHER, .is_plain = true};
    if (!lc_sql_enter(p)) return false;
    lc_buf b = LC_BUF_INIT;
    bool ok;
    if (IS_KW(t, "SELECT") || IS_KW(t, "WITH") || IS_KW(t, "VALUES") || is_op(t, '(')) {
        s->kind = LC_SQL_QUERY;
        s->query = lc_arena_alloc(p->arena, sizeof *s->query);
        ok = lc_sql_parse_query(p, s->query);
    } else if (ACCEPT_KW(p, "INSERT")) {
        s->kind = LC_SQL_INSERT;
        ok = insert_parts(p, s, &b);
    } else if (ACCEPT_KW(p, "UPDATE")) {
        s->kind = LC_SQL_UPDATE;
        ok = update_parts(p, s, &b);
    } else if (ACCEPT_KW(p, "DELETE")) {
        s->kind = LC_SQL_DELETE;
        ok = delete_parts(p, s, &b);
    } else if (ACCEPT_KW(p, "SET")) {
        s->kind = LC_SQL_SET;
        ok = set_parts(p, s, &b);
    } else if (ACCEPT_KW(p, "SHOW")) {
        s->kind = LC_SQL_SHOW;
        ok = show_parts(p, s, &b);
        if (ok && s->is_plain) {
            lc_buf_reset(&b);
            lc_buf_put_str(&b, "SHOW");
        }
    } else if (IS_KW(t, "EXPLAIN") || IS_KW(t, "DESCRIBE")) {
        ok = explain(p, &b);
    } else {
        ok = lc_sql_parse_other(p, &b);
    }
    if (ok && b.len) s->text = lc_sql_keep(p, &b);
    lc_buf_deinit(&b);
    lc_sql_leave(p);
    return ok;
}

lc_status lc_sql_parse(lc_arena *a, lc_span sql, lc_sql_statement *out, uint32_t *count,
                       lc_error *err)
{
    lc_sql_parser p = {.arena = a, .sql = sql, .err = err};
    lc_status st = lc_sql_lex(a, sql, &p.tokens, &p.count, err);
    if (st) return st;
    *count = 0;
    bool between = true; /* a `;` or the start stands right before */
    for (;;) {
        while (accept_op(&p, ';')) between = true;
        const lc_sql_token *t = peek(&p);
        if (t->kind == LC_TOK_EOF || IS_KW(t, "END")) return LC_OK;
        if (!between) return lc_sql_expected(&p, "end of statement"), LC_E_INVALID;
        lc_sql_statement further;
        if (!parse_statement(&p, *count == 0 ? out : &further)) return LC_E_INVALID;
        ++*count;
        between = false;
    }
}
