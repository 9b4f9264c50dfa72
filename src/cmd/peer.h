/* Connections to other servers of Redis's kind, for MIGRATE: opened on demand, kept for ten idle seconds, one request at a
 * time. Thread: loop. */
#ifndef CMD_PEER_H
#define CMD_PEER_H

#include "base/buf.h"
#include "base/slice.h"
#include "io/loop.h"
#include "net/value.h"

struct peer;

struct peer_ops {
    bool (*reply)(void *arg, const struct resp_value *v); /* each in turn; false: that was the last */
    void (*failed)(void *arg, const char *what);           /* "connecting", "writing" or "reading"; the peer is gone */
};

void peers_boot(struct loop *l);
void peers_tick(void); /* closes who was idle */
void peers_close(void);
int peers_count(void);

/* One that is free, or a new one. Not both callbacks come for one request, and none from inside. */
struct peer *peer_take(const char *host, int port, const struct peer_ops *ops, void *arg);
int peer_db(const struct peer *p); /* the database that it is in, as far as we know; -1: it does not matter */
void peer_set_db(struct peer *p, int db);
struct buf *peer_out(struct peer *p); /* the request is put together here */
void peer_send(struct peer *p);
void peer_drop(struct peer *p); /* gives a request up: the connection is closed */

#endif
