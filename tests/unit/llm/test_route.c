/* Routes as words and versions, the order of attempts, the waiting queue: all without a network. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "llm/choose.h"
#include "llm/queue.h"
#include "llm/route.h"

static struct rng R;

/* ---- routes ---- */

static int words(const char *line, struct slice *to, int max)
{
    int n = 0;
    for (const char *p = line; *p && n < max;) {
        size_t len = strcspn(p, "|");
        to[n++] = slice_of(p, len);
        p += len + (p[len] == '|');
    }
    return n;
}

static int set(struct routes *rs, const char *line, struct err *err)
{
    struct slice w[64];
    const struct route *r;
    int n = words(line, w, 64);
    return routes_set(rs, w, n, 1000, &r, err);
}

static void add_word(void *arg, struct slice w)
{
    struct buf *b = arg;
    if (b->len)
        buf_add_char(b, '|');
    buf_add(b, w.p, w.len);
}

static void a_route_is_made_of_words_and_gives_them_back(void **state)
{
    struct routes rs;
    struct err err;
    struct buf out = {0};
    routes_init(&rs);
    assert_int_equal(
        set(&rs, "r|strategy|best|MODELS|a|WEIGHT|3|b|QUALITY|0.5|c|FALLBACK|sorry|STICKY|user|CEILING|2.5", &err), 0);
    const char *full = "r|STRATEGY|BEST|MODELS|a|WEIGHT|3|b|QUALITY|0.5|c|FALLBACK|sorry|STICKY|USER|CEILING|2.5|"
                       "VERSION|1|AT|1000";
    route_words("r", route_now(routes_find(&rs, SLICE("r"))), add_word, &out);
    assert_string_equal(buf_cstr(&out), full);
    assert_int_equal(routes_del(&rs, SLICE("r"), &err), 0);
    assert_int_equal(set(&rs, full, &err), 0); /* as the journal does */
    buf_clear(&out);
    route_words("r", route_now(routes_find(&rs, SLICE("r"))), add_word, &out);
    assert_string_equal(buf_cstr(&out), full);
    buf_release(&out);
    routes_release(&rs);
}

static void bad_routes_are_refused(void **state)
{
    static const char *const bad[] = {
        "r|STRATEGY|FAST|MODELS|a",
        "r|STRATEGY|BEST",
        "r|MODELS|a",
        "r|STRATEGY|BEST|MODELS|a|a",
        "r|STRATEGY|BEST|MODELS",
        "r|STRATEGY|WEIGHTED|MODELS|a|WEIGHT|-1",
        "r|STRATEGY|BEST|MODELS|a|QUALITY|x",
        "r|STRATEGY|PRIORITY|MODELS|a|CEILING|1",
        "r|STRATEGY|BEST|MODELS|a|STICKY|yes",
        "r|STRATEGY|BEST|MODELS|a|FALLBACK",
        "r|STRATEGY|BEST|NONSENSE|a",
    };
    struct routes rs;
    struct err err;
    routes_init(&rs);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(set(&rs, bad[i], &err), ERR_INVALID);
        assert_null(routes_find(&rs, SLICE("r")));
    }
    routes_release(&rs);
}

static void versions_are_kept_and_come_back(void **state)
{
    struct routes rs;
    struct err err;
    const struct route *r;
    char line[64];
    routes_init(&rs);
    for (int i = 1; i <= 25; i++) {
        snprintf(line, sizeof line, "r|STRATEGY|PRIORITY|MODELS|m%d", i);
        assert_int_equal(set(&rs, line, &err), 0);
    }
    struct route_name *name = routes_find(&rs, SLICE("r"));
    assert_true(name->n == ROUTE_VERSIONS && name->versions[0]->version == 6 && route_now(name)->version == 25);
    assert_int_equal(routes_rollback(&rs, SLICE("r"), 0, 7, &r, &err), 0);
    assert_string_equal(r->members[0].model, "m24");
    assert_true(r->version == 26 && r->time_ms == 7);
    assert_int_equal(routes_rollback(&rs, SLICE("r"), 10, 8, &r, &err), 0);
    assert_string_equal(r->members[0].model, "m10");
    assert_int_equal(routes_rollback(&rs, SLICE("r"), 3, 9, &r, &err), ERR_STATE); /* forgotten */
    assert_int_equal(routes_rollback(&rs, SLICE("x"), 0, 9, &r, &err), ERR_STATE);
    routes_release(&rs);
}

/* ---- choice ---- */

static struct candidate of(const char *name, int64_t weight)
{
    return (struct candidate){.name = slice_str(name), .weight = weight};
}

