/* Foreign issuers: discovery, key sets, choice of the key, the cache. */
#include "lc_test.h"

#include "issuer.h"

#include <openssl/rsa.h>

static int64_t wall(void *self)
{
    (void)self;
    return 1700000000ll * 1000000;
}

static uint64_t mono_seconds = 100000;

static uint64_t mono(void *self)
{
    (void)self;
    return mono_seconds * 1000000000;
}

static const lc_clock test_clock = {.now_micros = wall, .monotonic_nanos = mono};

static char folder[] = "/tmp/lc-issuers-XXXXXX";
static lc_auth *server;
static issuer *web;
static EVP_PKEY *first, *second, *rsa;

/* An issuer at /name whose key set is `keys`. */
static void publish(const char *name, const char *keys)
{
    char *path = lc_format("/%s/.well-known/openid-configuration", name);
    char *body = lc_format("{\"issuer\":\"x\",\"jwks_uri\":\"%s/%s/jwks\"}", issuer_url(web), name);
    issuer_set(web, path, body);
    lc_free(path);
    lc_free(body);
    path = lc_format("/%s/jwks", name);
    body = lc_format("{\"keys\":[%s]}", keys);
    issuer_set(web, path, body);
    lc_free(path);
    lc_free(body);
}

static int set_up(void **state)
{
    (void)state;
    unsetenv("http_proxy");
    unsetenv("all_proxy");
    unsetenv("ALL_PROXY");
    if (!mkdtemp(folder)) return -1;
    char *private_path = lc_format("%s/a", folder), *public_path = lc_format("%s/b", folder);
    lc_auth_options o = {private_path, public_path, &test_clock, NULL};
    lc_error err = LC_ERROR_INIT;
    if (lc_auth_create(&o, &server, &err) != LC_OK) return -1;
    lc_free(private_path);
    lc_free(public_path);
    web = issuer_start();
    first = EVP_EC_gen("P-256");
    second = EVP_EC_gen("P-256");
    rsa = EVP_RSA_gen(2048);
    char *a = issuer_jwk(first, "k1"), *b = issuer_jwk(second, "k2"), *r = issuer_jwk(rsa, "r"),
         *n = issuer_jwk(first, NULL);
    char *both = lc_format("%s,%s,%s", b, a, r);
    publish("iss", a);
    publish("two", both);
    publish("rsa", r);
    publish("nokid", n);
    publish("empty", "");
    publish("odd",
            "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AAAA\",\"kid\":\"o\"},{\"kty\":\"EC\","
            "\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\",\"kid\":\"short\"}");
    issuer_set(web, "/broken/.well-known/openid-configuration", "{");
    issuer_set(web, "/nouri/.well-known/openid-configuration", "{\"a\":1}");
    issuer_set(web, "/file/.well-known/openid-configuration",
               "{\"jwks_uri\":\"file:///etc/passwd\"}");
    lc_free(both);
    lc_free(a);
    lc_free(b);
    lc_free(r);
    lc_free(n);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    issuer_stop(web);
    lc_auth_destroy(server);
    EVP_PKEY_free(first);
    EVP_PKEY_free(second);
    EVP_PKEY_free(rsa);
    char *command = lc_format("rm -rf %s", folder);
    int rc = system(command);
    lc_free(command);
    return rc;
}

static lc_status validate(EVP_PKEY *key, const char *header, const char *suffix, const char *more,
                          lc_error *err)
{
    char *payload = lc_format("{\"sub\":\"alice\",\"iss\":\"%s%s\",\"iat\":1699999995%s}",
                              issuer_url(web), suffix, more);
    char *token = issuer_token(key, header, payload);
    char *name = lc_format("%s%s", issuer_url(web), suffix);
    lc_claims claims;
    lc_status rc = lc_auth_validate(server, lc_span_of_str(token), &claims, err);
    if (rc == LC_OK) {
        lc_identity want = lc_identity_derive(lc_span_of_str(name), LC_STR("alice"));
        assert_true(lc_identity_equal(&want, &claims.identity));
        assert_string_equal(claims.payload, payload);
        assert_string_equal(claims.issuer, name);
        lc_claims_deinit(&claims);
    }
    lc_free(name);
    lc_free(token);
    lc_free(payload);
    return rc;
}

