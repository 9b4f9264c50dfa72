/* Streams: entries of fields and values, in the order of their ids, appended at the end and taken away anywhere.
 *
 * An id is two 64-bit numbers, <ms>-<seq>; each new one is greater than all before, also those deleted since. Entries
 * lie in nodes of up to stream-node-max-bytes, in Redis's stream listpack format (drawn in t_stream.c), so that what is
 * saved is what is in memory. Nodes stand in an array ordered by their first id: an id is found by binary search and a
 * walk through one node.
 *
 * `o` is always an object of type OBJ_STREAM; it does not move here. A stream may be empty and still be a value: it
 * remembers its last id. Slices given back are borrowed until the stream changes, except that integers are written into
 * the caller's tmp.
 *
 * Thread: loop; stream_ops' free: any. */
#ifndef STORE_T_STREAM_H
#define STORE_T_STREAM_H

#include "store/obj.h"
#include "store/sid.h"
#include "store/stream_group.h"

struct value stream_new(void);

struct stream_info {
    uint64_t length, added; /* added: over the whole life of the stream */
    struct sid last, first, max_deleted;
    size_t nodes;
};
struct stream_info stream_info(const struct obj *o);

/* Appends n pairs: field, value, field, value... The id is greater than info.last. False: too large for a node. */
bool stream_append(struct obj *o, struct sid id, const struct slice *pairs, size_t n);
bool stream_delete(struct obj *o, struct sid id); /* false: there is no such entry */

/* Drops entries from the beginning until `maxlen` are left, or none is below `minid`. */
struct stream_trim {
    bool by_id, approx; /* approx: whole nodes only, and no more than `limit` entries (0: any number) */
    uint64_t maxlen, limit;
    struct sid minid;
};
uint64_t stream_trim(struct obj *o, const struct stream_trim *t); /* how many were dropped */

/* XSETID. added below 0 and a NULL max_deleted leave what there is. */
void stream_set_id(struct obj *o, struct sid last, int64_t added, const struct sid *max_deleted);

/* Consumer groups; the stream's own, see stream_group.h. */
struct stream_groups *stream_groups_of(const struct obj *o);
/* How many entries of the stream's whole life come up to and with the id; STREAM_READ_UNKNOWN when deletions (other than
 * trims) leave that open. */
int64_t stream_position(const struct obj *o, struct sid id);
bool stream_broken_after(const struct obj *o, struct sid id); /* an entry at or after the id may have been deleted */

int64_t stream_node_entries(void); /* the setting stream-node-max-entries */

/* Entries from `from` to `to`, both included, in their order or (back) against it:
 *   for (stream_iter_begin(&it, o, from, to, back); stream_iter_next(&it);)
 *       it.id, it.fields pairs: each stream_iter_pair(&it, &field, ftmp, &value, vtmp)
 * The stream must not change meanwhile. */
struct stream_entry { /* private */
    const uint8_t *flags_at, *body, *end;
    int64_t flags;
};
struct stream_iter {
    struct sid id;
    int64_t fields;
    /* private */
    const struct stream *s;
    struct sid from, to;
    bool back;
    size_t node;
    const uint8_t *at; /* forward: the flags of the entry to come; back: its last element */
    struct stream_entry entry;
    const uint8_t *name, *value;
};
void stream_iter_begin(struct stream_iter *it, const struct obj *o, struct sid from, struct sid to, bool back);
bool stream_iter_next(struct stream_iter *it);
void stream_iter_pair(struct stream_iter *it, struct slice *field, char ftmp[NUM_I64_MAX], struct slice *value,
                      char vtmp[NUM_I64_MAX]);

#endif
