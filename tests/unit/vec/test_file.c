/* An index on a file: reopening, checkpoints, and crashes at every step of one. A crash is played by putting together
 * what the disk may hold at that moment from the files before and after. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/hash.h"
#include "io/file.h"
#include "vec/checkpoint.h"
#include "naive.h"

static char dir[] = "/tmp/skald-vec-XXXXXX";
static char path[64], dw_path[64];

static struct loop *loop;
static struct file_io *io;

static int last_res = 1;
static void on_done(void *arg, int res)
{
    last_res = res;
    ++*(int *)arg;
}

static void checkpoint(struct vec_index *v, uint64_t lsn)
{
    struct err err = {0};
    int calls = 0;
    assert_int_equal(vec_checkpoint(v, io, lsn, on_done, &calls, &err), 0);
    assert_true(vec_checkpointing(v));
    assert_int_equal(vec_checkpoint(v, io, lsn, on_done, &calls, &err), ERR_STATE);
    while (vec_checkpointing(v))
        loop_turn_wait(loop);
    assert_int_equal(calls, 1);
    assert_int_equal(last_res, 0);
    assert_int_equal(vec_lsn(v), lsn);
}

static struct buf dump(const struct vec_index *v)
{
    struct buf b = {0};
    struct err err = {0};
    if (vec_verify(v, &err) != 0)
        fail_msg("%s", err.msg);
    assert_true(vec_save(v, &b));
    return b;
}

static struct buf slurp(const char *p)
{
    struct buf b = {0};
    struct stat st;
    int fd = open(p, O_RDONLY);
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    char *room = buf_room(&b, (size_t)st.st_size + 1);
    assert_int_equal(read(fd, room, (size_t)st.st_size), st.st_size);
    buf_grow(&b, (size_t)st.st_size);
    close(fd);
    return b;
}

static void spill(const char *p, const char *bytes, size_t n)
{
    int fd = open(p, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(file_write_all(fd, bytes, n, NULL), 0);
    close(fd);
}

static void change(struct vec_index *v, struct rng *r, uint32_t slots, int ops)
{
    char t[16], attr[32];
    float x[24];
    for (int i = 0; i < ops; i++) {
        uint32_t e = (uint32_t)rng_below(r, slots);
        struct slice name = naive_name(e, t);
        if (rng_below(r, 4) == 0) {
            vec_remove(v, name);
            continue;
        }
        random_vector(r, x, vec_dim(v));
        snprintf(attr, sizeof attr, "{\"n\":%u}", e);
        assert_true(vec_add(v, name, x, vec_dim(v), rng_below(r, 2) ? slice_str(attr) : (struct slice){0}, NULL) >= 0);
    }
}

static struct vec_index *reopen(struct vec_index *v)
{
    struct err err = {0};
    vec_unref(v);
    if (vec_open(&v, path, &err) != 0)
        fail_msg("%s", err.msg);
    return v;
}

static struct vec_index *make(uint32_t dim, enum vec_metric metric, enum vec_kind kind)
{
    struct err err = {0};
    struct vec_index *v = NULL;
    struct vec_config c = {
        .dim = dim, .metric = metric, .kind = kind, .seed = 5, .m = 8, .ef_construction = 60, .quant = naive_quant};
    if (naive_quant == VEC_QUANT_BIN)
        c.budget = 1 << 30; /* vectors are read from the file */
    if (vec_create_file(&v, path, &c, &err) != 0)
        fail_msg("%s", err.msg);
    return v;
}

static void drop(struct vec_index *v)
{
    vec_unref(v);
    assert_int_equal(vec_drop_file(path, NULL), 0);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(access(dw_path, F_OK), -1);
}

