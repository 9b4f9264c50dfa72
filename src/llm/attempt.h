/* An attempt: one transfer to one model. It writes what the model's vendor understands, sends it, and reads the answer.
 *
 * Whether there is another attempt, with which key and when, is the call's business (decide.c). An attempt ends once,
 * by end(); what came of it stands in the struct until attempt_forget. Used again and again by one call.
 *
 * Thread: loop. */
#ifndef LLM_ATTEMPT_H
#define LLM_ATTEMPT_H

#include "io/job.h"
#include "llm/copy.h"
#include "llm/echo.h"
#include "llm/provider.h"
#include "net/http_client.h"

struct attempt {
    /* for good, by attempt_init */
    llm_delta_fn *delta; /* of a stream, or of a whole answer where a stream was asked for */
    void (*end)(void *arg);
    void *arg;
    bool stream;
    bool probe; /* a check of speech or transcription: it is only seen that the vendor is there */

    /* what is sent: by attempt_write */
    const struct llm_provider *provider; /* NULL: nothing was written yet */
    char *model, *model_id;              /* names: ours, the vendor's */
    const struct llm_asked *asked;
    int count;            /* texts or documents in this transfer */
    struct buf url, body; /* kept: a retry sends them again */
    struct buf content_type, notes, headers;

    struct echo echo; /* of the key */

    /* under way */
    struct http_call *http;
    struct job job;
    bool running, as_stream;
    struct llm_stream *parser;
    struct buf whole; /* a reply that turned out to be no stream */
    int64_t until_ms, started_us;
    int said_ms;

    /* what came of it */
    struct llm_answer answer;
    struct slice media, type; /* of speech and transcription: during end() only */
    struct buf request_id;
    struct err err;          /* code 0: the answer is whole */
    enum llm_class failure;  /* LLM_FINE with an error: nothing that another attempt would change */
    bool sent;               /* all of the request went out */
    bool timed_out, tell_no; /* tell_no: the vendor says that trying again is of no use */
    bool stale;              /* a kept connection ended before it answered: it may just have grown old */
    int64_t retry_after_ms;  /* as the vendor asks; -1: it does not */
    int64_t us;
};

void attempt_init(struct attempt *a, llm_delta_fn *delta, void (*end)(void *arg), void *arg);
void attempt_release(struct attempt *a); /* not while it runs */

/* Writes URL and body. 0, or an error of the provider's or of what was asked. `asked` is borrowed until the attempt is
 * over. */
int attempt_write(struct attempt *a, const struct model *m, const struct llm_asked *asked, struct err *err);
/* Sends it; the key is copied and wiped at the end. until_ms (monotonic) bounds it, and said_ms is what the sentence
 * about that says. 0, or an error; end() does not come then. */
int attempt_start(struct attempt *a, struct http_client *http, struct job_pool *jobs, struct slice key,
                  int64_t until_ms, int said_ms, struct err *err);
bool attempt_hold(struct attempt *a, bool on); /* see llm_hold */
void attempt_cancel(struct attempt *a);        /* end() comes later */
/* Forgets what came, keeps what is to be sent. */
void attempt_forget(struct attempt *a);

#endif
