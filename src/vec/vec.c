/* The index as its callers see it: elements come, change and go. One thread; searches are in search.c. */
#include "vec/vec.h"

#include <inttypes.h>
#include <math.h>
#include <unistd.h>

#include "base/mem.h"
#include "vec/bin.h"
#include "vec/code.h"
#include "vec/columns.h"
#include "vec/epoch.h"
#include "vec/heap.h"
#include "vec/rest.h"
#include "vec/hnsw.h"
#include "vec/names.h"

#define RECLAIM_STEP 16 /* things moved from limbo to the free lists per change: more than one change makes */

/* ---- life ---- */

int vec_config_check(struct vec_config *c, struct err *err)
{
    c->m = c->m ? c->m : 16;
    c->ef_construction = c->ef_construction ? c->ef_construction : 200;
    if (c->dim < 1 || c->dim > VEC_MAX_DIM)
        return err_set(err, ERR_INVALID, "a vector index has 1 to %d dimensions, not %" PRIu32, VEC_MAX_DIM, c->dim);
    if (c->m < VEC_MIN_M || c->m > VEC_MAX_M)
        return err_set(err, ERR_INVALID, "M must be between %d and %d", VEC_MIN_M, VEC_MAX_M);
    if (c->ef_construction > VEC_MAX_EF)
        return err_set(err, ERR_INVALID, "EF must be between 1 and %d", VEC_MAX_EF);
    if ((unsigned)c->metric > VEC_IP || (unsigned)c->kind > VEC_FLAT || (unsigned)c->quant > VEC_QUANT_BIN)
        return err_set(err, ERR_INVALID, "unknown metric, kind or quantisation of a vector index");
    while (!c->seed)
        rng_secure(&c->seed, sizeof c->seed);
    return 0;
}

void vec_derive(struct vec_index *v)
{
    v->m0 = v->h.kind == VEC_FLAT ? 0 : 2 * v->h.m;
    struct vec_config c = {.dim = v->h.dim, .quant = v->h.quant};
    code_sizes(&c, &v->code_bytes, &v->rest_bytes);
    v->links_at = ((uint32_t)sizeof(struct row) + v->code_bytes + 3) / 4 * 4;
    v->level_scale = 1 / log(v->h.m);
    if (v->h.quant == VEC_QUANT_BIN)
        rabitq_init(&v->rabitq, v->h.dim, v->h.seed);
}

struct vec_index *vec_new(const struct vec_config *c, int fd, uint64_t file_size)
{
    struct vec_index *v = mem_zero(sizeof *v);
    atomic_init(&v->refs, 1);
    atomic_init(&v->top, 1);
    v->dw_fd = v->read_fd = -1;
    v->columns = mem_zero(sizeof *v->columns);
    v->h = (struct vec_header){.magic = VEC_MAGIC,
                               .version = VEC_VERSION,
                               .byte_order = VEC_BYTE_ORDER,
                               .dim = c->dim,
                               .metric = c->metric,
                               .kind = c->kind,
                               .quant = c->quant,
                               .m = c->m,
                               .ef_construction = c->ef_construction,
                               .seed = c->seed,
                               .budget = c->budget};
    rng_secure(&v->h.uid, sizeof v->h.uid);
    rng_seed(&v->rng, c->seed);
    vec_derive(v);
    uint32_t unit[AREA_COUNT] = {
        [AREA_ROWS] = (v->links_at + v->m0 * 4 + 31) / 32 * 32,
        [AREA_META] = sizeof(struct meta),
        [AREA_UPPER] = bin_in_blocks(v) ? bin_block_bytes(v) : (uint32_t)sizeof(struct upper) + 4 * c->m,
        [AREA_TABLE] = 4,
        [AREA_HEAP] = 16,
        [AREA_REST] = v->rest_bytes ? v->rest_bytes : 1,
    };
    space_init(&v->space, fd, file_size, unit);
    v->space.random = c->kind == VEC_HNSW;
    return v;
}

