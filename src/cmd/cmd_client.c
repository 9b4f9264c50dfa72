/* CLIENT TRACKING and what belongs to it, CLIENT PAUSE, CLIENT HELP. */
#include "cmd/cmd_client.h"

#include "base/mem.h"
#include "cmd/client.h"
#include "cmd/pause.h"
#include "cmd/tracking.h"

struct options {
    unsigned flags;
    int64_t redirect;
    struct slice *prefixes; /* room for all arguments */
    int n;
};

static bool overlap(struct slice a, struct slice b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    return memcmp(a.p, b.p, n) == 0;
}

/* One client's prefixes must not overlap: a change would be told twice. */
static bool prefixes_apart(struct call *c, const struct options *o)
{
    const struct tracking *t = c->client->tracking;
    for (int i = 0; i < o->n; i++) {
        struct slice mine = o->prefixes[i], other = SLICE("");
        const char *what = NULL;
        if (t)
            list_each (l, &t->prefixes) {
                struct slice had = tracking_prefix_text(list_entry(l, struct tracking_seat, of_client)->prefix);
                if (!what && overlap(had, mine))
                    what = "an existing prefix", other = had;
            }
        for (int k = i + 1; k < o->n && !what; k++)
            if (overlap(mine, o->prefixes[k]))
                what = "another provided prefix", other = o->prefixes[k];
        if (!what)
            continue;
        reply_errorf(c->reply, "ERR Prefix '%.*s' overlaps with %s '%.*s'. Prefixes for a single client must not overlap.",
                     (int)mine.len, mine.p, what, (int)other.len, other.p);
        return false;
    }
    return true;
}

static bool parse(struct call *c, struct options *o)
{
    static const struct {
        const char *word;
        unsigned flag;
    } words[] = {{"bcast", TRACKING_BCAST},
                 {"optin", TRACKING_OPTIN},
                 {"optout", TRACKING_OPTOUT},
                 {"noloop", TRACKING_NOLOOP}};
    for (int i = 3; i < c->argc; i++) {
        unsigned flag = 0;
        for (size_t w = 0; w < sizeof words / sizeof *words; w++)
            if (slice_is(call_arg(c, i), words[w].word))
                flag = words[w].flag;
        if (flag) {
            o->flags |= flag;
        } else if (slice_is(call_arg(c, i), "redirect") && i + 1 < c->argc) {
            if (o->redirect) {
                reply_errorf(c->reply, "ERR A client can only redirect to a single other client");
                return false;
            }
            if (!call_i64(c, ++i, &o->redirect))
                return false;
            if (!client_by_id((uint64_t)o->redirect)) {
                reply_errorf(c->reply, "ERR The client ID you want redirect to does not exist");
                return false;
            }
        } else if (slice_is(call_arg(c, i), "prefix") && i + 1 < c->argc) {
            o->prefixes[o->n++] = call_arg(c, ++i);
        } else {
            call_syntax(c);
            return false;
        }
    }
    return true;
}

static bool go_together(struct call *c, const struct options *o)
{
    const struct tracking *t = c->client->tracking;
    unsigned f = o->flags, had = t ? t->flags : 0;
    const char *why = NULL;
    if (o->n && !(f & TRACKING_BCAST))
        why = "PREFIX option requires BCAST mode to be enabled";
    else if (t && ((had ^ f) & TRACKING_BCAST))
        why = "You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling it with "
              "a different mode.";
    else if ((f & TRACKING_BCAST) && (f & (TRACKING_OPTIN | TRACKING_OPTOUT)))
        why = "OPTIN and OPTOUT are not compatible with BCAST";
    else if ((f & TRACKING_OPTIN) && (f & TRACKING_OPTOUT))
        why = "You can't specify both OPTIN mode and OPTOUT mode";
    else if (((f & TRACKING_OPTIN) && (had & TRACKING_OPTOUT)) || ((f & TRACKING_OPTOUT) && (had & TRACKING_OPTIN)))
        why = "You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling it with a "
              "different mode.";
    if (why)
        reply_errorf(c->reply, "ERR %s", why);
    return !why;
}

