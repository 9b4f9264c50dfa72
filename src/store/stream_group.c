#include "store/stream_group.h"

#include <string.h>

#include "base/mem.h"
#include "store/digest.h"

/* ---- names in order ---- */

static int name_cmp(struct slice a, struct slice b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int d = n ? memcmp(a.p, b.p, n) : 0;
    return d ? d : (a.len > b.len) - (a.len < b.len);
}

static struct slice name_copy(struct slice s)
{
    return slice_of(mem_dup(s.p, s.len), s.len);
}

/* Both kinds of records begin with their name. */
static struct slice name_of(void *const *array, size_t i)
{
    return *(const struct slice *)array[i];
}

static size_t lookup(void *const *array, size_t n, struct slice name, bool *found)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (name_cmp(name_of(array, mid), name) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    *found = low < n && name_cmp(name_of(array, low), name) == 0;
    return low;
}

static void *array_insert(void *array, size_t *n, size_t at, void *record)
{
    void **a = array;
    if ((*n & (*n - 1)) == 0) /* full at every power of two */
        a = mem_realloc(a, (*n ? *n * 2 : 1) * sizeof *a);
    memmove(a + at + 1, a + at, (*n - at) * sizeof *a);
    a[at] = record;
    ++*n;
    return a;
}

static void array_remove(void *array, size_t *n, size_t at)
{
    void **a = array;
    --*n;
    memmove(a + at, a + at + 1, (*n - at) * sizeof *a);
}

/* ---- groups ---- */

struct stream_group *stream_group_find(const struct stream_groups *gs, struct slice name)
{
    bool found;
    size_t at = lookup((void *const *)gs->group, gs->n, name, &found);
    return found ? gs->group[at] : NULL;
}

struct stream_group *stream_group_add(struct stream_groups *gs, struct slice name)
{
    bool found;
    size_t at = lookup((void *const *)gs->group, gs->n, name, &found);
    if (found)
        return NULL;
    struct stream_group *g = mem_zero(sizeof *g);
    g->name = name_copy(name);
    g->read = STREAM_READ_UNKNOWN;
    sidmap_init(&g->pending, sizeof(struct stream_pending));
    gs->group = array_insert(gs->group, &gs->n, at, g);
    return g;
}

static void consumer_free(struct stream_consumer *c)
{
    sidmap_release(&c->pending);
    mem_free((char *)c->name.p);
    mem_free(c);
}

static void group_free(struct stream_group *g)
{
    for (size_t i = 0; i < g->nconsumers; i++)
        consumer_free(g->consumers[i]);
    mem_free(g->consumers);
    sidmap_release(&g->pending);
    mem_free((char *)g->name.p);
    mem_free(g);
}

bool stream_group_drop(struct stream_groups *gs, struct slice name)
{
    bool found;
    size_t at = lookup((void *const *)gs->group, gs->n, name, &found);
    if (!found)
        return false;
    group_free(gs->group[at]);
    array_remove(gs->group, &gs->n, at);
    return true;
}

/* ---- consumers ---- */

struct stream_consumer *stream_consumer_find(const struct stream_group *g, struct slice name)
{
    bool found;
    size_t at = lookup((void *const *)g->consumers, g->nconsumers, name, &found);
    return found ? g->consumers[at] : NULL;
}

struct stream_consumer *stream_consumer_add(struct stream_group *g, struct slice name, int64_t now_ms)
{
    bool found;
    size_t at = lookup((void *const *)g->consumers, g->nconsumers, name, &found);
    if (found)
        return NULL;
    struct stream_consumer *c = mem_zero(sizeof *c);
    c->name = name_copy(name);
    c->seen_ms = now_ms;
    c->active_ms = -1;
    sidmap_init(&c->pending, sizeof(struct sid));
    g->consumers = array_insert(g->consumers, &g->nconsumers, at, c);
    return c;
}

int64_t stream_consumer_drop(struct stream_group *g, struct slice name)
{
    bool found;
    size_t at = lookup((void *const *)g->consumers, g->nconsumers, name, &found);
    if (!found)
        return -1;
    struct stream_consumer *c = g->consumers[at];
    int64_t had = (int64_t)c->pending.n;
    for (struct sid *id = sidmap_from(&c->pending, SID_MIN); id; id = sidmap_after(&c->pending, id))
        sidmap_delete(&g->pending, *id);
    consumer_free(c);
    array_remove(g->consumers, &g->nconsumers, at);
    return had;
}

/* ---- pending entries ---- */

struct stream_pending *stream_pending_find(const struct stream_group *g, struct sid id)
{
    return sidmap_find(&g->pending, id);
}

struct stream_pending *stream_pending_give(struct stream_group *g, struct sid id, struct stream_consumer *to)
{
    bool fresh;
    struct stream_pending *p = sidmap_put(&g->pending, id, &fresh);
    if (!fresh && p->owner != to)
        sidmap_delete(&p->owner->pending, id);
    if (fresh || p->owner != to)
        sidmap_put(&to->pending, id, &fresh);
    p->owner = to;
    return p;
}

