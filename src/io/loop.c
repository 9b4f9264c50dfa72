/* The loop over libuv: hooks, posts from other threads, timers, watched descriptors, signals.
 *
 * What would surprise: turns are always uv_run(UV_RUN_ONCE), and our own stop flag ends loop_run, so a stop asked for
 * before loop_run is not lost and a test may mix loop_turn with loop_run. The async handle of posts keeps the libuv
 * loop alive for ever; whether anything is left to wait for is therefore answered here, by loop_turn, and not by libuv.
 *
 * Posts are a lock-free stack that the loop takes whole and turns around: one compare-and-swap a post, and only the
 * post that found the stack empty writes the wake-up. With some hundred thousand job and model messages a second the
 * wake-up write, not the list, is the cost, and it is paid once a batch. */
#include "io/loop.h"
#include "io/loop_uv.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

struct post {
    struct post *next;
    void (*fn)(void *arg);
    void *arg;
    bool work;
};

struct loop {
    uv_loop_t uv;
    uv_prepare_t prepare;
    uv_idle_t again;
    uv_async_t wake;
    pthread_t thread;
    struct list hooks, flush_hooks;
    struct list *running_from;     /* hooks of the present round that have not run yet; NULL outside a round */
    _Atomic(struct post *) posted; /* newest first */
    struct post *batch;            /* taken from posted, oldest first */
    struct post *later;            /* work that came during an inner turn, oldest first */
    int held;
    bool stop;
    bool inside; /* an inner turn is under way */
};

_Static_assert(offsetof(struct loop, uv) == 0, "a libuv handle's loop is ours");

uv_loop_t *loop_uv(struct loop *l)
{
    return &l->uv;
}

/* Each hook is moved to the end of the list before it runs, so that any hook may unhook itself or another. */
static void run_hooks(struct loop *l, struct list *hooks)
{
    struct list todo, *outer = l->running_from;
    list_init(&todo);
    if (!list_empty(hooks)) {
        todo = *hooks;
        todo.next->prev = todo.prev->next = &todo;
        list_init(hooks);
    }
    l->running_from = hooks == &l->hooks ? &todo : NULL;
    while (!list_empty(&todo)) {
        struct list *n = todo.next;
        list_del(n);
        list_add_tail(hooks, n);
        struct loop_hook *h = list_entry(n, struct loop_hook, link);
        h->fn(h->arg);
    }
    l->running_from = outer;
}

static void on_prepare(uv_prepare_t *p)
{
    struct loop *l = p->data;
    run_hooks(l, &l->hooks);
    run_hooks(l, &l->flush_hooks);
}

static void on_again(uv_idle_t *i)
{
    uv_idle_stop(i);
}

static void append(struct post **list, struct post *tail)
{
    while (*list)
        list = &(*list)->next;
    *list = tail;
}

static void on_wake(uv_async_t *a)
{
    struct loop *l = a->data;
    struct post *newest = atomic_exchange_explicit(&l->posted, NULL, memory_order_acquire), *oldest = NULL;
    while (newest) {
        struct post *n = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = n;
    }
    append(&l->batch, oldest);
    while (l->batch) {
        struct post *p = l->batch;
        l->batch = p->next;
        if (p->work && l->inside) {
            p->next = NULL;
            append(&l->later, p);
            continue;
        }
        void (*fn)(void *) = p->fn;
        void *arg = p->arg;
        mem_free(p);
        fn(arg);
    }
}

void loop_run_posts(struct loop *l)
{
    while (l->batch || atomic_load(&l->posted))
        on_wake(&l->wake);
}

