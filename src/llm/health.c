/* Active checks: the smallest call to models that nobody else asks, so that a vendor that is back, or gone, is known
 * before somebody waits for it. A check is a call like any other, with `check` set: the breaker's probe. */
#include "base/mem.h"
#include "base/setting.h"
#include "llm/call.h"

static int64_t interval;

static const struct setting settings[] = {
    {"llm-health-interval", SETTING_INT, &interval, "0", 0, 24 * 3600,
     .help =
         "Seconds between checks of models whose breaker is open or that nobody called; 0: none. Checks cost tokens."},
};

void health_boot(void)
{
    SETTING_REGISTER(settings);
}

static void chat_checked(void *arg, const struct llm_reply *reply, const struct err *err)
{
}

static void embed_checked(void *arg, const struct llm_vectors *v, const struct err *err)
{
}

static void rerank_checked(void *arg, const struct llm_ranks *r, const struct err *err)
{
}

struct llm_call *llm_check_start(struct llm *l, const struct model *m, const struct llm_chat_events *chat,
                                 llm_embed_done *embed, llm_rerank_done *rerank, void *arg, struct err *err)
{
    static const struct slice hello = {"Say OK.", 7};
    struct llm_message one = {.role = SLICE("user"), .content = hello};
    struct llm_request q = LLM_REQUEST;
    struct llm_embed_request e = {.model = slice_str(m->name), .texts = &hello, .ntexts = 1, .caller.check = true};
    struct llm_rerank_request r = {
        .model = slice_str(m->name), .query = hello, .docs = &hello, .ndocs = 1, .caller.check = true};
    q.model = slice_str(m->name);
    q.messages = &one;
    q.nmessages = 1;
    q.max_tokens = 8;
    q.caller.check = true;
    switch (m->kind) {
    case MODEL_CHAT: return llm_chat_start(l, &q, chat, arg, err);
    case MODEL_EMBED: return llm_embed_start(l, &e, embed, arg, err);
    case MODEL_RERANK: return llm_rerank_start(l, &r, rerank, arg, err);
    case MODEL_SPEECH:
    case MODEL_TRANSCRIBE: break;
    }
    err_set(err, ERR_STATE, "models of kind %s are not checked: there is no small call to them",
            model_kind_name(m->kind));
    return NULL;
}

static void check_one(void *arg, struct model *m)
{
    static const struct llm_chat_events ignore = {.done = chat_checked};
    struct llm *l = arg;
    const struct deployment *d = m->state;
    int64_t now = decide_now();
    struct err err;
    bool idle = now - d->used_ms >= interval * 1000 && d->in_flight == 0;
    bool due = breaker_state(&d->breaker, now) == BREAKER_HALF_OPEN && !d->breaker.probing;
    bool closed = breaker_state(&d->breaker, now) == BREAKER_CLOSED;
    if (!m->provider->local && m->enabled && (due || (closed && idle)))
        llm_check_start(l, m, &ignore, embed_checked, rerank_checked, NULL, &err);
}

static void tick(void *arg)
{
    struct llm *l = arg;
    if (interval > 0)
        models_each(&l->models, check_one, l);
    timer_start(l->health, (uint64_t)(interval > 0 ? interval : 1) * 1000, 0);
}

void health_start(struct llm *l)
{
    l->health = timer_create_on(l->loop, tick, l);
    timer_start(l->health, 1000, 0);
}

void health_stop(struct llm *l)
{
    timer_close(l->health);
    l->health = NULL;
}
