#include "auth/gcm.h"

#include <assert.h>
#include <limits.h>
#include <openssl/evp.h>

static const unsigned char *bytes(struct slice s)
{
    return (const unsigned char *)(s.len ? s.p : "");
}

bool gcm_encrypt(const unsigned char key[GCM_KEY], const unsigned char nonce[GCM_NONCE], struct slice clear,
                 struct slice about, unsigned char *out)
{
    int n, last;
    assert(clear.len < INT_MAX && about.len < INT_MAX);
    EVP_CIPHER_CTX *x = EVP_CIPHER_CTX_new();
    bool ok = x && EVP_EncryptInit_ex(x, EVP_aes_256_gcm(), NULL, key, nonce) == 1 &&
              EVP_EncryptUpdate(x, NULL, &n, bytes(about), (int)about.len) == 1 &&
              EVP_EncryptUpdate(x, out, &n, bytes(clear), (int)clear.len) == 1 &&
              EVP_EncryptFinal_ex(x, out + n, &last) == 1 &&
              EVP_CIPHER_CTX_ctrl(x, EVP_CTRL_GCM_GET_TAG, GCM_TAG, out + clear.len) == 1;
    EVP_CIPHER_CTX_free(x);
    return ok;
}

bool gcm_decrypt(const unsigned char key[GCM_KEY], const unsigned char nonce[GCM_NONCE], struct slice sealed,
                 struct slice about, unsigned char *out)
{
    int n, last;
    assert(sealed.len >= GCM_TAG && sealed.len < INT_MAX && about.len < INT_MAX);
    size_t len = sealed.len - GCM_TAG;
    EVP_CIPHER_CTX *x = EVP_CIPHER_CTX_new();
    bool ok = x && EVP_DecryptInit_ex(x, EVP_aes_256_gcm(), NULL, key, nonce) == 1 &&
              EVP_DecryptUpdate(x, NULL, &n, bytes(about), (int)about.len) == 1 &&
              EVP_DecryptUpdate(x, out, &n, bytes(sealed), (int)len) == 1 &&
              EVP_CIPHER_CTX_ctrl(x, EVP_CTRL_GCM_SET_TAG, GCM_TAG, (char *)sealed.p + len) == 1 &&
              EVP_DecryptFinal_ex(x, out + n, &last) == 1;
    EVP_CIPHER_CTX_free(x);
    return ok;
}
