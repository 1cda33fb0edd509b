/* Tokens of this server: minting, every claim rule of 04 section 3.4 with its text, key files. */
#include "lc_test.h"

#include "issuer.h"

#include <sys/stat.h>
#include <unistd.h>

enum { NOW = 1700000000 };

static int64_t fixed_now(void *self)
{
    (void)self;
    return NOW * 1000000ll;
}

static uint64_t fixed_mono(void *self)
{
    (void)self;
    return 0;
}

static const lc_clock fixed = {.now_micros = fixed_now, .monotonic_nanos = fixed_mono};

static char folder[] = "/tmp/lc-auth-XXXXXX";
static lc_auth *server;
static EVP_PKEY *server_key, *other_key;

static char *path(const char *name)
{
    return lc_format("%s/%s", folder, name);
}

static lc_status create(const char *private_name, const char *public_name, lc_auth **out,
                        lc_error *err)
{
    char *private_path = path(private_name), *public_path = path(public_name);
    lc_auth_options o = {private_path, public_path, &fixed, NULL};
    lc_status rc = lc_auth_create(&o, out, err);
    lc_free(private_path);
    lc_free(public_path);
    return rc;
}

static int set_up(void **state)
{
    (void)state;
    lc_error err = LC_ERROR_INIT;
    if (!mkdtemp(folder)) return -1;
    if (create("keys/id_ecdsa", "keys/id_ecdsa.pub", &server, &err) != LC_OK) return -1;
    char *private_path = path("keys/id_ecdsa"), *public_path = path("keys/id_ecdsa.pub");
    lc_key_pair pair;
    if (lc_key_pair_load(private_path, public_path, &pair, &err) != LC_OK) return -1;
    EVP_PKEY_up_ref(pair.private_key);
    server_key = pair.private_key;
    lc_key_pair_deinit(&pair);
    lc_free(private_path);
    lc_free(public_path);
    other_key = EVP_EC_gen("P-256");
    return other_key ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    lc_auth_destroy(server);
    EVP_PKEY_free(server_key);
    EVP_PKEY_free(other_key);
    char *command = lc_format("rm -rf %s", folder);
    int rc = system(command);
    lc_free(command);
    return rc;
}

/* ------------------------------------------------------------------ derivation */

LC_TEST(identities_derive_as_the_worked_examples)
{
    static const struct {
        const char *issuer, *subject, *hex;
    } examples[] = {
        {"localhost", "test-subject",
         "c200b3ce65d91b79ecfb7d881cd65bf8da2f647d590af1474ad19faa7aa87e38"},
        {"localhost", "00000000-0000-4000-8000-000000000000",
         "c200085d8c451325cc207f963918b762072fff5388fca7006b89f4a2a7d3ee5e"},
        {"https://auth.spacetimedb.com", "alice",
         "c2006f39636410d782539265cc100c49211692276e77f7767165b1d8a3173416"},
    };
    for (size_t i = 0; i < LC_ARRAY_LEN(examples); i++) {
        lc_identity id = lc_identity_derive(lc_span_of_str(examples[i].issuer),
                                            lc_span_of_str(examples[i].subject));
        char hex[LC_IDENTITY_HEX + 1];
        lc_identity_to_hex(&id, hex);
        assert_string_equal(hex, examples[i].hex);
    }
}

/* ------------------------------------------------------------------- base64url */

static void decodes(const char *text, lc_status status, const char *want)
{
    lc_error err = LC_ERROR_INIT;
    lc_buf out = LC_BUF_INIT;
    assert_int_equal(lc_base64url_decode(lc_span_of_str(text), &out, &err), status);
    if (status == LC_OK)
        assert_span_text(lc_buf_span(&out), want);
    else
        assert_string_equal(lc_error_text(&err), want);
    lc_error_clear(&err);
    lc_buf_deinit(&out);
}