void vec_free(struct vec_index *v)
{
    columns_release(v->columns);
    mem_free(v->columns);
    space_release(&v->space);
    if (v->space.fd >= 0)
        close(v->space.fd);
    if (v->dw_fd >= 0)
        close(v->dw_fd);
    if (v->read_fd >= 0)
        close(v->read_fd);
    mem_free(v->node_limbo.marks);
    mem_free(v->heap_limbo.marks);
    mem_free(v->path);
    mem_free((void *)atomic_load_explicit(&v->centre, memory_order_relaxed));
    rabitq_release(&v->rabitq);
    mem_free(v);
}

int vec_create(struct vec_index **out, const struct vec_config *config, struct err *err)
{
    struct vec_config c = *config;
    int rc = vec_config_check(&c, err);
    if (rc == 0)
        *out = vec_new(&c, -1, 0);
    return rc;
}

struct vec_index *vec_ref(struct vec_index *v)
{
    atomic_fetch_add_explicit(&v->refs, 1, memory_order_relaxed);
    return v;
}

void vec_unref(struct vec_index *v)
{
    if (v && atomic_fetch_sub_explicit(&v->refs, 1, memory_order_acq_rel) == 1)
        vec_free(v);
}

int vec_check(const struct vec_index *v, struct err *err)
{
    if (!vec_damaged(v))
        return 0;
    return err_set(err, ERR_IO, "the vector index file %s is damaged: remove it and let it be built again",
                   v->path ? v->path : "(in memory)");
}

/* ---- what waits for readers ---- */

void limbo_push(struct limbo *l, uint64_t mark, uint32_t count)
{
    if (l->head + l->n == l->cap) {
        if (l->head)
            memmove(l->marks, l->marks + l->head, l->n * sizeof *l->marks);
        l->head = 0;
        if (l->n * 2 >= l->cap) {
            l->cap = l->cap ? l->cap * 2 : 16;
            l->marks = mem_realloc(l->marks, l->cap * sizeof *l->marks);
        }
    }
    l->marks[l->head + l->n++] = (struct limbo_mark){mark, count};
}

bool limbo_ready(const struct limbo *l)
{
    return l->n && epoch_passed(l->marks[l->head].mark);
}

void limbo_pop(struct limbo *l)
{
    if (--l->marks[l->head].count == 0) {
        l->head = --l->n ? l->head + 1 : 0;
    }
}

static void set_meta_next(struct vec_index *v, uint32_t node, uint32_t next)
{
    struct meta *m = vec_meta(v, node);
    space_touch(&v->space, AREA_META, node, m, sizeof *m);
    m->next = next;
}

void vec_set_state(struct vec_index *v, uint32_t node, uint32_t state)
{
    struct row *r = vec_row(v, node);
    space_touch(&v->space, AREA_ROWS, node, r, sizeof *r);
    atomic_store_explicit(&r->state, state, memory_order_release);
}

void vec_node_retire(struct vec_index *v, uint32_t node)
{
    set_meta_next(v, node, 0);
    if (v->h.limbo_tail)
        set_meta_next(v, v->h.limbo_tail, node);
    else
        v->h.limbo_head = node;
    v->h.limbo_tail = node;
    v->h.limbo_count++;
    limbo_push(&v->node_limbo, epoch_retire(), 1);
}

static void free_uppers(struct vec_index *v, uint32_t unit)
{
    uint64_t used = v->space.area[AREA_UPPER].d.used;
    for (int i = 0; unit && unit < used && i < VEC_MAX_LEVELS; i++) {
        struct upper *u = vec_upper(v, unit);
        uint32_t up = u->up;
        space_touch(&v->space, AREA_UPPER, unit, u, sizeof *u);
        u->up = v->h.upper_free;
        u->node = 0;
        v->h.upper_free = unit;
        unit = up;
    }
}

/* No reader can know the node any more: what it owns goes, and its number to the free list. */
static void free_node(struct vec_index *v, uint32_t node)
{
    struct meta *m = vec_meta(v, node);
    heap_free(v, m->name);
    heap_free(v, atomic_load_explicit(&m->attr, memory_order_relaxed));
    free_uppers(v, vec_row(v, node)->upper);
    space_touch(&v->space, AREA_META, node, m, sizeof *m);
    m->name = 0;
    atomic_store_explicit(&m->attr, 0, memory_order_relaxed);
    struct row *r = vec_row(v, node);
    space_touch(&v->space, AREA_ROWS, node, r, sizeof *r);
    r->upper = 0;
    atomic_store_explicit(&r->state, NODE_FREE, memory_order_release);
    m->next = v->h.free_head;
    v->h.free_head = node;
    v->h.free_count++;
}

