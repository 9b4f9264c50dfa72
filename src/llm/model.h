/* The registry of models: named entries that say which provider, where, with which key.
 *
 * An entry is made from the words of LLM.MODEL SET and can be written as those words again, which is how it is
 * journaled and replicated. builtin/extract and builtin/hash always exist and cannot be changed or removed.
 *
 * KEY may be given more than once: the keys are used in turn, and one that is refused rests (keyring.h). A key is
 * env:NAME (read from the environment at each call), file:path (read at each call, so that it can be rotated) or the
 * key itself. The key itself is a secret: model_fields masks it, only model_words gives it out.
 *
 * Thread: loop. */
#ifndef LLM_MODEL_H
#define LLM_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/dict.h"
#include "base/err.h"
#include "base/slice.h"
#include "llm/limits.h"
#include "llm/money.h"

struct deployment;
struct llm_provider;

#define MODEL_RETRIES 2 /* when RETRIES is not given */

enum model_kind { MODEL_CHAT, MODEL_EMBED, MODEL_RERANK, MODEL_SPEECH, MODEL_TRANSCRIBE };

struct model {
    char *name;
    const struct llm_provider *provider;
    char *url;   /* base without a slash at the end; NULL: the provider's own */
    char *id;    /* what the provider calls it; never NULL */
    char **keys; /* a ring of nkeys, 0 to KEYS_MAX (keyring.h) */
    int nkeys;
    char *params; /* JSON object text or NULL */
    enum model_kind kind;
    int64_t context; /* tokens; 0: unknown */
    struct price price;
    int64_t rpm, tpm, concurrency; /* 0: no limit */
    bool has_budget;
    int64_t budget; /* money.h */
    enum budget_per per;
    int64_t timeout_ms; /* 0: the server's */
    int64_t retries;    /* -1: not given */
    bool enabled;
    bool builtin;
    uint64_t serial;          /* of this definition: another one for each models_set */
    struct deployment *state; /* how it does; kept by models_set where the target stays the same */
};

struct models {
    struct dict by_name;
    uint64_t serials;
};

void models_init(struct models *ms);
void models_release(struct models *ms);

/* words: name PROVIDER p [URL base] ... as after LLM.MODEL SET. Replaces the entry of that name (and enables it). */
int models_set(struct models *ms, const struct slice *words, int n, struct err *err);
/* What words[i] of such words is. STRAY: what stands where an option should, and all behind it. */
enum model_word { MODEL_WORD_OPEN, MODEL_WORD_KEY, MODEL_WORD_STRAY };
enum model_word model_word(const struct slice *words, int n, int i);
/* A key that begins so is one that could not be opened (see auth/seal.h): it is kept, calls are refused with STATE. */
#define MODEL_SEALED "sealed:"
bool model_key_is_secret(struct slice key); /* neither a reference nor sealed */
int models_del(struct models *ms, struct slice name, struct err *err);
int models_enable(struct models *ms, struct slice name, bool on, struct err *err);
struct model *models_find(struct models *ms, struct slice name); /* NULL when there is none */
/* The model for a call: ERR_STATE with a sentence when there is none, it is disabled, or of another kind. */
int models_pick(struct models *ms, struct slice name, enum model_kind kind, struct model **out, struct err *err);
/* In the order of names. fn may not change the registry. */
void models_each(struct models *ms, void (*fn)(void *arg, struct model *m), void *arg);

int model_retries(const struct model *m);
const char *model_kind_name(enum model_kind k); /* "CHAT" */

/* The words that make this entry again, the secret key among them: for the journal and for replicas only. (A disabled
 * entry needs LLM.MODEL DISABLE after it.) */
void model_words(const struct model *m, void (*emit)(void *arg, struct slice word), void *arg);
/* Name and value of every field for people, key masked ("env:NAME", "file:path" or "(set)"). */
void model_fields(const struct model *m, void (*emit)(void *arg, const char *field, struct slice value), void *arg);

/* The text of one of its keys, appended to `to`. ERR_STATE when it cannot be read. */
int model_key(const struct model *m, int key, struct buf *to, struct err *err);

#endif
