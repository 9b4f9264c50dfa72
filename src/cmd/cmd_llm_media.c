/* Calls of models that do not chat: LLM.RERANK, LLM.SPEAK, LLM.TRANSCRIBE. The client is parked until the one answer is
 * there; when it goes away the call is cancelled. */
#include "cmd/cmd_llm.h"

#include <math.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "cmd/families.h"
#include "cmd/llm_options.h"
#include "cmd/llm_turn.h"
#include "cmd/outbound.h"
#include "llm/llm.h"

struct media {
    struct call *call;
    struct llm_call *llm;
    bool meta, scores;
    int first; /* RERANK: where the documents begin in argv */
};

static struct media *media_create(const struct llm_tail *tail)
{
    struct media *m = mem_zero(sizeof *m);
    m->meta = tail->meta;
    m->scores = tail->scores;
    return m;
}

static void on_cancel(struct call *c, void *arg)
{
    llm_cancel(((struct media *)arg)->llm);
}

/* Parks the client, or says why there is no call. */
static void started(struct media *m, struct call *c, struct llm_call *llm, const struct err *err)
{
    if (!llm) {
        call_err(c, err);
        mem_free(m);
        return;
    }
    m->llm = llm;
    m->call = call_park(c, on_cancel, m);
}

static void ended(struct media *m)
{
    call_resume(m->call);
    mem_free(m);
}

static bool model_option(const struct call *c, struct slice *model)
{
    bool given = c->argc > 3 && slice_is(call_arg(c, 1), "model");
    *model = given ? call_arg(c, 2) : SLICE("");
    return given;
}

/* ---- LLM.RERANK ---- */

static void reply_ranks(struct media *m, const struct llm_ranks *ranks)
{
    struct reply *r = m->call->reply;
    bool pairs = m->scores && r->resp == 3;
    reply_array(r, (size_t)ranks->n * (m->scores && !pairs ? 2 : 1));
    for (int i = 0; i < ranks->n; i++) {
        if (pairs)
            reply_array(r, 2);
        reply_bulk(r, call_arg(m->call, m->first + ranks->v[i].doc));
        if (m->scores)
            reply_double(r, ranks->v[i].score);
    }
}

static void reply_ranks_map(struct media *m, const struct llm_ranks *ranks)
{
    struct reply *r = m->call->reply;
    size_t place = reply_defer(r), n = 1;
    reply_str(r, "results");
    reply_array(r, (size_t)ranks->n);
    for (int i = 0; i < ranks->n; i++) {
        reply_map(r, 3);
        reply_field_int(r, "index", ranks->v[i].doc);
        reply_str(r, "score");
        reply_double(r, ranks->v[i].score);
        reply_field_bulk(r, "document", call_arg(m->call, m->first + ranks->v[i].doc));
    }
    n += llm_facts_reply(r, &ranks->facts);
    reply_defer_map(r, place, n);
}

static void reranked(void *arg, const struct llm_ranks *ranks, const struct err *err)
{
    struct media *m = arg;
    if (err)
        call_err(m->call, err);
    else if (m->meta)
        reply_ranks_map(m, ranks);
    else
        reply_ranks(m, ranks);
    ended(m);
}

/* The documents that answer the query best, the best first, at most COUNT of them. WITHSCORES puts the model's score
 * behind each; WITHMETA tells where each stood among the documents, beside the facts of the call.
 *
 * > LLM.RERANK MODEL builtin/hash "where is Delft" COUNT 1 "in Holland" "in the sea"
 * < (error) STATE *
 * > LLM.RERANK "where is Delft" COUNT none "in Holland"
 * < (error) INVALID COUNT must be a whole number from 1 to *
 */
static void rerank(struct call *c)
{
    struct llm_rerank_request q = {.caller = LLM_REQUEST.caller};
    struct llm_tail tail = {.takes = LLM_TAIL_SCORES | LLM_TAIL_META};
    struct err err;
    int at = model_option(c, &q.model) ? 3 : 1, last = c->argc;
    if (last - at < 4 || !slice_is(call_arg(c, at + 1), "count")) {
        call_syntax(c);
        return;
    }
    if (!llm_count_parse(c, call_arg(c, at + 2), LLM_RERANK_MAX, &q.count) ||
        !llm_tail_parse(c, at + 4, &last, &tail, &q.caller))
        return;
    q.query = call_arg(c, at);
    q.docs = c->argv + at + 3;
    q.ndocs = last - at - 3;
    llm_caller_fill(c, &q.caller);
    struct media *m = media_create(&tail);
    m->first = at + 3;
    started(m, c, llm_rerank_start(outbound_llm(), &q, reranked, m, &err), &err);
}

/* ---- LLM.SPEAK and LLM.TRANSCRIBE ---- */

static void heard(struct media *m, const struct llm_media *media, const char *what, struct slice plain)
{
    struct reply *r = m->call->reply;
    if (!m->meta) {
        reply_bulk(r, plain);
        return;
    }
    size_t place = reply_defer(r), n = 3;
    reply_field_bulk(r, what, plain);
    reply_field_bulk(r, "type", media->type);
    reply_field_int(r, "bytes", (int64_t)media->body.len);
    n += llm_facts_reply(r, &media->facts);
    reply_defer_map(r, place, n);
}

