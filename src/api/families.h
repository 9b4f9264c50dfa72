/* The families of routes, defined each in its own file and listed in api.c. */
#ifndef API_FAMILIES_H
#define API_FAMILIES_H

#include "api/api.h"

extern const struct api_family api_health;  /* /healthz, /readyz */
extern const struct api_family api_metrics; /* /metrics */

extern const char *(*api_why_not_ready)(void); /* NULL: always ready; api_set_ready */

#endif
