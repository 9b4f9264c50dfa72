/* Compaction: under appends, with a child that fails or dies, with owners that wait, on a journal opened fresh. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "unit/persist/kit.h"

struct owner {
    int done, result;
    struct err err;
    int hooks;
    uint64_t hook_lsn;
    bool answer_later, emit_fails, emit_waits;
    pid_t parent;
};

static struct owner O;

static int emit(void *arg, struct journal_writer *w, struct err *err)
{
    while (O.emit_waits)
        pause();
    if (O.emit_fails)
        return err_set(err, ERR_GENERIC, "the keyspace said no");
    for (int db = 0; db < 2; db++)
        for (int k = 0; k < KEYS; k++) {
            char ks[NUM_I64_MAX], vs[NUM_I64_MAX];
            struct slice argv[] = {SLICE("SET"), {ks, num_from_i64(ks, k)}, {vs, num_from_i64(vs, K.model.v[db][k])}};
            if (K.model.v[db][k] && journal_write(w, db, 3, argv) < 0)
                return ERR_IO;
        }
    return getpid() == O.parent ? err_set(err, ERR_GENERIC, "emit runs in the server") : 0;
}

static void before_switch(void *arg, uint64_t lsn)
{
    O.hooks++;
    O.hook_lsn = lsn;
    assert_int_equal(O.done, 0);
    if (!O.answer_later)
        journal_rewrite_go_on(K.j, true);
}

static void done(void *arg, int result, const struct err *err)
{
    O.done++;
    O.result = result;
    if (err)
        O.err = *err;
}

static const struct journal_rewrite plain = {.emit = emit, .done = done};
static const struct journal_rewrite hooked = {.emit = emit, .before_switch = before_switch, .done = done};

static void start(const struct journal_rewrite *r)
{
    struct err err;
    O.done = O.hooks = 0;
    O.parent = getpid();
    if (journal_rewrite_start(K.j, r, &err) < 0)
        fail_msg("%s", err.msg);
    assert_true(journal_rewriting(K.j));
}

static void wait_done(void)
{
    while (!O.done)
        loop_turn_wait(K.loop);
    assert_false(journal_rewriting(K.j));
}

static void fill(int from)
{
    for (int i = 0; i < 500; i++)
        set(i % 2, i % KEYS, from + i);
}

static int begin(void)
{
    O = (struct owner){0};
    open_journal(false);
    fill(1);
    return 0;
}

static void a_rewrite_is_smaller_and_says_the_same(void **state)
{
    NEED_ENGINE();
    begin();
    wait_released(journal_lsn(K.j));
    struct journal_info before, after;
    journal_get_info(K.j, &before);
    start(&hooked);
    struct err err;
    assert_int_equal(journal_rewrite_start(K.j, &plain, &err), ERR_STATE);
    uint64_t cut = journal_lsn(K.j);
    wait_done();
    assert_int_equal(O.result, 0);
    assert_int_equal(O.hooks, 1);
    assert_int_equal(O.hook_lsn, cut);
    journal_get_info(K.j, &after);
    assert_true(after.size < before.size);
    assert_int_equal(after.size, after.base_size);
    assert_int_equal(after.lsn, before.lsn); /* positions are not turned back */
    assert_int_equal(after.rewrites, 1);
    assert_true(after.last_rewrite_ok);
    assert_int_equal(count_files(".aof."), 3); /* manifest, base, increment */
    assert_int_equal(count_files("temp"), 0);
    close_journal();
    expect_load(&K.model);
    open_journal(false);
    assert_int_equal(journal_lsn(K.j), cut);
    set(1, 1, 4711);
    close_journal();
    expect_load(&K.model);
    char command[256];
    snprintf(command, sizeof command, "/usr/bin/redis-check-aof %s/appendonlydir/appendonly.aof.manifest >/dev/null",
             K.dir);
    if (access("/usr/bin/redis-check-aof", X_OK) == 0) /* Redis's own reader agrees, where there is one */
        assert_int_equal(system(command), 0);
}

