/* TOML, configuration, durations, metadata, names. */
#include "lc_test.h"

#include "server/server_internal.h"

static void toml_fails(const char *text, const char *want)
{
    lc_toml t;
    lc_error err = LC_ERROR_INIT;
    if (lc_toml_parse(lc_span_of_str(text), &t, &err) == LC_OK) fail_msg("accepted: %s", text);
    assert_string_equal(lc_error_text(&err), want);
    lc_error_clear(&err);
}

static lc_toml_value *get(lc_toml *t, const char *path, lc_toml_kind kind)
{
    lc_toml_value *v = lc_toml_get(t, path);
    if (!v) fail_msg("no %s", path);
    assert_int_equal(v->kind, kind);
    return v;
}

LC_TEST(toml_values_are_read)
{
    static const char text[] = "# comment\n"
                               "title = \"a \\\"b\\\" \\u00e9 \\t\" # more\r\n"
                               "raw = 'C:\\x'\n"
                               "[a]\n"
                               "n = 1_000\n"
                               "h=0xFF\n"
                               "o = 0o17\n"
                               "b = 0b101\n"
                               "neg = -17\n"
                               "on = true\n"
                               "off = false\n"
                               "f = 6.5e-1\n"
                               "inf = -inf\n"
                               "day = 2024-01-02T03:04:05Z\n"
                               "day2 = 2024-01-02 03:04:05\n"
                               "[ a . \"b.c\" ]\n"
                               "x.y = \"deep\"\n"
                               "list = [\n  \"one\", # first\n  'two',\n]\n"
                               "none = []\n"
                               "mixed = [1, \"a\", [2]]\n"
                               "inline = { p = 1, q = { r = \"s\" } }\n"
                               "[[servers]]\n"
                               "name = \"a\"\n"
                               "[[servers]]\n"
                               "name = \"b\"\n"
                               "[last]\n"
                               "1 = 2\n"
                               "tables = [{a = 1}, {a = 2}]";
    lc_toml t;
    lc_error err = LC_ERROR_INIT;
    assert_ok(lc_toml_parse(LC_STR(text), &t, &err), &err);
    assert_string_equal(get(&t, "title", LC_TOML_STRING)->text, "a \"b\" \xc3\xa9 \t");
    assert_string_equal(get(&t, "raw", LC_TOML_STRING)->text, "C:\\x");
    assert_int_equal(get(&t, "a.n", LC_TOML_INTEGER)->integer, 1000);
    assert_int_equal(get(&t, "a.h", LC_TOML_INTEGER)->integer, 255);
    assert_int_equal(get(&t, "a.o", LC_TOML_INTEGER)->integer, 15);
    assert_int_equal(get(&t, "a.b", LC_TOML_INTEGER)->integer, 5);
    assert_int_equal(get(&t, "a.neg", LC_TOML_INTEGER)->integer, -17);
    assert_int_equal(get(&t, "a.on", LC_TOML_BOOLEAN)->integer, 1);
    assert_int_equal(get(&t, "a.off", LC_TOML_BOOLEAN)->integer, 0);
    assert_string_equal(get(&t, "a.f", LC_TOML_FLOAT)->text, "6.5e-1");
    get(&t, "a.inf", LC_TOML_FLOAT);
    get(&t, "a.day", LC_TOML_DATE);
    assert_string_equal(get(&t, "a.day2", LC_TOML_DATE)->text, "2024-01-02 03:04:05");
    assert_string_equal(get(&t, "a.b.c.x.y", LC_TOML_STRING)->text, "deep");
    lc_toml_value *list = get(&t, "a.b.c.list", LC_TOML_STRINGS);
    assert_int_equal(list->strings.len, 2);
    assert_string_equal(list->strings.items[1], "two");
    assert_int_equal(get(&t, "a.b.c.none", LC_TOML_STRINGS)->strings.len, 0);
    get(&t, "a.b.c.mixed", LC_TOML_ARRAY);
    assert_int_equal(get(&t, "a.b.c.inline.p", LC_TOML_INTEGER)->integer, 1);
    assert_string_equal(get(&t, "a.b.c.inline.q.r", LC_TOML_STRING)->text, "s");
    assert_null(lc_toml_get(&t, "servers.name"));
    assert_int_equal(get(&t, "last.1", LC_TOML_INTEGER)->integer, 2);
    get(&t, "last.tables", LC_TOML_ARRAY);
    assert_true(lc_toml_has_table(&t, "a"));
    assert_true(lc_toml_has_table(&t, "a.b.c.inline"));
    assert_false(lc_toml_has_table(&t, "b"));
    lc_toml_deinit(&t);
    assert_ok(lc_toml_parse(LC_SPAN_EMPTY, &t, &err), &err);
    lc_toml_deinit(&t);
}

