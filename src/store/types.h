/* The value types that live in the store itself: one row each in types.c. Rooms above bring theirs by type_register. */
#ifndef STORE_TYPES_H
#define STORE_TYPES_H

#include "store/obj.h"

extern const struct type_ops string_ops, hash_ops, list_ops, set_ops, zset_ops, stream_ops;

void hash_settings(void);   /* registers hash-max-listpack-* */
void list_settings(void);   /* registers list-max-listpack-size, list-compress-depth */
void set_settings(void);    /* registers set-max-* */
void zset_settings(void);   /* registers zset-max-listpack-* */
void stream_settings(void); /* registers stream-node-max-* */

void types_boot(void); /* registers all of them with their settings; once, at boot. Thread: loop */

#endif
