/* How many tokens a model will make of a text: an estimate by the shapes of words, without a vocabulary.
 *
 * Byte-pair vocabularies agree closely enough for budgets and context windows: a common word is one token and a long
 * one a few; three digits, a run of punctuation, a run of line breaks are one; a CJK character is one; words of other
 * alphabets are about one per three letters. For English prose this comes out near one token per four bytes, usually
 * within 15 percent of what the large vendors count. A count that a provider reports always wins over it.
 *
 * Thread: any; pure. */
#ifndef LLM_TOKENS_H
#define LLM_TOKENS_H

#include <stdint.h>

#include "base/slice.h"

#define TOKENS_PER_MESSAGE 4 /* what a chat template adds around each message, about */

int64_t tokens_estimate(struct slice text);

#endif
