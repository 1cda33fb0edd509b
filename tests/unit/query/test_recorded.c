/* The recorded statements against plans, without a server: ad hoc SQL, subscriptions, one-off
 * queries. Joins and views are not executed yet; what answers so is counted apart. */
#include "sql_kit.h"

/* ------------------------------------------------------------ JSON as text */

/* A value in canonical form: no blanks, numbers with a point or exponent reprinted. */
static void canonical(lc_json *j, lc_json_token t, lc_buf *out)
{
    switch (t) {
    case LC_JSON_NULL:
        lc_buf_put_str(out, "null");
        return;
    case LC_JSON_TRUE:
        lc_buf_put_str(out, "true");
        return;
    case LC_JSON_FALSE:
        lc_buf_put_str(out, "false");
        return;
    case LC_JSON_NUMBER: {
        char *text = lc_span_to_cstr(j->text);
        if (strpbrk(text, ".eE"))
            lc_buf_printf(out, "%.17g", strtod(text, NULL));
        else
            lc_buf_put_str(out, text);
        lc_free(text);
        return;
    }
    case LC_JSON_STRING:
        lc_json_write_string(j->text, out);
        return;
    case LC_JSON_ARRAY_BEGIN:
    case LC_JSON_OBJECT_BEGIN: {
        bool is_array = t == LC_JSON_ARRAY_BEGIN, first = true;
        lc_buf_put_u8(out, is_array ? '[' : '{');
        while ((t = lc_json_next(j)) != LC_JSON_ARRAY_END && t != LC_JSON_OBJECT_END) {
            if (t == LC_JSON_BAD || t == LC_JSON_END) fail_msg("bad JSON in a case file");
            if (!first) lc_buf_put_u8(out, ',');
            first = false;
            if (t == LC_JSON_KEY) {
                lc_json_write_string(j->text, out);
                lc_buf_put_u8(out, ':');
                t = lc_json_next(j);
            }
            canonical(j, t, out);
        }
        lc_buf_put_u8(out, is_array ? ']' : '}');
        return;
    }
    default:
        fail_msg("bad JSON in a case file");
    }
}

static char *canonical_text(lc_span json)
{
    lc_json j;
    lc_buf b = LC_BUF_INIT;
    lc_json_init(&j, json, NULL);
    canonical(&j, lc_json_next(&j), &b);
    lc_json_deinit(&j);
    return lc_buf_give_cstr(&b);
}

typedef LC_VEC(char *) texts;

static void texts_clear(texts *t)
{
    LC_VEC_EACH (s, t) lc_free(*s);
    t->len = 0;
}
static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}
static void sort_texts(texts *t)
{
    if (t->len) qsort(t->items, t->len, sizeof *t->items, by_text);
}

/* ------------------------------------------------------------------- cases */

typedef struct expectation {
    bool present;
    char *error; /* NULL: success */
    bool has_rows;
    texts rows;    /* canonical, sorted */
    char *schema;  /* canonical [[name, type], ...] */
    char *stats;   /* canonical [inserted, deleted, updated] */
    int64_t count; /* -1: compare rows */
    bool no_table; /* subscribe: no entry at all */
    char *table;
} expectation;

static void expectation_clear(expectation *e)
{
    lc_free(e->error);
    lc_free(e->schema);
    lc_free(e->stats);
    lc_free(e->table);
    texts_clear(&e->rows);
    lc_vec_deinit(&e->rows);
    *e = (expectation){.count = -1};
}

static char *json_value(lc_json *j)
{
    lc_buf b = LC_BUF_INIT;
    canonical(j, lc_json_next(j), &b);
    return lc_buf_give_cstr(&b);
}

static void read_rows(lc_json *j, texts *rows)
{
    assert_int_equal(lc_json_next(j), LC_JSON_ARRAY_BEGIN);
    lc_json_token t;
    while ((t = lc_json_next(j)) != LC_JSON_ARRAY_END) {
        lc_buf b = LC_BUF_INIT;
        canonical(j, t, &b);
        lc_vec_push(rows, lc_buf_give_cstr(&b));
    }
    sort_texts(rows);
}

