/* DEBUG: what test suites need to look inside or to provoke a state. Refused unless enable-debug-command says
 * otherwise.
 *
 * RELOAD writes a snapshot, empties the keyspace and reads the snapshot. Keys of Skald's own types are in no snapshot and
 * have files and indexes of their own, which only a restart loads again: they stay as they are. LOADAOF is in durable.c's hands: it empties the keyspace and replays the journal. */
#include <ctype.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/setting.h"
#include "cmd/cmd_server.h"
#include "cmd/dispatch.h"
#include "cmd/durable.h"
#include "cmd/families.h"
#include "cmd/script.h"
#include "cmd/snapshot.h"
#include "store/access.h"
#include "store/defrag.h"
#include "store/digest.h"
#include "store/rdb.h"
#include "store/t_list.h"

static int64_t debug_allowed; /* enable-debug-command */

static const struct setting_word debug_words[] = {{"no", 0}, {"yes", 1}, {"local", 2}, {NULL, 0}};
static const struct setting settings[] = {
    {.name = "enable-debug-command",
     .kind = SETTING_ENUM,
     .at = &debug_allowed,
     .dflt = "no",
     .words = debug_words,
     .flags = SETTING_FIXED,
     .help = "Whether DEBUG may be used: yes, no, or only from this machine."},
};

void server_cmd_settings(void)
{
    SETTING_REGISTER(settings);
}

static bool may_debug(struct call *c)
{
    bool local = !c->client || !c->client->conn || sock_is_local(conn_sock(c->client->conn));
    if (debug_allowed == 1 || (debug_allowed == 2 && local))
        return true;
    reply_errorf(c->reply,
                 "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can "
                 "run it from a local connection, otherwise you need to set this option in the configuration "
                 "file, and then restart the server.");
    return false;
}

/* Stops the whole loop, on purpose: that is what it is for. */
static void debug_sleep(struct call *c)
{
    double seconds;
    if (!may_debug(c) || !call_double(c, 2, &seconds))
        return;
    if (seconds > 0)
        usleep((useconds_t)(seconds * 1e6));
    reply_ok(c->reply);
}

static void debug_active_expire(struct call *c)
{
    if (!may_debug(c))
        return;
    c->db->store->no_active_expire = slice_is(call_arg(c, 2), "0");
    reply_ok(c->reply);
}

static void debug_pause_journal(struct call *c)
{
    if (!may_debug(c))
        return;
    durable_pause(slice_is(call_arg(c, 2), "1"));
    reply_ok(c->reply);
}

bool debug_cron_paused;

static void debug_pause_cron(struct call *c)
{
    if (!may_debug(c))
        return;
    debug_cron_paused = slice_is(call_arg(c, 2), "1");
    reply_ok(c->reply);
}

static void debug_deny_scripts(struct call *c)
{
    if (!may_debug(c))
        return;
    script_allow_denied = slice_is(call_arg(c, 2), "1");
    reply_ok(c->reply);
}

static void debug_log(struct call *c)
{
    if (!may_debug(c))
        return;
    log_verbose("DEBUG LOG: %.*s", (int)(call_arg(c, 2).len < 1000 ? call_arg(c, 2).len : 1000), call_arg(c, 2).p);
    reply_ok(c->reply);
}

/* ---- values ---- */

static void debug_object(struct call *c)
{
    if (!may_debug(c))
        return;
    struct obj *o = dict_find(&c->db->keys, call_arg(c, 2)); /* an expired one, too, that nobody has looked for yet */
    struct buf payload = {0}, line = {0};
    if (!o) {
        reply_errorf(c->reply, "ERR no such key");
        return;
    }
    rdb_dump(o, &payload, false);
    buf_addf(&line, "Value at:%p refcount:1 encoding:%s serializedlength:%zu lru:%u lru_seconds_idle:%d", (void *)o,
             obj_encoding(o), payload.len > 11 ? payload.len - 11 : 0, o->clock, access_is_lfu() ? 0 : (int)access_idle_s(o));
    reply_status(c->reply, buf_cstr(&line));
    buf_release(&payload);
    buf_release(&line);
}

static void digest_value(const struct obj *o, uint8_t sha[20])
{
    digest_mix(sha, slice_str(type_of(o)->name));
    if (type_of(o)->digest)
        type_of(o)->digest(o, sha);
    if (obj_expire(o) >= 0)
        digest_xor(sha, SLICE("!!expire!!"));
}

static void reply_digest(struct call *c, const uint8_t sha[20])
{
    char text[41];
    for (int i = 0; i < 20; i++)
        snprintf(text + 2 * i, 3, "%02x", sha[i]);
    reply_status(c->reply, text);
}

static void debug_digest_value(struct call *c)
{
    if (!may_debug(c))
        return;
    reply_array(c->reply, (size_t)c->argc - 2);
    for (int i = 2; i < c->argc; i++) {
        uint8_t sha[20] = {0};
        struct obj *o = db_peek(c->db, call_arg(c, i));
        if (o)
            digest_value(o, sha);
        reply_digest(c, sha);
    }
}

