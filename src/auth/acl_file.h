/* Users as text: lines of `user <name> <rule> ...`, in the configuration file and in the file of the setting `aclfile`.
 * Thread: loop; reading and writing wait for the disk, which is for boot and for ACL LOAD and ACL SAVE. */
#ifndef AUTH_ACL_FILE_H
#define AUTH_ACL_FILE_H

#include "auth/user_set.h"

/* Adds the users of the text to the set (`default` may be there already and is changed). Every bad line is named in the
 * error, as `name:line: what is wrong`. On failure the set may hold some of them. */
int acl_text_read(struct user_set *s, struct slice text, const char *name, struct err *err);
int acl_file_read(struct user_set *s, const char *path, struct err *err);
/* The old file stays until the new one is complete and on disk. */
int acl_file_write(const struct user_set *s, const char *path, struct err *err);

#endif
