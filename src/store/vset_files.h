/* What vset.c and vset_files.c share; nobody else includes this. Thread: loop. */
#ifndef STORE_VSET_FILES_H
#define STORE_VSET_FILES_H

#include "store/vset.h"

int vset_file_create(struct vset *s, const struct vec_config *c, struct err *err);
/* When there is no file: an empty index in memory, marked missing. */
int vset_file_open(struct vset *s, const struct vec_config *c, struct err *err);
void vset_file_drop(struct vset *s); /* the key is gone: the file goes when that is on disk; in memory: nothing */

#endif
