/* What the routes that call models share: who asks, what the call may do, the headers and errors of answers.
 *
 *   door_begin ─► door_may ─► door_caller ─► llm_*_start ─► door_started ─► … ─► door_reply or door_fail ─► door_end
 *
 * Each of the first four says false when it has replied an error; then only door_end is left. Thread: loop. */
#ifndef API_DOOR_H
#define API_DOOR_H

#include <stdbool.h>

#include "api/families.h"
#include "base/json.h"
#include "base/rng.h"
#include "llm/llm.h"

enum door_form { DOOR_OPENAI, DOOR_ANTHROPIC }; /* how errors are written */

struct door { /* one request; embedded in each route's own */
    struct httpd_req *r;
    struct user *user;    /* a reference */
    struct llm_call *llm; /* NULL: not started, or over: set it so in done() */
    enum door_form form;
    bool streams;                 /* a stream has begun */
    bool late;                    /* the answer was there: to ask again is another call, unless it has the same key */
    struct held *held;            /* its answer waits for the disk */
    bool gone;                    /* the client hung up: the call is being cancelled */
    void (*left)(struct door *d); /* what to do then; NULL: cancel the call */
    const char *metric;           /* the route, for metrics; static */
    char id[ID_LEN + 1];
};

bool door_begin(struct door *d, struct httpd_req *r, const char *metric, enum door_form form);
bool door_may(struct door *d, const char *command, struct slice key); /* key.p NULL: no session */
bool door_caller(struct door *d, struct llm_caller *to);              /* borrowed from d and its request */
/* call NULL: it could not be started, err says why. From here on a client that hangs up cancels it. */
bool door_started(struct door *d, struct llm_call *call, const struct err *err);
void door_waits(struct door *d); /* the same for who waits for another's call */

/* What d answers from now on leaves when the journal has released all that was appended until now (or a 503, or an
 * error's event, in its place when the disk refuses and the request has written). Before door_reply or door_fail, or
 * before the end of a stream; d may end as if nothing waited. */
void door_hold(struct door *d, bool wrote);

/* The headers of an answer; facts NULL: only what is known before it. */
void door_headers(struct door *d, const struct llm_facts *facts);
void door_reply(struct door *d, const struct llm_facts *facts, const char *type, struct buf *body); /* body is taken */
void door_fail(struct door *d, const struct err *err, const struct llm_facts *facts, const char *param);
/* The same as one JSON text, for the middle of a stream. Returns the status that it would have had. */
int door_error_json(struct door *d, const struct err *err, const struct llm_facts *facts, const char *param,
                    struct buf *to);
/* An event of the stream; and one that says an error. */
void door_event(struct door *d, struct slice type, struct slice json);
void door_error_event(struct door *d, const struct err *err, const struct llm_facts *facts);
/* The error of a request that is not served, in either form; id: of the request, Anthropic's form tells it, or NULL. */
struct refusal {
    int status;
    const char *type, *code; /* OpenAI's words; Anthropic's follows from the status */
    struct slice message;
};
void door_refusal(struct buf *to, const struct refusal *no, bool anthropic, const char *id);
bool door_refuse(struct door *d, int status, const char *type, const char *code, const char *message); /* false */
void door_end(struct door *d);

/* The body as JSON, or NULL when an error was replied. cJSON_Delete it. */
cJSON *door_json(struct door *d);

#endif
