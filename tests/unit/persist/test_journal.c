/* The journal: what is released when, what a load finds, and what happens when the disk refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "unit/persist/kit.h"

#define INCR1 "appendonly.aof.1.incr.aof"

/* The thread engine's fdatasync, so that a test can make it fail. io_uring does not come by here. */
static atomic_int syncs_to_fail, syncs_made;

int fdatasync(int fd)
{
    atomic_fetch_add(&syncs_made, 1);
    if (atomic_load(&syncs_to_fail) > 0) {
        atomic_fetch_sub(&syncs_to_fail, 1);
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}

/* --- appending and releasing --- */

struct seen {
    struct journal_hook hook;
    int calls;
    uint64_t released, synced;
};

static void look(void *arg)
{
    struct seen *s = arg;
    uint64_t now = journal_released_lsn(K.j), synced = journal_synced_lsn(K.j);
    assert_true(now >= s->released);
    assert_true(now > s->released || synced > s->synced);
    assert_true(journal_written_lsn(K.j) >= now);
    size_t n;
    char *file = read_file(INCR1, &n);
    assert_true(n >= now); /* what is released is in the file */
    free(file);
    s->released = now;
    s->synced = synced;
    s->calls++;
}

static void append_under(enum journal_fsync policy)
{
    struct seen seen = {.hook = {.fn = look, .arg = &seen}};
    K.o.fsync = policy;
    open_journal(false);
    journal_on_advance(K.j, &seen.hook);
    assert_int_equal(journal_lsn(K.j), 0);
    for (int round = 0; round < 20; round++) {
        uint64_t lsn = 0;
        for (int i = 0; i < 50; i++) {
            uint64_t before = lsn;
            lsn = set(round % 2, i, round * 100 + i);
            assert_true(lsn > before);
            assert_int_equal(lsn, journal_lsn(K.j));
        }
        assert_true(journal_released_lsn(K.j) < lsn); /* nothing is promised in the turn of the append */
        wait_released(lsn);
        if (policy == JOURNAL_ALWAYS)
            assert_true(journal_synced_lsn(K.j) >= lsn);
    }
    assert_true(seen.calls >= 20);
    assert_false(journal_failed(K.j, NULL));
    struct journal_info info;
    journal_get_info(K.j, &info);
    assert_int_equal(info.lsn, info.written);
    assert_int_equal(info.size, info.lsn);
    assert_true(info.groups >= 20);
    if (policy == JOURNAL_EVERYSEC)
        while (journal_synced_lsn(K.j) < journal_lsn(K.j)) /* by itself, within a second */
            loop_turn_wait(K.loop);
    if (policy != JOURNAL_NO)
        assert_int_equal(journal_backlog(K.j), 0);
    journal_unhook(&seen.hook);
    close_journal();
    expect_load(&K.model);
}

static void always_releases_what_is_synced(void **state)
{
    NEED_ENGINE();
    append_under(JOURNAL_ALWAYS);
}

static void everysec_releases_what_is_written(void **state)
{
    NEED_ENGINE();
    append_under(JOURNAL_EVERYSEC);
}

static void no_releases_what_is_written(void **state)
{
    NEED_ENGINE();
    append_under(JOURNAL_NO);
}

static void a_turn_is_one_group(void **state)
{
    NEED_ENGINE();
    open_journal(false);
    struct journal_info a, b;
    journal_get_info(K.j, &a);
    uint64_t lsn = 0;
    for (int i = 0; i < 1000; i++)
        lsn = set(0, i % KEYS, i);
    wait_released(lsn);
    journal_get_info(K.j, &b);
    assert_int_equal(b.groups - a.groups, 1);
    assert_int_equal(b.syncs - a.syncs, 1);
}

static void the_policy_changes_while_running(void **state)
{
    NEED_ENGINE();
    K.o.fsync = JOURNAL_NO;
    open_journal(false);
    wait_released(set(0, 1, 1));
    uint64_t lsn = journal_lsn(K.j);
    assert_true(journal_synced_lsn(K.j) < lsn);
    journal_set_fsync(K.j, JOURNAL_ALWAYS); /* what was written before is synced too */
    while (journal_synced_lsn(K.j) < lsn)
        loop_turn_wait(K.loop);
    assert_int_equal(journal_released_lsn(K.j), lsn);
    lsn = set(0, 2, 2);
    wait_released(lsn);
    assert_int_equal(journal_synced_lsn(K.j), lsn);
    journal_set_fsync(K.j, JOURNAL_EVERYSEC);
    wait_released(set(1, 3, 3));
    close_journal();
    expect_load(&K.model);
}

static void large_values_go_through(void **state)
{
    NEED_ENGINE();
    open_journal(false);
    size_t n = 3u << 20;
    char *big = malloc(n);
    memset(big, 'x', n);
    struct slice argv[] = {SLICE("APPEND"), SLICE("k"), {big, n}};
    for (int i = 0; i < 4; i++)
        journal_append(K.j, 0, 3, argv);
    wait_released(journal_lsn(K.j));
    size_t len;
    char *file = read_file(INCR1, &len);
    assert_int_equal(len, journal_lsn(K.j));
    assert_memory_equal(file + len - 2 - n, big, n);
    free(file);
    free(big);
}

static void close_writes_what_is_left_and_open_goes_on(void **state)
{
    NEED_ENGINE();
    uint64_t end = 0;
    for (int round = 0; round < 3; round++) {
        open_journal(false);
        assert_int_equal(journal_lsn(K.j), end);
        assert_int_equal(journal_released_lsn(K.j), end);
        set(1, round, 7);
        end = set(0, round, round + 1);
        close_journal(); /* without a turn of the loop */
        expect_load(&K.model);
    }
    size_t n;
    char *file = read_file(INCR1, &n);
    assert_int_equal(n, end);
    assert_memory_equal(file, "*2\r\n$6\r\nSELECT\r\n$1\r\n1\r\n*3\r\n$3\r\nSET\r\n", 36);
    free(file);
}

/* --- loading --- */

struct list_of {
    int n;
    struct {
        int db;
        char text[32];
        uint64_t lsn;
    } c[64];
};

static int apply_list(void *arg, int db, int argc, const struct slice *argv, uint64_t lsn, struct err *err)
{
    struct list_of *l = arg;
    l->c[l->n].db = db;
    l->c[l->n].lsn = lsn;
    snprintf(l->c[l->n].text, 32, "%.*s/%d", (int)argv[argc - 1].len, argv[argc - 1].p, argc);
    l->n++;
    return 0;
}

static void a_load_tells_database_and_position(void **state)
{
    NEED_ENGINE();
    open_journal(false);
    uint64_t lsn[4];
    lsn[0] = set(0, 1, 11);
    lsn[1] = set(1, 2, 22);
    word("MULTI");
    lsn[2] = set(1, 3, 33);
    word("EXEC");
    lsn[3] = set(0, 4, 44);
    close_journal();
    struct list_of l = {0};
    struct journal_stats st;
    struct err err;
    assert_int_equal(journal_load(&K.o, apply_list, &l, &st, &err), 0);
    assert_int_equal(l.n, 4);
    for (int i = 0; i < 4; i++) {
        char text[32];
        snprintf(text, sizeof text, "%d/3", (i + 1) * 11);
        assert_string_equal(l.c[i].text, text);
        assert_int_equal(l.c[i].db, i == 1 || i == 2);
        assert_int_equal(l.c[i].lsn, lsn[i]);
    }
    assert_true(st.found);
    assert_int_equal(st.commands, 4);
    assert_int_equal(st.lsn, lsn[3]);
    assert_int_equal(st.cut_bytes, 0);
}

static void no_journal_is_no_error(void **state)
{
    struct model m;
    struct journal_stats st;
    struct err err;
    assert_int_equal(load(&m, &st, &err), 0);
    assert_false(st.found);
}

/* Writes a journal of plain SETs; returns its bytes and where the last record begins. */
static char *sample(size_t *n, size_t *last)
{
    open_journal(false);
    for (int i = 0; i < 5; i++)
        *last = (size_t)set(0, i, i + 100);
    set(0, 5, 123456);
    close_journal();
    return read_file(INCR1, n);
}

static void a_tail_torn_at_any_byte_is_cut(void **state)
{
    NEED_ENGINE();
    size_t n, last;
    char *bytes = sample(&n, &last);
    struct model without = K.model;
    without.v[0][5] = 0;
    for (size_t at = last + 1; at < n; at++) {
        struct model m;
        struct journal_stats st;
        struct err err;
        write_file(INCR1, bytes, at);
        K.o.refuse_torn = true;
        assert_int_equal(load(&m, &st, &err), ERR_IO);
        assert_non_null(strstr(err.msg, "aof-load-truncated"));
        K.o.refuse_torn = false;
        assert_int_equal(load(&m, &st, &err), 0);
        assert_int_equal(st.cut_bytes, at - last);
        assert_int_equal(st.lsn, last);
        assert_memory_equal(&m, &without, sizeof m);
        size_t now;
        free(read_file(INCR1, &now));
        assert_int_equal(now, last);
        assert_int_equal(load(&m, &st, &err), 0); /* and a second load finds nothing to cut */
        assert_int_equal(st.cut_bytes, 0);
    }
    open_journal(false); /* the journal goes on after the cut */
    assert_int_equal(journal_lsn(K.j), last);
    set(0, 5, 9);
    close_journal();
    expect_load(&K.model);
    free(bytes);
}

static void a_tail_of_zero_bytes_is_cut(void **state)
{
    NEED_ENGINE();
    size_t n, last;
    char *bytes = sample(&n, &last);
    struct model m, without = K.model;
    struct journal_stats st;
    struct err err;
    without.v[0][5] = 0;
    bytes = realloc(bytes, n + 5000);
    memset(bytes + n, 0, 5000);
    write_file(INCR1, bytes, n + 5000);
    assert_int_equal(load(&m, &st, &err), 0);
    assert_int_equal(st.cut_bytes, 5000);
    assert_memory_equal(&m, &K.model, sizeof m);
    memset(bytes + last + 20, 0, n - last - 20); /* the last record's end among them */
    write_file(INCR1, bytes, n + 5000);
    assert_int_equal(load(&m, &st, &err), 0);
    assert_int_equal(st.lsn, last);
    assert_memory_equal(&m, &without, sizeof m);
    free(bytes);
}

static void any_other_damage_is_refused(void **state)
{
    NEED_ENGINE();
    size_t n, last;
    char *bytes = sample(&n, &last);
    for (size_t at = 0; at < last; at++) {
        struct model m;
        struct journal_stats st;
        struct err err = {0};
        char was = bytes[at];
        bytes[at] = '~';
        write_file(INCR1, bytes, n);
        int r = load(&m, &st, &err);
        bytes[at] = was;
        assert_int_not_equal(r, 0); /* the framing or the command itself is wrong, and either is seen */
        assert_non_null(strstr(err.msg, INCR1));
        assert_non_null(strstr(err.msg, "offset"));
        size_t now;
        free(read_file(INCR1, &now));
        assert_int_equal(now, n); /* what is refused is not touched */
    }
    free(bytes);
}

/* A length that grew makes the rest of the file look like one unfinished argument. */
static void a_wrong_length_is_not_taken_for_a_torn_tail(void **state)
{
    NEED_ENGINE();
    size_t n, last;
    char *bytes = sample(&n, &last);
    struct model m;
    struct journal_stats st;
    struct err err;
    char *dollar = memchr(bytes + 23, '$', n - 23);
    struct {
        char first[8];
    } was;
    memcpy(&was, dollar, 8);
    char *longer = malloc(n + 6);
    size_t head = (size_t)(dollar - bytes);
    memcpy(longer, bytes, head);
    memcpy(longer + head, "$3000000", 8);
    memcpy(longer + head + 8, dollar + 2, n - head - 2);
    write_file(INCR1, longer, n + 6);
    assert_int_equal(load(&m, &st, &err), ERR_IO);
    assert_non_null(strstr(err.msg, "length is wrong"));
    free(longer);
    free(bytes);
}

static void a_transaction_is_loaded_whole_or_not_at_all(void **state)
{
    NEED_ENGINE();
    open_journal(false);
    size_t before = (size_t)set(0, 0, 1), n;
    struct model without = K.model;
    word("MULTI");
    set(0, 1, 10);
    set(1, 2, 20);
    set(0, 3, 30);
    word("EXEC");
    close_journal();
    char *bytes = read_file(INCR1, &n);
    for (size_t at = before; at <= n; at++) {
        struct model m;
        struct journal_stats st;
        struct err err;
        write_file(INCR1, bytes, at);
        assert_int_equal(load(&m, &st, &err), 0);
        assert_memory_equal(&m, at == n ? &K.model : &without, sizeof m);
        assert_int_equal(st.lsn, at == n ? n : before);
    }
    free(bytes);
}

static void broken_transactions_are_refused(void **state)
{
    NEED_ENGINE();
    static const char *const bad[] = {
        "*1\r\n$5\r\nMULTI\r\n*1\r\n$5\r\nMULTI\r\n*1\r\n$4\r\nEXEC\r\n",
        "*1\r\n$4\r\nEXEC\r\n",
        "*2\r\n$6\r\nSELECT\r\n$1\r\nx\r\n",
        "*2\r\n$6\r\nSELECT\r\n$2\r\n-1\r\n",
        "*1\r\n$3\r\nFOO\r\n",
        "*1\r\n$5\r\nMULTI\r\n*1\r\n$3\r\nFOO\r\n*1\r\n$4\r\nEXEC\r\n",
    };
    open_journal(false);
    close_journal();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct model m;
        struct journal_stats st;
        struct err err;
        write_file(INCR1, bad[i], strlen(bad[i]));
        assert_true(load(&m, &st, &err) < 0);
        assert_non_null(strstr(err.msg, "offset"));
    }
}

