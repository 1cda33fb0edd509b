/*
 * Keys of foreign issuers: OpenID Connect discovery, JSON Web Key Sets, and their cache.
 *
 * Anyone may name any issuer, so everything here is bounded: document size, time, fetches under
 * way, issuers remembered. One thread fetches for an issuer; others use the old keys meanwhile, or
 * wait when there are none yet.
 */
#include "auth_internal.h"

#include <curl/curl.h>

/* -------------------------------------------------------------------- key sets */

static void issuer_keys_free(lc_issuer_keys *k)
{
    LC_VEC_EACH (key, &k->keys) {
        EVP_PKEY_free(key->key);
        lc_free(key->kid);
    }
    lc_vec_deinit(&k->keys);
    lc_free(k);
}

static lc_issuer_keys *issuer_keys_ref(lc_issuer_keys *k)
{
    atomic_fetch_add_explicit(&k->refs, 1, memory_order_relaxed);
    return k;
}

void lc_issuer_keys_unref(lc_issuer_keys *k)
{
    if (k && atomic_fetch_sub_explicit(&k->refs, 1, memory_order_acq_rel) == 1) issuer_keys_free(k);
}

/* Members of one JWK that matter. */
enum { JWK_KTY, JWK_CRV, JWK_KID, JWK_X, JWK_Y, JWK_N, JWK_E, JWK_FIELDS };

static bool read_jwk(lc_json *j, char *fields[JWK_FIELDS])
{
    static const char *const names[JWK_FIELDS] = {"kty", "crv", "kid", "x", "y", "n", "e"};
    lc_json_token token;
    while ((token = lc_json_next(j)) == LC_JSON_KEY) {
        int field = 0;
        while (field < JWK_FIELDS && !lc_span_equal_str(j->text, names[field])) field++;
        token = lc_json_next(j);
        if (field < JWK_FIELDS && token == LC_JSON_STRING) {
            lc_free(fields[field]);
            fields[field] = lc_span_to_cstr(j->text);
        } else if (!lc_json_skip(j, token)) {
            return false;
        }
    }
    return token == LC_JSON_OBJECT_END;
}

static EVP_PKEY *key_of_fields(char *const fields[JWK_FIELDS])
{
    bool is_ec = fields[JWK_KTY] && !strcmp(fields[JWK_KTY], "EC") && fields[JWK_CRV] &&
                 !strcmp(fields[JWK_CRV], "P-256");
    bool is_rsa = fields[JWK_KTY] && !strcmp(fields[JWK_KTY], "RSA");
    const char *first = is_ec ? fields[JWK_X] : is_rsa ? fields[JWK_N] : NULL;
    const char *second = is_ec ? fields[JWK_Y] : is_rsa ? fields[JWK_E] : NULL;
    if (!first || !second) return NULL;
    lc_buf a = LC_BUF_INIT, b = LC_BUF_INIT;
    EVP_PKEY *key = NULL;
    if (lc_base64url_decode(lc_span_of_str(first), &a, NULL) == LC_OK &&
        lc_base64url_decode(lc_span_of_str(second), &b, NULL) == LC_OK)
        key = is_ec ? lc_key_of_point(lc_buf_span(&a), lc_buf_span(&b))
                    : lc_key_of_rsa(lc_buf_span(&a), lc_buf_span(&b));
    lc_buf_deinit(&a);
    lc_buf_deinit(&b);
    return key;
}

static bool read_keys(lc_json *j, lc_issuer_keys *out)
{
    if (lc_json_next(j) != LC_JSON_ARRAY_BEGIN) return false;
    lc_json_token token;
    while ((token = lc_json_next(j)) == LC_JSON_OBJECT_BEGIN) {
        char *fields[JWK_FIELDS] = {NULL};
        bool good = read_jwk(j, fields);
        EVP_PKEY *key = good ? key_of_fields(fields) : NULL;
        if (key) {
            lc_issuer_key k = {.key = key, .kid = fields[JWK_KID]};
            fields[JWK_KID] = NULL;
            lc_vec_push(&out->keys, k);
        }
        for (int i = 0; i < JWK_FIELDS; i++) lc_free(fields[i]);
        if (!good) return false;
    }
    return token == LC_JSON_ARRAY_END;
}

