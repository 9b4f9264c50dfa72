/* A dictionary that only grows: short texts, each with a number, for a column that holds the number in place of the
 * text. Bounded from birth. It ends with its column, so a text that nobody holds any more still counts.
 *
 * Thread: texts_get is `any`, without a lock, for a number that was learnt through an acquire load; texts_add is `any`
 * too and never waits: while another thread adds it says so. */
#ifndef VEC_TEXTS_H
#define VEC_TEXTS_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/slice.h"

#define TEXTS_LONGEST 128               /* bytes of one text */
#define TEXTS_MOST    65536             /* different texts */
#define TEXTS_BYTES   (4 * 1024 * 1024) /* of all of them */
#define TEXTS_PAGE    1024

enum { TEXTS_FULL = -1, TEXTS_BUSY = -2, TEXTS_NONE = -3 }; /* FULL: too long as well */

struct text;
struct texts {
    atomic_flag adding;
    uint32_t n, slots;
    uint32_t *slot; /* open addressing: number + 1; 0 is free */
    size_t length;  /* of all texts */
    struct text **page[TEXTS_MOST / TEXTS_PAGE];
    _Atomic size_t bytes; /* taken from the allocator */
};

void texts_init(struct texts *t);
void texts_release(struct texts *t);
/* The number of a text, which is copied when it is new; or TEXTS_FULL, TEXTS_BUSY. */
int64_t texts_add(struct texts *t, struct slice s);
/* The same for a text that is not to be added: TEXTS_NONE. *n: how many there are, with lower numbers. */
int64_t texts_find(struct texts *t, struct slice s, uint32_t *n);
struct slice texts_get(const struct texts *t, uint32_t number); /* borrowed for the dictionary's life */

#endif