static void appends_go_on_during_rewrites(void **state)
{
    NEED_ENGINE();
    begin();
    uint64_t lsn = 0;
    for (int round = 1; round <= 4; round++) {
        fill(round * 1000); /* not yet written when the rewrite starts */
        start(&plain);
        for (int i = 0; !O.done; i++) {
            lsn = set(i % 2, i % KEYS, round * 10000 + i);
            loop_turn(K.loop);
        }
        assert_int_equal(O.result, 0);
        wait_released(lsn);
        expect_load(&K.model); /* the files as they are, in front of the running journal */
    }
    assert_int_equal(count_files(".aof."), 3);
    close_journal();
    expect_load(&K.model);
}

static void every_increment_selects_its_database(void **state)
{
    NEED_ENGINE();
    begin();
    set(1, 5, 55);
    start(&plain);
    set(1, 6, 66); /* the same database, in the next file */
    wait_done();
    close_journal();
    expect_load(&K.model);
}

static void an_empty_journal_can_be_rewritten(void **state)
{
    NEED_ENGINE();
    O = (struct owner){0};
    open_journal(false);
    start(&plain);
    wait_done();
    assert_int_equal(O.result, 0);
    set(0, 1, 1);
    start(&plain);
    wait_done();
    start(&plain); /* nothing appended since: the increment stays */
    wait_done();
    assert_int_equal(O.result, 0);
    assert_int_equal(count_files(".aof."), 3);
    close_journal();
    expect_load(&K.model);
}

static void a_failing_child_leaves_the_old_files_in_force(void **state)
{
    NEED_ENGINE();
    begin();
    O.emit_fails = true;
    start(&plain);
    fill(5000);
    wait_done();
    assert_int_equal(O.result, ERR_GENERIC);
    assert_string_equal(O.err.msg, "the keyspace said no");
    journal_set_auto_rewrite(K.j, 1, 0);
    assert_false(journal_wants_rewrite(K.j)); /* not again at once */
    set(0, 3, 33);
    wait_released(journal_lsn(K.j));
    expect_load(&K.model);
    O.emit_fails = false;
    start(&plain); /* asked for, it is tried, and covers both increments */
    wait_done();
    assert_int_equal(O.result, 0);
    while (count_files("temp"))
        loop_turn_wait(K.loop);
    assert_int_equal(count_files(".aof."), 3);
    close_journal();
    expect_load(&K.model);
}

static void a_killed_child_leaves_the_old_files_in_force(void **state)
{
    NEED_ENGINE();
    begin();
    O.emit_waits = true;
    start(&plain);
    loop_turn(K.loop);
    /* the only child of this process */
    siginfo_t who = {0};
    char path[64], children[64] = "";
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    FILE *f = fopen(path, "r");
    if (!f || !fgets(children, sizeof children, f)) {
        journal_rewrite_cancel(K.j);
        skip(); /* this kernel does not list children */
    }
    fclose(f);
    assert_int_equal(kill(atoi(children), SIGKILL), 0);
    wait_done();
    assert_int_equal(O.result, ERR_IO);
    assert_non_null(strstr(O.err.msg, "killed by signal 9"));
    assert_int_equal(waitid(P_ALL, 0, &who, WEXITED | WNOHANG), -1); /* no zombie */
    O.emit_waits = false;
    fill(7000);
    close_journal();
    expect_load(&K.model);
}

static void a_rewrite_can_be_cancelled(void **state)
{
    NEED_ENGINE();
    begin();
    O.emit_waits = true;
    start(&plain);
    fill(300);
    journal_rewrite_cancel(K.j);
    assert_int_equal(O.done, 1);
    assert_int_equal(O.result, ERR_CANCELLED);
    assert_false(journal_rewriting(K.j));
    journal_rewrite_cancel(K.j);
    assert_int_equal(O.done, 1);
    wait_released(set(0, 1, 1));
    close_journal();
    expect_load(&K.model);
}

static void close_ends_the_child(void **state)
{
    NEED_ENGINE();
    begin();
    O.emit_waits = true;
    start(&plain);
    loop_turn(K.loop);
    fill(300);
    close_journal();
    assert_int_equal(O.done, 0);
    assert_int_equal(count_files("temp"), 0);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    expect_load(&K.model);
}

