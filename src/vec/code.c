/* Vectors to codes and back, and the exact distance that re-ranking uses. */
#include "vec/code.h"

#include <math.h>

#include "simd/codes.h"
#include "vec/bin.h"

#define FINE 256 /* parts of a step that the rest counts */

void code_sizes(const struct vec_config *c, uint32_t *code, uint32_t *rest)
{
    uint32_t n = c->dim, words = (n + 63) / 64;
    *code = c->quant == VEC_QUANT_NONE  ? n * (uint32_t)sizeof(float)
            : c->quant == VEC_QUANT_F16 ? n * (uint32_t)sizeof(uint16_t)
            : c->quant == VEC_QUANT_BIN ? (uint32_t)sizeof(struct bin) + words * 8
                                        : n;
    *rest = c->quant == VEC_QUANT_Q8 ? n : c->quant == VEC_QUANT_BIN ? 2 * n : 0;
}

/* The first byte of every component: Q8, BIN. */
static inline const uint8_t *bytes_of(const struct vec_index *v, const struct coded *c)
{
    return v->h.quant == VEC_QUANT_BIN ? (const uint8_t *)c->rest : c->code;
}

static inline bool has_bytes(const struct vec_index *v)
{
    return v->h.quant == VEC_QUANT_Q8 || v->h.quant == VEC_QUANT_BIN;
}

static void sums(const uint8_t *code, uint32_t n, uint32_t *sum, uint32_t *sum2)
{
    *sum = *sum2 = 0;
    for (uint32_t i = 0; i < n; i++) {
        *sum += code[i];
        *sum2 += (uint32_t)code[i] * code[i];
    }
}

