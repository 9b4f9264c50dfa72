/* Active checks: the smallest call to models that nobody else asks, so that a vendor that is back, or gone, is known
 * before somebody waits for it. A check is a call like any other, with `check` set: the breaker's probe. Speech and
 * transcription have no small call: their check reads a page of the vendor that is free (attempt.c). */
#include <math.h>

#include "base/mem.h"
#include "base/setting.h"
#include "llm/call.h"

static int64_t interval;

static const struct setting settings[] = {
    {"llm-health-interval", SETTING_INT, &interval, "0", 0, 24 * 3600,
     .help = "Seconds between checks of models whose breaker is open or that nobody called; 0: none. Checks cost "
             "tokens, but for speech and transcription."},
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

static void media_checked(void *arg, const struct llm_media *m, const struct err *err)
{
}

static const struct slice hello = {"Say OK.", 7};

static struct llm_call *check_chat_model(struct llm *l, const struct model *m, const struct llm_checked *done,
                                         void *arg, struct err *err)
{
    struct llm_message one = {.role = SLICE("user"), .content = hello};
    struct llm_request q = LLM_REQUEST;
    q.model = slice_str(m->name);
    q.messages = &one;
    q.nmessages = 1;
    q.max_tokens = 8;
    q.caller.check = true;
    return llm_chat_start(l, &q, &done->chat, arg, err);
}

struct llm_call *llm_check_start(struct llm *l, const struct model *m, const struct llm_checked *done, void *arg,
                                 struct err *err)
{
    struct slice name = slice_str(m->name);
    const struct llm_caller who = {.check = true};
    struct llm_embed_request e = {.model = name, .texts = &hello, .ntexts = 1, .caller = who};
    struct llm_rerank_request r = {.model = name, .query = hello, .docs = &hello, .ndocs = 1, .caller = who};
    struct llm_speech_request s = {.model = name, .text = hello, .speed = NAN, .caller = who};
    struct llm_transcribe_request t = {.model = name, .audio = hello, .temperature = NAN, .caller = who};
    switch (m->kind) {
    case MODEL_CHAT: return check_chat_model(l, m, done, arg, err);
    case MODEL_EMBED: return llm_embed_start(l, &e, done->embed, arg, err);
    case MODEL_RERANK: return llm_rerank_start(l, &r, done->rerank, arg, err);
    case MODEL_SPEECH: return llm_speech_start(l, &s, done->media, arg, err);
    case MODEL_TRANSCRIBE: return llm_transcribe_start(l, &t, done->media, arg, err);
    }
    return NULL;
}

static void check_one(void *arg, struct model *m)
{
    static const struct llm_checked ignore = {{.done = chat_checked}, embed_checked, rerank_checked, media_checked};
    struct llm *l = arg;
    const struct deployment *d = m->state;
    int64_t now = decide_now();
    struct err err;
    bool idle = now - d->used_ms >= interval * 1000 && d->in_flight == 0;
    bool due = breaker_state(&d->breaker, now) == BREAKER_HALF_OPEN && !d->breaker.probing;
    bool closed = breaker_state(&d->breaker, now) == BREAKER_CLOSED;
    if (!m->provider->local && m->enabled && (due || (closed && idle)))
        llm_check_start(l, m, &ignore, NULL, &err);
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
