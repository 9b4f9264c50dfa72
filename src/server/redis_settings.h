/* Settings of Redis that have nothing to set here, so that a redis.conf that works there is read here. Thread: boot. */
#ifndef SERVER_REDIS_SETTINGS_H
#define SERVER_REDIS_SETTINGS_H

void redis_settings(void); /* after all other settings are registered: those that exist are left alone */

#endif