/* [unit, n, tail]: appended to a text. */
typedef struct repetition {
    char *unit, *tail;
    int64_t count;
} repetition;

typedef struct step {
    repetition repeat;
    lc_span sql; /* owned; may hold NUL */
    char *as;
    expectation expect;
} step;

typedef struct test_case {
    char *id, *db, *query, *as;
    bool may_differ, reset;
    repetition repeat;
    LC_VEC(step) steps;
    expectation subscribe, oneoff;
} test_case;

/* Without NUL characters, which no C text can hold. */
static char *json_string(lc_json *j)
{
    assert_int_equal(lc_json_next(j), LC_JSON_STRING);
    lc_buf b = LC_BUF_INIT;
    for (size_t i = 0; i < j->text.len; i++)
        if (j->text.ptr[i]) lc_buf_put_u8(&b, j->text.ptr[i]);
    return lc_buf_give_cstr(&b);
}

/* {"status", "error", "schema", "rows", "stats", "row_count"} */
static void read_sql_expectation(lc_json *j, expectation *e)
{
    *e = (expectation){.present = true, .count = -1};
    assert_int_equal(lc_json_next(j), LC_JSON_OBJECT_BEGIN);
    while (lc_json_next(j) == LC_JSON_KEY) {
        if (lc_span_equal_str(j->text, "error")) {
            e->error = json_string(j);
        } else if (lc_span_equal_str(j->text, "rows")) {
            read_rows(j, &e->rows);
            e->has_rows = true;
        } else if (lc_span_equal_str(j->text, "schema")) {
            e->schema = json_value(j);
        } else if (lc_span_equal_str(j->text, "stats")) {
            e->stats = json_value(j);
        } else if (lc_span_equal_str(j->text, "row_count")) {
            assert_int_equal(lc_json_next(j), LC_JSON_NUMBER);
            e->count = atoll((const char *)j->text.ptr);
        } else {
            lc_json_skip(j, lc_json_next(j));
        }
    }
}

/* {"ok": [[table, rows]]} or {"error": text} */
static void read_live_expectation(lc_json *j, expectation *e)
{
    *e = (expectation){.present = true, .count = -1};
    assert_int_equal(lc_json_next(j), LC_JSON_OBJECT_BEGIN);
    while (lc_json_next(j) == LC_JSON_KEY) {
        if (lc_span_equal_str(j->text, "error")) {
            e->error = json_string(j);
            continue;
        }
        assert_int_equal(lc_json_next(j), LC_JSON_ARRAY_BEGIN);
        lc_json_token t = lc_json_next(j);
        e->no_table = t == LC_JSON_ARRAY_END;
        if (e->no_table) continue;
        e->table = json_string(j);
        e->has_rows = true;
        read_rows(j, &e->rows);
        assert_int_equal(lc_json_next(j), LC_JSON_ARRAY_END);
        while ((t = lc_json_next(j)) != LC_JSON_ARRAY_END) { /* several tables: `FROM *` */
            lc_json_skip(j, t);
            e->has_rows = false;
        }
    }
}

static void read_repeat(lc_json *j, repetition *r)
{
    assert_int_equal(lc_json_next(j), LC_JSON_ARRAY_BEGIN);
    r->unit = json_string(j);
    assert_int_equal(lc_json_next(j), LC_JSON_NUMBER);
    r->count = atoll((const char *)j->text.ptr);
    r->tail = json_string(j);
    assert_int_equal(lc_json_next(j), LC_JSON_ARRAY_END);
}

