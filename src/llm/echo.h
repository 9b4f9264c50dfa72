/* Vendors that are refused a key may repeat it in their error. What is kept of a key to find it there is its length and
 * a hash of its first bytes, because the key itself is wiped once it was sent. Thread: any. */
#ifndef LLM_ECHO_H
#define LLM_ECHO_H

#include <stdint.h>

#include "base/slice.h"

#define ECHO_SHORTEST 4 /* a shorter key is no secret, and would be found everywhere */

struct echo {
    size_t len; /* of the key; 0: there is nothing to hide */
    uint64_t head;
};

struct echo echo_of(struct slice key);
/* Overwrites the key with stars wherever it begins in the text, also where the text ends within it. */
void echo_hide(const struct echo *e, char *text);

#endif
