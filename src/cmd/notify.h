/* Keyspace notifications: what happened to a key, published on two channels, as notify-keyspace-events asks.
 *
 *   __keyspace@<db>__:<key>    the event    (class K)
 *   __keyevent@<db>__:<event>  the key      (class E)
 *
 * Thread: loop. */
#ifndef CMD_NOTIFY_H
#define CMD_NOTIFY_H

#include "store/db.h"

void notify_settings(void); /* registers notify-keyspace-events */
void notify_event(enum notify_class cls, const char *event, struct slice key, int db);

#endif
