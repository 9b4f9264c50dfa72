/* Publish and subscribe. See pubsub.h.
 *
 * A topic is a name that somebody has joined; a seat is one subscriber in one topic, linked into the topic's list (to
 * deliver) and the subscriber's dict (to look up and to leave). Publishing costs one lookup, one callback a receiver,
 * and one glob match for every pattern there is.
 *
 * What would surprise: while a delivery or a walk over names is under way (busy > 0) a topic that lost its last seat
 * stays where it is, on the list of empty ones, and is freed at the end. So a subscriber may leave everything, or go,
 * from inside its own delivery, and a name that was lent to a callback outlives the leaving of it. */
#include "net/pubsub.h"

#include <assert.h>
#include <stddef.h>

#include "base/glob.h"
#include "base/list.h"
#include "base/mem.h"

#define KINDS 3

struct topic {
    struct slice name;
    enum pubsub_kind kind;
    struct list seats; /* by in_topic */
    size_t count;
    struct list link;  /* of patterns: all of them, in order of birth */
    struct list empty; /* in pubsub->empty while it has no seats */
};

struct seat {
    struct topic *topic;
    struct pubsub_sub *sub;
    struct list in_topic;
};

struct pubsub {
    struct dict topics[KINDS];
    struct list patterns; /* struct topic, by link */
    struct list empty;    /* struct topic, by empty: to be freed when nothing is under way */
    int busy;
    size_t subs;
    size_t pattern_count; /* patterns that have seats */
};

struct pubsub_sub {
    struct pubsub *p;
    pubsub_deliver *deliver;
    void *arg;
    struct dict seats[KINDS];
};

static struct slice topic_key(const void *entry)
{
    return ((const struct topic *)entry)->name;
}

static struct slice seat_key(const void *entry)
{
    return ((const struct seat *)entry)->topic->name;
}

static const struct dict_type topic_type = {.key = topic_key};
static const struct dict_type seat_type = {.key = seat_key};

struct pubsub *pubsub_create(void)
{
    struct pubsub *p = mem_zero(sizeof *p);
    for (int k = 0; k < KINDS; k++)
        dict_init(&p->topics[k], &topic_type);
    list_init(&p->patterns);
    list_init(&p->empty);
    return p;
}

void pubsub_destroy(struct pubsub *p)
{
    if (!p)
        return;
    assert(p->subs == 0 && p->busy == 0);
    for (int k = 0; k < KINDS; k++)
        dict_release(&p->topics[k]);
    mem_free(p);
}

/* --- topics --- */

static struct topic *topic_find(struct pubsub *p, enum pubsub_kind kind, struct slice name)
{
    return dict_find(&p->topics[kind], name);
}

static struct topic *topic_create(struct pubsub *p, enum pubsub_kind kind, struct slice name)
{
    struct topic *t = mem_zero(sizeof *t + name.len);
    char *copy = (char *)(t + 1);
    if (name.len)
        memcpy(copy, name.p, name.len);
    t->name = slice_of(copy, name.len);
    t->kind = kind;
    list_init(&t->seats);
    list_init(&t->link);
    list_init(&t->empty);
    if (kind == PUBSUB_PATTERN)
        list_add_tail(&p->patterns, &t->link);
    dict_add(&p->topics[kind], t);
    return t;
}

static void begin(struct pubsub *p)
{
    p->busy++;
}

static void end(struct pubsub *p)
{
    if (--p->busy > 0)
        return;
    while (!list_empty(&p->empty)) {
        struct topic *t = list_entry(p->empty.next, struct topic, empty);
        list_del(&t->empty);
        list_del(&t->link);
        dict_remove(&p->topics[t->kind], t->name);
        mem_free(t);
    }
}

/* --- seats --- */

static void seat_take(struct topic *t, struct pubsub_sub *s)
{
    struct seat *seat = mem_alloc(sizeof *seat);
    *seat = (struct seat){.topic = t, .sub = s};
    list_add_tail(&t->seats, &seat->in_topic);
    list_del(&t->empty);
    if (t->count++ == 0 && t->kind == PUBSUB_PATTERN)
        s->p->pattern_count++;
    dict_add(&s->seats[t->kind], seat);
}

