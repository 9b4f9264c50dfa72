/* Effects: what changed, as commands, on their way to the journal (and to followers). Effects that belong together
 * (one command's, one transaction's) leave as one group between MULTI and EXEC, or bare when there is only one.
 * Thread: loop. */
#ifndef CMD_EFFECTS_H
#define CMD_EFFECTS_H

#include <stdbool.h>

#include "base/slice.h"

typedef void effects_sink(void *arg, int db, int argc, const struct slice *argv);

/* Called in order, for every effect. followers: it feeds followers and gets what is for them alone, too. */
void effects_add_sink(effects_sink *sink, void *arg, bool followers);
/* A muted sink is not called. While all are muted an effect costs nothing: nobody keeps it. Not muted at first. */
void effects_mute(effects_sink *sink, bool muted);
bool effects_heard(void); /* will an effect be kept or sent by anybody? */

/* Groups nest; only the outermost end emits. Outside any group an effect leaves at once. */
void effects_begin(void);
void effects_end(void);
/* The present group, if it is the outermost, only happened at the same time (keys that a read found expired): no MULTI.
 */
void effects_apart(void);
void effects_add(int db, int argc, const struct slice *argv);           /* copied when it has to wait */
void effects_add_followers(int db, int argc, const struct slice *argv); /* not for the journal: PUBLISH */

/* The effect of a command that has ended: effects_end() is what follows, with nothing between. Not copied when it is
 * the only one of its group, as nearly always. */
void effects_add_last(int db, int argc, const struct slice *argv);

/* What belongs to a change that is about to be stated (what a call has cost, to the turn that it added): it leaves with
 * the next group that ends, or alone at effects_let_go(). Copied. */
void effects_add_soon(int db, int argc, const struct slice *argv);
void effects_let_go(void);

/* on: effects are not kept (a script has asked for it with redis.set_repl), until off. */
void effects_skip(bool on);
/* Drops the group that is open, and all that still comes: the process ends in the middle of it. */
void effects_abandon(void);

/* A list of effects that a parked call keeps until it resumes. */
struct effects;
struct effects *effects_list_add(struct effects *list, int db, int argc, const struct slice *argv); /* NULL makes one */
void effects_list_emit(struct effects *list); /* as one group; frees the list; NULL allowed */

#endif
