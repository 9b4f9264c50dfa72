/* Keys in what vendors say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "llm/echo.h"

static void hides(const char *key, const char *text, const char *shown)
{
    char room[256];
    struct echo e = echo_of(slice_str(key));
    memcpy(room, text, strlen(text) + 1);
    echo_hide(&e, room);
    assert_string_equal(room, shown);
}

static void test_hides(void **state)
{
    hides("sk-0123456789abcdef", "key sk-0123456789abcdef, again sk-0123456789abcdef",
          "key *******************, again *******************");
    hides("sk-0123456789abcdef", "sk-0123456789abcdef", "*******************");
    hides("sk-0123456789abcdef", "cut: sk-0123456789a", "cut: **************");
    hides("sk-0123456789abcdef", "another key sk-9876543210", "another key sk-9876543210");
    hides("sk-0123456789abcdef", "sk-0123", "sk-0123");
    hides("sk-0123456789abcdef", "", "");
    hides("secret", "my secret: secretsecret", "my ******: ************");
    hides("abc", "abc", "abc");
    hides("", "abc", "abc");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_hides)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
