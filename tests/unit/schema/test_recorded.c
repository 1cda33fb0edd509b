/*
 * The recorded definitions (tests/recorded/abi/definitions.json): every definition of version 9 or
 * 10 is read, the outcome compared with what the reference server answered, and the names that it
 * put into its system tables with those of the schema.
 */
#include "lc_test.h"

#include "json_tree.h"
#include "schema/lc_schema.h"

#define RECORDED "tests/recorded/abi/definitions.json"

enum { FIRST_ID = 4096 };

typedef struct counts {
    int accepted, refused, decode, version_8, rows, schemas, failed;
} counts;

static counts seen;

static void complain(const char *id, const char *fmt, ...) LC_PRINTF(2, 3);
static void complain(const char *id, const char *fmt, ...)
{
    lc_buf text = LC_BUF_INIT;
    va_list args;
    va_start(args, fmt);
    lc_buf_vprintf(&text, fmt, args);
    va_end(args);
    print_error("%s: " LC_SPAN_FMT "\n", id, LC_SPAN_ARG(text));
    lc_buf_deinit(&text);
    seen.failed++;
}

/* ------------------------------------------------- rows of system tables */

/* Ids as the store gives them: tables in order of name, then views. */
static uint32_t table_id(const lc_schema *s, const lc_table_def *t)
{
    return FIRST_ID + (uint32_t)(t - s->tables);
}

static const lc_table_def *table_of_id(const lc_schema *s, const json_node *id)
{
    unsigned long n = strtoul((const char *)id->text.ptr, NULL, 10) - FIRST_ID;
    return n < s->table_count ? &s->tables[n] : NULL;
}

static bool is_number(const json_node *n, int64_t value)
{
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)value);
    return n->kind == LC_JSON_NUMBER && lc_span_equal_str(n->text, text);
}

static bool is_span(const json_node *n, lc_span text)
{
    return n->kind == LC_JSON_STRING && lc_span_equal(n->text, text);
}

static bool is_columns(const json_node *n, const uint16_t *columns, uint32_t count)
{
    if (n->count != count) return false;
    for (uint32_t i = 0; i < count; i++)
        if (!is_number(n->items[i], columns[i])) return false;
    return true;
}

static bool is_i128(const json_node *n, lc_i128 v)
{
    uint8_t bytes[16];
    lc_store_u64(bytes, v.lo);
    lc_store_u64(bytes + 8, (uint64_t)v.hi);
    lc_buf text = LC_BUF_INIT;
    lc_u128_to_decimal(bytes, true, &text);
    bool same = lc_span_equal(n->text, lc_buf_span(&text));
    lc_buf_deinit(&text);
    return same;
}

static bool match_table(const lc_schema *s, json_node **v)
{
    const lc_table_def *t = lc_schema_find_table(s, v[0]->text);
    if (!t) {
        const lc_view_def *view = lc_schema_find_view(s, v[0]->text);
        return view && is_number(v[1], FIRST_ID + s->table_count + (view - s->views));
    }
    uint16_t key = (uint16_t)t->primary_key;
    return is_number(v[1], table_id(s, t)) &&
           json_tree_is(v[2], t->is_system ? "system" : "user") &&
           json_tree_is(v[3], t->is_public ? "public" : "private") &&
           is_number(v[4]->items[0], t->primary_key < 0) &&
           is_columns(v[4]->items[1], &key, t->primary_key >= 0);
}

static bool match_column(const lc_schema *s, json_node **v)
{
    const lc_table_def *t = table_of_id(s, v[0]);
    unsigned long at = strtoul((const char *)v[1]->text.ptr, NULL, 10);
    if (!t || at >= t->column_count || !is_span(v[2], t->columns[at].name)) return false;
    lc_buf type = LC_BUF_INIT;
    lc_type_encode(t->columns[at].type, &type);
    char *hex = lc_alloc(2 * type.len + 1);
    lc_hex_encode(type.ptr, type.len, hex);
    bool same = is_span(v[3], LC_SPAN(hex, 2 * type.len));
    lc_free(hex);
    lc_buf_deinit(&type);
    return same;
}

