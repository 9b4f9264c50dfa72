/* What calls have spent and what idempotency keeps, on their way to the journal and back: the effects LLM.SPENT and
 * LLM.KEPT. They come from the journal alone; clients are refused. Thread: loop. */
#ifndef CMD_LLM_SPENT_H
#define CMD_LLM_SPENT_H

#include "cmd/cmd.h"
#include "io/loop.h"

void llm_spent_open(struct loop *l); /* once the llm is there and before the journal is opened */

void llm_spent_run(struct call *c);
void llm_kept_run(struct call *c);

#endif
