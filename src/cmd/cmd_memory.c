/* MEMORY: what takes how much. */
#include "cmd/cmd.h"

#include <stdio.h>

#include "base/mem.h"
#include "cmd/client.h"
#include "cmd/families.h"

/* What a key takes of a table that it is in, as full as the table is now. */
static size_t share(const struct dict *d)
{
    return dict_bytes(d) / (dict_count(d) ? dict_count(d) : 1);
}

static size_t tables_share(const struct db *db, const struct obj *o)
{
    return share(&db->keys) + (o->flags & OBJ_EXPIRES ? share(&db->expires) : 0) +
           (o->flags & OBJ_TIMED ? share(&db->timed) : 0);
}

/* How many bytes a key takes with its value. Of a large value a few elements are looked at; SAMPLES 0 looks at all.
 *
 * > SET k v
 * < OK
 * > MEMORY USAGE k
 * < (integer) *
 * > MEMORY USAGE nothing
 * < (nil)
 */
static void memory_usage(struct call *c)
{
    int64_t samples = 5;
    for (int i = 3; i < c->argc; i += 2) {
        if (!slice_is(c->argv[i], "SAMPLES") || i + 1 == c->argc) {
            call_syntax(c);
            return;
        }
        if (!call_i64(c, i + 1, &samples))
            return;
        if (samples < 0 || samples > INT32_MAX) {
            call_syntax(c);
            return;
        }
    }
    struct obj *o = db_peek(c->db, c->argv[2]);
    if (!o)
        reply_nil(c->reply);
    else
        reply_int(c->reply, (int64_t)(obj_size(o, (int)samples) + tables_share(c->db, o)));
}

/* --- the whole --- */

struct overview {
    size_t used, peak, startup, tables, clients, overhead, dataset, keys;
    size_t allocated, active, resident, rss;
};

static struct overview look(const struct store *s)
{
    struct overview o = {.used = mem_used(), .peak = mem_peak(), .startup = mem_startup(), .clients = clients_memory()};
    for (int i = 0; i < s->ndbs; i++) {
        o.tables += dict_bytes(&s->dbs[i].keys) + dict_bytes(&s->dbs[i].expires) + dict_bytes(&s->dbs[i].timed);
        o.keys += dict_count(&s->dbs[i].keys);
    }
    o.overhead = o.startup + o.tables + o.clients;
    o.dataset = o.used > o.overhead ? o.used - o.overhead : 0;
    o.allocated = mem_allocator(MEM_ALLOCATED);
    o.active = mem_allocator(MEM_ACTIVE);
    o.resident = mem_allocator(MEM_RESIDENT);
    o.rss = mem_rss();
    return o;
}

static double over(size_t a, size_t b)
{
    return b ? (double)a / (double)b : 1;
}

static void put_int(struct call *c, const char *name, size_t v)
{
    reply_str(c->reply, name);
    reply_int(c->reply, (int64_t)v);
}

static void put_ratio(struct call *c, const char *name, double v)
{
    reply_str(c->reply, name);
    reply_double(c->reply, v);
}

/* A ratio with the bytes that it speaks of; negative ones when the smaller figure is the larger. */
static void put_both(struct call *c, const char *ratio, const char *bytes, size_t a, size_t b)
{
    put_ratio(c, ratio, over(a, b));
    reply_str(c->reply, bytes);
    reply_int(c->reply, (int64_t)a - (int64_t)b);
}

static void put_databases(struct call *c)
{
    const struct store *s = c->db->store;
    char name[32];
    for (int i = 0; i < s->ndbs; i++) {
        const struct db *db = &s->dbs[i];
        if (dict_count(&db->keys) == 0)
            continue;
        snprintf(name, sizeof name, "db.%d", i);
        reply_str(c->reply, name);
        reply_map(c->reply, 3);
        put_int(c, "overhead.hashtable.main", dict_bytes(&db->keys));
        put_int(c, "overhead.hashtable.expires", dict_bytes(&db->expires) + dict_bytes(&db->timed));
        put_int(c, "overhead.hashtable.slot-to-keys", 0);
    }
}

/* What memory is used for, by Redis's names. What does not exist here is 0.
 *
 * > SET k v
 * < OK
 * > MEMORY STATS
 * < 1) "peak.allocated"
 * < ...
 */