void code_sums(const struct vec_index *v, struct coded *c)
{
    sums(bytes_of(v, c), has_bytes(v) ? v->h.dim : 0, &c->sum, &c->sum2);
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

/* Two bytes a component: the first is the nearest of 256 steps, the second what is left over, in 256ths. False: the
 * second ones are all zero. */
static bool encode_bytes(uint32_t n, const float *x, double inv, struct coded *c, uint8_t *code)
{
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
    c->lo = (float)((double)min * inv);
    c->step = (float)(fine * FINE * inv);
    sums(code, n, &c->sum, &c->sum2);
    return left;
}

static double half_norm(const uint16_t *code, uint32_t n)
{
    return sqrt((double)simd_codes.dot_halves(code, code, n));
}

/* The largest component comes to lie between 1 and 2. A vector of length 1 (`unit`) is of length 1 again after
 * rounding, because the scale makes up for it. */
static void encode_f16(uint32_t n, const float *x, double inv, bool unit, struct coded *c, uint16_t *code)
{
    float min, max, some[256];
    simd.range_f32(x, n, &min, &max);
    double most = (fabs((double)min) > fabs((double)max) ? fabs((double)min) : fabs((double)max)) * inv;
    int e = most > 0 ? ilogb(most) : 0;
    c->step = (float)ldexp(1, e > -126 ? e : -126);
    for (uint32_t i = 0; i < n; i += 256) {
        uint32_t count = n - i < 256 ? n - i : 256;
        simd_scale_f32(some, x + i, inv / (double)c->step, count);
        simd_codes.half_from_f32(code + i, some, count);
    }
    if (unit && most > 0)
        c->step = (float)(1 / half_norm(code, n));
    c->code = code;
}

void code_bytes(const struct vec_index *v, const float *x, double inv, struct coded *c, void *room)
{
    char *bytes = (char *)room + v->code_bytes;
    memset(room, 0, v->code_bytes);
    encode_bytes(v->h.dim, x, inv, c, (uint8_t *)bytes);
    c->code = room;
    c->rest = (const int8_t *)bytes;
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
    switch ((enum vec_quant)v->h.quant) {
    case VEC_QUANT_NONE:
        simd_scale_f32(room, x, inv, v->h.dim);
        c->code = room;
        break;
    case VEC_QUANT_Q8:
        c->code = room;
        c->rest = encode_bytes(v->h.dim, x, inv, c, room) ? (int8_t *)room + v->h.dim : NULL;
        break;
    case VEC_QUANT_F16: encode_f16(v->h.dim, x, inv, v->h.metric == VEC_COSINE, c, room); break;
    case VEC_QUANT_BIN:
        code_bytes(v, x, inv, c, room);
        bin_encode(v, c, room);
        break;
    }
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
    if (v->h.quant == VEC_QUANT_BIN)
        bin_put(v, node);
}

void code_get(const struct vec_index *v, uint32_t node, struct coded *c)
{
    const struct row *r = vec_row(v, node);
    bool there = r->flags & ROW_REST || v->h.quant == VEC_QUANT_BIN; /* BIN: always; a file's flag is not trusted */
    *c = (struct coded){.code = r + 1,
                        .rest = there ? space_at(&v->space.area[AREA_REST], node) : NULL,
                        .norm = r->norm,
                        .lo = r->lo,
                        .step = r->step,
                        .sum = r->sum,
                        .sum2 = r->sum2};
}

/* The bits follow from the rest. */
bool code_same(const struct coded *a, const struct coded *b, const struct vec_index *v)
{
    return a->norm == b->norm && a->lo == b->lo && a->step == b->step && !a->rest == !b->rest &&
           (v->h.quant == VEC_QUANT_BIN || memcmp(a->code, b->code, v->code_bytes) == 0) &&
           (!a->rest || memcmp(a->rest, b->rest, v->rest_bytes) == 0);
}

static struct simd_q16 q16_of(const struct vec_index *v, const struct coded *c)
{
    const int8_t *rest = v->h.quant == VEC_QUANT_BIN ? c->rest + v->h.dim : c->rest;
    return (struct simd_q16){.code = bytes_of(v, c), .rest = rest, .lo = c->lo, .fine = c->step / FINE};
}

void code_decode(const struct vec_index *v, const struct coded *c, float *to)
{
    if (v->h.quant == VEC_QUANT_NONE) {
        memcpy(to, c->code, v->code_bytes);
        return;
    }
    if (v->h.quant == VEC_QUANT_F16) {
        uint16_t some[256]; /* what comes from a dump need not lie straight */
        for (uint32_t i = 0; i < v->h.dim; i += 256) {
            uint32_t n = v->h.dim - i < 256 ? v->h.dim - i : 256;
            memcpy(some, (const char *)c->code + (size_t)i * 2, n * sizeof *some);
            simd_codes.half_to_f32(to + i, some, n);
        }
        simd_scale_f32(to, to, (double)c->step, v->h.dim);
        return;
    }
    struct simd_q16 x = q16_of(v, c);
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
    p->code = code;
    p->lo = (float)((double)min * inv);
    p->step = (float)(step * inv);
    sums(code, n, &p->sum, &p->sum2);
}

size_t probe_room(const struct vec_index *v)
{
    size_t n = (v->h.dim * (sizeof(float) + 1) + 15) / 16 * 16;
    return v->h.quant == VEC_QUANT_BIN ? n + bin_probe_room(v) : n;
}

void probe_query(const struct vec_index *v, struct probe *p, const float *x, void *room)
{
    float *scaled = room;
    *p = (struct probe){.x = x};
    double inv = 1;
    if (v->h.metric == VEC_COSINE) {
        double n = simd_norm_f32(x, v->h.dim);
        inv = n > 0 ? 1 / n : 0;
        simd_scale_f32(scaled, x, inv, v->h.dim);
        p->x = scaled;
    }
    if (v->h.quant == VEC_QUANT_BIN)
        p->bits = bin_probe(v, p->x, (char *)room + probe_room(v) - bin_probe_room(v));
    if (has_bytes(v) && !p->bits)
        probe_q8(v, p, x, inv, (uint8_t *)(scaled + v->h.dim));
}

void probe_coded(const struct vec_index *v, struct probe *p, const struct coded *c)
{
    *p = (struct probe){.lo = c->lo, .step = c->step, .sum = c->sum, .sum2 = c->sum2};
    if (v->h.quant == VEC_QUANT_NONE)
        p->x = c->code;
    else if (v->h.quant == VEC_QUANT_F16)
        p->half = c->code;
    else
        p->code = bytes_of(v, c);
}

void probe_node(const struct vec_index *v, struct probe *p, uint32_t node)
{
    struct coded c;
    code_get(v, node, &c);
    probe_coded(v, p, &c);
}

/* ---- distances ---- */

static float f16_near(const struct vec_index *v, const struct probe *p, const uint16_t *x, float step)
{
    uint32_t n = v->h.dim;
    if (v->h.metric == VEC_L2)
        return code_order(v, (double)(p->x ? simd_codes.l2sq_f16(p->x, x, step, n)
                                           : simd_codes.l2sq_halves(p->half, p->step, x, step, n)));
    double dot =
        p->x ? (double)simd_codes.dot_f16(p->x, x, n) : (double)p->step * (double)simd_codes.dot_halves(p->half, x, n);
    return code_order(v, -(double)step * dot);
}

static inline float bytes_near(const struct vec_index *v, const struct probe *p, const struct row *r,
                               const uint8_t *code)
{
    int64_t product = simd.dot_u8(code, p->code, v->h.dim) + INT64_C(128) * r->sum;
    return code_order(v, code_q8(v, r->lo, r->step, r->sum, r->sum2, p, product));
}

float code_near(const struct vec_index *v, const struct probe *p, uint32_t node)
{
    const struct row *r = vec_row(v, node);
    switch ((enum vec_quant)v->h.quant) {
    case VEC_QUANT_NONE: return vec_distance(v, p->x, (const float *)(const void *)(r + 1));
    case VEC_QUANT_F16: return f16_near(v, p, (const uint16_t *)(const void *)(r + 1), r->step);
    case VEC_QUANT_BIN:
        if (p->bits)
            return bin_near(v, p->bits, r);
        break;
    case VEC_QUANT_Q8: break;
    }
    return bytes_near(v, p, r, code_at(v, p, node));
}

float code_between(const struct vec_index *v, const struct coded *c, const struct probe *p)
{
    if (v->h.quant == VEC_QUANT_NONE)
        return vec_distance(v, p->x, c->code);
    if (v->h.quant == VEC_QUANT_F16)
        return f16_near(v, p, c->code, c->step);
    int64_t product = simd.dot_u8(bytes_of(v, c), p->code, v->h.dim) + INT64_C(128) * c->sum;
    return code_order(v, code_q8(v, c->lo, c->step, c->sum, c->sum2, p, product));
}

static float exact_of(const struct vec_index *v, const struct probe *p, const struct coded *c)
{
    struct simd_q16 x = q16_of(v, c);
    return code_order(
        v, (double)(v->h.metric == VEC_L2 ? simd.l2sq_q16(p->x, &x, v->h.dim) : -simd.dot_q16(p->x, &x, v->h.dim)));
}

float code_exact(const struct vec_index *v, const struct probe *p, uint32_t node)
{
    if (code_is_exact(v))
        return code_near(v, p, node);
    struct coded c;
    code_get(v, node, &c);
    return exact_of(v, p, &c);
}

float code_exact_with(const struct vec_index *v, const struct probe *p, uint32_t node, const void *rest)
{
    struct coded c;
    code_get(v, node, &c);
    c.rest = rest;
    return exact_of(v, p, &c);
}

#define TOGETHER 64

static void bytes_near_many(const struct vec_index *v, const struct probe *p, const uint32_t *nodes,
                            const uint8_t *const *codes, uint32_t n, float *to)
{
    int32_t product[TOGETHER];
    for (uint32_t first = 0; first < n; first += TOGETHER) {
        uint32_t count = n - first < TOGETHER ? n - first : TOGETHER;
        simd.dot_u8_many(product, codes + first, count, p->code, v->h.dim);
        for (uint32_t i = 0; i < count; i++) {
            const struct row *r = vec_row(v, nodes[first + i]);
            int64_t whole_product = product[i] + INT64_C(128) * r->sum;
            to[first + i] = code_order(v, code_q8(v, r->lo, r->step, r->sum, r->sum2, p, whole_product));
        }
    }
}

void code_near_many(const struct vec_index *v, const struct probe *p, const uint32_t *nodes,
                    const uint8_t *const *codes, uint32_t n, float *to)
{
    if (v->h.quant == VEC_QUANT_NONE) {
        for (uint32_t i = 0; i < n; i++)
            to[i] = vec_distance(v, p->x, (const float *)(const void *)codes[i]);
        return;
    }
    if (has_bytes(v) && !p->bits) {
        bytes_near_many(v, p, nodes, codes, n, to);
        return;
    }
    for (uint32_t i = 0; i < n; i++)
        to[i] = code_near(v, p, nodes[i]);
}
