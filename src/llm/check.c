#include "llm/check.h"

#include "base/json.h"
#include "base/utf8.h"

static int check_json(struct slice text, const char *what, bool array, struct err *err)
{
    if (text.len == 0)
        return 0;
    cJSON *v = json_parse(text, LLM_BODY_MAX, what, err);
    bool right = array ? cJSON_IsArray(v) : cJSON_IsObject(v);
    cJSON_Delete(v);
    if (!v)
        return ERR_INVALID;
    return right ? 0 : err_set(err, ERR_INVALID, "%s must be a JSON %s", what, array ? "array" : "object");
}

static int check_text(struct slice text, const char *what, struct err *err)
{
    return utf8_valid(text) ? 0 : err_set(err, ERR_INVALID, "the %s is not valid UTF-8", what);
}

static bool is_role(struct slice role)
{
    static const char *const roles[] = {"system", "developer", "user", "assistant", "tool", "function"};
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
        if (slice_eq(role, slice_str(roles[i])))
            return true;
    return false;
}

static int check_message(const struct llm_message *m, struct err *err)
{
    if (!is_role(m->role))
        return err_set(err, ERR_INVALID, "the role of a message must be system, user, assistant or tool");
    int r = check_text(m->content, "content of a message", err);
    r = r ? r : check_text(m->name, "name in a message", err);
    r = r ? r : check_json(m->parts, "the parts of a message", true, err);
    return r ? r : check_json(m->tool_calls, "the tool calls of a message", true, err);
}

int check_chat(const struct llm_request *q, struct err *err)
{
    int r = check_text(q->system, "system prompt", err);
    for (int i = 0; r == 0 && i < q->nmessages; i++)
        r = check_message(&q->messages[i], err);
    if (r == 0 && q->nmessages == 0)
        r = err_set(err, ERR_INVALID, "there is no message to send to the model");
    r = r ? r : check_json(q->schema, "the schema", false, err);
    r = r ? r : check_json(q->tools, "tools", true, err);
    return r ? r : check_json(q->params, "PARAMS", false, err);
}

static int check_texts(const struct slice *v, int n, const char *what, struct err *err)
{
    for (int i = 0; i < n; i++) {
        if (v[i].len == 0)
            return err_set(err, ERR_INVALID, "an empty text cannot be %s", what);
        if (!utf8_valid(v[i]))
            return err_set(err, ERR_INVALID, "a text to be %s is not valid UTF-8", what);
    }
    return 0;
}

int check_embed(const struct llm_embed_request *q, struct err *err)
{
    if (q->ntexts < 1 || q->ntexts > LLM_EMBED_MAX)
        return err_set(err, ERR_INVALID, "1 to %d texts can be embedded in one call, not %d", LLM_EMBED_MAX, q->ntexts);
    return check_texts(q->texts, q->ntexts, "embedded", err);
}

int check_rerank(const struct llm_rerank_request *q, struct err *err)
{
    if (q->ndocs < 1 || q->ndocs > LLM_RERANK_MAX)
        return err_set(err, ERR_INVALID, "1 to %d documents can be ranked in one call, not %d", LLM_RERANK_MAX,
                       q->ndocs);
    int r = check_texts(&q->query, 1, "ranked for", err);
    return r ? r : check_texts(q->docs, q->ndocs, "ranked", err);
}

int check_speech(const struct llm_speech_request *q, struct err *err)
{
    int r = check_texts(&q->text, 1, "spoken", err);
    r = r ? r : check_text(q->voice, "voice", err);
    return r ? r : check_text(q->instructions, "instructions of a speech", err);
}

int check_transcribe(const struct llm_transcribe_request *q, struct err *err)
{
    if (q->audio.len == 0)
        return err_set(err, ERR_INVALID, "there is no audio to transcribe");
    if (q->audio.len > LLM_BODY_MAX - (1u << 20))
        return err_set(err, ERR_INVALID, "audio of more than %u MB cannot be sent to a model",
                       (LLM_BODY_MAX >> 20) - 1);
    int r = check_text(q->prompt, "prompt", err);
    return r ? r : check_text(q->language, "language", err);
}