static void files_that_do_not_fit_are_refused(void **state)
{
    NEED_ENGINE();
    struct model m;
    struct journal_stats st;
    struct err err;
    char a[] = "*3\r\n$3\r\nSET\r\n$1\r\n1\r\n$1\r\n5\r\n", path[512];
    size_t n = sizeof a - 1;
    open_journal(false);
    close_journal();
#define MANIFEST "appendonly.aof.manifest"
    const char *two = "file b seq 1 type b lsn 0\nfile i1 seq 1 type i lsn 0\nfile i2 seq 2 type i lsn 29\n";
    assert_int_equal(n, 27);
    two = "file b seq 1 type b lsn 0\nfile i1 seq 1 type i lsn 0\nfile i2 seq 2 type i lsn 27\n";
    write_file(MANIFEST, two, strlen(two));
    write_file("b", a, n);
    write_file("i1", a, n);
    write_file("i2", a, n);
    assert_int_equal(load(&m, &st, &err), 0);
    assert_int_equal(st.files, 3);
    assert_int_equal(st.lsn, 2 * n);
    write_file("b", a, n - 3); /* a base is whole or nothing */
    assert_int_equal(load(&m, &st, &err), ERR_IO);
    assert_non_null(strstr(err.msg, "b is damaged at offset 0"));
    write_file("b", a, n);
    write_file("i1", a, n - 3); /* so is an increment that is not the last */
    assert_int_equal(load(&m, &st, &err), ERR_IO);
    assert_non_null(strstr(err.msg, "i1 is damaged"));
    write_file("i1", a, 0); /* whole commands, but not all of them */
    assert_int_equal(load(&m, &st, &err), ERR_IO);
    assert_non_null(strstr(err.msg, "i2 starts at position 27"));
    write_file("i1", a, n);
    file_path(path, "i1");
    unlink(path);
    assert_int_equal(load(&m, &st, &err), ERR_IO);
    assert_non_null(strstr(err.msg, "i1, which is missing"));
    write_file("i1", "REDIS0011", 9);
    assert_int_equal(load(&m, &st, &err), ERR_IO);
    assert_non_null(strstr(err.msg, "snapshot"));
    write_file(MANIFEST, "file b sequence\n", 16);
    assert_int_equal(load(&m, &st, &err), ERR_IO);
    assert_non_null(strstr(err.msg, "line 1"));
    write_file("appendonly.aof.1.incr.aof", a, n);
    file_path(path, MANIFEST);
    unlink(path);
    assert_int_equal(load(&m, &st, &err), ERR_IO); /* files without a manifest are not taken for nothing */
    assert_non_null(strstr(err.msg, "no manifest"));
}

