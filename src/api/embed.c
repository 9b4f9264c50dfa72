/* /v1/embeddings: floats, or base64 of them when the client asks so. */
#include "api/once.h"
#include "base/mem.h"
#include "llm/wire_openai.h"

struct embed {
    struct once once;
    bool base64;
    struct slice model; /* a copy */
};

static void embed_free(void *own)
{
    struct embed *e = own;
    door_end(&e->once.d);
    mem_free((char *)e->model.p);
    mem_free(e);
}

static void on_done(void *arg, const struct llm_vectors *v, const struct err *failed)
{
    struct embed *e = arg;
    struct buf body = {0};
    struct wire_head head = {.id = slice_str(e->once.d.id), .model = e->model.len ? e->model : v->facts.model};
    if (failed) {
        once_fail(&e->once, &v->facts, failed);
        return;
    }
    wire_openai_vectors(&head, v, e->base64, &body);
    once_reply(&e->once, &v->facts, "application/json", &body);
}

/* True: e is on its way, or gone. */
static bool start(struct embed *e, const struct llm_embed_request *q)
{
    struct slice body = httpd_body(e->once.d.r);
    struct err err;
    enum once_state state = once_begin(&e->once, &body, 1);
    if (state != ONCE_GO)
        return state == ONCE_TAKEN;
    e->model = slice_of(mem_dup(q->model.p, q->model.len), q->model.len);
    struct llm_call *call = llm_embed_start(api_gate->llm(), q, on_done, e, &err);
    return once_started(&e->once, call, &err);
}

static bool ask(struct embed *e)
{
    struct wire_embed w = {0};
    struct err err;
    bool ok = false;
    if (wire_openai_embed(httpd_body(e->once.d.r), &w, &err) < 0)
        door_fail(&e->once.d, &err, NULL, w.body.param);
    else if (door_caller(&e->once.d, &w.q.caller)) {
        e->base64 = w.base64;
        ok = start(e, &w.q);
    }
    wire_embed_release(&w);
    return ok;
}

static void embeddings(struct httpd_req *r)
{
    struct embed *e = mem_zero(sizeof *e);
    e->once.release = embed_free;
    if (!door_begin(&e->once.d, r, "embeddings", DOOR_OPENAI) ||
        !door_may(&e->once.d, "llm.embed", (struct slice){0}) || !ask(e))
        embed_free(e);
}

static const struct api_route rows[] = {
    {"POST", "/v1/embeddings", embeddings},
};

const struct api_family api_embed = API_FAMILY(rows);