LC_TEST(toml_mistakes_have_a_line)
{
    toml_fails("a", "line 1: expected `=`");
    toml_fails("a = ", "line 1: expected a value");
    toml_fails("\n\na = x", "line 3: not a value");
    toml_fails("a = 1 b = 2", "line 1: something behind the value");
    toml_fails("= 1", "line 1: expected a key");
    toml_fails("[a", "line 1: expected `]`");
    toml_fails("[[a]", "line 1: expected `]]`");
    toml_fails("[]", "line 1: expected a key");
    toml_fails("a = \"x", "line 1: string without an end");
    toml_fails("a = \"x\ny\"", "line 1: string without an end");
    toml_fails("a = \"\\q\"", "line 1: unknown escape in a string");
    toml_fails("a = \"\\ud800\"", "line 1: no such character");
    toml_fails("a = \"\\u0000\"", "line 1: NUL in a string");
    toml_fails("a = \"\"\"x\"\"\"", "line 1: strings of several lines are not known");
    toml_fails("a = 1\na = 2", "line 2: the key is defined twice");
    toml_fails("[a]\n[a]", "line 2: the table is defined twice");
    toml_fails("a = 1\n[a]", "line 2: the table is defined twice");
    toml_fails("a = [1", "line 1: expected `,` or `]`");
    toml_fails("a = {b = 1", "line 1: expected `,` or `}`");
    toml_fails("a = 01", "line 1: not a value");
    toml_fails("a = 1__0", "line 1: not a value");
    toml_fails("a = 9223372036854775808", "line 1: not a value");
    toml_fails("a = 1.", "line 1: not a value");
    toml_fails("a = \"\xff\"", "line 1: not UTF-8");
    char deep[100] = "a = ";
    memset(deep + 4, '[', 60);
    toml_fails(deep, "line 1: nested too deeply");
}

/* Whatever the bytes: an answer, and nothing leaked. */
LC_TEST(toml_survives_anything)
{
    static const char base[] =
        "a = \"b\"\n[t.\"u v\"]\nx = [1, 2, {y = 'z'}]\nq = { r = 1.5 }\n[[s]]\n"
        "d = 2024-01-02 03:04:05\n";
    uint64_t seed = 11;
    for (int i = 0; i < 20000; i++) {
        char text[sizeof base];
        memcpy(text, base, sizeof base);
        size_t len = 1 + lc_test_random(&seed) % (sizeof base - 1);
        for (int k = 0; k < 3; k++)
            text[lc_test_random(&seed) % len] =
                lc_test_random(&seed) % 2 ? base[lc_test_random(&seed) % (sizeof base - 1)]
                                          : (char)lc_test_random(&seed);
        lc_toml t;
        if (lc_toml_parse(LC_SPAN(text, len), &t, NULL) == LC_OK) lc_toml_deinit(&t);
    }
}

static void duration(const char *text, uint64_t want)
{
    uint64_t millis;
    lc_error err = LC_ERROR_INIT;
    assert_ok(lc_duration_parse_millis(lc_span_of_str(text), &millis, &err), &err);
    assert_int_equal(millis, want);
}

static void duration_fails(const char *text, const char *want)
{
    uint64_t millis;
    lc_error err = LC_ERROR_INIT;
    assert_int_equal(lc_duration_parse_millis(lc_span_of_str(text), &millis, &err), LC_E_INVALID);
    assert_string_equal(lc_error_text(&err), want);
    lc_error_clear(&err);
}

LC_TEST(durations_are_for_people)
{
    duration("15s", 15000);
    duration("250ms", 250);
    duration("1h 30min", 5400000);
    duration("1h30m5sec", 5405000);
    duration(" 2 days ", 172800000);
    duration("0s", 0);
    duration("1ns", 1);
    duration("1us", 1);
    duration("1week", 604800000);
    duration_fails("5", "time unit needed, for example 5sec or 5ms");
    duration_fails("x", "expected number at 0");
    duration_fails("", "value was empty");
    duration_fails("-1s", "expected number at 0");
    duration_fails("99999999999999999999s", "number is too large");
    duration_fails("9999999999999weeks", "number is too large");
    duration_fails("1fortnight",
                   "unknown time unit \"fortnight\", supported units: ns, us, ms, sec, "
                   "min, hours, days, weeks");
}

/* ----------------------------------------------------------------------- files */

static char folder[] = "/tmp/lc-config-XXXXXX";