LC_TEST(base64url_is_strict)
{
    decodes("", LC_OK, "");
    decodes("Zg", LC_OK, "f");
    decodes("Zm8", LC_OK, "fo");
    decodes("Zm9v", LC_OK, "foo");
    decodes("Zm9vYg", LC_OK, "foob");
    decodes("Pz8_", LC_OK, "???");
    decodes("a", LC_E_INVALID, "Invalid input length: 1");
    decodes("Zm9vY", LC_E_INVALID, "Invalid input length: 5");
    decodes("Zg==", LC_E_INVALID, "Invalid padding");
    decodes("Zm8=", LC_E_INVALID, "Invalid padding");
    decodes("Z=", LC_E_INVALID, "Invalid symbol 61, offset 1.");
    decodes("Zm=v", LC_E_INVALID, "Invalid symbol 61, offset 2.");
    decodes("Zm=vYmFy", LC_E_INVALID, "Invalid symbol 61, offset 2.");
    decodes("..", LC_E_INVALID, "Invalid symbol 46, offset 0.");
    decodes("Zm9v\n", LC_E_INVALID, "Invalid symbol 10, offset 4.");
    decodes("Pz8/", LC_E_INVALID, "Invalid symbol 47, offset 3.");
    decodes("Zh", LC_E_INVALID, "Invalid last symbol 104, offset 1.");
    decodes("Zm9", LC_E_INVALID, "Invalid last symbol 57, offset 2.");
}

LC_TEST(base64url_round_trips)
{
    uint64_t seed = 7;
    for (size_t len = 0; len < 100; len++) {
        uint8_t bytes[100];
        for (size_t i = 0; i < len; i++) bytes[i] = (uint8_t)lc_test_random(&seed);
        lc_buf text = LC_BUF_INIT, back = LC_BUF_INIT;
        lc_base64url_encode(LC_SPAN(bytes, len), &text);
        assert_int_equal(lc_base64url_decode(lc_buf_span(&text), &back, NULL), LC_OK);
        assert_span_equal(lc_buf_span(&back), LC_SPAN(bytes, len));
        lc_buf_deinit(&text);
        lc_buf_deinit(&back);
    }
}

/* --------------------------------------------------------------------- minting */

LC_TEST(minted_tokens_are_accepted)
{
    lc_claims minted, back;
    lc_error err = LC_ERROR_INIT;
    lc_auth_mint(server, &minted);
    char hex[LC_IDENTITY_HEX + 1];
    lc_identity_to_hex(&minted.identity, hex);
    char *want = lc_format("{\"hex_identity\":\"%s\",\"sub\":\"%s\",\"iss\":\"localhost\",\"aud\":["
                           "\"spacetimedb\"],\"iat\":%d,\"exp\":null}",
                           hex, minted.subject, NOW);
    assert_string_equal(minted.payload, want);
    lc_free(want);
    assert_int_equal(strlen(minted.subject), 36);
    assert_int_equal(minted.subject[14], '4');
    assert_true(!strncmp(minted.token, "eyJ0eXAiOiJKV1QiLCJhbGciOiJFUzI1NiJ9.", 37));

    assert_ok(lc_auth_validate_local(server, lc_span_of_str(minted.token), &back, &err), &err);
    assert_true(lc_identity_equal(&back.identity, &minted.identity));
    assert_string_equal(back.payload, minted.payload);
    assert_string_equal(back.token, minted.token);
    assert_string_equal(back.issuer, "localhost");
    assert_string_equal(back.subject, minted.subject);
    lc_claims_deinit(&back);
    lc_claims_deinit(&minted);
}