static void memory_stats(struct call *c)
{
    const struct store *s = c->db->store;
    struct overview o = look(s);
    size_t dbs = 0;
    for (int i = 0; i < s->ndbs; i++)
        dbs += dict_count(&s->dbs[i].keys) > 0;
    reply_map(c->reply, 27 + dbs);
    put_int(c, "peak.allocated", o.peak);
    put_int(c, "total.allocated", o.used);
    put_int(c, "startup.allocated", o.startup);
    static const char *const none[] = {"replication.backlog", "clients.slaves"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        put_int(c, none[i], 0);
    put_int(c, "clients.normal", o.clients);
    static const char *const none_too[] = {"cluster.links", "aof.buffer", "lua.caches", "functions.caches"};
    for (size_t i = 0; i < sizeof none_too / sizeof *none_too; i++)
        put_int(c, none_too[i], 0);
    put_databases(c);
    put_int(c, "overhead.total", o.overhead);
    put_int(c, "keys.count", o.keys);
    put_int(c, "keys.bytes-per-key", o.keys && o.used > o.startup ? (o.used - o.startup) / o.keys : 0);
    put_int(c, "dataset.bytes", o.dataset);
    put_ratio(c, "dataset.percentage", o.used > o.startup ? over(o.dataset, o.used - o.startup) * 100 : 0);
    put_ratio(c, "peak.percentage", over(o.used, o.peak) * 100);
    put_int(c, "allocator.allocated", o.allocated);
    put_int(c, "allocator.active", o.active);
    put_int(c, "allocator.resident", o.resident);
    put_both(c, "allocator-fragmentation.ratio", "allocator-fragmentation.bytes", o.active, o.allocated);
    put_both(c, "allocator-rss.ratio", "allocator-rss.bytes", o.resident, o.active);
    put_both(c, "rss-overhead.ratio", "rss-overhead.bytes", o.rss, o.resident);
    put_both(c, "fragmentation", "fragmentation.bytes", o.rss, o.used);
}

/* What of the figures above a person should do something about.
 *
 * > MEMORY DOCTOR
 * < "*"
 */
static void memory_doctor(struct call *c)
{
    struct overview o = look(c->db->store);
    struct buf to = {0};
    if (o.used < (5u << 20)) {
        reply_str(c->reply, "There is hardly any data yet, less than 5 MB: nothing can be said about its memory.");
        return;
    }
    if (o.peak > o.used + o.used / 2)
        buf_addf(&to, " * Peak memory: there once was %.1f times as much data. What was freed may still be resident; "
                      "MEMORY PURGE gives it back.\n", over(o.peak, o.used));
    if (o.active > o.allocated + (10u << 20) && over(o.active, o.allocated) > 1.1)
        buf_addf(&to, " * Fragmentation: pages hold %.2f times the bytes that are in use. A restart packs them.\n",
                 over(o.active, o.allocated));
    if (o.resident > o.active + (10u << 20) && over(o.resident, o.active) > 1.1)
        buf_addf(&to, " * Free pages: the allocator keeps %.2f times what it uses. MEMORY PURGE gives it back.\n",
                 over(o.resident, o.active));
    size_t clients = client_count();
    if (clients && o.clients / clients > (200u << 10))
        buf_addf(&to, " * Clients: their buffers hold %zu KB each on average. CLIENT LIST shows whose (tot-mem).\n",
                 o.clients / clients >> 10);
    if (to.len)
        reply_bulk(c->reply, buf_slice(&to));
    else
        reply_str(c->reply, "Nothing is wrong with the memory of this server.");
    buf_release(&to);
}

static void add_text(void *arg, const char *text)
{
    buf_add_str(arg, text);
}

/* What the allocator says of itself.
 *
 * > MEMORY MALLOC-STATS
 * < ...
 */
static void memory_malloc_stats(struct call *c)
{
    struct buf to = {0};
    if (mem_report(add_text, &to))
        reply_bulk(c->reply, buf_slice(&to));
    else
        reply_str(c->reply, "Stats not supported for the current allocator");
    buf_release(&to);
}

/* Gives the allocator's free pages back to the system.
 *
 * > MEMORY PURGE
 * < OK
 */
static void memory_purge(struct call *c)
{
    if (mem_purge())
        reply_ok(c->reply);
    else
        reply_errorf(c->reply, "ERR Error purging dirty pages");
}

static void memory_help(struct call *c)
{
    static const char *const lines[] = {
        "MEMORY <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "DOCTOR",
        "    What should be done about the server's memory.",
        "MALLOC-STATS",
        "    What the allocator says of itself.",
        "PURGE",
        "    Give free pages back to the system.",
        "STATS",
        "    What memory is used for.",
        "USAGE <key> [SAMPLES <count>]",
        "    Bytes that a key and its value take.",
        "HELP",
        "    This text.",
    };
    size_t n = sizeof lines / sizeof *lines;
    reply_array(c->reply, n);
    for (size_t i = 0; i < n; i++)
        reply_status(c->reply, lines[i]);
}

/* clang-format off */
static const struct cmd subs[] = {
    {.name = "doctor", .run = memory_doctor, .arity = 2, .acl = ACL_SLOW, .syntax = "",
     .summary = "What should be done about the server's memory.", .since = "4.0.0", .complexity = "O(1)"},
    {.name = "help", .run = memory_help, .arity = 2, .flags = CMD_LOADING | CMD_STALE, .acl = ACL_SLOW, .syntax = "",
     .summary = "The subcommands of MEMORY.", .since = "4.0.0", .complexity = "O(1)"},
    {.name = "malloc-stats", .run = memory_malloc_stats, .arity = 2, .acl = ACL_SLOW, .syntax = "",
     .summary = "What the allocator says of itself.", .since = "4.0.0", .complexity = "Depends on the allocator."},
    {.name = "purge", .run = memory_purge, .arity = 2, .acl = ACL_SLOW, .syntax = "",
     .summary = "Gives free pages back to the system.", .since = "4.0.0", .complexity = "Depends on the allocator."},
    {.name = "stats", .run = memory_stats, .arity = 2, .acl = ACL_SLOW, .syntax = "",
     .summary = "What memory is used for.", .since = "4.0.0", .complexity = "O(N) where N is the number of clients"},
    {.name = "usage", .run = memory_usage, .arity = -3, .flags = CMD_READONLY, .acl = ACL_READ,
     .first = 2, .last = 2, .step = 1, .key_spec = "RO",
     .syntax = "key [SAMPLES count]", .summary = "Bytes that a key and its value take.", .since = "4.0.0",
     .complexity = "O(N) where N is the number of samples"},
};
static const struct cmd rows[] = {
    {.name = "memory", .arity = -2, .acl = ACL_SLOW, .syntax = "", .summary = "What takes how much memory.",
     .since = "4.0.0", .complexity = "Depends on the subcommand.", .subs = subs, .nsubs = sizeof subs / sizeof *subs},
};
/* clang-format on */

const struct cmd_family memory_family = CMD_FAMILY("server", rows);