static void digest_db(struct db *db, uint8_t sha[20])
{
    struct dict_iter it;
    struct obj *o;
    char number[16];
    snprintf(number, sizeof number, "%d", db->id);
    for (dict_iter_begin(&it, &db->keys); (o = dict_iter_next(&it));) {
        uint8_t one[20] = {0};
        digest_mix(one, slice_str(number));
        digest_mix(one, obj_key(o));
        digest_value(o, one);
        digest_xor_member(sha, one);
    }
    dict_iter_end(&it);
}

static void debug_digest(struct call *c)
{
    uint8_t sha[20] = {0};
    struct store *s = c->db->store;
    if (!may_debug(c))
        return;
    for (int i = 0; i < s->ndbs; i++)
        digest_db(&s->dbs[i], sha);
    reply_digest(c, sha);
}

/* ---- reloading ---- */

static bool reload_options(struct call *c, bool *save, bool *flush, bool *merge)
{
    *save = *flush = true;
    *merge = false;
    for (int i = 2; i < c->argc; i++) {
        struct slice word = call_arg(c, i);
        if (slice_is(word, "merge")) {
            *merge = true;
        } else if (slice_is(word, "noflush")) {
            *flush = false;
        } else if (slice_is(word, "nosave")) {
            *save = false;
        } else {
            reply_errorf(c->reply, "ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.");
            return false;
        }
    }
    return true;
}

static void debug_reload(struct call *c)
{
    bool save, flush, merge, found;
    struct err err;
    if (!may_debug(c) || !reload_options(c, &save, &flush, &merge))
        return;
    snapshot_stop();
    if (save && snapshot_save(&err) < 0) {
        call_err(c, &err);
        return;
    }
    /* After a save what is read is what was there: nothing to be journaled. */
    bool effects = !save || !flush;
    if (flush)
        snapshot_clear(effects);
    if (snapshot_load((merge ? SNAPSHOT_MERGE : 0) | (effects ? SNAPSHOT_EFFECTS : 0), &found, &err) < 0)
        reply_errorf(c->reply, "ERR Error trying to load the RDB dump: %s", err.msg);
    else
        reply_ok(c->reply);
}

static void debug_loadaof(struct call *c)
{
    struct err err;
    if (!may_debug(c))
        return;
    if (durable_reload(&err) < 0)
        reply_errorf(c->reply, "ERR Error trying to load the AOF files: %s", err.msg);
    else
        reply_ok(c->reply);
}

/* ---- states for tests ---- */

static void debug_packed_threshold(struct call *c)
{
    uint64_t bytes;
    if (!may_debug(c))
        return;
    if (!num_to_bytes(call_arg(c, 2), &bytes) || bytes > UINT32_MAX) {
        reply_errorf(c->reply, "ERR argument must be a memory value bigger than 1 and smaller than 4gb");
        return;
    }
    list_set_plain_from((size_t)bytes);
    reply_ok(c->reply);
}

static void debug_populate(struct call *c)
{
    int64_t n, size = 0;
    struct buf key = {0}, value = {0};
    struct slice prefix = c->argc > 3 ? call_arg(c, 3) : SLICE("key");
    if (!may_debug(c) || !call_range(c, 2, 0, INT32_MAX, &n) || (c->argc > 4 && !call_range(c, 4, 0, INT32_MAX, &size)))
        return;
    for (int64_t i = 0; i < n; i++) {
        buf_clear(&key);
        buf_clear(&value);
        buf_add(&key, prefix.p, prefix.len);
        buf_addf(&key, ":%lld", (long long)i);
        if (db_peek(c->db, buf_slice(&key)))
            continue;
        buf_addf(&value, "value:%lld", (long long)i);
        while (size && value.len < (size_t)size)
            buf_add_char(&value, 0);
        if (size)
            value.len = (size_t)size;
        db_add(c->db, buf_slice(&key), value_string(buf_slice(&value)));
        db_changed(c->db, buf_slice(&key), NOTIFY_STRING, "set");
    }
    buf_release(&key);
    buf_release(&value);
    reply_ok(c->reply);
}

static void protocol_attrib(struct reply *r)
{
    if (r->resp == 3) { /* an attribute stands before a reply and counts as none */
        reply_raw(r, SLICE("|1\r\n"));
        reply_str(r, "key-popularity");
        reply_array(r, 2);
        reply_str(r, "key:123");
        reply_int(r, 90);
    }
    reply_str(r, "Some real reply following the attribute");
}

static void protocol_collection(struct reply *r, struct slice kind)
{
    bool map = slice_is(kind, "map");
    if (map)
        reply_map(r, 3);
    else if (slice_is(kind, "set"))
        reply_set(r, 3);
    else
        reply_array(r, 3);
    for (int i = 0; i < 3; i++) {
        reply_int(r, i);
        if (map)
            reply_bool(r, i == 1);
    }
}

