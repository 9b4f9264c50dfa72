/* Listeners: TCP and Unix sockets for the Redis protocol, and what is refused at the door (maxclients, protected mode).
 * Thread: loop. */
#ifndef SERVER_LISTEN_H
#define SERVER_LISTEN_H

#include "base/err.h"
#include "net/conn.h"

void listen_settings(void);
int listen_open(struct loop *l, struct conn_host *host, struct err *err);
void listen_close(void);
int listen_port(void);           /* the TCP port in use */
void listen_drop_idle(void);     /* `timeout`: closes clients that said nothing for long; once a second */
struct listen_stats {
    uint64_t accepted, rejected;
};
extern struct listen_stats listen_stats;
extern int64_t listen_maxclients;

#endif
