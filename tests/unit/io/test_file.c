/* Files: the same table of tests for io_uring and for its synchronous twin. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/file.h"

static struct loop *L;
static struct file_io *F;
static int fd;

static int up(enum file_engine engine)
{
    struct err err;
    char path[] = "/tmp/skald-file-XXXXXX";
    fd = mkstemp(path);
    unlink(path);
    if (fd < 0 || loop_create(&L, &err) < 0)
        return -1;
    if (file_io_create(&F, L, engine, &err) < 0) {
        F = NULL;
        fprintf(stderr, "%s\n", err.msg);
        return engine == FILE_URING ? 0 : -1;
    }
    return 0;
}

static int up_uring(void **state)
{
    return up(FILE_URING);
}

static int up_thread(void **state)
{
    return up(FILE_THREAD);
}

static int down(void **state)
{
    file_io_destroy(F);
    while (loop_turn(L))
        ;
    loop_destroy(L);
    close(fd);
    return 0;
}

#define NEED_ENGINE()                                                                                                  \
    do {                                                                                                               \
        if (!F)                                                                                                        \
            skip(); /* the reason was printed: no io_uring here */                                                     \
    } while (0)

static int order;
static bool submitting;

static void done(struct file_op *op)
{
    assert_true(loop_is_here(L));
    assert_false(submitting);
    *(int *)op->arg = ++order;
}

static struct file_op make(enum file_kind kind, int on, void *data, size_t len, uint64_t off, int *mark)
{
    *mark = 0;
    return (struct file_op){.kind = kind, .fd = on, .data = data, .len = len, .off = off, .done = done, .arg = mark};
}

static void submit(struct file_op **ops, int n)
{
    submitting = true;
    file_submit(F, ops, n);
    submitting = false;
}

static void a_chain_runs_in_order(void **state)
{
    NEED_ENGINE();
    int m[4];
    char a[] = "hello ", b[] = "world", back[16];
    struct file_op op[] = {make(FILE_WRITE, fd, a, 6, 100, &m[0]), make(FILE_WRITE, fd, b, 5, 106, &m[1]),
                           make(FILE_DATASYNC, fd, NULL, 0, 0, &m[2]), make(FILE_READ, fd, back, 11, 100, &m[3])};
    order = 0;
    submit((struct file_op *[]){&op[0], &op[1], &op[2], &op[3]}, 4);
    assert_int_equal(file_io_pending(F), 4);
    file_io_drain(F);
    assert_int_equal(file_io_pending(F), 0);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(op[i].res, 0);
        assert_int_equal(m[i], i + 1);
        assert_int_equal(op[i].moved, op[i].len);
    }
    assert_memory_equal(back, "hello world", 11);
    assert_false(loop_turn(L));
}

/* Written like any other, in a chain and at an offset; a failure of the disk is one of the operation. */
static void a_write_may_sync(void **state)
{
    NEED_ENGINE();
    int m[3], full = open("/dev/full", O_WRONLY);
    char back[12];
    struct file_op op[] = {make(FILE_WRITE_SYNC, fd, "hello ", 6, 10, &m[0]), make(FILE_WRITE_SYNC, fd, "world", 5, 16, &m[1]),
                           make(FILE_READ, fd, back, 11, 10, &m[2])};
    submit((struct file_op *[]){&op[0], &op[1], &op[2]}, 3);
    file_io_drain(F);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(op[i].res, 0);
        assert_int_equal(op[i].moved, op[i].len);
    }
    assert_memory_equal(back, "hello world", 11);
    struct file_op bad = make(FILE_WRITE_SYNC, full, "xxxx", 4, 0, &m[0]);
    submit((struct file_op *[]){&bad}, 1);
    file_io_drain(F);
    assert_int_equal(bad.res, -ENOSPC);
    close(full);
}

