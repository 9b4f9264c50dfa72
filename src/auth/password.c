#include "auth/password.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <sys/random.h>

static const char digits_of_hex[] = "0123456789abcdef";

void password_hash(struct slice clear, char hex[PASSWORD_HEX + 1])
{
    unsigned char sum[SHA256_DIGEST_LENGTH];
    SHA256((const unsigned char *)(clear.len ? clear.p : ""), clear.len, sum);
    for (int i = 0; i < SHA256_DIGEST_LENGTH; i++) {
        hex[2 * i] = digits_of_hex[sum[i] >> 4];
        hex[2 * i + 1] = digits_of_hex[sum[i] & 15];
    }
    hex[PASSWORD_HEX] = 0;
}

bool password_is_hash(struct slice s)
{
    if (s.len != PASSWORD_HEX)
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (!s.p[i] || !strchr(digits_of_hex, s.p[i]))
            return false;
    return true;
}

bool password_same(const char *a, const char *b)
{
    return CRYPTO_memcmp(a, b, PASSWORD_HEX) == 0;
}

void password_random(char *hex, int digits)
{
    for (int i = 0; i < digits; i++) {
        unsigned char byte;
        while (getrandom(&byte, 1, 0) != 1)
            if (errno != EINTR)
                abort(); /* a guessable password is worse than none */
        hex[i] = digits_of_hex[byte & 15];
    }
    hex[digits] = 0;
}
