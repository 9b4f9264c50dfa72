/* /v1/rerank, as Jina, Cohere and vLLM have it. */
#include "api/door.h"
#include "base/mem.h"
#include "llm/wire_openai.h"

struct rerank {
    struct door d;
    struct wire_rerank asked; /* kept: the answer may hold the documents again */
};

static void rerank_free(struct rerank *e)
{
    wire_rerank_release(&e->asked);
    door_end(&e->d);
    mem_free(e);
}

static void on_done(void *arg, const struct llm_ranks *ranks, const struct err *failed)
{
    struct rerank *e = arg;
    e->d.llm = NULL;
    if (failed) {
        door_fail(&e->d, failed, &ranks->facts, NULL);
    } else {
        struct buf body = {0};
        struct slice model = e->asked.q.model;
        struct wire_head head = {.id = slice_str(e->d.id), .model = model.len ? model : ranks->facts.model};
        wire_openai_ranks(&head, ranks, &e->asked, &body);
        door_reply(&e->d, &ranks->facts, "application/json", &body);
    }
    rerank_free(e);
}

static bool ask(struct rerank *e)
{
    struct err err;
    if (wire_openai_rerank(httpd_body(e->d.r), &e->asked, &err) < 0) {
        door_fail(&e->d, &err, NULL, e->asked.body.param);
        return false;
    }
    if (!door_caller(&e->d, &e->asked.q.caller))
        return false;
    struct llm_call *call = llm_rerank_start(api_gate->llm(), &e->asked.q, on_done, e, &err);
    return door_started(&e->d, call, &err);
}

static void rerank(struct httpd_req *r)
{
    struct rerank *e = mem_zero(sizeof *e);
    if (!door_begin(&e->d, r, "rerank", DOOR_OPENAI) || !door_may(&e->d, "llm.rerank", (struct slice){0}) || !ask(e))
        rerank_free(e);
}

static const struct api_route rows[] = {
    {"POST", "/v1/rerank", rerank},
    {"POST", "/v2/rerank", rerank},
};

const struct api_family api_rerank = API_FAMILY(rows);
