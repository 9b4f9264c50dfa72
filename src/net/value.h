/* A reply as a tree: what a command that was run from inside answered, or what a server sent to a client of ours.
 *
 * Pure parser for RESP2 and RESP3: bytes in; consumed, need more, or error out. Bounded: RV_DEPTH levels, and never
 * more nodes than the bytes can hold. Strings are copied, so the tree outlives the bytes. Thread: any. */
#ifndef NET_VALUE_H
#define NET_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

#define RV_DEPTH 32

enum resp_kind {
    RV_NIL,
    RV_STRING, /* bulk, verbatim (without its format) and big numbers */
    RV_STATUS,
    RV_ERROR, /* "ERR no such key" in str */
    RV_INT,
    RV_DOUBLE,
    RV_BOOL,
    RV_ARRAY,
    RV_MAP, /* n counts keys and values: item[0] key, item[1] value, ... */
    RV_SET,
    RV_PUSH,
};

struct resp_value {
    enum resp_kind kind;
    struct slice str; /* NUL-terminated; STRING, STATUS, ERROR */
    int64_t num;      /* INT, BOOL */
    double real;      /* DOUBLE, and INT as a double */
    size_t n;
    struct resp_value *item;
};

/* Returns the bytes consumed, 0 when more are needed, or ERR_INVALID. The tree is the caller's (resp_value_release)
 * when bytes were consumed; otherwise *out is nil and holds nothing. */
int64_t resp_value_parse(struct slice in, struct resp_value *out, struct err *err);
void resp_value_release(struct resp_value *v); /* frees what it holds, not v; a nil afterwards */

/* The value of a key in a map, or in the flat array that RESP2 makes of one; NULL when absent. Borrowed. */
const struct resp_value *resp_value_get(const struct resp_value *map, const char *key);
/* A number, also when it came as text; dflt for anything else. */
double resp_value_num(const struct resp_value *v, double dflt);
/* An error reply as a struct err: the class word becomes the code. Returns the code, 0 when v is no error. */
int resp_value_err(const struct resp_value *v, struct err *err);

#endif
