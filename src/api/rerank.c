/* /v1/rerank, as Jina, Cohere and vLLM have it. */
#include "api/once.h"
#include "base/mem.h"
#include "llm/wire_openai.h"

struct rerank {
    struct once once;
    struct wire_rerank asked; /* kept: the answer may hold the documents again */
};

static void rerank_free(void *own)
{
    struct rerank *e = own;
    wire_rerank_release(&e->asked);
    door_end(&e->once.d);
    mem_free(e);
}

static void on_done(void *arg, const struct llm_ranks *ranks, const struct err *failed)
{
    struct rerank *e = arg;
    struct buf body = {0};
    struct slice model = e->asked.q.model;
    struct wire_head head = {.id = slice_str(e->once.d.id), .model = model.len ? model : ranks->facts.model};
    if (failed) {
        once_fail(&e->once, &ranks->facts, failed);
        return;
    }
    wire_openai_ranks(&head, ranks, &e->asked, &body);
    once_reply(&e->once, &ranks->facts, "application/json", &body);
}

/* True: e is on its way, or gone. */
static bool ask(struct rerank *e)
{
    struct door *d = &e->once.d;
    struct slice body = httpd_body(d->r);
    struct err err;
    if (wire_openai_rerank(body, &e->asked, &err) < 0) {
        door_fail(d, &err, NULL, e->asked.body.param);
        return false;
    }
    if (!door_caller(d, &e->asked.q.caller))
        return false;
    enum once_state state = once_begin(&e->once, &body, 1);
    if (state != ONCE_GO)
        return state == ONCE_TAKEN;
    struct llm_call *call = llm_rerank_start(api_gate->llm(), &e->asked.q, on_done, e, &err);
    return once_started(&e->once, call, &err);
}

static void rerank(struct httpd_req *r)
{
    struct rerank *e = mem_zero(sizeof *e);
    e->once.release = rerank_free;
    if (!door_begin(&e->once.d, r, "rerank", DOOR_OPENAI) || !door_may(&e->once.d, "llm.rerank", (struct slice){0}) ||
        !ask(e))
        rerank_free(e);
}

static const struct api_route rows[] = {
    {"POST", "/v1/rerank", rerank},
    {"POST", "/v2/rerank", rerank},
};

const struct api_family api_rerank = API_FAMILY(rows);
