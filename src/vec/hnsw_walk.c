/* Reading the graph. Runs on workers while the writer changes links: a list may be seen half changed, which costs a
 * link or shows one twice, and every number seen is that of a node whose record is complete (README, invariants 1 to
 * 4). */
#include "vec/filter.h"
#include "vec/heap.h"
#include "vec/hnsw.h"

_Atomic uint32_t *hnsw_links(const struct vec_index *v, uint32_t node, int level, uint32_t *cap)
{
    struct row *r = vec_row(v, node);
    if (level == 0) {
        *cap = v->m0;
        return r->links;
    }
    uint32_t unit = r->upper;
    const struct area *a = &v->space.area[AREA_UPPER];
    for (int l = 1; unit && atomic_load_explicit(&a->bias[space_chunk(a, unit)], memory_order_relaxed); l++) {
        struct upper *u = vec_upper(v, unit);
        if (l == level) {
            *cap = v->h.m;
            return u->links;
        }
        unit = u->up;
    }
    vec_set_damaged(v);
    return NULL;
}

static inline float distance_to(const struct vec_index *v, struct searcher *s, const float *x, uint32_t node)
{
    s->distances++;
    return vec_distance(v, x, vec_code(v, node));
}

struct cand hnsw_descend(const struct vec_index *v, struct searcher *s, const float *x, uint64_t entry, int to)
{
    struct cand at = {distance_to(v, s, x, ENTRY_NODE(entry)), ENTRY_NODE(entry)};
    for (int level = ENTRY_LEVEL(entry); level > to; level--)
        for (bool moved = true; moved;) {
            uint32_t cap, n;
            _Atomic uint32_t *l = hnsw_links(v, at.node, level, &cap);
            moved = false;
            for (uint32_t i = 0; l && i < cap && (n = hnsw_target(v, &l[i])); i++) {
                float d = distance_to(v, s, x, n);
                if (d < at.d) {
                    at = (struct cand){d, n};
                    moved = true;
                }
            }
        }
    return at;
}

bool hnsw_matches(const struct vec_index *v, struct searcher *s, const struct filter *f, uint32_t node)
{
    struct slice attr;
    uint64_t ref = atomic_load_explicit(&vec_meta(v, node)->attr, memory_order_acquire);
    return ref && heap_get(v, ref, &attr) && filter_match(f, attr, &s->text);
}

/* Offers a node to the results. Without a filter everything is one. */
static inline void offer(const struct vec_index *v, struct searcher *s, const struct walk *w, struct cand c,
                         uint32_t *judged)
{
    if (c.node == w->avoid)
        return;
    if (w->filter) {
        ++*judged;
        if (!hnsw_matches(v, s, w->filter, c.node))
            return;
    }
    queue_keep(&s->best, c, w->ef);
}

/* The unvisited neighbours of a node, their vectors on the way to the cache before the first is looked at. */
static uint32_t fresh_links(const struct vec_index *v, struct searcher *s, uint32_t node, int level, uint32_t *to)
{
    uint32_t cap, n, count = 0, top = s->marks_cap * 64;
    _Atomic uint32_t *l = hnsw_links(v, node, level, &cap);
    for (uint32_t i = 0; l && i < cap && (n = hnsw_target(v, &l[i])); i++)
        if (n < top && searcher_mark(s, n)) { /* nodes made after the search began may lie beyond the marks */
            const char *p = (const char *)vec_code(v, n);
            __builtin_prefetch(p);
            __builtin_prefetch(p + 64);
            __builtin_prefetch(p + 128);
            to[count++] = n;
        }
    return count;
}

/* When a node is linked, equal vectors beyond the first few are stepped over: a crowd of them would fill the results,
 * and all its members would be linked among each other only. */
static inline bool one_twin_too_many(const struct vec_index *v, const struct walk *w, struct cand c, float self,
                                     uint32_t *twins)
{
    return w->twins && c.d == self && memcmp(vec_code(v, c.node), w->x, v->h.dim * sizeof *w->x) == 0 &&
           ++*twins > w->twins;
}

bool hnsw_walk(const struct vec_index *v, struct searcher *s, const struct walk *w, struct cand start, int level)
{
    uint32_t fresh[2 * VEC_MAX_M], judged = 0, steps = 0, twins = 0;
    float self = w->twins ? vec_distance(v, w->x, w->x) : 0;
    s->open.n = s->best.n = 0;
    searcher_mark(s, start.node);
    queue_push(&s->open, start);
    offer(v, s, w, start, &judged);
    while (s->open.n) {
        struct cand c = queue_pop(&s->open);
        if (s->best.n == w->ef && cand_before(s->best.a[0], c))
            return true;
        if (w->filter && judged >= w->budget)
            return false;
        if (w->cancel && ++steps % 64 == 0 && atomic_load_explicit(w->cancel, memory_order_relaxed))
            return false;
        uint32_t n = fresh_links(v, s, c.node, level, fresh);
        for (uint32_t i = 0; i < n; i++) {
            struct cand f = {distance_to(v, s, w->x, fresh[i]), fresh[i]};
            if ((s->best.n == w->ef && !cand_before(f, s->best.a[0])) || one_twin_too_many(v, w, f, self, &twins))
                continue;
            queue_push(&s->open, f);
            offer(v, s, w, f, &judged);
        }
    }
    return true;
}
