/* What the files of the session family share: cmd_session.c has the rows, cmd_session_messages.c and
 * cmd_session_whole.c further handlers. Thread: loop. */
#ifndef CMD_CMD_SESSION_H
#define CMD_CMD_SESSION_H

#include "cmd/cmd.h"
#include "cmd/session_turn.h"

/* The session under argv[i]; NULL when absent. False: another type, the error is replied. */
bool session_arg_read(struct call *c, int i, const struct session **s);
bool session_arg_write(struct call *c, int i, struct session **s);

/* Is argv[*i] this option with a value behind it? Then *i moves to the value. */
bool session_option(const struct call *c, int *i, const char *word);

/* Every command that changes a session takes TIME ms: the moment that counts as the change's. Clients leave it out;
 * effects carry it. Reads argv[i]; false: the error is replied. */
bool session_time_arg(struct call *c, int i, int64_t *ms);

/* argv[i] as a key: `*` becomes a new id, kept in id. */
struct slice session_key_arg(const struct call *c, int i, char id[ID_LEN + 1]);

/* Ends a change that is not an addition of messages: marks the session, serves watchers and notifications. */
void session_changed(struct call *c, struct slice key, struct session *s, int64_t now_ms, const char *event);

/* States the effect: the call's own arguments [0, keep), then TIME ms. */
void session_effect_timed(struct call *c, int keep, int64_t now_ms);

/* A message as id, role, content; and as a map of everything it has (score: NULL, or one more). */
void session_reply_message(struct call *c, const struct session_msg *m);
void session_reply_map(struct call *c, const struct session_msg *m, const double *score);

/* cmd_session_messages.c */
void session_add_run(struct call *c);
void session_messages_run(struct call *c);
void session_context_run(struct call *c);
void session_trim_run(struct call *c);

/* cmd_session_search.c */
void session_search_run(struct call *c);

/* cmd_session_whole.c */
void session_fork_run(struct call *c);
void session_export_run(struct call *c);
void session_import_run(struct call *c);

#endif
