/* The text side of a vector set: a text index (text/) over one attribute of its elements, for searches by words.
 *
 * It is made when it is first asked for, from all elements, in slices; from then on changes of elements are passed on
 * to it. It is not saved. When more changes wait than a search will want to apply it is dropped and made again the next
 * time. Thread: loop; the text index itself may be searched by workers that hold a reference. */
#ifndef STORE_VSET_TEXT_H
#define STORE_VSET_TEXT_H

#include "base/buf.h"
#include "store/vset.h"
#include "text/text.h"

/* Goes on making it until the monotonic time until_us (0: to the end). 1: it has every element; 0: call again;
 * negative: the set's language is unknown. */
int vset_text_make(struct vset *s, int64_t until_us, struct err *err);
/* The string under `name` in an element's attributes, at most `max` bytes of it, appended to `to`. False: there is
 * none, or it is empty. */
bool vset_text_of(struct slice attributes, const char *name, size_t max, struct buf *to);
const char *vset_text_attr(const struct vset *s); /* the set's text attribute */
/* An element was added, changed or removed. */
void vset_text_changed(struct vset *s, struct slice name);
void vset_text_drop(struct vset *s);

#endif
