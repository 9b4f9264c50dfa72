/* Configuration: the file and the command line, in Redis's syntax, into the registered settings. Thread: boot. */
#ifndef SERVER_CONFIG_H
#define SERVER_CONFIG_H

#include "base/err.h"

/* skald [file] [--name value ...]: options override the file. Errors name the line or option, the reason, and stop the
 * start. */
int config_load(int argc, char **argv, struct err *err);
/* Prints every setting with its default and its help as a commented configuration file (skald --sample-config). */
void config_print_sample(void);
/* Splits a line into words, with Redis's quoting: "a \n\x00", 'b'. Returns the count (words are mem_alloc'ed), -1 for
 * unbalanced quotes. */
int config_split(const char *line, char **words, int max);

#endif
