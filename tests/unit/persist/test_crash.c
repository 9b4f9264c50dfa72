/* kill -9 at random moments of a process that appends, syncs and rewrites: what it was promised is there afterwards.
 *
 * The victim is a child that writes (key, value) into a pipe once the journal has released it, and rewrites over and
 * over. CRASH_ROUNDS (default 12) says how often it is killed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/rng.h"
#include "unit/persist/kit.h"

struct promise {
    uint64_t lsn;
    int db, k;
    int64_t v;
};

static int emit(void *arg, struct journal_writer *w, struct err *err)
{
    for (int db = 0; db < 2; db++)
        for (int k = 0; k < KEYS; k++) {
            char ks[NUM_I64_MAX], vs[NUM_I64_MAX];
            struct slice argv[] = {SLICE("SET"), {ks, num_from_i64(ks, k)}, {vs, num_from_i64(vs, K.model.v[db][k])}};
            if (K.model.v[db][k] && journal_write(w, db, 3, argv) < 0)
                return ERR_IO;
        }
    return 0;
}

/* Values only grow, so "at least what was promised" is what a load must find. */
static void be_the_victim(int to, enum file_engine engine, const struct model *from)
{
    struct err err;
    struct promise queue[256];
    unsigned head = 0, tail = 0;
    const struct journal_rewrite rewrite = {.emit = emit};
    K.model = *from;
    int64_t v = 0;
    for (int db = 0; db < 2; db++)
        for (int k = 0; k < KEYS; k++)
            v = from->v[db][k] > v ? from->v[db][k] : v;
    if (loop_create(&K.loop, &err) < 0 || file_io_create(&K.files, K.loop, engine, &err) < 0)
        _exit(3);
    K.pool = job_pool_create(K.loop, 1);
    open_journal(false);
    for (;;) {
        for (int i = 0; i < 3 && tail - head < 256; i++) {
            struct promise p = {.db = (int)(v % 2), .k = (int)(v % KEYS), .v = v + 1};
            v++;
            p.lsn = set(p.db, p.k, p.v);
            queue[tail++ % 256] = p;
        }
        if (!journal_rewriting(K.j))
            journal_rewrite_start(K.j, &rewrite, &err);
        loop_turn(K.loop);
        for (; head < tail && queue[head % 256].lsn <= journal_released_lsn(K.j); head++)
            if (write(to, &queue[head % 256], sizeof *queue) < 0)
                _exit(4);
    }
}

/* Reads promises until the deadline, kills, and reads what is still in the pipe. */
static int collect(int from, pid_t victim, int64_t until_ms, struct model *promised)
{
    struct promise p;
    int n = 0;
    bool killed = false;
    for (;;) {
        int64_t left = until_ms - clock_mono_ms();
        if (!killed && left <= 0) {
            kill(victim, SIGKILL);
            killed = true;
        }
        struct pollfd fd = {.fd = from, .events = POLLIN};
        if (!killed && poll(&fd, 1, (int)left) == 0)
            continue;
        if (read(from, &p, sizeof p) != sizeof p)
            break;
        promised->v[p.db][p.k] = p.v;
        n++;
    }
    kill(victim, SIGKILL);
    int status;
    waitpid(victim, &status, 0);
    assert_true(WIFSIGNALED(status));
    return n;
}

static void crash(enum file_engine engine)
{
    struct model promised = {0}, found = {0};
    struct journal_stats st;
    struct err err;
    struct rng rng;
    int rounds = getenv("CRASH_ROUNDS") ? atoi(getenv("CRASH_ROUNDS")) : 12, kept = 0;
    rng_init(&rng);
    for (int round = 0; round < rounds || (kept == 0 && round < 20 * rounds); round++) { /* more on a slow machine */
        int line[2];
        assert_int_equal(pipe(line), 0);
        pid_t victim = fork();
        if (victim == 0) {
            close(line[0]);
            be_the_victim(line[1], engine, &found);
        }
        close(line[1]);
        kept += collect(line[0], victim, clock_mono_ms() + 20 + (int64_t)rng_below(&rng, 120), &promised);
        close(line[0]);
        if (load(&found, &st, &err) < 0)
            fail_msg("round %d: %s", round, err.msg);
        for (int db = 0; db < 2; db++)
            for (int k = 0; k < KEYS; k++)
                if (found.v[db][k] < promised.v[db][k])
                    fail_msg("round %d: key %d/%d was promised %" PRId64 ", found %" PRId64, round, db, k,
                             promised.v[db][k], found.v[db][k]);
    }
    assert_true(kept > 0);
}

/* No thread before the fork: a victim makes its own loop, engine and pool. */
static int up(void **state)
{
    K = (struct kit){.o = {.dirname = "appendonlydir", .filename = "appendonly.aof", .fsync = JOURNAL_ALWAYS}};
    log_set_level(LOG_NOTHING);
    strcpy(K.dir, "/tmp/skald-crash-XXXXXX");
    K.o.dir = K.dir;
    return mkdtemp(K.dir) ? 0 : -1;
}

static int clean(void **state)
{
    remove_tree(K.dir);
    return 0;
}

static void nothing_promised_is_lost_io_uring(void **state)
{
    struct loop *l;
    struct file_io *f;
    struct err err;
    assert_int_equal(loop_create(&l, &err), 0);
    int r = file_io_create(&f, l, FILE_URING, &err);
    if (r == 0)
        file_io_destroy(f);
    while (loop_turn(l))
        ;
    loop_destroy(l);
    if (r < 0) {
        print_message("%s\n", err.msg);
        skip();
    }
    crash(FILE_URING);
}

static void nothing_promised_is_lost_thread(void **state)
{
    crash(FILE_THREAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_promised_is_lost_io_uring, up, clean),
        cmocka_unit_test_setup_teardown(nothing_promised_is_lost_thread, up, clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
