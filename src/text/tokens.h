/* Text to search terms. Letters are folded (Unicode NFKC and case folding by utf8proc; accents of Latin, Greek and
 * Cyrillic letters go), words are stemmed by the Snowball algorithm of the index's language, and a run of Chinese,
 * Japanese or Korean characters, which has no spaces, becomes every character and every pair of neighbours.
 *
 * "Läufer running: 机器学习" in English gives laufer, run, 机, 器, 机器, 学, 器学, 习, 学习.
 *
 * Bytes that are not UTF-8 separate words. A word keeps its first TOKEN_MAX bytes.
 * Thread: any; one tokeniser is used by one thread at a time. */
#ifndef TEXT_TOKENS_H
#define TEXT_TOKENS_H

#include <stdbool.h>

#include "base/slice.h"

#define TOKEN_MAX 64

struct tokeniser;

/* `language` is a name that Snowball knows ("english", "german", ...) or "none": no stemming. NULL: unknown. */
struct tokeniser *tokeniser_create(const char *language);
void tokeniser_destroy(struct tokeniser *t); /* NULL allowed */
/* Calls token for each term, in the text's order; the slice is borrowed for the call. */
void tokeniser_run(struct tokeniser *t, struct slice text, void (*token)(void *arg, struct slice term), void *arg);

#endif