lc_status lc_issuer_keys_read(lc_span jwks, lc_issuer_keys **out, lc_error *err)
{
    lc_error why = LC_ERROR_INIT;
    lc_issuer_keys *keys = lc_alloc_zero(sizeof *keys);
    atomic_init(&keys->refs, 1);
    lc_json j;
    lc_json_init(&j, jwks, &why);
    bool good = lc_json_next(&j) == LC_JSON_OBJECT_BEGIN, seen = false;
    lc_json_token token = LC_JSON_BAD;
    while (good && (token = lc_json_next(&j)) == LC_JSON_KEY) {
        if (!seen && lc_span_equal_str(j.text, "keys"))
            good = seen = read_keys(&j, keys);
        else
            good = lc_json_skip(&j, lc_json_next(&j));
    }
    good = good && seen && token == LC_JSON_OBJECT_END && lc_json_next(&j) == LC_JSON_END;
    lc_json_deinit(&j);
    if (good) {
        *out = keys;
    } else {
        lc_error_set(err, LC_E_INVALID, "not a set of keys%s%s", why.text ? ": " : "",
                     lc_error_text(&why));
        issuer_keys_free(keys);
    }
    lc_error_clear(&why);
    return good ? LC_OK : LC_E_INVALID;
}

/* --------------------------------------------------------------------- network */

static void start_curl(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

static size_t take_bytes(char *bytes, size_t size, size_t count, void *arg)
{
    lc_buf *out = arg;
    size_t len = size * count;
    if (out->len + len > LC_AUTH_MAX_DOCUMENT) return 0;
    lc_buf_put(out, bytes, len);
    return len;
}

static bool http_get(const char *url, lc_buf *out)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, start_curl);
    CURL *curl = curl_easy_init();
    if (!curl) return false;
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, 5L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, LC_AUTH_FETCH_MILLIS / 2L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)LC_AUTH_FETCH_MILLIS);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "lightcone/" LC_VERSION);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_bytes);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, out);
    long status = 0;
    bool good = curl_easy_perform(curl) == CURLE_OK &&
                curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK &&
                status >= 200 && status < 300;
    curl_easy_cleanup(curl);
    return good;
}

/* The member jwks_uri of a discovery document; heap text or NULL. */
static char *read_jwks_uri(lc_span document)
{
    char *uri = NULL;
    lc_json j;
    lc_json_init(&j, document, NULL);
    bool good = lc_json_next(&j) == LC_JSON_OBJECT_BEGIN;
    while (good && lc_json_next(&j) == LC_JSON_KEY) {
        bool wanted = !uri && lc_span_equal_str(j.text, "jwks_uri");
        lc_json_token token = lc_json_next(&j);
        if (wanted && token == LC_JSON_STRING)
            uri = lc_span_to_cstr(j.text);
        else
            good = lc_json_skip(&j, token);
    }
    if (j.failed || !good) {
        lc_free(uri);
        uri = NULL;
    }
    lc_json_deinit(&j);
    return uri;
}

static bool is_url(const char *text)
{
    return !strncmp(text, "http://", 7) || !strncmp(text, "https://", 8);
}

static lc_issuer_keys *fetch(const char *issuer)
{
    size_t len = strlen(issuer);
    if (!is_url(issuer) || len > LC_AUTH_MAX_CLAIM) return NULL;
    while (len && issuer[len - 1] == '/') len--;
    char *url = lc_format("%.*s/.well-known/openid-configuration", (int)len, issuer);
    lc_buf document = LC_BUF_INIT;
    lc_issuer_keys *keys = NULL;
    char *uri = http_get(url, &document) ? read_jwks_uri(lc_buf_span(&document)) : NULL;
    lc_buf_reset(&document);
    lc_error why = LC_ERROR_INIT;
    if (!uri || !is_url(uri) || !http_get(uri, &document) ||
        lc_issuer_keys_read(lc_buf_span(&document), &keys, &why) != LC_OK)
        keys = NULL;
    if (!keys)
        lc_log(LC_LOG_DEBUG, "no keys of issuer %s: %s", issuer,
               why.text ? why.text
               : uri    ? uri
                        : url);
    lc_error_clear(&why);
    lc_free(uri);
    lc_free(url);
    lc_buf_deinit(&document);
    return keys;
}

/* ----------------------------------------------------------------------- cache */

static uint64_t seconds(const lc_issuer_cache *c)
{
    return lc_clock_mono(c->clock) / 1000000000;
}

void lc_issuer_cache_init(lc_issuer_cache *c, const lc_clock *clock)
{
    *c = (lc_issuer_cache){.clock = clock};
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->fetched, NULL);
}

static void issuer_free(lc_issuer *i)
{
    lc_issuer_keys_unref(i->keys);
    lc_free(i->name);
    lc_free(i);
}

