/* The state of a model's keys: which of them rest, after the vendor refused them, until when and why.
 *
 * A key that rests is not used; it comes back when its time is over, or when its text has become another one (a key
 * file that was rotated). Pure: the time is given, milliseconds, monotonic. Thread: the owner's. */
#ifndef LLM_KEYRING_H
#define LLM_KEYRING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "llm/failure.h"

#define KEYS_MAX 16

struct keyring {
    struct key_state {
        int64_t until_ms; /* rests until then; 0: does not */
        enum llm_class why;
        uint64_t print; /* of the text that was refused */
    } keys[KEYS_MAX];
    unsigned next; /* round robin */
};

uint64_t key_print(struct slice text);
void keyring_rest(struct keyring *k, int key, enum llm_class why, uint64_t print, int64_t until_ms);
bool keyring_rests(struct keyring *k, int key, int64_t now_ms);
/* The order in which n keys are to be tried: round robin, or always the same for the same `sticky`. */
void keyring_order(struct keyring *k, int n, struct slice sticky, int *order);
/* When the first of n keys comes back, in ms from now; 0 when one does not rest. *why: of that one. */
int64_t keyring_wait(struct keyring *k, int n, int64_t now_ms, enum llm_class *why);
int keyring_resting(struct keyring *k, int n, int64_t now_ms);

#endif
