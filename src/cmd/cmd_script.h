/* EVAL's and FUNCTION's part in boot and in INFO. Thread: loop. */
#ifndef CMD_CMD_SCRIPT_H
#define CMD_CMD_SCRIPT_H

#include <stddef.h>

void eval_boot(void); /* after script_boot */
void function_boot(void);
size_t script_cache_bytes(void);
size_t script_engine_bytes(void);

#endif
