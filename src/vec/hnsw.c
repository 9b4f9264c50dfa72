/* Changing the graph: one thread, while others walk it.
 *
 * Links go both ways. A node makes up to m links on each of its levels and holds up to m (2m on level 0); when one more
 * comes, the most redundant one goes, on both sides. Which links a node keeps is decided by the paper's heuristic: a
 * neighbour that is nearer to a kept neighbour than to the node itself is redundant, because it is reached through that
 * one.
 *
 * Every link word is a release store, made after the record it leads to is complete. Order matters for readers: a new
 * node gets its own links on all levels first, then is linked to from level 0 upwards, so that nobody descends into it
 * and finds no way on. */
#include "vec/hnsw.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "vec/epoch.h"

int hnsw_random_level(struct vec_index *v)
{
    double u = 1 - rng_double(&v->rng); /* (0, 1] */
    double level = -log(u) * v->level_scale;
    return level < VEC_MAX_LEVELS - 1 ? (int)level : VEC_MAX_LEVELS - 1;
}

static float between(const struct vec_index *v, uint32_t a, uint32_t b)
{
    struct probe p;
    probe_node(v, &p, a);
    return code_near(v, &p, b);
}

/* ---- one list ---- */

static uint32_t degree(const struct vec_index *v, uint32_t node, int level)
{
    uint32_t cap, n = 0;
    _Atomic uint32_t *l = hnsw_links(v, node, level, &cap);
    while (l && n < cap && hnsw_target(v, &l[n]))
        n++;
    return n;
}

static void set_link(struct vec_index *v, uint32_t node, int level, _Atomic uint32_t *l, uint32_t to)
{
    if (level == 0) {
        space_touch(&v->space, AREA_ROWS, node, l, sizeof *l);
    } else if (v->space.fd >= 0) {
        uint32_t unit = vec_row(v, node)->upper;
        for (int i = 1; i < level; i++)
            unit = vec_upper(v, unit)->up;
        space_touch(&v->space, AREA_UPPER, unit, l, sizeof *l);
    }
    atomic_store_explicit(l, to, memory_order_release);
}

static bool linked(const struct vec_index *v, uint32_t node, int level, uint32_t to)
{
    uint32_t cap, n;
    _Atomic uint32_t *l = hnsw_links(v, node, level, &cap);
    for (uint32_t i = 0; l && i < cap && (n = hnsw_target(v, &l[i])); i++)
        if (n == to)
            return true;
    return false;
}

/* The list stays compact: the last link takes the place of the one that goes. */
static void drop_link(struct vec_index *v, uint32_t node, int level, uint32_t to)
{
    uint32_t cap, n = degree(v, node, level);
    _Atomic uint32_t *l = hnsw_links(v, node, level, &cap);
    for (uint32_t i = 0; i < n; i++)
        if (hnsw_target(v, &l[i]) == to) {
            uint32_t last = hnsw_target(v, &l[n - 1]);
            if (last != to)
                set_link(v, node, level, &l[i], last);
            set_link(v, node, level, &l[n - 1], 0);
            return;
        }
}

static bool append_link(struct vec_index *v, uint32_t node, int level, uint32_t to)
{
    uint32_t cap, n = degree(v, node, level);
    _Atomic uint32_t *l = hnsw_links(v, node, level, &cap);
    if (!l || n == cap)
        return false;
    set_link(v, node, level, &l[n], to);
    return true;
}

/* ---- the heuristic ---- */

/* How much c, at distance d from the node, is made redundant by a nearer neighbour s: > 0 is by how much nearer c is to
 * s, 0 is not at all. Of equal vectors one is enough, although nothing is strictly nearer there. */
static float redundancy(const struct vec_index *v, struct cand c, struct cand s)
{
    float d = between(v, c.node, s.node);
    if (d < c.d)
        return c.d - d;
    return d == c.d && s.d == c.d ? FLT_MIN : 0;
}

/* Orders `all` (sorted, nearest first) so that the ones to keep come first: the diverse, then the rest by distance.
 * Returns how many: at most `most`. */
