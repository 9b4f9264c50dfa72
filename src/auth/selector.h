/* A selector: one set of permissions, complete in itself. A user has one of its own (the root) and any number of further
 * ones; a command is allowed when a single selector allows all of it: the command, its keys, its channels.
 *
 *   allowed    a bit for each command of the catalog
 *   rules      what was said about commands, in order, one mention each: "-@hash +hget". It is what a description shows,
 *              after +@all or -@all, and says what holds for commands that a later version adds
 *   keys       patterns, each for reading, writing or both
 *   channels   patterns
 *
 * Thread: loop. */
#ifndef AUTH_SELECTOR_H
#define AUTH_SELECTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/list.h"
#include "base/slice.h"

enum selector_flags { SELECTOR_ALL_COMMANDS = 1, SELECTOR_ALL_KEYS = 2, SELECTOR_ALL_CHANNELS = 4 };
#define SELECTOR_ALL (SELECTOR_ALL_COMMANDS | SELECTOR_ALL_KEYS | SELECTOR_ALL_CHANNELS)
enum selector_access { SELECTOR_READ = 1, SELECTOR_WRITE = 2 };

struct selector {
    struct list link; /* of its user */
    unsigned flags;
    uint64_t *allowed;
    bool from_all; /* the rules build on +@all rather than -@all */
    struct buf rules;
    struct access_pattern *keys, *channels; /* a pattern and, for keys, its enum selector_access bits */
    int nkeys, nchannels;
    struct first_arg *first_args; /* +select|0: a blocked command that is allowed with this first argument */
    int nfirst_args;
};

struct selector *selector_create(bool all_channels); /* nothing else is allowed yet */
void selector_destroy(struct selector *s);           /* NULL allowed */
struct selector *selector_copy(const struct selector *s);

/* One rule: +cmd, -@category, ~pattern, &pattern, allkeys, ... ERR_INVALID with Redis's wording; s is as it was then. */
int selector_rule(struct selector *s, struct slice rule, struct err *err);

bool selector_may_run(const struct selector *s, int id, int argc, const struct slice *argv);
bool selector_may_use(const struct selector *s, struct slice key, unsigned access);
bool selector_may_use_all(const struct selector *s, unsigned access); /* every key there could be */
bool selector_may_hear(const struct selector *s, struct slice channel);
/* Subscribing to a pattern needs that very pattern: what it would match cannot be known. */
bool selector_may_hear_pattern(const struct selector *s, struct slice pattern);

void selector_commands(const struct selector *s, struct buf *to); /* "-@all +get" */
void selector_keys(const struct selector *s, struct buf *to);     /* "~a* %R~b*"; empty: none */
void selector_channels(const struct selector *s, struct buf *to); /* "&a*"; empty: none */
void selector_describe(const struct selector *s, struct buf *to); /* all rules in a line, as ACL LIST has them */

bool selector_has_space(struct slice s); /* white space or a NUL byte, which no name and no pattern may have */

#endif