static void names_are_checked(void **state)
{
    struct model m;
    struct journal_stats st;
    struct err err;
    static const char *const bad[] = {"", "a/b", "..", "a b", ".x", "a\nb"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        K.o.dirname = bad[i];
        assert_int_equal(load(&m, &st, &err), ERR_INVALID);
        K.o.dirname = "d";
        K.o.filename = bad[i];
        assert_int_equal(load(&m, &st, &err), ERR_INVALID);
        K.o.filename = "f";
    }
}

static void many_records_cross_the_reading_window(void **state)
{
    NEED_ENGINE();
    K.o.fsync = JOURNAL_NO;
    open_journal(false);
    for (int i = 0; i < 100000; i++) {
        if (i % 1000 == 0)
            word("MULTI");
        set(i / 7 % 2, i % KEYS, i);
        if (i % 1000 == 999)
            word("EXEC");
    }
    close_journal();
    expect_load(&K.model);
}

static void redis_check_aof_reads_our_files(void **state)
{
    NEED_ENGINE();
    char command[256];
    if (access("/usr/bin/redis-check-aof", X_OK) < 0) {
        print_message("redis-check-aof is not installed\n");
        skip();
    }
    open_journal(false);
    for (int i = 0; i < 50; i++)
        set(i % 2, i, i);
    close_journal();
    snprintf(command, sizeof command, "/usr/bin/redis-check-aof %s/appendonlydir/appendonly.aof.manifest >/dev/null",
             K.dir);
    assert_int_equal(system(command), 0);
}

