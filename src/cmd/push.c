#include "cmd/push.h"

bool push_hold(struct client *c)
{
    if (!c->conn || (c->flags & CLIENT_REPLYING))
        return false;
    c->flags |= CLIENT_REPLYING;
    return true;
}

void push_early(struct client *c)
{
    if (!c->later.len)
        return;
    buf_add(c->reply.out, c->later.p, c->later.len);
    buf_release(&c->later);
}

void push_release(struct client *c)
{
    c->flags &= ~(unsigned)CLIENT_REPLYING;
    if (c->later.len) {
        push_early(c);
        conn_wrote(c->conn);
    }
}

struct buf *push_out(struct client *c)
{
    return c->flags & CLIENT_REPLYING ? &c->later : c->reply.out;
}

void push_wrote(struct client *c)
{
    if (!(c->flags & CLIENT_REPLYING))
        conn_wrote(c->conn);
}
