/* Calls that outlive their handler, effects, argument helpers.
 *
 * A parked call: the dispatcher's struct call lives on its stack, so parking copies it with its arguments. From then on
 * the client points to the copy; when the client goes, the copy's reply is turned to a buffer that nobody reads. */
#include "cmd/call.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cmd/block.h"
#include "cmd/call_park.h"
#include "cmd/client.h"
#include "cmd/dispatch.h"
#include "cmd/effects.h"
#include "cmd/inside.h"

struct parked {
    struct call call; /* first: the call is the parked call */
    struct frame frame;
    void (*cancel)(struct call *c, void *arg);
    void *arg;
    bool cancelled;
    struct reply nowhere;
    struct buf discard;
};

/* ---- effects ---- */

void call_effect_in(struct call *c, struct db *db, int argc, const struct slice *argv)
{
    c->flags |= CALL_NO_EFFECT; /* these replace the command itself */
    if (c->flags & CALL_REPLAY)
        return;
    if (c->flags & CALL_PARKED)
        c->effects = effects_list_add(c->effects, db->id, argc, argv);
    else
        effects_add(db->id, argc, argv);
}

void call_effect(struct call *c, int argc, const struct slice *argv)
{
    call_effect_in(c, c->db, argc, argv);
}

void call_no_effect(struct call *c)
{
    c->flags |= CALL_NO_EFFECT;
}

/* ---- parking ---- */

static const struct slice *copy_argv(int argc, const struct slice *argv)
{
    size_t bytes = (size_t)argc * sizeof *argv;
    for (int i = 0; i < argc; i++)
        bytes += argv[i].len + 1;
    struct slice *copy = mem_alloc(bytes);
    char *p = (char *)(copy + argc);
    for (int i = 0; i < argc; i++) {
        if (argv[i].len)
            memcpy(p, argv[i].p, argv[i].len);
        p[argv[i].len] = 0;
        copy[i] = slice_of(p, argv[i].len);
        p += argv[i].len + 1;
    }
    return copy;
}

static void reply_nowhere(struct parked *p)
{
    if (p->call.reply == &p->nowhere)
        return;
    buf_init(&p->discard, 64u << 20);
    p->nowhere = (struct reply){.out = &p->discard, .resp = p->call.reply->resp};
    p->call.reply = &p->nowhere;
}

struct call *call_park(struct call *c, void (*cancel)(struct call *c, void *arg), void *arg)
{
    assert(!(c->flags & (CALL_ATOMIC | CALL_PARKED)) && c->client);
    struct frame *frame = c->park;
    struct parked *p = mem_zero(sizeof *p);
    c->flags |= CALL_PARKED; /* the dispatcher looks at its own copy after the handler */
    p->call = *c;
    p->call.argv = copy_argv(c->argc, c->argv);
    p->call.park = &p->frame;
    p->frame = (struct frame){frame->entry, p};
    p->cancel = cancel;
    p->arg = arg;
    if (c->client->flags &
        (CLIENT_REPLY_OFF | CLIENT_REPLY_SKIP)) /* CLIENT REPLY holds for the reply that comes later, too */
        reply_nowhere(p);
    c->client->parked = &p->call;
    if (c->client->conn)
        conn_stop(c->client->conn);
    return &p->call;
}

static struct parked *parked_of(struct call *c)
{
    struct frame *f = c->park;
    return f->parked;
}

void call_orphan(struct call *c)
{
    struct parked *p = parked_of(c);
    c->client->parked = NULL;
    c->client = NULL;
    reply_nowhere(p);
    call_cancel(c);
}

void call_cancel(struct call *c)
{
    struct parked *p = parked_of(c);
    if (p->cancel && !p->cancelled) {
        p->cancelled = true;
        p->cancel(c, p->arg);
    }
}

void call_resume(struct call *c)
{
    struct parked *p = parked_of(c);
    struct client *client = c->client;
    assert(c->flags & CALL_PARKED);
    effects_list_emit(c->effects);
    effects_let_go();
    c->effects = NULL;
    if (client)
        client->parked = NULL;
    dispatch_after(c, p->frame.entry, dispatch_store()->dirty);
    mem_free((void *)c->argv);
    buf_release(&p->discard);
    mem_free(p);
    if (!client)
        return;
    if (client->flags & CLIENT_INTERNAL) {
        call_inside_finished(client);
    } else {
        conn_wrote(client->conn);
        conn_go(client->conn);
    }
}

/* ---- arguments ---- */

void call_wrong_type(struct call *c)
{
    reply_errorf(c->reply, "WRONGTYPE Operation against a key holding the wrong kind of value");
}

void call_help(struct call *c, const char *const *lines, size_t n)
{
    reply_array(c->reply, n);
    for (size_t i = 0; i < n; i++)
        reply_status(c->reply, lines[i]);
}

void call_syntax(struct call *c)
{
    reply_errorf(c->reply, "ERR syntax error");
}

void call_err(struct call *c, const struct err *e)
{
    reply_err(c->reply, e);
}

bool call_i64(struct call *c, int i, int64_t *out)
{
    if (num_to_i64(c->argv[i], out))
        return true;
    reply_errorf(c->reply, "ERR value is not an integer or out of range");
    return false;
}

bool call_range(struct call *c, int i, int64_t min, int64_t max, int64_t *out)
{
    if (!call_i64(c, i, out))
        return false;
    if (*out >= min && *out <= max)
        return true;
    reply_errorf(c->reply, "ERR value is out of range, value must between %lld and %lld", (long long)min, (long long)max);
    return false;
}

bool call_double(struct call *c, int i, double *out)
{
    if (num_to_double(c->argv[i], out))
        return true;
    reply_errorf(c->reply, "ERR value is not a valid float");
    return false;
}

bool call_timeout_ms(struct call *c, int i, int64_t *out)
{
    double seconds;
    if (!num_to_double(c->argv[i], &seconds) || isinf(seconds)) {
        reply_errorf(c->reply, "ERR timeout is not a float or out of range");
        return false;
    }
    if (seconds < 0) {
        reply_errorf(c->reply, "ERR timeout is negative");
        return false;
    }
    if (seconds * 1000 > (double)INT64_MAX / 2) {
        reply_errorf(c->reply, "ERR timeout is out of range");
        return false;
    }
    *out = (int64_t)ceil(seconds * 1000); /* a positive wait never becomes "for ever" */
    return true;
}