/* --- when the disk refuses --- */

static void limit_file_size(rlim_t bytes)
{
    struct rlimit l;
    getrlimit(RLIMIT_FSIZE, &l);
    l.rlim_cur = bytes;
    setrlimit(RLIMIT_FSIZE, &l);
}

static void a_write_that_fails_is_made_later(void **state)
{
    NEED_ENGINE();
    open_journal(false);
    wait_released(set(0, 0, 1));
    uint64_t good = journal_lsn(K.j);
    limit_file_size((rlim_t)good + 10); /* the next record fits in part */
    uint64_t lsn = set(0, 1, 2);
    struct err err;
    while (!journal_failed(K.j, NULL))
        loop_turn_wait(K.loop);
    assert_true(journal_failed(K.j, &err));
    assert_non_null(strstr(err.msg, strerror(EFBIG)));
    lsn = set(0, 2, 3);
    for (int i = 0; i < 2; i++)
        loop_turn_wait(K.loop);
    assert_true(journal_failed(K.j, NULL));
    assert_int_equal(journal_released_lsn(K.j), good);
    assert_true(journal_backlog(K.j) >= lsn - good);
    limit_file_size(RLIM_INFINITY);
    wait_released(lsn);
    while (journal_failed(K.j, NULL))
        loop_turn_wait(K.loop);
    assert_int_equal(journal_backlog(K.j), 0);
    close_journal();
    expect_load(&K.model);
}

