/* A slice: borrowed bytes, never NUL-terminated by contract, valid as long as whoever lent them says so. */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

struct slice {
    const char *p;
    size_t len;
};

#define SLICE(lit) ((struct slice){(lit), sizeof(lit) - 1}) /* of a string literal */

static inline struct slice slice_of(const char *p, size_t len)
{
    return (struct slice){p, len};
}

static inline struct slice slice_str(const char *s)
{
    return (struct slice){s, strlen(s)};
}

static inline bool slice_eq(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

/* Compares with a C string, ASCII case ignored: how option keywords are matched. */
static inline bool slice_is(struct slice a, const char *word)
{
    return a.len == strlen(word) && strncasecmp(a.p, word, a.len) == 0;
}

static inline int slice_cmp(struct slice a, struct slice b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int c = n ? memcmp(a.p, b.p, n) : 0;
    return c ? c : (a.len > b.len) - (a.len < b.len);
}

#endif
