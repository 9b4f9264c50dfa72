/* ACL categories by name, and which ones a command is in. Thread: any. */
#ifndef CMD_ACL_CAT_H
#define CMD_ACL_CAT_H

#include "cmd/cmd.h"

const char *acl_category(int bit); /* "keyspace" for bit 0; NULL past the last */
uint32_t acl_categories(const struct cmd *cmd); /* those of the row and those that its flags imply */

#endif