static void reopened_is_equal(void **state)
{
    struct rng r;
    rng_seed(&r, 1);
    for (int kind = VEC_HNSW; kind <= VEC_FLAT; kind++) {
        struct vec_index *v = make(24, kind ? VEC_L2 : VEC_COSINE, (enum vec_kind)kind);
        struct err err = {0};
        struct vec_config c = {.dim = 2};
        struct vec_index *other = NULL;
        assert_int_equal(vec_create_file(&other, path, &c, &err), ERR_BUSYKEY);
        assert_int_equal(vec_open(&other, path, &err), ERR_IO); /* in use */
        v = reopen(v);                                          /* a new file is a valid empty one */
        assert_int_equal(vec_count(v), 0);
        for (uint64_t round = 1; round <= 5; round++) {
            if (naive_quant == VEC_QUANT_BIN) /* enough for bits */
                change(v, &r, 2500, 900);
            change(v, &r, 900, 600);
            struct buf before = dump(v);
            checkpoint(v, round * 10);
            change(v, &r, 900, 300); /* after the checkpoint: gone with the process */
            v = reopen(v);
            struct buf after = dump(v);
            assert_true(slice_eq(buf_slice(&before), buf_slice(&after)));
            assert_int_equal(vec_lsn(v), round * 10);
            struct vec_stats s;
            vec_stats(v, &s);
            assert_int_equal(s.epoch, round);
            assert_int_equal(s.dirty, 0);
            buf_release(&before);
            buf_release(&after);
        }
        drop(v);
    }
}

/* Changes made while the checkpoint is written belong to the next one. */
static void writing_goes_on_meanwhile(void **state)
{
    struct rng r;
    rng_seed(&r, 2);
    struct vec_index *v = make(24, VEC_L2, VEC_HNSW);
    for (int round = 1; round <= 6; round++) {
        change(v, &r, 1500, 700);
        struct buf before = dump(v);
        int calls = 0;
        assert_int_equal(vec_checkpoint(v, io, (uint64_t)round, on_done, &calls, NULL), 0);
        while (vec_checkpointing(v)) {
            change(v, &r, 1500, 20);
            loop_turn(loop);
        }
        assert_int_equal(last_res, 0);
        struct buf latest = dump(v);
        if (round == 6) {
            checkpoint(v, 7);
            v = reopen(v);
            struct buf b = dump(v);
            assert_true(slice_eq(buf_slice(&latest), buf_slice(&b)));
            buf_release(&b);
        } else {
            v = reopen(v);
            struct buf b = dump(v);
            assert_true(slice_eq(buf_slice(&before), buf_slice(&b)));
            buf_release(&b);
        }
        buf_release(&before);
        buf_release(&latest);
    }
    drop(v);
}

/* What FORGET wiped is written again: the double-write area as it was when it was whole. */
static void restore_dw(struct buf *d, uint64_t uid, uint64_t epoch)
{
    uint64_t count = (d->len - SPACE_PAGE) / (SPACE_PAGE + sizeof(struct dw_entry));
    assert_int_equal(DW_PAGE(count) + count * sizeof(struct dw_entry), d->len);
    struct dw_header h = {.magic = DW_MAGIC,
                          .version = VEC_VERSION,
                          .byte_order = VEC_BYTE_ORDER,
                          .uid = uid,
                          .epoch = epoch,
                          .count = count};
    h.list_crc = crc32c(0, d->p + DW_PAGE(count), count * sizeof(struct dw_entry));
    h.crc = crc32c(0, &h, offsetof(struct dw_header, crc));
    memcpy(d->p, &h, sizeof h);
}

static void opens_as(const char *what, const struct buf *f, const char *d, size_t d_len, const struct buf *want,
                     uint64_t lsn)
{
    struct err err = {0};
    struct vec_index *v = NULL;
    spill(path, f->p, f->len);
    spill(dw_path, d, d_len);
    if (vec_open(&v, path, &err) != 0)
        fail_msg("%s: %s", what, err.msg);
    struct buf got = dump(v);
    if (!slice_eq(buf_slice(&got), buf_slice(want)) || vec_lsn(v) != lsn)
        fail_msg("%s: not the right checkpoint", what);
    buf_release(&got);
    vec_unref(v);
}

