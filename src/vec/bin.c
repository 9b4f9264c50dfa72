/* Bits in an index: the centre, encoding, estimates. */
#include "vec/bin.h"

#include <math.h>

#include "base/mem.h"
#include "simd/codes.h"

#define SAMPLE_MOST  1000 /* elements whose mean is the centre: no walk is made among fewer */
#define SAMPLE_LEAST 16
#define SAMPLE_WORK  (1 << 20) /* components encoded at once when the centre is found */

/* ---- encoding ---- */

static const float *centre_of(const struct vec_index *v)
{
    return atomic_load_explicit(&v->centre, memory_order_acquire);
}

static void encode_with(const struct vec_index *v, const struct coded *c, const float *centre, void *code)
{
    struct bin *b = code;
    float *x = mem_alloc((v->h.dim + v->rabitq.bits) * sizeof *x);
    code_decode(v, c, x);
    rabitq_encode(&v->rabitq, x, centre, b->bits, &b->f, x + v->h.dim);
    mem_free(x);
}

void bin_encode(const struct vec_index *v, const struct coded *c, void *code)
{
    const float *centre = centre_of(v);
    if (centre)
        encode_with(v, c, centre, code);
}

void bin_put(struct vec_index *v, uint32_t node)
{
    struct row *r = vec_row(v, node);
    struct bin *b = (struct bin *)(void *)(r + 1);
    struct coded c;
    if (!(b->f.dot > 0)) {
        code_get(v, node, &c);
        bin_encode(v, &c, b);
    }
    if (node && bin_in_blocks(v) && centre_of(v))
        bin_pack(v, node);
}

bool bin_sound(const struct vec_index *v, const void *code)
{
    struct rabitq_factors f;
    if (v->h.quant != VEC_QUANT_BIN || !centre_of(v))
        return true;
    memcpy(&f, code, sizeof f);
    uint32_t ones = 0;
    for (uint32_t w = 0; w < v->rabitq.words; w++) {
        uint64_t word;
        memcpy(&word, (const char *)code + sizeof f + w * 8, 8);
        ones += (uint32_t)__builtin_popcountll(word);
    }
    return isfinite(f.norm) && f.norm >= 0 && isfinite(f.own) && f.own >= 0 && f.dot >= 1e-3f && f.dot <= 1 &&
           f.ones == ones;
}

/* ---- the centre ---- */

/* From now on codes are relative to it. What is there gets its bits first, then readers may see it. */
static void publish(struct vec_index *v)
{
    struct coded c;
    float *centre = mem_alloc(v->h.dim * sizeof *centre);
    code_get(v, 0, &c);
    code_decode(v, &c, centre);
    for (uint32_t n = 1; n < vec_top(v); n++) {
        struct row *r = vec_row(v, n);
        if (!(r->flags & ROW_REST))
            continue;
        space_touch(&v->space, AREA_ROWS, n, r, v->space.area[AREA_ROWS].unit);
        code_get(v, n, &c);
        encode_with(v, &c, centre, r + 1);
        if (bin_in_blocks(v))
            bin_pack(v, n);
    }
    atomic_store_explicit(&v->centre, centre, memory_order_release);
}

/* Row 0 is in the chunk of row 1, which may not be there yet. */
static int put_centre(struct vec_index *v, const struct coded *c, struct err *err)
{
    int rc = space_reserve(&v->space, AREA_ROWS, 1, err);
    if (rc == 0)
        rc = space_reserve(&v->space, AREA_REST, 1, err);
    if (rc < 0)
        return rc;
    space_touch(&v->space, AREA_ROWS, 0, vec_row(v, 0), v->space.area[AREA_ROWS].unit);
    code_put(v, 0, c);
    publish(v);
    return 0;
}

int bin_set_centre(struct vec_index *v, const struct coded *from, struct err *err)
{
    struct coded c = *from;
    void *none = mem_zero(v->code_bytes);
    c.code = none;
    code_sums(v, &c);
    int rc = put_centre(v, &c, err);
    mem_free(none);
    return rc;
}

