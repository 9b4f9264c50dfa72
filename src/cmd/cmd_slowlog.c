/* SLOWLOG, see slowlog.h. Entries are copies, cut to 32 arguments of 128 bytes; passwords are not kept. */
#include "cmd/slowlog.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/setting.h"
#include "cmd/client.h"
#include "cmd/families.h"
#include "cmd/secret.h"

#define MAX_ARGS  32
#define MAX_BYTES 128

struct entry {
    struct list link; /* newest first */
    int64_t id, when, us;
    char *addr, *name;
    int argc;
    struct slice argv[MAX_ARGS]; /* owned */
};

static struct list entries = {&entries, &entries};
static size_t count;
static int64_t next_id, slower_than, max_len;

static void destroy(struct entry *e)
{
    list_del(&e->link);
    count--;
    for (int i = 0; i < e->argc; i++)
        mem_free((char *)e->argv[i].p);
    mem_free(e->addr);
    mem_free(e->name);
    mem_free(e);
}

static void trim(size_t to)
{
    while (count > to)
        destroy(list_entry(entries.prev, struct entry, link));
}

static int apply_len(struct err *err)
{
    trim((size_t)max_len);
    return 0;
}

static const struct setting settings[] = {
    {.name = "slowlog-log-slower-than",
     .kind = SETTING_INT,
     .at = &slower_than,
     .dflt = "10000",
     .min = -1,
     .max = INT64_MAX,
     .help = "Microseconds from which on a command is kept in the slow log; 0 keeps all, -1 none."},
    {.name = "slowlog-max-len",
     .kind = SETTING_INT,
     .at = &max_len,
     .dflt = "128",
     .min = 0,
     .max = 1000000,
     .apply = apply_len,
     .help = "How many commands the slow log keeps."},
};

void slowlog_settings(void)
{
    SETTING_REGISTER(settings);
}

/* ---- taking notes ---- */

static struct slice copy(struct buf *b)
{
    size_t n;
    char *p = buf_take(b, &n);
    return slice_of(p, n);
}

static struct slice copy_arg(struct slice s)
{
    struct buf b = {0};
    buf_add(&b, s.p, s.len < MAX_BYTES ? s.len : MAX_BYTES);
    if (s.len > MAX_BYTES)
        buf_addf(&b, "... (%zu more bytes)", s.len - MAX_BYTES);
    return copy(&b);
}

void slowlog_note(const struct call *c, int64_t us)
{
    if (slower_than < 0 || us < slower_than || (c->cmd->flags & CMD_SKIP_SLOWLOG) || max_len == 0 || !c->client)
        return;
    char addr[128] = "";
    struct entry *e = mem_zero(sizeof *e);
    bool cut = c->argc > MAX_ARGS;
    e->id = next_id++;
    e->when = clock_wall_ms() / 1000;
    e->us = us;
    if (c->client->conn)
        sock_name(conn_sock(c->client->conn), 0, addr, sizeof addr);
    e->addr = mem_strdup(addr);
    e->name = mem_strdup(c->client->name ? c->client->name : "");
    e->argc = cut ? MAX_ARGS : c->argc;
    for (int i = 0; i < e->argc - cut; i++)
        e->argv[i] = copy_arg(secret_argument(c->argc, c->argv, i) ? SLICE("(redacted)") : c->argv[i]);
    if (cut) {
        struct buf b = {0};
        buf_addf(&b, "... (%d more arguments)", c->argc - MAX_ARGS + 1);
        e->argv[MAX_ARGS - 1] = copy(&b);
    }
    list_add_head(&entries, &e->link);
    count++;
    trim((size_t)max_len);
}

/* ---- commands ---- */

static void reply_entry(struct reply *r, const struct entry *e)
{
    reply_array(r, 6);
    reply_int(r, e->id);
    reply_int(r, e->when);
    reply_int(r, e->us);
    reply_array(r, (size_t)e->argc);
    for (int i = 0; i < e->argc; i++)
        reply_bulk(r, e->argv[i]);
    reply_str(r, e->addr);
    reply_str(r, e->name);
}

/* The newest entries: id, when, microseconds, the command, the client's address and name.
 *
 * > SLOWLOG RESET
 * < OK
 * > SLOWLOG GET 5
 * < (empty array)
 * > SLOWLOG GET -2
 * < (error) ERR count should be greater than or equal to -1
 */
static void slowlog_get(struct call *c)
{
    int64_t n = 10;
    if (c->argc == 3 && (!num_to_i64(c->argv[2], &n) || n < -1)) {
        reply_errorf(c->reply, "ERR count should be greater than or equal to -1");
        return;
    }
    size_t left = n < 0 || (uint64_t)n > count ? count : (size_t)n;
    reply_array(c->reply, left);
    list_each (l, &entries) {
        if (left-- == 0)
            break;
        reply_entry(c->reply, list_entry(l, struct entry, link));
    }
}

/* > SLOWLOG RESET
 * < OK
 * > SLOWLOG LEN
 * < (integer) 0
 */
static void slowlog_len(struct call *c)
{
    reply_int(c->reply, (int64_t)count);
}

static void slowlog_reset(struct call *c)
{
    trim(0);
    reply_ok(c->reply);
}

static void slowlog_help(struct call *c)
{
    static const char *const lines[] = {
        "SLOWLOG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "GET [<count>]",
        "    The newest entries, 10 unless told, all with -1. Each has:",
        "    id, time, microseconds, arguments, client address and port, client name.",
        "LEN",
        "    How many entries there are.",
        "RESET",
        "    Forgets all of them.",
        "HELP",
        "    This text.",
    };
    reply_array(c->reply, sizeof lines / sizeof *lines);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        reply_status(c->reply, lines[i]);
}

#define FLAGS (CMD_ADMIN | CMD_LOADING | CMD_STALE)

/* clang-format off */
static const struct cmd subs[] = {
    {.name = "get", .run = slowlog_get, .arity = -2, .flags = FLAGS, .acl = ACL_DANGEROUS, .syntax = "[count]",
     .summary = "The newest entries of the slow log.", .since = "2.2.12",
     .complexity = "O(N) where N is the number of entries"},
    {.name = "len", .run = slowlog_len, .arity = 2, .flags = FLAGS, .acl = ACL_DANGEROUS, .syntax = "",
     .summary = "How many entries the slow log has.", .since = "2.2.12", .complexity = "O(1)"},
    {.name = "reset", .run = slowlog_reset, .arity = 2, .flags = FLAGS, .acl = ACL_DANGEROUS, .syntax = "",
     .summary = "Empties the slow log.", .since = "2.2.12", .complexity = "O(N) where N is the number of entries"},
    {.name = "help", .run = slowlog_help, .arity = 2, .flags = CMD_LOADING | CMD_STALE, .syntax = "",
     .summary = "The subcommands of SLOWLOG.", .since = "6.2.0", .complexity = "O(1)"},
};

static const struct cmd rows[] = {
    {.name = "slowlog", .arity = -2, .acl = ACL_SLOW, .syntax = "", .summary = "The last commands that took long.",
     .since = "2.2.12", .complexity = "Depends on the subcommand.", .subs = subs, .nsubs = sizeof subs / sizeof *subs},
};
/* clang-format on */

const struct cmd_family slowlog_family = CMD_FAMILY("server", rows);
