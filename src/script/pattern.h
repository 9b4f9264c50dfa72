/* Lua's string patterns, matched with a bound on the work.
 *
 * Lua's own matcher recurses on the pattern without a depth limit and backtracks without end ("a?" a million times
 * over,
 * ".-.-.-b" on a long text), all inside one C call that no instruction hook can stop. This one compiles the pattern to
 * at most PATTERN_ITEMS items first, so that recursion is at most that deep, and asks `tick` every few thousand steps
 * whether to go on. Same language as Lua 5.1: classes, sets, * + - ?, captures, position captures, %b, %f, %1, ^ and $.
 *
 * Pure. Thread: any; a struct pattern is read-only once compiled. */
#ifndef SCRIPT_PATTERN_H
#define SCRIPT_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

#define PATTERN_ITEMS    256
#define PATTERN_CAPTURES 32

struct pattern_item {
    uint8_t kind, quant;
    uint8_t a, b;    /* capture number, or the two bytes of %b */
    uint64_t set[4]; /* which bytes match */
};

struct pattern {
    int n, captures;
    bool anchored;
    struct pattern_item items[PATTERN_ITEMS];
};

int pattern_compile(struct pattern *p, struct slice text, struct err *err);

#define PATTERN_POSITION ((ptrdiff_t)-1) /* len of a () capture: only where it stands counts */

struct pattern_match {
    size_t start, end; /* offsets in the subject */
    struct {
        size_t at;
        ptrdiff_t len;
    } cap[PATTERN_CAPTURES];
};

struct pattern_ticker {
    bool (*tick)(void *arg); /* false: stop now. NULL: never stop */
    void *arg;
};

/* Matches at exactly `at`: 1 and *m filled, 0 no match, ERR_STATE when the ticker stopped it. */
int pattern_match_at(const struct pattern *p, struct slice subject, size_t at, const struct pattern_ticker *t,
                     struct pattern_match *m);
/* The first match at or after `from` (only there when anchored). */
int pattern_find(const struct pattern *p, struct slice subject, size_t from, const struct pattern_ticker *t,
                 struct pattern_match *m);

#endif
