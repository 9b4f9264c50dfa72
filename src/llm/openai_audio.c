/* OpenAI's speech and transcription. A transcription is a multipart body: its boundary is one that its bytes do not
 * have, found by trying. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/num.h"
#include "llm/body.h"
#include "llm/openai.h"
#include "llm/openai_parse.h"

int openai_speech_body(const struct llm_speech_request *q, const struct model *m, struct buf *to, struct buf *notes,
                       struct err *err)
{
    struct body b = {.to = to, .notes = notes};
    body_text(&b, "model", slice_str(m->id));
    body_text(&b, "input", q->text);
    if (q->voice.len)
        body_text(&b, "voice", q->voice);
    if (q->format.len)
        body_text(&b, "response_format", q->format);
    if (q->instructions.len)
        body_text(&b, "instructions", q->instructions);
    body_real(&b, "speed", q->speed);
    struct body_params params;
    int r = body_params_read(&params, (struct slice){0}, m, err);
    if (r == 0) {
        body_members(&b, params.models, NULL);
        buf_add_char(to, '}');
        if (!body_has(&b, "voice"))
            r = err_set(err, ERR_INVALID, "speech needs a voice: say one, or put it in the model's PARAMS");
    }
    body_params_release(&params);
    return r;
}

static void find_boundary(struct slice audio, char boundary[32])
{
    for (unsigned i = 0;; i++) {
        snprintf(boundary, 32, "skald-part-%08x", i * 2654435761u + 0x5ca1d);
        if (audio.len == 0 || !memmem(audio.p, audio.len, boundary, strlen(boundary)))
            return;
    }
}

static void part(struct buf *to, const char *boundary, const char *name, struct slice value)
{
    if (value.len == 0)
        return;
    buf_addf(to, "--%s\r\nContent-Disposition: form-data; name=\"%s\"\r\n\r\n", boundary, name);
    buf_add(to, value.p, value.len);
    buf_add_str(to, "\r\n");
}

/* A file name between quotes of a header. */
static void add_filename(struct buf *to, struct slice name)
{
    for (size_t i = 0; i < name.len && i < 200; i++) {
        unsigned char c = (unsigned char)name.p[i];
        buf_add_char(to, c < 0x20 || c == '"' || c == '\\' || c >= 0x7f ? '_' : (char)c);
    }
}

static bool holds(struct slice text, const char *boundary)
{
    return text.len && memmem(text.p, text.len, boundary, strlen(boundary));
}

/* Strings and numbers of the model's PARAMS are parts too. */
static void write_params(struct buf *to, const char *boundary, const cJSON *o)
{
    const cJSON *v;
    cJSON_ArrayForEach(v, o)
    {
        char number[NUM_DOUBLE_MAX];
        if (cJSON_IsNumber(v))
            part(to, boundary, v->string, slice_of(number, num_from_double(number, v->valuedouble)));
        else if (cJSON_IsString(v))
            part(to, boundary, v->string, slice_str(v->valuestring));
    }
}

int openai_transcribe_body(const struct llm_transcribe_request *q, const struct model *m, struct buf *to,
                           struct buf *content_type, struct buf *notes, struct err *err)
{
    char boundary[32], number[NUM_DOUBLE_MAX];
    struct body_params params;
    find_boundary(q->audio, boundary);
    if (holds(q->prompt, boundary) || holds(q->language, boundary))
        return err_set(err, ERR_INVALID, "the prompt of a transcription cannot hold its part boundary");
    buf_addf(content_type, "multipart/form-data; boundary=%s", boundary);
    part(to, boundary, "model", slice_str(m->id));
    part(to, boundary, "language", q->language);
    part(to, boundary, "prompt", q->prompt);
    part(to, boundary, "response_format", q->format);
    if (isfinite(q->temperature))
        part(to, boundary, "temperature", slice_of(number, num_from_double(number, q->temperature)));
    int r = body_params_read(&params, (struct slice){0}, m, err);
    if (r == 0)
        write_params(to, boundary, params.models);
    body_params_release(&params);
    buf_addf(to, "--%s\r\nContent-Disposition: form-data; name=\"file\"; filename=\"", boundary);
    add_filename(to, q->filename.len ? q->filename : SLICE("audio.wav"));
    buf_add_str(to, "\"\r\nContent-Type: application/octet-stream\r\n\r\n");
    buf_add(to, q->audio.p, q->audio.len);
    buf_addf(to, "\r\n--%s--\r\n", boundary);
    return r;
}

int openai_transcribe_whole(const struct llm_provider *p, struct slice body, struct slice type, struct llm_answer *a,
                            struct err *err)
{
    if (type.len == 0 || !memmem(type.p, type.len, "json", 4)) {
        buf_add(&a->text, body.p, body.len);
        return 0;
    }
    cJSON *root = json_parse(body, LLM_TEXT_MAX * 4, "reply", err);
    if (!root)
        return err_set(err, ERR_UPSTREAM, "the provider's transcription is not the JSON that it says it is");
    const cJSON *u = cJSON_GetObjectItemCaseSensitive(root, "usage");
    double in = json_num(u, "input_tokens", -1), out = json_num(u, "output_tokens", -1);
    int r = openai_hidden_error(p, root, a, err);
    if (r == 0 && !json_str(root, "text", NULL))
        r = err_set(err, ERR_UPSTREAM, "the provider's transcription has no text");
    buf_add_str(&a->text, json_str(root, "text", ""));
    a->tokens_in = in >= 0 && in < 1e15 ? (int64_t)in : a->tokens_in;
    a->tokens_out = out >= 0 && out < 1e15 ? (int64_t)out : a->tokens_out;
    cJSON_Delete(root);
    return r;
}
