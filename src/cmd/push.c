#include "cmd/push.h"

static struct client *busy; /* whose command is running */
static struct buf later;    /* messages to it, as RESP */

bool push_hold(struct client *c)
{
    if (busy || !c->conn)
        return false;
    busy = c;
    return true;
}

void push_release(void)
{
    struct client *c = busy;
    busy = NULL;
    if (later.len) {
        buf_add(c->reply.out, later.p, later.len);
        buf_clear(&later);
        conn_wrote(c->conn);
    }
}

struct buf *push_out(struct client *c)
{
    return c == busy ? &later : c->reply.out;
}

void push_wrote(struct client *c)
{
    if (c != busy)
        conn_wrote(c->conn);
}
