/* Passwords: kept and compared as the SHA-256 of what was typed, in lower-case hex, as Redis's ACL files have them.
 * Thread: any. */
#ifndef AUTH_PASSWORD_H
#define AUTH_PASSWORD_H

#include <stdbool.h>

#include "base/slice.h"

#define PASSWORD_HEX 64

void password_hash(struct slice clear, char hex[PASSWORD_HEX + 1]);
bool password_is_hash(struct slice s); /* 64 lower-case hex digits */
/* Takes the same time wherever the two differ. Both have PASSWORD_HEX characters. */
bool password_same(const char *a, const char *b);
void password_random(char *hex, int digits); /* from the kernel's generator; NUL appended */

#endif
