/* Batches of reads: the same tests on io_uring, on pread, and past the page cache. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/rng.h"
#include "io/read_batch.h"

#define FILE_BYTES (1000 * READ_PAGE + 123)

static unsigned char *content;
static char path[64];

struct way {
    bool uring, direct;
};
static const struct way ways[] = {{true, false}, {true, true}, {false, false}, {false, true}};

/* A thread of its own, because the batch is the thread's and made once. */
struct task {
    void (*run)(int fd);
    struct way way;
};

static void *in_thread(void *arg)
{
    struct task *t = arg;
    int fd = read_batch_open(path, t->way.direct);
    assert_true(fd >= 0);
    t->run(fd);
    close(fd);
    return NULL;
}

static void every_way(void (*run)(int fd))
{
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        struct task t = {run, ways[i]};
        pthread_t thread;
        read_batch_allow_uring(ways[i].uring);
        assert_int_equal(pthread_create(&thread, NULL, in_thread, &t), 0);
        pthread_join(thread, NULL);
    }
    read_batch_allow_uring(true);
}

static void write_content(size_t bytes)
{
    int fd = open(path, O_RDWR | O_TRUNC);
    assert_int_equal(write(fd, content, bytes), bytes);
    assert_int_equal(fsync(fd), 0);
    close(fd);
}

/* ---- what is read ---- */

static void all_kinds_of_ranges(int fd)
{
    struct read_batch *b = read_batch_mine();
    struct rng r;
    rng_seed(&r, 5);
    for (int round = 0; round < 20; round++) {
        enum { MANY = 300 };
        static _Thread_local struct {
            uint64_t off;
            size_t len;
            unsigned char *to;
        } want[MANY];
        bool told[MANY] = {0};
        for (int i = 0; i < MANY; i++) {
            want[i].len = rng_below(&r, i % 50 == 0 ? 200000 : 900);
            want[i].off = rng_below(&r, FILE_BYTES - want[i].len + 1);
            want[i].to = malloc(want[i].len + 1);
            want[i].to[want[i].len] = 0xa5;
            read_batch_add(b, fd, want[i].off, want[i].to, want[i].len, (uint64_t)i);
            if (i % 100 == 99)
                read_batch_submit(b); /* more is added while the first are on their way */
        }
        struct read_end end;
        while (read_batch_next(b, &end)) {
            assert_int_equal(end.res, 0);
            assert_false(told[end.tag]);
            told[end.tag] = true;
            assert_memory_equal(want[end.tag].to, content + want[end.tag].off, want[end.tag].len);
            assert_int_equal(want[end.tag].to[want[end.tag].len], 0xa5);
            free(want[end.tag].to);
        }
        for (int i = 0; i < MANY; i++)
            assert_true(told[i]);
    }
}

static void test_ranges(void **state)
{
    every_way(all_kinds_of_ranges);
}

static void pages_are_read_once(int fd)
{
    struct read_batch *b = read_batch_mine();
    unsigned char to[8][100];
    uint64_t before = read_batch_windows(b);
    static const uint64_t off[8] = {5 * READ_PAGE + 1000, 5 * READ_PAGE,  5 * READ_PAGE + 3000, 6 * READ_PAGE - 50,
                                    90 * READ_PAGE,       90 * READ_PAGE, 5 * READ_PAGE + 1001, 91 * READ_PAGE - 100};
    for (int i = 0; i < 8; i++)
        read_batch_add(b, fd, off[i], to[i], sizeof to[i], (uint64_t)i);
    read_batch_submit(b);
    assert_int_equal(read_batch_wait(b), 0);
    assert_int_equal(read_batch_windows(b) - before, 2);
    for (int i = 0; i < 8; i++)
        assert_memory_equal(to[i], content + off[i], sizeof to[i]);
}

static void test_merging(void **state)
{
    every_way(pages_are_read_once);
}

static void nothing_wanted(int fd)
{
    struct read_batch *b = read_batch_mine();
    struct read_end end;
    read_batch_submit(b);
    assert_false(read_batch_next(b, &end));
    read_batch_add(b, fd, 17, NULL, 0, 4);
    read_batch_submit(b);
    assert_true(read_batch_next(b, &end));
    assert_int_equal(end.tag, 4);
    assert_int_equal(end.res, 0);
    assert_false(read_batch_next(b, &end));
}

static void test_nothing(void **state)
{
    every_way(nothing_wanted);
}

/* ---- what fails ---- */

