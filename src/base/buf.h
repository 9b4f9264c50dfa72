/* A growing byte buffer.
 *
 * `max` is the limit from birth: a buffer that grows for somebody else (a client, a provider, a file) is given one, and
 * an append over it fails and sets `full` instead of growing. max 0 means the caller bounds it by other means.
 *
 * Embedded by value; {0} is an empty buffer. Thread: whoever owns it. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"

struct buf {
    char *p;
    size_t len, cap, max;
    bool full; /* an append was refused because of max */
};

void buf_init(struct buf *b, size_t max);
void buf_release(struct buf *b); /* back to {0}, max kept */

/* Room for n more bytes at the end; returns where to write them, NULL when that would pass max. buf_grow(b, n) then
 * makes them part of the buffer. */
char *buf_room(struct buf *b, size_t n);
static inline void buf_grow(struct buf *b, size_t n)
{
    b->len += n;
}

bool buf_add(struct buf *b, const void *p, size_t n); /* false when refused: nothing was added */
bool buf_add_str(struct buf *b, const char *s);
bool buf_add_char(struct buf *b, char c);
bool buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool buf_vaddf(struct buf *b, const char *fmt, va_list ap);
bool buf_insert(struct buf *b, size_t at, const void *p, size_t n); /* shifts the tail right */
void buf_drop(struct buf *b, size_t n);                             /* removes n bytes from the front */

/* The bytes as a NUL-terminated string (the NUL is not counted in len). */
const char *buf_cstr(struct buf *b);
/* Hands the allocation over (mem_free it); the buffer is empty afterwards. */
char *buf_take(struct buf *b, size_t *len);

static inline void buf_clear(struct buf *b)
{
    b->len = 0;
    b->full = false;
}

static inline struct slice buf_slice(const struct buf *b)
{
    return slice_of(b->p, b->len);
}

#endif