static void crash_at_every_step(void **state)
{
    struct rng r;
    rng_seed(&r, 3);
    struct vec_index *v = make(24, VEC_COSINE, VEC_HNSW);
    change(v, &r, 500, 500);
    checkpoint(v, 10);
    struct buf f0 = slurp(path), s0 = dump(v);
    change(v, &r, 500, 150);
    struct buf s1 = dump(v);
    assert_int_equal(truncate(dw_path, 0), 0);
    checkpoint(v, 20);
    struct buf f1 = slurp(path), d1 = slurp(dw_path);
    change(v, &r, 500, 100);
    struct buf s2 = dump(v);
    checkpoint(v, 30);
    struct buf f2 = slurp(path);
    vec_unref(v);
    const struct vec_header *h1 = (const struct vec_header *)(const void *)f1.p;
    restore_dw(&d1, h1->uid, 2);
    struct buf grown = {0}; /* the file has grown before anything was written to it */
    buf_add(&grown, f0.p, f0.len);
    memset(buf_room(&grown, f1.len - f0.len + 1), 0, f1.len - f0.len);
    buf_grow(&grown, f1.len - f0.len);

    /* COPY and COMMIT: any part of the double-write area, in any state, over the old file */
    opens_as("no area", &f0, "", 0, &s0, 10);
    opens_as("no area, grown", &grown, "", 0, &s0, 10);
    for (size_t n = 0; n < d1.len; n += n % SPACE_PAGE ? 1 + rng_below(&r, 3 * SPACE_PAGE) : 17)
        opens_as("part of the area", &grown, d1.p, n, &s0, 10);
    opens_as("last byte missing", &grown, d1.p, d1.len - 1, &s0, 10);
    for (int i = 0; i < 60; i++) {
        size_t at = i == 0 ? 41 : i == 1 ? d1.len - 1 : i == 2 ? SPACE_PAGE - 1 : rng_below(&r, d1.len);
        if (at > sizeof(struct dw_header) - 4053 && at < SPACE_PAGE - 4)
            at = 20;
        d1.p[at] ^= 4;
        opens_as("a bit wrong in the area", &grown, d1.p, d1.len, &s0, 10);
        d1.p[at] ^= 4;
    }
    /* PLACE and HEADER: any mixture of old and new pages, torn ones too, under a whole area */
    for (int i = 0; i < 60; i++) {
        struct buf mix = {0};
        buf_add(&mix, grown.p, grown.len);
        for (size_t p = 0; p < f1.len; p += SPACE_PAGE) {
            size_t n = rng_below(&r, 3) * SPACE_PAGE / 2;
            memcpy(mix.p + p, f1.p + p, i == 0 ? 0 : i == 1 ? SPACE_PAGE : n);
        }
        opens_as("pages half in place", &mix, d1.p, d1.len, &s1, 20);
        buf_release(&mix);
    }
    /* FORGET, and an area that outlived its time */
    opens_as("all in place", &f1, d1.p, d1.len, &s1, 20);
    memset(d1.p, 0, SPACE_PAGE);
    opens_as("forgotten", &f1, d1.p, d1.len, &s1, 20);
    restore_dw(&d1, h1->uid, 2);
    opens_as("an old area", &f2, d1.p, d1.len, &s2, 30);
    restore_dw(&d1, h1->uid + 1, 9);
    opens_as("the area of another index", &f2, d1.p, d1.len, &s2, 30);
    struct buf *all[] = {&f0, &s0, &s1, &f1, &d1, &s2, &f2, &grown};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        buf_release(all[i]);
    assert_int_equal(vec_drop_file(path, NULL), 0);
}

/* The bytes of a double-write area at which something begins or ends: fields of its head, pages, entries of its list;
 * and one before and after each. */
static size_t interesting(const struct buf *d, size_t *at)
{
    size_t pages = (d->len - SPACE_PAGE) / (SPACE_PAGE + sizeof(struct dw_entry)), n = 0;
    size_t fields[] = {0, 8, 12, 16, 24, 32, 40, 44, SPACE_PAGE - 4};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        at[n++] = fields[i];
    for (size_t i = 0; i <= pages; i++)
        for (size_t k = 0; k < 3; k++)
            at[n++] = DW_PAGE(i) + k - 1;
    for (size_t i = 1; i < pages; i++) {
        at[n++] = DW_PAGE(pages) + i * sizeof(struct dw_entry);
        at[n++] = DW_PAGE(pages) + i * sizeof(struct dw_entry) + 8;
    }
    at[n++] = d->len - 1;
    return n;
}

