/* Transactions, see multi.h, and their commands' common part.
 *
 *   watched[db]    dict of struct watched, one for each key that somebody watches
 *   watched.all    the struct watch of each client that watches it
 *   multi.watches  the struct watch of one client
 *
 * A watch remembers whether its key existed. That is enough for what comes wholesale (FLUSHDB, SWAPDB): no change to the
 * key has happened since, or the client would be marked already. An expired key counts as absent when it is watched; one
 * that expires later is a change, also when nobody has removed it yet at EXEC. */
#include "cmd/multi.h"

#include "base/mem.h"
#include "cmd/multi_exec.h"

struct watched {
    struct list all;
    int db;
    uint32_t len;
    char key[];
};

struct watch {
    struct list by_key, by_client;
    struct watched *of;
    struct client *client;
    bool existed;
};

struct multi {
    struct queue queue;
    struct list watches;
};

static struct dict *dbs;
static int ndbs;

/* ---- the queue ---- */

bool multi_queues(const struct cmd *cmd)
{
    static const char *const at_once[] = {"exec", "discard", "multi", "watch", "quit", "reset"};
    for (size_t i = 0; i < sizeof at_once / sizeof *at_once; i++)
        if (slice_is(slice_str(cmd->name), at_once[i]))
            return false;
    return true;
}

static struct multi *multi_of(struct client *c)
{
    if (!c->multi) {
        c->multi = mem_zero(sizeof *c->multi);
        list_init(&c->multi->watches);
    }
    return c->multi;
}

void multi_queue_release(struct queue *q)
{
    for (int i = 0; i < q->n; i++)
        mem_free(q->cmds[i].argv);
    mem_free(q->cmds);
    *q = (struct queue){0};
}

/* The copied command is one allocation: the slices, then their bytes. */
static struct slice *copy_argv(int argc, const struct slice *argv, size_t *bytes)
{
    *bytes = (size_t)argc * sizeof *argv;
    for (int i = 0; i < argc; i++)
        *bytes += argv[i].len;
    struct slice *copy = mem_alloc(*bytes);
    char *p = (char *)(copy + argc);
    for (int i = 0; i < argc; p += argv[i++].len) {
        if (argv[i].len)
            memcpy(p, argv[i].p, argv[i].len);
        copy[i] = slice_of(p, argv[i].len);
    }
    return copy;
}

/* A transaction that will not run anyway is not kept. Over the limit of the query buffer, the client goes. */
void multi_queue(struct client *c, unsigned flags, int argc, const struct slice *argv)
{
    struct queue *q = &multi_of(c)->queue;
    size_t bytes;
    if (c->flags & (CLIENT_DIRTY_EXEC | CLIENT_DIRTY_CAS)) {
        q->skipped++;
        return;
    }
    if (q->n == q->cap) {
        q->cap = q->cap ? 2 * q->cap : 4;
        q->cmds = mem_realloc(q->cmds, (size_t)q->cap * sizeof *q->cmds);
    }
    q->cmds[q->n++] = (struct queued){argc, copy_argv(argc, argv, &bytes)};
    q->flags |= flags;
    q->bytes += bytes;
    if (q->bytes > (uint64_t)conn_limits.query_max) {
        multi_queue_release(q);
        c->flags |= CLIENT_DIRTY_EXEC | CLIENT_CLOSE_SOON;
    }
}

unsigned multi_flags(const struct client *c)
{
    return c->multi ? c->multi->queue.flags : 0;
}

int multi_queued(const struct client *c)
{
    if (!(c->flags & CLIENT_MULTI))
        return -1;
    return c->multi ? c->multi->queue.n + c->multi->queue.skipped : 0;
}

size_t multi_bytes(const struct client *c)
{
    return c->multi ? c->multi->queue.bytes : 0;
}

struct queue multi_take(struct client *c)
{
    struct queue q = {0};
    if (c->multi) {
        q = c->multi->queue;
        c->multi->queue = (struct queue){0};
    }
    c->flags &= ~(unsigned)(CLIENT_MULTI | CLIENT_DIRTY_EXEC | CLIENT_DIRTY_CAS);
    return q;
}