LC_TEST(websocket_tokens_keep_the_claims)
{
    lc_claims claims, back;
    lc_error err = LC_ERROR_INIT;
    char *token = issuer_token(
        server_key, "{\"alg\":\"ES256\"}",
        "{\"sub\":\"alice\",\"role\" : {\"a\": [1]},\"iss\":\"https://foreign.example\",\"big\":"
        "12345678901234567890,\"aud\":\"one\",\"iat\":5}");
    assert_ok(lc_auth_validate(server, lc_span_of_str(token), &claims, &err), &err);
    lc_free(token);
    char *short_lived = lc_auth_mint_websocket_token(server, &claims);
    assert_ok(lc_auth_validate_local(server, lc_span_of_str(short_lived), &back, &err), &err);
    assert_true(lc_identity_equal(&back.identity, &claims.identity));
    char hex[LC_IDENTITY_HEX + 1];
    lc_identity_to_hex(&claims.identity, hex);
    char *want = lc_format(
        "{\"hex_identity\":\"%s\",\"sub\":\"alice\",\"iss\":\"https://foreign.example\",\"aud\":["
        "\"one\"],\"iat\":%d,\"exp\":%d,\"role\":{\"a\": [1]},\"big\":12345678901234567890}",
        hex, NOW, NOW + 60);
    assert_string_equal(back.payload, want);
    lc_free(want);
    /* It may be exchanged again. */
    char *again = lc_auth_mint_websocket_token(server, &back);
    assert_string_equal(strchr(again, '.') - 1 ? "x" : "", "x");
    lc_free(again);
    lc_free(short_lived);
    lc_claims_deinit(&back);
    lc_claims_deinit(&claims);
}

/* ----------------------------------------------------------------- claim rules */

static void with_header(EVP_PKEY *key, const char *header, const char *payload, const char *refusal)
{
    lc_error err = LC_ERROR_INIT;
    lc_claims claims;
    char *token = issuer_token(key, header, payload);
    lc_status rc = lc_auth_validate(server, lc_span_of_str(token), &claims, &err);
    if (refusal) {
        if (rc != LC_E_DENIED || strcmp(lc_error_text(&err), refusal) != 0)
            print_error("%s\n", payload);
        assert_string_equal(lc_error_text(&err), refusal);
        assert_int_equal(rc, LC_E_DENIED);
        assert_int_equal(err.code, LC_E_DENIED);
    } else {
        if (rc != LC_OK) print_error("%s\n", payload);
        assert_ok(rc, &err);
        assert_string_equal(claims.payload, payload);
    }
    lc_claims_deinit(&claims);
    lc_error_clear(&err);
    lc_free(token);
}

static void payload_is(const char *payload, const char *refusal)
{
    with_header(server_key, "{\"typ\":\"JWT\",\"alg\":\"ES256\"}", payload, refusal);
}

#define ALICE "{\"sub\":\"alice\",\"iss\":\"localhost\",\"iat\":1699999995"

LC_TEST(expiry_is_checked_with_leeway)
{
    payload_is(ALICE "}", NULL);
    payload_is(ALICE ",\"exp\":null}", NULL);
    payload_is(ALICE ",\"exp\":1699999970}", NULL);
    payload_is(ALICE ",\"exp\":1699999940}", NULL);
    payload_is(ALICE ",\"exp\":1699999939}", "Invalid token: ExpiredSignature");
    payload_is(ALICE ",\"exp\":-1}", NULL);
    payload_is(ALICE ",\"exp\":0}", "Invalid token: ExpiredSignature");
    payload_is(
        ALICE ",\"exp\":4000000000.5}",
        "Invalid token: JSON error: invalid type: floating point `4000000000.5`, expected i64 "
        "at line 1 column 68");
    payload_is(ALICE ",\"exp\":\"soon\"}",
               "Invalid token: JSON error: invalid type: string \"soon\", expected i64 at line 1 "
               "column 62");
    payload_is(ALICE ",\"exp\":18446744073709551615}",
               "Invalid token: JSON error: invalid value: integer `18446744073709551615`, expected "
               "i64 at line 1 column 76");
}

