/* What can be said of an index: figures for its owner, scores for its readers. */
#include <inttypes.h>
#include <math.h>

#include "vec/columns.h"
#include "vec/hnsw.h"

uint64_t vec_count(const struct vec_index *v)
{
    return atomic_load_explicit(&v->count, memory_order_acquire);
}

uint32_t vec_dim(const struct vec_index *v)
{
    return v->h.dim;
}

enum vec_metric vec_metric(const struct vec_index *v)
{
    return v->h.metric;
}

uint64_t vec_lsn(const struct vec_index *v)
{
    return v->lsn_on_file;
}

double vec_score(const struct vec_index *v, float d)
{
    if (v->h.metric == VEC_L2)
        return sqrt((double)d);
    if (v->h.metric == VEC_IP)
        return -(double)d;
    double s = 1 - (double)d / 2;
    return s < 0 ? 0 : s > 1 ? 1 : s;
}

void vec_stats(const struct vec_index *v, struct vec_stats *s)
{
    uint64_t entry = atomic_load_explicit(&v->entry, memory_order_relaxed);
    *s = (struct vec_stats){
        .config = {.dim = v->h.dim,
                   .metric = v->h.metric,
                   .kind = v->h.kind,
                   .quant = v->h.quant,
                   .m = v->h.m,
                   .ef_construction = v->h.ef_construction,
                   .seed = v->h.seed,
                   .budget = v->h.budget},
        .count = vec_count(v),
        .with_attr = v->h.with_attr,
        .node_uid = v->h.node_uid,
        .deleted = v->h.free_count + (uint64_t)v->h.limbo_count,
        .max_level = entry          ? ENTRY_LEVEL(entry)
                     : vec_count(v) ? 0
                                    : -1,
        .memory = sizeof *v + space_memory(&v->space) + columns_bytes(v->columns),
        .columns = columns_count(v->columns),
        .column_bytes = columns_bytes(v->columns),
        .on_file = v->space.fd < 0 ? 0 : v->space.file_size,
        .dirty = (v->space.dirty_pages + v->space.frozen_pages) * SPACE_PAGE,
        .resident = space_resident(&v->space) + columns_bytes(v->columns),
        .reads = atomic_load_explicit(&v->reads, memory_order_relaxed),
        .lsn = v->lsn_on_file,
        .epoch = v->h.epoch,
    };
}

/* What an element takes that cannot be left on file may begin a page in every area. */
int vec_room(const struct vec_index *v, struct err *err)
{
    uint64_t need = space_resident(&v->space) - v->space.area[AREA_REST].noted + columns_bytes(v->columns);
    if (!v->h.free_head)
        need += v->space.area[AREA_ROWS].unit + (uint64_t)AREA_COUNT * SPACE_PAGE;
    if (!v->h.budget || need <= v->h.budget)
        return 0;
    return err_set(err, ERR_OOM,
                   "the codes and links of this vector set fill its BUDGET of %" PRIu64 " bytes: remove elements, or "
                   "make it again with a larger one",
                   v->h.budget);
}

void vec_trim(struct vec_index *v)
{
    if (v->h.budget)
        space_trim(&v->space);
}

#define DEGREE_SAMPLES 1000

double vec_mean_degree(const struct vec_index *v)
{
    uint32_t top = vec_top(v), step = top / DEGREE_SAMPLES + 1, cap;
    uint64_t nodes = 0, links = 0;
    for (uint32_t n = 1; n < top && v->h.kind == VEC_HNSW; n += step) {
        if (NODE_KIND(vec_state(v, n)) != NODE_LIVE)
            continue;
        _Atomic uint32_t *l = hnsw_links(v, n, 0, &cap);
        nodes++;
        for (uint32_t i = 0; l && i < cap && hnsw_target(v, &l[i]); i++)
            links++;
    }
    return nodes ? (double)links / (double)nodes : 0;
}

void vec_stats_full(const struct vec_index *v, struct vec_stats *s)
{
    vec_stats(v, s);
    for (uint32_t n = 1; n < vec_top(v); n++) {
        uint32_t state = vec_state(v, n), cap;
        int level = NODE_LEVEL(state);
        if (NODE_KIND(state) != NODE_LIVE || level >= VEC_MAX_LEVELS)
            continue;
        s->level_count[level]++;
        uint64_t before = s->links;
        for (int l = 0; l <= level; l++) {
            _Atomic uint32_t *links = hnsw_links(v, n, l, &cap);
            for (uint32_t i = 0; links && i < cap && hnsw_target(v, &links[i]); i++)
                s->links++;
        }
        s->alone += v->h.kind == VEC_HNSW && s->count > 1 && s->links == before;
    }
}
