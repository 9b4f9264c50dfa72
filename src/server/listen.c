#include "server/listen.h"

#include <string.h>

#include "auth/users.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/setting.h"
#include "cmd/ahead.h"
#include "cmd/client.h"
#include "cmd/dispatch.h"
#include "server/config.h"

#define MAX_BIND 16

struct listen_stats listen_stats;
int64_t listen_maxclients;

static int64_t port, backlog, unix_perm, idle_timeout;
static char *bind_list, *unix_path;
static bool protected_mode;
static struct conn_host *host;
static struct loop *loop; /* NULL: not listening yet */

/* The open TCP listeners, and by which settings they were opened. */
static struct open {
    struct listener *at[MAX_BIND];
    int n;
    int64_t port;
    char *bind;
} tcp;
static struct listener *unix_listener;

/* ---- a client's connection ---- */

static void on_command(void *arg, const struct resp_request *r)
{
    dispatch_request(arg, r);
}

static void on_ahead(void *arg, struct resp_request *r, int n)
{
    ahead(arg, r, n);
}

static void on_bad_protocol(void *arg, const char *msg)
{
    struct client *c = arg;
    reply_errorf(&c->reply, "ERR %s", msg);
    conn_wrote(c->conn);
}

static void on_closed(void *arg)
{
    client_destroy(arg);
}

static const struct conn_ops client_ops = {
    .command = on_command, .ahead = on_ahead, .bad_protocol = on_bad_protocol, .closed = on_closed};

static void on_away_closed(void *arg)
{
}

static const struct sock_ops away_ops = {.closed = on_away_closed};

static void turn_away(struct sock *s, const char *why)
{
    sock_attach(s, &away_ops, NULL);
    sock_write(s, why, strlen(why)); /* best effort: the peer may be gone already */
    sock_close(s);
    listen_stats.rejected++;
}

static void on_accept(void *arg, struct sock *s)
{
    listen_stats.accepted++;
    if ((int64_t)client_count() >= listen_maxclients) {
        turn_away(s, "-ERR max number of clients reached\r\n");
        return;
    }
    if (protected_mode && (users_default()->flags & USER_NOPASS) && !sock_is_local(s)) {
        turn_away(s, "-DENIED Skald is running in protected mode because protected mode is enabled and no password is "
                     "set for the default user. Connect from this machine, or set a password with requirepass, or turn "
                     "protected-mode off when the network is trusted.\r\n");
        return;
    }
    struct client *c = client_create(conn_create(host, s, &client_ops, NULL));
    conn_set_arg(c->conn, c);
}

/* ---- listening ---- */

int listen_port(void)
{
    return tcp.n ? listener_port(tcp.at[0]) : 0;
}

static int open_one(struct open *o, const char *addr, struct err *err)
{
    bool optional = addr[0] == '-'; /* as in Redis: an address that may be missing on this machine */
    struct err why;
    int rc = listener_tcp(&o->at[o->n], loop, addr + optional, (int)port, (int)backlog, on_accept, NULL, &why);
    if (rc == 0) {
        o->n++;
        return 0;
    }
    if (optional)
        return 0;
    return err_set(err, rc, "cannot listen on %s port %d: %s", addr, (int)port, why.msg);
}

static void close_tcp(struct open *o)
{
    while (o->n > 0)
        listener_close(o->at[--o->n]);
    mem_free(o->bind);
    *o = (struct open){0};
}

/* All that the settings name, or nothing. */
static int open_tcp(struct open *o, struct err *err)
{
    char *addrs[MAX_BIND];
    int n = config_split(bind_list, addrs, MAX_BIND), rc = 0;
    if (n < 0)
        return err_set(err, ERR_INVALID, "bind: unbalanced quotes");
    *o = (struct open){.port = port, .bind = mem_strdup(bind_list)};
    for (int i = 0; i < n; i++) {
        if (rc == 0 && port != 0)
            rc = open_one(o, addrs[i], err);
        mem_free(addrs[i]);
    }
    if (rc < 0)
        close_tcp(o);
    return rc;
}

int listen_open(struct loop *l, struct conn_host *h, struct err *err)
{
    host = h;
    loop = l;
    int rc = open_tcp(&tcp, err);
    if (rc == 0 && *unix_path)
        rc = listener_unix(&unix_listener, l, unix_path, (int)unix_perm, (int)backlog, on_accept, NULL, err);
    if (rc == 0 && tcp.n == 0 && !unix_listener)
        rc = err_set(err, ERR_INVALID, "there is nothing to listen on: give --port, --bind or --unixsocket");
    return rc;
}