LC_TEST(issue_time_must_be_whole_seconds)
{
    payload_is("{\"sub\":\"alice\",\"iss\":\"localhost\"}",
               "Invalid token: JSON error: missing field `iat` at line 1 column 33");
    payload_is(
        "{\"sub\":\"alice\",\"iss\":\"localhost\",\"iat\":1.5}",
        "Invalid token: JSON error: invalid type: floating point `1.5`, expected i64 at line 1 "
        "column 42");
    payload_is("{\"sub\":\"alice\",\"iss\":\"localhost\",\"iat\":null}",
               "Invalid token: JSON error: invalid type: null, expected i64 at line 1 column 43");
    payload_is("{\"sub\":\"alice\",\"iss\":\"localhost\",\"iat\":0}", NULL);
    payload_is("{\"sub\":\"alice\",\"iss\":\"localhost\",\"iat\":-5}", NULL);
    payload_is("{\"sub\":\"alice\",\"iss\":\"localhost\",\"iat\":1700009999}", NULL);
}

LC_TEST(subject_and_issuer_are_limited)
{
    payload_is("{\"iss\":\"localhost\",\"iat\":1699999995}",
               "Invalid token: JSON error: missing field `sub` at line 1 column 36");
    payload_is("{\"sub\":\"\",\"iss\":\"localhost\",\"iat\":1}", "Subject empty");
    char name[140];
    for (int len = 128; len <= 129; len++) {
        memset(name, 's', (size_t)len);
        name[len] = 0;
        char *payload = lc_format("{\"sub\":\"%s\",\"iss\":\"localhost\",\"iat\":1}", name);
        char *refusal = lc_format("Subject too long: \"%s\"", name);
        payload_is(payload, len == 128 ? NULL : refusal);
        lc_free(payload);
        lc_free(refusal);
        payload = lc_format("{\"sub\":\"alice\",\"iss\":\"%s\",\"iat\":1}", name);
        refusal = lc_format("Error fetching public key for issuer %s", name);
        payload_is(payload, len == 128 ? NULL : refusal);
        lc_free(payload);
        lc_free(refusal);
    }
    payload_is("{\"sub\":\"alice\",\"iss\":\"\",\"iat\":1}",
               "Error fetching public key for issuer ");
    payload_is("{\"sub\":\"alice\",\"iss\":5,\"iat\":1}",
               "Invalid token: JSON error: invalid type: integer `5`, expected a string at line 1 "
               "column 22");
    payload_is("{\"sub\":\"a\\u0000b\",\"iss\":\"localhost\",\"iat\":1}",
               "Invalid token: JSON error: NUL in field `sub` at line 1 column 17");
    payload_is("{\"sub\":\"alice\",\"iss\":\"https://foreign.example\",\"iat\":1}", NULL);
}

LC_TEST(audience_has_two_shapes)
{
    payload_is(ALICE ",\"aud\":\"x\"}", NULL);
    payload_is(ALICE ",\"aud\":[\"a\",\"b\"]}", NULL);
    payload_is(ALICE ",\"aud\":[]}", NULL);
    const char *refusal =
        "Invalid token: JSON error: data did not match any variant of untagged enum "
        "Audience at line 1 column 58";
    payload_is(ALICE ",\"aud\":5}", refusal);
    payload_is(
        ALICE ",\"aud\":{\"a\":1}}",
        "Invalid token: JSON error: data did not match any variant of untagged enum Audience at "
        "line 1 column 64");
    payload_is(
        ALICE ",\"aud\":null}",
        "Invalid token: JSON error: data did not match any variant of untagged enum Audience at "
        "line 1 column 61");
    payload_is(
        ALICE ",\"aud\":[1]}",
        "Invalid token: JSON error: data did not match any variant of untagged enum Audience at "
        "line 1 column 60");
}

