/* Effects: what leaves as a group, and what waits for the next one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/buf.h"
#include "cmd/effects.h"

static struct buf seen;

static void sink(void *arg, int db, int argc, const struct slice *argv)
{
    for (int i = 0; i < argc; i++)
        buf_addf(&seen, "%.*s ", (int)argv[i].len, argv[i].p);
}

static void add(const char *word)
{
    struct slice argv[] = {slice_str(word)};
    effects_add(0, 1, argv);
}

static void add_soon(const char *word)
{
    char copy[16];
    strcpy(copy, word);
    effects_add_soon(0, 1, (struct slice[]){slice_str(copy)});
    memset(copy, 0, sizeof copy); /* it keeps its own */
}

static const char *left(void)
{
    static char text[256];
    strcpy(text, buf_cstr(&seen));
    buf_clear(&seen);
    return text;
}

static void soon_goes_with_the_next_group(void **state)
{
    add_soon("spent");
    assert_string_equal(left(), "");
    effects_begin();
    effects_begin();
    add("turn");
    effects_end();
    assert_string_equal(left(), "");
    effects_end();
    assert_string_equal(left(), "MULTI turn spent EXEC ");
    effects_let_go();
    assert_string_equal(left(), "");
}

static void or_alone(void **state)
{
    add_soon("spent");
    effects_let_go();
    assert_string_equal(left(), "spent ");
    add_soon("spent");
    add_soon("kept");
    effects_begin();
    effects_let_go(); /* not out of the middle of a group */
    assert_string_equal(left(), "");
    effects_end();
    assert_string_equal(left(), "MULTI spent kept EXEC ");
}

static void but_not_with_what_only_happened_together(void **state)
{
    add_soon("spent");
    effects_begin();
    add("expired1");
    add("expired2");
    effects_apart();
    effects_end();
    assert_string_equal(left(), "spent expired1 expired2 ");
}

static void the_last_effect_joins_too(void **state)
{
    add_soon("spent");
    effects_begin();
    effects_add_last(0, 1, (struct slice[]){SLICE("set")});
    effects_end();
    assert_string_equal(left(), "MULTI set spent EXEC ");
    effects_begin();
    effects_add_last(0, 1, (struct slice[]){SLICE("set")});
    effects_end();
    assert_string_equal(left(), "set ");
}

static void nobody_listens(void **state)
{
    effects_mute(sink, true);
    add_soon("spent");
    effects_mute(sink, false);
    effects_let_go();
    assert_string_equal(left(), "");
}

int main(void)
{
    effects_add_sink(sink, NULL, false);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(soon_goes_with_the_next_group),
        cmocka_unit_test(or_alone),
        cmocka_unit_test(but_not_with_what_only_happened_together),
        cmocka_unit_test(the_last_effect_joins_too),
        cmocka_unit_test(nobody_listens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