/* The caller is between begin and end. */
static void seat_leave(struct seat *seat)
{
    struct topic *t = seat->topic;
    struct pubsub *p = seat->sub->p;
    dict_remove(&seat->sub->seats[t->kind], t->name);
    list_del(&seat->in_topic);
    mem_free(seat);
    if (--t->count > 0)
        return;
    list_add_tail(&p->empty, &t->empty);
    if (t->kind == PUBSUB_PATTERN)
        p->pattern_count--;
}

/* --- subscribers --- */

struct pubsub_sub *pubsub_sub_create(struct pubsub *p, pubsub_deliver *deliver, void *arg)
{
    struct pubsub_sub *s = mem_zero(sizeof *s);
    s->p = p;
    s->deliver = deliver;
    s->arg = arg;
    for (int k = 0; k < KINDS; k++)
        dict_init(&s->seats[k], &seat_type);
    p->subs++;
    return s;
}

void pubsub_sub_destroy(struct pubsub_sub *s)
{
    if (!s)
        return;
    struct pubsub *p = s->p;
    begin(p);
    for (int k = 0; k < KINDS; k++) {
        struct dict_iter it;
        struct seat *seat;
        for (dict_iter_begin(&it, &s->seats[k]); (seat = dict_iter_next(&it));)
            seat_leave(seat);
        dict_iter_end(&it);
        dict_release(&s->seats[k]);
    }
    end(p);
    p->subs--;
    mem_free(s);
}

bool pubsub_join(struct pubsub_sub *s, enum pubsub_kind kind, struct slice name)
{
    if (dict_find(&s->seats[kind], name))
        return false;
    struct topic *t = topic_find(s->p, kind, name);
    seat_take(t ? t : topic_create(s->p, kind, name), s);
    return true;
}

bool pubsub_leave(struct pubsub_sub *s, enum pubsub_kind kind, struct slice name)
{
    struct seat *seat = dict_find(&s->seats[kind], name);
    if (!seat)
        return false;
    begin(s->p);
    seat_leave(seat);
    end(s->p);
    return true;
}

size_t pubsub_count(const struct pubsub_sub *s, enum pubsub_kind kind)
{
    return dict_count(&s->seats[kind]);
}

void pubsub_names(struct pubsub_sub *s, enum pubsub_kind kind, void (*fn)(void *arg, struct slice name), void *arg)
{
    struct dict_iter it;
    struct seat *seat;
    begin(s->p);
    for (dict_iter_begin(&it, &s->seats[kind]); (seat = dict_iter_next(&it));)
        fn(arg, seat->topic->name);
    dict_iter_end(&it);
    end(s->p);
}

/* --- publishing --- */

static size_t deliver_all(struct topic *t, struct slice pattern, struct slice channel, struct slice message)
{
    size_t n = 0;
    list_each_safe (node, &t->seats) {
        struct pubsub_sub *s = list_entry(node, struct seat, in_topic)->sub;
        n++;
        s->deliver(s->arg, t->kind, pattern, channel, message);
    }
    return n;
}

size_t pubsub_publish(struct pubsub *p, enum pubsub_kind kind, struct slice channel, struct slice message)
{
    size_t n = 0;
    begin(p);
    struct topic *t = topic_find(p, kind, channel);
    if (t)
        n += deliver_all(t, slice_of("", 0), channel, message);
    if (kind == PUBSUB_CHANNEL) {
        list_each (node, &p->patterns) {
            t = list_entry(node, struct topic, link);
            if (t->count > 0 && glob_match(t->name, channel, false))
                n += deliver_all(t, t->name, channel, message);
        }
    }
    end(p);
    return n;
}

/* --- what PUBSUB tells --- */

void pubsub_channels(struct pubsub *p, enum pubsub_kind kind, void (*fn)(void *arg, struct slice name, size_t subs),
                     void *arg)
{
    struct dict_iter it;
    struct topic *t;
    for (dict_iter_begin(&it, &p->topics[kind]); (t = dict_iter_next(&it));)
        if (t->count > 0)
            fn(arg, t->name, t->count);
    dict_iter_end(&it);
}

size_t pubsub_numsub(struct pubsub *p, enum pubsub_kind kind, struct slice channel)
{
    struct topic *t = topic_find(p, kind, channel);
    return t ? t->count : 0;
}

size_t pubsub_numnames(const struct pubsub *p, enum pubsub_kind kind)
{
    return dict_count(&p->topics[kind]);
}

size_t pubsub_numpat(const struct pubsub *p)
{
    return p->pattern_count;
}
