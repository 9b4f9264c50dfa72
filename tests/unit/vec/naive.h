/* A model of an index that is too simple to be wrong: arrays and a full scan. For the tests of this folder. */
#ifndef TESTS_VEC_NAIVE_H
#define TESTS_VEC_NAIVE_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/rng.h"
#include "vec/vec.h"

/* How much of something: a quarter under the sanitizers, which take ten times as long and look at other things. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LIGHTER(n) ((n) / 4)
#else
#define LIGHTER(n) (n)
#endif

/* The quantisation under test: a test's main runs its tests once with each. */
static enum vec_quant naive_quant;

/* How far a stored component, or a score from a few of them, may be off. */
static inline double naive_off(double off)
{
    return naive_quant == VEC_QUANT_F16 ? 2e-3 : off;
}

static inline int naive_each_quant(const struct CMUnitTest *tests, size_t n)
{
    static const char *const names[] = {"floats", "Q8 codes", "half floats", "bits"};
    int rc = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        naive_quant = (enum vec_quant)i;
        printf("---- %s\n", names[i]);
        rc += _cmocka_run_group_tests(names[i], tests, n, NULL, NULL);
    }
    return rc;
}

struct naive {
    uint32_t slots, dim; /* element i is called "e<i>" */
    bool *live;
    float *x;
    char (*attr)[32];
    uint64_t count;
};

static inline struct naive *naive_create(uint32_t slots, uint32_t dim)
{
    struct naive *n = mem_zero(sizeof *n);
    n->slots = slots;
    n->dim = dim;
    n->live = mem_zero(slots);
    n->x = mem_zero((size_t)slots * dim * sizeof(float));
    n->attr = mem_zero((size_t)slots * 32);
    return n;
}

static inline void naive_destroy(struct naive *n)
{
    mem_free(n->live);
    mem_free(n->x);
    mem_free(n->attr);
    mem_free(n);
}

static inline struct slice naive_name(uint32_t i, char to[16])
{
    return slice_of(to, (size_t)snprintf(to, 16, "e%u", i));
}

static inline uint32_t naive_number(struct slice name)
{
    char t[16] = {0};
    memcpy(t, name.p, name.len < 15 ? name.len : 15);
    return (uint32_t)atoi(t + 1);
}

static inline double naive_score(enum vec_metric m, const float *a, const float *b, uint32_t dim)
{
    double dot = 0, aa = 0, bb = 0, l2 = 0;
    for (uint32_t i = 0; i < dim; i++) {
        dot += (double)a[i] * b[i];
        aa += (double)a[i] * a[i];
        bb += (double)b[i] * b[i];
        l2 += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
    }
    if (m == VEC_L2)
        return sqrt(l2);
    if (m == VEC_IP)
        return dot;
    return aa > 0 && bb > 0 ? (1 + dot / sqrt(aa) / sqrt(bb)) / 2 : 0.5;
}

static inline void random_vector(struct rng *r, float *to, uint32_t dim)
{
    for (uint32_t i = 0; i < dim; i++)
        to[i] = (float)(rng_double(r) * 2 - 1);
}

#endif