/* > HELLO 3
 * < ...
 * > CLIENT TRACKING ON OPTIN
 * < OK
 * > CLIENT CACHING YES
 * < OK
 * > GET page:1
 * < (nil)
 * > CLIENT TRACKING ON PREFIX page:
 * < (error) ERR PREFIX option requires BCAST mode to be enabled
 */
void client_tracking(struct call *c)
{
    struct options o = {.prefixes = mem_alloc((size_t)c->argc * sizeof *o.prefixes)};
    bool on = slice_is(call_arg(c, 2), "on"), off = slice_is(call_arg(c, 2), "off");
    if (parse(c, &o)) {
        if (off) {
            tracking_stop(c->client);
            reply_ok(c->reply);
        } else if (!on) {
            call_syntax(c);
        } else if (go_together(c, &o) && prefixes_apart(c, &o)) {
            tracking_start(c->client, o.flags, (uint64_t)o.redirect, o.prefixes, o.n);
            reply_ok(c->reply);
        }
    }
    mem_free(o.prefixes);
}

/* > CLIENT CACHING YES
 * < (error) ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled
 */
void client_caching(struct call *c)
{
    struct tracking *t = c->client->tracking;
    bool yes = slice_is(call_arg(c, 2), "yes"), no = slice_is(call_arg(c, 2), "no");
    if (!t || !(t->flags & (TRACKING_OPTIN | TRACKING_OPTOUT))) {
        reply_errorf(c->reply, "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or "
                               "OPTOUT mode enabled");
    } else if (yes && !(t->flags & TRACKING_OPTIN)) {
        reply_errorf(c->reply, "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.");
    } else if (no && !(t->flags & TRACKING_OPTOUT)) {
        reply_errorf(c->reply, "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.");
    } else if (!yes && !no) {
        call_syntax(c);
    } else {
        t->flags |= TRACKING_CACHING;
        reply_ok(c->reply);
    }
}

/* > CLIENT GETREDIR
 * < (integer) -1
 * > CLIENT TRACKING ON
 * < OK
 * > CLIENT GETREDIR
 * < (integer) 0
 */
void client_getredir(struct call *c)
{
    reply_int(c->reply, c->client->tracking ? (int64_t)c->client->tracking->redirect : -1);
}

/* > CLIENT TRACKING ON BCAST PREFIX page: NOLOOP
 * < OK
 * > CLIENT TRACKINGINFO
 * < 1) "flags"
 * < 2) 1) "on"
 * <    2) "bcast"
 * <    3) "noloop"
 * < 3) "redirect"
 * < 4) (integer) 0
 * < 5) "prefixes"
 * < 6) 1) "page:"
 */
void client_trackinginfo(struct call *c)
{
    const struct tracking *t = c->client->tracking;
    unsigned f = t ? t->flags : 0;
    const char *words[] = {
        t ? "on" : "off",
        f & TRACKING_BCAST ? "bcast" : NULL,
        f & TRACKING_OPTIN ? "optin" : NULL,
        (f & TRACKING_OPTIN) && (f & TRACKING_CACHING) ? "caching-yes" : NULL,
        f & TRACKING_OPTOUT ? "optout" : NULL,
        (f & TRACKING_OPTOUT) && (f & TRACKING_CACHING) ? "caching-no" : NULL,
        f & TRACKING_NOLOOP ? "noloop" : NULL,
        f & TRACKING_BROKEN ? "broken_redirect" : NULL,
    };
    size_t n = 0, place;
    reply_map(c->reply, 3);
    reply_str(c->reply, "flags");
    place = reply_defer(c->reply);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (words[i]) {
            reply_str(c->reply, words[i]);
            n++;
        }
    reply_defer_set(c->reply, place, n);
    reply_field_int(c->reply, "redirect", t ? (int64_t)t->redirect : -1);
    reply_str(c->reply, "prefixes");
    place = reply_defer(c->reply);
    n = 0;
    if (t)
        list_each (l, &t->prefixes) {
            reply_bulk(c->reply, tracking_prefix_text(list_entry(l, struct tracking_seat, of_client)->prefix));
            n++;
        }
    reply_defer_array(c->reply, place, n);
}

