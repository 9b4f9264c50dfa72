/* Vectors to codes and back, and the exact distance that re-ranking uses. */
#include "vec/code.h"

#include <math.h>

#define FINE 256 /* parts of a step that the rest counts */

void code_sizes(const struct vec_config *c, uint32_t *code, uint32_t *rest)
{
    *code = c->quant == VEC_QUANT_NONE ? c->dim * (uint32_t)sizeof(float) : c->dim;
    *rest = c->quant == VEC_QUANT_Q8 ? c->dim : 0;
}

void code_sums(const struct vec_index *v, struct coded *c)
{
    const uint8_t *code = c->code;
    uint32_t sum = 0, sum2 = 0;
    for (uint32_t i = 0; v->h.quant == VEC_QUANT_Q8 && i < v->h.dim; i++) {
        sum += code[i];
        sum2 += (uint32_t)code[i] * code[i];
    }
    c->sum = sum;
    c->sum2 = sum2;
}

/* Whole numbers that a byte can count from the smallest. */
static bool whole(const float *x, uint32_t n, float min, float max)
{
    if ((double)max - (double)min > 255 || fabsf(min) > 0x1p23f)
        return false;
    for (uint32_t i = 0; i < n; i++)
        if (x[i] != truncf(x[i]))
            return false;
    return true;
}

/* Two bytes a component: the first is the nearest of 256 steps, the second what is left over, in 256ths. */
static void encode_q8(const struct vec_index *v, const float *x, double inv, struct coded *c, uint8_t *code)
{
    uint32_t n = v->h.dim;
    int8_t *rest = (int8_t *)code + n;
    float min, max;
    simd.range_f32(x, n, &min, &max);
    bool exact = whole(x, n, min, max);
    double fine = exact ? 1.0 / FINE : ((double)max - (double)min) / (255 * FINE), by = fine > 0 ? 1 / fine : 0;
    bool left = false;
    for (uint32_t i = 0; i < n; i++) {
        int w = (int)(((double)x[i] - (double)min) * by + 0.5);
        code[i] = (uint8_t)((w + FINE / 2) / FINE);
        rest[i] = (int8_t)(w - code[i] * FINE);
        left |= rest[i] != 0;
    }
    c->code = code;
    c->rest = left ? rest : NULL;
    c->lo = (float)((double)min * inv);
    c->step = (float)(fine * FINE * inv);
    code_sums(v, c);
}

void code_encode(const struct vec_index *v, const float *x, struct coded *c, void *room)
{
    *c = (struct coded){.norm = 1};
    double inv = 1;
    if (v->h.metric == VEC_COSINE) {
        double n = simd_norm_f32(x, v->h.dim);
        c->norm = n > (double)FLT_MAX ? FLT_MAX : (float)n;
        inv = n > 0 ? 1 / n : 0;
    }
    if (v->h.quant == VEC_QUANT_Q8) {
        encode_q8(v, x, inv, c, room);
        return;
    }
    simd_scale_f32(room, x, inv, v->h.dim);
    c->code = room;
}

void code_put(struct vec_index *v, uint32_t node, const struct coded *c)
{
    struct row *r = vec_row(v, node);
    r->norm = c->norm;
    r->lo = c->lo;
    r->step = c->step;
    r->sum = c->sum;
    r->sum2 = c->sum2;
    memcpy(r + 1, c->code, v->code_bytes);
    if (!c->rest) {
        r->flags &= ~ROW_REST;
        return;
    }
    void *rest = space_at(&v->space.area[AREA_REST], node);
    space_touch(&v->space, AREA_REST, node, rest, v->rest_bytes);
    memcpy(rest, c->rest, v->rest_bytes);
    if (!(r->flags & ROW_REST_ROOM))
        space_count(&v->space, AREA_REST, v->rest_bytes);
    r->flags |= ROW_REST | ROW_REST_ROOM;
}

void code_get(const struct vec_index *v, uint32_t node, struct coded *c)
{
    const struct row *r = vec_row(v, node);
    *c = (struct coded){.code = r + 1,
                        .rest = r->flags & ROW_REST ? space_at(&v->space.area[AREA_REST], node) : NULL,
                        .norm = r->norm,
                        .lo = r->lo,
                        .step = r->step,
                        .sum = r->sum,
                        .sum2 = r->sum2};
}

bool code_same(const struct coded *a, const struct coded *b, const struct vec_index *v)
{
    return a->norm == b->norm && a->lo == b->lo && a->step == b->step && !a->rest == !b->rest &&
           memcmp(a->code, b->code, v->code_bytes) == 0 && (!a->rest || memcmp(a->rest, b->rest, v->rest_bytes) == 0);
}

static struct simd_q16 q16_of(const struct coded *c)
{
    return (struct simd_q16){.code = c->code, .rest = c->rest, .lo = c->lo, .fine = c->step / FINE};
}