bool stream_pending_drop(struct stream_group *g, struct sid id)
{
    struct stream_pending *p = sidmap_find(&g->pending, id);
    if (!p)
        return false;
    sidmap_delete(&p->owner->pending, id);
    sidmap_delete(&g->pending, id);
    return true;
}

/* ---- as part of a value ---- */

void stream_groups_release(struct stream_groups *gs)
{
    for (size_t i = 0; i < gs->n; i++)
        group_free(gs->group[i]);
    mem_free(gs->group);
    *gs = (struct stream_groups){0};
}

void stream_groups_relocate(struct stream_groups *gs)
{
    for (size_t i = 0; i < gs->n; i++) {
        sidmap_relocate(&gs->group[i]->pending);
        for (size_t k = 0; k < gs->group[i]->nconsumers; k++)
            sidmap_relocate(&gs->group[i]->consumers[k]->pending);
    }
}

void stream_groups_copy(const struct stream_groups *gs, struct stream_groups *to)
{
    *to = (struct stream_groups){0};
    for (size_t i = 0; i < gs->n; i++) {
        const struct stream_group *from = gs->group[i];
        struct stream_group *g = stream_group_add(to, from->name);
        g->last = from->last;
        g->read = from->read;
        for (size_t k = 0; k < from->nconsumers; k++) {
            struct stream_consumer *c = stream_consumer_add(g, from->consumers[k]->name, from->consumers[k]->seen_ms);
            c->active_ms = from->consumers[k]->active_ms;
        }
        for (const struct stream_pending *p = sidmap_from(&from->pending, SID_MIN); p; p = sidmap_after(&from->pending, p)) {
            struct stream_pending *copy = stream_pending_give(g, p->id, stream_consumer_find(g, p->owner->name));
            copy->given_ms = p->given_ms;
            copy->times = p->times;
        }
    }
}

size_t stream_groups_bytes(const struct stream_groups *gs)
{
    size_t bytes = gs->group ? mem_size(gs->group) : 0;
    for (size_t i = 0; i < gs->n; i++) {
        const struct stream_group *g = gs->group[i];
        bytes += mem_size(g) + mem_size(g->name.p) + sidmap_bytes(&g->pending) + (g->consumers ? mem_size(g->consumers) : 0);
        for (size_t k = 0; k < g->nconsumers; k++)
            bytes += mem_size(g->consumers[k]) + mem_size(g->consumers[k]->name.p) + sidmap_bytes(&g->consumers[k]->pending);
    }
    return bytes;
}

size_t stream_groups_effort(const struct stream_groups *gs)
{
    size_t n = gs->n;
    for (size_t i = 0; i < gs->n; i++)
        n += gs->group[i]->nconsumers + gs->group[i]->pending.nblocks;
    return n;
}

/* A pending entry's id is 16 bytes, both numbers most significant byte first. */
static void put_raw_id(struct rdb_out *to, struct sid id)
{
    for (int b = 56; b >= 0; b -= 8)
        rdb_put_u8(to, (uint8_t)(id.ms >> b));
    for (int b = 56; b >= 0; b -= 8)
        rdb_put_u8(to, (uint8_t)(id.seq >> b));
}

static struct sid get_raw_id(struct rdb_in *from)
{
    struct sid id = {0};
    for (int b = 0; b < 8; b++)
        id.ms = id.ms << 8 | rdb_get_u8(from);
    for (int b = 0; b < 8; b++)
        id.seq = id.seq << 8 | rdb_get_u8(from);
    return id;
}

/* Redis 7.0 does not know when a consumer last got something: its form (19) has only when it was last seen, and is read back
 * as if both were the same. */
uint8_t stream_groups_type(const struct stream_groups *gs)
{
    for (size_t i = 0; i < gs->n; i++)
        for (size_t k = 0; k < gs->group[i]->nconsumers; k++)
            if (gs->group[i]->consumers[k]->active_ms != gs->group[i]->consumers[k]->seen_ms)
                return RDB_STREAM_LISTPACKS_3;
    return RDB_STREAM_LISTPACKS_2;
}

static void save_consumer(const struct stream_consumer *c, uint8_t type, struct rdb_out *to)
{
    rdb_put_str(to, c->name);
    rdb_put_u64(to, (uint64_t)c->seen_ms);
    if (type == RDB_STREAM_LISTPACKS_3)
        rdb_put_u64(to, (uint64_t)c->active_ms);
    rdb_put_len(to, c->pending.n);
    for (const struct sid *id = sidmap_from(&c->pending, SID_MIN); id; id = sidmap_after(&c->pending, id))
        put_raw_id(to, *id);
}

void stream_groups_save(const struct stream_groups *gs, uint8_t type, struct rdb_out *to)
{
    rdb_put_len(to, gs->n);
    for (size_t i = 0; i < gs->n; i++) {
        const struct stream_group *g = gs->group[i];
        rdb_put_str(to, g->name);
        rdb_put_len(to, g->last.ms);
        rdb_put_len(to, g->last.seq);
        rdb_put_len(to, (uint64_t)g->read);
        rdb_put_len(to, g->pending.n);
        for (const struct stream_pending *p = sidmap_from(&g->pending, SID_MIN); p; p = sidmap_after(&g->pending, p)) {
            put_raw_id(to, p->id);
            rdb_put_u64(to, (uint64_t)p->given_ms);
            rdb_put_len(to, p->times);
        }
        rdb_put_len(to, g->nconsumers);
        for (size_t k = 0; k < g->nconsumers; k++)
            save_consumer(g->consumers[k], type, to);
    }
}

