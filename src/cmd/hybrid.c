/* Fusion by rank or by weighted scores. */
#include "cmd/hybrid.h"

#include <stdlib.h>

static int by_name(const void *x, const void *y)
{
    const struct hybrid_hit *a = x, *b = y;
    return slice_cmp(a->name, b->name);
}

static int best_first(const void *x, const void *y)
{
    const struct hybrid_hit *a = x, *b = y;
    if (a->score != b->score)
        return a->score > b->score ? -1 : 1;
    if (a->by_vector != b->by_vector)
        return a->by_vector - 1 < b->by_vector - 1 ? -1 : 1; /* 0, not in the list, becomes the last rank */
    return a->by_text < b->by_text ? -1 : a->by_text > b->by_text;
}

/* Where a score lies between the worst and the best of its list. */
static double placed(double score, double best, double worst)
{
    return best == worst ? 1 : (score - worst) / (best - worst);
}

uint32_t hybrid_fuse(const struct vec_result *v, const struct text_result *t, double weight, struct hybrid_hit *to)
{
    uint32_t n = 0, kept = 0;
    for (uint32_t i = 0; i < v->count; i++) {
        double place = placed(v->hits[i].score, v->hits[0].score, v->hits[v->count - 1].score);
        to[n++] = (struct hybrid_hit){.name = v->hits[i].name,
                                      .by_vector = i + 1,
                                      .score = weight < 0 ? 1.0 / (HYBRID_RRF + i + 1) : weight * place};
    }
    for (uint32_t i = 0; i < t->count; i++) {
        double place = t->hits[i].score / t->hits[0].score; /* BM25 has a zero of its own */
        to[n++] = (struct hybrid_hit){.name = t->hits[i].name,
                                      .by_text = i + 1,
                                      .score = weight < 0 ? 1.0 / (HYBRID_RRF + i + 1) : (1 - weight) * place};
    }
    if (n)
        qsort(to, n, sizeof *to, by_name);
    for (uint32_t i = 0; i < n; i++)
        if (kept && slice_eq(to[kept - 1].name, to[i].name)) {
            to[kept - 1].score += to[i].score;
            to[kept - 1].by_vector += to[i].by_vector;
            to[kept - 1].by_text += to[i].by_text;
        } else {
            to[kept++] = to[i];
        }
    if (kept)
        qsort(to, kept, sizeof *to, best_first);
    return kept;
}
