/* MONITOR, see monitor.h. Administrative commands are not shown, nor the arguments of those that carry passwords. A
 * transaction's commands are shown as they run, before its EXEC. */
#include <stdio.h>

#include "base/clock.h"
#include "cmd/families.h"
#include "cmd/monitor.h"
#include "cmd/push.h"
#include "cmd/secret.h"

static bool watched; /* somebody looks, or did until lately */

static void quote(struct buf *to, struct slice s)
{
    buf_add_char(to, '"');
    for (size_t i = 0; i < s.len; i++) {
        static const char from[] = "\n\r\t\a\b", letter[] = "nrtab";
        unsigned char ch = (unsigned char)s.p[i];
        const char *special = ch ? strchr(from, ch) : NULL;
        if (special)
            buf_addf(to, "\\%c", letter[special - from]);
        else if (ch == '"' || ch == '\\')
            buf_addf(to, "\\%c", ch);
        else if (ch < ' ' || ch > '~')
            buf_addf(to, "\\x%02x", ch);
        else
            buf_add_char(to, (char)ch);
    }
    buf_add_char(to, '"');
}

static void line_of(struct buf *to, const struct client *c, int argc, const struct slice *argv)
{
    char addr[128] = "lua";
    int64_t us = clock_wall_us();
    if (c->conn)
        sock_name(conn_sock(c->conn), 0, addr, sizeof addr);
    buf_addf(to, "+%lld.%06lld [%d %s]", (long long)(us / 1000000), (long long)(us % 1000000), c->db->id, addr);
    for (int i = 0; i < argc; i++) {
        buf_add_char(to, ' ');
        bool hide = i && secret_argument(argc, argv, i);
        quote(to, hide ? SLICE("(redacted)") : argv[i]);
    }
    buf_add_str(to, "\r\n");
}

void monitor_show(const struct client *c, const struct cmd *cmd, int argc, const struct slice *argv)
{
    struct buf line = {0};
    if (!watched || (cmd->flags & CMD_ADMIN) || (!c->conn && !(c->flags & CLIENT_SCRIPT)))
        return;
    watched = false;
    list_each (l, clients_all()) {
        struct client *k = list_entry(l, struct client, link);
        if (!(k->flags & CLIENT_MONITOR) || !k->conn || conn_closing(k->conn))
            continue;
        if (!line.len)
            line_of(&line, c, argc, argv);
        watched = true;
        struct reply r = {.out = push_out(k), .resp = k->reply.resp};
        reply_raw(&r, buf_slice(&line));
        push_wrote(k);
    }
    buf_release(&line);
}

static void monitor(struct call *c)
{
    if (!c->client || !c->client->conn) {
        reply_errorf(c->reply, "ERR monitor needs a connection that commands can be shown to");
        return;
    }
    c->client->flags |= CLIENT_MONITOR;
    watched = true;
    reply_ok(c->reply);
}

static const struct cmd rows[] = {
    {.name = "monitor",
     .run = monitor,
     .arity = 1,
     .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE,
     .acl = ACL_DANGEROUS,
     .syntax = "",
     .summary = "Shows every command that the server runs.",
     .since = "1.0.0",
     .complexity = "O(1)"},
};

const struct cmd_family monitor_family = CMD_FAMILY("server", rows);
