/* Recorded publishes of WebAssembly modules: what the reference says to each, up to the point where
 * the definition is read. The host's part of a publish is loading the program and starting an
 * instance. */
#include <regex.h>

#include "host_test.h"
#include "sats/lc_sats.h"

#define RECORDED "tests/recorded/abi/loading.json"

static host_fixture fixture;

/* ------------------------------------------------------------- JSON as tree */

typedef struct node {
    const char *key, *text; /* text: of strings and numbers */
    struct node *children, *next;
    size_t count;
} node;

static lc_arena arena;

static node *read_node(lc_json *j, lc_json_token token)
{
    node *n = lc_arena_alloc_zero(&arena, sizeof *n);
    if (token == LC_JSON_STRING || token == LC_JSON_NUMBER)
        n->text = lc_arena_cstr(&arena, j->text);
    if (token != LC_JSON_ARRAY_BEGIN && token != LC_JSON_OBJECT_BEGIN) {
        assert_int_not_equal(token, LC_JSON_BAD);
        return n;
    }
    node **end = &n->children;
    for (;;) {
        const char *key = NULL;
        token = lc_json_next(j);
        if (token == LC_JSON_ARRAY_END || token == LC_JSON_OBJECT_END) return n;
        if (token == LC_JSON_KEY) {
            key = lc_arena_cstr(&arena, j->text);
            token = lc_json_next(j);
        }
        *end = read_node(j, token);
        (*end)->key = key;
        end = &(*end)->next;
        n->count++;
    }
}

static const node *get(const node *n, const char *key)
{
    for (n = n->children; n; n = n->next)
        if (n->key && strcmp(n->key, key) == 0) return n;
    return NULL;
}

static const char *get_text(const node *n, const char *key)
{
    n = get(n, key);
    return n ? n->text : NULL;
}

/* ------------------------------------------------------------------- cases */

static lc_buf from_base64(const char *text)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    lc_buf out = LC_BUF_INIT;
    uint32_t bits = 0;
    for (int count = 0; *text && *text != '='; text++) {
        const char *at = strchr(digits, *text);
        assert_non_null(at);
        bits = bits << 6 | (uint32_t)(at - digits);
        count += 6;
        if (count >= 8) {
            count -= 8;
            lc_buf_put_u8(&out, (uint8_t)(bits >> count));
        }
    }
    return out;
}

static bool matches(const node *want, const char *got)
{
    if (want->text) return strcmp(want->text, got) == 0;
    regex_t re;
    char *whole = lc_format("^(%s)$", get_text(want, "$re"));
    assert_int_equal(regcomp(&re, whole, REG_EXTENDED | REG_NOSUB), 0);
    bool same = regexec(&re, got, 0, NULL, 0) == 0;
    regfree(&re);
    lc_free(whole);
    return same;
}

/* The messages among the expected log records that the module itself wrote. */
static char *module_messages(const node *records)
{
    lc_buf out = LC_BUF_INIT;
    for (const node *record = records->children; record; record = record->next) {
        const char *message = get_text(record, "message");
        if (get(record, "filename") || strcmp(message, "Database initialized") == 0) continue;
        lc_buf_put_str(&out, message);
        lc_buf_put_u8(&out, '\n');
    }
    return lc_buf_give_cstr(&out);
}

/* The same of what the fixture kept. */
static char *logged_messages(void)
{
    lc_buf out = LC_BUF_INIT;
    lc_span log = lc_buf_span(&fixture.log);
    for (size_t at = 0; at < log.len;) {
        for (int bars = 0; bars < 5; at++) bars += log.ptr[at] == '|';
        for (; log.ptr[at] != '\n'; at++) lc_buf_put_u8(&out, log.ptr[at]);
        lc_buf_put_u8(&out, '\n');
        at++;
    }
    lc_buf_reset(&fixture.log);
    return lc_buf_give_cstr(&out);
}