int loop_create(struct loop **out, struct err *err)
{
    struct loop *l = mem_zero(sizeof *l);
    int r = uv_loop_init(&l->uv);
    if (r < 0) {
        mem_free(l);
        return err_set(err, ERR_IO, "cannot make the event loop: %s", uv_strerror(r));
    }
    if ((r = uv_async_init(&l->uv, &l->wake, on_wake)) < 0) {
        uv_loop_close(&l->uv);
        mem_free(l);
        return err_set(err, ERR_IO, "cannot make the event loop's wake-up: %s", uv_strerror(r));
    }
    signal(SIGPIPE, SIG_IGN); /* a peer that hung up is an error of the write */
    uv_prepare_init(&l->uv, &l->prepare);
    uv_idle_init(&l->uv, &l->again);
    l->wake.data = l->prepare.data = l->again.data = l;
    uv_prepare_start(&l->prepare, on_prepare);
    uv_unref((uv_handle_t *)&l->prepare);
    list_init(&l->hooks);
    list_init(&l->flush_hooks);
    l->thread = pthread_self();
    *out = l;
    return 0;
}

static void note_open(uv_handle_t *h, void *arg)
{
    if (!uv_is_closing(h))
        log_warning("the loop is being destroyed with a %s still open", uv_handle_type_name(h->type));
}

void loop_destroy(struct loop *l)
{
    if (!l)
        return;
    loop_run_posts(l);
    uv_close((uv_handle_t *)&l->prepare, NULL);
    uv_close((uv_handle_t *)&l->again, NULL);
    uv_close((uv_handle_t *)&l->wake, NULL);
    uv_walk(&l->uv, note_open, NULL);
    uv_run(&l->uv, UV_RUN_NOWAIT);
    int r = uv_loop_close(&l->uv);
    assert(r == 0);
    mem_free(l);
}

void loop_run(struct loop *l)
{
    while (!l->stop)
        uv_run(&l->uv, UV_RUN_ONCE);
    l->stop = false;
}

void loop_stop(struct loop *l)
{
    l->stop = true;
    loop_again(l);
}

static bool anything_left(struct loop *l)
{
    if (l->held > 0 || l->batch || l->later || atomic_load(&l->posted))
        return true;
    uv_unref((uv_handle_t *)&l->wake);
    bool alive = uv_loop_alive(&l->uv);
    uv_ref((uv_handle_t *)&l->wake);
    return alive;
}

bool loop_turn(struct loop *l)
{
    uv_run(&l->uv, UV_RUN_NOWAIT);
    return anything_left(l);
}

bool loop_turn_wait(struct loop *l)
{
    uv_run(&l->uv, anything_left(l) ? UV_RUN_ONCE : UV_RUN_NOWAIT);
    return anything_left(l);
}

void loop_turn_inside(struct loop *l)
{
    assert(!l->inside);
    l->inside = true;
    uv_run(&l->uv, UV_RUN_NOWAIT);
    l->inside = false;
    if (l->later) {
        append(&l->later, l->batch);
        l->batch = l->later;
        l->later = NULL;
        uv_async_send(&l->wake);
    }
}

bool loop_stopping(const struct loop *l)
{
    return l->stop;
}

bool loop_is_here(const struct loop *l)
{
    return pthread_equal(l->thread, pthread_self());
}

void loop_before_sleep(struct loop *l, struct loop_hook *h)
{
    list_add_tail(l->running_from ? l->running_from : &l->hooks, &h->link);
}

void loop_flush_hook(struct loop *l, struct loop_hook *h)
{
    list_add_tail(&l->flush_hooks, &h->link);
}

void loop_unhook(struct loop_hook *h)
{
    if (h->link.next)
        list_del(&h->link);
}

void loop_again(struct loop *l)
{
    uv_idle_start(&l->again, on_again);
}

void loop_hold(struct loop *l, int by)
{
    l->held += by;
    assert(l->held >= 0);
}

static void post(struct loop *l, void (*fn)(void *arg), void *arg, bool work)
{
    struct post *p = mem_alloc(sizeof *p);
    p->fn = fn;
    p->arg = arg;
    p->work = work;
    struct post *before = atomic_load_explicit(&l->posted, memory_order_relaxed);
    do
        p->next = before; /* not read again below: once published, p is the loop's */
    while (!atomic_compare_exchange_weak_explicit(&l->posted, &before, p, memory_order_release, memory_order_relaxed));
    if (!before)
        uv_async_send(&l->wake);
}

