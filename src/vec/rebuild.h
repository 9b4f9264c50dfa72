/* An index built again from another one: the same elements, vectors and configuration, other places and other links.
 *
 * Elements get their numbers in the order of a breadth-first walk of the old graph, so that neighbours lie together,
 * and their links anew, looked for among more candidates than when they were added. An index that has seen many
 * removals gets rid of the holes.
 *
 * The old index goes on being read and changed meanwhile. What the new one holds of elements that changed after
 * vec_rebuild_create is not defined: the caller notes their names and calls vec_copy for each, on the new index.
 *
 * The work is done in steps, by workers, as readers of the old index. Thread: vec_rebuild_step and the facts `any`, the
 * rest `loop`. */
#ifndef VEC_REBUILD_H
#define VEC_REBUILD_H

#include "vec/vec.h"

struct vec_rebuild;

/* Refers to `from`, which must be in memory. ef: candidates looked at per element; 0 is twice the index's
 * ef_construction, which stays what it was. ERR_OOM. */
int vec_rebuild_create(struct vec_rebuild **out, struct vec_index *from, uint32_t ef, struct err *err);
/* Works until clock_mono_us() is at or past until_us. False: there is nothing more to do for this thread (others may
 * still be busy), or it failed. */
bool vec_rebuild_step(struct vec_rebuild *b, int64_t until_us);
/* May several threads step at once? Until it says so only one may. */
bool vec_rebuild_is_wide(const struct vec_rebuild *b);
int vec_rebuild_percent(const struct vec_rebuild *b);
/* Is there no step left to begin? */
bool vec_rebuild_over(const struct vec_rebuild *b);
/* When it is over and no step runs: the new index, one reference, the caller's; or why there is none. Once. */
int vec_rebuild_take(struct vec_rebuild *b, struct vec_index **out, struct err *err);
void vec_rebuild_destroy(struct vec_rebuild *b); /* any thread, when no step runs; NULL allowed */

/* Makes the element `name` in `to` what it is in `from`, an index of the same dimension, metric, quantisation and seed:
 * added, changed or removed. The vector is carried over bit for bit. The caller is the writer of both. */
int vec_copy(struct vec_index *to, const struct vec_index *from, struct slice name, struct err *err);

#endif