static int load_consumer(struct stream_group *g, uint8_t type, struct rdb_in *from, struct err *err)
{
    struct slice name = rdb_get_str(from);
    if (from->bad)
        return err_set(err, ERR_GENERIC, "a stream's consumer that ends too early");
    struct stream_consumer *c = stream_consumer_add(g, name, 0);
    if (!c)
        return err_set(err, ERR_GENERIC, "a stream's group with two consumers of one name");
    c->seen_ms = (int64_t)rdb_get_u64(from);
    c->active_ms = type == RDB_STREAM_LISTPACKS_3 ? (int64_t)rdb_get_u64(from) : c->seen_ms;
    uint64_t n = rdb_get_len(from);
    if (!rdb_fits(from, n, 16))
        return err_set(err, ERR_GENERIC, "a stream's consumer that claims more entries than there are bytes");
    while (n--) {
        struct sid id = get_raw_id(from);
        struct stream_pending *p = from->bad ? NULL : sidmap_find(&g->pending, id);
        if (!p || p->owner)
            return err_set(err, ERR_GENERIC, "a stream's consumer with an entry that is not its group's alone");
        bool fresh;
        sidmap_put(&c->pending, id, &fresh);
        p->owner = c;
    }
    return 0;
}

static int load_pending(struct stream_group *g, struct rdb_in *from, struct err *err)
{
    uint64_t n = rdb_get_len(from);
    if (!rdb_fits(from, n, 25))
        return err_set(err, ERR_GENERIC, "a stream's group that claims more entries than there are bytes");
    while (n--) {
        bool fresh;
        struct sid id = get_raw_id(from);
        struct stream_pending *p = sidmap_put(&g->pending, id, &fresh);
        p->given_ms = (int64_t)rdb_get_u64(from);
        p->times = rdb_get_len(from);
        if (!fresh)
            return err_set(err, ERR_GENERIC, "a stream's group with one entry twice");
    }
    return 0;
}

static int load_group(struct stream_groups *gs, uint8_t type, struct rdb_in *from, struct err *err)
{
    struct slice name = rdb_get_str(from);
    if (from->bad)
        return err_set(err, ERR_GENERIC, "a stream's group that ends too early");
    struct stream_group *g = stream_group_add(gs, name);
    if (!g)
        return err_set(err, ERR_GENERIC, "a stream with two groups of one name");
    g->last.ms = rdb_get_len(from);
    g->last.seq = rdb_get_len(from);
    g->read = type == RDB_STREAM_LISTPACKS ? STREAM_READ_UNKNOWN : (int64_t)rdb_get_len(from);
    if (g->read < STREAM_READ_UNKNOWN)
        return err_set(err, ERR_GENERIC, "a stream's group with a senseless count of entries read");
    if (load_pending(g, from, err) < 0)
        return ERR_GENERIC;
    uint64_t n = rdb_get_len(from);
    if (!rdb_fits(from, n, 10))
        return err_set(err, ERR_GENERIC, "a stream's group that claims more consumers than there are bytes");
    while (n--)
        if (load_consumer(g, type, from, err) < 0)
            return ERR_GENERIC;
    for (const struct stream_pending *p = sidmap_from(&g->pending, SID_MIN); p; p = sidmap_after(&g->pending, p))
        if (!p->owner)
            return err_set(err, ERR_GENERIC, "a stream's group with an entry that no consumer has");
    return from->bad ? err_set(err, ERR_GENERIC, "a stream's group that ends too early") : 0;
}

int stream_groups_load(struct stream_groups *gs, uint8_t type, struct rdb_in *from, struct err *err)
{
    uint64_t n = rdb_get_len(from);
    if (!rdb_fits(from, n, 5))
        return err_set(err, ERR_GENERIC, "a stream that claims more groups than there are bytes");
    while (n--)
        if (load_group(gs, type, from, err) < 0)
            return ERR_GENERIC;
    return from->bad ? err_set(err, ERR_GENERIC, "a stream that ends too early") : 0;
}

void stream_groups_digest(const struct stream_groups *gs, uint8_t sha[20])
{
    char text[SID_TEXT];
    for (size_t i = 0; i < gs->n; i++) {
        const struct stream_group *g = gs->group[i];
        digest_mix(sha, g->name);
        digest_mix(sha, sid_format(g->last, text));
        for (size_t k = 0; k < g->nconsumers; k++)
            digest_mix(sha, g->consumers[k]->name);
        for (const struct stream_pending *p = sidmap_from(&g->pending, SID_MIN); p; p = sidmap_after(&g->pending, p)) {
            digest_mix(sha, sid_format(p->id, text));
            digest_mix(sha, p->owner->name);
            digest_mix(sha, slice_of(text, num_from_u64(text, p->times)));
        }
    }
}
