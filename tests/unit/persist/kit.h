/* What the journal's tests share: a folder, a loop with a file engine and a pool, and a keyspace of numbers.
 *
 * The model: SET <k> <v> for k below KEYS in databases 0 and 1. What was appended and what a load finds are compared as
 * arrays. Included by one test program each, after cmocka. */
#ifndef TESTS_PERSIST_KIT_H
#define TESTS_PERSIST_KIT_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/num.h"
#include "persist/journal.h"
#include "persist/manifest.h"

enum { KEYS = 64 };

struct model {
    int64_t v[2][KEYS];
};

struct kit {
    char dir[64];
    struct loop *loop;
    struct file_io *files;
    struct job_pool *pool;
    struct journal_options o;
    struct journal *j;
    struct model model; /* what the tests appended */
    int64_t next;
};

static struct kit K;

static inline int kit_start(enum file_engine engine)
{
    struct err err;
    K = (struct kit){.o = {.dirname = "appendonlydir", .filename = "appendonly.aof", .fsync = JOURNAL_ALWAYS}};
    log_set_level(getenv("TEST_LOG") ? LOG_DEBUG : LOG_NOTHING);
    strcpy(K.dir, "/tmp/skald-journal-XXXXXX");
    if (!mkdtemp(K.dir) || loop_create(&K.loop, &err) < 0)
        return -1;
    K.o.dir = K.dir;
    K.pool = job_pool_create(K.loop, 2);
    if (file_io_create(&K.files, K.loop, engine, &err) < 0) {
        fprintf(stderr, "%s\n", err.msg);
        K.files = NULL;
        return engine == FILE_URING ? 0 : -1;
    }
    return 0;
}

static inline int up_uring(void **state)
{
    return kit_start(FILE_URING);
}

static inline int up_thread(void **state)
{
    return kit_start(FILE_THREAD);
}

static inline void remove_tree(const char *dir)
{
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        char path[1024];
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        snprintf(path, sizeof path, "%.500s/%s", dir, e->d_name);
        if (unlink(path) < 0)
            remove_tree(path);
    }
    if (d)
        closedir(d);
    rmdir(dir);
}

static inline int down(void **state)
{
    journal_close(K.j);
    file_io_destroy(K.files);
    job_pool_destroy(K.pool);
    while (loop_turn(K.loop))
        ;
    loop_destroy(K.loop);
    remove_tree(K.dir);
    return 0;
}

#define NEED_ENGINE()                                                                                                  \
    do {                                                                                                               \
        if (!K.files)                                                                                                  \
            skip(); /* the reason was printed: no io_uring here */                                                     \
    } while (0)

#define BOTH(test)                                                                                                     \
    {#test " (io_uring)", test, up_uring, down, NULL},                                                                 \
    {                                                                                                                  \
#test " (thread)", test, up_thread, down, NULL                                                                 \
    }

static inline void open_journal(bool fresh)
{
    struct err err;
    if (journal_open(&K.j, K.loop, K.files, K.pool, &K.o, fresh, &err) < 0)
        fail_msg("%s", err.msg);
}

static inline void close_journal(void)
{
    journal_close(K.j);
    K.j = NULL;
}

/* Appends a SET and notes it in the model. */
static inline uint64_t set(int db, int k, int64_t v)
{
    char ks[NUM_I64_MAX], vs[NUM_I64_MAX];
    struct slice argv[] = {SLICE("SET"), {ks, num_from_i64(ks, k)}, {vs, num_from_i64(vs, v)}};
    K.model.v[db][k] = v;
    return journal_append(K.j, db, 3, argv);
}

static inline uint64_t word(const char *w)
{
    struct slice argv[] = {slice_str(w)};
    return journal_append(K.j, 0, 1, argv);
}

static inline void wait_released(uint64_t lsn)
{
    while (journal_released_lsn(K.j) < lsn)
        loop_turn_wait(K.loop);
}

static inline int apply_model(void *arg, int db, int argc, const struct slice *argv, uint64_t lsn, struct err *err)
{
    struct model *m = arg;
    int64_t k, v;
    if (argc != 3 || !slice_is(argv[0], "set") || db < 0 || db > 1 || !num_to_i64(argv[1], &k) || k < 0 || k >= KEYS ||
        !num_to_i64(argv[2], &v))
        return err_set(err, ERR_INVALID, "not a command of the test");
    m->v[db][k] = v;
    return 0;
}

static inline int load(struct model *m, struct journal_stats *st, struct err *err)
{
    memset(m, 0, sizeof *m);
    return journal_load(&K.o, apply_model, m, st, err);
}

static inline void expect_load(const struct model *expected)
{
    struct model m;
    struct journal_stats st;
    struct err err;
    if (load(&m, &st, &err) < 0)
        fail_msg("%s", err.msg);
    assert_memory_equal(&m, expected, sizeof m);
}

static inline void file_path(char to[512], const char *name)
{
    snprintf(to, 512, "%s/appendonlydir/%s", K.dir, name);
}

static inline char *read_file(const char *name, size_t *n)
{
    char path[512];
    file_path(path, name);
    int fd = open(path, O_RDONLY);
    *n = 0;
    if (fd < 0)
        return NULL;
    struct stat st;
    fstat(fd, &st);
    char *p = malloc((size_t)st.st_size + 1);
    *n = (size_t)read(fd, p, (size_t)st.st_size);
    p[*n] = 0;
    close(fd);
    return p;
}

static inline void write_file(const char *name, const void *p, size_t n)
{
    char path[512];
    file_path(path, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    assert_int_equal(write(fd, p, n), n);
    close(fd);
}

static inline int count_files(const char *part)
{
    char path[512];
    int n = 0;
    file_path(path, "");
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));)
        n += strstr(e->d_name, part) != NULL;
    closedir(d);
    return n;
}

#endif
