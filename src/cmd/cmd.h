/* A command is a const row beside its handler; a family is a file of rows; table.c lists the families.
 *
 * The row is all there is to know of a command: COMMAND, COMMAND DOCS, redis-cli's hints, ACL and the dispatcher's checks
 * read it. `syntax` is the argument list as a manual would print it; COMMAND DOCS derives the argument tree from it:
 *
 *   lower-case words are arguments, UPPER-CASE words are literal tokens, [x] is optional, (a|b) one of, `...` after a
 *   word or bracket repeats it. "key value [NX|XX] [GET] [EX seconds|PX milliseconds]"
 *   An argument's type follows from its name (cmd/syntax.c); where it does not, `name:int` says it: int, double, str, key,
 *   pattern. A digit after it is the key specification it belongs to, when counting does not tell (`destination:key2`).
 *
 * The comment above a handler holds an example that runs as a test against a live, empty server: lines that begin with
 * `> ` are sent, lines that begin with `< ` are what redis-cli would print (`< ...` skips any number of lines, a `*` in a
 * line any characters). */
#ifndef CMD_CMD_H
#define CMD_CMD_H

#include <stdint.h>

#include "cmd/call.h"

enum cmd_flags {
    CMD_WRITE = 1 << 0,    /* may change the keyspace: journaled, refused on a failed disk */
    CMD_READONLY = 1 << 1, /* reads keys */
    CMD_DENYOOM = 1 << 2,  /* may use more memory: refused over maxmemory */
    CMD_ADMIN = 1 << 3,
    CMD_PUBSUB = 1 << 4,
    CMD_NOSCRIPT = 1 << 5,
    CMD_BLOCKING = 1 << 6, /* may park its client */
    CMD_LOADING = 1 << 7,  /* allowed while the data is being loaded */
    CMD_STALE = 1 << 8,
    CMD_FAST = 1 << 9,
    CMD_NO_AUTH = 1 << 10, /* allowed before AUTH */
    CMD_NO_MULTI = 1 << 11,
    CMD_MODEL = 1 << 12, /* calls a model: refused with STATE inside MULTI and scripts */
    CMD_MOVABLEKEYS = 1 << 13,
    CMD_SUBSCRIBED = 1 << 14, /* allowed to a RESP2 client that is subscribed */
    CMD_SKIP_SLOWLOG = 1 << 15,
    CMD_NO_MANDATORY_KEYS = 1 << 17, /* may be called without any key, although it can have some */
    CMD_REGISTRY = 1 << 16, /* changes a named entry (models, flows): journaled like a write, has no keys */
    CMD_ALLOW_BUSY = 1 << 19,         /* runs even while a script has held everybody up for long */
    CMD_SKIP_MONITOR = 1 << 18,       /* not shown to MONITOR by the dispatcher */
    CMD_MAY_REPLICATE = 1 << 20,      /* may change or tell others, though it is no write: not in read-only scripts */
};

/* ACL categories, one bit each; the names are in cmd/acl_cat.c's order. READ, WRITE, FAST, SLOW, ADMIN, BLOCKING and
 * PUBSUB are added from the flags. */
enum cmd_acl {
    ACL_KEYSPACE = 1 << 0,
    ACL_READ = 1 << 1,
    ACL_WRITE = 1 << 2,
    ACL_SET = 1 << 3,
    ACL_SORTEDSET = 1 << 4,
    ACL_LIST = 1 << 5,
    ACL_HASH = 1 << 6,
    ACL_STRING = 1 << 7,
    ACL_BITMAP = 1 << 8,
    ACL_HYPERLOGLOG = 1 << 9,
    ACL_GEO = 1 << 10,
    ACL_STREAM = 1 << 11,
    ACL_PUBSUB = 1 << 12,
    ACL_ADMIN = 1 << 13,
    ACL_FAST = 1 << 14,
    ACL_SLOW = 1 << 15,
    ACL_BLOCKING = 1 << 16,
    ACL_DANGEROUS = 1 << 17,
    ACL_CONNECTION = 1 << 18,
    ACL_TRANSACTION = 1 << 19,
    ACL_SCRIPTING = 1 << 20,
    ACL_VECTOR = 1 << 21,
    ACL_SESSION = 1 << 22,
    ACL_LLM = 1 << 23,
    ACL_KB = 1 << 24,
    ACL_FLOW = 1 << 25,
    ACL_AGENT = 1 << 26,
    ACL_TENANT = 1 << 27,
};

/* Which arguments are channels that the caller needs permission for. */
enum cmd_channels { CHANNELS_NONE, CHANNELS_FIRST, CHANNELS_ALL, CHANNELS_PATTERNS };

#define CMD_MAX_KEYS 1024 /* a getkeys result is cut here; commands with more keys use first/last/step */

struct cmd {
    const char *name; /* lower case; a subcommand's own word ("get" of config) */
    void (*run)(struct call *c); /* NULL for a container that has only subcommands */
    int arity;                   /* as Redis: exact, or at least -arity; the command's name counts */
    uint32_t flags;
    uint32_t acl;
    int first, last, step; /* key positions: 1-based, last negative counts from the end; 0 none */
    /* For keys that options announce. Writes argv indexes into pos (room for CMD_MAX_KEYS), returns how many, or -1
     * when the arguments make no sense. */
    int (*keys)(int argc, const struct slice *argv, int *pos);
    /* What is done to the keys, as COMMAND shows it and permissions need it; see cmd/key_spec.h. NULL: "RW access update"
     * for what writes, "RO access" for the rest, on the positions above. */
    const char *key_spec;
    /* For a key whose use depends on options (variable_flags): its enum key_use bits. NULL: key_spec tells. */
    unsigned (*key_use)(int argc, const struct slice *argv, int at);
    /* For CMD_MAY_REPLICATE: true when it will change nothing with these arguments (a script that says so). NULL: it may. */
    bool (*harmless)(int argc, const struct slice *argv);
    enum cmd_channels channels;
    const char *syntax; /* arguments, see above; "" for none */
    const char *summary;
    const char *group;      /* COMMAND DOCS' group, where it is not the family's */
    const char *deprecated; /* since when, a space, what to use instead: "6.2.0 `LMOVE`"; NULL: it is not */
    const char *since;      /* the Redis version that introduced it, or Skald's "1.0.0" */
    const char *complexity; /* "O(1)" */
    const struct cmd *subs;
    int nsubs;
};

struct cmd_family {
    const char *group; /* as COMMAND DOCS: "string", "list", "connection", "server", "vector", "session", ... */
    const struct cmd *rows;
    int n;
};
#define CMD_FAMILY(group_name, table)                                                                                  \
    {                                                                                                                  \
        .group = (group_name), .rows = (table), .n = (int)(sizeof(table) / sizeof *(table))                            \
    }

#endif
