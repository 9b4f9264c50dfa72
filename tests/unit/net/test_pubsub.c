/* Publish and subscribe: who gets what, and leaving from inside a delivery. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/rng.h"
#include "net/pubsub.h"

static struct pubsub *P;
static struct buf got;

struct sub {
    char name;
    struct pubsub_sub *s;
    bool go;              /* destroy itself at the next delivery */
    const char *leave[2]; /* channel, pattern to leave at the next delivery */
};

static void deliver(void *arg, enum pubsub_kind kind, struct slice pattern, struct slice channel, struct slice message)
{
    struct sub *me = arg;
    buf_addf(&got, "%c%s:%.*s:%.*s=%.*s ", me->name,
             kind == PUBSUB_SHARD     ? "s"
             : kind == PUBSUB_PATTERN ? "p"
                                      : "",
             (int)pattern.len, pattern.p, (int)channel.len, channel.p, (int)message.len, message.p);
    if (me->go) {
        pubsub_sub_destroy(me->s);
        me->s = NULL;
        return;
    }
    if (me->leave[0])
        pubsub_leave(me->s, PUBSUB_CHANNEL, slice_str(me->leave[0]));
    if (me->leave[1])
        pubsub_leave(me->s, PUBSUB_PATTERN, slice_str(me->leave[1]));
}

static void expect(const char *want)
{
    assert_string_equal(buf_cstr(&got), want);
    buf_clear(&got);
}

static struct sub sub_new(char name)
{
    return (struct sub){.name = name};
}

static void sub_start(struct sub *s)
{
    s->s = pubsub_sub_create(P, deliver, s);
}

static int up(void **state)
{
    P = pubsub_create();
    return 0;
}

static int down(void **state)
{
    pubsub_destroy(P);
    buf_release(&got);
    return 0;
}

static void test_who_gets_what(void **state)
{
    struct sub a = sub_new('a'), b = sub_new('b');
    sub_start(&a);
    sub_start(&b);
    assert_true(pubsub_join(a.s, PUBSUB_CHANNEL, SLICE("news")));
    assert_false(pubsub_join(a.s, PUBSUB_CHANNEL, SLICE("news")));
    assert_true(pubsub_join(b.s, PUBSUB_CHANNEL, SLICE("news")));
    assert_true(pubsub_join(b.s, PUBSUB_PATTERN, SLICE("n*")));
    assert_true(pubsub_join(b.s, PUBSUB_SHARD, SLICE("news")));
    assert_int_equal(pubsub_publish(P, PUBSUB_CHANNEL, SLICE("news"), SLICE("1")), 3);
    expect("a::news=1 b::news=1 bp:n*:news=1 ");
    assert_int_equal(pubsub_publish(P, PUBSUB_CHANNEL, SLICE("nothing"), SLICE("2")), 1);
    expect("bp:n*:nothing=2 ");
    assert_int_equal(pubsub_publish(P, PUBSUB_SHARD, SLICE("news"), SLICE("3")), 1);
    expect("bs::news=3 ");
    assert_int_equal(pubsub_publish(P, PUBSUB_CHANNEL, SLICE("other"), SLICE("4")), 0);
    expect("");
    assert_int_equal(pubsub_numsub(P, PUBSUB_CHANNEL, SLICE("news")), 2);
    assert_int_equal(pubsub_numsub(P, PUBSUB_CHANNEL, SLICE("none")), 0);
    assert_int_equal(pubsub_numpat(P), 1);
    assert_int_equal(pubsub_count(b.s, PUBSUB_CHANNEL), 1);
    assert_true(pubsub_leave(b.s, PUBSUB_PATTERN, SLICE("n*")));
    assert_false(pubsub_leave(b.s, PUBSUB_PATTERN, SLICE("n*")));
    assert_int_equal(pubsub_numpat(P), 0);
    pubsub_sub_destroy(a.s);
    pubsub_sub_destroy(b.s);
    pubsub_sub_destroy(NULL);
    assert_int_equal(pubsub_numsub(P, PUBSUB_CHANNEL, SLICE("news")), 0);
}

static void test_leaving_from_inside(void **state)
{
    struct sub a = sub_new('a'), b = sub_new('b');
    sub_start(&a);
    sub_start(&b);
    pubsub_join(a.s, PUBSUB_CHANNEL, SLICE("x"));
    pubsub_join(a.s, PUBSUB_PATTERN, SLICE("x*"));
    pubsub_join(a.s, PUBSUB_PATTERN, SLICE("*"));
    a.leave[0] = "x";
    a.leave[1] = "x*";
    pubsub_join(b.s, PUBSUB_PATTERN, SLICE("?"));
    assert_int_equal(pubsub_publish(P, PUBSUB_CHANNEL, SLICE("x"), SLICE("1")), 3);
    expect("a::x=1 ap:*:x=1 bp:?:x=1 "); /* it left x* before that was reached */
    assert_int_equal(pubsub_numpat(P), 2);
    pubsub_sub_destroy(a.s);
    pubsub_sub_destroy(b.s);
}

