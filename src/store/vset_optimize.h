/* A vector set's graph built again in the background, while the set is read and changed: what VOPTIMIZE does.
 *
 * The set's index is rebuilt (vec/rebuild.h) by short jobs on a pool, so that searches in the same pool get their turn.
 * Meanwhile every change is made to the old index and its name noted (vset_note); when the new index is whole the noted
 * elements are carried over, again by a worker, until so few are left that the loop does them and puts the new index in
 * the old one's place, in one turn. Who holds a reference to the old one finishes on it.
 *
 * Nothing of this is journaled: what the set says stays the same. It ends without effect when the set leaves the
 * keyspace or the pool goes down. Thread: loop. */
#ifndef STORE_VSET_OPTIMIZE_H
#define STORE_VSET_OPTIMIZE_H

#include "io/job.h"
#include "store/vset.h"

struct vset_optimize;

/* ERR_STATE: it runs already, or the set is on a file; ERR_OOM. ef as in vec_rebuild_create. */
int vset_optimize_start(struct vset *s, struct job_pool *pool, uint32_t ef, struct err *err);
void vset_optimize_cancel(struct vset *s); /* nothing runs: nothing happens */
int vset_optimize_percent(const struct vset *s);
/* The element was added, changed or removed. */
void vset_optimize_note(struct vset_optimize *o, struct slice name);

#endif