static void accepted(EVP_PKEY *key, const char *header, const char *suffix)
{
    lc_error err = LC_ERROR_INIT;
    assert_ok(validate(key, header, suffix, "", &err), &err);
}

static void refused(EVP_PKEY *key, const char *header, const char *suffix, const char *text)
{
    lc_error err = LC_ERROR_INIT;
    assert_int_equal(validate(key, header, suffix, "", &err), LC_E_DENIED);
    char *want = strchr(text, '%') ? lc_format("Error fetching public key for issuer %s%s",
                                               issuer_url(web), suffix)
                                   : lc_strdup(text);
    assert_string_equal(lc_error_text(&err), want);
    lc_free(want);
    lc_error_clear(&err);
}

#define ES  "{\"alg\":\"ES256\"}"
#define ES1 "{\"alg\":\"ES256\",\"kid\":\"k1\"}"
#define RS  "{\"alg\":\"RS256\"}"

LC_TEST(keys_are_found_by_discovery)
{
    accepted(first, ES, "/iss");
    accepted(first, ES1, "/iss");
    accepted(first, ES, "/two");
    accepted(first, ES1, "/two");
    accepted(first, ES1, "/iss/");
    accepted(first, ES, "/iss//");
    accepted(rsa, RS, "/rsa");
    accepted(rsa, "{\"alg\":\"RS256\",\"kid\":\"r\"}", "/two");
    accepted(first, ES, "/nokid");
}

LC_TEST(wrong_keys_are_refused)
{
    refused(first, "{\"alg\":\"ES256\",\"kid\":\"k9\"}", "/iss",
            "Specified key ID not found in JWKs");
    refused(first, ES1, "/nokid", "Specified key ID not found in JWKs");
    refused(first, ES, "/empty", "No kid found");
    refused(first, ES, "/odd", "No kid found");
    refused(second, ES, "/iss", "Invalid token: InvalidSignature");
    refused(first, "{\"alg\":\"ES256\",\"kid\":\"k2\"}", "/two", "Invalid token: InvalidSignature");
    refused(first, "{\"alg\":\"HS256\"}", "/iss", "Invalid token: InvalidSignature");
    refused(rsa, "{\"alg\":\"RS512\"}", "/rsa", "Invalid token: InvalidAlgorithm");
    refused(first, RS, "/iss", "Invalid token: InvalidSignature");
    refused(rsa, ES, "/rsa", "Invalid token: InvalidSignature");
    lc_error err = LC_ERROR_INIT;
    assert_int_equal(validate(first, ES, "/iss", ",\"exp\":1699999000", &err), LC_E_DENIED);
    assert_string_equal(lc_error_text(&err), "Invalid token: ExpiredSignature");
    lc_error_clear(&err);
}

LC_TEST(failing_issuers_are_named)
{
    refused(first, ES, "/missing", "%");
    refused(first, ES, "/broken", "%");
    refused(first, ES, "/nouri", "%");
    refused(first, ES, "/file", "%");
}

LC_TEST(keys_are_cached_and_refreshed)
{
    char *a = issuer_jwk(first, "k1"), *b = issuer_jwk(second, "k2");
    publish("cached", a);
    accepted(first, ES, "/cached");
    uint32_t hits = issuer_hits(web);
    accepted(first, ES, "/cached");
    mono_seconds += 299;
    accepted(first, ES, "/cached");
    assert_int_equal(issuer_hits(web), hits);
    /* Old keys stay good while the issuer is away, but not for ever. */
    issuer_set(web, "/cached/.well-known/openid-configuration", NULL);
    mono_seconds += 2;
    accepted(first, ES, "/cached");
    assert_int_equal(issuer_hits(web), hits + 1);
    accepted(first, ES, "/cached");
    assert_int_equal(issuer_hits(web), hits + 1);
    mono_seconds += 6899;
    accepted(first, ES, "/cached");
    mono_seconds += 2;
    refused(first, ES, "/cached", "%");
    /* A new key is found by its id without waiting for the refresh, yet not on every token. */
    publish("cached", a);
    accepted(first, ES1, "/cached");
    publish("cached", b);
    const char *header = "{\"alg\":\"ES256\",\"kid\":\"k2\"}";
    refused(second, header, "/cached", "Specified key ID not found in JWKs");
    mono_seconds += 31;
    accepted(second, header, "/cached");
    refused(first, ES1, "/cached", "Specified key ID not found in JWKs");
    lc_free(a);
    lc_free(b);
}

