/* Skald's index as an engine of the benchmark; see skald_engine.h. Compiled as the server is. */
#include "skald_engine.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "io/file.h"
#include "io/loop.h"
#include "simd/simd.h"
#include "vec/vec.h"

/* One line for each quantisation that vec_config offers. */
const struct skald_kind skald_kinds[] = {
    {"skald f32", VEC_QUANT_NONE},
    {"skald f16", VEC_QUANT_F16},
    {"skald q8", VEC_QUANT_Q8},
    {"skald bin", VEC_QUANT_BIN},
};
const int skald_kind_count = sizeof skald_kinds / sizeof *skald_kinds;

static void must(bool ok, const char *what, const struct err *err)
{
    if (ok)
        return;
    fprintf(stderr, "bench-vectors: skald: %s: %s\n", what, err->msg);
    exit(1);
}

void *skald_make(int quant, int dim, bool cosine, int m, int ef_construction)
{
    struct vec_config c = {.dim = (uint32_t)dim,
                           .metric = cosine ? VEC_COSINE : VEC_L2,
                           .quant = (enum vec_quant)quant,
                           .m = (uint32_t)m,
                           .ef_construction = (uint32_t)ef_construction,
                           .seed = 7};
    struct vec_index *v = NULL;
    struct err err = {0};
    must(vec_create(&v, &c, &err) == 0, "create", &err);
    return v;
}

static struct slice name_of(uint32_t id, char to[16])
{
    return slice_of(to, (size_t)snprintf(to, 16, "%u", id));
}

void skald_build(void *index, const float *base, uint32_t n, int dim)
{
    struct err err = {0};
    char name[16];
    for (uint32_t i = 0; i < n; i++)
        must(vec_add(index, name_of(i, name), base + (size_t)i * (size_t)dim, (uint32_t)dim, SLICE(""), &err) >= 0,
             "add", &err);
}

/* What two threads share: a chunk is prepared by the writer, planned by both, added by the writer. Elements of one
 * chunk do not see each other, so it is small. */
#define CHUNK 32
struct team {
    struct vec_addition *add[CHUNK];
    uint32_t count; /* 0: the end */
    atomic_uint next;
    pthread_barrier_t begin, end;
};

static void plan_chunk(struct team *t)
{
    for (uint32_t i; (i = atomic_fetch_add(&t->next, 1)) < t->count;)
        vec_plan(t->add[i]);
}

static void *second(void *arg)
{
    struct team *t = arg;
    for (;;) {
        pthread_barrier_wait(&t->begin);
        if (t->count == 0)
            return NULL;
        plan_chunk(t);
        pthread_barrier_wait(&t->end);
    }
}

static void add_chunk(struct team *t, struct vec_index *v, const float *base, uint32_t from, int dim)
{
    struct err err = {0};
    char name[16];
    for (uint32_t i = 0; i < t->count; i++)
        must(vec_prepare(&t->add[i], v, base + (size_t)(from + i) * (size_t)dim, (uint32_t)dim, &err) == 0, "prepare",
             &err);
    atomic_store(&t->next, 0);
    pthread_barrier_wait(&t->begin);
    plan_chunk(t);
    pthread_barrier_wait(&t->end);
    for (uint32_t i = 0; i < t->count; i++) {
        must(vec_commit(t->add[i], name_of(from + i, name), SLICE(""), &err) >= 0, "add", &err);
        vec_addition_destroy(t->add[i]);
    }
}

void skald_build_by_two(void *index, const float *base, uint32_t n, int dim)
{
    uint32_t from = 0;
    struct team t = {.count = 0};
    pthread_t helper;
    pthread_barrier_init(&t.begin, NULL, 2);
    pthread_barrier_init(&t.end, NULL, 2);
    pthread_create(&helper, NULL, second, &t);
    for (; from < n; from += t.count) {
        t.count = n - from < CHUNK ? n - from : CHUNK;
        add_chunk(&t, index, base, from, dim);
    }
    t.count = 0;
    pthread_barrier_wait(&t.begin);
    pthread_join(helper, NULL);
    pthread_barrier_destroy(&t.begin);
    pthread_barrier_destroy(&t.end);
}

static int32_t number(struct slice name)
{
    int32_t n = 0;
    for (size_t i = 0; i < name.len; i++)
        n = n * 10 + (name.p[i] - '0');
    return n;
}

int skald_search(void *index, const float *x, int dim, int k, int ef, int32_t *ids)
{
    struct vec_query q = {.x = x, .dim = (uint32_t)dim, .k = (uint32_t)k, .ef = (uint32_t)ef};
    struct vec_result r;
    struct err err = {0};
    must(vec_search(index, &q, &r, &err) == 0, "search", &err);
    int count = (int)r.count;
    for (int i = 0; i < count; i++)
        ids[i] = number(r.hits[i].name);
    vec_result_release(&r);
    return count;
}

uint64_t skald_says(void *index)
{
    struct vec_stats s;
    vec_stats(index, &s);
    return s.memory;
}

static void on_done(void *arg, int res)
{
    *(int *)arg = res;
}

static void checkpoint(struct vec_index *v)
{
    struct loop *loop = NULL;
    struct file_io *io = NULL;
    struct err err = {0};
    int res = 0;
    must(loop_create(&loop, &err) == 0, "loop", &err);
    must(file_io_create(&io, loop, FILE_AUTO, &err) == 0, "files", &err);
    must(vec_checkpoint(v, io, 1, on_done, &res, &err) == 0, "checkpoint", &err);
    while (vec_checkpointing(v))
        loop_turn_wait(loop);
    if (res != 0)
        snprintf(err.msg, sizeof err.msg, "writing failed (%d)", res);
    must(res == 0, "checkpoint", &err);
    file_io_destroy(io);
    loop_destroy(loop);
}

/* Through a dump, so that one built index serves for memory and file. */
void skald_save(void *index, const char *path)
{
    struct vec_index *copy = NULL;
    struct buf dump = {0};
    struct err err = {0};
    vec_drop_file(path, &err);
    snprintf(err.msg, sizeof err.msg, "too large");
    must(vec_save(index, &dump), "dump", &err);
    must(vec_load(&copy, buf_slice(&dump), path, &err) == 0, "load", &err);
    buf_release(&dump);
    checkpoint(copy);
    vec_unref(copy);
}

void *skald_open(const char *path)
{
    struct vec_index *v = NULL;
    struct err err = {0};
    must(vec_open(&v, path, &err) == 0, "open", &err);
    return v;
}

const char *skald_simd(void)
{
    return simd.name;
}
