/*
 * JSON Web Tokens: decoding, the claim rules of 04 section 3.4, and signing. Texts, lines and
 * columns of refusals are those clients of the reference see.
 */
#include "auth_internal.h"

void lc_token_deinit(lc_token *t)
{
    lc_free(t->kid);
    lc_free(t->issuer);
    lc_free(t->subject);
    lc_buf_deinit(&t->payload);
    lc_buf_deinit(&t->audience);
    lc_buf_deinit(&t->extra);
    *t = (lc_token){0};
}

/* ----------------------------------------------------------------- JSON errors */

static bool is_float_text(lc_span number)
{
    return number.len &&
           (memchr(number.ptr, '.', number.len) || memchr(number.ptr, 'e', number.len) ||
            memchr(number.ptr, 'E', number.len));
}

/* `invalid type: ..., expected ...` for the token just read. */
static bool mismatch(lc_json *j, lc_json_token token, const char *expected)
{
    lc_buf found = LC_BUF_INIT;
    switch (token) {
    case LC_JSON_BAD:
        return false;
    case LC_JSON_NULL:
        lc_buf_put_str(&found, "null");
        break;
    case LC_JSON_TRUE:
        lc_buf_put_str(&found, "boolean `true`");
        break;
    case LC_JSON_FALSE:
        lc_buf_put_str(&found, "boolean `false`");
        break;
    case LC_JSON_NUMBER:
        lc_buf_printf(&found, "%s `" LC_SPAN_FMT "`",
                      is_float_text(j->text) ? "floating point" : "integer", LC_SPAN_ARG(j->text));
        break;
    case LC_JSON_STRING:
        lc_buf_put_str(&found, "string ");
        lc_rust_debug(j->text, '\"', &found);
        break;
    default:
        /* Refused by its bracket, which then counts as not read. */
        lc_buf_put_str(&found, token == LC_JSON_ARRAY_BEGIN ? "sequence" : "map");
        j->at--;
    }
    lc_json_fail(j, "invalid type: " LC_SPAN_FMT ", expected %s", LC_SPAN_ARG(lc_buf_span(&found)),
                 expected);
    lc_buf_deinit(&found);
    return false;
}

static bool duplicate(lc_json *j, const char *field)
{
    lc_json_fail(j, "duplicate field `%s`", field);
    return false;
}

/* An error about a whole member: it is noticed behind the bracket that may follow. */
static bool fail_behind(lc_json *j, const char *text)
{
    while (j->at < j->end && memchr(" \t\r\n", *j->at, 4)) j->at++;
    if (j->at < j->end && *j->at == '}') j->at++;
    lc_json_fail(j, "%s", text);
    return false;
}

/* ---------------------------------------------------------------------- fields */

static bool read_string(lc_json *j, const char *name, char **out)
{
    if (*out) return duplicate(j, name);
    lc_json_token token = lc_json_next(j);
    if (token != LC_JSON_STRING) return mismatch(j, token, "a string");
    if (j->text.len && memchr(j->text.ptr, 0, j->text.len)) {
        /* It would be cut there, and make someone else of the caller. */
        lc_json_fail(j, "NUL in field `%s`", name);
        return false;
    }
    *out = lc_span_to_cstr(j->text);
    return true;
}

static bool read_optional_string(lc_json *j, const char *name, bool *seen, char **out)
{
    if (*seen) return duplicate(j, name);
    *seen = true;
    lc_json_token token = lc_json_next(j);
    if (token == LC_JSON_NULL) return true;
    if (token != LC_JSON_STRING) return mismatch(j, token, "a string");
    if (out) *out = lc_span_to_cstr(j->text);
    return true;
}

