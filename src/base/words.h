/* Words and sentences of plain text, for whatever compares texts without a model: embeddings by hashing, the extractive
 * answerer, token estimates.
 *
 * A word is a run of letters and digits (an apostrophe between letters belongs to it); each character of a script
 * written without spaces (utf8_is_cjk) is a word of its own. Everything else separates. Broken UTF-8 separates too.
 * The rules are part of what vectors in files were made with: a change of them changes those vectors.
 *
 * Thread: any; pure functions. */
#ifndef BASE_WORDS_H
#define BASE_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct word {
    struct slice text; /* as it stands in the text */
    bool cjk;          /* one character of Han, kana, hangul, ... */
};

/* The next word at or after *at, which moves past it; false at the end. Start with *at = 0. */
bool word_next(struct slice text, size_t *at, struct word *w);

/* Lower case of Latin, Greek and Cyrillic letters and full-width forms to plain ones; other characters as they are. */
uint32_t letter_lower(uint32_t cp);
/* The word in lower case as UTF-8 in `to`, cut (at a character) at max bytes; returns the length. */
size_t word_fold(struct slice word, char *to, size_t max);
/* Is this folded word one of the few dozen English or Chinese words that say nothing about the subject? */
bool word_is_stop(struct slice folded);

/* The next sentence, trimmed, never empty; *at moves past it; false at the end. A sentence ends at . ! ? (and quotes or
 * brackets that close after it) before white space, at the Chinese and Japanese stops, at an empty line, and before a
 * line that starts a list item. Numbers, initials and common abbreviations do not end one. */
bool sentence_next(struct slice text, size_t *at, struct slice *sentence);

#endif
