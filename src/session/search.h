/* Finding messages by words: the messages that hold words of the query, best first.
 *
 * Ranked as BM25 ranks (rare words count more, repetition counts less and less), without its length term: a turn of a
 * conversation is short. Words compare with case folded; a CJK character is a word. Stop words of the query are ignored
 * unless it has no others.
 *
 * Reads every message once: about 100 MB of text a second. A worker may do it on a session of its own (session_clone
 * shares the messages, so that is cheap). Thread: whoever has the session to itself. */
#ifndef SESSION_SEARCH_H
#define SESSION_SEARCH_H

#include "session/session.h"

struct session_hit {
    uint32_t index; /* session_at */
    double score;
};

#define SESSION_QUERY_WORDS 16 /* distinct words of a query that count */

/* Writes up to k hits; returns how many. `stop`, when given, is asked now and then; true ends the search with none. */
size_t session_search(const struct session *s, struct slice query, struct session_hit *hits, size_t k,
                      bool (*stop)(void *arg), void *arg);

#endif
