/* What surprises: every request is walked twice by the same code. The first pass only counts; the second copies into
 * one block of that size. A struct is first copied as a whole, then its slices are led into the block, so that a new
 * field that is no pointer needs no line here. */
#include "llm/copy.h"

#include <string.h>

#include "base/mem.h"
#include "llm/tokens.h"

#define PICTURE_TOKENS 1000

struct copier {
    char *at; /* NULL while counting */
    size_t need;
};

static void *room(struct copier *c, size_t n)
{
    size_t whole = (n + 15) & ~(size_t)15;
    void *p = c->at;
    c->need += whole;
    if (c->at)
        c->at += whole;
    return p;
}

static void take(struct copier *c, struct slice *s)
{
    char *p = room(c, s->len);
    if (p && s->len)
        memcpy(p, s->p, s->len);
    if (p)
        s->p = s->len ? p : "";
}

static void take_all(struct copier *c, const struct slice **list, int n)
{
    struct slice *to = room(c, (size_t)n * sizeof *to), one;
    for (int i = 0; i < n; i++) {
        struct slice *s = to ? &to[i] : &one;
        *s = (*list)[i];
        take(c, s);
    }
    if (to)
        *list = to;
}

static void take_caller(struct copier *c, struct llm_caller *who)
{
    take(c, &who->owner);
    take(c, &who->sticky);
    take(c, &who->tag);
}

static void take_message(struct copier *c, struct llm_message *m)
{
    take(c, &m->role);
    take(c, &m->content);
    take(c, &m->parts);
    take(c, &m->name);
    take(c, &m->tool_calls);
    take(c, &m->tool_call_id);
    take(c, &m->reasoning);
    take(c, &m->thinking);
}

static void take_messages(struct copier *c, struct llm_request *q)
{
    struct llm_message *to = room(c, (size_t)q->nmessages * sizeof *to), one;
    for (int i = 0; i < q->nmessages; i++) {
        struct llm_message *m = to ? &to[i] : &one;
        *m = q->messages[i];
        take_message(c, m);
    }
    if (to)
        q->messages = to;
}

static void take_chat(struct copier *c, void *request)
{
    struct llm_request *q = request;
    take(c, &q->model);
    take(c, &q->system);
    take_messages(c, q);
    take_all(c, &q->stop, q->nstop);
    take(c, &q->schema);
    take(c, &q->schema_name);
    take(c, &q->tools);
    take(c, &q->tool_choice);
    take(c, &q->effort);
    take(c, &q->end_user);
    take(c, &q->params);
    take_caller(c, &q->caller);
}

static void take_embed(struct copier *c, void *request)
{
    struct llm_embed_request *q = request;
    take(c, &q->model);
    take_all(c, &q->texts, q->ntexts);
    take_caller(c, &q->caller);
}

static void take_rerank(struct copier *c, void *request)
{
    struct llm_rerank_request *q = request;
    take(c, &q->model);
    take(c, &q->query);
    take_all(c, &q->docs, q->ndocs);
    take_caller(c, &q->caller);
}

static void take_speech(struct copier *c, void *request)
{
    struct llm_speech_request *q = request;
    take(c, &q->model);
    take(c, &q->text);
    take(c, &q->voice);
    take(c, &q->format);
    take(c, &q->instructions);
    take_caller(c, &q->caller);
}

static void take_transcribe(struct copier *c, void *request)
{
    struct llm_transcribe_request *q = request;
    take(c, &q->model);
    take(c, &q->audio);
    take(c, &q->filename);
    take(c, &q->language);
    take(c, &q->prompt);
    take(c, &q->format);
    take_caller(c, &q->caller);
}

/* `scratch` is a shallow copy of the request; it is filled twice from `original`. */
static void *copy(const void *original, void *scratch, size_t size, void (*fields)(struct copier *c, void *request))
{
    struct copier c = {0};
    room(&c, size);
    fields(&c, scratch);
    c.at = mem_try(c.need);
    if (!c.at)
        return NULL;
    void *to = room(&c, size);
    memcpy(to, original, size);
    fields(&c, to);
    return to;
}

struct llm_request *copy_chat(const struct llm_request *q)
{
    struct llm_request scratch = *q;
    return copy(q, &scratch, sizeof scratch, take_chat);
}

struct llm_embed_request *copy_embed(const struct llm_embed_request *q)
{
    struct llm_embed_request scratch = *q;
    return copy(q, &scratch, sizeof scratch, take_embed);
}

struct llm_rerank_request *copy_rerank(const struct llm_rerank_request *q)
{
    struct llm_rerank_request scratch = *q;
    return copy(q, &scratch, sizeof scratch, take_rerank);
}

struct llm_speech_request *copy_speech(const struct llm_speech_request *q)
{
    struct llm_speech_request scratch = *q;
    return copy(q, &scratch, sizeof scratch, take_speech);
}

struct llm_transcribe_request *copy_transcribe(const struct llm_transcribe_request *q)
{
    struct llm_transcribe_request scratch = *q;
    return copy(q, &scratch, sizeof scratch, take_transcribe);
}

const struct llm_caller *asked_caller(const struct llm_asked *a)
{
    switch (a->kind) {
    case MODEL_CHAT: return &a->chat->caller;
    case MODEL_EMBED: return &a->embed->caller;
    case MODEL_RERANK: return &a->rerank->caller;
    case MODEL_SPEECH: return &a->speech->caller;
    case MODEL_TRANSCRIBE: return &a->transcribe->caller;
    }
    return NULL;
}

/* Of a JSON text that may hold pictures as data URLs. */
static int64_t parts_tokens(struct slice json)
{
    int64_t n = 0;
    for (const char *data; json.len && (data = memmem(json.p, json.len, ";base64,", 8));) {
        const char *end = memchr(data, '"', json.len - (size_t)(data - json.p));
        size_t skip = end ? (size_t)(end - json.p) : json.len;
        n += tokens_estimate(slice_of(json.p, (size_t)(data - json.p))) + PICTURE_TOKENS;
        json = slice_of(json.p + skip, json.len - skip);
    }
    return n + tokens_estimate(json);
}

static int64_t chat_tokens(const struct llm_request *q)
{
    int64_t n = tokens_estimate(q->system) + tokens_estimate(q->tools) + tokens_estimate(q->schema);
    for (int i = 0; i < q->nmessages; i++) {
        const struct llm_message *m = &q->messages[i];
        n += TOKENS_PER_MESSAGE + tokens_estimate(m->content) + parts_tokens(m->parts) + tokens_estimate(m->tool_calls);
    }
    return n;
}

static int64_t list_tokens(const struct slice *v, int n)
{
    int64_t sum = 0;
    for (int i = 0; i < n; i++)
        sum += tokens_estimate(v[i]);
    return sum;
}

int64_t asked_tokens(const struct llm_asked *a)
{
    switch (a->kind) {
    case MODEL_CHAT: return chat_tokens(a->chat);
    case MODEL_EMBED: return list_tokens(a->embed->texts, a->embed->ntexts);
    case MODEL_RERANK: return tokens_estimate(a->rerank->query) + list_tokens(a->rerank->docs, a->rerank->ndocs);
    case MODEL_SPEECH: return tokens_estimate(a->speech->text);
    case MODEL_TRANSCRIBE: return tokens_estimate(a->transcribe->prompt);
    }
    return 0;
}
