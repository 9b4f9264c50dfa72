#include "llm/queue.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"

struct queue_lane {
    struct list link;  /* in its priority */
    struct list seats; /* oldest first */
    int priority;
    unsigned asked; /* in which pump its first could not start */
    size_t target_at, len;
    char key[]; /* priority, owner, 0, target */
};

static struct slice key_of(const void *entry)
{
    const struct queue_lane *l = entry;
    return slice_of(l->key, l->len);
}

static const struct dict_type by_key = {.key = key_of};

void queue_init(struct queue *q)
{
    *q = (struct queue){0};
    for (int i = 0; i <= LLM_PRIORITY_LAST; i++)
        list_init(&q->lanes[i]);
    dict_init(&q->by_key, &by_key);
}

void queue_release(struct queue *q)
{
    assert(q->count == 0);
    dict_release(&q->by_key);
}

static struct queue_lane *lane_create(int priority, struct slice owner, struct slice target)
{
    size_t len = 2 + owner.len + target.len;
    struct queue_lane *l = mem_zero(sizeof *l + len);
    list_init(&l->seats);
    l->priority = priority;
    l->len = len;
    l->target_at = 2 + owner.len;
    l->key[0] = (char)priority;
    if (owner.len)
        memcpy(l->key + 1, owner.p, owner.len);
    if (target.len)
        memcpy(l->key + l->target_at, target.p, target.len);
    return l;
}

void queue_join(struct queue *q, struct queue_seat *s, int priority, struct slice owner, struct slice target)
{
    assert(!s->lane);
    priority = priority < 0 ? 0 : priority > LLM_PRIORITY_LAST ? LLM_PRIORITY_LAST : priority;
    struct queue_lane *made = lane_create(priority, owner, target);
    struct queue_lane *lane = dict_find(&q->by_key, key_of(made));
    if (lane) {
        mem_free(made);
    } else {
        lane = made;
        dict_add(&q->by_key, lane);
        list_add_tail(&q->lanes[priority], &lane->link);
    }
    s->lane = lane;
    list_add_tail(&lane->seats, &s->link);
    q->count++;
}

void queue_leave(struct queue *q, struct queue_seat *s)
{
    struct queue_lane *lane = s->lane;
    if (!lane)
        return;
    list_del(&s->link);
    s->lane = NULL;
    q->count--;
    if (list_empty(&lane->seats)) {
        list_del(&lane->link);
        dict_remove(&q->by_key, key_of(lane));
        mem_free(lane);
    }
}

bool queue_waits_for(const struct queue *q, struct slice target, int priority)
{
    for (int p = 0; q->count && p <= priority && p <= LLM_PRIORITY_LAST; p++)
        list_each (n, &q->lanes[p]) {
            const struct queue_lane *l = list_entry(n, struct queue_lane, link);
            if (slice_eq(slice_of(l->key + l->target_at, l->len - l->target_at), target))
                return true;
        }
    return false;
}

static struct queue_lane *next_lane(struct queue *q, int priority)
{
    list_each (n, &q->lanes[priority]) {
        struct queue_lane *l = list_entry(n, struct queue_lane, link);
        if (l->asked != q->pump)
            return l;
    }
    return NULL;
}

void queue_pump(struct queue *q, bool (*ask)(void *arg, struct queue_seat *s), void *arg)
{
    struct queue_lane *lane;
    q->pump++;
    for (int p = 0; p <= LLM_PRIORITY_LAST; p++)
        while ((lane = next_lane(q, p))) {
            struct queue_seat *first = list_entry(lane->seats.next, struct queue_seat, link);
            struct list *before = lane->link.prev;
            list_del(&lane->link); /* its turn is over, if this goes well; then the lane may be gone */
            list_add_tail(&q->lanes[p], &lane->link);
            if (ask(arg, first))
                continue;
            lane->asked = q->pump;
            list_del(&lane->link);
            list_add_head(before, &lane->link); /* it keeps its turn */
        }
}