static bool match_index(const lc_schema *s, json_node **v)
{
    static const int tags[] = {[LC_INDEX_BTREE] = 1, [LC_INDEX_DIRECT] = 2, [LC_INDEX_HASH] = 3};
    const lc_table_def *t = table_of_id(s, v[1]);
    for (uint32_t i = 0; t && i < t->index_count; i++) {
        const lc_index_def *index = &t->indexes[i];
        if (is_span(v[0], index->name))
            return is_number(v[2]->items[0], tags[index->algorithm]) &&
                   (index->algorithm == LC_INDEX_DIRECT
                        ? is_number(v[2]->items[1], index->columns[0])
                        : is_columns(v[2]->items[1], index->columns, index->column_count));
    }
    return false;
}

static bool match_constraint(const lc_schema *s, json_node **v)
{
    const lc_table_def *t = table_of_id(s, v[1]);
    for (uint32_t i = 0; t && i < t->constraint_count; i++)
        if (is_span(v[0], t->constraints[i].name))
            return is_columns(v[2]->items[1], t->constraints[i].columns,
                              t->constraints[i].column_count);
    return false;
}

static bool match_sequence(const lc_schema *s, json_node **v)
{
    const lc_table_def *t = table_of_id(s, v[1]);
    for (uint32_t i = 0; t && i < t->sequence_count; i++) {
        const lc_sequence_def *q = &t->sequences[i];
        if (is_span(v[0], q->name))
            return is_number(v[2], q->column) && is_i128(v[3], q->increment) &&
                   is_i128(v[4], q->start) && is_i128(v[5], q->min_value) &&
                   is_i128(v[6], q->max_value);
    }
    return false;
}

static bool match_view(const lc_schema *s, json_node **v)
{
    const lc_view_def *view = lc_schema_find_view(s, v[1]->text);
    return view && is_number(v[0], FIRST_ID + (view - s->views)) &&
           v[4]->kind == (view->is_anonymous ? LC_JSON_TRUE : LC_JSON_FALSE);
}

static bool match_schedule(const lc_schema *s, json_node **v)
{
    const lc_table_def *t = table_of_id(s, v[1]);
    return t && t->schedule && is_span(v[2], t->schedule->function_name) &&
           is_span(v[3], t->schedule->name) && is_number(v[4], t->schedule->at_column);
}

static bool match_policy(const lc_schema *s, json_node **v)
{
    for (uint32_t i = 0; i < s->row_level_security_count; i++)
        if (is_span(v[1], s->row_level_security[i])) return true;
    return false;
}

static bool match_table_alias(const lc_schema *s, json_node **v)
{
    const lc_table_def *t = lc_schema_find_table(s, v[0]->text);
    return t && is_span(v[1], t->source_name);
}

static bool match_column_alias(const lc_schema *s, json_node **v)
{
    const lc_table_def *t = lc_schema_find_table(s, v[0]->text);
    for (uint32_t i = 0; t && i < t->column_count; i++)
        if (is_span(v[1], t->columns[i].name) && is_span(v[2], t->columns[i].source_name))
            return true;
    return false;
}

static bool match_index_alias(const lc_schema *s, json_node **v)
{
    for (uint32_t k = 0; k < s->table_count; k++)
        for (uint32_t i = 0; i < s->tables[k].index_count; i++)
            if (is_span(v[0], s->tables[k].indexes[i].name) &&
                is_span(v[1], s->tables[k].indexes[i].source_name))
                return true;
    return false;
}

static uint32_t count_parts(const lc_schema *s, char what)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->table_count; i++) {
        const lc_table_def *t = &s->tables[i];
        n += what == 'c'   ? t->column_count
             : what == 'i' ? t->index_count
             : what == 'u' ? t->constraint_count
             : what == 'q' ? t->sequence_count
                           : t->schedule != NULL;
    }
    return n;
}

