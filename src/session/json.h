/* Sessions as JSON: SESSION.EXPORT and SESSION.IMPORT.
 *
 *   {
 *     "format": "skald.session", "version": 1,
 *     "created": ms, "updated": ms,              milliseconds since 1970
 *     "last_id": "<ms>-<seq>",                   of any message ever added
 *     "title": "…", "system": "…", "model": "…", "agent": "…", "meta": {…},
 *     "context": "LAST 20",                      ALL, LAST n, TOKENS n or SUMMARY n
 *     "summary": "…", "summary_to": "<ms>-<seq>",
 *     "variables": {"name": "value", …},
 *     "messages": [
 *       {"id": "<ms>-<seq>", "role": "user", "content": "…", "name": "…", "tool_calls": […], "tool_call_id": "…",
 *        "meta": {…}, "content_parts": […], "reasoning": "…", "thinking": […]}, …
 *     ]
 *   }
 *
 * A message is what OpenAI's chat API calls a message, with our id and the members from meta on beside it. Everything
 * is optional when it is read except a message's role (and its content, unless it has tool calls), so that {"messages":
 * […]} from elsewhere is enough: format and version are checked when they are there, messages without an id get one,
 * missing times are now. null counts as absent. Members that are not in this list are refused, so that nothing is lost
 * in silence.
 *
 * Thread: loop. */
#ifndef SESSION_JSON_H
#define SESSION_JSON_H

#include "session/session.h"

/* ERR_STATE when the text would be larger than to->max. */
int session_export(const struct session *s, struct buf *to, struct err *err);

/* A new session, the caller's; NULL with err set (ERR_INVALID with the path of what is wrong, "messages[3].role …").
 * text_max bounds the JSON itself. */
struct session *session_import(struct slice json, size_t text_max, int64_t now_ms, const struct session_limits *lim,
                               struct err *err);

#endif
