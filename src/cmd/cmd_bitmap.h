/* What the bit commands share with BITFIELD, which is in a file of its own. Thread: loop. */
#ifndef CMD_CMD_BITMAP_H
#define CMD_CMD_BITMAP_H

#include "base/num.h"
#include "cmd/call.h"

/* The offset in argv[i], in bits; `#n` is n times the width, when one is given (not 0). False: the error is replied. */
bool bitmap_offset(struct call *c, int i, int width, uint64_t *out);
/* The string under argv[i], s->p NULL when absent. False: it is something else, the error is replied. */
bool bitmap_read(struct call *c, int i, struct slice *s, char tmp[NUM_I64_MAX]);
/* Opens the string under argv[1] so that bit `last` can be written; *grew: the key or that byte was not there before.
 */
bool bitmap_open(struct call *c, uint64_t last, char **p, bool *grew);

/* Handlers in cmd_bitfield.c. */
void bitmap_field(struct call *c);
void bitmap_field_ro(struct call *c);

#endif