static void the_switch_waits_for_the_owner(void **state)
{
    NEED_ENGINE();
    begin();
    O.answer_later = true;
    start(&hooked);
    while (!O.hooks)
        loop_turn_wait(K.loop);
    for (int i = 0; i < 3; i++)
        wait_released(set(0, i, 9000 + i));
    assert_int_equal(O.done, 0);
    assert_int_equal(count_files(".base."), 1); /* the temporary one */
    journal_rewrite_go_on(K.j, true);
    wait_done();
    assert_int_equal(O.result, 0);
    expect_load(&K.model);
    start(&hooked);
    while (!O.hooks)
        loop_turn_wait(K.loop);
    journal_rewrite_go_on(K.j, false);
    assert_int_equal(O.result, ERR_CANCELLED);
    journal_rewrite_go_on(K.j, true); /* too late */
    wait_released(set(0, 1, 1));
    close_journal();
    expect_load(&K.model);
}

static void no_rewrite_inside_a_transaction(void **state)
{
    NEED_ENGINE();
    struct err err;
    begin();
    word("MULTI");
    set(0, 1, 1);
    assert_int_equal(journal_rewrite_start(K.j, &plain, &err), ERR_STATE);
    word("EXEC");
    start(&plain);
    wait_done();
    assert_int_equal(O.result, 0);
}

static void limit_file_size(rlim_t bytes)
{
    struct rlimit l;
    getrlimit(RLIMIT_FSIZE, &l);
    l.rlim_cur = bytes;
    setrlimit(RLIMIT_FSIZE, &l);
}

/* No room for what is left of the old increment when the rewrite starts: the cut comes when there is. */
static void a_full_disk_delays_the_cut(void **state)
{
    NEED_ENGINE();
    begin();
    wait_released(journal_lsn(K.j));
    set(0, 1, 77);
    start(&plain);
    limit_file_size(100);
    uint64_t lsn = set(0, 2, 88);
    while (!journal_failed(K.j, NULL))
        loop_turn_wait(K.loop);
    limit_file_size(RLIM_INFINITY);
    wait_released(lsn);
    wait_done();
    assert_false(journal_failed(K.j, NULL));
    set(1, 3, 99);
    close_journal();
    expect_load(&K.model);
}

static void limit_descriptors(rlim_t n)
{
    struct rlimit l;
    getrlimit(RLIMIT_NOFILE, &l);
    l.rlim_cur = n;
    setrlimit(RLIMIT_NOFILE, &l);
}

/* The next increment cannot be created: writes are held back, not lost, until it can. */
static void a_cut_that_fails_is_tried_again(void **state)
{
    NEED_ENGINE();
    begin();
    struct err err;
    struct rlimit was;
    getrlimit(RLIMIT_NOFILE, &was);
    start(&plain);
    uint64_t cut = journal_lsn(K.j), lsn = set(0, 2, 88);
    limit_descriptors(3);
    while (!journal_failed(K.j, &err))
        loop_turn_wait(K.loop);
    assert_non_null(strstr(err.msg, "cannot create the journal file"));
    while (journal_released_lsn(K.j) < cut) /* what was before the cut is in the old increment */
        loop_turn_wait(K.loop);
    assert_int_equal(journal_released_lsn(K.j), cut);
    assert_int_equal(O.done, 0);
    limit_descriptors(was.rlim_cur);
    wait_released(lsn);
    wait_done();
    assert_int_equal(O.result, 0);
    assert_false(journal_failed(K.j, NULL));
    close_journal();
    expect_load(&K.model);
}

static void a_cut_that_never_came_is_forgotten_at_the_end(void **state)
{
    NEED_ENGINE();
    begin();
    struct rlimit was;
    getrlimit(RLIMIT_NOFILE, &was);
    O.emit_waits = true;
    start(&plain);
    set(0, 2, 88);
    limit_descriptors(3);
    while (!journal_failed(K.j, NULL))
        loop_turn_wait(K.loop);
    limit_descriptors(was.rlim_cur);
    close_journal();
    expect_load(&K.model);
    open_journal(false);
    set(0, 3, 99);
    close_journal();
    expect_load(&K.model);
}

static void growth_asks_for_a_rewrite(void **state)
{
    NEED_ENGINE();
    begin();
    assert_false(journal_wants_rewrite(K.j)); /* percentage 0 */
    journal_set_auto_rewrite(K.j, 100, 1u << 30);
    assert_false(journal_wants_rewrite(K.j)); /* below the smallest size */
    journal_set_auto_rewrite(K.j, 100, 1000);
    assert_true(journal_wants_rewrite(K.j));
    start(&plain);
    assert_false(journal_wants_rewrite(K.j));
    wait_done();
    assert_false(journal_wants_rewrite(K.j));
    struct journal_info info;
    do {
        set(0, 1, 1);
        journal_get_info(K.j, &info);
    } while (!journal_wants_rewrite(K.j));
    assert_true(info.size >= 2 * info.base_size);
    assert_true(info.size < 2 * info.base_size + 100);
}