static void read_step(lc_json *j, test_case *c)
{
    step s = {.expect = {.count = -1}};
    while (lc_json_next(j) == LC_JSON_KEY) {
        if (lc_span_equal_str(j->text, "sql"))
            lc_json_next(j), s.sql = LC_SPAN(lc_memdup(j->text.ptr, j->text.len), j->text.len);
        else if (lc_span_equal_str(j->text, "as"))
            s.as = json_string(j);
        else if (lc_span_equal_str(j->text, "repeat"))
            read_repeat(j, &s.repeat);
        else if (lc_span_equal_str(j->text, "expect"))
            read_sql_expectation(j, &s.expect);
        else
            lc_json_skip(j, lc_json_next(j));
    }
    lc_vec_push(&c->steps, s);
}

static void read_case(lc_span line, test_case *c)
{
    lc_json json, *j = &json;
    lc_json_init(j, line, NULL);
    *c = (test_case){.subscribe = {.count = -1}, .oneoff = {.count = -1}};
    assert_int_equal(lc_json_next(j), LC_JSON_OBJECT_BEGIN);
    while (lc_json_next(j) == LC_JSON_KEY) {
        if (lc_span_equal_str(j->text, "id")) {
            c->id = json_string(j);
        } else if (lc_span_equal_str(j->text, "db")) {
            c->db = json_string(j);
        } else if (lc_span_equal_str(j->text, "query")) {
            c->query = json_string(j);
        } else if (lc_span_equal_str(j->text, "as")) {
            c->as = json_string(j);
        } else if (lc_span_equal_str(j->text, "reset")) {
            c->reset = lc_json_next(j) == LC_JSON_TRUE;
        } else if (lc_span_equal_str(j->text, "may_differ") ||
                   lc_span_equal_str(j->text, "index_superset")) {
            c->may_differ = true;
            lc_json_skip(j, lc_json_next(j));
        } else if (lc_span_equal_str(j->text, "repeat")) {
            read_repeat(j, &c->repeat);
        } else if (lc_span_equal_str(j->text, "steps")) {
            lc_json_next(j);
            while (lc_json_next(j) == LC_JSON_OBJECT_BEGIN) read_step(j, c);
        } else if (lc_span_equal_str(j->text, "expect")) {
            lc_json_next(j);
            while (lc_json_next(j) == LC_JSON_KEY) {
                bool is_subscribe = lc_span_equal_str(j->text, "subscribe");
                read_live_expectation(j, is_subscribe ? &c->subscribe : &c->oneoff);
            }
        } else {
            lc_json_skip(j, lc_json_next(j));
        }
    }
    lc_json_deinit(j);
}

static void case_clear(test_case *c)
{
    LC_VEC_EACH (s, &c->steps) {
        lc_free((void *)(uintptr_t)s->sql.ptr);
        lc_free(s->as);
        lc_free(s->repeat.unit);
        lc_free(s->repeat.tail);
        expectation_clear(&s->expect);
    }
    lc_vec_deinit(&c->steps);
    lc_free(c->id);
    lc_free(c->db);
    lc_free(c->query);
    lc_free(c->as);
    lc_free(c->repeat.unit);
    lc_free(c->repeat.tail);
    expectation_clear(&c->subscribe);
    expectation_clear(&c->oneoff);
}

/* ---------------------------------------------------------------- callers */

/* owner, alice, ... : made-up identities; nobody has a random one. */
static lc_caller caller_of(const char *name)
{
    lc_caller c = {.is_owner = !name || strcmp(name, "owner") == 0};
    lc_blake3(name ? name : "owner", strlen(name ? name : "owner"), c.identity.bytes);
    return c;
}

/* Expected text with ${name} filled in and $any as a wildcard. */
static bool text_matches(const char *want, const char *got)
{
    const char *any = strstr(want, "$any");
    const char *who = strstr(want, "${");
    if (who && (!any || who < any)) {
        char name[32] = {0}, hex[LC_IDENTITY_HEX + 1];
        size_t before = (size_t)(who - want);
        sscanf(who, "${%31[^}]}", name);
        lc_caller c = caller_of(name);
        lc_identity_to_hex(&c.identity, hex);
        return strncmp(want, got, before) == 0 && strncmp(got + before, hex, 64) == 0 &&
               text_matches(strchr(who, '}') + 1, got + before + 64);
    }
    if (!any) return strcmp(want, got) == 0;
    if (strncmp(want, got, (size_t)(any - want)) != 0) return false;
    for (const char *at = got + (any - want); *at; at++)
        if (text_matches(any + 4, at)) return true;
    return text_matches(any + 4, got + strlen(got));
}

