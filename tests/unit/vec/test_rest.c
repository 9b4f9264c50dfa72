/* Vectors that lie on a file and are read for the last candidates: the answers of an index in memory, whatever has
 * been written, checkpointed and opened again; beside a writer; from a file that cannot be read; and what memory such
 * an index takes. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <fcntl.h>
#include <unistd.h>
#include <cmocka.h>

#include "io/file.h"
#include "vec/index.h"
#include "naive.h"

#define DIM   48
#define SLOTS 2500

static char path[64];
static struct loop *loop;
static struct file_io *io;
static atomic_bool stop;
static atomic_ulong searches, wrong;

static struct vec_config config(uint64_t budget)
{
    return (struct vec_config){
        .dim = DIM, .metric = VEC_L2, .quant = naive_quant, .seed = 5, .m = 8, .ef_construction = 50, .budget = budget};
}

static struct vec_index *make(uint64_t budget)
{
    struct vec_index *v = NULL;
    struct err err = {0};
    struct vec_config c = config(budget);
    if (vec_create_file(&v, path, &c, &err) != 0)
        fail_msg("%s", err.msg);
    return v;
}

static void drop(struct vec_index *v)
{
    vec_unref(v);
    assert_int_equal(vec_drop_file(path, NULL), 0);
}

static void on_done(void *arg, int res)
{
    assert_int_equal(res, 0);
}

static void checkpoint(struct vec_index *v)
{
    assert_int_equal(vec_checkpoint(v, io, 1, on_done, NULL, NULL), 0);
    while (vec_checkpointing(v))
        loop_turn_wait(loop);
}

/* The vector of an element is always the same. */
static void vector_of(uint32_t e, float *x)
{
    struct rng r;
    rng_seed(&r, e + 1);
    random_vector(&r, x, DIM);
}

static void put(struct vec_index *v, uint32_t e)
{
    char t[16];
    float x[DIM];
    vector_of(e, x);
    assert_true(vec_add(v, naive_name(e, t), x, DIM, (struct slice){0}, NULL) >= 0);
}

static void take(struct vec_index *v, uint32_t e)
{
    char t[16];
    vec_remove(v, naive_name(e, t));
}

/* Every distance that is told is that of the named vector, to the precision of two bytes a component. */
static bool true_result(const struct vec_result *r, const float *x)
{
    float y[DIM];
    bool ok = true;
    for (uint32_t i = 0; i < r->count; i++) {
        vector_of(naive_number(r->hits[i].name), y);
        ok = ok && fabs(naive_score(VEC_L2, x, y, DIM) - r->hits[i].score) < 1e-3;
    }
    return ok;
}

static uint64_t reads_of(const struct vec_index *v)
{
    struct vec_stats st;
    vec_stats(v, &st);
    return st.reads;
}

static void same_answers(const struct vec_index *a, const struct vec_index *b)
{
    struct rng r;
    float x[DIM];
    rng_seed(&r, 9);
    for (int i = 0; i < 60; i++) {
        struct vec_result ra, rb;
        random_vector(&r, x, DIM);
        struct vec_query q = {.x = x, .dim = DIM, .k = 10, .ef = 80, .exact = i % 4 == 0};
        assert_int_equal(vec_search(a, &q, &ra, NULL), 0);
        assert_int_equal(vec_search(b, &q, &rb, NULL), 0);
        assert_int_equal(ra.count, rb.count);
        assert_true(true_result(&ra, x));
        for (uint32_t k = 0; k < ra.count; k++) {
            assert_true(slice_eq(ra.hits[k].name, rb.hits[k].name));
            assert_true(ra.hits[k].score == rb.hits[k].score);
        }
        vec_result_release(&ra);
        vec_result_release(&rb);
    }
}

/* The same changes to an index in memory and to one on a file. */
static void both(struct vec_index *v[2], struct rng *r, int ops)
{
    for (int i = 0; i < ops; i++) {
        uint32_t e = (uint32_t)rng_below(r, SLOTS);
        bool out = rng_below(r, 4) == 0;
        for (int k = 0; k < 2; k++)
            if (out)
                take(v[k], e);
            else
                put(v[k], e);
    }
}