/* What the folder holds stays in force until a journal opened fresh has its base. */
static void a_fresh_journal_replaces_the_old_one_at_its_first_base(void **state)
{
    NEED_ENGINE();
    begin();
    close_journal();
    struct model old = K.model;
    memset(&K.model, 0, sizeof K.model);
    K.model.v[0][9] = 999; /* the keyspace came from elsewhere */
    for (int attempt = 0; attempt < 3; attempt++) {
        open_journal(true);
        assert_false(journal_has_base(K.j));
        assert_true(journal_wants_rewrite(K.j));
        wait_released(set(1, attempt, attempt + 1));
        if (attempt > 0) { /* a first rewrite that fails makes no difference */
            O.emit_fails = true;
            start(&plain);
            wait_released(set(1, 10 + attempt, 5));
            wait_done();
            assert_int_not_equal(O.result, 0);
            O.emit_fails = false;
            expect_load(&old);
        }
        if (attempt < 2) {
            close_journal();
            expect_load(&old);
        }
    }
    set(0, 20, 20);
    start(&plain);
    uint64_t lsn = set(0, 21, 21);
    wait_done();
    assert_int_equal(O.result, 0);
    assert_true(journal_has_base(K.j));
    wait_released(lsn);
    expect_load(&K.model);
    set(0, 22, 22);
    close_journal();
    expect_load(&K.model);
    open_journal(false);
    assert_int_equal(count_files(".aof."), 3);
}

static void a_fresh_journal_in_an_empty_folder(void **state)
{
    NEED_ENGINE();
    O = (struct owner){0};
    K.model.v[0][1] = 1;
    open_journal(true);
    wait_released(set(0, 2, 2));
    close_journal(); /* a crash before the first base: the next start is not refused */
    struct model m, none = {0};
    struct journal_stats st;
    struct err err;
    assert_int_equal(load(&m, &st, &err), 0);
    assert_false(st.found);
    assert_memory_equal(&m, &none, sizeof m);
    open_journal(true);
    start(&plain);
    wait_done();
    assert_int_equal(O.result, 0);
    close_journal();
    expect_load(&K.model);
}

static void history_is_removed_at_the_next_start(void **state)
{
    NEED_ENGINE();
    begin();
    close_journal();
    size_t n;
    char *text = read_file("appendonly.aof.manifest", &n), more[512];
    int m = snprintf(more, sizeof more, "%sfile appendonly.aof.9.base.aof seq 9 type h lsn 0\n", text);
    free(text);
    write_file("appendonly.aof.manifest", more, (size_t)m);
    write_file("appendonly.aof.9.base.aof", "old", 3);
    expect_load(&K.model);
    open_journal(false);
    assert_int_equal(count_files(".base."), 0);
    text = read_file("appendonly.aof.manifest", &n);
    assert_null(strstr(text, "type h"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(a_rewrite_is_smaller_and_says_the_same),
        BOTH(appends_go_on_during_rewrites),
        BOTH(every_increment_selects_its_database),
        BOTH(an_empty_journal_can_be_rewritten),
        BOTH(a_failing_child_leaves_the_old_files_in_force),
        BOTH(a_killed_child_leaves_the_old_files_in_force),
        BOTH(a_rewrite_can_be_cancelled),
        BOTH(close_ends_the_child),
        BOTH(the_switch_waits_for_the_owner),
        BOTH(no_rewrite_inside_a_transaction),
        BOTH(a_full_disk_delays_the_cut),
        BOTH(a_cut_that_fails_is_tried_again),
        BOTH(a_cut_that_never_came_is_forgotten_at_the_end),
        BOTH(growth_asks_for_a_rewrite),
        BOTH(a_fresh_journal_replaces_the_old_one_at_its_first_base),
        BOTH(a_fresh_journal_in_an_empty_folder),
        BOTH(history_is_removed_at_the_next_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