static void what_a_half_write_left_is_a_torn_tail(void **state)
{
    NEED_ENGINE();
    open_journal(false);
    wait_released(set(0, 0, 1));
    struct model good = K.model;
    limit_file_size((rlim_t)journal_lsn(K.j) + 10);
    set(0, 1, 2);
    while (!journal_failed(K.j, NULL))
        loop_turn_wait(K.loop);
    close_journal(); /* says in the log what is lost */
    limit_file_size(RLIM_INFINITY);
    struct model m;
    struct journal_stats st;
    struct err err;
    assert_int_equal(load(&m, &st, &err), 0);
    assert_int_equal(st.cut_bytes, 10);
    assert_memory_equal(&m, &good, sizeof m);
}

/* The kernel drops pages that it could not write: played by zeroing them after the failed sync. */
static void after_a_failed_sync_the_bytes_are_written_again(enum journal_fsync policy)
{
    K.o.fsync = policy;
    open_journal(false);
    wait_released(set(0, 0, 1));
    while (journal_synced_lsn(K.j) < journal_lsn(K.j))
        loop_turn_wait(K.loop);
    uint64_t good = journal_lsn(K.j), lsn = set(0, 1, 2);
    atomic_store(&syncs_to_fail, 1);
    while (!journal_failed(K.j, NULL))
        loop_turn_wait(K.loop);
    assert_int_equal(journal_synced_lsn(K.j), good);
    char path[512], zeros[64] = {0};
    file_path(path, INCR1);
    int fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, zeros, (size_t)(lsn - good), (off_t)good), lsn - good);
    close(fd);
    lsn = set(0, 2, 3);
    while (journal_synced_lsn(K.j) < lsn)
        loop_turn_wait(K.loop);
    assert_false(journal_failed(K.j, NULL));
    assert_int_equal(journal_backlog(K.j), 0);
    expect_load(&K.model);
}

