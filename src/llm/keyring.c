#include "llm/keyring.h"

#include "base/hash.h"

uint64_t key_print(struct slice text)
{
    return hash_bytes(text.p, text.len);
}

void keyring_rest(struct keyring *k, int key, enum llm_class why, uint64_t print, int64_t until_ms)
{
    k->keys[key] = (struct key_state){.until_ms = until_ms, .why = why, .print = print};
}

bool keyring_rests(struct keyring *k, int key, int64_t now_ms)
{
    return k->keys[key].until_ms > now_ms;
}

void keyring_order(struct keyring *k, int n, struct slice sticky, int *order)
{
    if (n <= 0)
        return;
    unsigned first = sticky.len ? (unsigned)(hash_stable(sticky.p, sticky.len, 7) % (unsigned)n) : k->next++;
    for (int i = 0; i < n; i++)
        order[i] = (int)((first + (unsigned)i) % (unsigned)n);
}

int64_t keyring_wait(struct keyring *k, int n, int64_t now_ms, enum llm_class *why)
{
    int64_t least = INT64_MAX;
    for (int i = 0; i < n; i++) {
        int64_t ms = k->keys[i].until_ms > now_ms ? k->keys[i].until_ms - now_ms : 0;
        if (ms < least) {
            least = ms;
            *why = k->keys[i].why;
        }
    }
    return n > 0 ? least : 0;
}

int keyring_resting(struct keyring *k, int n, int64_t now_ms)
{
    int resting = 0;
    for (int i = 0; i < n; i++)
        resting += keyring_rests(k, i, now_ms);
    return resting;
}