void vec_reclaim(struct vec_index *v, int most)
{
    heap_reclaim(v, most);
    while (most-- > 0 && v->h.limbo_head && v->h.limbo_head < vec_top(v) && limbo_ready(&v->node_limbo)) {
        uint32_t node = v->h.limbo_head;
        v->h.limbo_head = vec_meta(v, node)->next;
        if (!v->h.limbo_head)
            v->h.limbo_tail = 0;
        v->h.limbo_count--;
        limbo_pop(&v->node_limbo);
        free_node(v, node);
    }
}

/* ---- making a node ---- */

static int take_number(struct vec_index *v, uint32_t *node, struct err *err)
{
    uint32_t top = vec_top(v);
    if (v->h.free_head) {
        *node = v->h.free_head;
        if (*node >= top) {
            vec_set_damaged(v);
            return vec_check(v, err);
        }
        v->h.free_head = vec_meta(v, *node)->next;
        v->h.free_count--;
        return 0;
    }
    if (top > VEC_MAX_NODE)
        return err_set(err, ERR_OOM, "a vector index holds at most %d elements", VEC_MAX_NODE);
    int rc = space_reserve(&v->space, AREA_ROWS, 1, err);
    if (rc == 0)
        rc = space_reserve(&v->space, AREA_META, 1, err);
    if (rc == 0 && v->rest_bytes)
        rc = space_reserve(&v->space, AREA_REST, 1, err);
    if (rc == 0 && bin_in_blocks(v))
        rc = space_reserve(&v->space, AREA_UPPER, 1, err);
    if (rc < 0)
        return rc;
    *node = top;
    if (bin_in_blocks(v))
        v->space.area[AREA_UPPER].d.used = top / 32 + 1;
    v->space.area[AREA_ROWS].d.used++;
    v->space.area[AREA_META].d.used++;
    v->space.area[AREA_REST].d.used += v->rest_bytes > 0;
    atomic_store_explicit(&v->top, top + 1, memory_order_release);
    return 0;
}

static void give_back_number(struct vec_index *v, uint32_t node)
{
    set_meta_next(v, node, v->h.free_head);
    v->h.free_head = node;
    v->h.free_count++;
}

static uint32_t take_upper(struct vec_index *v, struct err *err)
{
    uint32_t unit = v->h.upper_free;
    if (unit) {
        if (unit >= v->space.area[AREA_UPPER].d.used) {
            vec_set_damaged(v);
            vec_check(v, err);
            return 0;
        }
        v->h.upper_free = vec_upper(v, unit)->up;
        return unit;
    }
    if (space_reserve(&v->space, AREA_UPPER, 1, err) < 0)
        return 0;
    return (uint32_t)v->space.area[AREA_UPPER].d.used++;
}

/* One unit per upper level, chained from level 1 up. */
static int take_uppers(struct vec_index *v, uint32_t node, int level, uint32_t *first, struct err *err)
{
    *first = 0;
    for (int l = level; l > 0; l--) {
        uint32_t unit = take_upper(v, err);
        if (!unit) {
            free_uppers(v, *first);
            return err ? err->code : ERR_OOM;
        }
        struct upper *u = vec_upper(v, unit);
        space_touch(&v->space, AREA_UPPER, unit, u, v->space.area[AREA_UPPER].unit);
        u->up = *first;
        u->node = node;
        u->level = (uint32_t)l;
        for (uint32_t i = 0; i < v->h.m; i++)
            atomic_store_explicit(&u->links[i], 0, memory_order_relaxed);
        *first = unit;
    }
    return 0;
}

static void fill_row(struct vec_index *v, uint32_t node, uint32_t upper, const struct coded *c)
{
    struct row *r = vec_row(v, node);
    _Atomic uint32_t *links = vec_links0(v, r);
    space_touch(&v->space, AREA_ROWS, node, r, v->space.area[AREA_ROWS].unit);
    r->upper = upper;
    for (uint32_t i = 0; i < v->m0; i++)
        atomic_store_explicit(&links[i], 0, memory_order_relaxed);
    code_put(v, node, c);
}

