/* The command table: every row by name, with its statistics. Thread: loop. */
#ifndef CMD_TABLE_H
#define CMD_TABLE_H

#include "base/histogram.h"
#include "cmd/cmd.h"
#include "cmd/key_spec.h"

struct cmd_entry {
    const struct cmd *cmd;
    struct cmd_entry *parent; /* NULL for a top-level command */
    const char *group;
    int id; /* 0 .. table_ids()-1; a command's subcommands have the ids that follow its own */
    struct key_specs keys;
    uint64_t calls, usec, rejected, failed; /* for INFO commandstats */
    struct histogram *times;                /* NULL: never called, or not kept */
    struct dict subs;                       /* struct cmd_entry * */
    char name[];                            /* "config|get" */
};

void table_boot(void);
struct cmd_entry *table_find(struct slice name);                         /* top level; NULL when unknown */
struct cmd_entry *table_find_sub(struct cmd_entry *parent, struct slice name);
struct cmd_entry *table_find_full(struct slice name);                    /* "config|get" too */
void table_each(void (*fn)(struct cmd_entry *e, void *arg), void *arg);  /* top level only */
size_t table_count(void);
struct cmd_entry *table_by_id(int id);
int table_ids(void); /* how many, subcommands included */

/* The key positions of one command line. Returns how many were written to pos (room CMD_MAX_KEYS), -1 for bad arguments. */
int table_keys(const struct cmd *cmd, int argc, const struct slice *argv, int *pos);
bool cmd_arity_ok(const struct cmd *cmd, int argc);

#endif
