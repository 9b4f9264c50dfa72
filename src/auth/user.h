/* Users: for now the one that Redis calls `default`, with the password of `requirepass`. Named users, permissions and
 * tenants build on this. Thread: loop. */
#ifndef AUTH_USER_H
#define AUTH_USER_H

#include <stdbool.h>

#include "base/err.h"
#include "base/slice.h"

void user_boot(void);            /* registers the settings */
bool user_password_needed(void); /* is a password set for the default user? */
/* Compares in constant time. ERR_NOPERM is not used here: Redis's own WRONGPASS wording is in err->msg. */
int user_check(struct slice name, struct slice password, struct err *err);

#endif