/* A complete node, not alive yet, not linked to and not among the names. On error nothing has changed. */
int vec_add_node(struct vec_index *v, struct slice name, uint32_t hash, const struct coded *c, struct slice attr,
                 int level, uint32_t *node, struct err *err)
{
    struct err why;
    err = err ? err : &why;
    uint64_t name_ref = heap_put(v, name, err), attr_ref = 0;
    if (!name_ref)
        return err->code;
    if (attr.len && !(attr_ref = heap_put(v, attr, err))) {
        heap_free(v, name_ref);
        return err->code;
    }
    uint32_t upper = 0;
    int rc = take_number(v, node, err);
    if (rc == 0) {
        rc = take_uppers(v, *node, level, &upper, err);
        if (rc < 0)
            give_back_number(v, *node);
    }
    if (rc < 0) {
        heap_free(v, name_ref);
        heap_free(v, attr_ref);
        return rc;
    }
    struct meta *m = vec_meta(v, *node);
    space_touch(&v->space, AREA_META, *node, m, sizeof *m);
    m->name = name_ref;
    atomic_store_explicit(&m->attr, attr_ref, memory_order_release);
    m->hash = hash;
    m->uid = ++v->h.node_uid;
    columns_born(v->columns, *node);
    fill_row(v, *node, upper, c);
    return 0;
}

/* ---- add, remove ---- */

static int check_name(const struct vec_index *v, struct slice name, struct slice attr, struct err *err)
{
    if (name.len < 1 || name.len > VEC_MAX_NAME)
        return err_set(err, ERR_INVALID, "an element's name has 1 to %d bytes, not %zu", VEC_MAX_NAME, name.len);
    if (attr.len > VEC_MAX_ATTR)
        return err_set(err, ERR_INVALID, "attributes have at most %d bytes, not %zu", VEC_MAX_ATTR, attr.len);
    return vec_check(v, err);
}

static int check_input(const struct vec_index *v, struct slice name, const float *x, uint32_t dim, struct slice attr,
                       struct err *err)
{
    if (dim != v->h.dim)
        return err_set(err, ERR_INVALID, "Vector dimension mismatch - got %" PRIu32 " but set has %" PRIu32, dim,
                       v->h.dim);
    if (!simd_finite_f32(x, dim))
        return err_set(err, ERR_INVALID, "a vector holds finite numbers only, no NaN and no infinity");
    return check_name(v, name, attr, err);
}

static void count_add(_Atomic uint64_t *c, int64_t by)
{
    atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + (uint64_t)by, memory_order_release);
}

/* Out of the graph, dead for whoever stands on it, and to be reused when nobody does. */
static void leave(struct vec_index *v, uint32_t node)
{
    vec_set_state(v, node, (vec_state(v, node) & ~0xffu) | NODE_DEAD);
    if (v->h.kind == VEC_HNSW)
        hnsw_remove(v, node);
    vec_node_retire(v, node);
}

static int replace_attr(struct vec_index *v, uint32_t node, struct slice attr, struct err *err)
{
    struct meta *m = vec_meta(v, node);
    uint64_t old = atomic_load_explicit(&m->attr, memory_order_relaxed), ref = 0;
    struct err why;
    err = err ? err : &why;
    if (attr.len && !(ref = heap_put(v, attr, err)))
        return err->code;
    space_touch(&v->space, AREA_META, node, m, sizeof *m);
    columns_changing(v->columns);
    atomic_store(&m->attr, ref); /* seq_cst: columns.c says why */
    columns_changed(v->columns, node, attr);
    heap_retire(v, old);
    v->h.with_attr += (uint64_t)(ref != 0) - (uint64_t)(old != 0);
    return 0;
}

static bool same_vector(const struct vec_index *v, uint32_t node, const struct coded *c)
{
    struct coded has;
    code_get(v, node, &has);
    return code_same(&has, c, v);
}

void vec_remember(struct vec_index *v, uint32_t node)
{
    uint64_t uid = vec_meta(v, node)->uid;
    v->recent[uid % RECENT].uid = uid;
    v->recent[uid % RECENT].node = node;
    atomic_store_explicit(&v->newest, uid, memory_order_release);
}