static void around_the_end(int fd)
{
    struct read_batch *b = read_batch_mine();
    unsigned char to[4][5000];
    struct read_end end;
    static const uint64_t off[4] = {FILE_BYTES - 5000, FILE_BYTES - 4999, FILE_BYTES + 10, 0};
    for (int i = 0; i < 4; i++)
        read_batch_add(b, fd, off[i], to[i], sizeof to[i], (uint64_t)i);
    read_batch_submit(b);
    int res[4] = {1, 1, 1, 1};
    while (read_batch_next(b, &end))
        res[end.tag] = end.res;
    assert_int_equal(res[0], 0);
    assert_int_equal(res[1], -ENODATA);
    assert_int_equal(res[2], -ENODATA);
    assert_int_equal(res[3], 0);
    assert_memory_equal(to[0], content + off[0], 5000);
    assert_memory_equal(to[3], content, 5000);
}

static void test_end(void **state)
{
    every_way(around_the_end);
}

/* The file is cut at a page, inside one, and wholly, while ranges are on both sides of the cut. */
static void a_file_cut_short(int fd)
{
    static const size_t cuts[] = {11 * READ_PAGE - 1, 10 * READ_PAGE + 1, 10 * READ_PAGE, 1, 0};
    struct read_batch *b = read_batch_mine();
    for (size_t c = 0; c < sizeof cuts / sizeof *cuts; c++) {
        unsigned char to[40][700];
        assert_int_equal(truncate(path, (off_t)cuts[c]), 0);
        for (int i = 0; i < 40; i++)
            read_batch_add(b, fd, (uint64_t)i * 1500, to[i], sizeof to[i], (uint64_t)i);
        read_batch_submit(b);
        struct read_end end;
        int n = 0;
        while (read_batch_next(b, &end)) {
            bool there = end.tag * 1500 + sizeof to[0] <= cuts[c];
            assert_int_equal(end.res, there ? 0 : -ENODATA);
            if (there)
                assert_memory_equal(to[end.tag], content + end.tag * 1500, sizeof to[0]);
            n++;
        }
        assert_int_equal(n, 40);
    }
    write_content(FILE_BYTES);
}

static void test_cut(void **state)
{
    every_way(a_file_cut_short);
}

/* Of two files one is none: its ranges fail, each by itself, the others are read. */
static void a_bad_descriptor(int fd)
{
    struct read_batch *b = read_batch_mine();
    unsigned char to[200][64];
    int closed = dup(fd), wonly = open(path, O_WRONLY);
    close(closed);
    for (int i = 0; i < 200; i++)
        read_batch_add(b, i % 3 == 0 ? fd : i % 3 == 1 ? closed : wonly, (uint64_t)i * 10000, to[i], 64, (uint64_t)i);
    read_batch_submit(b);
    struct read_end end;
    int n = 0;
    while (read_batch_next(b, &end)) {
        assert_int_equal(end.res, end.tag % 3 ? -EBADF : 0);
        if (end.tag % 3 == 0)
            assert_memory_equal(to[end.tag], content + end.tag * 10000, 64);
        n++;
    }
    assert_int_equal(n, 200);
    read_batch_add(b, closed, 0, to[0], 64, 0);
    read_batch_submit(b);
    assert_int_equal(read_batch_wait(b), -EBADF);
    close(wonly);
}

static void test_bad_descriptor(void **state)
{
    every_way(a_bad_descriptor);
}

static void test_open(void **state)
{
    assert_int_equal(read_batch_open("/tmp/skald-no-such-file", false), -ENOENT);
    assert_int_equal(read_batch_open("/tmp/skald-no-such-file", true), -ENOENT);
}

/* ---- threads ---- */

static void test_threads(void **state)
{
    enum { THREADS = 4 };
    pthread_t thread[THREADS];
    struct task t[THREADS];
    for (int i = 0; i < THREADS; i++) {
        t[i] = (struct task){all_kinds_of_ranges, {true, i % 2}};
        assert_int_equal(pthread_create(&thread[i], NULL, in_thread, &t[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
}

static int up(void **state)
{
    struct rng r;
    rng_seed(&r, 1);
    content = malloc(FILE_BYTES);
    for (size_t i = 0; i < FILE_BYTES; i++)
        content[i] = (unsigned char)rng_next(&r);
    strcpy(path, "/tmp/skald-reads-XXXXXX");
    close(mkstemp(path));
    write_content(FILE_BYTES);
    return 0;
}

static int down(void **state)
{
    unlink(path);
    free(content);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranges), cmocka_unit_test(test_merging), cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_end),    cmocka_unit_test(test_cut),     cmocka_unit_test(test_bad_descriptor),
        cmocka_unit_test(test_open),   cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, up, down);
}
