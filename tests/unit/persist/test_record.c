/* Records, the manifest and the folder's lock: what needs no loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "persist/dirlock.h"
#include "persist/manifest.h"
#include "persist/record.h"

/* Parses an exact copy, so that a sanitizer sees a byte read too far. */
static enum record_state parse(struct record *r, const char *p, size_t n, char **copy)
{
    *copy = malloc(n ? n : 1);
    memcpy(*copy, p, n);
    return record_parse(r, *copy, n);
}

static void a_record_comes_back_as_it_was(void **state)
{
    struct slice argv[] = {SLICE("SET"), SLICE("key"), {"a\r\n\0b", 5}, {"", 0}};
    struct buf b = {0};
    struct record r = {0};
    record_encode(&b, 4, argv);
    assert_memory_equal(b.p, "*4\r\n$3\r\nSET\r\n$3\r\nkey\r\n$5\r\na\r\n\0b\r\n$0\r\n\r\n", b.len);
    size_t first = b.len;
    record_encode_select(&b, 12);
    assert_int_equal(record_parse(&r, b.p, b.len), RECORD_OK);
    assert_int_equal(r.size, first);
    assert_int_equal(r.argc, 4);
    for (int i = 0; i < 4; i++)
        assert_true(slice_eq(r.argv[i], argv[i]));
    assert_int_equal(record_parse(&r, b.p + first, b.len - first), RECORD_OK);
    assert_true(slice_is(r.argv[0], "select") && slice_is(r.argv[1], "12"));
    record_release(&r);
    buf_release(&b);
}

static void every_prefix_wants_more_and_says_how_much(void **state)
{
    const char text[] = "*3\r\n$3\r\nSET\r\n$11\r\nhello world\r\n$1\r\nx\r\n";
    size_t n = sizeof text - 1;
    for (size_t i = 0; i < n; i++) {
        struct record r = {0};
        char *copy;
        assert_int_equal(parse(&r, text, i, &copy), RECORD_MORE);
        assert_true(r.need > i);
        assert_true(r.need <= n);
        record_release(&r);
        free(copy);
    }
}

static void what_no_writer_wrote_is_bad_at_its_first_byte(void **state)
{
    static const struct {
        const char *text;
        size_t at;
    } t[] = {
        {"x", 0},
        {"*x", 1},
        {"*\r\n", 1},
        {"*0\r\n", 1},
        {"*-1\r\n", 1},
        {"*01\r\n", 3},
        {"*1\n", 2},
        {"*1\rx", 3},
        {"*99999999999", 11},
        {"*99999999\r\n", 1},
        {"*1\r\n*", 4},
        {"*1\r\n$-1\r\n", 5},
        {"*1\r\n$1\r\nab", 9},
        {"*1\r\n$1\r\na\ra", 9},
        {"*1\r\n$4294967297\r\n", 17},
        {"\0", 0},
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct record r = {0};
        char *copy;
        size_t n = t[i].text[0] ? strlen(t[i].text) : 1;
        assert_int_equal(parse(&r, t[i].text, n, &copy), RECORD_BAD);
        assert_int_equal(r.bad_at, t[i].at);
        assert_non_null(r.why);
        record_release(&r);
        free(copy);
    }
}

static void annotations_are_records_without_arguments(void **state)
{
    struct record r = {0};
    assert_int_equal(record_parse(&r, "#TS:1700000000\r\n*1", 18), RECORD_OK);
    assert_int_equal(r.size, 16);
    assert_int_equal(r.argc, 0);
    assert_int_equal(record_parse(&r, "#TS:17", 6), RECORD_MORE);
    char endless[2000];
    memset(endless, '#', sizeof endless);
    assert_int_equal(record_parse(&r, endless, sizeof endless), RECORD_BAD);
}

static void a_manifest_comes_back_as_it_was(void **state)
{
    struct manifest m = {0}, back;
    struct buf text = {0};
    struct err err;
    manifest_add(&m, 'b', "appendonly.aof.3.base.aof", 3, 500);
    manifest_add(&m, 'i', "appendonly.aof.7.incr.aof", 7, 500);
    manifest_add(&m, 'i', "appendonly.aof.8.incr.aof", 8, 900);
    manifest_add(&m, 'h', "appendonly.aof.2.base.aof", 2, 0);
    manifest_print(&text, &m);
    assert_int_equal(manifest_parse(&back, buf_slice(&text), &err), 0);
    assert_int_equal(back.n, 4);
    assert_string_equal(manifest_base(&back)->name, "appendonly.aof.3.base.aof");
    assert_int_equal(manifest_last_incr(&back)->seq, 8);
    assert_int_equal(manifest_last_incr(&back)->lsn, 900);
    assert_int_equal(manifest_max_seq(&back, 'i'), 8);
    assert_int_equal(manifest_max_seq(&back, 'h'), 2);
    manifest_release(&m);
    manifest_release(&back);
    buf_release(&text);
}

