/* Building an index again. Three passes, each in steps of the caller's length:
 *
 *   order  breadth-first over the level-0 links from the entry point; what it does not reach begins a walk of its own
 *   copy   every element to the new index, in that order: row, name, attributes, a level; not alive yet
 *   link   each looks for its links and becomes alive; several threads look at once and take turns in linking
 *
 * The order of linking is not that of the numbers: it goes through them in strides of the golden ratio, so that the
 * elements linked so far are spread evenly over the data at every moment, and threads at work at once seldom need each
 * other's elements.
 *
 * Measured on 300,000 SIFT vectors (Q8, m 16, ef_construction 100 before and after, one thread on a busy machine):
 *
 *                                   recall@10 / queries a second / distances a query
 *                                   ef 20                  ef 100                 ef 200
 *   as they were added              0.857 / 27,100 /  581  0.989 / 8,300 / 1,821  0.998 / 4,900 / 3,131
 *   built again                     0.853 / 26,000 /  584  0.988 / 8,100 / 1,821  0.998 / 4,800 / 3,131
 *   the same, linked by number      0.858 / 26,800 /  590  0.990 / 8,000 / 1,871  0.998 / 4,500 / 3,213
 *
 * So neither order shows in the speed of a graph that was in order; the machine's noise is larger. A rebuild is for a
 * graph with holes, and for the greater ef that it looks for links with.
 *
 * Nodes of the old index may leave and their numbers be used again while this goes on. Every look at one is inside
 * epoch_begin/end, where what it says holds together; whether it is still the element that it was does not matter,
 * because that element has then changed, and the caller repeats it. */
#include "vec/rebuild.h"

#include <pthread.h>

#include "base/clock.h"
#include "base/mem.h"
#include "vec/bin.h"
#include "vec/code.h"
#include "vec/epoch.h"
#include "vec/heap.h"
#include "vec/hnsw.h"
#include "vec/names.h"

#define BITE 64 /* elements of a pass between two looks at the clock */

enum pass { ORDER, COPY, LINK, OVER };

struct vec_rebuild {
    struct vec_index *from, *to; /* references */
    _Atomic int pass;
    uint32_t top;     /* nodes of `from` below it are copied */
    uint32_t *order;  /* their numbers */
    uint64_t *met;    /* a bit per node: it is in order[] */
    uint32_t n, head; /* in order[]; expanded so far */
    uint32_t sweep;   /* where to look for a node that was not reached */
    _Atomic uint32_t done[OVER];
    atomic_uint_fast64_t next; /* LINK: to be taken */
    uint32_t count, stride;    /* nodes of `to` */
    uint32_t ef;               /* ef_construction of `from` */
    uint64_t uid;              /* of the newest node of `from` at the beginning */
    pthread_mutex_t writing;   /* LINK: `to` has one writer at a time */
    atomic_bool failed;
    struct err err;
};

/* ---- one element ---- */

static bool same_centre(const struct vec_index *a, const struct vec_index *b)
{
    const float *x = atomic_load_explicit(&a->centre, memory_order_acquire);
    const float *y = atomic_load_explicit(&b->centre, memory_order_acquire);
    return x && y && memcmp(x, y, a->h.dim * sizeof *x) == 0;
}

/* The vector of a node of `from` as `to` takes it: bits that are relative to another centre are left out, and made
 * again from the bytes. *none: to be freed. */
static void get_for(const struct vec_index *to, const struct vec_index *from, uint32_t node, struct coded *c,
                    void **none)
{
    *none = NULL;
    code_get(from, node, c);
    if (to->h.quant == VEC_QUANT_BIN && !same_centre(to, from))
        c->code = *none = mem_zero(to->code_bytes);
}

int vec_copy(struct vec_index *to, const struct vec_index *from, struct slice name, struct err *err)
{
    uint32_t node = names_find(from, name, names_hash(from, name));
    struct slice attr;
    struct coded c;
    void *none;
    if (!node) {
        vec_remove(to, name);
        return vec_check(to, err);
    }
    if (!heap_get(from, atomic_load_explicit(&vec_meta(from, node)->attr, memory_order_relaxed), &attr))
        return vec_check(from, err);
    vec_reclaim(to, BITE);
    get_for(to, from, node, &c, &none);
    int rc = vec_put(to, name, &c, attr, NULL, err);
    mem_free(none);
    return rc < 0 ? rc : 0;
}

/* ---- order ---- */

static void meet(struct vec_rebuild *b, uint32_t node)
{
    if (node >= b->top || b->met[node / 64] >> (node % 64) & 1)
        return;
    b->met[node / 64] |= UINT64_C(1) << (node % 64);
    b->order[b->n++] = node;
}

