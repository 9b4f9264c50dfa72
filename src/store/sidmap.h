/* An ordered map from stream ids to small records: what is pending in a consumer group.
 *
 * Records of one size, which begin with their id, lie in blocks of up to 127, the blocks in an array; an id is found by
 * two binary searches. Groups add ids in rising order and take them away mostly at the beginning, for which blocks fill
 * completely and go whole. A million records cost what they weigh and 1 % of it.
 *
 * A pointer to a record is good until the next put or delete. Thread: its owner's. */
#ifndef STORE_SIDMAP_H
#define STORE_SIDMAP_H

#include "store/sid.h"

struct sidmap {
    size_t n;
    uint32_t size; /* of a record; a multiple of 8 */
    /* private */
    uint32_t nblocks, cap;
    struct sidblock **blocks;
};

void sidmap_init(struct sidmap *m, size_t record_size);
void sidmap_release(struct sidmap *m);
void *sidmap_find(const struct sidmap *m, struct sid id); /* NULL: absent */
/* The record, made when absent: its id is set, the rest is zero. */
void *sidmap_put(struct sidmap *m, struct sid id, bool *fresh);
bool sidmap_delete(struct sidmap *m, struct sid id);
/* The first record at or above the id, the last of all; NULL: none. for (r = sidmap_from(m, a); r; r = sidmap_after(m,
 * r)) */
void *sidmap_from(const struct sidmap *m, struct sid id);
void *sidmap_after(const struct sidmap *m, const void *record);
void *sidmap_last(const struct sidmap *m);
void sidmap_relocate(struct sidmap *m);      /* moves its memory (mem_relocated) */
size_t sidmap_bytes(const struct sidmap *m); /* allocated */

#endif
