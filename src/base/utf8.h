/* UTF-8: validation and stepping, strict as RFC 3629 (no overlong forms, no surrogates, nothing above U+10FFFF).
 * Thread: any. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

bool utf8_valid(struct slice s);
uint32_t utf8_next_wide(struct slice s, size_t *at); /* utf8_next for what is not ASCII */
/* The code point at *at, which moves past it. A broken byte gives U+FFFD and moves by one. Needs *at < s.len. */
static inline uint32_t utf8_next(struct slice s, size_t *at)
{
    return (unsigned char)s.p[*at] < 0x80 ? (unsigned char)s.p[(*at)++] : utf8_next_wide(s, at);
}
/* Writes cp as 1 to 4 bytes; returns how many. */
size_t utf8_put(char to[4], uint32_t cp);
/* The longest prefix of at most max bytes that does not cut a character. */
size_t utf8_cut(struct slice s, size_t max);
/* Han, kana, hangul, bopomofo and full-width forms: scripts written without spaces between words. */
bool utf8_is_cjk(uint32_t cp);

#endif
