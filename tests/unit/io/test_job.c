/* Jobs: done() comes exactly once and on the loop, whatever happens before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <semaphore.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "io/job.h"

static struct loop *L;
static struct job_pool *P;

static int up(void **state)
{
    struct err err;
    if (loop_create(&L, &err) < 0)
        return -1;
    P = job_pool_create(L, 3);
    return P ? 0 : -1;
}

static int down(void **state)
{
    job_pool_destroy(P);
    loop_destroy(L);
    return 0;
}

struct work {
    struct job job;
    int in, out, ran, ended, nice;
    bool was_cancelled;
    sem_t *started, *go;
};

static void run(struct job *j)
{
    struct work *w = (struct work *)j;
    w->ran++;
    w->nice = getpriority(PRIO_PROCESS, (id_t)gettid());
    if (w->started)
        sem_post(w->started);
    if (w->go)
        sem_wait(w->go);
    w->out = w->in * 2;
}

static void run_until_cancelled(struct job *j)
{
    struct work *w = (struct work *)j;
    w->ran++;
    sem_post(w->started);
    while (!job_cancelled(j))
        usleep(100);
}

static void done(struct job *j)
{
    struct work *w = (struct work *)j;
    assert_true(loop_is_here(L));
    w->ended++;
    w->was_cancelled = job_cancelled(j);
}

static void turn_until_idle(void)
{
    while (loop_turn_wait(L))
        ;
}

static void every_job_runs_and_ends_once(void **state)
{
    enum { N = 500 };
    static struct work w[N];
    memset(w, 0, sizeof w);
    for (int i = 0; i < N; i++) {
        w[i] = (struct work){.job = {.run = run, .done = done}, .in = i};
        job_submit(P, &w[i].job);
    }
    turn_until_idle();
    for (int i = 0; i < N; i++) {
        assert_int_equal(w[i].ran, 1);
        assert_int_equal(w[i].ended, 1);
        assert_int_equal(w[i].out, i * 2);
        assert_false(w[i].was_cancelled);
    }
    assert_int_equal(job_pool_threads(P), 3);
    int mine = getpriority(PRIO_PROCESS, (id_t)gettid());
    assert_true(mine > 14 || w[0].nice > mine);
}

/* One worker is kept busy, so that what follows is known to wait. */
static void a_waiting_job_is_cancelled_without_running(void **state)
{
    struct job_pool *one = job_pool_create(L, 1);
    sem_t started, go;
    sem_init(&started, 0, 0);
    sem_init(&go, 0, 0);
    struct work busy = {.job = {.run = run, .done = done}, .started = &started, .go = &go};
    struct work late = {.job = {.run = run, .done = done}}, next = late;
    job_submit(one, &busy.job);
    job_submit(one, &late.job);
    job_submit(one, &next.job);
    sem_wait(&started);
    int waiting, running;
    job_pool_load(one, &waiting, &running);
    assert_int_equal(waiting, 2);
    assert_int_equal(running, 1);
    job_cancel(&late.job);
    job_cancel(&late.job); /* a second cancel changes nothing */
    assert_int_equal(late.ended, 0);
    sem_post(&go);
    turn_until_idle();
    assert_int_equal(late.ran, 0);
    assert_int_equal(late.ended, 1);
    assert_true(late.was_cancelled);
    assert_int_equal(next.ran, 1);
    assert_int_equal(busy.ended, 1);
    job_cancel(&busy.job); /* long over */
    assert_false(loop_turn(L));
    assert_int_equal(busy.ended, 1);
    job_submit(one, &late.job); /* a job may be used again */
    turn_until_idle();
    assert_int_equal(late.ran, 1);
    assert_false(late.was_cancelled);
    job_pool_destroy(one);
    sem_destroy(&started);
    sem_destroy(&go);
}

static void a_running_job_sees_its_cancel(void **state)
{
    sem_t started;
    sem_init(&started, 0, 0);
    struct work w = {.job = {.run = run_until_cancelled, .done = done}, .started = &started};
    job_submit(P, &w.job);
    sem_wait(&started);
    job_cancel(&w.job);
    turn_until_idle();
    assert_int_equal(w.ran, 1);
    assert_int_equal(w.ended, 1);
    assert_true(w.was_cancelled);
    sem_destroy(&started);
}

static void cancel_of_a_job_never_submitted_is_nothing(void **state)
{
    struct work w = {.job = {.run = run, .done = done}};
    job_cancel(&w.job);
    assert_false(loop_turn(L));
    assert_int_equal(w.ended, 0);
}

static void resubmit(struct job *j)
{
    struct work *w = (struct work *)j;
    if (++w->ended == 1)
        job_submit(P, j);
    else
        w->was_cancelled = job_cancelled(j);
}

static void destroy_ends_every_job(void **state)
{
    struct job_pool *keep = P;
    P = job_pool_create(L, 1);
    sem_t started, go;
    sem_init(&started, 0, 0);
    sem_init(&go, 0, 0);
    struct work busy = {.job = {.run = run, .done = done}, .started = &started, .go = &go};
    struct work waits = {.job = {.run = run, .done = done}};
    struct work again = {.job = {.run = run, .done = resubmit}};
    job_submit(P, &busy.job);
    sem_wait(&started);
    job_submit(P, &waits.job);
    job_submit(P, &again.job);
    sem_post(&go);
    job_pool_destroy(P);
    P = keep;
    assert_int_equal(busy.ended, 1);
    assert_int_equal(waits.ended, 1);
    assert_int_equal(again.ended, 2);
    assert_true(again.was_cancelled);
    sem_destroy(&started);
    sem_destroy(&go);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_job_runs_and_ends_once, up, down),
        cmocka_unit_test_setup_teardown(a_waiting_job_is_cancelled_without_running, up, down),
        cmocka_unit_test_setup_teardown(a_running_job_sees_its_cancel, up, down),
        cmocka_unit_test_setup_teardown(cancel_of_a_job_never_submitted_is_nothing, up, down),
        cmocka_unit_test_setup_teardown(destroy_ends_every_job, up, down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
