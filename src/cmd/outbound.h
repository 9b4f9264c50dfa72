/* The one HTTP client and the one struct llm of a server, for the commands and rooms that call outwards. Thread: loop.
 */
#ifndef CMD_OUTBOUND_H
#define CMD_OUTBOUND_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "io/job.h"
#include "io/loop.h"

struct http_client;
struct llm;

void outbound_settings(void);
int outbound_open(struct loop *l, struct job_pool *pool, struct err *err);
void outbound_drain(void);    /* no new calls; those that are under way end, and what has come of them is kept */
size_t outbound_calls(void);  /* that are under way */
void outbound_stop(void);     /* the loop stops */
bool outbound_stopping(void); /* the journal may be closed: what ends from now on changes nothing */
void outbound_close(void);    /* every call that is left ends */

struct http_client *outbound_http(void);
struct llm *outbound_llm(void);

#endif
