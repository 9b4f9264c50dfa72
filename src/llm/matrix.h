/* What each provider supports, found out and not written down: every row is asked to write the body of a request that
 * has the feature, and what it does with it is the answer. Thread: any. */
#ifndef LLM_MATRIX_H
#define LLM_MATRIX_H

#include "base/buf.h"
#include "llm/provider.h"

/* "yes" (sent on), "mapped" or "dropped" (with a note), "refused", "ignored" (it left no trace: a bug), "-" (the
 * provider cannot do the kind at all). Static. */
const char *llm_matrix_cell(const struct llm_provider *p, int feature);
const char *llm_matrix_feature(int feature); /* its name; NULL after the last */

void llm_matrix(struct buf *to); /* all of it as a Markdown table */

#endif
