/* The loop: order of hooks and posts, wake-ups, timers, watches, signals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "io/loop.h"

static struct loop *L;

static int up(void **state)
{
    struct err err;
    return loop_create(&L, &err);
}

static int down(void **state)
{
    loop_destroy(L);
    return 0;
}

static char trace[64];

static void note(void *arg)
{
    strcat(trace, arg);
}

static void stop(void *arg)
{
    loop_stop(L);
}

static void an_idle_loop_has_nothing_left(void **state)
{
    assert_false(loop_turn(L));
    assert_false(loop_turn_wait(L)); /* does not sleep for ever */
    assert_true(loop_is_here(L));
}

static void hooks_run_in_order_once_a_turn(void **state)
{
    trace[0] = 0;
    struct loop_hook a = {.fn = note, .arg = "a"}, b = {.fn = note, .arg = "b"}, c = {0};
    loop_before_sleep(L, &a);
    loop_before_sleep(L, &b);
    loop_turn(L);
    loop_turn(L);
    assert_string_equal(trace, "abab");
    loop_unhook(&a);
    loop_unhook(&c);
    loop_turn(L);
    assert_string_equal(trace, "ababb");
    loop_unhook(&b);
}

struct remover {
    struct loop_hook hook, *victim;
};

static void remove_all(void *arg)
{
    struct remover *r = arg;
    strcat(trace, "r");
    loop_unhook(r->victim);
    loop_unhook(&r->hook);
}

static void add_hook(void *arg)
{
    struct remover *r = arg;
    strcat(trace, "+");
    loop_unhook(&r->hook);
    loop_before_sleep(L, r->victim);
}

static void a_hook_may_unhook_itself_and_the_next(void **state)
{
    trace[0] = 0;
    struct loop_hook victim = {.fn = note, .arg = "v"}, last = {.fn = note, .arg = "l"};
    struct remover r = {.hook = {.fn = remove_all, .arg = &r}, .victim = &victim};
    loop_before_sleep(L, &r.hook);
    loop_before_sleep(L, &victim);
    loop_before_sleep(L, &last);
    loop_turn(L);
    assert_string_equal(trace, "rl");
    loop_unhook(&last);
}

static void a_hook_added_by_a_hook_runs_after_the_others(void **state)
{
    trace[0] = 0;
    struct loop_hook added = {.fn = note, .arg = "n"}, last = {.fn = note, .arg = "l"};
    struct remover r = {.hook = {.fn = add_hook, .arg = &r}, .victim = &added};
    loop_before_sleep(L, &r.hook);
    loop_before_sleep(L, &last);
    loop_turn(L);
    loop_turn(L);
    assert_string_equal(trace, "+lnln");
    loop_unhook(&added);
    loop_unhook(&last);
}

static int turns;

static void count_and_go_on(void *arg)
{
    if (++turns < 5)
        loop_again(L);
    else
        loop_stop(L);
}

static void again_makes_the_sleep_a_look(void **state)
{
    turns = 0;
    struct loop_hook h = {.fn = count_and_go_on};
    loop_before_sleep(L, &h);
    loop_run(L); /* nothing else would wake it */
    assert_int_equal(turns, 5);
    loop_unhook(&h);
}

static void a_stop_before_run_is_not_lost(void **state)
{
    loop_stop(L);
    loop_run(L);
    loop_post(L, stop, NULL);
    loop_run(L);
}

enum { POSTERS = 6, POSTS = 3000 };

static struct poster {
    int last;
} posters[POSTERS];
struct numbered {
    int thread, n;
};
static int arrived;

static void take(void *arg)
{
    struct numbered *m = arg;
    assert_int_equal(m->n, posters[m->thread].last + 1);
    posters[m->thread].last = m->n;
    free(m);
    if (++arrived == POSTERS * POSTS)
        loop_stop(L);
}

static void *post_many(void *arg)
{
    for (int i = 1; i <= POSTS; i++) {
        struct numbered *m = malloc(sizeof *m);
        m->thread = (int)(intptr_t)arg;
        m->n = i;
        loop_post(L, take, m);
    }
    assert_false(loop_is_here(L));
    return NULL;
}