typedef struct racer {
    pthread_t thread;
    lc_status rc;
    char *token;
} racer;

static void *race(void *arg)
{
    racer *r = arg;
    lc_claims c;
    r->rc = lc_auth_validate(server, lc_span_of_str(r->token), &c, NULL);
    lc_claims_deinit(&c);
    return NULL;
}

LC_TEST(one_fetch_serves_all_who_wait)
{
    char *a = issuer_jwk(first, "k1");
    publish("busy", a);
    char *payload = lc_format("{\"sub\":\"alice\",\"iss\":\"%s/busy\",\"iat\":1}", issuer_url(web));
    char *token = issuer_token(first, ES, payload);
    uint32_t hits = issuer_hits(web);
    racer racers[24];
    for (size_t i = 0; i < LC_ARRAY_LEN(racers); i++) {
        racers[i] = (racer){.token = token};
        assert_int_equal(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
    }
    for (size_t i = 0; i < LC_ARRAY_LEN(racers); i++) {
        pthread_join(racers[i].thread, NULL);
        assert_int_equal(racers[i].rc, LC_OK);
    }
    assert_int_equal(issuer_hits(web), hits + 2);
    lc_free(token);
    lc_free(payload);
    lc_free(a);
}

LC_TEST(the_cache_does_not_grow_without_bound)
{
    char *a = issuer_jwk(first, "k1");
    for (int i = 0; i < LC_AUTH_MAX_ISSUERS + 20; i++) {
        char *name = lc_format("many%d", i), *suffix = lc_format("/many%d", i);
        publish(name, a);
        accepted(first, ES, suffix);
        lc_free(name);
        lc_free(suffix);
    }
    uint32_t hits = issuer_hits(web);
    accepted(first, ES, "/many275");
    assert_int_equal(issuer_hits(web), hits);
    lc_free(a);
}

static void key_set(const char *text, lc_status want, size_t count)
{
    lc_issuer_keys *keys;
    lc_error err = LC_ERROR_INIT;
    assert_int_equal(lc_issuer_keys_read(lc_span_of_str(text), &keys, &err), want);
    if (want == LC_OK) {
        assert_int_equal(keys->keys.len, count);
        lc_issuer_keys_unref(keys);
    }
    lc_error_clear(&err);
}

LC_TEST(key_sets_are_read_strictly)
{
    key_set("{\"keys\":[]}", LC_OK, 0);
    key_set("{\"a\":{\"b\":[]},\"keys\":[{}],\"c\":1}", LC_OK, 0);
    key_set("{\"keys\":[{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}]}", LC_OK,
            0); /* far too short */
    key_set("{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"AA\",\"y\":\"AA\"}]}", LC_OK, 0);
    key_set("{}", LC_E_INVALID, 0);
    key_set("[]", LC_E_INVALID, 0);
    key_set("{\"keys\":[1]}", LC_E_INVALID, 0);
    key_set("{\"keys\":[{]}", LC_E_INVALID, 0);
    key_set("{\"keys\":[]", LC_E_INVALID, 0);
    key_set("", LC_E_INVALID, 0);
    char *a = issuer_jwk(first, "k1"), *r = issuer_jwk(rsa, NULL);
    char *text = lc_format("{\"keys\":[%s,%s]}", a, r);
    key_set(text, LC_OK, 2);
    /* A point that is not on the curve makes no key. */
    char *x = strstr(text, "\"x\":\"") + 5;
    x[0] = x[0] == 'A' ? 'B' : 'A';
    lc_issuer_keys *keys;
    assert_int_equal(lc_issuer_keys_read(lc_span_of_str(text), &keys, NULL), LC_OK);
    assert_true(keys->keys.len <= 2);
    lc_issuer_keys_unref(keys);
    lc_free(text);
    lc_free(a);
    lc_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_found_by_discovery),
        cmocka_unit_test(wrong_keys_are_refused),
        cmocka_unit_test(failing_issuers_are_named),
        cmocka_unit_test(keys_are_cached_and_refreshed),
        cmocka_unit_test(one_fetch_serves_all_who_wait),
        cmocka_unit_test(the_cache_does_not_grow_without_bound),
        cmocka_unit_test(key_sets_are_read_strictly),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
