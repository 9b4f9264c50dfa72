/* Settings: what the configuration file, the command line and CONFIG GET/SET can change.
 *
 * Each module owns a const table of rows beside the variables they fill, and registers it at boot; the rows feed the
 * parser of the configuration file, CONFIG, and the sample configuration. A value is kept as the C type its kind says:
 *
 *   SETTING_BOOL  bool       "yes" | "no"
 *   SETTING_INT   int64_t    min..max
 *   SETTING_BYTES int64_t    min..max, accepts 64mb, 1gb
 *   SETTING_ENUM  int64_t    one of words[]
 *   SETTING_STR   char *     owned by the setting; never NULL after registration
 *   SETTING_CALL  none       get/set do it all (lists such as `save` or `bind`)
 *
 * Thread: loop (and boot, before other threads start). */
#ifndef BASE_SETTING_H
#define BASE_SETTING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

enum setting_kind { SETTING_BOOL, SETTING_INT, SETTING_BYTES, SETTING_ENUM, SETTING_STR, SETTING_CALL };

enum setting_flags {
    SETTING_FIXED = 1,  /* only before the server runs: CONFIG SET is refused */
    SETTING_SECRET = 2, /* never printed, not even by CONFIG GET for others than admins; not logged */
    SETTING_HIDDEN = 4, /* an old alias: accepted, not listed */
    SETTING_ALIAS = 16, /* with HIDDEN: Redis's older name of a setting, which CONFIG GET lists, too */
    SETTING_IDLE = 8,   /* kept without effect: not in the sample configuration */
};

struct setting_word {
    const char *word;
    int64_t value;
};

struct setting {
    const char *name;
    enum setting_kind kind;
    void *at;         /* the variable; NULL for SETTING_CALL */
    const char *dflt; /* as text */
    int64_t min, max;
    const struct setting_word *words; /* SETTING_ENUM; ends with a NULL word */
    unsigned flags;
    const char *help; /* one sentence for the sample configuration */
    /* SETTING_CALL: set parses and stores, get prints. Others: set is NULL. `apply` runs after a change made while the
     * server runs (not at boot); when it fails the old value is put back. */
    int (*set)(const struct setting *s, struct slice value, struct err *err);
    void (*get)(const struct setting *s, struct buf *to);
    int (*apply)(struct err *err);
};

/* Adds a table (kept, not copied) and sets every row to its default. A name that exists already is a bug: aborts. */
void setting_register(const struct setting *rows, int n);
#define SETTING_REGISTER(rows) setting_register((rows), (int)(sizeof(rows) / sizeof *(rows)))

const struct setting *setting_find(struct slice name); /* NULL when unknown; case is ignored */
/* at_boot: FIXED rows may be set and apply is not run. Errors name the setting and what would be right. */
int setting_set(const struct setting *s, struct slice value, bool at_boot, struct err *err);
void setting_get(const struct setting *s, struct buf *to);
void setting_each(void (*fn)(const struct setting *s, void *arg), void *arg); /* in order of registration */

#endif
