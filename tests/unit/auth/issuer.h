/* A stand-in token issuer: an HTTP server on loopback that answers from a table, in a thread. */
#ifndef ISSUER_H
#define ISSUER_H

#include "auth/auth_internal.h"

typedef struct issuer issuer;
issuer *issuer_start(void);
void issuer_stop(issuer *i);
const char *issuer_url(const issuer *i); /* http://127.0.0.1:PORT */
/* What GET path answers from now on (200); NULL body: 404 again. */
void issuer_set(issuer *i, const char *path, const char *body);
uint32_t issuer_hits(const issuer *i);

/* {"kty":...} of a key made for the test. kid may be NULL. */
char *issuer_jwk(EVP_PKEY *key, const char *kid);
/* A token with any header and payload, signed with ES256 or RS256 after the key's type. */
char *issuer_token(EVP_PKEY *key, const char *header, const char *payload);

#endif
