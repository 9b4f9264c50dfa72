/* A search, from query to owned results. Runs on any thread beside the writer; between epoch_begin and epoch_end
 * everything it can reach stays where it is. */
#include "vec/vec.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/mem.h"
#include "vec/bin.h"
#include "vec/code.h"
#include "vec/epoch.h"
#include "vec/heap.h"
#include "vec/hnsw.h"
#include "vec/plan.h"
#include "vec/rest.h"
#include "vec/scan.h"

#define SCAN_BELOW 1000 /* elements: comparing with all is as fast as a walk, and exact */

static int check_query(const struct vec_index *v, const struct vec_query *q, struct err *err)
{
    if (q->dim != v->h.dim)
        return err_set(err, ERR_INVALID, "Vector dimension mismatch - got %" PRIu32 " but set has %" PRIu32, q->dim,
                       v->h.dim);
    if (q->k < 1 || q->k > VEC_MAX_K)
        return err_set(err, ERR_INVALID, "COUNT must be between 1 and %d", VEC_MAX_K);
    if (q->ef > VEC_MAX_EF)
        return err_set(err, ERR_INVALID, "EF must be between 1 and %d", VEC_MAX_EF);
    if (!simd_finite_f32(q->x, q->dim))
        return err_set(err, ERR_INVALID, "a vector holds finite numbers only, no NaN and no infinity");
    return vec_check(v, err);
}

/* A walk judges by codes. The first of what it found are judged again by all that is known of them; an error of a code
 * is far smaller than what lies between the k-th and the last of these. */
static void rank_again(const struct vec_index *v, struct searcher *s, const struct vec_query *q, const struct probe *p)
{
    uint64_t enough = p->bits ? UINT64_MAX : 2 * (uint64_t)q->k + 16;
    s->best.n = s->best.n < enough ? s->best.n : (uint32_t)enough;
    if (rest_is_read(v))
        rest_judge(v, s, p, s->best.a, s->best.n);
    else
        for (uint32_t i = 0; i < s->best.n; i++)
            s->best.a[i].d = code_exact(v, p, s->best.a[i].node);
    queue_sort(&s->best);
}

/* With a bound of the caller's nothing else counts. Without one a walk that has judged a quarter of all elements was a
 * mistake: the scan that follows costs little more. */
static uint32_t most_judged(const struct vec_index *v, const struct vec_query *q)
{
    uint64_t given = q->filter_ef ? q->filter_ef : (uint64_t)q->k * 100, part = vec_count(v) / 4;
    uint64_t most = q->walk_only || given > part ? given : part;
    return most > UINT32_MAX ? UINT32_MAX : (uint32_t)most;
}

/* Bits are so coarse that all are judged again, nearest first, but for those that they rule out. */
static void rank_bits(const struct vec_index *v, struct searcher *s, const struct vec_query *q, const struct probe *p)
{
    uint32_t n = s->best.n;
    struct cand *all = mem_alloc((n + 1) * sizeof *all);
    memcpy(all, s->best.a, n * sizeof *all);
    s->best.n = 0;
    for (uint32_t i = 0; i < n; i++)
        if (s->best.n < q->k || !bin_excludes(v, p->bits, all[i].node, s->best.a[0].d))
            queue_keep(&s->best, (struct cand){code_exact(v, p, all[i].node), all[i].node}, q->k);
    queue_sort(&s->best);
    mem_free(all);
}

static void walk(const struct vec_index *v, struct searcher *s, const struct vec_query *q, const struct probe *p,
                 const struct matcher *m, uint64_t entry)
{
    uint32_t ef = q->ef ? q->ef : 100;
    struct walk w = {
        .from = p, .ef = ef > q->k ? ef : q->k, .match = m, .budget = most_judged(v, q), .cancel = q->cancel};
    enum plan_way way = m ? plan_make(m, w.ef, &s->text).way : PLAN_WALK;
    if (q->walk_only && w.budget < vec_count(v))
        way = PLAN_WALK;
    if (way == PLAN_SCAN) {
        scan(v, s, q, p, m);
        return;
    }
    struct cand start = hnsw_descend(v, s, p, entry, 0);
    bool sure = way == PLAN_HOP ? hnsw_walk_filtered(v, s, &w, start) : hnsw_walk(v, s, &w, start, 0);
    searcher_forget(s);
    bool few = s->best.n < q->k || (!sure && s->best.n / 2 < q->k);
    if (m && few && !q->walk_only)
        scan(v, s, q, p, m);
    else if (p->bits && !rest_is_read(v))
        rank_bits(v, s, q, p);
    else if (!code_is_exact(v))
        rank_again(v, s, q, p);
}

static void gather(const struct vec_index *v, struct searcher *s, const struct vec_query *q)
{
    struct probe p;
    struct matcher matcher, *m = q->filter ? &matcher : NULL;
    probe_query(v, &p, q->x, searcher_query(s, probe_room(v)));
    if (m)
        matcher_init(m, v, q->filter);
    uint64_t entry = atomic_load_explicit(&v->entry, memory_order_acquire);
    if (!entry || q->exact || vec_count(v) < SCAN_BELOW || ENTRY_NODE(entry) >= vec_top(v))
        scan(v, s, q, &p, m);
    else
        walk(v, s, q, &p, m, entry);
}