/* The file is `f` under the first n bytes of an area; searches, which read vectors from it, must find them too. */
static void opens_and_answers(const char *what, const struct buf *f, const struct buf *d, size_t n,
                              struct vec_index *want, uint64_t lsn)
{
    struct err err = {0};
    struct vec_index *v = NULL;
    struct rng r;
    float x[24];
    spill(path, f->p, f->len);
    spill(dw_path, d->p, n);
    if (vec_open(&v, path, &err) != 0)
        fail_msg("%s, %zu bytes: %s", what, n, err.msg);
    assert_int_equal(vec_lsn(v), lsn);
    assert_int_equal(vec_count(v), vec_count(want));
    rng_seed(&r, 1);
    for (int i = 0; i < 3; i++) {
        struct vec_result a, b;
        random_vector(&r, x, 24);
        struct vec_query q = {.x = x, .dim = 24, .k = 20, .exact = i == 0};
        assert_int_equal(vec_search(v, &q, &a, &err), 0);
        assert_int_equal(vec_search(want, &q, &b, NULL), 0);
        assert_int_equal(a.count, b.count);
        for (uint32_t k = 0; k < a.count; k++)
            if (!slice_eq(a.hits[k].name, b.hits[k].name) || a.hits[k].score != b.hits[k].score)
                fail_msg("%s, %zu bytes: other answers", what, n);
        vec_result_release(&a);
        vec_result_release(&b);
    }
    struct vec_stats st;
    vec_stats(v, &st);
    assert_true((st.reads > 0) == (st.config.budget > 0));
    vec_unref(v);
}

/* An index in memory with what a dump says. */
static struct vec_index *from_dump(const struct buf *b)
{
    struct vec_index *v = NULL;
    struct err err = {0};
    if (vec_load(&v, buf_slice(b), NULL, &err) != 0)
        fail_msg("%s", err.msg);
    return v;
}

/* The area cut, and a bit of it turned, at every interesting byte, over the old file: the old state. The file torn at
 * every page, old bytes behind new ones and new behind old, under the whole area: the new one. */
static void torn_at_every_byte_that_counts(void **state)
{
    struct rng r;
    rng_seed(&r, 12);
    struct vec_index *v = make(24, VEC_L2, VEC_HNSW);
    change(v, &r, 1600, 1800);
    checkpoint(v, 10);
    struct buf f0 = slurp(path), s0 = dump(v);
    change(v, &r, 1600, LIGHTER(40));
    struct buf s1 = dump(v);
    assert_int_equal(truncate(dw_path, 0), 0);
    checkpoint(v, 20);
    struct buf f1 = slurp(path), d1 = slurp(dw_path);
    vec_unref(v);
    restore_dw(&d1, ((const struct vec_header *)(const void *)f1.p)->uid, 2);
    assert_int_equal(f0.len, f1.len);
    struct vec_index *old = from_dump(&s0), *new = from_dump(&s1);
    size_t *at = mem_alloc((d1.len / 256 + 64) * sizeof *at), n = interesting(&d1, at);
    for (size_t i = 0; i < n; i++) {
        opens_and_answers("cut", &f0, &d1, at[i], old, 10);
        d1.p[at[i]] ^= 0x10;
        opens_and_answers("a bit turned", &f0, &d1, d1.len, old, 10);
        d1.p[at[i]] ^= 0x10;
    }
    opens_and_answers("whole", &f0, &d1, d1.len, new, 20);
    for (size_t p = 0; p <= f1.len; p += SPACE_PAGE * (p < 4 * SPACE_PAGE ? 1 : 1 + rng_below(&r, 24)))
        for (int how = 0; how < 2; how++) {
            struct buf mix = {0};
            buf_add(&mix, how ? f0.p : f1.p, p);
            buf_add(&mix, (how ? f1.p : f0.p) + p, f1.len - p);
            if (p > 100 && p < f1.len) /* and inside a page */
                memcpy(mix.p + p - 100, how ? f1.p + p - 100 : f0.p + p - 100, 200);
            opens_and_answers(how ? "old, then new" : "new, then old", &mix, &d1, d1.len, new, 20);
            buf_release(&mix);
        }
    opens_and_answers("all in place", &f1, &d1, 0, new, 20);
    mem_free(at);
    vec_unref(old);
    vec_unref(new);
    struct buf *all[] = {&f0, &s0, &s1, &f1, &d1};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        buf_release(all[i]);
    assert_int_equal(vec_drop_file(path, NULL), 0);
}

static void refused(const struct buf *f, const char *why)
{
    struct err err = {0};
    struct vec_index *v = NULL;
    spill(path, f->p, f->len);
    spill(dw_path, "", 0);
    assert_int_equal(vec_open(&v, path, &err), ERR_IO);
    if (!strstr(err.msg, why))
        fail_msg("%s does not say: %s", err.msg, why);
}

static void seal(struct buf *f)
{
    for (int i = 0; i < 2; i++) {
        struct vec_header *h = (struct vec_header *)(void *)(f->p + i * SPACE_PAGE);
        h->crc = crc32c(0, h, offsetof(struct vec_header, crc));
    }
}

