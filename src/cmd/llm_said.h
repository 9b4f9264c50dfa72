/* A list of messages as OpenAI clients send it, met with a session: what of it is new, and what the model is to be
 * sent.
 *
 * Such clients send the whole conversation each time; the session has its past already. New is what stands behind the
 * last answer in the list, or all of it when the session is new. System and developer messages are this call's
 * instructions: they stand in the place of the session's own prompt and are not kept. New answers of tools belong to
 * the calls that the session's last message made, and go to the model with them, even where the session's strategy would
 * leave the calls out: vendors refuse answers without them.
 *
 * LLM.RAW, LLM.CHAT and the HTTP door all begin here, and end with llm_said_answer.
 *
 * Thread: loop. */
#ifndef CMD_LLM_SAID_H
#define CMD_LLM_SAID_H

#include "llm/chat.h"
#include "session/context.h"

struct llm_said {
    struct session_msg *v; /* what is new; texts borrowed from the request or from here */
    size_t n;
    /* Its own. */
    struct buf *texts; /* of v: the text of content that came in parts */
    struct session *whole;
    struct session_context ctx;
    struct llm_message *messages;
};

/* q->messages becomes what is to be sent, and q->model the session's when it is empty; both borrow from s, q's own
 * messages and the session, which must not change before llm_*_start has copied them. was: NULL when there is no
 * session yet. now_ms: for ids. ERR_INVALID: nothing is new, or what is could not be kept. release is due in both
 * cases. */
int llm_said_build(struct llm_said *s, const struct session *was, struct llm_request *q,
                   const struct session_limits *limits, int64_t now_ms, struct err *err);
void llm_said_release(struct llm_said *s);

/* What was said, copied, with a place behind it for the answer. */
struct session_msg *llm_said_keep(const struct session_msg *v, size_t n);
void llm_said_free(struct session_msg *v, size_t n); /* n without the answer, which is borrowed; NULL allowed */

#define LLM_SAID_MARK 64
/* The answer as a message, borrowed from a and mark. why: NULL, or why it is not whole ("client", or
 * llm_cut_reason): then it is marked so in its META, and has neither tool calls nor signed thinking, which only a whole
 * answer has whole. */
struct session_msg llm_said_answer(const struct llm_reply *a, const char *why, char mark[LLM_SAID_MARK]);

#endif