static void a_read_at_the_end_is_short(void **state)
{
    NEED_ENGINE();
    int m;
    char back[64];
    assert_int_equal(pwrite(fd, "abc", 3, 0), 3);
    struct file_op op = make(FILE_READ, fd, back, sizeof back, 1, &m), beyond = make(FILE_READ, fd, back, 4, 50, &m);
    submit((struct file_op *[]){&op}, 1);
    file_io_drain(F);
    assert_int_equal(op.res, 0);
    assert_int_equal(op.moved, 2);
    assert_memory_equal(back, "bc", 2);
    submit((struct file_op *[]){&beyond}, 1);
    file_io_drain(F);
    assert_int_equal(beyond.res, 0);
    assert_int_equal(beyond.moved, 0);
}

static void nothing_to_move_is_a_success(void **state)
{
    NEED_ENGINE();
    int m;
    struct file_op op = make(FILE_WRITE, fd, "", 0, 0, &m);
    submit((struct file_op *[]){&op}, 1);
    file_io_drain(F);
    assert_int_equal(op.res, 0);
    assert_int_equal(m > 0, 1);
}

static void a_failure_cancels_the_rest(void **state)
{
    NEED_ENGINE();
    int m[3], full = open("/dev/full", O_WRONLY);
    assert_true(full >= 0);
    struct file_op op[] = {make(FILE_WRITE, full, "xxxx", 4, 0, &m[0]), make(FILE_DATASYNC, fd, NULL, 0, 0, &m[1]),
                           make(FILE_WRITE, fd, "y", 1, 0, &m[2])};
    op[1].done = NULL;
    order = 0;
    submit((struct file_op *[]){&op[0], &op[1], &op[2]}, 3);
    file_io_drain(F);
    assert_int_equal(op[0].res, -ENOSPC);
    assert_int_equal(op[1].res, -ECANCELED);
    assert_int_equal(op[2].res, -ECANCELED);
    assert_int_equal(m[0], 1);
    assert_int_equal(m[2], 2);
    struct stat st;
    fstat(fd, &st);
    assert_int_equal(st.st_size, 0);
    close(full);
}

static void a_bad_descriptor_is_an_error(void **state)
{
    NEED_ENGINE();
    int m[3];
    char c;
    struct file_op op[] = {make(FILE_WRITE, 9999, "x", 1, 0, &m[0]), make(FILE_READ, 9999, &c, 1, 0, &m[1]),
                           make(FILE_DATASYNC, 9999, NULL, 0, 0, &m[2])};
    for (int i = 0; i < 3; i++)
        submit((struct file_op *[]){&op[i]}, 1);
    file_io_drain(F);
    for (int i = 0; i < 3; i++)
        assert_int_equal(op[i].res, -EBADF);
}

/* The kernel writes up to the limit and is asked for the rest, which fails. */
static void a_partial_write_says_how_much_went_through(void **state)
{
    NEED_ENGINE();
    struct rlimit old, tight;
    getrlimit(RLIMIT_FSIZE, &old);
    tight = (struct rlimit){1000, old.rlim_max};
    int m;
    static char bytes[3000];
    struct file_op op = make(FILE_WRITE, fd, bytes, sizeof bytes, 0, &m);
    setrlimit(RLIMIT_FSIZE, &tight);
    submit((struct file_op *[]){&op}, 1);
    file_io_drain(F);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_int_equal(op.res, -EFBIG);
    assert_int_equal(op.moved, 1000);
}

enum { MANY = 1000, PIECE = 512 };

static void more_operations_than_the_ring_holds(void **state)
{
    NEED_ENGINE();
    static struct file_op w[MANY], s[MANY], r[MANY];
    static char data[MANY][PIECE], back[MANY][PIECE];
    static int m[MANY], n[MANY];
    for (int i = 0; i < MANY; i++) {
        memset(data[i], i, PIECE);
        w[i] = make(FILE_WRITE, fd, data[i], PIECE, (uint64_t)i * PIECE, &m[i]);
        s[i] = make(FILE_READ, fd, back[i], PIECE, (uint64_t)i * PIECE, &n[i]);
        submit((struct file_op *[]){&w[i], &s[i]}, 2);
    }
    file_io_drain(F);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(w[i].res, 0);
        assert_int_equal(s[i].moved, PIECE);
        assert_true(m[i] && n[i]);
        assert_memory_equal(data[i], back[i], PIECE);
    }
    for (int i = 0; i < MANY; i++) {
        r[i] = make(FILE_READ, fd, data[i], PIECE, (uint64_t)i * PIECE, &m[i]);
        submit((struct file_op *[]){&r[i]}, 1);
    }
    file_io_drain(F);
    for (int i = 0; i < MANY; i++)
        assert_memory_equal(data[i], back[i], PIECE);
}

