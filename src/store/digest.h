/* Digests of values, for DEBUG DIGEST: two databases with the same keys and values have the same digest, whatever the
 * order of insertion and the encodings. Not cryptographic, and the same on every machine and in every version.
 *
 * A digest starts as 20 zero bytes. Thread: any. */
#ifndef STORE_DIGEST_H
#define STORE_DIGEST_H

#include <stdint.h>

#include "base/slice.h"

void digest_mix(uint8_t sha[20], struct slice s); /* in order: the digest of all before, then s */
void digest_xor(uint8_t sha[20], struct slice s); /* order does not matter: combine whole members by this */
/* Combines a member that is made of parts: mix the parts into 20 zero bytes, then xor those in. */
static inline void digest_xor_member(uint8_t sha[20], const uint8_t member[20])
{
    digest_xor(sha, slice_of((const char *)member, 20));
}

#endif
