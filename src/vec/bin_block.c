/* Blocks of 32 codes, scanned by looking nibbles up. A node costs about as much as reading its 1-bit code. */
#include <math.h>

#include "simd/codes.h"
#include "vec/bin.h"

static struct bin_block *block_of(const struct vec_index *v, uint32_t block)
{
    return space_at(&v->space.area[AREA_UPPER], block);
}

uint32_t bin_block_bytes(const struct vec_index *v)
{
    return (uint32_t)sizeof(struct bin_block) + v->rabitq.words * 256;
}

static float to_float(double d)
{
    return d > (double)FLT_MAX ? FLT_MAX : d < -(double)FLT_MAX ? -FLT_MAX : (float)d;
}

static void factors_of(const struct vec_index *v, const struct rabitq_factors *f, float to[5])
{
    double norm = (double)f->norm, dot = (double)f->dot;
    to[0] = to_float(norm * norm - (v->h.metric == VEC_L2 ? 0 : (double)f->own));
    to[1] = to_float(norm / dot);
    to[2] = to_float(norm / dot * sqrt(1 - dot * dot));
    to[3] = norm > 0 ? to_float(1 / norm) : 0;
    to[4] = (float)f->ones;
}

/* A scan may be reading: see simd_pack. Whoever reads looks at the node's state afterwards. */
SIMD_RACES void bin_pack(struct vec_index *v, uint32_t node)
{
    struct bin_block *b = block_of(v, node / 32);
    const struct bin *code = bin_of(vec_row(v, node));
    float f[5];
    factors_of(v, &code->f, f);
    space_touch(&v->space, AREA_UPPER, node / 32, b, bin_block_bytes(v));
    b->base[node % 32] = f[0];
    b->scale[node % 32] = f[1];
    b->spread[node % 32] = f[2];
    b->inverse[node % 32] = f[3];
    b->ones[node % 32] = f[4];
    simd_pack(b->codes, (int)(node % 32), code->bits, v->rabitq.words * 8);
}

bool bin_packed(const struct vec_index *v, uint32_t node)
{
    if (!bin_in_blocks(v) || !bin_has_centre(v))
        return true;
    const struct bin_block *b = block_of(v, node / 32);
    const struct bin *code = bin_of(vec_row(v, node));
    const uint8_t *bytes = (const uint8_t *)code->bits;
    float f[5];
    factors_of(v, &code->f, f);
    bool same = b->base[node % 32] == f[0] && b->scale[node % 32] == f[1] && b->spread[node % 32] == f[2] &&
                b->inverse[node % 32] == f[3] && b->ones[node % 32] == f[4];
    for (uint32_t i = 0; i < v->rabitq.words * 8; i++)
        same &= b->codes[i * 32 + node % 32] == bytes[i];
    return same;
}

/* The query's part of the test that bin_excludes makes, in floats. */
struct threshold {
    float needed;              /* twice the product that a node at distance d has is base + needed */
    float per_sum, per_one, c; /* the estimate is scale * (per_sum * sum + per_one * ones + c) */
    float all, least, cut;     /* its variance: spread^2 * max(all - along^2 / (D - 1), least) + scale^2 * cut */
    float along;               /* 1 / (D - 1) */
    float slack;
};

static struct threshold threshold_of(const struct vec_index *v, const struct rabitq_query *q, float d)
{
    double all = q->norm * q->norm, e2 = BIN_CERTAIN * BIN_CERTAIN, far = (double)d;
    double inner = v->h.metric == VEC_COSINE ? 1 - far : -far;
    double needed = v->h.metric == VEC_L2 ? all - far : 2 * inner + all - q->own;
    return (struct threshold){.needed = to_float(needed),
                              .per_sum = to_float(2 * q->step * q->per_bit),
                              .per_one = to_float(2 * q->lo * q->per_bit),
                              .c = to_float(-(q->step * q->cross + q->lo * q->bits) * q->per_bit),
                              .all = to_float(e2 * all * q->spread),
                              .least = to_float(e2 * all * q->spread / RABITQ_LEAST),
                              .cut = to_float(e2 * q->cut),
                              .along = to_float(e2 * q->spread),
                              .slack = to_float(1e-5 * (fabs(far) + all + q->own))};
}

/* Every comparison is false for NaN, which comes of numbers too large for floats: such a node stays. */
static inline uint32_t stays(const struct threshold *t, float base, float scale, float spread, float inverse,
                             float ones, float sum)
{
    float need = (base + t->needed) * 0.5f, estimate = scale * (t->per_sum * sum + t->per_one * ones + t->c);
    float along = need > 0 ? need * inverse : 0, across = t->all - along * along * t->along;
    across = across > t->least ? across : t->least;
    float short_by = need - estimate - t->slack - 1e-5f * fabsf(base);
    float variance = spread * spread * across + scale * scale * t->cut;
    return !((short_by > 0) & (short_by * short_by > variance));
}

SIMD_RACES uint32_t bin_scan(const struct vec_index *v, const struct rabitq_query *q, const uint8_t *tables,
                             uint32_t block, float d)
{
    const struct bin_block *b = block_of(v, block);
    struct threshold t = threshold_of(v, q, d);
    uint32_t sums[32], left = 0, keep[32];
    simd_codes.scan(sums, b->codes, tables, v->rabitq.words * 8);
    for (int j = 0; j < 32; j++)
        keep[j] = stays(&t, b->base[j], b->scale[j], b->spread[j], b->inverse[j], b->ones[j], (float)(int32_t)sums[j]);
    for (int j = 0; j < 32; j++)
        left |= keep[j] << j;
    return left;
}
