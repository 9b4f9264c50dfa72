/* A call: one command being run for one client. It is what a handler gets.
 *
 * A handler reads c->argv, works on c->db, writes exactly one reply to c->reply and returns. Three things it may do besides:
 *
 *   effects   What is journaled and replicated is the command as it came, if it changed anything (store dirty moved).
 *             A handler whose effect differs (EXPIRE becomes PEXPIREAT, `*` becomes an id) says so with call_effect, once
 *             or more; several are made atomic together. call_no_effect journals nothing. A parked call has only the
 *             effects that it states, and they are journaled by call_resume: change, state, resume in one go.
 *   park      Work that waits (a model, a search on workers, a blocked list): call_park keeps the call after the handler
 *             returns and stops the client's pipeline; the one call_resume that must follow finishes it as if the handler
 *             had just returned. The call's argv are copied by then and stay valid. When the client disconnects or the
 *             call is cancelled, `cancel` is called once; call_resume must still follow, its reply goes nowhere.
 *   block     Wait for keys, with Redis's fairness: see call_block.
 *
 * While parked, c->client may become NULL (the client is gone); c->db and c->reply stay usable.
 * Thread: loop. */
#ifndef CMD_CALL_H
#define CMD_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "net/reply.h"
#include "store/db.h"

struct client;
struct cmd;

enum call_flags {
    CALL_ATOMIC = 1 << 0,   /* inside EXEC or a script: it must not park, block or call a model; do it synchronously */
    CALL_INTERNAL = 1 << 1, /* run by the server itself (a flow, the journal's replay): no ACL, no slowlog */
    CALL_REPLAY = 1 << 2,   /* the journal's replay: effects are not journaled again; c->lsn is the effect's position */
    CALL_PARKED = 1 << 3,   /* private to call.c */
    CALL_NO_EFFECT = 1 << 4,
    CALL_SCRIPT = 1 << 5,  /* called by a script (CALL_ATOMIC is set, too) */
    CALL_COUNTED = 1 << 6, /* its error reply is one that a command inside it has counted already */
    CALL_TOLD_GONE = 1 << 7, /* set before call_block: it is retried also when its key is gone */
};

struct call {
    struct client *client; /* NULL once the client of a parked call is gone */
    const struct cmd *cmd;
    int argc;
    const struct slice *argv; /* argv[0] is the command's name; borrowed until the handler returns, or parked: owned */
    struct db *db;
    struct reply *reply;
    unsigned flags;
    uint64_t lsn;      /* CALL_REPLAY: journal position after this effect */
    int64_t start_us;  /* when it began, monotonic */
    void *park;        /* private to call.c: the parked state */
    void *effects;     /* private to call.c */
};

/* One effect: the whole command, argv[0] its name. Copied. */
void call_effect(struct call *c, int argc, const struct slice *argv);
void call_effect_in(struct call *c, struct db *db, int argc, const struct slice *argv); /* in another database */
void call_no_effect(struct call *c);

/* Keeps the call; returns the one to use from now on (the one passed in is the dispatcher's and ends with the handler).
 * Not allowed when CALL_ATOMIC is set. */
struct call *call_park(struct call *c, void (*cancel)(struct call *c, void *arg), void *arg);
void call_resume(struct call *c); /* the reply is written; frees c */

/* Blocks until one of the keys may be ready. `retry` is called (with argv as they were) each time one of them was
 * touched by somebody, first come first served; it replies and returns true when it could serve, false to wait on.
 * After timeout_ms (0: never) `timeout` writes the reply instead. Under CALL_ATOMIC, `timeout` runs at once. */
void call_block(struct call *c, const struct slice *keys, int n, int64_t timeout_ms, bool (*retry)(struct call *c),
                void (*timeout)(struct call *c));

/* Helpers that nearly every handler wants. Each of the last four writes the error reply itself and returns false. */
void call_wrong_type(struct call *c);
void call_syntax(struct call *c);                    /* ERR syntax error */
void call_err(struct call *c, const struct err *e);
void call_help(struct call *c, const char *const *lines, size_t n); /* what `* HELP` answers */
static inline struct slice call_arg(const struct call *c, int i)
{
    return c->argv[i];
}
bool call_i64(struct call *c, int i, int64_t *out);  /* ERR value is not an integer or out of range */
bool call_range(struct call *c, int i, int64_t min, int64_t max, int64_t *out); /* same, and "is out of range" */
bool call_double(struct call *c, int i, double *out); /* ERR value is not a valid float */
bool call_timeout_ms(struct call *c, int i, int64_t *out); /* seconds with fraction, as BLPOP takes them */

#endif
