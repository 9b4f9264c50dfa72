#include "llm/matrix.h"

#include <string.h>

#include "base/json.h"

#define IMAGE(url) "[{\"type\":\"image_url\",\"image_url\":{\"url\":\"" url "\"}}]"
#define TOOLS      "[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\"}}}]"

static void with_stream(struct llm_request *q)
{
    q->stream = true;
}

static void with_temperature(struct llm_request *q)
{
    q->temperature = 0.5;
}

static void with_top_p(struct llm_request *q)
{
    q->top_p = 0.5;
}

static void with_frequency(struct llm_request *q)
{
    q->frequency_penalty = 0.5;
}

static void with_presence(struct llm_request *q)
{
    q->presence_penalty = 0.5;
}

static void with_stop(struct llm_request *q)
{
    static const struct slice stop[] = {{"X", 1}};
    q->stop = stop;
    q->nstop = 1;
}

static void with_seed(struct llm_request *q)
{
    q->has_seed = true;
    q->seed = 7;
}

static void with_user(struct llm_request *q)
{
    q->end_user = SLICE("u");
}

static void with_tools(struct llm_request *q)
{
    q->tools = SLICE(TOOLS);
}

static void with_tool_choice(struct llm_request *q)
{
    q->tools = SLICE(TOOLS);
    q->tool_choice = SLICE("\"required\"");
}

static void with_parallel(struct llm_request *q)
{
    q->tools = SLICE(TOOLS);
    q->parallel_tools = 0;
}

static void with_json(struct llm_request *q)
{
    q->json = true;
}

static void with_schema(struct llm_request *q)
{
    q->json = true;
    q->schema = SLICE("{\"type\":\"object\"}");
}

static void with_image_data(struct llm_request *q)
{
    static const struct llm_message m[] = {{.role = {"user", 4}, .parts = SLICE(IMAGE("data:image/png;base64,AAAA"))}};
    q->messages = m;
}

static void with_image_url(struct llm_request *q)
{
    static const struct llm_message m[] = {{.role = {"user", 4}, .parts = SLICE(IMAGE("https://x/i.png"))}};
    q->messages = m;
}

static void with_effort(struct llm_request *q)
{
    q->effort = SLICE("high");
}

static void with_think_tokens(struct llm_request *q)
{
    q->think_tokens = 2000;
}

static void with_no_thinking(struct llm_request *q)
{
    q->effort = SLICE("none");
}

static const struct feature {
    const char *name;
    void (*ask)(struct llm_request *q); /* NULL: the kind itself */
    enum model_kind kind;
} features[] = {
    {"chat", NULL, MODEL_CHAT},
    {"stream", with_stream, MODEL_CHAT},
    {"temperature", with_temperature, MODEL_CHAT},
    {"top_p", with_top_p, MODEL_CHAT},
    {"frequency penalty", with_frequency, MODEL_CHAT},
    {"presence penalty", with_presence, MODEL_CHAT},
    {"stop", with_stop, MODEL_CHAT},
    {"seed", with_seed, MODEL_CHAT},
    {"user", with_user, MODEL_CHAT},
    {"tools", with_tools, MODEL_CHAT},
    {"tool choice", with_tool_choice, MODEL_CHAT},
    {"one tool at a time", with_parallel, MODEL_CHAT},
    {"JSON", with_json, MODEL_CHAT},
    {"JSON schema", with_schema, MODEL_CHAT},
    {"image data", with_image_data, MODEL_CHAT},
    {"image URL", with_image_url, MODEL_CHAT},
    {"thinking effort", with_effort, MODEL_CHAT},
    {"thinking tokens", with_think_tokens, MODEL_CHAT},
    {"thinking off", with_no_thinking, MODEL_CHAT},
    {"embeddings", NULL, MODEL_EMBED},
    {"rerank", NULL, MODEL_RERANK},
    {"speech", NULL, MODEL_SPEECH},
    {"transcription", NULL, MODEL_TRANSCRIBE},
};
#define FEATURES (int)(sizeof features / sizeof *features)

const char *llm_matrix_feature(int i)
{
    return i >= 0 && i < FEATURES ? features[i].name : NULL;
}

/* The request that has nothing special. max_tokens: Anthropic must have it, which would be a note. */
static struct llm_request plain(void)
{
    static const struct llm_message hi[] = {{.role = {"user", 4}, .content = {"hi", 2}}};
    struct llm_request q = LLM_REQUEST;
    q.messages = hi;
    q.nmessages = 1;
    q.max_tokens = 4000;
    return q;
}

static const char *action_of(const struct buf *notes)
{
    cJSON *all = json_parse(buf_slice(notes), 1u << 16, "notes", NULL);
    bool dropped = all && strcmp(json_str(all->child, "action", ""), "dropped") == 0;
    cJSON_Delete(all);
    return dropped ? "dropped" : "mapped";
}

static const char *ask(const struct llm_provider *p, void (*with)(struct llm_request *q))
{
    struct model m = {.name = (char *)"m", .id = (char *)"m", .provider = p};
    struct llm_request q = plain();
    struct buf without = {0}, body = {0}, notes = {0};
    struct err err;
    p->chat_body(&q, &m, &without, &notes, &err);
    buf_clear(&notes);
    with(&q);
    bool refused = p->chat_body(&q, &m, &body, &notes, &err) < 0;
    const char *cell = refused                                           ? "refused"
                       : notes.len                                       ? action_of(&notes)
                       : slice_eq(buf_slice(&body), buf_slice(&without)) ? "ignored"
                                                                         : "yes";
    buf_release(&without);
    buf_release(&body);
    buf_release(&notes);
    return cell;
}

const char *llm_matrix_cell(const struct llm_provider *p, int i)
{
    const struct feature *f = &features[i];
    if (p->local) {
        bool has = f->kind == MODEL_CHAT ? p->chat_local && (!f->ask || f->ask == with_stream)
                                         : f->kind == MODEL_EMBED && p->embed_local;
        return has ? "yes" : "-";
    }
    if (!llm_provider_path(p, f->kind))
        return "-";
    return f->ask ? ask(p, f->ask) : "yes";
}

void llm_matrix(struct buf *to)
{
    buf_add_str(to, "| provider |");
    for (int i = 0; i < FEATURES; i++)
        buf_addf(to, " %s |", features[i].name);
    buf_add_str(to, "\n|---|");
    for (int i = 0; i < FEATURES; i++)
        buf_add_str(to, "---|");
    buf_add_char(to, '\n');
    for (int i = 0; llm_provider_at(i); i++) {
        buf_addf(to, "| %s |", llm_provider_at(i)->name);
        for (int k = 0; k < FEATURES; k++)
            buf_addf(to, " %s |", llm_matrix_cell(llm_provider_at(i), k));
        buf_add_char(to, '\n');
    }
}