/* The new node enters before the old one leaves, so that the element can be found at every moment. */
int vec_put(struct vec_index *v, struct slice name, const struct coded *c, struct slice attr,
            const struct hnsw_plan *plan, struct err *err)
{
    uint32_t hash = names_hash(v, name), old = names_find(v, name, hash), node = 0;
    if (old && same_vector(v, old, c))
        return attr.p ? replace_attr(v, old, attr, err) : vec_check(v, err);
    if (old && !attr.p && !heap_get(v, atomic_load_explicit(&vec_meta(v, old)->attr, memory_order_relaxed), &attr))
        return vec_check(v, err);
    int level = plan ? plan->level : v->h.kind == VEC_HNSW ? hnsw_random_level(v) : 0;
    int rc = old ? 0 : names_reserve(v, err);
    if (rc == 0)
        rc = vec_add_node(v, name, hash, c, attr, level, &node, err);
    if (rc < 0)
        return rc;
    if (old)
        vec_set_state(v, old, (vec_state(v, old) & ~0xffu) | NODE_LEAVING);
    vec_set_state(v, node, NODE_LIVE | (uint32_t)level << 8);
    v->h.with_attr += attr.len > 0;
    if (old)
        names_replace(v, old, node);
    else
        names_insert(v, node, hash);
    if (plan)
        hnsw_insert_planned(v, node, old, plan);
    else if (v->h.kind == VEC_HNSW)
        hnsw_insert(v, node, old);
    vec_remember(v, node);
    if (!old) {
        count_add(&v->count, 1);
        bin_settle(v);
        return VEC_ADDED;
    }
    v->h.with_attr -= atomic_load_explicit(&vec_meta(v, old)->attr, memory_order_relaxed) != 0;
    leave(v, old);
    return VEC_UPDATED;
}

int vec_add(struct vec_index *v, struct slice name, const float *x, uint32_t dim, struct slice attr, struct err *err)
{
    int rc = check_input(v, name, x, dim, attr, err);
    if (rc < 0)
        return rc;
    vec_reclaim(v, RECLAIM_STEP);
    struct coded c;
    void *room = mem_alloc(v->code_bytes + v->rest_bytes);
    code_encode(v, x, &c, room);
    rc = vec_put(v, name, &c, attr, NULL, err);
    mem_free(room);
    if (rc >= 0 && vec_damaged(v))
        return vec_check(v, err);
    return rc;
}

struct vec_addition {
    struct vec_index *v; /* a reference */
    struct hnsw_plan plan;
    struct coded c;
    char room[]; /* of c */
};

#define QUICK_BELOW 1000 /* elements: linking one more takes some tens of microseconds */

bool vec_add_is_quick(const struct vec_index *v)
{
    return v->h.kind == VEC_FLAT || vec_count(v) < QUICK_BELOW;
}

int vec_prepare(struct vec_addition **out, struct vec_index *v, const float *x, uint32_t dim, struct err *err)
{
    int rc = check_input(v, SLICE("?"), x, dim, SLICE(""), err);
    if (rc < 0)
        return rc;
    struct vec_addition *a = mem_zero(sizeof *a + v->code_bytes + v->rest_bytes);
    a->v = vec_ref(v);
    a->plan.level = v->h.kind == VEC_HNSW ? hnsw_random_level(v) : 0;
    code_encode(v, x, &a->c, a->room);
    *out = a;
    return 0;
}

void vec_plan(struct vec_addition *a)
{
    if (a->v->h.kind == VEC_HNSW && !a->plan.links)
        hnsw_plan(a->v, &a->plan, &a->c);
}

int vec_commit(struct vec_addition *a, struct slice name, struct slice attr, struct err *err)
{
    struct vec_index *v = a->v;
    int rc = check_name(v, name, attr, err);
    if (rc < 0)
        return rc;
    vec_reclaim(v, RECLAIM_STEP);
    rc = vec_put(v, name, &a->c, attr, a->plan.links ? &a->plan : NULL, err);
    if (rc >= 0 && vec_damaged(v))
        return vec_check(v, err);
    return rc;
}

const struct vec_index *vec_addition_for(const struct vec_addition *a)
{
    return a->v;
}

void vec_addition_destroy(struct vec_addition *a)
{
    if (!a)
        return;
    hnsw_plan_release(&a->plan);
    vec_unref(a->v);
    mem_free(a);
}

