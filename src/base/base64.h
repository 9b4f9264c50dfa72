/* Base64 as RFC 4648 has it: the standard alphabet, with padding. Thread: any. */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/slice.h"

void base64_encode(struct buf *to, struct slice bytes);
/* Appends the bytes. False (to as it was) for anything that is not whole base64: characters outside the alphabet, line
 * breaks, padding that is missing or in the middle; or when `to` is full. */
bool base64_decode(struct buf *to, struct slice text);

#endif