static bool parse_i64(lc_span text, int64_t *out)
{
    bool negative = text.len && text.ptr[0] == '-';
    uint64_t v = 0, most = (uint64_t)INT64_MAX + negative;
    for (size_t i = negative; i < text.len; i++) {
        unsigned digit = text.ptr[i] - '0';
        if (digit > 9 || v > (most - digit) / 10) return false;
        v = v * 10 + digit;
    }
    *out = negative ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

static bool read_i64(lc_json *j, lc_json_token token, int64_t *out)
{
    if (token != LC_JSON_NUMBER || is_float_text(j->text)) return mismatch(j, token, "i64");
    if (parse_i64(j->text, out)) return true;
    lc_json_fail(j, "invalid value: integer `" LC_SPAN_FMT "`, expected i64", LC_SPAN_ARG(j->text));
    return false;
}

static bool read_hex_identity(lc_json *j, lc_token *t)
{
    lc_json_token token = lc_json_next(j);
    if (token == LC_JSON_NULL) return true;
    if (token != LC_JSON_STRING) return mismatch(j, token, "a byte array or hex string");
    uint8_t *bytes = lc_alloc(j->text.len / 2 + 1);
    bool is_hex = j->text.len % 2 == 0 && lc_hex_decode(j->text, bytes);
    if (is_hex && j->text.len == LC_IDENTITY_HEX) {
        for (int i = 0; i < 32; i++) t->identity.bytes[i] = bytes[31 - i];
        t->has_identity = true;
    } else if (is_hex) {
        lc_json_fail(j, "too %s elements for array",
                     j->text.len < LC_IDENTITY_HEX ? "few" : "many");
    } else {
        lc_buf quoted = LC_BUF_INIT;
        lc_rust_debug(j->text, '\"', &quoted);
        lc_json_fail(j,
                     "invalid value: string " LC_SPAN_FMT ", expected a byte array or hex string",
                     LC_SPAN_ARG(lc_buf_span(&quoted)));
        lc_buf_deinit(&quoted);
    }
    lc_free(bytes);
    return t->has_identity;
}

/* A string or an array of strings; kept as an array. */
static bool read_audience(lc_json *j, lc_buf *out)
{
    bool good = true;
    lc_json_token token = lc_json_next(j);
    lc_buf_put_u8(out, '[');
    if (token == LC_JSON_STRING) {
        lc_json_write_string(j->text, out);
    } else if (token == LC_JSON_ARRAY_BEGIN) {
        while ((token = lc_json_next(j)) != LC_JSON_ARRAY_END) {
            if (token == LC_JSON_BAD) return false;
            if (token == LC_JSON_STRING) {
                if (out->ptr[out->len - 1] != '[') lc_buf_put_u8(out, ',');
                lc_json_write_string(j->text, out);
            } else {
                good = false;
                if (!lc_json_skip(j, token)) return false;
            }
        }
    } else {
        good = false;
        if (!lc_json_skip(j, token)) return false;
    }
    lc_buf_put_u8(out, ']');
    return good || fail_behind(j, "data did not match any variant of untagged enum Audience");
}

/* Any other claim, copied as it was written. */
static bool read_extra(lc_json *j, lc_buf *out)
{
    lc_buf_put_u8(out, ',');
    lc_json_write_string(j->text, out);
    lc_buf_put_u8(out, ':');
    const uint8_t *start = j->at; /* before the colon */
    if (!lc_json_skip(j, lc_json_next(j))) return false;
    while (*start != ':') start++;
    start++;
    while (start < j->at && memchr(" \t\r\n", *start, 4)) start++;
    lc_buf_put(out, start, (size_t)(j->at - start));
    return true;
}

/* ---------------------------------------------------------------------- claims */

enum { SEEN_AUDIENCE = 1, SEEN_ISSUED = 2, SEEN_EXPIRY = 4, SEEN_IDENTITY = 8 };

static bool see(lc_json *j, unsigned *seen, unsigned which, const char *name)
{
    if (*seen & which) return duplicate(j, name);
    *seen |= which;
    return true;
}

static bool read_expiry(lc_json *j, lc_token *t)
{
    lc_json_token token = lc_json_next(j);
    if (token == LC_JSON_NULL) return true;
    t->has_expiry = true;
    return read_i64(j, token, &t->expires_at);
}

static bool read_claim(lc_json *j, lc_token *t, unsigned *seen)
{
    if (lc_span_equal_str(j->text, "sub")) return read_string(j, "sub", &t->subject);
    if (lc_span_equal_str(j->text, "iss")) return read_string(j, "iss", &t->issuer);
    if (lc_span_equal_str(j->text, "aud"))
        return see(j, seen, SEEN_AUDIENCE, "aud") && read_audience(j, &t->audience);
    if (lc_span_equal_str(j->text, "iat"))
        return see(j, seen, SEEN_ISSUED, "iat") && read_i64(j, lc_json_next(j), &t->issued_at);
    if (lc_span_equal_str(j->text, "exp"))
        return see(j, seen, SEEN_EXPIRY, "exp") && read_expiry(j, t);
    if (lc_span_equal_str(j->text, "hex_identity"))
        return see(j, seen, SEEN_IDENTITY, "hex_identity") && read_hex_identity(j, t);
    return read_extra(j, &t->extra);
}

static bool read_claims(lc_json *j, lc_token *t)
{
    lc_json_token token = lc_json_next(j);
    if (token != LC_JSON_OBJECT_BEGIN) return mismatch(j, token, "struct IncomingClaims");
    unsigned seen = 0;
    while ((token = lc_json_next(j)) == LC_JSON_KEY)
        if (!read_claim(j, t, &seen)) return false;
    if (token != LC_JSON_OBJECT_END) return false;
    const char *missing = !t->subject             ? "sub"
                          : !t->issuer            ? "iss"
                          : !(seen & SEEN_ISSUED) ? "iat"
                                                  : NULL;
    if (missing) lc_json_fail(j, "missing field `%s`", missing);
    if (!t->audience.len) lc_buf_put_str(&t->audience, "[]");
    return !missing && lc_json_next(j) == LC_JSON_END;
}

lc_status lc_token_read_claims(lc_span payload, lc_token *out, lc_error *err)
{
    lc_json j;
    lc_json_init(&j, payload, err);
    bool good = read_claims(&j, out);
    lc_json_deinit(&j);
    return good ? LC_OK : LC_E_INVALID;
}

/* ---------------------------------------------------------------------- header */

static const char *const algorithm_names[LC_JWT_ALGORITHMS] = {
    "HS256", "HS384", "HS512", "ES256", "ES384", "RS256",
    "RS384", "RS512", "PS256", "PS384", "PS512", "EdDSA",
};

static bool read_algorithm(lc_json *j, lc_token *t)
{
    lc_json_token token = lc_json_next(j);
    if (token == LC_JSON_BAD) return false;
    if (token != LC_JSON_STRING) {
        lc_json_fail(j, "expected value");
        return false;
    }
    for (int i = 0; i < LC_JWT_ALGORITHMS; i++) {
        if (!lc_span_equal_str(j->text, algorithm_names[i])) continue;
        t->algorithm = (lc_jwt_algorithm)i;
        return true;
    }
    lc_buf list = LC_BUF_INIT;
    for (int i = 0; i < LC_JWT_ALGORITHMS; i++)
        lc_buf_printf(&list, "%s`%s`", i ? ", " : "", algorithm_names[i]);
    lc_json_fail(j, "unknown variant `" LC_SPAN_FMT "`, expected one of " LC_SPAN_FMT,
                 LC_SPAN_ARG(j->text), LC_SPAN_ARG(lc_buf_span(&list)));
    lc_buf_deinit(&list);
    return false;
}

static bool read_header(lc_json *j, lc_token *t)
{
    /* Members that only have to be of the right type. */
    static const char *const texts[] = {"typ", "cty", "jku", "x5u", "x5t", "x5t#S256"};
    bool seen_text[LC_ARRAY_LEN(texts)] = {false}, seen_algorithm = false, seen_kid = false;
    lc_json_token token = lc_json_next(j);
    if (token != LC_JSON_OBJECT_BEGIN) return mismatch(j, token, "struct Header");
    while ((token = lc_json_next(j)) == LC_JSON_KEY) {
        bool good = true;
        size_t text = 0;
        while (text < LC_ARRAY_LEN(texts) && !lc_span_equal_str(j->text, texts[text])) text++;
        if (lc_span_equal_str(j->text, "alg")) {
            good = seen_algorithm ? duplicate(j, "alg") : read_algorithm(j, t);
            seen_algorithm = true;
        } else if (lc_span_equal_str(j->text, "kid")) {
            good = read_optional_string(j, "kid", &seen_kid, &t->kid);
        } else if (text < LC_ARRAY_LEN(texts)) {
            good = read_optional_string(j, texts[text], &seen_text[text], NULL);
        } else {
            good = lc_json_skip(j, lc_json_next(j));
        }
        if (!good) return false;
    }
    if (token != LC_JSON_OBJECT_END) return false;
    if (!seen_algorithm) lc_json_fail(j, "missing field `alg`");
    return seen_algorithm && lc_json_next(j) == LC_JSON_END;
}

/* ----------------------------------------------------------------------- parts */

typedef struct parts {
    lc_span message; /* header.payload */
    lc_span header, payload, signature;
} parts;

static bool cut_last_dot(lc_span text, lc_span *before, lc_span *after)
{
    const uint8_t *dot = text.len ? memrchr(text.ptr, '.', text.len) : NULL;
    if (!dot) return false;
    *before = LC_SPAN(text.ptr, (size_t)(dot - text.ptr));
    *after = LC_SPAN(dot + 1, text.len - before->len - 1);
    return true;
}

/* Refusals that name the token have one beginning. */
static lc_status invalid_token(lc_error *err)
{
    lc_error_prefix(err, "Invalid token: ");
    if (err) err->code = LC_E_DENIED;
    return LC_E_DENIED;
}

static lc_status refuse(lc_error *err, const char *text)
{
    lc_error_set(err, LC_E_DENIED, "%s", text);
    return invalid_token(err);
}

static lc_status split(lc_span token, parts *p, lc_error *err)
{
    if (!cut_last_dot(token, &p->message, &p->signature) ||
        !cut_last_dot(p->message, &p->header, &p->payload))
        return refuse(err, "InvalidToken");
    return LC_OK;
}

static lc_status decode_base64(lc_span text, lc_buf *out, lc_error *err)
{
    if (lc_base64url_decode(text, out, err) == LC_OK) return LC_OK;
    lc_error_prefix(err, "Base64 error: ");
    return invalid_token(err);
}

static lc_status bad_json(lc_error *err)
{
    lc_error_prefix(err, "JSON error: ");
    return invalid_token(err);
}

static lc_status decode_header(const parts *p, lc_token *out, lc_error *err)
{
    lc_buf text = LC_BUF_INIT;
    lc_status rc = decode_base64(p->header, &text, err);
    if (rc == LC_OK) {
        lc_json j;
        lc_json_init(&j, lc_buf_span(&text), err);
        if (!read_header(&j, out)) rc = bad_json(err);
        lc_json_deinit(&j);
    }
    lc_buf_deinit(&text);
    return rc;
}

static lc_status decode_payload(const parts *p, lc_token *out, lc_error *err)
{
    lc_status rc = decode_base64(p->payload, &out->payload, err);
    if (rc != LC_OK) return rc;
    rc = lc_token_read_claims(lc_buf_span(&out->payload), out, err);
    return rc == LC_OK ? rc : bad_json(err);
}

lc_status lc_token_decode(lc_span token, lc_token *out, lc_error *err)
{
    parts p;
    lc_status rc = split(token, &p, err);
    if (rc == LC_OK) rc = decode_header(&p, out, err);
    if (rc == LC_OK) rc = decode_payload(&p, out, err);
    return rc;
}

/* ----------------------------------------------------------------------- check */

static lc_status check_signature(const parts *p, EVP_PKEY *key, const lc_token *t, lc_error *err)
{
    if (t->algorithm != LC_JWT_ES256 && t->algorithm != LC_JWT_RS256 &&
        t->algorithm != LC_JWT_HS256)
        return refuse(err, "InvalidAlgorithm");
    lc_buf signature = LC_BUF_INIT;
    lc_status rc = decode_base64(p->signature, &signature, err);
    if (rc == LC_OK && !lc_key_verify(key, t->algorithm, p->message, lc_buf_span(&signature)))
        rc = refuse(err, "InvalidSignature");
    lc_buf_deinit(&signature);
    return rc;
}

static lc_status check_length(const char *what, const char *text, lc_error *err)
{
    size_t len = strlen(text);
    if (len == 0) return lc_error_set(err, LC_E_DENIED, "%s empty", what);
    if (len <= LC_AUTH_MAX_CLAIM) return LC_OK;
    lc_buf quoted = LC_BUF_INIT;
    lc_rust_debug(LC_SPAN(text, len), '\"', &quoted);
    lc_error_set(err, LC_E_DENIED, "%s too long: " LC_SPAN_FMT, what,
                 LC_SPAN_ARG(lc_buf_span(&quoted)));
    lc_buf_deinit(&quoted);
    return LC_E_DENIED;
}

static lc_status check_identity(const lc_token *t, lc_identity *identity, lc_error *err)
{
    lc_status rc = check_length("Issuer", t->issuer, err);
    if (rc == LC_OK) rc = check_length("Subject", t->subject, err);
    if (rc != LC_OK) return rc;
    *identity = lc_identity_derive(lc_span_of_str(t->issuer), lc_span_of_str(t->subject));
    if (!t->has_identity || lc_identity_equal(identity, &t->identity)) return LC_OK;
    char claimed[LC_IDENTITY_HEX + 1], computed[LC_IDENTITY_HEX + 1];
    lc_identity_to_hex(&t->identity, claimed);
    lc_identity_to_hex(identity, computed);
    return lc_error_set(err, LC_E_DENIED,
                        "Identity mismatch: token identity Identity(%s) does not match computed "
                        "identity Identity(%s)",
                        claimed, computed);
}

lc_status lc_token_check(lc_span token, EVP_PKEY *key, const char *issuer, int64_t now_seconds,
                         lc_token *out, lc_identity *identity, lc_error *err)
{
    parts p;
    lc_status rc = split(token, &p, err);
    if (rc == LC_OK) rc = decode_header(&p, out, err);
    if (rc == LC_OK) rc = check_signature(&p, key, out, err);
    if (rc == LC_OK) rc = decode_payload(&p, out, err);
    if (rc != LC_OK) return rc;
    /* A negative expiry is not looked at, as in the reference. */
    if (out->has_expiry && out->expires_at >= 0 &&
        out->expires_at < now_seconds - LC_AUTH_LEEWAY_SECONDS)
        return refuse(err, "ExpiredSignature");
    if (issuer && strcmp(issuer, out->issuer) != 0) return refuse(err, "InvalidIssuer");
    return check_identity(out, identity, err);
}

char *lc_token_sign(EVP_PKEY *key, lc_span payload)
{
    lc_buf token = LC_BUF_INIT;
    lc_base64url_encode(LC_STR("{\"typ\":\"JWT\",\"alg\":\"ES256\"}"), &token);
    lc_buf_put_u8(&token, '.');
    lc_base64url_encode(payload, &token);
    uint8_t signature[64];
    lc_key_sign_es256(key, lc_buf_span(&token), signature);
    lc_buf_put_u8(&token, '.');
    lc_base64url_encode(LC_SPAN(signature, sizeof signature), &token);
    return lc_buf_give_cstr(&token);
}
