#include "store/evict.h"

#include "base/mem.h"
#include "base/setting.h"
#include "store/access.h"
#include "store/lazyfree.h"

enum { VOLATILE = 1, LRU = 2, RANDOM = 4, TTL = 8, NONE = 16, LFU = EVICT_LFU };

int64_t evict_maxmemory, evict_policy;
static int64_t samples;

static const struct setting_word policies[] = {
    {"noeviction", NONE},          {"allkeys-lru", LRU},       {"volatile-lru", VOLATILE | LRU},
    {"allkeys-lfu", LFU},          {"volatile-lfu", VOLATILE | LFU},
    {"allkeys-random", RANDOM},    {"volatile-random", VOLATILE | RANDOM},
    {"volatile-ttl", VOLATILE | TTL}, {NULL, 0},
};

static const struct setting rows[] = {
    {.name = "maxmemory", .kind = SETTING_BYTES, .at = &evict_maxmemory, .dflt = "0", .max = INT64_MAX,
     .help = "Bytes of data after which keys are evicted or writes refused; 0: no limit."},
    {.name = "maxmemory-policy", .kind = SETTING_ENUM, .at = &evict_policy, .dflt = "noeviction", .words = policies,
     .help = "Which keys go first when memory is over maxmemory."},
    {.name = "maxmemory-samples", .kind = SETTING_INT, .at = &samples, .dflt = "5", .min = 1, .max = 64,
     .help = "Keys looked at for each eviction; more is closer to the exact order and slower."},
};

void evict_settings(void)
{
    access_settings();
    SETTING_REGISTER(rows);
}

const char *evict_policy_name(void)
{
    for (const struct setting_word *w = policies; w->word; w++)
        if (w->value == evict_policy)
            return w->word;
    return "noeviction";
}

/* Larger is worse: the key that goes. */
static uint64_t badness(const struct obj *o)
{
    if (evict_policy & TTL)
        return UINT64_MAX - (uint64_t)obj_expire(o);
    return access_badness(o);
}

static struct obj *pick(struct store *s, struct db **from)
{
    struct obj *worst = NULL;
    uint64_t score = 0;
    for (int d = 0; d < s->ndbs; d++) {
        struct db *db = &s->dbs[d];
        struct dict *keys = evict_policy & VOLATILE ? &db->expires : &db->keys;
        for (int64_t i = 0; i < samples && dict_count(keys); i++) {
            struct obj *o = dict_random(keys, &s->rng);
            uint64_t b = evict_policy & RANDOM ? rng_next(&s->rng) | 1 : badness(o) + 1;
            if (b > score) {
                score = b;
                worst = o;
                *from = db;
            }
        }
    }
    return worst;
}

static bool over(void)
{
    return evict_maxmemory > 0 && mem_used() > (size_t)evict_maxmemory;
}

int evict_make_room(struct store *s, struct err *err)
{
    while (!s->paused && over()) {
        struct db *db = NULL;
        struct obj *o = evict_policy & NONE ? NULL : pick(s, &db);
        if (!o) {
            if (lazyfree_pending()) /* what was evicted is being freed by workers */
                return 0;
            return err_set(err, ERR_OOM, "command not allowed when used memory > 'maxmemory'.");
        }
        struct slice key = obj_key(o);
        char *copy = mem_dup(key.p, key.len); /* the key dies with its object */
        key.p = copy;
        db_delete(db, key);
        s->stats.evicted++;
        if (s->hooks.expired)
            s->hooks.expired(s->hooks.arg, db, key, true);
        if (s->hooks.touched)
            s->hooks.touched(s->hooks.arg, db, key);
        db_notify(db, NOTIFY_EVICTED, "evicted", key);
        mem_free(copy);
    }
    return 0;
}