static void always_survives_a_failed_sync(void **state)
{
    after_a_failed_sync_the_bytes_are_written_again(JOURNAL_ALWAYS);
}

static void everysec_survives_a_failed_sync(void **state)
{
    after_a_failed_sync_the_bytes_are_written_again(JOURNAL_EVERYSEC);
}

static void a_sync_that_keeps_failing_keeps_the_journal_failed(void **state)
{
    open_journal(false);
    atomic_store(&syncs_to_fail, 3);
    int before = atomic_load(&syncs_made);
    uint64_t lsn = set(0, 1, 2);
    while (!journal_failed(K.j, NULL))
        loop_turn_wait(K.loop);
    while (atomic_load(&syncs_made) < before + 3) {
        assert_true(journal_failed(K.j, NULL));
        assert_true(journal_released_lsn(K.j) < lsn);
        loop_turn_wait(K.loop);
    }
    wait_released(lsn);
    assert_false(journal_failed(K.j, NULL));
}

#define THREAD_ONLY(test)                                                                                              \
    {                                                                                                                  \
#test, test, up_thread, down, NULL                                                                             \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(always_releases_what_is_synced),
        BOTH(everysec_releases_what_is_written),
        BOTH(no_releases_what_is_written),
        BOTH(a_turn_is_one_group),
        BOTH(the_policy_changes_while_running),
        BOTH(large_values_go_through),
        BOTH(close_writes_what_is_left_and_open_goes_on),
        BOTH(a_load_tells_database_and_position),
        THREAD_ONLY(no_journal_is_no_error),
        THREAD_ONLY(a_tail_torn_at_any_byte_is_cut),
        THREAD_ONLY(a_tail_of_zero_bytes_is_cut),
        THREAD_ONLY(any_other_damage_is_refused),
        THREAD_ONLY(a_wrong_length_is_not_taken_for_a_torn_tail),
        THREAD_ONLY(a_transaction_is_loaded_whole_or_not_at_all),
        THREAD_ONLY(broken_transactions_are_refused),
        THREAD_ONLY(files_that_do_not_fit_are_refused),
        THREAD_ONLY(names_are_checked),
        BOTH(many_records_cross_the_reading_window),
        THREAD_ONLY(redis_check_aof_reads_our_files),
        BOTH(a_write_that_fails_is_made_later),
        BOTH(what_a_half_write_left_is_a_torn_tail),
        THREAD_ONLY(always_survives_a_failed_sync),
        THREAD_ONLY(everysec_survives_a_failed_sync),
        THREAD_ONLY(a_sync_that_keeps_failing_keeps_the_journal_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
