/* The progress of a call that takes long, for a client that wants to follow it: LLM.CHAT, LLM.ASK, FLOW.RUN.
 *
 * Two ways, decided once when the call begins:
 *
 *   push     STREAM on a RESP3 connection: each piece is a push ["llm.delta", call id, text] before the final reply.
 *            Other things than text are pushes of their own: ["llm.reasoning", call id, text] and
 *            ["llm.tool", call id, index, id, name, arguments], whose id and name are empty but in the first of a call.
 *   stream   ASYNC, or STREAM elsewhere: entries of the stream key call:<id> in the call's database, which any client
 * can follow with XREAD. Fields: type, then what belongs to it:
 *
 *              type begin  command <name>
 *              type node   node <id> kind <kind> state <state>       (flows)
 *              type delta  text <piece>
 *              type reasoning  text <piece>
 *              type tool   index <n> id <id> name <name> arguments <piece>
 *              type done   text <answer> [further fields]
 *              type error  error <"CLASS sentence"> [further fields]
 *
 *            With STREAM the pieces are also published on the channel call:<id>. The key lives for an hour after the
 * last word. Entries are effects like any XADD's: they are journaled and replicated.
 *
 * Embedded by value in the owner of the call; nothing to release. Thread: loop. */
#ifndef CMD_CALLSTREAM_H
#define CMD_CALLSTREAM_H

#include <stdbool.h>

#include "base/err.h"
#include "base/rng.h"
#include "base/slice.h"
#include "cmd/call.h"

enum callstream_mode { CALLSTREAM_OFF, CALLSTREAM_PUSH, CALLSTREAM_STREAM };

struct callstream {
    enum callstream_mode mode;
    bool publish;
    struct db *db;
    char id[ID_LEN + 1];
};

/* c: the call, before or after it was parked. id: the call's id (ID_LEN bytes). stream, async: the options given.
 * Neither: everything below does nothing. */
void callstream_begin(struct callstream *s, const struct call *c, const char *id, bool stream, bool async);

/* c: the parked call, for pushes; NULL under ASYNC. */
void callstream_piece(struct callstream *s, struct call *c, struct slice text);

/* A piece that is no text: both ways, the push being llm.<type> and the values of the words. */
void callstream_event(struct callstream *s, struct call *c, const char *type, int nwords, const struct slice *words);

/* One entry of another type: words are field, value, field, value, ... Streams only. */
void callstream_note(struct callstream *s, const char *type, int nwords, const struct slice *words);

/* The last entry: `error` when err is not NULL, else `done` with the answer; then further words. Streams only. */
void callstream_end(struct callstream *s, const struct err *err, struct slice answer, int nwords,
                    const struct slice *words);

#endif