/* ------------------------------------------------------------ row notation */

static void put_hex(const uint8_t *p, size_t n, bool reverse, lc_buf *out)
{
    lc_buf_put_str(out, "\"0x");
    for (size_t i = 0; i < n; i++) lc_buf_printf(out, "%02x", p[reverse ? n - 1 - i : i]);
    lc_buf_put_u8(out, '"');
}

/* A value as subscribe.jsonl notes it. Returns the bytes consumed. */
static size_t wire_value(const lc_type *t, const uint8_t *v, lc_buf *out)
{
    if (t->special == LC_SPECIAL_IDENTITY) return put_hex(v, 32, true, out), 32;
    if (t->special == LC_SPECIAL_CONNECTION_ID || t->special == LC_SPECIAL_UUID)
        return put_hex(v, 16, true, out), 16;
    size_t used = 0;
    switch (t->kind) {
    case LC_TYPE_PRODUCT:
        lc_buf_put_u8(out, '[');
        for (uint32_t i = 0; i < t->member_count; i++) {
            if (i) lc_buf_put_u8(out, ',');
            used += wire_value(t->members[i].type, v + used, out);
        }
        lc_buf_put_u8(out, ']');
        return used;
    case LC_TYPE_SUM:
        lc_buf_printf(out, "[%u,", *v);
        used = 1 + wire_value(t->members[*v].type, v + 1, out);
        lc_buf_put_u8(out, ']');
        return used;
    case LC_TYPE_ARRAY: {
        uint32_t n = lc_load_u32(v);
        if (lc_type_is_bytes(t)) return put_hex(v + 4, n, false, out), 4 + n;
        used = 4;
        lc_buf_put_u8(out, '[');
        for (uint32_t i = 0; i < n; i++) {
            if (i) lc_buf_put_u8(out, ',');
            used += wire_value(t->element, v + used, out);
        }
        lc_buf_put_u8(out, ']');
        return used;
    }
    case LC_TYPE_I128:
    case LC_TYPE_U128:
        lc_u128_to_decimal(v, t->kind == LC_TYPE_I128, out);
        return 16;
    case LC_TYPE_F32:
    case LC_TYPE_F64: {
        float f;
        double d;
        memcpy(&f, v, 4);
        if (t->kind == LC_TYPE_F64)
            memcpy(&d, v, 8);
        else
            d = f;
        if (d != d)
            lc_buf_put_str(out, "\"NaN\"");
        else if (d > 1.7976931348623157e308)
            lc_buf_put_str(out, "\"inf\"");
        else if (d < -1.7976931348623157e308)
            lc_buf_put_str(out, "\"-inf\"");
        else
            lc_buf_printf(out, "%.17g", d);
        return t->kind == LC_TYPE_F32 ? 4 : 8;
    }
    default:
        return lc_json_write(t, NULL, v, LC_JSON_UNTYPED, out);
    }
}

static bool has_256(const lc_type *t)
{
    if (t->special == LC_SPECIAL_IDENTITY) return false;
    if (t->kind == LC_TYPE_I256 || t->kind == LC_TYPE_U256) return true;
    for (uint32_t i = 0; i < t->member_count; i++)
        if (has_256(t->members[i].type)) return true;
    return false;
}

static void result_rows(const lc_type *type, const lc_rowset *rows, bool is_wire, texts *out)
{
    for (uint64_t i = 0; i < rows->count; i++) {
        lc_buf b = LC_BUF_INIT;
        if (is_wire)
            wire_value(type, lc_rowset_row(rows, i).ptr, &b);
        else
            lc_json_write(type, NULL, lc_rowset_row(rows, i).ptr, LC_JSON_UNTYPED, &b);
        lc_vec_push(out, canonical_text(lc_buf_span(&b)));
        lc_buf_deinit(&b);
    }
    sort_texts(out);
}

