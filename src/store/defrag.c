/* Active defragmentation, see defrag.h.
 *
 * A round goes through the keyspace bucket by bucket. A key's object is moved and a first part of its value; what is
 * left of large values is noted, and done before the round goes on. The keyspace changes meanwhile: a noted key is
 * looked up anew each time, and a value that is gone or another one is just begun again or passed over. */
#include "store/defrag.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/setting.h"

static bool active;
static int64_t ignore_bytes, lower, upper, cycle_min, cycle_max;

struct defrag_stats defrag_stats;

static int can_be_active(struct err *err)
{
    if (active && !mem_can_relocate())
        return err_set(err, ERR_GENERIC, "the allocator does not tell how full its pages are");
    return 0;
}

static const struct setting settings[] = {
    {"activedefrag", SETTING_BOOL, &active, "no", .apply = can_be_active,
     .help = "Whether values are moved to fuller pages of memory when much of it is wasted."},
    {"active-defrag-ignore-bytes", SETTING_BYTES, &ignore_bytes, "104857600", .min = 1, .max = INT64_MAX,
     .help = "Defragmentation does not begin while less than this is wasted."},
    {"active-defrag-threshold-lower", SETTING_INT, &lower, "10", .min = 0, .max = 1000,
     .help = "Nor while less than this percentage of what is in use is wasted."},
    {"active-defrag-threshold-upper", SETTING_INT, &upper, "100", .min = 0, .max = 1000,
     .help = "From this percentage on it takes as much time as it may."},
    {"active-defrag-cycle-min", SETTING_INT, &cycle_min, "1", .min = 1, .max = 99,
     .help = "The least percentage of the time that defragmentation takes."},
    {"active-defrag-cycle-max", SETTING_INT, &cycle_max, "25", .min = 1, .max = 99,
     .help = "The most percentage of the time that defragmentation takes."},
};

void defrag_settings(void)
{
    SETTING_REGISTER(settings);
}

/* A value of which a part is left. */
struct rest {
    struct rest *next;
    int db;
    uint64_t cursor;
    size_t len;
    char key[];
};

static struct round {
    bool on;
    int db;
    uint64_t keys; /* the cursor in db's keys */
    struct rest *rests;
} at;

static void note_rest(int db, struct slice key, uint64_t cursor)
{
    struct rest *r = mem_alloc(sizeof *r + key.len);
    *r = (struct rest){.next = at.rests, .db = db, .cursor = cursor, .len = key.len};
    memcpy(r->key, key.p, key.len);
    at.rests = r;
}

static uint64_t relocate_value(struct obj *o, uint64_t cursor)
{
    return type_of(o)->relocate ? type_of(o)->relocate(o, cursor) : 0;
}

static void *relocated_object(void *arg, void *entry)
{
    struct db *db = arg;
    struct obj *o = entry;
    uint64_t moved = mem_relocations.moved;
    void **expires = o->flags & OBJ_EXPIRES ? dict_find_slot(&db->expires, obj_key(o)) : NULL;
    void **timed = o->flags & OBJ_TIMED ? dict_find_slot(&db->timed, obj_key(o)) : NULL;
    o = mem_relocated(o);
    if (expires)
        *expires = o;
    if (timed)
        *timed = o;
    uint64_t left = relocate_value(o, 0);
    if (left)
        note_rest(at.db, obj_key(o), left);
    *(mem_relocations.moved != moved ? &defrag_stats.key_hits : &defrag_stats.key_misses) += 1;
    return o;
}

static void go_on_with_rest(struct store *s)
{
    struct rest *r = at.rests;
    struct obj *o = dict_find(&s->dbs[r->db].keys, slice_of(r->key, r->len));
    r->cursor = o ? relocate_value(o, r->cursor) : 0;
    if (r->cursor)
        return;
    at.rests = r->next;
    mem_free(r);
}

/* False: the round is over. */
static bool go_on(struct store *s)
{
    if (at.rests) {
        go_on_with_rest(s);
        return true;
    }
    if (at.db == s->ndbs)
        return false;
    struct db *db = &s->dbs[at.db];
    at.keys = dict_count(&db->keys) ? dict_relocate(&db->keys, at.keys, relocated_object, db) : 0;
    if (!at.keys)
        at.db++;
    return true;
}

static void begin(void)
{
    at = (struct round){.on = true};
    defrag_stats.rounds++;
    defrag_stats.since_us = clock_mono_us();
    mem_relocate_begin();
}

static void end(void)
{
    for (struct rest *r = at.rests, *next; r; r = next) {
        next = r->next;
        mem_free(r);
    }
    at = (struct round){0};
    defrag_stats.total_us += clock_mono_us() - defrag_stats.since_us;
    defrag_stats.percent = 0;
}

/* Of what is in use, in percent; 0: too little to matter. */
static int64_t wasted(void)
{
    size_t used = mem_allocator(MEM_ALLOCATED), pages = mem_allocator(MEM_ACTIVE);
    if (!used || pages < used || pages - used < (uint64_t)ignore_bytes)
        return 0;
    int64_t percent = (int64_t)((pages - used) * 100 / used);
    return percent < lower ? 0 : percent;
}

static int64_t share_for(int64_t percent)
{
    int64_t least = cycle_min, most = cycle_max > cycle_min ? cycle_max : cycle_min;
    if (percent >= upper || upper <= lower)
        return most;
    return least + (most - least) * (percent - lower) / (upper - lower);
}

bool defrag_wanted(struct store *s, bool look)
{
    if (at.on && !active)
        end();
    if (!active || s->loading || !look)
        return at.on;
    int64_t percent = wasted();
    if (percent) {
        defrag_stats.percent = share_for(percent);
        if (!at.on)
            begin();
    } else if (at.on) {
        end(); /* enough was gained */
    }
    return at.on;
}

void defrag_step(struct store *s, int64_t period_us)
{
    int64_t stop = clock_mono_us() + period_us * defrag_stats.percent / 100;
    if (!at.on || s->loading || s->paused)
        return;
    do {
        for (int i = 0; i < 16; i++) /* the clock is not looked at for each bucket */
            if (!go_on(s)) {
                end();
                return;
            }
    } while (clock_mono_us() < stop);
}

void defrag_everything(struct store *s)
{
    mem_relocate_always(true);
    end();
    begin();
    while (go_on(s))
        ;
    end();
    mem_relocate_always(false);
}