static void expand(struct vec_rebuild *b, uint32_t node)
{
    uint32_t cap = 0, to;
    _Atomic uint32_t *l = b->from->h.kind == VEC_HNSW ? hnsw_links(b->from, node, 0, &cap) : NULL;
    for (uint32_t i = 0; l && i < cap && (to = hnsw_target(b->from, &l[i])); i++)
        meet(b, to);
}

/* False: every node has been met. */
static bool order_some(struct vec_rebuild *b)
{
    for (int i = 0; i < BITE; i++) {
        for (; b->head == b->n && b->sweep < b->top; b->sweep++)
            if (vec_alive(b->from, b->sweep))
                meet(b, b->sweep);
        if (b->head == b->n)
            return false;
        expand(b, b->order[b->head++]);
    }
    atomic_store_explicit(&b->done[ORDER], b->head, memory_order_relaxed);
    return true;
}

/* ---- copy ---- */

/* A node of `to` with everything but links. */
static int enter(struct vec_index *to, struct slice name, uint32_t hash, const struct coded *c, struct slice attr,
                 struct err *err)
{
    bool graph = to->h.kind == VEC_HNSW;
    int level = graph ? hnsw_random_level(to) : 0;
    uint32_t node;
    int rc = names_reserve(to, err);
    if (rc == 0)
        rc = vec_add_node(to, name, hash, c, attr, level, &node, err);
    if (rc < 0)
        return rc;
    vec_set_state(to, node, (graph ? NODE_FREE : NODE_LIVE) | (uint32_t)level << 8);
    names_insert(to, node, hash);
    to->h.with_attr += attr.len > 0;
    atomic_fetch_add_explicit(&to->count, 1, memory_order_relaxed);
    return 0;
}

static int copy_one(struct vec_rebuild *b, uint32_t node, struct err *err)
{
    const struct meta *m = vec_meta(b->from, node);
    struct slice name, attr;
    struct coded c;
    void *none;
    if (!vec_alive(b->from, node) || !heap_get(b->from, m->name, &name) ||
        !heap_get(b->from, atomic_load_explicit(&m->attr, memory_order_acquire), &attr))
        return 0;
    uint32_t hash = names_hash(b->to, name);
    if (names_find(b->to, name, hash)) /* it changed meanwhile, and its old vector is here */
        return 0;
    get_for(b->to, b->from, node, &c, &none);
    int rc = enter(b->to, name, hash, &c, attr, err);
    mem_free(none);
    return rc;
}

static bool copy_some(struct vec_rebuild *b)
{
    uint32_t at = atomic_load_explicit(&b->done[COPY], memory_order_relaxed);
    uint32_t end = b->n - at < BITE ? b->n : at + BITE;
    for (; at < end; at++)
        if (copy_one(b, b->order[at], &b->err) < 0) {
            atomic_store(&b->failed, true);
            return false;
        }
    atomic_store_explicit(&b->done[COPY], at, memory_order_relaxed);
    return at < b->n;
}

/* ---- link ---- */

static uint32_t common_divisor(uint32_t a, uint32_t b)
{
    return b ? common_divisor(b, a % b) : a;
}

static void begin_links(struct vec_rebuild *b)
{
    mem_free(b->order);
    mem_free(b->met);
    b->order = NULL;
    b->met = NULL;
    b->count = (uint32_t)vec_count(b->to);
    b->stride = (uint32_t)(0.6180339887498949 * b->count) | 1;
    while (b->count && common_divisor(b->stride, b->count) != 1)
        b->stride++;
    b->to->h.node_uid = b->uid; /* each is made again when it is linked */
    atomic_store_explicit(&b->to->newest, b->uid, memory_order_release);
}

/* Leaves with the lock. A thread may have slept over its plan while others linked more than the index remembers: then
 * it looks again. */
static void plan_and_lock(struct vec_rebuild *b, struct hnsw_plan *plan, const struct coded *c)
{
    for (int tries = 0;; tries++) {
        hnsw_plan(b->to, plan, c);
        pthread_mutex_lock(&b->writing);
        if (b->to->h.node_uid - plan->seen <= RECENT || tries == 3)
            return;
        pthread_mutex_unlock(&b->writing);
        hnsw_plan_release(plan);
    }
}

static void link_one(struct vec_rebuild *b, uint32_t node)
{
    struct vec_index *v = b->to;
    uint32_t state = vec_state(v, node);
    struct hnsw_plan plan = {.level = NODE_LEVEL(state)};
    struct coded c;
    code_get(v, node, &c);
    plan_and_lock(b, &plan, &c);
    vec_meta(v, node)->uid = ++v->h.node_uid;
    vec_set_state(v, node, state | NODE_LIVE);
    hnsw_insert_planned(v, node, 0, &plan);
    vec_remember(v, node);
    if (atomic_fetch_add_explicit(&b->done[LINK], 1, memory_order_relaxed) + 1 == b->count)
        bin_settle(v);
    pthread_mutex_unlock(&b->writing);
    hnsw_plan_release(&plan);
}