/* > CLIENT PAUSE 50 WRITE
 * < OK
 * > GET k
 * < (nil)
 * > CLIENT UNPAUSE
 * < OK
 * > CLIENT PAUSE soon
 * < (error) ERR timeout is not an integer or out of range
 */
void client_pause(struct call *c)
{
    int64_t ms;
    bool all = c->argc == 3 || slice_is(call_arg(c, 3), "all");
    if (c->argc > 4 || (!all && !slice_is(call_arg(c, 3), "write"))) {
        if (c->argc > 4)
            reply_errorf(c->reply, "ERR unknown subcommand or wrong number of arguments for 'PAUSE'. Try CLIENT HELP.");
        else
            reply_errorf(c->reply, "ERR CLIENT PAUSE mode must be WRITE or ALL");
    } else if (!num_to_i64(call_arg(c, 2), &ms)) {
        reply_errorf(c->reply, "ERR timeout is not an integer or out of range");
    } else if (ms < 0) {
        reply_errorf(c->reply, "ERR timeout is negative");
    } else {
        pause_clients(all ? PAUSE_ALL : PAUSE_WRITE, ms);
        reply_ok(c->reply);
    }
}

void client_unpause(struct call *c)
{
    pause_over();
    reply_ok(c->reply);
}

/* > CLIENT HELP
 * < 1) CLIENT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:
 * < ...
 */
void client_help(struct call *c)
{
    static const char *const lines[] = {
        "CLIENT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "CACHING (YES|NO)",
        "    Whether the keys that the next command reads are cached by the client.",
        "GETNAME",
        "    The name of this connection.",
        "GETREDIR",
        "    The id of the connection that gets the invalidations of this one.",
        "ID",
        "    The id of this connection.",
        "INFO",
        "    The line of CLIENT LIST about this connection.",
        "KILL <ip:port>",
        "    Closes the connection from there.",
        "KILL <option> <value> [<option> <value> [...]]",
        "    Closes the connections that match all options: ADDR <ip:port>, LADDR <ip:port>,",
        "    TYPE (NORMAL|MASTER|REPLICA|PUBSUB), USER <username>, ID <client-id>, SKIPME (YES|NO),",
        "    MAXAGE <seconds>.",
        "LIST [options ...]",
        "    The connections, a line each: all, those of a TYPE, or those with an ID of a list.",
        "NO-EVICT (ON|OFF)",
        "    Keeps this connection when the clients' memory is limited.",
        "NO-TOUCH (ON|OFF)",
        "    Whether this connection's commands leave the keys' age alone.",
        "PAUSE <timeout> [WRITE|ALL]",
        "    Lets the commands of all clients, or those that write, wait for so many milliseconds.",
        "REPLY (ON|OFF|SKIP)",
        "    Whether this connection gets replies.",
        "SETINFO <option> <value>",
        "    What this connection's client library is: LIB-NAME, LIB-VER.",
        "SETNAME <name>",
        "    Names this connection.",
        "TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]] [OPTIN] [OPTOUT] [NOLOOP]",
        "    Says when keys change that this connection has read.",
        "TRACKINGINFO",
        "    How this connection tracks.",
        "UNBLOCK <clientid> [TIMEOUT|ERROR]",
        "    Ends another connection's wait.",
        "UNPAUSE",
        "    Ends a pause.",
        "HELP",
        "    Prints this help.",
    };
    call_help(c, lines, sizeof lines / sizeof *lines);
}
