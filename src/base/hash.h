/* Hashes and checksums. hash_bytes is keyed (SipHash-1-3, Aumasson, Bernstein 2012) so that clients cannot pick
 * colliding keys; the key is drawn once per process. hash_stable is unkeyed and the same on every machine and in every
 * version, for what is written to files or sent over the wire. Thread: any. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t hash_bytes(const void *p, size_t n);
uint64_t hash_stable(const void *p, size_t n, uint64_t seed);

uint32_t crc32c(uint32_t crc, const void *p, size_t n);    /* Castagnoli; start with 0; can be continued */
uint64_t crc64_redis(uint64_t crc, const void *p, size_t n); /* Jones polynomial, as in RDB files and DUMP payloads */

#endif