void lc_issuer_cache_deinit(lc_issuer_cache *c)
{
    LC_VEC_EACH (i, &c->issuers) issuer_free(*i);
    lc_vec_deinit(&c->issuers);
    pthread_cond_destroy(&c->fetched);
    pthread_mutex_destroy(&c->lock);
}

static void forget(lc_issuer_cache *c, size_t at)
{
    issuer_free(c->issuers.items[at]);
    c->issuers.items[at] = c->issuers.items[--c->issuers.len];
}

/* Drops what is too old, and while there is no room what was used least lately. */
static void make_room(lc_issuer_cache *c, uint64_t now)
{
    size_t oldest = SIZE_MAX;
    for (size_t k = c->issuers.len; k-- > 0;) {
        const lc_issuer *i = c->issuers.items[k];
        if (i->is_fetching) continue;
        if (now - i->fetched > LC_AUTH_DROP_SECONDS) {
            forget(c, k);
            oldest = SIZE_MAX; /* numbers have moved; those before k are still to come */
        }
    }
    if (c->issuers.len < LC_AUTH_MAX_ISSUERS) return;
    for (size_t k = 0; k < c->issuers.len; k++) {
        const lc_issuer *i = c->issuers.items[k];
        if (!i->is_fetching && (oldest == SIZE_MAX || i->used < c->issuers.items[oldest]->used))
            oldest = k;
    }
    if (oldest != SIZE_MAX) forget(c, oldest);
}

static lc_issuer *find(lc_issuer_cache *c, const char *name)
{
    LC_VEC_EACH (i, &c->issuers)
        if (!strcmp((*i)->name, name)) return *i;
    return NULL;
}

static bool has_kid(lc_issuer_keys *keys, const char *kid)
{
    LC_VEC_EACH (k, &keys->keys)
        if (k->kid && !strcmp(k->kid, kid)) return true;
    return false;
}

static bool is_stale(const lc_issuer *i, const char *want_kid, uint64_t now)
{
    if (!i->keys) return true;
    if (now - i->retried < LC_AUTH_RETRY_SECONDS) return false;
    return now - i->fetched >= LC_AUTH_REFRESH_SECONDS || (want_kid && !has_kid(i->keys, want_kid));
}

/* Lock held; given up while the network is asked. */
static void refresh(lc_issuer_cache *c, lc_issuer *i)
{
    i->is_fetching = true;
    c->fetches++;
    pthread_mutex_unlock(&c->lock);
    lc_issuer_keys *keys = fetch(i->name);
    pthread_mutex_lock(&c->lock);
    c->fetches--;
    i->is_fetching = false;
    i->retried = seconds(c);
    if (keys) {
        lc_issuer_keys_unref(i->keys);
        i->keys = keys;
        i->fetched = i->retried;
    }
    pthread_cond_broadcast(&c->fetched);
}

/* Lock held. */
static lc_issuer_keys *get(lc_issuer_cache *c, const char *issuer, const char *want_kid)
{
    make_room(c, seconds(c));
    lc_issuer *i = find(c, issuer);
    if (i && i->is_fetching && !i->keys) {
        /* The entry may be gone afterwards. */
        do pthread_cond_wait(&c->fetched, &c->lock);
        while ((i = find(c, issuer)) && i->is_fetching && !i->keys);
        return i && i->keys ? issuer_keys_ref(i->keys) : NULL;
    }
    if (!i) {
        if (c->fetches >= LC_AUTH_MAX_FETCHES || c->issuers.len >= LC_AUTH_MAX_ISSUERS) return NULL;
        i = lc_alloc_zero(sizeof *i);
        i->name = lc_strdup(issuer);
        lc_vec_push(&c->issuers, i);
    }
    i->used = seconds(c);
    if (is_stale(i, want_kid, i->used) && !i->is_fetching && c->fetches < LC_AUTH_MAX_FETCHES)
        refresh(c, i);
    if (i->keys) return issuer_keys_ref(i->keys);
    for (size_t k = 0; k < c->issuers.len; k++)
        if (c->issuers.items[k] == i) {
            forget(c, k);
            break;
        }
    return NULL;
}

lc_status lc_issuer_cache_get(lc_issuer_cache *c, const char *issuer, const char *want_kid,
                              lc_issuer_keys **out, lc_error *err)
{
    pthread_mutex_lock(&c->lock);
    *out = get(c, issuer, want_kid);
    pthread_mutex_unlock(&c->lock);
    if (*out) return LC_OK;
    return lc_error_set(err, LC_E_DENIED, "Error fetching public key for issuer %s", issuer);
}