/* A reply of each kind that RESP has, to try a client's parser. */
static void debug_protocol(struct call *c)
{
    struct slice kind = call_arg(c, 2);
    struct reply *r = c->reply;
    if (!may_debug(c))
        return;
    if (slice_is(kind, "string")) {
        reply_str(r, "Hello World");
    } else if (slice_is(kind, "integer")) {
        reply_int(r, 12345);
    } else if (slice_is(kind, "double")) {
        reply_double(r, 3.141);
    } else if (slice_is(kind, "null")) {
        reply_nil(r);
    } else if (slice_is(kind, "array") || slice_is(kind, "set") || slice_is(kind, "map")) {
        protocol_collection(r, kind);
    } else if (slice_is(kind, "attrib")) {
        protocol_attrib(r);
    } else if (slice_is(kind, "push")) {
        reply_push(r, 2);
        reply_str(r, "server-cpu-usage");
        reply_int(r, 42);
    } else if (slice_is(kind, "verbatim")) {
        reply_verbatim(r, "txt", SLICE("This is a verbatim\nstring"));
    } else if (slice_is(kind, "true") || slice_is(kind, "false")) {
        reply_bool(r, slice_is(kind, "true"));
    } else if (slice_is(kind, "bignum")) {
        reply_bignum(r, SLICE("1234567999999999999999999999999999999"));
    } else {
        reply_errorf(r, "ERR Wrong protocol type name. Please use one of the following: "
                        "string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false");
    }
}

static void debug_relocate(struct call *c)
{
    defrag_everything(c->db->store);
    reply_ok(c->reply);
}

static void debug_help(struct call *c);

#define DEBUG_ROW(word, fn, args, text, what)                                                                          \
    {                                                                                                                  \
        .name = (word), .run = (fn), .arity = (args), .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE,     \
        .syntax = (text), .summary = (what), .since = "1.0.0", .complexity = "Depends on the subcommand."              \
    }

/* clang-format off */
static const struct cmd subs[] = {
    DEBUG_ROW("help", debug_help, 2, "", "The subcommands of DEBUG."),
    DEBUG_ROW("sleep", debug_sleep, 3, "seconds", "Stops the server for a while."),
    DEBUG_ROW("set-active-expire", debug_active_expire, 3, "(0|1)", "Turns the periodic deletion of expired keys off or on."),
    DEBUG_ROW("set-disable-deny-scripts", debug_deny_scripts, 3, "(0|1)",
              "Lets scripts call the commands that are not for scripts."),
    DEBUG_ROW("pause-cron", debug_pause_cron, 3, "(0|1)", "Lets the periodic work rest."),
    DEBUG_ROW("pause-journal", debug_pause_journal, 3, "(0|1)", "Nothing is written to the journal's files for a while."),
    DEBUG_ROW("log", debug_log, 3, "message", "Writes a line to the log."),
    DEBUG_ROW("object", debug_object, -3, "key", "Where and how a value is kept."),
    DEBUG_ROW("digest", debug_digest, 2, "", "A digest of everything; equal for equal data."),
    DEBUG_ROW("digest-value", debug_digest_value, -2, "key...", "A digest of each key's value."),
    DEBUG_ROW("reload", debug_reload, -2, "[MERGE] [NOFLUSH] [NOSAVE]", "Saves a snapshot and reads it again."),
    DEBUG_ROW("loadaof", debug_loadaof, 2, "", "Empties the keyspace and replays the journal."),
    DEBUG_ROW("quicklist-packed-threshold", debug_packed_threshold, 3, "bytes",
              "From which size on an element of a list is a node of its own."),
    DEBUG_ROW("relocate", debug_relocate, 2, "", "Moves everything in memory that can move."),
    DEBUG_ROW("protocol", debug_protocol, 3, "type", "A reply of the given RESP type."),
    {.name = "populate", .run = debug_populate, .arity = -3, .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_WRITE,
     .syntax = "count [prefix] [size]", .summary = "Makes many string keys.", .since = "1.0.0", .complexity = "O(N)"},
};

/* The rows say it all. */
static void debug_help(struct call *c)
{
    size_t n = sizeof subs / sizeof *subs;
    reply_array(c->reply, 1 + 2 * n);
    reply_status(c->reply, "DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
    for (size_t i = 0; i < n; i++) {
        struct buf line = {0};
        for (const char *p = subs[i].name; *p; p++)
            buf_add_char(&line, (char)toupper((unsigned char)*p));
        buf_addf(&line, "%s%s", *subs[i].syntax ? " " : "", subs[i].syntax);
        buf_add_char(&line, 0);
        reply_status(c->reply, line.p);
        buf_clear(&line);
        buf_addf(&line, "    %s", subs[i].summary);
        buf_add_char(&line, 0);
        reply_status(c->reply, line.p);
        buf_release(&line);
    }
}

static const struct cmd rows[] = {
    {.name = "debug", .arity = -2, .acl = ACL_SLOW, .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE,
     .syntax = "", .summary = "For tests.",
     .since = "1.0.0", .complexity = "Depends on the subcommand.", .subs = subs, .nsubs = sizeof subs / sizeof *subs},
};
/* clang-format on */

const struct cmd_family debug_family = CMD_FAMILY("server", rows);
