/* The request parser: bytes in; one command, "more", or a protocol error out. It does no I/O, reads no clock and keeps
 * no pointer to the bytes between calls.
 *
 * The caller holds the unconsumed bytes in one buffer and gives them, from the first byte of the command on, with every
 * call; between calls the buffer may move and grow. What was parsed before is not looked at again, so a large argument
 * that comes in small pieces costs no more than one that comes whole. After RESP_COMMAND the caller drops (or steps
 * over) r->used bytes; the next call begins the next command.
 *
 * Both forms of a request are understood: arrays of bulk strings, and inline commands (words, with quotes as redis-cli
 * takes them). Error texts are Redis's.
 *
 * Thread: any; a struct belongs to whoever made it. */
#ifndef NET_RESP_H
#define NET_RESP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"

#define RESP_MAX_ARGS   (1024 * 1024)
#define RESP_MAX_BULK   (512LL << 20)
#define RESP_MAX_LINE   (64 * 1024) /* an inline request, and the line of a count or a length */
#define RESP_GUEST_ARGS 10          /* for who has not authenticated yet */
#define RESP_GUEST_BULK 16384

struct resp_limits {
    int64_t args; /* arguments of one command */
    int64_t bulk; /* bytes of one argument */
    bool guest;   /* RESP_GUEST_ARGS and RESP_GUEST_BULK are in force too */
};

enum resp_result {
    RESP_MORE,    /* incomplete; r->need says how many bytes of this command there must be before it is worth a call */
    RESP_COMMAND, /* r->argc, r->argv, r->used are set; argc 0 is a request without words, to be ignored */
    RESP_ERROR,   /* r->error is set; nothing that follows can be understood */
};

struct resp_span {
    size_t at, len;
};

struct resp {
    /* out, valid until the next call; argv points into the caller's bytes, or into `words` for an inline command */
    int argc;
    struct slice *argv;
    size_t used;
    size_t need;
    char error[64]; /* "Protocol error: ..." */

    /* private */
    bool open;      /* a command has begun */
    bool in_bulk;   /* the length of the present argument is known */
    bool multibulk; /* the count is known */
    int64_t args_left;
    size_t bulk_len;
    size_t at;     /* everything before was parsed */
    size_t looked; /* up to here there is no end of the present line */
    struct resp_span *spans;
    size_t cap; /* of spans and argv */
    struct buf words;
};

/* One whole command among those that have come. */
struct resp_request {
    int argc;
    struct slice *argv;
    size_t used; /* its bytes */
    /* Notes of who looks ahead (net/conn.h): what argv[0] names, and the hash of the first key. NULL: nobody looked. */
    const void *what;
    uint64_t hash;
    bool hashed;
};

/* The short way through a pipeline, without state: the whole commands that p begins with, at most `max` of them with `nargs`
 * arguments in all (written to args). It stops, for resp_feed to go on, before anything that is not the plain form with
 * small numbers: an inline command, an incomplete one, an error, an argument above `bulk`. Returns how many. */
int resp_whole(const char *p, size_t len, int64_t bulk, struct resp_request *to, int max, struct slice *args, int nargs);

void resp_init(struct resp *r);
void resp_release(struct resp *r);
enum resp_result resp_feed(struct resp *r, const char *p, size_t len, const struct resp_limits *limits);
/* Gives back the memory that an unusually large command left behind. Not while a command is half parsed. */
void resp_trim(struct resp *r);
static inline bool resp_is_open(const struct resp *r) /* a command has begun and is not complete */
{
    return r->open;
}

#endif