/* ------------------------------------------------------------------ running */

typedef struct tally {
    uint32_t passed, failed, later, free;
} tally;

static bool is_later(lc_status st, const lc_error *err)
{
    return st == LC_E_UNSUPPORTED && (strstr(lc_error_text(err), "not supported: joins") ||
                                      strstr(lc_error_text(err), "not supported: views"));
}

static bool same_rows(const texts *want, const texts *got)
{
    if (want->len != got->len) return false;
    for (size_t i = 0; i < want->len; i++)
        if (strcmp(want->items[i], got->items[i]) != 0) return false;
    return true;
}

static void report(const char *id, lc_span sql, const char *what, const char *want, const char *got)
{
    print_message("%s: %.*s\n  %s: want %.300s\n  %*s  got %.300s\n", id,
                  (int)(sql.len < 300 ? sql.len : 300), (const char *)sql.ptr, what, want,
                  (int)strlen(what), "", got);
}

static void join_texts(texts *t, lc_buf *b)
{
    lc_buf_reset(b);
    LC_VEC_EACH (s, t) lc_buf_printf(b, "%s ", *s);
    lc_buf_put_u8(b, 0);
}

/* Compares a result with what was expected; prints and returns false on a difference. */
static bool check_result(const char *id, lc_span sql, expectation *want, lc_status st,
                         const lc_error *err, const lc_plan *plan, const lc_rowset *rows,
                         const lc_query_stats *stats, bool is_wire)
{
    if (want->error || st) {
        const char *text = want->error ? want->error : "success";
        if (want->error && st && text_matches(want->error, lc_error_text(err))) return true;
        report(id, sql, "error", text, st ? lc_error_text(err) : "success");
        return false;
    }
    if (want->count >= 0) return rows->count == (uint64_t)want->count;
    bool ok = true;
    texts got = {0};
    if (lc_plan_row_type(plan)) {
        if (is_wire && has_256(lc_plan_row_type(plan))) return true;
        result_rows(lc_plan_row_type(plan), rows, is_wire, &got);
    }
    if (want->has_rows && !same_rows(&want->rows, &got)) {
        lc_buf a = LC_BUF_INIT, b = LC_BUF_INIT;
        join_texts(&want->rows, &a);
        join_texts(&got, &b);
        report(id, sql, "rows", (char *)a.ptr, (char *)b.ptr);
        lc_buf_deinit(&a);
        lc_buf_deinit(&b);
        ok = false;
    }
    texts_clear(&got);
    lc_vec_deinit(&got);
    if (want->schema) {
        lc_buf b = LC_BUF_INIT;
        lc_buf_put_u8(&b, '[');
        for (uint32_t i = 0; i < lc_plan_column_count(plan); i++) {
            lc_buf_put_str(&b, i ? ",[" : "[");
            lc_json_write_string(lc_plan_column_name(plan, i), &b);
            lc_buf_put_u8(&b, ',');
            lc_type_to_json(lc_plan_column_type(plan, i), &b);
            lc_buf_put_u8(&b, ']');
        }
        lc_buf_put_u8(&b, ']');
        char *schema = canonical_text(lc_buf_span(&b));
        if (strcmp(schema, want->schema) != 0) {
            report(id, sql, "schema", want->schema, schema);
            ok = false;
        }
        lc_free(schema);
        lc_buf_deinit(&b);
    }
    if (want->stats) {
        char text[80];
        snprintf(text, sizeof text, "[%llu,%llu,%llu]", (unsigned long long)stats->rows_inserted,
                 (unsigned long long)stats->rows_deleted, (unsigned long long)stats->rows_updated);
        if (strcmp(text, want->stats) != 0) {
            report(id, sql, "stats", want->stats, text);
            ok = false;
        }
    }
    return ok;
}

