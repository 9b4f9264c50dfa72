/* The writer, see rdb_file.h. Values gather in one buffer that is handed on at 256 KB, so a value is held once more in
 * memory while it is written, and never more than one. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "persist/rdb_file.h"
#include "persist/rdb_format.h"
#include "store/access.h"
#include "store/evict.h"
#include "store/rdb.h"

#define HAND_ON_AT   (256u << 10)
#define REPORT_EVERY (16u << 20)

struct rdb_writer {
    const struct rdb_write *o;
    struct rdb_file_stats st;
    struct buf buf;
    struct rdb_out out;
    uint64_t crc, reported;
    bool idle; /* does the eviction policy want to know how long keys were idle? */
    int failed;
    struct err err;
};

static void hand_on(struct rdb_writer *w)
{
    if (!w->o->plain)
        w->crc = crc64_redis(w->crc, w->buf.p, w->buf.len);
    if (!w->failed && w->buf.len)
        w->failed = w->o->sink(w->o->arg, w->buf.p, w->buf.len, &w->err);
    w->st.bytes += w->buf.len;
    buf_clear(&w->buf);
    if (w->o->progress && w->st.bytes - w->reported >= REPORT_EVERY) {
        w->reported = w->st.bytes;
        w->o->progress(w->o->arg, w->st.bytes);
    }
}

static void put_aux(struct rdb_writer *w, const char *name, struct slice value)
{
    rdb_put_u8(&w->out, RDB_OP_AUX);
    rdb_put_str(&w->out, slice_str(name));
    rdb_put_str(&w->out, value);
}

static void put_aux_num(struct rdb_writer *w, const char *name, uint64_t v)
{
    char text[24];
    put_aux(w, name, slice_of(text, (size_t)snprintf(text, sizeof text, "%llu", (unsigned long long)v)));
}

static void put_head(struct rdb_writer *w, int version)
{
    buf_addf(&w->buf, "REDIS%04d", version);
    put_aux(w, "redis-ver", slice_str(w->o->version));
    put_aux_num(w, "redis-bits", sizeof(long) * 8);
    put_aux_num(w, "ctime", (uint64_t)(clock_wall_ms() / 1000));
    put_aux_num(w, "used-mem", mem_used());
    if (w->o->repl_id) {
        put_aux_num(w, "repl-stream-db", 0);
        put_aux(w, "repl-id", slice_str(w->o->repl_id));
        put_aux_num(w, "repl-offset", w->o->repl_offset);
    }
    put_aux_num(w, "aof-base", 0);
}

void rdb_write_function(struct rdb_writer *w, struct slice code)
{
    rdb_put_u8(&w->out, RDB_OP_FUNCTION);
    rdb_put_str(&w->out, code);
}

static void put_key(struct rdb_writer *w, const struct obj *o)
{
    int64_t at = obj_expire(o);
    if (at >= 0) {
        rdb_put_u8(&w->out, RDB_OP_EXPIRE_MS);
        rdb_put_u64(&w->out, (uint64_t)at);
    }
    if (w->idle) {
        rdb_put_u8(&w->out, RDB_OP_IDLE);
        rdb_put_len(&w->out, access_idle_s(o));
    }
    if (access_is_lfu()) {
        rdb_put_u8(&w->out, RDB_OP_FREQ);
        rdb_put_u8(&w->out, access_freq(o));
    }
    rdb_put_u8(&w->out, rdb_value_type(o));
    rdb_put_str(&w->out, obj_key(o));
    rdb_put_value(o, &w->out);
    w->st.keys++;
    if (w->buf.len >= HAND_ON_AT || w->o->key_delay_us)
        hand_on(w);
    for (int64_t left = w->o->key_delay_us; left > 0 && !w->failed; left -= 1000000)
        usleep((useconds_t)(left < 1000000 ? left : 999999));
}

static bool is_redis(const struct obj *o)
{
    return type_of(o)->rdb_module == 0;
}

struct sizes {
    size_t keys, expires; /* of what goes into the file */
    bool timed;           /* a hash has fields that expire: only Redis 7.4 and later read that */
};

static struct sizes measure(const struct db *db)
{
    struct sizes n = {0};
    struct dict_iter it;
    struct obj *o;
    for (dict_iter_begin(&it, (struct dict *)&db->keys); (o = dict_iter_next(&it));) {
        if (!is_redis(o))
            continue;
        uint8_t type = o->type == OBJ_HASH ? rdb_value_type(o) : 0;
        n.timed |= type == RDB_HASH_TIMED || type == RDB_HASH_LISTPACK_TIMED;
        n.keys++;
        n.expires += obj_expire(o) >= 0;
    }
    dict_iter_end(&it);
    return n;
}

/* The lowest that can hold what there is. */
static int version_for(const struct store *s, bool no_keys)
{
    for (int d = 0; d < s->ndbs && !no_keys; d++)
        if (measure(&s->dbs[d]).timed)
            return RDB_VERSION_TIMED;
    return RDB_VERSION;
}

/* Databases that would be empty in the file are not named in it. */
static void put_db(struct rdb_writer *w, const struct db *db)
{
    struct dict_iter it;
    struct obj *o;
    struct sizes n = measure(db);
    if (n.keys) {
        rdb_put_u8(&w->out, RDB_OP_SELECT);
        rdb_put_len(&w->out, (uint64_t)db->id);
        rdb_put_u8(&w->out, RDB_OP_SIZES);
        rdb_put_len(&w->out, n.keys);
        rdb_put_len(&w->out, n.expires);
    }
    for (dict_iter_begin(&it, (struct dict *)&db->keys); !w->failed && (o = dict_iter_next(&it));) {
        if (is_redis(o))
            put_key(w, o);
        else
            w->st.left_out++;
    }
    dict_iter_end(&it);
}

static void put_end(struct rdb_writer *w)
{
    if (w->st.left_out)
        put_aux_num(w, "skald-left-out", w->st.left_out);
    rdb_put_u8(&w->out, RDB_OP_END);
    if (!w->o->plain)
        w->crc = crc64_redis(w->crc, w->buf.p, w->buf.len);
    uint64_t crc = w->o->plain ? 0 : w->crc;
    rdb_put_u64(&w->out, crc);
    if (!w->failed)
        w->failed = w->o->sink(w->o->arg, w->buf.p, w->buf.len, &w->err);
    w->st.bytes += w->buf.len;
}

int rdb_file_write(const struct store *s, const struct rdb_write *o, struct rdb_file_stats *st, struct err *err)
{
    struct rdb_writer w = {.o = o, .idle = strstr(evict_policy_name(), "lru") != NULL};
    w.out = (struct rdb_out){.to = &w.buf, .compress = o->compress};
    put_head(&w, version_for(s, o->no_keys));
    if (o->functions)
        o->functions(&w);
    for (int d = 0; d < s->ndbs && !o->no_keys && !w.failed; d++)
        if (dict_count(&s->dbs[d].keys))
            put_db(&w, &s->dbs[d]);
    put_end(&w);
    buf_release(&w.buf);
    if (st)
        *st = w.st;
    return w.failed ? err_set(err, ERR_IO, "%s", w.err.msg) : 0;
}