static void posts_of_many_threads_keep_their_order(void **state)
{
    pthread_t t[POSTERS];
    arrived = 0;
    memset(posters, 0, sizeof posters);
    for (int i = 0; i < POSTERS; i++)
        pthread_create(&t[i], NULL, post_many, (void *)(intptr_t)i);
    loop_run(L);
    for (int i = 0; i < POSTERS; i++) {
        pthread_join(t[i], NULL);
        assert_int_equal(posters[i].last, POSTS);
    }
}

static void post_again(void *arg)
{
    note("1");
    loop_post(L, note, "3");
}

static void a_post_from_a_post_comes_after_what_was_there(void **state)
{
    trace[0] = 0;
    loop_post(L, post_again, NULL);
    loop_post(L, note, "2");
    while (loop_turn(L))
        ;
    assert_string_equal(trace, "123");
}

static int fired;

static void fire(void *arg)
{
    if (++fired == *(int *)arg)
        loop_stop(L);
}

static void timers_fire_once_or_repeat(void **state)
{
    int want = 1;
    fired = 0;
    struct timer *t = timer_create_on(L, fire, &want);
    timer_start(t, 1, 0);
    loop_run(L);
    assert_int_equal(fired, 1);
    assert_false(loop_turn(L));
    want = 4;
    timer_start(t, 0, 1);
    loop_run(L);
    assert_int_equal(fired, 4);
    timer_stop(t);
    timer_stop(t);
    assert_false(loop_turn(L));
    timer_close(t);
    timer_close(NULL);
}

static void read_event(void *arg)
{
    eventfd_t v;
    assert_int_equal(eventfd_read(*(int *)arg, &v), 0);
    fired += (int)v;
    loop_stop(L);
}

static void a_watch_sees_its_descriptor(void **state)
{
    fired = 0;
    int fd = eventfd(0, EFD_CLOEXEC);
    struct watch *w = watch_create(L, fd, read_event, &fd);
    assert_non_null(w);
    eventfd_write(fd, 7);
    loop_run(L);
    assert_int_equal(fired, 7);
    assert_true(loop_turn(L)); /* it waits for more */
    watch_background(w);
    assert_false(loop_turn(L));
    watch_close(w);
    close(fd);
    int file = open("/proc/self/exe", O_RDONLY);
    assert_null(watch_create(L, file, read_event, &fd));
    assert_null(watch_create(L, -1, read_event, &fd));
    close(file);
}

static void on_sig(void *arg, int signum)
{
    *(int *)arg = signum;
    loop_stop(L);
}

static void signals_arrive_on_the_loop(void **state)
{
    int got = 0;
    struct sigwatch *s = sigwatch_create(L, SIGUSR1, on_sig, &got);
    kill(getpid(), SIGUSR1);
    loop_run(L);
    assert_int_equal(got, SIGUSR1);
    sigwatch_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_idle_loop_has_nothing_left, up, down),
        cmocka_unit_test_setup_teardown(hooks_run_in_order_once_a_turn, up, down),
        cmocka_unit_test_setup_teardown(a_hook_may_unhook_itself_and_the_next, up, down),
        cmocka_unit_test_setup_teardown(a_hook_added_by_a_hook_runs_after_the_others, up, down),
        cmocka_unit_test_setup_teardown(again_makes_the_sleep_a_look, up, down),
        cmocka_unit_test_setup_teardown(a_stop_before_run_is_not_lost, up, down),
        cmocka_unit_test_setup_teardown(posts_of_many_threads_keep_their_order, up, down),
        cmocka_unit_test_setup_teardown(a_post_from_a_post_comes_after_what_was_there, up, down),
        cmocka_unit_test_setup_teardown(timers_fire_once_or_repeat, up, down),
        cmocka_unit_test_setup_teardown(a_watch_sees_its_descriptor, up, down),
        cmocka_unit_test_setup_teardown(signals_arrive_on_the_loop, up, down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
