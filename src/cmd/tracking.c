/* Client-side caching, see tracking.h.
 *
 *   keys       dict of struct tracked: a key and the ids of the clients that have read it, in ascending order
 *   prefixes   list of struct tracking_prefix: who listens to it (seats), and what changed in this turn (changes)
 *
 * Ids and not pointers: a client that leaves or stops costs nothing here, its ids are skipped when their key changes. The
 * last one that stops empties the table.
 * Ids are never used again. An entry is 16 bytes, its key, and 8 bytes a client. */
#include "cmd/tracking.h"

#include "base/info.h"
#include "base/mem.h"
#include "base/setting.h"
#include "cmd/dispatch.h"
#include "cmd/push.h"

#define LIMIT_EFFORT 100 /* keys forgotten at a time; more when that was not enough the last time */

struct tracked {
    uint64_t *ids;
    uint32_t n, cap;
    uint32_t len;
    char key[];
};

struct change { /* in a prefix, since the last turn */
    struct list link;
    uint64_t by; /* who changed it last; 0: the server */
    uint32_t len;
    char key[];
};

struct tracking_prefix {
    struct list link, seats, changed;
    struct dict changes; /* struct change by key: each is told once */
    uint32_t len;
    char text[];
};

size_t tracking_clients;
static int64_t max_keys;
static struct dict keys;
static uint64_t items;
static struct list prefixes = {&prefixes, &prefixes};
static size_t nprefixes;
static bool flushed;     /* everybody is to be told that everything changed */
static bool script_read; /* the script that runs has read a key */
static struct loop_hook hook;

static struct slice tracked_key(const void *e)
{
    const struct tracked *t = e;
    return slice_of(t->key, t->len);
}

static void tracked_free(void *e)
{
    struct tracked *t = e;
    items -= t->n;
    mem_free(t->ids);
    mem_free(t);
}

static struct slice change_key(const void *e)
{
    const struct change *c = e;
    return slice_of(c->key, c->len);
}

static const struct dict_type tracked_type = {.key = tracked_key, .free = tracked_free};
static const struct dict_type changes_type = {.key = change_key};

struct slice tracking_prefix_text(const struct tracking_prefix *p)
{
    return slice_of(p->text, p->len);
}

/* ---- messages ---- */

static void say_broken(struct client *c)
{
    c->tracking->flags |= TRACKING_BROKEN;
    if (c->reply.resp < 3)
        return;
    struct reply r = {.out = push_out(c), .resp = c->reply.resp};
    reply_push(&r, 2);
    reply_str(&r, "tracking-redir-broken");
    reply_int(&r, (int64_t)c->tracking->redirect);
    push_wrote(c);
}

/* names: an array of keys as RESP; empty: all keys. */
static void say(struct client *c, struct slice names)
{
    if (conn_closing(c->conn))
        return;
    struct client *to = c->tracking->redirect ? client_by_id(c->tracking->redirect) : c;
    if (!to || conn_closing(to->conn)) { /* on its way out is gone: nothing reaches it any more */
        say_broken(c);
        return;
    }
    struct reply r = {.out = push_out(to), .resp = to->reply.resp};
    if (r.resp > 2) {
        reply_push(&r, 2);
        reply_str(&r, "invalidate");
    } else if (to != c && client_subscriptions(to)) {
        reply_array(&r, 3);
        reply_str(&r, "message");
        reply_str(&r, "__redis__:invalidate");
    } else {
        return; /* RESP2 has no words for it */
    }
    if (names.len)
        reply_raw(&r, names);
    else
        reply_nil(&r);
    push_wrote(to);
}

/* ---- the table ---- */