static bool link_some(struct vec_rebuild *b)
{
    uint64_t i = atomic_fetch_add_explicit(&b->next, 1, memory_order_relaxed);
    if (i >= b->count)
        return false;
    link_one(b, 1 + (uint32_t)(i * b->stride % b->count));
    return true;
}

/* ---- life ---- */

int vec_rebuild_create(struct vec_rebuild **out, struct vec_index *from, uint32_t ef, struct err *err)
{
    struct vec_stats st;
    vec_stats(from, &st);
    struct vec_rebuild *b = mem_zero(sizeof *b);
    struct vec_config config = st.config;
    b->ef = config.ef_construction;
    config.ef_construction = ef ? ef : b->ef < VEC_MAX_EF / 2 ? 2 * b->ef : VEC_MAX_EF;
    int rc = vec_create(&b->to, &config, err);
    b->top = vec_top(from);
    b->uid = st.node_uid;
    b->order = mem_try(b->top * sizeof *b->order);
    b->met = mem_zero((b->top / 64 + 1) * sizeof *b->met);
    b->sweep = 1;
    pthread_mutex_init(&b->writing, NULL);
    b->from = vec_ref(from);
    if (rc == 0 && !b->order)
        rc = err_set(err, ERR_OOM, "not enough memory to build a vector set again");
    if (rc == 0 && bin_has_centre(from)) {
        struct coded c;
        code_get(from, 0, &c);
        rc = bin_set_centre(b->to, &c, err);
    }
    if (rc < 0) {
        vec_rebuild_destroy(b);
        return rc;
    }
    uint32_t entry = ENTRY_NODE(atomic_load_explicit(&from->entry, memory_order_relaxed));
    if (entry)
        meet(b, entry);
    *out = b;
    return 0;
}

void vec_rebuild_destroy(struct vec_rebuild *b)
{
    if (!b)
        return;
    vec_unref(b->from);
    vec_unref(b->to);
    mem_free(b->order);
    mem_free(b->met);
    pthread_mutex_destroy(&b->writing);
    mem_free(b);
}

static void next_pass(struct vec_rebuild *b, int pass)
{
    atomic_store_explicit(&b->done[pass], b->top, memory_order_relaxed);
    if (pass == COPY)
        begin_links(b);
    if (pass == COPY && b->to->h.kind == VEC_FLAT)
        pass = LINK;
    atomic_store_explicit(&b->pass, pass + 1, memory_order_release);
}

bool vec_rebuild_step(struct vec_rebuild *b, int64_t until_us)
{
    do {
        int pass = atomic_load_explicit(&b->pass, memory_order_acquire);
        if (pass == OVER || atomic_load(&b->failed))
            return false;
        int ticket = pass == LINK ? -1 : epoch_begin();
        bool more = pass == ORDER ? order_some(b) : pass == COPY ? copy_some(b) : link_some(b);
        if (ticket >= 0)
            epoch_end(ticket);
        if (!more && pass == LINK)
            return false;
        if (!more && !atomic_load(&b->failed))
            next_pass(b, pass);
    } while (clock_mono_us() < until_us);
    return true;
}

bool vec_rebuild_is_wide(const struct vec_rebuild *b)
{
    return atomic_load_explicit(&b->pass, memory_order_acquire) == LINK;
}

bool vec_rebuild_over(const struct vec_rebuild *b)
{
    int pass = atomic_load_explicit(&b->pass, memory_order_acquire);
    return pass == OVER || atomic_load(&b->failed) ||
           (pass == LINK && atomic_load_explicit(&b->next, memory_order_relaxed) >= b->count);
}

/* Nearly all of the time goes into links. */
int vec_rebuild_percent(const struct vec_rebuild *b)
{
    static const unsigned weight[OVER] = {2, 3, 94};
    uint64_t sum = 0, all = b->top > 1 ? b->top - 1 : 1;
    for (int i = 0; i < OVER; i++) {
        uint64_t done = atomic_load_explicit(&b->done[i], memory_order_relaxed);
        sum += weight[i] * (done < all ? done : all) / all;
    }
    return (int)sum;
}

int vec_rebuild_take(struct vec_rebuild *b, struct vec_index **out, struct err *err)
{
    if (atomic_load(&b->failed))
        return err_set(err, b->err.code, "%s", b->err.msg);
    *out = b->to;
    b->to = NULL;
    (*out)->h.ef_construction = b->ef;
    return vec_check(*out, err);
}
