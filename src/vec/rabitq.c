/* Rotation, codes, queries. A rotation of 1,024 coordinates takes 41,000 additions in four rounds. */
#include "vec/rabitq.h"

#include <float.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"

/* ---- the rotation ---- */

void rabitq_init(struct rabitq *r, uint32_t dim, uint64_t seed)
{
    struct rng rng;
    rng_seed(&rng, seed);
    r->dim = dim;
    r->words = (dim + 63) / 64;
    r->bits = r->words * 64;
    for (r->block = 64; r->block * 2 <= r->bits;)
        r->block *= 2;
    r->signs = mem_alloc((size_t)RABITQ_ROUNDS * r->words * sizeof *r->signs);
    for (uint32_t i = 0; i < RABITQ_ROUNDS * r->words; i++)
        r->signs[i] = rng_next(&rng);
}

void rabitq_release(struct rabitq *r)
{
    mem_free(r->signs);
    *r = (struct rabitq){0};
}

static void flip(float *x, const uint64_t *signs, uint32_t words)
{
    for (uint32_t w = 0; w < words; w++)
        for (uint32_t i = 0; i < 64; i++) {
            uint32_t u;
            memcpy(&u, &x[w * 64 + i], sizeof u);
            u ^= (uint32_t)(signs[w] >> i & 1) << 31;
            memcpy(&x[w * 64 + i], &u, sizeof u);
        }
}

/* a, b = a + b, a - b. Eights, because a loop of known length becomes vector code. */
static inline void butterflies(float *a, float *b)
{
    float s[8], d[8];
    for (int i = 0; i < 8; i++)
        s[i] = a[i] + b[i], d[i] = a[i] - b[i];
    memcpy(a, s, sizeof s);
    memcpy(b, d, sizeof d);
}

static inline void within_eight(float *x)
{
    float y[8];
    for (int i = 0; i < 4; i++)
        y[i] = x[i] + x[i + 4], y[i + 4] = x[i] - x[i + 4];
    for (int k = 0; k < 8; k += 4)
        for (int i = k; i < k + 2; i++)
            x[i] = y[i] + y[i + 2], x[i + 2] = y[i] - y[i + 2];
    for (int i = 0; i < 8; i += 2) {
        float s = x[i] + x[i + 1], d = x[i] - x[i + 1];
        x[i] = s, x[i + 1] = d;
    }
}

/* The Walsh-Hadamard transform, made orthogonal; n is a power of two from 64 on. */
static void hadamard(float *x, uint32_t n)
{
    float by = (float)(1 / sqrt(n));
    for (uint32_t i = 0; i < n; i += 8)
        within_eight(x + i);
    for (uint32_t h = 8; h < n; h *= 2)
        for (uint32_t i = 0; i < n; i += 2 * h)
            for (uint32_t k = i; k < i + h; k += 8)
                butterflies(x + k, x + k + h);
    for (uint32_t i = 0; i < n; i++)
        x[i] *= by;
}

/* Each coordinate of the first half with its partner in the second, turned by an eighth of a circle. */
static void cross_halves(float *x, uint32_t n)
{
    const float by = 0.70710678f;
    for (uint32_t i = 0; i < n / 2; i += 8)
        butterflies(x + i, x + n / 2 + i);
    for (uint32_t i = 0; i < n; i++)
        x[i] *= by;
}

/* Where the number of coordinates is no power of two, the transform mixes the first and the last of them in turns. */
void rabitq_rotate(const struct rabitq *r, float *x)
{
    for (uint32_t k = 0; k < RABITQ_ROUNDS; k++) {
        flip(x, r->signs + (size_t)k * r->words, r->words);
        hadamard(k % 2 ? x + (r->bits - r->block) : x, r->block);
        if (r->block < r->bits)
            cross_halves(x, r->bits);
    }
}

/* ---- codes ---- */

static float to_float(double d)
{
    return d > (double)FLT_MAX ? FLT_MAX : (float)d;
}

