/* What we are, and which Redis we answer as. */
#ifndef SERVER_VERSION_H
#define SERVER_VERSION_H

#define SKALD_VERSION "0.1.0"
#define REDIS_VERSION "7.2.4"

#endif
