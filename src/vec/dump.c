/* An index as one string of bytes, graph included, for dumps and for the journal's compaction. Nodes are numbered anew,
 * 1 to count, so that free slots cost nothing.
 *
 *   offset  size  field (little-endian)
 *        0     8  magic "SKALDVS2"
 *        8     4  dim
 *       12     4  metric, kind, quant, 1 with a centre
 *       16     8  m, ef_construction
 *       24     8  seed
 *       32    32  state of the level generator
 *       64     8  node_uid
 *       72     8  count, entry node (0: none)
 *       80        BIN with a centre: lo f32, step f32, twice dim bytes
 *                 the nodes, each:
 *                   name length u32, attribute length u32, uid u64, norm f32, level u32 (its top bit: the rest of the
 *                   precision follows the code), lo f32, step f32 (as in the row),
 *                   name, attributes, the code, the rest,
 *                   HNSW: for each level from 0: number of links u32, their nodes u32
 *     last     4  CRC32C of everything before
 */
#include <inttypes.h>
#include <math.h>

#include "base/hash.h"
#include "base/mem.h"
#include "vec/bin.h"
#include "vec/code.h"
#include "vec/heap.h"
#include "vec/hnsw.h"
#include "vec/names.h"

#define DUMP_MAGIC "SKALDVS2"

struct dump_head {
    char magic[8];
    uint32_t dim;
    uint8_t metric, kind, quant, centre;
    uint32_t m, ef_construction;
    uint64_t seed, rng[4], node_uid;
    uint32_t count, entry;
};
static_assert(sizeof(struct dump_head) == 80 && offsetof(struct dump_head, rng) == 32, "dump head");

struct dump_node {
    uint32_t name, attr;
    uint64_t uid;
    float norm;
    uint32_t level;
    float lo, step;
};
static_assert(sizeof(struct dump_node) == 32, "dump node");
#define WITH_REST 0x80000000u

/* ---- save ---- */

static bool save_links(const struct vec_index *v, uint32_t node, int level, const uint32_t *number, struct buf *to)
{
    uint32_t cap = 0, n = 0, target;
    _Atomic uint32_t *l = hnsw_links(v, node, level, &cap);
    while (l && n < cap && hnsw_target(v, &l[n]))
        n++;
    bool ok = buf_add(to, &n, sizeof n);
    for (uint32_t i = 0; ok && i < n; i++) {
        target = number[hnsw_target(v, &l[i])];
        ok = buf_add(to, &target, sizeof target);
    }
    return ok;
}

static bool save_node(const struct vec_index *v, uint32_t node, const uint32_t *number, struct buf *to)
{
    const struct meta *m = vec_meta(v, node);
    struct slice name, attr;
    if (!heap_get(v, m->name, &name) || !heap_get(v, atomic_load_explicit(&m->attr, memory_order_relaxed), &attr))
        return false;
    int level = NODE_LEVEL(vec_state(v, node));
    struct coded c;
    code_get(v, node, &c);
    struct dump_node d = {.name = (uint32_t)name.len,
                          .attr = (uint32_t)attr.len,
                          .uid = m->uid,
                          .norm = c.norm,
                          .level = (uint32_t)level | (c.rest ? WITH_REST : 0),
                          .lo = c.lo,
                          .step = c.step};
    bool ok = buf_add(to, &d, sizeof d) && buf_add(to, name.p, name.len) && buf_add(to, attr.p, attr.len) &&
              buf_add(to, c.code, v->code_bytes) && (!c.rest || buf_add(to, c.rest, v->rest_bytes));
    for (int l = 0; ok && v->h.kind == VEC_HNSW && l <= level; l++)
        ok = save_links(v, node, l, number, to);
    return ok;
}

static bool save_centre(const struct vec_index *v, struct buf *to)
{
    struct coded c;
    code_get(v, 0, &c);
    return buf_add(to, &c.lo, sizeof c.lo) && buf_add(to, &c.step, sizeof c.step) && buf_add(to, c.rest, v->rest_bytes);
}