static bool within(const struct vec_index *v, const struct vec_query *q, double score)
{
    return !q->has_radius || (v->h.metric == VEC_L2 ? score <= q->radius : score >= q->radius);
}

/* An update lets the new node in before the old one leaves, so a search may meet both. Whoever met the new one sees the
 * old one leaving, because that was written first. */
static bool superseded(const struct vec_index *v, const struct cand *c, uint32_t n, uint32_t at)
{
    const struct meta *m = vec_meta(v, c[at].node);
    for (uint32_t i = 0; i < n; i++) {
        const struct meta *o = vec_meta(v, c[i].node);
        struct slice a, b;
        if (c[i].node != c[at].node && o->hash == m->hash && heap_get(v, m->name, &a) && heap_get(v, o->name, &b) &&
            slice_eq(a, b))
            return true;
    }
    return false;
}

/* The part of the best that the caller gets, moved to the front: alive, inside the radius, at most k. */
static uint32_t settle(const struct vec_index *v, const struct vec_query *q, struct cand *c, uint32_t n)
{
    uint32_t out = 0;
    for (uint32_t i = 0; i < n && out < q->k; i++) {
        int kind = NODE_KIND(vec_state(v, c[i].node));
        if (kind == NODE_LIVE || (kind == NODE_LEAVING && !superseded(v, c, n, i)))
            if (within(v, q, vec_score(v, c[i].d)))
                c[out++] = c[i];
    }
    return out;
}

/* Two passes: how long the texts are, then copies of them in one piece. */
static int copy_out(const struct vec_index *v, const struct vec_query *q, const struct cand *c, uint32_t n, bool cold,
                    struct vec_result *r, struct err *err)
{
    struct vec_hit *hits = mem_try((n + 1) * sizeof *hits);
    size_t bytes = 0;
    for (uint32_t i = 0; cold && i < n; i++)
        space_fetch(&v->space.area[AREA_META], c[i].node);
    for (uint32_t i = 0; cold && i < n; i++)
        space_fetch(&v->space.area[AREA_HEAP], vec_meta(v, c[i].node)->name);
    for (uint32_t i = 0; hits && i < n; i++) {
        const struct meta *m = vec_meta(v, c[i].node);
        uint64_t attr = q->with_attr ? atomic_load_explicit(&m->attr, memory_order_acquire) : 0;
        hits[i].score = vec_score(v, c[i].d);
        if (!heap_get(v, m->name, &hits[i].name) || !heap_get(v, attr, &hits[i].attr)) {
            mem_free(hits);
            return vec_check(v, err);
        }
        bytes += hits[i].name.len + hits[i].attr.len;
    }
    char *to = hits ? mem_try(bytes + 1) : NULL;
    if (!to) {
        mem_free(hits);
        return err_set(err, ERR_OOM, "no memory for %" PRIu32 " results", n);
    }
    r->hits = hits;
    r->count = n;
    r->text = to;
    for (uint32_t i = 0; i < n; i++) {
        struct slice *s[2] = {&hits[i].name, &hits[i].attr};
        for (int k = 0; k < 2; k++) {
            memcpy(to, s[k]->p, s[k]->len);
            s[k]->p = to;
            to += s[k]->len;
        }
    }
    return 0;
}

/* Is this one of the first searches since the index was opened? */
static bool is_cold(const struct vec_index *v)
{
    struct vec_index *w = (struct vec_index *)v;
    return atomic_load_explicit(&w->cold, memory_order_relaxed) > 0 &&
           atomic_fetch_sub_explicit(&w->cold, 1, memory_order_relaxed) > 0;
}

int vec_search(const struct vec_index *v, const struct vec_query *q, struct vec_result *r, struct err *err)
{
    *r = (struct vec_result){0};
    int rc = check_query(v, q, err);
    if (rc < 0)
        return rc;
    int ticket = epoch_begin();
    struct searcher *s = searcher_get(vec_top(v));
    s->cold = is_cold(v);
    gather(v, s, q);
    uint32_t n = settle(v, q, s->best.a, s->best.n);
    if (scan_cancelled(q))
        rc = err_set(err, ERR_CANCELLED, "the search was cancelled");
    else if (s->failed)
        rc = err_set(err, ERR_IO, "the file of the vector index cannot be read: %s", strerror(-s->failed));
    else
        rc = vec_check(v, err);
    if (rc == 0)
        rc = copy_out(v, q, s->best.a, n, s->cold, r, err);
    epoch_end(ticket);
    r->distances = s->distances;
    return rc;
}

void vec_result_release(struct vec_result *r)
{
    mem_free(r->hits);
    mem_free(r->text);
    *r = (struct vec_result){0};
}
