#include "store/vset_redis.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "store/vset.h"

#define REDIS_DEFAULT_M 16

enum redis_quant { REDIS_NONE, REDIS_Q8, REDIS_BIN };
enum { HAS_MATRIX = 1, HAS_ATTRIBUTES = 2 };

/* ---- quantised vectors ---- */

void redis_q8(const float *x, uint32_t dim, int8_t *to, float *range)
{
    float most = 0;
    for (uint32_t i = 0; i < dim; i++)
        most = fmaxf(most, fabsf(x[i]));
    for (uint32_t i = 0; i < dim; i++)
        to[i] = most > 0 ? (int8_t)roundf(x[i] / most * 127) : 0;
    *range = most;
}

size_t redis_bin_bytes(uint32_t dim)
{
    return (dim + 63) / 64 * sizeof(uint64_t);
}

void redis_bin(const float *x, uint32_t dim, uint64_t *to)
{
    memset(to, 0, redis_bin_bytes(dim));
    for (uint32_t i = 0; i < dim; i++)
        to[i / 64] |= (uint64_t)(x[i] > 0) << i % 64;
}

static size_t vector_bytes(enum redis_quant q, uint32_t dim)
{
    return q == REDIS_NONE ? dim * sizeof(float) : q == REDIS_Q8 ? dim : redis_bin_bytes(dim);
}

/* As VEMB of Redis gives it. */
static void decode(enum redis_quant q, struct slice bytes, uint32_t dim, float norm, float range, float *to)
{
    const int8_t *q8 = (const int8_t *)bytes.p;
    if (q == REDIS_NONE)
        memcpy(to, bytes.p, dim * sizeof *to);
    for (uint32_t i = 0; i < dim; i++) {
        if (q == REDIS_NONE)
            to[i] *= norm;
        else if (q == REDIS_Q8)
            to[i] = (float)q8[i] * range / 127 * norm;
        else
            to[i] = bytes.p[i / 8] >> i % 8 & 1 ? 1 : -1;
    }
}

/* ---- the saved value ----
 *
 *   uint    dim
 *   uint    elements
 *   uint    quantisation in the low byte, M in the two above it (0: 16)
 *   uint    flags: 1 with a projection, 2 with attributes
 *   projection: uint components of the input, string matrix (dim rows of them, 32-bit floats)
 *   per element:
 *     string  name
 *     string  attributes, empty: none; only with flag 2
 *     string  vector
 *     uint    how many numbers follow
 *     uint... node id; level and version; per level: links, room for links, the linked ids, and since version 1 which
 *             link is the worst and how bad; at last the vector's length before it was normalised (low 32 bits) and its
 *             range (high 32 bits), both as 32-bit floats
 *
 * The links are stepped over. */
struct head {
    uint32_t dim, m;
    uint64_t elements;
    enum redis_quant quant;
    uint64_t flags;
};

static int read_head(struct rdb_in *in, struct head *h, struct err *err)
{
    uint64_t dim = rdb_get_module_uint(in);
    h->elements = rdb_get_module_uint(in);
    uint64_t config = rdb_get_module_uint(in);
    h->flags = rdb_get_module_uint(in);
    uint64_t quant = config & 0xff, m = config >> 8 & 0xffff;
    h->dim = (uint32_t)dim;
    h->quant = (enum redis_quant)quant;
    h->m = m ? (uint32_t)m : REDIS_DEFAULT_M;
    if (in->bad || dim < 1 || dim > VEC_MAX_DIM || quant > REDIS_BIN || config >> 24 || h->m < VEC_MIN_M ||
        h->m > VEC_MAX_M || h->flags > (HAS_MATRIX | HAS_ATTRIBUTES))
        return err_set(err, ERR_INVALID, "a vector set of Redis in a form that is not known");
    if (!rdb_fits(in, h->elements, 8 + vector_bytes(h->quant, h->dim) / 256)) /* packed by LZF at best */
        return err_set(err, ERR_INVALID, "a vector set of Redis with more elements than bytes for them");
    return 0;
}

