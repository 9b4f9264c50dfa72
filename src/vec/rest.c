/* Reading what candidates have in AREA_REST. */
#include "vec/rest.h"

#include "base/log.h"
#include "base/mem.h"
#include "io/read_batch.h"

#define GROUP_MOST  256       /* candidates read together */
#define GROUP_BYTES (4 << 20) /* or fewer, when their vectors are large */

static atomic_int reads_how = VEC_READS_BUFFERED;

void vec_reads(enum vec_reads how)
{
    atomic_store(&reads_how, (int)how);
}

void rest_open(struct vec_index *v)
{
    int how = atomic_load(&reads_how);
    if (!v->h.budget || !v->rest_bytes || how == VEC_READS_MAPPED)
        return;
    v->read_fd = read_batch_open(v->path, how == VEC_READS_DIRECT);
    if (v->read_fd < 0)
        log_warning("the vector index file %s cannot be opened a second time (%s); it is mapped", v->path,
                    strerror(-v->read_fd));
}

static uint32_t group_size(const struct vec_index *v)
{
    uint32_t n = GROUP_BYTES / (v->rest_bytes + 1);
    return n < 1 ? 1 : n > GROUP_MOST ? GROUP_MOST : n;
}

static bool on_file(const struct vec_index *v, uint32_t node, uint64_t *off)
{
    return (vec_row(v, node)->flags & ROW_REST) && space_on_file(&v->space.area[AREA_REST], node, off);
}

/* Reads come first, and while they are under way what is in memory is judged. */
static void judge_group(const struct vec_index *v, struct searcher *s, const struct probe *p, struct cand *c,
                        uint32_t n)
{
    struct read_batch *b = read_batch_mine();
    char *room = searcher_rest(s, (size_t)group_size(v) * v->rest_bytes);
    bool wanted[GROUP_MOST];
    struct read_end end;
    uint64_t off, before = read_batch_windows(b);
    for (uint32_t i = 0; i < n; i++) {
        wanted[i] = on_file(v, c[i].node, &off);
        if (wanted[i])
            read_batch_add(b, v->read_fd, off, room + (size_t)i * v->rest_bytes, v->rest_bytes, i);
    }
    read_batch_submit(b);
    for (uint32_t i = 0; i < n; i++)
        if (!wanted[i])
            c[i].d = code_exact(v, p, c[i].node);
    while (read_batch_next(b, &end)) {
        struct cand *one = &c[end.tag];
        one->d = end.res < 0 ? FLT_MAX : code_exact_with(v, p, one->node, room + end.tag * v->rest_bytes);
        s->failed = s->failed ? s->failed : end.res;
    }
    atomic_fetch_add_explicit(&((struct vec_index *)v)->reads, read_batch_windows(b) - before, memory_order_relaxed);
}

bool rest_judge(const struct vec_index *v, struct searcher *s, const struct probe *p, struct cand *c, uint32_t n)
{
    uint32_t group = group_size(v);
    for (uint32_t i = 0; i < n && !s->failed; i += group)
        judge_group(v, s, p, c + i, n - i < group ? n - i : group);
    return !s->failed;
}
