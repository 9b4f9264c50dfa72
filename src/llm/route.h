/* The registry of routes: a name that stands for several models, and how one of them is chosen (choose.h).
 *
 * Routes are const once made: LLM.ROUTE SET makes a new version, and a call that is on its way keeps what it chose from
 * the old one. The last ROUTE_VERSIONS are kept and one can be brought back, as a new version. A version can be written
 * as the words that make it again, number and time included: so it is journaled and replicated.
 *
 * Members are names: a model that is not there when a call comes is passed over. Thread: loop. */
#ifndef LLM_ROUTE_H
#define LLM_ROUTE_H

#include "base/dict.h"
#include "base/err.h"
#include "base/slice.h"
#include "llm/choose.h"

#define ROUTE_VERSIONS    20
#define ROUTE_MEMBERS_MAX CHOOSE_MAX
#define ROUTE_WORDS_MAX   (20 + 5 * ROUTE_MEMBERS_MAX) /* of one version */

enum route_sticky { STICKY_NO, STICKY_SESSION, STICKY_USER };

struct route_member {
    char *model;
    int64_t weight; /* 1 unless given */
    double quality; /* 0 unless given */
};

struct route { /* one version */
    enum strategy strategy;
    enum route_sticky sticky;
    struct route_member *members;
    int n;
    char *fallback; /* NULL: none */
    bool has_ceiling;
    int64_t ceiling; /* of a token in and one out; money.h */
    int64_t version, time_ms;
};

struct route_name {
    char *name;
    struct route *versions[ROUTE_VERSIONS]; /* oldest first */
    int n;                                  /* at least 1: the last is the present one */
};

struct routes {
    struct dict by_name;
};

void routes_init(struct routes *rs);
void routes_release(struct routes *rs);

/* words: name STRATEGY s MODELS ..., as after LLM.ROUTE SET; VERSION n and AT ms may be among them (the journal's).
 * Without them the version is the next, its time now_ms. *out: the new version, the registry's. */
int routes_set(struct routes *rs, const struct slice *words, int n, int64_t now_ms, const struct route **out,
               struct err *err);
/* Makes a new version like an old one; version 0: like the one before the present. */
int routes_rollback(struct routes *rs, struct slice name, int64_t version, int64_t now_ms, const struct route **out,
                    struct err *err);
int routes_del(struct routes *rs, struct slice name, struct err *err);
struct route_name *routes_find(struct routes *rs, struct slice name); /* NULL when there is none */
const struct route *route_now(const struct route_name *r);
void routes_each(struct routes *rs, void (*fn)(void *arg, struct route_name *r), void *arg); /* by name */

const char *strategy_name(enum strategy s);         /* "LEAST-BUSY" */
const char *route_sticky_name(enum route_sticky s); /* "SESSION"; "NO" */
/* The words of one version, from the name on, at most ROUTE_WORDS_MAX; borrowed until emit returns. */
void route_words(const char *name, const struct route *r, void (*emit)(void *arg, struct slice word), void *arg);

#endif
