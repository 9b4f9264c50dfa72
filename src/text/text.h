/* A text index as a library: named documents, and the k that best answer some words (BM25).
 *
 * score = sum over the query's terms of idf * tf * (k1 + 1) / (tf + k1 * (1 - b + b * length / average length)),
 * idf = ln(1 + (N - n + 0.5) / (n + 0.5)), k1 = 1.2, b = 0.75 (Robertson, Zaragoza 2009; the idf that is never
 * negative is Lucene's). Lengths count terms as tokens.h makes them.
 *
 * Threads. Changes are `loop`: they are only noted, and nobody ever waits. text_search is `any`: it applies what was
 * noted and then searches, one caller at a time per index. */
#ifndef TEXT_TEXT_H
#define TEXT_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

struct text_index;

/* ERR_INVALID: no such language (see tokens.h). */
int text_create(struct text_index **out, const char *language, struct err *err);
struct text_index *text_ref(struct text_index *t); /* any; returns t */
void text_unref(struct text_index *t);             /* any; NULL allowed */

/* The document's text is this from now on; empty takes the document out. Both are copied. loop */
void text_put(struct text_index *t, struct slice name, struct slice text);
/* Bytes of changes that wait for a search to apply them. loop */
size_t text_waiting(struct text_index *t);
/* All memory, as it was after the last search, and what waits. Does not wait for a search. any */
size_t text_bytes(struct text_index *t);

struct text_hit {
    struct slice name; /* owned by the result */
    double score;
};
struct text_result {
    struct text_hit *hits; /* best first; equal ones in the order in which they were put */
    uint32_t count;
    char *names; /* private */
};
/* any; r owns copies. k >= 1. A query without a known term finds nothing. */
void text_search(struct text_index *t, struct slice query, uint32_t k, struct text_result *r);
void text_result_release(struct text_result *r);

struct text_stats {
    uint64_t documents, terms;
    uint64_t tokens; /* of all documents */
    uint64_t bytes;  /* of memory */
    uint64_t dead;   /* documents gone whose postings are not yet swept */
};
void text_stats(struct text_index *t, struct text_stats *s); /* any; applies what waits first */

#endif
