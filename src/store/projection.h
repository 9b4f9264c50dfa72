/* A linear map that makes vectors shorter: what VADD's REDUCE asks for. It belongs to a vector set and never changes, so
 * all vectors and all queries go through the same one.
 *
 * Like Redis's, the default is the first `out` rows of a Walsh-Hadamard matrix, scaled by 1/sqrt(in): element (i, j) is
 * positive when i & j has an even number of bits. No matrix is kept for it: a fast Walsh-Hadamard transform gives the
 * product in n log n steps. A set that came from a Redis with another matrix keeps that.
 *
 * Reference-counted; thread: any. */
#ifndef STORE_PROJECTION_H
#define STORE_PROJECTION_H

#include <stdint.h>

#include "store/rdb.h"

struct projection;

/* Both 1..VEC_MAX_DIM. */
struct projection *projection_create(uint32_t in, uint32_t out);
/* matrix: `out` rows of `in` floats, unaligned; ERR_INVALID when a number in it is not finite, ERR_OOM. */
int projection_of_matrix(struct projection **to, uint32_t in, uint32_t out, struct slice matrix, struct err *err);
struct projection *projection_ref(struct projection *p); /* NULL allowed */
void projection_unref(struct projection *p);             /* NULL allowed */

uint32_t projection_in(const struct projection *p);
uint32_t projection_out(const struct projection *p);
size_t projection_bytes(const struct projection *p); /* of memory */
/* x has in floats, to has room for out; they do not overlap. Sums beyond what a float holds become infinite. */
void projection_apply(const struct projection *p, const float *x, float *to);

/* length in, length out, string matrix (empty: the default). */
void projection_save(const struct projection *p, struct rdb_out *to);
int projection_load(struct projection **out, struct rdb_in *from, struct err *err);

#endif
