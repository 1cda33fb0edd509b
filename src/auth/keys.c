/* Key files (04 section 3.5) and the two signature schemes that tokens may carry. */
#include "auth_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/stat.h>
#include <unistd.h>

#define PRIVATE_UNREADABLE "Unable to read private key for JWT token signing"
#define PUBLIC_UNREADABLE  "Unable to read public key for JWT token verification"

/* ----------------------------------------------------------------- key files */

static bool is_p256(const EVP_PKEY *key)
{
    char group[32] = {0};
    size_t len;
    return EVP_PKEY_get_group_name(key, group, sizeof group, &len) == 1 &&
           (!strcmp(group, "prime256v1") || !strcmp(group, "P-256"));
}

static EVP_PKEY *parse_pem(lc_span pem, bool is_private)
{
    BIO *bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
    if (!bio) return NULL;
    /* The empty password: an encrypted file must not ask on the terminal. */
    EVP_PKEY *key = is_private ? PEM_read_bio_PrivateKey(bio, NULL, NULL, (void *)"")
                               : PEM_read_bio_PUBKEY(bio, NULL, NULL, (void *)"");
    BIO_free(bio);
    if (key && !is_p256(key)) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    return key;
}

static lc_status read_key(const char *path, bool is_private, lc_buf *pem, EVP_PKEY **out,
                          lc_error *err)
{
    const char *what = is_private ? PRIVATE_UNREADABLE : PUBLIC_UNREADABLE;
    if (lc_disk_read_file(lc_disk_system(), path, pem, err) != LC_OK) {
        lc_error_prefix(err, "%s: ", what);
        return LC_E_IO;
    }
    if (pem->len > 65536 || !(*out = parse_pem(lc_buf_span(pem), is_private)))
        return lc_error_set(err, LC_E_IO, "%s: %s is not a P-256 %s key in PEM", what, path,
                            is_private ? "private" : "public");
    return LC_OK;
}

/* Readable by the owner only, whatever was there before. */
static lc_status write_secret(const char *path, lc_span data, lc_error *err)
{
    char *folder = lc_strdup(path);
    char *slash = strrchr(folder, '/');
    if (slash && slash != folder) {
        *slash = 0;
        lc_disk_system()->mkdirs(lc_disk_system()->self, folder);
    }
    int failed = 0;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        failed = errno;
    } else {
        ssize_t put = write(fd, data.ptr, data.len);
        if (put < 0)
            failed = errno;
        else if ((size_t)put != data.len)
            failed = ENOSPC;
        else if (fsync(fd) < 0)
            failed = errno;
        close(fd);
        if (failed) unlink(path);
    }
    if (!failed && slash && slash != folder)
        lc_disk_system()->sync_dir(lc_disk_system()->self, folder);
    lc_free(folder);
    return failed ? lc_error_set(err, LC_E_IO, "cannot write %s: %s", path, strerror(failed))
                  : LC_OK;
}

static lc_status write_pem(EVP_PKEY *key, const char *path, bool is_private, lc_error *err)
{
    BIO *bio = BIO_new(BIO_s_mem());
    int good =
        bio && (is_private ? PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL)
                           : PEM_write_bio_PUBKEY(bio, key));
    char *pem;
    long len = good ? BIO_get_mem_data(bio, &pem) : 0;
    lc_status rc = good ? write_secret(path, LC_SPAN(pem, (size_t)len), err)
                        : lc_error_set(err, LC_E_IO, "cannot encode a key for %s", path);
    BIO_free(bio);
    return rc;
}

static lc_status generate(const char *private_path, const char *public_path, lc_error *err)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    if (!key) return lc_error_set(err, LC_E_IO, "cannot generate a P-256 key");
    lc_status rc = write_pem(key, private_path, true, err);
    if (rc == LC_OK && (rc = write_pem(key, public_path, false, err)) != LC_OK)
        unlink(private_path); /* half a pair would stop the next start */
    EVP_PKEY_free(key);
    return rc;
}

lc_status lc_key_pair_load(const char *private_path, const char *public_path, lc_key_pair *out,
                           lc_error *err)
{
    *out = (lc_key_pair){0};
    lc_buf private_pem = LC_BUF_INIT;
    lc_status rc = LC_OK;
    if (!lc_disk_exists(lc_disk_system(), private_path) &&
        !lc_disk_exists(lc_disk_system(), public_path))
        rc = generate(private_path, public_path, err);
    if (rc == LC_OK) rc = read_key(public_path, false, &out->public_pem, &out->public_key, err);
    if (rc == LC_OK) rc = read_key(private_path, true, &private_pem, &out->private_key, err);
    if (rc == LC_OK && EVP_PKEY_eq(out->private_key, out->public_key) != 1)
        rc = lc_error_set(err, LC_E_IO, "%s and %s are not of one pair of keys", private_path,
                          public_path);
    if (private_pem.ptr) OPENSSL_cleanse(private_pem.ptr, private_pem.cap);
    lc_buf_deinit(&private_pem);
    if (rc != LC_OK) lc_key_pair_deinit(out);
    return rc;
}

