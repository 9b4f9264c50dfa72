/* Names to nodes: linear hashing (Litwin 1980). The table grows by one bucket per element, so no add ever pays for a
 * rehash, and it lies in the file, so nothing is rebuilt on open. Chains run through meta.next. Thread: loop; readers
 * do not come here. */
#ifndef VEC_NAMES_H
#define VEC_NAMES_H

#include "vec/index.h"

uint32_t names_hash(const struct vec_index *v, struct slice name);
uint32_t names_find(const struct vec_index *v, struct slice name, uint32_t hash); /* 0: none */
/* Room for one more; must succeed before names_insert. */
int names_reserve(struct vec_index *v, struct err *err);
void names_insert(struct vec_index *v, uint32_t node, uint32_t hash);
void names_replace(struct vec_index *v, uint32_t old,
                   uint32_t node); /* same hash; node takes old's place in the chain */
void names_remove(struct vec_index *v, uint32_t node);

#endif