LC_TEST(hex_identity_must_be_the_derived_one)
{
#define TEST_SUBJECT                                                                               \
    "{\"sub\":\"test-subject\",\"iss\":\"localhost\",\"iat\":1699999995,\"hex_identity\":"
#define HEX "c200b3ce65d91b79ecfb7d881cd65bf8da2f647d590af1474ad19faa7aa87e38"
    payload_is(TEST_SUBJECT "\"" HEX "\"}", NULL);
    payload_is(TEST_SUBJECT "\"C200B3CE65D91B79ECFB7D881CD65BF8DA2F647D590AF1474AD19FAA7AA87E38\"}",
               NULL);
    payload_is(TEST_SUBJECT "null}", NULL);
    lc_identity alice = lc_identity_derive(LC_STR("localhost"), LC_STR("alice"));
    char hex[LC_IDENTITY_HEX + 1];
    lc_identity_to_hex(&alice, hex);
    char *refusal = lc_format("Identity mismatch: token identity Identity(" HEX
                              ") does not match computed identity Identity(%s)",
                              hex);
    payload_is(ALICE ",\"hex_identity\":\"" HEX "\"}", refusal);
    lc_free(refusal);
    payload_is(ALICE ",\"hex_identity\":\"c2\"}",
               "Invalid token: JSON error: too few elements for array at line 1 column 69");
    payload_is(TEST_SUBJECT "\"0x" HEX "\"}",
               "Invalid token: JSON error: invalid value: string \"0x" HEX
               "\", expected a byte array or hex string at line 1 column 140");
    payload_is(TEST_SUBJECT "\"" HEX "00\"}",
               "Invalid token: JSON error: too many elements for array at line 1 column 140");
}

LC_TEST(the_rest_of_the_claims_is_free)
{
    payload_is(ALICE ",\"nbf\":4000000000}", NULL);
    payload_is(ALICE ",\"role\":\"x\",\"nested\":{\"a\":[1]},\"big\":12345678901234567890}", NULL);
    payload_is("[1]", "Invalid token: JSON error: invalid type: sequence, expected struct "
                      "IncomingClaims at line 1 column 0");
    payload_is("{\"sub\":\"a\",\"sub\":\"b\",\"iss\":\"localhost\",\"iat\":1}",
               "Invalid token: JSON error: duplicate field `sub` at line 1 column 16");
    payload_is(ALICE ",\"iat\":1}",
               "Invalid token: JSON error: duplicate field `iat` at line 1 column 55");
    payload_is(ALICE "} x", "Invalid token: JSON error: trailing characters at line 1 column 52");
    payload_is("", "Invalid token: JSON error: EOF while parsing a value at line 1 column 0");
}

LC_TEST(algorithms_are_bound_to_the_key)
{
    const char *payload = ALICE "}";
    with_header(server_key, "{\"alg\":\"ES256\"}", payload, NULL);
    with_header(server_key, "{\"typ\":\"at+jwt\",\"alg\":\"ES256\"}", payload, NULL);
    with_header(server_key, "{\"typ\":\"JWT\",\"alg\":\"ES256\",\"crit\":[\"x\"],\"kid\":\"k\"}",
                payload, NULL);
    with_header(other_key, "{\"alg\":\"ES256\"}", payload, "Invalid token: InvalidSignature");
    with_header(server_key, "{\"alg\":\"RS256\"}", payload, "Invalid token: InvalidSignature");
    with_header(server_key, "{\"alg\":\"HS256\"}", payload, "Invalid token: InvalidSignature");
    with_header(server_key, "{\"alg\":\"ES384\"}", payload, "Invalid token: InvalidAlgorithm");
    with_header(
        server_key, "{\"typ\":\"JWT\",\"alg\":\"none\"}", payload,
        "Invalid token: JSON error: unknown variant `none`, expected one of `HS256`, `HS384`, "
        "`HS512`, `ES256`, `ES384`, `RS256`, `RS384`, `RS512`, `PS256`, `PS384`, `PS512`, "
        "`EdDSA` at line 1 column 25");
    with_header(server_key, "{\"alg\":\"ES256\",\"kid\":5}", payload,
                "Invalid token: JSON error: invalid type: integer `5`, expected a string at line 1 "
                "column 22");
}