static uint32_t select_links(const struct vec_index *v, struct cand *all, uint32_t n, uint32_t most)
{
    uint32_t kept = 0, left = 0;
    struct cand *rest = mem_alloc((n + 1) * sizeof *rest);
    for (uint32_t i = 0; i < n; i++) {
        bool redundant = kept >= most;
        for (uint32_t k = 0; k < kept && !redundant; k++)
            redundant = redundancy(v, all[i], all[k]) > 0;
        if (redundant)
            rest[left++] = all[i];
        else
            all[kept++] = all[i];
    }
    for (uint32_t i = 0; i < left && kept < most; i++)
        all[kept++] = rest[i];
    mem_free(rest);
    return kept;
}

static int by_distance(const void *x, const void *y)
{
    const struct cand *a = x, *b = y;
    return cand_before(*a, *b) ? -1 : cand_before(*b, *a);
}

/* Which of n neighbours (sorted) a full node gives up: the most redundant of those that can afford to lose a link; when
 * none is redundant the farthest of them; when none can afford it the one with the most links. `extra` has just come
 * and is not linked to yet. */
static uint32_t pick_victim(const struct vec_index *v, const struct cand *all, uint32_t n, int level, uint32_t extra)
{
    uint32_t least = v->h.m / 2, victim = 0, farthest = 0, richest = 0, most = 0, kept = 0;
    uint32_t *diverse = mem_alloc(n * sizeof *diverse);
    float worst = 0;
    for (uint32_t i = 0; i < n; i++) {
        float r = 0;
        for (uint32_t k = 0; k < kept; k++) {
            float x = redundancy(v, all[i], all[diverse[k]]);
            r = x > r ? x : r;
        }
        if (r == 0)
            diverse[kept++] = i;
        uint32_t has = degree(v, all[i].node, level);
        if (has >= most && (all[i].node != extra || has > 1)) {
            most = has;
            richest = all[i].node;
        }
        if (has <= (all[i].node == extra ? 1 : least))
            continue;
        farthest = all[i].node;
        if (r > worst) {
            worst = r;
            victim = all[i].node;
        }
    }
    mem_free(diverse);
    return victim ? victim : farthest ? farthest : richest;
}

/* ---- links both ways ---- */

/* node -> to, which is linked back already or will be. When there is no room somebody goes; it may be `to` itself,
 * whose link to node then goes as well. */
static void add_one_way(struct vec_index *v, uint32_t node, int level, uint32_t to)
{
    if (append_link(v, node, level, to))
        return;
    uint32_t cap = 0;
    _Atomic uint32_t *l = hnsw_links(v, node, level, &cap);
    if (!l)
        return;
    struct cand *all = mem_alloc((cap + 1) * sizeof *all);
    for (uint32_t i = 0; i < cap; i++) {
        uint32_t n = hnsw_target(v, &l[i]);
        all[i] = (struct cand){between(v, node, n), n};
    }
    all[cap] = (struct cand){between(v, node, to), to};
    qsort(all, cap + 1, sizeof *all, by_distance);
    uint32_t out = pick_victim(v, all, cap + 1, level, to);
    mem_free(all);
    drop_link(v, out, level, node);
    if (out == to)
        return;
    for (uint32_t i = 0; i < cap; i++)
        if (hnsw_target(v, &l[i]) == out)
            set_link(v, node, level, &l[i], to);
    /* It was the only link of `out`: the one that took its place takes it in, if there is room. */
    if (degree(v, out, level) == 0 && append_link(v, to, level, out))
        append_link(v, out, level, to);
}

static void link_both(struct vec_index *v, uint32_t a, uint32_t b, int level)
{
    if (a == b || linked(v, a, level, b) || !append_link(v, a, level, b))
        return;
    add_one_way(v, b, level, a);
}

/* ---- insert ---- */

/* The links a vector should have on a level, looked for from `start`; best are left in s->best, sorted. `node` (0:
 * none) is the vector's own. */
static uint32_t find_links(const struct vec_index *v, struct searcher *s, const struct coded *c, uint32_t node,
                           uint32_t avoid, int level, struct cand *start)
{
    struct probe p;
    probe_coded(v, &p, c);
    struct walk w = {.from = &p, .ef = v->h.ef_construction, .avoid = avoid, .twin = c, .twins = v->h.m / 2};
    hnsw_walk(v, s, &w, *start, level);
    searcher_forget(s);
    if (s->best.n)
        *start = s->best.a[0];
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->best.n; i++) /* on a repair the node finds itself */
        if (s->best.a[i].node != node)
            s->best.a[n++] = s->best.a[i];
    return s->best.n = select_links(v, s->best.a, n, v->h.m);
}