static void answers_are_those_of_memory(enum vec_reads how)
{
    struct vec_config c = config(0);
    struct vec_index *v[2];
    struct rng r;
    struct err err;
    vec_reads(how);
    rng_seed(&r, 4);
    assert_int_equal(vec_create(&v[0], &c, NULL), 0);
    v[1] = make(1 << 30);
    both(v, &r, 3000);
    same_answers(v[0], v[1]);
    assert_int_equal(reads_of(v[1]), 0); /* nothing is on file yet */
    checkpoint(v[1]);
    same_answers(v[0], v[1]);
    assert_true((reads_of(v[1]) > 0) == (how != VEC_READS_MAPPED));
    both(v, &r, 300); /* some pages are newer in memory */
    vec_trim(v[1]);
    same_answers(v[0], v[1]);
    assert_int_equal(vec_checkpoint(v[1], io, 2, on_done, NULL, NULL), 0);
    while (vec_checkpointing(v[1])) { /* and while they are written */
        same_answers(v[0], v[1]);
        loop_turn_wait(loop);
        vec_trim(v[1]);
    }
    same_answers(v[0], v[1]);
    vec_unref(v[1]);
    assert_int_equal(vec_open(&v[1], path, &err), 0);
    struct vec_stats st;
    vec_stats(v[1], &st);
    assert_int_equal(st.config.budget, 1 << 30);
    same_answers(v[0], v[1]);
    assert_int_equal(vec_verify(v[1], &err), 0);
    vec_unref(v[0]);
    drop(v[1]);
    vec_reads(VEC_READS_BUFFERED);
}

static void buffered(void **state)
{
    answers_are_those_of_memory(VEC_READS_BUFFERED);
}

static void direct(void **state)
{
    answers_are_those_of_memory(VEC_READS_DIRECT);
}

static void mapped(void **state)
{
    answers_are_those_of_memory(VEC_READS_MAPPED);
}

static void no_budget_no_reads(void **state)
{
    struct vec_index *v = make(0);
    for (uint32_t e = 0; e < 300; e++)
        put(v, e);
    checkpoint(v);
    same_answers(v, v);
    assert_int_equal(reads_of(v), 0);
    assert_int_equal(vec_room(v, NULL), 0);
    drop(v);
}

/* ---- beside a writer ---- */

static void *reader(void *arg)
{
    struct vec_index *v = arg;
    struct rng r;
    float x[DIM];
    rng_seed(&r, (uint64_t)(uintptr_t)&r);
    while (!atomic_load(&stop)) {
        struct vec_result res;
        random_vector(&r, x, DIM);
        struct vec_query q = {.x = x, .dim = DIM, .k = 10, .ef = 60, .exact = rng_below(&r, 20) == 0};
        if (vec_search(v, &q, &res, NULL) != 0 || !true_result(&res, x))
            atomic_fetch_add(&wrong, 1);
        vec_result_release(&res);
        atomic_fetch_add(&searches, 1);
    }
    return NULL;
}

/* Elements come and go, so that the places of vectors are used again, while one checkpoint follows the other. */
static void beside_a_writer(void **state)
{
    enum { READERS = 3 };
    pthread_t thread[READERS];
    struct vec_index *v = make(1 << 30);
    struct rng r;
    rng_seed(&r, 8);
    for (uint32_t e = 0; e < SLOTS / 2; e++)
        put(v, e);
    checkpoint(v);
    atomic_store(&stop, false);
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, reader, v), 0);
    for (int i = 0; i < LIGHTER(4000); i++) {
        uint32_t e = (uint32_t)rng_below(&r, SLOTS);
        if (rng_below(&r, 2))
            take(v, e);
        else
            put(v, e);
        if (!vec_checkpointing(v) && i % 50 == 0)
            vec_checkpoint(v, io, (uint64_t)i, on_done, NULL, NULL);
        if (i % 20 == 0)
            vec_trim(v);
        loop_turn(loop);
    }
    atomic_store(&stop, true);
    for (int i = 0; i < READERS; i++)
        pthread_join(thread[i], NULL);
    while (vec_checkpointing(v))
        loop_turn_wait(loop);
    assert_true(atomic_load(&searches) > 0);
    assert_int_equal(atomic_load(&wrong), 0);
    assert_true(reads_of(v) > 0);
    drop(v);
}

