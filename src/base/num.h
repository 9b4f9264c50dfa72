/* Numbers to text and back, the way Redis does it (a value that does not round-trip exactly is not a number).
 * Thread: any. All parsers take bytes with a length, accept no leading or trailing space, and never read past len. */
#ifndef BASE_NUM_H
#define BASE_NUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

#define NUM_I64_MAX 21   /* bytes that hold any int64 as text */
#define NUM_DOUBLE_MAX 32 /* and any double as num_from_double writes it */

/* Canonical decimal only: "0", "-7", "42"; not "+1", "007", "-0", "1 ". */
bool num_to_i64(struct slice s, int64_t *out);
bool num_to_u64(struct slice s, uint64_t *out);
/* What C's strtoull makes of the whole text, up to a NUL: also "007", "+1", " 1", and "-1" as the largest; not "". Redis reads
 * cursors and the halves of stream ids this way. */
bool num_to_u64_lax(struct slice s, uint64_t *out);
/* Any finite or infinite double that strtod reads in full; NaN and empty are refused. */
bool num_to_double(struct slice s, double *out);

size_t num_from_i64(char *to, int64_t v); /* no NUL; returns the length */
size_t num_from_u64(char *to, uint64_t v);
/* The shortest digits that read back the same, laid out as Redis does; inf, -inf, nan; no NUL. */
size_t num_from_double(char *to, double v);

/* Extended precision, for INCRBYFLOAT: parsed like num_to_double, printed without exponent and with at most 17 digits after
 * the point, trailing zeros dropped. */
#define NUM_LONG_MAX 5120
bool num_to_long_double(struct slice s, long double *out);
size_t num_from_long_double(char to[NUM_LONG_MAX], long double v); /* v is finite; no NUL */

/* "1gb", "64mb", "100k", "512": Redis's memory units (k = 1000, kb = 1024). */
bool num_to_bytes(struct slice s, uint64_t *out);

#endif
