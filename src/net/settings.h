/* The settings of connections (limits and TCP options; they fill conn_limits) and their INFO rows (out of conn_stats).
 * Thread: loop, boot. */
#ifndef NET_SETTINGS_H
#define NET_SETTINGS_H

#include "base/setting.h"

extern const struct setting net_settings[];
void net_register_settings(void); /* once, at boot */
void net_register_info(void);     /* once, at boot */

#endif
