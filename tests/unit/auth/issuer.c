#include "issuer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

struct issuer {
    int fd;
    char url[64];
    pthread_t thread;
    pthread_mutex_t lock;
    lc_map answers; /* path -> heap text */
    atomic_bool must_stop;
    atomic_uint hits;
};

static void answer(issuer *i, int fd)
{
    char request[4096];
    size_t len = 0;
    ssize_t got;
    while (len < sizeof request - 1 &&
           (got = read(fd, request + len, sizeof request - 1 - len)) > 0) {
        len += (size_t)got;
        request[len] = 0;
        if (strstr(request, "\r\n\r\n")) break;
    }
    request[len] = 0;
    char *path = strchr(request, ' ');
    if (!path) return;
    path++;
    path[strcspn(path, " ")] = 0;
    atomic_fetch_add(&i->hits, 1);
    pthread_mutex_lock(&i->lock);
    const char *body = lc_map_get(&i->answers, lc_span_of_str(path));
    char *text =
        lc_format("HTTP/1.1 %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
                  body ? "200 OK" : "404 Not Found", body ? strlen(body) : 0, body ? body : "");
    pthread_mutex_unlock(&i->lock);
    for (size_t at = 0, all = strlen(text); at < all;) {
        ssize_t put = write(fd, text + at, all - at);
        if (put <= 0) break;
        at += (size_t)put;
    }
    lc_free(text);
}

static void *serve(void *arg)
{
    issuer *i = arg;
    while (!atomic_load(&i->must_stop)) {
        struct pollfd p = {.fd = i->fd, .events = POLLIN};
        if (poll(&p, 1, 20) <= 0) continue;
        int fd = accept(i->fd, NULL, NULL);
        if (fd < 0) continue;
        answer(i, fd);
        close(fd);
    }
    return NULL;
}

issuer *issuer_start(void)
{
    issuer *i = lc_alloc_zero(sizeof *i);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    i->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    LC_ASSERT(i->fd >= 0);
    LC_ASSERT(bind(i->fd, (struct sockaddr *)&address, len) == 0 && listen(i->fd, 16) == 0);
    LC_ASSERT(getsockname(i->fd, (struct sockaddr *)&address, &len) == 0);
    snprintf(i->url, sizeof i->url, "http://127.0.0.1:%u", ntohs(address.sin_port));
    pthread_mutex_init(&i->lock, NULL);
    LC_ASSERT(pthread_create(&i->thread, NULL, serve, i) == 0);
    return i;
}

void issuer_stop(issuer *i)
{
    atomic_store(&i->must_stop, true);
    pthread_join(i->thread, NULL);
    close(i->fd);
    lc_map_entry *e;
    for (size_t at = 0; (e = lc_map_next(&i->answers, &at));) lc_free(e->value);
    lc_map_deinit(&i->answers);
    pthread_mutex_destroy(&i->lock);
    lc_free(i);
}

const char *issuer_url(const issuer *i)
{
    return i->url;
}

void issuer_set(issuer *i, const char *path, const char *body)
{
    pthread_mutex_lock(&i->lock);
    lc_free(body ? lc_map_put(&i->answers, lc_span_of_str(path), lc_strdup(body))
                 : lc_map_remove(&i->answers, lc_span_of_str(path)));
    pthread_mutex_unlock(&i->lock);
}

uint32_t issuer_hits(const issuer *i)
{
    return atomic_load(&i->hits);
}

static void put_number(EVP_PKEY *key, const char *param, const char *name, int size, lc_buf *out)
{
    BIGNUM *n = NULL;
    LC_ASSERT(EVP_PKEY_get_bn_param(key, param, &n) == 1);
    uint8_t bytes[1024];
    int len = size ? size : BN_num_bytes(n);
    LC_ASSERT(BN_bn2binpad(n, bytes, len) == len);
    BN_free(n);
    lc_buf_printf(out, ",\"%s\":\"", name);
    lc_base64url_encode(LC_SPAN(bytes, (size_t)len), out);
    lc_buf_put_u8(out, '"');
}

char *issuer_jwk(EVP_PKEY *key, const char *kid)
{
    lc_buf out = LC_BUF_INIT;
    if (EVP_PKEY_get_base_id(key) == EVP_PKEY_EC) {
        lc_buf_put_str(&out, "{\"kty\":\"EC\",\"use\":\"sig\",\"crv\":\"P-256\"");
        put_number(key, OSSL_PKEY_PARAM_EC_PUB_X, "x", 32, &out);
        put_number(key, OSSL_PKEY_PARAM_EC_PUB_Y, "y", 32, &out);
    } else {
        lc_buf_put_str(&out, "{\"kty\":\"RSA\",\"alg\":\"RS256\"");
        put_number(key, OSSL_PKEY_PARAM_RSA_N, "n", 0, &out);
        put_number(key, OSSL_PKEY_PARAM_RSA_E, "e", 0, &out);
    }
    if (kid) lc_buf_printf(&out, ",\"kid\":\"%s\"", kid);
    lc_buf_put_u8(&out, '}');
    return lc_buf_give_cstr(&out);
}

char *issuer_token(EVP_PKEY *key, const char *header, const char *payload)
{
    lc_buf out = LC_BUF_INIT;
    uint8_t signature[1024];
    size_t len = sizeof signature;
    lc_base64url_encode(lc_span_of_str(header), &out);
    lc_buf_put_u8(&out, '.');
    lc_base64url_encode(lc_span_of_str(payload), &out);
    if (EVP_PKEY_get_base_id(key) == EVP_PKEY_EC) {
        lc_key_sign_es256(key, lc_buf_span(&out), signature);
        len = 64;
    } else {
        EVP_MD_CTX *ctx = EVP_MD_CTX_new();
        LC_ASSERT(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) == 1);
        LC_ASSERT(EVP_DigestSign(ctx, signature, &len, out.ptr, out.len) == 1);
        EVP_MD_CTX_free(ctx);
    }
    lc_buf_put_u8(&out, '.');
    lc_base64url_encode(LC_SPAN(signature, len), &out);
    return lc_buf_give_cstr(&out);
}
