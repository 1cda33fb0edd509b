/*
 * auth: identities, tokens, keys, OpenID Connect. Source: spec chapter 04 section 3.
 *
 * Threads: an lc_auth is immutable but for its cache of foreign keys, which has its own lock.
 * lc_auth_validate may fetch keys over the network, so it runs on a worker when the token is not
 * signed by this server; lc_auth_validate_local never blocks.
 */
#ifndef LC_AUTH_H
#define LC_AUTH_H

#include "sats/lc_sats.h"

typedef struct lc_auth lc_auth;

typedef struct lc_auth_options {
    const char *private_key_path; /* PKCS#8 PEM, P-256 */
    const char *public_key_path;  /* SPKI PEM */
    const lc_clock *clock;        /* NULL = system */
    const lc_random *random;
} lc_auth_options;

/* Reads the key pair; both missing: generates and writes it (0600, folders created); one missing:
 * LC_E_IO with the texts of 04 section 3.5. */
lc_status lc_auth_create(const lc_auth_options *o, lc_auth **out, lc_error *err);
void lc_auth_destroy(lc_auth *a);
lc_span lc_auth_public_key_pem(const lc_auth *a);

typedef struct lc_claims {
    lc_identity identity;
    char *issuer;
    char *subject;
    char *payload; /* the JWT's decoded payload, byte for byte; NUL-terminated */
    char *token;   /* as presented */
} lc_claims;
void lc_claims_deinit(lc_claims *c);

/* A new identity with a long-lived token (04 section 3.3). */
void lc_auth_mint(const lc_auth *a, lc_claims *out);
/* A token for the same claims that lives 60 seconds. Heap text. */
char *lc_auth_mint_websocket_token(const lc_auth *a, const lc_claims *claims);

/* Checks a token signed by this server. LC_E_NOT_FOUND: not ours, use lc_auth_validate. LC_E_DENIED
 * with the text of 04 section 1.2 when refused. */
lc_status lc_auth_validate_local(const lc_auth *a, lc_span token, lc_claims *out, lc_error *err);
/* All steps of 04 section 3.4, foreign issuers included; blocks on the network. */
lc_status lc_auth_validate(lc_auth *a, lc_span token, lc_claims *out, lc_error *err);

#endif
