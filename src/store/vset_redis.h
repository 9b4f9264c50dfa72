/* Vector sets in the forms that Redis 8 gives them: its quantised vectors, and the value that its DUMP and its RDB
 * files hold. Thread: loop. */
#ifndef STORE_VSET_REDIS_H
#define STORE_VSET_REDIS_H

#include "store/obj.h"

/* A byte a component, -127..127 for -*range..*range. x finite. */
void redis_q8(const float *x, uint32_t dim, int8_t *to, float *range);
/* A bit a component, set where it is above zero, in words of 64 bits, the unused ones 0. */
size_t redis_bin_bytes(uint32_t dim);
void redis_bin(const float *x, uint32_t dim, uint64_t *to);

/* struct type_ops load_foreign, of the module "vectorset", version 0. The graph is not taken over: elements are
 * inserted one by one, which takes as long as adding them did. */
int vset_load_redis(struct rdb_in *from, struct value *out, struct err *err);

#endif