static uint32_t place_of(const struct tracked *t, uint64_t id)
{
    uint32_t low = 0, high = t->n;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (t->ids[mid] < id)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static void remember(uint64_t id, struct slice key)
{
    struct tracked *t = dict_find(&keys, key);
    if (!t) {
        t = mem_zero(sizeof *t + key.len);
        t->len = (uint32_t)key.len;
        if (key.len)
            memcpy(t->key, key.p, key.len);
        dict_add(&keys, t);
    }
    uint32_t at = place_of(t, id);
    if (at < t->n && t->ids[at] == id)
        return;
    if (t->n == t->cap) {
        t->cap = t->cap ? 2 * t->cap : 1;
        t->ids = mem_realloc(t->ids, t->cap * sizeof *t->ids);
    }
    memmove(t->ids + at + 1, t->ids + at, (t->n - at) * sizeof *t->ids);
    t->ids[at] = id;
    t->n++;
    items++;
}

/* Tells all who have read t's key and forgets it. */
static void invalidate(struct tracked *t, const struct client *by)
{
    struct buf names = {0};
    struct reply r = {.out = &names, .resp = 2};
    dict_remove(&keys, tracked_key(t));
    reply_array(&r, 1);
    reply_bulk(&r, tracked_key(t));
    for (uint32_t i = 0; i < t->n; i++) {
        struct client *c = client_by_id(t->ids[i]);
        if (!c || !c->tracking || (c->tracking->flags & TRACKING_BCAST))
            continue;
        if (c == by && (c->tracking->flags & TRACKING_NOLOOP))
            continue;
        say(c, buf_slice(&names));
    }
    buf_release(&names);
    tracked_free(t);
}

/* Caching is on for the present command of c. */
static bool wants_keys(const struct client *c)
{
    unsigned f = c && c->tracking ? c->tracking->flags : TRACKING_BCAST;
    if (f & TRACKING_BCAST)
        return false;
    if (f & TRACKING_OPTIN)
        return f & TRACKING_CACHING;
    return !((f & TRACKING_OPTOUT) && (f & TRACKING_CACHING));
}

struct reading {
    uint64_t id;
    const struct slice *argv;
};

static bool remember_key(void *arg, int at, unsigned use)
{
    const struct reading *r = arg;
    if (!(use & KEY_NOT_KEY))
        remember(r->id, r->argv[at]);
    return true;
}

static void remember_all(const struct client *c, const struct cmd_entry *e, int argc, const struct slice *argv)
{
    key_specs_each(&e->keys, argc, argv, remember_key, &(struct reading){c->id, argv});
}

void tracking_ran(struct client *c, const struct cmd_entry *e, int argc, const struct slice *argv, bool inside)
{
    bool scripting = e->cmd->acl & ACL_SCRIPTING, reads = (e->cmd->flags & CMD_READONLY) && !scripting;
    if (!wants_keys(c))
        return;
    if (reads || (scripting && script_read))
        remember_all(c, e, argc, argv);
    if (!inside)
        script_read = false;
    else if (reads)
        script_read = true;
}

void tracking_limit(void)
{
    static unsigned tries; /* in a row that were not enough */
    if (max_keys == 0 || dict_count(&keys) <= (size_t)max_keys) {
        tries = 0;
        return;
    }
    for (size_t effort = LIMIT_EFFORT * (size_t)++tries; effort > 0 && dict_count(&keys) > (size_t)max_keys; effort--)
        invalidate(dict_random(&keys, &dispatch_store()->rng), NULL);
}

/* ---- broadcast ---- */

static struct tracking_prefix *prefix_for(struct slice text)
{
    list_each (l, &prefixes) {
        struct tracking_prefix *p = list_entry(l, struct tracking_prefix, link);
        if (slice_eq(tracking_prefix_text(p), text))
            return p;
    }
    struct tracking_prefix *p = mem_zero(sizeof *p + text.len);
    p->len = (uint32_t)text.len;
    if (text.len)
        memcpy(p->text, text.p, text.len);
    list_init(&p->seats);
    list_init(&p->changed);
    dict_init(&p->changes, &changes_type);
    list_add_tail(&prefixes, &p->link);
    nprefixes++;
    return p;
}

static void changes_clear(struct tracking_prefix *p)
{
    dict_release(&p->changes);
    list_each_safe (l, &p->changed) {
        list_del(l);
        mem_free(list_entry(l, struct change, link));
    }
}

static void seat_leave(struct tracking_seat *s)
{
    struct tracking_prefix *p = s->prefix;
    list_del(&s->of_client);
    list_del(&s->of_prefix);
    mem_free(s);
    if (!list_empty(&p->seats))
        return;
    changes_clear(p);
    list_del(&p->link);
    nprefixes--;
    mem_free(p);
}

static void seat_take(struct client *c, struct slice text)
{
    list_each (l, &c->tracking->prefixes)
        if (slice_eq(tracking_prefix_text(list_entry(l, struct tracking_seat, of_client)->prefix), text))
            return;
    struct tracking_seat *s = mem_zero(sizeof *s);
    s->client = c;
    s->prefix = prefix_for(text);
    list_add_tail(&c->tracking->prefixes, &s->of_client);
    list_add_tail(&s->prefix->seats, &s->of_prefix);
}

static void note_change(struct tracking_prefix *p, uint64_t by, struct slice key)
{
    struct change *ch = dict_find(&p->changes, key);
    if (!ch) {
        ch = mem_zero(sizeof *ch + key.len);
        ch->len = (uint32_t)key.len;
        if (key.len)
            memcpy(ch->key, key.p, key.len);
        dict_add(&p->changes, ch);
        list_add_tail(&p->changed, &ch->link);
    }
    ch->by = by;
}

/* The changes of p as an array, without those that `except` made; empty when there are none. */
static void changes_text(struct buf *to, const struct tracking_prefix *p, uint64_t except)
{
    struct reply r = {.out = to, .resp = 2};
    size_t n = 0, place = reply_defer(&r);
    list_each (l, &p->changed) {
        const struct change *ch = list_entry(l, struct change, link);
        if (except && ch->by == except)
            continue;
        reply_bulk(&r, change_key(ch));
        n++;
    }
    reply_defer_array(&r, place, n);
    if (n == 0)
        buf_clear(to);
}

static void broadcast(struct tracking_prefix *p)
{
    struct buf all = {0}, others = {0};
    changes_text(&all, p, 0);
    list_each (l, &p->seats) {
        struct client *c = list_entry(l, struct tracking_seat, of_prefix)->client;
        if (c->tracking->flags & TRACKING_NOLOOP) {
            buf_clear(&others);
            changes_text(&others, p, c->id);
            if (others.len)
                say(c, buf_slice(&others));
        } else {
            say(c, buf_slice(&all));
        }
    }
    buf_release(&all);
    buf_release(&others);
    changes_clear(p);
}

/* ---- what the keyspace reports ---- */

void tracking_changed(struct client *by, struct slice key)
{
    struct tracked *t = dict_find(&keys, key);
    if (t)
        invalidate(t, by);
    list_each (l, &prefixes) {
        struct tracking_prefix *p = list_entry(l, struct tracking_prefix, link);
        if (p->len <= key.len && memcmp(p->text, key.p, p->len) == 0)
            note_change(p, by ? by->id : 0, key);
    }
}

void tracking_flushed(void)
{
    flushed = true;
    dict_release(&keys);
}

void tracking_settle(void)
{
    if (!flushed)
        return;
    flushed = false;
    list_each (l, clients_all()) {
        struct client *c = list_entry(l, struct client, link);
        if (c->tracking)
            say(c, SLICE(""));
    }
}

static void before_sleep(void *arg)
{
    if (tracking_clients == 0)
        return;
    tracking_settle();
    list_each (l, &prefixes) {
        struct tracking_prefix *p = list_entry(l, struct tracking_prefix, link);
        if (!list_empty(&p->changed))
            broadcast(p);
    }
}

/* ---- on and off ---- */

void tracking_start(struct client *c, unsigned flags, uint64_t redirect, const struct slice *texts, int n)
{
    if (!c->tracking) {
        c->tracking = mem_zero(sizeof *c->tracking);
        list_init(&c->tracking->prefixes);
        tracking_clients++;
    }
    c->tracking->flags = flags;
    c->tracking->redirect = redirect;
    if ((flags & TRACKING_BCAST) && n == 0)
        seat_take(c, SLICE(""));
    for (int i = 0; i < n; i++)
        seat_take(c, texts[i]);
}

void tracking_stop(struct client *c)
{
    if (!c->tracking)
        return;
    list_each_safe (l, &c->tracking->prefixes)
        seat_leave(list_entry(l, struct tracking_seat, of_client));
    mem_free(c->tracking);
    c->tracking = NULL;
    if (--tracking_clients == 0)
        dict_release(&keys); /* nobody is left to be told */
}

/* ---- boot ---- */

static void info_clients(struct buf *to)
{
    buf_addf(to, "%zu", tracking_clients);
}

static void info_keys(struct buf *to)
{
    buf_addf(to, "%zu", dict_count(&keys));
}

static void info_items(struct buf *to)
{
    buf_addf(to, "%llu", (unsigned long long)items);
}

static void info_prefixes(struct buf *to)
{
    buf_addf(to, "%zu", nprefixes);
}

static const struct setting settings[] = {
    {.name = "tracking-table-max-keys",
     .kind = SETTING_INT,
     .at = &max_keys,
     .dflt = "1000000",
     .max = INT64_MAX,
     .help = "Keys remembered for client-side caching; beyond that some are told as changed. 0: no limit."},
};

static const struct info_row rows[] = {
    {"Clients", "tracking_clients", INFO_GAUGE, info_clients, "skald_tracking_clients", "Clients that cache keys"},
    {"Stats", "tracking_total_keys", INFO_GAUGE, info_keys, "skald_tracked_keys", "Keys that clients have cached"},
    {"Stats", "tracking_total_items", INFO_GAUGE, info_items, NULL, NULL},
    {"Stats", "tracking_total_prefixes", INFO_GAUGE, info_prefixes, NULL, NULL},
};

void tracking_settings(void)
{
    SETTING_REGISTER(settings);
}

void tracking_boot(struct loop *l)
{
    dict_init(&keys, &tracked_type);
    INFO_REGISTER(rows);
    hook = (struct loop_hook){.fn = before_sleep};
    loop_before_sleep(l, &hook);
}

void tracking_end(void)
{
    loop_unhook(&hook);
    dict_release(&keys);
}