static void mean(const struct vec_index *v, float *to)
{
    uint32_t dim = v->h.dim, count = 0;
    double *sum = mem_zero(dim * sizeof *sum);
    for (uint32_t n = 1; n < vec_top(v); n++) {
        struct coded c;
        if (!vec_alive(v, n))
            continue;
        code_get(v, n, &c);
        code_decode(v, &c, to);
        for (uint32_t i = 0; i < dim; i++)
            sum[i] += (double)to[i];
        count++;
    }
    for (uint32_t i = 0; i < dim; i++)
        to[i] = (float)(sum[i] / (count ? count : 1));
    mem_free(sum);
}

void bin_settle(struct vec_index *v)
{
    uint32_t enough = SAMPLE_WORK / v->h.dim;
    enough = enough < SAMPLE_LEAST ? SAMPLE_LEAST : enough > SAMPLE_MOST ? SAMPLE_MOST : enough;
    if (v->h.quant != VEC_QUANT_BIN || vec_count(v) < enough || centre_of(v))
        return;
    float *x = mem_alloc(v->h.dim * sizeof *x);
    void *room = mem_alloc(v->code_bytes + v->rest_bytes);
    struct coded c = {.norm = 1};
    mean(v, x);
    code_bytes(v, x, 1, &c, room);
    put_centre(v, &c, NULL); /* without memory for it: next time */
    mem_free(room);
    mem_free(x);
}

void bin_restore(struct vec_index *v)
{
    struct coded c;
    if (v->h.quant != VEC_QUANT_BIN || vec_top(v) < 2 || !(vec_row(v, 0)->flags & ROW_REST))
        return;
    float *centre = mem_alloc(v->h.dim * sizeof *centre);
    code_get(v, 0, &c);
    code_decode(v, &c, centre);
    if (!simd_finite_f32(centre, v->h.dim))
        vec_set_damaged(v);
    atomic_store_explicit(&v->centre, centre, memory_order_release);
}

/* ---- queries ---- */

size_t bin_probe_room(const struct vec_index *v)
{
    const struct rabitq *r = &v->rabitq;
    return sizeof(struct rabitq_query) + (size_t)RABITQ_BITS * r->words * 8 + r->bits * sizeof(float);
}

const struct rabitq_query *bin_probe(const struct vec_index *v, const float *x, void *room)
{
    const float *centre = centre_of(v);
    struct rabitq_query *q = room;
    uint64_t *planes = (uint64_t *)(void *)(q + 1);
    if (!centre)
        return NULL;
    rabitq_query(&v->rabitq, q, x, centre, planes, (float *)(void *)(planes + (size_t)RABITQ_BITS * v->rabitq.words));
    return q;
}

static inline double order(const struct vec_index *v, const struct rabitq_query *q, const struct rabitq_factors *f,
                           double product)
{
    return v->h.metric == VEC_L2 ? rabitq_l2sq(q, f, product) : -rabitq_inner(q, f, product);
}

static inline double product_of(const struct vec_index *v, const struct rabitq_query *q, const struct bin *b)
{
    uint32_t sum = simd_codes.dot_bits(b->bits, q->planes, v->rabitq.words, RABITQ_BITS);
    return rabitq_product(q, &b->f, sum);
}

float bin_near(const struct vec_index *v, const struct rabitq_query *q, const struct row *r)
{
    const struct bin *b = bin_of(r);
    return code_order(v, order(v, q, &b->f, product_of(v, q, b)));
}

/* The product that a node at distance d would have. If it had more than that, being nearer, the estimate would have
 * come out at least BIN_CERTAIN deviations below it: a deviation is the smaller the larger the product is. */
bool bin_excludes(const struct vec_index *v, const struct rabitq_query *q, uint32_t node, float d)
{
    const struct bin *b = bin_of(vec_row(v, node));
    double unit = v->h.metric == VEC_COSINE, at_zero = order(v, q, &b->f, 0), far = (double)d - unit;
    double need = v->h.metric == VEC_L2 ? (at_zero - far) / 2 : at_zero - far;
    double slack = 1e-5 * (fabs(at_zero) + fabs(far) + q->norm * q->norm);
    return product_of(v, q, b) + BIN_CERTAIN * rabitq_error(q, &b->f, need > 0 ? need : 0) + slack < need;
}
