/* Forms: what browsers and SDKs send, and what is not a form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/buf.h"
#include "net/multipart.h"

#define TYPE "multipart/form-data; boundary=xYx"

static struct multipart parts[MULTIPART_PARTS];
static int n;

static int parse(const char *type, const char *body)
{
    struct err err;
    return multipart_parse(type, slice_str(body), parts, &n, &err);
}

static void is(struct slice got, const char *want)
{
    assert_true(slice_eq(got, slice_str(want)));
}

static void test_parts(void **state)
{
    const char *body = "--xYx\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper\r\n"
                       "--xYx\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a;b.wav\"\r\n"
                       "Content-Type: audio/wav\r\n\r\nRIFF\r\n--xY\r\n\r\nmore\r\n"
                       "--xYx\r\nContent-Disposition: form-data; name=plain ; x=y\r\n\r\n\r\n--xYx--\r\n";
    assert_int_equal(parse(TYPE, body), 0);
    assert_int_equal(n, 3);
    is(multipart_find(parts, n, "model")->data, "whisper");
    const struct multipart *file = multipart_find(parts, n, "file");
    is(file->filename, "a;b.wav");
    is(file->type, "audio/wav");
    is(file->data, "RIFF\r\n--xY\r\n\r\nmore");
    is(multipart_find(parts, n, "plain")->data, "");
    assert_null(multipart_find(parts, n, "Model"));
    assert_int_equal(parse("Multipart/Form-Data; charset=utf-8; Boundary=\"xYx\"", body), 0);
    assert_int_equal(parse(TYPE, "a preamble\r\n--xYx\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--xYx--"),
                     0);
    assert_int_equal(n, 1);
    assert_int_equal(parse(TYPE, "--xYx--"), 0);
    assert_int_equal(n, 0);
}

static void test_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "nothing",
        "--xYx",
        "--xYx\r\n",
        "--xYx\r\nContent-Disposition: form-data; name=a\r\n\r\nno end",
        "--xYx\r\nContent-Disposition: form-data; name=a\r\n--xYx--",
        "--xYx\r\nContent-Type: text/plain\r\n\r\nno name\r\n--xYx--",
        "--xYx junk\r\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(parse(TYPE, bad[i]), ERR_INVALID);
    assert_int_equal(parse(NULL, "--xYx--"), ERR_INVALID);
    assert_int_equal(parse("application/json", "--xYx--"), ERR_INVALID);
    assert_int_equal(parse("multipart/form-data", "--xYx--"), ERR_INVALID);
    assert_int_equal(parse("multipart/form-data; boundary=", "--xYx--"), ERR_INVALID);
}

static void test_limits(void **state)
{
    struct buf body = {0};
    struct err err;
    for (int i = 0; i <= MULTIPART_PARTS; i++) {
        struct buf whole = {0};
        buf_addf(&body, "--xYx\r\nContent-Disposition: form-data; name=p%d\r\n\r\n%d\r\n", i, i);
        buf_addf(&whole, "%.*s--xYx--", (int)body.len, body.p);
        assert_int_equal(multipart_parse(TYPE, buf_slice(&whole), parts, &n, &err),
                         i < MULTIPART_PARTS ? 0 : ERR_INVALID);
        buf_release(&whole);
    }
    buf_clear(&body);
    buf_add_str(&body, "--xYx\r\nContent-Disposition: form-data; name=a\r\nX: ");
    for (int i = 0; i < MULTIPART_HEAD; i++)
        buf_add_char(&body, 'x');
    buf_add_str(&body, "\r\n\r\ndata\r\n--xYx--");
    assert_int_equal(multipart_parse(TYPE, buf_slice(&body), parts, &n, &err), ERR_INVALID);
    buf_release(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
