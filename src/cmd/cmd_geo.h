/* What the files of the geo family share: cmd_geo.c (adding, positions, distances), cmd_geo_search.c (what lies in an
 * area). A set of places is a sorted set whose scores store/geo.h reads. Thread: loop. */
#ifndef CMD_CMD_GEO_H
#define CMD_CMD_GEO_H

#include "cmd/cmd_zset.h"
#include "store/geo.h"

/* Each replies the error itself and returns false. */
bool geo_arg_point(struct call *c, int i, struct geo_point *p); /* longitude, latitude at argv[i] and argv[i + 1] */
bool geo_arg_unit(struct call *c, int i, double *metres);       /* m, km, ft, mi */

bool geo_member(const struct obj *o, struct slice member, struct geo_point *p); /* false: absent */
void geo_reply_point(struct call *c, struct geo_point p);
void geo_reply_distance(struct call *c, double distance);

#define GEO_KEY .acl = ACL_GEO, .first = 1, .last = 1, .step = 1

#endif
