/* Users: rules, what they allow, how they are described, and that a description makes the same user again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "auth/user.h"
#include "base/num.h"
#include "base/setting.h"
#include "unit/auth/catalog.h"

#define MAX_WORDS 32

static int split(const char *text, struct slice *words)
{
    int n = 0;
    while (*text) {
        size_t len = strcspn(text, " ");
        words[n++] = slice_of(text, len);
        text += len + (text[len] == ' ');
    }
    return n;
}

static struct user *make(const char *rules)
{
    struct slice words[MAX_WORDS], at;
    struct err err;
    struct user *u = user_create(SLICE("u"));
    if (user_rules(u, split(rules, words), words, &at, &err) < 0)
        fail_msg("%s: %.*s: %s", rules, (int)at.len, at.p, err.msg);
    return u;
}

static void check_commands(const char *rules, const char *want)
{
    struct user *u = make(rules);
    struct buf got = {0};
    selector_commands(user_root(u), &got);
    assert_string_equal(buf_cstr(&got), want);
    buf_release(&got);
    user_unref(u);
}

static void test_rules_are_kept_once_in_order(void **state)
{
    check_commands("", "-@all");
    check_commands("+get", "-@all +get");
    check_commands("+@all -@hash +hget", "+@all -@hash +hget");
    check_commands("+@all -@hash +hget -@hash", "+@all +hget -@hash");
    check_commands("+@all -@hash +hget +@hash", "+@all +hget +@hash");
    check_commands("+GET +get +gEt", "-@all +get");
    check_commands("+hget -set +set -hget", "-@all +set -hget");
    check_commands("+config|get +config +get", "-@all +config +get");
    check_commands("+config +config|get", "-@all +config +config|get");
    check_commands("+config +config|get -config|set +config", "-@all +config");
    check_commands("+select|0 +select|0", "-@all +select|0");
    check_commands("+select|0 +select", "-@all +select");
    check_commands("+get +@all", "+@all");
    check_commands("+get allcommands +get", "+@all +get");
    check_commands("+get nocommands", "-@all");
}

static void check_may(const char *rules, int id, const char *arg, bool want)
{
    struct user *u = make(rules);
    struct slice argv[] = {slice_str(test_name(id)), slice_str(arg)};
    if (selector_may_run(user_root(u), id, *arg ? 2 : 1, argv) != want)
        fail_msg("'%s' and %s %s: should be %d", rules, test_name(id), arg, want);
    user_unref(u);
}

static void test_commands(void **state)
{
    check_may("", GET, "", false);
    check_may("+get", GET, "", true);
    check_may("+@read", HGET, "", true);
    check_may("+@read -@hash", HGET, "", false);
    check_may("+@read -@hash", GET, "", true);
    check_may("+@all -get", GET, "", false);
    check_may("+@all -get", SET, "", true);
    check_may("+config", CONFIG_SET, "", true);
    check_may("+config -config|set", CONFIG_SET, "", false);
    check_may("+config -config|set", CONFIG_GET, "", true);
    check_may("+config|get", CONFIG_SET, "", false);
    check_may("+select|0", SELECT, "0", true);
    check_may("+select|0", SELECT, "1", false);
    check_may("+select|0", SELECT, "", false);
    check_may("+select|0 -select", SELECT, "0", false);
}

static void check_key(const char *rules, const char *key, unsigned access, bool want)
{
    struct user *u = make(rules);
    if (selector_may_use(user_root(u), slice_str(key), access) != want)
        fail_msg("'%s' and key %s (%u): should be %d", rules, key, access, want);
    user_unref(u);
}

static void test_keys(void **state)
{
    unsigned r = SELECTOR_READ, w = SELECTOR_WRITE;
    check_key("", "a", 0, false);
    check_key("~a*", "abc", r | w, true);
    check_key("~a*", "b", 0, false);
    check_key("%R~a*", "abc", r, true);
    check_key("%R~a*", "abc", w, false);
    check_key("%W~a*", "abc", 0, true);
    check_key("%R~a* %W~a*", "abc", r | w, true);
    check_key("%R~a* %W~ab*", "abc", r | w, false); /* one pattern must give all of it */
    check_key("%rw~a*", "abc", r | w, true);
    check_key("allkeys", "", r | w, true);
    check_key("allkeys resetkeys", "a", r, false);
}

static void test_channels(void **state)
{
    struct user *u = make("&news.* (&chat)");
    assert_true(user_may_hear(u, SLICE("news.today"), false));
    assert_true(user_may_hear(u, SLICE("chat"), false));
    assert_false(user_may_hear(u, SLICE("other"), false));
    assert_true(user_may_hear(u, SLICE("news.*"), true));
    assert_false(user_may_hear(u, SLICE("news.t*"), true));
    user_unref(u);
}