void lc_key_pair_deinit(lc_key_pair *k)
{
    EVP_PKEY_free(k->private_key);
    EVP_PKEY_free(k->public_key);
    lc_buf_deinit(&k->public_pem);
    *k = (lc_key_pair){0};
}

/* ------------------------------------------------------------- keys of numbers */

static EVP_PKEY *key_of_params(const char *type, OSSL_PARAM_BLD *builder)
{
    EVP_PKEY *key = NULL;
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (!params || !ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
        key = NULL;
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    return key;
}

EVP_PKEY *lc_key_of_point(lc_span x, lc_span y)
{
    if (x.len != 32 || y.len != 32) return NULL;
    uint8_t point[65] = {4}; /* uncompressed */
    memcpy(point + 1, x.ptr, 32);
    memcpy(point + 33, y.ptr, 32);
    OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
    EVP_PKEY *key = NULL;
    if (b && OSSL_PARAM_BLD_push_utf8_string(b, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) &&
        OSSL_PARAM_BLD_push_octet_string(b, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point))
        key = key_of_params("EC", b);
    OSSL_PARAM_BLD_free(b);
    return key;
}

EVP_PKEY *lc_key_of_rsa(lc_span n, lc_span e)
{
    if (n.len == 0 || n.len > 1025 || e.len == 0 || e.len > 8) return NULL;
    BIGNUM *modulus = BN_bin2bn(n.ptr, (int)n.len, NULL);
    BIGNUM *exponent = BN_bin2bn(e.ptr, (int)e.len, NULL);
    OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
    EVP_PKEY *key = NULL;
    if (b && modulus && exponent && BN_num_bits(modulus) >= 2048 && BN_num_bits(modulus) <= 8192 &&
        BN_is_odd(modulus) && BN_is_odd(exponent) && BN_num_bits(exponent) > 1 &&
        OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_N, modulus) &&
        OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_E, exponent))
        key = key_of_params("RSA", b);
    OSSL_PARAM_BLD_free(b);
    BN_free(modulus);
    BN_free(exponent);
    return key;
}

/* ------------------------------------------------------------------ signatures */

static bool digest_verify(EVP_PKEY *key, lc_span message, const uint8_t *signature, size_t len)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool good = ctx && EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
                EVP_DigestVerify(ctx, signature, len, message.ptr, message.len) == 1;
    EVP_MD_CTX_free(ctx);
    return good;
}

static bool verify_es256(EVP_PKEY *key, lc_span message, lc_span signature)
{
    if (signature.len != 64) return false;
    ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(signature.ptr, 32, NULL), *s = BN_bin2bn(signature.ptr + 32, 32, NULL);
    if (!sig || !r || !s || !ECDSA_SIG_set0(sig, r, s)) {
        BN_free(r);
        BN_free(s);
        ECDSA_SIG_free(sig);
        return false;
    }
    uint8_t *der = NULL;
    int len = i2d_ECDSA_SIG(sig, &der);
    ECDSA_SIG_free(sig);
    bool good = len > 0 && digest_verify(key, message, der, (size_t)len);
    OPENSSL_free(der);
    return good;
}

bool lc_key_verify(EVP_PKEY *key, lc_jwt_algorithm algorithm, lc_span message, lc_span signature)
{
    /* The key's type must fit: a public key is never taken for a shared secret. */
    if (algorithm == LC_JWT_ES256 && EVP_PKEY_get_base_id(key) == EVP_PKEY_EC)
        return verify_es256(key, message, signature);
    if (algorithm == LC_JWT_RS256 && EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA)
        return digest_verify(key, message, signature.ptr, signature.len);
    return false;
}

void lc_key_sign_es256(EVP_PKEY *key, lc_span message, uint8_t out[64])
{
    uint8_t der[128];
    size_t len = sizeof der;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    if (!ctx || EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) != 1 ||
        EVP_DigestSign(ctx, der, &len, message.ptr, message.len) != 1)
        LC_BUG("cannot sign with the server's key");
    EVP_MD_CTX_free(ctx);
    const uint8_t *at = der;
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &at, (long)len);
    if (!sig || BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, 32) != 32 ||
        BN_bn2binpad(ECDSA_SIG_get0_s(sig), out + 32, 32) != 32)
        LC_BUG("a signature of the server's key has no P-256 form");
    ECDSA_SIG_free(sig);
}
