/* Configuration: the file and the command line, in Redis's syntax, into the registered settings. Thread: boot. */
#ifndef SERVER_CONFIG_H
#define SERVER_CONFIG_H

#include "base/err.h"

/* skald [file] [--name value ...]: options override the file. Errors name the line or option, the reason, and stop the
 * start. */
int config_load(int argc, char **argv, struct err *err);
/* The file's absolute path; empty: there is none (or standard input). */
const char *config_file(void);
/* Writes the settings as they are now into that file: what stands there keeps its place, its comments and its order; a
 * setting that does not stand there is added at the end when it is not at its default. The old file is there whole until
 * the new one is on disk. Waits for the disk (a file of some kilobytes). */
int config_rewrite(struct err *err);
/* Prints every setting with its default and its help as a commented configuration file (skald --sample-config). */
void config_print_sample(void);
/* Splits a line into words, with Redis's quoting: "a \n\x00", 'b'. Returns the count (words are mem_alloc'ed), -1 for
 * unbalanced quotes. */
int config_split(const char *line, char **words, int max);

#endif