static char *put_file(const char *name, const char *text)
{
    char *path = lc_format("%s/%s", folder, name);
    if (text)
        assert_int_equal(lc_disk_write_file(lc_disk_system(), path, lc_span_of_str(text), NULL),
                         LC_OK);
    return path;
}

static char *read_back(const char *path)
{
    lc_buf b = LC_BUF_INIT;
    assert_int_equal(lc_disk_read_file(lc_disk_system(), path, &b, NULL), LC_OK);
    return lc_buf_give_cstr(&b);
}

static void config_fails(const char *text, const char *want)
{
    char *path = put_file("c.toml", text);
    lc_node_settings s;
    lc_error err = LC_ERROR_INIT;
    assert_int_equal(lc_node_settings_load(path, &s, &err), LC_E_INVALID);
    char *full = lc_format(want, path);
    assert_string_equal(lc_error_text(&err), full);
    lc_free(full);
    lc_free(path);
    lc_error_clear(&err);
}

LC_TEST(config_is_made_and_read)
{
    lc_error err = LC_ERROR_INIT;
    lc_node_settings s;
    char *path = put_file("new.toml", NULL);
    assert_ok(lc_node_settings_load(path, &s, &err), &err);
    assert_int_equal(s.config.ws_ping_interval_millis, 15000);
    assert_int_equal(s.config.ws_idle_timeout_millis, 30000);
    assert_int_equal(s.config.ws_close_timeout_millis, 250);
    assert_int_equal(s.config.ws_incoming_queue_length, 16384);
    assert_int_equal(s.config.commitlog_max_segment_size, 1073741824);
    assert_int_equal(s.config.durability, LC_DURABILITY_GROUP);
    assert_int_equal(s.config.storage.snapshot_log_bytes, 268435456);
    assert_int_equal(s.config.storage.keep_snapshots, 2);
    assert_int_equal(s.config.storage.keep_micros, 7ll * 24 * 3600 * 1000000);
    assert_false(s.config.storage.keep_all);
    assert_false(s.config.storage.no_snapshot_at_close);
    assert_false(s.config.storage.no_compression);
    assert_int_equal(s.config.call_time_limit_millis, 60000);
    assert_int_equal(s.config.log_level, LC_LOG_INFO);
    assert_null(s.private_key_path);
    lc_node_settings_deinit(&s);
    char *text = read_back(path);
    assert_non_null(strstr(text, "# ping-interval = \"15s\""));
    /* The defaults in comments are the defaults. */
    for (char *at = text; (at = strstr(at, "\n# ["));) memcpy(at, "\n  ", 3);
    for (char *at = text; (at = strstr(at, "\n# ")); at++)
        if (strchr(at + 1, '=') && strchr(at + 1, '=') < strchr(at + 1, '\n'))
            memcpy(at, "\n  ", 3);
    lc_free(path);
    path = put_file("plain.toml", text);
    assert_ok(lc_node_settings_load(path, &s, &err), &err);
    assert_int_equal(s.config.ws_idle_timeout_millis, 30000);
    assert_int_equal(s.config.call_time_limit_millis, 60000);
    assert_int_equal(s.config.durability, LC_DURABILITY_GROUP);
    assert_int_equal(s.config.storage.snapshot_log_bytes, 268435456);
    assert_int_equal(s.config.storage.keep_micros, 7ll * 24 * 3600 * 1000000);
    assert_false(s.config.storage.no_snapshot_at_close);
    assert_false(s.config.storage.no_compression);
    assert_string_equal(s.public_key_path, "/path/to/id_ecdsa.pub");
    lc_node_settings_deinit(&s);
    lc_free(text);
    lc_free(path);

    setenv("HOME", "/home/me", 1);
    path = put_file("full.toml",
                    "[certificate-authority]\njwt-priv-key-path = \"~/k\"\n"
                    "jwt-pub-key-path = '/p'\n[logs]\nlevel = \"DEBUG\"\n"
                    "[websocket]\nping-interval = \"1min\"\nidle-timeout = \"2s\"\n"
                    "close-handshake-timeout=\"1s 1ms\"\nincoming-queue-length = 5\n"
                    "[commitlog]\nmax-segment-size = 65536\ndurability = \"each\"\n"
                    "[snapshots]\nlog-bytes = 262144\nkeep = 3\nat-shutdown = false\n"
                    "[retention]\nkeep = \"2s\"\ncompress = false\n[wasm]\n"
                    "reducer-time-limit = \"1s\"\nprocedure-instance-pool-size = 3\n"
                    "[v8-heap-policy]\nheap-gc-trigger-fraction = 0.67\n[later]\nx = []\n");
    assert_ok(lc_node_settings_load(path, &s, &err), &err);
    assert_int_equal(s.config.ws_ping_interval_millis, 60000);
    assert_int_equal(s.config.ws_idle_timeout_millis, 2000);
    assert_int_equal(s.config.ws_close_timeout_millis, 1001);
    assert_int_equal(s.config.ws_incoming_queue_length, 5);
    assert_int_equal(s.config.commitlog_max_segment_size, 65536);
    assert_int_equal(s.config.durability, LC_DURABILITY_EACH);
    assert_int_equal(s.config.storage.snapshot_log_bytes, 262144);
    assert_int_equal(s.config.storage.keep_snapshots, 3);
    assert_int_equal(s.config.storage.keep_micros, 2000000);
    assert_true(s.config.storage.no_snapshot_at_close);
    assert_true(s.config.storage.no_compression);
    assert_int_equal(s.config.call_time_limit_millis, 1000);
    assert_int_equal(s.config.log_level, LC_LOG_DEBUG);
    assert_string_equal(s.private_key_path, "/home/me/k");
    assert_string_equal(s.public_key_path, "/p");
    lc_node_settings_deinit(&s);
    lc_free(path);

    path = put_file("all.toml", "[retention]\nkeep = \"all\"\n");
    assert_ok(lc_node_settings_load(path, &s, &err), &err);
    assert_true(s.config.storage.keep_all);
    lc_node_settings_deinit(&s);
    lc_free(path);

    path = put_file("empty.toml", "");
    assert_ok(lc_node_settings_load(path, &s, &err), &err);
    assert_int_equal(s.config.log_level, LC_LOG_ERROR);
    lc_node_settings_deinit(&s);
    lc_free(path);
}

