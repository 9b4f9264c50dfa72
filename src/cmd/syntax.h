/* The argument tree of a command, parsed from the `syntax` text of its row (see cmd.h for the notation), for COMMAND DOCS.
 * Thread: loop (uses static storage: one tree at a time). */
#ifndef CMD_SYNTAX_H
#define CMD_SYNTAX_H

#include "base/slice.h"
#include "net/reply.h"

enum arg_kind { ARG_VALUE, ARG_TOKEN, ARG_ONEOF, ARG_BLOCK };

struct arg {
    enum arg_kind kind;
    struct slice name;  /* for ONEOF and BLOCK: taken from the first child */
    struct slice token; /* the literal word before the value or block; p NULL: none */
    bool optional, multiple, multiple_token;
    struct slice type; /* what stood after the name's colon: "int", "key1"; empty: the name tells */
    struct arg *child, *next;
};

/* NULL for an empty syntax; *ok tells a parse error (a bug in a row; the unit test parses every row). */
struct arg *syntax_parse(const char *text, bool *ok);
size_t syntax_count(const struct arg *a);
const char *syntax_type(const struct arg *a); /* "key", "string", "integer", "double", "oneof", "block", ... */
/* The array that COMMAND DOCS shows under "arguments". The command has that many key specifications: the first key
 * belongs to the first, and so on, all that are left over to the last. */
void syntax_reply(struct reply *r, const struct arg *a, int nspecs);

#endif
