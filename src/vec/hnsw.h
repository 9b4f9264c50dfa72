/* The graph: HNSW (Malkov, Yashunin 2018) with links that always go both ways, so that a node can really leave.
 *
 * Thread: hnsw_walk and hnsw_descend are `any` (inside epoch_begin/end, or the writer itself); the rest is `loop`. */
#ifndef VEC_HNSW_H
#define VEC_HNSW_H

#include "vec/code.h"
#include "vec/searcher.h"

struct matcher;

/* What a walk should do besides finding the nearest. */
struct walk {
    const struct probe *from;
    uint32_t ef;
    uint32_t avoid;              /* a node that must not be among the results; 0: none */
    const struct coded *twin;    /* not NULL: of the nodes with this very vector ... */
    uint32_t twins;              /* ... this many may be met */
    const struct matcher *match; /* NULL: every node may be a result */
    uint32_t budget;             /* nodes the filter may judge */
    const atomic_bool *cancel;   /* or NULL */
};

/* Levels `from` down to `to` + 1, each followed greedily: the node to start from on level `to`, nearest so far. */
struct cand hnsw_descend(const struct vec_index *v, struct searcher *s, const struct probe *from, uint64_t entry,
                         int to);
/* The ef nearest matching nodes on a level, in s->best, nearest first. Marks what it visits: searcher_forget
 * afterwards. False: stopped by the budget before it was sure. */
bool hnsw_walk(const struct vec_index *v, struct searcher *s, const struct walk *w, struct cand start, int level);

/* The same on level 0 for a filter that lets few nodes through: walks on matching nodes. w->match is set; the budget
 * counts what it judges, in the neighbourhood of a node as well. */
bool hnsw_walk_filtered(const struct vec_index *v, struct searcher *s, const struct walk *w, struct cand start);

int hnsw_random_level(struct vec_index *v);
/* Links a node whose records are complete into the graph. `avoid` (0: none) is about to leave and gets no link. */
void hnsw_insert(struct vec_index *v, uint32_t node, uint32_t avoid);

/* The search for links is nine tenths of an insert and only reads. So it can be done before, anywhere: */
struct hnsw_plan {
    int level;       /* of the node to come */
    int from;        /* links were looked for on levels 0..from; -1: the index was empty */
    uint64_t seen;   /* nodes with a greater uid were made after the search began */
    uint32_t *count; /* links by level */
    struct planned {
        uint64_t uid; /* of the node at that time: its slot may have been given to another since */
        struct cand c;
    } * links; /* v->h.m places by level, nearest first */
};
/* any: fills plan->from, seen and links for a vector. plan->level is set; hnsw_plan_release frees. */
void hnsw_plan(struct vec_index *v, struct hnsw_plan *plan, const struct coded *c);
void hnsw_plan_release(struct hnsw_plan *plan);
/* loop: hnsw_insert with what the plan found, as far as it still holds, and the nodes added since. */
void hnsw_insert_planned(struct vec_index *v, uint32_t node, uint32_t avoid, const struct hnsw_plan *plan);
/* Takes a node out: after this no link leads to it. Its own record stays as it was, for readers that stand on it. */
void hnsw_remove(struct vec_index *v, uint32_t node);

/* A link's target, checked, because numbers may come from a file; 0 ends the list. any */
static inline uint32_t hnsw_target(const struct vec_index *v, _Atomic uint32_t *l)
{
    uint32_t n = atomic_load_explicit(l, memory_order_acquire);
    if (n >= vec_top(v)) {
        vec_set_damaged(v);
        return 0;
    }
    return n;
}

/* The links of a node on a level it is on, and how many fit. NULL: the file is damaged. any */
_Atomic uint32_t *hnsw_links(const struct vec_index *v, uint32_t node, int level, uint32_t *cap);

#endif