static void test_passwords(void **state)
{
    struct user *u = make("on >one >two >one");
    assert_int_equal(u->nhashes, 2);
    assert_true(user_password_fits(u, SLICE("two")));
    assert_false(user_password_fits(u, SLICE("three")));
    assert_int_equal(user_rule(u, SLICE("<one"), NULL), 0);
    assert_false(user_password_fits(u, SLICE("one")));
    assert_int_equal(user_rule(u, SLICE("off"), NULL), 0);
    assert_false(user_password_fits(u, SLICE("two")));
    user_unref(u);
    u = make("on >one nopass");
    assert_int_equal(u->nhashes, 0);
    assert_true(user_password_fits(u, SLICE("whatever")));
    assert_int_equal(user_rule(u, SLICE(">x"), NULL), 0);
    assert_false(user_password_fits(u, SLICE("whatever")));
    user_unref(u);
}

static void test_a_known_hash(void **state)
{
    char hex[PASSWORD_HEX + 1];
    password_hash(SLICE("abc"), hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_true(password_is_hash(slice_str(hex)));
    hex[5] = 'A';
    assert_false(password_is_hash(slice_str(hex)));
}

static void test_all_or_nothing(void **state)
{
    struct user *u = make("on ~a +get");
    struct slice at, words[] = {SLICE("off"), SLICE("+set"), SLICE("+nothing"), SLICE("~b")};
    struct buf before = {0}, after = {0};
    struct err err;
    user_describe(u, &before);
    assert_int_equal(user_rules(u, 4, words, &at, &err), ERR_INVALID);
    assert_true(slice_eq(at, SLICE("+nothing")));
    assert_string_equal(err.msg, "Unknown command or category name in ACL");
    user_describe(u, &after);
    assert_true(slice_eq(buf_slice(&before), buf_slice(&after)));
    buf_release(&before);
    buf_release(&after);
    user_unref(u);
}

static void test_selectors_may_be_spread(void **state)
{
    struct user *u = make("( +get ~a ) (+set ~b)");
    struct buf text = {0};
    user_describe(u, &text);
    assert_string_equal(buf_cstr(&text), "user u off sanitize-payload resetchannels -@all (~a resetchannels -@all +get) "
                                         "(~b resetchannels -@all +set)");
    struct slice at, open = SLICE("(+get");
    struct err err;
    assert_int_equal(user_rules(u, 1, &open, &at, &err), ERR_STATE);
    assert_string_equal(err.msg, "Unmatched parenthesis in acl selector starting at '(+get'.");
    assert_int_equal(user_rule(u, SLICE("(~a))"), &err), ERR_INVALID); /* it could not be read back */
    buf_release(&text);
    user_unref(u);
}

static void test_a_description_makes_the_same_user(void **state)
{
    static const char *const all[] = {
        "on nopass +@all ~* &*",
        "on >secret >other ~a* %R~b* %W~c* &x &y* +@read -hget +config|get +select|0",
        "skip-sanitize-payload +@all -@admin (~q +set &z) (%R~w -@all +@hash)",
        "reset",
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct user *u = make(all[i]), *again = user_create(SLICE("u"));
        struct slice words[MAX_WORDS], at;
        struct buf text = {0}, second = {0};
        user_describe(u, &text);
        int n = split(buf_cstr(&text), words);
        assert_int_equal(user_rules(again, n - 2, words + 2, &at, NULL), 0);
        user_describe(again, &second);
        assert_string_equal(buf_cstr(&second), buf_cstr(&text));
        assert_int_equal(again->unlimited, u->unlimited);
        buf_release(&text);
        buf_release(&second);
        user_unref(u);
        user_unref(again);
    }
}

static void test_unlimited(void **state)
{
    struct user *u = make("on +@all ~* &*");
    assert_true(u->unlimited);
    assert_int_equal(user_rule(u, SLICE("-get"), NULL), 0);
    assert_false(u->unlimited);
    assert_int_equal(user_rule(u, SLICE("+get"), NULL), 0);
    assert_false(u->unlimited); /* a command of tomorrow would still be missing */
    assert_int_equal(user_rule(u, SLICE("+@all"), NULL), 0);
    assert_true(u->unlimited);
    user_strip(u);
    assert_false(u->unlimited);
    assert_false(u->flags & USER_ON);
    user_unref(u);
}

int main(void)
{
    catalog_boot(&test_catalog);
    user_settings();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules_are_kept_once_in_order),
        cmocka_unit_test(test_commands),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_channels),
        cmocka_unit_test(test_passwords),
        cmocka_unit_test(test_a_known_hash),
        cmocka_unit_test(test_all_or_nothing),
        cmocka_unit_test(test_selectors_may_be_spread),
        cmocka_unit_test(test_a_description_makes_the_same_user),
        cmocka_unit_test(test_unlimited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
