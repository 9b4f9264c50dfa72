/* An index file with anything in it. The first byte chooses: a dump for vec_load, or a file; a file is either the input
 * itself or a good one with the input's patches (offset u24, value u32) laid over it and its headers sealed again, so
 * that the fuzzer gets past the checksum. Whatever opens is then used. */
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/hash.h"
#include "io/file.h"
#include "vec/checkpoint.h"

#define DIM 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char path[64];
static struct buf good_file, good_dump;

static void use(struct vec_index *v)
{
    float x[DIM] = {1, -2, 3, 0.5f};
    char name[8];
    struct err err;
    struct slice n, a;
    struct vec_stats s;
    for (int i = 0; i < 12; i++) {
        struct vec_query q = {.x = x, .dim = vec_dim(v), .k = 8, .exact = i % 3 == 0, .with_attr = true};
        struct vec_result r;
        if (vec_dim(v) == DIM && vec_search(v, &q, &r, &err) == 0)
            vec_result_release(&r);
        x[i % DIM] += 1;
        struct slice e = slice_of(name, (size_t)snprintf(name, sizeof name, "e%d", i * 5));
        if (vec_dim(v) == DIM)
            vec_add(v, e, x, DIM, SLICE("{\"n\":1}"), &err);
        vec_remove(v, slice_of(name, (size_t)snprintf(name, sizeof name, "e%d", i * 7)));
        vec_random(v, &n);
    }
    for (uint32_t c = 0; vec_next(v, &c, &n, &a);)
        ;
    vec_stats_full(v, &s);
    vec_verify(v, &err);
    struct buf b = {0};
    vec_save(v, &b);
    buf_release(&b);
}

static void spill(const char *p, const char *bytes, size_t n)
{
    int fd = open(p, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || file_write_all(fd, bytes, n, NULL) < 0)
        abort();
    close(fd);
}

static bool finished;
static void on_done(void *arg, int res)
{
    finished = true;
}

static void clean_up(void)
{
    vec_drop_file(path, NULL);
}

/* A good file of about 100 elements to start from. */
static void prepare(void)
{
    struct loop *l = NULL;
    struct file_io *io = NULL;
    struct vec_index *v = NULL;
    struct rng r;
    snprintf(path, sizeof path, "/tmp/skald-fuzz-vec-%d", (int)getpid());
    struct vec_config c = {.dim = DIM, .m = 4, .metric = VEC_L2, .quant = VEC_QUANT_Q8, .seed = 1, .ef_construction = 20};
    if (loop_create(&l, NULL) || file_io_create(&io, l, FILE_THREAD, NULL) || vec_create_file(&v, path, &c, NULL))
        abort();
    rng_seed(&r, 1);
    for (int i = 0; i < 150; i++) {
        char name[8];
        float x[DIM];
        for (int d = 0; d < DIM; d++)
            x[d] = (float)rng_double(&r);
        int n = snprintf(name, sizeof name, "e%d", (int)rng_below(&r, 140));
        vec_add(v, slice_of(name, (size_t)n), x, DIM, SLICE("{\"n\":1}"), NULL);
        if (i % 6 == 0)
            vec_remove(v, slice_of(name, (size_t)n));
    }
    vec_save(v, &good_dump);
    if (vec_checkpoint(v, io, 1, on_done, NULL, NULL))
        abort();
    while (!finished)
        loop_turn_wait(l);
    vec_unref(v);
    int fd = open(path, O_RDONLY);
    off_t n = lseek(fd, 0, SEEK_END);
    if (pread(fd, buf_room(&good_file, (size_t)n), (size_t)n, 0) != n)
        abort();
    buf_grow(&good_file, (size_t)n);
    close(fd);
    file_io_destroy(io);
    while (loop_turn(l))
        ;
    loop_destroy(l);
    atexit(clean_up);
}

static void patch(struct buf *b, const uint8_t *p, size_t n)
{
    for (; n >= 7; p += 7, n -= 7) {
        size_t at = ((size_t)p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16) % (b->len - 3);
        memcpy(b->p + at, p + 3, 4);
    }
}

static void try_file(const struct buf *b)
{
    struct vec_index *v = NULL;
    struct err err;
    spill(path, b->p, b->len);
    if (vec_open(&v, path, &err) == 0)
        use(v);
    vec_unref(v);
}

static void try_dump(struct slice s)
{
    struct vec_index *v = NULL;
    struct err err;
    if (vec_load(&v, s, NULL, &err) == 0)
        use(v);
    vec_unref(v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!good_file.len)
        prepare();
    if (!size)
        return 0;
    struct buf b = {0};
    if (data[0] % 4 < 2) { /* as it is */
        buf_add(&b, data + 1, size - 1);
        if (data[0] % 4 == 0)
            try_dump(buf_slice(&b));
        else
            try_file(&b);
    } else if (data[0] % 4 == 2) {
        buf_add(&b, good_dump.p, good_dump.len);
        patch(&b, data + 1, size - 1);
        uint32_t crc = crc32c(0, b.p, b.len - 4);
        memcpy(b.p + b.len - 4, &crc, 4);
        try_dump(buf_slice(&b));
    } else {
        buf_add(&b, good_file.p, good_file.len);
        patch(&b, data + 1, size - 1);
        for (int i = 0; i < 2; i++) {
            struct vec_header *h = (struct vec_header *)(void *)(b.p + i * SPACE_PAGE);
            h->crc = crc32c(0, h, offsetof(struct vec_header, crc));
        }
        try_file(&b);
    }
    buf_release(&b);
    return 0;
}