static void redis_writes_manifests_that_are_read(void **state)
{
    struct manifest m;
    struct err err;
    const char *text =
        "# a comment\nfile a.aof.1.base.rdb seq 1 type b\nfile a.aof.1.incr.aof seq 1 type i startoffset 7\n\n";
    assert_int_equal(manifest_parse(&m, slice_str(text), &err), 0);
    assert_int_equal(m.n, 2);
    assert_false(m.files[0].has_lsn);
    manifest_release(&m);
}

static void a_damaged_manifest_is_refused_by_line(void **state)
{
    static const char *const bad[] = {
        "",
        "\n",
        "nonsense\n",
        "file a.aof seq 1 type i extra\n",
        "file a.aof seq 1\n",
        "file a.aof seq 1 type\n",
        "file a.aof seq 0 type i\n",
        "file a.aof seq x type i\n",
        "file a.aof seq 1 type z\n",
        "file a.aof seq 1 type ib\n",
        "file ../a.aof seq 1 type i\n",
        "file /a.aof seq 1 type i\n",
        "file \"a.aof\" seq 1 type i\n",
        "file a.aof seq 1 type i lsn -5\n",
        "file a.aof seq 1 type i",
        "file a seq 1 type b\nfile b seq 2 type b\n",
        "file a seq 1 type i\nfile b seq 2 type b\n",
        "file a seq 2 type i\nfile b seq 1 type i\n",
        "file a seq 2 type i\nfile b seq 2 type i\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct manifest m;
        struct err err;
        assert_int_equal(manifest_parse(&m, slice_str(bad[i]), &err), ERR_IO);
        assert_null(m.files);
    }
    struct manifest m;
    struct err err;
    assert_int_equal(manifest_parse(&m, slice_str("file a seq 1 type i\n\nbroken line\n"), &err), ERR_IO);
    assert_non_null(strstr(err.msg, "line 3"));
}

static void a_manifest_is_replaced_whole(void **state)
{
    char dir[] = "/tmp/skald-manifest-XXXXXX", path[64], temp[80];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/m", dir);
    snprintf(temp, sizeof temp, "%s.temp", path);
    struct manifest m;
    struct err err;
    bool visible, found;
    assert_int_equal(manifest_read(&m, path, &found, &err), 0);
    assert_false(found);
    assert_int_equal(manifest_store(path, SLICE("file a seq 1 type i\n"), &visible, &err), 0);
    assert_int_equal(manifest_store(path, SLICE("file a seq 2 type i\n"), &visible, &err), 0);
    assert_true(visible);
    assert_int_equal(manifest_read(&m, path, &found, &err), 0);
    assert_true(found);
    assert_int_equal(m.files[0].seq, 2);
    assert_int_equal(access(temp, F_OK), -1);
    manifest_release(&m);
    assert_int_equal(manifest_store("/nonexistent/m", SLICE("x"), &visible, &err), ERR_IO);
    assert_false(visible);
    unlink(path);
    rmdir(dir);
}

static void one_server_per_folder(void **state)
{
    char dir[] = "/tmp/skald-lock-XXXXXX", path[64], pid[32];
    assert_non_null(mkdtemp(dir));
    struct err err;
    int a = dirlock_take(dir, &err);
    assert_true(a >= 0);
    assert_int_equal(dirlock_take(dir, &err), ERR_STATE);
    snprintf(pid, sizeof pid, "process %d", (int)getpid());
    assert_non_null(strstr(err.msg, pid));
    dirlock_release(a);
    a = dirlock_take(dir, &err);
    assert_true(a >= 0);
    dirlock_release(a);
    dirlock_release(-1);
    assert_int_equal(dirlock_take("/nonexistent", &err), ERR_IO);
    snprintf(path, sizeof path, "%s/.skald.lock", dir);
    unlink(path);
    rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_comes_back_as_it_was),
        cmocka_unit_test(every_prefix_wants_more_and_says_how_much),
        cmocka_unit_test(what_no_writer_wrote_is_bad_at_its_first_byte),
        cmocka_unit_test(annotations_are_records_without_arguments),
        cmocka_unit_test(a_manifest_comes_back_as_it_was),
        cmocka_unit_test(redis_writes_manifests_that_are_read),
        cmocka_unit_test(a_damaged_manifest_is_refused_by_line),
        cmocka_unit_test(a_manifest_is_replaced_whole),
        cmocka_unit_test(one_server_per_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