/* Query text begins so; which row it yields; how many rows there are ('-' = not compared). */
static const struct {
    const char *query;
    bool (*match)(const lc_schema *, json_node **);
    char count;
} system_queries[] = {
    {"SELECT table_name, table_id, table_type", match_table, 't'},
    {"SELECT * FROM st_column WHERE", match_column, 'c'},
    {"SELECT index_name, table_id, index_algorithm", match_index, 'i'},
    {"SELECT constraint_name, table_id, constraint_data", match_constraint, 'u'},
    {"SELECT sequence_name, table_id, col_pos", match_sequence, 'q'},
    {"SELECT * FROM st_view", match_view, 'v'},
    {"SELECT * FROM st_scheduled", match_schedule, 's'},
    {"SELECT * FROM st_row_level_security", match_policy, 'r'},
    {"SELECT * FROM st_table_accessor", match_table_alias, '-'},
    {"SELECT * FROM st_column_accessor", match_column_alias, '-'},
    {"SELECT * FROM st_index_accessor", match_index_alias, '-'},
};

static void check_rows(const char *id, const lc_schema *s, const json_node *step)
{
    const json_node *query = json_tree_get(step, "q"), *rows = json_tree_get(step, "expect");
    if (rows->kind != LC_JSON_ARRAY_BEGIN) return;
    for (size_t i = 0; i < LC_ARRAY_LEN(system_queries); i++) {
        if (query->text.len < strlen(system_queries[i].query) ||
            memcmp(query->text.ptr, system_queries[i].query, strlen(system_queries[i].query)) != 0)
            continue;
        char what = system_queries[i].count;
        uint32_t count = what == 't'   ? s->table_count + s->view_count
                         : what == 'v' ? s->view_count
                         : what == 'r' ? s->row_level_security_count
                         : what == '-' ? (uint32_t)rows->count
                                       : count_parts(s, what);
        if (count != rows->count)
            complain(id, "%u rows instead of %zu: " LC_SPAN_FMT, count, rows->count,
                     LC_SPAN_ARG(query->text));
        for (size_t r = 0; r < rows->count; r++) {
            seen.rows++;
            if (!system_queries[i].match(s, rows->items[r]->items))
                complain(id, "row %zu differs: " LC_SPAN_FMT, r, LC_SPAN_ARG(query->text));
        }
    }
}

/* -------------------------------------------------------------- the cases */

static void check_schema_output(const char *id, const lc_schema *s, const json_node *step)
{
    const json_node *want = json_tree_get(json_tree_get(step, "expect"), "schema");
    uint32_t version = json_tree_is(json_tree_get(step, "version"), "9") ? 9 : 10;
    lc_arena arena = LC_ARENA_INIT;
    lc_buf json = LC_BUF_INIT;
    lc_schema_to_json(s, version, &json);
    json_node *got = json_tree_parse(&arena, lc_buf_span(&json));
    seen.schemas++;
    if (!got || !json_tree_equal(want, got, true))
        complain(id, "schema: " LC_SPAN_FMT, LC_SPAN_ARG(json));
    lc_buf_deinit(&json);
    lc_arena_deinit(&arena);
}

/* Calls tell which functions there are, and who may call them. */
static void check_call(const char *id, const lc_schema *s, const json_node *step)
{
    lc_span name = json_tree_get(step, "fn")->text;
    const json_node *status = json_tree_get(json_tree_get(step, "expect"), "status");
    const lc_function_def *f = lc_schema_find_reducer(s, name);
    if (!f) f = lc_schema_find_procedure(s, name);
    bool as_owner = !json_tree_is(json_tree_get(step, "as"), "other");
    bool found = f && (as_owner || f->is_client_callable);
    if (found == is_number(status, 404)) complain(id, "call of " LC_SPAN_FMT, LC_SPAN_ARG(name));
}

static void check_steps(const char *id, const lc_schema *s, const json_node *steps)
{
    for (size_t i = 1; i < steps->count; i++) {
        const json_node *step = steps->items[i], *kind = json_tree_get(step, "do");
        if (json_tree_is(kind, "sql"))
            check_rows(id, s, step);
        else if (json_tree_is(kind, "schema"))
            check_schema_output(id, s, step);
        else if (json_tree_is(kind, "call"))
            check_call(id, s, step);
    }
}