void listen_close(void)
{
    close_tcp(&tcp);
    if (unix_listener)
        listener_close(unix_listener);
    unix_listener = NULL;
    loop = NULL;
}

/* `port` or `bind` has changed. Another port is opened before the old one is closed; other addresses on the same port take
 * each other's place, so the old ones go first. When that fails the setting gets its old value back, and this is called
 * again. Connections stay. */
static int listen_again(struct err *err)
{
    struct err why;
    struct open next;
    if (!loop || (tcp.bind && tcp.port == port && strcmp(tcp.bind, bind_list) == 0))
        return 0;
    if (tcp.port == port)
        close_tcp(&tcp);
    if (open_tcp(&next, &why) < 0) {
        log_warning("%s", why.msg);
        return err_set(err, ERR_GENERIC, tcp.n ? "port: Unable to listen on this port. Check server logs."
                                               : "bind: Failed to bind to specified addresses.");
    }
    close_tcp(&tcp);
    tcp = next;
    return 0;
}

void listen_drop_idle(void)
{
    if (idle_timeout == 0)
        return;
    list_each_safe (node, clients_all()) {
        struct client *c = list_entry(node, struct client, link);
        bool waits = c->parked || client_subscriptions(c); /* they are idle by nature */
        if (!waits && !conn_closing(c->conn) && clock_mono_ms() - c->last_ms > idle_timeout * 1000) {
            log_verbose("closing a client that was idle for %lld seconds", (long long)idle_timeout);
            conn_close(c->conn);
        }
    }
}

/* ---- settings ---- */

static int set_unix_perm(const struct setting *s, struct slice v, struct err *err)
{
    int64_t mode = 0;
    for (size_t i = 0; i < v.len; i++) {
        if (v.p[i] < '0' || v.p[i] > '7' || mode > 07777)
            return err_set(err, ERR_INVALID, "unixsocketperm: give an octal mode such as 700");
        mode = mode * 8 + (v.p[i] - '0');
    }
    unix_perm = mode;
    return 0;
}

static void get_unix_perm(const struct setting *s, struct buf *to)
{
    buf_addf(to, "%o", (unsigned)unix_perm);
}

static const struct setting rows[] = {
    {.name = "port",
     .kind = SETTING_INT,
     .at = &port,
     .dflt = "6379",
     .max = 65535,
     .apply = listen_again,
     .help = "TCP port; 0: no TCP."},
    {.name = "bind",
     .kind = SETTING_STR,
     .at = &bind_list,
     .dflt = "127.0.0.1 -::1",
     .apply = listen_again,
     .help = "Addresses to listen on; a leading - means: only where the machine has it."},
    {.name = "unixsocket",
     .kind = SETTING_STR,
     .at = &unix_path,
     .dflt = "",
     .flags = SETTING_FIXED,
     .help = "Path of a Unix socket; empty: none."},
    {.name = "unixsocketperm",
     .kind = SETTING_CALL,
     .dflt = "700",
     .set = set_unix_perm,
     .get = get_unix_perm,
     .flags = SETTING_FIXED,
     .help = "Mode of the Unix socket, octal."},
    {.name = "tcp-backlog",
     .kind = SETTING_INT,
     .at = &backlog,
     .dflt = "511",
     .min = 1,
     .max = 65535,
     .flags = SETTING_FIXED,
     .help = "Connections that may wait to be accepted."},
    {.name = "timeout",
     .kind = SETTING_INT,
     .at = &idle_timeout,
     .dflt = "0",
     .max = 100000000,
     .help = "Closes a client after so many idle seconds; 0: never."},
    {.name = "maxclients",
     .kind = SETTING_INT,
     .at = &listen_maxclients,
     .dflt = "10000",
     .min = 1,
     .max = 10000000,
     .help = "Connections at the same time; more are told so and closed."},
    {.name = "protected-mode",
     .kind = SETTING_BOOL,
     .at = &protected_mode,
     .dflt = "yes",
     .help = "Without a password, accept clients from this machine only."},
};

void listen_settings(void)
{
    SETTING_REGISTER(rows);
}
