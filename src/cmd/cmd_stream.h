/* What the files of the stream family share: cmd_stream.c (adding, trimming, ranges), cmd_stream_read.c (XREAD, XREADGROUP),
 * cmd_stream_group.c (groups, what is pending in them), cmd_stream_claim.c (taking over what others left),
 * cmd_stream_info.c. Thread: loop. */
#ifndef CMD_CMD_STREAM_H
#define CMD_CMD_STREAM_H

#include "cmd/cmd.h"
#include "store/t_stream.h"

/* The stream under argv[key], NULL when absent; *wrong: it is something else, the error is replied. */
struct obj *stream_arg_read(struct call *c, int key, bool *wrong);
struct obj *stream_arg_write(struct call *c, int key, bool *wrong);

/* An id of argv[i]; false: the error is replied. any_seq as sid_parse. */
bool stream_parse_id(struct call *c, int i, struct sid *id, bool *any_seq);
/* One end of an interval: "-", "+", an id, or "(" and an id to leave that one out. */
bool stream_parse_bound(struct call *c, int i, bool start, struct sid *id);

void stream_reply_id(struct call *c, struct sid id);
void stream_reply_entry(struct call *c, struct stream_iter *it);

struct stream_range {
    struct sid from, to;
    bool back;
    int64_t count; /* 0: all */
};
void stream_reply_range(struct call *c, const struct obj *o, const struct stream_range *r);

/* ---- groups ---- */

/* The group that argv names, for commands that need one: NULL: the error (WRONGTYPE, NOGROUP) is replied. */
struct stream_group *stream_arg_group(struct call *c, int key, int group, struct obj **o);

/* The consumer under its name, made (with its event and its effect) when absent. */
struct stream_consumer *stream_consumer_get(struct call *c, struct slice key, struct stream_group *g, struct slice name);

/* The effect of giving entries to a consumer: XCLAIM with all facts stated. Entries that come one after the other and have
 * the same facts share one. What is given must stay until the end. */
#define STREAM_GIVEN_MAX 64
struct stream_given {
    struct call *c;
    struct slice key;
    const struct stream_group *group;
    const struct stream_consumer *to;
    int64_t given_ms;
    uint64_t times;
    int n;
    struct sid ids[STREAM_GIVEN_MAX];
};
void stream_given_begin(struct stream_given *d, struct call *c, struct slice key, const struct stream_group *g);
void stream_given_add(struct stream_given *d, const struct stream_pending *p); /* counts as a change, too */
void stream_given_end(struct stream_given *d);

/* The effect of how far a group has come. */
void stream_effect_position(struct call *c, struct slice key, const struct stream_group *g);

#endif