/* A living node on level 0 other than `other`: where to begin when all else is cut off. */
static uint32_t any_node(const struct vec_index *v, uint32_t other)
{
    for (uint32_t i = 1; i < vec_top(v); i++)
        if (i != other && NODE_KIND(vec_state(v, i)) == NODE_LIVE)
            return i;
    return 0;
}

/* Finds links for `node` beginning at `from`; how many are in s->best. */
static uint32_t find_from(struct vec_index *v, struct searcher *s, uint32_t node, uint32_t gone, int level,
                          uint32_t from)
{
    struct cand start = {between(v, node, from), from};
    struct coded c;
    code_get(v, node, &c);
    return find_links(v, s, &c, node, gone, level, &start);
}

static void link_back(struct vec_index *v, uint32_t node, int level)
{
    uint32_t cap = 0, n = degree(v, node, level);
    _Atomic uint32_t *l = hnsw_links(v, node, level, &cap);
    uint32_t *to = mem_alloc((n + 1) * sizeof *to);
    for (uint32_t i = 0; i < n; i++)
        to[i] = hnsw_target(v, &l[i]);
    for (uint32_t i = 0; i < n; i++)
        add_one_way(v, to[i], level, node);
    mem_free(to);
}

void hnsw_insert(struct vec_index *v, uint32_t node, uint32_t avoid)
{
    int level = NODE_LEVEL(vec_state(v, node));
    uint64_t entry = atomic_load_explicit(&v->entry, memory_order_relaxed);
    if (entry) {
        struct searcher *s = searcher_get(vec_top(v));
        int from = ENTRY_LEVEL(entry) < level ? ENTRY_LEVEL(entry) : level;
        struct probe p;
        struct coded c;
        code_get(v, node, &c);
        probe_coded(v, &p, &c);
        struct cand start = hnsw_descend(v, s, &p, entry, from);
        for (int l = from; l >= 0; l--) {
            uint32_t any, n = find_links(v, s, &c, node, avoid, l, &start);
            if (n == 0 && l == 0 && (any = any_node(v, node)))
                n = find_from(v, s, node, avoid, l, any);
            for (uint32_t i = 0; i < n; i++)
                append_link(v, node, l, s->best.a[i].node);
        }
        for (int l = 0; l <= from; l++)
            link_back(v, node, l);
    }
    if (!entry || level > ENTRY_LEVEL(entry))
        atomic_store_explicit(&v->entry, (uint64_t)level << 32 | node, memory_order_release);
}

/* ---- insert in two steps ---- */

static uint64_t uid_of(const struct vec_index *v, uint32_t node)
{
    return vec_meta(v, node)->uid;
}

void hnsw_plan(struct vec_index *v, struct hnsw_plan *plan, const struct coded *c)
{
    int ticket = epoch_begin();
    uint64_t entry = atomic_load_explicit(&v->entry, memory_order_acquire);
    plan->seen = atomic_load_explicit(&v->newest, memory_order_acquire);
    plan->from = !entry ? -1 : ENTRY_LEVEL(entry) < plan->level ? ENTRY_LEVEL(entry) : plan->level;
    plan->count = mem_zero((size_t)(plan->level + 1) * sizeof *plan->count);
    plan->links = mem_zero((size_t)(plan->level + 1) * v->h.m * sizeof *plan->links);
    if (entry) {
        struct searcher *s = searcher_get(vec_top(v));
        struct probe p;
        probe_coded(v, &p, c);
        struct cand start = hnsw_descend(v, s, &p, entry, plan->from);
        for (int l = plan->from; l >= 0; l--) {
            uint32_t n = find_links(v, s, c, 0, 0, l, &start);
            for (uint32_t i = 0; i < n; i++)
                plan->links[(uint32_t)l * v->h.m + i] = (struct planned){uid_of(v, s->best.a[i].node), s->best.a[i]};
            plan->count[l] = n;
        }
    }
    epoch_end(ticket);
}

void hnsw_plan_release(struct hnsw_plan *plan)
{
    mem_free(plan->count);
    mem_free(plan->links);
    plan->count = NULL;
    plan->links = NULL;
}

