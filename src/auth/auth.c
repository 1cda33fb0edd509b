/* The room's door: minting tokens, and the order in which a presented one is tried (04
 * section 3.4). */
#include "auth_internal.h"

struct lc_auth {
    lc_key_pair keys;
    const lc_clock *clock;
    const lc_random *random;
    lc_issuer_cache issuers;
};

lc_status lc_auth_create(const lc_auth_options *o, lc_auth **out, lc_error *err)
{
    *out = NULL;
    lc_key_pair keys;
    lc_status rc = lc_key_pair_load(o->private_key_path, o->public_key_path, &keys, err);
    if (rc != LC_OK) return rc;
    lc_auth *a = lc_alloc_zero(sizeof *a);
    a->keys = keys;
    a->clock = o->clock ? o->clock : lc_clock_system();
    a->random = o->random ? o->random : lc_random_system();
    lc_issuer_cache_init(&a->issuers, a->clock);
    *out = a;
    return LC_OK;
}

void lc_auth_destroy(lc_auth *a)
{
    if (!a) return;
    lc_issuer_cache_deinit(&a->issuers);
    lc_key_pair_deinit(&a->keys);
    lc_free(a);
}

lc_span lc_auth_public_key_pem(const lc_auth *a)
{
    return lc_buf_span(&a->keys.public_pem);
}

void lc_claims_deinit(lc_claims *c)
{
    lc_free(c->issuer);
    lc_free(c->subject);
    lc_free(c->payload);
    lc_free(c->token);
    *c = (lc_claims){0};
}

static int64_t now_seconds(const lc_auth *a)
{
    return lc_clock_now(a->clock) / 1000000;
}

/* --------------------------------------------------------------------- minting */

static void put_claims(const lc_identity *identity, lc_span subject, lc_span issuer,
                       lc_span audience, int64_t issued_at, lc_buf *out)
{
    char hex[LC_IDENTITY_HEX + 1];
    lc_identity_to_hex(identity, hex);
    lc_buf_printf(out, "{\"hex_identity\":\"%s\",\"sub\":", hex);
    lc_json_write_string(subject, out);
    lc_buf_put_str(out, ",\"iss\":");
    lc_json_write_string(issuer, out);
    lc_buf_put_str(out, ",\"aud\":");
    lc_buf_put_span(out, audience);
    lc_buf_printf(out, ",\"iat\":%lld,\"exp\":", (long long)issued_at);
}

void lc_auth_mint(const lc_auth *a, lc_claims *out)
{
    uint8_t uuid[16];
    lc_buf subject = LC_BUF_INIT, payload = LC_BUF_INIT;
    lc_uuid_v4(a->random, uuid);
    lc_uuid_to_text(uuid, &subject);
    *out = (lc_claims){0};
    out->subject = lc_buf_give_cstr(&subject);
    out->issuer = lc_strdup(LC_AUTH_LOCAL_ISSUER);
    out->identity = lc_identity_derive(lc_span_of_str(out->issuer), lc_span_of_str(out->subject));
    put_claims(&out->identity, lc_span_of_str(out->subject), lc_span_of_str(out->issuer),
               LC_STR("[\"spacetimedb\"]"), now_seconds(a), &payload);
    lc_buf_put_str(&payload, "null}");
    out->token = lc_token_sign(a->keys.private_key, lc_buf_span(&payload));
    out->payload = lc_buf_give_cstr(&payload);
}

char *lc_auth_mint_websocket_token(const lc_auth *a, const lc_claims *claims)
{
    lc_token t = {0};
    lc_error err = LC_ERROR_INIT;
    if (lc_token_read_claims(lc_span_of_str(claims->payload), &t, &err) != LC_OK)
        LC_BUG("claims that were validated cannot be read again: %s", lc_error_text(&err));
    int64_t now = now_seconds(a);
    lc_buf payload = LC_BUF_INIT;
    put_claims(&claims->identity, lc_span_of_str(claims->subject), lc_span_of_str(claims->issuer),
               lc_buf_span(&t.audience), now, &payload);
    lc_buf_printf(&payload, "%lld", (long long)now + LC_AUTH_WS_SECONDS);
    lc_buf_put_span(&payload, lc_buf_span(&t.extra));
    lc_buf_put_u8(&payload, '}');
    char *token = lc_token_sign(a->keys.private_key, lc_buf_span(&payload));
    lc_buf_deinit(&payload);
    lc_token_deinit(&t);
    return token;
}

