#include "cmd/secret.h"

#include <string.h>

#include "auth/seal.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/setting.h"
#include "llm/model.h"

#define MODEL_NAME 2 /* LLM.MODEL SET name ... */

/* MIGRATE host port key db timeout ... AUTH password | AUTH2 username password ... KEYS key ... */
static bool secret_of_migrate(int argc, const struct slice *argv, int i)
{
    for (int k = 6; k < i; k++) {
        if (slice_is(argv[k], "keys"))
            return false;
        if (slice_is(argv[k], "auth") || slice_is(argv[k], "auth2")) {
            int n = argv[k].len == 4 ? 1 : 2;
            if (i <= k + n)
                return true;
            k += n;
        }
    }
    return false;
}

/* HELLO version AUTH username password SETNAME name */
static bool secret_of_hello(const struct slice *argv, int i)
{
    for (int k = 2; k < i; k += slice_is(argv[k], "auth") ? 3 : 2)
        if (slice_is(argv[k], "auth") && i <= k + 2)
            return true;
    return false;
}

bool secret_argument(int argc, const struct slice *argv, int i)
{
    struct slice name = argv[0];
    if (i >= 1 && slice_is(name, "auth"))
        return true;
    if (i >= 2 && slice_is(name, "hello"))
        return secret_of_hello(argv, i);
    if (i >= 2 && slice_is(name, "acl"))
        return slice_is(argv[1], "setuser");
    if (i >= 3 && slice_is(name, "config") && slice_is(argv[1], "set")) {
        const struct setting *s = i % 2 ? setting_find(argv[i - 1]) : NULL;
        return s && (s->flags & SETTING_SECRET);
    }
    if (i > MODEL_NAME && slice_is(name, "llm.model") && slice_is(argv[1], "set"))
        return model_word(argv + MODEL_NAME, argc - MODEL_NAME, i - MODEL_NAME) != MODEL_WORD_OPEN;
    return i > 6 && slice_is(name, "migrate") && secret_of_migrate(argc, argv, i);
}

/* ---- keys in what is kept ---- */

static bool is_key(int argc, const struct slice *argv, int i)
{
    return i > MODEL_NAME && slice_is(argv[0], "llm.model") && slice_is(argv[1], "set") &&
           model_word(argv + MODEL_NAME, argc - MODEL_NAME, i - MODEL_NAME) == MODEL_WORD_KEY;
}

static bool sealed(struct slice key)
{
    return key.len > strlen(MODEL_SEALED) && memcmp(key.p, MODEL_SEALED, strlen(MODEL_SEALED)) == 0;
}

bool secret_is_sealed(int argc, const struct slice *argv)
{
    for (int i = MODEL_NAME; i < argc; i++)
        if (is_key(argc, argv, i) && sealed(argv[i]))
            return true;
    return false;
}

static void borrow(int argc, const struct slice *argv, struct secret_words *to)
{
    *to = (struct secret_words){argc, mem_dup(argv, (size_t)argc * sizeof *argv), mem_zero((size_t)argc)};
}

static void own(struct secret_words *w, int i, struct buf *text)
{
    size_t len = text->len;
    w->v[i] = slice_of(buf_take(text, &len), len);
    w->owned[i] = 1;
}

int secret_seal(int argc, const struct slice *argv, struct secret_words *to, struct err *err)
{
    borrow(argc, argv, to);
    for (int i = MODEL_NAME; i < argc; i++) {
        struct buf text = {0};
        if (!is_key(argc, argv, i) || !model_key_is_secret(argv[i]))
            continue;
        buf_add_str(&text, MODEL_SEALED);
        int rc = seal_text(argv[i], argv[MODEL_NAME], &text, err);
        own(to, i, &text);
        if (rc < 0) {
            secret_release(to);
            return rc;
        }
    }
    return 0;
}

void secret_open(int argc, const struct slice *argv, struct secret_words *to)
{
    borrow(argc, argv, to);
    for (int i = MODEL_NAME; i < argc; i++) {
        struct buf text = {0};
        struct err err;
        if (!is_key(argc, argv, i) || !sealed(argv[i]))
            continue;
        size_t head = strlen(MODEL_SEALED);
        if (seal_open(slice_of(argv[i].p + head, argv[i].len - head), argv[MODEL_NAME], &text, &err) == 0)
            own(to, i, &text);
        else
            log_warning("the key of model '%.*s' is not known: %s",
                        argv[MODEL_NAME].len < 60 ? (int)argv[MODEL_NAME].len : 60, argv[MODEL_NAME].p, err.msg);
    }
}

void secret_release(struct secret_words *w)
{
    for (int i = 0; i < w->n; i++) {
        if (!w->owned[i])
            continue;
        explicit_bzero((char *)w->v[i].p, w->v[i].len);
        mem_free((char *)w->v[i].p);
    }
    mem_free(w->v);
    mem_free(w->owned);
    *w = (struct secret_words){0};
}