static lc_instance *publish(lc_span wasm, lc_error *err)
{
    lc_program *program;
    lc_instance *i = NULL;
    host_catch_traps();
    if (lc_program_load(fixture.engine, wasm, &program, err) != LC_OK) return NULL;
    lc_instance_create(program, &fixture.env, &i, NULL, err);
    lc_program_unref(program);
    return i;
}

/* Runs one case; gives what is wrong as text, or NULL. */
static char *run_case(const node *c)
{
    lc_instance *instance = NULL;
    char *wrong = NULL;
    lc_buf_reset(&fixture.log);
    for (const node *step = get(c, "steps")->children; !wrong && step; step = step->next) {
        const node *want = get(step, "expect");
        const char *what = get_text(step, "do");
        if (strcmp(what, "publish") == 0) {
            lc_buf wasm = from_base64(get_text(get(step, "wasm"), "b64"));
            lc_error err = LC_ERROR_INIT;
            instance = publish(lc_buf_span(&wasm), &err);
            bool ok = strcmp(get_text(want, "status"), "200") == 0;
            const char *body = ok ? "" : get_text(want, "body");
            /* Reading the definition is not the host's part. */
            if (body && strstr(body, "error getting module description: error decoding")) ok = true;
            if (ok != (instance != NULL) ||
                (!ok && !matches(get(want, "body"), lc_error_text(&err))))
                wrong = lc_format("publish gives \"%s\", not \"%s\"", lc_error_text(&err),
                                  body ? body : "a pattern");
            lc_error_clear(&err);
            lc_buf_deinit(&wasm);
        } else if (strcmp(what, "call") == 0) {
            lc_buf text = LC_BUF_INIT;
            long status = strtol(get_text(want, "status"), NULL, 10);
            if (!instance) {
                if (status != 404) wrong = lc_strdup("there is nothing to call");
                continue;
            }
            lc_outcome outcome = host_call(&fixture, instance, 0, LC_SPAN_EMPTY, &text);
            if (outcome != LC_OUTCOME_OK && outcome != LC_OUTCOME_USER_ERROR) {
                lc_buf_reset(&text);
                lc_buf_put_str(&text, "The instance encountered a fatal error.");
            }
            lc_span got = lc_buf_span(&text);
            const char *body = get_text(want, "body");
            if (status != (outcome == LC_OUTCOME_OK ? 200 : 530) ||
                strncmp(body, got.ptr ? (const char *)got.ptr : "", got.len) != 0)
                wrong = lc_format("call gives outcome %d \"" LC_SPAN_FMT "\"", (int)outcome,
                                  LC_SPAN_ARG(got));
            lc_buf_deinit(&text);
        } else if (strcmp(what, "logs") == 0) {
            char *expected = module_messages(want), *got = logged_messages();
            if (strcmp(expected, got) != 0)
                wrong = lc_format("log is \"%s\", not \"%s\"", got, expected);
            lc_free(expected);
            lc_free(got);
        }
    }
    lc_instance_destroy(instance);
    return wrong;
}

LC_TEST(recorded_publishes)
{
    lc_buf file = LC_BUF_INIT;
    lc_error err = LC_ERROR_INIT;
    assert_ok(lc_disk_read_file(lc_disk_system(), RECORDED, &file, &err), &err);
    lc_json j;
    lc_json_init(&j, lc_buf_span(&file), &err);
    const node *root = read_node(&j, lc_json_next(&j));
    lc_json_deinit(&j);
    lc_buf_deinit(&file);
    const node *cases = get(root, "cases");
    assert_true(cases->count > 40);

    host_fixture_open(&fixture, 0, NULL);
    int failures = 0;
    for (const node *c = cases->children; c; c = c->next) {
        char *wrong = run_case(c);
        if (wrong) {
            bool is_optional = get(c, "optional") != NULL;
            print_message("%s %s: %s\n", is_optional ? "NOTE" : "FAIL", get_text(c, "id"), wrong);
            failures += !is_optional;
            lc_free(wrong);
        }
    }
    host_fixture_close(&fixture);
    lc_arena_deinit(&arena);
    assert_int_equal(failures, 0);
}

int main(void)
{
    return LC_TEST_RUN(cmocka_unit_test(recorded_publishes));
}
