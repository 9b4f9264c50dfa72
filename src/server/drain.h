/* The time between the order to stop and the end: calls to models are ended and what they had brought is kept, their
 * clients are told, answers that wait for the disk leave. The loop turns on meanwhile; what would write waits, as under
 * CLIENT PAUSE WRITE, so a snapshot that was just saved stays whole. Thread: loop. */
#ifndef SERVER_DRAIN_H
#define SERVER_DRAIN_H

#include <stdbool.h>

#include "io/loop.h"

void drain_settings(void); /* shutdown-timeout */
/* False: nothing is under way, stop at once. True: over() is called when nothing is left, or after shutdown-timeout; a
 * client that does not read its last answer is waited for a second at most. */
bool drain_begin(struct loop *l, void (*over)(void));
void drain_end(void); /* also when it has not begun */

#endif
