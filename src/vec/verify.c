/* The whole index checked against itself. Every node, link, name, block and list is looked at once; a bitmap per area
 * says what has been met already, so that nothing is used twice and nothing is lost. */
#include <inttypes.h>

#include "base/mem.h"
#include "vec/bin.h"
#include "vec/code.h"
#include "vec/heap.h"
#include "vec/hnsw.h"
#include "vec/names.h"

struct verifier {
    const struct vec_index *v;
    struct err *err;
    uint64_t *seen[AREA_COUNT];
    uint64_t live, with_attr, highest;
};

#define BAD(w, ...) err_set((w)->err, ERR_IO, "vector index: " __VA_ARGS__)

/* Claims units first..first+n-1 for one owner. */
static bool claim(struct verifier *w, enum area_id id, uint64_t first, uint64_t n)
{
    const struct area *a = &w->v->space.area[id];
    if (first < 1 || first + n > a->d.used)
        return false;
    for (uint64_t u = first; u < first + n; u++) {
        if (w->seen[id][u / 64] >> (u % 64) & 1)
            return false;
        w->seen[id][u / 64] |= UINT64_C(1) << (u % 64);
    }
    return true;
}

static int claim_block(struct verifier *w, uint64_t ref, uint32_t node)
{
    struct slice s;
    if (!ref)
        return 0;
    if (ref >= w->v->space.area[AREA_HEAP].d.used || !heap_get(w->v, ref, &s))
        return BAD(w, "node %" PRIu32 " has a text at unit %" PRIu64 ", which is not a block", node, ref);
    const struct block *b = space_at(&w->v->space.area[AREA_HEAP], ref);
    if (!claim(w, AREA_HEAP, ref, heap_class_units(b->cls)))
        return BAD(w, "the text at unit %" PRIu64 " belongs to two owners", ref);
    return 0;
}

static int check_links(struct verifier *w, uint32_t node, int level)
{
    const struct vec_index *v = w->v;
    uint32_t cap, count = 0, back_cap;
    _Atomic uint32_t *l = hnsw_links(v, node, level, &cap), *back;
    bool ended = false;
    if (!l)
        return BAD(w, "node %" PRIu32 " has no links on level %d", node, level);
    for (uint32_t i = 0; i < cap; i++) {
        uint32_t to = atomic_load_explicit(&l[i], memory_order_relaxed);
        if (!to) {
            ended = true;
            continue;
        }
        if (ended || to >= vec_top(v) || to == node || NODE_KIND(vec_state(v, to)) != NODE_LIVE ||
            NODE_LEVEL(vec_state(v, to)) < level || NODE_LEVEL(vec_state(v, to)) >= VEC_MAX_LEVELS)
            return BAD(w, "node %" PRIu32 " has a bad link to %" PRIu32 " on level %d", node, to, level);
        back = hnsw_links(v, to, level, &back_cap);
        bool mutual = false, twice = false;
        for (uint32_t j = 0; back && j < back_cap; j++)
            mutual |= atomic_load_explicit(&back[j], memory_order_relaxed) == node;
        for (uint32_t j = 0; j < i; j++)
            twice |= atomic_load_explicit(&l[j], memory_order_relaxed) == to;
        if (!mutual || twice)
            return BAD(w, "the link from node %" PRIu32 " to %" PRIu32 " on level %d is %s", node, to, level,
                       twice ? "there twice" : "not returned");
        count++;
    }
    return (int)count;
}

static int claim_uppers(struct verifier *w, uint32_t node, int level)
{
    uint32_t unit = vec_row(w->v, node)->upper;
    for (int l = 1; l <= level; l++) {
        if (!claim(w, AREA_UPPER, unit, 1))
            return BAD(w, "node %" PRIu32 " has no unit of its own on level %d", node, l);
        const struct upper *u = vec_upper(w->v, unit);
        if (u->node != node || (int)u->level != l)
            return BAD(w, "the unit of node %" PRIu32 " on level %d says otherwise", node, l);
        unit = u->up;
    }
    return unit ? BAD(w, "node %" PRIu32 " has more levels than it says", node) : 0;
}

static int check_vector(struct verifier *w, uint32_t node)
{
    const struct vec_index *v = w->v;
    struct coded c, sums;
    float *x = mem_alloc(v->h.dim * sizeof *x);
    code_get(v, node, &c);
    code_decode(v, &c, x);
    sums = c;
    code_sums(v, &sums);
    bool ok =
        code_sound(v, x) && bin_sound(v, c.code) && bin_packed(v, node) && sums.sum == c.sum && sums.sum2 == c.sum2;
    mem_free(x);
    return ok ? 0 : BAD(w, "the vector of node %" PRIu32 " is not one that was stored", node);
}

