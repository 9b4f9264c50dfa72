/* What a random sample has drawn already (HRANDFIELD, ZRANDMEMBER): a small set of addresses, sized for its sample at
 * once. An element is known by where its bytes are. Embedded by value. Thread: loop. */
#ifndef CMD_DRAWN_H
#define CMD_DRAWN_H

#include <stdbool.h>
#include <stddef.h>

struct drawn {
    const void **at;
    size_t slots; /* a power of two, at least twice the sample */
};

void drawn_init(struct drawn *d, size_t sample);
void drawn_release(struct drawn *d);
bool drawn_add(struct drawn *d, const void *p); /* false: was there already; at most `sample` different ones */

#endif