bool vec_save(const struct vec_index *v, struct buf *to)
{
    if (vec_damaged(v))
        return false;
    uint32_t top = vec_top(v), count = 0;
    uint32_t *number = mem_zero(((size_t)top + 1) * sizeof *number); /* node 0 is there in an empty set, too: the entry */
    for (uint32_t n = 1; n < top; n++)
        if (vec_alive(v, n))
            number[n] = ++count;
    struct dump_head h = {.magic = DUMP_MAGIC,
                          .dim = v->h.dim,
                          .metric = (uint8_t)v->h.metric,
                          .kind = (uint8_t)v->h.kind,
                          .quant = (uint8_t)v->h.quant,
                          .centre = bin_has_centre(v),
                          .m = v->h.m,
                          .ef_construction = v->h.ef_construction,
                          .seed = v->h.seed,
                          .node_uid = v->h.node_uid,
                          .count = count,
                          .entry = number[ENTRY_NODE(atomic_load_explicit(&v->entry, memory_order_relaxed))]};
    memcpy(h.rng, v->rng.s, sizeof h.rng);
    size_t start = to->len;
    bool ok = buf_add(to, &h, sizeof h) && (!h.centre || save_centre(v, to));
    for (uint32_t n = 1; ok && n < top; n++)
        if (number[n])
            ok = save_node(v, n, number, to);
    mem_free(number);
    uint32_t crc = ok ? crc32c(0, to->p + start, to->len - start) : 0;
    ok = ok && buf_add(to, &crc, sizeof crc) && !vec_damaged(v);
    if (!ok)
        to->len = start;
    return ok;
}

/* ---- load ---- */

struct loader {
    struct vec_index *v;
    const char *p, *end;
    uint32_t count;
    struct err *err;
};

#define BAD(l, ...) err_set((l)->err, ERR_INVALID, "bad vector index data: " __VA_ARGS__)

static const char *take(struct loader *l, size_t n)
{
    if ((size_t)(l->end - l->p) < n)
        return NULL;
    const char *p = l->p;
    l->p += n;
    return p;
}

static bool take_into(struct loader *l, void *to, size_t n)
{
    const char *p = take(l, n);
    if (p)
        memcpy(to, p, n);
    return p != NULL;
}

static int load_links(struct loader *l, uint32_t node, int level)
{
    uint32_t n, to, cap = 0;
    _Atomic uint32_t *links = hnsw_links(l->v, node, level, &cap);
    if (!take_into(l, &n, sizeof n) || n > cap)
        return BAD(l, "node %" PRIu32 " has more links than there may be", node);
    for (uint32_t i = 0; i < n; i++) {
        if (!take_into(l, &to, sizeof to) || to < 1 || to > l->count)
            return BAD(l, "node %" PRIu32 " is linked to one that does not exist", node);
        atomic_store_explicit(&links[i], to, memory_order_relaxed);
    }
    return 0;
}

/* The vector in coded form, borrowed from what is read; `room` has dim floats, for the look at what it says. */
static int load_vector(struct loader *l, const struct dump_node *d, struct coded *c, float *room)
{
    struct vec_index *v = l->v;
    *c = (struct coded){.norm = d->norm, .lo = d->lo, .step = d->step};
    const char *code = take(l, v->code_bytes);
    const char *rest = d->level & WITH_REST ? take(l, v->rest_bytes) : NULL;
    bool wanted = d->level & WITH_REST || v->h.quant == VEC_QUANT_BIN;
    if (!code || (wanted && (!rest || !v->rest_bytes)))
        return BAD(l, "it ends within a vector");
    c->code = code;
    c->rest = (const int8_t *)rest;
    code_sums(v, c);
    code_decode(v, c, room);
    if (!code_sound(v, room) || !bin_sound(v, code) || !isfinite(d->norm) || d->norm < 0 || !isfinite(d->lo) ||
        !isfinite(d->step) || d->step < 0 || (v->h.metric != VEC_COSINE && d->norm != 1))
        return BAD(l, "a vector is not one that was saved");
    return 0;
}

