/* Arguments that nobody is shown: passwords, providers' keys, the rules of users. SLOWLOG and MONITOR ask.
 *
 * And the commands that the journal and followers get, LLM.MODEL SET: its keys are sealed there (auth/seal.h), those
 * that are references (env:, file:) stay as they are. Thread: loop. */
#ifndef CMD_SECRET_H
#define CMD_SECRET_H

#include <stdbool.h>

#include "base/err.h"
#include "base/slice.h"

bool secret_argument(int argc, const struct slice *argv, int i);

struct secret_words {
    int n;
    struct slice *v; /* the command's words; what was sealed or opened is its own, the others are borrowed */
    char *owned;     /* one mark a word */
};
/* The words with the keys sealed. An error of seal_text; nothing is to be released then. Also for a compaction's child.
 */
int secret_seal(int argc, const struct slice *argv, struct secret_words *to, struct err *err);
/* The words with the keys opened. One that cannot be opened stays sealed, with a warning in the log. */
void secret_open(int argc, const struct slice *argv, struct secret_words *to);
void secret_release(struct secret_words *w);               /* wipes what was its own */
bool secret_is_sealed(int argc, const struct slice *argv); /* is one of its keys sealed? */

#endif
