/* VSEARCH ... RERANK: what a search has found, put into the order that a rerank model gives to the elements' texts.
 *
 * Texts are strings in the elements' attributes. Who has none stands behind those who have, in the search's own order.
 * Thread: loop. */
#ifndef CMD_VRERANK_H
#define CMD_VRERANK_H

#include "cmd/vector_args.h"
#include "vec/vec.h"

/* How many a search should find for `count` to be the best of them. */
uint32_t vrerank_candidates(int64_t count);

/* done comes once: err NULL, and found's hits in the new order with the model's scores (0 for those without a text),
 * cut to `count`; or why not, found as it was. */
struct vrerank;
typedef void vrerank_done(void *arg, const struct err *err);
struct vrerank_ask {
    struct slice model, query;
    const char *attr;         /* where the texts are */
    struct vec_result *found; /* with attributes; the caller's, and there until done */
    uint32_t count;
};
/* NULL: err says why, done does not come. ERR_INVALID: none of the elements has a text. */
struct vrerank *vrerank_start(const struct vrerank_ask *q, const struct call *c, vrerank_done *done, void *arg,
                              struct err *err);
void vrerank_cancel(struct vrerank *v); /* done still comes */

#endif