/* Uses a damaged index in every way. It may answer nonsense or say that it is damaged; it may not fall over. */
static void exercise(struct vec_index *v, struct rng *r)
{
    float x[24];
    char t[16];
    struct slice name, attr;
    struct vec_stats s;
    struct err err;
    for (int i = 0; i < 40; i++) {
        random_vector(r, x, 24);
        struct vec_query q = {.x = x, .dim = 24, .k = 20, .exact = i & 1, .with_attr = true};
        struct vec_result res;
        vec_search(v, &q, &res, &err);
        vec_result_release(&res);
        vec_add(v, naive_name((uint32_t)rng_below(r, 500), t), x, 24, SLICE("{\"n\":7}"), &err);
        vec_remove(v, naive_name((uint32_t)rng_below(r, 500), t));
        vec_set_attr(v, naive_name((uint32_t)rng_below(r, 500), t), SLICE("{}"), &err);
        vec_random(v, &name);
    }
    for (uint32_t c = 0; vec_next(v, &c, &name, &attr);)
        ;
    vec_stats_full(v, &s);
    vec_verify(v, &err);
}

/* Whatever the units of the upper levels say their level is, the way in has one that can be walked. */
static void damaged_levels_are_no_way_in(void **state)
{
    struct rng r;
    rng_seed(&r, 12);
    struct vec_index *v = make(24, VEC_L2, VEC_HNSW);
    change(v, &r, 1500, 2200);
    uint64_t units = v->space.area[AREA_UPPER].d.used;
    assert_true(units > 10);
    for (uint64_t u = 1; u < units; u++)
        vec_upper(v, (uint32_t)u)->level = UINT32_MAX - 3;
    for (uint32_t e = 0; e < 1500; e++) {
        char t[16];
        vec_remove(v, naive_name(e, t));
        assert_true(ENTRY_LEVEL(atomic_load(&v->entry)) >= 0 && ENTRY_LEVEL(atomic_load(&v->entry)) < VEC_MAX_LEVELS);
    }
    drop(v);
}

static void damage_is_refused_or_survived(void **state)
{
    struct rng r;
    rng_seed(&r, 4);
    struct vec_index *v = make(24, VEC_L2, VEC_HNSW);
    change(v, &r, 1500, 2200);
    checkpoint(v, 1);
    checkpoint(v, 2);
    vec_unref(v);
    struct buf f = slurp(path), g = {0};
    struct vec_header *h = (struct vec_header *)(void *)f.p;
    buf_add(&g, f.p, f.len / 2);
    refused(&g, "shorter than its header says");
    g.len = 100;
    refused(&g, "not a vector index");
    buf_clear(&g);
    buf_add(&g, f.p, f.len);
    memset(g.p + 100, 7, 8);
    memset(g.p + SPACE_PAGE + 100, 7, 8);
    refused(&g, "its headers are damaged");
    for (int i = 0; i < 2; i++)
        ((struct vec_header *)(void *)(f.p + i * SPACE_PAGE))->version = 9;
    seal(&f);
    refused(&f, "format version 9");
    for (int i = 0; i < 2; i++)
        ((struct vec_header *)(void *)(f.p + i * SPACE_PAGE))->version = VEC_VERSION;
    seal(&f);
    uint64_t used = h->area[AREA_ROWS].used;
    h->area[AREA_ROWS].used = h->area[AREA_META].used = used * 1000;
    seal(&f);
    refused(&f, "");
    h->area[AREA_ROWS].used = h->area[AREA_META].used = used;
    /* anything at all in the pages */
    int opened = 0;
    for (int i = 0; i < LIGHTER(150); i++) {
        buf_clear(&g);
        buf_add(&g, f.p, f.len);
        for (uint64_t n = 1 + rng_below(&r, 200); n; n--) {
            size_t at = rng_below(&r, g.len - 4) & ~(size_t)3;
            uint32_t junk = rng_below(&r, 2) ? (uint32_t)rng_next(&r) : (uint32_t)rng_below(&r, 3000);
            memcpy(g.p + at, &junk, 4);
        }
        seal(&g); /* the headers' own numbers too, with a checksum that vouches for them */
        spill(path, g.p, g.len);
        spill(dw_path, "", 0);
        struct err err;
        if (vec_open(&v, path, &err) == 0) {
            opened++;
            exercise(v, &r);
            vec_unref(v);
        }
    }
    printf("%d of %d damaged files opened\n", opened, LIGHTER(150));
    assert_true(opened > 0);
    buf_release(&f);
    buf_release(&g);
    vec_drop_file(path, NULL);
}