static void test_going_from_inside(void **state)
{
    struct sub a = sub_new('a'), b = sub_new('b'), c = sub_new('c');
    sub_start(&a);
    sub_start(&b);
    sub_start(&c);
    pubsub_join(a.s, PUBSUB_CHANNEL, SLICE("x"));
    pubsub_join(b.s, PUBSUB_CHANNEL, SLICE("x"));
    pubsub_join(b.s, PUBSUB_PATTERN, SLICE("x*"));
    pubsub_join(b.s, PUBSUB_PATTERN, SLICE("*"));
    pubsub_join(c.s, PUBSUB_CHANNEL, SLICE("x"));
    pubsub_join(c.s, PUBSUB_PATTERN, SLICE("[x]"));
    b.go = true;
    assert_int_equal(pubsub_publish(P, PUBSUB_CHANNEL, SLICE("x"), SLICE("1")), 4);
    expect("a::x=1 b::x=1 c::x=1 cp:[x]:x=1 ");
    assert_null(b.s);
    assert_int_equal(pubsub_numpat(P), 1);
    a.go = c.go = true;
    assert_int_equal(pubsub_publish(P, PUBSUB_CHANNEL, SLICE("x"), SLICE("2")), 2);
    assert_int_equal(pubsub_numpat(P), 0);
    assert_int_equal(pubsub_publish(P, PUBSUB_CHANNEL, SLICE("x"), SLICE("3")), 0);
}

static struct sub *leaver;

static void leave_it(void *arg, struct slice name)
{
    assert_true(pubsub_leave(leaver->s, PUBSUB_CHANNEL, name));
    buf_add((struct buf *)arg, name.p, name.len); /* still readable */
}

static void count_it(void *arg, struct slice name, size_t subs)
{
    assert_int_equal(subs, 1);
    (*(int *)arg)++;
}

static void test_leaving_every_name(void **state)
{
    struct sub a = sub_new('a');
    sub_start(&a);
    leaver = &a;
    char name[24];
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "channel-%04d", i);
        pubsub_join(a.s, PUBSUB_CHANNEL, slice_str(name));
    }
    int seen = 0;
    pubsub_channels(P, PUBSUB_CHANNEL, count_it, &seen);
    assert_int_equal(seen, 1000);
    struct buf names = {0};
    pubsub_names(a.s, PUBSUB_CHANNEL, leave_it, &names);
    assert_int_equal(names.len, 12 * 1000);
    assert_int_equal(pubsub_count(a.s, PUBSUB_CHANNEL), 0);
    seen = 0;
    pubsub_channels(P, PUBSUB_CHANNEL, count_it, &seen);
    assert_int_equal(seen, 0);
    buf_release(&names);
    pubsub_sub_destroy(a.s);
}

/* Random joining and leaving against a table; whatever it was, nothing is left at the end. */
static void test_against_a_table(void **state)
{
    enum { SUBS = 6, NAMES = 40 };
    bool in[SUBS][NAMES] = {{false}};
    struct sub subs[SUBS];
    struct rng r;
    rng_seed(&r, 7);
    size_t before = mem_used();
    for (int i = 0; i < SUBS; i++) {
        subs[i] = sub_new((char)('a' + i));
        sub_start(&subs[i]);
    }
    for (int step = 0; step < 20000; step++) {
        int s = (int)(rng_next(&r) % SUBS), n = (int)(rng_next(&r) % NAMES);
        char name[8];
        snprintf(name, sizeof name, "n%d", n);
        if (rng_next(&r) % 2)
            assert_int_equal(pubsub_join(subs[s].s, PUBSUB_CHANNEL, slice_str(name)), !in[s][n]), in[s][n] = true;
        else
            assert_int_equal(pubsub_leave(subs[s].s, PUBSUB_CHANNEL, slice_str(name)), in[s][n]), in[s][n] = false;
        size_t want = 0;
        for (int i = 0; i < SUBS; i++)
            want += in[i][n];
        assert_int_equal(pubsub_publish(P, PUBSUB_CHANNEL, slice_str(name), SLICE("m")), want);
        buf_clear(&got);
    }
    for (int i = 0; i < SUBS; i++)
        pubsub_sub_destroy(subs[i].s);
    buf_release(&got);
    assert_true(mem_used() < before + 8192); /* but for the table of topics */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, up, down)
        TEST(test_who_gets_what),      TEST(test_leaving_from_inside), TEST(test_going_from_inside),
        TEST(test_leaving_every_name), TEST(test_against_a_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
