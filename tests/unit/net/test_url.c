/* URLs as an allow list sees them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/url.h"

static bool allowed(const char *url, const char *patterns)
{
    struct url u;
    struct err err;
    if (url_parse(url, &u, &err) < 0)
        fail_msg("%s: %s", url, err.msg);
    return url_allowed(&u, slice_str(patterns));
}

static void parts(void **state)
{
    struct url u;
    struct err err;
    assert_int_equal(url_parse("https://API.Example.com/x?y", &u, &err), 0);
    assert_string_equal(u.host, "api.example.com");
    assert_int_equal(u.port, 443);
    assert_false(u.has_user);
    assert_int_equal(url_parse("http://me:pw@example.com:81/", &u, &err), 0);
    assert_int_equal(u.port, 81);
    assert_true(u.has_user);
    assert_int_equal(url_parse("file:///etc/passwd", &u, &err), ERR_INVALID);
    assert_int_equal(url_parse("gopher://x/", &u, &err), ERR_INVALID);
    assert_int_equal(url_parse("example.com/x", &u, &err), ERR_INVALID);
    assert_int_equal(url_parse("", &u, &err), ERR_INVALID);
}

static void patterns(void **state)
{
    assert_true(allowed("http://example.com/", "example.com"));
    assert_true(allowed("http://EXAMPLE.com./", "example.com"));
    assert_false(allowed("http://evilexample.com/", "example.com *.example.com"));
    assert_false(allowed("http://example.com.evil.org/", "example.com *.example.com"));
    assert_true(allowed("http://a.b.example.com/", "other.org *.example.com"));
    assert_false(allowed("http://example.com/", "*.example.com"));
    assert_true(allowed("http://example.com:8080/", "example.com:8080"));
    assert_false(allowed("http://example.com:8081/", "example.com:8080"));
    assert_true(allowed("https://example.com/", "example.com:443"));
    assert_true(allowed("http://[::1]:9/", "[::1]"));
    assert_true(allowed("http://[::1]:9/", "[::1]:9"));
    assert_true(allowed("http://anything/", "*"));
    assert_false(allowed("http://anything/", ""));
    assert_false(allowed("http://example.com@evil.org/", "example.com"));
    assert_false(allowed("http://evil.org/@example.com", "example.com"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(parts), cmocka_unit_test(patterns)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