static void refused(const char *token, const char *text)
{
    lc_error err = LC_ERROR_INIT;
    lc_claims claims;
    assert_int_equal(lc_auth_validate_local(server, lc_span_of_str(token), &claims, &err),
                     LC_E_DENIED);
    assert_string_equal(lc_error_text(&err), text);
    assert_int_equal(lc_auth_validate(server, lc_span_of_str(token), &claims, &err), LC_E_DENIED);
    assert_string_equal(lc_error_text(&err), text);
    lc_error_clear(&err);
}

LC_TEST(malformed_tokens_are_named)
{
    refused("", "Invalid token: InvalidToken");
    refused("garbage", "Invalid token: InvalidToken");
    refused("a.b", "Invalid token: InvalidToken");
    refused("a.b.c", "Invalid token: Base64 error: Invalid input length: 1");
    refused("....", "Invalid token: Base64 error: Invalid symbol 46, offset 0.");
    refused("e30.e30.", "Invalid token: JSON error: missing field `alg` at line 1 column 2");
    refused("eyJhbGciOiJFUzI1NiJ9.e30.AAAA",
            "Invalid token: JSON error: missing field `sub` at line 1 column 2");
    lc_claims c;
    lc_auth_mint(server, &c);
    char *more = lc_format("%s.x", c.token), *padded = lc_format("%s=", c.token);
    refused(more, "Invalid token: Base64 error: Invalid symbol 46, offset 36.");
    refused(padded, "Invalid token: Base64 error: Invalid padding");
    lc_free(more);
    lc_free(padded);
    /* One bit of the signature. */
    char *at = c.token + strlen(c.token) - 20;
    *at = *at == 'A' ? 'B' : 'A';
    refused(c.token, "Invalid token: InvalidSignature");
    lc_claims_deinit(&c);
}

LC_TEST(foreign_tokens_are_left_to_the_issuer)
{
    lc_error err = LC_ERROR_INIT;
    lc_claims claims;
    char *token = issuer_token(other_key, "{\"alg\":\"ES256\"}",
                               "{\"sub\":\"alice\",\"iss\":\"not a url\",\"iat\":1}");
    assert_int_equal(lc_auth_validate_local(server, lc_span_of_str(token), &claims, &err),
                     LC_E_NOT_FOUND);
    assert_int_equal(lc_auth_validate(server, lc_span_of_str(token), &claims, &err), LC_E_DENIED);
    assert_string_equal(lc_error_text(&err), "Error fetching public key for issuer not a url");
    lc_error_clear(&err);
    lc_free(token);
}

/* Any bytes for a token end in a refusal, never in an accident. */
LC_TEST(mutated_tokens_are_refused)
{
    uint64_t seed = 3;
    for (int i = 0; i < 3000; i++) {
        lc_claims c, got;
        lc_auth_mint(server, &c);
        size_t len = strlen(c.token);
        for (uint64_t k = 1 + lc_test_random(&seed) % 3; k > 0; k--)
            c.token[lc_test_random(&seed) % len] = (char)(1 + lc_test_random(&seed) % 255);
        len = lc_test_random(&seed) % 4 ? len : lc_test_random(&seed) % len;
        lc_error err = LC_ERROR_INIT;
        lc_status rc = lc_auth_validate_local(server, LC_SPAN(c.token, len), &got, &err);
        if (rc == LC_OK) {
            assert_true(lc_identity_equal(&got.identity, &c.identity)); /* a change to the same */
            lc_claims_deinit(&got);
        }
        lc_error_clear(&err);
        lc_claims_deinit(&c);
    }
}

/* ------------------------------------------------------------------- key files */

static void copy(const char *from, const char *to)
{
    char *source = path(from), *target = path(to);
    lc_buf text = LC_BUF_INIT;
    assert_int_equal(lc_disk_read_file(lc_disk_system(), source, &text, NULL), LC_OK);
    assert_int_equal(lc_disk_write_file(lc_disk_system(), target, lc_buf_span(&text), NULL), LC_OK);
    lc_buf_deinit(&text);
    lc_free(source);
    lc_free(target);
}

