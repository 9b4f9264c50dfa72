/* QUANT BIN: what joins the bits of rabitq.h to an index.
 *
 * Bits are relative to a centre, and good only when it lies in the middle of the vectors. So an index begins without:
 * small ones are compared element by element anyway, and until then walks take their distances on the bytes of
 * AREA_REST. When enough elements are there, the mean of them becomes the centre for good, and every node gets its
 * bits. Row 0 keeps the centre, coded as any vector.
 *
 * Thread: bin_settle, bin_put, bin_set_centre, bin_restore are the writer's; the rest is `any`. A reader that sees the
 * centre sees the bits of every node it can come to. */
#ifndef VEC_BIN_H
#define VEC_BIN_H

#include "vec/code.h"

static inline const struct bin *bin_of(const struct row *r)
{
    return (const struct bin *)(const void *)(r + 1);
}
static inline bool bin_has_centre(const struct vec_index *v)
{
    return atomic_load_explicit(&v->centre, memory_order_acquire) != NULL;
}

/* After an element was added: makes the centre when it is time. Takes about as long as encoding a thousand vectors of a
 * thousand components: tens of milliseconds, once in the life of an index. */
void bin_settle(struct vec_index *v);
/* The centre is what c says (its rest; borrowed). The index is empty. */
int bin_set_centre(struct vec_index *v, const struct coded *c, struct err *err);
/* The index was just mapped: is there a centre? */
void bin_restore(struct vec_index *v);

/* Bits for a vector whose bytes are in c->rest, into `code`, when there is a centre. */
void bin_encode(const struct vec_index *v, const struct coded *c, void *code);
/* The same for a row that came without. */
void bin_put(struct vec_index *v, uint32_t node);
/* May a row's code be what it says it is? True for other quantisations. It need not lie straight. */
bool bin_sound(const struct vec_index *v, const void *code);

/* A query's planes in `room` (bin_probe_room bytes, aligned as for a double). NULL: the index has no bits yet. */
size_t bin_probe_room(const struct vec_index *v);
const struct rabitq_query *bin_probe(const struct vec_index *v, const float *x, void *room);

/* The estimate of the distance; as code_near. */
float bin_near(const struct vec_index *v, const struct rabitq_query *q, const struct row *r);
/* Is the node farther than d? Wrongly true with odds below one in a million. */
bool bin_excludes(const struct vec_index *v, const struct rabitq_query *q, uint32_t node, float d);

#endif
