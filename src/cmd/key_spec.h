/* Key specifications: where a command line has its keys, and what is done to them.
 *
 * A row writes them as text, one or more parts with `;` between:
 *
 *   <words> [@begin] [range last step limit | keynum at first step]
 *
 *   words    RO RW OW RM (reads, modifies, overwrites, removes the value as such); access update insert delete (what
 *            becomes of the data in it); not_key incomplete variable_flags
 *   begin    @2 an argument's index; @STREAMS:1 what follows that word, looked for from argument 1 on, from -2 backwards;
 *            @? not to be told, the row's callback finds them
 *   range    from there on every step-th up to last; a negative last counts from the end (-1 is the last argument), a
 *            limit of n ends the range after the n-th part of what is left
 *   keynum   a number stands at `at` arguments from the beginning, the keys begin at `first` and are that many
 *
 * Without @ a part speaks of the row's first, last and step; with @ alone of that one argument.
 *
 *   "RW insert"                                                  LPUSH
 *   "OW update @1; RO access @2 range -1 1 0"                    PFMERGE-like
 *   "RO access @STREAMS:1 range -1 1 2"                          XREAD
 *
 * Thread: loop. */
#ifndef CMD_KEY_SPEC_H
#define CMD_KEY_SPEC_H

#include "cmd/cmd.h"
#include "net/reply.h"

enum key_use {
    KEY_RW = 1 << 0,
    KEY_RO = 1 << 1,
    KEY_OW = 1 << 2,
    KEY_RM = 1 << 3,
    KEY_ACCESS = 1 << 4,
    KEY_UPDATE = 1 << 5,
    KEY_INSERT = 1 << 6,
    KEY_DELETE = 1 << 7,
    KEY_NOT_KEY = 1 << 8,
    KEY_INCOMPLETE = 1 << 9,
    KEY_VARIABLE = 1 << 10,
};
#define KEY_READS  KEY_ACCESS
#define KEY_WRITES (KEY_UPDATE | KEY_INSERT | KEY_DELETE)

#define KEY_SPECS_MAX 4

struct key_spec {
    unsigned use;
    const char *word; /* keyword to look for; NULL: begins at `begin` */
    size_t word_len;
    int begin; /* the index; with a word, where to look from; 0: unknown */
    bool counted; /* keynum, else range */
    int a, b, c;  /* range: last, step, limit; keynum: at, first, step */
};

struct key_specs {
    const struct cmd *cmd;
    int n;
    struct key_spec list[KEY_SPECS_MAX];
};

void key_specs_parse(const struct cmd *cmd, struct key_specs *to); /* a mistake in a row aborts: it is ours */

/* Calls fn for every key of a command line, in order; fn returns false to stop. Returns how many it was called for, -1
 * when the arguments make no sense. */
int key_specs_each(const struct key_specs *s, int argc, const struct slice *argv,
                   bool (*fn)(void *arg, int at, unsigned use), void *arg);
bool key_specs_any(const struct key_specs *s); /* can there be keys at all? */

void key_specs_reply(struct reply *r, const struct key_specs *s); /* as COMMAND INFO shows them */
void key_use_reply(struct reply *r, unsigned use);                /* a set of "RW", "access", ... */

#endif
