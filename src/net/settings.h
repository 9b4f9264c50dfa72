/* The settings of connections: limits and TCP options. They fill conn_limits (net/conn.h). Thread: loop, boot. */
#ifndef NET_SETTINGS_H
#define NET_SETTINGS_H

#include "base/setting.h"

extern const struct setting net_settings[];
void net_register_settings(void); /* once, at boot */

#endif