void loop_post(struct loop *l, void (*fn)(void *arg), void *arg)
{
    post(l, fn, arg, false);
}

void loop_post_work(struct loop *l, void (*fn)(void *arg), void *arg)
{
    post(l, fn, arg, true);
}

#define INSIDE_RETRY_MS 5 /* a timer that would fire during an inner turn looks again after this */

struct timer {
    uv_timer_t uv;
    void (*fn)(void *arg);
    void *arg;
};

static void on_timer(uv_timer_t *h)
{
    struct timer *t = h->data;
    const struct loop *l = (const struct loop *)h->loop; /* its first member */
    if (l->inside)
        uv_timer_start(h, on_timer, INSIDE_RETRY_MS, uv_timer_get_repeat(h));
    else
        t->fn(t->arg);
}

static void free_handle(uv_handle_t *h)
{
    mem_free(h->data);
}

struct timer *timer_create_on(struct loop *l, void (*fn)(void *arg), void *arg)
{
    struct timer *t = mem_zero(sizeof *t);
    uv_timer_init(&l->uv, &t->uv);
    t->uv.data = t;
    t->fn = fn;
    t->arg = arg;
    return t;
}

void timer_start(struct timer *t, uint64_t after_ms, uint64_t repeat_ms)
{
    uv_update_time(t->uv.loop); /* or a long callback before this one would make the timer early */
    uv_timer_start(&t->uv, on_timer, after_ms, repeat_ms);
}

void timer_stop(struct timer *t)
{
    uv_timer_stop(&t->uv);
}

void timer_close(struct timer *t)
{
    if (t)
        uv_close((uv_handle_t *)&t->uv, free_handle);
}

struct watch {
    uv_poll_t uv;
    void (*fn)(void *arg);
    void *arg;
    bool inside; /* looked at in inner turns, too */
};

/* An error on the descriptor counts as readable: the owner's read then meets it. */
static void on_poll(uv_poll_t *h, int status, int events)
{
    struct watch *w = h->data;
    const struct loop *l = (const struct loop *)h->loop;
    if (w->inside || !l->inside)
        w->fn(w->arg);
}

struct watch *watch_create(struct loop *l, int fd, void (*fn)(void *arg), void *arg)
{
    struct watch *w = mem_zero(sizeof *w);
    if (uv_poll_init(&l->uv, &w->uv, fd) < 0) {
        mem_free(w);
        return NULL;
    }
    w->uv.data = w;
    w->fn = fn;
    w->arg = arg;
    uv_poll_start(&w->uv, UV_READABLE, on_poll);
    return w;
}

void watch_inside(struct watch *w)
{
    w->inside = true;
}

void watch_background(struct watch *w)
{
    uv_unref((uv_handle_t *)&w->uv);
}

void watch_close(struct watch *w)
{
    if (w)
        uv_close((uv_handle_t *)&w->uv, free_handle);
}

struct sigwatch {
    uv_signal_t uv;
    void (*fn)(void *arg, int signum);
    void *arg;
};

static void on_signal(uv_signal_t *h, int signum)
{
    struct sigwatch *s = h->data;
    s->fn(s->arg, signum);
}

struct sigwatch *sigwatch_create(struct loop *l, int signum, void (*fn)(void *arg, int signum), void *arg)
{
    struct sigwatch *s = mem_zero(sizeof *s);
    uv_signal_init(&l->uv, &s->uv);
    s->uv.data = s;
    s->fn = fn;
    s->arg = arg;
    int r = uv_signal_start(&s->uv, on_signal, signum);
    if (r < 0)
        log_warning("cannot watch signal %d: %s", signum, uv_strerror(r));
    return s;
}

void sigwatch_close(struct sigwatch *s)
{
    if (s)
        uv_close((uv_handle_t *)&s->uv, free_handle);
}
