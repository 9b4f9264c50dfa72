/* Text to a vector for the commands that take TEXT: with the built-in embedder at once, with a model over the network
 * later. Thread: loop. */
#ifndef CMD_EMBED_TEXT_H
#define CMD_EMBED_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

/* Is the model one that answers at once? model NULL is builtin/hash. */
bool embed_text_is_local(const char *model);
uint32_t embed_text_dim(const char *model); /* the dimension to make a new set with; 0: known only from an answer */

/* done gets either x (dim floats, borrowed) or err; for a local model before this returns. dim 0: the model's own.
 * Returns a handle for embed_text_cancel, NULL when done was already called. */
struct embed_call;
typedef void embed_text_done(void *arg, const float *x, uint32_t dim, const struct err *err);
struct embed_call *embed_text(const char *model, struct slice text, uint32_t dim, embed_text_done *done, void *arg);
void embed_text_cancel(struct embed_call *e); /* done still comes; NULL allowed */

#endif