static int load_node(struct loader *l, uint32_t number, float *x)
{
    struct vec_index *v = l->v;
    struct dump_node d;
    struct coded c;
    uint32_t node;
    if (!take_into(l, &d, sizeof d) || d.name < 1 || d.name > VEC_MAX_NAME || d.attr > VEC_MAX_ATTR ||
        (d.level & ~WITH_REST) >= (v->h.kind == VEC_HNSW ? VEC_MAX_LEVELS : 1))
        return BAD(l, "the head of node %" PRIu32 " makes no sense", number);
    struct slice name = slice_of(take(l, d.name), d.name), attr = slice_of(take(l, d.attr), d.attr);
    if (!name.p || !attr.p)
        return BAD(l, "it ends within a name");
    int rc = load_vector(l, &d, &c, x);
    int level = (int)(d.level & ~WITH_REST);
    uint32_t hash = names_hash(v, name);
    if (rc == 0 && names_find(v, name, hash))
        rc = BAD(l, "two elements have the same name");
    if (rc == 0)
        rc = names_reserve(v, l->err);
    if (rc == 0)
        rc = vec_add_node(v, name, hash, &c, attr, level, &node, l->err);
    if (rc < 0)
        return rc;
    assert(node == number);
    struct meta *m = vec_meta(v, node);
    space_touch(&v->space, AREA_META, node, m, sizeof *m);
    m->uid = d.uid;
    names_insert(v, node, hash);
    atomic_store_explicit(&vec_row(v, node)->state, NODE_LIVE | (uint32_t)level << 8, memory_order_release);
    atomic_store_explicit(&v->count, number, memory_order_release);
    v->h.with_attr += d.attr > 0;
    for (int at = 0; rc == 0 && v->h.kind == VEC_HNSW && at <= level; at++)
        rc = load_links(l, node, at);
    return rc;
}

static int load_head(struct loader *l, struct dump_head *h, const char *path)
{
    uint32_t crc;
    if (!take_into(l, h, sizeof *h) || l->end - l->p < 4 || memcmp(h->magic, DUMP_MAGIC, sizeof h->magic) != 0)
        return BAD(l, "it does not begin as one");
    l->end -= 4;
    memcpy(&crc, l->end, 4);
    const char *start = l->p - sizeof *h;
    if (crc != crc32c(0, start, (size_t)(l->end - start)))
        return BAD(l, "its checksum is wrong");
    struct vec_config c = {.dim = h->dim,
                           .metric = h->metric,
                           .kind = h->kind,
                           .quant = h->quant,
                           .m = h->m,
                           .ef_construction = h->ef_construction,
                           .seed = h->seed};
    struct err why;
    if (h->centre > (h->quant == VEC_QUANT_BIN))
        return BAD(l, "it has a centre but no bits");
    if (!h->m || !h->ef_construction || !h->seed || vec_config_check(&c, &why) < 0)
        return BAD(l, "its configuration makes no sense");
    if (h->count > (size_t)(l->end - l->p) / (sizeof(struct dump_node) + h->dim) || h->entry > h->count)
        return BAD(l, "it is shorter than it says");
    return path ? vec_create_file(&l->v, path, &c, l->err) : vec_create(&l->v, &c, l->err);
}

static int load_centre(struct loader *l)
{
    struct coded c = {.norm = 1};
    if (!take_into(l, &c.lo, sizeof c.lo) || !take_into(l, &c.step, sizeof c.step) ||
        !(c.rest = (const int8_t *)take(l, l->v->rest_bytes)) || !isfinite(c.lo) || !isfinite(c.step) || c.step < 0)
        return BAD(l, "its centre makes no sense");
    return bin_set_centre(l->v, &c, l->err);
}

static int load_all(struct loader *l, const struct dump_head *h)
{
    struct vec_index *v = l->v;
    float *x = mem_alloc(h->dim * sizeof *x);
    int rc = 0;
    l->count = h->count;
    if (h->centre)
        rc = load_centre(l);
    for (uint32_t n = 1; rc == 0 && n <= h->count; n++)
        rc = load_node(l, n, x);
    mem_free(x);
    if (rc < 0)
        return rc;
    if (l->p != l->end)
        return BAD(l, "something follows its last element");
    memcpy(v->rng.s, h->rng, sizeof v->rng.s);
    v->h.node_uid = h->node_uid;
    atomic_store_explicit(&v->newest, h->node_uid, memory_order_relaxed);
    if (h->entry)
        atomic_store_explicit(&v->entry, (uint64_t)NODE_LEVEL(vec_state(v, h->entry)) << 32 | h->entry,
                              memory_order_release);
    struct err why;
    return vec_verify(v, &why) < 0 ? BAD(l, "%s", why.msg) : 0;
}

int vec_load(struct vec_index **out, struct slice from, const char *path, struct err *err)
{
    struct loader l = {.p = from.p, .end = from.len ? from.p + from.len : from.p, .err = err};
    struct dump_head h;
    int rc = load_head(&l, &h, path);
    if (rc == 0)
        rc = load_all(&l, &h);
    if (rc == 0) {
        *out = l.v;
        return 0;
    }
    if (l.v && path)
        vec_drop_file(path, NULL);
    vec_unref(l.v);
    return rc;
}
