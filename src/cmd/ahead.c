/* Looking ahead, see ahead.h.
 *
 * A lookup in a large keyspace is two or three cache misses, each of which needs the one before: the table's bucket,
 * the object, and for a container its own table. A GET of one key among a million spends half of its time in them. So
 * the commands of a pipeline are taken through these steps side by side, each step asking for what the next one reads
 * (group prefetching: Chen, Ailamaki, Gibbons, Mowry 2004). Every step reads only what is in memory for certain,
 * whether or not it is the right entry: a guess that is wrong costs time and nothing else.
 *
 * What was found out on the way, the row and the hash of the first key, is noted in the request for the dispatcher. */
#include "cmd/ahead.h"

#include "base/dict.h"
#include "cmd/table.h"

#define LOOKS       128 /* keys that are looked up side by side */
#define KEYS_OF_ONE 16  /* of them, those of one command */

struct look {
    const struct resp_request *r;
    const struct obj *obj; /* what is probably under the key; NULL: nothing, or a string, which is all there */
    uint64_t hash;         /* the key's, then the member's; 0: the object has no table of members */
};
static struct look looks[LOOKS];

static void add_look(const struct dict *keys, const struct resp_request *r, uint64_t hash, int *n)
{
    dict_prefetch(keys, hash);
    looks[(*n)++] = (struct look){.r = r, .hash = hash};
}

/* The row, the keys' hashes, their buckets. */
static void look_at_keys(const struct dict *keys, struct resp_request *r, int *n)
{
    const struct cmd_entry *e = table_find(r->argv[0]);
    r->what = e;
    if (!e || e->cmd->first <= 0 || e->cmd->first >= r->argc || *n + KEYS_OF_ONE > LOOKS)
        return;
    int first = e->cmd->first, last = e->cmd->last < 0 ? r->argc + e->cmd->last : e->cmd->last;
    r->hash = dict_hash(keys, r->argv[first]);
    r->hashed = true;
    add_look(keys, r, r->hash, n);
    for (int i = first + e->cmd->step, k = 1; i <= last && i < r->argc && k < KEYS_OF_ONE; i += e->cmd->step, k++)
        add_look(keys, r, dict_hash(keys, r->argv[i]), n);
}

/* The objects: the header with the key, and what lies behind it of a small value. */
static void look_at_objects(const struct dict *keys, int n)
{
    for (int i = 0; i < n; i++) {
        looks[i].obj = dict_guess(keys, looks[i].hash);
        if (looks[i].obj) {
            __builtin_prefetch(looks[i].obj);
            __builtin_prefetch((const char *)looks[i].obj + 64);
        }
    }
}

/* What a container's object points to. */
static void look_at_containers(int n)
{
    for (int i = 0; i < n; i++)
        if (looks[i].obj && looks[i].obj->type == OBJ_STRING)
            looks[i].obj = NULL;
        else if (looks[i].obj)
            __builtin_prefetch(looks[i].obj->v.ptr);
}

/* HSET key field..., SADD key member..., ZADD key score member: the last one is the sorted set's. */
static struct slice member_of(const struct look *l)
{
    return l->r->argv[l->obj->type == OBJ_ZSET || l->r->argc < 3 ? l->r->argc - 1 : 2];
}

static void look_at_members(int n)
{
    for (int i = 0; i < n; i++) {
        struct look *l = &looks[i];
        bool large = l->obj && type_of(l->obj)->prefetch;
        l->hash = large ? type_of(l->obj)->prefetch(l->obj, member_of(l)) : 0;
    }
    for (int i = 0; i < n; i++)
        if (looks[i].hash)
            type_of(looks[i].obj)->prefetch_on(looks[i].obj, looks[i].hash);
}

void ahead(struct client *c, struct resp_request *r, int n)
{
    const struct dict *keys = &c->db->keys;
    int nlooks = 0;
    if (c->flags & CLIENT_MULTI) /* nothing runs before EXEC */
        return;
    for (int i = 0; i < n; i++)
        look_at_keys(keys, &r[i], &nlooks);
    look_at_objects(keys, nlooks);
    look_at_containers(nlooks);
    look_at_members(nlooks);
}
