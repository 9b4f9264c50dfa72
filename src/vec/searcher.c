/* The per-thread part of a search. */
#include "vec/searcher.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static inline bool above(const struct queue *q, struct cand x, struct cand y)
{
    return q->far_first ? cand_before(y, x) : cand_before(x, y);
}

static void sift_down(struct queue *q, uint32_t i, struct cand c)
{
    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child >= q->n)
            break;
        if (child + 1 < q->n && above(q, q->a[child + 1], q->a[child]))
            child++;
        if (!above(q, q->a[child], c))
            break;
        q->a[i] = q->a[child];
        i = child;
    }
    q->a[i] = c;
}

void queue_append(struct queue *q, struct cand c)
{
    if (q->n == q->cap) {
        q->cap = q->cap ? q->cap * 2 : 256;
        q->a = mem_realloc(q->a, q->cap * sizeof *q->a);
    }
    q->a[q->n++] = c;
}

void queue_push(struct queue *q, struct cand c)
{
    uint32_t i = q->n;
    queue_append(q, c);
    for (; i && above(q, c, q->a[(i - 1) / 2]); i = (i - 1) / 2)
        q->a[i] = q->a[(i - 1) / 2];
    q->a[i] = c;
}

struct cand queue_pop(struct queue *q)
{
    struct cand top = q->a[0], last = q->a[--q->n];
    if (q->n)
        sift_down(q, 0, last);
    return top;
}

void queue_keep(struct queue *q, struct cand c, uint32_t most)
{
    if (q->n < most)
        queue_push(q, c);
    else if (cand_before(c, q->a[0]))
        sift_down(q, 0, c);
}

void pool_clear(struct pool *p, uint32_t most)
{
    if (most > p->cap) {
        mem_free(p->a);
        p->a = mem_alloc(most * sizeof *p->a);
        p->cap = most;
    }
    p->n = 0;
}

static int nearer(const void *x, const void *y)
{
    const struct cand *a = x, *b = y;
    return cand_before(*a, *b) ? -1 : cand_before(*b, *a);
}

void queue_sort(struct queue *q)
{
    if (q->n)
        qsort(q->a, q->n, sizeof *q->a, nearer);
}

static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void destroy(void *arg)
{
    struct searcher *s = arg;
    mem_free(s->marks);
    mem_free(s->touched);
    mem_free(s->open.a);
    mem_free(s->best.a);
    mem_free(s->pool.a);
    mem_free(s->query);
    mem_free(s->rest);
    buf_release(&s->text);
    mem_free(s);
}

static void make_key(void)
{
    pthread_key_create(&key, destroy);
}

/* The main thread's searcher is not reached by the key's destructor, which runs for ending threads only. */
__attribute__((destructor)) static void destroy_last(void)
{
    pthread_once(&once, make_key);
    struct searcher *s = pthread_getspecific(key);
    if (s) {
        pthread_setspecific(key, NULL);
        destroy(s);
    }
}

struct searcher *searcher_get(uint32_t top)
{
    pthread_once(&once, make_key);
    struct searcher *s = pthread_getspecific(key);
    if (!s) {
        s = mem_zero(sizeof *s);
        s->best.far_first = true;
        pthread_setspecific(key, s);
    }
    uint32_t words = top / 64 + 1;
    if (words > s->marks_cap) {
        uint32_t cap = words + words / 2;
        mem_free(s->marks);
        mem_free(s->touched);
        s->marks = mem_zero((size_t)cap * 8);
        s->touched = mem_alloc((size_t)cap * 4);
        s->marks_cap = cap;
    }
    s->open.n = s->best.n = 0;
    s->touched_n = 0;
    s->distances = 0;
    s->failed = 0;
    s->cold = false;
    return s;
}

void *searcher_query(struct searcher *s, size_t bytes)
{
    if (bytes > s->query_cap) {
        s->query = mem_realloc(s->query, bytes);
        s->query_cap = bytes;
    }
    return s->query;
}

void *searcher_rest(struct searcher *s, size_t bytes)
{
    if (bytes > s->rest_cap) {
        mem_free(s->rest);
        s->rest = mem_alloc(bytes);
        s->rest_cap = bytes;
    }
    return s->rest;
}

void searcher_forget(struct searcher *s)
{
    for (uint32_t i = 0; i < s->touched_n; i++)
        s->marks[s->touched[i]] = 0;
    s->touched_n = 0;
}