static int left;

static void once_more(struct file_op *op)
{
    assert_int_equal(op->res, 0);
    op->off += op->len;
    if (--left > 0)
        submit(&op, 1);
}

static void done_may_submit_again(void **state)
{
    NEED_ENGINE();
    int m;
    struct file_op op = make(FILE_WRITE, fd, "ab", 2, 0, &m);
    op.done = once_more;
    left = 20;
    submit((struct file_op *[]){&op}, 1);
    file_io_drain(F);
    assert_int_equal(left, 0);
    struct stat st;
    fstat(fd, &st);
    assert_int_equal(st.st_size, 40);
}

static void a_large_write_arrives_whole(void **state)
{
    NEED_ENGINE();
    size_t n = 24u << 20;
    char *out = malloc(n), *back = malloc(n);
    for (size_t i = 0; i < n; i++)
        out[i] = (char)(i ^ i >> 11);
    int m[2];
    struct file_op op[] = {make(FILE_WRITE, fd, out, n, 3, &m[0]), make(FILE_READ, fd, back, n, 3, &m[1])};
    submit((struct file_op *[]){&op[0], &op[1]}, 2);
    file_io_drain(F);
    assert_int_equal(op[1].moved, n);
    assert_memory_equal(out, back, n);
    free(out);
    free(back);
}

static void destroy_waits_for_what_is_under_way(void **state)
{
    NEED_ENGINE();
    int m[2];
    struct file_op op[] = {make(FILE_WRITE, fd, "zz", 2, 0, &m[0]), make(FILE_DATASYNC, fd, NULL, 0, 0, &m[1])};
    submit((struct file_op *[]){&op[0], &op[1]}, 2);
    file_io_destroy(F);
    F = NULL;
    assert_int_equal(op[1].res, 0);
    assert_true(m[0] && m[1]);
}

static void auto_finds_an_engine(void **state)
{
    NEED_ENGINE();
    struct file_io *f;
    struct err err;
    assert_int_equal(file_io_create(&f, L, FILE_AUTO, &err), 0);
    assert_true(strcmp(file_io_name(f), "io_uring") == 0 || strcmp(file_io_name(f), "thread") == 0);
    file_io_destroy(f);
}

static void helpers_say_what_failed(void **state)
{
    struct err err;
    assert_int_equal(file_write_all(fd, "abc", 3, &err), 0);
    char back[4] = "";
    assert_int_equal(pread(fd, back, 3, 0), 3);
    assert_string_equal(back, "abc");
    int full = open("/dev/full", O_WRONLY);
    assert_int_equal(file_write_all(full, "abc", 3, &err), ERR_IO);
    assert_non_null(strstr(err.msg, "No space left"));
    close(full);
    assert_int_equal(file_sync_dir("/tmp/whatever", &err), 0);
    assert_int_equal(file_sync_dir("relative", &err), 0);
    assert_int_equal(file_sync_dir("/nonexistent/x", &err), ERR_IO);
    assert_non_null(strstr(err.msg, "/nonexistent/x"));
}

#define BOTH(test)                                                                                                     \
    {#test " (io_uring)", test, up_uring, down, NULL},                                                                 \
    {                                                                                                                  \
#test " (thread)", test, up_thread, down, NULL                                                                 \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(a_chain_runs_in_order),
        BOTH(a_write_may_sync),
        BOTH(a_read_at_the_end_is_short),
        BOTH(nothing_to_move_is_a_success),
        BOTH(a_failure_cancels_the_rest),
        BOTH(a_bad_descriptor_is_an_error),
        BOTH(a_partial_write_says_how_much_went_through),
        BOTH(more_operations_than_the_ring_holds),
        BOTH(done_may_submit_again),
        BOTH(a_large_write_arrives_whole),
        BOTH(destroy_waits_for_what_is_under_way),
        BOTH(auto_finds_an_engine),
        BOTH(helpers_say_what_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
