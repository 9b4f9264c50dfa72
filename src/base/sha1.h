/* SHA-1 (FIPS 180-4), for names that Redis makes of it: EVALSHA, redis.sha1hex. Not for secrets. Thread: any. */
#ifndef BASE_SHA1_H
#define BASE_SHA1_H

#include <stddef.h>

#define SHA1_HEX 40

void sha1_hex(const void *p, size_t n, char hex[SHA1_HEX + 1]); /* lower case, NUL-terminated */

#endif
