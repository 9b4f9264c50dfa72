/* Arguments that nobody is shown: passwords, providers' keys, the rules of users. SLOWLOG and MONITOR ask.
 * Thread: loop. */
#ifndef CMD_SECRET_H
#define CMD_SECRET_H

#include <stdbool.h>

#include "base/slice.h"

bool secret_argument(int argc, const struct slice *argv, int i);

#endif
