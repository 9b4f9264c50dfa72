/* Bits of a string as SETBIT and its relatives number them: bit 0 is the highest bit of byte 0. Ranges are [from, to),
 * in bits. Thread: any. */
#ifndef STORE_BITS_H
#define STORE_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

uint64_t bits_count(const char *p, uint64_t from, uint64_t to);         /* how many are set */
int64_t bits_find(const char *p, uint64_t from, uint64_t to, bool bit); /* the first that is `bit`; -1: none */

enum bits_op { BITS_AND, BITS_OR, BITS_XOR, BITS_NOT };
/* to[i] = to[i] op from[i], of n bytes; NOT looks at `to` alone. The two do not overlap. */
void bits_combine(enum bits_op op, char *to, const char *from, size_t n);

/* An unsigned number of 1 to 64 bits that begins at bit `at`. Reading past the end reads zeros; writing needs the room.
 */
uint64_t bits_field(struct slice s, uint64_t at, int bits);
void bits_field_put(char *p, uint64_t at, int bits, uint64_t value);

/* What becomes of value + by in a number of that many bits. A signed value is passed and given as its two's complement
 * (`by` is always signed; an unsigned number has at most 63 bits). The value itself may be out of range.
 * Returns false when the sum does not fit and `how` is FAIL. */
enum bits_overflow { BITS_WRAP, BITS_SAT, BITS_FAIL };
bool bits_sum(bool is_signed, int bits, uint64_t value, int64_t by, enum bits_overflow how, uint64_t *out);

#endif
