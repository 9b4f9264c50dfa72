/* The breaker, its keys' rests and the moving average, with time that is given. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "llm/breaker.h"
#include "llm/deployment.h"

static const struct breaker_rules rules = {.least = 10, .in_row = 5, .pause_ms = 1000, .pause_max_ms = 5000};
static struct rng R;

static void one(struct breaker *b, enum breaker_end end, int64_t now)
{
    struct breaker_pass pass;
    assert_true(breaker_enter(b, now, false, &pass));
    breaker_leave(b, &rules, pass, end, now, &R);
}

static void fail_until_open(struct breaker *b, int64_t now)
{
    for (int i = 0; i < 5; i++)
        one(b, BREAKER_FAILED, now);
    assert_int_equal(breaker_state(b, now), BREAKER_OPEN);
}

static void it_opens_after_failures_in_a_row(void **state)
{
    struct breaker b = {0};
    for (int i = 0; i < 4; i++)
        one(&b, BREAKER_FAILED, 100);
    one(&b, BREAKER_NOTHING, 100); /* neither breaks the row nor adds to it */
    assert_int_equal(breaker_state(&b, 100), BREAKER_CLOSED);
    one(&b, BREAKER_ANSWERED, 100);
    for (int i = 0; i < 4; i++)
        one(&b, BREAKER_FAILED, 100);
    assert_int_equal(breaker_state(&b, 100), BREAKER_CLOSED);
    one(&b, BREAKER_FAILED, 100);
    assert_int_equal(breaker_state(&b, 100), BREAKER_OPEN);
    struct breaker_pass pass;
    assert_false(breaker_enter(&b, 100, false, &pass));
}

static void it_opens_when_over_half_of_a_minute_failed(void **state)
{
    struct breaker b = {0};
    for (int i = 0; i < 5; i++) { /* every other: half is not over half */
        one(&b, BREAKER_ANSWERED, i * 1000);
        one(&b, BREAKER_FAILED, i * 1000);
    }
    assert_int_equal(breaker_state(&b, 5000), BREAKER_CLOSED);
    one(&b, BREAKER_FAILED, 5000);
    assert_int_equal(breaker_state(&b, 5000), BREAKER_OPEN);

    b = (struct breaker){0};
    for (int i = 0; i < 30; i++) /* two of three, but never ten within a minute */
        one(&b, i % 3 ? BREAKER_FAILED : BREAKER_ANSWERED, i * 7000);
    assert_int_equal(breaker_state(&b, 30 * 7000), BREAKER_CLOSED);
    int64_t calls, failures;
    breaker_minute(&b, 29 * 7000, &calls, &failures);
    assert_true(calls > 6 && calls < 10 && failures < calls);
    breaker_minute(&b, 29 * 7000 + 61000, &calls, &failures);
    assert_true(calls == 0 && failures == 0);
}

static void half_open_admits_one_probe(void **state)
{
    struct breaker b = {0};
    struct breaker_pass probe, other;
    fail_until_open(&b, 0);
    assert_true(b.until_ms >= 800 && b.until_ms <= 1200);
    assert_false(breaker_enter(&b, b.until_ms - 1, false, &other));
    int64_t now = b.until_ms;
    assert_true(breaker_enter(&b, now, false, &probe));
    assert_true(probe.probe);
    for (int i = 0; i < 50; i++) {
        assert_false(breaker_enter(&b, now, i % 2, &other)); /* not even by force */
        assert_int_equal(breaker_wait(&b, now), -1);
    }
    assert_int_equal(breaker_state(&b, now), BREAKER_HALF_OPEN);
    breaker_leave(&b, &rules, probe, BREAKER_NOTHING, now, &R); /* says nothing: the next is the probe */
    assert_true(breaker_enter(&b, now, false, &probe));
    breaker_leave(&b, &rules, probe, BREAKER_ANSWERED, now, &R);
    assert_int_equal(breaker_state(&b, now), BREAKER_CLOSED);
    int64_t calls, failures;
    breaker_minute(&b, now, &calls, &failures);
    assert_int_equal(failures, 0); /* the vendor starts anew */
}

