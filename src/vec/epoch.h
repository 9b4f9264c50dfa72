/* When memory that readers may still be looking at can be used again (epoch-based reclamation, Fraser 2004).
 *
 * A reader brackets its search with begin/end. The writer unlinks a thing, notes epoch_retire(), and uses its memory
 * again once epoch_passed() says that every reader inside began later. One set of reader slots serves all indexes of
 * the process: a long search delays reuse elsewhere, which costs memory, never correctness.
 *
 * Thread: any; nobody waits, unless more than EPOCH_READERS searches run at the same instant. */
#ifndef VEC_EPOCH_H
#define VEC_EPOCH_H

#include <stdbool.h>
#include <stdint.h>

#define EPOCH_READERS 256

int epoch_begin(void); /* a ticket for epoch_end */
void epoch_end(int ticket);

uint64_t epoch_retire(void);      /* after unlinking: the mark to ask about later; grows */
bool epoch_passed(uint64_t mark); /* can nobody see what was unlinked before `mark` was taken? */

#endif
