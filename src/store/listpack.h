/* A listpack: many small strings and integers in one allocation, in Redis's byte format, so that a DUMP payload or an
 * RDB file holds the very bytes that are in memory.
 *
 *   offset  0  u32  total bytes, header and end mark included
 *           4  u16  number of elements, 65535: unknown (count them)
 *           6  elements
 *              0xff the end mark
 *
 *   element    0xxxxxxx                 integer 0..127
 *              10xxxxxx bytes           string of up to 63 bytes
 *              110xxxxx u8              integer of 13 bits, two's complement
 *              1110xxxx u8 bytes        string of up to 4095 bytes
 *              11110000 u32 bytes       longer string
 *              11110001 i16 | 11110010 i24 | 11110011 i32 | 11110100 i64
 *              followed by the length of all that, 7 bits a byte, readable from its end: how one steps backwards
 *
 * Multi-byte numbers are little endian. A string that is a canonical decimal integer is always stored as one.
 *
 * A listpack is a plain `uint8_t *` (free it with mem_free); a position is a pointer to an element inside it. Whatever
 * changes a listpack takes its address, may move it, and makes all earlier positions stale. Strings given to it must
 * not lie inside it. Only bytes that listpack_valid has accepted, or that this file made, may be given to the rest.
 *
 * Thread: the owner's. */
#ifndef STORE_LISTPACK_H
#define STORE_LISTPACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/num.h"
#include "base/slice.h"

#define LISTPACK_HEAD 6          /* bytes before the first element */
#define LISTPACK_MAX  (1u << 30) /* no listpack may grow past this; see listpack_fits */

uint8_t *listpack_create(size_t room); /* empty; room is a hint of bytes to come, 0 for none */
uint8_t *listpack_dup(const uint8_t *lp);

size_t listpack_bytes(const uint8_t *lp);          /* the length of the whole, as in its header */
size_t listpack_count(const uint8_t *lp);          /* O(n) above 65534 elements, else O(1) */
bool listpack_fits(const uint8_t *lp, size_t add); /* may elements of `add` bytes in all be added? */

/* Positions; NULL when there is no such element. */
uint8_t *listpack_first(const uint8_t *lp);
uint8_t *listpack_last(const uint8_t *lp);
uint8_t *listpack_next(const uint8_t *lp, const uint8_t *at);
uint8_t *listpack_prev(const uint8_t *lp, const uint8_t *at);
uint8_t *listpack_seek(const uint8_t *lp, long index); /* negative counts from the end: -1 is the last */
size_t listpack_entry_bytes(const uint8_t *at);        /* what the element takes, back length included */

struct listpack_val {
    bool is_int;
    int64_t num;
    struct slice str; /* borrowed from the listpack */
};
struct listpack_val listpack_get(const uint8_t *at);
struct slice listpack_str(const uint8_t *at,
                          char tmp[NUM_I64_MAX]);   /* always as bytes; integers are written into tmp */
bool listpack_int(const uint8_t *at, int64_t *out); /* false when it is not stored as an integer */
bool listpack_eq(const uint8_t *at, struct slice s);
/* The first element equal to s, starting at `at` (NULL: none) and passing over `skip` elements after each one compared:
 * skip 1 from the first element looks at fields and not at values. */
uint8_t *listpack_find(const uint8_t *lp, const uint8_t *at, struct slice s, unsigned skip);

/* Each returns the position of the element written. */
uint8_t *listpack_append(uint8_t **lp, struct slice s);
uint8_t *listpack_append_int(uint8_t **lp, int64_t v);
uint8_t *listpack_prepend(uint8_t **lp, struct slice s);
uint8_t *listpack_insert_before(uint8_t **lp, uint8_t *at, struct slice s);
uint8_t *listpack_insert_after(uint8_t **lp, uint8_t *at, struct slice s);
uint8_t *listpack_replace(uint8_t **lp, uint8_t *at, struct slice s);
uint8_t *listpack_replace_int(uint8_t **lp, uint8_t *at, int64_t v);
/* Deletes `count` elements from `at` on (fewer when there are fewer). Returns the element that followed, NULL: none. */
uint8_t *listpack_delete(uint8_t **lp, uint8_t *at, size_t count);

/* Whether n bytes from outside are a listpack: every element is walked, forward and back lengths must agree. */
bool listpack_valid(const void *p, size_t n);

#endif
