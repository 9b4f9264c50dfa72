#include "cmd/inside.h"

#include "base/list.h"
#include "base/mem.h"
#include "cmd/call_park.h"
#include "cmd/client.h"
#include "cmd/dispatch.h"

struct inside {
    struct client *client;
    struct buf out;
    void (*done)(void *arg, struct slice reply);
    void *arg;
    bool starting; /* call_inside_async has not returned: it ends what is over by then */
    struct list link;
};

static struct client *inside_client(struct db *db, struct user *user, struct buf *out, int resp)
{
    struct client *c = client_create(NULL);
    c->db = db;
    client_set_user(c, user, true);
    c->reply = (struct reply){.out = out, .resp = resp};
    return c;
}

void call_inside(struct db *db, int argc, const struct slice *argv, struct buf *reply, int resp)
{
    struct client *c = inside_client(db, NULL, reply, resp);
    dispatch_queued(c, argc, argv);
    client_destroy(c);
}

static struct list insides = {&insides, &insides};

static void inside_end(struct inside *in)
{
    struct client *c = in->client;
    c->reply.out = &in->out;
    list_del(&in->link);
    client_destroy(c);
    in->done(in->arg, buf_slice(&in->out));
    buf_release(&in->out);
    mem_free(in);
}

struct inside *call_inside_async(struct db *db, struct user *user, int argc, const struct slice *argv, int resp,
                                 void (*done)(void *arg, struct slice reply), void *arg)
{
    struct inside *in = mem_zero(sizeof *in);
    in->done = done;
    in->arg = arg;
    in->client = inside_client(db, user, &in->out, resp);
    in->starting = true;
    list_add_tail(&insides, &in->link);
    dispatch_command(in->client, argc, (struct slice *)argv);
    in->starting = false;
    if (in->client->parked)
        return in;
    inside_end(in);
    return NULL;
}

void call_inside_finished(struct client *c)
{
    list_each (l, &insides) {
        struct inside *in = list_entry(l, struct inside, link);
        if (in->client == c) {
            if (!in->starting)
                inside_end(in);
            return;
        }
    }
}

void call_inside_cancel(struct inside *in)
{
    if (in->client->parked)
        call_cancel(in->client->parked);
}