void code_decode(const struct vec_index *v, const struct coded *c, float *to)
{
    if (v->h.quant == VEC_QUANT_NONE) {
        memcpy(to, c->code, v->code_bytes);
        return;
    }
    struct simd_q16 x = q16_of(c);
    for (uint32_t i = 0; i < v->h.dim; i++)
        to[i] = (float)((double)x.lo + (double)x.fine * (x.code[i] * FINE + (x.rest ? x.rest[i] : 0)));
}

/* A component may be off by half a fine step, a 130,000th of the range, which is at most twice the length: with n of
 * them the length is off by less than sqrt(n) / 65,000. */
bool code_sound(const struct vec_index *v, const float *decoded)
{
    double n = simd_norm_f32(decoded, v->h.dim), off = v->h.quant == VEC_QUANT_NONE ? 0.001 : 0.005;
    return simd_finite_f32(decoded, v->h.dim) && (v->h.metric != VEC_COSINE || n == 0 || fabs(n - 1) < off);
}

/* A query is quantised like a vector, its length taken out first; of whole numbers nothing is lost. */
static void probe_q8(const struct vec_index *v, struct probe *p, const float *x, double inv, uint8_t *code)
{
    uint32_t n = v->h.dim;
    float min, max;
    simd.range_f32(x, n, &min, &max);
    double step = whole(x, n, min, max) ? 1 : ((double)max - (double)min) / 255;
    simd.quantise_u8(code, x, min, step > 0 ? (float)(1 / step) : 0, n);
    struct coded c = {.code = code};
    code_sums(v, &c);
    p->code = code;
    p->lo = (float)((double)min * inv);
    p->step = (float)(step * inv);
    p->sum = c.sum;
    p->sum2 = c.sum2;
}

void probe_query(const struct vec_index *v, struct probe *p, const float *x, float *room)
{
    *p = (struct probe){.x = x};
    double inv = 1;
    if (v->h.metric == VEC_COSINE) {
        double n = simd_norm_f32(x, v->h.dim);
        inv = n > 0 ? 1 / n : 0;
        simd_scale_f32(room, x, inv, v->h.dim);
        p->x = room;
    }
    if (v->h.quant == VEC_QUANT_Q8)
        probe_q8(v, p, x, inv, (uint8_t *)(room + v->h.dim));
}

void probe_coded(const struct vec_index *v, struct probe *p, const struct coded *c)
{
    *p = (struct probe){.lo = c->lo, .step = c->step, .sum = c->sum, .sum2 = c->sum2};
    if (v->h.quant == VEC_QUANT_NONE)
        p->x = c->code;
    else
        p->code = c->code;
}

void probe_node(const struct vec_index *v, struct probe *p, uint32_t node)
{
    struct coded c;
    code_get(v, node, &c);
    probe_coded(v, p, &c);
}

float code_between(const struct vec_index *v, const struct coded *c, const struct probe *p)
{
    if (v->h.quant == VEC_QUANT_NONE)
        return vec_distance(v, p->x, c->code);
    int64_t product = simd.dot_u8(c->code, p->code, v->h.dim) + INT64_C(128) * c->sum;
    return code_order(v, code_q8(v, c->lo, c->step, c->sum, c->sum2, p, product));
}

float code_exact(const struct vec_index *v, const struct probe *p, uint32_t node)
{
    if (code_is_exact(v))
        return code_near(v, p, node);
    struct coded c;
    code_get(v, node, &c);
    struct simd_q16 x = q16_of(&c);
    return code_order(
        v, (double)(v->h.metric == VEC_L2 ? simd.l2sq_q16(p->x, &x, v->h.dim) : -simd.dot_q16(p->x, &x, v->h.dim)));
}

#define TOGETHER 64

void code_near_many(const struct vec_index *v, const struct probe *p, const uint8_t *const *codes, uint32_t n,
                    float *to)
{
    int32_t product[TOGETHER];
    if (v->h.quant == VEC_QUANT_NONE) {
        for (uint32_t i = 0; i < n; i++)
            to[i] = vec_distance(v, p->x, (const float *)(const void *)codes[i]);
        return;
    }
    for (uint32_t first = 0; first < n; first += TOGETHER) {
        uint32_t count = n - first < TOGETHER ? n - first : TOGETHER;
        simd.dot_u8_many(product, codes + first, count, p->code, v->h.dim);
        for (uint32_t i = 0; i < count; i++) {
            const struct row *r = (const struct row *)(const void *)codes[first + i] - 1;
            int64_t whole_product = product[i] + INT64_C(128) * r->sum;
            to[first + i] = code_order(v, code_q8(v, r->lo, r->step, r->sum, r->sum2, p, whole_product));
        }
    }
}