/* to = the unit vector of x - centre, turned. Returns the length, 0 where there is no direction; *own is |x|^2. */
static double turn(const struct rabitq *r, const float *x, const float *centre, float *to, double *own)
{
    double sum = 0;
    *own = 0;
    for (uint32_t i = 0; i < r->dim; i++) {
        double d = (double)x[i] - (centre ? (double)centre[i] : 0);
        sum += d * d;
        *own += (double)x[i] * (double)x[i];
    }
    double norm = sqrt(sum), by = norm > 0 ? 1 / norm : 0;
    for (uint32_t i = 0; i < r->dim; i++)
        to[i] = (float)(((double)x[i] - (centre ? (double)centre[i] : 0)) * by);
    memset(to + r->dim, 0, (r->bits - r->dim) * sizeof *to);
    rabitq_rotate(r, to);
    return norm;
}

void rabitq_encode(const struct rabitq *r, const float *x, const float *centre, uint64_t *code,
                   struct rabitq_factors *f, float *room)
{
    double own, norm = turn(r, x, centre, room, &own), abs = 0, length = 0;
    uint32_t ones = 0;
    for (uint32_t w = 0; w < r->words; w++) {
        uint64_t word = 0;
        const float *y = room + (size_t)w * 64;
        for (uint32_t i = 0; i < 64; i++) {
            word |= (uint64_t)(y[i] > 0) << i;
            abs += fabs((double)y[i]);
            length += (double)y[i] * (double)y[i];
        }
        ones += (uint32_t)__builtin_popcountll(word);
        code[w] = word;
    }
    double dot = length > 0 ? abs / sqrt(length * r->bits) : 1;
    *f = (struct rabitq_factors){
        .norm = to_float(norm), .dot = dot < 1 ? (float)dot : 1, .ones = ones, .own = to_float(own)};
}

/* ---- queries ---- */

static double cut(const struct rabitq *r, struct rabitq_query *q, const float *y, uint64_t *planes)
{
    const int most = (1 << RABITQ_BITS) - 1;
    float lo = y[0], hi = y[0];
    for (uint32_t i = 0; i < r->bits; i++) {
        lo = y[i] < lo ? y[i] : lo;
        hi = y[i] > hi ? y[i] : hi;
    }
    double step = ((double)hi - (double)lo) / most, by = step > 0 ? 1 / step : 0, sum = 0;
    memset(planes, 0, (size_t)RABITQ_BITS * r->words * sizeof *planes);
    for (uint32_t i = 0; i < r->bits; i++) {
        int n = (int)(((double)y[i] - (double)lo) * by + 0.5);
        n = n < most ? n : most;
        sum += n;
        for (int p = 0; p < RABITQ_BITS; p++)
            planes[(size_t)p * r->words + i / 64] |= (uint64_t)(n >> p & 1) << (i % 64);
    }
    q->lo = (double)lo * q->norm;
    q->step = step * q->norm;
    return sum;
}

void rabitq_query(const struct rabitq *r, struct rabitq_query *q, const float *x, const float *centre, uint64_t *planes,
                  float *room)
{
    *q = (struct rabitq_query){.planes = planes, .bits = r->bits, .per_bit = 1 / sqrt(r->bits)};
    q->norm = turn(r, x, centre, room, &q->own);
    q->cross = cut(r, q, room, planes);
    q->spread = 1.0 / (r->bits - 1);
    q->cut = q->step * q->step / 12; /* rounding errors are spread evenly over a step */
}

void rabitq_tables(const struct rabitq *r, const struct rabitq_query *q, uint8_t *tables)
{
    for (uint32_t g = 0; g < r->words * 16; g++, tables += 16) {
        tables[0] = 0;
        for (uint32_t k = 0; k < 4; k++) {
            unsigned number = 0;
            for (uint32_t p = 0; p < RABITQ_BITS; p++)
                number |= (unsigned)(q->planes[p * r->words + g / 16] >> (g % 16 * 4 + k) & 1) << p;
            for (uint32_t t = 0; t < 1u << k; t++)
                tables[t + (1u << k)] = (uint8_t)(tables[t] + number);
        }
    }
}
