/* The users by name, in alphabetical order; one of them, `default`, is who a connection is before it says otherwise.
 *
 * Users come from `user` lines of the configuration file, or from the file that `aclfile` names (not from both), and are
 * changed by ACL SETUSER in memory only: they survive a restart when ACL SAVE or CONFIG REWRITE has written them down.
 * Thread: loop. */
#ifndef AUTH_USERS_H
#define AUTH_USERS_H

#include "auth/user.h"

void users_settings(void); /* requirepass, aclfile, user; makes `default` */
int users_open(struct err *err); /* after catalog_boot: reads the `user` lines, or the aclfile */

struct user *users_default(void);
struct user *users_find(struct slice name);       /* NULL: unknown */
struct user *users_add(struct slice name);        /* unknown so far; the registry's reference */
bool users_remove(struct user *u);                /* strips it and drops the registry's reference; not for `default` */
int users_count(void);
struct user *users_at(int i);

bool users_default_open(void); /* may anybody be `default` without a password? */
/* 0 and *who, or ERR_NOPERM with Redis's WRONGPASS wording. */
int users_login(struct slice name, struct slice password, struct user **who, struct err *err);

const char *users_file(void); /* the aclfile; "": none */
/* Reads the aclfile and makes its users the users, all or none. `changed` is called for each user that was there before,
 * with what it is now: NULL when it is no more (it is stripped then). */
int users_load(void (*changed)(struct user *was, struct user *now), struct err *err);
int users_save(struct err *err);

/* What CONFIG REWRITE writes: a `user` line for each (for `default` when requirepass does not say it all), nothing while
 * there is an aclfile. */
void users_config_lines(struct buf *to);

#endif
