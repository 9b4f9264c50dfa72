/* /v1/audio/speech: text to sound; /v1/audio/transcriptions: a form with a file, to text. */
#include <math.h>
#include <string.h>

#include "api/once.h"
#include "base/mem.h"
#include "base/num.h"
#include "llm/wire_openai.h"
#include "net/multipart.h"

static void audio_free(void *own)
{
    struct once *o = own;
    door_end(&o->d);
    mem_free(o);
}

/* With the media type that the vendor said, or one that says nothing. */
static void on_done(void *arg, const struct llm_media *m, const struct err *failed)
{
    struct once *o = arg;
    char type[100] = "application/octet-stream";
    struct buf body = {0};
    if (failed) {
        once_fail(o, &m->facts, failed);
        return;
    }
    if (m->type.len && m->type.len < sizeof type) {
        memcpy(type, m->type.p, m->type.len);
        type[m->type.len] = 0;
    }
    buf_add(&body, m->body.p, m->body.len);
    once_reply(o, &m->facts, type, &body);
}

static struct once *audio_create(void)
{
    struct once *o = mem_zero(sizeof *o);
    o->release = audio_free;
    return o;
}

/* True here and below: o is on its way, or gone. */
static bool start_speech(struct once *o, const struct llm_speech_request *q)
{
    struct slice body = httpd_body(o->d.r);
    struct err err;
    enum once_state state = once_begin(o, &body, 1);
    if (state != ONCE_GO)
        return state == ONCE_TAKEN;
    struct llm_call *call = llm_speech_start(api_gate->llm(), q, on_done, o, &err);
    return once_started(o, call, &err);
}

static bool ask_speech(struct once *o)
{
    struct wire_speech w = {0};
    struct err err;
    bool ok = false;
    if (wire_openai_speech(httpd_body(o->d.r), &w, &err) < 0)
        door_fail(&o->d, &err, NULL, w.body.param);
    else if (door_caller(&o->d, &w.q.caller))
        ok = start_speech(o, &w.q);
    wire_speech_release(&w);
    return ok;
}

static void speech(struct httpd_req *r)
{
    struct once *o = audio_create();
    if (!door_begin(&o->d, r, "speech", DOOR_OPENAI) || !door_may(&o->d, "llm.speak", (struct slice){0}) ||
        !ask_speech(o))
        audio_free(o);
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

/* The parts and not the body are what is asked: clients draw a new boundary for each try. */
static enum once_state begin_form(struct once *o, const struct multipart *parts, int n)
{
    struct slice request[3 * MULTIPART_PARTS];
    for (int i = 0; i < n; i++) {
        request[3 * i] = parts[i].name;
        request[3 * i + 1] = parts[i].filename;
        request[3 * i + 2] = parts[i].data;
    }
    return once_begin(o, request, 3 * n);
}

static bool ask_transcription(struct once *o)
{
    struct multipart parts[MULTIPART_PARTS];
    struct llm_transcribe_request q = {.caller.priority = LLM_PRIORITY};
    struct err err;
    const char *param = NULL;
    int n;
    if (multipart_parse(httpd_header(o->d.r, "content-type"), httpd_body(o->d.r), parts, &n, &err) < 0 ||
        read_form(parts, n, &q, &param, &err) < 0) {
        door_fail(&o->d, &err, NULL, param);
        return false;
    }
    if (!door_caller(&o->d, &q.caller))
        return false;
    enum once_state state = begin_form(o, parts, n);
    if (state != ONCE_GO)
        return state == ONCE_TAKEN;
    struct llm_call *call = llm_transcribe_start(api_gate->llm(), &q, on_done, o, &err);
    return once_started(o, call, &err);
}

static void transcriptions(struct httpd_req *r)
{
    struct once *o = audio_create();
    if (!door_begin(&o->d, r, "transcriptions", DOOR_OPENAI) || !door_may(&o->d, "llm.transcribe", (struct slice){0}) ||
        !ask_transcription(o))
        audio_free(o);
}

static const struct api_route rows[] = {
    {"POST", "/v1/audio/speech", speech},
    {"POST", "/v1/audio/transcriptions", transcriptions},
};

const struct api_family api_audio = API_FAMILY(rows);