static int check_node(struct verifier *w, uint32_t node)
{
    const struct vec_index *v = w->v;
    const struct meta *m = vec_meta(v, node);
    uint32_t state = vec_state(v, node);
    int kind = NODE_KIND(state), level = NODE_LEVEL(state), rc;
    if (kind > NODE_DEAD || level >= VEC_MAX_LEVELS)
        return BAD(w, "node %" PRIu32 " is in no known state", node);
    if (kind == NODE_FREE)
        return 0;
    uint64_t attr = atomic_load_explicit(&m->attr, memory_order_relaxed);
    if ((rc = claim_block(w, m->name, node)) < 0 || (rc = claim_block(w, attr, node)) < 0 ||
        (rc = claim_uppers(w, node, level)) < 0)
        return rc;
    if (kind == NODE_DEAD)
        return 0;
    struct slice name;
    heap_get(v, m->name, &name);
    if (m->hash != names_hash(v, name) || names_find(v, name, m->hash) != node)
        return BAD(w, "node %" PRIu32 " is not found by its name", node);
    w->live++;
    w->with_attr += attr != 0;
    w->highest = w->highest > (uint64_t)level ? w->highest : (uint64_t)level;
    for (int l = 0; v->h.kind == VEC_HNSW && l <= level; l++) {
        rc = check_links(w, node, l);
        if (rc < 0)
            return rc;
    }
    return check_vector(w, node);
}

/* Every number on a list of nodes in the given state, as many as the header says. */
static int check_node_list(struct verifier *w, uint32_t head, uint64_t count, int kind)
{
    uint64_t n = 0;
    for (uint32_t at = head; at; at = vec_meta(w->v, at)->next, n++)
        if (!claim(w, AREA_ROWS, at, 1) || NODE_KIND(vec_state(w->v, at)) != kind)
            return BAD(w, "the list of %s nodes is broken at %" PRIu32, kind == NODE_FREE ? "free" : "dead", at);
    return n == count ? 0 : BAD(w, "the list of %s nodes is shorter than it says", kind == NODE_FREE ? "free" : "dead");
}

static int check_blocks(struct verifier *w, uint64_t head, int cls, uint64_t *count)
{
    const struct area *a = &w->v->space.area[AREA_HEAP];
    struct slice s;
    for (uint64_t ref = head; ref;) {
        if (ref >= a->d.used || !heap_get(w->v, ref, &s))
            return BAD(w, "a list of free texts leads to unit %" PRIu64 ", which is not a block", ref);
        const struct block *b = space_at(a, ref);
        if ((cls >= 0 && (int)b->cls != cls) || !claim(w, AREA_HEAP, ref, heap_class_units(b->cls)))
            return BAD(w, "the free text at unit %" PRIu64 " is on two lists or on the wrong one", ref);
        ref = b->next;
        ++*count;
    }
    return 0;
}

static int check_lists(struct verifier *w)
{
    const struct vec_header *h = &w->v->h;
    uint64_t blocks = 0;
    int rc = check_node_list(w, h->free_head, h->free_count, NODE_FREE);
    if (rc == 0)
        rc = check_node_list(w, h->limbo_head, h->limbo_count, NODE_DEAD);
    for (uint32_t u = h->upper_free; rc == 0 && u; u = vec_upper(w->v, u)->up)
        if (!claim(w, AREA_UPPER, u, 1) || vec_upper(w->v, u)->node)
            rc = BAD(w, "the list of free upper units is broken at %" PRIu32, u);
    if (rc == 0)
        rc = check_blocks(w, h->heap_limbo_head, -1, &blocks);
    if (rc == 0 && blocks != h->heap_limbo_count)
        rc = BAD(w, "the list of texts in limbo is not as long as it says");
    for (int c = 0; rc == 0 && c < HEAP_CLASSES; c++)
        rc = check_blocks(w, h->heap_free[c], c, &blocks);
    return rc;
}

static int check_totals(struct verifier *w)
{
    const struct vec_index *v = w->v;
    uint64_t entry = atomic_load_explicit(&v->entry, memory_order_relaxed);
    if (w->live != vec_count(v) || w->with_attr != v->h.with_attr)
        return BAD(w, "it holds %" PRIu64 " elements but says %" PRIu64, w->live, vec_count(v));
    if (w->live + v->h.free_count + v->h.limbo_count + 1 != vec_top(v))
        return BAD(w, "some nodes are neither alive nor on a list");
    for (uint64_t u = 1; u < v->space.area[AREA_UPPER].d.used && !bin_in_blocks(v); u++)
        if (!(w->seen[AREA_UPPER][u / 64] >> (u % 64) & 1))
            return BAD(w, "the upper unit %" PRIu64 " belongs to nobody", u);
    if (v->h.kind == VEC_FLAT)
        return 0;
    if ((w->live == 0) != (entry == 0))
        return BAD(w, "its entry point does not fit its number of elements");
    if (entry && (ENTRY_NODE(entry) >= vec_top(v) || NODE_KIND(vec_state(v, ENTRY_NODE(entry))) != NODE_LIVE ||
                  (uint64_t)ENTRY_LEVEL(entry) != w->highest ||
                  NODE_LEVEL(vec_state(v, ENTRY_NODE(entry))) != ENTRY_LEVEL(entry)))
        return BAD(w, "its entry point is not the highest node");
    return 0;
}

int vec_verify(const struct vec_index *v, struct err *err)
{
    int rc = vec_check(v, err);
    struct err why;
    struct verifier w = {.v = v, .err = err ? err : &why};
    for (int i = 0; i < AREA_COUNT; i++)
        w.seen[i] = mem_zero((v->space.area[i].d.used / 64 + 1) * 8);
    for (uint32_t n = 1; rc == 0 && n < vec_top(v); n++)
        rc = check_node(&w, n);
    if (rc == 0)
        rc = check_lists(&w);
    if (rc == 0)
        rc = check_totals(&w);
    for (int i = 0; i < AREA_COUNT; i++)
        mem_free(w.seen[i]);
    return rc;
}
