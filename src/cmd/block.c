/* Blocked clients, see block.h.
 *
 *   dbs[id].keys   dict of struct queue, one for each key that somebody waits for
 *   queue.places   the calls waiting for this key, oldest first
 *   ready          queues whose key was touched, in the order of touching
 *   heap           waiting calls that have a deadline, the earliest first; one timer serves them all
 *
 * A retry that is served changes keys, which makes others ready: those go to the end of `ready`, and the loop of
 * block_serve goes on. It is not re-entered: resuming a call ends in the dispatcher, which calls block_serve again.
 *
 * When the key is gone after a retry (a LPOP took the last element), the calls behind it in the queue could not be served
 * either and are not tried, so a push to a key with a thousand waiting workers wakes one of them and looks at no other. */
#include "cmd/block.h"

#include <assert.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/mem.h"
#include "cmd/call.h"
#include "cmd/dispatch.h"
#include "cmd/push.h"
#include "cmd/script.h"

struct queue {
    struct list places, ready_link;
    bool ready;
    int db;
    int told_gone; /* how many of its calls want to be tried also when the key is gone */
    uint32_t len;
    char key[];
};

struct waiter;
struct place {
    struct list link; /* in queue->places */
    struct queue *queue;
    struct waiter *waiter;
    uint64_t seen; /* the turn of serving in which it was tried last, or in which it came */
};

struct waiter {
    struct list all;
    struct call *call;
    bool (*retry)(struct call *c);
    void (*timeout)(struct call *c);
    int64_t deadline_ms; /* monotonic; 0: none */
    size_t heap_at;      /* where in the heap, when there is a deadline */
    int n;
    struct place places[];
};

static struct list ready = {&ready, &ready}, waiters = {&waiters, &waiters};
static size_t waiting;
static uint64_t clock_of_turns; /* one turn: one pass over one queue */
static struct dict *dbs; /* struct queue by key, one dict for each database */
static int ndbs;
static struct timer *timer;
static struct loop_hook hook;

/* ---- queues ---- */

static struct slice queue_key(const void *e)
{
    const struct queue *q = e;
    return slice_of(q->key, q->len);
}

static const struct dict_type queues_type = {.key = queue_key};

static struct dict *queues_of(int id)
{
    if (id >= ndbs) {
        dbs = mem_realloc(dbs, (size_t)(id + 1) * sizeof *dbs);
        for (; ndbs <= id; ndbs++)
            dict_init(&dbs[ndbs], &queues_type);
    }
    return &dbs[id];
}

static struct queue *queue_for(int db, struct slice key)
{
    struct dict *d = queues_of(db);
    struct queue *q = dict_find(d, key);
    if (q)
        return q;
    q = mem_zero(sizeof *q + key.len);
    list_init(&q->places);
    list_init(&q->ready_link);
    q->db = db;
    q->len = (uint32_t)key.len;
    if (key.len)
        memcpy(q->key, key.p, key.len);
    dict_add(d, q);
    return q;
}

static void queue_drop_if_idle(struct queue *q)
{
    if (!list_empty(&q->places))
        return;
    dict_remove(&dbs[q->db], queue_key(q));
    list_del(&q->ready_link);
    mem_free(q);
}

static void make_ready(struct queue *q)
{
    if (q->ready)
        return;
    q->ready = true;
    list_add_tail(&ready, &q->ready_link);
}

/* ---- deadlines: a binary heap ---- */

static struct waiter **heap;
static size_t heap_len, heap_cap;

static void heap_put(size_t at, struct waiter *w)
{
    heap[at] = w;
    w->heap_at = at;
}

static void heap_up(size_t at, struct waiter *w)
{
    for (; at > 0 && heap[(at - 1) / 2]->deadline_ms > w->deadline_ms; at = (at - 1) / 2)
        heap_put(at, heap[(at - 1) / 2]);
    heap_put(at, w);
}

static void heap_down(size_t at, struct waiter *w)
{
    for (size_t child; (child = 2 * at + 1) < heap_len; at = child) {
        if (child + 1 < heap_len && heap[child + 1]->deadline_ms < heap[child]->deadline_ms)
            child++;
        if (heap[child]->deadline_ms >= w->deadline_ms)
            break;
        heap_put(at, heap[child]);
    }
    heap_put(at, w);
}

static void set_timer(void)
{
    if (!timer)
        return;
    if (heap_len == 0) {
        timer_stop(timer);
        return;
    }
    int64_t in = heap[0]->deadline_ms - clock_mono_ms();
    timer_start(timer, in > 0 ? (uint64_t)in : 0, 0);
}

static void heap_add(struct waiter *w)
{
    if (heap_len == heap_cap) {
        heap_cap = heap_cap ? 2 * heap_cap : 16;
        heap = mem_realloc(heap, heap_cap * sizeof(struct waiter *));
    }
    heap_up(heap_len++, w);
    if (w->heap_at == 0)
        set_timer();
}

static void heap_remove(struct waiter *w)
{
    size_t at = w->heap_at;
    struct waiter *last = heap[--heap_len];
    if (last != w) {
        heap_up(at, last);
        heap_down(last->heap_at, last);
    }
    if (at == 0)
        set_timer();
}

size_t block_timeouts(void)
{
    return heap_len;
}

/* ---- a call's wait ---- */

/* Out of all queues and freed. The call is still parked. */
static struct call *leave(struct waiter *w)
{
    struct call *c = w->call;
    for (int i = 0; i < w->n; i++) {
        list_del(&w->places[i].link);
        w->places[i].queue->told_gone -= (c->flags & CALL_TOLD_GONE) != 0;
        queue_drop_if_idle(w->places[i].queue);
    }
    if (w->deadline_ms)
        heap_remove(w);
    list_del(&w->all);
    waiting--;
    mem_free(w);
    return c;
}

