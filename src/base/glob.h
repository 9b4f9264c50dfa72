/* Glob patterns as Redis has them (KEYS, SCAN MATCH, PSUBSCRIBE, CONFIG GET, ACL):
 *
 *   *  any bytes    ?  one byte    [abc] [a-z] [^x]  one byte of a class    \x  the byte x itself
 *
 * A class that does not close ends with the pattern. Time is at most the product of both lengths, whatever the pattern:
 * no input makes it exponential. Thread: any. */
#ifndef BASE_GLOB_H
#define BASE_GLOB_H

#include "base/slice.h"

bool glob_match(struct slice pattern, struct slice text, bool nocase); /* nocase: ASCII */
bool glob_is_literal(struct slice pattern);                            /* no special byte: it matches only itself */

#endif
