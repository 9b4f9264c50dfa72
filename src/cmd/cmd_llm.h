/* What the files of the llm family share: cmd_llm.c has the rows, cmd_llm_chat.c the calls. Thread: loop. */
#ifndef CMD_CMD_LLM_H
#define CMD_CMD_LLM_H

#include "cmd/cmd.h"
#include "cmd/durable.h"

void llm_cmd_boot(void); /* what the journal must write for the registry of models */

struct loop;
void llm_account_settings(void);
void llm_account_open(struct loop *l); /* once outbound_llm is there, before the journal is opened */

void llm_info_boot(void); /* INFO models */

#define LLM_ROUTE_NSUBS 6
extern const struct cmd llm_route_subs[LLM_ROUTE_NSUBS]; /* cmd_llm_route.c */
int llm_routes_emit(durable_write *write, void *to);

void llm_chat_run(struct call *c);
void llm_ask_run(struct call *c);
void llm_raw_run(struct call *c);
void llm_embed_run(struct call *c);
int llm_raw_keys(int argc, const struct slice *argv, int *pos);

#endif
