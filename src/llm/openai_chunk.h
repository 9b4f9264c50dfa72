/* The chunk that nearly all of a stream is made of, read without a tree: one choice of index 0 with a bit of text, no
 * end, no usage, no tools, no error. Pure. Thread: any. */
#ifndef LLM_OPENAI_CHUNK_H
#define LLM_OPENAI_CHUNK_H

#include <stdbool.h>

#include "base/slice.h"

struct openai_chunk {
    struct slice model;
    struct slice content, reasoning; /* as they are written: see json_unescape */
};

/* False: it is another kind of chunk, or none; parse it. The slices are of `json`. */
bool openai_chunk_read(struct slice json, struct openai_chunk *to);

#endif
