#include "store/projection.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "base/mem.h"
#include "simd/simd.h"
#include "vec/vec.h"

struct projection {
    atomic_int refs;
    uint32_t in, out;
    uint32_t order; /* of the transform: a power of two, at least in and out */
    float *matrix;  /* NULL: Walsh-Hadamard */
};

struct projection *projection_create(uint32_t in, uint32_t out)
{
    struct projection *p = mem_zero(sizeof *p);
    atomic_init(&p->refs, 1);
    p->in = in;
    p->out = out;
    for (p->order = 1; p->order < in || p->order < out;)
        p->order *= 2;
    return p;
}

static float hadamard(uint32_t i, uint32_t j, float scale)
{
    return __builtin_parity(i & j) ? -scale : scale;
}

/* Is it the matrix that we would not have to keep? */
static bool is_default(const struct projection *p)
{
    float scale = (float)(1 / sqrt((double)p->in));
    for (uint32_t i = 0; i < p->out; i++)
        for (uint32_t j = 0; j < p->in; j++)
            if (fabsf(p->matrix[(size_t)i * p->in + j] - hadamard(i, j, scale)) > scale * 1e-6f)
                return false;
    return true;
}

int projection_of_matrix(struct projection **to, uint32_t in, uint32_t out, struct slice matrix, struct err *err)
{
    struct projection *p = projection_create(in, out);
    size_t n = (size_t)in * out;
    int rc = 0;
    if (matrix.len != n * sizeof *p->matrix)
        rc = err_set(err, ERR_INVALID, "a projection from %u to %u components has another matrix", in, out);
    else if (!(p->matrix = mem_try(matrix.len)))
        rc = err_set(err, ERR_OOM, "no memory for a projection from %u to %u components", in, out);
    if (rc == 0) {
        memcpy(p->matrix, matrix.p, matrix.len);
        if (!simd_finite_f32(p->matrix, n))
            rc = err_set(err, ERR_INVALID, "a projection's matrix holds finite numbers only");
    }
    if (rc < 0) {
        projection_unref(p);
        return rc;
    }
    if (is_default(p)) {
        mem_free(p->matrix);
        p->matrix = NULL;
    }
    *to = p;
    return 0;
}

struct projection *projection_ref(struct projection *p)
{
    if (p)
        atomic_fetch_add(&p->refs, 1);
    return p;
}

void projection_unref(struct projection *p)
{
    if (!p || atomic_fetch_sub(&p->refs, 1) > 1)
        return;
    mem_free(p->matrix);
    mem_free(p);
}

uint32_t projection_in(const struct projection *p)
{
    return p->in;
}

uint32_t projection_out(const struct projection *p)
{
    return p->out;
}

size_t projection_bytes(const struct projection *p)
{
    return sizeof *p + (p->matrix ? (size_t)p->in * p->out * sizeof *p->matrix : 0);
}

/* Fast Walsh-Hadamard transform, in place, natural order. */
static void transform(float *x, uint32_t n)
{
    for (uint32_t half = 1; half < n; half *= 2)
        for (uint32_t i = 0; i < n; i += 2 * half)
            for (uint32_t j = i; j < i + half; j++) {
                float a = x[j], b = x[j + half];
                x[j] = a + b;
                x[j + half] = a - b;
            }
}

void projection_apply(const struct projection *p, const float *x, float *to)
{
    if (p->matrix) {
        for (uint32_t i = 0; i < p->out; i++)
            to[i] = simd.dot_f32(p->matrix + (size_t)i * p->in, x, p->in);
        return;
    }
    float *room = mem_zero(p->order * sizeof *room);
    memcpy(room, x, p->in * sizeof *room);
    transform(room, p->order);
    simd_scale_f32(to, room, 1 / sqrt((double)p->in), p->out);
    mem_free(room);
}

void projection_save(const struct projection *p, struct rdb_out *to)
{
    rdb_put_len(to, p->in);
    rdb_put_len(to, p->out);
    rdb_put_str(to, slice_of((const char *)p->matrix, p->matrix ? (size_t)p->in * p->out * sizeof *p->matrix : 0));
}

int projection_load(struct projection **to, struct rdb_in *from, struct err *err)
{
    uint64_t in = rdb_get_len(from), out = rdb_get_len(from);
    struct slice matrix = rdb_get_str(from);
    if (from->bad || in < 1 || in > VEC_MAX_DIM || out < 1 || out > VEC_MAX_DIM)
        return err_set(err, ERR_INVALID, "a projection of another number of components than 1 to %d", VEC_MAX_DIM);
    if (matrix.len)
        return projection_of_matrix(to, (uint32_t)in, (uint32_t)out, matrix, err);
    *to = projection_create((uint32_t)in, (uint32_t)out);
    return 0;
}