static bool begins_with(lc_span text, const char *prefix)
{
    size_t n = strlen(prefix);
    return text.len >= n && memcmp(text.ptr, prefix, n) == 0;
}

/* Whether validation, not a later stage, is what gives the recorded answer. */
static void check_refusal(const char *id, const json_node *expect, const char *text)
{
    lc_span body = json_tree_get(expect, "body")->text;
    if (begins_with(body, "Errors occurred:")) {
        seen.refused++;
        if (!lc_span_equal_str(body, text))
            complain(id, "\n  got  %s\n  want " LC_SPAN_FMT, text, LC_SPAN_ARG(body));
    } else if (begins_with(body, "error getting module description: ")) {
        const char *bare = strstr(text, "description: ");
        bare = bare ? bare + strlen("description: ") : text;
        char *want = lc_format("error getting module description: %s: %s: %s", text, text, bare);
        seen.decode++;
        if (!lc_span_equal_str(body, want))
            complain(id, "\n  got  %s\n  want " LC_SPAN_FMT, want, LC_SPAN_ARG(body));
        lc_free(want);
    } else if (!begins_with(body, "failed to create table ")) {
        complain(id, "refused: %s", text);
    }
}

static void check_case(const json_node *c)
{
    const json_node *steps = json_tree_get(c, "steps");
    const json_node *step = steps->items[0], *expect = json_tree_get(step, "expect");
    const json_node *hex = json_tree_get(json_tree_get(step, "wasm"), "def_hex");
    const char *id = (const char *)json_tree_get(c, "id")->text.ptr;
    lc_span raw = LC_SPAN(lc_alloc(hex->text.len / 2 + 1), hex->text.len / 2);
    assert_true(lc_hex_decode(hex->text, (uint8_t *)(uintptr_t)raw.ptr));

    lc_schema *s = NULL;
    lc_error err = LC_ERROR_INIT;
    lc_status st = lc_schema_read(raw, &s, &err);
    /* What the reference refuses only after validation, creating policies, is accepted here. */
    bool ok = json_tree_get(expect, "op") != NULL ||
              begins_with(json_tree_get(expect, "body")->text, "failed to create row-level");
    if (raw.len && raw.ptr[0] == 0) {
        seen.version_8++;
        if (st != LC_E_INVALID || !strstr(lc_error_text(&err), "version 8"))
            complain(id, "version 8: %s", lc_error_text(&err));
    } else if (st != LC_OK && ok) {
        complain(id, "refused: %s", lc_error_text(&err));
    } else if (st != LC_OK) {
        check_refusal(id, expect, lc_error_text(&err));
    } else if (!ok) {
        complain(id, "accepted, but: " LC_SPAN_FMT,
                 LC_SPAN_ARG(json_tree_get(expect, "body")->text));
    } else {
        seen.accepted++;
        check_steps(id, s, steps);
    }
    lc_schema_unref(s);
    lc_error_clear(&err);
    lc_free((void *)(uintptr_t)raw.ptr);
}

LC_TEST(definitions_are_read_as_recorded)
{
    lc_arena arena = LC_ARENA_INIT;
    const json_node *file = json_tree_load(&arena, RECORDED);
    const json_node *cases = json_tree_get(file, "cases");
    assert_true(cases->count > 200);
    for (size_t i = 0; i < cases->count; i++) check_case(cases->items[i]);
    print_message(
        "%zu cases: %d accepted, %d refused, %d undecodable, %d of version 8; %d rows, %d "
        "schemas compared; %d differences\n",
        cases->count, seen.accepted, seen.refused, seen.decode, seen.version_8, seen.rows,
        seen.schemas, seen.failed);
    lc_arena_deinit(&arena);
    assert_int_equal(seen.failed, 0);
}

int main(void)
{
    return LC_TEST_RUN(cmocka_unit_test(definitions_are_read_as_recorded));
}