void multi_abort(struct client *c, size_t at)
{
    struct buf *out = c->reply.out;
    if (out->len < at + 3 || out->p[at] != '-')
        return;
    struct slice why = slice_of(out->p + at + 1, out->len - at - 3); /* between the minus sign and CR LF */
    if (why.len > 4 && memcmp(why.p, "ERR ", 4) == 0)
        why = slice_of(why.p + 4, why.len - 4);
    struct buf copy = {0};
    buf_add(&copy, why.p, why.len);
    out->len = at;
    reply_errorf(&c->reply, "EXECABORT Transaction discarded because of: %.*s", (int)copy.len, copy.p);
    buf_release(&copy);
    if (!(c->flags & CLIENT_MULTI))
        return;
    struct queue q = multi_take(c);
    multi_queue_release(&q);
    multi_unwatch(c);
}

/* ---- watches ---- */

static struct slice watched_key(const void *e)
{
    const struct watched *k = e;
    return slice_of(k->key, k->len);
}

static const struct dict_type watched_type = {.key = watched_key};

static struct watched *watched_for(int db, struct slice key)
{
    if (db >= ndbs) {
        dbs = mem_realloc(dbs, (size_t)(db + 1) * sizeof *dbs);
        for (; ndbs <= db; ndbs++)
            dict_init(&dbs[ndbs], &watched_type);
    }
    struct watched *k = dict_find(&dbs[db], key);
    if (k)
        return k;
    k = mem_zero(sizeof *k + key.len);
    list_init(&k->all);
    k->db = db;
    k->len = (uint32_t)key.len;
    if (key.len)
        memcpy(k->key, key.p, key.len);
    dict_add(&dbs[db], k);
    return k;
}

void multi_watch(struct client *c, struct slice key)
{
    struct multi *m = multi_of(c);
    bool exists = db_peek(c->db, key) != NULL;
    struct watched *k = watched_for(c->db->id, key);
    list_each(l, &k->all)
        if (list_entry(l, struct watch, by_key)->client == c)
            return;
    struct watch *w = mem_zero(sizeof *w);
    w->of = k;
    w->client = c;
    w->existed = exists;
    list_add_tail(&k->all, &w->by_key);
    list_add_tail(&m->watches, &w->by_client);
}

static void watch_end(struct watch *w)
{
    struct watched *k = w->of;
    list_del(&w->by_key);
    list_del(&w->by_client);
    mem_free(w);
    if (list_empty(&k->all)) {
        dict_remove(&dbs[k->db], watched_key(k));
        mem_free(k);
    }
}

void multi_unwatch(struct client *c)
{
    if (!c->multi)
        return;
    list_each_safe(l, &c->multi->watches)
        watch_end(list_entry(l, struct watch, by_client));
}

void multi_release(struct client *c)
{
    struct queue q = multi_take(c);
    multi_queue_release(&q);
    multi_unwatch(c);
    mem_free(c->multi);
    c->multi = NULL;
}

/* Looks without expiring: this runs from inside the store's hooks. */
static bool exists_now(struct db *db, struct slice key)
{
    const struct obj *o = dict_find(&db->keys, key);
    return o && !((o->flags & OBJ_EXPIRES) && obj_expire(o) <= store_now(db->store));
}

bool multi_expired(const struct client *c, struct store *s)
{
    if (c->multi)
        list_each(l, &c->multi->watches) {
            const struct watch *w = list_entry(l, struct watch, by_client);
            if (w->existed && !exists_now(&s->dbs[w->of->db], watched_key(w->of)))
                return true;
        }
    return false;
}

void multi_touched(struct db *db, struct slice key)
{
    if (db->id >= ndbs || dict_count(&dbs[db->id]) == 0)
        return;
    struct watched *k = dict_find(&dbs[db->id], key);
    if (!k)
        return;
    bool exists = exists_now(db, key);
    list_each(l, &k->all) {
        struct watch *w = list_entry(l, struct watch, by_key);
        if (exists || w->existed) /* else: a key that had expired before it was watched has been removed */
            w->client->flags |= CLIENT_DIRTY_CAS;
    }
}

void multi_flushed(struct db *db)
{
    if (db->id >= ndbs)
        return;
    struct dict_iter it;
    struct watched *k;
    for (dict_iter_begin(&it, &dbs[db->id]); (k = dict_iter_next(&it));) {
        bool exists = exists_now(db, watched_key(k));
        list_each(l, &k->all) {
            struct watch *w = list_entry(l, struct watch, by_key);
            if (exists || w->existed)
                w->client->flags |= CLIENT_DIRTY_CAS;
        }
    }
    dict_iter_end(&it);
}