LC_TEST(config_mistakes_name_the_file)
{
    config_fails("a\n", "invalid TOML syntax in %s: line 1: expected `=`");
    config_fails("[websocket]\nping-interval = 5\n",
                 "%s: `websocket.ping-interval` must be a duration such as \"15s\"");
    config_fails("[websocket]\nping-interval = \"5\"\n",
                 "%s: `websocket.ping-interval`: time unit needed, for example 5sec or 5ms");
    config_fails("[websocket]\nincoming-queue-length = 0\n",
                 "%s: `websocket.incoming-queue-length` must be at least 1");
    config_fails("[websocket]\nincoming-queue-length = -1\n",
                 "%s: `websocket.incoming-queue-length` must be a whole number");
    config_fails("[commitlog]\ndurability = \"maybe\"\n",
                 "%s: `commitlog.durability` is \"maybe\" but must be \"group\", \"each\" or "
                 "\"relaxed\"");
    config_fails("[commitlog]\ndurability = 1\n",
                 "%s: `commitlog.durability` must be \"group\", \"each\" or \"relaxed\"");
    config_fails("[snapshots]\nlog-bytes = 0\n", "%s: `snapshots.log-bytes` must be at least 4096");
    config_fails("[snapshots]\nkeep = 1\n", "%s: `snapshots.keep` must be at least 2");
    config_fails("[snapshots]\nat-shutdown = \"yes\"\n",
                 "%s: `snapshots.at-shutdown` must be true or false");
    config_fails("[retention]\nkeep = \"seven\"\n",
                 "%s: `retention.keep` is \"seven\" but must be \"all\" or a duration such as "
                 "\"7days\"");
    config_fails("[retention]\nkeep = \"0s\"\n",
                 "%s: `retention.keep` is \"0s\" but must be \"all\" or a duration such as "
                 "\"7days\"");
    config_fails("[retention]\ncompress = 1\n", "%s: `retention.compress` must be true or false");
    config_fails("[logs]\nlevel = \"loud\"\n",
                 "%s: `logs.level` must be off, error, warn, info, debug or trace");
    config_fails("[certificate-authority]\njwt-pub-key-path = \"a\"\n",
                 "%s: table `certificate-authority` needs both `jwt-priv-key-path` and "
                 "`jwt-pub-key-path`");
}

static void metadata(const char *text, lc_status want, const char *after)
{
    char *path = put_file("m.toml", text);
    lc_error err = LC_ERROR_INIT;
    lc_status rc = lc_node_check_metadata(path, &err);
    if (rc != want) print_error("%s: %s\n", text, lc_error_text(&err));
    assert_int_equal(rc, want);
    char *now = read_back(path);
    assert_non_null(strstr(now, after));
    lc_free(now);
    lc_free(path);
    lc_error_clear(&err);
}

