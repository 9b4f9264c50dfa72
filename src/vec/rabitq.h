/* One bit a dimension, with an estimate of distances whose error is known: RaBitQ (Gao, Long: "RaBitQ: Quantizing
 * High-Dimensional Vectors with a Theoretical Error Bound for Approximate Nearest Neighbor Search", SIGMOD 2024,
 * arXiv 2405.12497), written from the paper's mathematics.
 *
 * How to think of it: what is left of a vector o after a centre c is taken away is turned by a random rotation, and of
 * every coordinate only the sign is kept. The signs, as o_bar = +-1/sqrt(D), are the corner of a cube that lies nearest
 * to the turned unit vector o'. For a query turned the same way, <o_bar, q> / <o_bar, o'> is then an unbiased estimate
 * of <o', q>, off by about |q| sqrt((1 - <o_bar, o'>^2) / <o_bar, o'>^2) / sqrt(D - 1). Distances and inner products
 * follow from it. The query is cut to 4 bits a coordinate, so that the product with a code is a few counts of ones, or
 * a few look-ups.
 *
 * The rotation is made of sign flips and fast Walsh-Hadamard transforms, n log n steps and a few bits of state. D is
 * the dimension rounded up to whole words.
 *
 * Any finite numbers may come in: nothing here becomes NaN. Thread: any, init and release excepted (one owner). */
#ifndef VEC_RABITQ_H
#define VEC_RABITQ_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#define RABITQ_ROUNDS 4
#define RABITQ_BITS   4 /* of a query's coordinate; 16 entries of 4 * 15 fit the look-up tables' bytes */

struct rabitq {
    uint32_t dim, bits, words; /* D is bits; a code has `words` */
    uint32_t block;            /* the largest power of two up to bits: what one transform mixes */
    uint64_t *signs;           /* of every round, `words` each; owned */
};

/* What of a vector goes beside its bits. */
struct rabitq_factors {
    float norm;    /* |o - c| */
    float dot;     /* <o_bar, o'>, 0.7 to 0.9 for most, in (0, 1]; 1 where o = c */
    uint32_t ones; /* in the code */
    float own;     /* |o|^2, for inner products */
};

struct rabitq_query {
    const uint64_t *planes;  /* bit p of every coordinate is plane p, RABITQ_BITS planes of `words` */
    double norm, own, cross; /* |q - c|, |q|^2, the sum of all coordinates' numbers */
    double lo, step;         /* coordinate i is lo + step * number */
    double bits, per_bit;    /* D, 1 / sqrt(D) */
    double spread, cut;      /* 1 / (D - 1); the variance that comes from the 4 bits */
};

void rabitq_init(struct rabitq *r, uint32_t dim, uint64_t seed); /* dim 1..65536; the same seed, the same rotation */
void rabitq_release(struct rabitq *r);

void rabitq_rotate(const struct rabitq *r, float *x); /* x has r->bits floats */

/* centre NULL: zero. `code` gets r->words, `room` has r->bits floats. */
void rabitq_encode(const struct rabitq *r, const float *x, const float *centre, uint64_t *code,
                   struct rabitq_factors *f, float *room);
/* `planes` gets RABITQ_BITS * r->words and is borrowed by q. */
void rabitq_query(const struct rabitq *r, struct rabitq_query *q, const float *x, const float *centre, uint64_t *planes,
                  float *room);
/* Tables for simd_codes.scan: 16 bytes for each four bits, two of them for a byte of a code, r->words * 256 in all. The
 * scan then gives the same sums as dot_bits. */
void rabitq_tables(const struct rabitq *r, const struct rabitq_query *q, uint8_t *tables);

/* The estimate of <o - c, q - c> from the sum that dot_bits or a scan gave. */
static inline double rabitq_product(const struct rabitq_query *q, const struct rabitq_factors *f, uint32_t sum)
{
    double bar = (q->step * (2.0 * sum - q->cross) + q->lo * (2.0 * f->ones - q->bits)) * q->per_bit;
    return (double)f->norm / (double)f->dot * bar;
}
/* |o - q|^2 from that product; >= 0. */
static inline double rabitq_l2sq(const struct rabitq_query *q, const struct rabitq_factors *f, double product)
{
    double d = (double)f->norm * (double)f->norm + q->norm * q->norm - 2 * product;
    return d > 0 ? d : 0;
}
/* <o, q>, from |o - q|^2 = |o|^2 + |q|^2 - 2 <o, q>. */
static inline double rabitq_inner(const struct rabitq_query *q, const struct rabitq_factors *f, double product)
{
    return ((double)f->own - (double)f->norm * (double)f->norm + q->own - q->norm * q->norm) / 2 + product;
}
/* One standard deviation of the estimate of a product that truly is `product`: what of the query lies along o' is
 * estimated without error, the rest, sqrt(|q - c|^2 - <o', q - c>^2), is not. With product 0 it is the most there can
 * be. The estimate is off by more than e of these with odds of about 2 exp(-e^2 / 2); the paper takes e = 1.9. Of
 * |o - q|^2 the error is twice that. A part of |q - c|^2 counts in any case, because the errors of the 4 bits are not
 * independent of each other when there are few dimensions. */
#define RABITQ_LEAST 8
static inline double rabitq_error(const struct rabitq_query *q, const struct rabitq_factors *f, double product)
{
    double dot = (double)f->dot, norm = (double)f->norm, along = norm > 0 ? product / norm : 0;
    double all = q->norm * q->norm, across = all - along * along;
    across = across > all / RABITQ_LEAST ? across : all / RABITQ_LEAST;
    return norm / dot * sqrt((1 - dot * dot) * across * q->spread + q->cut);
}

#endif