static int read_projection(struct rdb_in *in, const struct head *h, struct vset *s, struct err *err)
{
    uint64_t input = rdb_get_module_uint(in);
    struct slice matrix = rdb_get_module_str(in);
    if (in->bad || input < 1 || input > VEC_MAX_DIM)
        return err_set(err, ERR_INVALID, "a vector set of Redis with a projection that is not whole");
    return projection_of_matrix(&s->projection, (uint32_t)input, h->dim, matrix, err);
}

static float float_of(uint64_t bits)
{
    uint32_t low = (uint32_t)bits;
    float f;
    memcpy(&f, &low, sizeof f);
    return f;
}

/* What is behind the links. Only bytes have a range; else Redis leaves in its place what was there. */
static int read_node(struct rdb_in *in, enum redis_quant q, float *norm, float *range, struct err *err)
{
    uint64_t n = rdb_get_module_uint(in), last = 0;
    bool ok = n >= 3 && rdb_fits(in, n, 2);
    for (uint64_t i = 0; ok && i < n && !in->bad; i++)
        last = rdb_get_module_uint(in);
    *norm = float_of(last);
    *range = q == REDIS_Q8 ? float_of(last >> 32) : 0;
    if (!ok || in->bad || !isfinite(*norm) || !isfinite(*range) || *norm < 0 || *range < 0)
        return err_set(err, ERR_INVALID, "a vector set of Redis with an element that is not whole");
    return 0;
}

struct element {
    struct buf name, attr, vector; /* what rdb_get_str gives is gone with the next one */
    float *x;
};

static void copy(struct buf *to, struct slice s)
{
    buf_clear(to);
    if (s.len)
        buf_add(to, s.p, s.len);
}

static int read_element(struct rdb_in *in, const struct head *h, struct vset *s, struct element *e, struct err *err)
{
    float norm, range;
    copy(&e->name, rdb_get_module_str(in));
    copy(&e->attr, h->flags & HAS_ATTRIBUTES ? rdb_get_module_str(in) : SLICE(""));
    copy(&e->vector, rdb_get_module_str(in));
    int rc = read_node(in, h->quant, &norm, &range, err);
    if (rc < 0)
        return rc;
    if (e->vector.len != vector_bytes(h->quant, h->dim))
        return err_set(err, ERR_INVALID, "a vector set of Redis with a vector of %zu bytes, not %zu", e->vector.len,
                       vector_bytes(h->quant, h->dim));
    decode(h->quant, buf_slice(&e->vector), h->dim, norm, range, e->x);
    rc = vec_add(s->index, buf_slice(&e->name), e->x, h->dim, buf_slice(&e->attr), err);
    if (rc == VEC_UPDATED)
        return err_set(err, ERR_INVALID, "a vector set of Redis with an element twice");
    return rc < 0 ? rc : 0;
}

int vset_load_redis(struct rdb_in *from, struct value *out, struct err *err)
{
    struct head h;
    struct vset *s = NULL;
    struct element e = {0};
    int rc = read_head(from, &h, err);
    if (rc < 0)
        return rc;
    static const enum vec_quant quants[] = {VEC_QUANT_NONE, VEC_QUANT_Q8, VEC_QUANT_BIN}; /* by enum redis_quant */
    struct vec_config config = {.dim = h.dim, .quant = quants[h.quant], .m = h.m};
    rc = vset_create(&s, &config, NULL, SLICE(""), err);
    if (rc == 0 && (h.flags & HAS_MATRIX))
        rc = read_projection(from, &h, s, err);
    e.x = mem_alloc(h.dim * sizeof *e.x);
    for (uint64_t i = 0; rc == 0 && i < h.elements; i++)
        rc = read_element(from, &h, s, &e, err);
    buf_release(&e.name);
    buf_release(&e.attr);
    buf_release(&e.vector);
    mem_free(e.x);
    if (rc < 0) {
        vset_destroy(s);
        return rc;
    }
    *out = value_container(OBJ_VECTOR, ENC_OWN, s);
    return 0;
}
