/* The context: what a model would be sent now. A pure function of the session and a strategy.
 *
 *   1. The system prompt first, when there is one; then, under SUMMARY, the stored summary as a second system message.
 *   2. Then the newest messages that fit, oldest of them first, with no gap between them.
 *   3. A turn with tool calls is one piece: the assistant's message and the tool messages right behind it that answer
 *      its calls go together or not at all. It counts as what it is made of. A turn whose calls are not all answered is
 *      left out, because providers refuse it; so is a tool message that answers nothing, and a second answer to one
 * call.
 *   4. LAST n and SUMMARY n: at most n messages, prompt and summary not counted. TOKENS n: at most n estimated tokens,
 *      the prompt counted; the prompt itself is sent even when it alone is over. ALL: everything.
 *
 * The views borrow from the session (the summary from the context): valid until either changes.
 * Thread: loop. */
#ifndef SESSION_CONTEXT_H
#define SESSION_CONTEXT_H

#include "base/buf.h"
#include "session/session.h"

struct session_context {
    struct session_msg *v; /* in the order to send; the prompt and the summary have no id */
    size_t n, cap;
    size_t left_out;    /* messages of the session that are not in it */
    uint64_t tokens;    /* estimated, of all in v */
    struct buf summary; /* the summary with its heading */
};

void session_context_build(struct session_context *c, const struct session *s, struct session_strategy st);
void session_context_release(struct session_context *c);

/* One message, and a list of them, as OpenAI's API and its many relatives take them: {"role", "content", "name",
 * "tool_calls", "tool_call_id"}; an empty content beside tool calls is null, content parts stand in its place. What a
 * model thought is not in it: OpenAI's API does not take it. */
void session_msg_json(const struct session_msg *m, struct buf *to);
void session_context_json(const struct session_context *c, struct buf *to);

#endif