static void cancelled(struct call *c, void *arg)
{
    call_resume(leave(arg));
}

static bool stands_in(const struct waiter *w, const struct queue *q)
{
    for (int i = 0; i < w->n; i++)
        if (w->places[i].queue == q)
            return true;
    return false;
}

void call_block(struct call *c, const struct slice *keys, int n, int64_t timeout_ms, bool (*retry)(struct call *c),
                void (*timeout)(struct call *c))
{
    if (c->flags & CALL_ATOMIC) {
        timeout(c);
        return;
    }
    struct waiter *w = mem_zero(sizeof *w + (size_t)n * sizeof *w->places);
    w->retry = retry;
    w->timeout = timeout;
    for (int i = 0; i < n; i++) {
        struct queue *q = queue_for(c->db->id, keys[i]);
        if (stands_in(w, q)) /* the same key twice */
            continue;
        struct place *p = &w->places[w->n++];
        *p = (struct place){.queue = q, .waiter = w, .seen = clock_of_turns};
        list_add_tail(&q->places, &p->link);
        q->told_gone += (c->flags & CALL_TOLD_GONE) != 0;
    }
    list_add_tail(&waiters, &w->all);
    waiting++;
    if (timeout_ms > 0) {
        int64_t now = clock_mono_ms();
        w->deadline_ms = timeout_ms > INT64_MAX - now ? INT64_MAX : now + timeout_ms;
        heap_add(w);
    }
    w->call = call_park(c, cancelled, w);
}

static void on_time(void *arg)
{
    int64_t now = clock_mono_ms();
    while (heap_len && heap[0]->deadline_ms <= now) {
        struct waiter *w = heap[0];
        void (*timeout)(struct call *c) = w->timeout;
        struct call *c = leave(w);
        timeout(c);
        call_resume(c);
    }
    set_timer();
}

bool block_unblock(struct call *c, bool error)
{
    list_each(l, &waiters) {
        struct waiter *w = list_entry(l, struct waiter, all);
        if (w->call != c)
            continue;
        void (*timeout)(struct call *c) = w->timeout;
        leave(w);
        if (error)
            reply_errorf(c->reply, "UNBLOCKED client unblocked via CLIENT UNBLOCK");
        else
            timeout(c);
        call_resume(c);
        return true;
    }
    return false;
}

/* ---- waking ---- */

void block_touched(struct db *db, struct slice key)
{
    if (waiting == 0 || db->id >= ndbs)
        return;
    struct queue *q = dict_find(&dbs[db->id], key);
    if (q)
        make_ready(q);
}

void block_flushed(struct db *db)
{
    if (waiting == 0 || db->id >= ndbs)
        return;
    struct dict_iter it;
    struct queue *q;
    for (dict_iter_begin(&it, &dbs[db->id]); (q = dict_iter_next(&it));)
        make_ready(q);
    dict_iter_end(&it);
}

/* The oldest call behind `at` that joined before this turn and was not tried in it. */
static struct place *next_untried(struct queue *q, struct list *at, uint64_t turn)
{
    for (at = at->next; at != &q->places; at = at->next) {
        struct place *p = list_entry(at, struct place, link);
        if (p->seen < turn)
            return p;
    }
    return NULL;
}

/* Tries one call. What is pushed to its client meanwhile (LMOVE pushes to a list that it has cached) comes after the
 * reply. */
static bool serve(struct waiter *w)
{
    struct client *c = w->call->client, *outer = dispatch_current(c);
    bool held = c && push_hold(c);
    bool served = w->retry(w->call);
    if (served)
        call_resume(leave(w));
    if (held)
        push_release(c);
    dispatch_current(outer);
    return served;
}

/* Tries everybody in one queue, once. Resuming a call may run its client's next commands, which may end any other wait or
 * block again, so after it the queue is looked up anew. It must follow the retry at once: it emits the call's effects. */
static void serve_queue(struct queue *q)
{
    int id = q->db;
    uint64_t turn = ++clock_of_turns;
    char *copy = mem_dup(q->key, q->len);
    struct slice key = slice_of(copy, q->len);
    struct list *at = &q->places;
    for (struct place *p; q && (p = next_untried(q, at, turn));) {
        struct waiter *w = p->waiter;
        p->seen = turn;
        at = &p->link;
        bool gone = !db_peek(w->call->db, key);
        if (gone && !q->told_gone)
            break;
        if (gone && !(w->call->flags & CALL_TOLD_GONE))
            continue;
        if (!serve(w))
            continue;
        q = dict_find(&dbs[id], key);
        at = q ? &q->places : NULL;
    }
    mem_free(copy);
}

void block_serve(void)
{
    static bool serving;
    if (serving || script_running()) /* a script's keys are not ready before it is whole */
        return;
    serving = true;
    while (!list_empty(&ready)) {
        struct queue *q = list_entry(ready.next, struct queue, ready_link);
        list_del(&q->ready_link);
        q->ready = false;
        serve_queue(q);
    }
    serving = false;
}

/* ---- boot ---- */

static void before_sleep(void *arg)
{
    block_serve();
}

void block_boot(struct loop *l)
{
    timer = timer_create_on(l, on_time, NULL);
    hook = (struct loop_hook){.fn = before_sleep};
    loop_before_sleep(l, &hook);
}

void block_end(void)
{
    loop_unhook(&hook);
    timer_close(timer);
    timer = NULL;
    for (int i = 0; i < ndbs; i++)
        dict_release(&dbs[i]);
    mem_free(dbs);
    mem_free(heap);
    dbs = NULL;
    heap = NULL;
    ndbs = 0;
    heap_len = heap_cap = 0;
}