/* Is it still the node that was found, and on that level? */
static bool still_there(const struct vec_index *v, const struct planned *p, int level)
{
    uint32_t state = vec_state(v, p->c.node);
    return NODE_KIND(state) == NODE_LIVE && NODE_LEVEL(state) >= level && uid_of(v, p->c.node) == p->uid;
}

static bool is_among(const struct cand *c, uint32_t n, uint32_t node)
{
    for (uint32_t i = 0; i < n; i++)
        if (c[i].node == node)
            return true;
    return false;
}

/* What the plan found on a level and what was added since, nearest first, the ones to keep before the others. */
static uint32_t planned_links(const struct vec_index *v, uint32_t node, uint32_t avoid, const struct hnsw_plan *plan,
                              int level, struct cand *to)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < plan->count[level]; i++) {
        const struct planned *p = &plan->links[(uint32_t)level * v->h.m + i];
        if (p->c.node != avoid && still_there(v, p, level))
            to[n++] = p->c;
    }
    uint32_t found = n;
    for (uint32_t i = 0; i < RECENT; i++) {
        struct planned p = {.uid = v->recent[i].uid, .c = {.node = v->recent[i].node}};
        if (p.uid <= plan->seen || p.c.node == node || p.c.node == avoid || !still_there(v, &p, level) ||
            is_among(to, found, p.c.node)) /* made while the plan was, and found all the same */
            continue;
        p.c.d = between(v, node, p.c.node);
        to[n++] = p.c;
    }
    if (n == found)
        return n;
    qsort(to, n, sizeof *to, by_distance);
    return select_links(v, to, n, v->h.m);
}

void hnsw_insert_planned(struct vec_index *v, uint32_t node, uint32_t avoid, const struct hnsw_plan *plan)
{
    uint64_t entry = atomic_load_explicit(&v->entry, memory_order_relaxed);
    int from = !entry ? -1 : ENTRY_LEVEL(entry) < plan->level ? ENTRY_LEVEL(entry) : plan->level;
    struct cand *to = mem_alloc((v->h.m + RECENT) * sizeof *to);
    uint32_t n = from == plan->from && from >= 0 ? planned_links(v, node, avoid, plan, 0, to) : 0;
    if (n == 0 || n < plan->count[0] / 2) { /* the neighbourhood is no longer what it was */
        mem_free(to);
        hnsw_insert(v, node, avoid);
        return;
    }
    for (int l = from; l >= 0; l--) {
        n = planned_links(v, node, avoid, plan, l, to);
        for (uint32_t i = 0; i < n; i++)
            append_link(v, node, l, to[i].node);
    }
    mem_free(to);
    for (int l = 0; l <= from; l++)
        link_back(v, node, l);
    if (plan->level > ENTRY_LEVEL(entry))
        atomic_store_explicit(&v->entry, (uint64_t)plan->level << 32 | node, memory_order_release);
}

/* ---- remove ---- */

#define MOST_ORPHANS 256 /* more neighbours than that have links enough */

struct pair {
    float d;
    uint32_t a, b;
};

static int pair_order(const void *x, const void *y)
{
    const struct pair *p = x, *q = y;
    if (p->d != q->d)
        return p->d < q->d ? -1 : 1;
    return p->a != q->a ? (p->a < q->a ? -1 : 1) : (p->b > q->b) - (p->b < q->b);
}

/* The neighbours of a node that left are linked among each other, nearest pairs first, one new link for each that lost
 * one; who finds no partner that is still looking takes the nearest of the others. */
static void join_orphans(struct vec_index *v, const uint32_t *o, uint32_t n, int level)
{
    n = n < MOST_ORPHANS ? n : MOST_ORPHANS;
    struct pair *p = mem_alloc((size_t)n * n * sizeof *p + 1);
    bool *done = mem_zero(n + 1);
    size_t count = 0;
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t j = i + 1; j < n; j++)
            if (!linked(v, o[i], level, o[j]))
                p[count++] = (struct pair){between(v, o[i], o[j]), i, j};
    if (count)
        qsort(p, count, sizeof *p, pair_order);
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < count; i++) {
            bool a = done[p[i].a], b = done[p[i].b];
            if (pass ? a && b : a || b)
                continue;
            done[p[i].a] = done[p[i].b] = true;
            link_both(v, o[p[i].a], o[p[i].b], level);
        }
    mem_free(done);
    mem_free(p);
}

