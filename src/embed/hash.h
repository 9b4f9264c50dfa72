/* builtin/hash: text to a unit vector by hashed n-grams. No weights, no network, no randomness.
 *
 * What it is: a bag of words and of pieces of words, each hashed to signed places of the vector ("the hashing trick").
 * Texts that share words or word stems come out near each other, in any language; it knows no synonyms and no meaning.
 * Good for search by words with misspellings and inflections, for tests and demonstrations; a trained model is better
 * wherever one can be had.
 *
 * The same text and dimension give the same bits on every machine and in every version: the sums are whole numbers.
 *
 * Thread: any. About 6 MB of text a second. */
#ifndef EMBED_HASH_H
#define EMBED_HASH_H

#include <stddef.h>

#include "base/err.h"
#include "base/slice.h"

#define EMBED_HASH_DIM      384
#define EMBED_HASH_DIM_MIN  16
#define EMBED_HASH_DIM_MAX  8192
#define EMBED_HASH_TEXT_MAX (1u << 20)

/* Fills out[dim] with a vector of length 1. ERR_INVALID, and out untouched, for a text without a letter or digit, one
 * over EMBED_HASH_TEXT_MAX bytes, one that is not UTF-8, or a dimension out of range. */
int embed_hash(struct slice text, float *out, int dim, struct err *err);

#endif
