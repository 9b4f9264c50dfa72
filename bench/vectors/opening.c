/* How long it takes from a file to the first answer: vec_open and one search, with the file's pages in the system's
 * cache and without.
 *
 *     gcc -O2 -Isrc -D_GNU_SOURCE bench/vectors/opening.c build/libskald.a $(pkg-config --libs libuv liburing libcurl
 * libcjson \ libmicrohttpd libcrypto) -lm -lpthread -ljemalloc -o build/opening build/opening FILE [elements, 1000000]
 * [components, 128]
 *
 * The file is made when it is not there, the cheap way: clustered random vectors, Q8, M 8, ef_construction 16. What is
 * measured does not depend on how good its links are. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/rng.h"
#include "io/file.h"
#include "vec/vec.h"

#define CLUSTERS 1000

static uint32_t dim = 128;

static void vector(struct rng *r, const float *centres, float *x)
{
    const float *c = centres + (size_t)rng_below(r, CLUSTERS) * dim;
    for (uint32_t i = 0; i < dim; i++)
        x[i] = c[i] + (float)rng_double(r) * 0.5f;
}

static void on_done(void *arg, int res)
{
    if (res < 0)
        exit(1);
}

static float *make_centres(struct rng *r)
{
    float *c = malloc((size_t)CLUSTERS * dim * sizeof *c);
    for (size_t i = 0; i < (size_t)CLUSTERS * dim; i++)
        c[i] = (float)rng_double(r);
    return c;
}

static void build(const char *path, uint32_t n)
{
    struct vec_config c = {.dim = dim,
                           .metric = VEC_L2,
                           .quant = VEC_QUANT_Q8,
                           .m = 8,
                           .ef_construction = 16,
                           .seed = 1,
                           .budget = UINT64_C(1) << 40};
    struct vec_index *v;
    struct loop *loop;
    struct file_io *io;
    struct rng r;
    char name[16];
    float *x = malloc(dim * sizeof *x);
    rng_seed(&r, 1);
    float *centres = make_centres(&r);
    if (vec_create_file(&v, path, &c, NULL) || loop_create(&loop, NULL) || file_io_create(&io, loop, FILE_AUTO, NULL))
        exit(1);
    int64_t began = clock_mono_us();
    for (uint32_t i = 0; i < n; i++) {
        vector(&r, centres, x);
        if (vec_add(v, slice_of(name, (size_t)snprintf(name, sizeof name, "e%u", i)), x, dim, (struct slice){0}, NULL) <
            0)
            exit(1);
        if (i % 100000 == 0)
            fprintf(stderr, "%u of %u, %.0f s\n", i, n, (double)(clock_mono_us() - began) / 1e6);
    }
    if (vec_checkpoint(v, io, 1, on_done, NULL, NULL))
        exit(1);
    while (vec_checkpointing(v))
        loop_turn_wait(loop);
    vec_unref(v);
    free(x);
    free(centres);
}

/* All of the file into the system's cache, or out of it. */
static void cache(const char *path, bool in)
{
    static char room[1 << 20];
    int fd = open(path, O_RDONLY);
    fsync(fd);
    if (!in)
        posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    while (in && read(fd, room, sizeof room) > 0)
        ;
    close(fd);
}

static void measure(const char *path, bool cold, struct rng *r)
{
    struct vec_index *v;
    struct vec_result res;
    struct err err;
    float *x = malloc(dim * sizeof *x);
    for (uint32_t i = 0; i < dim; i++)
        x[i] = (float)rng_double(r);
    cache(path, !cold);
    int64_t began = clock_mono_us();
    if (vec_open(&v, path, &err) < 0) {
        fprintf(stderr, "%s\n", err.msg);
        exit(1);
    }
    int64_t opened = clock_mono_us();
    struct vec_query q = {.x = x, .dim = dim, .k = 10, .ef = 100};
    if (vec_search(v, &q, &res, &err) < 0)
        exit(1);
    int64_t answered = clock_mono_us();
    struct vec_stats st;
    vec_stats(v, &st);
    printf("%s: open %.2f ms, open and first answer %.2f ms (%llu distances, %u results, %llu reads; %llu elements, "
           "file %.0f MB)\n",
           cold ? "cold" : "warm", (double)(opened - began) / 1e3, (double)(answered - began) / 1e3,
           (unsigned long long)res.distances, res.count, (unsigned long long)st.reads, (unsigned long long)st.count,
           (double)st.on_file / 1e6);
    vec_result_release(&res);
    vec_unref(v);
    free(x);
}

int main(int argc, char **argv)
{
    uint32_t n = argc > 2 ? (uint32_t)atoi(argv[2]) : 1000000;
    struct rng r;
    if (argc < 2)
        return 2;
    dim = argc > 3 ? (uint32_t)atoi(argv[3]) : 128;
    if (access(argv[1], F_OK) < 0)
        build(argv[1], n);
    rng_seed(&r, 99);
    for (int i = 0; i < 10; i++)
        measure(argv[1], i % 2 == 0, &r);
    return 0;
}
