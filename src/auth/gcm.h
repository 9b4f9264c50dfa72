/* AES-256-GCM, the two calls that are needed of it. A file of its own because OpenSSL's headers and base/err.h both
 * have an ERR_STATE. Thread: any. */
#ifndef AUTH_GCM_H
#define AUTH_GCM_H

#include <stdbool.h>

#include "base/slice.h"

#define GCM_KEY   32
#define GCM_NONCE 12
#define GCM_TAG   16

/* out: as many bytes as `clear`, then the tag. `about` is authenticated with it, and not part of it. */
bool gcm_encrypt(const unsigned char key[GCM_KEY], const unsigned char nonce[GCM_NONCE], struct slice clear,
                 struct slice about, unsigned char *out);
/* sealed: with its tag, at least GCM_TAG bytes. out: as many bytes less the tag; worth nothing when it is false. */
bool gcm_decrypt(const unsigned char key[GCM_KEY], const unsigned char nonce[GCM_NONCE], struct slice sealed,
                 struct slice about, unsigned char *out);

#endif
