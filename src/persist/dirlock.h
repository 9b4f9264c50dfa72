/* One server per data folder: a lock that lasts as long as the process, however it ends. Thread: loop. */
#ifndef PERSIST_DIRLOCK_H
#define PERSIST_DIRLOCK_H

#include "base/err.h"

/* A descriptor that holds the lock of `dir`, or a negative ERR_* with a sentence that names the process in the way. */
int dirlock_take(const char *dir, struct err *err);
void dirlock_release(int lock); /* negative allowed */

#endif
