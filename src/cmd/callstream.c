/* Following a call. Entries are written by running XADD from inside, so that they are what a client's XADD would be:
 * ids, notifications, effects, readers that wait. A failure to write one (no memory, the key is something else) is
 * logged and the call goes on. */
#include "cmd/callstream.h"

#include <stdio.h>

#include "base/log.h"
#include "cmd/client.h"
#include "cmd/cmd.h"
#include "cmd/inside.h"

#define KEY_MAX     (ID_LEN + 8)
#define KEEP_MS     "3600000"
#define MAX_ENTRIES "20000"
#define MAX_WORDS   32

static void inside(struct callstream *s, int argc, const struct slice *argv)
{
    struct buf reply = {0};
    call_inside(s->db, argc, argv, &reply, 2);
    if (reply.len && reply.p[0] == '-')
        log_verbose("call:%s: %.*s failed: %.*s", s->id, (int)argv[0].len, argv[0].p, (int)reply.len - 2, reply.p);
    buf_release(&reply);
}

static struct slice key_of(const struct callstream *s, char key[KEY_MAX])
{
    return slice_of(key, (size_t)snprintf(key, KEY_MAX, "call:%s", s->id));
}

static void keep(struct callstream *s)
{
    char key[KEY_MAX];
    inside(s, 3, (struct slice[]){SLICE("PEXPIRE"), key_of(s, key), SLICE(KEEP_MS)});
}

void callstream_note(struct callstream *s, const char *type, int nwords, const struct slice *words)
{
    char key[KEY_MAX];
    struct slice argv[8 + MAX_WORDS] = {SLICE("XADD"),      key_of(s, key), SLICE("MAXLEN"), SLICE("~"),
                                        SLICE(MAX_ENTRIES), SLICE("*"),     SLICE("type"),   slice_str(type)};
    if (s->mode != CALLSTREAM_STREAM || nwords > MAX_WORDS)
        return;
    for (int i = 0; i < nwords; i++)
        argv[8 + i] = words[i];
    inside(s, 8 + nwords, argv);
}

void callstream_begin(struct callstream *s, const struct call *c, const char *id, bool stream, bool async)
{
    *s = (struct callstream){.db = c->db};
    snprintf(s->id, sizeof s->id, "%s", id);
    if (stream && !async && c->reply->resp == 3 && c->client && c->client->conn) {
        s->mode = CALLSTREAM_PUSH;
        return;
    }
    if (!stream && !async)
        return;
    s->mode = CALLSTREAM_STREAM;
    s->publish = stream;
    callstream_note(s, "begin", 2, (struct slice[]){SLICE("command"), slice_str(c->cmd->name)});
    keep(s);
}

/* words: field, value, ...; the push has the values. */
static void push(struct callstream *s, struct call *c, const char *type, int nwords, const struct slice *words)
{
    if (!c || !c->client || !c->client->conn || conn_closing(c->client->conn))
        return;
    reply_push(c->reply, 2 + (size_t)nwords / 2);
    reply_bulkf(c->reply, "llm.%s", type);
    reply_str(c->reply, s->id);
    for (int i = 1; i < nwords; i += 2)
        reply_bulk(c->reply, words[i]);
    conn_wrote(c->client->conn);
}

void callstream_event(struct callstream *s, struct call *c, const char *type, int nwords, const struct slice *words)
{
    if (s->mode == CALLSTREAM_PUSH)
        push(s, c, type, nwords, words);
    callstream_note(s, type, nwords, words);
}

void callstream_piece(struct callstream *s, struct call *c, struct slice text)
{
    char key[KEY_MAX];
    callstream_event(s, c, "delta", 2, (struct slice[]){SLICE("text"), text});
    if (s->publish)
        inside(s, 3, (struct slice[]){SLICE("PUBLISH"), key_of(s, key), text});
}

void callstream_end(struct callstream *s, const struct err *err, struct slice answer, int nwords,
                    const struct slice *words)
{
    struct slice all[MAX_WORDS] = {SLICE("text"), answer};
    char sentence[sizeof err->msg + 16];
    if (s->mode != CALLSTREAM_STREAM || nwords + 2 > MAX_WORDS)
        return;
    if (err) {
        snprintf(sentence, sizeof sentence, "%s %s", err_class(err->code), err->msg);
        all[0] = SLICE("error");
        all[1] = slice_str(sentence);
    }
    for (int i = 0; i < nwords; i++)
        all[2 + i] = words[i];
    callstream_note(s, err ? "error" : "done", nwords + 2, all);
    keep(s);
}