static void each_strategy_has_its_order(void **state)
{
    struct candidate c[3] = {of("a", 1), of("b", 1), of("c", 1)};
    int o[3];
    choose_order(ROUTE_PRIORITY, c, 3, (struct slice){0}, &R, o);
    assert_true(o[0] == 0 && o[1] == 1 && o[2] == 2);
    c[0].state = CANDIDATE_AWAY;
    c[1].state = CANDIDATE_BUSY;
    choose_order(ROUTE_PRIORITY, c, 3, (struct slice){0}, &R, o);
    assert_true(o[0] == 2 && o[1] == 1 && o[2] == 0);
    c[0].state = c[1].state = CANDIDATE_READY;
    c[0].priced = c[2].priced = true;
    c[0].price = 9;
    c[2].price = 3;
    choose_order(ROUTE_CHEAPEST, c, 3, (struct slice){0}, &R, o);
    assert_true(o[0] == 2 && o[1] == 0 && o[2] == 1);
    c[0].latency_ms = 10;
    c[1].latency_ms = 5;
    choose_order(ROUTE_FASTEST, c, 3, (struct slice){0}, &R, o);
    assert_true(o[0] == 2 && o[1] == 1 && o[2] == 0); /* the one that nobody measured first */
    c[0].in_flight = 3;
    c[0].weight = 10;
    c[1].in_flight = c[2].in_flight = 1;
    choose_order(ROUTE_LEAST_BUSY, c, 3, (struct slice){0}, &R, o);
    assert_int_equal(o[0], 0);
    c[1].quality = 2;
    c[2].quality = 7;
    choose_order(ROUTE_BEST, c, 3, (struct slice){0}, &R, o);
    assert_true(o[0] == 2 && o[1] == 1);
}

static void weights_are_shares(void **state)
{
    struct candidate c[3] = {of("stable", 95), of("canary", 5), of("spare", 0)};
    int first[3] = {0}, o[3];
    for (int i = 0; i < 20000; i++) {
        choose_order(ROUTE_WEIGHTED, c, 3, (struct slice){0}, &R, o);
        first[o[0]]++;
        assert_int_equal(o[2], 2);
    }
    assert_true(first[1] > 800 && first[1] < 1200 && first[2] == 0);
}

static void sticky_callers_stay_when_members_change(void **state)
{
    struct candidate c[4] = {of("a", 1), of("b", 2), of("c", 1), of("d", 1)};
    int o[4], share[4] = {0}, moved = 0, n = 4000;
    for (int i = 0; i < n; i++) {
        char who[32];
        struct slice s = slice_of(who, (size_t)snprintf(who, sizeof who, "session:%d", i));
        choose_order(ROUTE_WEIGHTED, c, 4, s, &R, o);
        int all = o[0];
        share[all]++;
        choose_order(ROUTE_WEIGHTED, c, 4, s, &R, o);
        assert_int_equal(o[0], all);
        choose_order(ROUTE_WEIGHTED, c, 3, s, &R, o); /* d is gone */
        moved += o[0] != all;
        assert_true(all == 3 || o[0] == all);
    }
    assert_int_equal(moved, share[3]);
    assert_true(share[1] > n * 34 / 100 && share[1] < n * 46 / 100);
    assert_true(share[0] > n * 15 / 100 && share[0] < n * 25 / 100);
}

/* ---- the queue ---- */

struct waiting {
    struct queue_seat seat;
    char name;
};

static struct queue Q;
static struct buf started;
static int places;

static bool ask(void *arg, struct queue_seat *s)
{
    struct waiting *w = list_entry(s, struct waiting, seat);
    if (places == 0)
        return false;
    places--;
    queue_leave(&Q, s);
    buf_add_char(&started, w->name);
    return true;
}

static void turns_go_by_priority_then_owner_then_age(void **state)
{
    static const struct {
        int priority;
        const char *owner;
    } of[] = {{4, "ann"}, {4, "ann"}, {4, "ann"}, {4, "bob"}, {9, "cy"}, {0, "dee"}, {4, "bob"}};
    struct waiting w[7] = {0};
    queue_init(&Q);
    for (int i = 0; i < 7; i++) {
        w[i].name = (char)('0' + i);
        queue_join(&Q, &w[i].seat, of[i].priority, slice_str(of[i].owner), SLICE("m"));
    }
    assert_true(queue_waits_for(&Q, SLICE("m"), 0));
    assert_false(queue_waits_for(&Q, SLICE("n"), 9));
    places = 2;
    queue_pump(&Q, ask, NULL);
    assert_string_equal(buf_cstr(&started), "50");
    places = 1;
    queue_pump(&Q, ask, NULL);
    assert_string_equal(buf_cstr(&started), "503"); /* bob's turn */
    queue_leave(&Q, &w[1].seat);
    queue_leave(&Q, &w[1].seat);
    places = 100;
    queue_pump(&Q, ask, NULL);
    assert_string_equal(buf_cstr(&started), "503264");
    assert_int_equal(Q.count, 0);
    queue_release(&Q);
    buf_release(&started);
}

static int up(void **state)
{
    rng_seed(&R, 1);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_route_is_made_of_words_and_gives_them_back),
        cmocka_unit_test(bad_routes_are_refused),
        cmocka_unit_test(versions_are_kept_and_come_back),
        cmocka_unit_test(each_strategy_has_its_order),
        cmocka_unit_test(weights_are_shares),
        cmocka_unit_test(sticky_callers_stay_when_members_change),
        cmocka_unit_test(turns_go_by_priority_then_owner_then_age),
    };
    return cmocka_run_group_tests(tests, up, NULL);
}
