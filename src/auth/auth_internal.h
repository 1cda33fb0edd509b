/*
 * Inside of the auth room: base64url, JSON Web Tokens, key files, keys of foreign issuers.
 */
#ifndef LC_AUTH_INTERNAL_H
#define LC_AUTH_INTERNAL_H

#include "auth/lc_auth.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <pthread.h>

#define LC_AUTH_LOCAL_ISSUER   "localhost"
#define LC_AUTH_MAX_CLAIM      128 /* bytes of a subject or issuer */
#define LC_AUTH_LEEWAY_SECONDS 60
#define LC_AUTH_WS_SECONDS     60 /* life of a websocket token */

/* ----------------------------------------------------------------- base64url.c */

/* Without padding. Appends. */
void lc_base64url_encode(lc_span bytes, lc_buf *out);
/* Strict: no padding, no foreign characters, no stray bits. Appends; texts of 04 section 1.2. */
lc_status lc_base64url_decode(lc_span text, lc_buf *out, lc_error *err);

/* ---------------------------------------------------------------------- keys.c */

typedef struct lc_key_pair {
    EVP_PKEY *private_key;
    EVP_PKEY *public_key;
    lc_buf public_pem; /* bytes of the file */
} lc_key_pair;
lc_status lc_key_pair_load(const char *private_path, const char *public_path, lc_key_pair *out,
                           lc_error *err);
void lc_key_pair_deinit(lc_key_pair *k);

/* A P-256 key of its coordinates, an RSA key of modulus and exponent (all big-endian). NULL: they
 * do not make a key that is safe to use. */
EVP_PKEY *lc_key_of_point(lc_span x, lc_span y);
EVP_PKEY *lc_key_of_rsa(lc_span n, lc_span e);

typedef enum lc_jwt_algorithm {
    LC_JWT_HS256,
    LC_JWT_HS384,
    LC_JWT_HS512,
    LC_JWT_ES256,
    LC_JWT_ES384,
    LC_JWT_RS256,
    LC_JWT_RS384,
    LC_JWT_RS512,
    LC_JWT_PS256,
    LC_JWT_PS384,
    LC_JWT_PS512,
    LC_JWT_EDDSA,
    LC_JWT_ALGORITHMS,
} lc_jwt_algorithm;

/* ES256 with a P-256 key, RS256 with an RSA key; every other pair is false. */
bool lc_key_verify(EVP_PKEY *key, lc_jwt_algorithm algorithm, lc_span message, lc_span signature);
/* r || s, 64 bytes. */
void lc_key_sign_es256(EVP_PKEY *key, lc_span message, uint8_t out[64]);

/* --------------------------------------------------------------------- token.c */

/* A token's claims (and key id) after decoding. Heap; zero-initialise. */
typedef struct lc_token {
    lc_jwt_algorithm algorithm;
    char *kid; /* NULL: none */
    lc_buf payload;
    char *issuer;
    char *subject;
    int64_t issued_at;
    int64_t expires_at;
    bool has_expiry;
    bool has_identity;
    lc_identity identity; /* of the claim hex_identity */
    lc_buf audience;      /* JSON array */
    lc_buf extra;         /* `,"key":value` for every other claim, as written */
} lc_token;
void lc_token_deinit(lc_token *t);

/* Header and payload, signature not looked at. LC_E_DENIED with the complete text. */
lc_status lc_token_decode(lc_span token, lc_token *out, lc_error *err);
/* The same with a check of signature, algorithm, expiry and claims. issuer NULL: any. On success
 * *identity is the one derived from the claims. */
lc_status lc_token_check(lc_span token, EVP_PKEY *key, const char *issuer, int64_t now_seconds,
                         lc_token *out, lc_identity *identity, lc_error *err);
/* Claims of a decoded payload alone, for re-issuing. */
lc_status lc_token_read_claims(lc_span payload, lc_token *out, lc_error *err);
/* header.payload.signature. Heap text. */
char *lc_token_sign(EVP_PKEY *key, lc_span payload);

/* ---------------------------------------------------------------------- oidc.c */

/* Keys of one foreign issuer; immutable and shared. */
typedef struct lc_issuer_key {
    EVP_PKEY *key;
    char *kid; /* NULL: none */
} lc_issuer_key;
typedef struct lc_issuer_keys {
    atomic_int refs;
    LC_VEC(lc_issuer_key) keys;
} lc_issuer_keys;
void lc_issuer_keys_unref(lc_issuer_keys *k);
/* {"keys":[...]}; keys of other kinds are left out. One reference. */
lc_status lc_issuer_keys_read(lc_span jwks, lc_issuer_keys **out, lc_error *err);

#define LC_AUTH_MAX_ISSUERS     256 /* cached at once */
#define LC_AUTH_MAX_FETCHES     16  /* under way at once; beyond that a fetch fails */
#define LC_AUTH_MAX_DOCUMENT    (1024 * 1024)
#define LC_AUTH_FETCH_MILLIS    10000
#define LC_AUTH_REFRESH_SECONDS 300
#define LC_AUTH_DROP_SECONDS    7200
/* Not sooner: after a failed refresh, or for a key id that the set does not have. */
#define LC_AUTH_RETRY_SECONDS 30

typedef struct lc_issuer {
    char *name;
    lc_issuer_keys *keys; /* NULL: being fetched for the first time */
    uint64_t fetched;     /* monotonic seconds */
    uint64_t retried;
    uint64_t used;
    bool is_fetching;
} lc_issuer;
typedef struct lc_issuer_cache {
    pthread_mutex_t lock;
    pthread_cond_t fetched;
    LC_VEC(lc_issuer *) issuers;
    uint32_t fetches;
    const lc_clock *clock;
} lc_issuer_cache;
void lc_issuer_cache_init(lc_issuer_cache *c, const lc_clock *clock);
void lc_issuer_cache_deinit(lc_issuer_cache *c);
/* The issuer's keys, from the cache or the network (blocks); a reference. want_kid (may be NULL): a
 * set that lacks it is fetched anew if it is not fresh. LC_E_DENIED when there are none to be had.
 */
lc_status lc_issuer_cache_get(lc_issuer_cache *c, const char *issuer, const char *want_kid,
                              lc_issuer_keys **out, lc_error *err);

#endif
