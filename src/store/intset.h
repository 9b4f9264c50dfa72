/* An intset: integers, sorted, each once, all of one width, in Redis's byte format, so that a DUMP payload or an RDB file
 * holds the very bytes that are in memory.
 *
 *   offset  0  u32  bytes per integer: 2, 4 or 8
 *           4  u32  how many
 *           8       the integers, ascending, little endian
 *
 * A plain `uint8_t *` (free it with mem_free). Adding an integer that is too wide rewrites all of them wider; they do not
 * get narrower again. Only bytes that intset_valid has accepted, or that this file made, may be given to the rest.
 * Thread: the owner's. */
#ifndef STORE_INTSET_H
#define STORE_INTSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INTSET_HEAD 8

uint8_t *intset_create(void);
uint8_t *intset_dup(const uint8_t *is);
size_t intset_count(const uint8_t *is);
size_t intset_bytes(const uint8_t *is);
int64_t intset_get(const uint8_t *is, size_t i); /* i < count */
bool intset_has(const uint8_t *is, int64_t v);
bool intset_add(uint8_t **is, int64_t v); /* may move; false: it was there */
bool intset_del(uint8_t **is, int64_t v); /* may move; false: it was not */
bool intset_valid(const void *p, size_t n); /* are n bytes from outside an intset? */

#endif