/* The text with its repetition and with ${name} filled in. */
static lc_buf full_text(const repetition *r, lc_span sql)
{
    lc_buf b = LC_BUF_INIT;
    const uint8_t *who = memmem(sql.ptr, sql.len, "${", 2), *end;
    if (who && (end = memchr(who, '}', sql.len - (size_t)(who - sql.ptr)))) {
        char *name = lc_span_to_cstr(LC_SPAN(who + 2, (size_t)(end - who - 2)));
        char hex[LC_IDENTITY_HEX + 1];
        lc_caller c = caller_of(name);
        lc_identity_to_hex(&c.identity, hex);
        lc_buf_put(&b, sql.ptr, (size_t)(who - sql.ptr));
        lc_buf_put_str(&b, hex);
        sql = LC_SPAN(end + 1, sql.len - (size_t)(end + 1 - sql.ptr));
        lc_free(name);
    }
    lc_buf_put_span(&b, sql);
    for (int64_t i = 0; i < r->count; i++) lc_buf_put_str(&b, r->unit);
    if (r->tail) lc_buf_put_str(&b, r->tail);
    return b;
}

static lc_status run_statement(lc_store *s, lc_plan *plan, const lc_caller *caller, lc_rowset *rows,
                               lc_query_stats *stats, lc_error *err)
{
    if (!lc_plan_is_write(plan)) {
        lc_status st = lc_query_check_row_limit(s, lc_plan_estimate(plan), caller, err);
        return st ? st : lc_plan_select(plan, rows, err);
    }
    lc_store_begin(s);
    lc_status st = lc_plan_write(plan, stats, err);
    if (st) {
        lc_store_rollback(s);
    } else {
        lc_store_commit(s);
        lc_store_release(s);
    }
    return st;
}

static void run_step(sql_kit *k, const test_case *c, step *s, tally *t)
{
    lc_caller caller = caller_of(s->as);
    lc_plan *plan = NULL;
    lc_rowset rows = {0};
    lc_query_stats stats = {0};
    lc_error err = LC_ERROR_INIT;
    lc_buf text = full_text(&s->repeat, s->sql);
    lc_span sql = lc_buf_span(&text);
    lc_status st = lc_plan_create(k->store, sql, LC_DIALECT_AD_HOC, &caller, &plan, &err);
    if (!st) st = run_statement(k->store, plan, &caller, &rows, &stats, &err);
    if (is_later(st, &err)) {
        t->later++;
    } else if (check_result(c->id, sql, &s->expect, st, &err, plan, &rows, &stats, false)) {
        t->passed++;
    } else if (c->may_differ) {
        t->free++;
    } else {
        t->failed++;
    }
    lc_plan_destroy(plan);
    lc_rowset_deinit(&rows);
    lc_error_clear(&err);
    lc_buf_deinit(&text);
}

/* Databases by name: each tag has its own. */
typedef struct databases {
    lc_map by_name;
} databases;

static sql_kit *database_of(databases *d, const char *name)
{
    sql_kit *k = lc_map_get(&d->by_name, lc_span_of_str(name));
    if (k) return k;
    k = lc_alloc(sizeof *k);
    sql_kit_init(k);
    lc_map_put(&d->by_name, lc_span_of_str(name), k);
    return k;
}

static void databases_deinit(databases *d)
{
    lc_map_entry *e;
    for (size_t i = 0; (e = lc_map_next(&d->by_name, &i));) {
        sql_kit_deinit(e->value);
        lc_free(e->value);
    }
    lc_map_deinit(&d->by_name);
}

typedef void (*run_case)(databases *d, test_case *c, tally *t);

