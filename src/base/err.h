/* Errors: a code that programs branch on and one sentence that a person can act on.
 *
 * Functions that can fail return 0 or a negative ERR_* code and fill the caller's struct err. The class of a code is
 * what a client sees as the first word of the error reply (INVALID, UPSTREAM, ...), so a room deep below the protocol
 * can refuse something in the user's terms without knowing RESP.
 *
 * Thread: any. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

enum err_code {
    ERR_OK = 0,
    ERR_GENERIC = -1,   /* ERR        anything without a better class */
    ERR_INVALID = -2,   /* INVALID    bad parameters, bad JSON, dimension mismatch (HTTP 400) */
    ERR_STATE = -3,     /* STATE      business rule: no such model, run not paused, not allowed in MULTI */
    ERR_UPSTREAM = -4,  /* UPSTREAM   a provider failed, timed out or is unreachable (5xx) */
    ERR_QUOTA = -5,     /* QUOTA      budgets and rates (429) */
    ERR_NOPERM = -6,    /* NOPERM     who you are */
    ERR_OOM = -7,       /* OOM        over maxmemory, or a size from outside that memory cannot hold */
    ERR_WRONGTYPE = -8, /* WRONGTYPE  the key holds another type */
    ERR_BUSYKEY = -9,   /* BUSYKEY    target key exists */
    ERR_IO = -10,       /* ERR        disk or socket; the sentence carries strerror */
    ERR_CANCELLED = -11, /* STATE     the caller gave up first */
};

struct err {
    int code;
    char msg[512];
};

/* Fills e (NULL is allowed) and returns code, so that `return err_set(e, ERR_INVALID, "...")` is the idiom. The sentence
 * is cut at the buffer's end (not inside a character), never overrun; it holds no CR or LF (they become spaces). */
int err_set(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* "INVALID" for ERR_INVALID and so on; "ERR" for codes without a class of their own. Static string. */
const char *err_class(int code);

#endif
