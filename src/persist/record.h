/* A journal record: one command as a RESP2 array of bulk strings, the form in which Redis writes its append-only file.
 *
 * record_parse is a pure function over bytes, so it is fuzzed and knows no files. Thread: any. */
#ifndef PERSIST_RECORD_H
#define PERSIST_RECORD_H

#include "base/buf.h"
#include "base/slice.h"

enum record_state {
    RECORD_OK,   /* `size` bytes are one record; argc 0 is an annotation line ("#TS:..."), to be skipped */
    RECORD_MORE, /* a prefix of a record; it has at least `need` bytes in all */
    RECORD_BAD,  /* no continuation makes a record of it; `bad_at` is the first wrong byte, `why` says what is wrong */
};

/* {0} before first use; reused from parse to parse; argv points into the parsed bytes. */
struct record {
    int argc;
    struct slice *argv;
    size_t size, need, bad_at;
    const char *why;
    int cap; /* private */
};

enum record_state record_parse(struct record *r, const char *p, size_t n);
void record_release(struct record *r);

/* Appends one command; argc >= 1. The caller bounds the buffer. */
void record_encode(struct buf *to, int argc, const struct slice *argv);
void record_encode_select(struct buf *to, int db);

#endif