static uint32_t find(const struct vec_index *v, struct slice name)
{
    return vec_damaged(v) ? 0 : names_find(v, name, names_hash(v, name));
}

bool vec_remove(struct vec_index *v, struct slice name)
{
    vec_reclaim(v, RECLAIM_STEP);
    uint32_t node = find(v, name);
    if (!node)
        return false;
    names_remove(v, node);
    count_add(&v->count, -1);
    v->h.with_attr -= atomic_load_explicit(&vec_meta(v, node)->attr, memory_order_relaxed) != 0;
    leave(v, node);
    return true;
}

/* ---- reading one element ---- */

bool vec_contains(const struct vec_index *v, struct slice name)
{
    return find(v, name) != 0;
}

bool vec_get_attr(const struct vec_index *v, struct slice name, struct slice *attr)
{
    uint32_t node = find(v, name);
    *attr = slice_of("", 0);
    return node && heap_get(v, atomic_load_explicit(&vec_meta(v, node)->attr, memory_order_relaxed), attr);
}

int vec_set_attr(struct vec_index *v, struct slice name, struct slice attr, struct err *err)
{
    if (attr.len > VEC_MAX_ATTR)
        return err_set(err, ERR_INVALID, "attributes have at most %d bytes, not %zu", VEC_MAX_ATTR, attr.len);
    int rc = vec_check(v, err);
    uint32_t node = rc == 0 ? find(v, name) : 0;
    if (!node)
        return rc;
    vec_reclaim(v, RECLAIM_STEP);
    rc = replace_attr(v, node, attr, err);
    return rc < 0 ? rc : 1;
}

bool vec_get_raw(const struct vec_index *v, struct slice name, float *to, float *norm)
{
    uint32_t node = find(v, name);
    struct coded c;
    if (!node)
        return false;
    code_get(v, node, &c);
    code_decode(v, &c, to);
    *norm = c.norm;
    return true;
}

bool vec_get_vector(const struct vec_index *v, struct slice name, float *to)
{
    float norm;
    if (!vec_get_raw(v, name, to, &norm))
        return false;
    simd_scale_f32(to, to, (double)norm, v->h.dim);
    return true;
}

bool vec_next(const struct vec_index *v, uint32_t *cursor, struct slice *name, struct slice *attr)
{
    while (++*cursor < vec_top(v)) {
        const struct meta *m = vec_meta(v, *cursor);
        if (NODE_KIND(vec_state(v, *cursor)) == NODE_LIVE && heap_get(v, m->name, name) &&
            heap_get(v, atomic_load_explicit(&m->attr, memory_order_relaxed), attr))
            return true;
    }
    *cursor = UINT32_MAX - 1;
    return false;
}

bool vec_random(struct vec_index *v, struct slice *name)
{
    uint32_t top = vec_top(v);
    if (!vec_count(v) || vec_damaged(v))
        return false;
    uint32_t at = 1 + (uint32_t)rng_below(&v->rng, top - 1);
    for (int tries = 0; tries < 64 && NODE_KIND(vec_state(v, at)) != NODE_LIVE; tries++)
        at = 1 + (uint32_t)rng_below(&v->rng, top - 1);
    for (uint32_t i = 0; i < top && NODE_KIND(vec_state(v, at)) != NODE_LIVE; i++)
        at = at + 1 < top ? at + 1 : 1;
    return NODE_KIND(vec_state(v, at)) == NODE_LIVE && heap_get(v, vec_meta(v, at)->name, name);
}

bool vec_links(const struct vec_index *v, struct slice name, int *levels,
               void (*visit)(void *arg, int level, struct slice name, double score), void *arg)
{
    uint32_t node = find(v, name), to, cap;
    if (!node)
        return false;
    int level = NODE_LEVEL(vec_state(v, node));
    struct probe p;
    probe_node(v, &p, node);
    if (levels)
        *levels = level + 1;
    for (; level >= 0; level--) {
        _Atomic uint32_t *l = hnsw_links(v, node, level, &cap);
        for (uint32_t i = 0; l && i < cap && (to = hnsw_target(v, &l[i])); i++) {
            struct slice s;
            if (heap_get(v, vec_meta(v, to)->name, &s))
                visit(arg, level, s, vec_score(v, code_near(v, &p, to)));
        }
    }
    return true;
}