static void spoken(void *arg, const struct llm_media *media, const struct err *err)
{
    struct media *m = arg;
    if (err)
        call_err(m->call, err);
    else
        heard(m, media, "audio", media->body);
    ended(m);
}

static void transcribed(void *arg, const struct llm_media *media, const struct err *err)
{
    struct media *m = arg;
    if (err)
        call_err(m->call, err);
    else
        heard(m, media, "text", media->text.len ? media->text : media->body);
    ended(m);
}

struct word {
    const char *word;
    struct slice *to;
};

/* Options behind the one thing that was given; 1: the end of them, 0: the word at *i has no place in `words`. */
static bool text_options(struct call *c, int i, const struct word *words, size_t n, double *number, const char *name,
                         struct llm_tail *tail, struct llm_caller *caller)
{
    int last = c->argc;
    if (!llm_tail_parse(c, i, &last, tail, caller))
        return false;
    for (; i < last; i += 2) {
        size_t k = 0;
        if (i + 1 < last && slice_is(call_arg(c, i), name)) {
            if (!llm_number_parse(c, call_arg(c, i + 1), name, 0, 4, number))
                return false;
            continue;
        }
        while (k < n && !(i + 1 < last && slice_is(call_arg(c, i), words[k].word)))
            k++;
        if (k == n || !utf8_valid(call_arg(c, i + 1))) {
            struct slice o = call_arg(c, k == n ? i : i + 1);
            reply_errorf(c->reply, k == n ? "INVALID unknown option '%.*s'" : "INVALID '%.*s' is not valid UTF-8",
                         (int)utf8_cut(o, 64), o.p);
            return false;
        }
        *words[k].to = call_arg(c, i + 1);
    }
    return true;
}

/* A text's speech: the audio's bytes.
 *
 * > LLM.SPEAK "Good morning" MODEL builtin/hash
 * < (error) INVALID unknown option 'MODEL'
 * > LLM.SPEAK MODEL builtin/hash "Good morning" VOICE alloy FORMAT wav
 * < (error) STATE *
 */
static void speak(struct call *c)
{
    struct llm_speech_request q = {.speed = NAN, .caller = LLM_REQUEST.caller};
    const struct word words[] = {{"voice", &q.voice}, {"format", &q.format}, {"instructions", &q.instructions}};
    struct llm_tail tail = {.takes = LLM_TAIL_META};
    struct err err;
    int at = model_option(c, &q.model) ? 3 : 1;
    q.text = call_arg(c, at);
    if (!text_options(c, at + 1, words, 3, &q.speed, "speed", &tail, &q.caller))
        return;
    llm_caller_fill(c, &q.caller);
    struct media *m = media_create(&tail);
    started(m, c, llm_speech_start(outbound_llm(), &q, spoken, m, &err), &err);
}

/* A recording's text; FORMAT srt or vtt gives subtitles, verbose_json all that the vendor says.
 *
 * > LLM.TRANSCRIBE MODEL builtin/hash RIFF LANG nl
 * < (error) STATE *
 */
static void transcribe(struct call *c)
{
    struct llm_transcribe_request q = {.temperature = NAN, .caller = LLM_REQUEST.caller};
    const struct word words[] = {
        {"lang", &q.language}, {"prompt", &q.prompt}, {"format", &q.format}, {"filename", &q.filename}};
    struct llm_tail tail = {.takes = LLM_TAIL_META};
    struct err err;
    int at = model_option(c, &q.model) ? 3 : 1;
    q.audio = call_arg(c, at);
    if (!text_options(c, at + 1, words, 4, &q.temperature, "temperature", &tail, &q.caller))
        return;
    llm_caller_fill(c, &q.caller);
    struct media *m = media_create(&tail);
    started(m, c, llm_transcribe_start(outbound_llm(), &q, transcribed, m, &err), &err);
}

/* ---- rows ---- */

#define CALL .flags = CMD_MODEL | CMD_BLOCKING, .acl = ACL_LLM, .since = "1.0.0", .complexity = "one call of the model"
#define TAIL " [PRIORITY n] [TIMEOUT ms] [WITHMETA]"

static const struct cmd rows[] = {
    {.name = "llm.rerank",
     .run = rerank,
     .arity = -5,
     CALL,
     .syntax = "[MODEL name] query COUNT count document... [WITHSCORES]" TAIL,
     .summary = "The documents that answer a query best."},
    {.name = "llm.speak",
     .run = speak,
     .arity = -2,
     CALL,
     .syntax = "[MODEL name] text [VOICE voice] [FORMAT format] [SPEED speed:double] [INSTRUCTIONS text]" TAIL,
     .summary = "A text's speech."},
    {.name = "llm.transcribe",
     .run = transcribe,
     .arity = -2,
     CALL,
     .syntax = "[MODEL name] audio [LANG language] [PROMPT text] [FORMAT format] [TEMPERATURE temperature] "
               "[FILENAME name]" TAIL,
     .summary = "A recording's text."},
};

const struct cmd_family llm_media_family = CMD_FAMILY("llm", rows);
