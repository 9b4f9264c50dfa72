/* /v1/audio/speech: text to sound; /v1/audio/transcriptions: a form with a file, to text. */
#include <math.h>
#include <string.h>

#include "api/door.h"
#include "base/mem.h"
#include "base/num.h"
#include "llm/wire_openai.h"
#include "net/multipart.h"

struct audio {
    struct door d;
};

static void audio_free(struct audio *a)
{
    door_end(&a->d);
    mem_free(a);
}

/* A media type as the vendor said it, or one that says nothing. */
static void reply_media(struct audio *a, const struct llm_media *m)
{
    char type[100] = "application/octet-stream";
    struct buf body = {0};
    if (m->type.len && m->type.len < sizeof type) {
        memcpy(type, m->type.p, m->type.len);
        type[m->type.len] = 0;
    }
    buf_add(&body, m->body.p, m->body.len);
    door_reply(&a->d, &m->facts, type, &body);
}

static void on_done(void *arg, const struct llm_media *m, const struct err *failed)
{
    struct audio *a = arg;
    a->d.llm = NULL;
    if (failed)
        door_fail(&a->d, failed, &m->facts, NULL);
    else
        reply_media(a, m);
    audio_free(a);
}

static bool ask_speech(struct audio *a)
{
    struct wire_speech w = {0};
    struct err err;
    bool ok = false;
    if (wire_openai_speech(httpd_body(a->d.r), &w, &err) < 0) {
        door_fail(&a->d, &err, NULL, w.body.param);
    } else if (door_caller(&a->d, &w.q.caller)) {
        struct llm_call *call = llm_speech_start(api_gate->llm(), &w.q, on_done, a, &err);
        ok = door_started(&a->d, call, &err);
    }
    wire_speech_release(&w);
    return ok;
}

static void speech(struct httpd_req *r)
{
    struct audio *a = mem_zero(sizeof *a);
    if (!door_begin(&a->d, r, "speech", DOOR_OPENAI) || !door_may(&a->d, "llm.speak", (struct slice){0}) ||
        !ask_speech(a))
        audio_free(a);
}

static struct slice field(const struct multipart *parts, int n, const char *name)
{
    const struct multipart *p = multipart_find(parts, n, name);
    return p ? p->data : SLICE("");
}

static int read_form(const struct multipart *parts, int n, struct llm_transcribe_request *q, const char **param,
                     struct err *err)
{
    const struct multipart *file = multipart_find(parts, n, "file");
    struct slice temperature = field(parts, n, "temperature");
    q->model = field(parts, n, "model");
    q->language = field(parts, n, "language");
    q->prompt = field(parts, n, "prompt");
    q->format = field(parts, n, "response_format");
    q->temperature = NAN;
    *param = "file";
    if (!file || !file->data.len)
        return err_set(err, ERR_INVALID, "file must hold the audio");
    q->audio = file->data;
    q->filename = file->filename;
    *param = "temperature";
    if (temperature.len && !num_to_double(temperature, &q->temperature))
        return err_set(err, ERR_INVALID, "temperature must be a number");
    *param = "stream";
    if (slice_is(field(parts, n, "stream"), "true"))
        return err_set(err, ERR_INVALID, "transcriptions are not streamed here");
    return 0;
}

static bool ask_transcription(struct audio *a)
{
    struct multipart parts[MULTIPART_PARTS];
    struct llm_transcribe_request q = {.caller.priority = LLM_PRIORITY};
    struct err err;
    const char *param = NULL;
    int n;
    if (multipart_parse(httpd_header(a->d.r, "content-type"), httpd_body(a->d.r), parts, &n, &err) < 0 ||
        read_form(parts, n, &q, &param, &err) < 0) {
        door_fail(&a->d, &err, NULL, param);
        return false;
    }
    if (!door_caller(&a->d, &q.caller))
        return false;
    struct llm_call *call = llm_transcribe_start(api_gate->llm(), &q, on_done, a, &err);
    return door_started(&a->d, call, &err);
}

static void transcriptions(struct httpd_req *r)
{
    struct audio *a = mem_zero(sizeof *a);
    if (!door_begin(&a->d, r, "transcriptions", DOOR_OPENAI) || !door_may(&a->d, "llm.transcribe", (struct slice){0}) ||
        !ask_transcription(a))
        audio_free(a);
}

static const struct api_route rows[] = {
    {"POST", "/v1/audio/speech", speech},
    {"POST", "/v1/audio/transcriptions", transcriptions},
};

const struct api_family api_audio = API_FAMILY(rows);