/* A disk that takes no more: the checkpoint fails, the old one stands, the next one holds everything. */
static void failed_write_keeps_the_old_one(void **state)
{
    struct rng r;
    rng_seed(&r, 6);
    struct vec_index *v = make(24, VEC_L2, VEC_HNSW);
    change(v, &r, 300, 300);
    checkpoint(v, 1);
    struct buf old = dump(v);
    change(v, &r, 300, 200);
    struct buf now = dump(v);
    int calls = 0, real = v->dw_fd;
    v->dw_fd = open("/dev/full", O_RDWR);
    assert_int_equal(vec_checkpoint(v, io, 2, on_done, &calls, NULL), 0);
    file_io_drain(io);
    assert_int_equal(calls, 1);
    assert_int_equal(last_res, ERR_IO);
    assert_int_equal(vec_lsn(v), 1);
    close(v->dw_fd);
    v->dw_fd = real;
    /* and one that fails in place, after its commit */
    int file = v->space.fd;
    v->space.fd = open("/dev/full", O_RDWR);
    calls = 0;
    assert_int_equal(vec_checkpoint(v, io, 3, on_done, &calls, NULL), 0);
    file_io_drain(io);
    assert_int_equal(last_res, ERR_IO);
    assert_true(v->dw_pending);
    close(v->space.fd);
    v->space.fd = file;
    change(v, &r, 300, 100);
    struct buf last = dump(v);
    checkpoint(v, 4);
    v = reopen(v);
    struct buf got = dump(v);
    assert_true(slice_eq(buf_slice(&got), buf_slice(&last)));
    buf_release(&old);
    buf_release(&now);
    buf_release(&last);
    buf_release(&got);
    drop(v);
}

static void a_drop_leaves_the_open_index(void **state)
{
    struct rng r;
    rng_seed(&r, 7);
    struct vec_index *v = make(24, VEC_L2, VEC_HNSW);
    change(v, &r, 300, 300);
    checkpoint(v, 1);
    assert_int_equal(vec_drop_file(path, NULL), 0);
    change(v, &r, 300, 300);
    assert_int_equal(vec_verify(v, NULL), 0);
    int calls = 0;
    assert_int_equal(vec_checkpoint(v, io, 2, on_done, &calls, NULL), 0);
    vec_unref(v); /* the checkpoint holds a reference of its own */
    file_io_drain(io);
    assert_int_equal(calls, 1);
    struct err err;
    assert_int_equal(vec_open(&v, path, &err), ERR_IO);
}

static int setup(void **state)
{
    enum file_engine want = *(enum file_engine *)*state;
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof path, "%s/v.vec", dir);
    snprintf(dw_path, sizeof dw_path, "%s/v.vec.dw", dir);
    struct err err = {0};
    if (loop_create(&loop, &err) != 0 || file_io_create(&io, loop, want, &err) != 0) {
        printf("%s\n", err.msg);
        return -1;
    }
    printf("engine: %s\n", file_io_name(io));
    return 0;
}

static int teardown(void **state)
{
    file_io_destroy(io);
    while (loop_turn(loop))
        ;
    loop_destroy(loop);
    unlink(path);
    unlink(dw_path);
    int rc = rmdir(dir);
    memcpy(dir + strlen(dir) - 6, "XXXXXX", 6);
    return rc;
}

int main(void)
{
    static enum file_engine engines[] = {FILE_AUTO, FILE_THREAD, FILE_AUTO};
    int failed = 0;
    for (int i = 0; i < 3; i++) {
        naive_quant = i < 2 ? VEC_QUANT_NONE : VEC_QUANT_BIN;
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(reopened_is_equal),
            cmocka_unit_test(writing_goes_on_meanwhile),
            cmocka_unit_test(crash_at_every_step),
            cmocka_unit_test(torn_at_every_byte_that_counts),
            cmocka_unit_test(damaged_levels_are_no_way_in),
            cmocka_unit_test(damage_is_refused_or_survived),
            cmocka_unit_test(failed_write_keeps_the_old_one),
            cmocka_unit_test(a_drop_leaves_the_open_index),
        };
        void *first = &engines[i];
        if (setup(&first) != 0)
            return 1;
        failed += cmocka_run_group_tests(tests, NULL, NULL);
        teardown(&first);
    }
    return failed;
}
