/* Secrets at rest: what is sealed opens again, only for the same thing, only whole; the key file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/seal.h"
#include "base/mem.h"

#define SECRET SLICE("sk-a-secret-that-nobody-shall-see")

static void test_round_trip(void **state)
{
    struct err err;
    struct buf a = {0}, b = {0}, open = {0};
    struct stat st;
    assert_int_equal(seal_open(SLICE("AAAA"), SLICE("m"), &open, &err), ERR_IO); /* no file, and none is made */
    assert_int_equal(access("secret.key", F_OK), -1);
    assert_int_equal(seal_text(SECRET, SLICE("m"), &a, &err), 0);
    assert_int_equal(stat("secret.key", &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(st.st_size, 65);
    assert_int_equal(seal_text(SECRET, SLICE("m"), &b, &err), 0);
    assert_false(slice_eq(buf_slice(&a), buf_slice(&b))); /* a nonce of its own */
    assert_null(memmem(a.p, a.len, "secret", 6));
    buf_add_str(&open, "before ");
    assert_int_equal(seal_open(buf_slice(&a), SLICE("m"), &open, &err), 0);
    assert_int_equal(seal_open(buf_slice(&b), SLICE("m"), &open, &err), 0);
    assert_string_equal(buf_cstr(&open), "before sk-a-secret-that-nobody-shall-seesk-a-secret-that-nobody-shall-see");
    buf_clear(&open);
    assert_int_equal(seal_open(buf_slice(&a), SLICE("other"), &open, &err), ERR_STATE);
    assert_int_equal(open.len, 0);
    buf_release(&a);
    buf_release(&b);
    buf_release(&open);
}

static void test_damage(void **state)
{
    struct err err;
    struct buf a = {0}, open = {0};
    assert_int_equal(seal_text(SECRET, SLICE("m"), &a, &err), 0);
    for (size_t i = 0; i < a.len; i++) {
        char was = a.p[i];
        assert_int_equal(seal_open(slice_of(a.p, i), SLICE("m"), &open, &err), ERR_STATE);
        a.p[i] = was == 'A' ? 'Q' : 'A';
        assert_int_equal(seal_open(buf_slice(&a), SLICE("m"), &open, &err), ERR_STATE);
        a.p[i] = was;
    }
    assert_int_equal(open.len, 0);
    assert_int_equal(seal_open(buf_slice(&a), SLICE("m"), &open, &err), 0);
    buf_release(&a);
    buf_release(&open);
}

static void test_limits(void **state)
{
    struct err err;
    struct buf a = {0};
    char *large = mem_zero(SEAL_TEXT_MAX + 1);
    assert_int_equal(seal_text(SLICE(""), SLICE("m"), &a, &err), ERR_INVALID);
    assert_int_equal(seal_text(slice_of(large, SEAL_TEXT_MAX + 1), SLICE("m"), &a, &err), ERR_INVALID);
    assert_int_equal(seal_text(slice_of(large, SEAL_TEXT_MAX), SLICE(""), &a, &err), 0);
    mem_free(large);
    buf_release(&a);
}

static char folder[] = "/tmp/skald-seal-XXXXXX";

static int setup(void **state)
{
    seal_settings();
    return mkdtemp(folder) ? chdir(folder) : -1;
}

static int teardown(void **state)
{
    unlink("secret.key");
    return chdir("/") == 0 ? rmdir(folder) : -1; /* nothing else was left behind */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
