/* Libraries of functions: texts that FUNCTION LOAD has run once and that registered functions by name.
 *
 * A set is what is loaded at one time. There is one in use; RESTORE fills another one first, so that a payload with one bad
 * library changes nothing. All live in one engine: a library is its chunks in there.
 *
 * Thread: loop. */
#ifndef CMD_FUNCTION_LIB_H
#define CMD_FUNCTION_LIB_H

#include "base/dict.h"
#include "base/err.h"
#include "base/list.h"
#include "script/engine.h"

struct library {
    struct slice name, code; /* owned */
    struct list functions;   /* struct function, by link */
    int n;
};

struct function {
    struct library *of;
    struct list link;
    struct slice name, about; /* owned; about.p NULL: none */
    unsigned flags;
    int chunk;
};

struct library_set {
    struct dict libraries; /* by name */
    struct dict functions; /* by name, case ignored */
    size_t bytes;          /* of texts and names */
};

void library_set_init(struct library_set *s);
void library_set_release(struct library_set *s, struct engine *e);

/* Checks the header, "#!lua name=x". *name lies in words, which is the caller's, empty and bounded. */
int library_header(struct slice code, struct slice *name, struct buf *words, struct err *err);
/* Runs the text. *out belongs to no set. ERR_GENERIC with Redis's sentences. limit_ms: how long it may run. */
int library_make(struct engine *e, struct slice code, int64_t limit_ms, struct library **out, struct err *err);
void library_destroy(struct library *l, struct engine *e); /* NULL allowed */

/* Adds it. With replace a library of its name goes; otherwise that, and any function of the same name in another library,
 * is an error and nothing has changed. */
int library_add(struct library_set *s, struct library *l, bool replace, struct engine *e, struct err *err);
bool library_delete(struct library_set *s, struct slice name, struct engine *e); /* false: there is none */
/* Adds all of `from`, or none; from is empty afterwards when all were added. */
int library_join(struct library_set *to, struct library_set *from, bool replace, struct engine *e, struct err *err);

struct function *function_find(struct library_set *s, struct slice name);

#endif
