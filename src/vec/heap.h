/* Names and attributes: blocks of bytes in size classes (four per doubling), freed ones kept on a list per class.
 * A block is written before its number is published and not changed until no reader can know it. Thread: loop, but for
 * heap_get. */
#ifndef VEC_HEAP_H
#define VEC_HEAP_H

#include "vec/index.h"

uint64_t heap_put(struct vec_index *v, struct slice bytes, struct err *err); /* 0 on error */
/* any. False (and the index is marked damaged) when ref is not a block. ref 0 is the empty slice. */
bool heap_get(const struct vec_index *v, uint64_t ref, struct slice *out);
void heap_retire(struct vec_index *v, uint64_t ref); /* was published: waits for the readers. 0 allowed */
void heap_free(struct vec_index *v, uint64_t ref);   /* nobody can know it. 0 allowed */
void heap_reclaim(struct vec_index *v, int most);
uint64_t heap_class_units(uint32_t cls);

#endif
