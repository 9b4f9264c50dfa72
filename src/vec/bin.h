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

#define BIN_CERTAIN 5.5 /* standard deviations of the estimate: 2 exp(-5.5^2 / 2) is 5e-7 */

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

/* ---- FLAT: blocks of 32 ---------------------------------------------------------------------------------------- */

/* A scan does not look at rows: FLAT has no upper levels, so AREA_UPPER holds blocks of what the bits of 32 nodes say,
 * node n in block n / 32. A float that would not fit is FLT_MAX. */
struct bin_block {
    float base[32];    /* |o - c|^2, less |o|^2 unless L2 */
    float scale[32];   /* |o - c| / <o_bar, o'> */
    float spread[32];  /* sqrt(1 - <o_bar, o'>^2) of that */
    float inverse[32]; /* 1 / |o - c|, or 0 */
    float ones[32];
    uint8_t codes[]; /* simd_pack */
};
static_assert(sizeof(struct bin_block) == 640, "head of a block");

static inline bool bin_in_blocks(const struct vec_index *v)
{
    return v->h.quant == VEC_QUANT_BIN && v->h.kind == VEC_FLAT;
}
uint32_t bin_block_bytes(const struct vec_index *v);
void bin_pack(struct vec_index *v, uint32_t node); /* the writer's: from the row's code */
/* Does the block say what the row says? */
bool bin_packed(const struct vec_index *v, uint32_t node);

/* A bit for each node of a block that is not ruled out, as bin_excludes does it. `tables` are rabitq_tables. */
uint32_t bin_scan(const struct vec_index *v, const struct rabitq_query *q, const uint8_t *tables, uint32_t block,
                  float d);

#endif
