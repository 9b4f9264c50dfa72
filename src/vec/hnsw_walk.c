/* Reading the graph. Runs on workers while the writer changes links: a list may be seen half changed, which costs a
 * link or shows one twice, and every number seen is that of a node whose record is complete (README, invariants 1 to
 * 4). */
#include "vec/hnsw.h"
#include "vec/matcher.h"

#define POOL_MOST      1024 /* the largest ef that is walked with one sorted list */
#define PREFETCH_FIRST 256  /* bytes of a code asked for when its node is met; the rest when its turn is next */

_Atomic uint32_t *hnsw_links(const struct vec_index *v, uint32_t node, int level, uint32_t *cap)
{
    struct row *r = vec_row(v, node);
    if (level == 0) {
        *cap = v->m0;
        return vec_links0(v, r);
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

static inline float distance_to(const struct vec_index *v, struct searcher *s, const struct probe *from, uint32_t node)
{
    s->distances++;
    return code_near(v, from, node);
}

struct cand hnsw_descend(const struct vec_index *v, struct searcher *s, const struct probe *from, uint64_t entry,
                         int to)
{
    struct cand at = {distance_to(v, s, from, ENTRY_NODE(entry)), ENTRY_NODE(entry)};
    for (int level = ENTRY_LEVEL(entry); level > to; level--)
        for (bool moved = true; moved;) {
            uint32_t cap, n;
            _Atomic uint32_t *l = hnsw_links(v, at.node, level, &cap);
            moved = false;
            for (uint32_t i = 0; l && i < cap && (n = hnsw_target(v, &l[i])); i++) {
                float d = distance_to(v, s, from, n);
                if (d < at.d) {
                    at = (struct cand){d, n};
                    moved = true;
                }
            }
        }
    return at;
}

/* Offers a node to the results. Without a filter everything is one. */
static inline void offer(const struct vec_index *v, struct searcher *s, const struct walk *w, struct cand c,
                         uint32_t *judged)
{
    if (c.node == w->avoid)
        return;
    if (w->match) {
        ++*judged;
        if (!matcher_test(w->match, c.node, &s->text))
            return;
    }
    queue_keep(&s->best, c, w->ef);
}

#define LINE 64

static inline void prefetch(const char *p, uint32_t from, uint32_t to)
{
    for (uint32_t at = from; at < to; at += LINE)
        __builtin_prefetch(p + at);
}

/* Neighbours that have not been visited. */
struct fresh {
    uint32_t n, node[2 * VEC_MAX_M];
    const uint8_t *code[2 * VEC_MAX_M];
    float d[2 * VEC_MAX_M];
};

/* Those of a node, their codes on the way to the cache before the first is looked at. */
static void fresh_links(const struct vec_index *v, struct searcher *s, const struct probe *from, uint32_t node,
                        int level, struct fresh *f)
{
    uint32_t cap, n, top = s->marks_cap * 64, known = vec_top(v);
    _Atomic uint32_t *l = hnsw_links(v, node, level, &cap);
    uint32_t bytes = v->code_bytes < PREFETCH_FIRST ? v->code_bytes : PREFETCH_FIRST;
    bool apart = v->h.quant == VEC_QUANT_BIN && !from->bits; /* the bytes lie elsewhere */
    f->n = 0;
    top = top < known ? top : known; /* nodes made after the search began may lie beyond the marks */
    for (uint32_t i = 0; l && i < cap; i++) {
        n = atomic_load_explicit(&l[i], memory_order_acquire);
        if (n >= top && !(n = hnsw_target(v, &l[i])))
            break;
        if (n == 0)
            break;
        if (n >= top || !searcher_mark(s, n))
            continue;
        const uint8_t *code = code_at(v, from, n);
        if (apart) {
            __builtin_prefetch(vec_row(v, n));
            prefetch((const char *)code, 0, v->h.dim < PREFETCH_FIRST ? v->h.dim : PREFETCH_FIRST);
        } else {
            prefetch((const char *)code - sizeof(struct row), 0, (uint32_t)sizeof(struct row) + bytes);
        }
        f->node[f->n] = n;
        f->code[f->n++] = code;
    }
    for (uint32_t i = 0; s->cold && i < f->n; i++)
        space_fetch(&v->space.area[AREA_ROWS], f->node[i]);
}

static void judge_fresh(const struct vec_index *v, struct searcher *s, const struct probe *from, struct fresh *f)
{
    s->distances += f->n;
    code_near_many(v, from, f->node, f->code, f->n, f->d);
}

/* When a node is linked, equal vectors beyond the first few are stepped over: a crowd of them would fill the results,
 * and all its members would be linked among each other only. */
static inline bool one_twin_too_many(const struct vec_index *v, const struct walk *w, struct cand c, float self,
                                     uint32_t *twins)
{
    if (!w->twin || c.d != self)
        return false;
    struct coded has;
    code_get(v, c.node, &has);
    return code_same(&has, w->twin, v) && ++*twins > w->twins;
}

static inline bool stopped(const struct walk *w, uint32_t *steps)
{
    return w->cancel && ++*steps % 64 == 0 && atomic_load_explicit(w->cancel, memory_order_relaxed);
}

/* Results and what is still to be walked are one list, nearest first, with a mark on what has been walked: up to a
 * thousand entries, moving them is cheaper than two heaps. */
static void walk_pool(const struct vec_index *v, struct searcher *s, const struct walk *w, struct cand start, int level)
{
    struct fresh f;
    struct pool *pool = &s->pool;
    uint32_t steps = 0, twins = 0, next = 0, most = w->ef + (w->avoid != 0);
    float self = w->twin ? code_between(v, w->twin, w->from) : 0;
    pool_clear(pool, most);
    pool_add(pool, pool_key(start), most);
    while (next < pool->n && !stopped(w, &steps)) {
        uint32_t first = next + 1;
        fresh_links(v, s, w->from, pool_cand(pool->a[next]).node, level, &f);
        pool->a[next] |= POOL_WALKED;
        judge_fresh(v, s, w->from, &f);
        for (uint32_t i = 0; i < f.n; i++) {
            struct cand c = {f.d[i], f.node[i]};
            uint64_t key = pool_key(c);
            if ((pool->n == most && key >= pool->a[most - 1]) || one_twin_too_many(v, w, c, self, &twins))
                continue;
            uint32_t at = pool_add(pool, key, most);
            first = at < first ? at : first;
        }
        for (next = first; next < pool->n && (pool->a[next] & POOL_WALKED); next++) {
        }
        if (next < pool->n)
            prefetch((const char *)vec_row(v, pool_cand(pool->a[next]).node), v->links_at, v->links_at + v->m0 * 4);
    }
    for (uint32_t i = 0; i < pool->n && s->best.n < w->ef; i++) {
        struct cand c = pool_cand(pool->a[i]);
        if (c.node != w->avoid)
            queue_append(&s->best, c);
    }
}

static bool walk_heaps(const struct vec_index *v, struct searcher *s, const struct walk *w, struct cand start,
                       int level)
{
    struct fresh fresh;
    uint32_t judged = 0, steps = 0, twins = 0;
    float self = w->twin ? code_between(v, w->twin, w->from) : 0;
    queue_push(&s->open, start);
    offer(v, s, w, start, &judged);
    while (s->open.n) {
        struct cand c = queue_pop(&s->open);
        if (s->best.n == w->ef && cand_before(s->best.a[0], c))
            return true;
        if (w->match && judged >= w->budget)
            return false;
        if (stopped(w, &steps))
            return false;
        fresh_links(v, s, w->from, c.node, level, &fresh);
        judge_fresh(v, s, w->from, &fresh);
        for (uint32_t i = 0; i < fresh.n; i++) {
            struct cand f = {fresh.d[i], fresh.node[i]};
            if ((s->best.n == w->ef && !cand_before(f, s->best.a[0])) || one_twin_too_many(v, w, f, self, &twins))
                continue;
            queue_push(&s->open, f);
            offer(v, s, w, f, &judged);
        }
    }
    return true;
}

bool hnsw_walk(const struct vec_index *v, struct searcher *s, const struct walk *w, struct cand start, int level)
{
    s->open.n = s->best.n = 0;
    searcher_mark(s, start.node);
    if (!w->match && w->ef <= POOL_MOST) {
        walk_pool(v, s, w, start, level);
        return true;
    }
    bool sure = walk_heaps(v, s, w, start, level);
    queue_sort(&s->best);
    return sure;
}