/* ------------------------------------------------------------------ validation */

/* Moves what callers want out of the checked token. */
static void give_claims(lc_token *t, const lc_identity *identity, lc_span token, lc_claims *out)
{
    *out = (lc_claims){
        .identity = *identity,
        .issuer = t->issuer,
        .subject = t->subject,
        .payload = lc_buf_give_cstr(&t->payload),
        .token = lc_span_to_cstr(token),
    };
    t->issuer = t->subject = NULL;
}

static lc_status check(lc_span token, EVP_PKEY *key, const char *issuer, int64_t now,
                       lc_claims *out, lc_error *err)
{
    lc_token t = {0};
    lc_identity identity;
    lc_status rc = lc_token_check(token, key, issuer, now, &t, &identity, err);
    if (rc == LC_OK) give_claims(&t, &identity, token, out);
    lc_token_deinit(&t);
    return rc;
}

/* Steps 1 and 2. LC_E_NOT_FOUND: the issuer decides, whose name is then in *unchecked. */
static lc_status check_local(const lc_auth *a, lc_span token, lc_claims *out, lc_token *unchecked,
                             lc_error *err)
{
    lc_status rc = check(token, a->keys.public_key, NULL, now_seconds(a), out, err);
    if (rc == LC_OK) return LC_OK;
    lc_error why = LC_ERROR_INIT;
    if (lc_token_decode(token, unchecked, &why) != LC_OK) {
        rc = lc_error_set(err, LC_E_DENIED, "%s", lc_error_text(&why));
    } else if (strcmp(unchecked->issuer, LC_AUTH_LOCAL_ISSUER) != 0) {
        if (err) lc_error_clear(err);
        rc = LC_E_NOT_FOUND;
    }
    lc_error_clear(&why);
    return rc;
}

lc_status lc_auth_validate_local(const lc_auth *a, lc_span token, lc_claims *out, lc_error *err)
{
    *out = (lc_claims){0};
    lc_token unchecked = {0};
    lc_status rc = check_local(a, token, out, &unchecked, err);
    lc_token_deinit(&unchecked);
    if (rc == LC_E_NOT_FOUND) lc_error_set(err, rc, "the token is not signed by this server");
    return rc;
}

/* Step 3, with the keys at hand. The last key's refusal is the answer. */
static lc_status check_with(const lc_auth *a, lc_issuer_keys *keys, lc_span token,
                            const lc_token *unchecked, lc_claims *out, lc_error *err)
{
    int64_t now = now_seconds(a);
    if (keys->keys.len == 0 && !unchecked->kid)
        return lc_error_set(err, LC_E_DENIED, "No kid found");
    lc_status rc = lc_error_set(err, LC_E_DENIED, "Specified key ID not found in JWKs");
    LC_VEC_EACH (k, &keys->keys) {
        if (unchecked->kid && (!k->kid || strcmp(k->kid, unchecked->kid) != 0)) continue;
        rc = check(token, k->key, unchecked->issuer, now, out, err);
        if (rc == LC_OK) break;
    }
    if (rc == LC_OK && err) lc_error_clear(err);
    return rc;
}

lc_status lc_auth_validate(lc_auth *a, lc_span token, lc_claims *out, lc_error *err)
{
    *out = (lc_claims){0};
    lc_token unchecked = {0};
    lc_status rc = check_local(a, token, out, &unchecked, err);
    if (rc == LC_E_NOT_FOUND) {
        lc_issuer_keys *keys;
        rc = lc_issuer_cache_get(&a->issuers, unchecked.issuer, unchecked.kid, &keys, err);
        if (rc == LC_OK) {
            rc = check_with(a, keys, token, &unchecked, out, err);
            lc_issuer_keys_unref(keys);
        }
    }
    lc_token_deinit(&unchecked);
    return rc;
}