static void create_fails(const char *private_name, const char *public_name, const char *text)
{
    lc_auth *a;
    lc_error err = LC_ERROR_INIT;
    assert_int_equal(create(private_name, public_name, &a, &err), LC_E_IO);
    if (!strstr(lc_error_text(&err), text)) print_error("%s\n", lc_error_text(&err));
    assert_non_null(strstr(lc_error_text(&err), text));
    lc_error_clear(&err);
}

LC_TEST(key_files_are_made_once)
{
    struct stat st;
    char *private_path = path("keys/id_ecdsa"), *public_path = path("keys/id_ecdsa.pub");
    assert_int_equal(stat(private_path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(st.st_size, 241);
    assert_int_equal(stat(public_path, &st), 0);
    assert_int_equal(st.st_size, 178);
    lc_buf pem = LC_BUF_INIT;
    assert_int_equal(lc_disk_read_file(lc_disk_system(), public_path, &pem, NULL), LC_OK);
    assert_span_equal(lc_auth_public_key_pem(server), lc_buf_span(&pem));
    lc_buf_deinit(&pem);
    lc_free(private_path);
    lc_free(public_path);

    /* The same pair again accepts what was minted before. */
    lc_auth *again;
    lc_claims minted, back;
    lc_error err = LC_ERROR_INIT;
    lc_auth_mint(server, &minted);
    assert_ok(create("keys/id_ecdsa", "keys/id_ecdsa.pub", &again, &err), &err);
    assert_ok(lc_auth_validate_local(again, lc_span_of_str(minted.token), &back, &err), &err);
    lc_claims_deinit(&back);
    lc_auth_destroy(again);

    /* Another pair does not. */
    assert_ok(create("more/id_ecdsa", "more/id_ecdsa.pub", &again, &err), &err);
    assert_int_equal(lc_auth_validate_local(again, lc_span_of_str(minted.token), &back, &err),
                     LC_E_DENIED);
    assert_string_equal(lc_error_text(&err), "Invalid token: InvalidSignature");
    lc_error_clear(&err);
    lc_auth_destroy(again);
    lc_claims_deinit(&minted);
}

LC_TEST(half_a_pair_is_refused)
{
    copy("keys/id_ecdsa", "private-only");
    copy("keys/id_ecdsa.pub", "public-only");
    create_fails("private-only", "none.pub",
                 "Unable to read public key for JWT token verification");
    create_fails("none", "public-only", "Unable to read private key for JWT token signing");
    create_fails("public-only", "public-only", "Unable to read private key for JWT token signing");
    create_fails("private-only", "private-only",
                 "Unable to read public key for JWT token verification");
    copy("more/id_ecdsa.pub", "foreign.pub");
    create_fails("private-only", "foreign.pub", "are not of one pair");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(identities_derive_as_the_worked_examples),
        cmocka_unit_test(base64url_is_strict),
        cmocka_unit_test(base64url_round_trips),
        cmocka_unit_test(minted_tokens_are_accepted),
        cmocka_unit_test(websocket_tokens_keep_the_claims),
        cmocka_unit_test(expiry_is_checked_with_leeway),
        cmocka_unit_test(issue_time_must_be_whole_seconds),
        cmocka_unit_test(subject_and_issuer_are_limited),
        cmocka_unit_test(audience_has_two_shapes),
        cmocka_unit_test(hex_identity_must_be_the_derived_one),
        cmocka_unit_test(the_rest_of_the_claims_is_free),
        cmocka_unit_test(algorithms_are_bound_to_the_key),
        cmocka_unit_test(malformed_tokens_are_named),
        cmocka_unit_test(foreign_tokens_are_left_to_the_issuer),
        cmocka_unit_test(mutated_tokens_are_refused),
        cmocka_unit_test(key_files_are_made_once),
        cmocka_unit_test(half_a_pair_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
