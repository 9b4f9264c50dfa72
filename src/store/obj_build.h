/* The inside of objects: for db.c alone, which owns when an object is made, moved and freed. Thread: loop. */
#ifndef STORE_OBJ_BUILD_H
#define STORE_OBJ_BUILD_H

#include "store/obj.h"

struct obj *obj_build(struct slice key, struct value v, int64_t expire); /* takes v over; strings are encoded here */
struct value obj_value(const struct obj *o); /* the value, to be built into another object; strings borrow from o */
/* Writes s over an embedded string when it fits the allocation and does not waste half of it; false: rebuild. */
bool obj_overwrite(struct obj *o, struct slice s);
size_t obj_head_bytes(size_t klen, bool expires);
void obj_write_head(struct obj *o, struct slice key, int64_t expire);
void value_free(uint8_t type, uint8_t enc, void *ptr); /* what v.ptr points at; no-op for strings without a pointer */

#endif
