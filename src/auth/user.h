/* A user: a name, whether it may log in, its passwords, its selectors. Clients point to the user they are; the registry
 * (auth/users.h) knows them by name.
 *
 * A user changes in place, so that its clients feel it at once. One that was deleted lives on without any permission for
 * as long as somebody holds it (a client that is being closed, a flow that still runs for it). Thread: loop. */
#ifndef AUTH_USER_H
#define AUTH_USER_H

#include <stdbool.h>

#include "auth/password.h"
#include "auth/selector.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/list.h"
#include "base/slice.h"

enum user_flags {
    USER_ON = 1,
    USER_NOPASS = 2,        /* any password will do */
    USER_SKIP_SANITIZE = 4, /* RESTORE trusts what it is given */
};

struct user {
    struct slice name; /* owned, NUL-terminated */
    unsigned flags;
    bool unlimited; /* every command, key and channel: the one test that permissions cost who has them all */
    char (*hashes)[PASSWORD_HEX + 1];
    int nhashes;
    struct list selectors; /* struct selector; the first is the root */
    int refs;
};

struct user *user_create(struct slice name); /* off, without passwords and permissions; one reference */
struct user *user_ref(struct user *u);       /* NULL allowed */
void user_unref(struct user *u);             /* NULL allowed */
struct user *user_copy(const struct user *u); /* another one, of the same name */
void user_take(struct user *u, struct user *from); /* u becomes what `from` is (the names stay), which is gone */
void user_strip(struct user *u);                   /* off, and nothing allowed any more */

/* One rule as ACL SETUSER has it, a selector in brackets being one. ERR_INVALID with Redis's wording, u is as it was. */
int user_rule(struct user *u, struct slice rule, struct err *err);
/* Several; all or none. `at` is the first that was refused. A selector may be spread over several words. */
int user_rules(struct user *u, int n, const struct slice *rules, struct slice *at, struct err *err);

bool user_password_fits(const struct user *u, struct slice clear); /* of a user that is on */
struct selector *user_root(const struct user *u);
void user_flag_names(const struct user *u, void (*fn)(void *arg, const char *name), void *arg);
void user_describe(const struct user *u, struct buf *to); /* "user alice on #... ~* &* +@all": a line of ACL LIST */

/* Does any selector allow it? */
bool user_may_hear(const struct user *u, struct slice channel, bool pattern);

void user_settings(void); /* acl-pubsub-default */

#endif
