/* Reasoning that a model writes into its answer, between <think> and </think> at the very start, taken apart as the
 * answer comes, wherever its bytes are cut. Text before the tag may only be white space; what follows the closing tag
 * starts after its white space. Tags anywhere else are text.
 *
 * Embedded by value; {0} is the start. Pure. Thread: any. */
#ifndef LLM_THINK_TAGS_H
#define LLM_THINK_TAGS_H

#include <stdbool.h>

#include "base/slice.h"

#define THINK_HELD_MAX 64

struct think_tags {
    int state;
    char held[THINK_HELD_MAX]; /* what may turn out to be a tag */
    size_t nheld;
};

/* False ends the walk and is returned. */
typedef bool think_give_fn(void *arg, bool reasoning, struct slice text);

bool think_tags_feed(struct think_tags *t, struct slice text, think_give_fn *give, void *arg);
bool think_tags_end(struct think_tags *t, think_give_fn *give, void *arg); /* gives what was held back */

#endif
