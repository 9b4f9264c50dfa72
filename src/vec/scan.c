/* Node numbers in their order, 64 at a time: the columns rule out most of those that do not match, and the rows of the
 * others are on the way to the cache before the first is looked at. */
#include "vec/scan.h"

#include "base/mem.h"
#include "vec/bin.h"
#include "vec/rest.h"

#define SOME       256
#define ROW_AHEAD  256  /* bytes of a row asked for */
#define FILE_AHEAD 1024 /* rows whose pages are asked for, where the index is on a file */

/* Candidates whose vectors are read together. */
struct some {
    uint32_t n;
    struct cand at[SOME];
};

static void keep_some(const struct vec_index *v, struct searcher *s, const struct vec_query *q, const struct probe *p,
                      struct some *some)
{
    if (rest_judge(v, s, p, some->at, some->n))
        for (uint32_t i = 0; i < some->n; i++)
            queue_keep(&s->best, some->at[i], q->k);
    some->n = 0;
}

static void rank(const struct vec_index *v, struct searcher *s, const struct vec_query *q, const struct probe *p,
                 uint32_t n, struct some *some)
{
    if (rest_is_read(v))
        some->at[some->n++] = (struct cand){0, n};
    else
        queue_keep(&s->best, (struct cand){code_exact(v, p, n), n}, q->k);
    if (some->n == SOME)
        keep_some(v, s, q, p, some);
}

/* Where there are bits, only those are compared that they do not rule out. */
static void compare(const struct vec_index *v, struct searcher *s, const struct vec_query *q, const struct probe *p,
                    uint32_t n, struct some *some)
{
    s->distances++;
    if (p->bits && !q->exact && s->best.n == q->k && bin_excludes(v, p->bits, n, s->best.a[0].d))
        return;
    rank(v, s, q, p, n, some);
}

/* The 64 that begin with `first`, without 0 and what lies beyond the top. */
static uint64_t candidates(const struct matcher *m, uint32_t first, uint32_t top)
{
    uint64_t may = m ? matcher_block(m, first) : UINT64_MAX;
    if (top - first < 64)
        may &= (UINT64_C(1) << (top - first)) - 1;
    return first ? may : may & ~UINT64_C(1);
}

static void fetch(const struct vec_index *v, uint32_t first, uint64_t may)
{
    uint32_t bytes = v->code_bytes + (uint32_t)sizeof(struct row);
    bytes = bytes < ROW_AHEAD ? bytes : ROW_AHEAD;
    for (; may; may &= may - 1) {
        const char *row = (const char *)vec_row(v, first + (uint32_t)__builtin_ctzll(may));
        for (uint32_t at = 0; at < bytes; at += 64)
            __builtin_prefetch(row + at);
    }
}

/* FLAT with bits: 32 at a time, and only what the bits do not rule out is looked at further. */
static void scan_blocks(const struct vec_index *v, struct searcher *s, const struct vec_query *q, const struct probe *p,
                        const struct matcher *m, struct some *some)
{
    uint8_t *tables = mem_alloc((size_t)v->rabitq.words * 256);
    uint32_t top = vec_top(v);
    rabitq_tables(&v->rabitq, p->bits, tables);
    for (uint32_t first = 0; first < top && !s->failed && !(first % 4096 == 0 && scan_cancelled(q)); first += 32) {
        float far = s->best.n == q->k ? s->best.a[0].d : FLT_MAX;
        uint32_t left = bin_scan(v, p->bits, tables, first / 32, far);
        s->distances += 32;
        for (; left; left &= left - 1) {
            uint32_t n = first + (uint32_t)__builtin_ctz(left);
            if (n && n < top && vec_alive(v, n) && (!m || matcher_test(m, n, &s->text)))
                rank(v, s, q, p, n, some);
        }
    }
    mem_free(tables);
}

/* The words that did not rule a node out may be those of one that had the number before: they are read again when the
 * node is known to be alive. */
void scan(const struct vec_index *v, struct searcher *s, const struct vec_query *q, const struct probe *p,
          const struct matcher *m)
{
    uint32_t top = vec_top(v);
    struct some some;
    some.n = 0;
    s->best.n = 0;
    bool blocks = p->bits && bin_in_blocks(v) && !q->exact;
    if (blocks)
        scan_blocks(v, s, q, p, m, &some);
    for (uint32_t first = blocks ? top : 0; first < top && !s->failed; first += 64) {
        if (first % 4096 == 0 && scan_cancelled(q))
            return;
        if (!m && first % FILE_AHEAD == 0)
            space_fetch_many(&v->space, AREA_ROWS, first, 2 * FILE_AHEAD);
        uint64_t may = candidates(m, first, top);
        if (may != UINT64_MAX)
            fetch(v, first, may);
        for (; may; may &= may - 1) {
            uint32_t n = first + (uint32_t)__builtin_ctzll(may);
            if (vec_alive(v, n) && (!m || matcher_test(m, n, &s->text)))
                compare(v, s, q, p, n, &some);
        }
    }
    keep_some(v, s, q, p, &some);
    queue_sort(&s->best);
}
