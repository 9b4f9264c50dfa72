/* /v1/embeddings: floats, or base64 of them when the client asks so. */
#include "api/door.h"
#include "base/mem.h"
#include "llm/wire_openai.h"

struct embed {
    struct door d;
    bool base64;
    struct slice model; /* a copy */
};

static void embed_free(struct embed *e)
{
    door_end(&e->d);
    mem_free((char *)e->model.p);
    mem_free(e);
}

static void on_done(void *arg, const struct llm_vectors *v, const struct err *failed)
{
    struct embed *e = arg;
    e->d.llm = NULL;
    if (failed) {
        door_fail(&e->d, failed, &v->facts, NULL);
    } else {
        struct buf body = {0};
        struct wire_head head = {.id = slice_str(e->d.id), .model = e->model.len ? e->model : v->facts.model};
        wire_openai_vectors(&head, v, e->base64, &body);
        door_reply(&e->d, &v->facts, "application/json", &body);
    }
    embed_free(e);
}

static bool ask(struct embed *e)
{
    struct wire_embed w = {0};
    struct err err;
    bool ok = false;
    if (wire_openai_embed(httpd_body(e->d.r), &w, &err) < 0) {
        door_fail(&e->d, &err, NULL, w.body.param);
    } else if (door_caller(&e->d, &w.q.caller)) {
        e->base64 = w.base64;
        e->model = slice_of(mem_dup(w.q.model.p, w.q.model.len), w.q.model.len);
        struct llm_call *call = llm_embed_start(api_gate->llm(), &w.q, on_done, e, &err);
        ok = door_started(&e->d, call, &err);
    }
    wire_embed_release(&w);
    return ok;
}

static void embeddings(struct httpd_req *r)
{
    struct embed *e = mem_zero(sizeof *e);
    if (!door_begin(&e->d, r, "embeddings", DOOR_OPENAI) || !door_may(&e->d, "llm.embed", (struct slice){0}) || !ask(e))
        embed_free(e);
}

static const struct api_route rows[] = {
    {"POST", "/v1/embeddings", embeddings},
};

const struct api_family api_embed = API_FAMILY(rows);
