/* What permissions are about, as this room sees it: commands are numbers, categories are bits. cmd/ hands in the one
 * catalog at boot, before any rule is read; a command's subcommands have the numbers that follow its own.
 * Thread: loop. */
#ifndef AUTH_CATALOG_H
#define AUTH_CATALOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

struct catalog {
    int ncommands;
    int (*find)(struct slice name);    /* "get", "config|get", case ignored; -1: unknown */
    const char *(*name)(int id);       /* "config|get" */
    int (*nsubs)(int id);              /* subcommands, 0 for most */
    bool (*is_sub)(int id);
    uint32_t (*categories)(int id);
    const char *(*category)(int bit);  /* "keyspace"; NULL past the last */
};

void catalog_boot(const struct catalog *c); /* kept, not copied */
const struct catalog *catalog(void);
int catalog_category(struct slice name); /* the bit of "keyspace", case ignored; -1: unknown */

#endif
