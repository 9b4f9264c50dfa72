/* Permissions: may a user run this command on these keys and channels? Asked before a command runs or is queued, once
 * more at EXEC, and for each command that the server runs on somebody's behalf (scripts, flows).
 *
 * What a user may is in auth/; what a command line touches is in its row. One selector of the user must allow all of it.
 * Thread: loop. */
#ifndef CMD_PERMISSION_H
#define CMD_PERMISSION_H

#include "auth/acl_log.h"
#include "auth/user.h"
#include "cmd/client.h"
#include "cmd/table.h"

enum permission { PERMISSION_YES, PERMISSION_NO_COMMAND, PERMISSION_NO_KEY, PERMISSION_NO_CHANNEL };

void permission_boot(void); /* after table_boot: hands the commands to auth/ */

/* `at` is the argument that was refused. */
enum permission permission_ask(const struct user *u, const struct cmd_entry *e, int argc, const struct slice *argv,
                               int *at);
/* NOPERM's sentence. `verbose` names the key or channel, which a client is not told (ACL DRYRUN is). */
void permission_text(struct buf *to, enum permission p, const struct user *u, const struct cmd_entry *e,
                     struct slice object, bool verbose);

/* True when the client's user may. Otherwise the refusal is in ACL LOG and *why says what was refused; no reply yet. */
bool permission_slow(struct client *c, const struct cmd_entry *e, int argc, const struct slice *argv,
                     enum acl_context context, enum permission *why);
static inline bool permission_given(struct client *c, const struct cmd_entry *e, int argc, const struct slice *argv,
                                    enum acl_context context, enum permission *why)
{
    return !c->user || c->user->unlimited || permission_slow(c, e, argc, argv, context, why);
}
/* The same with the reply that a client gets: NOPERM. */
bool permission_or_reply(struct client *c, const struct cmd_entry *e, int argc, const struct slice *argv,
                         enum acl_context context);

/* May the client run this command on whatever key it comes upon (SORT BY, GET)? Needs a selector with all keys. */
bool permission_all_keys(const struct client *c, const struct cmd *cmd, int argc, const struct slice *argv,
                         unsigned access);

/* Closes the connections of u that subscribe to what u may not hear any more. */
void permission_drop_subscribers(const struct user *u);
void permission_close_clients(const struct user *u, struct client *self); /* u was deleted */

void permission_log_login(struct client *c, struct slice command, struct slice username);

#endif