LC_TEST(metadata_is_made_raised_and_never_lowered)
{
    char *path = put_file("fresh.toml", NULL);
    assert_int_equal(lc_node_check_metadata(path, NULL), LC_OK);
    char *text = read_back(path);
    assert_string_equal(text,
                        "# THIS FILE IS GENERATED BY SPACETIMEDB, DO NOT MODIFY!\n\nversion = "
                        "\"2.8.3\"\nedition = \"standalone\"\n");
    lc_free(text);
    lc_free(path);
    metadata("version = \"2.8.3\"\nedition = \"standalone\"\n", LC_OK, "2.8.3");
    metadata("version = \"2.7.0\"\nedition = \"standalone\"\n", LC_OK, "2.8.3");
    metadata("version = \"2.8.9\"\nedition = \"standalone\"\n", LC_OK, "2.8.9");
    metadata("version = \"1.12.0\"\nedition = \"standalone\"\n", LC_OK, "2.8.3");
    metadata("version = \"2.9.0\"\nedition = \"standalone\"\n", LC_E_INVALID, "2.9.0");
    metadata("version = \"3.0.0\"\nedition = \"standalone\"\n", LC_E_INVALID, "3.0.0");
    metadata("version = \"2.8.3\"\nedition = \"cloud\"\n", LC_E_INVALID, "cloud");
    metadata("version = \"two\"\nedition = \"standalone\"\n", LC_E_INVALID, "two");
    metadata("version\n", LC_E_INVALID, "version");
}

/* ----------------------------------------------------------------------- names */

#define HEX64 "00000000000000000000000000000000000000000000000000000000deadbe01"

static void name(const char *text, const char *refusal)
{
    lc_error err = LC_ERROR_INIT;
    lc_status rc = lc_database_name_check(lc_span_of_str(text), &err);
    assert_int_equal(rc, refusal ? LC_E_INVALID : LC_OK);
    assert_string_equal(lc_error_text(&err), refusal ? refusal : "");
    lc_error_clear(&err);
}

LC_TEST(names_follow_the_rules)
{
    static const char chars[] = "invalid characters in database name";
    static const char hyphen[] = "invalid hyphen in database name";
    static const char identity[] = "database names cannot be identities";
    name("a", NULL);
    name("my-db-2", NULL);
    name("0", NULL);
    name("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL);
    name("", "database names cannot be empty");
    name("Foo", chars);
    name("a_b", chars);
    name("a b", chars);
    name(" a", chars);
    name("a\n", chars);
    name("\"abc\"", chars);
    name("\xc3\xa9", chars);
    name("a/b", chars);
    name("-", hyphen);
    name("-a", hyphen);
    name("a-", hyphen);
    name("a--b", hyphen);
    name("a-_", hyphen);
    name(HEX64, identity);
    name("0x" HEX64, identity);
    name("X'" HEX64, identity);
    char longest[257];
    memset(longest, 'z', 256);
    longest[256] = 0;
    name(longest, "database names cannot be longer than 255 characters");
    name(longest + 1, NULL);
}

LC_TEST(identities_in_paths_have_three_forms)
{
    lc_identity a, b;
    char hex[LC_IDENTITY_HEX + 1];
    assert_true(lc_identity_in_path(LC_STR(HEX64), &a));
    lc_identity_to_hex(&a, hex);
    assert_string_equal(hex, HEX64);
    assert_true(lc_identity_in_path(LC_STR("0x" HEX64), &b));
    assert_true(lc_identity_equal(&a, &b));
    assert_true(lc_identity_in_path(
        LC_STR("X'00000000000000000000000000000000000000000000000000000000DEADBE01"), &b));
    assert_true(lc_identity_equal(&a, &b));
    assert_false(lc_identity_in_path(LC_STR("0X" HEX64), &b));
    assert_false(lc_identity_in_path(LC_STR(HEX64 "0"), &b));
    assert_false(lc_identity_in_path(LC_STR("0x"), &b));
    assert_false(lc_identity_in_path(LC_SPAN_EMPTY, &b));
}

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    return lc_folder_remove(folder, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(toml_values_are_read),
        cmocka_unit_test(toml_mistakes_have_a_line),
        cmocka_unit_test(toml_survives_anything),
        cmocka_unit_test(durations_are_for_people),
        cmocka_unit_test(config_is_made_and_read),
        cmocka_unit_test(config_mistakes_name_the_file),
        cmocka_unit_test(metadata_is_made_raised_and_never_lowered),
        cmocka_unit_test(names_follow_the_rules),
        cmocka_unit_test(identities_in_paths_have_three_forms),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