static void run_file(const char *name, run_case run, tally *t)
{
    lc_buf text = LC_BUF_INIT;
    databases d = {0};
    kit_read_file(name, &text);
    for (size_t at = 0; at < text.len;) {
        const uint8_t *eol = memchr(text.ptr + at, '\n', text.len - at);
        size_t end = eol ? (size_t)(eol - text.ptr) : text.len;
        test_case c;
        if (end > at) {
            read_case(LC_SPAN(text.ptr + at, end - at), &c);
            if (strncmp(c.db, "sqlkit_rls", 10) != 0) run(&d, &c, t);
            case_clear(&c);
        }
        at = end + 1;
    }
    databases_deinit(&d);
    lc_buf_deinit(&text);
    print_message("%s: %u as recorded, %u allowed to differ, %u not executed yet, %u wrong\n", name,
                  t->passed, t->free, t->later, t->failed);
}

/* Cases that need more than SQL: reducer calls, and views that are refreshed by a write. */
static bool needs_a_module(test_case *c)
{
    LC_VEC_EACH (s, &c->steps)
        if (!s->sql.ptr) return true;
    return strstr(c->db, "fail") != NULL;
}

static void run_ad_hoc(databases *d, test_case *c, tally *t)
{
    if (needs_a_module(c)) {
        t->later++;
        return;
    }
    sql_kit *k = database_of(d, c->db);
    if (c->reset) sql_kit_seed(k);
    LC_VEC_EACH (s, &c->steps) run_step(k, c, s, t);
}

LC_TEST(ad_hoc_statements_answer_as_recorded)
{
    tally t = {0};
    run_file("ad-hoc.jsonl", run_ad_hoc, &t);
    assert_int_equal(t.failed, 0);
    assert_true(t.passed > 900);
}

/* --------------------------------------------------------------- live, one-off */

/* The texts that live adds or handles before a plan is made. */
static bool is_for_live(const test_case *c)
{
    lc_span text = lc_span_of_str(c->query);
    return strncmp(c->id, "sub-all", 7) == 0 && !memchr(text.ptr, ';', text.len) &&
           c->subscribe.error == NULL;
}

static void run_one(sql_kit *k, test_case *c, lc_dialect dialect, expectation *want, tally *t)
{
    if (!want->present) return;
    lc_caller caller = caller_of(c->as);
    lc_plan *plan = NULL;
    lc_rowset rows = {0};
    lc_query_stats stats = {0};
    lc_error err = LC_ERROR_INIT;
    lc_buf text = full_text(&c->repeat, lc_span_of_str(c->query));
    lc_span sql = lc_buf_span(&text);
    lc_status st = lc_plan_create(k->store, sql, dialect, &caller, &plan, &err);
    if (!st) st = lc_plan_select(plan, &rows, &err);
    if (want->error) {
        char *suffix = strstr(want->error, ", executing: `");
        if (dialect == LC_DIALECT_SUBSCRIPTION && suffix) *suffix = 0;
    }
    if (is_later(st, &err)) {
        t->later++;
    } else if (check_result(c->id, sql, want, st, &err, plan, &rows, &stats, true) &&
               (st || !want->table ||
                lc_span_equal_str(lc_table_name(lc_plan_table(plan)), want->table))) {
        t->passed++;
    } else if (c->may_differ) {
        t->free++;
    } else {
        t->failed++;
    }
    lc_plan_destroy(plan);
    lc_rowset_deinit(&rows);
    lc_error_clear(&err);
    lc_buf_deinit(&text);
}

static void run_live(databases *d, test_case *c, tally *t)
{
    sql_kit *k = database_of(d, c->db);
    if (!is_for_live(c)) run_one(k, c, LC_DIALECT_SUBSCRIPTION, &c->subscribe, t);
    run_one(k, c, LC_DIALECT_ONE_OFF, &c->oneoff, t);
}

LC_TEST(subscription_queries_answer_as_recorded)
{
    tally t = {0};
    run_file("subscribe.jsonl", run_live, &t);
    assert_int_equal(t.failed, 0);
    assert_true(t.passed > 250);
}

int main(void)
{
    return LC_TEST_RUN(cmocka_unit_test(ad_hoc_statements_answer_as_recorded),
                       cmocka_unit_test(subscription_queries_answer_as_recorded));
}
