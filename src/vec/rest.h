/* The last candidates of a search, ranked on all that is known of their vectors, when that lies on a file.
 *
 * An index on a file with a budget does not look at AREA_REST through its mapping: what the file has of it is read,
 * all candidates of a query at once (io/read_batch.h), and copied into a buffer of the thread's; what was written since
 * the last checkpoint is in memory anyway and taken from there. So searching never makes the process larger.
 *
 * Thread: any, between epoch_begin and epoch_end: a node that may be seen keeps its rest, in memory and on the file,
 * until the reader has left, whatever checkpoint comes meanwhile. */
#ifndef VEC_REST_H
#define VEC_REST_H

#include "vec/code.h"
#include "vec/searcher.h"

/* Is AREA_REST of this index read, and not mapped? */
static inline bool rest_is_read(const struct vec_index *v)
{
    return v->read_fd >= 0;
}
/* Gives each of n candidates its exact distance. False: the file could not be read; what s->failed says. */
bool rest_judge(const struct vec_index *v, struct searcher *s, const struct probe *p, struct cand *c, uint32_t n);

/* Opens the file a second time, for reading, if this index has a budget and vec_reads wants it. */
void rest_open(struct vec_index *v);

#endif