/* ---- a file that cannot be read ---- */

static void a_failed_read_is_told(void **state)
{
    struct vec_index *v = make(1 << 30);
    float x[DIM];
    struct err err = {0};
    struct vec_result res;
    for (uint32_t e = 0; e < SLOTS; e++)
        put(v, e);
    checkpoint(v);
    vector_of(3, x);
    int nothing = open("/dev/null", O_RDONLY), good = dup(v->read_fd);
    for (int exact = 0; exact < 2; exact++) {
        struct vec_query q = {.x = x, .dim = DIM, .k = 10, .exact = exact};
        assert_int_equal(dup2(nothing, v->read_fd), v->read_fd);
        assert_int_equal(vec_search(v, &q, &res, &err), ERR_IO);
        assert_non_null(strstr(err.msg, "cannot be read"));
        assert_int_equal(res.count, 0);
        assert_int_equal(dup2(good, v->read_fd), v->read_fd);
        assert_int_equal(vec_search(v, &q, &res, &err), 0); /* one bad moment is not the end */
        assert_int_equal(res.count, 10);
        vec_result_release(&res);
    }
    close(nothing);
    close(good);
    drop(v);
}

/* ---- memory ---- */

/* Bytes that this process has of a file's mappings. */
static size_t mapped_bytes(const char *file)
{
    char line[512];
    size_t sum = 0, kb;
    bool ours = false;
    FILE *f = fopen("/proc/self/smaps", "r");
    while (fgets(line, sizeof line, f)) {
        if (strchr(line, '-') && strchr(line, ' ') && strspn(line, "0123456789abcdef") > 5)
            ours = strstr(line, file) != NULL;
        else if (ours && sscanf(line, "Rss: %zu kB", &kb) == 1)
            sum += kb * 1024;
    }
    fclose(f);
    return sum;
}

static void the_budget_is_kept(void **state)
{
    const uint64_t budget = 1 << 20;
    struct vec_index *v = make(budget);
    struct err err = {0};
    struct vec_stats st;
    uint32_t e = 0;
    while (vec_room(v, &err) == 0) {
        put(v, e++);
        if (e % 100 == 0) {
            checkpoint(v);
            vec_trim(v);
        }
        assert_true(e < 1000000);
    }
    assert_int_equal(err.code, ERR_OOM);
    assert_non_null(strstr(err.msg, "BUDGET of 1048576 bytes"));
    checkpoint(v);
    same_answers(v, v);
    vec_trim(v);
    vec_stats(v, &st);
    assert_true(st.resident <= budget);
    assert_true(st.resident > budget - (64 << 10));
    assert_true(st.on_file > budget);
    /* mapped are also the pages of rows beside those in use: chunks grow by doubling, what is unused is not touched */
    assert_true(mapped_bytes(path) <= budget + (256 << 10));
    take(v, 0);
    take(v, 1);
    put(v, 0); /* reclaims a place */
    assert_int_equal(vec_room(v, &err), 0);
    drop(v);
}

static int up(void **state)
{
    struct err err;
    snprintf(path, sizeof path, "/tmp/skald-rest-%d.vec", (int)getpid());
    return loop_create(&loop, &err) || file_io_create(&io, loop, FILE_AUTO, &err);
}

static int down(void **state)
{
    file_io_destroy(io);
    while (loop_turn(loop))
        ;
    loop_destroy(loop);
    return 0;
}

int main(void)
{
    static const enum vec_quant quants[] = {VEC_QUANT_Q8, VEC_QUANT_BIN};
    int failed = 0;
    for (int i = 0; i < 2; i++) {
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(buffered),
            cmocka_unit_test(direct),
            cmocka_unit_test(mapped),
            cmocka_unit_test(no_budget_no_reads),
            cmocka_unit_test(beside_a_writer),
            cmocka_unit_test(a_failed_read_is_told),
            cmocka_unit_test(the_budget_is_kept),
        };
        naive_quant = quants[i];
        failed += cmocka_run_group_tests(tests, up, down);
    }
    return failed;
}