static void a_failed_probe_doubles_the_pause(void **state)
{
    struct breaker b = {0};
    struct breaker_pass probe;
    int64_t now = 0, expected[] = {2000, 4000, 5000, 5000};
    fail_until_open(&b, now);
    for (int i = 0; i < 4; i++) {
        now = b.until_ms;
        assert_true(breaker_enter(&b, now, false, &probe));
        breaker_leave(&b, &rules, probe, BREAKER_FAILED, now, &R);
        int64_t pause = b.until_ms - now;
        assert_true(pause >= expected[i] * 8 / 10 && pause <= expected[i] * 12 / 10);
        assert_int_equal(breaker_state(&b, now), BREAKER_OPEN);
    }
    assert_true(breaker_enter(&b, now + 1, true, &probe)); /* a check goes before its time */
    breaker_leave(&b, &rules, probe, BREAKER_ANSWERED, now + 1, &R);
    assert_int_equal(breaker_state(&b, now + 1), BREAKER_CLOSED);
}

static void calls_from_before_change_nothing(void **state)
{
    struct breaker b = {0};
    struct breaker_pass old, probe;
    assert_true(breaker_enter(&b, 0, false, &old));
    fail_until_open(&b, 0);
    int64_t until = b.until_ms;
    breaker_leave(&b, &rules, old, BREAKER_ANSWERED, 10, &R);
    assert_true(b.open && b.until_ms == until);
    assert_true(breaker_enter(&b, until, false, &probe));
    breaker_leave(&b, &rules, old, BREAKER_FAILED, until, &R);
    assert_true(b.probing);
    breaker_leave(&b, &rules, probe, BREAKER_ANSWERED, until, &R);
    breaker_leave(&b, &rules, old, BREAKER_FAILED, until, &R);
    assert_int_equal(b.row, 0);
}

static void keys_rest_and_come_back(void **state)
{
    struct keyring k = {0};
    int order[3];
    enum llm_class why;
    keyring_order(&k, 3, (struct slice){0}, order);
    int first = order[0];
    keyring_order(&k, 3, (struct slice){0}, order);
    assert_int_equal(order[0], (first + 1) % 3); /* in turn */
    keyring_order(&k, 3, SLICE("session:7"), order);
    first = order[0];
    keyring_order(&k, 3, SLICE("session:7"), order);
    assert_int_equal(order[0], first); /* sticky */
    keyring_rest(&k, 0, LLM_AUTH, key_print(SLICE("a")), 1000);
    keyring_rest(&k, 1, LLM_RATE, key_print(SLICE("b")), 500);
    assert_int_equal(keyring_wait(&k, 3, 0, &why), 0);
    assert_int_equal(keyring_resting(&k, 3, 0), 2);
    keyring_rest(&k, 2, LLM_CREDIT, key_print(SLICE("c")), 700);
    assert_int_equal(keyring_wait(&k, 3, 100, &why), 400);
    assert_int_equal(why, LLM_RATE);
    assert_false(keyring_rests(&k, 1, 500));
    assert_int_equal(keyring_resting(&k, 3, 800), 1);
}

static void the_average_moves_and_decays(void **state)
{
    struct deployment *d = deployment_create();
    struct breaker_pass pass;
    assert_true(deployment_latency(d, 0) == 0);
    assert_true(deployment_enter(d, 0, false, &pass));
    assert_int_equal(d->in_flight, 1);
    deployment_leave(d, pass, BREAKER_ANSWERED, 100, 0, &R);
    assert_true(deployment_latency(d, 0) == 100);
    assert_true(deployment_enter(d, 0, false, &pass));
    deployment_leave(d, pass, BREAKER_ANSWERED, 200, 0, &R);
    assert_true(deployment_latency(d, 0) > 119 && deployment_latency(d, 0) < 121);
    assert_true(deployment_latency(d, 60000) > 59 && deployment_latency(d, 60000) < 61);
    assert_true(deployment_enter(d, 0, false, &pass));
    deployment_leave(d, pass, BREAKER_NOTHING, 5000, 0, &R); /* says nothing of how fast it answers */
    assert_true(deployment_latency(d, 0) < 121);
    assert_true(d->attempts == 3 && d->failures == 0 && d->in_flight == 0);
    deployment_unref(d);
}

static int up(void **state)
{
    deployment_boot();
    rng_seed(&R, 1);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_opens_after_failures_in_a_row),
        cmocka_unit_test(it_opens_when_over_half_of_a_minute_failed),
        cmocka_unit_test(half_open_admits_one_probe),
        cmocka_unit_test(a_failed_probe_doubles_the_pause),
        cmocka_unit_test(calls_from_before_change_nothing),
        cmocka_unit_test(keys_rest_and_come_back),
        cmocka_unit_test(the_average_moves_and_decays),
    };
    return cmocka_run_group_tests(tests, up, NULL);
}
