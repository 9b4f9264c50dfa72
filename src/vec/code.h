/* What a row holds of a vector, and the distances taken on it.
 *
 * QUANT NONE: the floats themselves. Every distance is exact.
 * QUANT Q8: a byte a component with a range of its own per vector, as in LVQ (Aguerrebere, Bhati, Hildebrand, Tepper,
 * Willke, VLDB 2023), but without a mean: component i is lo + step * code[i]. The graph is built and walked on these;
 * AREA_REST holds a second byte, what the first left over in 256ths of a step, and the last candidates are ranked again
 * with both. A vector of whole numbers that span at most 255 (pixels, SIFT) is held without any loss by its first byte;
 * its rest is never written and takes no memory.
 *
 * QUANT F16: half floats times a power of two of the vector's own, so that nothing overflows. Every distance is taken
 * on them and counts as exact.
 *
 * QUANT BIN: bits (bin.h, rabitq.h) in the row, the two bytes of Q8 together in AREA_REST. A query walks the graph on
 * the bits; the graph itself is built on the first bytes; what a walk found is ranked again with both.
 *
 * Thread: code_encode and the distances are `any`; code_put is the writer's, before the node is visible. */
#ifndef VEC_CODE_H
#define VEC_CODE_H

#include "vec/index.h"

/* A vector in the form of a row, its bytes in a buffer of the caller's. */
struct coded {
    const void *code;   /* v->code_bytes */
    const int8_t *rest; /* v->rest_bytes; NULL: there is none, or it is all zero */
    float norm;         /* the length taken out (COSINE), else 1 */
    float lo, step;
    uint32_t sum, sum2; /* of the bytes and of their squares */
};

/* What distances are taken from: a query, or a node's own vector. */
struct probe {
    const float *x; /* full precision, without its length under COSINE; NULL for a node of coded rows */
    const uint8_t *code;
    const uint16_t *half; /* F16: of a node */
    float lo, step;
    uint32_t sum, sum2;
    const struct rabitq_query *bits; /* BIN: of a query, once the index has bits */
};

/* Bytes of code and rest that this configuration needs. */
void code_sizes(const struct vec_config *c, uint32_t *code, uint32_t *rest);

/* x has v->h.dim finite floats; `room` has v->code_bytes + v->rest_bytes and is borrowed by c. */
void code_encode(const struct vec_index *v, const float *x, struct coded *c, void *room);
/* BIN: the bytes alone, no bits; x is multiplied by inv. */
void code_bytes(const struct vec_index *v, const float *x, double inv, struct coded *c, void *room);
void code_put(struct vec_index *v, uint32_t node, const struct coded *c);
/* The node's vector in that form, borrowed. */
void code_get(const struct vec_index *v, uint32_t node, struct coded *c);
bool code_same(const struct coded *a, const struct coded *b, const struct vec_index *v);
/* Sums of bytes that came from outside. */
void code_sums(const struct vec_index *v, struct coded *c);
/* Floats again, without the length under COSINE: within step / 512 of what was put (F16: 1/2,000 of each). */
void code_decode(const struct vec_index *v, const struct coded *c, float *to);

/* Can decoded floats be a vector that was stored: finite, and of length 1 (or 0) under COSINE? */
bool code_sound(const struct vec_index *v, const float *decoded);

/* `room` has probe_room bytes, aligned as for a double. */
size_t probe_room(const struct vec_index *v);
void probe_query(const struct vec_index *v, struct probe *p, const float *x, void *room);
void probe_node(const struct vec_index *v, struct probe *p, uint32_t node);
void probe_coded(const struct vec_index *v, struct probe *p, const struct coded *c); /* borrows its bytes */
/* What code_near says of a vector that is not in a row. */
float code_between(const struct vec_index *v, const struct coded *c, const struct probe *p);

/* Smaller is nearer; NaN and what overflows count as very far. */
static inline float code_order(const struct vec_index *v, double d)
{
    if (v->h.metric == VEC_COSINE)
        d += 1;
    return d <= (double)FLT_MAX ? (float)d : FLT_MAX;
}

/* The distance of two coded vectors a and b from the product of their bytes: |a - b|^2 or -a.b with every component
 * written as lo + step * byte. The common offset cancels before anything is squared. */
static inline double code_q8(const struct vec_index *v, float lo, float step, uint32_t sum, uint32_t sum2,
                             const struct probe *p, int64_t product)
{
    double n = v->h.dim, a = (double)step, b = (double)p->step;
    double sum_a = sum, sum_b = p->sum, ab = a * b * (double)product;
    if (v->h.metric == VEC_L2) {
        double o = (double)lo - (double)p->lo;
        double d = n * o * o + a * (a * sum2 + 2 * o * sum_a) + b * (b * p->sum2 - 2 * o * sum_b) - 2 * ab;
        return d > 0 ? d : 0;
    }
    double lo_a = (double)lo, lo_b = (double)p->lo;
    return -(n * lo_a * lo_b + lo_a * b * sum_b + lo_b * a * sum_a + ab);
}

/* Where the bytes lie that distances from this probe are taken on. */
static inline const uint8_t *code_at(const struct vec_index *v, const struct probe *p, uint32_t node)
{
    if (v->h.quant == VEC_QUANT_BIN && !p->bits)
        return space_at(&v->space.area[AREA_REST], node);
    return (const uint8_t *)(vec_row(v, node) + 1);
}

/* The distance that the graph is built (from a node) and walked on (from a query). */
float code_near(const struct vec_index *v, const struct probe *p, uint32_t node);
/* The same for several at once; codes[i] is code_at of nodes[i]. */
void code_near_many(const struct vec_index *v, const struct probe *p, const uint32_t *nodes,
                    const uint8_t *const *codes, uint32_t n, float *to);

/* The distance on all that is known of the vector; p->x must be there. */
float code_exact(const struct vec_index *v, const struct probe *p, uint32_t node);
/* The same when its rest is elsewhere: a copy of what AREA_REST has, which is not looked at. */
float code_exact_with(const struct vec_index *v, const struct probe *p, uint32_t node, const void *rest);
/* Is the walk's distance the exact one? */
static inline bool code_is_exact(const struct vec_index *v)
{
    return v->h.quant == VEC_QUANT_NONE || v->h.quant == VEC_QUANT_F16;
}

#endif