/* A node left with few links looks for new ones as if it were inserted; `gone` may still be met, coming from above. The
 * way from the entry point may end at the node itself, or lead to next to nothing because the entry point was cut off
 * as well: then the search begins elsewhere. */
static void refill(struct vec_index *v, uint32_t node, uint32_t gone, int level, const uint32_t *o, uint32_t orphans)
{
    uint64_t entry = atomic_load_explicit(&v->entry, memory_order_relaxed);
    uint32_t enough = v->h.m / 2, n, any;
    if (!entry || ENTRY_LEVEL(entry) < level || degree(v, node, level) >= enough)
        return;
    struct searcher *s = searcher_get(vec_top(v));
    struct probe p;
    struct coded c;
    code_get(v, node, &c);
    probe_coded(v, &p, &c);
    struct cand start = hnsw_descend(v, s, &p, entry, level);
    n = find_links(v, s, &c, node, gone, level, &start);
    if (n < enough && ENTRY_NODE(entry) != node)
        n = find_from(v, s, node, gone, level, ENTRY_NODE(entry));
    for (uint32_t i = 0; i < orphans && n < enough; i++)
        if (o[i] != node)
            n = find_from(v, s, node, gone, level, o[i]);
    if (n == 0 && level == 0 && (any = any_node(v, node)))
        n = find_from(v, s, node, gone, level, any);
    uint32_t *to = mem_alloc((n + 1) * sizeof *to);
    for (uint32_t i = 0; i < n; i++)
        to[i] = s->best.a[i].node;
    for (uint32_t i = 0; i < n && degree(v, node, level) < v->h.m; i++)
        link_both(v, node, to[i], level);
    mem_free(to);
}

static bool enter_at_upper(struct vec_index *v)
{
    uint64_t best = 0;
    const struct area *a = &v->space.area[AREA_UPPER];
    for (uint64_t u = 1; u < a->d.used; u++) {
        struct upper *x = vec_upper(v, (uint32_t)u);
        if (x->level >= VEC_MAX_LEVELS) /* as the way in it would be walked down level by level */
            vec_set_damaged(v);
        else if (x->node && x->level > (best >> 32) && x->node < vec_top(v) &&
                 NODE_KIND(vec_state(v, x->node)) == NODE_LIVE)
            best = (uint64_t)x->level << 32 | x->node;
    }
    if (best)
        atomic_store_explicit(&v->entry, best, memory_order_release);
    return best;
}

/* The way in was removed: a neighbour on its top level takes its place; when it was alone up there, the highest node
 * there is, found by looking at the upper units (one in m nodes has any), or any node of level 0. */
static void move_entry(struct vec_index *v, uint32_t gone)
{
    uint32_t cap = 0, n = 0;
    int level = NODE_LEVEL(vec_state(v, gone));
    _Atomic uint32_t *l = hnsw_links(v, gone, level, &cap);
    if (l && cap)
        n = hnsw_target(v, &l[0]);
    if (n) {
        atomic_store_explicit(&v->entry, (uint64_t)level << 32 | n, memory_order_release);
        return;
    }
    if (level > 0 && enter_at_upper(v))
        return;
    l = hnsw_links(v, gone, 0, &cap);
    n = l ? hnsw_target(v, &l[0]) : 0;
    for (uint32_t i = 1; !n && i < vec_top(v); i++)
        if (NODE_KIND(vec_state(v, i)) == NODE_LIVE)
            n = i;
    atomic_store_explicit(&v->entry, (uint64_t)n, memory_order_release);
}

void hnsw_remove(struct vec_index *v, uint32_t node)
{
    int level = NODE_LEVEL(vec_state(v, node));
    if (ENTRY_NODE(atomic_load_explicit(&v->entry, memory_order_relaxed)) == node)
        move_entry(v, node);
    uint32_t *o = mem_alloc(v->m0 * sizeof *o);
    for (int l = 0; l <= level; l++) {
        uint32_t cap = 0, n = degree(v, node, l);
        _Atomic uint32_t *links = hnsw_links(v, node, l, &cap);
        for (uint32_t i = 0; i < n; i++) {
            o[i] = hnsw_target(v, &links[i]);
            drop_link(v, o[i], l, node);
        }
        join_orphans(v, o, n, l);
        for (uint32_t i = 0; i < n; i++)
            refill(v, o[i], node, l, o, n);
    }
    mem_free(o);
}
